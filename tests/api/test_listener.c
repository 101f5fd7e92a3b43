/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that did not start each other meet by a name.
 */
#include "suite.h"

#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTORS 20

/* ---- helpers ---- */

static cano_listener *listen_to(const char *name, const cano_listener_options *options)
{
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, options), CANO_OK);
    return listener;
}

static cano_pipe *accept_one(cano_listener *listener)
{
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_accept(listener, &pipe, SUITE_PATIENCE), CANO_OK);
    return pipe;
}

static cano_status connect_status(const char *name, cano_timeout timeout)
{
    cano_pipe *pipe = NULL;
    const cano_status status = cano_connect(&pipe, name, NULL, timeout);
    CU_ASSERT_EQUAL(pipe != NULL, status == CANO_OK);
    cano_pipe_close(pipe);
    return status;
}

static cano_status listen_status(const char *name)
{
    cano_listener *listener = NULL;
    const cano_status status = cano_listener_create(&listener, name, NULL);
    CU_ASSERT_EQUAL(listener != NULL, status == CANO_OK);
    cano_listener_close(listener);
    return status;
}

/* Send each message back until the end comes. */
static void echo(cano_pipe *pipe)
{
    char message[64];
    size_t size;
    while (cano_pipe_recv(pipe, message, sizeof message, &size, SUITE_PATIENCE) == CANO_OK) {
        cano_pipe_send(pipe, message, size, SUITE_PATIENCE);
    }
    cano_pipe_close(pipe);
}

static bool is_echoed(cano_pipe *pipe, const char *message)
{
    char back[64] = "";
    size_t size = 0;
    return cano_pipe_send(pipe, message, strlen(message), SUITE_PATIENCE) == CANO_OK &&
           cano_pipe_recv(pipe, back, sizeof back, &size, SUITE_PATIENCE) == CANO_OK && size == strlen(message) &&
           memcmp(back, message, size) == 0;
}

static int end_of(suite_child *child)
{
    int status = suite_wait(child, SUITE_PATIENCE);
    if (status == SUITE_ALIVE) {
        suite_kill(child);
        suite_wait(child, SUITE_PATIENCE);
    }
    return status;
}

/* ---- what the children do ---- */

