/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file wait.h
 * Sleep until one of many is ready.
 */
#ifndef CANO_WAIT_H
#define CANO_WAIT_H

#include <cano/export.h>
#include <cano/listener.h>
#include <cano/pipe.h>
#include <cano/process.h>
#include <cano/queue.h>
#include <cano/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A thing to wait for; set exactly one. */
typedef struct cano_object {
    cano_pipe *pipe;         /**< ready: something can be received, or the end is there */
    cano_queue *queue;       /**< ready: a message may be there, or the queue ended */
    cano_listener *listener; /**< ready: somebody knocks */
    cano_process *process;   /**< ready: it has ended */
} cano_object;

/**
 * Wait until one of @a count objects is ready.
 *
 * @param objects  what to wait for.
 * @param count    how many: 1 to 60.
 * @param ready    receives the index of one that is ready, the first such in the array.
 * @param timeout  microseconds to wait.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  none was ready in time
 *         CANO_EINVAL    no object, too many, or one with no or several things set
 *         otherwise as cano_pipe_poll, cano_queue_native
 */
CANO_API cano_status cano_wait(const cano_object *objects, size_t count, size_t *ready, cano_timeout timeout);

#ifdef __cplusplus
}
#endif

#endif
