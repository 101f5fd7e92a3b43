/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle for event loops: a descriptor that poll finds readable when there may be something to get.
 */
#include "queues.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#define LOOK_AGAIN 100 /* milliseconds: the longest a loop waits before it looks by itself */
#define SOON 2000000   /* microseconds */

static int native_of(cano_queue *queue)
{
    cano_native native = -1;
    CU_ASSERT_EQUAL_FATAL(cano_queue_native(queue, &native), CANO_OK);
    CU_ASSERT(native >= 0);
    return (int)native;
}

static bool is_readable(int descriptor, int milliseconds)
{
    struct pollfd one = { .fd = descriptor, .events = POLLIN };
    int ready;
    do {
        ready = poll(&one, 1, milliseconds);
    } while (ready < 0 && errno == EINTR);
    return ready == 1 && (one.revents & POLLIN) != 0;
}

/* As the header asks: get until there is nothing. How many came. */
static uint64_t drain(cano_queue *queue)
{
    uint64_t count = 0;
    cano_status status;
    while ((status = status_of_get(queue, CANO_NOW)) == CANO_OK) {
        count++;
    }
    CU_ASSERT(status == CANO_ETIMEOUT || status == CANO_ECLOSED);
    return count;
}

static void handle_is_quiet_until_a_message_is_put(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope));
        const int native = native_of(queue);
        for (int i = 0; i < 20; i++) {
            CU_ASSERT_EQUAL(drain(queue), 0);
            CU_ASSERT(!is_readable(native, 0));
            put_number(queue, 1, CANO_NOW);
            CU_ASSERT(is_readable(native, LOOK_AGAIN));
            CU_ASSERT(is_readable(native, 0)); /* as long as nobody looks */
            put_number(queue, 2, CANO_NOW);
            CU_ASSERT_EQUAL(drain(queue), 2);
        }
        cano_queue_close(queue);
    }
}

static void message_that_was_there_before_is_told(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    CU_ASSERT(is_readable(native_of(queue), 0));
    CU_ASSERT_EQUAL(drain(queue), 1);
    cano_queue_close(queue);
}

static void handle_is_the_same_each_time(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    const int native = native_of(queue);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(native_of(queue), native);
    }
    cano_queue_close(queue);
    CU_ASSERT(!is_readable(native, 0)); /* it went with the queue's handle */
}

static void end_makes_it_readable(void)
{
    for (int way = 0; way < 3; way++) {
        const char *name = suite_name("native");
        cano_queue *queue = make_named(name, OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
        cano_queue *putter = NULL;
        CU_ASSERT_EQUAL_FATAL(cano_queue_open(&putter, name, &OPTIONS(.role = CANO_PUTTER)), CANO_OK);
        const int native = native_of(queue);
        CU_ASSERT_EQUAL(drain(queue), 0);
        CU_ASSERT(!is_readable(native, 0));
        if (way == 0) {
            cano_queue_close(putter);
        } else {
            CU_ASSERT_EQUAL(cano_queue_shutdown(putter, way == 1), CANO_OK);
        }
        CU_ASSERT(is_readable(native, LOOK_AGAIN));
        CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ECLOSED);
        if (way != 0) {
            cano_queue_close(putter);
        }
        cano_queue_close(queue);
        CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
    }
}

static void every_watcher_is_told(void)
{
    const char *name = suite_name("native");
    cano_queue *putter = make_named(name, OPTIONS(0));
    cano_queue *watchers[3];
    int natives[3];
    for (int i = 0; i < 3; i++) {
        watchers[i] = open_named(name);
        natives[i] = native_of(watchers[i]);
        CU_ASSERT_EQUAL(drain(watchers[i]), 0);
    }
    put_number(putter, 1, CANO_NOW);
    uint64_t got = 0;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(is_readable(natives[i], LOOK_AGAIN));
        got += drain(watchers[i]);
    }
    CU_ASSERT_EQUAL(got, 1);
    for (int i = 0; i < 3; i++) {
        cano_queue_close(watchers[i]);
    }
    cano_queue_close(putter);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void watcher_hears_beside_one_who_sleeps(void)
{
    stage s = stage_of(OPTIONS(0));
    const int native = native_of(s.queue);
    suite_child *child = start_on(&s, "get_two", NULL);
    hear(&s, 1);
    CU_ASSERT_EQUAL(drain(s.queue), 0);
    linger(20000);
    uint64_t got = 0;
    for (uint64_t i = 0; i < 3; i++) { /* two for the child, wherever they go first */
        put_number(s.queue, i, CANO_NOW);
    }
    while (got == 0) {
        CU_ASSERT_FATAL(is_readable(native, (int)(SUITE_PATIENCE / 1000)));
        got += drain(s.queue);
    }
    for (uint64_t i = 1; i < got; i++) {
        put_number(s.queue, i, CANO_NOW);
    }
    for (int64_t began = 0; suite_wait(child, 1000) == SUITE_ALIVE;) {
        CU_ASSERT_FATAL(suite_patience(&began));
        put_number(s.queue, 1, CANO_NOW);
    }
    strike(&s);
}

