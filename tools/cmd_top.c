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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY 120 /* looks that are remembered of a queue */
#define FIXED 66    /* columns in front of the sparkline */
#define NAME_WIDTH 16
#define KEY_SLICE 200 /* milliseconds: Ctrl-C is noticed within this */
#define SEEN_MOST 1024

enum {
    OPTION_INTERVAL = 256
};

/* What is remembered of a name between two looks. */
typedef struct history {
    char name[256];
    uint64_t depth[HISTORY]; /* the newest at the end */
    size_t used;
    uint64_t put, got;
    double in, out; /* per second */
    bool seen;      /* in this look */
} history;

/* Since when a task of the chosen queue is in the same hands. */
typedef struct seen_task {
    uint64_t task;
    uint32_t deliveries;
    int64_t since;
} seen_task;

typedef struct top {
    tool *t;
    tool frame_tool; /* with the pool of this frame */
    int64_t interval;
    uint64_t frames; /* to show; 0: no end */
    bool live;       /* on a terminal, with keys */
    history *histories;
    size_t history_count;
    glance *names;
    size_t name_count;
    char chosen[256];
    size_t first;    /* name shown first */
    size_t scrolled; /* lines of the lower part */
    seen_task seen[SEEN_MOST];
    size_t seen_count;
    int64_t looked_at;
    int columns, rows;
    out screen;
    int lines; /* printed in this frame */
} top;

/* ---- history ---- */

static history *history_of(top *p, const char *name)
{
    for (size_t i = 0; i < p->history_count; i++) {
        if (strcmp(p->histories[i].name, name) == 0) {
            return &p->histories[i];
        }
    }
    history *grown = realloc(p->histories, (p->history_count + 1) * sizeof *grown);
    if (grown == NULL) {
        tool_fail(p->t, "no memory left");
    }
    p->histories = grown;
    history *h = &grown[p->history_count++];
    *h = (history){ 0 };
    apr_cpystrn(h->name, name, sizeof h->name);
    return h;
}

static void remember(history *h, const cano_queue_info *info, double seconds)
{
    if (h->used > 0 && seconds > 0 && info->put >= h->put && info->got >= h->got) {
        h->in = (double)(info->put - h->put) / seconds;
        h->out = (double)(info->got - h->got) / seconds;
    }
    h->put = info->put;
    h->got = info->got;
    if (h->used == HISTORY) {
        memmove(h->depth, h->depth + 1, (HISTORY - 1) * sizeof h->depth[0]);
        h->used--;
    }
    h->depth[h->used++] = info->items;
    h->seen = true;
}

static void forget_unseen(top *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->history_count; i++) {
        if (p->histories[i].seen) {
            p->histories[i].seen = false;
            if (kept != i) {
                p->histories[kept] = p->histories[i];
            }
            kept++;
        }
    }
    p->history_count = kept;
}

static void look(top *p)
{
    apr_pool_clear(p->frame_tool.pool);
    p->name_count = glance_all(&p->frame_tool, false, &p->names);
    const int64_t now = host_now();
    const double seconds = p->looked_at == 0 ? 0 : (double)(now - p->looked_at) / 1e6;
    p->looked_at = now;
    for (size_t i = 0; i < p->name_count; i++) {
        if (p->names[i].queue) {
            remember(history_of(p, p->names[i].name.name), &p->names[i].state.info, seconds);
        }
    }
    forget_unseen(p);
}

/* ---- lines ---- */

static void begin_line(top *p)
{
    p->screen.comma = false;
}

static void end_line(top *p)
{
    out_text(&p->screen, p->live ? "\033[K\r\n" : "\n");
    p->lines++;
}

static bool is_room(const top *p, int reserve)
{
    return !p->live || p->lines + reserve < p->rows;
}

static void print_title(top *p)
{
    char left_text[UNITS_TEXT];
    char all_text[UNITS_TEXT];
    uint64_t left = 0;
    uint64_t all = 0;
    const char *directory = explain_directory(&p->frame_tool);
    host_space(directory, &left, &all);
    apr_time_exp_t local;
    apr_time_exp_lt(&local, apr_time_now());
    char title[256];
    snprintf(title, sizeof title, "cano top  %02d:%02d:%02d  %zu names in %s, %s free of %s", local.tm_hour, local.tm_min,
             local.tm_sec, p->name_count, directory, units_size(left, left_text), units_size(all, all_text));
    begin_line(p);
    out_shown(&p->screen, title, strlen(title), (size_t)p->columns);
    end_line(p);
    out_text(&p->screen, p->live ? "\033[7m" : "");
    out_format(&p->screen, "  %-*s %7s %7s %5s %5s %6s %6s %4s %4s %-*s", NAME_WIDTH, "NAME", "ITEMS", "UNFIN", "HAND", "DEAD",
               "IN/s", "OUT/s", "WAIT", "PART", p->columns - FIXED - 6 > 0 ? p->columns - FIXED - 6 : 0, "DEPTH");
    out_text(&p->screen, p->live ? "\033[0m" : "");
    end_line(p);
}

