/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the suites about queues share: making one, contents that can be checked, and a child that works on the same queue.
 *
 * Whatever is here and not marked "child" asserts, so it belongs into tests; a child says DEMAND instead.
 */
#ifndef CANO_TESTS_QUEUES_H
#define CANO_TESTS_QUEUES_H

#include "suite.h"

#include <apr_time.h>
#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS(...) ((cano_queue_options){ .size = sizeof(cano_queue_options), __VA_ARGS__ })
#define PATIENCE ((cano_timeout)SUITE_PATIENCE)

/* In a child: go on only if this holds. */
#define DEMAND(what)                                                                                                           \
    do {                                                                                                                       \
        if (!(what)) {                                                                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                                         \
            exit(3);                                                                                                           \
        }                                                                                                                      \
    } while (0)

/* ---- queues ---- */

static inline cano_queue *make_named(const char *name, cano_queue_options options)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, name, &options), CANO_OK);
    return queue;
}

static inline cano_queue *make_queue(cano_queue_options options)
{
    return make_named(NULL, options);
}

static inline cano_queue *open_named(const char *name)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_open(&queue, name, NULL), CANO_OK);
    return queue;
}

static inline size_t count_of(cano_queue *queue)
{
    size_t count = 1000000;
    CU_ASSERT_EQUAL(cano_queue_qsize(queue, &count), CANO_OK);
    return count;
}

static inline size_t unfinished_of(cano_queue *queue)
{
    size_t count = 1000000;
    CU_ASSERT_EQUAL(cano_queue_unfinished(queue, &count), CANO_OK);
    return count;
}

static inline cano_queue_info picture_of(cano_queue *queue)
{
    cano_queue_info info = { .size = sizeof info };
    CU_ASSERT_EQUAL(cano_queue_stat(queue, &info), CANO_OK);
    return info;
}

/* ---- numbers as messages ---- */

static inline cano_status put_number(cano_queue *queue, uint64_t number, cano_timeout timeout)
{
    return cano_queue_put(queue, &number, sizeof number, timeout);
}

/* The number got, or UINT64_MAX: no message in time. */
static inline uint64_t get_number(cano_queue *queue, cano_timeout timeout)
{
    uint64_t number = UINT64_MAX;
    size_t size = 0;
    const cano_status status = cano_queue_get(queue, &number, sizeof number, &size, timeout);
    return status == CANO_OK && size == sizeof number ? number : UINT64_MAX;
}

static inline cano_status status_of_get(cano_queue *queue, cano_timeout timeout)
{
    uint64_t number;
    return cano_queue_get(queue, &number, sizeof number, NULL, timeout);
}

/* Take a task that must be there: its number is in *number. */
static inline cano_item take_number(cano_queue *queue, uint64_t *number, cano_timeout timeout)
{
    cano_item item = { 0 };
    CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &item, timeout), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(item.size, sizeof *number);
    memcpy(number, item.data, sizeof *number);
    return item;
}

/* ---- contents that can be checked ---- */

static inline unsigned char pattern_at(size_t i, uint64_t seed)
{
    return (unsigned char)(seed * 31 + i * 7 + i / 251);
}

static inline void fill_pattern(void *memory, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)memory)[i] = pattern_at(i, seed);
    }
}

static inline bool has_pattern(const void *memory, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        if (((const unsigned char *)memory)[i] != pattern_at(i, seed)) {
            return false;
        }
    }
    return true;
}

static inline cano_status put_pattern(cano_queue *queue, size_t size, uint64_t seed, cano_timeout timeout)
{
    void *memory = calloc(1, size + 1);
    fill_pattern(memory, size, seed);
    const cano_status status = cano_queue_put(queue, memory, size, timeout);
    free(memory);
    return status;
}

/* A message of this size and pattern is got at once. */
static inline bool get_pattern(cano_queue *queue, size_t size, uint64_t seed)
{
    unsigned char *memory = malloc(size + 1);
    size_t got = size + 1;
    memory[size] = 99;
    const cano_status status = cano_queue_get(queue, memory, size, &got, CANO_NOW);
    const bool same = status == CANO_OK && got == size && has_pattern(memory, size, seed) && memory[size] == 99;
    free(memory);
    return same;
}

/* ---- time ---- */

/* Microseconds since then. The clock of the tests is another than the library's: within a few microseconds they agree. */
static inline int64_t elapsed(int64_t start)
{
    return suite_now() - start;
}

/* Let others get on for a while, where nothing depends on how far they get. */
static inline void linger(int64_t microseconds)
{
    apr_sleep(microseconds);
}

/* ---- a child at the same queue ---- */

/* A named queue, and two more over which test and child tell each other how far they are. */
typedef struct stage {
    const char *names[3];
    const char *argument; /* child: what start_on was given */
    cano_queue *queue;
    cano_queue *talk;   /* what children tell */
    cano_queue *orders; /* what they are told */
} stage;

static inline stage stage_of(cano_queue_options options)
{
    const cano_queue_options words = OPTIONS(.max_items = 4096, .max_bytes = 32768);
    stage s = { .names = { suite_name("queue"), suite_name("talk"), suite_name("orders") } };
    s.queue = make_named(s.names[0], options);
    s.talk = make_named(s.names[1], words);
    s.orders = make_named(s.names[2], words);
    return s;
}

static inline void leave(const stage *s)
{
    cano_queue_close(s->queue);
    cano_queue_close(s->talk);
    cano_queue_close(s->orders);
}

static inline void strike(const stage *s)
{
    leave(s);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cano_queue_unlink(s->names[i]), CANO_OK);
    }
}

/* Start a child in a role; it finds the stage by enter(). */
static inline suite_child *start_on(const stage *s, const char *role, const char *argument)
{
    return suite_start(role, s->names[0], s->names[1], s->names[2], argument, NULL);
}

/* Wait until a child has told this number. */
static inline void hear(const stage *s, uint64_t number)
{
    CU_ASSERT_EQUAL_FATAL(get_number(s->talk, PATIENCE), number);
}

/* Let a child go on that waits for this number. */
static inline void order(const stage *s, uint64_t number)
{
    CU_ASSERT_EQUAL_FATAL(put_number(s->orders, number, PATIENCE), CANO_OK);
}

static inline void kill_and_wait(suite_child *child)
{
    suite_kill(child);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
}

static inline void end_well(suite_child *child)
{
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
}

/* Child: the stage it was started on, opened for a role on the queue. */
static inline stage enter(char **argv, uint32_t role)
{
    stage s = { .names = { argv[0], argv[1], argv[2] }, .argument = argv[3] };
    DEMAND(cano_queue_open(&s.queue, s.names[0], &OPTIONS(.role = role)) == CANO_OK);
    DEMAND(cano_queue_open(&s.talk, s.names[1], NULL) == CANO_OK);
    DEMAND(cano_queue_open(&s.orders, s.names[2], NULL) == CANO_OK);
    return s;
}

/* Child. */
static inline void tell(const stage *s, uint64_t number)
{
    DEMAND(put_number(s->talk, number, PATIENCE) == CANO_OK);
}

/* Child. */
static inline void obey(const stage *s, uint64_t number)
{
    DEMAND(get_number(s->orders, PATIENCE) == number);
}

/* Child: do nothing until the test kills it. */
static inline int linger_on(const stage *s)
{
    obey(s, UINT64_MAX);
    return 4;
}

#endif
