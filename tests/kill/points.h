/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points at which a process can be made to die: in front of every store to shared memory, every atomic operation on it, every
 * piece of a copy into it, and around every system call that changes anything.
 *
 * The library's files are compiled with -fsanitize=thread and linked with hooks of our own (hooks.c) instead of the sanitizer's
 * runtime, and with system calls wrapped (wraps.c). Loads are no points: to die in front of one is to die in front of the next
 * store.
 */
#ifndef CANO_KILL_POINTS_H
#define CANO_KILL_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* This process dies (SIGKILL) at the n-th point from now. 0: it does not. Counting begins anew. */
void points_arm(uint64_t n);

/* Points passed since. */
uint64_t points_passed(void);

/* Call this at the n-th point instead, which then is passed. */
void points_instead(void (*action)(void));

/* A point, if the process is armed. */
void points_pass(void);

/* Is this shared memory? */
bool points_is_shared(const volatile void *address);

/* Mappings that are shared: told by the wraps of mmap and munmap. */
void points_mapped(void *base, size_t size);
void points_unmapped(void *base);

static inline void points_store(const volatile void *address)
{
    if (points_is_shared(address)) {
        points_pass();
    }
}

#endif
