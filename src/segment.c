/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include "name.h"

#include <cano/queue.h>
#include <string.h>

#define RACES 100 /* rounds of "made by another, gone again" before giving up */

static void write_header(cano_os_segment *segment, uint16_t kind)
{
    cano_segment_header *header = cano_segment_head(segment);
    header->magic = CANO_MAGIC;
    header->layout = CANO_LAYOUT;
    header->kind = kind;
    header->word_size = sizeof(size_t);
    header->size = segment->size;
    memcpy(header->id, segment->id, sizeof segment->id);
    cano_os_boot(header->boot);
}

static bool is_id(const char *id)
{
    return strspn(id, "0123456789abcdef") == 32 && id[32] == 0;
}

static cano_status check_header(cano_os_segment *segment, uint16_t kind, size_t minimum)
{
    const cano_segment_header *shared = cano_segment_head(segment);
    cano_segment_header header; /* read once: what is checked is what is used */
    memcpy(&header, shared, sizeof header);
    if (header.magic != CANO_MAGIC) {
        return CANO_EKIND;
    }
    if (header.layout != CANO_LAYOUT || header.word_size != sizeof(size_t)) {
        return CANO_EVERSION;
    }
    if (header.kind != kind) {
        return CANO_EKIND;
    }
    header.id[sizeof header.id - 1] = 0;
    if (segment->size < minimum || header.size != segment->size || !is_id(header.id)) {
        return CANO_ECORRUPT;
    }
    memcpy(segment->id, header.id, sizeof segment->id);
    return CANO_OK;
}

static bool is_of_this_boot(const cano_os_segment *segment)
{
    char boot[48];
    cano_os_boot(boot);
    return strncmp(cano_segment_head(segment)->boot, boot, sizeof boot) == 0;
}

static cano_status open_checked(cano_os_segment *segment, const char *path, uint16_t kind, size_t minimum, uint32_t access)
{
    cano_status status = cano_os_segment_open(segment, path, sizeof(cano_segment_header), access);
    if (status != CANO_OK) {
        return status;
    }
    status = check_header(segment, kind, minimum);
    if (status != CANO_OK) {
        cano_os_segment_close(segment);
    }
    return status;
}

/* Remove a segment of an earlier start. Its own guard makes sure that nobody removes what another has just made anew: who
 * unlinks holds the guard of the very file that the name still leads to. */
static cano_status remove_stale(cano_os_segment *stale, const char *path)
{
    cano_status status = cano_os_guard_try(stale);
    if (status == CANO_OK) {
        status = cano_os_segment_unlink(path, stale);
        cano_os_guard_leave(stale);
    }
    return status == CANO_ENOENT ? CANO_OK : status;
}

/* The name is taken: by a segment in use (CANO_EEXIST), or by one that must go first (CANO_OK: try again). */
static cano_status look_at_taken(const char *path, uint16_t kind, uint32_t access)
{
    cano_os_segment other;
    cano_status status = open_checked(&other, path, kind, sizeof(cano_segment_header), access);
    if (status == CANO_ENOENT) {
        return CANO_OK; /* gone meanwhile */
    }
    if (status != CANO_OK) {
        return CANO_EEXIST; /* whatever it is, it has the name */
    }
    status = is_of_this_boot(&other) ? CANO_EEXIST : remove_stale(&other, path);
    cano_os_segment_close(&other);
    return status;
}

static cano_status publish(cano_os_segment *segment, const char *path, uint16_t kind, uint32_t access)
{
    for (int round = 0; round < RACES; round++) {
        cano_status status = cano_os_segment_publish(segment, path);
        if (status != CANO_EEXIST) {
            return status;
        }
        status = look_at_taken(path, kind, access);
        if (status != CANO_OK && status != CANO_ETIMEOUT) {
            return status;
        }
    }
    return CANO_EEXIST;
}

cano_status cano_segment_make(cano_os_segment *segment, const char *name, size_t size, bool shared, uint16_t kind,
                              uint32_t access, cano_segment_filler fill, void *context)
{
    char path[CANO_OS_PATH_MAX];
    cano_status status = name == NULL ? CANO_OK : cano_name_path(name, path);
    if (status != CANO_OK) {
        return status;
    }
    status = name == NULL ? cano_os_segment_create(segment, size, shared, access)
                          : cano_os_segment_create_named(segment, size, access);
    if (status != CANO_OK) {
        return status;
    }
    write_header(segment, kind);
    fill(segment, context);
    status = name == NULL ? CANO_OK : publish(segment, path, kind, access);
    if (status != CANO_OK) {
        cano_os_segment_close(segment);
    }
    return status;
}

cano_status cano_segment_open(cano_os_segment *segment, const char *name, uint16_t kind, size_t minimum, uint32_t access)
{
    char path[CANO_OS_PATH_MAX];
    cano_status status = cano_name_path(name, path);
    if (status == CANO_OK) {
        status = open_checked(segment, path, kind, minimum, access);
    }
    if (status == CANO_OK && !is_of_this_boot(segment)) {
        cano_os_segment_close(segment);
        status = CANO_ENOENT;
    }
    return status;
}

cano_status cano_segment_clear(const char *name, uint16_t kind, uint32_t access)
{
    char path[CANO_OS_PATH_MAX];
    const cano_status status = cano_name_path(name, path);
    return status == CANO_OK ? look_at_taken(path, kind, access) : status;
}

static cano_status adopt(cano_os_segment *segment, cano_os_handle handle, uint16_t kind, size_t minimum, bool sealed)
{
    cano_status status = cano_os_segment_adopt(segment, handle, sizeof(cano_segment_header), sealed);
    if (status != CANO_OK) {
        return status;
    }
    status = check_header(segment, kind, minimum);
    if (status != CANO_OK) {
        cano_os_segment_close(segment);
    }
    return status;
}

cano_status cano_segment_adopt(cano_os_segment *segment, cano_os_handle handle, uint16_t kind, size_t minimum)
{
    return adopt(segment, handle, kind, minimum, false);
}

cano_status cano_segment_adopt_sealed(cano_os_segment *segment, cano_os_handle handle, uint16_t kind, size_t minimum)
{
    return adopt(segment, handle, kind, minimum, true);
}

cano_status cano_segment_unlink(const char *path)
{
    cano_os_segment segment;
    if (cano_os_segment_open(&segment, path, sizeof(cano_segment_header), CANO_ACCESS_USER) != CANO_OK) {
        return cano_os_segment_unlink(path, NULL); /* whatever it is */
    }
    memcpy(segment.id, cano_segment_head(&segment)->id, sizeof segment.id);
    segment.id[sizeof segment.id - 1] = 0;
    if (!is_id(segment.id)) {
        segment.id[0] = 0; /* no segment of ours */
    }
    const cano_status status = cano_os_segment_unlink(path, &segment);
    cano_os_segment_close(&segment);
    return status;
}
