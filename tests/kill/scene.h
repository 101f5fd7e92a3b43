/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small queue in a known state, a victim to die in it, and what must be true afterwards.
 *
 * Every message has a fate: it must come out, it may, or it never does. Setting a state up and the operations (operations.h)
 * write fates down; scene_check, run by a survivor that holds a handle all the time, first does one call of a given kind with
 * nothing but the public interface and takes its time, then drains the queue, and compares: every message once, whole, in
 * order, not delivered more often than there were deaths; the survivor's own leases untouched; join right before and after; no
 * slot, lease or page left over; and room again for all that the limits promise.
 */
#ifndef CANO_KILL_SCENE_H
#define CANO_KILL_SCENE_H

#include <cano/cano.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENE_IDS 40
#define SCENE_ITEMS 6   /* max_items */
#define SCENE_SHARE 512 /* bytes each of them may have */
#define SCENE_LEASES 6
#define SCENE_BLOCKS 32    /* more than there are pages */
#define SCENE_SMALL 40     /* lies in the ring */
#define SCENE_LARGE 1100   /* needs blocks: five pages */
#define SCENE_LATE 2000000 /* microseconds nobody may need after a death: 20 times what is promised */

typedef enum scene_state {
    EMPTY,
    HALF,
    FULL,
    WRAPPED,
    LARGE,
    SCATTERED,
    LEASED,
    ORPHANS,
    DELAYED,
    DEAD_LETTERS,
    STATES
} scene_state;
typedef enum scene_first {
    FIRST_GET,
    FIRST_PUT,
    FIRST_JOIN,
    FIRST_LOCK,
    FIRST_ATTACH,
    FIRST_RESERVE,
    FIRSTS
} scene_first;
typedef enum scene_fate {
    NEVER,
    MAY,
    MUST
} scene_fate;

extern const char *const scene_state_names[STATES];
extern const char *const scene_first_names[FIRSTS];

typedef struct scene {
    bool joinable;
    bool named;
    bool ends; /* made with CANO_END_WHEN_NO_PUTTER; the survivor is a declared getter */
    scene_state state;
    char name[48];
    cano_queue *queue; /* the survivor's handle */
    scene_fate fates[SCENE_IDS];
    int groups[SCENE_IDS]; /* not 0: those of one group come all or not at all */
    bool loose[SCENE_IDS]; /* comes at its own time: not in order */
    size_t sizes[SCENE_IDS];
    int deliveries[SCENE_IDS]; /* least expected number when it comes; 0: any */
    int next_id;               /* ids begin with 1 */
    int order[SCENE_IDS];      /* what can be got now, first to last */
    int order_count;
    int needs[SCENE_IDS];         /* not 0: it comes only if that one did */
    int taken;                    /* plain: up to so many of order, from its start, may have gone with the dead */
    cano_item held[SCENE_LEASES]; /* by the survivor */
    int held_ids[SCENE_LEASES];
    int held_count;
    void *blocks[SCENE_BLOCKS]; /* reserved by the survivor to scatter what is free */
    int block_count;
    int deaths;
    int dead_letter; /* that message is one; 0: none is */
    bool may_be_revived;
    bool has_gone_on;  /* while the victim was stopped: what comes before what is open */
    bool may_take_own; /* the victim may have taken a message it had put itself */
    bool may_not_end;  /* the victim may have died before it was a putter */
    bool may_be_shut;  /* the victim was about to shut down */
    bool is_shut;      /* and has done */
    bool at_once;      /* immediate: what was queued may be discarded, all or nothing */
    bool name_may_go;  /* unlink was under way */
    bool name_is_gone;
    int64_t recovery; /* result: how long the first call took */
    /* what came */
    int got[SCENE_IDS];
    int seen[SCENE_IDS * 4];
    int seen_count;
    char failure[200]; /* result: empty if all is well */
} scene;

/* Make the queue in that state; false if there is no such state for that kind. */
bool scene_make(scene *s, scene_state state);

/* Name a new message with that fate. */
int scene_new_id(scene *s, size_t size, scene_fate fate, int group);

/* Put it by that handle. */
cano_status scene_put(const scene *s, cano_queue *queue, int id, cano_timeout timeout);

/* Which message is this? 0: none of ours, or torn. */
int scene_id_of(const scene *s, const void *data, size_t size);

/* While a victim is stopped in the middle of something: the survivor puts, gets, sweeps; somebody else dies. */
void scene_go_on(scene *s);

/* A survivor tells whether all is as it must be: s->failure. Closes, and unlinks. */
void scene_check(scene *s, scene_first first);

/* The first thing found wrong is kept. */
void scene_fail(scene *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Look for the dead now by that handle, whoever looked last. */
void scene_look_by(cano_queue *queue);

int64_t scene_now(void);

#endif
