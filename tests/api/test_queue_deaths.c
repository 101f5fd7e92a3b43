/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash matrix, row by row: what the others see when a participant is killed. Where in a call it dies is left to chance
 * here; tests/kill tries every place.
 */
#include "queues.h"

#include <stdint.h>

#define NOTICED 100000 /* microseconds in which a death is noticed by who waits */
#define TRIALS 5       /* of which the fastest counts: the machine may be busy */
#define KILLS 20       /* at random moments */
#define SMALL 100
#define LARGE 9000

static uint64_t random_state = 12345;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (random_state >> 33) % limit;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- messages that carry their number ---- */

static size_t size_of(uint64_t number)
{
    return sizeof number + (size_t)(number % 7 == 3 ? LARGE : SMALL) + number % 5;
}

static void write_message(void *memory, uint64_t number)
{
    memcpy(memory, &number, sizeof number);
    fill_pattern((char *)memory + sizeof number, size_of(number) - sizeof number, number);
}

static cano_status put_message(cano_queue *queue, uint64_t number, cano_timeout timeout)
{
    static char memory[LARGE + 100];
    write_message(memory, number);
    return cano_queue_put(queue, memory, size_of(number), timeout);
}

/* The number of a whole message, or UINT64_MAX. */
static uint64_t read_message(const void *memory, size_t size)
{
    uint64_t number;
    if (size < sizeof number) {
        return UINT64_MAX;
    }
    memcpy(&number, memory, sizeof number);
    const bool whole =
        size == size_of(number) && has_pattern((const char *)memory + sizeof number, size - sizeof number, number);
    return whole ? number : UINT64_MAX;
}

/* The number of the next message; *status tells why there is none (UINT64_MAX with CANO_OK: it is torn). */
static uint64_t get_message(cano_queue *queue, cano_timeout timeout, cano_status *status)
{
    static char memory[LARGE + 100];
    size_t size = 0;
    *status = cano_queue_get(queue, memory, sizeof memory, &size, timeout);
    return *status == CANO_OK ? read_message(memory, size) : UINT64_MAX;
}

/* ---- what the victims do ---- */

/* Get into a state, tell it, and wait for the end. */
static int run_hold(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    cano_item item;
    void *memory;
    for (const char *what = s.argument; *what != 0; what++) {
        switch (*what) {
        case 'l':
            DEMAND(cano_queue_lock(s.queue, PATIENCE) == CANO_OK);
            break;
        case 'p':
            DEMAND(put_message(s.queue, 1000, PATIENCE) == CANO_OK);
            break;
        case 'r':
            DEMAND(cano_queue_reserve(s.queue, LARGE, &memory, PATIENCE) == CANO_OK);
            memset(memory, 1, LARGE);
            break;
        case 't':
            DEMAND(cano_queue_take(s.queue, &item, PATIENCE) == CANO_OK);
            break;
        default:
            DEMAND(cano_queue_task_done(s.queue, &item) == CANO_OK);
        }
    }
    tell(&s, 1);
    return linger_on(&s);
}

/* Fall asleep in a call. */
static int run_sleep(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    cano_item item;
    void *memory;
    tell(&s, 1);
    switch (*s.argument) {
    case 'g':
        status_of_get(s.queue, CANO_FOREVER);
        break;
    case 'p':
        put_message(s.queue, 1, CANO_FOREVER);
        break;
    case 'j':
        cano_queue_join(s.queue, CANO_FOREVER);
        break;
    case 'l':
        cano_queue_lock(s.queue, CANO_FOREVER);
        break;
    case 'r':
        cano_queue_reserve(s.queue, LARGE, &memory, CANO_FOREVER);
        break;
    default:
        cano_queue_dead_get(s.queue, &item, CANO_FOREVER);
    }
    return 4; /* nothing lets it go on */
}

static suite_child *start_holding(const stage *s, const char *what)
{
    suite_child *child = start_on(s, "hold", what);
    hear(s, 1);
    return child;
}

