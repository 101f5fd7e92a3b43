/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleep on a semaphore of its own for each word, named after the segment and the place of the word's sleepers behind it. Who
 * wakes knows from the count there how many to let go, and that there is nobody without asking the system.
 *
 * A sleeper who was killed stays counted: the next wake lets one go too many, and somebody wakes for no reason. That, and the
 * wake of a session that does not see our names, is why no sleep lasts longer than a look.
 */
#include "errors.h"
#include "objects.h"
#include "paths.h"
#include "segments.h"

#include <limits.h>
#include <stdio.h>

#define LOOK 100 /* milliseconds */
#define PAUSE 1  /* milliseconds, where no semaphore can be had */
#define NAME_MOST 80

/* ---- the place of a word ---- */

static uint32_t offset_of(const cano_os_segment *segment, const _Atomic uint32_t *word)
{
    return (uint32_t)(((const unsigned char *)(const void *)word - segment->base) / sizeof *word);
}

/* The place of the sleepers of a word, or CANO_WIN32_SLEEPS. Other words have others: places are given for ever. */
static uint32_t find(cano_win32_sleep *sleeps, uint32_t offset, bool take)
{
    for (uint32_t i = 0; i < CANO_WIN32_SLEEPS; i++) {
        cano_win32_sleep *sleep = &sleeps[(offset + i) % CANO_WIN32_SLEEPS];
        /* seq_cst: one who wakes and finds no place comes before the sleeper's look at the word; see count_in */
        uint32_t place = atomic_load_explicit(&sleep->place, memory_order_seq_cst);
        if (place == 0 && !take) {
            break;
        }
        if (place == 0 && atomic_compare_exchange_strong_explicit(&sleep->place, &place, offset + 1, memory_order_seq_cst,
                                                                  memory_order_seq_cst)) {
            place = offset + 1;
        }
        if (place == offset + 1) {
            return (offset + i) % CANO_WIN32_SLEEPS;
        }
    }
    return CANO_WIN32_SLEEPS;
}

static HANDLE make_semaphore(const cano_win32_segment *backend, uint32_t place)
{
    SECURITY_ATTRIBUTES *security;
    char name[NAME_MOST];
    wchar_t wide[NAME_MOST];
    if (backend->tail == NULL) {
        return CreateSemaphoreW(NULL, 0, LONG_MAX, NULL);
    }
    if (cano_win32_security(CANO_WIN32_USER, &security) != CANO_OK) {
        return NULL;
    }
    snprintf(name, NAME_MOST, "Local\\cano-%.32s-%u", backend->tail->id, (unsigned)place);
    cano_win32_letters(name, wide, NAME_MOST);
    return CreateSemaphoreW(security, 0, LONG_MAX, wide);
}

/* Of this process, made once. NULL: not to be had. */
static HANDLE semaphore_of(cano_win32_segment *backend, uint32_t place)
{
    HANDLE semaphore = atomic_load_explicit(&backend->semaphores[place], memory_order_acquire); /* pairs with the exchange below */
    if (semaphore != NULL) {
        return semaphore;
    }
    const HANDLE made = make_semaphore(backend, place);
    if (made == NULL || atomic_compare_exchange_strong_explicit(&backend->semaphores[place], &semaphore, made, memory_order_acq_rel,
                                                                memory_order_acquire)) {
        return made;
    }
    CloseHandle(made);
    return semaphore;
}

void cano_win32_end_sleeps(cano_win32_segment *backend)
{
    for (uint32_t i = 0; i < CANO_WIN32_SLEEPS; i++) {
        const HANDLE semaphore = atomic_load_explicit(&backend->semaphores[i], memory_order_relaxed); /* the last user */
        if (semaphore != NULL) {
            CloseHandle(semaphore);
        }
    }
}

/* ---- sleepers ---- */

/* Take up to that many off the count; how many. */
static uint32_t take_off(cano_win32_sleep *sleep, uint32_t most)
{
    uint32_t waiters = atomic_load_explicit(&sleep->waiters, memory_order_seq_cst);
    uint32_t taken;
    do {
        taken = waiters < most ? waiters : most;
    } while (taken > 0 && !atomic_compare_exchange_weak_explicit(&sleep->waiters, &waiters, waiters - taken, memory_order_seq_cst,
                                                                 memory_order_seq_cst));
    return taken;
}

/* True: the word is still as expected, and who changes it from now on sees us. */
static bool count_in(cano_win32_sleep *sleep, _Atomic uint32_t *word, uint32_t expected)
{
    /* seq_cst, both: pairs with the fence in cano_os_wake, behind the change */
    atomic_fetch_add_explicit(&sleep->waiters, 1, memory_order_seq_cst);
    if (atomic_load_explicit(word, memory_order_seq_cst) == expected) {
        return true;
    }
    take_off(sleep, 1);
    return false;
}

static cano_status sleep_at(cano_win32_segment *backend, uint32_t place, _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    const HANDLE semaphore = place < CANO_WIN32_SLEEPS ? semaphore_of(backend, place) : NULL;
    if (semaphore == NULL) {
        Sleep(PAUSE);
        return CANO_OK;
    }
    cano_win32_sleep *sleep = &backend->sleeps[place];
    if (!count_in(sleep, word, expected)) {
        return CANO_OK;
    }
    if (WaitForSingleObject(semaphore, cano_win32_milliseconds(deadline, LOOK)) == WAIT_OBJECT_0) {
        return CANO_OK;
    }
    take_off(sleep, 1); /* if a wake has done so already, somebody will wake for no reason */
    return deadline != CANO_OS_NEVER && cano_os_now() >= deadline ? cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT) : CANO_OK;
}

cano_status cano_os_wait(cano_os_segment *segment, _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    /* relaxed: who goes on looks again by himself, with the order he needs */
    if (atomic_load_explicit(word, memory_order_relaxed) != expected) {
        return CANO_OK;
    }
    if (deadline <= 0 || (deadline != CANO_OS_NEVER && cano_os_now() >= deadline)) {
        return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
    }
    cano_win32_segment *backend = segment->backend;
    return sleep_at(backend, find(backend->sleeps, offset_of(segment, word), true), word, expected, deadline);
}

void cano_os_wake(cano_os_segment *segment, _Atomic uint32_t *word, uint32_t count)
{
    cano_win32_segment *backend = segment->backend;
    atomic_thread_fence(memory_order_seq_cst); /* the word was changed before; pairs with count_in */
    const uint32_t place = find(backend->sleeps, offset_of(segment, word), false);
    const uint32_t taken = place < CANO_WIN32_SLEEPS ? take_off(&backend->sleeps[place], count) : 0;
    const HANDLE semaphore = taken > 0 ? semaphore_of(backend, place) : NULL;
    if (semaphore != NULL) {
        ReleaseSemaphore(semaphore, (LONG)(taken < LONG_MAX ? taken : LONG_MAX), NULL);
    }
}
