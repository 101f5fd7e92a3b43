/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_queue.h"

#include <stdlib.h>
#include <string.h>

#define PAUSES 32 /* between two looks for room: a microsecond or so, in which getters have their line to themselves */
#define FEW 8 /* messages of a batch that need no memory for the plan */

/* What is to be put, and where each message goes: into the ring, or into blocks that the ring refers to. Blocks are taken and
 * filled outside the putters' lock, and are ours until the moment before they are published. */
typedef struct job {
    const cano_slice *slices;
    size_t count;
    uint32_t *pages;   /* of each message; CANO_NO_PAGE: it goes into the ring */
    uint32_t *taken;   /* scratch of the same length */
    uint64_t *sizes;   /* scratch of the same length */
    bool is_reserved;  /* the one page was written in place, and is cut to size when it is sent */
    uint32_t few_pages[2 * FEW];
    uint64_t few_sizes[FEW];
    void *memory;
} job;

static cano_status job_begin(job *j, const cano_slice *slices, size_t count)
{
    j->slices = slices;
    j->count = count;
    j->pages = j->few_pages;
    j->taken = j->few_pages + FEW;
    j->sizes = j->few_sizes;
    j->is_reserved = false;
    j->memory = NULL;
    if (count > FEW) {
        j->memory = malloc(count * (sizeof *j->sizes + 2 * sizeof *j->pages));
        if (j->memory == NULL) {
            return CANO_ENOMEM;
        }
        j->sizes = j->memory;
        j->pages = (uint32_t *)(j->sizes + count);
        j->taken = j->pages + count;
    }
    for (size_t i = 0; i < count; i++) {
        j->pages[i] = CANO_NO_PAGE;
    }
    return CANO_OK;
}

static void job_end(cano_shared *q, job *j, cano_status status)
{
    for (size_t i = 0; status != CANO_OK && !j->is_reserved && i < j->count; i++) {
        cano_arena_free(&q->memory.arena, j->pages[i]);
    }
    free(j->memory);
}

static uint64_t record_size(const job *j, size_t i)
{
    return j->pages[i] == CANO_NO_PAGE ? j->slices[i].size : sizeof(cano_block_reference);
}

/* ---- does it fit? ---- */

/* Units to keep for those still to come when a record larger than its share goes into the ring: a share each, and the padding
 * that one of them may need at the end of the ring. Records within their share always fit. How many may come is counted from
 * head as it is: by a copy that lags behind they would be too few, so there it is all of max_items. */
static uint64_t kept_units(const cano_shared *q, uint64_t largest, int64_t left)
{
    const uint64_t share = q->memory.geometry.reserve_units;
    return largest > share && left > 0 ? ((uint64_t)left + 1) * share : 0;
}

/* Would it fit an empty queue, with what is larger than that in blocks? One record may need padding of almost its own size. */
static bool fits_empty_queue(const cano_shared *q, const job *j, uint64_t largest_inline)
{
    const cano_geometry *g = &q->memory.geometry;
    uint64_t pages = 0;
    uint64_t sum = 0;
    uint64_t largest = 0;
    for (size_t i = 0; i < j->count; i++) {
        const uint64_t size = j->slices[i].size;
        const bool is_inline = size <= largest_inline;
        const uint64_t units = is_inline ? cano_ring_units_of(size) : CANO_REFERENCE_UNITS;
        pages += is_inline ? 0 : cano_arena_pages(&q->memory.arena, size);
        sum += units;
        largest = units > largest ? units : largest;
    }
    const int64_t left = (int64_t)q->memory.limits.max_items - (int64_t)j->count;
    return pages <= g->page_count && sum + largest + 1 + kept_units(q, largest, left) <= g->ring_units;
}

/* As run() tries it: what may lie in the ring does, or only what is no larger than a reference. */
static bool fits_in_time(const cano_shared *q, const job *j)
{
    return j->count == 1 || fits_empty_queue(q, j, q->memory.geometry.inline_max)
        || fits_empty_queue(q, j, sizeof(cano_block_reference));
}

