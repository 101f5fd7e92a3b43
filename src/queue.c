/* SPDX-License-Identifier: Apache-2.0 */
#include "deadline.h"
#include "engine.h"
#include "name.h"
#include "options.h"
#include "os.h"
#include "queue.h"
#include "segment.h"
#include "shared_queue.h"

#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

cano_status cano_queue_options_read(const cano_queue_options *given, cano_queue_options *options)
{
    *options = (cano_queue_options)CANO_QUEUE_OPTIONS_INIT;
    if (given == NULL) {
        return CANO_OK;
    }
    const cano_status status = cano_options_check(given, sizeof *options);
    if (status != CANO_OK) {
        return status;
    }
    memcpy(options, given, sizeof *options);
    const bool known = options->scope <= CANO_THREADS && (options->flags & ~(uint32_t)(CANO_KEPT_FLAGS | CANO_OPEN_EXISTING)) == 0
        && options->role <= (CANO_PUTTER | CANO_GETTER) && options->access <= CANO_ACCESS_EVERYONE && options->reserved == 0;
    return known ? CANO_OK : CANO_EINVAL;
}

/* ---- create, open ---- */

static bool is_url(const char *name)
{
    return name != NULL && strstr(name, "://") != NULL;
}

cano_status cano_queue_create(cano_queue **queue, const char *name, const cano_queue_options *given)
{
    cano_queue_options options;
    const cano_status status = queue != NULL ? cano_queue_options_read(given, &options) : CANO_EINVAL;
    if (status != CANO_OK) {
        return status;
    }
    return is_url(name) ? CANO_ENOTSUP : cano_shared_create(queue, name, &options);
}

cano_status cano_queue_open(cano_queue **queue, const char *name, const cano_queue_options *given)
{
    cano_queue_options options;
    const cano_status status = queue != NULL && name != NULL ? cano_queue_options_read(given, &options) : CANO_EINVAL;
    if (status != CANO_OK) {
        return status;
    }
    return is_url(name) ? CANO_ENOTSUP : cano_shared_open(queue, name, &options);
}

void cano_queue_close(cano_queue *queue)
{
    if (queue != NULL) {
        queue->engine->close(queue);
    }
}

cano_status cano_queue_unlink(const char *name)
{
    char path[CANO_OS_PATH_MAX];
    const cano_status status = cano_name_path(name, path);
    return status == CANO_OK ? cano_segment_unlink(path) : status;
}

/* ---- a call: check, convert, call ---- */

static bool may_put(const cano_queue *queue)
{
    return queue != NULL && queue->role != CANO_GETTER;
}

static bool may_get(const cano_queue *queue)
{
    return queue != NULL && queue->role != CANO_PUTTER;
}

cano_status cano_queue_put(cano_queue *queue, const void *data, size_t size, cano_timeout timeout)
{
    if (!may_put(queue) || (data == NULL && size != 0) || timeout < CANO_FOREVER) {
        return CANO_EINVAL;
    }
    if (queue->engine->put_at_once != NULL) {
        const cano_status status = queue->engine->put_at_once(queue, data, size);
        if (status != CANO_NOT_AT_ONCE) {
            return status;
        }
    }
    const cano_slice slice = { data, size };
    int64_t deadline;
    const cano_status status = cano_deadline(timeout, &deadline);
    return status == CANO_OK ? queue->engine->put(queue, &slice, 1, deadline) : status;
}

static bool are_slices(const cano_slice *slices, size_t count)
{
    for (size_t i = 0; slices != NULL && i < count; i++) {
        if (slices[i].data == NULL && slices[i].size != 0) {
            return false;
        }
    }
    return slices != NULL;
}

cano_status cano_queue_put_many(cano_queue *queue, const cano_slice *slices, size_t count, cano_timeout timeout)
{
    int64_t deadline;
    if (!may_put(queue) || (count != 0 && !are_slices(slices, count))) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_deadline(timeout, &deadline);
    return status == CANO_OK && count != 0 ? queue->engine->put(queue, slices, count, deadline) : status;
}

typedef cano_status (*reader)(cano_queue *, void *, uint64_t, uint64_t *, int64_t);

