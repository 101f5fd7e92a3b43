/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream transport: one stream, and frames on it. A message is framed as Python's multiprocessing.connection does it on
 * POSIX: four bytes of length, signed, most significant first, then the payload; from 2 GiB on, -1 and eight bytes of length.
 *
 * An extension that Python does not know: -2 (an end of a pipe) or -3 (a queue), four bytes of length, and bytes that describe
 * it; the handles come with the first byte. Some time before goes -4, alone: one more thing with handles will come. So who reads messages
 * need not ask for handles each time, and none get lost.
 *
 * Once the first byte of a frame has been read or written, the call goes on to its end, holding the gate also while it sleeps.
 */
#include "pipe_end.h"

#include <string.h>

#define FIRST_PIECE 16384u /* bytes of payload that go with the head in one write */
#define HEAD_MOST 12u
#define SLICE INT64_C(50000)            /* microseconds of one sleep */
#define SMALL_MOST UINT64_C(0x7fffffff) /* longest message with a length of four bytes */

/* How things are marked where the length of a message would be. */
enum {
    MARK_LARGE = -1,
    MARK_PIPE = -2,
    MARK_QUEUE = -3,
    MARK_EXPECT = -4
};

/* What an end in pieces must tell, behind its birth. */
typedef struct stream_state {
    unsigned char head[HEAD_MOST];
    uint32_t got;
    uint32_t ended;
    uint32_t expected;
} stream_state;

/* ---- frames ---- */

static void put_big(unsigned char *bytes, uint64_t value, int count)
{
    for (int i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(value >> 8 * (count - 1 - i));
    }
}

static uint64_t get_big(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static int32_t mark_of(const unsigned char *head)
{
    return (int32_t)(uint32_t)get_big(head, 4);
}

static uint32_t write_head(unsigned char *head, const cano_pipe_message *message)
{
    if (message->thing != CANO_THING_MESSAGE) {
        put_big(head, (uint32_t)(message->thing == CANO_THING_PIPE ? MARK_PIPE : MARK_QUEUE), 4);
        put_big(head + 4, message->size, 4);
        return 8;
    }
    if (message->size <= SMALL_MOST) {
        put_big(head, message->size, 4);
        return 4;
    }
    put_big(head, (uint32_t)MARK_LARGE, 4);
    put_big(head + 4, message->size, 8);
    return 12;
}

/* How long the head is as far as it can be told. */
static uint32_t head_size(const cano_stream_inlet *inlet)
{
    if (inlet->got < 4 || mark_of(inlet->head) >= 0 || mark_of(inlet->head) <= MARK_EXPECT) {
        return 4;
    }
    return mark_of(inlet->head) == MARK_LARGE ? 12 : 8;
}

static cano_status understand_head(cano_stream_inlet *inlet)
{
    const int32_t mark = mark_of(inlet->head);
    if (mark < MARK_EXPECT) {
        return CANO_ECORRUPT;
    }
    if (mark == MARK_EXPECT) {
        inlet->expected += inlet->expected < UINT32_MAX;
        inlet->got = 0;
        return CANO_OK;
    }
    const uint64_t size = mark >= 0 ? (uint64_t)mark : get_big(inlet->head + 4, mark == MARK_LARGE ? 8 : 4);
    if (size > SIZE_MAX / 2) {
        return CANO_ECORRUPT;
    }
    inlet->size = size;
    inlet->thing = mark == MARK_PIPE ? CANO_THING_PIPE : mark == MARK_QUEUE ? CANO_THING_QUEUE : CANO_THING_MESSAGE;
    return CANO_OK;
}

/* ---- sleeping in the middle of a frame ---- */

/* The gate stays closed: nobody else may read or write here. Closing the end wakes us. */
static cano_status sleep_inside(cano_pipe *pipe, bool write)
{
    cano_os_pollable pollable = { pipe->streams[0].handle, write, false };
    const cano_status status = cano_os_poll(&pollable, 1, cano_os_now() + SLICE);
    if (atomic_load_explicit(&pipe->closing, memory_order_relaxed)) { /* a hint; leaving and freeing are ordered by the gate */
        return CANO_ECLOSED;
    }
    return status == CANO_ETIMEOUT ? CANO_OK : status;
}

static cano_status read_all(cano_pipe *pipe, unsigned char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t got = 0;
        cano_status status = cano_os_stream_read(&pipe->streams[0], bytes + done, size - done, NULL, NULL, &got);
        if (status == CANO_ETIMEOUT) {
            status = sleep_inside(pipe, false);
        }
        if (status != CANO_OK) {
            pipe->inlet.ended = true; /* whatever it was, the rest of the frame is lost */
            return status;
        }
        done += got;
    }
    return CANO_OK;
}

