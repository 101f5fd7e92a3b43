/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_queue.h"

#include "repair.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_PER_LOOK 256u /* between two looks at the clock by one who need not wait */

/* What a get found and made its own under the getters' lock, to be handed to the caller outside it. */
typedef struct delivery {
    uint64_t size;
    uint32_t entry; /* joinable: of its lease; otherwise CANO_NO_ENTRY */
    uint32_t page;  /* first page of its blocks, which are ours (plain) or the queue's (leased); or CANO_NO_PAGE */
    uint32_t deaths;
    uint64_t task;
    void *copy; /* memory made for a view where the message does not lie in one piece that we keep; or NULL */
} delivery;

/* What the caller wants of one message. With a buffer, a small message is copied into it under the lock. */
typedef struct wish {
    void *buffer;
    uint64_t capacity;
    bool as_view; /* take: no buffer, no limit */
    bool only_look;
} wish;

/* ---- one message under the getters' lock ---- */

/* The message behind a record in the ring: its size, and where it lies. */
static cano_status read_record(const cano_shared *q, const cano_ring_record *record, delivery *d)
{
    d->size = record->size;
    d->page = CANO_NO_PAGE;
    if (record->kind == CANO_RING_DATA) {
        return CANO_OK;
    }
    cano_block_reference reference;
    if (record->kind != CANO_RING_BLOCK || record->size != sizeof reference) {
        return CANO_ECORRUPT;
    }
    memcpy(&reference, cano_ring_payload(&q->memory.ring, record->position), sizeof reference);
    if (reference.page >= q->memory.geometry.page_count || reference.size > q->memory.limits.max_bytes) {
        return CANO_ECORRUPT;
    }
    d->size = reference.size;
    d->page = reference.page;
    return CANO_OK;
}

static void move_head(cano_shared *q, uint64_t position, uint64_t taken)
{
    cano_queue_shared *s = q->memory.shared;
    const uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed); /* only written under this lock */
    const uint64_t next = cano_commit_word(position, (head & CANO_COUNT_MASK) + taken);
    /* release: our reads of the records come before a putter, who reads head with acquire, overwrites them; and what we
     * prepared is visible to who sees head moved */
    atomic_store_explicit(&s->head, next, memory_order_release);
    cano_commit_follow(&s->got_total, head, next);
}

/* Fill an entry and mark it PREPARED: from now on, should we die, head decides whether the task was taken. */
static cano_status prepare(cano_shared *q, const cano_ring_record *record, delivery *d)
{
    cano_queue_memory *m = &q->memory;
    d->entry = cano_ledger_find_free(&m->ledger);
    if (d->entry == CANO_NO_ENTRY) {
        return CANO_ELIMIT;
    }
    if (d->page == CANO_NO_PAGE && d->size > CANO_LEDGER_INLINE) {
        return CANO_ECORRUPT;
    }
    d->task = atomic_load_explicit(&m->shared->next_task, memory_order_relaxed) + 1;
    atomic_store_explicit(&m->shared->next_task, d->task, memory_order_relaxed); /* first: a number is never used twice */
    cano_ledger_entry *entry = &m->ledger.entries[d->entry];
    entry->task = d->task;
    entry->position = record->position;
    entry->size = d->size;
    entry->page = d->page;
    if (d->page == CANO_NO_PAGE) {
        memcpy(entry->payload, cano_ring_payload(&m->ring, record->position), d->size);
    }
    d->deaths = 0;
    const cano_task_word prepared = { CANO_TASK_PREPARED, cano_word_slot(m->me), 0, d->task & CANO_SERIAL_MASK };
    cano_ledger_store(&m->ledger, d->entry, prepared);
    return CANO_OK;
}

static void hold(cano_shared *q, const delivery *d)
{
    const cano_task_word held = { CANO_TASK_HELD, cano_word_slot(q->memory.me), d->deaths, d->task & CANO_SERIAL_MASK };
    cano_ledger_store(&q->memory.ledger, d->entry, held);
}

static bool is_too_big(const delivery *d, const wish *w)
{
    return !w->as_view && d->size > w->capacity;
}

/* A view needs memory of its own when the message is scattered over blocks, or lies in the ring and is not leased (a lease has
 * a copy). Made before anything is taken, so that a message stays when there is no memory. */
