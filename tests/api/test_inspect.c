/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is seen from outside: names, queues, participants, tasks; what is left behind; and what looking does not do.
 */
#include "queues.h"

#include <apr_env.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <cano/inspect.h>

static cano_inspector *look_at(const char *name)
{
    cano_inspector *inspector = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_inspector_open(&inspector, name), CANO_OK);
    return inspector;
}

static cano_inspector_state state_of(cano_inspector *inspector)
{
    cano_inspector_state state = { .size = sizeof state };
    CU_ASSERT_EQUAL_FATAL(cano_inspector_look(inspector, &state), CANO_OK);
    return state;
}

static cano_inspector_participant only_participant(cano_inspector *inspector)
{
    cano_inspector_participant one = { 0 };
    size_t count = 0;
    CU_ASSERT_EQUAL(cano_inspector_participants(inspector, &one, 1, &count), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    return one;
}

static cano_inspector_task only_task(cano_inspector *inspector)
{
    cano_inspector_task one = { 0 };
    size_t count = 0;
    CU_ASSERT_EQUAL(cano_inspector_tasks(inspector, &one, 1, &count), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    return one;
}

/* ---- names ---- */

static const cano_inspect_name *find(const cano_inspect_name *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i].name, name) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

static void names_are_listed_with_their_kind(void)
{
    const char *queue_name = suite_name("queue");
    const char *listener_name = suite_name("listener");
    cano_queue *queue = make_named(queue_name, OPTIONS(0));
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, listener_name, NULL), CANO_OK);
    cano_inspect_name *names = NULL;
    size_t count = 0;
    CU_ASSERT_EQUAL_FATAL(cano_inspect_names(&names, &count), CANO_OK);
    const cano_inspect_name *found = find(names, count, queue_name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    CU_ASSERT_EQUAL(found->kind, CANO_INSPECT_QUEUE);
    CU_ASSERT(found->bytes > 500000);
    CU_ASSERT(found->age >= 0 && found->age < SUITE_PATIENCE);
    found = find(names, count, listener_name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    CU_ASSERT_EQUAL(found->kind, CANO_INSPECT_LISTENER);
    for (size_t i = 1; i < count; i++) {
        CU_ASSERT(strcmp(names[i - 1].name, names[i].name) < 0);
    }
    cano_free(names);
    CU_ASSERT_EQUAL(cano_inspect_check(queue_name), CANO_OK);
    CU_ASSERT_EQUAL(cano_inspect_check(listener_name), CANO_OK);
    CU_ASSERT_EQUAL(cano_inspect_remove(queue_name), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_inspect_remove(listener_name), CANO_EEXIST);
    cano_listener_close(listener);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_inspect_check(queue_name), CANO_OK); /* a name stays when nobody is attached */
    CU_ASSERT_EQUAL(cano_queue_unlink(queue_name), CANO_OK);
    CU_ASSERT_EQUAL(cano_inspect_check(queue_name), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_inspect_check(listener_name), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_inspect_remove(queue_name), CANO_ENOENT);
}

static void a_listener_does_not_notice_being_looked_at(void)
{
    const char *name = suite_name("listener");
    cano_listener *listener = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_listener_create(&listener, name, NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_inspect_check(name), CANO_OK);
    const cano_object object = { .listener = listener };
    size_t ready;
    CU_ASSERT_EQUAL(cano_wait(&object, 1, &ready, CANO_NOW), CANO_ETIMEOUT);
    cano_listener_close(listener);
}

/* ---- what is left behind ---- */

static int listen_for_ever(int argc, char **argv)
{
    (void)argc;
    const stage s = enter(argv, 0);
    cano_listener *listener = NULL;
    DEMAND(cano_listener_create(&listener, s.argument, NULL) == CANO_OK);
    tell(&s, 1);
    return linger_on(&s);
}

