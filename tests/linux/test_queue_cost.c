/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a queue costs: memory, system calls, wake-ups, threads, descriptors; and what happens when memory is short.
 *
 * CANO_WAIT, CANO_LEASE and CANO_ROUNDS come from the build.
 */
#include "queues.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static bool can_run(bool possible, const char *test, const char *why)
{
    if (!possible) {
        printf("\n    not run here: %s: %s\n", test, why);
    }
    return possible;
}

/* ---- memory ---- */

typedef struct mapping {
    uint64_t size, resident; /* KiB */
} mapping;

/* Of the one mapping whose file name contains this. */
static mapping find_mapping(const char *part)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    mapping found = { 0, 0 };
    bool here = false;
    char line[4096];
    CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        uint64_t number;
        char rights[5];
        if (sscanf(line, "%*x-%*x %4s", rights) == 1) { /* a mapping begins */
            here = strstr(line, part) != NULL;
        } else if (here && sscanf(line, "Size: %" SCNu64, &number) == 1) {
            found.size += number;
        } else if (here && sscanf(line, "Rss: %" SCNu64, &number) == 1) {
            found.resident += number;
        }
    }
    fclose(maps);
    return found;
}

static void idle_queue_takes_little_memory(void)
{
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        const char *name = suite_name("idle-memory");
        cano_queue_close(make_named(name, OPTIONS(.flags = flags)));
        cano_queue *queue = open_named(name); /* who makes it maps a file that has no name yet */
        const mapping m = find_mapping(name);
        printf("\n    %s queue: %d KiB mapped, %d KiB resident ", flags != 0 ? "joinable" : "plain", (int)m.size,
               (int)m.resident);
        CU_ASSERT(m.size > 0 && m.size < 1024);
        CU_ASSERT(m.resident > 0 && m.resident < 100);
        cano_queue_close(queue);
        CU_ASSERT_EQUAL(find_mapping(name).size, 0); /* close unmaps */
        CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
    }
}

/* ---- system calls ---- */

/* In a child: two calls to getppid around each thing that is counted. */
static int run_attach(int argc, char **argv)
{
    (void)argc;
    cano_queue *queues[3];
    DEMAND(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    raise(SIGSTOP);
    for (int i = 0; i < 3; i++) {
        syscall(SYS_getppid);
        DEMAND(cano_queue_open(&queues[i], argv[0], NULL) == CANO_OK);
        syscall(SYS_getppid);
    }
    return 0;
}

/* Let the child run to its next entry into the kernel: the number of the call, or -1 at its end. */
static int64_t next_call(pid_t child)
{
    for (;;) {
        int status;
        if (ptrace(PTRACE_SYSCALL, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) {
            return -1;
        }
        struct __ptrace_syscall_info info;
        const long size = ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info);
        if (size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY) {
            return (int64_t)info.entry.nr;
        }
    }
}

/* Calls between the next two of getppid, or -1. */
static int count_calls(pid_t child)
{
    int64_t call;
    while ((call = next_call(child)) != SYS_getppid) {
        if (call < 0) {
            return -1;
        }
    }
    int count = 0;
    while ((call = next_call(child)) != SYS_getppid) {
        if (call < 0) {
            return -1;
        }
        count++;
    }
    return count;
}

static int64_t fastest_attach(const char *name)
{
    int64_t fastest = INT64_MAX;
    for (int i = 0; i < 50; i++) {
        const int64_t start = suite_now();
        cano_queue *queue = open_named(name);
        fastest = elapsed(start) < fastest ? elapsed(start) : fastest;
        cano_queue_close(queue);
    }
    return fastest;
}

static void attaching_takes_few_system_calls(void)
{
    if (!can_run(!SANITIZED, "attaching_takes_few_system_calls", "a sanitizer makes calls of its own")) {
        return;
    }
    const char *name = suite_name("attach");
    cano_queue *queue = make_named(name, OPTIONS(0));
    suite_child *child = suite_start("attach", name, NULL);
    const pid_t pid = (pid_t)suite_pid(child);
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(pid, &status, WUNTRACED), pid);
    const bool traced = WIFSTOPPED(status) && ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD) == 0;
    if (can_run(traced, "attaching_takes_few_system_calls", "ptrace is not allowed")) {
        int counts[3];
        for (int i = 0; i < 3; i++) {
            counts[i] = count_calls(pid);
            CU_ASSERT(counts[i] > 0);
            CU_ASSERT(strcmp(CANO_LEASE, "ofd") != 0 || counts[i] <= 40);
        }
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
        printf("\n    attach: %d system calls the first time in a process, then %d; %d us ", counts[0], counts[1],
               (int)fastest_attach(name));
        end_well(child);
    }
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

