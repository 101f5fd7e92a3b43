/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stopped process is not a dead one: it is never robbed, the others wait only for what it holds, and it goes on where it was.
 */
#include "queues.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>

#define LONG 600000 /* microseconds: many times what a death needs to be noticed */

static void stop(const suite_child *child)
{
    CU_ASSERT_EQUAL_FATAL(kill((pid_t)suite_pid(child), SIGSTOP), 0);
    siginfo_t info = { 0 };
    int result;
    do {
        result = waitid(P_PID, (id_t)suite_pid(child), &info, WSTOPPED | WNOWAIT);
    } while (result != 0 && errno == EINTR);
    CU_ASSERT(result == 0 && info.si_code == CLD_STOPPED);
}

static void go_on(const suite_child *child)
{
    CU_ASSERT_EQUAL_FATAL(kill((pid_t)suite_pid(child), SIGCONT), 0);
}

/* ---- holding something ---- */

/* Hold what the argument says, and check that it is still held when told to. */
static int run_hold(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    cano_item item = { 0 };
    void *memory = NULL;
    const char what = *s.argument;
    if (what == 'l') {
        DEMAND(cano_queue_lock(s.queue, PATIENCE) == CANO_OK);
    } else if (what == 't' || what == 'v') {
        DEMAND(cano_queue_take(s.queue, &item, PATIENCE) == CANO_OK);
    } else {
        DEMAND(cano_queue_reserve(s.queue, 5000, &memory, PATIENCE) == CANO_OK);
        fill_pattern(memory, 5000, 9);
    }
    tell(&s, 1);
    obey(&s, 2);
    if (what == 'l') {
        DEMAND(put_number(s.queue, 77, CANO_NOW) == CANO_OK);
        DEMAND(cano_queue_unlock(s.queue) == CANO_OK);
    } else if (what == 't') {
        DEMAND(has_pattern(item.data, item.size, 4));
        DEMAND(cano_queue_task_done(s.queue, &item) == CANO_OK);
    } else if (what == 'v') {
        DEMAND(has_pattern(item.data, item.size, 4));
        cano_queue_release(s.queue, &item);
    } else {
        DEMAND(has_pattern(memory, 5000, 9));
        DEMAND(cano_queue_commit(s.queue, memory, 5000, PATIENCE) == CANO_OK);
    }
    leave(&s);
    return 0;
}

static suite_child *start_stopped(const stage *s, const char *what)
{
    suite_child *child = start_on(s, "hold", what);
    hear(s, 1);
    stop(child);
    return child;
}

static void let_end(const stage *s, suite_child *child)
{
    go_on(child);
    order(s, 2);
    end_well(child);
}

static void stopped_in_lock_keeps_it(void)
{
    stage s = stage_of(OPTIONS(0));
    put_number(s.queue, 1, CANO_NOW);
    suite_child *child = start_stopped(&s, "l");
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(put_number(s.queue, 2, LONG), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(status_of_get(s.queue, 1000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_queue_lock(s.queue, 1000), CANO_ETIMEOUT);
    CU_ASSERT(elapsed(start) >= LONG);
    CU_ASSERT_EQUAL(count_of(s.queue), 1); /* may be asked all the time */
    let_end(&s, child);
    CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 1);
    CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 77);
    strike(&s);
}

static void stopped_worker_keeps_its_task(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE));
    put_pattern(s.queue, 300, 4, CANO_NOW);
    suite_child *child = start_stopped(&s, "t");
    CU_ASSERT_EQUAL(status_of_get(s.queue, LONG), CANO_ETIMEOUT); /* not delivered again */
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, LONG / 2), CANO_ETIMEOUT);
    put_number(s.queue, 5, CANO_NOW); /* the queue goes on */
    CU_ASSERT_EQUAL(get_number(s.queue, CANO_NOW), 5);
    CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
    let_end(&s, child);
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(picture_of(s.queue).done, 2);
    strike(&s);
}

static void stopped_owner_of_memory_keeps_it(void)
{
    static const char *const ways[] = { "r", "v" };
    for (int i = 0; i < 2; i++) {
        stage s = stage_of(OPTIONS(.max_items = 8, .max_bytes = 12000));
        void *memory;
        if (i == 1) {
            put_pattern(s.queue, 5000, 4, CANO_NOW);
        }
        suite_child *child = start_stopped(&s, ways[i]);
        CU_ASSERT_EQUAL(cano_queue_reserve(s.queue, 12000, &memory, LONG), CANO_ETIMEOUT);
        for (uint64_t k = 0; k < 200; k++) { /* what is left goes round, and nobody's memory with it */
            CU_ASSERT_EQUAL(put_pattern(s.queue, 4000, k, CANO_NOW), CANO_OK);
            CU_ASSERT(get_pattern(s.queue, 4000, k));
        }
        let_end(&s, child);
        if (i == 0) {
            CU_ASSERT(get_pattern(s.queue, 5000, 9));
        }
        CU_ASSERT_EQUAL(cano_queue_reserve(s.queue, 12000, &memory, PATIENCE), CANO_OK);
        strike(&s);
    }
}

