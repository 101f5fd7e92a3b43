/* SPDX-License-Identifier: Apache-2.0 */
#include "queues.h"

#include "explain.h"

#define LEASES 1024 /* more than the library's: commands run side by side, and dead letters keep theirs */
#define ROUNDS 10   /* of "gone again" and "there again" */

bool queues_limit(tool *t, cano_queue_options *wanted, int letter, const char *value)
{
    switch (letter) {
    case OPTION_ITEMS:
        wanted->max_items = tool_count(t, "--items", value, 1, 8388607);
        return true;
    case OPTION_BYTES:
        wanted->max_bytes = tool_size(t, "--bytes", value, 1, UINT64_C(1) << 40);
        return true;
    case OPTION_PARTICIPANTS:
        wanted->max_participants = (uint32_t)tool_count(t, "--participants", value, 1, 1023);
        return true;
    case OPTION_LEASES:
        wanted->max_leases = (uint32_t)tool_count(t, "--leases", value, 1, 1048576);
        return true;
    default:
        return false;
    }
}

cano_queue *queues_open(tool *t, const char *name, uint32_t role, bool joinable)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.role = role;
    options.flags = joinable ? CANO_JOINABLE : 0;
    cano_queue *queue = NULL;
    const cano_status status = cano_queue_open(&queue, name, &options);
    if (status != CANO_OK) {
        explain_and_fail(t, "open", name, status);
    }
    return queue;
}

static cano_status create(cano_queue **queue, const char *name, const cano_queue_options *wanted)
{
    cano_queue_options options = *wanted;
    options.flags |= CANO_JOINABLE;
    options.max_leases = options.max_leases != 0 ? options.max_leases : LEASES;
    return cano_queue_create(queue, name, &options);
}

cano_queue *queues_make(tool *t, const char *name, const cano_queue_options *wanted)
{
    cano_queue *queue = NULL;
    cano_status status = CANO_ENOENT;
    for (int round = 0; round < ROUNDS; round++) {
        status = cano_queue_open(&queue, name, wanted);
        if (status != CANO_ENOENT) {
            break;
        }
        status = create(&queue, name, wanted);
        if (status != CANO_EEXIST) { /* else somebody made it meanwhile */
            break;
        }
    }
    if (status != CANO_OK) {
        explain_and_fail(t, "open or make", name, status);
    }
    return queue;
}

cano_inspector_state queues_look(tool *t, const char *name)
{
    cano_inspector *inspector = NULL;
    cano_inspector_state state = { .size = sizeof state };
    const cano_status status = cano_inspector_open(&inspector, name);
    if (status != CANO_OK) {
        explain_and_fail(t, "look at", name, status);
    }
    cano_inspector_look(inspector, &state);
    cano_inspector_close(inspector);
    return state;
}
