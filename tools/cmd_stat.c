/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "glance.h"
#include "units.h"

#include <inttypes.h>
#include <string.h>

static const glance *find(tool *t, const char *name)
{
    glance *list;
    const size_t count = glance_all(t, false, &list);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name.name, name) == 0) {
            return &list[i];
        }
    }
    explain_and_fail(t, "look at", name, cano_inspect_check(name));
}

static void row(tool *t, const char *label, uint64_t value, const char *format, uint64_t limit)
{
    out_format(&t->out, "  %-13s%" PRIu64, label, value);
    out_format(&t->out, format, limit);
    out_text(&t->out, "\n");
}

static void print_tasks(tool *t, const cano_inspector_state *s)
{
    row(t, "unfinished", s->info.unfinished, "", 0);
    row(t, "in hand", s->info.leased, " of %" PRIu64 " leases", s->limits.max_leases);
    row(t, "delayed", s->info.delayed, "", 0);
    row(t, "dead letters", s->info.dead, s->limits.max_deliveries > 0 ? " (after %" PRIu64 " deliveries)" : "",
        s->limits.max_deliveries);
    row(t, "done", s->info.done, "", 0);
}

static void print_flags(tool *t, const cano_inspector_state *s)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } flags[] = { { CANO_END_WHEN_NO_PUTTER, "ends when its last putter leaves" },
                  { CANO_SINGLE_PUTTER, "one may put" },
                  { CANO_SINGLE_GETTER, "one may get" } };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if ((s->limits.flags & flags[i].flag) != 0) {
            out_format(&t->out, "  %-13s%s\n", "rule", flags[i].text);
        }
    }
}

static void print_waits(tool *t, uint32_t waits)
{
    static const struct {
        uint32_t bit;
        const char *text;
    } all[] = { { CANO_WAITS_ITEM, "for items" },
                { CANO_WAITS_ROOM, "for room" },
                { CANO_WAITS_DONE, "for the end of the work" } };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if ((waits & all[i].bit) != 0) {
            out_format(&t->out, "  %-13s%s\n", "somebody waits", all[i].text);
        }
    }
}

static void print_queue(tool *t, const cano_inspector_state *s)
{
    char bytes[UNITS_TEXT];
    char most[UNITS_TEXT];
    char memory[UNITS_TEXT];
    row(t, "items", s->info.items, " of %" PRIu64, s->limits.max_items);
    out_format(&t->out, "  %-13s%s of %s, in %s of memory\n", "bytes", units_size(s->info.bytes, bytes),
               units_size(s->limits.max_bytes, most), units_size(s->memory, memory));
    row(t, "put", s->info.put, "", 0);
    row(t, "got", s->info.got, "", 0);
    if ((s->limits.flags & CANO_JOINABLE) != 0) {
        print_tasks(t, s);
    }
    row(t, "participants", s->info.participants, " of %" PRIu64, s->limits.max_participants);
    print_flags(t, s);
    print_waits(t, s->waits);
    if (s->shutdown != 0) {
        out_format(&t->out, "  %-13s%s\n", "shut down",
                   s->shutdown == 1 ? "what is left may be got" : "what was left is discarded");
    }
    if (s->needs_repair) {
        out_format(&t->out, "  %-13s%s\n", "repair",
                   "somebody died here; who works on it next puts it right, or 'cano doctor --repair'");
    }
}

static int run(tool *t)
{
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
    }
    const char *name = tool_operand(t, 0, "NAME");
    tool_at_most(t, 1);
    const glance *g = find(t, name);
    if (t->json) {
        json_begin(&t->out, '{');
        glance_write(&t->out, g);
        json_end(&t->out, '}');
        json_line(&t->out);
        return TOOL_DONE;
    }
    if (!g->queue && g->name.kind != CANO_INSPECT_LISTENER) {
        explain_and_fail(t, "look at", name, g->status);
    }
    char age[UNITS_TEXT];
    out_format(&t->out, "%s: %s, made %s ago\n", name, glance_kind(g), units_time(g->name.age, age));
    if (g->queue) {
        print_queue(t, &g->state);
    }
    return TOOL_DONE;
}

static const tool_example examples[] = {
    { "cano stat photos", "All that is known of it." },
    { "cano stat --json photos | jq .unfinished", "One number of it." },
    { NULL, NULL },
};

const tool_command cmd_stat = {
    .name = "stat",
    .page = "cano-inspect",
    .operands = "NAME",
    .completes = OPERAND_QUEUE,
    .summary = "tell all about one queue",
    .about =
        "Tell what is in a queue, what went through it, its limits, and who waits. Looking takes no place in it. While others "
        "work the numbers are snapshots, each true at some moment.",
    .examples = examples,
    .json = true,
    .run = run,
};
