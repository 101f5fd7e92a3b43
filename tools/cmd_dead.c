/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "graves.h"
#include "queues.h"

#include <inttypes.h>

typedef enum action {
    LIST,
    RETRY,
    DROP
} action;

typedef struct dead {
    tool *t;
    const char *name;
    cano_queue *queue;
    cano_queue *grave; /* NAME.dead; NULL: there is none */
    action action;
    char separator;
    uint64_t count;
} dead;

static void print(dead *d, const cano_item *item, bool by_queue)
{
    out *o = &d->t->out;
    if (!d->t->json) {
        out_bytes(o, item->data, item->size);
        out_bytes(o, &d->separator, 1);
        return;
    }
    json_begin(o, '{');
    json_text(o, "where", by_queue ? "queue" : "side queue");
    if (by_queue) {
        json_number(o, "task", item->task);
        json_number(o, "deliveries", item->deliveries);
    }
    json_bytes(o, "item", item->data, item->size);
    json_end(o, '}');
    json_line(o);
}

static void check(dead *d, cano_status status)
{
    if (status != CANO_OK) {
        explain_and_fail(d->t, "handle a dead letter of", d->name, status);
    }
}

/* ---- those that the queue keeps ---- */

/* As many as there are now: one that is queued afresh may die again meanwhile. Those that are only listed stay leased to the
 * end, so that each comes once, and are dead letters again when the queue is closed. */
static void handle_in_queue(dead *d)
{
    cano_queue_info info = { .size = sizeof info };
    check(d, cano_queue_stat(d->queue, &info));
    cano_item item;
    for (uint64_t i = 0; i < info.dead && cano_queue_dead_get(d->queue, &item, CANO_NOW) == CANO_OK; i++) {
        print(d, &item, true);
        d->count++;
        if (d->action == RETRY) {
            check(d, cano_queue_give_back(d->queue, &item, CANO_NOW));
        } else if (d->action == DROP) {
            check(d, cano_queue_task_done(d->queue, &item));
        }
    }
}

/* ---- those in NAME.dead ---- */

/* Put first, done then: a death in between leaves it in both. */
static void retry(dead *d, const cano_item *item)
{
    cano_status status = cano_queue_put(d->queue, item->data, item->size, CANO_NOW);
    if (status == CANO_ETIMEOUT) {
        tool_say(d->t, "'%s' is full and this waits for room: 'cano work %s' makes some", d->name, d->name);
        status = cano_queue_put(d->queue, item->data, item->size, CANO_FOREVER);
    }
    check(d, status);
}

static void handle_in_grave(dead *d)
{
    cano_queue_info info = { .size = sizeof info };
    check(d, cano_queue_stat(d->grave, &info));
    cano_item item;
    cano_status status = CANO_OK;
    for (uint64_t i = 0; i < info.items && (status = cano_queue_take(d->grave, &item, CANO_NOW)) == CANO_OK; i++) {
        print(d, &item, false);
        d->count++;
        if (d->action == RETRY) {
            retry(d, &item);
        }
        if (d->action != LIST) {
            check(d, cano_queue_task_done(d->grave, &item));
        }
    }
    if (status == CANO_ELIMIT) {
        tool_say(d->t, "there are %" PRIu64 ", more than can be listed at one time", info.items);
    }
}

/* ---- the command ---- */

static void open_queues(dead *d)
{
    d->queue = queues_open(d->t, d->name, 0, true);
    const char *grave = graves_name(d->name, d->t->pool);
    const cano_status status = grave != NULL ? cano_queue_open(&d->grave, grave, NULL) : CANO_ENOENT;
    if (status != CANO_OK && status != CANO_ENOENT) {
        explain_and_fail(d->t, "open", grave, status);
    }
}

static int run(tool *t)
{
    dead d = { .t = t, .separator = '\n' };
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        if (letter == '0') {
            d.separator = '\0';
        } else if (d.action != LIST && d.action != (letter == 'r' ? RETRY : DROP)) {
            tool_usage(t, "--retry and --drop exclude each other");
        } else {
            d.action = letter == 'r' ? RETRY : DROP;
        }
    }
    d.name = tool_operand(t, 0, "QUEUE");
    tool_at_most(t, 1);
    open_queues(&d);
    handle_in_queue(&d);
    if (d.grave != NULL) {
        handle_in_grave(&d);
    }
    cano_queue_close(d.grave);
    cano_queue_close(d.queue);
    return d.count > 0 ? TOOL_DONE : TOOL_NO;
}

static const tool_option options[] = {
    { "retry", 'r', NULL, "queue them afresh" },
    { "drop", 'd', NULL, "forget them" },
    { "null", '0', NULL, "end items with a NUL byte instead of a line end" },
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "there are none" }, { 0, NULL } };

static const tool_example examples[] = {
    { "cano dead photos", "What could not be done." },
    { "cano dead --retry photos && cano work photos -- convert {} {}.png", "Once more." },
    { NULL, NULL },
};

const tool_command cmd_dead = {
    .name = "dead",
    .page = "cano-work",
    .operands = "QUEUE",
    .completes = OPERAND_QUEUE,
    .summary = "list dead letters, queue them afresh, or drop them",
    .about =
        "Print the dead letters of QUEUE: tasks that failed too often. --retry also queues them afresh, --drop forgets "
        "them.\n\n"
        "A queue made with --retries keeps them itself, where they take leases. For another one 'cano work' puts them into a "
        "second queue, QUEUE.dead; both are listed here.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
