/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fork changes: the number of the process, and the descriptors that hold its locks.
 *
 * The list is guarded by a latch that the handlers hold through the fork, so that a child finds it whole. A child made
 * without handlers (clone, _Fork) may find it in the middle of a change: every entry is one word, so it is a list still, and
 * the latch knows that its holder stayed behind.
 *
 * A number that the child's handler has closed stays listed until its drop: the drop then closes nothing, whoever has the
 * number by then, and no later lease is given the number.
 */
#include "errors.h"
#include "latch.h"
#include "leases.h"
#include "mutation.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ENTRIES 62

enum {
    FREE,
    OPEN,
    CLOSED
};

typedef struct lease_entry {
    _Atomic uint32_t state;   /* FREE, OPEN or CLOSED, and above it the descriptor */
    const void *for_child_of; /* the thread whose next child keeps it; NULL: none */
} lease_entry;

typedef struct lease_chunk {
    lease_entry entries[ENTRIES];
    struct lease_chunk *_Atomic next;
} lease_chunk;

_Atomic(_Atomic uint32_t *) cano_os_self_word; /* the kernel clears it in the child; NULL: it cannot */
static _Atomic uint32_t generation;
static cano_latch latch;
static lease_chunk leases;
static _Thread_local char this_thread; /* its address tells threads apart, and is the same in a forked child */
static void (*_Atomic run_before)(void);
static void (*_Atomic run_parent)(void);
static void (*_Atomic run_child)(void);

/* ---- the number of this process ---- */

static void map_wiped(void)
{
#ifdef MADV_WIPEONFORK
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return;
    }
    /* Some emulators say yes to any advice: one that accepts nonsense is not believed. */
    if (!CANO_MUTATED(ATFORK_ALONE) && (madvise(page, size, -1) == 0 || madvise(page, size, MADV_WIPEONFORK) != 0)) {
        munmap(page, size);
        return;
    }
    atomic_store_explicit(&cano_os_self_word, page, memory_order_release); /* pairs with the acquire in cano_os_self */
#endif
}

uint32_t cano_os_self_asked(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, map_wiped);
    _Atomic uint32_t *word = atomic_load_explicit(&cano_os_self_word, memory_order_relaxed); /* pthread_once orders it */
    if (word == NULL) {
        return (uint32_t)getpid();
    }
    /* relaxed: the number is all there is, and the swap makes it one for all threads */
    const uint32_t fresh = atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed) + 1;
    uint32_t seen = 0;
    const bool first = atomic_compare_exchange_strong_explicit(word, &seen, fresh, memory_order_relaxed, memory_order_relaxed);
    return first ? fresh : seen;
}

/* ---- the list; the latch is held, or this is a child with one thread. So relaxed does everywhere ---- */

static uint32_t state_of(int descriptor, uint32_t state)
{
    return (uint32_t)descriptor << 2 | state;
}

/* The first entry that is in one of two states, or NULL. */
static lease_entry *find(uint32_t one, uint32_t other)
{
    for (lease_chunk *chunk = &leases; chunk != NULL; chunk = atomic_load_explicit(&chunk->next, memory_order_relaxed)) {
        for (size_t i = 0; i < ENTRIES; i++) {
            const uint32_t state = atomic_load_explicit(&chunk->entries[i].state, memory_order_relaxed);
            if (state == one || state == other) {
                return &chunk->entries[i];
            }
        }
    }
    return NULL;
}

static lease_entry *find_descriptor(int descriptor)
{
    return find(state_of(descriptor, OPEN), state_of(descriptor, CLOSED));
}

static lease_entry *find_free(void)
{
    lease_entry *entry = find(FREE, FREE);
    lease_chunk *chunk = entry != NULL ? NULL : calloc(1, sizeof *chunk);
    if (chunk == NULL) {
        return entry;
    }
    atomic_store_explicit(&chunk->next, atomic_load_explicit(&leases.next, memory_order_relaxed), memory_order_relaxed);
    /* release: a child without handlers must not see a chunk before its contents */
    atomic_store_explicit(&leases.next, chunk, memory_order_release);
    return &chunk->entries[0];
}

/* Give the open description another number while this one is listed. */
static int avoid_listed(int *descriptor)
{
    while (find_descriptor(*descriptor) != NULL) {
        const int other = fcntl(*descriptor, F_DUPFD_CLOEXEC, *descriptor + 1);
        const int error = errno;
        close(*descriptor);
        *descriptor = other;
        if (other < 0) {
            return error;
        }
    }
    return 0;
}

