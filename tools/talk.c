/* SPDX-License-Identifier: Apache-2.0 */
#include "talk.h"

#include "explain.h"
#include "host.h"
#include "input.h"
#include "term.h"

#include <apr_thread_proc.h>
#include <cano/inspect.h>
#include <inttypes.h>
#include <stdatomic.h>

#define SLICE 100000 /* microseconds between two looks for Ctrl-C and the end of the input */
#define ITEM_MOST ((size_t)1 << 30)

typedef struct speaker {
    const conversation *talk;
    cano_pipe *pipe;
    input in;
    _Atomic bool ended; /* nothing more will be said */
} speaker;

/* ---- options ---- */

conversation talk_read_options(tool *t)
{
    conversation talk = { .t = t, .timeout = CANO_FOREVER, .separator = '\n' };
    int letter;
    const char *value;
    while (tool_next(t, &letter, &value)) {
        if (letter == TALK_OPTION_TIMEOUT) {
            talk.timeout = tool_seconds(t, "--timeout", value);
        } else if (letter == TALK_OPTION_LINGER) {
            talk.linger = tool_seconds(t, "--linger", value);
        } else {
            talk.separator = '\0';
        }
    }
    talk.name = tool_operand(t, 0, "NAME");
    tool_at_most(t, 1);
    term_count_interrupts();
    return talk;
}

/* ---- meeting ---- */

static int64_t end_of(cano_timeout timeout)
{
    return timeout == CANO_FOREVER ? INT64_MAX : host_now() + timeout;
}

/* The next slice of a wait until then; false: it is over. */
static bool next_slice(int64_t end, cano_timeout *slice)
{
    const int64_t left = end - host_now();
    *slice = left < 0 ? 0 : left < SLICE ? left : SLICE;
    return term_interrupts() == 0;
}

cano_status talk_listen(const conversation *talk, cano_pipe **pipe)
{
    cano_listener *listener = NULL;
    cano_status status = cano_listener_create(&listener, talk->name, NULL);
    if (status != CANO_OK) {
        return status;
    }
    if (term_is_terminal(2)) {
        tool_say(talk->t, "listening; 'cano connect %s' in another terminal answers", talk->name);
    }
    const int64_t end = end_of(talk->timeout);
    cano_timeout slice;
    status = CANO_ETIMEOUT;
    while (status == CANO_ETIMEOUT && next_slice(end, &slice)) {
        status = cano_listener_accept(listener, pipe, slice);
        if (slice == 0) {
            break;
        }
    }
    cano_listener_close(listener);
    return status == CANO_ETIMEOUT && term_interrupts() > 0 ? CANO_ECLOSED : status;
}

cano_status talk_connect(const conversation *talk, cano_pipe **pipe)
{
    cano_status status = cano_connect(pipe, talk->name, NULL, CANO_NOW);
    if (status != CANO_ENOENT && status != CANO_ETIMEOUT) {
        return status;
    }
    if (term_is_terminal(2)) {
        tool_say(talk->t, "nobody listens yet, waiting for 'cano listen %s'", talk->name);
    }
    const int64_t end = end_of(talk->timeout);
    cano_timeout slice;
    status = CANO_ETIMEOUT;
    while (status == CANO_ETIMEOUT && next_slice(end, &slice) && slice > 0) {
        status = cano_connect(pipe, talk->name, NULL, slice);
    }
    return status == CANO_ETIMEOUT && term_interrupts() > 0 ? CANO_ECLOSED : status;
}

/* ---- speaking ---- */

static void *APR_THREAD_FUNC speak(apr_thread_t *thread, void *context)
{
    speaker *s = context;
    (void)thread;
    cano_slice item;
    input_result result;
    while ((result = input_next(&s->in, &item)) == INPUT_ITEM) {
        const cano_status status = cano_pipe_send(s->pipe, item.data, item.size, CANO_FOREVER);
        if (status != CANO_OK) { /* CANO_ECLOSED: the other end left, which who hears finds out */
            break;
        }
    }
    if (result == INPUT_FAILED || result == INPUT_TOO_LARGE) {
        tool_say(s->talk->t, "cannot read %s any further", s->in.name);
    }
    /* release: pairs with the acquire in hear_on: what was said before is in the pipe */
    atomic_store_explicit(&s->ended, true, memory_order_release);
    return NULL;
}

