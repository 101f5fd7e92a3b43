/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an end of a pipe comes to be: from pieces, or at one side of a connected stream.
 */
#include "pipe_end.h"

#include <apr_general.h>
#include <stdlib.h>
#include <string.h>

#define GREETING_MAGIC UINT32_C(0x50696e43) /* "CniP" */
#define GREETING_PREFIX 12u                 /* bytes that tell whether the rest can be understood */

/* What the accepting side says first. It has the form of a message of the stream transport. */
typedef struct greeting {
    unsigned char length[4]; /* of what follows, most significant byte first */
    uint32_t magic;
    uint32_t version; /* CANO_LAYOUT */
    uint32_t size;    /* of bytes in use */
    unsigned char bytes[sizeof((cano_pipe_parts *)0)->bytes];
} greeting;

/* ---- an end ---- */

static cano_status allocate(cano_pipe **pipe, const cano_pipe_birth *birth)
{
    cano_pipe *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return CANO_ENOMEM;
    }
    const cano_status status = cano_os_segment_create(&made->memory, sizeof(cano_pipe_gates), false, CANO_ACCESS_USER);
    if (status != CANO_OK) {
        free(made);
        return status;
    }
    made->gates = (cano_pipe_gates *)(void *)made->memory.base;
    made->birth = *birth;
    made->transport = birth->transport == CANO_PIPE_STREAM ? &cano_pipe_stream : &cano_pipe_memory;
    /* relaxed: nobody else knows it yet */
    atomic_store_explicit(&made->owner, cano_os_self(), memory_order_relaxed);
    *pipe = made;
    return CANO_OK;
}

void cano_pipe_dispose(cano_pipe *pipe)
{
    for (uint32_t i = 0; i < pipe->streams_count; i++) {
        cano_os_stream_close(&pipe->streams[i], false);
    }
    pipe->transport->release(pipe);
    cano_os_segment_close(&pipe->memory);
    free(pipe);
}

/* ---- from pieces ---- */

static cano_status read_birth(const cano_pipe_parts *parts, cano_pipe_birth *birth)
{
    if (parts->size < sizeof *birth || parts->size > sizeof parts->bytes || parts->handle_count > CANO_PIPE_HANDLES) {
        return CANO_ECORRUPT;
    }
    memcpy(birth, parts->bytes, sizeof *birth);
    const uint8_t simplex = birth->side == 0 ? CANO_PIPE_RECEIVES : CANO_PIPE_SENDS;
    const bool known = birth->transport == CANO_PIPE_MEMORY || birth->transport == CANO_PIPE_STREAM;
    return known && birth->side <= 1 && (cano_pipe_is_duplex(birth) || birth->directions == simplex) ? CANO_OK : CANO_ECORRUPT;
}

/* stream: what the end has already, or NULL. Owns it and the handles, also on failure. */
static cano_status assemble(cano_pipe **pipe, const cano_pipe_parts *parts, const cano_os_stream *stream)
{
    cano_pipe_birth birth;
    cano_pipe *made = NULL;
    cano_handles handles = { .count = parts->handle_count <= CANO_PIPE_HANDLES ? parts->handle_count : 0 };
    memcpy(handles.list, parts->handles, handles.count * sizeof handles.list[0]);
    cano_os_stream own = stream != NULL ? *stream : (cano_os_stream){ CANO_OS_NONE, NULL };
    cano_status status = read_birth(parts, &birth);
    if (status == CANO_OK) {
        status = allocate(&made, &birth);
    }
    if (status != CANO_OK) {
        cano_handles_close(&handles);
        cano_os_stream_close(&own, false);
        return status;
    }
    made->streams[0] = own;
    made->streams_count = stream != NULL;
    status = (birth.transport == CANO_PIPE_STREAM ? cano_pipe_stream_fill : cano_pipe_memory_fill)(made, parts, &handles);
    if (status != CANO_OK) {
        cano_handles_close(&handles);
        cano_pipe_dispose(made);
        return status;
    }
    *pipe = made;
    return CANO_OK;
}

cano_status cano_pipe_assemble(cano_pipe **pipe, const cano_pipe_parts *parts)
{
    return assemble(pipe, parts, NULL);
}

/* ---- two sides of a connected stream ---- */

/* CANO_ETIMEOUT, or worth another try. */
static cano_status await_stream(cano_os_stream *stream, bool write, int64_t deadline)
{
    cano_os_pollable pollable = { stream->handle, write, false };
    return cano_os_poll(&pollable, 1, deadline);
}

