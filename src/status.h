/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a failure leaves the operating system's own number behind.
 */
#ifndef CANO_SRC_STATUS_H
#define CANO_SRC_STATUS_H

#include <cano/status.h>

/* Keep the native code of a failure (0: it has none) for cano_os_error of this thread, and pass the status on. */
cano_status cano_os_fail(int native, cano_status status);

#endif
