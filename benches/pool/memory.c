/*
 * memory.c - resident memory in proportion to live memory (bars T5 to T7, T27 to T29).
 *
 * Blocks of random size replace random ones, and every page is touched. The limit of live bytes alternates between 100 % and 40 % in eight
 * phases. Each phase allocates a multiple of the limit, so that its result is one of many replacements. Printed per workload:
 *     .peak      resident / live bytes at the end of a phase at the limit, the largest of four
 *     .fall      resident / live bytes at the end, at 40 %, after one second with 1,000 small calls
 *     .trimmed   resident / live bytes after the allocator returned unused memory
 *     .left      resident bytes after all blocks were freed and memory was returned: % of the peak
 *     .ns        time per allocation with its free, including the touching
 */
#define _GNU_SOURCE
#include "allocator.h"
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef struct workload {
    const char *name;
    size_t live, low, high;
    size_t anew; /* a phase allocates this multiple of `live` */
    bool evenly; /* in the size, else in its logarithm */
} workload;

static const workload workloads[] = {
    {"memory.small", 200u << 20, 8, 4096, 3, true},
    {"memory.mixed", 400u << 20, 16, 2 << 20, 4, false},
    {"memory.arrays", 1200u << 20, 64 << 10, 32 << 20, 2, false},
};

typedef struct held {
    void *block;
    size_t size;
} held;

enum { MOST_HELD = 400000 };

/* The table has pages of its own, touched at the start, so it does not affect the measurement. */
static held *table;
static size_t count, live;

static void drop(size_t at)
{
    free_block(table[at].block);
    live -= table[at].size;
    table[at] = table[--count];
}

static uint64_t run_phase(const workload *load, uint64_t *random, size_t limit)
{
    uint64_t made = 0;
    for (size_t allocated = 0; allocated < load->anew * load->live || live < limit - load->high;) {
        size_t size = load->evenly ? uniform(random, load->low, load->high) : log_uniform(random, load->low, load->high);
        while (live + size > limit || count == MOST_HELD) {
            drop(uniform(random, 0, count - 1));
        }
        void *block = allocate_block(size);
        touch(block, size);
        table[count++] = (held){block, size};
        live += size;
        allocated += size;
        made++;
    }
    return made;
}

static void print_part(const workload *load, const char *part, double value)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", load->name, part);
    print(name, value, value);
}

static double part_of(size_t bytes, size_t base, size_t whole)
{
    return bytes < base ? 0 : (double)(bytes - base) / (double)whole;
}

/* A second in which the program does little: allocators that give memory back by age may do so. */
static void wait_a_second(void)
{
    enum { CALLS = 500 };
    for (int i = 0; i < CALLS; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000000 / CALLS}, NULL);
        free_block(allocate_block(64));
    }
}

static void run_workload(const workload *whole)
{
    workload load = *whole;
    if (how_long == TINY) {
        load.live /= 16;
        load.high = load.high > load.live / 8 ? load.live / 8 : load.high;
    }
    uint64_t random = 0xD1B54A32D192ED03u, made = 0;
    size_t base = resident(), most = 0;
    double peak = 0;
    double start = now_ns();
    for (int phase = 0; phase < 8; phase++) {
        made += run_phase(&load, &random, phase % 2 == 0 ? load.live : load.live / 10 * 4);
        if (phase % 2 == 0) {
            size_t bytes = resident();
            double ratio = part_of(bytes, base, live);
            peak = ratio > peak ? ratio : peak;
            most = bytes > most ? bytes : most;
        }
    }
    print_part(whole, "ns", (now_ns() - start) / (double)made);
    print_part(whole, "peak", peak);
    if (how_long != TINY) {
        wait_a_second();
    }
    print_part(whole, "fall", part_of(resident(), base, live));
    bool trims = allocator_trim();
    if (trims) {
        print_part(whole, "trimmed", part_of(resident(), base, live));
    }
    while (count > 0) {
        drop(count - 1);
    }
    (void)allocator_trim();
    print_part(whole, "left", 100 * part_of(resident(), base, most - base));
}

void memory_cases(void)
{
    table = mmap(NULL, MOST_HELD * sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED) {
        perror("pool: mmap");
        exit(1);
    }
    memset(table, 0, MOST_HELD * sizeof *table);
    free_block(allocate_block(64)); /* an allocator's initial memory does not count */
    (void)resident();
    pin(0);
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        if (wanted(workloads[i].name)) {
            run_workload(&workloads[i]);
        }
    }
    unpin();
}
