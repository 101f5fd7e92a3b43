/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message in, one message out: contents, order, sizes, time limits, and what is refused.
 */
#include "queues.h"

#include <stdint.h>

static const uint32_t scopes[] = { CANO_PROCESSES, CANO_THREADS };

/* ---- contents ---- */

static void pass_sizes(cano_queue *queue, const size_t *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(put_pattern(queue, sizes[i], i, CANO_NOW), CANO_OK);
    }
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(get_pattern(queue, sizes[i], i));
    }
}

/* Small ones, those around what lies in the ring, around pages of each size, around half a ring, and the largest. */
static void every_size_comes_out_as_it_went_in(void)
{
    static const size_t sizes[] = { 0,    1,    2,    7,    8,     9,     15,    16,    17,     191,    192,   193,
                                    239,  240,  241,  255,  256,   257,   511,   512,   513,    1015,   1016,  1017,
                                    1024, 4095, 4096, 4097, 10000, 65528, 65536, 65537, 131063, 131064, 131065 };
    for (size_t i = 0; i < 2; i++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scopes[i], .max_bytes = 1048576));
        pass_sizes(queue, sizes, sizeof sizes / sizeof sizes[0]);
        CU_ASSERT_EQUAL(put_pattern(queue, 1048575, 5, CANO_NOW), CANO_OK);
        CU_ASSERT(get_pattern(queue, 1048575, 5));
        CU_ASSERT_EQUAL(put_pattern(queue, 1048576, 6, CANO_NOW), CANO_OK);
        CU_ASSERT(get_pattern(queue, 1048576, 6));
        cano_queue_close(queue);
    }
}

static void every_size_comes_out_of_a_joinable_queue(void)
{
    static const size_t sizes[] = { 0, 1, 8, 191, 192, 193, 240, 241, 255, 256, 257, 512, 4096, 4097, 100000 };
    for (size_t i = 0; i < 2; i++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scopes[i], .flags = CANO_JOINABLE));
        pass_sizes(queue, sizes, sizeof sizes / sizeof sizes[0]);
        for (size_t done = 0; done < sizeof sizes / sizeof sizes[0]; done++) {
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
        }
        CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_OK);
        cano_queue_close(queue);
    }
}

static void empty_message_is_a_message_like_any_other(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    CU_ASSERT_EQUAL(cano_queue_put(queue, NULL, 0, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_put(queue, "x", 0, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(count_of(queue), 2);
    size_t size = 7;
    CU_ASSERT_EQUAL(cano_queue_get(queue, NULL, 0, &size, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(size, 0);
    CU_ASSERT_EQUAL(cano_queue_get(queue, NULL, 0, NULL, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, NULL, 0, NULL, CANO_NOW), CANO_ETIMEOUT);
    cano_queue_close(queue);
}

static void messages_come_in_the_order_they_went(void)
{
    for (size_t i = 0; i < 2; i++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scopes[i], .max_items = 50));
        uint64_t put = 0;
        uint64_t got = 0;
        while (got < 5000) {
            while (put_number(queue, put, CANO_NOW) == CANO_OK) {
                put++;
            }
            CU_ASSERT_EQUAL(put - got, 50);
            for (int k = 0; k < 37; k++) {
                CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), got++);
            }
        }
        cano_queue_close(queue);
    }
}

static void large_and_small_messages_keep_one_order(void)
{
    cano_queue *queue = make_queue(OPTIONS(.max_items = 64, .max_bytes = 1048576));
    for (uint64_t i = 0; i < 40; i++) {
        CU_ASSERT_EQUAL(put_pattern(queue, i % 2 != 0 ? 20000 : 10, i, CANO_NOW), CANO_OK);
    }
    for (uint64_t i = 0; i < 40; i++) {
        CU_ASSERT(get_pattern(queue, i % 2 != 0 ? 20000 : 10, i));
    }
    cano_queue_close(queue);
}

/* ---- room in the buffer ---- */

static void check_too_small(cano_queue *queue, size_t size)
{
    CU_ASSERT_EQUAL(put_pattern(queue, size, 3, CANO_NOW), CANO_OK);
    unsigned char *buffer = calloc(1, size);
    size_t told = 0;
    CU_ASSERT_EQUAL(cano_queue_get(queue, buffer, size - 1, &told, CANO_NOW), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(told, size);
    told = 0;
    CU_ASSERT_EQUAL(cano_queue_peek(queue, buffer, size - 1, &told, CANO_NOW), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(told, size);
    CU_ASSERT_EQUAL(cano_queue_get(queue, NULL, 0, NULL, CANO_FOREVER), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(buffer[0], 0);
    free(buffer);
    CU_ASSERT_EQUAL(count_of(queue), 1);
    CU_ASSERT(get_pattern(queue, size, 3));
}

static void buffer_too_small_tells_the_size_and_the_message_stays(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags));
        check_too_small(queue, 10);
        check_too_small(queue, 100000);
        cano_queue_close(queue);
    }
}

static void get_alloc_makes_room_for_any_size(void)
{
    static const size_t sizes[] = { 0, 1, 255, 256, 257, 5000, 524288 };
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags));
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            void *data = NULL;
            size_t size = 1;
            CU_ASSERT_EQUAL(put_pattern(queue, sizes[i], i, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL_FATAL(cano_queue_get_alloc(queue, &data, &size, CANO_NOW), CANO_OK);
            CU_ASSERT_PTR_NOT_NULL_FATAL(data);
            CU_ASSERT_EQUAL(size, sizes[i]);
            CU_ASSERT(has_pattern(data, size, i));
            cano_free(data);
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), flags != 0 ? CANO_OK : CANO_EKIND);
        }
        cano_queue_close(queue);
    }
    cano_free(NULL);
}

