/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bells as Linux has them: they come up by themselves, live under any path, and leave no file behind.
 */
#include "suite.h"

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_AGAIN INT64_C(100000) /* microseconds */
#define FAILED 77
#define STRANGER 65533

/* A directory of this test, with CANO_DIR pointing to it, and around it one that is removed with it. */
typedef struct own_directory {
    char outer[64];
    char path[400];
    char *before;
} own_directory;

/* depth: how many levels of 50 letters lie in between. */
static own_directory enter_directory(int depth)
{
    own_directory directory = { "/tmp/cano-test-XXXXXX", "", NULL };
    const char *before = getenv("CANO_DIR");
    directory.before = before == NULL ? NULL : strdup(before);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory.outer));
    size_t length = (size_t)snprintf(directory.path, sizeof directory.path, "%s", directory.outer);
    for (int i = 0; i < depth; i++) {
        directory.path[length++] = '/';
        memset(directory.path + length, 'd', 50);
        length += 50;
        directory.path[length] = 0;
        CU_ASSERT_EQUAL_FATAL(mkdir(directory.path, 0700), 0);
    }
    setenv("CANO_DIR", directory.path, 1);
    return directory;
}

/* It must be empty. */
static void leave_directory(own_directory *directory)
{
    if (directory->before != NULL) {
        setenv("CANO_DIR", directory->before, 1);
    } else {
        unsetenv("CANO_DIR");
    }
    free(directory->before);
    for (;;) {
        CU_ASSERT_EQUAL_FATAL(rmdir(directory->path), 0);
        if (strcmp(directory->path, directory->outer) == 0) {
            return;
        }
        *strrchr(directory->path, '/') = 0;
    }
}

static int in_child(int (*test)(void *), void *context)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        alarm(30);
        _exit(test(context));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static cano_os_handle open_bell(const char *name, bool owner)
{
    cano_os_handle bell = CANO_OS_NONE;
    CU_ASSERT_EQUAL_FATAL(cano_os_bell_open(name, owner, &bell), CANO_OK);
    return bell;
}

static bool is_up(cano_os_handle owner, int milliseconds)
{
    struct pollfd watched = { .fd = (int)owner, .events = POLLIN };
    return poll(&watched, 1, milliseconds) == 1;
}

static int count_descriptors(void)
{
    int count = 0;
    for (int i = 0; i < 256; i++) {
        count += fcntl(i, F_GETFD) >= 0;
    }
    return count;
}

/* ---- the timer ---- */

static void unrung_bell_comes_up_by_itself(void)
{
    own_directory directory = enter_directory(0);
    const int64_t made = cano_os_now();
    const cano_os_handle owner = open_bell("bell", true);
    CU_ASSERT(is_up(owner, 20000));
    CU_ASSERT(cano_os_now() - made >= LOOK_AGAIN);
    CU_ASSERT(is_up(owner, 0)); /* and stays */
    for (int round = 0; round < 2; round++) {
        const int64_t cleared = cano_os_now();
        cano_os_bell_clear(owner);
        CU_ASSERT(is_up(owner, 20000));
        CU_ASSERT(cano_os_now() - cleared >= LOOK_AGAIN);
    }
    cano_os_bell_close(owner, "bell");
    leave_directory(&directory);
}

static void clearing_again_and_again_puts_it_off(void)
{
    own_directory directory = enter_directory(0);
    const int64_t made = cano_os_now();
    int64_t cleared = made;
    const cano_os_handle owner = open_bell("bell", true);
    bool early = false;
    while (cano_os_now() - made < 2 * LOOK_AGAIN) {
        early = early || (is_up(owner, 0) && cano_os_now() - cleared < LOOK_AGAIN);
        cleared = cano_os_now();
        cano_os_bell_clear(owner);
        is_up(owner, 10);
    }
    CU_ASSERT(!early);
    cano_os_bell_close(owner, "bell");
    leave_directory(&directory);
}

/* ---- files ---- */

static void bells_live_under_a_path_of_any_length(void)
{
    for (int depth = 0; depth < 7; depth++) {
        own_directory directory = enter_directory(depth);
        const int before = count_descriptors();
        char name[61];
        memset(name, 'n', 60);
        name[60] = 0;
        const cano_os_handle owner = open_bell(name, true);
        const cano_os_handle ringer = open_bell(name, false);
        const int64_t cleared = cano_os_now();
        cano_os_bell_clear(owner);
        cano_os_bell_ring(ringer);
        CU_ASSERT(is_up(owner, 0) || cano_os_now() - cleared > LOOK_AGAIN);
        cano_os_bell_close(ringer, NULL);
        cano_os_bell_close(owner, name);
        CU_ASSERT_EQUAL(count_descriptors(), before);
        cano_os_handle gone;
        CU_ASSERT_EQUAL(cano_os_bell_open(name, false, &gone), CANO_ENOENT);
        CU_ASSERT_EQUAL(count_descriptors(), before);
        leave_directory(&directory); /* which is empty */
    }
}

