/*
 * launch.c - what the host pays for a launch that borrows its arguments, beside the driver's own launch.
 *
 *     launch     a line "case <tab> minimum <tab> median" per case, in ns of the thread's CPU time
 *
 * `cargo xtask bench launch` runs it on the simulated driver, and on a driver without a device (launch_driver.c), whose calls take a few
 * nanoseconds. Queued work runs outside of the timed part.
 */
#include "thread_time.h"
#include <dlfcn.h>
#include <stdatomic.h>

#define ROUNDS     15
#define LAUNCHES   500
#define N_ARRAYS   6
#define ONE_VIEW   (8 + 16 * 1)
#define N_CASES    (int)(sizeof cases / sizeof *cases)

static const tn_device GPU = {TN_CUDA, 0};

/* ---- the driver ---- */
static struct {
    int (*cuDevicePrimaryCtxRetain)(void **, int);
    int (*cuCtxSetCurrent)(void *);
    int (*cuModuleLoadData)(void **, const void *);
    int (*cuModuleGetFunction)(void **, void *, const char *);
    int (*cuLaunchKernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
    /* Of the simulator only. */
    int (*tenure_sim_set)(const char *, uint64_t);
    int (*tenure_sim_register_kernel)(const char *, unsigned (*)(const void *, void **), const size_t *, size_t, int);
    uint64_t (*tenure_sim_calls)(const char *);
    int (*tenure_sim_reset_calls)(void);
} cu;

static unsigned no_kernel(const void *launch, void **parameters)
{
    (void)launch, (void)parameters;
    return 0;
}

static void *function, *native;
static tn_stream *stream;
static tn_array *arrays[N_ARRAYS];

static void start(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context = NULL, *module = NULL;
    static const size_t sizes[N_ARRAYS] = {ONE_VIEW, ONE_VIEW, ONE_VIEW, ONE_VIEW, ONE_VIEW, ONE_VIEW};
    if (driver == NULL) {
        fprintf(stderr, "launch: no driver; run `cargo xtask bench launch`\n");
        exit(1);
    }
#define LOAD(name) *(void **)&cu.name = dlsym(driver, #name)
    LOAD(cuDevicePrimaryCtxRetain), LOAD(cuCtxSetCurrent), LOAD(cuModuleLoadData), LOAD(cuModuleGetFunction);
    LOAD(cuLaunchKernel), LOAD(tenure_sim_set), LOAD(tenure_sim_register_kernel), LOAD(tenure_sim_calls);
    LOAD(tenure_sim_reset_calls);
    size_t gpus = 0;
    OK(tn_device_count(TN_CUDA, &gpus));
    cu.cuDevicePrimaryCtxRetain(&context, 0);
    cu.cuCtxSetCurrent(context);
    if (cu.tenure_sim_set != NULL) {
        cu.tenure_sim_set("pace", 3);
        cu.tenure_sim_register_kernel("nothing", no_kernel, sizes, N_ARRAYS, 0);
    }
    cu.cuModuleLoadData(&module, "x");
    if (cu.cuModuleGetFunction(&function, module, "nothing") != 0)
        fail("cuModuleGetFunction");
    OK(tn_stream_create(GPU, 0, 0, &stream));
    uint64_t bits = 0;
    OK(tn_stream_native(stream, &bits));
    native = (void *)bits;
    tn_pool *pool = NULL;
    OK(tn_pool_default(GPU, &pool));
    for (int i = 0; i < N_ARRAYS; i++)
        OK(tn_array_empty(pool, TN_F64, 1, (const int64_t[]){1000}, NULL, &arrays[i]));
    OK(tn_pool_release(pool));
}

/* ---- the cases ---- */
static void raw(void)
{
    static char views[N_ARRAYS][ONE_VIEW];
    static void *parameters[N_ARRAYS] = {views[0], views[1], views[2], views[3], views[4], views[5]};
    if (cu.cuLaunchKernel(function, 4, 1, 1, 256, 1, 1, 0, native, parameters, NULL) != 0)
        fail("cuLaunchKernel");
}

static void launch_on(tn_stream *on)
{
    tn_launch_config config = {.size = sizeof config, .function = function, .grid = {4, 1, 1}, .block = {256, 1, 1}, .stream = on};
    tn_arg args[N_ARRAYS];
    for (int i = 0; i < N_ARRAYS; i++)
        args[i] = (tn_arg){.kind = TN_ARG_ARRAY, .access = i < 4 ? TN_READ : TN_WRITE, .ndim = 1, .what = arrays[i]};
    OK(tn_launch(&config, N_ARRAYS, args));
}

static void launch(void)
{
    launch_on(stream);
}

static void launch_legacy(void)
{
    launch_on(TN_STREAM_LEGACY);
}

static void no_block(const tn_host_block *block, void *const *args)
{
    (void)block, (void)args;
}

static void on_host(void)
{
    static tn_array *own[N_ARRAYS];
    tn_launch_config config = {.size = sizeof config, .host_function = no_block, .grid = {1, 1, 1}, .block = {1, 1, 1}};
    tn_arg args[N_ARRAYS];
    for (int i = 0; i < N_ARRAYS; i++) {
        if (own[i] == NULL)
            OK(tn_array_empty(NULL, TN_F64, 1, (int64_t[]){1000}, NULL, &own[i]));
        args[i] = (tn_arg){.kind = TN_ARG_ARRAY, .access = i < 4 ? TN_READ : TN_WRITE, .ndim = 1, .what = own[i]};
    }
    OK(tn_launch(&config, N_ARRAYS, args));
}

static void compare_exchange(void)
{
    static atomic_uint word;
    unsigned zero = 0, one = 1;
    atomic_compare_exchange_strong(&word, &zero, 1);
    atomic_compare_exchange_strong(&word, &one, 0);
}

/* Six borrows and their ends, with a view each. */
static void borrows(void)
{
    tn_borrow *guards[N_ARRAYS];
    char view[ONE_VIEW];
    for (int i = 0; i < N_ARRAYS; i++) {
        if (i < 4)
            OK(tn_array_borrow_read(arrays[i], 0, stream, NULL, NULL, &guards[i]));
        else
            OK(tn_array_borrow_write(arrays[i], TN_WRITE_DISCARD, stream, NULL, NULL, &guards[i]));
        OK(tn_borrow_kernel_view(guards[i], 1, sizeof view, view));
    }
    raw();
    for (int i = 0; i < N_ARRAYS; i++)
        OK(tn_borrow_end(guards[i], 0, stream));
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {{"raw", raw}, {"launch", launch}, {"launch_legacy", launch_legacy}, {"borrows", borrows}, {"host", on_host},
             {"compare_exchange", compare_exchange}};

int main(void)
{
    static double ns[sizeof cases / sizeof *cases][ROUNDS];
    start();
    /* In turns, so that a change of the machine's speed meets all cases. */
    for (int round = 0; round < ROUNDS; round++) {
        for (int at = 0; at < N_CASES; at++) {
            cases[at].run();
            double begin = now_ns();
            for (int i = 0; i < LAUNCHES; i++)
                cases[at].run();
            ns[at][round] = (now_ns() - begin) / LAUNCHES;
            OK(tn_device_synchronize(GPU));
        }
    }
    for (int at = 0; at < N_CASES; at++) {
        qsort(ns[at], ROUNDS, sizeof *ns[at], by_value);
        printf("%s\t%.1f\t%.1f\n", cases[at].name, ns[at][0], ns[at][ROUNDS / 2]);
    }
    if (cu.tenure_sim_calls != NULL) {
        launch();
        cu.tenure_sim_reset_calls();
        launch();
        printf("driver_calls\t%llu\t%llu\n", (unsigned long long)cu.tenure_sim_calls(""), (unsigned long long)cu.tenure_sim_calls("cuLaunchKernel"));
    }
    return 0;
}
