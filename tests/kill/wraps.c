/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls and copies of the library, by the linker's --wrap, as points to die at (points.h): one in front and one
 * behind each call, and several within a copy, so that it is seen half done.
 */
#include "points.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PIECES 4

/* type name(parameters) -> __real_name(arguments), a point on either side */
#define WRAP(type, name, parameters, arguments)                                                                                \
    type __real_##name parameters;                                                                                             \
    type __wrap_##name parameters;                                                                                             \
    type __wrap_##name parameters                                                                                              \
    {                                                                                                                          \
        points_pass();                                                                                                         \
        const type result = __real_##name arguments;                                                                           \
        points_pass();                                                                                                         \
        return result;                                                                                                         \
    }

WRAP(int, close, (int descriptor), (descriptor))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, linkat, (int from_at, const char *from, int to_at, const char *to, int flags), (from_at, from, to_at, to, flags))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(int, fchmod, (int descriptor, mode_t mode), (descriptor, mode))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, posix_fallocate, (int descriptor, off_t from, off_t size), (descriptor, from, size))
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, socketpair, (int domain, int type, int protocol, int pair[2]), (domain, type, protocol, pair))
WRAP(int, bind, (int descriptor, const struct sockaddr *name, socklen_t size), (descriptor, name, size))
WRAP(int, connect, (int descriptor, const struct sockaddr *name, socklen_t size), (descriptor, name, size))
WRAP(int, shutdown, (int descriptor, int how), (descriptor, how))
WRAP(ssize_t, send, (int descriptor, const void *data, size_t size, int flags), (descriptor, data, size, flags))
WRAP(ssize_t, sendmsg, (int descriptor, const struct msghdr *message, int flags), (descriptor, message, flags))
WRAP(ssize_t, recv, (int descriptor, void *data, size_t size, int flags), (descriptor, data, size, flags))
WRAP(ssize_t, recvmsg, (int descriptor, struct msghdr *message, int flags), (descriptor, message, flags))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_ctl, (int epoll, int what, int descriptor, struct epoll_event *event), (epoll, what, descriptor, event))
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(int, timerfd_settime, (int timer, int flags, const struct itimerspec *when, struct itimerspec *old),
     (timer, flags, when, old))

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    points_pass();
    const int descriptor = __real_open(path, flags, mode);
    points_pass();
    return descriptor;
}

/* Questions about locks change nothing: no points. */
int __real_fcntl(int descriptor, int command, void *argument);
int __wrap_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...)
{
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    if (command == F_OFD_GETLK) {
        return __real_fcntl(descriptor, command, argument);
    }
    points_pass();
    const int result = __real_fcntl(descriptor, command, argument);
    points_pass();
    return result;
}

/* The library's only direct system call is the futex. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    points_pass();
    const long result = __real_syscall(number, a, b, c, d, e, f);
    points_pass();
    return result;
}

void *__real_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    points_pass();
    void *base = __real_mmap(address, size, protection, flags, descriptor, offset);
    if (base != MAP_FAILED && (flags & MAP_SHARED) != 0) {
        points_mapped(base, size);
    }
    points_pass();
    return base;
}

int __real_munmap(void *base, size_t size);
int __wrap_munmap(void *base, size_t size);
int __wrap_munmap(void *base, size_t size)
{
    points_pass();
    points_unmapped(base);
    const int result = __real_munmap(base, size);
    points_pass();
    return result;
}

/* A copy into shared memory comes in pieces: any part of it may be there when its maker dies. */
void *__real_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size)
{
    if (!points_is_shared(to)) {
        return __real_memcpy(to, from, size);
    }
    const size_t step = size / PIECES + 1;
    for (size_t at = 0; at < size; at += step) {
        points_pass();
        __real_memcpy((char *)to + at, (const char *)from + at, size - at < step ? size - at : step);
    }
    return to;
}