static cano_status make_copy_room(const cano_shared *q, const wish *w, bool leased, delivery *d)
{
    d->copy = NULL;
    if (!w->as_view || (d->page == CANO_NO_PAGE && leased)) {
        return CANO_OK;
    }
    if (d->page != CANO_NO_PAGE) {
        cano_extent extent;
        const cano_status status = cano_arena_read(&q->memory.arena, d->page, d->size, &extent);
        if (status != CANO_OK || extent.size == d->size) {
            return status;
        }
    }
    d->copy = malloc(d->size != 0 ? d->size : 1);
    return d->copy != NULL ? CANO_OK : CANO_ENOMEM;
}

static void drop_copy(delivery *d)
{
    free(d->copy);
    d->copy = NULL;
}

static inline cano_status lease_record(cano_shared *q, const cano_ring_record *record, const wish *w, delivery *d)
{
    if (CANO_MUTATED(LEASE_AFTER_HEAD)) {
        move_head(q, record->next, 1);
    }
    const cano_status status = prepare(q, record, d);
    if (status == CANO_OK && !CANO_MUTATED(LEASE_AFTER_HEAD)) {
        move_head(q, record->next, 1);
    }
    if (status == CANO_OK && d->page == CANO_NO_PAGE && !w->as_view && d->size != 0) {
        memcpy(w->buffer, q->memory.ledger.entries[d->entry].payload, d->size);
    }
    if (status == CANO_OK && !CANO_MUTATED(HELD_AFTER_UNLOCK)) {
        hold(q, d); /* behind the copy: from now on another thread of ours may end it */
    }
    return status;
}

static cano_status consume_record(cano_shared *q, const cano_ring_record *record, const wish *w, delivery *d)
{
    if (d->page == CANO_NO_PAGE) {
        void *to = w->as_view ? d->copy : w->buffer;
        if (d->size != 0) {
            memcpy(to, cano_ring_payload(&q->memory.ring, record->position), d->size);
        }
    } else {
        if (CANO_MUTATED(OWNER_AFTER_HEAD)) {
            move_head(q, record->next, 1);
            return cano_arena_own(&q->memory.arena, d->page, d->size);
        }
        /* the blocks are ours before head moves: dying in between leaves them reachable, and the sweep gives them back */
        const cano_status status = cano_arena_own(&q->memory.arena, d->page, d->size);
        if (status != CANO_OK) {
            return status;
        }
    }
    move_head(q, record->next, 1);
    return CANO_OK;
}

/* Take the record: a lease on a joinable queue, the thing itself on a plain one. Nothing is changed on failure. */
static cano_status take_record(cano_shared *q, const cano_ring_record *record, const wish *w, delivery *d)
{
    const bool leased = q->memory.ledger.count != 0;
    cano_status status = make_copy_room(q, w, leased, d);
    if (status == CANO_OK) {
        status = leased ? lease_record(q, record, w, d) : consume_record(q, record, w, d);
    }
    if (status != CANO_OK) {
        drop_copy(d);
    }
    return status;
}

/* The payload of a task in the ledger, as a delivery says: nothing is read from the entry but the bytes. */
static cano_status copy_leased(const cano_shared *q, const delivery *d, void *buffer)
{
    if (d->page != CANO_NO_PAGE) {
        return cano_arena_copy(&q->memory.arena, d->page, buffer, d->size);
    }
    if (d->size != 0) {
        memcpy(buffer, q->memory.ledger.entries[d->entry].payload, d->size);
    }
    return CANO_OK;
}

static cano_status look_at_record(const cano_shared *q, const cano_ring_record *record, const wish *w, const delivery *d)
{
    if (d->page != CANO_NO_PAGE) {
        return cano_arena_copy(&q->memory.arena, d->page, w->buffer, d->size);
    }
    if (d->size != 0) {
        memcpy(w->buffer, cano_ring_payload(&q->memory.ring, record->position), d->size);
    }
    return CANO_OK;
}

static cano_status from_ring(cano_shared *q, const wish *w, delivery *d)
{
    cano_ring_record record;
    const uint64_t head = atomic_load_explicit(&q->memory.shared->head, memory_order_relaxed);
    switch (cano_ring_look(&q->memory.ring, cano_commit_position(head), &record)) {
    case CANO_RING_NOTHING:
        return CANO_ETIMEOUT;
    case CANO_RING_BROKEN:
        return CANO_ECORRUPT; /* we hold the lock: head is not stale */
    default:
        break;
    }
    cano_status status = read_record(q, &record, d);
    if (status != CANO_OK) {
        return status;
    }
    d->entry = CANO_NO_ENTRY;
    d->task = 0;
    d->deaths = 0;
    if (is_too_big(d, w)) {
        return CANO_ETOOBIG;
    }
    return w->only_look ? look_at_record(q, &record, w, d) : take_record(q, &record, w, d);
}

