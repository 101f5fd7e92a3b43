/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process in the storm: calls the library in its part's way, notes what happened, and now and then closes and opens its
 * handle, forks a child that plays on, or leaves without a word. It expects to be killed or stopped at any moment.
 */
#include "message.h"
#include "stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 6
#define MOST_HELD 4
#define LATE 1000000       /* microseconds behind a time-out that nobody should see, stops included */
#define PUTTERS_KNOWN 4096 /* for order: ids are given out in chunks, one chunk to one putter */
#define CHUNK 256
#define GUEST_LIFE 400

typedef struct worker {
    stage *stage;
    oracle *oracle;
    cano_queue *queue;
    stage_part *part;
    uint64_t random;
    uint64_t next_id, last_id;      /* of the chunk being used up */
    uint64_t newest[PUTTERS_KNOWN]; /* plain: the last id got of each chunk */
    cano_item held[MOST_HELD];
    uint64_t held_ids[MOST_HELD]; /* 0: an empty message */
    int held_count;
    int64_t began, timeout;
    unsigned char buffer[BATCH * (MESSAGE_LARGEST + 8)];
} worker;

static uint64_t roll(worker *w, uint64_t sides)
{
    w->random = message_mix(w->random + 1);
    return w->random % sides;
}

/* ---- a call ---- */

static cano_timeout any_timeout(worker *w)
{
    switch (roll(w, 4)) {
    case 0:
        return CANO_NOW;
    case 1:
        return CANO_FOREVER;
    default:
        return (cano_timeout)roll(w, 30000);
    }
}

static void begin(worker *w, const char *call, cano_timeout timeout)
{
    w->began = stage_now();
    w->timeout = timeout;
    atomic_store(&w->part->since, w->began);
    atomic_store(&w->part->call, call);
}

/* The longest is noted by who beats it; a lost race loses one measurement. */
static void note_time(worker *w, const char *call)
{
    const int64_t took = stage_now() - w->began;
    if (took > atomic_load(&w->stage->longest)) {
        atomic_store(&w->stage->longest, took);
        atomic_store(&w->stage->longest_call, call);
    }
    if (w->timeout != CANO_FOREVER && took > w->timeout + LATE) {
        atomic_fetch_add(&w->stage->late, 1);
        fprintf(stderr, "  late: %s with %lld us took %lld us\n", call, (long long)w->timeout, (long long)took);
    }
}

static bool is_expected(cano_status status, uint32_t expected)
{
    return (expected >> status & 1) != 0;
}

#define MAY(status) (UINT32_C(1) << (status))

static void end(worker *w, cano_status status, uint32_t expected)
{
    const char *call = atomic_load(&w->part->call);
    atomic_store(&w->part->call, NULL);
    note_time(w, call);
    atomic_fetch_add(&w->stage->calls, 1);
    if (!is_expected(status, expected)) {
        atomic_fetch_add(&w->stage->unexpected, 1);
        fprintf(stderr, "  unexpected: %s: %s\n", call, cano_strerror(status));
    }
    if (status == CANO_ECORRUPT) {
        _exit(3);
    }
}

/* ---- putting ---- */

static uint64_t new_id(worker *w)
{
    if (w->next_id == w->last_id) {
        w->next_id = oracle_take_ids(w->oracle, CHUNK);
        if (w->next_id == 0) {
            _exit(0); /* the oracle is full: the round is long enough */
        }
        w->last_id = w->next_id + CHUNK;
    }
    return w->next_id++;
}

static void note_put_begun(worker *w, uint64_t id, size_t size)
{
    if (size == 0) {
        atomic_fetch_add(&w->oracle->empties.begun, 1);
    } else {
        oracle_note(w->oracle, id, ORACLE_PUT_BEGUN);
    }
}

static void note_put(worker *w, uint64_t id, size_t size, cano_status status)
{
    if (size == 0) {
        if (status == CANO_OK) {
            atomic_fetch_add(&w->oracle->empties.ended, 1);
        } else {
            atomic_fetch_sub(&w->oracle->empties.begun, 1);
        }
        return;
    }
    oracle_note(w->oracle, id, status == CANO_OK ? ORACLE_PUT_ENDED : ORACLE_PUT_REFUSED);
}

