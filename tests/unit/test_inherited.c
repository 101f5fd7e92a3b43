/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child believes nothing that it was told about its hands.
 */
#include "suite.h"

#include "bundle.h"

#include <cano/process.h>
#include <stdlib.h>
#include <string.h>

#define NOT_ANSWERED (-3)

/* A bundle as a parent would write it, with one pipe end of two handles under the name "x". */
typedef struct forgery {
    cano_os_segment segment;
    cano_bundle *bundle;
    cano_os_stream streams[2];
    size_t handles_count; /* how many of the handles are really handed over */
} forgery;

static void arrange(forgery *forged)
{
    memset(forged, 0, sizeof *forged);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&forged->segment, sizeof(cano_bundle), true, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(forged->streams), CANO_OK);
    forged->bundle = (cano_bundle *)(void *)forged->segment.base;
    forged->bundle->magic = CANO_BUNDLE_MAGIC;
    forged->bundle->version = CANO_BUNDLE_VERSION;
    memcpy(forged->bundle->id, forged->segment.id, sizeof forged->segment.id);
    forged->bundle->count = 1;
    forged->bundle->things[0].name[0] = 'x';
    forged->bundle->things[0].kind = CANO_BUNDLE_PIPE;
    forged->bundle->things[0].handle_count = 2;
    forged->handles_count = 2;
}

/* What a child with these hands says to a request for "x"; clears away. */
static int answer_to(forgery *forged, const char *role)
{
    const cano_os_hand hands[] = { { CANO_BUNDLE_HAND, forged->segment.handle },
                                   { "x/0", forged->streams[0].handle },
                                   { "x/1", forged->streams[1].handle } };
    const char *const argv[] = { "", "role", role, NULL };
    int64_t pid;
    cano_os_handle ended;
    CU_ASSERT_EQUAL_FATAL(cano_os_spawn(argv, hands, 1 + forged->handles_count, &pid, &ended), CANO_OK);
    cano_os_pollable watched = { ended, false, false };
    const cano_status status = cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE);
    int code = NOT_ANSWERED;
    int signal = 0;
    if (status == CANO_OK) {
        CU_ASSERT_EQUAL(cano_os_reap(pid, ended, &code, &signal), CANO_OK);
    }
    cano_os_close(ended);
    cano_os_stream_close(&forged->streams[0], true);
    cano_os_stream_close(&forged->streams[1], true);
    cano_os_segment_close(&forged->segment);
    return signal == 0 ? code : NOT_ANSWERED;
}

static int run_pipe(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_pipe *pipe;
    return cano_inherited_pipe("x", &pipe);
}

static int run_queue(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cano_queue *queue;
    return cano_inherited_queue("x", NULL, &queue);
}

static void bundle_of_another_layout_is_eversion(void)
{
    forgery forged;
    arrange(&forged);
    forged.bundle->magic++;
    CU_ASSERT_EQUAL(answer_to(&forged, "pipe"), CANO_EVERSION);
    arrange(&forged);
    forged.bundle->version++;
    CU_ASSERT_EQUAL(answer_to(&forged, "pipe"), CANO_EVERSION);
}

static void bundle_that_was_claimed_is_empty(void)
{
    forgery forged;
    arrange(&forged);
    atomic_store_explicit(&forged.bundle->claimed, 1, memory_order_relaxed); /* relaxed: spawn orders it */
    CU_ASSERT_EQUAL(answer_to(&forged, "pipe"), CANO_ENOENT);
}

static void empty_bundle_has_nothing(void)
{
    forgery forged;
    arrange(&forged);
    forged.bundle->count = 0;
    CU_ASSERT_EQUAL(answer_to(&forged, "pipe"), CANO_ENOENT);
}

static void bundle_that_is_too_small_is_refused(void)
{
    forgery forged;
    arrange(&forged);
    cano_os_segment_close(&forged.segment);
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&forged.segment, 64, true, 0), CANO_OK);
    const int answer = answer_to(&forged, "pipe");
    CU_ASSERT(answer != CANO_OK && answer != NOT_ANSWERED);
}

static void damage_name_end(cano_bundle *bundle)
{
    memset(bundle->things[0].name, 'x', sizeof bundle->things[0].name);
}

static void damage_name_text(cano_bundle *bundle)
{
    memcpy(bundle->things[0].name, "x/y", 4);
}

static void damage_name_emptiness(cano_bundle *bundle)
{
    bundle->things[0].name[0] = '\0';
}

static void damage_kind(cano_bundle *bundle)
{
    bundle->things[0].kind = 9;
}

static void damage_taken(cano_bundle *bundle)
{
    bundle->things[0].kind = 0;
}

static void damage_handle_count(cano_bundle *bundle)
{
    bundle->things[0].handle_count = CANO_PIPE_HANDLES + 1;
}

static void damage_missing_handle(cano_bundle *bundle)
{
    bundle->things[0].handle_count = 3;
}

static void damage_size(cano_bundle *bundle)
{
    bundle->things[0].size = sizeof bundle->things[0].bytes + 1;
}

static void damage_count(cano_bundle *bundle)
{
    bundle->count = CANO_BUNDLE_THINGS + 1;
}

static void damage_doubled(cano_bundle *bundle)
{
    bundle->count = 2;
    bundle->things[1] = bundle->things[0];
}

static void damage_queue_handles(cano_bundle *bundle)
{
    bundle->things[0].kind = CANO_BUNDLE_QUEUE;
    bundle->things[0].handle_count = 1;
}

static void damaged_bundle_is_ecorrupt(void)
{
    void (*const damages[])(cano_bundle *) = { damage_name_end, damage_name_text,    damage_name_emptiness, damage_kind,
                                               damage_taken,    damage_handle_count, damage_missing_handle, damage_size,
                                               damage_count,    damage_doubled,      damage_queue_handles };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        forgery forged;
        arrange(&forged);
        damages[i](forged.bundle);
        CU_ASSERT_EQUAL(answer_to(&forged, "pipe"), CANO_ECORRUPT);
    }
}

static void bytes_that_are_no_pipe_are_refused(void)
{
    forgery forged;
    arrange(&forged);
    memset(forged.bundle->things[0].bytes, 0xff, sizeof forged.bundle->things[0].bytes);
    forged.bundle->things[0].size = sizeof forged.bundle->things[0].bytes;
    const int answer = answer_to(&forged, "pipe");
    CU_ASSERT(answer == CANO_ECORRUPT || answer == CANO_EVERSION);
}

static void segment_that_is_no_queue_is_refused(void)
{
    forgery forged;
    arrange(&forged);
    forged.bundle->things[0].kind = CANO_BUNDLE_QUEUE;
    const int answer = answer_to(&forged, "queue");
    CU_ASSERT(answer != CANO_OK && answer != NOT_ANSWERED);
}

static const suite_test tests[] = {
    { "bundle_of_another_layout_is_eversion", bundle_of_another_layout_is_eversion },
    { "bundle_that_was_claimed_is_empty", bundle_that_was_claimed_is_empty },
    { "empty_bundle_has_nothing", empty_bundle_has_nothing },
    { "bundle_that_is_too_small_is_refused", bundle_that_is_too_small_is_refused },
    { "damaged_bundle_is_ecorrupt", damaged_bundle_is_ecorrupt },
    { "bytes_that_are_no_pipe_are_refused", bytes_that_are_no_pipe_are_refused },
    { "segment_that_is_no_queue_is_refused", segment_that_is_no_queue_is_refused },
    { NULL, NULL },
};

static const suite_role roles[] = {
    { "pipe", run_pipe },
    { "queue", run_queue },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "inherited", tests, roles);
}
