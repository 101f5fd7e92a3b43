/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where tasks go that failed too often. A queue that was made with max_deliveries keeps dead letters itself. For one that was
 * not, or when fewer tries are asked for, they are put into a second queue, NAME.dead, before they are done in the first: so
 * a death in between leaves a task in both, and none is lost.
 */
#ifndef CANO_TOOL_GRAVES_H
#define CANO_TOOL_GRAVES_H

#include "tool.h"

/* NAME.dead, in pool; NULL: the name is too long for one. */
const char *graves_name(const char *name, apr_pool_t *pool);

/* Put a task into the queue of that name (graves_name), made if it is not there, as large as the first one. */
cano_status graves_bury(const char *grave, const cano_queue_options *limits, const cano_item *item);

#endif