#define PUT_MAY (MAY(CANO_OK) | MAY(CANO_ETIMEOUT) | MAY(CANO_ECLOSED))

static cano_status put(worker *w, size_t count, cano_timeout timeout)
{
    cano_slice slices[BATCH];
    uint64_t ids[BATCH];
    unsigned char *at = w->buffer;
    for (size_t i = 0; i < count; i++) {
        ids[i] = new_id(w);
        slices[i] = (cano_slice){ at, message_size(ids[i], count == 1 ? MESSAGE_LARGEST : 400) };
        message_fill(at, slices[i].size, ids[i]);
        at += slices[i].size;
        note_put_begun(w, ids[i], slices[i].size);
    }
    begin(w, "put", timeout);
    const cano_status status = cano_queue_put_many(w->queue, slices, count, timeout);
    for (size_t i = 0; i < count; i++) {
        note_put(w, ids[i], slices[i].size, status);
    }
    end(w, status, PUT_MAY);
    return status;
}

static cano_status put_in_place(worker *w, cano_timeout timeout)
{
    const uint64_t id = new_id(w);
    const size_t size = message_size(id, MESSAGE_LARGEST);
    void *memory;
    begin(w, "reserve", timeout);
    cano_status status = cano_queue_reserve(w->queue, size + roll(w, 500), &memory, timeout);
    end(w, status, PUT_MAY);
    if (status != CANO_OK) {
        return status;
    }
    message_fill(memory, size, id);
    if (roll(w, 8) == 0) {
        cano_queue_cancel(w->queue, memory);
        return CANO_OK;
    }
    note_put_begun(w, id, size);
    begin(w, "commit", timeout);
    status = cano_queue_commit(w->queue, memory, size, timeout);
    note_put(w, id, size, status);
    end(w, status, PUT_MAY);
    if (status != CANO_OK) {
        cano_queue_cancel(w->queue, memory);
    }
    return status;
}

static cano_status act_put(worker *w)
{
    switch (roll(w, 8)) {
    case 0:
        return put_in_place(w, any_timeout(w));
    case 1:
    case 2:
        return put(w, 2 + roll(w, BATCH - 1), any_timeout(w));
    default:
        return put(w, 1, any_timeout(w));
    }
}

/* ---- getting ---- */

/* Of one putter the messages come in the order they were put, also through several getters: each sees a part of the order. */
static void check_order(worker *w, uint64_t id)
{
    const uint64_t chunk = (id - 1) / CHUNK;
    uint64_t *newest = &w->newest[chunk % PUTTERS_KNOWN];
    if (*newest != 0 && (*newest - 1) / CHUNK == chunk && *newest >= id) {
        atomic_fetch_add(&w->stage->disorder, 1);
    }
    *newest = id;
}

/* Returns the id; 0 for an empty message, or a torn one, which is noted. */
static uint64_t note_got(worker *w, const void *data, size_t size)
{
    atomic_fetch_add(&w->stage->got, 1);
    if (size == 0) {
        atomic_fetch_add(&w->oracle->empties.got, 1);
        return 0;
    }
    const uint64_t id = message_check(data, size);
    if (id == 0 || id >= w->oracle->next) {
        atomic_fetch_add(&w->oracle->torn, 1);
        return 0;
    }
    const uint32_t word = oracle_word(w->oracle, id);
    if (w->stage->joinable && oracle_count(word, ORACLE_DONE_ENDED) != 0) {
        atomic_fetch_add(&w->stage->redone, 1);
    }
    oracle_note(w->oracle, id, ORACLE_GOT);
    if (!w->stage->joinable) {
        check_order(w, id);
    }
    return id;
}

#define GET_MAY (MAY(CANO_OK) | MAY(CANO_ETIMEOUT) | MAY(CANO_ECLOSED) | MAY(CANO_ELIMIT))
#define DONE_MAY MAY(CANO_OK)

