/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a participant declares: who may put, who may get, and when the last putter has left.
 */
#include "queues.h"

#include <stdatomic.h>
#include <stdint.h>

#define SOON 2000000 /* microseconds: whoever sleeps is woken, not left to a time limit */

static cano_queue *open_as(const char *name, uint32_t role)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_open(&queue, name, &OPTIONS(.role = role)), CANO_OK);
    return queue;
}

static void unlink_name(const char *name)
{
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

/* ---- what a role allows ---- */

static void putter_may_not_get(void)
{
    cano_queue *queue = make_queue(OPTIONS(.role = CANO_PUTTER, .flags = CANO_JOINABLE));
    uint64_t number;
    cano_item item;
    size_t size;
    void *data;
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, &data, &size, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_get_many(queue, &item, 1, &size, &number, sizeof number, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_peek(queue, &number, sizeof number, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_take(queue, &item, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(count_of(queue), 1);
    CU_ASSERT_EQUAL(unfinished_of(queue), 1);
    CU_ASSERT_EQUAL(cano_queue_join(queue, CANO_NOW), CANO_ETIMEOUT); /* who puts may join */
    cano_queue_close(queue);
}

static void getter_may_not_put(void)
{
    const char *name = suite_name("roles");
    cano_queue *queue = make_named(name, OPTIONS(.role = CANO_GETTER));
    cano_queue *both = open_as(name, CANO_PUTTER | CANO_GETTER);
    const cano_slice slice = { "x", 1 };
    void *memory;
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_put_many(queue, &slice, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_reserve(queue, 1, &memory, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(put_number(both, 2, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(both, CANO_NOW), 2);
    CU_ASSERT_EQUAL(put_number(both, 3, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 3);
    CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_OK);
    cano_queue_close(queue);
    cano_queue_close(both);
    unlink_name(name);
}

/* ---- CANO_END_WHEN_NO_PUTTER ---- */

static const char *make_ending(cano_queue **getter)
{
    const char *name = suite_name("ending");
    *getter = make_named(name, OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
    return name;
}

static void counting_begins_with_the_first_putter(void)
{
    cano_queue *getter;
    const char *name = make_ending(&getter);
    CU_ASSERT_EQUAL(status_of_get(getter, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(status_of_get(getter, 20000), CANO_ETIMEOUT);
    cano_queue *undeclared = open_named(name);
    cano_queue_close(undeclared);
    CU_ASSERT_EQUAL(status_of_get(getter, 20000), CANO_ETIMEOUT); /* does not count */
    cano_queue *putter = open_as(name, CANO_PUTTER);
    CU_ASSERT_EQUAL(status_of_get(getter, 20000), CANO_ETIMEOUT);
    cano_queue_close(putter);
    CU_ASSERT_EQUAL(status_of_get(getter, CANO_FOREVER), CANO_ECLOSED);
    cano_queue_close(getter);
    unlink_name(name);
}

static void end_comes_when_the_queue_is_empty(void)
{
    cano_queue *getter;
    const char *name = make_ending(&getter);
    cano_queue *putter = open_as(name, CANO_PUTTER);
    put_number(putter, 1, CANO_NOW);
    put_number(putter, 2, CANO_NOW);
    cano_queue_close(putter);
    uint64_t number = 0;
    CU_ASSERT_EQUAL(cano_queue_peek(getter, &number, sizeof number, NULL, CANO_FOREVER), CANO_OK);
    CU_ASSERT_EQUAL(get_number(getter, CANO_FOREVER), 1);
    CU_ASSERT_EQUAL(get_number(getter, CANO_NOW), 2);
    CU_ASSERT_EQUAL(status_of_get(getter, CANO_NOW), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_queue_peek(getter, &number, sizeof number, NULL, CANO_FOREVER), CANO_ECLOSED);
    cano_item item;
    CU_ASSERT_EQUAL(cano_queue_take(getter, &item, CANO_FOREVER), CANO_ECLOSED);
    cano_queue_close(getter);
    unlink_name(name);
}

static void undeclared_participants_do_not_hold_the_end_up(void)
{
    cano_queue *getter;
    const char *name = make_ending(&getter);
    cano_queue *undeclared = open_named(name);
    cano_queue *putter = open_as(name, CANO_PUTTER | CANO_GETTER);
    put_number(undeclared, 1, CANO_NOW);
    cano_queue_close(putter);
    CU_ASSERT_EQUAL(get_number(getter, CANO_NOW), 1);
    CU_ASSERT_EQUAL(status_of_get(getter, CANO_FOREVER), CANO_ECLOSED);
    CU_ASSERT_EQUAL(status_of_get(undeclared, CANO_FOREVER), CANO_ECLOSED);
    cano_queue_close(undeclared);
    cano_queue_close(getter);
    unlink_name(name);
}

static void another_putter_begins_it_anew(void)
{
    cano_queue *getter;
    const char *name = make_ending(&getter);
    for (uint64_t i = 0; i < 5; i++) {
        cano_queue *putter = open_as(name, CANO_PUTTER);
        CU_ASSERT_EQUAL(status_of_get(getter, CANO_NOW), CANO_ETIMEOUT);
        put_number(putter, i, CANO_NOW);
        CU_ASSERT_EQUAL(get_number(getter, CANO_NOW), i);
        cano_queue_close(putter);
        CU_ASSERT_EQUAL(status_of_get(getter, CANO_NOW), CANO_ECLOSED);
    }
    cano_queue_close(getter);
    unlink_name(name);
}

static void threads_have_an_end_too(void)
{
    cano_queue *queue =
        make_queue(OPTIONS(.scope = CANO_THREADS, .role = CANO_PUTTER | CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ETIMEOUT);
    cano_queue_close(queue);
    queue = make_queue(OPTIONS(.scope = CANO_THREADS, .flags = CANO_END_WHEN_NO_PUTTER));
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ETIMEOUT);
    cano_queue_close(queue);
}

static void close_later(void *context)
{
    linger(100000);
    cano_queue_close(context);
}

static void last_close_wakes_who_sleeps_in_get(void)
{
    cano_queue *getter;
    const char *name = make_ending(&getter);
    const int64_t start = suite_now();
    suite_thread *thread = suite_thread_start(close_later, open_as(name, CANO_PUTTER));
    CU_ASSERT_EQUAL(status_of_get(getter, PATIENCE), CANO_ECLOSED);
    CU_ASSERT(elapsed(start) >= 100000 && elapsed(start) < SOON);
    suite_thread_end(thread);
    cano_queue_close(getter);
    unlink_name(name);
}

#define HANDOVERS 2000

typedef struct relay {
    const char *name;
    _Atomic bool over;
} relay;

/* One putter opens before the other closes: there is never none. */
static void run_relay(void *context)
{
    relay *r = context;
    cano_queue *putter = NULL;
    for (int i = 0; i < HANDOVERS; i++) {
        cano_queue *next = NULL;
        if (cano_queue_open(&next, r->name, &OPTIONS(.role = CANO_PUTTER)) != CANO_OK) {
            break;
        }
        cano_queue_close(putter);
        putter = next;
    }
    atomic_store_explicit(&r->over, true, memory_order_seq_cst);
    cano_queue_close(putter);
}

static void hand_over_between_putters_is_no_end(void)
{
    relay r = { .over = false };
    cano_queue *getter;
    r.name = make_ending(&getter);
    suite_thread *thread = suite_thread_start(run_relay, &r);
    cano_status status = CANO_ETIMEOUT;
    uint64_t looks = 0;
    for (int64_t began = 0; status == CANO_ETIMEOUT && suite_patience(&began); looks++) {
        status = status_of_get(getter, looks % 8 == 0 ? 100 : CANO_NOW);
    }
    CU_ASSERT(atomic_load_explicit(&r.over, memory_order_seq_cst));
    CU_ASSERT_EQUAL(status, CANO_ECLOSED);
    suite_thread_end(thread);
    cano_queue_close(getter);
    unlink_name(r.name);
}

/* ---- putters in other processes ---- */

static int run_put_and_wait(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_PUTTER);
    DEMAND(put_number(s.queue, 42, PATIENCE) == CANO_OK);
    tell(&s, 1);
    obey(&s, 2); /* killed here, or told to go */
    leave(&s);
    return 0;
}

static stage ending_stage(void)
{
    return stage_of(OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
}

static void end_comes_when_the_last_process_that_puts_leaves(void)
{
    stage s = ending_stage();
    suite_child *child = start_on(&s, "put_and_wait", NULL);
    CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 42);
    hear(&s, 1);
    CU_ASSERT_EQUAL(status_of_get(s.queue, 150000), CANO_ETIMEOUT); /* it lives */
    order(&s, 2);
    CU_ASSERT_EQUAL(status_of_get(s.queue, PATIENCE), CANO_ECLOSED);
    end_well(child);
    strike(&s);
}

static void end_comes_when_the_last_putter_is_killed(void)
{
    for (int look = 0; look < 2; look++) { /* by a getter that sleeps, by one that polls */
        stage s = ending_stage();
        suite_child *children[2] = { start_on(&s, "put_and_wait", NULL), start_on(&s, "put_and_wait", NULL) };
        hear(&s, 1);
        hear(&s, 1);
        kill_and_wait(children[0]);
        CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 42);
        CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 42);
        CU_ASSERT_EQUAL(status_of_get(s.queue, 150000), CANO_ETIMEOUT); /* one lives */
        kill_and_wait(children[1]);
        cano_status status = CANO_ETIMEOUT;
        for (int64_t began = 0; status == CANO_ETIMEOUT && suite_patience(&began);) {
            status = status_of_get(s.queue, look == 0 ? PATIENCE : CANO_NOW);
        }
        CU_ASSERT_EQUAL(status, CANO_ECLOSED);
        strike(&s);
    }
}

static int run_inherit_and_put(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_queue *queue;
    DEMAND(cano_inherited_queue("queue", NULL, &queue) == CANO_OK);
    DEMAND(put_number(queue, 7, PATIENCE) == CANO_OK);
    cano_queue_close(queue);
    return 0;
}

static int run_ignore_all(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static cano_process *spawn_putter(cano_queue *queue, const char *role)
{
    const char *const argv[] = { CANO_SELF, "role", role, NULL };
    const cano_hand hand = { "queue", queue, NULL, CANO_PUTTER, 0 };
    const cano_process_options options = { sizeof options, &hand, 1 };
    cano_process *process = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&process, argv, &options), CANO_OK);
    return process;
}

static void end_process(cano_process *process)
{
    cano_exit ended = { -1, -1 };
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(ended.code, 0);
    cano_process_close(process);
}

/* Nobody but the child is a putter, and it has not even begun when spawn returns. */
static void spawned_putter_counts_from_the_return_of_spawn(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_END_WHEN_NO_PUTTER, .role = CANO_GETTER));
    for (int i = 0; i < 10; i++) {
        cano_process *process = spawn_putter(queue, "inherit_and_put");
        CU_ASSERT_EQUAL(get_number(queue, PATIENCE), 7);
        CU_ASSERT_EQUAL(status_of_get(queue, PATIENCE), CANO_ECLOSED);
        end_process(process);
    }
    cano_queue_close(queue);
}

static void spawned_putter_that_takes_nothing_leaves_at_its_end(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_END_WHEN_NO_PUTTER, .role = CANO_GETTER));
    cano_process *process = spawn_putter(queue, "ignore_all");
    CU_ASSERT_EQUAL(status_of_get(queue, PATIENCE), CANO_ECLOSED);
    end_process(process);
    cano_queue_close(queue);
}

/* ---- CANO_SINGLE_PUTTER, CANO_SINGLE_GETTER ---- */

static void second_putter_is_refused_while_the_first_is_there(void)
{
    const char *name = suite_name("single");
    cano_queue *first = make_named(name, OPTIONS(.flags = CANO_SINGLE_PUTTER));
    cano_queue *second = open_named(name);
    const cano_slice slice = { "x", 1 };
    static const char large[100000];
    void *memory;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(put_number(first, 1, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(put_number(second, 2, CANO_FOREVER), CANO_ELIMIT);
        CU_ASSERT_EQUAL(cano_queue_put_many(second, &slice, 1, CANO_FOREVER), CANO_ELIMIT);
        CU_ASSERT_EQUAL(cano_queue_put(second, large, sizeof large, CANO_FOREVER), CANO_ELIMIT);
        CU_ASSERT_EQUAL(get_number(second, CANO_NOW), 1); /* may get */
    }
    CU_ASSERT_EQUAL(cano_queue_reserve(second, 1, &memory, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_commit(second, memory, 1, CANO_NOW), CANO_ELIMIT);
    cano_queue_close(first);
    CU_ASSERT_EQUAL(cano_queue_commit(second, memory, 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(put_number(second, 2, CANO_NOW), CANO_OK);
    first = open_named(name);
    CU_ASSERT_EQUAL(put_number(first, 3, CANO_NOW), CANO_ELIMIT);
    cano_queue_close(first);
    cano_queue_close(second);
    unlink_name(name);
}

static void second_getter_is_refused_while_the_first_is_there(void)
{
    const char *name = suite_name("single");
    cano_queue *first = make_named(name, OPTIONS(.flags = CANO_SINGLE_GETTER | CANO_JOINABLE));
    cano_queue *second = open_named(name);
    uint64_t number;
    cano_item item;
    size_t size;
    for (uint64_t i = 0; i < 4; i++) {
        put_number(second, i, CANO_NOW);
    }
    CU_ASSERT_EQUAL(get_number(first, CANO_NOW), 0);
    CU_ASSERT_EQUAL(status_of_get(second, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_queue_take(second, &item, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_queue_get_many(second, &item, 1, &size, &number, sizeof number, CANO_FOREVER), CANO_ELIMIT);
    CU_ASSERT_EQUAL(get_number(first, CANO_NOW), 1);
    cano_queue_close(first);
    CU_ASSERT_EQUAL(get_number(second, CANO_NOW), 0);
    cano_queue_close(second);
    unlink_name(name);
}

static void threads_of_one_participant_are_one_putter(void)
{
    cano_queue *queue = make_queue(OPTIONS(.scope = CANO_THREADS, .flags = CANO_SINGLE_PUTTER | CANO_SINGLE_GETTER));
    for (uint64_t i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(put_number(queue, i, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), i);
    }
    cano_queue_close(queue);
}

static int run_single(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    DEMAND(put_number(s.queue, 1, PATIENCE) == CANO_OK);
    DEMAND(get_number(s.queue, PATIENCE) == 1);
    tell(&s, 1);
    return linger_on(&s);
}

static void killed_single_participant_makes_room_for_another(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_SINGLE_PUTTER | CANO_SINGLE_GETTER));
    suite_child *child = start_on(&s, "single", NULL);
    hear(&s, 1);
    CU_ASSERT_EQUAL(put_number(s.queue, 2, CANO_NOW), CANO_ELIMIT);
    kill_and_wait(child);
    CU_ASSERT_EQUAL(put_number(s.queue, 2, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 2);
    strike(&s);
}

static const suite_test tests[] = {
    { "putter_may_not_get", putter_may_not_get },
    { "getter_may_not_put", getter_may_not_put },
    { "counting_begins_with_the_first_putter", counting_begins_with_the_first_putter },
    { "end_comes_when_the_queue_is_empty", end_comes_when_the_queue_is_empty },
    { "undeclared_participants_do_not_hold_the_end_up", undeclared_participants_do_not_hold_the_end_up },
    { "another_putter_begins_it_anew", another_putter_begins_it_anew },
    { "threads_have_an_end_too", threads_have_an_end_too },
    { "last_close_wakes_who_sleeps_in_get", last_close_wakes_who_sleeps_in_get },
    { "hand_over_between_putters_is_no_end", hand_over_between_putters_is_no_end },
    { "end_comes_when_the_last_process_that_puts_leaves", end_comes_when_the_last_process_that_puts_leaves },
    { "end_comes_when_the_last_putter_is_killed", end_comes_when_the_last_putter_is_killed },
    { "spawned_putter_counts_from_the_return_of_spawn", spawned_putter_counts_from_the_return_of_spawn },
    { "spawned_putter_that_takes_nothing_leaves_at_its_end", spawned_putter_that_takes_nothing_leaves_at_its_end },
    { "second_putter_is_refused_while_the_first_is_there", second_putter_is_refused_while_the_first_is_there },
    { "second_getter_is_refused_while_the_first_is_there", second_getter_is_refused_while_the_first_is_there },
    { "threads_of_one_participant_are_one_putter", threads_of_one_participant_are_one_putter },
    { "killed_single_participant_makes_room_for_another", killed_single_participant_makes_room_for_another },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "put_and_wait", run_put_and_wait },
    { "inherit_and_put", run_inherit_and_put },
    { "ignore_all", run_ignore_all },
    { "single", run_single },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: roles", tests, roles);
}
