/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bells: rung by anybody who knows the name, watched by one, up until cleared.
 */
#include "suite.h"

#include "os.h"

#include <stdio.h>
#include <string.h>

#define RINGERS 4
#define MANY 5000
#define LOOK_AGAIN INT64_C(100000) /* microseconds after the last clear, on some systems */

typedef struct owned_bell {
    char name[61];
    cano_os_handle handle;
} owned_bell;

static owned_bell make_bell(void)
{
    owned_bell bell;
    snprintf(bell.name, sizeof bell.name, "%s", suite_name("bell"));
    CU_ASSERT_EQUAL_FATAL(cano_os_bell_open(bell.name, true, &bell.handle), CANO_OK);
    return bell;
}

static cano_os_handle open_ringer(const owned_bell *bell)
{
    cano_os_handle ringer = CANO_OS_NONE;
    CU_ASSERT_EQUAL_FATAL(cano_os_bell_open(bell->name, false, &ringer), CANO_OK);
    return ringer;
}

static bool is_up(const owned_bell *bell)
{
    cano_os_pollable watched = { bell->handle, false, false };
    return cano_os_poll(&watched, 1, 0) == CANO_OK && watched.ready;
}

/* A bell may come up by itself after LOOK_AGAIN: what is seen later than that proves nothing. */
static bool is_told_in_time(int64_t since)
{
    return cano_os_now() - since < LOOK_AGAIN;
}

/* Down after a clear. */
static bool is_cleared(const owned_bell *bell)
{
    int64_t since;
    bool up;
    do {
        since = cano_os_now();
        cano_os_bell_clear(bell->handle);
        up = is_up(bell);
    } while (up && !is_told_in_time(since));
    return !up;
}

/* Down, then up by a ring and by nothing else. */
static bool is_heard(const owned_bell *bell, cano_os_handle ringer)
{
    int64_t since;
    bool down;
    bool up;
    do {
        since = cano_os_now();
        cano_os_bell_clear(bell->handle);
        down = !is_up(bell);
        cano_os_bell_ring(ringer);
        up = is_up(bell);
    } while (!is_told_in_time(since));
    return down && up;
}

static void silent_bell_is_down(void)
{
    const int64_t since = cano_os_now();
    const owned_bell bell = make_bell();
    const bool up = is_up(&bell);
    CU_ASSERT(!up || !is_told_in_time(since));
    CU_ASSERT(is_cleared(&bell));
    cano_os_bell_close(bell.handle, bell.name);
}

static void rung_bell_is_up_until_cleared(void)
{
    const owned_bell bell = make_bell();
    const cano_os_handle ringer = open_ringer(&bell);
    for (int round = 0; round < 20; round++) {
        CU_ASSERT(is_heard(&bell, ringer));
        CU_ASSERT(is_up(&bell)); /* to look does not take it down */
        CU_ASSERT(is_cleared(&bell));
    }
    cano_os_bell_close(ringer, NULL);
    cano_os_bell_close(bell.handle, bell.name);
}

static void one_clear_ends_any_number_of_rings(void)
{
    const owned_bell bell = make_bell();
    const cano_os_handle ringer = open_ringer(&bell);
    for (int i = 0; i < MANY; i++) {
        cano_os_bell_ring(ringer); /* never blocks */
    }
    CU_ASSERT(is_up(&bell));
    CU_ASSERT(is_cleared(&bell));
    CU_ASSERT(is_heard(&bell, ringer)); /* and it rings still */
    cano_os_bell_close(ringer, NULL);
    cano_os_bell_close(bell.handle, bell.name);
}

static void bell_of_an_owner_who_closed_is_not_found(void)
{
    const owned_bell bell = make_bell();
    const cano_os_handle ringer = open_ringer(&bell);
    cano_os_bell_close(bell.handle, bell.name);
    cano_os_bell_ring(ringer); /* nobody hears it */
    cano_os_handle again = 4711;
    CU_ASSERT_EQUAL(cano_os_bell_open(bell.name, false, &again), CANO_ENOENT);
    CU_ASSERT_EQUAL(again, 4711);
    cano_os_bell_close(ringer, NULL);
}

static void bell_nobody_made_is_not_found(void)
{
    cano_os_handle ringer;
    CU_ASSERT_EQUAL(cano_os_bell_open(suite_name("bell"), false, &ringer), CANO_ENOENT);
    CU_ASSERT_NOT_EQUAL(cano_os_error(), 0);
}

