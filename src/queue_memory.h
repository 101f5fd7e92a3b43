/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A participant's checked view of a queue in shared memory: where everything is, and who we are in it. Positions, limits and
 * pointers here are private copies; nothing of them is read from the segment again.
 */
#ifndef CANO_QUEUE_MEMORY_H
#define CANO_QUEUE_MEMORY_H

#include "arena.h"
#include "geometry.h"
#include "ledger.h"
#include "lock.h"
#include "ring.h"
#include "roster.h"

typedef struct cano_queue_memory {
    cano_os_segment segment;
    cano_queue_shared *shared;
    cano_queue_limits limits;
    cano_geometry geometry;
    cano_roster roster;
    cano_ring ring;
    cano_ledger ledger;
    cano_arena arena;
    cano_lock put_lock;
    cano_lock get_lock;
    uint32_t me; /* our lock word; 0: not attached */
    _Atomic uint32_t guarding; /* cano_os_self() while a thread of ours has the guard, or tries: it is not between threads */
} cano_queue_memory;

/* Lay the view over a segment made for these limits, or one that was opened (limits NULL: they are read and checked).
 * CANO_ECORRUPT: the limits in it are impossible, or do not fit its size. */
cano_status cano_queue_memory_map(cano_queue_memory *memory, const cano_queue_limits *limits);

/* The same view, to act under another word. */
void cano_queue_memory_copy(cano_queue_memory *copy, const cano_queue_memory *memory);

/* Fill a new segment: everything empty. */
void cano_queue_memory_init(cano_queue_memory *memory);

/* Act under this word from now on: as a participant, or as the guard. presence and kept as in cano_lock. */
void cano_queue_memory_act_as(cano_queue_memory *memory, uint32_t word, cano_presence *presence, _Atomic uint32_t *kept);

/* Wake getters, and ring the bells of those who watch by a handle. After a full fence behind what they may see. */
CANO_SELDOM void cano_queue_memory_ring_bells(cano_queue_memory *memory);

static inline void cano_queue_memory_wake_getters(cano_queue_memory *memory, uint32_t count)
{
    cano_event_wake(&memory->segment, &memory->shared->items_event, count);
    if (atomic_load_explicit(&memory->shared->bells, memory_order_seq_cst) != 0) {
        cano_queue_memory_ring_bells(memory);
    }
}

/* Wake everybody, whatever they wait for. */
void cano_queue_memory_wake_all(cano_queue_memory *memory);

/* The name of a participant's bell. */
void cano_queue_memory_bell_name(const cano_queue_memory *memory, uint32_t word, char name[64]);

/* ---- commit words; a signed difference of n bits is shifted up and, with its sign, down again ---- */

static inline uint64_t cano_commit_position(uint64_t word)
{
    return word >> CANO_COUNT_BITS;
}

static inline uint64_t cano_commit_word(uint64_t position, uint64_t count)
{
    return (position & CANO_POSITION_MASK) << CANO_COUNT_BITS | (count & CANO_COUNT_MASK);
}

/* Messages from one commit word to a later one; negative when tail lags behind head (it is stored after publication). */
static inline int64_t cano_commit_items(uint64_t from, uint64_t to)
{
    return (int64_t)((to - from) << (64 - CANO_COUNT_BITS)) >> (64 - CANO_COUNT_BITS);
}

/* Units from one commit word to a later one. */
static inline int64_t cano_commit_units(uint64_t from, uint64_t to)
{
    return (int64_t)((cano_commit_position(to) - cano_commit_position(from)) << CANO_COUNT_BITS) >> CANO_COUNT_BITS;
}

/* A 64-bit total whose low 24 bits are brought in line with a commit word, which may be less than 2^23 ahead of it. */
static inline uint64_t cano_commit_total(uint64_t total, uint64_t word)
{
    return total + (uint64_t)cano_commit_items(total, word);
}

/* Behind the store of a commit word: the total follows in steps of about 2^20, early enough to be completed by
 * cano_commit_total. So it is hardly ever touched, and a death between the two stores is made good by the next step. */
static inline void cano_commit_follow(_Atomic uint64_t *total, uint64_t before, uint64_t now)
{
    const uint64_t steps = CANO_COUNT_MASK & ~((UINT64_C(1) << 20) - 1);
    if (((before ^ now) & steps) != 0) {
        const uint64_t old = atomic_load_explicit(total, memory_order_relaxed); /* under the lock of its side */
        atomic_store_explicit(total, cano_commit_total(old, now), memory_order_relaxed);
    }
}

#endif