/* Until the dead are gone: somebody has to look. */
static void wait_until_alone(const stage *s)
{
    for (int64_t began = 0; picture_of(s->queue).participants != 1 && suite_patience(&began);) {
        cano_queue_lock(s->queue, 20000);
        cano_queue_unlock(s->queue);
        uint64_t number;
        cano_queue_peek(s->queue, &number, 0, NULL, 20000);
    }
    CU_ASSERT_EQUAL(picture_of(s->queue).participants, 1);
}

/* Until the tasks of the dead have come back and this many are queued: a joiner looks for them. */
static void wait_for_return(const stage *s, size_t count)
{
    for (const int64_t start = suite_now(); count_of(s->queue) < count;) {
        CU_ASSERT_FATAL(elapsed(start) < SUITE_PATIENCE);
        CU_ASSERT_EQUAL(cano_queue_join(s->queue, 1000), CANO_ETIMEOUT);
    }
}

/* ---- holding something ---- */

static stage roomy(uint32_t flags)
{
    return stage_of(OPTIONS(.flags = flags, .max_items = 8, .max_bytes = 8 * 12000));
}

static void killed_in_lock_gives_it_back(void)
{
    int64_t fastest = INT64_MAX;
    for (int trial = 0; trial < TRIALS; trial++) {
        stage s = roomy(0);
        cano_status status;
        put_message(s.queue, 1, CANO_NOW);
        suite_child *child = start_holding(&s, "llpl");
        CU_ASSERT_EQUAL(put_message(s.queue, 2, 20000), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(get_message(s.queue, CANO_NOW, &status), UINT64_MAX);
        CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
        kill_and_wait(child);
        const int64_t start = suite_now();
        CU_ASSERT_EQUAL(put_message(s.queue, 2, PATIENCE), CANO_OK);
        fastest = smaller(fastest, elapsed(start));
        CU_ASSERT_EQUAL(get_message(s.queue, PATIENCE, &status), 1);
        CU_ASSERT_EQUAL(get_message(s.queue, PATIENCE, &status), 1000); /* what it had done stays done */
        CU_ASSERT_EQUAL(get_message(s.queue, PATIENCE, &status), 2);
        strike(&s);
    }
    CU_ASSERT(fastest < NOTICED);
}

typedef struct sleeper {
    cano_queue *queue;
    char way;
    cano_status status;
    int64_t at; /* when it went on */
} sleeper;

static void run_sleeper(void *context)
{
    sleeper *s = context;
    uint64_t number;
    s->status = s->way == 'g'   ? cano_queue_get(s->queue, &number, 0, NULL, PATIENCE)
                : s->way == 'p' ? put_message(s->queue, 7, PATIENCE)
                                : cano_queue_lock(s->queue, PATIENCE);
    s->at = suite_now();
    if (s->way == 'l') {
        cano_queue_unlock(s->queue);
    }
}

/* Whoever sleeps while a holder of the lock dies goes on in time. */
static void sleepers_notice_the_death_of_the_lock_holder(void)
{
    for (const char *way = "gpl"; *way != 0; way++) {
        int64_t fastest = INT64_MAX;
        for (int trial = 0; trial < TRIALS; trial++) {
            stage s = roomy(0);
            if (*way == 'g') {
                put_message(s.queue, 1, CANO_NOW);
            }
            suite_child *child = start_holding(&s, "l");
            sleeper other = { s.queue, *way, CANO_EUNKNOWN, 0 };
            suite_thread *thread = suite_thread_start(run_sleeper, &other);
            linger(70000);
            kill_and_wait(child);
            const int64_t start = suite_now();
            suite_thread_end(thread);
            fastest = smaller(fastest, other.at - start);
            CU_ASSERT_EQUAL(other.status, *way == 'g' ? CANO_ETOOBIG : CANO_OK);
            strike(&s);
        }
        CU_ASSERT(fastest < NOTICED);
    }
}

static void killed_with_a_reservation_gives_the_room_back(void)
{
    for (int trial = 0; trial < 2; trial++) {
        stage s = roomy(0);
        cano_status status;
        void *memory;
        suite_child *child = start_holding(&s, "rrrrrrrr");
        CU_ASSERT_EQUAL(put_message(s.queue, 1, CANO_NOW), CANO_OK); /* it holds nobody up */
        CU_ASSERT_EQUAL(get_message(s.queue, CANO_NOW, &status), 1);
        CU_ASSERT_EQUAL(cano_queue_reserve(s.queue, 8 * 12000, &memory, 20000), CANO_ETIMEOUT);
        kill_and_wait(child);
        for (int64_t began = 0; trial == 1 && suite_patience(&began);) { /* one who polls has it too */
            if (cano_queue_reserve(s.queue, 8 * 12000, &memory, CANO_NOW) == CANO_OK) {
                cano_queue_cancel(s.queue, memory);
                break;
            }
        }
        CU_ASSERT_EQUAL(cano_queue_reserve(s.queue, 8 * 12000, &memory, PATIENCE), CANO_OK);
        cano_queue_cancel(s.queue, memory);
        wait_until_alone(&s);
        CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
        strike(&s);
    }
}

static void killed_with_views_gives_the_room_back(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        stage s = roomy(flags);
        for (uint64_t i = 0; i < 6; i++) {
            CU_ASSERT_EQUAL(put_message(s.queue, 3 + 7 * (i / 2) + i % 2, CANO_NOW), CANO_OK); /* large and small */
        }
        suite_child *child = start_holding(&s, flags != 0 ? "tdtdtd" : "ttttrt");
        kill_and_wait(child);
        cano_status status;
        uint64_t left = flags != 0 ? 3 : 1;
        while (get_message(s.queue, 200000, &status) != UINT64_MAX) {
            left--;
            cano_queue_task_done(s.queue, NULL);
        }
        CU_ASSERT_EQUAL(left, 0);
        wait_until_alone(&s);
        CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
        strike(&s);
    }
}

