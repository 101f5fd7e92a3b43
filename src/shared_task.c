/* SPDX-License-Identifier: Apache-2.0 */
#include "repair.h"
#include "shared_queue.h"

#include <stdlib.h>

/* ---- which task ---- */

typedef struct task {
    uint32_t entry;
    uint64_t word; /* its state as it was read: HELD or DEAD_HELD, ours */
    cano_task_word state;
} task;

/* Take the task off this process's list; whoever does it is the only one to end it. CANO_ENOTHELD. */
static cano_status claim(cano_shared *q, const cano_item *item, task *t)
{
    void *copy = NULL;
    cano_latch_close(&q->latch);
    uint32_t entry = item != NULL ? item->reserved - 1 : cano_held_oldest(&q->held, cano_thread_self());
    uint64_t serial = 0;
    if (item != NULL) {
        serial = item->task & CANO_SERIAL_MASK;
    } else if (q->held.nodes != NULL && entry < q->held.count) {
        serial = q->held.nodes[entry].serial;
    }
    const bool ours = cano_held_remove(&q->held, entry, serial, &copy);
    cano_latch_open(&q->latch);
    if (!ours) {
        return CANO_ENOTHELD;
    }
    free(copy);
    t->entry = entry;
    t->word = cano_ledger_load(&q->memory.ledger, entry);
    t->state = cano_task_unpack(t->word);
    const bool held = t->state.state == CANO_TASK_HELD || t->state.state == CANO_TASK_DEAD_HELD;
    const bool serial_fits = t->state.serial == serial || CANO_MUTATED(SERIAL_IGNORED);
    const bool same = serial_fits && t->state.slot == cano_word_slot(q->memory.me);
    return held && same ? CANO_OK : CANO_ECORRUPT; /* nobody else ends what we hold while we live */
}

/* ---- done ---- */

/* Everything that is not FREE, DEAD or DEAD_HELD keeps join waiting; after shutdown(immediate) only what somebody holds. */
static bool keeps_waiting(cano_task_word t, bool immediate)
{
    if (immediate && (t.state == CANO_TASK_ORPHAN || t.state == CANO_TASK_DELAYED)) {
        return false;
    }
    return t.state != CANO_TASK_FREE && t.state != CANO_TASK_DEAD && t.state != CANO_TASK_DEAD_HELD;
}

/* No entry keeps join waiting. mixed: a digest of the words of the dead letters. */
static bool no_entry_waits(const cano_shared *q, bool immediate, uint64_t *mixed)
{
    *mixed = 0;
    for (uint32_t entry = 0; entry < q->memory.ledger.count; entry++) {
        const uint64_t word = cano_ledger_load(&q->memory.ledger, entry);
        const cano_task_word t = cano_task_unpack(word);
        if (keeps_waiting(t, immediate)) {
            return false;
        }
        if (t.state != CANO_TASK_FREE) {
            *mixed = (*mixed ^ word) * UINT64_C(0x100000001b3) + entry;
        }
    }
    return true;
}

/* Read in exactly this order: head, entries, the header at head, head again, the dead letters again. Then there was an instant,
 * the reading of the header, at which all was done: a task that moved from ring to entry meanwhile has moved head, and a dead
 * letter that was queued afresh has another serial. */
bool cano_shared_is_done(cano_shared *q)
{
    const cano_queue_shared *s = q->memory.shared;
    const bool immediate = (atomic_load_explicit(&s->shutdown, memory_order_acquire) & CANO_SHUT_IMMEDIATE) != 0;
    const uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    uint64_t before;
    uint64_t after;
    if (!no_entry_waits(q, immediate, &before)) {
        return false;
    }
    if (immediate) {
        return true;
    }
    cano_ring_record record;
    if (CANO_MUTATED(UNFINISHED_COUNTED)) {
        return cano_commit_items(head, atomic_load(&s->tail)) == 0;
    }
    if (cano_ring_look(&q->memory.ring, cano_commit_position(head), &record) != CANO_RING_NOTHING) {
        return false;
    }
    if (atomic_load_explicit(&s->head, memory_order_acquire) != head) {
        return false;
    }
    return no_entry_waits(q, false, &after) && before == after;
}

static bool is_done(cano_shared *q, void *context)
{
    (void)context;
    return cano_shared_is_done(q);
}

static void tell_joiners(cano_shared *q, bool even_if_not_done)
{
    atomic_thread_fence(memory_order_seq_cst); /* behind the swap of the entry; pairs with the fence of cano_event_arm */
    cano_event *event = &q->memory.shared->done_event;
    if (cano_event_is_armed(event) && (even_if_not_done || cano_shared_is_done(q))) {
        cano_event_wake_slow(&q->memory.segment, event, UINT32_MAX);
    }
}

