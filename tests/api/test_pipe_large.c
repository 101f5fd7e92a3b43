/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message of 3 GiB over the stream transport: its length does not fit in 31 bits.
 */
#include "suite.h"

#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)
#define SIZE (3 * GIB + 5)
#define NEEDED (8 * GIB) /* free memory: two copies, and some left for others */
#define STEP 1048573     /* bytes between two that are checked; a prime, so that no page is special */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true /* shadow memory makes it several times as large */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static unsigned char byte_at(uint64_t place)
{
    return (unsigned char)(place * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static void write_marks(unsigned char *bytes)
{
    for (uint64_t place = 0; place < SIZE; place += STEP) {
        bytes[place] = byte_at(place);
    }
    bytes[SIZE - 1] = 0x5a;
}

static bool has_marks(const unsigned char *bytes)
{
    for (uint64_t place = 0; place < SIZE; place += STEP) {
        if (bytes[place] != byte_at(place)) {
            return false;
        }
    }
    return bytes[SIZE - 1] == 0x5a;
}

/* Bytes that can be had without harm to others; 0: it cannot be told here. */
static uint64_t available_memory(void)
{
    char line[256];
    unsigned long long kibibytes = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %llu kB", &kibibytes) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kibibytes * 1024;
}

static int run_check(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *pipe;
    void *data;
    size_t size;
    if (cano_inherited_pipe("end", &pipe) != CANO_OK) {
        return 1;
    }
    if (cano_pipe_recv(pipe, NULL, 0, &size, SUITE_PATIENCE) != CANO_ETOOBIG || size != SIZE) {
        return 2;
    }
    if (cano_pipe_recv_alloc(pipe, &data, &size, SUITE_PATIENCE) != CANO_OK || size != SIZE || !has_marks(data)) {
        return 3;
    }
    cano_free(data);
    char byte;
    if (cano_pipe_recv(pipe, &byte, 1, &size, SUITE_PATIENCE) != CANO_OK || size != 1 || byte != 'x') {
        return 4;
    }
    cano_pipe_close(pipe);
    return 0;
}

static void send_to_child(const unsigned char *bytes)
{
    const cano_pipe_options options = { .size = sizeof options, .flags = CANO_PIPE_STREAM };
    const char *const argv[] = { CANO_SELF, "role", "check", NULL };
    cano_pipe *near;
    cano_pipe *far;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(&near, &far, &options), CANO_OK);
    const cano_hand hand = { .name = "end", .pipe = far };
    const cano_process_options hands = { .size = sizeof hands, .hands = &hand, .hands_count = 1 };
    cano_process *child;
    cano_exit ended = { .code = -2 };
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&child, argv, &hands), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send(near, bytes, SIZE, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_send(near, "x", 1, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_process_wait(child, &ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(ended.code, 0);
    cano_process_close(child);
    cano_pipe_close(near);
}

static void three_gibibytes_arrive_as_one_message(void)
{
    if (SANITIZED || sizeof(size_t) < 8 || available_memory() < NEEDED) {
        printf("not run here: it needs 8 GiB of free memory, and no sanitizer ... ");
        return;
    }
    unsigned char *bytes = calloc(1, SIZE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    write_marks(bytes);
    send_to_child(bytes);
    free(bytes);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "three gibibytes arrive as one message", three_gibibytes_arrive_as_one_message },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "check", run_check },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe large", tests, roles);
}
