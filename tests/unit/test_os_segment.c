/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments: zeroed memory that is there, shared by those who have the handle or the name, under a name that one creator gets.
 */
#include "suite.h"

#include "name.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE ((size_t)65536)
#define RACERS 6
#define ROUNDS 8

/* What lies in a segment that racers meet in. */
typedef struct meeting {
    _Atomic uint32_t arrived;
    _Atomic uint32_t open;
} meeting;

static void new_path(char path[CANO_OS_PATH_MAX])
{
    CU_ASSERT_EQUAL_FATAL(cano_name_path(suite_name("segment"), path), CANO_OK);
}

static cano_os_segment make(size_t size)
{
    cano_os_segment segment = { .handle = CANO_OS_NONE };
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&segment, size, true, 0), CANO_OK);
    return segment;
}

static cano_os_segment make_named(const char *path, size_t size)
{
    cano_os_segment segment = { .handle = CANO_OS_NONE };
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, size, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_publish(&segment, path), CANO_OK);
    return segment;
}

static bool is_zeroed(const cano_os_segment *segment)
{
    for (size_t i = 0; i < segment->size; i++) {
        if (segment->base[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool is_id(const char *id)
{
    return strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32;
}

/* ---- making ---- */

static void every_kind_is_zeroed_and_writable(void)
{
    cano_os_segment kinds[3];
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&kinds[0], SIZE, true, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&kinds[1], SIZE, false, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&kinds[2], SIZE, 0), CANO_OK);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(kinds[i].size, SIZE);
        CU_ASSERT_EQUAL(kinds[i].shared, i != 1);
        CU_ASSERT(is_zeroed(&kinds[i]));
        memset(kinds[i].base, 7, SIZE);
        cano_os_segment_close(&kinds[i]);
    }
}

static void private_memory_has_no_handle(void)
{
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&segment, SIZE, false, 0), CANO_OK);
    CU_ASSERT_EQUAL(segment.handle, CANO_OS_NONE);
    cano_os_segment_close(&segment);
}

static void each_has_an_id_of_its_own(void)
{
    cano_os_segment one = make(SIZE);
    cano_os_segment other = make(SIZE);
    CU_ASSERT(is_id(one.id));
    CU_ASSERT(is_id(other.id));
    CU_ASSERT_NOT_EQUAL(strcmp(one.id, other.id), 0);
    cano_os_segment_close(&one);
    cano_os_segment_close(&other);
}

static void size_of_nothing_is_refused(void)
{
    cano_os_segment segment;
    CU_ASSERT_EQUAL(cano_os_segment_create(&segment, 0, true, 0), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_os_segment_create(&segment, 0, false, 0), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_os_segment_create_named(&segment, 0, 0), CANO_EINVAL);
}

static void more_than_there_is_fails_at_creation(void)
{
    const size_t monstrous[2] = { SIZE_MAX / 4, SIZE_MAX };
    for (int i = 0; i < 2; i++) {
        cano_os_segment segment;
        CU_ASSERT_EQUAL(cano_os_segment_create(&segment, monstrous[i], true, 0), CANO_ENOSPC);
        CU_ASSERT_NOT_EQUAL(cano_os_error(), 0);
        CU_ASSERT_EQUAL(cano_os_segment_create_named(&segment, monstrous[i], 0), CANO_ENOSPC);
        CU_ASSERT_NOT_EQUAL(cano_os_error(), 0);
        CU_ASSERT_EQUAL(cano_os_segment_create(&segment, monstrous[i], false, 0), CANO_ENOMEM);
        CU_ASSERT_NOT_EQUAL(cano_os_error(), 0);
    }
}

static void size_need_not_be_of_whole_pages(void)
{
    cano_os_segment segment = make(12345);
    CU_ASSERT_EQUAL(segment.size, 12345);
    segment.base[12344] = 1;
    cano_os_segment_close(&segment);
}

static void failure_leaves_the_segment_as_it_was(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    cano_os_segment segment = { .size = 4711 };
    CU_ASSERT_EQUAL(cano_os_segment_open(&segment, path, 1, 0), CANO_ENOENT);
    CU_ASSERT_EQUAL(segment.size, 4711);
}

/* ---- names ---- */

static void what_one_writes_the_other_reads(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    cano_os_segment maker = make_named(path, SIZE);
    cano_os_segment opener;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_open(&opener, path, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(opener.size, SIZE);
    CU_ASSERT(opener.shared);
    memcpy(maker.base + 100, "from the maker", 15);
    CU_ASSERT_STRING_EQUAL((char *)opener.base + 100, "from the maker");
    opener.base[SIZE - 1] = 9;
    CU_ASSERT_EQUAL(maker.base[SIZE - 1], 9);
    cano_os_segment_close(&opener);
    cano_os_segment_close(&maker);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_OK);
}

