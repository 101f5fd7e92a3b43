/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size in front of every options struct: what callers built against another version of a header gave us.
 */
#ifndef CANO_OPTIONS_H
#define CANO_OPTIONS_H

#include <cano/status.h>
#include <string.h>

#define CANO_OPTIONS_MAX 4096 /* a larger size is garbage, not a later version */

/* CANO_EINVAL: smaller than what we know. CANO_ENOTSUP: larger, and what we do not know is not zero. */
static inline cano_status cano_options_check(const void *options, size_t known)
{
    size_t size;
    memcpy(&size, options, sizeof size);
    if (size < known || size > CANO_OPTIONS_MAX) {
        return CANO_EINVAL;
    }
    for (size_t i = known; i < size; i++) {
        if (((const unsigned char *)options)[i] != 0) {
            return CANO_ENOTSUP;
        }
    }
    return CANO_OK;
}

#endif
