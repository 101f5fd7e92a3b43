/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <cano/cano.h>
#include <stdlib.h>

#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

static const char *const texts[] = {
    [CANO_OK] = "success",
    [CANO_ETIMEOUT] = "the time limit passed",
    [CANO_ECLOSED] = "the conversation has ended",
    [CANO_ETOOBIG] = "the message does not fit",
    [CANO_EINVAL] = "an argument is no use",
    [CANO_ENOTSUP] = "not offered here",
    [CANO_ENOMEM] = "out of memory",
    [CANO_ENOSPC] = "no room left for shared memory",
    [CANO_EACCES] = "not permitted",
    [CANO_EEXIST] = "the name is taken",
    [CANO_ENOENT] = "nothing of that name",
    [CANO_ELIMIT] = "participants, leases or descriptors are used up",
    [CANO_EVERSION] = "made by an incompatible version",
    [CANO_ECORRUPT] = "the shared memory is damaged",
    [CANO_ENOTHELD] = "nothing is held that could be given back",
    [CANO_EUNKNOWN] = "it may or may not have happened",
    [CANO_ESYSTEM] = "a call of the operating system failed",
    [CANO_EKIND] = "a thing of another kind",
};

static _Thread_local int last_native;

const char *cano_strerror(cano_status status)
{
    const bool known = status >= 0 && (size_t)status < sizeof texts / sizeof texts[0];
    return known ? texts[status] : "no status of cano";
}

int cano_os_error(void)
{
    return last_native;
}

cano_status cano_os_fail(int native, cano_status status)
{
    last_native = native;
    return status;
}

void cano_free(void *memory)
{
    free(memory);
}

const char *cano_version(void)
{
    return VERSION_TEXT(CANO_VERSION_MAJOR, CANO_VERSION_MINOR, CANO_VERSION_PATCH);
}
