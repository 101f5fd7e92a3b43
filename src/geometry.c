/* SPDX-License-Identifier: Apache-2.0 */
#include "geometry.h"

#include "ring.h"

#include <cano/queue.h>

#define SMALL_PLAIN 240u /* with the default limits the ring is 256 KiB then */
#define PAGE_SMALLEST 256u
#define PAGE_LARGEST 4096u

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

static uint64_t power_of_two(uint64_t at_least)
{
    uint64_t power = 64;
    while (power < at_least) {
        power *= 2;
    }
    return power;
}

static bool in_range(const cano_queue_limits *limits)
{
    const bool joinable = (limits->flags & CANO_JOINABLE) != 0;
    return limits->max_items >= 1 && limits->max_items <= CANO_MAX_ITEMS && limits->max_bytes >= 1
        && limits->max_bytes <= UINT64_C(1) << 44 && limits->max_participants >= 1
        && limits->max_participants <= CANO_MAX_PARTICIPANTS && (limits->max_leases != 0) == joinable
        && limits->max_leases <= CANO_MAX_LEASES;
}

/* Pages of a quarter of the typical message waste at most a fifth of it by rounding up. */
static uint64_t page_size_for(uint64_t typical)
{
    uint64_t size = PAGE_SMALLEST;
    while (size < PAGE_LARGEST && size * 8 <= typical) {
        size *= 2;
    }
    return size;
}

static uint64_t pages_for(uint64_t size, uint64_t page_size)
{
    return larger((size + page_size - 1) / page_size, 1);
}

cano_status cano_geometry_of(const cano_queue_limits *limits, cano_geometry *geometry)
{
    if (!in_range(limits)) {
        return CANO_EINVAL;
    }
    const bool joinable = limits->max_leases != 0;
    const uint64_t typical = (limits->max_bytes + limits->max_items - 1) / limits->max_items;
    const uint64_t small = smaller(typical, joinable ? CANO_LEDGER_INLINE : SMALL_PLAIN);
    cano_geometry g = { 0 };

    /* max_items small messages lie in the ring, whatever else did before; larger ones need only a reference each, and their
     * payload's place is promised by the arena. What the ring has beyond that is taken by whoever comes first. */
    const uint64_t per_small = larger(cano_ring_units_of(small), CANO_REFERENCE_UNITS);
    g.reserve_units = typical <= small ? per_small : CANO_REFERENCE_UNITS;
    g.ring_units = power_of_two((limits->max_items + 1) * per_small + 1);
    const cano_ring ring = { NULL, g.ring_units };
    g.inline_max = joinable ? CANO_LEDGER_INLINE : cano_ring_largest(&ring);

    g.page_size = page_size_for(typical);
    const uint64_t for_many = typical <= small ? 0 : (limits->max_items + limits->max_leases) * pages_for(typical, g.page_size);
    const uint64_t pages = larger(for_many, pages_for(limits->max_bytes, g.page_size));
    if (pages >= UINT32_MAX || g.ring_units > UINT64_C(1) << 28) {
        return CANO_EINVAL;
    }
    g.page_count = (uint32_t)pages;

    g.roster = sizeof(cano_queue_shared);
    g.ledger_words = g.roster + (limits->max_participants + 1) * sizeof(cano_roster_slot); /* slot 0 is the guard's */
    g.ledger_entries = round_up(g.ledger_words + limits->max_leases * sizeof(uint64_t), 64);
    g.page_words = g.ledger_entries + limits->max_leases * sizeof(cano_ledger_entry);
    g.page_links = g.page_words + pages * sizeof(uint64_t);
    g.ring = round_up(g.page_links + pages * sizeof(uint32_t), 128);
    g.pages = round_up(g.ring + g.ring_units * CANO_RING_UNIT, PAGE_SMALLEST);
    g.size = g.pages + pages * g.page_size;
    if (g.size > SIZE_MAX / 2) {
        return CANO_EINVAL;
    }
    *geometry = g;
    return CANO_OK;
}
