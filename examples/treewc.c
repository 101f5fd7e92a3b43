/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Count the lines, words and bytes of every regular file under a directory (links are not followed), with worker processes.
 *
 * A thread walks the tree and puts a task for each file into a joinable queue; the workers take tasks and put results into a
 * second queue; the main thread collects. (One thread for both would wait for itself: it cannot empty the results while it
 * waits for room among the tasks.)
 *
 * Any worker may be killed at any moment. Its task comes back and another worker does it again, so a result may come twice:
 * it carries its task's number, and each number is counted once. A result is put before its task is done; so once join()
 * returns, all results are there.
 */
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_thread_proc.h>
#include <apr_time.h>
#include <cano/cano.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: treewc [-j WORKERS] [--chaos[=MS]] [--queue NAME] [DIRECTORY]\n"
                            "       treewc --plain [DIRECTORY]      count in one process, without queues\n"
                            "       treewc --queue NAME --worker    help one that runs elsewhere, from the same directory\n"
                            "--chaos kills a random worker every MS (50) milliseconds and starts another. The last line is\n"
                            "LINES WORDS BYTES total. Exit status: 0; 1 when files could not be read; 2 when it failed.\n";

#define TICK 50000 /* microseconds between two looks at the workers and at the clock */
#define PATIENCE INT64_C(10000000)
#define WORKERS_MAX 250
#define BAR "##############################"

/* Exit statuses, of workers too. */
#define COUNTED 0
#define SKIPPED 1
#define GAVE_UP 2

struct counts {
    uint64_t lines, words, bytes;
};

struct tally {
    struct counts counts;
    uint64_t skipped; /* files and directories that could not be read */
};

struct options {
    const char *root;
    const char *queue; /* name of the queue of tasks; NULL: nameless */
    int64_t workers;
    int64_t chaos; /* milliseconds between two kills; 0: none */
    bool plain;
    bool worker;
};

struct result {
    uint64_t task;
    struct counts counts;
    int32_t error; /* apr_status_t; if it is not 0 the path follows */
    char path[];
};

struct team {
    const struct options *options;
    cano_queue *tasks, *results;
    cano_process *workers[WORKERS_MAX]; /* NULL: went home, nothing left to do */
    apr_pool_t *pool;
    apr_thread_t *feeder;
    struct tally tally;
    uint64_t unreadable_directories; /* the feeder's, until it is joined */
    unsigned char *seen;             /* one bit per task number that was counted */
    size_t seen_size;
    uint64_t kills, repeats;
    apr_time_t next_kill, next_look;
    bool terminal;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "treewc: %s: %s\n", what, why);
    exit(GAVE_UP);
}

static void check(cano_status status, const char *what)
{
    if (status != CANO_OK) {
        fail(what, cano_strerror(status));
    }
}

static void complain(const char *path, apr_status_t error)
{
    char text[120];
    fprintf(stderr, "treewc: %s: %s\n", path, apr_strerror(error, text, sizeof text));
}

/* ---- counting one file ---- */

static void count_bytes(struct counts *counts, const unsigned char *bytes, size_t size, bool *in_word)
{
    bool inside = *in_word;
    for (size_t i = 0; i < size; i++) {
        const bool space = bytes[i] == ' ' || (bytes[i] >= '\t' && bytes[i] <= '\r');
        counts->lines += bytes[i] == '\n';
        counts->words += !space && !inside;
        inside = !space;
    }
    counts->bytes += size;
    *in_word = inside;
}

static apr_status_t count_file(struct counts *counted, const char *path, apr_pool_t *pool)
{
    static unsigned char buffer[65536];
    apr_file_t *file;
    apr_status_t status = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, APR_FPROT_OS_DEFAULT, pool);
    if (status != APR_SUCCESS) {
        return status;
    }
    bool in_word = false;
    apr_size_t size = sizeof buffer;
    while ((status = apr_file_read(file, buffer, &size)) == APR_SUCCESS) {
        count_bytes(counted, buffer, size, &in_word);
        size = sizeof buffer;
    }
    apr_file_close(file);
    return APR_STATUS_IS_EOF(status) ? APR_SUCCESS : status;
}

static void skip(struct tally *tally, const char *path, apr_status_t error)
{
    complain(path, error);
    tally->skipped++;
}

static void add(struct tally *tally, const struct counts *counted)
{
    tally->counts.lines += counted->lines;
    tally->counts.words += counted->words;
    tally->counts.bytes += counted->bytes;
}

/* ---- walking the tree ---- */

struct walk {
    apr_array_header_t *directories; /* still to be read */
    void (*visit)(void *context, const char *path, apr_pool_t *pool);
    void *context;
    uint64_t unreadable;
};

