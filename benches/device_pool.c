/*
 * device_pool.c - the host's cost of device pools where much is pending, many streams are in use, or blocks are very large.
 *
 *     device_pool [CASE]     a line "case <tab> minimum <tab> median" per case, in ns of the thread's CPU time
 *
 * `cargo xtask bench device-pool` runs it on the simulated driver. The simulator's memory is sparse, so that pools of 64 GiB fit. A case
 * that includes calls of the driver says so; the simulator's calls take part in its figure.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenure.h>
#include <time.h>

#define OK(call) ((call) == TN_OK ? (void)0 : fail(#call))
#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define ROUNDS 9

static const tn_device GPU = {TN_CUDA, 0};
static const char *only;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "device_pool: %s: %s\n", what, tn_last_error());
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, uint64_t n, double *ns, int count)
{
    qsort(ns, (size_t)count, sizeof *ns, by_value);
    printf("%s_%llu\t%.1f\t%.1f\n", name, (unsigned long long)n, ns[0], ns[count / 2]);
    fflush(stdout);
}

static int wanted(const char *name)
{
    return only == NULL || strcmp(only, name) == 0;
}

/* ---- the simulator and the driver ---- */
static void *symbol(const char *name)
{
    static void *driver;
    if (driver == NULL)
        driver = dlopen("libcuda.so.1", RTLD_NOW);
    void *found = driver == NULL ? NULL : dlsym(driver, name);
    if (found == NULL) {
        fprintf(stderr, "device_pool: no %s; run `cargo xtask bench device-pool`\n", name);
        exit(1);
    }
    return found;
}

static void simulate(const char *name, uint64_t value)
{
    int (*set)(const char *, uint64_t) = (int (*)(const char *, uint64_t))symbol("tenure_sim_set");
    if (set(name, value) != 0) {
        fprintf(stderr, "device_pool: the simulator refuses %s\n", name);
        exit(1);
    }
}

/* Stalls a stream, and queues work on it: what is freed there stays pending. */
static void stall(tn_stream *stream, void *block)
{
    uint64_t native = 0;
    OK(tn_stream_native(stream, &native));
    ((int (*)(void *))symbol("tenure_sim_hold"))((void *)native);
    int (*fill)(uint64_t, unsigned char, size_t, void *) =
        (int (*)(uint64_t, unsigned char, size_t, void *))symbol("cuMemsetD8Async");
    void *context = NULL;
    ((int (*)(void **, int))symbol("cuDevicePrimaryCtxRetain"))(&context, 0);
    ((int (*)(void *))symbol("cuCtxSetCurrent"))(context);
    if (fill((uint64_t)block, 0, 64, (void *)native) != 0)
        fail("cuMemsetD8Async");
}

static tn_stream *new_stream(void)
{
    tn_stream *stream = NULL;
    OK(tn_stream_create(GPU, 0, 0, &stream));
    return stream;
}

static tn_pool *new_pool(uint64_t initial)
{
    /* One allocation of the driver for the initial size, where AUTO maps granules. */
    tn_pool_options options = {.size = sizeof options, .initial_size = initial, .backend = TN_BACKEND_PLAIN};
    tn_pool *pool = NULL;
    OK(tn_pool_create(GPU, &options, &pool));
    return pool;
}

static void *take(tn_pool *pool, uint64_t bytes, tn_stream *stream)
{
    void *block = NULL;
    OK(tn_pool_allocate(pool, bytes, 0, stream, &block));
    return block;
}

static void give(tn_pool *pool, void *block, tn_stream *stream)
{
    OK(tn_pool_deallocate(pool, block, stream));
}

/* ---- cases ---- */

