/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX message queue, with its limits raised in an IPC namespace of our own where that is allowed. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

typedef struct user {
    mqd_t queue;
    bool sleeps;
} user;

static void raise_limit(const char *file, const char *limit)
{
    FILE *f = fopen(file, "w");
    if (f != NULL) {
        fputs(limit, f);
        fclose(f);
    }
}

static void raise_limits(void)
{
    static bool raised;
    const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
    if (!raised) {
        raised = true;
        setrlimit(RLIMIT_MSGQUEUE, &none);
        if (unshare(CLONE_NEWIPC) == 0) {
            raise_limit("/proc/sys/fs/mqueue/msg_max", "65536");
            raise_limit("/proc/sys/fs/mqueue/msgsize_max", "16777216");
        }
    }
}

static void queue_name(const bench_shape *shape, char name[64])
{
    snprintf(name, 64, "/%s", shape->name);
}

static void *create(const bench_shape *shape)
{
    char name[64];
    raise_limits();
    queue_name(shape, name);
    struct mq_attr attributes = { .mq_maxmsg = shape->depth, .mq_msgsize = (long)shape->size };
    mqd_t queue;
    while ((queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes)) == (mqd_t)-1
           && (errno == EMFILE || errno == EINVAL) && attributes.mq_maxmsg > 1) {
        attributes.mq_maxmsg -= (attributes.mq_maxmsg + 7) / 8; /* as deep as it may be */
    }
    if (queue == (mqd_t)-1) {
        return NULL;
    }
    mq_close(queue);
    bench_shape *copy = malloc(sizeof *copy);
    *copy = *shape;
    return copy;
}

static void destroy(void *thing)
{
    char name[64];
    queue_name(thing, name);
    mq_unlink(name);
    free(thing);
}

static void *attach(void *thing, bench_side side, unsigned number)
{
    const bench_shape *shape = thing;
    char name[64];
    (void)number;
    queue_name(shape, name);
    user *u = malloc(sizeof *u);
    u->sleeps = shape->sleeps;
    u->queue = mq_open(name, (side == BENCH_PUTTER ? O_WRONLY : O_RDONLY) | (u->sleeps ? 0 : O_NONBLOCK));
    return u->queue != (mqd_t)-1 ? u : NULL;
}

static void detach(void *handle)
{
    mq_close(((user *)handle)->queue);
    free(handle);
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
    while (mq_send(u->queue, data, size, 0) != 0) {
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
    ssize_t got;
    while ((got = mq_receive(u->queue, buffer, *size, NULL)) < 0) {
        if (!again(&looks)) {
            return NULL;
        }
    }
    *size = (size_t)got;
    return buffer;
}

const bench_peer peer_mq = { "POSIX mq", BENCH_SLEEPS | BENCH_SPINS | BENCH_MANY, 0, "", create, destroy, attach, detach, .put = put,
                             .get = get };
