/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that hold locks of this process. A fork copies them, and a copy holds the lock as well: so each is listed
 * before it locks anything, and the child closes those that are not its own. cano_os_lease_drop ends them.
 */
#ifndef CANO_POSIX_LEASES_H
#define CANO_POSIX_LEASES_H

#include "os.h"

#include <sys/types.h>

/* open(path, flags, mode), close-on-exec, and list the descriptor: one step for any fork. 0, or an errno. */
int cano_posix_lease_open(const char *path, int flags, mode_t mode, int *descriptor);

/* Copy a descriptor, which may be a lease, to a number from least on, and list the copy likewise. 0, or an errno. */
int cano_posix_lease_copy(int descriptor, int least, int *copy);

#endif
