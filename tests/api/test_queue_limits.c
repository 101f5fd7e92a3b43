/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a queue holds: as many messages and as large ones as was promised, wherever its memory happens to be used, and no more.
 */
#include "queues.h"

#include <stdint.h>

#define ROUNDS 300

/* ---- the promise ---- */

typedef struct shape {
    uint32_t flags;
    uint64_t max_items, max_bytes;
} shape;

static cano_queue *shaped(shape s)
{
    return make_queue(OPTIONS(.flags = s.flags, .max_items = s.max_items, .max_bytes = s.max_bytes, .max_leases = s.flags));
}

static void get_done(cano_queue *queue, size_t size, uint64_t seed, uint32_t flags)
{
    CU_ASSERT(get_pattern(queue, size, seed));
    if ((flags & CANO_JOINABLE) != 0) {
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
    }
}

/* Fill and empty once. */
static bool holds_its_promise(cano_queue *queue, shape s, uint64_t seed)
{
    const size_t size = (size_t)(s.max_bytes / s.max_items);
    for (uint64_t i = 0; i < s.max_items; i++) {
        if (put_pattern(queue, size, seed + i, CANO_NOW) != CANO_OK) {
            return false;
        }
    }
    const bool full = put_number(queue, 0, CANO_NOW) == CANO_ETIMEOUT || sizeof(uint64_t) > s.max_bytes;
    for (uint64_t i = 0; i < s.max_items; i++) {
        get_done(queue, size, seed + i, s.flags);
    }
    return full;
}

static void pass_one(cano_queue *queue, size_t size, uint32_t flags)
{
    CU_ASSERT_EQUAL(put_pattern(queue, size, size, CANO_NOW), CANO_OK);
    get_done(queue, size, size, flags);
}

/* No ring of such a queue has more units: at most 30 and a header for each message that lies in it, a power of two. An empty
 * message takes one unit. */
static uint64_t units_most(shape s)
{
    uint64_t units = 64;
    while (units < (s.max_items + 1) * 31 + 1) {
        units *= 2;
    }
    return units;
}

static void check_every_offset(shape s)
{
    bool good = true;
    for (uint64_t offset = 0; offset < units_most(s) && good; offset++) {
        cano_queue *queue = shaped(s);
        for (uint64_t i = 0; i < offset; i++) {
            pass_one(queue, 0, s.flags);
        }
        good = holds_its_promise(queue, s, offset);
        cano_queue_close(queue);
    }
    CU_ASSERT(good);
}

static void check_behind_larger_ones(shape s)
{
    cano_queue *queue = shaped(s);
    bool good = true;
    for (uint64_t round = 0; round < ROUNDS && good; round++) {
        good = holds_its_promise(queue, s, round);
        pass_one(queue, (size_t)s.max_bytes, s.flags);
        pass_one(queue, (size_t)(s.max_bytes - round * 13 % s.max_bytes), s.flags);
        pass_one(queue, (size_t)(round * 17 % s.max_bytes), s.flags);
        pass_one(queue, 0, s.flags);
    }
    CU_ASSERT(good);
    cano_queue_close(queue);
}

static const shape plain_shapes[] = { { 0, 1, 1 },        { 0, 1, 8 },        { 0, 1, 240 },       { 0, 1, 241 },
                                      { 0, 1, 5000 },     { 0, 2, 16 },       { 0, 3, 100 },       { 0, 7, 1680 },
                                      { 0, 7, 1687 },     { 0, 5, 5000 },     { 0, 16, 5 },        { 0, 13, 13 },
                                      { 0, 10, 40960 },   { 0, 9, 9 * 4097 }, { 0, 30, 30 * 255 }, { 0, 30, 7680 },
                                      { 0, 30, 30 * 257 } };

static const shape joinable_shapes[] = { { 1, 1, 1 },          { 1, 1, 192 },       { 1, 1, 193 },  { 1, 3, 100 },
                                         { 1, 7, 7 * 192 },    { 1, 7, 7 * 193 },   { 1, 5, 5000 }, { 1, 16, 5 },
                                         { 1, 10, 10 * 4097 }, { 1, 20, 20 * 256 }, { 1, 20, 5140 } };

static void max_items_of_the_share_fit_at_every_offset(void)
{
    for (size_t i = 0; i < sizeof plain_shapes / sizeof plain_shapes[0]; i++) {
        check_every_offset(plain_shapes[i]);
    }
}

static void max_items_tasks_of_the_share_fit_at_every_offset(void)
{
    for (size_t i = 0; i < sizeof joinable_shapes / sizeof joinable_shapes[0]; i++) {
        check_every_offset(joinable_shapes[i]);
    }
}

