/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"
#include "locks.h"
#include "mutation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* As the access of cano_queue_options. */
enum {
    USER,
    GROUP,
    EVERYONE
};

static cano_status make_id(char id[33])
{
    unsigned char random[16];
    if (getentropy(random, sizeof random) != 0) {
        return cano_posix_failed(errno);
    }
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    }
    return CANO_OK;
}

static mode_t mode_of(uint32_t access)
{
    return access == EVERYONE ? 0666 : access == GROUP ? 0660 : 0600;
}

static void close_file(int *file)
{
    const int error = errno; /* of what failed before */
    if (*file >= 0) {
        close(*file);
    }
    *file = -1;
    errno = error;
}

/* ---- room that is there now ---- */

/* Asked first: the call that meets the limit raises SIGXFSZ. */
static bool is_over_limit(size_t size)
{
    struct rlimit limit;
    const bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return size > INT64_MAX || (limited && size > limit.rlim_cur);
}

/* 0, or an errno. */
static int commit(int file, size_t size)
{
    if (is_over_limit(size)) {
        return EFBIG;
    }
    int error;
    do {
        error = posix_fallocate(file, 0, (off_t)size);
    } while (error == EINTR);
    return error;
}

/* A memfd is bounded by nothing: what the machine does not have would be taken until the kernel kills for memory. */
static bool is_over_machine(size_t size)
{
    const long pages = sysconf(_SC_PHYS_PAGES);
    return pages > 0 && size / (size_t)sysconf(_SC_PAGESIZE) > (size_t)pages;
}

static int make_nameless(size_t size)
{
    const int file = memfd_create("cano", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) {
        return -1;
    }
    const int error = is_over_machine(size) ? ENOSPC : commit(file, size);
    if (error != 0 || fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        errno = error != 0 ? error : errno;
        int failed = file;
        close_file(&failed);
        return -1;
    }
    return file;
}

/* ---- mapping ---- */

static cano_posix_segment *make_backend(void)
{
    cano_posix_segment *backend = calloc(1, sizeof *backend);
    if (backend != NULL) {
        backend->guard = -1;
        atomic_init(&backend->ask, -1);
    }
    return backend;
}

static void *map(int file, size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, file, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
#ifdef MADV_DONTDUMP
    madvise(base, size, MADV_DONTDUMP); /* a dump delays the end of the leases, seconds for a large one */
#endif
    return base;
}

/* Fill *segment from a file that is ours from now on, also on failure; -1: private memory. */
static cano_status attach(cano_os_segment *segment, int file, size_t size, const char *id)
{
    cano_posix_segment *backend = file < 0 ? NULL : make_backend();
    void *base = file >= 0 && backend == NULL ? NULL : map(file, size);
    if (base == NULL) {
        const cano_status status = cano_posix_failed(errno);
        close_file(&file);
        free(backend);
        return status;
    }
    *segment = (cano_os_segment){ .base = base, .size = size, .handle = file, .shared = file >= 0, .backend = backend };
    memcpy(segment->id, id, sizeof segment->id);
    return CANO_OK;
}

/* ---- making ---- */

cano_status cano_os_segment_create(cano_os_segment *segment, size_t size, bool shared, uint32_t access)
{
    (void)access; /* who may reach a nameless one is who is given its handle */
    char id[33];
    const cano_status status = size == 0 ? CANO_EINVAL : make_id(id);
    if (status != CANO_OK) {
        return status;
    }
    const int file = shared ? make_nameless(size) : -1;
    if (shared && file < 0) {
        return cano_posix_failed(errno);
    }
    return attach(segment, file, size, id);
}

/* A file without a name, or where the file system knows no such thing, one with a name nobody looks for. */
static int make_unpublished(const char *directory, const char *id, char **temporary)
{
#ifdef O_TMPFILE
    const int file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, mode_of(USER));
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)) {
        return file;
    }
#endif
    const size_t length = strlen(directory) + sizeof "/.new." + strlen(id);
    *temporary = malloc(length);
    if (*temporary == NULL) {
        return -1;
    }
    snprintf(*temporary, length, "%s/.new.%s", directory, id);
    return open(*temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, mode_of(USER));
}

static void discard(int file, char *temporary)
{
    if (temporary != NULL && file >= 0) {
        unlink(temporary);
    }
    free(temporary);
    close_file(&file);
}

/* fchmod: the umask takes nothing away from what was asked. */
static cano_status make_named(const char *id, size_t size, uint32_t access, int *file, char **temporary)
{
    char directory[CANO_OS_PATH_MAX];
    const cano_status status = cano_os_directory(directory, sizeof directory);
    if (status != CANO_OK) {
        return status;
    }
    *file = make_unpublished(directory, id, temporary);
    int error = *file < 0 ? errno : commit(*file, size);
    if (error == 0 && fchmod(*file, mode_of(access)) != 0) {
        error = errno;
    }
    if (error != 0) {
        discard(*file, *temporary);
        return cano_posix_failed(error);
    }
    return CANO_OK;
}

