/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbell.h"

#include "pause.h"

#define BELL 'B'
#define HANDLES 'H'
#define BELLS_AT_ONCE 16u
#define DROPS_MOST 4096          /* reads of what a peer that is gone has left: more than a stream holds */
#define SPIN_MOST 50u            /* microseconds: about what a sleep and a wake cost */
#define SPIN_LOOKS 32            /* between two looks at the clock */
#define SLEEP_SHORT INT64_C(150) /* microseconds, most of which may be the waking */
#define REGRETS_MOST 16u
#define SLICE_FIRST INT64_C(10000) /* microseconds of one sleep */
#define SLICE_MOST INT64_C(50000)
#define ASK_INTERVAL INT64_C(50) /* microseconds between two system calls of one who only ever polls */

/* ---- the flag ---- */

/* CANO_ECORRUPT: the peer set bits that only we set. */
static cano_status swap_flag(cano_doorbell *bell, uint32_t flag)
{
    /* acq_rel: pairs with the peer's in cano_doorbell_ring and cano_doorbell_is_awaited: either it finds the flag up, or we find
     * what it has changed */
    const uint32_t old = atomic_exchange_explicit(bell->mine, flag, memory_order_acq_rel);
    if (old != 0 && (old != CANO_FLAG_ARMED || !bell->armed)) {
        return CANO_ECORRUPT;
    }
    if (bell->armed && old == 0) {
        bell->owed++;
    }
    bell->armed = flag != 0;
    return CANO_OK;
}

/* A bell may be read before the flag that was taken down for it has been noticed. */
static void notice_swap(cano_doorbell *bell)
{
    /* acquire: pairs with the peer's release in cano_doorbell_ring */
    if (bell->armed && (atomic_load_explicit(bell->mine, memory_order_acquire) & CANO_FLAG_ARMED) == 0) {
        bell->armed = false;
        bell->owed++;
    }
}

/* ---- reading ---- */

static cano_status hear(cano_doorbell *bell, unsigned char byte)
{
    if (bell->owed == 0) {
        notice_swap(bell);
    }
    if (byte != BELL || bell->owed == 0) {
        return CANO_ECORRUPT;
    }
    bell->owed--;
    return CANO_OK;
}

/* Read what is owed, as far as it has come. No handles can be among it: they go ahead of a record, and there is none. */
static cano_status drain(cano_doorbell *bell)
{
    while (bell->owed > 0 && !bell->ended) {
        unsigned char bytes[BELLS_AT_ONCE];
        const size_t most = bell->owed < BELLS_AT_ONCE ? bell->owed : BELLS_AT_ONCE;
        size_t got = 0;
        cano_status status = cano_os_stream_read(bell->stream, bytes, most, NULL, NULL, &got);
        for (size_t i = 0; i < got && status == CANO_OK; i++) {
            status = hear(bell, bytes[i]);
        }
        bell->ended = status == CANO_ECLOSED;
        if (status != CANO_OK) {
            return status == CANO_ETIMEOUT || status == CANO_ECLOSED ? CANO_OK : status;
        }
    }
    return CANO_OK;
}

/* Read one byte, and the handles that may come with it. CANO_ETIMEOUT: there is none; CANO_ECLOSED: nor will be. */
static cano_status read_one(cano_doorbell *bell)
{
    unsigned char byte;
    cano_os_handle passed[CANO_HANDLES_PASSED];
    size_t passed_count = 0;
    size_t got = 0;
    cano_status status = cano_os_stream_read(bell->stream, &byte, 1, passed, &passed_count, &got);
    bell->ended = bell->ended || status == CANO_ECLOSED;
    if (status != CANO_OK) {
        return status;
    }
    status = cano_handles_add(&bell->came, passed, passed_count);
    if (status == CANO_OK && byte == HANDLES) {
        bell->owed++; /* its own bell follows */
        return CANO_OK;
    }
    return status == CANO_OK ? hear(bell, byte) : status;
}

