/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "driver.h"

#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PUTTER_SHIFT 48 /* a message's word: putter + 1, number of the message */
#define NUMBER_MASK ((UINT64_C(1) << PUTTER_SHIFT) - 1)
#define STRETCH 8 /* depths: so a queue that had filled up before does not count for much */
#define DEEP ((size_t)4 << 20) /* bytes of messages that shall fit */

/* What one process tells, in lines of its own. */
typedef struct tally {
    alignas(128) _Atomic uint64_t messages;
    _Atomic uint64_t bad;
    _Atomic uint64_t least; /* ticks for STRETCH depths of messages: the calmest stretch */
} tally;

typedef struct board {
    _Atomic int getters_ready, putters_ready, putters_done;
    _Atomic int go, stop, say_last, leave;
    tally getters[BENCH_SIDE_MAX], putters[BENCH_SIDE_MAX];
} board;

static board *shared;

/* One repetition, to be told by all of them. */
typedef struct sample {
    double rate, calm, cores, others, line, sleeps;
    uint64_t bad, lost;
    bool failed, killed;
} sample;

/* ---- in the processes ---- */

static void fail(const bench_peer *peer, const char *what)
{
    fprintf(stderr, "cano-bench: %s: %s failed\n", peer->name, what);
    _exit(5);
}

static void put_one(const bench_peer *peer, void *handle, void *buffer, size_t size, uint64_t word)
{
    void *room = peer->room != NULL ? peer->room(handle, size) : buffer;
    if (room == NULL) {
        fail(peer, "room");
    }
    bench_write(room, size, word);
    if (!peer->put(handle, room, size)) {
        fail(peer, "put");
    }
}

static void run_putter(const bench_peer *peer, void *thing, const bench_shape *shape, unsigned number)
{
    if (shape->putters == 1 && shape->getters == 1) {
        bench_pin(0);
    }
    while (atomic_load(&shared->getters_ready) < (int)shape->getters) {
        bench_sleep(0.0002);
    }
    void *handle = peer->attach(thing, BENCH_PUTTER, number);
    if (handle == NULL) {
        fail(peer, "attach");
    }
    void *buffer = bench_buffer(shape->size);
    atomic_fetch_add(&shared->putters_ready, 1);
    while (!atomic_load(&shared->go)) {
        bench_sleep(0.00005);
    }
    const uint64_t mine = (uint64_t)(number + 1) << PUTTER_SHIFT;
    uint64_t count = 0;
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        put_one(peer, handle, buffer, shape->size, mine | count);
        atomic_store_explicit(&shared->putters[number].messages, ++count, memory_order_relaxed);
    }
    if (peer->flush != NULL && !peer->flush(handle)) {
        fail(peer, "flush");
    }
    atomic_fetch_add(&shared->putters_done, 1);
    if (number == 0) {
        while (!atomic_load(&shared->say_last)) {
            bench_sleep(0.0002);
        }
        for (unsigned i = 0; i < shape->getters; i++) {
            put_one(peer, handle, buffer, shape->size, BENCH_LAST);
            if (peer->flush != NULL) {
                peer->flush(handle);
            }
        }
    }
    while (!atomic_load(&shared->leave)) {
        bench_sleep(0.0002);
    }
    if (peer->detach != NULL) {
        peer->detach(handle);
    }
    _exit(0);
}

/* Another stretch of messages has come. */
static void note_stretch(tally *mine, uint64_t *since)
{
    const uint64_t now = bench_ticks();
    const uint64_t least = atomic_load_explicit(&mine->least, memory_order_relaxed);
    if (*since != 0 && (least == 0 || now - *since < least)) {
        atomic_store_explicit(&mine->least, now - *since, memory_order_relaxed);
    }
    *since = now;
}