/* What an entry that was just read says of its task, checked. */
static cano_status read_task(const cano_shared *q, cano_task_word t, delivery *d)
{
    const cano_ledger_entry *entry = &q->memory.ledger.entries[d->entry];
    d->size = entry->size;
    d->page = entry->page;
    /* the word decides: one who dies reviving a dead letter leaves the number it would have had in the entry */
    d->task = (entry->task & ~CANO_SERIAL_MASK) | t.serial;
    d->deaths = t.deaths;
    const bool fits = d->page != CANO_NO_PAGE ? d->page < q->memory.geometry.page_count : d->size <= CANO_LEDGER_INLINE;
    return fits && d->size <= q->memory.limits.max_bytes ? CANO_OK : CANO_ECORRUPT;
}

/* What has come back goes first. */
static cano_status from_returned(cano_shared *q, const wish *w, delivery *d)
{
    cano_queue_memory *m = &q->memory;
    for (;;) {
        uint64_t seen = 0;
        d->entry = cano_ledger_find_returned(&m->ledger, 0, &seen);
        if (d->entry == CANO_NO_ENTRY) {
            return CANO_ETIMEOUT;
        }
        cano_task_word t = cano_task_unpack(seen);
        cano_status status = read_task(q, t, d);
        if (status != CANO_OK) {
            return status;
        }
        if (is_too_big(d, w)) {
            return CANO_ETOOBIG;
        }
        if (w->only_look) {
            return copy_leased(q, d, w->buffer);
        }
        status = make_copy_room(q, w, true, d);
        if (status != CANO_OK) {
            return status;
        }
        if (d->page == CANO_NO_PAGE && !w->as_view && d->size != 0) {
            memcpy(w->buffer, m->ledger.entries[d->entry].payload, d->size);
        }
        t.state = CANO_TASK_HELD;
        t.slot = cano_word_slot(m->me);
        if (cano_ledger_swap(&m->ledger, d->entry, seen, t)) {
            return CANO_OK;
        }
        drop_copy(d);
    }
}

static cano_status claim_single(cano_shared *q)
{
    if ((q->memory.limits.flags & CANO_SINGLE_GETTER) == 0) {
        return CANO_OK;
    }
    _Atomic uint32_t *single = &q->memory.shared->single_getter;
    const uint32_t owner = atomic_load_explicit(single, memory_order_relaxed); /* written under this lock */
    if (owner == q->memory.me) {
        return CANO_OK;
    }
    if (owner != 0 && !cano_roster_is_dead(&q->memory.roster, owner)) {
        return CANO_ELIMIT;
    }
    atomic_store_explicit(single, q->memory.me, memory_order_relaxed);
    return CANO_OK;
}

static cano_status next_message(cano_shared *q, const wish *w, delivery *d)
{
    /* acquire: under this lock a get obeys; what was queued then is discarded */
    if ((atomic_load_explicit(&q->memory.shared->shutdown, memory_order_acquire) & CANO_SHUT_IMMEDIATE) != 0) {
        return CANO_ECLOSED;
    }
    cano_status status = w->only_look ? CANO_OK : claim_single(q);
    if (status == CANO_OK) {
        status = CANO_ETIMEOUT;
        if (q->memory.ledger.count != 0) {
            status = from_returned(q, w, d);
        }
        if (status == CANO_ETIMEOUT) {
            status = from_ring(q, w, d);
        }
    }
    return status;
}

/* ---- waiting for one ---- */

static bool has_items(cano_shared *q, void *context)
{
    (void)context;
    return cano_shared_has_news(q);
}

/* One who has slept sets the bit again for those who still do, and wakes the next if more is there: the one wake it got may
 * have been meant for several. */
static void pass_on(cano_shared *q, const cano_waiting *w)
{
    if (w->slept && !CANO_MUTATED(BARE_FLAG)) {
        cano_event_arm(&q->memory.shared->items_event);
        if (cano_shared_has_items(q)) {
            cano_event_wake(&q->memory.segment, &q->memory.shared->items_event, 1);
        }
    }
}

typedef struct one {
    wish wish;
    delivery delivery;
} one;

static cano_status act_one(cano_shared *q, void *context)
{
    one *o = context;
    return next_message(q, &o->wish, &o->delivery);
}

static cano_status act_look(cano_shared *q, void *context)
{
    return act_one(q, context);
}

