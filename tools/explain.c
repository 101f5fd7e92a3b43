/* SPDX-License-Identifier: Apache-2.0 */
#include "explain.h"

#include "host.h"
#include "units.h"

#include <apr_strings.h>
#include <cano/inspect.h>
#include <inttypes.h>
#include <string.h>

#define PATH_MOST 512

static const char *directory_or(tool *t, const char *otherwise)
{
    char path[PATH_MOST];
    return cano_inspect_directory(path, sizeof path) == CANO_OK ? apr_pstrdup(t->pool, path) : otherwise;
}

static bool is_name(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t length = strlen(name);
    return length >= 1 && length <= 100 && strspn(name, plain) == length && name[0] != '.';
}

static const char *os_error(tool *t)
{
    char text[120];
    return apr_pstrdup(t->pool, apr_strerror(APR_FROM_OS_ERROR(cano_os_error()), text, sizeof text));
}

/* ---- one kind of failure each ---- */

static const char *no_space(tool *t)
{
    const char *directory = directory_or(t, "the directory of names");
    uint64_t left = 0;
    uint64_t all = 0;
    if (!host_space(directory, &left, &all)) {
        return apr_psprintf(t->pool, "%s is full; ask for less (--items, --bytes) or use --dir", directory);
    }
    char left_text[UNITS_TEXT];
    char all_text[UNITS_TEXT];
    const bool shm = strncmp(directory, "/dev/shm", 8) == 0;
    return apr_psprintf(t->pool,
                        "%s is full: %s left of %s; ask for less (--items, --bytes), remove what is not needed "
                        "('cano ls', 'cano rm'), use --dir%s",
                        directory, units_size(left, left_text), units_size(all, all_text),
                        shm ? ", or make it larger (docker run --shm-size=1g; mount -o remount,size=1g /dev/shm)" : "");
}

static const char *no_access(tool *t, const char *name)
{
    char path[PATH_MOST];
    if (cano_inspect_directory(path, sizeof path) == CANO_EACCES) {
        return apr_psprintf(t->pool,
                            "the directory of names%s%s is not safe: it must belong to you, and nobody else may write to "
                            "it (chmod 700), or name another one with --dir",
                            cano_os_error() != 0 ? ": " : "", cano_os_error() != 0 ? os_error(t) : "");
    }
    return apr_psprintf(t->pool,
                        "%s/%s belongs to another user, or you may not read and write it; whoever makes a queue for "
                        "others names a common directory and gives them access",
                        path, name);
}

static const char *nothing_there(tool *t, const char *name)
{
    char path[PATH_MOST];
    const cano_status status = cano_inspect_directory(path, sizeof path);
    if (status != CANO_OK) {
        return "the directory of names is not there; make it, or name another one with --dir";
    }
    return apr_psprintf(
        t->pool, "there is nothing of that name in %s; 'cano ls' lists what there is, 'cano put %s' makes a queue", path, name);
}

static const char *other_kind(tool *t, const char *name)
{
    cano_inspector *inspector;
    if (cano_inspector_open(&inspector, name) == CANO_OK) {
        cano_inspector_close(inspector);
        return "it is a plain queue, which knows nothing of tasks that are done; this needs a joinable one, as 'cano put' "
               "makes";
    }
    const bool listener = cano_inspect_check(name) == CANO_OK;
    return apr_psprintf(t->pool,
                        listener ? "a listener has that name, which goes when its process ends; choose another one"
                                 : "what has that name in %s was not made by cano; choose another one, or remove it",
                        directory_or(t, "the directory of names"));
}

static const char *used_up(tool *t, const char *name)
{
    cano_inspector *inspector;
    cano_inspector_state state = { .size = sizeof state };
    if (cano_inspector_open(&inspector, name) != CANO_OK) {
        return "no descriptor is left; ulimit -n tells how many there may be";
    }
    cano_inspector_look(inspector, &state);
    cano_inspector_close(inspector);
    const uint32_t places = state.limits.max_participants;
    const uint64_t taken_out = state.info.leased + state.info.delayed + state.info.dead;
    if (state.limits.max_leases != 0 && taken_out >= state.limits.max_leases) {
        return apr_psprintf(t->pool,
                            "all its %" PRIu32 " leases are out: %" PRIu64 " tasks in hand ('cano who %s'), %" PRIu64
                            " dead letters ('cano dead %s' takes them away)",
                            state.limits.max_leases, state.info.leased, name, state.info.dead, name);
    }
    if (state.info.participants < places) {
        return "it allows one putter or one getter, which is there; or no descriptor is left (ulimit -n)";
    }
    return apr_psprintf(t->pool,
                        "all its %" PRIu32 " places are taken, 'cano who %s' tells by whom; a queue with more is made "
                        "with --participants",
                        places, name);
}

static const char *taken(tool *t, const char *name)
{
    cano_inspector *inspector;
    cano_inspector_state state = { .size = sizeof state };
    if (cano_inspector_open(&inspector, name) != CANO_OK) {
        return "the name is taken; 'cano ls' tells by what";
    }
    cano_inspector_look(inspector, &state);
    cano_inspector_close(inspector);
    const cano_queue_options *l = &state.limits;
    return apr_psprintf(t->pool,
                        "it was made with other limits: --items %" PRIu64 " --bytes %" PRIu64 " --participants %" PRIu32
                        " --leases %" PRIu32 ", max_deliveries %" PRIu32 "; leave them out, or choose another name",
                        l->max_items, l->max_bytes, l->max_participants, l->max_leases, l->max_deliveries);
}

/* ---- all of them ---- */

const char *explain(tool *t, const char *name, cano_status status)
{
    switch (status) {
    case CANO_ETIMEOUT:
        return apr_psprintf(t->pool, "somebody who is stopped holds it up; 'cano doctor %s' tells who", name);
    case CANO_ECLOSED:
        return apr_psprintf(t->pool, "it was shut down; 'cano rm %s' frees the name for a new one", name);
    case CANO_EINVAL:
        return is_name(name) ? "these limits cannot be: 'cano put --help' tells the ranges"
                             : "a name is 1 to 100 letters, digits, '.', '_' and '-', and does not begin with a dot";
    case CANO_ENOSPC:
        return no_space(t);
    case CANO_EACCES:
        return no_access(t, name);
    case CANO_EEXIST:
        return taken(t, name);
    case CANO_ENOENT:
        return nothing_there(t, name);
    case CANO_ELIMIT:
        return used_up(t, name);
    case CANO_EVERSION:
        return apr_psprintf(t->pool, "it was made by another version of cano than this one (%s); use that one, or 'cano rm %s'",
                            cano_version(), name);
    case CANO_ECORRUPT:
        return apr_psprintf(t->pool, "its shared memory is damaged; 'cano rm %s' frees the name, those attached find out",
                            name);
    case CANO_EKIND:
        return other_kind(t, name);
    case CANO_ESYSTEM:
        return os_error(t);
    default:
        return cano_strerror(status);
    }
}

noreturn void explain_and_fail(tool *t, const char *doing, const char *name, cano_status status)
{
    tool_fail(t, "cannot %s '%s': %s", doing, name, explain(t, name, status));
}

const char *explain_directory(tool *t)
{
    char path[PATH_MOST];
    const cano_status status = cano_inspect_directory(path, sizeof path);
    if (status != CANO_OK) {
        tool_fail(t, "cannot look at the names: %s", explain(t, "-", status));
    }
    return apr_pstrdup(t->pool, path);
}
