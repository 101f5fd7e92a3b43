/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several messages at once: put all or nothing, got packed.
 */
#include "queues.h"

#include <stdint.h>

#define MOST 64

/* Messages of these sizes, each with a pattern of its own; end with free_batch. */
typedef struct batch {
    cano_slice slices[MOST];
    size_t count;
} batch;

static batch make_batch(const size_t *sizes, size_t count, uint64_t seed)
{
    batch b = { .count = count };
    for (size_t i = 0; i < count; i++) {
        void *memory = malloc(sizes[i] + 1);
        fill_pattern(memory, sizes[i], seed + i);
        b.slices[i] = (cano_slice){ memory, sizes[i] };
    }
    return b;
}

static void free_batch(batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        free((void *)(uintptr_t)b->slices[i].data);
    }
}

static cano_status put_batch(cano_queue *queue, const size_t *sizes, size_t count, uint64_t seed, cano_timeout timeout)
{
    batch b = make_batch(sizes, count, seed);
    const cano_status status = cano_queue_put_many(queue, b.slices, count, timeout);
    free_batch(&b);
    return status;
}

static void get_batch(cano_queue *queue, const size_t *sizes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(get_pattern(queue, sizes[i], seed + i));
        cano_queue_task_done(queue, NULL); /* of a joinable queue */
    }
    CU_ASSERT_EQUAL(count_of(queue), 0);
}

static const size_t mixed[] = { 5, 0, 300, 8, 70000, 192, 193, 0, 240, 241, 1, 20000, 16, 17 };
#define MIXED (sizeof mixed / sizeof mixed[0])

/* ---- put_many ---- */

static void batch_comes_out_in_its_order(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
            cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = flags));
            for (uint64_t round = 0; round < 50; round++) {
                CU_ASSERT_EQUAL(put_batch(queue, mixed, MIXED, round, CANO_NOW), CANO_OK);
                CU_ASSERT_EQUAL(count_of(queue), MIXED);
                get_batch(queue, mixed, MIXED, round);
            }
            cano_queue_close(queue);
        }
    }
}

static void batch_of_nothing_does_nothing(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    const cano_slice slice = { "x", 1 };
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, &slice, 0, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, NULL, 0, CANO_FOREVER), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, NULL, 0, -7), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_put_many(NULL, &slice, 0, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(count_of(queue), 0);
    cano_queue_close(queue);
}

static void bad_slice_refuses_the_whole_batch(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    const cano_slice slices[3] = { { "x", 1 }, { NULL, 0 }, { NULL, 1 } };
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, slices, 3, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(count_of(queue), 0);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, slices, 2, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(count_of(queue), 2);
    cano_queue_close(queue);
}

static void batch_gets_all_its_room_or_none(void)
{
    static const size_t sizes[3] = { 4, 4, 4 };
    cano_queue *queue = make_queue(OPTIONS(.max_items = 4));
    put_number(queue, 1, CANO_NOW);
    put_number(queue, 2, CANO_NOW);
    CU_ASSERT_EQUAL(put_batch(queue, sizes, 3, 0, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(put_batch(queue, sizes, 3, 0, 30000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(count_of(queue), 2);
    CU_ASSERT_EQUAL(put_batch(queue, sizes, 2, 0, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 2);
    get_batch(queue, sizes, 2, 0);
    cano_queue_close(queue);
}

static void failed_batch_leaves_no_memory_taken(void)
{
    static const size_t sizes[4] = { 9000, 9000, 9000, 9000 };
    cano_queue *queue = make_queue(OPTIONS(.max_items = 4, .max_bytes = 40000));
    void *held;
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 20000, &held, CANO_NOW), CANO_OK);
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(put_batch(queue, sizes, 4, 0, CANO_NOW), CANO_ETIMEOUT);
    }
    cano_queue_cancel(queue, held);
    CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
    CU_ASSERT_EQUAL(put_batch(queue, sizes, 4, 0, CANO_NOW), CANO_OK);
    get_batch(queue, sizes, 4, 0);
    cano_queue_close(queue);
}

static void batch_that_never_fits_is_refused_at_once(void)
{
    static const size_t sizes[5] = { 250, 250, 250, 250, 1 };
    cano_queue *queue = make_queue(OPTIONS(.max_items = 4, .max_bytes = 1000));
    CU_ASSERT_EQUAL(put_batch(queue, sizes, 5, 0, CANO_FOREVER), CANO_ETOOBIG); /* too many */
    CU_ASSERT_EQUAL(put_batch(queue, sizes + 1, 4, 0, CANO_NOW), CANO_OK);
    get_batch(queue, sizes + 1, 4, 0);
    const size_t much[3] = { 500, 500, 1 };
    CU_ASSERT_EQUAL(put_batch(queue, much, 3, 0, CANO_FOREVER), CANO_ETOOBIG); /* too much */
    CU_ASSERT_EQUAL(put_batch(queue, much, 2, 0, CANO_NOW), CANO_OK);
    get_batch(queue, much, 2, 0);
    const cano_slice enormous[3] = { { much, SIZE_MAX }, { much, 2 }, { much, SIZE_MAX - 1 } };
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, enormous, 3, CANO_FOREVER), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, enormous + 1, 2, CANO_FOREVER), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(count_of(queue), 0);
    cano_queue_close(queue);
}

