/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes and what only POSIX has: fork, limits on descriptors and files, poll(), and a Python at the other end.
 */
#include "suite.h"

#include "pipe_end.h"

#include <cano/cano.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT INT64_C(50000)
#define ROUNDS 2000
#define DESCRIPTORS_MOST 4096

/* ---- helpers ---- */

static const uint32_t transports[] = { CANO_PIPE_MEMORY, CANO_PIPE_STREAM };

static void over_both(void (*body)(uint32_t transport))
{
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        body(transports[i]);
    }
}

static void make(cano_pipe **a, cano_pipe **b, uint32_t flags)
{
    const cano_pipe_options options = { .size = sizeof options, .flags = flags };
    CU_ASSERT_EQUAL_FATAL(cano_pipe_create(a, b, &options), CANO_OK);
}

static void say(cano_pipe *pipe, const char *text)
{
    CU_ASSERT_EQUAL(cano_pipe_send(pipe, text, strlen(text), SUITE_PATIENCE), CANO_OK);
}

static bool hears(cano_pipe *pipe, const char *text)
{
    char message[256];
    size_t size = 0;
    return cano_pipe_recv(pipe, message, sizeof message, &size, SUITE_PATIENCE) == CANO_OK && size == strlen(text) &&
           memcmp(message, text, size) == 0;
}

static cano_status recv_status(cano_pipe *pipe, cano_timeout timeout)
{
    char message[256];
    return cano_pipe_recv(pipe, message, sizeof message, NULL, timeout);
}

static void end_with(pid_t child, int code)
{
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), code);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < DESCRIPTORS_MOST; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* ---- fork ---- */

/* As in every textbook: each side closes the end that is the other's. */
static void each_side_of_a_fork_uses_its_end_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    const pid_t child = fork();
    if (child == 0) {
        cano_pipe_close(a);
        const bool heard = hears(b, "from the parent");
        const cano_status sent = cano_pipe_send(b, "from the child", 14, SUITE_PATIENCE);
        const cano_status end = recv_status(b, SUITE_PATIENCE);
        cano_pipe_close(b);
        _exit(heard && sent == CANO_OK && end == CANO_ECLOSED ? 0 : 1);
    }
    cano_pipe_close(b);
    say(a, "from the parent");
    CU_ASSERT_TRUE(hears(a, "from the child"));
    cano_pipe_close(a);
    end_with(child, 0);
}

static void each_side_of_a_fork_uses_its_end(void)
{
    over_both(each_side_of_a_fork_uses_its_end_over);
}

/* The parent has talked through both ends, so its close would end the conversation, had the child not taken one over. */
static void a_child_takes_over_an_end_in_use(void)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *go[2];
    make(&a, &b, CANO_PIPE_MEMORY);
    make(&go[0], &go[1], CANO_PIPE_STREAM);
    say(a, "one");
    CU_ASSERT_TRUE(hears(b, "one"));
    say(a, "two");
    say(b, "back");
    const pid_t child = fork();
    if (child == 0) {
        const bool heard = hears(b, "two");
        cano_pipe_send(go[1], "", 0, SUITE_PATIENCE);
        const bool more = hears(b, "three");
        _exit(heard && more && cano_pipe_send(b, "done", 4, SUITE_PATIENCE) == CANO_OK ? 0 : 1);
    }
    CU_ASSERT_TRUE(hears(go[0], ""));
    CU_ASSERT_EQUAL(recv_status(b, CANO_NOW), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_pipe_send(b, "x", 1, CANO_NOW), CANO_EINVAL);
    cano_pipe_close(b);
    say(a, "three");
    CU_ASSERT_TRUE(hears(a, "back"));
    CU_ASSERT_TRUE(hears(a, "done"));
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(a);
    cano_pipe_close(go[0]);
    cano_pipe_close(go[1]);
    end_with(child, 0);
}

static void closing_an_unused_copy_ends_nothing_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    say(a, "before");
    CU_ASSERT_TRUE(hears(b, "before"));
    const pid_t child = fork();
    if (child == 0) {
        cano_pipe_close(a);
        cano_pipe_close(b);
        _exit(0);
    }
    end_with(child, 0);
    say(a, "after");
    CU_ASSERT_TRUE(hears(b, "after"));
    cano_pipe_close(a);
    CU_ASSERT_EQUAL(recv_status(b, SUITE_PATIENCE), CANO_ECLOSED);
    cano_pipe_close(b);
}

static void closing_an_unused_copy_ends_nothing(void)
{
    over_both(closing_an_unused_copy_ends_nothing_over);
}

