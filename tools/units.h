/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, sizes and times as people write and read them.
 */
#ifndef CANO_TOOL_UNITS_H
#define CANO_TOOL_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#define UNITS_TEXT 24

/* False: it is none. */
bool units_read_count(const char *text, uint64_t *value);
bool units_read_size(const char *text, uint64_t *bytes);          /* 512, 64K, 1.5M, 2G, of 1024 */
bool units_read_seconds(const char *text, int64_t *microseconds); /* 2, 0.5, 100ms, 3m, 1h */

/* In the text that was given, which is also returned: "812", "64.0K", "1.5M"; "0.4s", "12s", "3m05s", "2h10m", "3d4h". */
const char *units_size(uint64_t bytes, char text[UNITS_TEXT]);
const char *units_time(int64_t microseconds, char text[UNITS_TEXT]);
const char *units_rate(double per_second, char text[UNITS_TEXT]);

#endif
