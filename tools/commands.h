/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands, one file each.
 */
#ifndef CANO_TOOL_COMMANDS_H
#define CANO_TOOL_COMMANDS_H

#include "tool.h"

extern const tool_command cmd_bench;
extern const tool_command cmd_connect;
extern const tool_command cmd_dead;
extern const tool_command cmd_doctor;
extern const tool_command cmd_get;
extern const tool_command cmd_help;
extern const tool_command cmd_join;
extern const tool_command cmd_listen;
extern const tool_command cmd_ls;
extern const tool_command cmd_peek;
extern const tool_command cmd_pipe;
extern const tool_command cmd_put;
extern const tool_command cmd_rm;
extern const tool_command cmd_shutdown;
extern const tool_command cmd_stat;
extern const tool_command cmd_top;
extern const tool_command cmd_trace;
extern const tool_command cmd_who;
extern const tool_command cmd_work;

#endif
