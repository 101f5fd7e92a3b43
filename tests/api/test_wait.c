/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of many is ready.
 */
#include "suite.h"

#include <cano/cano.h>
#include <string.h>

#define OBJECTS_MAX 60

/* One of each kind, in this order. */
enum {
    PIPE,
    QUEUE,
    LISTENER,
    PROCESS,
    KINDS
};

typedef struct mix {
    cano_object objects[KINDS];
    cano_pipe *far;   /* the other end of the pipe */
    cano_pipe *line;  /* closed: the process ends */
    const char *name; /* of the listener */
} mix;

static void arrange(mix *all)
{
    memset(all, 0, sizeof *all);
    all->name = suite_name("wait");
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&all->objects[PIPE].pipe, &all->far, NULL), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&all->objects[QUEUE].queue, NULL, NULL), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&all->objects[LISTENER].listener, all->name, NULL), CANO_OK);
    cano_pipe *far;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&all->line, &far, NULL), CANO_OK);
    const char *const argv[] = { CANO_SELF, "role", "linger", NULL };
    const cano_hand hand = { "line", NULL, far, 0, 0 };
    const cano_process_options options = { sizeof options, &hand, 1 };
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&all->objects[PROCESS].process, argv, &options), CANO_OK);
}

static void clear_away(mix *all)
{
    cano_pipe_close(all->line);
    CU_ASSERT_EQUAL(cano_process_wait(all->objects[PROCESS].process, NULL, SUITE_PATIENCE), CANO_OK);
    cano_pipe_close(all->far);
    cano_pipe_close(all->objects[PIPE].pipe);
    cano_queue_close(all->objects[QUEUE].queue);
    cano_listener_close(all->objects[LISTENER].listener);
    cano_process_close(all->objects[PROCESS].process);
}

static size_t ready_of(const cano_object *objects, size_t count, cano_timeout timeout)
{
    size_t ready = 1000;
    CU_ASSERT_EQUAL(cano_wait(objects, count, &ready, timeout), CANO_OK);
    return ready;
}

static bool is_quiet(const cano_object *objects, size_t count)
{
    size_t ready = 1000;
    return cano_wait(objects, count, &ready, CANO_NOW) == CANO_ETIMEOUT && ready == 1000;
}

/* ---- what the children do ---- */

static int hear_the_end(cano_pipe *pipe)
{
    const bool closed = cano_pipe_recv(pipe, NULL, 0, NULL, CANO_FOREVER) == CANO_ECLOSED;
    cano_pipe_close(pipe);
    return closed ? 0 : 1;
}

static int run_linger(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *line;
    return cano_inherited_pipe("line", &line) == CANO_OK ? hear_the_end(line) : 2;
}

static int run_call(int argc, char **argv)
{
    cano_pipe *pipe;
    return argc > 0 && cano_connect(&pipe, argv[0], NULL, SUITE_PATIENCE) == CANO_OK ? hear_the_end(pipe) : 2;
}

/* ---- each kind ---- */

static void nothing_ready_times_out(void)
{
    mix all;
    arrange(&all);
    CU_ASSERT_TRUE(is_quiet(all.objects, KINDS));
    size_t ready = 1000;
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(cano_wait(all.objects, KINDS, &ready, 250000), CANO_ETIMEOUT);
    const int64_t took = suite_now() - start;
    CU_ASSERT(took >= 250000 && took < SUITE_PATIENCE);
    CU_ASSERT_EQUAL(ready, 1000);
    clear_away(&all);
}

static void pipe_is_ready_while_a_message_waits(void)
{
    mix all;
    arrange(&all);
    char message;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cano_pipe_send(all.far, "x", 1, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), PIPE);
        CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, CANO_NOW), PIPE);
        CU_ASSERT_EQUAL(cano_pipe_recv(all.objects[PIPE].pipe, &message, 1, NULL, CANO_NOW), CANO_OK);
        CU_ASSERT_TRUE(is_quiet(all.objects, KINDS));
    }
    clear_away(&all);
}

static void pipe_is_ready_at_its_end(void)
{
    mix all;
    arrange(&all);
    cano_pipe_close(all.far);
    all.far = NULL;
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), PIPE);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, CANO_NOW), PIPE);
    clear_away(&all);
}

static void queue_is_ready_while_a_message_waits(void)
{
    mix all;
    arrange(&all);
    char message;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cano_queue_put(all.objects[QUEUE].queue, "x", 1, CANO_NOW), CANO_OK);
        CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), QUEUE);
        CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, CANO_NOW), QUEUE);
        CU_ASSERT_EQUAL(cano_queue_get(all.objects[QUEUE].queue, &message, 1, NULL, CANO_NOW), CANO_OK);
        CU_ASSERT_TRUE(is_quiet(all.objects, KINDS));
    }
    clear_away(&all);
}

static void queue_is_ready_at_its_end(void)
{
    mix all;
    arrange(&all);
    CU_ASSERT_EQUAL(cano_queue_shutdown(all.objects[QUEUE].queue, false), CANO_OK);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), QUEUE);
    clear_away(&all);
}

static void listener_is_ready_while_somebody_knocks(void)
{
    mix all;
    arrange(&all);
    suite_child *caller = suite_start("call", all.name, NULL);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), LISTENER);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, CANO_NOW), LISTENER);
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL(cano_listener_accept(all.objects[LISTENER].listener, &pipe, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_TRUE(is_quiet(all.objects, KINDS));
    cano_pipe_close(pipe);
    CU_ASSERT_EQUAL(suite_wait(caller, SUITE_PATIENCE), 0);
    clear_away(&all);
}

static void process_is_ready_once_it_has_ended(void)
{
    mix all;
    arrange(&all);
    CU_ASSERT_EQUAL(cano_process_kill(all.objects[PROCESS].process), CANO_OK);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), PROCESS);
    CU_ASSERT_EQUAL(cano_process_wait(all.objects[PROCESS].process, NULL, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, CANO_NOW), PROCESS); /* also when its status was taken */
    clear_away(&all);
}

