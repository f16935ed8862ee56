/*
 * tenure_rmm.hpp - a memory resource of RMM over a pool: C++17, with RMM's headers.
 *
 *     tenure::rmm_resource resource{pool};                       // a tn_pool on a GPU, or of managed memory
 *     rmm::mr::set_current_device_resource(resource);            // RMM before 26: &resource
 *
 * Blocks are aligned to 256 bytes, count for the client "rmm", and are allocated and freed in the order of RMM's streams. Two resources are
 * equal if they have one pool. A resource does not own its pool, and may outlive the pool's handle: it then frees blocks, but allocates none.
 *
 * RMM's resources are classes with the properties of `cuda::mr`. In older versions they derive from `rmm::mr::device_memory_resource`, where
 * that header exists; TENURE_RMM_VIRTUAL (1 or 0) overrides the choice.
 */
#ifndef TENURE_RMM_HPP
#define TENURE_RMM_HPP

#include "tenure_bindings.h"

#include <cstddef>
#include <cstdint>
#include <rmm/error.hpp>

#ifndef TENURE_RMM_VIRTUAL
#if __has_include(<rmm/mr/device_memory_resource.hpp>) || __has_include(<rmm/mr/device/device_memory_resource.hpp>)
#define TENURE_RMM_VIRTUAL 1
#else
#define TENURE_RMM_VIRTUAL 0
#endif
#endif

#if TENURE_RMM_VIRTUAL
#include <rmm/cuda_stream_view.hpp>
#if __has_include(<rmm/mr/device_memory_resource.hpp>)
#include <rmm/mr/device_memory_resource.hpp>
#else
#include <rmm/mr/device/device_memory_resource.hpp>
#endif
#else
#include <cuda/memory_resource>
#include <cuda/stream_ref>
#endif

namespace tenure {

namespace detail {

/// A pool as RMM's resources use it.
class rmm_pool {
public:
    explicit rmm_pool(tn_pool *pool) noexcept : pool_(pool), serial_(serial_of(pool)) {}

    tn_pool *get() const noexcept
    {
        return pool_;
    }

    void *allocate(std::size_t bytes, CUstream_st *stream) const
    {
        void *block = tn_rmm_allocate(bytes, stream, pool_);
        if (block == nullptr && bytes != 0)
            throw rmm::out_of_memory(tn_last_error());
        return block;
    }

    void deallocate(void *ptr, std::size_t bytes, CUstream_st *stream) const noexcept
    {
        tn_rmm_deallocate(ptr, bytes, stream, pool_);
    }

    bool operator==(const rmm_pool &other) const noexcept
    {
        return serial_ == other.serial_ && (serial_ != 0 || pool_ == other.pool_);
    }

private:
    /// The number of a pool, by which two handles on one pool are equal. 0: no pool, or a released one.
    static std::uint64_t serial_of(tn_pool *pool) noexcept
    {
        tn_pool_stats stats = {};
        stats.size = sizeof stats;
        return pool != nullptr && tn_pool_query(pool, &stats) == TN_OK ? stats.serial : 0;
    }

    tn_pool *pool_;
    std::uint64_t serial_;
};

} // namespace detail

#if TENURE_RMM_VIRTUAL

/// A memory resource over a pool.
class rmm_resource final : public rmm::mr::device_memory_resource {
public:
    /// `pool`: a pool on a GPU or of managed memory; nullptr: the default pool of the GPU of the thread's current context.
    explicit rmm_resource(tn_pool *pool = nullptr) noexcept : pool_(pool) {}

    /// The pool.
    tn_pool *pool() const noexcept
    {
        return pool_.get();
    }

private:
    void *do_allocate(std::size_t bytes, rmm::cuda_stream_view stream) override
    {
        return pool_.allocate(bytes, stream.value());
    }

    void do_deallocate(void *ptr, std::size_t bytes, rmm::cuda_stream_view stream) noexcept override
    {
        pool_.deallocate(ptr, bytes, stream.value());
    }

    bool do_is_equal(const rmm::mr::device_memory_resource &other) const noexcept override
    {
        const auto *same = dynamic_cast<const rmm_resource *>(&other);
        return same != nullptr && same->pool_ == pool_;
    }

    detail::rmm_pool pool_;
};

#else

/// A memory resource over a pool.
class rmm_resource final {
public:
    /// The alignment of every block. A request for more is refused.
    static constexpr std::size_t alignment_bytes = 256;

    /// `pool`: a pool on a GPU or of managed memory; nullptr: the default pool of the GPU of the thread's current context.
    explicit rmm_resource(tn_pool *pool = nullptr) noexcept : pool_(pool) {}

    /// The pool.
    tn_pool *pool() const noexcept
    {
        return pool_.get();
    }

    /// Allocates a block that is used first on the stream.
    void *allocate(cuda::stream_ref stream, std::size_t bytes, std::size_t alignment = alignment_bytes)
    {
        check(alignment);
        return pool_.allocate(bytes, stream.get());
    }

    /// Frees a block after the work of the stream.
    void deallocate(cuda::stream_ref stream, void *ptr, std::size_t bytes, std::size_t = alignment_bytes) noexcept
    {
        pool_.deallocate(ptr, bytes, stream.get());
    }

    /// Allocates a block that any stream can use at once: waits for the legacy stream, in whose order it is allocated.
    void *allocate_sync(std::size_t bytes, std::size_t alignment = alignment_bytes)
    {
        check(alignment);
        void *block = pool_.allocate(bytes, nullptr);
        if (block != nullptr && tn_stream_synchronize(TN_STREAM_LEGACY) != TN_OK) {
            pool_.deallocate(block, bytes, nullptr);
            throw rmm::bad_alloc(tn_last_error());
        }
        return block;
    }

    /// Frees a block that no work uses any more.
    void deallocate_sync(void *ptr, std::size_t bytes, std::size_t = alignment_bytes) noexcept
    {
        pool_.deallocate(ptr, bytes, nullptr);
    }

    bool operator==(const rmm_resource &other) const noexcept
    {
        return pool_ == other.pool_;
    }

    bool operator!=(const rmm_resource &other) const noexcept
    {
        return !(*this == other);
    }

    /// GPUs can access the memory.
    friend constexpr void get_property(const rmm_resource &, cuda::mr::device_accessible) noexcept {}

private:
    static void check(std::size_t alignment)
    {
        if (alignment > alignment_bytes)
            throw rmm::bad_alloc("tenure::rmm_resource aligns blocks to 256 bytes, and not to more");
    }

    detail::rmm_pool pool_;
};

#endif

} // namespace tenure

#endif
