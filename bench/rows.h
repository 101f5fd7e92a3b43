/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was measured: rows, and how they are shown.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct bench_row {
    char test[24]; /* see main.c */
    char peer[64];
    char mode[8];  /* sleep, spin or - */
    unsigned putters, getters;
    size_t size;
    double rate, rate_low, rate_high;    /* messages a second: median, lowest, highest; 0: not measured */
    double rate_calm;    /* in the calmest stretch of 8 depths of the queue; 0: not measured */
    double least, p50, p99, p999;        /* nanoseconds one way; 0: not measured */
    double cores;  /* that the peer's processes used */
    double sleeps; /* voluntary context switches per 1000 messages */
    double others; /* cores that everybody else used meanwhile; a stolen core counts */
    double line;   /* a cache line from core to core just before, ns */
    uint64_t bad, lost; /* messages with wrong content or in wrong order; sent and not received */
    char note[96];
} bench_row;

/* From then on a figure is marked as noisy: others used more than this many cores. */
#define BENCH_NOISY 0.12

void bench_row_add(const bench_row *row);
bench_row *bench_row_find(const char *test, const char *peer, const char *mode, unsigned putters, unsigned getters, size_t size);
size_t bench_row_count(void);
bench_row *bench_row_at(size_t i);

/* Add the rows of a file as bench_rows_tsv writes it. False: it cannot be read. */
bool bench_rows_read(const char *path);

void bench_rows_tsv(FILE *file);
void bench_rows_json(FILE *file);
extern bool bench_rows_show_calm; /* tables show the calmest stretches */
void bench_rows_tables(FILE *file); /* for people, as Markdown that can be read as it is */

#endif
