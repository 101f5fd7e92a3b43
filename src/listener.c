/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include "deadline.h"
#include "latch.h"
#include "name.h"
#include "options.h"
#include "pipe.h"

#include <stdlib.h>

/* Microseconds. */
#define ACCEPT_SLICE INT64_C(50000)    /* one sleep in accept: a fork's close cannot wake it */
#define CLOSE_PAUSE INT64_C(1000)      /* between two looks of close for threads in accept */
#define GREETING_MOST INT64_C(1000000) /* one caller may keep the others waiting; a greeting fits what its stream buffers */
#define GREETING_LEAST INT64_C(10000)  /* granted to a peer also by CANO_NOW */
#define CONNECT_PAUSE INT64_C(1000)    /* before the second look for a listener; doubles from look to look */
#define CONNECT_PAUSE_MOST INT64_C(20000)

struct cano_listener {
    cano_os_stream stream;
    uint32_t flags; /* transport of the pipes it gives */
    uint32_t access;
    uint32_t maker;   /* cano_os_self() of the process that made it: a fork's copy must not end it for the others */
    cano_latch latch; /* guards what follows, and the stream */
    uint32_t process; /* whose threads are counted */
    uint32_t inside;  /* threads in accept */
    bool closing;
};

/* ---- options ---- */

static cano_status check_options(const cano_listener_options *options, uint32_t flags)
{
    const cano_status status = cano_options_check(options, sizeof *options);
    if (status != CANO_OK) {
        return status;
    }
    const bool both = options->flags == (CANO_PIPE_MEMORY | CANO_PIPE_STREAM);
    return (options->flags & ~flags) != 0 || both || options->access > CANO_ACCESS_EVERYONE ? CANO_EINVAL : CANO_OK;
}

/* ---- a caller and a listener get to know each other ---- */

/* The other side has to answer, also for one who has no time. */
static int64_t least_deadline(int64_t deadline)
{
    const int64_t least = cano_os_now() + GREETING_LEAST;
    return deadline < least ? least : deadline;
}

/* Which users the path lets through is the kernel's to say; that it is our own is asked again here. */
static cano_status check_peer(cano_os_stream *stream, uint32_t access)
{
    int64_t pid;
    int64_t uid;
    bool same_user;
    const cano_status status = cano_os_stream_peer(stream, &pid, &uid, &same_user);
    if (status != CANO_OK) {
        return status;
    }
    return same_user || access != CANO_ACCESS_USER ? CANO_OK : CANO_EACCES;
}

/* ---- listen ---- */

cano_status cano_listener_create(cano_listener **listener, const char *name, const cano_listener_options *options)
{
    if (listener == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = options == NULL ? CANO_OK : check_options(options, CANO_PIPE_MEMORY | CANO_PIPE_STREAM);
    if (status != CANO_OK) {
        return status;
    }
    char path[CANO_OS_PATH_MAX];
    status = cano_name_path(name, path);
    if (status != CANO_OK) {
        return status;
    }
    cano_listener *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return CANO_ENOMEM;
    }
    made->flags = options == NULL || options->flags == 0 ? CANO_PIPE_MEMORY : options->flags;
    made->access = options == NULL ? CANO_ACCESS_USER : options->access;
    made->maker = made->process = cano_os_self();
    status = cano_os_stream_listen(&made->stream, path, made->access);
    if (status != CANO_OK) {
        free(made);
        return status;
    }
    *listener = made;
    return CANO_OK;
}

/* ---- accept ---- */

/* Threads of the process that forked us are not here. */
static void count_for_this_process(cano_listener *listener)
{
    const uint32_t self = cano_os_self();
    if (listener->process != self) {
        listener->process = self;
        listener->inside = 0;
        listener->closing = false;
    }
}

static cano_status enter(cano_listener *listener)
{
    cano_latch_close(&listener->latch);
    count_for_this_process(listener);
    const bool closing = listener->closing;
    listener->inside += closing ? 0 : 1;
    cano_latch_open(&listener->latch);
    return closing ? CANO_ECLOSED : CANO_OK;
}

static void leave(cano_listener *listener)
{
    cano_latch_close(&listener->latch);
    listener->inside--;
    cano_latch_open(&listener->latch);
}

static cano_status try_accept(cano_listener *listener, cano_os_stream *caller)
{
    cano_latch_close(&listener->latch);
    const cano_status status = listener->closing ? CANO_ECLOSED : cano_os_stream_accept(&listener->stream, caller);
    cano_latch_open(&listener->latch);
    return status;
}

static cano_status next_caller(cano_listener *listener, cano_os_stream *caller, int64_t deadline)
{
    for (;;) {
        cano_status status = try_accept(listener, caller);
        if (status != CANO_ETIMEOUT) {
            return status;
        }
        if (cano_os_now() >= deadline) {
            return CANO_ETIMEOUT;
        }
        cano_os_pollable knock = { listener->stream.handle, false, false };
        status = cano_os_poll(&knock, 1, cano_deadline_slice(deadline, ACCEPT_SLICE));
        if (status != CANO_OK && status != CANO_ETIMEOUT) {
            return status;
        }
    }
}