static void batch_of_one_large_and_many_small_messages_fits(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    static cano_slice slices[1001];
    static char large[400000];
    slices[0] = (cano_slice){ large, sizeof large };
    for (size_t i = 1; i < 1001; i++) {
        slices[i] = (cano_slice){ large, 17 };
    }
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, slices, 1001, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(count_of(queue), 1001);
    cano_queue_close(queue);
}

static void check_full_batch(cano_queue_options options, uint64_t offset)
{
    size_t sizes[8];
    for (size_t i = 0; i < 8; i++) {
        sizes[i] = (size_t)options.max_bytes / 8;
    }
    cano_queue *queue = make_queue(options);
    for (uint64_t i = 0; i < offset; i++) { /* an empty message takes the least there is */
        CU_ASSERT_EQUAL(cano_queue_put(queue, NULL, 0, CANO_NOW), CANO_OK);
        get_batch(queue, (const size_t[1]){ 0 }, 1, 0);
    }
    for (uint64_t round = 0; round < 2; round++) {
        CU_ASSERT_EQUAL(put_batch(queue, sizes, 8, round, CANO_NOW), CANO_OK);
        get_batch(queue, sizes, 8, round);
    }
    cano_queue_close(queue);
}

/* The whole promise as one batch, wherever the ring begins: that of 8 messages has at most 512 units. */
static void full_batch_fits_at_every_offset(void)
{
    static const size_t shares[] = { 1, 16, 17, 100, 192, 193, 240, 241, 1000 };
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            for (uint64_t offset = 0; offset < 512; offset++) {
                check_full_batch(OPTIONS(.flags = flags, .max_items = 8, .max_bytes = 8 * shares[i]), offset);
            }
        }
    }
}

#define TEN 10
#define BATCHES 200

static int run_put_batches(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    const uint64_t who = strtoull(s.argument, NULL, 10);
    for (uint64_t i = 0; i < BATCHES; i++) {
        uint64_t numbers[TEN];
        cano_slice slices[TEN];
        for (size_t k = 0; k < TEN; k++) {
            numbers[k] = who * 1000000 + i * TEN + k;
            slices[k] = (cano_slice){ &numbers[k], sizeof numbers[k] };
        }
        DEMAND(cano_queue_put_many(s.queue, slices, TEN, PATIENCE) == CANO_OK);
    }
    leave(&s);
    return 0;
}

static void batch_becomes_visible_as_one(void)
{
    stage s = stage_of(OPTIONS(.max_items = TEN * BATCHES));
    suite_child *child = start_on(&s, "put_batches", "1");
    size_t count = 0;
    for (int64_t began = 0; count < TEN * BATCHES && suite_patience(&began);) {
        count = count_of(s.queue);
        CU_ASSERT_EQUAL(count % TEN, 0);
    }
    CU_ASSERT_EQUAL(count, TEN * BATCHES);
    end_well(child);
    strike(&s);
}

static void nobody_puts_between_the_messages_of_a_batch(void)
{
    stage s = stage_of(OPTIONS(.max_items = 3 * TEN));
    suite_child *children[3] = { start_on(&s, "put_batches", "1"), start_on(&s, "put_batches", "2"),
                                 start_on(&s, "put_batches", "3") };
    uint64_t next[4] = { 0 };
    for (int i = 0; i < 3 * BATCHES; i++) {
        const uint64_t first = get_number(s.queue, PATIENCE);
        const uint64_t who = first / 1000000;
        CU_ASSERT_FATAL(who >= 1 && who <= 3);
        CU_ASSERT_EQUAL(first % 1000000, next[who]);
        for (uint64_t k = 1; k < TEN; k++) {
            CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), first + k);
        }
        next[who] += TEN;
    }
    for (int i = 0; i < 3; i++) {
        end_well(children[i]);
    }
    strike(&s);
}

