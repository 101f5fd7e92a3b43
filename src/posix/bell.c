/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bell is a datagram socket with a name; ringing sends a byte. A full socket has been rung already. Anybody who reaches the
 * directory may ring: that costs the owner a look at his queue.
 */
#include "bells.h"
#include "errors.h"
#include "os.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_MOST 60
#define FILE_MOST (CANO_OS_PATH_MAX + NAME_MOST + 8)
#define DRAIN_MOST 4096 /* datagrams: a socket holds fewer, so who meets this is being rung all the time */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE does it there */
#endif

typedef struct bell_address {
    struct sockaddr_un socket;
    char path[FILE_MOST];
    int directory; /* what the address leads through, or -1 */
} bell_address;

/* ---- sun_path holds about 108 bytes, a path may be longer ---- */

#ifdef O_PATH
/* Through the name that the system has for an open descriptor. */
static int shorten(bell_address *address, const char *directory, const char *name)
{
    address->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (address->directory < 0) {
        return errno;
    }
    snprintf(address->socket.sun_path, sizeof address->socket.sun_path, "/proc/self/fd/%d/.bell.%s", address->directory, name);
    return 0;
}
#else
/* By a shorter name, which everybody finds alike (FNV-1a of the name). */
static int shorten(bell_address *address, const char *directory, const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name != 0; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    }
    snprintf(address->path, sizeof address->path, "%s/.bell.%016" PRIx64, directory, hash);
    const size_t length = strlen(address->path);
    if (length >= sizeof address->socket.sun_path) {
        return ENAMETOOLONG;
    }
    memcpy(address->socket.sun_path, address->path, length + 1);
    return 0;
}
#endif

/* End with close_address, also after a failure. */
static cano_status find_address(const char *name, bell_address *address)
{
    *address = (bell_address){ .socket = { .sun_family = AF_UNIX }, .directory = -1 };
    char directory[CANO_OS_PATH_MAX];
    const cano_status status = cano_os_directory(directory, sizeof directory);
    if (status != CANO_OK || strlen(name) > NAME_MOST) {
        return status != CANO_OK ? status : cano_os_fail(ENAMETOOLONG, CANO_EINVAL);
    }
    snprintf(address->path, sizeof address->path, "%s/.bell.%s", directory, name);
    const size_t length = strlen(address->path);
    if (length < sizeof address->socket.sun_path) {
        memcpy(address->socket.sun_path, address->path, length + 1);
        return CANO_OK;
    }
    const int error = shorten(address, directory, name);
    return error == 0 ? CANO_OK : cano_posix_failed(error);
}

static void close_address(bell_address *address)
{
    if (address->directory >= 0) {
        const int error = errno;
        close(address->directory);
        errno = error;
    }
}

/* ---- sockets ---- */

/* Close-on-exec from birth, where that can be. Nonblocking: nobody waits for an owner who does not read. */
static int new_socket(void)
{
#ifdef SOCK_CLOEXEC
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    const int made = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (made >= 0) {
        fcntl(made, F_SETFD, FD_CLOEXEC);
        fcntl(made, F_SETFL, O_NONBLOCK);
#ifdef SO_NOSIGPIPE
        const int on = 1;
        setsockopt(made, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    }
    return made;
#endif
}

/* What lies there under this name is a dead owner's. */
static int bind_at(int socket, const bell_address *address)
{
    unlink(address->path);
    if (bind(socket, (const struct sockaddr *)&address->socket, sizeof address->socket) != 0) {
        return errno;
    }
    chmod(address->path, 0666); /* the directory says who gets here, not the umask */
    return 0;
}

static int connect_to(int socket, const bell_address *address)
{
    const int result = connect(socket, (const struct sockaddr *)&address->socket, sizeof address->socket);
    return result == 0 ? 0 : errno == ECONNREFUSED ? ENOENT : errno; /* a file without its owner */
}

/* A socket at the address, bound or connected. 0, or an errno. */
static int reach(const bell_address *address, bool owner, int *made)
{
    *made = new_socket();
    if (*made < 0) {
        return errno;
    }
    const int error = owner ? bind_at(*made, address) : connect_to(*made, address);
    if (error != 0) {
        close(*made);
    }
    return error;
}

/* ---- the bell ---- */

cano_status cano_os_bell_open(const char *name, bool owner, cano_os_handle *bell)
{
    bell_address address;
    cano_status status = find_address(name, &address);
    int made = -1;
    if (status == CANO_OK) {
        int error = reach(&address, owner, &made);
        if (error == 0 && owner) {
            error = cano_posix_bell_watch(made, &made);
            if (error != 0) {
                unlink(address.path);
            }
        }
        status = error == 0 ? CANO_OK : cano_posix_failed(error);
    }
    close_address(&address);
    if (status == CANO_OK) {
        *bell = made;
    }
    return status;
}

void cano_os_bell_ring(cano_os_handle ringer)
{
    send((int)ringer, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void cano_os_bell_clear(cano_os_handle owner)
{
    const int socket = cano_posix_bell_socket((int)owner);
    char byte;
    for (int i = 0; i < DRAIN_MOST && recv(socket, &byte, sizeof byte, MSG_DONTWAIT) >= 0; i++) {
    }
    cano_posix_bell_rearm((int)owner);
}

void cano_os_bell_close(cano_os_handle bell, const char *name)
{
    bell_address address;
    if (name != NULL) {
        if (find_address(name, &address) == CANO_OK) {
            unlink(address.path);
        }
        close_address(&address);
    }
    cano_posix_bell_let_go((int)bell);
}
