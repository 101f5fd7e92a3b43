/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shutdown: the end for every process, with or without what is left.
 */
#include "queues.h"

#include <stdint.h>

#define SOON 2000000 /* microseconds: whoever sleeps is woken, not left to a time limit */

static void shut(cano_queue *queue, bool immediate)
{
    CU_ASSERT_EQUAL(cano_queue_shutdown(queue, immediate), CANO_OK);
}

/* ---- puts and gets ---- */

static void check_puts_closed(cano_queue *queue)
{
    const cano_slice slices[2] = { { "a", 1 }, { "b", 1 } };
    static const char large[100000];
    void *memory;
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_ECLOSED);
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_FOREVER), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_put(queue, large, sizeof large, CANO_FOREVER), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, slices, 2, CANO_FOREVER), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 1, &memory, CANO_FOREVER), CANO_ECLOSED);
}

static void check_gets_closed(cano_queue *queue, cano_timeout timeout)
{
    uint64_t number;
    cano_item item;
    size_t size;
    void *data;
    CU_ASSERT_EQUAL(status_of_get(queue, timeout), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_peek(queue, &number, sizeof number, NULL, timeout), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_take(queue, &item, timeout), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, &data, &size, timeout), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, &item, 1, &size, &number, sizeof number, timeout), CANO_ECLOSED);
}

static void puts_are_closed_and_gets_take_what_is_left(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope));
        uint64_t number = 0;
        put_number(queue, 1, CANO_NOW);
        put_pattern(queue, 50000, 2, CANO_NOW);
        put_number(queue, 3, CANO_NOW);
        shut(queue, false);
        check_puts_closed(queue);
        CU_ASSERT_EQUAL(count_of(queue), 3);
        CU_ASSERT_EQUAL(cano_queue_peek(queue, &number, sizeof number, NULL, CANO_FOREVER), CANO_OK);
        CU_ASSERT_EQUAL(get_number(queue, CANO_FOREVER), 1);
        CU_ASSERT(get_pattern(queue, 50000, 2));
        CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 3);
        check_gets_closed(queue, CANO_NOW);
        check_gets_closed(queue, CANO_FOREVER);
        CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
        cano_queue_close(queue);
    }
}

static void immediate_discards_what_is_left(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
            cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = flags));
            put_number(queue, 1, CANO_NOW);
            put_pattern(queue, 50000, 2, CANO_NOW);
            shut(queue, true);
            bool empty = false;
            CU_ASSERT_EQUAL(count_of(queue), 0);
            CU_ASSERT_EQUAL(cano_queue_empty(queue, &empty), CANO_OK);
            CU_ASSERT(empty);
            check_puts_closed(queue);
            check_gets_closed(queue, CANO_NOW);
            check_gets_closed(queue, CANO_FOREVER);
            CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), flags != 0 ? CANO_OK : CANO_EKIND);
            CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
            cano_queue_close(queue);
        }
    }
}

static void shutdown_may_be_repeated_and_sharpened(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    put_number(queue, 2, CANO_NOW);
    shut(queue, false);
    shut(queue, false);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    shut(queue, true);
    check_gets_closed(queue, CANO_FOREVER);
    shut(queue, true);
    shut(queue, false);
    check_gets_closed(queue, CANO_FOREVER); /* what was discarded does not come back */
    cano_queue_close(queue);
}

static void shutdown_outlives_its_participants(void)
{
    const char *name = suite_name("shut");
    cano_queue *queue = make_named(name, OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    shut(queue, false);
    cano_queue_close(queue);
    queue = open_named(name);
    check_puts_closed(queue);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    check_gets_closed(queue, CANO_FOREVER);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void lock_still_works_and_shutdown_works_inside(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_NOW), CANO_OK);
    shut(queue, false);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    check_gets_closed(queue, CANO_FOREVER);
    shut(queue, true);
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_OK);
    cano_queue_close(queue);
}

/* ---- tasks in hand ---- */

