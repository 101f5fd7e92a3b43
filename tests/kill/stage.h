/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the storm's processes share beside the queue: who plays which part, what each is doing now, and what has been counted.
 *
 * A worker says before each call which one it is and since when, so that the director sees a call that does not come back, and
 * how many messages its death would take along (plain queues: what a get has taken and not yet noted is gone with it).
 */
#ifndef CANO_KILL_STAGE_H
#define CANO_KILL_STAGE_H

#include "oracle.h"

#include <cano/cano.h>
#include <stdatomic.h>
#include <sys/types.h>

#define STAGE_WORKERS 8
#define STAGE_GUESTS 8 /* children that workers fork */
#define STAGE_PARTS (STAGE_WORKERS + STAGE_GUESTS)

typedef enum stage_role {
    PUTTER,
    GETTER,
    LOCKER,
    JOINER,
    UNDERTAKER
} stage_role;
typedef enum stage_phase {
    PLAY,
    DRAIN,
    END
} stage_phase;

typedef struct stage_part {
    _Atomic pid_t pid; /* 0: nobody; negative: being forked, by that process */
    _Atomic int role;
    _Atomic(const char *) call;   /* of the library, in progress; NULL: none */
    _Atomic int64_t since;        /* when it began */
    _Atomic uint32_t in_hand;     /* messages that a death now may take along */
    _Atomic uint32_t incarnation; /* how often the part was filled */
} stage_part;

typedef struct stage {
    uint64_t seed;
    bool joinable;
    bool named;
    bool dead_letters; /* max_deliveries is set */
    char name[64];
    _Atomic int phase;
    _Atomic bool discards; /* shut down at once: join does not wait for what is discarded */
    stage_part parts[STAGE_PARTS];
    _Atomic uint64_t calls;
    _Atomic uint64_t got;
    _Atomic uint64_t unexpected; /* statuses that no caller should see */
    _Atomic uint64_t redone;     /* handed out after it was done */
    _Atomic uint64_t disorder;   /* messages of one putter overtook each other */
    _Atomic uint64_t intruded;   /* somebody changed the queue while another held lock() */
    _Atomic uint64_t early;      /* join returned before all was done */
    _Atomic uint64_t late;       /* calls that came back long after their time-out */
    _Atomic uint64_t forks;
    _Atomic uint64_t reopened;
    _Atomic uint64_t leaving; /* ended on purpose, without close */
    _Atomic int64_t longest;  /* call, in microseconds */
    _Atomic(const char *) longest_call;
} stage;

int64_t stage_now(void); /* monotonic microseconds */

/* The body of a process in that part; never returns. queue: the director's handle, inherited. */
_Noreturn void worker_run(stage *s, oracle *o, cano_queue *queue, int part);

#endif
