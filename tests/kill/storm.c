/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storm: putters, getters, lockers, joiners and undertakers in many processes on one queue, and a director who kills them
 * with SIGKILL, stops them with SIGSTOP, alone or all at once, every 1 to 20 ms, and fills every part anew.
 *
 *     storm [--seconds S] [--seed N] [--round MS] [--calm] [--hold] [--stop]
 *
 * It goes in rounds of a few seconds, each with a queue of another shape: plain or joinable, named or not, roomy or narrow,
 * with dead letters or without. At the end of a round the killing stops, the queue is drained in one of five ways (joined and
 * shut down; shut down under load; at once; after everybody was killed; by one who opens the name anew), and every message is
 * accounted for by the oracle (oracle.h). Empty queue, no page in use, no slot left behind, or the round has failed.
 *
 * Printed: deaths, stops, calls, messages, lost, duplicated, torn, stuck and the longest call. Exit status 0: nothing lost,
 * torn, doubled, late or stuck. The same seed gives the same parts and shapes, not the same interleavings.
 */
#include "message.h"
#include "stage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IDS (UINT64_C(1) << 24)
#define PATIENCE 10000000 /* microseconds for everything that must come to an end */
#define STUCK 5000000     /* a call in progress for so long, nobody being stopped, will not come back */

typedef enum finale {
    JOINED,
    SHUT,
    DISCARDED,
    MASSACRE,
    OPENED_ANEW,
    FINALES
} finale;

typedef struct tally {
    uint64_t rounds, kills, massacres, stops, put, got, empties, lost, duplicated, ghosts, torn, stuck, leaked, grave;
    uint64_t unexpected, redone, disorder, intruded, early, late, forks, reopened, leaving, calls, crashed;
    int64_t longest;
    const char *longest_call;
} tally;

typedef struct director {
    stage *stage;
    oracle *oracle;
    cano_queue *queue;
    cano_queue_options options;
    uint64_t random;
    bool calm; /* nobody is killed: what fails then has nothing to do with deaths */
    bool hold; /* stand still at the first stuck process, for a debugger */
    bool chaos;
    bool massacre;
    int64_t resume_at[STAGE_PARTS]; /* when a stopped one goes on; 0: not stopped */
    int64_t last_stop;
    uint64_t grave;
    tally total;
} director;

int64_t stage_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t roll(director *d, uint64_t sides)
{
    d->random = message_mix(d->random + 1);
    return d->random % sides;
}

static void pause_for(int64_t microseconds)
{
    const struct timespec pause = { microseconds / 1000000, microseconds % 1000000 * 1000 };
    nanosleep(&pause, NULL);
}

/* ---- the cast ---- */

static int role_for(const stage *s, int part)
{
    static const int plain[STAGE_WORKERS] = { PUTTER, GETTER, PUTTER, GETTER, LOCKER, GETTER, PUTTER, GETTER };
    static const int joinable[STAGE_WORKERS] = { PUTTER, GETTER, PUTTER, GETTER, LOCKER, JOINER, GETTER, GETTER };
    if (s->dead_letters && part == 7) {
        return UNDERTAKER;
    }
    return s->joinable ? joinable[part] : plain[part];
}

static void fill_part(director *d, int part)
{
    stage_part *p = &d->stage->parts[part];
    atomic_store(&p->role, role_for(d->stage, part));
    atomic_store(&p->call, NULL);
    atomic_store(&p->in_hand, 0);
    atomic_fetch_add(&p->incarnation, 1);
    const pid_t pid = fork();
    if (pid == 0) {
        worker_run(d->stage, d->oracle, d->queue, part);
    }
    atomic_store(&p->pid, pid);
}

static int part_of(const director *d, pid_t pid)
{
    for (int part = 0; part < STAGE_PARTS; part++) {
        if (atomic_load(&d->stage->parts[part].pid) == pid) {
            return part;
        }
    }
    return -1;
}

static void bury(director *d, pid_t pid, int status)
{
    const int part = part_of(d, pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        fprintf(stderr, "  crashed: signal %d\n", WTERMSIG(status));
        d->total.crashed++;
    }
    for (int claimed = STAGE_WORKERS; claimed < STAGE_PARTS; claimed++) { /* it died between claiming a part and forking */
        pid_t by = -pid;
        atomic_compare_exchange_strong(&d->stage->parts[claimed].pid, &by, 0);
    }
    if (part < 0) {
        return;
    }
    stage_part *p = &d->stage->parts[part];
    d->grave += atomic_load(&p->in_hand);
    d->resume_at[part] = 0;
    atomic_store(&p->call, NULL);
    atomic_store(&p->pid, 0);
}

