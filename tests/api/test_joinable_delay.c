/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks given back for later: never early, in the order they are due, and nobody has to ask for them.
 */
#include "queues.h"

#include <stdint.h>

#define SOON 2000000 /* microseconds */

static cano_queue *make_joinable(void)
{
    return make_queue(OPTIONS(.flags = CANO_JOINABLE));
}

/* Put a number, get it, give it back. */
static void delay_number(cano_queue *queue, uint64_t number, cano_timeout delay)
{
    CU_ASSERT_EQUAL(put_number(queue, number, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), number);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, delay), CANO_OK);
}

static void task_is_not_delivered_before_its_time(void)
{
    static const cano_timeout delays[] = { 1, 1000, 30000, 150000 };
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE));
        for (size_t i = 0; i < 4; i++) {
            const int64_t start = suite_now();
            delay_number(queue, i, delays[i]);
            uint64_t number;
            const cano_item item = take_number(queue, &number, i % 2 == 0 ? CANO_FOREVER : PATIENCE);
            CU_ASSERT(elapsed(start) >= delays[i]);
            CU_ASSERT(elapsed(start) < delays[i] + SOON);
            CU_ASSERT_EQUAL(number, i);
            CU_ASSERT_EQUAL(item.deliveries, 2);
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
        }
        cano_queue_close(queue);
    }
}

static void poller_gets_it_in_time_too(void)
{
    cano_queue *queue = make_joinable();
    const int64_t start = suite_now();
    delay_number(queue, 4, 30000);
    uint64_t number = UINT64_MAX;
    for (int64_t began = 0; number == UINT64_MAX && suite_patience(&began);) {
        number = get_number(queue, CANO_NOW);
    }
    CU_ASSERT_EQUAL(number, 4);
    CU_ASSERT(elapsed(start) >= 30000 && elapsed(start) < SOON);
    cano_queue_close(queue);
}

static void shorter_wait_times_out(void)
{
    cano_queue *queue = make_joinable();
    delay_number(queue, 1, 400000);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(status_of_get(queue, 30000), CANO_ETIMEOUT);
    CU_ASSERT(elapsed(start) >= 30000);
    cano_queue_close(queue);
}

static void delayed_tasks_are_unfinished_and_nothing_else(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_items = 2));
    bool empty = false;
    delay_number(queue, 1, 3600000000);
    CU_ASSERT_EQUAL(count_of(queue), 0);
    CU_ASSERT_EQUAL(cano_queue_empty(queue, &empty), CANO_OK);
    CU_ASSERT(empty);
    CU_ASSERT_EQUAL(unfinished_of(queue), 1);
    cano_queue_info info = picture_of(queue);
    CU_ASSERT(info.items == 0 && info.delayed == 1 && info.leased == 0 && info.unfinished == 1 && info.done == 0);
    CU_ASSERT_EQUAL(put_number(queue, 2, CANO_NOW), CANO_OK); /* does not count against max_items */
    CU_ASSERT_EQUAL(put_number(queue, 3, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 2); /* waits for nobody */
    CU_ASSERT_EQUAL(unfinished_of(queue), 3);
    CU_ASSERT_EQUAL(cano_queue_join(queue, 10000), CANO_ETIMEOUT);
    cano_queue_close(queue);
}

static void tasks_come_in_the_order_they_are_due(void)
{
    cano_queue *queue = make_joinable();
    delay_number(queue, 3, 2700000); /* far apart, for a machine that is busy between two of these */
    delay_number(queue, 1, 900000);
    delay_number(queue, 2, 1800000);
    for (uint64_t i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(get_number(queue, PATIENCE), i);
    }
    cano_queue_close(queue);
}

