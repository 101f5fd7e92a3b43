/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task belongs to who got it until task_done, give_back or close.
 */
#include "queues.h"

#include <stdint.h>

static cano_queue *make_joinable(void)
{
    return make_queue(OPTIONS(.flags = CANO_JOINABLE));
}

static void put_numbers(cano_queue *queue, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++) {
        CU_ASSERT_EQUAL(put_number(queue, i, CANO_NOW), CANO_OK);
    }
}

static void check_item(cano_queue *queue, uint64_t number, uint32_t deliveries, cano_item *item)
{
    uint64_t got;
    *item = take_number(queue, &got, CANO_NOW);
    CU_ASSERT_EQUAL(got, number);
    CU_ASSERT_EQUAL(item->deliveries, deliveries);
}

/* ---- done ---- */

static void task_is_unfinished_until_it_is_done(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE));
        put_numbers(queue, 1, 3);
        CU_ASSERT_EQUAL(unfinished_of(queue), 3);
        for (uint64_t i = 1; i <= 3; i++) {
            CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), i);
            CU_ASSERT_EQUAL(count_of(queue), 3 - i);
            CU_ASSERT_EQUAL(unfinished_of(queue), 4 - i);
            CU_ASSERT_EQUAL(picture_of(queue).leased, 1);
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
            CU_ASSERT_EQUAL(unfinished_of(queue), 3 - i);
            CU_ASSERT_EQUAL(picture_of(queue).done, i);
        }
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_ENOTHELD);
        cano_queue_close(queue);
    }
}

static void task_done_without_a_task_is_not_held(void)
{
    cano_queue *queue = make_joinable();
    const cano_item items[] = { { 0 },
                                { .reserved = 1 },
                                { .task = 1, .reserved = 1 },
                                { .task = 7, .reserved = UINT32_MAX },
                                { .task = UINT64_MAX, .reserved = 256 },
                                { .task = 1, .reserved = 257 } };
    for (int held = 0; held < 2; held++) {
        for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
            const bool right = held != 0 && i == 2; /* what the first task's item may look like */
            CU_ASSERT(right || cano_queue_task_done(queue, &items[i]) == CANO_ENOTHELD);
            CU_ASSERT(right || cano_queue_give_back(queue, &items[i], CANO_NOW) == CANO_ENOTHELD);
        }
        put_number(queue, 1, CANO_NOW);
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), held == 0 ? CANO_ENOTHELD : CANO_OK);
        get_number(queue, CANO_NOW);
    }
    cano_queue_close(queue);
}

static void task_is_done_once(void)
{
    cano_queue *queue = make_joinable();
    cano_item first;
    cano_item second;
    put_numbers(queue, 1, 2);
    check_item(queue, 1, 1, &first);
    check_item(queue, 2, 1, &second);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &first), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &first), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &first, CANO_NOW), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(unfinished_of(queue), 1);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &second, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &second, CANO_NOW), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &second), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(unfinished_of(queue), 1);
    cano_queue_close(queue);
}

static void late_task_done_leaves_the_next_task_alone(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_leases = 1)); /* both use one entry */
    cano_item first;
    cano_item second;
    put_numbers(queue, 1, 2);
    check_item(queue, 1, 1, &first);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &first), CANO_OK);
    check_item(queue, 2, 1, &second);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &first), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(unfinished_of(queue), 1);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &second, CANO_NOW), CANO_OK);
    cano_item again;
    check_item(queue, 2, 2, &again);
    CU_ASSERT_EQUAL(again.task, second.task);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &again), CANO_OK);
    cano_queue_close(queue);
}

static void task_of_another_participant_is_not_held(void)
{
    const char *name = suite_name("lease");
    cano_queue *queue = make_named(name, OPTIONS(.flags = CANO_JOINABLE));
    cano_queue *other = open_named(name);
    cano_item item;
    put_numbers(queue, 1, 2);
    check_item(queue, 1, 1, &item);
    CU_ASSERT_EQUAL(cano_queue_task_done(other, &item), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_give_back(other, &item, CANO_NOW), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_task_done(other, NULL), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
    cano_queue_close(queue);
    cano_queue_close(other);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

/* ---- task_done without an item ---- */

static void unnamed_task_is_the_oldest(void)
{
    cano_queue *queue = make_joinable();
    cano_item items[5];
    put_numbers(queue, 0, 4);
    for (uint64_t i = 0; i < 5; i++) {
        check_item(queue, i, 1, &items[i]);
    }
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[2]), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[0]), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK); /* 1 */
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[1]), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK); /* 3 */
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[3]), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[4]), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 3);
    cano_queue_close(queue);
}

typedef struct colleague {
    cano_queue *queue;
    cano_item item;
    cano_status own, others;
} colleague;

/* Holds one task, is done with it, then with one more although it holds none. */
static void run_colleague(void *context)
{
    colleague *c = context;
    if (cano_queue_take(c->queue, &c->item, CANO_NOW) == CANO_OK) {
        c->own = cano_queue_task_done(c->queue, NULL);
        c->others = cano_queue_task_done(c->queue, NULL);
    }
}

