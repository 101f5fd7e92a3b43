/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and making queues for a subcommand; what fails is explained and ends the tool.
 */
#ifndef CANO_TOOL_QUEUES_H
#define CANO_TOOL_QUEUES_H

#include "tool.h"

#include <cano/inspect.h>

/* The options of a subcommand that can make a queue. */
enum {
    OPTION_ITEMS = 500,
    OPTION_BYTES,
    OPTION_PARTICIPANTS,
    OPTION_LEASES
};
#define QUEUE_LIMIT_OPTIONS                                                                                                    \
    { "items", OPTION_ITEMS, "N", "a new queue holds N items (1024)" },                                                        \
        { "bytes", OPTION_BYTES, "SIZE", "a new queue holds SIZE bytes, also the largest item (512K)" },                       \
        { "participants", OPTION_PARTICIPANTS, "N", "a new queue has places for N handles at one time (64)" },                 \
    {                                                                                                                          \
        "leases", OPTION_LEASES, "N", "a new queue hands out N tasks at one time, dead letters included (1024)"                \
    }

/* Keep one of these options; false: it is another one. */
bool queues_limit(tool *t, cano_queue_options *wanted, int letter, const char *value);

/* Open what is there. joinable: it must be. */
cano_queue *queues_open(tool *t, const char *name, uint32_t role, bool joinable);

/* Open what is there, if it agrees with the limits that are asked for, or make a joinable queue. */
cano_queue *queues_make(tool *t, const char *name, const cano_queue_options *wanted);

/* A picture from outside, without taking a place. */
cano_inspector_state queues_look(tool *t, const char *name);

#endif
