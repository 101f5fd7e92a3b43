/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "driver.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRIPS_MAX 1000000
#define DEPTH 64

typedef struct board {
    _Atomic int attached, ready, go, over;
    _Atomic uint64_t trips, bad;
    uint32_t ticks[TRIPS_MAX]; /* of each round trip */
} board;

static board *shared;

typedef struct ends {
    const bench_peer *peer;
    void *there, *back; /* what was created: two queues, or one pipe twice */
    size_t size;
    bool sleeps;
} ends;

static void *attach(const ends *e, void *thing, bench_side side)
{
    void *handle = e->peer->attach(thing, side, 0);
    if (handle == NULL) {
        fprintf(stderr, "cano-bench: %s: attach failed\n", e->peer->name);
        _exit(5);
    }
    return handle;
}

/* Getters attach before putters do. */
static void attach_both(const ends *e, int side, void **put, void **get)
{
    if (e->peer->can & BENCH_PIPE) {
        *put = *get = attach(e, e->there, (bench_side)side);
    } else {
        *get = attach(e, side ? e->there : e->back, BENCH_GETTER);
        atomic_fetch_add(&shared->attached, 1);
        while (atomic_load(&shared->attached) < 2) {
            bench_sleep(0.0001);
        }
        *put = attach(e, side ? e->back : e->there, BENCH_PUTTER);
    }
    atomic_fetch_add(&shared->ready, 1);
    while (!atomic_load(&shared->go)) {
        bench_sleep(0.00005);
    }
}

static void send(const ends *e, void *handle, void *buffer, uint64_t word)
{
    void *room = e->peer->room != NULL ? e->peer->room(handle, e->size) : buffer;
    bench_write(room, e->size, word);
    if (!e->peer->put(handle, room, e->size) || (e->peer->flush != NULL && !e->peer->flush(handle))) {
        _exit(5);
    }
}

static uint64_t receive(const ends *e, void *handle, void *buffer)
{
    size_t size = e->size;
    uint64_t wrong;
    const void *message = e->peer->get(handle, buffer, &size);
    if (message == NULL || size != e->size) {
        _exit(6);
    }
    const uint64_t word = bench_read(message, size, &wrong);
    if (e->peer->done != NULL) {
        e->peer->done(handle);
    }
    if (wrong != 0) {
        atomic_fetch_add(&shared->bad, 1);
    }
    return word;
}

static void leave(const ends *e, void *put, void *get)
{
    if (e->peer->detach != NULL) {
        e->peer->detach(put);
        if (get != put) {
            e->peer->detach(get);
        }
    }
    _exit(0);
}

static void run_echo(const ends *e)
{
    void *put, *get;
    bench_pin(1);
    attach_both(e, 1, &put, &get);
    void *buffer = bench_buffer(e->size);
    uint64_t word;
    while ((word = receive(e, get, buffer)) != BENCH_LAST) {
        send(e, put, buffer, word + 1);
    }
    leave(e, put, get);
}

/* Be awake and not in a call for a while, so that the other side goes to sleep. */
static void pace(void)
{
    const uint64_t until = bench_ticks() + (uint64_t)(BENCH_PACE * 1000 / bench_tick_ns());
    while (bench_ticks() < until) {
    }
}

