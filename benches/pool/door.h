/*
 * door.h - how a case asks for a block and gives it back. Which allocator answers is said when the program starts; the shape of the
 * call is said to the compiler, so that no shim stands between a case and the allocator:
 *
 *     -DDOOR_MALLOC   malloc(size), free(block): the general allocators, and Tenure's libtenure_malloc.so
 *     -DDOOR_HANDLE   tn_pool_allocate(pool, size, 16, NULL, &block) with its status looked at: Tenure by pool handle
 *     -DDOOR_UMF      umfPoolMalloc(pool, size): UMF's pools
 */
#ifndef DOOR_H
#define DOOR_H
#include <stdbool.h>
#include <stddef.h>

/* Loads the allocator `name` from the shared library `path` ("-": it is in this process already), or ends the process with the reason. */
void door_open(const char *name, const char *path);
/* Each thread that takes or gives blocks says so; some allocators want that. */
void door_enter(void);
void door_leave(void);
/* Gives everything back that is in no block, as far as the allocator has a call for that: false where it has none. */
bool door_trim(void);

/* A new pool in the place of the old one, which has no live block: false where the allocator is one for the whole process. */
bool door_renew(void);

_Noreturn void door_failed(const char *what);

#if defined DOOR_HANDLE
#include <tenure.h>
typedef struct door_calls {
    __typeof__(&tn_pool_allocate) allocate;
    __typeof__(&tn_pool_deallocate) deallocate;
    __typeof__(&tn_pool_allocate_zeroed) zeroed;
    tn_pool *pool;
} door_calls;

/* An array of bytes in the pool, and where its bytes lie. */
void *door_array(size_t bytes, bool zeros, char **data);
void door_array_release(void *array);
#elif defined DOOR_UMF
#include <umf.h>
#include <umf/memory_pool.h>
typedef struct door_calls {
    __typeof__(&umfPoolMalloc) allocate;
    __typeof__(&umfPoolFree) deallocate;
    __typeof__(&umfPoolCalloc) zeroed;
    umf_memory_pool_handle_t pool;
} door_calls;
#elif defined DOOR_MALLOC
typedef struct door_calls {
    void *(*allocate)(size_t);
    void (*deallocate)(void *);
    void *(*zeroed)(size_t, size_t);
} door_calls;
#else
#error "say which door: -DDOOR_MALLOC, -DDOOR_HANDLE or -DDOOR_UMF"
#endif

extern door_calls door;

static inline void *take(size_t size)
{
    void *block;
#if defined DOOR_HANDLE
    if (__builtin_expect(door.allocate(door.pool, size, 16, NULL, &block) != TN_OK, 0)) {
        door_failed("tn_pool_allocate");
    }
#else
#if defined DOOR_UMF
    block = door.allocate(door.pool, size);
#else
    block = door.allocate(size);
#endif
    if (__builtin_expect(block == NULL, 0)) {
        door_failed("malloc");
    }
#endif
    return block;
}

/* Zeros; NULL where the allocator makes none (UMF's disjoint pool). */
static inline void *take_zeroed(size_t size)
{
#if defined DOOR_HANDLE
    void *block = NULL;
    if (door.zeroed(door.pool, size, 16, NULL, &block) != TN_OK) {
        door_failed("tn_pool_allocate_zeroed");
    }
    return block;
#elif defined DOOR_UMF
    return door.zeroed(door.pool, 1, size);
#else
    return door.zeroed(1, size);
#endif
}

static inline void give(void *block)
{
#if defined DOOR_HANDLE
    if (__builtin_expect(door.deallocate(door.pool, block, NULL) != TN_OK, 0)) {
        door_failed("tn_pool_deallocate");
    }
#elif defined DOOR_UMF
    if (__builtin_expect(door.deallocate(door.pool, block) != UMF_RESULT_SUCCESS, 0)) {
        door_failed("umfPoolFree");
    }
#else
    door.deallocate(block);
#endif
}
#endif
