/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "queues.h"

static int run(tool *t)
{
    bool immediate = false;
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        immediate = true;
    }
    const char *name = tool_operand(t, 0, "QUEUE");
    tool_at_most(t, 1);
    cano_queue *queue = queues_open(t, name, 0, false);
    const cano_status status = cano_queue_shutdown(queue, immediate);
    cano_queue_close(queue);
    if (status != CANO_OK) {
        explain_and_fail(t, "shut down", name, status);
    }
    return TOOL_DONE;
}

static const tool_option options[] = {
    { "immediate", 'i', NULL, "also discard what is queued" },
    { NULL, 0, NULL, NULL },
};

static const tool_example examples[] = {
    { "cano shutdown photos", "Workers finish what is there, and end." },
    { "cano shutdown --immediate photos && cano rm photos", "Forget it all." },
    { NULL, NULL },
};

const tool_command cmd_shutdown = {
    .name = "shutdown",
    .page = "cano-queue",
    .operands = "QUEUE",
    .completes = OPERAND_QUEUE,
    .summary = "end a queue: nothing more is put, what is there may be got",
    .about =
        "End QUEUE for every process: nothing more can be put, what is there is still handed out, and who gets after that is "
        "told that it ended. The name stays until 'cano rm'.",
    .options = options,
    .examples = examples,
    .run = run,
};
