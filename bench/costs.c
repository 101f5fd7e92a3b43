/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls of cano cost as there is more of something: rows whose size is how much there is, and whose p50 is nanoseconds for
 * one operation.
 */
#include "driver.h"

#include <cano/cano.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 64
#define HANDLES_MAX 256

static unsigned char message[SIZE];

static void check(cano_status status, const char *what)
{
    if (status != CANO_OK) {
        fprintf(stderr, "cano-bench: %s: %s\n", what, cano_strerror(status));
        exit(1);
    }
}

static void add(const char *what, size_t amount, double ns)
{
    bench_row row = { .putters = 1, .getters = 1, .size = amount, .p50 = ns };
    snprintf(row.test, sizeof row.test, "cost");
    snprintf(row.peer, sizeof row.peer, "%s", what);
    snprintf(row.mode, sizeof row.mode, "-");
    bench_row_add(&row);
}

/* Nanoseconds for one, the least of a few windows: what disturbs only adds. */
static double time_of(void (*operation)(void *), void *context)
{
    double best = 1e18;
    for (int i = 0; i < 5; i++) {
        const double from = bench_now();
        double now = from;
        uint64_t times = 0;
        for (; now < from + plan.window / 5; now = bench_now()) {
            for (int j = 0; j < 16; j++, times++) {
                operation(context);
            }
        }
        const double ns = (now - from) * 1e9 / (double)times;
        best = ns < best ? ns : best;
    }
    return best;
}

static cano_queue *make(const char *name, cano_queue_options options)
{
    cano_queue *queue;
    options.size = sizeof options;
    check(cano_queue_create(&queue, name, &options), "create");
    return queue;
}

static void put(void *queue)
{
    check(cano_queue_put(queue, message, SIZE, CANO_FOREVER), "put");
}

static void get(void *queue)
{
    check(cano_queue_get(queue, message, SIZE, NULL, CANO_FOREVER), "get");
}

static void put_get(void *queue)
{
    put(queue);
    get(queue);
}

/* ---- items, leases, participants ---- */

static void items(size_t amount)
{
    cano_queue *queue = make(NULL, (cano_queue_options){ .max_items = 20000, .max_bytes = 20000 * SIZE });
    for (size_t i = 1; i < amount; i++) {
        put(queue);
    }
    add("put and get, items queued:", amount, time_of(put_get, queue));
    cano_queue_close(queue);
}

static void task(void *queue)
{
    cano_item item;
    put(queue);
    check(cano_queue_take(queue, &item, CANO_FOREVER), "take");
    check(cano_queue_task_done(queue, &item), "task_done");
}

static void leases(size_t amount)
{
    cano_queue *queue = make(NULL, (cano_queue_options){ .flags = CANO_JOINABLE, .max_leases = 1100 });
    for (size_t i = 1; i < amount; i++) {
        put_get(queue);
    }
    add("put, take, task_done, leases out:", amount, time_of(task, queue));
    cano_queue_close(queue);
}

static void get_nothing(void *queue)
{
    const cano_status status = cano_queue_get(queue, message, SIZE, NULL, CANO_NOW);
    check(status == CANO_ETIMEOUT ? CANO_OK : CANO_EINVAL, "get nothing");
}

static void open_close(void *name)
{
    cano_queue *queue;
    check(cano_queue_open(&queue, name, NULL), "open");
    cano_queue_close(queue);
}

static void participants(size_t amount)
{
    char name[40];
    cano_queue *others[HANDLES_MAX];
    snprintf(name, sizeof name, "bench.costs.%d", (int)getpid());
    cano_queue *queue = make(name, (cano_queue_options){ .max_participants = HANDLES_MAX + 4 });
    for (size_t i = 0; i + 1 < amount; i++) {
        check(cano_queue_open(&others[i], name, NULL), "open");
    }
    add("put and get, participants:", amount, time_of(put_get, queue));
    add("get that finds nothing, participants:", amount, time_of(get_nothing, queue));
    add("open and close, participants:", amount, time_of(open_close, name));
    for (size_t i = 0; i + 1 < amount; i++) {
        cano_queue_close(others[i]);
    }
    cano_queue_close(queue);
    cano_queue_unlink(name);
}