static cano_status greet(cano_os_stream *stream, const cano_pipe_parts *peer, int64_t deadline)
{
    greeting hello = { { 0, 0, 0, sizeof hello - sizeof hello.length }, GREETING_MAGIC, CANO_LAYOUT, peer->size, { 0 } };
    memcpy(hello.bytes, peer->bytes, peer->size);
    size_t done = 0;
    while (done < sizeof hello) {
        size_t written = 0;
        cano_status status = cano_os_stream_write(stream, (unsigned char *)&hello + done, sizeof hello - done, peer->handles,
                                                  done == 0 ? peer->handle_count : 0, &written);
        if (status == CANO_ETIMEOUT) {
            status = await_stream(stream, true, deadline);
        }
        if (status != CANO_OK) {
            return status;
        }
        done += written;
    }
    return CANO_OK;
}

static cano_status read_until(cano_os_stream *stream, unsigned char *bytes, size_t size, cano_handles *handles,
                              int64_t deadline)
{
    size_t done = 0;
    while (done < size) {
        cano_os_handle passed[CANO_HANDLES_PASSED];
        size_t passed_count = 0;
        size_t got = 0;
        cano_status status = cano_os_stream_read(stream, bytes + done, size - done, passed, &passed_count, &got);
        if (status == CANO_OK) {
            status = cano_handles_add(handles, passed, passed_count);
        } else if (status == CANO_ETIMEOUT) {
            status = await_stream(stream, false, deadline);
        }
        if (status != CANO_OK) {
            return status;
        }
        done += got;
    }
    return CANO_OK;
}

static cano_status check_greeting(const greeting *hello)
{
    if (hello->magic != GREETING_MAGIC) {
        return CANO_ECORRUPT;
    }
    if (hello->version != CANO_LAYOUT) {
        return CANO_EVERSION;
    }
    const unsigned char length[4] = { 0, 0, 0, sizeof *hello - sizeof hello->length };
    return memcmp(hello->length, length, sizeof length) == 0 ? CANO_OK : CANO_ECORRUPT;
}

static cano_status hear_greeting(cano_os_stream *stream, cano_pipe_parts *parts, cano_handles *handles, int64_t deadline)
{
    greeting hello;
    unsigned char *bytes = (unsigned char *)&hello;
    cano_status status = read_until(stream, bytes, GREETING_PREFIX, handles, deadline);
    if (status == CANO_OK) {
        status = check_greeting(&hello);
    }
    if (status == CANO_OK) {
        status = read_until(stream, bytes + GREETING_PREFIX, sizeof hello - GREETING_PREFIX, handles, deadline);
    }
    if (status != CANO_OK) {
        return status;
    }
    if (hello.size > sizeof hello.bytes || handles->count > CANO_PIPE_HANDLES) {
        return CANO_ECORRUPT;
    }
    memcpy(parts->bytes, hello.bytes, hello.size);
    parts->size = hello.size;
    parts->handle_count = handles->count;
    memcpy(parts->handles, handles->list, handles->count * sizeof parts->handles[0]);
    return CANO_OK;
}

static cano_status introduce(cano_pipe *pipe, int64_t deadline)
{
    cano_pipe_parts peer;
    cano_os_stream extra = { CANO_OS_NONE, NULL };
    cano_status status = CANO_OK;
    if (pipe->birth.transport == CANO_PIPE_STREAM) {
        cano_pipe_stream_make(pipe, &peer);
    } else {
        status = cano_pipe_memory_make(pipe, &peer, &extra);
    }
    if (status == CANO_OK) {
        status = greet(&pipe->streams[0], &peer, deadline);
    }
    cano_os_stream_close(&extra, false);
    return status;
}

cano_status cano_pipe_accepted(cano_pipe **pipe, cano_os_stream *stream, uint32_t flags, int64_t deadline)
{
    const cano_pipe_birth birth = {
        .transport = flags & CANO_PIPE_STREAM ? CANO_PIPE_STREAM : CANO_PIPE_MEMORY,
        .directions = flags & CANO_SIMPLEX ? CANO_PIPE_RECEIVES : CANO_PIPE_RECEIVES | CANO_PIPE_SENDS,
    };
    cano_pipe *made;
    cano_status status = allocate(&made, &birth);
    if (status != CANO_OK) {
        cano_os_stream_close(stream, false);
        return status;
    }
    memcpy(made->birth.pair, made->memory.id, sizeof made->birth.pair); /* random enough not to come twice */
    made->streams[0] = *stream;
    made->streams_count = 1;
    status = introduce(made, deadline);
    if (status != CANO_OK) {
        cano_pipe_dispose(made);
        return status;
    }
    *pipe = made;
    return CANO_OK;
}

cano_status cano_pipe_connected(cano_pipe **pipe, cano_os_stream *stream, int64_t deadline)
{
    cano_pipe_parts parts;
    cano_handles handles = { .count = 0 };
    const cano_status status = hear_greeting(stream, &parts, &handles, deadline);
    if (status != CANO_OK) {
        cano_handles_close(&handles);
        cano_os_stream_close(stream, false);
        return status;
    }
    return assemble(pipe, &parts, stream);
}
