/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment with a header in front: made whole before anybody else sees it, checked before it is used.
 */
#ifndef CANO_SEGMENT_H
#define CANO_SEGMENT_H

#include "layout.h"
#include "os.h"

/* How to fill a new segment behind its header, which is done; nobody else can see it yet. */
typedef void (*cano_segment_filler)(cano_os_segment *segment, void *context);

/* Make a segment, named or (NULL) nameless, or (shared false) in private memory. CANO_EEXIST: a segment made since the
 * machine started has the name; one from before is made anew. */
cano_status cano_segment_make(cano_os_segment *segment, const char *name, size_t size, bool shared, uint16_t kind,
                              uint32_t access, cano_segment_filler fill, void *context);

/* Open a named one and check its header. CANO_ENOENT: also one from before the machine started. */
cano_status cano_segment_open(cano_os_segment *segment, const char *name, uint16_t kind, size_t minimum, uint32_t access);

/* Remove what was left under a name by an earlier start of the machine. CANO_OK: the name is free; CANO_EEXIST: what has it is
 * in use, or not of that kind; CANO_ETIMEOUT: somebody else removes it just now. */
cano_status cano_segment_clear(const char *name, uint16_t kind, uint32_t access);

/* Check one that was inherited or received, owning the handle, also on failure. */
cano_status cano_segment_adopt(cano_os_segment *segment, cano_os_handle handle, uint16_t kind, size_t minimum);

/* The same for one that never had a name: also demand that nobody can shrink it, where the system can tell. */
cano_status cano_segment_adopt_sealed(cano_os_segment *segment, cano_os_handle handle, uint16_t kind, size_t minimum);

/* Free the name of a segment, or of any other file; CANO_EKIND: no file. A segment is opened for it, so that what the seam
 * keeps beside it goes with the last who closes it. */
cano_status cano_segment_unlink(const char *path);

static inline cano_segment_header *cano_segment_head(const cano_os_segment *segment)
{
    return (cano_segment_header *)(void *)segment->base;
}

#endif