/* Do something with the next message(s) under the getters' lock; CANO_ETIMEOUT from it means: nothing there. */
typedef cano_status (*action)(cano_shared *q, void *context);

static cano_status locked(cano_shared *q, action act, void *context, int64_t deadline, bool *acted)
{
    *acted = false;
    cano_status status = cano_shared_acquire(q, &q->memory.get_lock, deadline);
    if (status != CANO_OK) {
        return status;
    }
    const uint64_t before = atomic_load_explicit(&q->memory.shared->head, memory_order_relaxed);
    status = act(q, context);
    *acted = true;
    const uint64_t head = atomic_load_explicit(&q->memory.shared->head, memory_order_relaxed);
    const cano_status released = cano_shared_release(q, &q->memory.get_lock);
    if (status == CANO_OK && act != act_look) {
        cano_shared_after_get(q, head, head == before);
    }
    return released != CANO_OK ? released : status;
}

static cano_status last_look(cano_shared *q, action act, void *context, int64_t deadline)
{
    bool acted;
    cano_repair_look(&q->memory, true); /* the tasks of the dead come back before the end */
    const cano_status status = locked(q, act, context, deadline, &acted);
    return status == CANO_ETIMEOUT && acted ? CANO_ECLOSED : status;
}

/* Nothing was there and the call is about to say so: put the bell up again, then look once more. */
static bool rearm_bell(cano_shared *q)
{
    bool ready = false;
    if (atomic_load_explicit(&q->bell, memory_order_relaxed) != CANO_OS_NONE) {
        cano_shared_arm_bell(q, &ready);
    }
    return ready;
}

/* One who always finds messages never waits, and so would never ask: the tasks of the dead shall not wait for the backlog. */
static void look_now_and_then(cano_shared *q)
{
    const uint32_t calls = atomic_load_explicit(&q->calls, memory_order_relaxed) + 1; /* a lost count is no matter */
    atomic_store_explicit(&q->calls, calls, memory_order_relaxed);
    if (calls % CALLS_PER_LOOK == 0 && !CANO_MUTATED(NOW_DOES_NOT_LOOK)) {
        cano_repair_look(&q->memory, false);
    }
}

static cano_status repeat_spun(cano_shared *q, action act, void *context, int64_t deadline, bool spun)
{
    cano_waiting w = { .deadline = deadline, .spun = spun };
    bool rearmed = false;
    for (;;) {
        bool acted;
        cano_status status = locked(q, act, context, deadline, &acted);
        if (status == CANO_ECLOSED) {
            cano_repair_look(&q->memory, false); /* discarded is also what comes back later; nobody else may ask */
        }
        if (status != CANO_ETIMEOUT || !acted) {
            pass_on(q, &w);
            return status;
        }
        if (cano_shared_has_ended(q)) { /* asked before the last look for items */
            return last_look(q, act, context, deadline);
        }
        status = cano_shared_wait(q, &w, &q->memory.shared->items_event, has_items, NULL);
        if (status == CANO_ETIMEOUT && !rearmed && rearm_bell(q)) {
            rearmed = true;
            continue;
        }
        if (status != CANO_OK) {
            return status;
        }
    }
}

static cano_status repeat(cano_shared *q, action act, void *context, int64_t deadline)
{
    return repeat_spun(q, act, context, deadline, false);
}

/* ---- handing over, outside the lock ---- */

/* Does the word of an entry say that we hold the task of that serial? */
static bool is_held(const cano_shared *q, uint32_t entry, uint64_t serial)
{
    const cano_task_word t = cano_task_unpack(cano_ledger_load(&q->memory.ledger, entry));
    return (t.state == CANO_TASK_HELD || t.state == CANO_TASK_DEAD_HELD) && t.serial == serial
        && t.slot == cano_word_slot(q->memory.me);
}

/* A list is full of tasks that ended otherwise: by number, or in other threads. No more are held than the ledger has entries, so
 * there is room then. */
static void forget_ended(const cano_shared *q, cano_tasks *tasks)
{
    for (uint32_t left = tasks->newest - tasks->oldest; left > 0; left--) {
        uint32_t entry;
        uint64_t serial;
        if (cano_tasks_take(tasks, &entry, &serial) && is_held(q, entry, serial)) {
            cano_tasks_add(tasks, entry, serial);
        }
    }
}

