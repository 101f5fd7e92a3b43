/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a call failed, in words that say what to do about it.
 */
#ifndef CANO_TOOL_EXPLAIN_H
#define CANO_TOOL_EXPLAIN_H

#include "tool.h"

/* Why something about this name failed, and what helps; in the tool's pool. */
const char *explain(tool *t, const char *name, cano_status status);

/* "cannot DOING 'NAME': ..." */
noreturn void explain_and_fail(tool *t, const char *doing, const char *name, cano_status status);

/* The directory of names, or why there is none, which ends the tool. */
const char *explain_directory(tool *t);

#endif
