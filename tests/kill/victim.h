/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked process that prepares an operation unharmed, waits for its turn if it is told to, does it, and dies at a point of it
 * (points.h), or finishes and leaves without a word.
 */
#ifndef CANO_KILL_VICTIM_H
#define CANO_KILL_VICTIM_H

#include "operations.h"

#include <sys/types.h>

typedef struct victim {
    const operation *operation;
    operation_act act;
    pid_t pid;
    int turn;    /* a byte written here begins the operation; -1: it does not wait */
    bool stalls; /* it is stopped at its point, not killed */
} victim;

/* Name its messages: in the order in which the victims will have their turns. */
void victim_plan(victim *v, const operation *o, scene *s);

/* Start it. waits: it comes back when the victim has prepared itself, which then waits for its turn. */
void victim_start(victim *v, uint64_t point, bool waits);
void victim_go(victim *v);

/* It has stopped at its point; false: it came to its end. */
bool victim_stalls(const victim *v);

/* Wait for its end, whatever children it leaves included, and settle. True: it died, at its point. */
bool victim_end(victim *v);

/* It has come to its end by now, and is settled. */
bool victim_has_ended(victim *v);

#endif
