/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who lives and who does not: stopped, undead, reborn and faraway processes, and those that look alike.
 *
 *     liveness [TEXT]        runs the tests whose sentence contains it
 *
 * What a system does not allow (PID namespaces without rights) is printed as such. Exit status 0: nothing failed.
 */
#include "actor.h"
#include "points.h"
#include "scene.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOON 2000   /* milliseconds for what takes 100 at most */
#define A_WHILE 250 /* milliseconds in which a robbery would have happened */
#define HANGS 60

typedef struct test {
    const char *sentence;
    void (*run)(void);
} test;

static cano_queue *queue;
static char name[64];
static bool failed;
static bool impossible;

static void expect(bool truth, const char *what)
{
    if (!truth && !failed) {
        printf("    %s\n", what);
        failed = true;
    }
}

#define EXPECT(truth) expect(truth, #truth)

static void make_queue(bool named, uint32_t flags)
{
    static unsigned number;
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.flags = flags;
    options.max_items = 64;
    options.max_participants = 16;
    snprintf(name, sizeof name, "liveness-%d-%u", (int)getpid(), number++);
    EXPECT(cano_queue_create(&queue, named ? name : NULL, &options) == CANO_OK);
}

static void drop_queue(void)
{
    cano_queue_close(queue);
    cano_queue_unlink(name);
}

static bool put(const char *text)
{
    return cano_queue_put(queue, text, strlen(text) + 1, CANO_NOW) == CANO_OK;
}

static cano_status get_soon(void)
{
    cano_item item;
    const cano_status status = cano_queue_take(queue, &item, SOON * 1000);
    if (status == CANO_OK) {
        cano_queue_task_done(queue, &item);
        cano_queue_release(queue, &item);
    }
    return status;
}

static cano_status lock_soon(void)
{
    const cano_status status = cano_queue_lock(queue, SOON * 1000);
    if (status == CANO_OK) {
        cano_queue_unlock(queue);
    }
    return status;
}

static void pause_for(int milliseconds)
{
    const struct timespec pause = { milliseconds / 1000, milliseconds % 1000 * 1000000L };
    nanosleep(&pause, NULL);
}

/* ---- namespaces ---- */

static void equal_pids_in_two_namespaces_are_told_apart(void)
{
    actor one;
    actor other;
    make_queue(true, CANO_JOINABLE);
    impossible = !actor_start(&one, name, NULL, true);
    if (impossible || !actor_start(&other, name, NULL, true)) {
        drop_queue();
        return;
    }
    EXPECT(actor_say(&one, ACTOR_OPEN, SOON) == CANO_OK && actor_say(&other, ACTOR_OPEN, SOON) == CANO_OK);
    EXPECT(actor_say(&one, ACTOR_LOCK, SOON) == CANO_OK);
    EXPECT(actor_say(&other, ACTOR_LOCK, A_WHILE) == ACTOR_SILENT); /* both are number 1 where they live */
    actor_end(&other);
    EXPECT(cano_queue_lock(queue, A_WHILE * 1000) == CANO_ETIMEOUT); /* the death of its double is not its own */
    EXPECT(actor_say(&one, ACTOR_UNLOCK, SOON) == CANO_OK);
    EXPECT(actor_say(&one, ACTOR_LOCK, SOON) == CANO_OK);
    actor_end(&one);
    EXPECT(lock_soon() == CANO_OK);
    drop_queue();
}

static bool give_next_pid(int pid)
{
    char text[16];
    const int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    const int length = snprintf(text, sizeof text, "%d", pid - 1);
    const bool written = file >= 0 && write(file, text, (size_t)length) == length;
    if (file >= 0) {
        close(file);
    }
    return written;
}

enum {
    TAKEN_OVER,
    ROBBED_OF_IT,
    NOT_ALLOWED
};

