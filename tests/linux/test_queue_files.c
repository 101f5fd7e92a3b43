/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file behind a name: other versions, other starts of the machine, damage, strangers, and directories that are not safe or
 * full. Where the file is the memory, it can be damaged through the file.
 */
#include "queues.h"

#include "geometry.h"
#include "layout.h"
#include "name.h"
#include "posix/locks.h"
#include "ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER 65533 /* a user who is not us */

/* ---- files ---- */

static int open_file(const char *name)
{
    char path[CANO_OS_PATH_MAX];
    CU_ASSERT_EQUAL_FATAL(cano_name_path(name, path), CANO_OK);
    const int file = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_FATAL(file >= 0);
    return file;
}

static void patch(const char *name, size_t offset, const void *bytes, size_t size)
{
    const int file = open_file(name);
    CU_ASSERT_EQUAL(pwrite(file, bytes, size, (off_t)offset), (ssize_t)size);
    close(file);
}

static void patch_number(const char *name, size_t offset, uint64_t number, size_t size)
{
    patch(name, offset, &number, size); /* little endian, as every machine this has run on */
}

#define PATCH(name, type, field, number) patch_number(name, offsetof(type, field), number, sizeof(((type *)0)->field))

static cano_status status_of_open(const char *name)
{
    cano_queue *queue = NULL;
    const cano_status status = cano_queue_open(&queue, name, NULL);
    cano_queue_close(queue);
    return status;
}

static cano_status status_of_create(const char *name, uint32_t flags)
{
    cano_queue *queue = NULL;
    const cano_status status = cano_queue_create(&queue, name, &OPTIONS(.flags = flags));
    cano_queue_close(queue);
    return status;
}

static void unlink_name(const char *name)
{
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

/* ---- what is in the header ---- */

static const char *make_and_leave(void)
{
    const char *name = suite_name("file");
    cano_queue_close(make_named(name, OPTIONS(0)));
    return name;
}

static void check_refused(const char *name, cano_status status)
{
    CU_ASSERT_EQUAL(status_of_open(name), status);
    CU_ASSERT_EQUAL(status_of_create(name, CANO_OPEN_EXISTING), status);
    CU_ASSERT_EQUAL(status_of_create(name, 0), CANO_EEXIST);
    unlink_name(name);
}

static void other_version_is_told(void)
{
    const char *name = make_and_leave();
    PATCH(name, cano_segment_header, layout, CANO_LAYOUT + 1);
    check_refused(name, CANO_EVERSION);
    name = make_and_leave();
    PATCH(name, cano_segment_header, layout, 0);
    check_refused(name, CANO_EVERSION);
    name = make_and_leave();
    PATCH(name, cano_segment_header, word_size, 4);
    check_refused(name, CANO_EVERSION);
}

static void other_kind_is_told(void)
{
    const char *name = make_and_leave();
    PATCH(name, cano_segment_header, magic, 0);
    check_refused(name, CANO_EKIND);
    name = make_and_leave();
    PATCH(name, cano_segment_header, kind, CANO_KIND_PIPE);
    check_refused(name, CANO_EKIND);
}

static void damaged_header_is_told(void)
{
    static const struct {
        size_t offset;
        uint64_t number;
        size_t size;
    } damages[] = {
        { offsetof(cano_segment_header, size), 0, 8 },
        { offsetof(cano_segment_header, size), UINT64_MAX, 8 },
        { offsetof(cano_segment_header, id), 0, 8 },
        { offsetof(cano_segment_header, id) + 32, 'a', 1 },
        { offsetof(cano_queue_shared, limits.max_items), 0, 8 },
        { offsetof(cano_queue_shared, limits.max_items), UINT64_MAX, 8 },
        { offsetof(cano_queue_shared, limits.max_items), 8388607, 8 }, /* possible, but not in this file */
        { offsetof(cano_queue_shared, limits.max_bytes), 0, 8 },
        { offsetof(cano_queue_shared, limits.max_bytes), UINT64_C(1) << 40, 8 },
        { offsetof(cano_queue_shared, limits.max_participants), 0, 4 },
        { offsetof(cano_queue_shared, limits.max_participants), UINT32_MAX, 4 },
        { offsetof(cano_queue_shared, limits.max_leases), 1, 4 }, /* of a plain queue */
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const char *name = make_and_leave();
        patch_number(name, damages[i].offset, damages[i].number, damages[i].size);
        check_refused(name, CANO_ECORRUPT);
    }
}

static void file_cut_short_is_told(void)
{
    const char *name = make_and_leave();
    const int file = open_file(name);
    CU_ASSERT_EQUAL(ftruncate(file, 2000), 0);
    close(file);
    check_refused(name, CANO_ECORRUPT);
}

static void whatever_else_has_the_name_is_no_queue(void)
{
    for (int kind = 0; kind < 5; kind++) {
        const char *name = suite_name("other");
        char path[CANO_OS_PATH_MAX];
        CU_ASSERT_EQUAL_FATAL(cano_name_path(name, path), CANO_OK);
        const int file = kind < 2 ? open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) : -1;
        if (kind == 1) {
            CU_ASSERT_EQUAL(write(file, "hello", 5), 5);
        }
        close(file);
        CU_ASSERT(kind != 2 || mkdir(path, 0700) == 0);
        CU_ASSERT(kind != 3 || symlink("/dev/null", path) == 0);
        CU_ASSERT(kind != 4 || mkfifo(path, 0600) == 0);
        CU_ASSERT_EQUAL(status_of_open(name), CANO_EKIND);
        CU_ASSERT_EQUAL(status_of_create(name, CANO_OPEN_EXISTING), CANO_EKIND);
        CU_ASSERT_EQUAL(status_of_create(name, 0), CANO_EEXIST);
        CU_ASSERT_EQUAL(kind == 2 ? rmdir(path) : unlink(path), 0);
    }
}