static void reap(director *d)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        bury(d, pid, status);
    }
    for (int part = STAGE_WORKERS; part < STAGE_PARTS; part++) { /* children of others, who live */
        pid = atomic_load(&d->stage->parts[part].pid);
        if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) {
            bury(d, pid, 0);
        }
    }
    for (int part = 0; part < STAGE_WORKERS && d->chaos; part++) {
        if (atomic_load(&d->stage->parts[part].pid) == 0 && atomic_load(&d->oracle->next) + 65536 < IDS) {
            fill_part(d, part);
        }
    }
}

/* ---- chaos ---- */

static bool send(director *d, int part, int signal)
{
    const pid_t pid = atomic_load(&d->stage->parts[part].pid);
    return pid > 0 && kill(pid, signal) == 0;
}

static void resume(director *d, bool all)
{
    for (int part = 0; part < STAGE_PARTS; part++) {
        if (d->resume_at[part] != 0 && (all || stage_now() >= d->resume_at[part])) {
            send(d, part, SIGCONT);
            d->resume_at[part] = 0;
            d->last_stop = stage_now();
        }
    }
}

static void kill_all(director *d)
{
    for (int part = 0; part < STAGE_PARTS; part++) {
        d->total.kills += send(d, part, SIGKILL);
    }
}

static void strike(director *d)
{
    const int part = (int)roll(d, STAGE_PARTS);
    const uint64_t how = roll(d, 100);
    if (how < 2) {
        kill_all(d);
        d->total.massacres++;
    } else if (how < 20) {
        if (d->resume_at[part] == 0 && send(d, part, SIGSTOP)) {
            d->resume_at[part] = stage_now() + 1000 + (int64_t)roll(d, 30000);
            d->total.stops++;
        }
    } else {
        d->total.kills += send(d, part, SIGKILL);
    }
}

/* A call that has been in progress for too long while nobody was stopped. */
static void watch(director *d)
{
    for (int part = 0; part < STAGE_PARTS; part++) {
        stage_part *p = &d->stage->parts[part];
        const char *call = atomic_load(&p->call);
        const int64_t since = atomic_load(&p->since);
        const int64_t from = since > d->last_stop ? since : d->last_stop;
        if (call != NULL && atomic_load(&p->pid) > 0 && d->resume_at[part] == 0 && stage_now() - from > STUCK) {
            fprintf(stderr, "  stuck: process %d, %s, for %lld us\n", (int)p->pid, call, (long long)(stage_now() - since));
            d->total.stuck++;
            atomic_store(&p->call, NULL); /* told once */
            if (d->hold) {
                for (;;) {
                    pause();
                }
            }
            send(d, part, SIGKILL);
        }
    }
}

static void rage(director *d, int64_t until)
{
    int64_t next = stage_now();
    while (stage_now() < until) {
        reap(d);
        resume(d, false);
        watch(d);
        if (stage_now() >= next && !d->calm) {
            strike(d);
            next = stage_now() + 1000 + (int64_t)roll(d, 19000);
        }
        pause_for(500);
    }
    resume(d, true);
    d->chaos = false;
}

/* ---- the end of a round ---- */

static bool plays(const director *d, bool drains)
{
    for (int part = 0; part < STAGE_PARTS; part++) {
        const int role = atomic_load(&d->stage->parts[part].role);
        if (atomic_load(&d->stage->parts[part].pid) != 0 && (drains || (role != GETTER && role != UNDERTAKER))) {
            return true;
        }
    }
    return false;
}

/* Wait until all of them have gone; those who do not are stuck. */
static void wait_for_exits(director *d, bool drains)
{
    const int64_t until = stage_now() + PATIENCE;
    while (plays(d, drains)) {
        if (stage_now() > until) {
            fprintf(stderr, "  stuck: somebody does not end\n");
            d->total.stuck++;
            for (int part = 0; part < STAGE_PARTS; part++) {
                const stage_part *p = &d->stage->parts[part];
                if (p->pid != 0) {
                    fprintf(stderr, "    process %d, role %d, %s\n", (int)p->pid, (int)p->role,
                            p->call != NULL ? p->call : "-");
                }
            }
            if (d->hold) {
                for (;;) {
                    pause();
                }
            }
            kill_all(d);
            pause_for(100000);
            reap(d);
            return;
        }
        if (d->massacre) { /* again: one may have been born meanwhile */
            kill_all(d);
        }
        reap(d);
        watch(d);
        pause_for(300);
    }
}

static void expect(director *d, const char *what, cano_status got, cano_status wanted)
{
    if (got != wanted) {
        fprintf(stderr, "  director: %s: %s\n", what, cano_strerror(got));
        d->total.unexpected++;
    }
}

