/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "talk.h"

static int run(tool *t)
{
    const conversation talk = talk_read_options(t);
    cano_pipe *pipe = NULL;
    const cano_status status = talk_listen(&talk, &pipe);
    return talk_through(&talk, pipe, status, "listen at");
}

static const tool_option options[] = {
    TALK_OPTIONS,
    { NULL, 0, NULL, NULL },
};

static const tool_exit exits[] = { { TOOL_NO, "nobody came in time (--timeout)" },
                                   { TOOL_INTERRUPTED, "ended by Ctrl-C" },
                                   { 0, NULL } };

static const tool_example examples[] = {
    { "cano listen lesson", "One end; 'cano connect lesson' is the other." },
    { "cano listen lesson < questions > answers", "Say the lines of a file, keep what comes back." },
    { NULL, NULL },
};

const tool_command cmd_listen = {
    .name = "listen",
    .page = "cano-pipe",
    .operands = "NAME",
    .completes = OPERAND_QUEUE,
    .summary = "wait for somebody to connect, and talk",
    .about =
        "Listen under NAME until somebody connects ('cano connect', or a program with cano_connect); then send each line of "
        "standard "
        "input as a message, and print each message that comes as a line. The end of the input ends the conversation, once "
        "what is there by then has been printed; so does the other end when it leaves. The name is free again as soon as "
        "somebody has connected.",
    .options = options,
    .exits = exits,
    .examples = examples,
    .json = true,
    .run = run,
};
