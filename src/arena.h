/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of pages for messages that do not lie in the ring: large ones, and those written or read in place.
 *
 * One word per page: {pages 20, state 2, slot 10, generation 21, serial 11}. The word of a block's first page tells all; those
 * of its other pages mean nothing. A walk goes from block to block. Allocation is one store under the arena lock, so there is
 * nothing to repair when its holder dies; free, shrink and giving a block away are one swap of the exact word, without a lock.
 *
 * A message lies in one block if one is free, otherwise in several, linked: so it needs only enough pages, not enough in a row.
 *
 * The arena lock is a leaf: nobody waits for another lock while holding it.
 */
#ifndef CANO_ARENA_H
#define CANO_ARENA_H

#include "lock.h"

enum { CANO_PAGE_FREE = 0, CANO_PAGE_OWNED = 1, CANO_PAGE_QUEUE = 2 };

typedef struct cano_arena {
    cano_os_segment *segment;
    const cano_roster *roster;
    _Atomic uint64_t *words;
    _Atomic uint32_t *links; /* of a block's first page: first page of the next block + 1, or 0 */
    unsigned char *pages;
    uint64_t page_size;
    uint32_t page_count;
    _Atomic uint32_t *rotor; /* where the search begins: always a block boundary */
    cano_event *event;       /* somebody waits for pages */
    _Atomic uint32_t *ticket; /* who waits longest */
    _Atomic uint64_t *ticket_at;
    cano_lock lock;
} cano_arena;

/* A part of a message, in one block. */
typedef struct cano_extent {
    unsigned char *data;
    uint64_t size; /* of the block in bytes; of the message's part, once cut to the message's size */
    uint32_t page;
    uint32_t next; /* page of the next block, or CANO_NO_PAGE */
} cano_extent;

/* Everything is free: before anybody else sees the segment. */
void cano_arena_init(const cano_arena *arena);

/* Take room for size bytes, owned by the arena's lock's me: several linked blocks, or (contiguous) one. CANO_OK; CANO_ETIMEOUT:
 * there is none now; CANO_ECORRUPT. deadline bounds the wait for the lock only. */
cano_status cano_arena_take(const cano_arena *arena, uint64_t size, bool contiguous, int64_t deadline, uint32_t *page);

/* Take room for several messages under one hold of the lock, or none. size 0 in sizes: none wanted, CANO_NO_PAGE comes. */
cano_status cano_arena_take_many(const cano_arena *arena, const uint64_t *sizes, uint32_t *pages, size_t count, int64_t deadline);

/* Wait for pages in order: while one who queued up renews it (at each slice), others find none. */
void cano_arena_queue_up(const cano_arena *arena);
void cano_arena_step_out(const cano_arena *arena);

/* Read one block of a chain. left: bytes of the message not yet seen; cut to it. CANO_ECORRUPT: no block is there. */
cano_status cano_arena_read(const cano_arena *arena, uint32_t page, uint64_t left, cano_extent *extent);

/* Move a whole chain of size bytes from me to the queue, or from the queue to me; what the dead had begun to take counts as
 * the queue's. CANO_ECORRUPT: it was somebody else's. */
cano_status cano_arena_give(const cano_arena *arena, uint32_t page, uint64_t size);
cano_status cano_arena_own(const cano_arena *arena, uint32_t page, uint64_t size);

/* Free a whole chain of ours (CANO_NO_PAGE: none) and wake who waits for pages. */
void cano_arena_free(const cano_arena *arena, uint32_t page);

/* Cut a block of ours to size bytes; the rest is free. */
void cano_arena_shrink(const cano_arena *arena, uint32_t page, uint64_t size);

/* Copy size bytes into, or out of, a chain. */
cano_status cano_arena_write(const cano_arena *arena, uint32_t page, const void *data, uint64_t size);
cano_status cano_arena_copy(const cano_arena *arena, uint32_t page, void *buffer, uint64_t size);

static inline uint64_t cano_arena_pages(const cano_arena *arena, uint64_t size)
{
    return size <= arena->page_size ? 1 : (size + arena->page_size - 1) / arena->page_size;
}

/* Set the bits of all blocks of a chain in a map of page_count bits. CANO_ECORRUPT. */
cano_status cano_arena_mark(const cano_arena *arena, uint32_t page, uint64_t size, unsigned char *map);

/* Free what is not marked and belongs to the queue or the dead; give what is marked and belongs to the dead to the queue. Both
 * ring locks are held. CANO_ETIMEOUT: the arena lock was not to be had. */
cano_status cano_arena_sweep(const cano_arena *arena, const unsigned char *map, int64_t deadline);

/* Bytes of pages in use. CANO_ETIMEOUT: the arena lock was not to be had. */
cano_status cano_arena_used(const cano_arena *arena, int64_t deadline, uint64_t *bytes);

/* About how many bytes of pages are in use, by who may not take the lock. */
uint64_t cano_arena_used_about(const cano_arena *arena);

/* Does a block belong to this participant? CANO_ETIMEOUT: it could not be told. */
cano_status cano_arena_names(const cano_arena *arena, uint32_t word, int64_t deadline, bool *names);

#endif
