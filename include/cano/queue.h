/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue.h
 * A bounded first-in first-out queue of messages, for many putters and many getters in many processes.
 *
 * A put that has returned CANO_OK is visible to every process at once and survives the death of its putter. A put that was
 * killed is there whole, or not at all. Sizes (qsize, empty, full) are exact on every system.
 *
 * Each open handle is one participant. A process may hold several handles of one queue; threads share one.
 */
#ifndef CANO_QUEUE_H
#define CANO_QUEUE_H

#include <cano/export.h>
#include <cano/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A queue. */
typedef struct cano_queue cano_queue;

/** Who can reach the queue. */
enum {
    CANO_PROCESSES = 0, /**< processes of this machine: shared memory */
    CANO_THREADS = 1    /**< threads of this process: private memory, no name; CANO_EINVAL in a forked child or when handed on */
};

/** Options of a queue, to be combined. All but CANO_OPEN_EXISTING are kept with the queue. */
enum {
    CANO_JOINABLE = 1,             /**< every get leases its task until task_done; see joinable_queue.h */
    CANO_OPEN_EXISTING = 2,        /**< create, or open what is there if kind and limits agree */
    CANO_END_WHEN_NO_PUTTER = 4,   /**< gets return CANO_ECLOSED when the queue is empty and the last of those that declared
                                        CANO_PUTTER has closed or died; begins to count with the first */
    CANO_SINGLE_PUTTER = 8,        /**< one participant puts; a second one gets CANO_ELIMIT while the first is there */
    CANO_SINGLE_GETTER = 16        /**< one participant gets; a second one gets CANO_ELIMIT while the first is there */
};

/** What a participant means to do; 0 is both, undeclared: it may do both and does not count for CANO_END_WHEN_NO_PUTTER. */
enum {
    CANO_PUTTER = 1, /**< puts; the calls that get are CANO_EINVAL unless CANO_GETTER is there too */
    CANO_GETTER = 2  /**< gets; the calls that put are CANO_EINVAL unless CANO_PUTTER is there too */
};

/** Who may open a named queue. */
enum {
    CANO_ACCESS_USER = 0,     /**< processes of the same user */
    CANO_ACCESS_GROUP = 1,    /**< and of the same group; both sides must name a common directory in CANO_DIR */
    CANO_ACCESS_EVERYONE = 2  /**< anyone on the machine; both sides must name a common directory in CANO_DIR */
};

/**
 * Options for creating or opening a queue. All zero but size, or no options at all, means the defaults in brackets. A size
 * that is too small is CANO_EINVAL; a longer struct whose unknown tail is not zero is CANO_ENOTSUP.
 */
typedef struct cano_queue_options {
    size_t size;               /**< sizeof(cano_queue_options) */
    uint32_t scope;            /**< CANO_PROCESSES or CANO_THREADS */
    uint32_t flags;            /**< CANO_JOINABLE and so on */
    uint32_t role;             /**< CANO_PUTTER, CANO_GETTER; 0: both */
    uint32_t access;           /**< CANO_ACCESS_USER, _GROUP, _EVERYONE */
    uint64_t max_items;        /**< messages the queue holds, up to 8 388 607 (1024) */
    uint64_t max_bytes;        /**< bytes of payload it holds; also the largest message (524 288): max_items messages of
                                    max_bytes / max_items always fit */
    uint32_t max_participants; /**< handles open at one time, up to 1023 (64) */
    uint32_t max_leases;       /**< tasks handed out and not yet done, dead letters included, up to 1 048 576 (256);
                                    shared memory is set aside for as many messages of max_bytes / max_items. Only with
                                    CANO_JOINABLE, likewise max_deliveries */
    uint32_t max_deliveries;   /**< a task delivered that often that comes back once more is a dead letter; 0: no limit (0) */
    uint32_t reserved;         /**< 0 */
} cano_queue_options;

#define CANO_QUEUE_OPTIONS_INIT { sizeof(cano_queue_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } /**< the defaults */

/** A message that was taken. Filled by take, get_many and dead_get. */
typedef struct cano_item {
    void *data;          /**< the payload; whose memory it is, the call says */
    size_t size;         /**< bytes of payload */
    uint64_t task;       /**< joinable: the number of the task, unique in the life of the queue, the same at each delivery;
                              0 on a plain queue */
    uint32_t deliveries; /**< joinable: 1 + the times it came back by a death or a give_back */
    uint32_t reserved;   /**< for the library */
} cano_item;