/* As the first process of a namespace: one locks and dies, another gets its number and lives. */
static int reuse_a_pid(void)
{
    cano_queue *own;
    if (cano_queue_open(&own, name, NULL) != CANO_OK) {
        return ROBBED_OF_IT;
    }
    const pid_t first = fork();
    if (first == 0) {
        _exit(cano_queue_lock(own, CANO_NOW));
    }
    waitpid(first, NULL, 0);
    if (!give_next_pid(first)) {
        return NOT_ALLOWED;
    }
    const pid_t second = fork();
    if (second == 0) {
        pause();
    }
    const bool taken = second == first && cano_queue_lock(own, SOON * 1000) == CANO_OK;
    return second != first ? NOT_ALLOWED : taken ? TAKEN_OVER : ROBBED_OF_IT;
}

static void a_reused_pid_is_not_its_predecessor(void)
{
    int status;
    make_queue(true, 0);
    const pid_t between = fork();
    if (between == 0) {
        if (unshare(CLONE_NEWPID) != 0) {
            _exit(NOT_ALLOWED);
        }
        const pid_t inside = fork();
        if (inside == 0) {
            _exit(reuse_a_pid());
        }
        waitpid(inside, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : ROBBED_OF_IT);
    }
    waitpid(between, &status, 0);
    impossible = WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED;
    EXPECT(impossible || (WIFEXITED(status) && WEXITSTATUS(status) == TAKEN_OVER));
    drop_queue();
}

/* ---- the undead and the stopped ---- */

static void a_zombie_holder_is_dead(void)
{
    make_queue(false, CANO_JOINABLE);
    put("task");
    const pid_t child = fork();
    if (child == 0) {
        cano_item item;
        cano_queue_take(queue, &item, CANO_NOW);
        _exit(cano_queue_lock(queue, CANO_NOW));
    }
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT); /* it has ended, and is not buried */
    EXPECT(lock_soon() == CANO_OK);
    EXPECT(get_soon() == CANO_OK);
    waitpid(child, NULL, 0);
    drop_queue();
}

static void a_stopped_holder_is_never_robbed(void)
{
    actor holder;
    make_queue(false, 0);
    EXPECT(actor_start(&holder, NULL, queue, false));
    EXPECT(actor_say(&holder, ACTOR_LOCK, SOON) == CANO_OK);
    actor_signal(&holder, SIGSTOP);
    EXPECT(cano_queue_lock(queue, A_WHILE * 1000) == CANO_ETIMEOUT);
    EXPECT(cano_queue_put(queue, "x", 2, A_WHILE * 1000) == CANO_ETIMEOUT);
    actor_signal(&holder, SIGCONT);
    EXPECT(actor_say(&holder, ACTOR_PUT, SOON) == CANO_OK);
    EXPECT(actor_say(&holder, ACTOR_UNLOCK, SOON) == CANO_OK);
    EXPECT(lock_soon() == CANO_OK && get_soon() == CANO_OK);
    actor_end(&holder);
    drop_queue();
}

static void a_stopped_worker_keeps_its_task(void)
{
    actor worker;
    cano_item item;
    make_queue(false, CANO_JOINABLE);
    put("task");
    EXPECT(actor_start(&worker, NULL, queue, false));
    EXPECT(actor_say(&worker, ACTOR_TAKE, SOON) == CANO_OK);
    actor_signal(&worker, SIGSTOP);
    EXPECT(cano_queue_take(queue, &item, A_WHILE * 1000) == CANO_ETIMEOUT);
    EXPECT(cano_queue_join(queue, A_WHILE * 1000) == CANO_ETIMEOUT);
    actor_signal(&worker, SIGCONT);
    EXPECT(actor_say(&worker, ACTOR_DONE, SOON) == CANO_OK);
    EXPECT(cano_queue_join(queue, SOON * 1000) == CANO_OK);
    actor_end(&worker);
    drop_queue();
}

/* ---- parents and children ---- */