static void bells_ring_apart(void)
{
    const owned_bell one = make_bell();
    const owned_bell other = make_bell();
    const cano_os_handle ringer = open_ringer(&one);
    int64_t since;
    bool up;
    do {
        since = cano_os_now();
        cano_os_bell_clear(other.handle);
        cano_os_bell_ring(ringer);
        up = is_up(&other);
    } while (!is_told_in_time(since));
    CU_ASSERT(!up);
    cano_os_bell_close(other.handle, other.name);
    CU_ASSERT(is_heard(&one, ringer)); /* the end of one is not that of another */
    cano_os_bell_close(ringer, NULL);
    cano_os_bell_close(one.handle, one.name);
}

static void longest_name_will_do(void)
{
    char name[61];
    memset(name, 'n', 60);
    name[60] = 0;
    const char *unique = suite_name("bell");
    memcpy(name, unique, strlen(unique));
    cano_os_handle owner;
    cano_os_handle ringer;
    CU_ASSERT_EQUAL_FATAL(cano_os_bell_open(name, true, &owner), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_bell_open(name, false, &ringer), CANO_OK);
    cano_os_bell_close(ringer, NULL);
    cano_os_bell_close(owner, name);
}

/* ---- processes ---- */

/* argv: name. Rings until it is killed. */
static int ring(int argc, char **argv)
{
    cano_os_handle ringer;
    if (argc != 1 || cano_os_bell_open(argv[0], false, &ringer) != CANO_OK) {
        return 1;
    }
    int64_t since = 0;
    while (suite_patience(&since)) {
        cano_os_bell_ring(ringer);
    }
    return 2;
}

/* Up so soon after a clear that it was a ring; false: patience is over. */
static bool await_ring(const owned_bell *bell)
{
    const int64_t end = cano_os_now() + SUITE_PATIENCE;
    for (int64_t since = cano_os_now(); since < end; since = cano_os_now()) {
        cano_os_bell_clear(bell->handle);
        cano_os_pollable watched = { bell->handle, false, false };
        const cano_status status = cano_os_poll(&watched, 1, since + LOOK_AGAIN / 2);
        if (status == CANO_OK && is_told_in_time(since)) {
            return true;
        }
    }
    return false;
}

static void other_processes_ring(void)
{
    const owned_bell bell = make_bell();
    suite_child *children[RINGERS];
    for (int i = 0; i < RINGERS; i++) {
        children[i] = suite_start("ring", bell.name, NULL);
    }
    CU_ASSERT(await_ring(&bell));
    for (int i = 0; i < RINGERS; i++) {
        suite_kill(children[i]);
        CU_ASSERT_EQUAL(suite_wait(children[i], SUITE_PATIENCE), SUITE_KILLED);
    }
    CU_ASSERT(is_cleared(&bell)); /* nobody rings any more */
    cano_os_bell_close(bell.handle, bell.name);
}

/* argv: name of the bell to own. Waits for death. */
static int own(int argc, char **argv)
{
    cano_os_handle owner;
    if (argc != 1 || cano_os_bell_open(argv[0], true, &owner) != CANO_OK) {
        return 1;
    }
    int64_t since = 0;
    while (suite_patience(&since)) {
    }
    return 2;
}

static void bell_of_a_killed_owner_is_not_found(void)
{
    const char *name = suite_name("bell");
    suite_child *child = suite_start("own", name, NULL);
    cano_os_handle ringer;
    cano_status status;
    int64_t since = 0;
    while ((status = cano_os_bell_open(name, false, &ringer)) == CANO_ENOENT && suite_patience(&since)) {
    }
    CU_ASSERT_EQUAL_FATAL(status, CANO_OK);
    suite_kill(child);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
    cano_os_bell_ring(ringer);
    cano_os_bell_close(ringer, NULL);
    CU_ASSERT_EQUAL(cano_os_bell_open(name, false, &ringer), CANO_ENOENT);

    owned_bell next; /* what the dead left is in nobody's way */
    CU_ASSERT_EQUAL_FATAL(cano_os_bell_open(name, true, &next.handle), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_bell_open(name, false, &ringer), CANO_OK);
    CU_ASSERT(is_heard(&next, ringer));
    cano_os_bell_close(ringer, NULL);
    cano_os_bell_close(next.handle, name);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "silent_bell_is_down", silent_bell_is_down },
        { "rung_bell_is_up_until_cleared", rung_bell_is_up_until_cleared },
        { "one_clear_ends_any_number_of_rings", one_clear_ends_any_number_of_rings },
        { "bell_of_an_owner_who_closed_is_not_found", bell_of_an_owner_who_closed_is_not_found },
        { "bell_nobody_made_is_not_found", bell_nobody_made_is_not_found },
        { "bells_ring_apart", bells_ring_apart },
        { "longest_name_will_do", longest_name_will_do },
        { "other_processes_ring", other_processes_ring },
        { "bell_of_a_killed_owner_is_not_found", bell_of_a_killed_owner_is_not_found },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "ring", ring },
        { "own", own },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "os_bell", tests, roles);
}
