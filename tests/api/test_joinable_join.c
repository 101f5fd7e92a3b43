/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join: until every task ever put is done, and not a moment before.
 */
#include "queues.h"

#include <stdint.h>

#define SOON 2000000 /* microseconds: whoever sleeps is woken, not left to a time limit */

static cano_status join(cano_queue *queue, cano_timeout timeout)
{
    return cano_queue_join(queue, timeout);
}

/* ---- alone ---- */

static void nothing_put_is_done(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE));
        CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(join(queue, CANO_FOREVER), CANO_OK);
        cano_queue_close(queue);
    }
}

static void join_times_out_and_never_early(void)
{
    static const cano_timeout timeouts[] = { CANO_NOW, 1, 25000, 200000 };
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE));
        put_number(queue, 1, CANO_NOW);
        for (int held = 0; held < 2; held++) {
            for (size_t i = 0; i < 4; i++) {
                const int64_t start = suite_now();
                CU_ASSERT_EQUAL(join(queue, timeouts[i]), CANO_ETIMEOUT);
                CU_ASSERT(elapsed(start) >= timeouts[i]);
                CU_ASSERT(elapsed(start) < timeouts[i] + SOON);
            }
            get_number(queue, CANO_NOW);
        }
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
        CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_OK);
        cano_queue_close(queue);
    }
}

static void join_waits_for_all_of_them(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    for (uint64_t i = 0; i < 5; i++) {
        put_number(queue, i, CANO_NOW);
    }
    get_number(queue, CANO_NOW);
    for (uint64_t i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
        get_number(queue, CANO_NOW);
    }
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_OK);
    put_number(queue, 9, CANO_NOW); /* begins anew */
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_ETIMEOUT);
    cano_queue_close(queue);
}

static void join_waits_for_what_was_given_back(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    put_number(queue, 1, CANO_NOW);
    for (int i = 0; i < 3; i++) {
        get_number(queue, CANO_NOW);
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, i == 2 ? 40000 : CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(join(queue, 10000), CANO_ETIMEOUT);
    }
    CU_ASSERT_EQUAL(get_number(queue, PATIENCE), 1);
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static void join_waits_for_large_and_empty_tasks(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    put_pattern(queue, 100000, 1, CANO_NOW);
    put_pattern(queue, 0, 2, CANO_NOW);
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT(get_pattern(queue, 100000, 1));
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT(get_pattern(queue, 0, 2));
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(join(queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

/* ---- with others ---- */

typedef struct joiner {
    cano_queue *queue;
    cano_status status;
} joiner;

static void run_joiner(void *context)
{
    joiner *j = context;
    j->status = join(j->queue, PATIENCE);
}

static void last_task_done_wakes_every_joiner(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE));
        joiner joiners[3];
        suite_thread *threads[3];
        put_number(queue, 1, CANO_NOW);
        get_number(queue, CANO_NOW);
        for (int i = 0; i < 3; i++) {
            joiners[i] = (joiner){ queue, CANO_EUNKNOWN };
            threads[i] = suite_thread_start(run_joiner, &joiners[i]);
        }
        linger(50000);
        const int64_t start = suite_now();
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
        for (int i = 0; i < 3; i++) {
            suite_thread_end(threads[i]);
            CU_ASSERT_EQUAL(joiners[i].status, CANO_OK);
        }
        CU_ASSERT(elapsed(start) < SOON);
        cano_queue_close(queue);
    }
}

static int run_join(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_PUTTER);
    tell(&s, 1);
    DEMAND(join(s.queue, PATIENCE) == CANO_OK);
    tell(&s, 2);
    leave(&s);
    return 0;
}

static void join_in_another_process_ends_with_the_last_task(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE));
    put_number(s.queue, 1, CANO_NOW);
    suite_child *child = start_on(&s, "join", NULL);
    hear(&s, 1);
    CU_ASSERT_EQUAL(get_number(s.queue, CANO_NOW), 1);
    CU_ASSERT_EQUAL(get_number(s.talk, 100000), UINT64_MAX); /* still waits */
    CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
    hear(&s, 2);
    end_well(child);
    strike(&s);
}

/* Work: a number above 0 puts the next one before it is done. */
static int run_crawl(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    uint64_t number;
    size_t size;
    cano_status status;
    while ((status = cano_queue_get(s.queue, &number, sizeof number, &size, PATIENCE)) == CANO_OK) {
        DEMAND(number == 0 || put_number(s.queue, number - 1, PATIENCE) == CANO_OK);
        DEMAND(cano_queue_task_done(s.queue, NULL) == CANO_OK);
    }
    DEMAND(status == CANO_ECLOSED);
    leave(&s);
    return 0;
}

static void check_chain(cano_queue *queue, uint64_t length, uint64_t *expected)
{
    CU_ASSERT_EQUAL_FATAL(put_number(queue, length - 1, PATIENCE), CANO_OK);
    *expected += length;
    CU_ASSERT_EQUAL_FATAL(join(queue, PATIENCE), CANO_OK);
    const cano_queue_info info = picture_of(queue);
    CU_ASSERT_EQUAL(info.put, *expected); /* an early join would have left tasks to come */
    CU_ASSERT_EQUAL(info.done, *expected);
    CU_ASSERT_EQUAL(info.unfinished, 0);
}

