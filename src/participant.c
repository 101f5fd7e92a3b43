/* SPDX-License-Identifier: Apache-2.0 */
#include "repair.h"
#include "shared_queue.h"

#include <stdlib.h>
#include <string.h>

#define ATTACH_PATIENCE 5000000 /* microseconds for the guard: its holder may be stopped */
#define FORK_PATIENCE 1000000
#define CLOSE_PAUSE 1000
#define LOCK_PATIENCE 1000 /* for a ring lock, also with CANO_NOW */
#define FIRST_LOOK 10000   /* while waiting for a ring lock, until the first look for the dead */
#define LONGEST_LOOK 60000 /* and between two: fewer than 20 wakes a second */

static cano_shared *all; /* open handles of this process */
static cano_latch all_latch;

/* ---- attach ---- */

/* Count a declared putter: after its slot is live, before its attach returns. Twice is once: it is asked whether it is 0, and
 * whether it has changed. */
static void count_putter(cano_queue_memory *m, uint32_t role)
{
    if ((role & CANO_PUTTER) == 0) {
        return;
    }
    uint32_t ever = atomic_load_explicit(&m->shared->ever, memory_order_relaxed);
    /* seq_cst: who reads it, then the roster, then it again, and finds it unchanged, has seen every slot it counts */
    while (ever != UINT32_MAX
           && !atomic_compare_exchange_weak_explicit(&m->shared->ever, &ever, ever + 1, memory_order_seq_cst,
                                                     memory_order_relaxed)) {
    }
}

/* Take a slot, in order: repair what the dead hold, so that a roster full of them is no limit; take; return what an entry may
 * still say of our slot; count. */
static cano_status take_place(cano_queue_memory *m, uint32_t role, int64_t patience, cano_queue_place *place)
{
    cano_status status = cano_repair_guard(m, cano_os_now() + patience);
    if (status != CANO_OK) {
        return status;
    }
    if (m->segment.shared) {
        cano_repair_all(m);
    }
    uint32_t word = 0;
    status = cano_roster_take(&m->roster, (uint8_t)role, &word, &place->lease);
    if (status == CANO_OK) {
        place->slot = cano_word_slot(word);
        place->generation = cano_word_generation(word);
        if (cano_ledger_give_back_all(&m->ledger, place->slot, true)) {
            cano_ledger_hint(&m->ledger);
        }
    }
    cano_repair_leave(m);
    return status;
}

void cano_shared_count_putter(cano_shared *q, uint32_t role)
{
    count_putter(&q->memory, role);
}

cano_status cano_shared_take_place(cano_shared *q, uint32_t role, int64_t patience, cano_queue_place *place)
{
    return take_place(&q->memory, role, patience, place);
}

static cano_status check_place(const cano_queue_memory *m, const cano_queue_place *place)
{
    if (place->slot == 0 || place->slot > m->roster.count) {
        return CANO_ECORRUPT;
    }
    const cano_roster_state state = cano_roster_read(&m->roster, place->slot);
    return state.status == CANO_SLOT_LIVE && state.generation == place->generation ? CANO_OK : CANO_ECORRUPT;
}

static void sit_down(cano_shared *q, const cano_queue_place *place)
{
    q->lease = place->lease;
    q->base.role = cano_roster_read(&q->memory.roster, place->slot).role;
    cano_queue_memory_act_as(&q->memory, cano_word_of(place->slot, place->generation), &q->presence, &q->kept);
    count_putter(&q->memory, q->base.role);
    /* release: pairs with the acquire in cano_shared_enter of another thread of a forked child */
    atomic_store_explicit(&q->self, cano_os_self(), memory_order_release);
}

static cano_status attach(cano_shared *q, uint32_t role, const cano_queue_place *place)
{
    cano_queue_place taken;
    cano_status status = q->base.joinable ? cano_held_prepare(&q->held, q->memory.ledger.count) : CANO_OK;
    if (status == CANO_OK) {
        status = place != NULL ? check_place(&q->memory, place) : take_place(&q->memory, role, ATTACH_PATIENCE, &taken);
    }
    if (status == CANO_OK) {
        sit_down(q, place != NULL ? place : &taken);
    }
    return status;
}