static void stale_file_is_replaced(void)
{
    own_directory directory = enter_directory(0);
    char path[512];
    snprintf(path, sizeof path, "%s/.bell.bell", directory.path);
    CU_ASSERT_EQUAL(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    cano_os_handle ringer;
    CU_ASSERT_EQUAL(cano_os_bell_open("bell", false, &ringer), CANO_ENOENT);
    const cano_os_handle owner = open_bell("bell", true);
    ringer = open_bell("bell", false);
    cano_os_bell_close(ringer, NULL);
    cano_os_bell_close(owner, "bell");
    leave_directory(&directory);
}

static void name_too_long_is_refused(void)
{
    own_directory directory = enter_directory(0);
    char name[62];
    memset(name, 'n', 61);
    name[61] = 0;
    cano_os_handle owner = 4711;
    CU_ASSERT_EQUAL(cano_os_bell_open(name, true, &owner), CANO_EINVAL);
    CU_ASSERT_EQUAL(owner, 4711);
    leave_directory(&directory);
}

static int ring_as_stranger(void *context)
{
    cano_os_handle ringer;
    (void)context;
    if (setgid(STRANGER) != 0 || setuid(STRANGER) != 0) {
        return FAILED;
    }
    const cano_status status = cano_os_bell_open("bell", false, &ringer);
    if (status == CANO_OK) {
        cano_os_bell_ring(ringer);
    }
    return status == CANO_OK ? 0 : 1;
}

/* Where others may use a queue, they must be able to ring for it. */
static void who_reaches_the_directory_may_ring(void)
{
    if (geteuid() != 0) {
        printf("\n    not run here: who_reaches_the_directory_may_ring: needs root\n");
        return;
    }
    own_directory directory = enter_directory(0);
    CU_ASSERT_EQUAL(chmod(directory.path, 01777), 0);
    const mode_t mask = umask(077);
    const cano_os_handle owner = open_bell("bell", true);
    umask(mask);
    const int64_t cleared = cano_os_now();
    cano_os_bell_clear(owner);
    CU_ASSERT_EQUAL(in_child(ring_as_stranger, NULL), 0);
    CU_ASSERT(is_up(owner, 0) || cano_os_now() - cleared > LOOK_AGAIN);
    CU_ASSERT_EQUAL(chmod(directory.path, 0700), 0);
    CU_ASSERT_EQUAL(in_child(ring_as_stranger, NULL), 1);
    cano_os_bell_close(owner, "bell");
    leave_directory(&directory);
}

/* ---- forks and limits ---- */

static int close_copy(void *context)
{
    const int before = count_descriptors();
    cano_os_bell_close(*(cano_os_handle *)context, NULL);
    return before - count_descriptors(); /* the handle and what is behind it */
}

static void child_closes_its_copies_and_leaves_the_bell(void)
{
    own_directory directory = enter_directory(0);
    const int before = count_descriptors();
    cano_os_handle owner = open_bell("bell", true);
    const int needed = count_descriptors() - before;
    CU_ASSERT_EQUAL(in_child(close_copy, &owner), needed);
    const cano_os_handle ringer = open_bell("bell", false); /* the name is there still */
    const int64_t cleared = cano_os_now();
    cano_os_bell_clear(owner);
    cano_os_bell_ring(ringer);
    CU_ASSERT(is_up(owner, 0) || cano_os_now() - cleared > LOOK_AGAIN);
    cano_os_bell_close(ringer, NULL);
    cano_os_bell_close(owner, "bell");
    CU_ASSERT_EQUAL(count_descriptors(), before);
    leave_directory(&directory);
}

/* With room for 0, 1, 2 descriptors more: whatever is missing, nothing is left. */
static int open_without_descriptors(void *context)
{
    const int room = *(int *)context;
    const int last = dup(0);
    const struct rlimit limit = { (rlim_t)(last + 1 + room), (rlim_t)(last + 1 + room) };
    cano_os_handle owner;
    if (last < 0 || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return FAILED;
    }
    const int before = count_descriptors();
    if (cano_os_bell_open("bell", true, &owner) != CANO_ELIMIT || cano_os_error() != EMFILE) {
        return 1;
    }
    return count_descriptors() == before ? 0 : 2;
}

static void end_of_descriptors_is_a_limit(void)
{
    own_directory directory = enter_directory(0);
    for (int room = 0; room < 3; room++) {
        CU_ASSERT_EQUAL(in_child(open_without_descriptors, &room), 0);
    }
    leave_directory(&directory);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "unrung_bell_comes_up_by_itself", unrung_bell_comes_up_by_itself },
        { "clearing_again_and_again_puts_it_off", clearing_again_and_again_puts_it_off },
        { "bells_live_under_a_path_of_any_length", bells_live_under_a_path_of_any_length },
        { "stale_file_is_replaced", stale_file_is_replaced },
        { "name_too_long_is_refused", name_too_long_is_refused },
        { "who_reaches_the_directory_may_ring", who_reaches_the_directory_may_ring },
        { "child_closes_its_copies_and_leaves_the_bell", child_closes_its_copies_and_leaves_the_bell },
        { "end_of_descriptors_is_a_limit", end_of_descriptors_is_a_limit },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "os_bell", tests, NULL);
}
