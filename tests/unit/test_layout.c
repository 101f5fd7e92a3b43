/* SPDX-License-Identifier: Apache-2.0 */
/* docs/protocol.md in numbers: whoever changes one of these changes CANO_LAYOUT and the page as well. */
#include "geometry.h"
#include "ledger.h"
#include "queue_memory.h"
#include "suite.h"

#include <cano/queue.h>
#include <string.h>

#define PIN(type, member, offset) CU_ASSERT_EQUAL(offsetof(type, member), offset)

static void segment_header_is_pinned(void)
{
    CU_ASSERT_EQUAL(CANO_LAYOUT, 1);
    CU_ASSERT_EQUAL(sizeof(cano_segment_header), 256);
    PIN(cano_segment_header, magic, 0);
    PIN(cano_segment_header, layout, 8);
    PIN(cano_segment_header, kind, 12);
    PIN(cano_segment_header, word_size, 14);
    PIN(cano_segment_header, size, 16);
    PIN(cano_segment_header, id, 24);
    PIN(cano_segment_header, boot, 64);
}

static void limits_are_pinned(void)
{
    CU_ASSERT_EQUAL(sizeof(cano_queue_limits), 64);
    PIN(cano_queue_limits, max_items, 0);
    PIN(cano_queue_limits, max_bytes, 8);
    PIN(cano_queue_limits, flags, 16);
    PIN(cano_queue_limits, max_participants, 20);
    PIN(cano_queue_limits, max_leases, 24);
    PIN(cano_queue_limits, max_deliveries, 28);
    PIN(cano_queue_limits, access, 32);
}

static void queue_header_is_pinned(void)
{
    CU_ASSERT_EQUAL(sizeof(cano_queue_shared), 1408);
    PIN(cano_queue_shared, limits, 256);
    PIN(cano_queue_shared, put_lock, 512);
    PIN(cano_queue_shared, single_putter, 516);
    PIN(cano_queue_shared, tail, 520);
    PIN(cano_queue_shared, head_seen, 528);
    PIN(cano_queue_shared, put_total, 536);
    PIN(cano_queue_shared, get_lock, 640);
    PIN(cano_queue_shared, single_getter, 644);
    PIN(cano_queue_shared, head, 648);
    PIN(cano_queue_shared, got_total, 656);
    PIN(cano_queue_shared, next_task, 664);
    PIN(cano_queue_shared, ledger_rotor, 672);
    PIN(cano_queue_shared, shutdown, 768);
    PIN(cano_queue_shared, orphan_hint, 772);
    PIN(cano_queue_shared, next_due, 776);
    PIN(cano_queue_shared, ever, 784);
    PIN(cano_queue_shared, need_sweep, 788);
    PIN(cano_queue_shared, swept_at, 792);
    PIN(cano_queue_shared, bells, 800);
    PIN(cano_queue_shared, items_event, 896);
    PIN(cano_queue_shared, room_event, 1024);
    PIN(cano_queue_shared, room_want, 1028);
    PIN(cano_queue_shared, page_event, 1032);
    PIN(cano_queue_shared, page_ticket, 1036);
    PIN(cano_queue_shared, page_ticket_at, 1040);
    PIN(cano_queue_shared, done_event, 1152);
    PIN(cano_queue_shared, arena_lock, 1280);
    PIN(cano_queue_shared, arena_rotor, 1284);
}

static void records_of_the_tables_are_pinned(void)
{
    CU_ASSERT_EQUAL(sizeof(cano_roster_slot), 64);
    PIN(cano_roster_slot, state, 0);
    PIN(cano_roster_slot, identity_a, 8);
    PIN(cano_roster_slot, identity_b, 16);
    PIN(cano_roster_slot, bell, 24);
    CU_ASSERT_EQUAL(sizeof(cano_ledger_entry), 256);
    PIN(cano_ledger_entry, task, 0);
    PIN(cano_ledger_entry, position, 8);
    PIN(cano_ledger_entry, size, 16);
    PIN(cano_ledger_entry, page, 24);
    PIN(cano_ledger_entry, delay_set, 32);
    PIN(cano_ledger_entry, delay, 40);
    PIN(cano_ledger_entry, payload, 64);
    CU_ASSERT_EQUAL(sizeof(cano_block_reference), 16);
    PIN(cano_block_reference, size, 0);
    PIN(cano_block_reference, page, 8);
}

static void words_are_packed_as_written(void)
{
    CU_ASSERT_EQUAL(cano_ring_header(CANO_RING_DATA, 5), UINT64_C(0x0100000000000005));
    CU_ASSERT_EQUAL(cano_word_of(3, 2), 3 | 2 << 10);
    CU_ASSERT_EQUAL(cano_commit_word(7, 9), UINT64_C(7) << 24 | 9);
    const cano_task_word held = { CANO_TASK_HELD, 5, 6, 7 };
    CU_ASSERT_EQUAL(cano_task_pack(held), UINT64_C(2) | UINT64_C(5) << 4 | UINT64_C(6) << 14 | UINT64_C(7) << 30);
}

