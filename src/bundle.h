/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a parent writes down for its child about the things it hands over: a small nameless segment under a hand name of its
 * own. The handles are hands of the seam, numbered behind the name of their thing: "tasks/0" is the segment of a queue and
 * "tasks/1" the lease of the child's place in it; "reply/0" and on are those of a pipe end. The names of public hands hold
 * no slash, so a caller can take none of these.
 */
#ifndef CANO_BUNDLE_H
#define CANO_BUNDLE_H

#include "pipe.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#define CANO_BUNDLE_HAND "cano/bundle"
#define CANO_BUNDLE_MAGIC UINT64_C(0x73646e61486e6143) /* "CanHands" */
#define CANO_BUNDLE_VERSION 1u                         /* of this layout, and of what the bytes of a pipe mean */
#define CANO_BUNDLE_THINGS 32                          /* most hands of one child */
#define CANO_BUNDLE_NAME 32                            /* longest name of a hand */
#define CANO_BUNDLE_PART 48                            /* room for the name of one handle */

/* Kinds of thing. */
enum {
    CANO_BUNDLE_QUEUE = 1,
    CANO_BUNDLE_PIPE = 2
};

/* The handles of a queue. */
enum {
    CANO_BUNDLE_SEGMENT = 0,
    CANO_BUNDLE_LEASE = 1,
    CANO_BUNDLE_QUEUE_HANDLES = 2
};

typedef struct cano_bundle_thing {
    char name[CANO_BUNDLE_NAME + 4]; /* ended by a zero */
    uint32_t kind;
    uint32_t handle_count;
    uint32_t slot;       /* queue: the child's place */
    uint32_t generation; /* queue: of the slot */
    uint32_t size;       /* pipe: of bytes in use */
    unsigned char bytes[sizeof((cano_pipe_parts *)0)->bytes];
} cano_bundle_thing;

typedef struct cano_bundle {
    uint64_t magic;
    uint32_t version;
    uint32_t count;
    char id[36];              /* of the segment, for the seam */
    _Atomic uint32_t claimed; /* set by the one process that takes the things: its forks, and what it executes, come second */
    cano_bundle_thing things[CANO_BUNDLE_THINGS];
} cano_bundle;

/* Name one handle of a thing. */
static inline void cano_bundle_part(char part[CANO_BUNDLE_PART], const char *thing, uint32_t number)
{
    snprintf(part, CANO_BUNDLE_PART, "%.*s/%u", CANO_BUNDLE_NAME, thing, (unsigned)number);
}

#endif
