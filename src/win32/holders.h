/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process in one word of shared memory, and places in shared memory that a living process holds: leases, guards, the latch of
 * a stream.
 *
 * The word is the number of the process and, since numbers come again, half of a hash of the moment it was made. What cannot
 * be asked about lives: a holder is never robbed because we may not look at it.
 */
#ifndef CANO_WIN32_HOLDERS_H
#define CANO_WIN32_HOLDERS_H

#include "os.h"

#include <windows.h>

/* This process. Never 0. */
uint64_t cano_win32_self(void);

/* Another one, of which we have a handle; 0: the system does not tell. */
uint64_t cano_win32_word_of(HANDLE process);

static inline DWORD cano_win32_pid(uint64_t word)
{
    return (DWORD)word;
}

bool cano_win32_lives(uint64_t word);

/* Take a place that is empty (0) or whose holder is dead. False: somebody holds it, perhaps another thread of ours. */
bool cano_win32_claim(_Atomic uint64_t *place);

/* Leave a place, or give it to another process, if it is still ours. */
void cano_win32_yield(_Atomic uint64_t *place, uint64_t next);

#endif
