/* SPDX-License-Identifier: Apache-2.0 */
#include "deadline.h"
#include "listener.h"
#include "pipe.h"
#include "process.h"
#include "queue.h"

#include <cano/wait.h>

#define OBJECTS_MAX 60
#define WAIT_SLICE INT64_C(100000) /* microseconds of one sleep: a bell may be lost with the one who should have rung it */

static bool is_object(const cano_object *object)
{
    return (object->pipe != NULL) + (object->queue != NULL) + (object->listener != NULL) + (object->process != NULL) == 1;
}

static bool are_objects(const cano_object *objects, size_t count)
{
    if (objects == NULL || count < 1 || count > OBJECTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_object(&objects[i])) {
            return false;
        }
    }
    return true;
}

/* What to sleep on. Asking pipes and queues for it makes them keep it up to date from now on. */
static cano_status native_of(const cano_object *object, cano_os_handle *handle)
{
    if (object->pipe != NULL) {
        return cano_pipe_native(object->pipe, handle);
    }
    if (object->queue != NULL) {
        return cano_queue_native(object->queue, handle);
    }
    if (object->process != NULL) {
        return cano_process_ended(object->process, handle);
    }
    *handle = cano_listener_handle(object->listener);
    return CANO_OK;
}

/* Ready now? Pipes and queues know better than their handles, which may be ready falsely, and must be armed before a sleep. */
static cano_status look(const cano_object *object, cano_os_pollable *watched, bool *ready)
{
    if (object->pipe != NULL) {
        return cano_pipe_ready(object->pipe, ready);
    }
    if (object->queue != NULL) {
        return cano_queue_ready(object->queue, ready);
    }
    const cano_status status = cano_os_poll(watched, 1, 0);
    *ready = status == CANO_OK;
    return status == CANO_ETIMEOUT ? CANO_OK : status;
}

/* CANO_ETIMEOUT: none is ready. */
static cano_status look_at_all(const cano_object *objects, cano_os_pollable *watched, size_t count, size_t *ready)
{
    for (size_t i = 0; i < count; i++) {
        bool is_ready = false;
        const cano_status status = look(&objects[i], &watched[i], &is_ready);
        if (status != CANO_OK) {
            return status;
        }
        if (is_ready) {
            *ready = i;
            return CANO_OK;
        }
    }
    return CANO_ETIMEOUT;
}

static cano_status wait_until(const cano_object *objects, cano_os_pollable *watched, size_t count, size_t *ready,
                              int64_t deadline)
{
    for (;;) {
        const bool last = cano_os_now() >= deadline; /* before the look: what is ready by the deadline counts */
        cano_status status = look_at_all(objects, watched, count, ready);
        if (status != CANO_ETIMEOUT || last) {
            return status;
        }
        status = cano_os_poll(watched, count, cano_deadline_slice(deadline, WAIT_SLICE));
        if (status != CANO_OK && status != CANO_ETIMEOUT) {
            return status;
        }
    }
}

cano_status cano_wait(const cano_object *objects, size_t count, size_t *ready, cano_timeout timeout)
{
    int64_t deadline;
    if (!are_objects(objects, count) || ready == NULL || cano_deadline(timeout, &deadline) != CANO_OK) {
        return CANO_EINVAL;
    }
    cano_os_pollable watched[OBJECTS_MAX] = { 0 };
    for (size_t i = 0; i < count; i++) {
        const cano_status status = native_of(&objects[i], &watched[i].handle);
        if (status != CANO_OK) {
            return status;
        }
    }
    return wait_until(objects, watched, count, ready, deadline);
}