typedef struct sleeper {
    cano_queue *queue;
    uint64_t number;
} sleeper;

static void get_one(void *context)
{
    sleeper *s = context;
    s->number = get_number(s->queue, PATIENCE);
}

static void batch_wakes_as_many_as_it_has_messages(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    sleeper sleepers[4] = { { queue, 0 }, { queue, 0 }, { queue, 0 }, { queue, 0 } };
    suite_thread *threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = suite_thread_start(get_one, &sleepers[i]);
    }
    linger(30000);
    uint64_t numbers[4] = { 10, 20, 30, 40 };
    cano_slice slices[4];
    for (int i = 0; i < 4; i++) {
        slices[i] = (cano_slice){ &numbers[i], sizeof numbers[i] };
    }
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, slices, 4, CANO_NOW), CANO_OK);
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        suite_thread_end(threads[i]);
        sum += sleepers[i].number;
    }
    CU_ASSERT_EQUAL(sum, 100);
    cano_queue_close(queue);
}

static void put_later(void *context)
{
    linger(100000);
    put_batch(context, mixed, 3, 0, CANO_NOW);
}

/* ---- get_many ---- */

static void check_packed(const cano_item *items, size_t got, const unsigned char *buffer, const size_t *sizes, uint64_t seed)
{
    size_t used = 0;
    for (size_t i = 0; i < got; i++) {
        CU_ASSERT_EQUAL(items[i].size, sizes[i]);
        CU_ASSERT_PTR_EQUAL(items[i].data, buffer + used);
        CU_ASSERT(has_pattern(items[i].data, sizes[i], seed + i));
        used += (sizes[i] + 7) / 8 * 8;
    }
}

static void get_many_packs_what_is_there(void)
{
    static uint64_t room[20000];
    unsigned char *buffer = (unsigned char *)room;
    for (uint32_t scope = 0; scope < 2; scope++) {
        for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
            cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = flags));
            cano_item items[MOST];
            size_t got = 0;
            CU_ASSERT_EQUAL(put_batch(queue, mixed, MIXED, 9, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, MOST, &got, buffer, sizeof room, CANO_FOREVER), CANO_OK);
            CU_ASSERT_EQUAL(got, MIXED);
            check_packed(items, got, buffer, mixed, 9);
            CU_ASSERT_EQUAL(count_of(queue), 0);
            cano_queue_close(queue);
        }
    }
}

static void get_many_takes_no_more_than_asked(void)
{
    static uint64_t room[20000];
    cano_queue *queue = make_queue(OPTIONS(0));
    cano_item items[MOST];
    size_t got = 0;
    put_batch(queue, mixed, MIXED, 2, CANO_NOW);
    for (size_t first = 0; first < MIXED; first += got) {
        const size_t left = MIXED - first;
        CU_ASSERT_EQUAL_FATAL(cano_queue_get_many(queue, items, 3, &got, room, sizeof room, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(got, left < 3 ? left : 3);
        check_packed(items, got, (unsigned char *)room, mixed + first, 2 + first);
    }
    got = 77;
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 3, &got, room, sizeof room, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(got, 77);
    cano_queue_close(queue);
}

static void get_many_stops_where_the_buffer_ends(void)
{
    static const size_t sizes[4] = { 5, 10, 9, 100 };
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags));
        uint64_t room[8];
        cano_item items[4];
        size_t got = 0;
        put_batch(queue, sizes, 4, 0, CANO_NOW);
        CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 4, &got, room, 17, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(got, 1); /* the second needs 8 + 10 */
        CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 4, &got, room, 25, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(got, 2); /* 16 + 9: the last needs no filling */
        check_packed(items, got, (unsigned char *)room, sizes + 1, 1);
        items[0].size = 0;
        CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 4, &got, room, 64, CANO_FOREVER), CANO_ETOOBIG);
        CU_ASSERT_EQUAL(items[0].size, 100);
        CU_ASSERT_EQUAL(got, 2);
        CU_ASSERT(get_pattern(queue, 100, 3));
        cano_queue_close(queue);
    }
}

