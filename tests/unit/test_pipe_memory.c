/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory transport from inside: the edges of the ring, the segments of large messages, the bells.
 */
#include "suite.h"

#include "pipe_end.h"

#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1024)

/* ---- helpers ---- */

static cano_pipe *a;
static cano_pipe *b;
static unsigned char *out;
static unsigned char *back;
static size_t room;

static void open_pipe(size_t bytes)
{
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&a, &b, NULL), CANO_OK);
    room = bytes;
    out = calloc(1, bytes);
    back = calloc(1, bytes);
}

static void close_pipe(void)
{
    cano_pipe_close(a);
    cano_pipe_close(b);
    free(out);
    free(back);
}

static void fill(size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (unsigned char)((i + seed) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
    }
}

static void send_size(size_t size, uint64_t seed)
{
    fill(size, seed);
    CU_ASSERT_EQUAL(cano_pipe_send(a, out, size, CANO_NOW), CANO_OK);
}

static void recv_size(size_t size, uint64_t seed)
{
    size_t got = SIZE_MAX;
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, room, &got, CANO_NOW), CANO_OK);
    fill(size, seed);
    CU_ASSERT_TRUE(got == size && memcmp(out, back, size) == 0);
}

/* ---- the ring ---- */

/* With each size the ring is gone through several times, so the edge is met at many offsets. */
static void sizes_around_the_ring_arrive_at_every_offset(void)
{
    open_pipe(2 * KIB * KIB);
    const size_t bytes = (size_t)a->writer.ring.units * CANO_RING_UNIT;
    const size_t largest = (size_t)cano_ring_largest(&a->writer.ring);
    const size_t edges[] = { 0, 8, 1000, bytes / 4, largest, bytes / 2, bytes, 2 * bytes };
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        for (size_t size = edges[i] < 9 ? 0 : edges[i] - 9; size <= edges[i] + 9; size++) {
            for (uint64_t round = 0; round < 4; round++) {
                send_size(size, round);
                recv_size(size, round);
            }
            send_size(0, 0);
            recv_size(0, 0);
        }
    }
    close_pipe();
}

static void a_full_ring_takes_a_message_once_there_is_room(void)
{
    open_pipe(64 * KIB);
    uint64_t sent = 0;
    uint64_t got = 0;
    for (size_t size = 1; size < 3000; size += 97) {
        while (fill(size, sent), cano_pipe_send(a, out, size, CANO_NOW) == CANO_OK) {
            sent++;
        }
        const uint64_t units = cano_ring_units_of(size);
        CU_ASSERT_TRUE(a->writer.tail - a->writer.head + 2 * units + 1 > a->writer.ring.units);
        while (got < sent) {
            recv_size(size, got++);
        }
    }
    close_pipe();
}

/* ---- large messages ---- */

static uint32_t count_of_handles(const cano_pipe *pipe)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CANO_PIPE_SLOTS; i++) {
        count += pipe->reader.slots[i].base != NULL;
    }
    return count;
}

static void large_messages_use_the_same_segments_again(void)
{
    open_pipe(2 * KIB * KIB);
    send_size(300 * KIB, 1);
    send_size(300 * KIB, 2);
    CU_ASSERT_EQUAL(cano_pipe_send(a, out, 300 * KIB, CANO_NOW), CANO_ETIMEOUT); /* both are full */
    recv_size(300 * KIB, 1);
    recv_size(300 * KIB, 2);
    const cano_os_handle handles[2] = { a->writer.slots[0].segment.handle, a->writer.slots[1].segment.handle };
    for (uint64_t i = 0; i < 10; i++) {
        send_size(400 * KIB, i);
        send_size(260 * KIB, i + 1);
        recv_size(400 * KIB, i);
        recv_size(260 * KIB, i + 1);
    }
    CU_ASSERT_EQUAL(a->writer.slots[0].segment.handle, handles[0]);
    CU_ASSERT_EQUAL(a->writer.slots[1].segment.handle, handles[1]);
    CU_ASSERT_EQUAL(count_of_handles(b), 2);
    send_size(2 * KIB * KIB, 1); /* does not fit in there: a new one in its place */
    recv_size(2 * KIB * KIB, 1);
    CU_ASSERT_EQUAL(count_of_handles(b), 2);
    close_pipe();
}

