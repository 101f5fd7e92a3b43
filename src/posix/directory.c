/* SPDX-License-Identifier: Apache-2.0 */
#include "../os.h"
#include "errors.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory the user named: anybody's, but not one where anybody may remove what is not his. */
static cano_status check_given(const char *path)
{
    struct stat is;
    if (stat(path, &is) != 0) {
        return cano_posix_failed(errno);
    }
    const bool open_to_all = (is.st_mode & S_IWOTH) != 0 && (is.st_mode & S_ISVTX) == 0;
    if (!S_ISDIR(is.st_mode) || open_to_all) {
        return cano_os_fail(S_ISDIR(is.st_mode) ? EACCES : ENOTDIR, CANO_EACCES);
    }
    return CANO_OK;
}

/* Ours alone. lstat: a link that somebody laid there leads where he likes. */
static cano_status check_own(const char *path)
{
    struct stat is;
    if (lstat(path, &is) != 0) {
        return cano_posix_failed(errno);
    }
    const bool private = S_ISDIR(is.st_mode) && is.st_uid == geteuid() && (is.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    return private ? CANO_OK : cano_os_fail(EACCES, CANO_EACCES);
}

/* An unsafe directory is an error and not a reason to go elsewhere: two processes would look in two places. */
static cano_status make_own(const char *parent, char *path, size_t capacity)
{
    const int length = snprintf(path, capacity, "%s/cano-%lu", parent, (unsigned long)geteuid());
    if (length < 0 || (size_t)length >= capacity) {
        return cano_os_fail(ENAMETOOLONG, CANO_EINVAL);
    }
    if (mkdir(path, S_IRWXU) == 0) {
        chmod(path, S_IRWXU); /* whatever the umask took away */
    } else if (errno != EEXIST) {
        return cano_os_fail(errno, CANO_ENOENT);
    }
    return check_own(path);
}

cano_status cano_os_directory(char *path, size_t capacity)
{
    const char *given = getenv("CANO_DIR");
    if (given != NULL && given[0] != 0) {
        const int length = snprintf(path, capacity, "%s", given);
        const bool fits = length >= 0 && (size_t)length < capacity;
        return fits ? check_given(path) : cano_os_fail(ENAMETOOLONG, CANO_EINVAL);
    }
    const cano_status status = make_own("/dev/shm", path, capacity);
    if (status != CANO_ENOENT) {
        return status;
    }
    const char *temporary = getenv("TMPDIR");
    return make_own(temporary != NULL && temporary[0] != 0 ? temporary : "/tmp", path, capacity);
}
