/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a process: exactly the named descriptors, a clean start, and nothing left over when it fails.
 */
#include "suite.h"

#include "os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define RIGHT 42 /* exit status of a child that found everything as it should be */

static cano_status wait_for(cano_os_handle handle, int64_t timeout)
{
    cano_os_pollable watched = { handle, false, false };
    return cano_os_poll(&watched, 1, cano_os_now() + timeout);
}

static int count_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) != -1;
    }
    return count;
}

static bool have_no_child(void)
{
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* As waitpid tells it, which must not have to wait. */
static int status_of(int64_t pid, cano_os_handle ended)
{
    int status = 0;
    CU_ASSERT_EQUAL(wait_for(ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(waitpid((pid_t)pid, &status, WNOHANG), (pid_t)pid);
    cano_os_close(ended);
    return status;
}

/* Run a role with these hands, and give the exit status. */
static int run(const char *role, const char *argument, const cano_os_hand *hands, size_t count)
{
    const char *const argv[] = { "", "role", role, argument, NULL };
    int64_t pid;
    cano_os_handle ended;
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, hands, count, &pid, &ended), CANO_OK);
    const int status = status_of(pid, ended);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Something to hand over that can be told from others: a file of one letter, read from its beginning by whoever gets it. */
static int make_letter(char letter)
{
    char path[] = "/tmp/cano-process-XXXXXX";
    const int fd = mkostemp(path, O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0);
    unlink(path);
    CU_ASSERT_EQUAL(pwrite(fd, &letter, 1, 0), 1);
    return fd;
}

static char read_letter(cano_os_handle handle)
{
    char letter = 0;
    return pread((int)handle, &letter, 1, 0) == 1 ? letter : 0;
}

/* ---- roles ---- */

static int run_exit(int argc, char **argv)
{
    return argc > 0 ? atoi(argv[0]) : 0;
}

static int run_stay(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_poll(NULL, 0, cano_os_now() + SUITE_PATIENCE);
    return 0;
}

/* count N: stdio, N descriptors from 3 on, and no other. */
static int run_count(int argc, char **argv)
{
    const int count = argc > 0 ? atoi(argv[0]) : 0;
    DIR *folder = opendir("/proc/self/fd");
    int found = 0;
    bool strange = folder == NULL;
    for (struct dirent *entry; !strange && (entry = readdir(folder)) != NULL;) {
        const int fd = entry->d_name[0] == '.' ? 0 : atoi(entry->d_name);
        const bool handed = fd >= 3 && fd < 3 + count;
        found += handed;
        strange = fd >= 3 && !handed && fd != dirfd(folder);
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return !strange && found == count ? RIGHT : 1;
}

/* letters NAMES: each name of one letter leads to a file with that letter. */
static int run_letters(int argc, char **argv)
{
    for (const char *name = argc > 0 ? argv[0] : ""; *name != '\0'; name++) {
        const char text[] = { *name, '\0' };
        cano_os_handle handle;
        if (cano_os_inherited(text, &handle) != CANO_OK || read_letter(handle) != *name ||
            (fcntl((int)handle, F_GETFD) & FD_CLOEXEC) == 0) {
            return 1;
        }
    }
    return RIGHT;
}

/* tame: asking for any hand makes all of them close-on-exec. */
static int run_tame(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_handle handle;
    const bool before = fcntl(3, F_GETFD) == 0 && fcntl(4, F_GETFD) == 0;
    const bool none = cano_os_inherited("nobody", &handle) == CANO_ENOENT;
    return before && none && fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFD) == FD_CLOEXEC ? RIGHT : 1;
}

/* changed: what is behind the number now is not what was handed over. */
static int run_changed(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_os_handle handle;
    if (dup2(4, 3) != 3 || close(4) != 0) {
        return 1;
    }
    const bool none = cano_os_inherited("a", &handle) == CANO_ENOENT && cano_os_inherited("b", &handle) == CANO_ENOENT;
    return none && fcntl(3, F_GETFD) == 0 ? RIGHT : 2; /* and it is left alone */
}

/* clean: no signal is blocked, SIGPIPE ends the process as it does by itself. */
static int run_clean(int argc, char **argv)
{
    (void)argc, (void)argv;
    sigset_t blocked;
    struct sigaction action;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    sigaction(SIGPIPE, NULL, &action);
    bool any = false;
    for (int number = 1; number < 32; number++) {
        any = any || sigismember(&blocked, number) == 1;
    }
    return !any && action.sa_handler == SIG_DFL ? RIGHT : 1;
}

extern char **environ;

/* environment N: a variable of our parent's is there, and N of the hands. */
static int run_environment(int argc, char **argv)
{
    const char *value = getenv("CANO_TEST_VALUE");
    int hands = 0;
    for (char **one = environ; *one != NULL; one++) {
        hands += strncmp(*one, "CANO_HANDS=", 11) == 0;
    }
    return argc > 0 && value != NULL && strcmp(value, "a b=c") == 0 && hands == atoi(argv[0]) ? RIGHT : 1;
}

/* nested N: our own child finds an environment with N of the hands, although there is one here. */
static int run_nested(int argc, char **argv)
{
    const char *const words[] = { "", "role", "environment", argc > 0 ? argv[0] : "", NULL };
    const cano_os_hand hand = { "x", 1 };
    int64_t pid;
    cano_os_handle ended;
    int status = 0;
    if (getenv("CANO_HANDS") == NULL || cano_os_spawn(words, &hand, (size_t)atoi(words[3]), &pid, &ended) != CANO_OK) {
        return 1;
    }
    return waitpid((pid_t)pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

/* forged: whatever the variable says, nothing bad comes of it. */
static int run_forged(int argc, char **argv)
{
    cano_os_handle handle;
    if (argc < 1 || setenv("CANO_HANDS", argv[0], 1) != 0) {
        return 1;
    }
    return cano_os_inherited("a", &handle) == CANO_ENOENT && fcntl(1, F_GETFD) == 0 ? RIGHT : 2;
}

/* name PATH: this is how we are called. */
static int run_name(int argc, char **argv)
{
    char line[8192] = "";
    const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t got = read(fd, line, sizeof line - 1);
    return argc > 0 && got > 0 && strcmp(line, argv[0]) == 0 ? RIGHT : 1;
}

/* crowded: there may be no more processes. */
static int run_crowded(int argc, char **argv)
{
    (void)argc, (void)argv;
    const char *const words[] = { "", "role", "exit", "0", NULL };
    struct rlimit before;
    int64_t pid;
    cano_os_handle ended;
    if ((getuid() == 0 && setuid(NOBODY) != 0) || getrlimit(RLIMIT_NPROC, &before) != 0) {
        return 1;
    }
    const struct rlimit none = { 0, before.rlim_max };
    setrlimit(RLIMIT_NPROC, &none);
    const cano_status status = cano_os_spawn(words, NULL, 0, &pid, &ended);
    setrlimit(RLIMIT_NPROC, &before); /* a sanitizer starts one at the exit */
    return status == CANO_ELIMIT && cano_os_error() == EAGAIN ? RIGHT : 2;
}

/* ---- how it ends ---- */

static void exit_status_is_there_for_waitpid(void)
{
    CU_ASSERT_EQUAL(run("exit", "0", NULL, 0), 0);
    CU_ASSERT_EQUAL(run("exit", "7", NULL, 0), 7);
}

static void end_is_readable_after_a_kill_and_close_on_exec(void)
{
    const char *const argv[] = { "", "role", "stay", NULL };
    int64_t pid;
    cano_os_handle ended;
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, NULL, 0, &pid, &ended), CANO_OK);
    CU_ASSERT((fcntl((int)ended, F_GETFD) & FD_CLOEXEC) != 0);
    CU_ASSERT_EQUAL(wait_for(ended, 0), CANO_ETIMEOUT);
    kill((pid_t)pid, SIGKILL);
    const int status = status_of(pid, ended);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- descriptors ---- */

static void child_has_stdio_and_what_was_named(void)
{
    cano_os_hand hands[5];
    static const char *const names[] = { "a", "b", "c", "d", "e" };
    static const char *const counts[] = { "0", "1", "2", "3", "4", "5" };
    const int stray = fcntl(0, F_DUPFD, 0); /* not close-on-exec, as a program's own may be */
    const int far = fcntl(0, F_DUPFD, 500);
    CU_ASSERT_FATAL(stray >= 3 && far >= 500);
    for (int i = 0; i < 5; i++) {
        hands[i] = (cano_os_hand){ names[i], make_letter(names[i][0]) };
    }
    const int before = count_open();
    for (size_t count = 0; count <= 5; count++) {
        CU_ASSERT_EQUAL(run("count", counts[count], hands, count), RIGHT);
    }
    CU_ASSERT_EQUAL(count_open(), before);
    for (int i = 0; i < 5; i++) {
        cano_os_close(hands[i].handle);
    }
    close(stray);
    close(far);
}

/* The numbers here are those there, in every order. */
static void overlapping_numbers_are_not_mixed_up(void)
{
    static const int orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 0, 3, 2 },
                                     { 1, 2, 3, 0 }, { 3, 0, 1, 2 }, { 2, 3, 0, 1 } };
    static const char *const names[] = { "a", "b", "c", "d" };
    int letters[4];
    const int hole = fcntl(0, F_DUPFD_CLOEXEC, 0); /* a number that the child will use and nobody has here */
    for (int i = 0; i < 4; i++) {
        letters[i] = make_letter(names[i][0]);
    }
    close(hole);
    CU_ASSERT(hole < 3 + 4 && letters[0] < 3 + 4); /* or the test shows nothing */
    for (size_t order = 0; order < sizeof orders / sizeof orders[0]; order++) {
        cano_os_hand hands[4];
        for (int i = 0; i < 4; i++) {
            const int which = orders[order][i];
            hands[i] = (cano_os_hand){ names[which], letters[which] };
        }
        CU_ASSERT_EQUAL(run("letters", "abcd", hands, 4), RIGHT);
    }
    for (int i = 0; i < 4; i++) {
        close(letters[i]);
    }
}

static void one_descriptor_can_be_handed_over_twice_and_stdio_too(void)
{
    const int letter = make_letter('a');
    const cano_os_hand hands[] = { { "a", letter }, { "b", letter }, { "c", 1 } };
    CU_ASSERT_EQUAL(run("count", "3", hands, 3), RIGHT);
    close(letter);
}

static void asking_for_one_hand_keeps_all_from_others(void)
{
    const cano_os_hand hands[] = { { "a", make_letter('a') }, { "b", make_letter('b') } };
    CU_ASSERT_EQUAL(run("tame", NULL, hands, 2), RIGHT);
    CU_ASSERT_EQUAL(run("changed", NULL, hands, 2), RIGHT);
    cano_os_close(hands[0].handle);
    cano_os_close(hands[1].handle);
}

static void descriptor_that_is_none_is_refused(void)
{
    const char *const argv[] = { "", "role", "exit", "0", NULL };
    cano_os_hand hand = { "a", CANO_OS_NONE };
    int64_t pid;
    cano_os_handle ended;
    const int before = count_open();
    CU_ASSERT_EQUAL(cano_os_spawn(argv, &hand, 1, &pid, &ended), CANO_EINVAL);
    hand.handle = 900;
    CU_ASSERT_EQUAL(cano_os_spawn(argv, &hand, 1, &pid, &ended), CANO_EINVAL);
    CU_ASSERT_EQUAL(count_open(), before);
    CU_ASSERT(have_no_child());
}

/* ---- a clean start ---- */

static void signals_are_as_a_program_expects_them(void)
{
    struct sigaction before;
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigset_t some;
    sigset_t old;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    sigaction(SIGPIPE, &ignore, &before);
    pthread_sigmask(SIG_BLOCK, &some, &old);
    CU_ASSERT_EQUAL(run("clean", NULL, NULL, 0), RIGHT);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    sigaction(SIGPIPE, &before, NULL);
}

static void environment_arrives_without_old_hands(void)
{
    const cano_os_hand hand = { "x", make_letter('x') };
    setenv("CANO_TEST_VALUE", "a b=c", 1);
    CU_ASSERT_EQUAL(run("environment", "0", NULL, 0), RIGHT);
    CU_ASSERT_EQUAL(run("environment", "1", &hand, 1), RIGHT);
    CU_ASSERT_EQUAL(run("nested", "0", &hand, 1), RIGHT);
    CU_ASSERT_EQUAL(run("nested", "1", &hand, 1), RIGHT);
    unsetenv("CANO_TEST_VALUE");
    CU_ASSERT_PTR_NULL(getenv("CANO_HANDS"));
    cano_os_close(hand.handle);
}

static void forged_variable_does_no_harm(void)
{
    static const char *const texts[] = { "",
                                         ";",
                                         "a",
                                         "a=",
                                         "a=1",
                                         "a=1,0,0",
                                         "a=-1,0,0",
                                         "a=99999999999999999999,1,1",
                                         "a=3,,",
                                         "=3,1,1",
                                         ";;a=1,1,1;;",
                                         "a=1,1,1;a",
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1,1,1" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CU_ASSERT_EQUAL(run("forged", texts[i], NULL, 0), RIGHT);
    }
}

static void this_program_is_called_by_its_path(void)
{
    char path[4096] = "";
    CU_ASSERT_FATAL(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    CU_ASSERT_EQUAL(run("name", path, NULL, 0), RIGHT);
}

static void expect_refusal(const char *program, cano_status expected, int error)
{
    const char *const argv[] = { program, NULL };
    const cano_os_hand hand = { "a", make_letter('a') };
    int64_t pid = 77;
    cano_os_handle ended = 78;
    const int before = count_open();
    CU_ASSERT_EQUAL(cano_os_spawn(argv, &hand, 1, &pid, &ended), expected);
    CU_ASSERT_EQUAL(cano_os_error(), error);
    CU_ASSERT(pid == 77 && ended == 78);
    CU_ASSERT_EQUAL(count_open(), before);
    CU_ASSERT(have_no_child());
    cano_os_close(hand.handle);
}

/* In a PATH of our own: a folder in it that we may not search is another refusal. */
static void name_without_a_slash_is_looked_up(void)
{
    const char *path = getenv("PATH");
    char before[4096];
    snprintf(before, sizeof before, "%s", path == NULL ? "/usr/bin:/bin" : path);
    setenv("PATH", "/usr/bin:/bin", 1);
    const char *const argv[] = { "sh", "-c", "exit 9", NULL };
    int64_t pid;
    cano_os_handle ended;
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, NULL, 0, &pid, &ended), CANO_OK);
    CU_ASSERT_EQUAL(WEXITSTATUS(status_of(pid, ended)), 9);
    expect_refusal("cano-no-such-program", CANO_ENOENT, ENOENT);
    setenv("PATH", before, 1);
}

