/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleepers: one process sleeps in a call without a time limit, another dies at every point of the very operation that would have
 * woken it. Nothing may depend on a wake arriving: as soon as there is something for the sleeper, it must come back.
 *
 *     sleepers [--pair TEXT]
 *
 * Printed: points tried, failures, and how long after the death sleepers came back that had something to come back for: the
 * median, the 99.9th percentile (promised: 100 ms; a machine under load is given 20 times that) and the longest.
 */
#include "shared_queue.h"
#include "victim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define HANGS 30
#define UNDISTURBED 100000 /* microseconds a sleeper that has nothing to come back for is left alone */
#define MOST_POINTS 2000
#define MOST_TIMES 20000

typedef struct pair {
    const char *sleeps; /* in this call */
    scene_state state;
    bool joinable;
    cano_status (*call)(operation_act *a);
    bool (*is_asleep)(const cano_queue_shared *s);
    bool (*is_due)(scene *s); /* there is something for the sleeper */
    void (*help)(scene *s);   /* there was not: provide it */
    operation dies;           /* without a run: the operation of that name in the table */
} pair;

static int64_t times[MOST_TIMES];
static int time_count;
static uint64_t points;
static uint64_t failures;
static const pair *current; /* for the alarm */
static uint64_t current_point;

static const cano_queue_shared *shared_of(const scene *s)
{
    return ((cano_shared *)(void *)s->queue)->memory.shared;
}

/* ---- the sleeper's calls ---- */

static cano_status sleep_in_get(operation_act *a)
{
    const cano_status status = cano_queue_take(a->queue, &a->items[0], CANO_FOREVER);
    if (status == CANO_OK) {
        a->report->got[a->report->got_count++] = scene_id_of(a->scene, a->items[0].data, a->items[0].size);
    }
    return status;
}

static cano_status sleep_in_put(operation_act *a)
{
    return scene_put(a->scene, a->queue, a->ids[0], CANO_FOREVER);
}

static cano_status sleep_in_join(operation_act *a)
{
    return cano_queue_join(a->queue, CANO_FOREVER);
}

static cano_status sleep_in_lock(operation_act *a)
{
    const cano_status status = cano_queue_lock(a->queue, CANO_FOREVER);
    return status == CANO_OK ? cano_queue_unlock(a->queue) : status;
}

static cano_status sleep_in_reserve(operation_act *a)
{
    const cano_status status = cano_queue_reserve(a->queue, SCENE_ITEMS * SCENE_SHARE, &a->memory, CANO_FOREVER);
    if (status == CANO_OK) {
        cano_queue_cancel(a->queue, a->memory);
    }
    return status;
}

static cano_status sleep_in_dead_get(operation_act *a)
{
    return cano_queue_dead_get(a->queue, &a->items[0], CANO_FOREVER);
}

/* ---- does it sleep? ---- */

static bool waits_for_items(const cano_queue_shared *s)
{
    return (atomic_load(&s->items_event) & 1) != 0;
}

static bool waits_for_room(const cano_queue_shared *s)
{
    return (atomic_load(&s->room_event) & 1) != 0;
}

static bool waits_for_pages(const cano_queue_shared *s)
{
    return (atomic_load(&s->page_event) & 1) != 0;
}

static bool waits_for_done(const cano_queue_shared *s)
{
    return (atomic_load(&s->done_event) & 1) != 0;
}

static bool waits_for_lock(const cano_queue_shared *s)
{
    return ((atomic_load(&s->put_lock) | atomic_load(&s->get_lock)) & CANO_CONTENDED) != 0;
}

static bool is_sleeping(pid_t pid)
{
    char path[40];
    char state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) {
            state = 0;
        }
        fclose(file);
    }
    return state == 'S';
}

/* ---- is there something for it? what if not ---- */

static bool has_message(scene *s)
{
    size_t size = 0;
    scene_look_by(s->queue);
    cano_queue_qsize(s->queue, &size);
    return size != 0;
}

static bool is_shut(scene *s)
{
    return atomic_load(&shared_of(s)->shutdown) != 0;
}

static bool always(scene *s)
{
    (void)s;
    return true;
}

static bool has_room(scene *s)
{
    bool full = true;
    cano_queue_full(s->queue, &full);
    return !full;
}

static bool is_done(scene *s)
{
    size_t unfinished = 1;
    scene_look_by(s->queue);
    cano_queue_unfinished(s->queue, &unfinished);
    return unfinished == 0;
}

static void put_one(scene *s)
{
    scene_put(s, s->queue, scene_new_id(s, 16, MUST, 0), CANO_NOW);
}

static void take_all(scene *s)
{
    cano_item item;
    while (cano_queue_take(s->queue, &item, CANO_NOW) == CANO_OK) {
        if (s->joinable) {
            cano_queue_task_done(s->queue, &item);
        } else {
            cano_queue_release(s->queue, &item);
        }
    }
}

