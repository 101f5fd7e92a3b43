/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases on the segment's own file. A memfd and a file without a name have no path to be opened by again, but /proc has one
 * for every descriptor, and opening that makes a fresh description.
 */
#include "errors.h"
#include "leases.h"
#include "locks.h"
#include "mutation.h"

#include <stdio.h>
#include <unistd.h>

int cano_posix_lock(cano_os_segment *segment, int64_t byte, int *descriptor)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", (int)segment->handle);
    int fresh = -1;
    int error = cano_posix_lease_open(path, O_RDWR, 0, &fresh);
    if (error != 0) {
        return error == ENOENT ? ENOSYS : error; /* no /proc here: not a name that is missing */
    }
    error = cano_posix_lock_range(CANO_MUTATED(OWN_DESCRIPTION) ? (int)segment->handle : fresh, F_WRLCK, byte, 1);
    if (error != 0) {
        cano_os_lease_drop(fresh);
        return error;
    }
    *descriptor = fresh;
    return 0;
}

cano_status cano_os_lease_take(cano_os_segment *segment, uint32_t slot, cano_os_handle *lease, cano_os_identity *identity)
{
    int descriptor = -1;
    const int error = segment->shared ? cano_posix_lock(segment, CANO_POSIX_SLOTS + slot, &descriptor) : 0;
    if (error != 0) {
        return error == EAGAIN ? cano_os_fail(error, CANO_EEXIST) : cano_posix_failed(error);
    }
    *lease = descriptor;
    *identity = (cano_os_identity){ (uint64_t)getpid(), 0 };
    return CANO_OK;
}

/* Asked through the segment's own description, which never holds a lock: a description does not see its own. */
bool cano_os_lease_alive(cano_os_segment *segment, uint32_t slot, const cano_os_identity *identity)
{
    (void)identity;
    return !segment->shared || cano_posix_is_held((int)segment->handle, CANO_POSIX_SLOTS + slot, 1, NULL);
}

void cano_posix_locks_end(cano_os_segment *segment)
{
    (void)segment;
}
