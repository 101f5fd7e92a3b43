/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages written and read in the queue's own memory.
 */
#include "queues.h"

#include <stdint.h>

/* Reserve and fill; the memory must come at once. */
static void *reserve(cano_queue *queue, size_t size, uint64_t seed)
{
    void *memory = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_reserve(queue, size, &memory, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL((uintptr_t)memory % 64, 0);
    fill_pattern(memory, size, seed);
    return memory;
}

static cano_item take(cano_queue *queue, size_t size, uint64_t seed)
{
    cano_item item = { 0 };
    CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &item, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(item.size, size);
    CU_ASSERT_PTR_NOT_NULL(item.data);
    CU_ASSERT_EQUAL((uintptr_t)item.data % 8, 0);
    CU_ASSERT(has_pattern(item.data, size, seed));
    return item;
}

static uint64_t bytes_of(cano_queue *queue)
{
    return picture_of(queue).bytes;
}

/* ---- reserve, commit, cancel ---- */

static void what_was_reserved_is_sent_by_commit(void)
{
    static const size_t sizes[] = { 0, 1, 64, 240, 241, 256, 257, 5000, 524288 };
    for (uint32_t scope = 0; scope < 2; scope++) {
        for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
            cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = flags));
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                void *memory = reserve(queue, sizes[i], i);
                CU_ASSERT_EQUAL(count_of(queue), 0);
                CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, sizes[i], CANO_NOW), CANO_OK);
                CU_ASSERT_EQUAL(count_of(queue), 1);
                CU_ASSERT(get_pattern(queue, sizes[i], i));
                cano_queue_task_done(queue, NULL);
            }
            CU_ASSERT_EQUAL(bytes_of(queue), 0);
            cano_queue_close(queue);
        }
    }
}

static void less_than_was_reserved_may_be_sent(void)
{
    static const size_t sent[] = { 0, 1, 255, 256, 257, 99999, 100000 };
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags, .max_bytes = 100000));
        for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
            void *memory = reserve(queue, 100000, i);
            CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, sent[i], CANO_NOW), CANO_OK);
            CU_ASSERT(bytes_of(queue) < sent[i] + 8192); /* the rest is free already */
            CU_ASSERT(get_pattern(queue, sent[i], i));
            cano_queue_task_done(queue, NULL);
            CU_ASSERT_EQUAL(bytes_of(queue), 0);
        }
        cano_queue_close(queue);
    }
}

static void more_than_was_reserved_is_not_sent_and_stays_reserved(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    void *memory = reserve(queue, 100, 1);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 101, CANO_FOREVER), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, SIZE_MAX, CANO_FOREVER), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(count_of(queue), 0);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 100, CANO_NOW), CANO_OK);
    CU_ASSERT(get_pattern(queue, 100, 1));
    cano_queue_close(queue);
}

static void commit_knows_its_reservations(void)
{
    const char *name = suite_name("reserve");
    cano_queue *queue = make_named(name, OPTIONS(0));
    cano_queue *other = open_named(name);
    char elsewhere[64];
    char *memory = reserve(queue, 100, 1);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, elsewhere, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory + 1, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_commit(other, memory, 1, CANO_NOW), CANO_EINVAL);
    cano_queue_cancel(other, memory);
    cano_queue_cancel(queue, memory + 1);
    cano_queue_cancel(queue, elsewhere);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 100, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 100, CANO_NOW), CANO_EINVAL);
    cano_queue_cancel(queue, memory); /* no longer ours: ignored */
    CU_ASSERT(get_pattern(other, 100, 1));
    cano_queue_close(queue);
    cano_queue_close(other);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void cancelled_room_is_free_again(void)
{
    cano_queue *queue = make_queue(OPTIONS(.max_bytes = 100000));
    for (int i = 0; i < 100; i++) {
        void *memory = reserve(queue, 100000, 1);
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 60000, &memory, CANO_NOW), CANO_ETIMEOUT);
        cano_queue_cancel(queue, memory);
        cano_queue_cancel(queue, memory);
        CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 1, CANO_NOW), CANO_EINVAL);
    }
    CU_ASSERT_EQUAL(bytes_of(queue), 0);
    cano_queue_close(queue);
}

static void reservation_holds_nobody_up(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    void *first = reserve(queue, 1000, 1);
    void *second = reserve(queue, 2000, 2);
    put_number(queue, 77, CANO_NOW);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 77);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, second, 2000, CANO_NOW), CANO_OK);
    put_number(queue, 78, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, first, 1000, CANO_NOW), CANO_OK);
    CU_ASSERT(get_pattern(queue, 2000, 2)); /* in the order of the commits */
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 78);
    CU_ASSERT(get_pattern(queue, 1000, 1));
    cano_queue_close(queue);
}

