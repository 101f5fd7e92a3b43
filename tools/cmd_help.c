/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "describe.h"

enum {
    OPTION_MAN = 256,
    OPTION_COMPLETION
};

static int run(tool *t)
{
    const char *page = NULL;
    const char *shell = NULL;
    const char *value;
    int letter;
    while (tool_next(t, &letter, &value)) {
        *(letter == OPTION_MAN ? &page : &shell) = value;
    }
    tool_at_most(t, page != NULL || shell != NULL ? 0 : 1);
    if (page != NULL && !describe_page(&t->out, page)) {
        tool_usage(t, "there is no page '%s': cano, cano-queue, cano-work, cano-inspect, cano-pipe", page);
    }
    if (shell != NULL && !describe_completion(&t->out, shell)) {
        tool_usage(t, "no completions for '%s': bash, zsh, fish", shell);
    }
    if (page != NULL || shell != NULL) {
        return TOOL_DONE;
    }
    if (t->operand_count == 0) {
        describe_all(&t->out);
        return TOOL_DONE;
    }
    const tool_command *command = tool_find(t->operands[0]);
    if (command == NULL) {
        tool_usage(t, "there is no command '%s'; 'cano help' lists them", t->operands[0]);
    }
    describe_help(&t->out, command);
    return TOOL_DONE;
}

static const tool_option options[] = {
    { "man", OPTION_MAN, "PAGE", "write the manual page PAGE: cano, cano-queue, cano-work, cano-inspect, cano-pipe" },
    { "completion", OPTION_COMPLETION, "SHELL", "write the completions for bash, zsh or fish" },
    { NULL, 0, NULL, NULL },
};

static const tool_example examples[] = {
    { "cano help work", "All about cano work." },
    { "source <(cano help --completion bash)", "Complete commands, options and names of queues in this bash." },
    { "cano help --man cano-work | man -l -", "The manual page, where it is not installed." },
    { NULL, NULL },
};

const tool_command cmd_help = {
    .name = "help",
    .page = "cano",
    .operands = "[COMMAND]",
    .completes = OPERAND_COMMAND_NAME,
    .summary = "tell about the commands",
    .about = "List the commands, or tell all about one of them.",
    .options = options,
    .examples = examples,
    .run = run,
};
