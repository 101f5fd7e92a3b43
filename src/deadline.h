/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the relative time-out of a public call to the absolute deadline that everything below it uses.
 */
#ifndef CANO_DEADLINE_H
#define CANO_DEADLINE_H

#include "os.h"

/* CANO_EINVAL: below 0 and not CANO_FOREVER. The deadline of CANO_NOW is past already, and costs no look at the clock. */
static inline cano_status cano_deadline(cano_timeout timeout, int64_t *deadline)
{
    if (timeout < CANO_FOREVER) {
        return CANO_EINVAL;
    }
    if (timeout == CANO_NOW) {
        *deadline = 0;
        return CANO_OK;
    }
    /* + 1: the clock is cut to microseconds, and a time-out never comes early */
    const int64_t now = timeout == CANO_FOREVER ? 0 : cano_os_now() + 1;
    *deadline = timeout == CANO_FOREVER || timeout > CANO_OS_NEVER - now ? CANO_OS_NEVER : now + timeout;
    return CANO_OK;
}

/* The end of a slice of that many microseconds from now, not beyond the deadline. */
static inline int64_t cano_deadline_slice(int64_t deadline, int64_t slice)
{
    const int64_t end = cano_os_now() + slice;
    return end < deadline ? end : deadline;
}

#endif
