/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation through a pipe: what is read is sent, an item a message; what comes is printed.
 */
#ifndef CANO_TOOL_TALK_H
#define CANO_TOOL_TALK_H

#include "tool.h"

/* The options of pipe, listen and connect. */
enum {
    TALK_OPTION_TIMEOUT = 600,
    TALK_OPTION_LINGER
};
#define TALK_OPTIONS                                                                                                           \
    { "timeout", TALK_OPTION_TIMEOUT, "S", "wait no longer than S seconds for the other end" },                                \
        { "linger", TALK_OPTION_LINGER, "S", "after the end of the input hear on for S seconds (0)" },                         \
    {                                                                                                                          \
        "null", '0', NULL, "items end with a NUL byte instead of a line end, both ways"                                        \
    }

typedef struct conversation {
    tool *t;
    const char *name;
    cano_timeout timeout;
    cano_timeout linger;
    char separator;
} conversation;

/* The options, and the name. */
conversation talk_read_options(tool *t);

/* Wait for somebody who connects, or for a listener. CANO_ETIMEOUT; CANO_ECLOSED: interrupted. */
cano_status talk_listen(const conversation *talk, cano_pipe **pipe);
cano_status talk_connect(const conversation *talk, cano_pipe **pipe);

/* Talk, once there is a pipe; what failed before is explained. The exit status. */
int talk_through(const conversation *talk, cano_pipe *pipe, cano_status opened, const char *doing);

#endif
