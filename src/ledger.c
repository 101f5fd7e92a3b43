/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include "mutation.h"
#include "os.h"

uint32_t cano_ledger_find_free_slow(const cano_ledger *ledger)
{
    uint32_t entry = atomic_load_explicit(ledger->rotor, memory_order_relaxed);
    for (uint32_t tried = 0; tried < ledger->count; tried++, entry++) {
        if (entry >= ledger->count) {
            entry = 0;
        }
        if (cano_task_unpack(cano_ledger_load(ledger, entry)).state == CANO_TASK_FREE) {
            atomic_store_explicit(ledger->rotor, entry, memory_order_relaxed); /* only a hint */
            return entry;
        }
    }
    return CANO_NO_ENTRY;
}

int64_t cano_ledger_due(const cano_ledger *ledger, uint32_t entry, int64_t now)
{
    const int64_t set = (int64_t)ledger->entries[entry].delay_set;
    const int64_t delay = (int64_t)ledger->entries[entry].delay;
    if (now < set || set < 0 || delay < 0 || delay > INT64_MAX - set) {
        return now; /* another clock, or nonsense: rather too early than never */
    }
    return set + delay;
}

void cano_ledger_due_at(const cano_ledger *ledger, int64_t due)
{
    uint64_t seen = atomic_load_explicit(ledger->next_due, memory_order_relaxed);
    while (seen == 0 || seen > (uint64_t)due) {
        /* release: the entry is DELAYED before it is announced; pairs with the acquire exchange in the scan */
        if (atomic_compare_exchange_weak_explicit(ledger->next_due, &seen, (uint64_t)due, memory_order_release,
                                                  memory_order_relaxed)) {
            return;
        }
    }
}

/* Older: smaller serial, modulo 2^34. */
static bool is_older(uint64_t a, uint64_t b)
{
    return ((a - b) & CANO_SERIAL_MASK) > CANO_SERIAL_MASK / 2;
}

static bool is_deliverable(const cano_ledger *ledger, uint32_t entry, cano_task_word t, int64_t now)
{
    if (t.state != CANO_TASK_DELAYED) {
        return t.state == CANO_TASK_ORPHAN;
    }
    const int64_t due = cano_ledger_due(ledger, entry, now);
    if (due > now) {
        cano_ledger_due_at(ledger, due);
    }
    return due <= now;
}

/* The hint and next_due are cleared before the scan and set again by what it finds, so what comes back during the scan is
 * not lost. Dying in between is dying with the getters' lock: the takeover sets the hint. */
static uint32_t scan_returned(const cano_ledger *ledger, int64_t now, uint64_t *seen)
{
    /* acquire exchanges, not stores: overwriting a repairer's 1 means seeing the orphan it tells of */
    atomic_exchange_explicit(ledger->orphan_hint, 0, memory_order_acquire);
    atomic_exchange_explicit(ledger->next_due, 0, memory_order_acquire);
    uint32_t oldest = CANO_NO_ENTRY;
    for (uint32_t entry = 0; entry < ledger->count; entry++) {
        const uint64_t word = cano_ledger_load(ledger, entry);
        const cano_task_word t = cano_task_unpack(word);
        if (is_deliverable(ledger, entry, t, now)
            && (oldest == CANO_NO_ENTRY || is_older(t.serial, cano_task_unpack(*seen).serial))) {
            oldest = entry;
            *seen = word;
        }
    }
    if (oldest != CANO_NO_ENTRY) {
        cano_ledger_hint(ledger); /* there may be more, and this one is not taken yet */
    }
    return oldest;
}

static bool may_have_returned(const cano_ledger *ledger, int64_t *now)
{
    if (atomic_load_explicit(ledger->orphan_hint, memory_order_relaxed) != 0) {
        *now = *now != 0 ? *now : cano_os_now();
        return true;
    }
    const uint64_t due = atomic_load_explicit(ledger->next_due, memory_order_relaxed);
    if (due == 0) {
        return false;
    }
    *now = *now != 0 ? *now : cano_os_now();
    return (uint64_t)*now >= due;
}

uint32_t cano_ledger_find_returned(const cano_ledger *ledger, int64_t now, uint64_t *seen)
{
    return may_have_returned(ledger, &now) ? scan_returned(ledger, now, seen) : CANO_NO_ENTRY;
}

