/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: one at a time, all counted, waits end.
 */
#include "suite.h"

#include "gate.h"

#define THREADS 4
#define VISITS 20000

static cano_os_segment memory;
static cano_gate *gate;
static _Atomic uint32_t closing;

static void open_up(void)
{
    CU_ASSERT_EQUAL_FATAL(cano_os_segment_create(&memory, sizeof *gate, false, 0), CANO_OK);
    gate = (cano_gate *)(void *)memory.base;
    atomic_store(&closing, 0);
}

static cano_visit visit_with(cano_timeout timeout)
{
    return (cano_visit){ .gate = gate, .memory = &memory, .closing = &closing, .timeout = timeout };
}

static void one_who_is_alone_enters_and_leaves(void)
{
    open_up();
    cano_visit visit = visit_with(CANO_NOW);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cano_visit_enter(&visit), CANO_OK);
        CU_ASSERT_FALSE(cano_gate_enter_alone(gate));
        cano_visit_leave(&visit);
    }
    CU_ASSERT_TRUE(cano_gate_enter_alone(gate));
    visit.holds = true;
    cano_visit_leave(&visit);
    CU_ASSERT_EQUAL(atomic_load(&gate->word), 0);
    cano_os_segment_close(&memory);
}

static void a_wait_for_the_gate_ends(void)
{
    open_up();
    cano_visit holder = visit_with(CANO_FOREVER);
    CU_ASSERT_EQUAL(cano_visit_enter(&holder), CANO_OK);
    const cano_timeout timeouts[] = { CANO_NOW, 20000 };
    for (int i = 0; i < 2; i++) {
        cano_visit visit = visit_with(timeouts[i]);
        const int64_t began = cano_os_now();
        CU_ASSERT_EQUAL(cano_visit_enter(&visit), CANO_ETIMEOUT);
        CU_ASSERT_TRUE(cano_os_now() - began >= timeouts[i]);
        CU_ASSERT_FALSE(visit.holds);
        cano_visit_leave(&visit);
    }
    cano_visit_leave(&holder);
    CU_ASSERT_TRUE(atomic_load(&gate->word) < CANO_GATE_INSIDE);
    cano_os_segment_close(&memory);
}

static uint64_t plain; /* guarded by the gate: the sanitizer sees when it is not */

static void visit_often(void *context)
{
    (void)context;
    cano_visit visit = visit_with(CANO_FOREVER);
    for (int i = 0; i < VISITS; i++) {
        cano_visit_enter(&visit);
        plain++;
        cano_visit_leave(&visit);
    }
}

static void visitors_are_one_at_a_time(void)
{
    open_up();
    plain = 0;
    suite_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = suite_thread_start(visit_often, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        suite_thread_end(threads[i]);
    }
    CU_ASSERT_EQUAL(plain, (uint64_t)THREADS * VISITS);
    CU_ASSERT_TRUE(atomic_load(&gate->word) < CANO_GATE_INSIDE);
    cano_os_segment_close(&memory);
}

typedef struct sleeper {
    cano_os_stream stream;
    cano_status status;
    bool woken;
    bool held;
} sleeper;

static void sleep_inside(void *context)
{
    sleeper *self = context;
    cano_visit visit = visit_with(SUITE_PATIENCE);
    cano_visit_enter(&visit);
    self->status = cano_visit_sleep(&visit, self->stream.handle, false, SUITE_PATIENCE, &self->woken);
    self->held = visit.holds;
    cano_visit_leave(&visit);
}

/* Counted, but not holding. */
static void await_sleeper(void)
{
    int64_t since = 0;
    while (atomic_load(&gate->word) != CANO_GATE_INSIDE && suite_patience(&since)) {
    }
    CU_ASSERT_EQUAL(atomic_load(&gate->word), CANO_GATE_INSIDE);
}

static void a_sleeper_leaves_the_gate_open_and_stays_counted(void)
{
    open_up();
    cano_os_stream pair[2];
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(pair), CANO_OK);
    sleeper self = { .stream = pair[0] };
    suite_thread *thread = suite_thread_start(sleep_inside, &self);
    await_sleeper();
    CU_ASSERT_FALSE(cano_gate_enter_alone(gate));
    cano_visit visit = visit_with(SUITE_PATIENCE);
    CU_ASSERT_EQUAL(cano_visit_enter(&visit), CANO_OK);
    size_t written;
    CU_ASSERT_EQUAL(cano_os_stream_write(&pair[1], "B", 1, NULL, 0, &written), CANO_OK);
    cano_visit_leave(&visit);
    cano_gate_await_empty(gate, &memory);
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(self.status, CANO_OK);
    CU_ASSERT_TRUE(self.woken && self.held);
    cano_os_stream_close(&pair[0], false);
    cano_os_stream_close(&pair[1], false);
    cano_os_segment_close(&memory);
}

static void a_sleeper_hears_that_all_must_leave(void)
{
    open_up();
    cano_os_stream pair[2];
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(pair), CANO_OK);
    sleeper self = { .stream = pair[0] };
    suite_thread *thread = suite_thread_start(sleep_inside, &self);
    await_sleeper();
    atomic_store(&closing, 1);
    cano_os_stream_end(&pair[0]);
    cano_gate_await_empty(gate, &memory);
    suite_thread_end(thread);
    CU_ASSERT_EQUAL(self.status, CANO_ECLOSED);
    cano_os_stream_close(&pair[0], false);
    cano_os_stream_close(&pair[1], false);
    cano_os_segment_close(&memory);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "one who is alone enters and leaves", one_who_is_alone_enters_and_leaves },
        { "a wait for the gate ends", a_wait_for_the_gate_ends },
        { "visitors are one at a time", visitors_are_one_at_a_time },
        { "a sleeper leaves the gate open and stays counted", a_sleeper_leaves_the_gate_open_and_stays_counted },
        { "a sleeper hears that all must leave", a_sleeper_hears_that_all_must_leave },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "gate", tests, NULL);
}
