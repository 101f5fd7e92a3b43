/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view of a queue's segment without a place in it: everything here reads, without locks, and checks what it read by reading
 * again. Repair is done under the guard, in the guard's name, which needs no place either.
 */
#include <cano/inspect.h>

#include "deadline.h"
#include "latch.h"
#include "name.h"
#include "options.h"
#include "repair.h"
#include "segment.h"
#include "status.h"

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <cano/listener.h>
#include <stdlib.h>
#include <string.h>

#define UNCHANGED_TRIES 8
#define LEFT_BEHIND APR_TIME_C(60000000) /* a side file that is needed for milliseconds, and is a minute old */
#define ID_LENGTH 32
#define SIDE_NAME_MAX 250

/* ---- APR, for directories ---- */

/* A pool of its own allocator: the global ones are locked by whichever thread is in them at a fork. */
static cano_status open_pool(apr_pool_t **pool)
{
    static cano_latch latch;
    static bool ready;
    cano_latch_close(&latch);
    ready = ready || apr_initialize() == APR_SUCCESS;
    const bool made = ready && apr_pool_create_unmanaged_ex(pool, NULL, NULL) == APR_SUCCESS;
    cano_latch_open(&latch);
    return made ? CANO_OK : CANO_ENOMEM;
}

static cano_status failed(apr_status_t status)
{
    const cano_status as = APR_STATUS_IS_ENOENT(status)   ? CANO_ENOENT
                           : APR_STATUS_IS_EACCES(status) ? CANO_EACCES
                           : APR_STATUS_IS_ENOMEM(status) ? CANO_ENOMEM
                                                          : CANO_ESYSTEM;
    return cano_os_fail((int)APR_TO_OS_ERROR(status), as);
}

/* ---- side files ---- */

typedef enum side { SIDE_NONE, SIDE_BELL, SIDE_PATH_LOCK, SIDE_UNFINISHED, SIDE_LEASES } side;

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_lease_file(const char *name)
{
    return name[0] == '.' && strspn(name + 1, "0123456789abcdef") == ID_LENGTH && strcmp(name + 1 + ID_LENGTH, ".lock") == 0;
}

/* What the backends keep beside the names. */
static side side_of(const char *name)
{
    if (begins_with(name, ".bell.")) {
        return SIDE_BELL;
    }
    if (begins_with(name, ".lock.")) {
        return SIDE_PATH_LOCK;
    }
    if (begins_with(name, ".new.") || begins_with(name, ".bind.")) {
        return SIDE_UNFINISHED;
    }
    return is_lease_file(name) ? SIDE_LEASES : SIDE_NONE;
}

/* ---- names ---- */

cano_status cano_inspect_directory(char *path, size_t capacity)
{
    return path != NULL ? cano_os_directory(path, capacity) : CANO_EINVAL;
}

/* Where there are no sockets among the files, a listener has a file smaller than any queue's. */
static uint32_t kind_of(const char *directory, const apr_finfo_t *file)
{
    if (side_of(file->name) != SIDE_NONE) {
        return CANO_INSPECT_SIDE;
    }
    if (!cano_name_is_plain(file->name, CANO_NAME_MAX) || file->name[0] == '.') {
        return CANO_INSPECT_OTHER;
    }
    if (file->filetype == APR_REG && file->size < (apr_off_t)sizeof(cano_segment_header)) {
        char path[CANO_OS_PATH_MAX + SIDE_NAME_MAX];
        apr_snprintf(path, sizeof path, "%s/%s", directory, file->name);
        return cano_os_stream_probe(path) == CANO_EKIND ? CANO_INSPECT_OTHER : CANO_INSPECT_LISTENER;
    }
    return file->filetype == APR_REG    ? CANO_INSPECT_QUEUE
           : file->filetype == APR_SOCK ? CANO_INSPECT_LISTENER
                                        : CANO_INSPECT_OTHER;
}

typedef struct listing {
    cano_inspect_name *names;
    size_t count;
    size_t capacity;
} listing;