static void unpublished_one_is_found_by_nobody(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    cano_os_segment segment;
    cano_os_segment other;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_open(&other, path, 1, 0), CANO_ENOENT);
    cano_os_segment_close(&segment);
    CU_ASSERT_EQUAL(cano_os_segment_open(&other, path, 1, 0), CANO_ENOENT);
}

static void taken_name_stays_with_the_first(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    cano_os_segment first = make_named(path, SIZE);
    cano_os_segment second;
    cano_os_segment opener;
    first.base[0] = 1;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&second, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&second, path), CANO_EEXIST);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_open(&opener, path, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(opener.base[0], 1);
    cano_os_segment_close(&opener);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_publish(&second, path), CANO_OK); /* free now: the second attempt of the same one */
    cano_os_segment_close(&first);
    cano_os_segment_close(&second);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_OK);
}

static void smaller_than_asked_is_another_kind(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    cano_os_segment maker = make_named(path, SIZE);
    cano_os_segment opener;
    CU_ASSERT_EQUAL(cano_os_segment_open(&opener, path, SIZE + 1, 0), CANO_EKIND);
    cano_os_segment_close(&maker);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_OK);
}

static void empty_file_is_another_kind(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
    cano_os_segment opener;
    CU_ASSERT_EQUAL(cano_os_segment_open(&opener, path, 0, 0), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_OK);
}

static void unlinked_name_is_free_and_those_attached_go_on(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    cano_os_segment maker = make_named(path, SIZE);
    cano_os_segment opener;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_open(&opener, path, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, &opener), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_ENOENT);
    cano_os_segment next = make_named(path, SIZE);
    maker.base[1] = 2;
    CU_ASSERT_EQUAL(opener.base[1], 2);
    CU_ASSERT_EQUAL(next.base[1], 0);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, &opener), CANO_ENOENT); /* it leads to the next one */
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, &next), CANO_OK);
    cano_os_segment_close(&maker);
    cano_os_segment_close(&opener);
    cano_os_segment_close(&next);
}

static void named_one_outlives_all_who_were_attached(void)
{
    char path[CANO_OS_PATH_MAX];
    new_path(path);
    cano_os_segment segment = make_named(path, SIZE);
    segment.base[0] = 5;
    cano_os_segment_close(&segment);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_open(&segment, path, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(segment.base[0], 5);
    cano_os_segment_close(&segment);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_OK);
}

/* ---- racing for a name ---- */

static void wait_for_word(_Atomic uint32_t *word, uint32_t at_least)
{
    int64_t since = 0;
    while (atomic_load_explicit(word, memory_order_acquire) < at_least && suite_patience(&since)) {
    }
}

/* Exit status: 1 the winner, 0 a loser, 2 something else. argv: meeting, name, what to write into the segment */
static int race(int argc, char **argv)
{
    cano_os_segment common;
    cano_os_segment mine;
    if (argc != 3 || cano_os_segment_open(&common, argv[0], sizeof(meeting), 0) != CANO_OK ||
        cano_os_segment_create_named(&mine, SIZE, 0) != CANO_OK) {
        return 2;
    }
    meeting *met = (meeting *)(void *)common.base;
    memset(mine.base, atoi(argv[2]), SIZE);
    atomic_fetch_add_explicit(&met->arrived, 1, memory_order_acq_rel);
    wait_for_word(&met->open, 1);
    const cano_status status = cano_os_segment_publish(&mine, argv[1]);
    cano_os_segment_close(&mine);
    cano_os_segment_close(&common);
    return status == CANO_OK ? 1 : status == CANO_EEXIST ? 0 : 2;
}

/* Who won; -1: not exactly one did. */
static int run_race(const char *place, meeting *met, const char *path)
{
    suite_child *children[RACERS];
    for (int i = 0; i < RACERS; i++) {
        char number[12];
        snprintf(number, sizeof number, "%d", i + 1);
        children[i] = suite_start("race", place, path, number, NULL);
    }
    wait_for_word(&met->arrived, RACERS);
    atomic_store_explicit(&met->open, 1, memory_order_release);
    int winner = -1;
    int winners = 0;
    for (int i = 0; i < RACERS; i++) {
        const int status = suite_wait(children[i], SUITE_PATIENCE);
        winners += status == 0 ? 0 : status == 1 ? 1 : 100;
        winner = status == 1 ? i + 1 : winner;
    }
    return winners == 1 ? winner : -1;
}

