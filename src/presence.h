/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which threads of this process are inside a call on a handle, and which of them sleep: so that close waits for them, and a
 * lock word that names us although no thread of ours can hold it is known for a lie.
 *
 * Each thread has a seat that only it writes, with plain stores: counting with atomic additions would cost as much as the lock
 * itself. A seat is taken before a lock word is swapped to our name and left after it is swapped back; both swaps release, so
 * who sees the word (acquire) sees the seat. Every change advances the seat's sequence: two looks at all seats that find the
 * same are one look, since nobody came or went in between.
 */
#ifndef CANO_PRESENCE_H
#define CANO_PRESENCE_H

#include "pause.h"

#include <cano/status.h>
#include <stdatomic.h>

enum { CANO_AWAY = 0, CANO_ACTIVE = 1, CANO_ASLEEP = 2 };

typedef struct cano_seat {
    _Atomic uintptr_t thread;        /* whose; 0: nobody's yet */
    _Atomic uint32_t state;          /* sequence 30 bits, CANO_AWAY and so on 2 bits */
    _Atomic(struct cano_seat *) next; /* seats are added, never removed */
    struct cano_tasks *tasks;         /* what the thread got, for itself alone (held.h); one piece of memory, or NULL */
} cano_seat;

typedef struct cano_presence {
    cano_seat first; /* most handles are used by one thread */
} cano_presence;

extern _Thread_local char cano_thread_mark; /* its address tells threads apart where the compiler cannot say who we are */

/* This thread, as a number that is another one in every thread alive, and the same in a forked child. */
static inline uintptr_t cano_thread_self(void)
{
#if defined(CANO_HAS_THREAD_POINTER)
    return (uintptr_t)__builtin_thread_pointer();
#else
    return (uintptr_t)&cano_thread_mark;
#endif
}

/* This thread's seat, made if it has none; NULL: no memory. */
CANO_SELDOM cano_seat *cano_presence_find(cano_presence *presence, uintptr_t thread);

static inline cano_seat *cano_presence_seat(cano_presence *presence)
{
    const uintptr_t self = cano_thread_self();
    /* relaxed: only we store our own number */
    return atomic_load_explicit(&presence->first.thread, memory_order_relaxed) == self ? &presence->first
                                                                                       : cano_presence_find(presence, self);
}

#define CANO_SEAT_STATES 3u

/* Set the state of this thread's seat. release: what was done before it is visible to who sees it. */
static inline void cano_seat_set(cano_seat *seat, uint32_t state)
{
    /* relaxed: only we write it */
    const uint32_t old = atomic_load_explicit(&seat->state, memory_order_relaxed) | CANO_SEAT_STATES;
    atomic_store_explicit(&seat->state, old + 1 + state, memory_order_release);
}

/* The same for one who has not its seat at hand. */
static inline void cano_presence_set(cano_presence *presence, uint32_t state)
{
    cano_seat_set(cano_presence_seat(presence), state);
}

/* Is any thread but this one inside a call, asleep or not? */
bool cano_presence_others(cano_presence *presence);

/* No thread but this one is awake inside a call. *changes: how often seats were taken and left so far. */
bool cano_presence_is_quiet(cano_presence *presence, uint64_t *changes);

/* Forget all seats: in a forked child, where only this thread lives (other seats may be in use nowhere: they leak). */
void cano_presence_reset(cano_presence *presence);

/* Free the seats; nobody is inside a call. */
void cano_presence_clear(cano_presence *presence);

#endif