static cano_status add(listing *list, const char *directory, const apr_finfo_t *file)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity * 2 + 16;
        cano_inspect_name *names = realloc(list->names, capacity * sizeof *names);
        if (names == NULL) {
            return CANO_ENOMEM;
        }
        list->names = names;
        list->capacity = capacity;
    }
    cano_inspect_name *name = &list->names[list->count++];
    *name = (cano_inspect_name){ .kind = kind_of(directory, file) };
    apr_cpystrn(name->name, file->name, sizeof name->name);
    name->bytes = file->filetype == APR_REG ? (uint64_t)file->size : 0;
    const int64_t age = apr_time_now() - file->ctime; /* written to since, but never changed as a file */
    name->age = age > 0 ? age : 0;
    return CANO_OK;
}

static cano_status read_directory(listing *list, const char *path, apr_pool_t *pool)
{
    apr_dir_t *directory;
    apr_status_t status = apr_dir_open(&directory, path, pool);
    if (status != APR_SUCCESS) {
        return failed(status);
    }
    cano_status added = list->capacity > 0 ? CANO_OK : CANO_ENOMEM;
    apr_finfo_t file;
    const apr_int32_t wanted = APR_FINFO_NAME | APR_FINFO_TYPE | APR_FINFO_SIZE | APR_FINFO_CTIME;
    while (added == CANO_OK) {
        status = apr_dir_read(&file, wanted, directory);
        if (status != APR_SUCCESS && status != APR_INCOMPLETE) {
            break;
        }
        const bool gone = (file.valid & APR_FINFO_CTIME) == 0; /* between reading the directory and looking at it */
        if (!gone && strcmp(file.name, ".") != 0 && strcmp(file.name, "..") != 0) {
            added = add(list, path, &file);
        }
    }
    apr_dir_close(directory);
    return added;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const cano_inspect_name *)a)->name, ((const cano_inspect_name *)b)->name);
}

cano_status cano_inspect_names(cano_inspect_name **names, size_t *count)
{
    char path[CANO_OS_PATH_MAX];
    apr_pool_t *pool;
    if (names == NULL || count == NULL) {
        return CANO_EINVAL;
    }
    cano_status status = cano_os_directory(path, sizeof path);
    if (status == CANO_OK) {
        status = open_pool(&pool);
    }
    if (status != CANO_OK) {
        return status;
    }
    listing list = { malloc(16 * sizeof *list.names), 0, 0 };
    list.capacity = list.names != NULL ? 16 : 0;
    status = read_directory(&list, path, pool);
    apr_pool_destroy(pool);
    if (status != CANO_OK) {
        free(list.names);
        return status;
    }
    qsort(list.names, list.count, sizeof *list.names, compare);
    *names = list.names;
    *count = list.count;
    return CANO_OK;
}

/* ---- in use, or left behind ---- */

typedef struct place {
    const char *name;
    char path[CANO_OS_PATH_MAX + SIDE_NAME_MAX];
    apr_filetype_e type; /* APR_NOFILE: there is none */
    apr_time_t changed;
} place;

static cano_status look_at(place *where, apr_pool_t *pool)
{
    apr_finfo_t file;
    const apr_status_t status = apr_stat(&file, where->path, APR_FINFO_TYPE | APR_FINFO_MTIME | APR_FINFO_LINK, pool);
    if (status != APR_SUCCESS && status != APR_INCOMPLETE) {
        return APR_STATUS_IS_ENOENT(status) ? CANO_OK : failed(status);
    }
    where->type = file.filetype;
    where->changed = file.mtime;
    return CANO_OK;
}

static cano_status find(place *where, const char *name)
{
    apr_pool_t *pool;
    char directory[CANO_OS_PATH_MAX];
    *where = (place){ .name = name, .type = APR_NOFILE };
    if (!cano_name_is_plain(name, SIDE_NAME_MAX)) {
        return CANO_EINVAL;
    }
    cano_status status = cano_os_directory(directory, sizeof directory);
    if (status == CANO_OK) {
        status = open_pool(&pool);
    }
    if (status == CANO_OK) {
        apr_snprintf(where->path, sizeof where->path, "%s/%s", directory, name);
        status = look_at(where, pool);
        apr_pool_destroy(pool);
    }
    return status;
}

