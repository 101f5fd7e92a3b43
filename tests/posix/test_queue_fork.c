/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked child becomes a participant of its own on first use, whatever its parent holds, and neither needs the other.
 */
#include "queues.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- children ---- */

/* Run body in a forked child; DEMAND works there. */
static pid_t fork_for(void (*body)(void *), void *context)
{
    fflush(NULL);
    const pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        alarm(30);
        body(context);
        _exit(0);
    }
    return child;
}

/* 0: it ended well. */
static int end_of(pid_t child)
{
    int status = -1;
    while (waitpid(child, &status, 0) < 0) {
    }
    return status;
}

static void run_child(void (*body)(void *), void *context)
{
    CU_ASSERT_EQUAL(end_of(fork_for(body, context)), 0);
}

static void kill_child(pid_t child)
{
    kill(child, SIGKILL);
    CU_ASSERT(WIFSIGNALED(end_of(child)));
}

/* A queue, and another to talk over. */
typedef struct pair {
    cano_queue *queue;
    cano_queue *talk;
    cano_item *item; /* the parent's */
    void *memory;    /* the parent's */
} pair;

static pair make_pair(cano_queue_options options)
{
    return (pair){ .queue = make_queue(options), .talk = make_queue(OPTIONS(0)) };
}

static void close_pair(const pair *p)
{
    cano_queue_close(p->queue);
    cano_queue_close(p->talk);
}

static void wait_for_participants(cano_queue *queue, uint32_t count)
{
    for (int64_t began = 0; picture_of(queue).participants != count && suite_patience(&began);) {
        cano_queue_lock(queue, 20000); /* who waits looks for the dead */
        cano_queue_unlock(queue);
        cano_item item;
        cano_queue_dead_get(queue, &item, 20000);
        uint64_t number;
        cano_queue_peek(queue, &number, 0, NULL, 20000);
    }
    CU_ASSERT_EQUAL(picture_of(queue).participants, count);
}

/* ---- its own participant ---- */

static void put_two_and_get_one(void *context)
{
    const pair *p = context;
    DEMAND(picture_of(p->queue).participants == 2);
    DEMAND(put_number(p->queue, 10, CANO_NOW) == CANO_OK);
    DEMAND(put_number(p->queue, 20, CANO_NOW) == CANO_OK);
    DEMAND(get_number(p->queue, CANO_NOW) == 1);
    cano_queue_close(p->queue);
}

static void child_shares_the_queue_by_the_handle_it_inherits(void)
{
    pair p = make_pair(OPTIONS(0));
    for (int i = 0; i < 10; i++) {
        put_number(p.queue, 1, CANO_NOW);
        run_child(put_two_and_get_one, &p);
        CU_ASSERT_EQUAL(get_number(p.queue, CANO_NOW), 10);
        CU_ASSERT_EQUAL(get_number(p.queue, CANO_NOW), 20);
        CU_ASSERT_EQUAL(picture_of(p.queue).participants, 1);
    }
    close_pair(&p);
}

static void use_and_exit(void *context)
{
    const pair *p = context;
    DEMAND(put_number(p->queue, 10, CANO_NOW) == CANO_OK);
}

static void child_that_ends_without_close_is_gone(void)
{
    pair p = make_pair(OPTIONS(.flags = CANO_JOINABLE));
    run_child(use_and_exit, &p);
    CU_ASSERT_EQUAL(get_number(p.queue, CANO_NOW), 10);
    wait_for_participants(p.queue, 1);
    close_pair(&p);
}

static void fork_again(void *context)
{
    const pair *p = context;
    DEMAND(put_number(p->queue, 1, CANO_NOW) == CANO_OK);
    const pid_t child = fork();
    DEMAND(child >= 0);
    if (child == 0) {
        DEMAND(put_number(p->queue, 2, CANO_NOW) == CANO_OK);
        DEMAND(picture_of(p->queue).participants == 3);
        _exit(0);
    }
    DEMAND(end_of(child) == 0);
}

static void grandchildren_are_participants_too(void)
{
    pair p = make_pair(OPTIONS(0));
    run_child(fork_again, &p);
    CU_ASSERT_EQUAL(get_number(p.queue, CANO_NOW), 1);
    CU_ASSERT_EQUAL(get_number(p.queue, CANO_NOW), 2);
    close_pair(&p);
}

