/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one mapping from the system's error numbers to a status. Where a call gives a number another meaning, that call looks at
 * it first.
 */
#ifndef CANO_WIN32_ERRORS_H
#define CANO_WIN32_ERRORS_H

#include "status.h"

#include <windows.h>

static inline cano_status cano_win32_status(DWORD error)
{
    switch (error) {
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
    case ERROR_FILE_TOO_LARGE:
    case ERROR_COMMITMENT_LIMIT:
        return CANO_ENOSPC;
    case ERROR_TOO_MANY_OPEN_FILES:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_MAX_THRDS_REACHED:
        return CANO_ELIMIT;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_PRIVILEGE_NOT_HELD:
    case ERROR_WRITE_PROTECT:
        return CANO_EACCES;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
        return CANO_ENOMEM;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
        return CANO_EEXIST;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
        return CANO_ENOENT;
    case ERROR_PIPE_BUSY:
    case WAIT_TIMEOUT:
        return CANO_ETIMEOUT;
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:
    case ERROR_PIPE_NOT_CONNECTED:
        return CANO_ECLOSED;
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_FILENAME_EXCED_RANGE:
    case ERROR_NO_UNICODE_TRANSLATION:
        return CANO_EINVAL;
    default:
        return CANO_ESYSTEM;
    }
}

/* Keep an error number, and give its status. */
static inline cano_status cano_win32_failed(DWORD error)
{
    return cano_os_fail((int)error, cano_win32_status(error));
}

#endif
