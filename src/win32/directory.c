/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"
#include "latch.h"
#include "paths.h"

#include <aclapi.h>
#include <ntsecapi.h>
#include <sddl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTION_MOST 512 /* of a security descriptor in words */
#define VARIABLE_MOST (CANO_OS_PATH_MAX + 1)

/* ---- letters ---- */

wchar_t *cano_win32_wide_text(const char *text)
{
    const int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = length <= 0 ? NULL : calloc((size_t)length, sizeof *wide);
    if (wide != NULL) {
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, length);
    } else if (length > 0) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    }
    return wide;
}

static wchar_t *last_separator(wchar_t *path)
{
    wchar_t *found = NULL;
    for (wchar_t *letter = path; *letter != 0; letter++) {
        *letter = *letter == L'/' ? L'\\' : *letter;
        found = *letter == L'\\' ? letter : found;
    }
    return found;
}

/* The folder, absolute, in the form that is not looked into: \\?\C:\... or \\?\UNC\... 0, or an error number. */
static DWORD complete_folder(const wchar_t *folder, wchar_t wide[CANO_WIN32_PATH])
{
    static const wchar_t plain[] = L"\\\\?\\";
    static const wchar_t network[] = L"\\\\?\\UNC";
    wchar_t absolute[CANO_WIN32_PATH];
    const DWORD length = GetFullPathNameW(folder, CANO_WIN32_PATH, absolute, NULL);
    if (length == 0 || length + 16 > CANO_WIN32_PATH) {
        return length == 0 ? GetLastError() : ERROR_FILENAME_EXCED_RANGE;
    }
    const bool complete = wcsncmp(absolute, plain, 4) == 0 || wcsncmp(absolute, L"\\\\.\\", 4) == 0;
    const bool share = !complete && wcsncmp(absolute, L"\\\\", 2) == 0;
    wcscpy(wide, complete ? L"" : share ? network : plain);
    wcscat(wide, share ? absolute + 1 : absolute);
    return 0;
}

/* The last name is kept out of the system's reading. */
static DWORD complete(wchar_t *given, wchar_t wide[CANO_WIN32_PATH])
{
    wchar_t *separator = last_separator(given);
    if (separator == NULL || separator[1] == 0) {
        return complete_folder(given, wide);
    }
    wchar_t folder[CANO_WIN32_PATH] = { 0 };
    memcpy(folder, given, (size_t)(separator + 1 - given) * sizeof *folder); /* with the separator: C:\ is not C: */
    const DWORD error = complete_folder(folder, wide);
    if (error != 0) {
        return error;
    }
    const size_t front = wcslen(wide);
    const size_t back = wcslen(separator + 1);
    if (front + back + 2 > CANO_WIN32_PATH) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    const bool gap = wide[front - 1] != L'\\';
    wide[front] = L'\\';
    memcpy(wide + front + gap, separator + 1, (back + 1) * sizeof *wide);
    return 0;
}

cano_status cano_win32_widen(const char *path, wchar_t wide[CANO_WIN32_PATH])
{
    if (path[0] == 0 || strlen(path) >= CANO_OS_PATH_MAX) {
        return cano_win32_failed(ERROR_FILENAME_EXCED_RANGE);
    }
    wchar_t *text = cano_win32_wide_text(path);
    if (text == NULL) {
        return cano_win32_failed(GetLastError());
    }
    const DWORD error = complete(text, wide);
    free(text);
    return error == 0 ? CANO_OK : cano_win32_failed(error);
}

void cano_win32_letters(const char *text, wchar_t *wide, size_t capacity)
{
    size_t length = 0;
    for (; length + 1 < capacity && text[length] != 0; length++) {
        wide[length] = (wchar_t)text[length];
    }
    wide[length] = 0;
}

void cano_win32_beside(const wchar_t *path, const char *name, wchar_t side[CANO_WIN32_PATH])
{
    const wchar_t *separator = wcsrchr(path, L'\\');
    const size_t folder = separator == NULL ? 0 : (size_t)(separator + 1 - path);
    memcpy(side, path, folder * sizeof *side);
    cano_win32_letters(name, side + folder, CANO_WIN32_PATH - folder);
}

