/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <string.h>

#define PAGES_MAX ((UINT32_C(1) << 20) - 1) /* in one block */
#define TICKET_AGE 150000                   /* microseconds a ticket is good for without being renewed: two slices */

typedef struct block {
    uint32_t pages;
    uint32_t state;
    uint32_t owner; /* lock word: slot, generation */
    uint32_t serial;
} block;

static uint64_t pack(block b)
{
    return (uint64_t)b.pages | (uint64_t)b.state << 20 | (uint64_t)b.owner << 22 | (uint64_t)(b.serial & 2047) << 53;
}

static block unpack(uint64_t word)
{
    return (block){ (uint32_t)word & PAGES_MAX, (uint32_t)(word >> 20) & 3, (uint32_t)(word >> 22) & ~CANO_CONTENDED,
                    (uint32_t)(word >> 53) };
}

/* acquire: pairs with the release of who gave or freed the block; its reads and writes of the payload come before ours */
static uint64_t load(const cano_arena *arena, uint32_t page)
{
    return atomic_load_explicit(&arena->words[page], memory_order_acquire);
}

static bool is_block(const cano_arena *arena, uint32_t page, block b)
{
    return b.pages != 0 && b.pages <= arena->page_count - page && b.state <= CANO_PAGE_QUEUE;
}

void cano_arena_init(const cano_arena *arena)
{
    for (uint32_t page = 0, pages; page < arena->page_count; page += pages) {
        const uint32_t left = arena->page_count - page;
        pages = left < PAGES_MAX ? left : PAGES_MAX;
        atomic_store_explicit(&arena->words[page], pack((block){ pages, CANO_PAGE_FREE, 0, 0 }), memory_order_relaxed);
    }
}

/* ---- the search; the arena lock is held ---- */

/* Join the free block at page with the free blocks behind it, up to limit (a boundary that must stay one). A lock-free free
 * only turns owned blocks into free ones, so what was seen free stays free. */
static block join_free(const cano_arena *arena, uint32_t page, block b, uint32_t limit)
{
    for (uint32_t next = page + b.pages; next < limit; next = page + b.pages) {
        const block behind = unpack(load(arena, next));
        if (behind.state != CANO_PAGE_FREE || !is_block(arena, next, behind) || behind.pages > limit - next
            || b.pages + behind.pages > PAGES_MAX) {
            break;
        }
        b.pages += behind.pages;
        b.serial++;
        /* release: nobody but who holds the lock reads free words; only the swap of a stale freer must fail, and does */
        atomic_store_explicit(&arena->words[page], pack(b), memory_order_release);
    }
    return b;
}

/* Make count pages at page ours: the rest of the free block first becomes a block of its own (nobody sees it yet: its page is
 * inside the free one), then one store. */
static void allocate(const cano_arena *arena, uint32_t page, block b, uint32_t count)
{
    if (b.pages > count) {
        const block rest = { b.pages - count, CANO_PAGE_FREE, 0, 0 };
        atomic_store_explicit(&arena->words[page + count], pack(rest), memory_order_relaxed);
    }
    atomic_store_explicit(&arena->links[page], 0, memory_order_relaxed);
    /* the rotor goes first: page is a boundary whether or not the next store is made */
    atomic_store_explicit(arena->rotor, page, memory_order_relaxed);
    const block mine = { count, CANO_PAGE_OWNED, arena->lock.me, b.serial + 1 };
    atomic_store_explicit(&arena->words[page], pack(mine), memory_order_release);
}

typedef struct search {
    uint32_t start;
    uint32_t page;
    uint64_t walked; /* pages passed */
} search;

static search begin(const cano_arena *arena)
{
    uint32_t rotor = atomic_load_explicit(arena->rotor, memory_order_relaxed);
    if (rotor >= arena->page_count) {
        rotor = 0; /* scribbled on: 0 is a boundary always */
    }
    return (search){ rotor, rotor, 0 };
}