static int run_call(int argc, char **argv)
{
    cano_pipe *pipe;
    if (argc < 2 || cano_connect(&pipe, argv[0], NULL, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    const bool echoed = is_echoed(pipe, argv[1]);
    cano_pipe_close(pipe);
    return echoed ? 0 : 2;
}

/* Ends without closing anything. */
static int run_call_and_vanish(int argc, char **argv)
{
    cano_pipe *pipe;
    _Exit(argc < 1 || cano_connect(&pipe, argv[0], NULL, SUITE_PATIENCE) != CANO_OK ? 1 : 0);
}

/* Listen, echo to one caller, end. */
static int run_answer(int argc, char **argv)
{
    cano_listener *listener;
    cano_pipe *pipe;
    if (argc < 1 || cano_listener_create(&listener, argv[0], NULL) != CANO_OK) {
        return 1;
    }
    if (cano_listener_accept(listener, &pipe, SUITE_PATIENCE) != CANO_OK) {
        return 2;
    }
    echo(pipe);
    cano_listener_close(listener);
    return 0;
}

/* ---- two meet ---- */

static void meet(const cano_listener_options *options)
{
    const char *name = suite_name("meet");
    cano_listener *listener = listen_to(name, options);
    suite_child *caller = suite_start("call", name, "bom dia", NULL);
    cano_pipe *pipe = accept_one(listener);
    int64_t pid = 0;
    CU_ASSERT_EQUAL(cano_pipe_peer(pipe, &pid, NULL), CANO_OK);
    CU_ASSERT_EQUAL(pid, suite_pid(caller));
    echo(pipe);
    CU_ASSERT_EQUAL(end_of(caller), 0);
    cano_listener_close(listener);
}

static void two_processes_meet(void)
{
    meet(NULL);
}

static void two_processes_meet_by_a_stream(void)
{
    cano_listener_options options = CANO_LISTENER_OPTIONS_INIT;
    options.flags = CANO_PIPE_STREAM;
    meet(&options);
    options.flags = CANO_PIPE_MEMORY;
    meet(&options);
}

static void connect_waits_for_a_listener(void)
{
    const char *name = suite_name("later");
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(connect_status(name, 60000), CANO_ETIMEOUT);
    const int64_t took = suite_now() - start;
    CU_ASSERT(took >= 60000 && took < SUITE_PATIENCE);
    suite_child *caller = suite_start("call", name, "sou eu", NULL);
    CU_ASSERT_EQUAL(suite_wait(caller, 100000), SUITE_ALIVE); /* it waits: there is nobody yet */
    suite_child *answerer = suite_start("answer", name, NULL);
    CU_ASSERT_EQUAL(end_of(caller), 0);
    CU_ASSERT_EQUAL(end_of(answerer), 0);
}

static void connect_waits_for_accept(void)
{
    const char *name = suite_name("slow");
    cano_listener *listener = listen_to(name, NULL);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(connect_status(name, 60000), CANO_ETIMEOUT);
    CU_ASSERT(suite_now() - start >= 60000);
    CU_ASSERT_EQUAL(connect_status(name, CANO_NOW), CANO_ETIMEOUT);
    suite_child *caller = suite_start("call", name, "ainda", NULL);
    echo(accept_one(listener)); /* those who gave up before are passed over */
    CU_ASSERT_EQUAL(end_of(caller), 0);
    cano_listener_close(listener);
}

static void connect_now_does_not_wait(void)
{
    const char *name = suite_name("nobody");
    CU_ASSERT_EQUAL(connect_status(name, CANO_NOW), CANO_ENOENT);
    cano_listener_close(listen_to(name, NULL));
    CU_ASSERT_EQUAL(connect_status(name, CANO_NOW), CANO_ENOENT);
}

static void accept_and_close(void *context)
{
    cano_pipe *pipe;
    if (cano_listener_accept(context, &pipe, SUITE_PATIENCE) == CANO_OK) {
        echo(pipe);
    }
}

static void twenty_connect_at_once(void)
{
    const char *name = suite_name("twenty");
    cano_listener *listener = listen_to(name, NULL);
    suite_child *callers[CONNECTORS];
    suite_thread *threads[CONNECTORS];
    for (int i = 0; i < CONNECTORS; i++) {
        char message[16];
        snprintf(message, sizeof message, "number %d", i);
        callers[i] = suite_start("call", name, message, NULL);
    }
    for (int i = 0; i < CONNECTORS; i++) {
        threads[i] = suite_thread_start(accept_and_close, listener);
    }
    for (int i = 0; i < CONNECTORS; i++) {
        CU_ASSERT_EQUAL(end_of(callers[i]), 0);
    }
    for (int i = 0; i < CONNECTORS; i++) {
        suite_thread_end(threads[i]);
    }
    cano_listener_close(listener);
}

static void caller_that_vanished_is_heard_to_the_end(void)
{
    const char *name = suite_name("vanished");
    cano_listener *listener = listen_to(name, NULL);
    suite_child *caller = suite_start("call-and-vanish", name, NULL);
    cano_pipe *pipe = accept_one(listener);
    CU_ASSERT_EQUAL(cano_pipe_recv(pipe, NULL, 0, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(pipe);
    CU_ASSERT_EQUAL(end_of(caller), 0);
    cano_listener_close(listener);
}

/* ---- time and end ---- */

static void accept_times_out(void)
{
    cano_listener *listener = listen_to(suite_name("quiet"), NULL);
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL(cano_listener_accept(listener, &pipe, CANO_NOW), CANO_ETIMEOUT);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_listener_accept(listener, &pipe, 120000), CANO_ETIMEOUT);
    const int64_t took = suite_now() - start;
    CU_ASSERT(took >= 120000 && took < SUITE_PATIENCE);
    CU_ASSERT_PTR_NULL(pipe);
    cano_listener_close(listener);
}

typedef struct accepting {
    cano_listener *listener;
    cano_status status;
} accepting;

static void accept_for_ever(void *context)
{
    accepting *self = context;
    cano_pipe *pipe;
    self->status = cano_listener_accept(self->listener, &pipe, CANO_FOREVER);
}

static void close_ends_accept_in_another_thread(void)
{
    const char *name = suite_name("closing");
    accepting self = { listen_to(name, NULL), CANO_OK };
    suite_thread *thread = suite_thread_start(accept_for_ever, &self);
    int64_t since = 0;
    while (suite_patience(&since) && suite_now() - since < 20000) { /* most likely it is in accept now; right either way */
    }
    cano_listener_close(self.listener);
    CU_ASSERT_EQUAL(listen_status(name), CANO_OK); /* the name is free at once */
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(self.status, CANO_ECLOSED);
}

static void name_of_a_killed_listener_is_free(void)
{
    const char *name = suite_name("killed");
    suite_child *answerer = suite_start("answer", name, NULL);
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_connect(&pipe, name, NULL, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_TRUE(is_echoed(pipe, "vivo"));
    CU_ASSERT_EQUAL(listen_status(name), CANO_EEXIST);
    suite_kill(answerer);
    CU_ASSERT_EQUAL(end_of(answerer), SUITE_KILLED);
    CU_ASSERT_EQUAL(cano_pipe_recv(pipe, NULL, 0, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(pipe);
    CU_ASSERT_EQUAL(connect_status(name, CANO_NOW), CANO_ENOENT);
    CU_ASSERT_EQUAL(listen_status(name), CANO_OK);
}

/* ---- names ---- */

static void second_listener_is_eexist(void)
{
    const char *name = suite_name("second");
    cano_listener *listener = listen_to(name, NULL);
    CU_ASSERT_EQUAL(listen_status(name), CANO_EEXIST);
    cano_listener_close(listener);
    CU_ASSERT_EQUAL(listen_status(name), CANO_OK);
}

static void queues_and_listeners_share_their_names(void)
{
    const char *name = suite_name("shared");
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, name, NULL), CANO_OK);
    CU_ASSERT_EQUAL(listen_status(name), CANO_EEXIST);
    CU_ASSERT_EQUAL(connect_status(name, CANO_NOW), CANO_EKIND);
    CU_ASSERT_EQUAL(connect_status(name, SUITE_PATIENCE), CANO_EKIND);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);

    cano_listener *listener = listen_to(name, NULL);
    CU_ASSERT_EQUAL(cano_queue_create(&queue, name, NULL), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_queue_open(&queue, name, NULL), CANO_EKIND);
    cano_listener_close(listener);
}

static void bad_names_are_refused(void)
{
    char longest[102];
    char huge[301];
    memset(longest, 'n', sizeof longest);
    memset(huge, 'n', sizeof huge);
    longest[101] = '\0';
    huge[300] = '\0';
    const char *const bad[] = { NULL, "", ".", "..", ".hidden", "a/b", "/a", "a b", "\xc3\xa7", "a\n", longest, huge };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_EQUAL(listen_status(bad[i]), CANO_EINVAL);
        CU_ASSERT_EQUAL(connect_status(bad[i], CANO_NOW), CANO_EINVAL);
    }
    longest[100] = '\0';
    CU_ASSERT_EQUAL(listen_status(longest), CANO_OK);
    CU_ASSERT_EQUAL(listen_status("x"), CANO_OK);
}

static void long_names_lead_to_their_listeners(void)
{
    char name[101];
    memset(name, '-', sizeof name);
    snprintf(name, sizeof name, "%s", suite_name("long"));
    name[strlen(name)] = '-';
    name[100] = '\0';
    cano_listener *listener = listen_to(name, NULL);
    suite_child *caller = suite_start("call", name, "longe", NULL);
    echo(accept_one(listener));
    CU_ASSERT_EQUAL(end_of(caller), 0);
    CU_ASSERT_EQUAL(listen_status(name), CANO_EEXIST);
    cano_listener_close(listener);
    CU_ASSERT_EQUAL(connect_status(name, CANO_NOW), CANO_ENOENT);
}

/* ---- arguments ---- */

static void bad_options_are_refused(void)
{
    const char *name = suite_name("options");
    struct {
        cano_listener_options known;
        uint64_t unknown;
    } longer = { { sizeof longer, 0, 0 }, 1 };
    const struct {
        cano_listener_options options;
        cano_status expected;
    } cases[] = {
        { { sizeof(cano_listener_options) - 1, 0, 0 }, CANO_EINVAL },
        { { sizeof(cano_listener_options), CANO_PIPE_MEMORY | CANO_PIPE_STREAM, 0 }, CANO_EINVAL },
        { { sizeof(cano_listener_options), CANO_SIMPLEX, 0 }, CANO_EINVAL },
        { { sizeof(cano_listener_options), 64, 0 }, CANO_EINVAL },
        { { sizeof(cano_listener_options), 0, 3 }, CANO_EINVAL },
    };
    cano_listener *listener = NULL;
    cano_pipe *pipe = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CU_ASSERT_EQUAL(cano_listener_create(&listener, name, &cases[i].options), cases[i].expected);
        CU_ASSERT_EQUAL(cano_connect(&pipe, name, &cases[i].options, CANO_NOW), cases[i].expected);
    }
    CU_ASSERT_EQUAL(cano_listener_create(&listener, name, &longer.known), CANO_ENOTSUP);
    CU_ASSERT_EQUAL(cano_connect(&pipe, name, &longer.known, CANO_NOW), CANO_ENOTSUP);
    const cano_listener_options stream = { sizeof stream, CANO_PIPE_STREAM, 0 };
    CU_ASSERT_EQUAL(cano_connect(&pipe, name, &stream, CANO_NOW), CANO_EINVAL); /* the listener chooses */
    CU_ASSERT_PTR_NULL(listener);
    CU_ASSERT_PTR_NULL(pipe);
}

static void missing_arguments_are_refused(void)
{
    const char *name = suite_name("missing");
    cano_listener *listener = listen_to(name, NULL);
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL(cano_listener_create(NULL, name, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_listener_accept(NULL, &pipe, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_listener_accept(listener, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_listener_accept(listener, &pipe, -2), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_connect(NULL, name, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_connect(&pipe, name, NULL, -2), CANO_EINVAL);
    CU_ASSERT_PTR_NULL(pipe);
    cano_listener_close(listener);
    cano_listener_close(NULL);
}

static const suite_test tests[] = {
    { "two_processes_meet", two_processes_meet },
    { "two_processes_meet_by_a_stream", two_processes_meet_by_a_stream },
    { "connect_waits_for_a_listener", connect_waits_for_a_listener },
    { "connect_waits_for_accept", connect_waits_for_accept },
    { "connect_now_does_not_wait", connect_now_does_not_wait },
    { "twenty_connect_at_once", twenty_connect_at_once },
    { "caller_that_vanished_is_heard_to_the_end", caller_that_vanished_is_heard_to_the_end },
    { "accept_times_out", accept_times_out },
    { "close_ends_accept_in_another_thread", close_ends_accept_in_another_thread },
    { "name_of_a_killed_listener_is_free", name_of_a_killed_listener_is_free },
    { "second_listener_is_eexist", second_listener_is_eexist },
    { "queues_and_listeners_share_their_names", queues_and_listeners_share_their_names },
    { "bad_names_are_refused", bad_names_are_refused },
    { "long_names_lead_to_their_listeners", long_names_lead_to_their_listeners },
    { "bad_options_are_refused", bad_options_are_refused },
    { "missing_arguments_are_refused", missing_arguments_are_refused },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "call", run_call },
    { "call-and-vanish", run_call_and_vanish },
    { "answer", run_answer },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "listener", tests, roles);
}
