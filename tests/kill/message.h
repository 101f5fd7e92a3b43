/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages whose every byte follows from their id, so that what comes out can be told to be whole.
 *
 * Sizes are mixed by id: empty ones (which have no id any more), tiny ones, records of the ring, blocks of one and of many
 * pages.
 */
#ifndef CANO_KILL_MESSAGE_H
#define CANO_KILL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_LARGEST 12000u

/* A number mixed from another: no pattern of bits survives. */
static inline uint64_t message_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The size that id's message has when sizes are mixed; at most largest. 0: an empty one, which will not name its id. */
size_t message_size(uint64_t id, size_t largest);

/* Fill size bytes (0, or at least 8). */
void message_fill(void *data, size_t size, uint64_t id);

/* The id of a whole message of that size; 0: it is torn. Not for empty ones. */
uint64_t message_check(const void *data, size_t size);

#endif
