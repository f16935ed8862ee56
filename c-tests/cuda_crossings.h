/*
 * cuda_crossings.h - values and shared variables on devices. Include it in a file that defines _GNU_SOURCE.
 */
#ifndef TENURE_CUDA_CROSSINGS_H
#define TENURE_CUDA_CROSSINGS_H

#include "crossings.h"
#include "gpu.h"

static const tn_device ANY = {0, 0}, CPU = {TN_CPU, 0};

static inline int is_on(tn_array *array, tn_device device)
{
    tn_device at = info_of(array).device;
    return at.type == device.type && at.id == device.id;
}

/* The array has `first`, first + step, first + 2 step, .. wherever it is. */
static inline int counts(tn_array *array, int64_t first, int64_t step)
{
    tn_array *back = NULL;
    int64_t values[64];
    uint64_t n = info_of(array).count;
    OK(tn_array_wait(array, TN_READ));
    OK(tn_array_to_device(array, CPU, NULL, NULL, &back));
    OK(tn_array_copy_to_host(back, values, NULL, NULL));
    drop(back);
    for (uint64_t i = 0; i < n; i++)
        if (values[i] != first + step * (int64_t)i)
            return 0;
    return 1;
}

static inline tn_array *value_on(tn_device device)
{
    tn_array *host = numbers(NULL, SHAPE(2, 4)), *there = NULL;
    if (device.type == TN_CPU)
        return host;
    OK(tn_array_to_device(host, device, NULL, NULL, &there));
    OK(tn_array_wait(there, TN_READ_WRITE));
    drop(host);
    return there;
}

static inline tn_shared *variable(tn_device device, tn_device home)
{
    tn_array *value = value_on(home);
    tn_shared_options options = {.size = sizeof options, .device = device, .name = "variable"};
    tn_shared *shared = NULL;
    OK(tn_shared_create(value, 0, &options, &shared, NULL));
    drop(value);
    return shared;
}

static inline int value_counts(tn_shared *shared, int64_t first, int64_t step)
{
    tn_array *value = got(shared, TN_RAW | TN_BORROW, ALIAS);
    int same = counts(value, first, step);
    drop(value);
    return same;
}

#endif
