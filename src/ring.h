/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in a byte ring: arithmetic, and the stores that publish. No OS, no waiting, no locks: who may write and who may
 * read, and where head and tail live, is the caller's.
 *
 * The ring is 2^k units of 8 bytes. A record is a header word and its payload, rounded up to units, and never wraps: what
 * does not fit before the end of the ring begins at its start, behind a padding record. A header of zero means "nothing here
 * yet". Positions count units and are taken modulo the ring, so they may run on for ever.
 *
 * Publication is the one release store of a header (cano_ring_publish): the payload, the records behind the first of a batch
 * and the zero header behind the last are stored before it, so a reader that sees the header by cano_ring_look (acquire) sees
 * all of them, in the cache line it already has. The technique is that of Aeron's log buffers, with the zero header written
 * by the appender instead of a cleaner.
 */
#ifndef CANO_RING_H
#define CANO_RING_H

#include "mutation.h"
#include "pause.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CANO_RING_UNIT 8u

/* Kinds of record; 0 is never one, so the header of an empty message is not zero. */
enum {
    CANO_RING_DATA = 1,    /* the payload is the message */
    CANO_RING_PAD = 2,     /* nothing; reaches to the end of the ring */
    CANO_RING_BLOCK = 3,   /* the payload names arena blocks that hold the message */
    CANO_RING_SEGMENT = 4, /* pipe: the payload names a segment that holds the message */
    CANO_RING_HANDLE = 5   /* pipe: the payload describes handles that came by the socket */
};

/* A process's own, checked description of a ring: nothing here is read from shared memory again. */
typedef struct cano_ring {
    unsigned char *base; /* first unit */
    uint64_t units;      /* a power of two, at least 8 and at most 2^28 (2 GiB) */
} cano_ring;

/* A header as it was read once. */
typedef struct cano_ring_record {
    uint64_t position; /* of its header */
    uint64_t next;     /* position behind it */
    uint32_t size;     /* bytes of payload */
    uint8_t kind;
} cano_ring_record;

typedef enum cano_ring_look_result { CANO_RING_FOUND, CANO_RING_NOTHING, CANO_RING_BROKEN } cano_ring_look_result;

static inline uint64_t cano_ring_units_of(uint64_t size)
{
    return 1 + (size + CANO_RING_UNIT - 1) / CANO_RING_UNIT;
}

static inline _Atomic uint64_t *cano_ring_word(const cano_ring *ring, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(ring->base + (position & (ring->units - 1)) * CANO_RING_UNIT);
}

static inline void *cano_ring_payload(const cano_ring *ring, uint64_t position)
{
    return (void *)(cano_ring_word(ring, position) + 1);
}

/* The largest payload that fits an empty ring at every offset: a record may need padding of almost its own size in front,
 * and the zero header behind. */
static inline uint64_t cano_ring_largest(const cano_ring *ring)
{
    return (ring->units / 2 - 1) * CANO_RING_UNIT;
}

/* Where a record of that many units appended at position begins: there, or at the next start of the ring. */
static inline uint64_t cano_ring_place(const cano_ring *ring, uint64_t position, uint64_t units)
{
    const uint64_t rest = ring->units - (position & (ring->units - 1));
    return units <= rest ? position : position + rest;
}

static inline uint64_t cano_ring_header(uint8_t kind, uint32_t size)
{
    return (uint64_t)kind << 56 | size;
}

/* Write payload: a copy. Who looks for a header at a stale position may meet these bytes instead of one, and throws away what he
 * saw; for the thread sanitizer, which cannot know that, they are stored as what they then are: atomic words. */
static inline void cano_ring_write(void *payload, const void *data, size_t size)
{
#if defined(CANO_THREAD_SANITIZER)
    const unsigned char *from = (const unsigned char *)data;
    _Atomic uint64_t *to = (_Atomic uint64_t *)payload;
    for (size_t left = size; left > 0; to++) {
        uint64_t word = 0;
        const size_t part = left < sizeof word ? left : sizeof word;
        memcpy(&word, from, part);
        atomic_store_explicit(to, word, memory_order_relaxed);
        from += part;
        left -= part;
    }
#else
    memcpy(payload, data, size);
#endif
}

/* Store a header nobody can see yet; published by a later cano_ring_publish in front of it. */
static inline void cano_ring_set(const cano_ring *ring, uint64_t position, uint64_t header)
{
    atomic_store_explicit(cano_ring_word(ring, position), header, memory_order_relaxed);
}