static void meet(struct walk *walk, const char *directory, const apr_finfo_t *entry, apr_pool_t *pool)
{
    if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) {
        return;
    }
    const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
    if (!(entry->valid & APR_FINFO_TYPE)) {
        complain(apr_pstrcat(pool, directory, slash, entry->name, NULL), APR_INCOMPLETE);
        walk->unreadable++;
    } else if (entry->filetype == APR_DIR) {
        APR_ARRAY_PUSH(walk->directories, char *) = apr_pstrcat(walk->directories->pool, directory, slash, entry->name, NULL);
    } else if (entry->filetype == APR_REG) {
        walk->visit(walk->context, apr_pstrcat(pool, directory, slash, entry->name, NULL), pool);
    }
}

static void read_directory(struct walk *walk, const char *path)
{
    apr_pool_t *pool;
    apr_pool_create(&pool, walk->directories->pool);
    apr_dir_t *directory;
    const apr_status_t opened = apr_dir_open(&directory, path, pool);
    if (opened != APR_SUCCESS) {
        complain(path, opened);
        walk->unreadable++;
    } else {
        apr_finfo_t entry;
        apr_status_t status;
        while ((status = apr_dir_read(&entry, APR_FINFO_NAME | APR_FINFO_TYPE, directory)) == APR_SUCCESS ||
               status == APR_INCOMPLETE) {
            meet(walk, path, &entry, pool);
        }
    }
    apr_pool_destroy(pool);
}

/* Visit every regular file under root; returns the number of directories that could not be read. */
static uint64_t walk_tree(const char *root, void (*visit)(void *, const char *, apr_pool_t *), void *context)
{
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    struct walk walk = { apr_array_make(pool, 64, sizeof(char *)), visit, context, 0 };
    APR_ARRAY_PUSH(walk.directories, const char *) = root;
    while (walk.directories->nelts > 0) {
        read_directory(&walk, *(const char **)apr_array_pop(walk.directories));
    }
    apr_pool_destroy(pool);
    return walk.unreadable;
}

/* ---- one plain process ---- */

static void count_here(void *context, const char *path, apr_pool_t *pool)
{
    struct counts counted = { 0 };
    const apr_status_t error = count_file(&counted, path, pool);
    if (error == APR_SUCCESS) {
        add(context, &counted);
    } else {
        skip(context, path, error);
    }
}

static struct tally count_plainly(const struct options *options)
{
    struct tally tally = { 0 };
    tally.skipped += walk_tree(options->root, count_here, &tally);
    return tally;
}

/* ---- a worker ---- */

static bool do_task(const cano_item *task, cano_queue *results, apr_pool_t *pool)
{
    const char *path = apr_pstrmemdup(pool, task->data, task->size);
    struct result *result = apr_pcalloc(pool, sizeof *result + task->size);
    result->task = task->task;
    result->error = count_file(&result->counts, path, pool);
    memcpy(result->path, path, task->size);
    const size_t size = offsetof(struct result, path) + (result->error == 0 ? 0 : task->size);
    return cano_queue_put(results, result, size, PATIENCE) == CANO_OK;
}

static const char *results_of(const char *queue, apr_pool_t *pool)
{
    return apr_pstrcat(pool, queue, ".results", NULL);
}

static void take_queues(const struct options *options, cano_queue **tasks, cano_queue **results, apr_pool_t *pool)
{
    if (options->queue != NULL) {
        check(cano_queue_open(tasks, options->queue, NULL), options->queue);
        check(cano_queue_open(results, results_of(options->queue, pool), NULL), "open the results");
    } else {
        check(cano_inherited_queue("tasks", NULL, tasks), "take the tasks");
        check(cano_inherited_queue("results", NULL, results), "take the results");
    }
}

static int work(const struct options *options, apr_pool_t *pool)
{
    cano_queue *tasks, *results;
    take_queues(options, &tasks, &results, pool);
    cano_item task;
    cano_status status;
    while ((status = cano_queue_take(tasks, &task, CANO_FOREVER)) == CANO_OK) {
        apr_pool_clear(pool);
        if (!do_task(&task, results, pool)) {
            return SKIPPED; /* nobody takes results any more */
        }
        check(cano_queue_task_done(tasks, &task), "task done"); /* killed before this line: it will be done again */
    }
    check(status == CANO_ECLOSED ? CANO_OK : status, "take a task");
    return COUNTED;
}

/* ---- the team ---- */

static void start_worker(struct team *team, int64_t index)
{
    const cano_hand hands[] = { { .name = "tasks", .queue = team->tasks, .role = CANO_GETTER },
                                { .name = "results", .queue = team->results, .role = CANO_PUTTER } };
    const char *const handed[] = { CANO_SELF, "--worker", NULL };
    const char *const named[] = { CANO_SELF, "--worker", "--queue", team->options->queue, NULL };
    const cano_process_options options = { sizeof options, hands, 2 };
    const bool by_name = team->options->queue != NULL;
    check(cano_process_spawn(&team->workers[index], by_name ? named : handed, by_name ? NULL : &options), "start a worker");
}