/* What can never fit is told at once. */
static cano_status check_sizes(const cano_shared *q, const job *j)
{
    const cano_queue_limits *limits = &q->memory.limits;
    if (j->count > limits->max_items) {
        return CANO_ETOOBIG;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < j->count; i++) {
        if (j->slices[i].size > limits->max_bytes - sum) {
            return CANO_ETOOBIG;
        }
        sum += j->slices[i].size;
    }
    return fits_in_time(q, j) ? CANO_OK : CANO_ETOOBIG;
}

/* ---- blocks ---- */

/* Which messages must go into blocks: those too large for the ring, or, when the ring is short, all that are larger than a
 * reference to them. Sets sizes; returns how many. */
static size_t want_blocks(const cano_shared *q, job *j, bool ring_is_short)
{
    const uint64_t largest = ring_is_short ? sizeof(cano_block_reference) : q->memory.geometry.inline_max;
    size_t wanted = 0;
    for (size_t i = 0; i < j->count; i++) {
        const bool wants = j->pages[i] == CANO_NO_PAGE && j->slices[i].size > largest;
        j->sizes[i] = wants ? j->slices[i].size : 0;
        wanted += wants;
    }
    return wanted;
}

static cano_status take_blocks(cano_shared *q, job *j, int64_t deadline)
{
    cano_status status = cano_arena_take_many(&q->memory.arena, j->sizes, j->taken, j->count, deadline);
    for (size_t i = 0; status == CANO_OK && i < j->count; i++) {
        if (j->taken[i] != CANO_NO_PAGE) {
            j->pages[i] = j->taken[i];
            status = cano_arena_write(&q->memory.arena, j->pages[i], j->slices[i].data, j->slices[i].size);
        }
    }
    return status;
}

/* acquire: pairs with the release in shutdown; who sees it once may believe it */
static bool is_shut(const cano_shared *q)
{
    return atomic_load_explicit(&q->memory.shared->shutdown, memory_order_acquire) != 0;
}

typedef struct page_question {
    job *j;
    cano_status status;
} page_question;

static bool try_blocks(cano_shared *q, void *context)
{
    page_question *question = context;
    question->status = take_blocks(q, question->j, cano_os_now() + 1000);
    return question->status != CANO_ETIMEOUT;
}

/* Take blocks for all that sizes asks for, or wait a slice for pages: CANO_ETIMEOUT only when the deadline has passed;
 * *got false: look at the ring again first, it may have room by now. */
static cano_status get_blocks(cano_shared *q, job *j, cano_waiting *w, bool *got)
{
    page_question question = { j, CANO_ETIMEOUT };
    *got = try_blocks(q, &question);
    if (*got) {
        return question.status;
    }
    cano_arena_queue_up(&q->memory.arena);
    w->no_spin = true;
    const cano_status status = cano_shared_wait(q, w, &q->memory.shared->page_event, try_blocks, &question);
    w->no_spin = false;
    *got = question.status != CANO_ETIMEOUT;
    return *got ? question.status : status;
}

/* ---- the ring; the putters' lock is held ---- */

typedef struct room {
    uint64_t tail;
    bool items; /* max_items would not be passed */
    bool units; /* the ring has room, also for the references of those still to come */
} room;

static uint64_t end_of(const cano_shared *q, const job *j, uint64_t position, uint64_t *largest)
{
    *largest = 0;
    for (size_t i = 0; i < j->count; i++) {
        const uint64_t units = cano_ring_units_of(record_size(j, i));
        position = cano_ring_place(&q->memory.ring, position, units) + units;
        *largest = units > *largest ? units : *largest;
    }
    return position;
}