static void a_child_outlives_its_parent(void)
{
    actor parent;
    cano_item item;
    make_queue(false, CANO_JOINABLE);
    put("the parent's");
    EXPECT(actor_start(&parent, NULL, queue, false));
    EXPECT(actor_say(&parent, ACTOR_TAKE, SOON) == CANO_OK);
    EXPECT(actor_say(&parent, ACTOR_FORK, SOON) != ACTOR_SILENT); /* from now on the child answers */
    put("the child's");
    EXPECT(actor_say(&parent, ACTOR_TAKE, SOON) == CANO_OK);
    kill(parent.pid, SIGKILL);
    waitpid(parent.pid, NULL, 0);
    EXPECT(cano_queue_take(queue, &item, SOON * 1000) == CANO_OK && strcmp(item.data, "the parent's") == 0);
    EXPECT(cano_queue_task_done(queue, &item) == CANO_OK);
    EXPECT(cano_queue_take(queue, &item, A_WHILE * 1000) == CANO_ETIMEOUT);
    EXPECT(actor_say(&parent, ACTOR_DONE, SOON) == CANO_OK);
    EXPECT(cano_queue_join(queue, SOON * 1000) == CANO_OK);
    actor_say(&parent, ACTOR_LEAVE, 0);
    actor_end(&parent);
    drop_queue();
}

static void a_parent_outlives_its_child(void)
{
    cano_item item;
    make_queue(false, CANO_JOINABLE);
    put("the parent's");
    put("the child's");
    EXPECT(cano_queue_take(queue, &item, CANO_NOW) == CANO_OK);
    const pid_t child = fork();
    if (child == 0) {
        cano_item own;
        _exit(cano_queue_take(queue, &own, CANO_NOW));
    }
    waitpid(child, NULL, 0);
    EXPECT(get_soon() == CANO_OK);
    EXPECT(cano_queue_take(queue, &(cano_item){ 0 }, A_WHILE * 1000) == CANO_ETIMEOUT);
    EXPECT(cano_queue_task_done(queue, &item) == CANO_OK);
    EXPECT(cano_queue_join(queue, CANO_NOW) == CANO_OK);
    drop_queue();
}

/* A child made past the handlers of fork knows itself all the same, and does not die under its parent's name. */
static void a_child_without_fork_handlers_dies_as_itself(void)
{
    make_queue(false, CANO_JOINABLE);
    put("task");
    cano_item item;
    EXPECT(cano_queue_take(queue, &item, CANO_NOW) == CANO_OK);
    const long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        syscall(SYS_exit_group, cano_queue_lock(queue, CANO_NOW));
    }
    int status = 0;
    waitpid((pid_t)child, &status, 0);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == CANO_OK);
    actor other;
    EXPECT(actor_start(&other, NULL, queue, false));
    EXPECT(actor_say(&other, ACTOR_LOCK, SOON) == CANO_OK);
    EXPECT(actor_say(&other, ACTOR_UNLOCK, SOON) == CANO_OK);
    EXPECT(cano_queue_task_done(queue, &item) == CANO_OK);
    actor_end(&other);
    drop_queue();
}

static void a_lease_ends_with_exec(void)
{
    actor worker;
    make_queue(false, CANO_JOINABLE);
    put("task");
    EXPECT(actor_start(&worker, NULL, queue, false));
    EXPECT(actor_say(&worker, ACTOR_TAKE, SOON) == CANO_OK);
    EXPECT(actor_say(&worker, ACTOR_EXEC, SOON) == CANO_OK);
    EXPECT(get_soon() == CANO_OK);
    EXPECT(kill(worker.pid, 0) == 0); /* the process lives: it is only somebody else now */
    actor_end(&worker);
    drop_queue();
}