DWORD cano_win32_rename(HANDLE file, const wchar_t *path)
{
    const size_t bytes = wcslen(path) * sizeof *path;
    FILE_RENAME_INFO *order = calloc(1, sizeof *order + bytes);
    if (order == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    order->FileNameLength = (DWORD)bytes;
    memcpy(order->FileName, path, bytes);
    const BOOL done = SetFileInformationByHandle(file, FileRenameInfo, order, (DWORD)(sizeof *order + bytes));
    const DWORD error = done ? 0 : GetLastError();
    free(order);
    return error;
}

void cano_win32_random(char id[33])
{
    unsigned char random[16];
    RtlGenRandom(random, sizeof random); /* APR's way takes a hundred times as long: it opens a provider each time */
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    }
}

/* ---- users ---- */

/* What a token tells, with malloc; NULL with the error number set. */
static void *ask_token(HANDLE token, TOKEN_INFORMATION_CLASS what)
{
    DWORD size = 0;
    GetTokenInformation(token, what, NULL, 0, &size);
    void *answer = size == 0 ? NULL : malloc(size);
    if (answer != NULL && !GetTokenInformation(token, what, answer, size, &size)) {
        free(answer);
        return NULL;
    }
    return answer;
}

static TOKEN_USER *user_of(HANDLE process)
{
    HANDLE token;
    if (!OpenProcessToken(process, TOKEN_QUERY, &token)) {
        return NULL;
    }
    TOKEN_USER *user = ask_token(token, TokenUser);
    CloseHandle(token);
    return user;
}

static TOKEN_PRIMARY_GROUP *our_group(void)
{
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
        return NULL;
    }
    TOKEN_PRIMARY_GROUP *group = ask_token(token, TokenPrimaryGroup);
    CloseHandle(token);
    return group;
}

bool cano_win32_runs_as_us(HANDLE process)
{
    TOKEN_USER *theirs = user_of(process);
    TOKEN_USER *ours = user_of(GetCurrentProcess());
    const bool same = theirs != NULL && ours != NULL && EqualSid(theirs->User.Sid, ours->User.Sid);
    free(theirs);
    free(ours);
    return same;
}

/* What an elevated user makes belongs to the administrators. */
static bool is_our_administrators(PSID owner)
{
    BOOL member = FALSE;
    return IsWellKnownSid(owner, WinBuiltinAdministratorsSid) && CheckTokenMembership(NULL, owner, &member) && member;
}

bool cano_win32_is_ours(HANDLE file)
{
    PSID owner = NULL;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    if (GetSecurityInfo(file, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL, NULL, NULL, &descriptor) != 0) {
        return false;
    }
    TOKEN_USER *user = user_of(GetCurrentProcess());
    const bool ours = owner != NULL && user != NULL && (EqualSid(owner, user->User.Sid) || is_our_administrators(owner));
    free(user);
    LocalFree(descriptor);
    return ours;
}

/* ---- who may reach what ---- */

/* Everything to us, and to another one where more than we are meant; nothing by inheritance. 0, or an error number. */
static DWORD describe(uint32_t access, char text[DESCRIPTION_MOST])
{
    TOKEN_USER *user = user_of(GetCurrentProcess());
    TOKEN_PRIMARY_GROUP *group = our_group();
    char *ours = NULL;
    char *theirs = NULL;
    DWORD error = 0;
    if (user == NULL || group == NULL || !ConvertSidToStringSidA(user->User.Sid, &ours) ||
        !ConvertSidToStringSidA(group->PrimaryGroup, &theirs)) {
        error = GetLastError();
    } else if (access == CANO_WIN32_GROUP || access == CANO_WIN32_EVERYONE) {
        snprintf(text, DESCRIPTION_MOST, "D:P(A;;GA;;;%s)(A;;GA;;;%s)", ours, access == CANO_WIN32_GROUP ? theirs : "AU");
    } else {
        snprintf(text, DESCRIPTION_MOST, "D:P(A;%s;GA;;;%s)", access == CANO_WIN32_FOLDER ? "OICI" : "", ours);
    }
    LocalFree(ours);
    LocalFree(theirs);
    free(user);
    free(group);
    return error;
}

/* Under the latch; made once and kept. */
static DWORD make_security(uint32_t access, SECURITY_ATTRIBUTES *made)
{
    char text[DESCRIPTION_MOST];
    PSECURITY_DESCRIPTOR descriptor = NULL;
    const DWORD error = describe(access, text);
    if (error != 0) {
        return error;
    }
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorA(text, SDDL_REVISION_1, &descriptor, NULL)) {
        return GetLastError();
    }
    *made = (SECURITY_ATTRIBUTES){ .nLength = sizeof *made, .lpSecurityDescriptor = descriptor };
    return 0;
}