/* ---- another start of the machine ---- */

static const char *make_stale(void)
{
    const char *name = suite_name("stale");
    cano_queue *queue = make_named(name, OPTIONS(0));
    put_number(queue, 1, CANO_NOW);
    cano_queue_close(queue);
    patch(name, offsetof(cano_segment_header, boot), "long ago", 9);
    return name;
}

static void queue_of_another_boot_is_no_more(void)
{
    const char *name = make_stale();
    CU_ASSERT_EQUAL(status_of_open(name), CANO_ENOENT);
    cano_queue *queue = make_named(name, OPTIONS(.flags = CANO_JOINABLE)); /* made anew */
    CU_ASSERT_EQUAL(count_of(queue), 0);
    CU_ASSERT_EQUAL(status_of_create(name, 0), CANO_EEXIST);
    cano_queue_close(queue);
    unlink_name(name);
    name = make_stale();
    queue = make_named(name, OPTIONS(.flags = CANO_OPEN_EXISTING));
    CU_ASSERT_EQUAL(count_of(queue), 0);
    cano_queue_close(queue);
    unlink_name(name);
    unlink_name(make_stale());
}

#define RACERS 4

static int run_racer(int argc, char **argv)
{
    (void)argc;
    stage s = enter(argv, 0);
    uint64_t number;
    tell(&s, 1);
    while (cano_queue_peek(s.queue, &number, sizeof number, NULL, PATIENCE) != CANO_OK) { /* the gun */
    }
    cano_queue *queue = NULL;
    DEMAND(cano_queue_create(&queue, s.argument, &OPTIONS(.flags = CANO_OPEN_EXISTING)) == CANO_OK);
    DEMAND(put_number(queue, 1, PATIENCE) == CANO_OK);
    cano_queue_close(queue);
    leave(&s);
    return 0;
}

static void racers_make_one_queue_of_a_stale_one(void)
{
    for (int round = 0; round < 15; round++) {
        stage s = stage_of(OPTIONS(0));
        const char *name = make_stale();
        suite_child *children[RACERS];
        for (int i = 0; i < RACERS; i++) {
            children[i] = start_on(&s, "racer", name);
        }
        for (int i = 0; i < RACERS; i++) {
            hear(&s, 1);
        }
        put_number(s.queue, 1, PATIENCE);
        for (int i = 0; i < RACERS; i++) {
            end_well(children[i]);
        }
        cano_queue *queue = open_named(name);
        CU_ASSERT_EQUAL(count_of(queue), RACERS);
        cano_queue_close(queue);
        unlink_name(name);
        strike(&s);
    }
}

