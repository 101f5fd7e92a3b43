/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams as Unix sockets: what the file system shows of them, descriptors that run out, and peers that play no part.
 */
#include "suite.h"

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY 65534
#define BACKLOG_MOST 1000
#define LOCK_PATIENCE INT64_C(100000) /* microseconds, as in stream.c */
#define CONTENDERS 4
#define KILLS 100
#define DEEP 3 /* folders of 120 letters */

/* ---- a folder for one test ---- */

static char folder[CANO_OS_PATH_MAX];

static void enter_folder(void)
{
    strcpy(folder, "/tmp/cano-stream-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

static const char *in_folder(const char *name)
{
    static char path[CANO_OS_PATH_MAX];
    snprintf(path, sizeof path, "%.400s/%s", folder, name);
    return path;
}

/* It is empty: no lock, no name for the time being, no socket is left. */
static void leave_folder(void)
{
    CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void make_file(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
}

/* ---- descriptors ---- */

static int count_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 512; fd++) {
        count += fcntl(fd, F_GETFD) != -1;
    }
    return count;
}

static bool is_tame(cano_os_handle handle)
{
    return (fcntl((int)handle, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl((int)handle, F_GETFL) & O_NONBLOCK) != 0;
}

static rlim_t limit_descriptors(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = most;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

/* The lowest number that is free. */
static int next_number(void)
{
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static void pair(cano_os_stream ends[2])
{
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(ends), CANO_OK);
}

static void close_pair(cano_os_stream ends[2])
{
    cano_os_stream_close(&ends[0], true);
    cano_os_stream_close(&ends[1], true);
}

static cano_status say(cano_os_stream *stream, char letter)
{
    size_t written;
    return cano_os_stream_write(stream, &letter, 1, NULL, 0, &written);
}

static void every_descriptor_is_close_on_exec_and_does_not_block(void)
{
    enter_folder();
    const int before = count_open();
    cano_os_stream ends[2];
    cano_os_stream listener;
    cano_os_stream met[2];
    cano_os_handle passed[8];
    size_t count;
    size_t moved;
    char letter;
    pair(ends);
    CU_ASSERT(is_tame(ends[0].handle) && is_tame(ends[1].handle));
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, in_folder("l"), 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&met[0], in_folder("l")), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_accept(&listener, &met[1]), CANO_OK);
    CU_ASSERT(is_tame(listener.handle) && is_tame(met[0].handle) && is_tame(met[1].handle));
    CU_ASSERT_EQUAL(cano_os_stream_write(&ends[0], "x", 1, &met[0].handle, 1, &moved), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[1], &letter, 1, passed, &count, &moved), CANO_OK);
    CU_ASSERT(is_tame(passed[0]));
    cano_os_close(passed[0]);
    close_pair(met);
    close_pair(ends);
    cano_os_stream_close(&listener, true);
    CU_ASSERT_EQUAL(count_open(), before);
    leave_folder();
}

static void adopted_socket_becomes_close_on_exec_and_does_not_block(void)
{
    int fds[2];
    cano_os_stream stream;
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CU_ASSERT_EQUAL(cano_os_stream_adopt(&stream, fds[0]), CANO_OK);
    CU_ASSERT(is_tame(stream.handle));
    cano_os_stream_close(&stream, true);
    close(fds[1]);
}

static void what_is_no_stream_is_not_adopted_and_closed(void)
{
    int pipe_fds[2];
    cano_os_stream stream = { 77, NULL };
    CU_ASSERT_EQUAL_FATAL(pipe(pipe_fds), 0);
    CU_ASSERT_EQUAL(cano_os_stream_adopt(&stream, pipe_fds[0]), CANO_EKIND);
    CU_ASSERT_EQUAL(fcntl(pipe_fds[0], F_GETFD), -1);
    const int datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    CU_ASSERT_EQUAL(cano_os_stream_adopt(&stream, datagram), CANO_EKIND);
    CU_ASSERT_EQUAL(fcntl(datagram, F_GETFD), -1);
    CU_ASSERT_EQUAL(cano_os_stream_adopt(&stream, pipe_fds[0]), CANO_ESYSTEM);
    CU_ASSERT_EQUAL(cano_os_error(), EBADF);
    CU_ASSERT_EQUAL(stream.handle, 77);
    close(pipe_fds[1]);
}

