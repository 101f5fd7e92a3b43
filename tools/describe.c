/* SPDX-License-Identifier: Apache-2.0 */
#include "describe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 79
#define INDENT 4

static const tool_exit always[] = {
    { TOOL_DONE, "done" },
    { TOOL_USAGE, "the command line makes no sense" },
    { TOOL_FAILED, "it could not be done; a message on standard error says why and what helps" },
};
#define ALWAYS (sizeof always / sizeof always[0])

static const char environment_text[] =
    "CANO_DIR names the directory in which names live; --dir overrides it. Without either it is a directory of the user's own: "
    "/dev/shm/cano-UID on Linux, $TMPDIR/cano-UID elsewhere on POSIX systems, %LOCALAPPDATA%\\cano on Windows.";

/* ---- text for a terminal ---- */

static void spaces(out *o, size_t count)
{
    while (count-- > 0) {
        out_text(o, " ");
    }
}

/* One paragraph, wrapped; the first line begins at column, the others at indent. */
static void wrap(out *o, const char *text, size_t length, size_t indent, size_t column)
{
    const char *end = text + length;
    while (text < end) {
        const size_t word = strcspn(text, " ") < (size_t)(end - text) ? strcspn(text, " ") : (size_t)(end - text);
        if (column > indent && column + 1 + word > WIDTH) {
            out_text(o, "\n");
            spaces(o, indent);
            column = indent;
        } else if (column > indent) {
            out_text(o, " ");
            column++;
        }
        out_bytes(o, text, word);
        column += word;
        text += word + (text + word < end ? 1 : 0);
    }
    out_text(o, "\n");
}

/* Paragraphs are told apart by an empty line. */
static void paragraphs(out *o, const char *text)
{
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        const size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
        wrap(o, text, length, 0, 0);
        text += length + (end != NULL ? 2 : 0);
        if (end != NULL) {
            out_text(o, "\n");
        }
    }
}

static size_t label_of(const tool_option *option, char *label, size_t capacity)
{
    const bool letter = option->letter < 256;
    const char short_form[] = { '-', (char)option->letter, ',', ' ', '\0' };
    return (size_t)snprintf(label, capacity, "%s--%s%s%s", letter ? short_form : "    ", option->name,
                            option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");
}

static void help_option(out *o, const tool_option *option)
{
    const size_t column = 28;
    char label[80];
    const size_t length = label_of(option, label, sizeof label);
    out_format(o, "  %s", label);
    if (length + 4 > column) {
        out_text(o, "\n");
        spaces(o, column);
    } else {
        spaces(o, column - length - 2);
    }
    wrap(o, option->help, strlen(option->help), column, column);
}

static bool is_json(const tool_option *option)
{
    return strcmp(option->name, "json") == 0;
}

static void help_options(out *o, const tool_command *command)
{
    out_text(o, "\nOptions\n");
    for (const tool_option *option = command->options; option != NULL && option->name != NULL; option++) {
        help_option(o, option);
    }
    for (const tool_option *option = tool_common_options; option->name != NULL; option++) {
        if (command->json || !is_json(option)) {
            help_option(o, option);
        }
    }
}

static void help_exit(out *o, const tool_exit *one)
{
    char label[16];
    snprintf(label, sizeof label, "  %-5d", one->status);
    out_text(o, label);
    wrap(o, one->meaning, strlen(one->meaning), strlen(label), strlen(label));
}

/* 0, then the command's own, then what is common. */
static void each_exit(out *o, const tool_command *command, void (*visit)(out *, const tool_exit *))
{
    visit(o, &always[0]);
    const tool_exit *own = command->exits;
    for (; own != NULL && own->status != 0 && own->status < TOOL_USAGE; own++) {
        visit(o, own);
    }
    for (size_t i = 1; i < ALWAYS; i++) {
        visit(o, &always[i]);
    }
    for (; own != NULL && own->status != 0; own++) {
        visit(o, own);
    }
}

void describe_help(out *o, const tool_command *command)
{
    out_format(o, "usage: cano %s [OPTION...]%s%s\n\n", command->name, *command->operands != '\0' ? " " : "",
               command->operands);
    paragraphs(o, command->about);
    help_options(o, command);
    out_text(o, "\nExit status\n");
    each_exit(o, command, help_exit);
    out_text(o, "\nExamples\n");
    for (const tool_example *example = command->examples; example->line != NULL; example++) {
        out_format(o, "  %s\n", example->line);
        spaces(o, INDENT + 2);
        wrap(o, example->meaning, strlen(example->meaning), INDENT + 2, INDENT + 2);
    }
}

typedef struct page {
    const char *name;
    const char *title;
    const char *summary;
} page;

static const page pages[] = {
    { "cano-queue", "Items", "put items into a queue and get them out" },
    { "cano-work", "Work", "do the tasks of a queue, with workers that may die" },
    { "cano-inspect", "Looking", "see what queues hold, who holds it, and what is wrong" },
    { "cano-pipe", "Conversations", "talk over a name, line by line" },
    { "cano", "Other", "queues and pipes between processes, from a shell" },
};
#define PAGES (sizeof pages / sizeof pages[0])

void describe_all(out *o)
{
    out_text(o, "usage: cano [--dir DIR] COMMAND [OPTION...] [ARGUMENT...]\n\n"
                "Queues and pipes between processes, from a shell; any participant may be killed at any moment.\n");
    for (size_t i = 0; i < PAGES; i++) {
        out_format(o, "\n%s\n", pages[i].title);
        for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
            if (strcmp((*c)->page, pages[i].name) == 0) {
                out_format(o, "  %-9s %s\n", (*c)->name, (*c)->summary);
            }
        }
    }
    out_text(o, "\n'cano COMMAND --help' tells more of each, with examples.\n");
}

