/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every store: a process does one thing to a queue or a pipe and is killed in front of its first store to shared memory, its
 * second, its third, until it comes to its end alive. Each time the survivor must find all that was there, whole and once, in
 * time, and nothing left over.
 *
 * CANO_STORES in the environment: try only every so-manieth point, beginning with another one for each operation.
 */
#include "suite.h"

#include "../kill/message.h"
#include "../kill/points.h"

#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE INT64_C(2000000) /* microseconds nobody may need after a death */
#define DIED 9
#define LARGE 3000
#define WAITING 2  /* messages that are there before the victim comes: 1 and 2 */
#define VICTIMS 10 /* first number of its messages */
#define MARKER 99  /* the survivor's own */
#define IDS 100
#define MOST_POINTS 3000

typedef struct deed {
    const char *name;
    bool takes; /* the first message may be gone, if it was done */
    cano_status (*run)(cano_queue *queue, cano_item *item);
    bool prepares; /* it has taken the first message unharmed */
    bool opens;    /* coming in is part of it */
} deed;

static uint64_t tried;
static uint64_t deaths;
static int64_t longest;

/* ---- what victims do ---- */

static size_t size_of(uint64_t id)
{
    return id == VICTIMS + 1 || id == 2 ? LARGE : 40;
}

static cano_status put(cano_queue *queue, uint64_t id, cano_timeout timeout)
{
    unsigned char data[LARGE];
    message_fill(data, size_of(id), id);
    return cano_queue_put(queue, data, size_of(id), timeout);
}

static cano_status put_small(cano_queue *queue, cano_item *item)
{
    (void)item;
    return put(queue, VICTIMS, CANO_NOW);
}

static cano_status put_large(cano_queue *queue, cano_item *item)
{
    (void)item;
    return put(queue, VICTIMS + 1, CANO_NOW);
}

static cano_status put_several(cano_queue *queue, cano_item *item)
{
    (void)item;
    unsigned char data[3][LARGE];
    cano_slice slices[3];
    for (uint64_t i = 0; i < 3; i++) {
        slices[i] = (cano_slice){ data[i], size_of(VICTIMS + i) };
        message_fill(data[i], slices[i].size, VICTIMS + i);
    }
    return cano_queue_put_many(queue, slices, 3, CANO_NOW);
}

static cano_status reserve_and_commit(cano_queue *queue, cano_item *item)
{
    (void)item;
    void *memory;
    const cano_status status = cano_queue_reserve(queue, LARGE, &memory, CANO_NOW);
    if (status == CANO_OK) {
        message_fill(memory, size_of(VICTIMS), VICTIMS);
    }
    return status == CANO_OK ? cano_queue_commit(queue, memory, size_of(VICTIMS), CANO_NOW) : status;
}

static cano_status take(cano_queue *queue, cano_item *item)
{
    return cano_queue_take(queue, item, CANO_NOW);
}

static cano_status take_and_do(cano_queue *queue, cano_item *item)
{
    const cano_status status = take(queue, item);
    return status == CANO_OK ? cano_queue_task_done(queue, item) : status;
}

static cano_status give_back(cano_queue *queue, cano_item *item)
{
    return cano_queue_give_back(queue, item, CANO_NOW);
}

static cano_status lock_and_unlock(cano_queue *queue, cano_item *item)
{
    (void)item;
    const cano_status status = cano_queue_lock(queue, CANO_NOW);
    return status == CANO_OK ? cano_queue_unlock(queue) : status;
}

static cano_status nothing(cano_queue *queue, cano_item *item)
{
    (void)queue;
    (void)item;
    return CANO_OK;
}

static cano_status close_it(cano_queue *queue, cano_item *item)
{
    (void)item;
    cano_queue_close(queue);
    return CANO_OK;
}

static const deed deeds[] = {
    { "put small", false, put_small, false, false },
    { "put large", false, put_large, false, false },
    { "put several", false, put_several, false, false },
    { "reserve, commit", false, reserve_and_commit, false, false },
    { "take, task_done", true, take_and_do, false, false },
    { "give_back", false, give_back, true, false },
    { "lock, unlock", false, lock_and_unlock, false, false },
    { "open", false, nothing, false, true },
    { "close", false, close_it, true, false },
};
#define DEEDS (sizeof deeds / sizeof deeds[0])

