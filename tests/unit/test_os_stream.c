/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: bytes and handles both ways, an end that is noticed, and a name that has one living listener at most.
 */
#include "suite.h"

#include "name.h"
#include "os.h"

#include <stdlib.h>
#include <string.h>

#define RACERS 6
#define ROUNDS 5
#define DOZE INT64_C(20000) /* microseconds, of the time-outs tried here */

static void pair(cano_os_stream ends[2])
{
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_pair(ends), CANO_OK);
}

static void close_pair(cano_os_stream ends[2])
{
    cano_os_stream_close(&ends[0], true);
    cano_os_stream_close(&ends[1], true);
}

static void path_of(const char *name, char path[CANO_OS_PATH_MAX])
{
    if (cano_name_path(name, path) != CANO_OK) {
        path[0] = '\0';
    }
}

static cano_status wait_until_readable(const cano_os_stream *stream)
{
    cano_os_pollable watched = { stream->handle, false, false };
    return cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE);
}

static cano_status say(cano_os_stream *stream, char letter)
{
    size_t written;
    return cano_os_stream_write(stream, &letter, 1, NULL, 0, &written);
}

/* One byte, waiting for it; 0: it did not come. */
static char hear(cano_os_stream *stream)
{
    char letter = 0;
    size_t got;
    const cano_status status = wait_until_readable(stream);
    return status == CANO_OK && cano_os_stream_read(stream, &letter, 1, NULL, NULL, &got) == CANO_OK ? letter : 0;
}

static cano_status accept_soon(cano_os_stream *listener, cano_os_stream *stream)
{
    const cano_status status = wait_until_readable(listener);
    return status == CANO_OK ? cano_os_stream_accept(listener, stream) : status;
}

/* ---- roles ---- */

/* connect PATH: connect, say something, and stay until the end. */
static int run_connect(int argc, char **argv)
{
    cano_os_stream stream;
    if (argc < 1 || cano_os_stream_connect(&stream, argv[0]) != CANO_OK || say(&stream, 'c') != CANO_OK) {
        return 1;
    }
    cano_os_pollable watched = { CANO_OS_NONE, false, false };
    cano_os_poll(&watched, 1, cano_os_now() + SUITE_PATIENCE); /* not on the stream: what comes stays unread */
    return 2;
}

/* listen PATH GATE: listen, tell it at the gate, and stay until the gate closes. */
static int run_listen(int argc, char **argv)
{
    cano_os_stream gate;
    cano_os_stream listener;
    if (argc < 2 || cano_os_stream_connect(&gate, argv[1]) != CANO_OK) {
        return 1;
    }
    if (cano_os_stream_listen(&listener, argv[0], 0) != CANO_OK || say(&gate, 'l') != CANO_OK) {
        return 2;
    }
    hear(&gate);
    return 3;
}

/* race PATH GATE: at each word from the gate listen, and tell how it went. */
static int run_race(int argc, char **argv)
{
    cano_os_stream gate;
    cano_os_stream listener;
    if (argc < 2 || cano_os_stream_connect(&gate, argv[1]) != CANO_OK) {
        return 1;
    }
    while (hear(&gate) != 0) {
        const cano_status status = cano_os_stream_listen(&listener, argv[0], 0);
        if (say(&gate, status == CANO_OK ? 'w' : status == CANO_EEXIST ? 'l' : '?') != CANO_OK) {
            return 2;
        }
    }
    return 0;
}

/* ---- bytes ---- */

static void bytes_go_both_ways(void)
{
    cano_os_stream ends[2];
    pair(ends);
    CU_ASSERT_EQUAL(say(&ends[0], 'a'), CANO_OK);
    CU_ASSERT_EQUAL(say(&ends[1], 'b'), CANO_OK);
    CU_ASSERT_EQUAL(hear(&ends[1]), 'a');
    CU_ASSERT_EQUAL(hear(&ends[0]), 'b');
    close_pair(ends);
}