static void peek_copies_and_leaves_the_message(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        cano_queue *queue = make_queue(OPTIONS(.flags = flags));
        static unsigned char buffer[100000];
        const size_t sizes[] = { 30, 100000, 0 };
        for (size_t i = 0; i < 3; i++) {
            size_t size = 1;
            CU_ASSERT_EQUAL(put_pattern(queue, sizes[i], i, CANO_NOW), CANO_OK);
            for (int again = 0; again < 3; again++) {
                CU_ASSERT_EQUAL(cano_queue_peek(queue, buffer, sizeof buffer, &size, CANO_NOW), CANO_OK);
                CU_ASSERT_EQUAL(size, sizes[i]);
                CU_ASSERT(has_pattern(buffer, size, i));
                CU_ASSERT_EQUAL(count_of(queue), 1);
            }
            CU_ASSERT(get_pattern(queue, sizes[i], i));
        }
        CU_ASSERT_EQUAL(cano_queue_peek(queue, buffer, sizeof buffer, NULL, CANO_NOW), CANO_ETIMEOUT);
        cano_queue_close(queue);
    }
}

static void peek_sees_the_task_that_came_back_first(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    put_number(queue, 1, CANO_NOW);
    put_number(queue, 2, CANO_NOW);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK);
    uint64_t number = 0;
    CU_ASSERT_EQUAL(cano_queue_peek(queue, &number, sizeof number, NULL, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(number, 1);
    CU_ASSERT_EQUAL(unfinished_of(queue), 2);
    cano_queue_close(queue);
}

/* ---- time ---- */

typedef cano_status (*timed)(cano_queue *queue, cano_timeout timeout);

static cano_status call_put(cano_queue *queue, cano_timeout timeout)
{
    return put_number(queue, 1, timeout);
}

static cano_status call_put_many(cano_queue *queue, cano_timeout timeout)
{
    const cano_slice slices[2] = { { "a", 1 }, { "b", 1 } };
    return cano_queue_put_many(queue, slices, 2, timeout);
}

static cano_status call_reserve(cano_queue *queue, cano_timeout timeout)
{
    void *memory;
    return cano_queue_reserve(queue, 4096, &memory, timeout);
}

static cano_status call_get(cano_queue *queue, cano_timeout timeout)
{
    return status_of_get(queue, timeout);
}

static cano_status call_get_alloc(cano_queue *queue, cano_timeout timeout)
{
    void *data;
    size_t size;
    return cano_queue_get_alloc(queue, &data, &size, timeout);
}

static cano_status call_get_many(cano_queue *queue, cano_timeout timeout)
{
    cano_item items[2];
    size_t got;
    char buffer[64];
    return cano_queue_get_many(queue, items, 2, &got, buffer, sizeof buffer, timeout);
}

static cano_status call_peek(cano_queue *queue, cano_timeout timeout)
{
    uint64_t number;
    return cano_queue_peek(queue, &number, sizeof number, NULL, timeout);
}

static cano_status call_take(cano_queue *queue, cano_timeout timeout)
{
    cano_item item;
    return cano_queue_take(queue, &item, timeout);
}

static const timed calls_that_get[] = { call_get, call_get_alloc, call_get_many, call_peek, call_take, cano_queue_lock };
static const timed calls_that_put[] = { call_put, call_put_many, call_reserve };

static void check_time(timed call, cano_queue *queue, cano_timeout timeout)
{
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(call(queue, timeout), CANO_ETIMEOUT);
    const int64_t took = elapsed(start);
    CU_ASSERT(took >= timeout);
    CU_ASSERT(took < timeout + SUITE_PATIENCE / 4);
}

static void empty_queue_times_out_and_never_early(void)
{
    for (size_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scopes[scope]));
        for (size_t i = 0; i < 5; i++) { /* all but lock */
            check_time(calls_that_get[i], queue, CANO_NOW);
            check_time(calls_that_get[i], queue, 1);
            check_time(calls_that_get[i], queue, 25000);
        }
        check_time(call_get, queue, 200000); /* longer than any slice */
        cano_queue_close(queue);
    }
}