static void empty_messages_need_no_buffer(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    static const size_t sizes[3] = { 0, 0, 1 };
    cano_item items[3];
    size_t got = 0;
    put_batch(queue, sizes, 3, 0, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 3, &got, NULL, 0, CANO_NOW), CANO_OK);
    CU_ASSERT(got == 2 && items[0].size == 0 && items[1].size == 0);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 3, &got, NULL, 0, CANO_NOW), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(items[0].size, 1);
    cano_queue_close(queue);
}

static void get_many_waits_for_the_first_only(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    static uint64_t room[100];
    cano_item items[MOST];
    size_t got = 0;
    suite_thread *thread = suite_thread_start(put_later, queue);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, MOST, &got, room, sizeof room, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(got, 3); /* a batch comes whole */
    suite_thread_end(thread);
    cano_queue_close(queue);
}

static void plain_messages_have_no_task(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    uint64_t room[4];
    cano_item items[2];
    size_t got;
    put_number(queue, 1, CANO_NOW);
    put_number(queue, 2, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 2, &got, room, sizeof room, CANO_NOW), CANO_OK);
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT(items[i].task == 0 && items[i].deliveries == 0);
    }
    cano_queue_close(queue);
}

static void get_many_leases_each_task(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    uint64_t room[8];
    cano_item items[8];
    size_t got;
    for (uint64_t i = 0; i < 8; i++) {
        put_number(queue, i, CANO_NOW);
    }
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 8, &got, room, sizeof room, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(got, 8);
    CU_ASSERT_EQUAL(picture_of(queue).leased, 8);
    for (size_t i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(items[i].deliveries, 1);
        CU_ASSERT(i == 0 || items[i].task > items[i - 1].task);
    }
    for (size_t i = 8; i-- > 0;) { /* in any order */
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[i]), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[i]), CANO_ENOTHELD);
        CU_ASSERT_EQUAL(unfinished_of(queue), i);
    }
    cano_queue_close(queue);
}

static void get_many_takes_as_many_as_may_be_leased(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_leases = 5));
    uint64_t room[8];
    cano_item items[8];
    size_t got = 0;
    for (uint64_t i = 0; i < 8; i++) {
        put_number(queue, i, CANO_NOW);
    }
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 8, &got, room, sizeof room, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(got, 5);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 8, &got, room, sizeof room, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(count_of(queue), 3);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &items[4], CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &items[0], CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 8, &got, room, sizeof room, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(got, 2); /* what came back, the older first */
    CU_ASSERT(room[0] == 0 && room[1] == 4);
    cano_queue_close(queue);
}

static const suite_test tests[] = {
    { "batch_comes_out_in_its_order", batch_comes_out_in_its_order },
    { "batch_of_nothing_does_nothing", batch_of_nothing_does_nothing },
    { "bad_slice_refuses_the_whole_batch", bad_slice_refuses_the_whole_batch },
    { "batch_gets_all_its_room_or_none", batch_gets_all_its_room_or_none },
    { "failed_batch_leaves_no_memory_taken", failed_batch_leaves_no_memory_taken },
    { "batch_that_never_fits_is_refused_at_once", batch_that_never_fits_is_refused_at_once },
    { "batch_of_one_large_and_many_small_messages_fits", batch_of_one_large_and_many_small_messages_fits },
    { "full_batch_fits_at_every_offset", full_batch_fits_at_every_offset },
    { "batch_becomes_visible_as_one", batch_becomes_visible_as_one },
    { "nobody_puts_between_the_messages_of_a_batch", nobody_puts_between_the_messages_of_a_batch },
    { "batch_wakes_as_many_as_it_has_messages", batch_wakes_as_many_as_it_has_messages },
    { "get_many_packs_what_is_there", get_many_packs_what_is_there },
    { "get_many_takes_no_more_than_asked", get_many_takes_no_more_than_asked },
    { "get_many_stops_where_the_buffer_ends", get_many_stops_where_the_buffer_ends },
    { "empty_messages_need_no_buffer", empty_messages_need_no_buffer },
    { "get_many_waits_for_the_first_only", get_many_waits_for_the_first_only },
    { "plain_messages_have_no_task", plain_messages_have_no_task },
    { "get_many_leases_each_task", get_many_leases_each_task },
    { "get_many_takes_as_many_as_may_be_leased", get_many_takes_as_many_as_may_be_leased },
    { NULL, NULL },
};

static const suite_role roles[] = { { "put_batches", run_put_batches }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: many", tests, roles);
}
