/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One bad caller does not keep the others waiting.
 */
#include "suite.h"

#include "name.h"
#include "os.h"

#include <cano/listener.h>
#include <string.h>

#define SILENT 3

static int run_call(int argc, char **argv)
{
    cano_pipe *pipe;
    if (argc < 1 || cano_connect(&pipe, argv[0], NULL, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    const bool sent = cano_pipe_send(pipe, "x", 1, SUITE_PATIENCE) == CANO_OK;
    cano_pipe_close(pipe);
    return sent ? 0 : 2;
}

/* Knock without a word of the protocol. */
static void knock(const char *name, cano_os_stream *stream, const void *words, size_t size)
{
    char path[CANO_OS_PATH_MAX];
    size_t written = 0;
    CU_ASSERT_EQUAL_FATAL(cano_name_path(name, path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(stream, path), CANO_OK);
    if (size > 0) {
        CU_ASSERT_EQUAL(cano_os_stream_write(stream, words, size, NULL, 0, &written), CANO_OK);
    }
}

/* The honest caller behind those who knocked gets through. */
static void expect_honest_caller(cano_listener *listener, const char *name)
{
    suite_child *caller = suite_start("call", name, NULL);
    cano_pipe *pipe = NULL;
    char message;
    CU_ASSERT_EQUAL_FATAL(cano_listener_accept(listener, &pipe, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv(pipe, &message, 1, NULL, SUITE_PATIENCE), CANO_OK);
    cano_pipe_close(pipe);
    CU_ASSERT_EQUAL(suite_wait(caller, SUITE_PATIENCE), 0);
}

static cano_listener *listen_to(const char *name)
{
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    return listener;
}

static void silent_callers_hold_nobody_up(void)
{
    const char *name = suite_name("silent");
    cano_listener *listener = listen_to(name);
    cano_os_stream silent[SILENT];
    for (int i = 0; i < SILENT; i++) {
        knock(name, &silent[i], NULL, 0);
    }
    for (int i = 0; i < SILENT; i++) {
        cano_pipe *pipe = NULL;
        char message;
        CU_ASSERT_EQUAL_FATAL(cano_listener_accept(listener, &pipe, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(cano_pipe_recv(pipe, &message, 1, NULL, CANO_NOW), CANO_ETIMEOUT);
        cano_os_stream_close(&silent[i], true);
        CU_ASSERT_EQUAL(cano_pipe_recv(pipe, &message, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
        cano_pipe_close(pipe);
    }
    expect_honest_caller(listener, name);
    cano_listener_close(listener);
}

static void callers_that_vanished_are_passed_over(void)
{
    const char *name = suite_name("vanished");
    cano_listener *listener = listen_to(name);
    for (int i = 0; i < SILENT; i++) {
        cano_os_stream stream;
        knock(name, &stream, NULL, 0);
        cano_os_stream_close(&stream, true);
    }
    expect_honest_caller(listener, name);
    cano_listener_close(listener);
}

/* Nothing that a caller says can harm more than the pipe to it. */
static void hear_nonsense(uint32_t transport)
{
    const char *name = suite_name("nonsense");
    cano_listener_options options = CANO_LISTENER_OPTIONS_INIT;
    options.flags = transport;
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, &options), CANO_OK);
    for (int i = 0; i < 256; i += 15) {
        unsigned char words[512];
        memset(words, i, sizeof words);
        cano_os_stream stream;
        knock(name, &stream, words, sizeof words);
        cano_pipe *pipe = NULL;
        CU_ASSERT_EQUAL_FATAL(cano_listener_accept(listener, &pipe, SUITE_PATIENCE), CANO_OK);
        cano_os_stream_close(&stream, true);
        char message[64];
        cano_status status = CANO_OK;
        for (int calls = 0; status == CANO_OK && calls < 512; calls++) {
            status = cano_pipe_recv(pipe, message, sizeof message, NULL, SUITE_PATIENCE);
        }
        CU_ASSERT(status != CANO_OK && status != CANO_ETIMEOUT);
        cano_pipe_close(pipe);
    }
    expect_honest_caller(listener, name);
    cano_listener_close(listener);
}

static void nonsense_harms_only_its_pipe(void)
{
    hear_nonsense(CANO_PIPE_MEMORY);
    hear_nonsense(CANO_PIPE_STREAM);
}

static void names_have_one_place(void)
{
    char path[CANO_OS_PATH_MAX];
    char directory[CANO_OS_PATH_MAX];
    CU_ASSERT_EQUAL(cano_os_directory(directory, sizeof directory), CANO_OK);
    CU_ASSERT_EQUAL(cano_name_path("a.b_c-D9", path), CANO_OK);
    CU_ASSERT_EQUAL(strncmp(path, directory, strlen(directory)), 0);
    CU_ASSERT_STRING_EQUAL(path + strlen(directory), "/a.b_c-D9");
    memcpy(path, "same", 5);
    CU_ASSERT_EQUAL(cano_name_path(".a", path), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_name_path("a/b", path), CANO_EINVAL);
    CU_ASSERT_STRING_EQUAL(path, "same");
}

static const suite_test tests[] = {
    { "silent_callers_hold_nobody_up", silent_callers_hold_nobody_up },
    { "callers_that_vanished_are_passed_over", callers_that_vanished_are_passed_over },
    { "nonsense_harms_only_its_pipe", nonsense_harms_only_its_pipe },
    { "names_have_one_place", names_have_one_place },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "call", run_call },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "listener", tests, roles);
}
