/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a pipe in this process, and what its two transports do.
 */
#ifndef CANO_PIPE_END_H
#define CANO_PIPE_END_H

#include "channel.h"
#include "gate.h"
#include "handles.h"
#include "pipe.h"
#include "pipe_layout.h"

/* Directions, and the index of their gates. */
enum {
    CANO_PIPE_RECEIVES = 1,
    CANO_PIPE_SENDS = 2
};

/* The beginning of cano_pipe_parts.bytes: what an end is, wherever it goes. */
typedef struct cano_pipe_birth {
    uint64_t pair[2];   /* the same for both ends of one pipe, no other has it */
    uint8_t transport;  /* CANO_PIPE_MEMORY or CANO_PIPE_STREAM */
    uint8_t side;       /* 0 or 1 */
    uint8_t directions; /* CANO_PIPE_RECEIVES, CANO_PIPE_SENDS */
    uint8_t reserved[5];
} cano_pipe_birth;

static inline bool cano_pipe_is_duplex(const cano_pipe_birth *birth)
{
    return birth->directions == (CANO_PIPE_RECEIVES | CANO_PIPE_SENDS);
}

/* Side 1 of the pipe that has this side 0. */
static inline cano_pipe_birth cano_pipe_birth_of_peer(const cano_pipe_birth *birth)
{
    cano_pipe_birth peer = *birth;
    peer.side = 1;
    peer.directions = cano_pipe_is_duplex(birth) ? birth->directions : CANO_PIPE_SENDS;
    return peer;
}

/* The stream transport: what is known of the message that is next. */
typedef struct cano_stream_inlet {
    unsigned char head[12]; /* of its frame */
    uint32_t got;           /* bytes of the head */
    uint32_t thing;         /* 0: not known yet */
    uint64_t size;          /* bytes behind the head */
    bool ended;
    uint32_t expected; /* things with handles that were announced */
    cano_handles came;
} cano_stream_inlet;

typedef struct cano_pipe_transport cano_pipe_transport;

/* In private memory of this process that can be slept on. */
typedef struct cano_pipe_gates {
    cano_gate receiving;
    unsigned char pad[124];
    cano_gate sending;
} cano_pipe_gates;

struct cano_pipe {
    const cano_pipe_transport *transport;
    cano_pipe_birth birth;
    cano_os_segment memory; /* of the gates */
    cano_pipe_gates *gates;
    _Atomic uint32_t owner;         /* cano_os_self() of the process that uses it; its complement while it takes it over */
    _Atomic uint32_t *shared_owner; /* counts the owners in shared memory; NULL: there is none */
    uint32_t ownership;             /* what it was when this process became one */
    _Atomic uint32_t used;          /* 1: by this process */
    _Atomic uint32_t closing;
    _Atomic int32_t failed;     /* a status other than CANO_OK: refuse further use */
    _Atomic uint32_t peer_gone; /* 1: the end of the conversation has been seen */
    cano_os_stream streams[2];  /* memory: by channel; stream: the first */
    uint32_t streams_count;
    cano_os_segment segment; /* memory transport */

    unsigned char pad0[128]; /* what two threads use lies apart */
    cano_reader reader;
    cano_stream_inlet inlet;

    unsigned char pad1[128];
    cano_writer writer;
};

/* A thing to send. Handles stay the caller's. */
typedef struct cano_pipe_message {
    uint32_t thing;
    uint32_t handle_count;
    const void *data;
    size_t size;
    const cano_os_handle *handles;
} cano_pipe_message;

/* Each is called by one who holds the gate of the direction. */
struct cano_pipe_transport {
    /* Send it, waiting for room. */
    cano_status (*send)(cano_pipe *, cano_visit *, const cano_pipe_message *);

    /* Wait until the next thing, or a part of it, or the end is there. */
    cano_status (*await)(cano_pipe *, cano_visit *);

    /* Wait until it is known what comes next. CANO_ECLOSED: nothing, for ever. */
    cano_status (*find)(cano_pipe *, cano_visit *, uint32_t *thing, uint64_t *size);

    /* After find: have the message, and be done with it. */
    cano_status (*take)(cano_pipe *, cano_visit *, void *buffer);

    /* After find: have the bytes and handles of a passed thing; they are the caller's then. */
    cano_status (*unpack)(cano_pipe *, cano_visit *, cano_pipe_parts *parts);

    /* Keep the stream ready to read exactly when something is there. */
    cano_status (*watch)(cano_pipe *, cano_os_handle *native);

    /* Write down what the other end of a move must know, behind the birth. CANO_ELIMIT: too many handles. */
    cano_status (*describe)(cano_pipe *, cano_pipe_parts *parts);

    /* A forked child: others may have been inside. */
    cano_status (*recover)(cano_pipe *);

    /* Tell the peer that this end goes. */
    void (*leave)(cano_pipe *);

    /* Let go of everything, silently. */
    void (*release)(cano_pipe *);
};

extern const cano_pipe_transport cano_pipe_memory;
extern const cano_pipe_transport cano_pipe_stream;

/* Let go of all it has; nobody is inside. */
void cano_pipe_dispose(cano_pipe *pipe);

/* Make the shared memory of a pipe whose side 0 is this end, around the connected stream that it has, and the parts of side 1;
 * in those the handle of the other side of that stream is missing. *extra, if it is a stream, is to be closed once they have
 * been sent. */
cano_status cano_pipe_memory_make(cano_pipe *pipe, cano_pipe_parts *peer, cano_os_stream *extra);

/* Likewise of a pipe without shared memory. */
void cano_pipe_stream_make(cano_pipe *pipe, cano_pipe_parts *peer);

/* Fill an end from parts, taking the handles it needs out of the list, in their order; what is left after a failure stays the
 * caller's. Streams that are there already are not among the handles. */
cano_status cano_pipe_memory_fill(cano_pipe *pipe, const cano_pipe_parts *parts, cano_handles *handles);
cano_status cano_pipe_stream_fill(cano_pipe *pipe, const cano_pipe_parts *parts, cano_handles *handles);

#endif
