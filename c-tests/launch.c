/*
 * launch.c - kernels of the host, and what kernels get of host arrays (KN). cuda_launch.c has the kernels of GPUs.
 */
#include "helpers.h"
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

int main(void)
{
    kernel_views();
    unaligned_views();
    return finish();
}
