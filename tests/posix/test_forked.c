/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fork copies of processes, hands and listeners, and what it does not; and other users.
 */
#include "suite.h"

#include "latch.h"

#include <cano/cano.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define SHORT_PATIENCE INT64_C(300000)

/* ---- helpers ---- */

/* Run body in a forked child; its exit status, or -1. */
static int in_fork(int (*body)(void *), void *context)
{
    const pid_t child = fork();
    if (child == 0) {
        alarm(60); /* a hang must fail */
        _exit(body(context));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static cano_process *spawn(const char *role, const cano_hand *hands, size_t count)
{
    const char *const argv[] = { CANO_SELF, "role", role, NULL };
    const cano_process_options options = { sizeof options, hands, count };
    cano_process *process = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&process, argv, &options), CANO_OK);
    return process;
}

static cano_process *spawn_lingering(cano_pipe **line)
{
    cano_pipe *far;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(line, &far, NULL), CANO_OK);
    const cano_hand hand = { "line", NULL, far, 0, 0 };
    return spawn("linger", &hand, 1);
}

static int code_of(cano_process *process)
{
    cano_exit ended = { -2, -2 };
    if (cano_process_wait(process, &ended, SUITE_PATIENCE) != CANO_OK) {
        cano_process_kill(process);
    }
    cano_process_close(process);
    return ended.code;
}

/* ---- what the children do ---- */

static int run_linger(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *line;
    if (cano_inherited_pipe("line", &line) != CANO_OK) {
        return 1;
    }
    const bool closed = cano_pipe_recv(line, NULL, 0, NULL, CANO_FOREVER) == CANO_ECLOSED;
    cano_pipe_close(line);
    return closed ? 7 : 2;
}

static int ask_for_the_queue(void *context)
{
    (void)context;
    cano_queue *queue;
    return cano_inherited_queue("queue", NULL, &queue) == CANO_ENOENT ? 0 : 1;
}

/* Its forked child asks for what it has not taken itself, and it takes it afterwards. */
static int run_heir(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *line;
    cano_queue *queue;
    if (cano_inherited_pipe("line", &line) != CANO_OK) {
        return 1;
    }
    const int asked = in_fork(ask_for_the_queue, NULL);
    cano_pipe_close(line);
    if (asked != 0 || cano_inherited_queue("queue", NULL, &queue) != CANO_OK) {
        return 2;
    }
    cano_queue_close(queue);
    return 0;
}

/* Leaves a forked child behind, and tells its number. */
static int run_survived(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *line;
    if (cano_inherited_pipe("line", &line) != CANO_OK) {
        return 1;
    }
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        pause();
    }
    const cano_status status = cano_pipe_send(line, &child, sizeof child, SUITE_PATIENCE);
    cano_pipe_close(line);
    return status == CANO_OK ? 0 : 2;
}

/* ---- processes ---- */

static int use_of_the_parents_process(void *context)
{
    cano_process *process = context;
    const cano_object object = { NULL, NULL, NULL, process };
    int64_t pid;
    size_t ready;
    if (cano_process_wait(process, NULL, CANO_NOW) != CANO_EINVAL || cano_process_pid(process, &pid) != CANO_EINVAL) {
        return 1;
    }
    if (cano_process_kill(process) != CANO_EINVAL || cano_wait(&object, 1, &ready, CANO_NOW) != CANO_EINVAL) {
        return 2;
    }
    cano_process_close(process);
    return 0;
}

static void process_belongs_to_who_started_it(void)
{
    cano_pipe *line;
    cano_process *process = spawn_lingering(&line);
    CU_ASSERT_EQUAL(in_fork(use_of_the_parents_process, process), 0);
    CU_ASSERT_EQUAL(cano_process_wait(process, NULL, CANO_NOW), CANO_ETIMEOUT); /* it was not harmed */
    cano_pipe_close(line);
    CU_ASSERT_EQUAL(code_of(process), 7);
}

static int start_and_end_one(void *context)
{
    (void)context;
    cano_pipe *line;
    cano_process *process = spawn_lingering(&line);
    cano_pipe_close(line);
    return code_of(process) == 7 ? 0 : 1;
}

static void closed_processes_are_reaped_by_their_own_parent(void)
{
    cano_pipe *line;
    int64_t pid = 0;
    cano_process *closed = spawn_lingering(&line);
    CU_ASSERT_EQUAL(cano_process_pid(closed, &pid), CANO_OK);
    cano_process_close(closed);
    CU_ASSERT_EQUAL(in_fork(start_and_end_one, NULL), 0); /* with the parent's closed process in its memory */
    CU_ASSERT_EQUAL(kill((pid_t)pid, 0), 0);
    cano_pipe_close(line);
    int64_t since = 0;
    while (kill((pid_t)pid, 0) == 0 && suite_patience(&since)) {
        cano_pipe *other;
        cano_process *process = spawn_lingering(&other);
        cano_pipe_close(other);
        CU_ASSERT_EQUAL(code_of(process), 7);
    }
    CU_ASSERT_NOT_EQUAL(kill((pid_t)pid, 0), 0);
}

