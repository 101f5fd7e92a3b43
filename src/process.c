/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include "bundle.h"
#include "deadline.h"
#include "latch.h"
#include "name.h"
#include "options.h"
#include "queue.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

#define STATUS_PAUSE INT64_C(1000) /* microseconds between two questions for a status that is late */

struct cano_process {
    cano_os_handle ended;
    int64_t pid;      /* is its own until it has been reaped, and may be anybody's after that */
    uint32_t parent;  /* cano_os_self() of the process whose child it is */
    cano_latch latch; /* guards what follows, and that no signal goes out after the reaping */
    bool reaped;
    int lost; /* 0, or why nobody can say how it ended: somebody else took the status */
    cano_exit exit;
    cano_process *next; /* among the abandoned */
};

/* Everything a spawn puts together for its child. */
typedef struct spawn_parcel {
    cano_os_segment segment;
    cano_bundle *bundle; /* in the segment */
    size_t hands_count;
    size_t leases_count;
    size_t pipes_count;
    cano_os_hand hands[1 + CANO_BUNDLE_THINGS * CANO_PIPE_HANDLES];
    char parts[CANO_BUNDLE_THINGS * CANO_PIPE_HANDLES][CANO_BUNDLE_PART];
    cano_os_handle leases[CANO_BUNDLE_THINGS]; /* ours until the child has its copies */
    cano_pipe *pipes[CANO_BUNDLE_THINGS];      /* taken apart */
} spawn_parcel;

/* Closed before they ended: a stack that anybody may push to, and that a reaper takes as a whole. */
static _Atomic(cano_process *) abandoned;

/* ---- the end of a process ---- */

/* CANO_ETIMEOUT: it has not ended. Under the latch, or by the only one who knows the process. */
static cano_status reap(cano_process *process)
{
    if (!process->reaped) {
        int code = 0;
        int signal = 0;
        const cano_status status = cano_os_reap(process->pid, process->ended, &code, &signal);
        if (status == CANO_ETIMEOUT) {
            return CANO_ETIMEOUT;
        }
        process->lost = status == CANO_OK ? 0 : cano_os_error();
        process->reaped = true;
        process->exit = (cano_exit){ code, signal };
    }
    return process->lost == 0 ? CANO_OK : cano_os_fail(process->lost, CANO_ESYSTEM);
}

static void abandon(cano_process *process)
{
    cano_process *top = atomic_load_explicit(&abandoned, memory_order_relaxed);
    do {
        process->next = top;
        /* release: pairs with the acquire in reap_abandoned */
    } while (!atomic_compare_exchange_weak_explicit(&abandoned, &top, process, memory_order_release, memory_order_relaxed));
}

/* Leave no zombies of processes whose handles were closed. Those of a parent that forked us are not ours to wait for. */
static void reap_abandoned(void)
{
    /* acquire: pairs with the release in abandon */
    cano_process *process = atomic_exchange_explicit(&abandoned, NULL, memory_order_acquire);
    while (process != NULL) {
        cano_process *next = process->next;
        if (process->parent == cano_os_self() && reap(process) == CANO_ETIMEOUT) {
            abandon(process);
        } else {
            free(process);
        }
        process = next;
    }
}

/* ---- what a child is given ---- */

static bool is_given_before(const cano_process_options *options, size_t index)
{
    const cano_hand *hand = &options->hands[index];
    for (size_t i = 0; i < index; i++) {
        const cano_hand *other = &options->hands[i];
        if (strcmp(hand->name, other->name) == 0 || (hand->pipe != NULL && hand->pipe == other->pipe)) {
            return true;
        }
    }
    return false;
}

static bool is_hand(const cano_hand *hand)
{
    const uint32_t roles = hand->queue != NULL ? CANO_PUTTER | CANO_GETTER : 0;
    return cano_name_is_plain(hand->name, CANO_BUNDLE_NAME) && (hand->queue == NULL) != (hand->pipe == NULL) &&
           (hand->role & ~roles) == 0 && hand->reserved == 0;
}

static cano_status check_options(const cano_process_options *options)
{
    const cano_status status = cano_options_check(options, sizeof *options);
    if (status != CANO_OK) {
        return status;
    }
    if (options->hands_count > CANO_BUNDLE_THINGS || (options->hands == NULL && options->hands_count > 0)) {
        return CANO_EINVAL;
    }
    for (size_t i = 0; i < options->hands_count; i++) {
        if (!is_hand(&options->hands[i]) || is_given_before(options, i)) {
            return CANO_EINVAL;
        }
    }
    return CANO_OK;
}

