/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include "pause.h"

#define GATE_SPINS 200            /* looks before sleeping: the usual visit takes less than a microsecond */
#define GATE_GRACE INT64_C(1000)  /* microseconds that also CANO_NOW waits for the gate */
#define GATE_SLICE INT64_C(20000) /* microseconds of one sleep: a wake is a hint */
#define GATE_LEAVING INT64_C(500) /* microseconds between two looks whether all have left */

static int64_t gate_deadline(cano_visit *visit)
{
    const int64_t grace = cano_os_now() + GATE_GRACE;
    const int64_t deadline = cano_visit_deadline(visit);
    return deadline > grace ? deadline : grace;
}

/* Take it if it is free. wanted: one who has slept does not know whether others still do. */
static bool try_hold(cano_visit *visit, uint32_t seen, uint32_t wanted)
{
    /* acquire: pairs with the release in open_gate and cano_visit_leave */
    visit->holds = (seen & CANO_GATE_HELD) == 0 &&
                   atomic_compare_exchange_strong_explicit(&visit->gate->word, &seen, seen | CANO_GATE_HELD | wanted,
                                                           memory_order_acquire, memory_order_relaxed);
    return visit->holds;
}

static void sleep_at_gate(cano_visit *visit, int64_t deadline)
{
    /* relaxed: only the lock itself is decided here */
    const uint32_t seen = atomic_fetch_or_explicit(&visit->gate->word, CANO_GATE_WANTED, memory_order_relaxed);
    if (seen & CANO_GATE_HELD) {
        cano_os_wait(visit->memory, &visit->gate->word, seen | CANO_GATE_WANTED, cano_deadline_slice(deadline, GATE_SLICE));
    }
}

/* Already counted inside. */
cano_status cano_visit_wait(cano_visit *visit)
{
    for (int spins = 0; spins < GATE_SPINS; spins++) {
        if (try_hold(visit, atomic_load_explicit(&visit->gate->word, memory_order_relaxed), 0)) {
            return CANO_OK;
        }
        cano_pause();
    }
    const int64_t deadline = gate_deadline(visit);
    while (!try_hold(visit, atomic_load_explicit(&visit->gate->word, memory_order_relaxed), CANO_GATE_WANTED)) {
        if (cano_os_now() >= deadline) {
            return CANO_ETIMEOUT;
        }
        sleep_at_gate(visit, deadline);
    }
    return CANO_OK;
}

static void open_gate(cano_visit *visit)
{
    const uint32_t closed = CANO_GATE_HELD | CANO_GATE_WANTED;
    /* release: pairs with the acquire in try_hold and cano_visit_enter */
    if (atomic_fetch_and_explicit(&visit->gate->word, ~closed, memory_order_release) & CANO_GATE_WANTED) {
        cano_os_wake(visit->memory, &visit->gate->word, 1);
    }
    visit->holds = false;
}

void cano_visit_leave_others(cano_visit *visit)
{
    if (visit->holds) {
        open_gate(visit);
    }
    /* release: pairs with the acquire in cano_gate_await_empty, which frees the gate: nothing may be touched after this */
    atomic_fetch_sub_explicit(&visit->gate->word, CANO_GATE_INSIDE, memory_order_release);
}

cano_status cano_visit_sleep(cano_visit *visit, cano_os_handle handle, bool write, int64_t slice, bool *woken)
{
    const int64_t deadline = cano_deadline_slice(cano_visit_deadline(visit), slice);
    cano_os_pollable pollable = { handle, write, false };
    open_gate(visit);
    const cano_status slept = cano_os_poll(&pollable, 1, deadline);
    *woken = slept == CANO_OK;
    const cano_status held = cano_visit_wait(visit);
    /* relaxed: a hint to hurry; leaving and freeing are ordered by the gate */
    if (atomic_load_explicit(visit->closing, memory_order_relaxed)) {
        return CANO_ECLOSED;
    }
    return slept == CANO_OK || slept == CANO_ETIMEOUT ? held : slept;
}

bool cano_gate_enter_alone(cano_gate *gate)
{
    uint32_t word = 0;
    /* acquire: pairs with the release of who left last */
    return atomic_compare_exchange_strong_explicit(&gate->word, &word, CANO_GATE_HELD | CANO_GATE_INSIDE, memory_order_acquire,
                                                   memory_order_relaxed);
}

void cano_gate_await_empty(cano_gate *gate, cano_os_segment *memory)
{
    for (int looks = 0;; looks++) {
        /* acquire: pairs with the release of who left last */
        const uint32_t word = atomic_load_explicit(&gate->word, memory_order_acquire);
        if (word < CANO_GATE_INSIDE) {
            return;
        }
        if (looks >= GATE_SPINS) {
            cano_os_wait(memory, &gate->word, word,
                         cano_os_now() + GATE_LEAVING); /* nobody wakes us: they must not look back */
        }
    }
}
