/*
 * cuda_arrays.c - a GPU used from C: streams, events, device arrays, page-locked and managed memory, guards for work of a stream (ST-1..12,
 * TR-6..11, PN-1..11, BR-60..66); and the statuses of these calls without a driver (PN-13).
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _GNU_SOURCE
#include "gpu.h"
#include "helpers.h"
#include <stdlib.h>

static const tn_device CPU = {TN_CPU, 0};

/* Checks that an array on any device equals a host array. */
static int same(tn_array *there, tn_array *here)
{
    tn_array *back = NULL;
    int equal = 0;
    OK(tn_array_to_device(there, CPU, NULL, NULL, &back));
    tn_array_info a = {.size = sizeof a}, b = {.size = sizeof b};
    OK(tn_array_query(back, &a));
    OK(tn_array_query(here, &b));
    if (a.bytes == b.bytes && a.dtype == b.dtype) {
        char *first = malloc(a.bytes + 1), *second = malloc(a.bytes + 1);
        OK(tn_array_copy_to_host(back, first, NULL, NULL));
        OK(tn_array_copy_to_host(here, second, NULL, NULL));
        equal = memcmp(first, second, a.bytes) == 0;
        free(first);
        free(second);
    }
    drop(back);
    return equal;
}

static void streams_and_events(void)
{
    tn_stream *s = new_stream(), *again = NULL;
    tn_event *before = NULL, *after = NULL, *plain = NULL;
    uint64_t native = 0, other = 0;
    int64_t elapsed = -1;
    int32_t done = 0;
    OK(tn_stream_native(s, &native));
    CHECK(native > 2);
    OK(tn_stream_native(TN_STREAM_LEGACY, &other));
    CHECK(other == 1);
    FAILS(tn_stream_native(TN_STREAM_CURRENT, &other), TN_ERR_KIND);
    OK(tn_stream_import(GPU, native, &again));
    OK(tn_event_create(GPU, TN_EVENT_TIMING, &before));
    OK(tn_event_create(GPU, TN_EVENT_TIMING, &after));
    OK(tn_event_create(GPU, 0, &plain));
    OK(tn_event_query(before, &done));
    CHECK(done == 1);
    FAILS(tn_event_elapsed(before, after, &elapsed), TN_ERR_INVALID);
    OK(tn_event_record(before, s));
    OK(tn_event_record(after, again));
    OK(tn_stream_wait_event(TN_STREAM_LEGACY, after));
    OK(tn_event_synchronize(after));
    OK(tn_event_elapsed(before, after, &elapsed));
    CHECK(elapsed >= 0);
    FAILS(tn_event_elapsed(plain, after, &elapsed), TN_ERR_INVALID);
    OK(tn_event_release(plain));
    OK(tn_event_release(before));
    OK(tn_event_release(after));
    OK(tn_stream_synchronize(again));
    OK(tn_stream_release(again));
    OK(tn_stream_release(s));
    FAILS(tn_stream_synchronize(s), TN_ERR_STALE);
    FAILS(tn_stream_release(TN_STREAM_LEGACY), TN_ERR_KIND);
}

static void scopes(void)
{
    tn_stream *s = new_stream(), *current = NULL;
    tn_stream_scope *outer = NULL, *inner = NULL;
    uint64_t native = 0;
    OK(tn_stream_enter(GPU, s, 0, &outer));
    OK(tn_stream_enter(GPU, TN_STREAM_LEGACY, TN_AUTO_SYNCHRONIZE, &inner));
    FAILS(tn_stream_leave(outer), TN_ERR_INVALID);
    OK(tn_stream_leave(inner));
    OK(tn_stream_leave(outer));
    OK(tn_stream_current(GPU, &current));
    OK(tn_stream_native(current, &native));
    CHECK(native == 1);
    OK(tn_stream_release(current));
    OK(tn_stream_release(s));
}

static void copies(void)
{
    tn_array *n = numbers(NULL, SHAPE(4, 6)), *d = NULL, *turned = NULL, *e = NULL, *back = NULL, *n_turned = NULL;
    tn_stream *s = new_stream();
    const int64_t minus = -1;
    OK(tn_array_to_device(n, GPU, NULL, s, &d));
    CHECK(same(d, n));
    OK(tn_array_transpose(d, &turned));
    OK(tn_array_transpose(n, &n_turned));
    OK(tn_array_copy(turned, NULL, s, &e));
    CHECK(same(e, n_turned));
    OK(tn_array_copy_into(e, turned, 0, s));
    CHECK(same(d, n));
    OK(tn_array_to_device(turned, CPU, NULL, s, &back)); /* pinned, so that the call does not wait */
    OK(tn_array_wait(back, TN_READ));
    CHECK(same(back, n_turned));
    OK(tn_array_fill(turned, &minus, 0, NULL));
    OK(tn_array_fill(n_turned, &minus, 0, NULL));
    CHECK(same(d, n));
    OK(tn_array_release(e));
    FAILS(tn_array_copy_into(e, d, 0, s), TN_ERR_STALE);
    FAILS(tn_array_copy_into(back, d, 0, s), TN_ERR_SHAPE);
    drop(back);
    drop(n_turned);
    drop(turned);
    drop(d);
    drop(n);
    OK(tn_stream_release(s));
}