/** A message to put, one of several. */
typedef struct cano_slice {
    const void *data; /**< the payload; may be NULL when size is 0 */
    size_t size;      /**< bytes of payload */
} cano_slice;

/** A picture of a queue. */
typedef struct cano_queue_info {
    size_t size;           /**< sizeof(cano_queue_info), set by the caller */
    uint64_t items;        /**< messages a get could take now: qsize */
    uint64_t bytes;        /**< bytes in use in shared memory for messages, headers and padding included */
    uint64_t unfinished;   /**< joinable: tasks put and not yet done */
    uint64_t leased;       /**< joinable: tasks in somebody's hands */
    uint64_t delayed;      /**< joinable: tasks given back with a delay that has not passed */
    uint64_t dead;         /**< joinable: dead letters */
    uint64_t put;          /**< messages ever put */
    uint64_t got;          /**< messages ever taken, redeliveries not counted */
    uint64_t done;         /**< joinable: tasks ever done, dead letters included */
    uint32_t participants; /**< handles open now */
    uint32_t flags;        /**< CANO_JOINABLE and so on */
} cano_queue_info;

/**
 * Make a queue.
 *
 * @param queue    receives the handle; end it with cano_queue_close.
 * @param name     1 to 100 of [A-Za-z0-9._-], not beginning with a dot; NULL makes a nameless queue, which reaches others
 *                 by fork, by cano_process_spawn or through a pipe. A name stays until cano_queue_unlink, also when nobody
 *                 is attached.
 * @param options  the options, or NULL.
 *
 * @return CANO_OK
 *         CANO_EINVAL   a bad name, an impossible limit, an unknown flag, a name together with CANO_THREADS
 *         CANO_ENOTSUP  the options carry fields this version does not know
 *         CANO_EEXIST   the name is taken; with CANO_OPEN_EXISTING: by a queue with other limits
 *         CANO_EKIND    with CANO_OPEN_EXISTING: what is there is no queue, or plain where joinable was asked, or the reverse
 *         CANO_EVERSION, CANO_ECORRUPT, CANO_EACCES, CANO_ELIMIT  as for cano_queue_open
 *         CANO_ENOSPC   shared memory is full
 *         CANO_ENOMEM   this process has no memory left
 *         CANO_ESYSTEM  an OS call failed
 */
CANO_API cano_status cano_queue_create(cano_queue **queue, const char *name, const cano_queue_options *options);

/**
 * Open a queue that exists.
 *
 * @param queue    receives the handle; end it with cano_queue_close.
 * @param name     as given to cano_queue_create.
 * @param options  role and access are used; flags and limits that are not zero must agree with the queue. Or NULL.
 *
 * @return CANO_OK
 *         CANO_EINVAL    a bad name or bad options
 *         CANO_ENOENT    there is no queue of that name, or it was made before the machine started anew
 *         CANO_EKIND     no queue is behind the name; a plain one where CANO_JOINABLE was asked
 *         CANO_EEXIST    it has other limits than those asked for
 *         CANO_EVERSION  it was made by an incompatible version
 *         CANO_ECORRUPT  what is there is damaged
 *         CANO_EACCES    it is not ours to open
 *         CANO_ELIMIT    max_participants handles are open, or no descriptor is left
 *         CANO_ETIMEOUT  a participant that is stopped (SIGSTOP) held up attaching for 5 s
 *         CANO_ENOTSUP   a URL whose component is not installed
 *         CANO_ENOMEM, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_queue_open(cano_queue **queue, const char *name, const cano_queue_options *options);

/**
 * Let go of one handle. Sleepers in other threads return CANO_ECLOSED; borrowed views and reservations end; tasks still held
 * go back to the queue uncounted. The queue itself stays. May be held up by a lock holder that is stopped.
 *
 * @param queue  the queue, or NULL. In a forked child that never used it: touches nothing shared.
 */
CANO_API void cano_queue_close(cano_queue *queue);

/**
 * Free a name. Those attached go on using the queue; the next create of that name makes a new one.
 *
 * @return CANO_OK
 *         CANO_EINVAL   a bad name
 *         CANO_ENOENT   nothing of that name
 *         CANO_EKIND    a listener has the name
 *         CANO_EACCES   not ours to remove
 *         CANO_ESYSTEM  an OS call failed
 */
CANO_API cano_status cano_queue_unlink(const char *name);