static void full_queue_times_out_and_never_early(void)
{
    for (size_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scopes[scope], .max_items = 2, .max_bytes = 8192));
        void *memory;
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 8192, &memory, CANO_NOW), CANO_OK); /* for call_reserve */
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(put_number(queue, 2, CANO_NOW), CANO_OK);
        for (size_t i = 0; i < 3; i++) {
            check_time(calls_that_put[i], queue, CANO_NOW);
            check_time(calls_that_put[i], queue, 1);
            check_time(calls_that_put[i], queue, 25000);
        }
        check_time(call_put, queue, 200000);
        for (int i = 0; i < 2000; i++) { /* a clock that is cut to microseconds may be one behind */
            check_time(call_reserve, queue, 1);
        }
        cano_queue_close(queue);
    }
}

static void negative_times_but_forever_are_refused(void)
{
    static const cano_timeout bad[] = { -2, -1000000, INT64_MIN };
    cano_queue *queue = make_queue(OPTIONS(0));
    put_number(queue, 1, CANO_NOW); /* so that nobody would have to wait */
    void *memory;
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 1, &memory, CANO_NOW), CANO_OK);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 6; k++) {
            CU_ASSERT_EQUAL(calls_that_get[k](queue, bad[i]), CANO_EINVAL);
        }
        for (size_t k = 0; k < 3; k++) {
            CU_ASSERT_EQUAL(calls_that_put[k](queue, bad[i]), CANO_EINVAL);
        }
        CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 1, bad[i]), CANO_EINVAL);
    }
    CU_ASSERT_EQUAL(count_of(queue), 1);
    cano_queue_close(queue);
}

static void endless_and_enormous_times_are_fine(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    const cano_timeout times[] = { CANO_FOREVER, INT64_MAX, INT64_MAX - 1, INT64_MAX / 2 };
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(put_number(queue, i, times[i]), CANO_OK);
        CU_ASSERT_EQUAL(get_number(queue, times[i]), i);
    }
    cano_queue_close(queue);
}

typedef struct later {
    cano_queue *queue;
    uint64_t number;
} later;

static void put_later(void *context)
{
    const later *l = context;
    linger(120000); /* longer than a slice, so that the other surely sleeps */
    put_number(l->queue, l->number, CANO_NOW);
}

static void get_later(void *context)
{
    later *l = context;
    linger(120000);
    l->number = get_number(l->queue, CANO_NOW);
}

static void sleeping_getter_wakes_for_a_message(void)
{
    for (size_t scope = 0; scope < 2; scope++) {
        later l = { make_queue(OPTIONS(.scope = scopes[scope])), 77 };
        suite_thread *thread = suite_thread_start(put_later, &l);
        CU_ASSERT_EQUAL(get_number(l.queue, PATIENCE), 77);
        suite_thread_end(thread);
        cano_queue_close(l.queue);
    }
}

