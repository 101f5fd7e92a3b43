/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one end of a channel sleeps until the other has done something in the shared memory: a flag word there, and a stream
 * beside it that carries bells, handles and the news of a death. One readable handle tells all three.
 *
 * Each side has a flag of its own. It arms the flag and looks again; the other side, after a change, takes the flag down and,
 * if it was up, writes one bell 'B'. Both do so by read-modify-write on the one word, so they agree on an order: either the
 * change came first and the sleeper's second look finds it, or the arming did and a bell follows. No fence is needed.
 *
 * Invariant: the flag is down only if a bell is in the stream, or about to be written, or the end comes. So bells are read
 * only after arming and looking, and only as many as are owed (flags seen taken down, less bells read): a bell for the next
 * change is never eaten, and the handle serves an event loop as well as a sleeper.
 *
 * Handles travel with a byte 'H' and a bell of its own behind it, ahead of the record that tells what they are.
 *
 * Everything here is serialised by the gate of the direction.
 */
#ifndef CANO_DOORBELL_H
#define CANO_DOORBELL_H

#include "gate.h"
#include "handles.h"
#include "os.h"

/* Bits of a flag word. */
enum {
    CANO_FLAG_ARMED = 1, /* its owner sleeps or is about to: take it down and ring */
    CANO_FLAG_GONE = 2   /* its owner has closed this end */
};

typedef struct cano_doorbell {
    cano_os_stream *stream;
    _Atomic uint32_t *mine;   /* flag in shared memory that we arm */
    _Atomic uint32_t *theirs; /* flag that the peer arms */
    uint32_t owed;            /* bells that have been or will be written to us, and are not read */
    uint32_t due;             /* bells of ours that found the stream full */
    bool armed;               /* the flag is up as far as we know */
    bool ended;               /* the peer is gone; what it left in the memory is still there */
    cano_handles came;
} cano_doorbell;

/* Is there now what one would sleep for? Asked again and again, so it must be quick. */
typedef bool (*cano_doorbell_question)(void *context);

/* The state of one wait, which may take several naps. All zero at the beginning. */
typedef struct cano_nap {
    int64_t slice; /* of the last sleep */
    bool woken;    /* the handle was ready */
} cano_nap;

/* How long looking again pays before sleeping: learned. */
typedef struct cano_patience {
    uint32_t spin;    /* microseconds */
    uint32_t regrets; /* sleeps that were short, since looking was last tried in earnest */
    int64_t asked;    /* when one that does not wait last asked for the end */
} cano_patience;

#define CANO_PATIENCE_INIT ((cano_patience){ .regrets = UINT32_MAX }) /* try at once */

/* What the peer's flag was when it was taken down. CANO_ECLOSED: the peer is gone. */
cano_status cano_doorbell_answer(cano_doorbell *bell, uint32_t flag);

/* Ring if the peer has armed its flag; to be called after every change. CANO_ECLOSED: the peer is gone. */
static inline cano_status cano_doorbell_ring(cano_doorbell *bell)
{
    /* acq_rel: pairs with the peer's in swap_flag, whichever comes first in the order of this word. Nobody else looks at what
     * is overwritten, and whether the peer is gone we remember. */
    const uint32_t flag = atomic_exchange_explicit(bell->theirs, 0, memory_order_acq_rel);
    return flag == 0 ? CANO_OK : cano_doorbell_answer(bell, flag);
}

/* Has the peer armed its flag? To be called after a change by who need not ring for each. */
static inline bool cano_doorbell_is_awaited(cano_doorbell *bell)
{
    /* acq_rel, and a write although it changes nothing: pairs with the peer's in swap_flag, as in cano_doorbell_ring */
    return (atomic_fetch_add_explicit(bell->theirs, 0, memory_order_acq_rel) & CANO_FLAG_ARMED) != 0;
}

/* Arm and look; if it is not there, read what bells are owed: the handle then is ready only for something new. */
cano_status cano_doorbell_settle(cano_doorbell *bell, cano_doorbell_question is_there, void *context);

/* Wait a while for what is not there: look again for some time, then sleep. CANO_OK: look again, also at bell->ended.
 * CANO_ETIMEOUT. pollable: the handle is somebody's, keep it right. */
cano_status cano_doorbell_nap(cano_doorbell *bell, cano_visit *visit, cano_nap *nap, cano_patience *patience, bool pollable,
                              cano_doorbell_question is_there, void *context);

/* Send handles ahead of a record. CANO_ETIMEOUT: the stream is full; CANO_ECLOSED, CANO_ELIMIT, CANO_ESYSTEM: nothing
 * happened. */
cano_status cano_doorbell_pass(cano_doorbell *bell, const cano_os_handle *handles, size_t count);

/* Have the handles that belong to a record that is there. CANO_ECORRUPT: they did not come; CANO_ELIMIT: they stay there. */
cano_status cano_doorbell_collect(cano_doorbell *bell, uint32_t count);

/* The peer is gone: let go of handles whose record never came, so that they keep no other conversation alive. */
void cano_doorbell_drop(cano_doorbell *bell);

/* Is the peer gone, as far as the flag word tells? */
static inline bool cano_doorbell_is_over(const cano_doorbell *bell)
{
    /* acquire: pairs with the release in cano_doorbell_leave; all it published before is visible */
    return bell->ended || (atomic_load_explicit(bell->theirs, memory_order_acquire) & CANO_FLAG_GONE) != 0;
}

/* Ask the kernel whether the peer is gone: sets bell->ended. */
cano_status cano_doorbell_ask(cano_doorbell *bell, cano_doorbell_question is_there, void *context);

/* Tell the peer that this end is being closed. */
static inline void cano_doorbell_leave(cano_doorbell *bell)
{
    /* release: pairs with the acquire in cano_doorbell_is_over */
    atomic_store_explicit(bell->mine, CANO_FLAG_GONE, memory_order_release);
}

#endif
