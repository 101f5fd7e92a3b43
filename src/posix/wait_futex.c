/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleep by futex. Not PRIVATE for a shared segment: the kernel then finds the word by file and offset, wherever it is mapped.
 */
#include "errors.h"
#include "os.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int flags_of(const cano_os_segment *segment)
{
    return segment->shared ? 0 : FUTEX_PRIVATE_FLAG;
}

/* WAIT_BITSET takes an absolute time of the monotonic clock, WAIT a relative one. */
cano_status cano_os_wait(cano_os_segment *segment, _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    if (deadline <= 0) {
        return cano_os_fail(0, CANO_ETIMEOUT);
    }
    const struct timespec until = { .tv_sec = deadline / 1000000, .tv_nsec = deadline % 1000000 * 1000 };
    const struct timespec *limit = deadline == CANO_OS_NEVER ? NULL : &until;
    const long result =
        syscall(SYS_futex, word, FUTEX_WAIT_BITSET | flags_of(segment), expected, limit, NULL, FUTEX_BITSET_MATCH_ANY);
    if (result == 0 || errno == EAGAIN || errno == EINTR) {
        return CANO_OK;
    }
    return cano_posix_failed(errno);
}

void cano_os_wake(cano_os_segment *segment, _Atomic uint32_t *word, uint32_t count)
{
    const int most = count > INT32_MAX ? INT32_MAX : (int)count;
    syscall(SYS_futex, word, FUTEX_WAKE | flags_of(segment), most, NULL, NULL, 0);
}