/* Take the next free block, joined, once round the arena. CANO_ETIMEOUT: no more. */
static cano_status next_free(const cano_arena *arena, search *s, uint32_t *page, block *found)
{
    while (s->walked < arena->page_count) {
        const uint32_t here = s->page;
        const uint32_t limit = here < s->start ? s->start : arena->page_count;
        block b = unpack(load(arena, here));
        if (!is_block(arena, here, b)) {
            return CANO_ECORRUPT;
        }
        if (b.state == CANO_PAGE_FREE) {
            b = join_free(arena, here, b, limit);
        }
        s->walked += b.pages;
        s->page = here + b.pages == arena->page_count ? 0 : here + b.pages;
        if (b.state == CANO_PAGE_FREE) {
            *page = here;
            *found = b;
            return CANO_OK;
        }
    }
    return CANO_ETIMEOUT;
}

static cano_status find_run(const cano_arena *arena, uint32_t count, uint32_t *page)
{
    search s = begin(arena);
    uint32_t here = 0;
    block b;
    cano_status status;
    while ((status = next_free(arena, &s, &here, &b)) == CANO_OK) {
        if (b.pages >= count) {
            allocate(arena, here, b, count);
            *page = here;
            return CANO_OK;
        }
    }
    return status;
}

/* The search joins nothing across the place where it began, so the last run may lie there: once more, from the very start. */
static cano_status take_one(const cano_arena *arena, uint32_t count, uint32_t *page)
{
    cano_status status = find_run(arena, count, page);
    if (status == CANO_ETIMEOUT && atomic_load_explicit(arena->rotor, memory_order_relaxed) != 0) {
        atomic_store_explicit(arena->rotor, 0, memory_order_relaxed); /* a boundary always */
        status = find_run(arena, count, page);
    }
    return status;
}

static void free_block(const cano_arena *arena, uint32_t page);

/* Free a chain that is ours. */
static void free_chain(const cano_arena *arena, uint32_t page)
{
    for (uint32_t steps = 0; page < arena->page_count && steps < arena->page_count; steps++) {
        /* the link is read before the block is free: behind it another may be writing it */
        const uint32_t next = atomic_load_explicit(&arena->links[page], memory_order_relaxed) - 1;
        free_block(arena, page);
        page = next;
    }
}

static cano_status take_scattered(const cano_arena *arena, uint64_t count, uint32_t *page)
{
    search s = begin(arena);
    uint32_t here = 0;
    uint32_t first = CANO_NO_PAGE;
    uint32_t last = 0;
    block b;
    cano_status status = CANO_OK;
    while (count > 0 && (status = next_free(arena, &s, &here, &b)) == CANO_OK) {
        const uint32_t part = b.pages < count ? b.pages : (uint32_t)count;
        allocate(arena, here, b, part);
        if (first == CANO_NO_PAGE) {
            first = here;
        } else {
            atomic_store_explicit(&arena->links[last], here + 1, memory_order_relaxed); /* published by the ring's header */
        }
        last = here;
        count -= part;
    }
    if (status != CANO_OK) {
        free_chain(arena, first);
        return status;
    }
    *page = first;
    return CANO_OK;
}

static cano_status take_locked(const cano_arena *arena, uint64_t size, bool contiguous, uint32_t *page)
{
    const uint64_t count = cano_arena_pages(arena, size);
    if (count > arena->page_count) {
        return CANO_ETIMEOUT;
    }
    cano_status status = CANO_ETIMEOUT;
    if (count <= PAGES_MAX) {
        status = take_one(arena, (uint32_t)count, page);
    }
    if (status == CANO_ETIMEOUT && !contiguous && count > 1) {
        status = take_scattered(arena, count, page);
    }
    return status;
}

/* Somebody else has waited longer, and still waits. */
static bool is_others_turn(const cano_arena *arena)
{
    const uint32_t ticket = atomic_load_explicit(arena->ticket, memory_order_relaxed);
    if (ticket == 0 || ticket == arena->lock.me) {
        return false;
    }
    const int64_t age = cano_os_now() - (int64_t)atomic_load_explicit(arena->ticket_at, memory_order_relaxed);
    return age >= 0 && age < TICKET_AGE && !cano_roster_is_dead(arena->roster, ticket);
}

