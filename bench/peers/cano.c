/* SPDX-License-Identifier: Apache-2.0 */
/* cano itself: queue and pipe, with the public header only. */
#include "bench.h"

#include <cano/cano.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 100

typedef struct queue {
    bench_shape shape;
    cano_queue *queue; /* keeps the queue there while processes come and go */
    uint32_t flags;
} queue;

typedef struct user {
    cano_queue *queue;
    cano_timeout patience;
    cano_item items[BATCH];
    cano_slice slices[BATCH];
    size_t count, next;
    unsigned char *buffer;
    size_t stride;
} user;

/* ---- queues ---- */

static void *create_with(const bench_shape *shape, uint32_t flags)
{
    queue *q = malloc(sizeof *q);
    const cano_queue_options options = { .size = sizeof options, .flags = flags, .max_items = shape->depth,
                                         .max_bytes = (uint64_t)shape->depth * shape->size };
    *q = (queue){ *shape, NULL, flags };
    return cano_queue_create(&q->queue, shape->name, &options) == CANO_OK ? q : NULL;
}

static void *create(const bench_shape *shape)
{
    return create_with(shape, 0);
}

static void *create_single(const bench_shape *shape)
{
    return create_with(shape, CANO_SINGLE_PUTTER | CANO_SINGLE_GETTER);
}

static void *create_joinable(const bench_shape *shape)
{
    return create_with(shape, CANO_JOINABLE);
}

static void destroy(void *thing)
{
    queue *q = thing;
    cano_queue_close(q->queue);
    cano_queue_unlink(q->shape.name);
    free(q);
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    const queue *q = thing;
    user *u = calloc(1, sizeof *u);
    (void)side;
    (void)number;
    u->stride = (q->shape.size + 7) / 8 * 8;
    u->buffer = aligned_alloc(64, (BATCH * u->stride + 63) / 64 * 64);
    return cano_queue_open(&u->queue, q->shape.name, NULL) == CANO_OK ? u : NULL;
}

static void detach(void *handle)
{
    user *u = handle;
    cano_queue_close(u->queue);
    free(u->buffer);
    free(u);
}

static bool put(void *handle, const void *data, size_t size)
{
    return cano_queue_put(((user *)handle)->queue, data, size, CANO_FOREVER) == CANO_OK;
}

static const void *get(void *handle, void *buffer, size_t *size)
{
    return cano_queue_get(((user *)handle)->queue, buffer, *size, size, CANO_FOREVER) == CANO_OK ? buffer : NULL;
}

static void task_done(void *handle)
{
    if (cano_queue_task_done(((user *)handle)->queue, NULL) != CANO_OK) {
        abort();
    }
}

/* ---- in place ---- */

static void *reserve(void *handle, size_t size)
{
    void *memory;
    return cano_queue_reserve(((user *)handle)->queue, size, &memory, CANO_FOREVER) == CANO_OK ? memory : NULL;
}

static bool commit(void *handle, const void *data, size_t size)
{
    return cano_queue_commit(((user *)handle)->queue, (void *)(uintptr_t)data, size, CANO_FOREVER) == CANO_OK;
}

static const void *take(void *handle, void *buffer, size_t *size)
{
    user *u = handle;
    (void)buffer;
    if (cano_queue_take(u->queue, &u->items[0], CANO_FOREVER) != CANO_OK) {
        return NULL;
    }
    *size = u->items[0].size;
    return u->items[0].data;
}

static void release(void *handle)
{
    user *u = handle;
    cano_queue_release(u->queue, &u->items[0]);
}

/* ---- batches ---- */

static bool put_batch(void *handle)
{
    user *u = handle;
    const size_t count = u->count;
    u->count = 0;
    return cano_queue_put_many(u->queue, u->slices, count, CANO_FOREVER) == CANO_OK;
}

static void *room_in_batch(void *handle, size_t size)
{
    const user *u = handle;
    (void)size;
    return u->buffer + u->count * u->stride;
}

