/*
 * tenure_rmm.hpp - a memory resource of RMM over a pool: C++17, with RMM's headers.
 *
 *     tenure::rmm_resource resource{pool};                       // a tn_pool on a GPU, or of managed memory
 *     rmm::mr::set_current_device_resource(&resource);
 *
 * Blocks are aligned to 256 bytes, count for the client "rmm", and are allocated and freed in the order of RMM's streams. Two resources are
 * equal if they have one pool. A resource does not own its pool, and may outlive the pool's handle: it then frees blocks, but allocates none.
 */
#ifndef TENURE_RMM_HPP
#define TENURE_RMM_HPP

#include "tenure.h"

#include <cstddef>
#include <cstdint>
#include <rmm/cuda_stream_view.hpp>
#include <rmm/error.hpp>
#if __has_include(<rmm/mr/device_memory_resource.hpp>)
#include <rmm/mr/device_memory_resource.hpp>
#else
#include <rmm/mr/device/device_memory_resource.hpp>
#endif

namespace tenure {

/// A memory resource over a pool.
class rmm_resource final : public rmm::mr::device_memory_resource {
public:
    /// `pool`: a pool on a GPU or of managed memory; nullptr: the default pool of the GPU of the thread's current context.
    explicit rmm_resource(tn_pool *pool = nullptr) noexcept : pool_(pool), serial_(serial_of(pool)) {}

    /// The pool.
    tn_pool *pool() const noexcept
    {
        return pool_;
    }

private:
    /// The number of a pool, by which two handles on one pool are equal. 0: no pool, or a released one.
    static std::uint64_t serial_of(tn_pool *pool) noexcept
    {
        tn_pool_stats stats = {};
        stats.size = sizeof stats;
        return pool != nullptr && tn_pool_query(pool, &stats) == TN_OK ? stats.serial : 0;
    }

    void *do_allocate(std::size_t bytes, rmm::cuda_stream_view stream) override
    {
        void *block = tn_rmm_allocate(bytes, stream.value(), pool_);
        if (block == nullptr && bytes != 0)
            throw rmm::out_of_memory(tn_last_error());
        return block;
    }

    void do_deallocate(void *ptr, std::size_t bytes, rmm::cuda_stream_view stream) noexcept override
    {
        tn_rmm_deallocate(ptr, bytes, stream.value(), pool_);
    }

    bool do_is_equal(const rmm::mr::device_memory_resource &other) const noexcept override
    {
        const auto *same = dynamic_cast<const rmm_resource *>(&other);
        return same != nullptr && (same == this || (same->serial_ == serial_ && (serial_ != 0 || same->pool_ == pool_)));
    }

    tn_pool *pool_;
    std::uint64_t serial_;
};

} // namespace tenure

#endif
