/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine can do at most, between two processes pinned to two cores: rows named after what is done.
 */
#include "driver.h"

#include <linux/futex.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_MAX 1024
#define TRIPS_MAX 200000

static void add(const char *what, size_t size, bench_row row, const bench_load *before)
{
    const bench_load now = bench_load_now();
    row.putters = row.getters = 1;
    row.size = size;
    row.others = bench_load_others(before, &now);
    snprintf(row.test, sizeof row.test, "limit");
    snprintf(row.peer, sizeof row.peer, "%s", what);
    snprintf(row.mode, sizeof row.mode, "-");
    bench_row_add(&row);
}

static void add_rate(const char *what, size_t size, double *rates, int count, const bench_load *before)
{
    bench_row row = { .rate = bench_median(rates, (size_t)count) };
    row.rate_low = rates[0];
    row.rate_high = rates[count - 1];
    add(what, size, row, before);
}

static void add_times(const char *what, double *ns, size_t count, const bench_load *before)
{
    bench_row row = { .p50 = bench_median(ns, count) };
    row.least = ns[0];
    row.p99 = ns[count * 99 / 100];
    row.p999 = ns[count * 999 / 1000];
    add(what, 8, row, before);
}

/* ---- a line from core to core ---- */

static void cache_line(void)
{
    const bench_load before = bench_load_now();
    double ns[100];
    size_t count = 0;
    for (; count < 100 && bench_cores() > 1; count++) {
        ns[count] = bench_line_ns();
        if (count >= 10 && bench_now() - before.at > plan.window * 3) {
            break;
        }
    }
    if (count > 0) {
        add_times("cache line, one way", ns, count, &before);
    }
}

/* ---- copies through shared memory ---- */

typedef enum copying { COPY_IN_AND_OUT, IN_PLACE } copying;

typedef struct stream {
    alignas(128) _Atomic uint64_t tail;
    alignas(128) _Atomic uint64_t head;
    alignas(128) _Atomic uint64_t stop;
    alignas(4096) unsigned char slots[];
} stream;

static uint64_t sum_of(const unsigned char *data, size_t size)
{
    uint64_t sum = 0;
    uint64_t word;
    for (size_t at = 0; at < size; at += 64) {
        memcpy(&word, data + at, sizeof word);
        sum += word;
    }
    return sum;
}

static void read_all(stream *s, size_t size, unsigned slots, copying how)
{
    unsigned char *own = malloc(size);
    volatile uint64_t sum = 0;
    bench_pin(1);
    for (uint64_t at = 0;; at++) {
        unsigned looks = 0;
        while (atomic_load_explicit(&s->tail, memory_order_acquire) == at) {
            if (atomic_load_explicit(&s->stop, memory_order_relaxed)) {
                _exit(0);
            }
            bench_relax(&looks);
        }
        const unsigned char *data = s->slots + at % slots * size;
        if (how == COPY_IN_AND_OUT) {
            memcpy(own, data, size);
            data = own;
        }
        sum += sum_of(data, size);
        atomic_store_explicit(&s->head, at + 1, memory_order_release);
    }
}

static void mark(unsigned char *data, size_t size, uint64_t word)
{
    for (size_t at = 0; at < size; at += 64) {
        memcpy(data + at, &word, sizeof word);
    }
}

static double write_all(stream *s, size_t size, unsigned slots, copying how)
{
    unsigned char *own = malloc(size);
    const double begin = bench_now() + plan.warm;
    const double end = begin + plan.window;
    double from = 0;
    uint64_t at = 0;
    uint64_t first = 0;
    bench_pin(0);
    for (double now = 0; now < end; at++) {
        if (at % 16 == 0 || size >= 4096) {
            now = bench_now();
            if (from == 0 && now >= begin) {
                from = now;
                first = at;
            }
        }
        unsigned looks = 0;
        while (at - atomic_load_explicit(&s->head, memory_order_acquire) >= slots) {
            bench_relax(&looks);
        }
        unsigned char *slot = s->slots + at % slots * size;
        mark(how == COPY_IN_AND_OUT ? own : slot, size, at);
        if (how == COPY_IN_AND_OUT) {
            memcpy(slot, own, size);
        }
        atomic_store_explicit(&s->tail, at + 1, memory_order_release);
    }
    free(own);
    return (double)(at - first) / (bench_now() - from);
}

