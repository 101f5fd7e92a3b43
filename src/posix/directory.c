/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory the user named: anybody's, but not one where anybody may remove what is not his. */
static cano_status check_given(const char *path)
{
    struct stat is;
    if (stat(path, &is) != 0) {
        return cano_posix_failed(errno);
    }
    if (!S_ISDIR(is.st_mode)) {
        return cano_os_fail(ENOTDIR, CANO_EACCES);
    }
    const bool open_to_all = (is.st_mode & S_IWOTH) != 0 && (is.st_mode & S_ISVTX) == 0;
    return open_to_all ? cano_os_fail(EACCES, CANO_EACCES) : CANO_OK;
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

/* Whether parent has a directory of ours now, or something of its name. */
static bool make_own(const char *parent, char path[CANO_OS_PATH_MAX])
{
    const int length = snprintf(path, CANO_OS_PATH_MAX, "%s/cano-%lu", parent, (unsigned long)geteuid());
    if (length < 0 || length >= CANO_OS_PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (mkdir(path, S_IRWXU) == 0) {
        return chmod(path, S_IRWXU) == 0; /* whatever the umask took away */
    }
    return errno == EEXIST;
}

/* Elsewhere only where the first place cannot be: if what is there is not safe, that is an error, for else two processes
 * would look in two places. */
static cano_status find_own(char path[CANO_OS_PATH_MAX])
{
    const char *temporary = getenv("TMPDIR");
    if (!make_own("/dev/shm", path) && !make_own(temporary != NULL && temporary[0] != 0 ? temporary : "/tmp", path)) {
        return cano_posix_failed(errno);
    }
    return check_own(path);
}

cano_status cano_os_directory(char *path, size_t capacity)
{
    char own[CANO_OS_PATH_MAX];
    const char *given = getenv("CANO_DIR");
    const char *found = given != NULL && given[0] != 0 ? given : own;
    const cano_status status = found == given ? check_given(given) : find_own(own);
    if (status != CANO_OK) {
        return status;
    }
    const size_t length = strlen(found);
    if (length >= capacity || length >= CANO_OS_PATH_MAX) {
        return cano_os_fail(ENAMETOOLONG, CANO_EINVAL);
    }
    memcpy(path, found, length + 1);
    return CANO_OK;
}
