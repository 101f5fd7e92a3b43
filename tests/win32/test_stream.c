/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams on Windows: the handle in an event loop of the caller's own, threads that end, and handles whose sender is dead.
 */
#include "suite.h"

#include "name.h"
#include "os.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

#define DOZE 50 /* milliseconds */

static void pair(cano_os_stream ends[2])
{
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(ends), CANO_OK);
}

static void close_pair(cano_os_stream ends[2])
{
    cano_os_stream_close(&ends[0], true);
    cano_os_stream_close(&ends[1], true);
}

static cano_status say(cano_os_stream *stream, char letter)
{
    size_t written;
    return cano_os_stream_write(stream, &letter, 1, NULL, 0, &written);
}

static char hear(cano_os_stream *stream)
{
    char letter = 0;
    size_t got;
    cano_os_pollable watched = { stream->handle, false, false };
    const cano_status status = cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE);
    return status == CANO_OK && cano_os_stream_read(stream, &letter, 1, NULL, NULL, &got) == CANO_OK ? letter : 0;
}

static bool is_up(const cano_os_stream *stream, DWORD milliseconds)
{
    return WaitForSingleObject((HANDLE)stream->handle, milliseconds) == WAIT_OBJECT_0;
}

/* ---- the handle, waited for by other means than ours ---- */

static void handle_is_signalled_by_a_byte(void)
{
    cano_os_stream ends[2];
    char letter;
    size_t got;
    pair(ends);
    CU_ASSERT_FALSE(is_up(&ends[0], DOZE));
    say(&ends[1], 'x');
    CU_ASSERT(is_up(&ends[0], 0));
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[0], &letter, 1, NULL, NULL, &got), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[0], &letter, 1, NULL, NULL, &got), CANO_ETIMEOUT); /* takes it down */
    CU_ASSERT_FALSE(is_up(&ends[0], DOZE));
    say(&ends[1], 'y');
    CU_ASSERT(is_up(&ends[0], 0));
    close_pair(ends);
}

static void handle_is_signalled_by_the_end(void)
{
    cano_os_stream ends[2];
    pair(ends);
    cano_os_stream_close(&ends[1], false);
    CU_ASSERT(is_up(&ends[0], (DWORD)(SUITE_PATIENCE / 1000)));
    cano_os_stream_close(&ends[0], true);
}

typedef struct made {
    cano_os_stream ends[2];
} made;

static void make_in_thread(void *context)
{
    pair(((made *)context)->ends);
}

/* The system ends what a thread began when the thread ends. */
static void end_is_noticed_although_the_maker_thread_is_gone(void)
{
    made streams;
    char letter;
    size_t got;
    suite_thread_end(suite_thread_start(make_in_thread, &streams));
    CU_ASSERT_EQUAL(cano_os_stream_read(&streams.ends[0], &letter, 1, NULL, NULL, &got), CANO_ETIMEOUT);
    CU_ASSERT_FALSE(is_up(&streams.ends[0], DOZE));
    cano_os_stream_close(&streams.ends[1], false);
    CU_ASSERT(is_up(&streams.ends[0], (DWORD)(SUITE_PATIENCE / 1000)));
    CU_ASSERT_EQUAL(cano_os_stream_read(&streams.ends[0], &letter, 1, NULL, NULL, &got), CANO_ECLOSED);
    cano_os_stream_close(&streams.ends[0], true);
}

/* ---- handles on their way ---- */

static bool inherit(const char *name, cano_os_stream *stream)
{
    cano_os_handle handle;
    return cano_os_inherited(name, &handle) == CANO_OK && cano_os_stream_adopt(stream, handle) == CANO_OK;
}

/* Sends one end of a pair, with a letter in it, and dies at once. */
static int run_send_and_die(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_stream carrier;
    cano_os_stream ends[2];
    size_t written;
    if (!inherit("carrier", &carrier) || cano_os_stream_pair(ends) != CANO_OK || say(&ends[0], 'k') != CANO_OK ||
        cano_os_stream_write(&carrier, "h", 1, &ends[1].handle, 1, &written) != CANO_OK) {
        return 1;
    }
    TerminateProcess(GetCurrentProcess(), 5);
    return 2;
}

static int64_t start_with(const char *role, const char *name, cano_os_stream *end, cano_os_handle *ended)
{
    const char *const argv[] = { "", "role", role, NULL };
    const cano_os_hand hand = { name, end->handle };
    int64_t pid = 0;
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, &hand, 1, &pid, ended), CANO_OK);
    cano_os_stream_close(end, false);
    return pid;
}

