/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments and their directory, as far as only POSIX has it: limits, seals, owners and modes, and what else may lie at a path.
 */
#include "suite.h"

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)65536)
#define STRANGER 65533 /* a user who is not us */
#define FAILED 77

/* A directory of this test, with CANO_DIR pointing to it. */
typedef struct own_directory {
    char path[64];
    char *before;
} own_directory;

static own_directory enter_directory(void)
{
    own_directory directory = { "/tmp/cano-test-XXXXXX", NULL };
    const char *before = getenv("CANO_DIR");
    directory.before = before == NULL ? NULL : strdup(before);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory.path));
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
    CU_ASSERT_EQUAL(rmdir(directory->path), 0);
}

static void path_in(const own_directory *directory, const char *name, char path[CANO_OS_PATH_MAX])
{
    snprintf(path, CANO_OS_PATH_MAX, "%s/%s", directory->path, name);
}

/* What test says in a child of its own, which may limit itself as it likes: 0 passed, a line number otherwise. */
static int in_child(int (*test)(void))
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        _exit(test());
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static cano_status open_status(const char *path, uint32_t access)
{
    cano_os_segment segment;
    const cano_status status = cano_os_segment_open(&segment, path, 1, access);
    if (status == CANO_OK) {
        cano_os_segment_close(&segment);
    }
    return status;
}

static cano_status adopt_status(int descriptor, size_t minimum, bool sealed)
{
    cano_os_segment segment;
    const cano_status status = cano_os_segment_adopt(&segment, descriptor, minimum, sealed);
    if (status == CANO_OK) {
        cano_os_segment_close(&segment);
    }
    return status;
}

/* ---- limits ---- */

static void full_file_system_is_found_at_creation(void)
{
    own_directory directory = enter_directory();
    if (mount("none", directory.path, "tmpfs", 0, "size=1m,mode=700") != 0) {
        printf("\n    not run here: full_file_system_is_found_at_creation: mount: %s\n", strerror(errno));
        leave_directory(&directory);
        return;
    }
    char path[CANO_OS_PATH_MAX];
    path_in(&directory, "half", path);
    cano_os_segment half;
    cano_os_segment more;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&half, 600 * 1024, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&half, path), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_create_named(&more, 600 * 1024, 0), CANO_ENOSPC);
    CU_ASSERT_EQUAL(cano_os_error(), ENOSPC);
    CU_ASSERT_EQUAL(cano_os_segment_create_named(&more, 2 * 1024 * 1024, 0), CANO_ENOSPC);
    memset(half.base, 1, half.size); /* all of it is there */
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, &half), CANO_OK);
    cano_os_segment_close(&half);
    CU_ASSERT_EQUAL(cano_os_segment_create_named(&more, 600 * 1024, 0), CANO_OK); /* nothing is left of the failures */
    cano_os_segment_close(&more);
    CU_ASSERT_EQUAL(umount(directory.path), 0);
    leave_directory(&directory);
}

static int create_over_limit(void)
{
    const struct rlimit limit = { 4096, 4096 };
    cano_os_segment segment;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return FAILED;
    }
    return cano_os_segment_create(&segment, SIZE, true, 0) != CANO_ENOSPC   ? 1
           : cano_os_error() != EFBIG                                       ? 2
           : cano_os_segment_create_named(&segment, SIZE, 0) != CANO_ENOSPC ? 3
           : cano_os_segment_create(&segment, 4096, true, 0) != CANO_OK     ? 4
                                                                            : 0;
}

static void limit_of_file_sizes_is_met_without_a_signal(void)
{
    CU_ASSERT_EQUAL(in_child(create_over_limit), 0);
}

static int create_without_descriptors(void)
{
    cano_os_segment segment;
    cano_os_segment other;
    if (cano_os_segment_create(&segment, SIZE, true, 0) != CANO_OK) {
        return FAILED;
    }
    const struct rlimit limit = { (rlim_t)segment.handle + 1, (rlim_t)segment.handle + 1 };
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return FAILED;
    }
    return cano_os_segment_create(&other, SIZE, true, 0) != CANO_ELIMIT   ? 1
           : cano_os_error() != EMFILE                                    ? 2
           : cano_os_segment_create_named(&other, SIZE, 0) != CANO_ELIMIT ? 3
           : cano_os_segment_open(&other, "/", 1, 0) == CANO_OK           ? 4
           : cano_os_segment_create(&other, SIZE, false, 0) != CANO_OK    ? 5
                                                                          : 0;
}

static void end_of_descriptors_is_a_limit(void)
{
    CU_ASSERT_EQUAL(in_child(create_without_descriptors), 0);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int i = 0; i < 256; i++) {
        count += fcntl(i, F_GETFD) >= 0;
    }
    return count;
}

