/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statuses in words, the system's error behind them, and memory that is given to the caller.
 */
#include "queues.h"

static void every_status_has_words_of_its_own(void)
{
    for (cano_status one = CANO_OK; one <= CANO_EKIND; one++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(cano_strerror(one));
        CU_ASSERT(strlen(cano_strerror(one)) > 3);
        for (cano_status other = CANO_OK; other < one; other++) {
            CU_ASSERT_NOT_EQUAL(strcmp(cano_strerror(one), cano_strerror(other)), 0);
        }
    }
}

static void number_that_is_no_status_has_words_too(void)
{
    static const cano_status none[] = { -1, CANO_EKIND + 1, 1000, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(cano_strerror(none[i]));
        for (cano_status one = CANO_OK; one <= CANO_EKIND; one++) {
            CU_ASSERT_NOT_EQUAL(strcmp(cano_strerror(none[i]), cano_strerror(one)), 0);
        }
    }
}

/* Foreign languages have them built in. */
static void numbers_never_change(void)
{
    static const cano_status in_order[] = { CANO_OK,       CANO_ETIMEOUT, CANO_ECLOSED,  CANO_ETOOBIG,  CANO_EINVAL,
                                            CANO_ENOTSUP,  CANO_ENOMEM,   CANO_ENOSPC,   CANO_EACCES,   CANO_EEXIST,
                                            CANO_ENOENT,   CANO_ELIMIT,   CANO_EVERSION, CANO_ECORRUPT, CANO_ENOTHELD,
                                            CANO_EUNKNOWN, CANO_ESYSTEM,  CANO_EKIND };
    for (cano_status i = 0; i <= 17; i++) {
        CU_ASSERT_EQUAL(in_order[i], i);
    }
    CU_ASSERT_EQUAL(CANO_FOREVER, -1);
    CU_ASSERT_EQUAL(CANO_NOW, 0);
    CU_ASSERT_EQUAL(sizeof(cano_status), 4);
    CU_ASSERT_EQUAL(sizeof(cano_timeout), 8);
    CU_ASSERT_EQUAL(sizeof(cano_native), sizeof(void *));
}

static void read_os_error(void *context)
{
    *(int *)context = cano_os_error();
}

static void os_error_is_behind_the_failure_and_this_threads_own(void)
{
    cano_queue *queue = NULL;
    CU_ASSERT_EQUAL(cano_queue_open(&queue, suite_name("nothing"), NULL), CANO_ENOENT);
    CU_ASSERT_NOT_EQUAL(cano_os_error(), 0);
    int others = -1;
    suite_thread_end(suite_thread_start(read_os_error, &others));
    CU_ASSERT_EQUAL(others, 0);
}

static void memory_is_freed(void)
{
    cano_queue *queue = make_queue(OPTIONS(0));
    void *data = NULL;
    size_t size = 0;
    put_pattern(queue, 3000, 1, CANO_NOW);
    CU_ASSERT_EQUAL(cano_queue_get_alloc(queue, &data, &size, CANO_NOW), CANO_OK);
    cano_free(data);
    cano_free(NULL);
    cano_queue_close(queue);
}

static void version_is_that_of_the_header(void)
{
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", CANO_VERSION_MAJOR, CANO_VERSION_MINOR, CANO_VERSION_PATCH);
    CU_ASSERT_STRING_EQUAL(cano_version(), text);
}

static const suite_test tests[] = {
    { "every_status_has_words_of_its_own", every_status_has_words_of_its_own },
    { "number_that_is_no_status_has_words_too", number_that_is_no_status_has_words_too },
    { "numbers_never_change", numbers_never_change },
    { "os_error_is_behind_the_failure_and_this_threads_own", os_error_is_behind_the_failure_and_this_threads_own },
    { "memory_is_freed", memory_is_freed },
    { "version_is_that_of_the_header", version_is_that_of_the_header },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return suite_main(argc, argv, "status", tests, NULL);
}
