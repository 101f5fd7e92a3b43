/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one process remembers of the tasks and views its handle holds: in which order tasks came to which thread, and which
 * memory was handed to the caller. Private memory; a forked child forgets it. Guarded by the handle's latch.
 */
#ifndef CANO_HELD_H
#define CANO_HELD_H

#include <cano/status.h>

/* ---- tasks, by ledger entry, in the order they came ---- */

typedef struct cano_held_node {
    uint32_t next, previous; /* entry + 1; 0: none */
    uintptr_t thread;        /* that got it */
    uint64_t serial;
    void *copy;  /* made for the caller, to be freed; or NULL */
    bool in_use;
} cano_held_node;

typedef struct cano_held {
    cano_held_node *nodes; /* one per ledger entry */
    uint32_t count;
    uint32_t oldest, newest; /* entry + 1; 0: none */
} cano_held;

/* Make room for a ledger of that many entries. CANO_ENOMEM. */
cano_status cano_held_prepare(cano_held *held, uint32_t count);
void cano_held_add(cano_held *held, uint32_t entry, uint64_t serial, uintptr_t thread);
cano_held_node *cano_held_find(cano_held *held, uint32_t entry, uint64_t serial);

/* The oldest of this thread, otherwise the oldest: its entry, or UINT32_MAX. */
uint32_t cano_held_oldest(const cano_held *held, uintptr_t thread);

/* Take a task off the list; its copy is the caller's to free. False: it is not there (any more). */
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
