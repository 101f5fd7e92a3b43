/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cano command: queues and pipes between processes, from a shell. Each subcommand is a file, cmd_NAME.c.
 */
#include "commands.h"
#include "describe.h"
#include "term.h"
#include "tool.h"

#include <apr_env.h>
#include <apr_general.h>
#include <stdio.h>
#include <string.h>

const tool_command *const tool_commands[] = {
    &cmd_put, &cmd_get, &cmd_peek,   &cmd_shutdown, &cmd_rm,   &cmd_work,   &cmd_join,    &cmd_dead,  &cmd_ls,   &cmd_stat,
    &cmd_top, &cmd_who, &cmd_doctor, &cmd_trace,    &cmd_pipe, &cmd_listen, &cmd_connect, &cmd_bench, &cmd_help, NULL,
};

static int complain(const char *what, const char *about)
{
    fprintf(stderr, "cano: %s '%s'; 'cano help' lists the commands\n", what, about);
    return TOOL_USAGE;
}

static int print(tool *t, const char *version)
{
    if (version != NULL) {
        out_format(&t->out, "cano %s\n", version);
    } else {
        describe_all(&t->out);
    }
    tool_flush(t);
    return TOOL_DONE;
}

static int run(tool *t, int argc, const char *const *argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return print(t, NULL);
        }
        if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
            return print(t, cano_version());
        }
        const bool joined = strncmp(argv[i], "--dir=", 6) == 0;
        if (!joined && (strcmp(argv[i], "--dir") != 0 || i + 1 == argc)) {
            return complain("there is no option like, or no value for,", argv[i]);
        }
        apr_env_set("CANO_DIR", joined ? argv[i] + 6 : argv[++i], t->pool);
    }
    if (i == argc) {
        describe_all(&t->out);
        fwrite(t->out.bytes, 1, t->out.used, stderr);
        return TOOL_USAGE;
    }
    t->command = tool_find(argv[i]);
    if (t->command == NULL) {
        return complain("there is no command", argv[i]);
    }
    tool_begin(t, argc - i, argv + i);
    const int status = t->command->run(t);
    tool_flush(t);
    return status;
}

int main(int argc, char **argv)
{
    const char *const *arguments = (const char *const *)argv;
    apr_app_initialize(&argc, &arguments, NULL); /* on Windows it makes them UTF-8 */
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    term_start();
    tool t = { .pool = pool, .program = arguments[0] };
    out_open(&t.out, 1, pool);
    return run(&t, argc, arguments);
}
