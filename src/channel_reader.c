/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <string.h>

static bool is_record_there(void *context)
{
    const cano_reader *reader = context;
    /* relaxed: a hint; cano_ring_look reads it again with acquire */
    return atomic_load_explicit(cano_ring_word(&reader->ring, reader->head), memory_order_relaxed) != 0;
}

/* The end is there: what was published before it is seen by this look, and nothing comes after. */
static cano_ring_look_result look_last(cano_reader *reader)
{
    const cano_ring_look_result result = cano_ring_look(&reader->ring, reader->head, &reader->found);
    if (result == CANO_RING_NOTHING) {
        reader->over = true;
        cano_doorbell_drop(&reader->bell);
    }
    return result;
}

cano_status cano_reader_look(cano_reader *reader)
{
    if (reader->over) {
        return CANO_ECLOSED;
    }
    cano_ring_look_result result = cano_ring_look(&reader->ring, reader->head, &reader->found);
    if (result == CANO_RING_NOTHING) {
        if (!cano_doorbell_is_over(&reader->bell)) {
            return CANO_ETIMEOUT;
        }
        result = look_last(reader);
    }
    return result == CANO_RING_FOUND ? CANO_OK : result == CANO_RING_NOTHING ? CANO_ECLOSED : CANO_ECORRUPT;
}

cano_status cano_reader_await(cano_reader *reader, cano_visit *visit)
{
    cano_nap nap = { 0 };
    for (;;) {
        cano_status status = cano_reader_look(reader);
        if (status != CANO_ETIMEOUT) {
            return status;
        }
        status = cano_doorbell_nap(&reader->bell, visit, &nap, &reader->patience, reader->pollable, is_record_there, reader);
        if (status != CANO_OK) {
            return status;
        }
    }
}

static cano_status describe_large(cano_reader *reader, uint64_t *size)
{
    if (reader->found.size != sizeof reader->large) {
        return CANO_ECORRUPT;
    }
    memcpy(&reader->large, cano_ring_payload(&reader->ring, reader->found.position), sizeof reader->large);
    const cano_pipe_reference *large = &reader->large;
    if (large->fresh > 1 || large->slot > CANO_PIPE_SLOTS || (large->slot == CANO_PIPE_SLOTS && large->fresh == 0) ||
        large->length > large->size || large->size > SIZE_MAX / 2) {
        return CANO_ECORRUPT;
    }
    *size = large->length;
    return CANO_OK;
}

static cano_status describe_passed(cano_reader *reader, uint32_t *thing, uint64_t *size)
{
    cano_pipe_passed passed;
    if (reader->found.size < sizeof passed) {
        return CANO_ECORRUPT;
    }
    memcpy(&passed, cano_ring_payload(&reader->ring, reader->found.position), sizeof passed);
    if (passed.thing != CANO_THING_PIPE && passed.thing != CANO_THING_QUEUE) {
        return CANO_ECORRUPT;
    }
    *thing = passed.thing;
    *size = reader->found.size - sizeof passed;
    return CANO_OK;
}

cano_status cano_reader_describe(cano_reader *reader, uint32_t *thing, uint64_t *size)
{
    *thing = CANO_THING_MESSAGE;
    switch (reader->found.kind) {
    case CANO_RING_DATA:
        *size = reader->found.size;
        return CANO_OK;
    case CANO_RING_SEGMENT:
        return describe_large(reader, size);
    case CANO_RING_HANDLE:
        return describe_passed(reader, thing, size);
    default:
        return CANO_ECORRUPT;
    }
}

/* Might the writer sleep until the reader is just here? It wants to be woken where the reader comes into another quarter of
 * the ring, has read all, or is done with a large message (see want). */
static bool is_waking_point(const cano_reader *reader, uint64_t before)
{
    return (before ^ reader->head) >> reader->quarter_bits != 0 || reader->found.kind == CANO_RING_SEGMENT ||
           !is_record_there((void *)reader);
}

static void wake_writer(cano_reader *reader)
{
    /* relaxed: published with the flag, which has just been read */
    if (cano_doorbell_is_awaited(&reader->bell) &&
        (int64_t)(reader->head - atomic_load_explicit(&reader->shared->want, memory_order_relaxed)) >= 0) {
        cano_doorbell_ring(&reader->bell); /* a writer that is gone needs none; the end shows when all has been read */
    }
}