/* ---- tasks ---- */

static void killed_worker_leaves_its_tasks_to_others(void)
{
    int64_t fastest = INT64_MAX;
    for (int trial = 0; trial < TRIALS; trial++) {
        stage s = roomy(CANO_JOINABLE);
        for (uint64_t i = 0; i < 8; i++) {
            CU_ASSERT_EQUAL(put_message(s.queue, i, CANO_NOW), CANO_OK);
        }
        suite_child *child = start_holding(&s, "tdttttt"); /* done with 0, holds 1 to 5, one of them large */
        CU_ASSERT_EQUAL(count_of(s.queue), 2);
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, 20000), CANO_ETIMEOUT);
        kill_and_wait(child);
        const int64_t start = suite_now();
        wait_for_return(&s, 7); /* a get at once may take one that was never out */
        fastest = smaller(fastest, elapsed(start));
        for (uint64_t i = 1; i < 8; i++) {
            cano_item item = { 0 };
            CU_ASSERT_EQUAL_FATAL(cano_queue_take(s.queue, &item, PATIENCE), CANO_OK);
            CU_ASSERT_EQUAL(read_message(item.data, item.size), i);
            CU_ASSERT_EQUAL(item.deliveries, i <= 5 ? 2 : 1);
            CU_ASSERT_EQUAL(cano_queue_join(s.queue, CANO_NOW), CANO_ETIMEOUT); /* not early */
            CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, &item), CANO_OK);
        }
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, CANO_NOW), CANO_OK); /* and it does not hang */
        CU_ASSERT_EQUAL(picture_of(s.queue).done, 8);
        strike(&s);
    }
    CU_ASSERT(fastest < NOTICED);
}

