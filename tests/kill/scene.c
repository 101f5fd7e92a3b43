/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include "message.h"
#include "repair.h"
#include "shared_queue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DELAY 3000 /* microseconds a delayed task waits */

const char *const scene_state_names[STATES] = { "empty",     "half",   "full",    "wrapped", "large",
                                                "scattered", "leased", "orphans", "delayed", "dead letters" };
const char *const scene_first_names[FIRSTS] = { "get", "put", "join", "lock", "attach", "reserve" };

void scene_fail(scene *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (s->failure[0] == 0) {
        vsnprintf(s->failure, sizeof s->failure, format, arguments);
    }
    va_end(arguments);
}

int64_t scene_now(void)
{
    return cano_os_now();
}

void scene_look_by(cano_queue *queue)
{
    cano_shared *q = (cano_shared *)(void *)queue;
    if (cano_shared_enter(q) == CANO_OK) {
        cano_repair_look(&q->memory, true);
        cano_shared_leave(q);
    }
}

/* ---- messages ---- */

int scene_new_id(scene *s, size_t size, scene_fate fate, int group)
{
    const int id = ++s->next_id;
    s->sizes[id] = size;
    s->fates[id] = fate;
    s->groups[id] = group;
    return id;
}

cano_status scene_put(const scene *s, cano_queue *queue, int id, cano_timeout timeout)
{
    unsigned char data[SCENE_LARGE];
    message_fill(data, s->sizes[id], (uint64_t)id);
    return cano_queue_put(queue, data, s->sizes[id], timeout);
}

/* An empty message is the one there is at most one of. */
static int empty_id(const scene *s)
{
    for (int id = 1; id <= s->next_id; id++) {
        if (s->sizes[id] == 0) {
            return id;
        }
    }
    return 0;
}

int scene_id_of(const scene *s, const void *data, size_t size)
{
    if (size == 0) {
        return empty_id(s);
    }
    const uint64_t id = message_check(data, size);
    return id != 0 && id <= (uint64_t)s->next_id && s->sizes[id] == size ? (int)id : 0;
}

/* ---- setting up ---- */

static void must(scene *s, const char *what, cano_status status)
{
    if (status != CANO_OK) {
        scene_fail(s, "set-up: %s: %s", what, cano_strerror(status));
    }
}

static void add(scene *s, size_t size)
{
    const int id = scene_new_id(s, size, MUST, 0);
    must(s, "put", scene_put(s, s->queue, id, CANO_NOW));
    s->order[s->order_count++] = id;
}

static int take_first(scene *s, cano_item *item)
{
    must(s, "take", cano_queue_take(s->queue, item, CANO_NOW));
    const int id = s->order[0];
    s->order_count--;
    memmove(s->order, s->order + 1, (size_t)s->order_count * sizeof s->order[0]);
    return id;
}

static void hold_first(scene *s)
{
    s->held_ids[s->held_count] = take_first(s, &s->held[s->held_count]);
    s->held_count++;
}

/* Move the ring's ends until the next put of a small message must wrap. */
static void wind(scene *s)
{
    const cano_queue_memory *m = &((cano_shared *)(void *)s->queue)->memory;
    const uint64_t units = cano_ring_units_of(SCENE_SMALL);
    for (;;) {
        const uint64_t tail = cano_commit_position(atomic_load(&m->shared->tail)) & (m->ring.units - 1);
        if (tail + units > m->ring.units && tail < m->ring.units) {
            return;
        }
        unsigned char data[SCENE_SMALL] = { 0 };
        const bool near = tail + 2 * units > m->ring.units;
        must(s, "wind", cano_queue_put(s->queue, data, near ? (size_t)(m->ring.units - tail - 2) * 8 : sizeof data, CANO_NOW));
        cano_item item;
        must(s, "wind", cano_queue_take(s->queue, &item, CANO_NOW));
        if (s->joinable) {
            must(s, "wind", cano_queue_task_done(s->queue, &item));
        } else {
            cano_queue_release(s->queue, &item);
        }
    }
}

/* Leave only single free pages here and there: a large message must be scattered over them. */
static void scatter(scene *s)
{
    void *memory;
    while (s->block_count < SCENE_BLOCKS && cano_queue_reserve(s->queue, 200, &memory, CANO_NOW) == CANO_OK) {
        s->blocks[s->block_count++] = memory;
    }
    for (int i = 0; i < s->block_count; i += 2) {
        cano_queue_cancel(s->queue, s->blocks[i]);
        s->blocks[i] = NULL;
    }
}