/* The writer may use the room again. */
static cano_status go_on(cano_reader *reader)
{
    const uint64_t before = reader->head;
    reader->head = reader->found.next;
    /* release: what was copied out was read before; pairs with the acquire in has_reached */
    atomic_store_explicit(&reader->shared->head, reader->head, memory_order_release);
    if (is_waking_point(reader, before)) {
        wake_writer(reader);
    }
    if (reader->pollable && !is_record_there(reader)) {
        return cano_doorbell_settle(&reader->bell, is_record_there, reader);
    }
    return CANO_OK;
}

/* The segment of the large message that was found. CANO_ECORRUPT: there is none, or it is too small. */
static cano_status fetch_segment(cano_reader *reader, cano_os_segment *fetched)
{
    cano_status status = cano_doorbell_collect(&reader->bell, 1);
    if (status != CANO_OK) {
        return status;
    }
    cano_os_handle handle;
    cano_handles_take(&reader->bell.came, &handle, 1);
    return cano_os_segment_adopt(fetched, handle, (size_t)reader->large.size, true);
}

static cano_status take_once(cano_reader *reader, void *buffer)
{
    cano_os_segment segment;
    const cano_status status = fetch_segment(reader, &segment);
    if (status == CANO_OK) {
        cano_channel_copy(buffer, segment.base, (size_t)reader->large.length);
        cano_os_segment_close(&segment);
    }
    return status;
}

static cano_status take_large(cano_reader *reader, void *buffer)
{
    const cano_pipe_reference *large = &reader->large;
    if (large->slot == CANO_PIPE_SLOTS) {
        return take_once(reader, buffer);
    }
    cano_os_segment *slot = &reader->slots[large->slot];
    if (large->fresh) {
        cano_os_segment fetched;
        const cano_status status = fetch_segment(reader, &fetched);
        if (status != CANO_OK) {
            return status;
        }
        if (slot->base != NULL) {
            cano_os_segment_close(slot);
        }
        *slot = fetched;
    }
    if (slot->base == NULL || slot->size < large->length) {
        return CANO_ECORRUPT;
    }
    cano_channel_copy(buffer, slot->base, (size_t)large->length);
    return CANO_OK;
}

cano_status cano_reader_take(cano_reader *reader, void *buffer)
{
    if (reader->found.kind == CANO_RING_SEGMENT) {
        const cano_status status = take_large(reader, buffer);
        if (status != CANO_OK) {
            return status;
        }
    } else {
        cano_channel_copy(buffer, cano_ring_payload(&reader->ring, reader->found.position), reader->found.size);
    }
    return go_on(reader);
}

cano_status cano_reader_unpack(cano_reader *reader, void *bytes, uint32_t capacity, uint32_t *size,
                               cano_os_handle handles[CANO_HANDLES_PASSED], uint32_t *handle_count)
{
    cano_pipe_passed passed;
    const unsigned char *payload = cano_ring_payload(&reader->ring, reader->found.position);
    memcpy(&passed, payload, sizeof passed);
    if (passed.size > capacity || passed.size != reader->found.size - sizeof passed ||
        passed.handle_count > CANO_HANDLES_PASSED) {
        return CANO_ECORRUPT;
    }
    const cano_status status = cano_doorbell_collect(&reader->bell, passed.handle_count);
    if (status != CANO_OK) {
        return status;
    }
    memcpy(bytes, payload + sizeof passed, passed.size);
    *size = passed.size;
    *handle_count = passed.handle_count;
    cano_handles_take(&reader->bell.came, handles, passed.handle_count);
    return go_on(reader);
}

cano_status cano_reader_watch(cano_reader *reader)
{
    reader->pollable = true;
    return is_record_there(reader) ? CANO_OK : cano_doorbell_settle(&reader->bell, is_record_there, reader);
}

void cano_reader_attach(cano_reader *reader)
{
    /* acquire: pairs with the release in go_on of who had this end before */
    reader->head = atomic_load_explicit(&reader->shared->head, memory_order_acquire);
    for (reader->quarter_bits = 0; UINT64_C(4) << reader->quarter_bits < reader->ring.units; reader->quarter_bits++) {
    }
}
