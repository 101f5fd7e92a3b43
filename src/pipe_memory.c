/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory transport: an end is a segment, one stream for each of its channels, and the segments of large messages that its
 * reader keeps mapped.
 */
#include "pipe_end.h"
#include "segment.h"

#include <string.h>

#define RING_UNITS (UINT64_C(128) * 1024 / CANO_RING_UNIT) /* 64 KiB is slower for small messages, 256 KiB no faster */

/* What an end in pieces must tell of its channels, behind its birth. */
typedef struct memory_state {
    uint32_t reader_owed;
    uint32_t reader_due;
    uint32_t writer_owed;
    uint32_t writer_due;
    uint8_t reader_armed;
    uint8_t reader_ended;
    uint8_t pollable;
    uint8_t writer_armed;
    uint8_t writer_ended;
    uint8_t slots; /* bit n: the handle of slot n is among the handles */
    uint8_t reserved[2];
} memory_state;

static cano_pipe_shared *shared_of(const cano_pipe *pipe)
{
    return (cano_pipe_shared *)(void *)pipe->segment.base;
}

static uint64_t segment_size(uint64_t units, uint32_t channels)
{
    return CANO_PIPE_RINGS + channels * units * CANO_RING_UNIT;
}

static bool receives(const cano_pipe *pipe)
{
    return (pipe->birth.directions & CANO_PIPE_RECEIVES) != 0;
}

static bool sends(const cano_pipe *pipe)
{
    return (pipe->birth.directions & CANO_PIPE_SENDS) != 0;
}

/* ---- put together ---- */

static cano_ring ring_of(const cano_pipe *pipe, uint32_t channel, uint64_t units)
{
    return (cano_ring){ pipe->segment.base + CANO_PIPE_RINGS + channel * units * CANO_RING_UNIT, units };
}

/* A duplex end listens to the channel of its side; streams are numbered by channel. */
static void connect_reader(cano_pipe *pipe, uint64_t units)
{
    const uint32_t channel = pipe->birth.side;
    cano_reader *reader = &pipe->reader;
    reader->shared = &shared_of(pipe)->channels_shared[channel];
    reader->ring = ring_of(pipe, channel, units);
    reader->bell.stream = &pipe->streams[channel];
    reader->bell.mine = &reader->shared->reader_flag;
    reader->bell.theirs = &reader->shared->writer_flag;
    reader->patience = CANO_PATIENCE_INIT;
}

static void connect_writer(cano_pipe *pipe, uint64_t units)
{
    const uint32_t channel = 1u - pipe->birth.side;
    cano_writer *writer = &pipe->writer;
    writer->shared = &shared_of(pipe)->channels_shared[channel];
    writer->ring = ring_of(pipe, channel, units);
    writer->bell.stream = &pipe->streams[channel];
    writer->bell.mine = &writer->shared->writer_flag;
    writer->bell.theirs = &writer->shared->reader_flag;
    writer->patience = CANO_PATIENCE_INIT;
}

/* Find the way in both channels. Also in a forked child, when it takes over. */
static cano_status attach(cano_pipe *pipe)
{
    /* relaxed: a mark between processes of one family, no order depends on it */
    pipe->ownership = atomic_fetch_add_explicit(pipe->shared_owner, 1, memory_order_relaxed) + 1;
    if (receives(pipe)) {
        cano_reader_attach(&pipe->reader);
    }
    return sends(pipe) ? cano_writer_attach(&pipe->writer) : CANO_OK;
}

/* The streams are there, and the segment has been checked: units and channels are our own copies. */
static cano_status connect_channels(cano_pipe *pipe, uint64_t units)
{
    pipe->shared_owner = &shared_of(pipe)->owner[pipe->birth.side];
    if (receives(pipe)) {
        connect_reader(pipe, units);
    }
    if (sends(pipe)) {
        connect_writer(pipe, units);
    }
    return attach(pipe);
}