static void run_getter(const bench_peer *peer, void *thing, const bench_shape *shape, unsigned number)
{
    if (shape->putters == 1 && shape->getters == 1) {
        bench_pin(1);
    }
    void *handle = peer->attach(thing, BENCH_GETTER, number);
    if (handle == NULL) {
        fail(peer, "attach");
    }
    void *buffer = bench_buffer(shape->size);
    tally *mine = &shared->getters[number];
    uint64_t next[BENCH_SIDE_MAX + 1] = { 0 };
    uint64_t count = 0;
    uint64_t since = 0;
    const uint64_t stretch = (uint64_t)shape->depth * STRETCH;
    atomic_fetch_add(&shared->getters_ready, 1);
    for (;;) {
        size_t size = shape->size;
        uint64_t wrong;
        const void *message = peer->get(handle, buffer, &size);
        if (message == NULL || size != shape->size) {
            fail(peer, "get");
        }
        const uint64_t word = bench_read(message, size, &wrong);
        if (peer->done != NULL) {
            peer->done(handle);
        }
        if (word == BENCH_LAST) {
            break;
        }
        const uint64_t putter = word >> PUTTER_SHIFT;
        const uint64_t index = word & NUMBER_MASK;
        const bool known = putter >= 1 && putter <= shape->putters;
        if (wrong != 0 || !known || index < next[putter] || (shape->getters == 1 && index != next[putter])) {
            atomic_fetch_add(&mine->bad, 1);
        }
        if (known) {
            next[putter] = index + 1;
        }
        atomic_store_explicit(&mine->messages, ++count, memory_order_relaxed);
        if (count % stretch == 0) {
            note_stretch(mine, &since);
        }
    }
    if (peer->detach != NULL) {
        peer->detach(handle);
    }
    _exit(0);
}

/* ---- in the parent ---- */

static uint64_t count(const tally *tallies, unsigned processes)
{
    uint64_t messages = 0;
    for (unsigned i = 0; i < processes; i++) {
        messages += atomic_load(&tallies[i].messages);
    }
    return messages;
}

static bool all_putters_ready(void *shape)
{
    return atomic_load(&shared->putters_ready) == (int)((const bench_shape *)shape)->putters;
}

static bool all_putters_done(void *shape)
{
    return atomic_load(&shared->putters_done) == (int)((const bench_shape *)shape)->putters;
}

static bool all_received(void *shape)
{
    const bench_shape *s = shape;
    return count(shared->getters, s->getters) >= count(shared->putters, s->putters);
}

static void measure(bench_shape *shape, sample *s)
{
    bench_sleep(0.02);
    atomic_store(&shared->go, 1);
    bench_sleep(plan.warm);
    const double from = bench_now();
    const uint64_t before = count(shared->getters, shape->getters);
    bench_sleep(plan.window);
    const double to = bench_now();
    const uint64_t after = count(shared->getters, shape->getters);
    atomic_store(&shared->stop, 1);
    s->rate = (double)(after - before) / (to - from);
    bench_wait(3, all_putters_done, shape);
    bench_wait(3, all_received, shape);
    const uint64_t sent = count(shared->putters, shape->putters);
    const uint64_t received = count(shared->getters, shape->getters);
    s->lost = sent > received ? sent - received : received - sent;
    atomic_store(&shared->say_last, 1);
}

static void make_shape(bench_shape *shape, unsigned putters, unsigned getters, size_t size, bool sleeps)
{
    static unsigned runs;
    const size_t depth = DEEP / size;
    *shape = (bench_shape){ .putters = putters, .getters = getters, .size = size, .sleeps = sleeps };
    shape->depth = depth > 1024 ? 1024 : depth < 8 ? 8 : (unsigned)depth;
    snprintf(shape->name, sizeof shape->name, "bench.%d.%u", (int)getpid(), runs++);
    bench_patience = putters + getters <= (unsigned)bench_cores() ? 1 << 14 : 64;
}

static sample repeat(const bench_peer *peer, bench_shape *shape)
{
    sample s = { .line = bench_line_ns() };
    pid_t getters[BENCH_SIDE_MAX];
    pid_t putters[BENCH_SIDE_MAX];
    memset(shared, 0, sizeof *shared);
    void *thing = peer->create(shape);
    if (thing == NULL) {
        s.failed = true;
        return s;
    }
    const bench_load before = bench_load_now();
    for (unsigned i = 0; i < shape->getters; i++) {
        if ((getters[i] = bench_fork()) == 0) {
            run_getter(peer, thing, shape, i);
        }
    }
    for (unsigned i = 0; i < shape->putters; i++) {
        if ((putters[i] = bench_fork()) == 0) {
            run_putter(peer, thing, shape, i);
        }
    }
    s.failed = !bench_wait(5, all_putters_ready, shape);
    if (!s.failed) {
        measure(shape, &s);
    }
    s.killed = !bench_reap(getters, shape->getters, s.failed ? 0.01 : 0.5);
    atomic_store(&shared->leave, 1);
    s.killed |= !bench_reap(putters, shape->putters, s.failed ? 0.01 : 1);
    const bench_load after = bench_load_now();
    const uint64_t messages = count(shared->getters, shape->getters);
    s.cores = bench_load_own(&before, &after);
    s.others = bench_load_others(&before, &after);
    s.sleeps = messages != 0 ? (double)(after.sleeps - before.sleeps) * 1000 / (double)messages : 0;
    for (unsigned i = 0; i < shape->getters; i++) {
        s.bad += atomic_load(&shared->getters[i].bad);
    }
    const uint64_t least = atomic_load(&shared->getters[0].least);
    if (shape->getters == 1 && least != 0) {
        s.calm = (double)shape->depth * STRETCH * 1e9 / ((double)least * bench_tick_ns());
    }
    peer->destroy(thing);
    return s;
}

