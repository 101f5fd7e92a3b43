/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which task a task_done without an item ends: the oldest that this thread holds, then the oldest at all; and that each task is
 * ended once, whoever tries.
 */
#include "queues.h"

#include <stdatomic.h>

#define LEASES 16
#define TASKS 2000

static cano_queue *few_leases(void)
{
    return make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_leases = LEASES));
}

static void oldest_of_this_thread_is_ended_first(void)
{
    cano_queue *queue = few_leases();
    cano_item items[3];
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t number;
        CU_ASSERT_EQUAL(put_number(queue, i, CANO_NOW), CANO_OK);
        items[i] = take_number(queue, &number, CANO_NOW);
    }
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[1]), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[0]), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[2]), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(unfinished_of(queue), 0);
    cano_queue_close(queue);
}

static void many_tasks_ended_by_number_are_forgotten(void)
{
    cano_queue *queue = few_leases();
    uint64_t number;
    uint64_t first;
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
    cano_item held = take_number(queue, &first, CANO_NOW); /* all the time */
    for (uint64_t i = 0; i < 20 * LEASES; i++) {
        CU_ASSERT_EQUAL(put_number(queue, 100 + i, CANO_NOW), CANO_OK);
        cano_item item = take_number(queue, &number, CANO_NOW);
        CU_ASSERT_EQUAL(number, 100 + i);
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
    }
    CU_ASSERT_EQUAL(unfinished_of(queue), 1);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &held), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(unfinished_of(queue), 0);
    cano_queue_close(queue);
}

static void end_one(void *queue)
{
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
}

static void thread_without_tasks_ends_the_oldest_of_others(void)
{
    cano_queue *queue = few_leases();
    cano_item items[2];
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t number;
        CU_ASSERT_EQUAL(put_number(queue, i, CANO_NOW), CANO_OK);
        items[i] = take_number(queue, &number, CANO_NOW);
    }
    suite_thread_end(suite_thread_start(end_one, queue));
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[0]), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[1]), CANO_OK);
    cano_queue_close(queue);
}

/* ---- two threads and the same tasks ---- */

typedef struct race {
    cano_queue *queue;
    cano_item items[LEASES];
    _Atomic int round, ended, finished;
    bool gives_back; /* the second thread, with a delay */
} race;

static void end_all(void *context)
{
    race *r = context;
    for (int round = 1; round <= TASKS / LEASES; round++) {
        int64_t since = 0;
        while (atomic_load(&r->round) < round && suite_patience(&since)) {
        }
        for (int i = 0; i < LEASES; i++) {
            const cano_status status = r->gives_back && i % 2 == 0 ? cano_queue_give_back(r->queue, &r->items[i], 1)
                                                                   : cano_queue_task_done(r->queue, &r->items[i]);
            atomic_fetch_add(&r->ended, status == CANO_OK);
        }
        atomic_fetch_add(&r->finished, 1);
    }
}

static void race_two_threads(size_t size, bool gives_back)
{
    static race r;
    r = (race){ .queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_leases = 2 * LEASES, .max_items = 64, .max_bytes = 65536)),
                .gives_back = gives_back };
    suite_thread *other = suite_thread_start(end_all, &r);
    for (int round = 1; round <= TASKS / LEASES; round++) {
        for (uint64_t i = 0; i < LEASES; i++) {
            CU_ASSERT_EQUAL_FATAL(put_pattern(r.queue, size, i, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL_FATAL(cano_queue_take(r.queue, &r.items[i], CANO_NOW), CANO_OK);
        }
        atomic_store(&r.ended, 0);
        atomic_store(&r.round, round);
        int ended = 0;
        for (int i = LEASES - 1; i >= 0; i--) {
            ended += cano_queue_task_done(r.queue, &r.items[i]) == CANO_OK;
        }
        int64_t since = 0;
        while (atomic_load(&r.finished) < round && suite_patience(&since)) {
        }
        CU_ASSERT_EQUAL(ended + atomic_load(&r.ended), LEASES);
        while (gives_back && unfinished_of(r.queue) != 0) { /* what was given back comes once more */
            cano_item item;
            CU_ASSERT_EQUAL_FATAL(cano_queue_take(r.queue, &item, PATIENCE), CANO_OK);
            CU_ASSERT(has_pattern(item.data, item.size, item.size != 0 ? ((unsigned char *)item.data)[0] / 31 : 0));
            CU_ASSERT_EQUAL(cano_queue_task_done(r.queue, &item), CANO_OK);
        }
        CU_ASSERT_EQUAL(unfinished_of(r.queue), 0);
    }
    suite_thread_end(other);
    cano_queue_close(r.queue);
}

static void two_threads_end_each_task_once(void)
{
    race_two_threads(8, false);
}

static void two_threads_end_each_task_in_blocks_once(void)
{
    race_two_threads(900, false);
}

static void one_ends_and_one_gives_back_once(void)
{
    race_two_threads(1, true);
}

static const suite_test tests[] = {
    { "oldest_of_this_thread_is_ended_first", oldest_of_this_thread_is_ended_first },
    { "many_tasks_ended_by_number_are_forgotten", many_tasks_ended_by_number_are_forgotten },
    { "thread_without_tasks_ends_the_oldest_of_others", thread_without_tasks_ends_the_oldest_of_others },
    { "two_threads_end_each_task_once", two_threads_end_each_task_once },
    { "two_threads_end_each_task_in_blocks_once", two_threads_end_each_task_in_blocks_once },
    { "one_ends_and_one_gives_back_once", one_ends_and_one_gives_back_once },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "joinable_order", tests, NULL);
}