/* A getter that sleeps, one that polls, and one that only looks: each has the dead worker's task in the end. */
static void every_kind_of_getter_gets_the_tasks_of_the_dead(void)
{
    for (int way = 0; way < 3; way++) {
        stage s = roomy(CANO_JOINABLE);
        put_message(s.queue, 1, CANO_NOW);
        suite_child *child = start_holding(&s, "t");
        cano_status status = CANO_ETIMEOUT;
        kill_and_wait(child);
        if (way == 0) {
            CU_ASSERT_EQUAL(get_message(s.queue, CANO_FOREVER, &status), 1);
        }
        for (int64_t began = 0; status == CANO_ETIMEOUT && suite_patience(&began);) {
            uint64_t number;
            if (way == 1) {
                get_message(s.queue, CANO_NOW, &status);
            } else {
                const cano_status seen = cano_queue_peek(s.queue, &number, 0, NULL, CANO_NOW);
                status = seen == CANO_ETOOBIG ? CANO_OK : seen;
            }
        }
        CU_ASSERT_EQUAL(status, CANO_OK);
        strike(&s);
    }
}

static void dead_worker_does_not_stop_a_joiner(void)
{
    stage s = roomy(CANO_JOINABLE);
    put_message(s.queue, 1, CANO_NOW);
    suite_child *worker = start_holding(&s, "t");
    suite_child *helper = start_on(&s, "work", "0");
    hear(&s, 1);
    suite_kill(worker);
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(suite_wait(worker, SUITE_PATIENCE), SUITE_KILLED);
    hear(&s, 1); /* the message: the helper did it */
    kill_and_wait(helper);
    CU_ASSERT_EQUAL(picture_of(s.queue).done, 1);
    strike(&s);
}

/* ---- asleep ---- */

/* A queue in which the call sleeps. */
static stage sleepy(char way)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_items = 1, .max_bytes = 12000, .max_leases = 2));
    void *memory;
    if (way == 'p' || way == 'j') {
        put_message(s.queue, 1, CANO_NOW);
    }
    while (way == 'r' && cano_queue_reserve(s.queue, LARGE, &memory, CANO_NOW) == CANO_OK) {
    }
    if (way == 'l') {
        CU_ASSERT_EQUAL(cano_queue_lock(s.queue, CANO_NOW), CANO_OK);
    }
    return s;
}

static void killed_asleep_is_not_noticed_at_all(void)
{
    for (const char *way = "gpjlrd"; *way != 0; way++) {
        const char argument[2] = { *way, 0 };
        stage s = sleepy(*way);
        const size_t before = count_of(s.queue);
        suite_child *children[2] = { start_on(&s, "sleep", argument), start_on(&s, "sleep", argument) };
        hear(&s, 1);
        hear(&s, 1);
        linger(30000);
        kill_and_wait(children[0]);
        kill_and_wait(children[1]);
        if (*way == 'l') {
            CU_ASSERT_EQUAL(cano_queue_unlock(s.queue), CANO_OK);
        }
        CU_ASSERT_EQUAL(count_of(s.queue), before);
        cano_status status;
        CU_ASSERT_EQUAL(before == 0 ? put_message(s.queue, 1, PATIENCE) : CANO_OK, CANO_OK);
        CU_ASSERT_EQUAL(get_message(s.queue, PATIENCE, &status), 1);
        CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
        wait_until_alone(&s);
        strike(&s);
    }
}

/* It may die before or after it was woken, before or after it took the message: somebody else has it in the end. */
static void message_for_a_dying_getter_is_not_lost(void)
{
    for (int i = 0; i < KILLS; i++) {
        stage s = roomy(CANO_JOINABLE);
        suite_child *child = start_on(&s, "sleep", "g");
        hear(&s, 1);
        linger((int64_t)random_below(2000));
        const bool first = random_below(2) == 0;
        if (first) {
            suite_kill(child);
        }
        CU_ASSERT_EQUAL(put_number(s.queue, 5, PATIENCE), CANO_OK);
        if (!first) {
            suite_kill(child);
        }
        const int ended = suite_wait(child, SUITE_PATIENCE);
        CU_ASSERT(ended == SUITE_KILLED || ended == 4); /* woken, and gone with the task in hand */
        CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 5);
        CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, CANO_NOW), CANO_OK);
        strike(&s);
    }
}

