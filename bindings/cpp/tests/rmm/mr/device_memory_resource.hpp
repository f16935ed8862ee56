/* A stand-in for RMM's header: the class that resources derive from, with its virtual functions. */
#pragma once

#include "../cuda_stream_view.hpp"

#include <cstddef>

namespace rmm::mr {

class device_memory_resource {
public:
    device_memory_resource() = default;
    virtual ~device_memory_resource() = default;
    device_memory_resource(const device_memory_resource &) = default;
    device_memory_resource &operator=(const device_memory_resource &) = default;

    void *allocate(std::size_t bytes, cuda_stream_view stream = {})
    {
        return do_allocate((bytes + 255) & ~std::size_t{255}, stream);
    }
    void deallocate(void *ptr, std::size_t bytes, cuda_stream_view stream = {}) noexcept
    {
        do_deallocate(ptr, (bytes + 255) & ~std::size_t{255}, stream);
    }
    bool is_equal(const device_memory_resource &other) const noexcept
    {
        return do_is_equal(other);
    }

private:
    virtual void *do_allocate(std::size_t bytes, cuda_stream_view stream) = 0;
    virtual void do_deallocate(void *ptr, std::size_t bytes, cuda_stream_view stream) noexcept = 0;
    virtual bool do_is_equal(const device_memory_resource &other) const noexcept
    {
        return this == &other;
    }
};

} // namespace rmm::mr