static void commit_waits_while_max_items_are_queued(void)
{
    cano_queue *queue = make_queue(OPTIONS(.max_items = 2));
    put_number(queue, 1, CANO_NOW);
    void *memory = reserve(queue, 500, 5);
    put_number(queue, 2, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 500, CANO_NOW), CANO_ETIMEOUT);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 500, 30000), CANO_ETIMEOUT);
    CU_ASSERT(elapsed(start) >= 30000);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 500, CANO_NOW), CANO_OK); /* it was still reserved */
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 2);
    CU_ASSERT(get_pattern(queue, 500, 5));
    cano_queue_close(queue);
}

static void reservation_survives_a_shutdown_unsent(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    void *memory = reserve(queue, 500, 5);
    void *more = NULL;
    CU_ASSERT_EQUAL(cano_queue_shutdown(queue, false), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 1, &more, CANO_FOREVER), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 500, CANO_FOREVER), CANO_ECLOSED);
    CU_ASSERT(has_pattern(memory, 500, 5));
    CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 500, CANO_FOREVER), CANO_ECLOSED); /* still reserved */
    cano_queue_cancel(queue, memory);
    CU_ASSERT_EQUAL(bytes_of(queue), 0);
    cano_queue_close(queue);
}

static void close_ends_reservations_and_views(void)
{
    const char *name = suite_name("reserve");
    cano_queue *keeper = make_named(name, OPTIONS(.max_bytes = 100000));
    for (int i = 0; i < 20; i++) {
        cano_queue *guest = open_named(name);
        CU_ASSERT_EQUAL(put_pattern(keeper, 40000, 3, CANO_NOW), CANO_OK);
        const cano_item item = take(guest, 40000, 3);
        (void)item;
        reserve(guest, 30000, 1);
        reserve(guest, 20000, 1);
        CU_ASSERT(bytes_of(keeper) >= 90000);
        cano_queue_close(guest);
        CU_ASSERT_EQUAL(bytes_of(keeper), 0);
    }
    cano_queue_close(keeper);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void many_reservations_live_beside_each_other(void)
{
    cano_queue *queue = make_queue(OPTIONS(.max_items = 500, .max_bytes = 500 * 300));
    void *memory[200];
    for (uint64_t i = 0; i < 200; i++) {
        memory[i] = reserve(queue, 250, i);
    }
    for (uint64_t i = 0; i < 200; i += 2) {
        cano_queue_cancel(queue, memory[i]);
    }
    for (uint64_t i = 1; i < 200; i += 2) {
        CU_ASSERT_EQUAL(cano_queue_commit(queue, memory[i], 250, CANO_NOW), CANO_OK);
    }
    for (uint64_t i = 1; i < 200; i += 2) {
        CU_ASSERT(get_pattern(queue, 250, i));
    }
    CU_ASSERT_EQUAL(bytes_of(queue), 0);
    cano_queue_close(queue);
}

typedef struct hand {
    cano_queue *queue;
    void *memory;
    cano_status status;
} hand;

static void commit_it(void *context)
{
    hand *h = context;
    h->status = cano_queue_commit(h->queue, h->memory, 100, CANO_NOW);
}

static void another_thread_may_commit(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    hand h = { queue, reserve(queue, 100, 1), CANO_EUNKNOWN };
    suite_thread_end(suite_thread_start(commit_it, &h));
    CU_ASSERT_EQUAL(h.status, CANO_OK);
    CU_ASSERT(get_pattern(queue, 100, 1));
    cano_queue_close(queue);
}

/* ---- take, release ---- */

static void view_shows_the_message(void)
{
    static const size_t sizes[] = { 0, 1, 192, 193, 240, 241, 256, 257, 5000, 524288 };
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope));
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            CU_ASSERT_EQUAL(put_pattern(queue, sizes[i], i, CANO_NOW), CANO_OK);
            cano_item item = take(queue, sizes[i], i);
            CU_ASSERT(item.task == 0 && item.deliveries == 0);
            CU_ASSERT_EQUAL(count_of(queue), 0);
            memset(item.data, 0xaa, item.size); /* may be written */
            cano_queue_release(queue, &item);
        }
        CU_ASSERT_EQUAL(bytes_of(queue), 0);
        cano_queue_close(queue);
    }
}