static void nothing_is_left_open_by_what_fails_or_ends(void)
{
    const int before = count_descriptors();
    cano_os_segment segment;
    CU_ASSERT_EQUAL(cano_os_segment_create(&segment, SIZE_MAX / 4, true, 0), CANO_ENOSPC);
    CU_ASSERT_EQUAL(cano_os_segment_create_named(&segment, SIZE_MAX / 4, 0), CANO_ENOSPC);
    CU_ASSERT_EQUAL(open_status("/dev/null", 0), CANO_EKIND);
    CU_ASSERT_EQUAL(adopt_status(open("/dev/null", O_RDWR), 1, false), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_os_segment_create(&segment, SIZE, true, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_guard_try(&segment), CANO_OK);
    cano_os_segment_close(&segment);
    CU_ASSERT_EQUAL(count_descriptors(), before);
}

/* ---- what a nameless one is ---- */

static void nameless_one_is_sealed_and_private_to_exec(void)
{
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&segment, SIZE, true, 0), CANO_OK);
    const int file = (int)segment.handle;
    CU_ASSERT_EQUAL(fcntl(file, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    CU_ASSERT_NOT_EQUAL(ftruncate(file, 0), 0);
    CU_ASSERT_NOT_EQUAL(ftruncate(file, 2 * (off_t)SIZE), 0);
    CU_ASSERT_EQUAL(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    cano_os_segment_close(&segment);
}

/* Whether the flags of the mapping at base in /proc/self/smaps hold one. */
static bool has_flag(const void *base, const char *flag)
{
    char line[512];
    char start[32];
    bool there = false;
    bool found = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)base);
    while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL) {
        there = there || strncmp(line, start, strlen(start)) == 0;
        if (there && strncmp(line, "VmFlags:", 8) == 0) {
            found = strstr(line, flag) != NULL;
            break;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

static void memory_stays_out_of_core_dumps(void)
{
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&segment, SIZE, true, 0), CANO_OK);
    CU_ASSERT(has_flag(segment.base, " dd"));
    CU_ASSERT(has_flag(segment.base, " sh"));
    cano_os_segment_close(&segment);
}

static void adopted_one_is_the_same_memory(void)
{
    cano_os_segment maker;
    cano_os_segment other;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&maker, SIZE, true, 0), CANO_OK);
    const int copy = dup((int)maker.handle);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_adopt(&other, copy, SIZE, true), CANO_OK);
    CU_ASSERT_EQUAL(other.size, SIZE);
    CU_ASSERT_EQUAL(other.handle, copy);
    CU_ASSERT_EQUAL(fcntl(copy, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    maker.base[17] = 4;
    CU_ASSERT_EQUAL(other.base[17], 4);
    cano_os_segment_close(&maker);
    other.base[17] = 5;
    cano_os_segment_close(&other);
    CU_ASSERT(fcntl(copy, F_GETFD) < 0);
}

static void adopting_looks_at_what_it_gets(void)
{
    const int before = count_descriptors();
    const int unsealed = memfd_create("test", 0);
    CU_ASSERT_EQUAL_FATAL(ftruncate(unsealed, (off_t)SIZE), 0);
    CU_ASSERT_EQUAL(adopt_status(dup(unsealed), SIZE, false), CANO_OK);
    CU_ASSERT_EQUAL(adopt_status(dup(unsealed), SIZE, true), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(adopt_status(dup(unsealed), SIZE + 1, false), CANO_EKIND);
    CU_ASSERT_EQUAL(adopt_status(unsealed, SIZE_MAX, false), CANO_EKIND);
    CU_ASSERT_EQUAL(adopt_status(memfd_create("empty", 0), 0, false), CANO_EKIND);
    CU_ASSERT_EQUAL(adopt_status(open("/", O_RDONLY), 1, false), CANO_EKIND);
    CU_ASSERT_EQUAL(adopt_status(socket(AF_UNIX, SOCK_STREAM, 0), 1, false), CANO_EKIND);
    CU_ASSERT_EQUAL(adopt_status(4711, 1, false), CANO_ESYSTEM);
    CU_ASSERT_EQUAL(cano_os_error(), EBADF);
    CU_ASSERT_EQUAL(count_descriptors(), before); /* all of them are closed, adopted or not */
}

/* ---- what may lie at a path ---- */

static void only_a_regular_file_is_a_segment(void)
{
    own_directory directory = enter_directory();
    char path[CANO_OS_PATH_MAX];
    char target[CANO_OS_PATH_MAX];
    path_in(&directory, "target", target);
    path_in(&directory, "thing", path);

    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(open_status(path, 0), CANO_EKIND);
    CU_ASSERT_EQUAL(rmdir(path), 0);

    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    CU_ASSERT_EQUAL(open_status(path, 0), CANO_EKIND);
    CU_ASSERT_EQUAL(unlink(path), 0);

    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&segment, target), CANO_OK);
    cano_os_segment_close(&segment);
    CU_ASSERT_EQUAL(open_status(target, 0), CANO_OK);
    CU_ASSERT_EQUAL(symlink(target, path), 0);
    CU_ASSERT_EQUAL(open_status(path, 0), CANO_EKIND);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(unlink(target), 0);

    const int bound = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    CU_ASSERT_EQUAL(bind(bound, (struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT_EQUAL(open_status(path, 0), CANO_EKIND);
    close(bound);
    CU_ASSERT_EQUAL(unlink(path), 0);
    leave_directory(&directory);
}

static void name_taken_by_anything_stays_taken(void)
{
    own_directory directory = enter_directory();
    char path[CANO_OS_PATH_MAX];
    path_in(&directory, "thing", path);
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&segment, path), CANO_EEXIST);
    CU_ASSERT_EQUAL(rmdir(path), 0);
    CU_ASSERT_EQUAL(symlink("nowhere", path), 0);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&segment, path), CANO_EEXIST);
    CU_ASSERT_EQUAL(unlink(path), 0);
    cano_os_segment_close(&segment);
    leave_directory(&directory);
}

