/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

bool bench_rows_show_calm;
static bench_row *rows;
static size_t count, capacity;

/* As much as there is room for. */
static void copy(char *to, size_t room, const char *from)
{
    const size_t length = strnlen(from, room - 1);
    memcpy(to, from, length);
    to[length] = 0;
}

void bench_row_add(const bench_row *row)
{
    if (count == capacity) {
        capacity = capacity != 0 ? capacity * 2 : 256;
        rows = realloc(rows, capacity * sizeof *rows);
        if (rows == NULL) {
            abort();
        }
    }
    rows[count++] = *row;
}

size_t bench_row_count(void)
{
    return count;
}

bench_row *bench_row_at(size_t i)
{
    return &rows[i];
}

bench_row *bench_row_find(const char *test, const char *peer, const char *mode, unsigned putters, unsigned getters, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        bench_row *r = &rows[i];
        if (strcmp(r->test, test) == 0 && strcmp(r->peer, peer) == 0 && (mode == NULL || strcmp(r->mode, mode) == 0)
            && (putters == 0 || r->putters == putters) && (getters == 0 || r->getters == getters)
            && (size == 0 || r->size == size)) {
            return r;
        }
    }
    return NULL;
}

/* ---- files ---- */

#define HEAD "test\tpeer\tmode\tputters\tgetters\tsize\tmessages_s\tlow\thigh\tcalm\tleast_ns\tp50_ns\tp99_ns\tp999_ns\tcores\t" \
             "sleeps_1000\tothers\tline_ns\tbad\tlost\tnote"

void bench_rows_tsv(FILE *file)
{
    fprintf(file, HEAD "\n");
    for (size_t i = 0; i < count; i++) {
        const bench_row *r = &rows[i];
        fprintf(file, "%s\t%s\t%s\t%u\t%u\t%zu\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.3f\t%.3f\t%.2f\t%.0f\t%llu\t%llu\t%s\n",
                r->test, r->peer, r->mode, r->putters, r->getters, r->size, r->rate, r->rate_low, r->rate_high, r->rate_calm, r->least, r->p50,
                r->p99, r->p999, r->cores, r->sleeps, r->others, r->line, (unsigned long long)r->bad,
                (unsigned long long)r->lost, r->note);
    }
}

void bench_rows_json(FILE *file)
{
    fprintf(file, "[\n");
    for (size_t i = 0; i < count; i++) {
        const bench_row *r = &rows[i];
        fprintf(file,
                "  {\"test\": \"%s\", \"peer\": \"%s\", \"mode\": \"%s\", \"putters\": %u, \"getters\": %u, \"size\": %zu, "
                "\"messages_s\": %.1f, \"low\": %.1f, \"high\": %.1f, \"calm\": %.1f, \"least_ns\": %.1f, \"p50_ns\": %.1f, \"p99_ns\": %.1f, "
                "\"p999_ns\": %.1f, \"cores\": %.3f, \"sleeps_1000\": %.3f, \"others\": %.2f, \"line_ns\": %.0f, \"bad\": %llu, "
                "\"lost\": %llu, \"note\": \"%s\"}%s\n",
                r->test, r->peer, r->mode, r->putters, r->getters, r->size, r->rate, r->rate_low, r->rate_high, r->rate_calm, r->least, r->p50,
                r->p99, r->p999, r->cores, r->sleeps, r->others, r->line, (unsigned long long)r->bad,
                (unsigned long long)r->lost, r->note, i + 1 < count ? "," : "");
    }
    fprintf(file, "]\n");
}

/* The next field of a line; "" behind the last. */
static char *field(char **rest)
{
    static char none[1];
    char *from = *rest;
    if (from == NULL) {
        return none;
    }
    char *tab = strchr(from, '\t');
    if (tab != NULL) {
        *tab++ = 0;
    }
    *rest = tab;
    return from;
}

static void read_row(char *line)
{
    bench_row r = { 0 };
    char *rest = line;
    copy(r.test, sizeof r.test, field(&rest));
    copy(r.peer, sizeof r.peer, field(&rest));
    copy(r.mode, sizeof r.mode, field(&rest));
    r.putters = (unsigned)strtoul(field(&rest), NULL, 10);
    r.getters = (unsigned)strtoul(field(&rest), NULL, 10);
    r.size = strtoul(field(&rest), NULL, 10);
    double *const numbers[] = { &r.rate, &r.rate_low, &r.rate_high, &r.rate_calm, &r.least, &r.p50, &r.p99,
                                &r.p999, &r.cores,    &r.sleeps,    &r.others, &r.line };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        *numbers[i] = strtod(field(&rest), NULL);
    }
    r.bad = strtoull(field(&rest), NULL, 10);
    r.lost = strtoull(field(&rest), NULL, 10);
    copy(r.note, sizeof r.note, field(&rest));
    bench_row_add(&r);
}

