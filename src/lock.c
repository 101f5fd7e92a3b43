/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#define SPINS 200           /* about 2 us: as long as a holder usually needs */
#define SLICE 60000 /* microseconds: the dead are noticed within this */

/* A thread of ours keeps it between calls, or while it sleeps for the other of two. */
static bool is_kept(const cano_lock *lock)
{
    return lock->kept != NULL && atomic_load_explicit(lock->kept, memory_order_seq_cst) != 0;
}

static bool is_quiet(const cano_lock *lock, uint64_t *changes)
{
    *changes = 0;
    return lock->presence == NULL || cano_presence_is_quiet(lock->presence, changes);
}

/* The word says that we hold it. A thread of ours that does took its seat before it swapped the word, and leaves it after it has
 * swapped it back, unless it keeps the lock. Nobody awake in a seat, the word ours, and nobody came or went meanwhile: it is a
 * lie. One look at the seats would not do: who held it may have left before, and who holds it have come after. */
static bool is_lie(const cano_lock *lock)
{
    uint64_t before;
    uint64_t after;
    if (!is_quiet(lock, &before) || is_kept(lock)) {
        return false;
    }
    const bool ours = (atomic_load_explicit(lock->word, memory_order_seq_cst) & ~CANO_CONTENDED) == lock->me;
    return ours && is_quiet(lock, &after) && after == before;
}

/* One's own name is asked about by is_lie, the guard's by who holds the guard. */
static bool owner_is_dead(const cano_lock *lock, uint32_t word)
{
    return (word & ~CANO_CONTENDED) != lock->me && cano_roster_is_dead(lock->roster, word);
}

static bool swap_to_me(const cano_lock *lock, uint32_t seen)
{
    /* contended: those who slept on the dead owner must be woken by our release. acquire: the kernel dropped the lease after
     * the last store of the dead, and we asked it; or the roster was read with acquire */
    if (!atomic_compare_exchange_strong_explicit(lock->word, &seen, lock->me | CANO_CONTENDED, memory_order_seq_cst,
                                                 memory_order_relaxed)) {
        return false;
    }
    if (lock->repair != NULL) {
        lock->repair(lock->context);
    }
    return true;
}

bool cano_lock_take_over(const cano_lock *lock, uint32_t presumed_dead)
{
    const uint32_t seen = atomic_load_explicit(lock->word, memory_order_relaxed);
    if (seen == 0) {
        return false;
    }
    const bool dead = presumed_dead != 0 ? (seen & ~CANO_CONTENDED) == presumed_dead : owner_is_dead(lock, seen);
    return dead && swap_to_me(lock, seen);
}

static bool spin(const cano_lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(lock->word, memory_order_relaxed) == 0 && cano_lock_try(lock)) {
            return true;
        }
        cano_pause();
    }
    return false;
}

static bool take_free(const cano_lock *lock)
{
    uint32_t expected = 0;
    /* contended: we may have been one of several who slept */
    return atomic_compare_exchange_strong_explicit(lock->word, &expected, lock->me | CANO_CONTENDED, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

static void sleep_on(const cano_lock *lock, uint32_t seen, int64_t until)
{
    if ((seen & CANO_CONTENDED) == 0
        /* relaxed: the kernel compares the same word */
        && !atomic_compare_exchange_strong_explicit(lock->word, &seen, seen | CANO_CONTENDED, memory_order_relaxed,
                                                    memory_order_relaxed)) {
        return;
    }
    if (lock->presence != NULL) {
        cano_presence_set(lock->presence, CANO_ASLEEP);
    }
    cano_os_wait(lock->roster->segment, lock->word, seen | CANO_CONTENDED, until);
    if (lock->presence != NULL) {
        cano_presence_set(lock->presence, CANO_ACTIVE);
    }
}

cano_status cano_lock_acquire_slow(const cano_lock *lock, int64_t deadline)
{
    if (spin(lock)) {
        return CANO_OK;
    }
    for (;;) {
        const uint32_t seen = atomic_load_explicit(lock->word, memory_order_relaxed);
        if (seen == 0) {
            if (take_free(lock)) {
                return CANO_OK;
            }
            continue;
        }
        if ((seen & ~CANO_CONTENDED) == lock->me && is_lie(lock)) {
            return CANO_ECORRUPT;
        }
        if (owner_is_dead(lock, seen) && swap_to_me(lock, seen)) {
            return CANO_OK;
        }
        const int64_t now = cano_os_now();
        if (now >= deadline) {
            return CANO_ETIMEOUT;
        }
        sleep_on(lock, seen, now + SLICE < deadline ? now + SLICE : deadline);
    }
}