/* ---- at any moment ---- */

/* Put numbers from the argument on, telling each that was put. */
static int run_put(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_PUTTER);
    for (uint64_t i = strtoull(s.argument, NULL, 10);; i++) {
        DEMAND(put_message(s.queue, i, PATIENCE) == CANO_OK);
        tell(&s, i);
    }
}

/* Get numbers, telling each. */
static int run_get(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_GETTER);
    cano_status status = CANO_OK;
    while (status == CANO_OK) {
        const uint64_t number = get_message(s.queue, PATIENCE, &status);
        DEMAND(number != UINT64_MAX);
        tell(&s, number);
    }
    return 5;
}

/* Get tasks, be done with them, tell each. */
static int run_work(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_GETTER);
    cano_status status = CANO_OK;
    if (*s.argument == '0') {
        tell(&s, 1);
    }
    while (status == CANO_OK) {
        const uint64_t number = get_message(s.queue, CANO_FOREVER, &status);
        DEMAND(number != UINT64_MAX);
        DEMAND(cano_queue_task_done(s.queue, NULL) == CANO_OK);
        tell(&s, number);
    }
    return 5;
}

/* Write and read in place. */
static int run_in_place(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    for (uint64_t i = 0;; i++) {
        void *memory;
        DEMAND(cano_queue_reserve(s.queue, size_of(i) + i % 3 * 500, &memory, PATIENCE) == CANO_OK);
        write_message(memory, i);
        DEMAND(cano_queue_commit(s.queue, memory, size_of(i), PATIENCE) == CANO_OK);
        cano_item item;
        if (i % 3 != 0) {
            DEMAND(cano_queue_take(s.queue, &item, PATIENCE) == CANO_OK);
            DEMAND(read_message(item.data, item.size) != UINT64_MAX);
            cano_queue_release(s.queue, &item);
        }
        if (i % 50 == 49) {
            tell(&s, i);
        }
    }
}

static void kill_soon(suite_child *child)
{
    linger((int64_t)random_below(3000));
    kill_and_wait(child);
}

/* How many numbers were told, one behind the other from first on. */
static uint64_t told_from(const stage *s, uint64_t first)
{
    uint64_t count = 0;
    for (uint64_t number; (number = get_number(s->talk, 20000)) != UINT64_MAX; count++) {
        CU_ASSERT_EQUAL(number, first + count);
    }
    return count;
}

static void killed_putter_has_put_what_it_told(void)
{
    stage s = stage_of(OPTIONS(.max_items = 4000, .max_bytes = 8000000));
    uint64_t next = 0;
    for (int i = 0; i < KILLS; i++) {
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)next);
        suite_child *child = start_on(&s, "put", text);
        CU_ASSERT_EQUAL(get_number(s.talk, PATIENCE), next); /* it has begun */
        kill_soon(child);
        const uint64_t told = 1 + told_from(&s, next + 1);
        cano_status status;
        uint64_t got = 0;
        for (uint64_t number; (number = get_message(s.queue, 20000, &status)) != UINT64_MAX; got++) {
            CU_ASSERT_EQUAL(number, next + got);
        }
        CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
        CU_ASSERT(got == told || got == told + 1); /* the last one may not have been told any more */
        next += got;
    }
    wait_until_alone(&s);
    CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
    CU_ASSERT_EQUAL(picture_of(s.queue).put, next);
    strike(&s);
}

