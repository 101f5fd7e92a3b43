/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one mapping from errno to a status. Where a call gives a number another meaning, that call looks at it first.
 */
#ifndef CANO_POSIX_ERRORS_H
#define CANO_POSIX_ERRORS_H

#include "status.h"

#include <errno.h>

static inline cano_status cano_posix_status(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* RLIMIT_FSIZE */
        return CANO_ENOSPC;
    case EMFILE:
    case ENFILE:
    case ENOLCK:
        return CANO_ELIMIT;
    case EACCES:
    case EPERM:
    case EROFS:
        return CANO_EACCES;
    case ENOMEM:
    case ENOBUFS:
        return CANO_ENOMEM;
    case EEXIST:
        return CANO_EEXIST;
    case ENOENT:
        return CANO_ENOENT;
    case EAGAIN:
    case ETIMEDOUT:
        return CANO_ETIMEOUT;
    case EPIPE:
    case ECONNRESET:
        return CANO_ECLOSED;
    case ENAMETOOLONG:
        return CANO_EINVAL;
    default:
        return CANO_ESYSTEM;
    }
}

/* Keep an errno, or a number of that kind, and give its status. */
static inline cano_status cano_posix_failed(int error)
{
    return cano_os_fail(error, cano_posix_status(error));
}

#endif
