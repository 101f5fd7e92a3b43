/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items out of a file: one a line, one up to each NUL, or the whole file.
 */
#ifndef CANO_TOOL_INPUT_H
#define CANO_TOOL_INPUT_H

#include <apr_file_io.h>
#include <cano/queue.h>
#include <stdbool.h>

typedef struct input {
    apr_file_t *file;
    const char *name; /* for messages */
    char separator;   /* '\n', '\0' */
    bool whole;       /* the file is one item */
    bool ended;
    size_t most; /* bytes of the largest item that is of use */
    unsigned char *bytes;
    size_t begin;    /* of what was not given out yet */
    size_t searched; /* up to here there is no separator */
    size_t used;
    size_t capacity;
    apr_status_t failed;
} input;

typedef enum input_result {
    INPUT_ITEM,
    INPUT_NOTHING,
    INPUT_END,
    INPUT_TOO_LARGE,
    INPUT_FAILED
} input_result;

/* "-" is standard input. */
apr_status_t input_open(input *in, const char *path, apr_pool_t *pool);
void input_close(input *in);

/* An item that has been read already: its bytes stay until input_fill. INPUT_NOTHING: fill first. INPUT_TOO_LARGE: an item
 * larger than most. */
input_result input_take(input *in, cano_slice *item);

/* Read on, waiting for more. */
void input_fill(input *in);

/* Both: the next item. */
input_result input_next(input *in, cano_slice *item);

#endif
