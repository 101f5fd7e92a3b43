/* SPDX-License-Identifier: Apache-2.0 */
#include "operations.h"

#include "message.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- putting ---- */

static void plan_one(operation_act *a, size_t size)
{
    a->ids[a->id_count++] = scene_new_id(a->scene, size, MAY, 0);
}

static void plan_empty(operation_act *a)
{
    plan_one(a, 0);
}

static void plan_small(operation_act *a)
{
    plan_one(a, SCENE_SMALL);
}

static void plan_large(operation_act *a)
{
    plan_one(a, SCENE_LARGE);
}

static void plan_batch(operation_act *a)
{
    static const size_t sizes[] = { SCENE_SMALL, SCENE_LARGE, 16 };
    const int group = a->scene->next_id + 1;
    for (int i = 0; i < 3; i++) {
        a->ids[a->id_count++] = scene_new_id(a->scene, sizes[i], MAY, group);
    }
}

static cano_status run_put(operation_act *a)
{
    return scene_put(a->scene, a->queue, a->ids[0], CANO_NOW);
}

static cano_status run_batch(operation_act *a)
{
    static unsigned char data[3][SCENE_LARGE];
    cano_slice slices[3];
    for (int i = 0; i < 3; i++) {
        slices[i] = (cano_slice){ data[i], a->scene->sizes[a->ids[i]] };
        message_fill(data[i], slices[i].size, (uint64_t)a->ids[i]);
    }
    return cano_queue_put_many(a->queue, slices, 3, CANO_NOW);
}

static cano_status reserve(operation_act *a)
{
    const size_t size = a->scene->sizes[a->ids[0]];
    const cano_status status = cano_queue_reserve(a->queue, size + 300, &a->memory, CANO_NOW);
    if (status == CANO_OK) {
        message_fill(a->memory, size, (uint64_t)a->ids[0]);
    }
    return status;
}

static cano_status run_commit(operation_act *a)
{
    return cano_queue_commit(a->queue, a->memory, a->scene->sizes[a->ids[0]], CANO_NOW);
}

static cano_status run_reserve_commit(operation_act *a)
{
    const cano_status status = reserve(a);
    return status == CANO_OK ? run_commit(a) : status;
}

static cano_status run_cancel(operation_act *a)
{
    cano_queue_cancel(a->queue, a->memory);
    return CANO_ETIMEOUT; /* nothing was put */
}

static void settle_one_put(scene *s, int id, cano_status status)
{
    s->fates[id] = status == CANO_OK ? MUST : NEVER;
    if (status == CANO_OK) {
        s->order[s->order_count++] = id;
    }
}

static void settle_put(operation_act *a, bool died)
{
    for (int i = 0; i < a->id_count && !died; i++) {
        settle_one_put(a->scene, a->ids[i], a->report->result);
    }
    for (int i = 0; i < a->id_count && a->report->prepared != CANO_OK; i++) {
        a->scene->fates[a->ids[i]] = NEVER;
    }
}

static void settle_never_put(operation_act *a, bool died)
{
    (void)died;
    a->scene->fates[a->ids[0]] = NEVER;
}

/* ---- getting ---- */

/* It may be one that the survivor has named since. 0: torn. */
static int id_of(const operation_act *a, const void *data, size_t size)
{
    const uint64_t id = size == 0 ? (uint64_t)scene_id_of(a->scene, data, size) : message_check(data, size);
    return id < SCENE_IDS ? (int)id : 0;
}

static void tell_held(operation_act *a, const cano_item *item)
{
    a->report->held[a->report->held_count++] = id_of(a, item->data, item->size);
}

static void tell_got(operation_act *a, const void *data, size_t size)
{
    a->report->got[a->report->got_count++] = id_of(a, data, size);
}

static void check_told(operation_act *a, int id)
{
    if (id == 0 || id > a->scene->next_id) {
        scene_fail(a->scene, "the victim got a torn message");
    }
}

static cano_status prepare_take(operation_act *a)
{
    const cano_status status = cano_queue_take(a->queue, &a->items[0], CANO_NOW);
    if (status == CANO_OK) {
        tell_held(a, &a->items[0]);
    }
    return status;
}

static cano_status prepare_two(operation_act *a)
{
    for (int i = 0; i < 2 && a->scene->joinable; i++) {
        if (cano_queue_take(a->queue, &a->items[i], CANO_NOW) == CANO_OK) {
            tell_held(a, &a->items[i]);
        }
    }
    return CANO_OK;
}

