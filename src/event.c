/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include "mutation.h"

void cano_event_wake_slow(cano_os_segment *segment, cano_event *event, uint32_t count)
{
    uint32_t seen = atomic_load_explicit(event, memory_order_relaxed);
    while ((seen & 1) != 0) {
        const uint32_t next = (seen & ~UINT32_C(1)) + (CANO_MUTATED(BARE_FLAG) ? 0 : 2);
        /* relaxed: the kernel compares this word only; the condition itself is read with acquire by who wakes */
        if (atomic_compare_exchange_weak_explicit(event, &seen, next, memory_order_relaxed, memory_order_relaxed)) {
            cano_os_wake(segment, event, count);
            return;
        }
    }
}
