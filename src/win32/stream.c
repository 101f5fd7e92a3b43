/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream is two rings of bytes in nameless shared memory, an event for each thing that either side can wait for, and a named
 * pipe through which nothing goes but the first word of who connects. The pipe is what the system watches: it makes the two
 * meet, tells who is at the other end, and breaks when the last handle of a side is gone, whatever became of its process.
 *
 * The bytes do not go through the pipe because a write there that finds no room cannot be taken back: it goes on beside its
 * caller, and what it still holds when its process dies or cancels it is lost although the caller was told that it was sent.
 *
 * Handles are put into the process that has the other end before the bytes they go with, so they arrive although the sender
 * dies. Which process that is stands in the memory and changes when an end moves; what has arrived there and was not read moves
 * along.
 */
#include "errors.h"
#include "holders.h"
#include "latch.h"
#include "objects.h"
#include "paths.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_SIZE 65536u /* bytes */
#define WHOLE_MOST (RING_SIZE / 2) /* a write of up to that many bytes goes whole or not at all, and that much is room */
#define PARCELS 16u      /* writes with handles that are not read yet */
#define HANDLES_MOST 8u
#define MEMORY_MAGIC UINT64_C(0x316d61657274436e)
#define HELLO_MAGIC UINT64_C(0x316f6c6c6548436e)
#define MARK_MAGIC UINT64_C(0x316b72614d436e63)
#define PIPE_PREFIX "\\\\.\\pipe\\cano-"
#define PIPE_BUFFER 512 /* a hello fits many times */
#define NAME_MOST 80
#define LATCH_PATIENCE INT64_C(100000) /* microseconds: who holds it makes a few calls, or is stopped */
#define DEPTH_MOST 8                   /* ends on their way in ends on their way */
#define BACKLOG 16
#define HELLO_PATIENCE INT64_C(1000000) /* microseconds that one may be connected and silent */
#define ROUNDS 100                      /* of meeting one who leaves the name we want */
#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* Handles that go with the byte at a position. */
typedef struct parcel {
    uint64_t position;
    uint32_t count;
    uint32_t reserved;
    cano_win32_piece pieces[HANDLES_MOST];
} parcel;

/* One direction. */
typedef struct way {
    _Atomic uint64_t written; /* bytes ever; by the writer */
    _Atomic uint32_t parcels_put;
    _Atomic uint32_t cramped; /* 1: the writer has taken its event down and wants it set when there is room */
    unsigned char pad0[112];
    _Atomic uint64_t taken; /* bytes ever; by the reader */
    _Atomic uint32_t parcels_taken;
    _Atomic uint32_t hungry; /* 1: the reader has taken its event down and wants it set when there are bytes */
    unsigned char pad1[112];
    parcel parcels[PARCELS];
    unsigned char bytes[RING_SIZE];
} way;

typedef struct stream_memory {
    uint64_t magic;
    _Atomic uint64_t latch;      /* guards parcels and tenants; see holders.h */
    _Atomic uint64_t tenants[2]; /* by side: the process that has it; see holders.h */
    _Atomic uint32_t moves[2];   /* by side: how often it changed hands */
    _Atomic uint32_t ended;      /* 1: somebody said so */
    unsigned char pad[84];
    way ways[2]; /* by the side that reads */
} stream_memory;

/* What a piece tells of a stream beyond its handles. */
enum { DETAIL_SIDE = 1, DETAIL_TRUSTED = 2 };

/* The handles of a stream, in the order of a piece. */
enum { SECTION, PIPE, READABLE, ROOM = READABLE + 2, PARTS = ROOM + 2 }; /* the events of side 0 come before those of side 1 */
static_assert(PARTS == CANO_WIN32_PARTS, "a piece holds them");

typedef struct stream {
    cano_win32_object object; /* its handle is the event of our side */
    HANDLE parts[PARTS];
    stream_memory *memory;
    uint32_t side;      /* 0: the server's end of the pipe */
    bool trusted;       /* the peer may put handles into our process, so it may name them */
    uint32_t move;      /* of memory->moves: which of the tenants we are */
    cano_latch latch;   /* guards the watch for the end */
    bool watching;      /* end was begun */
    OVERLAPPED end;     /* a read that ends when the pipe breaks, and sets our event */
    unsigned char none; /* what it would read */
} stream;

static stream *stream_of(const cano_os_stream *given)
{
    return given->backend;
}

static way *inward(const stream *self)
{
    return &self->memory->ways[self->side];
}

static way *outward(const stream *self)
{
    return &self->memory->ways[1 - self->side];
}

/* ---- how full a way is; what a peer makes up is seen, and harms nobody ---- */

static uint64_t fill_of(const way *self)
{
    /* seq_cst, both: one side's look behind the other's change, or the event; see settle_* */
    return atomic_load_explicit(&self->written, memory_order_seq_cst) - atomic_load_explicit(&self->taken, memory_order_seq_cst);
}

static uint32_t parcels_of(const way *self)
{
    return atomic_load_explicit(&self->parcels_put, memory_order_seq_cst) -
           atomic_load_explicit(&self->parcels_taken, memory_order_seq_cst);
}

static bool has_bytes(const stream *self)
{
    return fill_of(inward(self)) > 0;
}

static bool has_room(const stream *self)
{
    return fill_of(outward(self)) <= RING_SIZE - WHOLE_MOST && parcels_of(outward(self)) < PARCELS;
}

/* ---- the end ---- */

/* Nothing ever comes through the pipe, so this asks one thing only. */
static bool is_broken(const stream *self)
{
    DWORD bytes;
    return !PeekNamedPipe(self->parts[PIPE], NULL, 0, NULL, &bytes, NULL);
}

static bool is_over(const stream *self)
{
    /* acquire: pairs with the release in cano_os_stream_end: what was written before is seen */
    return atomic_load_explicit(&self->memory->ended, memory_order_acquire) != 0 || is_broken(self);
}

