/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"
#include "queues.h"

#include <stdlib.h>

enum {
    OPTION_TIMEOUT = 256
};

/* Copy the oldest item, in memory that fits; another getter may take it between two tries. */
static cano_status peek(cano_queue *queue, cano_timeout timeout, void **data, size_t *size)
{
    size_t capacity = 4096;
    for (;;) {
        void *memory = malloc(capacity);
        if (memory == NULL) {
            return CANO_ENOMEM;
        }
        const cano_status status = cano_queue_peek(queue, memory, capacity, size, timeout);
        if (status == CANO_OK) {
            *data = memory;
            return CANO_OK;
        }
        free(memory);
        if (status != CANO_ETOOBIG) {
            return status;
        }
        capacity = *size;
    }
}

static void print(tool *t, const void *data, size_t size, char separator)
{
    if (!t->json) {
        out_bytes(&t->out, data, size);
        out_bytes(&t->out, &separator, 1);
        return;
    }
    json_begin(&t->out, '{');
    json_bytes(&t->out, "item", data, size);
    json_end(&t->out, '}');
    json_line(&t->out);
}

static int run(tool *t)
{
    cano_timeout timeout = CANO_NOW;
    char separator = '\n';
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        if (letter == '0') {
            separator = '\0';
        } else {
            timeout = tool_seconds(t, "--timeout", value);
        }
    }
    const char *name = tool_operand(t, 0, "QUEUE");
    tool_at_most(t, 1);
    cano_queue *queue = queues_open(t, name, 0, false);
    void *data = NULL;
    size_t size = 0;
    const cano_status status = peek(queue, timeout, &data, &size);
    cano_queue_close(queue);
    if (status == CANO_ETIMEOUT || status == CANO_ECLOSED) {
        return TOOL_NO;
    }
    if (status != CANO_OK) {
        explain_and_fail(t, "look into", name, status);
    }
    print(t, data, size, separator);
    free(data);
    return TOOL_DONE;
}

static const tool_option options[] = {
    { "timeout", OPTION_TIMEOUT, "S", "wait up to S seconds for an item instead of not at all" },
    { "null", '0', NULL, "end the item with a NUL byte instead of a line end" },
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "the queue is empty" }, { 0, NULL } };

static const tool_example examples[] = {
    { "cano peek photos", "What comes next." },
    { "cano peek photos >/dev/null || echo nothing to do", "Is there anything?" },
    { NULL, NULL },
};

const tool_command cmd_peek = {
    .name = "peek",
    .page = "cano-queue",
    .operands = "QUEUE",
    .completes = OPERAND_QUEUE,
    .summary = "print the oldest item and leave it where it is",
    .about = "Print the oldest item of QUEUE and leave it where it is.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
