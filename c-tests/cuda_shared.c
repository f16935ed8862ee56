/*
 * cuda_shared.c - shared variables on devices: values that enter on another device, and the order of device work (SV-4, SV-12, SV-18,
 * SV-32, SV-34). The tables of devices are in tests/gpu/cuda_borrowing.rs.
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _GNU_SOURCE
#include "cuda_crossings.h"

static void another_device(void) /* SV-12 */
{
    tn_array *host = numbers(NULL, SHAPE(2, 4));
    tn_shared_options options = {.size = sizeof options, .device = GPU};
    tn_shared *shared = UNTOUCHED;
    tn_crossing how = {77, 77};
    FAILS(tn_shared_create(host, TN_REQUIRE_BORROW, &options, &shared, &how), TN_ERR_WOULD_COPY);
    FAILS(tn_shared_create(host, TN_STRICT, &options, &shared, &how), TN_ERR_DEVICE);
    CHECK(shared == UNTOUCHED && how.how == 77);
    OK(tn_shared_create(host, TN_BORROW, &options, &shared, &how));
    CHECK(how.how == TN_COPIED && how.why == TN_WHY_DEVICE);
    tn_shared_info info = {.size = sizeof info};
    OK(tn_shared_query(shared, &info));
    CHECK(info.device.type == TN_CUDA && info.home.type == TN_CPU);
    tn_array *taken = numbers(NULL, SHAPE(2, 4));
    OK(tn_shared_set(shared, taken, TN_TAKE_OWNERSHIP, &how));
    CHECK(how.why == TN_WHY_DEVICE && state_of(taken) == TN_ERR_DESTRUCTED);
    drop(taken);
    drop(host);
    OK(tn_shared_release(shared));
}

/* SV-18, SV-32: a kernel's work on the value comes before the copy, which goes into the present buffer. */
static void ordered(void)
{
    tn_stream *stream = NULL;
    OK(tn_stream_create(GPU, 0, 0, &stream));
    tn_shared *shared = variable(GPU, CPU);
    tn_array *before = NULL, *after = NULL, *host = numbers(NULL, SHAPE(2, 4)), *there = NULL;
    OK(tn_shared_get(shared, TN_RAW | TN_BORROW, &before, NULL));
    void *bytes = NULL;
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(before, 0, stream, NULL, &view, &guard));
    bytes = view.data;
    OK(tn_borrow_end(guard, 0, stream));
    drop(before);
    OK(tn_array_to_device(host, GPU, NULL, stream, &there)); /* unfinished when it is stored */
    OK(tn_shared_set(shared, there, 0, NULL));
    OK(tn_shared_get(shared, TN_RAW | TN_BORROW, &after, NULL));
    OK(tn_array_borrow_read(after, 0, stream, NULL, &view, &guard));
    CHECK(view.data == bytes);
    OK(tn_borrow_end(guard, 0, stream));
    CHECK(counts(after, 0, 1));
    int64_t five = 5;
    OK(tn_array_fill(there, &five, 0, stream)); /* the value was read before */
    OK(tn_shared_set(shared, there, 0, NULL));
    CHECK(counts(after, 0, 1)); /* SV-4 on a device: the holder keeps the old value */
    tn_array *now = NULL;
    OK(tn_shared_get(shared, 0, &now, NULL));
    int64_t values[8];
    OK(tn_array_copy_to_host(now, values, NULL, NULL));
    for (int i = 0; i < 8; i++)
        CHECK(values[i] == 5);
    drop(now);
    drop(after);
    drop(there);
    drop(host);
    OK(tn_shared_release(shared));
    OK(tn_stream_release(stream));
}

static tn_status fill_seven(void *stream, tn_array *value)
{
    int64_t seven = 7;
    return tn_array_fill(value, &seven, TN_WRITE_UNIQUE, stream);
}

static void updated_by_a_device(void) /* SV-34, with work that goes on after the callback */
{
    tn_stream *stream = NULL;
    OK(tn_stream_create(GPU, 0, 0, &stream));
    for (int in_place = 0; in_place < 2; in_place++) {
        tn_shared *shared = variable(GPU, GPU);
        tn_crossing how;
        OK(tn_shared_update(shared, in_place ? TN_MAY_OVERWRITE : 0, fill_seven, stream, &how));
        CHECK(how.how == (in_place ? TN_ALIASED : TN_COPIED));
        tn_array *value = NULL;
        OK(tn_shared_get(shared, TN_BORROW, &value, NULL));
        OK(tn_shared_release(shared));
        int64_t values[8];
        OK(tn_array_copy_to_host(value, values, NULL, NULL));
        CHECK(values[0] == 7 && values[7] == 7);
        drop(value);
    }
    OK(tn_stream_release(stream));
}

static void without_driver(void)
{
    tn_array *value = numbers(NULL, SHAPE(2, 4));
    tn_shared_options options = {.size = sizeof options, .device = GPU};
    tn_shared *shared = UNTOUCHED;
    FAILS(tn_shared_create(value, 0, &options, &shared, NULL), TN_ERR_UNSUPPORTED);
    CHECK(shared == UNTOUCHED);
    drop(value);
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        without_driver();
        return finish();
    }
    another_device();
    ordered();
    updated_by_a_device();
    return finish();
}