/* get and peek: the size is told with CANO_ETOOBIG too. */
static cano_status read_one(cano_queue *queue, reader read, void *buffer, size_t capacity, size_t *size, cano_timeout timeout)
{
    int64_t deadline;
    if (buffer == NULL && capacity != 0) {
        return CANO_EINVAL;
    }
    cano_status status = cano_deadline(timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    uint64_t bytes = 0;
    status = read != NULL ? read(queue, buffer, capacity, &bytes, deadline) : CANO_ENOTSUP;
    if (size != NULL && (status == CANO_OK || status == CANO_ETOOBIG)) {
        *size = (size_t)bytes;
    }
    return status;
}

cano_status cano_queue_get(cano_queue *queue, void *buffer, size_t capacity, size_t *size, cano_timeout timeout)
{
    if (!may_get(queue) || timeout < CANO_FOREVER || (buffer == NULL && capacity != 0)) {
        return CANO_EINVAL;
    }
    if (queue->engine->get_at_once != NULL) {
        const cano_status status = queue->engine->get_at_once(queue, buffer, capacity, size);
        if (status != CANO_NOT_AT_ONCE) {
            return status;
        }
    }
    return read_one(queue, queue->engine->get, buffer, capacity, size, timeout);
}

cano_status cano_queue_peek(cano_queue *queue, void *buffer, size_t capacity, size_t *size, cano_timeout timeout)
{
    return may_get(queue) ? read_one(queue, queue->engine->peek, buffer, capacity, size, timeout) : CANO_EINVAL;
}

/* Get with memory of the right size: a first guess, then what the message says it needs, which another getter may take. */
static cano_status get_alloc(cano_queue *queue, void **data, uint64_t *size, int64_t deadline)
{
    for (size_t capacity = 256;;) {
        void *memory = malloc(capacity);
        if (memory == NULL) {
            return CANO_ENOMEM;
        }
        const cano_status status = queue->engine->get(queue, memory, capacity, size, deadline);
        if (status == CANO_OK) {
            *data = memory;
            return CANO_OK;
        }
        free(memory);
        if (status != CANO_ETOOBIG) {
            return status;
        }
        capacity = (size_t)*size;
    }
}

cano_status cano_queue_get_alloc(cano_queue *queue, void **data, size_t *size, cano_timeout timeout)
{
    int64_t deadline;
    if (!may_get(queue) || data == NULL || size == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = cano_deadline(timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    uint64_t bytes = 0;
    status = get_alloc(queue, data, &bytes, deadline);
    if (status == CANO_OK) {
        *size = (size_t)bytes;
    }
    return status;
}

cano_status cano_queue_get_many(cano_queue *queue, cano_item *items, size_t count, size_t *got, void *buffer, size_t capacity,
                                cano_timeout timeout)
{
    int64_t deadline;
    if (!may_get(queue) || items == NULL || count == 0 || got == NULL || (buffer == NULL && capacity != 0)) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_deadline(timeout, &deadline);
    return status == CANO_OK ? queue->engine->get_many(queue, items, count, got, buffer, capacity, deadline) : status;
}

cano_status cano_queue_qsize(cano_queue *queue, size_t *size)
{
    if (queue == NULL || size == NULL) {
        return CANO_EINVAL;
    }
    uint64_t items = 0;
    const cano_status status = queue->engine->qsize(queue, &items);
    if (status == CANO_OK) {
        *size = (size_t)items;
    }
    return status;
}

cano_status cano_queue_empty(cano_queue *queue, bool *empty)
{
    size_t size;
    const cano_status status = empty != NULL ? cano_queue_qsize(queue, &size) : CANO_EINVAL;
    if (status == CANO_OK) {
        *empty = size == 0;
    }
    return status;
}

cano_status cano_queue_full(cano_queue *queue, bool *full)
{
    size_t size;
    const cano_status status = full != NULL ? cano_queue_qsize(queue, &size) : CANO_EINVAL;
    if (status == CANO_OK) {
        *full = size >= queue->max_items;
    }
    return status;
}

cano_status cano_queue_lock(cano_queue *queue, cano_timeout timeout)
{
    int64_t deadline;
    const cano_status status = queue != NULL ? cano_deadline(timeout, &deadline) : CANO_EINVAL;
    if (status != CANO_OK) {
        return status;
    }
    return queue->engine->lock != NULL ? queue->engine->lock(queue, deadline) : CANO_ENOTSUP;
}

cano_status cano_queue_unlock(cano_queue *queue)
{
    if (queue == NULL) {
        return CANO_EINVAL;
    }
    return queue->engine->unlock != NULL ? queue->engine->unlock(queue) : CANO_ENOTSUP;
}

cano_status cano_queue_shutdown(cano_queue *queue, bool immediate)
{
    return queue != NULL ? queue->engine->shutdown(queue, immediate) : CANO_EINVAL;
}

cano_status cano_queue_stat(cano_queue *queue, cano_queue_info *info)
{
    if (queue == NULL || info == NULL || info->size < sizeof *info || info->size > CANO_OPTIONS_MAX) {
        return CANO_EINVAL;
    }
    return queue->engine->stat(queue, info);
}

cano_status cano_queue_native(cano_queue *queue, cano_native *native)
{
    if (queue == NULL || native == NULL) {
        return CANO_EINVAL;
    }
    return queue->engine->native != NULL ? queue->engine->native(queue, native) : CANO_ENOTSUP;
}

cano_status cano_queue_ready(cano_queue *queue, bool *ready)
{
    return queue->engine->ready != NULL ? queue->engine->ready(queue, ready) : CANO_ENOTSUP;
}

cano_status cano_queue_reserve(cano_queue *queue, size_t size, void **memory, cano_timeout timeout)
{
    int64_t deadline;
    if (!may_put(queue) || memory == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_deadline(timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    return queue->engine->reserve != NULL ? queue->engine->reserve(queue, size, memory, deadline) : CANO_ENOTSUP;
}

cano_status cano_queue_commit(cano_queue *queue, void *memory, size_t size, cano_timeout timeout)
{
    int64_t deadline;
    if (queue == NULL || memory == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_deadline(timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    return queue->engine->commit != NULL ? queue->engine->commit(queue, memory, size, deadline) : CANO_ENOTSUP;
}

void cano_queue_cancel(cano_queue *queue, void *memory)
{
    if (queue != NULL && memory != NULL && queue->engine->cancel != NULL) {
        queue->engine->cancel(queue, memory);
    }
}

cano_status cano_queue_take(cano_queue *queue, cano_item *item, cano_timeout timeout)
{
    int64_t deadline;
    if (!may_get(queue) || item == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_deadline(timeout, &deadline);
    return status == CANO_OK ? queue->engine->take(queue, item, deadline) : status;
}

void cano_queue_release(cano_queue *queue, cano_item *item)
{
    if (queue != NULL && item != NULL && item->data != NULL && !queue->joinable) {
        queue->engine->release(queue, item);
    }
}
