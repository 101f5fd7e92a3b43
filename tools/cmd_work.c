/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "graves.h"
#include "host.h"
#include "queues.h"
#include "term.h"
#include "units.h"
#include "work.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TICK 100000       /* microseconds between two looks at everything */
#define DRAW_PAUSE 200000 /* between two drawings of the bar */
#define RETRIES 3
#define SEATS_MOST 1000

enum {
    OPTION_RETRIES = 256,
    OPTION_TIMEOUT,
    OPTION_DELAY,
    OPTION_FOLLOW,
    OPTION_STREAM
};

typedef struct dispatcher {
    work work;
    cano_queue_options wanted; /* of a queue that is made */
    bool retries_given;
    cano_inspector *inspector;
    work_bar bar;
    bool draws; /* a bar */
    int64_t drawn_at;
    int64_t begun_at;
    int interrupts; /* that were answered */
    bool finished;  /* nothing is left to do */
} dispatcher;

/* ---- the end ---- */

/* Somebody who says that he puts is still there: more may come. */
static bool has_putter(cano_inspector *inspector)
{
    cano_inspector_participant list[1023];
    size_t count = 0;
    cano_inspector_participants(inspector, list, sizeof list / sizeof list[0], &count);
    for (size_t i = 0; i < count; i++) {
        if (list[i].role == CANO_PUTTER && !list[i].dead) {
            return true;
        }
    }
    return false;
}

/* Asked when there was nothing to take. ended: nothing can be put any more. */
static bool is_nothing_left(dispatcher *d, bool ended)
{
    const bool may_come = !ended && (d->work.options.follow || has_putter(d->inspector));
    size_t unfinished = 1;
    const cano_status status = cano_queue_unfinished(d->work.queue, &unfinished);
    return !may_come && status == CANO_OK && unfinished == 0;
}

static void answer_interrupts(dispatcher *d)
{
    const int interrupts = term_interrupts();
    work *w = &d->work;
    if (interrupts > 0 && d->interrupts == 0 && w->busy > 0) {
        screen_say(&w->screen, "no more tasks are taken, waiting for %" PRIu64 " that run; once more ends them at once",
                   w->busy);
    }
    if (interrupts > 1 && d->interrupts <= 1) {
        apr_thread_mutex_lock(w->mutex);
        w->aborting = true;
        work_seats_kill(w, true);
        apr_thread_mutex_unlock(w->mutex);
    }
    d->interrupts = interrupts;
}

/* ---- the dispatcher ---- */

static void tick(dispatcher *d)
{
    work *w = &d->work;
    answer_interrupts(d);
    if (w->options.timeout > 0) {
        apr_thread_mutex_lock(w->mutex);
        work_seats_kill(w, false);
        apr_thread_mutex_unlock(w->mutex);
    }
    const int64_t now = host_now();
    if (d->draws && now - d->drawn_at >= DRAW_PAUSE) {
        work_bar_draw(&d->bar, w);
        d->drawn_at = now;
    }
}

/* A seat that is free, or NULL after waiting a moment for one. all: or until all are free. */
static work_seat *find_seat(work *w, bool wanted)
{
    work_seat *found = NULL;
    apr_thread_mutex_lock(w->mutex);
    if ((wanted && w->busy == w->options.seats) || (!wanted && w->busy > 0)) {
        apr_thread_cond_timedwait(w->changed, w->mutex, TICK);
    }
    for (uint64_t i = 0; wanted && found == NULL && i < w->options.seats; i++) {
        found = w->seats[i].busy ? NULL : &w->seats[i];
    }
    apr_thread_mutex_unlock(w->mutex);
    return found;
}

static void give(work_seat *seat, const cano_item *item)
{
    apr_thread_mutex_lock(seat->work->mutex);
    work_seat_give(seat, item);
    apr_thread_mutex_unlock(seat->work->mutex);
}

/* All leases are out. Others give theirs back; if dead letters have them all, nobody does. */
static void wait_for_lease(dispatcher *d)
{
    work *w = &d->work;
    cano_queue_info info = { .size = sizeof info };
    if (cano_queue_stat(w->queue, &info) == CANO_OK && info.dead >= w->limits.max_leases) {
        work_set_fatal(w,
                       "'%s' can hand out no more tasks, dead letters hold all its %" PRIu32
                       " leases: 'cano dead --retry %s' or --drop frees them",
                       w->name, w->limits.max_leases, w->name);
    }
    apr_sleep(TICK);
}

static void take_task(dispatcher *d, work_seat *seat)
{
    cano_item item;
    const cano_status status = cano_queue_take(d->work.queue, &item, TICK);
    switch (status) {
    case CANO_OK:
        give(seat, &item);
        break;
    case CANO_ETIMEOUT:
        d->finished = is_nothing_left(d, false);
        break;
    case CANO_ECLOSED: /* a task may still come back from somebody who dies */
        d->finished = is_nothing_left(d, true);
        apr_sleep(d->finished ? 0 : TICK);
        break;
    case CANO_ELIMIT:
        wait_for_lease(d);
        break;
    default:
        work_set_fatal(&d->work, "cannot take a task of '%s': %s", d->work.name, cano_strerror(status));
    }
}

