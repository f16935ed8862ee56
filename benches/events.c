/*
 * events.c - what an event costs while a log runs: pairs of calls without a log, with one in memory, and with one in a file.
 *
 *     events FILE     a line "case <tab> minimum <tab> median" per case, in ns of the thread's CPU time per pair of calls
 *
 * Each pair makes two events. `cargo xtask bench events` runs it and makes the differences.
 */
#include "thread_time.h"

#define ROUNDS   15
#define PAIRS    20000
#define CAPACITY ((uint64_t)ROUNDS * PAIRS * 4 * 64)

static tn_array *array;

/* What the log reads for each event. */
static void read_counter(void)
{
#if defined(__x86_64__)
    volatile uint64_t ticks = __builtin_ia32_rdtsc();
    (void)ticks;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
}

static void allocate_and_free(void)
{
    void *block = NULL;
    if (tn_pool_allocate(NULL, 64, 0, NULL, &block) != TN_OK)
        abort();
    tn_pool_deallocate(NULL, block, NULL);
}

static void borrow_and_end(void)
{
    const void *data = NULL;
    tn_borrow *guard = NULL;
    if (tn_array_borrow_read(array, 0, NULL, &data, NULL, &guard) != TN_OK)
        abort();
    tn_borrow_end(guard, 0, NULL);
}

static void measure(const char *name, void (*pair)(void))
{
    double times[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        const double begin = now_ns();
        for (int i = 0; i < PAIRS; i++)
            pair();
        times[round] = (now_ns() - begin) / PAIRS;
    }
    qsort(times, ROUNDS, sizeof *times, by_value);
    printf("%s\t%.2f\t%.2f\n", name, times[0], times[ROUNDS / 2]);
}

static void measure_both(const char *how)
{
    char name[64];
    snprintf(name, sizeof name, "block %s", how);
    measure(name, allocate_and_free);
    snprintf(name, sizeof name, "guard %s", how);
    measure(name, borrow_and_end);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    int64_t shape[1] = {100};
    OK(tn_array_zeros(NULL, TN_F64, 1, shape, NULL, &array));
    tn_log_options memory = {.size = sizeof memory}, file = {.size = sizeof file, .path = argv[1], .capacity = 2 * CAPACITY};
    tn_log_stats stats = {.size = sizeof stats};
    measure("counter", read_counter);
    measure_both("without");
    OK(tn_log_start(&memory));
    measure_both("memory");
    OK(tn_log_stop());
    OK(tn_log_start(&file));
    measure_both("file");
    OK(tn_log_query(&stats));
    OK(tn_log_stop());
    if (stats.dropped > 0) {
        fprintf(stderr, "events: %llu events were dropped\n", (unsigned long long)stats.dropped);
        return 1;
    }
    OK(tn_array_release(array));
    return 0;
}