static void shut(scene *s)
{
    cano_queue_shutdown(s->queue, false);
    s->may_be_shut = true;
}

static void nothing(scene *s)
{
    (void)s;
}

/* ---- what dies ---- */

static cano_status take_everything(operation_act *a)
{
    cano_item item;
    while (cano_queue_take(a->queue, &item, CANO_NOW) == CANO_OK) {
        a->items[0] = item;
    }
    return CANO_OK;
}

/* Of the one task that is left it takes one more give_back, or death, to make a dead letter. */
static cano_status take_to_the_last(operation_act *a)
{
    cano_status status = cano_queue_dead_get(a->queue, &a->items[0], CANO_NOW);
    for (int i = 0; i < 3 && status == CANO_OK; i++) {
        status = i == 0 ? cano_queue_task_done(a->queue, &a->items[0]) : cano_queue_give_back(a->queue, &a->items[0], CANO_NOW);
        if (status == CANO_OK) {
            status = cano_queue_take(a->queue, &a->items[0], CANO_NOW);
        }
    }
    return status;
}

static cano_status run_give_back(operation_act *a)
{
    return cano_queue_give_back(a->queue, &a->items[0], CANO_NOW);
}

static cano_status run_close(operation_act *a)
{
    cano_queue_close(a->queue);
    return CANO_OK;
}

static cano_status run_done(operation_act *a)
{
    while (cano_queue_task_done(a->queue, NULL) == CANO_OK) {
    }
    (void)a;
    return CANO_OK;
}

static cano_status take_everything_by_get(operation_act *a)
{
    unsigned char data[SCENE_LARGE];
    size_t size;
    while (cano_queue_get(a->queue, data, sizeof data, &size, CANO_NOW) == CANO_OK) {
    }
    return CANO_OK;
}

static void settle(operation_act *a, bool died)
{
    (void)a;
    (void)died;
}

static const pair pairs[] = {
    { "get", EMPTY, false, sleep_in_get, waits_for_items, has_message, put_one, { .name = "put small" } },
    { "get", EMPTY, true, sleep_in_get, waits_for_items, has_message, put_one, { .name = "put large" } },
    { "get", EMPTY, true, sleep_in_get, waits_for_items, has_message, put_one, { .name = "put_many" } },
    { "get", EMPTY, false, sleep_in_get, waits_for_items, has_message, put_one, { .name = "commit" } },
    { "get", EMPTY, true, sleep_in_get, waits_for_items, has_message, put_one, { .name = "lock, put, take, put, unlock" } },
    { "get",
      HALF,
      true,
      sleep_in_get,
      waits_for_items,
      has_message,
      put_one,
      { "give_back", 0, NULL, take_everything, run_give_back, settle } },
    { "get",
      HALF,
      true,
      sleep_in_get,
      waits_for_items,
      has_message,
      put_one,
      { "close", 0, NULL, take_everything, run_close, settle } },
    { "get", EMPTY, false, sleep_in_get, waits_for_items, is_shut, shut, { .name = "shutdown" } },
    { "get", EMPTY, false, sleep_in_get, waits_for_items, always, nothing, { .name = "last put, close" } },
    { "put", FULL, false, sleep_in_put, waits_for_room, has_room, take_all, { .name = "get" } },
    { "put", FULL, true, sleep_in_put, waits_for_room, has_room, take_all, { .name = "get" } },
    { "put", FULL, false, sleep_in_put, waits_for_room, has_room, take_all, { .name = "get_many" } },
    { "put", FULL, false, sleep_in_put, waits_for_room, is_shut, shut, { .name = "shutdown" } },
    { "join",
      HALF,
      true,
      sleep_in_join,
      waits_for_done,
      is_done,
      take_all,
      { "task_done", 0, NULL, take_everything_by_get, run_done, settle } },
    { "lock", HALF, true, sleep_in_lock, waits_for_lock, always, nothing, { .name = "unlock" } },
    { "lock", HALF, false, sleep_in_lock, waits_for_lock, always, nothing, { .name = "unlock" } },
    { "put", EMPTY, false, sleep_in_put, waits_for_lock, always, nothing, { .name = "unlock" } },
    { "reserve", EMPTY, false, sleep_in_reserve, waits_for_pages, always, nothing, { .name = "cancel" } },
    { "reserve", LARGE, false, sleep_in_reserve, waits_for_pages, always, nothing, { .name = "release" } },
    { "dead_get",
      DEAD_LETTERS,
      true,
      sleep_in_dead_get,
      waits_for_done,
      always,
      nothing,
      { "give_back", 0, NULL, take_to_the_last, run_give_back, settle } },
};