static void a_dead_listener_is_told_and_removed(void)
{
    const char *name = suite_name("listener");
    stage s = stage_of(OPTIONS(0));
    suite_child *child = start_on(&s, "listen_for_ever", name);
    hear(&s, 1);
    CU_ASSERT_EQUAL(cano_inspect_check(name), CANO_OK);
    kill_and_wait(child);
    const cano_status dead = cano_inspect_check(name);
    CU_ASSERT(dead == CANO_ECLOSED || dead == CANO_ENOENT); /* the system itself may have removed it */
    CU_ASSERT_EQUAL(cano_inspect_remove(name), dead == CANO_ENOENT ? CANO_ENOENT : CANO_OK);
    cano_inspect_name *names = NULL;
    size_t count = 0;
    CU_ASSERT_EQUAL_FATAL(cano_inspect_names(&names, &count), CANO_OK);
    CU_ASSERT_PTR_NULL(find(names, count, name));
    cano_free(names);
    strike(&s);
}

/* A file in the directory of names, with bytes at some place, last written to so many seconds ago. */
static void lay(const char *name, int64_t offset, const char *bytes, int64_t seconds_ago)
{
    char path[512];
    CU_ASSERT_EQUAL_FATAL(cano_inspect_directory(path, sizeof path), CANO_OK);
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    const char *file_path = apr_pstrcat(pool, path, "/", name, NULL);
    apr_file_t *file;
    CU_ASSERT_EQUAL_FATAL(
        apr_file_open(&file, file_path, APR_FOPEN_WRITE | APR_FOPEN_CREATE, APR_FPROT_UREAD | APR_FPROT_UWRITE, pool),
        APR_SUCCESS);
    apr_off_t at = offset;
    apr_file_seek(file, APR_SET, &at);
    CU_ASSERT_EQUAL(apr_file_write_full(file, bytes, strlen(bytes), NULL), APR_SUCCESS);
    apr_file_close(file);
    apr_file_mtime_set(file_path, apr_time_now() - apr_time_from_sec(seconds_ago), pool);
    apr_pool_destroy(pool);
}

#define BOOT_OFFSET 64 /* docs/protocol.md */
#define LAYOUT_OFFSET 8
#define LIMITS_OFFSET 256

static void a_queue_of_an_earlier_start_is_told_and_removed(void)
{
    const char *name = suite_name("stale");
    cano_queue_close(make_named(name, OPTIONS(0)));
    lay(name, BOOT_OFFSET, "another start", 0);
    CU_ASSERT_EQUAL(cano_inspect_check(name), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_inspect_remove(name), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_ENOENT);
}

static void strangers_and_damage_are_told_and_left_alone(void)
{
    static const struct {
        int64_t offset;
        const char *bytes;
        cano_status expected;
    } cases[] = { { LAYOUT_OFFSET, "\x63", CANO_EVERSION },
                  { LIMITS_OFFSET, "\xff\xff\xff\xff\xff\xff\xff\xff", CANO_ECORRUPT },
                  { 0, "something else", CANO_EKIND } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = suite_name("odd");
        cano_inspector *inspector = NULL;
        cano_queue_close(make_named(name, OPTIONS(0)));
        lay(name, cases[i].offset, cases[i].bytes, 0);
        CU_ASSERT_EQUAL(cano_inspect_check(name), cases[i].expected);
        CU_ASSERT_EQUAL(cano_inspector_open(&inspector, name), cases[i].expected);
        CU_ASSERT_NOT_EQUAL(cano_inspect_remove(name), CANO_OK);
        CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
    }
    lay("README", 0, "a file", 0);
    CU_ASSERT_EQUAL(cano_inspect_check("README"), CANO_EKIND);
    CU_ASSERT_EQUAL(cano_inspect_remove("README"), CANO_EEXIST);
    CU_ASSERT_EQUAL(cano_queue_unlink("README"), CANO_OK);
}

static void half_made_things_are_told_once_they_are_old(void)
{
    static const char *const sides[] = { ".new.00000000000000000000000000000000", ".bind.7f", ".lock.somebody" };
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        lay(sides[i], 0, "x", 0);
        CU_ASSERT_EQUAL(cano_inspect_check(sides[i]), CANO_OK);
        CU_ASSERT_EQUAL(cano_inspect_remove(sides[i]), CANO_EEXIST);
        lay(sides[i], 0, "x", 120);
        CU_ASSERT_EQUAL(cano_inspect_check(sides[i]), CANO_ECLOSED);
        CU_ASSERT_EQUAL(cano_inspect_remove(sides[i]), CANO_OK);
        CU_ASSERT_EQUAL(cano_inspect_check(sides[i]), CANO_ENOENT);
    }
    CU_ASSERT_EQUAL(cano_inspect_check(".other"), CANO_EKIND);
}

