/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A nameless segment is memory backed by the paging file: there as long as anybody has a handle or a view. One with a name is a
 * file where names live, which outlives its users. The handle that is passed on is that of the mapping for both.
 *
 * Windows does not delete a file that is mapped. So a name is freed by renaming the file, and who lets go of it last deletes it;
 * what the killed have left is swept up by the next who makes a named one.
 */
#include "errors.h"
#include "holders.h"
#include "paths.h"
#include "segments.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)
#define TAIL_MAGIC UINT64_C(0x316c6961546f6e63) /* "cnoTail1" */
#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
#define ID_LENGTH 32
#define PIECE ((uint64_t)65536) /* written at once */
#define NEW ".new."   /* not published: then the word of its maker, its id */
#define GONE ".gone." /* unlinked */
#define SIDE_MOST 80

static_assert(sizeof(cano_win32_tail) % 64 == 0, "behind any segment it begins at a cache line");

/* ---- sizes ---- */

/* Of the memory of a segment; 0: more than there can be. */
static uint64_t total_of(uint64_t size)
{
    if (size > (uint64_t)INT64_MAX - PAGE - sizeof(cano_win32_tail)) {
        return 0;
    }
    return (size + sizeof(cano_win32_tail) + PAGE - 1) / PAGE * PAGE;
}

static cano_win32_tail *tail_of(unsigned char *base, uint64_t total)
{
    return (cano_win32_tail *)(void *)(base + total - sizeof(cano_win32_tail));
}

/* ---- mapping ---- */

static bool is_id(const char *id)
{
    return memchr(id, 0, ID_LENGTH + 1) == id + ID_LENGTH && strspn(id, "0123456789abcdef") == ID_LENGTH;
}

/* Of a segment of ours: *size is what it has in front. Read once. */
static bool understand(unsigned char *base, uint64_t total, size_t minimum, size_t *size)
{
    if (total % PAGE != 0 || total < PAGE) {
        return false;
    }
    const cano_win32_tail *tail = tail_of(base, total);
    const uint64_t there = *(const volatile uint64_t *)&tail->size;
    if (tail->magic != TAIL_MAGIC || !is_id(tail->id) || there == 0 || there < minimum || total_of(there) != total) {
        return false;
    }
    *size = (size_t)there;
    return true;
}

static void write_tail(unsigned char *base, uint64_t total, size_t size, const char *id)
{
    cano_win32_tail *tail = tail_of(base, total);
    tail->magic = TAIL_MAGIC;
    tail->size = size;
    memcpy(tail->id, id, ID_LENGTH + 1);
}

static uint64_t mapped_size(const void *base)
{
    MEMORY_BASIC_INFORMATION region = { 0 };
    return VirtualQuery(base, &region, sizeof region) == 0 ? 0 : region.RegionSize;
}

static void *map(HANDLE section)
{
    return MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
}

/* Fill *segment; owns nothing. */
static cano_status describe(cano_os_segment *segment, unsigned char *base, uint64_t total, size_t size, HANDLE section, HANDLE file)
{
    cano_win32_segment *backend = calloc(1, sizeof *backend);
    if (backend == NULL) {
        return cano_win32_failed(ERROR_NOT_ENOUGH_MEMORY);
    }
    backend->tail = section == NULL ? NULL : tail_of(base, total);
    backend->sleeps = section == NULL ? backend->own_sleeps : backend->tail->sleeps;
    backend->file = file;
    *segment = (cano_os_segment){ .base = base,
                                  .size = size,
                                  .handle = section == NULL ? CANO_OS_NONE : (cano_os_handle)section,
                                  .shared = section != NULL,
                                  .backend = backend };
    return CANO_OK;
}

static void close_if(HANDLE handle)
{
    if (handle != NULL) {
        CloseHandle(handle);
    }
}

