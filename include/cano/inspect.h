/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file inspect.h
 * Look at names and queues from outside, for tools and for programs that watch over others.
 *
 * An inspector is no participant: it takes no place, no lease and none of the queue's locks, so nobody waits for it. What it
 * tells are snapshots of things that move: each number was true at some instant within the call. Only cano_inspect_remove and
 * cano_inspector_repair change anything. Not included by cano.h.
 */
#ifndef CANO_INSPECT_H
#define CANO_INSPECT_H

#include <cano/export.h>
#include <cano/queue.h>
#include <cano/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a name in the directory looks like from outside; cano_inspect_check looks into it. */
enum {
    CANO_INSPECT_QUEUE = 1,    /**< a file: a queue, unless somebody put something else there */
    CANO_INSPECT_LISTENER = 2, /**< a listener, alive or dead */
    CANO_INSPECT_SIDE = 3,     /**< what cano keeps beside the names: a bell, a lock, a queue being made; begins with a dot */
    CANO_INSPECT_OTHER = 4     /**< not made by cano */
};

/** A name. */
typedef struct cano_inspect_name {
    char name[256];    /**< in the directory */
    uint32_t kind;     /**< CANO_INSPECT_QUEUE and so on */
    uint32_t reserved; /**< 0 */
    uint64_t bytes;    /**< of shared memory */
    int64_t age;       /**< microseconds since it was made */
} cano_inspect_name;

/**
 * Tell the directory in which names live: CANO_DIR, or the user's own, which is made if it is not there.
 *
 * @param path      receives the path, ended by NUL.
 * @param capacity  bytes in @a path; 512 are always enough.
 *
 * @return CANO_OK
 *         CANO_EACCES   it is not ours, or others may write to it
 *         CANO_ENOENT   CANO_DIR names a directory that is not there
 *         CANO_EINVAL, CANO_ENOSPC, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_inspect_directory(char *path, size_t capacity);

/**
 * List the names in the directory, in the order of strcmp.
 *
 * @param names  receives the list, which the caller ends with cano_free; not NULL even when @a count is 0.
 * @param count  receives how many there are.
 *
 * @return CANO_OK
 *         CANO_ENOMEM   no memory
 *         otherwise as cano_inspect_directory
 */
CANO_API cano_status cano_inspect_names(cano_inspect_name **names, size_t *count);

/**
 * Tell whether a name, as cano_inspect_names gave it, is in use. Who is asked about does not notice.
 *
 * @return CANO_OK        a queue made since the machine started, also when nobody is attached; a living listener; a side file
 *                        that is in use, or of which it cannot be told
 *         CANO_ECLOSED   left behind: by an earlier start of the machine, or by the dead
 *         CANO_ENOENT    nothing of that name
 *         CANO_EKIND     not made by cano
 *         CANO_EVERSION  made by an incompatible version
 *         CANO_ECORRUPT  damaged
 *         CANO_EINVAL, CANO_EACCES, CANO_ENOMEM, CANO_ELIMIT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_inspect_check(const char *name);

/**
 * Remove what was left behind under a name, and nothing that is in use.
 *
 * @return CANO_OK        it is gone
 *         CANO_EEXIST    it is in use, or not made by cano
 *         CANO_ETIMEOUT  somebody else is at it just now
 *         otherwise as cano_inspect_check
 */
CANO_API cano_status cano_inspect_remove(const char *name);

/** A queue, seen from outside. */
typedef struct cano_inspector cano_inspector;

/** Who sleeps, in cano_inspector_state. */
enum {
    CANO_WAITS_ITEM = 1, /**< somebody waits for a message */
    CANO_WAITS_ROOM = 2, /**< somebody waits for room */
    CANO_WAITS_DONE = 4  /**< somebody waits in join, or for a dead letter */
};

/** A picture of a queue. */
typedef struct cano_inspector_state {
    size_t size;               /**< sizeof(cano_inspector_state), set by the caller */
    cano_queue_info info;      /**< as of cano_queue_stat, but none of it is exact while others work */
    cano_queue_options limits; /**< what it was made with; role and scope are 0 */
    uint64_t memory;           /**< bytes of shared memory it takes */
    uint32_t shutdown;         /**< 0; 1: shut down; 2: and what was queued discarded */
    uint32_t waits;            /**< CANO_WAITS_ITEM and so on; may outlive the sleeper until the next wake */
    uint32_t putting;          /**< slot of the participant that holds the putters' lock just now; 0: nobody */
    uint32_t getting;          /**< the same of the getters' lock */
    uint32_t needs_repair;     /**< 1: the dead have left something that nobody has put right yet */
    uint32_t reserved;         /**< for the library */
} cano_inspector_state;