/* The task's blocks become ours first (dying then leaves them reachable from the entry, which comes back), then the entry is
 * free, then the blocks. */
cano_status cano_shared_task_done(cano_shared *q, const cano_item *item)
{
    cano_queue_memory *m = &q->memory;
    task t;
    cano_status status = claim(q, item, &t);
    if (status != CANO_OK) {
        return status;
    }
    const uint32_t page = m->ledger.entries[t.entry].page;
    if (page != CANO_NO_PAGE) {
        status = cano_arena_own(&m->arena, page, m->ledger.entries[t.entry].size);
        if (status != CANO_OK) {
            return status;
        }
    }
    const cano_task_word done = { CANO_TASK_FREE, 0, 0, t.state.serial };
    if (!cano_ledger_swap(&m->ledger, t.entry, t.word, done)) {
        return CANO_ECORRUPT;
    }
    if (page != CANO_NO_PAGE) {
        cano_arena_free(&m->arena, page);
    }
    tell_joiners(q, false);
    return CANO_OK;
}

cano_status cano_shared_join(cano_shared *q, int64_t deadline)
{
    cano_waiting w = { .deadline = deadline, .no_spin = true };
    while (!cano_shared_is_done(q)) {
        const cano_status status = cano_shared_wait(q, &w, &q->memory.shared->done_event, is_done, NULL);
        if (status != CANO_OK) {
            return status;
        }
    }
    return CANO_OK;
}

/* ---- give back ---- */

/* A dead letter begins anew: a number of its own, so that join's second look at it sees the difference. Under the getters'
 * lock, where numbers are given out. */
static cano_status revive(cano_shared *q, const task *t, cano_task_word *next)
{
    cano_queue_memory *m = &q->memory;
    const cano_status status = cano_shared_acquire(q, &m->get_lock, CANO_OS_NEVER);
    if (status != CANO_OK) {
        return status;
    }
    const uint64_t number = atomic_load_explicit(&m->shared->next_task, memory_order_relaxed) + 1;
    atomic_store_explicit(&m->shared->next_task, number, memory_order_relaxed);
    m->ledger.entries[t->entry].task = number;
    next->deaths = 0;
    next->serial = number & CANO_SERIAL_MASK;
    const bool swapped = cano_ledger_swap(&m->ledger, t->entry, t->word, *next);
    const cano_status released = cano_shared_release(q, &m->get_lock);
    return swapped ? released : CANO_ECORRUPT;
}

static void set_delay(cano_shared *q, uint32_t entry, int64_t delay)
{
    cano_ledger_entry *e = &q->memory.ledger.entries[entry];
    const int64_t now = cano_os_now();
    const int64_t most = INT64_MAX - now; /* beyond the end of time is at the end of time */
    e->delay_set = (uint64_t)now; /* both before the swap that says DELAYED */
    e->delay = (uint64_t)(delay < most ? delay : most);
}

static void announce(cano_shared *q, uint32_t entry, cano_task_word next)
{
    cano_queue_memory *m = &q->memory;
    if (next.state == CANO_TASK_DELAYED) {
        const int64_t now = cano_os_now();
        cano_ledger_due_at(&m->ledger, cano_ledger_due(&m->ledger, entry, now));
    }
    if (next.state == CANO_TASK_ORPHAN) {
        cano_ledger_hint(&m->ledger);
    }
    tell_joiners(q, next.state == CANO_TASK_DEAD);
    cano_queue_memory_wake_getters(m, 1); /* also for a delayed one: somebody must know when to wake */
}

cano_status cano_shared_give_back(cano_shared *q, const cano_item *item, int64_t delay)
{
    task t;
    cano_status status = claim(q, item, &t);
    if (status != CANO_OK) {
        return status;
    }
    const bool delayed = delay > 0;
    const bool revives = t.state.state == CANO_TASK_DEAD_HELD;
    cano_task_word next = { delayed ? CANO_TASK_DELAYED : CANO_TASK_ORPHAN, 0, 0, t.state.serial };
    if (!revives) {
        next = cano_ledger_returned(&q->memory.ledger, t.state, true, delayed);
    }
    if (delayed) {
        set_delay(q, t.entry, delay);
    }
    if (revives) {
        status = revive(q, &t, &next);
    } else if (!cano_ledger_swap(&q->memory.ledger, t.entry, t.word, next)) {
        status = CANO_ECORRUPT;
    }
    if (status == CANO_OK) {
        announce(q, t.entry, next);
    }
    return status;
}