/* Make *segment of a new section, or look what there is (id NULL). Owns section and file, also on failure. */
static cano_status attach(cano_os_segment *segment, HANDLE section, HANDLE file, size_t size, const char *id)
{
    unsigned char *base = map(section);
    cano_status status = CANO_OK;
    if (base == NULL) {
        const DWORD error = GetLastError();
        status = error == ERROR_INVALID_HANDLE ? cano_os_fail((int)error, CANO_EKIND) : cano_win32_failed(error);
    } else {
        const uint64_t total = id != NULL ? total_of(size) : mapped_size(base);
        size_t there = size;
        if (id != NULL) {
            write_tail(base, total, size, id);
        } else if (!understand(base, total, size, &there)) {
            status = cano_os_fail(ERROR_INVALID_DATA, CANO_EKIND);
        }
        if (status == CANO_OK) {
            status = describe(segment, base, total, there, section, file);
        }
    }
    if (status != CANO_OK) {
        if (base != NULL) {
            UnmapViewOfFile(base);
        }
        close_if(section);
        close_if(file);
    } else if (id != NULL) {
        memcpy(segment->id, id, ID_LENGTH + 1);
    }
    return status;
}

/* ---- nameless ---- */

static cano_status create_private(cano_os_segment *segment, size_t size, const char *id)
{
    void *base = VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (base == NULL) {
        return cano_os_fail((int)GetLastError(), CANO_ENOMEM);
    }
    const cano_status status = describe(segment, base, 0, size, NULL, NULL);
    if (status != CANO_OK) {
        VirtualFree(base, 0, MEM_RELEASE);
        return status;
    }
    memcpy(segment->id, id, ID_LENGTH + 1);
    return CANO_OK;
}

/* More than could ever be committed. */
static bool is_over_machine(uint64_t total)
{
    MEMORYSTATUSEX memory = { .dwLength = sizeof memory };
    return GlobalMemoryStatusEx(&memory) && total > memory.ullTotalPageFile;
}

static cano_status create_shared(cano_os_segment *segment, size_t size, const char *id)
{
    SECURITY_ATTRIBUTES *security;
    const cano_status status = cano_win32_security(CANO_WIN32_USER, &security);
    const uint64_t total = total_of(size);
    if (status != CANO_OK) {
        return status;
    }
    if (total == 0 || is_over_machine(total)) {
        return cano_win32_failed(ERROR_COMMITMENT_LIMIT);
    }
    const HANDLE section = CreateFileMappingW(INVALID_HANDLE_VALUE, security, PAGE_READWRITE, (DWORD)(total >> 32), (DWORD)total, NULL);
    return section == NULL ? cano_win32_failed(GetLastError()) : attach(segment, section, NULL, size, id);
}

cano_status cano_os_segment_create(cano_os_segment *segment, size_t size, bool shared, uint32_t access)
{
    (void)access; /* who may reach a nameless one is who is given its handle */
    if (size == 0) {
        return cano_win32_failed(ERROR_INVALID_NAME);
    }
    char id[ID_LENGTH + 1];
    cano_win32_random(id);
    return shared ? create_shared(segment, size, id) : create_private(segment, size, id);
}

/* ---- the files beside ---- */

static void sweep_one(const wchar_t *folder, const wchar_t *wide)
{
    char name[SIDE_MOST] = "";
    uint64_t maker = 0;
    wchar_t path[CANO_WIN32_PATH];
    for (size_t i = 0; wide[i] != 0 && i + 1 < SIDE_MOST; i++) {
        name[i] = wide[i] < 128 ? (char)wide[i] : '?'; /* ours are plain */
    }
    if (sscanf(name, NEW "%16" SCNx64 ".", &maker) == 1 && cano_win32_lives(maker)) {
        return;
    }
    cano_win32_beside(folder, name, path);
    DeleteFileW(path); /* fails on what is still mapped */
}

/* What the killed have left: files that were not published, or that lost their name. */
static void sweep(const wchar_t *path)
{
    wchar_t pattern[CANO_WIN32_PATH];
    WIN32_FIND_DATAW found;
    static const char *const patterns[] = { NEW "*", GONE "*" };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        cano_win32_beside(path, patterns[i], pattern);
        const HANDLE listing = FindFirstFileW(pattern, &found);
        for (BOOL more = listing != INVALID_HANDLE_VALUE; more; more = FindNextFileW(listing, &found)) {
            sweep_one(path, found.cFileName);
        }
        if (listing != INVALID_HANDLE_VALUE) {
            FindClose(listing);
        }
    }
}

