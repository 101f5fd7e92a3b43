/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead letters: tasks that came back too often.
 */
#include "queues.h"

#include <stdint.h>

#define SOON 2000000 /* microseconds: whoever sleeps is woken, not left to a time limit */

static cano_queue *make_mortal(uint32_t max_deliveries)
{
    return make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = max_deliveries));
}

/* Put a number and let it die; it must be the only task. */
static void make_dead(cano_queue *queue, uint64_t number, uint32_t max_deliveries)
{
    CU_ASSERT_EQUAL(put_number(queue, number, CANO_NOW), CANO_OK);
    for (uint32_t i = 1; i <= max_deliveries; i++) {
        uint64_t got;
        const cano_item item = take_number(queue, &got, CANO_NOW);
        CU_ASSERT_EQUAL(got, number);
        CU_ASSERT_EQUAL(item.deliveries, i);
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, &item, CANO_NOW), CANO_OK); /* also when it dies of it */
    }
}

static cano_item get_dead(cano_queue *queue, uint64_t number)
{
    cano_item item = { 0 };
    uint64_t got = 0;
    CU_ASSERT_EQUAL_FATAL(cano_queue_dead_get(queue, &item, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(item.size, sizeof got);
    memcpy(&got, item.data, sizeof got);
    CU_ASSERT_EQUAL(got, number);
    return item;
}

static uint64_t dead_of(cano_queue *queue)
{
    return picture_of(queue).dead;
}

static void task_delivered_too_often_is_dead_and_counts_as_done(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        for (uint32_t limit = 1; limit <= 4; limit++) {
            cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE, .max_deliveries = limit));
            make_dead(queue, 5, limit);
            CU_ASSERT_EQUAL(dead_of(queue), 1);
            CU_ASSERT_EQUAL(count_of(queue), 0);
            CU_ASSERT_EQUAL(unfinished_of(queue), 0);
            CU_ASSERT_EQUAL(status_of_get(queue, 10000), CANO_ETIMEOUT);
            CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL(picture_of(queue).done, 1);
            cano_queue_close(queue);
        }
    }
}

static void without_a_limit_nothing_dies(void)
{
    cano_queue *queue = make_mortal(0);
    make_dead(queue, 5, 500);
    CU_ASSERT_EQUAL(dead_of(queue), 0);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 5);
    cano_item item;
    CU_ASSERT_EQUAL(cano_queue_dead_get(queue, &item, CANO_NOW), CANO_ETIMEOUT);
    cano_queue_close(queue);
}

static void close_kills_nothing(void)
{
    const char *name = suite_name("dead");
    cano_queue *keeper = make_named(name, OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 1));
    put_number(keeper, 1, CANO_NOW);
    for (int i = 0; i < 5; i++) {
        cano_queue *guest = open_named(name);
        CU_ASSERT_EQUAL(get_number(guest, CANO_NOW), 1);
        cano_queue_close(guest);
    }
    CU_ASSERT_EQUAL(dead_of(keeper), 0);
    CU_ASSERT_EQUAL(count_of(keeper), 1);
    cano_queue_close(keeper);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void task_done_drops_a_dead_letter(void)
{
    cano_queue *queue = make_mortal(2);
    make_dead(queue, 7, 2);
    const cano_item item = get_dead(queue, 7);
    CU_ASSERT_EQUAL(unfinished_of(queue), 0);
    CU_ASSERT_EQUAL(dead_of(queue), 1);
    cano_item none;
    CU_ASSERT_EQUAL(cano_queue_dead_get(queue, &none, CANO_NOW), CANO_ETIMEOUT); /* it is in our hands */
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(dead_of(queue), 0);
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static void give_back_queues_a_dead_letter_afresh(void)
{
    cano_queue *queue = make_mortal(2);
    for (int i = 0; i < 3; i++) {
        if (i == 0) {
            make_dead(queue, 7, 2);
        }
        const cano_item dead = get_dead(queue, 7);
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, &dead, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(dead_of(queue), 0);
        CU_ASSERT_EQUAL(unfinished_of(queue), 1);
        CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_ETIMEOUT);
        for (uint32_t times = 1; times <= 2; times++) {
            uint64_t number;
            const cano_item item = take_number(queue, &number, CANO_NOW);
            CU_ASSERT_EQUAL(number, 7);
            CU_ASSERT_EQUAL(item.deliveries, times);
            CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK);
        }
        CU_ASSERT_EQUAL(dead_of(queue), 1);
        CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
    }
    cano_queue_close(queue);
}

