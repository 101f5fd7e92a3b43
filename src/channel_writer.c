/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <cano/queue.h>
#include <string.h>

#define SLOT_KEPT (UINT64_C(4) << 20) /* bytes of the largest segment kept for the next large message */
#define SENDS_UNHEARD 32u /* sends between two looks whether the reader moves; a dead one swallows less than twice that */
#define STREAM_SLICE INT64_C(10000) /* microseconds of one sleep on a full stream */

/* ---- room ---- */

/* CANO_ETIMEOUT: the reader has not come as far as position. */
static cano_status has_reached(cano_writer *writer, uint64_t position)
{
    if ((int64_t)(writer->head - position) >= 0) {
        return CANO_OK;
    }
    /* acquire: pairs with the release in go_on; the reader is done with what is overwritten now */
    const uint64_t head = atomic_load_explicit(&writer->shared->head, memory_order_acquire);
    if (head - writer->head > writer->tail - writer->head) {
        return CANO_ECORRUPT;
    }
    writer->head = head;
    return (int64_t)(head - position) >= 0 ? CANO_OK : CANO_ETIMEOUT;
}

static bool is_wanted_reached(void *context)
{
    cano_writer *writer = context;
    return has_reached(writer, writer->wanted) != CANO_ETIMEOUT; /* damage is worth a look, too */
}

/* Where the reader must be so that a record of that many units fits, with the zero header behind it. */
static uint64_t position_for(const cano_writer *writer, uint64_t units)
{
    return cano_ring_place(&writer->ring, writer->tail, units) + units + 1 - writer->ring.units;
}

/* Where to be woken for room: when half the ring is free, so that it does not happen for every record, and at the next point
 * where the reader looks at our flag. */
static uint64_t waking_point(const cano_writer *writer, uint64_t position)
{
    const uint64_t half = writer->tail - writer->ring.units / 2;
    const uint64_t quarter = writer->ring.units / 4;
    const uint64_t later = (int64_t)(half - position) > 0 ? half : position;
    const uint64_t border = (later + quarter - 1) & ~(quarter - 1);
    return (int64_t)(border - writer->tail) < 0 ? border : writer->tail;
}

static void want(cano_writer *writer, uint64_t position)
{
    /* another thread that sleeps for less must not be forgotten */
    if (writer->bell.armed && (int64_t)(writer->wanted - position) < 0 && has_reached(writer, writer->wanted) != CANO_OK) {
        return;
    }
    writer->wanted = position;
    /* relaxed: published with the flag */
    atomic_store_explicit(&writer->shared->want, position, memory_order_relaxed);
}

static cano_status await_position(cano_writer *writer, cano_visit *visit, cano_nap *nap, uint64_t position)
{
    if (cano_doorbell_is_over(&writer->bell)) {
        return CANO_ECLOSED;
    }
    want(writer, position);
    return cano_doorbell_nap(&writer->bell, visit, nap, &writer->patience, false, is_wanted_reached, writer);
}

/* Others may send while one sleeps: everything is asked anew afterwards. */
static cano_status await_room(cano_writer *writer, cano_visit *visit, uint64_t units)
{
    cano_nap nap = { 0 };
    for (;;) {
        const uint64_t position = position_for(writer, units);
        cano_status status = has_reached(writer, position);
        if (status != CANO_ETIMEOUT) {
            return status;
        }
        status = await_position(writer, visit, &nap, waking_point(writer, position));
        if (status != CANO_OK) {
            return status;
        }
    }
}

static bool is_never(void *context)
{
    (void)context;
    return false;
}

/* A reader killed while it was awake leaves its flag down: look at the stream from time to time. */
static cano_status listen(cano_writer *writer)
{
    writer->unheard = 0;
    cano_status status = has_reached(writer, writer->tail);
    if (status == CANO_ECORRUPT || writer->head != writer->heard) {
        writer->heard = writer->head;
        return status == CANO_ECORRUPT ? status : CANO_OK;
    }
    status = cano_doorbell_ask(&writer->bell, is_never, NULL);
    return status == CANO_OK && writer->bell.ended ? CANO_ECLOSED : status;
}

static cano_status tell(cano_writer *writer)
{
    cano_status status = cano_doorbell_ring(&writer->bell);
    if (status == CANO_OK && ++writer->unheard >= SENDS_UNHEARD) {
        status = listen(writer);
    }
    /* a reader that has taken what was just published, and then closed, is no failure of the send */
    return status == CANO_ECLOSED && has_reached(writer, writer->tail) == CANO_OK ? CANO_OK : status;
}

/* ---- messages ---- */

static void publish(cano_writer *writer, uint8_t kind, const void *first, size_t first_size, const void *second,
                    size_t second_size)
{
    cano_ring_batch batch = cano_ring_begin(&writer->ring, writer->tail);
    unsigned char *payload = cano_ring_append(&batch, kind, (uint32_t)(first_size + second_size));
    cano_channel_copy(payload, first, first_size);
    cano_channel_copy(payload + first_size, second, second_size);
    writer->tail = cano_ring_commit(&batch);
}

static cano_status send_small(cano_writer *writer, cano_visit *visit, const void *data, size_t size)
{
    const uint64_t units = cano_ring_units_of(size);
    cano_status status = await_room(writer, visit, units);
    if (status != CANO_OK) {
        return status;
    }
    publish(writer, CANO_RING_DATA, "", 0, data, size);
    return tell(writer);
}

/* Send handles ahead of the record for which there is room. CANO_OK: they are on their way. *again: others may have sent
 * meanwhile, ask for room anew. */
