/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases and the guard: the kernel's word that somebody lives, and one exclusive section. Both fall at death.
 */
#include "suite.h"

#include "name.h"
#include "os.h"

#include <string.h>

#define SIZE ((size_t)65536)
#define SLOT 5
#define SLOTS 1023
#define RACERS 4
#define VISITS 50

/* What lies in the segment: how far the child has come, and who is in the section. */
typedef struct board {
    char id[33];
    _Atomic uint32_t ready;
    _Atomic uint32_t go;
    _Atomic uint32_t inside;
    uint32_t visits; /* plain: the guard guards it */
    cano_os_identity identity;
} board;

typedef struct common_place {
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    board *board;
} common_place;

static common_place make_place(void)
{
    common_place made;
    CU_ASSERT_EQUAL_FATAL(cano_name_path(suite_name("lease"), made.path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&made.segment, SIZE, 0), CANO_OK);
    made.board = (board *)(void *)made.segment.base;
    memcpy(made.board->id, made.segment.id, sizeof made.board->id);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_publish(&made.segment, made.path), CANO_OK);
    return made;
}

/* Another handle of the same segment. */
static bool open_place(const char *path, cano_os_segment *segment)
{
    if (cano_os_segment_open(segment, path, sizeof(board), 0) != CANO_OK) {
        return false;
    }
    memcpy(segment->id, ((board *)(void *)segment->base)->id, sizeof segment->id);
    return true;
}

static void end_place(common_place *place)
{
    CU_ASSERT_EQUAL(cano_os_segment_unlink(place->path, &place->segment), CANO_OK);
    cano_os_segment_close(&place->segment);
}

static bool await_word(_Atomic uint32_t *word, uint32_t at_least)
{
    int64_t since = 0;
    while (atomic_load_explicit(word, memory_order_acquire) < at_least) {
        if (!suite_patience(&since)) {
            return false;
        }
    }
    return true;
}

static bool await_death(cano_os_segment *segment, uint32_t slot, const cano_os_identity *identity)
{
    int64_t since = 0;
    while (cano_os_lease_alive(segment, slot, identity)) {
        if (!suite_patience(&since)) {
            return false;
        }
    }
    return true;
}

/* ---- leases ---- */

static void handles_of_one_process_see_each_other_alive(void)
{
    common_place place = make_place();
    cano_os_segment other;
    CU_ASSERT_FATAL(open_place(place.path, &other));
    cano_os_handle one_lease;
    cano_os_handle other_lease;
    cano_os_identity one;
    cano_os_identity another;
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&place.segment, 1, &one_lease, &one), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&other, 2, &other_lease, &another), CANO_OK);
    CU_ASSERT(cano_os_lease_alive(&place.segment, 2, &another));
    CU_ASSERT(cano_os_lease_alive(&other, 1, &one));
    cano_os_lease_drop(other_lease);
    cano_os_segment_close(&other);
    CU_ASSERT(!cano_os_lease_alive(&place.segment, 2, &another));
    CU_ASSERT_FATAL(open_place(place.path, &other)); /* opening and closing the segment drops no lease */
    CU_ASSERT(cano_os_lease_alive(&other, 1, &one));
    cano_os_lease_drop(one_lease);
    CU_ASSERT(!cano_os_lease_alive(&other, 1, &one));
    cano_os_segment_close(&other);
    end_place(&place);
}

static void held_lease_is_taken_by_nobody_else(void)
{
    common_place place = make_place();
    cano_os_segment other;
    CU_ASSERT_FATAL(open_place(place.path, &other));
    cano_os_handle lease;
    cano_os_handle second = 4711;
    cano_os_identity identity;
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&place.segment, SLOT, &lease, &identity), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_lease_take(&place.segment, SLOT, &second, &identity), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_os_lease_take(&other, SLOT, &second, &identity), CANO_EEXIST);
    CU_ASSERT_EQUAL(second, 4711);
    cano_os_lease_drop(lease);
    CU_ASSERT_EQUAL(cano_os_lease_take(&other, SLOT, &second, &identity), CANO_OK);
    cano_os_lease_drop(second);
    cano_os_segment_close(&other);
    end_place(&place);
}

static void every_slot_has_a_lease_of_its_own(void)
{
    common_place place = make_place();
    static const uint32_t slots[] = { 0, 1, 2, 63, 64, 512, 1022, 1023 };
    enum {
        COUNT = sizeof slots / sizeof slots[0]
    };
    cano_os_segment other;
    cano_os_handle leases[COUNT];
    cano_os_identity identities[COUNT];
    CU_ASSERT_FATAL(open_place(place.path, &other));
    for (int i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&other, slots[i], &leases[i], &identities[i]), CANO_OK);
    }
    for (int i = 0; i < COUNT; i++) {
        cano_os_lease_drop(leases[i]);
        for (int k = 0; k < COUNT; k++) {
            CU_ASSERT_EQUAL(cano_os_lease_alive(&place.segment, slots[k], &identities[k]), k > i);
        }
    }
    cano_os_segment_close(&other);
    end_place(&place);
}

