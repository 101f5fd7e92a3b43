/* SPDX-License-Identifier: Apache-2.0 */
#include "../job.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

#define LOOK 500   /* milliseconds of silence before asking whether it has ended although its output has not */
#define PIECE 4096 /* bytes read at one time */

/* One of its streams: read in the background, one piece ahead. */
typedef struct stream {
    HANDLE pipe; /* NULL: ended */
    OVERLAPPED work;
    bool reading;
    char piece[PIECE];
} stream;

struct job {
    HANDLE process;
    HANDLE group; /* a job object: ends with all that is in it */
    stream streams[2];
    bool quiet; /* it had ended at the last look, and nothing came since */
};

/* ---- text: the system's is UTF-16 ---- */

typedef struct text {
    wchar_t *letters;
    size_t used;
    size_t capacity;
    bool failed;
} text;

static void add(text *t, const wchar_t *letters, size_t count)
{
    if (t->used + count > t->capacity) {
        const size_t capacity = (t->used + count) * 2;
        wchar_t *grown = realloc(t->letters, capacity * sizeof *grown);
        if (grown == NULL) {
            t->failed = true;
            return;
        }
        t->letters = grown;
        t->capacity = capacity;
    }
    memcpy(t->letters + t->used, letters, count * sizeof *letters);
    t->used += count;
}

static wchar_t *widen(const char *utf8)
{
    const int count = MultiByteToWideChar(CP_UTF8, 0, utf8, -1, NULL, 0);
    wchar_t *wide = calloc((size_t)count + 1, sizeof *wide);
    if (wide != NULL) {
        MultiByteToWideChar(CP_UTF8, 0, utf8, -1, wide, count);
    }
    return wide;
}

/* As the C library of the child takes a command line apart: backslashes count only before a quote. */
static void add_quoted(text *line, const wchar_t *argument)
{
    size_t backslashes = 0;
    add(line, L"\"", 1);
    for (; *argument != 0; argument++) {
        for (; *argument == L'\"' && backslashes > 0; backslashes--) {
            add(line, L"\\", 1);
        }
        if (*argument == L'\"') {
            add(line, L"\\", 1);
        }
        backslashes = *argument == L'\\' ? backslashes + 1 : 0;
        add(line, argument, 1);
    }
    for (; backslashes > 0; backslashes--) {
        add(line, L"\\", 1);
    }
    add(line, L"\"", 1);
}

static wchar_t *command_line(const char *const *argv)
{
    text line = { 0 };
    for (const char *const *argument = argv; *argument != NULL; argument++) {
        wchar_t *wide = widen(*argument);
        if (wide == NULL) {
            line.failed = true;
            break;
        }
        add(&line, L" ", argument == argv ? 0 : 1);
        add_quoted(&line, wide);
        free(wide);
    }
    add(&line, L"", 1);
    if (line.failed) {
        free(line.letters);
        return NULL;
    }
    return line.letters;
}

/* Ours with the additions, which replace variables of the same name. */
static wchar_t *environment_with(const char *const *additions)
{
    for (; *additions != NULL; additions++) {
        wchar_t *wide = widen(*additions);
        wchar_t *value = wide != NULL ? wcschr(wide, L'=') : NULL;
        if (value != NULL) {
            *value = 0;
            SetEnvironmentVariableW(wide, value + 1);
        }
        free(wide);
    }
    text all = { 0 };
    wchar_t *ours = GetEnvironmentStringsW();
    for (const wchar_t *variable = ours; variable != NULL && *variable != 0; variable += wcslen(variable) + 1) {
        add(&all, variable, wcslen(variable) + 1);
    }
    add(&all, L"", 1);
    FreeEnvironmentStringsW(ours);
    if (all.failed) {
        free(all.letters);
        return NULL;
    }
    return all.letters;
}

/* ---- start ---- */

/* A pipe that can be read without waiting: anonymous ones cannot. */
static DWORD open_pipe(stream *s, HANDLE *child)
{
    static volatile LONG number;
    wchar_t name[64];
    SECURITY_ATTRIBUTES inherited = { sizeof inherited, NULL, TRUE };
    swprintf(name, 64, L"\\\\.\\pipe\\cano-job-%lu-%ld", GetCurrentProcessId(), InterlockedIncrement(&number));
    s->pipe = CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                               PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, 65536, 65536, 0, NULL);
    if (s->pipe == INVALID_HANDLE_VALUE) {
        s->pipe = NULL;
        return GetLastError();
    }
    *child = CreateFileW(name, GENERIC_WRITE, 0, &inherited, OPEN_EXISTING, 0, NULL);
    s->work.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    return *child == INVALID_HANDLE_VALUE || s->work.hEvent == NULL ? GetLastError() : 0;
}

static void close_handle(HANDLE *handle)
{
    if (*handle != NULL && *handle != INVALID_HANDLE_VALUE) {
        CloseHandle(*handle);
    }
    *handle = NULL;
}

static void end_stream(stream *s)
{
    DWORD size;
    if (s->reading) {
        CancelIo(s->pipe);
        GetOverlappedResult(s->pipe, &s->work, &size, TRUE);
        s->reading = false;
    }
    close_handle(&s->pipe);
}