/* ---- roff ---- */

/* Escaped; a line must not begin with a dot or a quote. */
static void roff(out *o, const char *text, size_t length)
{
    if (length > 0 && (text[0] == '.' || text[0] == '\'')) {
        out_text(o, "\\&");
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\') {
            out_text(o, "\\e");
        } else if (text[i] == '-') {
            out_text(o, "\\-");
        } else if (text[i] == '\'') {
            out_text(o, "\\(aq");
        } else {
            out_bytes(o, text + i, 1);
        }
    }
}

static void roff_text(out *o, const char *text)
{
    roff(o, text, strlen(text));
}

static void roff_paragraphs(out *o, const char *text)
{
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        const size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
        out_text(o, ".PP\n");
        roff(o, text, length);
        out_text(o, "\n");
        text += length + (end != NULL ? 2 : 0);
    }
}

static void roff_option(out *o, const tool_option *option)
{
    out_text(o, ".TP\n");
    if (option->letter < 256) {
        out_format(o, "\\fB\\-%c\\fR, ", option->letter);
    }
    out_text(o, "\\fB\\-\\-");
    roff_text(o, option->name);
    out_format(o, "\\fR%s%s%s\n", option->argument != NULL ? " \\fI" : "", option->argument != NULL ? option->argument : "",
               option->argument != NULL ? "\\fR" : "");
    roff_text(o, option->help);
    out_text(o, ".\n");
}

static void roff_exit(out *o, const tool_exit *one)
{
    out_format(o, ".TP\n\\fB%d\\fR\n", one->status);
    roff_text(o, one->meaning);
    out_text(o, ".\n");
}

static void roff_command(out *o, const tool_command *command)
{
    out_format(o, ".SH cano %s\n.B cano %s\n", command->name, command->name);
    out_text(o, "[\\fIOPTION\\fR...] ");
    roff_text(o, command->operands);
    out_text(o, "\n");
    roff_paragraphs(o, command->about);
    for (const tool_option *option = command->options; option != NULL && option->name != NULL; option++) {
        roff_option(o, option);
    }
    for (const tool_option *option = tool_common_options; option->name != NULL; option++) {
        if (command->json || !is_json(option)) {
            roff_option(o, option);
        }
    }
    out_text(o, ".PP\nExit status:\n");
    each_exit(o, command, roff_exit);
    out_text(o, ".PP\nExamples:\n");
    for (const tool_example *example = command->examples; example->line != NULL; example++) {
        out_text(o, ".PP\n.RS\n.nf\n");
        roff_text(o, example->line);
        out_text(o, "\n.fi\n.RE\n.RS 8\n");
        roff_text(o, example->meaning);
        out_text(o, "\n.RE\n");
    }
}

