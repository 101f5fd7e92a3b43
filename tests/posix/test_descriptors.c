/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes, listeners and waiting give every descriptor back, and say so when there is none.
 */
#include "suite.h"

#include <cano/cano.h>
#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUNDS 20
#define MOST 256 /* descriptors of this program */

/* ---- helpers ---- */

static int count_descriptors(void)
{
    int count = 0;
    DIR *list = opendir("/dev/fd");
    while (list != NULL && readdir(list) != NULL) {
        count++;
    }
    if (list != NULL) {
        closedir(list);
    }
    return count;
}

static int fillers[MOST];
static int fillers_count;

/* Take all descriptors but so many. */
static void leave_room_for(int more)
{
    int filler;
    while ((filler = dup(STDIN_FILENO)) >= 0) {
        fillers[fillers_count++] = filler;
    }
    while (more-- > 0) {
        close(fillers[--fillers_count]);
    }
}

static void make_room(void)
{
    while (fillers_count > 0) {
        close(fillers[--fillers_count]);
    }
}

static cano_status spawn(cano_process **process, const char *program, const cano_hand *hands, size_t count)
{
    const char *const argv[] = { program, "role", "take", NULL };
    const cano_process_options options = { sizeof options, hands, count };
    return cano_process_spawn(process, argv, &options);
}

static void make_hands(cano_hand hands[2], cano_queue **queue, cano_pipe **near)
{
    cano_pipe *far;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(queue, NULL, NULL), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(near, &far, NULL), CANO_OK);
    hands[0] = (cano_hand){ "queue", *queue, NULL, 0, 0 };
    hands[1] = (cano_hand){ "pipe", NULL, far, 0, 0 };
}

/* ---- what the children do ---- */

static int run_take(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    const int before = count_descriptors();
    cano_queue *queue;
    cano_pipe *pipe;
    if (cano_inherited_queue("queue", NULL, &queue) != CANO_OK || cano_inherited_pipe("pipe", &pipe) != CANO_OK) {
        return 1;
    }
    cano_queue_close(queue);
    cano_pipe_close(pipe);
    return count_descriptors() < before ? 0 : 2; /* not even the list of hands is left */
}

static int run_connect(int argc, char **argv)
{
    cano_pipe *pipe;
    if (argc < 1 || cano_connect(&pipe, argv[0], NULL, SUITE_PATIENCE) != CANO_OK) {
        return 1;
    }
    const bool closed = cano_pipe_recv(pipe, NULL, 0, NULL, SUITE_PATIENCE) == CANO_ECLOSED;
    cano_pipe_close(pipe);
    return closed ? 0 : 2;
}

/* ---- all come back ---- */