static void make_queues(struct team *team)
{
    const char *name = team->options->queue;
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.max_participants = (uint32_t)team->options->workers * 2 + 32;
    options.max_items = 4096; /* room for the results of all tasks there are: see below */
    check(cano_queue_create(&team->results, name == NULL ? NULL : results_of(name, team->pool), &options), "make the results");
    options.max_items = 1024;
    options.flags = CANO_JOINABLE | CANO_END_WHEN_NO_PUTTER; /* if this process is killed, the workers finish and end */
    options.max_leases = options.max_participants;           /* a worker holds one task at a time */
    options.role = CANO_PUTTER;
    check(cano_queue_create(&team->tasks, name, &options), "make the tasks");
}

static void put_task(void *tasks, const char *path, apr_pool_t *pool)
{
    (void)pool;
    check(cano_queue_put(tasks, path, strlen(path), CANO_FOREVER), "put a task");
}

static void *APR_THREAD_FUNC feed(apr_thread_t *thread, void *data)
{
    (void)thread;
    struct team *team = data;
    team->unreadable_directories = walk_tree(team->options->root, put_task, team->tasks);
    check(cano_queue_join(team->tasks, CANO_FOREVER), "join");
    check(cano_queue_shutdown(team->tasks, false), "end the tasks");     /* the workers go home */
    check(cano_queue_shutdown(team->results, false), "end the results"); /* the collector still gets what is there */
    return NULL;
}

static bool is_new(struct team *team, uint64_t task)
{
    const size_t byte = (size_t)(task / 8);
    if (byte >= team->seen_size) {
        const size_t size = byte * 2 + 1024;
        team->seen = realloc(team->seen, size);
        if (team->seen == NULL) {
            fail("remember a task", "no memory");
        }
        memset(team->seen + team->seen_size, 0, size - team->seen_size);
        team->seen_size = size;
    }
    const unsigned char bit = (unsigned char)(1 << task % 8);
    const bool known = team->seen[byte] & bit;
    team->seen[byte] |= bit;
    return !known;
}

static void count_result(struct team *team, const cano_item *item)
{
    const struct result *result = item->data;
    if (item->size < offsetof(struct result, path)) {
        fail("take a result", "it is cut short");
    }
    if (!is_new(team, result->task)) {
        team->repeats++;
    } else if (result->error == APR_SUCCESS) {
        add(&team->tally, &result->counts);
    } else {
        const size_t length = item->size - offsetof(struct result, path);
        skip(&team->tally, apr_pstrmemdup(team->pool, result->path, length), result->error);
    }
}

static void kill_one(struct team *team)
{
    unsigned char random;
    apr_generate_random_bytes(&random, 1);
    const int64_t victim = random % team->options->workers;
    if (team->workers[victim] != NULL) {
        check(cano_process_kill(team->workers[victim]), "kill a worker");
        cano_process_close(team->workers[victim]);
        start_worker(team, victim);
        team->kills++;
    }
}

/* A worker that was killed by somebody else is replaced as well; one that has said why it cannot work is not. */
static void look_after(struct team *team)
{
    for (int64_t i = 0; i < team->options->workers; i++) {
        cano_exit ended;
        if (team->workers[i] == NULL || cano_process_wait(team->workers[i], &ended, CANO_NOW) != CANO_OK) {
            continue;
        }
        cano_process_close(team->workers[i]);
        team->workers[i] = NULL;
        if (ended.code == GAVE_UP) {
            fail("a worker", "could not work");
        }
        if (ended.code != COUNTED) {
            start_worker(team, i);
        }
    }
}

static void show_progress(const struct team *team)
{
    cano_queue_info info = { .size = sizeof info };
    if (team->terminal && cano_queue_stat(team->tasks, &info) == CANO_OK && info.put > 0) {
        const int filled = (int)((sizeof BAR - 1) * info.done / info.put);
        fprintf(stderr, "\r[%-*.*s] %" PRIu64 " of %" PRIu64 " files", (int)sizeof BAR - 1, filled, BAR, info.done, info.put);
        if (team->kills > 0) {
            fprintf(stderr, ", %" PRIu64 " workers killed", team->kills);
        }
    }
}

static void tick(struct team *team)
{
    const apr_time_t now = apr_time_now();
    if (team->options->chaos > 0 && now >= team->next_kill) {
        kill_one(team);
        team->next_kill = now + team->options->chaos * 1000;
    }
    if (now >= team->next_look) {
        look_after(team);
        show_progress(team);
        team->next_look = now + TICK;
    }
}

