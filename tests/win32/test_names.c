/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names on Windows: letters and lengths that trip others up, files that nobody leaves behind, and who may reach them.
 */
#include "suite.h"

#include "name.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define SIZE ((size_t)65536)

static void in_directory(const char *name, char path[CANO_OS_PATH_MAX])
{
    char directory[CANO_OS_PATH_MAX];
    CU_ASSERT_EQUAL_FATAL(cano_os_directory(directory, sizeof directory), CANO_OK);
    CU_ASSERT_FATAL(strlen(directory) + strlen(name) + 2 < CANO_OS_PATH_MAX);
    snprintf(path, CANO_OS_PATH_MAX, "%.*s/%s", (int)(CANO_OS_PATH_MAX - 110), directory, name);
}

static void make_named(const char *path, cano_os_segment *segment)
{
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_publish(segment, path), CANO_OK);
}

static void try_name(const char *path)
{
    cano_os_segment segment;
    cano_os_segment other;
    make_named(path, &segment);
    CU_ASSERT_EQUAL(cano_os_segment_open(&other, path, SIZE, 0), CANO_OK);
    segment.base[5] = 55;
    CU_ASSERT_EQUAL(other.base[5], 55);
    cano_os_segment_close(&other);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, &segment), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_open(&other, path, 1, 0), CANO_ENOENT);
    cano_os_segment_close(&segment);
}

static void names_with_a_meaning_are_names(void)
{
    static const char *const names[] = { "nul", "CON", "com1", "aux.txt", "ends-in-a-dot.", "a..b", "LPT9.queue" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[CANO_OS_PATH_MAX];
        in_directory(names[i], path);
        try_name(path);
    }
}

/* ---- another directory ---- */

static bool make_directory(wchar_t *path)
{
    return CreateDirectoryW(path, NULL) || GetLastError() == ERROR_ALREADY_EXISTS;
}

/* Names live in what the program was told, whatever its letters and its length. */
static void use_directory(wchar_t *directory)
{
    CU_ASSERT_FATAL(make_directory(directory));
    SetEnvironmentVariableW(L"CANO_DIR", wcsncmp(directory, L"\\\\?\\", 4) == 0 ? directory + 4 : directory);
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream stream;
    in_directory("queue", path);
    try_name(path);
    in_directory("listener", path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&stream, path), CANO_OK);
    cano_os_stream_close(&stream, true);
    cano_os_stream_close(&listener, true);
    SetEnvironmentVariableW(L"CANO_DIR", NULL);
    CU_ASSERT(RemoveDirectoryW(directory)); /* it is empty */
}

static void directory_may_have_any_letters(void)
{
    wchar_t path[600];
    GetTempPathW(300, path);
    wcscat(path, L"cano \u00e4\u20ac \u043a\u0430\u043d\u043e");
    use_directory(path);
}

static void directory_may_have_a_long_path(void)
{
    wchar_t path[800] = L"\\\\?\\";
    GetTempPathW(300, path + 4);
    const size_t front = wcslen(path);
    wchar_t middle[120];
    for (size_t i = 0; i < 100; i++) {
        middle[i] = L'd';
    }
    middle[100] = 0;
    wcscat(path, middle);
    CU_ASSERT_FATAL(make_directory(path));
    const size_t outer = wcslen(path);
    wcscat(path, L"\\");
    wcscat(path, middle);
    CU_ASSERT_FATAL(make_directory(path));
    const size_t inner = wcslen(path);
    wcscat(path, L"\\");
    wcscat(path, middle);
    CU_ASSERT(wcslen(path) > MAX_PATH);
    use_directory(path);
    path[inner] = 0;
    CU_ASSERT(RemoveDirectoryW(path));
    path[outer] = 0;
    CU_ASSERT(RemoveDirectoryW(path));
    CU_ASSERT(front < outer);
}

static void directory_that_is_none_is_refused(void)
{
    char path[CANO_OS_PATH_MAX];
    SetEnvironmentVariableA("CANO_DIR", "C:\\no such directory of ours");
    CU_ASSERT_EQUAL(cano_os_directory(path, sizeof path), CANO_ENOENT);
    char self[MAX_PATH];
    GetModuleFileNameA(NULL, self, sizeof self);
    SetEnvironmentVariableA("CANO_DIR", self);
    CU_ASSERT_EQUAL(cano_os_directory(path, sizeof path), CANO_EACCES);
    SetEnvironmentVariableA("CANO_DIR", NULL);
}

/* ---- what is left behind ---- */

static int count_files(const char *pattern)
{
    char path[CANO_OS_PATH_MAX];
    WIN32_FIND_DATAA found;
    in_directory(pattern, path);
    int count = 0;
    const HANDLE listing = FindFirstFileA(path, &found);
    for (BOOL more = listing != INVALID_HANDLE_VALUE; more; more = FindNextFileA(listing, &found)) {
        count++;
    }
    FindClose(listing);
    return count;
}

static void last_one_out_deletes_an_unlinked_file(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_segment maker;
    cano_os_segment other;
    in_directory(suite_name("unlinked"), path);
    make_named(path, &maker);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_open(&other, path, SIZE, 0), CANO_OK);
    const int before = count_files(".gone.*");
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_OK);
    CU_ASSERT_EQUAL(count_files(".gone.*"), before + 1);
    cano_os_segment_close(&maker);
    CU_ASSERT_EQUAL(count_files(".gone.*"), before + 1);
    other.base[0] = 1;
    cano_os_segment_close(&other);
    CU_ASSERT_EQUAL(count_files(".gone.*"), before);
}

