/*
 * cuda_transfer.c - copies between host and devices through the header: PN-13 without a driver, else TR and PN rows on the existing device.
 * `cargo xtask test --sim` runs it on the simulated driver.
 */
#include "check.h"
#include <stdint.h>

static const tn_device CPU = {TN_CPU, 0}, GPU = {TN_CUDA, 0}, LOCKED = {TN_CUDA_HOST, 0};

enum { ROWS = 30, COLUMNS = 40, COUNT = ROWS * COLUMNS };
static const int64_t SHAPE[2] = {ROWS, COLUMNS};

static void without_a_driver(tn_array *x) /* PN-13 */
{
    tn_array *out = NULL;
    static double memory[100];
    FAILS(tn_array_to_device(x, GPU, NULL, NULL, &out), TN_ERR_UNSUPPORTED);
    FAILS(tn_host_register(memory, sizeof memory, 0, &out), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_advise(x, TN_ADVISE_READ_MOSTLY, GPU), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_prefetch(x, GPU, NULL), TN_ERR_UNSUPPORTED);
    CHECK(out == NULL);
    OK(tn_host_register(memory, sizeof memory, TN_HOST_BEST_EFFORT, &out));
    tn_array_info info = {.size = sizeof info};
    OK(tn_array_query(out, &info));
    CHECK(info.device.type == TN_CPU && info.bytes == sizeof memory && !(info.flags & TN_PINNED));
    OK(tn_array_release(out));
    /* TR-21: on host memory the constants mean "the host, now". */
    OK(tn_array_to_device(x, CPU, NULL, TN_STREAM_CURRENT, &out));
    OK(tn_array_copy_into(x, out, 0, TN_STREAM_LEGACY));
    OK(tn_array_clear(out, 0, TN_STREAM_PER_THREAD));
    OK(tn_array_release(out));
}

static void there_and_back(tn_array *x, const double *values) /* TR-6, TR-8, TR-9 */
{
    tn_array *turned = NULL, *there = NULL, *column = NULL, *locked = NULL;
    tn_stream *stream = NULL;
    tn_array_info info = {.size = sizeof info};
    static double back[COLUMNS][ROWS];
    OK(tn_stream_create(GPU, 0, 0, &stream));
    OK(tn_array_transpose(x, &turned));
    OK(tn_array_to_device(turned, GPU, NULL, stream, &there));
    OK(tn_array_query(there, &info));
    CHECK(info.device.type == TN_CUDA && info.shape[0] == COLUMNS && (info.flags & TN_F_CONTIGUOUS));
    OK(tn_array_copy_to_host(there, back, NULL, NULL));
    for (int i = 0; i < COUNT; i++) {
        CHECK(back[i % COLUMNS][i / COLUMNS] == values[i]);
    }
    /* TR-3, TR-16: one column, and no byte beside it. */
    const double seven = 7;
    OK(tn_array_index(there, 1, 3, &column));
    OK(tn_array_fill(column, &seven, 0, stream));
    /* TR-8: with a stream the host's side is page-locked; TR-11: its bytes are never read too early. */
    OK(tn_array_to_device(there, CPU, NULL, stream, &locked));
    OK(tn_array_query(locked, &info));
    CHECK(info.device.type == LOCKED.type && (info.flags & TN_PINNED));
    OK(tn_array_wait(locked, TN_READ));
    OK(tn_array_copy_to_host(locked, back, NULL, NULL));
    for (int i = 0; i < COUNT; i++) {
        CHECK(back[i % COLUMNS][i / COLUMNS] == (i / COLUMNS == 3 ? 7 : values[i]));
    }
    FAILS(tn_array_copy_into(there, x, 0, stream), TN_ERR_SHAPE); /* TR-1 */
    OK(tn_array_release(locked));
    OK(tn_array_release(column));
    OK(tn_array_release(there));
    OK(tn_array_release(turned));
    OK(tn_stream_release(stream));
}

static void registered(void) /* PN-2 to PN-5 */
{
    tn_array *a = NULL, *b = NULL, *there = NULL;
    tn_array_info info = {.size = sizeof info};
    static double memory[20000];
    for (int turn = 0; turn < 3; turn++) {
        OK(tn_host_register(memory, sizeof memory, TN_HOST_PORTABLE, &a));
        FAILS(tn_host_register(memory + 10, 8, 0, &b), TN_ERR_DUPLICATE);
        OK(tn_array_query(a, &info));
        CHECK(info.device.type == TN_CUDA_HOST && info.bytes == sizeof memory && (info.flags & TN_PINNED));
        OK(tn_array_to_device(a, GPU, NULL, NULL, &there));
        OK(tn_array_release(there));
        OK(tn_array_release(a));
    }
    FAILS(tn_host_register(NULL, 8, 0, &a), TN_ERR_NULL);
    FAILS(tn_host_register(memory, 0, 0, &a), TN_ERR_INVALID);
    FAILS(tn_host_register(memory, 8, TN_HOST_WRITE_COMBINED, &a), TN_ERR_INVALID);
    FAILS(tn_host_register(memory, SIZE_MAX, 0, &a), TN_ERR_RANGE);
}

int main(void)
{
    static double values[COUNT];
    tn_array *x = NULL;
    for (int i = 0; i < COUNT; i++) {
        values[i] = i;
    }
    OK(tn_array_empty(NULL, TN_F64, 2, SHAPE, NULL, &x));
    OK(tn_array_copy_from_host(x, values, NULL, 0, NULL));
    if (gpus() > 0) {
        there_and_back(x, values);
        registered();
    } else {
        without_a_driver(x);
    }
    OK(tn_array_release(x));
    return finish();
}
