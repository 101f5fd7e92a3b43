/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "talk.h"

static int run(tool *t)
{
    const conversation talk = talk_read_options(t);
    cano_pipe *pipe = NULL;
    const cano_status status = talk_connect(&talk, &pipe);
    return talk_through(&talk, pipe, status, "connect to");
}

static const tool_option options[] = {
    TALK_OPTIONS,
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "nobody listened in time (--timeout)" },
                                   { TOOL_INTERRUPTED, "ended by Ctrl-C" },
                                   { 0, NULL } };

static const tool_example examples[] = {
    { "cano connect lesson", "The other end of 'cano listen lesson'." },
    { "echo bom dia | cano connect --linger 2 lesson", "Say one line, and hear the answer." },
    { NULL, NULL },
};

const tool_command cmd_connect = {
    .name = "connect",
    .page = "cano-pipe",
    .operands = "NAME",
    .completes = OPERAND_QUEUE,
    .summary = "connect to somebody who listens, and talk",
    .about = "Connect to whoever listens under NAME, waiting for one to appear; then talk as 'cano listen' does.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