/* What the page cano says beside its subcommands. */
static void roff_overview(out *o)
{
    out_text(o, ".SH SUBCOMMANDS\n");
    for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
        out_format(o, ".TP\n\\fB%s\\fR (see \\fB%s\\fR(1))\n", (*c)->name, (*c)->page);
        roff_text(o, (*c)->summary);
        out_text(o, ".\n");
    }
    out_text(o, ".SH EXIT STATUS\n");
    static const tool_exit own[] = { { TOOL_NO, "the answer is no: nothing there, not in time, something is wrong" },
                                     { TOOL_INTERRUPTED, "ended by Ctrl-C before all was done" } };
    roff_exit(o, &always[0]);
    roff_exit(o, &own[0]);
    roff_exit(o, &always[1]);
    roff_exit(o, &always[2]);
    roff_exit(o, &own[1]);
    out_text(o, ".SH ENVIRONMENT\n");
    roff_text(o, environment_text);
    out_text(o, "\n");
}

static void roff_see_also(out *o, const char *name)
{
    out_text(o, ".SH SEE ALSO\n");
    const char *comma = "";
    for (size_t i = 0; i < PAGES; i++) {
        if (strcmp(pages[i].name, name) != 0) {
            out_format(o, "%s\\fB%s\\fR(1)", comma, pages[i].name);
            comma = ", ";
        }
    }
    out_text(o, "\n");
}

static const page *find_page(const char *name)
{
    for (size_t i = 0; i < PAGES; i++) {
        if (strcmp(pages[i].name, name) == 0) {
            return &pages[i];
        }
    }
    return NULL;
}

bool describe_page(out *o, const char *name)
{
    const page *one = find_page(name);
    if (one == NULL) {
        return false;
    }
    const bool overview = strcmp(name, "cano") == 0;
    out_text(o, ".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Written by 'cano help --man'; change what the tool says of "
                "itself instead.\n");
    out_text(o, ".TH ");
    for (const char *letter = name; *letter != '\0'; letter++) {
        out_format(o, "%c", toupper((unsigned char)*letter));
    }
    out_format(o, " 1 \"\" \"cano %s\" \"User Commands\"\n.SH NAME\n", cano_version());
    roff_text(o, name);
    out_format(o, " \\- %s\n.SH SYNOPSIS\n", one->summary);
    out_text(o, overview
                    ? ".B cano\n[\\fB\\-\\-dir\\fR \\fIDIR\\fR] \\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
                    : "");
    const char *apart = "";
    for (const tool_command *const *c = tool_commands; *c != NULL && !overview; c++) {
        if (strcmp((*c)->page, name) == 0) {
            out_format(o, "%s.B cano %s\n[\\fIOPTION\\fR...] ", apart, (*c)->name);
            roff_text(o, (*c)->operands);
            out_text(o, "\n");
            apart = ".br\n";
        }
    }
    if (overview) {
        roff_overview(o);
    }
    for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
        if (strcmp((*c)->page, name) == 0) {
            roff_command(o, *c);
        }
    }
    roff_see_also(o, name);
    return true;
}

/* ---- completions ---- */

typedef void (*option_visitor)(out *o, const tool_command *command, const tool_option *option);

static void each_option(out *o, const tool_command *command, option_visitor visit)
{
    for (const tool_option *option = command->options; option != NULL && option->name != NULL; option++) {
        visit(o, command, option);
    }
    for (const tool_option *option = tool_common_options; option->name != NULL; option++) {
        if (command->json || !is_json(option)) {
            visit(o, command, option);
        }
    }
}

static void bash_option(out *o, const tool_command *command, const tool_option *option)
{
    (void)command;
    if (option->letter < 256) {
        out_format(o, " -%c", option->letter);
    }
    out_format(o, " --%s", option->name);
}