/* ---- wake-ups ---- */

#define WATCHED 2000000 /* microseconds */

enum {
    IN_GET,
    IN_GET_BESIDE_A_DELAYED_TASK,
    IN_PUT,
    IN_RESERVE,
    IN_LOCK,
    IN_JOIN,
    IN_DEAD_GET,
    WAYS
};

typedef struct waiter {
    cano_queue *queue;
    int way;
    cano_status status;
    long wakes;
    int64_t busy; /* microseconds of processor time */
} waiter;

static cano_status wait_in(cano_queue *queue, int way)
{
    void *memory;
    cano_item item;
    switch (way) {
    case IN_PUT:
        return put_number(queue, 1, WATCHED);
    case IN_RESERVE:
        return cano_queue_reserve(queue, 4000, &memory, WATCHED);
    case IN_LOCK:
        return cano_queue_lock(queue, WATCHED);
    case IN_JOIN:
        return cano_queue_join(queue, WATCHED);
    case IN_DEAD_GET:
        return cano_queue_dead_get(queue, &item, WATCHED);
    default:
        return status_of_get(queue, WATCHED);
    }
}

static int64_t time_of(const struct rusage *usage)
{
    const struct timeval user = usage->ru_utime;
    const struct timeval system = usage->ru_stime;
    return ((int64_t)user.tv_sec + system.tv_sec) * 1000000 + user.tv_usec + system.tv_usec;
}

static void run_waiter(void *context)
{
    waiter *w = context;
    struct rusage before;
    struct rusage after;
    getrusage(RUSAGE_THREAD, &before);
    w->status = wait_in(w->queue, w->way);
    getrusage(RUSAGE_THREAD, &after);
    w->wakes = after.ru_nvcsw - before.ru_nvcsw;
    w->busy = time_of(&after) - time_of(&before);
}

/* A queue in which the way leads to sleep, for others than this thread. */
static cano_queue *make_sleepy(int way)
{
    cano_queue *queue = make_queue(OPTIONS(.flags = CANO_JOINABLE, .max_items = 1, .max_bytes = 4000, .max_leases = 1));
    void *memory;
    while (way == IN_RESERVE && cano_queue_reserve(queue, 4000, &memory, CANO_NOW) == CANO_OK) {
    }
    if (way == IN_PUT || way == IN_JOIN || way == IN_GET_BESIDE_A_DELAYED_TASK) {
        put_number(queue, 1, CANO_NOW);
    }
    if (way == IN_GET_BESIDE_A_DELAYED_TASK) {
        get_number(queue, CANO_NOW);
        CU_ASSERT_EQUAL(cano_queue_give_back(queue, NULL, 3600000000), CANO_OK);
    }
    if (way == IN_LOCK) {
        CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_NOW), CANO_OK);
    }
    return queue;
}

