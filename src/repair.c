/* SPDX-License-Identifier: Apache-2.0 */
#include "repair.h"

#include <stdlib.h>
#include <string.h>

#define SLICE 10000        /* microseconds between two looks of anybody */
#define LOCK_PATIENCE 2000 /* microseconds for a lock whose holder lives */
#define MARK_ROUNDS 4

/* ---- the two sides of the ring ---- */

cano_status cano_repair_walk(const cano_queue_memory *m, uint64_t from, uint64_t *to)
{
    const uint64_t start = cano_commit_position(from);
    uint64_t position = start;
    uint64_t count = from & CANO_COUNT_MASK;
    cano_ring_record record;
    while (position - start <= m->ring.units) {
        const cano_ring_look_result look = cano_ring_look(&m->ring, position, &record);
        if (look == CANO_RING_NOTHING) {
            *to = cano_commit_word(position, count);
            return CANO_OK;
        }
        if (look == CANO_RING_BROKEN) {
            return CANO_ECORRUPT;
        }
        position = record.next;
        count++;
    }
    return CANO_ECORRUPT;
}

/* The dead putter may have published and not stored tail: walk on from where tail is. It may also have given blocks to the
 * queue and not published: only a sweep finds those, since they name nobody. */
void cano_repair_put_side(void *memory)
{
    cano_queue_memory *m = memory;
    atomic_store_explicit(&m->shared->need_sweep, 1, memory_order_release);
    uint64_t tail;
    if (cano_repair_walk(m, atomic_load_explicit(&m->shared->tail, memory_order_relaxed), &tail) == CANO_OK) {
        /* release: pairs with the acquire of those who count without the lock */
        atomic_store_explicit(&m->shared->tail, tail, memory_order_release);
    }
}

void cano_repair_get_side(void *memory)
{
    cano_queue_memory *m = memory;
    if (CANO_MUTATED(PREPARED_NOT_SETTLED)) {
        return;
    }
    cano_ledger_settle(&m->ledger, cano_commit_position(atomic_load_explicit(&m->shared->head, memory_order_acquire)));
}

/* ---- shutdown(immediate) ---- */

static bool is_immediate(const cano_queue_memory *m)
{
    return (atomic_load_explicit(&m->shared->shutdown, memory_order_acquire) & CANO_SHUT_IMMEDIATE) != 0;
}

/* Something has come back since, from the dead or by a close. */
static bool must_discard(const cano_queue_memory *m)
{
    return is_immediate(m)
        && (atomic_load_explicit(&m->shared->orphan_hint, memory_order_relaxed) != 0
            || atomic_load_explicit(&m->shared->next_due, memory_order_relaxed) != 0);
}

/* Both ring locks are held. What is queued and what has come back is no more; blocks are freed by the sweep that follows. */
static void discard(cano_queue_memory *m)
{
    /* cleared first, as before a get's scan: what comes back meanwhile says so again */
    atomic_exchange_explicit(&m->shared->orphan_hint, 0, memory_order_acquire);
    atomic_exchange_explicit(&m->shared->next_due, 0, memory_order_acquire);
    for (uint32_t entry = 0; entry < m->ledger.count; entry++) {
        const uint64_t word = cano_ledger_load(&m->ledger, entry);
        cano_task_word t = cano_task_unpack(word);
        if (t.state == CANO_TASK_ORPHAN || t.state == CANO_TASK_DELAYED) {
            t.state = CANO_TASK_FREE;
            cano_ledger_swap(&m->ledger, entry, word, t);
        }
    }
    const uint64_t head = atomic_load_explicit(&m->shared->head, memory_order_relaxed);
    uint64_t end;
    if (cano_repair_walk(m, head, &end) == CANO_OK) {
        const uint64_t total = atomic_load_explicit(&m->shared->got_total, memory_order_relaxed);
        atomic_store_explicit(&m->shared->got_total, cano_commit_total(cano_commit_total(total, head), end), memory_order_relaxed);
        atomic_store_explicit(&m->shared->head, end, memory_order_release); /* pairs with the putters' acquire of head */
    }
}

/* ---- blocks ---- */

