/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned bench_patience = 1 << 14;

/* ---- time ---- */

double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void bench_sleep(double seconds)
{
    struct timespec left = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

bool bench_wait(double seconds, bool (*condition)(void *), void *context)
{
    const double end = bench_now() + seconds;
    while (!condition(context)) {
        if (bench_now() > end) {
            return false;
        }
        bench_sleep(0.0004);
    }
    return true;
}

uint64_t bench_ticks(void)
{
#if defined(CANO_HAS_X86_PAUSE)
    unsigned processor;
    return __builtin_ia32_rdtscp(&processor);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

double bench_tick_ns(void)
{
    static double tick;
    if (tick == 0) {
        const double from = bench_now();
        const uint64_t ticks = bench_ticks();
        bench_sleep(0.05);
        tick = (bench_now() - from) * 1e9 / (double)(bench_ticks() - ticks);
    }
    return tick;
}

/* ---- processes ---- */

int bench_cores(void)
{
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

void bench_pin(int core)
{
    if (plan.pin) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)(core % bench_cores()), &set);
        sched_setaffinity(0, sizeof set, &set);
    }
}

pid_t bench_fork(void)
{
    fflush(NULL); /* or the child would write it once more */
    const pid_t parent = getpid();
    const pid_t process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(3);
        }
    }
    if (process < 0) {
        perror("cano-bench: fork");
        exit(1);
    }
    return process;
}

bool bench_reap(const pid_t *processes, unsigned count, double seconds)
{
    bool well = true;
    const double end = bench_now() + seconds;
    for (unsigned i = 0; i < count; i++) {
        int status = 0;
        pid_t ended;
        while ((ended = waitpid(processes[i], &status, WNOHANG)) == 0 && bench_now() < end) {
            bench_sleep(0.0003);
        }
        if (ended == 0) {
            kill(processes[i], SIGKILL);
            waitpid(processes[i], &status, 0);
            well = false;
        } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            well = false;
        }
    }
    return well;
}

void *bench_shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("cano-bench: mmap");
        exit(1);
    }
    return memory;
}

/* ---- who else uses the processor ---- */

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static double usage_of(int who, long *sleeps)
{
    struct rusage usage;
    getrusage(who, &usage);
    *sleeps += usage.ru_nvcsw;
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

bench_load bench_load_now(void)
{
    bench_load load = { .at = bench_now() };
    unsigned long long times[8] = { 0 }; /* user, nice, system, idle, waiting, interrupts, soft ones, stolen */
    FILE *file = fopen("/proc/stat", "r");
    if (file != NULL) {
        const int read = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &times[0], &times[1], &times[2], &times[3],
                                &times[4], &times[5], &times[6], &times[7]);
        fclose(file);
        if (read == 8) {
            const double second = (double)sysconf(_SC_CLK_TCK);
            load.busy = (double)(times[0] + times[1] + times[2] + times[5] + times[6]) / second;
            load.stolen = (double)times[7] / second;
        }
    }
    long own_sleeps = 0;
    load.own = usage_of(RUSAGE_SELF, &own_sleeps) + usage_of(RUSAGE_CHILDREN, &load.sleeps);
    return load;
}

double bench_load_own(const bench_load *since, const bench_load *until)
{
    return until->at > since->at ? (until->own - since->own) / (until->at - since->at) : 0;
}

double bench_load_others(const bench_load *since, const bench_load *until)
{
    if (until->at <= since->at) {
        return 0;
    }
    const double others = (until->busy - since->busy) - (until->own - since->own);
    return ((others > 0 ? others : 0) + until->stolen - since->stolen) / (until->at - since->at);
}

/* ---- a cache line from core to core ---- */

static void answer(_Atomic uint64_t *word)
{
    bench_pin(1);
    for (uint64_t turn = 1;; turn += 2) {
        uint64_t seen;
        while ((seen = atomic_load_explicit(word, memory_order_acquire)) != turn) {
            if (seen == UINT64_MAX) {
                _exit(0);
            }
        }
        atomic_store_explicit(word, turn + 1, memory_order_release);
    }
}

double bench_line_ns(void)
{
    static _Atomic uint64_t *word;
    if (bench_cores() < 2 || !plan.pin) {
        return 0;
    }
    if (word == NULL) {
        word = bench_shared_memory(4096);
    }
    atomic_store(word, 0);
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    const pid_t other = bench_fork();
    if (other == 0) {
        answer(word);
    }
    bench_pin(0);
    double best = 1e9;
    const double end = bench_now() + 0.01;
    uint64_t turn = 1;
    for (int batch = 0; bench_now() < end || batch < 2; batch++) {
        const uint64_t from = bench_ticks();
        for (int i = 0; i < 64; i++, turn += 2) {
            atomic_store_explicit(word, turn, memory_order_release);
            while (atomic_load_explicit(word, memory_order_acquire) != turn + 1) {
            }
        }
        const double one_way = (double)(bench_ticks() - from) * bench_tick_ns() / 128;
        best = batch > 0 && one_way < best ? one_way : best; /* the first may have waited for the fork */
    }
    atomic_store(word, UINT64_MAX);
    waitpid(other, NULL, 0);
    sched_setaffinity(0, sizeof before, &before);
    return best;
}

/* ---- numbers ---- */

static int compare(const void *one, const void *other)
{
    const double a = *(const double *)one;
    const double b = *(const double *)other;
    return (a > b) - (a < b);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}
