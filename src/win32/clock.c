/* SPDX-License-Identifier: Apache-2.0 */
#include "os.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#define MILLION INT64_C(1000000)
#define TIME_OF_DAY 3 /* SystemTimeOfDayInformation */

/* As the system gives it; the bias is what later changes of the clock have added to the time of the start. */
typedef struct time_of_day {
    int64_t boot_time;
    int64_t current_time;
    int64_t time_zone_bias;
    uint32_t time_zone;
    uint32_t reserved;
    int64_t boot_time_bias;
    int64_t sleep_time_bias;
} time_of_day;

typedef LONG(WINAPI *query_information)(ULONG, void *, ULONG, ULONG *);

int64_t cano_os_now(void)
{
    static _Atomic int64_t known_frequency;
    /* relaxed: every thread would find the same */
    int64_t frequency = atomic_load_explicit(&known_frequency, memory_order_relaxed);
    LARGE_INTEGER value;
    if (frequency == 0) {
        QueryPerformanceFrequency(&value);
        frequency = value.QuadPart;
        atomic_store_explicit(&known_frequency, frequency, memory_order_relaxed);
    }
    QueryPerformanceCounter(&value);
    return value.QuadPart / frequency * MILLION + value.QuadPart % frequency * MILLION / frequency;
}

/* In a library that every process has; undocumented enough to be looked up. */
static bool ask(time_of_day *answer)
{
    const HMODULE library = GetModuleHandleW(L"ntdll.dll");
    const FARPROC address = library == NULL ? NULL : GetProcAddress(library, "NtQuerySystemInformation");
    query_information query;
    if (address == NULL) {
        return false;
    }
    memcpy(&query, &address, sizeof query); /* no cast between kinds of function that a compiler would not doubt */
    return query(TIME_OF_DAY, answer, sizeof *answer, NULL) >= 0;
}

void cano_os_boot(char boot[48])
{
    time_of_day answer = { 0 };
    memset(boot, 0, 48);
    if (ask(&answer)) {
        snprintf(boot, 48, "%016" PRIx64, (uint64_t)(answer.boot_time - answer.boot_time_bias));
    } else {
        strcpy(boot, "unknown"); /* the same for all who cannot know: names then outlive a restart of the machine */
    }
}