static void slot_nobody_took_is_not_alive(void)
{
    common_place place = make_place();
    cano_os_handle lease;
    cano_os_identity identity;
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&place.segment, SLOT, &lease, &identity), CANO_OK);
    CU_ASSERT(!cano_os_lease_alive(&place.segment, SLOT + 1, &identity));
    CU_ASSERT(!cano_os_lease_alive(&place.segment, SLOT - 1, &identity));
    cano_os_lease_drop(lease);
    end_place(&place);
}

static void nameless_segment_has_leases_too(void)
{
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&segment, SIZE, true, 0), CANO_OK);
    cano_os_handle lease;
    cano_os_handle second;
    cano_os_identity identity;
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&segment, SLOT, &lease, &identity), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_lease_take(&segment, SLOT, &second, &identity), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_os_guard_try(&segment), CANO_OK);
    cano_os_guard_leave(&segment);
    cano_os_lease_drop(lease);
    CU_ASSERT(!cano_os_lease_alive(&segment, SLOT, &identity));
    cano_os_segment_close(&segment);
}

static void private_memory_needs_no_leases(void)
{
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&segment, SIZE, false, 0), CANO_OK);
    cano_os_handle lease = 4711;
    cano_os_identity identity;
    CU_ASSERT_EQUAL(cano_os_lease_take(&segment, SLOT, &lease, &identity), CANO_OK);
    CU_ASSERT_EQUAL(lease, CANO_OS_NONE);
    CU_ASSERT(cano_os_lease_alive(&segment, SLOT, &identity));
    CU_ASSERT_EQUAL(cano_os_guard_try(&segment), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_guard_try(&segment), CANO_OK);
    cano_os_guard_leave(&segment);
    cano_os_lease_drop(lease);
    cano_os_lease_for_child(lease);
    CU_ASSERT_EQUAL(cano_os_lease_adopt(&lease), CANO_OK);
    cano_os_segment_forked(&segment);
    cano_os_segment_close(&segment);
}

/* ---- deaths ---- */

/* argv: path. Takes the lease of SLOT, says so and waits for the word to go on (or for death). */
static int hold_lease(int argc, char **argv)
{
    static cano_os_segment segment; /* stays open until the process ends */
    cano_os_handle lease;
    if (argc != 1 || !open_place(argv[0], &segment)) {
        return 2;
    }
    board *shared = (board *)(void *)segment.base;
    if (cano_os_lease_take(&segment, SLOT, &lease, &shared->identity) != CANO_OK) {
        return 3;
    }
    atomic_store_explicit(&shared->ready, 1, memory_order_release);
    return await_word(&shared->go, 1) ? 0 : 4;
}

static void killed_holder_is_seen_to_be_dead(void)
{
    common_place place = make_place();
    suite_child *child = suite_start("hold_lease", place.path, NULL);
    CU_ASSERT_FATAL(await_word(&place.board->ready, 1));
    const cano_os_identity identity = place.board->identity;
    CU_ASSERT(cano_os_lease_alive(&place.segment, SLOT, &identity));
    suite_kill(child);
    CU_ASSERT(await_death(&place.segment, SLOT, &identity)); /* before anybody has waited for it: it is a zombie */
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
    cano_os_handle lease;
    cano_os_identity next;
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&place.segment, SLOT, &lease, &next), CANO_OK);
    cano_os_lease_drop(lease);
    end_place(&place);
}

static void holder_that_exits_is_seen_to_be_dead(void)
{
    common_place place = make_place();
    suite_child *child = suite_start("hold_lease", place.path, NULL);
    CU_ASSERT_FATAL(await_word(&place.board->ready, 1));
    const cano_os_identity identity = place.board->identity;
    cano_os_handle lease;
    cano_os_identity mine;
    CU_ASSERT_EQUAL(cano_os_lease_take(&place.segment, SLOT, &lease, &mine), CANO_EEXIST);
    atomic_store_explicit(&place.board->go, 1, memory_order_release);
    CU_ASSERT(await_death(&place.segment, SLOT, &identity));
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
    end_place(&place);
}

/* argv: path. Asks about the parent's SLOT, which lives. */
static int ask_about_parent(int argc, char **argv)
{
    cano_os_segment segment;
    if (argc != 1 || !open_place(argv[0], &segment)) {
        return 2;
    }
    const bool alive = cano_os_lease_alive(&segment, SLOT, &((board *)(void *)segment.base)->identity);
    cano_os_segment_close(&segment);
    return alive ? 0 : 1;
}

