/* SPDX-License-Identifier: Apache-2.0 */
#include "deadline.h"
#include "geometry.h"
#include "name.h"
#include "options.h"
#include "segment.h"
#include "shared_queue.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_ITEMS 1024
#define DEFAULT_BYTES 524288
#define DEFAULT_PARTICIPANTS 64
#define DEFAULT_LEASES 256
#define PATIENCE 5000000 /* microseconds for attaching a child: the guard's holder may be stopped */

#define KEPT_FLAGS (CANO_JOINABLE | CANO_END_WHEN_NO_PUTTER | CANO_SINGLE_PUTTER | CANO_SINGLE_GETTER)

/* ---- options ---- */

static cano_status read_options(const cano_queue_options *given, cano_queue_options *options)
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
    const bool known = options->scope <= CANO_THREADS && (options->flags & ~(uint32_t)(KEPT_FLAGS | CANO_OPEN_EXISTING)) == 0
        && options->role <= (CANO_PUTTER | CANO_GETTER) && options->access <= CANO_ACCESS_EVERYONE && options->reserved == 0;
    return known ? CANO_OK : CANO_EINVAL;
}

static cano_queue_limits limits_of(const cano_queue_options *options)
{
    cano_queue_limits limits = { 0 };
    const bool joinable = (options->flags & CANO_JOINABLE) != 0;
    limits.max_items = options->max_items != 0 ? options->max_items : DEFAULT_ITEMS;
    limits.max_bytes = options->max_bytes != 0 ? options->max_bytes : DEFAULT_BYTES;
    limits.flags = options->flags & KEPT_FLAGS;
    limits.max_participants = options->max_participants != 0 ? options->max_participants : DEFAULT_PARTICIPANTS;
    limits.max_leases = !joinable ? 0 : options->max_leases != 0 ? options->max_leases : DEFAULT_LEASES;
    limits.max_deliveries = joinable ? options->max_deliveries : 0;
    limits.access = options->access;
    return limits;
}

static bool asks_nonsense(const cano_queue_options *options)
{
    return (options->flags & CANO_JOINABLE) == 0 && (options->max_leases != 0 || options->max_deliveries != 0);
}

/* Does a queue that is there agree with what is asked for? 0 asks for nothing. */
static cano_status compare(const cano_queue_limits *have, const cano_queue_options *want)
{
    const uint32_t flags = want->flags & KEPT_FLAGS;
    if ((flags & CANO_JOINABLE) != 0 && (have->flags & CANO_JOINABLE) == 0) {
        return CANO_EKIND;
    }
    const bool same = (flags & ~have->flags) == 0 && (want->max_items == 0 || want->max_items == have->max_items)
        && (want->max_bytes == 0 || want->max_bytes == have->max_bytes)
        && (want->max_participants == 0 || want->max_participants == have->max_participants)
        && (want->max_leases == 0 || want->max_leases == have->max_leases)
        && (want->max_deliveries == 0 || want->max_deliveries == have->max_deliveries);
    return same ? CANO_OK : CANO_EEXIST;
}

/* ---- create, open ---- */

static void fill(cano_os_segment *segment, void *context)
{
    cano_queue_memory memory = { .segment = *segment };
    cano_queue_memory_map(&memory, context);
    cano_queue_memory_init(&memory);
}

static cano_status create_new(cano_queue **queue, const char *name, const cano_queue_options *options)
{
    cano_queue_limits limits = limits_of(options);
    cano_geometry geometry;
    cano_status status = cano_geometry_of(&limits, &geometry);
    if (status != CANO_OK) {
        return status;
    }
    cano_os_segment segment;
    status = cano_segment_make(&segment, name, (size_t)geometry.size, options->scope == CANO_PROCESSES, CANO_KIND_QUEUE,
                               options->access, fill, &limits);
    return status == CANO_OK ? cano_shared_attach(queue, &segment, options->role, NULL) : status;
}

