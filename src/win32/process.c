/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child is made without running, gets copies of exactly the named handles put into it, and only then runs. What inherits in
 * the sense of the system are its standard streams and the table that tells what it was given.
 *
 * The variable that leads to the table can outlive it: what the child starts by other means finds it too. So the table says
 * whose it is.
 */
#include "errors.h"
#include "holders.h"
#include "latch.h"
#include "objects.h"
#include "paths.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE "CANO_HANDS"
#define NAME_MOST 80
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-"
#define HANDS_MOST 4096
#define TABLE_MAGIC UINT64_C(0x31646e6148436e63)
#define COMMAND_MOST 32767  /* letters, as the system limits it */
#define STREAMS 3           /* standard ones */
#define ELEVATION_REQUIRED 740 /* not in every header */
#define KILLED 9            /* exit code of who is killed: the number of SIGKILL */

typedef struct table_entry {
    char name[NAME_MOST + 8]; /* ended by a zero */
    cano_win32_piece piece;
} table_entry;

typedef struct hand_table {
    uint64_t magic;
    uint64_t heir; /* see holders.h */
    uint64_t count;
    table_entry entries[];
} hand_table;

/* All that a start needs and that has to be let go of again. */
typedef struct launch {
    const cano_os_hand *hands;
    size_t count;
    wchar_t *program;
    wchar_t *command;
    wchar_t *environment;
    HANDLE section;    /* of the table; NULL: no hands */
    hand_table *table;
    HANDLE inherited[STREAMS + 1];
    DWORD inherited_count;
    STARTUPINFOEXW start;
    PROCESS_INFORMATION child;
} launch;

/* ---- hands ---- */

static bool is_name(const char *name)
{
    const size_t length = name == NULL ? 0 : strlen(name);
    return length > 0 && length <= NAME_MOST && strspn(name, NAME_LETTERS) == length;
}

static bool are_hands(const cano_os_hand *hands, size_t count)
{
    for (size_t i = 0; i < count && count <= HANDS_MOST; i++) {
        if (!is_name(hands[i].name)) {
            return false;
        }
    }
    return count <= HANDS_MOST;
}

static cano_status check_handles(const launch *self)
{
    for (size_t i = 0; i < self->count; i++) {
        DWORD flags;
        if (self->hands[i].handle == CANO_OS_NONE || !GetHandleInformation(cano_win32_handle(self->hands[i].handle), &flags)) {
            return cano_os_fail(ERROR_INVALID_HANDLE, CANO_EINVAL);
        }
    }
    return CANO_OK;
}

