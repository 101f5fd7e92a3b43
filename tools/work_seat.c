/* SPDX-License-Identifier: Apache-2.0 */
#include "graves.h"
#include "host.h"
#include "work.h"

#include <apr_strings.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 65536
#define IN_MEMORY (8u << 20) /* bytes of output kept in memory before a file takes it */
#define SHOWN 60             /* columns of an item in a message */
#define GRAVE_PAUSE 1000000  /* microseconds before a task is tried again that could not be buried */

/* What a command has written to one of its streams, as far as it was not printed. */
typedef struct written {
    out bytes;
    apr_file_t *file; /* what was too much for memory; NULL: nothing was */
} written;

/* One run of the command for one task. */
typedef struct attempt {
    work *work;
    work_seat *seat;
    const cano_item *item;
    apr_pool_t *pool;
    written streams[2];
    job_end end;
    bool timed_out;
    int64_t microseconds;
} attempt;

/* ---- output ---- */

static void spill(attempt *a, written *w)
{
    if (w->file == NULL) {
        const char *directory = "/tmp";
        apr_temp_dir_get(&directory, a->pool);
        char *path = apr_pstrcat(a->pool, directory, "/cano-work-XXXXXX", NULL);
        const apr_int32_t flags = APR_FOPEN_CREATE | APR_FOPEN_EXCL | APR_FOPEN_READ | APR_FOPEN_WRITE | APR_FOPEN_DELONCLOSE;
        if (apr_file_mktemp(&w->file, path, flags, a->pool) != APR_SUCCESS) {
            w->file = NULL; /* memory has to do */
            return;
        }
    }
    if (apr_file_write_full(w->file, w->bytes.bytes, w->bytes.used, NULL) == APR_SUCCESS) {
        w->bytes.used = 0;
    }
}

/* Bytes up to the end of the last whole line. */
static size_t whole_lines(const out *o)
{
    size_t size = o->used;
    while (size > 0 && o->bytes[size - 1] != '\n') {
        size--;
    }
    return size;
}

static void print_lines(attempt *a, int stream)
{
    out *o = &a->streams[stream - 1].bytes;
    const size_t whole = whole_lines(o);
    if (whole > 0) {
        screen_write(&a->work->screen, stream, o->bytes, whole);
        memmove(o->bytes, o->bytes + whole, o->used - whole);
        o->used -= whole;
    }
}

/* Errors are printed at once; results when the command has succeeded, unless they are wanted as they come. */
static void keep(attempt *a, int stream, const void *bytes, size_t size)
{
    written *w = &a->streams[stream - 1];
    out_bytes(&w->bytes, bytes, size);
    if (stream == 2 || (a->work->options.stream && !a->work->t->json)) {
        print_lines(a, stream);
    } else if (w->bytes.used > IN_MEMORY && !a->work->t->json) {
        spill(a, w);
    }
}

/* The last line gets its end if it has none: the next one to print begins a line. */
static bool print_rest(attempt *a, int stream)
{
    written *w = &a->streams[stream - 1];
    if (w->bytes.used > 0 && w->bytes.bytes[w->bytes.used - 1] != '\n') {
        out_bytes(&w->bytes, "\n", 1);
    }
    if (w->file != NULL) {
        spill(a, w);
        return w->bytes.used == 0 && screen_write_file(&a->work->screen, stream, w->file);
    }
    const bool printed = screen_write(&a->work->screen, stream, w->bytes.bytes, w->bytes.used);
    w->bytes.used = 0;
    return printed;
}

/* ---- the command ---- */

/* An argument with {} replaced; *found says that there was one. */
static const char *fill(const char *argument, const char *item, apr_pool_t *pool, bool *found)
{
    const char *filled = "";
    const char *place;
    while ((place = strstr(argument, "{}")) != NULL) {
        filled = apr_pstrcat(pool, filled, apr_pstrmemdup(pool, argument, (apr_size_t)(place - argument)), item, NULL);
        argument = place + 2;
        *found = true;
    }
    return apr_pstrcat(pool, filled, argument, NULL);
}

static const char *const *arguments_of(const attempt *a)
{
    const work_options *options = &a->work->options;
    const char *item = apr_pstrmemdup(a->pool, a->item->data, a->item->size);
    const char **argv = apr_pcalloc(a->pool, (apr_size_t)(options->argc + 2) * sizeof *argv);
    bool found = false;
    for (int i = 0; i < options->argc; i++) {
        argv[i] = fill(options->argv[i], item, a->pool, &found);
    }
    if (!found) {
        argv[options->argc] = item;
    }
    return argv;
}

