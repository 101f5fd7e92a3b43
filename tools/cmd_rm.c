/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "queues.h"

static int run(tool *t)
{
    bool force = false;
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        force = true;
    }
    tool_operand(t, 0, "QUEUE");
    int result = TOOL_DONE;
    for (int i = 0; i < t->operand_count; i++) {
        const cano_status status = cano_queue_unlink(t->operands[i]);
        if (status != CANO_OK && !(force && status == CANO_ENOENT)) {
            tool_say(t, "cannot remove '%s': %s", t->operands[i], explain(t, t->operands[i], status));
            result = TOOL_FAILED;
        }
    }
    return result;
}

static const tool_option options[] = {
    { "force", 'f', NULL, "a name that is not there is no failure" },
    { NULL, 0, NULL, NULL },
};

static const tool_example examples[] = {
    { "cano rm photos photos.dead", "Free both names." },
    { NULL, NULL },
};

const tool_command cmd_rm = {
    .name = "rm",
    .page = "cano-queue",
    .operands = "QUEUE...",
    .completes = OPERAND_QUEUE,
    .summary = "free the name of a queue",
    .about =
        "Free each name. Those who are attached go on using the queue; its memory is given back when the last one leaves. The "
        "next put of that name makes a new queue.\n\nA listener's name goes when the listener ends.",
    .options = options,
    .examples = examples,
    .run = run,
};