static room measure(const cano_shared *q, const job *j, uint64_t tail, uint64_t head, bool is_copy)
{
    const cano_queue_limits *limits = &q->memory.limits;
    const int64_t room_for = (int64_t)limits->max_items - (int64_t)j->count;
    const int64_t in_ring = cano_commit_items(head, tail);
    const int64_t left = room_for - in_ring - (int64_t)cano_ledger_returned_count(&q->memory.ledger);
    const int64_t to_come = is_copy ? room_for : room_for - in_ring;
    const int64_t used = cano_commit_units(head, tail);
    const uint64_t start = cano_commit_position(tail);
    uint64_t largest;
    const uint64_t needed = end_of(q, j, start, &largest) - start + 1;
    const uint64_t free_units = used >= 0 ? q->memory.ring.units - (uint64_t)used : q->memory.ring.units;
    return (room){ tail, left >= 0, needed + kept_units(q, largest, to_come) <= free_units };
}

/* The putters' own copy of head is enough as long as it says that there is room. */
static room find_room(cano_shared *q, const job *j)
{
    cano_queue_shared *s = q->memory.shared;
    const uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed); /* only putters write it, under this lock */
    room r = measure(q, j, tail, atomic_load_explicit(&s->head_seen, memory_order_relaxed), true);
    if (!r.items || !r.units) {
        /* acquire: pairs with the getters' release of head; their reads of a record come before our overwriting it */
        const uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
        atomic_store_explicit(&s->head_seen, head, memory_order_relaxed);
        r = measure(q, j, tail, head, false);
    }
    return r;
}

/* Blocks become the queue's before the store that shows them; afterwards we never touch them. */
static cano_status give_blocks(cano_shared *q, const job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        if (j->pages[i] == CANO_NO_PAGE) {
            continue;
        }
        if (j->is_reserved) {
            cano_arena_shrink(&q->memory.arena, j->pages[i], j->slices[i].size);
        }
        const cano_status status = cano_arena_give(&q->memory.arena, j->pages[i], j->slices[i].size);
        if (status != CANO_OK) {
            return status;
        }
    }
    return CANO_OK;
}

static void append(cano_ring_batch *batch, const job *j, size_t i)
{
    if (j->pages[i] != CANO_NO_PAGE) {
        const cano_block_reference reference = { j->slices[i].size, j->pages[i], 0 };
        cano_ring_write(cano_ring_append(batch, CANO_RING_BLOCK, sizeof reference), &reference, sizeof reference);
        return;
    }
    void *payload = cano_ring_append(batch, CANO_RING_DATA, (uint32_t)j->slices[i].size);
    if (j->slices[i].size != 0) {
        cano_ring_write(payload, j->slices[i].data, j->slices[i].size);
    }
}

static inline void move_tail(cano_shared *q, uint64_t tail, uint64_t position, uint64_t count)
{
    cano_queue_shared *s = q->memory.shared;
    const uint64_t next = cano_commit_word(position, (tail & CANO_COUNT_MASK) + count);
    atomic_store_explicit(&s->tail, next, memory_order_release); /* pairs with the acquire of those who count */
    cano_commit_follow(&s->put_total, tail, next);
}

static cano_status publish(cano_shared *q, const job *j, uint64_t tail)
{
    const cano_status status = give_blocks(q, j);
    if (status != CANO_OK) {
        return status;
    }
    cano_ring_batch batch = cano_ring_begin(&q->memory.ring, cano_commit_position(tail));
    for (size_t i = 0; i < j->count; i++) {
        append(&batch, j, i);
    }
    const uint64_t end = cano_ring_commit(&batch); /* here it happens */
    move_tail(q, tail, end, j->count);
    return CANO_OK;
}

