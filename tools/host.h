/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tool asks of the machine beyond APR. One file per system.
 */
#ifndef CANO_TOOL_HOST_H
#define CANO_TOOL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Monotonic microseconds. */
int64_t host_now(void);

/* Bytes free for us, and in all, where a directory lies. */
bool host_space(const char *directory, uint64_t *free_bytes, uint64_t *total_bytes);

/* The short name of a process; false: it cannot be told. */
bool host_process_name(int64_t pid, char *name, size_t capacity);

/* Processors that can be used; at least 1. */
unsigned host_processors(void);

/* Is the process stopped (Ctrl-Z, SIGSTOP, a debugger)? False also when it cannot be told. */
bool host_is_stopped(int64_t pid);

#endif
