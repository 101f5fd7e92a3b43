/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points to die at (tests/kill/points.h), by TerminateProcess. What is a view of a section is shared memory here.
 */
#include "../kill/points.h"

#include <windows.h>

static bool armed;
static uint64_t target;
static uint64_t passed;

void points_arm(uint64_t n)
{
    target = n;
    passed = 0;
    armed = n != 0;
}

uint64_t points_passed(void)
{
    return passed;
}

void points_pass(void)
{
    if (armed && ++passed == target) {
        armed = false;
        TerminateProcess(GetCurrentProcess(), 9);
    }
}

bool points_is_shared(const volatile void *address)
{
    MEMORY_BASIC_INFORMATION region;
    return armed && VirtualQuery((const void *)address, &region, sizeof region) != 0 && region.Type == MEM_MAPPED;
}