void cano_arena_queue_up(const cano_arena *arena)
{
    if (!is_others_turn(arena)) {
        /* relaxed: a hint between waiters; the lock decides who gets pages */
        atomic_store_explicit(arena->ticket_at, (uint64_t)cano_os_now(), memory_order_relaxed);
        atomic_store_explicit(arena->ticket, arena->lock.me, memory_order_relaxed);
    }
}

void cano_arena_step_out(const cano_arena *arena)
{
    uint32_t mine = arena->lock.me;
    if (atomic_load_explicit(arena->ticket, memory_order_relaxed) != mine) {
        return; /* the usual case, without a write to a line that others read */
    }
    atomic_compare_exchange_strong_explicit(arena->ticket, &mine, 0, memory_order_relaxed, memory_order_relaxed);
}

cano_status cano_arena_take_many(const cano_arena *arena, const uint64_t *sizes, uint32_t *pages, size_t count, int64_t deadline)
{
    if (is_others_turn(arena)) {
        return CANO_ETIMEOUT;
    }
    cano_status status = cano_lock_acquire(&arena->lock, deadline);
    if (status != CANO_OK) {
        return status;
    }
    size_t done = 0;
    for (; done < count && status == CANO_OK; done++) {
        pages[done] = CANO_NO_PAGE;
        if (sizes[done] != 0) {
            status = take_locked(arena, sizes[done], false, &pages[done]);
        }
    }
    for (; status != CANO_OK && done > 0; done--) {
        free_chain(arena, pages[done - 1]);
        pages[done - 1] = CANO_NO_PAGE;
    }
    const cano_status released = cano_lock_release(&arena->lock);
    return status == CANO_OK ? released : status;
}

cano_status cano_arena_take(const cano_arena *arena, uint64_t size, bool contiguous, int64_t deadline, uint32_t *page)
{
    if (is_others_turn(arena)) {
        return CANO_ETIMEOUT;
    }
    cano_status status = cano_lock_acquire(&arena->lock, deadline);
    if (status != CANO_OK) {
        return status;
    }
    status = take_locked(arena, size, contiguous, page);
    const cano_status released = cano_lock_release(&arena->lock);
    return status == CANO_OK ? released : status;
}

/* ---- one block, without the lock ---- */

cano_status cano_arena_read(const cano_arena *arena, uint32_t page, uint64_t left, cano_extent *extent)
{
    if (page >= arena->page_count) {
        return CANO_ECORRUPT;
    }
    const block b = unpack(load(arena, page));
    const uint32_t link = atomic_load_explicit(&arena->links[page], memory_order_relaxed);
    if (!is_block(arena, page, b) || b.state == CANO_PAGE_FREE) {
        return CANO_ECORRUPT;
    }
    const uint64_t bytes = b.pages * arena->page_size;
    *extent = (cano_extent){ arena->pages + page * arena->page_size, bytes < left ? bytes : left, page, link - 1 };
    return CANO_OK;
}

/* May we move this block to another owner? From the queue also what the dead had begun to take the same way. */
static bool is_movable(const cano_arena *arena, block b, uint32_t from_state)
{
    const bool ours = b.state == CANO_PAGE_OWNED && b.owner == arena->lock.me;
    if (from_state == CANO_PAGE_OWNED) {
        return ours;
    }
    return b.state == CANO_PAGE_QUEUE || ours || (b.state == CANO_PAGE_OWNED && cano_roster_is_dead(arena->roster, b.owner));
}

static cano_status move(const cano_arena *arena, uint32_t page, uint32_t from_state, uint32_t to_state)
{
    uint64_t word = load(arena, page);
    for (;;) {
        block b = unpack(word);
        if (!is_block(arena, page, b) || !is_movable(arena, b, from_state)) {
            return CANO_ECORRUPT;
        }
        b.state = to_state;
        b.owner = to_state == CANO_PAGE_OWNED ? arena->lock.me : 0;
        b.serial++;
        /* acq_rel: the payload written before is handed over with it, in both directions */
        if (atomic_compare_exchange_strong_explicit(&arena->words[page], &word, pack(b), memory_order_acq_rel,
                                                    memory_order_acquire)) {
            return CANO_OK;
        }
    }
}