bool bench_rows_read(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    if (file == NULL) {
        return false;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "test\t", 5) != 0 && line[0] != 0) {
            read_row(line);
        }
    }
    fclose(file);
    return true;
}

/* ---- tables ---- */

#define CELL 32
#define NAME 80
#define COLUMNS_MAX 16
#define LINES_MAX 64

typedef struct table {
    char cells[LINES_MAX][COLUMNS_MAX][NAME];
    int lines, columns;
} table;

static void set(table *t, int line, int column, const char *text)
{
    copy(t->cells[line][column], sizeof t->cells[line][column], text);
    t->lines = line >= t->lines ? line + 1 : t->lines;
    t->columns = column >= t->columns ? column + 1 : t->columns;
}

static void print(FILE *file, const table *t)
{
    for (int line = 0; line < t->lines; line++) {
        for (int column = 0; column < t->columns; column++) {
            size_t width = 3;
            for (int i = 0; i < t->lines; i++) {
                const size_t length = strlen(t->cells[i][column]);
                width = length > width ? length : width;
            }
            fprintf(file, column == 0 ? "| %-*s |" : " %*s |", (int)width, t->cells[line][column]);
        }
        fprintf(file, "\n");
        for (int column = 0; line == 0 && column < t->columns; column++) {
            fprintf(file, column == 0 ? "|---|" : "--:|");
        }
        fprintf(file, line == 0 ? "\n" : "");
    }
    fprintf(file, "\n");
}

static const char *mark_of(const bench_row *r)
{
    return r->bad != 0 || r->lost != 0 ? "!" : r->others > BENCH_NOISY ? "~" : "";
}

static void show_rate(char cell[CELL], const bench_row *r)
{
    const double rate = bench_rows_show_calm && r->rate_calm != 0 ? r->rate_calm : r->rate;
    if (rate == 0) {
        snprintf(cell, CELL, "failed");
    } else if (r->size >= 65536) {
        snprintf(cell, CELL, "%.2f GB/s%s", rate * (double)r->size / 1e9, mark_of(r));
    } else if (rate >= 1e6) {
        snprintf(cell, CELL, "%.2f M%s", rate / 1e6, mark_of(r));
    } else {
        snprintf(cell, CELL, "%.1f k%s", rate / 1e3, mark_of(r));
    }
}

static void show_time(char cell[CELL], double ns)
{
    if (ns == 0) {
        snprintf(cell, CELL, "-");
    } else if (ns >= 1e6) {
        snprintf(cell, CELL, "%.2f ms", ns / 1e6);
    } else if (ns >= 1e4) {
        snprintf(cell, CELL, "%.1f us", ns / 1e3);
    } else {
        snprintf(cell, CELL, "%.0f ns", ns);
    }
}

static void show_size(char cell[CELL], size_t size)
{
    if (size >= 1 << 20) {
        snprintf(cell, CELL, "%zu MiB", size >> 20);
    } else if (size >= 1024) {
        snprintf(cell, CELL, "%zu KiB", size >> 10);
    } else {
        snprintf(cell, CELL, "%zu B", size);
    }
}

/* The line of a peer: the one that has its name, or a new one. */
static int line_of(table *t, const char *name)
{
    int line = 1;
    while (line < t->lines && strcmp(t->cells[line][0], name) != 0) {
        line++;
    }
    if (line < LINES_MAX) {
        set(t, line, 0, name);
    }
    return line;
}

/* The column of what is in the cell, or a new one. */
static int column_of(table *t, const char *head)
{
    int column = 1;
    while (column < t->columns && strcmp(t->cells[0][column], head) != 0) {
        column++;
    }
    if (column < COLUMNS_MAX) {
        set(t, 0, column, head);
    }
    return column;
}

/* "cano" by sleeping and by spinning are two lines, when there are both. */
static void name_of(char name[NAME], const bench_row *r)
{
    const bool both = bench_row_find(r->test, r->peer, "sleep", 0, 0, 0) != NULL
        && bench_row_find(r->test, r->peer, "spin", 0, 0, 0) != NULL;
    snprintf(name, NAME, "%s%s%s", r->peer, both ? ", by " : "",
             !both ? "" : strcmp(r->mode, "spin") == 0 ? "spinning" : "sleeping");
}

