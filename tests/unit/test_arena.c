/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_memory.h"
#include "suite.h"

#include <cano/queue.h>
#include <stdlib.h>
#include <string.h>

/* A private queue's memory, to have an arena of 64 pages of 256 bytes. */
static cano_queue_memory memory;
static cano_presence presence;

static const cano_arena *fresh_arena(void)
{
    const cano_queue_limits limits = { .max_items = 64, .max_bytes = 64 * 256, .max_participants = 4 };
    cano_geometry g;
    CU_ASSERT_EQUAL_FATAL(cano_geometry_of(&limits, &g), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&memory.segment, (size_t)g.size, false, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_queue_memory_map(&memory, &limits), CANO_OK);
    cano_queue_memory_init(&memory);
    cano_queue_memory_act_as(&memory, cano_word_of(1, 1), &presence, NULL);
    cano_roster_write(&memory.roster, 1, (cano_roster_state){ 1, 0, CANO_SLOT_LIVE });
    CU_ASSERT_EQUAL_FATAL(memory.arena.page_count, 64);
    CU_ASSERT_EQUAL_FATAL(memory.arena.page_size, 256);
    return &memory.arena;
}

static void end(void)
{
    cano_os_segment_close(&memory.segment);
}

static uint64_t used(const cano_arena *arena)
{
    uint64_t bytes = UINT64_MAX;
    CU_ASSERT_EQUAL(cano_arena_used(arena, CANO_OS_NEVER, &bytes), CANO_OK);
    return bytes / 256;
}

static cano_status take(const cano_arena *arena, uint64_t pages, bool contiguous, uint32_t *page)
{
    return cano_arena_take(arena, pages * 256, contiguous, CANO_OS_NEVER, page);
}