static void empty_stream_would_block(void)
{
    cano_os_stream ends[2];
    char letter;
    size_t got = 77;
    pair(ends);
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[0], &letter, 1, NULL, NULL, &got), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL(got, 77);
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[0], &letter, 0, NULL, NULL, &got), CANO_EINVAL);
    close_pair(ends);
}

/* The value of a byte is its place, so a gap would show. */
static size_t fill(cano_os_stream *stream, size_t piece)
{
    unsigned char bytes[8192];
    size_t total = 0;
    for (;;) {
        for (size_t i = 0; i < piece; i++) {
            bytes[i] = (unsigned char)((total + i) % 251);
        }
        size_t written = 0;
        const cano_status status = cano_os_stream_write(stream, bytes, piece, NULL, 0, &written);
        if (status != CANO_OK) {
            CU_ASSERT_EQUAL(status, CANO_ETIMEOUT);
            return total;
        }
        CU_ASSERT(written > 0 && written <= piece);
        total += written;
    }
}

static size_t drain(cano_os_stream *stream, size_t piece)
{
    unsigned char bytes[8192];
    size_t total = 0;
    size_t got;
    bool in_order = true;
    while (cano_os_stream_read(stream, bytes, piece, NULL, NULL, &got) == CANO_OK) {
        for (size_t i = 0; i < got; i++) {
            in_order = in_order && bytes[i] == (total + i) % 251;
        }
        total += got;
    }
    CU_ASSERT(in_order);
    return total;
}

static void full_stream_would_block_until_it_is_drained(void)
{
    cano_os_stream ends[2];
    pair(ends);
    for (int round = 0; round < 3; round++) {
        const size_t total = fill(&ends[0], 8191);
        cano_os_pollable room = { ends[0].handle, true, false };
        CU_ASSERT(total > 0);
        CU_ASSERT_EQUAL(cano_os_poll(&room, 1, 0), CANO_ETIMEOUT);
        CU_ASSERT_EQUAL(drain(&ends[1], 4093), total);
        CU_ASSERT_EQUAL(cano_os_poll(&room, 1, 0), CANO_OK);
        CU_ASSERT(room.ready);
    }
    close_pair(ends);
}

/* ---- handles ---- */

/* Send one end of each of count pairs along with a word of three letters, and use them after they came. */
static void pass(size_t count)
{
    cano_os_stream ends[2];
    cano_os_stream things[8][2];
    cano_os_handle handles[8];
    size_t moved = 0;
    pair(ends);
    for (size_t i = 0; i < count; i++) {
        pair(things[i]);
        handles[i] = things[i][1].handle;
    }
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_write(&ends[0], "abc", 3, handles, count, &moved), CANO_OK);
    CU_ASSERT_EQUAL(moved, 3);
    char word[8] = "";
    cano_os_handle passed[8];
    size_t passed_count = 77;
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_read(&ends[1], word, sizeof word, passed, &passed_count, &moved), CANO_OK);
    CU_ASSERT_EQUAL(moved, 3);
    CU_ASSERT_STRING_EQUAL(word, "abc");
    CU_ASSERT_EQUAL_FATAL(passed_count, count);
    for (size_t i = 0; i < count; i++) {
        cano_os_stream arrived;
        cano_os_stream_close(&things[i][1], false);
        CU_ASSERT_EQUAL_FATAL(cano_os_stream_adopt(&arrived, passed[i]), CANO_OK);
        CU_ASSERT_EQUAL(say(&arrived, (char)('0' + i)), CANO_OK);
        CU_ASSERT_EQUAL(hear(&things[i][0]), (char)('0' + i));
        cano_os_stream_close(&arrived, true);
        cano_os_stream_close(&things[i][0], true);
    }
    close_pair(ends);
}

static void no_handle_one_three_and_eight_arrive(void)
{
    pass(0);
    pass(1);
    pass(3);
    pass(8);
}

