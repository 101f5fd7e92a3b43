/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pipe.h
 * Messages between two ends. Think of a pipe with one person at each end: one speaks and the other hears, and the other way
 * round.
 *
 * Messages keep their bounds; an empty one is a message like any other. When the peer closes or is killed, what it sent
 * completely is still delivered and then every call is CANO_ECLOSED, at once. A message cut short by a death is never
 * delivered. CANO_OK from send does not mean received.
 *
 * Two threads may send on one end, and two may receive: messages do not interleave. An end belongs to one process: it is
 * moved by cano_process_spawn and cano_pipe_send_pipe, which close it here. A forked child that uses an inherited end takes
 * it over: in the parent its calls are CANO_EINVAL from then on (over CANO_PIPE_STREAM nobody notices, so do not). Closing an
 * end that this process has never used only lets go of this copy: as after any fork, each side closes the end that is the
 * other's, or it will not see the end of the conversation.
 */
#ifndef CANO_PIPE_H
#define CANO_PIPE_H

#include <cano/export.h>
#include <cano/queue.h>
#include <cano/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One end of a pipe. */
typedef struct cano_pipe cano_pipe;

/** Options of a pipe, to be combined. */
enum {
    CANO_SIMPLEX = 1,     /**< one direction: b sends, a receives; the other calls are CANO_ENOTSUP */
    CANO_PIPE_MEMORY = 2, /**< rings in shared memory; a socket or named pipe carries bells and handles (the default) */
    CANO_PIPE_STREAM = 4  /**< everything through a socket or named pipe; on POSIX the bytes are those of Python's
                               Connection.send_bytes. The time-out bounds the wait for the first byte, then the call goes on
                               until the message is done or the peer is gone */
};

/** Options for making a pipe; all zero but size, or none at all, means duplex and CANO_PIPE_MEMORY. */
typedef struct cano_pipe_options {
    size_t size;    /**< sizeof(cano_pipe_options) */
    uint32_t flags; /**< CANO_SIMPLEX and one of CANO_PIPE_MEMORY, CANO_PIPE_STREAM */
    uint32_t reserved; /**< 0 */
} cano_pipe_options;

#define CANO_PIPE_OPTIONS_INIT { sizeof(cano_pipe_options), 0, 0 } /**< the defaults */

/**
 * Make a pipe.
 *
 * @param a        receives one end; close it with cano_pipe_close.
 * @param b        receives the other end, likewise.
 * @param options  the options, or NULL.
 *
 * @return CANO_OK
 *         CANO_EINVAL   bad options, or both transports
 *         CANO_ENOTSUP  the options carry fields this version does not know
 *         CANO_ELIMIT   no descriptor left
 *         CANO_ENOSPC, CANO_ENOMEM, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_pipe_create(cano_pipe **a, cano_pipe **b, const cano_pipe_options *options);

/**
 * Send a message, waiting for room.
 *
 * @param pipe     the end.
 * @param data     the payload, copied; may be NULL when @a size is 0.
 * @param size     bytes of payload.
 * @param timeout  microseconds to wait for room.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  no room came in time; nothing was sent
 *         CANO_ECLOSED   the peer is gone, or this end is being closed
 *         CANO_ENOTSUP   the receiving end of a simplex pipe
 *         CANO_ENOSPC    a message larger than half the ring found no room in shared memory; nothing was sent
 *         CANO_ELIMIT    no descriptor left to send a large message; nothing was sent
 *         CANO_EINVAL, CANO_ENOMEM, CANO_ECORRUPT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_pipe_send(cano_pipe *pipe, const void *data, size_t size, cano_timeout timeout);

/**
 * Receive the next message, waiting for one.
 *
 * @param pipe      the end.
 * @param buffer    receives the message; may be NULL when @a capacity is 0.
 * @param capacity  bytes in @a buffer.
 * @param size      receives the bytes of the message, also with CANO_ETOOBIG. May be NULL.
 * @param timeout   microseconds to wait.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  no message came in time
 *         CANO_ETOOBIG   the message is larger than @a capacity; it stays
 *         CANO_ECLOSED   the peer is gone and all it sent has been received, or this end is being closed
 *         CANO_EKIND     the next thing is a pipe end or a queue: receive it with the call for it
 *         CANO_ENOTSUP   the sending end of a simplex pipe
 *         CANO_ELIMIT    no descriptor left for a message larger than half the ring; it stays
 *         CANO_EINVAL, CANO_ENOMEM, CANO_ECORRUPT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_pipe_recv(cano_pipe *pipe, void *buffer, size_t capacity, size_t *size, cano_timeout timeout);

/**
 * Receive the next message into memory made for it.
 *
 * @param data  receives the message, which the caller ends with cano_free; not NULL even when @a size is 0.
 * @param size  receives its bytes.
 *
 * @return as cano_pipe_recv; CANO_ENOMEM: no memory, the message stays.
 */
