/* SPDX-License-Identifier: Apache-2.0 */
#include "victim.h"

#include "points.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static operation_report *new_report(void)
{
    static operation_report *reports;
    static unsigned next;
    if (reports == NULL) {
        reports = mmap(NULL, 4 * sizeof *reports, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        points_unmapped(reports);
    }
    operation_report *report = &reports[next++ % 4];
    memset(report, 0, sizeof *report);
    return report;
}

/* A handle of its own: the name's, or the inherited one, used for the first time. */
static cano_status come_in(victim *v)
{
    size_t size;
    scene *s = v->act.scene;
    v->act.queue = s->queue;
    if ((v->operation->flags & (COMES_FRESH | NEEDS_PUTTER)) != 0) {
        return CANO_OK;
    }
    return s->named ? cano_queue_open(&v->act.queue, s->name, NULL) : cano_queue_qsize(s->queue, &size);
}

static void prepare(victim *v)
{
    cano_status status = come_in(v);
    if (status == CANO_OK && v->operation->prepare != NULL) {
        status = v->operation->prepare(&v->act);
    }
    v->act.report->prepared = status;
    v->act.report->is_ready = true;
}

static void stop_oneself(void)
{
    raise(SIGSTOP);
}

static _Noreturn void live(victim *v, uint64_t point, int ready, int turn)
{
    char byte = 0;
    operation_report *report = v->act.report;
    signal(SIGALRM, SIG_DFL);
    prepare(v);
    if (ready >= 0 && (write(ready, &byte, 1) != 1 || read(turn, &byte, 1) != 1)) {
        _exit(1);
    }
    if (report->prepared == CANO_OK) {
        points_instead(v->stalls ? stop_oneself : NULL);
        points_arm(point);
        report->result = v->operation->run(&v->act);
        report->points = points_passed();
        points_arm(0);
        report->has_finished = true;
    }
    _exit(0);
}

void victim_plan(victim *v, const operation *o, scene *s)
{
    *v = (victim){ .operation = o, .act = { .scene = s, .report = new_report() }, .turn = -1 };
    if (o->plan != NULL) {
        o->plan(&v->act);
    }
}

void victim_start(victim *v, uint64_t point, bool waits)
{
    int ready[2] = { -1, -1 };
    int turn[2] = { -1, -1 };
    if (waits && (pipe(ready) != 0 || pipe(turn) != 0)) {
        perror("pipe");
        exit(2);
    }
    v->pid = fork();
    if (v->pid == 0) {
        live(v, point, ready[1], turn[0]);
    }
    if (waits) {
        char byte;
        close(ready[1]);
        close(turn[0]);
        if (read(ready[0], &byte, 1) == 1) {
            operation_prepared(&v->act);
        }
        close(ready[0]);
        v->turn = turn[1];
    }
}

void victim_go(victim *v)
{
    if (v->turn >= 0) {
        const char byte = 0;
        if (write(v->turn, &byte, 1) != 1) {
            perror("victim");
        }
        close(v->turn);
    }
}

bool victim_stalls(const victim *v)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)v->pid, &info, WSTOPPED | WEXITED | WNOWAIT) == 0 && info.si_code == CLD_STOPPED;
}

static bool settle(victim *v, int status)
{
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (WIFSIGNALED(status) && !killed) {
        scene_fail(v->act.scene, "the victim crashed: signal %d", WTERMSIG(status));
    }
    if (v->turn < 0) {
        operation_prepared(&v->act);
    }
    v->act.scene->deaths++;
    v->operation->settle(&v->act, killed);
    return killed || (v->act.report->has_finished && v->act.report->result == CANO_ESYSTEM);
}

bool victim_end(victim *v)
{
    int status;
    while (waitpid(v->pid, &status, 0) < 0) {
    }
    if (v->operation->run == operation_forks) {
        while (waitpid(-1, NULL, 0) > 0) { /* the child it forked: the driver adopts the orphans */
        }
    }
    return settle(v, status);
}

bool victim_has_ended(victim *v)
{
    int status;
    if (waitpid(v->pid, &status, WNOHANG) <= 0) {
        return false;
    }
    settle(v, status);
    return true;
}
