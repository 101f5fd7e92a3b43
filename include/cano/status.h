/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file status.h
 * What every call returns, and how long a call may wait.
 */
#ifndef CANO_STATUS_H
#define CANO_STATUS_H

#include <cano/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The outcome of a call. The numbers never change: foreign languages may use them. */
typedef int32_t cano_status;

enum {
    CANO_OK = 0,         /**< done */
    CANO_ETIMEOUT = 1,   /**< the time limit passed first; with CANO_NOW: it would have had to wait */
    CANO_ECLOSED = 2,    /**< end of the conversation: the peer closed or died and all it sent has been read; the queue was
                              shut down, or its last putter left */
    CANO_ETOOBIG = 3,    /**< does not fit: in the buffer (the message stays, its size is reported), or ever in this queue */
    CANO_EINVAL = 4,     /**< an argument is no use */
    CANO_ENOTSUP = 5,    /**< not offered here: by this kind of object, this build or this system */
    CANO_ENOMEM = 6,     /**< no memory left in this process */
    CANO_ENOSPC = 7,     /**< no room left where shared memory lives (a full /dev/shm); found at creation, never later */
    CANO_EACCES = 8,     /**< not permitted: another user's, or the directory is not safe to use */
    CANO_EEXIST = 9,     /**< the name is taken, or what is there was made with other limits */
    CANO_ENOENT = 10,    /**< nothing of that name; a hand asked for twice; nobody listens */
    CANO_ELIMIT = 11,    /**< participants, leases or descriptors are used up; a second putter where one was declared */
    CANO_EVERSION = 12,  /**< made by an incompatible version or word size of cano */
    CANO_ECORRUPT = 13,  /**< the shared memory violates its protocol; the handle refuses further use, the process is unharmed */
    CANO_ENOTHELD = 14,  /**< task_done without a task held; unlock without lock */
    CANO_EUNKNOWN = 15,  /**< only over a network: it may or may not have happened */
    CANO_ESYSTEM = 16,   /**< an OS call failed; cano_os_error() tells which way */
    CANO_EKIND = 17      /**< a thing of another kind: no queue behind the name; plain where joinable was asked; a passed
                              handle where a message was expected, and the reverse */
};

/**
 * How long to wait, in microseconds from the call, by a monotonic clock. Below 0 only CANO_FOREVER is legal.
 *
 * CANO_NOW never waits for a message or for room; it may wait up to 1 ms for an internal lock.
 */
typedef int64_t cano_timeout;

#define CANO_FOREVER ((cano_timeout)-1) /**< without limit */
#define CANO_NOW ((cano_timeout)0)      /**< not at all */

/** A handle of the operating system: a file descriptor on POSIX, a HANDLE on Windows. */
typedef intptr_t cano_native;

/**
 * Name a status in a few English words.
 *
 * @return a constant text, also for a number that is no status; never NULL.
 */
CANO_API const char *cano_strerror(cano_status status);

/**
 * Tell the operating system's error number behind the last failure of a call in this thread that had one (errno, or
 * GetLastError). Ask it behind CANO_ESYSTEM, CANO_ENOSPC, CANO_EACCES, CANO_ELIMIT; another status may have none of its own.
 *
 * @return the number; 0 if no failure in this thread had one yet.
 */
CANO_API int cano_os_error(void);

/**
 * Free memory that a call of cano allocated for the caller.
 *
 * @param memory  what the call gave, or NULL.
 */
CANO_API void cano_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
