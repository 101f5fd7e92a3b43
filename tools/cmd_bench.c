/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "explain.h"

#include <apr_file_info.h>
#include <apr_strings.h>
#include <string.h>

#define PROGRAM "cano-bench"

/* In the folder this tool was started from, if it was named with one; else wherever PATH has it. */
static const char *find_program(tool *t)
{
    const char *slash = strrchr(t->program, '/');
    if (slash == NULL) {
        return PROGRAM;
    }
    const char *beside =
        apr_pstrcat(t->pool, apr_pstrmemdup(t->pool, t->program, (apr_size_t)(slash + 1 - t->program)), PROGRAM, NULL);
    apr_finfo_t info;
    return apr_stat(&info, beside, APR_FINFO_TYPE, t->pool) == APR_SUCCESS ? beside : PROGRAM;
}

static int run(tool *t)
{
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
    }
    const char **argv = apr_pcalloc(t->pool, (apr_size_t)(t->operand_count + 2) * sizeof *argv);
    argv[0] = find_program(t);
    memcpy(argv + 1, t->operands, (size_t)t->operand_count * sizeof *argv);
    cano_process *process = NULL;
    const cano_status status = cano_process_spawn(&process, argv, NULL);
    if (status == CANO_ENOENT) {
        tool_fail(t, "there is no program '" PROGRAM
                     "' beside this one or in PATH; it is built from bench/ of cano's sources, and "
                     "scripts/bench builds and runs it");
    }
    cano_exit ended = { 0, 0 };
    if (status != CANO_OK || cano_process_wait(process, &ended, CANO_FOREVER) != CANO_OK) {
        explain_and_fail(t, "run", argv[0], status);
    }
    cano_process_close(process);
    return ended.signal != 0 ? TOOL_FAILED : ended.code;
}

static const tool_example examples[] = {
    { "cano bench -- --help", "What can be measured." },
    { NULL, NULL },
};

const tool_command cmd_bench = {
    .name = "bench",
    .page = "cano",
    .operands = "[-- ARGUMENT...]",
    .completes = OPERAND_NONE,
    .summary = "measure how fast it is here",
    .about = "Run the program " PROGRAM
             " with these arguments, from the folder of this tool or from PATH. It is built from bench/ of "
             "cano's sources. The exit status is its own.",
    .examples = examples,
    .run = run,
};
