/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every store: an operation in a state of the queue, killed at its first point, its second, its third, until it comes to its end
 * alive; each time on a fresh queue, and each time a survivor tells whether all is as it must be (scene.h).
 *
 *     stores [--quick] [--stop] [--no-deaths] [--no-stalls] [--doubles N] [--seed N] [--operation TEXT] [--state TEXT]
 *     stores --repeat OPERATION STATE plain|joinable nameless|named POINT FIRST [SECOND POINT]
 *
 * Deaths: all operations x all states x all points, named and nameless. Deaths of two: a second process does something that puts
 * right what the first one left, and is killed in it; the survivor comes then. There are too many pairs for a run, so N of them
 * are drawn. Stalls: the process is not killed but stopped at each point, while others put, get, sweep and die, and goes on:
 * nobody may have taken anything from it. --stop: end at the first failure.
 *
 * Printed: a line for each operation, the sums, and every failure with what repeats it. Exit status 0: no failure.
 */
#include "message.h"
#include "victim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define HANGS 30         /* seconds after which a trial is stuck */
#define REPORTS 20       /* failures told in full */
#define MOST_POINTS 5000 /* no operation has so many */
#define OPERATIONS 64

typedef struct totals {
    uint64_t rows;   /* operation x state x kind */
    uint64_t points; /* distinct ones */
    uint64_t deaths;
    uint64_t doubles; /* of these trials, two died in so many */
    uint64_t stalls;
    uint64_t failures;
    int64_t longest; /* recovery, in microseconds */
} totals;

typedef struct trial {
    const operation *operation;
    scene_state state;
    bool joinable, named;
    uint64_t point;
    const operation *second; /* NULL: nobody else dies */
    uint64_t second_point;
    scene_first first;
    bool stalls; /* the victim is not killed but stopped, and goes on when others have */
} trial;

static totals total;
static trial now; /* for the alarm */
static trial longest;
static struct {
    bool quick, stop, no_deaths, no_stalls;
    uint64_t doubles, seed;
    const char *operation, *state;
} options = { .doubles = 20000, .seed = 1 };

static void describe(FILE *to, const trial *t, const char *what)
{
    fprintf(to, "%s in '%s', %s %s queue, point %llu", t->operation->name, scene_state_names[t->state],
            t->named ? "named" : "nameless", t->joinable ? "joinable" : "plain", (unsigned long long)t->point);
    if (t->second != NULL) {
        fprintf(to, ", then %s, point %llu", t->second->name, (unsigned long long)t->second_point);
    }
    fprintf(to, "%s, first %s: %s\n", t->stalls ? ", stalled" : "", scene_first_names[t->first], what);
}

static void on_alarm(int signal)
{
    (void)signal;
    describe(stderr, &now, "stuck");
    _exit(1);
}

static void judge(const trial *t, scene *s)
{
    scene_check(s, t->first);
    if (s->recovery > total.longest) {
        total.longest = s->recovery;
        longest = *t;
    }
    if (s->failure[0] != 0 && total.failures++ < REPORTS) {
        describe(stderr, t, s->failure);
    }
}

/* ---- how many points there are, as found ---- */

static uint64_t points_of[OPERATIONS][STATES * 4];
static uint64_t second_points_of[OPERATIONS];

static int kind_of(const trial *t)
{
    return (int)t->state * 4 + t->named * 2 + t->joinable;
}

/* One who puts right what another left passes more points than usual: the most that were seen. */
static void note_second(const operation *o, const operation_report *report)
{
    uint64_t *most = &second_points_of[o - operations];
    *most = report->has_finished && report->points > *most ? report->points : *most;
}

typedef enum outcome {
    NO_SUCH,
    SURVIVED,
    DIED
} outcome;