static void of_racing_creators_exactly_one_gets_the_name(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        char place[CANO_OS_PATH_MAX];
        char path[CANO_OS_PATH_MAX];
        new_path(place);
        new_path(path);
        cano_os_segment common = make_named(place, sizeof(meeting));
        const int winner = run_race(place, (meeting *)(void *)common.base, path);
        cano_os_segment opener;
        CU_ASSERT_EQUAL_FATAL(cano_os_segment_open(&opener, path, SIZE, 0), CANO_OK);
        CU_ASSERT_EQUAL(opener.base[0], winner);
        CU_ASSERT_EQUAL(opener.base[SIZE - 1], winner);
        cano_os_segment_close(&opener);
        cano_os_segment_close(&common);
        cano_os_segment_unlink(place, NULL);
        cano_os_segment_unlink(path, NULL);
    }
}

/* ---- clock and place ---- */

static void clock_goes_forward(void)
{
    int64_t last = cano_os_now();
    for (int i = 0; i < 10000; i++) {
        const int64_t now = cano_os_now();
        CU_ASSERT_FATAL(now >= last);
        last = now;
    }
    CU_ASSERT(last > 0);
}

/* argv: the parent's clock before it started us */
static int look_at_clock(int argc, char **argv)
{
    return argc == 1 && cano_os_now() >= strtoll(argv[0], NULL, 10) ? 0 : 1;
}

static void clock_is_one_for_all_processes(void)
{
    char text[32];
    const int64_t before = cano_os_now();
    snprintf(text, sizeof text, "%lld", (long long)before);
    CU_ASSERT_EQUAL(suite_wait(suite_start("clock", text, NULL), SUITE_PATIENCE), 0);
    CU_ASSERT(cano_os_now() - before < SUITE_PATIENCE);
}

static void process_has_a_number(void)
{
    CU_ASSERT_NOT_EQUAL(cano_os_self(), 0);
    CU_ASSERT_EQUAL(cano_os_self(), cano_os_self());
}

/* argv: what the parent read */
static int look_at_boot(int argc, char **argv)
{
    char boot[48];
    cano_os_boot(boot);
    return argc == 1 && strcmp(boot, argv[0]) == 0 ? 0 : 1;
}

static void start_of_the_machine_is_the_same_for_all(void)
{
    char boot[48];
    memset(boot, 'x', sizeof boot);
    cano_os_boot(boot);
    CU_ASSERT_PTR_NOT_NULL_FATAL(memchr(boot, 0, sizeof boot));
    CU_ASSERT(strlen(boot) > 0);
    CU_ASSERT_EQUAL(suite_wait(suite_start("boot", boot, NULL), SUITE_PATIENCE), 0);
}

static void directory_that_does_not_fit_is_refused(void)
{
    char path[CANO_OS_PATH_MAX];
    CU_ASSERT_EQUAL_FATAL(cano_os_directory(path, sizeof path), CANO_OK);
    const size_t length = strlen(path);
    char small[CANO_OS_PATH_MAX] = "untouched";
    CU_ASSERT_EQUAL(cano_os_directory(small, length), CANO_EINVAL);
    CU_ASSERT_STRING_EQUAL(small, "untouched");
    CU_ASSERT_EQUAL(cano_os_directory(small, length + 1), CANO_OK);
    CU_ASSERT_STRING_EQUAL(small, path);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "every_kind_is_zeroed_and_writable", every_kind_is_zeroed_and_writable },
        { "private_memory_has_no_handle", private_memory_has_no_handle },
        { "each_has_an_id_of_its_own", each_has_an_id_of_its_own },
        { "size_of_nothing_is_refused", size_of_nothing_is_refused },
        { "more_than_there_is_fails_at_creation", more_than_there_is_fails_at_creation },
        { "size_need_not_be_of_whole_pages", size_need_not_be_of_whole_pages },
        { "failure_leaves_the_segment_as_it_was", failure_leaves_the_segment_as_it_was },
        { "what_one_writes_the_other_reads", what_one_writes_the_other_reads },
        { "unpublished_one_is_found_by_nobody", unpublished_one_is_found_by_nobody },
        { "taken_name_stays_with_the_first", taken_name_stays_with_the_first },
        { "smaller_than_asked_is_another_kind", smaller_than_asked_is_another_kind },
        { "empty_file_is_another_kind", empty_file_is_another_kind },
        { "unlinked_name_is_free_and_those_attached_go_on", unlinked_name_is_free_and_those_attached_go_on },
        { "named_one_outlives_all_who_were_attached", named_one_outlives_all_who_were_attached },
        { "of_racing_creators_exactly_one_gets_the_name", of_racing_creators_exactly_one_gets_the_name },
        { "clock_goes_forward", clock_goes_forward },
        { "clock_is_one_for_all_processes", clock_is_one_for_all_processes },
        { "process_has_a_number", process_has_a_number },
        { "start_of_the_machine_is_the_same_for_all", start_of_the_machine_is_the_same_for_all },
        { "directory_that_does_not_fit_is_refused", directory_that_does_not_fit_is_refused },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "race", race },
        { "clock", look_at_clock },
        { "boot", look_at_boot },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "os_segment", tests, roles);
}
