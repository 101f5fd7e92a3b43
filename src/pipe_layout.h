/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a pipe, byte by byte: a versioned protocol like that of the queue (layout.h); docs/protocol.md tells it in
 * words, tests/unit/test_pipe_layout.c pins every offset. Change it only together with CANO_LAYOUT.
 *
 * One nameless, sealed segment per pipe. Channel 0 carries what side 1 sends to side 0; channel 1, of a duplex pipe, the other
 * way. Beside each channel is a pair of streams (doorbell.h).
 */
#ifndef CANO_PIPE_LAYOUT_H
#define CANO_PIPE_LAYOUT_H

#include "layout.h"
#include "ring.h"

#define CANO_PIPE_RINGS 4096u              /* offset of the first ring */
#define CANO_PIPE_UNITS_LEAST UINT64_C(64) /* of a ring; a record that describes handles must fit */
#define CANO_PIPE_UNITS_MOST (UINT64_C(1) << 24)

typedef struct cano_channel_shared {
    _Atomic uint64_t head; /* position of the reader, in units */
    unsigned char pad0[120];

    _Atomic uint32_t reader_flag; /* see doorbell.h; the reader arms it, the writer takes it down */
    unsigned char pad1[124];

    _Atomic uint32_t writer_flag; /* the other way round */
    uint32_t reserved;
    _Atomic uint64_t want; /* position of the reader at which the writer wants waking */
    unsigned char pad2[112];
} cano_channel_shared;

typedef struct cano_pipe_shared {
    cano_segment_header header;

    /* 256: read on every call, written rarely */
    uint64_t units;            /* of each ring; constant */
    uint32_t channels;         /* 1 or 2; constant */
    _Atomic uint32_t owner[2]; /* by side: how often the end has changed hands; tells a parent that its forked child has
                                  taken it over */
    unsigned char pad[108];

    cano_channel_shared channels_shared[2]; /* 384, 768 */
} cano_pipe_shared;

/* Payload of a record of kind CANO_RING_SEGMENT: a message in a segment of its own. */
typedef struct cano_pipe_reference {
    uint64_t length; /* bytes of the message */
    uint64_t size;   /* bytes of the segment */
    uint32_t slot;   /* where the reader finds or keeps it; CANO_PIPE_SLOTS: nowhere, it is for this message only */
    uint32_t fresh;  /* 1: its handle comes along */
} cano_pipe_reference;

#define CANO_PIPE_SLOTS 2u

/* Payload of a record of kind CANO_RING_HANDLE: a thing that was passed; size bytes that describe it follow. */
typedef struct cano_pipe_passed {
    uint32_t thing; /* CANO_THING_... */
    uint32_t handle_count;
    uint32_t size;
    uint32_t reserved;
} cano_pipe_passed;

/* What can come through a pipe. */
enum {
    CANO_THING_MESSAGE = 1,
    CANO_THING_PIPE = 2,
    CANO_THING_QUEUE = 3
};

#endif
