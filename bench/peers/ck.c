/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrency Kit's ring, put into shared memory: two of them pass the numbers of slots around, the free and the full ones. */
#include "bench.h"

#include <ck_ring.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct rings {
    alignas(128) ck_ring_t full;
    alignas(128) ck_ring_t free;
    alignas(128) size_t stride;
    size_t bytes;
    bool single;
    ck_ring_buffer_t *full_numbers, *free_numbers;
    unsigned char *slots;
} rings;

/* The two kinds of call must not be mixed on one ring. */
static bool pass(rings *r, ck_ring_t *ring, ck_ring_buffer_t *numbers, uintptr_t number)
{
    return r->single ? ck_ring_enqueue_spsc(ring, numbers, (void *)number) : ck_ring_enqueue_mpmc(ring, numbers, (void *)number);
}

static uintptr_t take(rings *r, ck_ring_t *ring, ck_ring_buffer_t *numbers)
{
    void *number = NULL;
    unsigned looks = 0;
    while (!(r->single ? ck_ring_dequeue_spsc(ring, numbers, &number) : ck_ring_dequeue_mpmc(ring, numbers, &number))) {
        bench_relax(&looks);
    }
    return (uintptr_t)number;
}

static void *create(const bench_shape *shape)
{
    unsigned room = 2;
    while (room <= shape->depth) {
        room *= 2; /* one less than its size fits */
    }
    const size_t stride = (sizeof(size_t) + shape->size + 63) / 64 * 64;
    const size_t bytes = sizeof(rings) + 2 * room * sizeof(ck_ring_buffer_t) + 64 + shape->depth * stride;
    rings *r = bench_shared_memory(bytes);
    r->stride = stride;
    r->bytes = bytes;
    r->single = shape->putters == 1 && shape->getters == 1;
    r->full_numbers = (ck_ring_buffer_t *)(void *)(r + 1);
    r->free_numbers = r->full_numbers + room;
    r->slots = (unsigned char *)(((uintptr_t)(r->free_numbers + room) + 63) / 64 * 64);
    ck_ring_init(&r->full, room);
    ck_ring_init(&r->free, room);
    for (uintptr_t number = 1; number <= shape->depth; number++) {
        pass(r, &r->free, r->free_numbers, number);
    }
    return r;
}

static void destroy(void *thing)
{
    munmap(thing, ((rings *)thing)->bytes);
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    (void)side;
    (void)number;
    return thing;
}

static bool put(void *handle, const void *data, size_t size)
{
    rings *r = handle;
    unsigned looks = 0;
    const uintptr_t number = take(r, &r->free, r->free_numbers);
    unsigned char *slot = r->slots + (number - 1) * r->stride;
    memcpy(slot, &size, sizeof size);
    memcpy(slot + sizeof size, data, size);
    while (!pass(r, &r->full, r->full_numbers, number)) {
        bench_relax(&looks);
    }
    return true;
}

static const void *get(void *handle, void *buffer, size_t *size)
{
    rings *r = handle;
    unsigned looks = 0;
    const uintptr_t number = take(r, &r->full, r->full_numbers);
    const unsigned char *slot = r->slots + (number - 1) * r->stride;
    memcpy(size, slot, sizeof *size);
    memcpy(buffer, slot + sizeof *size, *size);
    while (!pass(r, &r->free, r->free_numbers, number)) {
        bench_relax(&looks);
    }
    return buffer;
}

const bench_peer peer_ck = { "ck_ring", BENCH_SPINS | BENCH_MANY, 0, "promises nothing", create, destroy, attach, .put = put,
                             .get = get };
