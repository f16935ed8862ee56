/**
 * @file tenure_kernel.cuh
 * Tenure in kernels: arguments that are arrays, and the memory of a thread block.
 *
 * **Compilers.** The file is C++17 for NVRTC, for nvcc and clang as CUDA compilers, and for host compilers. For CUDA it includes nothing.
 * It does not include tenure.h: `tn_launch` and `tn_borrow_kernel_view` write what kernels read here.
 *
 * **Views.** An argument TN_ARG_ARRAY with Rank axes arrives as `tn_view<T, Rank>`. T is any type with the size of an element: `float`, `__half`,
 * a struct of two doubles. A kernel that only reads takes `tn_view<const T, Rank>`.
 *
 * **Block memory** (CUDA's shared memory) is what the threads of a block share. `TN_BLOCK_ARRAY` declares an array whose lengths are known
 * when the kernel is compiled. The launch provides the rest, the dynamic memory, which `tn_block_at` divides; `tn_block_layout` of tenure.h
 * computes the offsets. `TN_THREAD_ARRAY` declares an array of one thread. No array is initialised, and no constructor of T runs.
 *
 * **TN_KERNEL_CHECK**, defined before the file is included, checks the indices of views and the offsets of `tn_block_at`. A wrong one ends
 * the kernel with a trap. On the host, the program is aborted with a message.
 *
 * **On the host.** A C++ compiler without CUDA compiles the same kernels for the host. The file then defines `__global__`, `__device__`,
 * `__host__`, `__forceinline__`, `__launch_bounds__`, `__shared__`, `__syncthreads`, `threadIdx`, `blockIdx`, `blockDim` and `gridDim`.
 * `TN_HOST_KERNEL(kernel)` defines the function `kernel_host`, which `tn_launch` calls once for each block, on any threads. CUDA's own
 * headers must not be included in such a file.
 *
 * @code
 * #include "tenure_kernel.cuh"
 *
 * extern "C" __global__ void reverse(tn_view<float, 1> to, tn_view<const float, 1> from)
 * {
 *     TN_BLOCK_ARRAY(float, tile, 256);
 *     long long first = 256ll * blockIdx.x, n = from.size();
 *     if (first + threadIdx.x < n)
 *         tile[threadIdx.x] = from(first + threadIdx.x);
 *     tn_block_sync();
 *     if (first + threadIdx.x < n)
 *         to(n - 1 - first - threadIdx.x) = tile[threadIdx.x];
 * }
 * TN_HOST_KERNEL(reverse);
 * @endcode
 */

#ifndef TENURE_KERNEL_CUH
#define TENURE_KERNEL_CUH

#if __cplusplus < 201703L
#error "tenure_kernel.cuh needs C++17"
#endif

#ifdef __CUDACC__

/* ---- CUDA ---- */

/** A function of this file that kernels call, and code of the host too. */
#define TN_KERNEL_FUNCTION __host__ __device__ __forceinline__
/** A function of this file that only kernels call. */
#define TN_KERNEL_DEVICE __device__ __forceinline__
/** Storage that the threads of a block share. */
#define TN_KERNEL_SHARED __shared__

/**
 * The dynamic block memory. It is declared once and as bytes, because all declarations in a program name one object, whatever their type.
 * `tn_block_at` gives access.
 */
extern __shared__ __align__(128) unsigned char tn_block_memory[];

namespace tn_kernel {

/** Ends the kernel: an index or an offset is wrong. The message is for the host. */
template <typename... V> TN_KERNEL_FUNCTION void fail(const char *, V...)
{
#ifdef __CUDA_ARCH__
    __trap();
#else
    __builtin_trap();
#endif
}

/** The start of the dynamic block memory. */
TN_KERNEL_DEVICE unsigned char *memory()
{
    return tn_block_memory;
}

/** The number of bytes of dynamic block memory. */
TN_KERNEL_DEVICE long long memory_bytes()
{
    unsigned bytes;
    asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
    return bytes;
}

} // namespace tn_kernel

/** On the host: defines `kernel_host`, see tenure_kernel_host.hpp. */
#define TN_HOST_KERNEL(kernel) static_assert(true, "the kernel is compiled for a device")

#else

#include "tenure_kernel_host.hpp"

#endif

/* ---- both ---- */

