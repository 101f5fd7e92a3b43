/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a compiler calls that was told to instrument memory accesses for a thread sanitizer, as points to die at (points.h).
 *
 * Plain writes: the hook comes in front of the write, and is all. Atomic operations: the call is the operation itself, so it is
 * done here, always sequentially consistent; missing fences are not found this way (the model and the litmus tests are for that).
 */
#include "points.h"

#include <stdatomic.h>

#define HOOK __attribute__((visibility("default")))

/* ---- plain accesses ---- */

#define READ(name)                                                                                                             \
    HOOK void __tsan_##name(void *address);                                                                                    \
    void __tsan_##name(void *address)                                                                                          \
    {                                                                                                                          \
        (void)address;                                                                                                         \
    }
#define WRITE(name)                                                                                                            \
    HOOK void __tsan_##name(void *address);                                                                                    \
    void __tsan_##name(void *address)                                                                                          \
    {                                                                                                                          \
        points_store(address);                                                                                                 \
    }

READ(read1)
READ(read2)
READ(read4)
READ(read8)
READ(read16)
READ(unaligned_read2)
READ(unaligned_read4)
READ(unaligned_read8)
READ(unaligned_read16)
WRITE(write1)
WRITE(write2)
WRITE(write4)
WRITE(write8)
WRITE(write16)
WRITE(unaligned_write2)
WRITE(unaligned_write4)
WRITE(unaligned_write8)
WRITE(unaligned_write16)

HOOK void __tsan_read_range(void *address, unsigned long size);
void __tsan_read_range(void *address, unsigned long size)
{
    (void)address;
    (void)size;
}

HOOK void __tsan_write_range(void *address, unsigned long size);
void __tsan_write_range(void *address, unsigned long size)
{
    (void)size;
    points_store(address);
}

HOOK void __tsan_init(void);
void __tsan_init(void)
{
}

HOOK void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
    (void)caller;
}

HOOK void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

/* ---- atomic operations ---- */

#define RMW(type, bits, name)                                                                                                  \
    HOOK type __tsan_atomic##bits##_fetch_##name(volatile void *address, type operand, int order);                             \
    type __tsan_atomic##bits##_fetch_##name(volatile void *address, type operand, int order)                                   \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        points_store(address);                                                                                                 \
        return __atomic_fetch_##name((volatile type *)address, operand, __ATOMIC_SEQ_CST);                                     \
    }

#define SWAP(type, bits, strength, weak)                                                                                       \
    HOOK int __tsan_atomic##bits##_compare_exchange_##strength(volatile void *address, void *expected, type desired,           \
                                                               int success, int failure);                                      \
    int __tsan_atomic##bits##_compare_exchange_##strength(volatile void *address, void *expected, type desired, int success,   \
                                                          int failure)                                                         \
    {                                                                                                                          \
        (void)success;                                                                                                         \
        (void)failure;                                                                                                         \
        points_store(address);                                                                                                 \
        return __atomic_compare_exchange_n((volatile type *)address, (type *)expected, desired, weak, __ATOMIC_SEQ_CST,        \
                                           __ATOMIC_SEQ_CST);                                                                  \
    }

#define ATOMIC(type, bits)                                                                                                     \
    HOOK type __tsan_atomic##bits##_load(const volatile void *address, int order);                                             \
    type __tsan_atomic##bits##_load(const volatile void *address, int order)                                                   \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        return __atomic_load_n((const volatile type *)address, __ATOMIC_SEQ_CST);                                              \
    }                                                                                                                          \
    HOOK void __tsan_atomic##bits##_store(volatile void *address, type value, int order);                                      \
    void __tsan_atomic##bits##_store(volatile void *address, type value, int order)                                            \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        points_store(address);                                                                                                 \
        __atomic_store_n((volatile type *)address, value, __ATOMIC_SEQ_CST);                                                   \
    }                                                                                                                          \
    HOOK type __tsan_atomic##bits##_exchange(volatile void *address, type value, int order);                                   \
    type __tsan_atomic##bits##_exchange(volatile void *address, type value, int order)                                         \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        points_store(address);                                                                                                 \
        return __atomic_exchange_n((volatile type *)address, value, __ATOMIC_SEQ_CST);                                         \
    }                                                                                                                          \
    RMW(type, bits, add)                                                                                                       \
    RMW(type, bits, sub)                                                                                                       \
    RMW(type, bits, and)                                                                                                       \
    RMW(type, bits, or)                                                                                                        \
    RMW(type, bits, xor)                                                                                                       \
    SWAP(type, bits, strong, 0)                                                                                                \
    SWAP(type, bits, weak, 1)

ATOMIC(uint8_t, 8)
ATOMIC(uint16_t, 16)
ATOMIC(uint32_t, 32)
ATOMIC(uint64_t, 64)

HOOK void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    (void)order;
    atomic_thread_fence(memory_order_seq_cst);
}