static cano_status run_get(operation_act *a)
{
    unsigned char data[SCENE_LARGE];
    size_t size;
    const cano_status status = cano_queue_get(a->queue, data, sizeof data, &size, CANO_NOW);
    if (status == CANO_OK) {
        tell_got(a, data, size);
    }
    return status;
}

static cano_status run_get_many(operation_act *a)
{
    static unsigned char data[3 * SCENE_LARGE];
    size_t got = 0;
    const cano_status status = cano_queue_get_many(a->queue, a->items, 3, &got, data, sizeof data, CANO_NOW);
    for (size_t i = 0; i < got; i++) {
        tell_got(a, a->items[i].data, a->items[i].size);
    }
    return status;
}

static cano_status run_take(operation_act *a)
{
    const cano_status status = cano_queue_take(a->queue, &a->items[0], CANO_NOW);
    if (status == CANO_OK) {
        tell_got(a, a->items[0].data, a->items[0].size);
    }
    return status;
}

static cano_status run_release(operation_act *a)
{
    cano_queue_release(a->queue, &a->items[0]);
    return CANO_OK;
}

static cano_status run_peek(operation_act *a)
{
    unsigned char data[SCENE_LARGE];
    size_t size;
    return cano_queue_peek(a->queue, data, sizeof data, &size, CANO_NOW);
}

static void leave_order(scene *s, int id)
{
    int kept = 0;
    for (int i = 0; i < s->order_count; i++) {
        if (s->order[i] != id) {
            s->order[kept++] = s->order[i];
        }
    }
    s->order_count = kept;
}

/* What was taken before: a plain message is gone with its getter, a task comes back once more. */
void operation_prepared(operation_act *a)
{
    scene *s = a->scene;
    for (int i = 0; i < a->report->held_count; i++) {
        const int id = a->report->held[i];
        check_told(a, id);
        if (!s->joinable) {
            s->fates[id] = NEVER;
            leave_order(s, id);
        }
    }
}

static void settle_held(operation_act *a)
{
    for (int i = 0; i < a->report->held_count && a->scene->joinable && a->scene->state != DEAD_LETTERS; i++) {
        a->scene->deliveries[a->report->held[i]] = 2;
    }
}

static void may_be_gone(scene *s)
{
    for (int i = 0; i < s->taken && i < s->order_count; i++) {
        s->fates[s->order[i]] = s->fates[s->order[i]] == MUST ? MAY : s->fates[s->order[i]];
        s->groups[s->order[i]] = 0;
    }
    for (int id = 1; id <= s->next_id && s->taken > s->order_count; id++) {
        s->groups[id] = 0; /* also of those that another victim may have put */
    }
}

/* What the operation took, or may have taken: on a plain queue from the head of what was there. */
static void settle_got(operation_act *a, bool died, int most)
{
    scene *s = a->scene;
    for (int i = 0; i < a->report->got_count; i++) {
        check_told(a, a->report->got[i]);
    }
    if (s->joinable) {
        return;
    }
    for (int i = 0; i < a->report->got_count; i++) {
        s->fates[a->report->got[i]] = NEVER;
        s->groups[a->report->got[i]] = 0;
        leave_order(s, a->report->got[i]);
    }
    if (died && a->report->got_count < most) {
        s->taken += most - a->report->got_count;
        may_be_gone(s);
    }
}

static void settle_get(operation_act *a, bool died)
{
    settle_got(a, died, 1);
}

static void settle_get_many(operation_act *a, bool died)
{
    settle_got(a, died, 3);
}

static void settle_nothing(operation_act *a, bool died)
{
    (void)died;
    settle_held(a);
}

/* ---- tasks ---- */

static cano_status prepare_get(operation_act *a)
{
    unsigned char data[SCENE_LARGE];
    size_t size;
    const cano_status status = cano_queue_get(a->queue, data, sizeof data, &size, CANO_NOW);
    if (status == CANO_OK) {
        a->report->held[a->report->held_count++] = id_of(a, data, size);
    }
    return status;
}

static cano_status run_done(operation_act *a)
{
    return cano_queue_task_done(a->queue, &a->items[0]);
}

static cano_status run_done_oldest(operation_act *a)
{
    return cano_queue_task_done(a->queue, NULL);
}

static void settle_done(operation_act *a, bool died)
{
    settle_held(a);
    if (a->report->held_count > 0) {
        a->scene->fates[a->report->held[0]] = died ? MAY : NEVER;
        a->scene->groups[a->report->held[0]] = 0;
    }
}

