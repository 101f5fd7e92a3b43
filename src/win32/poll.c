/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleep on handles, and the list of those that stand for more than one thing of the system.
 *
 * Whatever is watched is first asked itself; only what is not ready is slept on. The system waits for 64 things at once, and
 * never for one twice.
 */
#include "errors.h"
#include "latch.h"
#include "objects.h"

#include <assert.h>

#define POLL_MOST MAXIMUM_WAIT_OBJECTS /* 64 */
#define LOOK 60000                     /* milliseconds of one sleep: time goes on */
#define LOOK_WRITING 10                /* nothing tells one who waits for room that a peer with unread bytes has died */
#define BUCKETS 256

static_assert(POLL_MOST >= 64, "as os.h says");

/* ---- the list ---- */

static struct {
    cano_latch latch;
    cano_win32_object *buckets[BUCKETS];
} list;

/* Handles are multiples of four. */
static cano_win32_object **bucket_of(cano_os_handle handle)
{
    return &list.buckets[(uintptr_t)handle / 4 % BUCKETS];
}

/* Under the latch: the link that leads to the object, or to NULL. */
static cano_win32_object **find_link(cano_os_handle handle)
{
    cano_win32_object **link = bucket_of(handle);
    while (*link != NULL && (*link)->handle != handle) {
        link = &(*link)->next;
    }
    return link;
}

void cano_win32_enlist(cano_win32_object *object)
{
    cano_latch_close(&list.latch);
    cano_win32_object **bucket = bucket_of(object->handle);
    object->next = *bucket;
    *bucket = object;
    cano_latch_open(&list.latch);
}

cano_win32_object *cano_win32_find(cano_os_handle handle)
{
    cano_latch_close(&list.latch);
    cano_win32_object *found = *find_link(handle);
    cano_latch_open(&list.latch);
    return found;
}

static cano_win32_object *strike_out(cano_os_handle handle)
{
    cano_latch_close(&list.latch);
    cano_win32_object **link = find_link(handle);
    cano_win32_object *found = *link;
    if (found != NULL) {
        *link = found->next;
    }
    cano_latch_open(&list.latch);
    return found;
}

void cano_os_close(cano_os_handle handle)
{
    if (handle == CANO_OS_NONE || handle == 0) {
        return;
    }
    const DWORD error = GetLastError(); /* cleaning up must not hide why */
    cano_win32_object *object = strike_out(handle);
    if (object != NULL) {
        object->kind->let_go(object);
    } else {
        CloseHandle(cano_win32_handle(handle));
    }
    SetLastError(error);
}

/* ---- from one process to another ---- */

DWORD cano_win32_duplicate(HANDLE from, HANDLE handle, HANDLE to, bool moved, uint64_t *duplicate)
{
    HANDLE made = NULL;
    const DWORD how = DUPLICATE_SAME_ACCESS | (moved ? DUPLICATE_CLOSE_SOURCE : 0);
    if (!DuplicateHandle(from, handle, to, &made, 0, FALSE, how)) {
        return GetLastError();
    }
    *duplicate = (uint64_t)(uintptr_t)made;
    return 0;
}

cano_status cano_win32_copy(cano_os_handle handle, HANDLE to, cano_win32_piece *piece)
{
    *piece = (cano_win32_piece){ .kind = CANO_WIN32_PIECE_PLAIN };
    cano_win32_object *object = cano_win32_find(handle);
    DWORD error;
    if (object == NULL) {
        error = cano_win32_duplicate(GetCurrentProcess(), cano_win32_handle(handle), to, false, &piece->handles[0]);
    } else {
        error = object->kind->copy == NULL ? ERROR_NOT_SUPPORTED : object->kind->copy(object, to, piece);
    }
    return error == 0 ? CANO_OK : error == ERROR_INVALID_HANDLE ? cano_os_fail((int)error, CANO_EINVAL) : cano_win32_failed(error);
}

void cano_win32_move(cano_os_handle handle, const cano_win32_party *to)
{
    cano_win32_object *object = cano_win32_find(handle);
    if (object != NULL && object->kind->move != NULL) {
        object->kind->move(object, to);
    }
}

void cano_win32_take_back(HANDLE from, cano_win32_piece *piece)
{
    for (size_t i = 0; i < CANO_WIN32_PARTS; i++) {
        if (piece->handles[i] != 0) {
            DuplicateHandle(from, (HANDLE)(uintptr_t)piece->handles[i], NULL, NULL, 0, FALSE, DUPLICATE_CLOSE_SOURCE);
            piece->handles[i] = 0;
        }
    }
}

