/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue's body in shared memory: a participant, and what it can do. The public calls (queue.c, joinable_queue.c) check
 * and convert; everything below works with deadlines.
 *
 *     shared_engine.c  the engine's table: enter, call, leave
 *     shared_open.c    create, open, hand to others
 *     participant.c    attach, fork, close; entering and leaving a call
 *     shared_queue.c   waiting; sizes, lock, shutdown, stat, the native handle
 *     shared_put.c     put, put_many, reserve, commit, cancel
 *     shared_get.c     get, get_many, take, peek, release, dead_get
 *     shared_task.c    task_done, give_back, join
 *     held.c           what this process remembers of tasks and views it holds
 */
#ifndef CANO_SHARED_QUEUE_H
#define CANO_SHARED_QUEUE_H

#include "engine.h"
#include "held.h"
#include "latch.h"
#include "queue.h"
#include "queue_memory.h"

typedef struct cano_shared {
    cano_queue base;
    cano_queue_memory memory;
    cano_presence presence;
    _Atomic bool refuses; /* broken or closing: one look on the way in */
    _Atomic bool broken;  /* ECORRUPT was found: refuse everything */
    _Atomic bool closing;
    _Atomic uint32_t kept;    /* threads of ours inside lock(), or asleep with one of the two locks */
    _Atomic uintptr_t locker; /* that thread */
    uint32_t depth;           /* how often it called lock; its own */
    _Atomic uint32_t self;      /* cano_os_self() of the process that attached */
    _Atomic uint32_t following; /* cano_os_self() of the forked child whose thread is attaching anew */
    cano_os_handle lease;
    _Atomic cano_os_handle bell; /* CANO_OS_NONE: nobody asked for the native handle */
    _Atomic uint32_t spins; /* how long it is worth looking before sleeping: learnt */
    _Atomic uint32_t calls; /* of get and its like, about */
    uint64_t at_once_below; /* messages of fewer bytes are put at once when nothing stands against it */
    uint64_t at_once_kept;  /* ring units that a message larger than its share must leave */
    _Atomic uint64_t stuck_at; /* head, when waiting a moment for room was no use */
    cano_latch latch;    /* guards held, views */
    cano_held held;
    cano_views views;
    cano_queue_place child; /* taken for the child at a fork */
    struct cano_shared *next; /* all open handles of this process, for fork */
} cano_shared;

#define CANO_KEPT_FLAGS (CANO_JOINABLE | CANO_END_WHEN_NO_PUTTER | CANO_SINGLE_PUTTER | CANO_SINGLE_GETTER)

/* ---- queue.c: options as given, or the defaults; the options that are there are sensible each by itself ---- */
cano_status cano_queue_options_read(const cano_queue_options *given, cano_queue_options *options);

/* ---- shared_open.c ---- */
cano_status cano_shared_create(cano_queue **queue, const char *name, const cano_queue_options *options);
cano_status cano_shared_open(cano_queue **queue, const char *name, const cano_queue_options *options);

/* ---- participant.c ---- */

/* Make a handle for a checked segment, owning it and the place's lease, also on failure, and attach. place: taken by the parent,
 * or NULL. */
cano_status cano_shared_attach(cano_shared **queue, const cano_os_segment *segment, uint32_t role, const cano_queue_place *place);
void cano_shared_count_putter(cano_shared *queue, uint32_t role);
cano_status cano_shared_take_place(cano_shared *queue, uint32_t role, int64_t patience, cano_queue_place *place);
void cano_shared_close(cano_shared *queue);

/* Every call on a handle lies between these. CANO_ECORRUPT, CANO_ECLOSED, and what attaching in a forked child may give. */
cano_status cano_shared_enter_slow(cano_shared *queue);

/* The usual way in: this thread's seat, taken. NULL: cano_shared_enter_slow knows why. */
static inline cano_seat *cano_shared_sit(cano_shared *queue)
{
    cano_seat *seat = cano_presence_seat(&queue->presence);
    /* acquire: pairs with the release of another thread of a forked child that has attached anew */
    const bool ours = atomic_load_explicit(&queue->self, memory_order_acquire) == cano_os_self();
    if (seat == NULL || !ours || atomic_load_explicit(&queue->refuses, memory_order_relaxed)) {
        return NULL;
    }
    /* release: before any swap of a lock word to our name; see presence.h */
    cano_seat_set(seat, CANO_ACTIVE);
    return seat;
}

static inline cano_status cano_shared_enter(cano_shared *queue)
{
    return cano_shared_sit(queue) != NULL ? CANO_OK : cano_shared_enter_slow(queue);
}

static inline void cano_shared_leave(cano_shared *queue)
{
    cano_presence_set(&queue->presence, CANO_AWAY);
}

/* Remember damage: this handle refuses further use. */
CANO_SELDOM void cano_shared_refuse(cano_shared *queue);

/* And the usual way out. */
static inline void cano_shared_stand_up(cano_shared *queue, cano_seat *seat, cano_status status)
{
    if (status == CANO_ECORRUPT) {
        cano_shared_refuse(queue);
    }
    cano_seat_set(seat, CANO_AWAY); /* behind the swap of the lock word; see presence.h */
}

