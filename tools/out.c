/* SPDX-License-Identifier: Apache-2.0 */
#include "out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL 65536

void out_open(out *o, int stream, apr_pool_t *pool)
{
    *o = (out){ 0 };
    o->failed = stream == 1 ? apr_file_open_stdout(&o->file, pool) : apr_file_open_stderr(&o->file, pool);
}

static bool grow(out *o, size_t size)
{
    const size_t capacity = (o->used + size) * 2 + 256;
    char *bytes = realloc(o->bytes, capacity);
    if (bytes == NULL) {
        o->failed = APR_ENOMEM;
        return false;
    }
    o->bytes = bytes;
    o->capacity = capacity;
    return true;
}

void out_bytes(out *o, const void *bytes, size_t size)
{
    if (o->file != NULL && o->used >= FULL) {
        out_flush(o);
    }
    if (size > 0 && (o->used + size <= o->capacity || grow(o, size))) {
        memcpy(o->bytes + o->used, bytes, size);
        o->used += size;
    }
}

void out_text(out *o, const char *text)
{
    out_bytes(o, text, strlen(text));
}

void out_format(out *o, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    const int length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (length > 0) {
        out_bytes(o, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
    }
}

bool out_flush(out *o)
{
    if (o->failed == APR_SUCCESS && o->used > 0 && o->file != NULL) {
        o->failed = apr_file_write_full(o->file, o->bytes, o->used, NULL);
    }
    o->used = 0;
    return o->failed == APR_SUCCESS;
}

void out_close(out *o)
{
    free(o->bytes);
    *o = (out){ 0 };
}

/* ---- UTF-8 ---- */

/* Bytes of the character at text, or 0: no UTF-8 (overlong forms, surrogates and what is above U+10FFFF are none). */
static size_t character(const unsigned char *text, size_t size)
{
    const unsigned char first = text[0];
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xc2 && first < 0xe0 ? 2
                          : (first & 0xf0) == 0xe0        ? 3
                          : first >= 0xf0 && first < 0xf5 ? 4
                                                          : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    const bool outside = (first == 0xed && text[1] >= 0xa0) || (first == 0xf4 && text[1] >= 0x90);
    return overlong || outside ? 0 : length;
}

static bool is_utf8(const unsigned char *text, size_t size)
{
    for (size_t i = 0, length; i < size; i += length) {
        length = character(text + i, size - i);
        if (length == 0) {
            return false;
        }
    }
    return true;
}

static size_t count_columns(const unsigned char *text, size_t size)
{
    size_t columns = 0;
    for (size_t i = 0, length; i < size; i += length) {
        length = character(text + i, size - i);
        length = length == 0 ? 1 : length;
        columns++;
    }
    return columns;
}

/* The width of wide characters is not known here: a line with many of them is cut by the terminal. */
void out_shown(out *o, const void *bytes, size_t size, size_t columns)
{
    const unsigned char *text = bytes;
    const bool cut = count_columns(text, size) > columns;
    size_t left = cut && columns > 3 ? columns - 3 : columns;
    for (size_t i = 0, length; i < size && left > 0; i += length, left--) {
        length = character(text + i, size - i);
        const bool control = length == 0 || text[i] < 0x20 || text[i] == 0x7f || (text[i] == 0xc2 && text[i + 1] < 0xa0);
        length = length == 0 ? 1 : length;
        out_bytes(o, control ? (const void *)"." : text + i, control ? 1 : length);
    }
    if (cut && columns > 3) {
        out_text(o, "...");
    }
}

/* ---- JSON ---- */

static void separate(out *o)
{
    if (o->comma) {
        out_text(o, ",");
    }
    o->comma = true;
}

void json_begin(out *o, char bracket)
{
    separate(o);
    out_bytes(o, &bracket, 1);
    o->comma = false;
}

void json_end(out *o, char bracket)
{
    out_bytes(o, &bracket, 1);
    o->comma = true;
}

void json_line(out *o)
{
    out_text(o, "\n");
    o->comma = false;
}

static void write_string(out *o, const unsigned char *text, size_t size)
{
    out_text(o, "\"");
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            out_format(o, "\\%c", text[i]);
        } else if (text[i] < 0x20) {
            out_format(o, "\\u%04x", (unsigned)text[i]);
        } else {
            out_bytes(o, text + i, 1);
        }
    }
    out_text(o, "\"");
}

void json_key(out *o, const char *key)
{
    separate(o);
    write_string(o, (const unsigned char *)key, strlen(key));
    out_text(o, ":");
    o->comma = false;
}

void json_text(out *o, const char *key, const char *value)
{
    json_bytes(o, key, value, strlen(value));
}

static void write_base64(out *o, const unsigned char *bytes, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out_text(o, "\"");
    for (size_t i = 0; i < size; i += 3) {
        const uint32_t second = i + 1 < size ? bytes[i + 1] : 0;
        const uint32_t third = i + 2 < size ? bytes[i + 2] : 0;
        const uint32_t three = (uint32_t)bytes[i] << 16 | second << 8 | third;
        const char four[4] = { letters[three >> 18], letters[three >> 12 & 63], i + 1 < size ? letters[three >> 6 & 63] : '=',
                               i + 2 < size ? letters[three & 63] : '=' };
        out_bytes(o, four, 4);
    }
    out_text(o, "\"");
}

void json_bytes(out *o, const char *key, const void *value, size_t size)
{
    if (is_utf8(value, size)) {
        json_key(o, key);
        write_string(o, value, size);
    } else {
        char other[64];
        snprintf(other, sizeof other, "%s_base64", key);
        json_key(o, other);
        write_base64(o, value, size);
    }
    o->comma = true;
}

void json_number(out *o, const char *key, uint64_t value)
{
    json_key(o, key);
    out_format(o, "%" PRIu64, value);
    o->comma = true;
}

void json_signed(out *o, const char *key, int64_t value)
{
    json_key(o, key);
    out_format(o, "%" PRId64, value);
    o->comma = true;
}

void json_seconds(out *o, const char *key, int64_t microseconds)
{
    json_key(o, key);
    out_format(o, "%" PRId64 ".%06d", microseconds / 1000000, (int)(microseconds % 1000000));
    o->comma = true;
}

void json_bool(out *o, const char *key, bool value)
{
    json_key(o, key);
    out_text(o, value ? "true" : "false");
    o->comma = true;
}
