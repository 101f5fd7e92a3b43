/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer is to the benchmark, and what a run tells it.
 *
 * Everything is measured between processes, which are forked: a peer is created in the parent, attached to in each process,
 * and used there. Whatever goes through a peer is written by the driver and checked by the driver, message by message.
 */
#ifndef BENCH_H
#define BENCH_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a peer can do. */
enum {
    BENCH_SLEEPS = 1, /* put and get sleep in the kernel while they have to wait: the peer's normal calls */
    BENCH_SPINS = 2,  /* they try again and again, with bench_relax in between */
    BENCH_PIPE = 4,   /* a conversation between two: both ends put and get. Otherwise a queue: putters and getters */
    BENCH_MANY = 8,   /* any number of putters and getters */
    BENCH_IN_PLACE = 16, /* written and read where it lies: compared with the machine's figure for that */
    BENCH_EXTRA = 32  /* a variant of another peer: only in the rows that are about it */
};

/* One run. */
typedef struct bench_shape {
    unsigned putters, getters;
    size_t size;     /* of every message */
    unsigned depth;  /* messages that shall fit */
    bool sleeps;     /* wait by sleeping, otherwise by spinning */
    char name[48];   /* used by no other run: for names, files, addresses */
} bench_shape;

typedef enum bench_side { BENCH_PUTTER = 0, BENCH_GETTER = 1 } bench_side;

typedef struct bench_peer {
    const char *name;
    unsigned can;
    size_t largest; /* message; 0: any */
    const char *note;

    void *(*create)(const bench_shape *shape); /* in the parent. No threads, no contexts: those do not live through a fork */
    void (*destroy)(void *thing);              /* in the parent, when all processes have gone */

    void *(*attach)(void *thing, bench_side side, unsigned number); /* in its process; getters first. Pipe: the side is the end */
    void (*detach)(void *handle); /* or NULL */

    void *(*room)(void *handle, size_t size); /* where to write the next message; NULL: into the driver's buffer */
    bool (*put)(void *handle, const void *data, size_t size); /* waits while it is full */
    bool (*flush)(void *handle); /* nothing more comes for now: what was collected goes out; or NULL */

    const void *(*get)(void *handle, void *buffer, size_t *size); /* waits for one; buffer has room; where it is, NULL: failed */
    void (*done)(void *handle); /* the message just got is done with; or NULL */
} bench_peer;

/* The lists end with an entry without a name. A peer whose library is not there is not built. */
extern const bench_peer *const bench_peers[];

/* ---- for peers ---- */

void *bench_shared_memory(size_t bytes); /* zeroed, shared with processes forked later */

extern unsigned bench_patience; /* looks before the processor is given away: few when processes outnumber cores */

/* One step of a spinning wait. */
static inline void bench_relax(unsigned *looks)
{
    if (++*looks < bench_patience) {
#if defined(CANO_HAS_X86_PAUSE)
        __builtin_ia32_pause();
#elif defined(CANO_HAS_ARM_YIELD)
        __asm__ volatile("yield");
#endif
    } else {
        sched_yield();
    }
}

#endif