static void nine_handles_or_handles_without_a_byte_are_refused(void)
{
    cano_os_stream ends[2];
    pair(ends);
    cano_os_handle handles[9];
    for (int i = 0; i < 9; i++) {
        handles[i] = ends[0].handle;
    }
    size_t written = 77;
    CU_ASSERT_EQUAL(cano_os_stream_write(&ends[0], "x", 1, handles, 9, &written), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_os_stream_write(&ends[0], "x", 0, handles, 1, &written), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_os_stream_write(&ends[0], "x", 1, NULL, 1, &written), CANO_EINVAL);
    CU_ASSERT_EQUAL(written, 77);
    close_pair(ends);
}

static void handles_not_asked_for_are_closed(void)
{
    cano_os_stream ends[2];
    cano_os_stream thing[2];
    size_t written;
    pair(ends);
    pair(thing);
    CU_ASSERT_EQUAL(cano_os_stream_write(&ends[0], "x", 1, &thing[1].handle, 1, &written), CANO_OK);
    cano_os_stream_close(&thing[1], false);
    CU_ASSERT_EQUAL(hear(&ends[1]), 'x');
    char letter;
    CU_ASSERT_EQUAL(wait_until_readable(&thing[0]), CANO_OK); /* its end: nobody has the other one */
    CU_ASSERT_EQUAL(cano_os_stream_read(&thing[0], &letter, 1, NULL, NULL, &written), CANO_ECLOSED);
    cano_os_stream_close(&thing[0], true);
    close_pair(ends);
}

static void handles_on_their_way_fall_with_the_stream(void)
{
    cano_os_stream ends[2];
    cano_os_stream thing[2];
    size_t written;
    char letter;
    pair(ends);
    pair(thing);
    CU_ASSERT_EQUAL(cano_os_stream_write(&ends[0], "x", 1, &thing[1].handle, 1, &written), CANO_OK);
    cano_os_stream_close(&thing[1], false);
    close_pair(ends);
    CU_ASSERT_EQUAL(wait_until_readable(&thing[0]), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_read(&thing[0], &letter, 1, NULL, NULL, &written), CANO_ECLOSED);
    cano_os_stream_close(&thing[0], true);
}

/* ---- the end ---- */

static void end_comes_after_the_last_byte(void)
{
    cano_os_stream ends[2];
    char letter;
    size_t moved;
    pair(ends);
    say(&ends[0], 'z');
    cano_os_stream_close(&ends[0], true);
    CU_ASSERT_EQUAL(hear(&ends[1]), 'z');
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[1], &letter, 1, NULL, NULL, &moved), CANO_ECLOSED);
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[1], &letter, 1, NULL, NULL, &moved), CANO_ECLOSED);
    CU_ASSERT_EQUAL(say(&ends[1], 'z'), CANO_ECLOSED);
    cano_os_stream_close(&ends[1], true);
}

static void end_with_unread_bytes_is_an_end(void)
{
    cano_os_stream ends[2];
    char letter;
    size_t moved;
    pair(ends);
    say(&ends[1], 'u'); /* never read */
    cano_os_stream_close(&ends[0], true);
    CU_ASSERT_EQUAL(cano_os_stream_read(&ends[1], &letter, 1, NULL, NULL, &moved), CANO_ECLOSED);
    CU_ASSERT_EQUAL(say(&ends[1], 'z'), CANO_ECLOSED);
    cano_os_stream_close(&ends[1], true);
}

static void ended_stream_wakes_both_sides(void)
{
    cano_os_stream ends[2];
    pair(ends);
    cano_os_stream_end(&ends[0]);
    cano_os_pollable watched[2] = { { ends[0].handle, false, false }, { ends[1].handle, false, false } };
    CU_ASSERT_EQUAL(cano_os_poll(watched, 2, 0), CANO_OK);
    CU_ASSERT(watched[0].ready);
    CU_ASSERT(watched[1].ready);
    CU_ASSERT_EQUAL(say(&ends[1], 'z'), CANO_ECLOSED);
    close_pair(ends);
}