static void max_items_of_the_share_fit_behind_larger_ones(void)
{
    for (size_t i = 0; i < sizeof plain_shapes / sizeof plain_shapes[0]; i++) {
        check_behind_larger_ones(plain_shapes[i]);
    }
    for (size_t i = 0; i < sizeof joinable_shapes / sizeof joinable_shapes[0]; i++) {
        check_behind_larger_ones(joinable_shapes[i]);
    }
}

/* A larger message takes no room that the smaller ones behind it were promised. */
static void larger_message_leaves_the_others_their_room(void)
{
    const shape s = { 0, 8, 1920 };
    for (uint64_t offset = 0; offset < units_most(s); offset++) {
        cano_queue *queue = shaped(s);
        for (uint64_t i = 0; i < offset; i++) {
            pass_one(queue, 0, 0);
        }
        CU_ASSERT_EQUAL(put_pattern(queue, 1000, 0, CANO_NOW), CANO_OK);
        for (uint64_t i = 1; i < 8; i++) {
            CU_ASSERT_EQUAL(put_pattern(queue, 131, i, CANO_NOW), CANO_OK);
        }
        CU_ASSERT(get_pattern(queue, 1000, 0));
        for (uint64_t i = 1; i < 8; i++) {
            CU_ASSERT(get_pattern(queue, 131, i));
        }
        cano_queue_close(queue);
    }
}

/* Those in somebody's hands do not count: the room for max_items is there beside max_leases. */
static void tasks_in_hand_take_no_room_from_those_to_come(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_items = 4, .max_bytes = 20000, .max_leases = 3));
    cano_item hands[3];
    uint64_t put = 0;
    uint64_t got = 0;
    for (uint64_t round = 0; round < 300; round++) {
        for (size_t i = 0; i < 3; i++) {
            CU_ASSERT_EQUAL(put_pattern(queue, 5000 - i, put++, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &hands[i], CANO_NOW), CANO_OK);
            CU_ASSERT(has_pattern(hands[i].data, 5000 - i, got++));
        }
        for (uint64_t i = 0; i < 4; i++) {
            CU_ASSERT_EQUAL(put_pattern(queue, 5000, i, CANO_NOW), CANO_OK);
        }
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_ETIMEOUT);
        for (size_t i = 0; i < 3; i++) {
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, &hands[(i + round) % 3]), CANO_OK);
        }
        for (uint64_t i = 0; i < 4; i++) {
            get_done(queue, 5000, i, CANO_JOINABLE);
        }
    }
    CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
    cano_queue_close(queue);
}

/* ---- one message ---- */

static void queue_of_one_message_passes_every_size(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags, .max_items = 1, .max_bytes = 3000));
        for (size_t size = 0; size <= 3000; size++) {
            CU_ASSERT_EQUAL(put_pattern(queue, size, size, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL(cano_queue_put(queue, NULL, 0, CANO_NOW), CANO_ETIMEOUT);
            get_done(queue, size, size, flags);
        }
        CU_ASSERT_EQUAL(put_pattern(queue, 3001, 0, CANO_NOW), CANO_ETOOBIG);
        cano_queue_close(queue);
    }
}

/* Rings and pages of several sizes, and every message size up to beyond them. */
static void every_size_passes_every_shape(void)
{
    static const shape shapes[] = { { 0, 3, 2500 }, { 0, 50, 2500 }, { 0, 2, 5000 }, { 1, 3, 2500 }, { 1, 50, 2500 } };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        cano_queue *queue = shaped(shapes[i]);
        for (size_t size = 0; size <= shapes[i].max_bytes; size++) {
            CU_ASSERT_EQUAL(put_pattern(queue, size, size, CANO_NOW), CANO_OK);
            get_done(queue, size, size, shapes[i].flags);
        }
        cano_queue_close(queue);
    }
}

static void what_never_fits_is_refused_at_once(void)
{
    cano_queue *queue = make_queue(OPTIONS(.max_items = 2, .max_bytes = 1000));
    void *memory;
    for (int full = 0; full < 2; full++) {
        CU_ASSERT_EQUAL(put_pattern(queue, 1001, 0, CANO_FOREVER), CANO_ETOOBIG);
        CU_ASSERT_EQUAL(put_pattern(queue, 100000, 0, CANO_FOREVER), CANO_ETOOBIG);
        CU_ASSERT_EQUAL(cano_queue_put(queue, &memory, SIZE_MAX, CANO_FOREVER), CANO_ETOOBIG);
        CU_ASSERT_EQUAL(cano_queue_put(queue, &memory, SIZE_MAX / 2, CANO_FOREVER), CANO_ETOOBIG);
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 1001, &memory, CANO_FOREVER), CANO_ETOOBIG);
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, SIZE_MAX, &memory, CANO_FOREVER), CANO_ETOOBIG);
        put_number(queue, 1, CANO_NOW);
        put_number(queue, 2, CANO_NOW);
    }
    CU_ASSERT_EQUAL(count_of(queue), 2);
    cano_queue_close(queue);
}