/* One participant puts, where that was declared: the first, until it has gone. */
static cano_status claim_single(cano_shared *q)
{
    if ((q->memory.limits.flags & CANO_SINGLE_PUTTER) == 0) {
        return CANO_OK;
    }
    _Atomic uint32_t *single = &q->memory.shared->single_putter;
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

typedef enum outcome { DONE, FAILED, NO_ITEMS, NO_UNITS } outcome;

static outcome try_publish(cano_shared *q, const job *j, uint64_t *head, cano_status *status)
{
    if (atomic_load_explicit(&q->memory.shared->shutdown, memory_order_relaxed) != 0) { /* stored under this lock */
        *status = CANO_ECLOSED;
        return FAILED;
    }
    *status = claim_single(q);
    if (*status != CANO_OK) {
        return FAILED;
    }
    const room r = find_room(q, j);
    *head = atomic_load_explicit(&q->memory.shared->head_seen, memory_order_relaxed);
    if (!r.items) {
        return NO_ITEMS;
    }
    if (!r.units) {
        return NO_UNITS;
    }
    *status = publish(q, j, r.tail);
    return *status == CANO_OK ? DONE : FAILED;
}

/* ---- waiting for room ---- */

static bool below_max(const cano_shared *q)
{
    const cano_queue_shared *s = q->memory.shared;
    const uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    return cano_commit_items(head, atomic_load_explicit(&s->tail, memory_order_relaxed)) < (int64_t)q->memory.limits.max_items;
}

/* Has anything been taken since room was looked for? */
static bool has_moved(cano_shared *q, void *head)
{
    const cano_queue_shared *s = q->memory.shared;
    return atomic_load_explicit(&s->head, memory_order_acquire) != *(const uint64_t *)head
        || atomic_load_explicit(&s->shutdown, memory_order_relaxed) != 0;
}

/* Say at which head count waking is worth it: when half of what is queued now has gone, or at once if somebody else already
 * waits for less. A wake per message is what makes a full queue slow. */
static void want_room(cano_shared *q, size_t count)
{
    cano_queue_shared *s = q->memory.shared;
    const uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);
    const int64_t queued = cano_commit_items(head, atomic_load_explicit(&s->tail, memory_order_relaxed));
    int64_t ahead = queued / 2 > (int64_t)count ? queued / 2 : (int64_t)count;
    ahead = ahead > queued ? queued : ahead;
    /* relaxed: the fence of the arming that follows orders it; a lost race costs a slice */
    atomic_store_explicit(&s->room_want, (uint32_t)((head + (uint64_t)(ahead > 0 ? ahead : 1)) & CANO_COUNT_MASK),
                          memory_order_relaxed);
}

/* One who has slept tells the next: the one wake it got may have been meant for several. */
static void pass_on(cano_shared *q, const cano_waiting *w)
{
    if (w->slept && below_max(q)) {
        cano_queue_shared *s = q->memory.shared;
        atomic_store_explicit(&s->room_want, (uint32_t)(atomic_load_explicit(&s->head, memory_order_relaxed) & CANO_COUNT_MASK),
                              memory_order_relaxed);
        cano_event_arm(&s->room_event);
        cano_event_wake(&q->memory.segment, &s->room_event, 1);
    }
}

static cano_status run(cano_shared *q, job *j, int64_t deadline)
{
    cano_waiting w = { .deadline = deadline };
    bool ring_is_short = false;
    for (;;) {
        if (want_blocks(q, j, ring_is_short) != 0) {
            bool got;
            const cano_status status = get_blocks(q, j, &w, &got);
            if (status != CANO_OK) {
                return status;
            }
            if (!got && is_shut(q)) {
                return CANO_ECLOSED; /* pages may never come */
            }
            if (!got) {
                ring_is_short = false; /* look at the ring again */
                if (want_blocks(q, j, false) != 0) {
                    continue;
                }
            }
        }
        cano_status status = cano_shared_acquire(q, &q->memory.put_lock, deadline);
        if (status != CANO_OK) {
            return status;
        }
        uint64_t head = 0;
        const outcome result = try_publish(q, j, &head, &status);
        const cano_status released = cano_shared_release(q, &q->memory.put_lock);
        if (result == DONE || result == FAILED) {
            if (result == DONE) {
                cano_shared_after_put(q, j->count);
                pass_on(q, &w);
                return released;
            }
            return status;
        }
        if (released != CANO_OK) {
            return released;
        }
        ring_is_short = result == NO_UNITS;
        if (ring_is_short && want_blocks(q, j, true) != 0) {
            continue;
        }
        want_room(q, j->count);
        status = cano_shared_wait(q, &w, &q->memory.shared->room_event, has_moved, &head);
        if (status != CANO_OK) {
            return status;
        }
    }
}