/* Let the break of the pipe set our event. The system ends that with the thread that began it, so this is looked after. */
static void watch_end(stream *self)
{
    cano_latch_close(&self->latch);
    if (!self->watching || HasOverlappedIoCompleted(&self->end)) {
        self->end = (OVERLAPPED){ .hEvent = self->parts[READABLE + self->side] };
        self->watching = !ReadFile(self->parts[PIPE], &self->none, 1, NULL, &self->end) && GetLastError() == ERROR_IO_PENDING;
    }
    cano_latch_open(&self->latch);
}

/* It writes into our memory until the system says that it does not any more. */
static void stop_watching(stream *self)
{
    if (self->watching) {
        CancelIoEx(self->parts[PIPE], &self->end);
        while (!HasOverlappedIoCompleted(&self->end)) {
            SwitchToThread();
        }
        self->watching = false;
    }
}

/* ---- ready or not: take the event down, tell the peer so, look again ---- */

static bool settle_reader(stream *self)
{
    const HANDLE event = self->parts[READABLE + self->side];
    watch_end(self); /* takes it down, too */
    ResetEvent(event);
    /* seq_cst: pairs with the exchange in notify_reader: either it sees this, or we see its bytes */
    atomic_store_explicit(&inward(self)->hungry, 1, memory_order_seq_cst);
    if (has_bytes(self) || is_over(self)) {
        SetEvent(event);
        return true;
    }
    return false;
}

static bool settle_writer(stream *self)
{
    ResetEvent(self->parts[ROOM + self->side]);
    atomic_store_explicit(&outward(self)->cramped, 1, memory_order_seq_cst); /* pairs with the exchange in notify_writer */
    return has_room(self) || is_over(self);
}

static void notify_reader(stream *self)
{
    if (atomic_exchange_explicit(&outward(self)->hungry, 0, memory_order_seq_cst) != 0) {
        SetEvent(self->parts[READABLE + 1 - self->side]);
    }
}

static void notify_writer(stream *self)
{
    if (fill_of(inward(self)) <= RING_SIZE - WHOLE_MOST &&
        atomic_exchange_explicit(&inward(self)->cramped, 0, memory_order_seq_cst) != 0) {
        SetEvent(self->parts[ROOM + 1 - self->side]);
    }
}

static bool stream_is_ready(cano_win32_object *object, bool write)
{
    stream *self = (stream *)object;
    return write ? has_room(self) || settle_writer(self) : has_bytes(self) || settle_reader(self);
}

static HANDLE stream_waits_on(cano_win32_object *object, bool write)
{
    const stream *self = (const stream *)object;
    return self->parts[(write ? ROOM : READABLE) + self->side];
}

/* ---- ends that move ---- */

static bool enter(stream_memory *memory)
{
    const int64_t deadline = cano_os_now() + LATCH_PATIENCE;
    while (!cano_win32_claim(&memory->latch)) {
        if (cano_os_now() >= deadline) {
            return false;
        }
        SwitchToThread();
    }
    return true;
}

static void leave(stream_memory *memory)
{
    cano_win32_yield(&memory->latch, 0);
}

static stream_memory *map_memory(HANDLE section)
{
    stream_memory *memory = MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
    MEMORY_BASIC_INFORMATION region = { 0 };
    if (memory == NULL) {
        return NULL;
    }
    if (VirtualQuery(memory, &region, sizeof region) == 0 || region.RegionSize < sizeof *memory || memory->magic != MEMORY_MAGIC) {
        UnmapViewOfFile(memory);
        SetLastError(ERROR_INVALID_DATA);
        return NULL;
    }
    return memory;
}

static parcel *parcel_number(way *self, uint32_t number)
{
    return &self->parcels[number % PARCELS];
}

static void move_end(stream_memory *memory, uint32_t side, const cano_win32_party *to, int depth);

/* An end that has come with a parcel and was not unpacked moves on as it is. */
static void move_packed_end(const cano_win32_piece *piece, const cano_win32_party *to, int depth)
{
    stream_memory *memory = map_memory((HANDLE)(uintptr_t)piece->handles[SECTION]);
    if (memory != NULL) {
        move_end(memory, piece->detail & DETAIL_SIDE, to, depth);
        UnmapViewOfFile(memory);
    }
}

static void move_piece(cano_win32_piece *piece, const cano_win32_party *to, int depth)
{
    if (piece->kind == CANO_WIN32_PIECE_STREAM && depth < DEPTH_MOST) {
        move_packed_end(piece, to, depth + 1);
    }
    for (size_t i = 0; i < CANO_WIN32_PARTS; i++) {
        if (piece->handles[i] != 0) {
            cano_win32_duplicate(GetCurrentProcess(), (HANDLE)(uintptr_t)piece->handles[i], to->process, true, &piece->handles[i]);
        }
    }
}

/* Whoever holds the latch for too long is stopped: what it is at is not what we are at. */
static void move_end(stream_memory *memory, uint32_t side, const cano_win32_party *to, int depth)
{
    const bool entered = enter(memory);
    way *in = &memory->ways[side];
    uint32_t number = atomic_load_explicit(&in->parcels_taken, memory_order_relaxed); /* the latch orders it */
    const uint32_t count = parcels_of(in) < PARCELS ? parcels_of(in) : PARCELS;
    for (uint32_t i = 0; i < count && to->word != cano_win32_self(); i++, number++) {
        parcel *waiting = parcel_number(in, number);
        for (uint32_t k = 0; k < waiting->count && k < HANDLES_MOST; k++) {
            move_piece(&waiting->pieces[k], to, depth);
        }
    }
    atomic_store_explicit(&memory->tenants[side], to->word, memory_order_relaxed);
    atomic_fetch_add_explicit(&memory->moves[side], 1, memory_order_relaxed);
    if (entered) {
        leave(memory);
    }
}

static void move_stream(cano_win32_object *object, const cano_win32_party *to)
{
    const stream *self = (const stream *)object;
    move_end(self->memory, self->side, to, 0);
}