static void closed_stream_closes_again_without_harm(void)
{
    cano_os_stream ends[2];
    pair(ends);
    cano_os_stream_close(&ends[0], true);
    CU_ASSERT_EQUAL(ends[0].handle, CANO_OS_NONE);
    cano_os_stream_close(&ends[0], true);
    cano_os_stream_close(&ends[1], false);
}

/* A child connects and is killed; unread: bytes of ours that it never read are on their way to it. */
static void kill_peer(bool unread)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream stream;
    path_of(suite_name("stream"), path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    suite_child *child = suite_start("connect", path, NULL);
    CU_ASSERT_EQUAL_FATAL(accept_soon(&listener, &stream), CANO_OK);
    CU_ASSERT_EQUAL(wait_until_readable(&stream), CANO_OK); /* its byte is here, and stays unread */
    if (unread) {
        CU_ASSERT_EQUAL(say(&stream, 'u'), CANO_OK);
    }
    suite_kill(child);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
    CU_ASSERT_EQUAL(say(&stream, 'z'), CANO_ECLOSED);
    CU_ASSERT_EQUAL(hear(&stream), 'c');
    char letter;
    size_t got;
    CU_ASSERT_EQUAL(cano_os_stream_read(&stream, &letter, 1, NULL, NULL, &got), CANO_ECLOSED);
    cano_os_stream_close(&stream, true);
    cano_os_stream_close(&listener, true);
}

static void killed_peer_is_an_end_after_its_last_byte(void)
{
    kill_peer(false);
}

static void killed_peer_with_unread_bytes_is_an_end_after_its_last_byte(void)
{
    kill_peer(true);
}

/* ---- listeners ---- */

static void connector_and_listener_meet(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream ends[2];
    path_of(suite_name("meet"), path);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&ends[0], path), CANO_ENOENT);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_accept(&listener, &ends[1]), CANO_ETIMEOUT);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&ends[0], path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(accept_soon(&listener, &ends[1]), CANO_OK);
    CU_ASSERT_EQUAL(say(&ends[0], 'a'), CANO_OK);
    CU_ASSERT_EQUAL(hear(&ends[1]), 'a');
    cano_os_stream_close(&listener, true);
    CU_ASSERT_EQUAL(say(&ends[1], 'b'), CANO_OK); /* the conversation outlives the listener */
    CU_ASSERT_EQUAL(hear(&ends[0]), 'b');
    close_pair(ends);
}

static void living_listener_keeps_its_name(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream second = { 77, NULL };
    path_of(suite_name("keep"), path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&second, path, 0), CANO_EEXIST);
    CU_ASSERT_EQUAL(second.handle, 77);
    cano_os_stream stream;
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, path), CANO_OK);
    cano_os_stream_close(&stream, true);
    cano_os_stream_close(&listener, true);
}

static void closed_listener_frees_its_name(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream stream;
    path_of(suite_name("free"), path);
    for (int round = 0; round < 2; round++) {
        CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
        cano_os_stream_close(&listener, true);
        CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, path), CANO_ENOENT);
    }
}

static void waiting_connector_learns_that_the_listener_closed(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream stream;
    char letter;
    size_t got;
    path_of(suite_name("left"), path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&stream, path), CANO_OK);
    cano_os_stream_close(&listener, true);
    CU_ASSERT_EQUAL(wait_until_readable(&stream), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_read(&stream, &letter, 1, NULL, NULL, &got), CANO_ECLOSED);
    cano_os_stream_close(&stream, true);
}

