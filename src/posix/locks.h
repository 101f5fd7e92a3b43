/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte locks behind leases and guard. Each belongs to an open file description, never to the process: so two handles of one
 * process are two holders, and closing one descriptor does not drop the locks of another.
 */
#ifndef CANO_POSIX_LOCKS_H
#define CANO_POSIX_LOCKS_H

#include "os.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

#if !defined(F_OFD_SETLK) && defined(__APPLE__) /* old SDKs do not tell; the kernel has had them since 10.15 */
#define F_OFD_SETLK 90
#define F_OFD_GETLK 92
#endif

static_assert(sizeof(off_t) == 8, "large files: -D_FILE_OFFSET_BITS=64");

#define CANO_POSIX_SLOTS (INT64_C(1) << 62) /* slot n is the byte n above: beyond any file */
#define CANO_POSIX_GUARD (CANO_POSIX_SLOTS - 1)

/* What the seam keeps of a shared segment. */
typedef struct cano_posix_segment {
    int guard;       /* the description that holds the guard; -1: not held by us */
    char *temporary; /* the name of an unpublished segment, where it needs one; NULL: none */
    _Atomic int ask; /* CANO_LEASE=lockfile: the description to ask through, never locked; -1: not opened yet */
} cano_posix_segment;

static inline struct flock cano_posix_range(short type, int64_t byte, int64_t length)
{
    return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = length };
}

/* Whether another description holds any of it. Also when it cannot be told. *blocking, if wanted, receives what it holds. */
static inline bool cano_posix_is_held(int descriptor, int64_t byte, int64_t length, struct flock *blocking)
{
    struct flock range = cano_posix_range(F_WRLCK, byte, length);
    if (fcntl(descriptor, F_OFD_GETLK, &range) == 0 && range.l_type == F_UNLCK) {
        return false;
    }
    if (blocking != NULL) {
        *blocking = range;
    }
    return true;
}

/* 0, or an errno: EAGAIN when another description holds it. */
static inline int cano_posix_lock_range(int descriptor, short type, int64_t byte, int64_t length)
{
    struct flock range = cano_posix_range(type, byte, length);
    int result;
    do {
        result = fcntl(descriptor, F_OFD_SETLK, &range);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno == EACCES ? EAGAIN : errno;
}

/* Open a description of its own for the segment's locks, list it, and take one byte. 0, or an errno: EAGAIN when another
 * description holds it. End it with cano_os_lease_drop. */
int cano_posix_lock(cano_os_segment *, int64_t byte, int *descriptor);

/* The segment is about to be closed by this process. */
void cano_posix_locks_end(cano_os_segment *);

#endif
