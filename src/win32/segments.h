/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the system cannot tell of a segment stands behind it, in the same memory: who holds its leases and its guard, and who
 * sleeps on which of its words. It goes where the segment goes and ends with it.
 */
#ifndef CANO_WIN32_SEGMENTS_H
#define CANO_WIN32_SEGMENTS_H

#include "os.h"

#include <windows.h>

#define CANO_WIN32_SLOTS 1024
#define CANO_WIN32_SLEEPS 32 /* words of one segment that can be slept on */

typedef struct cano_win32_sleep {
    _Atomic uint32_t place;   /* of the word in the segment, plus 1; 0: free. Never changes again */
    _Atomic uint32_t waiters; /* asleep and not yet meant by a wake */
} cano_win32_sleep;

/* At the very end of the memory, which is a whole number of pages. */
typedef struct cano_win32_tail {
    uint64_t magic;
    uint64_t size;               /* bytes of the segment in front */
    char id[40];                 /* 32 hex digits, NUL: names the semaphores */
    _Atomic uint32_t unlinked;   /* 1: it has lost its name, the last one out deletes the file */
    uint32_t reserved;
    _Atomic uint64_t guard;      /* see holders.h */
    uint64_t unused[7];
    cano_win32_sleep sleeps[CANO_WIN32_SLEEPS];
    _Atomic uint64_t holders[CANO_WIN32_SLOTS]; /* by slot; see holders.h */
} cano_win32_tail;

typedef struct cano_win32_segment {
    cano_win32_tail *tail; /* NULL for private memory */
    cano_win32_sleep *sleeps;
    cano_win32_sleep own_sleeps[CANO_WIN32_SLEEPS]; /* of private memory */
    _Atomic(HANDLE) semaphores[CANO_WIN32_SLEEPS];  /* made when needed */
    HANDLE file;    /* of one that was made for a name or found by it; else NULL */
    bool published; /* the file has its name */
    bool guarding;
} cano_win32_segment;

/* The semaphores of the segment: it is being closed. */
void cano_win32_end_sleeps(cano_win32_segment *backend);

#endif
