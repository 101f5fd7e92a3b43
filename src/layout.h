/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue in shared memory, byte by byte. This is a written, versioned protocol: docs/protocol.md tells it in words, and
 * tests/unit/test_layout.c pins every offset. Change it only together with CANO_LAYOUT.
 *
 * What two sides write lies 128 bytes apart: two cache lines, since the hardware fetches them in pairs.
 */
#ifndef CANO_LAYOUT_H
#define CANO_LAYOUT_H

#include "os.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "what needs a lock is not atomic between processes");

#define CANO_LAYOUT 1u
#define CANO_MAGIC UINT64_C(0x31676553006f6e61) /* "ano\0Seg1", little endian: another byte order reads another number */

enum { CANO_KIND_QUEUE = 1, CANO_KIND_PIPE = 2, CANO_KIND_BUNDLE = 3 };

/* Every segment begins with this; constant once it is published. 256 bytes. */
typedef struct cano_segment_header {
    uint64_t magic;
    uint32_t layout;    /* CANO_LAYOUT */
    uint16_t kind;      /* CANO_KIND_... */
    uint16_t word_size; /* sizeof(size_t): a 32-bit process cannot map what a 64-bit one made */
    uint64_t size;      /* bytes of the segment */
    char id[40];        /* 32 hex digits, NUL */
    char boot[48];      /* the start of the machine it was made in, NUL */
    uint64_t reserved[18];
} cano_segment_header;

/* One participant. 64 bytes. */
typedef struct cano_roster_slot {
    _Atomic uint64_t state;    /* see roster.h: generation 32, role 8, flags 8, status 16 */
    _Atomic uint64_t identity_a, identity_b; /* of the holder of the lease: judged by the seam */
    _Atomic uint32_t bell;     /* 1: its bell wants ringing at the next message */
    uint32_t reserved[9];
} cano_roster_slot;

/* One task handed out. 256 bytes. Its state is a word in an array of its own (ledger.h), so that a scan reads few lines. */
#define CANO_LEDGER_INLINE 192u
typedef struct cano_ledger_entry {
    uint64_t task;     /* its number */
    uint64_t position; /* of its record in the ring: meant only while PREPARED */
    uint64_t size;     /* bytes of payload */
    uint32_t page;     /* first page of its blocks; CANO_NO_PAGE: the payload is below */
    uint32_t reserved;
    uint64_t delay_set; /* DELAYED: when, in microseconds of cano_os_now */
    uint64_t delay;     /* DELAYED: for how long */
    uint64_t unused[2];
    unsigned char payload[CANO_LEDGER_INLINE];
} cano_ledger_entry;

#define CANO_NO_PAGE UINT32_MAX

/* Payload of a ring record of kind CANO_RING_BLOCK. 16 bytes. */
typedef struct cano_block_reference {
    uint64_t size; /* bytes of the message */
    uint32_t page; /* first page of its first block */
    uint32_t reserved;
} cano_block_reference;

/* What is asked for at creation; constant. The rest of the geometry follows from it (geometry.h). 64 bytes. */
typedef struct cano_queue_limits {
    uint64_t max_items;
    uint64_t max_bytes;
    uint32_t flags; /* CANO_JOINABLE and so on, without CANO_OPEN_EXISTING */
    uint32_t max_participants;
    uint32_t max_leases; /* 0 on a plain queue */
    uint32_t max_deliveries;
    uint32_t access;
    uint32_t reserved[7];
} cano_queue_limits;

/* A commit word: position 40 bits (units of 8 bytes), count 24 bits (messages). One store commits both. */
#define CANO_COUNT_BITS 24
#define CANO_COUNT_MASK ((UINT64_C(1) << CANO_COUNT_BITS) - 1)
#define CANO_POSITION_MASK ((UINT64_C(1) << 40) - 1)

/* shutdown word */
enum { CANO_SHUT = 1, CANO_SHUT_IMMEDIATE = 2 };

typedef struct cano_queue_shared {
    cano_segment_header header;
    cano_queue_limits limits; /* offset 256 */
    unsigned char pad0[192];

    /* 512: the putters' side; written under the putters' lock */
    _Atomic uint32_t put_lock;
    _Atomic uint32_t single_putter; /* lock word of the participant that puts; 0: none yet */
    _Atomic uint64_t tail;          /* commit word; stored after publication */
    _Atomic uint64_t head_seen;     /* the putters' copy of head: spares reading the getters' line */
    _Atomic uint64_t put_total;     /* messages ever put; its low 24 bits follow tail's count */
    unsigned char pad1[96];

    /* 640: the getters' side; written under the getters' lock */
    _Atomic uint32_t get_lock;
    _Atomic uint32_t single_getter;
    _Atomic uint64_t head;      /* commit word */
    _Atomic uint64_t got_total; /* messages ever taken from the ring; low 24 bits follow head's count */
    _Atomic uint64_t next_task; /* number of the next task handed out for the first time */
    _Atomic uint32_t ledger_rotor; /* where the search for a free entry begins */
    unsigned char pad2[92];

    /* 768: read by everybody on every call, written rarely */
    _Atomic uint32_t shutdown;    /* CANO_SHUT... */
    _Atomic uint32_t orphan_hint; /* 1: an entry may be ORPHAN or DELAYED without next_due telling */
    _Atomic uint64_t next_due;    /* when the first DELAYED entry is due; 0: none */
    _Atomic uint32_t ever;        /* declared putters that ever attached (saturates) */
    _Atomic uint32_t need_sweep;  /* 1: blocks may belong to nobody */
    _Atomic uint64_t swept_at;    /* when the last look for the dead was claimed */
    _Atomic uint32_t bells;       /* 1: some slot's bell is up for ringing */
    unsigned char pad3[92];

    /* 896: getters sleep here */
    _Atomic uint32_t items_event;
    unsigned char pad4[124];

    /* 1024: putters sleep here: for room, for pages */
    _Atomic uint32_t room_event;
    _Atomic uint32_t room_want; /* head count at which a putter wants waking */
    _Atomic uint32_t page_event;
    _Atomic uint32_t page_ticket;   /* lock word of the participant that waits for pages; 0: none */
    _Atomic uint64_t page_ticket_at;
    unsigned char pad5[104];

    /* 1152: joiners and those who wait for dead letters sleep here */
    _Atomic uint32_t done_event;
    unsigned char pad6[124];

    /* 1280: the arena */
    _Atomic uint32_t arena_lock;
    _Atomic uint32_t arena_rotor; /* a block boundary: where the search for free pages begins */
    unsigned char pad7[120];
} cano_queue_shared; /* 1408 bytes; then, each aligned as geometry.h says: roster, ledger words, entries, page words, page
                        links, ring, pages */

#endif
