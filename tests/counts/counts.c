/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted: each operation a few hundred times, in a function of its own that a profiler can tell from the rest.
 * counts.cmake runs this under callgrind and compares instructions and atomics per operation with a table.
 *
 * One thread does both sides in turn, so nothing ever waits and every run is the same.
 */
#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 50
#define ROUNDS 40
#define BATCH 50
#define BLOCK 8192 /* just too large for the ring of a queue of 50 messages */

static cano_queue *plain, *small_ring, *joinable;
static cano_pipe *left, *right, *stream_left, *stream_right;
static unsigned char message[BLOCK];
static unsigned char batch[BATCH * 64];
static cano_item items[BURST];

static void check(cano_status status)
{
    if (status != CANO_OK) {
        fprintf(stderr, "counts: %s\n", cano_strerror(status));
        exit(1);
    }
}

/* ---- operations, BURST of each; BATCH of a batch count as that many ---- */

static void put(cano_queue *queue, size_t size)
{
    for (int i = 0; i < BURST; i++) {
        check(cano_queue_put(queue, message, size, CANO_FOREVER));
    }
}

static void get(cano_queue *queue)
{
    size_t size;
    for (int i = 0; i < BURST; i++) {
        check(cano_queue_get(queue, message, sizeof message, &size, CANO_FOREVER));
    }
}

static void count_put_8(void)
{
    put(plain, 8);
}

static void count_get_8(void)
{
    get(plain);
}

static void count_put_64(void)
{
    put(plain, 64);
}

static void count_get_64(void)
{
    get(plain);
}

static void count_put_1024(void)
{
    put(plain, 1024);
}

static void count_get_1024(void)
{
    get(plain);
}

static void count_put_many_64(void)
{
    cano_slice slices[BATCH];
    for (int i = 0; i < BATCH; i++) {
        slices[i] = (cano_slice){ message, 64 };
    }
    for (int i = 0; i < BURST / BATCH; i++) {
        check(cano_queue_put_many(plain, slices, BATCH, CANO_FOREVER));
    }
}

static void count_get_many_64(void)
{
    size_t got;
    for (int i = 0; i < BURST / BATCH; i++) {
        check(cano_queue_get_many(plain, items, BATCH, &got, batch, sizeof batch, CANO_FOREVER));
        check(got == BATCH ? CANO_OK : CANO_EINVAL);
    }
}

static void count_get_nothing(void)
{
    for (int i = 0; i < BURST; i++) {
        check(cano_queue_get(plain, message, sizeof message, NULL, CANO_NOW) == CANO_ETIMEOUT ? CANO_OK : CANO_EINVAL);
    }
}

static void count_put_block(void)
{
    put(small_ring, BLOCK);
}

static void count_get_block(void)
{
    get(small_ring);
}

static void count_reserve_commit(void)
{
    for (int i = 0; i < BURST; i++) {
        void *memory;
        check(cano_queue_reserve(small_ring, BLOCK, &memory, CANO_FOREVER));
        check(cano_queue_commit(small_ring, memory, BLOCK, CANO_FOREVER));
    }
}

static void count_take_release(void)
{
    for (int i = 0; i < BURST; i++) {
        check(cano_queue_take(small_ring, &items[0], CANO_FOREVER));
        cano_queue_release(small_ring, &items[0]);
    }
}

static void count_put_task(void)
{
    put(joinable, 64);
}

static void count_get_task(void)
{
    get(joinable);
}

static void count_task_done(void)
{
    for (int i = 0; i < BURST; i++) {
        check(cano_queue_task_done(joinable, NULL));
    }
}

static void send_all(cano_pipe *pipe)
{
    for (int i = 0; i < BURST; i++) {
        check(cano_pipe_send(pipe, message, 64, CANO_FOREVER));
    }
}

static void receive_all(cano_pipe *pipe)
{
    size_t size;
    for (int i = 0; i < BURST; i++) {
        check(cano_pipe_recv(pipe, message, sizeof message, &size, CANO_FOREVER));
    }
}

static void count_send_64(void)
{
    send_all(left);
}

static void count_recv_64(void)
{
    receive_all(right);
}

static void count_send_stream_64(void)
{
    send_all(stream_left);
}

static void count_recv_stream_64(void)
{
    receive_all(stream_right);
}

/* ---- the run: whatever is done only once has been done before counting begins ---- */

static void (*volatile operations[])(void) = { /* volatile: no call is drawn into main */
    count_put_8,       count_get_8,        count_put_64,    count_get_64,         count_put_1024,       count_get_1024,
    count_put_many_64, count_get_many_64,  count_get_nothing, count_put_block,    count_get_block,      count_reserve_commit,
    count_take_release, count_put_task,    count_get_task,  count_task_done,      count_send_64,        count_recv_64,
    count_send_stream_64, count_recv_stream_64,
};

static void make(void)
{
    const cano_queue_options roomy = { .size = sizeof roomy, .max_items = 1024, .max_bytes = 1024 * 1024 };
    const cano_queue_options small = { .size = sizeof small, .max_items = BURST, .max_bytes = BURST * BLOCK };
    const cano_queue_options tasks = { .size = sizeof tasks, .flags = CANO_JOINABLE };
    const cano_pipe_options stream = { .size = sizeof stream, .flags = CANO_PIPE_STREAM };
    check(cano_queue_create(&plain, NULL, &roomy));
    check(cano_queue_create(&small_ring, NULL, &small));
    check(cano_queue_create(&joinable, NULL, &tasks));
    check(cano_pipe_create(&left, &right, NULL));
    check(cano_pipe_create(&stream_left, &stream_right, &stream));
}

/* Called before counting begins, through a pointer as the others are. */
static void warm_up(void)
{
    put(plain, 64);
    get(plain);
    put(joinable, 64);
    get(joinable);
    for (int i = 0; i < BURST; i++) {
        check(cano_queue_task_done(joinable, NULL));
    }
    put(small_ring, BLOCK);
    get(small_ring);
    check(cano_queue_get(plain, message, sizeof message, NULL, CANO_NOW) == CANO_ETIMEOUT ? CANO_OK : CANO_EINVAL);
    send_all(left);
    receive_all(right);
    send_all(stream_left);
    receive_all(stream_right);
}

int main(void)
{
    make();
    warm_up();
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
            operations[i]();
        }
    }
    printf("operations: %d\n", BURST * ROUNDS);
    cano_queue_close(plain);
    cano_queue_close(small_ring);
    cano_queue_close(joinable);
    cano_pipe_close(left);
    cano_pipe_close(right);
    cano_pipe_close(stream_left);
    cano_pipe_close(stream_right);
    return 0;
}