static bool must_stop(dispatcher *d)
{
    apr_thread_mutex_lock(d->work.mutex);
    const bool fatal = d->work.fatal[0] != '\0';
    apr_thread_mutex_unlock(d->work.mutex);
    return d->finished || fatal || d->interrupts > 0;
}

static bool is_idle(work *w)
{
    apr_thread_mutex_lock(w->mutex);
    const bool idle = w->busy == 0;
    apr_thread_mutex_unlock(w->mutex);
    return idle;
}

static void dispatch(dispatcher *d)
{
    while (!must_stop(d)) {
        tick(d);
        work_seat *seat = must_stop(d) ? NULL : find_seat(&d->work, true);
        if (seat != NULL) {
            take_task(d, seat);
        }
    }
    while (!is_idle(&d->work)) {
        tick(d);
        find_seat(&d->work, false);
    }
}

/* ---- opening and closing ---- */

static void open_queue(dispatcher *d)
{
    work *w = &d->work;
    d->wanted.role = CANO_GETTER;
    d->wanted.flags = CANO_JOINABLE;
    cano_status status = cano_queue_open(&w->queue, w->name, &d->wanted);
    if (status == CANO_ENOENT && !w->options.follow) {
        tool_fail(w->t, "there is no queue '%s' in %s: put tasks first ('cano put %s'), or use --follow to wait for them",
                  w->name, explain_directory(w->t), w->name);
    }
    if (status == CANO_ENOENT) {
        w->queue = queues_make(w->t, w->name, &d->wanted);
        status = CANO_OK;
    }
    if (status != CANO_OK) {
        explain_and_fail(w->t, "open", w->name, status);
    }
    status = cano_inspector_open(&d->inspector, w->name);
    if (status != CANO_OK) {
        explain_and_fail(w->t, "look at", w->name, status);
    }
    cano_inspector_state state = { .size = sizeof state };
    cano_inspector_look(d->inspector, &state);
    w->limits = state.limits;
    w->grave = graves_name(w->name, w->t->pool);
}

/* As asked for; or what the queue itself says. */
static void set_tries(dispatcher *d)
{
    work *w = &d->work;
    const uint32_t of_queue = w->limits.max_deliveries;
    if (!d->retries_given) {
        w->options.tries = of_queue != 0 ? of_queue : RETRIES + 1;
    } else if (of_queue != 0 && of_queue < w->options.tries) {
        tool_say(w->t,
                 "'%s' was made with --retries %" PRIu32
                 ": a task that failed that often more is a dead letter, whatever is asked for here",
                 w->name, of_queue - 1);
        w->options.tries = of_queue;
    }
}

static void open_seats(dispatcher *d)
{
    work *w = &d->work;
    apr_thread_mutex_create(&w->mutex, APR_THREAD_MUTEX_DEFAULT, w->t->pool);
    apr_thread_cond_create(&w->changed, w->t->pool);
    screen_open(&w->screen, w->t->pool);
    w->seats = apr_pcalloc(w->t->pool, w->options.seats * sizeof *w->seats);
    for (uint64_t i = 0; i < w->options.seats; i++) {
        const apr_status_t status = work_seat_open(&w->seats[i], w);
        if (status != APR_SUCCESS) {
            char why[120];
            tool_fail(w->t, "cannot start %" PRIu64 " workers: %s; ask for fewer with -j", w->options.seats,
                      apr_strerror(status, why, sizeof why));
        }
    }
    d->draws = term_is_terminal(2) && !w->options.quiet;
    d->begun_at = host_now();
    term_count_interrupts();
}

static void close_all(dispatcher *d)
{
    work *w = &d->work;
    apr_thread_mutex_lock(w->mutex);
    w->closing = true;
    apr_thread_cond_broadcast(w->changed);
    apr_thread_mutex_unlock(w->mutex);
    for (uint64_t i = 0; i < w->options.seats; i++) {
        work_seat_close(&w->seats[i]);
    }
    screen_draw_bar(&w->screen, NULL);
    cano_inspector_close(d->inspector);
    cano_queue_close(w->queue); /* what is held goes back, uncounted */
}

static void sum_up(const dispatcher *d)
{
    const work *w = &d->work;
    const int64_t passed = host_now() - d->begun_at;
    char time[UNITS_TEXT];
    char rate[UNITS_TEXT];
    if (d->draws || w->counts.dead > 0) {
        tool_say(w->t, "%" PRIu64 " done, %" PRIu64 " retried, %" PRIu64 " dead in %s (%s/s)", w->counts.done,
                 w->counts.retried, w->counts.dead, units_time(passed, time),
                 units_rate((double)w->counts.done * 1e6 / (double)(passed + 1), rate));
    }
}

/* ---- the command ---- */