static void many_delays_all_pass(void)
{
    enum {
        MANY = 100
    };
    cano_queue *queue = make_joinable();
    int64_t due[MANY];
    bool seen[MANY] = { false };
    uint64_t random = 7;
    for (uint64_t i = 0; i < MANY; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const cano_timeout delay = 3000000 + (cano_timeout)(random >> 40) % 200000; /* none is due before all are given back */
        due[i] = suite_now() + delay;
        delay_number(queue, i, delay);
    }
    for (int i = 0; i < MANY; i++) {
        const uint64_t number = get_number(queue, PATIENCE);
        CU_ASSERT_FATAL(number < MANY);
        CU_ASSERT(!seen[number]);
        CU_ASSERT(suite_now() >= due[number]);
        CU_ASSERT(suite_now() < due[number] + SOON);
        seen[number] = true;
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    }
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static void enormous_delays_do_no_harm(void)
{
    static const cano_timeout delays[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, INT64_C(1) << 62 };
    cano_queue *queue = make_joinable();
    for (size_t i = 0; i < 4; i++) {
        delay_number(queue, i, delays[i]);
    }
    delay_number(queue, 9, 20000);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(picture_of(queue).delayed, 5);
    CU_ASSERT_EQUAL(get_number(queue, PATIENCE), 9);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(status_of_get(queue, 20000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(unfinished_of(queue), 4);
    CU_ASSERT_EQUAL(cano_queue_shutdown(queue, true), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static void delay_outlives_who_set_it(void)
{
    const char *name = suite_name("delay");
    cano_queue *keeper = make_named(name, OPTIONS(.flags = CANO_JOINABLE));
    cano_queue *guest = open_named(name);
    const int64_t start = suite_now();
    delay_number(guest, 1, 100000);
    cano_queue_close(guest);
    CU_ASSERT_EQUAL(count_of(keeper), 0);
    CU_ASSERT_EQUAL(get_number(keeper, PATIENCE), 1);
    CU_ASSERT(elapsed(start) >= 100000);
    cano_queue_close(keeper);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

typedef struct waiter {
    cano_queue *queue;
    uint64_t number;
    int64_t at;
} waiter;

static void run_waiter(void *context)
{
    waiter *w = context;
    w->number = get_number(w->queue, PATIENCE);
    w->at = suite_now();
}

static void sleeping_getter_learns_of_the_delay(void)
{
    cano_queue *queue = make_joinable();
    put_number(queue, 5, CANO_NOW);
    get_number(queue, CANO_NOW);
    waiter w = { queue, 0, 0 };
    suite_thread *thread = suite_thread_start(run_waiter, &w);
    linger(50000);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, 70000), CANO_OK);
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(w.number, 5);
    CU_ASSERT(w.at - start >= 70000 && w.at - start < SOON);
    cano_queue_close(queue);
}

static int run_wait(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_GETTER);
    tell(&s, 1);
    DEMAND(get_number(s.queue, PATIENCE) == 5);
    DEMAND(cano_queue_task_done(s.queue, NULL) == CANO_OK);
    leave(&s);
    return 0;
}

static void sleeping_process_learns_of_the_delay(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE));
    put_number(s.queue, 5, CANO_NOW);
    CU_ASSERT_EQUAL(get_number(s.queue, CANO_NOW), 5);
    suite_child *child = start_on(&s, "wait", NULL);
    hear(&s, 1);
    linger(20000);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_queue_give_back(s.queue, NULL, 70000), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
    CU_ASSERT(elapsed(start) >= 70000 && elapsed(start) < SOON);
    end_well(child);
    strike(&s);
}

static const suite_test tests[] = {
    { "task_is_not_delivered_before_its_time", task_is_not_delivered_before_its_time },
    { "poller_gets_it_in_time_too", poller_gets_it_in_time_too },
    { "shorter_wait_times_out", shorter_wait_times_out },
    { "delayed_tasks_are_unfinished_and_nothing_else", delayed_tasks_are_unfinished_and_nothing_else },
    { "tasks_come_in_the_order_they_are_due", tasks_come_in_the_order_they_are_due },
    { "many_delays_all_pass", many_delays_all_pass },
    { "enormous_delays_do_no_harm", enormous_delays_do_no_harm },
    { "delay_outlives_who_set_it", delay_outlives_who_set_it },
    { "sleeping_getter_learns_of_the_delay", sleeping_getter_learns_of_the_delay },
    { "sleeping_process_learns_of_the_delay", sleeping_process_learns_of_the_delay },
    { NULL, NULL },
};

static const suite_role roles[] = { { "wait", run_wait }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "joinable: delay", tests, roles);
}