static cano_status move_chain(const cano_arena *arena, uint32_t page, uint64_t size, uint32_t from, uint32_t to)
{
    for (uint64_t left = size;;) {
        cano_extent extent;
        cano_status status = cano_arena_read(arena, page, left, &extent);
        if (status == CANO_OK) {
            status = move(arena, page, from, to);
        }
        if (status != CANO_OK) {
            return status;
        }
        left -= extent.size;
        if (left == 0) {
            return CANO_OK;
        }
        page = extent.next;
    }
}

cano_status cano_arena_give(const cano_arena *arena, uint32_t page, uint64_t size)
{
    return move_chain(arena, page, size, CANO_PAGE_OWNED, CANO_PAGE_QUEUE);
}

cano_status cano_arena_own(const cano_arena *arena, uint32_t page, uint64_t size)
{
    return move_chain(arena, page, size, CANO_PAGE_QUEUE, CANO_PAGE_OWNED);
}

static void free_block(const cano_arena *arena, uint32_t page)
{
    uint64_t word = load(arena, page);
    block b = unpack(word);
    if (b.state == CANO_PAGE_OWNED && b.owner == arena->lock.me) {
        b.state = CANO_PAGE_FREE;
        b.owner = 0;
        b.serial++;
        /* release: our reads of the payload come before the next owner's writes. One try: only its owner changes the word */
        atomic_compare_exchange_strong_explicit(&arena->words[page], &word, pack(b), memory_order_release,
                                                memory_order_relaxed);
    }
}

void cano_arena_free(const cano_arena *arena, uint32_t page)
{
    free_chain(arena, page);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence of cano_event_arm */
    cano_event_wake(arena->segment, arena->event, UINT32_MAX);
}

void cano_arena_shrink(const cano_arena *arena, uint32_t page, uint64_t size)
{
    uint64_t word = load(arena, page);
    block b = unpack(word);
    const uint64_t keep = cano_arena_pages(arena, size);
    if (b.state != CANO_PAGE_OWNED || b.owner != arena->lock.me || keep >= b.pages) {
        return;
    }
    const block rest = { b.pages - (uint32_t)keep, CANO_PAGE_FREE, 0, 0 };
    atomic_store_explicit(&arena->words[page + keep], pack(rest), memory_order_relaxed);
    b.pages = (uint32_t)keep;
    b.serial++;
    atomic_compare_exchange_strong_explicit(&arena->words[page], &word, pack(b), memory_order_release, memory_order_relaxed);
}

/* ---- contents ---- */

cano_status cano_arena_write(const cano_arena *arena, uint32_t page, const void *data, uint64_t size)
{
    const unsigned char *from = data;
    for (uint64_t left = size; left > 0;) {
        cano_extent extent;
        const cano_status status = cano_arena_read(arena, page, left, &extent);
        if (status != CANO_OK) {
            return status;
        }
        memcpy(extent.data, from, extent.size);
        from += extent.size;
        left -= extent.size;
        page = extent.next;
    }
    return CANO_OK;
}

cano_status cano_arena_copy(const cano_arena *arena, uint32_t page, void *buffer, uint64_t size)
{
    unsigned char *to = buffer;
    for (uint64_t left = size; left > 0;) {
        cano_extent extent;
        const cano_status status = cano_arena_read(arena, page, left, &extent);
        if (status != CANO_OK) {
            return status;
        }
        memcpy(to, extent.data, extent.size);
        to += extent.size;
        left -= extent.size;
        page = extent.next;
    }
    return CANO_OK;
}

/* ---- after a death ---- */

cano_status cano_arena_mark(const cano_arena *arena, uint32_t page, uint64_t size, unsigned char *map)
{
    for (uint64_t left = size;;) {
        cano_extent extent;
        const cano_status status = cano_arena_read(arena, page, left, &extent);
        if (status != CANO_OK) {
            return status;
        }
        map[page / 8] |= (unsigned char)(1u << page % 8);
        left -= extent.size;
        if (left == 0) {
            return CANO_OK;
        }
        page = extent.next;
    }
}