static void note_drained(director *d, const cano_item *item)
{
    if (item->size == 0) {
        d->oracle->empties.got++;
        d->oracle->empties.done_begun++;
        d->oracle->empties.done_ended++;
        return;
    }
    const uint64_t id = message_check(item->data, item->size);
    if (id == 0 || id >= d->oracle->next) {
        d->oracle->torn++;
        return;
    }
    oracle_note(d->oracle, id, ORACLE_GOT | ORACLE_DONE_BEGUN | ORACLE_DONE_ENDED);
}

/* Take what is left, dead letters too. */
static void drain(director *d)
{
    cano_item item;
    cano_status status;
    while ((status = cano_queue_take(d->queue, &item, 100000)) == CANO_OK) {
        note_drained(d, &item);
        if (d->stage->joinable) {
            expect(d, "task_done", cano_queue_task_done(d->queue, &item), CANO_OK);
        } else {
            cano_queue_release(d->queue, &item);
        }
    }
    if (status != CANO_ETIMEOUT) {
        expect(d, "drain", status, CANO_ECLOSED);
    }
    while (d->stage->dead_letters && cano_queue_dead_get(d->queue, &item, CANO_NOW) == CANO_OK) {
        note_drained(d, &item);
        expect(d, "task_done of a dead letter", cano_queue_task_done(d->queue, &item), CANO_OK);
    }
}

static void bring_down(director *d, finale how)
{
    switch (how) {
    case JOINED:
        atomic_store(&d->stage->phase, DRAIN);
        wait_for_exits(d, false);
        if (d->stage->joinable) {
            expect(d, "join", cano_queue_join(d->queue, PATIENCE), CANO_OK);
        }
        expect(d, "shutdown", cano_queue_shutdown(d->queue, false), CANO_OK);
        break;
    case SHUT:
    case DISCARDED:
        atomic_store(&d->stage->discards, how == DISCARDED);
        expect(d, "shutdown", cano_queue_shutdown(d->queue, how == DISCARDED), CANO_OK);
        break;
    default:
        d->massacre = true;
        break;
    }
    atomic_store(&d->stage->phase, END);
    wait_for_exits(d, true);
    if (how == OPENED_ANEW && d->stage->named) {
        cano_queue_close(d->queue);
        d->queue = NULL;
        expect(d, "open", cano_queue_open(&d->queue, d->stage->name, NULL), CANO_OK);
    }
    drain(d);
    if (d->stage->joinable) {
        expect(d, "last join", cano_queue_join(d->queue, PATIENCE), CANO_OK);
    }
}

/* Nothing may be left of the dead: no slot, no page. The first looks may find locks of the dead just being taken over. */
static void check_clean(director *d)
{
    cano_queue_info info = { .size = sizeof info };
    const int64_t until = stage_now() + 2000000;
    do {
        cano_item item;
        cano_queue_take(d->queue, &item, CANO_NOW); /* an empty get looks for the dead */
        expect(d, "stat", cano_queue_stat(d->queue, &info), CANO_OK);
        if (info.bytes == 0 && info.participants == 1 && info.leased == 0 && info.items == 0) {
            return;
        }
        pause_for(11000);
    } while (stage_now() < until);
    fprintf(stderr, "  leaked: %llu bytes, %u participants, %llu leased, %llu items\n", (unsigned long long)info.bytes,
            info.participants, (unsigned long long)info.leased, (unsigned long long)info.items);
    d->total.leaked++;
}

/* ---- rounds ---- */

static void choose_shape(director *d)
{
    stage *s = d->stage;
    s->joinable = roll(d, 3) != 0;
    s->named = roll(d, 3) != 0;
    s->dead_letters = s->joinable && roll(d, 3) == 0;
    snprintf(s->name, sizeof s->name, "storm-%d-%llu", (int)getpid(), (unsigned long long)d->total.rounds);
    d->options = (cano_queue_options)CANO_QUEUE_OPTIONS_INIT;
    d->options.flags = s->joinable ? CANO_JOINABLE : 0;
    d->options.max_items = (uint64_t[]){ 8, 32, 200, 1024 }[roll(d, 4)];
    d->options.max_bytes = (uint64_t[]){ 20000, 64000, 524288 }[roll(d, 3)];
    d->options.max_participants = 40;
    d->options.max_leases = s->joinable ? (uint32_t[]){ 64, 256 }[roll(d, 2)] : 0;
    d->options.max_deliveries = s->dead_letters ? 3 : 0;
}

static void begin_round(director *d)
{
    choose_shape(d);
    stage *s = d->stage;
    atomic_store(&s->phase, PLAY);
    atomic_store(&s->discards, false);
    for (int part = 0; part < STAGE_PARTS; part++) {
        atomic_store(&s->parts[part].pid, 0);
    }
    oracle_clear(d->oracle);
    d->grave = 0;
    const cano_status status = cano_queue_create(&d->queue, s->named ? s->name : NULL, &d->options);
    if (status != CANO_OK) {
        fprintf(stderr, "storm: create: %s\n", cano_strerror(status));
        exit(2);
    }
    d->chaos = true;
    d->massacre = false;
}

