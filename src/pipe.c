/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe.h"

#include "options.h"
#include "pause.h"
#include "pipe_end.h"
#include "queue.h"

#include <stdlib.h>
#include <string.h>

#define CREATE_PATIENCE INT64_C(1000000) /* microseconds for what should not wait at all */

/* ---- whose it is ---- */

/* A forked child that uses an inherited end takes it over. Its complement marks a process that is at it. */
static void take_over(cano_pipe *pipe, uint32_t self)
{
    /* acquire: pairs with the release below, by another thread of this process */
    uint32_t owner = atomic_load_explicit(&pipe->owner, memory_order_acquire);
    while (owner != self) {
        if (owner != ~self &&
            atomic_compare_exchange_strong_explicit(&pipe->owner, &owner, ~self, memory_order_acquire, memory_order_acquire)) {
            /* relaxed: published by the release of owner */
            atomic_store_explicit(&pipe->gates->receiving.word, 0, memory_order_relaxed); /* who was inside stayed behind */
            atomic_store_explicit(&pipe->gates->sending.word, 0, memory_order_relaxed);
            atomic_store_explicit(&pipe->used, 0, memory_order_relaxed);
            atomic_store_explicit(&pipe->failed, pipe->transport->recover(pipe), memory_order_relaxed);
            atomic_store_explicit(&pipe->owner, self, memory_order_release);
            return;
        }
        cano_pause();
        owner = atomic_load_explicit(&pipe->owner, memory_order_acquire);
    }
}

static bool is_inherited(cano_pipe *pipe)
{
    /* acquire: pairs with the release in take_over */
    return atomic_load_explicit(&pipe->owner, memory_order_acquire) != cano_os_self();
}

/* Has a forked child of ours, or its child, taken it over? */
static bool is_lost(const cano_pipe *pipe)
{
    /* relaxed: a mark between processes of one family */
    return pipe->shared_owner != NULL && atomic_load_explicit(pipe->shared_owner, memory_order_relaxed) != pipe->ownership;
}

/* ---- a call ---- */

static cano_status refusal(cano_pipe *pipe)
{
    /* relaxed, all: hints from other threads, who have no business with what we are about to touch */
    const cano_status failed = atomic_load_explicit(&pipe->failed, memory_order_relaxed);
    if (failed != CANO_OK) {
        return failed;
    }
    if (atomic_load_explicit(&pipe->closing, memory_order_relaxed)) {
        return CANO_ECLOSED;
    }
    return is_lost(pipe) ? CANO_EINVAL : CANO_OK;
}

static cano_visit visit_of(cano_pipe *pipe, uint32_t direction, cano_timeout timeout)
{
    cano_gate *gate = direction == CANO_PIPE_RECEIVES ? &pipe->gates->receiving : &pipe->gates->sending;
    return (cano_visit){ .gate = gate, .memory = &pipe->memory, .closing = &pipe->closing, .timeout = timeout };
}

/* CANO_OK: this thread has the direction to itself; follow with leave. */
static cano_status enter(cano_pipe *pipe, uint32_t direction, cano_timeout timeout, cano_visit *visit)
{
    if (pipe == NULL || timeout < CANO_FOREVER) {
        return CANO_EINVAL;
    }
    if ((pipe->birth.directions & direction) == 0) {
        return CANO_ENOTSUP;
    }
    if (is_inherited(pipe)) {
        take_over(pipe, cano_os_self());
    }
    *visit = visit_of(pipe, direction, timeout);
    cano_status status = cano_visit_enter(visit);
    if (status == CANO_OK) {
        status = refusal(pipe);
    }
    if (status != CANO_OK) {
        cano_visit_leave(visit);
    } else if (atomic_load_explicit(&pipe->used, memory_order_relaxed) == 0) {
        atomic_store_explicit(&pipe->used, 1, memory_order_relaxed); /* for the close, which comes last */
    }
    return status;
}

static cano_status leave(cano_pipe *pipe, cano_visit *visit, cano_status status)
{
    if (status == CANO_ECORRUPT) {
        atomic_store_explicit(&pipe->failed, status, memory_order_relaxed); /* seen under the gate, or a call later */
    }
    cano_visit_leave(visit);
    return status;
}

/* ---- make ---- */

