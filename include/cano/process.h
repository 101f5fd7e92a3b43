/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file process.h
 * Start a process and hand it pipes and queues. Same source on every system; no fork needed.
 *
 * The child inherits exactly the named things and its standard streams, nothing else. Queues are shared with it; pipe ends
 * move to it. What it has not taken stays open in it until it ends.
 *
 * A process belongs to the one that started it: in a forked child all calls but close are CANO_EINVAL.
 */
#ifndef CANO_PROCESS_H
#define CANO_PROCESS_H

#include <cano/export.h>
#include <cano/pipe.h>
#include <cano/queue.h>
#include <cano/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A process that was started. */
typedef struct cano_process cano_process;

/** As argv[0]: this very program. */
#define CANO_SELF ""

/** A thing to hand to a child, under a name. Set one of queue and pipe. */
typedef struct cano_hand {
    const char *name;  /**< 1 to 32 of [A-Za-z0-9._-] */
    cano_queue *queue; /**< shared with the child; the handle here stays open */
    cano_pipe *pipe;   /**< moved to the child: closed here when spawn returns CANO_OK */
    uint32_t role;     /**< of the child on the queue: CANO_PUTTER, CANO_GETTER, or 0; counts from the return of spawn */
    uint32_t reserved; /**< 0 */
} cano_hand;

/** Options for a child. */
typedef struct cano_process_options {
    size_t size;            /**< sizeof(cano_process_options) */
    const cano_hand *hands; /**< what to hand over */
    size_t hands_count;     /**< how many, at most 32 */
} cano_process_options;

/** How a process ended. */
typedef struct cano_exit {
    int32_t code;   /**< its exit code; -1 when a signal ended it */
    int32_t signal; /**< the signal that ended it, or 0; Windows: always 0 */
} cano_exit;

/**
 * Start a process.
 *
 * @param process  receives the handle; end it with cano_process_close, which does not end the process.
 * @param argv     the program and its arguments, ended by NULL; argv[0] is CANO_SELF, a path, or a name looked up in PATH.
 * @param options  what to hand over, or NULL.
 *
 * @return CANO_OK
 *         CANO_EINVAL   no argv, a bad or doubled hand name, one pipe end twice or in use, a queue of scope threads, more
 *                       than 32 hands
 *         CANO_ENOTSUP  the options carry fields this version does not know; a queue over a network
 *         CANO_ENOENT   no such program
 *         CANO_EACCES   it may not be run
 *         CANO_ELIMIT   no descriptor, process or participant slot left
 *         CANO_ETIMEOUT, CANO_ECORRUPT  a queue's, as for cano_queue_open
 *         CANO_ENOMEM, CANO_ENOSPC, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_process_spawn(cano_process **process, const char *const *argv, const cano_process_options *options);

/**
 * Wait for a process to end.
 *
 * @param ended    receives how it ended. May be NULL. Can be asked again later.
 * @param timeout  microseconds to wait.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  it still runs
 *         CANO_EINVAL, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_process_wait(cano_process *process, cano_exit *ended, cano_timeout timeout);

/** Tell the number of the process. @return CANO_OK, or CANO_EINVAL. */
CANO_API cano_status cano_process_pid(cano_process *process, int64_t *pid);

/**
 * End the process at once (SIGKILL, TerminateProcess).
 *
 * @return CANO_OK        also when it had ended
 *         CANO_EINVAL, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_process_kill(cano_process *process);

/** Let go of the handle; the process goes on. No zombie is left: once it has ended, the next spawn, wait or close of any
 *  process sees to it. @param process  the process, or NULL. */
CANO_API void cano_process_close(cano_process *process);

/**
 * In a child: take a queue that the parent handed over.
 *
 * The first call of this or of cano_inherited_pipe keeps all hands from what the child forks or executes later; programs
 * started before it by other means than cano_process_spawn hold copies.
 *
 * @param name     the hand's name.
 * @param options  as for cano_queue_open; the role given at spawn stays. Or NULL.
 * @param queue    receives the handle; end it with cano_queue_close.
 *
 * @return CANO_OK
 *         CANO_ENOENT  nothing of that name, or it was taken before, also by a call that failed otherwise
 *         CANO_EKIND   it is a pipe end; it stays
 *         otherwise as cano_queue_open
 */
CANO_API cano_status cano_inherited_queue(const char *name, const cano_queue_options *options, cano_queue **queue);

/**
 * In a child: take a pipe end that the parent handed over.
 *
 * @return CANO_OK
 *         CANO_ENOENT  nothing of that name, or it was taken before, also by a call that failed otherwise
 *         CANO_EKIND   it is a queue; it stays
 *         CANO_EINVAL, CANO_ENOMEM, CANO_ELIMIT, CANO_EVERSION, CANO_ECORRUPT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_inherited_pipe(const char *name, cano_pipe **pipe);

#ifdef __cplusplus
}
#endif

#endif
