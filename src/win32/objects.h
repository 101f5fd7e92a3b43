/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles that stand for more than one thing of the system: streams, listeners, bells, leases. What is behind such a handle is
 * listed, so that it can be waited for, handed to another process and closed by the handle alone.
 */
#ifndef CANO_WIN32_OBJECTS_H
#define CANO_WIN32_OBJECTS_H

#include "os.h"

#include <windows.h>

#define CANO_WIN32_PARTS 6 /* handles of the system behind one of ours, at most */

/* A handle on its way to another process: what it is there. Handles as numbers, the same for 32 and 64 bits. */
typedef struct cano_win32_piece {
    uint32_t kind;    /* CANO_WIN32_PIECE_... */
    uint32_t detail;  /* of the kind */
    uint64_t handles[CANO_WIN32_PARTS];
} cano_win32_piece;

enum { CANO_WIN32_PIECE_PLAIN = 1, CANO_WIN32_PIECE_LEASE = 2, CANO_WIN32_PIECE_STREAM = 3 };

/* A process that something is handed to. */
typedef struct cano_win32_party {
    HANDLE process; /* may duplicate handles */
    uint64_t word;  /* see holders.h */
} cano_win32_party;

typedef struct cano_win32_object cano_win32_object;

/* What kinds of them can do; NULL: nothing. */
typedef struct cano_win32_kind {
    /* Ready now? If not, what waits_on gives will be signalled when it may be. */
    bool (*is_ready)(cano_win32_object *, bool write);
    HANDLE (*waits_on)(cano_win32_object *, bool write);

    /* Copy what it consists of to a process. 0, or an error number; copies that were made are in the piece all the same. */
    DWORD (*copy)(cano_win32_object *, HANDLE to, cano_win32_piece *piece);

    /* The copy will be used: from now on the thing is that process's. */
    void (*move)(cano_win32_object *, const cano_win32_party *to);

    /* It is off the list: let go of everything. */
    void (*let_go)(cano_win32_object *);
} cano_win32_kind;

struct cano_win32_object {
    const cano_win32_kind *kind;
    cano_os_handle handle;
    cano_win32_object *next;
};

void cano_win32_enlist(cano_win32_object *object);
cano_win32_object *cano_win32_find(cano_os_handle handle); /* NULL: a handle like any other */

/* Hand handles of ours over to a process: first copy all, then, when nothing can fail any more, move all. What was copied and is
 * not moved goes with the process or is closed there by cano_win32_take_back. */
cano_status cano_win32_copy(cano_os_handle handle, HANDLE to, cano_win32_piece *piece);
void cano_win32_move(cano_os_handle handle, const cano_win32_party *to);
void cano_win32_take_back(HANDLE from, cano_win32_piece *piece);

/* Make a handle of ours from a piece that was meant for this process. Owns its handles, also on failure. */
cano_status cano_win32_receive(const cano_win32_piece *piece, cano_os_handle *handle);

/* The two kinds that can be received. */
cano_status cano_win32_receive_lease(const cano_win32_piece *piece, cano_os_handle *handle);
cano_status cano_win32_receive_stream(const cano_win32_piece *piece, cano_os_handle *handle);

/* One handle of the system, from one process to another; the source is closed if moved. 0, or an error number. */
DWORD cano_win32_duplicate(HANDLE from, HANDLE handle, HANDLE to, bool moved, uint64_t *duplicate);

/* Milliseconds from now to a deadline, rounded up: 0 if it is past, at most. */
DWORD cano_win32_milliseconds(int64_t deadline, DWORD most);

static inline HANDLE cano_win32_handle(cano_os_handle handle)
{
    return (HANDLE)handle;
}

#endif
