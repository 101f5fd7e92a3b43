/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between two ends, over both transports, between threads and between processes.
 */
#include "suite.h"

#include <cano/cano.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define SENDERS 2
#define MESSAGES_EACH 100000
#define SHORT INT64_C(30000) /* microseconds of a time-out that is meant to pass */
#define KILLED_AFTER 1000    /* messages that a child sends before it is killed */
#define ROUNDS 2000

/* ---- helpers ---- */

static const uint32_t transports[] = { CANO_PIPE_MEMORY, CANO_PIPE_STREAM };

static void over_both(void (*body)(uint32_t transport))
{
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        body(transports[i]);
    }
}

static void make(cano_pipe **a, cano_pipe **b, uint32_t flags)
{
    const cano_pipe_options options = { .size = sizeof options, .flags = flags };
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(a, b, &options), CANO_OK);
}

static void close_both(cano_pipe *a, cano_pipe *b)
{
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void say(cano_pipe *pipe, const char *text)
{
    CU_ASSERT_EQUAL(cano_pipe_send(pipe, text, strlen(text), SUITE_PATIENCE), CANO_OK);
}

/* The next message is this one. */
static bool hears(cano_pipe *pipe, const char *text)
{
    char message[256];
    size_t size = 0;
    return cano_pipe_recv(pipe, message, sizeof message, &size, SUITE_PATIENCE) == CANO_OK && size == strlen(text) &&
           memcmp(message, text, size) == 0;
}

static cano_status recv_status(cano_pipe *pipe, cano_timeout timeout)
{
    char message[256];
    return cano_pipe_recv(pipe, message, sizeof message, NULL, timeout);
}

/* Bytes that tell where they are. */
static void fill(unsigned char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)((i + seed) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
    }
}

static bool is_filled(const unsigned char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (unsigned char)((i + seed) * UINT64_C(0x9e3779b97f4a7c15) >> 56)) {
            return false;
        }
    }
    return true;
}

/* Start this program in a role and hand it an end, which is gone here then. */
static cano_process *start(const char *role, cano_pipe *end)
{
    const char *const argv[] = { CANO_SELF, "role", role, NULL };
    const cano_hand hand = { .name = "end", .pipe = end };
    const cano_process_options options = { .size = sizeof options, .hands = &hand, .hands_count = 1 };
    cano_process *process = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&process, argv, &options), CANO_OK);
    return process;
}

static void end_with(cano_process *process, int code)
{
    cano_exit ended = { .code = -2 };
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(ended.code, code);
    cano_process_close(process);
}

static void kill_and_end(cano_process *process)
{
    CU_ASSERT_EQUAL(cano_process_kill(process), CANO_OK);
    CU_ASSERT_EQUAL(cano_process_wait(process, NULL, SUITE_PATIENCE), CANO_OK);
    cano_process_close(process);
}

static cano_pipe *inherited(void)
{
    cano_pipe *pipe = NULL;
    if (cano_inherited_pipe("end", &pipe) != CANO_OK) {
        fprintf(stderr, "no end was handed over\n");
        exit(10);
    }
    return pipe;
}

/* ---- what the children do ---- */

/* Send each message back until the end comes. */
static int run_echo(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe = inherited();
    for (;;) {
        void *data;
        size_t size;
        const cano_status received = cano_pipe_recv_alloc(pipe, &data, &size, SUITE_PATIENCE);
        if (received == CANO_ECLOSED) {
            cano_pipe_close(pipe);
            return 0;
        }
        if (received != CANO_OK || cano_pipe_send(pipe, data, size, SUITE_PATIENCE) != CANO_OK) {
            return 1;
        }
        cano_free(data);
    }
}

/* Say that one is there, then sleep for a message that never comes. */
static int run_sleep_for_message(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe = inherited();
    cano_pipe_send(pipe, "", 0, SUITE_PATIENCE);
    return recv_status(pipe, CANO_FOREVER);
}

/* Take one message, then send until nothing goes any more: never asleep for a message. */
static int run_fill_and_sleep(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe = inherited();
    static const unsigned char message[1000];
    recv_status(pipe, CANO_FOREVER);
    while (cano_pipe_send(pipe, message, sizeof message, CANO_FOREVER) == CANO_OK) {
    }
    return 1;
}

/* Send so many numbered messages, then wait without closing. */
static int run_send_and_stay(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe = inherited();
    for (uint32_t i = 0; i < KILLED_AFTER; i++) {
        cano_pipe_send(pipe, &i, sizeof i, SUITE_PATIENCE);
    }
    return recv_status(pipe, CANO_FOREVER);
}

/* Send some messages and a large one, and leave in good order. */
static int run_send_and_leave(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe = inherited();
    unsigned char *large = malloc(MIB);
    fill(large, MIB, 1);
    cano_pipe_send(pipe, "one", 3, SUITE_PATIENCE);
    cano_pipe_send(pipe, large, MIB, SUITE_PATIENCE);
    cano_pipe_send(pipe, "two", 3, SUITE_PATIENCE);
    free(large);
    cano_pipe_close(pipe);
    return 0;
}

/* ---- options ---- */

static cano_status create_status(const cano_pipe_options *options)
{
    cano_pipe *a = NULL;
    cano_pipe *b = NULL;
    const cano_status status = cano_pipe_create(&a, &b, options);
    CU_ASSERT_EQUAL(a != NULL && b != NULL, status == CANO_OK);
    close_both(a, b);
    return status;
}

