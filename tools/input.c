/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include "tool.h"

#include <stdlib.h>
#include <string.h>

#define PIECE 65536

apr_status_t input_open(input *in, const char *path, apr_pool_t *pool)
{
    const bool standard = tool_is_standard_input(path);
    in->name = standard ? "standard input" : path;
    in->begin = in->searched = in->used = 0;
    in->ended = false;
    in->failed = APR_SUCCESS;
    return standard ? apr_file_open_stdin(&in->file, pool)
                    : apr_file_open(&in->file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, APR_FPROT_OS_DEFAULT, pool);
}

void input_close(input *in)
{
    if (in->file != NULL) {
        apr_file_close(in->file);
    }
    free(in->bytes);
    *in = (input){ .separator = in->separator, .whole = in->whole, .most = in->most };
}

static bool make_room(input *in)
{
    if (in->begin > 0) { /* what was given out is done with */
        memmove(in->bytes, in->bytes + in->begin, in->used - in->begin);
        in->used -= in->begin;
        in->searched -= in->begin;
        in->begin = 0;
    }
    if (in->capacity - in->used >= PIECE) {
        return true;
    }
    const size_t capacity = in->capacity * 2 + PIECE;
    unsigned char *bytes = realloc(in->bytes, capacity);
    if (bytes == NULL) {
        in->failed = APR_ENOMEM;
        return false;
    }
    in->bytes = bytes;
    in->capacity = capacity;
    return true;
}

void input_fill(input *in)
{
    if (in->ended || in->failed != APR_SUCCESS || !make_room(in)) {
        return;
    }
    apr_size_t size = in->capacity - in->used;
    const apr_status_t status = apr_file_read(in->file, in->bytes + in->used, &size);
    if (APR_STATUS_IS_EOF(status)) {
        in->ended = true;
    } else if (status != APR_SUCCESS) {
        in->failed = status;
    } else {
        in->used += size;
    }
}

static input_result give(input *in, cano_slice *item, size_t end, size_t next)
{
    *item = (cano_slice){ in->bytes + in->begin, end - in->begin };
    in->begin = in->searched = next;
    return INPUT_ITEM;
}

/* The last line may lack its end; a whole file is an item also when it is empty. */
static input_result take_last(input *in, cano_slice *item)
{
    if (in->used > in->begin || (in->whole && in->file != NULL)) {
        if (in->whole) { /* once */
            apr_file_close(in->file);
            in->file = NULL;
        }
        return give(in, item, in->used, in->used);
    }
    return INPUT_END;
}

input_result input_take(input *in, cano_slice *item)
{
    if (in->failed != APR_SUCCESS) {
        return INPUT_FAILED;
    }
    const size_t left = in->used - in->searched;
    const unsigned char *end = in->whole || left == 0 ? NULL : memchr(in->bytes + in->searched, in->separator, left);
    if (end != NULL && (size_t)(end - in->bytes) - in->begin <= in->most) {
        return give(in, item, (size_t)(end - in->bytes), (size_t)(end - in->bytes) + 1);
    }
    in->searched = in->used;
    if (end != NULL || in->used - in->begin > in->most) {
        return INPUT_TOO_LARGE;
    }
    return in->ended ? take_last(in, item) : INPUT_NOTHING;
}

input_result input_next(input *in, cano_slice *item)
{
    input_result result;
    while ((result = input_take(in, item)) == INPUT_NOTHING) {
        input_fill(in);
    }
    return result;
}
