/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What really happened to every message, written down where no death can tear it.
 *
 * The oracle is a mapping shared by fork, apart from the queue it watches: one atomic word per message id, and every note is
 * one atomic instruction. Who notes "begun" before a call and "ended" behind it leaves, wherever it dies, a word that tells
 * what may and what must have happened:
 *
 *     put begun, neither ended nor refused   the putter died: the message may be there, whole, or not
 *     put ended                              it must come out, exactly once (joinable: be done exactly once)
 *     put refused                            it must never come out
 *     done begun, not ended                  the worker died: it may be done, or be delivered again
 *
 * Messages are made from their id (message.h), so what comes out names its word, and a torn one is seen. Empty messages cannot
 * be told apart: they are counted.
 */
#ifndef CANO_KILL_ORACLE_H
#define CANO_KILL_ORACLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Notes: the first three are bits, the others count. */
#define ORACLE_PUT_BEGUN (UINT32_C(1) << 0)
#define ORACLE_PUT_ENDED (UINT32_C(1) << 1)
#define ORACLE_PUT_REFUSED (UINT32_C(1) << 2)
#define ORACLE_GOT (UINT32_C(1) << 4)
#define ORACLE_DONE_BEGUN (UINT32_C(1) << 12)
#define ORACLE_DONE_ENDED (UINT32_C(1) << 20)

typedef struct oracle_empties {
    _Atomic uint64_t begun, ended, got, done_begun, done_ended;
} oracle_empties;

typedef struct oracle {
    uint64_t capacity;     /* ids are 1 to capacity - 1 */
    _Atomic uint64_t next; /* the next id to give out */
    _Atomic uint64_t torn; /* messages that were not what their id says, or had no id */
    oracle_empties empties;
    _Atomic uint32_t words[];
} oracle;

typedef struct oracle_verdict {
    uint64_t put;        /* ended, empty ones included */
    uint64_t lost;       /* must have come out, and did not */
    uint64_t duplicated; /* done twice; plain: got twice */
    uint64_t ghosts;     /* refused or never put, and came out */
} oracle_verdict;

oracle *oracle_make(uint64_t capacity);
void oracle_clear(oracle *o);

/* Take count ids of one's own; 0: the oracle is full. */
uint64_t oracle_take_ids(oracle *o, uint64_t count);

static inline void oracle_note(oracle *o, uint64_t id, uint32_t what)
{
    atomic_fetch_add_explicit(&o->words[id], what, memory_order_seq_cst);
}

static inline uint32_t oracle_word(const oracle *o, uint64_t id)
{
    return atomic_load_explicit(&o->words[id], memory_order_seq_cst);
}

static inline uint32_t oracle_count(uint32_t word, uint32_t what)
{
    return word / what & (what == ORACLE_DONE_ENDED ? 4095 : 255);
}

/* Everybody has gone and the queue is drained. joinable: what was put must be done, otherwise got; at most as many as excused
 * may be missing: those that were in the hands of the dead, or discarded (UINT64_MAX). */
oracle_verdict oracle_judge(const oracle *o, bool joinable, uint64_t excused);

#endif
