/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles that came by a stream and wait for the message that tells what they are, in the order they came.
 */
#ifndef CANO_HANDLES_H
#define CANO_HANDLES_H

#include "os.h"

#include <string.h>

#define CANO_HANDLES_PASSED 8 /* most that come with one read */
#define CANO_HANDLES_MAX 16

typedef struct cano_handles {
    uint32_t count;
    cano_os_handle list[CANO_HANDLES_MAX];
} cano_handles;

static inline void cano_handles_close(cano_handles *handles)
{
    for (uint32_t i = 0; i < handles->count; i++) {
        cano_os_close(handles->list[i]);
    }
    handles->count = 0;
}

/* Owns them, also on failure. CANO_ECORRUPT: more than an honest peer sends ahead of a message. */
static inline cano_status cano_handles_add(cano_handles *handles, const cano_os_handle *added, size_t count)
{
    if (count > CANO_HANDLES_MAX - handles->count) {
        for (size_t i = 0; i < count; i++) {
            cano_os_close(added[i]);
        }
        return CANO_ECORRUPT;
    }
    for (size_t i = 0; i < count; i++) {
        handles->list[handles->count++] = added[i];
    }
    return CANO_OK;
}

/* Move the first count out; there are so many. */
static inline void cano_handles_take(cano_handles *handles, cano_os_handle *taken, uint32_t count)
{
    handles->count -= count;
    memcpy(taken, handles->list, count * sizeof taken[0]);
    memmove(handles->list, handles->list + count, handles->count * sizeof handles->list[0]);
}

#endif
