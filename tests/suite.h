/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test program shares: a table of sentences and functions, and starting itself again in a role.
 *
 * A child reports by exit status: CUnit does not see what happens there.
 */
#ifndef CANO_TESTS_SUITE_H
#define CANO_TESTS_SUITE_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>

#define SUITE_ALIVE (-1000) /* suite_wait: it still runs */
#define SUITE_KILLED (-1)   /* suite_wait: a signal ended it */
#define SUITE_PATIENCE INT64_C(20000000) /* microseconds a test gives anything that must happen */

typedef struct suite_test {
    const char *name; /* a sentence: killed_getter_leaves_the_queue_usable */
    void (*run)(void);
} suite_test;

typedef struct suite_role {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the first argument after the role; returns the exit status */
} suite_role;

typedef struct suite_child suite_child;

/* Run the tests (argv[1]: only those whose name contains it), or a role when argv[1] is "role". Both tables end with a NULL
 * name; roles may be NULL. Returns the exit status: 0 only if at least one test ran and none failed. */
int suite_main(int argc, char **argv, const char *name, const suite_test *tests, const suite_role *roles);

/* Start this program in a role, with up to 8 further arguments ended by NULL. */
suite_child *suite_start(const char *role, ...);

/* Its exit status, SUITE_KILLED, or SUITE_ALIVE after timeout microseconds. Frees the child unless it is alive. */
int suite_wait(suite_child *child, int64_t timeout);

void suite_kill(suite_child *child); /* SIGKILL, TerminateProcess; follow with suite_wait */
int64_t suite_pid(const suite_child *child);

/* A name no other test uses, for queues and listeners; valid until the program ends. */
const char *suite_name(const char *stem);

int64_t suite_now(void); /* monotonic microseconds */

/* Give the processor away for a moment, inside a loop that waits for something another one does. False once patience is
 * over: while (!done && suite_patience(&since)) {}   with since = 0 at the start. */
bool suite_patience(int64_t *since);

/* Run body(context) in a thread; suite_thread_end joins it. */
typedef struct suite_thread suite_thread;
suite_thread *suite_thread_start(void (*body)(void *), void *context);
void suite_thread_end(suite_thread *thread);

#endif
