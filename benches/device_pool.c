/*
 * device_pool.c - the host's cost of device pools where much is pending, many streams are in use, or blocks are very large.
 *
 *     device_pool [CASE]     a line "case <tab> minimum <tab> median" per case, in ns of the thread's CPU time
 *
 * `cargo xtask bench device-pool` runs it on the simulated driver. The simulator's memory is sparse, so that pools of 64 GiB fit. A case
 * that includes calls of the driver says so; the simulator's calls take part in its figure. Traces print failed requests, and the peak of the
 * reserved bytes divided by that of the bytes in use.
 */
#include "thread_time.h"
#include <dlfcn.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define ROUNDS 9

static const tn_device GPU = {TN_CUDA, 0};
static const char *only;

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
typedef void (*function)(void);

static function symbol(const char *name)
{
    static void *driver;
    if (driver == NULL)
        driver = dlopen("libcuda.so.1", RTLD_NOW);
    function found = NULL;
    /* ISO C converts no pointer to an object into one to a function. */
    void *at = driver == NULL ? NULL : dlsym(driver, name);
    memcpy(&found, &at, sizeof found);
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

/* Cuts n GiB in halves, and merges them again. */
static void cut(uint64_t n)
{
    enum { TURNS = 20 };
    tn_pool *pool = new_pool(n * GIB);
    tn_stream *s = new_stream();
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        for (int turn = 0; turn < TURNS; turn++) {
            give(pool, take(pool, n * GIB, s), s);
            void *half = take(pool, n * GIB / 2, s), *other = take(pool, n * GIB / 2, s);
            give(pool, half, s);
            give(pool, other, s);
        }
        ns[i] = (now_ns() - start) / TURNS;
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

/* ---- fragmentation (PD-21, T23) ----
 *
 * Generated traces, not recorded ones. "random": sizes from 4 KiB to 256 MiB, log-uniform, freed in random order. "steps": the shape of
 * training steps that papers on GPU allocators describe (GMLake, ASPLOS 2024; PyTorch's expandable segments): weights that stay, activations
 * that are freed in reverse order, workspaces that live for one operation, and a sequence length that differs from step to step. */

static uint64_t state = 1;

static uint64_t below(uint64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
}

struct trace {
    tn_pool *pool;
    tn_stream *stream;
    uint64_t failures, calls;
    double ns;
};

static void *try_take(struct trace *trace, uint64_t bytes)
{
    void *block = NULL;
    const double start = now_ns();
    const tn_status status = tn_pool_allocate(trace->pool, bytes, 0, trace->stream, &block);
    trace->ns += now_ns() - start;
    trace->calls++;
    if (status != TN_OK) {
        trace->failures++;
        return NULL;
    }
    return block;
}

static void drop(struct trace *trace, void *block)
{
    if (block == NULL)
        return;
    const double start = now_ns();
    give(trace->pool, block, trace->stream);
    trace->ns += now_ns() - start;
}

static void random_sizes(struct trace *trace, uint64_t limit)
{
    enum { MOST = 4096 };
    static void *blocks[MOST];
    static uint64_t sizes[MOST];
    uint64_t live = 0, bytes = 0;
    for (int i = 0; i < 30000; i++) {
        const uint64_t base = (uint64_t)1 << (12 + below(16)), size = base + below(base);
        while (live == MOST || bytes + size > limit / 10 * 8) {
            const uint64_t at = below(live);
            drop(trace, blocks[at]);
            bytes -= sizes[at];
            blocks[at] = blocks[--live];
            sizes[at] = sizes[live];
        }
        blocks[live] = try_take(trace, size);
        if (blocks[live] != NULL) {
            sizes[live++] = size;
            bytes += size;
        }
    }
    while (live > 0)
        drop(trace, blocks[--live]);
}

static void steps(struct trace *trace, uint64_t limit)
{
    enum { LAYERS = 32, PARTS = 6 };
    void *weights[LAYERS], *parts[LAYERS][PARTS];
    for (int layer = 0; layer < LAYERS; layer++)
        weights[layer] = try_take(trace, limit / 4 / LAYERS);
    for (int step = 0; step < 150; step++) {
        /* Activations take up to 55 % of the limit. */
        const uint64_t all = limit / 100 * (30 + below(26));
        for (int layer = 0; layer < LAYERS; layer++) {
            for (int part = 0; part < PARTS; part++) {
                void *workspace = try_take(trace, MIB + below(limit / 128));
                parts[layer][part] = try_take(trace, all / LAYERS / PARTS / 2 * (1 + below(2)) + 512 * below(100));
                drop(trace, workspace);
            }
        }
        for (int layer = LAYERS - 1; layer >= 0; layer--) {
            void *gradient = try_take(trace, limit / 8 / LAYERS);
            for (int part = PARTS - 1; part >= 0; part--)
                drop(trace, parts[layer][part]);
            drop(trace, gradient);
        }
    }
    for (int layer = 0; layer < LAYERS; layer++)
        drop(trace, weights[layer]);
}

static void fragment(const char *name, uint32_t backend, void (*run)(struct trace *, uint64_t))
{
    const uint64_t limit = 8 * GIB;
    tn_pool_options options = {.size = sizeof options, .max_size = limit, .backend = backend};
    struct trace trace = {.stream = new_stream()};
    OK(tn_pool_create(GPU, &options, &trace.pool));
    state = 1;
    run(&trace, limit);
    tn_pool_stats stats = {.size = sizeof stats};
    OK(tn_pool_query(trace.pool, &stats));
    const double ratio = (double)stats.peak_reserved_bytes / (double)stats.peak_in_use_bytes;
    printf("%s_failures\t%llu\t%llu\n", name, (unsigned long long)trace.failures, (unsigned long long)trace.failures);
    printf("%s_reserved_by_in_use\t%.3f\t%.3f\n", name, ratio, ratio);
    printf("%s_ns\t%.1f\t%.1f\n", name, trace.ns / (double)trace.calls, trace.ns / (double)trace.calls);
    fflush(stdout);
    OK(tn_pool_release(trace.pool));
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
    if (wanted("traces")) {
        simulate("pace", 1);
        fragment("random_mapped", TN_BACKEND_AUTO, random_sizes);
        fragment("random_plain", TN_BACKEND_PLAIN, random_sizes);
        fragment("steps_mapped", TN_BACKEND_AUTO, steps);
        fragment("steps_plain", TN_BACKEND_PLAIN, steps);
    }
    return 0;
}