static DWORD copy_stream(cano_win32_object *object, HANDLE to, cano_win32_piece *piece)
{
    const stream *self = (const stream *)object;
    DWORD error = 0;
    piece->kind = CANO_WIN32_PIECE_STREAM;
    piece->detail = self->side | (self->trusted ? DETAIL_TRUSTED : 0);
    for (size_t i = 0; i < PARTS && error == 0; i++) {
        error = cano_win32_duplicate(GetCurrentProcess(), self->parts[i], to, false, &piece->handles[i]);
    }
    return error;
}

/* ---- making and ending ---- */

static void close_parts(HANDLE parts[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        if (parts[i] != NULL && parts[i] != INVALID_HANDLE_VALUE) {
            CloseHandle(parts[i]);
        }
    }
}

/* What came for us and nobody wants. */
static void drop_parcel(const parcel *unread)
{
    for (uint32_t i = 0; i < unread->count && i < HANDLES_MOST; i++) {
        const cano_win32_piece piece = unread->pieces[i];
        cano_os_handle handle;
        if (cano_win32_receive(&piece, &handle) == CANO_OK) {
            cano_os_close(handle);
        }
    }
}

static void drop_parcels(stream *self)
{
    const bool entered = enter(self->memory);
    way *in = inward(self);
    while (self->trusted && atomic_load_explicit(&self->memory->moves[self->side], memory_order_relaxed) == self->move && parcels_of(in) > 0 &&
           parcels_of(in) <= PARCELS) {
        drop_parcel(parcel_number(in, atomic_load_explicit(&in->parcels_taken, memory_order_relaxed)));
        atomic_fetch_add_explicit(&in->parcels_taken, 1, memory_order_seq_cst);
    }
    if (entered) {
        leave(self->memory);
    }
}

static void let_go_of_stream(cano_win32_object *object)
{
    stream *self = (stream *)object;
    stop_watching(self);
    if (parcels_of(inward(self)) > 0) {
        drop_parcels(self);
    }
    UnmapViewOfFile(self->memory);
    close_parts(self->parts);
    free(self);
}

static const cano_win32_kind stream_kind = { .is_ready = stream_is_ready,
                                             .waits_on = stream_waits_on,
                                             .copy = copy_stream,
                                             .move = move_stream,
                                             .let_go = let_go_of_stream };

/* An object of the parts, which it owns, also on failure. */
static cano_status make_stream(HANDLE parts[PARTS], uint32_t side, bool trusted, stream **made)
{
    stream *self = calloc(1, sizeof *self);
    stream_memory *memory = self == NULL ? NULL : map_memory(parts[SECTION]);
    if (memory == NULL) {
        const DWORD error = self == NULL ? ERROR_NOT_ENOUGH_MEMORY : GetLastError();
        close_parts(parts);
        free(self);
        return error == ERROR_INVALID_DATA ? cano_os_fail((int)error, CANO_ECORRUPT) : cano_win32_failed(error);
    }
    self->object.kind = &stream_kind;
    self->object.handle = (cano_os_handle)parts[READABLE + side];
    self->memory = memory;
    self->side = side;
    self->trusted = trusted;
    /* relaxed: whoever moved it here has done so before we heard of it */
    self->move = atomic_load_explicit(&memory->moves[side], memory_order_relaxed);
    memcpy(self->parts, parts, sizeof self->parts);
    cano_win32_enlist(&self->object);
    watch_end(self); /* for who waits on the handle by other means */
    if (has_bytes(self) || is_over(self)) {
        SetEvent(parts[READABLE + side]);
    }
    *made = self;
    return CANO_OK;
}

static void give(cano_os_stream *given, stream *self)
{
    given->handle = self->object.handle;
    given->backend = self;
}

cano_status cano_win32_receive_stream(const cano_win32_piece *piece, cano_os_handle *handle)
{
    HANDLE parts[PARTS];
    stream *made;
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = (HANDLE)(uintptr_t)piece->handles[i];
    }
    const cano_status status = make_stream(parts, piece->detail & DETAIL_SIDE, (piece->detail & DETAIL_TRUSTED) != 0, &made);
    if (status == CANO_OK) {
        *handle = made->object.handle;
    }
    return status;
}

cano_status cano_os_stream_adopt(cano_os_stream *given, cano_os_handle handle)
{
    cano_win32_object *object = cano_win32_find(handle);
    if (object == NULL || object->kind != &stream_kind) {
        cano_os_close(handle);
        return cano_os_fail(ERROR_INVALID_HANDLE, CANO_EKIND);
    }
    give(given, (stream *)object);
    return CANO_OK;
}

/* Memory and events of a new stream; the pipe is missing. 0, or an error number. */
static DWORD make_parts(HANDLE parts[PARTS], uint64_t tenant0, uint64_t tenant1)
{
    parts[SECTION] = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, sizeof(stream_memory), NULL);
    for (size_t i = READABLE; i < PARTS; i++) {
        parts[i] = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (parts[i] == NULL) {
            return GetLastError();
        }
    }
    stream_memory *memory = parts[SECTION] == NULL
                                ? NULL
                                : MapViewOfFile(parts[SECTION], FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
    if (memory == NULL) {
        return GetLastError();
    }
    memory->magic = MEMORY_MAGIC;
    atomic_store_explicit(&memory->tenants[0], tenant0, memory_order_relaxed); /* nobody else can see it yet */
    atomic_store_explicit(&memory->tenants[1], tenant1, memory_order_relaxed);
    for (size_t i = 0; i < 2; i++) {
        atomic_store_explicit(&memory->ways[i].hungry, 1, memory_order_relaxed);
    }
    UnmapViewOfFile(memory);
    return 0;
}

/* ---- pipes ---- */

static void name_pipe(const char *id, wchar_t name[NAME_MOST])
{
    char text[NAME_MOST];
    snprintf(text, sizeof text, PIPE_PREFIX "%.32s", id);
    cano_win32_letters(text, name, NAME_MOST);
}

/* INVALID_HANDLE_VALUE with the error number set. Nobody else may have the name before, where the system can see to that. */
static HANDLE make_pipe(const wchar_t *name, SECURITY_ATTRIBUTES *security, bool first, DWORD instances)
{
    return CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
                            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, instances, PIPE_BUFFER,
                            PIPE_BUFFER, 0, security);
}

