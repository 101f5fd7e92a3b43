/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cano-bench: cano beside its peers, in one run. See --help.
 */
#include "driver.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

bench_plan plan = { .window = 0.25, .warm = 0.05, .repetitions = 3, .again = 1, .pin = true };

static const char help[] =
    "cano-bench: measure cano beside its peers, between processes. The content of every message is checked.\n"
    "\n"
    "  --tests LIST        of: limits queue in-place many variants trips pipes costs (all)\n"
    "  --peers LIST        only these peers, by the beginnings of their names, separated by commas; cano is one\n"
    "  --sizes LIST        bytes of a message (8,64,256,1024,4096,65536,1048576)\n"
    "  --window SECONDS    of one repetition (0.25)\n"
    "  --repetitions N     (3); the median is shown, low and high are in the TSV\n"
    "  --again N           repetitions more when others used the processors meanwhile (1)\n"
    "  --quick             short windows, three sizes\n"
    "  --no-pin            leave the choice of cores to the system\n"
    "  --calm              show the calmest stretches of each run instead: for machines with other work\n"
    "  --tsv FILE          write all figures\n"
    "  --json FILE         the same as JSON; - is the standard output, without tables then\n"
    "  --also FILE         show the rows of a TSV as well, those of other programs\n"
    "  --show              measure nothing: only show what --also reads\n"
    "  --list              list the peers that were built\n"
    "\n"
    "A figure with ~ was disturbed: others used more than 0.12 cores. With ! messages were lost or wrong.\n";

typedef struct settings {
    const char *tests, *peers, *tsv, *json;
    size_t sizes[16];
    size_t sizes_count;
    bool show_only;
} settings;

/* ---- options ---- */

static void parse_sizes(settings *s, const char *list)
{
    s->sizes_count = 0;
    for (char *end; *list != 0 && s->sizes_count < 16; list = *end == ',' ? end + 1 : end) {
        const size_t size = strtoul(list, &end, 10);
        if (end == list || size < 8) {
            fprintf(stderr, "cano-bench: a message has 8 bytes at least: %s\n", list);
            exit(2);
        }
        s->sizes[s->sizes_count++] = size;
    }
}

static void quick(settings *s)
{
    plan.window = 0.08;
    plan.warm = 0.03;
    plan.repetitions = 1;
    plan.again = 0;
    parse_sizes(s, "64,1024,65536");
}

static void list_peers(void)
{
    for (size_t i = 0; bench_peers[i] != NULL; i++) {
        printf("%s\n", bench_peers[i]->name);
    }
}

static void parse(settings *s, int argc, char **argv)
{
    static const struct option options[] = {
        { "tests", required_argument, NULL, 't' },  { "peers", required_argument, NULL, 'p' },
        { "sizes", required_argument, NULL, 's' },  { "window", required_argument, NULL, 'w' },
        { "repetitions", required_argument, NULL, 'r' }, { "again", required_argument, NULL, 'a' },
        { "quick", no_argument, NULL, 'q' },        { "no-pin", no_argument, NULL, 'n' },
        { "tsv", required_argument, NULL, 'T' },    { "json", required_argument, NULL, 'J' },
        { "also", required_argument, NULL, 'A' },   { "show", no_argument, NULL, 'S' },
        { "calm", no_argument, NULL, 'c' },
        { "list", no_argument, NULL, 'l' },         { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 't': s->tests = optarg; break;
        case 'p': s->peers = optarg; break;
        case 's': parse_sizes(s, optarg); break;
        case 'w': plan.window = atof(optarg); break;
        case 'r': plan.repetitions = atoi(optarg); break;
        case 'a': plan.again = atoi(optarg); break;
        case 'q': quick(s); break;
        case 'n': plan.pin = false; break;
        case 'T': s->tsv = optarg; break;
        case 'J': s->json = optarg; break;
        case 'c': bench_rows_show_calm = true; break;
        case 'S': s->show_only = true; break;
        case 'l': list_peers(); exit(0);
        case 'h': fputs(help, stdout); exit(0);
        case 'A':
            if (!bench_rows_read(optarg)) {
                fprintf(stderr, "cano-bench: %s: %s\n", optarg, strerror(errno));
                exit(2);
            }
            break;
        default: fputs(help, stderr); exit(2);
        }
    }
    if (optind < argc || plan.window <= 0 || plan.repetitions < 1) {
        fputs(help, stderr);
        exit(2);
    }
}

/* Does a list of names, separated by commas, have one that this begins with? */
static bool has(const char *list, const char *name)
{
    for (const char *item = list; item != NULL && *item != 0;) {
        const size_t length = strcspn(item, ",");
        if (length > 0 && strncmp(item, name, length) == 0) {
            return true;
        }
        item += length + (item[length] == ',');
    }
    return list == NULL;
}

/* ---- what is measured ---- */

#define PEERS_MAX 64

/* The peers that have all of these abilities and none of those. */
static size_t choose(const settings *s, unsigned with, unsigned without, const bench_peer *chosen[PEERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; bench_peers[i] != NULL && count < PEERS_MAX; i++) {
        const bench_peer *peer = bench_peers[i];
        if ((peer->can & with) == with && (peer->can & without) == 0 && has(s->peers, peer->name)) {
            chosen[count++] = peer;
        }
    }
    return count;
}

static void split(const bench_peer *const *peers, size_t count, bool sleep, const bench_peer *part[PEERS_MAX], size_t *part_count)
{
    *part_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (((peers[i]->can & BENCH_SLEEPS) != 0) == sleep) {
            part[(*part_count)++] = peers[i];
        }
    }
}