static void killed_getter_takes_at_most_one_message_with_it(void)
{
    stage s = stage_of(OPTIONS(.max_items = 3000, .max_bytes = 8000000));
    for (int i = 0; i < KILLS; i++) {
        for (uint64_t k = 0; k < 3000; k++) {
            CU_ASSERT_EQUAL(put_message(s.queue, k, PATIENCE), CANO_OK);
        }
        suite_child *child = start_on(&s, "get", NULL);
        CU_ASSERT_EQUAL(get_number(s.talk, PATIENCE), 0);
        kill_soon(child);
        const uint64_t told = 1 + told_from(&s, 1);
        cano_status status;
        uint64_t next = get_message(s.queue, 200000, &status);
        CU_ASSERT(next == told || next == told + 1 || (told >= 2999 && status == CANO_ETIMEOUT));
        while (status == CANO_OK) {
            const uint64_t number = get_message(s.queue, 20000, &status);
            CU_ASSERT(status != CANO_OK || number == ++next);
        }
        CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
        CU_ASSERT(next == 2999 || told >= 2999);
    }
    wait_until_alone(&s);
    CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
    strike(&s);
}

#define TASKS 3000

static void killed_worker_loses_and_doubles_nothing(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_items = TASKS, .max_bytes = 8000000));
    static uint8_t done[TASKS];
    memset(done, 0, sizeof done);
    for (uint64_t i = 0; i < TASKS; i++) {
        CU_ASSERT_EQUAL(put_message(s.queue, i, CANO_NOW), CANO_OK);
    }
    for (int i = 0; i < KILLS; i++) {
        suite_child *child = start_on(&s, "work", "1");
        linger(2000);
        kill_soon(child);
        for (uint64_t number; (number = get_number(s.talk, 1000)) != UINT64_MAX;) {
            CU_ASSERT_FATAL(number < TASKS);
            done[number]++;
        }
    }
    cano_status status;
    uint64_t left = 0;
    for (uint64_t number; (number = get_message(s.queue, 200000, &status)) != UINT64_MAX; left++) {
        CU_ASSERT_FATAL(number < TASKS);
        CU_ASSERT_EQUAL(done[number], 0); /* what was told to be done never comes again */
        done[number]++;
        CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
    }
    uint64_t untold = 0;
    for (int i = 0; i < TASKS; i++) {
        CU_ASSERT(done[i] <= 1);
        untold += done[i] == 0;
    }
    CU_ASSERT(untold <= KILLS); /* done by those who could not tell it any more */
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(picture_of(s.queue).done, TASKS);
    wait_until_alone(&s);
    CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
    strike(&s);
}

static void killed_in_place_leaves_no_room_taken(void)
{
    stage s = stage_of(OPTIONS(.max_items = 500, .max_bytes = 2000000));
    for (int i = 0; i < KILLS; i++) {
        suite_child *children[2] = { start_on(&s, "in_place", NULL), start_on(&s, "in_place", NULL) };
        CU_ASSERT_NOT_EQUAL(get_number(s.talk, PATIENCE), UINT64_MAX);
        kill_soon(children[0]);
        kill_soon(children[1]);
        cano_status status = CANO_OK;
        while (status == CANO_OK) {
            const uint64_t number = get_message(s.queue, 20000, &status);
            CU_ASSERT(status != CANO_OK || number != UINT64_MAX); /* not torn */
        }
        CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
        wait_until_alone(&s);
        CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
        while (get_number(s.talk, CANO_NOW) != UINT64_MAX) {
        }
    }
    strike(&s);
}

/* Make, open, close and unlink a name as fast as can be. */
static int run_names(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    for (uint64_t i = 0;; i++) {
        cano_queue *queue = NULL;
        cano_queue *second = NULL;
        DEMAND(cano_queue_create(&queue, s.argument, &OPTIONS(.flags = CANO_OPEN_EXISTING, .max_items = 4)) == CANO_OK);
        DEMAND(cano_queue_put(queue, &i, sizeof i, CANO_NOW) != CANO_ECORRUPT);
        const cano_status opened = cano_queue_open(&second, s.argument, NULL);
        DEMAND(opened == CANO_OK || opened == CANO_ENOENT);
        cano_queue_close(second);
        cano_queue_close(queue);
        if (i % 3 == 2) {
            cano_queue_unlink(s.argument);
        }
        if (i == 2) {
            tell(&s, 1);
        }
    }
}