static bool add_to_batch(void *handle, const void *data, size_t size)
{
    user *u = handle;
    u->slices[u->count++] = (cano_slice){ data, size };
    return u->count < BATCH || put_batch(handle);
}

static const void *get_from_batch(void *handle, void *buffer, size_t *size)
{
    user *u = handle;
    (void)buffer;
    if (u->next == u->count) {
        u->next = 0;
        if (cano_queue_get_many(u->queue, u->items, BATCH, &u->count, u->buffer, BATCH * u->stride, CANO_FOREVER) != CANO_OK) {
            return NULL;
        }
    }
    *size = u->items[u->next].size;
    return u->items[u->next++].data;
}

/* ---- pipes ---- */

typedef struct pipe_pair {
    cano_pipe *ends[2];
} pipe_pair;

static void *create_pipe(uint32_t flags)
{
    pipe_pair *pair = malloc(sizeof *pair);
    const cano_pipe_options options = { .size = sizeof options, .flags = flags };
    return cano_pipe_create(&pair->ends[0], &pair->ends[1], &options) == CANO_OK ? pair : NULL;
}

static void *create_memory_pipe(const bench_shape *shape)
{
    (void)shape;
    return create_pipe(CANO_PIPE_MEMORY);
}

static void *create_stream_pipe(const bench_shape *shape)
{
    (void)shape;
    return create_pipe(CANO_PIPE_STREAM);
}

static void destroy_pipe(void *thing)
{
    pipe_pair *pair = thing;
    cano_pipe_close(pair->ends[0]);
    cano_pipe_close(pair->ends[1]);
    free(pair);
}

/* The other end stays open in this process until it ends: nobody waits for the end of the conversation. */
static void *attach_pipe(void *thing, bench_side side, unsigned number)
{
    (void)number;
    return ((pipe_pair *)thing)->ends[side];
}

static bool send(void *handle, const void *data, size_t size)
{
    return cano_pipe_send(handle, data, size, CANO_FOREVER) == CANO_OK;
}

static const void *receive(void *handle, void *buffer, size_t *size)
{
    return cano_pipe_recv(handle, buffer, *size, size, CANO_FOREVER) == CANO_OK ? buffer : NULL;
}

#define BOTH (BENCH_SLEEPS | BENCH_SPINS)
#define QUEUE .destroy = destroy, .attach = attach, .detach = detach
#define PIPE .destroy = destroy_pipe, .attach = attach_pipe, .put = send, .get = receive

const bench_peer peer_cano = { "cano", BOTH | BENCH_MANY, 0, "", create, QUEUE, .put = put, .get = get };
const bench_peer peer_cano_single = { "cano, one putter one getter", BOTH, 0, "declared", create_single, QUEUE, .put = put,
                                      .get = get };
const bench_peer peer_cano_in_place = { "cano, in place", BENCH_SLEEPS | BENCH_MANY | BENCH_IN_PLACE, 0, "", create, QUEUE,
                                        .room = reserve, .put = commit, .get = take, .done = release };
const bench_peer peer_cano_batch = { "cano, batches of 100", BENCH_SLEEPS | BENCH_MANY | BENCH_EXTRA, 4096, "", create, QUEUE,
                                     .room = room_in_batch, .put = add_to_batch, .flush = put_batch, .get = get_from_batch };
const bench_peer peer_cano_joinable = { "cano, joinable with task_done", BENCH_SLEEPS | BENCH_MANY | BENCH_EXTRA, 0, "",
                                        create_joinable, QUEUE, .put = put, .get = get, .done = task_done };
const bench_peer peer_cano_pipe = { "cano pipe, memory", BOTH | BENCH_PIPE, 0, "", create_memory_pipe, PIPE };
const bench_peer peer_cano_stream = { "cano pipe, stream", BOTH | BENCH_PIPE, 0, "", create_stream_pipe, PIPE };
