/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory as an engine: every call is entered and left, so that close knows who is inside, a forked child attaches anew,
 * and damage that was found closes the handle to further use.
 */
#include "shared_queue.h"

static cano_shared *of(cano_queue *queue)
{
    return (cano_shared *)queue;
}

static cano_status end(cano_shared *q, cano_status status)
{
    if (status == CANO_ECORRUPT) {
        cano_shared_refuse(q);
    }
    cano_shared_leave(q);
    return status;
}

static void close_it(cano_queue *queue)
{
    cano_shared_close(of(queue));
}

static void release(cano_queue *queue, cano_item *item)
{
    if (cano_shared_enter(of(queue)) == CANO_OK) {
        cano_shared_release_view(of(queue), item);
        cano_shared_leave(of(queue));
    }
}

static void cancel(cano_queue *queue, void *memory)
{
    if (cano_shared_enter(of(queue)) == CANO_OK) {
        cano_shared_cancel(of(queue), memory);
        cano_shared_leave(of(queue));
    }
}

static cano_status put(cano_queue *queue, const cano_slice *slices, size_t count, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_put(of(queue), slices, count, deadline)) : status;
}

static cano_status get(cano_queue *queue, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_get(of(queue), buffer, capacity, size, deadline)) : status;
}

static cano_status get_many(cano_queue *queue, cano_item *items, size_t count, size_t *got, void *buffer, uint64_t capacity,
                            int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_get_many(of(queue), items, count, got, buffer, capacity, deadline)) : status;
}

static cano_status peek(cano_queue *queue, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_peek(of(queue), buffer, capacity, size, deadline)) : status;
}

static cano_status take(cano_queue *queue, cano_item *item, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_take(of(queue), item, deadline)) : status;
}

static cano_status reserve(cano_queue *queue, uint64_t size, void **memory, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_reserve(of(queue), size, memory, deadline)) : status;
}

static cano_status commit(cano_queue *queue, void *memory, uint64_t size, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_commit(of(queue), memory, size, deadline)) : status;
}

static cano_status qsize(cano_queue *queue, uint64_t *items)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_qsize(of(queue), items)) : status;
}

static cano_status lock(cano_queue *queue, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_lock(of(queue), deadline)) : status;
}

static cano_status unlock(cano_queue *queue)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_unlock(of(queue))) : status;
}

static cano_status shut_down(cano_queue *queue, bool immediate)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_shutdown(of(queue), immediate)) : status;
}

static cano_status picture(cano_queue *queue, cano_queue_info *info)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_stat(of(queue), info)) : status;
}

static cano_status native(cano_queue *queue, cano_native *native)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_native(of(queue), native)) : status;
}

static cano_status ready(cano_queue *queue, bool *ready)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_arm_bell(of(queue), ready)) : status;
}

static cano_status task_done(cano_queue *queue, const cano_item *item)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_task_done(of(queue), item)) : status;
}

static cano_status give_back(cano_queue *queue, const cano_item *item, int64_t delay)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_give_back(of(queue), item, delay)) : status;
}

static cano_status join(cano_queue *queue, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_join(of(queue), deadline)) : status;
}

static cano_status unfinished(cano_queue *queue, uint64_t *count)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_unfinished(of(queue), count)) : status;
}

static cano_status dead_get(cano_queue *queue, cano_item *item, int64_t deadline)
{
    const cano_status status = cano_shared_enter(of(queue));
    return status == CANO_OK ? end(of(queue), cano_shared_dead_get(of(queue), item, deadline)) : status;
}

const cano_engine cano_shared_engine = {
    .version = CANO_ENGINE_VERSION,
    .close = close_it,
    .release = release,
    .cancel = cancel,
    .put = put,
    .get = get,
    .get_many = get_many,
    .peek = peek,
    .take = take,
    .reserve = reserve,
    .commit = commit,
    .qsize = qsize,
    .lock = lock,
    .unlock = unlock,
    .shutdown = shut_down,
    .stat = picture,
    .native = native,
    .ready = ready,
    .task_done = task_done,
    .give_back = give_back,
    .join = join,
    .unfinished = unfinished,
    .dead_get = dead_get,
    .put_at_once = cano_shared_put_at_once,
    .get_at_once = cano_shared_get_at_once,
};
