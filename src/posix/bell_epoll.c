/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner watches an epoll of socket and timer, so that it looks again although a putter died before it rang.
 *
 * What is behind an epoll cannot be asked of it, so it is listed. A forked child has the list too and closes its copies; an
 * entry is linked and unlinked by one store, in case a child was made without handlers in the middle of it.
 */
#include "bells.h"
#include "latch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LOOK_AGAIN 100000000 /* nanoseconds */

typedef struct watched_bell {
    int epoll;
    int socket;
    int timer;
    struct watched_bell *_Atomic next;
} watched_bell;

static cano_latch latch;
static watched_bell *_Atomic all;

/* The link that leads to the bell of a handle, or to NULL. Under the latch: relaxed does. */
static watched_bell *_Atomic *find_link(int handle)
{
    watched_bell *_Atomic *link = &all;
    watched_bell *bell;
    while ((bell = atomic_load_explicit(link, memory_order_relaxed)) != NULL && bell->epoll != handle) {
        link = &bell->next;
    }
    return link;
}

static watched_bell find(int handle)
{
    cano_latch_close(&latch);
    const watched_bell *bell = atomic_load_explicit(find_link(handle), memory_order_relaxed);
    const watched_bell none = { -1, -1, -1, NULL };
    const watched_bell found = bell == NULL ? none : (watched_bell){ bell->epoll, bell->socket, bell->timer, NULL };
    cano_latch_open(&latch);
    return found;
}

static void link_in(watched_bell *bell)
{
    cano_latch_close(&latch);
    atomic_store_explicit(&bell->next, atomic_load_explicit(&all, memory_order_relaxed), memory_order_relaxed);
    /* release: a child without handlers must not see an entry before its contents */
    atomic_store_explicit(&all, bell, memory_order_release);
    cano_latch_open(&latch);
}

static watched_bell *link_out(int handle)
{
    cano_latch_close(&latch);
    watched_bell *_Atomic *link = find_link(handle);
    watched_bell *bell = atomic_load_explicit(link, memory_order_relaxed);
    if (bell != NULL) {
        atomic_store_explicit(link, atomic_load_explicit(&bell->next, memory_order_relaxed), memory_order_relaxed);
    }
    cano_latch_open(&latch);
    return bell;
}

static void close_one(int descriptor)
{
    if (descriptor >= 0) {
        close(descriptor);
    }
}

static void close_bell(watched_bell *bell)
{
    close_one(bell->epoll);
    close_one(bell->timer);
    close_one(bell->socket);
    free(bell);
}

static void arm(int timer)
{
    const struct itimerspec once = { .it_value = { .tv_nsec = LOOK_AGAIN } };
    timerfd_settime(timer, 0, &once, NULL);
}

static int watch(int epoll, int descriptor)
{
    struct epoll_event event = { .events = EPOLLIN };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

int cano_posix_bell_watch(int socket, int *handle)
{
    watched_bell *bell = calloc(1, sizeof *bell);
    if (bell == NULL) {
        close(socket);
        return ENOMEM;
    }
    bell->socket = socket;
    bell->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bell->epoll = bell->timer < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (bell->epoll < 0 || watch(bell->epoll, socket) != 0 || watch(bell->epoll, bell->timer) != 0) {
        const int error = errno;
        close_bell(bell);
        return error;
    }
    arm(bell->timer);
    link_in(bell);
    *handle = bell->epoll;
    return 0;
}

int cano_posix_bell_socket(int handle)
{
    return find(handle).socket;
}

void cano_posix_bell_rearm(int handle)
{
    arm(find(handle).timer);
}

void cano_posix_bell_let_go(int handle)
{
    watched_bell *bell = link_out(handle);
    if (bell != NULL) {
        close_bell(bell);
    } else {
        close(handle);
    }
}