static cano_status check_queue(const char *name)
{
    cano_inspector *inspector;
    const cano_status status = cano_inspector_open(&inspector, name);
    if (status == CANO_OK) {
        cano_inspector_close(inspector);
    }
    return status;
}

static cano_status check_bell(const char *name)
{
    cano_os_handle ringer;
    const cano_status status = cano_os_bell_open(name, false, &ringer);
    if (status == CANO_OK) {
        cano_os_bell_close(ringer, NULL);
    }
    return status == CANO_ENOENT ? CANO_ENOENT : CANO_OK;
}

static cano_status check_side(const place *where, side kind)
{
    if (kind == SIDE_BELL) {
        return check_bell(strchr(where->name + 1, '.') + 1);
    }
    const bool old = where->type == APR_NOFILE || apr_time_now() - where->changed > LEFT_BEHIND;
    return old && kind != SIDE_LEASES ? CANO_ENOENT : CANO_OK; /* the leases of a queue stay as long as it does */
}

/* CANO_ENOENT: not in use, or gone. */
static cano_status check(const place *where)
{
    const side kind = side_of(where->name);
    if (kind != SIDE_NONE) {
        return check_side(where, kind);
    }
    if (where->name[0] == '.') {
        return CANO_EKIND;
    }
    const cano_status status = where->type == APR_REG ? check_queue(where->name) : CANO_EKIND;
    return status == CANO_EKIND ? cano_os_stream_probe(where->path) : status; /* which may be a file, too */
}

cano_status cano_inspect_check(const char *name)
{
    place where;
    cano_status status = find(&where, name);
    if (status == CANO_OK) {
        status = check(&where);
    }
    if (status != CANO_ENOENT) {
        return status;
    }
    status = find(&where, name);
    return status != CANO_OK ? status : where.type == APR_NOFILE ? CANO_ENOENT : CANO_ECLOSED;
}

static cano_status remove_file(const char *path)
{
    apr_pool_t *pool;
    const cano_status status = open_pool(&pool);
    if (status != CANO_OK) {
        return status;
    }
    const apr_status_t removed = apr_file_remove(path, pool);
    apr_pool_destroy(pool);
    return removed == APR_SUCCESS ? CANO_OK : failed(removed);
}

/* A listener that comes and goes takes the dead one's name, and its lock, along. */
static cano_status listen_shortly(const char *name)
{
    cano_listener *listener;
    const cano_status status = cano_listener_create(&listener, name, NULL);
    if (status == CANO_OK) {
        cano_listener_close(listener);
    }
    return status;
}

static cano_status remove_path_lock(const char *name)
{
    place where;
    const cano_status listened = listen_shortly(strchr(name + 1, '.') + 1);
    const cano_status found = find(&where, name);
    if (found != CANO_OK || where.type == APR_NOFILE) {
        return found;
    }
    /* as old as before: not a lock of this system's listeners */
    return listened == CANO_OK && check_side(&where, SIDE_PATH_LOCK) == CANO_ENOENT ? remove_file(where.path) : listened;
}

cano_status cano_inspect_remove(const char *name)
{
    place where;
    cano_status status = find(&where, name);
    if (status != CANO_OK) {
        return status;
    }
    status = check(&where);
    if (status == CANO_OK || status == CANO_EKIND) {
        return CANO_EEXIST;
    }
    if (status != CANO_ENOENT || where.type == APR_NOFILE) {
        return status;
    }
    const side kind = side_of(name);
    if (kind == SIDE_NONE) {
        const bool listener = where.type != APR_REG || cano_os_stream_probe(where.path) != CANO_EKIND;
        return listener ? listen_shortly(name) : cano_segment_clear(name, CANO_KIND_QUEUE, CANO_ACCESS_EVERYONE);
    }
    return kind == SIDE_PATH_LOCK ? remove_path_lock(name) : remove_file(where.path); /* nobody makes these names anew */
}

/* ---- a queue ---- */

struct cano_inspector {
    cano_queue_memory memory;
};