static void unnamed_task_is_this_threads_first(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        colleague c = { .queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE)) };
        cano_item items[2];
        put_numbers(c.queue, 1, 3);
        check_item(c.queue, 1, 1, &items[0]);
        check_item(c.queue, 2, 1, &items[1]);
        c.own = c.others = CANO_EUNKNOWN;
        suite_thread_end(suite_thread_start(run_colleague, &c));
        CU_ASSERT_EQUAL(c.own, CANO_OK);
        CU_ASSERT_EQUAL(c.others, CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_task_done(c.queue, &c.item), CANO_ENOTHELD);   /* its own */
        CU_ASSERT_EQUAL(cano_queue_task_done(c.queue, &items[0]), CANO_ENOTHELD); /* then the oldest of all */
        CU_ASSERT_EQUAL(cano_queue_task_done(c.queue, &items[1]), CANO_OK);
        cano_queue_close(c.queue);
    }
}

/* ---- back again ---- */

static void task_comes_back_before_those_queued(void)
{
    cano_queue *queue = make_joinable();
    cano_item items[4];
    put_numbers(queue, 0, 5);
    for (uint64_t i = 0; i < 4; i++) {
        check_item(queue, i, 1, &items[i]);
    }
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &items[2], CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &items[0], CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &items[1], CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(count_of(queue), 5);
    CU_ASSERT_EQUAL(unfinished_of(queue), 6);
    for (uint64_t i = 0; i < 3; i++) { /* the oldest first */
        cano_item again;
        check_item(queue, i, 2, &again);
        CU_ASSERT_EQUAL(again.task, items[i].task);
    }
    check_item(queue, 4, 1, &items[0]);
    check_item(queue, 5, 1, &items[0]);
    cano_queue_close(queue);
}

static void deliveries_count_the_times_it_came_back(void)
{
    cano_queue *queue = make_joinable();
    cano_item item;
    put_number(queue, 8, CANO_NOW);
    for (uint32_t times = 1; times <= 200; times++) {
        check_item(queue, 8, times, &item);
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, times % 2 != 0 ? &item : NULL, CANO_NOW), CANO_OK);
    }
    CU_ASSERT_EQUAL(picture_of(queue).got, 1); /* redeliveries not counted */
    cano_queue_close(queue);
}

static void close_gives_tasks_back_at_once_and_uncounted(void)
{
    const char *name = suite_name("lease");
    cano_queue *keeper = make_named(name, OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 2));
    put_numbers(keeper, 1, 3);
    uint64_t task = 0;
    for (int i = 0; i < 10; i++) {
        cano_queue *guest = open_named(name);
        cano_item items[3];
        for (uint64_t k = 0; k < 3; k++) {
            check_item(guest, k + 1, 1, &items[k]);
        }
        CU_ASSERT(i == 0 || items[0].task == task);
        task = items[0].task;
        CU_ASSERT_EQUAL(count_of(keeper), 0);
        cano_queue_close(guest);
        CU_ASSERT_EQUAL(count_of(keeper), 3);
    }
    CU_ASSERT_EQUAL(unfinished_of(keeper), 3);
    cano_queue_close(keeper);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static cano_status done_in_every_way(cano_queue *queue, int way, size_t size, uint64_t seed, uint32_t deliveries)
{
    static unsigned char memory[100000];
    cano_item item = { .data = memory, .deliveries = deliveries };
    void *made = NULL;
    size_t got;
    cano_status status;
    switch (way) {
    case 0:
        status = cano_queue_get(queue, memory, sizeof memory, &item.size, CANO_NOW);
        break;
    case 1:
        status = cano_queue_take(queue, &item, CANO_NOW);
        break;
    case 2:
        status = cano_queue_get_many(queue, &item, 1, &got, memory, sizeof memory, CANO_NOW);
        break;
    default:
        status = cano_queue_get_alloc(queue, &made, &item.size, CANO_NOW);
        item.data = made;
    }
    CU_ASSERT(item.size == size && has_pattern(item.data, size, seed) && item.deliveries == deliveries);
    cano_free(made);
    return status;
}

static void task_of_any_size_comes_back_whole(void)
{
    static const size_t sizes[] = { 0, 1, 192, 193, 256, 257, 5000, 100000 };
    cano_queue *queue = make_joinable();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CU_ASSERT_EQUAL(put_pattern(queue, sizes[i], i, CANO_NOW), CANO_OK);
        for (int way = 0; way < 8; way++) {
            CU_ASSERT_EQUAL(done_in_every_way(queue, way % 4, sizes[i], i, (uint32_t)way + 1), CANO_OK);
            CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK);
        }
        CU_ASSERT_EQUAL(done_in_every_way(queue, 0, sizes[i], i, 9), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    }
    CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
    cano_queue_close(queue);
}