/* Exactly these three handles are inherited, whatever other threads do meanwhile. */
static DWORD spawn(job *j, const char *const *argv, wchar_t *environment, HANDLE handles[3])
{
    STARTUPINFOEXW startup = { .StartupInfo = { .cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES } };
    PROCESS_INFORMATION process;
    SIZE_T size = 0;
    startup.StartupInfo.hStdInput = handles[0];
    startup.StartupInfo.hStdOutput = handles[1];
    startup.StartupInfo.hStdError = handles[2];
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    startup.lpAttributeList = malloc(size);
    wchar_t *line = command_line(argv);
    DWORD error = ERROR_NOT_ENOUGH_MEMORY;
    if (startup.lpAttributeList != NULL && line != NULL &&
        InitializeProcThreadAttributeList(startup.lpAttributeList, 1, 0, &size)) {
        UpdateProcThreadAttribute(startup.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles, 3 * sizeof handles[0],
                                  NULL, NULL);
        const DWORD flags =
            CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
        error = CreateProcessW(NULL, line, NULL, NULL, TRUE, flags, environment, NULL, &startup.StartupInfo, &process)
                    ? 0
                    : GetLastError();
        DeleteProcThreadAttributeList(startup.lpAttributeList);
    }
    free(startup.lpAttributeList);
    free(line);
    if (error == 0) {
        j->process = process.hProcess;
        AssignProcessToJobObject(j->group, process.hProcess); /* before it can start anything */
        ResumeThread(process.hThread);
        CloseHandle(process.hThread);
    }
    return error;
}

static DWORD start(job *j, const char *const *argv, wchar_t *environment)
{
    SECURITY_ATTRIBUTES inherited = { sizeof inherited, NULL, TRUE };
    HANDLE handles[3] = { CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_EXISTING, 0,
                                      NULL) };
    DWORD error = handles[0] == INVALID_HANDLE_VALUE ? GetLastError() : 0;
    for (int i = 0; i < 2 && error == 0; i++) {
        error = open_pipe(&j->streams[i], &handles[i + 1]);
    }
    j->group = CreateJobObjectW(NULL, NULL);
    if (error == 0) {
        error = j->group == NULL ? GetLastError() : spawn(j, argv, environment, handles);
    }
    for (int i = 0; i < 3; i++) {
        close_handle(&handles[i]);
    }
    return error;
}

static void let_go(job *j)
{
    for (int i = 0; i < 2; i++) {
        end_stream(&j->streams[i]);
        close_handle(&j->streams[i].work.hEvent);
    }
    close_handle(&j->process);
    close_handle(&j->group);
    free(j);
}

apr_status_t job_start(job **started, const char *const *argv, const char *const *additions)
{
    static SRWLOCK one_at_a_time = SRWLOCK_INIT; /* our environment is changed for it */
    job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        return APR_ENOMEM;
    }
    AcquireSRWLockExclusive(&one_at_a_time);
    wchar_t *environment = environment_with(additions);
    ReleaseSRWLockExclusive(&one_at_a_time);
    const DWORD error = environment != NULL ? start(j, argv, environment) : ERROR_NOT_ENOUGH_MEMORY;
    free(environment);
    if (error != 0) {
        let_go(j);
        return APR_FROM_OS_ERROR(error);
    }
    *started = j;
    return APR_SUCCESS;
}

/* ---- read ---- */

/* Begin to read; what fails has ended. */
static void read_ahead(stream *s)
{
    if (s->pipe == NULL || s->reading) {
        return;
    }
    s->reading = ReadFile(s->pipe, s->piece, PIECE, NULL, &s->work) || GetLastError() == ERROR_IO_PENDING;
    if (!s->reading) {
        close_handle(&s->pipe);
    }
}

/* What has come of it. False: nothing, or the end. */
static bool take(stream *s, void *buffer, size_t capacity, size_t *got)
{
    DWORD size = 0;
    if (!s->reading || WaitForSingleObject(s->work.hEvent, 0) != WAIT_OBJECT_0) {
        return false;
    }
    s->reading = false;
    if (!GetOverlappedResult(s->pipe, &s->work, &size, FALSE) || size > capacity) {
        close_handle(&s->pipe);
        return false;
    }
    memcpy(buffer, s->piece, size);
    *got = size;
    return size > 0;
}

static bool has_ended(const job *j, DWORD milliseconds)
{
    return WaitForSingleObject(j->process, milliseconds) == WAIT_OBJECT_0;
}

/* Nothing for a while: others that it left behind may hold its output open for ever. */
static void wait_for_output(job *j)
{
    HANDLE events[2];
    DWORD count = 0;
    for (int i = 0; i < 2; i++) {
        if (j->streams[i].reading) {
            events[count++] = j->streams[i].work.hEvent;
        }
    }
    if (count == 0 || WaitForMultipleObjects(count, events, FALSE, LOOK) != WAIT_TIMEOUT) {
        return;
    }
    if (j->quiet) {
        end_stream(&j->streams[0]);
        end_stream(&j->streams[1]);
    }
    j->quiet = has_ended(j, 0);
}

bool job_read(job *j, int *which, void *buffer, size_t capacity, size_t *got)
{
    while (j->streams[0].pipe != NULL || j->streams[1].pipe != NULL) {
        for (int i = 0; i < 2; i++) {
            read_ahead(&j->streams[i]);
        }
        wait_for_output(j);
        for (int i = 0; i < 2; i++) {
            if (take(&j->streams[i], buffer, capacity, got)) {
                j->quiet = false;
                *which = i + 1;
                return true;
            }
        }
    }
    has_ended(j, INFINITE);
    return false;
}

/* ---- end ---- */

job_end job_finish(job *j)
{
    DWORD code = 0;
    has_ended(j, INFINITE);
    GetExitCodeProcess(j->process, &code);
    let_go(j);
    return (job_end){ (int)code, 0 };
}

void job_kill(job *j)
{
    TerminateJobObject(j->group, 1);
}
