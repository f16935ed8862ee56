/*
 * kernels.h - the kernels of launch_kernels.cu for tests of launches: as PTX for a GPU, and as functions of the host for the simulated driver.
 * Include it in a file that defines _POSIX_C_SOURCE.
 */
#ifndef TENURE_KERNELS_H
#define TENURE_KERNELS_H

#include "gpu.h"
#include "helpers.h"
#include "launch_kernels.h"
#include <stdarg.h>
#include <stdint.h>

enum { N = 40, DYNAMIC = 8 };
static const int64_t LENGTH = N;

/* tn_view<T, N> of tenure_kernel.cuh. */
typedef struct {
    void *data;
    int64_t shape[1], strides[1];
} view1;
typedef struct {
    void *data;
    int64_t shape[2], strides[2];
} view2;

/* ---- the drivers ---- */

typedef struct {
    unsigned grid[3], block[3], shared_bytes;
    int device;
} sim_launch;
typedef unsigned (*sim_kernel)(const sim_launch *, void **);

static struct {
    int (*cuCtxSetCurrent)(void *);
    int (*cuDevicePrimaryCtxRetain)(void **, int);
    int (*cuModuleLoadData)(void **, const void *);
    int (*cuModuleUnload)(void *);
    int (*cuModuleGetFunction)(void **, void *, const char *);
    int (*cuFuncGetAttribute)(int *, int, void *);
    int (*cuFuncSetAttribute)(void *, int, int);
    int (*cuLaunchKernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
    int (*cuStreamBeginCapture_v2)(void *, int);
    int (*cuStreamEndCapture)(void *, void **);
    int (*cuGraphInstantiateWithFlags)(void **, void *, unsigned long long);
    int (*cuGraphLaunch)(void *, void *);
    int (*cuGraphExecDestroy)(void *);
    int (*cuGraphDestroy)(void *);
} cu;

/* NULL with a real driver. */
static struct {
    int (*tenure_sim_set)(const char *, uint64_t);
    int (*tenure_sim_fail)(const char *, uint64_t, uint64_t, unsigned);
    int (*tenure_sim_clear_faults)(void);
    int (*tenure_sim_register_kernel)(const char *, sim_kernel, const size_t *, size_t, int);
    int (*tenure_sim_set_kernel_attribute)(const char *, int, int);
    uint64_t (*tenure_sim_calls)(const char *);
    uint64_t (*tenure_sim_step)(uint64_t);
    void *(*tenure_sim_bytes)(uint64_t, size_t, int);
} sim;

static inline int simulated(void)
{
    return sim.tenure_sim_set != NULL;
}

static inline uint64_t calls(const char *name)
{
    return simulated() ? sim.tenure_sim_calls(name) : 0;
}

/* ---- the kernels of launch_kernels.cu, for the simulated driver ---- */

enum { ILLEGAL = 700 };

static inline double *element(const view1 *view, int64_t i, int device)
{
    return sim.tenure_sim_bytes((uint64_t)(uintptr_t)view->data + (uint64_t)(i * view->strides[0]), sizeof(double), device);
}

static inline int64_t threads_of(const sim_launch *launch)
{
    return (int64_t)launch->grid[0] * launch->block[0];
}

static inline unsigned scale(const sim_launch *launch, void **parameters)
{
    const view1 *to = parameters[0], *from = parameters[1];
    double factor = *(double *)parameters[2], value = *(double *)parameters[3];
    for (int64_t i = 0; i < threads_of(launch) && i < to->shape[0]; i++) {
        double *out = element(to, i, launch->device), *in = element(from, i, launch->device);
        if (out == NULL || in == NULL)
            return ILLEGAL;
        *out = factor * *in + value;
    }
    return 0;
}

static inline unsigned change(const sim_launch *launch, void **parameters)
{
    int64_t n = *(int64_t *)parameters[1];
    double factor = *(double *)parameters[2], value = *(double *)parameters[3];
    double *x = n == 0 ? NULL : sim.tenure_sim_bytes(*(uint64_t *)parameters[0], (size_t)n * sizeof *x, launch->device);
    if (x == NULL && n > 0)
        return ILLEGAL;
    for (int64_t i = 0; i < threads_of(launch) && i < n; i++)
        x[i] = factor * x[i] + value;
    return 0;
}

static inline unsigned tell(const sim_launch *launch, void **parameters)
{
    int64_t *to = sim.tenure_sim_bytes(*(uint64_t *)parameters[0], 5 * sizeof *to, launch->device);
    const view2 *view = parameters[1];
    if (to == NULL)
        return ILLEGAL;
    int64_t told[5] = {(int64_t)(intptr_t)view->data, view->shape[0], view->shape[1], view->strides[0], view->strides[1]};
    memcpy(to, told, sizeof told);
    return 0;
}

static inline unsigned block_memory(const sim_launch *launch, void **parameters)
{
    int64_t *to = sim.tenure_sim_bytes(*(uint64_t *)parameters[0], launch->grid[0] * sizeof *to, launch->device);
    int64_t bytes = *(int64_t *)parameters[1];
    if (to == NULL || bytes > (int64_t)launch->shared_bytes)
        return ILLEGAL;
    for (unsigned i = 0; i < launch->grid[0]; i++)
        to[i] = bytes;
    return 0;
}

static inline unsigned nothing(const sim_launch *launch, void **parameters)
{
    (void)launch, (void)parameters;
    return 0;
}

/* What a driver that takes PTX without compiling it answers to the name of a kernel. */
enum { NO_SUCH_KERNEL = 500 };

/* The PTX, a text that lives as long as the process. */
static inline char *kernels_image(void)
{
    static char *image;
    size_t bytes = 1;
    if (image != NULL)
        return image;
    for (size_t i = 0; i < sizeof LAUNCH_KERNELS / sizeof *LAUNCH_KERNELS; i++)
        bytes += strlen(LAUNCH_KERNELS[i]);
    image = calloc(bytes, 1);
    for (size_t i = 0; i < sizeof LAUNCH_KERNELS / sizeof *LAUNCH_KERNELS; i++)
        strcat(image, LAUNCH_KERNELS[i]);
    return image;
}

/* The kernels that the functions below launch. */
static void *SCALE, *CHANGE;

#define SIZES(...) (const size_t[]){__VA_ARGS__}, sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)

static inline void start_drivers(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
#define LOAD(table, name) *(void **)&table.name = dlsym(driver, #name)
    LOAD(cu, cuCtxSetCurrent), LOAD(cu, cuDevicePrimaryCtxRetain), LOAD(cu, cuModuleLoadData), LOAD(cu, cuModuleUnload);
    LOAD(cu, cuModuleGetFunction), LOAD(cu, cuFuncGetAttribute), LOAD(cu, cuFuncSetAttribute), LOAD(cu, cuLaunchKernel);
    LOAD(cu, cuStreamBeginCapture_v2), LOAD(cu, cuStreamEndCapture), LOAD(cu, cuGraphInstantiateWithFlags);
    LOAD(cu, cuGraphLaunch), LOAD(cu, cuGraphExecDestroy), LOAD(cu, cuGraphDestroy);
    LOAD(sim, tenure_sim_set), LOAD(sim, tenure_sim_fail), LOAD(sim, tenure_sim_clear_faults), LOAD(sim, tenure_sim_register_kernel);
    LOAD(sim, tenure_sim_set_kernel_attribute), LOAD(sim, tenure_sim_calls), LOAD(sim, tenure_sim_step), LOAD(sim, tenure_sim_bytes);
    if (simulated()) {
        CHECK(sim.tenure_sim_set("devices", 2) == 0);
        sim.tenure_sim_register_kernel("launch_scale", scale, SIZES(sizeof(view1), sizeof(view1), 8, 8), 0);
        sim.tenure_sim_register_kernel("launch_change", change, SIZES(8, 8, 8, 8), 0);
        sim.tenure_sim_register_kernel("launch_tell", tell, SIZES(8, sizeof(view2)), 0);
        sim.tenure_sim_register_kernel("launch_block_memory", block_memory, SIZES(8, 8), 0);
        sim.tenure_sim_register_kernel("launch_nothing", nothing, (const size_t[]){0}, 0, 0);
    }
}

/* ---- arrays and launches ---- */

static inline tn_array *in_pool(tn_pool *pool, tn_dtype dtype, int32_t ndim, const int64_t *shape)
{
    tn_array *array = NULL;
    OK(tn_array_zeros(pool, dtype, ndim, shape, NULL, &array));
    OK(tn_array_wait(array, TN_WRITE));
    return array;
}

static inline tn_array *on_device(tn_device device, tn_dtype dtype, int32_t ndim, const int64_t *shape)
{
    tn_pool *pool = NULL;
    OK(tn_pool_default(device, &pool));
    tn_array *array = in_pool(pool, dtype, ndim, shape);
    OK(tn_pool_release(pool));
    return array;
}

/* N numbers of a GPU: 0, 1, 2, .. */
static inline tn_array *count_up(void)
{
    double values[N];
    tn_array *array = on_device(GPU, TN_F64, 1, &LENGTH);
    for (int i = 0; i < N; i++)
        values[i] = i;
    OK(tn_array_copy_from_host(array, values, NULL, 0, NULL));
    return array;
}

/* Every element i is factor * i + value. */
static inline int is_line(tn_array *array, double factor, double value)
{
    double values[N];
    OK(tn_array_wait(array, TN_READ));
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    for (int i = 0; i < N; i++) {
        if (values[i] != factor * i + value)
            return 0;
    }
    return 1;
}

static inline tn_arg array_arg(tn_array *array, uint32_t access, int32_t ndim)
{
    return (tn_arg){.kind = TN_ARG_ARRAY, .access = access, .ndim = ndim, .what = array};
}

static inline tn_arg pointer_arg(tn_array *array, uint32_t access)
{
    return (tn_arg){.kind = TN_ARG_POINTER, .access = access, .what = array};
}

static inline tn_arg value_arg(const void *value, size_t bytes)
{
    return (tn_arg){.kind = TN_ARG_VALUE, .what = value, .bytes = bytes};
}

static inline tn_launch_config config_of(void *function, tn_stream *stream)
{
    return (tn_launch_config){.size = sizeof(tn_launch_config), .function = function, .grid = {2, 1, 1}, .block = {32, 1, 1}, .stream = stream};
}

/* to = factor * from + value, for arrays of one axis. */
static inline tn_status try_scale(tn_arg to, tn_arg from, double factor, double value, tn_stream *stream)
{
    tn_launch_config config = config_of(SCALE, stream);
    tn_arg args[] = {to, from, value_arg(&factor, sizeof factor), value_arg(&value, sizeof value)};
    return tn_launch(&config, 4, args);
}

/* x = factor * x + value, for a C-contiguous array of N elements. */
static inline tn_status try_change(tn_arg x, double factor, double value, tn_stream *stream)
{
    tn_launch_config config = config_of(CHANGE, stream);
    int64_t n = N;
    tn_arg args[] = {x, value_arg(&n, sizeof n), value_arg(&factor, sizeof factor), value_arg(&value, sizeof value)};
    return tn_launch(&config, 4, args);
}

#define SCALED(to, from, factor, value, stream)                                                                                \
    OK(try_scale(array_arg(to, TN_WRITE, 1), array_arg(from, TN_READ, 1), factor, value, stream))

static inline void drop_all(int n, ...)
{
    va_list arrays;
    va_start(arrays, n);
    for (int i = 0; i < n; i++)
        OK(tn_array_release(va_arg(arrays, tn_array *)));
    va_end(arrays);
}

/* Nothing is borrowed: the host, or a stream, may write the whole array. */
static inline int is_free(tn_array *array, tn_stream *stream)
{
    tn_borrow *guard = NULL;
    if (tn_array_borrow_write(array, 0, stream, NULL, NULL, &guard) != TN_OK)
        return 0;
    OK(tn_borrow_end(guard, 0, NULL));
    return 1;
}

static inline void add_one(tn_array *array, tn_stream *stream)
{
    OK(try_change(pointer_arg(array, TN_READ_WRITE), 1, 1, stream));
}

#endif
