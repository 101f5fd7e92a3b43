/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"
#include "os.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define HANDLES_MOST 8                /* with one byte */
#define LOCK_PATIENCE INT64_C(100000) /* microseconds: the holder of a path's lock makes a few system calls, or is stopped */
#define LOCK_PAUSE INT64_C(1000)
#define SIDE_MOST (CANO_OS_PATH_MAX + 32)

#ifdef O_PATH
#define FIND_ONLY (O_PATH | O_CLOEXEC)
#else
#define FIND_ONLY (O_RDONLY | O_CLOEXEC)
#endif

typedef union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(HANDLES_MOST * sizeof(int))];
} control;

/* The backend of a listener: how to know whether the path is ours still. */
typedef struct listening {
    dev_t device;
    ino_t inode; /* cannot become another's while our socket is open */
    uint32_t access;
    char path[CANO_OS_PATH_MAX];
} listening;

/* What reading and writing run into. */
static cano_status fail_to_move(int error)
{
    if (error == ETOOMANYREFS) { /* too many handles are on their way */
        return cano_os_fail(error, CANO_ELIMIT);
    }
    return error == ENOTCONN ? cano_os_fail(error, CANO_ECLOSED) : cano_posix_failed(error);
}

static void give(cano_os_stream *stream, int fd, void *backend)
{
    stream->handle = fd;
    stream->backend = backend;
}

/* ---- sockets that never block and are passed to nobody: born so, or made so where the system cannot ---- */

static int tame(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
#ifdef SO_NOSIGPIPE
        const int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
        return fd;
    }
    cano_os_close(fd);
    return -1;
}

#ifdef SOCK_CLOEXEC
static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int new_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

static int new_caller(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#else
static int new_socket(void)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 ? -1 : tame(fd);
}

static int new_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
        return -1;
    }
    fds[0] = tame(fds[0]);
    fds[1] = tame(fds[1]);
    if (fds[0] >= 0 && fds[1] >= 0) {
        return 0;
    }
    cano_os_close(fds[0]);
    cano_os_close(fds[1]);
    return -1;
}

static int new_caller(int listener)
{
    const int fd = accept(listener, NULL, NULL);
    return fd < 0 ? -1 : tame(fd);
}
#endif

/* ---- pair, adopt ---- */

cano_status cano_os_stream_pair(cano_os_stream ends[2])
{
    int fds[2];
    if (new_pair(fds) != 0) {
        return cano_posix_failed(errno);
    }
    give(&ends[0], fds[0], NULL);
    give(&ends[1], fds[1], NULL);
    return CANO_OK;
}

cano_status cano_os_stream_adopt(cano_os_stream *stream, cano_os_handle handle)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt((int)handle, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
        const int error = type == 0 ? errno : ENOTSOCK;
        cano_os_close(handle);
        return error == ENOTSOCK ? cano_os_fail(error, CANO_EKIND) : cano_posix_failed(error);
    }
    const int fd = tame((int)handle);
    if (fd < 0) {
        return cano_posix_failed(errno);
    }
    give(stream, fd, NULL);
    return CANO_OK;
}

/* ---- addresses: sun_path holds about 108 bytes, a path may be longer ---- */

static bool fits(const char *path)
{
    return strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return address;
}

