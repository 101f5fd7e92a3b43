/* SPDX-License-Identifier: Apache-2.0 */
#include "presence.h"

#include <stdlib.h>

_Thread_local char cano_thread_mark;

static bool claim(cano_seat *seat, uintptr_t thread)
{
    uintptr_t nobody = 0;
    return atomic_compare_exchange_strong_explicit(&seat->thread, &nobody, thread, memory_order_relaxed, memory_order_relaxed);
}

static cano_seat *add(cano_presence *presence, uintptr_t thread)
{
    cano_seat *seat = calloc(1, sizeof *seat);
    if (seat == NULL) {
        return NULL;
    }
    atomic_init(&seat->thread, thread);
    cano_seat *next = atomic_load_explicit(&presence->first.next, memory_order_relaxed);
    do {
        atomic_store_explicit(&seat->next, next, memory_order_relaxed);
        /* release: pairs with the acquire of who walks the list */
    } while (!atomic_compare_exchange_weak_explicit(&presence->first.next, &next, seat, memory_order_release,
                                                    memory_order_relaxed));
    return seat;
}

static cano_seat *next_of(const cano_seat *seat)
{
    return atomic_load_explicit(&seat->next, memory_order_acquire);
}

cano_seat *cano_presence_find(cano_presence *presence, uintptr_t thread)
{
    for (cano_seat *seat = &presence->first; seat != NULL; seat = next_of(seat)) {
        if (atomic_load_explicit(&seat->thread, memory_order_relaxed) == thread) {
            return seat;
        }
    }
    return claim(&presence->first, thread) ? &presence->first : add(presence, thread);
}

static bool is_ours(const cano_seat *seat)
{
    return atomic_load_explicit(&seat->thread, memory_order_relaxed) == cano_thread_self();
}

/* acquire: pairs with the release in cano_seat_set */
static uint32_t state_of(const cano_seat *seat)
{
    return atomic_load_explicit(&seat->state, memory_order_acquire);
}

bool cano_presence_others(cano_presence *presence)
{
    for (cano_seat *seat = &presence->first; seat != NULL; seat = next_of(seat)) {
        if (!is_ours(seat) && (state_of(seat) & CANO_SEAT_STATES) != CANO_AWAY) {
            return true;
        }
    }
    return false;
}

bool cano_presence_is_quiet(cano_presence *presence, uint64_t *changes)
{
    *changes = 0;
    for (cano_seat *seat = &presence->first; seat != NULL; seat = next_of(seat)) {
        const uint32_t state = state_of(seat);
        *changes += state; /* sequences only grow: the same sum is the same of each */
        if (!is_ours(seat) && (state & CANO_SEAT_STATES) == CANO_ACTIVE) {
            return false;
        }
    }
    return true;
}

void cano_presence_reset(cano_presence *presence)
{
    atomic_store_explicit(&presence->first.thread, 0, memory_order_relaxed);
    atomic_store_explicit(&presence->first.state, CANO_AWAY, memory_order_relaxed);
    atomic_store_explicit(&presence->first.next, NULL, memory_order_relaxed);
    presence->first.tasks = NULL;
}

void cano_presence_clear(cano_presence *presence)
{
    free(presence->first.tasks);
    for (cano_seat *seat = next_of(&presence->first); seat != NULL;) {
        cano_seat *next = next_of(seat);
        free(seat->tasks);
        free(seat);
        seat = next;
    }
}
