/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known bugs, to be planted one at a time: a proof that cannot fail proves nothing.
 *
 * In the library CANO_MUTATED is 0 and the compiler drops what it guards. tests/kill builds the same files once more with
 * CANO_MUTATIONS, chooses a bug by its number, and must find it; the list says what rule it breaks (docs/protocol.md).
 */
#ifndef CANO_MUTATION_H
#define CANO_MUTATION_H

/* clang-format off */
#define CANO_MUTATIONS_ALL(X) \
    X(OWNERLESS_LOCK)       /* the owner is written after the lock is taken */ \
    X(HEADER_FIRST)         /* a message is published before its payload is there */ \
    X(NO_ZERO_HEADER)       /* no zero header behind the last record */ \
    X(PADDING_FIRST)        /* padding is published before the record behind it */ \
    X(TAIL_FIRST)           /* the count of messages is stored before they are published */ \
    X(LEASE_AFTER_HEAD)     /* the ledger's entry is written after head has moved */ \
    X(HELD_AFTER_UNLOCK)    /* an entry stays PREPARED beyond the getters' lock */ \
    X(PREPARED_NOT_SETTLED) /* who takes the getters' lock over settles nothing */ \
    X(UNFINISHED_COUNTED)   /* join trusts stored counts instead of the headers */ \
    X(NO_GENERATION)        /* a lock word names a slot only */ \
    X(SERIAL_IGNORED)       /* a task is known by its entry only */ \
    X(WAKE_RELIED_UPON)     /* sleepers look again only when they are woken */ \
    X(BARE_FLAG)            /* the event word has no sequence, and a flag that one waker takes down for all */ \
    X(NOW_DOES_NOT_LOOK)    /* who does not wait does not ask for the dead */ \
    X(LOCK_DOES_NOT_LOOK)   /* who waits for a lock does not ask for the dead */ \
    X(SLOT_BY_SLOT)         /* all of one dead participant is put right before the next one's locks */ \
    X(SLOT_FIRST)           /* the slot of the dead is free before what names it is put right */ \
    X(HINT_FIRST)           /* orphans are announced before there are any */ \
    X(DEATHS_APART)         /* a death is counted in a store of its own */ \
    X(SWEEP_UNLOCKED)       /* blocks are swept without the ring locks */ \
    X(OWNER_AFTER_HEAD)     /* a getter owns the blocks after head has moved */ \
    X(SHUT_IN_PARTS)        /* an immediate shutdown that dies half-way is not finished by others */ \
    X(NAME_RENAMED)         /* a name is published by rename */ \
    X(OWN_DESCRIPTION)      /* leases are taken and asked for through one description */ \
    X(ATFORK_ALONE)         /* only the handlers of fork tell a child that it is one */
/* clang-format on */

#if defined(CANO_MUTATIONS)
#define CANO_MUTATION_NUMBER(name) CANO_MUTATION_##name,
enum { CANO_MUTATION_NONE, CANO_MUTATIONS_ALL(CANO_MUTATION_NUMBER) CANO_MUTATION_COUNT };
extern int cano_mutation; /* the one that is planted */
#define CANO_MUTATED(name) (cano_mutation == CANO_MUTATION_##name)
#else
#define CANO_MUTATED(name) 0
#endif

#endif