static void come_back(scene *s, cano_timeout delay, int times)
{
    cano_item item;
    const int id = take_first(s, &item);
    for (int i = 0; i < times; i++) {
        must(s, "give_back", cano_queue_give_back(s->queue, &item, delay));
        if (i + 1 < times) {
            must(s, "take", cano_queue_take(s->queue, &item, CANO_NOW));
        }
    }
    if (delay != 0 || times > 1) {
        s->loose[id] = true;
        s->dead_letter = times > 1 ? id : 0;
        return;
    }
    memmove(s->order + 1, s->order, (size_t)s->order_count * sizeof s->order[0]);
    s->order[0] = id;
    s->order_count++;
}

static void fill(scene *s, scene_state state)
{
    switch (state) {
    case EMPTY:
        break;
    case FULL:
        for (int i = 0; i < SCENE_ITEMS; i++) {
            add(s, SCENE_SMALL);
        }
        break;
    case WRAPPED:
        wind(s);
        break;
    case LARGE:
        add(s, SCENE_LARGE);
        add(s, SCENE_SMALL);
        break;
    case SCATTERED:
        scatter(s);
        break;
    default:
        add(s, SCENE_SMALL);
        add(s, 24);
        add(s, SCENE_SMALL);
        break;
    }
}

static void make_state(scene *s, scene_state state)
{
    fill(s, state);
    if (state == LEASED) {
        hold_first(s);
        hold_first(s);
    } else if (state == ORPHANS) {
        come_back(s, 0, 1);
    } else if (state == DELAYED) {
        come_back(s, DELAY, 1);
    } else if (state == DEAD_LETTERS) {
        come_back(s, 0, 3);
    }
}

bool scene_make(scene *s, scene_state state)
{
    static unsigned number;
    const bool for_joinable = state == LEASED || state == ORPHANS || state == DELAYED || state == DEAD_LETTERS;
    if (for_joinable && !s->joinable) {
        return false;
    }
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.flags = (s->joinable ? CANO_JOINABLE : 0u) | (s->ends ? CANO_END_WHEN_NO_PUTTER : 0u);
    options.role = s->ends ? CANO_GETTER : 0;
    options.max_items = SCENE_ITEMS;
    options.max_bytes = SCENE_ITEMS * SCENE_SHARE;
    options.max_participants = 6;
    options.max_leases = s->joinable ? SCENE_LEASES : 0;
    options.max_deliveries = s->joinable && state == DEAD_LETTERS ? 3 : 0;
    snprintf(s->name, sizeof s->name, "kill-%d-%u", (int)getpid(), number++);
    s->state = state;
    must(s, "create", cano_queue_create(&s->queue, s->named ? s->name : NULL, &options));
    if (s->queue != NULL && !s->ends) {
        make_state(s, state);
    }
    return true;
}

/* ---- taking stock ---- */

static void note(scene *s, const cano_item *item)
{
    const int id = scene_id_of(s, item->data, item->size);
    if (id == 0) {
        scene_fail(s, "torn: %zu bytes that nobody put", item->size);
        return;
    }
    if (s->got[id]++ > 0) {
        scene_fail(s, "duplicated: message %d came twice", id);
    }
    s->seen[s->seen_count++ % (SCENE_IDS * 4)] = id;
    if (s->joinable && s->deliveries[id] != 0 && (int)item->deliveries < s->deliveries[id]) {
        scene_fail(s, "message %d: delivery %u, expected %d at least", id, item->deliveries, s->deliveries[id]);
    }
    if (s->joinable && !s->loose[id] && (int)item->deliveries > 1 + s->deaths + (s->state == ORPHANS) + s->has_gone_on) {
        scene_fail(s, "message %d: delivery %u after %d deaths", id, item->deliveries, s->deaths);
    }
}

static void finish(scene *s, cano_item *item)
{
    if (!s->joinable) {
        cano_queue_release(s->queue, item);
        return;
    }
    const cano_status status = cano_queue_task_done(s->queue, item);
    if (status != CANO_OK) {
        scene_fail(s, "task_done: %s", cano_strerror(status));
    }
}

static bool misses_loose(const scene *s)
{
    for (int id = 1; id <= s->next_id; id++) {
        if (s->loose[id] && id != s->dead_letter && s->fates[id] != NEVER && s->got[id] == 0) {
            return true;
        }
    }
    return false;
}