/* Somebody else's handler took the status. */
static void status_taken_by_others_is_esystem(void)
{
    cano_pipe *line;
    int64_t pid = 0;
    cano_process *process = spawn_lingering(&line);
    CU_ASSERT_EQUAL(cano_process_pid(process, &pid), CANO_OK);
    cano_pipe_close(line);
    int status;
    while (waitpid((pid_t)pid, &status, 0) < 0) {
    }
    cano_exit ended = { 55, 55 };
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_ESYSTEM);
    CU_ASSERT_EQUAL(cano_os_error(), ECHILD);
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_ESYSTEM);
    CU_ASSERT_EQUAL(ended.code, 55);
    CU_ASSERT_EQUAL(cano_process_kill(process), CANO_OK); /* the number may be another's by now: no signal goes out */
    cano_process_close(process);
}

/* ---- hands ---- */

static void forked_child_of_an_heir_inherits_nothing(void)
{
    cano_pipe *line;
    cano_pipe *far;
    cano_queue *queue;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&line, &far, NULL), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, NULL), CANO_OK);
    const cano_hand hands[] = { { "line", NULL, far, 0, 0 }, { "queue", queue, NULL, 0, 0 } };
    CU_ASSERT_EQUAL(code_of(spawn("heir", hands, 2)), 0);
    cano_pipe_close(line);
    cano_queue_close(queue);
}

static void place_that_was_not_taken_falls_though_a_fork_lives_on(void)
{
    cano_pipe *line;
    cano_pipe *far;
    cano_queue *queue;
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.flags = CANO_END_WHEN_NO_PUTTER;
    options.role = CANO_GETTER;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&line, &far, NULL), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, &options), CANO_OK);
    const cano_hand hands[] = { { "line", NULL, far, 0, 0 }, { "queue", queue, NULL, CANO_PUTTER, 0 } };
    cano_process *process = spawn("survived", hands, 2);
    pid_t survivor = 0;
    char message;
    CU_ASSERT_EQUAL(cano_pipe_recv(line, &survivor, sizeof survivor, NULL, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(code_of(process), 0);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_FATAL(survivor > 0);
    CU_ASSERT_EQUAL(kill(survivor, SIGKILL), 0);
    cano_pipe_close(line);
    cano_queue_close(queue);
}

/* ---- listeners ---- */

static int accept_and_close(void *context)
{
    cano_pipe *pipe;
    const cano_status status = cano_listener_accept(context, &pipe, SUITE_PATIENCE);
    if (status == CANO_OK) {
        cano_pipe_close(pipe);
    }
    cano_listener_close(context);
    return status == CANO_OK ? 0 : 1;
}

static int connect_to(void *context)
{
    cano_pipe *pipe;
    if (cano_connect(&pipe, context, NULL, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    const bool closed = cano_pipe_recv(pipe, NULL, 0, NULL, SUITE_PATIENCE) == CANO_ECLOSED;
    cano_pipe_close(pipe);
    return closed ? 0 : 2;
}

static void connect_in_thread(void *context)
{
    connect_to(context);
}

static void fork_may_accept_and_close_what_its_parent_listens_to(void)
{
    char name[100];
    snprintf(name, sizeof name, "%s", suite_name("forked"));
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    suite_thread *caller = suite_thread_start(connect_in_thread, name);
    CU_ASSERT_EQUAL(in_fork(accept_and_close, listener), 0);
    suite_thread_end(caller);
    caller = suite_thread_start(connect_in_thread, name); /* the name still leads to the parent */
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL(cano_listener_accept(listener, &pipe, SUITE_PATIENCE), CANO_OK);
    cano_pipe_close(pipe);
    suite_thread_end(caller);
    cano_listener_close(listener);
}

static void accept_to_the_end(void *context)
{
    cano_pipe *pipe;
    if (cano_listener_accept(context, &pipe, CANO_FOREVER) == CANO_OK) {
        cano_pipe_close(pipe);
    }
}

static int only_close(void *context)
{
    cano_listener_close(context);
    return 0;
}

static void fork_beside_a_thread_in_accept_can_close(void)
{
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, suite_name("beside"), NULL), CANO_OK);
    suite_thread *thread = suite_thread_start(accept_to_the_end, listener);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(in_fork(only_close, listener), 0);
    }
    cano_listener_close(listener);
    suite_thread_end(thread);
}

static int use_latch(void *context)
{
    cano_latch *latch = context;
    cano_latch_close(latch);
    cano_latch_open(latch);
    cano_latch_close(latch);
    return 0;
}

static void fork_finds_a_held_latch_open(void)
{
    cano_latch latch = { 0 };
    CU_ASSERT_EQUAL(in_fork(use_latch, &latch), 0);
    cano_latch_close(&latch);
    CU_ASSERT_EQUAL(in_fork(use_latch, &latch), 0);
    cano_latch_open(&latch);
}

/* ---- other users: what only root can try, since only root can be two ---- */

typedef struct stranger {
    const char *name;
    uint32_t listens; /* access of the listener */
    uint32_t calls;   /* access of the caller */
} stranger;

