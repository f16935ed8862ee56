/* harness.h - helpers of the cases: time, cores, random numbers, measuring and printing. */
#ifndef HARNESS_H
#define HARNESS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long to measure. */
typedef enum scale {
    FULL,
    QUICK, /* for tuning */
    TINY,  /* only checks that the cases run */
} scale;
extern scale how_long;

typedef struct bench_case {
    const char *name;
    /* Runs `turns` turns. */
    void (*run)(uint64_t turns);
    /* Blocks per turn; the figure is per block. */
    double blocks;
} bench_case;

double now_ns(void);
/* Pins the calling thread to the nth of the process's cores, or to all of them. */
void pin(int nth);
void unpin(void);
int cores(void);

/* Prints the line of a figure: minimum and median. */
void print(const char *name, double least, double median);
/* For qsort of numbers. */
int ascending(const void *a, const void *b);
/* Sorts the samples and prints the line. */
void print_samples(const char *name, double *samples, int count);
/* One thread, one core. Samples are short, so the best one is undisturbed by other processes. */
void measure(const bench_case *the_case);

/* xorshift64*, with one seed in every process. */
uint64_t next_random(uint64_t *state);
/* Evenly distributed in [low, high], or in the logarithm. */
size_t uniform(uint64_t *state, size_t low, size_t high);
size_t log_uniform(uint64_t *state, size_t low, size_t high);

/* Writes one byte per page. */
void touch(void *block, size_t bytes);
/* Resident bytes of this process that no file backs. */
size_t resident(void);

/* Whether a case is selected: by its name or a prefix of it, or because there is no selection. */
bool wanted(const char *name);

/* The groups, each in its own file. */
void alloc_cases(bool backwards);
void thread_cases(bool backwards);
/* Only where cases of this group are selected by name. */
void scale_cases(void);
void memory_cases(void);
void touch_cases(void);
void mix_cases(bool backwards);
/* Replays a file of operations, and prints the figures of the case replay.NAME. */
void replay_case(const char *name, const char *file);
/* Runs one case of alloc.c alone, for profilers; false if there is no such case. */
bool alloc_one(const char *name, uint64_t turns);
#endif