static void guards(void)
{
    tn_stream *s = new_stream(), *t = new_stream();
    tn_array *n = numbers(NULL, SHAPE(10)), *d = NULL;
    tn_borrow *writer = NULL, *reader = NULL;
    tn_view_info view;
    OK(tn_array_to_device(n, GPU, NULL, NULL, &d));
    OK(tn_array_borrow_write(d, 0, s, NULL, &view, &writer));
    CHECK(view.device.type == TN_CUDA && view.device_data != 0);
    FAILS(tn_array_borrow_read(d, 0, t, NULL, NULL, &reader), TN_ERR_BORROWED_WRITE);
    OK(tn_borrow_end(writer, 0, s));
    OK(tn_array_borrow_read(d, 0, t, NULL, NULL, &reader)); /* t waits for s, the host does not */
    OK(tn_borrow_end(reader, 0, t));
    OK(tn_array_borrow_write(d, TN_WAIT, NULL, NULL, NULL, &writer));
    OK(tn_borrow_end(writer, 0, NULL));
    CHECK(same(d, n));
    drop(d);
    drop(n);
    OK(tn_stream_release(s));
    OK(tn_stream_release(t));
}

static tn_array *zeros_on(tn_device device, int64_t length)
{
    tn_pool *pool = NULL;
    tn_array *array = NULL;
    OK(tn_pool_default(device, &pool));
    OK(tn_array_zeros(pool, TN_I64, 1, &length, NULL, &array));
    OK(tn_pool_release(pool));
    return array;
}

static void host_memory(void)
{
    tn_array *pinned = zeros_on(PINNED, 100), *managed = zeros_on(MANAGED, 100), *mine = NULL, *second = NULL;
    tn_array *n = numbers(NULL, SHAPE(100));
    static int64_t memory[100];
    tn_array_info info = {.size = sizeof info};
    OK(tn_array_query(pinned, &info));
    CHECK(info.device.type == TN_CUDA_HOST && (info.flags & TN_PINNED) != 0);
    OK(tn_array_copy_into(n, pinned, 0, NULL));
    CHECK(same(pinned, n));
    OK(tn_array_advise(managed, TN_ADVISE_READ_MOSTLY, GPU));
    OK(tn_array_prefetch(managed, GPU, TN_STREAM_CURRENT));
    OK(tn_array_copy_into(n, managed, TN_WAIT, NULL));
    CHECK(same(managed, n));
    FAILS(tn_array_prefetch(pinned, GPU, NULL), TN_ERR_UNSUPPORTED);
    OK(tn_host_register(memory, sizeof memory, 0, &mine));
    FAILS(tn_host_register(memory, 8, 0, &second), TN_ERR_DUPLICATE);
    OK(tn_array_release(mine));
    OK(tn_host_register(memory, sizeof memory, 0, &mine));
    OK(tn_array_release(mine));
    FAILS(tn_host_register(NULL, 8, 0, &mine), TN_ERR_NULL);
    FAILS(tn_host_register(memory, 0, 0, &mine), TN_ERR_INVALID);
    drop(pinned);
    drop(managed);
    drop(n);
}

static void without_driver(void)
{
    tn_stream *stream = NULL;
    tn_event *event = NULL;
    tn_pool *pool = NULL;
    tn_array *n = numbers(NULL, SHAPE(3)), *d = NULL;
    char byte = 0;
    FAILS(tn_stream_create(GPU, 0, 0, &stream), TN_ERR_UNSUPPORTED);
    CHECK(strstr(tn_last_error(), "libcuda") != NULL);
    FAILS(tn_event_create(GPU, 0, &event), TN_ERR_UNSUPPORTED);
    FAILS(tn_pool_default(PINNED, &pool), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_to_device(n, GPU, NULL, NULL, &d), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_advise(n, TN_ADVISE_PREFERRED, GPU), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_prefetch(n, GPU, NULL), TN_ERR_UNSUPPORTED);
    FAILS(tn_host_register(&byte, 1, 0, &d), TN_ERR_UNSUPPORTED);
    OK(tn_host_register(&byte, 1, TN_HOST_BEST_EFFORT, &d));
    OK(tn_array_release(d));
    CHECK(stream == NULL && event == NULL && pool == NULL);
    drop(n);
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        without_driver();
        return finish();
    }
    streams_and_events();
    scopes();
    copies();
    guards();
    host_memory();
    return finish();
}