/* ---- the usual case: one message, into the ring, the lock is free and there is room ---- */

static inline bool has_room_for(const cano_shared *q, uint64_t units, uint64_t tail, uint64_t *at)
{
    const cano_queue_shared *s = q->memory.shared;
    const uint64_t head = atomic_load_explicit(&s->head_seen, memory_order_relaxed);
    const int64_t used = cano_commit_units(head, tail);
    const uint64_t start = cano_commit_position(tail);
    const uint64_t kept = units > q->memory.geometry.reserve_units ? q->at_once_kept : 0;
    *at = cano_ring_place(&q->memory.ring, start, units);
    return cano_commit_items(head, tail) < (int64_t)q->memory.limits.max_items && used >= 0
        && *at - start + units + 1 + kept + (uint64_t)used <= q->memory.ring.units
        && atomic_load_explicit(&s->orphan_hint, memory_order_relaxed) == 0
        && atomic_load_explicit(&s->shutdown, memory_order_relaxed) == 0; /* stored under this lock */
}

/* The commit of one record: what publish() does, without a batch. */
static inline void publish_one(cano_shared *q, uint64_t tail, uint64_t at, uint64_t units, const void *data, size_t size)
{
    const cano_ring *ring = &q->memory.ring;
    const uint64_t start = cano_commit_position(tail);
    uint64_t header = cano_ring_header(CANO_RING_DATA, (uint32_t)size);
    if (CANO_MUTATED(HEADER_FIRST) || (CANO_MUTATED(PADDING_FIRST) && at != start)) {
        cano_ring_publish(ring, start, at != start ? cano_ring_header(CANO_RING_PAD, 0) : header);
    }
    if (CANO_MUTATED(TAIL_FIRST)) {
        move_tail(q, tail, at + units, 1);
    }
    cano_ring_expect(ring, start, units);
    if (size != 0) {
        cano_ring_write(cano_ring_payload(ring, at), data, size);
    }
    if (!CANO_MUTATED(NO_ZERO_HEADER)) {
        cano_ring_set(ring, at + units, 0);
    }
    if (at != start) { /* the record is complete before the padding in front of it shows it */
        cano_ring_set(ring, at, header);
        header = cano_ring_header(CANO_RING_PAD, 0);
    }
    cano_ring_publish(ring, start, header); /* here it happens */
    if (!CANO_MUTATED(TAIL_FIRST)) {
        move_tail(q, tail, at + units, 1);
    }
}

/* Where one putter was declared: is it known to be us? Otherwise the long way finds out. */
static inline bool may_put_at_once(const cano_shared *q)
{
    return (q->memory.limits.flags & CANO_SINGLE_PUTTER) == 0
        || atomic_load_explicit(&q->memory.shared->single_putter, memory_order_relaxed) == q->memory.me; /* under this lock */
}

/* The putters' copy of head says that there is no room: look at head itself. */
CANO_SELDOM static bool has_room_after_all(cano_shared *q, uint64_t units, uint64_t tail, uint64_t *at)
{
    cano_queue_shared *s = q->memory.shared;
    /* acquire: pairs with the getters' release of head; their reads of a record come before our overwriting it */
    atomic_store_explicit(&s->head_seen, atomic_load_explicit(&s->head, memory_order_acquire), memory_order_relaxed);
    return has_room_for(q, units, tail, at);
}

