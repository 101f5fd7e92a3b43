/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of queues and listeners: one namespace, one rule, one place on disk.
 */
#ifndef CANO_NAME_H
#define CANO_NAME_H

#include "os.h"

#define CANO_NAME_MAX 100

/* 1 to limit of [A-Za-z0-9._-]? False for NULL. */
bool cano_name_is_plain(const char *name, size_t limit);

/* Where the thing of that name is, in the directory of cano_os_directory, which is made and checked. CANO_EINVAL: no name for
 * a queue or a listener (not plain, or beginning with a dot), or too long a path in all. */
cano_status cano_name_path(const char *name, char path[CANO_OS_PATH_MAX]);

#endif