/* Owns the descriptor, also on failure. 0, or an errno. */
static int list(int *descriptor)
{
    const int error = avoid_listed(descriptor);
    if (error != 0) {
        return error;
    }
    lease_entry *entry = find_free();
    if (entry == NULL) {
        close(*descriptor);
        return ENOMEM;
    }
    entry->for_child_of = NULL;
    atomic_store_explicit(&entry->state, state_of(*descriptor, OPEN), memory_order_relaxed);
    return 0;
}

static void keep_or_close(lease_entry *entry)
{
    const uint32_t state = atomic_load_explicit(&entry->state, memory_order_relaxed);
    const bool ours = entry->for_child_of == &this_thread;
    entry->for_child_of = NULL;
    if ((state & 3) == OPEN && !ours) {
        close((int)(state >> 2));
        atomic_store_explicit(&entry->state, state_of((int)(state >> 2), CLOSED), memory_order_relaxed);
    }
}

/* ---- around a fork ---- */

static void call(void (*_Atomic *callback)(void))
{
    void (*run)(void) = atomic_load_explicit(callback, memory_order_acquire); /* pairs with cano_os_at_fork */
    if (run != NULL) {
        run();
    }
}

static void before_fork(void)
{
    call(&run_before);
    cano_latch_close(&latch);
}

static void after_fork_in_parent(void)
{
    cano_latch_open(&latch);
    call(&run_parent);
}

static void after_fork_in_child(void)
{
    for (lease_chunk *chunk = &leases; chunk != NULL; chunk = atomic_load_explicit(&chunk->next, memory_order_relaxed)) {
        for (size_t i = 0; i < ENTRIES; i++) {
            keep_or_close(&chunk->entries[i]);
        }
    }
    _Atomic uint32_t *word = atomic_load_explicit(&cano_os_self_word, memory_order_relaxed);
    if (CANO_MUTATED(ATFORK_ALONE) && word != NULL) {
        atomic_store_explicit(word, 0, memory_order_relaxed);
    }
    cano_latch_open(&latch);
    call(&run_child);
}

static void register_handlers(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_handlers);
}

void cano_os_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    /* release: pairs with the acquire in call */
    atomic_store_explicit(&run_child, child, memory_order_release);
    atomic_store_explicit(&run_parent, parent, memory_order_release);
    atomic_store_explicit(&run_before, before, memory_order_release);
    watch_forks();
}

/* ---- leases ---- */

int cano_posix_lease_open(const char *path, int flags, mode_t mode, int *descriptor)
{
    watch_forks();
    cano_latch_close(&latch);
    int opened;
    do {
        opened = open(path, flags | O_CLOEXEC, mode);
    } while (opened < 0 && errno == EINTR);
    const int error = opened < 0 ? errno : list(&opened);
    cano_latch_open(&latch);
    if (error == 0) {
        *descriptor = opened;
    }
    return error;
}

int cano_posix_lease_copy(int descriptor, int least, int *copy)
{
    watch_forks();
    cano_latch_close(&latch);
    int made = fcntl(descriptor, F_DUPFD_CLOEXEC, least);
    const int error = made < 0 ? errno : list(&made);
    cano_latch_open(&latch);
    if (error == 0) {
        *copy = made;
    }
    return error;
}

cano_status cano_os_lease_adopt(cano_os_handle *lease)
{
    if (*lease == CANO_OS_NONE) {
        return CANO_OK;
    }
    watch_forks();
    int descriptor = (int)*lease;
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    cano_latch_close(&latch);
    const int error = list(&descriptor);
    cano_latch_open(&latch);
    *lease = error == 0 ? descriptor : CANO_OS_NONE;
    return error == 0 ? CANO_OK : cano_posix_failed(error);
}

void cano_os_lease_drop(cano_os_handle lease)
{
    if (lease == CANO_OS_NONE) {
        return;
    }
    /* Off the list and closed in one step: a fork in between would leave a copy that nobody knows. */
    cano_latch_close(&latch);
    lease_entry *entry = find_descriptor((int)lease);
    if (entry != NULL) {
        const uint32_t state = atomic_load_explicit(&entry->state, memory_order_relaxed);
        if ((state & 3) == OPEN) {
            close((int)lease);
        }
        atomic_store_explicit(&entry->state, FREE, memory_order_relaxed);
    }
    cano_latch_open(&latch);
}

void cano_os_lease_for_child(cano_os_handle lease)
{
    cano_latch_close(&latch);
    lease_entry *entry = lease == CANO_OS_NONE ? NULL : find_descriptor((int)lease);
    if (entry != NULL) {
        entry->for_child_of = &this_thread;
    }
    cano_latch_open(&latch);
}
