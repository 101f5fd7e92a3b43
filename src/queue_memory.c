/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_memory.h"

#include <stdio.h>
#include <string.h>

static void place(cano_queue_memory *m)
{
    unsigned char *base = m->segment.base;
    const cano_geometry *g = &m->geometry;
    cano_queue_shared *shared = m->shared;
    m->roster = (cano_roster){ &m->segment, (cano_roster_slot *)(void *)(base + g->roster), m->limits.max_participants };
    m->ring = (cano_ring){ base + g->ring, g->ring_units };
    m->ledger = (cano_ledger){ .words = (_Atomic uint64_t *)(void *)(base + g->ledger_words),
                               .entries = (cano_ledger_entry *)(void *)(base + g->ledger_entries),
                               .count = m->limits.max_leases,
                               .max_deliveries = m->limits.max_deliveries,
                               .rotor = &shared->ledger_rotor,
                               .orphan_hint = &shared->orphan_hint,
                               .next_due = &shared->next_due };
    m->arena = (cano_arena){ .segment = &m->segment,
                             .roster = &m->roster,
                             .words = (_Atomic uint64_t *)(void *)(base + g->page_words),
                             .links = (_Atomic uint32_t *)(void *)(base + g->page_links),
                             .pages = base + g->pages,
                             .page_size = g->page_size,
                             .page_count = g->page_count,
                             .rotor = &shared->arena_rotor,
                             .event = &shared->page_event,
                             .ticket = &shared->page_ticket,
                             .ticket_at = &shared->page_ticket_at,
                             .lock = { .word = &shared->arena_lock, .roster = &m->roster } };
    m->put_lock = (cano_lock){ .word = &shared->put_lock, .roster = &m->roster };
    m->get_lock = (cano_lock){ .word = &shared->get_lock, .roster = &m->roster };
}

cano_status cano_queue_memory_map(cano_queue_memory *m, const cano_queue_limits *limits)
{
    m->shared = (cano_queue_shared *)(void *)m->segment.base;
    memcpy(&m->limits, limits != NULL ? limits : &m->shared->limits, sizeof m->limits); /* read once */
    const cano_status status = cano_geometry_of(&m->limits, &m->geometry);
    if (status != CANO_OK || m->geometry.size > m->segment.size) {
        return limits != NULL ? status : CANO_ECORRUPT;
    }
    m->me = 0;
    place(m);
    return CANO_OK;
}

void cano_queue_memory_copy(cano_queue_memory *copy, const cano_queue_memory *m)
{
    memset(copy, 0, sizeof *copy);
    copy->segment = m->segment;
    copy->shared = m->shared;
    copy->limits = m->limits;
    copy->geometry = m->geometry;
    place(copy);
    copy->put_lock.repair = m->put_lock.repair;
    copy->get_lock.repair = m->get_lock.repair;
}

void cano_queue_memory_init(cano_queue_memory *m)
{
    m->shared->limits = m->limits;
    cano_arena_init(&m->arena);
}

void cano_queue_memory_act_as(cano_queue_memory *m, uint32_t word, cano_presence *presence, _Atomic uint32_t *kept)
{
    m->me = word;
    cano_lock *locks[] = { &m->put_lock, &m->get_lock, &m->arena.lock };
    for (size_t i = 0; i < 3; i++) {
        locks[i]->me = word;
        locks[i]->presence = presence;
        locks[i]->kept = kept;
        locks[i]->context = m;
    }
    m->arena.lock.kept = NULL; /* lock() does not include the arena's: nesting would tear it */
}

void cano_queue_memory_bell_name(const cano_queue_memory *m, uint32_t word, char name[64])
{
    snprintf(name, 64, "%.32s-%x", m->segment.id, (unsigned)word);
}

static void ring_bell(cano_queue_memory *m, uint32_t slot)
{
    char name[64];
    cano_os_handle ringer;
    const cano_roster_state state = cano_roster_read(&m->roster, slot);
    cano_queue_memory_bell_name(m, cano_word_of(slot, state.generation), name);
    if (cano_os_bell_open(name, false, &ringer) == CANO_OK) {
        cano_os_bell_ring(ringer);
        cano_os_bell_close(ringer, NULL);
    }
}

void cano_queue_memory_ring_bells(cano_queue_memory *m)
{
    /* seq_cst exchanges: whoever put a bell up before we took it down is rung; who puts it up later looks again behind its
     * own fence and finds what we tell of */
    if (atomic_exchange_explicit(&m->shared->bells, 0, memory_order_seq_cst) == 0) {
        return;
    }
    for (uint32_t slot = 1; slot <= m->roster.count; slot++) {
        if (atomic_load_explicit(&m->roster.slots[slot].bell, memory_order_relaxed) != 0
            && atomic_exchange_explicit(&m->roster.slots[slot].bell, 0, memory_order_seq_cst) != 0) {
            ring_bell(m, slot);
        }
    }
}

void cano_queue_memory_wake_all(cano_queue_memory *m)
{
    atomic_thread_fence(memory_order_seq_cst); /* behind whatever changed; pairs with the fence of cano_event_arm */
    cano_event_wake(&m->segment, &m->shared->room_event, UINT32_MAX);
    cano_event_wake(&m->segment, &m->shared->page_event, UINT32_MAX);
    cano_event_wake(&m->segment, &m->shared->done_event, UINT32_MAX);
    cano_queue_memory_wake_getters(m, UINT32_MAX);
}