/* The putters' lock is held. CANO_NOT_AT_ONCE: nothing was done. */
static inline cano_status put_locked(cano_shared *q, const void *data, size_t size)
{
    const uint64_t tail = atomic_load_explicit(&q->memory.shared->tail, memory_order_relaxed);
    const uint64_t units = cano_ring_units_of(size);
    uint64_t at;
    if (!may_put_at_once(q) || (!has_room_for(q, units, tail, &at) && !has_room_after_all(q, units, tail, &at))) {
        return CANO_NOT_AT_ONCE;
    }
    publish_one(q, tail, at, units, data, size);
    return CANO_OK;
}

cano_status cano_shared_put_at_once(cano_queue *queue, const void *data, size_t size)
{
    cano_shared *q = (cano_shared *)queue;
    cano_seat *seat = size < q->at_once_below ? cano_shared_sit(q) : NULL;
    if (seat == NULL) {
        return CANO_NOT_AT_ONCE;
    }
    cano_status status = CANO_NOT_AT_ONCE;
    if (cano_lock_try(&q->memory.put_lock)) {
        status = put_locked(q, data, size);
        const cano_status released = cano_lock_release(&q->memory.put_lock);
        status = released != CANO_OK ? released : status;
        cano_shared_after_put(q, 1);
    }
    cano_shared_stand_up(q, seat, status);
    return status;
}

/* Is an eighth of the queue free, and room for a record of that many units? Less is not worth waiting for: then each put waits
 * for one get, and the line with head goes to and fro for every message. */
static bool has_good_room(cano_shared *q, void *units)
{
    const cano_queue_memory *m = &q->memory;
    const uint64_t head = atomic_load_explicit(&m->shared->head, memory_order_acquire);
    const uint64_t tail = atomic_load_explicit(&m->shared->tail, memory_order_relaxed);
    const int64_t free_items = (int64_t)m->limits.max_items - cano_commit_items(head, tail);
    const uint64_t wanted = 2 * *(const uint64_t *)units + q->at_once_kept + m->ring.units / 8; /* twice: padding */
    return (free_items > (int64_t)m->limits.max_items / 8
            && cano_commit_units(head, tail) + (int64_t)wanted <= (int64_t)m->ring.units)
        || atomic_load_explicit(&m->shared->shutdown, memory_order_relaxed) != 0;
}

/* On a full queue, wait a moment for getters that are awake; not if they have not moved since the last such wait was for
 * nothing. */
static bool await_room(cano_shared *q, size_t size)
{
    uint64_t units = cano_ring_units_of(size);
    const _Atomic uint64_t *head = &q->memory.shared->head;
    if (has_good_room(q, &units)) {
        return true;
    }
    if (atomic_load_explicit(head, memory_order_relaxed) == atomic_load_explicit(&q->stuck_at, memory_order_relaxed)) {
        return false;
    }
    const bool found = cano_shared_spin(q, has_good_room, &units, PAUSES);
    atomic_store_explicit(&q->stuck_at, found ? UINT64_MAX : atomic_load_explicit(head, memory_order_relaxed),
                          memory_order_relaxed);
    return found;
}

/* One message for the ring that could not be put at once: the lock was taken, or there was no room. */
static cano_status put_soon(cano_shared *q, const cano_slice *slice, int64_t deadline)
{
    if (!await_room(q, slice->size)) {
        return CANO_NOT_AT_ONCE;
    }
    cano_status status = cano_shared_acquire(q, &q->memory.put_lock, deadline);
    if (status == CANO_OK) {
        status = put_locked(q, slice->data, slice->size);
        const cano_status released = cano_shared_release(q, &q->memory.put_lock);
        status = released != CANO_OK ? released : status;
        cano_shared_after_put(q, 1);
    }
    return status;
}

/* ---- a batch for the ring, by a short way too ---- */

typedef struct weight {
    uint64_t units;
    uint64_t largest; /* units of the largest record: padding is less than that */
    uint64_t kept;    /* units to be left for those still to come */
} weight;