uint32_t cano_ledger_find_dead(const cano_ledger *ledger, uint64_t *seen)
{
    uint32_t oldest = CANO_NO_ENTRY;
    for (uint32_t entry = 0; entry < ledger->count; entry++) {
        const uint64_t word = cano_ledger_load(ledger, entry);
        const cano_task_word t = cano_task_unpack(word);
        if (t.state == CANO_TASK_DEAD
            && (oldest == CANO_NO_ENTRY || is_older(t.serial, cano_task_unpack(*seen).serial))) {
            oldest = entry;
            *seen = word;
        }
    }
    return oldest;
}

cano_task_word cano_ledger_returned(const cano_ledger *ledger, cano_task_word held, bool counted, bool delayed)
{
    cano_task_word next = { delayed ? CANO_TASK_DELAYED : CANO_TASK_ORPHAN, 0, held.deaths, held.serial };
    if (held.state == CANO_TASK_DEAD_HELD) {
        next.state = CANO_TASK_DEAD; /* a dead letter stays one, uncounted */
        return next;
    }
    if (counted) {
        if (ledger->max_deliveries != 0 && held.deaths + 1 >= ledger->max_deliveries) {
            next.state = CANO_TASK_DEAD;
        } else if (held.deaths < CANO_DEATHS_MAX) {
            next.deaths = held.deaths + 1;
        }
    }
    return next;
}

void cano_ledger_settle(const cano_ledger *ledger, uint64_t head_position)
{
    for (uint32_t entry = 0; entry < ledger->count; entry++) {
        cano_task_word t = cano_task_unpack(cano_ledger_load(ledger, entry));
        if (t.state != CANO_TASK_PREPARED) {
            continue;
        }
        const uint64_t ahead = (ledger->entries[entry].position - head_position) & CANO_POSITION_MASK;
        const bool taken = ahead > CANO_POSITION_MASK / 2; /* head has passed it */
        t.state = taken ? CANO_TASK_ORPHAN : CANO_TASK_FREE;
        t.slot = 0;
        cano_ledger_store(ledger, entry, t);
    }
    if (ledger->count != 0) {
        cano_ledger_hint(ledger);
    }
}

bool cano_ledger_give_back_all(const cano_ledger *ledger, uint32_t slot, bool counted)
{
    bool any = false;
    for (uint32_t entry = 0; entry < ledger->count; entry++) {
        uint64_t word = cano_ledger_load(ledger, entry);
        cano_task_word t = cano_task_unpack(word);
        if ((t.state == CANO_TASK_HELD || t.state == CANO_TASK_DEAD_HELD) && t.slot == slot) {
            if (CANO_MUTATED(DEATHS_APART) && counted) {
                t.deaths++;
                cano_ledger_store(ledger, entry, t);
                word = cano_task_pack(t);
            }
            /* may fail only against another repairer of the same death, or a thread of ours that is done with it */
            any |= cano_ledger_swap(ledger, entry, word,
                                    cano_ledger_returned(ledger, t, counted && !CANO_MUTATED(DEATHS_APART), false));
        }
    }
    return any;
}

bool cano_ledger_names(const cano_ledger *ledger, uint32_t slot)
{
    for (uint32_t entry = 0; entry < ledger->count; entry++) {
        const cano_task_word t = cano_task_unpack(cano_ledger_load(ledger, entry));
        const bool owned = t.state == CANO_TASK_HELD || t.state == CANO_TASK_DEAD_HELD || t.state == CANO_TASK_PREPARED;
        if (owned && t.slot == slot) {
            return true;
        }
    }
    return false;
}

cano_ledger_counts cano_ledger_count(const cano_ledger *ledger, int64_t now)
{
    cano_ledger_counts counts = { 0 };
    for (uint32_t entry = 0; entry < ledger->count; entry++) {
        const uint64_t word = cano_ledger_load(ledger, entry);
        const cano_task_word t = cano_task_unpack(word);
        const bool waits = t.state == CANO_TASK_DELAYED && cano_ledger_due(ledger, entry, now) > now;
        counts.delayed += waits;
        counts.returned += t.state == CANO_TASK_ORPHAN || (t.state == CANO_TASK_DELAYED && !waits);
        counts.held += t.state == CANO_TASK_HELD || t.state == CANO_TASK_PREPARED;
        counts.dead += t.state == CANO_TASK_DEAD || t.state == CANO_TASK_DEAD_HELD;
        counts.prepared += t.state == CANO_TASK_PREPARED;
        counts.digest = (counts.digest ^ word) * UINT64_C(0x100000001b3) + entry;
    }
    return counts;
}

uint64_t cano_ledger_returned_count(const cano_ledger *ledger)
{
    int64_t now = 0;
    return ledger->count != 0 && may_have_returned(ledger, &now) ? cano_ledger_count(ledger, now).returned : 0;
}
