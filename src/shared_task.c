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

/* Read the word of an entry: does it say that we hold the task of that serial? */
static bool read_word(const cano_shared *q, uint32_t entry, uint64_t serial, task *t)
{
    if (entry >= q->memory.ledger.count) {
        return false;
    }
    t->entry = entry;
    t->word = cano_ledger_load(&q->memory.ledger, entry);
    t->state = cano_task_unpack(t->word);
    const bool held = t->state.state == CANO_TASK_HELD || t->state.state == CANO_TASK_DEAD_HELD;
    const bool serial_fits = t->state.serial == serial || CANO_MUTATED(SERIAL_IGNORED);
    return held && serial_fits && t->state.slot == cano_word_slot(q->memory.me);
}

/* The oldest task that this participant holds, whichever of its threads got it. */
static bool find_oldest(const cano_shared *q, task *t)
{
    bool found = false;
    for (uint32_t entry = 0; entry < q->memory.ledger.count; entry++) {
        task other;
        const uint64_t serial = cano_task_unpack(cano_ledger_load(&q->memory.ledger, entry)).serial;
        if (read_word(q, entry, serial, &other)
            && (!found || ((serial - t->state.serial) & CANO_SERIAL_MASK) > CANO_SERIAL_MASK / 2)) {
            *t = other;
            found = true;
        }
    }
    return found;
}

/* Which task is meant: the item's; or the oldest that this thread holds, then the oldest at all. */
static bool find(cano_shared *q, const cano_item *item, task *t)
{
    if (item != NULL) {
        return read_word(q, item->reserved - 1, item->task & CANO_SERIAL_MASK, t);
    }
    cano_tasks *tasks = cano_presence_seat(&q->presence)->tasks;
    uint32_t entry;
    uint64_t serial;
    while (cano_tasks_take(tasks, &entry, &serial)) {
        if (read_word(q, entry, serial, t)) {
            return true;
        }
    }
    return find_oldest(q, t);
}

/* A task in blocks is ended by who takes it off the list of those: its blocks are touched before its word is swapped. All
 * others are ended by who swaps the word. *page: of its blocks, or CANO_NO_PAGE. */