/* Started with the queue in hand it is a participant through its exec, whoever started it. */
static void a_spawned_child_keeps_its_place_through_exec(void)
{
    cano_process *child;
    const char *argv[] = { CANO_SELF, "spawned", NULL };
    make_queue(false, CANO_JOINABLE);
    put("task");
    const cano_hand hand = { .name = "tasks", .queue = queue };
    const cano_process_options options = { sizeof options, &hand, 1 };
    EXPECT(cano_process_spawn(&child, argv, &options) == CANO_OK);
    cano_queue_info info = { .size = sizeof info };
    const int64_t until = scene_now() + SOON * 1000;
    do {
        EXPECT(cano_queue_stat(queue, &info) == CANO_OK);
        EXPECT(info.participants == 2); /* from the start */
    } while (info.leased == 0 && scene_now() < until && !failed);
    EXPECT(cano_queue_take(queue, &(cano_item){ 0 }, A_WHILE * 1000) == CANO_ETIMEOUT);
    EXPECT(cano_process_kill(child) == CANO_OK);
    EXPECT(get_soon() == CANO_OK);
    cano_process_close(child);
    drop_queue();
}

static int be_spawned(void)
{
    cano_item item;
    cano_queue *tasks;
    if (cano_inherited_queue("tasks", NULL, &tasks) != CANO_OK || cano_queue_take(tasks, &item, CANO_NOW) != CANO_OK) {
        return 1;
    }
    for (;;) {
        pause();
    }
}

/* ---- names ---- */

/* Whoever creates or opens it: what one puts, all see. */
static void creators_racing_for_a_name_get_one_queue(void)
{
    enum {
        CREATORS = 4,
        RACES = 300
    };
    for (int race = 0; race < RACES && !failed; race++) {
        snprintf(name, sizeof name, "liveness-race-%d-%d", (int)getpid(), race);
        pid_t creators[CREATORS];
        for (int i = 0; i < CREATORS; i++) {
            creators[i] = fork();
            if (creators[i] == 0) {
                cano_queue *own;
                cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
                options.flags = CANO_OPEN_EXISTING;
                options.max_items = 16;
                const bool created = cano_queue_create(&own, name, &options) == CANO_OK;
                _exit(created && cano_queue_put(own, "x", 2, CANO_NOW) == CANO_OK ? 0 : 1);
            }
        }
        int good = 0;
        for (int i = 0; i < CREATORS; i++) {
            int status;
            waitpid(creators[i], &status, 0);
            good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        }
        size_t size = 0;
        EXPECT(good == CREATORS);
        EXPECT(cano_queue_open(&queue, name, NULL) == CANO_OK);
        EXPECT(cano_queue_qsize(queue, &size) == CANO_OK && size == CREATORS);
        drop_queue();
    }
}

/* Everything committed is there when everybody has died and others open the name. */
static void all_die_at_once_and_others_open_the_name(void)
{
    actor actors[4];
    make_queue(true, CANO_JOINABLE);
    for (int i = 0; i < 4; i++) {
        EXPECT(actor_start(&actors[i], name, NULL, false) && actor_say(&actors[i], ACTOR_OPEN, SOON) == CANO_OK);
        EXPECT(actor_say(&actors[i], ACTOR_PUT, SOON) == CANO_OK);
    }
    EXPECT(actor_say(&actors[0], ACTOR_TAKE, SOON) == CANO_OK);
    EXPECT(actor_say(&actors[1], ACTOR_LOCK, SOON) == CANO_OK);
    cano_queue_close(queue);
    for (int i = 0; i < 4; i++) {
        actor_end(&actors[i]);
    }
    EXPECT(cano_queue_open(&queue, name, NULL) == CANO_OK);
    for (int i = 0; i < 4; i++) {
        EXPECT(get_soon() == CANO_OK);
    }
    EXPECT(cano_queue_join(queue, CANO_NOW) == CANO_OK);
    drop_queue();
}

static void a_killed_listener_frees_its_name(void)
{
    cano_listener *listener;
    snprintf(name, sizeof name, "liveness-listener-%d", (int)getpid());
    const pid_t child = fork();
    if (child == 0) {
        _exit(cano_listener_create(&listener, name, NULL));
    }
    int status = 1;
    waitpid(child, &status, 0);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == CANO_OK);
    EXPECT(cano_listener_create(&listener, name, NULL) == CANO_OK);
    cano_listener_close(listener);
}