/**
 * Put one message, waiting for room.
 *
 * @param queue    the queue.
 * @param data     the payload, copied; may be NULL when @a size is 0.
 * @param size     bytes of payload; 0 is a message like any other.
 * @param timeout  microseconds to wait for room; CANO_NOW or CANO_FOREVER.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  no room came in time; also at once on a full queue inside lock()
 *         CANO_ECLOSED   the queue was shut down, or this handle is being closed
 *         CANO_ETOOBIG   it would never fit
 *         CANO_EINVAL    the role forbids it, or an argument is no use
 *         CANO_ELIMIT    CANO_SINGLE_PUTTER and another one puts; a forked child found no participant slot free
 *         CANO_ECORRUPT  the shared memory violates its protocol
 */
CANO_API cano_status cano_queue_put(cano_queue *queue, const void *data, size_t size, cano_timeout timeout);

/**
 * Put several messages as one step: all become visible together, one behind the other, or none.
 *
 * @param queue    the queue.
 * @param slices   the messages, copied.
 * @param count    how many; 0 does nothing.
 * @param timeout  microseconds to wait until there is room for all.
 *
 * @return as cano_queue_put; CANO_ETOOBIG: the batch would never fit.
 */
CANO_API cano_status cano_queue_put_many(cano_queue *queue, const cano_slice *slices, size_t count, cano_timeout timeout);

/**
 * Take the oldest message, waiting for one if there is none. On a joinable queue it is leased: see task_done.
 *
 * @param queue     the queue.
 * @param buffer    receives the message.
 * @param capacity  bytes in @a buffer.
 * @param size      receives the bytes of the message, also with CANO_ETOOBIG. May be NULL.
 * @param timeout   microseconds to wait; CANO_NOW or CANO_FOREVER.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  no message came in time
 *         CANO_ETOOBIG   the message is larger than @a capacity; it stays in the queue
 *         CANO_ECLOSED   the queue was shut down and is empty; or its last putter left and it is empty; or this handle is
 *                        being closed
 *         CANO_ELIMIT    joinable: max_leases tasks are out and the message stays; CANO_SINGLE_GETTER and another one gets; a
 *                        forked child found no participant slot free
 *         CANO_EINVAL    the role forbids it, or an argument is no use
 *         CANO_ECORRUPT  the shared memory violates its protocol
 */
CANO_API cano_status cano_queue_get(cano_queue *queue, void *buffer, size_t capacity, size_t *size, cano_timeout timeout);

/**
 * Take the oldest message into memory made for it.
 *
 * @param data  receives the message, which the caller ends with cano_free; not NULL even when @a size is 0.
 * @param size  receives its bytes.
 *
 * @return as cano_queue_get; CANO_ENOMEM: no memory, the message stays.
 */
CANO_API cano_status cano_queue_get_alloc(cano_queue *queue, void **data, size_t *size, cano_timeout timeout);

/**
 * Take what is there, up to @a count messages, waiting for the first only.
 *
 * @param queue     the queue.
 * @param items     receives the messages; data points into @a buffer.
 * @param count     room in @a items; at least 1.
 * @param got       receives how many came; at least 1 with CANO_OK.
 * @param buffer    receives the payloads, packed, each 8-byte aligned.
 * @param capacity  bytes in @a buffer.
 * @param timeout   microseconds to wait for the first.
 *
 * @return as cano_queue_get; CANO_ETOOBIG: the first does not fit, items[0].size tells its size.
 */
CANO_API cano_status cano_queue_get_many(cano_queue *queue, cano_item *items, size_t count, size_t *got, void *buffer,
                                         size_t capacity, cano_timeout timeout);

/**
 * Copy the oldest message and leave it where it is.
 *
 * @return as cano_queue_get, but never CANO_ELIMIT for leases: nothing is taken.
 */
CANO_API cano_status cano_queue_peek(cano_queue *queue, void *buffer, size_t capacity, size_t *size, cano_timeout timeout);

/**
 * Count the messages that a get could take now.
 *
 * @param size  receives the count: exact at one instant within the call.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  the queue never stood still, and a lock holder is stopped
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ELIMIT  as for cano_queue_get
 */
CANO_API cano_status cano_queue_qsize(cano_queue *queue, size_t *size);

/** Tell whether a get with CANO_NOW would find nothing. @return as cano_queue_qsize. */
CANO_API cano_status cano_queue_empty(cano_queue *queue, bool *empty);

