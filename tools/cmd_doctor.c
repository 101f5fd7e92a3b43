/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "glance.h"
#include "host.h"
#include "units.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <inttypes.h>
#include <string.h>

#define LITTLE (UINT64_C(4) << 20) /* bytes: a few queues */
#define REPAIR_PATIENCE 2000000
#define SECOND_LOOK 50000 /* microseconds: no lock is held for that long by one who runs */

typedef struct doctor {
    tool *t;
    const char *only; /* this name; NULL: all */
    bool repair;
    uint64_t names;
    uint64_t found;
    uint64_t repaired;
} doctor;

/* ---- telling ---- */

/* problem: what is wrong; advice: what helps; repaired, when it has been put right. */
static void tell(doctor *d, const char *name, const char *problem, const char *advice, bool repaired)
{
    out *o = &d->t->out;
    d->found++;
    d->repaired += repaired;
    if (d->t->json) {
        json_begin(o, '{');
        json_bytes(o, "name", name, strlen(name));
        json_text(o, "problem", problem);
        json_text(o, "advice", advice);
        json_bool(o, "repaired", repaired);
        json_end(o, '}');
        json_line(o);
        return;
    }
    out_text(o, name);
    out_text(o, ": ");
    out_text(o, problem);
    out_text(o, "\n    ");
    out_text(o, repaired ? "put right" : advice);
    out_text(o, "\n");
}

/* ---- what was left behind ---- */

static void remove_it(doctor *d, const char *name, const char *problem)
{
    const cano_status status = d->repair ? cano_inspect_remove(name) : CANO_ETIMEOUT;
    const char *advice = d->repair ? apr_psprintf(d->t->pool, "could not be removed: %s", cano_strerror(status))
                                   : "'cano doctor --repair' removes it";
    tell(d, name, problem, advice, status == CANO_OK);
}

static void examine_name(doctor *d, const cano_inspect_name *name)
{
    const cano_status status = cano_inspect_check(name->name);
    if (status == CANO_ECLOSED) {
        remove_it(d, name->name,
                  name->kind == CANO_INSPECT_LISTENER ? "its listener died" : "left from before the machine started anew");
    } else if (status != CANO_OK && status != CANO_ENOENT) {
        const char *problem = status == CANO_EVERSION   ? "made by another version of cano"
                              : status == CANO_ECORRUPT ? "its memory is damaged"
                              : status == CANO_EKIND    ? "not made by cano"
                                                        : cano_strerror(status);
        tell(d, name->name, problem, explain(d->t, name->name, status), false);
    }
}

/* Bells, locks, queues that were never finished: there may be thousands. */
static void examine_sides(doctor *d, const char *directory, const cano_inspect_name *names, size_t count)
{
    uint64_t left = 0;
    uint64_t removed = 0;
    for (size_t i = 0; i < count; i++) {
        if (names[i].kind == CANO_INSPECT_SIDE && cano_inspect_check(names[i].name) == CANO_ECLOSED) {
            left++;
            removed += d->repair && cano_inspect_remove(names[i].name) == CANO_OK;
        }
    }
    if (left > 0) {
        tell(d, directory, apr_psprintf(d->t->pool, "%" PRIu64 " files left behind, half made or by those who died", left),
             d->repair ? apr_psprintf(d->t->pool, "%" PRIu64 " of them could not be removed", left - removed)
                       : "'cano doctor --repair' removes them",
             removed == left);
    }
}

/* ---- a queue ---- */

static cano_inspector_state look(cano_inspector *inspector)
{
    cano_inspector_state state = { .size = sizeof state };
    cano_inspector_look(inspector, &state);
    return state;
}

static const char *list_the_dead(doctor *d, cano_inspector *inspector)
{
    cano_inspector_participant *list;
    const size_t count = glance_participants(d->t, inspector, &list);
    const char *text = "";
    uint64_t dead = 0;
    uint64_t held = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].dead) {
            text = apr_psprintf(d->t->pool, "%s%s%" PRId64, text, dead > 0 ? ", " : "", list[i].pid);
            dead++;
            held += list[i].leases;
        }
    }
    if (dead == 0) {
        return "somebody died and left something behind";
    }
    return apr_psprintf(d->t->pool, "%" PRIu64 " dead: %s; tasks in their hands: %" PRIu64, dead, text, held);
}

static void examine_dead(doctor *d, const char *name, cano_inspector *inspector)
{
    if (!look(inspector).needs_repair) {
        return;
    }
    const char *problem = list_the_dead(d, inspector);
    const cano_status status = d->repair ? cano_inspector_repair(inspector, REPAIR_PATIENCE) : CANO_ETIMEOUT;
    const bool repaired = status == CANO_OK && !look(inspector).needs_repair;
    tell(d, name, problem,
         !d->repair          ? "who works on it next puts it right, or 'cano doctor --repair' now"
         : status != CANO_OK ? apr_psprintf(d->t->pool, "could not be put right: %s", explain(d->t, name, status))
                             : "not all could be put right yet: somebody holds the queue; again later",
         repaired);
}

static int64_t pid_at(doctor *d, cano_inspector *inspector, uint32_t slot)
{
    cano_inspector_participant *list;
    const size_t count = glance_participants(d->t, inspector, &list);
    for (size_t i = 0; i < count; i++) {
        if (list[i].slot == slot) {
            return list[i].pid;
        }
    }
    return 0;
}

