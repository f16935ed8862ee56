/*
 * cuda_stream.c - devices, streams and events through the header: PN-13 without a driver, else DV and ST rows on the existing device.
 * `cargo xtask test --sim` runs it on the simulated driver.
 */
#include "check.h"
#include "helpers.h"
#include <stdint.h>

static const tn_device CPU = {TN_CPU, 0}, GPU = {TN_CUDA, 0}, PINNED = {TN_CUDA_HOST, 0}, MANAGED = {TN_CUDA_MANAGED, 0};

static void counts(void) /* DV-1, DV-4 */
{
    size_t count = 77;
    OK(tn_device_count(TN_CPU, &count));
    CHECK(count == 1);
    OK(tn_device_count(TN_CUDA_HOST, &count));
    CHECK(count == (gpus() > 0));
    FAILS(tn_device_count(77, &count), TN_ERR_DEVICE);
    FAILS(tn_device_count(TN_CPU, NULL), TN_ERR_NULL);
    tn_device_info info = {.size = sizeof info};
    OK(tn_device_query(CPU, TN_QUERY_MEMORY, &info));
    CHECK(info.free_bytes <= info.total_bytes);
    FAILS(tn_device_query((tn_device){TN_CUDA, -1}, 0, &info), TN_ERR_DEVICE);
    OK(tn_device_synchronize(CPU)); /* ST-14 */
}

static void without_a_driver(void) /* PN-13 */
{
    const tn_device devices[3] = {GPU, PINNED, MANAGED};
    tn_device_info info = {.size = sizeof info};
    tn_stream *stream = NULL;
    tn_event *event = NULL;
    tn_stream_scope *scope = NULL;
    for (int i = 0; i < 3; i++) {
        FAILS(tn_device_query(devices[i], 0, &info), TN_ERR_UNSUPPORTED);
        CHECK(strstr(tn_last_error(), "libcuda.so.1") != NULL);
        FAILS(tn_device_synchronize(devices[i]), TN_ERR_UNSUPPORTED);
    }
    FAILS(tn_stream_create(GPU, 0, 0, &stream), TN_ERR_UNSUPPORTED);
    FAILS(tn_stream_create(GPU, 1u << 9, 0, &stream), TN_ERR_INVALID);
    FAILS(tn_stream_create(CPU, 0, 0, &stream), TN_ERR_DEVICE);
    FAILS(tn_stream_import(GPU, 0, &stream), TN_ERR_UNSUPPORTED);
    FAILS(tn_stream_current(GPU, &stream), TN_ERR_UNSUPPORTED);
    FAILS(tn_stream_set_current(GPU, NULL), TN_ERR_UNSUPPORTED);
    FAILS(tn_stream_enter(GPU, TN_STREAM_LEGACY, 0, &scope), TN_ERR_UNSUPPORTED);
    FAILS(tn_stream_synchronize(TN_STREAM_CURRENT), TN_ERR_UNSUPPORTED);
    FAILS(tn_event_create(GPU, 0, &event), TN_ERR_UNSUPPORTED);
    CHECK(stream == NULL && event == NULL && scope == NULL);
}

static void arrays_without_a_driver(void) /* PN-13: calls that need a GPU, and calls that do not, also with stream constants */
{
    tn_stream *streams[4] = {NULL, TN_STREAM_LEGACY, TN_STREAM_PER_THREAD, TN_STREAM_CURRENT};
    const int64_t nine = 9;
    int64_t back[4] = {0};
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *out = NULL;
    FAILS(tn_array_to_device(a, GPU, NULL, NULL, &out), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_to_device(a, MANAGED, NULL, NULL, &out), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_advise(a, TN_ADVISE_READ_MOSTLY, GPU), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_prefetch(a, GPU, NULL), TN_ERR_UNSUPPORTED);
    CHECK(out == NULL);
    for (int i = 0; i < 4; i++) {
        OK(tn_array_to_device(a, CPU, NULL, streams[i], &out));
        drop(out);
        OK(tn_array_copy_into(a, b, 0, streams[i]));
        OK(tn_array_fill(b, &nine, 0, streams[i]));
        OK(tn_array_copy_to_host(b, back, NULL, streams[i]));
        OK(tn_array_clear(b, 0, streams[i]));
        CHECK(back[0] == 9 && back[3] == 9);
    }
    drop(a);
    drop(b);
}

