/*
 * allocator.h - allocates and frees blocks for the cases. The allocator is chosen when the program starts, its functions when it is
 * compiled, so that a case calls the allocator directly:
 *
 *     -DAPI_MALLOC   malloc(size), free(block): the general allocators, and Tenure's libtenure_malloc.so
 *     -DAPI_HANDLE   tn_pool_allocate(pool, size, 16, NULL, &block) with its status checked: Tenure by pool handle
 *     -DAPI_UMF      umfPoolMalloc(pool, size): UMF's pools
 */
#ifndef ALLOCATOR_H
#define ALLOCATOR_H
#include <stdbool.h>
#include <stddef.h>

/* Loads the allocator `name` from the shared library `path` ("-" if it is in the process already). Ends the process on failure. */
void allocator_open(const char *name, const char *path);
/* Called by each thread that allocates or frees, at its start and end; some allocators need it. */
void allocator_enter(void);
void allocator_leave(void);
/* Returns unused memory to the system; false if the allocator has no such call. */
bool allocator_trim(void);

/* Replaces the pool, which has no live block, by a new one; false if the allocator is one for the whole process. */
bool allocator_renew(void);

_Noreturn void allocator_failed(const char *what);

#if defined API_HANDLE
#include <tenure.h>
typedef struct allocator_calls {
    __typeof__(&tn_pool_allocate) allocate;
    __typeof__(&tn_pool_deallocate) deallocate;
    __typeof__(&tn_pool_allocate_zeroed) zeroed;
    __typeof__(&tn_pool_reallocate) reallocate;
    tn_pool *pool;
} allocator_calls;

/* Makes an array of bytes in the pool; `data` gets its address. */
void *allocator_array(size_t bytes, bool zeros, char **data);
void allocator_array_release(void *array);
#elif defined API_UMF
#include <umf.h>
#include <umf/memory_pool.h>
typedef struct allocator_calls {
    __typeof__(&umfPoolMalloc) allocate;
    __typeof__(&umfPoolFree) deallocate;
    __typeof__(&umfPoolCalloc) zeroed;
    __typeof__(&umfPoolRealloc) reallocate;
    __typeof__(&umfPoolAlignedMalloc) aligned;
    umf_memory_pool_handle_t pool;
} allocator_calls;
#elif defined API_MALLOC
typedef struct allocator_calls {
    void *(*allocate)(size_t);
    void (*deallocate)(void *);
    void *(*zeroed)(size_t, size_t);
    void *(*reallocate)(void *, size_t);
    int (*aligned)(void **, size_t, size_t);
} allocator_calls;
#else
#error "say which allocator: -DAPI_MALLOC, -DAPI_HANDLE or -DAPI_UMF"
#endif

extern allocator_calls allocator;

static inline void *allocate_block(size_t size)
{
    void *block;
#if defined API_HANDLE
    if (__builtin_expect(allocator.allocate(allocator.pool, size, 16, NULL, &block) != TN_OK, 0)) {
        allocator_failed("tn_pool_allocate");
    }
#else
#if defined API_UMF
    block = allocator.allocate(allocator.pool, size);
#else
    block = allocator.allocate(size);
#endif
    if (__builtin_expect(block == NULL, 0)) {
        allocator_failed("malloc");
    }
#endif
    return block;
}

/* A block of zeros; NULL if the allocator makes none (UMF's disjoint pool). */
static inline void *allocate_zeroed_block(size_t size)
{
#if defined API_HANDLE
    void *block = NULL;
    if (allocator.zeroed(allocator.pool, size, 16, NULL, &block) != TN_OK) {
        allocator_failed("tn_pool_allocate_zeroed");
    }
    return block;
#elif defined API_UMF
    return allocator.zeroed(allocator.pool, 1, size);
#else
    return allocator.zeroed(1, size);
#endif
}

/* A block whose address is a multiple of `alignment`, a power of two of 16 and more. */
static inline void *allocate_aligned_block(size_t size, size_t alignment)
{
    void *block = NULL;
#if defined API_HANDLE
    if (__builtin_expect(allocator.allocate(allocator.pool, size, alignment, NULL, &block) != TN_OK, 0)) {
        allocator_failed("tn_pool_allocate");
    }
#else
#if defined API_UMF
    block = allocator.aligned(allocator.pool, size, alignment);
#else
    (void)allocator.aligned(&block, alignment, size);
#endif
    if (__builtin_expect(block == NULL, 0)) {
        allocator_failed("an aligned allocation");
    }
#endif
    return block;
}

/* Resizes a block; NULL if the allocator cannot (UMF's disjoint pool). The old block is then unchanged. */
static inline void *reallocate_block(void *block, size_t size)
{
#if defined API_HANDLE
    void *moved = NULL;
    if (__builtin_expect(allocator.reallocate(allocator.pool, block, size, NULL, &moved) != TN_OK, 0)) {
        allocator_failed("tn_pool_reallocate");
    }
    return moved;
#elif defined API_UMF
    return allocator.reallocate(allocator.pool, block, size);
#else
    void *moved = allocator.reallocate(block, size);
    if (__builtin_expect(moved == NULL, 0)) {
        allocator_failed("realloc");
    }
    return moved;
#endif
}

static inline void free_block(void *block)
{
#if defined API_HANDLE
    if (__builtin_expect(allocator.deallocate(allocator.pool, block, NULL) != TN_OK, 0)) {
        allocator_failed("tn_pool_deallocate");
    }
#elif defined API_UMF
    if (__builtin_expect(allocator.deallocate(allocator.pool, block) != UMF_RESULT_SUCCESS, 0)) {
        allocator_failed("umfPoolFree");
    }
#else
    allocator.deallocate(block);
#endif
}
#endif