static void options_are_checked(void)
{
    struct {
        cano_pipe_options known;
        uint64_t later;
    } longer = { { .size = sizeof longer }, 0 };
    CU_ASSERT_EQUAL(create_status(NULL), CANO_OK);
    CU_ASSERT_EQUAL(create_status(&(cano_pipe_options)CANO_PIPE_OPTIONS_INIT), CANO_OK);
    CU_ASSERT_EQUAL(create_status(&longer.known), CANO_OK);
    longer.later = 1;
    CU_ASSERT_EQUAL(create_status(&longer.known), CANO_ENOTSUP);
    cano_pipe_options options = { .size = sizeof options - 1 };
    CU_ASSERT_EQUAL(create_status(&options), CANO_EINVAL);
    options = (cano_pipe_options){ .size = sizeof options, .flags = CANO_PIPE_MEMORY | CANO_PIPE_STREAM };
    CU_ASSERT_EQUAL(create_status(&options), CANO_EINVAL);
    options = (cano_pipe_options){ .size = sizeof options, .flags = 8 };
    CU_ASSERT_EQUAL(create_status(&options), CANO_EINVAL);
    options = (cano_pipe_options){ .size = sizeof options, .reserved = 1 };
    CU_ASSERT_EQUAL(create_status(&options), CANO_EINVAL);
}

