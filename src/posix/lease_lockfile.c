/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases for systems whose shared memory takes no locks: on a file ".<id>.lock" where names live, made by the first who
 * needs it.
 *
 * Everybody finds the file by its name, so two files of one name, one after the other, would be two sets of holders who take
 * each other for dead, and the second would know nothing of the deaths in the first. So:
 * - It stays as long as the segment has a name. Then the last who closes the segment removes it, holding all of it at once,
 *   guard and slots: nobody is attached, and nobody repairs.
 * - Who has locked a byte looks whether his file still has its name, and if not begins again.
 * - Who takes a lease writes the number of the file into his identity. If the file was removed under him by somebody else (a
 *   cleaner of temporary files), his byte tells nothing: then only a process that is gone is dead.
 * If all who use a nameless segment are killed, an empty file is left for that cleaner.
 */
#include "errors.h"
#include "leases.h"
#include "locks.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 100 /* of meeting one who removes or makes the file */
#define FILE_MOST (CANO_OS_PATH_MAX + 48)
#define HOW (O_RDWR | O_NOFOLLOW | O_NONBLOCK)

/* ---- the file ---- */

/* 0, or an errno. */
static int find_path(const char *id, char path[FILE_MOST])
{
    char directory[CANO_OS_PATH_MAX];
    if (cano_os_directory(directory, sizeof directory) != CANO_OK) {
        return cano_os_error() != 0 ? cano_os_error() : EACCES;
    }
    snprintf(path, FILE_MOST, "%s/.%s.lock", directory, id);
    return 0;
}

static bool has_name(int descriptor)
{
    struct stat is;
    return fstat(descriptor, &is) == 0 && is.st_nlink > 0;
}

static uint64_t number_of(int descriptor)
{
    struct stat is;
    return fstat(descriptor, &is) == 0 ? (uint64_t)is.st_ino : 0;
}

/* Unless somebody is attached. Whoever opened the file before and locks it afterwards sees that it has no name. */
static void remove_unused(const char *path)
{
    int descriptor = -1;
    if (cano_posix_lease_open(path, HOW, 0, &descriptor) != 0) {
        return;
    }
    if (cano_posix_lock_range(descriptor, F_WRLCK, CANO_POSIX_GUARD, 0) == 0 && has_name(descriptor)) {
        unlink(path);
    }
    cano_os_lease_drop(descriptor);
}

/* Whoever may reach the segment may reach its locks, whatever the umask says. */
static int make(const cano_os_segment *segment, const char *path, int *descriptor)
{
    const int error = cano_posix_lease_open(path, HOW | O_CREAT | O_EXCL, 0600, descriptor);
    struct stat is;
    if (error == 0 && fstat((int)segment->handle, &is) == 0) {
        fchmod(*descriptor, (is.st_mode & 0666) | 0600);
    }
    return error;
}

/* Never O_CREAT on a file that is there: in a sticky directory some systems refuse that for another user's. 0, or an errno. */
static int open_file(const cano_os_segment *segment, const char *path, int *descriptor)
{
    const int error = cano_posix_lease_open(path, HOW, 0, descriptor);
    return error == ENOENT ? make(segment, path, descriptor) : error;
}

/* ---- locks ---- */

/* The whole range is held: not by one who is attached, but by one who is about to remove the file. */
static bool is_being_removed(int descriptor, int64_t byte)
{
    struct flock blocking = { .l_type = F_UNLCK };
    return !cano_posix_is_held(descriptor, byte, 1, &blocking) || (blocking.l_start == CANO_POSIX_GUARD && blocking.l_len == 0);
}