static void end_task(worker *w, uint64_t id, const cano_item *item)
{
    if (id != 0) {
        oracle_note(w->oracle, id, ORACLE_DONE_BEGUN);
    } else {
        atomic_fetch_add(&w->oracle->empties.done_begun, 1);
    }
    begin(w, "task_done", CANO_FOREVER);
    const cano_status status = cano_queue_task_done(w->queue, item);
    if (status == CANO_OK && id != 0) {
        oracle_note(w->oracle, id, ORACLE_DONE_ENDED);
    } else if (status == CANO_OK) {
        atomic_fetch_add(&w->oracle->empties.done_ended, 1);
    }
    end(w, status, DONE_MAY);
}

static void done(worker *w, int which)
{
    const uint64_t id = w->held_ids[which];
    const cano_item item = w->held[which];
    w->held_count--;
    w->held[which] = w->held[w->held_count];
    w->held_ids[which] = w->held_ids[w->held_count];
    if (roll(w, 16) == 0) {
        begin(w, "give_back", CANO_FOREVER);
        end(w, cano_queue_give_back(w->queue, &item, (cano_timeout)(roll(w, 2) * roll(w, 8000))), DONE_MAY);
        return;
    }
    end_task(w, id, &item);
}

static void done_all(worker *w)
{
    while (w->held_count > 0) {
        done(w, 0);
    }
}

static void hold(worker *w, cano_item item, uint64_t id)
{
    if (w->held_count == MOST_HELD) {
        done(w, (int)roll(w, MOST_HELD));
    }
    w->held[w->held_count] = item;
    w->held_ids[w->held_count++] = id;
}

static cano_status get_many(worker *w, cano_timeout timeout)
{
    cano_item items[BATCH];
    size_t got = 0;
    const size_t count = w->stage->joinable ? 1 + roll(w, MOST_HELD) : 1 + roll(w, BATCH);
    atomic_store(&w->part->in_hand, (uint32_t)count);
    begin(w, "get_many", timeout);
    const cano_status status = cano_queue_get_many(w->queue, items, count, &got, w->buffer, sizeof w->buffer, timeout);
    uint64_t ids[BATCH];
    for (size_t i = 0; i < got; i++) {
        ids[i] = note_got(w, items[i].data, items[i].size);
    }
    atomic_store(&w->part->in_hand, 0);
    end(w, status, GET_MAY);
    for (size_t i = 0; i < got && w->stage->joinable; i++) {
        hold(w, items[i], ids[i]);
    }
    return status;
}

static cano_status take(worker *w, cano_timeout timeout)
{
    cano_item item;
    atomic_store(&w->part->in_hand, 1);
    begin(w, "take", timeout);
    const cano_status status = cano_queue_take(w->queue, &item, timeout);
    uint64_t id = 0;
    if (status == CANO_OK) {
        id = note_got(w, item.data, item.size);
    }
    atomic_store(&w->part->in_hand, 0);
    end(w, status, GET_MAY);
    if (status == CANO_OK && w->stage->joinable) {
        hold(w, item, id);
    } else if (status == CANO_OK) {
        cano_queue_release(w->queue, &item);
    }
    return status;
}

/* On a joinable queue the task of a plain get can only be ended as the oldest one held, so that none else is. */
static cano_status get(worker *w, cano_timeout timeout)
{
    size_t size = 0;
    uint64_t id = 0;
    done_all(w);
    atomic_store(&w->part->in_hand, 1);
    begin(w, "get", timeout);
    const cano_status status = cano_queue_get(w->queue, w->buffer, sizeof w->buffer, &size, timeout);
    if (status == CANO_OK) {
        id = note_got(w, w->buffer, size);
    }
    atomic_store(&w->part->in_hand, 0);
    end(w, status, GET_MAY);
    if (status == CANO_OK && w->stage->joinable) {
        end_task(w, id, NULL);
    }
    return status;
}

