/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam: all that an operating system must give and APR does not.
 *
 * Common contract. One group of files per system (src/posix, src/win32), chosen by CMake. A primitive does one thing,
 * reports, and lets the caller decide: no policy, no logging, no retry except EINTR. Results go through pointers, untouched
 * on failure. Every failure leaves the native code in cano_os_error(). Deadlines are absolute microseconds of cano_os_now();
 * CANO_OS_NEVER waits without end, a past one polls. Nothing here starts a thread, raises a signal, or lets a handle pass to
 * a child that was not named in cano_os_spawn. Everything may be called from any thread; two calls on one segment, stream or
 * bell are serialised by the caller, except wait, wake and lease_alive, which are not.
 */
#ifndef CANO_OS_H
#define CANO_OS_H

#include "pause.h"

#include <cano/status.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANO_OS_NEVER INT64_MAX
#define CANO_OS_NONE ((cano_os_handle)-1)
#define CANO_OS_PATH_MAX 512

typedef intptr_t cano_os_handle; /* file descriptor, or HANDLE */

typedef struct cano_os_segment {
    unsigned char *base;   /* the mapping, page aligned */
    size_t size;           /* what this process mapped; never read again from the OS */
    cano_os_handle handle; /* may be passed to others: spawn, stream */
    char id[33];           /* 128 random bits, hex: names side objects. Set by create; after open and adopt the caller copies
                              it from the header it has validated, before any other call on the segment */
    bool shared;           /* false: private memory of this process */
    void *backend;         /* what the system needs beside it; owned by the seam */
} cano_os_segment;

/* Lives in the roster slot of the holder of a lease. POSIX: pid, 0 (for people). Windows: pid, creation time. */
typedef struct cano_os_identity {
    uint64_t a, b;
} cano_os_identity;

typedef struct cano_os_stream {
    cano_os_handle handle; /* readable when bytes or the end are there */
    void *backend;
} cano_os_stream;

typedef struct cano_os_hand {
    const char *name;      /* 1 to 80 of [A-Za-z0-9._/-] */
    cano_os_handle handle; /* stays the caller's */
} cano_os_hand;

typedef struct cano_os_pollable {
    cano_os_handle handle;
    bool write; /* wait for room to write instead of something to read */
    bool ready; /* result; also true when the peer is gone */
} cano_os_pollable;

/* ---- clock and place ---- */

/* Monotonic microseconds, one clock for every process of the machine. */
int64_t cano_os_now(void);

/* Where the seam keeps the number below, once it was asked for; NULL, or 0 in it: ask. For cano_os_self alone. */
extern _Atomic(_Atomic uint32_t *) cano_os_self_word;
CANO_SELDOM uint32_t cano_os_self_asked(void);

/* A number of this process that is another one in a forked child; cheap (two loads on Linux). Never 0. */
static inline uint32_t cano_os_self(void)
{
    /* acquire: pairs with the release of who made the word; relaxed: the number comes alone */
    _Atomic uint32_t *word = atomic_load_explicit(&cano_os_self_word, memory_order_acquire);
    const uint32_t self = word == NULL ? 0 : atomic_load_explicit(word, memory_order_relaxed);
    return self != 0 ? self : cano_os_self_asked();
}

/* A text that changes when the machine starts anew; at most 47 characters. */
void cano_os_boot(char boot[48]);

/* Where names live, made private (0700) and checked: $CANO_DIR as it is, else /dev/shm/cano-UID, $TMPDIR/cano-UID,
 * %LOCALAPPDATA%\cano. CANO_EACCES: it is not ours, or others may write to it. */
cano_status cano_os_directory(char *path, size_t capacity);

/* ---- segment: zeroed memory that is committed now (CANO_ENOSPC here, never a fault later) ---- */

/* Nameless; sealed against shrinking where possible. access as in cano_queue_options, for a later publish.
 * shared = false: private memory without a handle. */
cano_status cano_os_segment_create(cano_os_segment *, size_t size, bool shared, uint32_t access);

