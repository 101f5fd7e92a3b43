/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool units_read_count(const char *text, uint64_t *value)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0') {
        return false;
    }
    *value = strtoull(text, NULL, 10);
    return true;
}

/* Digits, perhaps with a point, not below 0; what follows is in *rest. strtod would also take hexadecimal and "inf". */
static bool read_decimal(const char *text, double *value, const char **rest)
{
    const size_t length = strspn(text, "0123456789.");
    char copy[32];
    if (length == 0 || length >= sizeof copy || strspn(text, ".") == length) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *end;
    *value = strtod(copy, &end);
    *rest = text + length;
    return *end == '\0';
}

typedef struct unit {
    const char *name;
    double factor;
} unit;

static bool read_with_unit(const char *text, const unit *units, double *value)
{
    const char *rest;
    if (!read_decimal(text, value, &rest)) {
        return false;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(rest, units->name) == 0) {
            *value *= units->factor;
            return *value < 9e15; /* exact in a double, and far beyond use */
        }
    }
    return false;
}

bool units_read_size(const char *text, uint64_t *bytes)
{
    static const unit units[] = { { "", 1 }, { "K", 1024 }, { "M", 1048576 }, { "G", 1073741824 }, { NULL, 0 } };
    double value;
    if (!read_with_unit(text, units, &value)) {
        return false;
    }
    *bytes = (uint64_t)value;
    return true;
}

bool units_read_seconds(const char *text, int64_t *microseconds)
{
    static const unit units[] = { { "", 1e6 }, { "s", 1e6 }, { "ms", 1e3 }, { "m", 6e7 }, { "h", 3.6e9 }, { NULL, 0 } };
    double value;
    if (!read_with_unit(text, units, &value)) {
        return false;
    }
    *microseconds = (int64_t)value;
    return true;
}

const char *units_size(uint64_t bytes, char text[UNITS_TEXT])
{
    static const char letters[] = "KMGTPE";
    if (bytes < 1024) {
        snprintf(text, UNITS_TEXT, "%" PRIu64, bytes);
        return text;
    }
    double value = (double)bytes / 1024;
    int letter = 0;
    while (value >= 1023.95 && letter < 5) {
        value /= 1024;
        letter++;
    }
    snprintf(text, UNITS_TEXT, "%.1f%c", value, letters[letter]);
    return text;
}

const char *units_time(int64_t microseconds, char text[UNITS_TEXT])
{
    const int64_t seconds = microseconds / 1000000;
    if (seconds < 10) {
        snprintf(text, UNITS_TEXT, "%d.%ds", (int)seconds, (int)(microseconds / 100000 % 10));
    } else if (seconds < 60) {
        snprintf(text, UNITS_TEXT, "%ds", (int)seconds);
    } else if (seconds < 3600) {
        snprintf(text, UNITS_TEXT, "%dm%02ds", (int)(seconds / 60), (int)(seconds % 60));
    } else if (seconds < 86400) {
        snprintf(text, UNITS_TEXT, "%dh%02dm", (int)(seconds / 3600), (int)(seconds / 60 % 60));
    } else {
        snprintf(text, UNITS_TEXT, "%" PRId64 "d%02dh", seconds / 86400, (int)(seconds / 3600 % 24));
    }
    return text;
}

const char *units_rate(double per_second, char text[UNITS_TEXT])
{
    static const char letters[] = " KMG";
    int letter = 0;
    while (per_second >= 9999.5 && letter < 3) {
        per_second /= 1000;
        letter++;
    }
    snprintf(text, UNITS_TEXT, per_second < 99.95 ? "%.1f%.1s" : "%.0f%.1s", per_second, letter > 0 ? letters + letter : "");
    return text;
}