static void revived_letter_may_be_delayed(void)
{
    cano_queue *queue = make_mortal(1);
    make_dead(queue, 7, 1);
    const cano_item dead = get_dead(queue, 7);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &dead, 50000), CANO_OK);
    CU_ASSERT_EQUAL(picture_of(queue).delayed, 1);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ETIMEOUT);
    uint64_t number;
    const cano_item item = take_number(queue, &number, PATIENCE);
    CU_ASSERT(elapsed(start) >= 50000);
    CU_ASSERT_EQUAL(number, 7);
    CU_ASSERT_EQUAL(item.deliveries, 1);
    cano_queue_close(queue);
}

static void last_give_back_kills_at_once_whatever_its_delay(void)
{
    cano_queue *queue = make_mortal(1);
    put_number(queue, 7, CANO_NOW);
    get_number(queue, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, 3600000000), CANO_OK);
    CU_ASSERT_EQUAL(picture_of(queue).delayed, 0);
    CU_ASSERT_EQUAL(dead_of(queue), 1);
    get_dead(queue, 7);
    cano_queue_close(queue);
}

static void close_leaves_a_dead_letter_dead(void)
{
    const char *name = suite_name("dead");
    cano_queue *keeper = make_named(name, OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 1));
    make_dead(keeper, 7, 1);
    for (int i = 0; i < 3; i++) {
        cano_queue *guest = open_named(name);
        get_dead(guest, 7);
        cano_queue_close(guest);
        CU_ASSERT_EQUAL(dead_of(keeper), 1);
    }
    get_dead(keeper, 7);
    cano_queue_close(keeper);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void dead_letters_come_oldest_first(void)
{
    cano_queue *queue = make_mortal(1);
    for (uint64_t i = 0; i < 20; i++) {
        put_number(queue, i, CANO_NOW);
    }
    cano_item items[20];
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t number;
        items[i] = take_number(queue, &number, CANO_NOW);
    }
    for (size_t i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, &items[(i * 7 + 3) % 20], CANO_NOW), CANO_OK);
    }
    CU_ASSERT_EQUAL(dead_of(queue), 20);
    for (uint64_t i = 0; i < 20; i++) {
        const cano_item dead = get_dead(queue, i);
        CU_ASSERT_EQUAL(dead.task, items[i].task);
    }
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    }
    CU_ASSERT_EQUAL(dead_of(queue), 0);
    cano_queue_close(queue);
}

static void dead_letter_of_any_size_is_whole(void)
{
    static const size_t sizes[] = { 0, 1, 192, 193, 5000, 100000 };
    cano_queue *queue = make_mortal(1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cano_item item;
        CU_ASSERT_EQUAL(put_pattern(queue, sizes[i], i, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_take(queue, &item, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, &item, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL_FATAL(cano_queue_dead_get(queue, &item, CANO_NOW), CANO_OK);
        CU_ASSERT(item.size == sizes[i] && has_pattern(item.data, item.size, i));
        cano_queue_release(queue, &item); /* does nothing */
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, &item, CANO_NOW), CANO_OK);
        CU_ASSERT(get_pattern(queue, sizes[i], i));
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    }
    CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
    cano_queue_close(queue);
}

static void dead_letters_use_up_leases_until_somebody_takes_them(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 1, .max_leases = 3));
    for (uint64_t i = 0; i < 3; i++) {
        make_dead(queue, i, 1);
    }
    put_number(queue, 9, CANO_NOW);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(count_of(queue), 1);
    get_dead(queue, 0);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 9);
    cano_queue_close(queue);
}

static void dead_get_times_out_and_never_early(void)
{
    static const cano_timeout timeouts[] = { CANO_NOW, 1, 25000, 200000 };
    cano_queue *queue = make_mortal(1);
    put_number(queue, 1, CANO_NOW); /* alive */
    for (size_t i = 0; i < 4; i++) {
        cano_item item = { .task = 3 };
        const int64_t start = suite_now();
        CU_ASSERT_EQUAL(cano_queue_dead_get(queue, &item, timeouts[i]), CANO_ETIMEOUT);
        CU_ASSERT(elapsed(start) >= timeouts[i]);
        CU_ASSERT(elapsed(start) < timeouts[i] + SOON);
        CU_ASSERT_EQUAL(item.task, 3);
    }
    cano_queue_close(queue);
}

