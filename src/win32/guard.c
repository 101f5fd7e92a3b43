/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: a place behind the segment like that of a lease. So it needs no name that all sessions would have to share, and
 * belongs to no thread.
 */
#include "errors.h"
#include "holders.h"
#include "segments.h"

cano_status cano_os_guard_try(cano_os_segment *segment)
{
    cano_win32_segment *backend = segment->backend;
    if (!segment->shared) {
        return CANO_OK; /* one process: the caller's flag does it all */
    }
    if (!cano_win32_claim(&backend->tail->guard)) {
        return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
    }
    backend->guarding = true;
    return CANO_OK;
}

void cano_os_guard_leave(cano_os_segment *segment)
{
    cano_win32_segment *backend = segment->backend;
    if (segment->shared && backend->guarding) {
        backend->guarding = false;
        cano_win32_yield(&backend->tail->guard, 0);
    }
}

void cano_os_segment_forked(cano_os_segment *segment)
{
    (void)segment; /* there is no fork here */
}
