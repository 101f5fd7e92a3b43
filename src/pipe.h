/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rest of the library needs of a pipe end beyond its public calls: moving it to another process, and making one of
 * a connected stream.
 */
#ifndef CANO_PIPE_INTERNAL_H
#define CANO_PIPE_INTERNAL_H

#include "os.h"

#include <cano/pipe.h>

#define CANO_PIPE_HANDLES 8 /* most handles that one end consists of */

/* A pipe end taken to pieces, to be sent through a pipe or to a child: bytes that mean the same in every process of the
 * machine, and handles. */
typedef struct cano_pipe_parts {
    unsigned char bytes[128];
    uint32_t size; /* of bytes in use */
    uint32_t handle_count;
    cano_os_handle handles[CANO_PIPE_HANDLES];
} cano_pipe_parts;

/* Describe an end, holding all its locks so that nobody uses it meanwhile. The handles stay the end's. Follow with
 * cano_pipe_moved (it is gone: the end is freed, without ending the conversation) or cano_pipe_stays.
 * CANO_EINVAL: another thread is inside a call on it. */
cano_status cano_pipe_take_apart(cano_pipe *pipe, cano_pipe_parts *parts);
void cano_pipe_moved(cano_pipe *pipe);
void cano_pipe_stays(cano_pipe *pipe);

/* Make an end of parts, owning the handles, also on failure. CANO_ECORRUPT, CANO_EVERSION, CANO_ENOMEM, CANO_ESYSTEM. */
cano_status cano_pipe_assemble(cano_pipe **pipe, const cano_pipe_parts *parts);

/* Make a duplex end of one side of a connected stream, which it owns then: the two sides agree on transport. The side that
 * accepted makes the shared memory and sends it. Waits until deadline for the other side to play its part.
 * flags: CANO_PIPE_MEMORY or CANO_PIPE_STREAM on the accepting side; the connecting side learns it. */
cano_status cano_pipe_accepted(cano_pipe **pipe, cano_os_stream *stream, uint32_t flags, int64_t deadline);
cano_status cano_pipe_connected(cano_pipe **pipe, cano_os_stream *stream, int64_t deadline);

/* For cano_wait: something can be received, or the end is there. Arms the pollable handle if not. */
cano_status cano_pipe_ready(cano_pipe *pipe, bool *ready);

#endif
