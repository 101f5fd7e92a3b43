/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "input.h"
#include "queues.h"

#include <apr_time.h>
#include <string.h>

#define HELD_MOST 64       /* tasks written and not yet acknowledged */
#define LIMIT_PAUSE 100000 /* microseconds between two looks whether a lease is free */

enum {
    OPTION_TIMEOUT = 256,
    OPTION_FOLLOW,
    OPTION_ACK,
    OPTION_ALL
};

typedef struct get {
    tool *t;
    const char *name;
    cano_queue *queue;
    uint64_t wanted; /* items still to come */
    cano_timeout timeout;
    bool follow;
    bool ask; /* the reader acknowledges each item */
    bool joinable;
    char separator;
    uint64_t count;
    cano_item held[HELD_MOST];
    size_t held_count;
    input answers;
} get;

/* ---- tasks ---- */

static void end_task(get *g, const cano_item *item, bool done)
{
    const cano_status status = done ? cano_queue_task_done(g->queue, item) : cano_queue_give_back(g->queue, item, CANO_NOW);
    if (status != CANO_OK) {
        explain_and_fail(g->t, "finish a task of", g->name, status);
    }
}

/* Done is what has been written out; what cannot be written goes back. */
static void settle(get *g)
{
    const bool written = out_flush(&g->t->out);
    for (size_t i = 0; i < g->held_count; i++) {
        end_task(g, &g->held[i], written);
    }
    g->held_count = 0;
    if (!written) {
        cano_queue_close(g->queue);
        tool_flush(g->t); /* says why */
    }
}

/* A line for each item: empty or "ok" is yes, anything else is no, and so is the end. */
static bool is_acknowledged(get *g)
{
    cano_slice answer;
    const input_result result = input_next(&g->answers, &answer);
    if (result != INPUT_ITEM) {
        g->wanted = 0;
        return false;
    }
    return answer.size == 0 || (answer.size == 2 && memcmp(answer.data, "ok", 2) == 0);
}

/* ---- items ---- */

static void print(get *g, const cano_item *item)
{
    out *o = &g->t->out;
    if (!g->t->json) {
        out_bytes(o, item->data, item->size);
        out_bytes(o, &g->separator, 1);
        return;
    }
    json_begin(o, '{');
    if (g->joinable) {
        json_number(o, "task", item->task);
        json_number(o, "deliveries", item->deliveries);
    }
    json_bytes(o, "item", item->data, item->size);
    json_end(o, '}');
    json_line(o);
}

static void hand_over(get *g, cano_item *item)
{
    print(g, item);
    g->count++;
    g->wanted--;
    if (!g->joinable) {
        cano_queue_release(g->queue, item);
        return;
    }
    if (g->ask) {
        tool_flush(g->t);
        end_task(g, item, is_acknowledged(g));
        return;
    }
    g->held[g->held_count++] = *item;
    if (g->held_count == HELD_MOST) {
        settle(g);
    }
}

/* What is there at once; else write out what there was, and wait: for items, and (CANO_ELIMIT) for others to finish tasks. */
static cano_status take(get *g, cano_item *item)
{
    cano_status status = cano_queue_take(g->queue, item, CANO_NOW);
    if (status == CANO_ETIMEOUT || status == CANO_ELIMIT) {
        settle(g);
        status = cano_queue_take(g->queue, item, g->follow ? CANO_FOREVER : g->timeout);
    }
    while (g->follow && status == CANO_ELIMIT) {
        apr_sleep(LIMIT_PAUSE);
        status = cano_queue_take(g->queue, item, CANO_FOREVER);
    }
    return status;
}

static cano_status get_items(get *g)
{
    cano_status status = CANO_OK;
    while (g->wanted > 0 && status == CANO_OK) {
        cano_item item;
        status = take(g, &item);
        if (status == CANO_OK) {
            hand_over(g, &item);
        }
    }
    settle(g);
    return status;
}

/* ---- the command ---- */

static void read_options(get *g)
{
    bool all = false;
    int letter;
    const char *value;
    while (tool_next(g->t, &letter, &value)) {
        switch (letter) {
        case 'n':
            g->wanted = tool_count(g->t, "-n", value, 1, UINT64_MAX / 2);
            break;
        case 'f':
            g->follow = true;
            break;
        case OPTION_ALL:
            all = true;
            break;
        case OPTION_ACK:
            g->ask = true;
            break;
        case OPTION_TIMEOUT:
            g->timeout = tool_seconds(g->t, "--timeout", value);
            break;
        default:
            g->separator = '\0';
        }
    }
    if (g->wanted == 0) {
        g->wanted = all || g->follow ? UINT64_MAX : 1;
    }
}

static int run(tool *t)
{
    get g = { .t = t, .timeout = CANO_NOW, .separator = '\n', .answers = { .separator = '\n', .most = 4096 } };
    read_options(&g);
    g.name = tool_operand(t, 0, "QUEUE");
    tool_at_most(t, 1);
    g.queue = queues_open(t, g.name, CANO_GETTER, g.ask);
    g.joinable = (queues_look(t, g.name).limits.flags & CANO_JOINABLE) != 0;
    if (g.ask) {
        input_open(&g.answers, "-", t->pool);
    }
    const cano_status status = get_items(&g);
    cano_queue_close(g.queue);
    const bool no_more = status == CANO_ETIMEOUT || status == CANO_ECLOSED;
    if (status != CANO_OK && !no_more) {
        explain_and_fail(t, "get from", g.name, status);
    }
    return g.count > 0 ? TOOL_DONE : TOOL_NO;
}

static const tool_option options[] = {
    { "count", 'n', "N", "get N items (1)" },
    { "all", OPTION_ALL, NULL, "get all that is there" },
    { "follow", 'f', NULL, "get whatever comes until the queue is shut down" },
    { "timeout", OPTION_TIMEOUT, "S", "wait up to S seconds for each item instead of not at all" },
    { "ack", OPTION_ACK, NULL, "each item waits for an answer, a line on standard input" },
    { "null", '0', NULL, "end items with a NUL byte instead of a line end" },
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "no item came" }, { 0, NULL } };

static const tool_example examples[] = {
    { "cano get photos", "The oldest item." },
    { "cano get --all -0 photos | xargs -0 ls -l", "All that is there." },
    { "cano get --follow events", "Print what comes until 'cano shutdown events'." },
    { "coproc cano get --follow --ack photos", "A worker in bash: read an item from it, do it, answer 'ok'." },
    { NULL, NULL },
};

const tool_command cmd_get = {
    .name = "get",
    .page = "cano-queue",
    .operands = "QUEUE",
    .completes = OPERAND_QUEUE,
    .summary = "get items out of a queue",
    .about =
        "Print the oldest item of QUEUE, and take it out.\n\n"
        "On a joinable queue the item is a task. It is done once it has been written out; if get is killed before that, it "
        "goes to the next one who gets. With --ack the reader says when it is done: after each item get waits for a line on "
        "standard input. An empty line or 'ok' means done; any other line gives the task back, and so does the end of the "
        "input, which ends get.\n\n"
        "For work that commands do, see 'cano work'.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