static void a_very_large_message_leaves_no_memory_behind(void)
{
    open_pipe(8 * KIB * KIB);
    for (uint64_t i = 0; i < 4; i++) {
        send_size(8 * KIB * KIB, i);
        CU_ASSERT_PTR_NULL(a->writer.slots[0].segment.base);
        recv_size(8 * KIB * KIB, i);
    }
    CU_ASSERT_PTR_NULL(a->writer.slots[1].segment.base);
    CU_ASSERT_EQUAL(count_of_handles(b), 0);
    close_pipe();
}

static void a_bounded_number_of_very_large_messages_waits(void)
{
    open_pipe(8 * KIB * KIB);
    send_size(8 * KIB * KIB, 0);
    send_size(8 * KIB * KIB, 1);
    CU_ASSERT_EQUAL(cano_pipe_send(a, out, 8 * KIB * KIB, CANO_NOW), CANO_ETIMEOUT);
    send_size(100, 2); /* small ones still go */
    recv_size(8 * KIB * KIB, 0);
    send_size(8 * KIB * KIB, 3);
    recv_size(8 * KIB * KIB, 1);
    recv_size(100, 2);
    recv_size(8 * KIB * KIB, 3);
    close_pipe();
}

/* Move an end as a spawn or a pipe does. */
static void move(cano_pipe **end)
{
    cano_pipe *carrier[2];
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&carrier[0], &carrier[1], NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(carrier[0], *end, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(carrier[1], end, CANO_NOW), CANO_OK);
    cano_pipe_close(carrier[0]);
    cano_pipe_close(carrier[1]);
}

/* What the writer does not send again, the new owner must have. */
static void a_moved_reader_has_the_segments_of_the_old_one(void)
{
    open_pipe(2 * KIB * KIB);
    send_size(300 * KIB, 1);
    send_size(300 * KIB, 2);
    recv_size(300 * KIB, 1);
    recv_size(300 * KIB, 2);
    send_size(290 * KIB, 3); /* in a segment that the reader has mapped */
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
    move(&b);
    CU_ASSERT_EQUAL(count_of_handles(b), 2);
    recv_size(290 * KIB, 3);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
    send_size(280 * KIB, 4);
    recv_size(280 * KIB, 4);
    close_pipe();
}

/* It begins anew with segments; those of the old one are read to the end. */
static void a_moved_writer_does_not_touch_what_waits(void)
{
    open_pipe(2 * KIB * KIB);
    send_size(300 * KIB, 1);
    send_size(300 * KIB, 2);
    move(&a);
    send_size(300 * KIB, 3);
    send_size(300 * KIB, 4);
    for (uint64_t i = 1; i <= 4; i++) {
        recv_size(300 * KIB, i);
    }
    close_pipe();
}

static void a_moved_writer_finds_the_end_of_the_ring(void)
{
    open_pipe(64 * KIB);
    uint64_t sent = 0;
    uint64_t got = 0;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 7; i++) {
            send_size(sent * 131 % 5000, sent);
            sent++;
        }
        move(round % 2 ? &a : &b);
        while (sent - got > 3) {
            recv_size(got * 131 % 5000, got);
            got++;
        }
    }
    close_pipe();
}

/* ---- bells ---- */

static bool is_readable(const cano_pipe *pipe)
{
    cano_os_pollable pollable = { pipe->reader.bell.stream->handle, false, false };
    return cano_os_poll(&pollable, 1, 0) == CANO_OK;
}

static void the_watched_handle_is_ready_when_something_is_there(void)
{
    open_pipe(64);
    cano_native native;
    CU_ASSERT_EQUAL(cano_pipe_native(b, &native), CANO_OK);
    for (int round = 0; round < 50; round++) {
        CU_ASSERT_FALSE(is_readable(b));
        for (int i = 0; i <= round % 5; i++) {
            CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
            CU_ASSERT_TRUE(is_readable(b));
        }
        for (int i = 0; i <= round % 5; i++) {
            CU_ASSERT_TRUE(is_readable(b));
            CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
        }
    }
    cano_pipe_close(a);
    CU_ASSERT_TRUE(is_readable(b));
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_ECLOSED);
    CU_ASSERT_TRUE(is_readable(b));
    a = NULL;
    close_pipe();
}

static void the_handle_is_ready_for_what_came_before_it_was_asked_for(void)
{
    open_pipe(64);
    for (int history = 0; history < 3; history++) { /* never read; read; read and found empty */
        cano_native native;
        CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
        if (history > 0) {
            CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL(history < 2 ? CANO_ETIMEOUT : cano_pipe_recv(b, back, 1, NULL, 100), CANO_ETIMEOUT);
            CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
        }
        CU_ASSERT_EQUAL(cano_pipe_native(b, &native), CANO_OK);
        CU_ASSERT_TRUE(is_readable(b));
        CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
        CU_ASSERT_FALSE(is_readable(b));
        cano_pipe_close(a);
        cano_pipe_close(b);
        CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&a, &b, NULL), CANO_OK);
    }
    close_pipe();
}

