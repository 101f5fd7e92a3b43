/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a pipe is a protocol: its offsets do not move by accident.
 */
#include "suite.h"

#include "pipe_end.h"

#include <stddef.h>

static void offsets_of_a_channel_are_pinned(void)
{
    CU_ASSERT_EQUAL(offsetof(cano_channel_shared, head), 0);
    CU_ASSERT_EQUAL(offsetof(cano_channel_shared, reader_flag), 128);
    CU_ASSERT_EQUAL(offsetof(cano_channel_shared, writer_flag), 256);
    CU_ASSERT_EQUAL(offsetof(cano_channel_shared, want), 264);
    CU_ASSERT_EQUAL(sizeof(cano_channel_shared), 384);
}

static void offsets_of_a_pipe_are_pinned(void)
{
    CU_ASSERT_EQUAL(offsetof(cano_pipe_shared, header), 0);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_shared, units), 256);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_shared, channels), 264);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_shared, owner), 268);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_shared, channels_shared), 384);
    CU_ASSERT_EQUAL(sizeof(cano_pipe_shared), 1152);
    CU_ASSERT_TRUE(sizeof(cano_pipe_shared) <= CANO_PIPE_RINGS);
    CU_ASSERT_EQUAL(CANO_PIPE_RINGS, 4096);
}

static void offsets_of_records_are_pinned(void)
{
    CU_ASSERT_EQUAL(offsetof(cano_pipe_reference, length), 0);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_reference, size), 8);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_reference, slot), 16);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_reference, fresh), 20);
    CU_ASSERT_EQUAL(sizeof(cano_pipe_reference), 24);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_passed, thing), 0);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_passed, handle_count), 4);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_passed, size), 8);
    CU_ASSERT_EQUAL(sizeof(cano_pipe_passed), 16);
}

static void offsets_of_parts_are_pinned(void)
{
    CU_ASSERT_EQUAL(offsetof(cano_pipe_birth, pair), 0);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_birth, transport), 16);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_birth, side), 17);
    CU_ASSERT_EQUAL(offsetof(cano_pipe_birth, directions), 18);
    CU_ASSERT_EQUAL(sizeof(cano_pipe_birth), 24);
}

static void numbers_are_pinned(void)
{
    CU_ASSERT_EQUAL(CANO_FLAG_ARMED, 1);
    CU_ASSERT_EQUAL(CANO_FLAG_GONE, 2);
    CU_ASSERT_EQUAL(CANO_THING_MESSAGE, 1);
    CU_ASSERT_EQUAL(CANO_THING_PIPE, 2);
    CU_ASSERT_EQUAL(CANO_THING_QUEUE, 3);
    CU_ASSERT_EQUAL(CANO_PIPE_SLOTS, 2);
    CU_ASSERT_EQUAL(CANO_RING_DATA, 1);
    CU_ASSERT_EQUAL(CANO_RING_PAD, 2);
    CU_ASSERT_EQUAL(CANO_RING_SEGMENT, 4);
    CU_ASSERT_EQUAL(CANO_RING_HANDLE, 5);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "offsets of a channel are pinned", offsets_of_a_channel_are_pinned },
        { "offsets of a pipe are pinned", offsets_of_a_pipe_are_pinned },
        { "offsets of records are pinned", offsets_of_records_are_pinned },
        { "offsets of parts are pinned", offsets_of_parts_are_pinned },
        { "numbers are pinned", numbers_are_pinned },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe layout", tests, NULL);
}