/* ---- damage while it is in use ---- */

static size_t ring_of(uint32_t flags)
{
    const cano_queue_limits limits = {
        .max_items = 1024, .max_bytes = 524288, .flags = flags, .max_participants = 64, .max_leases = flags != 0 ? 256 : 0
    };
    cano_geometry geometry;
    CU_ASSERT_EQUAL_FATAL(cano_geometry_of(&limits, &geometry), CANO_OK);
    return (size_t)geometry.ring;
}

/* Everything is refused from now on, and nothing worse happens. */
static void check_broken(cano_queue *queue)
{
    size_t count;
    uint64_t number = 0;
    cano_item item;
    cano_queue_info info = { .size = sizeof info };
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(status_of_get(queue, CANO_NOW), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_queue_peek(queue, &number, sizeof number, NULL, CANO_NOW), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_queue_take(queue, &item, CANO_FOREVER), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_queue_qsize(queue, &count), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_queue_lock(queue, CANO_FOREVER), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_queue_shutdown(queue, false), CANO_ECORRUPT);
    CU_ASSERT_EQUAL(cano_queue_stat(queue, &info), CANO_ECORRUPT);
}

static void impossible_record_is_damage(void)
{
    static const uint64_t headers[] = {
        UINT64_C(1) << 56 | 0xffffff00,            /* longer than the ring */
        UINT64_C(1) << 56 | 0x00040000,            /* longer than half of it */
        UINT64_C(77) << 56 | 8,                    /* of no kind */
        UINT64_C(1) << 56 | UINT64_C(1) << 40 | 8, /* bits that are never set */
        8,                                         /* no kind at all */
        UINT64_C(3) << 56 | 8,                     /* too short to refer to blocks */
        UINT64_C(4) << 56 | 8,                     /* a pipe's */
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        const char *name = suite_name("damage");
        cano_queue *queue = make_named(name, OPTIONS(0));
        put_number(queue, 1, CANO_NOW);
        patch_number(name, ring_of(0), headers[i], sizeof headers[i]);
        CU_ASSERT_EQUAL(status_of_get(queue, CANO_FOREVER), CANO_ECORRUPT);
        check_broken(queue);
        cano_queue_close(queue);
        unlink_name(name);
    }
}

static void impossible_reference_is_damage(void)
{
    const cano_block_reference references[] = { { 100000, UINT32_MAX, 0 },
                                                { UINT64_MAX, 0, 0 },
                                                { 100000, 2048, 0 },
                                                { 524288, 0, 0 }, /* more than lies there */
                                                { 100000, 1, 0 } /* in the middle */ };
    static unsigned char memory[600000];
    for (uint32_t flags = 0; flags <= CANO_JOINABLE; flags++) {
        for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
            const char *name = suite_name("damage");
            cano_queue *queue = make_named(name, OPTIONS(.flags = flags));
            void *place;
            CU_ASSERT_EQUAL(cano_queue_reserve(queue, 100000, &place, CANO_NOW), CANO_OK);
            CU_ASSERT_EQUAL(cano_queue_commit(queue, place, 100000, CANO_NOW), CANO_OK);
            patch(name, ring_of(flags) + CANO_RING_UNIT, &references[i], sizeof references[i]);
            CU_ASSERT_EQUAL(cano_queue_get(queue, memory, sizeof memory, NULL, CANO_FOREVER), CANO_ECORRUPT);
            check_broken(queue);
            cano_queue_close(queue);
            unlink_name(name);
        }
    }
}

static void lock_word_that_lies_about_us_is_damage(void)
{
    for (int side = 0; side < 2; side++) {
        const char *name = suite_name("damage");
        cano_queue *queue = make_named(name, OPTIONS(0));
        put_number(queue, 1, CANO_NOW);
        const size_t word = side == 0 ? offsetof(cano_queue_shared, put_lock) : offsetof(cano_queue_shared, get_lock);
        patch_number(name, word, 1 | 1u << 10, 4); /* the first slot, its first holder: we */
        CU_ASSERT_EQUAL(side == 0 ? put_number(queue, 2, CANO_FOREVER) : status_of_get(queue, CANO_FOREVER), CANO_ECORRUPT);
        check_broken(queue);
        cano_queue_close(queue);
        unlink_name(name);
    }
}