namespace tn_kernel {

/** Bytes, with the constness of T. */
template <typename T> struct bytes_of {
    using type = char;
};
template <typename T> struct bytes_of<const T> {
    using type = const char;
};

/** T[n]..[n] */
template <typename T, unsigned long long... n> struct array_of {
    using type = T;
};
template <typename T, unsigned long long n, unsigned long long... rest> struct array_of<T, n, rest...> {
    using type = typename array_of<T, rest...>::type[n];
};

/** Memory for an array. It has no constructor, so it can lie in block memory, whatever T is. */
template <typename T, unsigned long long... n> struct storage {
    static_assert(sizeof...(n) >= 1 && sizeof...(n) <= 3, "an array in the memory of a kernel has 1 to 3 axes");
    static_assert(((n > 0) && ...), "the lengths of an array in the memory of a kernel are positive");
    using type = typename array_of<T, n...>::type;

    alignas(16) alignas(T) unsigned char bytes[sizeof(type)];

    TN_KERNEL_FUNCTION type &elements() { return *reinterpret_cast<type *>(bytes); }
};

} // namespace tn_kernel

/**
 * An array argument of a kernel: the address of element (0,..,0), lengths, and strides in bytes, which may be negative or 0. It is plain
 * data of 8 + 16 Rank bytes. An array without axes is a tn_view<T, 0>, with the bytes of a tn_view<T, 1> of length 1.
 */
template <typename T, int Rank> struct tn_view {
    static_assert(Rank >= 0 && Rank <= 8, "a view has 0 to 8 axes");

    /** Element (0,..,0). */
    T *data;
    /** Lengths in elements. */
    long long shape[Rank > 0 ? static_cast<unsigned>(Rank) : 1];
    /** Strides in bytes. */
    long long strides[Rank > 0 ? static_cast<unsigned>(Rank) : 1];

    /** An element. TN_KERNEL_CHECK: each index must be at least 0 and below the length of its axis. */
    template <typename... Index> TN_KERNEL_FUNCTION T &operator()(Index... index) const
    {
        static_assert(sizeof...(Index) == Rank, "a view takes one index for each axis");
        using bytes = typename tn_kernel::bytes_of<T>::type;
        int axis = 0;
        long long offset = 0;
        ((offset += distance(axis++, static_cast<long long>(index))), ...);
        return *reinterpret_cast<T *>(reinterpret_cast<bytes *>(data) + offset);
    }

    /** The number of elements. */
    TN_KERNEL_FUNCTION long long size() const
    {
        long long count = 1;
        for (int axis = 0; axis < Rank; axis++)
            count *= shape[axis];
        return count;
    }

  private:
    TN_KERNEL_FUNCTION long long distance(int axis, long long index) const
    {
#ifdef TN_KERNEL_CHECK
        if (index < 0 || index >= shape[axis])
            tn_kernel::fail("index %lld is outside of axis %d of a view (length %lld)", index, axis, shape[axis]);
#endif
        return strides[axis] * index;
    }
};

/**
 * Declares an array of 1 to 3 axes that the threads of a block share: TN_BLOCK_ARRAY(float, tile, 16, 17) is used as `float tile[16][17]`.
 * Each place where it stands has an array of its own, also in a function that several kernels call. It is aligned to 16 bytes, or as T.
 */
#define TN_BLOCK_ARRAY(T, name, ...)                                                                                                       \
    TN_KERNEL_SHARED tn_kernel::storage<T, __VA_ARGS__> name##_storage;                                                                    \
    auto &name = name##_storage.elements()

/** Declares an array of 1 to 3 axes of one thread. It is aligned to 16 bytes, or as T. */
#define TN_THREAD_ARRAY(T, name, ...)                                                                                                      \
    tn_kernel::storage<T, __VA_ARGS__> name##_storage;                                                                                     \
    auto &name = name##_storage.elements()

/**
 * The address of an array in the dynamic block memory, which begins at offset 0 and is aligned to 128 bytes. Two calls with one offset give
 * the same bytes, whatever their T. TN_KERNEL_CHECK: the offset must be a multiple of T's alignment, and must not lie behind the memory.
 */
template <typename T> TN_KERNEL_DEVICE T *tn_block_at(long long offset)
{
#ifdef TN_KERNEL_CHECK
    long long bytes = tn_kernel::memory_bytes(), align = alignof(T);
    if (offset < 0 || offset > bytes || offset % align != 0)
        tn_kernel::fail("offset %lld is no multiple of %lld in the block memory of %lld bytes", offset, align, bytes);
#endif
    return reinterpret_cast<T *>(tn_kernel::memory() + offset);
}

/**
 * Waits until all threads of the block have called it or have returned. What they wrote before is then visible to all. Each thread of a
 * block must call it equally often before it returns, from the same places: else it is undefined in CUDA. On the host, threads that have
 * returned are not waited for, and calls from different places meet.
 */
TN_KERNEL_DEVICE void tn_block_sync()
{
    __syncthreads();
}

#endif
