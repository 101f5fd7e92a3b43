/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleep until a condition in shared memory may have changed: an eventcount in one 32-bit word.
 *
 * Bit 0: somebody sleeps, or is about to. The other 31 bits: a sequence that every wake advances, so that a sleeper who was
 * about to sleep on an older value does not (a bare flag loses that wake). Nothing correct depends on a wake arriving:
 * sleepers sleep in slices.
 *
 * The sleeper: arm (set the bit, fence), look at the condition again, sleep on exactly the armed value.
 * The waker: change the condition, full fence, wake. The two fences make it impossible that the sleeper misses the change
 * and the waker misses the bit (Dekker).
 */
#ifndef CANO_EVENT_H
#define CANO_EVENT_H

#include "os.h"
#include "pause.h"

typedef _Atomic uint32_t cano_event;

/* Say that one is about to sleep; returns the value to sleep on. */
static inline uint32_t cano_event_arm(cano_event *event)
{
    /* relaxed: the fence orders it before the second look at the condition; pairs with the waker's fence */
    const uint32_t armed = atomic_fetch_or_explicit(event, 1, memory_order_relaxed) | 1;
    atomic_thread_fence(memory_order_seq_cst);
    return armed;
}

/* Is somebody asleep? After a full fence behind the change of the condition (a seq_cst exchange of the unlock is one). */
static inline bool cano_event_is_armed(cano_event *event)
{
    /* seq_cst, not acquire: on arm64 an LDAPR could pass the unlock's store-release */
    return (atomic_load_explicit(event, memory_order_seq_cst) & 1) != 0;
}

/* Wake count sleepers if there may be any. */
CANO_SELDOM void cano_event_wake_slow(cano_os_segment *segment, cano_event *event, uint32_t count);

static inline void cano_event_wake(cano_os_segment *segment, cano_event *event, uint32_t count)
{
    if (cano_event_is_armed(event)) {
        cano_event_wake_slow(segment, event, count);
    }
}

#endif
