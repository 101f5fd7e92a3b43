/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that does one call after another as it is told, and answers with the status: so that a test can stop, kill and
 * continue it in between.
 */
#ifndef CANO_KILL_ACTOR_H
#define CANO_KILL_ACTOR_H

#include <cano/cano.h>
#include <sys/types.h>

#define ACTOR_SILENT (-1) /* no answer came in time: it waits, it is stopped, or it is dead */

typedef enum actor_line {
    ACTOR_OPEN, /* by the name; otherwise the inherited handle is used */
    ACTOR_LOCK, /* waits for ever */
    ACTOR_TRY_LOCK,
    ACTOR_UNLOCK,
    ACTOR_PUT,
    ACTOR_GET,  /* waits for ever */
    ACTOR_TAKE, /* does not wait */
    ACTOR_DONE,
    ACTOR_CLOSE,
    ACTOR_FORK, /* the child plays on, the parent pauses for ever; answers with the child's number modulo 256 */
    ACTOR_EXEC, /* becomes another program, that sleeps */
    ACTOR_LEAVE
} actor_line;

typedef struct actor {
    pid_t pid;
    int to, from;
} actor;

/* queue: to inherit, or NULL. alone: as the first process of a PID namespace of its own; false if the system forbids that. */
bool actor_start(actor *a, const char *name, cano_queue *queue, bool alone);

/* Say a line and wait for the answer for that many milliseconds; 0: do not wait. */
int actor_say(actor *a, actor_line line, int patience);

/* Wait for the answer to what was said before. */
int actor_answer(actor *a, int patience);

void actor_signal(const actor *a, int signal);

/* Kill it if it lives, and reap it. */
void actor_end(actor *a);

#endif