/* ---- rules with no other place ---- */

static void one_who_only_polls_finds_the_dead(void)
{
    make_queue(false, CANO_JOINABLE);
    put("task");
    const pid_t child = fork();
    if (child == 0) {
        cano_item item;
        _exit(cano_queue_take(queue, &item, CANO_NOW));
    }
    waitpid(child, NULL, 0);
    cano_item item;
    const int64_t until = scene_now() + SOON * 1000;
    cano_status status;
    while ((status = cano_queue_take(queue, &item, CANO_NOW)) == CANO_ETIMEOUT && scene_now() < until) {
        pause_for(1);
    }
    EXPECT(status == CANO_OK && item.deliveries == 2);
    drop_queue();
}

static void a_task_is_done_once(void)
{
    cano_item first;
    cano_item second;
    make_queue(false, CANO_JOINABLE);
    put("one");
    put("two");
    EXPECT(cano_queue_take(queue, &first, CANO_NOW) == CANO_OK);
    EXPECT(cano_queue_task_done(queue, &first) == CANO_OK);
    for (int i = 0; i < 300; i++) { /* until the next task lies in the same entry */
        EXPECT(cano_queue_take(queue, &second, CANO_NOW) == CANO_OK);
        if (second.reserved == first.reserved) {
            break;
        }
        EXPECT(cano_queue_give_back(queue, &second, CANO_NOW) == CANO_OK);
        put("more");
        EXPECT(cano_queue_take(queue, &second, CANO_NOW) == CANO_OK);
        EXPECT(cano_queue_task_done(queue, &second) == CANO_OK);
    }
    EXPECT(second.reserved == first.reserved);
    EXPECT(cano_queue_task_done(queue, &first) == CANO_ENOTHELD);
    EXPECT(cano_queue_join(queue, CANO_NOW) == CANO_ETIMEOUT);
    EXPECT(cano_queue_task_done(queue, &second) == CANO_OK);
    drop_queue();
}

static void stop_oneself(void)
{
    raise(SIGSTOP);
}

/* One sees a dead holder, and is stopped; meanwhile the dead is put right, its slot is another's, and that one takes the lock.
 * Who goes on then must not take it away. Stopped at each of its points, the right one among them. */
static bool stall_at(uint64_t point)
{
    actor holder;
    actor heir;
    make_queue(true, 0);
    put("message");
    EXPECT(actor_start(&holder, name, NULL, false) && actor_say(&holder, ACTOR_OPEN, SOON) == CANO_OK);
    EXPECT(actor_say(&holder, ACTOR_LOCK, SOON) == CANO_OK);
    int ready[2];
    if (pipe(ready) != 0) {
        exit(2);
    }
    const pid_t stalled = fork();
    if (stalled == 0) {
        char byte;
        cano_queue *own;
        cano_item item;
        const cano_status opened = cano_queue_open(&own, name, NULL);
        if (opened != CANO_OK || read(ready[0], &byte, 1) != 1) {
            _exit(CANO_ESYSTEM);
        }
        points_instead(stop_oneself);
        points_arm(point);
        _exit(cano_queue_take(own, &item, CANO_FOREVER));
    }
    actor_end(&holder);
    int status = 0;
    EXPECT(write(ready[1], "", 1) == 1);
    waitpid(stalled, &status, WUNTRACED);
    const bool stopped = WIFSTOPPED(status);
    if (stopped) {
        scene_look_by(queue);
        EXPECT(actor_start(&heir, name, NULL, false) && actor_say(&heir, ACTOR_OPEN, SOON) == CANO_OK);
        size_t size = 0;
        bool locked = actor_say(&heir, ACTOR_TRY_LOCK, SOON) == CANO_OK;
        EXPECT(cano_queue_qsize(queue, &size) == CANO_OK);
        locked = locked && size != 0; /* otherwise it has what it wanted */
        kill(stalled, SIGCONT);
        if (locked) {
            pause_for(30);
            EXPECT(waitpid(stalled, &status, WNOHANG) == 0); /* nobody gets while another holds the lock */
        }
        actor_say(&heir, ACTOR_UNLOCK, SOON);
        waitpid(stalled, &status, 0);
        actor_end(&heir);
    }
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == CANO_OK);
    close(ready[0]);
    close(ready[1]);
    drop_queue();
    return stopped;
}