cano_status cano_inspector_open(cano_inspector **inspector, const char *name)
{
    if (inspector == NULL || name == NULL) {
        return CANO_EINVAL;
    }
    cano_inspector *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return CANO_ENOMEM;
    }
    cano_queue_memory *m = &made->memory;
    cano_status status =
        cano_segment_open(&m->segment, name, CANO_KIND_QUEUE, sizeof(cano_queue_shared), CANO_ACCESS_EVERYONE);
    if (status == CANO_OK) {
        status = cano_queue_memory_map(m, NULL);
        if (status != CANO_OK) {
            cano_os_segment_close(&m->segment);
        }
    }
    if (status != CANO_OK) {
        free(made);
        return status;
    }
    m->put_lock.repair = cano_repair_put_side;
    m->get_lock.repair = cano_repair_get_side;
    *inspector = made;
    return CANO_OK;
}

void cano_inspector_close(cano_inspector *inspector)
{
    if (inspector != NULL) {
        cano_os_segment_close(&inspector->memory.segment);
        free(inspector);
    }
}

/* ---- counting ---- */

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire); /* pairs with the release of who moves head and tail */
}

static uint64_t not_negative(int64_t count)
{
    return count > 0 ? (uint64_t)count : 0;
}

/* Messages in the ring: exact if it stood still for a moment, else by the two words. */
static uint64_t count_queued(const cano_queue_memory *m)
{
    const cano_queue_shared *s = m->shared;
    uint64_t head = load(&s->head);
    uint64_t tail = load(&s->tail);
    for (int i = 0; i < UNCHANGED_TRIES; i++) {
        uint64_t end;
        const bool walked = cano_repair_walk(m, tail, &end) == CANO_OK;
        const uint64_t head_again = load(&s->head);
        const uint64_t tail_again = load(&s->tail);
        if (walked && head_again == head && tail_again == tail) {
            return not_negative(cano_commit_items(head, end));
        }
        head = head_again;
        tail = tail_again;
    }
    return not_negative(cano_commit_items(head, tail));
}

static uint64_t count_bytes(const cano_queue_memory *m)
{
    const int64_t units = cano_commit_units(load(&m->shared->head), load(&m->shared->tail));
    return not_negative(units) * CANO_RING_UNIT + cano_arena_used_about(&m->arena);
}

static void look_at_tasks(const cano_queue_memory *m, bool discarded, cano_queue_info *info)
{
    const cano_ledger_counts counts = cano_ledger_count(&m->ledger, cano_os_now());
    const uint64_t out = counts.held + counts.returned + counts.delayed;
    info->items += discarded ? 0 : counts.returned;
    info->leased = counts.held;
    info->delayed = counts.delayed;
    info->dead = counts.dead;
    info->unfinished = discarded ? counts.held : info->items + counts.delayed + counts.held;
    info->done = not_negative((int64_t)(info->got - out));
}

static cano_queue_info look_at_info(const cano_queue_memory *m)
{
    const cano_queue_shared *s = m->shared;
    cano_queue_info info = { .size = sizeof info, .flags = m->limits.flags };
    const bool discarded = (atomic_load_explicit(&s->shutdown, memory_order_acquire) & CANO_SHUT_IMMEDIATE) != 0;
    info.put = cano_commit_total(atomic_load_explicit(&s->put_total, memory_order_relaxed), load(&s->tail));
    info.got = cano_commit_total(atomic_load_explicit(&s->got_total, memory_order_relaxed), load(&s->head));
    info.items = discarded ? 0 : count_queued(m);
    if (m->ledger.count != 0) {
        look_at_tasks(m, discarded, &info);
    }
    info.bytes = count_bytes(m);
    info.participants = cano_roster_count(&m->roster, 0);
    return info;
}

/* ---- state ---- */

static cano_queue_options limits_of(const cano_queue_limits *limits)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.flags = limits->flags;
    options.access = limits->access;
    options.max_items = limits->max_items;
    options.max_bytes = limits->max_bytes;
    options.max_participants = limits->max_participants;
    options.max_leases = limits->max_leases;
    options.max_deliveries = limits->max_deliveries;
    return options;
}

