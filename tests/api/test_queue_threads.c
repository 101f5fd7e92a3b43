/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads on one handle, in shared and in private memory.
 *
 * Threads only note what they find: CUnit's asserts are for one thread.
 */
#include "queues.h"

#include <stdatomic.h>
#include <stdint.h>

#define SOON 2000000 /* microseconds: whoever sleeps is woken, not left to a time limit */

/* ---- what a queue of threads is not ---- */

static void queue_of_threads_has_no_name(void)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL(cano_queue_create(&queue, "name", &OPTIONS(.scope = CANO_THREADS)), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_open(&queue, "name", &OPTIONS(.scope = CANO_THREADS)), CANO_EINVAL);
    CU_ASSERT_PTR_NULL(queue);
}

static void queue_of_threads_is_not_handed_on(void)
{
    cano_queue *queue = make_queue(OPTIONS(.scope = CANO_THREADS));
    const char *const argv[] = { CANO_SELF, "role", "none", NULL };
    const cano_hand hand = { "queue", queue, NULL, 0, 0 };
    const cano_process_options options = { sizeof options, &hand, 1 };
    cano_process *process = NULL;
    CU_ASSERT_EQUAL(cano_process_spawn(&process, argv, &options), CANO_EINVAL);
    CU_ASSERT_PTR_NULL(process);
    cano_pipe *a;
    cano_pipe *b;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&a, &b, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send_queue(a, queue, CANO_NOW), CANO_EINVAL);
    cano_pipe_close(a);
    cano_pipe_close(b);
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK); /* it goes on here */
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    cano_queue_close(queue);
}

/* ---- everything put is got once, in the order of its putter ---- */

#define PUTTERS 3
#define GETTERS 3
#define EACH 3000
#define LARGEST 700

/* The beginning of a message; the rest is a pattern of its number. */
typedef struct head {
    uint32_t putter;
    uint32_t number;
} head;

typedef struct crew {
    cano_queue *queue;
    uint32_t putter; /* who; of a getter: nothing */
    uint32_t faults;
    uint32_t counts[PUTTERS];
    uint64_t sums[PUTTERS];
} crew;

static size_t size_of(uint32_t number)
{
    return sizeof(head) + (number * 7919u) % (LARGEST - sizeof(head));
}

static void write_message(void *memory, uint32_t putter, uint32_t number)
{
    const head h = { putter, number };
    memcpy(memory, &h, sizeof h);
    fill_pattern((char *)memory + sizeof h, size_of(number) - sizeof h, number + putter);
}

static void run_putter(void *context)
{
    crew *c = context;
    char memory[LARGEST];
    for (uint32_t i = 0; i < EACH; i++) {
        void *place = NULL;
        const bool in_place = i % 5 == 0;
        if (in_place && cano_queue_reserve(c->queue, LARGEST, &place, PATIENCE) != CANO_OK) {
            c->faults++;
            continue;
        }
        write_message(in_place ? place : memory, c->putter, i);
        const cano_status status = in_place ? cano_queue_commit(c->queue, place, size_of(i), PATIENCE)
                                            : cano_queue_put(c->queue, memory, size_of(i), PATIENCE);
        c->faults += status != CANO_OK;
    }
}

static void check_message(crew *c, const void *memory, size_t size, uint32_t *next)
{
    head h = { PUTTERS, 0 };
    if (size >= sizeof h) {
        memcpy(&h, memory, sizeof h);
    }
    const bool good = h.putter < PUTTERS && h.number < EACH && size == size_of(h.number) && h.number >= next[h.putter] &&
                      has_pattern((const char *)memory + sizeof h, size - sizeof h, h.number + h.putter);
    c->faults += !good;
    if (good) {
        next[h.putter] = h.number + 1;
        c->counts[h.putter]++;
        c->sums[h.putter] += h.number;
    }
}

/* Get by turns in every way, until the end. */
static void run_getter(void *context)
{
    crew *c = context;
    char memory[LARGEST];
    uint32_t next[PUTTERS] = { 0 };
    for (uint32_t i = 0;; i++) {
        cano_item item = { .data = memory };
        void *made = NULL;
        const cano_status status = i % 3 == 0   ? cano_queue_get(c->queue, memory, sizeof memory, &item.size, PATIENCE)
                                   : i % 3 == 1 ? cano_queue_take(c->queue, &item, PATIENCE)
                                                : cano_queue_get_alloc(c->queue, &made, &item.size, PATIENCE);
        if (status != CANO_OK) {
            c->faults += status != CANO_ECLOSED;
            return;
        }
        check_message(c, made != NULL ? made : item.data, item.size, next);
        if (i % 3 == 1) {
            cano_queue_release(c->queue, &item);
        }
        cano_free(made);
    }
}