static cano_status peek(worker *w, cano_timeout timeout)
{
    size_t size = 0;
    begin(w, "peek", timeout);
    const cano_status status = cano_queue_peek(w->queue, w->buffer, sizeof w->buffer, &size, timeout);
    if (status == CANO_OK && size != 0 && message_check(w->buffer, size) == 0) {
        atomic_fetch_add(&w->oracle->torn, 1);
    }
    end(w, status, GET_MAY);
    return status;
}

static cano_status act_get(worker *w)
{
    /* who holds a task waits for a while only: it may be the last one, and its putter waits for it */
    const cano_timeout timeout = w->held_count == 0 ? any_timeout(w) : (cano_timeout)roll(w, 10000);
    cano_status status;
    switch (roll(w, 8)) {
    case 0:
    case 1:
        status = get_many(w, timeout);
        break;
    case 2:
    case 3:
    case 4:
        status = take(w, timeout);
        break;
    case 5:
        status = peek(w, timeout);
        break;
    default:
        status = get(w, timeout);
        break;
    }
    if (status != CANO_OK || roll(w, 3) != 0) {
        done_all(w); /* also when the lease limit is reached: ours may be what it is short of */
    }
    return status;
}

/* ---- the other parts ---- */

/* Inside lock() the queue changes by our own hands only (a joinable one also by what comes back). */
static cano_status act_lock(worker *w)
{
    const cano_timeout timeout = any_timeout(w);
    begin(w, "lock", timeout);
    cano_status status = cano_queue_lock(w->queue, timeout);
    end(w, status, MAY(CANO_OK) | MAY(CANO_ETIMEOUT));
    if (status != CANO_OK) {
        return status;
    }
    size_t before = 0;
    size_t after = 0;
    cano_queue_qsize(w->queue, &before);
    const size_t count = 1 + roll(w, BATCH);
    cano_status putting = put(w, count, CANO_NOW);
    cano_queue_qsize(w->queue, &after);
    if (!w->stage->joinable && after - before != (putting == CANO_OK ? count : 0)) {
        atomic_fetch_add(&w->stage->intruded, 1);
    }
    if (roll(w, 2) == 0) {
        get_many(w, CANO_NOW);
    }
    begin(w, "unlock", CANO_FOREVER);
    end(w, cano_queue_unlock(w->queue), MAY(CANO_OK));
    done_all(w);
    return putting == CANO_ECLOSED ? putting : CANO_OK;
}

/* What had been put when join was called is done, or somebody died over it, when it returns. */
static cano_status act_join(worker *w)
{
    enum {
        MOST = 512
    };
    uint64_t put_before[MOST];
    size_t count = 0;
    const uint64_t next = w->oracle->next;
    for (uint64_t id = next > 4 * CHUNK * STAGE_PARTS ? next - 4 * CHUNK * STAGE_PARTS : 1; id < next && count < MOST; id++) {
        const uint32_t word = oracle_word(w->oracle, id);
        if ((word & ORACLE_PUT_ENDED) != 0 && oracle_count(word, ORACLE_DONE_BEGUN) == 0) {
            put_before[count++] = id;
        }
    }
    const cano_timeout timeout = (cano_timeout)roll(w, 60000);
    begin(w, "join", timeout);
    const cano_status status = cano_queue_join(w->queue, timeout);
    const bool all_count = !w->stage->dead_letters && !atomic_load(&w->stage->discards);
    for (size_t i = 0; i < count && status == CANO_OK && all_count; i++) {
        if (oracle_count(oracle_word(w->oracle, put_before[i]), ORACLE_DONE_BEGUN) == 0) {
            atomic_fetch_add(&w->stage->early, 1);
        }
    }
    end(w, status, MAY(CANO_OK) | MAY(CANO_ETIMEOUT));
    return CANO_OK;
}

static cano_status act_bury(worker *w)
{
    cano_item item;
    begin(w, "dead_get", 20000);
    const cano_status status = cano_queue_dead_get(w->queue, &item, 20000);
    end(w, status, MAY(CANO_OK) | MAY(CANO_ETIMEOUT));
    if (status == CANO_OK) {
        hold(w, item, note_got(w, item.data, item.size));
        done_all(w);
    }
    return status != CANO_OK && atomic_load(&w->stage->phase) == END ? CANO_ECLOSED : CANO_OK;
}