static cano_queue_limits defaults(uint32_t leases)
{
    return (cano_queue_limits){ .max_items = 1024,
                                .max_bytes = 524288,
                                .flags = leases != 0 ? CANO_JOINABLE : 0,
                                .max_participants = 64,
                                .max_leases = leases };
}

static void default_geometry_is_pinned(void)
{
    const cano_queue_limits plain = defaults(0);
    cano_geometry g;
    CU_ASSERT_EQUAL_FATAL(cano_geometry_of(&plain, &g), CANO_OK);
    CU_ASSERT_EQUAL(g.ring_units, 32768);
    CU_ASSERT_EQUAL(g.page_size, 256);
    CU_ASSERT_EQUAL(g.page_count, 2048);
    CU_ASSERT_EQUAL(g.roster, 1408);
    CU_ASSERT_EQUAL(g.ledger_words, 1408 + 65 * 64);
    CU_ASSERT_TRUE(g.size < 1 << 20);
    const cano_queue_limits joinable = defaults(256);
    CU_ASSERT_EQUAL_FATAL(cano_geometry_of(&joinable, &g), CANO_OK);
    CU_ASSERT_EQUAL(g.inline_max, 192);
    CU_ASSERT_EQUAL(g.page_count, 2560);
    CU_ASSERT_TRUE(g.size < 1 << 20);
}

static void impossible_limits_are_refused(void)
{
    cano_geometry g;
    cano_queue_limits limits = defaults(0);
    limits.max_items = 0;
    CU_ASSERT_EQUAL(cano_geometry_of(&limits, &g), CANO_EINVAL);
    limits = defaults(0);
    limits.max_items = CANO_MAX_ITEMS + 1;
    CU_ASSERT_EQUAL(cano_geometry_of(&limits, &g), CANO_EINVAL);
    limits = defaults(0);
    limits.max_bytes = 0;
    CU_ASSERT_EQUAL(cano_geometry_of(&limits, &g), CANO_EINVAL);
    limits.max_bytes = UINT64_MAX;
    CU_ASSERT_EQUAL(cano_geometry_of(&limits, &g), CANO_EINVAL);
    limits = defaults(0);
    limits.max_participants = CANO_MAX_PARTICIPANTS + 1;
    CU_ASSERT_EQUAL(cano_geometry_of(&limits, &g), CANO_EINVAL);
    limits = defaults(CANO_MAX_LEASES + 1);
    CU_ASSERT_EQUAL(cano_geometry_of(&limits, &g), CANO_EINVAL);
    limits = defaults(0);
    limits.flags = CANO_JOINABLE; /* joinable without leases */
    CU_ASSERT_EQUAL(cano_geometry_of(&limits, &g), CANO_EINVAL);
}

static void tables_never_overlap(void)
{
    static const uint64_t items[] = { 1, 2, 3, 7, 64, 1000, 65537, CANO_MAX_ITEMS };
    static const uint64_t bytes[] = { 1, 8, 255, 4096, 524288, 1000003, UINT64_C(1) << 33 };
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        for (size_t j = 0; j < sizeof bytes / sizeof bytes[0]; j++) {
            cano_queue_limits limits = defaults(3);
            limits.max_items = items[i];
            limits.max_bytes = bytes[j];
            cano_geometry g;
            CU_ASSERT_EQUAL_FATAL(cano_geometry_of(&limits, &g), CANO_OK);
            CU_ASSERT_TRUE(g.ledger_words >= g.roster + 65 * sizeof(cano_roster_slot));
            CU_ASSERT_TRUE(g.ledger_entries >= g.ledger_words + 3 * 8 && g.ledger_entries % 64 == 0);
            CU_ASSERT_TRUE(g.page_words >= g.ledger_entries + 3 * sizeof(cano_ledger_entry) && g.page_words % 8 == 0);
            CU_ASSERT_TRUE(g.page_links >= g.page_words + g.page_count * UINT64_C(8));
            CU_ASSERT_TRUE(g.ring >= g.page_links + g.page_count * UINT64_C(4) && g.ring % 128 == 0);
            CU_ASSERT_TRUE(g.pages >= g.ring + g.ring_units * 8 && g.pages % 64 == 0);
            CU_ASSERT_EQUAL(g.size, g.pages + g.page_count * g.page_size);
            CU_ASSERT_TRUE(g.page_count * g.page_size >= limits.max_bytes);
        }
    }
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = { { "segment_header_is_pinned", segment_header_is_pinned },
                                        { "limits_are_pinned", limits_are_pinned },
                                        { "queue_header_is_pinned", queue_header_is_pinned },
                                        { "records_of_the_tables_are_pinned", records_of_the_tables_are_pinned },
                                        { "words_are_packed_as_written", words_are_packed_as_written },
                                        { "default_geometry_is_pinned", default_geometry_is_pinned },
                                        { "impossible_limits_are_refused", impossible_limits_are_refused },
                                        { "tables_never_overlap", tables_never_overlap },
                                        { NULL, NULL } };
    return suite_main(argc, argv, "layout", tests, NULL);
}