/* Its server may know who we are, and not act as us. */
static HANDLE open_pipe(const wchar_t *name)
{
    return CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                       FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
}

/* 0, or an error number. */
static DWORD make_pipe_pair(HANDLE *server, HANDLE *client)
{
    char id[33];
    wchar_t name[NAME_MOST];
    SECURITY_ATTRIBUTES *security;
    if (cano_win32_security(CANO_WIN32_USER, &security) != CANO_OK) {
        return (DWORD)cano_os_error();
    }
    cano_win32_random(id);
    name_pipe(id, name);
    *server = make_pipe(name, security, true, 1);
    if (*server == INVALID_HANDLE_VALUE) {
        return GetLastError();
    }
    *client = open_pipe(name);
    return *client == INVALID_HANDLE_VALUE ? GetLastError() : 0;
}

/* ---- pair ---- */

/* 0, or an error number; what was made is in the lists all the same. */
static DWORD make_pair(HANDLE one[PARTS], HANDLE other[PARTS])
{
    DWORD error = make_parts(one, cano_win32_self(), cano_win32_self());
    for (size_t i = 0; i < PARTS && error == 0; i++) {
        uint64_t copy = 0;
        error = i == PIPE ? 0 : cano_win32_duplicate(GetCurrentProcess(), one[i], GetCurrentProcess(), false, &copy);
        other[i] = (HANDLE)(uintptr_t)copy;
    }
    return error == 0 ? make_pipe_pair(&one[PIPE], &other[PIPE]) : error;
}

cano_status cano_os_stream_pair(cano_os_stream ends[2])
{
    HANDLE parts[2][PARTS] = { { NULL } };
    stream *made[2];
    const DWORD error = make_pair(parts[0], parts[1]);
    if (error != 0) {
        close_parts(parts[0]);
        close_parts(parts[1]);
        return cano_win32_failed(error);
    }
    cano_status status = make_stream(parts[0], 0, true, &made[0]);
    if (status != CANO_OK) {
        close_parts(parts[1]);
        return status;
    }
    status = make_stream(parts[1], 1, true, &made[1]);
    if (status != CANO_OK) {
        cano_os_close(made[0]->object.handle);
        return status;
    }
    give(&ends[0], made[0]);
    give(&ends[1], made[1]);
    return CANO_OK;
}

/* ---- write ---- */

/* The process that has the other end. CANO_ECLOSED: it is gone. Close party->process unless it is our own. */
static cano_status find_party(const stream *self, cano_win32_party *party)
{
    party->word = atomic_load_explicit(&self->memory->tenants[1 - self->side], memory_order_relaxed); /* the latch orders it */
    if (party->word == cano_win32_self()) {
        party->process = GetCurrentProcess();
        return CANO_OK;
    }
    party->process = OpenProcess(PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, cano_win32_pid(party->word));
    const DWORD error = party->process == NULL ? GetLastError() : 0;
    if (error == 0 && cano_win32_word_of(party->process) == party->word) {
        return CANO_OK;
    }
    if (party->process != NULL) {
        CloseHandle(party->process);
    }
    return error == 0 || error == ERROR_INVALID_PARAMETER ? cano_win32_failed(ERROR_BROKEN_PIPE) : cano_win32_failed(error);
}

static cano_status copy_all(const cano_os_handle *passed, size_t count, HANDLE to, parcel *filled)
{
    for (size_t i = 0; i < count; i++) {
        const cano_status status = cano_win32_copy(passed[i], to, &filled->pieces[i]);
        if (status != CANO_OK) {
            for (size_t k = 0; k <= i; k++) {
                cano_win32_take_back(to, &filled->pieces[k]);
            }
            return status;
        }
    }
    return CANO_OK;
}

/* Under the latch: the party keeps the end meanwhile. */
static cano_status fill_parcel(stream *self, const cano_os_handle *passed, size_t count)
{
    cano_win32_party party;
    way *out = outward(self);
    parcel *filled = parcel_number(out, atomic_load_explicit(&out->parcels_put, memory_order_relaxed));
    cano_status status = find_party(self, &party);
    if (status != CANO_OK) {
        return status;
    }
    status = copy_all(passed, count, party.process, filled);
    for (size_t i = 0; i < count && status == CANO_OK; i++) {
        cano_win32_move(passed[i], &party);
    }
    if (status == CANO_OK) {
        filled->count = (uint32_t)count;
        filled->position = atomic_load_explicit(&out->written, memory_order_relaxed); /* ours */
        atomic_fetch_add_explicit(&out->parcels_put, 1, memory_order_seq_cst);
    }
    if (party.process != GetCurrentProcess()) {
        CloseHandle(party.process);
    }
    return status;
}

static cano_status send_parcel(stream *self, const cano_os_handle *passed, size_t count)
{
    if (parcels_of(outward(self)) >= PARCELS || !enter(self->memory)) {
        return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
    }
    const cano_status status = fill_parcel(self, passed, count);
    leave(self->memory);
    return status;
}

static void copy_in(way *to, const unsigned char *data, size_t size)
{
    const uint64_t written = atomic_load_explicit(&to->written, memory_order_relaxed); /* ours */
    const size_t begin = (size_t)(written % RING_SIZE);
    const size_t first = size < RING_SIZE - begin ? size : RING_SIZE - begin;
    memcpy(to->bytes + begin, data, first);
    memcpy(to->bytes, data + first, size - first);
    atomic_store_explicit(&to->written, written + size, memory_order_seq_cst); /* pairs with fill_of */
}