static void whole_arena_can_be_one_block(void)
{
    const cano_arena *arena = fresh_arena();
    uint32_t page;
    CU_ASSERT_EQUAL(take(arena, 65, true, &page), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL_FATAL(take(arena, 64, true, &page), CANO_OK);
    uint32_t none;
    CU_ASSERT_EQUAL(take(arena, 1, false, &none), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(used(arena), 64);
    cano_arena_free(arena, page);
    CU_ASSERT_EQUAL(used(arena), 0);
    CU_ASSERT_EQUAL(take(arena, 64, true, &page), CANO_OK);
    end();
}

static void scattered_pages_hold_a_message(void)
{
    const cano_arena *arena = fresh_arena();
    uint32_t pages[64];
    for (int i = 0; i < 64; i++) {
        CU_ASSERT_EQUAL_FATAL(take(arena, 1, true, &pages[i]), CANO_OK);
    }
    for (int i = 0; i < 64; i += 2) {
        cano_arena_free(arena, pages[i]);
    }
    uint32_t page;
    CU_ASSERT_EQUAL(take(arena, 2, true, &page), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(take(arena, 33, false, &page), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(used(arena), 32); /* what the failed search took is free again */
    CU_ASSERT_EQUAL_FATAL(take(arena, 32, false, &page), CANO_OK);

    unsigned char in[32 * 256 - 100];
    unsigned char out[sizeof in];
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (unsigned char)(i * 31);
    }
    CU_ASSERT_EQUAL(cano_arena_write(arena, page, in, sizeof in), CANO_OK);
    CU_ASSERT_EQUAL(cano_arena_give(arena, page, sizeof in), CANO_OK);
    CU_ASSERT_EQUAL(cano_arena_own(arena, page, sizeof in), CANO_OK);
    CU_ASSERT_EQUAL(cano_arena_copy(arena, page, out, sizeof out), CANO_OK);
    CU_ASSERT_EQUAL(memcmp(in, out, sizeof in), 0);
    cano_arena_free(arena, page);
    CU_ASSERT_EQUAL(used(arena), 32);
    end();
}

static void free_neighbours_become_one(void)
{
    const cano_arena *arena = fresh_arena();
    for (int round = 0; round < 200; round++) {
        uint32_t pages[7];
        for (int i = 0; i < 7; i++) {
            CU_ASSERT_EQUAL_FATAL(take(arena, (uint64_t)(round + i) % 9 + 1, true, &pages[i]), CANO_OK);
        }
        for (int i = 0; i < 7; i++) {
            cano_arena_free(arena, pages[(i * 3 + round) % 7]);
        }
    }
    CU_ASSERT_EQUAL(used(arena), 0);
    uint32_t page;
    uint32_t half;
    /* the rotor stays a boundary, so one cut may remain: half of all pages in a row are there in any case */
    CU_ASSERT_EQUAL(take(arena, 32, true, &half), CANO_OK);
    CU_ASSERT_EQUAL(take(arena, 32, false, &page), CANO_OK);
    end();
}

static void batch_takes_all_or_none(void)
{
    const cano_arena *arena = fresh_arena();
    const uint64_t sizes[] = { 30 * 256, 0, 20 * 256, 20 * 256 };
    uint32_t pages[4];
    CU_ASSERT_EQUAL(cano_arena_take_many(arena, sizes, pages, 4, CANO_OS_NEVER), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(used(arena), 0);
    CU_ASSERT_EQUAL(cano_arena_take_many(arena, sizes, pages, 3, CANO_OS_NEVER), CANO_OK);
    CU_ASSERT_EQUAL(pages[1], CANO_NO_PAGE);
    CU_ASSERT_EQUAL(used(arena), 50);
    end();
}

static void shrinking_frees_the_rest(void)
{
    const cano_arena *arena = fresh_arena();
    uint32_t page;
    CU_ASSERT_EQUAL_FATAL(take(arena, 64, true, &page), CANO_OK);
    cano_arena_shrink(arena, page, 257);
    CU_ASSERT_EQUAL(used(arena), 2);
    uint32_t other;
    CU_ASSERT_EQUAL(take(arena, 62, true, &other), CANO_OK);
    cano_arena_shrink(arena, page, 0);
    CU_ASSERT_EQUAL(used(arena), 63);
    end();
}

static void what_is_not_ours_is_refused(void)
{
    const cano_arena *arena = fresh_arena();
    uint32_t page;
    CU_ASSERT_EQUAL_FATAL(take(arena, 2, true, &page), CANO_OK);
    CU_ASSERT_EQUAL(cano_arena_own(arena, page + 1, 1), CANO_ECORRUPT);  /* inside a block */
    CU_ASSERT_EQUAL(cano_arena_own(arena, 1000, 1), CANO_ECORRUPT);      /* outside the arena */
    CU_ASSERT_EQUAL(cano_arena_give(arena, page, 5 * 256), CANO_ECORRUPT); /* more than is there */
    cano_arena_free(arena, page);
    CU_ASSERT_EQUAL(cano_arena_give(arena, page, 1), CANO_ECORRUPT); /* free */
    end();
}

static void sweep_frees_what_nobody_reaches(void)
{
    const cano_arena *arena = fresh_arena();
    uint32_t kept;
    uint32_t lost;
    uint32_t mine;
    uint32_t of_the_dead;
    CU_ASSERT_EQUAL_FATAL(take(arena, 3, true, &kept), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(take(arena, 5, true, &lost), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(take(arena, 7, true, &mine), CANO_OK);
    CU_ASSERT_EQUAL(cano_arena_give(arena, kept, 1), CANO_OK);
    CU_ASSERT_EQUAL(cano_arena_give(arena, lost, 1), CANO_OK);
    cano_arena dead = *arena;
    dead.lock.me = cano_word_of(2, 9); /* slot 2 is free: whoever that was is dead */
    CU_ASSERT_EQUAL_FATAL(cano_arena_take(&dead, 11 * 256, true, CANO_OS_NEVER, &of_the_dead), CANO_OK);
    CU_ASSERT_EQUAL(used(arena), 26);

    unsigned char map[9] = { 0 };
    CU_ASSERT_EQUAL(cano_arena_mark(arena, kept, 1, map), CANO_OK);
    CU_ASSERT_EQUAL(cano_arena_sweep(arena, map, CANO_OS_NEVER), CANO_OK);
    CU_ASSERT_EQUAL(used(arena), 10); /* kept and mine */
    CU_ASSERT_EQUAL(cano_arena_own(arena, kept, 1), CANO_OK);
    bool names = true;
    CU_ASSERT_EQUAL(cano_arena_names(arena, dead.lock.me, CANO_OS_NEVER, &names), CANO_OK);
    CU_ASSERT_FALSE(names);
    end();
}

static void nonsense_in_a_page_word_is_found(void)
{
    const cano_arena *arena = fresh_arena();
    uint32_t page;
    CU_ASSERT_EQUAL_FATAL(take(arena, 2, true, &page), CANO_OK);
    atomic_store(&arena->words[page], UINT64_MAX);
    uint32_t other;
    uint64_t bytes;
    CU_ASSERT_EQUAL(cano_arena_used(arena, CANO_OS_NEVER, &bytes), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(take(arena, 63, false, &other), CANO_ECORRUPT);
    end();
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = { { "whole_arena_can_be_one_block", whole_arena_can_be_one_block },
                                        { "scattered_pages_hold_a_message", scattered_pages_hold_a_message },
                                        { "free_neighbours_become_one", free_neighbours_become_one },
                                        { "batch_takes_all_or_none", batch_takes_all_or_none },
                                        { "shrinking_frees_the_rest", shrinking_frees_the_rest },
                                        { "what_is_not_ours_is_refused", what_is_not_ours_is_refused },
                                        { "sweep_frees_what_nobody_reaches", sweep_frees_what_nobody_reaches },
                                        { "nonsense_in_a_page_word_is_found", nonsense_in_a_page_word_is_found },
                                        { NULL, NULL } };
    return suite_main(argc, argv, "arena", tests, NULL);
}