static int code_of(int64_t pid, cano_os_handle ended)
{
    cano_os_pollable watched = { ended, false, false };
    int code = -1;
    int signal;
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_reap(pid, ended, &code, &signal), CANO_OK);
    cano_os_close(ended);
    return code;
}

static bool receive(cano_os_stream *carrier, cano_os_stream *stream)
{
    cano_os_handle passed[8];
    size_t count = 0;
    size_t got;
    char letter = 0;
    cano_os_pollable watched = { carrier->handle, false, false };
    return cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE) == CANO_OK &&
           cano_os_stream_read(carrier, &letter, 1, passed, &count, &got) == CANO_OK && count == 1 &&
           cano_os_stream_adopt(stream, passed[0]) == CANO_OK;
}

static void sent_end_arrives_although_the_sender_is_dead(void)
{
    cano_os_stream carrier[2];
    cano_os_stream stream;
    cano_os_handle ended;
    pair(carrier);
    const int64_t pid = start_with("send and die", "carrier", &carrier[1], &ended);
    CU_ASSERT_EQUAL(code_of(pid, ended), 5);
    CU_ASSERT_FATAL(receive(&carrier[0], &stream));
    CU_ASSERT_EQUAL(hear(&stream), 'k');
    CU_ASSERT_EQUAL(hear(&stream), 0);
    CU_ASSERT_EQUAL(say(&stream, 'x'), CANO_ECLOSED);
    cano_os_stream_close(&stream, true);
    cano_os_stream_close(&carrier[0], true);
}

/* Takes out of the stream it was given what was in it before it started. */
static int run_take_out(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_stream carrier;
    cano_os_stream inner;
    cano_os_stream innermost;
    if (!inherit("carrier", &carrier) || !receive(&carrier, &inner) || !receive(&inner, &innermost)) {
        return 1;
    }
    return say(&innermost, 'i') == CANO_OK ? 7 : 3;
}

/* An end in an end in an end, none of them unpacked before the outermost moves. */
static void ends_in_moving_ends_move_along(void)
{
    cano_os_stream carrier[2];
    cano_os_stream inner[2];
    cano_os_stream innermost[2];
    cano_os_handle ended;
    size_t written;
    pair(carrier);
    pair(inner);
    pair(innermost);
    CU_ASSERT_EQUAL(cano_os_stream_write(&inner[0], "1", 1, &innermost[1].handle, 1, &written), CANO_OK);
    cano_os_stream_close(&innermost[1], false);
    CU_ASSERT_EQUAL(cano_os_stream_write(&carrier[0], "2", 1, &inner[1].handle, 1, &written), CANO_OK);
    cano_os_stream_close(&inner[1], false);
    const int64_t pid = start_with("take out", "carrier", &carrier[1], &ended);
    cano_os_stream_close(&inner[0], false);
    CU_ASSERT_EQUAL(hear(&innermost[0]), 'i');
    CU_ASSERT_EQUAL(code_of(pid, ended), 7);
    CU_ASSERT_EQUAL(hear(&innermost[0]), 0);
    cano_os_stream_close(&innermost[0], true);
    cano_os_stream_close(&carrier[0], true);
}

/* Never takes what it was given. */
static int run_ignore(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 7;
}

static void end_that_was_not_taken_falls_with_its_process(void)
{
    cano_os_stream carrier[2];
    cano_os_stream thing[2];
    cano_os_handle ended;
    size_t written;
    pair(carrier);
    pair(thing);
    CU_ASSERT_EQUAL(cano_os_stream_write(&carrier[0], "x", 1, &thing[1].handle, 1, &written), CANO_OK);
    cano_os_stream_close(&thing[1], false);
    const int64_t pid = start_with("ignore", "carrier", &carrier[1], &ended);
    CU_ASSERT_EQUAL(code_of(pid, ended), 7);
    CU_ASSERT_EQUAL(hear(&carrier[0]), 0);
    CU_ASSERT_EQUAL(hear(&thing[0]), 0);
    cano_os_stream_close(&thing[0], true);
    cano_os_stream_close(&carrier[0], true);
}

/* ---- leases that are handed over ---- */

#define SLOT 3