static void a_stale_takeover_does_not_rob(void)
{
    uint64_t point = 1;
    while (point < 500 && !failed && stall_at(point)) {
        point++;
    }
    EXPECT(point > 2 && point < 500);
}

static void be_slow(int64_t *times)
{
    int64_t sent[2];
    while (cano_queue_get(queue, sent, sizeof sent, NULL, CANO_FOREVER) == CANO_OK) {
        times[sent[0]] = scene_now() - sent[1];
        pause_for(5);
    }
    _exit(0);
}

/* Four messages in a row must be at four sleepers at once, though each of them is busy for a while then. */
static void sleeping_getters_are_woken_at_once(void)
{
    enum { GETTERS = 4, MESSAGES = 240 };
    int64_t *times = mmap(NULL, MESSAGES * sizeof *times, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    points_unmapped(times);
    make_queue(false, 0);
    for (int i = 0; i < GETTERS; i++) {
        if (fork() == 0) {
            be_slow(times);
        }
    }
    for (int64_t i = 0; i < MESSAGES; i++) {
        if (i % GETTERS == 0) {
            pause_for(15);
        }
        const int64_t sent[2] = { i, scene_now() };
        EXPECT(cano_queue_put(queue, sent, sizeof sent, CANO_NOW) == CANO_OK);
    }
    cano_queue_shutdown(queue, false);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    int late = 0;
    for (int i = 0; i < MESSAGES; i++) {
        late += times[i] > 3000;
    }
    EXPECT(late < MESSAGES / 2); /* 50 us is usual, 5 ms what it costs to wait for one who is busy */
    munmap(times, MESSAGES * sizeof *times);
    drop_queue();
}

#define TEST(name)                                                                                                             \
    {                                                                                                                          \
#name, name                                                                                                            \
    }

static const test tests[] = {
    TEST(equal_pids_in_two_namespaces_are_told_apart),
    TEST(a_reused_pid_is_not_its_predecessor),
    TEST(a_zombie_holder_is_dead),
    TEST(a_stopped_holder_is_never_robbed),
    TEST(a_stopped_worker_keeps_its_task),
    TEST(a_child_outlives_its_parent),
    TEST(a_parent_outlives_its_child),
    TEST(a_child_without_fork_handlers_dies_as_itself),
    TEST(a_lease_ends_with_exec),
    TEST(a_spawned_child_keeps_its_place_through_exec),
    TEST(creators_racing_for_a_name_get_one_queue),
    TEST(all_die_at_once_and_others_open_the_name),
    TEST(a_killed_listener_frees_its_name),
    TEST(one_who_only_polls_finds_the_dead),
    TEST(a_task_is_done_once),
    TEST(a_stale_takeover_does_not_rob),
    TEST(sleeping_getters_are_woken_at_once),
};

static void on_alarm(int signal)
{
    (void)signal;
    printf("    stuck\n");
    fflush(stdout);
    _exit(1);
}

int main(int argc, char **argv)
{
    int failures = 0;
    if (argc == 2 && strcmp(argv[1], "spawned") == 0) {
        return be_spawned();
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGALRM, on_alarm);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (argc == 2 && strstr(tests[i].sentence, argv[1]) == NULL) {
            continue;
        }
        failed = impossible = false;
        alarm(HANGS);
        tests[i].run();
        printf("%-8s%s\n", failed ? "FAILED" : impossible ? "not here" : "ok", tests[i].sentence);
        failures += failed;
    }
    alarm(0);
    printf("liveness: %d failures\n", failures);
    return failures != 0 ? 1 : 0;
}