static cano_status write_all(cano_pipe *pipe, const unsigned char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t written = 0;
        cano_status status = cano_os_stream_write(&pipe->streams[0], bytes + done, size - done, NULL, 0, &written);
        if (status == CANO_ETIMEOUT) {
            status = sleep_inside(pipe, true);
        }
        if (status != CANO_OK) {
            return status;
        }
        done += written;
    }
    return CANO_OK;
}

/* ---- send ---- */

/* The first write decides: nothing of the frame is on its way, or it must go to its end. */
static cano_status begin(cano_pipe *pipe, cano_visit *visit, const unsigned char *piece, size_t size,
                         const cano_os_handle *handles, uint32_t handle_count, size_t *written)
{
    for (;;) {
        const cano_status status = cano_os_stream_write(&pipe->streams[0], piece, size, handles, handle_count, written);
        if (status != CANO_ETIMEOUT || cano_visit_is_over(visit)) {
            return status;
        }
        bool woken;
        const cano_status slept = cano_visit_sleep(visit, pipe->streams[0].handle, true, SLICE, &woken);
        if (slept != CANO_OK) {
            return slept;
        }
    }
}

/* Half a frame is out: after anything but the end of the peer nothing can follow it. */
static cano_status note_half(cano_pipe *pipe, cano_status status)
{
    if (status != CANO_OK && status != CANO_ECLOSED) {
        atomic_store_explicit(&pipe->failed, status, memory_order_relaxed); /* whoever comes next has the gate */
    }
    return status;
}

static cano_status announce_handles(cano_pipe *pipe, cano_visit *visit)
{
    unsigned char mark[4];
    put_big(mark, (uint32_t)MARK_EXPECT, sizeof mark);
    size_t written = 0;
    const cano_status status = begin(pipe, visit, mark, sizeof mark, NULL, 0, &written);
    return status == CANO_OK ? note_half(pipe, write_all(pipe, mark + written, sizeof mark - written)) : status;
}

static cano_status stream_send(cano_pipe *pipe, cano_visit *visit, const cano_pipe_message *message)
{
    cano_status status = message->handle_count > 0 ? announce_handles(pipe, visit) : CANO_OK;
    if (status != CANO_OK) {
        return status;
    }
    unsigned char piece[HEAD_MOST + FIRST_PIECE];
    const size_t head = write_head(piece, message);
    const size_t first = message->size < FIRST_PIECE ? message->size : FIRST_PIECE;
    if (first > 0) {
        memcpy(piece + head, message->data, first);
    }
    size_t written = 0;
    status = begin(pipe, visit, piece, head + first, message->handles, message->handle_count, &written);
    if (status != CANO_OK) {
        return status;
    }
    status = write_all(pipe, piece + written, head + first - written);
    if (status == CANO_OK && message->size > first) {
        status = write_all(pipe, (const unsigned char *)message->data + first, message->size - first);
    }
    return note_half(pipe, status);
}

/* ---- receive ---- */