static void fill_segment(cano_os_segment *segment, void *context)
{
    const uint32_t channels = *(const uint32_t *)context;
    cano_pipe_shared *shared = (cano_pipe_shared *)(void *)segment->base;
    shared->units = RING_UNITS;
    shared->channels = channels;
    for (uint32_t i = 0; i < channels; i++) {
        /* armed from the beginning: the handle is right for an event loop before anybody has looked. relaxed: nobody else
         * can see it yet */
        atomic_store_explicit(&shared->channels_shared[i].reader_flag, CANO_FLAG_ARMED, memory_order_relaxed);
    }
}

/* Side 1 as it is when nothing has been sent. */
static void describe_peer(const cano_pipe *pipe, const cano_os_stream *extra, cano_pipe_parts *peer)
{
    const cano_pipe_birth birth = cano_pipe_birth_of_peer(&pipe->birth);
    const memory_state state = { .reader_armed = cano_pipe_is_duplex(&birth) };
    memcpy(peer->bytes, &birth, sizeof birth);
    memcpy(peer->bytes + sizeof birth, &state, sizeof state);
    peer->size = sizeof birth + sizeof state;
    peer->handles[0] = pipe->segment.handle;
    peer->handles[1] = extra->handle;
    peer->handle_count = cano_pipe_is_duplex(&birth) ? 2 : 1;
}

cano_status cano_pipe_memory_make(cano_pipe *pipe, cano_pipe_parts *peer, cano_os_stream *extra)
{
    uint32_t channels = cano_pipe_is_duplex(&pipe->birth) ? 2 : 1;
    cano_os_stream pair[2] = { { CANO_OS_NONE, NULL }, { CANO_OS_NONE, NULL } };
    cano_status status = channels == 2 ? cano_os_stream_pair(pair) : CANO_OK;
    if (status != CANO_OK) {
        return status;
    }
    pipe->streams[1] = pair[0];
    pipe->streams_count = channels;
    *extra = pair[1];
    status = cano_segment_make(&pipe->segment, NULL, segment_size(RING_UNITS, channels), true, CANO_KIND_PIPE, CANO_ACCESS_USER,
                               fill_segment, &channels);
    if (status != CANO_OK) {
        pipe->segment.base = NULL;
        return status;
    }
    pipe->reader.bell.armed = true;
    describe_peer(pipe, extra, peer);
    return connect_channels(pipe, RING_UNITS);
}

/* ---- taken from pieces ---- */

/* The header of the segment has been checked; units: our own copy. */
static cano_status check_geometry(const cano_pipe *pipe, uint64_t *units)
{
    const cano_pipe_shared *shared = shared_of(pipe);
    const uint64_t there = *(const volatile uint64_t *)&shared->units; /* once: the peer may change it */
    if (there < CANO_PIPE_UNITS_LEAST || there > CANO_PIPE_UNITS_MOST || (there & (there - 1)) != 0 ||
        segment_size(there, cano_pipe_is_duplex(&pipe->birth) ? 2 : 1) > pipe->segment.size) {
        return CANO_ECORRUPT;
    }
    *units = there;
    return CANO_OK;
}

static cano_status adopt_segment(cano_pipe *pipe, cano_handles *handles)
{
    if (handles->count == 0) {
        return CANO_ECORRUPT;
    }
    cano_os_handle handle;
    cano_handles_take(handles, &handle, 1);
    const cano_status status = cano_segment_adopt_sealed(&pipe->segment, handle, CANO_KIND_PIPE, CANO_PIPE_RINGS);
    if (status != CANO_OK) {
        pipe->segment.base = NULL;
    }
    return status == CANO_EKIND ? CANO_ECORRUPT : status;
}

static cano_status adopt_stream(cano_pipe *pipe, cano_handles *handles)
{
    if (handles->count == 0) {
        return CANO_ECORRUPT;
    }
    cano_os_handle handle;
    cano_handles_take(handles, &handle, 1);
    const cano_status status = cano_os_stream_adopt(&pipe->streams[pipe->streams_count], handle);
    if (status != CANO_OK) {
        return status == CANO_EKIND ? CANO_ECORRUPT : status;
    }
    pipe->streams_count++;
    return CANO_OK;
}