static void killed_listener_frees_its_name(void)
{
    char path[CANO_OS_PATH_MAX];
    char gate_path[CANO_OS_PATH_MAX];
    cano_os_stream gate;
    cano_os_stream word;
    cano_os_stream stream;
    path_of(suite_name("dead"), path);
    path_of(suite_name("gate"), gate_path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&gate, gate_path, 0), CANO_OK);
    suite_child *child = suite_start("listen", path, gate_path, NULL);
    CU_ASSERT_EQUAL_FATAL(accept_soon(&gate, &word), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(hear(&word), 'l');
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, path, 0), CANO_EEXIST);
    suite_kill(child);
    CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), SUITE_KILLED);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&stream, path), CANO_ENOENT);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&stream, path, 0), CANO_OK);
    cano_os_stream_close(&stream, true);
    cano_os_stream_close(&word, true);
    cano_os_stream_close(&gate, true);
}

typedef struct racer {
    suite_child *child;
    cano_os_stream word;
} racer;

/* Who won; the others are told apart by what they say. */
static int race(racer *racers, int count)
{
    int winner = -1;
    int winners = 0;
    int losers = 0;
    for (int i = 0; i < count; i++) {
        say(&racers[i].word, 'g');
    }
    for (int i = 0; i < count; i++) {
        const char answer = hear(&racers[i].word);
        winners += answer == 'w';
        losers += answer == 'l';
        winner = answer == 'w' ? i : winner;
    }
    CU_ASSERT_EQUAL(winners, 1);
    CU_ASSERT_EQUAL(losers, count - 1);
    return winner;
}

static void remove_racer(racer *racers, int *count, int index)
{
    (*count)--;
    cano_os_stream_close(&racers[index].word, true);
    racers[index] = racers[*count];
}

/* Which child is behind which stream is the kernel's to say. */
static void admit(cano_os_stream *gate, racer *racers, suite_child *const *children)
{
    for (int i = 0; i < RACERS; i++) {
        int64_t pid = 0;
        int64_t uid = 0;
        bool same_user = false;
        CU_ASSERT_EQUAL_FATAL(accept_soon(gate, &racers[i].word), CANO_OK);
        CU_ASSERT_EQUAL(cano_os_stream_peer(&racers[i].word, &pid, &uid, &same_user), CANO_OK);
        CU_ASSERT(same_user);
        racers[i].child = NULL;
        for (int j = 0; j < RACERS; j++) {
            racers[i].child = suite_pid(children[j]) == pid ? children[j] : racers[i].child;
        }
        CU_ASSERT_PTR_NOT_NULL_FATAL(racers[i].child);
    }
}

static void of_those_who_listen_at_once_one_wins(void)
{
    char path[CANO_OS_PATH_MAX];
    char gate_path[CANO_OS_PATH_MAX];
    cano_os_stream gate;
    racer racers[RACERS];
    suite_child *children[RACERS];
    path_of(suite_name("race"), path);
    path_of(suite_name("gate"), gate_path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&gate, gate_path, 0), CANO_OK);
    for (int i = 0; i < RACERS; i++) {
        children[i] = suite_start("race", path, gate_path, NULL);
    }
    admit(&gate, racers, children);
    int count = RACERS;
    for (int round = 0; round < ROUNDS && count > 1; round++) {
        const int winner = race(racers, count);
        if (winner < 0) {
            break;
        }
        suite_kill(racers[winner].child);
        CU_ASSERT_EQUAL(suite_wait(racers[winner].child, SUITE_PATIENCE), SUITE_KILLED);
        remove_racer(racers, &count, winner);
    }
    while (count > 0) {
        suite_child *child = racers[0].child;
        remove_racer(racers, &count, 0);
        CU_ASSERT_EQUAL(suite_wait(child, SUITE_PATIENCE), 0);
    }
    cano_os_stream_close(&gate, true);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&gate, path, 0), CANO_OK); /* the last winner is dead, too */
    cano_os_stream_close(&gate, true);
}

