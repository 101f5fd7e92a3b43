/* SPDX-License-Identifier: Apache-2.0 */
#include "../job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK 500 /* milliseconds of silence before asking whether it has ended although its output has not */

extern char **environ;

struct job {
    pid_t pid;     /* also its process group; stays ours until job_finish */
    int output[2]; /* of standard output and error; -1: closed */
    bool quiet;    /* it had ended at the last look, and nothing came since */
};

/* ---- start ---- */

static bool is_same_variable(const char *a, const char *b)
{
    const size_t length = strcspn(a, "=");
    return strncmp(a, b, length + 1) == 0;
}

static bool is_replaced(const char *variable, const char *const *additions)
{
    for (; *additions != NULL; additions++) {
        if (is_same_variable(*additions, variable)) {
            return true;
        }
    }
    return false;
}

static char **environment_with(const char *const *additions)
{
    size_t count = 1;
    for (char **variable = environ; *variable != NULL; variable++) {
        count++;
    }
    for (const char *const *addition = additions; *addition != NULL; addition++) {
        count++;
    }
    char **all = calloc(count, sizeof *all);
    size_t used = 0;
    for (char **variable = environ; all != NULL && *variable != NULL; variable++) {
        if (!is_replaced(*variable, additions)) {
            all[used++] = *variable;
        }
    }
    for (; all != NULL && *additions != NULL; additions++) {
        all[used++] = (char *)(uintptr_t)*additions;
    }
    return all;
}

static void close_both(int ends[2])
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
        ends[i] = -1;
    }
}

/* 0, or an errno. */
static int open_pipe(int ends[2])
{
    if (pipe(ends) != 0) {
        ends[0] = ends[1] = -1;
        return errno;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return 0;
}

/* A process group of its own, which the terminal does not interrupt; signals as a shell would leave them. */
static void set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t set;
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(attributes, 0);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(attributes, &set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGPIPE);
    posix_spawnattr_setsigdefault(attributes, &set);
}

static int spawn(pid_t *pid, const char *const *argv, char **environment, int output, int error)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    set_attributes(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO);
    const int result = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return result;
}

/* No other thread starts a job meanwhile: it would inherit the ends for writing, and ours would never end. */
static int start(job *j, const char *const *argv, char **environment)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    int output[2] = { -1, -1 };
    int error[2] = { -1, -1 };
    pthread_mutex_lock(&one_at_a_time);
    int result = open_pipe(output);
    if (result == 0) {
        result = open_pipe(error);
    }
    if (result == 0) {
        result = spawn(&j->pid, argv, environment, output[1], error[1]);
    }
    pthread_mutex_unlock(&one_at_a_time);
    if (result == 0) {
        j->output[0] = output[0];
        j->output[1] = error[0];
        output[0] = error[0] = -1;
    }
    close_both(output);
    close_both(error);
    return result;
}

apr_status_t job_start(job **started, const char *const *argv, const char *const *additions)
{
    job *j = calloc(1, sizeof *j);
    char **environment = environment_with(additions);
    const int result = j != NULL && environment != NULL ? start(j, argv, environment) : ENOMEM;
    free(environment);
    if (result != 0) {
        free(j);
        return APR_FROM_OS_ERROR(result);
    }
    *started = j;
    return APR_SUCCESS;
}

/* ---- read ---- */

/* It has ended, and stays to be waited for. */
static bool has_ended(const job *j, int flags)
{
    siginfo_t info = { .si_pid = 0 };
    int result;
    do {
        result = waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOWAIT | flags);
    } while (result != 0 && errno == EINTR);
    return result != 0 || info.si_pid != 0;
}

/* -1, or which of the two can be read or has ended. */
static int wait_for_output(const job *j)
{
    struct pollfd watched[2] = { { j->output[0], POLLIN, 0 }, { j->output[1], POLLIN, 0 } }; /* poll passes over -1 */
    if (poll(watched, 2, LOOK) <= 0) {
        return -1;
    }
    return watched[0].revents != 0 ? 0 : 1;
}

/* Nothing for a while: others that it left behind may hold its output open for ever. */
static void look_whether_ended(job *j)
{
    if (j->quiet) {
        close_both(j->output);
    }
    j->quiet = has_ended(j, WNOHANG);
}

bool job_read(job *j, int *stream, void *buffer, size_t capacity, size_t *got)
{
    while (j->output[0] >= 0 || j->output[1] >= 0) {
        const int which = wait_for_output(j);
        if (which < 0) {
            look_whether_ended(j);
            continue;
        }
        const ssize_t size = read(j->output[which], buffer, capacity);
        if (size > 0) {
            j->quiet = false;
            *stream = which + 1;
            *got = (size_t)size;
            return true;
        }
        if (size == 0 || errno != EINTR) {
            close(j->output[which]);
            j->output[which] = -1;
        }
    }
    has_ended(j, 0);
    return false;
}

/* ---- end ---- */

job_end job_finish(job *j)
{
    int status = 0;
    while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close_both(j->output);
    free(j);
    return WIFSIGNALED(status) ? (job_end){ -1, WTERMSIG(status) } : (job_end){ WEXITSTATUS(status), 0 };
}

void job_kill(job *j)
{
    kill(-j->pid, SIGKILL);
}
