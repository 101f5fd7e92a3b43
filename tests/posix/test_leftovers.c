/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a queue leaves in the directory of names once it has neither a name nor a participant: nothing, in whichever order.
 */
#include "suite.h"

#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[32];

static void enter_directory(void)
{
    snprintf(directory, sizeof directory, "/tmp/cano-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    setenv("CANO_DIR", directory, 1);
}

static void leave_empty_directory(void)
{
    CU_ASSERT_EQUAL(rmdir(directory), 0);
    unsetenv("CANO_DIR");
}

static cano_queue *make_queue(const char *name)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_create(&queue, name, NULL), CANO_OK);
    return queue;
}

/* Also a bell has been made and rung. */
static void use_queue(cano_queue *queue)
{
    cano_native native;
    char byte;
    CU_ASSERT_EQUAL(cano_queue_native(queue, &native), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_put(queue, "x", 1, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_get(queue, &byte, 1, NULL, CANO_NOW), CANO_OK);
}

static void closed_and_unlinked_queue_leaves_nothing(void)
{
    enter_directory();
    cano_queue *queue = make_queue("queue");
    use_queue(queue);
    cano_queue_close(queue);
    CU_ASSERT_EQUAL(cano_queue_unlink("queue"), CANO_OK);
    leave_empty_directory();
}

static void unlinked_and_closed_queue_leaves_nothing(void)
{
    enter_directory();
    cano_queue *queue = make_queue("queue");
    cano_queue *other = NULL;
    CU_ASSERT_EQUAL_FATAL(cano_queue_open(&other, "queue", NULL), CANO_OK);
    CU_ASSERT_EQUAL(cano_queue_unlink("queue"), CANO_OK);
    use_queue(queue);
    cano_queue_close(queue);
    use_queue(other);
    cano_queue_close(other);
    leave_empty_directory();
}

static void nameless_queue_leaves_nothing(void)
{
    enter_directory();
    cano_queue *queue = make_queue(NULL);
    use_queue(queue);
    cano_queue_close(queue);
    leave_empty_directory();
}

/* Puts twice, so that the parent sees one; then waits for death. */
static int use_and_wait(int argc, char **argv)
{
    cano_queue *queue = NULL;
    if (argc != 1 || cano_queue_open(&queue, argv[0], NULL) != CANO_OK) {
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        if (cano_queue_put(queue, "x", 1, CANO_NOW) != CANO_OK) {
            return 2;
        }
    }
    pause();
    return 3;
}

static void killed_participant_of_an_unlinked_queue_leaves_nothing(void)
{
    enter_directory();
    cano_queue *queue = make_queue("queue");
    suite_child *child = suite_start("use", "queue", NULL);
    char byte = 0;
    CU_ASSERT_EQUAL(cano_queue_get(queue, &byte, 1, NULL, SUITE_PATIENCE), CANO_OK);
    cano_queue_close(queue);
    suite_kill(child);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
    CU_ASSERT_EQUAL(cano_queue_unlink("queue"), CANO_OK);
    leave_empty_directory();
}

static void any_file_can_be_unlinked(void)
{
    enter_directory();
    char path[64];
    snprintf(path, sizeof path, "%s/thing", directory);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (int i = 0; i < 10000; i++) {
        fputc('/', file); /* an id out of which a path could be made */
    }
    fclose(file);
    CU_ASSERT_EQUAL(cano_queue_unlink("thing"), CANO_OK);
    CU_ASSERT_EQUAL(symlink("/nowhere", path), 0);
    CU_ASSERT_EQUAL(cano_queue_unlink("thing"), CANO_EKIND);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(cano_queue_unlink("thing"), CANO_ENOENT);
    leave_empty_directory();
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "closed_and_unlinked_queue_leaves_nothing", closed_and_unlinked_queue_leaves_nothing },
        { "unlinked_and_closed_queue_leaves_nothing", unlinked_and_closed_queue_leaves_nothing },
        { "nameless_queue_leaves_nothing", nameless_queue_leaves_nothing },
        { "killed_participant_of_an_unlinked_queue_leaves_nothing", killed_participant_of_an_unlinked_queue_leaves_nothing },
        { "any_file_can_be_unlinked", any_file_can_be_unlinked },
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "use", use_and_wait },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "leftovers", tests, roles);
}
