/*
 * check.h - checks for every C test.
 *
 * CHECK(cond)            cond must be true.
 * OK(call)               the call must return TN_OK.
 * FAILS(call, status)    the call must return exactly that status, with a message that begins with the function's name.
 * gpus(), for_gpu(id)    the number of GPUs; the status of a call for one of them on this machine.
 * finish()               the value of main: 0 if all checks passed and nothing is leaked (tn_leaks).
 *
 * A failed check prints the place and the condition, and the test goes on, so that one run shows every failure.
 */
#ifndef TENURE_CHECK_H
#define TENURE_CHECK_H

#include "tenure.h"
#include <stdio.h>
#include <string.h>

static int check_failures;

static inline void check_failed(const char *file, int line, const char *what)
{
    check_failures++;
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
}

static inline void check_status(const char *file, int line, const char *call, tn_status got, tn_status expected)
{
    size_t name = strcspn(call, "( ");
    if (got == expected && got != TN_OK && strncmp(call, "tn_", 3) == 0 &&
        (strncmp(tn_last_error(), call, name) != 0 || strncmp(tn_last_error() + name, ": ", 2) != 0)) {
        check_failures++;
        fprintf(stderr, "%s:%d: %s\n    the text is not this function's: %s\n", file, line, call, tn_last_error());
    }
    if (got == expected)
        return;
    check_failures++;
    fprintf(stderr, "%s:%d: %s\n    expected %s, got %s", file, line, call, tn_status_name(expected), tn_status_name(got));
    if (got != TN_OK)
        fprintf(stderr, ": %s", tn_last_error());
    fprintf(stderr, "\n");
}

#define CHECK(cond)         ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))
#define OK(call)            check_status(__FILE__, __LINE__, #call, (call), TN_OK)
#define FAILS(call, status) check_status(__FILE__, __LINE__, #call, (call), (status))

/* The number of GPUs; 0 without a driver. */
static inline int32_t gpus(void)
{
    size_t count = 0;
    OK(tn_device_count(TN_CUDA, &count));
    return (int32_t)count;
}

/* The status of an otherwise valid call for the GPU with that number on this machine. */
static inline tn_status for_gpu(int32_t id)
{
    if (id < gpus())
        return TN_OK;
    return gpus() > 0 ? TN_ERR_DEVICE : TN_ERR_UNSUPPORTED;
}

static inline int finish(void)
{
    static tn_holder leaks[32];
    size_t count = 0;
    OK(tn_leaks(sizeof(tn_holder), 32, leaks, &count));
    for (size_t i = 0; i < count && i < 32; i++)
        fprintf(stderr, "leak: kind %d \"%s\" made at \"%s\", %llu bytes\n", (int)leaks[i].kind, leaks[i].name, leaks[i].site,
                (unsigned long long)leaks[i].bytes);
    CHECK(count == 0);
    if (check_failures != 0)
        fprintf(stderr, "%d checks failed\n", check_failures);
    return check_failures == 0 ? 0 : 1;
}

#endif
