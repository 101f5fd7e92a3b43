/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There is no fork here.
 */
#include "os.h"

#include <windows.h>

_Atomic(_Atomic uint32_t *) cano_os_self_word;

uint32_t cano_os_self_asked(void)
{
    return GetCurrentProcessId();
}

void cano_os_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    (void)before;
    (void)parent;
    (void)child;
}

void cano_os_lease_for_child(cano_os_handle lease)
{
    (void)lease;
}
