/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that do not keep to the protocol: any status will do, but no crash, no read outside the memory, no call that lasts.
 */
#include "suite.h"

#include "pipe_end.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT INT64_C(20000) /* microseconds */
#define LONG_ENOUGH INT64_C(5000000)
#define PIPES 150
#define SCRIBBLES 40

static cano_pipe *a; /* the hostile side, whose writer and memory are misused */
static cano_pipe *b;

static void open_pipe(uint32_t flags)
{
    const cano_pipe_options options = { .size = sizeof options, .flags = flags };
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&a, &b, &options), CANO_OK);
}

static void close_pipe(void)
{
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static cano_status recv_status(cano_timeout timeout)
{
    static unsigned char message[65536];
    return cano_pipe_recv(b, message, sizeof message, NULL, timeout);
}

/* ---- records ---- */

static void publish(uint64_t header, const void *payload, size_t size)
{
    cano_writer *writer = &a->writer;
    memcpy(cano_ring_payload(&writer->ring, writer->tail), payload, size);
    cano_ring_publish(&writer->ring, writer->tail, header);
    cano_doorbell_ring(&writer->bell);
}

/* Is damage, stays damage, and does not keep the other side from ending well. */
static void expect_corrupt(void)
{
    CU_ASSERT_EQUAL(recv_status(SHORT), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(recv_status(CANO_NOW), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_pipe_send(b, "x", 1, CANO_NOW), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, CANO_NOW), CANO_ECORRUPT);
    close_pipe();
}

static void impossible_records_are_damage(void)
{
    static const unsigned char nothing[64];
    const uint64_t headers[] = {
        cano_ring_header(0, 5),
        cano_ring_header(6, 5),
        cano_ring_header(255, 5),
        cano_ring_header(CANO_RING_BLOCK, 5),
        cano_ring_header(CANO_RING_DATA, UINT32_MAX),
        cano_ring_header(CANO_RING_DATA, 1u << 20),
        cano_ring_header(CANO_RING_DATA, 5) | UINT64_C(1) << 40,
        cano_ring_header(CANO_RING_SEGMENT, 5),
        cano_ring_header(CANO_RING_HANDLE, 5),
        cano_ring_header(CANO_RING_HANDLE, 16),
        cano_ring_header(CANO_RING_SEGMENT, 24),
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        open_pipe(0);
        publish(headers[i], nothing, sizeof nothing);
        expect_corrupt();
    }
}

static void impossible_references_are_damage(void)
{
    const cano_pipe_reference references[] = {
        { .length = 10, .size = 10, .slot = 3, .fresh = 0 }, /* no such slot */
        { .length = 10, .size = 10, .slot = 0, .fresh = 0 }, /* empty */
        { .length = 10, .size = 10, .slot = 0, .fresh = 1 }, /* no handle came */
        { .length = 10, .size = 10, .slot = 0, .fresh = 2 }, { .length = 10, .size = 10, .slot = CANO_PIPE_SLOTS, .fresh = 0 },
        { .length = 11, .size = 10, .slot = 0, .fresh = 1 }, { .length = 10, .size = UINT64_MAX, .slot = 0, .fresh = 1 },
    };
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        open_pipe(0);
        publish(cano_ring_header(CANO_RING_SEGMENT, sizeof references[i]), &references[i], sizeof references[i]);
        expect_corrupt();
    }
}

static void send_segment(size_t real, bool sealed, cano_pipe_reference reference)
{
    cano_os_segment segment;
    const cano_status made =
        sealed ? cano_os_segment_create(&segment, real, true, 0) : cano_os_segment_create_named(&segment, real, 0);
    CU_ASSERT_EQUAL_FATAL(made, CANO_OK);
    CU_ASSERT_EQUAL(cano_doorbell_pass(&a->writer.bell, &segment.handle, 1), CANO_OK);
    publish(cano_ring_header(CANO_RING_SEGMENT, sizeof reference), &reference, sizeof reference);
    cano_os_segment_close(&segment);
}

static void a_segment_that_is_too_small_or_may_shrink_is_damage(void)
{
    for (uint32_t slot = 0; slot <= CANO_PIPE_SLOTS; slot++) {
        open_pipe(0);
        send_segment(4096, true, (cano_pipe_reference){ .length = 8192, .size = 8192, .slot = slot, .fresh = 1 });
        CU_ASSERT_NOT_EQUAL(recv_status(SHORT), CANO_OK);
        close_pipe();
        open_pipe(0);
        send_segment(4096, true, (cano_pipe_reference){ .length = 60000, .size = 4096, .slot = slot, .fresh = 1 });
        expect_corrupt();
        open_pipe(0);
        send_segment(8192, false, (cano_pipe_reference){ .length = 8192, .size = 8192, .slot = slot, .fresh = 1 });
        expect_corrupt();
        open_pipe(0);
        send_segment(8192, true, (cano_pipe_reference){ .length = 8192, .size = 8192, .slot = slot, .fresh = 1 });
        CU_ASSERT_EQUAL(recv_status(SHORT), CANO_OK);
        close_pipe();
    }
}