static void killed_while_creating_or_closing_leaves_a_whole_queue_or_none(void)
{
    stage s = roomy(0);
    const char *name = suite_name("names");
    for (int i = 0; i < KILLS; i++) {
        suite_child *children[2] = { start_on(&s, "names", name), start_on(&s, "names", name) };
        hear(&s, 1);
        kill_soon(children[0]);
        kill_soon(children[1]);
        cano_queue *queue = NULL;
        const cano_status status = cano_queue_open(&queue, name, NULL);
        CU_ASSERT(status == CANO_OK || status == CANO_ENOENT);
        if (status == CANO_ENOENT) {
            queue = make_named(name, OPTIONS(.max_items = 4));
        }
        while (status_of_get(queue, 20000) == CANO_OK) {
        }
        for (uint64_t k = 0; k < 4; k++) {
            CU_ASSERT_EQUAL(put_number(queue, k, PATIENCE), CANO_OK);
        }
        CU_ASSERT_EQUAL(get_number(queue, PATIENCE), 0);
        cano_queue_close(queue);
        CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
        while (get_number(s.talk, CANO_NOW) != UINT64_MAX) {
        }
    }
    strike(&s);
}

/* ---- several ---- */

/* Look at the queue without end: whoever does so repairs. */
static int run_look(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    uint64_t number;
    tell(&s, 1);
    while (cano_queue_peek(s.queue, &number, 0, NULL, CANO_NOW) != CANO_ECORRUPT) {
        cano_queue_lock(s.queue, CANO_NOW);
        cano_queue_unlock(s.queue);
    }
    return 5;
}

static void killed_repairers_are_repaired(void)
{
    for (int i = 0; i < KILLS; i++) {
        stage s = roomy(CANO_JOINABLE);
        for (uint64_t k = 0; k < 5; k++) {
            put_message(s.queue, k, CANO_NOW);
        }
        suite_child *victim = start_holding(&s, "tttrrl");
        suite_child *repairers[2] = { start_on(&s, "look", NULL), start_on(&s, "look", NULL) };
        hear(&s, 1);
        hear(&s, 1);
        suite_kill(victim);
        linger((int64_t)random_below(15000));
        suite_kill(repairers[0]);
        linger((int64_t)random_below(3000));
        suite_kill(repairers[1]);
        suite_wait(victim, SUITE_PATIENCE);
        suite_wait(repairers[0], SUITE_PATIENCE);
        suite_wait(repairers[1], SUITE_PATIENCE);
        wait_for_return(&s, 5);
        for (uint64_t k = 0; k < 5; k++) {
            cano_item item = { 0 };
            CU_ASSERT_EQUAL_FATAL(cano_queue_take(s.queue, &item, PATIENCE), CANO_OK);
            CU_ASSERT_EQUAL(read_message(item.data, item.size), k);
            CU_ASSERT_EQUAL(item.deliveries, k < 3 ? 2 : 1); /* counted once, however many repaired */
            CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, &item), CANO_OK);
        }
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
        wait_until_alone(&s);
        CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
        strike(&s);
    }
}

#define CROWD 5

static void start_crowd(const stage *s, suite_child *children[CROWD])
{
    children[0] = start_on(s, "put", "0");
    children[1] = start_on(s, "put", "1000000");
    children[2] = start_on(s, "hold", "tttr");
    children[3] = start_on(s, "hold", "ttrtt");
    children[4] = start_on(s, "look", NULL);
}

/* Tell apart what the two putters told; others' words are small numbers beside theirs. */
static void collect_told(const stage *s, uint64_t told[2])
{
    for (uint64_t number; (number = get_number(s->talk, 20000)) != UINT64_MAX;) {
        const uint64_t who = number >= 1000000;
        told[who] = number - who * 1000000 == told[who] ? told[who] + 1 : told[who];
    }
}