static void sleeping_putter_wakes_for_room(void)
{
    for (size_t scope = 0; scope < 2; scope++) {
        later l = { make_queue(OPTIONS(.scope = scopes[scope], .max_items = 1)), 0 };
        put_number(l.queue, 5, CANO_NOW);
        suite_thread *thread = suite_thread_start(get_later, &l);
        CU_ASSERT_EQUAL(put_number(l.queue, 6, PATIENCE), CANO_OK);
        suite_thread_end(thread);
        CU_ASSERT_EQUAL(l.number, 5);
        CU_ASSERT_EQUAL(get_number(l.queue, CANO_NOW), 6);
        cano_queue_close(l.queue);
    }
}

/* ---- sizes ---- */

static void check_sizes(cano_queue *queue, size_t count, size_t limit)
{
    bool empty = count != 0;
    bool full = count != limit;
    CU_ASSERT_EQUAL(count_of(queue), count);
    CU_ASSERT_EQUAL(cano_queue_empty(queue, &empty), CANO_OK);
    CU_ASSERT_EQUAL(empty, count == 0);
    CU_ASSERT_EQUAL(cano_queue_full(queue, &full), CANO_OK);
    CU_ASSERT_EQUAL(full, count == limit);
}

static void sizes_are_exact_all_the_way_up_and_down(void)
{
    for (size_t scope = 0; scope < 2; scope++) {
        for (size_t limit = 1; limit <= 10; limit++) {
            cano_queue *queue = make_queue(OPTIONS(.scope = scopes[scope], .max_items = limit));
            for (size_t count = 0; count < limit; count++) {
                check_sizes(queue, count, limit);
                CU_ASSERT_EQUAL(put_number(queue, count, CANO_NOW), CANO_OK);
            }
            check_sizes(queue, limit, limit);
            CU_ASSERT_EQUAL(put_number(queue, 99, CANO_NOW), CANO_ETIMEOUT);
            for (size_t count = limit; count > 0; count--) {
                check_sizes(queue, count, limit);
                CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), limit - count);
            }
            check_sizes(queue, 0, limit);
            cano_queue_close(queue);
        }
    }
}

static void sizes_are_the_same_through_every_handle(void)
{
    const char *name = suite_name("sizes");
    cano_queue *one = make_named(name, OPTIONS(.max_items = 3));
    cano_queue *other = open_named(name);
    for (size_t count = 0; count <= 3; count++) {
        check_sizes(one, count, 3);
        check_sizes(other, count, 3);
        put_number(count % 2 != 0 ? one : other, count, CANO_NOW);
    }
    CU_ASSERT_EQUAL(get_number(one, CANO_NOW), 0);
    CU_ASSERT_EQUAL(get_number(other, CANO_NOW), 1);
    check_sizes(one, 1, 3);
    cano_queue_close(one);
    check_sizes(other, 1, 3);
    cano_queue_close(other);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void picture_tells_what_happened(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_END_WHEN_NO_PUTTER, .max_items = 10));
    cano_queue_info info = picture_of(queue);
    CU_ASSERT_EQUAL(info.size, sizeof info);
    CU_ASSERT_EQUAL(info.items, 0);
    CU_ASSERT_EQUAL(info.bytes, 0);
    CU_ASSERT_EQUAL(info.put, 0);
    CU_ASSERT_EQUAL(info.got, 0);
    CU_ASSERT_EQUAL(info.participants, 1);
    CU_ASSERT_EQUAL(info.flags, CANO_END_WHEN_NO_PUTTER);
    for (uint64_t i = 0; i < 5; i++) {
        put_number(queue, i, CANO_NOW);
    }
    get_number(queue, CANO_NOW);
    get_number(queue, CANO_NOW);
    info = picture_of(queue);
    CU_ASSERT_EQUAL(info.items, 3);
    CU_ASSERT(info.bytes >= 3 * sizeof(uint64_t));
    CU_ASSERT_EQUAL(info.put, 5);
    CU_ASSERT_EQUAL(info.got, 2);
    CU_ASSERT(info.unfinished == 0 && info.leased == 0 && info.delayed == 0 && info.dead == 0 && info.done == 0);
    put_pattern(queue, 400000, 1, CANO_NOW);
    CU_ASSERT(picture_of(queue).bytes >= 400000);
    cano_queue_close(queue);
}

