/* SPDX-License-Identifier: Apache-2.0 */
#include "graves.h"

#include <apr_strings.h>
#include <string.h>

#define NAME_MOST 100
#define LEASES 1024 /* to be listed, all are held at one time */
#define ROOM_PATIENCE 1000000

const char *graves_name(const char *name, apr_pool_t *pool)
{
    const char *grave = apr_pstrcat(pool, name, ".dead", NULL);
    return strlen(grave) <= NAME_MOST ? grave : NULL;
}

static cano_status open_or_make(cano_queue **queue, const char *grave, const cano_queue_options *limits)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    cano_status status = cano_queue_open(queue, grave, &options);
    if (status == CANO_ENOENT) {
        options.flags = CANO_JOINABLE;
        options.access = limits->access;
        options.max_items = limits->max_items;
        options.max_bytes = limits->max_bytes;
        options.max_leases = LEASES;
        status = cano_queue_create(queue, grave, &options);
        status = status == CANO_EEXIST ? cano_queue_open(queue, grave, NULL) : status; /* made meanwhile */
    }
    return status;
}

cano_status graves_bury(const char *grave, const cano_queue_options *limits, const cano_item *item)
{
    cano_queue *queue = NULL;
    cano_status status = open_or_make(&queue, grave, limits);
    if (status == CANO_OK) {
        status = cano_queue_put(queue, item->data, item->size, ROOM_PATIENCE);
        cano_queue_close(queue);
    }
    return status;
}