static cano_status mark_reference(const cano_queue_memory *m, uint64_t position, unsigned char *map)
{
    cano_block_reference reference;
    memcpy(&reference, cano_ring_payload(&m->ring, position), sizeof reference);
    return cano_arena_mark(&m->arena, reference.page, reference.size, map);
}

static cano_status mark_ring(const cano_queue_memory *m, unsigned char *map)
{
    const uint64_t start = cano_commit_position(atomic_load_explicit(&m->shared->head, memory_order_acquire));
    uint64_t position = start;
    cano_ring_record record;
    while (position - start <= m->ring.units && cano_ring_look(&m->ring, position, &record) == CANO_RING_FOUND) {
        if (record.kind == CANO_RING_BLOCK) {
            const cano_status status = mark_reference(m, record.position, map);
            if (status != CANO_OK) {
                return status;
            }
        }
        position = record.next;
    }
    return CANO_OK;
}

/* An entry may become free while we look, and its blocks anything: then its word has changed. */
static cano_status mark_entry(const cano_queue_memory *m, uint32_t entry, uint64_t word, unsigned char *map)
{
    const uint32_t page = m->ledger.entries[entry].page;
    if (cano_task_unpack(word).state == CANO_TASK_FREE || page == CANO_NO_PAGE) {
        return CANO_OK;
    }
    const cano_status status = cano_arena_mark(&m->arena, page, m->ledger.entries[entry].size, map);
    return cano_ledger_load(&m->ledger, entry) == word ? status : CANO_ETIMEOUT;
}

static cano_status mark(const cano_queue_memory *m, unsigned char *map)
{
    cano_status status = mark_ring(m, map);
    for (uint32_t entry = 0; entry < m->ledger.count && status == CANO_OK; entry++) {
        status = mark_entry(m, entry, cano_ledger_load(&m->ledger, entry), map);
    }
    return status;
}

/* While both locks are held no block begins to belong to the queue: what does and is not marked belongs to nobody. */
static cano_status sweep(cano_queue_memory *m)
{
    const size_t bytes = m->geometry.page_count / 8 + 1;
    unsigned char *map = malloc(bytes);
    if (map == NULL) {
        return CANO_ENOMEM;
    }
    cano_status status = CANO_ETIMEOUT;
    for (int round = 0; round < MARK_ROUNDS && status == CANO_ETIMEOUT; round++) {
        memset(map, 0, bytes);
        status = mark(m, map);
    }
    if (status == CANO_OK) {
        status = cano_arena_sweep(&m->arena, map, cano_os_now() + LOCK_PATIENCE);
    }
    free(map);
    return status;
}

cano_status cano_repair_blocks(cano_queue_memory *m)
{
    /* cleared first, by exchange: one who sets it meanwhile is not lost; one who dies here died with the putters' lock, and
     * its takeover sets it again */
    atomic_exchange_explicit(&m->shared->need_sweep, 0, memory_order_acquire);
    if (is_immediate(m) && !(CANO_MUTATED(SHUT_IN_PARTS) && m->me == CANO_GUARD_WORD)) {
        discard(m);
    }
    const cano_status status = sweep(m);
    if (status != CANO_OK) {
        atomic_store_explicit(&m->shared->need_sweep, 1, memory_order_release);
    }
    return status;
}

/* ---- under the guard ---- */

static cano_lock *lock_number(cano_queue_memory *m, int number)
{
    cano_lock *locks[] = { &m->put_lock, &m->get_lock, &m->arena.lock };
    return locks[number];
}

/* A lock that names the guard names one who died holding it: we hold it now. */
static bool take_over_locks(cano_queue_memory *m)
{
    bool any = false;
    for (int i = 0; i < 3; i++) {
        const cano_lock *lock = lock_number(m, i);
        if (cano_lock_take_over(lock, CANO_GUARD_WORD) || cano_lock_take_over(lock, 0)) {
            cano_lock_release(lock);
            any = true;
        }
    }
    return any;
}

/* A slot whose holder has died, just found or left by an earlier repairer. */
static bool find_dead(const cano_queue_memory *m, uint32_t slot, uint32_t self)
{
    if (slot == self) {
        return false;
    }
    cano_roster_state state = cano_roster_read(&m->roster, slot);
    if (state.status == CANO_SLOT_DYING) {
        return true;
    }
    if (state.status == CANO_SLOT_FREE || cano_roster_slot_lives(&m->roster, slot)) {
        return false;
    }
    state.status = CANO_MUTATED(SLOT_FIRST) ? CANO_SLOT_FREE : CANO_SLOT_DYING;
    cano_roster_write(&m->roster, slot, state);
    return true;
}