static void who_waits_wakes_seldom(void)
{
    if (!can_run(strcmp(CANO_WAIT, "poll") != 0, "who_waits_wakes_seldom", "this build waits by looking again and again")) {
        return;
    }
    waiter waiters[WAYS];
    suite_thread *threads[WAYS];
    for (int i = 0; i < WAYS; i++) {
        waiters[i] = (waiter){ .queue = make_sleepy(i), .way = i };
        threads[i] = suite_thread_start(run_waiter, &waiters[i]);
    }
    for (int i = 0; i < WAYS; i++) {
        suite_thread_end(threads[i]);
        CU_ASSERT_EQUAL(waiters[i].status, CANO_ETIMEOUT);
        CU_ASSERT(waiters[i].wakes > 0 && waiters[i].wakes <= 20 * WATCHED / 1000000);
        CU_ASSERT(SANITIZED || waiters[i].busy < WATCHED / 50);
        cano_queue_close(waiters[i].queue);
    }
    printf("\n    a blocked get wakes %ld times in 2 s and takes %d us of the processor ", waiters[IN_GET].wakes,
           (int)waiters[IN_GET].busy);
}

/* ---- threads, descriptors, names ---- */

static size_t count_entries(const char *directory)
{
    DIR *listing = opendir(directory);
    CU_ASSERT_PTR_NOT_NULL_FATAL(listing);
    size_t count = 0;
    while (readdir(listing) != NULL) {
        count++;
    }
    closedir(listing);
    return count;
}