/* A bystander holds copies of everything and does nothing. */
static void the_owner_ends_the_conversation_beside_a_bystander_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *stay[2];
    make(&a, &b, transport);
    make(&stay[0], &stay[1], CANO_PIPE_STREAM);
    say(b, "in use");
    CU_ASSERT_TRUE(hears(a, "in use"));
    const pid_t bystander = fork();
    if (bystander == 0) {
        cano_pipe_close(stay[0]);
        recv_status(stay[1], CANO_FOREVER);
        _exit(0);
    }
    cano_pipe_close(b);
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "x", 1, CANO_NOW), CANO_ECLOSED);
    cano_pipe_close(a);
    cano_pipe_close(stay[1]);
    CU_ASSERT_EQUAL(kill(bystander, SIGKILL), 0);
    CU_ASSERT_EQUAL(waitpid(bystander, NULL, 0), bystander);
    cano_pipe_close(stay[0]);
}

static void the_owner_ends_the_conversation_beside_a_bystander(void)
{
    over_both(the_owner_ends_the_conversation_beside_a_bystander_over);
}

static void sleep_in_recv(void *pipe)
{
    recv_status(pipe, CANO_FOREVER);
}

/* A thread of the parent is inside when it forks; it is not there in the child. */
static void a_child_does_not_wait_for_a_thread_that_stayed_behind_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, transport);
    suite_thread *thread = suite_thread_start(sleep_in_recv, b);
    int64_t since = 0;
    while (atomic_load(&b->gates->receiving.word) == 0 && suite_patience(&since)) {
    }
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        const cano_status status = recv_status(b, SHORT);
        cano_pipe_close(b);
        _exit(status == CANO_ETIMEOUT ? 0 : 1);
    }
    end_with(child, 0);
    cano_pipe_close(a);
    suite_thread_end(thread);
    cano_pipe_close(b);
}

static void a_child_does_not_wait_for_a_thread_that_stayed_behind(void)
{
    over_both(a_child_does_not_wait_for_a_thread_that_stayed_behind_over);
}

/* ---- limits ---- */

/* Leave room for that many more descriptors. */
static struct rlimit limit_descriptors(int more)
{
    struct rlimit before;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    int free_ones[64];
    int count = 0;
    while (count < more) {
        free_ones[count++] = dup(0);
    }
    const int next = more > 0 ? free_ones[more - 1] + 1 : dup(0);
    while (count > 0) {
        close(free_ones[--count]);
    }
    if (more == 0) {
        close(next);
    }
    struct rlimit limit = before;
    limit.rlim_cur = (rlim_t)next;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void creation_finds_no_descriptor_over(uint32_t transport)
{
    const int before = count_descriptors();
    for (int more = 0; more < 7; more++) {
        cano_pipe *a = NULL;
        cano_pipe *b = NULL;
        const cano_pipe_options options = { .size = sizeof options, .flags = transport };
        const struct rlimit limit = limit_descriptors(more);
        const cano_status status = cano_pipe_create(&a, &b, &options);
        setrlimit(RLIMIT_NOFILE, &limit);
        CU_ASSERT_TRUE(status == CANO_ELIMIT || status == CANO_OK);
        CU_ASSERT_TRUE(status == CANO_ELIMIT || more >= 2);
        cano_pipe_close(a);
        cano_pipe_close(b);
        CU_ASSERT_EQUAL(count_descriptors(), before);
    }
}

static void creation_finds_no_descriptor(void)
{
    over_both(creation_finds_no_descriptor_over);
}

/* Nothing is lost: what cannot be received for want of descriptors is received later. */
static void a_passed_end_waits_for_descriptors_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_pipe *near;
    cano_pipe *far;
    make(&a, &b, transport);
    make(&near, &far, CANO_PIPE_MEMORY);
    say(a, "first");
    CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, far, SUITE_PATIENCE), CANO_OK);
    say(a, "last");
    for (int more = 0; more < 2; more++) {
        cano_pipe *received = NULL;
        const struct rlimit limit = limit_descriptors(more);
        if (more == 0) {
            CU_ASSERT_TRUE(hears(b, "first"));
        }
        CU_ASSERT_EQUAL(cano_pipe_recv_pipe(b, &received, CANO_NOW), CANO_ELIMIT);
        CU_ASSERT_EQUAL(cano_pipe_recv_pipe(b, &received, SHORT), CANO_ELIMIT);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &far, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_TRUE(hears(b, "last"));
    say(near, "it works");
    CU_ASSERT_TRUE(hears(far, "it works"));
    cano_pipe_close(near);
    cano_pipe_close(far);
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void a_passed_end_waits_for_descriptors(void)
{
    over_both(a_passed_end_waits_for_descriptors_over);
}

static void a_large_message_finds_no_descriptor(void)
{
    cano_pipe *a;
    cano_pipe *b;
    static unsigned char large[300000];
    size_t size = 0;
    make(&a, &b, CANO_PIPE_MEMORY);
    struct rlimit limit = limit_descriptors(0);
    CU_ASSERT_EQUAL(cano_pipe_send(a, large, sizeof large, CANO_NOW), CANO_ELIMIT);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "small", 5, CANO_NOW), CANO_OK);
    setrlimit(RLIMIT_NOFILE, &limit);
    CU_ASSERT_TRUE(hears(b, "small"));
    large[7] = 7;
    CU_ASSERT_EQUAL(cano_pipe_send(a, large, sizeof large, CANO_NOW), CANO_OK);
    large[7] = 0;
    limit = limit_descriptors(0);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, large, sizeof large, &size, CANO_NOW), CANO_ELIMIT);
    setrlimit(RLIMIT_NOFILE, &limit);
    CU_ASSERT_EQUAL(cano_pipe_recv(b, large, sizeof large, &size, CANO_NOW), CANO_OK);
    CU_ASSERT_TRUE(size == sizeof large && large[7] == 7);
    cano_pipe_close(a);
    cano_pipe_close(b);
}

