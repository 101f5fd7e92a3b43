/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cano work: one dispatcher takes tasks and hands them to seats; a seat is a thread that runs the command for one task at a
 * time. The leases are this process's: if it is killed, all its tasks go to others.
 *
 *     cmd_work.c   options; the dispatcher
 *     work_seat.c  a seat: run, keep what is written, say how the task ended
 *     work_bar.c   how far it is
 */
#ifndef CANO_TOOL_WORK_H
#define CANO_TOOL_WORK_H

#include "job.h"
#include "screen.h"
#include "tool.h"

#include <apr_thread_cond.h>
#include <apr_thread_proc.h>

typedef struct work_counts {
    uint64_t done;
    uint64_t retried;
    uint64_t dead;
} work_counts;

typedef struct work_options {
    uint64_t seats;
    uint32_t tries;     /* deliveries after which a failing task is a dead letter */
    int64_t timeout;    /* of a command, in microseconds; 0: none */
    cano_timeout delay; /* before a failed task is tried again */
    bool follow;
    bool stream; /* print lines as they come, also of commands that fail in the end */
    bool quiet;
    const char **argv;
    int argc;
} work_options;

typedef struct work_seat work_seat;

typedef struct work {
    tool *t;
    const char *name;
    const char *grave;
    cano_queue *queue;
    cano_queue_options limits;
    work_options options;
    screen screen;
    apr_thread_mutex_t *mutex; /* guards what follows, and the seats' jobs and tasks */
    apr_thread_cond_t *changed;
    work_seat *seats;
    uint64_t busy;
    work_counts counts;
    bool closing;    /* seats go home */
    bool aborting;   /* what runs was killed: its tasks are given back as they are */
    char fatal[300]; /* why it cannot go on; empty: it can */
} work;

/* What runs, as seen by the dispatcher; fields are the seat's. */
struct work_seat {
    work *work;
    apr_thread_t *thread;
    apr_pool_t *pool; /* of one task */
    bool busy;
    bool timed_out;
    cano_item item;
    job *job; /* NULL: none runs */
    int64_t started;
};

/* It cannot go on: why. The first reason stays. */
void work_set_fatal(work *w, const char *format, ...) TOOL_FORMAT(2, 3);

apr_status_t work_seat_open(work_seat *seat, work *w);
void work_seat_close(work_seat *seat);

/* Under the mutex, to a seat that is not busy. */
void work_seat_give(work_seat *seat, const cano_item *item);

/* Under the mutex: end commands that run for too long, or all. */
void work_seats_kill(work *w, bool all);

typedef struct work_bar {
    uint64_t done_before; /* in the queue when we began */
    uint64_t last_done;
    int64_t last_at;
    double rate; /* tasks per second, smoothed */
    bool begun;
} work_bar;

void work_bar_draw(work_bar *bar, work *w);

#endif
