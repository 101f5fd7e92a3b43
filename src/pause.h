/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hints to processor and compiler, where the build found the compiler to have them: a pause in a spinning loop, a line of memory
 * that is about to be written, and what seldom happens.
 */
#ifndef CANO_PAUSE_H
#define CANO_PAUSE_H

/* In front of a function off the usual path: it is not drawn into it, and what leads to it is laid out elsewhere. */
#if defined(CANO_HAS_COLD)
#define CANO_SELDOM __attribute__((cold, noinline))
#else
#define CANO_SELDOM
#endif

static inline void cano_pause(void)
{
#if defined(CANO_HAS_X86_PAUSE)
    __builtin_ia32_pause();
#elif defined(CANO_HAS_ARM_YIELD)
    __asm__ volatile("yield");
#endif
}

/* The line comes as one's own: another core that has it gives it up before the write has to wait for that. */
static inline void cano_expect_write(void *line)
{
#if defined(CANO_HAS_PREFETCHW)
    __asm__ volatile("prefetchw %0" : : "m"(*(char *)line));
#elif defined(CANO_HAS_PREFETCH)
    __builtin_prefetch(line, 1);
#else
    (void)line;
#endif
}

#endif
