/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subcommand says of itself, as help for a terminal, as manual pages and as completions for shells.
 */
#ifndef CANO_TOOL_DESCRIBE_H
#define CANO_TOOL_DESCRIBE_H

#include "tool.h"

/* The text of cano SUBCOMMAND --help. */
void describe_help(out *o, const tool_command *command);

/* The list of subcommands: cano help. */
void describe_all(out *o);

/* A manual page (cano, cano-queue, ...) in roff. False: there is none of that name. */
bool describe_page(out *o, const char *page);

/* A completion script for bash, zsh or fish. False: another shell. */
bool describe_completion(out *o, const char *shell);

#endif
