/*
 * launch.c - kernels of the host, and what kernels get of host arrays (KN). cuda_launch.c has the kernels of GPUs.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

/* tn_view<T, N> of tenure_kernel.cuh, for N axes. */
#define VIEW(n)                                                                                                                \
    struct {                                                                                                                   \
        void *data;                                                                                                            \
        int64_t shape[n], strides[n];                                                                                          \
    }

static void kernel_views(void) /* KN-6, KN-13 */
{
    VIEW(1) one;
    VIEW(2) two, before;
    tn_array *x = zeros(NULL, TN_F64, SHAPE(3, 4)), *turned = NULL, *y = NULL;
    tn_borrow *guard = NULL;
    void *data = NULL;
    OK(tn_array_transpose(x, &turned));
    OK(tn_array_slice(turned, 1, (tn_slice_spec[]){{.start = TN_NONE, .stop = TN_NONE, .step = -1}}, &y));
    OK(tn_array_borrow_write(y, 0, NULL, &data, NULL, &guard));
    OK(tn_borrow_kernel_view(guard, 2, sizeof two, &two));
    CHECK(two.data == data && two.shape[0] == 4 && two.shape[1] == 3 && two.strides[0] == -8 && two.strides[1] == 32);

    memset(&two, 0x5a, sizeof two);
    before = two;
    FAILS(tn_borrow_kernel_view(NULL, 2, sizeof two, &two), TN_ERR_NULL);
    FAILS(tn_borrow_kernel_view(guard, 2, sizeof two, NULL), TN_ERR_NULL);
    FAILS(tn_borrow_kernel_view((tn_borrow *)x, 2, sizeof two, &two), TN_ERR_KIND);
    FAILS(tn_borrow_kernel_view(guard, 2, sizeof one, &two), TN_ERR_INVALID);
    FAILS(tn_borrow_kernel_view(guard, 2, sizeof two + 1, &two), TN_ERR_INVALID);
    FAILS(tn_borrow_kernel_view(guard, -1, 24, &two), TN_ERR_INVALID);
    FAILS(tn_borrow_kernel_view(guard, 9, 8 + 16 * 9, &two), TN_ERR_INVALID);
    FAILS(tn_borrow_kernel_view(guard, 1, sizeof one, &two), TN_ERR_SHAPE);
    FAILS(tn_borrow_kernel_view(guard, 0, sizeof one, &two), TN_ERR_SHAPE);
    CHECK(memcmp(&two, &before, sizeof two) == 0);
    OK(tn_borrow_end(guard, 0, NULL));
    FAILS(tn_borrow_kernel_view(guard, 2, sizeof two, &two), TN_ERR_STALE);
    tn_borrow_spec spec = {.array = x, .access = TN_READ};
    OK(tn_borrow_all(1, &spec, NULL, &guard));
    FAILS(tn_borrow_kernel_view(guard, 2, sizeof two, &two), TN_ERR_INVALID);
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_array_release(y));
    OK(tn_array_release(turned));
    OK(tn_array_release(x));

    /* An array without axes is one axis of length 1; one without elements has no address. */
    x = zeros(NULL, TN_C128, 0, NULL);
    OK(tn_array_borrow_read(x, 0, NULL, (const void **)&data, NULL, &guard));
    for (int32_t ndim = 0; ndim < 2; ndim++) {
        OK(tn_borrow_kernel_view(guard, ndim, sizeof one, &one));
        CHECK(one.data == data && one.shape[0] == 1 && one.strides[0] == 16);
    }
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_array_release(x));
    x = zeros(NULL, TN_F32, SHAPE(3, 0));
    OK(tn_array_borrow_read(x, 0, NULL, NULL, NULL, &guard));
    OK(tn_borrow_kernel_view(guard, 2, sizeof two, &two));
    CHECK(two.data == NULL && two.shape[0] == 3 && two.shape[1] == 0);
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_array_release(x));
}

/* A C-contiguous array on memory of the test. */
static tn_array *on(void *memory, tn_dtype dtype, int32_t ndim, const int64_t *shape, const int64_t *strides)
{
    tn_layout layout = {.size = sizeof layout, .dtype = dtype, .ndim = ndim, .shape = shape, .strides = strides};
    tn_array *array = NULL;
    OK(tn_array_import_host(memory, &layout, TN_REQUIRE_BORROW, NULL, NULL, &array, NULL));
    return array;
}

