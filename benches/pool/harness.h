/* harness.h - what the cases share: time, cores, random numbers, how a figure is taken and printed. */
#ifndef HARNESS_H
#define HARNESS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long to measure. */
typedef enum scale {
    FULL,
    QUICK, /* for tuning */
    TINY,  /* does it run at all */
} scale;
extern scale how_long;

typedef struct bench_case {
    const char *name;
    /* Does `turns` of it. */
    void (*run)(uint64_t turns);
    /* Blocks a turn: the figure is per block. */
    double blocks;
} bench_case;

double now_ns(void);
/* The calling thread on the nth of the cores that the process may use; all of them again. */
void pin(int nth);
void unpin(void);
int cores(void);

/* A figure's line: the minimum and the median. */
void print(const char *name, double least, double median);
/* Sorts, and prints the line. */
void print_samples(const char *name, double *samples, int count);
/* One thread, one core: samples so short that the best is one in which nobody else had the core. */
void measure(const bench_case *the_case);

/* xorshift64*, the same in every process. */
uint64_t next_random(uint64_t *state);
/* Evenly in [low, high]; evenly in the logarithm. */
size_t uniform(uint64_t *state, size_t low, size_t high);
size_t log_uniform(uint64_t *state, size_t low, size_t high);

/* One write a page. */
void touch(void *block, size_t bytes);
/* Bytes of this process in memory that no file backs. */
size_t resident(void);

/* Which cases were asked for: names or beginnings of names; none: all. */
bool wanted(const char *name);

/* The groups; each in a file of its own. */
void alloc_cases(bool backwards);
void thread_cases(bool backwards);
void memory_cases(void);
void touch_cases(void);
void mix_cases(bool backwards);
/* One case alone, so many turns, for profilers; false: it is none of alloc's. */
bool alloc_one(const char *name, uint64_t turns);
#endif