/* For a segment that will get a name: made where names live (a sealed memfd cannot be linked). */
cano_status cano_os_segment_create_named(cano_os_segment *, size_t size, uint32_t access);

/* The finished segment appears at path, whole, or CANO_EEXIST. Only after create_named. */
cano_status cano_os_segment_publish(cano_os_segment *, const char *path);

/* CANO_ENOENT, CANO_EACCES (also: another user's, unless access allows it), CANO_EKIND (no regular file, or smaller than
 * minimum). */
cano_status cano_os_segment_open(cano_os_segment *, const char *path, size_t minimum, uint32_t access);

/* Map what was inherited or received, and own the handle from then on, also on failure. sealed: demand that it cannot
 * shrink (CANO_ECORRUPT otherwise, where the system can tell). */
cano_status cano_os_segment_adopt(cano_os_segment *, cano_os_handle, size_t minimum, bool sealed);

/* Free the name at once if it still leads to the segment that is expected (NULL: to any regular file, CANO_EKIND otherwise);
 * those attached go on. */
cano_status cano_os_segment_unlink(const char *path, const cano_os_segment *expected);

/* Unmap and let go of handle and backend. */
void cano_os_segment_close(cano_os_segment *);

/* ---- wait on a 32-bit word inside a segment. May return early, and nothing correct may depend on a wake arriving ---- */

/* CANO_OK: woken, changed, or no reason at all; CANO_ETIMEOUT: the deadline passed. */
cano_status cano_os_wait(cano_os_segment *, _Atomic uint32_t *word, uint32_t expected, int64_t deadline);

/* Wake count (1 or UINT32_MAX) of those who sleep on word; one system call; nobody there is fine. */
CANO_SELDOM void cano_os_wake(cano_os_segment *, _Atomic uint32_t *word, uint32_t count);

/* ---- bell: a thing an event loop can watch, owned by one participant, rung by any who know its name ---- */

/* owner: make it; the handle is readable while rung, and (Linux) 100 ms after it was made or last cleared whatever happened.
 * Ringer: CANO_ENOENT when the owner is gone. name: at most 60 of [A-Za-z0-9._-], used once; what a dead owner of that name
 * left is replaced. */
cano_status cano_os_bell_open(const char *name, bool owner, cano_os_handle *);
void cano_os_bell_ring(cano_os_handle ringer);  /* stays up until cleared; never blocks */
void cano_os_bell_clear(cano_os_handle owner);

/* name: the owner ends the bell. NULL: only the handle goes: a ringer's, or an owner's in a forked child. */
void cano_os_bell_close(cano_os_handle, const char *name);

/* ---- lease: the kernel's word that the holder of a slot lives. guard: one exclusive section. Both fall at death ---- */

/* Take slot's lease; it lives as long as any copy of *lease, which may be handed to a child: a process holds it that has the
 * handle. CANO_EEXIST when held, CANO_ELIMIT when no descriptor is left. Private segments: always, and CANO_OS_NONE. */
cano_status cano_os_lease_take(cano_os_segment *, uint32_t slot, cano_os_handle *lease, cano_os_identity *);

/* Make an inherited or received lease this process's own, so that its forks let go of it. It may get another number; on
 * failure it is closed. */
cano_status cano_os_lease_adopt(cano_os_handle *lease);

/* Let go of a lease, once per process that has it. In a forked child too, where the copies are closed already if the fork's
 * handlers ran, and are closed here if they did not. CANO_OS_NONE does nothing. */
void cano_os_lease_drop(cano_os_handle lease);

/* The child of the fork this thread is about to make keeps this lease; the parent drops it after the fork. */
void cano_os_lease_for_child(cano_os_handle lease);

/* True also when it cannot be told. Never asked about a slot of one's own. */
bool cano_os_lease_alive(cano_os_segment *, uint32_t slot, const cano_os_identity *);

/* CANO_ETIMEOUT when held by another process; the caller backs off and repeats. Not between threads: the caller's flag. */
cano_status cano_os_guard_try(cano_os_segment *);
void cano_os_guard_leave(cano_os_segment *);

