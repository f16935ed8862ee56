/*
 * simulator.h - control of the simulated driver, for tests that run on it or on a real one. Include it in a file that defines _GNU_SOURCE.
 */
#ifndef TENURE_SIMULATOR_H
#define TENURE_SIMULATOR_H

#include "check.h"
#include <dlfcn.h>

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

#endif
