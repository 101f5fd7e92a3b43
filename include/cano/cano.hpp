/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cano.hpp
 * cano for C++17: handles that close themselves, time-outs as std::chrono, views of bytes, failures as exceptions.
 *
 * Header only, over the C calls; what those promise holds here. A failure throws cano::error, except what is an everyday answer:
 * a time-out or the end of the conversation. Calls that wait come in two forms: with a time-out they return false or an empty
 * optional when it passed; without one they wait for ever. The end (CANO_ECLOSED) throws cano::closed, which is an error too.
 */
#ifndef CANO_CANO_HPP
#define CANO_CANO_HPP

#include <cano/cano.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<version>)
#include <version>
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif

namespace cano {

/** A failure of a call: which, and why. */
class error : public std::runtime_error {
  public:
    explicit error(cano_status status) : std::runtime_error(cano_strerror(status)), status_(status), os_(cano_os_error()) {}
    /** The status, one of CANO_E... */
    cano_status status() const noexcept { return status_; }
    /** The system's error number behind it, or 0; see cano_os_error. */
    int os_error() const noexcept { return os_; }

  private:
    cano_status status_;
    int os_;
};

/** The end of the conversation: CANO_ECLOSED. */
class closed : public error {
  public:
    closed() : error(CANO_ECLOSED) {}
};

namespace detail {

inline void check(cano_status status)
{
    if (status == CANO_ECLOSED) {
        throw closed();
    }
    if (status != CANO_OK) {
        throw error(status);
    }
}

/** True: done. False: the time limit passed. Anything else throws. */
inline bool in_time(cano_status status)
{
    if (status == CANO_ETIMEOUT) {
        return false;
    }
    check(status);
    return true;
}

} // namespace detail

/** How long to wait: a std::chrono duration, rounded up to microseconds; negative is no time at all; or forever, or now. */
class timeout {
  public:
    template <class Rep, class Period>
    timeout(std::chrono::duration<Rep, Period> duration) // NOLINT: meant to convert
    {
        using limit = std::chrono::duration<long double, std::micro>;
        if (limit(duration) >= limit(static_cast<long double>(std::numeric_limits<cano_timeout>::max()))) {
            microseconds_ = CANO_FOREVER;
        } else if (duration > duration.zero()) {
            microseconds_ = std::chrono::ceil<std::chrono::duration<cano_timeout, std::micro>>(duration).count();
        }
    }
    static timeout forever() noexcept { return timeout(CANO_FOREVER); }
    static timeout now() noexcept { return timeout(CANO_NOW); }
    cano_timeout microseconds() const noexcept { return microseconds_; }

  private:
    explicit timeout(cano_timeout microseconds) noexcept : microseconds_(microseconds) {}
    cano_timeout microseconds_ = CANO_NOW;
};

/** A read-only view of bytes: what put and send take. Made of text, of containers of plain values, of pointer and size. */
class bytes_view {
  public:
    constexpr bytes_view() noexcept = default;
    constexpr bytes_view(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}
    bytes_view(std::string_view text) noexcept : data_(text.data()), size_(text.size()) {} // NOLINT: meant to convert
    bytes_view(const std::string &text) noexcept : data_(text.data()), size_(text.size()) {} // NOLINT
    bytes_view(const char *text) noexcept : data_(text), size_(std::strlen(text)) {} // NOLINT
    template <class T, class = std::enable_if_t<std::is_trivially_copyable_v<T>>>
    bytes_view(const std::vector<T> &values) noexcept // NOLINT
        : data_(values.data()), size_(values.size() * sizeof(T))
    {
    }
#if defined(__cpp_lib_span)
    template <class T, std::size_t N>
    bytes_view(std::span<T, N> values) noexcept : data_(values.data()), size_(values.size_bytes()) // NOLINT
    {
    }
    std::span<const std::byte> span() const noexcept { return { static_cast<const std::byte *>(data_), size_ }; }
#endif
    const void *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    std::string_view text() const noexcept { return { static_cast<const char *>(data_), size_ }; }