static void view_stays_while_the_queue_goes_on(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags, .max_items = 8, .max_bytes = 64000));
        CU_ASSERT_EQUAL(put_pattern(queue, 100, 1, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(put_pattern(queue, 9000, 2, CANO_NOW), CANO_OK);
        cano_item small = take(queue, 100, 1);
        cano_item large = take(queue, 9000, 2);
        for (uint64_t i = 0; i < 2000; i++) {
            const size_t size = i % 3 == 0 ? 20000 : (size_t)i % 200;
            CU_ASSERT_EQUAL(put_pattern(queue, size, i, CANO_NOW), CANO_OK);
            cano_item item = take(queue, size, i);
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), flags != 0 ? CANO_OK : CANO_EKIND);
            cano_queue_release(queue, &item);
        }
        CU_ASSERT(has_pattern(small.data, 100, 1));
        CU_ASSERT(has_pattern(large.data, 9000, 2));
        cano_queue_close(queue); /* ends the views */
    }
}

static void views_end_in_any_order_and_once(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    cano_item items[6];
    for (uint64_t i = 0; i < 6; i++) {
        put_pattern(queue, i % 2 != 0 ? 10 : 10000, i, CANO_NOW);
    }
    for (uint64_t i = 0; i < 6; i++) {
        items[i] = take(queue, i % 2 != 0 ? 10 : 10000, i);
    }
    for (size_t i = 0; i < 6; i++) {
        const size_t k = (i * 5 + 2) % 6;
        cano_item copy = items[k];
        cano_queue_release(queue, &items[k]);
        cano_queue_release(queue, &items[k]);
        cano_queue_release(queue, &copy);
    }
    CU_ASSERT_EQUAL(bytes_of(queue), 0);
    cano_item nothing = { 0 };
    cano_queue_release(queue, &nothing);
    cano_queue_close(queue);
}

static void release_does_nothing_on_a_joinable_queue(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    for (size_t i = 0; i < 2; i++) {
        const size_t size = i == 0 ? 100 : 10000;
        put_pattern(queue, size, i, CANO_NOW);
        cano_item item = take(queue, size, i);
        CU_ASSERT_EQUAL(item.deliveries, 1);
        CU_ASSERT(item.task != 0);
        const cano_item before = item;
        cano_queue_release(queue, &item);
        CU_ASSERT_PTR_EQUAL(item.data, before.data);
        CU_ASSERT(has_pattern(item.data, size, i));
        CU_ASSERT_EQUAL(unfinished_of(queue), 1);
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
        CU_ASSERT_EQUAL(unfinished_of(queue), 0);
    }
    cano_queue_close(queue);
}

static void view_of_a_message_written_in_place_is_the_message(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags));
        for (uint64_t i = 0; i < 200; i++) {
            const size_t size = 1 + (size_t)i * 50;
            void *memory = reserve(queue, size, i);
            CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, size, CANO_NOW), CANO_OK);
            cano_item item = take(queue, size, i);
            CU_ASSERT_PTR_EQUAL(item.data, memory); /* not copied */
            cano_queue_task_done(queue, &item);
            cano_queue_release(queue, &item);
        }
        CU_ASSERT_EQUAL(bytes_of(queue), 0);
        cano_queue_close(queue);
    }
}

static const suite_test tests[] = {
    { "what_was_reserved_is_sent_by_commit", what_was_reserved_is_sent_by_commit },
    { "less_than_was_reserved_may_be_sent", less_than_was_reserved_may_be_sent },
    { "more_than_was_reserved_is_not_sent_and_stays_reserved", more_than_was_reserved_is_not_sent_and_stays_reserved },
    { "commit_knows_its_reservations", commit_knows_its_reservations },
    { "cancelled_room_is_free_again", cancelled_room_is_free_again },
    { "reservation_holds_nobody_up", reservation_holds_nobody_up },
    { "commit_waits_while_max_items_are_queued", commit_waits_while_max_items_are_queued },
    { "reservation_survives_a_shutdown_unsent", reservation_survives_a_shutdown_unsent },
    { "close_ends_reservations_and_views", close_ends_reservations_and_views },
    { "many_reservations_live_beside_each_other", many_reservations_live_beside_each_other },
    { "another_thread_may_commit", another_thread_may_commit },
    { "view_shows_the_message", view_shows_the_message },
    { "view_stays_while_the_queue_goes_on", view_stays_while_the_queue_goes_on },
    { "views_end_in_any_order_and_once", views_end_in_any_order_and_once },
    { "release_does_nothing_on_a_joinable_queue", release_does_nothing_on_a_joinable_queue },
    { "view_of_a_message_written_in_place_is_the_message", view_of_a_message_written_in_place_is_the_message },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: zero copy", tests, NULL);
}
