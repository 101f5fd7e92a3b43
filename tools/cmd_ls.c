/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "glance.h"
#include "units.h"

#include <inttypes.h>
#include <string.h>

enum {
    OPTION_NAMES = 256
};

static void print_names(tool *t, const glance *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].name.kind != CANO_INSPECT_OTHER) {
            out_format(&t->out, "%s\n", list[i].name.name);
        }
    }
}

static void print_json(tool *t, const glance *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_begin(&t->out, '{');
        glance_write(&t->out, &list[i]);
        json_end(&t->out, '}');
        json_line(&t->out);
    }
}

static void print_row(tool *t, const glance *g, int width)
{
    out *o = &t->out;
    char age[UNITS_TEXT];
    char bytes[UNITS_TEXT];
    char memory[UNITS_TEXT];
    units_time(g->name.age, age);
    out_format(o, "%-*s  %-9s", width, g->name.name, glance_kind(g));
    if (!g->queue) {
        out_format(o, " %9s %10s %8s %8s %12s %8s\n", "-", "-", "-", "-", "-", age);
        return;
    }
    const cano_queue_info *info = &g->state.info;
    out_format(o, " %9" PRIu64, info->items);
    if ((info->flags & CANO_JOINABLE) != 0) {
        out_format(o, " %10" PRIu64, info->unfinished);
    } else {
        out_format(o, " %10s", "-");
    }
    out_format(o, " %8s %8s %12" PRIu32 " %8s\n", units_size(info->bytes, bytes), units_size(g->state.memory, memory),
               info->participants, age);
}

static void print_table(tool *t, const glance *list, size_t count)
{
    int width = 12;
    for (size_t i = 0; i < count; i++) {
        const int length = (int)strlen(list[i].name.name);
        width = length > width ? length : width;
    }
    out_format(&t->out, "%-*s  %-9s %9s %10s %8s %8s %12s %8s\n", width, "NAME", "KIND", "ITEMS", "UNFINISHED", "BYTES",
               "MEMORY", "PARTICIPANTS", "AGE");
    for (size_t i = 0; i < count; i++) {
        print_row(t, &list[i], width);
    }
}

static int run(tool *t)
{
    bool names = false;
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        names = true;
    }
    tool_at_most(t, 0);
    glance *list;
    const size_t count = glance_all(t, !names, &list);
    if (names) {
        print_names(t, list, count);
    } else if (t->json) {
        print_json(t, list, count);
    } else {
        print_table(t, list, count);
    }
    return TOOL_DONE;
}

static const tool_option options[] = {
    { "names", OPTION_NAMES, NULL, "only the names, without looking into them" },
    { NULL, 0, NULL, NULL },
};

static const tool_example examples[] = {
    { "cano ls", "All queues and listeners." },
    { "cano ls --json | jq -r 'select(.unfinished > 0).name'", "Those with work left." },
    { NULL, NULL },
};

const tool_command cmd_ls = {
    .name = "ls",
    .page = "cano-inspect",
    .operands = "",
    .completes = OPERAND_NONE,
    .summary = "list queues and listeners",
    .about =
        "List the names there are: their kind (queue, joinable queue, listener, or what is wrong with it), items that can be "
        "got, "
        "tasks that are not done, bytes in use and memory taken, participants, and age. Looking takes no place in a queue and "
        "disturbs nobody.",
    .options = options,
    .examples = examples,
    .json = true,
    .run = run,
};
