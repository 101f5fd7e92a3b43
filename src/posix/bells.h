/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the socket of a bell becomes the handle that its owner watches: bell_epoll.c, bell_plain.c.
 */
#ifndef CANO_POSIX_BELLS_H
#define CANO_POSIX_BELLS_H

/* The handle for a bound socket, which it owns from then on, also on failure. 0, or an errno. */
int cano_posix_bell_watch(int socket, int *handle);

/* The socket behind an owner's handle. */
int cano_posix_bell_socket(int handle);

/* All that came is read: begin to wait anew. */
void cano_posix_bell_rearm(int handle);

/* Close a handle, an owner's with what is behind it. */
void cano_posix_bell_let_go(int handle);

#endif