/* Everybody by its usual way of waiting: those that can sleep sleep, the others spin. In turns, for every size. */
static void flows(const settings *s, const char *test, unsigned with, unsigned without)
{
    const bench_peer *peers[PEERS_MAX], *part[PEERS_MAX];
    const size_t count = choose(s, with, without, peers);
    for (size_t i = 0; i < s->sizes_count; i++) {
        for (int sleep = 1; sleep >= 0; sleep--) {
            size_t part_count;
            split(peers, count, sleep, part, &part_count);
            bench_flow(test, part, part_count, 1, 1, s->sizes[i], sleep);
        }
        fprintf(stderr, "%s, %zu bytes: done\n", test, s->sizes[i]);
    }
}

static bool wants_size(const settings *s, size_t size)
{
    for (size_t i = 0; i < s->sizes_count; i++) {
        if (s->sizes[i] == size) {
            return true;
        }
    }
    return false;
}

/* Only 64 B and 1 KiB, as far as they are wanted. */
static void many(const settings *s)
{
    static const unsigned shapes[][2] = { { 4, 1 }, { 1, 4 }, { 4, 4 } };
    const bench_peer *peers[PEERS_MAX], *part[PEERS_MAX];
    const size_t count = choose(s, BENCH_MANY, BENCH_IN_PLACE | BENCH_EXTRA, peers);
    for (size_t i = 0; i < 3; i++) {
        for (size_t size = 64; size <= 1024; size *= 16) {
            for (int sleep = 1; sleep >= 0 && wants_size(s, size); sleep--) {
                size_t part_count;
                split(peers, count, sleep, part, &part_count);
                bench_flow("many", part, part_count, shapes[i][0], shapes[i][1], size, sleep);
            }
        }
        fprintf(stderr, "%u to %u: done\n", shapes[i][0], shapes[i][1]);
    }
}

static void variants(const settings *s)
{
    const bench_peer *peers[PEERS_MAX];
    size_t count = choose(s, BENCH_EXTRA, 0, peers);
    for (size_t i = 0; bench_peers[i] != NULL; i++) {
        if (strcmp(bench_peers[i]->name, "cano") == 0 && has(s->peers, "cano")) {
            peers[count++] = bench_peers[i];
        }
    }
    bench_flow("variants", peers, count, 1, 1, 64, true);
    fprintf(stderr, "variants: done\n");
}

static void trips(const settings *s, const char *test, unsigned with, unsigned without, bool sleep)
{
    const bench_peer *peers[PEERS_MAX];
    const size_t count = choose(s, with, without, peers);
    bench_trips(test, peers, count, 64, sleep);
    fprintf(stderr, "%s: done\n", test);
}

static void measure(const settings *s)
{
    const unsigned special = BENCH_PIPE | BENCH_IN_PLACE | BENCH_EXTRA;
    if (has(s->tests, "limits")) {
        bench_limits();
        fprintf(stderr, "limits: done\n");
    }
    if (has(s->tests, "queue")) {
        flows(s, "queue", 0, special);
    }
    if (has(s->tests, "in-place")) {
        flows(s, "in place", BENCH_IN_PLACE, 0);
    }
    if (has(s->tests, "variants")) {
        variants(s);
    }
    if (has(s->tests, "many")) {
        many(s);
    }
    if (has(s->tests, "trips")) {
        trips(s, "queue trip", 0, special, false);
        trips(s, "queue trip asleep", 0, special, true);
    }
    if (has(s->tests, "pipes")) {
        flows(s, "pipe", BENCH_PIPE, 0);
        trips(s, "pipe trip", BENCH_PIPE, 0, false);
        trips(s, "pipe trip asleep", BENCH_PIPE, 0, true);
    }
    if (has(s->tests, "costs")) {
        bench_costs();
        fprintf(stderr, "costs: done\n");
    }
}

/* ---- results ---- */

static void write_to(const char *path, void (*writer)(FILE *))
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "cano-bench: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    writer(file);
    if (file != stdout) {
        fclose(file);
    }
}

/* Something is wrong when a message of ours was. */
static int verdict(void)
{
    int status = 0;
    for (size_t i = 0; i < bench_row_count(); i++) {
        const bench_row *r = bench_row_at(i);
        if (strncmp(r->peer, "cano", 4) == 0 && (r->bad != 0 || r->lost != 0 || strstr(r->note, "FAILED") != NULL)) {
            fprintf(stderr, "cano-bench: %s, %s, %u to %u, %zu bytes: %llu bad, %llu lost %s\n", r->test, r->peer, r->putters,
                    r->getters, r->size, (unsigned long long)r->bad, (unsigned long long)r->lost, r->note);
            status = 1;
        }
    }
    return status;
}

int main(int argc, char **argv)
{
    settings s = { 0 };
    if (argc == 2 && strcmp(argv[1], "--child") == 0) {
        return bench_child();
    }
    parse_sizes(&s, "8,64,256,1024,4096,65536,1048576");
    parse(&s, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (!s.show_only) {
        measure(&s);
    }
    if (s.tsv != NULL) {
        write_to(s.tsv, bench_rows_tsv);
    }
    if (s.json != NULL) {
        write_to(s.json, bench_rows_json);
    }
    if (s.json == NULL || strcmp(s.json, "-") != 0) {
        bench_rows_tables(stdout);
    }
    return verdict();
}