static void kill_later(void *context)
{
    linger(100000);
    cano_queue_give_back(context, NULL, CANO_NOW);
}

static void join_later(void *context)
{
    linger(50000);
    cano_queue_join(context, PATIENCE);
}

static void death_wakes_who_waits_for_it(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE, .max_deliveries = 1));
        put_number(queue, 1, CANO_NOW);
        get_number(queue, CANO_NOW);
        const int64_t start = suite_now();
        suite_thread *killer = suite_thread_start(kill_later, queue);
        suite_thread *joiner = suite_thread_start(join_later, queue);
        cano_item item;
        CU_ASSERT_EQUAL(cano_queue_dead_get(queue, &item, PATIENCE), CANO_OK);
        suite_thread_end(joiner);
        CU_ASSERT(elapsed(start) >= 100000 && elapsed(start) < SOON);
        suite_thread_end(killer);
        cano_queue_close(queue);
    }
}

/* ---- in other processes ---- */

/* Take a task, alive or dead, and wait to be killed. */
static int run_hold(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    cano_item item;
    const bool dead = strcmp(s.argument, "dead") == 0;
    DEMAND((dead ? cano_queue_dead_get(s.queue, &item, PATIENCE) : cano_queue_take(s.queue, &item, PATIENCE)) == CANO_OK);
    tell(&s, item.deliveries);
    return linger_on(&s);
}

static void task_that_kills_its_workers_dies_in_the_end(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 3));
    put_number(s.queue, 13, CANO_NOW);
    for (uint64_t times = 1; times <= 3; times++) {
        suite_child *child = start_on(&s, "hold", "alive");
        hear(&s, times);
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, 10000), CANO_ETIMEOUT);
        kill_and_wait(child);
    }
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(dead_of(s.queue), 1);
    get_dead(s.queue, 13);
    strike(&s);
}

static void death_of_its_holder_leaves_a_dead_letter_dead(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 1));
    make_dead(s.queue, 13, 1);
    for (int i = 0; i < 3; i++) {
        suite_child *child = start_on(&s, "hold", "dead");
        CU_ASSERT_NOT_EQUAL(get_number(s.talk, PATIENCE), UINT64_MAX);
        cano_item none;
        CU_ASSERT_EQUAL(cano_queue_dead_get(s.queue, &none, CANO_NOW), CANO_ETIMEOUT);
        kill_and_wait(child);
    }
    cano_item item;
    CU_ASSERT_EQUAL(cano_queue_dead_get(s.queue, &item, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, &item), CANO_OK);
    CU_ASSERT_EQUAL(dead_of(s.queue), 0);
    strike(&s);
}

static const suite_test tests[] = {
    { "task_delivered_too_often_is_dead_and_counts_as_done", task_delivered_too_often_is_dead_and_counts_as_done },
    { "without_a_limit_nothing_dies", without_a_limit_nothing_dies },
    { "close_kills_nothing", close_kills_nothing },
    { "task_done_drops_a_dead_letter", task_done_drops_a_dead_letter },
    { "give_back_queues_a_dead_letter_afresh", give_back_queues_a_dead_letter_afresh },
    { "revived_letter_may_be_delayed", revived_letter_may_be_delayed },
    { "last_give_back_kills_at_once_whatever_its_delay", last_give_back_kills_at_once_whatever_its_delay },
    { "close_leaves_a_dead_letter_dead", close_leaves_a_dead_letter_dead },
    { "dead_letters_come_oldest_first", dead_letters_come_oldest_first },
    { "dead_letter_of_any_size_is_whole", dead_letter_of_any_size_is_whole },
    { "dead_letters_use_up_leases_until_somebody_takes_them", dead_letters_use_up_leases_until_somebody_takes_them },
    { "dead_get_times_out_and_never_early", dead_get_times_out_and_never_early },
    { "death_wakes_who_waits_for_it", death_wakes_who_waits_for_it },
    { "task_that_kills_its_workers_dies_in_the_end", task_that_kills_its_workers_dies_in_the_end },
    { "death_of_its_holder_leaves_a_dead_letter_dead", death_of_its_holder_leaves_a_dead_letter_dead },
    { NULL, NULL },
};

static const suite_role roles[] = { { "hold", run_hold }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "joinable: dead", tests, roles);
}