static void unaligned_views(void) /* KN-13: elements at multiples of their size, 16 for c128 */
{
    static _Alignas(16) char memory[256];
    VIEW(1) view;
    struct {
        tn_dtype dtype;
        ptrdiff_t offset;
        int64_t length, stride;
        tn_status status;
    } cases[] = {
        {TN_C128, 0, 4, 16, TN_OK},        {TN_C128, 8, 4, 16, TN_ERR_LAYOUT}, {TN_C128, 0, 4, 24, TN_ERR_LAYOUT},
        {TN_C128, 0, 1, 24, TN_OK},        {TN_C128, 8, 0, 24, TN_OK},         {TN_C64, 8, 4, 8, TN_OK},
        {TN_C64, 4, 4, 8, TN_ERR_LAYOUT},  {TN_F64, 0, 4, -8, TN_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tn_borrow *guard = NULL;
        ptrdiff_t last = cases[i].stride < 0 ? -cases[i].stride * (cases[i].length - 1) : 0;
        tn_array *x = on(memory + cases[i].offset + last, cases[i].dtype, 1, &cases[i].length, &cases[i].stride);
        OK(tn_array_borrow_read(x, 0, NULL, NULL, NULL, &guard));
        check_status(__FILE__, (int)(1000 + i), "tn_borrow_kernel_view", tn_borrow_kernel_view(guard, 1, sizeof view, &view),
                     cases[i].status);
        OK(tn_borrow_end(guard, 0, NULL));
        OK(tn_array_release(x));
    }
}

/* ---- kernels of the host ---- */

typedef VIEW(1) view1;
typedef VIEW(2) view2;

static tn_arg array_arg(tn_array *array, uint32_t access, int32_t ndim)
{
    return (tn_arg){.kind = TN_ARG_ARRAY, .access = access, .ndim = ndim, .what = array};
}

static tn_arg pointer_arg(tn_array *array, uint32_t access)
{
    return (tn_arg){.kind = TN_ARG_POINTER, .access = access, .what = array};
}

static tn_arg value_arg(const void *value, size_t bytes)
{
    return (tn_arg){.kind = TN_ARG_VALUE, .what = value, .bytes = bytes};
}

static tn_launch_config config_of(tn_host_kernel kernel, uint32_t x, uint32_t y, uint32_t z)
{
    return (tn_launch_config){.size = sizeof(tn_launch_config), .grid = {x, y, z}, .block = {4, 2, 1}, .host_function = kernel};
}

static uint32_t number_of(const tn_host_block *block)
{
    return block->index[0] + block->grid[0] * (block->index[1] + block->grid[1] * block->index[2]);
}

/* What the blocks of a launch saw. The first argument is an array of counts, the second a pointer to this. */
struct seen {
    atomic_uint next, out_of_order, wrong;
};

static void count(const tn_host_block *block, void *const *args)
{
    int64_t *counts = *(int64_t *const *)args[0];
    struct seen *seen = *(struct seen *const *)args[1];
    uint32_t number = number_of(block);
    counts[number]++;
    atomic_fetch_add(&seen->out_of_order, atomic_fetch_add(&seen->next, 1) != number);
    int is_right = block->size == sizeof *block && block->block[0] == 4 && block->block[1] == 2 && block->block[2] == 1 &&
                   block->reserved == 0 && block->memory == NULL && block->memory_bytes == 0;
    atomic_fetch_add(&seen->wrong, !is_right);
}

static void blocks_run_once(void) /* KN-20 */
{
    const uint32_t grids[][3] = {{1, 1, 1}, {5, 1, 1}, {3, 4, 2}, {1, 1, 7}, {2, 65536, 1}};
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        uint32_t n = grids[i][0] * grids[i][1] * grids[i][2];
        tn_array *counts = zeros(NULL, TN_I64, SHAPE(n));
        struct seen seen = {0}, *to_seen = &seen;
        tn_launch_config config = config_of(count, grids[i][0], grids[i][1], grids[i][2]);
        tn_arg args[] = {pointer_arg(counts, TN_READ_WRITE), value_arg(&to_seen, sizeof to_seen)};
        OK(tn_launch(&config, 2, args));
        tn_borrow *reader = reading(counts);
        const int64_t *all = address(counts);
        int64_t sum = 0;
        for (uint32_t k = 0; k < n; k++)
            sum += all[k] == 1;
        end(reader);
        /* Without a runner the blocks run in their order. */
        CHECK(sum == n && seen.next == n && seen.out_of_order == 0 && seen.wrong == 0);
        drop(counts);
    }
}