/* Also when the peer is known to be gone: what it sent is still in the stream, ahead of the end. */
cano_status cano_doorbell_collect(cano_doorbell *bell, uint32_t count)
{
    while (bell->came.count < count) {
        const cano_status status = read_one(bell);
        if (status != CANO_OK) { /* they were sent before the record */
            return status == CANO_ETIMEOUT || status == CANO_ECLOSED ? CANO_ECORRUPT : status;
        }
    }
    return CANO_OK;
}

void cano_doorbell_drop(cano_doorbell *bell)
{
    unsigned char bytes[256];
    size_t got;
    for (int reads = 0; reads < DROPS_MOST; reads++) {
        if (cano_os_stream_read(bell->stream, bytes, sizeof bytes, NULL, NULL, &got) != CANO_OK) {
            break;
        }
    }
    cano_handles_close(&bell->came);
}

/* If something is there the flag may come down again, which saves a bell, but only if one is in the stream already or comes:
 * one who has published and not yet looked at the flag must find it up, or the handle would not be ready for what is there. */
cano_status cano_doorbell_settle(cano_doorbell *bell, cano_doorbell_question is_there, void *context)
{
    const cano_status status = swap_flag(bell, CANO_FLAG_ARMED);
    if (status != CANO_OK) {
        return status;
    }
    if (is_there(context)) {
        return bell->owed > 0 ? swap_flag(bell, 0) : CANO_OK;
    }
    return drain(bell);
}

/* After cano_doorbell_settle no bell can be in the stream but for something that is there. So what is readable although
 * nothing is there is the end, or handles ahead of their record. */
cano_status cano_doorbell_ask(cano_doorbell *bell, cano_doorbell_question is_there, void *context)
{
    cano_os_pollable pollable = { bell->stream->handle, false, false };
    const cano_status polled = bell->ended ? CANO_ETIMEOUT : cano_os_poll(&pollable, 1, 0);
    if (polled != CANO_OK || is_there(context)) {
        return polled == CANO_ETIMEOUT ? CANO_OK : polled;
    }
    const cano_status status = read_one(bell);
    return status == CANO_ETIMEOUT || status == CANO_ECLOSED ? CANO_OK : status;
}

/* ---- waiting ---- */

/* Look again for some microseconds. */
static bool look_for(uint32_t microseconds, cano_doorbell_question is_there, void *context)
{
    const int64_t until = cano_os_now() + microseconds;
    do {
        for (int looks = 0; looks < SPIN_LOOKS; looks++) {
            if (is_there(context)) {
                return true;
            }
            cano_pause();
        }
    } while (cano_os_now() < until);
    return false;
}

/* Looking pays while the other side runs on another processor and is quick. Where it has failed it is given up, and only tried
 * again now and then if sleeps turn out so short that it might have paid. */
static bool spin(cano_patience *patience, cano_doorbell_question is_there, void *context)
{
    const bool in_earnest = patience->regrets >= REGRETS_MOST;
    if (patience->spin == 0 && !in_earnest) {
        return false;
    }
    patience->regrets = 0;
    if (look_for(in_earnest ? SPIN_MOST : patience->spin, is_there, context)) {
        patience->spin = in_earnest || patience->spin > SPIN_MOST / 2 ? SPIN_MOST : patience->spin * 2;
        return true;
    }
    patience->spin = in_earnest ? 0 : patience->spin / 2;
    return false;
}

/* CANO_OK: it is worth looking again. */
static cano_status settle_and_ask(cano_doorbell *bell, cano_doorbell_question is_there, void *context)
{
    cano_status status = cano_doorbell_settle(bell, is_there, context);
    if (status == CANO_OK) {
        status = cano_doorbell_ask(bell, is_there, context);
    }
    if (status != CANO_OK) {
        return status;
    }
    return is_there(context) || cano_doorbell_is_over(bell) ? CANO_OK : CANO_ETIMEOUT;
}

/* For one who does not wait. A handle that nobody watches need not be kept right, so most calls end here without a system
 * call, and without making the peer ring. */
