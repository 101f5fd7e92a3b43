/* SPDX-License-Identifier: Apache-2.0 */
/* nng over ipc: push and pull as a queue, every getter listens, every putter dials all of them; pair as a pipe. */
#include "bench.h"

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIALS 400 /* tries of 5 ms to reach one who is about to listen */

typedef struct user {
    nng_socket socket;
    int flags;
} user;

static void address(const bench_shape *shape, unsigned number, char text[96])
{
    snprintf(text, 96, "ipc:///tmp/%s.%u.nng", shape->name, number);
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

static user *open_socket(const bench_shape *shape, int (*open)(nng_socket *))
{
    user *u = malloc(sizeof *u);
    if (open(&u->socket) != 0) {
        return NULL;
    }
    u->flags = shape->sleeps ? 0 : NNG_FLAG_NONBLOCK;
    nng_socket_set_size(u->socket, NNG_OPT_RECVMAXSZ, 0);
    nng_socket_set_int(u->socket, NNG_OPT_SENDBUF, (int)shape->depth);
    nng_socket_set_int(u->socket, NNG_OPT_RECVBUF, (int)shape->depth);
    return u;
}

static bool dial(user *u, const bench_shape *shape, unsigned number)
{
    char text[96];
    address(shape, number, text);
    for (int i = 0; i < DIALS; i++) {
        if (nng_dial(u->socket, text, NULL, 0) == 0) {
            return true;
        }
        usleep(5000);
    }
    return false;
}

static user *listen_at(user *u, const bench_shape *shape, unsigned number)
{
    char text[96];
    address(shape, number, text);
    return nng_listen(u->socket, text, NULL, 0) == 0 ? u : NULL;
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    const bench_shape *shape = thing;
    user *u = open_socket(shape, side == BENCH_PUTTER ? nng_push0_open : nng_pull0_open);
    if (u == NULL || side == BENCH_GETTER) {
        return u != NULL ? listen_at(u, shape, number) : NULL;
    }
    for (unsigned i = 0; i < shape->getters; i++) {
        if (!dial(u, shape, i)) {
            return NULL;
        }
    }
    return u;
}

static void *attach_pair(void *thing, bench_side side, unsigned number)
{
    user *u = open_socket(thing, nng_pair0_open);
    if (u == NULL || side == BENCH_GETTER) {
        return u != NULL ? listen_at(u, thing, number) : NULL;
    }
    return dial(u, thing, number) ? u : NULL;
}

static void detach(void *handle)
{
    user *u = handle;
    usleep(50000); /* there is no other way to have everything sent */
    nng_close(u->socket);
    free(u);
}

static bool put(void *handle, const void *data, size_t size)
{
    const user *u = handle;
    unsigned looks = 0;
    int error;
    while ((error = nng_send(u->socket, (void *)(uintptr_t)data, size, u->flags)) == NNG_EAGAIN) {
        bench_relax(&looks);
    }
    return error == 0;
}

static const void *get(void *handle, void *buffer, size_t *size)
{
    const user *u = handle;
    const size_t capacity = *size;
    unsigned looks = 0;
    int error;
    while ((error = nng_recv(u->socket, buffer, size, u->flags)) == NNG_EAGAIN) {
        bench_relax(&looks);
        *size = capacity;
    }
    return error == 0 ? buffer : NULL;
}

#define BOTH (BENCH_SLEEPS | BENCH_SPINS)
const bench_peer peer_nng = { "nng ipc", BOTH | BENCH_MANY, 0, "", create, destroy, attach, detach, .put = put, .get = get };
const bench_peer peer_nng_pair = { "nng pair", BOTH | BENCH_PIPE, 0, "", create, destroy, attach_pair, detach, .put = put,
                                   .get = get };