static void all_killed_at_once_leave_everything_committed(void)
{
    for (int i = 0; i < 6; i++) {
        stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE, .max_items = 3000, .max_bytes = 6000000, .max_leases = 64));
        suite_child *children[CROWD];
        cano_queue_close(s.queue); /* only they are attached */
        start_crowd(&s, children);
        linger(20000 + (int64_t)random_below(20000));
        for (int k = 0; k < CROWD; k++) {
            suite_kill(children[k]);
        }
        for (int k = 0; k < CROWD; k++) {
            CU_ASSERT_EQUAL(suite_wait(children[k], SUITE_PATIENCE), SUITE_KILLED);
        }
        uint64_t told[2] = { 0, 0 };
        collect_told(&s, told);
        s.queue = open_named(s.names[0]);
        uint64_t got[2] = { 0, 0 };
        cano_status status;
        for (uint64_t number; (number = get_message(s.queue, 200000, &status)) != UINT64_MAX;) {
            const uint64_t who = number >= 1000000;
            CU_ASSERT_EQUAL(number - who * 1000000, got[who]); /* in order, none missing, none twice */
            got[who]++;
            CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
        }
        CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
        CU_ASSERT(got[0] >= told[0] && got[1] >= told[1]);
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
        wait_until_alone(&s);
        CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
        strike(&s);
    }
}

static void dead_participants_use_up_no_places(void)
{
    stage s = stage_of(OPTIONS(.max_participants = 4));
    for (int i = 0; i < 4; i++) {
        suite_child *children[3];
        for (int k = 0; k < 3; k++) {
            children[k] = start_holding(&s, k == 0 ? "rl" : "");
        }
        cano_queue *more = NULL;
        CU_ASSERT_EQUAL(cano_queue_open(&more, s.names[0], NULL), CANO_ELIMIT);
        for (int k = 0; k < 3; k++) {
            kill_and_wait(children[k]);
        }
        more = open_named(s.names[0]); /* at once */
        CU_ASSERT_EQUAL(put_number(more, 1, PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 1);
        cano_queue_close(more);
    }
    strike(&s);
}

static const suite_test tests[] = {
    { "killed_in_lock_gives_it_back", killed_in_lock_gives_it_back },
    { "sleepers_notice_the_death_of_the_lock_holder", sleepers_notice_the_death_of_the_lock_holder },
    { "killed_with_a_reservation_gives_the_room_back", killed_with_a_reservation_gives_the_room_back },
    { "killed_with_views_gives_the_room_back", killed_with_views_gives_the_room_back },
    { "killed_worker_leaves_its_tasks_to_others", killed_worker_leaves_its_tasks_to_others },
    { "every_kind_of_getter_gets_the_tasks_of_the_dead", every_kind_of_getter_gets_the_tasks_of_the_dead },
    { "dead_worker_does_not_stop_a_joiner", dead_worker_does_not_stop_a_joiner },
    { "killed_asleep_is_not_noticed_at_all", killed_asleep_is_not_noticed_at_all },
    { "message_for_a_dying_getter_is_not_lost", message_for_a_dying_getter_is_not_lost },
    { "killed_putter_has_put_what_it_told", killed_putter_has_put_what_it_told },
    { "killed_getter_takes_at_most_one_message_with_it", killed_getter_takes_at_most_one_message_with_it },
    { "killed_worker_loses_and_doubles_nothing", killed_worker_loses_and_doubles_nothing },
    { "killed_in_place_leaves_no_room_taken", killed_in_place_leaves_no_room_taken },
    { "killed_while_creating_or_closing_leaves_a_whole_queue_or_none",
      killed_while_creating_or_closing_leaves_a_whole_queue_or_none },
    { "killed_repairers_are_repaired", killed_repairers_are_repaired },
    { "all_killed_at_once_leave_everything_committed", all_killed_at_once_leave_everything_committed },
    { "dead_participants_use_up_no_places", dead_participants_use_up_no_places },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "hold", run_hold },         { "sleep", run_sleep }, { "put", run_put },   { "get", run_get }, { "work", run_work },
    { "in_place", run_in_place }, { "names", run_names }, { "look", run_look }, { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: deaths", tests, roles);
}