static void task_numbers_are_never_used_twice(void)
{
    const char *name = suite_name("lease");
    cano_queue_close(make_named(name, OPTIONS(.flags = CANO_JOINABLE, .max_leases = 3)));
    uint64_t last = 0;
    for (int i = 0; i < 50; i++) { /* also not when all have left meanwhile */
        cano_queue *queue = open_named(name);
        cano_item items[3];
        put_numbers(queue, 0, 2);
        for (uint64_t k = 0; k < 3; k++) {
            check_item(queue, k, 1, &items[k]);
            CU_ASSERT(items[k].task > last);
            last = items[k].task;
        }
        for (int k = 0; k < 3; k++) {
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[2 - k]), CANO_OK);
        }
        cano_queue_close(queue);
    }
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

/* ---- limits ---- */

static void lease_limit_is_told_at_once_and_the_message_stays(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_leases = 2));
    cano_item items[3];
    uint64_t number = 0;
    void *data;
    size_t size;
    put_numbers(queue, 1, 3);
    check_item(queue, 1, 1, &items[0]);
    check_item(queue, 2, 1, &items[1]);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_queue_take(queue, &items[2], CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, &data, &size, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_queue_peek(queue, &number, sizeof number, NULL, CANO_FOREVER), CANO_OK);
    CU_ASSERT_EQUAL(number, 3);
    CU_ASSERT_EQUAL(count_of(queue), 1);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &items[0], CANO_NOW), CANO_OK);
    check_item(queue, 1, 2, &items[0]); /* what came back has its lease already */
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[1]), CANO_OK);
    check_item(queue, 3, 1, &items[1]);
    cano_queue_close(queue);
}

static void leases_do_not_count_but_what_came_back_does(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_items = 2));
    bool full = false;
    put_numbers(queue, 1, 2);
    get_number(queue, CANO_NOW);
    get_number(queue, CANO_NOW);
    put_number(queue, 3, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(count_of(queue), 2);
    CU_ASSERT_EQUAL(cano_queue_full(queue, &full), CANO_OK);
    CU_ASSERT(full);
    CU_ASSERT_EQUAL(put_number(queue, 4, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(put_number(queue, 4, 20000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    CU_ASSERT_EQUAL(put_number(queue, 4, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static void get_later(void *context)
{
    linger(100000);
    get_number(context, CANO_NOW);
}

static void putter_wakes_when_what_came_back_is_taken(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_items = 1));
    put_number(queue, 1, CANO_NOW);
    get_number(queue, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK);
    const int64_t start = suite_now();
    suite_thread *thread = suite_thread_start(get_later, queue);
    CU_ASSERT_EQUAL(put_number(queue, 2, PATIENCE), CANO_OK);
    CU_ASSERT(elapsed(start) >= 100000);
    suite_thread_end(thread);
    cano_queue_close(queue);
}

static void picture_tells_who_has_what(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 1));
    put_numbers(queue, 1, 10);
    for (int i = 0; i < 6; i++) {
        get_number(queue, CANO_NOW);
    }
    cano_queue_task_done(queue, NULL);
    cano_queue_task_done(queue, NULL);
    cano_queue_give_back(queue, NULL, CANO_NOW); /* dead */
    const cano_queue_info info = picture_of(queue);
    CU_ASSERT_EQUAL(info.items, 4);
    CU_ASSERT_EQUAL(info.unfinished, 7);
    CU_ASSERT_EQUAL(info.leased, 3);
    CU_ASSERT_EQUAL(info.delayed, 0);
    CU_ASSERT_EQUAL(info.dead, 1);
    CU_ASSERT_EQUAL(info.put, 10);
    CU_ASSERT_EQUAL(info.got, 6);
    CU_ASSERT_EQUAL(info.done, 3); /* dead letters included */
    CU_ASSERT_EQUAL(info.flags, CANO_JOINABLE);
    cano_queue_close(queue);
}

static const suite_test tests[] = {
    { "task_is_unfinished_until_it_is_done", task_is_unfinished_until_it_is_done },
    { "task_done_without_a_task_is_not_held", task_done_without_a_task_is_not_held },
    { "task_is_done_once", task_is_done_once },
    { "late_task_done_leaves_the_next_task_alone", late_task_done_leaves_the_next_task_alone },
    { "task_of_another_participant_is_not_held", task_of_another_participant_is_not_held },
    { "unnamed_task_is_the_oldest", unnamed_task_is_the_oldest },
    { "unnamed_task_is_this_threads_first", unnamed_task_is_this_threads_first },
    { "task_comes_back_before_those_queued", task_comes_back_before_those_queued },
    { "deliveries_count_the_times_it_came_back", deliveries_count_the_times_it_came_back },
    { "close_gives_tasks_back_at_once_and_uncounted", close_gives_tasks_back_at_once_and_uncounted },
    { "task_of_any_size_comes_back_whole", task_of_any_size_comes_back_whole },
    { "task_numbers_are_never_used_twice", task_numbers_are_never_used_twice },
    { "lease_limit_is_told_at_once_and_the_message_stays", lease_limit_is_told_at_once_and_the_message_stays },
    { "leases_do_not_count_but_what_came_back_does", leases_do_not_count_but_what_came_back_does },
    { "putter_wakes_when_what_came_back_is_taken", putter_wakes_when_what_came_back_is_taken },
    { "picture_tells_who_has_what", picture_tells_who_has_what },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "joinable: lease", tests, NULL);
}