static void longest_name_can_be_listened_at(void)
{
    char name[CANO_NAME_MAX + 1];
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream ends[2];
    memset(name, 'n', CANO_NAME_MAX);
    name[CANO_NAME_MAX] = '\0';
    const char *unique = suite_name("l");
    memcpy(name, unique, strlen(unique));
    path_of(name, path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_listen(&ends[0], path, 0), CANO_EEXIST);
    while (cano_os_stream_accept(&listener, &ends[1]) == CANO_OK) { /* the look whether we live may be a knock */
        cano_os_stream_close(&ends[1], true);
    }
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&ends[0], path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(accept_soon(&listener, &ends[1]), CANO_OK);
    say(&ends[0], 'a');
    CU_ASSERT_EQUAL(hear(&ends[1]), 'a');
    close_pair(ends);
    cano_os_stream_close(&listener, true);
    CU_ASSERT_EQUAL(cano_os_stream_connect(&ends[0], path), CANO_ENOENT);
}

static void silent_connector_holds_up_nobody(void)
{
    char path[CANO_OS_PATH_MAX];
    cano_os_stream listener;
    cano_os_stream silent[2];
    cano_os_stream other[2];
    char letter;
    size_t got;
    path_of(suite_name("silent"), path);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_listen(&listener, path, 0), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&silent[0], path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(accept_soon(&listener, &silent[1]), CANO_OK);
    CU_ASSERT_EQUAL(cano_os_stream_read(&silent[1], &letter, 1, NULL, NULL, &got), CANO_ETIMEOUT);
    cano_os_pollable watched = { silent[1].handle, false, false };
    const int64_t deadline = cano_os_now() + DOZE;
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, deadline), CANO_ETIMEOUT);
    CU_ASSERT(cano_os_now() >= deadline);
    CU_ASSERT_EQUAL_FATAL(cano_os_stream_connect(&other[0], path), CANO_OK);
    CU_ASSERT_EQUAL_FATAL(accept_soon(&listener, &other[1]), CANO_OK);
    CU_ASSERT_EQUAL(say(&other[0], 'o'), CANO_OK);
    CU_ASSERT_EQUAL(hear(&other[1]), 'o');
    close_pair(silent);
    close_pair(other);
    cano_os_stream_close(&listener, true);
}

/* ---- poll ---- */

static void sleep_without_handles_lasts_until_the_deadline(void)
{
    const int64_t deadline = cano_os_now() + DOZE;
    CU_ASSERT_EQUAL(cano_os_poll(NULL, 0, deadline), CANO_ETIMEOUT);
    CU_ASSERT(cano_os_now() >= deadline);
    CU_ASSERT(cano_os_now() < deadline + SUITE_PATIENCE);
}

static void past_deadline_looks_once(void)
{
    cano_os_stream ends[2];
    pair(ends);
    cano_os_pollable watched = { ends[0].handle, false, false };
    const int64_t past[] = { INT64_MIN, -1, 0, cano_os_now() - 1 };
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, past[i]), CANO_ETIMEOUT);
    }
    say(&ends[1], 'x');
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, past[i]), CANO_OK);
    }
    CU_ASSERT(watched.ready);
    close_pair(ends);
}

static void only_the_ready_are_called_ready(void)
{
    cano_os_stream ends[2];
    cano_os_stream quiet[2];
    pair(ends);
    pair(quiet);
    say(&ends[0], 'x');
    cano_os_pollable watched[] = { { quiet[0].handle, false, true },
                                   { ends[1].handle, false, false },
                                   { ends[0].handle, false, true },
                                   { quiet[1].handle, true, false } };
    CU_ASSERT_EQUAL(cano_os_poll(watched, 4, CANO_OS_NEVER), CANO_OK);
    CU_ASSERT(!watched[0].ready);
    CU_ASSERT(watched[1].ready);
    CU_ASSERT(!watched[2].ready);
    CU_ASSERT(watched[3].ready);
    close_pair(ends);
    close_pair(quiet);
}