static void drain(scene *s)
{
    const int64_t until = scene_now() + SCENE_LATE;
    for (int empty = 0; empty < 2;) {
        cano_item item;
        scene_look_by(s->queue);
        const cano_status status = cano_queue_take(s->queue, &item, misses_loose(s) ? DELAY * 4 : CANO_NOW);
        if (status == CANO_OK) {
            note(s, &item);
            finish(s, &item);
            empty = 0;
        } else if (status == CANO_ETIMEOUT || (status == CANO_ECLOSED && (s->may_be_shut || s->ends))) {
            empty++;
        } else {
            scene_fail(s, "get: %s", cano_strerror(status));
            return;
        }
        if (scene_now() > until) {
            scene_fail(s, "stuck: the queue does not empty");
            return;
        }
    }
}

static void drain_dead_letters(scene *s)
{
    cano_item item;
    while (s->state == DEAD_LETTERS && cano_queue_dead_get(s->queue, &item, CANO_NOW) == CANO_OK) {
        note(s, &item);
        finish(s, &item);
    }
}

/* ---- beside a victim that is stopped ---- */

static void put_meanwhile(scene *s)
{
    if (s->ends || s->next_id + 1 >= SCENE_IDS) {
        return;
    }
    const int id = scene_new_id(s, SCENE_SMALL, NEVER, 0);
    const cano_status status = scene_put(s, s->queue, id, CANO_NOW);
    s->fates[id] = status == CANO_OK ? MUST : NEVER;
    if (status != CANO_OK && status != CANO_ETIMEOUT && status != CANO_ECLOSED) {
        scene_fail(s, "put meanwhile: %s", cano_strerror(status));
    }
}

static void take_meanwhile(scene *s)
{
    cano_item item;
    const cano_status status = cano_queue_take(s->queue, &item, CANO_NOW);
    if (status == CANO_OK) {
        note(s, &item);
        finish(s, &item);
    } else if (status != CANO_ETIMEOUT && status != CANO_ECLOSED && status != CANO_ELIMIT) {
        scene_fail(s, "get meanwhile: %s", cano_strerror(status));
    }
}

static void sweep_meanwhile(const scene *s)
{
    const cano_queue_memory *m = &((cano_shared *)(void *)s->queue)->memory;
    atomic_store(&m->shared->need_sweep, 1);
    scene_look_by(s->queue);
}

/* A newcomer would wait for who is stopped under the guard. */
static bool is_guarded(const scene *s)
{
    cano_queue_memory *m = &((cano_shared *)(void *)s->queue)->memory;
    if (cano_repair_guard(m, 0) != CANO_OK) {
        return true;
    }
    cano_repair_leave(m);
    return false;
}