static const operation *operation_of(const pair *p)
{
    if (p->dies.run != NULL) {
        return &p->dies;
    }
    for (int i = 0; i < operation_count; i++) {
        if (strcmp(operations[i].name, p->dies.name) == 0) {
            return &operations[i];
        }
    }
    fprintf(stderr, "sleepers: no operation '%s'\n", p->dies.name);
    exit(2);
}

/* ---- one trial ---- */

static void fail(const char *what)
{
    if (failures++ < 20) {
        fprintf(stderr, "FAILED sleeping in %s while %s dies at point %llu (%s, %s): %s\n", current->sleeps, current->dies.name,
                (unsigned long long)current_point, scene_state_names[current->state], current->joinable ? "joinable" : "plain",
                what);
    }
}

static void on_alarm(int signal)
{
    (void)signal;
    fail("stuck");
    _exit(1);
}

static void pause_for(int64_t microseconds)
{
    const struct timespec pause = { 0, (long)microseconds * 1000 };
    nanosleep(&pause, NULL);
}

/* The sleeper is settled, if it comes back by then. */
static bool comes_back(victim *sleeper, int64_t until)
{
    while (!victim_has_ended(sleeper)) {
        if (scene_now() > until) {
            return false;
        }
        pause_for(200);
    }
    return true;
}

static void await_sleep(const pair *p, scene *s, const victim *sleeper)
{
    while (!(p->is_asleep(shared_of(s)) && is_sleeping(sleeper->pid))) {
        pause_for(100);
    }
}

static void note_time(int64_t took)
{
    if (time_count < MOST_TIMES) {
        times[time_count++] = took;
    }
}

static void await_return(const pair *p, scene *s, victim *sleeper)
{
    const int64_t from = scene_now();
    if (comes_back(sleeper, from + UNDISTURBED)) {
        note_time(scene_now() - from);
        return;
    }
    if (!p->is_due(s)) {
        p->help(s);
    }
    if (!comes_back(sleeper, from + SCENE_LATE)) {
        fail("it does not come back");
        kill(sleeper->pid, SIGKILL);
        comes_back(sleeper, from + 2 * SCENE_LATE);
        return;
    }
    if (p->is_due == always) {
        note_time(scene_now() - from);
    }
}

static bool run(const pair *p, uint64_t point)
{
    static scene s;
    const operation *o = operation_of(p);
    const operation sleeping = { p->sleeps, 0, NULL, NULL, p->call, settle };
    victim v;
    victim sleeper;
    memset(&s, 0, sizeof s);
    s.joinable = p->joinable;
    s.ends = s.named = (o->flags & NEEDS_PUTTER) != 0;
    current = p;
    current_point = point;
    alarm(HANGS);
    scene_make(&s, p->state);
    victim_plan(&sleeper, &sleeping, &s);
    sleeper.act.ids[0] = scene_new_id(&s, SCENE_SMALL, MAY, 0);
    victim_plan(&v, o, &s);
    victim_start(&v, point, true);
    if (v.act.report->prepared != CANO_OK) {
        fail("the victim cannot prepare itself");
    }
    victim_start(&sleeper, 0, false);
    await_sleep(p, &s, &sleeper);
    victim_go(&v);
    const bool died = victim_end(&v);
    await_return(p, &s, &sleeper);
    cano_queue_close(s.queue);
    if (s.named) {
        cano_queue_unlink(s.name);
    }
    if (s.failure[0] != 0) {
        fail(s.failure);
    }
    return died;
}

static void run_pair(const pair *p)
{
    const uint64_t before = failures;
    uint64_t point = 1;
    while (point < MOST_POINTS && failures - before < 3 && run(p, point)) {
        point++;
    }
    points += point - 1;
    printf("sleeping in %-9s while %-30s dies: %4llu points %3llu failures\n", p->sleeps, p->dies.name,
           (unsigned long long)point - 1, (unsigned long long)(failures - before));
    fflush(stdout);
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print(void)
{
    qsort(times, (size_t)time_count, sizeof times[0], compare);
    const int64_t none = 0;
    const int64_t *last = time_count != 0 ? &times[time_count - 1] : &none;
    printf(
        "sleepers: %llu points, %llu failures; back after a death in %.1f ms (median), %.1f ms (99.9 %%), %.1f ms (longest)\n",
        (unsigned long long)points, (unsigned long long)failures, (double)(time_count != 0 ? times[time_count / 2] : 0) / 1000,
        (double)(time_count != 0 ? times[(int)(time_count * 0.999)] : 0) / 1000, (double)*last / 1000);
}

int main(int argc, char **argv)
{
    const char *text = argc == 3 && strcmp(argv[1], "--pair") == 0 ? argv[2] : "";
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "sleepers [--pair TEXT]\n");
        return 2;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGALRM, on_alarm);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (strstr(pairs[i].sleeps, text) != NULL || strstr(pairs[i].dies.name, text) != NULL) {
            run_pair(&pairs[i]);
        }
    }
    print();
    return failures != 0 ? 1 : 0;
}
