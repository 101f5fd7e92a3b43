/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child gets what was named, uses it, and is seen to end.
 */
#include "suite.h"

#include <apr_env.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <cano/cano.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDS_MAX 32

static const char *this_program;

/* ---- helpers ---- */

/* NULL: it failed. */
static cano_process *try_spawn(const char *role, const char *argument, const cano_hand *hands, size_t count)
{
    const char *const argv[] = { CANO_SELF, "role", role, argument, NULL };
    const cano_process_options options = { sizeof options, hands, count };
    cano_process *process = NULL;
    cano_process_spawn(&process, argv, &options);
    return process;
}

static cano_process *spawn(const char *role, const char *argument, const cano_hand *hands, size_t count)
{
    cano_process *process = try_spawn(role, argument, hands, count);
    CU_ASSERT_PTR_NOT_NULL_FATAL(process);
    return process;
}

/* Its exit code, or a number that is none; closes the process. */
static int code_of(cano_process *process)
{
    cano_exit ended = { -2, -2 };
    if (cano_process_wait(process, &ended, SUITE_PATIENCE) != CANO_OK) {
        cano_process_kill(process);
    }
    cano_process_close(process);
    return ended.code;
}

static cano_hand queue_hand(const char *name, cano_queue *queue, uint32_t role)
{
    return (cano_hand){ name, queue, NULL, role, 0 };
}

static cano_hand pipe_hand(const char *name, cano_pipe *pipe)
{
    return (cano_hand){ name, NULL, pipe, 0, 0 };
}

static cano_queue *make_queue(uint32_t flags, uint32_t role)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.flags = flags;
    options.role = role;
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, &options), CANO_OK);
    return queue;
}

static void make_pipe(cano_pipe **a, cano_pipe **b)
{
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(a, b, NULL), CANO_OK);
}

/* A child that lives until its line is closed, or it is killed. NULL: it failed. */
static cano_process *try_spawn_lingering(cano_pipe **line)
{
    cano_pipe *there;
    if (cano_pipe_create(line, &there, NULL) != CANO_OK) {
        return NULL;
    }
    const cano_hand hand = pipe_hand("line", there);
    return try_spawn("linger", NULL, &hand, 1);
}

static cano_process *spawn_lingering(cano_pipe **line)
{
    cano_process *process = try_spawn_lingering(line);
    CU_ASSERT_PTR_NOT_NULL_FATAL(process);
    return process;
}

static cano_status spawn_status(const char *program, const cano_hand *hands, size_t count)
{
    const char *const argv[] = { program, "role", "exit", "0", NULL };
    const cano_process_options options = { sizeof options, hands, count };
    cano_process *process = NULL;
    const cano_status status = cano_process_spawn(&process, argv, &options);
    if (status == CANO_OK) {
        code_of(process);
    } else {
        CU_ASSERT_PTR_NULL(process);
    }
    return status;
}

/* ---- what the children do ---- */

static int run_exit(int argc, char **argv)
{
    return argc > 0 ? atoi(argv[0]) : 0;
}

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

/* Says that it is there, and ends without taking what else it was handed. */
static int run_ignore(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *line;
    if (cano_inherited_pipe("line", &line) != CANO_OK || cano_pipe_send(line, "here", 4, CANO_FOREVER) != CANO_OK) {
        return 1;
    }
    const bool closed = cano_pipe_recv(line, NULL, 0, NULL, CANO_FOREVER) == CANO_ECLOSED;
    cano_pipe_close(line);
    return closed ? 0 : 2;
}

static const char *const odd_arguments[] = { "",  "two words", "\"quoted\"", "back\\slash\\",
                                             "*", "$HOME",     "a=b",        "\xc3\xa7\xc3\xa3o" };
#define ODD_COUNT ((int)(sizeof odd_arguments / sizeof odd_arguments[0]))