/* On a joinable queue what it had comes back; on a plain one it takes nothing. */
static void die_meanwhile(scene *s)
{
    if (is_guarded(s)) {
        return;
    }
    const pid_t child = fork();
    if (child == 0) {
        cano_item item;
        size_t size;
        if (s->joinable) {
            cano_queue_take(s->queue, &item, CANO_NOW);
        } else {
            cano_queue_qsize(s->queue, &size);
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
    s->deaths++;
    scene_look_by(s->queue);
}

void scene_go_on(scene *s)
{
    s->has_gone_on = true;
    sweep_meanwhile(s);
    put_meanwhile(s);
    take_meanwhile(s);
    die_meanwhile(s);
    take_meanwhile(s);
    sweep_meanwhile(s);
}

/* ---- the first call after the death ---- */

static bool is_held(const scene *s, int id)
{
    for (int i = 0; i < s->held_count; i++) {
        if (s->held_ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void first_get(scene *s)
{
    cano_item item;
    bool sure = false;
    for (int id = 1; id <= s->next_id; id++) {
        sure |= s->fates[id] == MUST && s->got[id] == 0 && !s->loose[id] && !is_held(s, id) && !s->may_be_shut;
    }
    const cano_status status = cano_queue_take(s->queue, &item, sure ? CANO_FOREVER : CANO_NOW);
    if (status == CANO_OK) {
        note(s, &item);
        finish(s, &item);
        s->seen_count -= s->joinable; /* nobody has looked for the dead yet: their tasks come back behind this one */
    } else if (sure) {
        scene_fail(s, "first get: %s", cano_strerror(status));
    }
}

static bool has_room(const scene *s)
{
    return s->next_id < SCENE_ITEMS && !s->may_be_shut && !s->ends;
}

static void first_put(scene *s)
{
    if (!has_room(s)) {
        first_get(s);
        return;
    }
    const int id = scene_new_id(s, s->state == LARGE || s->state == SCATTERED ? SCENE_SMALL : SCENE_SHARE, MUST, 0);
    const cano_status status = scene_put(s, s->queue, id, CANO_FOREVER);
    if (status != CANO_OK) {
        scene_fail(s, "first put: %s", cano_strerror(status));
    }
}

/* Nothing that is sure to be there is done yet. */
static void first_join(scene *s)
{
    size_t size;
    if (!s->joinable) {
        cano_queue_qsize(s->queue, &size);
        return;
    }
    bool unfinished = false;
    for (int id = 1; id <= s->next_id; id++) {
        unfinished |= s->fates[id] == MUST && s->got[id] == 0 && id != s->dead_letter;
    }
    const cano_status status = cano_queue_join(s->queue, CANO_NOW);
    if (unfinished && !s->at_once && status != CANO_ETIMEOUT) {
        scene_fail(s, "join: %s while something is unfinished", cano_strerror(status));
    }
}

static void first_lock(scene *s)
{
    size_t size;
    cano_status status = cano_queue_lock(s->queue, CANO_FOREVER);
    if (status == CANO_OK) {
        status = cano_queue_qsize(s->queue, &size);
        cano_queue_unlock(s->queue);
    }
    if (status != CANO_OK) {
        scene_fail(s, "first lock: %s", cano_strerror(status));
    }
}

/* A newcomer: by the name, or where there is none, nothing but a forked child would do (operations.h has that). */
static void first_attach(scene *s)
{
    cano_queue *other;
    if (!s->named || s->name_may_go) {
        first_lock(s);
        return;
    }
    const cano_status status = cano_queue_open(&other, s->name, NULL);
    if (status != CANO_OK) {
        scene_fail(s, "first open: %s", cano_strerror(status));
        return;
    }
    cano_queue_close(s->queue);
    for (int i = 0; i < s->held_count && s->at_once; i++) {
        s->fates[s->held_ids[i]] = MAY; /* given back to a queue that discards */
    }
    s->held_count = 0; /* the tasks of the one that closed go to the other */
    s->block_count = 0;
    s->queue = other;
}

static void first_reserve(scene *s)
{
    void *memory;
    if (!has_room(s) || s->state == SCATTERED || s->state == LARGE) {
        first_lock(s);
        return;
    }
    const cano_status status = cano_queue_reserve(s->queue, SCENE_SHARE, &memory, CANO_FOREVER);
    if (status != CANO_OK) {
        scene_fail(s, "first reserve: %s", cano_strerror(status));
        return;
    }
    cano_queue_cancel(s->queue, memory);
}

static void first_call(scene *s, scene_first first)
{
    static void (*const calls[FIRSTS])(scene *) = { first_get, first_put, first_join, first_lock, first_attach, first_reserve };
    const int64_t before = scene_now();
    calls[first](s);
    s->recovery = scene_now() - before;
    if (s->recovery > SCENE_LATE) {
        scene_fail(s, "late: the first call took %lld us", (long long)s->recovery);
    }
}

/* ---- comparing ---- */

static void check_fates(scene *s)
{
    for (int id = 1; id <= s->next_id; id++) {
        if (s->fates[id] == MUST && s->got[id] == 0) {
            scene_fail(s, "lost: message %d", id);
        }
        if (s->fates[id] == NEVER && s->got[id] != 0) {
            scene_fail(s, "message %d came out, which cannot be", id);
        }
    }
}

static void check_groups(scene *s)
{
    for (int id = 1; id <= s->next_id; id++) {
        for (int other = id + 1; other <= s->next_id && s->groups[id] != 0; other++) {
            if (s->groups[other] == s->groups[id] && s->got[id] != s->got[other]) {
                scene_fail(s, "messages %d and %d belong together", id, other);
            }
        }
    }
}

static void check_order(scene *s)
{
    int last = 0;
    for (int i = 0; i < s->seen_count && i < SCENE_IDS * 4 && !s->has_gone_on; i++) {
        const int id = s->seen[i];
        if (!s->loose[id] && id < last) {
            scene_fail(s, "out of order: message %d behind %d", id, last);
        }
        last = s->loose[id] ? last : id;
    }
}

static void check_needs(scene *s)
{
    for (int id = 1; id <= s->next_id && !s->may_take_own && (s->joinable || s->taken < s->order_count); id++) {
        if (s->needs[id] != 0 && s->got[id] != 0 && s->got[s->needs[id]] == 0) {
            scene_fail(s, "message %d came without %d", id, s->needs[id]);
        }
    }
}

/* What a dead getter took along is the head of the queue, nothing behind it. */
static void check_prefix(scene *s)
{
    for (int i = 1; i < s->taken && i < s->order_count; i++) {
        if (s->got[s->order[i - 1]] != 0 && s->got[s->order[i]] == 0) {
            scene_fail(s, "message %d was taken before %d", s->order[i], s->order[i - 1]);
        }
    }
}

/* ---- what must not be left ---- */

static void end_held(scene *s)
{
    if (s->joinable && s->held_count > 0 && cano_queue_join(s->queue, CANO_NOW) != CANO_ETIMEOUT) {
        scene_fail(s, "join did not wait for the survivor's own task");
    }
    for (int i = 0; i < s->held_count; i++) {
        if (s->got[s->held_ids[i]]++ != 0) {
            scene_fail(s, "duplicated: message %d is held by the survivor", s->held_ids[i]);
        }
        finish(s, &s->held[i]);
    }
    for (int i = 0; i < s->block_count; i++) {
        if (s->blocks[i] != NULL) {
            cano_queue_cancel(s->queue, s->blocks[i]);
        }
    }
}

static void check_nothing_left(scene *s)
{
    cano_queue_info info = { .size = sizeof info };
    scene_look_by(s->queue);
    scene_look_by(s->queue);
    const cano_status status = cano_queue_stat(s->queue, &info);
    if (status != CANO_OK) {
        scene_fail(s, "stat: %s", cano_strerror(status));
        return;
    }
    if (info.bytes != 0 || info.items != 0 || info.leased != 0 || info.participants != 1) {
        scene_fail(s, "left over: %llu bytes, %llu items, %llu leases, %u participants", (unsigned long long)info.bytes,
                   (unsigned long long)info.items, (unsigned long long)info.leased, info.participants);
    }
    if (s->joinable && cano_queue_join(s->queue, CANO_NOW) != CANO_OK) {
        scene_fail(s, "join waits although all is done");
    }
}

/* All that the limits promise fits again. */
static void check_room(scene *s)
{
    unsigned char data[SCENE_SHARE];
    if (s->may_be_shut || s->ends) {
        return;
    }
    for (int i = 0; i < SCENE_ITEMS; i++) {
        message_fill(data, sizeof data, (uint64_t)i + 1);
        const cano_status status = cano_queue_put(s->queue, data, sizeof data, CANO_NOW);
        if (status != CANO_OK) {
            scene_fail(s, "no room for message %d of %d: %s", i + 1, SCENE_ITEMS, cano_strerror(status));
        }
    }
    for (int i = 0; i < SCENE_ITEMS; i++) {
        cano_item item;
        if (cano_queue_take(s->queue, &item, CANO_NOW) != CANO_OK || message_check(item.data, item.size) != (uint64_t)i + 1) {
            scene_fail(s, "the queue does not work any more");
            return;
        }
        finish(s, &item);
    }
}

static void check_shut(scene *s)
{
    if (s->is_shut && cano_queue_put(s->queue, "", 0, CANO_NOW) != CANO_ECLOSED) {
        scene_fail(s, "put after shutdown");
    }
    cano_item item;
    if (s->ends && !s->may_not_end && cano_queue_take(s->queue, &item, SCENE_LATE) != CANO_ECLOSED) {
        scene_fail(s, "the last putter has left, and get does not say so");
    }
}

static void check_name(scene *s)
{
    if (!s->named) {
        return;
    }
    const cano_status status = cano_queue_unlink(s->name);
    const bool gone = status == CANO_ENOENT;
    if ((gone && !s->name_may_go) || (!gone && s->name_is_gone) || (status != CANO_OK && !gone)) {
        scene_fail(s, "unlink: %s", cano_strerror(status));
    }
}

void scene_check(scene *s, scene_first first)
{
    if (s->queue == NULL) {
        return;
    }
    first_call(s, first);
    drain(s);
    end_held(s);
    drain_dead_letters(s);
    check_fates(s);
    check_groups(s);
    check_order(s);
    check_needs(s);
    check_prefix(s);
    check_nothing_left(s);
    check_room(s);
    check_shut(s);
    cano_queue_close(s->queue);
    check_name(s);
}
