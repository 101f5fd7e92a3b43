/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cano_wait needs of a process beyond its public calls.
 */
#ifndef CANO_PROCESS_INTERNAL_H
#define CANO_PROCESS_INTERNAL_H

#include "os.h"

#include <cano/process.h>

/* A handle that is readable once the process has ended; it stays the process's. CANO_EINVAL: in a forked child of its parent. */
cano_status cano_process_ended(cano_process *process, cano_os_handle *ended);

#endif