/* ---- rows ---- */

#define SAMPLES_MAX 32

static bool can(const bench_peer *peer, unsigned putters, unsigned getters, size_t size, bool sleeps)
{
    const unsigned mode = sleeps ? BENCH_SLEEPS : BENCH_SPINS;
    return (peer->can & mode) != 0 && (peer->largest == 0 || size <= peer->largest)
        && ((peer->can & BENCH_MANY) != 0 || (putters == 1 && getters == 1));
}

static int by_others(const void *one, const void *other)
{
    const double a = ((const sample *)one)->others;
    const double b = ((const sample *)other)->others;
    return (a > b) - (a < b);
}

/* The calmest repetitions are kept; what went wrong in any of them is told. */
static void add_row(const char *test, const bench_peer *peer, const bench_shape *shape, sample *samples, int taken)
{
    bench_row row = { .putters = shape->putters, .getters = shape->getters, .size = shape->size };
    double rates[SAMPLES_MAX];
    bool killed = false;
    int kept = 0;
    for (int i = 0; i < taken; i++) {
        row.bad += samples[i].bad;
        row.rate_calm = samples[i].calm > row.rate_calm ? samples[i].calm : row.rate_calm;
        row.lost += samples[i].lost;
        killed |= samples[i].killed;
    }
    qsort(samples, (size_t)taken, sizeof *samples, by_others);
    for (int i = 0; i < taken && kept < plan.repetitions; i++) {
        if (samples[i].failed) {
            continue;
        }
        rates[kept++] = samples[i].rate;
        row.cores += samples[i].cores;
        row.sleeps += samples[i].sleeps;
        row.others = samples[i].others > row.others ? samples[i].others : row.others;
        row.line = row.line == 0 || samples[i].line < row.line ? samples[i].line : row.line;
    }
    if (kept > 0) {
        row.rate = bench_median(rates, (size_t)kept);
        row.rate_low = rates[0];
        row.rate_high = rates[kept - 1];
        row.cores /= kept;
        row.sleeps /= kept;
    }
    snprintf(row.test, sizeof row.test, "%s", test);
    snprintf(row.peer, sizeof row.peer, "%s", peer->name);
    snprintf(row.mode, sizeof row.mode, "%s", shape->sleeps ? "sleep" : "spin");
    snprintf(row.note, sizeof row.note, "%s%s%s", kept == 0 ? "FAILED " : "", killed ? "killed " : "",
             peer->note != NULL ? peer->note : "");
    bench_row_add(&row);
}

typedef struct series {
    sample samples[SAMPLES_MAX];
    int taken, calm;
} series;

void bench_flow(const char *test, const bench_peer *const *peers, size_t count_of_peers, unsigned putters, unsigned getters,
                size_t size, bool sleeps)
{
    bench_shape shape;
    series *all = calloc(count_of_peers, sizeof *all);
    if (shared == NULL) {
        shared = bench_shared_memory(sizeof *shared);
    }
    for (int round = 0; round < plan.repetitions + plan.again && round < SAMPLES_MAX; round++) {
        for (size_t i = 0; i < count_of_peers; i++) {
            series *s = &all[i];
            if (!can(peers[i], putters, getters, size, sleeps) || s->calm >= plan.repetitions) {
                continue;
            }
            make_shape(&shape, putters, getters, size, sleeps);
            s->samples[s->taken] = repeat(peers[i], &shape);
            s->calm += s->samples[s->taken].others <= BENCH_NOISY;
            s->taken++;
        }
    }
    for (size_t i = 0; i < count_of_peers; i++) {
        if (all[i].taken > 0) {
            add_row(test, peers[i], &shape, all[i].samples, all[i].taken);
        }
    }
    free(all);
}