cano_status cano_os_stream_write(cano_os_stream *given, const void *data, size_t size, const cano_os_handle *passed,
                                 size_t passed_count, size_t *written)
{
    stream *self = stream_of(given);
    if (passed_count > HANDLES_MOST || (passed_count > 0 && (size == 0 || passed == NULL))) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    if (is_over(self)) {
        return cano_win32_failed(ERROR_BROKEN_PIPE);
    }
    const uint64_t fill = fill_of(outward(self));
    if (fill > RING_SIZE) {
        return cano_os_fail(ERROR_INVALID_DATA, CANO_ECORRUPT);
    }
    const size_t room = RING_SIZE - (size_t)fill;
    if (room < size && room < WHOLE_MOST) {
        return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
    }
    const cano_status status = passed_count == 0 ? CANO_OK : send_parcel(self, passed, passed_count);
    if (status != CANO_OK) {
        return status;
    }
    const size_t now = size < room ? size : room;
    copy_in(outward(self), data, now);
    notify_reader(self);
    *written = now;
    return CANO_OK;
}

/* ---- read ---- */

/* Under the latch. */
static cano_status unpack(parcel *read, cano_os_handle passed[HANDLES_MOST], size_t *passed_count)
{
    const uint32_t count = read->count;
    if (count > HANDLES_MOST) {
        return cano_os_fail(ERROR_INVALID_DATA, CANO_ECORRUPT);
    }
    cano_status status = CANO_OK;
    size_t got = 0;
    for (uint32_t i = 0; i < count; i++) {
        const cano_win32_piece piece = read->pieces[i];
        const cano_status received = cano_win32_receive(&piece, &passed[got]);
        got += received == CANO_OK;
        status = status == CANO_OK ? received : status;
    }
    for (size_t i = 0; i < got && status != CANO_OK; i++) {
        cano_os_close(passed[i]);
    }
    *passed_count = status == CANO_OK ? got : 0;
    return status;
}

static cano_status take_parcel(stream *self, cano_os_handle *passed, size_t *passed_count)
{
    cano_os_handle unwanted[HANDLES_MOST];
    size_t count = 0;
    const bool wanted = passed != NULL && passed_count != NULL;
    if (!self->trusted) {
        return cano_os_fail(ERROR_ACCESS_DENIED, CANO_ECORRUPT); /* the numbers may be those of handles that are ours */
    }
    if (!enter(self->memory)) {
        return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
    }
    way *in = inward(self);
    parcel *read = parcel_number(in, atomic_load_explicit(&in->parcels_taken, memory_order_relaxed));
    const cano_status status = unpack(read, wanted ? passed : unwanted, &count);
    atomic_fetch_add_explicit(&in->parcels_taken, 1, memory_order_seq_cst); /* also what was no good: it is gone */
    leave(self->memory);
    for (size_t i = 0; i < count && !wanted; i++) {
        cano_os_close(unwanted[i]);
    }
    if (wanted) {
        *passed_count = count;
    }
    return status;
}

/* The position of the parcel that is so many behind the next one; as far away as can be: there is none. */
static uint64_t parcel_position(way *in, uint32_t behind)
{
    if (parcels_of(in) <= behind) {
        return UINT64_MAX;
    }
    return parcel_number(in, atomic_load_explicit(&in->parcels_taken, memory_order_relaxed) + behind)->position;
}

static void copy_out(way *from, unsigned char *data, size_t size)
{
    const uint64_t taken = atomic_load_explicit(&from->taken, memory_order_relaxed); /* ours */
    const size_t begin = (size_t)(taken % RING_SIZE);
    const size_t first = size < RING_SIZE - begin ? size : RING_SIZE - begin;
    memcpy(data, from->bytes + begin, first);
    memcpy(data + first, from->bytes, size - first);
    atomic_store_explicit(&from->taken, taken + size, memory_order_seq_cst); /* pairs with fill_of */
}

/* One read never goes beyond the byte before the next parcel. */
static cano_status read_some(stream *self, void *data, size_t size, cano_os_handle *passed, size_t *passed_count, size_t *got)
{
    way *in = inward(self);
    const uint64_t taken = atomic_load_explicit(&in->taken, memory_order_relaxed);
    const uint64_t fill = fill_of(in);
    if (fill > RING_SIZE) {
        return cano_os_fail(ERROR_INVALID_DATA, CANO_ECORRUPT);
    }
    const bool parcel_now = parcel_position(in, 0) <= taken;
    const uint64_t next = parcel_position(in, parcel_now);
    if (passed_count != NULL) {
        *passed_count = 0;
    }
    const cano_status status = parcel_now ? take_parcel(self, passed, passed_count) : CANO_OK;
    if (status != CANO_OK) {
        return status;
    }
    const uint64_t most = next > taken && next - taken < fill ? next - taken : fill;
    *got = size < most ? size : (size_t)most;
    copy_out(in, data, *got);
    notify_writer(self);
    return CANO_OK;
}

cano_status cano_os_stream_read(cano_os_stream *given, void *data, size_t size, cano_os_handle passed[8], size_t *passed_count,
                                size_t *got)
{
    stream *self = stream_of(given);
    if (size == 0) {
        return cano_os_fail(0, CANO_EINVAL); /* nothing read and the end would look the same */
    }
    if (!has_bytes(self) && !settle_reader(self)) {
        return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
    }
    if (!has_bytes(self)) {
        return cano_win32_failed(ERROR_BROKEN_PIPE);
    }
    return read_some(self, data, size, passed, passed_count, got);
}

/* ---- peer ---- */

/* The process that made, or connected to, the other end of a pipe. 0: not known. */
static DWORD peer_of(HANDLE pipe, uint32_t side)
{
    ULONG number = 0;
    const BOOL known = side == 0 ? GetNamedPipeClientProcessId(pipe, &number) : GetNamedPipeServerProcessId(pipe, &number);
    return known ? number : 0;
}

/* NULL: it is gone, or we may not. */
static HANDLE open_peer(HANDLE pipe, uint32_t side, DWORD rights)
{
    const DWORD number = peer_of(pipe, side);
    return number == 0 ? NULL : OpenProcess(rights, FALSE, number);
}

cano_status cano_os_stream_peer(cano_os_stream *given, int64_t *pid, int64_t *uid, bool *same_user)
{
    const stream *self = stream_of(given);
    const DWORD number = peer_of(self->parts[PIPE], self->side);
    if (number == 0) {
        return cano_win32_failed(GetLastError());
    }
    const HANDLE process = open_peer(self->parts[PIPE], self->side, PROCESS_QUERY_LIMITED_INFORMATION);
    *same_user = process != NULL && cano_win32_runs_as_us(process);
    *pid = number;
    *uid = -1;
    if (process != NULL) {
        CloseHandle(process);
    }
    return CANO_OK;
}