static void no_thread_is_started(void)
{
    const size_t before = count_entries("/proc/self/task");
    const char *name = suite_name("threads");
    cano_queue *queue = make_named(name, OPTIONS(.flags = CANO_JOINABLE));
    cano_queue *other = open_named(name);
    cano_native native;
    CU_ASSERT_EQUAL(cano_queue_native(other, &native), CANO_OK);
    put_number(queue, 1, CANO_NOW);
    get_number(other, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_give_back(other, NULL, 1000), CANO_OK);
    CU_ASSERT_EQUAL(get_number(queue, PATIENCE), 1);
    CU_ASSERT_EQUAL(cano_queue_join(queue, 1000), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(count_entries("/proc/self/task"), before);
    cano_queue_close(queue);
    cano_queue_close(other);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static uint64_t resident_kib(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    uint64_t pages = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(statm);
    CU_ASSERT_EQUAL(fscanf(statm, "%*u %" SCNu64, &pages), 1);
    fclose(statm);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static bool use_once(const char *name, uint32_t scope, uint64_t round)
{
    static unsigned char memory[2000];
    cano_queue *queue = NULL;
    const cano_queue_options options =
        OPTIONS(.scope = scope, .flags = round % 2 != 0 ? CANO_JOINABLE : 0, .max_items = 16, .max_bytes = 32768);
    bool good = cano_queue_create(&queue, name, &options) == CANO_OK;
    good = good && cano_queue_put(queue, memory, sizeof memory, CANO_NOW) == CANO_OK;
    good = good && put_number(queue, round, CANO_NOW) == CANO_OK;
    cano_item item;
    good = good && cano_queue_take(queue, &item, CANO_NOW) == CANO_OK; /* close ends it */
    void *room;
    good = good && cano_queue_reserve(queue, 1000, &room, CANO_NOW) == CANO_OK;
    cano_native native;
    good = good && (round % 16 != 0 || cano_queue_native(queue, &native) == CANO_OK);
    cano_queue_close(queue);
    return good && (name == NULL || cano_queue_unlink(name) == CANO_OK);
}

static void use_often(const char *name, uint32_t scope, uint64_t rounds)
{
    bool good = true;
    for (uint64_t i = 0; i < rounds && good; i++) {
        good = use_once(name, scope, i);
    }
    CU_ASSERT(good);
}

static void making_and_closing_leaks_nothing(void)
{
    char directory[] = "/tmp/cano-cost-XXXXXX";
    const char *before = getenv("CANO_DIR");
    char *kept = before != NULL ? strdup(before) : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    setenv("CANO_DIR", directory, 1);
    static const char *const names[] = { "q", NULL, NULL };
    const size_t entries = count_entries(directory);
    for (int i = 0; i < 3; i++) {
        const uint32_t scope = i == 2 ? CANO_THREADS : CANO_PROCESSES;
        use_often(names[i], scope, 100); /* what is made once is made now */
        const size_t descriptors = count_entries("/proc/self/fd");
        const uint64_t resident = resident_kib();
        use_often(names[i], scope, CANO_ROUNDS / 3);
        CU_ASSERT_EQUAL(count_entries("/proc/self/fd"), descriptors);
        CU_ASSERT_EQUAL(count_entries(directory), entries);
        CU_ASSERT(SANITIZED || resident_kib() < resident + 256);
    }
    printf("\n    %d rounds ", (int)CANO_ROUNDS);
    if (kept != NULL) {
        setenv("CANO_DIR", kept, 1);
    } else {
        unsetenv("CANO_DIR");
    }
    free(kept);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

/* ---- memory is short ---- */

#define LARGE ((size_t)32 << 20)

static rlim_t address_space(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    uint64_t pages = 0;
    DEMAND(statm != NULL && fscanf(statm, "%" SCNu64, &pages) == 1);
    fclose(statm);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* In a child: a message lies in two pieces, so that a view of it needs memory. */
static void put_scattered(cano_queue *queue)
{
    void *room[8];
    size_t count = 0;
    while (cano_queue_reserve(queue, LARGE / 2, &room[count], CANO_NOW) == CANO_OK) {
        count++;
        DEMAND(count < 8);
    }
    cano_queue_cancel(queue, room[0]);
    cano_queue_cancel(queue, room[2]);
    DEMAND(put_pattern(queue, LARGE, 3, CANO_NOW) == CANO_OK);
}

/* In a program of its own: where threads have been, their heaps have addresses to spare. */
static int run_out_of_memory(int argc, char **argv)
{
    (void)argc;
    const uint32_t flags = (uint32_t)atoi(argv[0]);
    cano_queue *queue = NULL;
    cano_item item;
    void *data = NULL;
    size_t size = 0;
    const cano_queue_options options = OPTIONS(.flags = flags, .max_items = 2, .max_bytes = 2 * LARGE, .max_leases = flags);
    DEMAND(cano_queue_create(&queue, NULL, &options) == CANO_OK);
    put_scattered(queue);
    DEMAND(status_of_get(queue, CANO_NOW) == CANO_ETOOBIG); /* makes whatever is made once */
    struct rlimit before;
    DEMAND(getrlimit(RLIMIT_AS, &before) == 0);
    const struct rlimit low = { address_space() + LARGE / 2, before.rlim_max };
    DEMAND(setrlimit(RLIMIT_AS, &low) == 0);
    DEMAND(cano_queue_get_alloc(queue, &data, &size, CANO_NOW) == CANO_ENOMEM);
    DEMAND(cano_queue_take(queue, &item, CANO_NOW) == CANO_ENOMEM);
    cano_queue *more = NULL;
    DEMAND(cano_queue_create(&more, NULL, &options) == CANO_ENOMEM);
    DEMAND(cano_queue_qsize(queue, &size) == CANO_OK && size == 1);
    DEMAND(setrlimit(RLIMIT_AS, &before) == 0);
    DEMAND(cano_queue_take(queue, &item, CANO_NOW) == CANO_OK);
    DEMAND(item.size == LARGE && has_pattern(item.data, LARGE, 3));
    cano_queue_close(queue);
    return 0;
}

static void message_stays_when_memory_is_short(void)
{
    if (!can_run(!SANITIZED, "message_stays_when_memory_is_short", "a sanitizer takes all addresses there are")) {
        return;
    }
    end_well(suite_start("out_of_memory", "0", NULL));
    end_well(suite_start("out_of_memory", "1", NULL));
}

static const suite_test tests[] = {
    { "idle_queue_takes_little_memory", idle_queue_takes_little_memory },
    { "attaching_takes_few_system_calls", attaching_takes_few_system_calls },
    { "who_waits_wakes_seldom", who_waits_wakes_seldom },
    { "no_thread_is_started", no_thread_is_started },
    { "making_and_closing_leaks_nothing", making_and_closing_leaks_nothing },
    { "message_stays_when_memory_is_short", message_stays_when_memory_is_short },
    { NULL, NULL },
};

static const suite_role roles[] = { { "attach", run_attach }, { "out_of_memory", run_out_of_memory }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: cost", tests, roles);
}
