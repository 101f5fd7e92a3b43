/* SPDX-License-Identifier: Apache-2.0 */
/* Boost.Interprocess message_queue. */
#include "bench.h"

#include <boost/interprocess/ipc/message_queue.hpp>

using boost::interprocess::message_queue;

namespace {

struct user {
    message_queue queue;
    bool sleeps;
};

void *create(const bench_shape *shape)
{
    message_queue::remove(shape->name);
    message_queue(boost::interprocess::create_only, shape->name, shape->depth, shape->size);
    return new bench_shape(*shape);
}

void destroy(void *thing)
{
    auto *shape = static_cast<bench_shape *>(thing);
    message_queue::remove(shape->name);
    delete shape;
}

void *attach(void *thing, bench_side, unsigned)
{
    const auto *shape = static_cast<bench_shape *>(thing);
    return new user{ message_queue(boost::interprocess::open_only, shape->name), shape->sleeps };
}

void detach(void *handle)
{
    delete static_cast<user *>(handle);
}

bool put(void *handle, const void *data, std::size_t size)
{
    auto *u = static_cast<user *>(handle);
    unsigned looks = 0;
    if (u->sleeps) {
        u->queue.send(data, size, 0);
        return true;
    }
    while (!u->queue.try_send(data, size, 0)) {
        bench_relax(&looks);
    }
    return true;
}

const void *get(void *handle, void *buffer, std::size_t *size)
{
    auto *u = static_cast<user *>(handle);
    message_queue::size_type got = 0;
    unsigned priority = 0;
    unsigned looks = 0;
    if (u->sleeps) {
        u->queue.receive(buffer, *size, got, priority);
    } else {
        while (!u->queue.try_receive(buffer, *size, got, priority)) {
            bench_relax(&looks);
        }
    }
    *size = got;
    return buffer;
}

} // namespace

extern "C" const bench_peer peer_boost = { "Boost message_queue", BENCH_SLEEPS | BENCH_SPINS | BENCH_MANY, 0, "", create, destroy,
                                           attach, detach, nullptr, put, nullptr, get, nullptr };
