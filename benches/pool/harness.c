/* harness.c - time, cores, random numbers, and how a figure is measured. */
#define _GNU_SOURCE
#include "harness.h"
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

scale how_long;

double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const cpu_set_t *allowed(void)
{
    static cpu_set_t at_start;
    static bool known;
    if (!known) {
        sched_getaffinity(0, sizeof at_start, &at_start);
        known = true;
    }
    return &at_start;
}

int cores(void)
{
    return CPU_COUNT(allowed());
}

void pin(int nth)
{
    int cpu = -1;
    for (int seen = 0; seen <= nth % cores();) {
        cpu = (cpu + 1) % CPU_SETSIZE;
        seen += CPU_ISSET(cpu, allowed()) != 0;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

void unpin(void)
{
    sched_setaffinity(0, sizeof(cpu_set_t), allowed());
}

void print(const char *name, double least, double median)
{
    printf("%s\t%.4f\t%.4f\n", name, least, median);
}

int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void print_samples(const char *name, double *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, ascending);
    print(name, samples[0], samples[count / 2]);
}

enum { MOST_SAMPLES = 101 };

void measure(const bench_case *the_case)
{
    const double sample_ns = 2e5;
    const int count = how_long == FULL ? MOST_SAMPLES : how_long == QUICK ? 51 : 1;
    uint64_t turns = 1;
    /* Twice: an allocator's first calls are slow and not typical of the later turns. */
    for (int again = 0; again < 2; again++) {
        turns = 1;
        for (;;) {
            double start = now_ns();
            the_case->run(turns);
            double took = now_ns() - start;
            if (took > sample_ns / 4 || how_long == TINY) {
                turns = (uint64_t)((double)turns * sample_ns / took) + 1;
                break;
            }
            turns *= 2;
        }
    }
    double samples[MOST_SAMPLES];
    for (int s = 0; s < count; s++) {
        double start = now_ns();
        the_case->run(turns);
        samples[s] = (now_ns() - start) / ((double)turns * the_case->blocks);
    }
    print_samples(the_case->name, samples, count);
}

uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

size_t uniform(uint64_t *state, size_t low, size_t high)
{
    return low + (size_t)(next_random(state) % (high - low + 1));
}

size_t log_uniform(uint64_t *state, size_t low, size_t high)
{
    double part = (double)(next_random(state) >> 11) * 0x1p-53;
    return (size_t)((double)low * pow((double)high / (double)low, part));
}

void touch(void *block, size_t bytes)
{
    for (volatile char *at = block, *end = at + bytes; at < end; at += 4096) {
        *at = 1;
    }
    ((volatile char *)block)[bytes - 1] = 1;
}

size_t resident(void)
{
    /* Pages of files, mapped by the first call into a library, would hide the allocator's memory. */
    FILE *rollup = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    size_t kilobytes = 0;
    if (rollup == NULL) {
        perror("pool: /proc/self/smaps_rollup");
        exit(1);
    }
    while (fgets(line, sizeof line, rollup) != NULL) {
        size_t here = 0;
        if (sscanf(line, "Anonymous: %zu kB", &here) == 1 || sscanf(line, "Pss_Shmem: %zu kB", &here) == 1) {
            kilobytes += here;
        }
    }
    fclose(rollup);
    return kilobytes * 1024;
}
