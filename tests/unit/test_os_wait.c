/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping on a word of a segment: until it changes and somebody says so, or until the deadline; threads and processes alike.
 */
#include "suite.h"

#include "name.h"
#include "os.h"

#define SIZE ((size_t)65536)
#define SHORT INT64_C(20000) /* microseconds */
#define SLICE INT64_C(50000) /* nothing correct depends on a wake: sleeps are in slices */
#define TRIPS 300
#define SLEEPERS 4

typedef struct table {
    _Atomic uint32_t ball;
    _Atomic uint32_t asleep; /* how many are about to sleep */
    _Atomic uint32_t ended;
} table;

typedef struct sleeper {
    cano_os_segment *segment;
    table *table;
    int64_t deadline;
    cano_status status;
} sleeper;

static cano_os_segment make(bool shared)
{
    cano_os_segment segment = { .handle = CANO_OS_NONE };
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&segment, SIZE, shared, 0), CANO_OK);
    return segment;
}

static table *table_of(cano_os_segment *segment)
{
    return (table *)(void *)segment->base;
}

static uint32_t look(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Sleep in slices until the word is another one; false: patience is over. */
static bool await_change(cano_os_segment *segment, _Atomic uint32_t *word, uint32_t from)
{
    const int64_t end = cano_os_now() + SUITE_PATIENCE;
    while (look(word) == from && cano_os_now() < end) {
        cano_os_wait(segment, word, from, cano_os_now() + SLICE);
    }
    return look(word) != from;
}

static void hit(cano_os_segment *segment, _Atomic uint32_t *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_seq_cst);
    cano_os_wake(segment, word, 1);
}

/* ---- deadlines ---- */

static void past_deadline_does_not_sleep(void)
{
    for (int shared = 0; shared < 2; shared++) {
        cano_os_segment segment = make(shared != 0);
        _Atomic uint32_t *word = &table_of(&segment)->ball;
        const int64_t before = cano_os_now();
        for (int i = 0; i < 100; i++) {
            CU_ASSERT_EQUAL(cano_os_wait(&segment, word, 0, 0), CANO_ETIMEOUT);
            CU_ASSERT_EQUAL(cano_os_wait(&segment, word, 0, -5), CANO_ETIMEOUT);
            CU_ASSERT_EQUAL(cano_os_wait(&segment, word, 0, before - 1), CANO_ETIMEOUT);
        }
        CU_ASSERT(cano_os_now() - before < SUITE_PATIENCE / 10);
        cano_os_segment_close(&segment);
    }
}

static void deadline_ends_the_sleep_and_not_before(void)
{
    for (int shared = 0; shared < 2; shared++) {
        cano_os_segment segment = make(shared != 0);
        _Atomic uint32_t *word = &table_of(&segment)->ball;
        const int64_t deadline = cano_os_now() + SHORT;
        while (cano_os_wait(&segment, word, 0, deadline) == CANO_OK) { /* may return early, for no reason */
        }
        const int64_t now = cano_os_now();
        CU_ASSERT(now >= deadline);
        CU_ASSERT(now < deadline + SUITE_PATIENCE / 10);
        cano_os_segment_close(&segment);
    }
}

static void other_word_than_expected_ends_at_once(void)
{
    for (int shared = 0; shared < 2; shared++) {
        cano_os_segment segment = make(shared != 0);
        _Atomic uint32_t *word = &table_of(&segment)->ball;
        atomic_store_explicit(word, 3, memory_order_relaxed);
        const int64_t before = cano_os_now();
        CU_ASSERT_EQUAL(cano_os_wait(&segment, word, 2, CANO_OS_NEVER), CANO_OK);
        CU_ASSERT_EQUAL(cano_os_wait(&segment, word, 2, before + SUITE_PATIENCE), CANO_OK);
        CU_ASSERT(cano_os_now() - before < SUITE_PATIENCE / 10);
        cano_os_segment_close(&segment);
    }
}

static void waking_nobody_is_fine(void)
{
    for (int shared = 0; shared < 2; shared++) {
        cano_os_segment segment = make(shared != 0);
        cano_os_wake(&segment, &table_of(&segment)->ball, 1);
        cano_os_wake(&segment, &table_of(&segment)->ball, UINT32_MAX);
        cano_os_segment_close(&segment);
    }
}

/* ---- threads ---- */

static void sleep_until_hit(void *context)
{
    sleeper *self = context;
    atomic_fetch_add_explicit(&self->table->asleep, 1, memory_order_seq_cst);
    while (look(&self->table->ball) == 0) {
        self->status = cano_os_wait(self->segment, &self->table->ball, 0, self->deadline);
    }
    atomic_fetch_add_explicit(&self->table->ended, 1, memory_order_seq_cst);
}