/* ---- listeners: a file at the path tells the name of a pipe, which is nobody else's, and goes with its process ---- */

typedef struct mark {
    uint64_t magic;
    char id[40];
} mark;

/* What who connects says first: where the memory and the events are to be had. */
typedef struct hello {
    uint64_t magic;
    int64_t time; /* who came first is accepted first */
    uint64_t handles[PARTS];
} hello;

enum { ABSENT, LISTENING, HEARING, KNOCKED };

typedef struct door {
    HANDLE pipe;
    OVERLAPPED work;
    int state;
    int64_t since; /* HEARING */
    hello heard;
} door;

typedef struct listener {
    cano_win32_object object; /* its handle is the event */
    _Atomic bool ended;       /* the event stays up */
    HANDLE file;              /* at the path, deleted when it is closed */
    wchar_t path[CANO_WIN32_PATH];
    wchar_t pipe[NAME_MOST];
    SECURITY_ATTRIBUTES *security;
    cano_latch latch; /* guards the doors */
    door doors[BACKLOG];
} listener;

static HANDLE event_of(const listener *self)
{
    return cano_win32_handle(self->object.handle);
}

static bool is_done(const door *self)
{
    return self->state != ABSENT && self->state != KNOCKED && HasOverlappedIoCompleted(&self->work);
}

static void stop(door *self)
{
    if (self->state == LISTENING || self->state == HEARING) {
        CancelIoEx(self->pipe, &self->work);
        while (!HasOverlappedIoCompleted(&self->work)) {
            SwitchToThread();
        }
    }
}

static void close_door(door *self)
{
    stop(self);
    if (self->state != ABSENT) {
        CloseHandle(self->pipe);
        self->state = ABSENT;
    }
}

static void hear(listener *self, door *one)
{
    one->work = (OVERLAPPED){ .hEvent = event_of(self) };
    one->state = HEARING;
    one->since = cano_os_now();
    if (!ReadFile(one->pipe, &one->heard, sizeof one->heard, NULL, &one->work) && GetLastError() != ERROR_IO_PENDING) {
        one->state = KNOCKED; /* there is no more work; the nonsense of it will show */
        close_door(one);
    }
}

static void open_door(listener *self, door *one, bool first)
{
    one->pipe = make_pipe(self->pipe, self->security, first, PIPE_UNLIMITED_INSTANCES);
    if (one->pipe == INVALID_HANDLE_VALUE) {
        return;
    }
    one->work = (OVERLAPPED){ .hEvent = event_of(self) };
    one->state = LISTENING;
    const BOOL connected = ConnectNamedPipe(one->pipe, &one->work);
    const DWORD error = connected ? ERROR_PIPE_CONNECTED : GetLastError();
    if (error == ERROR_PIPE_CONNECTED) {
        hear(self, one);
    } else if (error != ERROR_IO_PENDING) {
        one->state = KNOCKED; /* no work to stop */
        close_door(one);
    }
}

static bool is_hello(const door *self)
{
    DWORD size = 0;
    return GetOverlappedResult(self->pipe, (OVERLAPPED *)&self->work, &size, FALSE) && size == sizeof self->heard &&
           self->heard.magic == HELLO_MAGIC;
}

static void advance(listener *self, door *one)
{
    DWORD size;
    if (one->state == LISTENING && is_done(one)) {
        if (GetOverlappedResult(one->pipe, &one->work, &size, FALSE)) {
            hear(self, one);
        } else {
            close_door(one); /* the thread that opened it has ended, or who came has left */
        }
    }
    if (one->state == HEARING && is_done(one)) {
        one->state = KNOCKED;
        if (!is_hello(one)) {
            close_door(one);
        }
    }
    if (one->state == HEARING && cano_os_now() - one->since > HELLO_PATIENCE) {
        close_door(one);
    }
    if (one->state == ABSENT) {
        open_door(self, one, false);
    }
}

/* Under the latch: who came first of those who said hello; NULL: nobody. */
static door *find_knock(listener *self)
{
    door *found = NULL;
    for (size_t i = 0; i < BACKLOG; i++) {
        door *one = &self->doors[i];
        if (one->state == KNOCKED && (found == NULL || one->heard.time < found->heard.time)) {
            found = one;
        }
    }
    return found;
}

static bool any_done(const listener *self)
{
    for (size_t i = 0; i < BACKLOG; i++) {
        if (is_done(&self->doors[i])) {
            return true;
        }
    }
    return false;
}

static bool is_ended(const listener *self)
{
    return atomic_load_explicit(&self->ended, memory_order_seq_cst); /* behind the reset of the event */
}

/* Under the latch. Each new work takes the event down, so what was done by then is looked for once more. */
static door *await_knock(listener *self)
{
    door *found;
    ResetEvent(event_of(self));
    do {
        for (size_t i = 0; i < BACKLOG; i++) {
            advance(self, &self->doors[i]);
        }
        found = find_knock(self);
    } while (found == NULL && any_done(self));
    if (found != NULL || is_ended(self)) {
        SetEvent(event_of(self));
    }
    return found;
}

static bool listener_is_ready(cano_win32_object *object, bool write)
{
    (void)write;
    listener *self = (listener *)object;
    cano_latch_close(&self->latch);
    const bool ready = await_knock(self) != NULL || is_ended(self);
    cano_latch_open(&self->latch);
    return ready;
}

/* The name is free before the system is done with the file. */
static void let_go_of_listener(cano_win32_object *object)
{
    listener *self = (listener *)object;
    if (self->file != NULL) {
        CloseHandle(self->file);
    }
    for (size_t i = 0; i < BACKLOG; i++) {
        close_door(&self->doors[i]);
    }
    CloseHandle(event_of(self));
    free(self);
}