static void print(const conversation *talk, const void *message, size_t size)
{
    out *o = &talk->t->out;
    if (talk->t->json) {
        json_begin(o, '{');
        json_bytes(o, "message", message, size);
        json_end(o, '}');
        json_line(o);
    } else {
        out_bytes(o, message, size);
        out_bytes(o, &talk->separator, 1);
    }
    tool_flush(talk->t);
}

/* A program at the other end may also send things. */
static cano_status refuse_thing(const conversation *talk, cano_pipe *pipe)
{
    cano_pipe *end = NULL;
    cano_queue *queue = NULL;
    cano_status status = cano_pipe_recv_pipe(pipe, &end, CANO_NOW);
    if (status == CANO_EKIND) {
        status = cano_pipe_recv_queue(pipe, &queue, CANO_NOW);
    }
    cano_pipe_close(end);
    cano_queue_close(queue);
    tool_say(talk->t, "the other end sent a pipe or a queue, which this cannot use");
    return status;
}

static cano_status hear_one(const conversation *talk, cano_pipe *pipe, cano_timeout timeout)
{
    void *message;
    size_t size;
    cano_status status = cano_pipe_recv_alloc(pipe, &message, &size, timeout);
    if (status == CANO_OK) {
        print(talk, message, size);
        cano_free(message);
    }
    return status == CANO_EKIND ? refuse_thing(talk, pipe) : status;
}

/* Until the other end leaves, or the input has ended and what is there by then has been heard. */
static cano_status hear_on(speaker *s)
{
    int64_t end = INT64_MAX;
    cano_status status = CANO_OK;
    while ((status == CANO_OK || status == CANO_ETIMEOUT) && term_interrupts() == 0) {
        if (end == INT64_MAX && atomic_load_explicit(&s->ended, memory_order_acquire)) {
            end = host_now() + s->talk->linger;
        }
        const bool last = host_now() >= end;
        status = hear_one(s->talk, s->pipe, last ? CANO_NOW : SLICE);
        if (last && status == CANO_ETIMEOUT) {
            return CANO_OK;
        }
    }
    return status == CANO_ECLOSED ? CANO_OK : status;
}

static void greet(const conversation *talk, cano_pipe *pipe)
{
    int64_t pid = 0;
    if (term_is_terminal(2) && cano_pipe_peer(pipe, &pid, NULL) == CANO_OK) {
        tool_say(talk->t, "connected with process %" PRId64 "; Ctrl-D ends", pid);
    }
}

static const char *who_has_it(const char *name)
{
    cano_inspector *inspector = NULL;
    if (cano_inspector_open(&inspector, name) == CANO_OK) {
        cano_inspector_close(inspector);
        return "a queue has that name; choose another one";
    }
    return cano_inspect_check(name) == CANO_OK
               ? "somebody else listens there; 'cano connect' talks to them, or choose another name"
               : "something that is not cano's has that name; choose another one";
}

int talk_through(const conversation *talk, cano_pipe *pipe, cano_status opened, const char *doing)
{
    if (opened == CANO_ETIMEOUT || (opened == CANO_ECLOSED && term_interrupts() > 0)) {
        return opened == CANO_ETIMEOUT ? TOOL_NO : TOOL_INTERRUPTED;
    }
    if (opened == CANO_EEXIST || opened == CANO_EKIND) {
        tool_fail(talk->t, "cannot %s '%s': %s", doing, talk->name, who_has_it(talk->name));
    }
    if (opened != CANO_OK) {
        explain_and_fail(talk->t, doing, talk->name, opened);
    }
    static speaker s; /* the thread may outlive this function: it sleeps in a read until the process ends */
    s = (speaker){ .talk = talk, .pipe = pipe, .in = { .separator = talk->separator, .most = ITEM_MOST } };
    input_open(&s.in, "-", talk->t->pool);
    greet(talk, pipe);
    apr_thread_t *thread;
    if (apr_thread_create(&thread, NULL, speak, &s, talk->t->pool) != APR_SUCCESS) {
        tool_fail(talk->t, "cannot start a thread");
    }
    const cano_status status = hear_on(&s);
    if (status != CANO_OK && status != CANO_ETIMEOUT) {
        tool_fail(talk->t, "the conversation broke off: %s", cano_strerror(status));
    }
    if (atomic_load_explicit(&s.ended,
                             memory_order_acquire)) { /* else it may be about to send: the end of the process closes it */
        cano_pipe_close(pipe);
    }
    if (term_is_terminal(2)) {
        tool_say(talk->t, "the conversation has ended");
    }
    return term_interrupts() > 0 ? TOOL_INTERRUPTED : TOOL_DONE;
}
