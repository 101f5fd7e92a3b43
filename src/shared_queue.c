/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_queue.h"

#include "repair.h"

#define FIRST_SLICE 10000
#define LONGEST_SLICE 60000 /* fewer than 20 wakes a second, and the dead noticed within 100 ms */
#define SPINS_LEAST 16u
#define SPINS_MOST 2000u    /* about 20 us: half of what a sleep and a wake cost on a virtual machine */
#define UNCHANGED_TRIES 8
#define PATIENCE 1000000 /* microseconds for both locks in calls that have no time-out of their own */

/* ---- waiting ---- */

/* Looking again for a while is cheaper than sleeping when the other side is awake; how long is learnt: doubled by success,
 * halved by failure. */
bool cano_shared_spin(cano_shared *q, cano_question changed, void *context, uint32_t pauses)
{
    if (cano_shared_in_lock(q)) {
        return false;
    }
    const uint32_t spins = atomic_load_explicit(&q->spins, memory_order_relaxed);
    const uint32_t limit = spins < SPINS_LEAST ? SPINS_LEAST : spins;
    for (uint32_t i = 0; i < limit; i++) {
        if (i % pauses == 0 && changed(q, context)) {
            atomic_store_explicit(&q->spins, limit * 2 < SPINS_MOST ? limit * 2 : SPINS_MOST, memory_order_relaxed);
            return true;
        }
        cano_pause();
    }
    atomic_store_explicit(&q->spins, limit / 2, memory_order_relaxed);
    return false;
}

static int64_t sleep_until(cano_shared *q, cano_waiting *w, int64_t now)
{
    w->slice = w->slice == 0 ? FIRST_SLICE : w->slice * 3 < LONGEST_SLICE ? w->slice * 3 : LONGEST_SLICE;
    int64_t until = now + w->slice < w->deadline ? now + w->slice : w->deadline;
    if (CANO_MUTATED(WAKE_RELIED_UPON)) {
        return w->deadline;
    }
    const uint64_t due = atomic_load_explicit(&q->memory.shared->next_due, memory_order_relaxed);
    if (due != 0 && (int64_t)due < until) {
        until = (int64_t)due > now ? (int64_t)due : now;
    }
    return until;
}

static void sleep_on(cano_shared *q, cano_event *event, uint32_t armed, int64_t until)
{
    cano_presence_set(&q->presence, CANO_ASLEEP);
    cano_os_wait(&q->memory.segment, event, armed, until);
    cano_presence_set(&q->presence, CANO_ACTIVE);
}

cano_status cano_shared_wait(cano_shared *q, cano_waiting *w, cano_event *event, cano_question changed, void *context)
{
    if (cano_shared_in_lock(q)) {
        return CANO_ETIMEOUT; /* nothing can change while we hold both locks */
    }
    if (w->deadline != 0 && !w->no_spin && !w->spun && cano_shared_spin(q, changed, context, 1)) {
        return CANO_OK;
    }
    w->spun = false;
    const bool mutated = CANO_MUTATED(NOW_DOES_NOT_LOOK) && w->deadline == 0;
    if (!w->looked && !mutated) { /* before the first sleep, behind every slice, and before every time-out, also of CANO_NOW */
        w->looked = true;
        if (cano_repair_look(&q->memory, false)) {
            return CANO_OK;
        }
    }
    const int64_t now = w->deadline != 0 ? cano_os_now() : 0;
    if (now >= w->deadline) {
        return CANO_ETIMEOUT;
    }
    const uint32_t armed = cano_event_arm(event);
    if (changed(q, context)) {
        return CANO_OK;
    }
    if (atomic_load_explicit(&q->closing, memory_order_seq_cst)) {
        return CANO_ECLOSED;
    }
    sleep_on(q, event, armed, sleep_until(q, w, now));
    w->slept = true;
    w->looked = false;
    return atomic_load_explicit(&q->closing, memory_order_seq_cst) ? CANO_ECLOSED : CANO_OK;
}

/* ---- looking without a lock ---- */

static uint64_t load_head(const cano_shared *q)
{
    /* acquire: pairs with the getters' release; entries prepared before it are visible */
    return atomic_load_explicit(&q->memory.shared->head, memory_order_acquire);
}

static uint64_t load_tail(const cano_shared *q)
{
    return atomic_load_explicit(&q->memory.shared->tail, memory_order_acquire); /* pairs with the putters' release */
}

static uint32_t load_shutdown(const cano_shared *q)
{
    return atomic_load_explicit(&q->memory.shared->shutdown, memory_order_acquire); /* pairs with the release in shutdown */
}

