/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bell is a named event; ringing sets it. A second object of the owner's tells whether he is there: the first lives on while
 * anybody has it who rings. Both are seen within one session of the user.
 */
#include "errors.h"
#include "objects.h"
#include "paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MOST 60
#define FULL_MOST 96

typedef struct bell {
    cano_win32_object object; /* its handle is the event */
    HANDLE presence;
} bell;

static void let_go_of_bell(cano_win32_object *object)
{
    bell *self = (bell *)object;
    CloseHandle(self->presence);
    CloseHandle(cano_win32_handle(self->object.handle));
    free(self);
}

static const cano_win32_kind bell_kind = { .let_go = let_go_of_bell };

static void name_object(const char *kind, const char *name, wchar_t wide[FULL_MOST])
{
    char text[FULL_MOST];
    snprintf(text, sizeof text, "Local\\cano-%s-%s", kind, name);
    cano_win32_letters(text, wide, FULL_MOST);
}

/* 0, or an error number. */
static DWORD make(const wchar_t *name, const wchar_t *presence, SECURITY_ATTRIBUTES *security, bell *made)
{
    made->object.kind = &bell_kind;
    made->presence = CreateEventW(security, TRUE, FALSE, presence);
    if (made->presence == NULL) {
        return GetLastError();
    }
    const HANDLE event = CreateEventW(security, TRUE, FALSE, name);
    if (event == NULL) {
        const DWORD error = GetLastError();
        CloseHandle(made->presence);
        return error;
    }
    ResetEvent(event); /* it may be a dead owner's whose ringer is still there */
    made->object.handle = (cano_os_handle)event;
    return 0;
}

static cano_status open_as_owner(const wchar_t *name, const wchar_t *presence, cano_os_handle *handle)
{
    SECURITY_ATTRIBUTES *security;
    const cano_status status = cano_win32_security(CANO_WIN32_USER, &security);
    if (status != CANO_OK) {
        return status;
    }
    bell *made = calloc(1, sizeof *made);
    const DWORD error = made == NULL ? ERROR_NOT_ENOUGH_MEMORY : make(name, presence, security, made);
    if (error != 0) {
        free(made);
        return cano_win32_failed(error);
    }
    cano_win32_enlist(&made->object);
    *handle = made->object.handle;
    return CANO_OK;
}

static cano_status open_as_ringer(const wchar_t *name, const wchar_t *presence, cano_os_handle *handle)
{
    const HANDLE owner = OpenEventW(SYNCHRONIZE, FALSE, presence);
    if (owner == NULL) {
        return cano_win32_failed(GetLastError());
    }
    CloseHandle(owner);
    const HANDLE event = OpenEventW(SYNCHRONIZE | EVENT_MODIFY_STATE, FALSE, name);
    if (event == NULL) {
        return cano_win32_failed(GetLastError());
    }
    *handle = (cano_os_handle)event;
    return CANO_OK;
}

cano_status cano_os_bell_open(const char *name, bool owner, cano_os_handle *handle)
{
    wchar_t event[FULL_MOST];
    wchar_t presence[FULL_MOST];
    if (strlen(name) > NAME_MOST) {
        return cano_win32_failed(ERROR_FILENAME_EXCED_RANGE);
    }
    name_object("bell", name, event);
    name_object("owner", name, presence);
    return owner ? open_as_owner(event, presence, handle) : open_as_ringer(event, presence, handle);
}

void cano_os_bell_ring(cano_os_handle ringer)
{
    SetEvent(cano_win32_handle(ringer));
}

void cano_os_bell_clear(cano_os_handle owner)
{
    ResetEvent(cano_win32_handle(owner));
}

void cano_os_bell_close(cano_os_handle handle, const char *name)
{
    (void)name; /* both objects end with their last handle */
    cano_os_close(handle);
}