static void lack_of_descriptors_is_a_limit_and_loses_nothing(void)
{
    cano_os_stream ends[2];
    cano_os_handle passed[8] = { 77 };
    size_t count = 88;
    size_t moved = 99;
    char letter = 0;
    pair(ends);
    const cano_os_handle three[] = { ends[0].handle, ends[0].handle, ends[0].handle };
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_write(&ends[0], "x", 1, three, 3, &moved), CANO_OK);
    const int before = count_open();
    moved = 99;
    const rlim_t limit = limit_descriptors((rlim_t)next_number() + 1); /* one is free */
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[1], &letter, 1, passed, &count, &moved), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_os_error(), EMFILE);
    cano_os_stream more[2];
    CU_ASSERT_EQUAL(cano_os_stream_pair(more), CANO_ELIMIT);
    limit_descriptors(limit);
    CU_ASSERT_EQUAL(count_open(), before);
    CU_ASSERT(passed[0] == 77 && count == 88 && moved == 99);
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[1], &letter, 1, passed, &count, &moved), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_EQUAL(letter, 'x');
    for (int i = 0; i < 3; i++) {
        cano_os_close(passed[i]);
    }
    close_pair(ends);
}

/* As no stream of ours would. */
static void flood(int socket_fd, int count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(32 * sizeof(int))];
    } room;
    struct iovec bytes = { .iov_base = "x", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room.bytes };
    memset(&room, 0, sizeof room);
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (int i = 0; i < count; i++) {
        memcpy(CMSG_DATA(header) + i * sizeof(int), &socket_fd, sizeof(int));
    }
    CU_ASSERT_EQUAL_FATAL(sendmsg(socket_fd, &message, 0), 1);
}

static void more_handles_than_agreed_are_corrupt_and_closed(void)
{
    cano_os_stream ends[2];
    cano_os_handle passed[8];
    size_t count;
    size_t got;
    char letter;
    pair(ends);
    flood((int)ends[0].handle, 9);
    const int before = count_open();
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[1], &letter, 1, passed, &count, &got), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(count_open(), before);
    close_pair(ends);
}

/* Not as root, who may have any number of handles on their way. */
static int run_too_many(int argc, char **argv)
{
    (void)argc, (void)argv;
    if (getuid() == 0 && setuid(NOBODY) != 0) {
        return 1;
    }
    const rlim_t most = 64;
    struct rlimit limit = { most, most };
    cano_os_stream ends[2];
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || cano_os_stream_pair(ends) != CANO_OK) {
        return 2;
    }
    cano_status status = CANO_OK;
    for (rlim_t i = 0; i <= most + 1 && status == CANO_OK; i++) {
        size_t written;
        status = cano_os_stream_write(&ends[0], "x", 1, &ends[1].handle, 1, &written);
    }
    return status == CANO_ELIMIT && cano_os_error() == ETOOMANYREFS ? 0 : 3;
}

static void too_many_handles_on_their_way_are_a_limit(void)
{
    suite_child *child = suite_start("too many", NULL);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
}

/* ---- paths ---- */

static void mode_follows_access(void)
{
    static const mode_t modes[] = { 0600, 0660, 0666 };
    enter_folder();
    const mode_t mask = umask(0077);
    for (uint32_t access = 0; access < 3; access++) {
        cano_os_stream listener;
        struct stat status;
        CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, in_folder("l"), access), CANO_OK);
        CU_ASSERT_EQUAL(stat(in_folder("l"), &status), 0);
        CU_ASSERT_EQUAL(status.st_mode & 0777, modes[access]);
        cano_os_stream_close(&listener, true);
    }
    umask(mask);
    cano_os_stream listener;
    CU_ASSERT_EQUAL(cano_os_stream_listen(&listener, in_folder("l"), 3), CANO_EINVAL);
    leave_folder();
}

static void what_is_no_socket_keeps_its_path(void)
{
    enter_folder();
    cano_os_stream stream;
    make_file(in_folder("file"));
    mkdir(in_folder("folder"), 0700);
    CU_ASSERT_EQUAL(symlink("nowhere", in_folder("link")), 0);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, in_folder("file"), 0), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, in_folder("folder"), 0), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, in_folder("link"), 0), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, in_folder("file")), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, in_folder("folder")), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, in_folder("link")), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, in_folder("file/below")), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, in_folder("absent/l"), 0), CANO_ENOENT);
    unlink(in_folder("link"));
    unlink(in_folder("file"));
    rmdir(in_folder("folder"));
    leave_folder();
}

static void socket_of_another_kind_keeps_its_path(void)
{
    enter_folder();
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/d", folder);
    const int datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    CU_ASSERT_EQUAL_FATAL(bind(datagram, (struct sockaddr *)&address, sizeof address), 0);
    cano_os_stream stream;
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, in_folder("d")), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, in_folder("d"), 0), CANO_EEXIST);
    close(datagram);
    unlink(in_folder("d"));
    leave_folder();
}