static bool lock_names(const cano_queue_memory *m, uint32_t word)
{
    const cano_queue_shared *s = m->shared;
    return (atomic_load_explicit(&s->put_lock, memory_order_relaxed) & ~CANO_CONTENDED) == word
        || (atomic_load_explicit(&s->get_lock, memory_order_relaxed) & ~CANO_CONTENDED) == word
        || (atomic_load_explicit(&s->arena_lock, memory_order_relaxed) & ~CANO_CONTENDED) == word;
}

static bool page_names(const cano_queue_memory *m, uint32_t word)
{
    bool names = true; /* unless it can be told */
    return cano_arena_names(&m->arena, word, cano_os_now() + LOCK_PATIENCE, &names) != CANO_OK || names;
}

static void forget_single(_Atomic uint32_t *single, uint32_t word)
{
    atomic_compare_exchange_strong_explicit(single, &word, 0, memory_order_relaxed, memory_order_relaxed);
}

static void bury(cano_queue_memory *m, uint32_t slot)
{
    const uint32_t word = cano_word_of(slot, cano_roster_read(&m->roster, slot).generation);
    if (!lock_names(m, word) && !cano_ledger_names(&m->ledger, slot) && !page_names(m, word)) {
        forget_single(&m->shared->single_putter, word);
        forget_single(&m->shared->single_getter, word);
        cano_roster_free(&m->roster, slot);
    }
}

/* Both ring locks by a bounded try, putters' first; failing leaves it for the next look. */
static void try_blocks(cano_queue_memory *m)
{
    const int64_t deadline = cano_os_now() + LOCK_PATIENCE;
    if (CANO_MUTATED(SWEEP_UNLOCKED)) {
        cano_repair_blocks(m);
        return;
    }
    if (cano_lock_acquire(&m->put_lock, deadline) != CANO_OK) {
        return;
    }
    if (cano_lock_acquire(&m->get_lock, deadline) == CANO_OK) {
        cano_repair_blocks(m);
        cano_lock_release(&m->get_lock);
    }
    cano_lock_release(&m->put_lock);
}

static bool needs_sweep(const cano_queue_memory *m)
{
    return atomic_load_explicit(&m->shared->need_sweep, memory_order_acquire) != 0;
}

static bool any_page_names(const cano_queue_memory *m, const bool *dead)
{
    for (uint32_t slot = 1; slot <= m->roster.count; slot++) {
        if (dead[slot] && page_names(m, cano_word_of(slot, cano_roster_read(&m->roster, slot).generation))) {
            return true;
        }
    }
    return false;
}

/* What CANO_MUTATED(SLOT_BY_SLOT) does instead: each dead participant by itself. */
static void repair_slot_by_slot(cano_queue_memory *m, const bool *dead)
{
    for (uint32_t slot = 1; slot <= m->roster.count; slot++) {
        const uint32_t word = cano_word_of(slot, cano_roster_read(&m->roster, slot).generation);
        for (int i = 0; i < 3 && dead[slot]; i++) {
            if (cano_lock_take_over(lock_number(m, i), word)) {
                cano_lock_release(lock_number(m, i));
            }
        }
        if (dead[slot]) {
            cano_ledger_give_back_all(&m->ledger, slot, true);
            cano_ledger_hint(&m->ledger);
            try_blocks(m);
            bury(m, slot);
        }
    }
    cano_queue_memory_wake_all(m);
}