static void a_watched_end_stays_watched_when_it_moves(void)
{
    open_pipe(64);
    cano_native native;
    CU_ASSERT_EQUAL(cano_pipe_native(b, &native), CANO_OK);
    move(&b);
    CU_ASSERT_FALSE(is_readable(b));
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
    move(&b);
    CU_ASSERT_TRUE(is_readable(b));
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
    CU_ASSERT_FALSE(is_readable(b));
    close_pipe();
}

static void publish_quietly(cano_writer *writer)
{
    cano_ring_batch batch = cano_ring_begin(&writer->ring, writer->tail);
    cano_ring_append(&batch, CANO_RING_DATA, 1);
    writer->tail = cano_ring_commit(&batch);
}

static bool is_there_now(void *context)
{
    (void)context;
    return true;
}

/* One who looks just when a message has been published and its bell not yet rung must not be the reason that none is rung. */
static void a_look_between_message_and_bell_costs_no_bell(void)
{
    open_pipe(64);
    cano_native native;
    CU_ASSERT_EQUAL(cano_pipe_native(b, &native), CANO_OK);
    for (int i = 0; i < 3; i++) {
        publish_quietly(&a->writer);
        CU_ASSERT_EQUAL(cano_doorbell_settle(&b->reader.bell, is_there_now, NULL), CANO_OK);
        CU_ASSERT_EQUAL(cano_doorbell_ring(&a->writer.bell), CANO_OK);
        CU_ASSERT_TRUE(is_readable(b));
        CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
        CU_ASSERT_FALSE(is_readable(b));
    }
    close_pipe();
}

/* Nothing is there, but comes just after the look. */
static bool comes_now(void *context)
{
    cano_writer *writer = context;
    publish_quietly(writer);
    CU_ASSERT_EQUAL(cano_doorbell_ring(&writer->bell), CANO_OK);
    return false;
}

/* The bells of messages that are gone are read, but not that of the one just come. */
static void a_bell_that_comes_behind_the_look_is_not_eaten(void)
{
    open_pipe(64);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_doorbell_settle(&b->reader.bell, comes_now, &a->writer), CANO_OK);
        CU_ASSERT_TRUE(is_readable(b));
        CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_OK);
    }
    close_pipe();
}

/* The record alone, when its handles are on their way already. */
static void publish_passed(cano_writer *writer, const cano_pipe_parts *parts)
{
    const cano_pipe_passed passed = { CANO_THING_PIPE, parts->handle_count, parts->size, 0 };
    cano_ring_batch batch = cano_ring_begin(&writer->ring, writer->tail);
    unsigned char *payload = cano_ring_append(&batch, CANO_RING_HANDLE, (uint32_t)sizeof passed + parts->size);
    memcpy(payload, &passed, sizeof passed);
    memcpy(payload + sizeof passed, parts->bytes, parts->size);
    writer->tail = cano_ring_commit(&batch);
    CU_ASSERT_EQUAL(cano_doorbell_ring(&writer->bell), CANO_OK);
}

/* Handles may come ahead of their record; one who looks then finds nothing, and the handle is not ready for nothing for long. */
static void handles_ahead_of_their_record_are_kept(void)
{
    open_pipe(64);
    cano_native native;
    cano_pipe *near;
    cano_pipe *far;
    CU_ASSERT_EQUAL(cano_pipe_native(b, &native), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, NULL), CANO_OK);
    cano_pipe_parts parts;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_take_apart(far, &parts), CANO_OK);
    CU_ASSERT_EQUAL(cano_doorbell_pass(&a->writer.bell, parts.handles, parts.handle_count), CANO_OK);
    CU_ASSERT_TRUE(is_readable(b));
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_FALSE(is_readable(b));
    move(&b); /* and they go along */
    CU_ASSERT_FALSE(is_readable(b));
    publish_passed(&a->writer, &parts);
    CU_ASSERT_TRUE(is_readable(b));
    cano_pipe_moved(far);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &far, CANO_NOW), CANO_OK);
    CU_ASSERT_FALSE(is_readable(b));
    CU_ASSERT_EQUAL(cano_pipe_send(near, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv(far, back, 1, NULL, CANO_NOW), CANO_OK);
    cano_pipe_close(near);
    cano_pipe_close(far);
    close_pipe();
}

