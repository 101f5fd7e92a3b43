/* SPDX-License-Identifier: Apache-2.0 */
/* The lesson, part 1: think of the pipe as a cano with one person at each end. One speaks and the other hears, and the other
 * way round. Ana and Bruno are two processes: they share nothing but the cano. */
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

static void say(cano_pipe *cano, const char *words)
{
    check(cano_pipe_send(cano, words, strlen(words) + 1, CANO_FOREVER), "say");
}

static void hear(cano_pipe *cano, const char *who)
{
    char words[100] = "nothing more: the other end is closed.";
    const cano_status status = cano_pipe_recv(cano, words, sizeof words, NULL, CANO_FOREVER);
    check(status == CANO_ECLOSED ? CANO_OK : status, "hear");
    printf("%s hears: %s\n", who, words);
    fflush(stdout); /* before answering: both write to one terminal */
}

static void be_bruno(cano_pipe *cano)
{
    hear(cano, "Bruno");
    say(cano, "Loud and clear, Ana. And you, at yours?");
    hear(cano, "Bruno");
    hear(cano, "Bruno");
    cano_pipe_close(cano);
}

int main(void)
{
    cano_pipe *cano, *far_end;
    if (cano_inherited_pipe("cano", &cano) == CANO_OK) { /* started below, with one end in hand */
        be_bruno(cano);
        return 0;
    }
    check(cano_pipe_create(&cano, &far_end, NULL), "make a pipe");
    const cano_hand hand = { .name = "cano", .pipe = far_end }; /* moves to Bruno; Ana keeps the near end only */
    const cano_process_options options = { sizeof options, &hand, 1 };
    cano_process *bruno;
    check(cano_process_spawn(&bruno, (const char *const[]){ CANO_SELF, NULL }, &options), "start Bruno");
    say(cano, "Bruno, can you hear me at your end?");
    hear(cano, "Ana");
    say(cano, "As if you stood beside me. Good-bye!");
    cano_pipe_close(cano);
    check(cano_process_wait(bruno, NULL, CANO_FOREVER), "wait for Bruno");
    cano_process_close(bruno);
    return 0;
}