cano_status cano_os_segment_create_named(cano_os_segment *segment, size_t size, uint32_t access)
{
    char id[33];
    int file = -1;
    char *temporary = NULL;
    cano_status status = size == 0 ? CANO_EINVAL : make_id(id);
    if (status == CANO_OK) {
        status = make_named(id, size, access, &file, &temporary);
    }
    if (status != CANO_OK) {
        return status;
    }
    status = attach(segment, file, size, id);
    if (status != CANO_OK) {
        discard(-1, temporary);
        return status;
    }
    ((cano_posix_segment *)segment->backend)->temporary = temporary;
    return CANO_OK;
}

/* link, never rename: a name that is taken stays as it is. */
cano_status cano_os_segment_publish(cano_os_segment *segment, const char *path)
{
    cano_posix_segment *backend = segment->backend;
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", (int)segment->handle);
    const char *from = backend->temporary != NULL ? backend->temporary : self;
    if (CANO_MUTATED(NAME_RENAMED)) {
        char other[CANO_OS_PATH_MAX + 8];
        snprintf(other, sizeof other, "%s.%d", path, (int)getpid());
        return linkat(AT_FDCWD, from, AT_FDCWD, other, AT_SYMLINK_FOLLOW) == 0 && rename(other, path) == 0
            ? CANO_OK
            : cano_posix_failed(errno);
    }
    if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0) {
        return cano_posix_failed(errno);
    }
    if (backend->temporary != NULL) {
        unlink(backend->temporary);
        free(backend->temporary);
        backend->temporary = NULL;
    }
    return CANO_OK;
}

/* ---- finding ---- */

static bool is_of_my_groups(gid_t group)
{
    gid_t groups[256];
    const int count = getgroups(256, groups);
    for (int i = 0; i < count; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return group == getegid();
}

/* What somebody else laid there is not to be trusted, unless the caller said so. */
static bool is_allowed(const struct stat *is, uint32_t access)
{
    return is->st_uid == geteuid() || access == EVERYONE || (access == GROUP && is_of_my_groups(is->st_gid));
}

static cano_status open_failed(int error)
{
    const bool other_kind = error == ELOOP || error == ENXIO || error == EISDIR || error == ENODEV || error == EOPNOTSUPP;
    return other_kind ? cano_os_fail(error, CANO_EKIND) : cano_posix_failed(error);
}

cano_status cano_os_segment_open(cano_os_segment *segment, const char *path, size_t minimum, uint32_t access)
{
    const char no_id[33] = "";
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        return open_failed(errno);
    }
    struct stat is;
    cano_status status = CANO_OK;
    if (fstat(file, &is) != 0) {
        status = cano_posix_failed(errno);
    } else if (!S_ISREG(is.st_mode) || is.st_size <= 0 || (uint64_t)is.st_size < minimum) {
        status = cano_os_fail(0, CANO_EKIND);
    } else if (!is_allowed(&is, access)) {
        status = cano_os_fail(EACCES, CANO_EACCES);
    }
    if (status != CANO_OK) {
        close_file(&file);
        return status;
    }
    return attach(segment, file, (size_t)is.st_size, no_id);
}

static bool is_sealed(int file)
{
#ifdef F_GET_SEALS
    const int seals = fcntl(file, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
#else
    return file >= 0; /* this system cannot tell */
#endif
}

cano_status cano_os_segment_adopt(cano_os_segment *segment, cano_os_handle handle, size_t minimum, bool sealed)
{
    const char no_id[33] = "";
    int file = (int)handle;
    struct stat is;
    cano_status status = CANO_OK;
    if (fcntl(file, F_SETFD, FD_CLOEXEC) != 0 || fstat(file, &is) != 0) {
        return cano_posix_failed(errno); /* no descriptor at all: nothing to close */
    }
    if (!S_ISREG(is.st_mode) || is.st_size <= 0 || (uint64_t)is.st_size < minimum) {
        status = cano_os_fail(0, CANO_EKIND);
    } else if (sealed && !is_sealed(file)) {
        status = cano_os_fail(0, CANO_ECORRUPT);
    }
    if (status != CANO_OK) {
        close_file(&file);
        return status;
    }
    return attach(segment, file, (size_t)is.st_size, no_id);
}

/* ---- ending ---- */

static bool leads_to(const char *path, const cano_os_segment *segment)
{
    struct stat named;
    struct stat ours;
    return lstat(path, &named) == 0 && fstat((int)segment->handle, &ours) == 0 && named.st_dev == ours.st_dev &&
           named.st_ino == ours.st_ino;
}

cano_status cano_os_segment_unlink(const char *path, const cano_os_segment *expected)
{
    struct stat is;
    if (lstat(path, &is) != 0) {
        return cano_posix_failed(errno);
    }
    if (!S_ISREG(is.st_mode)) {
        return cano_os_fail(0, CANO_EKIND); /* a listener's socket is not ours to remove */
    }
    if (expected != NULL && !leads_to(path, expected)) {
        return cano_os_fail(ENOENT, CANO_ENOENT);
    }
    return unlink(path) == 0 ? CANO_OK : cano_posix_failed(errno);
}

void cano_os_segment_close(cano_os_segment *segment)
{
    cano_posix_segment *backend = segment->backend;
    munmap(segment->base, segment->size);
    if (backend != NULL) {
        cano_os_segment_forked(segment); /* a guard still held */
        cano_posix_locks_end(segment);
        discard((int)segment->handle, backend->temporary);
        free(backend);
    }
    *segment = (cano_os_segment){ .handle = CANO_OS_NONE };
}
