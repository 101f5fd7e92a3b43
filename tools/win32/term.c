/* SPDX-License-Identifier: Apache-2.0 */
#include "../term.h"

#include <fcntl.h>
#include <io.h>
#include <stdatomic.h>
#include <stdio.h>
#include <windows.h>

#ifndef ENABLE_VIRTUAL_TERMINAL_PROCESSING /* Windows 10 */
#define ENABLE_VIRTUAL_TERMINAL_PROCESSING 4
#endif

static _Atomic int interrupts;
static DWORD usual;
static bool is_raw;

static HANDLE stream_of(int stream)
{
    static const DWORD ids[] = { STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE };
    return GetStdHandle(ids[stream]);
}

void term_start(void)
{
    for (int stream = 0; stream <= 2; stream++) {
        DWORD mode;
        _setmode(stream, _O_BINARY);
        if (stream > 0 && GetConsoleMode(stream_of(stream), &mode)) {
            SetConsoleMode(stream_of(stream), mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
        }
    }
    SetConsoleOutputCP(CP_UTF8);
}

bool term_is_terminal(int stream)
{
    DWORD mode;
    return GetConsoleMode(stream_of(stream), &mode) != 0;
}

bool term_is_utf8(void)
{
    return GetConsoleOutputCP() == CP_UTF8;
}

void term_size(int *columns, int *rows)
{
    CONSOLE_SCREEN_BUFFER_INFO info;
    *columns = 80;
    *rows = 24;
    for (int stream = 1; stream <= 2; stream++) {
        if (GetConsoleScreenBufferInfo(stream_of(stream), &info)) {
            *columns = info.srWindow.Right - info.srWindow.Left + 1;
            *rows = info.srWindow.Bottom - info.srWindow.Top + 1;
            return;
        }
    }
}

bool term_raw(bool on)
{
    const HANDLE input = stream_of(0);
    if (!on) {
        if (is_raw) {
            SetConsoleMode(input, usual);
        }
        is_raw = false;
        return true;
    }
    is_raw = GetConsoleMode(input, &usual) && SetConsoleMode(input, usual & ~(DWORD)(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT));
    return is_raw;
}

static term_key meaning_of(const KEY_EVENT_RECORD *event)
{
    switch (event->wVirtualKeyCode) {
    case VK_UP:
    case 'K':
        return TERM_UP;
    case VK_DOWN:
    case 'J':
        return TERM_DOWN;
    case VK_LEFT:
        return TERM_LEFT;
    case VK_RIGHT:
        return TERM_RIGHT;
    case VK_PRIOR:
        return TERM_PAGE_UP;
    case VK_NEXT:
        return TERM_PAGE_DOWN;
    case VK_ESCAPE:
    case 'Q':
        return TERM_QUIT;
    case VK_RETURN:
        return TERM_ENTER;
    case VK_SHIFT:
    case VK_CONTROL:
    case VK_MENU:
        return TERM_NOTHING;
    default:
        return TERM_OTHER;
    }
}

/* The console also tells of the mouse, of its size, and of keys that are let go. */
term_key term_read_key(int milliseconds)
{
    const HANDLE input = stream_of(0);
    INPUT_RECORD record;
    DWORD count;
    if (!is_raw) {
        Sleep((DWORD)milliseconds);
        return TERM_NOTHING;
    }
    if (WaitForSingleObject(input, (DWORD)milliseconds) != WAIT_OBJECT_0 || !ReadConsoleInputW(input, &record, 1, &count)) {
        return TERM_NOTHING;
    }
    const bool pressed = record.EventType == KEY_EVENT && record.Event.KeyEvent.bKeyDown;
    return pressed ? meaning_of(&record.Event.KeyEvent) : TERM_NOTHING;
}

/* In a thread of the system's. A window that closes leaves a few seconds. */
static BOOL WINAPI on_interrupt(DWORD kind)
{
    (void)kind;
    atomic_fetch_add_explicit(&interrupts, 1, memory_order_relaxed);
    return TRUE;
}

void term_count_interrupts(void)
{
    SetConsoleCtrlHandler(on_interrupt, TRUE);
}

int term_interrupts(void)
{
    return atomic_load_explicit(&interrupts, memory_order_relaxed);
}