static cano_status read_options(const cano_pipe_options *options, uint32_t *flags)
{
    *flags = 0;
    if (options == NULL) {
        return CANO_OK;
    }
    const cano_status status = cano_options_check(options, sizeof *options);
    if (status != CANO_OK) {
        return status;
    }
    const uint32_t transports = CANO_PIPE_MEMORY | CANO_PIPE_STREAM;
    if ((options->flags & ~(uint32_t)(CANO_SIMPLEX | transports)) != 0 || (options->flags & transports) == transports ||
        options->reserved != 0) {
        return CANO_EINVAL;
    }
    *flags = options->flags;
    return CANO_OK;
}

cano_status cano_pipe_create(cano_pipe **a, cano_pipe **b, const cano_pipe_options *options)
{
    uint32_t flags;
    cano_status status = a == NULL || b == NULL ? CANO_EINVAL : read_options(options, &flags);
    if (status != CANO_OK) {
        return status;
    }
    cano_os_stream pair[2];
    status = cano_os_stream_pair(pair);
    if (status != CANO_OK) {
        return status;
    }
    const int64_t deadline = cano_os_now() + CREATE_PATIENCE;
    cano_pipe *first;
    status = cano_pipe_accepted(&first, &pair[0], flags, deadline);
    if (status != CANO_OK) {
        cano_os_stream_close(&pair[1], false);
        return status;
    }
    status = cano_pipe_connected(b, &pair[1], deadline);
    if (status != CANO_OK) {
        cano_pipe_dispose(first);
        return status;
    }
    *a = first;
    return CANO_OK;
}

/* ---- send and receive ---- */

static cano_status send_thing(cano_pipe *pipe, const cano_pipe_message *message, cano_timeout timeout)
{
    cano_visit visit;
    const cano_status status = enter(pipe, CANO_PIPE_SENDS, timeout, &visit);
    return status == CANO_OK ? leave(pipe, &visit, pipe->transport->send(pipe, &visit, message)) : status;
}

cano_status cano_pipe_send(cano_pipe *pipe, const void *data, size_t size, cano_timeout timeout)
{
    if ((data == NULL && size > 0) || size > SIZE_MAX / 2) {
        return CANO_EINVAL;
    }
    const cano_pipe_message message = { .thing = CANO_THING_MESSAGE, .data = data, .size = size };
    return send_thing(pipe, &message, timeout);
}

/* The next thing is one of this kind. CANO_EKIND: it is not, and stays. */
static cano_status find(cano_pipe *pipe, cano_visit *visit, uint32_t expected, uint64_t *size)
{
    uint32_t thing;
    const cano_status status = pipe->transport->find(pipe, visit, &thing, size);
    return status == CANO_OK && thing != expected ? CANO_EKIND : status;
}

static cano_status receive(cano_pipe *pipe, cano_visit *visit, void *buffer, size_t capacity, size_t *size)
{
    uint64_t length;
    cano_status status = find(pipe, visit, CANO_THING_MESSAGE, &length);
    if (status != CANO_OK) {
        return status;
    }
    status = length > capacity ? CANO_ETOOBIG : pipe->transport->take(pipe, visit, buffer);
    if (size != NULL && (status == CANO_OK || status == CANO_ETOOBIG)) {
        *size = (size_t)length;
    }
    return status;
}

cano_status cano_pipe_recv(cano_pipe *pipe, void *buffer, size_t capacity, size_t *size, cano_timeout timeout)
{
    if (buffer == NULL && capacity > 0) {
        return CANO_EINVAL;
    }
    cano_visit visit;
    const cano_status status = enter(pipe, CANO_PIPE_RECEIVES, timeout, &visit);
    return status == CANO_OK ? leave(pipe, &visit, receive(pipe, &visit, buffer, capacity, size)) : status;
}

static cano_status receive_alloc(cano_pipe *pipe, cano_visit *visit, void **data, size_t *size)
{
    uint64_t length;
    cano_status status = find(pipe, visit, CANO_THING_MESSAGE, &length);
    if (status != CANO_OK) {
        return status;
    }
    void *memory = malloc(length > 0 ? (size_t)length : 1);
    if (memory == NULL) {
        return CANO_ENOMEM;
    }
    status = pipe->transport->take(pipe, visit, memory);
    if (status != CANO_OK) {
        free(memory);
        return status;
    }
    *data = memory;
    *size = (size_t)length;
    return CANO_OK;
}

cano_status cano_pipe_recv_alloc(cano_pipe *pipe, void **data, size_t *size, cano_timeout timeout)
{
    if (data == NULL || size == NULL) {
        return CANO_EINVAL;
    }
    cano_visit visit;
    const cano_status status = enter(pipe, CANO_PIPE_RECEIVES, timeout, &visit);
    return status == CANO_OK ? leave(pipe, &visit, receive_alloc(pipe, &visit, data, size)) : status;
}