/* Each look a column, the highest of those shown the full height. */
static void print_depth(top *p, const history *h)
{
    static const char *const blocks[] = { " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588" };
    static const char *const letters[] = { " ", ".", ":", "-", "=", "+", "*", "#", "@" };
    const char *const *levels = term_is_utf8() ? blocks : letters;
    const size_t width = p->columns > FIXED + 6 ? (size_t)(p->columns - FIXED - 6) : 0;
    const size_t shown = h->used < width ? h->used : width;
    const uint64_t *depth = h->depth + h->used - shown;
    uint64_t highest = 1;
    for (size_t i = 0; i < shown; i++) {
        highest = depth[i] > highest ? depth[i] : highest;
    }
    for (size_t i = 0; i < shown; i++) {
        const uint64_t level = depth[i] == 0 ? 0 : 1 + depth[i] * 7 / highest;
        out_text(&p->screen, levels[level > 8 ? 8 : level]);
    }
}

static const char *waits_of(const cano_inspector_state *s, char text[8])
{
    snprintf(text, 8, "%s%s%s", (s->waits & CANO_WAITS_ITEM) != 0 ? "i" : "", (s->waits & CANO_WAITS_ROOM) != 0 ? "r" : "",
             (s->waits & CANO_WAITS_DONE) != 0 ? "j" : "");
    return text;
}

static const char *short_count(uint64_t count, char text[UNITS_TEXT])
{
    if (count < 100000) {
        snprintf(text, UNITS_TEXT, "%" PRIu64, count);
        return text;
    }
    return units_rate((double)count, text);
}

static void print_queue(top *p, const glance *g)
{
    const cano_queue_info *info = &g->state.info;
    const history *h = history_of(p, g->name.name);
    char items[UNITS_TEXT];
    char unfinished[UNITS_TEXT] = "-";
    char in[UNITS_TEXT];
    char going[UNITS_TEXT];
    char waits[8];
    if ((info->flags & CANO_JOINABLE) != 0) {
        short_count(info->unfinished, unfinished);
    }
    out_format(&p->screen, " %7s %7s %5" PRIu64 " %5" PRIu64 " %6s %6s %4s %4" PRIu32 " ", short_count(info->items, items),
               unfinished, info->leased, info->dead, units_rate(h->in, in), units_rate(h->out, going),
               waits_of(&g->state, waits), info->participants);
    print_depth(p, h);
}

static void print_name(top *p, const glance *g)
{
    const bool chosen = strcmp(g->name.name, p->chosen) == 0;
    const size_t length = strlen(g->name.name);
    out_text(&p->screen, p->live && chosen ? "\033[1m> " : chosen ? "> " : "  ");
    out_shown(&p->screen, g->name.name, length, NAME_WIDTH);
    for (size_t i = length; i < NAME_WIDTH; i++) {
        out_text(&p->screen, " ");
    }
    if (g->queue) {
        print_queue(p, g);
    } else {
        out_format(&p->screen, " %s", glance_kind(g));
    }
    out_text(&p->screen, p->live && chosen ? "\033[0m" : "");
    end_line(p);
}

/* ---- choosing ---- */

static size_t chosen_index(top *p)
{
    for (size_t i = 0; i < p->name_count; i++) {
        if (strcmp(p->names[i].name.name, p->chosen) == 0) {
            return i;
        }
    }
    return 0;
}

static void choose(top *p, size_t index)
{
    if (p->name_count > 0) {
        index = index < p->name_count ? index : p->name_count - 1;
        if (strcmp(p->chosen, p->names[index].name.name) != 0) {
            apr_cpystrn(p->chosen, p->names[index].name.name, sizeof p->chosen);
            p->scrolled = 0;
            p->seen_count = 0;
        }
    }
}

/* Up to about half of the screen; scrolled so that the chosen one is seen. */
static void print_names(top *p)
{
    const size_t room = p->live ? (size_t)(p->rows > 10 ? (p->rows - 4) / 2 : 3) : p->name_count;
    const size_t chosen = chosen_index(p);
    if (chosen < p->first) {
        p->first = chosen;
    }
    if (chosen >= p->first + room) {
        p->first = chosen - room + 1;
    }
    for (size_t i = p->first; i < p->name_count && i < p->first + room && is_room(p, 3); i++) {
        print_name(p, &p->names[i]);
    }
}

/* ---- who holds what ---- */

