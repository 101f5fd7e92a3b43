/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cano_wait needs of a listener beyond its public calls.
 */
#ifndef CANO_LISTENER_INTERNAL_H
#define CANO_LISTENER_INTERNAL_H

#include "os.h"

#include <cano/listener.h>

/* A handle that is readable while somebody knocks; it stays the listener's. */
cano_os_handle cano_listener_handle(const cano_listener *listener);

#endif