/* ---- processes ---- */

static void processes(unsigned sides)
{
    const bench_peer *cano = NULL;
    for (size_t i = 0; bench_peers[i] != NULL; i++) {
        cano = strcmp(bench_peers[i]->name, "cano") == 0 ? bench_peers[i] : cano;
    }
    if (cano == NULL) {
        return;
    }
    bench_flow("processes", &cano, 1, sides, sides, SIZE, true);
    const bench_row *row = bench_row_find("processes", "cano", "sleep", sides, sides, SIZE);
    add("message from put to get, processes:", 2 * sides, row->rate > 0 ? 1e9 / row->rate : 0);
}

/* ---- making, starting ---- */

static void create_close(void *unused)
{
    (void)unused;
    cano_queue_close(make(NULL, (cano_queue_options){ 0 }));
}

static void create_pipe(void *unused)
{
    cano_pipe *a, *b;
    (void)unused;
    check(cano_pipe_create(&a, &b, NULL), "pipe");
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void spawn_and_wait(void *queue)
{
    const cano_hand hand = { .name = "queue", .queue = queue };
    const cano_process_options options = { sizeof options, queue != NULL ? &hand : NULL, queue != NULL };
    cano_process *process;
    check(cano_process_spawn(&process, (const char *const[]){ CANO_SELF, "--child", NULL }, &options), "spawn");
    check(cano_process_wait(process, NULL, CANO_FOREVER), "wait");
    cano_process_close(process);
    if (queue != NULL) {
        get(queue);
    }
}

/* What the child that was started does: takes the queue, if it was handed one, and says something. */
int bench_child(void)
{
    cano_queue *queue;
    if (cano_inherited_queue("queue", NULL, &queue) == CANO_OK) {
        put(queue);
        cano_queue_close(queue);
    }
    return 0;
}

static void making(void)
{
    add("create and close a queue", 1, time_of(create_close, NULL));
    add("create and close a pipe", 1, time_of(create_pipe, NULL));
    cano_queue *queue = make(NULL, (cano_queue_options){ 0 });
    add("start a process, wait for it", 1, time_of(spawn_and_wait, NULL));
    add("the same, with a queue handed over, and used", 1, time_of(spawn_and_wait, queue));
    cano_queue_close(queue);
}

/* ---- idle ---- */

/* Processor time for a second of waiting in get, in nanoseconds; and how often it woke. */
static void idle(void)
{
    cano_queue *queue = make(NULL, (cano_queue_options){ 0 });
    const pid_t process = bench_fork();
    if (process == 0) {
        cano_queue_get(queue, message, SIZE, NULL, 200000);
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        cano_queue_get(queue, message, SIZE, NULL, 2000000);
        getrusage(RUSAGE_SELF, &after);
        const int64_t us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000
            + after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
        const uint64_t told[2] = { (uint64_t)us * 1000 / 2, (uint64_t)(after.ru_nvcsw - before.ru_nvcsw) };
        check(cano_queue_put(queue, told, sizeof told, CANO_NOW), "put");
        _exit(0);
    }
    uint64_t told[2] = { 0, 0 };
    waitpid(process, NULL, 0);
    check(cano_queue_get(queue, told, sizeof told, NULL, CANO_NOW), "get");
    add("processor time in a second asleep in get; wakes:", told[1] / 2, (double)told[0]);
    cano_queue_close(queue);
}

void bench_costs(void)
{
    static const size_t some_items[] = { 1, 10, 100, 1000, 10000 };
    static const size_t some_leases[] = { 1, 10, 100, 1000 };
    static const size_t some_participants[] = { 1, 16, 64, 256 };
    const struct rlimit descriptors = { 4096, 4096 };
    setrlimit(RLIMIT_NOFILE, &descriptors);
    for (size_t i = 0; i < 5; i++) {
        items(some_items[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        leases(some_leases[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        participants(some_participants[i]);
    }
    for (unsigned sides = 1; sides <= 8; sides *= 2) {
        processes(sides);
    }
    making();
    idle();
}