static int64_t seen_since(top *p, const cano_inspector_task *task, int64_t now)
{
    for (size_t i = 0; i < p->seen_count; i++) {
        if (p->seen[i].task == task->task && p->seen[i].deliveries == task->deliveries) {
            return p->seen[i].since;
        }
    }
    if (p->seen_count < SEEN_MOST) {
        p->seen[p->seen_count++] = (seen_task){ task->task, task->deliveries, now };
    }
    return now;
}

static void forget_done(top *p, const cano_inspector_task *tasks, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->seen_count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (tasks[j].task == p->seen[i].task && tasks[j].deliveries == p->seen[i].deliveries) {
                p->seen[kept++] = p->seen[i];
                break;
            }
        }
    }
    p->seen_count = kept;
}

/* A line of the lower part, if it is not scrolled away and there is room. */
static bool is_shown(top *p, size_t *skip)
{
    if (*skip > 0) {
        (*skip)--;
        return false;
    }
    return is_room(p, 2);
}

static void print_participant(top *p, const cano_inspector_participant *who)
{
    char name[32];
    out_format(&p->screen, "%6" PRIu32 " %9" PRId64 "  %-16s %-7s %5" PRIu64, who->slot, who->pid, glance_process(who, name),
               glance_role(who->role), who->leases);
    end_line(p);
}

static void print_task(top *p, const cano_inspector_task *task, int64_t now)
{
    char time[UNITS_TEXT];
    char line[96];
    const int64_t since = task->state == CANO_INSPECT_DELAYED ? task->due : now - seen_since(p, task, now);
    const int length =
        snprintf(line, sizeof line, "         task %" PRIu64 ", delivery %" PRIu32 ", %s %s%s: ", task->task, task->deliveries,
                 glance_task_state(task->state), task->state == CANO_INSPECT_DELAYED ? "for " : "", units_time(since, time));
    out_bytes(&p->screen, line, (size_t)length);
    const int left = p->columns - length;
    out_shown(&p->screen, task->preview, task->preview_size, left > 0 ? (size_t)left : 0);
    end_line(p);
}

static void print_tasks_of(top *p, uint32_t slot, const cano_inspector_task *tasks, size_t count, size_t *skip)
{
    for (size_t i = 0; i < count; i++) {
        if (tasks[i].slot == slot && is_shown(p, skip)) {
            print_task(p, &tasks[i], p->looked_at);
        }
    }
}

static void print_holders(top *p)
{
    cano_inspector *inspector = NULL;
    if (cano_inspector_open(&inspector, p->chosen) != CANO_OK) {
        return;
    }
    cano_inspector_participant *who;
    cano_inspector_task *tasks;
    const size_t who_count = glance_participants(&p->frame_tool, inspector, &who);
    const size_t task_count = glance_tasks(&p->frame_tool, inspector, &tasks);
    cano_inspector_close(inspector);
    forget_done(p, tasks, task_count);
    const size_t lines = who_count + task_count;
    p->scrolled = p->scrolled < lines ? p->scrolled : lines > 0 ? lines - 1 : 0;
    size_t skip = p->scrolled;
    out_text(&p->screen, p->live ? "\033[7m" : "");
    out_format(&p->screen, "%6s %9s  %-16s %-7s %5s  of ", "SLOT", "PID", "COMMAND", "ROLE", "HOLDS");
    out_shown(&p->screen, p->chosen, strlen(p->chosen), p->columns > 56 ? (size_t)p->columns - 56 : 0);
    out_text(&p->screen, p->live ? "\033[0m" : "");
    end_line(p);
    for (size_t i = 0; i < who_count; i++) {
        if (is_shown(p, &skip)) {
            print_participant(p, &who[i]);
        }
        print_tasks_of(p, who[i].slot, tasks, task_count, &skip);
    }
    print_tasks_of(p, 0, tasks, task_count, &skip);
}

/* ---- a frame ---- */

static void print_footer(top *p)
{
    while (p->lines < p->rows - 1) {
        end_line(p);
    }
    static const char keys[] = "up, down: choose  page up, down: scroll  q: quit  WAIT: i items, r room, j join";
    out_shown(&p->screen, keys, sizeof keys - 1, (size_t)p->columns - 1);
    out_text(&p->screen, "\033[K");
    out_text(&p->screen, "\033[J");
}

static void draw(top *p)
{
    term_size(&p->columns, &p->rows);
    p->lines = 0;
    out_text(&p->screen, p->live ? "\033[H" : "");
    print_title(p);
    print_names(p);
    if (p->chosen[0] != '\0' && is_room(p, 3)) {
        end_line(p);
        print_holders(p);
    }
    if (p->live) {
        print_footer(p);
    }
    out_flush(&p->screen);
}

