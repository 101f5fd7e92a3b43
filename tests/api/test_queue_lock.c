/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock: several operations as one step, for threads, handles and processes.
 */
#include "queues.h"

#include <stdatomic.h>
#include <stdint.h>

#define AT_ONCE 1000000 /* microseconds: generous for what waits for nothing, far below what was asked */

static void lock(cano_queue *queue)
{
    CU_ASSERT_EQUAL_FATAL(cano_queue_lock(queue, PATIENCE), CANO_OK);
}

static void unlock(cano_queue *queue)
{
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_OK);
}

/* ---- for who holds it ---- */

static void holder_does_everything_inside(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE, .max_items = 8));
        lock(queue);
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_FOREVER), CANO_OK);
        CU_ASSERT_EQUAL(put_pattern(queue, 100000, 2, CANO_FOREVER), CANO_OK);
        const cano_slice slices[2] = { { "a", 1 }, { "b", 1 } };
        CU_ASSERT_EQUAL(cano_queue_put_many(queue, slices, 2, CANO_FOREVER), CANO_OK);
        void *memory;
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 100, &memory, CANO_FOREVER), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 1, CANO_FOREVER), CANO_OK);
        CU_ASSERT_EQUAL(count_of(queue), 5);
        CU_ASSERT_EQUAL(get_number(queue, CANO_FOREVER), 1);
        CU_ASSERT(get_pattern(queue, 100000, 2));
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, CANO_NOW), CANO_OK);
        cano_item items[8];
        char room[64];
        size_t got = 0;
        CU_ASSERT_EQUAL(cano_queue_get_many(queue, items, 8, &got, room, sizeof room, CANO_FOREVER), CANO_OK);
        CU_ASSERT_EQUAL(got, 4);
        CU_ASSERT_EQUAL(picture_of(queue).leased, 5);
        for (int i = 0; i < 5; i++) {
            CU_ASSERT_EQUAL(cano_queue_task_done(queue, NULL), CANO_OK);
        }
        CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_FOREVER), CANO_OK);
        unlock(queue);
        cano_queue_close(queue);
    }
}

static void lock_nests(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_ENOTHELD);
    for (int depth = 0; depth < 5; depth++) {
        CU_ASSERT_EQUAL(cano_queue_lock(queue, depth % 2 == 0 ? CANO_NOW : CANO_FOREVER), CANO_OK);
    }
    for (int depth = 0; depth < 5; depth++) {
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
        unlock(queue);
    }
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(count_of(queue), 5);
    cano_queue_close(queue);
}

static void nothing_waits_inside(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        cano_queue *queue = make_queue(OPTIONS(.scope = scope, .flags = CANO_JOINABLE, .max_items = 1, .max_bytes = 5000));
        uint64_t number;
        cano_item item;
        size_t size;
        void *memory;
        const int64_t start = suite_now();
        lock(queue);
        CU_ASSERT_EQUAL(status_of_get(queue, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_peek(queue, &number, sizeof number, NULL, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_take(queue, &item, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, &memory, &size, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_get_many(queue, &item, 1, &size, &number, sizeof number, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_dead_get(queue, &item, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_FOREVER), CANO_OK);
        CU_ASSERT_EQUAL(put_number(queue, 2, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_FOREVER), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 5000, &memory, CANO_FOREVER), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_commit(queue, memory, 5000, CANO_FOREVER), CANO_ETIMEOUT);
        void *more;
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 5000, &more, CANO_FOREVER), CANO_OK); /* room for one lease */
        while (cano_queue_reserve(queue, 1, &more, CANO_FOREVER) == CANO_OK) {
        }
        CU_ASSERT_EQUAL(cano_queue_reserve(queue, 1, &more, CANO_FOREVER), CANO_ETIMEOUT);
        unlock(queue);
        CU_ASSERT(elapsed(start) < AT_ONCE);
        cano_queue_close(queue);
    }
}

static void locks_of_two_queues_are_two(void)
{
    cano_queue *one = make_queue(OPTIONS(0));
    cano_queue *other = make_queue(OPTIONS(0));
    lock(one);
    lock(other);
    unlock(one);
    CU_ASSERT_EQUAL(cano_queue_unlock(one), CANO_ENOTHELD);
    CU_ASSERT_EQUAL(put_number(other, 1, CANO_NOW), CANO_OK);
    unlock(other);
    cano_queue_close(one);
    cano_queue_close(other);
}