void cano_repair_all(cano_queue_memory *memory)
{
    cano_queue_memory guard;
    cano_queue_memory_copy(&guard, memory);
    cano_queue_memory_act_as(&guard, CANO_GUARD_WORD, NULL, NULL);
    bool dead[CANO_MAX_PARTICIPANTS + 1] = { false };
    bool any = false;
    for (uint32_t slot = 1; slot <= guard.roster.count; slot++) {
        dead[slot] = find_dead(&guard, slot, cano_word_slot(memory->me));
        any |= dead[slot];
    }
    if (CANO_MUTATED(SLOT_BY_SLOT)) {
        repair_slot_by_slot(&guard, dead);
        return;
    }
    any |= take_over_locks(&guard); /* every lock first, whoever of the dead it names */
    if (CANO_MUTATED(HINT_FIRST) && any) {
        cano_ledger_hint(&guard.ledger);
    }
    for (uint32_t slot = 1; slot <= guard.roster.count; slot++) {
        if (dead[slot]) {
            cano_ledger_give_back_all(&guard.ledger, slot, true);
        }
    }
    if (any && guard.ledger.count != 0 && !CANO_MUTATED(HINT_FIRST)) {
        cano_ledger_hint(&guard.ledger); /* behind the last orphan, before any slot is free */
    }
    if (any) {
        cano_queue_memory_wake_all(&guard); /* redelivery waits for nothing below */
    }
    if (needs_sweep(&guard) || must_discard(&guard) || any_page_names(&guard, dead)) {
        try_blocks(&guard);
    }
    for (uint32_t slot = 1; slot <= guard.roster.count; slot++) {
        if (dead[slot]) {
            bury(&guard, slot);
        }
    }
    if (any) {
        cano_queue_memory_wake_all(&guard); /* the last putter may have gone */
    }
}

/* A forked child finds the number of its parent here, whose thread it has not: free. */
static cano_status try_guard(cano_queue_memory *m)
{
    const uint32_t self = cano_os_self();
    uint32_t seen = atomic_load_explicit(&m->guarding, memory_order_relaxed);
    if (seen == self
        /* acquire: pairs with the release in cano_repair_leave; the seam's side of the guard is ours alone then */
        || !atomic_compare_exchange_strong_explicit(&m->guarding, &seen, self, memory_order_acquire, memory_order_relaxed)) {
        return CANO_ETIMEOUT;
    }
    const cano_status status = cano_os_guard_try(&m->segment);
    if (status != CANO_OK) {
        atomic_store_explicit(&m->guarding, 0, memory_order_release);
    }
    return status;
}

cano_status cano_repair_guard(cano_queue_memory *m, int64_t deadline)
{
    for (int64_t pause = 200;; pause = pause < SLICE ? pause * 2 : SLICE) {
        const cano_status status = try_guard(m);
        if (status != CANO_ETIMEOUT) {
            return status;
        }
        const int64_t now = cano_os_now();
        if (now >= deadline) {
            return CANO_ETIMEOUT;
        }
        cano_os_poll(NULL, 0, now + pause < deadline ? now + pause : deadline);
    }
}

void cano_repair_leave(cano_queue_memory *m)
{
    cano_os_guard_leave(&m->segment);
    atomic_store_explicit(&m->guarding, 0, memory_order_release);
}

/* ---- looking, without the guard ---- */

static bool claim_look(cano_queue_memory *m)
{
    const int64_t now = cano_os_now();
    uint64_t stamp = atomic_load_explicit(&m->shared->swept_at, memory_order_relaxed);
    const int64_t age = now - (int64_t)stamp;
    if (age >= 0 && age < SLICE) {
        return false; /* a stamp in the future is of another clock: expired */
    }
    return atomic_compare_exchange_strong_explicit(&m->shared->swept_at, &stamp, (uint64_t)now, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static bool is_anything_wrong(const cano_queue_memory *m)
{
    if (needs_sweep(m) || must_discard(m) || lock_names(m, CANO_GUARD_WORD)) {
        return true;
    }
    for (uint32_t slot = 1; slot <= m->roster.count; slot++) {
        const cano_roster_state state = cano_roster_read(&m->roster, slot);
        if (state.status == CANO_SLOT_DYING
            || (state.status != CANO_SLOT_FREE && slot != cano_word_slot(m->me) && !cano_roster_slot_lives(&m->roster, slot))) {
            return true;
        }
    }
    return false;
}

bool cano_repair_look(cano_queue_memory *m, bool force)
{
    if (!m->segment.shared && !needs_sweep(m) && !must_discard(m)) {
        return false; /* threads do not die alone */
    }
    if ((!force && !claim_look(m)) || !is_anything_wrong(m) || try_guard(m) != CANO_OK) {
        return false;
    }
    cano_repair_all(m);
    cano_repair_leave(m);
    return true;
}