CANO_API cano_status cano_pipe_recv_alloc(cano_pipe *pipe, void **data, size_t *size, cano_timeout timeout);

/**
 * Wait until something can be received.
 *
 * @return CANO_OK        a message, a passed thing or the end is there
 *         CANO_ETIMEOUT  nothing came in time
 *         CANO_ENOTSUP   the sending end of a simplex pipe
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_pipe_poll(cano_pipe *pipe, cano_timeout timeout);

/**
 * Close one end. The peer still receives what was sent and then CANO_ECLOSED. Sleepers in other threads return CANO_ECLOSED.
 *
 * @param pipe  the end, or NULL.
 */
CANO_API void cano_pipe_close(cano_pipe *pipe);

/**
 * Send an end of another pipe. It moves: with CANO_OK it is closed here. Messages waiting in it go along.
 *
 * @param pipe     the end to send through.
 * @param moved    the end to send; not of the same pipe.
 * @param timeout  microseconds to wait for room.
 *
 * @return as cano_pipe_send; CANO_EINVAL: the end is of the same pipe, or in use. CANO_ELIMIT: also when things with more
 *         than 3 handles wait in it half received. On failure it stays as it was.
 */
CANO_API cano_status cano_pipe_send_pipe(cano_pipe *pipe, cano_pipe *moved, cano_timeout timeout);

/**
 * Send a queue. It is shared: the handle here stays open.
 *
 * @return as cano_pipe_send; CANO_EINVAL: a queue of scope threads. CANO_ENOTSUP: a queue over a network.
 */
CANO_API cano_status cano_pipe_send_queue(cano_pipe *pipe, cano_queue *queue, cano_timeout timeout);

/**
 * Receive an end of another pipe.
 *
 * @param received  receives the end; close it with cano_pipe_close.
 *
 * @return as cano_pipe_recv; CANO_EKIND: the next thing is a message or a queue; it stays.
 *         CANO_ELIMIT: no descriptor left.
 */
CANO_API cano_status cano_pipe_recv_pipe(cano_pipe *pipe, cano_pipe **received, cano_timeout timeout);

/**
 * Receive a queue, attaching to it.
 *
 * @param received  receives the handle; end it with cano_queue_close.
 *
 * @return as cano_pipe_recv, and as cano_queue_open; CANO_EKIND: the next thing is a message or a pipe end; it stays.
 */
CANO_API cano_status cano_pipe_recv_queue(cano_pipe *pipe, cano_queue **received, cano_timeout timeout);

/**
 * Tell who was at the other end when the pipe was made or connected, as the kernel knows it.
 *
 * @param pid  receives the process number. May be NULL.
 * @param uid  receives the user number; -1 where the system has none. May be NULL.
 *
 * @return CANO_OK
 *         CANO_EINVAL, CANO_ENOTSUP, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_pipe_peer(cano_pipe *pipe, int64_t *pid, int64_t *uid);

/**
 * Get a handle for an event loop, ready to read when a message or the end is there. It may be ready once without either:
 * receive with CANO_NOW until CANO_ETIMEOUT. Never read from it, never close it; it lives as long as the end.
 *
 * @return CANO_OK
 *         CANO_ENOTSUP  the sending end of a simplex pipe
 *         CANO_EINVAL, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_pipe_native(cano_pipe *pipe, cano_native *native);

#ifdef __cplusplus
}
#endif

#endif
