/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What messages say: one word in every cache line follows from the putter and the number of the message.
 */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_LAST UINT64_MAX /* no more messages: the getter leaves */

static inline void bench_write(void *message, size_t size, uint64_t word)
{
    memcpy(message, &word, sizeof word);
    for (size_t at = 64; at + sizeof word <= size; at += 64) {
        const uint64_t here = word + at;
        memcpy((unsigned char *)message + at, &here, sizeof here);
    }
}

/* The word of the message; *wrong is not 0 if any line does not follow from it. */
static inline uint64_t bench_read(const void *message, size_t size, uint64_t *wrong)
{
    uint64_t word;
    uint64_t differences = 0;
    memcpy(&word, message, sizeof word);
    for (size_t at = 64; at + sizeof word <= size; at += 64) {
        uint64_t here;
        memcpy(&here, (const unsigned char *)message + at, sizeof here);
        differences |= here ^ (word + at);
    }
    *wrong = differences;
    return word;
}

/* Room for one message, its pages touched. */
static inline void *bench_buffer(size_t size)
{
    void *buffer = aligned_alloc(4096, (size + 8191) / 4096 * 4096);
    memset(buffer, 0x5a, size);
    return buffer;
}

#endif
