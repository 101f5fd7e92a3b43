/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a victim does when it dies: one operation of the library each, what it needs beforehand, and what its death or success
 * means for the messages of the scene.
 */
#ifndef CANO_KILL_OPERATIONS_H
#define CANO_KILL_OPERATIONS_H

#include "scene.h"

/* What a victim tells, in memory shared with the survivor. */
typedef struct operation_report {
    uint64_t points;      /* passed, if it finished */
    cano_status prepared; /* how its preparation went */
    cano_status result;   /* how the operation went, if it finished */
    bool is_ready;
    bool has_finished;
    int held[SCENE_IDS]; /* taken in the preparation */
    int held_count;
    int got[SCENE_IDS]; /* taken by the operation, if it finished */
    int got_count;
    cano_status puts[4]; /* of each message, where they are put one by one */
} operation_report;

/* One operation in one process. */
typedef struct operation_act {
    scene *scene;
    cano_queue *queue; /* in the victim: its handle */
    operation_report *report;
    int ids[4]; /* messages it will put */
    int id_count;
    cano_item items[SCENE_LEASES];
    void *memory;
    char other[56]; /* a name of its own */
} operation_act;

enum {
    ON_PLAIN = 1,
    ON_JOINABLE = 2,
    ON_BOTH = 3,
    NEEDS_NAME = 4,
    NEEDS_ITEMS = 8, /* a state in which something can be got */
    NEEDS_DEAD_LETTERS = 16,
    NEEDS_PUTTER = 32, /* a queue that ends with its last declared putter: the victim */
    IS_SHORT = 64,     /* worth dying at every single instruction */
    IS_SECOND = 128,   /* done by the next one, who may die as well */
    COMES_FRESH = 256  /* the victim attaches only by the operation itself */
};

typedef struct operation {
    const char *name;
    unsigned flags;
    void (*plan)(operation_act *a);              /* in the survivor, before: name the messages */
    cano_status (*prepare)(operation_act *a);    /* in the victim, unharmed */
    cano_status (*run)(operation_act *a);        /* in the victim, where it dies */
    void (*settle)(operation_act *a, bool died); /* in the survivor, afterwards: fates */
} operation;

extern const operation operations[];
extern const int operation_count;

/* The run of the one operation that leaves a child behind. */
cano_status operation_forks(operation_act *a);

/* In the survivor, when the victim is ready: what it has taken beforehand. */
void operation_prepared(operation_act *a);

/* Can this be done in that state of that kind of queue? */
bool operation_fits(const operation *o, const scene *s, scene_state state);

#endif