/** A participant: one open handle. */
typedef struct cano_inspector_participant {
    uint32_t slot;       /**< its place, from 1 */
    uint32_t generation; /**< how often that place was taken, this time included */
    uint32_t role;       /**< CANO_PUTTER, CANO_GETTER; 0: undeclared */
    uint32_t dead;       /**< 1: its process has ended and it was not repaired yet */
    int64_t pid;         /**< the process that attached; for a child that was handed the queue, the one that started it */
    uint64_t leases;     /**< tasks it holds */
} cano_inspector_participant;

/** Where a task is that was handed out and is not done. */
enum {
    CANO_INSPECT_HELD = 1,     /**< in somebody's hands */
    CANO_INSPECT_RETURNED = 2, /**< came back, to be delivered next */
    CANO_INSPECT_DELAYED = 3,  /**< given back with a delay that has not passed */
    CANO_INSPECT_DEAD = 4,     /**< a dead letter */
    CANO_INSPECT_DEAD_HELD = 5 /**< a dead letter in somebody's hands */
};

#define CANO_PREVIEW_MAX 64 /**< bytes of payload that cano_inspector_task shows */

/** A task that was handed out and is not done. */
typedef struct cano_inspector_task {
    uint64_t task;         /**< its number */
    uint64_t bytes;        /**< of payload */
    uint32_t state;        /**< CANO_INSPECT_HELD and so on */
    uint32_t deliveries;   /**< as in cano_item */
    uint32_t slot;         /**< of who holds it; 0: nobody */
    uint32_t preview_size; /**< bytes in preview */
    int64_t due;           /**< CANO_INSPECT_DELAYED: microseconds until it may be delivered; else 0 */
    unsigned char preview[CANO_PREVIEW_MAX]; /**< the beginning of the payload */
} cano_inspector_task;

/**
 * Begin to look at a queue. It is not followed when its name is freed and given to another.
 *
 * @param inspector  receives the handle, for one thread at a time; end it with cano_inspector_close.
 * @param name       the queue's.
 *
 * @return CANO_OK
 *         CANO_ENOENT    there is no queue of that name, or it was made before the machine started anew
 *         CANO_EKIND     no queue is behind the name
 *         CANO_EVERSION, CANO_ECORRUPT, CANO_EACCES, CANO_EINVAL, CANO_ENOMEM, CANO_ELIMIT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_inspector_open(cano_inspector **inspector, const char *name);

/** Stop looking. @param inspector  the inspector, or NULL. */
CANO_API void cano_inspector_close(cano_inspector *inspector);

/**
 * Take a picture of the queue.
 *
 * @param state  state->size says how much of it the caller knows.
 *
 * @return CANO_OK, or CANO_EINVAL.
 */
CANO_API cano_status cano_inspector_look(cano_inspector *inspector, cano_inspector_state *state);

/**
 * List the participants, in the order of their slots.
 *
 * @param list      receives as many as fit; may be NULL when @a capacity is 0.
 * @param capacity  room in @a list.
 * @param count     receives how many there are, which may be more than fit.
 *
 * @return CANO_OK, or CANO_EINVAL.
 */
CANO_API cano_status cano_inspector_participants(cano_inspector *inspector, cano_inspector_participant *list, size_t capacity,
                                                 size_t *count);

/**
 * List the tasks that were handed out and are not done, in no particular order. A plain queue has none.
 *
 * @param list      receives as many as fit; may be NULL when @a capacity is 0.
 * @param capacity  room in @a list.
 * @param count     receives how many there are, which may be more than fit.
 *
 * @return CANO_OK, or CANO_EINVAL.
 */
CANO_API cano_status cano_inspector_tasks(cano_inspector *inspector, cano_inspector_task *list, size_t capacity, size_t *count);

/**
 * Put right what the dead left behind, as a participant does that waits or attaches: their tasks go back to the queue, their
 * room and their places are free again.
 *
 * @param timeout  microseconds to wait for another one who repairs.
 *
 * @return CANO_OK        all that can be done now is done
 *         CANO_ETIMEOUT  somebody else was at it all the time, or is stopped
 *         CANO_EINVAL, CANO_ELIMIT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_inspector_repair(cano_inspector *inspector, cano_timeout timeout);

#ifdef __cplusplus
}
#endif

#endif
