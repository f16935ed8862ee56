/*
 * thread_time.h - for programs that measure the host's cost of calls, in CPU time of the thread. Included first.
 *
 * OK(call)    the call must return TN_OK, or the program ends with the message.
 */
#ifndef TENURE_THREAD_TIME_H
#define TENURE_THREAD_TIME_H
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenure.h>
#include <time.h>

#define OK(call) ((call) == TN_OK ? (void)0 : fail(#call))

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, tn_last_error());
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The order of qsort for times. */
static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
