/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues by name: which names there are, who gets what is behind one, and what must agree.
 */
#include "queues.h"

#include <stdint.h>

static void unlink_name(const char *name)
{
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static cano_status try_create(const char *name, cano_queue_options options)
{
    cano_queue *queue = NULL;
    const cano_status status = cano_queue_create(&queue, name, &options);
    CU_ASSERT((status == CANO_OK) == (queue != NULL));
    cano_queue_close(queue);
    return status;
}

static cano_status try_open(const char *name, cano_queue_options options)
{
    cano_queue *queue = NULL;
    const cano_status status = cano_queue_open(&queue, name, &options);
    CU_ASSERT((status == CANO_OK) == (queue != NULL));
    cano_queue_close(queue);
    return status;
}

/* ---- names ---- */

static void check_bad(const char *name)
{
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(0)), CANO_EINVAL);
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(.flags = CANO_OPEN_EXISTING)), CANO_EINVAL);
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_EINVAL);
}

static void bad_names_are_refused(void)
{
    static const char *const bad[] = { "",      ".",       "..",    ".hidden", "a/b", "/a", "a/",   "../a", "a b", " a",
                                       "a\n",   "a\t",     "a\\b",  "a:b",     "a*",  "a?", "a%41", "a+b",  "a,b", "\xc3\xa4",
                                       "a\x7f", "\x1b[2J", "a\x80", "C:",      "a$b", "~",  "a=b",  "a&b",  "a;b", "a|b" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_bad(bad[i]);
    }
    CU_ASSERT_EQUAL(try_open(NULL, OPTIONS(0)), CANO_EINVAL);
    char name[400];
    static const size_t lengths[] = { 101, 102, 255, 256, 300, 399 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(name, 'n', lengths[i]);
        name[lengths[i]] = 0;
        check_bad(name);
    }
}

static void check_good(const char *name)
{
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(0)), CANO_OK);
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_OK);
    unlink_name(name);
}

static void good_names_are_good(void)
{
    const char *unique = suite_name("n");
    static const char *const fronts[] = { "A", "z", "0", "9", "_", "-", "a.b.", "A-._z" };
    char name[200];
    for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++) {
        snprintf(name, sizeof name, "%s%s", fronts[i], unique);
        check_good(name);
    }
    snprintf(name, sizeof name, "%s.", unique);
    check_good(name);
    memset(name, 'x', 100);
    memcpy(name, unique, strlen(unique));
    name[100] = 0;
    check_good(name);
    name[99] = 0;
    check_good(name);
}

static void urls_need_a_component_that_is_not_here(void)
{
    CU_ASSERT_EQUAL(try_open("tcp://localhost:1/tasks", OPTIONS(0)), CANO_ENOTSUP);
    CU_ASSERT_EQUAL(try_create("tcp://localhost:1/tasks", OPTIONS(0)), CANO_ENOTSUP);
}

/* ---- the life of a name ---- */

static void name_leads_to_the_queue_until_unlink(void)
{
    const char *name = suite_name("life");
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_ENOENT);
    CU_ASSERT_NOT_EQUAL(cano_os_error(), 0);
    cano_queue *queue = make_named(name, OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    put_pattern(queue, 70000, 2, CANO_NOW);
    cano_queue_close(queue);
    queue = open_named(name); /* nobody was attached meanwhile */
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    CU_ASSERT(get_pattern(queue, 70000, 2));
    cano_queue_close(queue);
    unlink_name(name);
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_ENOENT);
}

static void unlinked_queue_goes_on_and_the_name_is_free(void)
{
    const char *name = suite_name("life");
    cano_queue *old = make_named(name, OPTIONS(.max_items = 5));
    cano_queue *other = open_named(name);
    unlink_name(name);
    CU_ASSERT_EQUAL(put_number(old, 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(get_number(other, CANO_NOW), 1);
    cano_queue *anew = make_named(name, OPTIONS(.max_items = 6));
    CU_ASSERT_EQUAL(count_of(anew), 0);
    CU_ASSERT_EQUAL(put_number(anew, 2, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(status_of_get(other, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(picture_of(old).participants, 2);
    cano_queue_close(old);
    cano_queue_close(other);
    CU_ASSERT_EQUAL(get_number(anew, CANO_NOW), 2);
    cano_queue_close(anew);
    unlink_name(name);
}

static void taken_name_is_taken(void)
{
    const char *name = suite_name("taken");
    cano_queue *queue = make_named(name, OPTIONS(0));
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(0)), CANO_EEXIST);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(0)), CANO_EEXIST); /* also when nobody is attached */
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(.flags = CANO_JOINABLE)), CANO_EEXIST);
    unlink_name(name);
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(0)), CANO_OK);
    unlink_name(name);
}

