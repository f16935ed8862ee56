/* pool.c - the loops of pool.py: allocate and free in C, from Tenure's pool and from the driver's. */
#define _POSIX_C_SOURCE 200809L
#include "tenure.h"
#include <time.h>

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds of the rounds, each of which allocates and frees `live` blocks. A negative result is a status. */
int64_t bench_pool(tn_pool *pool, uint64_t bytes, tn_stream *stream, int32_t live, int64_t rounds)
{
    void *blocks[64];
    const int64_t start = now();
    for (int64_t round = 0; round < rounds; round++) {
        for (int32_t at = 0; at < live; at++) {
            const tn_status status = tn_pool_allocate(pool, bytes, 0, stream, &blocks[at]);
            if (status != TN_OK)
                return -status;
        }
        for (int32_t at = 0; at < live; at++) {
            const tn_status status = tn_pool_deallocate(pool, blocks[at], stream);
            if (status != TN_OK)
                return -status;
        }
    }
    return now() - start;
}

/* The loop with cuMemAllocAsync and cuMemFreeAsync, whose addresses the caller passes. A negative result is the driver's status. */
int64_t bench_driver(int (*allocate)(uint64_t *, size_t, void *), int (*give_back)(uint64_t, void *), uint64_t bytes,
                     void *stream, int32_t live, int64_t rounds)
{
    uint64_t blocks[64];
    const int64_t start = now();
    for (int64_t round = 0; round < rounds; round++) {
        for (int32_t at = 0; at < live; at++) {
            const int result = allocate(&blocks[at], bytes, stream);
            if (result != 0)
                return -result;
        }
        for (int32_t at = 0; at < live; at++) {
            const int result = give_back(blocks[at], stream);
            if (result != 0)
                return -result;
        }
    }
    return now() - start;
}