/* The hit may come before they sleep: then they do not. One wake for all is enough, whichever comes first. */
static void hit_sleepers(bool shared, int64_t deadline)
{
    cano_os_segment segment = make(shared);
    sleeper sleepers[SLEEPERS];
    suite_thread *threads[SLEEPERS];
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (sleeper){ &segment, table_of(&segment), deadline, CANO_OK };
        threads[i] = suite_thread_start(sleep_until_hit, &sleepers[i]);
    }
    int64_t since = 0;
    while (look(&table_of(&segment)->asleep) < SLEEPERS && suite_patience(&since)) {
    }
    atomic_store_explicit(&table_of(&segment)->ball, 1, memory_order_seq_cst);
    cano_os_wake(&segment, &table_of(&segment)->ball, UINT32_MAX);
    for (int i = 0; i < SLEEPERS; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_EQUAL(sleepers[i].status, CANO_OK);
    }
    CU_ASSERT_EQUAL(look(&table_of(&segment)->ended), SLEEPERS);
    cano_os_segment_close(&segment);
}

static void sleepers_without_a_deadline_are_woken(void)
{
    hit_sleepers(true, CANO_OS_NEVER);
    hit_sleepers(false, CANO_OS_NEVER);
}

static void sleepers_with_a_deadline_are_woken(void)
{
    hit_sleepers(true, cano_os_now() + SUITE_PATIENCE);
    hit_sleepers(false, cano_os_now() + SUITE_PATIENCE);
}

/* ---- processes ---- */

/* argv: path of the segment. Answers every odd ball until TRIPS are over. */
static int answer(int argc, char **argv)
{
    cano_os_segment segment;
    if (argc != 1 || cano_os_segment_open(&segment, argv[0], sizeof(table), 0) != CANO_OK) {
        return 2;
    }
    _Atomic uint32_t *ball = &table_of(&segment)->ball;
    for (uint32_t trip = 0; trip < TRIPS; trip++) {
        if (!await_change(&segment, ball, 2 * trip)) {
            return 1;
        }
        hit(&segment, ball);
    }
    cano_os_segment_close(&segment);
    return 0;
}

static void word_goes_to_and_fro_between_processes(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_name_path(suite_name("wait"), path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_publish(&segment, path), CANO_OK);
    suite_child *child = suite_start("answer", path, NULL);
    _Atomic uint32_t *ball = &table_of(&segment)->ball;
    for (uint32_t trip = 0; trip < TRIPS; trip++) {
        hit(&segment, ball);
        CU_ASSERT_FATAL(await_change(&segment, ball, 2 * trip + 1));
    }
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
    CU_ASSERT_EQUAL(look(ball), 2 * TRIPS);
    cano_os_segment_close(&segment);
    cano_os_segment_unlink(path, NULL);
}

/* argv: path of the segment. Sleeps without end and without slices, until the ball is hit. */
static int sleep_well(int argc, char **argv)
{
    cano_os_segment segment;
    if (argc != 1 || cano_os_segment_open(&segment, argv[0], sizeof(table), 0) != CANO_OK) {
        return 2;
    }
    table *shared = table_of(&segment);
    atomic_fetch_add_explicit(&shared->asleep, 1, memory_order_seq_cst);
    while (look(&shared->ball) == 0) {
        if (cano_os_wait(&segment, &shared->ball, 0, CANO_OS_NEVER) != CANO_OK) {
            return 1;
        }
    }
    cano_os_segment_close(&segment);
    return 0;
}

static void other_process_is_woken(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_name_path(suite_name("wait"), path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_publish(&segment, path), CANO_OK);
    suite_child *child = suite_start("sleep", path, NULL);
    int64_t since = 0;
    while (look(&table_of(&segment)->asleep) == 0 && suite_patience(&since)) {
    }
    CU_ASSERT_EQUAL(suite_wait(child, SHORT), SUITE_ALIVE);
    hit(&segment, &table_of(&segment)->ball);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
    cano_os_segment_close(&segment);
    cano_os_segment_unlink(path, NULL);
}

/* Two words of one segment, and the same place in two segments, have nothing to do with each other. */
static void other_word_is_another_sleep(void)
{
    cano_os_segment one = make(true);
    cano_os_segment other = make(true);
    const int64_t deadline = cano_os_now() + SHORT;
    cano_os_wake(&other, &table_of(&other)->ball, UINT32_MAX);
    cano_os_wake(&one, &table_of(&one)->asleep, UINT32_MAX);
    cano_status status = CANO_OK;
    while (status == CANO_OK) {
        status = cano_os_wait(&one, &table_of(&one)->ball, 0, deadline);
    }
    CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
    cano_os_segment_close(&one);
    cano_os_segment_close(&other);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "past_deadline_does_not_sleep", past_deadline_does_not_sleep },
        { "deadline_ends_the_sleep_and_not_before", deadline_ends_the_sleep_and_not_before },
        { "other_word_than_expected_ends_at_once", other_word_than_expected_ends_at_once },
        { "waking_nobody_is_fine", waking_nobody_is_fine },
        { "sleepers_without_a_deadline_are_woken", sleepers_without_a_deadline_are_woken },
        { "sleepers_with_a_deadline_are_woken", sleepers_with_a_deadline_are_woken },
        { "word_goes_to_and_fro_between_processes", word_goes_to_and_fro_between_processes },
        { "other_process_is_woken", other_process_is_woken },
        { "other_word_is_another_sleep", other_word_is_another_sleep },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "answer", answer },
        { "sleep", sleep_well },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "os_wait", tests, roles);
}
