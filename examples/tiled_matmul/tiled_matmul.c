/*
 * tiled_matmul.c - one source of kernels for GPUs and for the host: C = A B with tiles in block memory.
 *
 * With a GPU, the program loads tiled_matmul.ptx, or the file that its argument names, and launches the kernels there. Without one it
 * launches those that a C++ compiler made of tiled_matmul.cu. Each product is compared with one in double precision. README.md beside this
 * file says how to build it.
 */
#include "../cuda/gpu_module.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tenure.h>

/* The kernels of tiled_matmul.cu for the host: TN_HOST_KERNEL defines these functions. */
void matmul_static_host(const tn_host_block *block, void *const *args);
void matmul_dynamic_host(const tn_host_block *block, void *const *args);
void matmul_f64_host(const tn_host_block *block, void *const *args);

typedef struct {
    const char *name;
    tn_host_kernel host;
    tn_dtype dtype;
    /* The side of a tile, and of a block of threads. */
    uint32_t tile, threads;
    /* Whether the tiles are in dynamic block memory. */
    int is_dynamic;
} kernel;

static const kernel KERNELS[] = {
    {"matmul_static", matmul_static_host, TN_F32, 16, 16, 0},
    {"matmul_dynamic", matmul_dynamic_host, TN_F32, 16, 16, 1},
    {"matmul_f64", matmul_f64_host, TN_F64, 64, 32, 1},
};

static void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "%s: %s\n", tn_status_name(status), tn_last_error());
    exit(1);
}

/* ---- arrays ---- */

/* A matrix of numbers between -1 and 1 on the host. */
static tn_array *random_matrix(tn_dtype dtype, int64_t rows, int64_t columns)
{
    tn_array *array = NULL;
    tn_borrow *guard = NULL;
    void *data = NULL;
    must(tn_array_empty(NULL, dtype, 2, (int64_t[]){rows, columns}, NULL, &array));
    must(tn_array_borrow_write(array, TN_WRITE_DISCARD, NULL, &data, NULL, &guard));
    for (int64_t i = 0; i < rows * columns; i++) {
        double value = 2.0 * rand() / RAND_MAX - 1;
        if (dtype == TN_F32)
            ((float *)data)[i] = (float)value;
        else
            ((double *)data)[i] = value;
    }
    must(tn_borrow_end(guard, 0, NULL));
    return array;
}

/* The array on the device of the launch, in place of the one on the host. */
static tn_array *moved(tn_array *array, tn_device device)
{
    tn_array *there = NULL;
    if (device.type == TN_CPU)
        return array;
    must(tn_array_to_device(array, device, NULL, NULL, &there));
    must(tn_array_release(array));
    return there;
}

/* The elements as doubles, in C order. */
static double *doubles(tn_array *array, size_t count)
{
    tn_array_info info = {.size = sizeof info};
    double *values = malloc(count * sizeof *values);
    must(tn_array_query(array, &info));
    must(tn_array_copy_to_host(array, values, NULL, NULL));
    if (info.dtype == TN_F32)
        for (size_t i = count; i-- > 0;)
            values[i] = ((float *)values)[i];
    return values;
}

/* ---- the product ---- */

