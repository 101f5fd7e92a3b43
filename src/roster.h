/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is attached, and who of them has died. Repairs nothing itself.
 *
 * A participant is a slot and a generation that is never used again for that slot, in one lock word: slot 10 bits, generation
 * 21 bits, and a bit the lock uses. That it lives, the kernel says: it holds a lease that falls at death (os.h).
 *
 * Slot 0 is nobody's: whoever holds the guard acts under its name, and its lease is the guard itself. So a lock that names it
 * is judged only by who holds the guard: its owner is then dead.
 */
#ifndef CANO_ROSTER_H
#define CANO_ROSTER_H

#include "layout.h"
#include "mutation.h"
#include "os.h"

#define CANO_GENERATION_MAX ((UINT32_C(1) << 21) - 1)
#define CANO_CONTENDED (UINT32_C(1) << 31) /* in a lock word: somebody may be asleep on it */

enum { CANO_SLOT_FREE = 0, CANO_SLOT_LIVE = 1, CANO_SLOT_DYING = 2 };

typedef struct cano_roster {
    cano_os_segment *segment;
    cano_roster_slot *slots; /* count + 1, slot 0 unused */
    uint32_t count;
} cano_roster;

/* A slot's state as it was read once. */
typedef struct cano_roster_state {
    uint32_t generation;
    uint8_t role;   /* CANO_PUTTER, CANO_GETTER */
    uint16_t status; /* CANO_SLOT_... */
} cano_roster_state;

static inline uint32_t cano_word_of(uint32_t slot, uint32_t generation)
{
    return slot | (CANO_MUTATED(NO_GENERATION) ? 1 : generation) << 10;
}

static inline uint32_t cano_word_slot(uint32_t word)
{
    return word & 1023;
}

static inline uint32_t cano_word_generation(uint32_t word)
{
    return (word & ~CANO_CONTENDED) >> 10;
}

#define CANO_GUARD_WORD (UINT32_C(1) << 10) /* slot 0, generation 1 */

cano_roster_state cano_roster_read(const cano_roster *roster, uint32_t slot);
void cano_roster_write(const cano_roster *roster, uint32_t slot, cano_roster_state state);

/* May what this lock word names be presumed dead? False for slot 0, and when it cannot be told. */
bool cano_roster_is_dead(const cano_roster *roster, uint32_t word);

/* Does the holder of a slot that is not free live? */
bool cano_roster_slot_lives(const cano_roster *roster, uint32_t slot);

/* Take a free slot, under the guard: its word is in *word, its lease in *lease. CANO_ELIMIT. */
cano_status cano_roster_take(const cano_roster *roster, uint8_t role, uint32_t *word, cano_os_handle *lease);

/* Free a slot that nothing names any more. */
void cano_roster_free(const cano_roster *roster, uint32_t slot);

/* Participants now, as a snapshot; of role 0: all, otherwise those who declared it. */
uint32_t cano_roster_count(const cano_roster *roster, uint8_t role);

#endif
