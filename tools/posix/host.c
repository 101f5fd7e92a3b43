/* SPDX-License-Identifier: Apache-2.0 */
#include "../host.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

int64_t host_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool host_space(const char *directory, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs space;
    if (statvfs(directory, &space) != 0) {
        return false;
    }
    *free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    *total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    return true;
}

/* Where there is /proc: "PID (name) S ...", and the name may hold anything. */
static bool read_stat(int64_t pid, char *text, size_t capacity, char **end_of_name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    const size_t size = fread(text, 1, capacity - 1, file);
    fclose(file);
    text[size] = '\0';
    *end_of_name = strrchr(text, ')');
    return *end_of_name != NULL && strchr(text, '(') != NULL;
}

bool host_process_name(int64_t pid, char *name, size_t capacity)
{
    char text[512];
    char *end;
    if (!read_stat(pid, text, sizeof text, &end)) {
        return false;
    }
    const char *start = strchr(text, '(') + 1;
    snprintf(name, capacity, "%.*s", (int)(end - start), start);
    return true;
}

unsigned host_processors(void)
{
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

bool host_is_stopped(int64_t pid)
{
    char text[512];
    char *end;
    return read_stat(pid, text, sizeof text, &end) && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}