static void read_option(dispatcher *d, int letter, const char *value)
{
    work_options *o = &d->work.options;
    tool *t = d->work.t;
    switch (letter) {
    case 'j':
        o->seats = tool_count(t, "-j", value, 1, SEATS_MOST);
        break;
    case OPTION_RETRIES:
        o->tries = (uint32_t)tool_count(t, "--retries", value, 0, 65534) + 1;
        d->retries_given = true;
        break;
    case OPTION_TIMEOUT:
        o->timeout = tool_seconds(t, "--timeout", value);
        break;
    case OPTION_DELAY:
        o->delay = tool_seconds(t, "--delay", value);
        break;
    case OPTION_FOLLOW:
        o->follow = true;
        break;
    case OPTION_STREAM:
        o->stream = true;
        break;
    case 'q':
        o->quiet = true;
        break;
    default:
        queues_limit(t, &d->wanted, letter, value);
    }
}

static void read_options(dispatcher *d)
{
    work *w = &d->work;
    int letter;
    const char *value;
    while (tool_next(w->t, &letter, &value)) {
        read_option(d, letter, value);
    }
    w->name = tool_operand(w->t, 0, "QUEUE");
    tool_operand(w->t, 1, "COMMAND");
    w->options.argc = w->t->operand_count - 1;
    w->options.argv = w->t->operands + 1;
}

static int run(tool *t)
{
    dispatcher d = { .work = { .t = t, .options = { .seats = host_processors() } }, .wanted = CANO_QUEUE_OPTIONS_INIT };
    read_options(&d);
    open_queue(&d);
    set_tries(&d);
    open_seats(&d);
    dispatch(&d);
    close_all(&d);
    sum_up(&d);
    if (d.work.fatal[0] != '\0') {
        tool_fail(t, "%s", d.work.fatal);
    }
    return d.interrupts > 0 && !d.finished ? TOOL_INTERRUPTED : d.work.counts.dead > 0 ? TOOL_NO : TOOL_DONE;
}

static const tool_option options[] = {
    { "jobs", 'j', "N", "run N commands at one time (as many as there are processors)" },
    { "retries", OPTION_RETRIES, "R", "a task whose command failed is tried R times more (as the queue was made, else 3)" },
    { "timeout", OPTION_TIMEOUT, "S", "a command that runs for more than S seconds is killed, and has failed" },
    { "delay", OPTION_DELAY, "S", "a task whose command failed waits S seconds before it is tried again (0)" },
    { "follow", OPTION_FOLLOW, NULL, "stay when nothing is left, until the queue is shut down" },
    { "stream", OPTION_STREAM, NULL, "print lines as they come, also of commands that fail in the end" },
    { "quiet", 'q', NULL, "no progress bar, and no word of what is tried again" },
    QUEUE_LIMIT_OPTIONS,
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = {
    { TOOL_NO, "all is done, but for tasks that became dead letters" },
    { TOOL_INTERRUPTED, "ended by Ctrl-C (or SIGTERM) before all was done" },
    { 0, NULL },
};

static const tool_example examples[] = {
    { "find . -name '*.png' | cano put png; cano work png -j 4 -- optipng -quiet {}",
      "Four at a time, whoever dies. The same in a second terminal helps." },
    { "cano work --retries 5 --timeout 60 urls -- curl -sfO",
      "Tried up to six times, each for a minute at most; the item is appended." },
    { "cano work --follow mails -- sh -c 'send \"$1\" && echo sent $CANO_TASK' send {}", "A service: waits for what comes." },
    { NULL, NULL },
};

const tool_command cmd_work = {
    .name = "work",
    .page = "cano-work",
    .operands = "QUEUE -- COMMAND [ARGUMENT...]",
    .completes = OPERAND_QUEUE_COMMAND,
    .summary = "run a command for each task of a queue, several at one time",
    .about =
        "Run COMMAND for each task of QUEUE, with {} in its arguments replaced by the item; without {} the item is appended. "
        "Exit "
        "status 0 means that the task is done. Anything else, a signal or too much time means that it is tried again, by "
        "whoever "
        "takes it next, and a dead letter after R retries ('cano dead').\n\n"
        "Any number of cano work may work on one queue. If one is killed, its tasks go to the others; its commands run on to "
        "their "
        "end, unheard. work ends when nothing is unfinished, whoever has it in hand, and no 'cano put' is at it any more.\n\n"
        "What a command prints is printed when it has succeeded, in one piece and in whole lines (a line end is added where "
        "the "
        "last one lacks it); of a command that failed only its errors are. A command reads nothing, and finds the number of "
        "the "
        "task in CANO_TASK, of the delivery in CANO_DELIVERIES, the queue in CANO_QUEUE. A task may run twice, if who worked "
        "on it "
        "died after the work and before saying so: CANO_TASK tells.\n\n"
        "Ctrl-C waits for the commands that run and ends; a second one kills them, and their tasks go back as they were.\n\n"
        "With --json each run of a command is a document: task, item, deliveries, outcome (done, retry, dead), exit, signal, "
        "timed_out, seconds, output.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