static cano_status read_some_head(cano_pipe *pipe)
{
    cano_stream_inlet *inlet = &pipe->inlet;
    cano_os_handle passed[CANO_HANDLES_PASSED];
    size_t passed_count = 0;
    size_t got = 0;
    const cano_status status =
        cano_os_stream_read(&pipe->streams[0], inlet->head + inlet->got, head_size(inlet) - inlet->got,
                            inlet->expected > 0 ? passed : NULL, inlet->expected > 0 ? &passed_count : NULL, &got);
    inlet->got += (uint32_t)got;
    inlet->ended = inlet->ended || status == CANO_ECLOSED;
    return status == CANO_OK ? cano_handles_add(&inlet->came, passed, passed_count) : status;
}

/* Read on in the head. CANO_ETIMEOUT: not all of it is there; CANO_ECLOSED: no further byte comes. */
static cano_status read_head(cano_pipe *pipe)
{
    cano_stream_inlet *inlet = &pipe->inlet;
    while (inlet->thing == 0) {
        cano_status status = inlet->ended ? CANO_ECLOSED : read_some_head(pipe);
        if (status == CANO_OK && inlet->got == head_size(inlet)) {
            status = understand_head(inlet);
        }
        if (status == CANO_ECLOSED) {
            cano_handles_close(&inlet->came); /* what they were to be will never be told */
        }
        if (status != CANO_OK) {
            return status;
        }
    }
    return CANO_OK;
}

/* Nothing is begun: others may come in meanwhile. */
static cano_status sleep_before(cano_pipe *pipe, cano_visit *visit)
{
    if (cano_visit_is_over(visit)) {
        return CANO_ETIMEOUT;
    }
    bool woken;
    return cano_visit_sleep(visit, pipe->streams[0].handle, false, SLICE, &woken);
}

static cano_status stream_await(cano_pipe *pipe, cano_visit *visit)
{
    for (;;) {
        cano_status status = read_head(pipe);
        if (status != CANO_ETIMEOUT || pipe->inlet.got > 0) {
            return status == CANO_ETIMEOUT ? CANO_OK : status;
        }
        status = sleep_before(pipe, visit);
        if (status != CANO_OK) {
            return status;
        }
    }
}

static cano_status stream_find(cano_pipe *pipe, cano_visit *visit, uint32_t *thing, uint64_t *size)
{
    cano_status status = stream_await(pipe, visit);
    while (status == CANO_OK && pipe->inlet.thing == 0) {
        status = sleep_inside(pipe, false);
        if (status == CANO_OK) {
            status = read_head(pipe);
            status = status == CANO_ETIMEOUT ? CANO_OK : status;
        }
    }
    *thing = pipe->inlet.thing;
    *size = pipe->inlet.size;
    return status;
}

static void go_on(cano_stream_inlet *inlet)
{
    inlet->got = 0;
    inlet->thing = 0;
}

static cano_status stream_take(cano_pipe *pipe, cano_visit *visit, void *buffer)
{
    (void)visit;
    const cano_status status = read_all(pipe, buffer, (size_t)pipe->inlet.size);
    cano_handles_close(&pipe->inlet.came); /* a message has none */
    go_on(&pipe->inlet);
    return status;
}

static cano_status stream_unpack(cano_pipe *pipe, cano_visit *visit, cano_pipe_parts *parts)
{
    (void)visit;
    cano_stream_inlet *inlet = &pipe->inlet;
    if (inlet->size > sizeof parts->bytes || inlet->came.count > CANO_PIPE_HANDLES) {
        return CANO_ECORRUPT;
    }
    const cano_status status = read_all(pipe, parts->bytes, (size_t)inlet->size);
    if (status == CANO_OK) {
        parts->size = (uint32_t)inlet->size;
        parts->handle_count = inlet->came.count;
        cano_handles_take(&inlet->came, parts->handles, inlet->came.count);
        inlet->expected -= inlet->expected > 0;
    }
    go_on(inlet);
    return status;
}