/* One attempt. 0, or an errno; *again: the file was going, or coming. */
static int try_lock(const cano_os_segment *segment, const char *path, int64_t byte, int *descriptor, bool *again)
{
    int opened = -1;
    int error = open_file(segment, path, &opened);
    if (error != 0) {
        *again = error == EEXIST || error == ENOENT || error == EACCES; /* EACCES: its maker has not said yet who may */
        return error;
    }
    error = cano_posix_lock_range(opened, F_WRLCK, byte, 1);
    *again = error == 0 ? !has_name(opened) : error == EAGAIN && is_being_removed(opened, byte);
    if (error != 0 || *again) {
        cano_os_lease_drop(opened);
        return error == 0 ? EAGAIN : error;
    }
    *descriptor = opened;
    return 0;
}

int cano_posix_lock(cano_os_segment *segment, int64_t byte, int *descriptor)
{
    char path[FILE_MOST];
    int error = find_path(segment->id, path);
    bool again = error == 0;
    for (int round = 0; again && round < ROUNDS; round++) {
        error = try_lock(segment, path, byte, descriptor, &again);
        if (again) {
            sched_yield();
        }
    }
    return error;
}

cano_status cano_os_lease_take(cano_os_segment *segment, uint32_t slot, cano_os_handle *lease, cano_os_identity *identity)
{
    int descriptor = -1;
    const int error = segment->shared ? cano_posix_lock(segment, CANO_POSIX_SLOTS + slot, &descriptor) : 0;
    if (error != 0) {
        return error == EAGAIN ? cano_os_fail(error, CANO_EEXIST) : cano_posix_failed(error);
    }
    *lease = descriptor;
    *identity = (cano_os_identity){ (uint64_t)getpid(), segment->shared ? number_of(descriptor) : 0 };
    return CANO_OK;
}

/* ---- questions ---- */

static int open_to_ask(const cano_os_segment *segment)
{
    char path[FILE_MOST];
    return find_path(segment->id, path) == 0 ? open(path, HOW | O_CLOEXEC) : -1;
}

/* Several threads may ask at once: the first descriptor stays. -1: there is no file. */
static int description_to_ask(cano_os_segment *segment)
{
    cano_posix_segment *backend = segment->backend;
    int ask = atomic_load_explicit(&backend->ask, memory_order_relaxed); /* relaxed: the number is all */
    if (ask >= 0) {
        return ask;
    }
    const int opened = open_to_ask(segment);
    if (opened < 0 ||
        atomic_compare_exchange_strong_explicit(&backend->ask, &ask, opened, memory_order_relaxed, memory_order_relaxed)) {
        return opened;
    }
    close(opened);
    return ask;
}

static bool is_process_there(const cano_os_identity *identity)
{
    return identity->a == 0 || kill((pid_t)identity->a, 0) == 0 || errno != ESRCH;
}

/* The file we know is not that of the lease: all had left meanwhile and others made it anew, or it was removed under us. */
static bool is_alive_elsewhere(cano_os_segment *segment, uint32_t slot, const cano_os_identity *identity)
{
    const int other = open_to_ask(segment);
    const bool same = other >= 0 && number_of(other) == identity->b;
    const bool held = other >= 0 && cano_posix_is_held(other, CANO_POSIX_SLOTS + slot, 1, NULL);
    if (other >= 0) {
        close(other);
    }
    return held || (!same && is_process_there(identity));
}

bool cano_os_lease_alive(cano_os_segment *segment, uint32_t slot, const cano_os_identity *identity)
{
    if (!segment->shared) {
        return true;
    }
    const int ask = description_to_ask(segment);
    if (ask >= 0 && cano_posix_is_held(ask, CANO_POSIX_SLOTS + slot, 1, NULL)) {
        return true;
    }
    return (ask < 0 || number_of(ask) != identity->b) && is_alive_elsewhere(segment, slot, identity);
}

void cano_posix_locks_end(cano_os_segment *segment)
{
    cano_posix_segment *backend = segment->backend;
    const int ask = atomic_load_explicit(&backend->ask, memory_order_relaxed);
    char path[FILE_MOST];
    if (ask >= 0) {
        close(ask);
    }
    if (segment->id[0] != 0 && !has_name((int)segment->handle) && find_path(segment->id, path) == 0) {
        remove_unused(path);
    }
}
