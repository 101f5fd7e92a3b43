/* SPDX-License-Identifier: Apache-2.0 */
/* A program outside the tree that uses an installed cano: prints the version when a message goes through a queue. */
#include <cano/cano.h>
#include <stdio.h>

int main(void)
{
    char text[20] = "";
    cano_queue *queue;
    if (cano_queue_create(&queue, NULL, NULL) != CANO_OK || cano_queue_put(queue, "here", 5, CANO_NOW) != CANO_OK ||
        cano_queue_get(queue, text, sizeof text, NULL, CANO_NOW) != CANO_OK) {
        return 1;
    }
    cano_queue_close(queue);
    printf("%s: cano %s\n", text, cano_version());
    return 0;
}
