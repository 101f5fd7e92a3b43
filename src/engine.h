/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between the public queue calls and what carries them out: shared memory, or another engine beside it.
 *
 * The public calls check arguments, roles and time-outs; an engine gets what has passed. Deadlines are absolute microseconds of
 * cano_os_now(): 0 for CANO_NOW, CANO_OS_NEVER for CANO_FOREVER. A call that an engine cannot offer is NULL: CANO_ENOTSUP.
 */
#ifndef CANO_ENGINE_H
#define CANO_ENGINE_H

#include <cano/joinable_queue.h>
#include <cano/queue.h>

#define CANO_ENGINE_VERSION 1u

typedef struct cano_engine {
    uint32_t version; /* CANO_ENGINE_VERSION */
    void (*close)(cano_queue *);
    cano_status (*put)(cano_queue *, const cano_slice *, size_t count, int64_t deadline); /* count >= 1; all or none */
    cano_status (*get)(cano_queue *, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline); /* size: also ETOOBIG */
    cano_status (*get_many)(cano_queue *, cano_item *, size_t count, size_t *got, void *buffer, uint64_t capacity,
                            int64_t deadline);
    cano_status (*peek)(cano_queue *, void *buffer, uint64_t capacity, uint64_t *size, int64_t deadline);
    cano_status (*take)(cano_queue *, cano_item *, int64_t deadline);
    void (*release)(cano_queue *, cano_item *);
    cano_status (*reserve)(cano_queue *, uint64_t size, void **memory, int64_t deadline);
    cano_status (*commit)(cano_queue *, void *memory, uint64_t size, int64_t deadline);
    void (*cancel)(cano_queue *, void *memory);
    cano_status (*qsize)(cano_queue *, uint64_t *items);
    cano_status (*lock)(cano_queue *, int64_t deadline);
    cano_status (*unlock)(cano_queue *);
    cano_status (*shutdown)(cano_queue *, bool immediate);
    cano_status (*stat)(cano_queue *, cano_queue_info *); /* size is set and right */
    cano_status (*native)(cano_queue *, cano_native *);
    cano_status (*ready)(cano_queue *, bool *); /* arm the native handle, then look */
    cano_status (*task_done)(cano_queue *, const cano_item *);
    cano_status (*give_back)(cano_queue *, const cano_item *, int64_t delay);
    cano_status (*join)(cano_queue *, int64_t deadline);
    cano_status (*unfinished)(cano_queue *, uint64_t *count);
    cano_status (*dead_get)(cano_queue *, cano_item *, int64_t deadline);
    /* The usual case of put and get, tried before anything is known about time. CANO_NOT_AT_ONCE: nothing was done. */
    cano_status (*put_at_once)(cano_queue *, const void *, size_t);
    cano_status (*get_at_once)(cano_queue *, void *buffer, uint64_t capacity, size_t *size); /* size may be NULL */
} cano_engine;

#define CANO_NOT_AT_ONCE ((cano_status)-1)

/* Every engine's handle begins with this. */
struct cano_queue {
    const cano_engine *engine;
    uint32_t role;      /* CANO_PUTTER, CANO_GETTER, or 0 */
    bool joinable;
    uint64_t max_items; /* for full */
};

/* Shared memory (shared_engine.c). */
extern const cano_engine cano_shared_engine;

#endif
