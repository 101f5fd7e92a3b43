/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases by the processes that hold them: a word for each slot behind the segment. A lease that is handed to a child is
 * rewritten to the child before that runs.
 *
 * The handle of a lease is one of the segment's own kind: the place can be found although the segment was closed before.
 */
#include "holders.h"

#include "errors.h"
#include "latch.h"
#include "objects.h"
#include "segments.h"

#include <stdlib.h>

#define KNOWN 64 /* processes whose handles are kept, so that asking again takes one call */
#define GRANULARITY UINT64_C(65536)
#define ASKING (SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION)

/* ---- processes ---- */

/* When it was made; 0: the system does not tell. */
static uint64_t birth_of(HANDLE process)
{
    FILETIME made;
    FILETIME other[3];
    if (!GetProcessTimes(process, &made, &other[0], &other[1], &other[2])) {
        return 0;
    }
    return (uint64_t)made.dwHighDateTime << 32 | made.dwLowDateTime;
}

uint64_t cano_win32_word_of(HANDLE process)
{
    const uint64_t birth = birth_of(process);
    const uint64_t hash = birth * UINT64_C(0x9E3779B97F4A7C15) >> 32; /* Fibonacci hashing: near moments lie far apart */
    return birth == 0 ? 0 : hash << 32 | GetProcessId(process);
}

uint64_t cano_win32_self(void)
{
    static _Atomic uint64_t self;
    /* relaxed: every thread would find the same */
    uint64_t word = atomic_load_explicit(&self, memory_order_relaxed);
    if (word == 0) {
        word = cano_win32_word_of(GetCurrentProcess());
        atomic_store_explicit(&self, word, memory_order_relaxed);
    }
    return word;
}

static bool has_ended(HANDLE process)
{
    return WaitForSingleObject(process, 0) == WAIT_OBJECT_0;
}

static struct {
    cano_latch latch;
    uint64_t words[KNOWN];
    HANDLE processes[KNOWN];
} known;

/* Under the latch. An open handle keeps the number from coming again. */
static void forget(uint32_t place)
{
    if (known.words[place] != 0) {
        CloseHandle(known.processes[place]);
        known.words[place] = 0;
    }
}

/* Under the latch. NULL: not to be had, *gone tells whether because there is none. */
static HANDLE find_process(uint64_t word, uint32_t place, bool *gone)
{
    if (known.words[place] == word) {
        return known.processes[place];
    }
    const HANDLE process = OpenProcess(ASKING, FALSE, cano_win32_pid(word));
    *gone = process == NULL && GetLastError() == ERROR_INVALID_PARAMETER;
    if (process == NULL) {
        return NULL;
    }
    const uint64_t found = cano_win32_word_of(process);
    if (found != word) {
        CloseHandle(process);
        *gone = found != 0; /* another one has the number by now */
        return NULL;
    }
    forget(place);
    known.words[place] = word;
    known.processes[place] = process;
    return process;
}

bool cano_win32_lives(uint64_t word)
{
    if (word == cano_win32_self()) {
        return true;
    }
    const uint32_t place = (uint32_t)(word >> 2 ^ word >> 32) % KNOWN;
    bool gone = false;
    cano_latch_close(&known.latch);
    const HANDLE process = find_process(word, place, &gone);
    if (process != NULL && has_ended(process)) {
        gone = true;
        forget(place);
    }
    cano_latch_open(&known.latch);
    return !gone;
}

/* ---- places ---- */

bool cano_win32_claim(_Atomic uint64_t *place)
{
    /* acquire: pairs with the release of who left; the dead have made their last store before the system says that they are */
    uint64_t seen = atomic_load_explicit(place, memory_order_acquire);
    if (seen != 0 && cano_win32_lives(seen)) {
        return false;
    }
    return atomic_compare_exchange_strong_explicit(place, &seen, cano_win32_self(), memory_order_seq_cst, memory_order_relaxed);
}

void cano_win32_yield(_Atomic uint64_t *place, uint64_t next)
{
    uint64_t seen = cano_win32_self();
    /* release: pairs with the acquire in cano_win32_claim and cano_os_lease_alive */
    atomic_compare_exchange_strong_explicit(place, &seen, next, memory_order_release, memory_order_relaxed);
}

/* ---- leases ---- */

typedef struct lease {
    cano_win32_object object; /* its handle is one of the segment */
    uint32_t slot;
} lease;

