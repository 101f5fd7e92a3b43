/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a process with named handles: each arrives under its name, once, and no other does.
 */
#include "suite.h"

#include "os.h"

#include <string.h>

#define LONGEST "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-abcdefghijklmn" /* 80 */
#define DOZE INT64_C(20000)                                                                        /* microseconds */
#define CROWD 257

/* A started child: our ends of the streams that it has the other ends of. */
typedef struct started {
    cano_os_stream streams[CROWD];
    int64_t pid;
    cano_os_handle ended;
} started;

static cano_status wait_for(cano_os_handle handle, int64_t timeout)
{
    cano_os_pollable watched = { handle, false, false };
    return cano_os_poll(&watched, 1, cano_os_now() + timeout);
}

static cano_status say(cano_os_stream *stream, char letter)
{
    size_t written;
    return cano_os_stream_write(stream, &letter, 1, NULL, 0, &written);
}

/* One byte, waiting for it; 0: the end. */
static char hear(cano_os_stream *stream)
{
    char letter = 0;
    size_t got;
    const cano_status status = wait_for(stream->handle, SUITE_PATIENCE);
    return status == CANO_OK && cano_os_stream_read(stream, &letter, 1, NULL, NULL, &got) == CANO_OK ? letter : 0;
}

static cano_status start(started *child, const char *const *argv, const char *const *names, size_t count)
{
    cano_os_hand hands[CROWD] = { { NULL, CANO_OS_NONE } };
    cano_os_stream theirs[CROWD];
    for (size_t i = 0; i < count; i++) {
        cano_os_stream ends[2];
        CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(ends), CANO_OK);
        child->streams[i] = ends[0];
        theirs[i] = ends[1];
        hands[i] = (cano_os_hand){ names[i], ends[1].handle };
    }
    const cano_status status = cano_os_spawn(argv, hands, count, &child->pid, &child->ended);
    for (size_t i = 0; i < count; i++) {
        cano_os_stream_close(&theirs[i], false);
    }
    return status;
}

static void finish(started *child, size_t count)
{
    CU_ASSERT_EQUAL(wait_for(child->ended, SUITE_PATIENCE), CANO_OK);
    cano_os_close(child->ended);
    for (size_t i = 0; i < count; i++) {
        cano_os_stream_close(&child->streams[i], true);
    }
}

/* ---- roles ---- */

static cano_status inherit(const char *name, cano_os_stream *stream)
{
    cano_os_handle handle;
    const cano_status status = cano_os_inherited(name, &handle);
    return status == CANO_OK ? cano_os_stream_adopt(stream, handle) : status;
}

/* answer NAME...: say at each, in this order, which place its name has here. */
static int run_answer(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        cano_os_stream stream;
        if (inherit(argv[i], &stream) != CANO_OK || say(&stream, (char)('a' + i)) != CANO_OK) {
            return 1;
        }
        cano_os_stream_close(&stream, true);
    }
    return 0;
}

/* twice: ask for everything twice. */
static int run_twice(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_stream report;
    cano_os_handle handle = 77;
    if (inherit("report", &report) != CANO_OK) {
        return 1;
    }
    const bool right = cano_os_inherited("report", &handle) == CANO_ENOENT && handle == 77 &&
                       cano_os_inherited("other", &handle) == CANO_OK && cano_os_inherited("other", &handle) == CANO_ENOENT &&
                       cano_os_inherited("nobody", &handle) == CANO_ENOENT && cano_os_inherited("", &handle) == CANO_ENOENT;
    return say(&report, right ? 'y' : 'n') == CANO_OK ? 0 : 2;
}

/* stay: until the end of the stream. */
static int run_stay(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_stream stream;
    if (inherit("stay", &stream) != CANO_OK || say(&stream, 'h') != CANO_OK) {
        return 1;
    }
    return hear(&stream) == 0 ? 0 : 2;
}

/* pass on: what was given here as report goes to a child of our own, and nothing else. */
static int run_pass_on(int argc, char **argv)
{
    (void)argc, (void)argv;
    const char *const words[] = { "", "role", "heir", NULL };
    cano_os_hand hand = { "report", CANO_OS_NONE };
    int64_t pid;
    cano_os_handle ended;
    if (cano_os_inherited("report", &hand.handle) != CANO_OK || cano_os_spawn(words, &hand, 1, &pid, &ended) != CANO_OK) {
        return 1;
    }
    cano_os_close(hand.handle);
    return wait_for(ended, SUITE_PATIENCE) == CANO_OK ? 0 : 2;
}