static void use_path(const char *path)
{
    cano_os_stream listener;
    cano_os_stream second;
    cano_os_stream ends[2];
    struct stat status;
    CU_ASSERT_EQUAL(cano_os_stream_connect(&ends[0], path), CANO_ENOENT);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 1), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&second, path, 0), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_os_stream_accept(&listener, &ends[1]), CANO_OK); /* the second one's look whether the first lives */
    cano_os_stream_close(&ends[1], true);
    CU_ASSERT_EQUAL(lstat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode, S_IFSOCK | 0660);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&ends[0], path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_accept(&listener, &ends[1]), CANO_OK);
    CU_ASSERT_EQUAL(say(&ends[0], 'x'), CANO_OK);
    close_pair(ends);
    cano_os_stream_close(&listener, false); /* as if it had died */
    CU_ASSERT_EQUAL(lstat(path, &status), 0);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&ends[0], path), CANO_ENOENT);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    cano_os_stream_close(&listener, true);
    CU_ASSERT_EQUAL(lstat(path, &status), -1);
}

/* That many folders below ours. */
static void deep_path(int depth, char path[CANO_OS_PATH_MAX])
{
    strcpy(path, folder);
    for (int i = 0; i < depth; i++) {
        const size_t end = strlen(path);
        snprintf(path + end, CANO_OS_PATH_MAX - end, "/%0120d", i);
    }
}

static void deep_folders_and_long_names_can_be_listened_at(void)
{
    char path[CANO_OS_PATH_MAX];
    enter_folder();
    for (int depth = 1; depth <= DEEP; depth++) {
        deep_path(depth, path);
        CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    }
    strcat(path, "/short");
    use_path(path);
    deep_path(1, path);
    snprintf(path + strlen(path), 202, "/%0200d", 0);
    use_path(path);
    for (int depth = DEEP; depth >= 1; depth--) {
        deep_path(depth, path);
        CU_ASSERT_EQUAL(rmdir(path), 0);
    }
    leave_folder();
}

static void path_at_the_edge_of_an_address_can_be_listened_at(void)
{
    char path[CANO_OS_PATH_MAX];
    enter_folder();
    const size_t front = strlen(folder);
    for (size_t length = sizeof((struct sockaddr_un *)0)->sun_path - 2; length < 112; length++) {
        memset(path, 'e', length);
        path[length] = '\0';
        memcpy(path, folder, front);
        path[front] = '/';
        use_path(path);
    }
    leave_folder();
}

static void path_that_is_too_long_is_refused(void)
{
    char path[CANO_OS_PATH_MAX + 1];
    cano_os_stream stream;
    memset(path, 'p', CANO_OS_PATH_MAX);
    path[CANO_OS_PATH_MAX] = '\0';
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, path, 0), CANO_EINVAL);
}

static void relative_path_can_be_listened_at(void)
{
    char before[CANO_OS_PATH_MAX];
    enter_folder();
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof before));
    CU_ASSERT_EQUAL_FATAL(chdir(folder), 0);
    use_path("relative");
    CU_ASSERT_EQUAL_FATAL(chdir(before), 0);
    leave_folder();
}

static void closing_an_old_listener_leaves_the_new_one_its_path(void)
{
    enter_folder();
    cano_os_stream old;
    cano_os_stream new;
    cano_os_stream stream;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&old, in_folder("l"), 0), CANO_OK);
    CU_ASSERT_EQUAL(unlink(in_folder("l")), 0); /* somebody tidied up */
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&new, in_folder("l"), 0), CANO_OK);
    cano_os_stream_close(&old, true);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&stream, in_folder("l")), CANO_OK);
    cano_os_stream_close(&stream, true);
    cano_os_stream_close(&new, true);
    leave_folder();
}

static void full_backlog_would_block_and_is_alive(void)
{
    enter_folder();
    static cano_os_stream streams[BACKLOG_MOST];
    cano_os_stream listener;
    cano_status status = CANO_OK;
    int count = 0;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, in_folder("l"), 0), CANO_OK);
    while (count < BACKLOG_MOST && (status = cano_os_stream_connect(&streams[count], in_folder("l"))) == CANO_OK) {
        count++;
    }
    CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
    CU_ASSERT(count >= 128);
    cano_os_stream second;
    CU_ASSERT_EQUAL(cano_os_stream_listen(&second, in_folder("l"), 0), CANO_EEXIST);
    while (count > 0) {
        cano_os_stream_close(&streams[--count], true);
    }
    cano_os_stream_close(&listener, true);
    leave_folder();
}