static void enlist(cano_shared *q)
{
    cano_latch_close(&all_latch);
    q->next = all;
    all = q;
    cano_latch_open(&all_latch);
}

static void strike_out(cano_shared *q)
{
    cano_latch_close(&all_latch);
    cano_shared **link = &all;
    while (*link != NULL && *link != q) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = q->next;
    }
    cano_latch_open(&all_latch);
}

static void set_at_once(cano_shared *q)
{
    const cano_queue_limits *limits = &q->memory.limits;
    const uint64_t largest = limits->max_bytes < q->memory.geometry.inline_max ? limits->max_bytes : q->memory.geometry.inline_max;
    q->at_once_below = largest + 1;
    q->stuck_at = UINT64_MAX; /* no commit word */
    q->at_once_kept = limits->max_items > 1 ? limits->max_items * q->memory.geometry.reserve_units : 0;
}

static void watch_forks(void);

cano_status cano_shared_attach(cano_shared **queue, const cano_os_segment *segment, uint32_t role, const cano_queue_place *place)
{
    watch_forks();
    cano_shared *q = calloc(1, sizeof *q);
    cano_status status = q != NULL ? CANO_OK : CANO_ENOMEM;
    if (status == CANO_OK) {
        q->memory.segment = *segment;
        q->bell = CANO_OS_NONE;
        q->child.lease = CANO_OS_NONE;
        status = cano_queue_memory_map(&q->memory, NULL);
        q->base.engine = &cano_shared_engine;
        q->base.joinable = q->memory.ledger.count != 0;
        q->base.max_items = q->memory.limits.max_items;
        set_at_once(q);
    }
    if (status == CANO_OK) {
        q->memory.put_lock.repair = cano_repair_put_side;
        q->memory.get_lock.repair = cano_repair_get_side;
        status = attach(q, role, place);
    }
    if (status != CANO_OK) {
        cano_os_segment unused = *segment;
        cano_os_segment_close(q != NULL ? &q->memory.segment : &unused);
        if (place != NULL) {
            cano_os_lease_drop(place->lease);
        }
        if (q != NULL) {
            cano_held_clear(&q->held);
        }
        free(q);
        return status;
    }
    enlist(q);
    *queue = q;
    return CANO_OK;
}

/* ---- fork ---- */

static bool must_count_child(const cano_shared *q)
{
    return atomic_load_explicit(&q->self, memory_order_relaxed) == cano_os_self() && (q->base.role & CANO_PUTTER) != 0
        && (q->memory.limits.flags & CANO_END_WHEN_NO_PUTTER) != 0 && q->memory.segment.shared;
}

/* A forked child of a declared putter is a putter before the parent can leave: its place is taken here, and the lease is one
 * that the child keeps. Without a place (the roster is full) the child attaches on first use. */
static void before_fork(void)
{
    cano_latch_close(&all_latch);
    for (cano_shared *q = all; q != NULL; q = q->next) {
        if (must_count_child(q) && take_place(&q->memory, q->base.role, FORK_PATIENCE, &q->child) == CANO_OK) {
            cano_os_lease_for_child(q->child.lease); /* its parent is a putter already: nothing to count */
        }
    }
}

static void after_fork_in_parent(void)
{
    for (cano_shared *q = all; q != NULL; q = q->next) {
        if (q->child.lease != CANO_OS_NONE) {
            cano_os_lease_drop(q->child.lease); /* the child has its own copy; if there is none, the place is dead */
            q->child.lease = CANO_OS_NONE;
        }
    }
    cano_latch_open(&all_latch);
}

static void after_fork_in_child(void)
{
    cano_latch_open(&all_latch);
}

static void watch_forks(void)
{
    static _Atomic bool watching;
    if (!atomic_exchange_explicit(&watching, true, memory_order_relaxed)) {
        cano_os_at_fork(before_fork, after_fork_in_parent, after_fork_in_child);
    }
}