static void task_that_comes_back_is_delivered_after_the_end(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    put_number(queue, 1, CANO_NOW);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    shut(queue, false);
    check_gets_closed(queue, CANO_FOREVER);
    CU_ASSERT_EQUAL(cano_queue_join(queue, 20000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, CANO_FOREVER), 1);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, 30000), CANO_OK);
    CU_ASSERT_EQUAL(unfinished_of(queue), 1);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ETIMEOUT); /* the end comes after the delayed one */
    CU_ASSERT_EQUAL(get_number(queue, CANO_FOREVER), 1);
    CU_ASSERT(elapsed(start) >= 30000);
    check_gets_closed(queue, CANO_FOREVER);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static void join_waits_only_for_tasks_in_hand_after_immediate(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    for (uint64_t i = 0; i < 5; i++) {
        put_number(queue, i, CANO_NOW);
    }
    cano_item held[3];
    uint64_t number;
    for (int i = 0; i < 3; i++) {
        held[i] = take_number(queue, &number, CANO_NOW);
    }
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &held[0], 3600000000), CANO_OK); /* delayed: discarded too */
    shut(queue, true);
    CU_ASSERT_EQUAL(unfinished_of(queue), 2);
    CU_ASSERT_EQUAL(cano_queue_join(queue, 20000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &held[1]), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &held[2], CANO_NOW), CANO_OK); /* back into a queue that has ended */
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(unfinished_of(queue), 0);
    check_gets_closed(queue, CANO_FOREVER);
    cano_queue_close(queue);
}

/* ---- sleepers ---- */

enum {
    IN_GET,
    IN_PUT,
    IN_PUT_LARGE,
    IN_RESERVE,
    IN_COMMIT,
    WAYS
};

typedef struct sleeper {
    cano_queue *queue;
    void *memory; /* reserved, for IN_COMMIT */
    int way;
    cano_status status;
} sleeper;

static cano_status sleep_in(cano_queue *queue, int way, void *memory)
{
    static const char large[40000];
    void *more;
    switch (way) {
    case IN_GET:
        return status_of_get(queue, PATIENCE);
    case IN_PUT:
        return put_number(queue, 2, PATIENCE);
    case IN_PUT_LARGE:
        return cano_queue_put(queue, large, sizeof large, PATIENCE);
    case IN_RESERVE:
        return cano_queue_reserve(queue, 40000, &more, PATIENCE);
    default:
        return cano_queue_commit(queue, memory, 1, PATIENCE);
    }
}

/* A queue in which the way leads to sleep. */
static void prepare(cano_queue *queue, int way, void **memory)
{
    if (way == IN_COMMIT || way == IN_PUT) {
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 10, memory, CANO_NOW), CANO_OK);
        put_number(queue, 1, CANO_NOW);
        put_number(queue, 1, CANO_NOW);
    } else if (way == IN_PUT_LARGE || way == IN_RESERVE) {
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 40000, memory, CANO_NOW), CANO_OK);
    }
}

static void run_sleeper(void *context)
{
    sleeper *s = context;
    s->status = sleep_in(s->queue, s->way, s->memory);
}

static void check_thread_wakes(int way, uint32_t scope, bool immediate)
{
    sleeper s = { .queue = make_queue(OPTIONS(.scope = scope, .max_items = 2, .max_bytes = 40000)), .way = way };
    prepare(s.queue, way, &s.memory);
    suite_thread *thread = suite_thread_start(run_sleeper, &s);
    linger(40000);
    const int64_t start = suite_now();
    shut(s.queue, immediate);
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(s.status, CANO_ECLOSED);
    CU_ASSERT(elapsed(start) < SOON);
    cano_queue_close(s.queue);
}

static void shutdown_wakes_threads_that_sleep(void)
{
    for (int way = 0; way < WAYS; way++) {
        for (uint32_t scope = 0; scope < 2; scope++) {
            check_thread_wakes(way, scope, false);
            check_thread_wakes(way, scope, true);
        }
    }
}

static int run_sleep(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    const int way = atoi(s.argument);
    void *memory = NULL;
    if (way == IN_COMMIT) {
        DEMAND(cano_queue_reserve(s.queue, 10, &memory, CANO_NOW) == CANO_OK);
    }
    tell(&s, 1);
    DEMAND(sleep_in(s.queue, way, memory) == CANO_ECLOSED);
    leave(&s);
    return 0;
}