static void rates_table(FILE *file, const char *test, const char *title, bool by_processes)
{
    static table t;
    t = (table){ .columns = 1, .lines = 1 };
    set(&t, 0, 0, "messages/s");
    for (size_t i = 0; i < count; i++) {
        const bench_row *r = &rows[i];
        char name[NAME], head[NAME], size[CELL], cell[CELL];
        if (strcmp(r->test, test) != 0) {
            continue;
        }
        name_of(name, r);
        show_size(size, r->size);
        snprintf(head, sizeof head, "%s", size);
        if (by_processes) {
            snprintf(head, sizeof head, "%u to %u, %s", r->putters, r->getters, size);
        }
        show_rate(cell, r);
        const int line = line_of(&t, name);
        const int column = column_of(&t, head);
        if (line < LINES_MAX && column < COLUMNS_MAX) {
            set(&t, line, column, cell);
        }
    }
    if (t.lines > 1) {
        fprintf(file, "### %s\n\n", title);
        print(file, &t);
    }
}

static void times_table(FILE *file, const char *test, const char *title)
{
    static const char *const heads[] = { "one way", "least", "p50", "p99", "p99.9", "sleeps per trip", "cores" };
    static table t;
    t = (table){ .columns = 1, .lines = 1 };
    for (int i = 0; i < 7; i++) {
        set(&t, 0, i, heads[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const bench_row *r = &rows[i];
        if (strcmp(r->test, test) != 0 || t.lines >= LINES_MAX) {
            continue;
        }
        const int line = t.lines;
        const double times[] = { r->least, r->p50, r->p99, r->p999 };
        char cell[NAME];
        name_of(cell, r);
        snprintf(cell + strlen(cell), sizeof cell - strlen(cell), "%s", mark_of(r));
        set(&t, line, 0, cell);
        for (int j = 0; j < 4; j++) {
            show_time(cell, times[j]);
            set(&t, line, j + 1, cell);
        }
        snprintf(cell, sizeof cell, "%.2f", r->sleeps / 1000);
        set(&t, line, 5, cell);
        snprintf(cell, sizeof cell, "%.2f", r->cores);
        set(&t, line, 6, cell);
    }
    if (t.lines > 1) {
        fprintf(file, "### %s\n\n", title);
        print(file, &t);
    }
}

static void limits_table(FILE *file)
{
    static table t;
    t = (table){ .columns = 1, .lines = 1 };
    set(&t, 0, 0, "the machine");
    set(&t, 0, 1, "size");
    set(&t, 0, 2, "figure");
    for (size_t i = 0; i < count; i++) {
        const bench_row *r = &rows[i];
        char cell[CELL];
        if (strcmp(r->test, "limit") != 0 || t.lines >= LINES_MAX) {
            continue;
        }
        const int line = t.lines;
        set(&t, line, 0, r->peer);
        show_size(cell, r->size);
        set(&t, line, 1, cell);
        if (r->rate != 0) {
            show_rate(cell, r);
        } else {
            show_time(cell, r->p50);
        }
        set(&t, line, 2, cell);
    }
    if (t.lines > 1) {
        fprintf(file, "### What the machine can do\n\n");
        print(file, &t);
    }
}

/* A line for each cost; how much there was stands in front of the figure, since each has its own amounts. */
static void costs_table(FILE *file)
{
    static table t;
    int used[LINES_MAX] = { 0 };
    t = (table){ .columns = 1, .lines = 1 };
    set(&t, 0, 0, "one operation");
    for (size_t i = 0; i < count; i++) {
        const bench_row *r = &rows[i];
        char time[CELL], cell[NAME];
        if (strcmp(r->test, "cost") != 0) {
            continue;
        }
        const int line = line_of(&t, r->peer);
        if (line >= LINES_MAX || used[line] + 1 >= COLUMNS_MAX) {
            continue;
        }
        show_time(time, r->p50);
        snprintf(cell, sizeof cell, "%zu: %s", r->size, time);
        set(&t, line, ++used[line], cell);
    }
    if (t.lines > 1) {
        fprintf(file, "### Cost as there is more of it\n\n");
        print(file, &t);
    }
}

void bench_rows_tables(FILE *file)
{
    limits_table(file);
    rates_table(file, "queue", "Queue, one putter to one getter", false);
    rates_table(file, "in place", "Queue, written and read in place", false);
    rates_table(file, "many", "Queue, several processes on these cores", true);
    rates_table(file, "variants", "cano's variants, one to one", false);
    times_table(file, "queue trip", "Queue there and back, 64 B, awake");
    times_table(file, "queue trip asleep", "Queue there and back, 64 B, the other side asleep");
    rates_table(file, "pipe", "Pipe, one way", false);
    times_table(file, "pipe trip", "Pipe there and back, 64 B, awake");
    times_table(file, "pipe trip asleep", "Pipe there and back, 64 B, the other side asleep");
    costs_table(file);
}
