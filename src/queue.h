/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rest of the library needs of a queue beyond its public calls: handing it to another process.
 */
#ifndef CANO_QUEUE_INTERNAL_H
#define CANO_QUEUE_INTERNAL_H

#include "os.h"

#include <cano/queue.h>

/* A participant's place in a queue, taken by a parent for its child: it is attached from then on, and lives as long as any
 * copy of the lease. */
typedef struct cano_queue_place {
    uint32_t slot;
    uint32_t generation;
    cano_os_handle lease;
} cano_queue_place;

/* The segment's handle, to be sent to others; it stays the queue's. CANO_EINVAL: scope threads. CANO_ENOTSUP: over a network. */
cano_status cano_queue_segment_handle(cano_queue *queue, cano_os_handle *segment);

/* Take a place for a child. Drop place->lease after the child has its copy, or was not born: then the place is dead and will be
 * repaired like any other, and nobody has counted it as a putter. */
cano_status cano_queue_place_take(cano_queue *queue, uint32_t role, cano_queue_place *place);

/* The child was born: a declared putter has existed. The child counts itself again when it sits down, should we die before. */
void cano_queue_place_count(cano_queue *queue, uint32_t role);

/* Open a queue from a handle that was inherited or received, and own it, also on failure; with a place taken by the parent
 * (its lease is owned likewise), or NULL: attach anew. */
cano_status cano_queue_adopt(cano_queue **queue, cano_os_handle segment, const cano_queue_place *place,
                             const cano_queue_options *options);

/* For cano_wait: arm the native handle, which must have been asked for, then look whether something may be there. */
cano_status cano_queue_ready(cano_queue *queue, bool *ready);

#endif