static void nonsense_is_refused(void)
{
    cano_pipe *a;
    cano_pipe *b;
    char byte = 0;
    void *data;
    size_t size = 77;
    make(&a, &b, 0);
    CU_ASSERT_EQUAL(cano_pipe_create(NULL, &b, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_create(&a, NULL, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send(NULL, &byte, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send(a, NULL, 1, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send(a, &byte, SIZE_MAX, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send(a, &byte, 1, -2), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_recv(NULL, &byte, 1, &size, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_recv(a, NULL, 1, &size, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_recv(a, &byte, 1, &size, -2), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_recv_alloc(a, NULL, &size, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_recv_alloc(a, &data, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_poll(NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(NULL, a, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_recv_pipe(a, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send_queue(a, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_recv_queue(a, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_peer(NULL, NULL, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_native(a, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(size, 77);
    cano_pipe_close(NULL);
    close_both(a, b);
}

/* ---- messages ---- */

static void messages_keep_their_bounds_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    say(a, "one");
    say(a, "");
    say(a, "three");
    say(b, "back");
    CU_ASSERT_TRUE(hears(b, "one"));
    CU_ASSERT_TRUE(hears(b, ""));
    CU_ASSERT_TRUE(hears(b, "three"));
    CU_ASSERT_TRUE(hears(a, "back"));
    CU_ASSERT_EQUAL(recv_status(a, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(recv_status(b, CANO_NOW), CANO_ETIMEOUT);
    close_both(a, b);
}

static void messages_keep_their_bounds(void)
{
    over_both(messages_keep_their_bounds_over);
}

/* There and back, by a child. */
static void echo_size(cano_pipe *pipe, size_t size)
{
    unsigned char *out = calloc(1, size + 1);
    unsigned char *back = calloc(1, size + 1);
    size_t got = 0;
    fill(out, size, size);
    CU_ASSERT_EQUAL(cano_pipe_send(pipe, out, size, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv(pipe, back, size, &got, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(got, size);
    CU_ASSERT_TRUE(is_filled(back, size, size));
    free(out);
    free(back);
}

static void every_size_arrives_over(uint32_t transport)
{
    static const size_t rings[] = { 16384, 32768, 65536, 131072, 262144, 524288 };
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    cano_process *child = start("echo", b);
    for (size_t size = 0; size < 40; size++) {
        echo_size(a, size);
    }
    for (size_t i = 0; i < sizeof rings / sizeof rings[0]; i++) {
        for (size_t off = 0; off <= 24; off++) {
            echo_size(a, rings[i] - 16 + off);
        }
    }
    echo_size(a, 4 * MIB);
    echo_size(a, 16 * MIB);
    echo_size(a, 4 * MIB + 1);
    echo_size(a, 5);
    cano_pipe_close(a);
    end_with(child, 0);
}

static void every_size_arrives(void)
{
    over_both(every_size_arrives_over);
}

static void several_large_messages_wait_their_turn(void)
{
    cano_pipe *a;
    cano_pipe *b;
    unsigned char *large = malloc(MIB);
    make(&a, &b, CANO_PIPE_MEMORY);
    cano_process *child = start("echo", b);
    for (size_t i = 0; i < 2; i++) {
        fill(large, MIB, i);
        CU_ASSERT_EQUAL(cano_pipe_send(a, large, MIB - i, SUITE_PATIENCE), CANO_OK);
    }
    for (size_t i = 2; i < 40; i++) {
        size_t size = 0;
        CU_ASSERT_EQUAL(cano_pipe_recv(a, large, MIB, &size, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_TRUE(size == MIB - (i - 2) && is_filled(large, size, i - 2));
        fill(large, MIB, i);
        if (i < 38) {
            CU_ASSERT_EQUAL(cano_pipe_send(a, large, MIB - i, SUITE_PATIENCE), CANO_OK);
        }
    }
    cano_pipe_close(a);
    end_with(child, 0);
    free(large);
}

static void too_big_a_message_stays_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    static unsigned char large[300000];
    static unsigned char room[300000];
    size_t size = 0;
    make(&a, &b, transport);
    fill(large, sizeof large, 0);
    say(a, "eleven byte");
    if (transport == CANO_PIPE_MEMORY) {
        CU_ASSERT_EQUAL(cano_pipe_send(a, large, sizeof large, SUITE_PATIENCE), CANO_OK);
    }
    CU_ASSERT_EQUAL(cano_pipe_recv(b, room, 10, &size, CANO_NOW), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(size, 11);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, NULL, 0, NULL, CANO_NOW), CANO_ETOOBIG);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, CANO_NOW), CANO_OK);
    CU_ASSERT_TRUE(hears(b, "eleven byte"));
    if (transport == CANO_PIPE_MEMORY) {
        CU_ASSERT_EQUAL(cano_pipe_recv(b, room, sizeof large - 1, &size, CANO_NOW), CANO_ETOOBIG);
        CU_ASSERT_EQUAL(size, sizeof large);
        CU_ASSERT_EQUAL(cano_pipe_recv(b, room, sizeof large, &size, CANO_NOW), CANO_OK);
        CU_ASSERT_TRUE(is_filled(room, sizeof large, 0));
    }
    close_both(a, b);
}

static void too_big_a_message_stays(void)
{
    over_both(too_big_a_message_stays_over);
}

static void memory_is_made_for_the_message_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    void *data = NULL;
    size_t size = 1;
    make(&a, &b, transport);
    say(a, "");
    say(a, "tudo bem");
    CU_ASSERT_EQUAL(cano_pipe_recv_alloc(b, &data, &size, CANO_NOW), CANO_OK);
    CU_ASSERT_PTR_NOT_NULL(data);
    CU_ASSERT_EQUAL(size, 0);
    cano_free(data);
    CU_ASSERT_EQUAL(cano_pipe_recv_alloc(b, &data, &size, CANO_NOW), CANO_OK);
    CU_ASSERT_TRUE(size == 8 && memcmp(data, "tudo bem", 8) == 0);
    cano_free(data);
    CU_ASSERT_EQUAL(cano_pipe_recv_alloc(b, &data, &size, CANO_NOW), CANO_ETIMEOUT);
    close_both(a, b);
}

static void memory_is_made_for_the_message(void)
{
    over_both(memory_is_made_for_the_message_over);
}

static void simplex_goes_one_way_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_native native;
    make(&a, &b, transport | CANO_SIMPLEX);
    say(b, "down");
    CU_ASSERT_TRUE(hears(a, "down"));
    CU_ASSERT_EQUAL(cano_pipe_send(a, "up", 2, CANO_NOW), CANO_ENOTSUP);
    CU_ASSERT_EQUAL(recv_status(b, CANO_NOW), CANO_ENOTSUP);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, CANO_NOW), CANO_ENOTSUP);
    CU_ASSERT_EQUAL(cano_pipe_native(b, &native), CANO_ENOTSUP);
    CU_ASSERT_EQUAL(cano_pipe_native(a, &native), CANO_OK);
    cano_pipe_close(b);
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(a);
}

static void simplex_goes_one_way(void)
{
    over_both(simplex_goes_one_way_over);
}

/* ---- time ---- */

static void time_outs_are_kept_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    static const unsigned char message[1000];
    make(&a, &b, transport);
    int64_t began = suite_now();
    CU_ASSERT_EQUAL(recv_status(b, SHORT), CANO_ETIMEOUT);
    CU_ASSERT_TRUE(suite_now() - began >= SHORT);
    began = suite_now();
    CU_ASSERT_EQUAL(cano_pipe_poll(b, SHORT), CANO_ETIMEOUT);
    CU_ASSERT_TRUE(suite_now() - began >= SHORT);
    while (cano_pipe_send(a, message, sizeof message, CANO_NOW) == CANO_OK) {
    }
    began = suite_now();
    CU_ASSERT_EQUAL(cano_pipe_send(a, message, sizeof message, SHORT), CANO_ETIMEOUT);
    CU_ASSERT_TRUE(suite_now() - began >= SHORT);
    CU_ASSERT_TRUE(suite_now() - began < SUITE_PATIENCE / 2);
    close_both(a, b);
}

static void time_outs_are_kept(void)
{
    over_both(time_outs_are_kept_over);
}

static void a_full_pipe_loses_nothing_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    uint32_t sent = 0;
    uint32_t got = 0;
    uint32_t number;
    make(&a, &b, transport);
    for (int round = 0; round < 5; round++) {
        while (cano_pipe_send(a, &sent, sizeof sent, CANO_NOW) == CANO_OK) {
            sent++;
        }
        for (int i = 0; i < 100; i++) {
            CU_ASSERT_EQUAL(cano_pipe_recv(b, &number, sizeof number, NULL, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL(number, got++);
        }
    }
    while (cano_pipe_recv(b, &number, sizeof number, NULL, CANO_NOW) == CANO_OK) {
        CU_ASSERT_EQUAL(number, got++);
    }
    CU_ASSERT_EQUAL(got, sent);
    close_both(a, b);
}

static void a_full_pipe_loses_nothing(void)
{
    over_both(a_full_pipe_loses_nothing_over);
}

/* ---- the end ---- */

static void what_was_sent_is_received_before_the_end_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    void *data;
    size_t size;
    make(&a, &b, transport);
    cano_process *child = start("send and leave", b);
    CU_ASSERT_TRUE(hears(a, "one"));
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_alloc(a, &data, &size, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_TRUE(size == MIB && is_filled(data, size, 1));
    cano_free(data);
    CU_ASSERT_TRUE(hears(a, "two"));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
        CU_ASSERT_EQUAL(recv_status(a, CANO_NOW), CANO_ECLOSED);
        CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_ECLOSED);
        CU_ASSERT_EQUAL(cano_pipe_poll(a, CANO_NOW), CANO_OK);
    }
    cano_pipe_close(a);
    end_with(child, 0);
}

static void what_was_sent_is_received_before_the_end(void)
{
    over_both(what_was_sent_is_received_before_the_end_over);
}

static void unread_messages_do_not_turn_the_end_into_a_failure_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    say(a, "never read");
    say(b, "read");
    cano_pipe_close(b);
    CU_ASSERT_TRUE(hears(a, "read"));
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_ECLOSED);
    cano_pipe_close(a);
}

static void unread_messages_do_not_turn_the_end_into_a_failure(void)
{
    over_both(unread_messages_do_not_turn_the_end_into_a_failure_over);
}

static void sending_to_a_closed_end_is_closed_at_once_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    cano_pipe_close(b);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_ECLOSED);
    cano_pipe_close(a);
    make(&a, &b, transport);
    say(a, "x");
    CU_ASSERT_TRUE(hears(b, "x"));
    cano_pipe_close(b);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_ECLOSED);
    cano_pipe_close(a);
}

static void sending_to_a_closed_end_is_closed_at_once(void)
{
    over_both(sending_to_a_closed_end_is_closed_at_once_over);
}

static void a_killed_sleeper_is_noticed_at_once_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    cano_process *child = start("sleep for message", b);
    CU_ASSERT_TRUE(hears(a, ""));
    kill_and_end(child);
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_ECLOSED);
    cano_pipe_close(a);
}

static void a_killed_sleeper_is_noticed_at_once(void)
{
    over_both(a_killed_sleeper_is_noticed_at_once_over);
}

static void kill_from_thread(void *process)
{
    CU_ASSERT_EQUAL(cano_process_kill(process), CANO_OK);
}

/* We sleep in recv, then in send on a full pipe, while the peer is killed. */
static void a_sleeper_hears_of_a_killing_over(uint32_t transport)
{
    static const unsigned char message[1000];
    for (int sending = 0; sending < 2; sending++) {
        cano_pipe *a;
        cano_pipe *b;
        make(&a, &b, transport);
        cano_process *child = start("sleep for message", b);
        CU_ASSERT_TRUE(hears(a, ""));
        suite_thread *killer = suite_thread_start(kill_from_thread, child);
        cano_status status = sending ? CANO_OK : recv_status(a, SUITE_PATIENCE);
        while (status == CANO_OK) {
            status = cano_pipe_send(a, message, sizeof message, SUITE_PATIENCE);
        }
        CU_ASSERT_EQUAL(status, CANO_ECLOSED);
        suite_thread_end(killer);
        cano_process_wait(child, NULL, SUITE_PATIENCE);
        cano_process_close(child);
        cano_pipe_close(a);
    }
}

static void a_sleeper_hears_of_a_killing(void)
{
    over_both(a_sleeper_hears_of_a_killing_over);
}

static void a_reader_killed_while_awake_is_noticed_soon(void)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, CANO_PIPE_MEMORY);
    say(a, "go");
    cano_process *child = start("fill and sleep", b);
    CU_ASSERT_EQUAL(cano_pipe_poll(a, SUITE_PATIENCE), CANO_OK);
    kill_and_end(child);
    int sends = 0;
    while (sends < 1000 && cano_pipe_send(a, "x", 1, CANO_NOW) == CANO_OK) {
        sends++;
    }
    CU_ASSERT_TRUE(sends > 0 && sends <= 64);
    cano_pipe_close(a);
}

static void all_that_a_killed_sender_had_sent_is_received_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    uint32_t number = 0;
    make(&a, &b, transport);
    cano_process *child = start("send and stay", b);
    for (uint32_t i = 0; i < KILLED_AFTER; i++) {
        CU_ASSERT_EQUAL(cano_pipe_recv(a, &number, sizeof number, NULL, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(number, i);
    }
    kill_and_end(child);
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(a);
}

static void all_that_a_killed_sender_had_sent_is_received(void)
{
    over_both(all_that_a_killed_sender_had_sent_is_received_over);
}

/* Killed in the middle of sending, the ring full: whole messages, then the end. */
static void a_sender_killed_on_a_full_pipe_leaves_whole_messages_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    unsigned char message[1000];
    size_t size;
    make(&a, &b, transport);
    say(a, "go");
    cano_process *child = start("fill and sleep", b);
    for (int i = 0; i < 300; i++) {
        CU_ASSERT_EQUAL(cano_pipe_recv(a, message, sizeof message, &size, SUITE_PATIENCE), CANO_OK);
    }
    kill_and_end(child);
    cano_status status;
    while ((status = cano_pipe_recv(a, message, sizeof message, &size, SUITE_PATIENCE)) == CANO_OK) {
        CU_ASSERT_EQUAL(size, sizeof message);
    }
    CU_ASSERT_EQUAL(status, CANO_ECLOSED);
    cano_pipe_close(a);
}

static void a_sender_killed_on_a_full_pipe_leaves_whole_messages(void)
{
    over_both(a_sender_killed_on_a_full_pipe_leaves_whole_messages_over);
}

/* ---- threads ---- */

typedef struct sleeper {
    cano_pipe *pipe;
    bool sends;
    cano_status status;
    _Atomic int began;
} sleeper;

static void sleep_in_call(void *context)
{
    sleeper *self = context;
    static const unsigned char message[1000];
    atomic_store(&self->began, 1);
    do {
        self->status = self->sends ? cano_pipe_send(self->pipe, message, sizeof message, CANO_FOREVER)
                                   : recv_status(self->pipe, CANO_FOREVER);
    } while (self->status == CANO_OK);
}

/* Also when close is faster than the thread, which then is inside, or has not begun and must not: so it is given time. */
static void close_wakes_sleepers_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    sleeper sleepers[4];
    suite_thread *threads[4];
    for (int i = 0; i < 4; i++) {
        sleepers[i] = (sleeper){ .pipe = a, .sends = i % 2 != 0 };
        threads[i] = suite_thread_start(sleep_in_call, &sleepers[i]);
    }
    int64_t since = 0;
    for (int i = 0; i < 4; i++) {
        while (!atomic_load(&sleepers[i].began) && suite_patience(&since)) {
        }
    }
    CU_ASSERT_EQUAL(recv_status(a, SHORT), CANO_ETIMEOUT);
    cano_pipe_close(a);
    for (int i = 0; i < 4; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_EQUAL(sleepers[i].status, CANO_ECLOSED);
    }
    cano_pipe_close(b);
}

static void close_wakes_sleepers(void)
{
    over_both(close_wakes_sleepers_over);
}

typedef struct tagged {
    uint32_t sender;
    uint32_t number;
    unsigned char tail[24];
} tagged;

typedef struct sender {
    cano_pipe *pipe;
    uint32_t id;
    int failures;
} sender;

/* Messages of different sizes whose every byte belongs to their sender. */
static void send_many(void *context)
{
    sender *self = context;
    tagged message = { .sender = self->id };
    memset(message.tail, (int)self->id, sizeof message.tail);
    for (uint32_t i = 0; i < MESSAGES_EACH; i++) {
        message.number = i;
        self->failures += cano_pipe_send(self->pipe, &message, 8 + i % 25, SUITE_PATIENCE) != CANO_OK;
    }
}

static bool is_whole(const tagged *message, size_t size)
{
    if (message->sender >= SENDERS || size != 8 + message->number % 25) {
        return false;
    }
    for (size_t i = 0; i < size - 8; i++) {
        if (message->tail[i] != message->sender) {
            return false;
        }
    }
    return true;
}

static void two_senders_do_not_interleave_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    sender senders[SENDERS];
    suite_thread *threads[SENDERS];
    uint32_t next[SENDERS] = { 0 };
    int bad = 0;
    make(&a, &b, transport);
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (sender){ .pipe = a, .id = i };
        threads[i] = suite_thread_start(send_many, &senders[i]);
    }
    for (int i = 0; i < SENDERS * MESSAGES_EACH && bad == 0; i++) {
        tagged message;
        size_t size = 0;
        bad += cano_pipe_recv(b, &message, sizeof message, &size, SUITE_PATIENCE) != CANO_OK || !is_whole(&message, size) ||
               message.number != next[message.sender]++;
    }
    CU_ASSERT_EQUAL(bad, 0);
    for (uint32_t i = 0; i < SENDERS; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_EQUAL(senders[i].failures, 0);
    }
    close_both(a, b);
}

static void two_senders_do_not_interleave(void)
{
    over_both(two_senders_do_not_interleave_over);
}

typedef struct getter {
    cano_pipe *pipe;
    _Atomic uint32_t *seen; /* by number */
    int failures;
} getter;

#define SHARED_MESSAGES 50000

static void get_many(void *context)
{
    getter *self = context;
    uint32_t number;
    while (cano_pipe_recv(self->pipe, &number, sizeof number, NULL, SUITE_PATIENCE) == CANO_OK) {
        if (number == UINT32_MAX) {
            return;
        }
        self->failures += number >= SHARED_MESSAGES || atomic_fetch_add(&self->seen[number], 1) != 0;
    }
    self->failures++;
}

static void two_receivers_share_the_messages_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    getter getters[2];
    suite_thread *threads[2];
    _Atomic uint32_t *seen = calloc(SHARED_MESSAGES, sizeof *seen);
    const uint32_t stop = UINT32_MAX;
    make(&a, &b, transport);
    for (int i = 0; i < 2; i++) {
        getters[i] = (getter){ .pipe = b, .seen = seen };
        threads[i] = suite_thread_start(get_many, &getters[i]);
    }
    for (uint32_t i = 0; i < SHARED_MESSAGES; i++) {
        CU_ASSERT_EQUAL(cano_pipe_send(a, &i, sizeof i, SUITE_PATIENCE), CANO_OK);
    }
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(cano_pipe_send(a, &stop, sizeof stop, SUITE_PATIENCE), CANO_OK);
    }
    uint32_t missing = 0;
    for (int i = 0; i < 2; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_EQUAL(getters[i].failures, 0);
    }
    for (uint32_t i = 0; i < SHARED_MESSAGES; i++) {
        missing += atomic_load(&seen[i]) != 1;
    }
    CU_ASSERT_EQUAL(missing, 0);
    free(seen);
    close_both(a, b);
}

