/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "glance.h"
#include "host.h"
#include "term.h"
#include "units.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <inttypes.h>
#include <string.h>

#define SHOWN 40          /* columns of an item */
#define NAME_LOOK 1000000 /* microseconds between two looks whether the name is still there */

enum {
    OPTION_FOR = 256,
    OPTION_INTERVAL
};

/* One look at the queue, in a pool of its own. */
typedef struct look {
    apr_pool_t *pool;
    cano_inspector_state state;
    cano_inspector_participant *participants;
    size_t participant_count;
    cano_inspector_task *tasks;
    size_t task_count;
} look;

typedef struct trace {
    tool *t;
    const char *name;
    cano_inspector *inspector;
    int64_t interval;
    int64_t end;
    look looks[2]; /* the last one and this one, in turns */
    int current;
    int64_t name_seen_at;
} trace;

/* ---- events ---- */

static void begin_event(trace *tr, const char *event)
{
    out *o = &tr->t->out;
    const apr_time_t now = apr_time_now();
    if (tr->t->json) {
        json_begin(o, '{');
        json_seconds(o, "time", now);
        json_text(o, "event", event);
        return;
    }
    apr_time_exp_t local;
    apr_time_exp_lt(&local, now);
    out_format(o, "%02d:%02d:%02d.%03d  %-8s", local.tm_hour, local.tm_min, local.tm_sec, local.tm_usec / 1000, event);
}

static void end_event(trace *tr)
{
    out *o = &tr->t->out;
    if (tr->t->json) {
        json_end(o, '}');
        json_line(o);
    } else {
        out_text(o, "\n");
    }
}

static void tell_count(trace *tr, const char *event, uint64_t count, const cano_inspector_state *s)
{
    begin_event(tr, event);
    if (tr->t->json) {
        json_number(&tr->t->out, "count", count);
        json_number(&tr->t->out, "items", s->info.items);
        json_number(&tr->t->out, "unfinished", s->info.unfinished);
    } else {
        out_format(&tr->t->out, " %" PRIu64 " (%" PRIu64 " queued", count, s->info.items);
        out_format(&tr->t->out, (s->limits.flags & CANO_JOINABLE) != 0 ? ", %" PRIu64 " unfinished)" : ")", s->info.unfinished);
    }
    end_event(tr);
}

static void tell_participant(trace *tr, const char *event, const cano_inspector_participant *p)
{
    char name[32];
    begin_event(tr, event);
    if (tr->t->json) {
        json_signed(&tr->t->out, "pid", p->pid);
        json_number(&tr->t->out, "slot", p->slot);
        json_text(&tr->t->out, "role", glance_role(p->role));
        json_number(&tr->t->out, "holds", p->leases);
    } else {
        out_format(&tr->t->out, " process %" PRId64 " (%s), slot %" PRIu32 ", role %s", p->pid, glance_process(p, name),
                   p->slot, glance_role(p->role));
        if (p->leases > 0) {
            out_format(&tr->t->out, ", holds %" PRIu64, p->leases);
        }
    }
    end_event(tr);
}

static int64_t pid_of(const look *l, uint32_t slot)
{
    for (size_t i = 0; i < l->participant_count; i++) {
        if (l->participants[i].slot == slot) {
            return l->participants[i].pid;
        }
    }
    return 0;
}

static void tell_task(trace *tr, const char *event, const cano_inspector_task *task, const look *seen)
{
    out *o = &tr->t->out;
    const int64_t pid = task->slot != 0 ? pid_of(seen, task->slot) : 0;
    begin_event(tr, event);
    if (tr->t->json) {
        json_number(o, "task", task->task);
        json_number(o, "deliveries", task->deliveries);
        json_signed(o, "pid", pid);
        json_bytes(o, "begins", task->preview, task->preview_size);
    } else {
        out_format(o, " task %" PRIu64 ", delivery %" PRIu32, task->task, task->deliveries);
        if (pid != 0) {
            out_format(o, ", process %" PRId64, pid);
        }
        out_text(o, ": ");
        out_shown(o, task->preview, task->preview_size, SHOWN);
    }
    end_event(tr);
}

/* ---- what has changed ---- */

static const cano_inspector_participant *find_participant(const look *l, const cano_inspector_participant *p)
{
    for (size_t i = 0; i < l->participant_count; i++) {
        if (l->participants[i].slot == p->slot && l->participants[i].generation == p->generation) {
            return &l->participants[i];
        }
    }
    return NULL;
}

static void compare_participants(trace *tr, const look *before, const look *now)
{
    for (size_t i = 0; i < before->participant_count; i++) {
        const cano_inspector_participant *old = &before->participants[i];
        if (find_participant(now, old) == NULL) {
            tell_participant(tr, old->dead ? "cleared" : "left", old);
        }
    }
    for (size_t i = 0; i < now->participant_count; i++) {
        const cano_inspector_participant *p = &now->participants[i];
        const cano_inspector_participant *old = find_participant(before, p);
        if (old == NULL) {
            tell_participant(tr, "attached", p);
        }
        if (p->dead && (old == NULL || !old->dead)) {
            tell_participant(tr, "died", p);
        }
    }
}