/* The stream is readable when a byte is there. That the head of an empty message may have been read does not show: the call
 * that read it has told its caller what comes. */
static cano_status stream_watch(cano_pipe *pipe, cano_os_handle *native)
{
    *native = pipe->streams[0].handle;
    return CANO_OK;
}

/* ---- moving ---- */

static cano_status stream_describe(cano_pipe *pipe, cano_pipe_parts *parts)
{
    const cano_stream_inlet *inlet = &pipe->inlet;
    stream_state state = { .got = inlet->got, .ended = inlet->ended, .expected = inlet->expected };
    memcpy(state.head, inlet->head, sizeof state.head);
    memcpy(parts->bytes + parts->size, &state, sizeof state);
    parts->size += sizeof state;
    if (inlet->came.count >= CANO_PIPE_HANDLES) {
        return CANO_ELIMIT;
    }
    parts->handles[0] = pipe->streams[0].handle;
    memcpy(parts->handles + 1, inlet->came.list, inlet->came.count * sizeof parts->handles[0]);
    parts->handle_count = 1 + inlet->came.count;
    return CANO_OK;
}

static cano_status adopt_stream(cano_pipe *pipe, cano_handles *handles)
{
    if (handles->count == 0) {
        return CANO_ECORRUPT;
    }
    cano_os_handle handle;
    cano_handles_take(handles, &handle, 1);
    const cano_status status = cano_os_stream_adopt(&pipe->streams[0], handle);
    pipe->streams_count = status == CANO_OK;
    return status == CANO_EKIND ? CANO_ECORRUPT : status;
}

cano_status cano_pipe_stream_fill(cano_pipe *pipe, const cano_pipe_parts *parts, cano_handles *handles)
{
    stream_state state;
    if (parts->size != sizeof pipe->birth + sizeof state) {
        return CANO_ECORRUPT;
    }
    memcpy(&state, parts->bytes + sizeof pipe->birth, sizeof state);
    const cano_status status = pipe->streams_count == 0 ? adopt_stream(pipe, handles) : CANO_OK;
    if (status != CANO_OK) {
        return status;
    }
    cano_stream_inlet *inlet = &pipe->inlet;
    memcpy(inlet->head, state.head, sizeof inlet->head);
    inlet->got = state.got;
    inlet->ended = state.ended != 0;
    inlet->expected = state.expected;
    inlet->came = *handles; /* of a thing whose head has been read */
    handles->count = 0;
    if (inlet->got > head_size(inlet)) {
        return CANO_ECORRUPT;
    }
    return inlet->got >= 4 && inlet->got == head_size(inlet) ? understand_head(inlet) : CANO_OK;
}

void cano_pipe_stream_make(cano_pipe *pipe, cano_pipe_parts *peer)
{
    const stream_state state = { .got = 0 };
    cano_pipe_birth birth = cano_pipe_birth_of_peer(&pipe->birth);
    memcpy(peer->bytes, &birth, sizeof birth);
    memcpy(peer->bytes + sizeof birth, &state, sizeof state);
    peer->size = sizeof birth + sizeof state;
    peer->handle_count = 0;
}

static cano_status stream_recover(cano_pipe *pipe)
{
    (void)pipe; /* what was read and written is the kernel's */
    return CANO_OK;
}

static void stream_leave(cano_pipe *pipe)
{
    (void)pipe; /* the stream tells */
}

static void stream_release(cano_pipe *pipe)
{
    cano_handles_close(&pipe->inlet.came);
}

const cano_pipe_transport cano_pipe_stream = {
    .send = stream_send,
    .await = stream_await,
    .find = stream_find,
    .take = stream_take,
    .unpack = stream_unpack,
    .watch = stream_watch,
    .describe = stream_describe,
    .recover = stream_recover,
    .leave = stream_leave,
    .release = stream_release,
};