static void two_receivers_share_the_messages(void)
{
    over_both(two_receivers_share_the_messages_over);
}

/* ---- passing ---- */

/* The end arrives with what waits in it: small and large, and bells that were never read. */
static void an_end_moves_with_its_messages_over(uint32_t carrier, uint32_t cargo)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *here;
    cano_pipe *there;
    static unsigned char large[300000];
    void *data;
    size_t size;
    make(&a, &b, carrier);
    make(&here, &there, cargo);
    fill(large, sizeof large, 3);
    for (int hop = 0; hop < 3; hop++) {
        say(here, "first");
        if (cargo == CANO_PIPE_MEMORY) {
            CU_ASSERT_EQUAL(cano_pipe_send(here, large, sizeof large, SUITE_PATIENCE), CANO_OK);
        }
        say(here, "last");
        say(there, "from the far end");
        CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, there, SUITE_PATIENCE), CANO_OK);
        say(here, "while it travels");
        CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &there, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_TRUE(hears(there, "first"));
        if (cargo == CANO_PIPE_MEMORY) {
            CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_alloc(there, &data, &size, SUITE_PATIENCE), CANO_OK);
            CU_ASSERT_TRUE(size == sizeof large && is_filled(data, size, 3));
            cano_free(data);
        }
        CU_ASSERT_TRUE(hears(there, "last"));
        CU_ASSERT_TRUE(hears(there, "while it travels"));
        CU_ASSERT_TRUE(hears(here, "from the far end"));
        CU_ASSERT_EQUAL(recv_status(there, CANO_NOW), CANO_ETIMEOUT);
    }
    cano_pipe_close(here);
    CU_ASSERT_EQUAL(recv_status(there, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(there);
    close_both(a, b);
}

static void an_end_moves_with_its_messages(void)
{
    for (int i = 0; i < 4; i++) {
        an_end_moves_with_its_messages_over(transports[i / 2], transports[i % 2]);
    }
}

/* The other end moves while large messages wait in it, again and again: who reads then still finds them. */
static void both_ends_move_in_turn(void)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *here;
    cano_pipe *there;
    static unsigned char large[300000];
    static unsigned char back[300000];
    size_t size = 0;
    make(&a, &b, CANO_PIPE_MEMORY);
    make(&here, &there, CANO_PIPE_MEMORY);
    for (uint64_t i = 0; i < 20; i++) {
        fill(large, sizeof large, i);
        CU_ASSERT_EQUAL(cano_pipe_send(here, large, sizeof large, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, i % 2 ? here : there, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, i % 2 ? &here : &there, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(cano_pipe_recv(there, back, sizeof back, &size, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_TRUE(size == sizeof back && is_filled(back, size, i));
    }
    close_both(here, there);
    close_both(a, b);
}

/* To a child and back. */
static int run_pass_back(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe = inherited();
    cano_pipe *passed;
    if (cano_pipe_recv_pipe(pipe, &passed, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    if (!hears(passed, "para a crianca") || cano_pipe_send(passed, "da crianca", 10, SUITE_PATIENCE) != CANO_OK) {
        return 2;
    }
    const cano_status status = cano_pipe_send_pipe(pipe, passed, SUITE_PATIENCE);
    cano_pipe_close(pipe);
    return status == CANO_OK ? 0 : 3;
}

static void an_end_goes_to_a_child_and_back_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *here;
    cano_pipe *there;
    make(&a, &b, transport);
    make(&here, &there, transport);
    cano_process *child = start("pass back", b);
    say(here, "para a crianca");
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, there, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_TRUE(hears(here, "da crianca"));
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(a, &there, SUITE_PATIENCE), CANO_OK);
    end_with(child, 0);
    say(there, "again");
    CU_ASSERT_TRUE(hears(here, "again"));
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    close_both(here, there);
    cano_pipe_close(a);
}

static void an_end_goes_to_a_child_and_back(void)
{
    over_both(an_end_goes_to_a_child_and_back_over);
}

static void an_end_that_dies_on_its_way_ends_the_conversation_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *here;
    cano_pipe *there;
    make(&a, &b, transport);
    make(&here, &there, transport);
    say(there, "last words");
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, there, SUITE_PATIENCE), CANO_OK);
    close_both(a, b);
    CU_ASSERT_TRUE(hears(here, "last words"));
    CU_ASSERT_EQUAL(recv_status(here, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(here);
}

static void an_end_that_dies_on_its_way_ends_the_conversation(void)
{
    over_both(an_end_that_dies_on_its_way_ends_the_conversation_over);
}

static void kinds_are_not_mixed_up_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *here;
    cano_pipe *there;
    cano_pipe *passed = NULL;
    cano_queue *queue = NULL;
    void *data;
    size_t size;
    make(&a, &b, transport);
    make(&here, &there, transport);
    say(a, "");
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, there, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv_pipe(b, &passed, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_pipe_recv_queue(b, &queue, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, CANO_NOW), CANO_OK);
    CU_ASSERT_TRUE(hears(b, ""));
    CU_ASSERT_EQUAL(recv_status(b, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_pipe_recv_alloc(b, &data, &size, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_pipe_recv_queue(b, &queue, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &passed, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv_pipe(b, &there, CANO_NOW), CANO_ETIMEOUT);
    say(here, "still works");
    CU_ASSERT_TRUE(hears(passed, "still works"));
    close_both(here, passed);
    close_both(a, b);
}

static void kinds_are_not_mixed_up(void)
{
    over_both(kinds_are_not_mixed_up_over);
}

static void a_pipe_does_not_go_through_itself_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, a, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, b, CANO_NOW), CANO_EINVAL);
    say(a, "unharmed");
    CU_ASSERT_TRUE(hears(b, "unharmed"));
    close_both(a, b);
}

static void a_pipe_does_not_go_through_itself(void)
{
    over_both(a_pipe_does_not_go_through_itself_over);
}

static void an_end_that_cannot_be_sent_stays_over(uint32_t transport)
{
    static const unsigned char message[1000];
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *here;
    cano_pipe *there;
    make(&a, &b, transport);
    make(&here, &there, transport);
    while (cano_pipe_send(a, message, sizeof message, CANO_NOW) == CANO_OK) {
    }
    while (cano_pipe_send(a, "", 0, CANO_NOW) == CANO_OK) {
    }
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, there, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, there, SHORT), CANO_ETIMEOUT);
    cano_pipe_close(b);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, there, SHORT), CANO_ECLOSED);
    say(here, "here");
    CU_ASSERT_TRUE(hears(there, "here"));
    close_both(here, there);
    cano_pipe_close(a);
}

