/* SPDX-License-Identifier: Apache-2.0 */
#include "../term.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SEQUENCE_PAUSE 50 /* milliseconds between the bytes of one key, over a slow line */

static _Atomic int interrupts;
static struct termios usual;
static bool is_raw;

void term_start(void)
{
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
}

bool term_is_terminal(int stream)
{
    return isatty(stream) != 0;
}

bool term_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void term_size(int *columns, int *rows)
{
    struct winsize size;
    *columns = 80;
    *rows = 24;
    for (int stream = 1; stream <= 2; stream++) {
        if (ioctl(stream, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
            *columns = size.ws_col;
            *rows = size.ws_row;
            return;
        }
    }
}

bool term_raw(bool on)
{
    if (!on) {
        if (is_raw) {
            tcsetattr(STDIN_FILENO, TCSADRAIN, &usual);
        }
        is_raw = false;
        return true;
    }
    if (tcgetattr(STDIN_FILENO, &usual) != 0) {
        return false;
    }
    struct termios raw = usual;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    return is_raw;
}

/* A byte, or -1: none in time, or none ever. */
static int read_byte(int milliseconds)
{
    struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
    unsigned char byte;
    if (!is_raw) {
        poll(NULL, 0, milliseconds);
        return -1;
    }
    return poll(&in, 1, milliseconds) == 1 && read(STDIN_FILENO, &byte, 1) == 1 ? byte : -1;
}

/* After ESC: "[A" or "OA" and so on, "[5~" and "[6~" for the pages. */
static term_key read_sequence(void)
{
    const int first = read_byte(SEQUENCE_PAUSE);
    if (first == -1) {
        return TERM_QUIT; /* the key ESC itself */
    }
    const int second = read_byte(SEQUENCE_PAUSE);
    static const struct {
        char letter;
        term_key key;
    } keys[] = { { 'A', TERM_UP },   { 'B', TERM_DOWN },    { 'C', TERM_RIGHT },
                 { 'D', TERM_LEFT }, { '5', TERM_PAGE_UP }, { '6', TERM_PAGE_DOWN } };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if ((first == '[' || first == 'O') && second == keys[i].letter) {
            if (second == '5' || second == '6') {
                read_byte(SEQUENCE_PAUSE);
            }
            return keys[i].key;
        }
    }
    return TERM_OTHER;
}

term_key term_read_key(int milliseconds)
{
    const int byte = read_byte(milliseconds);
    switch (byte) {
    case -1:
        return TERM_NOTHING;
    case 27:
        return read_sequence();
    case 'q':
    case 'Q':
    case 4: /* Ctrl-D */
        return TERM_QUIT;
    case '\r':
    case '\n':
        return TERM_ENTER;
    case 'k':
        return TERM_UP;
    case 'j':
        return TERM_DOWN;
    default:
        return TERM_OTHER;
    }
}

static void on_interrupt(int number)
{
    (void)number;
    atomic_fetch_add_explicit(&interrupts, 1, memory_order_relaxed);
}

void term_count_interrupts(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) { /* nohup */
        sigaction(SIGHUP, &action, NULL);
    }
}

int term_interrupts(void)
{
    return atomic_load_explicit(&interrupts, memory_order_relaxed);
}