static bool is_asleep(const cano_event *event)
{
    return (atomic_load_explicit(event, memory_order_relaxed) & 1) != 0;
}

static uint32_t waits_of(const cano_queue_shared *s)
{
    const bool for_room = is_asleep(&s->room_event) || is_asleep(&s->page_event);
    return (is_asleep(&s->items_event) ? CANO_WAITS_ITEM : 0u) | (for_room ? CANO_WAITS_ROOM : 0u) |
           (is_asleep(&s->done_event) ? CANO_WAITS_DONE : 0u);
}

static uint32_t holder_of(const cano_lock *lock)
{
    return cano_word_slot(atomic_load_explicit(lock->word, memory_order_relaxed));
}

static bool is_held_by_dead(const cano_queue_memory *m, const cano_lock *lock)
{
    const uint32_t word = atomic_load_explicit(lock->word, memory_order_relaxed);
    return word != 0 && cano_roster_is_dead(&m->roster, word);
}

static bool is_dead(const cano_queue_memory *m, uint32_t slot, cano_roster_state state)
{
    return state.status == CANO_SLOT_DYING || !cano_roster_slot_lives(&m->roster, slot);
}

static bool needs_repair(const cano_queue_memory *m)
{
    for (uint32_t slot = 1; slot <= m->roster.count; slot++) {
        const cano_roster_state state = cano_roster_read(&m->roster, slot);
        if (state.status != CANO_SLOT_FREE && is_dead(m, slot, state)) {
            return true;
        }
    }
    return atomic_load_explicit(&m->shared->need_sweep, memory_order_relaxed) != 0 || is_held_by_dead(m, &m->put_lock) ||
           is_held_by_dead(m, &m->get_lock) || is_held_by_dead(m, &m->arena.lock);
}

cano_status cano_inspector_look(cano_inspector *inspector, cano_inspector_state *state)
{
    if (inspector == NULL || state == NULL || state->size < sizeof *state || state->size > CANO_OPTIONS_MAX) {
        return CANO_EINVAL;
    }
    const cano_queue_memory *m = &inspector->memory;
    const uint32_t shutdown = atomic_load_explicit(&m->shared->shutdown, memory_order_acquire);
    cano_inspector_state seen = { .size = state->size };
    seen.info = look_at_info(m);
    seen.limits = limits_of(&m->limits);
    seen.memory = m->segment.size;
    seen.shutdown = (shutdown & CANO_SHUT_IMMEDIATE) != 0 ? 2 : shutdown != 0 ? 1 : 0;
    seen.waits = waits_of(m->shared);
    seen.putting = holder_of(&m->put_lock);
    seen.getting = holder_of(&m->get_lock);
    seen.needs_repair = needs_repair(m);
    *state = seen;
    return CANO_OK;
}

/* ---- participants ---- */

static bool is_held(cano_task_word t)
{
    return t.state == CANO_TASK_HELD || t.state == CANO_TASK_PREPARED || t.state == CANO_TASK_DEAD_HELD;
}

static uint64_t count_leases(const cano_ledger *ledger, uint32_t slot)
{
    uint64_t count = 0;
    for (uint32_t entry = 0; entry < ledger->count; entry++) {
        const cano_task_word t = cano_task_unpack(cano_ledger_load(ledger, entry));
        count += t.slot == slot && is_held(t);
    }
    return count;
}

static cano_inspector_participant describe(const cano_queue_memory *m, uint32_t slot, cano_roster_state state)
{
    return (cano_inspector_participant){ .slot = slot,
                                         .generation = state.generation,
                                         .role = state.role,
                                         .dead = is_dead(m, slot, state),
                                         .pid = (int64_t)atomic_load_explicit(&m->roster.slots[slot].identity_a, memory_order_relaxed),
                                         .leases = count_leases(&m->ledger, slot) };
}

