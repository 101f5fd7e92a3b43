/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command that runs beside us: what it writes is ours to read, its input is empty, and Ctrl-C in our terminal does not reach
 * it. One file per system.
 */
#ifndef CANO_TOOL_JOB_H
#define CANO_TOOL_JOB_H

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct job job;

typedef struct job_end {
    int code;   /* exit code; -1 when a signal ended it */
    int signal; /* or 0 */
} job_end;

/* Start argv, looked up in PATH, with the additions NAME=VALUE (ended by NULL) to our environment. */
apr_status_t job_start(job **started, const char *const *argv, const char *const *additions);

/* Read on of what it writes to its standard output (1) or error (2), waiting for it. False: it has ended, and its output; what
 * others still write that it has left behind is no longer waited for. */
bool job_read(job *running, int *stream, void *buffer, size_t capacity, size_t *got);

/* How it ended; after job_read said so. The job is no more. */
job_end job_finish(job *ended);

/* End it and what it started, at once; from any thread, before job_finish. */
void job_kill(job *running);

#endif
