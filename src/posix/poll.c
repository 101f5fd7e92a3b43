/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"
#include "os.h"

#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define POLL_MOST 64

/* Sleep once, for at most that many microseconds, or without end. */
#ifdef CANO_HAS_PPOLL
static int sleep_on(struct pollfd *set, size_t count, int64_t microseconds)
{
    const struct timespec time = { .tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000 };
    return ppoll(set, (nfds_t)count, microseconds == CANO_OS_NEVER ? NULL : &time, NULL);
}
#else
static int sleep_on(struct pollfd *set, size_t count, int64_t microseconds)
{
    if (microseconds == CANO_OS_NEVER) {
        return poll(set, (nfds_t)count, -1);
    }
    const int64_t milliseconds = microseconds / 1000 + (microseconds % 1000 != 0);
    return poll(set, (nfds_t)count, milliseconds < INT_MAX ? (int)milliseconds : INT_MAX);
}
#endif

static int64_t remaining(int64_t deadline)
{
    if (deadline <= 0 || deadline == CANO_OS_NEVER) {
        return deadline <= 0 ? 0 : CANO_OS_NEVER;
    }
    const int64_t now = cano_os_now();
    return deadline <= now ? 0 : deadline - now;
}

/* How many are ready, 0 at the deadline, -1. */
static int sleep_until(struct pollfd *set, size_t count, int64_t deadline)
{
    for (;;) {
        const int64_t time = remaining(deadline);
        const int ready = sleep_on(set, count, time);
        if (ready > 0 || (ready == 0 && time == 0) || (ready < 0 && errno != EINTR)) {
            return ready;
        }
    }
}

cano_status cano_os_poll(cano_os_pollable *watched, size_t count, int64_t deadline)
{
    struct pollfd set[POLL_MOST];
    if (count > POLL_MOST || (watched == NULL && count > 0)) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    for (size_t i = 0; i < count; i++) {
        set[i] = (struct pollfd){ .fd = (int)watched[i].handle, .events = watched[i].write ? POLLOUT : POLLIN };
    }
    const int ready = sleep_until(set, count, deadline);
    if (ready < 0) {
        return cano_posix_failed(errno);
    }
    if (ready == 0) {
        return cano_os_fail(0, CANO_ETIMEOUT);
    }
    for (size_t i = 0; i < count; i++) {
        watched[i].ready = set[i].revents != 0; /* whatever it is, reading or writing will tell */
    }
    return CANO_OK;
}

void cano_os_close(cano_os_handle handle)
{
    const int error = errno; /* cleaning up must not hide why */
    if (handle != CANO_OS_NONE) {
        close((int)handle); /* not again after EINTR: the number may be somebody else's by then */
    }
    errno = error;
}