static bool delete_file(HANDLE file)
{
    FILE_DISPOSITION_INFO order = { TRUE };
    return SetFileInformationByHandle(file, FileDispositionInfo, &order, sizeof order);
}

/* ---- named ---- */

static cano_status find_folder(wchar_t beside[CANO_WIN32_PATH])
{
    char directory[CANO_OS_PATH_MAX];
    cano_status status = cano_os_directory(directory, sizeof directory);
    if (status == CANO_OK) {
        status = cano_win32_widen(directory, beside);
    }
    if (status == CANO_OK && wcslen(beside) + 2 < CANO_WIN32_PATH) {
        wcscat(beside, L"\\");
    }
    return status;
}

static bool is_over_disk(const wchar_t *folder, uint64_t total)
{
    ULARGE_INTEGER room;
    return GetDiskFreeSpaceExW(folder, &room, NULL, NULL) && total > room.QuadPart;
}

/* Zeros, so that the room is there now and no store can fail later. 0, or an error number. */
static DWORD commit(HANDLE file, uint64_t total)
{
    void *zeros = calloc(1, PIECE);
    DWORD error = zeros == NULL ? ERROR_NOT_ENOUGH_MEMORY : 0;
    for (uint64_t done = 0; done < total && error == 0;) {
        DWORD written = 0;
        const DWORD size = (DWORD)(total - done < PIECE ? total - done : PIECE);
        error = WriteFile(file, zeros, size, &written, NULL) ? 0 : GetLastError();
        done += written;
    }
    free(zeros);
    return error;
}

/* Owns the file, also on failure: then it is deleted. */
static cano_status fill(cano_os_segment *segment, HANDLE file, size_t size, const char *id)
{
    DWORD error = commit(file, total_of(size));
    const HANDLE section = error != 0 ? NULL : CreateFileMappingW(file, NULL, PAGE_READWRITE, 0, 0, NULL);
    if (section == NULL) {
        error = error != 0 ? error : GetLastError();
        delete_file(file);
        CloseHandle(file);
        return cano_win32_failed(error);
    }
    const cano_status status = attach(segment, section, file, size, id);
    return status;
}

cano_status cano_os_segment_create_named(cano_os_segment *segment, size_t size, uint32_t access)
{
    wchar_t folder[CANO_WIN32_PATH];
    SECURITY_ATTRIBUTES *security;
    if (size == 0) {
        return cano_win32_failed(ERROR_INVALID_NAME);
    }
    cano_status status = find_folder(folder);
    if (status == CANO_OK) {
        status = cano_win32_security(access, &security);
    }
    if (status != CANO_OK) {
        return status;
    }
    const uint64_t total = total_of(size);
    if (total == 0 || is_over_disk(folder, total)) {
        return cano_win32_failed(ERROR_DISK_FULL);
    }
    char id[ID_LENGTH + 1];
    char name[SIDE_MOST];
    wchar_t path[CANO_WIN32_PATH];
    sweep(folder);
    cano_win32_random(id);
    snprintf(name, SIDE_MOST, NEW "%016" PRIx64 ".%s", cano_win32_self(), id);
    cano_win32_beside(folder, name, path);
    const HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE | DELETE, SHARE_ALL, security, CREATE_NEW,
                                    FILE_ATTRIBUTE_TEMPORARY | FILE_ATTRIBUTE_NOT_CONTENT_INDEXED, NULL);
    return file == INVALID_HANDLE_VALUE ? cano_win32_failed(GetLastError()) : fill(segment, file, size, id);
}

cano_status cano_os_segment_publish(cano_os_segment *segment, const char *path)
{
    cano_win32_segment *backend = segment->backend;
    wchar_t wide[CANO_WIN32_PATH];
    const cano_status status = cano_win32_widen(path, wide);
    if (status != CANO_OK) {
        return status;
    }
    const DWORD error = cano_win32_rename(backend->file, wide);
    if (error == ERROR_ACCESS_DENIED && GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES) {
        return cano_os_fail((int)error, CANO_EEXIST); /* what is there cannot be moved upon */
    }
    backend->published = error == 0;
    return error == 0 ? CANO_OK : cano_win32_failed(error);
}

