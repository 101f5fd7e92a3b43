/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight processes, messages of all sizes, every way to put and to get: each message comes once, whole, in its putter's order.
 */
#include "queues.h"

#include <stdint.h>

#define PUTTERS 4
#define GETTERS 4
#define EACH 4000
#define LARGEST 20000
#define BATCH 7

/* A message: this, then a pattern of its number. */
typedef struct head {
    uint32_t putter;
    uint32_t number;
} head;

static size_t size_of(uint32_t number)
{
    const uint32_t range = number % 11 == 0 ? LARGEST : number % 3 == 0 ? 1000 : 200; /* mostly small ones */
    return sizeof(head) + number * UINT32_C(2654435761) % (range - sizeof(head));
}

static void write_message(void *memory, uint32_t putter, uint32_t number)
{
    const head h = { putter, number };
    memcpy(memory, &h, sizeof h);
    fill_pattern((char *)memory + sizeof h, size_of(number) - sizeof h, number + putter);
}

/* ---- putting, in three ways by turns ---- */

static cano_status put_one(cano_queue *queue, uint32_t putter, uint32_t number)
{
    static char memory[LARGEST];
    write_message(memory, putter, number);
    return cano_queue_put(queue, memory, size_of(number), PATIENCE);
}

static cano_status put_in_place(cano_queue *queue, uint32_t putter, uint32_t number)
{
    void *memory;
    cano_status status = cano_queue_reserve(queue, size_of(number), &memory, PATIENCE);
    if (status == CANO_OK) {
        write_message(memory, putter, number);
        status = cano_queue_commit(queue, memory, size_of(number), PATIENCE);
    }
    return status;
}

static cano_status put_batch(cano_queue *queue, uint32_t putter, uint32_t first)
{
    static char memory[BATCH][LARGEST];
    cano_slice slices[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        write_message(memory[i], putter, first + i);
        slices[i] = (cano_slice){ memory[i], size_of(first + i) };
    }
    return cano_queue_put_many(queue, slices, BATCH, PATIENCE);
}

static int run_putter(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, CANO_PUTTER);
    const uint32_t putter = (uint32_t)atoi(s.argument);
    for (uint32_t i = 0; i < EACH;) {
        if (i % 5 == 0 && i + BATCH <= EACH) {
            DEMAND(put_batch(s.queue, putter, i) == CANO_OK);
            i += BATCH;
        } else {
            DEMAND((i % 5 == 1 ? put_in_place(s.queue, putter, i) : put_one(s.queue, putter, i)) == CANO_OK);
            i++;
        }
    }
    leave(&s);
    return 0;
}

/* ---- getting, in four ways by turns ---- */

typedef struct tally {
    uint32_t next[PUTTERS]; /* lowest number that may come from each */
    uint64_t count;
    uint64_t sum;
} tally;

static void check_message(tally *t, const void *memory, size_t size, bool in_order)
{
    head h;
    DEMAND(size >= sizeof h);
    memcpy(&h, memory, sizeof h);
    DEMAND(h.putter < PUTTERS && h.number < EACH && size == size_of(h.number));
    DEMAND(!in_order || h.number >= t->next[h.putter]);
    DEMAND(has_pattern((const char *)memory + sizeof h, size - sizeof h, h.number + h.putter));
    t->next[h.putter] = h.number + 1;
    t->count++;
    t->sum += h.putter * 1000000 + h.number;
}

static void finish(cano_queue *queue, const cano_item *item, bool joinable)
{
    DEMAND(!joinable || cano_queue_task_done(queue, item) == CANO_OK);
}

static cano_status get_plainly(cano_queue *queue, tally *t, bool joinable)
{
    static char memory[LARGEST];
    size_t size;
    const cano_status status = cano_queue_get(queue, memory, sizeof memory, &size, PATIENCE);
    if (status == CANO_OK) {
        check_message(t, memory, size, !joinable);
        finish(queue, NULL, joinable);
    }
    return status;
}

static cano_status get_into_new_memory(cano_queue *queue, tally *t, bool joinable)
{
    void *memory;
    size_t size;
    const cano_status status = cano_queue_get_alloc(queue, &memory, &size, PATIENCE);
    if (status == CANO_OK) {
        check_message(t, memory, size, !joinable);
        finish(queue, NULL, joinable);
        cano_free(memory);
    }
    return status;
}

static cano_status get_a_view(cano_queue *queue, tally *t, bool joinable)
{
    cano_item item;
    const cano_status status = cano_queue_take(queue, &item, PATIENCE);
    if (status == CANO_OK) {
        check_message(t, item.data, item.size, !joinable);
        finish(queue, &item, joinable);
        cano_queue_release(queue, &item);
    }
    return status;
}

static cano_status get_several(cano_queue *queue, tally *t, bool joinable)
{
    static char memory[2 * LARGEST];
    cano_item items[6];
    size_t got;
    const cano_status status = cano_queue_get_many(queue, items, 6, &got, memory, sizeof memory, PATIENCE);
    for (size_t i = 0; status == CANO_OK && i < got; i++) {
        check_message(t, items[i].data, items[i].size, !joinable);
        finish(queue, &items[i], joinable);
    }
    return status;
}

static int run_getter(int argc, char **argv)
{
    (void)argc;
    static cano_status (*const ways[])(cano_queue *, tally *, bool) = { get_plainly, get_into_new_memory, get_a_view,
                                                                        get_several };
    stage s = enter(argv, CANO_GETTER);
    const bool joinable = strcmp(s.argument, "joinable") == 0;
    tally t = { 0 };
    cano_status status = CANO_OK;
    for (size_t i = 0; status == CANO_OK; i++) {
        status = ways[i % 4](s.queue, &t, joinable);
    }
    DEMAND(status == CANO_ECLOSED);
    tell(&s, t.count);
    tell(&s, t.sum);
    leave(&s);
    return 0;
}

