/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"
#include "units.h"
#include "work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "term.h"

#define WIDTH_MOST 40
#define MEMORY 5e6 /* microseconds after which an old rate counts for little */

/* Tasks of everybody who works on the queue. */
static void measure(work_bar *bar, uint64_t done, int64_t now)
{
    if (!bar->begun) {
        *bar = (work_bar){ .done_before = done, .last_done = done, .last_at = now, .begun = true };
        return;
    }
    const double passed = (double)(now - bar->last_at);
    if (passed < 1e5) {
        return;
    }
    const double rate = (double)(done - bar->last_done) / passed * 1e6;
    const double weight = passed / (passed + MEMORY);
    bar->rate = bar->rate == 0 ? rate : bar->rate + (rate - bar->rate) * weight;
    bar->last_done = done;
    bar->last_at = now;
}

static int describe(char *text, size_t capacity, const work_bar *bar, const cano_queue_info *info, const work_counts *counts)
{
    char rate[UNITS_TEXT];
    char left[UNITS_TEXT] = "?";
    if (bar->rate > 0) {
        units_time((int64_t)((double)info->unfinished / bar->rate * 1e6), left);
    }
    const uint64_t done = info->done - bar->done_before;
    int length = snprintf(text, capacity, " %" PRIu64 "/%" PRIu64 " done, %s/s, %s left", done, done + info->unfinished,
                          units_rate(bar->rate, rate), left);
    if (counts->retried > 0 && (size_t)length < capacity) {
        length += snprintf(text + length, capacity - (size_t)length, ", %" PRIu64 " retried", counts->retried);
    }
    if (counts->dead > 0 && (size_t)length < capacity) {
        length += snprintf(text + length, capacity - (size_t)length, ", %" PRIu64 " dead", counts->dead);
    }
    return length;
}

void work_bar_draw(work_bar *bar, work *w)
{
    cano_queue_info info = { .size = sizeof info };
    if (cano_queue_stat(w->queue, &info) != CANO_OK) {
        return;
    }
    measure(bar, info.done, host_now());
    char text[160];
    int columns;
    int rows;
    term_size(&columns, &rows);
    const int length = describe(text, sizeof text, bar, &info, &w->counts);
    int width = columns - length - 3;
    width = width > WIDTH_MOST ? WIDTH_MOST : width;
    const uint64_t done = info.done - bar->done_before;
    const uint64_t all = done + info.unfinished;
    char line[320];
    if (width < 5) {
        snprintf(line, sizeof line, "%.*s", columns - 1, text + 1);
    } else {
        const int filled = all == 0 ? width : (int)((uint64_t)width * done / all);
        snprintf(line, sizeof line, "[%.*s%.*s]%s", filled, "########################################", width - filled,
                 "........................................", text);
    }
    screen_draw_bar(&w->screen, line);
}