/* Does a record lie at head? Read head, header, head: a stale head may point at anything. */
static bool ring_has_items(const cano_shared *q)
{
    for (int i = 0; i < UNCHANGED_TRIES; i++) {
        const uint64_t head = load_head(q);
        cano_ring_record record;
        const cano_ring_look_result look = cano_ring_look(&q->memory.ring, cano_commit_position(head), &record);
        /* relaxed: ordered behind the header by its acquire */
        if (atomic_load_explicit(&q->memory.shared->head, memory_order_relaxed) == head) {
            return look != CANO_RING_NOTHING; /* broken: let one who holds the lock judge */
        }
    }
    return true;
}

bool cano_shared_has_items(cano_shared *q)
{
    return ring_has_items(q) || cano_ledger_returned_count(&q->memory.ledger) != 0;
}

/* One has existed and none lives. A hand-over between two of them would be missed by one look at the roster: ever tells. */
static bool last_putter_has_left(const cano_shared *q)
{
    for (;;) {
        const uint32_t ever = atomic_load_explicit(&q->memory.shared->ever, memory_order_acquire);
        if (ever == 0 || cano_roster_count(&q->memory.roster, CANO_PUTTER) != 0) {
            return false;
        }
        if (atomic_load_explicit(&q->memory.shared->ever, memory_order_acquire) == ever) {
            return true;
        }
    }
}

/* A task given back with a delay is the queue's own: it is handed out before the end, however long that takes. */
static bool awaits_delayed(const cano_shared *q)
{
    /* relaxed: one that is given back later may come after the end, as those of the dead do */
    return q->memory.ledger.count != 0 && atomic_load_explicit(&q->memory.shared->next_due, memory_order_relaxed) != 0;
}

static bool is_shut(const cano_shared *q)
{
    const uint32_t shutdown = load_shutdown(q);
    return (shutdown & CANO_SHUT_IMMEDIATE) != 0 || (shutdown != 0 && !awaits_delayed(q));
}

bool cano_shared_has_news(cano_shared *q)
{
    return cano_shared_has_items(q) || is_shut(q);
}

bool cano_shared_has_ended(cano_shared *q)
{
    return is_shut(q)
        || ((q->memory.limits.flags & CANO_END_WHEN_NO_PUTTER) != 0 && last_putter_has_left(q) && !awaits_delayed(q));
}

/* ---- waking ---- */

void cano_shared_wake_putters(cano_shared *q, uint64_t head, bool returned)
{
    cano_queue_shared *s = q->memory.shared;
    if (cano_event_is_armed(&s->room_event)) {
        const uint32_t want = atomic_load_explicit(&s->room_want, memory_order_relaxed);
        if (returned || cano_commit_items(want, head) >= 0) {
            cano_event_wake_slow(&q->memory.segment, &s->room_event, 1);
        }
    }
    cano_event_wake(&q->memory.segment, &s->page_event, 1);
}

/* ---- sizes ---- */

/* Committed items between head and the end of the walk from tail, if neither moved meanwhile. */
static bool count_unchanged(const cano_shared *q, uint64_t *items)
{
    const uint64_t head = load_head(q);
    const uint64_t tail = load_tail(q);
    uint64_t end;
    if (cano_repair_walk(&q->memory, tail, &end) != CANO_OK || load_tail(q) != tail || load_head(q) != head) {
        return false;
    }
    const int64_t count = cano_commit_items(head, end);
    *items = count > 0 ? (uint64_t)count : 0;
    return true;
}

/* The first lock is held: to who finds our name in it we may be asleep. */
static cano_status acquire_second(cano_shared *q, const cano_lock *lock, int64_t deadline)
{
    atomic_fetch_add_explicit(&q->kept, 1, memory_order_seq_cst); /* see is_lie() in lock.c */
    const cano_status status = cano_shared_acquire(q, lock, deadline);
    atomic_fetch_sub_explicit(&q->kept, 1, memory_order_seq_cst);
    return status;
}

static cano_status lock_both(cano_shared *q, int64_t deadline)
{
    cano_queue_memory *m = &q->memory;
    cano_status status = cano_shared_acquire(q, &m->put_lock, deadline);
    if (status != CANO_OK) {
        return status;
    }
    status = acquire_second(q, &m->get_lock, deadline);
    if (status != CANO_OK) {
        cano_shared_release(q, &m->put_lock);
    }
    return status;
}

static cano_status unlock_both(cano_shared *q)
{
    const cano_status get = cano_shared_release(q, &q->memory.get_lock);
    const cano_status put = cano_shared_release(q, &q->memory.put_lock);
    return get != CANO_OK ? get : put;
}

/* Ring and tasks at one instant: the entries are the same before and behind a look at the ring that saw nothing move. A
 * PREPARED one is in both. */