cano_status cano_pipe_poll(cano_pipe *pipe, cano_timeout timeout)
{
    cano_visit visit;
    cano_status status = enter(pipe, CANO_PIPE_RECEIVES, timeout, &visit);
    if (status != CANO_OK) {
        return status;
    }
    status = leave(pipe, &visit, pipe->transport->await(pipe, &visit));
    return status == CANO_ECLOSED ? CANO_OK : status;
}

/* ---- close ---- */

/* Wait until the last sleeper has left: the streams are ended, or nobody sleeps. */
static void clear(cano_pipe *pipe, bool ends)
{
    cano_visit in = visit_of(pipe, CANO_PIPE_RECEIVES, CANO_FOREVER);
    cano_visit out = visit_of(pipe, CANO_PIPE_SENDS, CANO_FOREVER);
    cano_visit_enter(&in);
    cano_visit_enter(&out);
    if (ends) {
        pipe->transport->leave(pipe);
    }
    cano_visit_leave(&out);
    cano_visit_leave(&in);
    cano_gate_await_empty(&pipe->gates->receiving, &pipe->memory);
    cano_gate_await_empty(&pipe->gates->sending, &pipe->memory);
}

/* A copy that this process has never used is only let go of: the conversation is somebody else's, or ends with the last
 * descriptor. */
void cano_pipe_close(cano_pipe *pipe)
{
    if (pipe == NULL) {
        return;
    }
    if (!is_inherited(pipe)) {
        const bool ends = atomic_load_explicit(&pipe->used, memory_order_relaxed) != 0 && !is_lost(pipe);
        atomic_store_explicit(&pipe->closing, 1, memory_order_relaxed); /* a hint; the gates order the rest */
        for (uint32_t i = 0; ends && i < pipe->streams_count; i++) {
            cano_os_stream_end(&pipe->streams[i]);
        }
        clear(pipe, ends);
    }
    cano_pipe_dispose(pipe);
}

/* ---- pass things ---- */

static bool is_same_pipe(const cano_pipe *one, const cano_pipe *other)
{
    return memcmp(one->birth.pair, other->birth.pair, sizeof one->birth.pair) == 0;
}

cano_status cano_pipe_send_pipe(cano_pipe *pipe, cano_pipe *moved, cano_timeout timeout)
{
    if (pipe == NULL || moved == NULL || is_same_pipe(pipe, moved)) {
        return CANO_EINVAL;
    }
    cano_pipe_parts parts;
    cano_status status = cano_pipe_take_apart(moved, &parts);
    if (status != CANO_OK) {
        return status;
    }
    const cano_pipe_message message = { .thing = CANO_THING_PIPE,
                                        .data = parts.bytes,
                                        .size = parts.size,
                                        .handles = parts.handles,
                                        .handle_count = parts.handle_count };
    status = send_thing(pipe, &message, timeout);
    if (status == CANO_OK) {
        cano_pipe_moved(moved);
    } else {
        cano_pipe_stays(moved);
    }
    return status;
}

cano_status cano_pipe_send_queue(cano_pipe *pipe, cano_queue *queue, cano_timeout timeout)
{
    if (pipe == NULL || queue == NULL) {
        return CANO_EINVAL;
    }
    cano_os_handle handle;
    const cano_status status = cano_queue_segment_handle(queue, &handle);
    if (status != CANO_OK) {
        return status;
    }
    const cano_pipe_message message = {
        .thing = CANO_THING_QUEUE, .data = "", .size = 0, .handles = &handle, .handle_count = 1
    };
    return send_thing(pipe, &message, timeout);
}

static cano_status receive_thing(cano_pipe *pipe, uint32_t thing, cano_pipe_parts *parts, cano_timeout timeout)
{
    cano_visit visit;
    cano_status status = enter(pipe, CANO_PIPE_RECEIVES, timeout, &visit);
    if (status != CANO_OK) {
        return status;
    }
    uint64_t size;
    status = find(pipe, &visit, thing, &size);
    if (status == CANO_OK) {
        status = pipe->transport->unpack(pipe, &visit, parts);
    }
    return leave(pipe, &visit, status);
}

