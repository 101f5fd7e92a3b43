/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way into one direction of a pipe end: a lock between the threads of one process that also counts who is inside.
 *
 * One visits it for a call. While one sleeps the gate is open for others, but one stays counted; so who closes the end knows
 * when the last has left. The wait for the gate itself is a sleep to the deadline. A forked child resets it: whoever held it
 * is not there.
 */
#ifndef CANO_GATE_H
#define CANO_GATE_H

#include "deadline.h"
#include "os.h"

#include <stdatomic.h>

/* Bits of the word; the rest counts the threads inside, holding or not. */
enum {
    CANO_GATE_HELD = 1,
    CANO_GATE_WANTED = 2, /* somebody sleeps until it is free */
    CANO_GATE_INSIDE = 4
};

typedef struct cano_gate {
    _Atomic uint32_t word;
} cano_gate;

/* One call of one thread. */
typedef struct cano_visit {
    cano_gate *gate;
    cano_os_segment *memory;         /* private memory of this process, in which the gate is */
    const _Atomic uint32_t *closing; /* not 0: leave */
    cano_timeout timeout;
    int64_t deadline; /* 0: CANO_NOW, or not needed so far: most calls never look at the clock */
    bool holds;
} cano_visit;

cano_status cano_visit_wait(cano_visit *visit);
void cano_visit_leave_others(cano_visit *visit);

/* The time-out has been checked. CANO_ETIMEOUT: others held it to the deadline, at least 1 ms; leave all the same. */
static inline cano_status cano_visit_enter(cano_visit *visit)
{
    uint32_t word = 0;
    /* acquire: pairs with the release of who left */
    if (atomic_compare_exchange_strong_explicit(&visit->gate->word, &word, CANO_GATE_HELD | CANO_GATE_INSIDE,
                                                memory_order_acquire, memory_order_relaxed)) {
        visit->holds = true;
        return CANO_OK;
    }
    visit->holds = false;
    atomic_fetch_add_explicit(&visit->gate->word, CANO_GATE_INSIDE, memory_order_relaxed); /* the lock comes later */
    return cano_visit_wait(visit);
}

static inline void cano_visit_leave(cano_visit *visit)
{
    uint32_t word = CANO_GATE_HELD | CANO_GATE_INSIDE;
    /* release: pairs with the acquire of who enters next */
    if (!visit->holds ||
        !atomic_compare_exchange_strong_explicit(&visit->gate->word, &word, 0, memory_order_release, memory_order_relaxed)) {
        cano_visit_leave_others(visit);
    }
}

static inline int64_t cano_visit_deadline(cano_visit *visit)
{
    if (visit->deadline == 0) {
        cano_deadline(visit->timeout, &visit->deadline);
    }
    return visit->deadline;
}

static inline bool cano_visit_is_over(cano_visit *visit)
{
    return visit->timeout == CANO_NOW || cano_os_now() >= cano_visit_deadline(visit);
}

/* Sleep with the gate open until the handle is ready, for slice microseconds at most; *woken: it is. Afterwards the gate is
 * held again, unless CANO_ETIMEOUT: others held it to the deadline. CANO_ECLOSED: the end is being closed. */
cano_status cano_visit_sleep(cano_visit *visit, cano_os_handle handle, bool write, int64_t slice, bool *woken);

/* Enter only if nobody is inside. */
bool cano_gate_enter_alone(cano_gate *gate);

/* Wait until all have left; nobody new comes. */
void cano_gate_await_empty(cano_gate *gate, cano_os_segment *memory);

#endif
