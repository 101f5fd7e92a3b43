/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <string.h>

size_t message_size(uint64_t id, size_t largest)
{
    const uint64_t mixed = message_mix(id);
    const uint64_t within = mixed >> 16;
    size_t size;
    switch (mixed % 16) {
    case 0:
        return 0;
    case 1:
    case 2:
    case 3:
        size = 8 + within % 24;
        break;
    case 4:
        size = 1000 + within % 11000;
        break;
    case 5:
    case 6:
        size = 193 + within % 800;
        break;
    default:
        size = 32 + within % 160;
        break;
    }
    return size < largest ? size : largest;
}

/* The byte at position of a message after its id, mixed with its size: a prefix of a longer one does not pass for it. */
static uint64_t word_at(uint64_t id, size_t size, size_t position)
{
    return message_mix(id ^ (uint64_t)position << 40 ^ (uint64_t)size << 20);
}

void message_fill(void *data, size_t size, uint64_t id)
{
    unsigned char *to = data;
    for (size_t at = 0; at < size; at += 8) {
        const uint64_t word = at == 0 ? id : word_at(id, size, at);
        memcpy(to + at, &word, size - at < 8 ? size - at : 8);
    }
}

uint64_t message_check(const void *data, size_t size)
{
    const unsigned char *from = data;
    uint64_t id;
    if (size < 8) {
        return 0;
    }
    memcpy(&id, from, 8);
    for (size_t at = 8; at < size; at += 8) {
        const uint64_t word = word_at(id, size, at);
        if (memcmp(from + at, &word, size - at < 8 ? size - at : 8) != 0) {
            return 0;
        }
    }
    return id;
}