/* Have the lines ready that the next record but a few will be written to: about 1 KiB ahead, and as many as this record has, up
 * to 512 bytes: a longer copy calls for the rest by itself. A writer that streams then does not wait for the reader's core to give up each line, which otherwise costs more
 * than everything else together: unlocking waits until all that was written is there. */
static inline void cano_ring_expect(const cano_ring *ring, uint64_t position, uint64_t units)
{
    enum { LINE = 8, AHEAD = 128, MOST = 64 }; /* units */
    const uint64_t from = position + (units > AHEAD ? units : AHEAD);
    const uint64_t to = from + (units < MOST ? units : MOST);
    for (uint64_t unit = from; unit < to; unit += LINE) {
        cano_expect_write((void *)cano_ring_word(ring, unit));
    }
}

/* Make everything stored so far visible to who looks at position: the commit. Pairs with the acquire in cano_ring_look. */
static inline void cano_ring_publish(const cano_ring *ring, uint64_t position, uint64_t header)
{
    atomic_store_explicit(cano_ring_word(ring, position), header, memory_order_release);
}

/* Read the header at position, skipping padding, and check it against the ring: no length is trusted. BROKEN may also mean
 * that the position was stale; only one who knows that it is not may call it damage. */
static inline cano_ring_look_result cano_ring_look(const cano_ring *ring, uint64_t position, cano_ring_record *record)
{
    for (int padding = 0; padding < 2; padding++) {
        /* acquire: pairs with the release in cano_ring_publish */
        const uint64_t header = atomic_load_explicit(cano_ring_word(ring, position), memory_order_acquire);
        if (header == 0) {
            return padding == 0 ? CANO_RING_NOTHING : CANO_RING_BROKEN;
        }
        const uint64_t rest = ring->units - (position & (ring->units - 1));
        const uint8_t kind = (uint8_t)(header >> 56);
        const uint32_t size = (uint32_t)header;
        if (kind == CANO_RING_PAD) {
            position += rest;
            continue;
        }
        const uint64_t units = cano_ring_units_of(size);
        if (kind == 0 || (header >> 32 & 0xffffff) != 0 || units > rest || units > ring->units / 2) {
            return CANO_RING_BROKEN;
        }
        record->position = position;
        record->next = position + units;
        record->size = size;
        record->kind = kind;
        return CANO_RING_FOUND;
    }
    return CANO_RING_BROKEN;
}

/*
 * Append records one after another at a position nobody else writes to, then publish them as one:
 *
 *     cano_ring_batch batch = cano_ring_begin(ring, tail);
 *     memcpy(cano_ring_append(&batch, CANO_RING_DATA, size), data, size);   ... any number of times
 *     tail = cano_ring_commit(&batch);
 *
 * The caller has checked that cano_ring_need units are free. Nothing is visible before the commit, whose single store shows
 * everything; dying at any point before it leaves the zero header at the old tail.
 */
typedef struct cano_ring_batch {
    const cano_ring *ring;
    uint64_t start;        /* where the first header goes */
    uint64_t next;         /* where the next record goes */
    uint64_t first_header; /* held back until the commit; 0: none yet */
} cano_ring_batch;

static inline cano_ring_batch cano_ring_begin(const cano_ring *ring, uint64_t tail)
{
    return (cano_ring_batch){ ring, tail, tail, 0 };
}

static inline void cano_ring_put_header(cano_ring_batch *batch, uint64_t position, uint64_t header)
{
    if (batch->first_header == 0) {
        batch->first_header = header;
        if (CANO_MUTATED(HEADER_FIRST)) {
            cano_ring_set(batch->ring, position, header);
        }
    } else {
        cano_ring_set(batch->ring, position, header);
    }
}

/* Room for one more payload. */
static inline void *cano_ring_append(cano_ring_batch *batch, uint8_t kind, uint32_t size)
{
    const uint64_t units = cano_ring_units_of(size);
    const uint64_t at = cano_ring_place(batch->ring, batch->next, units);
    if (at != batch->next) {
        cano_ring_put_header(batch, batch->next, cano_ring_header(CANO_RING_PAD, 0));
    }
    cano_ring_put_header(batch, at, cano_ring_header(kind, size));
    batch->next = at + units;
    return cano_ring_payload(batch->ring, at);
}

/* Publish all of it; returns the new tail. */
static inline uint64_t cano_ring_commit(cano_ring_batch *batch)
{
    if (batch->first_header != 0) {
        if (!CANO_MUTATED(NO_ZERO_HEADER)) {
            cano_ring_set(batch->ring, batch->next, 0); /* "nothing here yet" travels with the records */
        }
        cano_ring_publish(batch->ring, batch->start, batch->first_header);
    }
    return batch->next;
}

#endif