static void a_large_message_finds_no_room(void)
{
    cano_pipe *a;
    cano_pipe *b;
    static unsigned char large[300000];
    struct rlimit before;
    make(&a, &b, CANO_PIPE_MEMORY);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = before;
    limit.rlim_cur = 100000;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CU_ASSERT_EQUAL(cano_pipe_send(a, large, sizeof large, CANO_NOW), CANO_ENOSPC);
    CU_ASSERT_EQUAL(cano_pipe_send(a, "small", 5, CANO_NOW), CANO_OK);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    CU_ASSERT_TRUE(hears(b, "small"));
    CU_ASSERT_EQUAL(recv_status(b, CANO_NOW), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(cano_pipe_send(a, large, sizeof large, CANO_NOW), CANO_OK);
    cano_pipe_close(a);
    cano_pipe_close(b);
}

/* With messages, handles and ends on their way in all states. */
static void no_descriptor_is_left_behind_over(uint32_t transport)
{
    static unsigned char large[200000];
    const int before = count_descriptors();
    for (int i = 0; i < ROUNDS; i++) {
        cano_pipe *a;
        cano_pipe *b;
        make(&a, &b, transport);
        say(a, "x");
        if (i % 3 == 0) {
            cano_pipe *near;
            cano_pipe *far;
            make(&near, &far, transport);
            if (transport == CANO_PIPE_MEMORY) {
                CU_ASSERT_EQUAL(cano_pipe_send(near, large, sizeof large, CANO_NOW), CANO_OK);
            }
            CU_ASSERT_EQUAL(cano_pipe_send_pipe(a, far, CANO_NOW), CANO_OK);
            CU_ASSERT_TRUE(hears(b, "x"));
            if (i % 2 == 0) {
                CU_ASSERT_EQUAL_FATAL(cano_pipe_recv_pipe(b, &far, CANO_NOW), CANO_OK);
                cano_pipe_close(far);
            }
            cano_pipe_close(near);
        }
        cano_pipe_close(a);
        cano_pipe_close(b);
    }
    CU_ASSERT_EQUAL(count_descriptors(), before);
}

static void no_descriptor_is_left_behind(void)
{
    over_both(no_descriptor_is_left_behind_over);
}

/* ---- poll ---- */

static bool is_ready(cano_native native, int milliseconds)
{
    struct pollfd set = { .fd = (int)native, .events = POLLIN };
    return poll(&set, 1, milliseconds) == 1;
}

static void poll_tells_of_messages_and_the_end_over(uint32_t transport)
{
    cano_pipe *a;
    cano_pipe *b;
    cano_native native;
    make(&a, &b, transport);
    say(a, "early");
    CU_ASSERT_EQUAL(cano_pipe_native(b, &native), CANO_OK);
    CU_ASSERT_TRUE(is_ready(native, 0));
    CU_ASSERT_TRUE(hears(b, "early"));
    CU_ASSERT_FALSE(is_ready(native, 0));
    for (int i = 0; i < 1000; i++) {
        say(a, "one");
        say(a, "two");
        CU_ASSERT_TRUE(is_ready(native, 0));
        CU_ASSERT_TRUE(hears(b, "one"));
        CU_ASSERT_TRUE(is_ready(native, 0));
        CU_ASSERT_TRUE(hears(b, "two"));
        CU_ASSERT_FALSE(is_ready(native, 0));
    }
    cano_pipe_close(a);
    CU_ASSERT_TRUE(is_ready(native, 0));
    CU_ASSERT_EQUAL(recv_status(b, CANO_NOW), CANO_ECLOSED);
    cano_pipe_close(b);
}

static void poll_tells_of_messages_and_the_end(void)
{
    over_both(poll_tells_of_messages_and_the_end_over);
}

/* ---- Python ---- */

static const char python_echo[] = "import sys\n"
                                  "from multiprocessing.connection import Connection\n"
                                  "end = Connection(int(sys.argv[1]))\n"
                                  "end.send_bytes(b'from python')\n"
                                  "sizes = []\n"
                                  "while True:\n"
                                  "    try:\n"
                                  "        message = end.recv_bytes()\n"
                                  "    except EOFError:\n"
                                  "        break\n"
                                  "    end.send_bytes(message[::-1])\n"
                                  "sys.exit(42)\n";

static bool is_python_there(void)
{
    const pid_t child = fork();
    if (child == 0) {
        execlp("python3", "python3", "-c", "import multiprocessing.connection", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The descriptor is the whole end: nothing of it is kept anywhere else. */
static pid_t start_python(cano_pipe *near, cano_pipe *end)
{
    cano_native native;
    CU_ASSERT_EQUAL_FATAL(cano_pipe_native(end, &native), CANO_OK);
    const pid_t child = fork();
    if (child == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", (int)native);
        cano_pipe_close(near);
        const int flags = fcntl((int)native, F_GETFL);
        if (flags < 0 || fcntl((int)native, F_SETFL, flags & ~O_NONBLOCK) != 0 || fcntl((int)native, F_SETFD, 0) != 0) {
            _exit(126);
        }
        execlp("python3", "python3", "-c", python_echo, number, (char *)NULL);
        _exit(127);
    }
    return child;
}

static void python_turns_round(cano_pipe *pipe, size_t size)
{
    unsigned char *out = calloc(1, size + 1);
    unsigned char *back = calloc(1, size + 1);
    size_t got = SIZE_MAX;
    for (size_t i = 0; i < size; i++) {
        out[i] = (unsigned char)(i * 7 >> 3);
    }
    CU_ASSERT_EQUAL(cano_pipe_send(pipe, out, size, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(cano_pipe_recv(pipe, back, size, &got, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(got, size);
    bool turned = true;
    for (size_t i = 0; i < size; i++) {
        turned = turned && back[i] == out[size - 1 - i];
    }
    CU_ASSERT_TRUE(turned);
    free(out);
    free(back);
}

static void python_understands_the_stream_transport(void)
{
    if (!is_python_there()) {
        printf("not run here: no python3 with multiprocessing ... ");
        return;
    }
    const size_t sizes[] = { 0, 1, 5, 16380, 16384, 16385, 65536, 1000000, 16777216 };
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, CANO_PIPE_STREAM);
    const pid_t child = start_python(a, b);
    cano_pipe_moved(b);
    CU_ASSERT_TRUE(hears(a, "from python"));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        python_turns_round(a, sizes[i]);
    }
    cano_pipe_close(a);
    end_with(child, 42);
}

static void the_end_of_python_is_the_end(void)
{
    if (!is_python_there()) {
        printf("not run here: no python3 with multiprocessing ... ");
        return;
    }
    cano_pipe *a;
    cano_pipe *b;
    make(&a, &b, CANO_PIPE_STREAM);
    const pid_t child = start_python(a, b);
    cano_pipe_moved(b);
    CU_ASSERT_EQUAL(cano_pipe_poll(a, SUITE_PATIENCE), CANO_OK);
    CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
    CU_ASSERT_TRUE(hears(a, "from python"));
    CU_ASSERT_EQUAL(recv_status(a, SUITE_PATIENCE), CANO_ECLOSED);
    CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
    cano_pipe_close(a);
}

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        { "each side of a fork uses its end", each_side_of_a_fork_uses_its_end },
        { "a child takes over an end in use", a_child_takes_over_an_end_in_use },
        { "closing an unused copy ends nothing", closing_an_unused_copy_ends_nothing },
        { "the owner ends the conversation beside a bystander", the_owner_ends_the_conversation_beside_a_bystander },
        { "a child does not wait for a thread that stayed behind", a_child_does_not_wait_for_a_thread_that_stayed_behind },
        { "creation finds no descriptor", creation_finds_no_descriptor },
        { "a passed end waits for descriptors", a_passed_end_waits_for_descriptors },
        { "a large message finds no descriptor", a_large_message_finds_no_descriptor },
        { "a large message finds no room", a_large_message_finds_no_room },
        { "no descriptor is left behind", no_descriptor_is_left_behind },
        { "poll tells of messages and the end", poll_tells_of_messages_and_the_end },
        { "python understands the stream transport", python_understands_the_stream_transport },
        { "the end of python is the end", the_end_of_python_is_the_end },
        { NULL, NULL },
    };
    return suite_main(argc, argv, "pipe on POSIX", tests, NULL);
}