static void other_process_sees_us_alive(void)
{
    common_place place = make_place();
    cano_os_handle lease;
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&place.segment, SLOT, &lease, &place.board->identity), CANO_OK);
    CU_ASSERT_EQUAL(suite_wait(suite_start("ask", place.path, NULL), SUITE_PATIENCE), 0);
    CU_ASSERT(cano_os_lease_alive(&place.segment, SLOT, &place.board->identity)); /* its end is not ours */
    cano_os_lease_drop(lease);
    CU_ASSERT_EQUAL(suite_wait(suite_start("ask", place.path, NULL), SUITE_PATIENCE), 1);
    end_place(&place);
}

/* All leave, so that what the system keeps of the leases may go; one who stayed without a lease judges those who come. */
static void one_without_a_lease_judges_those_who_come_later(void)
{
    common_place place = make_place();
    cano_os_segment other;
    cano_os_identity identity;
    cano_os_handle lease;
    for (int round = 0; round < 3; round++) {
        CU_ASSERT_FATAL(open_place(place.path, &other));
        CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&other, SLOT, &lease, &identity), CANO_OK);
        CU_ASSERT(cano_os_lease_alive(&place.segment, SLOT, &identity));
        cano_os_lease_drop(lease);
        cano_os_segment_close(&other);
        CU_ASSERT(!cano_os_lease_alive(&place.segment, SLOT, &identity));
    }
    end_place(&place);
}

/* ---- guard ---- */

static void guard_keeps_others_out(void)
{
    common_place place = make_place();
    cano_os_segment other;
    CU_ASSERT_FATAL(open_place(place.path, &other));
    for (int round = 0; round < 3; round++) {
        CU_ASSERT_EQUAL_FATAL(cano_os_guard_try(&place.segment), CANO_OK);
        CU_ASSERT_EQUAL(cano_os_guard_try(&other), CANO_ETIMEOUT);
        cano_os_guard_leave(&place.segment);
        CU_ASSERT_EQUAL_FATAL(cano_os_guard_try(&other), CANO_OK);
        CU_ASSERT_EQUAL(cano_os_guard_try(&place.segment), CANO_ETIMEOUT);
        cano_os_guard_leave(&other);
    }
    cano_os_segment_close(&other);
    end_place(&place);
}

static void guard_is_no_lease_and_a_lease_no_guard(void)
{
    common_place place = make_place();
    cano_os_segment other;
    cano_os_handle leases[2];
    cano_os_identity identities[2];
    CU_ASSERT_FATAL(open_place(place.path, &other));
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&place.segment, 0, &leases[0], &identities[0]), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_guard_try(&other), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_lease_take(&place.segment, SLOTS, &leases[1], &identities[1]), CANO_OK);
    CU_ASSERT(!cano_os_lease_alive(&other, 1, &identities[0]));
    cano_os_guard_leave(&other);
    CU_ASSERT(cano_os_lease_alive(&other, 0, &identities[0]));
    CU_ASSERT(cano_os_lease_alive(&other, SLOTS, &identities[1]));
    cano_os_lease_drop(leases[0]);
    cano_os_lease_drop(leases[1]);
    cano_os_segment_close(&other);
    end_place(&place);
}

static void closing_the_segment_leaves_the_guard(void)
{
    common_place place = make_place();
    cano_os_segment other;
    CU_ASSERT_FATAL(open_place(place.path, &other));
    CU_ASSERT_EQUAL_FATAL(cano_os_guard_try(&other), CANO_OK);
    cano_os_segment_close(&other);
    CU_ASSERT_EQUAL(cano_os_guard_try(&place.segment), CANO_OK);
    cano_os_guard_leave(&place.segment);
    end_place(&place);
}

/* argv: path */
static int hold_guard(int argc, char **argv)
{
    cano_os_segment segment;
    if (argc != 1 || !open_place(argv[0], &segment)) {
        return 2;
    }
    board *shared = (board *)(void *)segment.base;
    if (cano_os_guard_try(&segment) != CANO_OK) {
        return 3;
    }
    atomic_store_explicit(&shared->ready, 1, memory_order_release);
    return await_word(&shared->go, 1) ? 0 : 4;
}

static void guard_of_a_killed_holder_is_free(void)
{
    common_place place = make_place();
    suite_child *child = suite_start("hold_guard", place.path, NULL);
    CU_ASSERT_FATAL(await_word(&place.board->ready, 1));
    CU_ASSERT_EQUAL(cano_os_guard_try(&place.segment), CANO_ETIMEOUT);
    suite_kill(child);
    int64_t since = 0;
    cano_status status;
    do {
        status = cano_os_guard_try(&place.segment);
    } while (status == CANO_ETIMEOUT && suite_patience(&since));
    CU_ASSERT_EQUAL(status, CANO_OK);
    cano_os_guard_leave(&place.segment);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
    end_place(&place);
}