static void lock_that_somebody_sits_on_does_not_hold_up_for_long(void)
{
    enter_folder();
    cano_os_stream stream;
    make_file(in_folder(".lock.l"));
    const int lock = open(in_folder(".lock.l"), O_RDWR | O_CLOEXEC);
    CU_ASSERT_EQUAL_FATAL(flock(lock, LOCK_EX), 0);
    const int64_t begin = cano_os_now();
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, in_folder("l"), 0), CANO_EEXIST);
    CU_ASSERT(cano_os_now() - begin >= LOCK_PATIENCE);
    CU_ASSERT(cano_os_now() - begin < SUITE_PATIENCE);
    close(lock);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, in_folder("l"), 0), CANO_OK); /* a lock of the dead is no lock */
    cano_os_stream_close(&stream, true);
    leave_folder();
}

/* What one that was killed in the midst of it leaves behind. */
static void leftovers_of_a_killed_listener_are_no_obstacle(void)
{
    char path[CANO_OS_PATH_MAX];
    char left[64];
    struct stat status;
    enter_folder();
    snprintf(path, sizeof path, "%.100s/.lock.%0200d", folder, 0);
    make_file(path);
    CU_ASSERT_EQUAL_FATAL(stat(path, &status), 0);
    snprintf(left, sizeof left, ".bind.%llx", (unsigned long long)status.st_ino);
    make_file(in_folder(left));
    snprintf(path, sizeof path, "%.100s/%0200d", folder, 0);
    use_path(path);
    leave_folder();
}

/* A lock of the process: the kernel drops it before any socket of a dead one. */
static int claim_as(int claim, short type)
{
    struct flock whole = { .l_type = type, .l_whence = SEEK_SET };
    return fcntl(claim, F_SETLK, &whole);
}

/* contend PATH CLAIM: listen again and again, close now and then; whoever listens holds the claim, or there are two. */
static int run_contend(int argc, char **argv)
{
    const int claim = argc < 2 ? -1 : open(argv[1], O_RDWR | O_CLOEXEC);
    const pid_t parent = getppid();
    for (unsigned round = 0; claim >= 0 && getppid() == parent; round++) {
        cano_os_stream listener;
        const cano_status status = cano_os_stream_listen(&listener, argv[0], 0);
        if (status == CANO_EEXIST) {
            continue;
        }
        if (status != CANO_OK || claim_as(claim, F_WRLCK) != 0) {
            return 10 + status;
        }
        cano_os_stream stream;
        if (cano_os_stream_connect(&stream, argv[0]) == CANO_OK) {
            cano_os_stream_close(&stream, true);
        }
        claim_as(claim, F_UNLCK);
        cano_os_stream_close(&listener, round % 4 != 0); /* false: as if it had died */
    }
    return 1;
}

static void listeners_killed_anywhere_leave_a_name_that_one_can_have(void)
{
    char path[CANO_OS_PATH_MAX];
    char claim[CANO_OS_PATH_MAX];
    suite_child *children[CONTENDERS];
    enter_folder();
    snprintf(path, sizeof path, "%.100s/%0150d", folder, 0); /* too long for an address: there is more to leave behind */
    snprintf(claim, sizeof claim, "%.100s/claim", folder);
    make_file(claim);
    for (int i = 0; i < CONTENDERS; i++) {
        children[i] = suite_start("contend", path, claim, NULL);
    }
    for (int kills = 0; kills < KILLS; kills++) {
        const int victim = kills % CONTENDERS;
        cano_os_poll(NULL, 0, cano_os_now() + rand() % 4000); /* at any moment */
        suite_kill(children[victim]);
        CU_ASSERT_EQUAL_FATAL(suite_wait(children[victim], SUITE_PATIENCE), SUITE_KILLED);
        children[victim] = suite_start("contend", path, claim, NULL);
    }
    for (int i = 0; i < CONTENDERS; i++) {
        suite_kill(children[i]);
        CU_ASSERT_EQUAL(suite_wait(children[i], SUITE_PATIENCE), SUITE_KILLED);
    }
    cano_os_stream listener;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    cano_os_stream_close(&listener, true);
    unlink(claim);
    leave_folder();
}

/* stranger PATH: another user connects. */
static int run_stranger(int argc, char **argv)
{
    cano_os_stream stream;
    if (argc < 1 || (getuid() == 0 && setuid(NOBODY) != 0)) {
        return 1;
    }
    const cano_status status = cano_os_stream_connect(&stream, argv[0]);
    return status == CANO_OK ? 0 : 10 + status;
}

static int ask_stranger(const char *path)
{
    suite_child *child = suite_start("stranger", path, NULL);
    return suite_wait(child, SUITE_PATIENCE);
}

