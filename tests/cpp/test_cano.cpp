/* SPDX-License-Identifier: Apache-2.0 */
/* cano.hpp: one check per promise of its own; what the C calls promise is tested elsewhere. Plain checks, an exit status. */
#include <cano/cano.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>

using namespace std::chrono_literals;

static int failures;

#define CHECK(condition)                                                           \
    do {                                                                           \
        if (!(condition)) {                                                        \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            failures++;                                                            \
        }                                                                          \
    } while (0)

template <class Body> static cano_status thrown(Body body)
{
    try {
        body();
    } catch (const cano::error &e) {
        return e.status();
    }
    return CANO_OK;
}

static void queue_carries_text_and_values()
{
    cano::queue q = cano::queue::create();
    q.put("hello");
    q.put(std::string("world"));
    q.put(cano::bytes_of(42));
    q.put(std::vector<double>{ 1.5, 2.5 });
    q.put({});
    CHECK(q.qsize() == 5 && !q.empty() && !q.full());
    CHECK(q.next().text() == "hello");
    CHECK(q.next(1s)->text() == "world");
    CHECK(q.next().as<int>() == 42);
    cano::message two = q.next();
    CHECK(two.size() == 2 * sizeof(double));
    CHECK(thrown([&] { (void)two.as<int>(); }) == CANO_ETOOBIG);
    CHECK(q.next().size() == 0);
    CHECK(!q.next(0s) && !q.next(-5s) && !q.next(cano::timeout::now()));
#if defined(__cpp_lib_span)
    const std::array<int, 3> numbers = { 1, 2, 3 };
    q.put(std::span(numbers));
    CHECK(q.next().size() == sizeof numbers);
#endif
}

static void time_is_rounded_up_and_bounded()
{
    CHECK(cano::timeout(1ns).microseconds() == 1);
    CHECK(cano::timeout(1500ns).microseconds() == 2);
    CHECK(cano::timeout(-1h).microseconds() == CANO_NOW);
    CHECK(cano::timeout(std::chrono::hours::max()).microseconds() == CANO_FOREVER);
    CHECK(cano::timeout(std::chrono::duration<double>(0.25)).microseconds() == 250000);
    cano::queue q = cano::queue::create();
    const auto begin = std::chrono::steady_clock::now();
    CHECK(!q.next(20ms));
    CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
}

static void batches_are_all_or_nothing()
{
    cano::queue_options options;
    options.max_items = 3;
    cano::queue q = cano::queue::create(options);
    CHECK(q.put_many({ "a", "b" }, 0s));
    CHECK(!q.put_many({ "c", "d" }, 0s));
    CHECK(q.qsize() == 2);
    CHECK(thrown([&] { q.put_many({ "a", "b", "c", "d" }); }) == CANO_ETOOBIG);
}

static void failures_are_exceptions()
{
    CHECK(thrown([] { cano::queue::open("there-is-no-such-queue"); }) == CANO_ENOENT);
    CHECK(thrown([] { cano::queue::create("a/b"); }) == CANO_EINVAL);
    CHECK(!cano::queue::unlink("there-is-no-such-queue"));
    cano::queue q = cano::queue::create();
    q.shutdown();
    bool ended = false;
    try {
        q.next();
    } catch (const cano::closed &) {
        ended = true;
    }
    CHECK(ended);
    cano::queue moved = std::move(q);
    CHECK(moved && !q);
    CHECK(thrown([&] { q.put("x"); }) == CANO_EINVAL); // NOLINT: a moved handle is refused, not a crash
}

static void unfinished_tasks_go_back()
{
    cano::queue q = cano::queue::create(cano::queue_options(CANO_JOINABLE));
    q.put("task");
    {
        cano::item task = q.take();
        CHECK(task.text() == "task" && task.deliveries() == 1);
    }
    CHECK(q.unfinished() == 1 && !q.join(0s));
    cano::item again = q.take();
    CHECK(again.deliveries() == 2);
    again.done();
    q.join();
    CHECK(thrown([&] { q.task_done(); }) == CANO_ENOTHELD);
    CHECK(q.stat().done == 1);

    q.put("later");
    q.take().give_back(30ms);
    CHECK(!q.take(0s));
    q.take().done();
}

static void plain_views_are_released()
{
    cano::queue_options options;
    options.max_items = 2;
    options.max_bytes = 20000;
    cano::queue q = cano::queue::create(options);
    const std::string large(20000, 'x');
    for (int i = 0; i < 10; i++) {
        q.put(large);
        CHECK(q.take().size() == large.size());
    }
}

static void queue_is_lockable()
{
    cano::queue q = cano::queue::create();
    {
        std::lock_guard<cano::queue> guard(q);
        q.put("one step");
        CHECK(q.next(1s).has_value() && !q.next(1s).has_value()); /* what would have to wait in there is a time-out at once */
    }
    std::unique_lock<cano::queue> lock(q, std::try_to_lock);
    CHECK(lock.owns_lock());
    lock.unlock();
    CHECK(thrown([&] { q.unlock(); }) == CANO_ENOTHELD);
}

static void pipes_talk_and_move()
{
    auto [a, b] = cano::pipe::create();
    a.send("ping");
    CHECK(b.poll() && b.recv().text() == "ping");
    CHECK(!b.recv(0s) && !b.poll());

    auto [c, d] = cano::pipe::create(CANO_PIPE_STREAM);
    a.send(std::move(c));
    CHECK(!c);
    cano::pipe moved = b.recv_pipe();
    moved.send("through another");
    CHECK(d.recv().text() == "through another");

    cano::queue q = cano::queue::create();
    a.send(q);
    cano::queue same = b.recv_queue();
    same.put("shared");
    CHECK(q.next().text() == "shared");
    a.reset();
    CHECK(thrown([&end = b] { end.recv(); }) == CANO_ECLOSED);
}

static int child()
{
    cano::queue tasks = cano::queue::inherited("tasks");
    cano::pipe reply = cano::pipe::inherited("reply");
    reply.send(std::string(tasks.next().text()) + " heard");
    return 7;
}

static void children_get_what_they_are_handed(const char *self)
{
    cano::queue tasks = cano::queue::create();
    auto [ours, theirs] = cano::pipe::create();
    cano::process p = cano::process::spawn({ self, "child" }, { { "tasks", &tasks, nullptr, CANO_GETTER },
                                                                { "reply", nullptr, &theirs, 0 } });
    CHECK(!theirs && p.pid() > 0);
    tasks.put("word");
    CHECK(ours.recv(20s)->text() == "word heard");
    CHECK(p.wait(20s)->code == 7);
    CHECK(thrown([] { cano::process::spawn({ "/there/is/no/such/program" }); }) == CANO_ENOENT);
}

static void strangers_meet_by_name()
{
    const std::string name = "cpp-listener-" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    cano::listener l = cano::listener::create(name);
    CHECK(!l.accept(0s));
    CHECK(thrown([&] { cano::listener::create(name); }) == CANO_EEXIST);
}

int main(int argc, char **argv)
{
    try {
        if (argc > 1) {
            return child();
        }
        queue_carries_text_and_values();
        time_is_rounded_up_and_bounded();
        batches_are_all_or_nothing();
        failures_are_exceptions();
        unfinished_tasks_go_back();
        plain_views_are_released();
        queue_is_lockable();
        pipes_talk_and_move();
        children_get_what_they_are_handed(argv[0]);
        strangers_meet_by_name();
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 2;
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