/* As nobody. */
static int call_as_stranger(void *context)
{
    const stranger *self = context;
    cano_listener_options options = CANO_LISTENER_OPTIONS_INIT;
    options.access = self->calls;
    cano_pipe *pipe;
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0) {
        return 100;
    }
    const cano_status status = cano_connect(&pipe, self->name, &options, SHORT_PATIENCE);
    return status == CANO_OK && cano_pipe_recv(pipe, NULL, 0, NULL, SUITE_PATIENCE) != CANO_ECLOSED ? 101 : status;
}

static void accept_once(void *context)
{
    cano_pipe *pipe = NULL;
    if (cano_listener_accept(context, &pipe, SHORT_PATIENCE) == CANO_OK) {
        cano_pipe_close(pipe);
    }
}

static int answer_to_a_stranger(stranger *self)
{
    cano_listener_options options = CANO_LISTENER_OPTIONS_INIT;
    options.access = self->listens;
    cano_listener *listener = NULL;
    self->name = suite_name("stranger");
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, self->name, &options), CANO_OK);
    suite_thread *thread = suite_thread_start(accept_once, listener);
    const int answer = in_fork(call_as_stranger, self);
    suite_thread_end(thread);
    cano_listener_close(listener);
    return answer;
}

static void strangers_need_access_on_both_sides(void)
{
    if (geteuid() != 0) {
        printf("(not root: not tried) ");
        return;
    }
    char folder[] = "/tmp/cano-strangers-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    chmod(folder, 0755);
    setenv("CANO_DIR", folder, 1);
    stranger neither = { NULL, CANO_ACCESS_USER, CANO_ACCESS_USER };
    stranger only_caller = { NULL, CANO_ACCESS_USER, CANO_ACCESS_EVERYONE };
    stranger only_listener = { NULL, CANO_ACCESS_EVERYONE, CANO_ACCESS_USER };
    stranger both = { NULL, CANO_ACCESS_EVERYONE, CANO_ACCESS_EVERYONE };
    CU_ASSERT_EQUAL(answer_to_a_stranger(&neither), CANO_EACCES);
    CU_ASSERT_EQUAL(answer_to_a_stranger(&only_caller), CANO_EACCES);
    CU_ASSERT_EQUAL(answer_to_a_stranger(&only_listener), CANO_EACCES);
    CU_ASSERT_EQUAL(answer_to_a_stranger(&both), CANO_OK);
    unsetenv("CANO_DIR");
    rmdir(folder);
}

/* Its own listener would let root in by the file's mode, so this asks who it is. */
static int listen_as_stranger(void *context)
{
    const stranger *self = context;
    cano_listener *listener;
    cano_pipe *pipe;
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0 || cano_listener_create(&listener, self->name, NULL) != CANO_OK) {
        return 100;
    }
    const cano_status status = cano_listener_accept(listener, &pipe, SHORT_PATIENCE);
    cano_listener_close(listener);
    return status;
}

static void call_stranger(void *context)
{
    const stranger *self = context;
    cano_listener_options options = CANO_LISTENER_OPTIONS_INIT;
    options.access = CANO_ACCESS_EVERYONE;
    cano_pipe *pipe;
    if (cano_connect(&pipe, self->name, &options, SHORT_PATIENCE) == CANO_OK) {
        cano_pipe_close(pipe);
    }
}

static void listener_passes_strangers_over(void)
{
    if (geteuid() != 0) {
        printf("(not root: not tried) ");
        return;
    }
    char folder[] = "/tmp/cano-strangers-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    CU_ASSERT_EQUAL(chown(folder, NOBODY, NOBODY), 0);
    setenv("CANO_DIR", folder, 1);
    stranger self = { suite_name("passed-over"), 0, 0 };
    suite_thread *thread = suite_thread_start(call_stranger, &self);
    CU_ASSERT_EQUAL(in_fork(listen_as_stranger, &self), CANO_ETIMEOUT);
    suite_thread_end(thread);
    unsetenv("CANO_DIR");
    rmdir(folder);
}

static const suite_test tests[] = {
    { "process_belongs_to_who_started_it", process_belongs_to_who_started_it },
    { "closed_processes_are_reaped_by_their_own_parent", closed_processes_are_reaped_by_their_own_parent },
    { "status_taken_by_others_is_esystem", status_taken_by_others_is_esystem },
    { "forked_child_of_an_heir_inherits_nothing", forked_child_of_an_heir_inherits_nothing },
    { "place_that_was_not_taken_falls_though_a_fork_lives_on", place_that_was_not_taken_falls_though_a_fork_lives_on },
    { "fork_may_accept_and_close_what_its_parent_listens_to", fork_may_accept_and_close_what_its_parent_listens_to },
    { "fork_beside_a_thread_in_accept_can_close", fork_beside_a_thread_in_accept_can_close },
    { "fork_finds_a_held_latch_open", fork_finds_a_held_latch_open },
    { "strangers_need_access_on_both_sides", strangers_need_access_on_both_sides },
    { "listener_passes_strangers_over", listener_passes_strangers_over },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "linger", run_linger },
    { "heir", run_heir },
    { "survived", run_survived },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "forked", tests, roles);
}
