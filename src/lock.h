/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock in shared memory whose holder may die: one 32-bit word {contended, generation, slot}, taken with one
 * compare-and-swap that also writes the owner, so that a held lock always has an owner to ask about. When the owner is dead,
 * the word is swapped to the new owner's and what the lock guards is repaired before anything else; dying in the repair is
 * dying with the lock. The living are never robbed, however long they hold it.
 *
 * The word names a participant. Threads of one participant exclude each other by it too: seeing one's own name means wait.
 */
#ifndef CANO_LOCK_H
#define CANO_LOCK_H

#include "event.h"
#include "mutation.h"
#include "pause.h"
#include "presence.h"
#include "roster.h"

typedef struct cano_lock {
    _Atomic uint32_t *word;
    const cano_roster *roster;
    uint32_t me;             /* our word, not contended; CANO_GUARD_WORD for who holds the guard */
    cano_presence *presence; /* NULL: nobody else shares our name */
    _Atomic uint32_t *kept;  /* threads of ours that keep it between calls (cano_queue_lock), or asleep; NULL: never */
    void (*repair)(void *context); /* of what the lock guards; the lock is held */
    void *context;
} cano_lock;

/* CANO_OK; CANO_ETIMEOUT; CANO_ECORRUPT: the word is ours and no thread of ours holds it. */
cano_status cano_lock_acquire_slow(const cano_lock *lock, int64_t deadline);

static inline bool cano_lock_try(const cano_lock *lock)
{
    uint32_t expected = 0;
    if (CANO_MUTATED(OWNERLESS_LOCK)) {
        return atomic_compare_exchange_strong(lock->word, &expected, CANO_CONTENDED)
            && atomic_exchange(lock->word, lock->me) != 0;
    }
    /* acquire: pairs with the release of the unlocking exchange. seq_cst as well, for the presence counted before it: see
     * is_lie() */
    return atomic_compare_exchange_strong_explicit(lock->word, &expected, lock->me, memory_order_seq_cst, memory_order_relaxed);
}

static inline cano_status cano_lock_acquire(const cano_lock *lock, int64_t deadline)
{
    return cano_lock_try(lock) ? CANO_OK : cano_lock_acquire_slow(lock, deadline);
}

/* Also a full fence between what was stored before it and what is loaded after it. CANO_ECORRUPT: it was not ours. */
static inline cano_status cano_lock_release(const cano_lock *lock)
{
    /* release: pairs with the acquire of the next holder; seq_cst: it is the fence in front of the event words */
    const uint32_t old = atomic_exchange_explicit(lock->word, 0, memory_order_seq_cst);
    if (old == lock->me) {
        return CANO_OK;
    }
    if ((old & CANO_CONTENDED) != 0) {
        cano_os_wake(lock->roster->segment, lock->word, 1);
    }
    return (old & ~CANO_CONTENDED) == lock->me ? CANO_OK : CANO_ECORRUPT;
}

/* Take the lock from a dead owner, if one holds it, and repair. True: it is ours now. Does not wait. presumed_dead: take it
 * from this very owner without asking again (0: ask). */
bool cano_lock_take_over(const cano_lock *lock, uint32_t presumed_dead);

#endif