static void nameless_queues_are_strangers(void)
{
    cano_queue *one = make_queue(OPTIONS(0));
    cano_queue *other = make_queue(OPTIONS(.flags = CANO_OPEN_EXISTING));
    put_number(one, 1, CANO_NOW);
    CU_ASSERT_EQUAL(count_of(other), 0);
    cano_queue_close(one);
    cano_queue_close(other);
}

/* ---- what must agree ---- */

static cano_queue_options usual(void)
{
    return OPTIONS(.flags = CANO_JOINABLE | CANO_END_WHEN_NO_PUTTER, .max_items = 10, .max_bytes = 1000, .max_participants = 5,
                   .max_leases = 7, .max_deliveries = 3);
}

static void limits_that_agree_open_what_is_there(void)
{
    const char *name = suite_name("agree");
    cano_queue *queue = make_named(name, usual());
    cano_queue_options same = usual();
    CU_ASSERT_EQUAL(try_open(name, same), CANO_OK);
    same.flags |= CANO_OPEN_EXISTING;
    CU_ASSERT_EQUAL(try_create(name, same), CANO_OK);
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_OK); /* asks for nothing */
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(.role = CANO_PUTTER)), CANO_OK);
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(.max_items = 10)), CANO_OK);
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(.flags = CANO_JOINABLE | CANO_OPEN_EXISTING)), CANO_OK);
    cano_queue_close(queue);
    unlink_name(name);
}

static void limits_that_differ_are_refused(void)
{
    const char *name = suite_name("differ");
    cano_queue *queue = make_named(name, usual());
    cano_queue_options others[] = { usual(), usual(), usual(), usual(), usual(), usual(), usual() };
    others[0].max_items = 11;
    others[1].max_bytes = 1001;
    others[2].max_participants = 6;
    others[3].max_leases = 8;
    others[4].max_deliveries = 4;
    others[5].flags |= CANO_SINGLE_PUTTER;
    others[6].flags |= CANO_SINGLE_GETTER;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CU_ASSERT_EQUAL(try_open(name, others[i]), CANO_EEXIST);
        others[i].flags |= CANO_OPEN_EXISTING;
        CU_ASSERT_EQUAL(try_create(name, others[i]), CANO_EEXIST);
    }
    CU_ASSERT_EQUAL(picture_of(queue).participants, 1);
    cano_queue_close(queue);
    unlink_name(name);
}

static void plain_and_joinable_are_two_kinds(void)
{
    const char *plain = suite_name("plain");
    const char *joinable = suite_name("joinable");
    cano_queue *queues[2] = { make_named(plain, OPTIONS(0)), make_named(joinable, OPTIONS(.flags = CANO_JOINABLE)) };
    CU_ASSERT_EQUAL(try_open(plain, OPTIONS(.flags = CANO_JOINABLE)), CANO_EKIND);
    CU_ASSERT_EQUAL(try_create(plain, OPTIONS(.flags = CANO_JOINABLE | CANO_OPEN_EXISTING)), CANO_EKIND);
    CU_ASSERT_EQUAL(try_create(joinable, OPTIONS(.flags = CANO_OPEN_EXISTING)), CANO_EKIND);
    CU_ASSERT_EQUAL(try_open(joinable, OPTIONS(0)), CANO_OK);
    for (int i = 0; i < 2; i++) {
        cano_queue_close(queues[i]);
    }
    unlink_name(plain);
    unlink_name(joinable);
}

static void listeners_name_leads_to_no_queue(void)
{
    const char *name = suite_name("listener");
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_EKIND);
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(0)), CANO_EEXIST);
    CU_ASSERT_EQUAL(try_create(name, OPTIONS(.flags = CANO_OPEN_EXISTING)), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_EKIND);
    cano_listener_close(listener);
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_ENOENT);
}