static void run_crews(cano_queue *queue)
{
    crew putters[PUTTERS];
    crew getters[GETTERS];
    suite_thread *threads[PUTTERS + GETTERS];
    for (uint32_t i = 0; i < GETTERS; i++) {
        getters[i] = (crew){ .queue = queue };
        threads[PUTTERS + i] = suite_thread_start(run_getter, &getters[i]);
    }
    for (uint32_t i = 0; i < PUTTERS; i++) {
        putters[i] = (crew){ .queue = queue, .putter = i };
        threads[i] = suite_thread_start(run_putter, &putters[i]);
    }
    for (int i = 0; i < PUTTERS + GETTERS; i++) {
        if (i == PUTTERS) {
            CU_ASSERT_EQUAL(cano_queue_shutdown(queue, false), CANO_OK);
        }
        suite_thread_end(threads[i]);
    }
    for (uint32_t p = 0; p < PUTTERS; p++) {
        CU_ASSERT_EQUAL(putters[p].faults, 0);
        CU_ASSERT_EQUAL(getters[0].counts[p] + getters[1].counts[p] + getters[2].counts[p], EACH);
        CU_ASSERT_EQUAL(getters[0].sums[p] + getters[1].sums[p] + getters[2].sums[p], (uint64_t)EACH * (EACH - 1) / 2);
        CU_ASSERT_EQUAL(getters[p].faults, 0);
    }
    CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
}

static void each_message_is_got_once_in_its_putters_order(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        for (uint64_t items = 1; items <= 64; items *= 8) {
            cano_queue *queue = make_queue(OPTIONS(.scope = scope, .max_items = items, .max_bytes = items * 4 * LARGEST));
            run_crews(queue);
            cano_queue_close(queue);
        }
    }
}

typedef struct worker {
    cano_queue *queue;
    uint64_t done;
    uint64_t faults;
} worker;

static void run_worker(void *context)
{
    worker *w = context;
    cano_status status;
    while ((status = status_of_get(w->queue, PATIENCE)) == CANO_OK) {
        w->faults += cano_queue_task_done(w->queue, NULL) != CANO_OK;
        w->done++;
    }
    w->faults += status != CANO_ECLOSED;
}

static void joining_thread_waits_for_working_threads(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE, .max_items = 50, .max_leases = 4));
        worker workers[4];
        suite_thread *threads[4];
        for (int i = 0; i < 4; i++) {
            workers[i] = (worker){ queue, 0, 0 };
            threads[i] = suite_thread_start(run_worker, &workers[i]);
        }
        for (int round = 0; round < 20; round++) {
            for (uint64_t i = 0; i < 200; i++) {
                CU_ASSERT_EQUAL(put_number(queue, i, PATIENCE), CANO_OK);
            }
            CU_ASSERT_EQUAL(cano_queue_join(queue, PATIENCE), CANO_OK);
            CU_ASSERT_EQUAL(unfinished_of(queue), 0);
        }
        CU_ASSERT_EQUAL(cano_queue_shutdown(queue, false), CANO_OK);
        uint64_t done = 0;
        for (int i = 0; i < 4; i++) {
            suite_thread_end(threads[i]);
            CU_ASSERT_EQUAL(workers[i].faults, 0);
            done += workers[i].done;
        }
        CU_ASSERT_EQUAL(done, 4000);
        cano_queue_close(queue);
    }
}

/* ---- close ---- */

enum {
    IN_GET,
    IN_PEEK,
    IN_PUT,
    IN_PUT_LARGE,
    IN_RESERVE,
    IN_LOCK,
    IN_JOIN,
    IN_DEAD_GET,
    WAYS
};

typedef struct sleeper {
    cano_queue *queue;
    int way;
    cano_status status;
} sleeper;

static void run_sleeper(void *context)
{
    sleeper *s = context;
    static const char large[40000];
    uint64_t number;
    cano_item item;
    void *memory;
    switch (s->way) {
    case IN_GET:
        s->status = status_of_get(s->queue, PATIENCE);
        break;
    case IN_PEEK:
        s->status = cano_queue_peek(s->queue, &number, sizeof number, NULL, PATIENCE);
        break;
    case IN_PUT:
        s->status = put_number(s->queue, 1, PATIENCE);
        break;
    case IN_PUT_LARGE:
        s->status = cano_queue_put(s->queue, large, sizeof large, PATIENCE);
        break;
    case IN_RESERVE:
        s->status = cano_queue_reserve(s->queue, sizeof large, &memory, PATIENCE);
        break;
    case IN_LOCK:
        s->status = cano_queue_lock(s->queue, PATIENCE);
        break;
    case IN_JOIN:
        s->status = cano_queue_join(s->queue, PATIENCE);
        break;
    default:
        s->status = cano_queue_dead_get(s->queue, &item, PATIENCE);
    }
}