/* ---- failures leave nothing ---- */

static void what_cannot_be_run_is_said_so(void)
{
    char path[] = "/tmp/cano-process-XXXXXX";
    const int fd = mkstemp(path);
    char below[64];
    snprintf(below, sizeof below, "%s/x", path);
    expect_refusal("/no/such/program", CANO_ENOENT, ENOENT);
    expect_refusal(path, CANO_EACCES, EACCES);
    expect_refusal("/tmp", CANO_EACCES, EACCES);
    expect_refusal(below, CANO_ENOENT, ENOTDIR);
    CU_ASSERT_EQUAL(fchmod(fd, 0700), 0);
    close(fd);
    expect_refusal(path, CANO_ESYSTEM, ENOEXEC);
    unlink(path);
}

static rlim_t limit_descriptors(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = most;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void child_whose_end_cannot_be_watched_is_taken_back(void)
{
    const char *const argv[] = { "", "role", "stay", NULL };
    int64_t pid = 77;
    cano_os_handle ended;
    int filled[16];
    int last = 0;
    for (int i = 0; i < 16; i++) {
        last = filled[i] = fcntl(0, F_DUPFD_CLOEXEC, 0);
    }
    const rlim_t before = limit_descriptors((rlim_t)last + 1);
    const cano_status status = cano_os_spawn(argv, NULL, 0, &pid, &ended);
    CU_ASSERT_EQUAL(cano_os_error(), EMFILE);
    limit_descriptors(before);
    for (int i = 0; i < 16; i++) {
        close(filled[i]);
    }
    CU_ASSERT_EQUAL(status, CANO_ELIMIT);
    CU_ASSERT_EQUAL(pid, 77);
    CU_ASSERT(have_no_child());
}

static void lack_of_descriptors_is_a_limit(void)
{
    const char *const argv[] = { "", "role", "exit", "0", NULL };
    const cano_os_hand hand = { "a", make_letter('a') };
    int64_t pid;
    cano_os_handle ended;
    const rlim_t before = limit_descriptors((rlim_t)hand.handle + 1);
    CU_ASSERT_EQUAL(cano_os_spawn(argv, &hand, 1, &pid, &ended), CANO_ELIMIT);
    limit_descriptors(3);
    CU_ASSERT_EQUAL(cano_os_spawn(argv, &hand, 1, &pid, &ended), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_os_spawn(argv, NULL, 0, &pid, &ended), CANO_ELIMIT);
    limit_descriptors(before);
    CU_ASSERT(have_no_child());
    cano_os_close(hand.handle);
}

static void lack_of_processes_is_a_limit(void)
{
    CU_ASSERT_EQUAL(run("crowded", NULL, NULL, 0), RIGHT);
}

#define TEST(name)                                                                                                             \
    {                                                                                                                          \
#name, name                                                                                                            \
    }

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        TEST(exit_status_is_there_for_waitpid),
        TEST(end_is_readable_after_a_kill_and_close_on_exec),
        TEST(child_has_stdio_and_what_was_named),
        TEST(overlapping_numbers_are_not_mixed_up),
        TEST(one_descriptor_can_be_handed_over_twice_and_stdio_too),
        TEST(asking_for_one_hand_keeps_all_from_others),
        TEST(descriptor_that_is_none_is_refused),
        TEST(signals_are_as_a_program_expects_them),
        TEST(environment_arrives_without_old_hands),
        TEST(forged_variable_does_no_harm),
        TEST(this_program_is_called_by_its_path),
        TEST(name_without_a_slash_is_looked_up),
        TEST(what_cannot_be_run_is_said_so),
        TEST(child_whose_end_cannot_be_watched_is_taken_back),
        TEST(lack_of_descriptors_is_a_limit),
        TEST(lack_of_processes_is_a_limit),
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "exit", run_exit },     { "stay", run_stay },       { "count", run_count }, { "letters", run_letters },
        { "tame", run_tame },     { "changed", run_changed }, { "clean", run_clean }, { "environment", run_environment },
        { "nested", run_nested }, { "forged", run_forged },   { "name", run_name },   { "crowded", run_crowded },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "process", tests, roles);
}