/* False: not all of it is for the ring, or it would not fit an empty queue. The long way knows. */
static bool weigh(const cano_shared *q, const cano_slice *slices, size_t count, weight *w)
{
    uint64_t bytes = 0;
    *w = (weight){ 0, 0, 0 };
    for (size_t i = 0; i < count; i++) {
        if (slices[i].size >= q->at_once_below) {
            return false;
        }
        const uint64_t units = cano_ring_units_of(slices[i].size);
        bytes += slices[i].size;
        w->units += units;
        w->largest = units > w->largest ? units : w->largest;
    }
    w->kept = kept_units(q, w->largest, (int64_t)q->memory.limits.max_items - (int64_t)count);
    return count <= q->memory.limits.max_items && bytes <= q->memory.limits.max_bytes
        && w->units + w->largest + w->kept + 1 <= q->memory.ring.units;
}

static bool has_room_for_all(const cano_shared *q, const weight *w, size_t count, uint64_t tail)
{
    const cano_queue_shared *s = q->memory.shared;
    const uint64_t head = atomic_load_explicit(&s->head_seen, memory_order_relaxed);
    const int64_t used = cano_commit_units(head, tail);
    return cano_commit_items(head, tail) + (int64_t)count <= (int64_t)q->memory.limits.max_items && used >= 0
        && (uint64_t)used + w->units + w->largest + w->kept + 1 <= q->memory.ring.units
        && atomic_load_explicit(&s->orphan_hint, memory_order_relaxed) == 0
        && atomic_load_explicit(&s->shutdown, memory_order_relaxed) == 0; /* stored under this lock */
}

static bool has_room_for_all_after_all(cano_shared *q, const weight *w, size_t count, uint64_t tail)
{
    cano_queue_shared *s = q->memory.shared;
    /* acquire: as in has_room_after_all */
    atomic_store_explicit(&s->head_seen, atomic_load_explicit(&s->head, memory_order_acquire), memory_order_relaxed);
    return has_room_for_all(q, w, count, tail);
}

/* The putters' lock is held. CANO_NOT_AT_ONCE: nothing was done. */
static cano_status put_all_locked(cano_shared *q, const cano_slice *slices, size_t count, const weight *w)
{
    const uint64_t tail = atomic_load_explicit(&q->memory.shared->tail, memory_order_relaxed);
    if (!may_put_at_once(q)
        || (!has_room_for_all(q, w, count, tail) && !has_room_for_all_after_all(q, w, count, tail))) {
        return CANO_NOT_AT_ONCE;
    }
    cano_ring_batch batch = cano_ring_begin(&q->memory.ring, cano_commit_position(tail));
    for (size_t i = 0; i < count; i++) {
        const size_t size = slices[i].size;
        cano_ring_expect(&q->memory.ring, batch.next, cano_ring_units_of(size));
        void *payload = cano_ring_append(&batch, CANO_RING_DATA, (uint32_t)size);
        if (size != 0) {
            memcpy(payload, slices[i].data, size);
        }
    }
    move_tail(q, tail, cano_ring_commit(&batch), count); /* in the commit it happens */
    return CANO_OK;
}

static cano_status put_all_soon(cano_shared *q, const cano_slice *slices, size_t count, int64_t deadline)
{
    weight w;
    if (!weigh(q, slices, count, &w)) {
        return CANO_NOT_AT_ONCE;
    }
    cano_status status = cano_shared_acquire(q, &q->memory.put_lock, deadline);
    if (status == CANO_OK) {
        status = put_all_locked(q, slices, count, &w);
        const cano_status released = cano_shared_release(q, &q->memory.put_lock);
        status = released != CANO_OK ? released : status;
        cano_shared_after_put(q, count);
    }
    return status;
}

cano_status cano_shared_put(cano_shared *q, const cano_slice *slices, size_t count, int64_t deadline)
{
    job j;
    cano_status status = CANO_NOT_AT_ONCE;
    if (count > 1) {
        status = put_all_soon(q, slices, count, deadline);
    } else if (deadline != 0 && slices->size < q->at_once_below) {
        status = put_soon(q, slices, deadline);
    }
    if (status != CANO_NOT_AT_ONCE) {
        return status;
    }
    status = job_begin(&j, slices, count);
    if (status == CANO_OK) {
        status = check_sizes(q, &j);
        if (status == CANO_OK) {
            status = run(q, &j, deadline);
            cano_arena_step_out(&q->memory.arena);
        }
        job_end(q, &j, status);
    }
    return status;
}

