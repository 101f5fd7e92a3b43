/* SPDX-License-Identifier: Apache-2.0 */
#include "held.h"

#include "mutation.h"

#include <stdlib.h>

cano_status cano_held_prepare(cano_held *held, uint32_t count)
{
    if (held->nodes == NULL) {
        held->nodes = calloc(count, sizeof *held->nodes);
        held->count = count;
    }
    return held->nodes != NULL ? CANO_OK : CANO_ENOMEM;
}

void cano_held_add(cano_held *held, uint32_t entry, uint64_t serial, uintptr_t thread)
{
    cano_held_node *node = &held->nodes[entry];
    *node = (cano_held_node){ .previous = held->newest, .thread = thread, .serial = serial, .in_use = true };
    if (held->newest != 0) {
        held->nodes[held->newest - 1].next = entry + 1;
    } else {
        held->oldest = entry + 1;
    }
    held->newest = entry + 1;
}

cano_held_node *cano_held_find(cano_held *held, uint32_t entry, uint64_t serial)
{
    if (held->nodes == NULL || entry >= held->count) {
        return NULL;
    }
    cano_held_node *node = &held->nodes[entry];
    return node->in_use && (node->serial == serial || CANO_MUTATED(SERIAL_IGNORED)) ? node : NULL;
}

uint32_t cano_held_oldest(const cano_held *held, uintptr_t thread)
{
    for (uint32_t entry = held->oldest; entry != 0; entry = held->nodes[entry - 1].next) {
        if (held->nodes[entry - 1].thread == thread) {
            return entry - 1;
        }
    }
    return held->oldest - 1; /* UINT32_MAX when there is none */
}

bool cano_held_remove(cano_held *held, uint32_t entry, uint64_t serial, void **copy)
{
    cano_held_node *node = cano_held_find(held, entry, serial);
    if (node == NULL) {
        return false;
    }
    if (node->next != 0) {
        held->nodes[node->next - 1].previous = node->previous;
    } else {
        held->newest = node->previous;
    }
    if (node->previous != 0) {
        held->nodes[node->previous - 1].next = node->next;
    } else {
        held->oldest = node->next;
    }
    *copy = node->copy;
    *node = (cano_held_node){ 0 };
    return true;
}

void cano_held_clear(cano_held *held)
{
    while (held->oldest != 0) {
        cano_held_node *node = &held->nodes[held->oldest - 1];
        held->oldest = node->next;
        free(node->copy);
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
