/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything lies in a queue's segment, from its limits alone: both who makes it and who opens it compute this, so
 * nothing but the limits is read from shared memory.
 */
#ifndef CANO_GEOMETRY_H
#define CANO_GEOMETRY_H

#include "layout.h"

#define CANO_MAX_ITEMS UINT64_C(8388607)
#define CANO_MAX_PARTICIPANTS 1023u
#define CANO_MAX_LEASES 1048576u
#define CANO_REFERENCE_UNITS 3u /* a ring record that refers to blocks */

typedef struct cano_geometry {
    uint64_t ring_units;    /* power of two */
    uint64_t reserve_units; /* ring units kept for each message still to come, so that max_items always fit */
    uint64_t inline_max;    /* largest payload that may lie in the ring */
    uint64_t page_size;     /* power of two */
    uint32_t page_count;
    uint64_t roster, ledger_words, ledger_entries, page_words, page_links, ring, pages; /* offsets */
    uint64_t size;          /* of the segment */
} cano_geometry;

/* CANO_EINVAL: limits out of range, or a segment too large for this process's address space. */
cano_status cano_geometry_of(const cano_queue_limits *limits, cano_geometry *geometry);

#endif
