/*
 * torch.cpp - the functions that PyTorch's CUDAPluggableAllocator loads: they throw where there is no memory, because PyTorch does not test
 * the pointer that it gets.
 *
 * PyTorch turns a std::exception into a RuntimeError with its text. The text of a request without memory begins as PyTorch's own does,
 * "CUDA out of memory.", for programs that look for it. A block is freed by tn_torch_free, which finds its pool by the address.
 *
 * CUDAPluggableAllocator's functions have no argument for a pool. Each pool of `tenure.torch.mem_pool` takes one of the functions
 * tenure_torch_alloc_1 to _15; tenure_torch_alloc_0 allocates from the default pool of each GPU. `cargo xtask wheel` compiles this file.
 */
#include "tenure_bindings.h"

#include <atomic>
#include <stdexcept>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr int slots = 16;
/* The pool of each function; written once, before PyTorch gets the function. */
std::atomic<tn_pool *> pools[slots];

void *allocate(int slot, ptrdiff_t bytes, int device, CUstream_st *stream)
{
    if (bytes < 0)
        throw std::runtime_error("a size is not negative: " + std::to_string(bytes));
    void *block = nullptr;
    tn_pool *pool = pools[slot].load(std::memory_order_acquire);
    tn_status status = tn_plugin_allocate(TN_CLIENT_TORCH, pool, static_cast<size_t>(bytes), device, stream, &block);
    if (status == TN_OK)
        return block;
    bool is_memory = status == TN_ERR_NO_DEVICE_MEMORY || status == TN_ERR_NO_HOST_MEMORY || status == TN_ERR_POOL_LIMIT;
    throw std::runtime_error((is_memory ? "CUDA out of memory. " : "") + std::string(tn_last_error()));
}

} // namespace

/* Lets a function allocate from a pool. 0: done; 1: there is no such function, or it has a pool already. */
EXPORT int tenure_torch_bind(int slot, tn_pool *pool)
{
    tn_pool *none = nullptr;
    return slot < 1 || slot >= slots || !pools[slot].compare_exchange_strong(none, pool);
}

#define SLOT(n)                                                                                  \
    EXPORT void *tenure_torch_alloc_##n(ptrdiff_t bytes, int device, CUstream_st *stream)        \
    {                                                                                            \
        return allocate(n, bytes, device, stream);                                               \
    }

SLOT(0)
SLOT(1)
SLOT(2)
SLOT(3)
SLOT(4)
SLOT(5)
SLOT(6)
SLOT(7)
SLOT(8)
SLOT(9)
SLOT(10)
SLOT(11)
SLOT(12)
SLOT(13)
SLOT(14)
SLOT(15)
