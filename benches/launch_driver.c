/*
 * launch_driver.c - a CUDA driver without a device, for launch.c: every call succeeds at once. It has what a launch needs, and memory that nothing
 * uses.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Callers pass more arguments than these functions take. */
#define SUCCEEDS(name)                                                                                                         \
    int name()                                                                                                                 \
    {                                                                                                                          \
        return 0;                                                                                                              \
    }
#define WRITES(type, name, value)                                                                                              \
    int name(type *out)                                                                                                        \
    {                                                                                                                          \
        *out = (type)(value);                                                                                                  \
        return 0;                                                                                                              \
    }

enum { MIB = 1 << 20, THREADS = 1024, BLOCK_BYTES = 48 << 10 };

static _Thread_local void *current;

SUCCEEDS(cuInit)
SUCCEEDS(cuCtxSynchronize)
SUCCEEDS(cuMemFree_v2)
SUCCEEDS(cuStreamSynchronize)
SUCCEEDS(cuStreamWaitEvent)
SUCCEEDS(cuStreamDestroy_v2)
SUCCEEDS(cuEventRecord)
SUCCEEDS(cuEventQuery)
SUCCEEDS(cuEventSynchronize)
SUCCEEDS(cuLaunchKernel)
WRITES(int, cuDriverGetVersion, 12000)
WRITES(int, cuDeviceGetCount, 1)
WRITES(int, cuDeviceGet, 0)
WRITES(void *, cuDevicePrimaryCtxRetain, (uintptr_t)0x1000)
WRITES(void *, cuCtxGetCurrent, current)
WRITES(unsigned, cuThreadExchangeStreamCaptureMode, 2)
WRITES(void *, cuStreamCreateWithPriority, (uintptr_t)0x2000)
WRITES(void *, cuEventCreate, malloc(1))
WRITES(void *, cuModuleLoadData, (uintptr_t)0x3000)
WRITES(void *, cuModuleGetFunction, (uintptr_t)0x4000)

int cuCtxSetCurrent(void *context)
{
    current = context;
    return 0;
}

int cuCtxGetId(void *context, unsigned long long *id)
{
    *id = (uintptr_t)context;
    return 0;
}

int cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    *least = *greatest = 0;
    return 0;
}

int cuStreamIsCapturing(void *stream, unsigned *status)
{
    (void)stream;
    *status = 0;
    return 0;
}

int cuMemAlloc_v2(uint64_t *address, size_t bytes)
{
    *address = (uintptr_t)aligned_alloc(2 * MIB, (bytes / (2 * MIB) + 1) * (2 * MIB));
    return *address == 0 ? 2 : 0;
}

int cuMemGetInfo_v2(size_t *unused, size_t *total)
{
    *unused = *total = (size_t)8 << 30;
    return 0;
}

/* The limits of grids and blocks, and block memory; nothing else is there. */
int cuDeviceGetAttribute(int *value, int attribute)
{
    *value = attribute >= 1 && attribute <= 7 ? THREADS : attribute == 8 || attribute == 97 ? BLOCK_BYTES : 0;
    return 0;
}

int cuFuncGetAttribute(int *value, int attribute)
{
    *value = attribute == 0 ? THREADS : attribute == 8 ? BLOCK_BYTES : 0;
    return 0;
}