static cano_status pass_handles(cano_writer *writer, cano_visit *visit, const cano_os_handle *handles, uint32_t count,
                                bool *again)
{
    *again = false;
    cano_status status = cano_doorbell_pass(&writer->bell, handles, count);
    if (status != CANO_ETIMEOUT || cano_visit_is_over(visit)) {
        return status;
    }
    *again = true;
    bool woken;
    return cano_visit_sleep(visit, writer->bell.stream->handle, true, STREAM_SLICE, &woken);
}

cano_status cano_writer_pass(cano_writer *writer, cano_visit *visit, uint32_t thing, const void *bytes, uint32_t size,
                             const cano_os_handle *handles, uint32_t handle_count)
{
    const cano_pipe_passed passed = { thing, handle_count, size, 0 };
    bool again;
    do {
        cano_status status = await_room(writer, visit, cano_ring_units_of(sizeof passed + size));
        if (status == CANO_OK && cano_doorbell_is_over(&writer->bell)) {
            status = CANO_ECLOSED;
        }
        if (status == CANO_OK) {
            status = pass_handles(writer, visit, handles, handle_count, &again);
        }
        if (status != CANO_OK) {
            return status;
        }
    } while (again);
    publish(writer, CANO_RING_HANDLE, &passed, sizeof passed, bytes, size);
    tell(writer); /* it is passed: whether anybody is there to take it makes no difference any more */
    return CANO_OK;
}

/* ---- large messages ---- */

static uint64_t slot_size(uint64_t length)
{
    uint64_t size = 65536;
    while (size < length) {
        size *= 2;
    }
    return length > SLOT_KEPT ? length : size;
}

/* The segment in which the message goes; the reader is done with the slot. CANO_ENOSPC, CANO_ELIMIT, CANO_ENOMEM. */
static cano_status furnish(cano_writer_slot *slot, uint64_t length)
{
    if (slot->segment.base != NULL && slot->segment.size >= length) {
        return CANO_OK;
    }
    if (slot->segment.base != NULL) {
        cano_os_segment_close(&slot->segment);
    }
    slot->segment.base = NULL;
    slot->known = false;
    const cano_status status = cano_os_segment_create(&slot->segment, (size_t)slot_size(length), true, CANO_ACCESS_USER);
    if (status != CANO_OK) {
        slot->segment.base = NULL;
    }
    return status;
}

/* The slot that is free soonest. */
static cano_writer_slot *next_slot(cano_writer *writer)
{
    cano_writer_slot *slots = writer->slots;
    return (int64_t)(slots[1].until - slots[0].until) < 0 ? &slots[1] : &slots[0];
}

static cano_status await_slot(cano_writer *writer, cano_visit *visit, cano_writer_slot **slot)
{
    cano_nap nap = { 0 };
    for (;;) {
        *slot = next_slot(writer);
        cano_status status = has_reached(writer, (*slot)->until);
        if (status == CANO_OK) {
            status = await_room(writer, visit, cano_ring_units_of(sizeof(cano_pipe_reference)));
            if (status != CANO_OK || has_reached(writer, (*slot)->until) == CANO_OK) {
                return status;
            }
        } else if (status == CANO_ETIMEOUT) {
            status = await_position(writer, visit, &nap, (*slot)->until);
        }
        if (status != CANO_OK) {
            return status;
        }
    }
}

static void publish_large(cano_writer *writer, cano_writer_slot *slot, size_t length)
{
    const bool kept = slot->segment.size <= SLOT_KEPT;
    const cano_pipe_reference reference = {
        .length = length,
        .size = slot->segment.size,
        .slot = kept ? (uint32_t)(slot - writer->slots) : CANO_PIPE_SLOTS,
        .fresh = !slot->known,
    };
    publish(writer, CANO_RING_SEGMENT, &reference, sizeof reference, NULL, 0);
    slot->until = writer->tail;
    slot->known = kept;
    if (!kept) {
        cano_os_segment_close(&slot->segment); /* the reader has its handle; the slot stays taken, which bounds the memory */
        slot->segment.base = NULL;
    }
}

static cano_status send_large(cano_writer *writer, cano_visit *visit, const void *data, size_t size)
{
    cano_writer_slot *slot;
    bool again;
    do {
        cano_status status = await_slot(writer, visit, &slot);
        if (status == CANO_OK) {
            status = furnish(slot, size);
        }
        if (status != CANO_OK) {
            return status;
        }
        cano_channel_copy(slot->segment.base, data, size);
        again = false;
        if (!slot->known) {
            status = pass_handles(writer, visit, &slot->segment.handle, 1, &again);
        }
        if (status != CANO_OK) {
            return status;
        }
    } while (again);
    publish_large(writer, slot, size);
    return tell(writer);
}

cano_status cano_writer_send(cano_writer *writer, cano_visit *visit, const void *data, size_t size)
{
    if (writer->bell.ended) {
        return CANO_ECLOSED;
    }
    return size <= cano_ring_largest(&writer->ring) ? send_small(writer, visit, data, size)
                                                    : send_large(writer, visit, data, size);
}

cano_status cano_writer_attach(cano_writer *writer)
{
    /* acquire: pairs with the release in go_on */
    writer->head = atomic_load_explicit(&writer->shared->head, memory_order_acquire);
    writer->heard = writer->head;
    writer->tail = writer->head;
    for (;;) {
        cano_ring_record record;
        const cano_ring_look_result result = cano_ring_look(&writer->ring, writer->tail, &record);
        if (result == CANO_RING_NOTHING) {
            return CANO_OK;
        }
        if (result == CANO_RING_BROKEN || record.next - writer->head > writer->ring.units) {
            return CANO_ECORRUPT;
        }
        writer->tail = record.next;
    }
}