static void access_decides_whether_strangers_may_connect(void)
{
    enter_folder();
    const bool may_change = getuid() == 0; /* otherwise the child is no stranger */
    CU_ASSERT_EQUAL(chmod(folder, 0711), 0);
    cano_os_stream listener;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, in_folder("l"), 0), CANO_OK);
    CU_ASSERT_EQUAL(ask_stranger(in_folder("l")), may_change ? 10 + CANO_EACCES : 0);
    cano_os_stream_close(&listener, true);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, in_folder("l"), 2), CANO_OK);
    CU_ASSERT_EQUAL(ask_stranger(in_folder("l")), 0);
    int64_t pid;
    int64_t uid;
    bool same_user;
    cano_os_stream stream;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_accept(&listener, &stream), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_peer(&stream, &pid, &uid, &same_user), CANO_OK);
    cano_os_stream_close(&stream, true);
    cano_os_stream_close(&listener, true);
    leave_folder();
}

/* ---- signals ---- */

static void note_alarm(int number)
{
    (void)number;
}

static void sleep_goes_on_after_signals(void)
{
    struct sigaction action = { .sa_handler = note_alarm }; /* no SA_RESTART */
    struct sigaction before;
    const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    cano_os_stream ends[2];
    pair(ends);
    cano_os_pollable watched = { ends[0].handle, false, false };
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    const int64_t deadline = cano_os_now() + 30000;
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, deadline), CANO_ETIMEOUT);
    CU_ASSERT(cano_os_now() >= deadline);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    close_pair(ends);
}

static volatile sig_atomic_t broken_pipes;

static void note_broken_pipe(int number)
{
    (void)number;
    broken_pipes++;
}

static void writing_to_the_gone_raises_no_signal(void)
{
    struct sigaction action = { .sa_handler = note_broken_pipe };
    struct sigaction before;
    cano_os_stream ends[2];
    pair(ends);
    sigaction(SIGPIPE, &action, &before);
    cano_os_stream_close(&ends[0], true);
    CU_ASSERT_EQUAL(say(&ends[1], 'x'), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_os_error(), EPIPE);
    CU_ASSERT_EQUAL(broken_pipes, 0);
    sigaction(SIGPIPE, &before, NULL);
    cano_os_stream_close(&ends[1], true);
}

static void closed_descriptor_is_ready_and_then_an_error(void)
{
    cano_os_stream ends[2];
    pair(ends);
    cano_os_pollable watched = { ends[0].handle, false, false };
    cano_os_close(ends[0].handle);
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, CANO_OS_NEVER), CANO_OK);
    CU_ASSERT(watched.ready);
    CU_ASSERT_EQUAL(say(&ends[0], 'x'), CANO_ESYSTEM);
    cano_os_stream_close(&ends[1], true);
}

#define TEST(name)                                                                                                             \
    {                                                                                                                          \
#name, name                                                                                                            \
    }

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        TEST(every_descriptor_is_close_on_exec_and_does_not_block),
        TEST(adopted_socket_becomes_close_on_exec_and_does_not_block),
        TEST(what_is_no_stream_is_not_adopted_and_closed),
        TEST(lack_of_descriptors_is_a_limit_and_loses_nothing),
        TEST(more_handles_than_agreed_are_corrupt_and_closed),
        TEST(too_many_handles_on_their_way_are_a_limit),
        TEST(mode_follows_access),
        TEST(what_is_no_socket_keeps_its_path),
        TEST(socket_of_another_kind_keeps_its_path),
        TEST(deep_folders_and_long_names_can_be_listened_at),
        TEST(path_at_the_edge_of_an_address_can_be_listened_at),
        TEST(path_that_is_too_long_is_refused),
        TEST(relative_path_can_be_listened_at),
        TEST(closing_an_old_listener_leaves_the_new_one_its_path),
        TEST(full_backlog_would_block_and_is_alive),
        TEST(lock_that_somebody_sits_on_does_not_hold_up_for_long),
        TEST(leftovers_of_a_killed_listener_are_no_obstacle),
        TEST(listeners_killed_anywhere_leave_a_name_that_one_can_have),
        TEST(access_decides_whether_strangers_may_connect),
        TEST(sleep_goes_on_after_signals),
        TEST(writing_to_the_gone_raises_no_signal),
        TEST(closed_descriptor_is_ready_and_then_an_error),
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "too many", run_too_many }, { "stranger", run_stranger }, { "contend", run_contend }, { NULL, NULL }
    };
    return suite_main(argc, argv, "stream", tests, roles);
}
