/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleep by looking again and again, for systems that cannot sleep on a word of shared memory: the processor is given away a
 * few times, then pauses grow from 50 microseconds to 2 milliseconds.
 */
#include "errors.h"
#include "os.h"

#include <sched.h>
#include <time.h>

#define YIELDS 8
#define PAUSE_LEAST INT64_C(50)
#define PAUSE_MOST INT64_C(2000)

/* relaxed: who goes on looks again by himself, with the order he needs */
static bool is_still(_Atomic uint32_t *word, uint32_t expected)
{
    return atomic_load_explicit(word, memory_order_relaxed) == expected;
}

static void sleep_for(int64_t microseconds)
{
    const struct timespec pause = { .tv_nsec = microseconds * 1000 };
    nanosleep(&pause, NULL); /* a signal ends it early, which is harmless */
}

cano_status cano_os_wait(cano_os_segment *segment, _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    (void)segment;
    int64_t pause = PAUSE_LEAST;
    for (int round = 0; is_still(word, expected); round++) {
        const int64_t left = deadline == CANO_OS_NEVER ? PAUSE_MOST : deadline <= 0 ? 0 : deadline - cano_os_now();
        if (left <= 0) {
            return cano_os_fail(0, CANO_ETIMEOUT);
        }
        if (round < YIELDS) {
            sched_yield();
            continue;
        }
        sleep_for(pause < left ? pause : left);
        pause = 2 * pause < PAUSE_MOST ? 2 * pause : PAUSE_MOST;
    }
    return CANO_OK;
}

/* Sleepers look by themselves. */
void cano_os_wake(cano_os_segment *segment, _Atomic uint32_t *word, uint32_t count)
{
    (void)segment;
    (void)word;
    (void)count;
}