static const cano_win32_kind listener_kind = { .is_ready = listener_is_ready, .let_go = let_go_of_listener };

/* ---- listen ---- */

static bool read_mark(HANDLE file, mark *found)
{
    DWORD size = 0;
    return ReadFile(file, found, sizeof *found, &size, NULL) && size == sizeof *found && found->magic == MARK_MAGIC &&
           found->id[32] == 0;
}

/* Something has the name. A living listener lets nobody write to its file; the file of one that is dead is there only if the
 * machine died with it. 0: try again. */
static DWORD clear_name(const wchar_t *path)
{
    const HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE | DELETE, SHARE_ALL, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        const DWORD error = GetLastError();
        const bool going = error == ERROR_ACCESS_DENIED && GetFileAttributesW(path) == INVALID_FILE_ATTRIBUTES;
        return error == ERROR_FILE_NOT_FOUND || going ? 0 : ERROR_ALREADY_EXISTS;
    }
    mark found;
    FILE_DISPOSITION_INFO order = { TRUE };
    const bool dead = read_mark(file, &found) && SetFileInformationByHandle(file, FileDispositionInfo, &order, sizeof order);
    CloseHandle(file);
    return dead ? 0 : ERROR_ALREADY_EXISTS;
}

static DWORD take_name(HANDLE file, const wchar_t *path)
{
    DWORD error = ERROR_ALREADY_EXISTS;
    for (int round = 0; round < ROUNDS; round++) {
        error = cano_win32_rename(file, path);
        if (error != ERROR_ALREADY_EXISTS && error != ERROR_FILE_EXISTS && error != ERROR_ACCESS_DENIED) {
            return error;
        }
        if (clear_name(path) != 0) {
            return ERROR_ALREADY_EXISTS;
        }
        Sleep(round > 0);
    }
    return error;
}

/* The file is whole before it has its name. 0, or an error number. */
static DWORD publish(listener *self, const char *id)
{
    char name[NAME_MOST];
    wchar_t path[CANO_WIN32_PATH];
    mark written = { .magic = MARK_MAGIC };
    memcpy(written.id, id, 33);
    snprintf(name, sizeof name, ".new.%016" PRIx64 ".%s", cano_win32_self(), id);
    cano_win32_beside(self->path, name, path);
    const HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE | DELETE, FILE_SHARE_READ | FILE_SHARE_DELETE, self->security,
                                    CREATE_NEW, FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        return GetLastError();
    }
    DWORD size;
    DWORD error = WriteFile(file, &written, sizeof written, &size, NULL) ? 0 : GetLastError();
    if (error == 0) {
        error = take_name(file, self->path);
    }
    if (error != 0) {
        CloseHandle(file);
        return error;
    }
    self->file = file;
    return 0;
}

static DWORD open_doors(listener *self)
{
    char id[33];
    cano_win32_random(id);
    name_pipe(id, self->pipe);
    for (size_t i = 0; i < BACKLOG; i++) {
        open_door(self, &self->doors[i], i == 0);
        if (self->doors[i].state == ABSENT) {
            return GetLastError() != 0 ? GetLastError() : ERROR_NO_SYSTEM_RESOURCES;
        }
    }
    return publish(self, id);
}

cano_status cano_os_stream_listen(cano_os_stream *given, const char *path, uint32_t access)
{
    if (access > CANO_WIN32_EVERYONE) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    listener *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return cano_win32_failed(ERROR_NOT_ENOUGH_MEMORY);
    }
    const HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    self->object.kind = &listener_kind;
    self->object.handle = (cano_os_handle)event;
    cano_status status = event == NULL ? cano_win32_failed(GetLastError()) : cano_win32_widen(path, self->path);
    if (status == CANO_OK) {
        status = cano_win32_security(access, &self->security);
    }
    if (status == CANO_OK) {
        const DWORD error = open_doors(self);
        status = error == 0 ? CANO_OK : cano_win32_failed(error);
    }
    if (status != CANO_OK) {
        let_go_of_listener(&self->object);
        return status;
    }
    cano_win32_enlist(&self->object);
    *given = (cano_os_stream){ .handle = self->object.handle, .backend = self };
    return CANO_OK;
}

/* Off the name at once: who is just reading the file could keep it there for a moment. */
static void leave_name(listener *self)
{
    char id[33];
    char name[NAME_MOST];
    wchar_t aside[CANO_WIN32_PATH];
    cano_win32_random(id);
    snprintf(name, sizeof name, ".gone.%s", id);
    cano_win32_beside(self->path, name, aside);
    cano_win32_rename(self->file, aside);
}

/* ---- accept ---- */

/* 0, or an error number; what was copied is in the list all the same. */
static DWORD fetch_parts(HANDLE client, const hello *heard, HANDLE parts[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        uint64_t copy = 0;
        if (i == PIPE) {
            continue;
        }
        const DWORD error = cano_win32_duplicate(client, (HANDLE)(uintptr_t)heard->handles[i], GetCurrentProcess(), false, &copy);
        if (error != 0) {
            return error;
        }
        parts[i] = (HANDLE)(uintptr_t)copy;
    }
    return 0;
}

/* 0, or an error number: who connected has left already, so that its handles may be anything by now, or is out of reach. */
static DWORD greet(door *one, HANDLE parts[PARTS], bool *trusted)
{
    DWORD bytes;
    const HANDLE client = open_peer(one->pipe, 0, PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION);
    if (client == NULL) {
        return GetLastError();
    }
    DWORD error = PeekNamedPipe(one->pipe, NULL, 0, NULL, &bytes, NULL) ? 0 : GetLastError();
    if (error == 0) {
        error = fetch_parts(client, &one->heard, parts);
    }
    *trusted = cano_win32_runs_as_us(client);
    CloseHandle(client);
    return error;
}