  private:
    const void *data_ = nullptr;
    std::size_t size_ = 0;
};

/** The bytes of one plain value. */
template <class T> bytes_view bytes_of(const T &value) noexcept
{
    static_assert(std::is_trivially_copyable_v<T>, "only plain values mean the same in another process");
    return { &value, sizeof value };
}

/** A received message, in memory of its own. */
class message {
  public:
    message() noexcept = default;
    message(void *data, std::size_t size) noexcept : data_(data), size_(size) {}
    message(message &&other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    message &operator=(message &&other) noexcept
    {
        if (this != &other) {
            cano_free(data_);
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }
    message(const message &) = delete;
    message &operator=(const message &) = delete;
    ~message() { cano_free(data_); }

    const void *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    std::string_view text() const noexcept { return { static_cast<const char *>(data_), size_ }; }
    operator bytes_view() const noexcept { return { data_, size_ }; }
    /** The message as one plain value; throws error(CANO_ETOOBIG) if it has another size. */
    template <class T> T as() const
    {
        static_assert(std::is_trivially_copyable_v<T>, "only plain values mean the same in another process");
        if (size_ != sizeof(T)) {
            throw error(CANO_ETOOBIG);
        }
        T value;
        std::memcpy(&value, data_, sizeof value);
        return value;
    }

  private:
    void *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

/** Owns a handle of C and closes it. */
template <class Handle, void (*Close)(Handle *)> class owner {
  public:
    owner() noexcept = default;
    explicit owner(Handle *handle) noexcept : handle_(handle) {}
    owner(owner &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    owner &operator=(owner &&other) noexcept
    {
        if (this != &other) {
            reset(std::exchange(other.handle_, nullptr));
        }
        return *this;
    }
    owner(const owner &) = delete;
    owner &operator=(const owner &) = delete;
    ~owner() { Close(handle_); }

    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /** The handle of C; it stays ours. */
    Handle *get() const noexcept { return handle_; }
    /** Let go of the handle without closing it. */
    Handle *release() noexcept { return std::exchange(handle_, nullptr); }
    void reset(Handle *handle = nullptr) noexcept { Close(std::exchange(handle_, handle)); }

  private:
    Handle *handle_ = nullptr;
};

} // namespace detail

/** Options of a queue: those of C with defaults, to be changed by name. */
struct queue_options : cano_queue_options {
    queue_options() noexcept : cano_queue_options(CANO_QUEUE_OPTIONS_INIT) {}
    explicit queue_options(std::uint32_t with_flags) noexcept : queue_options() { flags = with_flags; }
};

class queue;

/** A message taken as a view, or a task in our hands. A plain message is released, a task that was not ended is given back when
 *  this goes away. */
class item {
  public:
    item(item &&other) noexcept : queue_(std::exchange(other.queue_, nullptr)), item_(other.item_), task_(other.task_) {}
    item &operator=(item &&other) noexcept
    {
        if (this != &other) {
            end();
            queue_ = std::exchange(other.queue_, nullptr);
            item_ = other.item_;
            task_ = other.task_;
        }
        return *this;
    }
    item(const item &) = delete;
    item &operator=(const item &) = delete;
    ~item() { end(); }

    const void *data() const noexcept { return item_.data; }
    std::size_t size() const noexcept { return item_.size; }
    std::string_view text() const noexcept { return { static_cast<const char *>(item_.data), item_.size }; }
    operator bytes_view() const noexcept { return { item_.data, item_.size }; }
    std::uint64_t task() const noexcept { return item_.task; }
    std::uint32_t deliveries() const noexcept { return item_.deliveries; }

    /** The task is done. */
    void done() { detail::check(cano_queue_task_done(std::exchange(queue_, nullptr), &item_)); }
    /** Give the task back, to be delivered again after a delay. */
    void give_back(timeout delay = timeout::now())
    {
        detail::check(cano_queue_give_back(std::exchange(queue_, nullptr), &item_, delay.microseconds()));
    }

  private:
    friend class queue;
    item(cano_queue *from, const cano_item &taken, bool is_task) noexcept : queue_(from), item_(taken), task_(is_task) {}
    void end() noexcept
    {
        if (queue_ != nullptr && task_) {
            cano_queue_give_back(queue_, &item_, CANO_NOW);
        } else if (queue_ != nullptr) {
            cano_queue_release(queue_, &item_);
        }
        queue_ = nullptr;
    }

    cano_queue *queue_;
    cano_item item_;
    bool task_;
};

/** A queue; see queue.h and joinable_queue.h. */
class queue : public detail::owner<cano_queue, cano_queue_close> {
  public:
    using owner::owner;

    /** Make a nameless queue. */
    static queue create(const queue_options &options = {}) { return make(cano_queue_create, nullptr, options); }
    static queue create(const std::string &name, const queue_options &options = {})
    {
        return make(cano_queue_create, name.c_str(), options);
    }
    static queue open(const std::string &name, const queue_options &options = {})
    {
        return make(cano_queue_open, name.c_str(), options);
    }
    /** In a child: what the parent handed over. */
    static queue inherited(const std::string &name)
    {
        cano_queue *made = nullptr;
        detail::check(cano_inherited_queue(name.c_str(), nullptr, &made));
        return queue(made);
    }
    /** Free a name; false: there was none. */
    static bool unlink(const std::string &name)
    {
        const cano_status status = cano_queue_unlink(name.c_str());
        if (status != CANO_ENOENT) {
            detail::check(status);
        }
        return status == CANO_OK;
    }

    void put(bytes_view message) { detail::check(cano_queue_put(get(), message.data(), message.size(), CANO_FOREVER)); }
    bool put(bytes_view message, timeout limit)
    {
        return detail::in_time(cano_queue_put(get(), message.data(), message.size(), limit.microseconds()));
    }
    void put_many(const std::vector<bytes_view> &messages) { put_many(messages, timeout::forever()); }
    bool put_many(const std::vector<bytes_view> &messages, timeout limit)
    {
        std::vector<cano_slice> slices;
        slices.reserve(messages.size());
        for (const bytes_view &m : messages) {
            slices.push_back({ m.data(), m.size() });
        }
        return detail::in_time(cano_queue_put_many(get(), slices.data(), slices.size(), limit.microseconds()));
    }

    message next() { return *next(timeout::forever()); }
    std::optional<message> next(timeout limit)
    {
        void *data = nullptr;
        std::size_t size = 0;
        if (!detail::in_time(cano_queue_get_alloc(get(), &data, &size, limit.microseconds()))) {
            return std::nullopt;
        }
        return message(data, size);
    }

    /** Take as a view; on a joinable queue a task in our hands. */
    item take() { return std::move(*take(timeout::forever())); }
    std::optional<item> take(timeout limit) { return view(cano_queue_take, limit); }
    std::optional<item> dead(timeout limit = timeout::now()) { return view(cano_queue_dead_get, limit); }

    void task_done() { detail::check(cano_queue_task_done(get(), nullptr)); }
    void join() { detail::check(cano_queue_join(get(), CANO_FOREVER)); }
    bool join(timeout limit) { return detail::in_time(cano_queue_join(get(), limit.microseconds())); }

    std::size_t qsize() const { return number(cano_queue_qsize); }
    std::size_t unfinished() const { return number(cano_queue_unfinished); }
    bool empty() const { return flag(cano_queue_empty); }
    bool full() const { return flag(cano_queue_full); }
    void shutdown(bool immediate = false) { detail::check(cano_queue_shutdown(get(), immediate)); }
    cano_queue_info stat() const
    {
        cano_queue_info info{};
        info.size = sizeof info;
        detail::check(cano_queue_stat(get(), &info));
        return info;
    }
    cano_native native() const
    {
        cano_native handle{};
        detail::check(cano_queue_native(get(), &handle));
        return handle;
    }

    /** BasicLockable and Lockable: std::lock_guard and std::unique_lock work on a queue. */
    void lock() { detail::check(cano_queue_lock(get(), CANO_FOREVER)); }
    bool try_lock() { return detail::in_time(cano_queue_lock(get(), CANO_NOW)); }
    bool try_lock_for(timeout limit) { return detail::in_time(cano_queue_lock(get(), limit.microseconds())); }
    void unlock() { detail::check(cano_queue_unlock(get())); }

  private:
    template <class Maker> static queue make(Maker maker, const char *name, const queue_options &options)
    {
        cano_queue *made = nullptr;
        detail::check(maker(&made, name, &options));
        return queue(made);
    }
    template <class Taker> std::optional<item> view(Taker taker, timeout limit)
    {
        cano_item taken{};
        if (!detail::in_time(taker(get(), &taken, limit.microseconds()))) {
            return std::nullopt;
        }
        return item(get(), taken, taken.task != 0);
    }
    template <class Asker> std::size_t number(Asker asker) const
    {
        std::size_t value = 0;
        detail::check(asker(get(), &value));
        return value;
    }
    template <class Asker> bool flag(Asker asker) const
    {
        bool value = false;
        detail::check(asker(get(), &value));
        return value;
    }
};

/** One end of a pipe; see pipe.h. */
class pipe : public detail::owner<cano_pipe, cano_pipe_close> {
  public:
    using owner::owner;

    /** Make a pipe: its two ends. flags: CANO_SIMPLEX (the second sends, the first receives), CANO_PIPE_STREAM. */
    static std::pair<pipe, pipe> create(std::uint32_t flags = 0)
    {
        cano_pipe_options options = CANO_PIPE_OPTIONS_INIT;
        options.flags = flags;
        cano_pipe *a = nullptr;
        cano_pipe *b = nullptr;
        detail::check(cano_pipe_create(&a, &b, &options));
        return { pipe(a), pipe(b) };
    }
    static pipe inherited(const std::string &name)
    {
        cano_pipe *made = nullptr;
        detail::check(cano_inherited_pipe(name.c_str(), &made));
        return pipe(made);
    }
    static pipe connect(const std::string &name, timeout limit = timeout::forever())
    {
        cano_pipe *made = nullptr;
        detail::check(cano_connect(&made, name.c_str(), nullptr, limit.microseconds()));
        return pipe(made);
    }

    void send(bytes_view message) { detail::check(cano_pipe_send(get(), message.data(), message.size(), CANO_FOREVER)); }
    bool send(bytes_view message, timeout limit)
    {
        return detail::in_time(cano_pipe_send(get(), message.data(), message.size(), limit.microseconds()));
    }
    message recv() { return *recv(timeout::forever()); }
    std::optional<message> recv(timeout limit)
    {
        void *data = nullptr;
        std::size_t size = 0;
        if (!detail::in_time(cano_pipe_recv_alloc(get(), &data, &size, limit.microseconds()))) {
            return std::nullopt;
        }
        return message(data, size);
    }
    bool poll(timeout limit = timeout::now()) { return detail::in_time(cano_pipe_poll(get(), limit.microseconds())); }

    /** Send an end of another pipe: it moves. */
    void send(pipe &&moved)
    {
        detail::check(cano_pipe_send_pipe(get(), moved.get(), CANO_FOREVER));
        moved.release();
    }
    void send(const queue &shared) { detail::check(cano_pipe_send_queue(get(), shared.get(), CANO_FOREVER)); }
    pipe recv_pipe()
    {
        cano_pipe *made = nullptr;
        detail::check(cano_pipe_recv_pipe(get(), &made, CANO_FOREVER));
        return pipe(made);
    }
    queue recv_queue()
    {
        cano_queue *made = nullptr;
        detail::check(cano_pipe_recv_queue(get(), &made, CANO_FOREVER));
        return queue(made);
    }
    cano_native native() const
    {
        cano_native handle{};
        detail::check(cano_pipe_native(get(), &handle));
        return handle;
    }
};

/** A name that others can connect to; see listener.h. */
class listener : public detail::owner<cano_listener, cano_listener_close> {
  public:
    using owner::owner;

    static listener create(const std::string &name)
    {
        cano_listener *made = nullptr;
        detail::check(cano_listener_create(&made, name.c_str(), nullptr));
        return listener(made);
    }
    pipe accept() { return std::move(*accept(timeout::forever())); }
    std::optional<pipe> accept(timeout limit)
    {
        cano_pipe *made = nullptr;
        if (!detail::in_time(cano_listener_accept(get(), &made, limit.microseconds()))) {
            return std::nullopt;
        }
        return pipe(made);
    }
};

/** A process that was started; see process.h. Going away does not end it. */
class process : public detail::owner<cano_process, cano_process_close> {
  public:
    using owner::owner;

    /** What to hand to a child; pipes move. */
    struct hand {
        std::string name;
        const queue *shared = nullptr;
        pipe *moved = nullptr;
        std::uint32_t role = 0;
    };

    /** Start a program; an empty first argument is this program. */
    static process spawn(const std::vector<std::string> &arguments, const std::vector<hand> &hands = {})
    {
        std::vector<const char *> argv;
        for (const std::string &argument : arguments) {
            argv.push_back(argument.c_str());
        }
        argv.push_back(nullptr);
        std::vector<cano_hand> given;
        for (const hand &h : hands) {
            given.push_back({ h.name.c_str(), h.shared != nullptr ? h.shared->get() : nullptr,
                              h.moved != nullptr ? h.moved->get() : nullptr, h.role, 0 });
        }
        const cano_process_options options = { sizeof options, given.data(), given.size() };
        cano_process *made = nullptr;
        detail::check(cano_process_spawn(&made, argv.data(), &options));
        for (const hand &h : hands) {
            if (h.moved != nullptr) {
                h.moved->release();
            }
        }
        return process(made);
    }
    cano_exit wait() { return *wait(timeout::forever()); }
    std::optional<cano_exit> wait(timeout limit)
    {
        cano_exit ended{};
        if (!detail::in_time(cano_process_wait(get(), &ended, limit.microseconds()))) {
            return std::nullopt;
        }
        return ended;
    }
    void kill() { detail::check(cano_process_kill(get())); }
    std::int64_t pid() const
    {
        std::int64_t number = 0;
        detail::check(cano_process_pid(get(), &number));
        return number;
    }
};

} // namespace cano

#endif