/* What the parent's handle remembers is the parent's: threads, tasks, views, the bell. Lists may have been copied half
 * changed, so they are forgotten, not freed. */
static void forget_parent(cano_shared *q)
{
    cano_presence_reset(&q->presence);
    atomic_store_explicit(&q->kept, 0, memory_order_relaxed);
    atomic_store_explicit(&q->locker, 0, memory_order_relaxed);
    atomic_store_explicit(&q->memory.guarding, 0, memory_order_relaxed);
    q->depth = 0;
    q->held = (cano_held){ 0 };
    q->views = (cano_views){ 0 };
    if (q->bell != CANO_OS_NONE) {
        cano_os_bell_close(q->bell, NULL);
        q->bell = CANO_OS_NONE;
    }
    cano_os_segment_forked(&q->memory.segment);
    cano_os_lease_drop(q->lease);
    q->lease = CANO_OS_NONE;
}

static cano_status attach_in_child(cano_shared *q)
{
    forget_parent(q);
    const cano_queue_place place = q->child;
    q->child.lease = CANO_OS_NONE;
    if (place.lease != CANO_OS_NONE && attach(q, q->base.role, &place) == CANO_OK) {
        return CANO_OK;
    }
    return attach(q, q->base.role, NULL);
}

/* In a forked child: one thread attaches anew, the others wait for it. */
static cano_status follow_fork(cano_shared *q)
{
    if (!q->memory.segment.shared) {
        return CANO_EINVAL;
    }
    const uint32_t self = cano_os_self();
    while (atomic_load_explicit(&q->self, memory_order_acquire) != self) {
        uint32_t seen = atomic_load_explicit(&q->following, memory_order_relaxed);
        if (seen == self
            || !atomic_compare_exchange_strong_explicit(&q->following, &seen, self, memory_order_acquire,
                                                        memory_order_relaxed)) {
            cano_os_poll(NULL, 0, cano_os_now() + CLOSE_PAUSE);
            continue;
        }
        const cano_status status =
            atomic_load_explicit(&q->self, memory_order_acquire) == self ? CANO_OK : attach_in_child(q);
        atomic_store_explicit(&q->following, 0, memory_order_release);
        if (status != CANO_OK) {
            return status;
        }
    }
    return CANO_OK;
}

/* ---- a call ---- */

cano_status cano_shared_enter_slow(cano_shared *q)
{
    if (atomic_load_explicit(&q->broken, memory_order_relaxed)) {
        return CANO_ECORRUPT;
    }
    if (atomic_load_explicit(&q->closing, memory_order_relaxed)) {
        return CANO_ECLOSED;
    }
    if (atomic_load_explicit(&q->self, memory_order_acquire) != cano_os_self()) {
        const cano_status status = follow_fork(q);
        if (status != CANO_OK) {
            return status;
        }
    }
    cano_seat *seat = cano_presence_seat(&q->presence);
    if (seat == NULL) {
        return CANO_ENOMEM;
    }
    cano_seat_set(seat, CANO_ACTIVE);
    return CANO_OK;
}

void cano_shared_refuse(cano_shared *q)
{
    atomic_store_explicit(&q->broken, true, memory_order_relaxed);
    atomic_store_explicit(&q->refuses, true, memory_order_relaxed);
}

/* A lock that names the guard is one that a repairer died with: no waiter may judge that, only who takes the guard. So all who
 * wait look for the dead as well, or putters alone among themselves would wait for ever. */
static cano_status acquire_looking(cano_shared *q, const cano_lock *lock, int64_t deadline)
{
    for (int64_t look = FIRST_LOOK;; look = look * 3 < LONGEST_LOOK ? look * 3 : LONGEST_LOOK) {
        const int64_t slice = cano_os_now() + look;
        const cano_status status = cano_lock_acquire_slow(lock, slice < deadline ? slice : deadline);
        if (status != CANO_ETIMEOUT) {
            return status;
        }
        if (!CANO_MUTATED(LOCK_DOES_NOT_LOOK) && cano_repair_look(&q->memory, false) && cano_lock_try(lock)) {
            return CANO_OK;
        }
        if (atomic_load_explicit(&q->closing, memory_order_seq_cst)) {
            return CANO_ECLOSED; /* the lock may be another's for long, and close waits for us */
        }
        if (cano_os_now() >= deadline) {
            return CANO_ETIMEOUT;
        }
    }
}

