/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "talk.h"

#define ROUNDS 100 /* of "nobody listens" and "somebody does" in turn */

/* Whoever comes first listens. */
static cano_status meet(const conversation *talk, cano_pipe **pipe)
{
    cano_status status = CANO_EEXIST;
    for (int round = 0; round < ROUNDS && status == CANO_EEXIST; round++) { /* another one listens since just now */
        status = cano_connect(pipe, talk->name, NULL, CANO_NOW);
        if (status == CANO_ETIMEOUT) {
            return talk_connect(talk, pipe);
        }
        if (status == CANO_ENOENT) {
            status = talk_listen(talk, pipe);
        }
    }
    return status;
}

static int run(tool *t)
{
    const conversation talk = talk_read_options(t);
    cano_pipe *pipe = NULL;
    const cano_status status = meet(&talk, &pipe);
    return talk_through(&talk, pipe, status, "meet anybody at");
}

static const tool_option options[] = {
    TALK_OPTIONS,
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "nobody came in time (--timeout)" },
                                   { TOOL_INTERRUPTED, "ended by Ctrl-C" },
                                   { 0, NULL } };

static const tool_example examples[] = {
    { "cano pipe lesson", "In two terminals: what is typed in one is read in the other." },
    { NULL, NULL },
};

const tool_command cmd_pipe = {
    .name = "pipe",
    .page = "cano-pipe",
    .operands = "NAME",
    .completes = OPERAND_QUEUE,
    .summary = "talk with whoever says the same name",
    .about =
        "A pipe between two terminals, with one person at each end. Whoever comes first listens under NAME, the second one "
        "connects; then each line of one is printed by the other. The end of the input (Ctrl-D) ends the conversation for "
        "both.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