/* argv: path. Goes in and out, each time with a handle of its own, and counts. Exit status 0: was always alone. */
static int visit(int argc, char **argv)
{
    int64_t since = 0;
    for (int visits = 0; argc == 1 && visits < VISITS;) {
        cano_os_segment segment;
        if (!open_place(argv[0], &segment)) {
            return 2;
        }
        board *shared = (board *)(void *)segment.base;
        const cano_status status = cano_os_guard_try(&segment);
        if (status == CANO_OK) {
            if (atomic_fetch_add_explicit(&shared->inside, 1, memory_order_seq_cst) != 0) {
                return 1;
            }
            shared->visits++;
            visits++;
            atomic_fetch_sub_explicit(&shared->inside, 1, memory_order_seq_cst);
            cano_os_guard_leave(&segment);
        } else if (status != CANO_ETIMEOUT || !suite_patience(&since)) {
            return 3;
        }
        cano_os_segment_close(&segment);
    }
    return 0;
}

static void of_many_only_one_is_inside(void)
{
    common_place place = make_place();
    suite_child *children[RACERS];
    for (int i = 0; i < RACERS; i++) {
        children[i] = suite_start("visit", place.path, NULL);
    }
    for (int i = 0; i < RACERS; i++) {
        CU_ASSERT_EQUAL(suite_wait(children[i], SUITE_PATIENCE), 0);
    }
    CU_ASSERT_EQUAL(place.board->visits, RACERS * VISITS);
    end_place(&place);
}

/* argv: path. Takes a lease and drops it, closing the segment each time; nobody else may hold it meanwhile. */
static int come_and_go(int argc, char **argv)
{
    int64_t since = 0;
    for (int visits = 0; argc == 1 && visits < VISITS;) {
        cano_os_segment segment;
        cano_os_handle lease;
        cano_os_identity identity;
        if (!open_place(argv[0], &segment)) {
            return 2;
        }
        board *shared = (board *)(void *)segment.base;
        const cano_status status = cano_os_lease_take(&segment, SLOT, &lease, &identity);
        if (status == CANO_OK) {
            if (atomic_fetch_add_explicit(&shared->inside, 1, memory_order_seq_cst) != 0) {
                return 1;
            }
            visits++;
            atomic_fetch_sub_explicit(&shared->inside, 1, memory_order_seq_cst);
            cano_os_lease_drop(lease);
        } else if (status != CANO_EEXIST || !suite_patience(&since)) {
            return 3;
        }
        cano_os_segment_close(&segment);
    }
    return 0;
}

static void lease_is_held_by_one_although_all_come_and_go(void)
{
    common_place place = make_place();
    suite_child *children[RACERS];
    for (int i = 0; i < RACERS; i++) {
        children[i] = suite_start("come_and_go", place.path, NULL);
    }
    for (int i = 0; i < RACERS; i++) {
        CU_ASSERT_EQUAL(suite_wait(children[i], SUITE_PATIENCE), 0);
    }
    end_place(&place);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "handles_of_one_process_see_each_other_alive", handles_of_one_process_see_each_other_alive },
        { "held_lease_is_taken_by_nobody_else", held_lease_is_taken_by_nobody_else },
        { "every_slot_has_a_lease_of_its_own", every_slot_has_a_lease_of_its_own },
        { "slot_nobody_took_is_not_alive", slot_nobody_took_is_not_alive },
        { "nameless_segment_has_leases_too", nameless_segment_has_leases_too },
        { "private_memory_needs_no_leases", private_memory_needs_no_leases },
        { "killed_holder_is_seen_to_be_dead", killed_holder_is_seen_to_be_dead },
        { "holder_that_exits_is_seen_to_be_dead", holder_that_exits_is_seen_to_be_dead },
        { "other_process_sees_us_alive", other_process_sees_us_alive },
        { "one_without_a_lease_judges_those_who_come_later", one_without_a_lease_judges_those_who_come_later },
        { "guard_keeps_others_out", guard_keeps_others_out },
        { "guard_is_no_lease_and_a_lease_no_guard", guard_is_no_lease_and_a_lease_no_guard },
        { "closing_the_segment_leaves_the_guard", closing_the_segment_leaves_the_guard },
        { "guard_of_a_killed_holder_is_free", guard_of_a_killed_holder_is_free },
        { "of_many_only_one_is_inside", of_many_only_one_is_inside },
        { "lease_is_held_by_one_although_all_come_and_go", lease_is_held_by_one_although_all_come_and_go },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "hold_lease", hold_lease }, { "ask", ask_about_parent },    { "hold_guard", hold_guard },
        { "visit", visit },           { "come_and_go", come_and_go }, { NULL, NULL },
    };
    return suite_main(argc, argv, "os_lease", tests, roles);
}