static cano_status peep(cano_doorbell *bell, cano_patience *patience, bool pollable, cano_doorbell_question is_there,
                        void *context)
{
    if (!pollable) {
        const int64_t now = cano_os_now();
        if (now - patience->asked < ASK_INTERVAL) {
            return CANO_ETIMEOUT;
        }
        patience->asked = now;
        cano_os_pollable readable = { bell->stream->handle, false, false };
        const cano_status polled = cano_os_poll(&readable, 1, 0);
        if (polled != CANO_OK) {
            return polled;
        }
    }
    return settle_and_ask(bell, is_there, context);
}

static cano_status sleep_for_bell(cano_doorbell *bell, cano_visit *visit, cano_nap *nap, cano_patience *patience)
{
    const int64_t began = cano_os_now();
    const bool first = nap->slice == 0;
    nap->slice = first ? SLICE_FIRST : nap->slice < SLICE_MOST / 2 ? nap->slice * 2 : SLICE_MOST;
    const cano_status status = cano_visit_sleep(visit, bell->stream->handle, false, nap->slice, &nap->woken);
    if (status == CANO_OK && first && nap->woken && cano_os_now() - began < SLEEP_SHORT) {
        patience->regrets++;
    }
    return status;
}

cano_status cano_doorbell_nap(cano_doorbell *bell, cano_visit *visit, cano_nap *nap, cano_patience *patience, bool pollable,
                              cano_doorbell_question is_there, void *context)
{
    if (visit->timeout == CANO_NOW) {
        return peep(bell, patience, pollable, is_there, context);
    }
    if (nap->slice == 0 && spin(patience, is_there, context)) {
        return CANO_OK;
    }
    cano_status status = cano_doorbell_settle(bell, is_there, context);
    if (status == CANO_OK && nap->woken) {
        status = cano_doorbell_ask(bell, is_there, context);
    }
    if (status != CANO_OK || is_there(context) || cano_doorbell_is_over(bell)) {
        return status;
    }
    return cano_visit_is_over(visit) ? CANO_ETIMEOUT : sleep_for_bell(bell, visit, nap, patience);
}

/* ---- writing ---- */

/* Write the bells that are due, as many as the stream takes; whoever finds it full has something to read. */
static cano_status write_due(cano_doorbell *bell)
{
    static const unsigned char bells[BELLS_AT_ONCE] = { BELL, BELL, BELL, BELL, BELL, BELL, BELL, BELL,
                                                        BELL, BELL, BELL, BELL, BELL, BELL, BELL, BELL };
    while (bell->due > 0) {
        size_t written = 0;
        const cano_status status =
            cano_os_stream_write(bell->stream, bells, bell->due < BELLS_AT_ONCE ? bell->due : BELLS_AT_ONCE, NULL, 0, &written);
        if (status != CANO_OK) {
            bell->ended = bell->ended || status == CANO_ECLOSED;
            return status;
        }
        bell->due -= (uint32_t)written;
    }
    return CANO_OK;
}

cano_status cano_doorbell_answer(cano_doorbell *bell, uint32_t flag)
{
    if (flag & CANO_FLAG_GONE) {
        bell->ended = true;
        return CANO_ECLOSED;
    }
    if ((flag & CANO_FLAG_ARMED) == 0) {
        return CANO_OK;
    }
    bell->due++;
    /* another failure leaves the bell due, and what it is for is done */
    return write_due(bell) == CANO_ECLOSED ? CANO_ECLOSED : CANO_OK;
}

cano_status cano_doorbell_pass(cano_doorbell *bell, const cano_os_handle *handles, size_t count)
{
    static const unsigned char bytes[2] = { HANDLES, BELL };
    cano_status status = write_due(bell);
    if (status != CANO_OK) {
        return status;
    }
    size_t written = 0;
    status = cano_os_stream_write(bell->stream, bytes, sizeof bytes, handles, count, &written);
    if (status == CANO_OK && written < sizeof bytes) {
        bell->due++;
    }
    bell->ended = bell->ended || status == CANO_ECLOSED;
    return status;
}
