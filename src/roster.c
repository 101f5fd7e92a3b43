/* SPDX-License-Identifier: Apache-2.0 */
#include "roster.h"

cano_roster_state cano_roster_read(const cano_roster *roster, uint32_t slot)
{
    /* acquire: pairs with the release in cano_roster_write; who judges a death by it sees the repairer's stores */
    const uint64_t word = atomic_load_explicit(&roster->slots[slot].state, memory_order_acquire);
    return (cano_roster_state){ (uint32_t)word, (uint8_t)(word >> 32), (uint16_t)(word >> 48) };
}

void cano_roster_write(const cano_roster *roster, uint32_t slot, cano_roster_state state)
{
    const uint64_t word = state.generation | (uint64_t)state.role << 32 | (uint64_t)state.status << 48;
    /* release: pairs with the acquire in cano_roster_read */
    atomic_store_explicit(&roster->slots[slot].state, word, memory_order_release);
}

bool cano_roster_slot_lives(const cano_roster *roster, uint32_t slot)
{
    const cano_roster_slot *s = &roster->slots[slot];
    const uint64_t before = atomic_load_explicit(&s->state, memory_order_acquire);
    const cano_os_identity identity = { atomic_load_explicit(&s->identity_a, memory_order_relaxed),
                                        atomic_load_explicit(&s->identity_b, memory_order_relaxed) };
    if (cano_os_lease_alive(roster->segment, slot, &identity)) {
        return true;
    }
    /* acquire: ordered behind the two loads by the question asked in between, which is a system call. Another holder sat down
     * meanwhile: what was asked about may have been half of each, and says nothing */
    return atomic_load_explicit(&s->state, memory_order_acquire) != before;
}

bool cano_roster_is_dead(const cano_roster *roster, uint32_t word)
{
    const uint32_t slot = cano_word_slot(word);
    if (slot == 0) {
        return false;
    }
    if (slot > roster->count) {
        return true; /* nobody ever was that */
    }
    const cano_roster_state before = cano_roster_read(roster, slot);
    if ((before.generation != cano_word_generation(word) && !CANO_MUTATED(NO_GENERATION)) || before.status == CANO_SLOT_FREE) {
        return true;
    }
    return !cano_roster_slot_lives(roster, slot);
}

cano_status cano_roster_take(const cano_roster *roster, uint8_t role, uint32_t *word, cano_os_handle *lease)
{
    for (uint32_t slot = 1; slot <= roster->count; slot++) {
        const cano_roster_state seen = cano_roster_read(roster, slot);
        if (seen.status != CANO_SLOT_FREE || seen.generation >= CANO_GENERATION_MAX) {
            continue; /* taken, or worn out: a generation never comes again */
        }
        cano_os_identity identity;
        const cano_status status = cano_os_lease_take(roster->segment, slot, lease, &identity);
        if (status == CANO_EEXIST) {
            continue; /* its last holder is still on the way out */
        }
        if (status != CANO_OK) {
            return status;
        }
        atomic_store_explicit(&roster->slots[slot].identity_a, identity.a, memory_order_relaxed); /* before the state: release */
        atomic_store_explicit(&roster->slots[slot].identity_b, identity.b, memory_order_relaxed);
        atomic_store_explicit(&roster->slots[slot].bell, 0, memory_order_relaxed);
        cano_roster_write(roster, slot, (cano_roster_state){ seen.generation + 1, role, CANO_SLOT_LIVE });
        *word = cano_word_of(slot, seen.generation + 1);
        return CANO_OK;
    }
    return CANO_ELIMIT;
}

void cano_roster_free(const cano_roster *roster, uint32_t slot)
{
    const cano_roster_state seen = cano_roster_read(roster, slot);
    cano_roster_write(roster, slot, (cano_roster_state){ seen.generation, 0, CANO_SLOT_FREE });
}

uint32_t cano_roster_count(const cano_roster *roster, uint8_t role)
{
    uint32_t count = 0;
    for (uint32_t slot = 1; slot <= roster->count; slot++) {
        const cano_roster_state seen = cano_roster_read(roster, slot);
        count += seen.status == CANO_SLOT_LIVE && (role == 0 || (seen.role & role) != 0);
    }
    return count;
}
