/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream transport from inside: frames in pieces, things announced, ends that move with half a frame read.
 */
#include "suite.h"

#include "pipe_end.h"

#include <stdlib.h>
#include <string.h>

#define SHORT INT64_C(20000)

static cano_pipe *a;
static cano_pipe *b;

static void open_pipe(void)
{
    const cano_pipe_options options = { .size = sizeof options, .flags = CANO_PIPE_STREAM };
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&a, &b, &options), CANO_OK);
}

static void close_pipe(void)
{
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void write_raw(const void *bytes, size_t size)
{
    size_t written = 0;
    CU_ASSERT_EQUAL(cano_os_stream_write(&a->streams[0], bytes, size, NULL, 0, &written), CANO_OK);
    CU_ASSERT_EQUAL(written, size);
}

static bool hears(cano_pipe *pipe, const char *text, cano_timeout timeout)
{
    char message[64];
    size_t size = 0;
    return cano_pipe_recv(pipe, message, sizeof message, &size, timeout) == CANO_OK && size == strlen(text) &&
           memcmp(message, text, size) == 0;
}

/* ---- frames ---- */

static void a_frame_is_what_python_writes(void)
{
    unsigned char bytes[16];
    size_t got = 0;
    open_pipe();
    CU_ASSERT_EQUAL(cano_pipe_send(a, "hello", 5, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_read(&b->streams[0], bytes, sizeof bytes, NULL, NULL, &got), CANO_OK);
    CU_ASSERT_TRUE(got == 9 && memcmp(bytes, "\0\0\0\5hello", 9) == 0); /* also: in one write */
    CU_ASSERT_EQUAL(cano_pipe_send(a, NULL, 0, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_read(&b->streams[0], bytes, sizeof bytes, NULL, NULL, &got), CANO_OK);
    CU_ASSERT_TRUE(got == 4 && memcmp(bytes, "\0\0\0\0", 4) == 0);
    close_pipe();
}

/* In steps, each only when the receiver has read what went before. */
static void write_slowly(void *context)
{
    (void)context;
    static const char frame[] = "\0\0\0\7devagar";
    for (size_t i = 0; i < sizeof frame - 1; i++) {
        const int64_t until = cano_os_now() + SHORT;
        cano_os_poll(NULL, 0, until);
        write_raw(frame + i, 1);
    }
}

/* The time-out is for the first byte. */
static void a_message_that_has_begun_is_waited_for(void)
{
    open_pipe();
    suite_thread *thread = suite_thread_start(write_slowly, NULL);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_TRUE(hears(b, "devagar", CANO_NOW));
    suite_thread_end(thread);
    close_pipe();
}

/* ---- handles ---- */

static void announced_things_and_messages_mix(void)
{
    open_pipe();
    for (int i = 0; i < 5; i++) {
        cano_pipe *near;
        cano_pipe *far;
        CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, NULL), CANO_OK);
        write_raw("\377\377\377\374", 4); /* announced, and then not sent in time */
        CU_ASSERT_EQUAL(cano_pipe_send(a, "between", 7, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, far, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_pipe_send(a, "after", 5, CANO_NOW), CANO_OK);
        CU_ASSERT_TRUE(hears(b, "between", CANO_NOW));
        CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &far, CANO_NOW), CANO_OK);
        CU_ASSERT_TRUE(hears(b, "after", CANO_NOW));
        CU_ASSERT_EQUAL(cano_pipe_send(near, "x", 1, CANO_NOW), CANO_OK);
        CU_ASSERT_TRUE(hears(far, "x", CANO_NOW));
        cano_pipe_close(near);
        cano_pipe_close(far);
    }
    close_pipe();
}

static void write_thing(const cano_pipe_parts *parts)
{
    unsigned char frame[8 + sizeof parts->bytes] = { 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, (unsigned char)parts->size };
    size_t written;
    memcpy(frame + 8, parts->bytes, parts->size);
    CU_ASSERT_EQUAL(cano_os_stream_write(&a->streams[0], frame, 8 + parts->size, parts->handles, parts->handle_count, &written),
                    CANO_OK);
}