cano_status cano_shared_acquire(cano_shared *q, const cano_lock *lock, int64_t deadline)
{
    if (cano_lock_try(lock)) {
        return CANO_OK;
    }
    if (cano_shared_in_lock(q)) {
        return CANO_OK;
    }
    const int64_t least = cano_os_now() + LOCK_PATIENCE;
    return acquire_looking(q, lock, deadline > least ? deadline : least);
}

cano_status cano_shared_release(cano_shared *q, const cano_lock *lock)
{
    if (cano_shared_in_lock(q)) {
        atomic_thread_fence(memory_order_seq_cst); /* no unlock here that would be the fence before the event words */
        return CANO_OK;
    }
    return cano_lock_release(lock);
}

/* ---- close ---- */

static void wait_for_threads(cano_shared *q)
{
    atomic_store_explicit(&q->closing, true, memory_order_seq_cst);
    atomic_store_explicit(&q->refuses, true, memory_order_seq_cst);
    while (cano_presence_others(&q->presence)) {
        cano_queue_memory_wake_all(&q->memory);
        cano_os_wake(&q->memory.segment, &q->memory.shared->put_lock, UINT32_MAX);
        cano_os_wake(&q->memory.segment, &q->memory.shared->get_lock, UINT32_MAX);
        cano_os_poll(NULL, 0, cano_os_now() + CLOSE_PAUSE);
    }
}

static void forget_single(_Atomic uint32_t *single, uint32_t word)
{
    atomic_compare_exchange_strong_explicit(single, &word, 0, memory_order_relaxed, memory_order_relaxed);
}

static void free_views(cano_shared *q)
{
    for (size_t i = 0; i < q->views.count; i++) {
        if (q->views.list[i].kind != CANO_VIEW_COPY) {
            cano_arena_free(&q->memory.arena, q->views.list[i].page);
        }
    }
}

/* Leave nothing that names us, the slot last. */
static void get_up(cano_shared *q)
{
    cano_queue_memory *m = &q->memory;
    if (atomic_load_explicit(&q->kept, memory_order_relaxed) != 0) {
        cano_lock_release(&m->get_lock);
        cano_lock_release(&m->put_lock);
    }
    if (cano_ledger_give_back_all(&m->ledger, cano_word_slot(m->me), false)) {
        cano_ledger_hint(&m->ledger);
    }
    free_views(q);
    forget_single(&m->shared->single_putter, m->me);
    forget_single(&m->shared->single_getter, m->me);
    cano_roster_free(&m->roster, cano_word_slot(m->me));
    cano_queue_memory_wake_all(m);
}

static void close_bell(cano_shared *q)
{
    if (q->bell != CANO_OS_NONE) {
        char name[64];
        cano_queue_memory_bell_name(&q->memory, q->memory.me, name);
        cano_os_bell_close(q->bell, name);
    }
}

static void close_as_participant(cano_shared *q)
{
    wait_for_threads(q);
    close_bell(q);
    if (!atomic_load_explicit(&q->broken, memory_order_relaxed)) {
        get_up(q);
    }
    cano_held_clear(&q->held);
    cano_views_clear(&q->views);
    cano_presence_clear(&q->presence);
    cano_os_lease_drop(q->lease);
}

void cano_shared_close(cano_shared *q)
{
    strike_out(q);
    if (atomic_load_explicit(&q->self, memory_order_relaxed) == cano_os_self()) {
        close_as_participant(q);
    } else {
        forget_parent(q); /* inherited and never used: touches nothing shared */
        cano_os_lease_drop(q->child.lease);
    }
    cano_os_segment_close(&q->memory.segment);
    free(q);
}
