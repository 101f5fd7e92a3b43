/* SPDX-License-Identifier: Apache-2.0 */
#include "geometry.h"
#include "options.h"
#include "segment.h"
#include "shared_queue.h"

#include <string.h>

#define DEFAULT_ITEMS 1024
#define DEFAULT_BYTES 524288
#define DEFAULT_PARTICIPANTS 64
#define DEFAULT_LEASES 256
#define ROUNDS 100       /* of "gone again" and "there again" before giving up */
#define PATIENCE 5000000 /* microseconds for attaching a child: the guard's holder may be stopped */

/* ---- limits ---- */

static cano_queue_limits limits_of(const cano_queue_options *options)
{
    cano_queue_limits limits = { 0 };
    const bool joinable = (options->flags & CANO_JOINABLE) != 0;
    limits.max_items = options->max_items != 0 ? options->max_items : DEFAULT_ITEMS;
    limits.max_bytes = options->max_bytes != 0 ? options->max_bytes : DEFAULT_BYTES;
    limits.flags = options->flags & CANO_KEPT_FLAGS;
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
    const uint32_t flags = want->flags & CANO_KEPT_FLAGS;
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

static cano_status create_new(cano_shared **queue, const char *name, const cano_queue_options *options)
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

static cano_status open_there(cano_shared **queue, const char *name, const cano_queue_options *options, bool exact)
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

/* ---- the engine's way in ---- */

cano_status cano_shared_create(cano_queue **queue, const char *name, const cano_queue_options *options)
{
    if (asks_nonsense(options) || (name != NULL && options->scope == CANO_THREADS)) {
        return CANO_EINVAL;
    }
    const bool existing = name != NULL && (options->flags & CANO_OPEN_EXISTING) != 0;
    cano_shared *q = NULL;
    cano_status status = existing ? CANO_ENOENT : create_new(&q, name, options);
    /* what is there may go, and come, between the two */
    for (int round = 0; existing && round < ROUNDS && (status == CANO_ENOENT || status == CANO_EEXIST); round++) {
        status = open_there(&q, name, options, true);
        if (status != CANO_ENOENT) {
            break;
        }
        status = create_new(&q, name, options);
    }
    if (status == CANO_OK) {
        *queue = &q->base;
    }
    return status;
}

cano_status cano_shared_open(cano_queue **queue, const char *name, const cano_queue_options *options)
{
    if (options->scope == CANO_THREADS) {
        return CANO_EINVAL;
    }
    cano_shared *q;
    const cano_status status = open_there(&q, name, options, false);
    if (status == CANO_OK) {
        *queue = &q->base;
    }
    return status;
}

/* ---- handing on ---- */

cano_status cano_queue_segment_handle(cano_queue *queue, cano_os_handle *segment)
{
    if (queue->engine != &cano_shared_engine) {
        return CANO_ENOTSUP;
    }
    const cano_shared *q = (const cano_shared *)queue;
    if (!q->memory.segment.shared) {
        return CANO_EINVAL;
    }
    *segment = q->memory.segment.handle;
    return CANO_OK;
}

cano_status cano_queue_place_take(cano_queue *queue, uint32_t role, cano_queue_place *place)
{
    cano_os_handle segment;
    cano_status status = role <= (CANO_PUTTER | CANO_GETTER) ? cano_queue_segment_handle(queue, &segment) : CANO_EINVAL;
    if (status != CANO_OK) {
        return status;
    }
    cano_shared *q = (cano_shared *)queue;
    status = cano_shared_enter(q);
    if (status == CANO_OK) {
        status = cano_shared_take_place(q, role, PATIENCE, place);
        cano_shared_leave(q);
    }
    return status;
}

void cano_queue_place_count(cano_queue *queue, uint32_t role)
{
    cano_shared_count_putter((cano_shared *)queue, role);
}

cano_status cano_queue_adopt(cano_queue **queue, cano_os_handle handle, const cano_queue_place *place,
                             const cano_queue_options *given)
{
    cano_queue_options options;
    cano_os_segment segment;
    cano_status status = cano_queue_options_read(given, &options);
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
    cano_shared *q;
    status = cano_shared_attach(&q, &segment, options.role, place);
    if (status == CANO_OK) {
        *queue = &q->base;
    }
    return status;
}
