/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"
#include "suite.h"

#include <string.h>

#define UNITS 64

static _Alignas(64) unsigned char memory[UNITS * CANO_RING_UNIT];
static const cano_ring ring = { memory, UNITS };

/* An old lap's bytes look like messages everywhere but at the tail. */
static void fill_with_old_lap(uint64_t tail)
{
    for (uint64_t i = 0; i < UNITS; i++) {
        cano_ring_set(&ring, i, cano_ring_header(CANO_RING_DATA, 8));
    }
    cano_ring_set(&ring, tail, 0);
}

static uint64_t put(uint64_t tail, const void *data, uint32_t size)
{
    cano_ring_batch batch = cano_ring_begin(&ring, tail);
    memcpy(cano_ring_append(&batch, CANO_RING_DATA, size), data, size);
    return cano_ring_commit(&batch);
}

static void empty_message_is_a_message(void)
{
    fill_with_old_lap(5);
    cano_ring_record record = { 0 };
    CU_ASSERT_EQUAL(cano_ring_look(&ring, 5, &record), CANO_RING_NOTHING);
    const uint64_t tail = put(5, "", 0);
    CU_ASSERT_EQUAL(tail, 6);
    CU_ASSERT_EQUAL_FATAL(cano_ring_look(&ring, 5, &record), CANO_RING_FOUND);
    CU_ASSERT_EQUAL(record.size, 0);
    CU_ASSERT_EQUAL(record.next, 6);
    CU_ASSERT_EQUAL(cano_ring_look(&ring, 6, &record), CANO_RING_NOTHING);
}

static void every_size_fits_at_every_offset(void)
{
    unsigned char data[UNITS * CANO_RING_UNIT];
    memset(data, 0xa5, sizeof data);
    for (uint64_t tail = 0; tail < 2 * UNITS; tail++) {
        for (uint32_t size = 0; size <= cano_ring_largest(&ring); size++) {
            fill_with_old_lap(tail);
            const uint64_t next = put(tail, data, size);
            cano_ring_record record = { 0 };
            CU_ASSERT_EQUAL_FATAL(cano_ring_look(&ring, tail, &record), CANO_RING_FOUND);
            CU_ASSERT_EQUAL(record.size, size);
            CU_ASSERT_EQUAL(record.next, next);
            CU_ASSERT_TRUE(next - tail < UNITS); /* the zero header behind it does not land on it */
            CU_ASSERT_EQUAL(memcmp(cano_ring_payload(&ring, record.position), data, size), 0);
            CU_ASSERT_EQUAL(cano_ring_look(&ring, next, &record), CANO_RING_NOTHING);
        }
    }
}

static void batch_shows_all_or_nothing(void)
{
    for (uint64_t tail = 0; tail < UNITS; tail++) {
        fill_with_old_lap(tail);
        cano_ring_batch batch = cano_ring_begin(&ring, tail);
        for (uint32_t i = 1; i <= 4; i++) {
            memset(cano_ring_append(&batch, CANO_RING_DATA, i * 7), (int)i, i * 7);
            cano_ring_record record = { 0 };
            CU_ASSERT_EQUAL(cano_ring_look(&ring, tail, &record), CANO_RING_NOTHING);
        }
        const uint64_t end = cano_ring_commit(&batch);
        uint64_t position = tail;
        for (uint32_t i = 1; i <= 4; i++) {
            cano_ring_record record = { 0 };
            CU_ASSERT_EQUAL_FATAL(cano_ring_look(&ring, position, &record), CANO_RING_FOUND);
            CU_ASSERT_EQUAL(record.size, i * 7);
            CU_ASSERT_EQUAL(*(unsigned char *)cano_ring_payload(&ring, record.position), i);
            position = record.next;
        }
        CU_ASSERT_EQUAL(position, end);
    }
}

static void empty_batch_changes_nothing(void)
{
    fill_with_old_lap(9);
    cano_ring_batch batch = cano_ring_begin(&ring, 9);
    CU_ASSERT_EQUAL(cano_ring_commit(&batch), 9);
    cano_ring_record record = { 0 };
    CU_ASSERT_EQUAL(cano_ring_look(&ring, 9, &record), CANO_RING_NOTHING);
}

static void no_header_is_trusted(void)
{
    static const uint64_t bad[] = {
        UINT64_C(0x0000000000000001),                             /* no kind */
        UINT64_C(0x0100000100000000),                             /* bits that must be zero */
        UINT64_C(0x01000000ffffffff),                             /* longer than the ring */
        UINT64_C(0x0100000000000000) | UNITS * CANO_RING_UNIT / 2, /* longer than half of it */
        UINT64_MAX,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fill_with_old_lap(0);
        cano_ring_set(&ring, 0, bad[i]);
        cano_ring_record record = { 0 };
        CU_ASSERT_EQUAL(cano_ring_look(&ring, 0, &record), CANO_RING_BROKEN);
    }
    fill_with_old_lap(0);
    cano_ring_set(&ring, UNITS - 2, cano_ring_header(CANO_RING_DATA, 16)); /* across the end */
    cano_ring_record record = { 0 };
    CU_ASSERT_EQUAL(cano_ring_look(&ring, UNITS - 2, &record), CANO_RING_BROKEN);
    cano_ring_set(&ring, UNITS - 2, cano_ring_header(CANO_RING_PAD, 0)); /* padding in front of nothing */
    CU_ASSERT_EQUAL(cano_ring_look(&ring, UNITS - 2, &record), CANO_RING_BROKEN);
    cano_ring_set(&ring, 0, cano_ring_header(CANO_RING_PAD, 0)); /* padding without end */
    CU_ASSERT_EQUAL(cano_ring_look(&ring, UNITS - 2, &record), CANO_RING_BROKEN);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = { { "empty_message_is_a_message", empty_message_is_a_message },
                                        { "every_size_fits_at_every_offset", every_size_fits_at_every_offset },
                                        { "batch_shows_all_or_nothing", batch_shows_all_or_nothing },
                                        { "empty_batch_changes_nothing", empty_batch_changes_nothing },
                                        { "no_header_is_trusted", no_header_is_trusted },
                                        { NULL, NULL } };
    return suite_main(argc, argv, "ring", tests, NULL);
}