static int connect_near(int fd, const char *path)
{
    const struct sockaddr_un address = address_of(path);
    int result;
    do {
        result = connect(fd, (const struct sockaddr *)&address, sizeof address);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* Through the name that the system has for an open descriptor. */
static int connect_far(int fd, const char *path)
{
    const int found = open(path, FIND_ONLY);
    if (found < 0) {
        return -1;
    }
    char way[32];
    snprintf(way, sizeof way, "/proc/self/fd/%d", found);
    const int result = connect_near(fd, way);
    cano_os_close(found);
    return result;
}

/* The folder of path with another name in it. */
static void beside(const char *path, const char *prefix, const char *name, char side[SIDE_MOST])
{
    const char *slash = strrchr(path, '/');
    const int folder = slash == NULL ? 0 : (int)(slash + 1 - path);
    snprintf(side, SIDE_MOST, "%.*s%s%s", folder, path, prefix, name);
}

static int open_folder(const char *path)
{
    char folder[SIDE_MOST];
    beside(path, ".", "", folder);
    return open(folder, FIND_ONLY | O_DIRECTORY);
}

static int bind_near(int fd, const char *path)
{
    const struct sockaddr_un address = address_of(path);
    return bind(fd, (const struct sockaddr *)&address, sizeof address);
}

/* Under a short name first, which is nobody else's while we hold the lock with that number; what a death left there goes. */
static int bind_far(int fd, const char *path, ino_t number)
{
    const int folder = open_folder(path);
    if (folder < 0) {
        return -1;
    }
    char way[96];
    const int front = snprintf(way, sizeof way, "/proc/self/fd/%d/", folder);
    snprintf(way + front, sizeof way - front, ".bind.%llx", (unsigned long long)number);
    unlinkat(folder, way + front, 0);
    int result = bind_near(fd, way);
    if (result == 0) {
        result = linkat(folder, way + front, AT_FDCWD, path, 0);
        const int error = errno;
        unlinkat(folder, way + front, 0);
        errno = error;
    }
    cano_os_close(folder);
    return result;
}

/* ---- one process at a time changes who listens at a path: a lock file beside it, there only while somebody is at it ---- */

static void lock_name(const char *path, char lock[SIDE_MOST])
{
    const char *slash = strrchr(path, '/');
    beside(path, ".lock.", slash == NULL ? path : slash + 1, lock);
}

static mode_t mode_of(uint32_t access)
{
    static const mode_t modes[] = { 0600, 0660, 0666 };
    return modes[access < 3 ? access : 0];
}

/* Creating and opening are two steps: the system may refuse to "create" another user's file in a common folder. */
static int open_lock(const char *lock, uint32_t access)
{
    for (;;) {
        int fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            fchmod(fd, mode_of(access)); /* umask or not; should it fail, others are refused, and nothing worse */
            return fd;
        }
        if (errno != EEXIST) {
            return -1;
        }
        fd = open(lock, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT) {
            return fd;
        }
    }
}

/* flock, not fcntl: known to every POSIX system, and not dropped by the close of another descriptor. */
static int lock_until(int fd, int64_t deadline)
{
    int result;
    while ((result = flock(fd, LOCK_EX | LOCK_NB)) != 0 && (errno == EINTR || errno == EWOULDBLOCK)) {
        if (cano_os_now() >= deadline) {
            errno = EEXIST; /* whoever has the lock that long has the path */
            return -1;
        }
        cano_os_poll(NULL, 0, cano_os_now() + LOCK_PAUSE);
    }
    return result;
}

/* -1, or a descriptor that holds the lock of path. */
static int lock_path(const char *path, uint32_t access)
{
    char lock[SIDE_MOST];
    lock_name(path, lock);
    const int64_t deadline = cano_os_now() + LOCK_PATIENCE;
    for (;;) {
        const int fd = open_lock(lock, access);
        if (fd < 0) {
            return -1;
        }
        struct stat status;
        if (lock_until(fd, deadline) != 0 || fstat(fd, &status) != 0) {
            cano_os_close(fd);
            return -1;
        }
        if (status.st_nlink > 0) {
            return fd;
        }
        cano_os_close(fd); /* removed by the one before us: no longer the lock that others see */
    }
}

static void unlock_path(const char *path, int fd)
{
    const int error = errno;
    char lock[SIDE_MOST];
    lock_name(path, lock);
    unlink(lock);
    flock(fd, LOCK_UN); /* a child forked meanwhile may hold a copy of fd */
    cano_os_close(fd);
    errno = error;
}

/* ---- listen ---- */

/* Is nobody at the path, or somebody who is dead? Their socket goes. */
static cano_status clear_path(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return errno == ENOENT ? CANO_OK : cano_posix_failed(errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return cano_os_fail(EEXIST, CANO_EEXIST);
    }
    cano_os_stream probe;
    const cano_status answer = cano_os_stream_connect(&probe, path);
    if (answer == CANO_ENOENT) {
        return unlink(path) == 0 || errno == ENOENT ? CANO_OK : cano_posix_failed(errno);
    }
    if (answer == CANO_OK) {
        cano_os_stream_close(&probe, true);
    }
    const bool taken = answer == CANO_OK || answer == CANO_ETIMEOUT || answer == CANO_EACCES || answer == CANO_EKIND;
    return taken ? cano_os_fail(EADDRINUSE, CANO_EEXIST) : answer;
}

static cano_status bind_at(int fd, const char *path, int lock)
{
    struct stat status;
    if (fstat(lock, &status) == 0 && (fits(path) ? bind_near(fd, path) : bind_far(fd, path, status.st_ino)) == 0) {
        return CANO_OK;
    }
    return errno == EADDRINUSE ? cano_os_fail(errno, CANO_EEXIST) : cano_posix_failed(errno);
}

/* Before listen nobody can connect, so the mode is right in time. */
static cano_status open_doors(int fd, listening *self)
{
    struct stat status;
    if (chmod(self->path, mode_of(self->access)) != 0 || lstat(self->path, &status) != 0 || listen(fd, BACKLOG) != 0) {
        const cano_status failed = cano_posix_failed(errno);
        unlink(self->path);
        return failed;
    }
    self->device = status.st_dev;
    self->inode = status.st_ino;
    return CANO_OK;
}

static cano_status take_path(int fd, listening *self)
{
    const int lock = lock_path(self->path, self->access);
    if (lock < 0) {
        return cano_posix_failed(errno);
    }
    cano_status status = clear_path(self->path);
    if (status == CANO_OK) {
        status = bind_at(fd, self->path, lock);
    }
    if (status == CANO_OK) {
        status = open_doors(fd, self);
    }
    unlock_path(self->path, lock);
    return status;
}

cano_status cano_os_stream_listen(cano_os_stream *stream, const char *path, uint32_t access)
{
    if (strlen(path) >= CANO_OS_PATH_MAX || access > 2) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    listening *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return cano_os_fail(ENOMEM, CANO_ENOMEM);
    }
    strcpy(self->path, path);
    self->access = access;
    const int fd = new_socket();
    const cano_status status = fd < 0 ? cano_posix_failed(errno) : take_path(fd, self);
    if (status != CANO_OK) {
        cano_os_close(fd);
        free(self);
        return status;
    }
    give(stream, fd, self);
    return CANO_OK;
}