/* As a death does: nothing is said, the kernel closes. */
static void vanish(cano_pipe **end)
{
    cano_pipe_moved(*end);
    *end = NULL;
}

/* The reader rings for room, finds the writer dead, and must still find what came before. */
static void handles_of_the_dead_are_found_behind_a_bell_that_fails(void)
{
    open_pipe(4 * KIB);
    cano_pipe *near;
    cano_pipe *far;
    uint32_t sent = 0;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, NULL), CANO_OK);
    while (sent < 20) {
        send_size(4000, sent++);
    }
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, far, CANO_NOW), CANO_OK);
    while (cano_pipe_send(a, out, 4000, 1000) == CANO_OK) { /* and the flag is up */
        sent++;
    }
    vanish(&a);
    for (uint32_t i = 0; i < 20; i++) {
        recv_size(4000, i);
    }
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &far, CANO_NOW), CANO_OK);
    for (uint32_t i = 20; i < sent; i++) {
        CU_ASSERT_EQUAL(cano_pipe_recv(b, back, room, NULL, CANO_NOW), CANO_OK);
    }
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, room, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_pipe_send(near, "x", 1, CANO_NOW), CANO_OK);
    cano_pipe_close(near);
    cano_pipe_close(far);
    close_pipe();
}

/* Who dies between the handles and their record has sent nothing: the end it meant to pass is gone with it. */
static void handles_without_their_record_end_with_the_sender(void)
{
    for (int seen = 0; seen < 2; seen++) {
        open_pipe(64);
        cano_pipe *near;
        cano_pipe *far;
        cano_pipe_parts parts;
        CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, NULL), CANO_OK);
        CU_ASSERT_EQUAL_FATAL(cano_pipe_take_apart(far, &parts), CANO_OK);
        CU_ASSERT_EQUAL(cano_doorbell_pass(&a->writer.bell, parts.handles, parts.handle_count), CANO_OK);
        if (seen) {
            CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, 1000), CANO_ETIMEOUT);
        }
        cano_pipe_moved(far);
        vanish(&a);
        CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
        CU_ASSERT_EQUAL(cano_pipe_recv(near, back, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
        cano_pipe_close(near);
        close_pipe();
    }
}

static void a_poller_needs_no_system_call_for_each_look(void)
{
    open_pipe(64);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_ETIMEOUT);
    const int64_t asked = b->reader.patience.asked;
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(cano_pipe_recv(b, back, 1, NULL, CANO_NOW), CANO_ETIMEOUT);
        same += b->reader.patience.asked == asked;
    }
    CU_ASSERT_TRUE(same > 0);
    close_pipe();
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "sizes around the ring arrive at every offset", sizes_around_the_ring_arrive_at_every_offset },
        { "a full ring takes a message once there is room", a_full_ring_takes_a_message_once_there_is_room },
        { "large messages use the same segments again", large_messages_use_the_same_segments_again },
        { "a very large message leaves no memory behind", a_very_large_message_leaves_no_memory_behind },
        { "a bounded number of very large messages waits", a_bounded_number_of_very_large_messages_waits },
        { "a moved reader has the segments of the old one", a_moved_reader_has_the_segments_of_the_old_one },
        { "a moved writer does not touch what waits", a_moved_writer_does_not_touch_what_waits },
        { "a moved writer finds the end of the ring", a_moved_writer_finds_the_end_of_the_ring },
        { "the watched handle is ready when something is there", the_watched_handle_is_ready_when_something_is_there },
        { "the handle is ready for what came before it was asked for",
          the_handle_is_ready_for_what_came_before_it_was_asked_for },
        { "a watched end stays watched when it moves", a_watched_end_stays_watched_when_it_moves },
        { "a look between message and bell costs no bell", a_look_between_message_and_bell_costs_no_bell },
        { "a bell that comes behind the look is not eaten", a_bell_that_comes_behind_the_look_is_not_eaten },
        { "handles ahead of their record are kept", handles_ahead_of_their_record_are_kept },
        { "handles of the dead are found behind a bell that fails", handles_of_the_dead_are_found_behind_a_bell_that_fails },
        { "handles without their record end with the sender", handles_without_their_record_end_with_the_sender },
        { "a poller needs no system call for each look", a_poller_needs_no_system_call_for_each_look },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe memory", tests, NULL);
}