/* As two threads do whose announcements and things overlap. */
static void each_announcement_is_for_one_thing(void)
{
    cano_pipe *near[2];
    cano_pipe *far[2];
    open_pipe();
    write_raw("\377\377\377\374\377\377\377\374", 8);
    for (int i = 0; i < 2; i++) {
        cano_pipe_parts parts;
        CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near[i], &far[i], NULL), CANO_OK);
        CU_ASSERT_EQUAL_FATAL(cano_pipe_take_apart(far[i], &parts), CANO_OK);
        write_thing(&parts);
        cano_pipe_moved(far[i]);
    }
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &far[i], CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_pipe_send(near[i], "x", 1, CANO_NOW), CANO_OK);
        CU_ASSERT_TRUE(hears(far[i], "x", CANO_NOW));
        cano_pipe_close(near[i]);
        cano_pipe_close(far[i]);
    }
    close_pipe();
}

static void an_announcement_is_no_message(void)
{
    open_pipe();
    write_raw("\377\377\377\374", 4);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, SHORT), CANO_ETIMEOUT);
    CU_ASSERT_FALSE(hears(b, "", CANO_NOW));
    close_pipe();
}

/* ---- moving ---- */

static void move(cano_pipe **end)
{
    cano_pipe *carrier[2];
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&carrier[0], &carrier[1], NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(carrier[0], *end, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(carrier[1], end, CANO_NOW), CANO_OK);
    cano_pipe_close(carrier[0]);
    cano_pipe_close(carrier[1]);
}

static void an_end_moves_with_a_message_whose_length_is_known(void)
{
    char byte;
    open_pipe();
    CU_ASSERT_EQUAL(cano_pipe_send(a, "too long", 8, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, &byte, 1, NULL, CANO_NOW), CANO_ETOOBIG);
    move(&b);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, &byte, 1, NULL, CANO_NOW), CANO_ETOOBIG);
    move(&b);
    CU_ASSERT_TRUE(hears(b, "too long", CANO_NOW));
    close_pipe();
}

static void an_end_moves_with_the_handles_of_a_thing_that_waits(void)
{
    char byte;
    cano_pipe *near;
    cano_pipe *far;
    open_pipe();
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, far, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, &byte, 1, NULL, CANO_NOW), CANO_EKIND);
    CU_ASSERT_TRUE(b->inlet.came.count > 0);
    move(&b);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &far, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send(near, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_TRUE(hears(far, "x", CANO_NOW));
    cano_pipe_close(near);
    cano_pipe_close(far);
    close_pipe();
}

/* The handles were read, the rest never comes: they must not keep the other conversation alive. */
static void handles_of_half_a_thing_end_with_the_sender(void)
{
    char byte;
    cano_pipe *near;
    cano_pipe *far;
    cano_pipe_parts parts;
    size_t written;
    open_pipe();
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, NULL), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_take_apart(far, &parts), CANO_OK);
    write_raw("\377\377\377\374", 4);
    CU_ASSERT_EQUAL(cano_os_stream_write(&a->streams[0], "\377\377\377\376\0", 5, parts.handles, parts.handle_count, &written),
                    CANO_OK);
    cano_pipe_moved(far);
    cano_pipe_moved(a);
    a = NULL;
    CU_ASSERT_EQUAL(cano_pipe_recv(b, &byte, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_pipe_recv(near, &byte, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(near);
    close_pipe();
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "a frame is what Python writes", a_frame_is_what_python_writes },
        { "a message that has begun is waited for", a_message_that_has_begun_is_waited_for },
        { "announced things and messages mix", announced_things_and_messages_mix },
        { "each announcement is for one thing", each_announcement_is_for_one_thing },
        { "an announcement is no message", an_announcement_is_no_message },
        { "an end moves with a message whose length is known", an_end_moves_with_a_message_whose_length_is_known },
        { "an end moves with the handles of a thing that waits", an_end_moves_with_the_handles_of_a_thing_that_waits },
        { "handles of half a thing end with the sender", handles_of_half_a_thing_end_with_the_sender },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe stream", tests, NULL);
}