static void add_handle(spawn_parcel *parcel, cano_bundle_thing *thing, cano_os_handle handle)
{
    cano_os_hand *hand = &parcel->hands[parcel->hands_count];
    char *part = parcel->parts[parcel->hands_count - 1]; /* the bundle itself came first */
    cano_bundle_part(part, thing->name, thing->handle_count);
    hand->name = part;
    hand->handle = handle;
    thing->handle_count++;
    parcel->hands_count++;
}

static cano_status pack_queue(spawn_parcel *parcel, cano_bundle_thing *thing, const cano_hand *hand)
{
    cano_os_handle segment;
    cano_status status = cano_queue_segment_handle(hand->queue, &segment);
    if (status != CANO_OK) {
        return status;
    }
    cano_queue_place place;
    status = cano_queue_place_take(hand->queue, hand->role, &place);
    if (status != CANO_OK) {
        return status;
    }
    parcel->leases[parcel->leases_count++] = place.lease;
    thing->kind = CANO_BUNDLE_QUEUE;
    thing->slot = place.slot;
    thing->generation = place.generation;
    add_handle(parcel, thing, segment);
    add_handle(parcel, thing, place.lease);
    return CANO_OK;
}

static cano_status pack_pipe(spawn_parcel *parcel, cano_bundle_thing *thing, const cano_hand *hand)
{
    cano_pipe_parts parts;
    const cano_status status = cano_pipe_take_apart(hand->pipe, &parts);
    if (status != CANO_OK) {
        return status;
    }
    parcel->pipes[parcel->pipes_count++] = hand->pipe;
    thing->kind = CANO_BUNDLE_PIPE;
    thing->size = parts.size;
    memcpy(thing->bytes, parts.bytes, parts.size);
    for (uint32_t i = 0; i < parts.handle_count; i++) {
        add_handle(parcel, thing, parts.handles[i]);
    }
    return CANO_OK;
}

/* Also what was packed before a failure is in the parcel: unpack it. */
static cano_status pack(spawn_parcel *parcel, const cano_process_options *options)
{
    for (size_t i = 0; i < options->hands_count; i++) {
        const cano_hand *hand = &options->hands[i];
        cano_bundle_thing *thing = &parcel->bundle->things[i];
        memcpy(thing->name, hand->name, strlen(hand->name) + 1);
        const cano_status status = hand->queue != NULL ? pack_queue(parcel, thing, hand) : pack_pipe(parcel, thing, hand);
        if (status != CANO_OK) {
            return status;
        }
        parcel->bundle->count++;
    }
    return CANO_OK;
}

static cano_status open_parcel(spawn_parcel *parcel)
{
    const cano_status status = cano_os_segment_create(&parcel->segment, sizeof(cano_bundle), true, CANO_ACCESS_USER);
    if (status != CANO_OK) {
        return status;
    }
    parcel->bundle = (cano_bundle *)(void *)parcel->segment.base;
    parcel->bundle->magic = CANO_BUNDLE_MAGIC;
    parcel->bundle->version = CANO_BUNDLE_VERSION;
    memcpy(parcel->bundle->id, parcel->segment.id, sizeof parcel->segment.id);
    parcel->hands[0] = (cano_os_hand){ CANO_BUNDLE_HAND, parcel->segment.handle };
    parcel->hands_count = 1;
    return CANO_OK;
}

/* Keep no copies: a place must die with the child, or at once when there is none. */
static void close_parcel(spawn_parcel *parcel, bool arrived)
{
    for (size_t i = 0; i < parcel->leases_count; i++) {
        cano_os_lease_drop(parcel->leases[i]);
    }
    for (size_t i = 0; i < parcel->pipes_count; i++) {
        (arrived ? cano_pipe_moved : cano_pipe_stays)(parcel->pipes[i]);
    }
    cano_os_segment_close(&parcel->segment);
}

/* Only a child that was born is a putter that has existed. */
static void count_putters(const cano_process_options *options)
{
    for (size_t i = 0; i < options->hands_count; i++) {
        if (options->hands[i].queue != NULL) {
            cano_queue_place_count(options->hands[i].queue, options->hands[i].role);
        }
    }
}