static int run_be_putter(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_PUTTER);
    tell(&s, 1);
    obey(&s, 2);
    DEMAND(put_number(s.queue, 3, PATIENCE) == CANO_OK);
    leave(&s);
    return 0;
}

static void stopped_putter_has_not_left(void)
{
    stage s = stage_of(OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER));
    suite_child *child = start_on(&s, "be_putter", NULL);
    hear(&s, 1);
    stop(child);
    CU_ASSERT_EQUAL(status_of_get(s.queue, LONG), CANO_ETIMEOUT);
    let_end(&s, child);
    CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 3);
    CU_ASSERT_EQUAL(status_of_get(s.queue, PATIENCE), CANO_ECLOSED);
    strike(&s);
}

/* ---- asleep ---- */

static int run_get(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    tell(&s, 1);
    DEMAND(status_of_get(s.queue, PATIENCE) == CANO_OK);
    tell(&s, 2);
    leave(&s);
    return 0;
}

/* The one wake may go to the stopped one: the other notices all the same. */
static void stopped_sleeper_does_not_keep_a_message_from_another(void)
{
    for (int i = 0; i < 5; i++) {
        stage s = stage_of(OPTIONS(0));
        suite_child *stopped = start_on(&s, "get", NULL);
        hear(&s, 1);
        linger(20000);
        stop(stopped);
        suite_child *other = start_on(&s, "get", NULL);
        hear(&s, 1);
        linger(20000);
        CU_ASSERT_EQUAL(put_number(s.queue, 1, CANO_NOW), CANO_OK);
        hear(&s, 2);
        end_well(other);
        go_on(stopped);
        CU_ASSERT_EQUAL(put_number(s.queue, 2, CANO_NOW), CANO_OK);
        hear(&s, 2);
        end_well(stopped);
        strike(&s);
    }
}

/* ---- at any moment ---- */

#define EACH 30000

/* Put and get by turns, so that what is queued is as many as before. */
static int run_turn_over(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    for (int i = 0; i < EACH; i++) {
        DEMAND(cano_queue_lock(s.queue, PATIENCE) == CANO_OK);
        const uint64_t number = get_number(s.queue, CANO_NOW);
        DEMAND(number != UINT64_MAX);
        DEMAND(put_number(s.queue, number + 1, CANO_NOW) == CANO_OK);
        DEMAND(cano_queue_unlock(s.queue) == CANO_OK);
        const uint64_t other = get_number(s.queue, PATIENCE);
        DEMAND(other != UINT64_MAX && put_number(s.queue, other + 1, PATIENCE) == CANO_OK);
    }
    leave(&s);
    return 0;
}

static void stopping_at_any_moment_breaks_nothing(void)
{
    stage s = stage_of(OPTIONS(.max_items = 8));
    uint64_t random = 5;
    for (int i = 0; i < 4; i++) {
        put_number(s.queue, 0, CANO_NOW);
    }
    suite_child *children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = start_on(&s, "turn_over", NULL);
    }
    for (int i = 0; i < 60; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const pid_t child = (pid_t)suite_pid(children[i % 3]);
        kill(child, SIGSTOP);
        linger((int64_t)(random >> 40) % 15000);
        kill(child, SIGCONT);
        linger((int64_t)(random >> 30) % 2000);
    }
    for (int i = 0; i < 3; i++) {
        end_well(children[i]);
    }
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += get_number(s.queue, CANO_NOW);
    }
    CU_ASSERT_EQUAL(sum, 3 * 2 * EACH);
    CU_ASSERT_EQUAL(count_of(s.queue), 0);
    strike(&s);
}

static const suite_test tests[] = {
    { "stopped_in_lock_keeps_it", stopped_in_lock_keeps_it },
    { "stopped_worker_keeps_its_task", stopped_worker_keeps_its_task },
    { "stopped_owner_of_memory_keeps_it", stopped_owner_of_memory_keeps_it },
    { "stopped_putter_has_not_left", stopped_putter_has_not_left },
    { "stopped_sleeper_does_not_keep_a_message_from_another", stopped_sleeper_does_not_keep_a_message_from_another },
    { "stopping_at_any_moment_breaks_nothing", stopping_at_any_moment_breaks_nothing },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "hold", run_hold }, { "be_putter", run_be_putter }, { "get", run_get }, { "turn_over", run_turn_over }, { NULL, NULL }
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: stopped", tests, roles);
}
