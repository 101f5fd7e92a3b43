/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What many threads print, in whole lines, around a last line on a terminal that is drawn again and again.
 */
#ifndef CANO_TOOL_SCREEN_H
#define CANO_TOOL_SCREEN_H

#include <apr_file_io.h>
#include <apr_thread_mutex.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct screen {
    apr_thread_mutex_t *mutex;
    apr_file_t *files[2]; /* standard output, error */
    char bar[400];        /* the last line; empty: there is none */
    apr_status_t failed;  /* standard output could not be written */
} screen;

void screen_open(screen *s, apr_pool_t *pool);

/* Write to standard output (1) or error (2), in one piece; false: it could not be. */
bool screen_write(screen *s, int stream, const void *bytes, size_t size);

/* A file from its beginning; then it is empty. */
bool screen_write_file(screen *s, int stream, apr_file_t *file);

/* "cano work: ..." on standard error. */
void screen_say(screen *s, const char *format, ...);

/* Draw the last line, which stays under what is printed; NULL takes it away. */
void screen_draw_bar(screen *s, const char *line);

#endif