/* Remember what this thread got, in order. A task in blocks, or with a copy, is ended by who takes it off a second list. */
static void remember(cano_shared *q, const delivery *d, cano_tasks *tasks)
{
    const uint64_t serial = d->task & CANO_SERIAL_MASK;
    if (CANO_MUTATED(HELD_AFTER_UNLOCK)) {
        hold(q, d);
    }
    if (d->page != CANO_NO_PAGE) {
        cano_latch_close(&q->latch);
        cano_held_add(&q->held, d->entry, serial, d->copy);
        cano_latch_open(&q->latch);
    }
    if (cano_tasks_are_full(tasks)) {
        forget_ended(q, tasks);
    }
    cano_tasks_add(tasks, d->entry, serial);
}

/* This thread's list of tasks; NULL: no memory. */
static cano_tasks *list_of_tasks(cano_shared *q)
{
    cano_seat *seat = cano_presence_seat(&q->presence);
    if (seat->tasks == NULL) {
        seat->tasks = cano_tasks_make(q->memory.ledger.count);
    }
    return seat->tasks;
}

/* Copy to the caller what was not copied under the lock, and let go of blocks that are ours. */
static cano_status hand_over(cano_shared *q, const delivery *d, void *buffer)
{
    cano_status status = CANO_OK;
    if (d->page != CANO_NO_PAGE) {
        status = cano_arena_copy(&q->memory.arena, d->page, buffer, d->size);
    }
    if (d->entry != CANO_NO_ENTRY) {
        remember(q, d, list_of_tasks(q)); /* not before: another thread's task_done(NULL) may end it from now on */
    } else if (d->page != CANO_NO_PAGE) {
        cano_arena_free(&q->memory.arena, d->page);
    }
    return status;
}

static inline void consume_one(cano_shared *q, const cano_ring_record *record, void *buffer)
{
    if (record->size != 0) {
        memcpy(buffer, cano_ring_payload(&q->memory.ring, record->position), record->size);
    }
    move_head(q, record->next, 1);
}

/* Where one getter was declared: is it known to be us? Otherwise the long way finds out. */
static inline bool may_get_at_once(const cano_shared *q)
{
    return (q->memory.limits.flags & CANO_SINGLE_GETTER) == 0
        || atomic_load_explicit(&q->memory.shared->single_getter, memory_order_relaxed) == q->memory.me; /* under this lock */
}

/* Is a message at head that can be taken without further ado? The getters' lock is held. */
static inline bool is_plain(const cano_shared *q, uint64_t head, uint64_t capacity, cano_ring_record *record)
{
    const cano_queue_memory *m = &q->memory;
    return cano_ring_look(&m->ring, cano_commit_position(head), record) == CANO_RING_FOUND && record->kind == CANO_RING_DATA
        && record->size <= capacity && may_get_at_once(q)
        && (atomic_load_explicit(&m->shared->shutdown, memory_order_acquire) & CANO_SHUT_IMMEDIATE) == 0;
}

static inline uint64_t head_behind(uint64_t head, const cano_ring_record *record)
{
    return cano_commit_word(record->next, (head & CANO_COUNT_MASK) + 1);
}

static inline cano_status get_message_at_once(cano_shared *q, void *buffer, uint64_t capacity, size_t *size)
{
    if (!cano_lock_try(&q->memory.get_lock)) {
        return CANO_NOT_AT_ONCE;
    }
    cano_ring_record record;
    const uint64_t head = atomic_load_explicit(&q->memory.shared->head, memory_order_relaxed);
    const bool there = is_plain(q, head, capacity, &record);
    if (there) {
        consume_one(q, &record, buffer);
    }
    const cano_status released = cano_lock_release(&q->memory.get_lock);
    if (there) {
        if (size != NULL) {
            *size = record.size;
        }
        cano_shared_after_get(q, head_behind(head, &record), false);
    }
    return there || released != CANO_OK ? released : CANO_NOT_AT_ONCE;
}

/* What has come back goes first; what a full table means, the long way knows. The getters' lock is held. */
static inline bool lease_one(cano_shared *q, const wish *w, const cano_ring_record *record, delivery *d)
{
    d->size = record->size;
    d->page = CANO_NO_PAGE;
    return !cano_ledger_has_returns(&q->memory.ledger) && lease_record(q, record, w, d) == CANO_OK;
}