cano_status cano_win32_receive(const cano_win32_piece *piece, cano_os_handle *handle)
{
    switch (piece->kind) {
    case CANO_WIN32_PIECE_PLAIN:
        *handle = (cano_os_handle)piece->handles[0];
        return CANO_OK;
    case CANO_WIN32_PIECE_LEASE:
        return cano_win32_receive_lease(piece, handle);
    case CANO_WIN32_PIECE_STREAM:
        return cano_win32_receive_stream(piece, handle);
    default:
        return cano_os_fail(ERROR_INVALID_DATA, CANO_ECORRUPT);
    }
}

/* ---- sleep ---- */

DWORD cano_win32_milliseconds(int64_t deadline, DWORD most)
{
    if (deadline == CANO_OS_NEVER) {
        return most;
    }
    const int64_t now = deadline <= 0 ? 0 : cano_os_now();
    if (deadline <= now) {
        return 0;
    }
    const int64_t left = (deadline - now) / 1000 + ((deadline - now) % 1000 != 0);
    return left < most ? (DWORD)left : most;
}

/* What is behind the handles is asked for once: nobody closes what is being watched. */
typedef struct watch {
    cano_os_pollable *watched;
    size_t count;
    cano_win32_object *objects[POLL_MOST]; /* NULL: a handle like any other */
    bool writes;
} watch;

static bool is_ready(const watch *self, size_t i)
{
    const cano_os_pollable *watched = &self->watched[i];
    cano_win32_object *object = self->objects[i];
    if (watched->handle == CANO_OS_NONE) {
        return false;
    }
    if (object == NULL || object->kind->is_ready == NULL) {
        return WaitForSingleObject(cano_win32_handle(watched->handle), 0) != WAIT_TIMEOUT; /* whatever it is, using it will tell */
    }
    return object->kind->is_ready(object, watched->write);
}

/* Asking changes what they wait on, so all are asked although one is ready. */
static bool look(const watch *self)
{
    bool any = false;
    bool ready[POLL_MOST];
    for (size_t i = 0; i < self->count; i++) {
        ready[i] = is_ready(self, i);
        any = any || ready[i];
    }
    for (size_t i = 0; i < self->count && any; i++) {
        self->watched[i].ready = ready[i];
    }
    return any;
}

static HANDLE waited_for(const watch *self, size_t i)
{
    cano_win32_object *object = self->objects[i];
    const bool own = object != NULL && object->kind->waits_on != NULL;
    return own ? object->kind->waits_on(object, self->watched[i].write) : cano_win32_handle(self->watched[i].handle);
}

static DWORD add(HANDLE *handles, DWORD count, HANDLE handle)
{
    for (DWORD i = 0; i < count; i++) {
        if (handles[i] == handle) {
            return count;
        }
    }
    handles[count] = handle;
    return count + 1;
}

/* 0, or an error number. */
static DWORD sleep_once(const watch *self, int64_t deadline)
{
    HANDLE handles[POLL_MOST];
    DWORD count = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->watched[i].handle != CANO_OS_NONE) {
            count = add(handles, count, waited_for(self, i));
        }
    }
    const DWORD time = cano_win32_milliseconds(deadline, self->writes ? LOOK_WRITING : LOOK);
    if (count == 0) {
        Sleep(time);
        return 0;
    }
    return WaitForMultipleObjects(count, handles, FALSE, time) == WAIT_FAILED ? GetLastError() : 0;
}

static bool is_past(int64_t deadline)
{
    return deadline <= 0 || (deadline != CANO_OS_NEVER && cano_os_now() >= deadline);
}

cano_status cano_os_poll(cano_os_pollable *watched, size_t count, int64_t deadline)
{
    if (count > POLL_MOST || (watched == NULL && count > 0)) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    watch self = { .watched = watched, .count = count };
    for (size_t i = 0; i < count; i++) {
        self.objects[i] = cano_win32_find(watched[i].handle);
        self.writes = self.writes || watched[i].write;
    }
    for (;;) {
        const bool last = is_past(deadline); /* before the look: what is ready by the deadline counts */
        if (look(&self)) {
            return CANO_OK;
        }
        if (last) {
            return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
        }
        const DWORD error = sleep_once(&self, deadline);
        if (error != 0) {
            return cano_win32_failed(error);
        }
    }
}