static void join_is_not_early_while_each_task_puts_the_next(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_items = 10));
    suite_child *children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = start_on(&s, "crawl", NULL);
    }
    uint64_t expected = 0;
    for (int i = 0; i < 200; i++) {
        check_chain(s.queue, 1 + (uint64_t)i % 50, &expected);
    }
    check_chain(s.queue, 30000, &expected);
    CU_ASSERT_EQUAL(cano_queue_shutdown(s.queue, false), CANO_OK);
    for (int i = 0; i < 3; i++) {
        end_well(children[i]);
    }
    strike(&s);
}

/* The same, asked again and again without waiting. */
static void polled_join_is_not_early_either(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_items = 10));
    suite_child *children[2] = { start_on(&s, "crawl", NULL), start_on(&s, "crawl", NULL) };
    CU_ASSERT_EQUAL(put_number(s.queue, 20000, CANO_NOW), CANO_OK);
    cano_status status = CANO_ETIMEOUT;
    while (status == CANO_ETIMEOUT) {
        status = join(s.queue, CANO_NOW);
    }
    CU_ASSERT_EQUAL(status, CANO_OK);
    CU_ASSERT_EQUAL(picture_of(s.queue).put, 20001);
    CU_ASSERT_EQUAL(unfinished_of(s.queue), 0);
    CU_ASSERT_EQUAL(cano_queue_shutdown(s.queue, false), CANO_OK);
    end_well(children[0]);
    end_well(children[1]);
    strike(&s);
}

/* The chain is in somebody's hands or queued: 0 is true at no instant before its end, and more than one for each worker and one
 * queued never. */
static void unfinished_is_exact_while_each_task_puts_the_next(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_items = 10));
    suite_child *children[2] = { start_on(&s, "crawl", NULL), start_on(&s, "crawl", NULL) };
    uint64_t faults = 0;
    size_t unfinished = 1;
    CU_ASSERT_EQUAL(put_number(s.queue, 30000, CANO_NOW), CANO_OK);
    for (int64_t began = 0; unfinished != 0 && suite_patience(&began);) {
        unfinished = unfinished_of(s.queue);
        faults += unfinished > 3 || (unfinished == 0 && picture_of(s.queue).put != 30001);
    }
    CU_ASSERT_EQUAL(faults, 0);
    CU_ASSERT_EQUAL(picture_of(s.queue).put, 30001);
    CU_ASSERT_EQUAL(cano_queue_shutdown(s.queue, false), CANO_OK);
    end_well(children[0]);
    end_well(children[1]);
    strike(&s);
}

/* Works for a while, then leaves with tasks in hand. */
static int run_quit(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_GETTER);
    uint64_t done = 0;
    for (int i = 0; i < 40 && status_of_get(s.queue, PATIENCE) == CANO_OK; i++) {
        status_of_get(s.queue, CANO_NOW); /* a second one */
        DEMAND(cano_queue_task_done(s.queue, NULL) == CANO_OK);
        done++;
    }
    leave(&s);
    return done > 0 ? 0 : 5;
}

static void join_survives_workers_that_leave_with_tasks(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_items = 2000));
    for (uint64_t i = 0; i < 1000; i++) {
        put_number(s.queue, i, CANO_NOW);
    }
    suite_child *children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = start_on(&s, "quit", NULL);
    }
    for (int i = 0; i < 3; i++) {
        end_well(children[i]);
    }
    CU_ASSERT_EQUAL(unfinished_of(s.queue), count_of(s.queue)); /* nobody holds any */
    CU_ASSERT_EQUAL(join(s.queue, 10000), CANO_ETIMEOUT);
    while (status_of_get(s.queue, CANO_NOW) == CANO_OK) {
        CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
    }
    CU_ASSERT_EQUAL(join(s.queue, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(picture_of(s.queue).done, 1000);
    strike(&s);
}

static const suite_test tests[] = {
    { "nothing_put_is_done", nothing_put_is_done },
    { "join_times_out_and_never_early", join_times_out_and_never_early },
    { "join_waits_for_all_of_them", join_waits_for_all_of_them },
    { "join_waits_for_what_was_given_back", join_waits_for_what_was_given_back },
    { "join_waits_for_large_and_empty_tasks", join_waits_for_large_and_empty_tasks },
    { "last_task_done_wakes_every_joiner", last_task_done_wakes_every_joiner },
    { "join_in_another_process_ends_with_the_last_task", join_in_another_process_ends_with_the_last_task },
    { "join_is_not_early_while_each_task_puts_the_next", join_is_not_early_while_each_task_puts_the_next },
    { "polled_join_is_not_early_either", polled_join_is_not_early_either },
    { "unfinished_is_exact_while_each_task_puts_the_next", unfinished_is_exact_while_each_task_puts_the_next },
    { "join_survives_workers_that_leave_with_tasks", join_survives_workers_that_leave_with_tasks },
    { NULL, NULL },
};

static const suite_role roles[] = { { "join", run_join }, { "crawl", run_crawl }, { "quit", run_quit }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "joinable: join", tests, roles);
}