static void arguments(void) /* ST-5, ST-8: errors that the arguments alone show */
{
    uint64_t native = 0;
    tn_stream *none = (tn_stream *)(uintptr_t)4096;
    OK(tn_stream_native(TN_STREAM_LEGACY, &native));
    CHECK(native == 1);
    OK(tn_stream_native(TN_STREAM_PER_THREAD, &native));
    CHECK(native == 2);
    FAILS(tn_stream_native(TN_STREAM_CURRENT, &native), TN_ERR_KIND);
    FAILS(tn_stream_native(NULL, &native), TN_ERR_NULL);
    FAILS(tn_stream_native(none, &native), TN_ERR_KIND);
    FAILS(tn_stream_release(TN_STREAM_LEGACY), TN_ERR_KIND);
    FAILS(tn_stream_release(TN_STREAM_CURRENT), TN_ERR_KIND);
    FAILS(tn_stream_release(NULL), TN_ERR_NULL);
    FAILS(tn_stream_synchronize(none), TN_ERR_KIND);
    FAILS(tn_stream_leave(NULL), TN_ERR_NULL);
    FAILS(tn_event_record(NULL, TN_STREAM_LEGACY), TN_ERR_NULL);
    FAILS(tn_event_query((tn_event *)(void *)none, NULL), TN_ERR_NULL);
    FAILS(tn_event_release((tn_event *)(void *)none), TN_ERR_KIND);
}

static uint64_t current(void)
{
    tn_stream *stream = NULL;
    uint64_t native = 0;
    OK(tn_stream_current(GPU, &stream));
    OK(tn_stream_native(stream, &native));
    OK(tn_stream_release(stream));
    return native;
}

static void streams(void) /* ST-1..8 */
{
    tn_stream *a = NULL, *b = NULL, *again = NULL;
    tn_stream_scope *scope = NULL;
    uint64_t native = 0;
    OK(tn_stream_create(GPU, 0, 0, &a));
    OK(tn_stream_create(GPU, TN_STREAM_BLOCKING, -100, &b));
    OK(tn_stream_native(a, &native));
    CHECK(native > 2 && current() == 1);
    OK(tn_stream_set_current(GPU, a));
    CHECK(current() == native);
    OK(tn_stream_enter(GPU, b, TN_AUTO_SYNCHRONIZE, &scope));
    CHECK(current() != native);
    OK(tn_stream_leave(scope));
    FAILS(tn_stream_leave(scope), TN_ERR_STALE);
    CHECK(current() == native);
    OK(tn_stream_set_current(GPU, NULL));
    OK(tn_stream_import(GPU, native, &again));
    OK(tn_stream_synchronize(again));
    OK(tn_stream_release(again));
    OK(tn_stream_synchronize(TN_STREAM_LEGACY));
    OK(tn_stream_release(a));
    FAILS(tn_stream_release(a), TN_ERR_STALE);
    OK(tn_stream_release(b));
}

static void events(void) /* ST-11, ST-12 */
{
    tn_stream *stream = NULL;
    tn_event *start = NULL, *end = NULL;
    int64_t ns = -1;
    int32_t done = -1;
    OK(tn_stream_create(GPU, 0, 0, &stream));
    OK(tn_event_create(GPU, TN_EVENT_TIMING, &start));
    OK(tn_event_create(GPU, TN_EVENT_TIMING, &end));
    OK(tn_event_query(end, &done));
    CHECK(done == 1);
    FAILS(tn_event_elapsed(start, end, &ns), TN_ERR_INVALID);
    OK(tn_event_record(start, stream));
    OK(tn_stream_wait_event(TN_STREAM_PER_THREAD, start));
    OK(tn_event_record(end, stream));
    OK(tn_event_synchronize(end));
    OK(tn_event_query(end, &done));
    CHECK(done == 1);
    OK(tn_event_elapsed(start, end, &ns));
    CHECK(ns >= 0);
    FAILS(tn_event_elapsed(start, (tn_event *)(void *)stream, &ns), TN_ERR_KIND);
    OK(tn_event_release(start));
    OK(tn_event_release(end));
    FAILS(tn_event_elapsed(start, end, &ns), TN_ERR_STALE);
    OK(tn_stream_release(stream));
    OK(tn_device_synchronize(GPU));
}

int main(void)
{
    counts();
    arguments();
    if (gpus() > 0) {
        tn_device_info info = {.size = sizeof info};
        OK(tn_device_query(GPU, TN_QUERY_MEMORY, &info)); /* DV-2, DV-3 */
        CHECK(info.name[0] != 0 && info.free_bytes <= info.total_bytes && info.warp_size == 32);
        streams();
        events();
    } else {
        without_a_driver();
        arrays_without_a_driver();
    }
    return finish();
}
