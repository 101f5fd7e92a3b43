/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is who where numbers lie: children made behind the back of the C library, and processes of the same number in two
 * namespaces.
 */
#include "queues.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static int end_of(pid_t child)
{
    int status = -1;
    while (waitpid(child, &status, 0) < 0) {
    }
    return status;
}

/* ---- a child that no handler has seen ---- */

#if defined(__SANITIZE_THREAD__)
static pid_t raw_fork(void)
{
    return -1;
}
#else
static pid_t raw_fork(void)
{
    fflush(NULL);
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
#endif

static bool can_fork_so(pid_t child, const char *test)
{
    if (child < 0) {
        printf("\n    not run here: %s: no bare clone, or ThreadSanitizer does not see it\n", test);
    }
    return child >= 0;
}

static int use_as_oneself(cano_queue *queue, const cano_item *parents)
{
    DEMAND(picture_of(queue).participants == 2);
    DEMAND(cano_queue_unlock(queue) == CANO_ENOTHELD);
    DEMAND(put_number(queue, 5, 20000) == CANO_ETIMEOUT); /* the parent is inside lock() */
    DEMAND(cano_queue_task_done(queue, parents) == CANO_ENOTHELD);
    DEMAND(cano_queue_task_done(queue, NULL) == CANO_ENOTHELD);
    cano_queue_close(queue);
    return 0;
}

static void child_without_handlers_is_its_own_participant(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    uint64_t number;
    put_number(queue, 1, CANO_NOW);
    const cano_item item = take_number(queue, &number, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_NOW), CANO_OK);
    const pid_t child = raw_fork();
    if (child == 0) {
        alarm(30);
        _exit(use_as_oneself(queue, &item));
    }
    if (can_fork_so(child, "child_without_handlers_is_its_own_participant")) {
        CU_ASSERT_EQUAL(end_of(child), 0);
    }
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_OK);
    CU_ASSERT_EQUAL(status_of_get(queue, 100000), CANO_ETIMEOUT); /* the task is still ours */
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
    cano_queue_close(queue);
}

static void hold_all(cano_queue *queue, cano_queue *talk)
{
    cano_item item;
    DEMAND(cano_queue_take(queue, &item, CANO_NOW) == CANO_OK);
    DEMAND(cano_queue_lock(queue, CANO_NOW) == CANO_OK);
    DEMAND(put_number(talk, 1, PATIENCE) == CANO_OK);
    pause();
}

static void killed_child_without_handlers_is_dead(void)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE));
    cano_queue *talk = make_queue(OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    const pid_t child = raw_fork();
    if (child == 0) {
        alarm(30);
        hold_all(queue, talk);
        _exit(1);
    }
    if (can_fork_so(child, "killed_child_without_handlers_is_dead")) {
        CU_ASSERT_EQUAL(get_number(talk, PATIENCE), 1);
        kill(child, SIGKILL);
        CU_ASSERT(WIFSIGNALED(end_of(child)));
        uint64_t number;
        const cano_item item = take_number(queue, &number, PATIENCE);
        CU_ASSERT(number == 1 && item.deliveries == 2);
        CU_ASSERT_EQUAL(put_number(queue, 2, PATIENCE), CANO_OK);
    }
    cano_queue_close(queue);
    cano_queue_close(talk);
}

/* ---- the same number twice ---- */

static int run_hold(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    uint64_t number;
    cano_item item;
    DEMAND(getpid() == 1);
    DEMAND(cano_queue_take(s.queue, &item, PATIENCE) == CANO_OK);
    memcpy(&number, item.data, sizeof number);
    tell(&s, number);
    obey(&s, 2); /* killed here, or told to go on */
    DEMAND(cano_queue_task_done(s.queue, &item) == CANO_OK);
    leave(&s);
    return 0;
}

/* Run the role as the first process of a new namespace, started by a child. Returns its number here, or -1. */
static pid_t start_in_namespace(const stage *s)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    fflush(NULL);
    const pid_t middle = fork();
    if (middle == 0) {
        pid_t inner = unshare(CLONE_NEWPID) == 0 ? fork() : -1;
        if (inner == 0) {
            execl("/proc/self/exe", "test", "role", "hold", s->names[0], s->names[1], s->names[2], (char *)NULL);
            _exit(9);
        }
        _exit(write(ends[1], &inner, sizeof inner) == sizeof inner ? 0 : 9);
    }
    pid_t inner = -1;
    close(ends[1]);
    CU_ASSERT_EQUAL(read(ends[0], &inner, sizeof inner), sizeof inner);
    close(ends[0]);
    CU_ASSERT_EQUAL(end_of(middle), 0);
    return inner;
}

static void same_number_in_another_namespace_is_told_apart(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE));
    put_number(s.queue, 10, CANO_NOW);
    put_number(s.queue, 20, CANO_NOW);
    const pid_t first = start_in_namespace(&s);
    if (first < 0) {
        printf("\n    not run here: same_number_in_another_namespace_is_told_apart: no namespace of processes\n");
        strike(&s);
        return;
    }
    hear(&s, 10);
    CU_ASSERT(start_in_namespace(&s) > 0);
    hear(&s, 20);
    kill(first, SIGKILL);
    CU_ASSERT_EQUAL(get_number(s.queue, PATIENCE), 10); /* back from the dead */
    CU_ASSERT_EQUAL(cano_queue_task_done(s.queue, NULL), CANO_OK);
    CU_ASSERT_EQUAL(status_of_get(s.queue, 300000), CANO_ETIMEOUT); /* and the other one keeps its own */
    order(&s, 2);
    CU_ASSERT_EQUAL(cano_queue_join(s.queue, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(picture_of(s.queue).done, 2);
    strike(&s);
}

static const suite_test tests[] = {
    { "child_without_handlers_is_its_own_participant", child_without_handlers_is_its_own_participant },
    { "killed_child_without_handlers_is_dead", killed_child_without_handlers_is_dead },
    { "same_number_in_another_namespace_is_told_apart", same_number_in_another_namespace_is_told_apart },
    { NULL, NULL },
};

static const suite_role roles[] = { { "hold", run_hold }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: clone", tests, roles);
}