static int run_odd(int argc, char **argv)
{
    if (argc != ODD_COUNT) {
        return 1;
    }
    for (int i = 0; i < ODD_COUNT; i++) {
        if (strcmp(argv[i], odd_arguments[i]) != 0) {
            return 2 + i;
        }
    }
    return 0;
}

/* Takes numbers from "in" until it ends, puts their doubles into "out". */
static int run_double(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_queue *in;
    cano_queue *out;
    if (cano_inherited_queue("in", NULL, &in) != CANO_OK || cano_inherited_queue("out", NULL, &out) != CANO_OK) {
        return 1;
    }
    int number;
    while (cano_queue_get(in, &number, sizeof number, NULL, CANO_FOREVER) == CANO_OK) {
        number *= 2;
        if (cano_queue_put(out, &number, sizeof number, CANO_FOREVER) != CANO_OK) {
            return 2;
        }
    }
    cano_queue_close(in);
    cano_queue_close(out);
    return 0;
}

static int run_speak(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *pipe;
    char answer[8];
    size_t size = 0;
    if (cano_inherited_pipe("pipe", &pipe) != CANO_OK || cano_pipe_send(pipe, "ola", 3, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    if (cano_pipe_recv(pipe, answer, sizeof answer, &size, SUITE_PATIENCE) != CANO_OK || size != 4) {
        return 2;
    }
    cano_pipe_close(pipe);
    return memcmp(answer, "tudo", 4) == 0 ? 0 : 3;
}

static int run_hear(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *pipe;
    char heard[8];
    if (cano_inherited_pipe("pipe", &pipe) != CANO_OK ||
        cano_pipe_recv(pipe, heard, sizeof heard, NULL, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    if (cano_pipe_send(pipe, "tudo", 4, SUITE_PATIENCE) != CANO_OK) {
        return 2;
    }
    const bool closed = cano_pipe_recv(pipe, heard, sizeof heard, NULL, SUITE_PATIENCE) == CANO_ECLOSED;
    cano_pipe_close(pipe);
    return closed ? 0 : 3;
}

/* Waits for the word, puts one message as the putter it was declared to be, waits again. */
static int run_put_on_word(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *line;
    cano_queue *queue;
    char word;
    if (cano_inherited_pipe("line", &line) != CANO_OK || cano_pipe_recv(line, &word, 1, NULL, CANO_FOREVER) != CANO_OK) {
        return 1;
    }
    if (cano_inherited_queue("queue", NULL, &queue) != CANO_OK || cano_queue_put(queue, "x", 1, CANO_FOREVER) != CANO_OK) {
        return 2;
    }
    const cano_status get = cano_queue_get(queue, &word, 1, NULL, CANO_NOW);
    cano_pipe_recv(line, &word, 1, NULL, CANO_FOREVER);
    cano_pipe_close(line);
    cano_queue_close(queue);
    return get == CANO_EINVAL ? 0 : 3; /* the role forbids it */
}

static int run_ask_twice(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_queue *queue = NULL;
    cano_pipe *pipe = NULL;
    if (cano_inherited_pipe("queue", &pipe) != CANO_EKIND || cano_inherited_queue("pipe", NULL, &queue) != CANO_EKIND) {
        return 1;
    }
    if (cano_inherited_queue("other", NULL, &queue) != CANO_ENOENT || queue != NULL || pipe != NULL) {
        return 2;
    }
    if (cano_inherited_queue("queue", NULL, &queue) != CANO_OK || cano_inherited_pipe("pipe", &pipe) != CANO_OK) {
        return 3;
    }
    cano_queue *queue_again;
    cano_pipe *pipe_again;
    if (cano_inherited_queue("queue", NULL, &queue_again) != CANO_ENOENT ||
        cano_inherited_pipe("pipe", &pipe_again) != CANO_ENOENT || cano_inherited_pipe("queue", &pipe_again) != CANO_ENOENT) {
        return 4;
    }
    cano_queue_close(queue);
    cano_pipe_close(pipe);
    return 0;
}

static int run_bad_names(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    static const char *const bad[] = { NULL, "", "a/b", "tasks/0", "cano/bundle", "a b", "123456789012345678901234567890123" };
    cano_queue *queue;
    cano_pipe *pipe;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cano_inherited_queue(bad[i], NULL, &queue) != CANO_EINVAL || cano_inherited_pipe(bad[i], &pipe) != CANO_EINVAL) {
            return 1;
        }
    }
    return cano_inherited_queue("tasks", NULL, NULL) == CANO_EINVAL && cano_inherited_pipe("tasks", NULL) == CANO_EINVAL ? 0
                                                                                                                         : 2;
}

static int run_expect_nothing(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_queue *queue;
    cano_pipe *pipe;
    return cano_inherited_queue("queue", NULL, &queue) == CANO_ENOENT && cano_inherited_pipe("pipe", &pipe) == CANO_ENOENT ? 0
                                                                                                                           : 1;
}

/* Starts a child of its own: before it looked at its hands, or after. */
static int run_parent(int argc, char **argv)
{
    cano_queue *queue = NULL;
    if (argc > 0 && strcmp(argv[0], "after") == 0 && cano_inherited_queue("queue", NULL, &queue) != CANO_OK) {
        return 2;
    }
    const char *const child[] = { CANO_SELF, "role", "expect-nothing", NULL };
    cano_process *process;
    if (cano_process_spawn(&process, child, NULL) != CANO_OK) {
        return 3;
    }
    const int code = code_of(process);
    if (queue == NULL && cano_inherited_queue("queue", NULL, &queue) != CANO_OK) {
        return 4;
    }
    cano_queue_close(queue);
    return code;
}

static _Atomic int takers;

static void take_once(void *context)
{
    cano_queue **queue = context;
    if (cano_inherited_queue("queue", NULL, queue) == CANO_OK) {
        atomic_fetch_add(&takers, 1);
    }
}

static int run_race_for_a_hand(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    suite_thread *threads[8];
    cano_queue *queue = NULL;
    for (int i = 0; i < 8; i++) {
        threads[i] = suite_thread_start(take_once, &queue);
    }
    for (int i = 0; i < 8; i++) {
        suite_thread_end(threads[i]);
    }
    cano_queue_close(queue);
    return atomic_load(&takers) == 1 ? 0 : 1;
}

/* Takes all of h0, h1, ... and puts the number of each into it. */
static int run_take_many(int argc, char **argv)
{
    const int count = argc > 0 ? atoi(argv[0]) : 0;
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%d", i);
        cano_queue *queue;
        if (cano_inherited_queue(name, NULL, &queue) != CANO_OK || cano_queue_put(queue, &i, sizeof i, CANO_NOW) != CANO_OK) {
            return 1;
        }
        cano_queue_close(queue);
    }
    return 0;
}

/* ---- the end of a process ---- */

static void exit_code_is_reported(void)
{
    CU_ASSERT_EQUAL(code_of(spawn("exit", "0", NULL, 0)), 0);
    CU_ASSERT_EQUAL(code_of(spawn("exit", "7", NULL, 0)), 7);
    CU_ASSERT_EQUAL(code_of(spawn("exit", "255", NULL, 0)), 255);
}

static void killed_process_is_told_from_one_that_exited(void)
{
    cano_pipe *line;
    cano_process *process = spawn_lingering(&line);
    CU_ASSERT_EQUAL(cano_process_kill(process), CANO_OK);
    cano_exit ended = { 0, 0 };
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT((ended.code == -1 && ended.signal == 9) || (ended.code != 0 && ended.signal == 0)); /* the latter: Windows */
    cano_process_close(process);
    cano_pipe_close(line);
}

static void wait_can_be_asked_again(void)
{
    cano_process *process = spawn("exit", "3", NULL, 0);
    for (int i = 0; i < 3; i++) {
        cano_exit ended = { 0, 9 };
        CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(ended.code, 3);
        CU_ASSERT_EQUAL(ended.signal, 0);
    }
    CU_ASSERT_EQUAL(cano_process_wait(process, NULL, CANO_NOW), CANO_OK);
    cano_process_close(process);
}

static void wait_on_a_living_process_times_out(void)
{
    cano_pipe *line;
    cano_process *process = spawn_lingering(&line);
    cano_exit ended = { 55, 55 };
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, CANO_NOW), CANO_ETIMEOUT);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, 60000), CANO_ETIMEOUT);
    const int64_t took = suite_now() - start;
    CU_ASSERT(took >= 60000 && took < SUITE_PATIENCE);
    CU_ASSERT(ended.code == 55 && ended.signal == 55);
    cano_pipe_close(line);
    CU_ASSERT_EQUAL(code_of(process), 7);
}