static cano_status adopt_slots(cano_pipe *pipe, cano_handles *handles, uint32_t slots)
{
    for (uint32_t i = 0; i < CANO_PIPE_SLOTS; i++) {
        if ((slots & 1u << i) == 0) {
            continue;
        }
        if (handles->count == 0) {
            return CANO_ECORRUPT;
        }
        cano_os_handle handle;
        cano_handles_take(handles, &handle, 1);
        const cano_status status = cano_os_segment_adopt(&pipe->reader.slots[i], handle, 1, true);
        if (status != CANO_OK) {
            pipe->reader.slots[i].base = NULL;
            return status;
        }
    }
    return CANO_OK;
}

static void restore(cano_pipe *pipe, const memory_state *state)
{
    cano_doorbell *in = &pipe->reader.bell;
    cano_doorbell *out = &pipe->writer.bell;
    in->owed = state->reader_owed;
    in->due = state->reader_due;
    in->armed = state->reader_armed != 0;
    in->ended = state->reader_ended != 0;
    pipe->reader.pollable = state->pollable != 0;
    out->owed = state->writer_owed;
    out->due = state->writer_due;
    out->armed = state->writer_armed != 0;
    out->ended = state->writer_ended != 0;
}

static cano_status adopt_all(cano_pipe *pipe, cano_handles *handles, const memory_state *state)
{
    const uint32_t streams = cano_pipe_is_duplex(&pipe->birth) ? 2 : 1;
    cano_status status = adopt_segment(pipe, handles);
    while (status == CANO_OK && pipe->streams_count < streams) {
        status = adopt_stream(pipe, handles);
    }
    return status == CANO_OK ? adopt_slots(pipe, handles, state->slots) : status;
}

cano_status cano_pipe_memory_fill(cano_pipe *pipe, const cano_pipe_parts *parts, cano_handles *handles)
{
    memory_state state;
    if (parts->size != sizeof pipe->birth + sizeof state) {
        return CANO_ECORRUPT;
    }
    memcpy(&state, parts->bytes + sizeof pipe->birth, sizeof state);
    uint64_t units = 0;
    cano_status status = adopt_all(pipe, handles, &state);
    if (status == CANO_OK) {
        status = check_geometry(pipe, &units);
    }
    if (status != CANO_OK) {
        return status;
    }
    pipe->reader.bell.came = *handles; /* what is left belongs to messages that wait */
    handles->count = 0;
    restore(pipe, &state);
    return connect_channels(pipe, units);
}

/* ---- taken to pieces ---- */

static memory_state state_of(const cano_pipe *pipe)
{
    const cano_doorbell *in = &pipe->reader.bell;
    const cano_doorbell *out = &pipe->writer.bell;
    memory_state state = {
        .reader_owed = in->owed,
        .reader_due = in->due,
        .writer_owed = out->owed,
        .writer_due = out->due,
        .reader_armed = in->armed,
        .reader_ended = in->ended,
        .pollable = pipe->reader.pollable,
        .writer_armed = out->armed,
        .writer_ended = out->ended,
    };
    for (uint32_t i = 0; i < CANO_PIPE_SLOTS; i++) {
        state.slots |= (uint8_t)((pipe->reader.slots[i].base != NULL) << i);
    }
    return state;
}

/* CANO_ELIMIT: more handles than go with one message. */
static cano_status add_handle(cano_pipe_parts *parts, cano_os_handle handle)
{
    if (parts->handle_count >= CANO_PIPE_HANDLES) {
        return CANO_ELIMIT;
    }
    parts->handles[parts->handle_count++] = handle;
    return CANO_OK;
}