static void max_bytes_fits_again_and_again(void)
{
    cano_queue *queue = make_queue(OPTIONS(.max_bytes = 100001));
    for (uint64_t i = 0; i < 300; i++) {
        CU_ASSERT_EQUAL(put_pattern(queue, 100001, i, CANO_NOW), CANO_OK);
        CU_ASSERT(get_pattern(queue, 100001, i));
        CU_ASSERT_EQUAL(put_pattern(queue, (size_t)i % 300, i, CANO_NOW), CANO_OK);
        CU_ASSERT(get_pattern(queue, (size_t)i % 300, i));
    }
    CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
    cano_queue_close(queue);
}

/* ---- scattered pages ---- */

#define PAGE 256 /* what a queue of this shape uses */
#define PAGES 64

static cano_queue *make_paged(uint32_t flags)
{
    return make_queue(OPTIONS(.flags = flags, .max_items = PAGES, .max_bytes = PAGE * PAGES));
}

/* Reserve every page, then give back every other one from this on. */
static void scatter(cano_queue *queue, void *pages[PAGES], size_t first)
{
    for (size_t i = 0; i < PAGES; i++) {
        CU_ASSERT_EQUAL_FATAL(cano_queue_reserve(queue, PAGE, &pages[i], CANO_NOW), CANO_OK);
    }
    for (size_t i = first; i < PAGES; i += 2) {
        cano_queue_cancel(queue, pages[i]);
    }
}

static void gather(cano_queue *queue, void *pages[PAGES], size_t first)
{
    for (size_t i = first; i < PAGES; i += 2) {
        cano_queue_cancel(queue, pages[i]);
    }
}

static void check_take(cano_queue *queue, size_t size, uint64_t seed, uint32_t flags)
{
    cano_item item;
    CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &item, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(item.size, size);
    CU_ASSERT(has_pattern(item.data, size, seed));
    if (flags != 0) {
        CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
    } else {
        cano_queue_release(queue, &item);
    }
}

static void check_get_many(cano_queue *queue, size_t size, uint64_t seed)
{
    static unsigned char buffer[PAGE * PAGES];
    cano_item item;
    size_t got = 0;
    CU_ASSERT_EQUAL_FATAL(cano_queue_get_many(queue, &item, 1, &got, buffer, sizeof buffer, CANO_NOW), CANO_OK);
    CU_ASSERT(got == 1 && item.size == size && has_pattern(buffer, size, seed));
}

static void large_message_needs_enough_pages_not_a_row_of_them(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        const size_t size = PAGE * PAGES / 2;
        cano_queue *queue = make_paged(flags);
        void *pages[PAGES];
        static unsigned char buffer[PAGE * PAGES];
        for (size_t round = 0; round < 6; round++) {
            scatter(queue, pages, round % 2);
            CU_ASSERT_EQUAL(put_pattern(queue, size, round, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL(cano_queue_peek(queue, buffer, sizeof buffer, NULL, CANO_NOW), CANO_OK);
            CU_ASSERT(has_pattern(buffer, size, round));
            if (round % 3 == 0) {
                get_done(queue, size, round, flags);
            } else if (round % 3 == 1) {
                check_take(queue, size, round, flags);
            } else {
                check_get_many(queue, size, round);
                cano_queue_task_done(queue, NULL);
            }
            gather(queue, pages, 1 - round % 2);
            CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
        }
        cano_queue_close(queue);
    }
}

static void reservation_needs_one_piece(void)
{
    cano_queue *queue = make_paged(0);
    void *pages[PAGES];
    void *two = NULL;
    scatter(queue, pages, 0);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, PAGE + 1, &two, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, PAGE + 1, &two, 20000), CANO_ETIMEOUT);
    CU_ASSERT_PTR_NULL(two);
    cano_queue_cancel(queue, pages[1]);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 3 * PAGE, &two, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

/* Many tasks done in another order than they were put: the pages go round and round. */
static void pages_freed_in_any_order_come_together_again(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_items = 16, .max_bytes = 16 * 1000, .max_leases = 16));
    uint64_t random = 1;
    for (uint64_t round = 0; round < 500; round++) {
        cano_item items[16];
        for (size_t i = 0; i < 16; i++) {
            CU_ASSERT_EQUAL(put_pattern(queue, 200 + (size_t)(i * 50), i, CANO_NOW), CANO_OK);
        }
        for (size_t i = 0; i < 16; i++) {
            CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &items[i], CANO_NOW), CANO_OK);
            CU_ASSERT(has_pattern(items[i].data, 200 + i * 50, i));
        }
        for (size_t left = 16; left > 0; left--) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            const size_t k = (size_t)(random >> 33) % left;
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, &items[k]), CANO_OK);
            items[k] = items[left - 1];
        }
        CU_ASSERT_EQUAL(put_pattern(queue, 16000, round, CANO_NOW), CANO_OK);
        get_done(queue, 16000, round, CANO_JOINABLE);
    }
    CU_ASSERT_EQUAL(picture_of(queue).bytes, 0);
    cano_queue_close(queue);
}

