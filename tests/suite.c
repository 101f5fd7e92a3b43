/* SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include <CUnit/Basic.h>
#include <apr_env.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <apr_time.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILL 9 /* SIGKILL wherever there are signals; elsewhere the exit status of one who was killed */

struct suite_child {
    apr_proc_t process;
    apr_pool_t *pool;
    bool killed; /* where there are no signals the exit status does not tell */
};

struct suite_thread {
    apr_thread_t *thread;
    apr_pool_t *pool;
    void (*body)(void *);
    void *context;
};

static const char *program;

int64_t suite_now(void)
{
    return apr_time_now(); /* tests only compare within seconds; there is no portable monotonic clock */
}

bool suite_patience(int64_t *since)
{
    if (*since == 0) {
        *since = suite_now();
    }
    apr_sleep(0); /* yields */
    return suite_now() - *since < SUITE_PATIENCE;
}

const char *suite_name(const char *stem)
{
    static apr_pool_t *pool;
    static int count;
    if (pool == NULL) {
        apr_pool_create(&pool, NULL);
    }
    unsigned char random[8];
    apr_generate_random_bytes(random, sizeof random);
    uint32_t number[2];
    memcpy(&number, random, sizeof number);
    return apr_psprintf(pool, "%s-%d-%x%08x", stem, count++, number[0], number[1]);
}

suite_child *suite_start(const char *role, ...)
{
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    suite_child *child = apr_pcalloc(pool, sizeof *child);
    child->pool = pool;

    const char *arguments[12] = { program, "role", role };
    int count = 3;
    va_list list;
    va_start(list, role);
    for (const char *argument; count < 11 && (argument = va_arg(list, const char *)) != NULL;) {
        arguments[count++] = argument;
    }
    va_end(list);
    arguments[count] = NULL;

    apr_procattr_t *attributes;
    apr_procattr_create(&attributes, pool);
    apr_procattr_cmdtype_set(attributes, APR_PROGRAM_ENV);
    if (apr_proc_create(&child->process, program, arguments, NULL, attributes, pool) != APR_SUCCESS) {
        fprintf(stderr, "cannot start %s %s\n", program, role);
        exit(2);
    }
    return child;
}

int suite_wait(suite_child *child, int64_t timeout)
{
    const int64_t end = suite_now() + timeout;
    for (;;) {
        int status = 0;
        apr_exit_why_e why = APR_PROC_EXIT;
        const apr_status_t waited = apr_proc_wait(&child->process, &status, &why, APR_NOWAIT);
        if (waited == APR_CHILD_DONE) {
            const bool killed = why != APR_PROC_EXIT || (child->killed && status == KILL);
            apr_pool_destroy(child->pool);
            return killed ? SUITE_KILLED : status;
        }
        if (suite_now() >= end) {
            return SUITE_ALIVE;
        }
        apr_sleep(500);
    }
}

void suite_kill(suite_child *child)
{
    child->killed = apr_proc_kill(&child->process, KILL) == APR_SUCCESS;
}

int64_t suite_pid(const suite_child *child)
{
    return child->process.pid;
}

static void *APR_THREAD_FUNC suite_thread_run(apr_thread_t *thread, void *data)
{
    suite_thread *self = data;
    self->body(self->context);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

suite_thread *suite_thread_start(void (*body)(void *), void *context)
{
    apr_pool_t *pool;
    apr_pool_create(&pool, NULL);
    suite_thread *self = apr_pcalloc(pool, sizeof *self);
    self->pool = pool;
    self->body = body;
    self->context = context;
    if (apr_thread_create(&self->thread, NULL, suite_thread_run, self, pool) != APR_SUCCESS) {
        fprintf(stderr, "cannot start a thread\n");
        exit(2);
    }
    return self;
}

void suite_thread_end(suite_thread *self)
{
    apr_status_t result;
    apr_thread_join(&result, self->thread);
    apr_pool_destroy(self->pool);
}

static int run_role(int argc, char **argv, const suite_role *roles)
{
    for (; roles != NULL && roles->name != NULL; roles++) {
        if (argc > 0 && strcmp(roles->name, argv[0]) == 0) {
            return roles->run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "no such role\n");
    return 2;
}

int suite_main(int argc, char **argv, const char *name, const suite_test *tests, const suite_role *roles)
{
    const char *const *given = (const char *const *)argv;
    apr_app_initialize(&argc, &given, NULL); /* in UTF-8 on every system */
    argv = (char **)given;
    program = argv[0];
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (argc > 1 && strcmp(argv[1], "role") == 0) {
        return run_role(argc - 2, argv + 2, roles);
    }
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    for (; tests->name != NULL; tests++) {
        if (argc < 2 || strstr(tests->name, argv[1]) != NULL) {
            CU_add_test(suite, tests->name, tests->run);
        }
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    /* CU_basic_run_tests returns 0 with failed tests (CUnit 2.1-3): ask for the number. */
    const bool passed = CU_get_number_of_tests_run() > 0 && CU_get_number_of_failures() == 0;
    CU_cleanup_registry();
    return passed ? 0 : 1;
}
