/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle.h"
#include "latch.h"
#include "name.h"
#include "queue.h"

#include <cano/process.h>
#include <string.h>

/* A thing that was handed to this process, until it is taken. */
typedef struct inherited_thing {
    cano_bundle_thing what; /* checked; kind 0: taken */
    cano_os_handle handles[CANO_PIPE_HANDLES];
} inherited_thing;

static struct {
    cano_latch latch;
    uint32_t heir;      /* cano_os_self() of the process that looked first; 0: nobody yet */
    cano_status status; /* of the look */
    uint32_t count;
    inherited_thing things[CANO_BUNDLE_THINGS];
} inheritance;

/* ---- open the bundle, once per process ---- */

static cano_status map_bundle(cano_os_segment *segment)
{
    cano_os_handle handle;
    cano_status status = cano_os_inherited(CANO_BUNDLE_HAND, &handle);
    if (status != CANO_OK) {
        return status;
    }
    status = cano_os_segment_adopt(segment, handle, sizeof(cano_bundle), true);
    if (status == CANO_OK) {
        memcpy(segment->id, ((cano_bundle *)(void *)segment->base)->id, sizeof segment->id);
        segment->id[sizeof segment->id - 1] = '\0';
    }
    return status;
}

static cano_status check_thing(const cano_bundle_thing *what)
{
    if (memchr(what->name, '\0', sizeof what->name) == NULL || !cano_name_is_plain(what->name, CANO_BUNDLE_NAME)) {
        return CANO_ECORRUPT;
    }
    if (what->kind == CANO_BUNDLE_QUEUE) {
        return what->handle_count == CANO_BUNDLE_QUEUE_HANDLES ? CANO_OK : CANO_ECORRUPT;
    }
    return what->kind == CANO_BUNDLE_PIPE && what->handle_count <= CANO_PIPE_HANDLES && what->size <= sizeof what->bytes
               ? CANO_OK
               : CANO_ECORRUPT;
}

static bool is_lease(const cano_bundle_thing *what, uint32_t number)
{
    return what->kind == CANO_BUNDLE_QUEUE && number == CANO_BUNDLE_LEASE;
}

static void close_handles(const inherited_thing *thing, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (is_lease(&thing->what, i) ? cano_os_lease_drop : cano_os_close)(thing->handles[i]);
    }
}

static cano_status receive_handle(inherited_thing *thing, uint32_t number)
{
    char part[CANO_BUNDLE_PART];
    cano_bundle_part(part, thing->what.name, number);
    if (cano_os_inherited(part, &thing->handles[number]) != CANO_OK) {
        return CANO_ECORRUPT;
    }
    return is_lease(&thing->what, number) ? cano_os_lease_adopt(&thing->handles[number]) : CANO_OK;
}

static cano_status receive_thing(const cano_bundle_thing *written)
{
    inherited_thing *thing = &inheritance.things[inheritance.count];
    memcpy(&thing->what, written, sizeof thing->what); /* checked and used here, never again there */
    if (check_thing(&thing->what) != CANO_OK) {
        return CANO_ECORRUPT;
    }
    for (uint32_t i = 0; i < thing->what.handle_count; i++) {
        const cano_status status = receive_handle(thing, i);
        if (status != CANO_OK) {
            close_handles(thing, i);
            return status;
        }
    }
    inheritance.count++;
    return CANO_OK;
}

static cano_status receive_things(cano_bundle *bundle)
{
    const uint32_t count = bundle->count;
    if (bundle->magic != CANO_BUNDLE_MAGIC || bundle->version != CANO_BUNDLE_VERSION) {
        return CANO_EVERSION;
    }
    if (count > CANO_BUNDLE_THINGS) {
        return CANO_ECORRUPT;
    }
    /* relaxed: nothing but the word itself is decided here */
    if (atomic_exchange_explicit(&bundle->claimed, 1, memory_order_relaxed) != 0) {
        return CANO_ENOENT;
    }
    cano_status status = CANO_OK;
    for (uint32_t i = 0; i < count && status == CANO_OK; i++) {
        status = receive_thing(&bundle->things[i]);
    }
    return status;
}

static cano_status receive(void)
{
    cano_os_segment segment;
    cano_status status = map_bundle(&segment);
    if (status == CANO_OK) {
        status = receive_things((cano_bundle *)(void *)segment.base);
        cano_os_segment_close(&segment);
    }
    return status;
}

/* What the heir has not taken is no business of its forked children. */
static void renounce(void)
{
    for (uint32_t i = 0; i < inheritance.count; i++) {
        if (inheritance.things[i].what.kind != 0) {
            close_handles(&inheritance.things[i], inheritance.things[i].what.handle_count);
        }
    }
    inheritance.count = 0;
    inheritance.status = CANO_ENOENT;
}

/* Under the latch. */
static cano_status look_once(void)
{
    const uint32_t self = cano_os_self();
    if (inheritance.heir == 0) {
        inheritance.status = receive();
    } else if (inheritance.heir != self) {
        renounce();
    }
    inheritance.heir = self;
    return inheritance.status;
}

/* ---- take a thing out ---- */

static inherited_thing *find(const char *name)
{
    for (uint32_t i = 0; i < inheritance.count; i++) {
        inherited_thing *thing = &inheritance.things[i];
        if (thing->what.kind != 0 && strcmp(thing->what.name, name) == 0) {
            return thing;
        }
    }
    return NULL;
}

/* Under the latch: only one caller gets it. */
static cano_status take_out(const char *name, uint32_t kind, inherited_thing *taken)
{
    const cano_status status = look_once();
    if (status != CANO_OK) {
        return status;
    }
    inherited_thing *thing = find(name);
    if (thing == NULL) {
        return CANO_ENOENT;
    }
    if (thing->what.kind != kind) {
        return CANO_EKIND;
    }
    *taken = *thing;
    thing->what.kind = 0;
    return CANO_OK;
}

static cano_status take(const char *name, uint32_t kind, inherited_thing *taken)
{
    cano_latch_close(&inheritance.latch);
    const cano_status status = take_out(name, kind, taken);
    cano_latch_open(&inheritance.latch);
    return status;
}

/* ---- public ---- */

cano_status cano_inherited_queue(const char *name, const cano_queue_options *options, cano_queue **queue)
{
    if (!cano_name_is_plain(name, CANO_BUNDLE_NAME) || queue == NULL) {
        return CANO_EINVAL;
    }
    inherited_thing taken;
    const cano_status status = take(name, CANO_BUNDLE_QUEUE, &taken);
    if (status != CANO_OK) {
        return status;
    }
    const cano_queue_place place = { taken.what.slot, taken.what.generation, taken.handles[CANO_BUNDLE_LEASE] };
    return cano_queue_adopt(queue, taken.handles[CANO_BUNDLE_SEGMENT], &place, options);
}

cano_status cano_inherited_pipe(const char *name, cano_pipe **pipe)
{
    if (!cano_name_is_plain(name, CANO_BUNDLE_NAME) || pipe == NULL) {
        return CANO_EINVAL;
    }
    inherited_thing taken;
    const cano_status status = take(name, CANO_BUNDLE_PIPE, &taken);
    if (status != CANO_OK) {
        return status;
    }
    cano_pipe_parts parts = { .size = taken.what.size, .handle_count = taken.what.handle_count };
    memcpy(parts.bytes, taken.what.bytes, sizeof parts.bytes);
    memcpy(parts.handles, taken.handles, sizeof parts.handles);
    return cano_pipe_assemble(pipe, &parts);
}