/* Holds the lease until the line closes. */
static int run_hold(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_stream line;
    cano_os_handle lease;
    if (!inherit("line", &line) || cano_os_inherited("lease", &lease) != CANO_OK || cano_os_lease_adopt(&lease) != CANO_OK) {
        return 1;
    }
    say(&line, 'h');
    hear(&line);
    return 7;
}

/* argv: path. Starts one who holds, and dies. */
static int run_hand_over_and_die(int argc, char **argv)
{
    cano_os_stream line;
    cano_os_segment segment;
    cano_os_identity identity;
    cano_os_hand hands[2] = { { "line", CANO_OS_NONE }, { "lease", CANO_OS_NONE } };
    const char *const words[] = { "", "role", "hold", NULL };
    int64_t pid;
    cano_os_handle ended;
    if (argc != 1 || !inherit("line", &line) || cano_os_segment_open(&segment, argv[0], 1, 0) != CANO_OK ||
        cano_os_lease_take(&segment, SLOT, &hands[1].handle, &identity) != CANO_OK) {
        return 1;
    }
    hands[0].handle = line.handle;
    return cano_os_spawn(words, hands, 2, &pid, &ended) == CANO_OK ? 7 : 2;
}

static void lease_lives_with_the_child_it_was_handed_to(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    cano_os_stream line[2];
    cano_os_handle ended;
    const cano_os_identity nobody = { 0, 0 };
    int64_t pid = 0;
    CU_ASSERT_EQUAL_FATAL(cano_name_path(suite_name("lease"), path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, 65536, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_publish(&segment, path), CANO_OK);
    pair(line);
    const char *const argv[] = { "", "role", "hand over and die", path, NULL };
    const cano_os_hand hand = { "line", line[1].handle };
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, &hand, 1, &pid, &ended), CANO_OK);
    cano_os_stream_close(&line[1], false);
    CU_ASSERT_EQUAL(code_of(pid, ended), 7); /* the one who took it is gone */
    CU_ASSERT(cano_os_lease_alive(&segment, SLOT, &nobody));
    CU_ASSERT_EQUAL(hear(&line[0]), 'h');
    CU_ASSERT(cano_os_lease_alive(&segment, SLOT, &nobody));
    cano_os_stream_close(&line[0], true);
    int64_t since = 0;
    while (cano_os_lease_alive(&segment, SLOT, &nobody) && suite_patience(&since)) {
    }
    CU_ASSERT_FALSE(cano_os_lease_alive(&segment, SLOT, &nobody));
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, &segment), CANO_OK);
    cano_os_segment_close(&segment);
}

/* ---- what only the system can promise ---- */

static bool is_wine(void)
{
    return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
}

static void name_of_a_pipe_has_one_maker(void)
{
    char name[80];
    snprintf(name, sizeof name, "\\\\.\\pipe\\%s", suite_name("cano-test"));
    const HANDLE first = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, 0, 2, 0, 0, 0, NULL);
    const HANDLE second = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, 0, 2, 0, 0, 0, NULL);
    CU_ASSERT(first != INVALID_HANDLE_VALUE);
    if (is_wine()) {
        printf("not proved here, Wine does not enforce it: ");
    } else {
        CU_ASSERT(second == INVALID_HANDLE_VALUE);
    }
    CloseHandle(first);
    if (second != INVALID_HANDLE_VALUE) {
        CloseHandle(second);
    }
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "handle_is_signalled_by_a_byte", handle_is_signalled_by_a_byte },
        { "handle_is_signalled_by_the_end", handle_is_signalled_by_the_end },
        { "end_is_noticed_although_the_maker_thread_is_gone", end_is_noticed_although_the_maker_thread_is_gone },
        { "sent_end_arrives_although_the_sender_is_dead", sent_end_arrives_although_the_sender_is_dead },
        { "ends_in_moving_ends_move_along", ends_in_moving_ends_move_along },
        { "end_that_was_not_taken_falls_with_its_process", end_that_was_not_taken_falls_with_its_process },
        { "lease_lives_with_the_child_it_was_handed_to", lease_lives_with_the_child_it_was_handed_to },
        { "name_of_a_pipe_has_one_maker", name_of_a_pipe_has_one_maker },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "send and die", run_send_and_die },
        { "take out", run_take_out },
        { "ignore", run_ignore },
        { "hold", run_hold },
        { "hand over and die", run_hand_over_and_die },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "win32 stream", tests, roles);
}