static void print_json(top *p)
{
    out *o = &p->t->out;
    json_begin(o, '{');
    json_seconds(o, "time", apr_time_now());
    json_key(o, "names");
    json_begin(o, '[');
    for (size_t i = 0; i < p->name_count; i++) {
        json_begin(o, '{');
        glance_write(o, &p->names[i]);
        if (p->names[i].queue) {
            const history *h = history_of(p, p->names[i].name.name);
            json_seconds(o, "in_per_second", (int64_t)(h->in * 1e6));
            json_seconds(o, "out_per_second", (int64_t)(h->out * 1e6));
        }
        json_end(o, '}');
    }
    json_end(o, ']');
    json_end(o, '}');
    json_line(o);
    tool_flush(p->t);
}

/* ---- keys ---- */

/* False: quit. */
static bool obey(top *p, term_key key)
{
    const size_t index = chosen_index(p);
    const size_t page = (size_t)(p->rows > 8 ? p->rows / 3 : 2);
    switch (key) {
    case TERM_QUIT:
        return false;
    case TERM_UP:
        choose(p, index > 0 ? index - 1 : 0);
        break;
    case TERM_DOWN:
        choose(p, index + 1);
        break;
    case TERM_PAGE_UP:
    case TERM_LEFT:
        p->scrolled = p->scrolled > page ? p->scrolled - page : 0;
        break;
    case TERM_PAGE_DOWN:
    case TERM_RIGHT:
        p->scrolled += page;
        break;
    default:
        break;
    }
    return true;
}

/* Until it is time to look again, keys are obeyed at once. False: quit. */
static bool wait_and_obey(top *p)
{
    const int64_t end = p->looked_at + p->interval;
    for (int64_t left = p->interval; left > 0; left = end - host_now()) {
        const int milliseconds = (int)(left / 1000 + 1 < KEY_SLICE ? left / 1000 + 1 : KEY_SLICE);
        const term_key key = term_read_key(milliseconds);
        if (term_interrupts() > 0 || (p->live && !obey(p, key))) {
            return false;
        }
        if (p->live && key != TERM_NOTHING) {
            draw(p);
        }
    }
    return true;
}

static void show(top *p)
{
    bool go_on = true;
    for (uint64_t frame = 0; go_on && (p->frames == 0 || frame < p->frames); frame++) {
        look(p);
        choose(p, chosen_index(p));
        if (p->t->json) {
            print_json(p);
        } else {
            draw(p);
        }
        if (p->frames == 0 || frame + 1 < p->frames) {
            go_on = wait_and_obey(p);
        }
    }
}

static int run(tool *t)
{
    static top p;
    p = (top){ .t = t, .frame_tool = *t, .interval = 1000000 };
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        if (letter == 'n') {
            p.frames = tool_count(t, "-n", value, 1, UINT64_MAX / 2);
        } else {
            p.interval = tool_seconds(t, "--interval", value);
        }
    }
    tool_at_most(t, 1);
    if (t->operand_count > 0) {
        apr_cpystrn(p.chosen, t->operands[0], sizeof p.chosen);
    }
    apr_pool_create(&p.frame_tool.pool, t->pool);
    p.live = !t->json && p.frames == 0 && term_is_terminal(1) && term_raw(true);
    p.frames = p.live || t->json || p.frames > 0 ? p.frames : 1;
    out_open(&p.screen, 1, t->pool);
    term_count_interrupts();
    if (p.live) {
        out_text(&p.screen, "\033[?1049h\033[?25l"); /* another screen, no cursor */
    }
    show(&p);
    if (p.live) {
        out_text(&p.screen, "\033[?25h\033[?1049l");
        out_flush(&p.screen);
        term_raw(false);
    }
    return TOOL_DONE;
}

static const tool_option options[] = {
    { "interval", OPTION_INTERVAL, "S", "look every S seconds (1)" },
    { "count", 'n', "N", "print N looks as plain text instead of keeping the screen (1 where there is no terminal)" },
    { NULL, 0, NULL, NULL },
};

static const tool_example examples[] = {
    { "cano top", "All queues, live." },
    { "cano top -n 1 photos", "One look, with who holds what of photos." },
    { "cano top --json --interval 10 >> queues.json", "A document every ten seconds." },
    { NULL, NULL },
};

const tool_command cmd_top = {
    .name = "top",
    .page = "cano-inspect",
    .operands = "[QUEUE]",
    .completes = OPERAND_QUEUE,
    .summary = "watch queues live",
    .about =
        "Show all queues: items queued (and as a curve over the last looks), tasks unfinished and in hand, dead letters, items "
        "put "
        "and taken a second, who waits (i: for items, r: for room, j: in join), participants. Below it, who is attached to the "
        "chosen queue, and what each holds since when top first saw it.\n\n"
        "Arrow keys choose a queue, page up and page down scroll who holds what, q ends. Looking takes no place in a queue.",
    .options = options,
    .examples = examples,
    .json = true,
    .run = run,
};