static bool look_at_all(const cano_shared *q, uint64_t *queued, cano_ledger_counts *tasks)
{
    const int64_t now = cano_os_now();
    *tasks = cano_ledger_count(&q->memory.ledger, now);
    return tasks->prepared == 0 && count_unchanged(q, queued)
        && cano_ledger_count(&q->memory.ledger, now).digest == tasks->digest;
}

static cano_status count_all(cano_shared *q, uint64_t *queued, cano_ledger_counts *tasks)
{
    for (int i = 0; i < UNCHANGED_TRIES; i++) {
        if (look_at_all(q, queued, tasks)) {
            return CANO_OK;
        }
    }
    const cano_status status = lock_both(q, cano_os_now() + PATIENCE);
    if (status != CANO_OK) {
        return status;
    }
    bool seen = false; /* nobody gets or puts now, and each task in hand can end but once */
    for (uint32_t i = 0; i <= q->memory.ledger.count && !seen; i++) {
        seen = look_at_all(q, queued, tasks);
    }
    const cano_status unlocked = unlock_both(q);
    return seen ? unlocked : CANO_ECORRUPT;
}

static bool is_immediate(const cano_shared *q)
{
    return (load_shutdown(q) & CANO_SHUT_IMMEDIATE) != 0;
}

cano_status cano_shared_qsize(cano_shared *q, uint64_t *items)
{
    if (is_immediate(q)) {
        *items = 0; /* discarded, whether or not somebody has got round to it */
        return CANO_OK;
    }
    uint64_t queued = 0;
    cano_ledger_counts tasks;
    const cano_status status = count_all(q, &queued, &tasks);
    if (status == CANO_OK) {
        *items = queued + tasks.returned;
    }
    return status;
}

cano_status cano_shared_unfinished(cano_shared *q, uint64_t *count)
{
    if (is_immediate(q)) {
        *count = cano_ledger_count(&q->memory.ledger, cano_os_now()).held;
        return CANO_OK;
    }
    uint64_t queued = 0;
    cano_ledger_counts tasks;
    const cano_status status = count_all(q, &queued, &tasks);
    if (status == CANO_OK) {
        *count = queued + tasks.returned + tasks.delayed + tasks.held;
    }
    return status;
}

static uint64_t bytes_in_use(const cano_shared *q)
{
    const int64_t units = cano_commit_units(load_head(q), load_tail(q));
    return units > 0 ? (uint64_t)units * CANO_RING_UNIT : 0;
}

cano_status cano_shared_stat(cano_shared *q, cano_queue_info *info)
{
    const cano_queue_shared *s = q->memory.shared;
    cano_queue_info result = { .size = info->size, .flags = q->memory.limits.flags };
    cano_status status = cano_shared_qsize(q, &result.items);
    if (status == CANO_OK && q->memory.ledger.count != 0) {
        status = cano_shared_unfinished(q, &result.unfinished);
    }
    if (status != CANO_OK) {
        return status;
    }
    uint64_t in_pages = 0;
    status = cano_arena_used(&q->memory.arena, cano_os_now() + PATIENCE, &in_pages);
    if (status != CANO_OK) {
        return status;
    }
    const cano_ledger_counts counts = cano_ledger_count(&q->memory.ledger, cano_os_now());
    result.leased = counts.held;
    result.delayed = counts.delayed;
    result.dead = counts.dead;
    result.bytes = bytes_in_use(q) + in_pages;
    result.put = cano_commit_total(atomic_load_explicit(&s->put_total, memory_order_relaxed), load_tail(q));
    result.got = cano_commit_total(atomic_load_explicit(&s->got_total, memory_order_relaxed), load_head(q));
    const uint64_t out = counts.held + counts.returned + counts.delayed;
    result.done = q->memory.ledger.count != 0 && result.got > out ? result.got - out : 0;
    result.participants = cano_roster_count(&q->memory.roster, 0);
    *info = result;
    return CANO_OK;
}

/* ---- lock ---- */

/* Both locks, in turns: who waits for the second gives the first back after a slice and begins with the one that was missing,
 * so that one stopped getter does not stop all putters. */
static cano_status take_both(cano_shared *q, int64_t deadline)
{
    const cano_lock *first = &q->memory.put_lock;
    const cano_lock *second = &q->memory.get_lock;
    for (;;) {
        cano_status status = cano_shared_acquire(q, first, deadline);
        if (status != CANO_OK) {
            return status;
        }
        const int64_t slice = cano_os_now() + FIRST_SLICE;
        status = acquire_second(q, second, slice < deadline ? slice : deadline);
        if (status == CANO_OK) {
            return CANO_OK;
        }
        cano_shared_release(q, first);
        if (status != CANO_ETIMEOUT || cano_os_now() >= deadline) {
            return status;
        }
        if (atomic_load_explicit(&q->closing, memory_order_seq_cst)) {
            return CANO_ECLOSED;
        }
        const cano_lock *missing = second;
        second = first;
        first = missing;
    }
}