/* Under the latch. The door's pipe becomes the stream's. CANO_ETIMEOUT: who knocked is no use. */
static cano_status admit(door *one, stream **made)
{
    HANDLE parts[PARTS] = { NULL };
    bool trusted = false;
    if (greet(one, parts, &trusted) != 0) {
        close_parts(parts);
        close_door(one);
        return cano_win32_failed(WAIT_TIMEOUT);
    }
    parts[PIPE] = one->pipe;
    one->state = ABSENT;
    const cano_status status = make_stream(parts, 0, trusted, made);
    return status == CANO_ECORRUPT ? cano_win32_failed(WAIT_TIMEOUT) : status;
}

cano_status cano_os_stream_accept(cano_os_stream *given, cano_os_stream *accepted)
{
    listener *self = given->backend;
    stream *made = NULL;
    door *one;
    cano_status status = cano_win32_failed(WAIT_TIMEOUT);
    cano_latch_close(&self->latch);
    if (is_ended(self)) {
        status = cano_win32_failed(ERROR_BROKEN_PIPE);
    }
    while (status == CANO_ETIMEOUT && (one = await_knock(self)) != NULL) {
        status = admit(one, &made);
    }
    await_knock(self); /* a new door, and the event as it should be */
    cano_latch_open(&self->latch);
    if (status == CANO_OK) {
        give(accepted, made);
    }
    return status;
}

/* ---- connect ---- */

static cano_status find_pipe(const char *path, wchar_t pipe[NAME_MOST])
{
    wchar_t wide[CANO_WIN32_PATH];
    const cano_status status = cano_win32_widen(path, wide);
    if (status != CANO_OK) {
        return status;
    }
    const HANDLE file = CreateFileW(wide, GENERIC_READ, SHARE_ALL, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        const DWORD error = GetLastError();
        const DWORD attributes = error == ERROR_ACCESS_DENIED ? GetFileAttributesW(wide) : 0;
        if (attributes == INVALID_FILE_ATTRIBUTES) {
            return cano_os_fail((int)error, CANO_ENOENT); /* about to go */
        }
        return attributes & FILE_ATTRIBUTE_DIRECTORY ? cano_os_fail((int)error, CANO_EKIND) : cano_win32_failed(error);
    }
    mark found;
    const bool good = read_mark(file, &found);
    CloseHandle(file);
    if (!good) {
        return cano_os_fail(ERROR_INVALID_DATA, CANO_EKIND);
    }
    name_pipe(found.id, pipe);
    return CANO_OK;
}

cano_status cano_os_stream_probe(const char *path)
{
    wchar_t pipe[NAME_MOST];
    const cano_status status = find_pipe(path, pipe);
    if (status != CANO_OK || WaitNamedPipeW(pipe, 1)) {
        return status;
    }
    const DWORD error = GetLastError(); /* another one than this: all its instances are busy */
    return error == ERROR_FILE_NOT_FOUND ? cano_os_fail((int)error, CANO_ENOENT) : CANO_OK;
}

/* Before anybody has to answer: it fits what the pipe holds. 0, or an error number. */
static DWORD say_hello(HANDLE parts[PARTS])
{
    hello said = { .magic = HELLO_MAGIC, .time = cano_os_now() };
    for (size_t i = 0; i < PARTS; i++) {
        said.handles[i] = (uint64_t)(uintptr_t)parts[i];
    }
    OVERLAPPED work = { .hEvent = parts[ROOM + 1] }; /* nobody waits for it yet */
    DWORD size = 0;
    if (!WriteFile(parts[PIPE], &said, sizeof said, NULL, &work) && GetLastError() != ERROR_IO_PENDING) {
        return GetLastError();
    }
    return GetOverlappedResult(parts[PIPE], &work, &size, TRUE) && size == sizeof said ? 0 : ERROR_BROKEN_PIPE;
}

static DWORD make_connected(HANDLE parts[PARTS], bool *trusted)
{
    const HANDLE server = open_peer(parts[PIPE], 1, PROCESS_QUERY_LIMITED_INFORMATION);
    *trusted = server != NULL && cano_win32_runs_as_us(server);
    const DWORD error = make_parts(parts, server == NULL ? 0 : cano_win32_word_of(server), cano_win32_self());
    if (server != NULL) {
        CloseHandle(server);
    }
    return error == 0 ? say_hello(parts) : error;
}

cano_status cano_os_stream_connect(cano_os_stream *given, const char *path)
{
    wchar_t pipe[NAME_MOST];
    HANDLE parts[PARTS] = { NULL };
    const cano_status status = find_pipe(path, pipe);
    if (status != CANO_OK) {
        return status;
    }
    parts[PIPE] = open_pipe(pipe);
    bool trusted = false;
    DWORD error = parts[PIPE] == INVALID_HANDLE_VALUE ? GetLastError() : make_connected(parts, &trusted);
    if (error != 0) {
        close_parts(parts);
        return error == ERROR_BROKEN_PIPE ? cano_os_fail((int)error, CANO_ENOENT) : cano_win32_failed(error);
    }
    stream *made;
    const cano_status done = make_stream(parts, 1, trusted, &made);
    if (done == CANO_OK) {
        give(given, made);
    }
    return done;
}

/* ---- end, close ---- */

static void end_listener(listener *self)
{
    atomic_store_explicit(&self->ended, true, memory_order_seq_cst); /* before the event is set */
    SetEvent(event_of(self));
}

static void end_stream(stream *self)
{
    /* release: pairs with the acquire in is_over */
    atomic_store_explicit(&self->memory->ended, 1, memory_order_release);
    for (size_t i = READABLE; i < PARTS; i++) {
        SetEvent(self->parts[i]);
    }
}

void cano_os_stream_end(cano_os_stream *given)
{
    cano_win32_object *object = given->backend;
    if (object->kind == &listener_kind) {
        end_listener((listener *)object);
    } else {
        end_stream((stream *)object);
    }
}

void cano_os_stream_close(cano_os_stream *given, bool end)
{
    if (given->handle == CANO_OS_NONE) {
        return;
    }
    cano_win32_object *object = given->backend;
    if (end && object->kind == &listener_kind) {
        leave_name((listener *)object);
    } else if (end) {
        cano_os_stream_end(given);
    }
    cano_os_close(given->handle);
    *given = (cano_os_stream){ .handle = CANO_OS_NONE };
}