static void run_caller(const ends *e)
{
    void *put, *get;
    bench_pin(0);
    bench_tick_ns();
    attach_both(e, 0, &put, &get);
    void *buffer = bench_buffer(e->size);
    const double begin = bench_now() + plan.warm;
    const double end = begin + plan.window;
    uint64_t kept = 0;
    for (uint64_t word = 0; kept < TRIPS_MAX; word += 2) {
        if (e->sleeps) {
            pace();
        }
        const uint64_t from = bench_ticks();
        send(e, put, buffer, word);
        if (receive(e, get, buffer) != word + 1) {
            atomic_fetch_add(&shared->bad, 1);
        }
        const uint64_t ticks = bench_ticks() - from;
        if (e->sleeps || word % 64 == 0) { /* looking at the clock costs something too */
            const double now = bench_now();
            if (now >= end) {
                break;
            }
            if (now < begin) {
                continue;
            }
        } else if (kept == 0) {
            continue;
        }
        shared->ticks[kept++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
    }
    atomic_store(&shared->trips, kept);
    send(e, put, buffer, BENCH_LAST);
    atomic_store(&shared->over, 1);
    leave(e, put, get);
}

/* ---- in the parent ---- */

typedef struct sample {
    double least, p50, p99, p999, cores, others, line, sleeps;
    uint64_t trips, bad;
    bool failed, killed;
} sample;

static int compare(const void *one, const void *other)
{
    const uint32_t a = *(const uint32_t *)one;
    const uint32_t b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static bool both_ready(void *unused)
{
    (void)unused;
    return atomic_load(&shared->ready) == 2;
}

static bool is_over(void *unused)
{
    (void)unused;
    return atomic_load(&shared->over) != 0;
}

static void evaluate(sample *s)
{
    const uint64_t trips = atomic_load(&shared->trips);
    const double one_way = bench_tick_ns() / 2;
    s->trips = trips;
    s->bad = atomic_load(&shared->bad);
    s->failed = trips < 10;
    if (!s->failed) {
        qsort(shared->ticks, trips, sizeof shared->ticks[0], compare);
        s->least = shared->ticks[0] * one_way;
        s->p50 = shared->ticks[trips / 2] * one_way;
        s->p99 = shared->ticks[trips * 99 / 100] * one_way;
        s->p999 = shared->ticks[trips * 999 / 1000] * one_way;
    }
}

static sample repeat(const bench_peer *peer, size_t size, bool sleeps)
{
    static unsigned runs;
    sample s = { .line = bench_line_ns() };
    bench_shape shape = { .putters = 1, .getters = 1, .size = size, .depth = DEPTH, .sleeps = sleeps };
    bench_patience = 1 << 14;
    memset(shared, 0, offsetof(board, ticks));
    ends e = { .peer = peer, .size = size, .sleeps = sleeps };
    snprintf(shape.name, sizeof shape.name, "trips.%d.%u", (int)getpid(), runs++);
    e.there = peer->create(&shape);
    snprintf(shape.name, sizeof shape.name, "trips.%d.%u", (int)getpid(), runs++);
    e.back = (peer->can & BENCH_PIPE) != 0 ? e.there : peer->create(&shape);
    if (e.there == NULL || e.back == NULL) {
        s.failed = true;
        return s;
    }
    const bench_load before = bench_load_now();
    pid_t processes[2];
    if ((processes[1] = bench_fork()) == 0) {
        run_echo(&e);
    }
    if ((processes[0] = bench_fork()) == 0) {
        run_caller(&e);
    }
    const bool began = bench_wait(5, both_ready, NULL);
    atomic_store(&shared->go, 1);
    const bool ended = began && bench_wait(plan.warm + plan.window + 5, is_over, NULL);
    s.killed = !bench_reap(processes, 2, ended ? 0.5 : 0.01);
    const bench_load after = bench_load_now();
    evaluate(&s);
    s.cores = bench_load_own(&before, &after);
    s.others = bench_load_others(&before, &after);
    s.sleeps = s.trips != 0 ? (double)(after.sleeps - before.sleeps) * 1000 / (double)(2 * s.trips) : 0;
    peer->destroy(e.there);
    if (e.back != e.there) {
        peer->destroy(e.back);
    }
    return s;
}

/* ---- rows ---- */

static void add_row(const char *test, const bench_peer *peer, size_t size, bool sleeps, const sample *s)
{
    bench_row row = { .putters = 1, .getters = 1, .size = size, .least = s->least, .p50 = s->p50, .p99 = s->p99,
                      .p999 = s->p999, .cores = s->cores, .sleeps = s->sleeps, .others = s->others, .line = s->line,
                      .bad = s->bad };
    snprintf(row.test, sizeof row.test, "%s", test);
    snprintf(row.peer, sizeof row.peer, "%s", peer->name);
    snprintf(row.mode, sizeof row.mode, "%s", sleeps ? "sleep" : "spin");
    snprintf(row.note, sizeof row.note, "%s%s", s->failed ? "FAILED " : "", s->killed ? "killed" : "");
    bench_row_add(&row);
}

/* The repetition with the middle p50 is shown as it is. */
static const sample *middle(sample *samples, int taken)
{
    for (int i = 0; i < taken; i++) {
        int below = 0;
        for (int j = 0; j < taken; j++) {
            below += samples[j].p50 < samples[i].p50 || (samples[j].p50 == samples[i].p50 && j < i);
        }
        if (below == taken / 2) {
            return &samples[i];
        }
    }
    return &samples[0];
}

#define SAMPLES_MAX 32

void bench_trips(const char *test, const bench_peer *const *peers, size_t count, size_t size, bool sleeps)
{
    const unsigned mode = sleeps ? BENCH_SLEEPS : BENCH_SPINS;
    if (shared == NULL) {
        shared = bench_shared_memory(sizeof *shared);
    }
    sample(*samples)[SAMPLES_MAX] = calloc(count, sizeof *samples);
    const int repetitions = plan.repetitions < SAMPLES_MAX ? plan.repetitions : SAMPLES_MAX;
    for (int round = 0; round < repetitions; round++) {
        for (size_t i = 0; i < count; i++) {
            if ((peers[i]->can & mode) != 0) {
                samples[i][round] = repeat(peers[i], size, sleeps);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if ((peers[i]->can & mode) != 0) {
            add_row(test, peers[i], size, sleeps, middle(samples[i], repetitions));
        }
    }
    free(samples);
}
