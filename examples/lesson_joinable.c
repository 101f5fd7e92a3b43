/* SPDX-License-Identifier: Apache-2.0 */
/* The lesson, part 3: the joinable queue. Three helpers wash the plates and say when each is done; who joins waits until all
 * are. One helper slips with a plate in hand: it does not break, somebody else gets it. */
#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>

static void check(cano_status status, const char *what)
{
    if (status != CANO_OK) {
        fprintf(stderr, "%s: %s\n", what, cano_strerror(status));
        exit(1);
    }
}

static int help(const char *name, cano_queue *plates)
{
    cano_item item;
    while (cano_queue_take(plates, &item, CANO_FOREVER) == CANO_OK) {
        const int plate = *(const int *)item.data;
        const bool slips = plate == 4 && item.deliveries == 1;
        printf("%s %s plate %d%s\n", name, slips ? "slips, holding" : "washes", plate, item.deliveries > 1 ? ", saved!" : "");
        fflush(stdout); /* all write to one terminal */
        if (slips) {
            exit(1); /* without task_done */
        }
        for (volatile int rub = 0; rub < 2000000; rub++) {
        }
        check(cano_queue_task_done(plates, &item), "done");
    }
    return 0; /* the queue was shut down */
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "Ana", "Bruno", "Clara" };
    cano_process *helpers[3];
    cano_queue *plates;
    if (argc > 1 && cano_inherited_queue("plates", NULL, &plates) == CANO_OK) { /* started below */
        return help(argv[1], plates);
    }
    const cano_queue_options joinable = { sizeof joinable, .flags = CANO_JOINABLE };
    check(cano_queue_create(&plates, NULL, &joinable), "make a queue");
    const cano_process_options hand = { sizeof hand, &(cano_hand){ .name = "plates", .queue = plates }, 1 };
    for (int i = 0; i < 3; i++) {
        check(cano_process_spawn(&helpers[i], (const char *const[]){ CANO_SELF, names[i], NULL }, &hand), "start a helper");
    }
    for (int plate = 1; plate <= 9; plate++) {
        check(cano_queue_put(plates, &plate, sizeof plate, CANO_FOREVER), "put");
    }
    check(cano_queue_join(plates, CANO_FOREVER), "join"); /* returns when every plate is done */
    printf("All plates are washed.\n");
    check(cano_queue_shutdown(plates, false), "shut down"); /* the helpers go home */
    for (int i = 0; i < 3; i++) {
        check(cano_process_wait(helpers[i], NULL, CANO_FOREVER), "wait for a helper");
        cano_process_close(helpers[i]);
    }
    return 0;
}
