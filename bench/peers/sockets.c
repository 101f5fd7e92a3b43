/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel offers: pairs of Unix sockets (stream, and packets as a queue), and pipe(2). */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (4 << 20)

typedef struct channel {
    int ends[2][2]; /* of each side: to read from, to write to */
    bool sleeps;
} channel;

typedef struct user {
    int read, write;
} user;

static channel *wire(int a_read, int a_write, int b_read, int b_write, bool sleeps)
{
    channel *c = malloc(sizeof *c);
    *c = (channel){ { { a_read, a_write }, { b_read, b_write } }, sleeps };
    for (int i = 0; !sleeps && i < 4; i++) {
        const int file = c->ends[i / 2][i % 2];
        fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
    }
    return c;
}

static void *create_pair(const bench_shape *shape, int type)
{
    int pair[2];
    if (socketpair(AF_UNIX, type, 0, pair) != 0) {
        return NULL;
    }
    const int buffer = shape->size * 2 + 65536 > BUFFER ? (int)shape->size * 2 + 65536 : BUFFER;
    for (int i = 0; i < 2 && (type != SOCK_STREAM || shape->size > 100000); i++) {
        setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    }
    return wire(pair[0], pair[0], pair[1], pair[1], shape->sleeps);
}

static void *create_stream(const bench_shape *shape)
{
    return create_pair(shape, SOCK_STREAM);
}

static void *create_packets(const bench_shape *shape)
{
    return create_pair(shape, SOCK_SEQPACKET);
}

static void *create_pipes(const bench_shape *shape)
{
    int there[2], back[2];
    if (pipe(there) != 0 || pipe(back) != 0) {
        return NULL;
    }
    if (shape->size > 65536) {
        fcntl(there[1], F_SETPIPE_SZ, 1 << 20);
        fcntl(back[1], F_SETPIPE_SZ, 1 << 20);
    }
    return wire(back[0], there[1], there[0], back[1], shape->sleeps);
}

static void destroy(void *thing)
{
    channel *c = thing;
    for (int side = 0; side < 2; side++) {
        close(c->ends[side][0]);
        if (c->ends[side][1] != c->ends[side][0]) {
            close(c->ends[side][1]);
        }
    }
    free(c);
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    const channel *c = thing;
    user *u = malloc(sizeof *u);
    (void)number;
    *u = (user){ c->ends[side][0], c->ends[side][1] };
    return u;
}

static bool again(unsigned *looks)
{
    const bool is_full = errno == EAGAIN || errno == ENOBUFS;
    if (is_full) {
        bench_relax(looks);
    }
    return is_full || errno == EINTR;
}

/* A stream may take a part; packets are taken whole. */
static bool put(void *handle, const void *data, size_t size)
{
    const user *u = handle;
    unsigned looks = 0;
    for (size_t done = 0; done < size;) {
        const ssize_t written = write(u->write, (const char *)data + done, size - done);
        if (written > 0) {
            done += (size_t)written;
        } else if (!again(&looks)) {
            return false;
        }
    }
    return true;
}

static const void *get(void *handle, void *buffer, size_t *size)
{
    const user *u = handle;
    unsigned looks = 0;
    for (size_t done = 0; done < *size;) {
        const ssize_t got = read(u->read, (char *)buffer + done, *size - done);
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0 || !again(&looks)) {
            return NULL;
        }
    }
    return buffer;
}

#define BOTH (BENCH_SLEEPS | BENCH_SPINS)
#define REST destroy, attach, .put = put, .get = get
const bench_peer peer_packets = { "Unix seqpacket", BOTH, 0, "", create_packets, REST };
const bench_peer peer_socketpair = { "socketpair stream", BOTH | BENCH_PIPE, 0, "", create_stream, REST };
const bench_peer peer_pipes = { "pipe(2)", BOTH | BENCH_PIPE, 0, "", create_pipes, REST };
