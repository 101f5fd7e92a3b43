/* SPDX-License-Identifier: Apache-2.0 */
#include "glance.h"

#include "explain.h"
#include "host.h"

#include <stdlib.h>
#include <string.h>

#define MORE 16 /* room for those that came between counting and listing */

/* False: it has gone meanwhile. */
static bool look_into(glance *g, bool probe)
{
    cano_inspector *inspector = NULL;
    g->status = CANO_OK;
    if (g->name.kind == CANO_INSPECT_QUEUE) {
        g->status = cano_inspector_open(&inspector, g->name.name);
        g->queue = g->status == CANO_OK;
    }
    if (g->queue) {
        g->state.size = sizeof g->state;
        cano_inspector_look(inspector, &g->state);
        cano_inspector_close(inspector);
    } else if (g->name.kind != CANO_INSPECT_LISTENER || probe) {
        g->status = cano_inspect_check(g->name.name);
    }
    return g->status != CANO_ENOENT;
}

size_t glance_all(tool *t, bool probe, glance **list)
{
    cano_inspect_name *names = NULL;
    size_t count = 0;
    const cano_status status = cano_inspect_names(&names, &count);
    if (status != CANO_OK) {
        tool_fail(t, "cannot list the names: %s", explain(t, "-", status));
    }
    glance *all = apr_pcalloc(t->pool, (count + 1) * sizeof *all);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (names[i].kind == CANO_INSPECT_SIDE || names[i].name[0] == '.') {
            continue;
        }
        all[used] = (glance){ .name = names[i] };
        used += look_into(&all[used], probe);
    }
    cano_free(names);
    *list = all;
    return used;
}

const char *glance_kind(const glance *g)
{
    const bool listener = g->name.kind == CANO_INSPECT_LISTENER;
    switch (g->status) {
    case CANO_OK:
        return listener ? "listener" : (g->state.limits.flags & CANO_JOINABLE) != 0 ? "joinable" : "queue";
    case CANO_ECLOSED:
        return listener ? "dead listener" : "stale";
    case CANO_EVERSION:
        return "other version";
    case CANO_ECORRUPT:
        return "damaged";
    case CANO_EACCES:
        return "not yours";
    case CANO_EKIND:
        return "not cano's";
    default:
        return "unknown";
    }
}

static const char *shutdown_text(uint32_t shutdown)
{
    return shutdown == 0 ? "no" : shutdown == 1 ? "yes" : "immediate";
}

static void write_limits(out *o, const cano_queue_options *limits)
{
    json_key(o, "limits");
    json_begin(o, '{');
    json_number(o, "items", limits->max_items);
    json_number(o, "bytes", limits->max_bytes);
    json_number(o, "participants", limits->max_participants);
    json_number(o, "leases", limits->max_leases);
    json_number(o, "deliveries", limits->max_deliveries);
    json_bool(o, "end_when_no_putter", (limits->flags & CANO_END_WHEN_NO_PUTTER) != 0);
    json_bool(o, "single_putter", (limits->flags & CANO_SINGLE_PUTTER) != 0);
    json_bool(o, "single_getter", (limits->flags & CANO_SINGLE_GETTER) != 0);
    json_end(o, '}');
}

static void write_state(out *o, const cano_inspector_state *s)
{
    json_number(o, "items", s->info.items);
    json_number(o, "unfinished", s->info.unfinished);
    json_number(o, "leased", s->info.leased);
    json_number(o, "delayed", s->info.delayed);
    json_number(o, "dead", s->info.dead);
    json_number(o, "put", s->info.put);
    json_number(o, "got", s->info.got);
    json_number(o, "done", s->info.done);
    json_number(o, "bytes", s->info.bytes);
    json_number(o, "memory", s->memory);
    json_number(o, "participants", s->info.participants);
    json_text(o, "shutdown", shutdown_text(s->shutdown));
    json_bool(o, "waits_for_items", (s->waits & CANO_WAITS_ITEM) != 0);
    json_bool(o, "waits_for_room", (s->waits & CANO_WAITS_ROOM) != 0);
    json_bool(o, "waits_for_done", (s->waits & CANO_WAITS_DONE) != 0);
    json_bool(o, "needs_repair", s->needs_repair != 0);
    write_limits(o, &s->limits);
}

void glance_write(out *o, const glance *g)
{
    json_bytes(o, "name", g->name.name, strlen(g->name.name));
    json_text(o, "kind", glance_kind(g));
    json_seconds(o, "age", g->name.age);
    if (g->queue) {
        write_state(o, &g->state);
    }
}

size_t glance_participants(tool *t, cano_inspector *inspector, cano_inspector_participant **list)
{
    size_t count = 0;
    size_t there = 0;
    cano_inspector_participants(inspector, NULL, 0, &count);
    *list = apr_pcalloc(t->pool, (count + MORE) * sizeof **list);
    cano_inspector_participants(inspector, *list, count + MORE, &there);
    return there < count + MORE ? there : count + MORE;
}

static int compare_tasks(const void *a, const void *b)
{
    const cano_inspector_task *first = a;
    const cano_inspector_task *second = b;
    return first->task < second->task ? -1 : first->task > second->task;
}

size_t glance_tasks(tool *t, cano_inspector *inspector, cano_inspector_task **list)
{
    size_t count = 0;
    size_t there = 0;
    cano_inspector_tasks(inspector, NULL, 0, &count);
    *list = apr_pcalloc(t->pool, (count + MORE) * sizeof **list);
    cano_inspector_tasks(inspector, *list, count + MORE, &there);
    there = there < count + MORE ? there : count + MORE;
    qsort(*list, there, sizeof **list, compare_tasks);
    return there;
}

const char *glance_role(uint32_t role)
{
    static const char *const roles[] = { "-", "putter", "getter", "both" };
    return roles[role & 3];
}

const char *glance_task_state(uint32_t state)
{
    static const char *const states[] = { "", "in hand", "returned", "delayed", "dead", "dead, in hand" };
    return states[state <= CANO_INSPECT_DEAD_HELD ? state : 0];
}

const char *glance_process(const cano_inspector_participant *participant, char name[32])
{
    if (participant->dead) {
        return "dead";
    }
    return host_process_name(participant->pid, name, 32) ? name : "-";
}