static void a_handle_that_is_no_segment_is_damage(void)
{
    open_pipe(0);
    CU_ASSERT_EQUAL(cano_doorbell_pass(&a->writer.bell, &a->streams[0].handle, 1), CANO_OK);
    const cano_pipe_reference reference = { .length = 9, .size = 9, .slot = 0, .fresh = 1 };
    publish(cano_ring_header(CANO_RING_SEGMENT, sizeof reference), &reference, sizeof reference);
    CU_ASSERT_NOT_EQUAL(recv_status(SHORT), CANO_OK);
    close_pipe();
}

/* ---- positions, flags, bells ---- */

static void a_reader_that_lies_about_its_place_is_damage(void)
{
    const uint64_t lies[] = { 1, UINT64_MAX, UINT64_C(1) << 63, 1u << 20 };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        open_pipe(0);
        atomic_store(&a->writer.shared->head, lies[i]);
        static const unsigned char message[60000];
        cano_status status = CANO_OK;
        for (int sends = 0; sends < 100 && status == CANO_OK; sends++) {
            status = cano_pipe_send(a, message, sizeof message, CANO_NOW);
        }
        CU_ASSERT_TRUE(status == CANO_ECORRUPT || (lies[i] == 1 && status == CANO_ETIMEOUT));
        close_pipe();
    }
}

static void bells_that_nobody_is_owed_are_damage(void)
{
    const char *const bells[] = { "BB", "X", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", "BX" };
    for (size_t i = 0; i < sizeof bells / sizeof bells[0]; i++) {
        open_pipe(0);
        size_t written;
        CU_ASSERT_EQUAL(cano_os_stream_write(a->writer.bell.stream, bells[i], strlen(bells[i]), NULL, 0, &written), CANO_OK);
        expect_corrupt();
    }
}

static void flags_that_only_we_set_are_damage(void)
{
    open_pipe(0);
    atomic_store(b->reader.bell.mine, 77);
    CU_ASSERT_EQUAL(recv_status(SHORT), CANO_ECORRUPT);
    close_pipe();
}

static void a_flood_of_handles_is_damage(void)
{
    open_pipe(0);
    cano_os_handle handles[CANO_HANDLES_PASSED];
    for (size_t i = 0; i < CANO_HANDLES_PASSED; i++) {
        handles[i] = a->segment.handle;
    }
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(cano_doorbell_pass(&a->writer.bell, handles, CANO_HANDLES_PASSED), CANO_OK);
    }
    expect_corrupt();
}

/* ---- scribbling ---- */

static uint64_t random_state;

static uint64_t random_number(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 20;
}

/* Somewhere it matters: the control words, the ring near the two ends, or anywhere. */
static unsigned char *random_place(void)
{
    const cano_reader *reader = &b->reader;
    const size_t ring_bytes = (size_t)reader->ring.units * CANO_RING_UNIT;
    switch (random_number() % 4) {
    case 0:
        return b->segment.base + random_number() % (sizeof(cano_pipe_shared) - 8);
    case 1:
        return (unsigned char *)cano_ring_word(&reader->ring, reader->head + random_number() % 8);
    case 2:
        return (unsigned char *)cano_ring_word(&reader->ring, reader->head) + random_number() % 8;
    default:
        return reader->ring.base + random_number() % (ring_bytes - 8);
    }
}

static void scribble(void)
{
    unsigned char *place = random_place();
    const uint64_t value = random_number() << random_number() % 40;
    switch (random_number() % 3) {
    case 0:
        *place = (unsigned char)value;
        break;
    case 1:
        *place ^= (unsigned char)(1u << value % 8);
        break;
    default:
        memcpy(place, &value, sizeof value);
    }
}

static void use_both_ends(void)
{
    static unsigned char large[300000];
    size_t size;
    cano_pipe *passed;
    cano_queue *queue;
    const cano_timeout timeout = random_number() % 8 == 0 ? 1000 : CANO_NOW;
    cano_pipe_send(a, large, random_number() % 6 == 0 ? sizeof large : random_number() % 3000, timeout);
    cano_pipe_recv(b, large, sizeof large, &size, timeout);
    cano_pipe_send(b, large, random_number() % 100, timeout);
    cano_pipe_recv(a, large, sizeof large, &size, timeout);
    cano_pipe_poll(b, CANO_NOW);
    if (random_number() % 8 == 0 && cano_pipe_recv_pipe(b, &passed, CANO_NOW) == CANO_OK) {
        cano_pipe_close(passed);
    }
    if (random_number() % 8 == 0 && cano_pipe_recv_queue(b, &queue, CANO_NOW) == CANO_OK) {
        cano_queue_close(queue);
    }
}