/* Both lists are sorted by number. */
static const cano_inspector_task *find_task(const look *l, uint64_t number)
{
    size_t low = 0;
    size_t high = l->task_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (l->tasks[middle].task == number) {
            return &l->tasks[middle];
        }
        if (l->tasks[middle].task < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static const char *event_of(const cano_inspector_task *task)
{
    static const char *const events[] = { "", "taken", "returned", "delayed", "buried", "exhumed" };
    return events[task->state <= CANO_INSPECT_DEAD_HELD ? task->state : 0];
}

/* Returns how many tasks were done that were seen in somebody's hands before. */
static uint64_t compare_tasks(trace *tr, const look *before, const look *now)
{
    uint64_t done = 0;
    for (size_t i = 0; i < before->task_count; i++) {
        const cano_inspector_task *old = &before->tasks[i];
        if (find_task(now, old->task) == NULL) {
            tell_task(tr, old->state == CANO_INSPECT_DEAD || old->state == CANO_INSPECT_DEAD_HELD ? "exhumed" : "done", old,
                      before);
            done++;
        }
    }
    for (size_t i = 0; i < now->task_count; i++) {
        const cano_inspector_task *task = &now->tasks[i];
        const cano_inspector_task *old = find_task(before, task->task);
        if (old == NULL || old->state != task->state || old->slot != task->slot || old->deliveries != task->deliveries) {
            tell_task(tr, event_of(task), task, now);
        }
    }
    return done;
}

static void compare(trace *tr, const look *before, const look *now)
{
    compare_participants(tr, before, now);
    const cano_queue_info *old = &before->state.info;
    const cano_queue_info *info = &now->state.info;
    if (info->put > old->put) {
        tell_count(tr, "put", info->put - old->put, &now->state);
    }
    const uint64_t told = compare_tasks(tr, before, now);
    const bool joinable = (info->flags & CANO_JOINABLE) != 0;
    const uint64_t ended = joinable ? info->done - old->done : info->got - old->got;
    if (ended > told && ended < UINT64_MAX / 2) {
        tell_count(tr, joinable ? "done" : "got", ended - told, &now->state);
    }
    if (now->state.shutdown != before->state.shutdown) {
        tell_count(tr, "shutdown", now->state.info.items, &now->state);
    }
}

/* ---- looking ---- */

static void take_look(trace *tr, look *l)
{
    tool here = *tr->t;
    apr_pool_clear(l->pool);
    here.pool = l->pool;
    l->state = (cano_inspector_state){ .size = sizeof l->state };
    cano_inspector_look(tr->inspector, &l->state);
    l->participant_count = glance_participants(&here, tr->inspector, &l->participants);
    l->task_count = glance_tasks(&here, tr->inspector, &l->tasks);
}

/* The name is free, and nobody is left. */
static bool is_over(trace *tr, const look *now)
{
    const int64_t at = host_now();
    if (now->participant_count > 0 || at - tr->name_seen_at < NAME_LOOK) {
        return false;
    }
    tr->name_seen_at = at;
    return cano_inspect_check(tr->name) == CANO_ENOENT;
}

static void follow(trace *tr)
{
    take_look(tr, &tr->looks[0]);
    const look nobody = { .state = tr->looks[0].state };
    compare(tr, &nobody, &tr->looks[0]); /* who is there, and what they hold */
    tool_flush(tr->t);
    while (term_interrupts() == 0 && host_now() < tr->end && !is_over(tr, &tr->looks[tr->current])) {
        apr_sleep(tr->interval);
        const look *before = &tr->looks[tr->current];
        tr->current = 1 - tr->current;
        take_look(tr, &tr->looks[tr->current]);
        compare(tr, before, &tr->looks[tr->current]);
        tool_flush(tr->t);
    }
}

static int run(tool *t)
{
    trace tr = { .t = t, .interval = 20000, .end = INT64_MAX };
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        if (letter == OPTION_FOR) {
            tr.end = host_now() + tool_seconds(t, "--for", value);
        } else {
            tr.interval = tool_seconds(t, "--interval", value);
        }
    }
    tr.name = tool_operand(t, 0, "QUEUE");
    tool_at_most(t, 1);
    const cano_status status = cano_inspector_open(&tr.inspector, tr.name);
    if (status != CANO_OK) {
        explain_and_fail(t, "look at", tr.name, status);
    }
    for (int i = 0; i < 2; i++) {
        apr_pool_create(&tr.looks[i].pool, t->pool);
    }
    term_count_interrupts();
    follow(&tr);
    cano_inspector_close(tr.inspector);
    return TOOL_DONE;
}

static const tool_option options[] = {
    { "for", OPTION_FOR, "S", "stop after S seconds" },
    { "interval", OPTION_INTERVAL, "S", "look every S seconds (0.02)" },
    { NULL, 0, NULL, NULL },
};

static const tool_example examples[] = {
    { "cano trace photos", "What happens, until Ctrl-C." },
    { "cano trace --json --for 60 photos > minute.json", "A minute of it, for a program." },
    { NULL, NULL },
};

const tool_command cmd_trace = {
    .name = "trace",
    .page = "cano-inspect",
    .operands = "QUEUE",
    .completes = OPERAND_QUEUE,
    .summary = "tell what happens in a queue, as lines",
    .about = "Look at QUEUE again and again and print a line for what has changed: who attached, left, died or was cleared "
             "away; items "
             "put; tasks taken, done, returned, delayed, buried (a dead letter) and exhumed; shutdown. What came and went "
             "between two looks is told "
             "as a count. Looking takes no place in the queue and slows nobody down.\n\n"
             "It ends with Ctrl-C, after --for, or when the name is freed and nobody is attached any more.",
    .options = options,
    .examples = examples,
    .json = true,
    .run = run,
};