static void spawn_and_wait(void)
{
    cano_hand hands[2];
    cano_queue *queue;
    cano_pipe *near;
    cano_process *process = NULL;
    cano_exit ended = { -2, -2 };
    make_hands(hands, &queue, &near);
    CU_ASSERT_EQUAL(spawn(&process, "/nowhere/at-all", hands, 2), CANO_ENOENT);
    CU_ASSERT_EQUAL_FATAL(spawn(&process, CANO_SELF, hands, 2), CANO_OK);
    const cano_object objects[] = { { near, NULL, NULL, NULL }, { NULL, NULL, NULL, process } };
    size_t ready;
    CU_ASSERT_EQUAL(cano_wait(objects, 2, &ready, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(ended.code, 0);
    cano_process_close(process);
    cano_pipe_close(near);
    cano_queue_close(queue);
}

static void listen_and_meet(void)
{
    const char *name = suite_name("meet");
    cano_listener *listener = NULL;
    cano_listener *second = NULL;
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_listener_create(&second, name, NULL), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_connect(&pipe, name, NULL, CANO_NOW), CANO_ETIMEOUT);
    suite_child *child = suite_start("connect", name, NULL);
    CU_ASSERT_EQUAL(cano_listener_accept(listener, &pipe, SUITE_PATIENCE), CANO_OK);
    cano_pipe_close(pipe);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
    cano_listener_close(listener);
    CU_ASSERT_EQUAL(cano_connect(&pipe, name, NULL, CANO_NOW), CANO_ENOENT);
}

static void every_descriptor_comes_back(void)
{
    spawn_and_wait(); /* what is opened once and kept */
    listen_and_meet();
    const int before = count_descriptors();
    for (int i = 0; i < ROUNDS; i++) {
        spawn_and_wait();
        listen_and_meet();
    }
    CU_ASSERT_EQUAL(count_descriptors(), before);
}

static void closing_a_living_process_gives_its_descriptor_back(void)
{
    cano_hand hands[2];
    cano_queue *queue;
    cano_pipe *near;
    cano_process *process = NULL;
    make_hands(hands, &queue, &near);
    const int before = count_descriptors();
    CU_ASSERT_EQUAL_FATAL(spawn(&process, CANO_SELF, hands, 1), CANO_OK);
    cano_process_close(process);
    CU_ASSERT_EQUAL(count_descriptors(), before);
    cano_pipe_close(near);
    cano_pipe_close(hands[1].pipe);
    cano_queue_close(queue);
}

/* ---- none is left ---- */

/* However few there are, a spawn fails whole: the pipe end stays, the place in the queue is free again. */
static void spawn_without_descriptors_is_elimit(void)
{
    cano_hand hands[2];
    cano_queue *queue;
    cano_pipe *near;
    cano_process *process = NULL;
    make_hands(hands, &queue, &near);
    cano_status status = CANO_ELIMIT;
    int more = 0;
    for (; status == CANO_ELIMIT && more < 64; more++) {
        leave_room_for(more);
        status = spawn(&process, CANO_SELF, hands, 2);
        make_room();
        CU_ASSERT(status == CANO_ELIMIT || status == CANO_OK);
        if (status == CANO_ELIMIT) {
            CU_ASSERT_EQUAL(cano_pipe_send(hands[1].pipe, "x", 1, CANO_NOW), CANO_OK);
        }
    }
    CU_ASSERT(more > 1);
    CU_ASSERT_EQUAL_FATAL(status, CANO_OK);
    CU_ASSERT_EQUAL(cano_process_wait(process, NULL, SUITE_PATIENCE), CANO_OK);
    cano_queue_info info = { .size = sizeof info };
    CU_ASSERT_EQUAL(cano_queue_stat(queue, &info), CANO_OK);
    CU_ASSERT_EQUAL(info.participants, 1);
    cano_process_close(process);
    cano_pipe_close(near);
    cano_queue_close(queue);
}

static void accept_without_descriptors_can_be_tried_again(void)
{
    const char *name = suite_name("later");
    cano_listener *listener = NULL;
    cano_pipe *pipe = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    suite_child *child = suite_start("connect", name, NULL);
    const cano_object object = { NULL, NULL, listener, NULL };
    size_t ready;
    CU_ASSERT_EQUAL(cano_wait(&object, 1, &ready, SUITE_PATIENCE), CANO_OK);
    cano_status status = CANO_ELIMIT;
    for (int more = 0; status == CANO_ELIMIT && more < 16; more++) {
        leave_room_for(more);
        status = cano_listener_accept(listener, &pipe, SUITE_PATIENCE);
        make_room();
        CU_ASSERT(status == CANO_OK || status == CANO_ELIMIT);
    }
    CU_ASSERT_EQUAL(status, CANO_OK);
    cano_pipe_close(pipe);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
    cano_listener_close(listener);
}

static void listen_and_connect_without_descriptors_are_elimit(void)
{
    const char *name = suite_name("limit");
    cano_listener *listener = NULL;
    cano_pipe *pipe = NULL;
    leave_room_for(0);
    CU_ASSERT_EQUAL(cano_listener_create(&listener, name, NULL), CANO_ELIMIT);
    make_room();
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    leave_room_for(0);
    CU_ASSERT_EQUAL(cano_connect(&pipe, name, NULL, CANO_FOREVER), CANO_ELIMIT);
    make_room();
    cano_listener_close(listener);
}

static const suite_test tests[] = {
    { "every_descriptor_comes_back", every_descriptor_comes_back },
    { "closing_a_living_process_gives_its_descriptor_back", closing_a_living_process_gives_its_descriptor_back },
    { "spawn_without_descriptors_is_elimit", spawn_without_descriptors_is_elimit },
    { "accept_without_descriptors_can_be_tried_again", accept_without_descriptors_can_be_tried_again },
    { "listen_and_connect_without_descriptors_are_elimit", listen_and_connect_without_descriptors_are_elimit },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "take", run_take },
    { "connect", run_connect },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    const struct rlimit few = { MOST, MOST };
    if (setrlimit(RLIMIT_NOFILE, &few) != 0) {
        return 2;
    }
    return suite_main(argc, argv, "descriptors", tests, roles);
}