static cano_status greet(const cano_listener *listener, cano_os_stream *caller, cano_pipe **pipe, int64_t deadline)
{
    if (check_peer(caller, listener->access) != CANO_OK) {
        cano_os_stream_close(caller, true);
        return CANO_EACCES;
    }
    return cano_pipe_accepted(pipe, caller, listener->flags, least_deadline(cano_deadline_slice(deadline, GREETING_MOST)));
}

/* The caller has no right, gave up, or does not even read a greeting: it is dropped, and the next one heard. */
static bool is_fault_of_caller(cano_status status)
{
    return status == CANO_EACCES || status == CANO_ECLOSED || status == CANO_ETIMEOUT;
}

static cano_status accept_one(cano_listener *listener, cano_pipe **pipe, int64_t deadline)
{
    cano_status status;
    do {
        cano_os_stream caller;
        status = next_caller(listener, &caller, deadline);
        if (status != CANO_OK) {
            return status;
        }
        status = greet(listener, &caller, pipe, deadline);
    } while (is_fault_of_caller(status) && cano_os_now() < deadline);
    return is_fault_of_caller(status) ? CANO_ETIMEOUT : status;
}

cano_status cano_listener_accept(cano_listener *listener, cano_pipe **pipe, cano_timeout timeout)
{
    int64_t deadline;
    if (listener == NULL || pipe == NULL || cano_deadline(timeout, &deadline) != CANO_OK) {
        return CANO_EINVAL;
    }
    cano_status status = enter(listener);
    if (status == CANO_OK) {
        status = accept_one(listener, pipe, deadline);
        leave(listener);
    }
    return status;
}

/* ---- close ---- */

static bool is_occupied(cano_listener *listener)
{
    cano_latch_close(&listener->latch);
    count_for_this_process(listener);
    listener->closing = true;
    const bool occupied = listener->inside > 0;
    cano_latch_open(&listener->latch);
    return occupied;
}

void cano_listener_close(cano_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    const bool ours = listener->maker == cano_os_self();
    if (is_occupied(listener) && ours) {
        cano_os_stream_end(&listener->stream); /* wakes who is in accept */
    }
    while (is_occupied(listener)) {
        cano_os_poll(NULL, 0, cano_os_now() + CLOSE_PAUSE);
    }
    cano_os_stream_close(&listener->stream, ours);
    free(listener);
}

/* ---- connect ---- */

/* CANO_ENOENT, CANO_ETIMEOUT: worth another try. */
static cano_status try_connect(cano_pipe **pipe, const char *path, uint32_t access, int64_t deadline)
{
    cano_os_stream stream;
    cano_status status = cano_os_stream_connect(&stream, path);
    if (status != CANO_OK) {
        return status;
    }
    status = check_peer(&stream, access);
    if (status != CANO_OK) {
        cano_os_stream_close(&stream, true);
        return status;
    }
    status = cano_pipe_connected(pipe, &stream, least_deadline(deadline));
    return status == CANO_ECLOSED ? CANO_ENOENT : status; /* it went away, or found us too slow */
}

static cano_status connect_until(cano_pipe **pipe, const char *path, uint32_t access, int64_t deadline)
{
    for (int64_t pause = CONNECT_PAUSE;; pause = pause * 2 < CONNECT_PAUSE_MOST ? pause * 2 : CONNECT_PAUSE_MOST) {
        const cano_status status = try_connect(pipe, path, access, deadline);
        if ((status != CANO_ENOENT && status != CANO_ETIMEOUT) || deadline == 0) {
            return status;
        }
        if (cano_os_now() >= deadline) {
            return CANO_ETIMEOUT;
        }
        cano_os_poll(NULL, 0, cano_deadline_slice(deadline, pause));
    }
}

cano_status cano_connect(cano_pipe **pipe, const char *name, const cano_listener_options *options, cano_timeout timeout)
{
    int64_t deadline;
    if (pipe == NULL || cano_deadline(timeout, &deadline) != CANO_OK) {
        return CANO_EINVAL;
    }
    cano_status status = options == NULL ? CANO_OK : check_options(options, 0);
    if (status != CANO_OK) {
        return status;
    }
    char path[CANO_OS_PATH_MAX];
    status = cano_name_path(name, path);
    if (status != CANO_OK) {
        return status;
    }
    return connect_until(pipe, path, options == NULL ? CANO_ACCESS_USER : options->access, deadline);
}

/* ---- for cano_wait ---- */

cano_os_handle cano_listener_handle(const cano_listener *listener)
{
    return listener->stream.handle;
}