static void examine_lock(doctor *d, const char *name, cano_inspector *inspector, uint32_t slot, uint32_t slot_later)
{
    const int64_t pid = slot != 0 && slot == slot_later ? pid_at(d, inspector, slot) : 0;
    if (pid != 0 && host_is_stopped(pid)) {
        tell(d, name, apr_psprintf(d->t->pool, "process %" PRId64 " is stopped and holds the queue up", pid),
             apr_psprintf(d->t->pool, "let it go on (kill -CONT %" PRId64 "), or end it", pid), false);
    }
}

static void examine_locks(doctor *d, const char *name, cano_inspector *inspector)
{
    const cano_inspector_state now = look(inspector);
    if (now.putting == 0 && now.getting == 0) {
        return;
    }
    apr_sleep(SECOND_LOOK);
    const cano_inspector_state later = look(inspector);
    examine_lock(d, name, inspector, now.putting, later.putting);
    if (now.getting != now.putting) {
        examine_lock(d, name, inspector, now.getting, later.getting);
    }
}

static void examine_room(doctor *d, const char *name, cano_inspector *inspector)
{
    const cano_inspector_state s = look(inspector);
    if (s.limits.max_leases != 0 && s.info.dead >= s.limits.max_leases) {
        tell(d, name, "dead letters hold all its leases: no task can be handed out",
             apr_psprintf(d->t->pool, "'cano dead --retry %s' or --drop", name), false);
    }
    if (s.info.participants >= s.limits.max_participants) {
        tell(d, name, "all its places are taken: nobody else can open it",
             apr_psprintf(d->t->pool, "'cano who %s' tells by whom; make it with more --participants", name), false);
    }
}

static void examine_queue(doctor *d, const char *name)
{
    cano_inspector *inspector = NULL;
    if (cano_inspector_open(&inspector, name) == CANO_OK) {
        examine_dead(d, name, inspector);
        examine_locks(d, name, inspector);
        examine_room(d, name, inspector);
        cano_inspector_close(inspector);
    }
}

/* ---- all of it ---- */

static void examine_space(doctor *d, const char *directory)
{
    uint64_t left;
    uint64_t all;
    if (host_space(directory, &left, &all) && left < LITTLE) {
        char left_text[UNITS_TEXT];
        char all_text[UNITS_TEXT];
        tell(d, directory,
             apr_psprintf(d->t->pool, "full: %s left of %s", units_size(left, left_text), units_size(all, all_text)),
             explain(d->t, "-", CANO_ENOSPC), false);
    }
}

static bool is_wanted(const doctor *d, const char *name)
{
    return d->only == NULL || strcmp(d->only, name) == 0;
}

static void examine_all(doctor *d, const char *directory)
{
    cano_inspect_name *names = NULL;
    size_t count = 0;
    const cano_status status = cano_inspect_names(&names, &count);
    if (status != CANO_OK) {
        tool_fail(d->t, "cannot list the names: %s", explain(d->t, "-", status));
    }
    for (size_t i = 0; i < count; i++) {
        if (names[i].kind != CANO_INSPECT_SIDE && is_wanted(d, names[i].name)) {
            d->names++;
            examine_name(d, &names[i]);
            examine_queue(d, names[i].name);
        }
    }
    if (d->only == NULL) {
        examine_sides(d, directory, names, count);
    }
    cano_free(names);
    if (d->only != NULL && d->names == 0) {
        explain_and_fail(d->t, "examine", d->only, CANO_ENOENT);
    }
}

static void sum_up(const doctor *d, const char *directory)
{
    uint64_t left = 0;
    uint64_t all = 0;
    char left_text[UNITS_TEXT];
    char all_text[UNITS_TEXT];
    const bool known = host_space(directory, &left, &all);
    out_format(&d->t->out, "%s: %" PRIu64 " names, ", directory, d->names);
    if (known) {
        out_format(&d->t->out, "%s free of %s: ", units_size(left, left_text), units_size(all, all_text));
    }
    if (d->found == 0) {
        out_text(&d->t->out, "nothing is wrong\n");
    } else {
        out_format(&d->t->out, "%" PRIu64 " wrong, %" PRIu64 " of it put right\n", d->found, d->repaired);
    }
}

static int run(tool *t)
{
    doctor d = { .t = t };
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        d.repair = true;
    }
    tool_at_most(t, 1);
    d.only = t->operand_count > 0 ? t->operands[0] : NULL;
    const char *directory = explain_directory(t);
    examine_space(&d, directory);
    examine_all(&d, directory);
    if (!t->json) {
        sum_up(&d, directory);
    }
    return d.found == d.repaired ? TOOL_DONE : TOOL_NO;
}

static const tool_option options[] = {
    { "repair", 'r', NULL, "put right what can be, and remove what the dead left behind" },
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "something is wrong, and was not put right" }, { 0, NULL } };

static const tool_example examples[] = {
    { "cano doctor", "Is anything wrong?" },
    { "cano doctor --repair", "Put it right." },
    { NULL, NULL },
};

const tool_command cmd_doctor = {
    .name = "doctor",
    .page = "cano-inspect",
    .operands = "[NAME]",
    .completes = OPERAND_QUEUE,
    .summary = "find what is wrong, and put it right",
    .about =
        "Look at the directory of names and at each name in it (or only NAME): no room left, what was left behind by the dead "
        "or by "
        "an earlier start of the machine, half-made queues (a minute old), dead participants nobody has cleared away, "
        "processes "
        "that are stopped and hold a queue up, queues that can hand out nothing more, damage, and what is not cano's.\n\n"
        "--repair does what can do no harm: it gives the tasks of the dead to others and removes what nobody can use any more. "
        "It never touches what is in use; a damaged queue, or one of another version, is for 'cano rm'.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