static void an_end_that_cannot_be_sent_stays(void)
{
    over_both(an_end_that_cannot_be_sent_stays_over);
}

static void an_end_in_use_is_not_sent_over(uint32_t transport)
{
    static const unsigned char message[1000];
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *here;
    cano_pipe *there;
    make(&a, &b, transport);
    make(&here, &there, transport);
    while (cano_pipe_send(a, message, sizeof message, CANO_NOW) == CANO_OK || cano_pipe_send(a, "", 0, CANO_NOW) == CANO_OK) {
    }
    sleeper inside = { .pipe = there };
    suite_thread *thread = suite_thread_start(sleep_in_call, &inside);
    int64_t since = 0;
    cano_status status;
    do { /* as long as the thread is not inside, the carrier is full */
        status = cano_pipe_send_pipe(a, there, CANO_NOW);
    } while (status == CANO_ETIMEOUT && suite_patience(&since));
    CU_ASSERT_EQUAL(status, CANO_EINVAL);
    cano_pipe_close(here);
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(inside.status, CANO_ECLOSED);
    cano_pipe_close(there);
    close_both(a, b);
}

static void an_end_in_use_is_not_sent(void)
{
    over_both(an_end_in_use_is_not_sent_over);
}

/* ---- queues ---- */

static int run_put_into_passed(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe = inherited();
    cano_queue *queue;
    if (cano_pipe_recv_queue(pipe, &queue, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    const cano_status status = cano_queue_put(queue, "via cano", 8, SUITE_PATIENCE);
    cano_queue_close(queue);
    cano_pipe_close(pipe);
    return status;
}

static void a_queue_is_shared_through_a_pipe_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_queue *queue;
    char message[16];
    size_t size = 0;
    make(&a, &b, transport);
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, NULL), CANO_OK);
    cano_process *child = start("put into passed", b);
    CU_ASSERT_EQUAL(cano_pipe_send_queue(a, queue, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, message, sizeof message, &size, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_TRUE(size == 8 && memcmp(message, "via cano", 8) == 0);
    end_with(child, 0);
    cano_queue_close(queue);
    cano_pipe_close(a);
}

static void a_queue_is_shared_through_a_pipe(void)
{
    over_both(a_queue_is_shared_through_a_pipe_over);
}

static void a_queue_of_threads_stays(void)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_queue *queue;
    const cano_queue_options options = { .size = sizeof options, .scope = CANO_THREADS };
    make(&a, &b, 0);
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, &options), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send_queue(a, queue, CANO_NOW), CANO_EINVAL);
    cano_queue_close(queue);
    close_both(a, b);
}