/* ---- a queue ---- */

static void state_is_what_stat_says(void)
{
    const char *name = suite_name("queue");
    cano_queue *queue = make_named(name, OPTIONS(.flags = CANO_JOINABLE, .max_items = 100, .max_bytes = 10000, .max_leases = 7,
                                                 .max_deliveries = 3, .max_participants = 5));
    cano_inspector *inspector = look_at(name);
    for (uint64_t i = 0; i < 9; i++) {
        CU_ASSERT_EQUAL(put_number(queue, i, CANO_NOW), CANO_OK);
    }
    CU_ASSERT_EQUAL(put_pattern(queue, 3000, 1, CANO_NOW), CANO_OK);
    uint64_t number;
    cano_item done = take_number(queue, &number, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &done), CANO_OK);
    take_number(queue, &number, CANO_NOW);
    const cano_queue_info info = picture_of(queue);
    const cano_inspector_state state = state_of(inspector);
    CU_ASSERT_EQUAL(memcmp(&info, &state.info, sizeof info), 0);
    CU_ASSERT_EQUAL(state.info.items, 8);
    CU_ASSERT_EQUAL(state.info.unfinished, 9);
    CU_ASSERT_EQUAL(state.limits.max_items, 100);
    CU_ASSERT_EQUAL(state.limits.max_bytes, 10000);
    CU_ASSERT_EQUAL(state.limits.max_leases, 7);
    CU_ASSERT_EQUAL(state.limits.max_deliveries, 3);
    CU_ASSERT_EQUAL(state.limits.max_participants, 5);
    CU_ASSERT(state.memory > 10000);
    CU_ASSERT_EQUAL(state.shutdown, 0);
    CU_ASSERT_EQUAL(state.needs_repair, 0);
    CU_ASSERT_EQUAL(state.putting, 0);
    CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(state_of(inspector).putting, only_participant(inspector).slot);
    CU_ASSERT_EQUAL(cano_queue_unlock(queue), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_shutdown(queue, false), CANO_OK);
    CU_ASSERT_EQUAL(state_of(inspector).shutdown, 1);
    CU_ASSERT_EQUAL(state_of(inspector).info.items, 8);
    CU_ASSERT_EQUAL(cano_queue_shutdown(queue, true), CANO_OK);
    CU_ASSERT_EQUAL(state_of(inspector).shutdown, 2);
    CU_ASSERT_EQUAL(state_of(inspector).info.items, 0);
    CU_ASSERT_EQUAL(state_of(inspector).info.unfinished, 1);
    cano_inspector_close(inspector);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void looking_takes_no_place(void)
{
    const char *name = suite_name("queue");
    cano_queue *queue = make_named(name, OPTIONS(.max_participants = 1, .role = CANO_PUTTER));
    cano_inspector *one = look_at(name);
    cano_inspector *other = look_at(name);
    const cano_inspector_participant self = only_participant(one);
    CU_ASSERT_EQUAL(self.role, CANO_PUTTER);
    CU_ASSERT_EQUAL(self.dead, 0);
    CU_ASSERT_EQUAL(self.slot, 1);
    CU_ASSERT_EQUAL(self.leases, 0);
    CU_ASSERT_EQUAL(state_of(other).info.participants, 1);
    cano_inspector_close(one);
    cano_inspector_close(other);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void tasks_are_told_with_who_holds_them(void)
{
    const char *name = suite_name("queue");
    cano_queue *queue = make_named(name, OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 2));
    cano_inspector *inspector = look_at(name);
    cano_item item = { 0 };
    CU_ASSERT_EQUAL(cano_queue_put(queue, "hello", 5, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &item, CANO_NOW), CANO_OK);
    cano_inspector_task task = only_task(inspector);
    CU_ASSERT_EQUAL(task.task, item.task);
    CU_ASSERT_EQUAL(task.state, CANO_INSPECT_HELD);
    CU_ASSERT_EQUAL(task.deliveries, 1);
    CU_ASSERT_EQUAL(task.slot, only_participant(inspector).slot);
    CU_ASSERT_EQUAL(only_participant(inspector).leases, 1);
    CU_ASSERT_EQUAL(task.bytes, 5);
    CU_ASSERT(task.preview_size == 5 && memcmp(task.preview, "hello", 5) == 0);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &item, 3600000000), CANO_OK);
    task = only_task(inspector);
    CU_ASSERT_EQUAL(task.state, CANO_INSPECT_DELAYED);
    CU_ASSERT(task.due > 3500000000 && task.due <= 3600000000);
    CU_ASSERT_EQUAL(task.slot, 0);
    cano_inspector_close(inspector);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void returned_and_dead_letters_are_told(void)
{
    const char *name = suite_name("queue");
    cano_queue *queue = make_named(name, OPTIONS(.flags = CANO_JOINABLE, .max_deliveries = 2));
    cano_inspector *inspector = look_at(name);
    cano_item item = { 0 };
    CU_ASSERT_EQUAL(put_pattern(queue, 3000, 4, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &item, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &item, CANO_NOW), CANO_OK);
    cano_inspector_task task = only_task(inspector);
    CU_ASSERT_EQUAL(task.state, CANO_INSPECT_RETURNED);
    CU_ASSERT_EQUAL(task.deliveries, 2);
    CU_ASSERT(task.preview_size == CANO_PREVIEW_MAX && has_pattern(task.preview, CANO_PREVIEW_MAX, 4));
    CU_ASSERT_EQUAL_FATAL(cano_queue_take(queue, &item, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_give_back(queue, &item, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(only_task(inspector).state, CANO_INSPECT_DEAD);
    CU_ASSERT_EQUAL_FATAL(cano_queue_dead_get(queue, &item, CANO_NOW), CANO_OK);
    task = only_task(inspector);
    CU_ASSERT_EQUAL(task.state, CANO_INSPECT_DEAD_HELD);
    CU_ASSERT_EQUAL(task.slot, only_participant(inspector).slot);
    CU_ASSERT_EQUAL(cano_queue_task_done(queue, &item), CANO_OK);
    size_t count = 9;
    CU_ASSERT_EQUAL(cano_inspector_tasks(inspector, NULL, 0, &count), CANO_OK);
    CU_ASSERT_EQUAL(count, 0);
    cano_inspector_close(inspector);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static int take_and_linger(int argc, char **argv)
{
    (void)argc;
    const stage s = enter(argv, CANO_GETTER);
    uint64_t number;
    DEMAND(cano_queue_get(s.queue, &number, sizeof number, NULL, PATIENCE) == CANO_OK);
    tell(&s, number);
    return linger_on(&s);
}

static cano_inspector_participant participant_at(cano_inspector *inspector, uint32_t slot)
{
    cano_inspector_participant list[8];
    size_t count = 0;
    CU_ASSERT_EQUAL(cano_inspector_participants(inspector, list, 8, &count), CANO_OK);
    for (size_t i = 0; i < count && i < 8; i++) {
        if (list[i].slot == slot) {
            return list[i];
        }
    }
    return (cano_inspector_participant){ 0 };
}

static void the_dead_are_told_and_put_right(void)
{
    stage s = stage_of(OPTIONS(.flags = CANO_JOINABLE));
    cano_inspector *inspector = look_at(s.names[0]);
    CU_ASSERT_EQUAL(put_number(s.queue, 7, CANO_NOW), CANO_OK);
    suite_child *child = start_on(&s, "take_and_linger", NULL);
    const int64_t pid = suite_pid(child);
    hear(&s, 7);
    const cano_inspector_participant holder = participant_at(inspector, only_task(inspector).slot);
    CU_ASSERT_EQUAL(holder.pid, pid);
    CU_ASSERT_EQUAL(holder.role, CANO_GETTER);
    CU_ASSERT_EQUAL(holder.dead, 0);
    CU_ASSERT_EQUAL(holder.leases, 1);
    kill_and_wait(child);
    CU_ASSERT_EQUAL(participant_at(inspector, holder.slot).dead, 1);
    CU_ASSERT_EQUAL(state_of(inspector).needs_repair, 1);
    CU_ASSERT_EQUAL(only_task(inspector).state, CANO_INSPECT_HELD); /* looking has repaired nothing */
    CU_ASSERT_EQUAL(cano_inspector_repair(inspector, PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(state_of(inspector).needs_repair, 0);
    CU_ASSERT_EQUAL(only_task(inspector).state, CANO_INSPECT_RETURNED);
    CU_ASSERT_EQUAL(only_task(inspector).deliveries, 2);
    CU_ASSERT_EQUAL(state_of(inspector).info.participants, 1);
    CU_ASSERT_EQUAL(get_number(s.queue, CANO_NOW), 7);
    cano_inspector_close(inspector);
    strike(&s);
}

/* ---- misuse ---- */

static void nonsense_is_refused(void)
{
    char path[512];
    cano_inspector *inspector = NULL;
    cano_inspect_name *names = NULL;
    size_t count = 0;
    CU_ASSERT_EQUAL(cano_inspect_directory(NULL, 5), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspect_directory(path, 1), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspect_names(NULL, &count), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspect_names(&names, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspect_check(NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspect_check("a/b"), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspect_remove("../x"), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_open(NULL, "x"), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_open(&inspector, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_open(&inspector, "a/b"), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_open(&inspector, suite_name("nobody")), CANO_ENOENT);
    cano_inspector_close(NULL);
    cano_inspector_state state = { .size = 8 };
    const char *name = suite_name("queue");
    cano_queue_close(make_named(name, OPTIONS(0)));
    inspector = look_at(name);
    CU_ASSERT_EQUAL(cano_inspector_look(inspector, &state), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_look(inspector, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_participants(inspector, NULL, 1, &count), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_tasks(inspector, NULL, 1, &count), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_tasks(inspector, NULL, 0, NULL), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_repair(inspector, -2), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_inspector_repair(NULL, CANO_NOW), CANO_EINVAL);
    cano_inspector_close(inspector);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static const suite_test tests[] = {
    { "names_are_listed_with_their_kind", names_are_listed_with_their_kind },
    { "a_listener_does_not_notice_being_looked_at", a_listener_does_not_notice_being_looked_at },
    { "a_dead_listener_is_told_and_removed", a_dead_listener_is_told_and_removed },
    { "a_queue_of_an_earlier_start_is_told_and_removed", a_queue_of_an_earlier_start_is_told_and_removed },
    { "strangers_and_damage_are_told_and_left_alone", strangers_and_damage_are_told_and_left_alone },
    { "half_made_things_are_told_once_they_are_old", half_made_things_are_told_once_they_are_old },
    { "state_is_what_stat_says", state_is_what_stat_says },
    { "looking_takes_no_place", looking_takes_no_place },
    { "tasks_are_told_with_who_holds_them", tasks_are_told_with_who_holds_them },
    { "returned_and_dead_letters_are_told", returned_and_dead_letters_are_told },
    { "the_dead_are_told_and_put_right", the_dead_are_told_and_put_right },
    { "nonsense_is_refused", nonsense_is_refused },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "listen_for_ever", listen_for_ever },
    { "take_and_linger", take_and_linger },
    { NULL, NULL },
};

/* In a directory of its own: what is laid there must trouble nobody. */
int main(int argc, char **argv)
{
    apr_initialize();
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    const bool child = argc > 1 && strcmp(argv[1], "role") == 0;
    const char *temporary = NULL;
    apr_temp_dir_get(&temporary, pool);
    char *directory = apr_pstrcat(pool, temporary, "/", suite_name("cano-inspect"), NULL);
    if (!child) {
        apr_dir_make(directory, APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE, pool);
        apr_env_set("CANO_DIR", directory, pool);
    }
    const int status = suite_main(argc, argv, "inspect", tests, roles);
    if (!child) {
        apr_dir_remove(directory, pool); /* fails when a test left something, which its failure tells */
    }
    return status;
}