static int run_get_two(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    tell(&s, 1);
    DEMAND(status_of_get(s.queue, PATIENCE) == CANO_OK);
    DEMAND(status_of_get(s.queue, PATIENCE) == CANO_OK);
    leave(&s);
    return 0;
}

/* ---- a loop beside other processes ---- */

#define MESSAGES 3000

static int run_put(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_PUTTER);
    uint64_t random = 99;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        DEMAND(put_number(s.queue, i, PATIENCE) == CANO_OK);
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        if (random >> 62 == 0) {
            linger((int64_t)(random >> 50) % 500);
        }
    }
    leave(&s);
    return 0;
}

/* No wait is longer than the loop has to wait at most: a lost ring would show as one. */
static void loop_never_waits_for_a_lost_ring(void)
{
    stage s = stage_of(OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
    const int native = native_of(s.queue);
    suite_child *child = start_on(&s, "put", NULL);
    uint64_t next = 0;
    uint64_t silences = 0;
    cano_status status = CANO_ETIMEOUT;
    while (status != CANO_ECLOSED) {
        silences += !is_readable(native, LOOK_AGAIN);
        CU_ASSERT_FATAL(silences < 1000);
        for (;;) {
            uint64_t number = UINT64_MAX;
            status = cano_queue_get(s.queue, &number, sizeof number, NULL, CANO_NOW);
            if (status != CANO_OK) {
                break;
            }
            CU_ASSERT_EQUAL(number, next++);
        }
    }
    CU_ASSERT_EQUAL(next, MESSAGES);
    end_well(child);
    strike(&s);
}

static int run_hold(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    uint64_t number;
    cano_item item;
    DEMAND(cano_queue_take(s.queue, &item, PATIENCE) == CANO_OK);
    memcpy(&number, item.data, sizeof number);
    tell(&s, number);
    return linger_on(&s);
}

/* Nobody rings for the dead: the loop looks again in time. */
static void loop_gets_the_task_of_a_dead_worker(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE));
    const int native = native_of(s.queue);
    put_number(s.queue, 5, CANO_NOW);
    suite_child *child = start_on(&s, "hold", NULL);
    hear(&s, 5);
    CU_ASSERT_EQUAL(drain(s.queue), 0);
    kill_and_wait(child);
    const int64_t start = suite_now();
    uint64_t got = 0;
    while (got == 0) {
        CU_ASSERT_FATAL(elapsed(start) < SOON);
        is_readable(native, LOOK_AGAIN);
        got = drain(s.queue);
    }
    CU_ASSERT_EQUAL(got, 1);
    strike(&s);
}

static void loop_gets_a_delayed_task(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    const int native = native_of(queue);
    put_number(queue, 5, CANO_NOW);
    get_number(queue, CANO_NOW);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, 60000), CANO_OK);
    uint64_t got = 0;
    while (got == 0) {
        CU_ASSERT_FATAL(elapsed(start) < SOON);
        is_readable(native, LOOK_AGAIN);
        got = drain(queue);
    }
    CU_ASSERT(elapsed(start) >= 60000);
    cano_queue_close(queue);
}

static const suite_test tests[] = {
    { "handle_is_quiet_until_a_message_is_put", handle_is_quiet_until_a_message_is_put },
    { "message_that_was_there_before_is_told", message_that_was_there_before_is_told },
    { "handle_is_the_same_each_time", handle_is_the_same_each_time },
    { "end_makes_it_readable", end_makes_it_readable },
    { "every_watcher_is_told", every_watcher_is_told },
    { "watcher_hears_beside_one_who_sleeps", watcher_hears_beside_one_who_sleeps },
    { "loop_never_waits_for_a_lost_ring", loop_never_waits_for_a_lost_ring },
    { "loop_gets_the_task_of_a_dead_worker", loop_gets_the_task_of_a_dead_worker },
    { "loop_gets_a_delayed_task", loop_gets_a_delayed_task },
    { NULL, NULL },
};

static const suite_role roles[] = { { "get_two", run_get_two }, { "put", run_put }, { "hold", run_hold }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: native", tests, roles);
}
