/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text and JSON to a file, through a buffer, so that what belongs together is written in one piece.
 */
#ifndef CANO_TOOL_OUT_H
#define CANO_TOOL_OUT_H

#include <apr_file_io.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct out {
    apr_file_t *file; /* NULL: it only gathers */
    char *bytes;
    size_t used;
    size_t capacity;
    apr_status_t failed; /* the first failure; what comes later is dropped */
    bool comma;          /* JSON: something stands before the next value */
} out;

/* Standard output (1) or standard error (2). */
void out_open(out *o, int stream, apr_pool_t *pool);
void out_bytes(out *o, const void *bytes, size_t size);
void out_text(out *o, const char *text);
void out_format(out *o, const char *format, ...);

/* Write all that was gathered. False: it could not be written. */
bool out_flush(out *o);
void out_close(out *o);

/* As people see it on a terminal: at most that many columns, what is not printable as a dot, "..." where it is cut. */
void out_shown(out *o, const void *bytes, size_t size, size_t columns);

/* ---- JSON: begin('{'), key, value, ..., end('}'), line ---- */
void json_begin(out *o, char bracket);
void json_end(out *o, char bracket);
void json_key(out *o, const char *key);
void json_line(out *o); /* the end of a document */
void json_text(out *o, const char *key, const char *value);
void json_bytes(out *o, const char *key, const void *value, size_t size); /* no UTF-8: as KEY_base64 */
void json_number(out *o, const char *key, uint64_t value);
void json_signed(out *o, const char *key, int64_t value);
void json_seconds(out *o, const char *key, int64_t microseconds);
void json_bool(out *o, const char *key, bool value);

#endif