static void bash_valued(out *o, const tool_command *command, const tool_option *option)
{
    (void)command;
    if (option->argument != NULL) {
        out_format(o, "%s--%s", o->comma ? "|" : "", option->name);
        o->comma = true;
        if (option->letter < 256) {
            out_format(o, "|-%c", option->letter);
        }
    }
}

static const char *bash_operand(const tool_command *command)
{
    switch (command->completes) {
    case OPERAND_QUEUE:
        return "queue";
    case OPERAND_QUEUE_FILES:
        return "files";
    case OPERAND_QUEUE_COMMAND:
        return "command";
    case OPERAND_COMMAND_NAME:
        return "commands";
    default:
        return "none";
    }
}

static void bash_script(out *o)
{
    out_text(o, "# SPDX-License-Identifier: Apache-2.0\n# bash completion for cano. Written by 'cano help --completion bash'.\n"
                "_cano()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} command= dir=() operands=0 dashes= value= kind= options= "
                "valued= i word\n"
                "    local commands=\"");
    const char *space = "";
    for (const tool_command *const *c = tool_commands; *c != NULL; c++, space = " ") {
        out_format(o, "%s%s", space, (*c)->name);
    }
    out_text(o,
             "\"\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        word=${COMP_WORDS[i]}\n"
             "        if [[ $word == --dir ]]; then\n            dir=(--dir \"${COMP_WORDS[++i]}\")\n"
             "        elif [[ -z $command && $word != -* ]]; then\n            command=$word\n            case $command in\n");
    for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
        out_format(o, "            %s) kind=%s options=\"", (*c)->name, bash_operand(*c));
        each_option(o, *c, bash_option);
        out_text(o, "\" valued=\"|");
        o->comma = false;
        each_option(o, *c, bash_valued);
        o->comma = false;
        out_text(o, "|\" ;;\n");
    }
    out_text(
        o,
        "            esac\n        elif [[ $word == -- ]]; then\n            dashes=yes\n"
        "        elif [[ $valued == *\"|$word|\"* ]]; then\n            ((++i))\n"
        "        elif [[ $word != -* ]]; then\n            ((++operands))\n        fi\n    done\n"
        "    [[ $i -gt $COMP_CWORD ]] && value=yes\n"
        "    if [[ $value ]]; then\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
        "    elif [[ -z $command ]]; then\n        COMPREPLY=($(compgen -W \"$commands --dir --help --version\" -- \"$cur\"))\n"
        "    elif [[ $dashes ]]; then\n        COMPREPLY=($(compgen -c -f -- \"$cur\"))\n"
        "    elif [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
        "    elif [[ $kind == commands ]]; then\n        COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\"))\n"
        "    elif [[ $operands -eq 0 && $kind != none ]]; then\n"
        "        COMPREPLY=($(compgen -W \"$(cano ls --names \"${dir[@]}\" 2>/dev/null)\" -- \"$cur\"))\n"
        "    elif [[ $kind == files ]]; then\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\n"
        "complete -o filenames -F _cano cano\n");
}

/* In single quotes, for zsh and fish. */
static void quoted(out *o, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            out_text(o, "'\\''");
        } else {
            out_bytes(o, text, 1);
        }
    }
}

/* A bracket or a colon ends the text in zsh's specifications. */
static void zsh_text(out *o, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("[]:\\", *text) != NULL) {
            out_text(o, "\\");
        }
        const char one[2] = { *text, '\0' };
        quoted(o, one);
    }
}

static void zsh_form(out *o, const tool_option *option, const char *form)
{
    out_format(o, "            '%s[", form);
    zsh_text(o, option->help);
    out_text(o, "]");
    if (option->argument != NULL) {
        out_format(o, ":%s:%s", option->argument, strcmp(option->argument, "DIR") == 0 ? "_files -/" : " ");
    }
    out_text(o, "' \\\n");
}

static void zsh_option(out *o, const tool_command *command, const tool_option *option)
{
    (void)command;
    char form[64];
    if (option->letter < 256) {
        snprintf(form, sizeof form, "-%c", option->letter);
        zsh_form(o, option, form);
    }
    snprintf(form, sizeof form, "--%s", option->name);
    zsh_form(o, option, form);
}