static void expect_no_place(void *context)
{
    const pair *p = context;
    size_t size;
    DEMAND(put_number(p->queue, 1, CANO_NOW) == CANO_ELIMIT);
    DEMAND(status_of_get(p->queue, CANO_FOREVER) == CANO_ELIMIT);
    DEMAND(cano_queue_qsize(p->queue, &size) == CANO_ELIMIT);
    DEMAND(cano_queue_lock(p->queue, CANO_FOREVER) == CANO_ELIMIT);
    cano_queue_close(p->queue);
}

static void child_without_a_place_is_told_so(void)
{
    pair p = make_pair(OPTIONS(.max_participants = 1));
    run_child(expect_no_place, &p);
    CU_ASSERT_EQUAL(put_number(p.queue, 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(p.queue, CANO_NOW), 1);
    close_pair(&p);
}

static void expect_single(void *context)
{
    const pair *p = context;
    DEMAND(put_number(p->queue, 1, CANO_FOREVER) == CANO_ELIMIT);
}

static void child_of_the_single_putter_is_a_second_one(void)
{
    pair p = make_pair(OPTIONS(.flags = CANO_SINGLE_PUTTER));
    put_number(p.queue, 1, CANO_NOW);
    run_child(expect_single, &p);
    CU_ASSERT_EQUAL(put_number(p.queue, 2, CANO_NOW), CANO_OK);
    close_pair(&p);
}

/* ---- what the parent holds ---- */

static void use_what_is_the_parents(void *context)
{
    const pair *p = context;
    DEMAND(cano_queue_unlock(p->queue) == CANO_ENOTHELD);
    DEMAND(put_number(p->queue, 5, 30000) == CANO_ETIMEOUT); /* kept out by the parent */
    DEMAND(cano_queue_task_done(p->queue, NULL) == CANO_ENOTHELD);
    DEMAND(cano_queue_task_done(p->queue, p->item) == CANO_ENOTHELD);
    DEMAND(cano_queue_give_back(p->queue, p->item, CANO_NOW) == CANO_ENOTHELD);
    DEMAND(cano_queue_commit(p->queue, p->memory, 1, CANO_NOW) == CANO_EINVAL);
    cano_queue_cancel(p->queue, p->memory);
    cano_queue_close(p->queue);
}

static void close_unused(void *context)
{
    const pair *p = context;
    cano_queue_close(p->queue);
}

static void just_exit(void *context)
{
    (void)context;
}

static void what_the_parent_holds_stays_the_parents(void)
{
    static void (*const bodies[])(void *) = { use_what_is_the_parents, close_unused, just_exit };
    for (int i = 0; i < 3; i++) {
        pair p = make_pair(OPTIONS(.flags = CANO_JOINABLE));
        uint64_t number;
        put_number(p.queue, 1, CANO_NOW);
        cano_item item = take_number(p.queue, &number, CANO_NOW);
        CU_ASSERT_EQUAL(cano_queue_reserve(p.queue, 1000, &p.memory, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_lock(p.queue, CANO_NOW), CANO_OK);
        p.item = &item;
        run_child(bodies[i], &p);
        CU_ASSERT_EQUAL(cano_queue_unlock(p.queue), CANO_OK);
        CU_ASSERT_EQUAL(status_of_get(p.queue, 100000), CANO_ETIMEOUT); /* the task did not come back */
        CU_ASSERT_EQUAL(cano_queue_task_done(p.queue, &item), CANO_OK);
        memset(p.memory, 1, 1000);
        CU_ASSERT_EQUAL(cano_queue_commit(p.queue, p.memory, 1000, CANO_NOW), CANO_OK);
        close_pair(&p);
    }
}

static void hold_everything(void *context)
{
    const pair *p = context;
    cano_item item;
    void *memory;
    DEMAND(cano_queue_take(p->queue, &item, CANO_NOW) == CANO_OK);
    DEMAND(cano_queue_reserve(p->queue, 1000, &memory, CANO_NOW) == CANO_OK);
    DEMAND(cano_queue_lock(p->queue, CANO_NOW) == CANO_OK);
    DEMAND(put_number(p->talk, 1, PATIENCE) == CANO_OK);
    pause();
}

static void killed_child_leaves_the_parent_everything(void)
{
    pair p = make_pair(OPTIONS(.flags = CANO_JOINABLE));
    put_number(p.queue, 8, CANO_NOW);
    const pid_t child = fork_for(hold_everything, &p);
    CU_ASSERT_EQUAL(get_number(p.talk, PATIENCE), 1);
    kill_child(child);
    uint64_t number;
    const cano_item item = take_number(p.queue, &number, PATIENCE);
    CU_ASSERT(number == 8 && item.deliveries == 2);
    CU_ASSERT_EQUAL(cano_queue_task_done(p.queue, &item), CANO_OK);
    wait_for_participants(p.queue, 1);
    CU_ASSERT_EQUAL(picture_of(p.queue).bytes, 0);
    close_pair(&p);
}

/* A parent that holds something forks a child, which lives on: idle, or at work with the same handle. */
static void hold_and_leave_a_child(void *context)
{
    const pair *p = context;
    cano_item item;
    DEMAND(cano_queue_take(p->queue, &item, CANO_NOW) == CANO_OK);
    DEMAND(cano_queue_lock(p->queue, CANO_NOW) == CANO_OK);
    const pid_t child = fork();
    DEMAND(child >= 0);
    if (child == 0) {
        DEMAND(get_number(p->talk, PATIENCE) == 3); /* until the test lets it go */
        DEMAND(p->item == NULL || put_number(p->queue, 9, PATIENCE) == CANO_OK);
        _exit(0);
    }
    DEMAND(put_number(p->memory, (uint64_t)child, PATIENCE) == CANO_OK);
    pause();
}

static void killed_parent_is_dead_although_its_child_lives(void)
{
    for (int used = 0; used < 2; used++) {
        pair p = make_pair(OPTIONS(.flags = CANO_JOINABLE));
        cano_queue *numbers = make_queue(OPTIONS(0));
        cano_item any = { 0 };
        p.memory = numbers;
        p.item = used != 0 ? &any : NULL; /* whether the child shall use the queue */
        put_number(p.queue, 8, CANO_NOW);
        const pid_t parent = fork_for(hold_and_leave_a_child, &p);
        const pid_t child = (pid_t)get_number(numbers, PATIENCE);
        CU_ASSERT_EQUAL(put_number(p.queue, 1, 50000), CANO_ETIMEOUT);
        kill_child(parent);
        uint64_t number;
        const cano_item item = take_number(p.queue, &number, PATIENCE);
        CU_ASSERT(number == 8 && item.deliveries == 2);
        CU_ASSERT_EQUAL(kill(child, 0), 0); /* it is there */
        CU_ASSERT_EQUAL(put_number(p.talk, 3, PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(get_number(p.queue, 2000000), used != 0 ? 9 : UINT64_MAX);
        cano_queue_close(numbers);
        close_pair(&p);
    }
}

/* ---- threads ---- */

static void expect_no_use(void *context)
{
    const pair *p = context;
    size_t size;
    DEMAND(put_number(p->queue, 1, CANO_NOW) == CANO_EINVAL);
    DEMAND(status_of_get(p->queue, CANO_FOREVER) == CANO_EINVAL);
    DEMAND(cano_queue_qsize(p->queue, &size) == CANO_EINVAL);
    DEMAND(cano_queue_lock(p->queue, CANO_FOREVER) == CANO_EINVAL);
    DEMAND(cano_queue_shutdown(p->queue, true) == CANO_EINVAL);
    cano_queue_close(p->queue);
}

static void queue_of_threads_is_no_use_in_a_child(void)
{
    pair p = make_pair(OPTIONS(.scope = CANO_THREADS));
    put_number(p.queue, 1, CANO_NOW);
    run_child(expect_no_use, &p);
    CU_ASSERT_EQUAL(get_number(p.queue, CANO_NOW), 1);
    close_pair(&p);
}

typedef struct hammer {
    cano_queue *queue;
    _Atomic bool stop;
} hammer;

static void run_hammer(void *context)
{
    hammer *h = context;
    static const char large[3000];
    while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
        cano_queue_put(h->queue, large, sizeof large, 1000);
        put_number(h->queue, 1, 1000);
        if (cano_queue_lock(h->queue, 1000) == CANO_OK) {
            cano_queue_unlock(h->queue);
        }
        void *data;
        size_t size;
        while (cano_queue_get_alloc(h->queue, &data, &size, CANO_NOW) == CANO_OK) {
            cano_free(data);
            cano_queue_task_done(h->queue, NULL);
        }
    }
}

static void work_a_little(void *context)
{
    const pair *p = context;
    for (uint64_t i = 0; i < 20; i++) {
        DEMAND(put_number(p->queue, i, PATIENCE) == CANO_OK);
        status_of_get(p->queue, CANO_NOW);
    }
    cano_queue *queue = NULL;
    DEMAND(cano_queue_create(&queue, NULL, NULL) == CANO_OK);
    cano_queue_close(queue);
    cano_queue_close(p->queue);
}

/* Whatever the other threads were doing at the fork, the child hangs on nothing of it. */
static void fork_beside_busy_threads_is_safe(void)
{
    pair p = make_pair(OPTIONS(.flags = CANO_JOINABLE, .max_items = 50));
    hammer h = { .queue = p.queue };
    suite_thread *threads[2] = { suite_thread_start(run_hammer, &h), suite_thread_start(run_hammer, &h) };
    for (int i = 0; i < 60; i++) {
        CU_ASSERT_EQUAL(end_of(fork_for(work_a_little, &p)), 0);
    }
    atomic_store_explicit(&h.stop, true, memory_order_relaxed);
    suite_thread_end(threads[0]);
    suite_thread_end(threads[1]);
    close_pair(&p);
}

/* ---- CANO_END_WHEN_NO_PUTTER ---- */

static void put_after_the_parent_has_left(void *context)
{
    const pair *p = context;
    DEMAND(get_number(p->talk, PATIENCE) == 1);
    DEMAND(put_number(p->queue, 42, PATIENCE) == CANO_OK);
}

static void child_of_a_putter_is_one_before_the_parent_leaves(void)
{
    for (int i = 0; i < 10; i++) {
        const char *name = suite_name("fork");
        cano_queue *getter = make_named(name, OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
        pair p = { .talk = make_queue(OPTIONS(0)) };
        CU_ASSERT_EQUAL_FATAL(cano_queue_open(&p.queue, name, &OPTIONS(.role = CANO_PUTTER)), CANO_OK);
        const pid_t child = fork_for(put_after_the_parent_has_left, &p);
        cano_queue_close(p.queue);
        CU_ASSERT_EQUAL(status_of_get(getter, CANO_NOW), CANO_ETIMEOUT); /* the child has not used it yet */
        CU_ASSERT_EQUAL(status_of_get(getter, 120000), CANO_ETIMEOUT);
        put_number(p.talk, 1, CANO_NOW);
        CU_ASSERT_EQUAL(get_number(getter, PATIENCE), 42);
        CU_ASSERT_EQUAL(status_of_get(getter, PATIENCE), CANO_ECLOSED);
        CU_ASSERT_EQUAL(end_of(child), 0);
        cano_queue_close(p.talk);
        cano_queue_close(getter);
        CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
    }
}

static void child_that_never_uses_it_leaves_with_its_end(void)
{
    static void (*const bodies[])(void *) = { just_exit, close_unused };
    for (int i = 0; i < 2; i++) {
        const char *name = suite_name("fork");
        cano_queue *getter = make_named(name, OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
        pair p = { 0 };
        CU_ASSERT_EQUAL_FATAL(cano_queue_open(&p.queue, name, &OPTIONS(.role = CANO_PUTTER)), CANO_OK);
        run_child(bodies[i], &p);
        CU_ASSERT_EQUAL(status_of_get(getter, 120000), CANO_ETIMEOUT); /* the parent is still there */
        cano_queue_close(p.queue);
        CU_ASSERT_EQUAL(status_of_get(getter, PATIENCE), CANO_ECLOSED);
        cano_queue_close(getter);
        CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
    }
}

static const suite_test tests[] = {
    { "child_shares_the_queue_by_the_handle_it_inherits", child_shares_the_queue_by_the_handle_it_inherits },
    { "child_that_ends_without_close_is_gone", child_that_ends_without_close_is_gone },
    { "grandchildren_are_participants_too", grandchildren_are_participants_too },
    { "child_without_a_place_is_told_so", child_without_a_place_is_told_so },
    { "child_of_the_single_putter_is_a_second_one", child_of_the_single_putter_is_a_second_one },
    { "what_the_parent_holds_stays_the_parents", what_the_parent_holds_stays_the_parents },
    { "killed_child_leaves_the_parent_everything", killed_child_leaves_the_parent_everything },
    { "killed_parent_is_dead_although_its_child_lives", killed_parent_is_dead_although_its_child_lives },
    { "queue_of_threads_is_no_use_in_a_child", queue_of_threads_is_no_use_in_a_child },
    { "fork_beside_busy_threads_is_safe", fork_beside_busy_threads_is_safe },
    { "child_of_a_putter_is_one_before_the_parent_leaves", child_of_a_putter_is_one_before_the_parent_leaves },
    { "child_that_never_uses_it_leaves_with_its_end", child_that_never_uses_it_leaves_with_its_end },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: fork", tests, NULL);
}
