/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Here the handle for event loops fires by itself while it is armed, so that a loop may wait without end and strands on nobody
 * who dies before he rings.
 */
#include "queues.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define IN_TIME 150000 /* microseconds: 100 ms, and what it takes to get a processor */
#define TRIALS 5       /* of which the fastest counts */
#define KILLS 25

static int native_of(cano_queue *queue)
{
    cano_native native = -1;
    CU_ASSERT_EQUAL_FATAL(cano_queue_native(queue, &native), CANO_OK);
    return (int)native;
}

/* Wait as a loop without a time limit does; the test has one. */
static bool wait_for(int descriptor)
{
    struct pollfd one = { .fd = descriptor, .events = POLLIN };
    int ready;
    do {
        ready = poll(&one, 1, (int)(SUITE_PATIENCE / 1000));
    } while (ready < 0 && errno == EINTR);
    return ready == 1;
}

static void armed_handle_fires_by_itself(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    const int native = native_of(queue);
    int64_t fastest = INT64_MAX;
    for (int i = 0; i < TRIALS; i++) {
        CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ETIMEOUT); /* arms it */
        const int64_t start = suite_now();
        CU_ASSERT(wait_for(native));
        fastest = elapsed(start) < fastest ? elapsed(start) : fastest;
    }
    CU_ASSERT(fastest < IN_TIME);
    cano_queue_close(queue);
}

static int run_put(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_PUTTER);
    for (uint64_t i = 0;; i++) {
        DEMAND(put_number(s.queue, i, PATIENCE) == CANO_OK);
        tell(&s, i);
    }
}

/* Until the end; false: the loop waited in vain. */
static bool run_loop(cano_queue *queue, int native, uint64_t *got)
{
    cano_status status = CANO_ETIMEOUT;
    while (status == CANO_ETIMEOUT) {
        if (!wait_for(native)) {
            return false;
        }
        while ((status = status_of_get(queue, CANO_NOW)) == CANO_OK) {
            (*got)++;
        }
    }
    return status == CANO_ECLOSED;
}

static void kill_later(void *context)
{
    linger(5000);
    suite_kill(context);
}

static void loop_outlives_killed_putters(void)
{
    for (int i = 0; i < KILLS; i++) {
        stage s = stage_of(OPTIONS(.role = CANO_GETTER, .flags = CANO_END_WHEN_NO_PUTTER, .max_items = 100));
        const int native = native_of(s.queue);
        suite_child *child = start_on(&s, "put", NULL);
        CU_ASSERT_EQUAL(get_number(s.talk, PATIENCE), 0);
        uint64_t got = 0;
        suite_thread *killer = suite_thread_start(kill_later, child);
        CU_ASSERT(run_loop(s.queue, native, &got));
        suite_thread_end(killer);
        CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
        uint64_t told = 1;
        while (get_number(s.talk, 10000) != UINT64_MAX) {
            told++;
        }
        CU_ASSERT(got == told || got == told + 1);
        strike(&s);
    }
}

static void handle_works_inside_another_epoll(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    const int native = native_of(queue);
    const int outer = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    CU_ASSERT_EQUAL_FATAL(epoll_ctl(outer, EPOLL_CTL_ADD, native, &event), 0);
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(epoll_wait(outer, &event, 1, 0), 0);
        put_number(queue, 1, CANO_NOW);
        CU_ASSERT_EQUAL(epoll_wait(outer, &event, 1, 1000), 1);
        CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    }
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(epoll_wait(outer, &event, 1, 0), 0); /* gone with the queue */
    close(outer);
}

static const suite_test tests[] = {
    { "armed_handle_fires_by_itself", armed_handle_fires_by_itself },
    { "loop_outlives_killed_putters", loop_outlives_killed_putters },
    { "handle_works_inside_another_epoll", handle_works_inside_another_epoll },
    { NULL, NULL },
};

static const suite_role roles[] = { { "put", run_put }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: native, by itself", tests, roles);
}
