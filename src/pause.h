/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pause in a spinning loop, where the build found the compiler to have one.
 */
#ifndef CANO_PAUSE_H
#define CANO_PAUSE_H

static inline void cano_pause(void)
{
#if defined(CANO_HAS_X86_PAUSE)
    __builtin_ia32_pause();
#elif defined(CANO_HAS_ARM_YIELD)
    __asm__ volatile("yield");
#endif
}

#endif