/* Should the lock not be had, the path is ours all the same: a living listener is never robbed, and we live. */
static void leave_path(const listening *self)
{
    const int lock = lock_path(self->path, self->access);
    struct stat status;
    if (lstat(self->path, &status) == 0 && status.st_ino == self->inode && status.st_dev == self->device) {
        unlink(self->path);
    }
    if (lock >= 0) {
        unlock_path(self->path, lock);
    }
}

/* ---- accept, connect ---- */

cano_status cano_os_stream_accept(cano_os_stream *listener, cano_os_stream *stream)
{
    int fd;
    do {
        fd = new_caller((int)listener->handle);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        return cano_posix_failed(errno);
    }
    give(stream, fd, NULL);
    return CANO_OK;
}

static cano_status fail_to_connect(int error, const char *path)
{
    struct stat status;
    switch (error) {
    case ECONNREFUSED: /* said of everything that has no listener behind it */
        return cano_os_fail(error, stat(path, &status) == 0 && !S_ISSOCK(status.st_mode) ? CANO_EKIND : CANO_ENOENT);
    case ENOENT:
    case ENOTDIR:
        return cano_os_fail(error, CANO_ENOENT);
    case ENOTSOCK:
    case EPROTOTYPE:
        return cano_os_fail(error, CANO_EKIND);
    default: /* EAGAIN: its backlog is full */
        return cano_posix_failed(error);
    }
}

static int connect_to(int fd, const char *path)
{
    return fits(path) ? connect_near(fd, path) : connect_far(fd, path);
}

/* A datagram socket gets no connection to one for streams, and is told so only if that one is alive. */
cano_status cano_os_stream_probe(const char *path)
{
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) {
        return cano_posix_failed(errno);
    }
    const int error = connect_to(fd, path) == 0 ? 0 : errno;
    cano_os_close(fd);
    if (error == EPROTOTYPE) {
        return CANO_OK;
    }
    return error == 0 ? cano_os_fail(0, CANO_EKIND) : fail_to_connect(error, path);
}

cano_status cano_os_stream_connect(cano_os_stream *stream, const char *path)
{
    const int fd = new_socket();
    if (fd < 0) {
        return cano_posix_failed(errno);
    }
    if (connect_to(fd, path) != 0) {
        const int error = errno;
        cano_os_close(fd);
        return fail_to_connect(error, path);
    }
    give(stream, fd, NULL);
    return CANO_OK;
}

/* ---- write ---- */

static void pack_handles(struct msghdr *message, control *room, const cano_os_handle *passed, size_t count)
{
    memset(room, 0, sizeof *room);
    message->msg_control = room->bytes;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++) {
        const int fd = (int)passed[i];
        memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
}

cano_status cano_os_stream_write(cano_os_stream *stream, const void *data, size_t size, const cano_os_handle *passed,
                                 size_t passed_count, size_t *written)
{
    if (passed_count > HANDLES_MOST || (passed_count > 0 && (size == 0 || passed == NULL))) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    control room;
    struct iovec bytes = { .iov_base = (void *)data, .iov_len = size };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
    if (passed_count > 0) {
        pack_handles(&message, &room, passed, passed_count);
    }
    ssize_t sent;
    do {
        sent = sendmsg((int)stream->handle, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return fail_to_move(errno);
    }
    *written = (size_t)sent;
    return CANO_OK;
}

/* ---- read ---- */

/* How many came: at most HANDLES_MOST, there is no room for more. */
static size_t unpack_handles(struct msghdr *message, int fds[HANDLES_MOST])
{
    size_t count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            const size_t bytes = header->cmsg_len - CMSG_LEN(0);
            memcpy(fds + count, CMSG_DATA(header), bytes);
            count += bytes / sizeof(int);
        }
    }
    return count;
}

