/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is closed before it ends goes on, and leaves no zombie.
 */
#include "suite.h"

#include <cano/cano.h>
#include <signal.h>

#define STATUS 7

/* linger: until the line is closed. */
static int run_linger(int argc, char **argv)
{
    (void)argc, (void)argv;
    cano_pipe *line;
    if (cano_inherited_pipe("line", &line) != CANO_OK) {
        return 1;
    }
    cano_pipe_poll(line, SUITE_PATIENCE);
    cano_pipe_close(line);
    return STATUS;
}

static cano_process *spawn_lingering(cano_pipe **line)
{
    const char *const argv[] = { CANO_SELF, "role", "linger", NULL };
    cano_pipe *there;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(line, &there, NULL), CANO_OK);
    const cano_hand hand = { .name = "line", .pipe = there };
    const cano_process_options options = { sizeof options, &hand, 1 };
    cano_process *process = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_process_spawn(&process, argv, &options), CANO_OK);
    return process;
}

/* There is no process of that number any more, not even a zombie. */
static bool is_gone(int64_t pid)
{
    return kill((pid_t)pid, 0) != 0;
}

static void closed_process_leaves_no_zombie(void)
{
    cano_pipe *line;
    cano_process *closed = spawn_lingering(&line);
    int64_t pid = 0;
    CU_ASSERT_EQUAL(cano_process_pid(closed, &pid), CANO_OK);
    CU_ASSERT(pid > 0);
    cano_process_close(closed);
    CU_ASSERT_FALSE(is_gone(pid)); /* close does not end it */

    cano_pipe *other_line;
    cano_process *other = spawn_lingering(&other_line);
    cano_pipe_close(line);
    int64_t since = 0;
    bool gone = false;
    while (!gone && suite_patience(&since)) {
        cano_process_wait(other, NULL, CANO_NOW);
        gone = is_gone(pid);
    }
    CU_ASSERT_TRUE(gone);
    cano_pipe_close(other_line);
    cano_exit ended = { 0, 0 };
    CU_ASSERT_EQUAL(cano_process_wait(other, &ended, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(ended.code, STATUS);
    cano_process_close(other);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "closed_process_leaves_no_zombie", closed_process_leaves_no_zombie },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "linger", run_linger },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "reaping", tests, roles);
}
