/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "glance.h"

#include <inttypes.h>

#define SHOWN 50 /* columns of an item */

typedef struct who {
    tool *t;
    cano_inspector_participant *participants;
    size_t participant_count;
    cano_inspector_task *tasks;
    size_t task_count;
} who;

static void print_task(const who *w, const cano_inspector_task *task)
{
    out *o = &w->t->out;
    out_format(o, "      task %" PRIu64 ", delivery %" PRIu32 ", %s: ", task->task, task->deliveries,
               glance_task_state(task->state));
    out_shown(o, task->preview, task->preview_size, SHOWN);
    out_text(o, task->bytes > task->preview_size ? "...\n" : "\n");
}

/* slot 0: those that nobody holds. */
static void print_tasks_of(const who *w, uint32_t slot)
{
    for (size_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i].slot == slot) {
            print_task(w, &w->tasks[i]);
        }
    }
}

static void print_text(const who *w)
{
    out *o = &w->t->out;
    out_format(o, "%4s %9s  %-16s %-7s %-6s %5s\n", "SLOT", "PID", "COMMAND", "ROLE", "STATE", "HOLDS");
    for (size_t i = 0; i < w->participant_count; i++) {
        const cano_inspector_participant *p = &w->participants[i];
        char name[32];
        out_format(o, "%4" PRIu32 " %9" PRId64 "  %-16s %-7s %-6s %5" PRIu64 "\n", p->slot, p->pid,
                   p->dead ? "-" : glance_process(p, name), glance_role(p->role), p->dead ? "dead" : "alive", p->leases);
        print_tasks_of(w, p->slot);
    }
    size_t nobodys = 0;
    for (size_t i = 0; i < w->task_count; i++) {
        nobodys += w->tasks[i].slot == 0;
    }
    if (nobodys > 0) {
        out_format(o, "%zu in nobody's hands:\n", nobodys);
        print_tasks_of(w, 0);
    }
}

static void write_task(out *o, const cano_inspector_task *task)
{
    json_begin(o, '{');
    json_number(o, "task", task->task);
    json_text(o, "state", glance_task_state(task->state));
    json_number(o, "deliveries", task->deliveries);
    json_number(o, "bytes", task->bytes);
    json_seconds(o, "due", task->due);
    json_bytes(o, "begins", task->preview, task->preview_size);
    json_end(o, '}');
}

static void write_tasks_of(const who *w, const char *key, uint32_t slot)
{
    out *o = &w->t->out;
    json_key(o, key);
    json_begin(o, '[');
    for (size_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i].slot == slot) {
            write_task(o, &w->tasks[i]);
        }
    }
    json_end(o, ']');
}

static void write_participant(const who *w, const cano_inspector_participant *p)
{
    out *o = &w->t->out;
    char name[32];
    json_begin(o, '{');
    json_number(o, "slot", p->slot);
    json_number(o, "generation", p->generation);
    json_signed(o, "pid", p->pid);
    json_text(o, "command", p->dead ? "" : glance_process(p, name));
    json_text(o, "role", glance_role(p->role));
    json_bool(o, "alive", !p->dead);
    write_tasks_of(w, "tasks", p->slot);
    json_end(o, '}');
}

static void print_json(const who *w)
{
    out *o = &w->t->out;
    json_begin(o, '{');
    json_key(o, "participants");
    json_begin(o, '[');
    for (size_t i = 0; i < w->participant_count; i++) {
        write_participant(w, &w->participants[i]);
    }
    json_end(o, ']');
    write_tasks_of(w, "nobodys", 0);
    json_end(o, '}');
    json_line(o);
}

static int run(tool *t)
{
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
    }
    const char *name = tool_operand(t, 0, "QUEUE");
    tool_at_most(t, 1);
    cano_inspector *inspector = NULL;
    const cano_status status = cano_inspector_open(&inspector, name);
    if (status != CANO_OK) {
        explain_and_fail(t, "look at", name, status);
    }
    who w = { .t = t };
    w.participant_count = glance_participants(t, inspector, &w.participants);
    w.task_count = glance_tasks(t, inspector, &w.tasks);
    cano_inspector_close(inspector);
    if (t->json) {
        print_json(&w);
    } else {
        print_text(&w);
    }
    return w.participant_count > 0 ? TOOL_DONE : TOOL_NO;
}

static const tool_exit exits[] = { { TOOL_NO, "nobody is attached" }, { 0, NULL } };

static const tool_example examples[] = {
    { "cano who photos", "Who is attached, alive or dead, and which tasks each holds." },
    { NULL, NULL },
};

const tool_command cmd_who = {
    .name = "who",
    .page = "cano-inspect",
    .operands = "QUEUE",
    .completes = OPERAND_QUEUE,
    .summary = "tell who is attached to a queue, and what each holds",
    .about =
        "List the participants of QUEUE: open handles, each with the process that opened it (for a child that was handed the "
        "queue "
        "by cano_process_spawn, the one that started it), whether it lives, and the tasks it holds with the beginning of each; "
        "then the tasks in nobody's hands: "
        "those that came back, are delayed, or are dead letters.\n\n"
        "One that died is listed until somebody who works on the queue, or 'cano doctor --repair', has put right what it left.",
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