static void wait_for_a_code(void *context)
{
    cano_exit ended = { 0, 0 };
    cano_process *process = *(cano_process **)context;
    *(cano_process **)context =
        cano_process_wait(process, &ended, SUITE_PATIENCE) == CANO_OK && ended.code == 7 ? process : NULL;
}

static void two_threads_may_wait_for_one_process(void)
{
    cano_pipe *line;
    cano_process *process = spawn_lingering(&line);
    cano_process *seen[2] = { process, process };
    suite_thread *threads[2] = { suite_thread_start(wait_for_a_code, &seen[0]), suite_thread_start(wait_for_a_code, &seen[1]) };
    cano_pipe_close(line);
    suite_thread_end(threads[0]);
    suite_thread_end(threads[1]);
    CU_ASSERT_PTR_EQUAL(seen[0], process);
    CU_ASSERT_PTR_EQUAL(seen[1], process);
    cano_process_close(process);
}

static void kill_after_the_end_is_ok(void)
{
    cano_process *process = spawn("exit", "3", NULL, 0);
    cano_exit ended = { 0, 0 };
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_process_kill(process), CANO_OK);
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(ended.code, 3);
    cano_process_close(process);
}

static void start_and_end_some(void *context)
{
    bool *good = context;
    for (int i = 0; i < 5; i++) {
        cano_pipe *line;
        cano_process *process = try_spawn_lingering(&line);
        if (process == NULL) {
            *good = false;
            return;
        }
        cano_pipe_close(line); /* which the other threads' children hold no copy of */
        *good = *good && code_of(process) == 7;
    }
}