static cano_status run_give_back(operation_act *a)
{
    return cano_queue_give_back(a->queue, &a->items[0], CANO_NOW);
}

static cano_status run_give_back_later(operation_act *a)
{
    return cano_queue_give_back(a->queue, &a->items[0], 2000);
}

static void settle_give_back(operation_act *a, bool died)
{
    settle_held(a);
    if (a->report->held_count > 0 && !died && a->scene->state != DEAD_LETTERS) {
        a->scene->deliveries[a->report->held[0]] = 2;
    }
}

static void settle_give_back_later(operation_act *a, bool died)
{
    settle_give_back(a, died);
    if (a->report->held_count > 0) {
        a->scene->loose[a->report->held[0]] = true;
    }
}

static cano_status run_join(operation_act *a)
{
    return cano_queue_join(a->queue, CANO_NOW);
}

static cano_status prepare_dead(operation_act *a)
{
    const cano_status status = cano_queue_dead_get(a->queue, &a->items[0], CANO_NOW);
    if (status == CANO_OK) {
        tell_held(a, &a->items[0]);
    }
    return status;
}

static void settle_revive(operation_act *a, bool died)
{
    (void)died;
    a->scene->may_be_revived = true;
}

static cano_status run_dead_get(operation_act *a)
{
    return cano_queue_dead_get(a->queue, &a->items[0], CANO_NOW);
}

/* ---- the queue as a whole ---- */

static cano_status run_qsize(operation_act *a)
{
    size_t size;
    return cano_queue_qsize(a->queue, &size);
}

static cano_status prepare_lock(operation_act *a)
{
    return cano_queue_lock(a->queue, CANO_NOW);
}

static cano_status run_unlock(operation_act *a)
{
    return cano_queue_unlock(a->queue);
}

static void plan_two(operation_act *a)
{
    plan_small(a);
    plan_small(a);
    a->scene->needs[a->ids[1]] = a->ids[0];
}

/* What was done inside lock() up to a death stays done, in order. */
static cano_status run_locked(operation_act *a)
{
    const cano_status status = cano_queue_lock(a->queue, CANO_NOW);
    if (status != CANO_OK) {
        return status;
    }
    a->report->puts[0] = scene_put(a->scene, a->queue, a->ids[0], CANO_NOW);
    run_take(a);
    a->report->puts[1] = scene_put(a->scene, a->queue, a->ids[1], CANO_NOW);
    return cano_queue_unlock(a->queue);
}

static void settle_locked(operation_act *a, bool died)
{
    scene *s = a->scene;
    s->may_take_own = s->order_count == 0 || s->state == FULL || s->has_gone_on;
    for (int i = 0; i < 2 && !died; i++) {
        settle_one_put(s, a->ids[i], a->report->result == CANO_OK ? a->report->puts[i] : CANO_ETIMEOUT);
    }
    if (a->report->puts[0] != CANO_OK) {
        s->needs[a->ids[1]] = 0;
    }
    settle_got(a, died, 1); /* it may have got what it had just put */
}

static cano_status run_shutdown(operation_act *a)
{
    return cano_queue_shutdown(a->queue, false);
}

static void settle_shutdown(operation_act *a, bool died)
{
    a->scene->may_be_shut = true;
    a->scene->is_shut = !died;
}

static cano_status run_shutdown_at_once(operation_act *a)
{
    return cano_queue_shutdown(a->queue, true);
}

