/* SPDX-License-Identifier: Apache-2.0 */
/* The lesson, part 2: the same conversation over queues. A queue has no ends: whoever holds it puts and gets. It keeps what
 * is said until it is heard, it can be counted, and it can be locked: while one uses it, the others wait. */
#include <cano/cano.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(cano_status status, const char *what)
{
    if (status != CANO_OK) {
        fprintf(stderr, "%s: %s\n", what, cano_strerror(status));
        exit(1);
    }
}

static void say(cano_queue *queue, const char *words)
{
    check(cano_queue_put(queue, words, strlen(words) + 1, CANO_FOREVER), "say");
}

static void hear(cano_queue *queue, const char *who)
{
    char words[100] = "nothing more: the queue was shut down.";
    const cano_status status = cano_queue_get(queue, words, sizeof words, NULL, CANO_FOREVER);
    check(status == CANO_ECLOSED ? CANO_OK : status, "hear");
    printf("%s hears: %s\n", who, words);
    fflush(stdout); /* before answering: both write to one terminal */
}

int main(void)
{
    cano_queue *to_bruno, *to_ana;
    if (cano_inherited_queue("to_bruno", NULL, &to_bruno) == CANO_OK) { /* started below: this process is Bruno */
        check(cano_inherited_queue("to_ana", NULL, &to_ana), "take the queue");
        hear(to_bruno, "Bruno");
        say(to_ana, "Loud and clear, Ana. And you, in yours?");
        for (int sentence = 0; sentence < 3; sentence++) {
            hear(to_bruno, "Bruno");
        }
        return 0;
    }
    check(cano_queue_create(&to_bruno, NULL, NULL), "make a queue");
    check(cano_queue_create(&to_ana, NULL, NULL), "make a queue");
    const cano_hand hands[] = { { .name = "to_bruno", .queue = to_bruno }, { .name = "to_ana", .queue = to_ana } };
    const cano_process_options options = { sizeof options, hands, 2 };
    cano_process *bruno;
    check(cano_process_spawn(&bruno, (const char *const[]){ CANO_SELF, NULL }, &options), "start Bruno");
    say(to_bruno, "Bruno, can you hear me in your queue?");
    hear(to_ana, "Ana");
    check(cano_queue_lock(to_bruno, CANO_FOREVER), "lock"); /* nobody comes between these two sentences */
    say(to_bruno, "As if you stood beside me.");
    say(to_bruno, "Good-bye!");
    check(cano_queue_unlock(to_bruno), "unlock");
    check(cano_queue_shutdown(to_bruno, false), "shut down"); /* what is in it is still heard */
    check(cano_process_wait(bruno, NULL, CANO_FOREVER), "wait for Bruno");
    cano_process_close(bruno);
    return 0;
}