/* Inheritable, and named in the list of what is inherited. 0, or an error number. */
static DWORD make_table(launch *self)
{
    SECURITY_ATTRIBUTES passed = { .nLength = sizeof passed, .bInheritHandle = TRUE };
    const DWORD size = (DWORD)(sizeof *self->table + self->count * sizeof self->table->entries[0]);
    self->section = CreateFileMappingW(INVALID_HANDLE_VALUE, &passed, PAGE_READWRITE, 0, size, NULL);
    if (self->section == NULL) {
        return GetLastError();
    }
    self->table = MapViewOfFile(self->section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
    if (self->table == NULL) {
        return GetLastError();
    }
    self->inherited[self->inherited_count++] = self->section;
    return 0;
}

/* The child does not run yet: all, or it never will. */
static cano_status fill_table(launch *self)
{
    const cano_win32_party child = { self->child.hProcess, cano_win32_word_of(self->child.hProcess) };
    for (size_t i = 0; i < self->count; i++) {
        table_entry *entry = &self->table->entries[i];
        strcpy(entry->name, self->hands[i].name);
        const cano_status status = cano_win32_copy(self->hands[i].handle, child.process, &entry->piece);
        if (status != CANO_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < self->count; i++) {
        cano_win32_move(self->hands[i].handle, &child);
    }
    self->table->count = self->count;
    self->table->heir = child.word;
    self->table->magic = TABLE_MAGIC;
    return CANO_OK;
}

/* ---- the environment: ours, with another variable of that name, or none ---- */

static size_t length_of_block(const wchar_t *block)
{
    size_t length = 0;
    while (block[length] != 0) {
        length += wcslen(block + length) + 1;
    }
    return length;
}

static bool is_variable(const wchar_t *text)
{
    static const wchar_t variable[] = L"" VARIABLE "=";
    return wcsncmp(text, variable, sizeof variable / sizeof variable[0] - 1) == 0;
}

static size_t copy_block(wchar_t *to, const wchar_t *block)
{
    size_t length = 0;
    while (*block != 0) {
        const size_t size = wcslen(block) + 1;
        if (!is_variable(block)) {
            memcpy(to + length, block, size * sizeof *to);
            length += size;
        }
        block += size;
    }
    return length;
}

static DWORD compose_environment(launch *self)
{
    char text[sizeof VARIABLE + 24] = "";
    wchar_t *block = GetEnvironmentStringsW();
    if (block == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    if (self->section != NULL) {
        snprintf(text, sizeof text, VARIABLE "=%" PRIxPTR, (uintptr_t)self->section);
    }
    self->environment = calloc(length_of_block(block) + sizeof text + 2, sizeof *self->environment);
    if (self->environment != NULL) {
        cano_win32_letters(text, self->environment + copy_block(self->environment, block), sizeof text);
    }
    FreeEnvironmentStringsW(block);
    return self->environment == NULL ? ERROR_NOT_ENOUGH_MEMORY : 0;
}

/* ---- the program ---- */

static bool is_there(const wchar_t *path)
{
    return GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
}

static bool is_folder(const wchar_t *path)
{
    return is_there(path) && (GetFileAttributesW(path) & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* A path as it is, or with what programs are called by. 0, or an error number. */
static DWORD find_by_path(const wchar_t *given, wchar_t *found)
{
    const size_t length = wcslen(given);
    if (length + 8 > COMMAND_MOST) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    wcscpy(found, given);
    for (wchar_t *letter = found; *letter != 0; letter++) {
        *letter = *letter == L'/' ? L'\\' : *letter;
    }
    if (!is_there(found)) {
        wcscpy(found + length, L".exe");
    }
    return is_folder(found) ? ERROR_ACCESS_DENIED : is_there(found) ? 0 : ERROR_FILE_NOT_FOUND;
}

static DWORD find_in_variable(const wchar_t *name, wchar_t *found)
{
    wchar_t *path = calloc(COMMAND_MOST, sizeof *path);
    DWORD error = path == NULL ? ERROR_NOT_ENOUGH_MEMORY : 0;
    if (error == 0) {
        const DWORD length = GetEnvironmentVariableW(L"PATH", path, COMMAND_MOST);
        const DWORD got = length == 0 || length >= COMMAND_MOST ? 0 : SearchPathW(path, name, L".exe", COMMAND_MOST, found, NULL);
        error = got > 0 && got < COMMAND_MOST ? 0 : ERROR_FILE_NOT_FOUND;
    }
    free(path);
    return error;
}

static DWORD find_program(launch *self, const wchar_t *name)
{
    self->program = calloc(COMMAND_MOST, sizeof *self->program);
    if (self->program == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    if (name[0] == 0) {
        const DWORD length = GetModuleFileNameW(NULL, self->program, COMMAND_MOST);
        return length > 0 && length < COMMAND_MOST ? 0 : ERROR_FILENAME_EXCED_RANGE;
    }
    return wcspbrk(name, L"/\\:") != NULL ? find_by_path(name, self->program) : find_in_variable(name, self->program);
}

/* ---- the command line: one text, which the child's C library takes apart by rules of its own ---- */

typedef struct line {
    wchar_t *letters;
    size_t length; /* COMMAND_MOST: too long */
} line;

static void append(line *self, wchar_t letter, size_t times)
{
    for (size_t i = 0; i < times && self->length < COMMAND_MOST; i++) {
        self->letters[self->length++] = letter;
    }
}

/* Backslashes mean themselves, unless a quote follows: then two are one, and one more makes the quote a letter. */
static void append_quoted(line *self, const wchar_t *argument)
{
    size_t backslashes = 0;
    append(self, L'"', 1);
    for (; *argument != 0; argument++) {
        if (*argument == L'\\') {
            backslashes++;
            continue;
        }
        append(self, L'\\', *argument == L'"' ? 2 * backslashes + 1 : backslashes);
        append(self, *argument, 1);
        backslashes = 0;
    }
    append(self, L'\\', 2 * backslashes);
    append(self, L'"', 1);
}

static void append_argument(line *self, const wchar_t *argument)
{
    append(self, L' ', self->length > 0);
    if (argument[0] == 0 || wcspbrk(argument, L" \t\n\v\"") != NULL) {
        append_quoted(self, argument);
        return;
    }
    for (; *argument != 0; argument++) {
        append(self, *argument, 1);
    }
}

static DWORD append_all(line *command, launch *self, const char *const *argv)
{
    DWORD error = 0;
    for (size_t i = 0; argv[i] != NULL && error == 0; i++) {
        wchar_t *argument = cano_win32_wide_text(argv[i]);
        error = argument == NULL ? GetLastError() : i == 0 ? find_program(self, argument) : 0;
        if (error == 0) {
            append_argument(command, i == 0 && argument[0] == 0 ? self->program : argument);
        }
        free(argument);
    }
    return error != 0 ? error : command->length < COMMAND_MOST ? 0 : ERROR_FILENAME_EXCED_RANGE;
}

static DWORD compose_command(launch *self, const char *const *argv)
{
    self->command = calloc(COMMAND_MOST + 1, sizeof *self->command);
    line command = { .letters = self->command };
    return self->command == NULL ? ERROR_NOT_ENOUGH_MEMORY : append_all(&command, self, argv);
}

/* ---- standard streams ---- */

/* What an old console calls a handle is none, and goes to the child by itself. */
static bool is_of_console(HANDLE stream)
{
    return ((uintptr_t)stream & 3) == 3;
}

/* A copy that inherits; nothing where there is nothing. */
static HANDLE inherit(launch *self, DWORD which)
{
    const HANDLE stream = GetStdHandle(which);
    HANDLE copy = NULL;
    if (stream == NULL || stream == INVALID_HANDLE_VALUE || is_of_console(stream)) {
        return stream;
    }
    if (!DuplicateHandle(GetCurrentProcess(), stream, GetCurrentProcess(), &copy, 0, TRUE, DUPLICATE_SAME_ACCESS)) {
        return NULL;
    }
    self->inherited[self->inherited_count++] = copy;
    return copy;
}

static void inherit_streams(launch *self)
{
    STARTUPINFOW *start = &self->start.StartupInfo;
    start->cb = sizeof self->start;
    start->dwFlags = STARTF_USESTDHANDLES;
    start->hStdInput = inherit(self, STD_INPUT_HANDLE);
    start->hStdOutput = inherit(self, STD_OUTPUT_HANDLE);
    start->hStdError = inherit(self, STD_ERROR_HANDLE);
}

/* ---- start ---- */

static DWORD create(launch *self)
{
    const DWORD flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
    return CreateProcessW(self->program, self->command, NULL, NULL, self->inherited_count > 0, flags, self->environment, NULL,
                          &self->start.StartupInfo, &self->child)
               ? 0
               : GetLastError();
}

/* Exactly these inherit, whatever else is inheritable in this process. */
static DWORD create_with_list(launch *self)
{
    SIZE_T size = 0;
    if (self->inherited_count == 0) {
        return create(self);
    }
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    self->start.lpAttributeList = malloc(size);
    if (self->start.lpAttributeList == NULL || !InitializeProcThreadAttributeList(self->start.lpAttributeList, 1, 0, &size)) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    const BOOL listed = UpdateProcThreadAttribute(self->start.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, self->inherited,
                                                  self->inherited_count * sizeof self->inherited[0], NULL, NULL);
    const DWORD error = listed ? create(self) : GetLastError();
    DeleteProcThreadAttributeList(self->start.lpAttributeList);
    return error;
}

static cano_status fail_to_start(DWORD error)
{
    switch (error) {
    case ERROR_BAD_EXE_FORMAT:
    case ERROR_EXE_MACHINE_TYPE_MISMATCH:
    case ELEVATION_REQUIRED:
    case ERROR_FILE_INVALID:
        return cano_os_fail((int)error, CANO_EACCES);
    case ERROR_DIRECTORY:
        return cano_os_fail((int)error, CANO_ENOENT);
    default:
        return cano_win32_failed(error);
    }
}

/* A child without its hands must never run. */
static cano_status hand_over(launch *self)
{
    const cano_status status = self->table == NULL ? CANO_OK : fill_table(self);
    if (status != CANO_OK) {
        TerminateProcess(self->child.hProcess, KILLED);
        CloseHandle(self->child.hProcess);
    } else {
        ResumeThread(self->child.hThread);
    }
    CloseHandle(self->child.hThread);
    return status;
}

static DWORD prepare(launch *self, const char *const *argv)
{
    inherit_streams(self);
    DWORD error = self->count == 0 ? 0 : make_table(self);
    if (error == 0) {
        error = compose_environment(self);
    }
    return error == 0 ? compose_command(self, argv) : error;
}

static void let_go(launch *self)
{
    for (DWORD i = 0; i < self->inherited_count; i++) {
        CloseHandle(self->inherited[i]); /* the table's among them */
    }
    if (self->table != NULL) {
        UnmapViewOfFile(self->table);
    }
    free(self->start.lpAttributeList);
    free(self->environment);
    free(self->command);
    free(self->program);
    free(self);
}

cano_status cano_os_spawn(const char *const *argv, const cano_os_hand *hands, size_t count, int64_t *pid, cano_os_handle *ended)
{
    if (!are_hands(hands, count)) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    launch *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return cano_win32_failed(ERROR_NOT_ENOUGH_MEMORY);
    }
    self->hands = hands;
    self->count = count;
    cano_status status = check_handles(self);
    if (status == CANO_OK) {
        DWORD error = prepare(self, argv);
        error = error == 0 ? create_with_list(self) : error;
        status = error == 0 ? hand_over(self) : fail_to_start(error);
    }
    if (status == CANO_OK) {
        *pid = self->child.dwProcessId;
        *ended = (cano_os_handle)self->child.hProcess;
    }
    let_go(self);
    return status;
}

cano_status cano_os_reap(int64_t pid, cano_os_handle ended, int *code, int *signal)
{
    (void)pid;
    DWORD value;
    if (ended == CANO_OS_NONE) {
        return cano_win32_failed(ERROR_INVALID_HANDLE);
    }
    if (WaitForSingleObject(cano_win32_handle(ended), 0) == WAIT_TIMEOUT) {
        return cano_os_fail(WAIT_TIMEOUT, CANO_ETIMEOUT);
    }
    if (!GetExitCodeProcess(cano_win32_handle(ended), &value)) {
        return cano_win32_failed(GetLastError());
    }
    *code = (int)value;
    *signal = 0;
    return CANO_OK;
}

cano_status cano_os_kill(int64_t pid, cano_os_handle ended)
{
    (void)pid;
    const BOOL killed = TerminateProcess(cano_win32_handle(ended), KILLED);
    const DWORD error = killed ? 0 : GetLastError();
    return error == 0 ? CANO_OK : cano_win32_failed(error);
}

/* ---- in the child ---- */

static struct {
    cano_latch latch;
    bool looked;
    size_t count;
    table_entry *entries; /* name "": taken */
} heir;

static bool is_ours(const hand_table *table)
{
    MEMORY_BASIC_INFORMATION region = { 0 };
    return VirtualQuery(table, &region, sizeof region) != 0 && region.RegionSize >= sizeof *table && table->magic == TABLE_MAGIC &&
           table->heir == cano_win32_self() &&
           table->count <= (region.RegionSize - sizeof *table) / sizeof table->entries[0];
}

/* 0: there is none. */
static uintptr_t read_number(void)
{
    wchar_t text[32];
    const DWORD length = GetEnvironmentVariableW(L"" VARIABLE, text, 32);
    return length == 0 || length >= 32 ? 0 : (uintptr_t)_wcstoui64(text, NULL, 16);
}

/* Under the latch. The variable stays: to change the environment is not safe beside other threads. */
static void look(void)
{
    const HANDLE section = (HANDLE)read_number();
    hand_table *table = section == NULL ? NULL : MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
    heir.looked = true;
    if (table == NULL) {
        return;
    }
    if (is_ours(table)) {
        heir.entries = calloc((size_t)table->count, sizeof *heir.entries);
        heir.count = heir.entries == NULL ? 0 : (size_t)table->count;
        memcpy(heir.entries, table->entries, heir.count * sizeof *heir.entries);
        table->heir = 0; /* once */
        CloseHandle(section);
    }
    UnmapViewOfFile(table);
}

static cano_status take(const char *name, cano_os_handle *handle)
{
    if (!heir.looked) {
        look();
    }
    for (size_t i = 0; i < heir.count; i++) {
        table_entry *entry = &heir.entries[i];
        if (strncmp(entry->name, name, sizeof entry->name) == 0 && name[0] != 0) {
            entry->name[0] = 0;
            return cano_win32_receive(&entry->piece, handle);
        }
    }
    return cano_os_fail(ERROR_FILE_NOT_FOUND, CANO_ENOENT);
}

cano_status cano_os_inherited(const char *name, cano_os_handle *handle)
{
    cano_latch_close(&heir.latch);
    const cano_status status = take(name, handle);
    cano_latch_open(&heir.latch);
    return status;
}