static void pass_something(void)
{
    cano_pipe *near;
    cano_pipe *far;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, NULL), CANO_OK);
    if (cano_pipe_send_pipe(a, far, CANO_NOW) != CANO_OK) {
        cano_pipe_close(far);
    }
    cano_pipe_close(near);
}

static void scribbling_does_no_harm(void)
{
    for (uint64_t seed = 0; seed < PIPES; seed++) {
        random_state = seed;
        open_pipe(0);
        const int64_t began = cano_os_now();
        for (int i = 0; i < SCRIBBLES; i++) {
            if (random_number() % 10 == 0) {
                pass_something();
            }
            use_both_ends();
            scribble();
        }
        CU_ASSERT_TRUE(cano_os_now() - began < LONG_ENOUGH);
        close_pipe();
    }
}

/* ---- pieces ---- */

static void spoilt_pieces_make_no_end(void)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        random_state = seed;
        open_pipe(seed % 2 ? CANO_PIPE_STREAM : CANO_PIPE_MEMORY);
        cano_pipe *carrier[2];
        CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&carrier[0], &carrier[1], NULL), CANO_OK);
        cano_pipe_parts parts;
        CU_ASSERT_EQUAL_FATAL(cano_pipe_take_apart(b, &parts), CANO_OK);
        for (uint64_t i = 0; i <= random_number() % 3; i++) {
            parts.bytes[random_number() % parts.size] ^= (unsigned char)(1u << random_number() % 8);
        }
        parts.size -= random_number() % 8 == 0;
        const uint32_t handle_count = parts.handle_count - (random_number() % 8 == 0);
        CU_ASSERT_EQUAL(cano_doorbell_pass(&carrier[0]->writer.bell, parts.handles, handle_count), CANO_OK);
        CU_ASSERT_EQUAL(cano_doorbell_collect(&carrier[1]->reader.bell, handle_count), CANO_OK);
        cano_handles_take(&carrier[1]->reader.bell.came, parts.handles, handle_count);
        parts.handle_count = handle_count;
        if (seed % 2) { /* half a frame would be waited for */
            cano_pipe_close(a);
            a = NULL;
        }
        cano_pipe *assembled;
        if (cano_pipe_assemble(&assembled, &parts) == CANO_OK) {
            char byte;
            cano_pipe_recv(assembled, &byte, 1, NULL, CANO_NOW);
            cano_pipe_send(assembled, &byte, 1, CANO_NOW);
            cano_pipe_close(assembled);
        }
        cano_pipe_stays(b);
        cano_pipe_close(carrier[0]);
        cano_pipe_close(carrier[1]);
        close_pipe();
    }
}

/* ---- greetings ---- */

/* What an accepting side sends, without its handles. */
static size_t record_greeting(unsigned char *bytes, size_t capacity)
{
    cano_os_stream pair[2];
    cano_pipe *end;
    size_t got = 0;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(pair), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_accepted(&end, &pair[0], CANO_PIPE_STREAM, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_read(&pair[1], bytes, capacity, NULL, NULL, &got), CANO_OK);
    cano_pipe_close(end);
    cano_os_stream_close(&pair[1], false);
    return got;
}

static cano_status greet_with(const unsigned char *bytes, size_t size, bool stay)
{
    cano_os_stream pair[2];
    cano_pipe *end = NULL;
    size_t written;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(pair), CANO_OK);
    CU_ASSERT_TRUE(size == 0 || cano_os_stream_write(&pair[0], bytes, size, NULL, 0, &written) == CANO_OK);
    if (!stay) {
        cano_os_stream_close(&pair[0], false);
    }
    const cano_status status = cano_pipe_connected(&end, &pair[1], cano_os_now() + SHORT);
    CU_ASSERT_EQUAL(status == CANO_OK, end != NULL);
    cano_pipe_close(end);
    cano_os_stream_close(&pair[0], false);
    return status;
}

