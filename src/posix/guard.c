/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: a byte apart from the slots, locked through a description made for each hold, so that no copy of it outlives
 * the hold unseen: a forked child closes it with the leases.
 */
#include "errors.h"
#include "locks.h"

cano_status cano_os_guard_try(cano_os_segment *segment)
{
    cano_posix_segment *backend = segment->backend;
    if (!segment->shared) {
        return CANO_OK; /* one process: the caller's flag does it all */
    }
    assert(backend->guard < 0);
    const int error = cano_posix_lock(segment, CANO_POSIX_GUARD, &backend->guard);
    return error == 0 ? CANO_OK : cano_posix_failed(error);
}

void cano_os_guard_leave(cano_os_segment *segment)
{
    cano_posix_segment *backend = segment->backend;
    if (!segment->shared || backend->guard < 0) {
        return;
    }
    /* Unlock first: a child that no handler has seen may still have a copy. */
    cano_posix_lock_range(backend->guard, F_UNLCK, CANO_POSIX_GUARD, 1);
    cano_os_lease_drop(backend->guard);
    backend->guard = -1;
}

/* Only close what a fork copied: unlocking would take the guard from the parent. */
void cano_os_segment_forked(cano_os_segment *segment)
{
    cano_posix_segment *backend = segment->backend;
    if (segment->shared && backend->guard >= 0) {
        cano_os_lease_drop(backend->guard);
        backend->guard = -1;
    }
}
