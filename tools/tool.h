/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subcommands of cano share: how each describes itself, how it reads its arguments, how it speaks and how it ends.
 *
 * A subcommand is a tool_command in a file of its own, listed in cano.c. Its description is the one source of --help, of the
 * man pages and of the completions (describe.h).
 */
#ifndef CANO_TOOL_H
#define CANO_TOOL_H

#include "out.h"

#include <apr_getopt.h>
#include <apr_pools.h>
#include <cano/cano.h>
#include <stdbool.h>
#include <stdnoreturn.h>

/* Exit statuses. */
enum {
    TOOL_DONE = 0,
    TOOL_NO = 1,           /* the answer is no: nothing there, not in time, something is wrong */
    TOOL_USAGE = 2,        /* the command line makes no sense */
    TOOL_FAILED = 3,       /* it could not be done; a message says why */
    TOOL_INTERRUPTED = 130 /* Ctrl-C */
};

typedef struct tool_option {
    const char *name;     /* long */
    int letter;           /* short; from 256 on: none */
    const char *argument; /* what it takes; NULL: nothing */
    const char *help;     /* a line without a full stop */
} tool_option;

typedef struct tool_example {
    const char *line;
    const char *meaning;
} tool_example;

typedef struct tool_exit {
    int status;
    const char *meaning;
} tool_exit;

/* What completes an operand. */
typedef enum tool_operand_kind {
    OPERAND_NONE,
    OPERAND_QUEUE,
    OPERAND_QUEUE_FILES,
    OPERAND_QUEUE_COMMAND,
    OPERAND_COMMAND_NAME
} tool_operand_kind;

typedef struct tool tool;

typedef struct tool_command {
    const char *name;
    const char *page;     /* the man page it is on */
    const char *operands; /* as shown; "" for none */
    tool_operand_kind completes;
    const char *summary;          /* a line without a full stop */
    const char *about;            /* paragraphs, an empty line between them */
    const tool_option *options;   /* ended by a NULL name; NULL for none */
    const tool_exit *exits;       /* beyond 0, 2 and 3; ended by status 0; NULL for none */
    const tool_example *examples; /* ended by a NULL line */
    bool json;                    /* it knows --json */
    int (*run)(tool *);           /* returns the exit status */
} tool_command;

struct tool {
    apr_pool_t *pool;
    const char *program; /* as it was called */
    const tool_command *command;
    bool json;
    out out; /* standard output; flushed at the end */
    apr_getopt_t *arguments;
    const apr_getopt_option_t *known;
    const char **operands; /* once tool_next has returned false */
    int operand_count;
};

/* The subcommands, ended by NULL; cano.c. */
extern const tool_command *const tool_commands[];
const tool_command *tool_find(const char *name);

/* ---- arguments ---- */

/* Options that every subcommand has; letters from 1000 on. */
extern const tool_option tool_common_options[];

/* Before the first tool_next; argv[0] is the subcommand. */
void tool_begin(tool *t, int count, const char *const *argv);

/* The next option of the command's own. --help, --dir and --json are seen to. False: no more, operands are set. */
bool tool_next(tool *t, int *letter, const char **value);

/* Operand number index, which must be there; name is for the message. */
const char *tool_operand(tool *t, int index, const char *name);
void tool_at_most(tool *t, int count);

/* An operand "-": standard input. */
bool tool_is_standard_input(const char *operand);

/* The value of an option as a number, a size in bytes (64K, 1M), a time in seconds (0.5, 2m); or the usage error. */
uint64_t tool_count(tool *t, const char *option, const char *value, uint64_t low, uint64_t high);
uint64_t tool_size(tool *t, const char *option, const char *value, uint64_t low, uint64_t high);
cano_timeout tool_seconds(tool *t, const char *option, const char *value);

/* ---- speaking, on standard error ---- */

#if defined(__GNUC__)
#define TOOL_FORMAT(text, first) __attribute__((format(printf, text, first)))
#else
#define TOOL_FORMAT(text, first)
#endif

void tool_say(const tool *t, const char *format, ...) TOOL_FORMAT(2, 3);
noreturn void tool_fail(tool *t, const char *format, ...) TOOL_FORMAT(2, 3);  /* ends with TOOL_FAILED */
noreturn void tool_usage(tool *t, const char *format, ...) TOOL_FORMAT(2, 3); /* ends with TOOL_USAGE */

/* Write out what is left of standard output; fails if that cannot be. */
void tool_flush(tool *t);

#endif