static void picture_counts_handles(void)
{
    const char *name = suite_name("picture");
    cano_queue *first = make_named(name, OPTIONS(0));
    cano_queue *others[5];
    for (uint32_t i = 0; i < 5; i++) {
        others[i] = open_named(name);
        CU_ASSERT_EQUAL(picture_of(first).participants, i + 2);
    }
    for (uint32_t i = 5; i-- > 0;) {
        cano_queue_close(others[i]);
        CU_ASSERT_EQUAL(picture_of(first).participants, i + 1);
    }
    cano_queue_close(first);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void picture_of_a_later_version_keeps_its_tail(void)
{
    struct {
        cano_queue_info info;
        uint64_t tail[2];
    } later_version = { .info = { .size = sizeof later_version }, .tail = { 7, 8 } };
    cano_queue *queue = make_queue(OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_stat(queue, &later_version.info), CANO_OK);
    CU_ASSERT_EQUAL(later_version.info.items, 1);
    CU_ASSERT_EQUAL(later_version.info.size, sizeof later_version);
    CU_ASSERT(later_version.tail[0] == 7 && later_version.tail[1] == 8);
    cano_queue_info small = { .size = sizeof small - 1 };
    CU_ASSERT_EQUAL(cano_queue_stat(queue, &small), CANO_EINVAL);
    small.size = 0;
    CU_ASSERT_EQUAL(cano_queue_stat(queue, &small), CANO_EINVAL);
    cano_queue_close(queue);
}

/* ---- what is refused ---- */

static void null_queue_is_refused_everywhere(void)
{
    for (size_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(calls_that_get[i](NULL, CANO_NOW), CANO_EINVAL);
    }
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(calls_that_put[i](NULL, CANO_NOW), CANO_EINVAL);
    }
    size_t count;
    bool flag;
    char byte;
    cano_native native;
    cano_queue_info info = { .size = sizeof info };
    CU_ASSERT_EQUAL(cano_queue_qsize(NULL, &count), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_empty(NULL, &flag), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_full(NULL, &flag), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_unlock(NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_shutdown(NULL, false), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_stat(NULL, &info), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_native(NULL, &native), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_commit(NULL, &byte, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_unlink(NULL), CANO_EINVAL);
    cano_item item = { &byte, 1, 0, 0, 0 };
    cano_queue_cancel(NULL, &byte);
    cano_queue_release(NULL, &item);
    cano_queue_close(NULL);
}

static void null_queue_is_refused_by_the_joinable_calls(void)
{
    size_t count;
    cano_item item = { 0 };
    CU_ASSERT_EQUAL(cano_queue_task_done(NULL, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_join(NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_unfinished(NULL, &count), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_give_back(NULL, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_dead_get(NULL, &item, CANO_NOW), CANO_EINVAL);
}

static void null_results_and_data_are_refused(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    const cano_slice nothing = { NULL, 3 };
    cano_item items[1];
    size_t size;
    char byte;
    void *data;
    put_number(queue, 1, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_put(queue, NULL, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, NULL, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, &nothing, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get(queue, NULL, 1, &size, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_peek(queue, NULL, 1, &size, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, NULL, &size, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, &data, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, NULL, 1, &size, &byte, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 0, &size, &byte, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 1, NULL, &byte, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 1, &size, NULL, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_take(queue, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 1, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_commit(queue, NULL, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_qsize(queue, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_empty(queue, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_full(queue, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_stat(queue, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_native(queue, NULL), CANO_EINVAL);
    cano_queue_cancel(queue, NULL);
    cano_queue_release(queue, NULL);
    CU_ASSERT_EQUAL(count_of(queue), 1);
    cano_queue_close(queue);
}

static void null_results_are_refused_by_the_joinable_calls(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    CU_ASSERT_EQUAL(cano_queue_unfinished(queue, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_dead_get(queue, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_join(queue, -2), CANO_EINVAL);
    cano_item item = { 0 };
    CU_ASSERT_EQUAL(cano_queue_dead_get(queue, &item, -2), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_FOREVER), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, -5), CANO_EINVAL);
    cano_queue_close(queue);
}

static void plain_queue_refuses_the_joinable_calls(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    size_t count = 5;
    cano_item item = { 0 };
    put_number(queue, 1, CANO_NOW);
    get_number(queue, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_queue_unfinished(queue, &count), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_queue_dead_get(queue, &item, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(count, 5);
    cano_queue_close(queue);
}

static void results_are_untouched_by_failure(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    char buffer[8] = "before";
    size_t size = 4711;
    size_t got = 4712;
    void *data = buffer;
    cano_item item = { buffer, 1, 2, 3, 4 };
    const cano_item before = item;
    CU_ASSERT_EQUAL(cano_queue_get(queue, buffer, sizeof buffer, &size, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_peek(queue, buffer, sizeof buffer, &size, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, &data, &size, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, &item, 1, &got, buffer, sizeof buffer, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_take(queue, &item, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, SIZE_MAX, &data, CANO_NOW), CANO_ETOOBIG);
    CU_ASSERT_STRING_EQUAL(buffer, "before");
    CU_ASSERT(size == 4711 && got == 4712 && data == buffer);
    CU_ASSERT(item.data == before.data && item.size == 1 && item.task == 2 && item.deliveries == 3 && item.reserved == 4);
    cano_queue_close(queue);
    cano_queue *none = (cano_queue *)(void *)buffer;
    CU_ASSERT_EQUAL(cano_queue_open(&none, suite_name("nothing"), NULL), CANO_ENOENT);
    CU_ASSERT_PTR_EQUAL(none, buffer);
}

/* ---- options ---- */

static cano_status try_options(cano_queue_options options)
{
    cano_queue *queue = NULL;
    const cano_status status = cano_queue_create(&queue, NULL, &options);
    CU_ASSERT((status == CANO_OK) == (queue != NULL));
    cano_queue_close(queue);
    return status;
}

static void impossible_options_are_refused(void)
{
    const cano_queue_options bad[] = {
        OPTIONS(.scope = 2),
        OPTIONS(.flags = 32),
        OPTIONS(.flags = UINT32_C(1) << 31),
        OPTIONS(.role = 4),
        OPTIONS(.access = 3),
        OPTIONS(.reserved = 1),
        OPTIONS(.max_items = 8388608),
        OPTIONS(.max_items = UINT64_MAX),
        OPTIONS(.max_bytes = UINT64_MAX),
        OPTIONS(.max_bytes = (UINT64_C(1) << 44) + 1),
        OPTIONS(.max_participants = 1024),
        OPTIONS(.max_participants = UINT32_MAX),
        OPTIONS(.flags = CANO_JOINABLE, .max_leases = 1048577),
        OPTIONS(.max_leases = 1),     /* of a plain queue */
        OPTIONS(.max_deliveries = 1), /* likewise */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_EQUAL(try_options(bad[i]), CANO_EINVAL);
    }
    CU_ASSERT_EQUAL(cano_queue_create(NULL, NULL, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_open(NULL, "x", NULL), CANO_EINVAL);
}

static void extreme_options_are_accepted(void)
{
    const cano_queue_options good[] = {
        OPTIONS(.max_items = 1, .max_bytes = 1, .max_participants = 1),
        OPTIONS(.flags = CANO_JOINABLE, .max_items = 1, .max_bytes = 1, .max_participants = 1, .max_leases = 1),
        OPTIONS(.max_items = 100000, .max_bytes = 1),
        OPTIONS(.max_participants = 1023),
        OPTIONS(.flags = CANO_JOINABLE, .max_leases = 65536, .max_deliveries = UINT32_MAX),
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CU_ASSERT_EQUAL(try_options(good[i]), CANO_OK);
    }
}

static void size_of_the_options_says_how_much_is_known(void)
{
    CU_ASSERT_EQUAL(try_options((cano_queue_options){ .size = 0 }), CANO_EINVAL);
    CU_ASSERT_EQUAL(try_options((cano_queue_options){ .size = sizeof(cano_queue_options) - 1 }), CANO_EINVAL);
    CU_ASSERT_EQUAL(try_options((cano_queue_options){ .size = SIZE_MAX }), CANO_EINVAL);
    struct {
        cano_queue_options options;
        uint64_t tail[4];
    } later_version = { .options = { .size = sizeof later_version } };
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL(cano_queue_create(&queue, NULL, &later_version.options), CANO_OK);
    cano_queue_close(queue);
    later_version.tail[3] = UINT64_C(1) << 63;
    CU_ASSERT_EQUAL(cano_queue_create(&queue, NULL, &later_version.options), CANO_ENOTSUP);
    CU_ASSERT_EQUAL(cano_queue_open(&queue, "x", &later_version.options), CANO_ENOTSUP);
}

static void defaults_are_those_of_the_header(void)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, NULL), CANO_OK);
    size_t count = 0;
    while (put_number(queue, count, CANO_NOW) == CANO_OK) {
        count++;
    }
    CU_ASSERT_EQUAL(count, 1024);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, NULL), CANO_OK);
    CU_ASSERT_EQUAL(put_pattern(queue, 524289, 0, CANO_NOW), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(put_pattern(queue, 524288, 0, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
}

static const suite_test tests[] = {
    { "every_size_comes_out_as_it_went_in", every_size_comes_out_as_it_went_in },
    { "every_size_comes_out_of_a_joinable_queue", every_size_comes_out_of_a_joinable_queue },
    { "empty_message_is_a_message_like_any_other", empty_message_is_a_message_like_any_other },
    { "messages_come_in_the_order_they_went", messages_come_in_the_order_they_went },
    { "large_and_small_messages_keep_one_order", large_and_small_messages_keep_one_order },
    { "buffer_too_small_tells_the_size_and_the_message_stays", buffer_too_small_tells_the_size_and_the_message_stays },
    { "get_alloc_makes_room_for_any_size", get_alloc_makes_room_for_any_size },
    { "peek_copies_and_leaves_the_message", peek_copies_and_leaves_the_message },
    { "peek_sees_the_task_that_came_back_first", peek_sees_the_task_that_came_back_first },
    { "empty_queue_times_out_and_never_early", empty_queue_times_out_and_never_early },
    { "full_queue_times_out_and_never_early", full_queue_times_out_and_never_early },
    { "negative_times_but_forever_are_refused", negative_times_but_forever_are_refused },
    { "endless_and_enormous_times_are_fine", endless_and_enormous_times_are_fine },
    { "sleeping_getter_wakes_for_a_message", sleeping_getter_wakes_for_a_message },
    { "sleeping_putter_wakes_for_room", sleeping_putter_wakes_for_room },
    { "sizes_are_exact_all_the_way_up_and_down", sizes_are_exact_all_the_way_up_and_down },
    { "sizes_are_the_same_through_every_handle", sizes_are_the_same_through_every_handle },
    { "picture_tells_what_happened", picture_tells_what_happened },
    { "picture_counts_handles", picture_counts_handles },
    { "picture_of_a_later_version_keeps_its_tail", picture_of_a_later_version_keeps_its_tail },
    { "null_queue_is_refused_everywhere", null_queue_is_refused_everywhere },
    { "null_queue_is_refused_by_the_joinable_calls", null_queue_is_refused_by_the_joinable_calls },
    { "null_results_and_data_are_refused", null_results_and_data_are_refused },
    { "null_results_are_refused_by_the_joinable_calls", null_results_are_refused_by_the_joinable_calls },
    { "plain_queue_refuses_the_joinable_calls", plain_queue_refuses_the_joinable_calls },
    { "results_are_untouched_by_failure", results_are_untouched_by_failure },
    { "impossible_options_are_refused", impossible_options_are_refused },
    { "extreme_options_are_accepted", extreme_options_are_accepted },
    { "size_of_the_options_says_how_much_is_known", size_of_the_options_says_how_much_is_known },
    { "defaults_are_those_of_the_header", defaults_are_those_of_the_header },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: basic", tests, NULL);
}