/* A request that finds nothing, behind n pending blocks that two streams used. Includes the driver's allocation. */
static void miss(uint64_t n)
{
    tn_pool *pool = new_pool(0);
    tn_stream *s = new_stream(), *t = new_stream();
    void **blocks = malloc(n * sizeof *blocks);
    void *work = take(pool, 64, s);
    stall(s, work);
    stall(t, work);
    for (uint64_t i = 0; i < n; i++)
        blocks[i] = take(pool, 4 * KIB, s);
    for (uint64_t i = 0; i < n; i++) {
        OK(tn_pool_record_use(pool, blocks[i], t));
        give(pool, blocks[i], s);
    }
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        take(pool, 24 * MIB, s);
        ns[i] = now_ns() - start;
    }
    print("miss", n, ns, ROUNDS);
    ((int (*)(void))symbol("tenure_sim_release_all"))();
    free(blocks);
    OK(tn_device_synchronize(GPU));
    OK(tn_pool_release(pool));
}

/* Allocate and free on the stream that came first, with n streams in the pool. */
static void hit(uint64_t n)
{
    enum { TURNS = 2000 };
    tn_pool *pool = new_pool(0);
    tn_stream *first = new_stream();
    give(pool, take(pool, 4 * KIB, first), first);
    for (uint64_t i = 1; i < n; i++) {
        tn_stream *stream = new_stream();
        give(pool, take(pool, 4 * KIB, stream), stream);
    }
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        for (int turn = 0; turn < TURNS; turn++)
            give(pool, take(pool, 4 * KIB, first), first);
        ns[i] = (now_ns() - start) / TURNS;
    }
    print("hit", n, ns, ROUNDS);
    OK(tn_pool_release(pool));
}

/* Cuts half of n GiB off, and merges it again: two sizes in turn, of which the second does not fit into what the first one left. */
static void cut(uint64_t n)
{
    enum { TURNS = 20 };
    tn_pool *pool = new_pool(n * GIB);
    tn_stream *s = new_stream();
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        for (int turn = 0; turn < TURNS; turn++) {
            give(pool, take(pool, n * GIB / 2 - 64 * MIB, s), s);
            give(pool, take(pool, n * GIB / 2 + 128 * MIB, s), s);
        }
        ns[i] = (now_ns() - start) / (2 * TURNS);
    }
    print("cut_and_merge_gib", n, ns, ROUNDS);
    OK(tn_pool_release(pool));
}

/* Records an event on a stream with n unfinished ones. Includes the driver's record. */
static void record(uint64_t n)
{
    tn_pool *pool = new_pool(0);
    tn_stream *s = new_stream();
    void *work = take(pool, 64, s);
    stall(s, work);
    tn_event **events = malloc((n + ROUNDS * 64) * sizeof *events);
    uint64_t made = 0;
    for (; made < n; made++) {
        OK(tn_event_create(GPU, 0, &events[made]));
        OK(tn_event_record(events[made], s));
    }
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        for (int j = 0; j < 64; j++)
            OK(tn_event_create(GPU, 0, &events[made + (uint64_t)j]));
        const double start = now_ns();
        for (int j = 0; j < 64; j++)
            OK(tn_event_record(events[made + (uint64_t)j], s));
        ns[i] = (now_ns() - start) / 64;
        made += 64;
    }
    print("record", n, ns, ROUNDS);
    ((int (*)(void))symbol("tenure_sim_release_all"))();
    while (made > 0)
        OK(tn_event_release(events[--made]));
    free(events);
    OK(tn_device_synchronize(GPU));
    OK(tn_pool_release(pool));
}

int main(int count, char **arguments)
{
    only = count > 1 ? arguments[1] : NULL;
    simulate("pace", 2);
    simulate("junk", 0);
    simulate("memory", 256 * GIB);
    simulate("idle_us", 1000000000);
    /* No call of the driver waits for the stalled streams. */
    simulate("free_waits", 0);
    for (int i = 0; i < 3; i++)
        if (wanted("miss"))
            miss((const uint64_t[]){1000, 5000, 20000}[i]);
    for (int i = 0; i < 4; i++)
        if (wanted("hit"))
            hit((const uint64_t[]){1, 8, 128, 512}[i]);
    for (int i = 0; i < 3; i++)
        if (wanted("cut"))
            cut((const uint64_t[]){2, 16, 64}[i]);
    for (int i = 0; i < 3; i++)
        if (wanted("record"))
            record((const uint64_t[]){1, 128, 4096}[i]);
    return 0;
}