static cano_status open_there(cano_queue **queue, const char *name, const cano_queue_options *options, bool exact)
{
    cano_os_segment segment;
    cano_status status =
        cano_segment_open(&segment, name, CANO_KIND_QUEUE, sizeof(cano_queue_shared), options->access);
    if (status != CANO_OK) {
        return status;
    }
    cano_queue_limits limits;
    memcpy(&limits, &((const cano_queue_shared *)(const void *)segment.base)->limits, sizeof limits);
    status = compare(&limits, options);
    if (status == CANO_OK && exact && (options->flags & CANO_JOINABLE) == 0 && (limits.flags & CANO_JOINABLE) != 0) {
        status = CANO_EKIND;
    }
    if (status != CANO_OK) {
        cano_os_segment_close(&segment);
        return status;
    }
    return cano_shared_attach(queue, &segment, options->role, NULL);
}

static bool is_url(const char *name)
{
    return name != NULL && strstr(name, "://") != NULL;
}

cano_status cano_queue_create(cano_queue **queue, const char *name, const cano_queue_options *given)
{
    cano_queue_options options;
    if (queue == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = read_options(given, &options);
    if (status != CANO_OK) {
        return status;
    }
    if (asks_nonsense(&options) || (name != NULL && options.scope == CANO_THREADS)) {
        return CANO_EINVAL;
    }
    if (is_url(name)) {
        return CANO_ENOTSUP;
    }
    if (name == NULL || (options.flags & CANO_OPEN_EXISTING) == 0) {
        return create_new(queue, name, &options);
    }
    /* what is there may go, and come, between the two: a few rounds */
    status = CANO_ENOENT;
    for (int round = 0; round < 100 && (status == CANO_ENOENT || status == CANO_EEXIST); round++) {
        status = open_there(queue, name, &options, true);
        if (status != CANO_ENOENT) {
            return status;
        }
        status = create_new(queue, name, &options);
    }
    return status;
}

cano_status cano_queue_open(cano_queue **queue, const char *name, const cano_queue_options *given)
{
    cano_queue_options options;
    if (queue == NULL || name == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = read_options(given, &options);
    if (status != CANO_OK) {
        return status;
    }
    if (options.scope == CANO_THREADS) {
        return CANO_EINVAL;
    }
    return is_url(name) ? CANO_ENOTSUP : open_there(queue, name, &options, false);
}

void cano_queue_close(cano_queue *queue)
{
    if (queue != NULL) {
        cano_shared_close(queue);
    }
}

cano_status cano_queue_unlink(const char *name)
{
    char path[CANO_OS_PATH_MAX];
    const cano_status status = cano_name_path(name, path);
    return status == CANO_OK ? cano_os_segment_unlink(path, NULL) : status;
}

/* ---- handing on ---- */

cano_status cano_queue_segment_handle(cano_queue *queue, cano_os_handle *segment)
{
    if (!queue->memory.segment.shared) {
        return CANO_EINVAL;
    }
    *segment = queue->memory.segment.handle;
    return CANO_OK;
}

cano_status cano_queue_place_take(cano_queue *queue, uint32_t role, cano_queue_place *place)
{
    if (role > (CANO_PUTTER | CANO_GETTER) || !queue->memory.segment.shared) {
        return CANO_EINVAL;
    }
    cano_status status = cano_shared_enter(queue);
    if (status == CANO_OK) {
        status = cano_shared_take_place(queue, role, PATIENCE, place);
        cano_shared_leave(queue);
    }
    return status;
}

cano_status cano_queue_adopt(cano_queue **queue, cano_os_handle handle, const cano_queue_place *place,
                             const cano_queue_options *given)
{
    cano_queue_options options;
    cano_os_segment segment;
    cano_status status = read_options(given, &options);
    if (status != CANO_OK) {
        cano_os_close(handle);
    } else {
        status = cano_segment_adopt(&segment, handle, CANO_KIND_QUEUE, sizeof(cano_queue_shared));
    }
    if (status != CANO_OK) {
        if (place != NULL) {
            cano_os_lease_drop(place->lease);
        }
        return status;
    }
    return cano_shared_attach(queue, &segment, options.role, place);
}

/* ---- a call: check, convert, enter, call, leave ---- */

static bool may_put(const cano_queue *queue)
{
    return queue->role != CANO_GETTER;
}

static bool may_get(const cano_queue *queue)
{
    return queue->role != CANO_PUTTER;
}

/* Begin a call with a time-out. */
static cano_status begin(cano_queue *queue, cano_timeout timeout, int64_t *deadline)
{
    const cano_status status = cano_deadline(timeout, deadline);
    return status == CANO_OK ? cano_shared_enter(queue) : status;
}

static cano_status end(cano_queue *queue, cano_status status)
{
    cano_shared_check(queue, status);
    cano_shared_leave(queue);
    return status;
}

cano_status cano_queue_put(cano_queue *queue, const void *data, size_t size, cano_timeout timeout)
{
    const cano_slice slice = { data, size };
    return cano_queue_put_many(queue, &slice, 1, timeout);
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
    if (queue == NULL || !may_put(queue) || (count != 0 && !are_slices(slices, count))) {
        return CANO_EINVAL;
    }
    cano_status status = begin(queue, timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    status = count != 0 ? cano_shared_put(queue, slices, count, deadline) : CANO_OK;
    return end(queue, status);
}

cano_status cano_queue_get(cano_queue *queue, void *buffer, size_t capacity, size_t *size, cano_timeout timeout)
{
    int64_t deadline;
    if (queue == NULL || !may_get(queue) || (buffer == NULL && capacity != 0)) {
        return CANO_EINVAL;
    }
    cano_status status = begin(queue, timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    uint64_t bytes = 0;
    status = cano_shared_get(queue, buffer, capacity, &bytes, deadline);
    if (size != NULL && (status == CANO_OK || status == CANO_ETOOBIG)) {
        *size = (size_t)bytes;
    }
    return end(queue, status);
}

/* Get with memory of the right size: a first guess, then what the message says it needs, which another getter may take. */
static cano_status get_alloc(cano_queue *queue, void **data, uint64_t *size, int64_t deadline)
{
    for (size_t capacity = 256;;) {
        void *memory = malloc(capacity);
        if (memory == NULL) {
            return CANO_ENOMEM;
        }
        const cano_status status = cano_shared_get(queue, memory, capacity, size, deadline);
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
    if (queue == NULL || !may_get(queue) || data == NULL || size == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = begin(queue, timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    uint64_t bytes = 0;
    status = get_alloc(queue, data, &bytes, deadline);
    if (status == CANO_OK) {
        *size = (size_t)bytes;
    }
    return end(queue, status);
}

cano_status cano_queue_get_many(cano_queue *queue, cano_item *items, size_t count, size_t *got, void *buffer, size_t capacity,
                                cano_timeout timeout)
{
    int64_t deadline;
    const bool good = items != NULL && count != 0 && got != NULL && (buffer != NULL || capacity == 0);
    if (queue == NULL || !may_get(queue) || !good) {
        return CANO_EINVAL;
    }
    const cano_status status = begin(queue, timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    return end(queue, cano_shared_get_many(queue, items, count, got, buffer, capacity, deadline));
}

cano_status cano_queue_peek(cano_queue *queue, void *buffer, size_t capacity, size_t *size, cano_timeout timeout)
{
    int64_t deadline;
    if (queue == NULL || !may_get(queue) || (buffer == NULL && capacity != 0)) {
        return CANO_EINVAL;
    }
    cano_status status = begin(queue, timeout, &deadline);
    if (status != CANO_OK) {
        return status;
    }
    uint64_t bytes = 0;
    status = cano_shared_peek(queue, buffer, capacity, &bytes, deadline);
    if (size != NULL && (status == CANO_OK || status == CANO_ETOOBIG)) {
        *size = (size_t)bytes;
    }
    return end(queue, status);
}

cano_status cano_queue_qsize(cano_queue *queue, size_t *size)
{
    if (queue == NULL || size == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = cano_shared_enter(queue);
    if (status != CANO_OK) {
        return status;
    }
    uint64_t items = 0;
    status = cano_shared_qsize(queue, &items);
    if (status == CANO_OK) {
        *size = (size_t)items;
    }
    return end(queue, status);
}

cano_status cano_queue_empty(cano_queue *queue, bool *empty)
{
    size_t size;
    if (empty == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_queue_qsize(queue, &size);
    if (status == CANO_OK) {
        *empty = size == 0;
    }
    return status;
}

cano_status cano_queue_full(cano_queue *queue, bool *full)
{
    size_t size;
    if (full == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_queue_qsize(queue, &size);
    if (status == CANO_OK) {
        *full = size >= queue->memory.limits.max_items;
    }
    return status;
}

cano_status cano_queue_lock(cano_queue *queue, cano_timeout timeout)
{
    int64_t deadline;
    if (queue == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = begin(queue, timeout, &deadline);
    return status == CANO_OK ? end(queue, cano_shared_lock(queue, deadline)) : status;
}

cano_status cano_queue_unlock(cano_queue *queue)
{
    if (queue == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_shared_enter(queue);
    return status == CANO_OK ? end(queue, cano_shared_unlock(queue)) : status;
}

cano_status cano_queue_shutdown(cano_queue *queue, bool immediate)
{
    if (queue == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_shared_enter(queue);
    return status == CANO_OK ? end(queue, cano_shared_shutdown(queue, immediate)) : status;
}

cano_status cano_queue_stat(cano_queue *queue, cano_queue_info *info)
{
    if (queue == NULL || info == NULL || info->size < sizeof *info || info->size > CANO_OPTIONS_MAX) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_shared_enter(queue);
    return status == CANO_OK ? end(queue, cano_shared_stat(queue, info)) : status;
}

cano_status cano_queue_native(cano_queue *queue, cano_native *native)
{
    if (queue == NULL || native == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_shared_enter(queue);
    return status == CANO_OK ? end(queue, cano_shared_native(queue, native)) : status;
}

cano_status cano_queue_ready(cano_queue *queue, bool *ready)
{
    const cano_status status = cano_shared_enter(queue);
    return status == CANO_OK ? end(queue, cano_shared_arm_bell(queue, ready)) : status;
}

cano_status cano_queue_reserve(cano_queue *queue, size_t size, void **memory, cano_timeout timeout)
{
    int64_t deadline;
    if (queue == NULL || !may_put(queue) || memory == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = begin(queue, timeout, &deadline);
    return status == CANO_OK ? end(queue, cano_shared_reserve(queue, size, memory, deadline)) : status;
}

cano_status cano_queue_commit(cano_queue *queue, void *memory, size_t size, cano_timeout timeout)
{
    int64_t deadline;
    if (queue == NULL || memory == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = begin(queue, timeout, &deadline);
    return status == CANO_OK ? end(queue, cano_shared_commit(queue, memory, size, deadline)) : status;
}

void cano_queue_cancel(cano_queue *queue, void *memory)
{
    if (queue != NULL && memory != NULL && cano_shared_enter(queue) == CANO_OK) {
        cano_shared_cancel(queue, memory);
        cano_shared_leave(queue);
    }
}

cano_status cano_queue_take(cano_queue *queue, cano_item *item, cano_timeout timeout)
{
    int64_t deadline;
    if (queue == NULL || !may_get(queue) || item == NULL) {
        return CANO_EINVAL;
    }
    const cano_status status = begin(queue, timeout, &deadline);
    return status == CANO_OK ? end(queue, cano_shared_take(queue, item, deadline)) : status;
}

void cano_queue_release(cano_queue *queue, cano_item *item)
{
    if (queue != NULL && item != NULL && item->data != NULL && queue->memory.ledger.count == 0
        && cano_shared_enter(queue) == CANO_OK) {
        cano_shared_release_view(queue, item);
        cano_shared_leave(queue);
    }
}