static cano_status claim(cano_shared *q, const cano_item *item, task *t, uint32_t *page)
{
    if (!find(q, item, t)) {
        return CANO_ENOTHELD;
    }
    *page = q->memory.ledger.entries[t->entry].page;
    if (*page == CANO_NO_PAGE) {
        return CANO_OK;
    }
    void *copy = NULL;
    cano_latch_close(&q->latch);
    const bool ours = cano_held_remove(&q->held, t->entry, t->state.serial, &copy);
    cano_latch_open(&q->latch);
    free(copy);
    return ours ? CANO_OK : CANO_ENOTHELD;
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

/* Behind the swap of the entry, which is a full fence. */
static void tell_joiners(cano_shared *q, bool even_if_not_done)
{
    cano_event *event = &q->memory.shared->done_event;
    if (cano_event_is_armed(event) && (even_if_not_done || cano_shared_is_done(q))) {
        cano_event_wake_slow(&q->memory.segment, event, UINT32_MAX);
    }
}

/* The swap of the word ends a task; if it fails, another thread of ours was faster. */
static cano_status end_task(cano_shared *q, const task *t)
{
    const cano_task_word done = { CANO_TASK_FREE, 0, 0, t->state.serial };
    return cano_ledger_swap(&q->memory.ledger, t->entry, t->word, done) ? CANO_OK : CANO_ENOTHELD;
}

/* The task's blocks become ours first (dying then leaves them reachable from the entry, which comes back), then the entry is
 * free, then the blocks. */
static cano_status end_task_in_blocks(cano_shared *q, const task *t, uint32_t page)
{
    cano_status status = cano_arena_own(&q->memory.arena, page, q->memory.ledger.entries[t->entry].size);
    if (status == CANO_OK) {
        status = end_task(q, t) == CANO_OK ? CANO_OK : CANO_ECORRUPT; /* nobody else ends it while we live */
    }
    if (status == CANO_OK) {
        cano_arena_free(&q->memory.arena, page);
    }
    return status;
}

/* The usual case: the oldest task of this thread, its payload not in blocks, is still held and nobody waits for the last one to
 * be done. False: nothing was done. */
static bool end_at_once(cano_shared *q)
{
    const cano_ledger *ledger = &q->memory.ledger;
    cano_tasks *tasks = cano_presence_seat(&q->presence)->tasks;
    uint32_t entry;
    uint64_t serial;
    if (!cano_tasks_look(tasks, &entry, &serial) || entry >= ledger->count) {
        return false;
    }
    const cano_task_word held = { CANO_TASK_HELD, cano_word_slot(q->memory.me), 0, serial };
    const cano_task_word done = { CANO_TASK_FREE, 0, 0, serial };
    const bool ended = ledger->entries[entry].page == CANO_NO_PAGE && cano_ledger_swap(ledger, entry, cano_task_pack(held), done);
    tasks->oldest += ended;
    return ended;
}

cano_status cano_shared_task_done(cano_shared *q, const cano_item *item)
{
    if (item == NULL && end_at_once(q)) {
        tell_joiners(q, false);
        return CANO_OK;
    }
    task t;
    uint32_t page;
    cano_status status = claim(q, item, &t, &page);
    if (status == CANO_OK) {
        status = page == CANO_NO_PAGE ? end_task(q, &t) : end_task_in_blocks(q, &t, page);
    }
    if (status == CANO_OK) {
        tell_joiners(q, false);
    }
    return status;
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

static void set_delay(cano_shared *q, uint32_t entry, int64_t delay)
{
    cano_ledger_entry *e = &q->memory.ledger.entries[entry];
    const int64_t now = cano_os_now();
    const int64_t most = INT64_MAX - now; /* beyond the end of time is at the end of time */
    e->delay_set = (uint64_t)now; /* both before the swap that says DELAYED */
    e->delay = (uint64_t)(delay < most ? delay : most);
}

/* A dead letter begins anew: a number of its own, so that join's second look at it sees the difference. */
static void renumber(cano_shared *q, uint32_t entry, cano_task_word *next)
{
    cano_queue_memory *m = &q->memory;
    const uint64_t number = atomic_load_explicit(&m->shared->next_task, memory_order_relaxed) + 1;
    atomic_store_explicit(&m->shared->next_task, number, memory_order_relaxed);
    m->ledger.entries[entry].task = number;
    next->deaths = 0;
    next->serial = number & CANO_SERIAL_MASK;
}

/* Give back what needs writing to its entry: under the getters' lock, where entries are given out and numbers too. So the entry
 * is still this task's although another thread may end it meanwhile. */
static cano_status return_locked(cano_shared *q, const task *t, int64_t delay, cano_task_word *next)
{
    cano_queue_memory *m = &q->memory;
    const cano_status status = cano_shared_acquire(q, &m->get_lock, CANO_OS_NEVER);
    if (status != CANO_OK) {
        return status;
    }
    bool returned = cano_ledger_load(&m->ledger, t->entry) == t->word;
    if (returned) {
        if (t->state.state == CANO_TASK_DEAD_HELD) {
            renumber(q, t->entry, next);
        }
        if (delay > 0) {
            set_delay(q, t->entry, delay);
        }
        returned = cano_ledger_swap(&m->ledger, t->entry, t->word, *next);
    }
    const cano_status released = cano_shared_release(q, &m->get_lock);
    return returned ? released : CANO_ENOTHELD;
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
    atomic_thread_fence(memory_order_seq_cst); /* behind the hint; pairs with the fence of cano_event_arm */
    tell_joiners(q, next.state == CANO_TASK_DEAD);
    cano_queue_memory_wake_getters(m, 1); /* also for a delayed one: somebody must know when to wake */
}

cano_status cano_shared_give_back(cano_shared *q, const cano_item *item, int64_t delay)
{
    task t;
    uint32_t page;
    cano_status status = claim(q, item, &t, &page);
    if (status != CANO_OK) {
        return status;
    }
    const bool delayed = delay > 0;
    const bool revives = t.state.state == CANO_TASK_DEAD_HELD;
    cano_task_word next = { delayed ? CANO_TASK_DELAYED : CANO_TASK_ORPHAN, 0, 0, t.state.serial };
    if (!revives) {
        next = cano_ledger_returned(&q->memory.ledger, t.state, true, delayed);
    }
    if (delayed || revives) {
        status = return_locked(q, &t, delay, &next);
    } else if (!cano_ledger_swap(&q->memory.ledger, t.entry, t.word, next)) {
        status = CANO_ENOTHELD;
    }
    if (status == CANO_OK) {
        announce(q, t.entry, next);
    }
    return status;
}