/** Tell whether max_items messages are queued. @return as cano_queue_qsize. */
CANO_API cano_status cano_queue_full(cano_queue *queue, bool *full);

/**
 * Keep everybody else, also other threads, from getting and putting until unlock: what is done in between is one step for
 * everybody. Inside it no call waits: what would have to wait is CANO_ETIMEOUT at once. Nests per thread. A holder that dies
 * gives it back; what it had done up to then stays done.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  somebody else held it all the time
 *         CANO_ECLOSED   this handle is being closed
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ELIMIT  as for cano_queue_get
 */
CANO_API cano_status cano_queue_lock(cano_queue *queue, cano_timeout timeout);

/**
 * End what lock began.
 *
 * @return CANO_OK
 *         CANO_ENOTHELD  this thread does not hold it
 *         CANO_EINVAL, CANO_ECORRUPT  as for cano_queue_get
 */
CANO_API cano_status cano_queue_unlock(cano_queue *queue);

/**
 * End the queue for every process: puts are CANO_ECLOSED from now on, gets take what is left and are CANO_ECLOSED then. A
 * task may still come back from a dead worker after it; the next get returns it.
 *
 * @param queue      the queue.
 * @param immediate  also discard what is queued; join then waits only for tasks in somebody's hands.
 *
 * @return CANO_OK        also when it was shut down before
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ELIMIT  as for cano_queue_get
 */
CANO_API cano_status cano_queue_shutdown(cano_queue *queue, bool immediate);

/**
 * Take a picture of the queue. items and unfinished are exact at one instant within the call; the rest are snapshots.
 *
 * @param info  info->size says how much of it the caller knows.
 *
 * @return as cano_queue_qsize; CANO_EINVAL also for a size that is too small.
 */
CANO_API cano_status cano_queue_stat(cano_queue *queue, cano_queue_info *info);

/**
 * Get a handle for an event loop, ready when a message may be there or the queue ended. After it fires: get with CANO_NOW
 * until CANO_ETIMEOUT. Never read from it, never close it; it lives as long as the queue's handle.
 *
 * On Linux it fires at least every 100 ms while armed, so that even a putter that dies before its bell strands nobody;
 * elsewhere wait at most 100 ms at a time.
 *
 * @return CANO_OK
 *         CANO_ENOTSUP   scope threads on this system
 *         CANO_ELIMIT    no descriptor left
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ESYSTEM  as named
 */
CANO_API cano_status cano_queue_native(cano_queue *queue, cano_native *native);

/**
 * Reserve room for a message in the queue's own memory, to be written in place.
 *
 * @param queue    the queue.
 * @param size     bytes wanted.
 * @param memory   receives the room, aligned to 64 bytes; ends with commit or cancel, or with the participant.
 * @param timeout  microseconds to wait until that much is free in one piece.
 *
 * @return as cano_queue_put
 */
CANO_API cano_status cano_queue_reserve(cano_queue *queue, size_t size, void **memory, cano_timeout timeout);

/**
 * Send a message written into reserved room.
 *
 * @param memory   as given by reserve.
 * @param size     bytes of it to send, at most those reserved.
 * @param timeout  microseconds to wait while max_items messages are queued.
 *
 * @return CANO_OK        the room is the queue's
 *         CANO_ETIMEOUT  still reserved
 *         CANO_ECLOSED   the queue was shut down; still reserved
 *         CANO_ETOOBIG   more than was reserved; still reserved
 *         CANO_EINVAL    no such reservation of this handle
 *         CANO_ELIMIT, CANO_ECORRUPT  as for cano_queue_put
 */
CANO_API cano_status cano_queue_commit(cano_queue *queue, void *memory, size_t size, cano_timeout timeout);

/** Give reserved room back unused. What was not reserved by this handle is ignored. */
CANO_API void cano_queue_cancel(cano_queue *queue, void *memory);

/**
 * Take the oldest message as a view, without copying where it lies in one piece.
 *
 * @param item  receives the view; data is aligned to 8 bytes and may be read and written until release (plain queue), or
 *              until task_done or give_back (joinable queue).
 *
 * @return as cano_queue_get; CANO_ENOMEM: no memory for a copy, the message stays.
 */
CANO_API cano_status cano_queue_take(cano_queue *queue, cano_item *item, cano_timeout timeout);

/** End a view. On a joinable queue it does nothing: task_done and give_back end view and lease together. */
CANO_API void cano_queue_release(cano_queue *queue, cano_item *item);

#ifdef __cplusplus
}
#endif

#endif
