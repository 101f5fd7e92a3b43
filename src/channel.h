/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a pipe in shared memory: a ring of records, and a doorbell at each side. The writer keeps the end of the
 * ring to itself, the reader publishes where it is; neither ever reads its own position back from the shared memory.
 *
 * A message larger than half the ring travels in a segment of its own, whole or not at all; a small record tells where. Two
 * such segments are kept mapped on both sides and used again once the reader is past the record that used them last.
 *
 * The peer is not trusted: what is read from the shared memory is read once, checked, and used from a copy.
 */
#ifndef CANO_CHANNEL_H
#define CANO_CHANNEL_H

#include "doorbell.h"
#include "pipe_layout.h"
#include "ring.h"

#include <string.h>

typedef struct cano_reader {
    cano_doorbell bell;
    cano_ring ring;
    cano_channel_shared *shared;
    uint64_t head;             /* ours; published in shared->head */
    uint32_t quarter_bits;     /* a quarter of the ring is so many bits of a position */
    cano_ring_record found;    /* by the last look */
    cano_pipe_reference large; /* found: a message in a segment of its own */
    cano_patience patience;
    bool pollable;                          /* somebody watches the handle */
    bool over;                              /* the end is there and all has been read */
    cano_os_segment slots[CANO_PIPE_SLOTS]; /* base NULL: empty */
} cano_reader;

/* A segment that the writer keeps for large messages. */
typedef struct cano_writer_slot {
    cano_os_segment segment; /* base NULL: none */
    uint64_t until;          /* position at which the reader is done with the last message in it */
    bool known;              /* the reader has it mapped */
} cano_writer_slot;

typedef struct cano_writer {
    cano_doorbell bell;
    cano_ring ring;
    cano_channel_shared *shared;
    uint64_t tail;    /* ours, published nowhere */
    uint64_t head;    /* the reader's, as last seen */
    uint64_t wanted;  /* what we last asked to be woken at */
    uint64_t heard;   /* head when the reader was last known to live */
    uint32_t unheard; /* sends since then */
    cano_patience patience;
    cano_writer_slot slots[CANO_PIPE_SLOTS];
} cano_writer;

/* ---- reading ---- */

/* Look at the next record; found then tells what it is. CANO_ETIMEOUT: nothing yet; CANO_ECLOSED; CANO_ECORRUPT. */
cano_status cano_reader_look(cano_reader *reader);

/* Wait for one. */
cano_status cano_reader_await(cano_reader *reader, cano_visit *visit);

/* What was found. */
cano_status cano_reader_describe(cano_reader *reader, uint32_t *thing, uint64_t *size);

/* Copy the message that was found, and go on behind it. CANO_ELIMIT, CANO_ENOMEM: it stays. */
cano_status cano_reader_take(cano_reader *reader, void *buffer);

/* The same for a passed thing. */
cano_status cano_reader_unpack(cano_reader *reader, void *bytes, uint32_t capacity, uint32_t *size,
                               cano_os_handle handles[CANO_HANDLES_PASSED], uint32_t *handle_count);

/* From now on the handle of the stream is kept right. */
cano_status cano_reader_watch(cano_reader *reader);

/* ---- writing ---- */

cano_status cano_writer_send(cano_writer *writer, cano_visit *visit, const void *data, size_t size);

cano_status cano_writer_pass(cano_writer *writer, cano_visit *visit, uint32_t thing, const void *bytes, uint32_t size,
                             const cano_os_handle *handles, uint32_t handle_count);

/* ---- both ---- */

#define CANO_PIECE 1024u /* bytes copied at once */
#define CANO_PIECES_MOST (UINT64_C(512) << 10)

/* Copy to or from shared memory. What the other processor has in its cache comes over much faster in pieces: 2 to 4 times at
 * 64 KiB, where one long copy is a string instruction that does not look ahead. From about the size of a cache on, nothing is
 * there any more, and the library's way is the fastest. */
static inline void cano_channel_copy(void *to, const void *from, size_t size)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    while (size > CANO_PIECE && size <= CANO_PIECES_MOST) {
        memcpy(target, source, CANO_PIECE);
        target += CANO_PIECE;
        source += CANO_PIECE;
        size -= CANO_PIECE;
    }
    if (size > 0) {
        memcpy(target, source, size);
    }
}

/* Find the positions in the shared memory. CANO_ECORRUPT: there is no way through the ring. */
void cano_reader_attach(cano_reader *reader);
cano_status cano_writer_attach(cano_writer *writer);

#endif