/* A runner with one thread for each task, and one that runs nothing itself. */
enum { THREADS = 4 };

struct job {
    tn_task task;
    void *argument;
    size_t index;
};

static void *work(void *context)
{
    struct job *job = context;
    job->task(job->argument, job->index);
    return NULL;
}

static void on_threads(void *context, tn_task task, void *argument, size_t n)
{
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    *(size_t *)context = n;
    CHECK(n >= 1 && n <= THREADS);
    for (size_t i = 0; i < n; i++) {
        jobs[i] = (struct job){task, argument, i};
        CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
    }
    for (size_t i = 0; i < n; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void on_nobody(void *context, tn_task task, void *argument, size_t n)
{
    (void)task, (void)argument;
    *(size_t *)context = n;
}

/* Fills the block memory with its number, lets others run, and finds it unchanged. */
static void use_memory(const tn_host_block *block, void *const *args)
{
    int64_t *counts = *(int64_t *const *)args[0];
    struct seen *seen = *(struct seen *const *)args[1];
    unsigned char *memory = block->memory, number = (unsigned char)number_of(block);
    int is_right = block->memory_bytes == 1000 && (uintptr_t)memory % 128 == 0;
    memset(memory, number, block->memory_bytes);
    sched_yield();
    for (size_t i = 0; i < block->memory_bytes; i++)
        is_right &= memory[i] == number;
    counts[number]++;
    atomic_fetch_add(&seen->wrong, !is_right);
}

static void blocks_on_the_callers_threads(void) /* KN-20 */
{
    size_t tasks = 0;
    tn_run_callback runs[] = {on_threads, on_nobody};
    for (size_t r = 0; r < 2; r++) {
        tn_runner runner = {sizeof runner, runs[r], &tasks, THREADS, 0};
        OK(tn_runner_set_current(&runner));
        for (uint32_t n = 1; n < 40; n += 6) {
            tn_array *counts = zeros(NULL, TN_I64, SHAPE(n));
            struct seen seen = {0}, *to_seen = &seen;
            tn_launch_config config = config_of(use_memory, n, 1, 1);
            tn_arg args[] = {pointer_arg(counts, TN_READ_WRITE), value_arg(&to_seen, sizeof to_seen)};
            config.block_bytes = 1000;
            tasks = 0;
            OK(tn_launch(&config, 2, args));
            int64_t all[40] = {0}, sum = 0;
            OK(tn_array_copy_to_host(counts, all, NULL, NULL));
            for (uint32_t k = 0; k < n; k++)
                sum += all[k] == 1;
            CHECK(sum == n && seen.wrong == 0);
            CHECK(tasks == (n < 2 ? 0 : n < THREADS ? n : THREADS)); /* one block is not spread */
            drop(counts);
        }
    }
    OK(tn_runner_set_current(NULL));
}

/* to = factor * from, both with strides, in blocks of 4 rows. */
static void scale(const tn_host_block *block, void *const *args)
{
    const view2 *to = args[0], *from = args[1];
    double factor = *(const double *)args[2];
    for (int64_t i = 4 * block->index[0]; i < 4 * (block->index[0] + 1) && i < to->shape[0]; i++) {
        for (int64_t k = 0; k < to->shape[1]; k++) {
            char *out = (char *)to->data + i * to->strides[0] + k * to->strides[1];
            const char *in = (const char *)from->data + i * from->strides[0] + k * from->strides[1];
            *(double *)out = factor * *(const double *)in;
        }
    }
}

static tn_status try_scale(tn_arg to, tn_arg from, double factor)
{
    tn_launch_config config = config_of(scale, 3, 1, 1);
    tn_arg args[] = {to, from, value_arg(&factor, sizeof factor)};
    return tn_launch(&config, 3, args);
}

/* An element of an array of doubles, by its place in memory. */
static double double_at(tn_array *array, size_t i)
{
    tn_borrow *guard = reading(array);
    const double value = ((const double *)address(array))[i];
    end(guard);
    return value;
}

static void kernels_get_views(void) /* KN-10, KN-20 */
{
    tn_array *x = zeros(NULL, TN_F64, SHAPE(4, 10)), *turned = NULL, *y = zeros(NULL, TN_F64, SHAPE(10, 4));
    double three = 3;
    OK(tn_array_fill(x, &three, 0, NULL));
    OK(tn_array_transpose(x, &turned));
    OK(try_scale(array_arg(y, TN_WRITE, 2), array_arg(turned, TN_READ, 2), 2));
    const void *values = address(y);
    CHECK(double_at(y, 0) == 6 && double_at(y, 39) == 6);
    /* The kernel writes what the access says: poison heals only where all of it is overwritten. */
    poison(y);
    CHECK(try_scale(array_arg(y, TN_READ_WRITE, 2), array_arg(turned, TN_READ, 2), 1) == TN_ERR_POISONED);
    CHECK(try_scale(array_arg(turned, TN_WRITE, 2), array_arg(y, TN_READ, 2), 1) == TN_ERR_POISONED);
    OK(try_scale(array_arg(y, TN_WRITE, 2), array_arg(turned, TN_READ, 2), 1));
    CHECK(double_at(y, 0) == 3);
    /* COW: the other handle keeps the old values. */
    tn_array *other = clone(y);
    OK(try_scale(array_arg(y, TN_WRITE | TN_WRITE_COW, 2), array_arg(turned, TN_READ, 2), 5));
    CHECK(double_at(y, 0) == 15 && double_at(other, 0) == 3 && address(other) == values);
    drop(other);
    drop(y);
    drop(turned);
    drop(x);
}

static void kernels_get_mirrors(void) /* MI-12, KN-20: the host side, and nothing moves */
{
    tn_array *x = zeros(NULL, TN_F64, SHAPE(10, 4)), *y = zeros(NULL, TN_F64, SHAPE(10, 4));
    double three = 3, *data = NULL;
    OK(tn_array_fill(x, &three, 0, NULL));
    tn_mirror_options options = {.size = sizeof options, .object = x};
    tn_mirror *mirror = NULL;
    OK(tn_mirror_create(&options, &mirror, NULL));
    tn_arg arg = {.kind = TN_ARG_MIRROR, .access = TN_READ, .ndim = 2, .what = mirror};
    OK(try_scale(array_arg(y, TN_WRITE, 2), arg, 2));
    arg.access = TN_READ | TN_ALLOW_ALIAS;
    FAILS(try_scale(array_arg(y, TN_WRITE, 2), arg, 2), TN_ERR_INVALID);
    FAILS(try_scale(array_arg(y, TN_WRITE, 2), array_arg(x, TN_READ | TN_FROZEN | TN_ALLOW_ALIAS, 2), 2), TN_ERR_INVALID); /* KN-11 */
    CHECK(says("args[1]") && says("TN_FROZEN"));
    arg.access = TN_WRITE | TN_WAIT;
    OK(try_scale(arg, array_arg(y, TN_READ, 2), 2));
    tn_borrow *guard = NULL;
    OK(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, (void **)&data, NULL, &guard));
    CHECK(data[0] == 12 && data[39] == 12 && double_at(y, 0) == 6);
    CHECK(try_scale(arg, array_arg(y, TN_READ, 2), 2) == TN_ERR_BORROWED && says("args[0]"));
    end(guard);
    arg.ndim = 1;
    CHECK(try_scale(arg, array_arg(y, TN_READ, 2), 2) == TN_ERR_SHAPE && says("args[0]"));
    tn_mirror_info info = {.size = sizeof info};
    OK(tn_mirror_query(mirror, &info));
    CHECK(info.valid == TN_SIDE_HOST && info.transfers_to_device + info.transfers_to_host == 0);
    OK(tn_mirror_release(mirror));
    drop(x);
    drop(y);
}

/* The arrays of a launch, for its own kernel. */
struct inside {
    tn_array *written, *read, *made;
    int calls;
};

static void look_inside(const tn_host_block *block, void *const *args)
{
    struct inside *inside = *(struct inside *const *)args[2];
    (void)block;
    inside->calls++;
    CHECK(try_read(inside->written, 0) == TN_ERR_BORROWED_WRITE);
    CHECK(try_read(inside->read, 0) == TN_OK && try_write(inside->read, 0) == TN_ERR_BORROWED);
    inside->made = zeros(NULL, TN_F64, SHAPE(3));
    /* A launch from within a launch. */
    if (inside->calls == 1)
        CHECK(try_scale(array_arg(inside->written, TN_READ, 1), array_arg(inside->read, TN_READ, 1), 1) == TN_ERR_SHAPE);
    tn_array *square = zeros(NULL, TN_F64, SHAPE(2, 2));
    CHECK(try_scale(array_arg(square, TN_WRITE, 2), array_arg(inside->read, TN_READ, 2), 1) == TN_OK);
    drop(square);
}

static void kernels_may_call_the_library(void) /* KN-20 */
{
    tn_array *x = zeros(NULL, TN_F64, SHAPE(2, 2)), *y = zeros(NULL, TN_F64, SHAPE(2, 2));
    struct inside inside = {x, y, NULL, 0}, *to_inside = &inside;
    tn_launch_config config = config_of(look_inside, 1, 1, 1);
    tn_arg args[] = {array_arg(x, TN_WRITE, 2), array_arg(y, TN_READ, 2), value_arg(&to_inside, sizeof to_inside)};
    OK(tn_launch(&config, 3, args));
    CHECK(inside.calls == 1 && try_write(x, 0) == TN_OK && try_write(y, 0) == TN_OK);
    drop(inside.made);
    drop(x);
    drop(y);
}

static void never(const tn_host_block *block, void *const *args)
{
    (void)block, (void)args;
    CHECK(0);
}

static void wrong_launches_run_nothing(void) /* KN-11, KN-20 */
{
    tn_array *x = numbers(NULL, SHAPE(4)), *y = zeros(NULL, TN_F64, SHAPE(4)), *half = part(y, 0, 4, 2);
    tn_launch_config config = config_of(never, 2, 1, 1), bad;
    double value = 1;
    tn_arg args[] = {array_arg(y, TN_WRITE, 1), array_arg(y, TN_READ, 1)}, w = args[0];
    tn_borrow *guard = NULL;
    FAILS(tn_launch(NULL, 2, args), TN_ERR_NULL);
    FAILS(tn_launch(&config, 2, NULL), TN_ERR_NULL);
    bad = config, bad.host_function = NULL;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_NULL);
    bad = config, bad.function = &value;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_INVALID);
    bad = config, bad.size = 8;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_INVALID);
    bad = config, bad.grid[1] = 0;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_INVALID);
    bad = config, bad.block[2] = 0;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_INVALID);
    bad = config, bad.block_bytes = -1;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_INVALID);
    FAILS(tn_launch(&config, 2, args), TN_ERR_ALIASED); /* KN-11, also on the host */
    args[1] = array_arg(half, TN_READ_WRITE, 1);
    FAILS(tn_launch(&config, 2, args), TN_ERR_ALIASED);
    args[1].what = NULL;
    FAILS(tn_launch(&config, 2, args), TN_ERR_NULL);
    args[1] = array_arg((tn_array *)(uintptr_t)12345, TN_READ, 1);
    FAILS(tn_launch(&config, 2, args), TN_ERR_KIND);
    args[1] = value_arg(&value, 0);
    FAILS(tn_launch(&config, 2, args), TN_ERR_INVALID);
    args[1] = pointer_arg(half, TN_READ);
    FAILS(tn_launch(&config, 2, args), TN_ERR_LAYOUT); /* KN-13 */
    args[1] = array_arg(x, TN_READ, 2);
    FAILS(tn_launch(&config, 2, args), TN_ERR_SHAPE);
    CHECK(says("args[1]"));
    args[1] = (tn_arg){.kind = TN_ARG_MIRROR, .what = x, .access = TN_READ, .ndim = 1};
    FAILS(tn_launch(&config, 2, args), TN_ERR_KIND);
    args[1] = array_arg(x, TN_READ, 1);
    bad = config, bad.block_bytes = INT64_MAX;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_NO_HOST_MEMORY);
    bad = config, bad.grid[0] = bad.grid[1] = bad.grid[2] = UINT32_MAX;
    FAILS(tn_launch(&bad, 2, args), TN_ERR_LIMIT);
    guard = reading(y);
    FAILS(tn_launch(&bad, 2, args), TN_ERR_BORROWED); /* conflicts come before the work itself */
    FAILS(tn_launch(&config, 2, args), TN_ERR_BORROWED);
    end(guard);
    CHECK(try_write(x, 0) == TN_OK && try_write(y, 0) == TN_OK && w.what == y);
    drop(half);
    drop(y);
    drop(x);
}

int main(void)
{
    kernel_views();
    unaligned_views();
    blocks_run_once();
    blocks_on_the_callers_threads();
    kernels_get_views();
    kernels_get_mirrors();
    kernels_may_call_the_library();
    wrong_launches_run_nothing();
    return finish();
}
