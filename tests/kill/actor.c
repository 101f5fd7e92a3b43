/* SPDX-License-Identifier: Apache-2.0 */
#include "actor.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static cano_status play(cano_queue **queue, const char *name, actor_line line, cano_item *item)
{
    switch (line) {
    case ACTOR_OPEN:
        return cano_queue_open(queue, name, NULL);
    case ACTOR_LOCK:
        return cano_queue_lock(*queue, CANO_FOREVER);
    case ACTOR_TRY_LOCK:
        return cano_queue_lock(*queue, CANO_NOW);
    case ACTOR_UNLOCK:
        return cano_queue_unlock(*queue);
    case ACTOR_PUT:
        return cano_queue_put(*queue, "message", 8, CANO_FOREVER);
    case ACTOR_GET:
        return cano_queue_take(*queue, item, CANO_FOREVER);
    case ACTOR_TAKE:
        return cano_queue_take(*queue, item, CANO_NOW);
    case ACTOR_DONE:
        return cano_queue_task_done(*queue, item);
    case ACTOR_CLOSE:
        cano_queue_close(*queue);
        return CANO_OK;
    default:
        return CANO_EINVAL;
    }
}

static void answer(int to, cano_status status)
{
    const char byte = (char)status;
    if (write(to, &byte, 1) != 1) {
        _exit(1);
    }
}

/* The parent stays, and answers with its child's number; the child goes on, with a word of its own. */
static void fork_away(int to)
{
    const pid_t child = fork();
    if (child != 0) {
        answer(to, (cano_status)(child & 255));
        for (;;) {
            pause();
        }
    }
}

static _Noreturn void perform(const char *name, cano_queue *queue, int from, int to)
{
    cano_item item = { 0 };
    char line;
    signal(SIGALRM, SIG_DFL);
    while (read(from, &line, 1) == 1) {
        switch (line) {
        case ACTOR_FORK:
            fork_away(to);
            break;
        case ACTOR_EXEC:
            answer(to, CANO_OK);
            execlp("sleep", "sleep", "60", (char *)NULL);
            _exit(1);
        case ACTOR_LEAVE:
            _exit(0);
        default:
            answer(to, play(&queue, name, (actor_line)line, &item));
        }
    }
    _exit(0);
}

/* unshare takes effect for children only: one between, who tells the child's number as it is seen from outside. */
static void begin(const char *name, cano_queue *queue, bool alone, int from, int to)
{
    pid_t pid = getpid();
    if (alone) {
        if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
            _exit(1);
        }
        pid = fork();
        if (pid != 0) {
            _exit(write(to, &pid, sizeof pid) == sizeof pid ? 0 : 1);
        }
    } else if (write(to, &pid, sizeof pid) != sizeof pid) {
        _exit(1);
    }
    perform(name, queue, from, to);
}

bool actor_start(actor *a, const char *name, cano_queue *queue, bool alone)
{
    int there[2];
    int back[2];
    if (pipe(there) != 0 || pipe(back) != 0) {
        return false;
    }
    const pid_t first = fork();
    if (first == 0) {
        close(there[1]);
        close(back[0]);
        begin(name, queue, alone, there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    *a = (actor){ .to = there[1], .from = back[0] };
    const bool there_is = read(a->from, &a->pid, sizeof a->pid) == sizeof a->pid;
    if (alone || !there_is) {
        waitpid(first, NULL, 0);
    }
    return there_is;
}

int actor_answer(actor *a, int patience)
{
    struct pollfd ready = { .fd = a->from, .events = POLLIN };
    signed char status;
    if (poll(&ready, 1, patience) != 1 || read(a->from, &status, 1) != 1) {
        return ACTOR_SILENT;
    }
    return (unsigned char)status;
}

int actor_say(actor *a, actor_line line, int patience)
{
    const char byte = (char)line;
    if (write(a->to, &byte, 1) != 1) {
        return ACTOR_SILENT;
    }
    return patience != 0 ? actor_answer(a, patience) : ACTOR_SILENT;
}

void actor_signal(const actor *a, int signal)
{
    kill(a->pid, signal);
}

void actor_end(actor *a)
{
    kill(a->pid, SIGKILL);
    waitpid(a->pid, NULL, 0);
    close(a->to);
    close(a->from);
}