/* ---- for the others ---- */

typedef struct outsider {
    cano_queue *queue;
    cano_status get, put, lock, unlock, peek;
    int64_t took;
} outsider;

static void try_everything(void *context)
{
    outsider *o = context;
    uint64_t number;
    const int64_t start = suite_now();
    o->get = status_of_get(o->queue, 20000);
    o->took = elapsed(start);
    o->put = put_number(o->queue, 9, 20000);
    o->peek = cano_queue_peek(o->queue, &number, sizeof number, NULL, 20000);
    o->lock = cano_queue_lock(o->queue, CANO_NOW);
    o->unlock = cano_queue_unlock(o->queue);
}

static void check_kept_out(const outsider *o)
{
    CU_ASSERT_EQUAL(o->get, CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(o->put, CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(o->peek, CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(o->lock, CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(o->unlock, CANO_ENOTHELD);
    CU_ASSERT(o->took >= 20000);
}

static void other_threads_are_kept_out(void)
{
    for (uint32_t scope = 0; scope < 2; scope++) {
        outsider o = { .queue = make_queue(OPTIONS(.scope = scope)) };
        put_number(o.queue, 1, CANO_NOW);
        lock(o.queue);
        suite_thread_end(suite_thread_start(try_everything, &o));
        check_kept_out(&o);
        CU_ASSERT_EQUAL(count_of(o.queue), 1);
        unlock(o.queue);
        suite_thread_end(suite_thread_start(try_everything, &o));
        CU_ASSERT_EQUAL(o.get, CANO_OK);
        CU_ASSERT_EQUAL(o.put, CANO_OK);
        CU_ASSERT_EQUAL(o.lock, CANO_OK);
        CU_ASSERT_EQUAL(o.unlock, CANO_OK);
        cano_queue_close(o.queue);
    }
}

static void other_handles_are_kept_out(void)
{
    const char *name = suite_name("lock");
    cano_queue *queue = make_named(name, OPTIONS(0));
    outsider o = { .queue = open_named(name) };
    put_number(queue, 1, CANO_NOW);
    lock(queue);
    try_everything(&o); /* the same thread, another participant */
    check_kept_out(&o);
    unlock(queue);
    CU_ASSERT_EQUAL(get_number(o.queue, CANO_NOW), 1);
    cano_queue_close(o.queue);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static int run_outsider(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    outsider o = { .queue = s.queue };
    try_everything(&o);
    DEMAND(o.get == CANO_ETIMEOUT && o.put == CANO_ETIMEOUT && o.lock == CANO_ETIMEOUT && o.unlock == CANO_ENOTHELD);
    tell(&s, 1);
    DEMAND(get_number(s.queue, PATIENCE) == 4711);
    leave(&s);
    return 0;
}

static void other_processes_are_kept_out_until_unlock(void)
{
    stage s = stage_of(OPTIONS(0));
    put_number(s.queue, 4711, CANO_NOW);
    lock(s.queue);
    suite_child *child = start_on(&s, "outsider", NULL);
    hear(&s, 1);
    unlock(s.queue);
    end_well(child);
    CU_ASSERT_EQUAL(count_of(s.queue), 0);
    strike(&s);
}

static void sizes_can_be_asked_by_others(void)
{
    const char *name = suite_name("lock");
    cano_queue *queue = make_named(name, OPTIONS(.flags = CANO_JOINABLE));
    cano_queue *other = open_named(name);
    lock(queue);
    put_number(queue, 1, CANO_NOW);
    CU_ASSERT_EQUAL(count_of(other), 1);
    CU_ASSERT_EQUAL(unfinished_of(other), 1);
    CU_ASSERT_EQUAL(picture_of(other).put, 1);
    unlock(queue);
    cano_queue_close(other);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void close_gives_the_lock_back(void)
{
    const char *name = suite_name("lock");
    cano_queue *queue = make_named(name, OPTIONS(0));
    for (int i = 0; i < 5; i++) {
        cano_queue *other = open_named(name);
        lock(other);
        lock(other);
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_ETIMEOUT);
        cano_queue_close(other);
        CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
        lock(queue);
        unlock(queue);
    }
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

typedef struct sleeper {
    cano_queue *queue;
    _Atomic uint64_t number;
} sleeper;

static void sleep_in_get(void *context)
{
    sleeper *s = context;
    s->number = get_number(s->queue, PATIENCE);
}

static void sleep_in_put(void *context)
{
    sleeper *s = context;
    s->number = put_number(s->queue, 2, PATIENCE) == CANO_OK ? 2 : 0;
}

static void sleep_in_lock(void *context)
{
    sleeper *s = context;
    if (cano_queue_lock(s->queue, PATIENCE) == CANO_OK) {
        s->number = 3;
        cano_queue_unlock(s->queue);
    }
}

static void sleepers_go_on_after_unlock(void)
{
    static void (*const ways[])(void *) = { sleep_in_get, sleep_in_put, sleep_in_lock };
    for (size_t i = 0; i < 3; i++) {
        sleeper s = { .queue = make_queue(OPTIONS(.max_items = 1)) };
        if (i == 1) {
            put_number(s.queue, 1, CANO_NOW);
        } else if (i == 2) {
            lock(s.queue);
        }
        suite_thread *thread = suite_thread_start(ways[i], &s);
        linger(50000);
        lock(s.queue);
        if (i == 0) {
            put_number(s.queue, 1, CANO_NOW);
        } else if (i == 1) {
            CU_ASSERT_EQUAL(get_number(s.queue, CANO_NOW), 1);
        } else {
            unlock(s.queue);
        }
        linger(50000);
        CU_ASSERT_EQUAL(s.number, 0); /* still kept out */
        unlock(s.queue);
        suite_thread_end(thread);
        CU_ASSERT_EQUAL(s.number, i + 1);
        cano_queue_close(s.queue);
    }
}

/* An internal lock is waited for, but not long: 1 ms, and what it takes to get a processor back. */
static void who_may_not_wait_is_kept_out_at_once(void)
{
    const char *name = suite_name("lock");
    cano_queue *queue = make_named(name, OPTIONS(0));
    cano_queue *other = open_named(name);
    int64_t fastest = INT64_MAX;
    lock(queue);
    for (int i = 0; i < 20; i++) {
        const int64_t start = suite_now();
        CU_ASSERT_EQUAL(put_number(other, 1, CANO_NOW), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(status_of_get(other, CANO_NOW), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(cano_queue_lock(other, CANO_NOW), CANO_ETIMEOUT);
        fastest = elapsed(start) < fastest ? elapsed(start) : fastest;
    }
    CU_ASSERT(fastest < 3 * 20000); /* 20 times what is meant */
    unlock(queue);
    cano_queue_close(other);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

/* ---- one step for everybody ---- */

#define STEPS 300

/* Two equal numbers are queued: whoever mixes two steps finds two that differ. */
static bool step(cano_queue *queue)
{
    if (cano_queue_lock(queue, PATIENCE) != CANO_OK) {
        return false;
    }
    const uint64_t one = get_number(queue, CANO_NOW);
    const uint64_t other = get_number(queue, CANO_NOW);
    const bool good = one == other && one != UINT64_MAX && put_number(queue, one + 1, CANO_NOW) == CANO_OK &&
                      put_number(queue, other + 1, CANO_NOW) == CANO_OK;
    return cano_queue_unlock(queue) == CANO_OK && good;
}

static int run_steps(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    for (int i = 0; i < STEPS; i++) {
        DEMAND(step(s.queue));
    }
    leave(&s);
    return 0;
}

typedef struct walker {
    cano_queue *queue;
    int good;
} walker;

static void take_steps(void *context)
{
    walker *w = context;
    for (int i = 0; i < STEPS; i++) {
        w->good += step(w->queue);
    }
}

static void steps_of_processes_and_threads_never_mix(void)
{
    stage s = stage_of(OPTIONS(.max_items = 2));
    put_number(s.queue, 0, CANO_NOW);
    put_number(s.queue, 0, CANO_NOW);
    suite_child *children[2] = { start_on(&s, "steps", NULL), start_on(&s, "steps", NULL) };
    walker walkers[2] = { { s.queue, 0 }, { s.queue, 0 } };
    suite_thread *threads[2] = { suite_thread_start(take_steps, &walkers[0]), suite_thread_start(take_steps, &walkers[1]) };
    for (int i = 0; i < 2; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_EQUAL(walkers[i].good, STEPS);
        end_well(children[i]);
    }
    CU_ASSERT_EQUAL(get_number(s.queue, CANO_NOW), 4 * STEPS);
    CU_ASSERT_EQUAL(get_number(s.queue, CANO_NOW), 4 * STEPS);
    strike(&s);
}

#define BLOWS 100000

/* Everything that takes one lock, or both, by turns; false: it went wrong. */
static bool strike_once(cano_queue *queue, int i)
{
    cano_status status = CANO_ETIMEOUT;
    if (i % 3 == 0) {
        status = cano_queue_lock(queue, 2000);
        if (status == CANO_OK) {
            status = cano_queue_unlock(queue);
        }
    } else if (i % 3 == 1) {
        status = put_number(queue, 1, CANO_NOW);
    } else {
        status = status_of_get(queue, CANO_NOW);
    }
    return status == CANO_OK || status == CANO_ETIMEOUT;
}

static void take_blows(void *context)
{
    walker *w = context;
    for (int i = 0; i < BLOWS; i++) {
        w->good += strike_once(w->queue, i);
    }
}

static int run_blows(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    for (int i = 0; i < BLOWS; i++) {
        DEMAND(strike_once(s.queue, i));
    }
    leave(&s);
    return 0;
}

/* A thread that holds one of the two locks, or has just left and comes again, is not taken for a lie about its process. */
static void busy_threads_take_nothing_for_damage(void)
{
    stage s = stage_of(OPTIONS(.max_items = 10));
    suite_child *children[2] = { start_on(&s, "blows", NULL), start_on(&s, "blows", NULL) };
    walker walkers[4];
    suite_thread *threads[4];
    for (int i = 0; i < 4; i++) {
        walkers[i] = (walker){ s.queue, 0 };
        threads[i] = suite_thread_start(take_blows, &walkers[i]);
    }
    for (int i = 0; i < 4; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_EQUAL(walkers[i].good, BLOWS);
    }
    end_well(children[0]);
    end_well(children[1]);
    strike(&s);
}

static int run_hammer(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    while (put_number(s.queue, 1, PATIENCE) == CANO_OK) {
        status_of_get(s.queue, CANO_NOW);
    }
    leave(&s);
    return 0;
}

static void lock_is_had_beside_busy_putters_and_getters(void)
{
    stage s = stage_of(OPTIONS(.max_items = 1000));
    suite_child *children[2] = { start_on(&s, "hammer", NULL), start_on(&s, "hammer", NULL) };
    for (int i = 0; i < 200; i++) {
        lock(s.queue);
        const size_t count = count_of(s.queue);
        CU_ASSERT_EQUAL(count_of(s.queue), count); /* nobody puts or gets */
        unlock(s.queue);
    }
    CU_ASSERT_EQUAL(cano_queue_shutdown(s.queue, false), CANO_OK);
    for (int i = 0; i < 2; i++) {
        end_well(children[i]);
    }
    strike(&s);
}

static const suite_test tests[] = {
    { "holder_does_everything_inside", holder_does_everything_inside },
    { "lock_nests", lock_nests },
    { "nothing_waits_inside", nothing_waits_inside },
    { "locks_of_two_queues_are_two", locks_of_two_queues_are_two },
    { "other_threads_are_kept_out", other_threads_are_kept_out },
    { "other_handles_are_kept_out", other_handles_are_kept_out },
    { "who_may_not_wait_is_kept_out_at_once", who_may_not_wait_is_kept_out_at_once },
    { "other_processes_are_kept_out_until_unlock", other_processes_are_kept_out_until_unlock },
    { "sizes_can_be_asked_by_others", sizes_can_be_asked_by_others },
    { "close_gives_the_lock_back", close_gives_the_lock_back },
    { "sleepers_go_on_after_unlock", sleepers_go_on_after_unlock },
    { "steps_of_processes_and_threads_never_mix", steps_of_processes_and_threads_never_mix },
    { "busy_threads_take_nothing_for_damage", busy_threads_take_nothing_for_damage },
    { "lock_is_had_beside_busy_putters_and_getters", lock_is_had_beside_busy_putters_and_getters },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "outsider", run_outsider }, { "steps", run_steps }, { "blows", run_blows }, { "hammer", run_hammer }, { NULL, NULL }
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: lock", tests, roles);
}
