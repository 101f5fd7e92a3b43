/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "input.h"
#include "queues.h"
#include "units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

enum {
    OPTION_TIMEOUT = 256,
    OPTION_RETRIES
};

typedef struct put {
    tool *t;
    const char *name;
    cano_queue *queue;
    cano_queue_options wanted;
    cano_timeout timeout;
    uint64_t max_items;
    uint64_t count;
    bool told; /* that it waits */
    input in;
} put;

/* ---- room ---- */

static void tell_waiting(put *p)
{
    if (!p->told) {
        tool_say(p->t,
                 "'%s' is full (%" PRIu64 " items, or all its bytes) and this waits for room: 'cano work %s' or 'cano get %s' "
                 "makes some",
                 p->name, p->max_items, p->name, p->name);
        p->told = true;
    }
}

static noreturn void give_up(put *p)
{
    char text[UNITS_TEXT];
    tool_say(p->t, "'%s' had no room for %s; %" PRIu64 " items were put", p->name, units_time(p->timeout, text), p->count);
    exit(TOOL_NO);
}

static void put_one(put *p, const cano_slice *item)
{
    cano_status status = cano_queue_put(p->queue, item->data, item->size, CANO_NOW);
    if (status == CANO_ETIMEOUT) {
        tell_waiting(p);
        status = cano_queue_put(p->queue, item->data, item->size, p->timeout);
    }
    if (status == CANO_ETIMEOUT) {
        give_up(p);
    }
    if (status != CANO_OK) {
        explain_and_fail(p->t, "put into", p->name, status);
    }
    p->count++;
}

/* All as one step while there is room for all; a queue that is nearly full, or small, gets them one by one. */
static void put_all(put *p, const cano_slice *items, size_t count)
{
    if (count > 1 && cano_queue_put_many(p->queue, items, count, CANO_NOW) == CANO_OK) {
        p->count += count;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        put_one(p, &items[i]);
    }
}

/* ---- input ---- */

static noreturn void fail_input(put *p, input_result result)
{
    char text[UNITS_TEXT];
    if (result == INPUT_TOO_LARGE) {
        tool_fail(p->t, "%s: item %" PRIu64 " is larger than '%s' takes (%s); make a queue with larger --bytes", p->in.name,
                  p->count + 1, p->name, units_size(p->in.most, text));
    }
    char why[120];
    tool_fail(p->t, "cannot read %s: %s", p->in.name, apr_strerror(p->in.failed, why, sizeof why));
}

/* What has been read is put before more is waited for. */
static void put_file(put *p)
{
    cano_slice items[BATCH];
    size_t count = 0;
    input_result result;
    do {
        result = input_take(&p->in, &items[count]);
        count += result == INPUT_ITEM;
        if (count == BATCH || result != INPUT_ITEM) {
            put_all(p, items, count);
            count = 0;
        }
        if (result == INPUT_NOTHING) {
            input_fill(&p->in);
        }
    } while (result == INPUT_ITEM || result == INPUT_NOTHING);
    if (result != INPUT_END) {
        fail_input(p, result);
    }
}

static void put_path(put *p, const char *path)
{
    const apr_status_t status = input_open(&p->in, path, p->t->pool);
    if (status != APR_SUCCESS) {
        char why[120];
        tool_fail(p->t, "cannot open %s: %s; %" PRIu64 " items were put", p->in.name, apr_strerror(status, why, sizeof why),
                  p->count);
    }
    put_file(p);
    input_close(&p->in);
}

/* ---- the command ---- */

static void read_options(put *p)
{
    int letter;
    const char *value;
    while (tool_next(p->t, &letter, &value)) {
        switch (letter) {
        case '0':
            p->in.separator = '\0';
            break;
        case 'w':
            p->in.whole = true;
            break;
        case OPTION_TIMEOUT:
            p->timeout = tool_seconds(p->t, "--timeout", value);
            break;
        case OPTION_RETRIES:
            p->wanted.max_deliveries = (uint32_t)tool_count(p->t, "--retries", value, 0, 65534) + 1;
            break;
        default:
            queues_limit(p->t, &p->wanted, letter, value);
        }
    }
}

static int run(tool *t)
{
    put p = { .t = t, .wanted = CANO_QUEUE_OPTIONS_INIT, .timeout = CANO_FOREVER, .in = { .separator = '\n' } };
    read_options(&p);
    p.name = tool_operand(t, 0, "QUEUE");
    p.wanted.role = CANO_PUTTER;
    p.queue = queues_make(t, p.name, &p.wanted);
    const cano_inspector_state state = queues_look(t, p.name);
    p.max_items = state.limits.max_items;
    p.in.most = (size_t)state.limits.max_bytes;
    for (int i = 1; i < t->operand_count; i++) {
        put_path(&p, t->operands[i]);
    }
    if (t->operand_count == 1) {
        put_path(&p, "-");
    }
    cano_queue_close(p.queue);
    if (t->json) {
        json_begin(&t->out, '{');
        json_text(&t->out, "queue", p.name);
        json_number(&t->out, "put", p.count);
        json_end(&t->out, '}');
        json_line(&t->out);
    }
    return TOOL_DONE;
}

static const tool_option options[] = {
    { "null", '0', NULL, "items end with a NUL byte instead of a line end, as find -print0 writes them" },
    { "whole", 'w', NULL, "each FILE is one item as a whole" },
    { "timeout", OPTION_TIMEOUT, "S", "give up when there was no room for S seconds" },
    { "retries", OPTION_RETRIES, "R", "a new queue makes a task a dead letter that failed R times more (no limit)" },
    QUEUE_LIMIT_OPTIONS,
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "there was no room in time (--timeout)" }, { 0, NULL } };

static const tool_example examples[] = {
    { "find . -name '*.jpg' | cano put photos", "A task for each picture." },
    { "find . -name '*.jpg' -print0 | cano put -0 photos", "The same for names with any byte in them." },
    { "cano put --whole letters *.txt", "The contents of each file as one item." },
    { "cano put --items 100000 --bytes 64M big < list", "Make a queue that holds more." },
    { NULL, NULL },
};

const tool_command cmd_put = {
    .name = "put",
    .page = "cano-queue",
    .operands = "QUEUE [FILE...]",
    .completes = OPERAND_QUEUE_FILES,
    .summary = "put items into a queue, made if it is not there",
    .about =
        "Put the lines of each FILE (of standard input, when none is named or for -) into QUEUE, each line an item, as soon as "
        "they are read. A queue that is not there is made: joinable, so that 'cano work' and 'cano join' know what is done.\n\n"
        "Limits that are given must agree with those of a queue that is there. A full queue makes put wait, and say so. What "
        "was put stays, also when put is killed; 'cano rm' ends the queue.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