static void lock_word_of_nobody_is_taken_over(void)
{
    const char *name = suite_name("damage");
    cano_queue *queue = make_named(name, OPTIONS(0));
    patch_number(name, offsetof(cano_queue_shared, put_lock), 900 | 5u << 10, 4);
    CU_ASSERT_EQUAL(put_number(queue, 2, PATIENCE), CANO_OK);
    patch_number(name, offsetof(cano_queue_shared, get_lock), 2 | 9u << 10, 4);
    CU_ASSERT_EQUAL(get_number(queue, PATIENCE), 2);
    cano_queue_close(queue);
    unlink_name(name);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *state >> 20;
}

/* In a child: use a queue with short waits while its memory is scribbled on. Any status will do. */
static void use_scribbled(const char *name, uint64_t seed)
{
    static unsigned char buffer[4000];
    cano_queue *queue = NULL;
    DEMAND(cano_queue_open(&queue, name, NULL) == CANO_OK);
    const int file = open_file(name);
    struct stat is;
    DEMAND(fstat(file, &is) == 0);
    for (int i = 0; i < 60; i++) {
        const uint64_t random = next_random(&seed);
        const uint64_t number = random % 3 == 0 ? next_random(&seed) << 22 : random % 3 == 1 ? random % 70 : UINT64_MAX;
        const size_t from = sizeof(cano_segment_header) + sizeof(cano_queue_limits);
        const size_t range = random % 2 == 0 ? 2048 : (size_t)is.st_size - from - 8; /* often where the words are */
        DEMAND(pwrite(file, &number, 8, (off_t)(from + next_random(&seed) % range / 4 * 4)) == 8);
        cano_queue_put(queue, buffer, (size_t)(random % sizeof buffer), 1000);
        size_t count;
        cano_queue_qsize(queue, &count);
        cano_item item;
        if (cano_queue_take(queue, &item, 1000) == CANO_OK) {
            const size_t used = item.size < sizeof buffer ? item.size : sizeof buffer;
            memcpy(buffer, item.data, used);
            cano_queue_task_done(queue, random % 5 == 0 ? NULL : &item);
            cano_queue_release(queue, &item);
        }
        cano_queue_unfinished(queue, &count);
        cano_queue_join(queue, 1000);
    }
    close(file);
    cano_queue_close(queue);
}

static void scribbling_does_no_harm_to_the_process(void)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        const char *name = suite_name("scribble");
        cano_queue *queue =
            make_named(name, OPTIONS(.flags = seed % 2 != 0 ? CANO_JOINABLE : 0, .max_items = 8, .max_bytes = 8000));
        for (uint64_t i = 0; i < 5; i++) {
            put_pattern(queue, (size_t)i * 300, i, CANO_NOW);
        }
        cano_queue_close(queue);
        fflush(NULL);
        const pid_t child = fork();
        CU_ASSERT_FATAL(child >= 0);
        if (child == 0) {
            alarm(30);
            use_scribbled(name, seed * 977 + 1);
            _exit(0);
        }
        int status = -1;
        while (waitpid(child, &status, 0) < 0) {
        }
        if (status != 0) {
            printf("\n    seed %d: wait status %d ", (int)seed, status);
        }
        CU_ASSERT_EQUAL(status, 0);
        unlink_name(name);
    }
}

/* ---- directories ---- */

/* A directory of this test, with CANO_DIR pointing to it. */
typedef struct own_directory {
    char path[64];
    char *before;
} own_directory;

static own_directory enter_directory(void)
{
    own_directory directory = { "/tmp/cano-test-XXXXXX", NULL };
    const char *before = getenv("CANO_DIR");
    directory.before = before == NULL ? NULL : strdup(before);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory.path));
    setenv("CANO_DIR", directory.path, 1);
    return directory;
}