/* A queue in which every way leads to sleep: but for IN_GET and IN_PEEK it is full, and its lock is held for IN_LOCK. */
static cano_queue *make_sleepy(uint32_t scope, int way)
{
    cano_queue *queue =
        make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE, .max_items = 1, .max_bytes = 40000, .max_leases = 1));
    void *memory;
    while (cano_queue_reserve(queue, 40000, &memory, CANO_NOW) == CANO_OK) {
    }
    if (way != IN_GET && way != IN_PEEK) {
        put_number(queue, 1, CANO_NOW);
    }
    if (way == IN_LOCK) {
        CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_NOW), CANO_OK);
    }
    return queue;
}

static void close_wakes_sleepers_in_other_threads(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        for (int way = 0; way < WAYS; way++) {
            sleeper s = { make_sleepy(scope, way), way, CANO_EUNKNOWN };
            sleeper same = s;
            suite_thread *one = suite_thread_start(run_sleeper, &s);
            suite_thread *other = suite_thread_start(run_sleeper, &same);
            linger(50000);
            const int64_t start = suite_now();
            cano_queue_close(s.queue);
            suite_thread_end(one);
            suite_thread_end(other);
            CU_ASSERT_EQUAL(s.status, CANO_ECLOSED);
            CU_ASSERT_EQUAL(same.status, CANO_ECLOSED);
            CU_ASSERT(elapsed(start) < SOON);
        }
    }
}

static void close_leaves_other_handles_asleep(void)
{
    const char *name = suite_name("handles");
    cano_queue *closing = make_named(name, OPTIONS(0));
    sleeper s = { open_named(name), IN_GET, CANO_EUNKNOWN };
    cano_queue *putter = open_named(name);
    suite_thread *thread = suite_thread_start(run_sleeper, &s);
    linger(20000);
    cano_queue_close(closing);
    CU_ASSERT_EQUAL(put_number(putter, 1, CANO_NOW), CANO_OK);
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(s.status, CANO_OK);
    cano_queue_close(s.queue);
    cano_queue_close(putter);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

/* ---- many ---- */

#define CROWD 60

static void crowd_of_sleepers_wakes(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope));
        static sleeper sleepers[CROWD];
        suite_thread *threads[CROWD];
        for (int i = 0; i < CROWD; i++) {
            sleepers[i] = (sleeper){ queue, IN_GET, CANO_EUNKNOWN };
            threads[i] = suite_thread_start(run_sleeper, &sleepers[i]);
        }
        linger(20000);
        for (uint64_t i = 0; i < CROWD; i++) {
            CU_ASSERT_EQUAL(put_number(queue, i, CANO_NOW), CANO_OK);
        }
        for (int i = 0; i < CROWD; i++) {
            suite_thread_end(threads[i]);
            CU_ASSERT_EQUAL(sleepers[i].status, CANO_OK);
        }
        cano_queue_close(queue);
    }
}

static void one_after_another_threads_come_and_go(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    for (int i = 0; i < 300; i++) {
        sleeper s = { queue, IN_GET, CANO_EUNKNOWN };
        suite_thread *thread = suite_thread_start(run_sleeper, &s);
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
        suite_thread_end(thread);
        CU_ASSERT_EQUAL(s.status, CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    }
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static const suite_test tests[] = {
    { "queue_of_threads_has_no_name", queue_of_threads_has_no_name },
    { "queue_of_threads_is_not_handed_on", queue_of_threads_is_not_handed_on },
    { "each_message_is_got_once_in_its_putters_order", each_message_is_got_once_in_its_putters_order },
    { "joining_thread_waits_for_working_threads", joining_thread_waits_for_working_threads },
    { "close_wakes_sleepers_in_other_threads", close_wakes_sleepers_in_other_threads },
    { "close_leaves_other_handles_asleep", close_leaves_other_handles_asleep },
    { "crowd_of_sleepers_wakes", crowd_of_sleepers_wakes },
    { "one_after_another_threads_come_and_go", one_after_another_threads_come_and_go },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: threads", tests, NULL);
}
