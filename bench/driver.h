/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runs: a stream of messages from putters to getters, and round trips between two.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "bench.h"
#include "rows.h"

#include <stdatomic.h>
#include <sys/types.h>

#define BENCH_SIDE_MAX 16 /* processes of one side */
#define BENCH_PACE 200.0  /* microseconds between two round trips of those who shall be found asleep */

typedef struct bench_plan {
    double window, warm; /* seconds */
    int repetitions;
    int again; /* more repetitions, when others disturbed */
    bool pin;
} bench_plan;

extern bench_plan plan;

/* Measure one shape with several peers, repetition by repetition in turns, so that what disturbs one disturbs all. One row is
 * added for each peer that can do it. */
void bench_flow(const char *test, const bench_peer *const *peers, size_t count, unsigned putters, unsigned getters, size_t size,
                bool sleeps);
void bench_trips(const char *test, const bench_peer *const *peers, size_t count, size_t size, bool sleeps);

/* What the machine can do at most. */
void bench_limits(void);

/* What calls cost as there is more work: cano alone. */
void bench_costs(void);
int bench_child(void); /* the process that it starts; its exit status */

/* ---- helpers ---- */

double bench_now(void); /* seconds */
void bench_sleep(double seconds);
bool bench_wait(double seconds, bool (*condition)(void *), void *context);
void bench_pin(int core);
int bench_cores(void);

/* Ticks of the finest clock that both cores agree on. */
uint64_t bench_ticks(void);
double bench_tick_ns(void);

/* One way of a cache line between the two cores just now, ns; 0: one core. */
double bench_line_ns(void);

/* Cores that others use, and what ours do. */
typedef struct bench_load {
    double at, busy, stolen, own;
    long sleeps;
} bench_load;

bench_load bench_load_now(void);
double bench_load_others(const bench_load *since, const bench_load *until);
double bench_load_own(const bench_load *since, const bench_load *until);

/* Fork a process that dies with this one. */
pid_t bench_fork(void);

/* Wait for processes to end by themselves; the others are killed. True: all ended well. */
bool bench_reap(const pid_t *processes, unsigned count, double seconds);

/* Sort, then the middle one. */
double bench_median(double *values, size_t count);

#endif
