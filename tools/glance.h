/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is seen of names and queues from outside, gathered and told the same way by ls, stat, who, top and doctor.
 */
#ifndef CANO_TOOL_GLANCE_H
#define CANO_TOOL_GLANCE_H

#include "tool.h"

#include <cano/inspect.h>

/* One name. */
typedef struct glance {
    cano_inspect_name name;
    cano_status status; /* of looking into it, as cano_inspect_check */
    bool queue;         /* it is one, and state is set */
    cano_inspector_state state;
} glance;

/* All names that are visible (not side files), in the tool's pool. probe: look whether listeners live. */
size_t glance_all(tool *t, bool probe, glance **list);

/* "queue", "joinable", "listener", or what is wrong with it. */
const char *glance_kind(const glance *g);

/* Members of a JSON object. */
void glance_write(out *o, const glance *g);

/* Who and what, in the tool's pool. */
size_t glance_participants(tool *t, cano_inspector *inspector, cano_inspector_participant **list);
size_t glance_tasks(tool *t, cano_inspector *inspector, cano_inspector_task **list);

const char *glance_role(uint32_t role);
const char *glance_task_state(uint32_t state);

/* The name of a process, "dead" or "-"; in name. */
const char *glance_process(const cano_inspector_participant *participant, char name[32]);

#endif