/* It must be empty: nothing is left beside the names. */
static void leave_directory(own_directory *directory)
{
    if (directory->before != NULL) {
        setenv("CANO_DIR", directory->before, 1);
    } else {
        unsetenv("CANO_DIR");
    }
    free(directory->before);
    CU_ASSERT_EQUAL(rmdir(directory->path), 0);
}

static void directory_others_may_write_to_is_refused(void)
{
    own_directory directory = enter_directory();
    CU_ASSERT_EQUAL(status_of_create("q", 0), CANO_OK);
    CU_ASSERT_EQUAL(chmod(directory.path, 0777), 0);
    CU_ASSERT_EQUAL(status_of_create("r", 0), CANO_EACCES);
    CU_ASSERT_EQUAL(status_of_open("q"), CANO_EACCES);
    CU_ASSERT_EQUAL(cano_queue_unlink("q"), CANO_EACCES);
    CU_ASSERT_EQUAL(chmod(directory.path, 01777), 0); /* as /tmp is: each removes his own only */
    CU_ASSERT_EQUAL(status_of_open("q"), CANO_OK);
    unlink_name("q");
    leave_directory(&directory);
}

static void directory_that_is_none_is_told(void)
{
    own_directory directory = enter_directory();
    char path[100];
    snprintf(path, sizeof path, "%s/none", directory.path);
    setenv("CANO_DIR", path, 1);
    CU_ASSERT_EQUAL(status_of_create("q", 0), CANO_ENOENT);
    setenv("CANO_DIR", "/dev/null", 1);
    CU_ASSERT_EQUAL(status_of_create("q", 0), CANO_EACCES);
    leave_directory(&directory);
}

static void nothing_is_left_beside_the_name(void)
{
    own_directory directory = enter_directory();
    for (int i = 0; i < 5; i++) {
        cano_queue *queue = make_named("q", OPTIONS(.flags = CANO_JOINABLE));
        cano_queue *other = open_named("q");
        cano_native native;
        CU_ASSERT_EQUAL(cano_queue_native(other, &native), CANO_OK);
        put_number(queue, 1, CANO_NOW);
        CU_ASSERT_EQUAL(status_of_create("q", 0), CANO_EEXIST);
        unlink_name("q");
        cano_queue_close(queue);
        cano_queue_close(other);
    }
    cano_queue_close(make_queue(OPTIONS(0)));
    leave_directory(&directory);
}

static mode_t mode_of(const char *name)
{
    struct stat is = { 0 };
    const int file = open_file(name);
    CU_ASSERT_EQUAL(fstat(file, &is), 0);
    close(file);
    return is.st_mode & 07777;
}

static void access_is_the_mode_of_the_file(void)
{
    static const mode_t modes[] = { 0600, 0660, 0666 };
    own_directory directory = enter_directory();
    const mode_t before = umask(077);
    for (uint32_t access = 0; access < 3; access++) {
        cano_queue_close(make_named("q", OPTIONS(.access = access)));
        CU_ASSERT_EQUAL(mode_of("q"), modes[access]);
        unlink_name("q");
    }
    umask(before);
    leave_directory(&directory);
}

static bool is_root(const char *test)
{
    if (geteuid() != 0) {
        printf("\n    not run here: %s: needs root\n", test);
    }
    return geteuid() == 0;
}

static void queue_of_a_stranger_is_refused_unless_access_allows_it(void)
{
    if (!is_root("queue_of_a_stranger_is_refused_unless_access_allows_it")) {
        return;
    }
    own_directory directory = enter_directory();
    cano_queue_close(make_named("q", OPTIONS(.access = CANO_ACCESS_EVERYONE)));
    char path[100];
    snprintf(path, sizeof path, "%s/q", directory.path);
    CU_ASSERT_EQUAL(chown(path, STRANGER, STRANGER), 0);
    CU_ASSERT_EQUAL(status_of_open("q"), CANO_EACCES);
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL(cano_queue_open(&queue, "q", &OPTIONS(.access = CANO_ACCESS_GROUP)), CANO_EACCES);
    CU_ASSERT_EQUAL(cano_queue_open(&queue, "q", &OPTIONS(.access = CANO_ACCESS_EVERYONE)), CANO_OK);
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(chown(path, geteuid(), getegid()), 0);
    unlink_name("q");
    leave_directory(&directory);
}