static cano_status spawn_with_hands(cano_process *process, const char *const *argv, const cano_process_options *options)
{
    spawn_parcel *parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL) {
        return CANO_ENOMEM;
    }
    cano_status status = open_parcel(parcel);
    if (status == CANO_OK) {
        status = pack(parcel, options);
        if (status == CANO_OK) {
            status = cano_os_spawn(argv, parcel->hands, parcel->hands_count, &process->pid, &process->ended);
        }
        if (status == CANO_OK) {
            count_putters(options);
        }
        close_parcel(parcel, status == CANO_OK);
    }
    free(parcel);
    return status;
}

/* ---- public ---- */

cano_status cano_process_spawn(cano_process **process, const char *const *argv, const cano_process_options *options)
{
    if (process == NULL || argv == NULL || argv[0] == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = options == NULL ? CANO_OK : check_options(options);
    if (status != CANO_OK) {
        return status;
    }
    reap_abandoned();
    cano_process *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return CANO_ENOMEM;
    }
    made->parent = cano_os_self();
    if (options == NULL || options->hands_count == 0) {
        status = cano_os_spawn(argv, NULL, 0, &made->pid, &made->ended);
    } else {
        status = spawn_with_hands(made, argv, options);
    }
    if (status != CANO_OK) {
        free(made);
        return status;
    }
    *process = made;
    return CANO_OK;
}

static bool is_ours(const cano_process *process)
{
    return process != NULL && process->parent == cano_os_self();
}

/* One question, with the latch held as short as that. */
static cano_status ask(cano_process *process, cano_exit *ended)
{
    cano_latch_close(&process->latch);
    const cano_status status = reap(process);
    const cano_exit exit = process->exit;
    cano_latch_open(&process->latch);
    if (status == CANO_OK && ended != NULL) {
        *ended = exit;
    }
    return status;
}

static cano_status sleep_until_ended(const cano_process *process, int64_t deadline)
{
    cano_os_pollable watched = { process->ended, false, false };
    return cano_os_poll(&watched, 1, deadline);
}

static bool has_ended(const cano_process *process)
{
    return sleep_until_ended(process, 0) == CANO_OK;
}

/* Where a debugger has the status first, the end is seen before the status can be had. */
static cano_status pause_for_status(int64_t deadline)
{
    cano_os_poll(NULL, 0, cano_deadline_slice(deadline, STATUS_PAUSE));
    return cano_os_now() < deadline ? CANO_OK : CANO_ETIMEOUT;
}

cano_status cano_process_wait(cano_process *process, cano_exit *ended, cano_timeout timeout)
{
    int64_t deadline;
    if (!is_ours(process) || cano_deadline(timeout, &deadline) != CANO_OK) {
        return CANO_EINVAL;
    }
    reap_abandoned();
    cano_status status;
    do {
        status = ask(process, ended);
        if (status != CANO_ETIMEOUT) {
            return status;
        }
        status = has_ended(process) ? pause_for_status(deadline) : sleep_until_ended(process, deadline);
    } while (status == CANO_OK);
    return status;
}

cano_status cano_process_pid(cano_process *process, int64_t *pid)
{
    if (!is_ours(process) || pid == NULL) {
        return CANO_EINVAL;
    }
    *pid = process->pid;
    return CANO_OK;
}

/* Under the latch: the number is the child's as long as nobody has reaped it. */
static cano_status kill_unreaped(const cano_process *process)
{
    if (process->reaped || has_ended(process)) {
        return CANO_OK;
    }
    const cano_status killed = cano_os_kill(process->pid, process->ended);
    return killed == CANO_OK || has_ended(process) ? CANO_OK : cano_os_fail(cano_os_error(), CANO_ESYSTEM);
}

cano_status cano_process_kill(cano_process *process)
{
    if (!is_ours(process)) {
        return CANO_EINVAL;
    }
    cano_latch_close(&process->latch);
    const cano_status status = kill_unreaped(process);
    cano_latch_open(&process->latch);
    return status;
}

void cano_process_close(cano_process *process)
{
    if (process == NULL) {
        return;
    }
    reap_abandoned();
    const bool goes_on = is_ours(process) && reap(process) == CANO_ETIMEOUT;
    cano_os_close(process->ended);
    process->ended = CANO_OS_NONE;
    if (goes_on) {
        abandon(process);
    } else {
        free(process);
    }
}

cano_status cano_process_ended(cano_process *process, cano_os_handle *ended)
{
    if (!is_ours(process)) {
        return CANO_EINVAL;
    }
    *ended = process->ended;
    return CANO_OK;
}