static int run_heir(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_stream report;
    cano_os_handle secret;
    if (inherit("report", &report) != CANO_OK) {
        return 1;
    }
    return say(&report, cano_os_inherited("secret", &secret) == CANO_ENOENT ? 'y' : 'n') == CANO_OK ? 0 : 2;
}

static const char *const odd_words[] = { "two words", "", "\"quoted\"", "back\\slash\\", "tab\t", "*", "%PATH% $PATH", "\\\"" };

static int run_compare(int argc, char **argv)
{
    cano_os_stream report;
    bool same = argc == sizeof odd_words / sizeof odd_words[0];
    for (int i = 0; same && i < argc; i++) {
        same = strcmp(argv[i], odd_words[i]) == 0;
    }
    return inherit("report", &report) == CANO_OK && say(&report, same ? 'y' : 'n') == CANO_OK ? 0 : 1;
}

typedef struct grab {
    _Atomic int wins;
    _Atomic int waiting;
} grab;

/* Relaxed: that they begin at once needs no order, and the joins give it to what they counted. */
static void grab_once(void *context)
{
    grab *grabbing = context;
    cano_os_handle handle;
    int64_t since = 0;
    atomic_fetch_sub_explicit(&grabbing->waiting, 1, memory_order_relaxed);
    while (atomic_load_explicit(&grabbing->waiting, memory_order_relaxed) > 0 && suite_patience(&since)) {
    }
    if (cano_os_inherited("prize", &handle) == CANO_OK) {
        atomic_fetch_add_explicit(&grabbing->wins, 1, memory_order_relaxed);
    }
}

/* grab: four threads want the same. */
static int run_grab(int argc, char **argv)
{
    (void)argc, (void)argv;
    grab grabbing = { 0, 4 };
    suite_thread *threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = suite_thread_start(grab_once, &grabbing);
    }
    for (int i = 0; i < 4; i++) {
        suite_thread_end(threads[i]);
    }
    cano_os_stream report;
    const bool right = atomic_load_explicit(&grabbing.wins, memory_order_relaxed) == 1;
    return inherit("report", &report) == CANO_OK && say(&report, right ? 'y' : 'n') == CANO_OK ? 0 : 1;
}

/* ---- tests ---- */

static void handles_arrive_under_their_names(void)
{
    static const char *const names[] = { "one", "cano/bundle", LONGEST };
    static const char *const argv[] = { "", "role", "answer", LONGEST, "one", "cano/bundle", NULL };
    started child;
    CU_ASSERT_EQUAL_FATAL(start(&child, argv, names, 3), CANO_OK);
    CU_ASSERT(child.pid > 0);
    CU_ASSERT_EQUAL(hear(&child.streams[0]), 'b');
    CU_ASSERT_EQUAL(hear(&child.streams[1]), 'c');
    CU_ASSERT_EQUAL(hear(&child.streams[2]), 'a');
    CU_ASSERT_EQUAL(hear(&child.streams[0]), 0); /* no copy is left anywhere */
    finish(&child, 3);
}

static void process_starts_without_handles(void)
{
    static const char *const argv[] = { "", "role", "answer", NULL };
    started child;
    CU_ASSERT_EQUAL_FATAL(start(&child, argv, NULL, 0), CANO_OK);
    finish(&child, 0);
}

static void hundreds_of_handles_arrive(void)
{
    char texts[CROWD][8];
    const char *names[CROWD];
    for (int i = 0; i < CROWD; i++) {
        memcpy(texts[i], "hand/aa", 8);
        texts[i][5] = (char)('a' + i / 26);
        texts[i][6] = (char)('a' + i % 26);
        names[i] = texts[i];
    }
    static const char *const argv[] = { "", "role", "answer", "hand/aa", "hand/jw", "hand/ab", NULL };
    static started child;
    CU_ASSERT_EQUAL_FATAL(start(&child, argv, names, CROWD), CANO_OK);
    CU_ASSERT_EQUAL(hear(&child.streams[0]), 'a');
    CU_ASSERT_EQUAL(hear(&child.streams[256]), 'b');
    CU_ASSERT_EQUAL(hear(&child.streams[1]), 'c');
    finish(&child, CROWD);
}