/* ---- in place ---- */

typedef struct reservation {
    uint64_t size;
    uint32_t page;
    cano_status status;
} reservation;

static bool try_reserve(cano_shared *q, void *context)
{
    reservation *r = context;
    r->status = cano_arena_take(&q->memory.arena, r->size, true, cano_os_now() + 1000, &r->page);
    return r->status != CANO_ETIMEOUT;
}

static cano_status reserve(cano_shared *q, reservation *r, int64_t deadline)
{
    cano_waiting w = { .deadline = deadline, .no_spin = true };
    while (!try_reserve(q, r)) {
        cano_arena_queue_up(&q->memory.arena);
        const cano_status status = cano_shared_wait(q, &w, &q->memory.shared->page_event, try_reserve, r);
        if (r->status != CANO_ETIMEOUT) {
            break;
        }
        if (status != CANO_OK) {
            return status;
        }
        if (is_shut(q)) {
            return CANO_ECLOSED;
        }
    }
    return r->status;
}

cano_status cano_shared_reserve(cano_shared *q, uint64_t size, void **memory, int64_t deadline)
{
    if (size > q->memory.limits.max_bytes) {
        return CANO_ETOOBIG;
    }
    if (is_shut(q)) {
        return CANO_ECLOSED;
    }
    cano_latch_close(&q->latch);
    cano_status status = cano_views_prepare(&q->views);
    cano_latch_open(&q->latch);
    if (status != CANO_OK) {
        return status;
    }
    reservation r = { size, CANO_NO_PAGE, CANO_ETIMEOUT };
    status = reserve(q, &r, deadline);
    cano_arena_step_out(&q->memory.arena);
    void *room_for_it = q->memory.arena.pages + r.page * q->memory.arena.page_size;
    cano_latch_close(&q->latch);
    if (status == CANO_OK) {
        cano_views_add(&q->views, (cano_view){ room_for_it, size, r.page, CANO_VIEW_RESERVED });
    } else {
        cano_views_drop(&q->views);
    }
    cano_latch_open(&q->latch);
    if (status == CANO_OK) {
        *memory = room_for_it;
    }
    return status;
}

/* Take a reservation off the list, keeping the promise of a place in it. */
static bool claim_reservation(cano_shared *q, const void *memory, cano_view *view)
{
    cano_latch_close(&q->latch);
    const bool found = cano_views_remove(&q->views, memory, true, view);
    q->views.promised += found;
    cano_latch_open(&q->latch);
    return found;
}

static void settle_reservation(cano_shared *q, cano_view view, bool stays)
{
    cano_latch_close(&q->latch);
    if (stays) {
        cano_views_add(&q->views, view);
    } else {
        cano_views_drop(&q->views);
    }
    cano_latch_open(&q->latch);
}

cano_status cano_shared_commit(cano_shared *q, void *memory, uint64_t size, int64_t deadline)
{
    cano_view view;
    if (!claim_reservation(q, memory, &view)) {
        return CANO_EINVAL;
    }
    cano_status status = CANO_ETOOBIG;
    if (size <= view.size) {
        const cano_slice slice = { memory, (size_t)size };
        job j;
        job_begin(&j, &slice, 1);
        j.pages[0] = view.page;
        j.is_reserved = true;
        status = run(q, &j, deadline);
        job_end(q, &j, status);
    }
    settle_reservation(q, view, status != CANO_OK);
    return status;
}

void cano_shared_cancel(cano_shared *q, void *memory)
{
    cano_view view;
    if (claim_reservation(q, memory, &view)) {
        cano_arena_free(&q->memory.arena, view.page);
        settle_reservation(q, view, false);
    }
}