cano_status cano_pipe_recv_pipe(cano_pipe *pipe, cano_pipe **received, cano_timeout timeout)
{
    if (received == NULL) {
        return CANO_EINVAL;
    }
    cano_pipe_parts parts;
    const cano_status status = receive_thing(pipe, CANO_THING_PIPE, &parts, timeout);
    return status == CANO_OK ? cano_pipe_assemble(received, &parts) : status;
}

static void close_parts(const cano_pipe_parts *parts)
{
    for (uint32_t i = 0; i < parts->handle_count; i++) {
        cano_os_close(parts->handles[i]);
    }
}

cano_status cano_pipe_recv_queue(cano_pipe *pipe, cano_queue **received, cano_timeout timeout)
{
    if (received == NULL) {
        return CANO_EINVAL;
    }
    cano_pipe_parts parts;
    const cano_status status = receive_thing(pipe, CANO_THING_QUEUE, &parts, timeout);
    if (status != CANO_OK) {
        return status;
    }
    if (parts.handle_count != 1) {
        close_parts(&parts);
        return CANO_ECORRUPT;
    }
    return cano_queue_adopt(received, parts.handles[0], NULL, NULL);
}

/* ---- ask ---- */

cano_status cano_pipe_peer(cano_pipe *pipe, int64_t *pid, int64_t *uid)
{
    if (pipe == NULL) {
        return CANO_EINVAL;
    }
    int64_t process;
    int64_t user;
    bool same;
    const cano_status status = cano_os_stream_peer(&pipe->streams[0], &process, &user, &same);
    if (status == CANO_OK && pid != NULL) {
        *pid = process;
    }
    if (status == CANO_OK && uid != NULL) {
        *uid = user;
    }
    return status;
}

cano_status cano_pipe_native(cano_pipe *pipe, cano_native *native)
{
    cano_visit visit;
    const cano_status status = native == NULL ? CANO_EINVAL : enter(pipe, CANO_PIPE_RECEIVES, CANO_FOREVER, &visit);
    return status == CANO_OK ? leave(pipe, &visit, pipe->transport->watch(pipe, native)) : status;
}

cano_status cano_pipe_ready(cano_pipe *pipe, bool *ready)
{
    cano_visit visit;
    cano_status status = enter(pipe, CANO_PIPE_RECEIVES, CANO_NOW, &visit);
    if (status == CANO_OK) {
        cano_os_handle native;
        status = pipe->transport->watch(pipe, &native);
        if (status == CANO_OK) {
            status = pipe->transport->await(pipe, &visit);
        }
        leave(pipe, &visit, status);
    }
    if (status != CANO_OK && status != CANO_ECLOSED && status != CANO_ETIMEOUT) {
        return status;
    }
    *ready = status != CANO_ETIMEOUT;
    return CANO_OK;
}

/* ---- take to pieces, put together ---- */

static void open_gates(cano_pipe *pipe)
{
    cano_visit in = visit_of(pipe, CANO_PIPE_RECEIVES, CANO_NOW);
    cano_visit out = visit_of(pipe, CANO_PIPE_SENDS, CANO_NOW);
    in.holds = true;
    out.holds = true;
    cano_visit_leave(&out);
    cano_visit_leave(&in);
}

static bool enter_both_alone(cano_pipe *pipe)
{
    if (!cano_gate_enter_alone(&pipe->gates->receiving)) {
        return false;
    }
    if (cano_gate_enter_alone(&pipe->gates->sending)) {
        return true;
    }
    cano_visit in = visit_of(pipe, CANO_PIPE_RECEIVES, CANO_NOW);
    in.holds = true;
    cano_visit_leave(&in);
    return false;
}

cano_status cano_pipe_take_apart(cano_pipe *pipe, cano_pipe_parts *parts)
{
    if (is_inherited(pipe)) {
        take_over(pipe, cano_os_self());
    }
    if (!enter_both_alone(pipe)) {
        return CANO_EINVAL;
    }
    cano_status status = refusal(pipe);
    if (status == CANO_OK) {
        memcpy(parts->bytes, &pipe->birth, sizeof pipe->birth);
        parts->size = sizeof pipe->birth;
        parts->handle_count = 0;
        status = pipe->transport->describe(pipe, parts);
    }
    if (status != CANO_OK) {
        open_gates(pipe);
    }
    return status;
}

void cano_pipe_moved(cano_pipe *pipe)
{
    cano_pipe_dispose(pipe);
}

void cano_pipe_stays(cano_pipe *pipe)
{
    open_gates(pipe);
}