static void a_queue_is_not_a_pipe(void)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *passed;
    cano_queue *queue;
    make(&a, &b, 0);
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send_queue(a, queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_pipe_recv_pipe(b, &passed, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(recv_status(b, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_queue(b, &queue, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
    close_both(a, b);
}

/* ---- the rest ---- */

static void the_peer_is_known(void)
{
    const char *name = suite_name("peer");
    cano_listener *listener;
    cano_pipe *pipe;
    int64_t pid = 0;
    int64_t uid = -2;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    suite_child *child = suite_start("call", name, NULL);
    CU_ASSERT_EQUAL_FATAL(cano_listener_accept(listener, &pipe, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_peer(pipe, &pid, &uid), CANO_OK);
    CU_ASSERT_TRUE(pid == suite_pid(child) || pid == -1);
    CU_ASSERT_TRUE(uid >= -1);
    CU_ASSERT_EQUAL(cano_pipe_peer(pipe, NULL, NULL), CANO_OK);
    cano_pipe_close(pipe);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
    cano_listener_close(listener);
}

static int run_call(int argc, char **argv)
{
    cano_pipe *pipe;
    if (argc < 1 || cano_connect(&pipe, argv[0], NULL, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    const cano_status status = recv_status(pipe, SUITE_PATIENCE);
    cano_pipe_close(pipe);
    return status == CANO_ECLOSED ? 0 : 2;
}

static void waiting_finds_messages_and_the_end_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *c;
    cano_pipe *d;
    size_t ready = 9;
    make(&a, &b, transport);
    make(&c, &d, transport);
    const cano_object objects[] = { { .pipe = a }, { .pipe = c } };
    CU_ASSERT_EQUAL(cano_wait(objects, 2, &ready, SHORT), CANO_ETIMEOUT);
    for (int i = 0; i < 3; i++) {
        say(d, "x");
        say(d, "y");
        CU_ASSERT_EQUAL(cano_wait(objects, 2, &ready, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(ready, 1);
        CU_ASSERT_TRUE(hears(c, "x"));
        CU_ASSERT_EQUAL(cano_wait(objects, 2, &ready, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(ready, 1);
        CU_ASSERT_TRUE(hears(c, "y"));
        CU_ASSERT_EQUAL(cano_wait(objects, 2, &ready, CANO_NOW), CANO_ETIMEOUT);
    }
    cano_pipe_close(b);
    CU_ASSERT_EQUAL(cano_wait(objects, 2, &ready, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(ready, 0);
    cano_pipe_close(a);
    close_both(c, d);
}

static void waiting_finds_messages_and_the_end(void)
{
    over_both(waiting_finds_messages_and_the_end_over);
}

/* A leak of descriptors or of memory would end it before it is done. */
static void pipes_come_and_go_over(uint32_t transport)
{
    for (int i = 0; i < ROUNDS; i++) {
        cano_pipe *a = NULL;
        cano_pipe *b = NULL;
        make(&a, &b, transport | (i % 2 ? CANO_SIMPLEX : 0));
        say(b, "x");
        CU_ASSERT_TRUE(hears(a, "x"));
        close_both(a, b);
    }
}

static void pipes_come_and_go(void)
{
    over_both(pipes_come_and_go_over);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "options are checked", options_are_checked },
        { "nonsense is refused", nonsense_is_refused },
        { "messages keep their bounds", messages_keep_their_bounds },
        { "every size arrives", every_size_arrives },
        { "several large messages wait their turn", several_large_messages_wait_their_turn },
        { "too big a message stays", too_big_a_message_stays },
        { "memory is made for the message", memory_is_made_for_the_message },
        { "simplex goes one way", simplex_goes_one_way },
        { "time-outs are kept", time_outs_are_kept },
        { "a full pipe loses nothing", a_full_pipe_loses_nothing },
        { "what was sent is received before the end", what_was_sent_is_received_before_the_end },
        { "unread messages do not turn the end into a failure", unread_messages_do_not_turn_the_end_into_a_failure },
        { "sending to a closed end is closed at once", sending_to_a_closed_end_is_closed_at_once },
        { "a killed sleeper is noticed at once", a_killed_sleeper_is_noticed_at_once },
        { "a sleeper hears of a killing", a_sleeper_hears_of_a_killing },
        { "a reader killed while awake is noticed soon", a_reader_killed_while_awake_is_noticed_soon },
        { "all that a killed sender had sent is received", all_that_a_killed_sender_had_sent_is_received },
        { "a sender killed on a full pipe leaves whole messages", a_sender_killed_on_a_full_pipe_leaves_whole_messages },
        { "close wakes sleepers", close_wakes_sleepers },
        { "two senders do not interleave", two_senders_do_not_interleave },
        { "two receivers share the messages", two_receivers_share_the_messages },
        { "an end moves with its messages", an_end_moves_with_its_messages },
        { "both ends move in turn", both_ends_move_in_turn },
        { "an end goes to a child and back", an_end_goes_to_a_child_and_back },
        { "an end that dies on its way ends the conversation", an_end_that_dies_on_its_way_ends_the_conversation },
        { "kinds are not mixed up", kinds_are_not_mixed_up },
        { "a pipe does not go through itself", a_pipe_does_not_go_through_itself },
        { "an end that cannot be sent stays", an_end_that_cannot_be_sent_stays },
        { "an end in use is not sent", an_end_in_use_is_not_sent },
        { "a queue is shared through a pipe", a_queue_is_shared_through_a_pipe },
        { "a queue of threads stays", a_queue_of_threads_stays },
        { "a queue is not a pipe", a_queue_is_not_a_pipe },
        { "the peer is known", the_peer_is_known },
        { "waiting finds messages and the end", waiting_finds_messages_and_the_end },
        { "pipes come and go", pipes_come_and_go },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "echo", run_echo },
        { "sleep for message", run_sleep_for_message },
        { "fill and sleep", run_fill_and_sleep },
        { "send and stay", run_send_and_stay },
        { "send and leave", run_send_and_leave },
        { "pass back", run_pass_back },
        { "put into passed", run_put_into_passed },
        { "call", run_call },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe", tests, roles);
}