static cano_status get_task_at_once(cano_shared *q, cano_seat *seat, void *buffer, uint64_t capacity, size_t *size)
{
    if (seat->tasks == NULL || !cano_lock_try(&q->memory.get_lock)) {
        return CANO_NOT_AT_ONCE;
    }
    const wish w = { .buffer = buffer, .capacity = capacity };
    delivery d;
    cano_ring_record record;
    const uint64_t head = atomic_load_explicit(&q->memory.shared->head, memory_order_relaxed);
    const bool there = is_plain(q, head, capacity, &record) && lease_one(q, &w, &record, &d);
    const cano_status released = cano_lock_release(&q->memory.get_lock);
    if (there) {
        if (size != NULL) {
            *size = record.size;
        }
        remember(q, &d, seat->tasks);
        cano_shared_after_get(q, head_behind(head, &record), false);
    }
    return there || released != CANO_OK ? released : CANO_NOT_AT_ONCE;
}

cano_status cano_shared_get_at_once(cano_queue *queue, void *buffer, uint64_t capacity, size_t *size)
{
    cano_shared *q = (cano_shared *)queue;
    cano_seat *seat = cano_shared_sit(q);
    if (seat == NULL) {
        return CANO_NOT_AT_ONCE;
    }
    look_now_and_then(q); /* it must not hold the lock: others are put right under it */
    const cano_status status = queue->joinable ? get_task_at_once(q, seat, buffer, capacity, size)
                                               : get_message_at_once(q, buffer, capacity, size);
    cano_shared_stand_up(q, seat, status);
    return status;
}

/* One could not be got at once: the lock was taken, or there was none. Wait a moment for putters that are awake. */
static cano_status get_soon(cano_shared *q, one *o, int64_t deadline)
{
    if (!cano_shared_spin(q, has_items, NULL, 1)) {
        return CANO_NOT_AT_ONCE;
    }
    const cano_status acquired = cano_shared_acquire(q, &q->memory.get_lock, deadline);
    if (acquired != CANO_OK) {
        return acquired;
    }
    cano_ring_record record;
    const uint64_t head = atomic_load_explicit(&q->memory.shared->head, memory_order_relaxed);
    bool there = is_plain(q, head, o->wish.capacity, &record);
    if (there && q->base.joinable) {
        there = lease_one(q, &o->wish, &record, &o->delivery);
    } else if (there) {
        o->delivery = (delivery){ .size = record.size, .entry = CANO_NO_ENTRY, .page = CANO_NO_PAGE };
        consume_one(q, &record, o->wish.buffer);
    }
    const cano_status released = cano_shared_release(q, &q->memory.get_lock);
    if (there) {
        cano_shared_after_get(q, head_behind(head, &record), false);
    }
    return there || released != CANO_OK ? released : CANO_NOT_AT_ONCE;
}

cano_status cano_shared_get(cano_shared *q, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline)
{
    one o = { .wish = { .buffer = buffer, .capacity = capacity } };
    look_now_and_then(q);
    if (q->base.joinable && list_of_tasks(q) == NULL) {
        return CANO_ENOMEM;
    }
    cano_status status = deadline != 0 ? get_soon(q, &o, deadline) : CANO_NOT_AT_ONCE;
    if (status == CANO_NOT_AT_ONCE) {
        status = repeat_spun(q, act_one, &o, deadline, deadline != 0);
    }
    if (status == CANO_OK) {
        status = hand_over(q, &o.delivery, buffer);
    }
    if (status == CANO_OK || status == CANO_ETOOBIG) {
        *size = o.delivery.size;
    }
    return status;
}

cano_status cano_shared_peek(cano_shared *q, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline)
{
    one o;
    look_now_and_then(q);
    o.wish = (wish){ .buffer = buffer, .capacity = capacity, .only_look = true };
    const cano_status status = repeat(q, act_look, &o, deadline);
    if (status == CANO_OK || status == CANO_ETOOBIG) {
        *size = o.delivery.size;
    }
    return status;
}

/* ---- several ---- */

typedef struct many {
    cano_item *items;
    size_t count, got;
    unsigned char *buffer;
    uint64_t capacity, used;
    uint64_t first_size; /* of one that does not fit at all */
    size_t fetched;      /* of the first so many nothing is left to be done */
} many;

#define IN_BLOCKS (UINT32_C(1) << 31) /* above every entry + 1 */

/* The item remembers where its payload still is: reserved is the entry + 1, with IN_BLOCKS, or (plain) the page + 1. */
static void note(many *m, const delivery *d)
{
    const bool in_blocks = d->page != CANO_NO_PAGE;
    const uint32_t where = d->entry != CANO_NO_ENTRY ? (d->entry + 1) | (in_blocks ? IN_BLOCKS : 0) : in_blocks ? d->page + 1 : 0;
    m->items[m->got++] = (cano_item){ m->buffer + m->used, (size_t)d->size, d->task, d->deaths + 1, where };
    m->used += (d->size + 7) & ~UINT64_C(7);
}