cano_status cano_shared_lock(cano_shared *q, int64_t deadline)
{
    if (cano_shared_in_lock(q)) {
        q->depth++;
        return CANO_OK;
    }
    const cano_status status = take_both(q, deadline);
    if (status == CANO_OK) {
        /* seq_cst: kept before this call is left; see is_lie() in lock.c */
        atomic_fetch_add_explicit(&q->kept, 1, memory_order_seq_cst);
        atomic_store_explicit(&q->locker, cano_thread_self(), memory_order_relaxed);
        q->depth = 1;
    }
    return status;
}

cano_status cano_shared_unlock(cano_shared *q)
{
    if (!cano_shared_in_lock(q)) {
        return CANO_ENOTHELD;
    }
    if (--q->depth > 0) {
        return CANO_OK;
    }
    atomic_store_explicit(&q->locker, 0, memory_order_relaxed);
    const cano_status status = unlock_both(q);
    atomic_fetch_sub_explicit(&q->kept, 1, memory_order_seq_cst);
    cano_queue_memory_wake_all(&q->memory); /* what was done inside woke who could not go on */
    return status;
}

/* ---- shutdown ---- */

cano_status cano_shared_shutdown(cano_shared *q, bool immediate)
{
    cano_queue_memory *m = &q->memory;
    cano_status status = cano_shared_acquire(q, &m->put_lock, CANO_OS_NEVER);
    if (status != CANO_OK) {
        return status;
    }
    if (immediate) {
        atomic_store_explicit(&m->shared->need_sweep, 1, memory_order_release); /* a death below leaves the rest to repair */
    }
    const uint32_t flags = CANO_SHUT | (immediate ? CANO_SHUT_IMMEDIATE : 0u);
    /* release: pairs with the acquire of everybody's look; under the lock putters obey, so no put is committed after it */
    atomic_fetch_or_explicit(&m->shared->shutdown, flags, memory_order_release);
    status = cano_shared_release(q, &m->put_lock);
    cano_queue_memory_wake_all(m);
    if (status != CANO_OK || !immediate) {
        return status;
    }
    status = lock_both(q, CANO_OS_NEVER);
    if (status != CANO_OK) {
        return status;
    }
    atomic_fetch_add_explicit(&q->kept, 1, memory_order_seq_cst); /* it may sleep for the arena's lock; see is_lie() in lock.c */
    cano_repair_blocks(m); /* failing leaves need_sweep set: the next look does it */
    atomic_fetch_sub_explicit(&q->kept, 1, memory_order_seq_cst);
    status = unlock_both(q);
    cano_queue_memory_wake_all(m);
    return status;
}

/* ---- the native handle ---- */

/* Put our bell up, then look: what came before is seen, what comes later rings. */
cano_status cano_shared_arm_bell(cano_shared *q, bool *ready)
{
    cano_queue_memory *m = &q->memory;
    cano_os_bell_clear(q->bell);
    atomic_store_explicit(&m->roster.slots[cano_word_slot(m->me)].bell, 1, memory_order_relaxed);
    atomic_store_explicit(&m->shared->bells, 1, memory_order_seq_cst); /* pairs with the exchange in ring_bells */
    atomic_thread_fence(memory_order_seq_cst);
    *ready = cano_shared_has_items(q) || cano_shared_has_ended(q);
    return CANO_OK;
}

static cano_status open_bell(cano_shared *q)
{
    char name[64];
    cano_queue_memory_bell_name(&q->memory, q->memory.me, name);
    cano_os_handle bell;
    const cano_status status = cano_os_bell_open(name, true, &bell);
    if (status == CANO_OK) {
        q->bell = bell;
    }
    return status;
}

cano_status cano_shared_native(cano_shared *q, cano_native *native)
{
    cano_latch_close(&q->latch);
    const cano_status status = q->bell != CANO_OS_NONE ? CANO_OK : open_bell(q);
    cano_latch_open(&q->latch);
    if (status != CANO_OK) {
        return status;
    }
    bool ready = false;
    cano_shared_arm_bell(q, &ready);
    if (ready) { /* what is there already rings for itself */
        char name[64];
        cano_os_handle ringer;
        cano_queue_memory_bell_name(&q->memory, q->memory.me, name);
        if (cano_os_bell_open(name, false, &ringer) == CANO_OK) {
            cano_os_bell_ring(ringer);
            cano_os_bell_close(ringer, NULL);
        }
    }
    *native = q->bell;
    return CANO_OK;
}
