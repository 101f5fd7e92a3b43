/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file joinable_queue.h
 * A queue that knows when all its work is done, and gives the work of the dead to others.
 *
 * On a queue made with CANO_JOINABLE every get leases its task to the participant until task_done. When a participant dies,
 * its tasks go back to the head of the queue with deliveries + 1, noticed within 100 ms of the kernel dropping the dead
 * process while anyone waits; when it closes its handle, at once and uncounted.
 *
 * Delivery is at least once: a worker killed after its work and before task_done has done it, and it will be done again.
 * Let results carry item.task, or be idempotent.
 *
 * The calls here are CANO_EKIND on a plain queue.
 */
#ifndef CANO_JOINABLE_QUEUE_H
#define CANO_JOINABLE_QUEUE_H

#include <cano/export.h>
#include <cano/queue.h>
#include <cano/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Say that a task is done. Ends its lease and its view.
 *
 * @param queue  the queue.
 * @param item   which task, as filled by take, get_many or dead_get; NULL: the oldest task that this thread holds, or if it
 *               holds none, the oldest that this participant holds.
 *
 * @return CANO_OK
 *         CANO_ENOTHELD  no task is held, or this one was done before
 *         CANO_EKIND     the queue is not joinable
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ELIMIT  as for cano_queue_get
 */
CANO_API cano_status cano_queue_task_done(cano_queue *queue, const cano_item *item);

/**
 * Wait until every task ever put is done. Dead letters count as done. Tasks of a participant that died come back first and
 * are waited for like any others.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  something was still unfinished; at once inside lock()
 *         CANO_ECLOSED   this handle is being closed
 *         CANO_EKIND     the queue is not joinable
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ELIMIT  as for cano_queue_get
 */
CANO_API cano_status cano_queue_join(cano_queue *queue, cano_timeout timeout);

/**
 * Count the tasks put and not yet done: queued, delayed or in somebody's hands.
 *
 * @return as cano_queue_qsize; CANO_EKIND: the queue is not joinable.
 */
CANO_API cano_status cano_queue_unfinished(cano_queue *queue, size_t *count);

/**
 * Give a task back undone, to be delivered again with deliveries + 1, before those still queued.
 *
 * @param item   which task, as for cano_queue_task_done. A dead letter goes back as new: another task number,
 *               deliveries from 1.
 * @param delay  microseconds until it may be delivered; CANO_NOW: at once. CANO_FOREVER is CANO_EINVAL.
 *
 * @return CANO_OK        also when it became a dead letter by it
 *         CANO_ENOTHELD  no task is held, or this one was done before
 *         CANO_EKIND     the queue is not joinable
 *         CANO_EINVAL, CANO_ECORRUPT, CANO_ELIMIT  as for cano_queue_get
 */
CANO_API cano_status cano_queue_give_back(cano_queue *queue, const cano_item *item, cano_timeout delay);

/**
 * Lease the oldest dead letter. task_done drops it, give_back queues it afresh, the death of the holder leaves it dead.
 *
 * @param item     receives the task as a view.
 * @param timeout  microseconds to wait for one.
 *
 * @return CANO_OK
 *         CANO_ETIMEOUT  there was none
 *         CANO_ECLOSED   this handle is being closed
 *         CANO_EKIND     the queue is not joinable
 *         CANO_ENOMEM, CANO_EINVAL, CANO_ECORRUPT, CANO_ELIMIT  as for cano_queue_take
 */
CANO_API cano_status cano_queue_dead_get(cano_queue *queue, cano_item *item, cano_timeout timeout);

#ifdef __cplusplus
}
#endif

#endif
