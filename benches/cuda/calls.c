/* calls.c - the loop of calls.py: one function of the driver, called many times. */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <time.h>

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

typedef int (*function_of_driver)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* Nanoseconds of `rounds` calls with up to six arguments, which are numbers or pointers. A negative result is the driver's status; `accepted`
 * is a status that counts as success. */
int64_t bench_call(function_of_driver function, const uint64_t *with, int accepted, int64_t rounds)
{
    const int64_t start = now();
    for (int64_t round = 0; round < rounds; round++) {
        const int result = function(with[0], with[1], with[2], with[3], with[4], with[5]);
        if (result != 0 && result != accepted)
            return -result;
    }
    return now() - start;
}

/* Nanoseconds of `rounds` pairs of calls. The first one writes an address, which is the first argument of the second one. */
int64_t bench_pair(function_of_driver first, const uint64_t *with, function_of_driver second, int64_t rounds)
{
    const int64_t start = now();
    for (int64_t round = 0; round < rounds; round++) {
        uint64_t made = 0;
        int result = first((uint64_t)(uintptr_t)&made, with[0], with[1], with[2], with[3], 0);
        if (result == 0)
            result = second(made, 0, 0, 0, 0, 0);
        if (result != 0)
            return -result;
    }
    return now() - start;
}
