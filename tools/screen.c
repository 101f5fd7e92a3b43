/* SPDX-License-Identifier: Apache-2.0 */
#include "screen.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERASE_REST "\033[K"
#define PIECE 65536

void screen_open(screen *s, apr_pool_t *pool)
{
    *s = (screen){ 0 };
    apr_thread_mutex_create(&s->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    apr_file_open_stdout(&s->files[0], pool);
    apr_file_open_stderr(&s->files[1], pool);
}

static void write_error(screen *s, const char *text)
{
    apr_file_write_full(s->files[1], text, strlen(text), NULL);
}

static void draw_bar(screen *s)
{
    char line[sizeof s->bar + 16];
    snprintf(line, sizeof line, "\r%s%s", s->bar, ERASE_REST);
    write_error(s, line);
}

static bool write_to(screen *s, int stream, const void *bytes, size_t size)
{
    if (s->bar[0] != '\0') {
        write_error(s, "\r" ERASE_REST);
    }
    const apr_status_t status = apr_file_write_full(s->files[stream - 1], bytes, size, NULL);
    if (s->bar[0] != '\0') {
        draw_bar(s);
    }
    if (status != APR_SUCCESS && stream == 1) {
        s->failed = status;
    }
    return status == APR_SUCCESS;
}

bool screen_write(screen *s, int stream, const void *bytes, size_t size)
{
    if (size == 0) {
        return true;
    }
    apr_thread_mutex_lock(s->mutex);
    const bool written = write_to(s, stream, bytes, size);
    apr_thread_mutex_unlock(s->mutex);
    return written;
}

static bool copy(screen *s, int stream, apr_file_t *file)
{
    char piece[PIECE];
    apr_off_t start = 0;
    apr_status_t status = apr_file_seek(file, APR_SET, &start);
    bool written = status == APR_SUCCESS;
    while (written) {
        apr_size_t size = sizeof piece;
        status = apr_file_read(file, piece, &size);
        if (status != APR_SUCCESS) {
            break;
        }
        written = write_to(s, stream, piece, size);
    }
    return written && APR_STATUS_IS_EOF(status);
}

bool screen_write_file(screen *s, int stream, apr_file_t *file)
{
    apr_thread_mutex_lock(s->mutex);
    const bool written = copy(s, stream, file);
    apr_file_trunc(file, 0);
    apr_thread_mutex_unlock(s->mutex);
    return written;
}

void screen_say(screen *s, const char *format, ...)
{
    char text[2048] = "cano work: ";
    const size_t front = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + front, sizeof text - front - 1, format, list);
    va_end(list);
    strcat(text, "\n");
    screen_write(s, 2, text, strlen(text));
}

void screen_draw_bar(screen *s, const char *line)
{
    apr_thread_mutex_lock(s->mutex);
    if (line != NULL) {
        apr_cpystrn(s->bar, line, sizeof s->bar);
        draw_bar(s);
    } else if (s->bar[0] != '\0') {
        s->bar[0] = '\0';
        write_error(s, "\r" ERASE_REST);
    }
    apr_thread_mutex_unlock(s->mutex);
}
