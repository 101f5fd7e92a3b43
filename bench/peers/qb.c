/* SPDX-License-Identifier: Apache-2.0 */
/* libqb's ring: one putter, one getter. Its putter cannot sleep on a full ring, it has to try again. */
#include "bench.h"

#include <errno.h>
#include <qb/qbrb.h>
#include <stdlib.h>

#define HEADER 16 /* of a chunk, about */

typedef struct ring {
    bench_shape shape;
    qb_ringbuffer_t *ring;
} ring;

static qb_ringbuffer_t *open_ring(const bench_shape *shape, uint32_t flags)
{
    return qb_rb_open(shape->name, shape->depth * (shape->size + HEADER), flags | QB_RB_FLAG_SHARED_PROCESS, 0);
}

static void *create(const bench_shape *shape)
{
    ring *r = malloc(sizeof *r);
    r->shape = *shape;
    r->ring = open_ring(shape, QB_RB_FLAG_CREATE);
    return r->ring != NULL ? r : NULL;
}

static void destroy(void *thing)
{
    qb_rb_close(((ring *)thing)->ring);
    free(thing);
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    ring *r = malloc(sizeof *r);
    (void)side;
    (void)number;
    r->shape = ((ring *)thing)->shape;
    r->ring = open_ring(&r->shape, 0);
    return r->ring != NULL ? r : NULL;
}

static bool put(void *handle, const void *data, size_t size)
{
    const ring *r = handle;
    unsigned looks = 0;
    for (;;) {
        const ssize_t written = qb_rb_chunk_write(r->ring, data, size);
        if (written >= 0) {
            return true;
        }
        if (written != -EAGAIN) {
            return false;
        }
        bench_relax(&looks);
    }
}

static bool is_nothing(ssize_t result)
{
    return result == 0 || result == -ETIMEDOUT || result == -EINTR || result == -EAGAIN;
}

static const void *get(void *handle, void *buffer, size_t *size)
{
    const ring *r = handle;
    unsigned looks = 0;
    for (;;) {
        const ssize_t read = qb_rb_chunk_read(r->ring, buffer, *size, r->shape.sleeps ? 1000 : 0);
        if (read > 0) {
            *size = (size_t)read;
            return buffer;
        }
        if (!is_nothing(read)) {
            return NULL;
        }
        bench_relax(&looks);
    }
}

const bench_peer peer_qb = { "libqb", BENCH_SLEEPS | BENCH_SPINS, 0, "a full putter spins", create, destroy, attach, .put = put,
                             .get = get };