static void ask(const char *role, const char *const *names, size_t count)
{
    const char *const argv[] = { "", "role", role, NULL };
    started child;
    CU_ASSERT_EQUAL_FATAL(start(&child, argv, names, count), CANO_OK);
    CU_ASSERT_EQUAL(hear(&child.streams[0]), 'y');
    finish(&child, count);
}

static void each_handle_is_had_once(void)
{
    static const char *const names[] = { "report", "other" };
    ask("twice", names, 2);
}

static void of_threads_that_want_the_same_one_gets_it(void)
{
    static const char *const names[] = { "report", "prize" };
    ask("grab", names, 2);
}

static void grandchild_gets_what_its_parent_names(void)
{
    static const char *const names[] = { "report", "secret" };
    ask("pass on", names, 2);
}

static void arguments_arrive_as_they_are(void)
{
    const char *argv[16] = { "", "role", "compare" };
    static const char *const names[] = { "report" };
    started child;
    memcpy(argv + 3, odd_words, sizeof odd_words);
    CU_ASSERT_EQUAL_FATAL(start(&child, argv, names, 1), CANO_OK);
    CU_ASSERT_EQUAL(hear(&child.streams[0]), 'y');
    finish(&child, 1);
}

static void end_is_readable_at_the_exit_and_not_before(void)
{
    static const char *const argv[] = { "", "role", "stay", NULL };
    static const char *const names[] = { "stay" };
    started child;
    CU_ASSERT_EQUAL_FATAL(start(&child, argv, names, 1), CANO_OK);
    CU_ASSERT_EQUAL(hear(&child.streams[0]), 'h');
    const int64_t deadline = cano_os_now() + DOZE;
    CU_ASSERT_EQUAL(wait_for(child.ended, DOZE), CANO_ETIMEOUT);
    CU_ASSERT(cano_os_now() >= deadline);
    cano_os_stream_close(&child.streams[0], true);
    CU_ASSERT_EQUAL(wait_for(child.ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(wait_for(child.ended, 0), CANO_OK); /* and stays so */
    finish(&child, 0);
}

static void missing_program_is_said_to_be_missing(void)
{
    static const char *const argv[] = { "/no/such/program", NULL };
    started child = { .pid = 77, .ended = 78 };
    CU_ASSERT_EQUAL(start(&child, argv, NULL, 0), CANO_ENOENT);
    CU_ASSERT(cano_os_error() != 0);
    CU_ASSERT_EQUAL(child.pid, 77);
    CU_ASSERT_EQUAL(child.ended, 78);
}

static void bad_names_of_hands_are_refused(void)
{
    static const char *const names[] = { "", "a=b", "a;b", "a b", LONGEST "x" };
    static const char *const argv[] = { "", "role", "answer", NULL };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        started child;
        CU_ASSERT_EQUAL(start(&child, argv, &names[i], 1), CANO_EINVAL);
        CU_ASSERT_EQUAL(hear(&child.streams[0]), 0);
        cano_os_stream_close(&child.streams[0], true);
    }
}

static void one_who_was_handed_nothing_inherits_nothing(void)
{
    cano_os_handle handle = 77;
    CU_ASSERT_EQUAL(cano_os_inherited("report", &handle), CANO_ENOENT);
    CU_ASSERT_EQUAL(handle, 77);
}

#define TEST(name)                                                                                                             \
    {                                                                                                                          \
#name, name                                                                                                            \
    }

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        TEST(handles_arrive_under_their_names),
        TEST(process_starts_without_handles),
        TEST(hundreds_of_handles_arrive),
        TEST(each_handle_is_had_once),
        TEST(of_threads_that_want_the_same_one_gets_it),
        TEST(grandchild_gets_what_its_parent_names),
        TEST(arguments_arrive_as_they_are),
        TEST(end_is_readable_at_the_exit_and_not_before),
        TEST(missing_program_is_said_to_be_missing),
        TEST(bad_names_of_hands_are_refused),
        TEST(one_who_was_handed_nothing_inherits_nothing),
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "answer", run_answer }, { "twice", run_twice }, { "stay", run_stay },       { "pass on", run_pass_on },
        { "heir", run_heir },     { "grab", run_grab },   { "compare", run_compare }, { NULL, NULL },
    };
    return suite_main(argc, argv, "os_process", tests, roles);
}