/* All that came, or none: descriptors ran out, or a peer that knows no limit sent more than anybody asked for. */
static cano_status take_handles(struct msghdr *message, cano_os_handle passed[HANDLES_MOST], size_t *passed_count)
{
    int fds[HANDLES_MOST];
    const size_t count = unpack_handles(message, fds);
    for (size_t i = 0; i < count; i++) {
#ifndef MSG_CMSG_CLOEXEC
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
#endif
        if ((message->msg_flags & MSG_CTRUNC) != 0) {
            cano_os_close(fds[i]);
        } else {
            passed[i] = fds[i];
        }
    }
    if ((message->msg_flags & MSG_CTRUNC) != 0) {
        return count == HANDLES_MOST ? cano_os_fail(EMSGSIZE, CANO_ECORRUPT) : cano_os_fail(EMFILE, CANO_ELIMIT);
    }
    *passed_count = count;
    return CANO_OK;
}

#ifdef MSG_CMSG_CLOEXEC
#define READ_FLAGS (MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
#else
#define READ_FLAGS MSG_DONTWAIT
#endif

static ssize_t receive(int fd, struct msghdr *message, int flags)
{
    ssize_t received;
    do {
        received = recvmsg(fd, message, READ_FLAGS | flags);
    } while (received < 0 && errno == EINTR);
    return received;
}

/* Is there room for the handles? Linux gives copies of them to one who peeks, perhaps also of those behind; elsewhere that is
 * not sure. Without asking, what finds no descriptor would be lost. */
static cano_status try_handles(int fd, struct msghdr message)
{
#ifdef __linux__
    cano_os_handle copies[HANDLES_MOST];
    size_t count = 0;
    if (receive(fd, &message, MSG_PEEK) <= 0) {
        return CANO_OK; /* the read itself will tell */
    }
    const cano_status status = take_handles(&message, copies, &count);
    for (size_t i = 0; i < count; i++) {
        cano_os_close(copies[i]);
    }
    return status;
#else
    (void)fd;
    (void)message;
    return CANO_OK;
#endif
}

cano_status cano_os_stream_read(cano_os_stream *stream, void *data, size_t size, cano_os_handle passed[8], size_t *passed_count,
                                size_t *got)
{
    if (size == 0) {
        return cano_os_fail(0, CANO_EINVAL); /* nothing read and the end would look the same */
    }
    const bool taking = passed != NULL && passed_count != NULL; /* otherwise the system closes what comes */
    control room;
    struct iovec bytes = { .iov_base = data, .iov_len = size };
    struct msghdr message = { .msg_iov = &bytes,
                              .msg_iovlen = 1,
                              .msg_control = taking ? room.bytes : NULL,
                              .msg_controllen = taking ? sizeof room.bytes : 0 };
    cano_status status = taking ? try_handles((int)stream->handle, message) : CANO_OK;
    if (status != CANO_OK) {
        return status;
    }
    const ssize_t received = receive((int)stream->handle, &message, 0);
    if (received <= 0) {
        return received == 0 ? cano_os_fail(0, CANO_ECLOSED) : fail_to_move(errno);
    }
    status = taking ? take_handles(&message, passed, passed_count) : CANO_OK;
    if (status == CANO_OK) {
        *got = (size_t)received;
    }
    return status;
}

/* ---- peer, close ---- */

#ifdef CANO_HAS_PEERCRED
static int peer_of(int fd, int64_t *pid, int64_t *uid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return -1;
    }
    *pid = peer.pid;
    *uid = (int64_t)peer.uid;
    return 0;
}
#else
static int peer_of(int fd, int64_t *pid, int64_t *uid)
{
    uid_t user;
    gid_t group;
    if (getpeereid(fd, &user, &group) != 0) {
        return -1;
    }
    *pid = -1;
    *uid = (int64_t)user;
    return 0;
}
#endif

cano_status cano_os_stream_peer(cano_os_stream *stream, int64_t *pid, int64_t *uid, bool *same_user)
{
    if (peer_of((int)stream->handle, pid, uid) != 0) {
        return cano_posix_failed(errno);
    }
    *same_user = *uid == (int64_t)geteuid();
    return CANO_OK;
}

void cano_os_stream_end(cano_os_stream *stream)
{
    shutdown((int)stream->handle, SHUT_RDWR);
}

void cano_os_stream_close(cano_os_stream *stream, bool end)
{
    if (stream->handle == CANO_OS_NONE) {
        return;
    }
    if (end && stream->backend != NULL) {
        leave_path(stream->backend);
    }
    if (end) {
        cano_os_stream_end(stream);
    }
    cano_os_close(stream->handle);
    free(stream->backend);
    give(stream, -1, NULL);
}
