/*
 * gpu.h - what the tests of GPUs share: devices, streams, and control of the simulated driver, for tests that run on it or on a real one.
 * Include it in a file that defines _GNU_SOURCE.
 */
#ifndef TENURE_GPU_H
#define TENURE_GPU_H

#include "check.h"
#include <dlfcn.h>

static const tn_device GPU = {TN_CUDA, 0}, PINNED = {TN_CUDA_HOST, 0}, MANAGED = {TN_CUDA_MANAGED, 0};

static inline tn_stream *new_stream(void)
{
    tn_stream *stream = NULL;
    OK(tn_stream_create(GPU, 0, 0, &stream));
    return stream;
}

/* Calls a function of the simulator with a stream: "tenure_sim_hold" stalls it, "tenure_sim_release" resumes it. 0: a real driver runs. */
static inline int control(const char *name, tn_stream *stream)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    int (*function)(uint64_t) = NULL;
    uint64_t native = 0;
    if (driver == NULL)
        return 0;
    *(void **)&function = dlsym(driver, name);
    dlclose(driver);
    if (function == NULL)
        return 0;
    OK(tn_stream_native(stream, &native));
    return function(native) == 0;
}

/* A pool of GPU memory with the plain backend. */
static inline tn_pool *plain_gpu_pool(void)
{
    tn_pool_options options = {.size = sizeof options, .backend = TN_BACKEND_PLAIN};
    tn_pool *pool = NULL;
    OK(tn_pool_create(GPU, &options, &pool));
    return pool;
}

/* Checks that a pool does not reuse freed memory of `bytes` bytes while a held stream is busy; then resumes that stream. */
static inline void check_not_reused(tn_pool *pool, const void *freed, size_t bytes, tn_stream *busy, int held)
{
    void *block = NULL;
    OK(tn_pool_allocate(pool, bytes, 0, TN_STREAM_LEGACY, &block));
    CHECK(block != freed);
    OK(tn_pool_deallocate(pool, block, TN_STREAM_LEGACY));
    if (held)
        CHECK(control("tenure_sim_release", busy));
    OK(tn_device_synchronize(GPU));
}

#endif