static bool belongs_to_the_dead(const cano_arena *arena, block b)
{
    return b.state == CANO_PAGE_OWNED && b.owner != arena->lock.me && cano_roster_is_dead(arena->roster, b.owner);
}

/* Exact swaps: whoever lives and moves a block meanwhile wins. */
static void sweep_block(const cano_arena *arena, uint32_t page, uint64_t word, bool marked)
{
    block b = unpack(word);
    const bool dead = belongs_to_the_dead(arena, b);
    if (marked ? !dead : !(dead || b.state == CANO_PAGE_QUEUE)) {
        return;
    }
    b.state = marked ? CANO_PAGE_QUEUE : CANO_PAGE_FREE;
    b.owner = 0;
    b.serial++;
    atomic_compare_exchange_strong_explicit(&arena->words[page], &word, pack(b), memory_order_acq_rel, memory_order_relaxed);
}

/* Call visit for every block in use, under the arena lock. */
typedef void (*visitor)(const cano_arena *arena, uint32_t page, uint64_t word, void *context);

static cano_status walk(const cano_arena *arena, int64_t deadline, visitor visit, void *context)
{
    cano_status status = cano_lock_acquire(&arena->lock, deadline);
    if (status != CANO_OK) {
        return status;
    }
    for (uint32_t page = 0; page < arena->page_count && status == CANO_OK;) {
        const uint64_t word = load(arena, page);
        const block b = unpack(word);
        if (!is_block(arena, page, b)) {
            status = CANO_ECORRUPT;
        } else if (b.state != CANO_PAGE_FREE) {
            visit(arena, page, word, context);
        }
        page += b.pages;
    }
    const cano_status released = cano_lock_release(&arena->lock);
    return status == CANO_OK ? released : status;
}

static void visit_sweep(const cano_arena *arena, uint32_t page, uint64_t word, void *context)
{
    const unsigned char *map = context;
    sweep_block(arena, page, word, (map[page / 8] >> page % 8 & 1) != 0);
}

cano_status cano_arena_sweep(const cano_arena *arena, const unsigned char *map, int64_t deadline)
{
    const cano_status status = walk(arena, deadline, visit_sweep, (void *)(uintptr_t)map);
    cano_event_wake(arena->segment, arena->event, UINT32_MAX); /* the release of the lock was a full fence */
    return status;
}

typedef struct naming {
    uint32_t word;
    bool found;
} naming;

static void visit_naming(const cano_arena *arena, uint32_t page, uint64_t word, void *context)
{
    (void)arena;
    (void)page;
    naming *looked_for = context;
    const block b = unpack(word);
    looked_for->found |= b.state == CANO_PAGE_OWNED && b.owner == looked_for->word;
}

cano_status cano_arena_names(const cano_arena *arena, uint32_t word, int64_t deadline, bool *names)
{
    naming looked_for = { word, false };
    const cano_status status = walk(arena, deadline, visit_naming, &looked_for);
    if (status == CANO_OK) {
        *names = looked_for.found;
    }
    return status;
}

static void visit_used(const cano_arena *arena, uint32_t page, uint64_t word, void *context)
{
    (void)page;
    *(uint64_t *)context += unpack(word).pages * arena->page_size;
}

cano_status cano_arena_used(const cano_arena *arena, int64_t deadline, uint64_t *bytes)
{
    uint64_t used = 0;
    const cano_status status = walk(arena, deadline, visit_used, &used);
    if (status == CANO_OK) {
        *bytes = used;
    }
    return status;
}

uint64_t cano_arena_used_about(const cano_arena *arena)
{
    uint64_t pages = 0;
    for (uint32_t page = 0; page < arena->page_count;) {
        const block b = unpack(load(arena, page));
        if (!is_block(arena, page, b)) {
            break; /* it was joined with another one meanwhile */
        }
        pages += b.state != CANO_PAGE_FREE ? b.pages : 0;
        page += b.pages;
    }
    return pages * arena->page_size;
}