static inline bool cano_shared_in_lock(const cano_shared *queue)
{
    /* relaxed: only this thread ever stores its own number here */
    return atomic_load_explicit(&queue->locker, memory_order_relaxed) == cano_thread_self();
}

/* One of the two ring locks, unless this thread holds both by lock(). At least 1 ms of patience. */
cano_status cano_shared_acquire(cano_shared *queue, const cano_lock *lock, int64_t deadline);
cano_status cano_shared_release(cano_shared *queue, const cano_lock *lock);

/* ---- waiting (shared_queue.c) ---- */

typedef struct cano_waiting {
    int64_t deadline;
    int64_t slice; /* 0: has not slept yet */
    bool looked;   /* asked for the dead since the last sleep */
    bool slept;
    bool spun;    /* has just looked again and again; sleep now */
    bool no_spin; /* the question is dear */
} cano_waiting;

/* Something may have changed: look again (CANO_OK); CANO_ETIMEOUT; CANO_ECLOSED: the handle is being closed. changed is a
 * cheap question without locks. */
typedef bool (*cano_question)(cano_shared *queue, void *context);
cano_status cano_shared_wait(cano_shared *queue, cano_waiting *waiting, cano_event *event, cano_question changed, void *context);

/* Look again for a while, for as long as that has been worth it, with that many pauses between two looks. True: it has changed.
 * False inside lock(): nothing can. */
bool cano_shared_spin(cano_shared *queue, cano_question changed, void *context, uint32_t pauses);

/* Something can be got now, as seen without a lock. */
bool cano_shared_has_items(cano_shared *queue);

/* So, or the queue was shut down and nothing is delayed. */
bool cano_shared_has_news(cano_shared *queue);

/* The end: shut down, or the last putter has left, and nothing is delayed. Ask before looking for items. */
bool cano_shared_has_ended(cano_shared *queue);

/* After a get that freed room, after a put that made a message: wake who waits for it. */
CANO_SELDOM void cano_shared_wake_putters(cano_shared *queue, uint64_t head, bool returned);

static inline void cano_shared_after_get(cano_shared *queue, uint64_t head, bool returned)
{
    cano_queue_shared *shared = queue->memory.shared;
    if (cano_event_is_armed(&shared->room_event) || cano_event_is_armed(&shared->page_event)) {
        cano_shared_wake_putters(queue, head, returned);
    }
}

static inline void cano_shared_after_put(cano_shared *queue, size_t count)
{
    cano_queue_memory_wake_getters(&queue->memory, count > 1 ? UINT32_MAX : 1);
}

cano_status cano_shared_qsize(cano_shared *queue, uint64_t *items);
cano_status cano_shared_unfinished(cano_shared *queue, uint64_t *count);
cano_status cano_shared_stat(cano_shared *queue, cano_queue_info *info);
cano_status cano_shared_lock(cano_shared *queue, int64_t deadline);
cano_status cano_shared_unlock(cano_shared *queue);
cano_status cano_shared_shutdown(cano_shared *queue, bool immediate);
cano_status cano_shared_native(cano_shared *queue, cano_native *native);
cano_status cano_shared_arm_bell(cano_shared *queue, bool *ready);

/* ---- shared_put.c ---- */
cano_status cano_shared_put_at_once(cano_queue *queue, const void *data, size_t size); /* the whole call, entered and left */
cano_status cano_shared_put(cano_shared *queue, const cano_slice *slices, size_t count, int64_t deadline);
cano_status cano_shared_reserve(cano_shared *queue, uint64_t size, void **memory, int64_t deadline);
cano_status cano_shared_commit(cano_shared *queue, void *memory, uint64_t size, int64_t deadline);
void cano_shared_cancel(cano_shared *queue, void *memory);

/* ---- shared_get.c ---- */
cano_status cano_shared_get_at_once(cano_queue *queue, void *buffer, uint64_t capacity, size_t *size); /* likewise */
cano_status cano_shared_get(cano_shared *queue, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline);
cano_status cano_shared_peek(cano_shared *queue, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline);
cano_status cano_shared_get_many(cano_shared *queue, cano_item *items, size_t count, size_t *got, void *buffer, uint64_t capacity,
                                 int64_t deadline);
cano_status cano_shared_take(cano_shared *queue, cano_item *item, int64_t deadline);
void cano_shared_release_view(cano_shared *queue, cano_item *item);
cano_status cano_shared_dead_get(cano_shared *queue, cano_item *item, int64_t deadline);

/* ---- shared_task.c ---- */
cano_status cano_shared_task_done(cano_shared *queue, const cano_item *item);
cano_status cano_shared_give_back(cano_shared *queue, const cano_item *item, int64_t delay);
cano_status cano_shared_join(cano_shared *queue, int64_t deadline);

/* Is everything done, or dead? Without a lock. */
bool cano_shared_is_done(cano_shared *queue);

#endif