static const char *const *environment_of(const attempt *a)
{
    const char **additions = apr_pcalloc(a->pool, 4 * sizeof *additions);
    additions[0] = apr_psprintf(a->pool, "CANO_TASK=%" PRIu64, a->item->task);
    additions[1] = apr_psprintf(a->pool, "CANO_DELIVERIES=%" PRIu32, a->item->deliveries);
    additions[2] = apr_psprintf(a->pool, "CANO_QUEUE=%s", a->work->name);
    return additions;
}

static void set_job(attempt *a, job *running)
{
    apr_thread_mutex_lock(a->work->mutex);
    a->seat->job = running;
    if (running != NULL && a->work->aborting) {
        job_kill(running);
    }
    a->timed_out = a->seat->timed_out;
    apr_thread_mutex_unlock(a->work->mutex);
}

/* Run it to its end. */
static apr_status_t run_command(attempt *a)
{
    job *running = NULL;
    const apr_status_t status = job_start(&running, arguments_of(a), environment_of(a));
    if (status != APR_SUCCESS) {
        return status;
    }
    set_job(a, running);
    char piece[PIECE];
    int stream;
    size_t size;
    while (job_read(running, &stream, piece, sizeof piece, &size)) {
        keep(a, stream, piece, size);
    }
    set_job(a, NULL);
    a->end = job_finish(running);
    return APR_SUCCESS;
}

/* ---- how it ended ---- */

static const char *reason_of(const attempt *a, apr_status_t started)
{
    char why[120];
    if (started != APR_SUCCESS) {
        return apr_pstrdup(a->pool, apr_strerror(started, why, sizeof why));
    }
    if (a->timed_out) {
        return "took too long";
    }
    return a->end.signal != 0 ? apr_psprintf(a->pool, "killed by signal %d", a->end.signal)
                              : apr_psprintf(a->pool, "exit status %d", a->end.code);
}

static bool report(attempt *a, const char *outcome)
{
    out line = { 0 };
    json_begin(&line, '{');
    json_number(&line, "task", a->item->task);
    json_bytes(&line, "item", a->item->data, a->item->size);
    json_number(&line, "deliveries", a->item->deliveries);
    json_text(&line, "outcome", outcome);
    json_signed(&line, "exit", a->end.code);
    json_signed(&line, "signal", a->end.signal);
    json_bool(&line, "timed_out", a->timed_out);
    json_seconds(&line, "seconds", a->microseconds);
    json_bytes(&line, "output", a->streams[0].bytes.bytes != NULL ? a->streams[0].bytes.bytes : "", a->streams[0].bytes.used);
    json_end(&line, '}');
    json_line(&line);
    const bool printed = screen_write(&a->work->screen, 1, line.bytes, line.used);
    out_close(&line);
    return printed;
}

static void complain(attempt *a, const char *why, const char *what)
{
    out shown = { 0 };
    out_shown(&shown, a->item->data, a->item->size, SHOWN);
    out_bytes(&shown, "", 1);
    screen_say(&a->work->screen, "'%s': %s (delivery %" PRIu32 " of %" PRIu32 "): %s", shown.bytes, why, a->item->deliveries,
               a->work->options.tries, what);
    out_close(&shown);
}

static void count(attempt *a, uint64_t *counter)
{
    apr_thread_mutex_lock(a->work->mutex);
    (*counter)++;
    apr_thread_mutex_unlock(a->work->mutex);
}

void work_set_fatal(work *w, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    apr_thread_mutex_lock(w->mutex);
    if (w->fatal[0] == '\0') {
        vsnprintf(w->fatal, sizeof w->fatal, format, list);
    }
    apr_thread_mutex_unlock(w->mutex);
    va_end(list);
}

static void check(attempt *a, cano_status status)
{
    if (status != CANO_OK) {
        work_set_fatal(a->work, "cannot finish a task of '%s': %s", a->work->name, cano_strerror(status));
    }
}

/* The task is done once what came of it has been written; else it goes back at the end. */
static void succeed(attempt *a)
{
    work *w = a->work;
    if (!(w->t->json ? report(a, "done") : print_rest(a, 1))) {
        work_set_fatal(w, "cannot write to standard output: whoever read it has gone, or its disk is full");
        return;
    }
    check(a, cano_queue_task_done(w->queue, a->item));
    count(a, &w->counts.done);
}

