/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks handed out and not yet done.
 *
 * An entry's state is one word {state 4, slot 10, deaths 16, serial 34}, so every step is one store or one swap:
 *
 *     FREE -> PREPARED -> HELD          a get, under the getters' lock; head moves between the two
 *     HELD -> FREE                      task_done, without a lock
 *     HELD -> ORPHAN or DELAYED         a give_back, or the death of the holder: deaths + 1 in the same swap
 *     HELD -> DEAD                      the same, once delivered max_deliveries times
 *     ORPHAN or DELAYED (due) -> HELD   redelivery, under the getters' lock
 *     DEAD -> DEAD_HELD -> FREE, DEAD, ORPHAN   dead_get; its task_done, death, give_back
 *
 * PREPARED exists only while the getters' lock is held; whoever takes that lock over settles every PREPARED entry before head
 * moves again, by where head is: the record it describes was taken (ORPHAN) or not (FREE). Nobody else judges one.
 *
 * The serial is the low 34 bits of the task's number, so a late task_done never finishes the next task in that entry.
 */
#ifndef CANO_LEDGER_H
#define CANO_LEDGER_H

#include "layout.h"

enum {
    CANO_TASK_FREE = 0,
    CANO_TASK_PREPARED = 1,
    CANO_TASK_HELD = 2,
    CANO_TASK_ORPHAN = 3,
    CANO_TASK_DELAYED = 4,
    CANO_TASK_DEAD = 5,
    CANO_TASK_DEAD_HELD = 6
};

#define CANO_TASK_STATES UINT64_C(15) /* the bits of a word that are its state */
#define CANO_SERIAL_MASK ((UINT64_C(1) << 34) - 1)
#define CANO_DEATHS_MAX 65535u
#define CANO_NO_ENTRY UINT32_MAX

typedef struct cano_task_word {
    uint32_t state;
    uint32_t slot;
    uint32_t deaths; /* times it came back */
    uint64_t serial;
} cano_task_word;

typedef struct cano_ledger {
    _Atomic uint64_t *words;
    cano_ledger_entry *entries;
    uint32_t count; /* 0 on a plain queue */
    uint32_t max_deliveries;
    _Atomic uint32_t *rotor;
    _Atomic uint32_t *orphan_hint;
    _Atomic uint64_t *next_due;
} cano_ledger;

static inline cano_task_word cano_task_unpack(uint64_t word)
{
    return (cano_task_word){ (uint32_t)(word & CANO_TASK_STATES), (uint32_t)(word >> 4 & 1023), (uint32_t)(word >> 14 & 65535), word >> 30 };
}

static inline uint64_t cano_task_pack(cano_task_word t)
{
    return (uint64_t)t.state | (uint64_t)t.slot << 4 | (uint64_t)t.deaths << 14 | t.serial << 30;
}

/* acquire: pairs with the release of every swap and store of a word: entry and what came before are visible with it */
static inline uint64_t cano_ledger_load(const cano_ledger *ledger, uint32_t entry)
{
    return atomic_load_explicit(&ledger->words[entry], memory_order_acquire);
}

/* One swap of the exact word. What a worker did before task_done is visible to who sees it done: acq_rel. seq_cst, so that it is
 * also the fence between this change and the look at an event word (loaded seq_cst) behind it. */
static inline bool cano_ledger_swap(const cano_ledger *ledger, uint32_t entry, uint64_t seen, cano_task_word next)
{
    return atomic_compare_exchange_strong_explicit(&ledger->words[entry], &seen, cano_task_pack(next), memory_order_seq_cst,
                                                   memory_order_relaxed);
}

/* release: pairs with cano_ledger_load; what the entry says is stored before its state says so. Under the getters' lock. */
static inline void cano_ledger_store(const cano_ledger *ledger, uint32_t entry, cano_task_word next)
{
    atomic_store_explicit(&ledger->words[entry], cano_task_pack(next), memory_order_release);
}

/* A free entry, or CANO_NO_ENTRY. Under the getters' lock. */
uint32_t cano_ledger_find_free_slow(const cano_ledger *ledger);

/* The one taken last, if it is free again: a worker with one task at a time uses the same lines over and over. */
static inline uint32_t cano_ledger_find_free(const cano_ledger *ledger)
{
    const uint32_t entry = atomic_load_explicit(ledger->rotor, memory_order_relaxed);
    if (entry < ledger->count && (cano_ledger_load(ledger, entry) & CANO_TASK_STATES) == CANO_TASK_FREE) {
        return entry;
    }
    return cano_ledger_find_free_slow(ledger);
}

/* Has anything come back that is due, or may something have? Two loads when not. */
static inline bool cano_ledger_has_returns(const cano_ledger *ledger)
{
    return (atomic_load_explicit(ledger->orphan_hint, memory_order_relaxed)
            | atomic_load_explicit(ledger->next_due, memory_order_relaxed)) != 0;
}

/* The oldest task that has come back and is due: an entry, or CANO_NO_ENTRY. Under the getters' lock. Costs two loads when
 * nothing has come back. */
uint32_t cano_ledger_find_returned(const cano_ledger *ledger, int64_t now, uint64_t *seen);

/* The oldest dead letter. Under the getters' lock. */
uint32_t cano_ledger_find_dead(const cano_ledger *ledger, uint64_t *seen);

/* What a task becomes that comes back: counted (a death, a give_back) or not (a close). */
cano_task_word cano_ledger_returned(const cano_ledger *ledger, cano_task_word held, bool counted, bool delayed);

/* Say that a DELAYED entry is due at that time: lowers next_due. */
void cano_ledger_due_at(const cano_ledger *ledger, int64_t due);

/* When a DELAYED entry that was just read may be delivered; its time of giving back lies in the future: at once. */
int64_t cano_ledger_due(const cano_ledger *ledger, uint32_t entry, int64_t now);

static inline void cano_ledger_hint(const cano_ledger *ledger)
{
    /* release: pairs with the acquire of the exchange that clears it: who clears it sees the orphan */
    atomic_store_explicit(ledger->orphan_hint, 1, memory_order_release);
}

/* Settle every PREPARED entry by where head is. Under the getters' lock, just taken over. */
void cano_ledger_settle(const cano_ledger *ledger, uint64_t head_position);

/* Give back what a dead or closing participant holds. Returns true if anything came back or became a dead letter. */
bool cano_ledger_give_back_all(const cano_ledger *ledger, uint32_t slot, bool counted);

/* Does any entry name this slot? */
bool cano_ledger_names(const cano_ledger *ledger, uint32_t slot);

typedef struct cano_ledger_counts {
    uint64_t returned; /* ORPHAN, and DELAYED that is due */
    uint64_t delayed;  /* DELAYED, not due */
    uint64_t held;     /* HELD, PREPARED */
    uint64_t dead;     /* DEAD, DEAD_HELD */
    uint64_t prepared; /* of those held: PREPARED */
    uint64_t digest;   /* of all words: every step changes it */
} cano_ledger_counts;

cano_ledger_counts cano_ledger_count(const cano_ledger *ledger, int64_t now);

/* Tasks that came back and are due, as a snapshot: 0 at the cost of two loads when there are none. */
uint64_t cano_ledger_returned_count(const cano_ledger *ledger);

#endif