static void a_spoilt_greeting_is_refused(void)
{
    unsigned char greeting[512];
    const size_t size = record_greeting(greeting, sizeof greeting);
    CU_ASSERT_EQUAL(greet_with(greeting, size, true), CANO_OK);
    greeting[8]++;
    CU_ASSERT_EQUAL(greet_with(greeting, size, true), CANO_EVERSION);
    greeting[8]--;
    for (size_t i = 0; i < 16; i++) {
        if (i < 8 || i >= 12) { /* length, mark, size */
            greeting[i] ^= 0x40;
            CU_ASSERT_EQUAL(greet_with(greeting, size, true), CANO_ECORRUPT);
            greeting[i] ^= 0x40;
        }
    }
    for (size_t i = 32; i < 40; i++) { /* transport, side, directions */
        greeting[i] ^= 0xff;
        const cano_status status = greet_with(greeting, size, true);
        CU_ASSERT_TRUE(status == CANO_ECORRUPT || i >= 35);
        greeting[i] ^= 0xff;
    }
}

static void a_greeting_that_does_not_come_holds_nobody_up(void)
{
    unsigned char greeting[512];
    const size_t size = record_greeting(greeting, sizeof greeting);
    for (size_t part = 0; part < size; part += size / 4) {
        const int64_t began = cano_os_now();
        CU_ASSERT_EQUAL(greet_with(greeting, part, true), CANO_ETIMEOUT);
        CU_ASSERT_TRUE(cano_os_now() - began >= SHORT);
        CU_ASSERT_EQUAL(greet_with(greeting, part, false), CANO_ECLOSED);
    }
}

/* ---- the stream transport ---- */

static cano_status recv_bytes(const unsigned char *bytes, size_t size)
{
    size_t written;
    open_pipe(CANO_PIPE_STREAM);
    CU_ASSERT_EQUAL(cano_os_stream_write(&a->streams[0], bytes, size, NULL, 0, &written), CANO_OK);
    cano_pipe_close(a);
    a = NULL;
    const cano_status status = recv_status(SHORT);
    close_pipe();
    return status;
}

static void spoilt_frames_are_no_messages(void)
{
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\0\0\0\1x", 5), CANO_OK);
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\0\0\0\2x", 5), CANO_ECLOSED); /* cut short */
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\0\0\0", 3), CANO_ECLOSED);
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\377\377\377\373", 4), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\200\0\0\0", 4), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\377\377\377\377\377\0\0\0\0\0\0\0", 12), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\377\377\377\377\0\0\0\0\0\0\0\1x", 13), CANO_OK); /* odd, but clear */
    CU_ASSERT_EQUAL(recv_bytes((const unsigned char *)"\377\377\377\376\0\0\0\1x", 9), CANO_EKIND);
}

static void a_passed_thing_without_handles_is_damage(void)
{
    cano_pipe *passed;
    cano_queue *queue;
    size_t written;
    open_pipe(CANO_PIPE_STREAM);
    CU_ASSERT_EQUAL(cano_os_stream_write(&a->streams[0], "\377\377\377\376\0\0\0\1x", 9, NULL, 0, &written), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv_pipe(b, &passed, SHORT), CANO_ECORRUPT);
    close_pipe();
    open_pipe(CANO_PIPE_STREAM);
    CU_ASSERT_EQUAL(cano_os_stream_write(&a->streams[0], "\377\377\377\375\0\0\0\0", 8, NULL, 0, &written), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv_queue(b, &queue, SHORT), CANO_ECORRUPT);
    close_pipe();
    open_pipe(CANO_PIPE_STREAM);
    CU_ASSERT_EQUAL(cano_os_stream_write(&a->streams[0], "\377\377\377\376\1\0\0\0", 8, NULL, 0, &written), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv_pipe(b, &passed, SHORT), CANO_ECORRUPT);
    close_pipe();
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "impossible records are damage", impossible_records_are_damage },
        { "impossible references are damage", impossible_references_are_damage },
        { "a segment that is too small or may shrink is damage", a_segment_that_is_too_small_or_may_shrink_is_damage },
        { "a handle that is no segment is damage", a_handle_that_is_no_segment_is_damage },
        { "a reader that lies about its place is damage", a_reader_that_lies_about_its_place_is_damage },
        { "bells that nobody is owed are damage", bells_that_nobody_is_owed_are_damage },
        { "flags that only we set are damage", flags_that_only_we_set_are_damage },
        { "a flood of handles is damage", a_flood_of_handles_is_damage },
        { "scribbling does no harm", scribbling_does_no_harm },
        { "spoilt pieces make no end", spoilt_pieces_make_no_end },
        { "a spoilt greeting is refused", a_spoilt_greeting_is_refused },
        { "a greeting that does not come holds nobody up", a_greeting_that_does_not_come_holds_nobody_up },
        { "spoilt frames are no messages", spoilt_frames_are_no_messages },
        { "a passed thing without handles is damage", a_passed_thing_without_handles_is_damage },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe hostile", tests, NULL);
}
