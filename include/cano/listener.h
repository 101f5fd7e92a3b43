/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file listener.h
 * Meet a process you did not start: one listens under a name, others connect, each gets an end of a pipe.
 */
#ifndef CANO_LISTENER_H
#define CANO_LISTENER_H

#include <cano/export.h>
#include <cano/pipe.h>
#include <cano/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A name that others can connect to. */
typedef struct cano_listener cano_listener;

/** Options of a listener and of a connection. */
typedef struct cano_listener_options {
    size_t size;     /**< sizeof(cano_listener_options) */
    uint32_t flags;  /**< listener: CANO_PIPE_MEMORY (default) or CANO_PIPE_STREAM, the transport of its pipes; connect: 0 */
    uint32_t access; /**< CANO_ACCESS_USER (default), _GROUP, _EVERYONE: who may connect, or whom to connect to */
} cano_listener_options;

#define CANO_LISTENER_OPTIONS_INIT { sizeof(cano_listener_options), 0, 0 } /**< the defaults */

/**
 * Listen under a name. The name is free again when the listener closes or dies.
 *
 * @param listener  receives the handle; end it with cano_listener_close.
 * @param name      as for cano_queue_create; names of listeners and of queues are one namespace.
 * @param options   the options, or NULL.
 *
 * @return CANO_OK
 *         CANO_EEXIST   a living listener, or a queue, has the name
 *         CANO_EINVAL, CANO_ENOTSUP, CANO_EACCES, CANO_ELIMIT, CANO_ENOMEM, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_listener_create(cano_listener **listener, const char *name, const cano_listener_options *options);

/**
 * Wait for somebody to connect.
 *
 * @param pipe     receives an end of a duplex pipe; close it with cano_pipe_close.
 * @param timeout  microseconds to wait.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  nobody came; callers who may not, or who gave up meanwhile, do not count
 *         CANO_ECLOSED   the listener is being closed
 *         CANO_ELIMIT    no descriptor left; the one who knocks may try again
 *         CANO_EINVAL, CANO_ENOMEM, CANO_ENOSPC, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_listener_accept(cano_listener *listener, cano_pipe **pipe, cano_timeout timeout);

/** Stop listening: the name is free on return. Threads in accept return CANO_ECLOSED first. In a forked child the parent's
 *  listener goes on. @param listener  the listener, or NULL. */
CANO_API void cano_listener_close(cano_listener *listener);

/**
 * Connect to a listener, waiting for one to appear unless @a timeout is CANO_NOW.
 *
 * @param pipe     receives an end of a duplex pipe; close it with cano_pipe_close.
 * @param name     as given to cano_listener_create.
 * @param options  access, or NULL.
 * @param timeout  microseconds to wait; CANO_NOW gives a listener up to 10 ms to answer.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  nobody accepted in time
 *         CANO_ENOENT    with CANO_NOW: nobody listens
 *         CANO_EACCES    the listener is another user's
 *         CANO_EKIND     no listener is behind the name
 *         CANO_EINVAL, CANO_ENOTSUP, CANO_ELIMIT, CANO_ENOMEM, CANO_EVERSION, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_connect(cano_pipe **pipe, const char *name, const cano_listener_options *options, cano_timeout timeout);

#ifdef __cplusplus
}
#endif

#endif
