/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put right what the dead left behind. Every step can be repeated from the start, by anyone, deaths of repairers included.
 *
 * Two occasions. Whoever takes a lock over from the dead repairs what that lock guards, at once and without the guard
 * (cano_repair_put_side, cano_repair_get_side). Everything else - leases, blocks, slots - is put right by one who holds the
 * guard and acts under its name: first every lock that names the dead, then entries, then blocks, and a slot is free only
 * when nothing names it. Nobody under the guard waits for a lock whose holder lives: what cannot be done now stays for the next
 * look.
 */
#ifndef CANO_REPAIR_H
#define CANO_REPAIR_H

#include "queue_memory.h"

/* Repair callbacks of the two ring locks; the context is the cano_queue_memory. */
void cano_repair_put_side(void *memory);
void cano_repair_get_side(void *memory);

/* Look for the dead and put right, at most once per slice over all participants unless forced. True: something changed, look
 * again at what was waited for. Never waits for longer than a few milliseconds. */
bool cano_repair_look(cano_queue_memory *memory, bool force);

/* Put right all that can be, under the guard, which the caller holds. */
void cano_repair_all(cano_queue_memory *memory);

/* Take the guard, backing off, until deadline. CANO_ETIMEOUT. End with cano_os_guard_leave. */
cano_status cano_repair_guard(cano_queue_memory *memory, int64_t deadline);
void cano_repair_leave(cano_queue_memory *memory);

/* Walk the committed records from a position: where the next one goes, and how many there are. CANO_ECORRUPT. */
cano_status cano_repair_walk(const cano_queue_memory *memory, uint64_t from, uint64_t *to);

/* With both ring locks held in the memory's own name: finish a shutdown(immediate), free blocks that belong to nobody.
 * CANO_ETIMEOUT, CANO_ENOMEM: not now; need_sweep stays set. */
cano_status cano_repair_blocks(cano_queue_memory *memory);

#endif