/* Take one and put it back, until the end. */
static int run_turn(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    uint64_t number;
    while ((number = get_number(s.queue, PATIENCE)) != UINT64_MAX) {
        const cano_status status = put_number(s.queue, number, PATIENCE);
        DEMAND(status == CANO_OK || status == CANO_ECLOSED);
    }
    leave(&s);
    return 0;
}

/* Get a task and give it back, until the end. */
static int run_turn_back(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    const cano_timeout delay = atoi(s.argument);
    for (uint64_t i = 0; get_number(s.queue, PATIENCE) != UINT64_MAX; i++) {
        DEMAND(cano_queue_give_back(s.queue, NULL, i % 4 == 3 ? delay : CANO_NOW) == CANO_OK);
    }
    leave(&s);
    return 0;
}

#define CYCLING 6

static void check_coming_back(const char *delay, size_t least)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE));
    for (uint64_t i = 0; i < CYCLING; i++) {
        put_number(s.queue, i, CANO_NOW);
        get_number(s.queue, CANO_NOW);
    }
    for (uint64_t i = 0; i < CYCLING; i++) {
        CU_ASSERT_EQUAL(cano_queue_give_back(s.queue, NULL, CANO_NOW), CANO_OK);
    }
    suite_child *children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = start_on(&s, "turn_back", delay);
    }
    uint64_t faults = 0;
    for (int i = 0; i < 20000; i++) {
        const size_t count = count_of(s.queue);
        faults += count < least || count > CYCLING;
        faults += unfinished_of(s.queue) != CYCLING;
    }
    CU_ASSERT_EQUAL(faults, 0);
    CU_ASSERT_EQUAL(cano_queue_shutdown(s.queue, true), CANO_OK);
    for (int i = 0; i < 3; i++) {
        end_well(children[i]);
    }
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
    strike(&s);
}

/* What came back counts as queued, what is delayed does not; nothing is ever done. */
static void sizes_are_true_while_tasks_come_back(void)
{
    check_coming_back("0", CYCLING - 3);
    check_coming_back("50", 0);
}

/* Whatever the others are doing, each has at most one message in hand. */
static void sizes_are_true_at_some_instant(void)
{
    stage s = stage_of(OPTIONS(.max_items = 10));
    for (uint64_t i = 0; i < 10; i++) {
        put_number(s.queue, i, CANO_NOW);
    }
    suite_child *children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = start_on(&s, "turn", NULL);
    }
    uint64_t faults = 0;
    uint64_t changes = 0;
    for (int i = 0; i < 100000; i++) {
        const size_t count = count_of(s.queue);
        bool empty = true;
        faults += count < 7 || count > 10 || cano_queue_empty(s.queue, &empty) != CANO_OK || empty;
        changes += count != 10;
    }
    CU_ASSERT_EQUAL(faults, 0);
    CU_ASSERT(changes > 0); /* they were at work */
    CU_ASSERT_EQUAL(cano_queue_shutdown(s.queue, true), CANO_OK);
    for (int i = 0; i < 3; i++) {
        end_well(children[i]);
    }
    strike(&s);
}

/* ---- */

static void run_all(uint32_t flags)
{
    stage s = stage_of(OPTIONS(.flags = flags, .max_items = 40, .max_bytes = 200000, .max_leases = flags != 0 ? 40 : 0));
    suite_child *children[PUTTERS + GETTERS];
    for (int i = 0; i < PUTTERS; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        children[i] = start_on(&s, "putter", text);
        children[PUTTERS + i] = start_on(&s, "getter", flags != 0 ? "joinable" : "plain");
    }
    for (int i = 0; i < PUTTERS; i++) {
        end_well(children[i]);
    }
    if (flags != 0) {
        CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(picture_of(s.queue).done, (uint64_t)PUTTERS * EACH);
    }
    CU_ASSERT_EQUAL(cano_queue_shutdown(s.queue, false), CANO_OK);
    uint64_t words = 0;
    for (int i = 0; i < 2 * GETTERS; i++) {
        words += get_number(s.talk, PATIENCE);
    }
    for (int i = 0; i < GETTERS; i++) {
        end_well(children[PUTTERS + i]);
    }
    const uint64_t each = EACH;
    CU_ASSERT_EQUAL(words, PUTTERS * each + PUTTERS * (each * (each - 1) / 2) + each * 1000000 * (PUTTERS * (PUTTERS - 1) / 2));
    CU_ASSERT_EQUAL(picture_of(s.queue).put, PUTTERS * each);
    CU_ASSERT_EQUAL(picture_of(s.queue).got, PUTTERS * each);
    CU_ASSERT_EQUAL(picture_of(s.queue).bytes, 0);
    strike(&s);
}

static void eight_processes_share_a_queue(void)
{
    run_all(0);
}

static void eight_processes_share_a_joinable_queue(void)
{
    run_all(CANO_JOINABLE);
}

static const suite_test tests[] = {
    { "eight_processes_share_a_queue", eight_processes_share_a_queue },
    { "eight_processes_share_a_joinable_queue", eight_processes_share_a_joinable_queue },
    { "sizes_are_true_at_some_instant", sizes_are_true_at_some_instant },
    { "sizes_are_true_while_tasks_come_back", sizes_are_true_while_tasks_come_back },
    { NULL, NULL },
};

static const suite_role roles[] = { { "putter", run_putter }, { "getter", run_getter }, { "turn", run_turn }, { "turn_back", run_turn_back }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: processes", tests, roles);
}