static void shutdown_wakes_processes_that_sleep(void)
{
    for (int way = 0; way < WAYS; way++) {
        stage s = stage_of(OPTIONS(.max_items = 2, .max_bytes = 40000));
        void *memory;
        char text[16];
        snprintf(text, sizeof text, "%d", way);
        prepare(s.queue, way, &memory);
        suite_child *child = start_on(&s, "sleep", text);
        hear(&s, 1);
        linger(20000);
        const int64_t start = suite_now();
        shut(s.queue, way % 2 == 0);
        end_well(child);
        CU_ASSERT(elapsed(start) < SOON);
        strike(&s);
    }
}

static void join_forever(void *context)
{
    sleeper *s = context;
    s->status = cano_queue_join(s->queue, PATIENCE);
}

static void immediate_wakes_joiners(void)
{
    sleeper s = { .queue = make_queue(OPTIONS(.flags = CANO_JOINABLE)) };
    put_number(s.queue, 1, CANO_NOW);
    suite_thread *thread = suite_thread_start(join_forever, &s);
    linger(40000);
    const int64_t start = suite_now();
    shut(s.queue, true);
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(s.status, CANO_OK);
    CU_ASSERT(elapsed(start) < SOON);
    cano_queue_close(s.queue);
}

/* ---- beside busy processes: a put that said OK is got, one that said ECLOSED is not ---- */

static int run_put_until_closed(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    uint64_t count = 0;
    cano_status status;
    while ((status = put_number(s.queue, count, PATIENCE)) == CANO_OK) {
        count++;
    }
    DEMAND(status == CANO_ECLOSED);
    tell(&s, count);
    leave(&s);
    return 0;
}

static void every_put_before_the_end_is_got(void)
{
    stage s = stage_of(OPTIONS(.max_items = 100));
    suite_child *children[2] = { start_on(&s, "put_until_closed", NULL), start_on(&s, "put_until_closed", NULL) };
    uint64_t got = 0;
    for (; got < 20000; got++) {
        CU_ASSERT_NOT_EQUAL_FATAL(get_number(s.queue, PATIENCE), UINT64_MAX);
    }
    shut(s.queue, false);
    while (status_of_get(s.queue, PATIENCE) == CANO_OK) {
        got++;
    }
    check_gets_closed(s.queue, CANO_FOREVER);
    uint64_t put = get_number(s.talk, PATIENCE);
    put += get_number(s.talk, PATIENCE);
    CU_ASSERT_EQUAL(put, got);
    for (int i = 0; i < 2; i++) {
        end_well(children[i]);
    }
    strike(&s);
}

static const suite_test tests[] = {
    { "puts_are_closed_and_gets_take_what_is_left", puts_are_closed_and_gets_take_what_is_left },
    { "immediate_discards_what_is_left", immediate_discards_what_is_left },
    { "shutdown_may_be_repeated_and_sharpened", shutdown_may_be_repeated_and_sharpened },
    { "shutdown_outlives_its_participants", shutdown_outlives_its_participants },
    { "lock_still_works_and_shutdown_works_inside", lock_still_works_and_shutdown_works_inside },
    { "task_that_comes_back_is_delivered_after_the_end", task_that_comes_back_is_delivered_after_the_end },
    { "join_waits_only_for_tasks_in_hand_after_immediate", join_waits_only_for_tasks_in_hand_after_immediate },
    { "shutdown_wakes_threads_that_sleep", shutdown_wakes_threads_that_sleep },
    { "shutdown_wakes_processes_that_sleep", shutdown_wakes_processes_that_sleep },
    { "immediate_wakes_joiners", immediate_wakes_joiners },
    { "every_put_before_the_end_is_got", every_put_before_the_end_is_got },
    { NULL, NULL },
};

static const suite_role roles[] = { { "sleep", run_sleep }, { "put_until_closed", run_put_until_closed }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: shutdown", tests, roles);
}