/* What a plain queue has in the ring, as far as it fits, with one step of head for all of it. */
static void take_run(cano_shared *q, many *m)
{
    const cano_ring *ring = &q->memory.ring;
    const cano_queue_shared *s = q->memory.shared;
    uint64_t position = cano_commit_position(atomic_load_explicit(&s->head, memory_order_relaxed));
    const size_t before = m->got;
    cano_ring_record record;
    while (m->got < m->count && cano_ring_look(ring, position, &record) == CANO_RING_FOUND && record.kind == CANO_RING_DATA
           && m->used <= m->capacity && record.size <= m->capacity - m->used) {
        unsigned char *data = m->buffer + m->used;
        if (record.size != 0) {
            memcpy(data, cano_ring_payload(ring, record.position), record.size);
        }
        m->items[m->got++] = (cano_item){ .data = data, .size = record.size };
        m->used += (record.size + 7) & ~UINT64_C(7);
        position = record.next;
    }
    if (m->got != before) {
        move_head(q, position, m->got - before);
    }
}

static cano_status act_many(cano_shared *q, void *context)
{
    many *m = context;
    if (q->memory.ledger.count == 0 && may_get_at_once(q)
        && (atomic_load_explicit(&q->memory.shared->shutdown, memory_order_acquire) & CANO_SHUT_IMMEDIATE) == 0) {
        take_run(q, m);
    }
    m->fetched = m->got;
    while (m->got < m->count) {
        const uint64_t left = m->used < m->capacity ? m->capacity - m->used : 0;
        const wish w = { .buffer = left != 0 ? m->buffer + m->used : m->buffer, .capacity = left };
        delivery d;
        const cano_status status = next_message(q, &w, &d);
        if (status != CANO_OK) {
            m->first_size = status == CANO_ETOOBIG ? d.size : 0;
            return m->got != 0 && status != CANO_ECORRUPT ? CANO_OK : status;
        }
        note(m, &d);
    }
    return CANO_OK;
}

static cano_status fetch(cano_shared *q, cano_item *item)
{
    delivery d = { .size = item->size, .task = item->task, .entry = CANO_NO_ENTRY, .page = CANO_NO_PAGE };
    if (q->memory.ledger.count == 0) {
        d.page = item->reserved != 0 ? item->reserved - 1 : CANO_NO_PAGE;
        item->reserved = 0;
        item->deliveries = 0;
    } else {
        const bool in_blocks = (item->reserved & IN_BLOCKS) != 0;
        item->reserved &= ~IN_BLOCKS;
        d.entry = item->reserved - 1;
        d.page = in_blocks ? q->memory.ledger.entries[d.entry].page : CANO_NO_PAGE; /* such an entry is ours until remembered */
    }
    return hand_over(q, &d, item->data);
}

cano_status cano_shared_get_many(cano_shared *q, cano_item *items, size_t count, size_t *got, void *buffer, uint64_t capacity,
                                 int64_t deadline)
{
    look_now_and_then(q);
    if (q->base.joinable && list_of_tasks(q) == NULL) {
        return CANO_ENOMEM;
    }
    many m = { .items = items, .count = count, .buffer = buffer, .capacity = capacity };
    cano_status status = repeat(q, act_many, &m, deadline);
    if (status == CANO_ETOOBIG) {
        items[0].size = (size_t)m.first_size;
    }
    for (size_t i = m.fetched; i < m.got; i++) {
        const cano_status fetched = fetch(q, &items[i]);
        status = fetched != CANO_OK ? fetched : status;
    }
    if (status == CANO_OK) {
        *got = m.got;
    }
    return status;
}

/* ---- as a view ---- */

/* Where the caller sees it: in its blocks, in its ledger entry, or in the copy that was made room for. */
static cano_status show(cano_shared *q, const delivery *d, cano_item *item)
{
    void *data = d->copy;
    if (data != NULL && d->page != CANO_NO_PAGE) {
        const cano_status status = cano_arena_copy(&q->memory.arena, d->page, data, d->size);
        if (status != CANO_OK) {
            return status;
        }
    }
    if (data == NULL) {
        data = d->page != CANO_NO_PAGE ? q->memory.arena.pages + d->page * q->memory.arena.page_size
                                       : q->memory.ledger.entries[d->entry].payload;
    }
    const bool leased = d->entry != CANO_NO_ENTRY;
    *item = (cano_item){ data, (size_t)d->size, d->task, leased ? d->deaths + 1 : 0, leased ? d->entry + 1 : 0 };
    return CANO_OK;
}