static void unpublished_one_leaves_nothing(void)
{
    cano_os_segment segment;
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    const int with = count_files(".new.*");
    cano_os_segment_close(&segment);
    CU_ASSERT_EQUAL(count_files(".new.*"), with - 1);
}

/* argv: a path. Leaves an unlinked segment and an unpublished one to whoever comes. */
static int run_litter(int argc, char **argv)
{
    static cano_os_segment unlinked;
    static cano_os_segment unpublished;
    if (argc != 1 || cano_os_segment_open(&unlinked, argv[0], SIZE, 0) != CANO_OK ||
        cano_os_segment_unlink(argv[0], &unlinked) != CANO_OK ||
        cano_os_segment_create_named(&unpublished, SIZE, 0) != CANO_OK) {
        return 1;
    }
    TerminateProcess(GetCurrentProcess(), 5);
    return 2;
}

static void next_one_sweeps_up_what_the_killed_leave(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    in_directory(suite_name("litter"), path);
    make_named(path, &segment);
    cano_os_segment_close(&segment);
    const int gone = count_files(".gone.*");
    const int unfinished = count_files(".new.*");
    CU_ASSERT_EQUAL(suite_wait(suite_start("litter", path, NULL), SUITE_PATIENCE), 5);
    CU_ASSERT(count_files(".gone.*") <= gone + 1); /* Wine deletes it with its last handle */
    CU_ASSERT_EQUAL(count_files(".new.*"), unfinished + 1);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create_named(&segment, SIZE, 0), CANO_OK);
    CU_ASSERT_EQUAL(count_files(".gone.*"), gone);
    cano_os_segment_close(&segment);
    CU_ASSERT_EQUAL(count_files(".new.*"), unfinished);
}

static void closed_listener_leaves_nothing(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    const int gone = count_files(".gone.*");
    const int unfinished = count_files(".new.*");
    in_directory(suite_name("listener"), path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_EKIND);
    cano_os_stream_close(&listener, true);
    CU_ASSERT_EQUAL(count_files(".gone.*"), gone);
    CU_ASSERT_EQUAL(count_files(".new.*"), unfinished);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, NULL), CANO_ENOENT);
}

static HANDLE open_file(const char *path, DWORD access, DWORD how)
{
    const DWORD all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    const HANDLE file = CreateFileA(path, access, all, NULL, how, 0, NULL);
    CU_ASSERT_FATAL(file != INVALID_HANDLE_VALUE);
    return file;
}

/* What is left at the path when the machine stops: the file of a listener that nobody has open. */
static void listener_of_an_earlier_start_is_replaced(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream next;
    in_directory(suite_name("stale"), path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    char mark[256];
    DWORD size = 0;
    HANDLE file = open_file(path, GENERIC_READ, OPEN_EXISTING);
    CU_ASSERT(ReadFile(file, mark, sizeof mark, &size, NULL) && size > 0);
    CloseHandle(file);
    cano_os_stream_close(&listener, true);
    file = open_file(path, GENERIC_WRITE, CREATE_NEW);
    CU_ASSERT(WriteFile(file, mark, size, &size, NULL));
    CloseHandle(file);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&next, path), CANO_ENOENT);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&next, path), CANO_OK);
    cano_os_stream_close(&next, true);
    cano_os_stream_close(&listener, true);
}

static void other_files_keep_their_names(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream stream;
    cano_os_segment segment;
    in_directory(suite_name("text"), path);
    FILE *file = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("not ours", file);
    fclose(file);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, path, 0), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, path), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_os_segment_open(&segment, path, 1, 0), CANO_EKIND);
    CU_ASSERT_EQUAL(remove(path), 0);
}

/* What is mapped cannot be made smaller under those who have it. */
static void mapped_file_cannot_be_shrunk(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_segment segment;
    in_directory(suite_name("shrink"), path);
    make_named(path, &segment);
    const HANDLE file = open_file(path, GENERIC_WRITE, OPEN_EXISTING);
    CU_ASSERT_FALSE(SetEndOfFile(file));
    CloseHandle(file);
    CU_ASSERT_EQUAL(cano_os_segment_unlink(path, &segment), CANO_OK);
    cano_os_segment_close(&segment);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "names_with_a_meaning_are_names", names_with_a_meaning_are_names },
        { "directory_may_have_any_letters", directory_may_have_any_letters },
        { "directory_may_have_a_long_path", directory_may_have_a_long_path },
        { "directory_that_is_none_is_refused", directory_that_is_none_is_refused },
        { "last_one_out_deletes_an_unlinked_file", last_one_out_deletes_an_unlinked_file },
        { "unpublished_one_leaves_nothing", unpublished_one_leaves_nothing },
        { "next_one_sweeps_up_what_the_killed_leave", next_one_sweeps_up_what_the_killed_leave },
        { "closed_listener_leaves_nothing", closed_listener_leaves_nothing },
        { "listener_of_an_earlier_start_is_replaced", listener_of_an_earlier_start_is_replaced },
        { "other_files_keep_their_names", other_files_keep_their_names },
        { "mapped_file_cannot_be_shrunk", mapped_file_cannot_be_shrunk },
        { NULL, NULL },
    };
    static const suite_role roles[] = { { "litter", run_litter }, { NULL, NULL } };
    return suite_main(argc, argv, "win32 names", tests, roles);
}
