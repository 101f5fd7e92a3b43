/* SPDX-License-Identifier: Apache-2.0 */
/* ZeroMQ over ipc: every getter binds, every putter connects to all of them; PAIR as a pipe. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

typedef struct user {
    void *context, *socket;
    int flags;
} user;

static void address(const bench_shape *shape, unsigned number, char text[96])
{
    snprintf(text, 96, "ipc:///tmp/%s.%u.zmq", shape->name, number);
}

static void *create(const bench_shape *shape)
{
    bench_shape *copy = malloc(sizeof *copy);
    *copy = *shape;
    return copy;
}

static void destroy(void *thing)
{
    const bench_shape *shape = thing;
    for (unsigned i = 0; i < shape->getters; i++) {
        char text[96];
        address(shape, i, text);
        unlink(text + sizeof "ipc://" - 1);
    }
    free(thing);
}

static user *open_socket(const bench_shape *shape, int type)
{
    user *u = malloc(sizeof *u);
    const int depth = (int)shape->depth;
    const int linger = 300;
    u->context = zmq_ctx_new();
    u->socket = zmq_socket(u->context, type);
    u->flags = shape->sleeps ? 0 : ZMQ_DONTWAIT;
    zmq_setsockopt(u->socket, ZMQ_SNDHWM, &depth, sizeof depth);
    zmq_setsockopt(u->socket, ZMQ_RCVHWM, &depth, sizeof depth);
    zmq_setsockopt(u->socket, ZMQ_LINGER, &linger, sizeof linger);
    return u;
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    const bench_shape *shape = thing;
    user *u = open_socket(shape, side == BENCH_PUTTER ? ZMQ_PUSH : ZMQ_PULL);
    char text[96];
    if (side == BENCH_GETTER) {
        address(shape, number, text);
        return zmq_bind(u->socket, text) == 0 ? u : NULL;
    }
    for (unsigned i = 0; i < shape->getters; i++) {
        address(shape, i, text);
        if (zmq_connect(u->socket, text) != 0) {
            return NULL;
        }
    }
    return u;
}

static void *attach_pair(void *thing, bench_side side, unsigned number)
{
    user *u = open_socket(thing, ZMQ_PAIR);
    char text[96];
    address(thing, number, text);
    return (side == BENCH_GETTER ? zmq_bind : zmq_connect)(u->socket, text) == 0 ? u : NULL;
}

static void detach(void *handle)
{
    user *u = handle;
    zmq_close(u->socket);
    zmq_ctx_term(u->context);
    free(u);
}

static bool again(unsigned *looks)
{
    if (errno == EAGAIN) {
        bench_relax(looks);
    }
    return errno == EAGAIN || errno == EINTR;
}

static bool put(void *handle, const void *data, size_t size)
{
    const user *u = handle;
    unsigned looks = 0;
    while (zmq_send(u->socket, data, size, u->flags) < 0) {
        if (!again(&looks)) {
            return false;
        }
    }
    return true;
}

static const void *get(void *handle, void *buffer, size_t *size)
{
    const user *u = handle;
    unsigned looks = 0;
    int got;
    while ((got = zmq_recv(u->socket, buffer, *size, u->flags)) < 0) {
        if (!again(&looks)) {
            return NULL;
        }
    }
    *size = (size_t)got;
    return buffer;
}

#define BOTH (BENCH_SLEEPS | BENCH_SPINS)
const bench_peer peer_zmq = { "ZeroMQ ipc", BOTH | BENCH_MANY, 0, "", create, destroy, attach, detach, .put = put, .get = get };
const bench_peer peer_zmq_pair = { "ZeroMQ pair", BOTH | BENCH_PIPE, 0, "", create, destroy, attach_pair, detach, .put = put,
                                   .get = get };
