/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock between the threads of one process, for a few instructions or a system call that does not block; never held across
 * a sleep. A forked child finds it open whoever held it at the fork, so what it guards must tell which process wrote it.
 */
#ifndef CANO_LATCH_H
#define CANO_LATCH_H

#include "os.h"

#include <apr_thread_proc.h>

typedef struct cano_latch {
    _Atomic uint32_t holder; /* 0: open; otherwise cano_os_self() of the process of the holding thread */
} cano_latch;

static inline void cano_latch_close(cano_latch *latch)
{
    const uint32_t self = cano_os_self();
    uint32_t seen = 0; /* another process's number was copied here by a fork: nobody in this process holds it */
    /* acquire: pairs with the release in cano_latch_open */
    while (!atomic_compare_exchange_weak_explicit(&latch->holder, &seen, self, memory_order_acquire, memory_order_relaxed)) {
        if (seen == self) {
            apr_thread_yield();
            seen = 0;
        }
    }
}

static inline void cano_latch_open(cano_latch *latch)
{
    /* release: pairs with the acquire in cano_latch_close */
    atomic_store_explicit(&latch->holder, 0, memory_order_release);
}

#endif