static bool is_folder(const wchar_t *path)
{
    const DWORD attributes = GetFileAttributesW(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* A listener does not let others write to its file. */
static cano_status open_failed(const wchar_t *path, DWORD error)
{
    const bool other_kind = error == ERROR_SHARING_VIOLATION || (error == ERROR_ACCESS_DENIED && is_folder(path));
    return other_kind ? cano_os_fail((int)error, CANO_EKIND) : cano_win32_failed(error);
}

/* With the right to delete it if it can be had: another user's may be used without. */
static HANDLE open_file(const wchar_t *path)
{
    const DWORD rights = GENERIC_READ | GENERIC_WRITE;
    const HANDLE file = CreateFileW(path, rights | DELETE, SHARE_ALL, NULL, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (file != INVALID_HANDLE_VALUE || GetLastError() != ERROR_ACCESS_DENIED) {
        return file;
    }
    return CreateFileW(path, rights, SHARE_ALL, NULL, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, NULL);
}

static cano_status check_file(HANDLE file, uint32_t access)
{
    BY_HANDLE_FILE_INFORMATION is;
    if (!GetFileInformationByHandle(file, &is)) {
        return cano_win32_failed(GetLastError());
    }
    const uint64_t size = (uint64_t)is.nFileSizeHigh << 32 | is.nFileSizeLow;
    if ((is.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) != 0 || size < PAGE || size % PAGE != 0) {
        return cano_os_fail(ERROR_INVALID_DATA, CANO_EKIND);
    }
    /* what somebody else laid there is not to be trusted, unless the caller said so */
    const bool allowed = access == CANO_WIN32_GROUP || access == CANO_WIN32_EVERYONE || cano_win32_is_ours(file);
    return allowed ? CANO_OK : cano_os_fail(ERROR_ACCESS_DENIED, CANO_EACCES);
}

cano_status cano_os_segment_open(cano_os_segment *segment, const char *path, size_t minimum, uint32_t access)
{
    wchar_t wide[CANO_WIN32_PATH];
    cano_status status = cano_win32_widen(path, wide);
    if (status != CANO_OK) {
        return status;
    }
    const HANDLE file = open_file(wide);
    if (file == INVALID_HANDLE_VALUE) {
        return open_failed(wide, GetLastError());
    }
    status = check_file(file, access);
    const HANDLE section = status != CANO_OK ? NULL : CreateFileMappingW(file, NULL, PAGE_READWRITE, 0, 0, NULL);
    if (section == NULL) {
        status = status != CANO_OK ? status : cano_win32_failed(GetLastError());
        CloseHandle(file);
        return status;
    }
    status = attach(segment, section, file, minimum, NULL);
    if (status == CANO_OK) {
        ((cano_win32_segment *)segment->backend)->published = true;
    }
    return status;
}

cano_status cano_os_segment_adopt(cano_os_segment *segment, cano_os_handle handle, size_t minimum, bool sealed)
{
    (void)sealed; /* what is mapped cannot be made smaller here, by anybody */
    return attach(segment, (HANDLE)handle, NULL, minimum, NULL);
}

/* ---- ending ---- */

static bool is_same_file(HANDLE one, HANDLE other)
{
    BY_HANDLE_FILE_INFORMATION is;
    BY_HANDLE_FILE_INFORMATION that;
    return GetFileInformationByHandle(one, &is) && GetFileInformationByHandle(other, &that) &&
           is.dwVolumeSerialNumber == that.dwVolumeSerialNumber && is.nFileIndexHigh == that.nFileIndexHigh &&
           is.nFileIndexLow == that.nFileIndexLow;
}

static bool has_tail(HANDLE file)
{
    BY_HANDLE_FILE_INFORMATION is;
    return GetFileInformationByHandle(file, &is) && is.nFileSizeLow % PAGE == 0 && (is.nFileSizeLow | is.nFileSizeHigh) != 0;
}

/* The end of a segment in an open file, mapped with all of it; NULL: it is no segment. */
static unsigned char *map_file(HANDLE file, cano_win32_tail **tail)
{
    const HANDLE section = has_tail(file) ? CreateFileMappingW(file, NULL, PAGE_READWRITE, 0, 0, NULL) : NULL;
    unsigned char *base = section == NULL ? NULL : map(section);
    size_t size;
    close_if(section);
    if (base != NULL && !understand(base, mapped_size(base), 1, &size)) {
        UnmapViewOfFile(base);
        return NULL;
    }
    *tail = base == NULL ? NULL : tail_of(base, mapped_size(base));
    return base;
}

/* Where a segment's file is once it has lost its name. */
static void name_aside(const wchar_t *path, const char *id, wchar_t aside[CANO_WIN32_PATH])
{
    char name[SIDE_MOST];
    snprintf(name, SIDE_MOST, GONE "%.32s", id);
    cano_win32_beside(path, name, aside);
}

/* Off its name; those who have it open see that, and the last of them deletes it. 0, or an error number. */
static DWORD rename_aside(HANDLE file, const wchar_t *path, wchar_t aside[CANO_WIN32_PATH])
{
    cano_win32_tail *tail = NULL;
    unsigned char *base = map_file(file, &tail);
    char id[ID_LENGTH + 1];
    cano_win32_random(id);
    name_aside(path, base == NULL ? id : tail->id, aside);
    const DWORD error = cano_win32_rename(file, aside);
    if (base != NULL && error == 0) {
        /* relaxed: a hint, what nobody deletes is swept up later */
        atomic_store_explicit(&tail->unlinked, 1, memory_order_relaxed);
    }
    if (base != NULL) {
        UnmapViewOfFile(base);
    }
    return error;
}

/* Owns the file. */
static cano_status set_aside(HANDLE file, const wchar_t *path)
{
    wchar_t aside[CANO_WIN32_PATH];
    const DWORD error = rename_aside(file, path, aside);
    CloseHandle(file);
    if (error != 0) {
        return cano_win32_failed(error);
    }
    DeleteFileW(aside); /* fails while anybody has it mapped */
    return CANO_OK;
}

cano_status cano_os_segment_unlink(const char *path, const cano_os_segment *expected)
{
    wchar_t wide[CANO_WIN32_PATH];
    const cano_status status = cano_win32_widen(path, wide);
    if (status != CANO_OK) {
        return status;
    }
    const HANDLE file = CreateFileW(wide, GENERIC_READ | GENERIC_WRITE | DELETE, SHARE_ALL, NULL, OPEN_EXISTING,
                                    FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        return open_failed(wide, GetLastError());
    }
    const cano_win32_segment *backend = expected == NULL ? NULL : expected->backend;
    if (backend != NULL && (backend->file == NULL || !is_same_file(file, backend->file))) {
        CloseHandle(file);
        return cano_os_fail(ERROR_FILE_NOT_FOUND, CANO_ENOENT);
    }
    return set_aside(file, wide);
}

/* By its name: the handle may have been opened under another. */
static void delete_aside(const char *id)
{
    wchar_t folder[CANO_WIN32_PATH];
    wchar_t aside[CANO_WIN32_PATH];
    if (find_folder(folder) == CANO_OK) {
        name_aside(folder, id, aside);
        DeleteFileW(aside); /* fails while others have it mapped */
    }
}

static void close_shared(cano_os_segment *segment)
{
    cano_win32_segment *backend = segment->backend;
    cano_os_guard_leave(segment); /* still held */
    /* relaxed: see rename_aside */
    const bool unlinked = atomic_load_explicit(&backend->tail->unlinked, memory_order_relaxed) != 0;
    char id[ID_LENGTH + 1] = "";
    memcpy(id, backend->tail->id, ID_LENGTH);
    UnmapViewOfFile(segment->base);
    CloseHandle((HANDLE)segment->handle);
    if (backend->file != NULL && !backend->published) {
        delete_file(backend->file);
    }
    close_if(backend->file);
    if (unlinked) {
        delete_aside(id);
    }
}

void cano_os_segment_close(cano_os_segment *segment)
{
    cano_win32_segment *backend = segment->backend;
    if (segment->shared) {
        close_shared(segment);
    } else {
        VirtualFree(segment->base, 0, MEM_RELEASE);
    }
    cano_win32_end_sleeps(backend);
    free(backend);
    *segment = (cano_os_segment){ .handle = CANO_OS_NONE };
}
