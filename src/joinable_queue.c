/* SPDX-License-Identifier: Apache-2.0 */
#include "deadline.h"
#include "shared_queue.h"

#include <cano/joinable_queue.h>

static cano_status begin(cano_queue *queue)
{
    if (queue == NULL) {
        return CANO_EINVAL;
    }
    return queue->memory.ledger.count != 0 ? cano_shared_enter(queue) : CANO_EKIND;
}

static cano_status end(cano_queue *queue, cano_status status)
{
    cano_shared_check(queue, status);
    cano_shared_leave(queue);
    return status;
}

cano_status cano_queue_task_done(cano_queue *queue, const cano_item *item)
{
    const cano_status status = begin(queue);
    return status == CANO_OK ? end(queue, cano_shared_task_done(queue, item)) : status;
}

cano_status cano_queue_join(cano_queue *queue, cano_timeout timeout)
{
    int64_t deadline;
    cano_status status = cano_deadline(timeout, &deadline);
    if (status == CANO_OK) {
        status = begin(queue);
    }
    return status == CANO_OK ? end(queue, cano_shared_join(queue, deadline)) : status;
}

cano_status cano_queue_unfinished(cano_queue *queue, size_t *count)
{
    uint64_t unfinished = 0;
    if (count == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = begin(queue);
    if (status != CANO_OK) {
        return status;
    }
    status = cano_shared_unfinished(queue, &unfinished);
    if (status == CANO_OK) {
        *count = (size_t)unfinished;
    }
    return end(queue, status);
}

cano_status cano_queue_give_back(cano_queue *queue, const cano_item *item, cano_timeout delay)
{
    if (delay < 0) {
        return CANO_EINVAL;
    }
    const cano_status status = begin(queue);
    return status == CANO_OK ? end(queue, cano_shared_give_back(queue, item, delay)) : status;
}

cano_status cano_queue_dead_get(cano_queue *queue, cano_item *item, cano_timeout timeout)
{
    int64_t deadline;
    cano_status status = item != NULL ? cano_deadline(timeout, &deadline) : CANO_EINVAL;
    if (status == CANO_OK) {
        status = begin(queue);
    }
    return status == CANO_OK ? end(queue, cano_shared_dead_get(queue, item, deadline)) : status;
}