static void queues_name_is_taken_for_listeners(void)
{
    const char *name = suite_name("queue");
    cano_queue *queue = make_named(name, OPTIONS(0));
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL(cano_listener_create(&listener, name, NULL), CANO_EEXIST);
    CU_ASSERT_PTR_NULL(listener);
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL(cano_connect(&pipe, name, NULL, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
    unlink_name(name);
}

/* ---- races ---- */

#define RACERS 4
#define RACES 60

/* The queue of the stage holds the number of the round that has begun. */
static void wait_for_round(cano_queue *queue, uint64_t round)
{
    uint64_t number = UINT64_MAX;
    for (int64_t began = 0; number != round;) {
        DEMAND(suite_patience(&began));
        cano_queue_peek(queue, &number, sizeof number, NULL, PATIENCE);
    }
}

/* Race for names of the form <argument>-<round>. */
static int run_racer(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    for (uint64_t round = 0; round < RACES; round++) {
        char name[101];
        snprintf(name, sizeof name, "%s-%d", s.argument, (int)round);
        cano_queue *queue = NULL;
        const bool sharing = round % 2 == 0;
        wait_for_round(s.queue, round);
        const cano_status status =
            cano_queue_create(&queue, name, &OPTIONS(.flags = sharing ? CANO_OPEN_EXISTING : 0, .max_items = 8));
        DEMAND(status == CANO_OK || (!sharing && status == CANO_EEXIST));
        if (status == CANO_OK) {
            DEMAND(put_number(queue, round, PATIENCE) == CANO_OK);
        }
        tell(&s, status == CANO_OK);
        cano_queue_close(queue);
    }
    leave(&s);
    return 0;
}

static uint64_t run_race(const stage *s, uint64_t round)
{
    uint64_t winners = 0;
    CU_ASSERT_EQUAL(put_number(s->queue, round, PATIENCE), CANO_OK);
    for (int i = 0; i < RACERS; i++) {
        winners += get_number(s->talk, PATIENCE);
    }
    CU_ASSERT_EQUAL(get_number(s->queue, PATIENCE), round);
    return winners;
}

static void racing_creators_make_one_queue(void)
{
    stage s = stage_of(OPTIONS(0));
    const char *stem = suite_name("race");
    suite_child *children[RACERS];
    for (int i = 0; i < RACERS; i++) {
        children[i] = start_on(&s, "racer", stem);
    }
    for (uint64_t round = 0; round < RACES; round++) {
        char name[101];
        const uint64_t winners = run_race(&s, round);
        snprintf(name, sizeof name, "%s-%d", stem, (int)round);
        CU_ASSERT_EQUAL(winners, round % 2 == 0 ? RACERS : 1);
        cano_queue *queue = open_named(name);
        CU_ASSERT_EQUAL(count_of(queue), winners);
        cano_queue_close(queue);
        unlink_name(name);
    }
    for (int i = 0; i < RACERS; i++) {
        end_well(children[i]);
    }
    strike(&s);
}

/* Make, use and unlink one name as fast as can be. */
static int run_come_and_go(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    for (uint64_t i = 0; i < 150; i++) {
        cano_queue *queue = NULL;
        const cano_status status = cano_queue_create(&queue, s.argument, &OPTIONS(.flags = CANO_OPEN_EXISTING, .max_items = 8));
        DEMAND(status == CANO_OK);
        uint64_t number = 0;
        DEMAND(put_number(queue, i, CANO_NOW) != CANO_ECORRUPT);
        DEMAND(cano_queue_get(queue, &number, sizeof number, NULL, CANO_NOW) != CANO_ECORRUPT);
        const cano_status unlinked = cano_queue_unlink(s.argument);
        DEMAND(unlinked == CANO_OK || unlinked == CANO_ENOENT);
        cano_queue_close(queue);
    }
    leave(&s);
    return 0;
}

static void opener_sees_a_whole_queue_or_none(void)
{
    stage s = stage_of(OPTIONS(0));
    const char *name = suite_name("come-and-go");
    suite_child *children[2] = { start_on(&s, "come_and_go", name), start_on(&s, "come_and_go", name) };
    bool done[2] = { false, false };
    while (!done[0] || !done[1]) {
        const cano_status status = try_open(name, OPTIONS(0));
        CU_ASSERT(status == CANO_OK || status == CANO_ENOENT);
        for (int i = 0; i < 2; i++) {
            if (!done[i]) {
                const int ended = suite_wait(children[i], 0);
                CU_ASSERT(ended == SUITE_ALIVE || ended == 0);
                done[i] = ended != SUITE_ALIVE;
            }
        }
    }
    CU_ASSERT_EQUAL(try_open(name, OPTIONS(0)), CANO_ENOENT);
    strike(&s);
}

static const suite_test tests[] = {
    { "bad_names_are_refused", bad_names_are_refused },
    { "good_names_are_good", good_names_are_good },
    { "urls_need_a_component_that_is_not_here", urls_need_a_component_that_is_not_here },
    { "name_leads_to_the_queue_until_unlink", name_leads_to_the_queue_until_unlink },
    { "unlinked_queue_goes_on_and_the_name_is_free", unlinked_queue_goes_on_and_the_name_is_free },
    { "taken_name_is_taken", taken_name_is_taken },
    { "nameless_queues_are_strangers", nameless_queues_are_strangers },
    { "limits_that_agree_open_what_is_there", limits_that_agree_open_what_is_there },
    { "limits_that_differ_are_refused", limits_that_differ_are_refused },
    { "plain_and_joinable_are_two_kinds", plain_and_joinable_are_two_kinds },
    { "listeners_name_leads_to_no_queue", listeners_name_leads_to_no_queue },
    { "queues_name_is_taken_for_listeners", queues_name_is_taken_for_listeners },
    { "racing_creators_make_one_queue", racing_creators_make_one_queue },
    { "opener_sees_a_whole_queue_or_none", opener_sees_a_whole_queue_or_none },
    { NULL, NULL },
};

static const suite_role roles[] = { { "racer", run_racer }, { "come_and_go", run_come_and_go }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: names", tests, roles);
}