/* As a stranger: what is there, by access, and nothing of it may go. */
static int be_a_stranger(void)
{
    cano_queue *queue = NULL;
    DEMAND(setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
    DEMAND(status_of_open("mine") == CANO_EACCES);
    DEMAND(cano_queue_open(&queue, "mine", &OPTIONS(.access = CANO_ACCESS_EVERYONE)) == CANO_EACCES);
    DEMAND(status_of_open("ours") == CANO_EACCES);
    DEMAND(cano_queue_open(&queue, "ours", &OPTIONS(.access = CANO_ACCESS_EVERYONE)) == CANO_OK);
    DEMAND(get_number(queue, CANO_NOW) == 5);
    cano_queue_close(queue);
    DEMAND(cano_queue_unlink("ours") == CANO_EACCES);
    return 0;
}

static void stranger_gets_what_access_gives_him(void)
{
    if (!is_root("stranger_gets_what_access_gives_him")) {
        return;
    }
    own_directory directory = enter_directory();
    CU_ASSERT_EQUAL(chmod(directory.path, 01777), 0);
    cano_queue *mine = make_named("mine", OPTIONS(0));
    cano_queue *ours = make_named("ours", OPTIONS(.access = CANO_ACCESS_EVERYONE));
    put_number(ours, 5, CANO_NOW);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        _exit(be_a_stranger());
    }
    int status = -1;
    while (waitpid(child, &status, 0) < 0) {
    }
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(put_number(ours, 6, CANO_NOW), CANO_OK);
    cano_queue_close(mine);
    cano_queue_close(ours);
    unlink_name("mine");
    unlink_name("ours");
    leave_directory(&directory);
}

/* ---- held up ---- */

/* As one who is stopped in the middle of attaching: the guard's byte is locked in every file there is. */
static void hold_guards(const char *path, int files[8], size_t *count)
{
    DIR *listing = opendir(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(listing);
    *count = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL && *count < 8;) {
        const int file = openat(dirfd(listing), entry->d_name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (file >= 0) {
            CU_ASSERT_EQUAL(cano_posix_lock_range(file, F_WRLCK, CANO_POSIX_GUARD, 1), 0);
            files[(*count)++] = file;
        }
    }
    closedir(listing);
    CU_ASSERT(*count > 0);
}

static void opener_waits_5_seconds_for_one_who_is_stopped(void)
{
    own_directory directory = enter_directory();
    cano_queue *queue = make_named("q", OPTIONS(0));
    int files[8];
    size_t count;
    hold_guards(directory.path, files, &count);
    const int64_t start = suite_now();
    CU_ASSERT_EQUAL(status_of_open("q"), CANO_ETIMEOUT);
    CU_ASSERT(elapsed(start) >= 5000000);
    CU_ASSERT(elapsed(start) < 5000000 + SUITE_PATIENCE / 4);
    CU_ASSERT_EQUAL(put_number(queue, 1, CANO_NOW), CANO_OK); /* who is there already goes on */
    CU_ASSERT_EQUAL(get_number(queue, CANO_NOW), 1);
    for (size_t i = 0; i < count; i++) {
        close(files[i]);
    }
    CU_ASSERT_EQUAL(status_of_open("q"), CANO_OK);
    cano_queue_close(queue);
    unlink_name("q");
    leave_directory(&directory);
}

/* ---- full ---- */

static void full_directory_is_found_at_creation(void)
{
    if (!is_root("full_directory_is_found_at_creation")) {
        return;
    }
    own_directory directory = enter_directory();
    if (mount("cano", directory.path, "tmpfs", 0, "size=1m") != 0) {
        printf("\n    not run here: full_directory_is_found_at_creation: mount: %s\n", strerror(errno));
        leave_directory(&directory);
        return;
    }
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL(cano_queue_create(&queue, "large", &OPTIONS(.max_bytes = 4000000)), CANO_ENOSPC);
    CU_ASSERT_NOT_EQUAL(cano_os_error(), 0);
    CU_ASSERT_EQUAL(status_of_open("large"), CANO_ENOENT);
    queue = make_named("small", OPTIONS(.max_items = 16, .max_bytes = 400000));
    CU_ASSERT_EQUAL(cano_queue_create(&queue, "another", &OPTIONS(.max_items = 16, .max_bytes = 700000)), CANO_ENOSPC);
    for (uint64_t i = 0; i < 10; i++) { /* what was made has all its room */
        CU_ASSERT_EQUAL(put_pattern(queue, 400000, i, CANO_NOW), CANO_OK);
        CU_ASSERT(get_pattern(queue, 400000, i));
    }
    cano_queue_close(queue);
    unlink_name("small");
    CU_ASSERT_EQUAL(umount(directory.path), 0);
    leave_directory(&directory);
}

static void lack_of_descriptors_is_a_limit(void)
{
    struct rlimit before;
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    const char *name = suite_name("limit");
    cano_queue *keeper = make_named(name, OPTIONS(.max_participants = 100));
    const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    bool opened = false;
    for (rlim_t room = 0; room < 30 && !opened; room++) { /* one more each time, until it is enough */
        const struct rlimit low = { (rlim_t)next + room, before.rlim_max };
        CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &low), 0);
        const cano_status status = status_of_open(name);
        const cano_status nameless = status_of_create(NULL, 0);
        CU_ASSERT(status == CANO_ELIMIT || status == CANO_OK);
        CU_ASSERT(nameless == CANO_ELIMIT || nameless == CANO_OK);
        CU_ASSERT_EQUAL(put_number(keeper, 1, CANO_NOW), CANO_OK); /* goes on without */
        CU_ASSERT_EQUAL(get_number(keeper, CANO_NOW), 1);
        opened = status == CANO_OK && nameless == CANO_OK;
    }
    CU_ASSERT(opened);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
    CU_ASSERT_EQUAL(picture_of(keeper).participants, 1);
    cano_queue_close(keeper);
    unlink_name(name);
}

