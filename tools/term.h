/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal: what it is, how large, single keys, Ctrl-C. One file per system.
 */
#ifndef CANO_TOOL_TERM_H
#define CANO_TOOL_TERM_H

#include <stdbool.h>

typedef enum term_key {
    TERM_NOTHING,
    TERM_UP,
    TERM_DOWN,
    TERM_LEFT,
    TERM_RIGHT,
    TERM_PAGE_UP,
    TERM_PAGE_DOWN,
    TERM_QUIT,
    TERM_ENTER,
    TERM_OTHER
} term_key;

/* Once, at the start: streams carry bytes as they are, a terminal understands escape sequences, and a reader who leaves is a
 * failed write and not a death. */
void term_start(void);

/* Is it a terminal? 0 standard input, 1 output, 2 error. */
bool term_is_terminal(int stream);

/* Can what is printed be UTF-8? */
bool term_is_utf8(void);

/* Columns and rows of the terminal behind standard output, or else error; 80 and 24 if they cannot be told. */
void term_size(int *columns, int *rows);

/* Keys one by one, without echo, from standard input; false: it is no terminal. Ctrl-C still interrupts. Undone by false. */
bool term_raw(bool on);

/* A key, or TERM_NOTHING after that many milliseconds or an interrupt. Also where standard input is no terminal. */
term_key term_read_key(int milliseconds);

/* From now on Ctrl-C, a request to terminate and the end of the terminal only count. */
void term_count_interrupts(void);
int term_interrupts(void);

#endif
