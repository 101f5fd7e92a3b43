/* SPDX-License-Identifier: Apache-2.0 */
#include "deadline.h"
#include "engine.h"

#include <cano/joinable_queue.h>

static cano_status check(const cano_queue *queue)
{
    if (queue == NULL) {
        return CANO_EINVAL;
    }
    return queue->joinable ? CANO_OK : CANO_EKIND;
}

cano_status cano_queue_task_done(cano_queue *queue, const cano_item *item)
{
    const cano_status status = check(queue);
    return status == CANO_OK ? queue->engine->task_done(queue, item) : status;
}

cano_status cano_queue_give_back(cano_queue *queue, const cano_item *item, cano_timeout delay)
{
    const cano_status status = delay >= 0 ? check(queue) : CANO_EINVAL;
    return status == CANO_OK ? queue->engine->give_back(queue, item, delay) : status;
}

cano_status cano_queue_join(cano_queue *queue, cano_timeout timeout)
{
    int64_t deadline;
    cano_status status = cano_deadline(timeout, &deadline);
    if (status == CANO_OK) {
        status = check(queue);
    }
    return status == CANO_OK ? queue->engine->join(queue, deadline) : status;
}

cano_status cano_queue_unfinished(cano_queue *queue, size_t *count)
{
    uint64_t unfinished = 0;
    cano_status status = count != NULL ? check(queue) : CANO_EINVAL;
    if (status == CANO_OK) {
        status = queue->engine->unfinished(queue, &unfinished);
    }
    if (status == CANO_OK) {
        *count = (size_t)unfinished;
    }
    return status;
}

cano_status cano_queue_dead_get(cano_queue *queue, cano_item *item, cano_timeout timeout)
{
    int64_t deadline;
    cano_status status = item != NULL ? cano_deadline(timeout, &deadline) : CANO_EINVAL;
    if (status == CANO_OK) {
        status = check(queue);
    }
    return status == CANO_OK ? queue->engine->dead_get(queue, item, deadline) : status;
}