static void gone_peer_makes_ready_whatever_is_awaited(void)
{
    cano_os_stream ends[2];
    pair(ends);
    fill(&ends[1], 4096);
    cano_os_stream_close(&ends[0], true);
    cano_os_pollable watched[] = { { ends[1].handle, false, false }, { ends[1].handle, true, false } };
    CU_ASSERT_EQUAL(cano_os_poll(watched, 2, CANO_OS_NEVER), CANO_OK);
    CU_ASSERT(watched[0].ready);
    CU_ASSERT(watched[1].ready);
    cano_os_stream_close(&ends[1], true);
}

static void sixty_four_handles_are_watched_and_no_more(void)
{
    cano_os_stream ends[2];
    cano_os_pollable watched[65];
    pair(ends);
    for (int i = 0; i < 65; i++) {
        watched[i] = (cano_os_pollable){ ends[0].handle, false, false };
    }
    CU_ASSERT_EQUAL(cano_os_poll(watched, 65, 0), CANO_EINVAL);
    CU_ASSERT_EQUAL(cano_os_poll(watched, 64, 0), CANO_ETIMEOUT);
    say(&ends[1], 'x');
    CU_ASSERT_EQUAL(cano_os_poll(watched, 64, 0), CANO_OK);
    CU_ASSERT(watched[63].ready);
    close_pair(ends);
}

static void say_after_a_while(void *stream)
{
    cano_os_poll(NULL, 0, cano_os_now() + DOZE);
    say(stream, 'x');
}

static void sleep_without_end_ends_with_a_byte(void)
{
    cano_os_stream ends[2];
    pair(ends);
    suite_thread *thread = suite_thread_start(say_after_a_while, &ends[0]);
    cano_os_pollable watched = { ends[1].handle, false, false };
    CU_ASSERT_EQUAL(cano_os_poll(&watched, 1, CANO_OS_NEVER), CANO_OK);
    CU_ASSERT_EQUAL(hear(&ends[1]), 'x');
    suite_thread_end(thread);
    close_pair(ends);
}

#define TEST(name)                                                                                                             \
    {                                                                                                                          \
#name, name                                                                                                            \
    }

int main(int argc, char **argv)
{
    static const suite_test tests[] = {
        TEST(bytes_go_both_ways),
        TEST(empty_stream_would_block),
        TEST(full_stream_would_block_until_it_is_drained),
        TEST(no_handle_one_three_and_eight_arrive),
        TEST(nine_handles_or_handles_without_a_byte_are_refused),
        TEST(handles_not_asked_for_are_closed),
        TEST(handles_on_their_way_fall_with_the_stream),
        TEST(end_comes_after_the_last_byte),
        TEST(end_with_unread_bytes_is_an_end),
        TEST(ended_stream_wakes_both_sides),
        TEST(closed_stream_closes_again_without_harm),
        TEST(killed_peer_is_an_end_after_its_last_byte),
        TEST(killed_peer_with_unread_bytes_is_an_end_after_its_last_byte),
        TEST(connector_and_listener_meet),
        TEST(living_listener_keeps_its_name),
        TEST(closed_listener_frees_its_name),
        TEST(waiting_connector_learns_that_the_listener_closed),
        TEST(killed_listener_frees_its_name),
        TEST(of_those_who_listen_at_once_one_wins),
        TEST(longest_name_can_be_listened_at),
        TEST(silent_connector_holds_up_nobody),
        TEST(sleep_without_handles_lasts_until_the_deadline),
        TEST(past_deadline_looks_once),
        TEST(only_the_ready_are_called_ready),
        TEST(gone_peer_makes_ready_whatever_is_awaited),
        TEST(sixty_four_handles_are_watched_and_no_more),
        TEST(sleep_without_end_ends_with_a_byte),
        { NULL, NULL },
    };
    static const suite_role roles[] = {
        { "connect", run_connect }, { "listen", run_listen }, { "race", run_race }, { NULL, NULL }
    };
    return suite_main(argc, argv, "os_stream", tests, roles);
}
