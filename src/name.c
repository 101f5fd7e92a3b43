/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <string.h>

/* Not isalnum: a name must mean the same file in every locale. */
static bool is_plain(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '.' || letter == '_' || letter == '-';
}

bool cano_name_is_plain(const char *name, size_t limit)
{
    if (name == NULL) {
        return false;
    }
    size_t length = 0;
    while (length <= limit && name[length] != '\0') {
        if (!is_plain(name[length])) {
            return false;
        }
        length++;
    }
    return length > 0 && length <= limit;
}

cano_status cano_name_path(const char *name, char path[CANO_OS_PATH_MAX])
{
    if (!cano_name_is_plain(name, CANO_NAME_MAX) || name[0] == '.') {
        return CANO_EINVAL;
    }
    char directory[CANO_OS_PATH_MAX];
    const cano_status status = cano_os_directory(directory, sizeof directory);
    if (status != CANO_OK) {
        return status;
    }
    const size_t front = strlen(directory);
    const size_t back = strlen(name);
    if (front + 1 + back >= CANO_OS_PATH_MAX) {
        return CANO_EINVAL;
    }
    memcpy(path, directory, front);
    path[front] = '/';
    memcpy(path + front + 1, name, back + 1);
    return CANO_OK;
}