static const suite_test tests[] = {
    { "other_version_is_told", other_version_is_told },
    { "other_kind_is_told", other_kind_is_told },
    { "damaged_header_is_told", damaged_header_is_told },
    { "file_cut_short_is_told", file_cut_short_is_told },
    { "whatever_else_has_the_name_is_no_queue", whatever_else_has_the_name_is_no_queue },
    { "queue_of_another_boot_is_no_more", queue_of_another_boot_is_no_more },
    { "racers_make_one_queue_of_a_stale_one", racers_make_one_queue_of_a_stale_one },
    { "impossible_record_is_damage", impossible_record_is_damage },
    { "impossible_reference_is_damage", impossible_reference_is_damage },
    { "lock_word_that_lies_about_us_is_damage", lock_word_that_lies_about_us_is_damage },
    { "lock_word_of_nobody_is_taken_over", lock_word_of_nobody_is_taken_over },
    { "scribbling_does_no_harm_to_the_process", scribbling_does_no_harm_to_the_process },
    { "directory_others_may_write_to_is_refused", directory_others_may_write_to_is_refused },
    { "directory_that_is_none_is_told", directory_that_is_none_is_told },
    { "nothing_is_left_beside_the_name", nothing_is_left_beside_the_name },
    { "access_is_the_mode_of_the_file", access_is_the_mode_of_the_file },
    { "queue_of_a_stranger_is_refused_unless_access_allows_it", queue_of_a_stranger_is_refused_unless_access_allows_it },
    { "stranger_gets_what_access_gives_him", stranger_gets_what_access_gives_him },
    { "opener_waits_5_seconds_for_one_who_is_stopped", opener_waits_5_seconds_for_one_who_is_stopped },
    { "full_directory_is_found_at_creation", full_directory_is_found_at_creation },
    { "lack_of_descriptors_is_a_limit", lack_of_descriptors_is_a_limit },
    { NULL, NULL },
};

static const suite_role roles[] = { { "racer", run_racer }, { NULL, NULL } };

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "queue: files", tests, roles);
}
