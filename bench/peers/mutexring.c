/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one writes by the textbook: slots under a robust mutex shared between processes, and two condition variables, signalled
 * only when somebody waits. It survives some deaths.
 */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct ring {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty, not_full;
    size_t head, count, slots, stride, bytes;
    unsigned waiting_getters, waiting_putters;
    bool sleeps;
    unsigned char data[];
} ring;

static void make_shared(ring *r)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    pthread_condattr_init(&condition);
    pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&r->mutex, &mutex);
    pthread_cond_init(&r->not_empty, &condition);
    pthread_cond_init(&r->not_full, &condition);
}

static void *create(const bench_shape *shape)
{
    const size_t stride = (sizeof(size_t) + shape->size + 63) / 64 * 64;
    const size_t bytes = sizeof(ring) + shape->depth * stride;
    ring *r = bench_shared_memory(bytes);
    make_shared(r);
    r->slots = shape->depth;
    r->stride = stride;
    r->bytes = bytes;
    r->sleeps = shape->sleeps;
    return r;
}

static void destroy(void *thing)
{
    munmap(thing, ((ring *)thing)->bytes);
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    (void)side;
    (void)number;
    return thing;
}

static void settle(ring *r, int result)
{
    if (result == EOWNERDEAD) {
        pthread_mutex_consistent(&r->mutex);
    }
}

static void wait_a_little(ring *r, pthread_cond_t *condition, unsigned *waiting, unsigned *looks)
{
    if (r->sleeps) {
        ++*waiting;
        settle(r, pthread_cond_wait(condition, &r->mutex));
        --*waiting;
    } else {
        pthread_mutex_unlock(&r->mutex);
        bench_relax(looks);
        settle(r, pthread_mutex_lock(&r->mutex));
    }
}

static bool put(void *handle, const void *data, size_t size)
{
    ring *r = handle;
    unsigned looks = 0;
    settle(r, pthread_mutex_lock(&r->mutex));
    while (r->count == r->slots) {
        wait_a_little(r, &r->not_full, &r->waiting_putters, &looks);
    }
    unsigned char *slot = r->data + (r->head + r->count) % r->slots * r->stride;
    memcpy(slot, &size, sizeof size);
    memcpy(slot + sizeof size, data, size);
    r->count++;
    const bool wake = r->waiting_getters != 0;
    pthread_mutex_unlock(&r->mutex);
    if (wake) {
        pthread_cond_signal(&r->not_empty);
    }
    return true;
}

static const void *get(void *handle, void *buffer, size_t *size)
{
    ring *r = handle;
    unsigned looks = 0;
    settle(r, pthread_mutex_lock(&r->mutex));
    while (r->count == 0) {
        wait_a_little(r, &r->not_empty, &r->waiting_getters, &looks);
    }
    const unsigned char *slot = r->data + r->head * r->stride;
    memcpy(size, slot, sizeof *size);
    memcpy(buffer, slot + sizeof *size, *size);
    r->head = (r->head + 1) % r->slots;
    r->count--;
    const bool wake = r->waiting_putters != 0;
    pthread_mutex_unlock(&r->mutex);
    if (wake) {
        pthread_cond_signal(&r->not_full);
    }
    return buffer;
}

const bench_peer peer_mutexring = { "robust mutex ring", BENCH_SLEEPS | BENCH_SPINS | BENCH_MANY, 0, "", create, destroy, attach,
                                    .put = put, .get = get };