/* argv: name of the queue, number of the deed, point. */
static int run_victim(int argc, char **argv)
{
    cano_queue *queue = NULL;
    cano_item item = { 0 };
    if (argc != 3) {
        return 1;
    }
    const deed *what = &deeds[strtoul(argv[1], NULL, 10) % DEEDS];
    const uint64_t point = strtoull(argv[2], NULL, 10);
    if (what->opens) {
        points_arm(point);
    }
    if (cano_queue_open(&queue, argv[0], NULL) != CANO_OK || (what->prepares && take(queue, &item) != CANO_OK)) {
        return 2;
    }
    if (!what->opens) {
        points_arm(point);
    }
    const cano_status status = what->run(queue, &item);
    points_arm(0);
    return status == CANO_OK ? 0 : 3;
}

/* ---- what the survivor finds ---- */

typedef struct finding {
    int seen[IDS];
    const char *failure; /* NULL: all is well */
} finding;

static void check(finding *found, bool good, const char *failure)
{
    found->failure = found->failure == NULL && !good ? failure : found->failure;
}

static bool drain(cano_queue *queue, finding *found)
{
    unsigned char data[LARGE];
    size_t size = 0;
    for (int i = 0; i < IDS; i++) {
        if (cano_queue_get(queue, data, sizeof data, &size, LATE) != CANO_OK) {
            check(found, false, "the marker does not come");
            return false;
        }
        const uint64_t id = message_check(data, size);
        check(found, id != 0 && id < IDS && size == size_of(id), "torn");
        check(found, cano_queue_task_done(queue, NULL) == CANO_OK, "task_done");
        found->seen[id < IDS ? id : 0]++;
        if (id == MARKER) {
            return true;
        }
    }
    check(found, false, "too many");
    return false;
}

/* What was given back may come behind the marker. */
static void drain_rest(cano_queue *queue, finding *found)
{
    unsigned char data[LARGE];
    size_t size = 0;
    while (cano_queue_get(queue, data, sizeof data, &size, CANO_NOW) == CANO_OK) {
        const uint64_t id = message_check(data, size);
        check(found, id != 0 && id < IDS && size == size_of(id), "torn");
        check(found, cano_queue_task_done(queue, NULL) == CANO_OK, "task_done");
        found->seen[id < IDS ? id : 0]++;
    }
}

static finding look(cano_queue *queue, const deed *what, bool died)
{
    finding found = { { 0 }, NULL };
    const int64_t began = suite_now();
    check(&found, put(queue, MARKER, LATE) == CANO_OK, "put");
    drain(queue, &found);
    drain_rest(queue, &found);
    check(&found, cano_queue_join(queue, LATE) == CANO_OK, "join");
    const int64_t took = suite_now() - began;
    longest = took > longest ? took : longest;
    for (int id = 1; id <= WAITING; id++) {
        const bool may_go = what->takes && id == 1;
        check(&found, found.seen[id] == 1 || (may_go && found.seen[id] == 0), "lost, or twice");
    }
    for (int id = VICTIMS; id < VICTIMS + 3; id++) {
        check(&found, found.seen[id] <= 1, "twice");
    }
    check(&found, found.seen[VICTIMS] == found.seen[VICTIMS + 2] || what->run != put_several, "half of several");
    size_t size = 1;
    check(&found, cano_queue_qsize(queue, &size) == CANO_OK && size == 0, "left over");
    check(&found, died || what->takes || found.seen[1] == 1, "lost");
    return found;
}

static void prepare(cano_queue *queue)
{
    for (uint64_t id = 1; id <= WAITING; id++) {
        CU_ASSERT_EQUAL_FATAL(put(queue, id, LATE), CANO_OK);
    }
}

/* True: it died at that point. */
static bool try_point(cano_queue *queue, const char *name, size_t number, uint64_t point)
{
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%u", (unsigned)number);
    snprintf(texts[1], sizeof texts[1], "%llu", (unsigned long long)point);
    prepare(queue);
    const int code = suite_wait(suite_start("victim", name, texts[0], texts[1], NULL), SUITE_PATIENCE);
    const finding found = look(queue, &deeds[number], code == DIED);
    tried++;
    deaths += code == DIED;
    if (found.failure != NULL || (code != 0 && code != DIED)) {
        printf("%s, point %llu, exit status %d: %s\n", deeds[number].name, (unsigned long long)point, code,
               found.failure != NULL ? found.failure : "not done");
        CU_FAIL("see above");
    }
    return code == DIED;
}

static uint64_t stride(void)
{
    const char *text = getenv("CANO_STORES");
    const uint64_t every = text == NULL ? 1 : strtoull(text, NULL, 10);
    return every > 0 ? every : 1;
}