static void bury(attempt *a, const char *why)
{
    work *w = a->work;
    const bool by_queue = w->limits.max_deliveries != 0 && a->item->deliveries >= w->limits.max_deliveries;
    cano_status status = by_queue ? CANO_OK : w->grave != NULL ? graves_bury(w->grave, &w->limits, a->item) : CANO_EINVAL;
    if (status != CANO_OK) {
        complain(a, why,
                 apr_psprintf(a->pool, "no place for a dead letter in '%s' (%s), it is tried again",
                              w->grave != NULL ? w->grave : "", cano_strerror(status)));
        check(a, cano_queue_give_back(w->queue, a->item, GRAVE_PAUSE));
        count(a, &w->counts.retried);
        return;
    }
    complain(a, why, apr_psprintf(a->pool, "a dead letter, see 'cano dead %s'", w->name));
    if (w->t->json) {
        report(a, "dead");
    }
    check(a, by_queue ? cano_queue_give_back(w->queue, a->item, CANO_NOW) : cano_queue_task_done(w->queue, a->item));
    count(a, &w->counts.dead);
}

static void fail(attempt *a, const char *why, bool for_ever)
{
    work *w = a->work;
    if (for_ever || a->item->deliveries >= w->options.tries) {
        bury(a, why);
        return;
    }
    if (!w->options.quiet) {
        complain(a, why, "again");
    }
    if (w->t->json) {
        report(a, "retry");
    }
    check(a, cano_queue_give_back(w->queue, a->item, w->options.delay));
    count(a, &w->counts.retried);
}

static bool is_aborting(work *w)
{
    apr_thread_mutex_lock(w->mutex);
    const bool aborting = w->aborting;
    apr_thread_mutex_unlock(w->mutex);
    return aborting;
}

static void settle(attempt *a, apr_status_t started)
{
    if (started != APR_SUCCESS && !APR_STATUS_IS_ENAMETOOLONG(started) && APR_TO_OS_ERROR(started) != E2BIG) {
        work_set_fatal(a->work, "cannot run '%s': %s", a->work->options.argv[0], reason_of(a, started));
    } else if (started != APR_SUCCESS) {
        fail(a, reason_of(a, started), true);
    } else if (a->end.code == 0 && !a->timed_out) {
        succeed(a);
    } else if (!is_aborting(a->work)) { /* else it goes back uncounted when the queue is closed */
        fail(a, reason_of(a, started), false);
    }
}

/* ---- the seat ---- */

static void work_on(work_seat *seat)
{
    attempt a = { .work = seat->work, .seat = seat, .item = &seat->item, .pool = seat->pool };
    const int64_t begin = host_now();
    if (memchr(seat->item.data, '\0', seat->item.size) != NULL) {
        fail(&a, "it has a NUL byte in it, which no argument can", true);
    } else if (seat->item.deliveries > seat->work->options.tries) {
        fail(&a, "whoever worked on it died", true);
    } else {
        const apr_status_t started = run_command(&a);
        a.microseconds = host_now() - begin;
        print_rest(&a, 2);
        if (seat->work->options.stream && !seat->work->t->json) {
            print_rest(&a, 1);
        }
        settle(&a, started);
    }
    for (int i = 0; i < 2; i++) {
        out_close(&a.streams[i].bytes);
    }
    apr_pool_clear(seat->pool);
}

static bool wait_for_task(work_seat *seat)
{
    work *w = seat->work;
    apr_thread_mutex_lock(w->mutex);
    while (!seat->busy && !w->closing) {
        apr_thread_cond_wait(w->changed, w->mutex);
    }
    const bool task = seat->busy;
    apr_thread_mutex_unlock(w->mutex);
    return task;
}

static void *APR_THREAD_FUNC sit(apr_thread_t *thread, void *context)
{
    work_seat *seat = context;
    work *w = seat->work;
    (void)thread;
    while (wait_for_task(seat)) {
        work_on(seat);
        apr_thread_mutex_lock(w->mutex);
        seat->busy = false;
        w->busy--;
        apr_thread_cond_broadcast(w->changed);
        apr_thread_mutex_unlock(w->mutex);
    }
    return NULL;
}

apr_status_t work_seat_open(work_seat *seat, work *w)
{
    *seat = (work_seat){ .work = w };
    apr_pool_create(&seat->pool, NULL);
    return apr_thread_create(&seat->thread, NULL, sit, seat, w->t->pool);
}

void work_seat_close(work_seat *seat)
{
    apr_status_t result;
    apr_thread_join(&result, seat->thread);
    apr_pool_destroy(seat->pool);
}

void work_seat_give(work_seat *seat, const cano_item *item)
{
    seat->item = *item;
    seat->busy = true;
    seat->timed_out = false;
    seat->started = host_now();
    seat->work->busy++;
    apr_thread_cond_broadcast(seat->work->changed);
}

void work_seats_kill(work *w, bool all)
{
    const int64_t now = host_now();
    for (uint64_t i = 0; i < w->options.seats; i++) {
        work_seat *seat = &w->seats[i];
        const bool late = w->options.timeout > 0 && now - seat->started >= w->options.timeout;
        if (seat->job != NULL && (all || late)) {
            seat->timed_out |= late;
            job_kill(seat->job);
        }
    }
}
