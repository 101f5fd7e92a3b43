/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the system, in its letters, and who may reach what has one.
 */
#ifndef CANO_WIN32_PATHS_H
#define CANO_WIN32_PATHS_H

#include "os.h"

#include <wchar.h>
#include <windows.h>

#define CANO_WIN32_PATH 1200 /* letters: of CANO_OS_PATH_MAX, made absolute, and some more */

/* UTF-8, '/' or '\' between the parts, to an absolute path that is taken as it is: no length too long, no last name with a
 * meaning of its own (NUL, a dot at the end). */
cano_status cano_win32_widen(const char *path, wchar_t wide[CANO_WIN32_PATH]);

/* The folder of a widened path with another name in it, of ASCII letters. */
void cano_win32_beside(const wchar_t *path, const char *name, wchar_t side[CANO_WIN32_PATH]);

/* A name of ASCII letters, cut to capacity. */
void cano_win32_letters(const char *text, wchar_t *wide, size_t capacity);

/* Text of any length, with malloc; NULL with the error number set. */
wchar_t *cano_win32_wide_text(const char *text);

/* Move an open file to another name; never onto another file. 0, or an error number. */
DWORD cano_win32_rename(HANDLE file, const wchar_t *path);

/* 128 random bits in hex. */
void cano_win32_random(char id[33]);

/* Who may reach a new thing: the access of cano_queue_options, or for a folder: we, and the same for what is made in it.
 * Whatever the user's default is stays out of it. */
enum { CANO_WIN32_USER, CANO_WIN32_GROUP, CANO_WIN32_EVERYONE, CANO_WIN32_FOLDER };
cano_status cano_win32_security(uint32_t access, SECURITY_ATTRIBUTES **security);

/* Does this file belong to our user? */
bool cano_win32_is_ours(HANDLE file);

/* Does this process run as our user? */
bool cano_win32_runs_as_us(HANDLE process);

#endif
