/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a process on Windows: the command line as the child reads it, and exactly the named handles.
 */
#include "suite.h"

#include "os.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#define RIGHT 42 /* exit status of a child that found everything as it should be */

static const char *const awkward[] = {
    "",
    " ",
    "two words",
    "\"",
    "\"\"",
    "a\"b",
    "\\",
    "\\\\",
    "ends in\\",
    "ends in two\\\\",
    "C:\\a dir\\",
    "\\\"",
    "\\\\\"",
    "a\\\\b",
    "\t",
    "%PATH%",
    "^&|<>()!",
    "*?",
    "/slash",
    "a\nb",
    "\xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x9f", /* umlauts, a euro, a fish */
    "\xd0\xba\xd0\xb0\xd0\xbd\xd0\xbe",
    "-",
    "'",
};
#define AWKWARD (sizeof awkward / sizeof awkward[0])

/* How it ended; -1: it did not start. */
static int run(const char *role, const char *const *arguments, size_t count, const cano_os_hand *hands, size_t hands_count)
{
    const char *argv[3 + AWKWARD + 1] = { "", "role", role };
    int64_t pid;
    cano_os_handle ended;
    memcpy(argv + 3, arguments, count * sizeof *arguments);
    if (cano_os_spawn(argv, hands, hands_count, &pid, &ended) != CANO_OK) {
        return -1;
    }
    cano_os_pollable watched = { ended, false, false };
    int code = -1;
    int signal = 0;
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_reap(pid, ended, &code, &signal), CANO_OK);
    cano_os_close(ended);
    return code;
}

static int run_compare(int argc, char **argv)
{
    for (int i = 0; argc == (int)AWKWARD && i < argc; i++) {
        if (strcmp(argv[i], awkward[i]) != 0) {
            return i;
        }
    }
    return argc == (int)AWKWARD ? RIGHT : 100;
}

static void awkward_arguments_arrive_as_they_are(void)
{
    CU_ASSERT_EQUAL(run("compare", awkward, AWKWARD, NULL, 0), RIGHT);
}

static void arguments_beyond_the_limit_are_refused(void)
{
    static char large[40000];
    const char *arguments[] = { large };
    memset(large, 'x', sizeof large - 1);
    CU_ASSERT_EQUAL(run("compare", arguments, 1, NULL, 0), -1);
}

static void text_that_is_no_utf8_is_refused(void)
{
    const char *arguments[] = { "\xff\xfe" };
    CU_ASSERT_EQUAL(run("compare", arguments, 1, NULL, 0), -1);
}

/* ---- handles ---- */

/* argv: name of an event that the parent has an inheritable handle of, and closes. */
static int run_stranger(int argc, char **argv)
{
    cano_os_handle handle;
    if (argc != 1 || cano_os_inherited("gate", &handle) != CANO_OK) {
        return 1;
    }
    WaitForSingleObject((HANDLE)handle, (DWORD)(SUITE_PATIENCE / 1000)); /* the parent has let go */
    const HANDLE event = OpenEventA(SYNCHRONIZE, FALSE, argv[0]);
    return event == NULL && GetLastError() == ERROR_FILE_NOT_FOUND ? RIGHT : 2;
}

static void inheritable_handles_that_were_not_named_stay_here(void)
{
    char name[80];
    SECURITY_ATTRIBUTES inheritable = { .nLength = sizeof inheritable, .bInheritHandle = TRUE };
    snprintf(name, sizeof name, "Local\\%s", suite_name("cano-test"));
    const HANDLE secret = CreateEventA(&inheritable, TRUE, FALSE, name);
    const HANDLE gate = CreateEventA(NULL, TRUE, FALSE, NULL);
    const cano_os_hand hand = { "gate", (cano_os_handle)gate };
    const char *const argv[] = { "", "role", "stranger", name, NULL };
    int64_t pid;
    cano_os_handle ended;
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, &hand, 1, &pid, &ended), CANO_OK);
    CloseHandle(secret);
    SetEvent(gate);
    cano_os_pollable watched = { ended, false, false };
    int code = -1;
    int signal = 0;
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_reap(pid, ended, &code, &signal), CANO_OK);
    CU_ASSERT_EQUAL(code, RIGHT);
    cano_os_close(ended);
    CloseHandle(gate);
}

static void closed_handle_is_refused(void)
{
    const HANDLE event = CreateEventA(NULL, TRUE, FALSE, NULL);
    const cano_os_hand hands[] = { { "gone", (cano_os_handle)event }, { "none", CANO_OS_NONE } };
    CloseHandle(event);
    CU_ASSERT_EQUAL(run("compare", NULL, 0, &hands[0], 1), -1);
    CU_ASSERT_EQUAL(run("compare", NULL, 0, &hands[1], 1), -1);
}

/* What a grandchild that was started by other means makes of the variable. */
static int run_grandchild(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_handle handle;
    char text[40];
    const bool told = GetEnvironmentVariableA("CANO_HANDS", text, sizeof text) > 0;
    return told && cano_os_inherited("gate", &handle) == CANO_ENOENT ? RIGHT : 1;
}

static int run_parent(int argc, char **argv)
{
    (void)argc, (void)argv;
    return suite_wait(suite_start("grandchild", NULL), SUITE_PATIENCE);
}

static void grandchild_started_by_other_means_inherits_nothing(void)
{
    const HANDLE gate = CreateEventA(NULL, TRUE, FALSE, NULL);
    const cano_os_hand hand = { "gate", (cano_os_handle)gate };
    CU_ASSERT_EQUAL(run("parent", NULL, 0, &hand, 1), RIGHT);
    CloseHandle(gate);
}

static void program_is_found_without_its_ending(void)
{
    char path[MAX_PATH];
    GetModuleFileNameA(NULL, path, sizeof path);
    char *ending = strrchr(path, '.');
    CU_ASSERT_PTR_NOT_NULL_FATAL(ending);
    *ending = 0;
    const char *const argv[] = { path, "role", "compare", NULL };
    int64_t pid;
    cano_os_handle ended;
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, NULL, 0, &pid, &ended), CANO_OK);
    cano_os_pollable watched = { ended, false, false };
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE), CANO_OK);
    cano_os_close(ended);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "awkward_arguments_arrive_as_they_are", awkward_arguments_arrive_as_they_are },
        { "arguments_beyond_the_limit_are_refused", arguments_beyond_the_limit_are_refused },
        { "text_that_is_no_utf8_is_refused", text_that_is_no_utf8_is_refused },
        { "inheritable_handles_that_were_not_named_stay_here", inheritable_handles_that_were_not_named_stay_here },
        { "closed_handle_is_refused", closed_handle_is_refused },
        { "grandchild_started_by_other_means_inherits_nothing", grandchild_started_by_other_means_inherits_nothing },
        { "program_is_found_without_its_ending", program_is_found_without_its_ending },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "compare", run_compare },       { "stranger", run_stranger }, { "grandchild", run_grandchild },
        { "parent", run_parent },         { NULL, NULL },
    };
    return suite_main(argc, argv, "win32 process", tests, roles);
}