/* ---- owners and modes ---- */

static mode_t mode_made(const own_directory *directory, uint32_t access)
{
    char path[CANO_OS_PATH_MAX];
    struct stat is = { .st_mode = 0 };
    cano_os_segment segment;
    path_in(directory, "segment", path);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, access), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&segment, path), CANO_OK);
    CU_ASSERT_EQUAL(stat(path, &is), 0);
    CU_ASSERT_EQUAL(unlink(path), 0);
    cano_os_segment_close(&segment);
    return is.st_mode & 07777;
}

static void mode_follows_the_access_whatever_the_umask(void)
{
    own_directory directory = enter_directory();
    static const mode_t masks[] = { 0, 022, 077, 0777 };
    for (int i = 0; i < 4; i++) {
        const mode_t before = umask(masks[i]);
        CU_ASSERT_EQUAL(mode_made(&directory, 0), 0600);
        CU_ASSERT_EQUAL(mode_made(&directory, 1), 0660);
        CU_ASSERT_EQUAL(mode_made(&directory, 2), 0666);
        umask(before);
    }
    leave_directory(&directory);
}

static void segment_of_a_stranger_is_refused_unless_access_allows_it(void)
{
    own_directory directory = enter_directory();
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    path_in(&directory, "segment", path);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 2), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&segment, path), CANO_OK);
    CU_ASSERT_EQUAL(open_status(path, 0), CANO_OK);
    if (chown(path, STRANGER, (gid_t)-1) != 0) {
        printf("\n    not run here: segment_of_a_stranger_is_refused_unless_access_allows_it: chown: %s\n", strerror(errno));
    } else {
        CU_ASSERT_EQUAL(open_status(path, 0), CANO_EACCES);
        CU_ASSERT_EQUAL(open_status(path, 1), CANO_OK); /* our group */
        CU_ASSERT_EQUAL(open_status(path, 2), CANO_OK);
        CU_ASSERT_EQUAL(chown(path, STRANGER, STRANGER), 0);
        CU_ASSERT_EQUAL(open_status(path, 1), CANO_EACCES);
        CU_ASSERT_EQUAL(open_status(path, 2), CANO_OK);
    }
    CU_ASSERT_EQUAL(unlink(path), 0);
    cano_os_segment_close(&segment);
    leave_directory(&directory);
}

/* As a stranger, with the path in CANO_TEST_PATH: what the system itself refuses. */
static int open_as_stranger(void)
{
    if (setgid(STRANGER) != 0 || setuid(STRANGER) != 0) {
        return FAILED;
    }
    return open_status(getenv("CANO_TEST_PATH"), 2) == CANO_EACCES && cano_os_error() == EACCES ? 0 : 1;
}

static void stranger_is_kept_out(void)
{
    if (geteuid() != 0) {
        printf("\n    not run here: stranger_is_kept_out: needs root\n");
        return;
    }
    own_directory directory = enter_directory();
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    path_in(&directory, "segment", path);
    CU_ASSERT_EQUAL(chmod(directory.path, 0755), 0);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&segment, path), CANO_OK);
    setenv("CANO_TEST_PATH", path, 1);
    CU_ASSERT_EQUAL(in_child(open_as_stranger), 0);
    CU_ASSERT_EQUAL(unlink(path), 0);
    cano_os_segment_close(&segment);
    leave_directory(&directory);
}