/* One trial. SURVIVED: whoever was to die last did not come to its point. */
static outcome run(const trial *t)
{
    static scene s;
    victim v;
    victim second;
    memset(&s, 0, sizeof s);
    s.joinable = t->joinable;
    s.named = t->named;
    s.ends = (t->operation->flags & NEEDS_PUTTER) != 0;
    now = *t;
    if (!operation_fits(t->operation, &s, t->state) || !scene_make(&s, t->state)) {
        return NO_SUCH;
    }
    alarm(HANGS);
    victim_plan(&v, t->operation, &s);
    if (t->second != NULL) {
        victim_plan(&second, t->second, &s);
        victim_start(&second, t->second_point, true);
    }
    v.stalls = t->stalls;
    victim_start(&v, t->point, false);
    const bool stalled = t->stalls && victim_stalls(&v);
    if (stalled) {
        scene_go_on(&s);
        kill(v.pid, SIGCONT);
    }
    bool died = victim_end(&v) || stalled;
    const bool prepared = v.act.report->prepared == CANO_OK;
    if (t->second != NULL) {
        victim_go(&second);
        const bool both = victim_end(&second);
        note_second(t->second, second.act.report);
        died = died && both;
    }
    judge(t, &s);
    total.deaths += died && !stalled;
    total.stalls += stalled;
    return !prepared ? NO_SUCH : died ? DIED : SURVIVED;
}

/* ---- single deaths ---- */

static uint64_t run_row(trial t, int rotation)
{
    for (t.point = 1; t.point < MOST_POINTS; t.point++) {
        t.first = (scene_first)((t.point + (uint64_t)rotation) % FIRSTS);
        const outcome o = run(&t);
        if (o != DIED) {
            return o == NO_SUCH ? 0 : t.point - 1;
        }
    }
    fprintf(stderr, "FAILED: %s has too many points\n", t.operation->name);
    total.failures++;
    return t.point;
}

static bool is_enough(void)
{
    return options.stop && total.failures != 0;
}

static bool is_wanted(const char *name, const char *text)
{
    return text == NULL || strstr(name, text) != NULL;
}

/* The points of a row do not depend on who comes first afterwards: rotated within a row, and over several passes complete. */
static uint64_t run_kind(trial t, int number, int kind)
{
    uint64_t found = 0;
    for (int pass = 0; pass < (options.quick || t.stalls ? 1 : FIRSTS) && !is_enough(); pass++) {
        found = run_row(t, number + kind + pass);
    }
    return found;
}

static void run_singles(const operation *o, bool stalls)
{
    const int number = (int)(o - operations);
    const uint64_t failures = total.failures;
    uint64_t points = 0;
    for (int kind = 0; kind < 4 * STATES && !is_enough(); kind++) {
        trial t = { .operation = o, .state = (scene_state)(kind / 4), .stalls = stalls };
        t.joinable = (kind & 1) != 0;
        t.named = (kind & 2) != 0;
        if (is_wanted(scene_state_names[t.state], options.state)) {
            const uint64_t found = run_kind(t, number, kind);
            points_of[number][kind_of(&t)] = found;
            points += found;
            total.rows += found != 0;
        }
    }
    total.points += stalls ? 0 : points;
    printf("%-7s%-32s %7llu points %4llu failures\n", stalls ? "stalls" : "deaths", o->name, (unsigned long long)points,
           (unsigned long long)(total.failures - failures));
    fflush(stdout);
}

static void run_all(bool stalls)
{
    for (int i = 0; i < operation_count && !is_enough(); i++) {
        const bool can = !stalls || operations[i].run != operation_forks; /* the child would be stopped as well */
        if (can && is_wanted(operations[i].name, options.operation)) {
            run_singles(&operations[i], stalls);
        }
    }
}

/* ---- double deaths ---- */

static uint64_t roll(uint64_t *random, uint64_t sides)
{
    *random = message_mix(*random + 1);
    return *random % sides;
}

static const operation *draw_second(uint64_t *random)
{
    for (;;) {
        const operation *o = &operations[roll(random, (uint64_t)operation_count)];
        if ((o->flags & IS_SECOND) != 0) {
            return o;
        }
    }
}

static bool draw(uint64_t *random, trial *t)
{
    *t = (trial){ .operation = &operations[roll(random, (uint64_t)operation_count)],
                  .state = (scene_state)roll(random, STATES),
                  .joinable = roll(random, 3) != 0,
                  .named = roll(random, 2) != 0,
                  .second = draw_second(random),
                  .first = (scene_first)roll(random, FIRSTS) };
    const scene kind = { .joinable = t->joinable, .named = t->named };
    const uint64_t points = points_of[t->operation - operations][kind_of(t)];
    t->point = points != 0 ? 1 + roll(random, points) : 0;
    t->second_point = 1 + roll(random, second_points_of[t->second - operations] + 20);
    return points != 0 && operation_fits(t->second, &kind, t->state) && (t->operation->flags & NEEDS_PUTTER) == 0;
}