/* Map the end of the segment and give the place to the next one: 0, nobody. */
static void leave_slot(HANDLE section, uint32_t slot, uint64_t next)
{
    cano_os_segment segment;
    uint64_t copy;
    if (cano_win32_duplicate(GetCurrentProcess(), section, GetCurrentProcess(), false, &copy) != 0) {
        return;
    }
    if (cano_os_segment_adopt(&segment, (cano_os_handle)copy, 1, false) == CANO_OK) {
        const cano_win32_segment *backend = segment.backend;
        cano_win32_yield(&backend->tail->holders[slot], next);
        cano_os_segment_close(&segment);
    }
}

static void let_go_of_lease(cano_win32_object *object)
{
    lease *self = (lease *)object;
    leave_slot(cano_win32_handle(object->handle), self->slot, 0);
    CloseHandle(cano_win32_handle(object->handle));
    free(self);
}

static DWORD copy_lease(cano_win32_object *object, HANDLE to, cano_win32_piece *piece)
{
    const lease *self = (const lease *)object;
    piece->kind = CANO_WIN32_PIECE_LEASE;
    piece->detail = self->slot;
    return cano_win32_duplicate(GetCurrentProcess(), cano_win32_handle(object->handle), to, false, &piece->handles[0]);
}

static void move_lease(cano_win32_object *object, const cano_win32_party *to)
{
    leave_slot(cano_win32_handle(object->handle), ((const lease *)object)->slot, to->word);
}

static const cano_win32_kind lease_kind = { .copy = copy_lease, .move = move_lease, .let_go = let_go_of_lease };

/* Owns the section, also on failure. 0, or an error number. */
static DWORD make_lease(HANDLE section, uint32_t slot, cano_os_handle *handle)
{
    lease *made = calloc(1, sizeof *made);
    if (made == NULL) {
        CloseHandle(section);
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    made->object.kind = &lease_kind;
    made->object.handle = (cano_os_handle)section;
    made->slot = slot;
    cano_win32_enlist(&made->object);
    *handle = made->object.handle;
    return 0;
}

cano_status cano_win32_receive_lease(const cano_win32_piece *piece, cano_os_handle *handle)
{
    const HANDLE section = cano_win32_handle((cano_os_handle)piece->handles[0]);
    if (piece->detail >= CANO_WIN32_SLOTS) {
        CloseHandle(section);
        return cano_os_fail(ERROR_INVALID_DATA, CANO_ECORRUPT);
    }
    const DWORD error = make_lease(section, piece->detail, handle);
    return error == 0 ? CANO_OK : cano_win32_failed(error);
}

static cano_status take_slot(cano_os_segment *segment, uint32_t slot, cano_os_handle *handle)
{
    const cano_win32_segment *backend = segment->backend;
    if (slot >= CANO_WIN32_SLOTS) {
        return cano_os_fail(ERROR_INVALID_PARAMETER, CANO_EINVAL);
    }
    if (!cano_win32_claim(&backend->tail->holders[slot])) {
        return cano_os_fail(ERROR_ALREADY_EXISTS, CANO_EEXIST);
    }
    uint64_t section;
    DWORD error = cano_win32_duplicate(GetCurrentProcess(), cano_win32_handle(segment->handle), GetCurrentProcess(), false,
                                       &section);
    if (error == 0) {
        error = make_lease(cano_win32_handle((cano_os_handle)section), slot, handle);
    }
    if (error != 0) {
        cano_win32_yield(&backend->tail->holders[slot], 0);
    }
    return error == 0 ? CANO_OK : cano_win32_failed(error);
}

cano_status cano_os_lease_take(cano_os_segment *segment, uint32_t slot, cano_os_handle *handle, cano_os_identity *identity)
{
    cano_os_handle taken = CANO_OS_NONE;
    const cano_status status = segment->shared ? take_slot(segment, slot, &taken) : CANO_OK;
    if (status == CANO_OK) {
        *handle = taken;
        *identity = (cano_os_identity){ GetCurrentProcessId(), birth_of(GetCurrentProcess()) };
    }
    return status;
}

cano_status cano_os_lease_adopt(cano_os_handle *handle)
{
    (void)handle; /* the parent has written us into the slot */
    return CANO_OK;
}

void cano_os_lease_drop(cano_os_handle handle)
{
    cano_os_close(handle);
}

/* The slot tells, not the identity, which may be a parent's. */
bool cano_os_lease_alive(cano_os_segment *segment, uint32_t slot, const cano_os_identity *identity)
{
    (void)identity;
    const cano_win32_segment *backend = segment->backend;
    if (!segment->shared || slot >= CANO_WIN32_SLOTS) {
        return !segment->shared;
    }
    /* acquire: pairs with the release in cano_win32_yield: who is told that a holder left sees what it stored before */
    const uint64_t word = atomic_load_explicit(&backend->tail->holders[slot], memory_order_acquire);
    return word != 0 && cano_win32_lives(word);
}