/* Run these around each fork of this process; set once. before runs while leases can still be taken, child when the leases
 * that are not the child's are gone. No-op where there is no fork. */
void cano_os_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void));

/* In a forked child: let go of what the backend inherited and must not share (the guard), so that segment can be used. */
void cano_os_segment_forked(cano_os_segment *);

/* ---- stream: bytes both ways plus handles; never blocks: CANO_ETIMEOUT when it would. Sleep in cano_os_poll ---- */

cano_status cano_os_stream_pair(cano_os_stream ends[2]);

/* Takes over the name of a dead listener; CANO_EEXIST: a living one, or something else, has the path. To find out whether one
 * lives it may be connected to: accept gives such a stream too, ended already. */
cano_status cano_os_stream_listen(cano_os_stream *, const char *path, uint32_t access);
cano_status cano_os_stream_accept(cano_os_stream *listener, cano_os_stream *);

/* Does somebody listen at path? He does not notice. CANO_ENOENT: nobody (any more); CANO_EKIND: no listener behind the path. */
cano_status cano_os_stream_probe(const char *path);

/* CANO_ENOENT: nobody listens (also: the listener died); CANO_EKIND: no listener behind the path; CANO_EACCES. */
cano_status cano_os_stream_connect(cano_os_stream *, const char *path);

/* passed: a list of handles to send along with the first byte (NULL, 0: none). CANO_ECLOSED: the peer is gone. */
cano_status cano_os_stream_write(cano_os_stream *, const void *, size_t, const cano_os_handle *passed, size_t passed_count,
                                 size_t *written);

/* passed: receives up to 8 handles, close-on-exec, owned by the caller; passed_count receives how many (NULL: any that come
 * are closed). CANO_ECLOSED after the last byte; also when the peer closed with unread bytes. CANO_ELIMIT: no descriptor left
 * for the handles; they and their byte are still there where the system can do that. CANO_ECORRUPT: more than 8 at once. */
cano_status cano_os_stream_read(cano_os_stream *, void *, size_t, cano_os_handle passed[8], size_t *passed_count, size_t *got);

/* Who is at the other end; uid -1 where the system has none. */
cano_status cano_os_stream_peer(cano_os_stream *, int64_t *pid, int64_t *uid, bool *same_user);

/* Make a stream of a handle that was inherited or received. */
cano_status cano_os_stream_adopt(cano_os_stream *, cano_os_handle);

/* End the conversation although others hold copies; whoever sleeps on the stream, here or there, wakes. Close it later. This
 * may run beside other calls on the stream, and so may a read beside a write. */
void cano_os_stream_end(cano_os_stream *);

/* end: as cano_os_stream_end first. A listener's name is removed. */
void cano_os_stream_close(cano_os_stream *, bool end);

/* ---- sleep on handles, at most 64: streams, bells, processes. CANO_OK: at least one is ready; CANO_ETIMEOUT ---- */
cano_status cano_os_poll(cano_os_pollable *, size_t count, int64_t deadline);

/* ---- process ---- */

/* Start argv with exactly stdio and these handles. argv[0] "" is this program. ended becomes readable at exit. */
cano_status cano_os_spawn(const char *const *argv, const cano_os_hand *, size_t count, int64_t *pid, cano_os_handle *ended);

/* How a child ended, told once: its exit code and signal 0, or -1 and what killed it. CANO_ETIMEOUT: it has not. CANO_ESYSTEM:
 * nobody can say, somebody else asked first. ended: of the spawn, or CANO_OS_NONE if that was closed. */
cano_status cano_os_reap(int64_t pid, cano_os_handle ended, int *code, int *signal);

/* End a child that has not been reaped, at once (SIGKILL, TerminateProcess). */
cano_status cano_os_kill(int64_t pid, cano_os_handle ended);

/* In the child: once each, close-on-exec; CANO_ENOENT afterwards. */
cano_status cano_os_inherited(const char *name, cano_os_handle *);

void cano_os_close(cano_os_handle);

#endif
