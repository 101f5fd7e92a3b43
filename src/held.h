/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one process remembers of the tasks and views its handle holds: in which order tasks came to which thread, and which
 * memory was handed to the caller. Private memory; a forked child forgets it.
 *
 * That a task is held, and by whom, its word in the ledger says, and who ends it is decided there. So the order in which tasks
 * came is a thread's own list, which nobody else touches and which may name tasks that have ended meanwhile.
 */
#ifndef CANO_HELD_H
#define CANO_HELD_H

#include <cano/status.h>
#include <stdlib.h>

/* ---- tasks in the order they came to a thread ---- */

#define CANO_TASKS_ENTRY_BITS 20 /* for CANO_MAX_LEASES; the serial above them has 34 */

typedef struct cano_tasks {
    uint32_t mask;           /* of a power of two that is not less than the ledger's entries */
    uint32_t oldest, newest; /* run on; between them lies what is there */
    uint64_t list[];         /* serial, entry */
} cano_tasks;

/* NULL: no memory. Ends with free. */
cano_tasks *cano_tasks_make(uint32_t entries);

static inline bool cano_tasks_are_full(const cano_tasks *tasks)
{
    return tasks->newest - tasks->oldest > tasks->mask;
}

/* There is room: what has ended is taken off before, by who can tell. */
static inline void cano_tasks_add(cano_tasks *tasks, uint32_t entry, uint64_t serial)
{
    tasks->list[tasks->newest++ & tasks->mask] = serial << CANO_TASKS_ENTRY_BITS | entry;
}

/* The oldest. */
static inline bool cano_tasks_look(const cano_tasks *tasks, uint32_t *entry, uint64_t *serial)
{
    if (tasks == NULL || tasks->oldest == tasks->newest) {
        return false;
    }
    const uint64_t task = tasks->list[tasks->oldest & tasks->mask];
    *entry = (uint32_t)task & ((UINT32_C(1) << CANO_TASKS_ENTRY_BITS) - 1);
    *serial = task >> CANO_TASKS_ENTRY_BITS;
    return true;
}

static inline bool cano_tasks_take(cano_tasks *tasks, uint32_t *entry, uint64_t *serial)
{
    const bool there = cano_tasks_look(tasks, entry, serial);
    if (there) {
        tasks->oldest++;
    }
    return there;
}

/* ---- tasks whose payload lies in blocks, by ledger entry: who ends one must be alone. Guarded by the handle's latch ---- */

typedef struct cano_held_node {
    uint64_t serial;
    void *copy;  /* made for the caller, to be freed; or NULL */
    bool in_use;
} cano_held_node;

typedef struct cano_held {
    cano_held_node *nodes; /* one per ledger entry */
    uint32_t count;
} cano_held;

/* Make room for a ledger of that many entries. CANO_ENOMEM. */
cano_status cano_held_prepare(cano_held *held, uint32_t count);
void cano_held_add(cano_held *held, uint32_t entry, uint64_t serial, void *copy);

/* Take a task off; its copy is the caller's to free. False: it is not there (any more). */
bool cano_held_remove(cano_held *held, uint32_t entry, uint64_t serial, void **copy);

/* Forget everything, freeing copies. */
void cano_held_clear(cano_held *held);

/* ---- views: memory of the queue, or copies of it, in the caller's hands ---- */

typedef enum cano_view_kind { CANO_VIEW_RESERVED, CANO_VIEW_BORROWED, CANO_VIEW_COPY } cano_view_kind;

typedef struct cano_view {
    void *data;
    uint64_t size; /* bytes the caller may use */
    uint32_t page;
    cano_view_kind kind;
} cano_view;

typedef struct cano_views {
    cano_view *list;
    size_t count, capacity;
    size_t promised; /* prepared and not yet added */
} cano_views;

/* Promise room for one more (CANO_ENOMEM); the promise is kept by add, or dropped. */
cano_status cano_views_prepare(cano_views *views);
void cano_views_drop(cano_views *views);
void cano_views_add(cano_views *views, cano_view view);

/* Take a view off the list. False: there is no such. reserved: only reservations, otherwise only the others. */
bool cano_views_remove(cano_views *views, const void *data, bool reserved, cano_view *view);

/* Forget everything, freeing copies. */
void cano_views_clear(cano_views *views);

#endif