static cano_status act(worker *w)
{
    switch (atomic_load(&w->part->role)) {
    case PUTTER:
        return act_put(w);
    case LOCKER:
        return act_lock(w);
    case JOINER:
        return act_join(w);
    case UNDERTAKER:
        return act_bury(w);
    default:
        return act_get(w);
    }
}

/* ---- coming and going ---- */

static void open_again(worker *w)
{
    begin(w, "close", CANO_FOREVER);
    cano_queue_close(w->queue);
    end(w, CANO_OK, MAY(CANO_OK));
    w->held_count = 0;
    begin(w, "open", CANO_FOREVER);
    const cano_status status = cano_queue_open(&w->queue, w->stage->name, NULL);
    end(w, status, MAY(CANO_OK));
    if (status != CANO_OK) {
        _exit(4);
    }
    atomic_fetch_add(&w->stage->reopened, 1);
}

static int claim_guest(stage *s)
{
    for (int part = STAGE_WORKERS; part < STAGE_PARTS; part++) {
        pid_t nobody = 0;
        if (atomic_compare_exchange_strong(&s->parts[part].pid, &nobody, -getpid())) {
            return part;
        }
    }
    return -1;
}

static void play(worker *w, int life);

/* The child plays on with the inherited handle, in any part, and ends; whoever of the two ends first. */
static void fork_guest(worker *w)
{
    const int part = claim_guest(w->stage);
    if (part < 0) {
        return;
    }
    atomic_store(&w->stage->parts[part].role, (int)roll(w, w->stage->joinable ? 4 : 3));
    pid_t claimed = -getpid();
    if (fork() != 0) {
        atomic_fetch_add(&w->stage->forks, 1);
        return;
    }
    w->part = &w->stage->parts[part];
    atomic_store(&w->part->call, NULL);
    atomic_store(&w->part->in_hand, 0);
    if (!atomic_compare_exchange_strong(&w->part->pid, &claimed, getpid())) {
        _exit(0); /* the forker has died, and its claim with it */
    }
    w->random ^= message_mix((uint64_t)getpid());
    w->held_count = 0;
    w->next_id = w->last_id = 0;
    play(w, GUEST_LIFE);
    if (roll(w, 2) == 0) {
        cano_queue_close(w->queue);
    }
    _exit(0);
}

static bool has_finished(const worker *w, cano_status status)
{
    const int role = atomic_load(&w->part->role);
    const bool drains = role == GETTER || role == UNDERTAKER;
    return status == CANO_ECLOSED || (atomic_load(&w->stage->phase) != PLAY && !drains);
}

static void play(worker *w, int life)
{
    for (int turn = 0; life < 0 || turn < life; turn++) {
        const cano_status status = act(w);
        if (has_finished(w, status)) {
            return;
        }
        const uint64_t fate = roll(w, 2000);
        if (fate < 3 && w->stage->named) {
            open_again(w);
        } else if (fate < 5) {
            fork_guest(w);
        } else if (fate == 5) {
            atomic_fetch_add(&w->stage->leaving, 1);
            _exit(0);
        }
    }
}

void worker_run(stage *s, oracle *o, cano_queue *queue, int part)
{
    worker *w = calloc(1, sizeof *w);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGCHLD, SIG_IGN); /* guests that end before us are no zombies: the director sees that they are gone */
    w->stage = s;
    w->oracle = o;
    w->queue = queue;
    w->part = &s->parts[part];
    w->random = message_mix(s->seed ^ (uint64_t)part << 32 ^ atomic_load(&w->part->incarnation));
    if (s->named && roll(w, 2) == 0) {
        open_again(w);
    }
    play(w, -1);
    if (roll(w, 2) == 0) {
        done_all(w);
        cano_queue_close(w->queue);
    }
    _exit(0);
}