static void keep_view(cano_shared *q, const delivery *d, const cano_item *item)
{
    cano_view view = { item->data, d->size, d->page, d->copy != NULL ? CANO_VIEW_COPY : CANO_VIEW_BORROWED };
    if (d->copy != NULL && d->page != CANO_NO_PAGE) {
        cano_arena_free(&q->memory.arena, d->page);
        view.page = CANO_NO_PAGE;
    }
    cano_latch_close(&q->latch);
    cano_views_add(&q->views, view);
    cano_latch_open(&q->latch);
}

typedef cano_status (*repeater)(cano_shared *q, action act, void *context, int64_t deadline);

/* Take as a view by the given action, which fills a one. */
static cano_status take_by(cano_shared *q, repeater again, action act, cano_item *item, int64_t deadline)
{
    cano_latch_close(&q->latch);
    cano_status status = cano_views_prepare(&q->views);
    cano_latch_open(&q->latch);
    if (status != CANO_OK) {
        return status;
    }
    one o = { .wish = { .as_view = true } };
    if (q->base.joinable && list_of_tasks(q) == NULL) {
        status = CANO_ENOMEM;
    }
    if (status == CANO_OK) {
        status = again(q, act, &o, deadline);
    }
    if (status == CANO_OK) {
        status = show(q, &o.delivery, item);
    }
    if (status == CANO_OK && o.delivery.entry == CANO_NO_ENTRY) {
        keep_view(q, &o.delivery, item);
        return CANO_OK;
    }
    if (status == CANO_OK) {
        remember(q, &o.delivery, list_of_tasks(q));
    }
    cano_latch_close(&q->latch);
    cano_views_drop(&q->views);
    cano_latch_open(&q->latch);
    return status;
}

cano_status cano_shared_take(cano_shared *q, cano_item *item, int64_t deadline)
{
    look_now_and_then(q);
    return take_by(q, repeat, act_one, item, deadline);
}

void cano_shared_release_view(cano_shared *q, cano_item *item)
{
    cano_view view;
    cano_latch_close(&q->latch);
    const bool found = cano_views_remove(&q->views, item->data, false, &view);
    cano_latch_open(&q->latch);
    if (found && view.kind == CANO_VIEW_COPY) {
        free(view.data);
    } else if (found) {
        cano_arena_free(&q->memory.arena, view.page);
    }
    item->data = NULL;
    item->size = 0;
}

/* ---- dead letters ---- */

static cano_status act_dead(cano_shared *q, void *context)
{
    one *o = context;
    cano_queue_memory *m = &q->memory;
    delivery *d = &o->delivery;
    for (;;) {
        uint64_t seen = 0;
        d->entry = cano_ledger_find_dead(&m->ledger, &seen);
        if (d->entry == CANO_NO_ENTRY) {
            return CANO_ETIMEOUT;
        }
        cano_status status = read_task(q, cano_task_unpack(seen), d);
        if (status == CANO_OK) {
            status = make_copy_room(q, &o->wish, true, d);
        }
        if (status != CANO_OK) {
            return status;
        }
        const cano_task_word held = { CANO_TASK_DEAD_HELD, cano_word_slot(m->me), d->deaths, d->task & CANO_SERIAL_MASK };
        if (cano_ledger_swap(&m->ledger, d->entry, seen, held)) {
            return CANO_OK;
        }
        drop_copy(d);
    }
}

static bool has_dead(cano_shared *q, void *context)
{
    (void)context;
    uint64_t seen;
    return cano_ledger_find_dead(&q->memory.ledger, &seen) != CANO_NO_ENTRY;
}

static cano_status repeat_for_dead(cano_shared *q, action act, void *context, int64_t deadline)
{
    cano_waiting w = { .deadline = deadline, .no_spin = true };
    for (;;) {
        bool acted;
        cano_status status = locked(q, act, context, deadline, &acted);
        if (status != CANO_ETIMEOUT || !acted) {
            return status;
        }
        status = cano_shared_wait(q, &w, &q->memory.shared->done_event, has_dead, NULL);
        if (status != CANO_OK) {
            return status;
        }
    }
}

cano_status cano_shared_dead_get(cano_shared *q, cano_item *item, int64_t deadline)
{
    return take_by(q, repeat_for_dead, act_dead, item, deadline);
}
