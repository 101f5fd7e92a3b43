/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cano.h
 * Communication between processes, and between threads: pipes, queues and joinable queues.
 *
 * What is true of every call
 * - A call that can fail returns a cano_status. Results go through pointers, which are left untouched on failure (the one
 *   exception, a size reported with CANO_ETOOBIG, is named where it happens).
 * - Handles are opaque. Any thread may use a handle at any time; only its close must come last.
 * - No call is async-signal-safe. None fails with EINTR, none raises SIGPIPE, none starts a thread. Do not cancel a thread
 *   or longjmp inside one.
 * - fork is safe: a child that uses an inherited handle becomes a participant of its own on first use.
 * - Any participant may be killed at any instruction. What was committed is not lost, nothing is delivered half-written,
 *   and nobody waits for ever for the dead.
 * - NULL for a handle or for a required pointer is CANO_EINVAL; closing NULL does nothing.
 */
#ifndef CANO_CANO_H
#define CANO_CANO_H

#include <cano/export.h>
#include <cano/joinable_queue.h>
#include <cano/listener.h>
#include <cano/pipe.h>
#include <cano/process.h>
#include <cano/queue.h>
#include <cano/status.h>
#include <cano/wait.h>

#define CANO_VERSION_MAJOR 0 /**< of the headers; cano_version() tells that of the library */
#define CANO_VERSION_MINOR 1 /**< likewise */
#define CANO_VERSION_PATCH 0 /**< likewise */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Tell the version of the library that is linked, as "MAJOR.MINOR.PATCH".
 *
 * @return a constant text; never NULL.
 */
CANO_API const char *cano_version(void);

#ifdef __cplusplus
}
#endif

#endif
