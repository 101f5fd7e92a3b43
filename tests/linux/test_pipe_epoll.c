/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes in a real event loop: one epoll set, several peers, level triggered and edge triggered.
 */
#include "suite.h"

#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PEERS 4
#define MESSAGES 20000
#define PATIENCE 20000 /* milliseconds */

typedef struct loop {
    int epoll;
    cano_pipe *ends[PEERS];
    cano_process *children[PEERS];
    uint32_t next[PEERS]; /* the number that comes next */
    int open;
    int wakes;
    int failures;
} loop;

/* Numbers in bursts of different length, so that the reader finds the pipe empty now and then. */
static int run_send_numbers(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe;
    if (cano_inherited_pipe("end", &pipe) != CANO_OK) {
        return 1;
    }
    for (uint32_t i = 0; i < MESSAGES; i++) {
        if (cano_pipe_send(pipe, &i, sizeof i, SUITE_PATIENCE) != CANO_OK) {
            return 2;
        }
        if (i % 97 == 0) {
            cano_pipe_poll(pipe, 100); /* nothing comes */
        }
    }
    cano_pipe_close(pipe);
    return 0;
}

static void start_peer(loop *self, int i, uint32_t transport, uint32_t events)
{
    const cano_pipe_options options = { .size = sizeof options, .flags = transport };
    cano_pipe *far;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&self->ends[i], &far, &options), CANO_OK);
    const char *const argv[] = { CANO_SELF, "role", "send numbers", NULL };
    const cano_hand hand = { .name = "end", .pipe = far };
    const cano_process_options process = { .size = sizeof process, .hands = &hand, .hands_count = 1 };
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&self->children[i], argv, &process), CANO_OK);
    cano_native native;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_native(self->ends[i], &native), CANO_OK);
    struct epoll_event event = { .events = events, .data.u32 = (uint32_t)i };
    CU_ASSERT_EQUAL_FATAL(epoll_ctl(self->epoll, EPOLL_CTL_ADD, (int)native, &event), 0);
    self->open++;
}

static void close_peer(loop *self, int i)
{
    cano_native native;
    cano_pipe_native(self->ends[i], &native);
    CU_ASSERT_EQUAL(epoll_ctl(self->epoll, EPOLL_CTL_DEL, (int)native, NULL), 0);
    cano_pipe_close(self->ends[i]);
    self->open--;
}

/* most: how many messages at one wake. */
static void serve(loop *self, int i, int most)
{
    for (int got = 0; got < most; got++) {
        uint32_t number;
        const cano_status status = cano_pipe_recv(self->ends[i], &number, sizeof number, NULL, CANO_NOW);
        if (status == CANO_ECLOSED) {
            close_peer(self, i);
            return;
        }
        if (status == CANO_ETIMEOUT) {
            return;
        }
        self->failures += status != CANO_OK || number != self->next[i]++;
    }
}

static void run_loop(uint32_t transport, uint32_t events, int most)
{
    loop self = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
    for (int i = 0; i < PEERS; i++) {
        start_peer(&self, i, transport, events);
    }
    while (self.open > 0) {
        struct epoll_event ready[PEERS];
        const int count = epoll_wait(self.epoll, ready, PEERS, PATIENCE);
        CU_ASSERT_TRUE_FATAL(count > 0);
        self.wakes++;
        for (int i = 0; i < count; i++) {
            serve(&self, (int)ready[i].data.u32, most);
        }
    }
    CU_ASSERT_EQUAL(self.failures, 0);
    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT_EQUAL(self.next[i], MESSAGES);
        cano_exit ended = { 0 };
        CU_ASSERT_EQUAL(cano_process_wait(self.children[i], &ended, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(ended.code, 0);
        cano_process_close(self.children[i]);
    }
    close(self.epoll);
}

static void a_loop_serves_all_until_it_finds_nothing(void)
{
    run_loop(CANO_PIPE_MEMORY, EPOLLIN, INT32_MAX);
    run_loop(CANO_PIPE_STREAM, EPOLLIN, INT32_MAX);
}

/* Nothing is forgotten although messages stay behind at each wake. */
static void a_loop_takes_one_message_at_each_wake(void)
{
    run_loop(CANO_PIPE_MEMORY, EPOLLIN, 1);
    run_loop(CANO_PIPE_STREAM, EPOLLIN, 1);
}

static void a_loop_is_woken_by_edges(void)
{
    run_loop(CANO_PIPE_MEMORY, EPOLLIN | EPOLLET, INT32_MAX);
    run_loop(CANO_PIPE_STREAM, EPOLLIN | EPOLLET, INT32_MAX);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "a loop serves all until it finds nothing", a_loop_serves_all_until_it_finds_nothing },
        { "a loop takes one message at each wake", a_loop_takes_one_message_at_each_wake },
        { "a loop is woken by edges", a_loop_is_woken_by_edges },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "send numbers", run_send_numbers },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe in epoll", tests, roles);
}