static const char *zsh_operands(const tool_command *command)
{
    switch (command->completes) {
    case OPERAND_QUEUE:
        return "'*:queue:_cano_names'";
    case OPERAND_QUEUE_FILES:
        return "'1:queue:_cano_names' '*:file:_files'";
    case OPERAND_QUEUE_COMMAND:
        return "'1:queue:_cano_names' '2:command:_command_names -e' '*::arguments:_normal'";
    case OPERAND_COMMAND_NAME:
        return "'*:command:_cano_commands'";
    default:
        return "";
    }
}

static void zsh_script(out *o)
{
    out_text(o, "#compdef cano\n# SPDX-License-Identifier: Apache-2.0\n# zsh completion for cano. Written by 'cano help "
                "--completion zsh'.\n"
                "_cano_names()\n{\n    local -a names\n    names=(${(f)\"$(cano ls --names 2>/dev/null)\"})\n    compadd -a "
                "names\n}\n\n"
                "_cano_commands()\n{\n    local -a commands\n    commands=(\n");
    for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
        out_format(o, "        '%s:", (*c)->name);
        quoted(o, (*c)->summary);
        out_text(o, "'\n");
    }
    out_text(o, "    )\n    _describe command commands\n}\n\n_cano()\n{\n    local curcontext=$curcontext state line\n"
                "    _arguments -C '--dir[look for names in DIR]:DIR:_files -/' '--help[print help]' '--version[print the "
                "version]' \\\n"
                "        '1:command:_cano_commands' '*::argument:->argument'\n    [[ $state == argument ]] || return\n    case "
                "$line[1] in\n");
    for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
        out_format(o, "    %s)\n        _arguments \\\n", (*c)->name);
        each_option(o, *c, zsh_option);
        out_format(o, "            %s ;;\n", zsh_operands(*c));
    }
    out_text(o, "    esac\n}\n\n_cano \"$@\"\n");
}

static void fish_option(out *o, const tool_command *command, const tool_option *option)
{
    out_format(o, "complete -c cano -n '__fish_seen_subcommand_from %s' -l %s", command->name, option->name);
    if (option->letter < 256) {
        out_format(o, " -s %c", option->letter);
    }
    out_text(o, option->argument == NULL               ? ""
                : strcmp(option->argument, "DIR") == 0 ? " -r -a '(__fish_complete_directories)'"
                                                       : " -x");
    out_text(o, " -d '");
    quoted(o, option->help);
    out_text(o, "'\n");
}

static void fish_script(out *o)
{
    out_text(o, "# SPDX-License-Identifier: Apache-2.0\n# fish completion for cano. Written by 'cano help --completion fish'.\n"
                "complete -c cano -f\ncomplete -c cano -n __fish_use_subcommand -l dir -r -a '(__fish_complete_directories)' "
                "-d 'look for names in DIR'\n"
                "complete -c cano -n __fish_use_subcommand -l version -d 'print the version'\n");
    for (const tool_command *const *c = tool_commands; *c != NULL; c++) {
        out_format(o, "complete -c cano -n __fish_use_subcommand -a %s -d '", (*c)->name);
        quoted(o, (*c)->summary);
        out_text(o, "'\n");
        each_option(o, *c, fish_option);
        if ((*c)->completes != OPERAND_NONE && (*c)->completes != OPERAND_COMMAND_NAME) {
            out_format(o, "complete -c cano -n '__fish_seen_subcommand_from %s' -a '(cano ls --names 2>/dev/null)'\n",
                       (*c)->name);
        }
        if ((*c)->completes == OPERAND_QUEUE_FILES) {
            out_format(o, "complete -c cano -n '__fish_seen_subcommand_from %s' -F\n", (*c)->name);
        }
    }
}

bool describe_completion(out *o, const char *shell)
{
    if (strcmp(shell, "bash") == 0) {
        bash_script(o);
    } else if (strcmp(shell, "zsh") == 0) {
        zsh_script(o);
    } else if (strcmp(shell, "fish") == 0) {
        fish_script(o);
    } else {
        return false;
    }
    return true;
}