static void try_deed(size_t number)
{
    const char *name = suite_name("stores");
    cano_queue *queue = NULL;
    cano_queue_options options = CANO_QUEUE_OPTIONS_INIT;
    options.flags = CANO_JOINABLE;
    options.max_items = 8;
    options.max_bytes = 32768;
    options.max_participants = 4;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, name, &options), CANO_OK);
    uint64_t point = 1 + number % stride();
    while (point < MOST_POINTS && try_point(queue, name, number, point)) {
        point += stride();
    }
    CU_ASSERT(point < MOST_POINTS);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink(name), CANO_OK);
}

static void no_death_at_any_store_harms_a_queue(void)
{
    for (size_t i = 0; i < DEEDS; i++) {
        try_deed(i);
    }
    printf("%llu processes, %llu died, longest recovery %.1f ms: ", (unsigned long long)tried, (unsigned long long)deaths,
           (double)longest / 1000);
}

/* ---- pipes ---- */

#define PIPE_LARGE 200000

static const size_t pipe_sizes[] = { 40, PIPE_LARGE, 0, 3000 };
#define PIPE_MESSAGES (sizeof pipe_sizes / sizeof pipe_sizes[0])

/* argv: point. Sends all messages, and dies. */
static int run_speaker(int argc, char **argv)
{
    static unsigned char data[PIPE_LARGE];
    cano_pipe *pipe;
    if (argc != 1 || cano_inherited_pipe("pipe", &pipe) != CANO_OK) {
        return 1;
    }
    points_arm(strtoull(argv[0], NULL, 10));
    for (size_t i = 0; i < PIPE_MESSAGES; i++) {
        message_fill(data, pipe_sizes[i], i + 1);
        if (cano_pipe_send(pipe, data, pipe_sizes[i], CANO_FOREVER) != CANO_OK) {
            return 2;
        }
    }
    cano_pipe_close(pipe);
    points_arm(0);
    return 0;
}

/* How many came, whole and in order; -1: something else did. */
static int listen_to(cano_pipe *pipe)
{
    static unsigned char data[PIPE_LARGE];
    size_t size = 0;
    cano_status status = CANO_OK;
    for (int count = 0;; count++) {
        status = cano_pipe_recv(pipe, data, sizeof data, &size, SUITE_PATIENCE);
        if (status != CANO_OK) {
            return status == CANO_ECLOSED ? count : -1;
        }
        if (count >= (int)PIPE_MESSAGES || size != pipe_sizes[count] ||
            (size > 0 && message_check(data, size) != (uint64_t)count + 1)) {
            return -1;
        }
    }
}

static bool try_speaker(uint32_t transport, uint64_t point)
{
    char text[24];
    cano_pipe *ends[2];
    cano_pipe_options options = CANO_PIPE_OPTIONS_INIT;
    options.flags = transport;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&ends[0], &ends[1], &options), CANO_OK);
    snprintf(text, sizeof text, "%llu", (unsigned long long)point);
    const char *const argv[] = { CANO_SELF, "role", "speaker", text, NULL };
    const cano_hand hand = { .name = "pipe", .pipe = ends[1] };
    const cano_process_options how = { sizeof how, &hand, 1 };
    cano_process *process = NULL;
    cano_exit ended = { -1, 0 };
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&process, argv, &how), CANO_OK);
    const int came = listen_to(ends[0]);
    CU_ASSERT_EQUAL(cano_process_wait(process, &ended, SUITE_PATIENCE), CANO_OK);
    cano_process_close(process);
    cano_pipe_close(ends[0]);
    tried++;
    deaths += ended.code == DIED;
    if (came < 0 || (ended.code == 0 && came != PIPE_MESSAGES) || (ended.code != 0 && ended.code != DIED)) {
        printf("point %llu, exit status %d: %d messages\n", (unsigned long long)point, (int)ended.code, came);
        CU_FAIL("see above");
    }
    return ended.code == DIED;
}

static void try_pipe(uint32_t transport)
{
    uint64_t point = 1;
    while (point < MOST_POINTS && try_speaker(transport, point)) {
        point += stride();
    }
    CU_ASSERT(point < MOST_POINTS);
}

static void no_death_at_any_store_tears_what_a_pipe_carries(void)
{
    tried = 0;
    deaths = 0;
    try_pipe(CANO_PIPE_MEMORY);
    try_pipe(CANO_PIPE_STREAM);
    printf("%llu processes, %llu died: ", (unsigned long long)tried, (unsigned long long)deaths);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "no_death_at_any_store_harms_a_queue", no_death_at_any_store_harms_a_queue },
        { "no_death_at_any_store_tears_what_a_pipe_carries", no_death_at_any_store_tears_what_a_pipe_carries },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "victim", run_victim },
        { "speaker", run_speaker },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "win32 stores", tests, roles);
}
