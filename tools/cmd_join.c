/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "queues.h"

enum {
    OPTION_TIMEOUT = 256
};

static void print(tool *t, const char *name, cano_queue *queue, bool done)
{
    size_t unfinished = 0;
    if (!done) {
        cano_queue_unfinished(queue, &unfinished);
    }
    json_begin(&t->out, '{');
    json_text(&t->out, "queue", name);
    json_bool(&t->out, "done", done);
    json_number(&t->out, "unfinished", unfinished);
    json_end(&t->out, '}');
    json_line(&t->out);
}

static int run(tool *t)
{
    cano_timeout timeout = CANO_FOREVER;
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        timeout = tool_seconds(t, "--timeout", value);
    }
    const char *name = tool_operand(t, 0, "QUEUE");
    tool_at_most(t, 1);
    cano_queue *queue = queues_open(t, name, 0, true);
    const cano_status status = cano_queue_join(queue, timeout);
    if (status != CANO_OK && status != CANO_ETIMEOUT) {
        explain_and_fail(t, "wait for", name, status);
    }
    if (t->json) {
        print(t, name, queue, status == CANO_OK);
    }
    cano_queue_close(queue);
    return status == CANO_OK ? TOOL_DONE : TOOL_NO;
}

static const tool_option options[] = {
    { "timeout", OPTION_TIMEOUT, "S", "wait no longer than S seconds; 0 only asks" },
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "something was still unfinished (--timeout)" }, { 0, NULL } };

static const tool_example examples[] = {
    { "cano join photos && echo all done", "Wait for the last task, whoever does it." },
    { "cano join --timeout 0 photos", "Is everything done?" },
    { NULL, NULL },
};

const tool_command cmd_join = {
    .name = "join",
    .page = "cano-work",
    .operands = "QUEUE",
    .completes = OPERAND_QUEUE,
    .summary = "wait until every task of a queue is done",
    .about =
        "Wait until every task ever put into QUEUE is done. Tasks of workers that died come back and are waited for like any "
        "others; dead letters count as done.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
