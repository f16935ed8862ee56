/* pool.c - the loops of pool.py: allocate and free in C, from Tenure's pool and from the driver's. */
#define _POSIX_C_SOURCE 200809L
#include "tenure.h"
#include <pthread.h>
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

/* What each thread does: `rounds` times allocate and free, on its streams in turn. */
struct turns {
    tn_pool *pool;
    int (*allocate)(uint64_t *, size_t, void *);
    int (*give_back)(uint64_t, void *);
    int (*set_context)(void *);
    void *context;
    uint64_t bytes;
    void **streams;
    int32_t n_streams;
    int32_t crossing;
    int64_t rounds;
    int64_t failed;
};

static void *take_turns(void *context)
{
    struct turns *of = context;
    if (of->pool == NULL)
        of->failed = of->set_context(of->context);
    for (int64_t round = 0; round < of->rounds && of->failed == 0; round++) {
        void *first = of->streams[round % of->n_streams];
        void *last = of->crossing ? of->streams[(round + 1) % of->n_streams] : first;
        if (of->pool != NULL) {
            void *block;
            tn_status status = tn_pool_allocate(of->pool, of->bytes, 0, first, &block);
            if (status == TN_OK)
                status = tn_pool_deallocate(of->pool, block, last);
            of->failed = status;
        } else {
            uint64_t block;
            int result = of->allocate(&block, of->bytes, first);
            if (result == 0)
                result = of->give_back(block, last);
            of->failed = result;
        }
    }
    return NULL;
}

enum { MAX_THREADS = 64 };

static int64_t on_threads(struct turns one, void **streams, int32_t threads)
{
    struct turns all[MAX_THREADS];
    pthread_t made[MAX_THREADS];
    if (threads > MAX_THREADS)
        return -1;
    const int64_t start = now();
    for (int32_t at = 0; at < threads; at++) {
        all[at] = one;
        all[at].streams = streams + (int64_t)at * one.n_streams;
        if (pthread_create(&made[at], NULL, take_turns, &all[at]) != 0)
            return -1;
    }
    int64_t failed = 0;
    for (int32_t at = 0; at < threads; at++) {
        pthread_join(made[at], NULL);
        failed = failed != 0 ? failed : all[at].failed;
    }
    return failed != 0 ? -failed : now() - start;
}

/* Nanoseconds in which each of `threads` threads allocated and freed `rounds` blocks. The streams of a thread follow each other. With `crossing`
 * each block is freed on the thread's next stream. A negative result is a status. */
int64_t bench_pool_threads(tn_pool *pool, uint64_t bytes, void **streams, int32_t n_streams, int32_t threads, int32_t crossing,
                           int64_t rounds)
{
    const struct turns one = {.pool = pool, .bytes = bytes, .n_streams = n_streams, .crossing = crossing, .rounds = rounds};
    return on_threads(one, streams, threads);
}

/* The loop with the driver's functions, as above. `set_context` makes the context current on each thread. */
int64_t bench_driver_threads(int (*allocate)(uint64_t *, size_t, void *), int (*give_back)(uint64_t, void *), int (*set_context)(void *),
                             void *context, uint64_t bytes, void **streams, int32_t n_streams, int32_t threads, int32_t crossing,
                             int64_t rounds)
{
    const struct turns one = {.allocate = allocate, .give_back = give_back, .set_context = set_context, .context = context,
                              .bytes = bytes, .n_streams = n_streams, .crossing = crossing, .rounds = rounds};
    return on_threads(one, streams, threads);
}