cano_status cano_win32_security(uint32_t access, SECURITY_ATTRIBUTES **security)
{
    static cano_latch latch;
    static SECURITY_ATTRIBUTES known[CANO_WIN32_FOLDER + 1];
    SECURITY_ATTRIBUTES *wanted = &known[access <= CANO_WIN32_FOLDER ? access : CANO_WIN32_USER];
    cano_latch_close(&latch);
    const DWORD error = wanted->nLength != 0 ? 0 : make_security(access, wanted);
    cano_latch_open(&latch);
    *security = wanted;
    return error == 0 ? CANO_OK : cano_win32_failed(error);
}

/* ---- the directory ---- */

/* A variable of the environment in UTF-8; 0: there is none. CANO_EINVAL: it does not fit. */
static size_t read_variable(const wchar_t *name, char value[VARIABLE_MOST])
{
    wchar_t wide[VARIABLE_MOST];
    const DWORD length = GetEnvironmentVariableW(name, wide, VARIABLE_MOST);
    if (length == 0 || length >= VARIABLE_MOST) {
        return length;
    }
    const int bytes = WideCharToMultiByte(CP_UTF8, 0, wide, -1, value, VARIABLE_MOST, NULL, NULL);
    return bytes > 0 ? (size_t)bytes - 1 : VARIABLE_MOST;
}

static cano_status check(const wchar_t *path, bool own)
{
    const HANDLE folder = CreateFileW(path, READ_CONTROL | FILE_READ_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                                      OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | (own ? FILE_FLAG_OPEN_REPARSE_POINT : 0), NULL);
    if (folder == INVALID_HANDLE_VALUE) {
        return cano_win32_failed(GetLastError());
    }
    BY_HANDLE_FILE_INFORMATION is = { 0 };
    GetFileInformationByHandle(folder, &is);
    const DWORD kind = is.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | (own ? FILE_ATTRIBUTE_REPARSE_POINT : 0));
    const bool good = kind == FILE_ATTRIBUTE_DIRECTORY && (!own || cano_win32_is_ours(folder));
    CloseHandle(folder);
    return good ? CANO_OK : cano_os_fail(ERROR_ACCESS_DENIED, CANO_EACCES);
}

static cano_status make_own(const wchar_t *path)
{
    SECURITY_ATTRIBUTES *security;
    const cano_status status = cano_win32_security(CANO_WIN32_FOLDER, &security);
    if (status != CANO_OK) {
        return status;
    }
    if (!CreateDirectoryW(path, security) && GetLastError() != ERROR_ALREADY_EXISTS) {
        return cano_win32_failed(GetLastError());
    }
    return check(path, true);
}

/* Checked once for each text: asking the system takes longer than most calls. */
static cano_status check_once(const char *path, bool own)
{
    static cano_latch latch;
    static char known[VARIABLE_MOST];
    cano_latch_close(&latch);
    const bool is_known = strcmp(known, path) == 0;
    cano_latch_open(&latch);
    wchar_t wide[CANO_WIN32_PATH];
    cano_status status = is_known ? CANO_OK : cano_win32_widen(path, wide);
    if (status == CANO_OK && !is_known) {
        status = own ? make_own(wide) : check(wide, false);
    }
    if (status == CANO_OK && !is_known) {
        cano_latch_close(&latch);
        strcpy(known, path);
        cano_latch_open(&latch);
    }
    return status;
}

cano_status cano_os_directory(char *path, size_t capacity)
{
    static const char ours[] = "\\cano";
    char found[VARIABLE_MOST + sizeof ours];
    size_t length = read_variable(L"CANO_DIR", found);
    const bool given = length > 0;
    if (!given) {
        length = read_variable(L"LOCALAPPDATA", found);
        if (length == 0) {
            return cano_win32_failed(ERROR_PATH_NOT_FOUND);
        }
    }
    if (length < CANO_OS_PATH_MAX && !given) {
        memcpy(found + length, ours, sizeof ours);
        length += sizeof ours - 1;
    }
    if (length >= capacity || length >= CANO_OS_PATH_MAX) {
        return cano_os_fail(ERROR_FILENAME_EXCED_RANGE, CANO_EINVAL);
    }
    const cano_status status = check_once(found, !given);
    if (status == CANO_OK) {
        memcpy(path, found, length + 1);
    }
    return status;
}