static void collect(struct team *team)
{
    const int64_t chaos = team->options->chaos * 1000;
    const cano_timeout pause = chaos > 0 && chaos < TICK ? chaos : TICK;
    cano_item item;
    cano_status status;
    while ((status = cano_queue_take(team->results, &item, pause)) != CANO_ECLOSED) {
        if (status != CANO_ETIMEOUT) {
            check(status, "take a result");
            count_result(team, &item);
            cano_queue_release(team->results, &item);
        }
        tick(team);
    }
}

static void gather(struct team *team)
{
    make_queues(team);
    for (int64_t i = 0; i < team->options->workers; i++) {
        start_worker(team, i);
    }
    const apr_status_t status = apr_thread_create(&team->feeder, NULL, feed, team, team->pool);
    if (status != APR_SUCCESS) {
        fail("start a thread", "the system refused");
    }
    team->next_kill = apr_time_now() + team->options->chaos * 1000;
}

static void dismiss(struct team *team)
{
    apr_status_t result;
    apr_thread_join(&result, team->feeder);
    for (int64_t i = 0; i < team->options->workers; i++) {
        if (team->workers[i] != NULL) {
            check(cano_process_wait(team->workers[i], NULL, CANO_FOREVER), "wait for a worker");
            cano_process_close(team->workers[i]);
        }
    }
    if (team->options->queue != NULL) {
        cano_queue_unlink(team->options->queue);
        cano_queue_unlink(results_of(team->options->queue, team->pool));
    }
    cano_queue_close(team->tasks);
    cano_queue_close(team->results);
    free(team->seen);
}

static bool is_terminal(apr_pool_t *pool)
{
    apr_file_t *file;
    apr_finfo_t info;
    return apr_file_open_stderr(&file, pool) == APR_SUCCESS && apr_file_info_get(&info, APR_FINFO_TYPE, file) == APR_SUCCESS &&
           info.filetype == APR_CHR;
}

static struct tally count_together(const struct options *options, apr_pool_t *pool)
{
    struct team team = { .options = options, .pool = pool, .terminal = is_terminal(pool) };
    gather(&team);
    collect(&team);
    dismiss(&team);
    if (team.terminal) {
        fprintf(stderr, "\r%78s\r", "");
    }
    if (options->chaos > 0) {
        fprintf(stderr, "treewc: %" PRIu64 " workers were killed, %" PRIu64 " results came twice\n", team.kills, team.repeats);
    }
    team.tally.skipped += team.unreadable_directories;
    return team.tally;
}

/* ---- the command line ---- */

static bool number(const char *text, int64_t low, int64_t high, int64_t *value)
{
    char *end;
    *value = text == NULL ? low - 1 : apr_strtoi64(text, &end, 10);
    return *value >= low && *value <= high && end != text && *end == '\0';
}

static bool parse(const char *const *argv, struct options *options)
{
    for (argv++; *argv != NULL; argv++) {
        bool good = true;
        if (strcmp(*argv, "--plain") == 0) {
            options->plain = true;
        } else if (strcmp(*argv, "--worker") == 0) {
            options->worker = true;
        } else if (strcmp(*argv, "--queue") == 0) {
            good = (options->queue = *++argv) != NULL;
        } else if (strcmp(*argv, "--chaos") == 0) {
            options->chaos = 50;
        } else if (strncmp(*argv, "--chaos=", 8) == 0) {
            good = number(*argv + 8, 1, 3600000, &options->chaos);
        } else if (strncmp(*argv, "-j", 2) == 0) {
            good = number((*argv)[2] != '\0' ? *argv + 2 : *++argv, 1, WORKERS_MAX, &options->workers);
        } else {
            good = **argv != '-' && **argv != '\0' && options->root == NULL;
            options->root = *argv;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

static void check_root(const char *root, apr_pool_t *pool)
{
    apr_dir_t *directory;
    const apr_status_t status = apr_dir_open(&directory, root, pool);
    if (status != APR_SUCCESS) {
        complain(root, status);
        exit(GAVE_UP);
    }
    apr_dir_close(directory);
}

int main(int argc, char **argv)
{
    const char *const *arguments = (const char *const *)argv;
    apr_app_initialize(&argc, &arguments, NULL); /* on Windows it makes them UTF-8 */
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    struct options options = { .workers = 4 };
    if (!parse(arguments, &options)) {
        fputs(usage, stderr);
        return GAVE_UP;
    }
    if (options.worker) {
        return work(&options, pool);
    }
    if (options.root == NULL) {
        options.root = ".";
    }
    check_root(options.root, pool);
    const struct tally tally = options.plain ? count_plainly(&options) : count_together(&options, pool);
    if (tally.skipped > 0) {
        fprintf(stderr, "treewc: %" PRIu64 " could not be read and are not counted\n", tally.skipped);
    }
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " total\n", tally.counts.lines, tally.counts.words, tally.counts.bytes);
    return tally.skipped == 0 ? COUNTED : SKIPPED;
}