/* Launches a kernel. With dynamic tiles it gets their offsets, where tn_block_layout places them. */
static void multiply(const kernel *k, tn_module *module, tn_array *c, tn_array *a, tn_array *b, const int64_t sizes[3])
{
    const int64_t count = (int64_t)k->tile * k->tile;
    const tn_block_item tiles[2] = {{.dtype = k->dtype, .count = count}, {.dtype = k->dtype, .count = count}};
    int64_t offsets[2], bytes = 0;
    if (k->is_dynamic)
        must(tn_block_layout(2, tiles, offsets, &bytes));
    tn_launch_config config = {
        .size = sizeof config,
        .grid = {(uint32_t)((sizes[2] + k->tile - 1) / k->tile), (uint32_t)((sizes[0] + k->tile - 1) / k->tile), 1},
        .block = {k->threads, k->threads, 1},
        .block_bytes = bytes,
    };
    if (module == NULL)
        config.host_function = k->host;
    else
        must(tn_module_function(module, k->name, (tn_device){TN_CUDA, 0}, &config.function));
    const tn_arg args[5] = {
        {.kind = TN_ARG_ARRAY, .access = TN_WRITE, .ndim = 2, .what = c},
        {.kind = TN_ARG_ARRAY, .access = TN_READ, .ndim = 2, .what = a},
        {.kind = TN_ARG_ARRAY, .access = TN_READ, .ndim = 2, .what = b},
        {.kind = TN_ARG_VALUE, .what = &offsets[0], .bytes = sizeof offsets[0]},
        {.kind = TN_ARG_VALUE, .what = &offsets[1], .bytes = sizeof offsets[1]},
    };
    must(tn_launch(&config, k->is_dynamic ? 5 : 3, args));
}

/* Whether each element is as near to the product of the doubles as the rounding of k products and sums allows. */
static int is_product(const double *c, const double *a, const double *b, const int64_t sizes[3], tn_dtype dtype)
{
    const int64_t m = sizes[0], k = sizes[1], n = sizes[2];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0, magnitude = 0;
            for (int64_t l = 0; l < k; l++) {
                sum += a[i * k + l] * b[l * n + j];
                magnitude += fabs(a[i * k + l] * b[l * n + j]);
            }
            if (!(fabs(c[i * n + j] - sum) <= (double)k * (dtype == TN_F32 ? 0x1p-23 : 0x1p-51) * magnitude))
                return 0;
        }
    return 1;
}

int main(int argc, char **argv)
{
    const int64_t sizes[3] = {100, 70, 50}; /* m, k, n */
    tn_module *module = gpu_module(argc > 1 ? argv[1] : "tiled_matmul.ptx");
    const tn_device device = {module == NULL ? TN_CPU : TN_CUDA, 0};
    int failures = 0;
    for (size_t at = 0; at < sizeof KERNELS / sizeof *KERNELS; at++) {
        const kernel *k = &KERNELS[at];
        /* B is every third column of a matrix, C the left part of another one: kernels get strides. */
        const tn_slice_spec thirds[2] = {TN_SLICE(TN_NONE, TN_NONE, TN_NONE), TN_SLICE(0, TN_NONE, 3)};
        const tn_slice_spec left[2] = {TN_SLICE(TN_NONE, TN_NONE, TN_NONE), TN_SLICE(0, sizes[2], TN_NONE)};
        tn_array *a = moved(random_matrix(k->dtype, sizes[0], sizes[1]), device);
        tn_array *wide_b = moved(random_matrix(k->dtype, sizes[1], 3 * sizes[2]), device), *b = NULL;
        tn_array *wide_c = moved(random_matrix(k->dtype, sizes[0], sizes[2] + 9), device), *c = NULL;
        must(tn_array_slice(wide_b, 2, thirds, &b));
        must(tn_array_slice(wide_c, 2, left, &c));
        multiply(k, module, c, a, b, sizes);
        double *values[3] = {doubles(c, (size_t)(sizes[0] * sizes[2])), doubles(a, (size_t)(sizes[0] * sizes[1])),
                             doubles(b, (size_t)(sizes[1] * sizes[2]))};
        int is_right = is_product(values[0], values[1], values[2], sizes, k->dtype);
        printf("%s on %s: %s\n", k->name, module == NULL ? "the host" : "a GPU", is_right ? "right" : "wrong");
        failures += !is_right;
        for (int i = 0; i < 3; i++)
            free(values[i]);
        tn_array *all[5] = {a, b, c, wide_b, wide_c};
        for (int i = 0; i < 5; i++)
            must(tn_array_release(all[i]));
    }
    if (module != NULL)
        must(tn_module_release(module));
    return failures != 0;
}

/* It prints:
matmul_static on the host: right
matmul_dynamic on the host: right
matmul_f64 on the host: right
*/
