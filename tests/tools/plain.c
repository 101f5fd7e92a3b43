/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the cano command need of a program: a plain queue, and somebody who holds a queue's locks.
 *   plain make NAME     make a plain queue
 *   plain hold NAME     lock() it, make the file "held", and wait for the end
 */
#include <cano/cano.h>
#include <stdio.h>
#include <string.h>

#define FAILED 3

static int hold(const char *name)
{
    cano_queue *queue = NULL;
    if (cano_queue_open(&queue, name, NULL) != CANO_OK || cano_queue_lock(queue, CANO_FOREVER) != CANO_OK) {
        return FAILED;
    }
    FILE *held = fopen("held", "w");
    if (held == NULL || fclose(held) != 0) {
        return FAILED;
    }
    cano_pipe *one = NULL;
    cano_pipe *other = NULL;
    char byte;
    if (cano_pipe_create(&one, &other, NULL) == CANO_OK) {
        cano_pipe_recv(one, &byte, 1, NULL, CANO_FOREVER); /* nobody ever says anything */
    }
    return FAILED;
}

int main(int argc, char **argv)
{
    cano_queue *queue = NULL;
    if (argc == 3 && strcmp(argv[1], "hold") == 0) {
        return hold(argv[2]);
    }
    return argc == 3 && cano_queue_create(&queue, argv[2], NULL) == CANO_OK ? 0 : FAILED;
}