static void free_a_page_later(void *context)
{
    void **queue_and_page = context;
    linger(120000);
    cano_queue_cancel(queue_and_page[0], queue_and_page[1]);
}

static void putter_sleeps_until_there_are_pages(void)
{
    cano_queue *queue = make_queue(OPTIONS(.max_items = 4, .max_bytes = 40000));
    void *context[2] = { queue, NULL };
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 40000, &context[1], CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(put_pattern(queue, 40000, 1, CANO_NOW), CANO_ETIMEOUT);
    suite_thread *thread = suite_thread_start(free_a_page_later, context);
    CU_ASSERT_EQUAL(put_pattern(queue, 40000, 1, PATIENCE), CANO_OK);
    suite_thread_end(thread);
    CU_ASSERT(get_pattern(queue, 40000, 1));
    cano_queue_close(queue);
}

/* ---- participants ---- */

static void participants_are_limited(void)
{
    const char *name = suite_name("few");
    cano_queue *handles[3];
    handles[0] = make_named(name, OPTIONS(.max_participants = 3));
    handles[1] = open_named(name);
    handles[2] = open_named(name);
    cano_queue *more = NULL;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cano_queue_open(&more, name, NULL), CANO_ELIMIT);
        CU_ASSERT_PTR_NULL(more);
        CU_ASSERT_EQUAL(cano_queue_create(&more, name, &OPTIONS(.flags = CANO_OPEN_EXISTING)), CANO_ELIMIT);
        cano_queue_close(handles[i]);
        handles[i] = open_named(name);
        CU_ASSERT_EQUAL(put_number(handles[i], 1, CANO_NOW), CANO_OK);
    }
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(get_number(handles[2 - i], CANO_NOW), 1);
        cano_queue_close(handles[2 - i]);
    }
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void slots_are_used_again_and_again(void)
{
    const char *name = suite_name("again");
    cano_queue *keeper = make_named(name, OPTIONS(.max_participants = 2));
    for (int i = 0; i < 3000; i++) {
        cano_queue *guest = open_named(name);
        CU_ASSERT_EQUAL(picture_of(keeper).participants, 2);
        cano_queue_close(guest);
    }
    cano_queue_close(keeper);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void many_participants_share_a_queue(void)
{
    const char *name = suite_name("many");
    cano_queue *handles[200];
    handles[0] = make_named(name, OPTIONS(.max_participants = 200));
    for (size_t i = 1; i < 200; i++) {
        handles[i] = open_named(name);
        CU_ASSERT_EQUAL(put_number(handles[i], i, CANO_NOW), CANO_OK);
    }
    for (size_t i = 1; i < 200; i++) {
        CU_ASSERT_EQUAL(get_number(handles[200 - i], CANO_NOW), i);
    }
    for (size_t i = 0; i < 200; i++) {
        cano_queue_close(handles[i]);
    }
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static const suite_test tests[] = {
    { "max_items_of_the_share_fit_at_every_offset", max_items_of_the_share_fit_at_every_offset },
    { "max_items_of_the_share_fit_behind_larger_ones", max_items_of_the_share_fit_behind_larger_ones },
    { "max_items_tasks_of_the_share_fit_at_every_offset", max_items_tasks_of_the_share_fit_at_every_offset },
    { "larger_message_leaves_the_others_their_room", larger_message_leaves_the_others_their_room },
    { "tasks_in_hand_take_no_room_from_those_to_come", tasks_in_hand_take_no_room_from_those_to_come },
    { "queue_of_one_message_passes_every_size", queue_of_one_message_passes_every_size },
    { "every_size_passes_every_shape", every_size_passes_every_shape },
    { "what_never_fits_is_refused_at_once", what_never_fits_is_refused_at_once },
    { "max_bytes_fits_again_and_again", max_bytes_fits_again_and_again },
    { "large_message_needs_enough_pages_not_a_row_of_them", large_message_needs_enough_pages_not_a_row_of_them },
    { "reservation_needs_one_piece", reservation_needs_one_piece },
    { "pages_freed_in_any_order_come_together_again", pages_freed_in_any_order_come_together_again },
    { "putter_sleeps_until_there_are_pages", putter_sleeps_until_there_are_pages },
    { "participants_are_limited", participants_are_limited },
    { "slots_are_used_again_and_again", slots_are_used_again_and_again },
    { "many_participants_share_a_queue", many_participants_share_a_queue },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: limits", tests, NULL);
}
