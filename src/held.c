/* SPDX-License-Identifier: Apache-2.0 */
#include "held.h"

#include "mutation.h"

cano_tasks *cano_tasks_make(uint32_t entries)
{
    uint32_t room = 16;
    while (room < entries) {
        room *= 2;
    }
    cano_tasks *tasks = malloc(sizeof *tasks + room * sizeof tasks->list[0]);
    if (tasks != NULL) {
        *tasks = (cano_tasks){ .mask = room - 1 };
    }
    return tasks;
}

cano_status cano_held_prepare(cano_held *held, uint32_t count)
{
    if (held->nodes == NULL) {
        held->nodes = calloc(count, sizeof *held->nodes);
        held->count = count;
    }
    return held->nodes != NULL ? CANO_OK : CANO_ENOMEM;
}

void cano_held_add(cano_held *held, uint32_t entry, uint64_t serial, void *copy)
{
    held->nodes[entry] = (cano_held_node){ serial, copy, true };
}

bool cano_held_remove(cano_held *held, uint32_t entry, uint64_t serial, void **copy)
{
    if (held->nodes == NULL || entry >= held->count) {
        return false;
    }
    cano_held_node *node = &held->nodes[entry];
    if (!node->in_use || (node->serial != serial && !CANO_MUTATED(SERIAL_IGNORED))) {
        return false;
    }
    *copy = node->copy;
    *node = (cano_held_node){ 0 };
    return true;
}

void cano_held_clear(cano_held *held)
{
    for (uint32_t entry = 0; entry < held->count && held->nodes != NULL; entry++) {
        free(held->nodes[entry].copy);
    }
    free(held->nodes);
    *held = (cano_held){ 0 };
}

cano_status cano_views_prepare(cano_views *views)
{
    if (views->count + views->promised < views->capacity) {
        views->promised++;
        return CANO_OK;
    }
    const size_t capacity = views->capacity == 0 ? 8 : views->capacity * 2;
    cano_view *list = realloc(views->list, capacity * sizeof *list);
    if (list == NULL) {
        return CANO_ENOMEM;
    }
    views->list = list;
    views->capacity = capacity;
    views->promised++;
    return CANO_OK;
}

void cano_views_drop(cano_views *views)
{
    views->promised--;
}

void cano_views_add(cano_views *views, cano_view view)
{
    views->promised--;
    views->list[views->count++] = view;
}

bool cano_views_remove(cano_views *views, const void *data, bool reserved, cano_view *view)
{
    for (size_t i = views->count; i-- > 0;) {
        if (views->list[i].data == data && (views->list[i].kind == CANO_VIEW_RESERVED) == reserved) {
            *view = views->list[i];
            views->list[i] = views->list[--views->count];
            return true;
        }
    }
    return false;
}

void cano_views_clear(cano_views *views)
{
    for (size_t i = 0; i < views->count; i++) {
        if (views->list[i].kind == CANO_VIEW_COPY) {
            free(views->list[i].data);
        }
    }
    free(views->list);
    *views = (cano_views){ 0 };
}