static void end_round(director *d, finale how)
{
    bring_down(d, how);
    check_clean(d);
    const bool joinable = d->stage->joinable;
    const oracle_verdict v = oracle_judge(d->oracle, joinable, how == DISCARDED ? UINT64_MAX : joinable ? 0 : d->grave);
    d->total.lost += v.lost;
    d->total.duplicated += v.duplicated;
    d->total.ghosts += v.ghosts;
    d->total.put += v.put;
    d->total.torn += d->oracle->torn;
    d->total.grave += joinable ? 0 : d->grave;
    d->total.rounds++;
    cano_queue_close(d->queue);
    if (d->stage->named) {
        expect(d, "unlink", cano_queue_unlink(d->stage->name), CANO_OK);
    }
}

static uint64_t failures(const director *d)
{
    const tally *t = &d->total;
    const stage *s = d->stage;
    return t->lost + t->duplicated + t->ghosts + t->torn + t->stuck + t->leaked + t->unexpected + t->crashed + s->unexpected +
           s->redone + s->disorder + s->intruded + s->early + s->late;
}

static void print(const director *d)
{
    const tally *t = &d->total;
    const stage *s = d->stage;
#define N(x) ((unsigned long long)(x))
    printf("storm: %llu rounds, %llu kills (%llu times all at once), %llu stops, %llu forks, %llu reopened, %llu left\n",
           N(t->rounds), N(t->kills), N(t->massacres), N(t->stops), N(s->forks), N(s->reopened), N(s->leaving));
    printf("storm: %llu calls, %llu messages put, %llu handed out, longest call %.1f ms (%s)\n", N(s->calls), N(t->put),
           N(s->got), (double)s->longest / 1000, s->longest_call != NULL ? s->longest_call : "-");
    printf("storm: lost %llu, duplicated %llu, torn %llu, stuck %llu, late %llu\n", N(t->lost), N(t->duplicated + s->redone),
           N(t->torn), N(t->stuck), N(s->late));
    printf(
        "storm: ghosts %llu, out of order %llu, intruded %llu, join early %llu, leaked %llu, unexpected %llu, crashed %llu\n",
        N(t->ghosts), N(s->disorder), N(s->intruded), N(s->early), N(t->leaked), N(t->unexpected + s->unexpected),
        N(t->crashed));
    fflush(stdout);
}

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("storm");
        exit(2);
    }
    return memory;
}

static director *running;

/* Who ends the storm ends its processes. */
static void give_up(int signal)
{
    (void)signal;
    for (int part = 0; part < STAGE_PARTS; part++) {
        send(running, part, SIGKILL);
    }
    _exit(2);
}

int main(int argc, char **argv)
{
    double seconds = 10;
    int64_t round = 2500;
    bool stop = false;
    director d = { .random = 1 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            d.random = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--round") == 0 && i + 1 < argc) {
            round = strtoll(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--calm") == 0) {
            d.calm = true;
        } else if (strcmp(argv[i], "--hold") == 0) {
            d.hold = true;
        } else if (strcmp(argv[i], "--stop") == 0) {
            stop = true;
        } else {
            fprintf(stderr, "storm [--seconds S] [--seed N] [--round MS] [--calm] [--hold] [--stop]\n");
            return 2;
        }
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* guests whose forker has died are reaped here */
    d.stage = share(sizeof *d.stage);
    d.oracle = oracle_make(IDS);
    d.stage->seed = d.random;
    running = &d;
    signal(SIGTERM, give_up);
    signal(SIGINT, give_up);
    const int64_t end = stage_now() + (int64_t)(seconds * 1e6);
    while (stage_now() < end && !(stop && failures(&d) != 0)) {
        begin_round(&d);
        const finale how = (finale)roll(&d, FINALES);
        const uint64_t failed_before = failures(&d);
        rage(&d, stage_now() + round * 1000);
        end_round(&d, how);
        if (failures(&d) != failed_before) {
            fprintf(stderr, "  failed in round %llu: %s, %s, %llu items, %llu bytes, finale %d%s\n",
                    (unsigned long long)d.total.rounds, d.stage->joinable ? "joinable" : "plain",
                    d.stage->named ? "named" : "nameless", (unsigned long long)d.options.max_items,
                    (unsigned long long)d.options.max_bytes, (int)how, d.stage->dead_letters ? ", dead letters" : "");
        }
    }
    print(&d);
    return failures(&d) != 0 ? 1 : 0;
}