static bool is_survivors(const scene *s, int id)
{
    for (int i = 0; i < s->held_count; i++) {
        if (s->held_ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void settle_shutdown_at_once(operation_act *a, bool died)
{
    scene *s = a->scene;
    settle_shutdown(a, died);
    s->at_once = true;
    for (int id = 1; id <= s->next_id; id++) {
        if (is_survivors(s, id) || (id == s->dead_letter && !s->may_be_revived) || s->fates[id] == NEVER || s->got[id] != 0) {
            continue;
        }
        if (died && s->fates[id] == MUST && !s->loose[id]) {
            s->groups[id] = SCENE_IDS; /* discarded with the others, or not */
        }
        s->fates[id] = died || id == s->dead_letter ? MAY : NEVER;
    }
}

static cano_status run_attach(operation_act *a)
{
    if (!a->scene->named) {
        return run_qsize(a); /* the inherited handle attaches at its first use */
    }
    return cano_queue_open(&a->queue, a->scene->name, NULL);
}

/* Attach, which repairs, and look for work. */
static cano_status run_attach_get(operation_act *a)
{
    const cano_status status = run_attach(a);
    return status == CANO_OK ? run_get(a) : status;
}

static cano_status run_look(operation_act *a)
{
    scene_look_by(a->queue);
    return CANO_OK;
}

static cano_status run_close(operation_act *a)
{
    cano_queue_close(a->queue);
    return CANO_OK;
}

/* Given back by a close they are not counted; by a death before they are. */
static void settle_close(operation_act *a, bool died)
{
    (void)a;
    (void)died;
}

static cano_status run_native(operation_act *a)
{
    cano_native native;
    return cano_queue_native(a->queue, &native);
}

/* ---- names ---- */

static cano_status run_unlink(operation_act *a)
{
    return cano_queue_unlink(a->scene->name);
}

static void settle_unlink(operation_act *a, bool died)
{
    a->scene->name_may_go = true;
    a->scene->name_is_gone = !died;
}

static void plan_other(operation_act *a)
{
    snprintf(a->other, sizeof a->other, "%s-other", a->scene->name);
}

static cano_status create_other(const operation_act *a, cano_queue **queue, uint32_t flags)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.flags = (a->scene->joinable ? CANO_JOINABLE : 0u) | flags;
    options.max_items = SCENE_ITEMS;
    options.max_bytes = SCENE_ITEMS * SCENE_SHARE;
    options.max_participants = 2;
    return cano_queue_create(queue, a->other, &options);
}

static cano_status run_create(operation_act *a)
{
    cano_queue *other;
    return create_other(a, &other, CANO_OPEN_EXISTING);
}

static void use_other(operation_act *a, cano_queue *other)
{
    char text[4] = "";
    size_t size = 0;
    const bool works = cano_queue_put(other, "abc", 4, CANO_NOW) == CANO_OK &&
                       cano_queue_get(other, text, sizeof text, &size, SCENE_LATE) == CANO_OK && strcmp(text, "abc") == 0 &&
                       (!a->scene->joinable || cano_queue_task_done(other, NULL) == CANO_OK);
    if (!works) {
        scene_fail(a->scene, "the new queue does not work");
    }
    cano_queue_close(other);
}

/* Openers get a whole queue, or none; and who makes it anew gets one. */
static void settle_create(operation_act *a, bool died)
{
    cano_queue *other = NULL;
    cano_status status = cano_queue_open(&other, a->other, NULL);
    if (status == CANO_OK) {
        use_other(a, other);
    } else if (!died || status != CANO_ENOENT) {
        scene_fail(a->scene, "open of the new name: %s", cano_strerror(status));
    }
    status = create_other(a, &other, CANO_OPEN_EXISTING);
    if (status == CANO_OK) {
        use_other(a, other);
    } else {
        scene_fail(a->scene, "create of the same name: %s", cano_strerror(status));
    }
    cano_queue_unlink(a->other);
}

/* ---- the last putter ---- */

static cano_status prepare_putter(operation_act *a)
{
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.role = CANO_PUTTER;
    return cano_queue_open(&a->queue, a->scene->name, &options);
}

static cano_status run_last_put(operation_act *a)
{
    const cano_status status = run_put(a);
    cano_queue_close(a->queue);
    return status;
}

/* A child forked from a putter is a putter before fork returns. The child dies at the same point, if it comes to it. */
cano_status operation_forks(operation_act *a)
{
    const pid_t child = fork();
    if (child == 0) {
        _exit(scene_put(a->scene, a->queue, a->ids[0], CANO_NOW));
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : CANO_ESYSTEM;
}

static cano_status run_putter_attach(operation_act *a)
{
    const cano_status status = prepare_putter(a);
    return status == CANO_OK ? run_put(a) : status;
}

static void settle_fork(operation_act *a, bool died)
{
    if (!died && a->report->result == CANO_OK) {
        a->scene->fates[a->ids[0]] = MUST;
    }
}

/* One that died before it was a putter leaves a queue that has not begun. */
static void settle_putter_attach(operation_act *a, bool died)
{
    settle_put(a, died);
    a->scene->may_not_end = died;
}

/* ---- the table ---- */

#define PUT ON_BOTH | IS_SHORT
#define GOT ON_BOTH | NEEDS_ITEMS
#define TASK ON_JOINABLE | NEEDS_ITEMS
#define DEAD ON_JOINABLE | NEEDS_DEAD_LETTERS
#define LAST ON_BOTH | NEEDS_NAME | NEEDS_PUTTER

const operation operations[] = {
    { "put empty", PUT, plan_empty, NULL, run_put, settle_put },
    { "put small", PUT | IS_SECOND, plan_small, NULL, run_put, settle_put },
    { "put large", PUT | IS_SECOND, plan_large, NULL, run_put, settle_put },
    { "put_many", ON_BOTH | IS_SECOND, plan_batch, NULL, run_batch, settle_put },
    { "reserve", PUT, plan_small, NULL, reserve, settle_never_put },
    { "reserve, commit", ON_BOTH, plan_large, NULL, run_reserve_commit, settle_put },
    { "commit", PUT, plan_small, reserve, run_commit, settle_put },
    { "cancel", PUT, plan_small, reserve, run_cancel, settle_never_put },
    { "get", ON_BOTH | IS_SHORT | IS_SECOND, NULL, NULL, run_get, settle_get },
    { "get_many", ON_BOTH | IS_SECOND, NULL, NULL, run_get_many, settle_get_many },
    { "take", ON_BOTH, NULL, NULL, run_take, settle_get },
    { "release", ON_PLAIN | NEEDS_ITEMS | IS_SHORT, NULL, prepare_take, run_release, settle_nothing },
    { "peek", ON_BOTH, NULL, NULL, run_peek, settle_nothing },
    { "task_done", TASK | IS_SHORT | IS_SECOND, NULL, prepare_take, run_done, settle_done },
    { "task_done of the oldest", TASK, NULL, prepare_get, run_done_oldest, settle_done },
    { "give_back", TASK | IS_SHORT | IS_SECOND, NULL, prepare_take, run_give_back, settle_give_back },
    { "give_back later", TASK, NULL, prepare_take, run_give_back_later, settle_give_back_later },
    { "join", ON_JOINABLE, NULL, NULL, run_join, settle_nothing },
    { "qsize", ON_BOTH, NULL, NULL, run_qsize, settle_nothing },
    { "lock, put, take, put, unlock", ON_BOTH | IS_SECOND, plan_two, NULL, run_locked, settle_locked },
    { "unlock", ON_BOTH | IS_SHORT, NULL, prepare_lock, run_unlock, settle_nothing },
    { "shutdown", ON_BOTH, NULL, NULL, run_shutdown, settle_shutdown },
    { "shutdown at once", ON_BOTH | IS_SECOND, NULL, NULL, run_shutdown_at_once, settle_shutdown_at_once },
    { "attach", ON_BOTH | COMES_FRESH | IS_SECOND, NULL, NULL, run_attach, settle_nothing },
    { "attach, get", ON_BOTH | COMES_FRESH | IS_SECOND, NULL, NULL, run_attach_get, settle_get },
    { "look for the dead", ON_BOTH | IS_SECOND, NULL, NULL, run_look, settle_nothing },
    { "close", ON_BOTH | IS_SECOND, NULL, prepare_two, run_close, settle_close },
    { "native handle", ON_BOTH, NULL, NULL, run_native, settle_nothing },
    { "dead_get", DEAD, NULL, NULL, run_dead_get, settle_nothing },
    { "task_done of a dead letter", DEAD, NULL, prepare_dead, run_done, settle_done },
    { "give_back of a dead letter", DEAD, NULL, prepare_dead, run_give_back, settle_revive },
    { "unlink", ON_BOTH | NEEDS_NAME, NULL, NULL, run_unlink, settle_unlink },
    { "create", ON_BOTH | NEEDS_NAME, plan_other, NULL, run_create, settle_create },
    { "last put, close", LAST, plan_small, prepare_putter, run_last_put, settle_put },
    { "attach as putter, put", LAST | COMES_FRESH, plan_small, NULL, run_putter_attach, settle_putter_attach },
    { "fork of a putter", LAST, plan_small, prepare_putter, operation_forks, settle_fork },
};
const int operation_count = sizeof operations / sizeof operations[0];

bool operation_fits(const operation *o, const scene *s, scene_state state)
{
    const bool kind = (o->flags & (s->joinable ? ON_JOINABLE : ON_PLAIN)) != 0;
    const bool items = state != EMPTY && state != WRAPPED && state != SCATTERED;
    if (!kind || ((o->flags & NEEDS_NAME) != 0 && !s->named) || ((o->flags & NEEDS_ITEMS) != 0 && !items)) {
        return false;
    }
    if ((o->flags & NEEDS_PUTTER) != 0) {
        return state == EMPTY;
    }
    return (o->flags & NEEDS_DEAD_LETTERS) == 0 || state == DEAD_LETTERS;
}