/* ---- a file system without O_TMPFILE ---- */

/* Answer every openat with O_TMPFILE as a file system does that has no such thing. */
static bool forget_tmpfile(void)
{
    const unsigned tmpfile_bit = O_TMPFILE & ~O_DIRECTORY;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, tmpfile_bit, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof code / sizeof code[0], code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int create_without_tmpfile(void)
{
    const char *path = getenv("CANO_TEST_PATH");
    cano_os_segment first;
    cano_os_segment second;
    if (!forget_tmpfile() || open("/tmp", O_TMPFILE | O_RDWR, 0600) >= 0) {
        return FAILED;
    }
    if (cano_os_segment_create_named(&first, SIZE, 0) != CANO_OK || cano_os_segment_create_named(&second, SIZE, 0) != CANO_OK ||
        cano_os_segment_create_named(&second, SIZE_MAX / 4, 0) != CANO_ENOSPC) {
        return 1;
    }
    if (cano_os_segment_publish(&first, path) != CANO_OK || cano_os_segment_publish(&second, path) != CANO_EEXIST) {
        return 2;
    }
    if (open_status(path, 0) != CANO_OK || unlink(path) != 0) {
        return 3;
    }
    cano_os_segment_close(&first);
    cano_os_segment_close(&second);
    return 0;
}

static void file_system_without_nameless_files_will_do(void)
{
    own_directory directory = enter_directory();
    char path[CANO_OS_PATH_MAX];
    path_in(&directory, "segment", path);
    setenv("CANO_TEST_PATH", path, 1);
    const int result = in_child(create_without_tmpfile);
    if (result == FAILED) {
        printf("\n    not run here: file_system_without_nameless_files_will_do: no seccomp\n");
    } else {
        CU_ASSERT_EQUAL(result, 0);
    }
    leave_directory(&directory); /* which is empty: nothing temporary is left */
}

/* ---- the directory ---- */

static cano_status directory_status(char path[CANO_OS_PATH_MAX])
{
    return cano_os_directory(path, CANO_OS_PATH_MAX);
}

static void directory_given_is_taken_as_it_is(void)
{
    own_directory directory = enter_directory();
    char path[CANO_OS_PATH_MAX];
    CU_ASSERT_EQUAL(directory_status(path), CANO_OK);
    CU_ASSERT_STRING_EQUAL(path, directory.path);
    CU_ASSERT_EQUAL(chmod(directory.path, 0777), 0);
    CU_ASSERT_EQUAL(directory_status(path), CANO_EACCES); /* anybody could take a name away */
    CU_ASSERT_EQUAL(chmod(directory.path, 01777), 0);
    CU_ASSERT_EQUAL(directory_status(path), CANO_OK);
    CU_ASSERT_EQUAL(chmod(directory.path, 0770), 0);
    CU_ASSERT_EQUAL(directory_status(path), CANO_OK);
    leave_directory(&directory);
}

static void directory_that_is_none_is_refused(void)
{
    own_directory directory = enter_directory();
    char path[CANO_OS_PATH_MAX];
    char given[CANO_OS_PATH_MAX];
    path_in(&directory, "absent", given);
    setenv("CANO_DIR", given, 1);
    CU_ASSERT_EQUAL(directory_status(path), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_os_error(), ENOENT);
    CU_ASSERT_EQUAL(close(open(given, O_CREAT | O_WRONLY, 0600)), 0);
    CU_ASSERT_EQUAL(directory_status(path), CANO_EACCES);
    CU_ASSERT_EQUAL(unlink(given), 0);
    leave_directory(&directory);
}

static void directory_too_long_is_refused(void)
{
    own_directory directory = enter_directory();
    char given[2 * CANO_OS_PATH_MAX];
    char path[CANO_OS_PATH_MAX];
    memset(given, '/', sizeof given);
    memcpy(given + sizeof given - 5, "/tmp", 5);
    setenv("CANO_DIR", given, 1);
    CU_ASSERT_EQUAL(directory_status(path), CANO_EINVAL);
    leave_directory(&directory);
}

/* In a mount namespace of its own: a /dev/shm of our making, without CANO_DIR. argument of the steps below: what is there. */
static bool enter_namespace(void)
{
    return unsetenv("CANO_DIR") == 0 && unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/dev/shm", "tmpfs", 0, "size=1m,mode=1777") == 0;
}

static int look_at_default(void)
{
    char path[CANO_OS_PATH_MAX];
    char own[CANO_OS_PATH_MAX];
    struct stat is;
    if (!enter_namespace()) {
        return FAILED;
    }
    snprintf(own, sizeof own, "/dev/shm/cano-%u", (unsigned)geteuid());
    umask(0777);
    if (directory_status(path) != CANO_OK || strcmp(path, own) != 0 || stat(own, &is) != 0 || (is.st_mode & 07777) != 0700) {
        return 1; /* made, and private whatever the umask */
    }
    if (directory_status(path) != CANO_OK || chmod(own, 0720) != 0 || directory_status(path) != CANO_EACCES ||
        chmod(own, 0702) != 0 || directory_status(path) != CANO_EACCES || chmod(own, 0755) != 0 ||
        directory_status(path) != CANO_OK) {
        return 2; /* others may not write to it */
    }
    if (chown(own, STRANGER, STRANGER) != 0 || directory_status(path) != CANO_EACCES || rmdir(own) != 0) {
        return 3; /* and it is ours */
    }
    if (symlink("/tmp", own) != 0 || directory_status(path) != CANO_EACCES || unlink(own) != 0) {
        return 4; /* and no link */
    }
    return close(open(own, O_CREAT | O_WRONLY, 0700)) != 0 || directory_status(path) != CANO_EACCES ? 5 : 0;
}

static int look_elsewhere(void)
{
    char path[CANO_OS_PATH_MAX];
    char own[CANO_OS_PATH_MAX];
    const char *given = getenv("CANO_TEST_PATH");
    if (!enter_namespace() || mount("none", "/dev/shm", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0) {
        return FAILED;
    }
    setenv("TMPDIR", given, 1);
    snprintf(own, sizeof own, "%s/cano-%u", given, (unsigned)geteuid());
    if (directory_status(path) != CANO_OK || strcmp(path, own) != 0 || rmdir(own) != 0) {
        return 1;
    }
    setenv("TMPDIR", "/nowhere", 1);
    return directory_status(path) == CANO_OK ? 2 : 0;
}

static void in_namespace(const char *name, int (*test)(void))
{
    const int result = in_child(test);
    if (result == FAILED) {
        printf("\n    not run here: %s: no mount namespace\n", name);
    } else {
        CU_ASSERT_EQUAL(result, 0);
    }
}

static void directory_of_our_own_is_made_private_and_checked(void)
{
    in_namespace("directory_of_our_own_is_made_private_and_checked", look_at_default);
}

static void directory_is_elsewhere_without_dev_shm(void)
{
    own_directory directory = enter_directory();
    setenv("CANO_TEST_PATH", directory.path, 1);
    in_namespace("directory_is_elsewhere_without_dev_shm", look_elsewhere);
    leave_directory(&directory);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "full_file_system_is_found_at_creation", full_file_system_is_found_at_creation },
        { "limit_of_file_sizes_is_met_without_a_signal", limit_of_file_sizes_is_met_without_a_signal },
        { "end_of_descriptors_is_a_limit", end_of_descriptors_is_a_limit },
        { "nothing_is_left_open_by_what_fails_or_ends", nothing_is_left_open_by_what_fails_or_ends },
        { "nameless_one_is_sealed_and_private_to_exec", nameless_one_is_sealed_and_private_to_exec },
        { "memory_stays_out_of_core_dumps", memory_stays_out_of_core_dumps },
        { "adopted_one_is_the_same_memory", adopted_one_is_the_same_memory },
        { "adopting_looks_at_what_it_gets", adopting_looks_at_what_it_gets },
        { "only_a_regular_file_is_a_segment", only_a_regular_file_is_a_segment },
        { "name_taken_by_anything_stays_taken", name_taken_by_anything_stays_taken },
        { "mode_follows_the_access_whatever_the_umask", mode_follows_the_access_whatever_the_umask },
        { "segment_of_a_stranger_is_refused_unless_access_allows_it",
          segment_of_a_stranger_is_refused_unless_access_allows_it },
        { "stranger_is_kept_out", stranger_is_kept_out },
        { "file_system_without_nameless_files_will_do", file_system_without_nameless_files_will_do },
        { "directory_given_is_taken_as_it_is", directory_given_is_taken_as_it_is },
        { "directory_that_is_none_is_refused", directory_that_is_none_is_refused },
        { "directory_too_long_is_refused", directory_too_long_is_refused },
        { "directory_of_our_own_is_made_private_and_checked", directory_of_our_own_is_made_private_and_checked },
        { "directory_is_elsewhere_without_dev_shm", directory_is_elsewhere_without_dev_shm },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "os_segment", tests, NULL);
}
