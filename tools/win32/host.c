/* SPDX-License-Identifier: Apache-2.0 */
#include "../host.h"

#include <stdio.h>
#include <windows.h>

#define PATH_MOST 1024

int64_t host_now(void)
{
    LARGE_INTEGER frequency;
    LARGE_INTEGER now;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    return now.QuadPart / frequency.QuadPart * 1000000 + now.QuadPart % frequency.QuadPart * 1000000 / frequency.QuadPart;
}

bool host_space(const char *directory, uint64_t *free_bytes, uint64_t *total_bytes)
{
    wchar_t path[PATH_MOST];
    ULARGE_INTEGER left;
    ULARGE_INTEGER all;
    if (MultiByteToWideChar(CP_UTF8, 0, directory, -1, path, PATH_MOST) == 0 || !GetDiskFreeSpaceExW(path, &left, &all, NULL)) {
        return false;
    }
    *free_bytes = left.QuadPart;
    *total_bytes = all.QuadPart;
    return true;
}

bool host_process_name(int64_t pid, char *name, size_t capacity)
{
    wchar_t path[PATH_MOST];
    DWORD length = PATH_MOST;
    const HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);
    if (process == NULL) {
        return false;
    }
    const BOOL known = QueryFullProcessImageNameW(process, 0, path, &length);
    CloseHandle(process);
    if (!known) {
        return false;
    }
    const wchar_t *last = wcsrchr(path, L'\\');
    return WideCharToMultiByte(CP_UTF8, 0, last != NULL ? last + 1 : path, -1, name, (int)capacity, NULL, NULL) != 0;
}

unsigned host_processors(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors > 0 ? info.dwNumberOfProcessors : 1;
}

/* Threads are suspended one by one here, and a debugger's process is not told from a slow one. */
bool host_is_stopped(int64_t pid)
{
    (void)pid;
    return false;
}
