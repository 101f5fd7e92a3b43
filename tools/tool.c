/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include "describe.h"
#include "units.h"

#include <apr_env.h>
#include <apr_strings.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_DIR = 1000,
    OPTION_JSON,
    OPTION_HELP
};

const tool_option tool_common_options[] = {
    { "dir", OPTION_DIR, "DIR", "look for names in DIR instead of $CANO_DIR or the user's own directory" },
    { "json", OPTION_JSON, NULL, "print JSON, one document a line" },
    { "help", OPTION_HELP, NULL, "print this help" },
    { NULL, 0, NULL, NULL },
};

const tool_command *tool_find(const char *name)
{
    for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
        if (strcmp((*c)->name, name) == 0) {
            return *c;
        }
    }
    return NULL;
}

/* ---- speaking ---- */

static void say(const tool *t, const char *format, va_list list)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, list);
    fprintf(stderr, "cano%s%s: %s\n", t->command != NULL ? " " : "", t->command != NULL ? t->command->name : "", text);
}

void tool_say(const tool *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(t, format, list);
    va_end(list);
}

noreturn void tool_fail(tool *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    out_flush(&t->out);
    say(t, format, list);
    va_end(list);
    exit(TOOL_FAILED);
}

noreturn void tool_usage(tool *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(t, format, list);
    va_end(list);
    fprintf(stderr, "usage: cano %s [OPTION...] %s ('cano %s --help' tells more)\n", t->command->name, t->command->operands,
            t->command->name);
    exit(TOOL_USAGE);
}

void tool_flush(tool *t)
{
    if (!out_flush(&t->out)) {
        char why[120];
        tool_fail(t, "cannot write to standard output: %s", apr_strerror(t->out.failed, why, sizeof why));
    }
}

/* ---- options ---- */

static const char standard_input[] = "-";

bool tool_is_standard_input(const char *operand)
{
    return operand == standard_input || strcmp(operand, "-") == 0;
}

/* APR takes a bare "-" for a bad option: until "--" it goes by another name. */
static const char *const *without_dashes(tool *t, int count, const char *const *argv)
{
    const char **copy = apr_pcalloc(t->pool, (apr_size_t)(count + 1) * sizeof *copy);
    bool options = true;
    for (int i = 0; i < count; i++) {
        options &= strcmp(argv[i], "--") != 0;
        copy[i] = options && strcmp(argv[i], "-") == 0 ? "\001-" : argv[i];
    }
    return copy;
}

static void add_options(apr_getopt_option_t *known, int *count, const tool_option *options, bool json)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (options->letter != OPTION_JSON || json) {
            known[(*count)++] = (apr_getopt_option_t){ options->name, options->letter, options->argument != NULL, NULL };
        }
    }
}

void tool_begin(tool *t, int count, const char *const *argv)
{
    apr_getopt_option_t *known = apr_pcalloc(t->pool, 40 * sizeof *known);
    int known_count = 0;
    add_options(known, &known_count, t->command->options, t->command->json);
    add_options(known, &known_count, tool_common_options, t->command->json);
    t->known = known;
    apr_getopt_init(&t->arguments, t->pool, count, without_dashes(t, count, argv));
    t->arguments->interleave = 1;
    t->arguments->errfn = NULL;
}

static void take_operands(tool *t)
{
    t->operand_count = t->arguments->argc - t->arguments->ind;
    t->operands = t->arguments->argv + t->arguments->ind;
    for (int i = 0; i < t->operand_count; i++) {
        if (strcmp(t->operands[i], "\001-") == 0) {
            t->operands[i] = standard_input;
        }
    }
}

/* The argument that was read last. */
static const char *offender(const tool *t)
{
    return t->arguments->ind > 0 ? t->arguments->argv[t->arguments->ind - 1] : "";
}

bool tool_next(tool *t, int *letter, const char **value)
{
    for (;;) {
        const apr_status_t status = apr_getopt_long(t->arguments, t->known, letter, value);
        if (status == APR_EOF) {
            take_operands(t);
            return false;
        }
        if (status == APR_BADARG) {
            tool_usage(t, "%s needs a value, or takes none", offender(t));
        }
        if (status != APR_SUCCESS) {
            tool_usage(t, "there is no option like %s", offender(t));
        }
        if (*letter == OPTION_HELP) {
            describe_help(&t->out, t->command);
            tool_flush(t);
            exit(TOOL_DONE);
        }
        if (*letter == OPTION_JSON) {
            t->json = true;
        } else if (*letter == OPTION_DIR) {
            apr_env_set("CANO_DIR", *value, t->pool);
        } else {
            return true;
        }
    }
}

const char *tool_operand(tool *t, int index, const char *name)
{
    if (index >= t->operand_count) {
        tool_usage(t, "%s is missing", name);
    }
    return t->operands[index];
}

void tool_at_most(tool *t, int count)
{
    if (t->operand_count > count) {
        tool_usage(t, "what is '%s' for?", t->operands[count]);
    }
}

/* ---- values ---- */

uint64_t tool_count(tool *t, const char *option, const char *value, uint64_t low, uint64_t high)
{
    uint64_t count;
    if (!units_read_count(value, &count) || count < low || count > high) {
        tool_usage(t, "%s: '%s' is no number from %" PRIu64 " to %" PRIu64, option, value, low, high);
    }
    return count;
}

uint64_t tool_size(tool *t, const char *option, const char *value, uint64_t low, uint64_t high)
{
    uint64_t bytes;
    if (!units_read_size(value, &bytes) || bytes < low || bytes > high) {
        char least[UNITS_TEXT];
        char most[UNITS_TEXT];
        tool_usage(t, "%s: '%s' is no size from %s to %s, as 512, 64K, 1.5M or 2G", option, value, units_size(low, least),
                   units_size(high, most));
    }
    return bytes;
}

cano_timeout tool_seconds(tool *t, const char *option, const char *value)
{
    int64_t microseconds;
    if (!units_read_seconds(value, &microseconds)) {
        tool_usage(t, "%s: '%s' is no time, as 2, 0.5, 100ms, 3m or 1h", option, value);
    }
    return microseconds;
}
