/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REPORTS 10 /* ids told of by name */

oracle *oracle_make(uint64_t capacity)
{
    const size_t size = sizeof(oracle) + capacity * sizeof(uint32_t);
    oracle *o = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (o == MAP_FAILED) {
        perror("oracle");
        exit(2);
    }
    o->capacity = capacity;
    o->next = 1;
    return o;
}

void oracle_clear(oracle *o)
{
    const uint64_t used = o->next < o->capacity ? o->next : o->capacity;
    memset(o->words, 0, used * sizeof o->words[0]);
    memset(&o->empties, 0, sizeof o->empties);
    o->next = 1;
    o->torn = 0;
}

uint64_t oracle_take_ids(oracle *o, uint64_t count)
{
    if (atomic_load(&o->next) + count > o->capacity) {
        return 0;
    }
    const uint64_t first = atomic_fetch_add(&o->next, count);
    return first + count <= o->capacity ? first : 0;
}

static void report(const char *what, uint64_t id, uint32_t word)
{
    static int reports;
    if (reports++ < REPORTS) {
        fprintf(stderr, "  %s: message %llu: %s%s%sgot %u, done begun %u, done %u\n", what, (unsigned long long)id,
                word & ORACLE_PUT_BEGUN ? "put begun, " : "never put, ", word & ORACLE_PUT_ENDED ? "put, " : "",
                word & ORACLE_PUT_REFUSED ? "refused, " : "", oracle_count(word, ORACLE_GOT),
                oracle_count(word, ORACLE_DONE_BEGUN), oracle_count(word, ORACLE_DONE_ENDED));
    }
}

static bool is_missing(uint32_t word, bool joinable)
{
    return (word & ORACLE_PUT_ENDED) != 0 && oracle_count(word, joinable ? ORACLE_DONE_BEGUN : ORACLE_GOT) == 0;
}

static bool is_double(uint32_t word, bool joinable)
{
    return oracle_count(word, joinable ? ORACLE_DONE_ENDED : ORACLE_GOT) > 1;
}

static bool is_ghost(uint32_t word)
{
    return oracle_count(word, ORACLE_GOT) != 0 && ((word & ORACLE_PUT_BEGUN) == 0 || (word & ORACLE_PUT_REFUSED) != 0);
}

static uint64_t more(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

oracle_verdict oracle_judge(const oracle *o, bool joinable, uint64_t excused)
{
    oracle_verdict v = { 0 };
    uint64_t missing = 0;
    for (uint64_t id = 1; id < o->next && id < o->capacity; id++) {
        const uint32_t word = oracle_word(o, id);
        v.put += (word & ORACLE_PUT_ENDED) != 0;
        if (is_missing(word, joinable)) {
            missing++;
            if (excused == 0) {
                report("lost", id, word);
            }
        }
        if (is_double(word, joinable)) {
            v.duplicated++;
            report("twice", id, word);
        }
        if (is_ghost(word)) {
            v.ghosts++;
            report("ghost", id, word);
        }
    }
    const oracle_empties *e = &o->empties;
    v.put += e->ended;
    missing += more(e->ended, joinable ? e->done_begun : e->got);
    v.duplicated += more(joinable ? e->done_ended : e->got, e->begun);
    v.lost = more(missing, excused);
    return v;
}
