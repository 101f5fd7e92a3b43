/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two textbook queues that promise nothing: no death is survived, nobody ever sleeps, there are no names. What they reach is
 * what memory and processors allow.
 *
 * spsc_bound  one putter, one getter: each keeps its own position and a copy of the other's (Lamport's ring, with the copies
 *             that FastForward and its successors added).
 * mpmc_bound  many of both: a turn in every slot says whose it is (Vyukov's ring, taken by fetch-and-add).
 */
#include "bench.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE 64
#define APART 128

static size_t power_of_two(size_t least)
{
    size_t power = 1;
    while (power < least) {
        power *= 2;
    }
    return power;
}

static size_t round_up(size_t value, size_t step)
{
    return (value + step - 1) / step * step;
}

/* ---- one to one ---- */

typedef struct spsc {
    alignas(APART) _Atomic uint64_t tail;
    alignas(APART) _Atomic uint64_t head;
    alignas(APART) size_t slots;
    size_t stride, bytes;
    alignas(APART) unsigned char data[];
} spsc;

typedef struct spsc_end {
    spsc *ring;
    uint64_t mine, seen; /* own position, and the other's as it was seen last */
} spsc_end;

static void *spsc_create(const bench_shape *shape)
{
    const size_t slots = power_of_two(shape->depth);
    const size_t packed = round_up(sizeof(uint64_t) + shape->size, sizeof(uint64_t));
    const size_t stride = packed <= LINE ? packed : round_up(packed, LINE);
    spsc *ring = bench_shared_memory(sizeof *ring + slots * stride);
    ring->slots = slots;
    ring->stride = stride;
    ring->bytes = sizeof *ring + slots * stride;
    return ring;
}

static void spsc_destroy(void *thing)
{
    munmap(thing, ((spsc *)thing)->bytes);
}

static void *spsc_attach(void *thing, bench_side side, unsigned number)
{
    (void)side;
    (void)number;
    spsc_end *end = aligned_alloc(APART, APART);
    *end = (spsc_end){ thing, 0, 0 };
    return end;
}

static unsigned char *spsc_slot(const spsc_end *end)
{
    return end->ring->data + (end->mine & (end->ring->slots - 1)) * end->ring->stride;
}

static void *spsc_room(void *handle, size_t size)
{
    spsc_end *end = handle;
    unsigned looks = 0;
    (void)size;
    while (end->mine - end->seen == end->ring->slots) {
        /* acquire: pairs with the release in spsc_done: the slot has been read before it is written again */
        end->seen = atomic_load_explicit(&end->ring->head, memory_order_acquire);
        if (end->mine - end->seen == end->ring->slots) {
            bench_relax(&looks);
        }
    }
    return spsc_slot(end) + sizeof(uint64_t);
}

static bool spsc_publish(void *handle, const void *data, size_t size)
{
    spsc_end *end = handle;
    (void)data;
    memcpy(spsc_slot(end), &size, sizeof size);
    atomic_store_explicit(&end->ring->tail, ++end->mine, memory_order_release); /* pairs with the acquire in spsc_look */
    return true;
}

static bool spsc_put(void *handle, const void *data, size_t size)
{
    memcpy(spsc_room(handle, size), data, size);
    return spsc_publish(handle, data, size);
}

static const void *spsc_look(void *handle, void *buffer, size_t *size)
{
    spsc_end *end = handle;
    unsigned looks = 0;
    (void)buffer;
    while (end->mine == end->seen) {
        end->seen = atomic_load_explicit(&end->ring->tail, memory_order_acquire); /* pairs with spsc_publish */
        if (end->mine == end->seen) {
            bench_relax(&looks);
        }
    }
    memcpy(size, spsc_slot(end), sizeof *size);
    return spsc_slot(end) + sizeof(uint64_t);
}

static void spsc_done(void *handle)
{
    spsc_end *end = handle;
    atomic_store_explicit(&end->ring->head, ++end->mine, memory_order_release); /* pairs with spsc_room */
}

static const void *spsc_get(void *handle, void *buffer, size_t *size)
{
    const size_t capacity = *size;
    const void *data = spsc_look(handle, buffer, size);
    if (*size > capacity) {
        return NULL;
    }
    memcpy(buffer, data, *size);
    spsc_done(handle);
    return buffer;
}

/* ---- many to many ---- */

typedef struct slot {
    _Atomic uint64_t turn; /* 2 * lap: to be written; 2 * lap + 1: to be read */
    uint64_t size;
    unsigned char data[];
} slot;

typedef struct mpmc {
    alignas(APART) _Atomic uint64_t tail;
    alignas(APART) _Atomic uint64_t head;
    alignas(APART) size_t slots;
    size_t stride, bytes;
    alignas(APART) unsigned char data[];
} mpmc;

static void *mpmc_create(const bench_shape *shape)
{
    const size_t slots = power_of_two(shape->depth);
    const size_t stride = round_up(sizeof(slot) + shape->size, LINE);
    mpmc *ring = bench_shared_memory(sizeof *ring + slots * stride);
    ring->slots = slots;
    ring->stride = stride;
    ring->bytes = sizeof *ring + slots * stride;
    return ring;
}

static void mpmc_destroy(void *thing)
{
    munmap(thing, ((mpmc *)thing)->bytes);
}

static void *mpmc_attach(void *thing, bench_side side, unsigned number)
{
    (void)side;
    (void)number;
    return thing;
}

static slot *await_turn(mpmc *ring, uint64_t position, uint64_t part)
{
    slot *here = (slot *)(void *)(ring->data + (position & (ring->slots - 1)) * ring->stride);
    const uint64_t turn = position / ring->slots * 2 + part;
    unsigned looks = 0;
    /* acquire: pairs with the release of who had the slot before */
    while (atomic_load_explicit(&here->turn, memory_order_acquire) != turn) {
        bench_relax(&looks);
    }
    return here;
}

static void pass_turn(slot *here)
{
    const uint64_t turn = atomic_load_explicit(&here->turn, memory_order_relaxed);
    atomic_store_explicit(&here->turn, turn + 1, memory_order_release); /* pairs with the acquire in await_turn */
}

static bool mpmc_put(void *handle, const void *data, size_t size)
{
    mpmc *ring = handle;
    slot *here = await_turn(ring, atomic_fetch_add_explicit(&ring->tail, 1, memory_order_relaxed), 0);
    memcpy(here->data, data, size);
    here->size = size;
    pass_turn(here);
    return true;
}

static const void *mpmc_get(void *handle, void *buffer, size_t *size)
{
    mpmc *ring = handle;
    slot *here = await_turn(ring, atomic_fetch_add_explicit(&ring->head, 1, memory_order_relaxed), 1);
    if (here->size > *size) {
        return NULL;
    }
    *size = here->size;
    memcpy(buffer, here->data, *size);
    pass_turn(here);
    return buffer;
}

const bench_peer peer_spsc_bound = { "spsc_bound", BENCH_SPINS, 0, "promises nothing", spsc_create, spsc_destroy, spsc_attach,
                                     .put = spsc_put, .get = spsc_get };
const bench_peer peer_spsc_in_place = { "spsc_bound, in place", BENCH_SPINS | BENCH_IN_PLACE, 0, "promises nothing", spsc_create,
                                        spsc_destroy, spsc_attach, .room = spsc_room, .put = spsc_publish, .get = spsc_look,
                                        .done = spsc_done };
const bench_peer peer_mpmc_bound = { "mpmc_bound", BENCH_SPINS | BENCH_MANY, 0, "promises nothing", mpmc_create, mpmc_destroy,
                                     mpmc_attach, .put = mpmc_put, .get = mpmc_get };