static void first_of_several_is_told(void)
{
    mix all;
    arrange(&all);
    char message;
    CU_ASSERT_EQUAL(cano_process_kill(all.objects[PROCESS].process), CANO_OK);
    CU_ASSERT_EQUAL(cano_process_wait(all.objects[PROCESS].process, NULL, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_put(all.objects[QUEUE].queue, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send(all.far, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), PIPE);
    CU_ASSERT_EQUAL(cano_pipe_recv(all.objects[PIPE].pipe, &message, 1, NULL, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), QUEUE);
    CU_ASSERT_EQUAL(cano_queue_get(all.objects[QUEUE].queue, &message, 1, NULL, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(ready_of(all.objects, KINDS, SUITE_PATIENCE), PROCESS);
    clear_away(&all);
}

/* ---- while asleep ---- */

typedef struct sleeper {
    mix *all;
    size_t ready;
    _Bool failed;
} sleeper;

static void sleep_on_all(void *context)
{
    sleeper *self = context;
    self->failed = cano_wait(self->all->objects, KINDS, &self->ready, SUITE_PATIENCE) != CANO_OK;
}

static size_t woken_by(mix *all, void (*event)(mix *))
{
    sleeper self = { all, 1000, true };
    suite_thread *thread = suite_thread_start(sleep_on_all, &self);
    int64_t since = 0;
    while (suite_patience(&since) && suite_now() - since < 20000) { /* most likely it is asleep now; right either way */
    }
    event(all);
    suite_thread_end(thread);
    CU_ASSERT_FALSE(self.failed);
    return self.ready;
}

static void send_to_the_pipe(mix *all)
{
    CU_ASSERT_EQUAL(cano_pipe_send(all->far, "x", 1, CANO_NOW), CANO_OK);
}

static void put_into_the_queue(mix *all)
{
    CU_ASSERT_EQUAL(cano_queue_put(all->objects[QUEUE].queue, "x", 1, CANO_NOW), CANO_OK);
}

static void knock(mix *all)
{
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL(cano_connect(&pipe, all->name, NULL, 50000), CANO_ETIMEOUT); /* seen although nobody accepts */
}

static void end_the_process(mix *all)
{
    CU_ASSERT_EQUAL(cano_process_kill(all->objects[PROCESS].process), CANO_OK);
}

static void each_kind_wakes_a_sleeper(void)
{
    void (*const events[KINDS])(mix *) = { send_to_the_pipe, put_into_the_queue, knock, end_the_process };
    for (size_t kind = 0; kind < KINDS; kind++) {
        mix all;
        arrange(&all);
        CU_ASSERT_EQUAL(woken_by(&all, events[kind]), kind);
        clear_away(&all);
    }
}

/* ---- arguments ---- */

static void bad_objects_are_refused(void)
{
    mix all;
    arrange(&all);
    size_t ready = 1000;
    cano_object many[OBJECTS_MAX + 1];
    for (size_t i = 0; i <= OBJECTS_MAX; i++) {
        many[i] = all.objects[PIPE];
    }
    const cano_object nothing = { NULL, NULL, NULL, NULL };
    const cano_object both = { all.objects[PIPE].pipe, NULL, NULL, all.objects[PROCESS].process };
    CU_ASSERT_EQUAL(cano_wait(NULL, 1, &ready, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_wait(many, 0, &ready, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_wait(many, OBJECTS_MAX + 1, &ready, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_wait(many, 1, NULL, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_wait(many, 1, &ready, -2), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_wait(&nothing, 1, &ready, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_wait(&both, 1, &ready, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_wait(many, OBJECTS_MAX, &ready, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(ready, 1000);
    clear_away(&all);
}

static void sending_end_of_a_simplex_pipe_is_never_ready(void)
{
    cano_pipe_options options = CANO_PIPE_OPTIONS_INIT;
    options.flags = CANO_SIMPLEX;
    cano_pipe *hears;
    cano_pipe *speaks;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&hears, &speaks, &options), CANO_OK);
    const cano_object object = { speaks, NULL, NULL, NULL };
    size_t ready = 1000;
    CU_ASSERT_EQUAL(cano_wait(&object, 1, &ready, CANO_NOW), CANO_ENOTSUP);
    cano_pipe_close(hears);
    cano_pipe_close(speaks);
}

static const suite_test tests[] = {
    { "nothing_ready_times_out", nothing_ready_times_out },
    { "pipe_is_ready_while_a_message_waits", pipe_is_ready_while_a_message_waits },
    { "pipe_is_ready_at_its_end", pipe_is_ready_at_its_end },
    { "queue_is_ready_while_a_message_waits", queue_is_ready_while_a_message_waits },
    { "queue_is_ready_at_its_end", queue_is_ready_at_its_end },
    { "listener_is_ready_while_somebody_knocks", listener_is_ready_while_somebody_knocks },
    { "process_is_ready_once_it_has_ended", process_is_ready_once_it_has_ended },
    { "first_of_several_is_told", first_of_several_is_told },
    { "each_kind_wakes_a_sleeper", each_kind_wakes_a_sleeper },
    { "bad_objects_are_refused", bad_objects_are_refused },
    { "sending_end_of_a_simplex_pipe_is_never_ready", sending_end_of_a_simplex_pipe_is_never_ready },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "linger", run_linger },
    { "call", run_call },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "wait", tests, roles);
}
