/**
 * @file tenure_memory.hpp
 * Containers of the standard library on a Tenure pool, C++17 and later. Header-only; tenure.hpp does not include it.
 *
 * `tenure::memory_resource` is for `std::pmr`, `tenure::allocator<T>` for other containers:
 *
 *     tenure::pool pool(tenure::pool_options().name("step").max_size(1 << 30));
 *     tenure::memory_resource resource(pool);
 *     std::pmr::vector<double> x(1000, &resource);
 *     std::map<int, float, std::less<>, tenure::allocator<std::pair<const int, float>>> m(pool);
 *
 * The pool's statistics count their memory for the client "cpp". Both refer to a pool by its handle. After the handle
 * is released they cannot allocate any more, but they can free; the pool's memory goes with its last block. Without a
 * pool they use the host's default one, whatever the thread's current pool is.
 *
 * A failure is `tenure::out_of_memory`, which is a `std::bad_alloc`, with the status and the library's message. Without
 * exceptions (-fno-exceptions) the message is printed and `std::terminate` is called.
 */
#ifndef TENURE_MEMORY_HPP
#define TENURE_MEMORY_HPP

#include "tenure.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

namespace tenure {

namespace detail {

[[noreturn]] inline void raise_bad_alloc(tn_status status, const char *text) {
#if defined(__cpp_exceptions)
    throw out_of_memory(status, text);
#else
    std::fprintf(stderr, "tenure: %s: %s\n", tn_status_name(status), text);
    std::terminate();
#endif
}

[[noreturn]] inline void raise_bad_length() {
#if defined(__cpp_exceptions)
    throw std::bad_array_new_length();
#else
    std::fputs("tenure: more elements than can be addressed\n", stderr);
    std::terminate();
#endif
}

// A container's reference to a pool: the handle, and the pool's unique number; NULL and 0 for the default pool.
struct pool_reference {
    tn_pool *handle = nullptr;
    std::uint64_t serial = 0;

    pool_reference() noexcept = default;
    explicit pool_reference(tn_pool *of) : handle(of), serial(of != nullptr ? serial_of(of) : 0) {}

    static std::uint64_t serial_of(tn_pool *pool) { return queried(tn_pool_query, pool).serial; }
    static std::uint64_t default_serial() noexcept {
        static const std::uint64_t serial = [] {
            tn_pool *pool = nullptr;
            tn_pool_stats stats{};
            stats.size = sizeof stats;
            if (tn_pool_default(device{}, &pool) == TN_OK) {
                detail::ignore(tn_pool_query(pool, &stats));
                static_cast<void>(tn_pool_release(pool));
            }
            return stats.serial;
        }();
        return serial;
    }
    bool is(const pool_reference &other) const noexcept {
        if (serial == other.serial)
            return true;
        return (serial != 0 ? serial : default_serial()) == (other.serial != 0 ? other.serial : default_serial());
    }
    void *allocate(std::size_t bytes, std::size_t alignment) const {
        void *out = nullptr;
        const tn_status status = tn_cpp_allocate(handle, bytes, alignment, &out);
        if (status != TN_OK)
            raise_bad_alloc(status, tn_last_error());
        return out;
    }
    void deallocate(void *block) const noexcept { static_cast<void>(tn_cpp_deallocate(handle, block)); }
};

} // namespace detail

/// A pool as a `std::pmr::memory_resource`. Two are equal if their pools are the same, through any handles.
///
/// It may be destroyed before its blocks, which another resource on the pool can then free.
class memory_resource : public std::pmr::memory_resource {
public:
    /// Uses the host's default pool.
    memory_resource() noexcept = default;
    /// Uses a pool whose handle the caller keeps.
    explicit memory_resource(const pool &of) : of_(of.handle()) {}
    /// Uses a pool, and owns its handle.
    explicit memory_resource(pool &&of) : of_(of.handle()), own_(std::move(of)) {}
    memory_resource(const memory_resource &) = delete;
    memory_resource &operator=(const memory_resource &) = delete;
    ~memory_resource() override = default;

    /// The pool's handle, not released; NULL for the default pool.
    tn_pool *handle() const noexcept { return of_.handle; }

protected:
    /// Throws `std::bad_alloc`; any power of two up to 4 MiB as alignment.
    void *do_allocate(std::size_t bytes, std::size_t alignment) override { return of_.allocate(bytes, alignment); }
    /// The pool knows the size; a pointer to no block of it is left alone and counted.
    void do_deallocate(void *block, std::size_t, std::size_t) noexcept override { of_.deallocate(block); }
    /// Whether the pools are equal. Without run-time type information, only the same object is.
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        if (this == &other)
            return true;
#if defined(__cpp_rtti)
        const auto *ours = dynamic_cast<const memory_resource *>(&other);
        return ours != nullptr && of_.is(ours->of_);
#else
        return false;
#endif
    }

private:
    detail::pool_reference of_;
    pool own_;
};

/// A pool as a container's allocator. It is copied, moved and swapped with the container.
template <class T>
class allocator {
public:
    using value_type = T;                                      ///< the element type
    using propagate_on_container_copy_assignment = std::true_type; ///< yes
    using propagate_on_container_move_assignment = std::true_type; ///< yes: a move between pools moves no element
    using propagate_on_container_swap = std::true_type;            ///< yes
    using is_always_equal = std::false_type;                       ///< no: pools differ

    /// Uses the host's default pool.
    allocator() noexcept = default;
    /// Uses a pool whose handle the caller keeps.
    allocator(const pool &of) : of_(of.handle()) {}
    /// A temporary pool would end too early: does not compile.
    allocator(pool &&) = delete;
    /// From an allocator on the pool for another type.
    template <class U>
    allocator(const allocator<U> &other) noexcept : of_(other.of_) {}

    /// Memory for this many elements. Throws `std::bad_array_new_length`, `std::bad_alloc`.
    [[nodiscard]] T *allocate(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T))
            detail::raise_bad_length();
        return static_cast<T *>(of_.allocate(count * sizeof(T), alignof(T)));
    }
    /// Frees it; the pool knows the size.
    void deallocate(T *block, std::size_t) noexcept { of_.deallocate(block); }
    /// The allocator of a copy of the container: the same pool.
    allocator select_on_container_copy_construction() const noexcept { return *this; }
    /// The pool's handle, not released; NULL for the default pool.
    tn_pool *handle() const noexcept { return of_.handle; }

    /// Whether the pools are equal.
    template <class U>
    friend bool operator==(const allocator &a, const allocator<U> &b) noexcept {
        return a.is(b);
    }
    /// Whether the pools differ.
    template <class U>
    friend bool operator!=(const allocator &a, const allocator<U> &b) noexcept {
        return !a.is(b);
    }

private:
    template <class U>
    friend class allocator;
    template <class U>
    bool is(const allocator<U> &other) const noexcept {
        return of_.is(other.of_);
    }

    detail::pool_reference of_;
};

} // namespace tenure

#endif