static void run_doubles(uint64_t count, uint64_t random)
{
    const uint64_t failures = total.failures;
    for (uint64_t tried = 0; tried < count && !is_enough();) {
        trial t;
        if (draw(&random, &t)) {
            total.doubles += run(&t) == DIED;
            tried++;
        }
    }
    printf("%-39s %7llu        %4llu failures\n", "deaths of two", (unsigned long long)total.doubles,
           (unsigned long long)(total.failures - failures));
    fflush(stdout);
}

/* ---- */

static const operation *operation_named(const char *name)
{
    for (int i = 0; i < operation_count; i++) {
        if (strcmp(operations[i].name, name) == 0) {
            return &operations[i];
        }
    }
    fprintf(stderr, "stores: no operation '%s'\n", name);
    exit(2);
}

static int index_of(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    fprintf(stderr, "stores: no '%s'\n", name);
    exit(2);
}

/* One trial again: OPERATION STATE plain|joinable nameless|named POINT FIRST [SECOND POINT] */
static int repeat(int argc, char **argv)
{
    if (argc != 6 && argc != 8) {
        fprintf(stderr, "stores --repeat OPERATION STATE plain|joinable nameless|named POINT FIRST [SECOND POINT]\n");
        return 2;
    }
    const trial t = { .operation = operation_named(argv[0]),
                      .state = (scene_state)index_of(scene_state_names, STATES, argv[1]),
                      .joinable = strcmp(argv[2], "joinable") == 0,
                      .named = strcmp(argv[3], "named") == 0,
                      .point = strtoull(argv[4], NULL, 10),
                      .first = (scene_first)index_of(scene_first_names, FIRSTS, argv[5]),
                      .second = argc == 8 ? operation_named(argv[6]) : NULL,
                      .second_point = argc == 8 ? strtoull(argv[7], NULL, 10) : 0 };
    const outcome o = run(&t);
    printf("%s, recovery %.1f ms, %llu failures\n",
           o == DIED       ? "died"
           : o == SURVIVED ? "survived"
                           : "no such thing",
           (double)total.longest / 1000, (unsigned long long)total.failures);
    return total.failures != 0;
}

static bool read_flag(const char *text)
{
    const struct {
        const char *text;
        bool *flag;
    } flags[] = { { "--quick", &options.quick },
                  { "--stop", &options.stop },
                  { "--no-deaths", &options.no_deaths },
                  { "--no-stalls", &options.no_stalls } };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(text, flags[i].text) == 0) {
            *flags[i].flag = true;
            return true;
        }
    }
    return false;
}

static bool read_value(const char *text, const char *value)
{
    if (strcmp(text, "--operation") == 0) {
        options.operation = value;
    } else if (strcmp(text, "--state") == 0) {
        options.state = value;
    } else if (strcmp(text, "--doubles") == 0) {
        options.doubles = strtoull(value, NULL, 10);
    } else if (strcmp(text, "--seed") == 0) {
        options.seed = strtoull(value, NULL, 10);
    } else {
        return false;
    }
    return true;
}

static bool read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!read_flag(argv[i]) && (i + 1 == argc || !read_value(argv[i], argv[i + 1]))) {
            return false;
        }
        i += !read_flag(argv[i]);
    }
    return true;
}

static void print(void)
{
#define N(x) ((unsigned long long)(x))
    printf("stores: %llu rows, %llu points, %llu deaths, %llu of two, %llu stalls, %llu failures, longest recovery %.1f ms\n",
           N(total.rows), N(total.points), N(total.deaths), N(total.doubles), N(total.stalls), N(total.failures),
           (double)total.longest / 1000);
    if (longest.operation != NULL) {
        describe(stdout, &longest, "longest recovery");
    }
}

int main(int argc, char **argv)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGALRM, on_alarm);
    if (argc > 1 && strcmp(argv[1], "--repeat") == 0) {
        return repeat(argc - 2, argv + 2);
    }
    if (!read_options(argc, argv)) {
        fprintf(stderr, "stores [--quick] [--stop] [--no-deaths] [--no-stalls] [--doubles N] [--seed N] [--operation TEXT] "
                        "[--state TEXT]\n");
        return 2;
    }
    if (!options.no_deaths) {
        run_all(false);
    }
    run_doubles(options.doubles, options.seed);
    if (!options.no_stalls) {
        run_all(true);
    }
    print();
    return total.failures != 0 ? 1 : 0;
}