static cano_status describe_handles(const cano_pipe *pipe, cano_pipe_parts *parts)
{
    add_handle(parts, pipe->segment.handle);
    for (uint32_t i = 0; i < pipe->streams_count; i++) {
        add_handle(parts, pipe->streams[i].handle);
    }
    for (uint32_t i = 0; i < CANO_PIPE_SLOTS; i++) {
        if (pipe->reader.slots[i].base != NULL) {
            add_handle(parts, pipe->reader.slots[i].handle);
        }
    }
    const cano_handles *came = &pipe->reader.bell.came;
    cano_status status = CANO_OK;
    for (uint32_t i = 0; i < came->count && status == CANO_OK; i++) {
        status = add_handle(parts, came->list[i]);
    }
    return status;
}

static cano_status memory_describe(cano_pipe *pipe, cano_pipe_parts *parts)
{
    const memory_state state = state_of(pipe);
    memcpy(parts->bytes + parts->size, &state, sizeof state);
    parts->size += sizeof state;
    return describe_handles(pipe, parts);
}

/* ---- use ---- */

/* Both directions end together: what one has seen, the other need not find out. */
static cano_status note_end(cano_pipe *pipe, cano_status status)
{
    if (status == CANO_ECLOSED) {
        atomic_store_explicit(&pipe->peer_gone, 1, memory_order_relaxed); /* a hint between two threads */
    }
    return status;
}

static cano_status memory_send(cano_pipe *pipe, cano_visit *visit, const cano_pipe_message *message)
{
    if (atomic_load_explicit(&pipe->peer_gone, memory_order_relaxed)) {
        return CANO_ECLOSED;
    }
    cano_status status;
    if (message->thing == CANO_THING_MESSAGE) {
        status = cano_writer_send(&pipe->writer, visit, message->data, message->size);
    } else {
        status = cano_writer_pass(&pipe->writer, visit, message->thing, message->data, (uint32_t)message->size,
                                  message->handles, message->handle_count);
    }
    return note_end(pipe, status);
}

static cano_status memory_await(cano_pipe *pipe, cano_visit *visit)
{
    return note_end(pipe, cano_reader_await(&pipe->reader, visit));
}

static cano_status memory_find(cano_pipe *pipe, cano_visit *visit, uint32_t *thing, uint64_t *size)
{
    const cano_status status = memory_await(pipe, visit);
    return status == CANO_OK ? cano_reader_describe(&pipe->reader, thing, size) : status;
}

static cano_status memory_take(cano_pipe *pipe, cano_visit *visit, void *buffer)
{
    (void)visit;
    return cano_reader_take(&pipe->reader, buffer);
}

static cano_status memory_unpack(cano_pipe *pipe, cano_visit *visit, cano_pipe_parts *parts)
{
    (void)visit;
    return cano_reader_unpack(&pipe->reader, parts->bytes, sizeof parts->bytes, &parts->size, parts->handles,
                              &parts->handle_count);
}

static cano_status memory_watch(cano_pipe *pipe, cano_os_handle *native)
{
    const cano_status status = cano_reader_watch(&pipe->reader);
    if (status == CANO_OK) {
        *native = pipe->reader.bell.stream->handle;
    }
    return status;
}

/* ---- the end ---- */

static void memory_leave(cano_pipe *pipe)
{
    if (receives(pipe)) {
        cano_doorbell_leave(&pipe->reader.bell);
    }
    if (sends(pipe)) {
        cano_doorbell_leave(&pipe->writer.bell);
    }
}

static void close_segment(cano_os_segment *segment)
{
    if (segment->base != NULL) {
        cano_os_segment_close(segment);
    }
}

static void memory_release(cano_pipe *pipe)
{
    for (uint32_t i = 0; i < CANO_PIPE_SLOTS; i++) {
        close_segment(&pipe->reader.slots[i]);
        close_segment(&pipe->writer.slots[i].segment);
    }
    cano_handles_close(&pipe->reader.bell.came);
    close_segment(&pipe->segment);
}

const cano_pipe_transport cano_pipe_memory = {
    .send = memory_send,
    .await = memory_await,
    .find = memory_find,
    .take = memory_take,
    .unpack = memory_unpack,
    .watch = memory_watch,
    .describe = memory_describe,
    .recover = attach,
    .leave = memory_leave,
    .release = memory_release,
};