cano_status cano_inspector_participants(cano_inspector *inspector, cano_inspector_participant *list, size_t capacity,
                                        size_t *count)
{
    if (inspector == NULL || count == NULL || (list == NULL && capacity != 0)) {
        return CANO_EINVAL;
    }
    const cano_queue_memory *m = &inspector->memory;
    size_t found = 0;
    for (uint32_t slot = 1; slot <= m->roster.count; slot++) {
        const cano_roster_state state = cano_roster_read(&m->roster, slot);
        if (state.status == CANO_SLOT_FREE) {
            continue;
        }
        if (found < capacity) {
            list[found] = describe(m, slot, state);
        }
        found++;
    }
    *count = found;
    return CANO_OK;
}

/* ---- tasks ---- */

static uint32_t copy_preview(const cano_queue_memory *m, const cano_ledger_entry *entry, unsigned char *preview)
{
    const uint64_t size = entry->size < CANO_PREVIEW_MAX ? entry->size : CANO_PREVIEW_MAX;
    const uint32_t page = entry->page;
    if (page == CANO_NO_PAGE) {
        memcpy(preview, entry->payload, (size_t)size);
        return (uint32_t)size;
    }
    cano_extent extent;
    if (page >= m->arena.page_count || cano_arena_read(&m->arena, page, size, &extent) != CANO_OK) {
        return 0;
    }
    const uint64_t there = extent.size < size ? extent.size : size;
    memcpy(preview, extent.data, (size_t)there);
    return (uint32_t)there;
}

static uint32_t state_of(cano_task_word t, bool waits)
{
    switch (t.state) {
    case CANO_TASK_ORPHAN:
        return CANO_INSPECT_RETURNED;
    case CANO_TASK_DELAYED:
        return waits ? CANO_INSPECT_DELAYED : CANO_INSPECT_RETURNED;
    case CANO_TASK_DEAD:
        return CANO_INSPECT_DEAD;
    case CANO_TASK_DEAD_HELD:
        return CANO_INSPECT_DEAD_HELD;
    default:
        return CANO_INSPECT_HELD;
    }
}

/* False: it is free, or became something else while we read it. */
static bool read_task(const cano_queue_memory *m, uint32_t number, cano_inspector_task *task)
{
    const uint64_t word = cano_ledger_load(&m->ledger, number);
    const cano_task_word t = cano_task_unpack(word);
    if (t.state == CANO_TASK_FREE || t.state > CANO_TASK_DEAD_HELD) {
        return false;
    }
    const cano_ledger_entry *entry = &m->ledger.entries[number];
    const int64_t now = cano_os_now();
    const int64_t due = t.state == CANO_TASK_DELAYED ? cano_ledger_due(&m->ledger, number, now) - now : 0;
    *task = (cano_inspector_task){ .task = entry->task,
                                   .bytes = entry->size,
                                   .state = state_of(t, due > 0),
                                   .deliveries = t.deaths + 1,
                                   .slot = is_held(t) ? t.slot : 0,
                                   .due = due > 0 ? due : 0 };
    task->preview_size = copy_preview(m, entry, task->preview);
    /* acquire, to keep it behind the reads above; a task that was redelivered meanwhile has another word */
    atomic_thread_fence(memory_order_acquire);
    return cano_ledger_load(&m->ledger, number) == word;
}

cano_status cano_inspector_tasks(cano_inspector *inspector, cano_inspector_task *list, size_t capacity, size_t *count)
{
    if (inspector == NULL || count == NULL || (list == NULL && capacity != 0)) {
        return CANO_EINVAL;
    }
    const cano_queue_memory *m = &inspector->memory;
    size_t found = 0;
    for (uint32_t number = 0; number < m->ledger.count; number++) {
        cano_inspector_task task;
        if (!read_task(m, number, &task)) {
            continue;
        }
        if (found < capacity) {
            list[found] = task;
        }
        found++;
    }
    *count = found;
    return CANO_OK;
}

/* ---- repair ---- */

cano_status cano_inspector_repair(cano_inspector *inspector, cano_timeout timeout)
{
    int64_t deadline;
    if (inspector == NULL || cano_deadline(timeout, &deadline) != CANO_OK) {
        return CANO_EINVAL;
    }
    const cano_status status = cano_repair_guard(&inspector->memory, deadline);
    if (status == CANO_OK) {
        cano_repair_all(&inspector->memory);
        cano_repair_leave(&inspector->memory);
    }
    return status;
}