static void threads_may_start_processes_at_once(void)
{
    bool good[4] = { true, true, true, true };
    suite_thread *threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = suite_thread_start(start_and_end_some, &good[i]);
    }
    for (int i = 0; i < 4; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_TRUE(good[i]);
    }
}

static void closing_nothing_is_nothing(void)
{
    cano_process_close(NULL);
    cano_process *process = spawn("exit", "0", NULL, 0);
    int64_t pid;
    CU_ASSERT_EQUAL(cano_process_wait(NULL, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_process_wait(process, NULL, -2), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_process_pid(NULL, &pid), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_process_pid(process, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_process_kill(NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(code_of(process), 0);
}

/* ---- the program ---- */

static void missing_program_is_enoent(void)
{
    CU_ASSERT_EQUAL(spawn_status("/nowhere/at-all", NULL, 0), CANO_ENOENT);
    CU_ASSERT_EQUAL(spawn_status("cano-no-such-program", NULL, 0), CANO_ENOENT);
}

static void file_that_may_not_be_run_is_eacces(void)
{
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    const char *folder;
    apr_temp_dir_get(&folder, pool);
    char *path = apr_pstrcat(pool, folder, "/cano-test-XXXXXX", NULL);
    apr_file_t *file;
    CU_ASSERT_EQUAL_FATAL(apr_file_mktemp(&file, path, 0, pool), APR_SUCCESS); /* gone when it is closed */
    CU_ASSERT_EQUAL(spawn_status(path, NULL, 0), CANO_EACCES);
    CU_ASSERT_EQUAL(spawn_status(folder, NULL, 0), CANO_EACCES);
    apr_file_close(file);
    apr_pool_destroy(pool);
}

static void program_is_looked_up_in_path(void)
{
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    const char *name = apr_filepath_name_get(this_program);
    char *folder = apr_pstrndup(pool, this_program, (apr_size_t)(name - this_program));
    char *before = NULL;
    apr_env_get(&before, "PATH", pool);
    CU_ASSERT_NOT_EQUAL_FATAL(folder[0], '\0');
    apr_env_set("PATH", folder, pool);
    CU_ASSERT_EQUAL(spawn_status(name, NULL, 0), CANO_OK);
    apr_env_set("PATH", before, pool);
    apr_pool_destroy(pool);
}

static void arguments_arrive_as_they_are(void)
{
    const char *argv[4 + ODD_COUNT] = { CANO_SELF, "role", "odd" };
    memcpy(&argv[3], odd_arguments, sizeof odd_arguments);
    cano_process *process = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&process, argv, NULL), CANO_OK);
    CU_ASSERT_EQUAL(code_of(process), 0);
}

/* ---- hands ---- */

static void queues_are_shared_with_a_child(void)
{
    cano_queue *in = make_queue(CANO_END_WHEN_NO_PUTTER, CANO_PUTTER);
    cano_queue *out = make_queue(0, 0);
    const cano_hand hands[] = { queue_hand("in", in, CANO_GETTER), queue_hand("out", out, CANO_PUTTER) };
    cano_process *process = spawn("double", NULL, hands, 2);
    for (int i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(cano_queue_put(in, &i, sizeof i, SUITE_PATIENCE), CANO_OK);
    }
    for (int i = 1; i <= 3; i++) {
        int number = 0;
        CU_ASSERT_EQUAL(cano_queue_get(out, &number, sizeof number, NULL, SUITE_PATIENCE), CANO_OK);
        CU_ASSERT_EQUAL(number, 2 * i);
    }
    cano_queue_close(in);
    CU_ASSERT_EQUAL(code_of(process), 0);
    cano_queue_close(out);
}

static void two_ends_of_a_pipe_in_two_children(void)
{
    cano_pipe *a;
    cano_pipe *b;
    make_pipe(&a, &b);
    const cano_hand hearing = pipe_hand("pipe", a);
    const cano_hand speaking = pipe_hand("pipe", b);
    cano_process *hearer = spawn("hear", NULL, &hearing, 1);
    cano_process *speaker = spawn("speak", NULL, &speaking, 1);
    CU_ASSERT_EQUAL(code_of(speaker), 0);
    CU_ASSERT_EQUAL(code_of(hearer), 0); /* that it heard the end proves that nobody kept a copy of the other one */
}

static void both_ends_of_a_pipe_can_go_to_one_child(void)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *line;
    cano_pipe *there;
    make_pipe(&a, &b);
    make_pipe(&line, &there);
    const cano_hand hands[] = { pipe_hand("a", a), pipe_hand("b", b), pipe_hand("line", there) };
    cano_process *process = spawn("linger", NULL, hands, 3);
    cano_pipe_close(line);
    CU_ASSERT_EQUAL(code_of(process), 7);
}

static void pipe_end_that_was_never_taken_falls_with_the_child(void)
{
    cano_pipe *line;
    cano_pipe *there;
    cano_pipe *here;
    cano_pipe *ignored;
    make_pipe(&line, &there);
    make_pipe(&here, &ignored);
    const cano_hand hands[] = { pipe_hand("line", there), pipe_hand("ignored", ignored) };
    cano_process *process = spawn("ignore", NULL, hands, 2);
    CU_ASSERT_EQUAL(cano_pipe_poll(line, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_poll(here, CANO_NOW), CANO_ETIMEOUT);
    cano_pipe_close(line);
    CU_ASSERT_EQUAL(cano_pipe_recv(here, NULL, 0, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(here);
    CU_ASSERT_EQUAL(code_of(process), 0);
}

/* A getter, and a child that counts as putter since the return of spawn but is not yet attached. */
static cano_process *spawn_putter(cano_queue **queue, cano_pipe **line)
{
    cano_pipe *there;
    *queue = make_queue(CANO_END_WHEN_NO_PUTTER, CANO_GETTER);
    make_pipe(line, &there);
    const cano_hand hands[] = { pipe_hand("line", there), queue_hand("queue", *queue, CANO_PUTTER) };
    cano_process *process = spawn("put-on-word", NULL, hands, 2);
    char message;
    CU_ASSERT_EQUAL(cano_queue_get(*queue, &message, 1, NULL, 50000), CANO_ETIMEOUT);
    return process;
}

static void role_counts_until_the_child_exits(void)
{
    cano_queue *queue;
    cano_pipe *line;
    char message = 0;
    cano_process *process = spawn_putter(&queue, &line);
    CU_ASSERT_EQUAL(cano_pipe_send(line, "!", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(message, 'x');
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, 50000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_pipe_send(line, "!", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_EQUAL(code_of(process), 0);
    cano_pipe_close(line);
    cano_queue_close(queue);
}

static void role_falls_with_a_child_that_is_killed_before_it_attached(void)
{
    cano_queue *queue;
    cano_pipe *line;
    char message;
    cano_process *process = spawn_putter(&queue, &line);
    CU_ASSERT_EQUAL(cano_process_kill(process), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    cano_process_close(process);
    cano_pipe_close(line);
    cano_queue_close(queue);
}

static void role_falls_with_a_child_that_is_killed_after_it_attached(void)
{
    cano_queue *queue;
    cano_pipe *line;
    char message;
    cano_process *process = spawn_putter(&queue, &line);
    CU_ASSERT_EQUAL(cano_pipe_send(line, "!", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_process_kill(process), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, SUITE_PATIENCE), CANO_ECLOSED);
    cano_process_close(process);
    cano_pipe_close(line);
    cano_queue_close(queue);
}

static void hand_is_taken_once_and_by_its_kind(void)
{
    cano_pipe *here;
    cano_pipe *there;
    make_pipe(&here, &there);
    cano_queue *queue = make_queue(0, 0);
    const cano_hand hands[] = { queue_hand("queue", queue, 0), pipe_hand("pipe", there) };
    CU_ASSERT_EQUAL(code_of(spawn("ask-twice", NULL, hands, 2)), 0);
    cano_queue_close(queue);
    cano_pipe_close(here);
}

static void only_one_thread_takes_a_hand(void)
{
    cano_queue *queue = make_queue(0, 0);
    const cano_hand hand = queue_hand("queue", queue, 0);
    CU_ASSERT_EQUAL(code_of(spawn("race-for-a-hand", NULL, &hand, 1)), 0);
    cano_queue_close(queue);
}

static void process_without_hands_finds_none(void)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL(code_of(spawn("expect-nothing", NULL, NULL, 0)), 0);
    CU_ASSERT_EQUAL(cano_inherited_queue("queue", NULL, &queue), CANO_ENOENT); /* nobody's child */
    CU_ASSERT_PTR_NULL(queue);
}

static void grandchild_does_not_see_the_hands(void)
{
    cano_queue *queue = make_queue(0, 0);
    const cano_hand hand = queue_hand("queue", queue, 0);
    CU_ASSERT_EQUAL(code_of(spawn("parent", "before", &hand, 1)), 0);
    CU_ASSERT_EQUAL(code_of(spawn("parent", "after", &hand, 1)), 0);
    cano_queue_close(queue);
}

static void as_many_hands_as_are_allowed(void)
{
    cano_queue *queue = make_queue(0, 0);
    cano_hand hands[HANDS_MAX + 1];
    char names[HANDS_MAX + 1][16];
    for (int i = 0; i <= HANDS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "h%d", i);
        hands[i] = queue_hand(names[i], queue, 0); /* one queue under many names is many places in it */
    }
    CU_ASSERT_EQUAL(code_of(spawn("take-many", "32", hands, HANDS_MAX)), 0);
    size_t count = 0;
    CU_ASSERT_EQUAL(cano_queue_qsize(queue, &count), CANO_OK);
    CU_ASSERT_EQUAL(count, HANDS_MAX);
    CU_ASSERT_EQUAL(spawn_status(CANO_SELF, hands, HANDS_MAX + 1), CANO_EINVAL);
    cano_queue_close(queue);
}

static void bad_hands_are_refused(void)
{
    cano_pipe *a;
    cano_pipe *b;
    make_pipe(&a, &b);
    cano_queue *queue = make_queue(0, 0);
    const cano_hand bad[][2] = {
        { queue_hand(NULL, queue, 0) },
        { queue_hand("", queue, 0) },
        { queue_hand("a/b", queue, 0) },
        { queue_hand("a b", queue, 0) },
        { queue_hand("123456789012345678901234567890123", queue, 0) },
        { queue_hand("q", queue, 4) },
        { { "nothing", NULL, NULL, 0, 0 } },
        { { "both", queue, a, 0, 0 } },
        { { "pipe", NULL, a, CANO_PUTTER, 0 } },
        { { "reserved", queue, NULL, 0, 1 } },
        { queue_hand("same", queue, 0), pipe_hand("same", a) },
        { pipe_hand("one", a), pipe_hand("other", a) },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const size_t count = bad[i][1].name == NULL ? 1 : 2;
        CU_ASSERT_EQUAL(spawn_status(CANO_SELF, bad[i], count), CANO_EINVAL);
    }
    CU_ASSERT_EQUAL(spawn_status(CANO_SELF, NULL, 1), CANO_EINVAL);
    CU_ASSERT_EQUAL(code_of(spawn("bad-names", NULL, NULL, 0)), 0);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK); /* nothing moved */
    cano_queue_close(queue);
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void queue_of_threads_cannot_be_handed_on(void)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.scope = CANO_THREADS;
    cano_queue *queue;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, &options), CANO_OK);
    const cano_hand hand = queue_hand("queue", queue, 0);
    CU_ASSERT_EQUAL(spawn_status(CANO_SELF, &hand, 1), CANO_EINVAL);
    cano_queue_close(queue);
}

static void no_place_left_in_the_queue_is_elimit(void)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.max_participants = 2;
    cano_queue *queue;
    cano_pipe *a;
    cano_pipe *b;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, NULL, &options), CANO_OK);
    make_pipe(&a, &b);
    const cano_hand hands[] = { pipe_hand("pipe", a), queue_hand("one", queue, 0), queue_hand("two", queue, 0) };
    CU_ASSERT_EQUAL(spawn_status(CANO_SELF, hands, 3), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_poll(b, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(spawn_status(CANO_SELF, &hands[1], 1), CANO_OK); /* the place taken for nobody is free again */
    cano_queue_close(queue);
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void failed_spawn_leaves_everything_as_it_was(void)
{
    cano_pipe *a;
    cano_pipe *b;
    make_pipe(&a, &b);
    cano_queue *queue = make_queue(0, 0);
    const cano_hand hands[] = { pipe_hand("pipe", a), queue_hand("queue", queue, 0) };
    CU_ASSERT_EQUAL(spawn_status("/nowhere/at-all", hands, 2), CANO_ENOENT);
    char message = 0;
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, &message, 1, NULL, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_put(queue, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &message, 1, NULL, SUITE_PATIENCE), CANO_OK);
    cano_queue_close(queue);
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void bad_arguments_are_refused(void)
{
    const char *const nothing[] = { NULL };
    const char *const argv[] = { CANO_SELF, "role", "exit", "0", NULL };
    cano_process *process = NULL;
    CU_ASSERT_EQUAL(cano_process_spawn(NULL, argv, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_process_spawn(&process, NULL, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_process_spawn(&process, nothing, NULL), CANO_EINVAL);
    cano_process_options options = { sizeof options - 1, NULL, 0 };
    CU_ASSERT_EQUAL(cano_process_spawn(&process, argv, &options), CANO_EINVAL);
    struct {
        cano_process_options known;
        uint64_t unknown;
    } longer = { { sizeof longer, NULL, 0 }, 1 };
    CU_ASSERT_EQUAL(cano_process_spawn(&process, argv, &longer.known), CANO_ENOTSUP);
    CU_ASSERT_PTR_NULL(process);
    longer.unknown = 0;
    CU_ASSERT_EQUAL(cano_process_spawn(&process, argv, &longer.known), CANO_OK);
    CU_ASSERT_EQUAL(code_of(process), 0);
}

static const suite_test tests[] = {
    { "exit_code_is_reported", exit_code_is_reported },
    { "killed_process_is_told_from_one_that_exited", killed_process_is_told_from_one_that_exited },
    { "wait_can_be_asked_again", wait_can_be_asked_again },
    { "wait_on_a_living_process_times_out", wait_on_a_living_process_times_out },
    { "two_threads_may_wait_for_one_process", two_threads_may_wait_for_one_process },
    { "threads_may_start_processes_at_once", threads_may_start_processes_at_once },
    { "kill_after_the_end_is_ok", kill_after_the_end_is_ok },
    { "closing_nothing_is_nothing", closing_nothing_is_nothing },
    { "missing_program_is_enoent", missing_program_is_enoent },
    { "file_that_may_not_be_run_is_eacces", file_that_may_not_be_run_is_eacces },
    { "program_is_looked_up_in_path", program_is_looked_up_in_path },
    { "arguments_arrive_as_they_are", arguments_arrive_as_they_are },
    { "queues_are_shared_with_a_child", queues_are_shared_with_a_child },
    { "two_ends_of_a_pipe_in_two_children", two_ends_of_a_pipe_in_two_children },
    { "both_ends_of_a_pipe_can_go_to_one_child", both_ends_of_a_pipe_can_go_to_one_child },
    { "pipe_end_that_was_never_taken_falls_with_the_child", pipe_end_that_was_never_taken_falls_with_the_child },
    { "role_counts_until_the_child_exits", role_counts_until_the_child_exits },
    { "role_falls_with_a_child_that_is_killed_before_it_attached", role_falls_with_a_child_that_is_killed_before_it_attached },
    { "role_falls_with_a_child_that_is_killed_after_it_attached", role_falls_with_a_child_that_is_killed_after_it_attached },
    { "hand_is_taken_once_and_by_its_kind", hand_is_taken_once_and_by_its_kind },
    { "only_one_thread_takes_a_hand", only_one_thread_takes_a_hand },
    { "process_without_hands_finds_none", process_without_hands_finds_none },
    { "grandchild_does_not_see_the_hands", grandchild_does_not_see_the_hands },
    { "as_many_hands_as_are_allowed", as_many_hands_as_are_allowed },
    { "bad_hands_are_refused", bad_hands_are_refused },
    { "queue_of_threads_cannot_be_handed_on", queue_of_threads_cannot_be_handed_on },
    { "no_place_left_in_the_queue_is_elimit", no_place_left_in_the_queue_is_elimit },
    { "failed_spawn_leaves_everything_as_it_was", failed_spawn_leaves_everything_as_it_was },
    { "bad_arguments_are_refused", bad_arguments_are_refused },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "exit", run_exit },
    { "linger", run_linger },
    { "ignore", run_ignore },
    { "odd", run_odd },
    { "double", run_double },
    { "speak", run_speak },
    { "hear", run_hear },
    { "put-on-word", run_put_on_word },
    { "ask-twice", run_ask_twice },
    { "bad-names", run_bad_names },
    { "expect-nothing", run_expect_nothing },
    { "parent", run_parent },
    { "race-for-a-hand", run_race_for_a_hand },
    { "take-many", run_take_many },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    this_program = argv[0];
    return suite_main(argc, argv, "process", tests, roles);
}