static void copies(const char *what, size_t size, copying how)
{
    const bench_load before = bench_load_now();
    const size_t fit = ((size_t)4 << 20) / size;
    const unsigned slots = fit > SLOTS_MAX ? SLOTS_MAX : fit < 8 ? 8 : (unsigned)fit;
    const size_t bytes = sizeof(stream) + slots * size;
    stream *s = bench_shared_memory(bytes);
    double rates[32];
    int count = 0;
    for (; count < plan.repetitions && count < 32; count++) {
        atomic_store(&s->tail, 0);
        atomic_store(&s->head, 0);
        atomic_store(&s->stop, 0);
        const pid_t reader = bench_fork();
        if (reader == 0) {
            read_all(s, size, slots, how);
        }
        rates[count] = write_all(s, size, slots, how);
        atomic_store(&s->stop, 1);
        waitpid(reader, NULL, 0);
    }
    munmap(s, bytes);
    add_rate(what, size, rates, count, &before);
}

/* ---- sleeping and waking ---- */

static void futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static void await(_Atomic uint32_t *word, uint32_t value)
{
    uint32_t seen;
    while ((seen = atomic_load(word)) != value) {
        if (seen == UINT32_MAX) {
            _exit(0);
        }
        futex(word, FUTEX_WAIT, seen);
    }
}

static void tell(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    futex(word, FUTEX_WAKE, 1);
}

/* paced: the other one has been asleep for a while, and its core idle. */
static void futexes(const char *what, bool paced)
{
    const bench_load before = bench_load_now();
    _Atomic uint32_t *words = bench_shared_memory(4096);
    _Atomic uint32_t *there = &words[0];
    _Atomic uint32_t *back = &words[64];
    double *ns = malloc(TRIPS_MAX * sizeof *ns);
    size_t count = 0;
    const pid_t other = bench_fork();
    if (other == 0) {
        bench_pin(1);
        for (uint32_t turn = 1;; turn++) {
            await(there, turn);
            tell(back, turn);
        }
    }
    bench_pin(0);
    const double end = bench_now() + plan.warm + plan.window * plan.repetitions;
    for (uint32_t turn = 1; count < TRIPS_MAX && bench_now() < end; turn++) {
        const uint64_t pause = bench_ticks() + (uint64_t)(BENCH_PACE * 1000 / bench_tick_ns());
        while (paced && bench_ticks() < pause) {
        }
        const uint64_t from = bench_ticks();
        tell(there, turn);
        await(back, turn);
        ns[count] = (double)(bench_ticks() - from) * bench_tick_ns() / 2;
        count += turn > 50;
    }
    tell(there, UINT32_MAX);
    waitpid(other, NULL, 0);
    if (count > 0) {
        add_times(what, ns, count, &before);
    }
    free(ns);
    munmap((void *)(uintptr_t)words, 4096);
}

/* ---- single operations ---- */

#define OPERATION(what, body)                                                                        \
    do {                                                                                             \
        const bench_load before = bench_load_now();                                                  \
        double rates[32];                                                                            \
        int count = 0;                                                                               \
        for (; count < plan.repetitions && count < 32; count++) {                                    \
            const double from = bench_now();                                                         \
            double now = from;                                                                       \
            uint64_t times = 0;                                                                      \
            for (; now < from + plan.window / 5; now = bench_now()) {                                \
                for (int i = 0; i < 256; i++, times++) {                                             \
                    body;                                                                            \
                }                                                                                    \
            }                                                                                        \
            rates[count] = (double)times / (now - from);                                             \
        }                                                                                            \
        add_rate(what, 8, rates, count, &before);                                                    \
    } while (0)

void bench_limits(void)
{
    static const size_t sizes[] = { 64, 4096, 65536, 1 << 20 };
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    cache_line();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        copies("copy in and out", sizes[i], COPY_IN_AND_OUT);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        copies("write and read in place", sizes[i], IN_PLACE);
    }
    futexes("futex, one way", false);
    futexes("futex, one way, paced", true);
    _Atomic uint32_t *word = bench_shared_memory(4096);
    OPERATION("atomic addition, nobody else", atomic_fetch_add(word, 1));
    OPERATION("futex wake, nobody there", futex(word, FUTEX_WAKE, 1));
    OPERATION("looking at the clock", (void)bench_now());
    munmap((void *)(uintptr_t)word, 4096);
    sched_setaffinity(0, sizeof set, &set);
}
