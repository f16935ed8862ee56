/*
 * cuda_arrow.c - Arrow's C device interface with memory of a GPU, managed and page-locked memory: exports with their event, what a release
 * leaves behind, and imports (CA-34).
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _GNU_SOURCE
#include "arrow_abi.h"
#include "gpu.h"
#include "helpers.h"

/* ---- the driver, as another library uses it ---- */

typedef void *CUevent;

static struct {
    int (*cuDevicePrimaryCtxRetain)(void **, int);
    int (*cuCtxSetCurrent)(void *);
    int (*cuEventCreate)(CUevent *, unsigned);
    int (*cuEventRecord)(CUevent, void *);
    int (*cuEventDestroy_v2)(CUevent);
    int (*cuStreamWaitEvent)(void *, CUevent, unsigned);
    int (*cuMemAlloc_v2)(uint64_t *, size_t);
    int (*cuMemFree_v2)(uint64_t);
    int (*cuMemcpyHtoD_v2)(uint64_t, const void *, size_t);
} cu;

static void load_driver(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context = NULL;
    CHECK(driver != NULL);
#define LOAD(name) CHECK((*(void **)&cu.name = dlsym(driver, #name)) != NULL)
    LOAD(cuDevicePrimaryCtxRetain);
    LOAD(cuCtxSetCurrent);
    LOAD(cuEventCreate);
    LOAD(cuEventRecord);
    LOAD(cuEventDestroy_v2);
    LOAD(cuStreamWaitEvent);
    LOAD(cuMemAlloc_v2);
    LOAD(cuMemFree_v2);
    LOAD(cuMemcpyHtoD_v2);
    CHECK(cu.cuDevicePrimaryCtxRetain(&context, 0) == 0 && cu.cuCtxSetCurrent(context) == 0);
}

static void *native(tn_stream *stream)
{
    uint64_t value = 0;
    OK(tn_stream_native(stream, &value));
    return (void *)(uintptr_t)value;
}

/* ---- arrays ---- */

/* 3 x 4 floats, all 0. */
static tn_array *matrix_on(tn_device device)
{
    tn_pool *pool = NULL;
    tn_array *array = NULL;
    OK(tn_pool_default(device, &pool));
    OK(tn_array_zeros(pool, TN_F32, SHAPE(3, 4), NULL, &array));
    OK(tn_pool_release(pool));
    OK(tn_array_wait(array, TN_WRITE));
    return array;
}

static float first(tn_array *array)
{
    float values[12] = {-1};
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    return values[0];
}

static uint64_t device_address(tn_array *array)
{
    tn_borrow *guard = NULL;
    tn_view_info view;
    OK(tn_array_borrow_read(array, 0, TN_STREAM_LEGACY, NULL, &view, &guard));
    OK(tn_borrow_end(guard, 0, TN_STREAM_LEGACY));
    return view.device_data;
}

/* Whether all work issued on a stream so far is done. */
static int is_done(tn_stream *stream)
{
    tn_event *event = NULL;
    int32_t done = -1;
    OK(tn_event_create(GPU, 0, &event));
    OK(tn_event_record(event, stream));
    OK(tn_event_query(event, &done));
    OK(tn_event_release(event));
    return done;
}

static tn_status try_write_on(tn_array *array, tn_stream *stream)
{
    float one = 1;
    return tn_array_fill(array, &one, 0, stream);
}

/* ---- exports ---- */

typedef struct {
    struct ArrowSchema schema;
    struct ArrowDeviceArray device;
} exported;

static exported export_as(tn_how expected, tn_array *array, uint32_t flags)
{
    exported out;
    tn_how how = 77;
    memset(&out, 0xa5, sizeof out);
    OK(tn_array_export_arrow_device(array, flags, &out.schema, &out.device, &how));
    CHECK(how == expected);
    for (int i = 0; i < 3; i++)
        CHECK(out.device.reserved[i] == 0);
    return out;
}

static void let_go(exported *out)
{
    out->schema.release(&out->schema);
    out->device.array.release(&out->device.array);
    CHECK(out->device.array.release == NULL);
}

static const void *data_of(const exported *out)
{
    return out->device.array.children[0]->buffers[1];
}

static void ca_34_what_an_export_says(void)
{
    tn_array *gpu = matrix_on(GPU), *managed = matrix_on(MANAGED), *pinned = matrix_on(PINNED), *turned = NULL, *none = NULL;
    tn_pool *pool = NULL;
    struct ArrowSchema schema;
    struct ArrowArray array;
    exported out = export_as(TN_ALIASED, gpu, TN_REQUIRE_BORROW);
    CHECK(out.device.device_type == TN_CUDA && out.device.device_id == 0 && out.device.sync_event == NULL);
    CHECK(strcmp(out.schema.format, "+w:4") == 0 && strcmp(out.schema.children[0]->format, "f") == 0);
    CHECK(out.device.array.length == 3 && out.device.array.children[0]->length == 12);
    CHECK((uint64_t)(uintptr_t)data_of(&out) == device_address(gpu));
    CHECK(count_holders(gpu, TN_HOLDER_EXPORT_READ) == 1 && try_write_on(gpu, TN_STREAM_LEGACY) == TN_ERR_EXPORTED);
    let_go(&out);

    out = export_as(TN_ALIASED, managed, TN_BORROW);
    CHECK(out.device.device_type == TN_CUDA_MANAGED && out.device.device_id == 0);
    let_go(&out);
    out = export_as(TN_ALIASED, pinned, TN_BORROW); /* the host's, so that a consumer without a device can read it */
    CHECK(out.device.device_type == TN_CPU && out.device.device_id == -1);
    let_go(&out);

    OK(tn_array_transpose(gpu, &turned)); /* no strides: a copy on the device */
    out = export_as(TN_COPIED, turned, TN_BORROW);
    CHECK(out.device.device_type == TN_CUDA && (uint64_t)(uintptr_t)data_of(&out) != device_address(gpu));
    let_go(&out);
    FAILS(tn_array_export_arrow_device(turned, TN_REQUIRE_BORROW, &out.schema, &out.device, NULL), TN_ERR_LAYOUT);

    OK(tn_pool_default(GPU, &pool));
    OK(tn_array_empty(pool, TN_F32, SHAPE(0), NULL, &none));
    out = export_as(TN_ALIASED, none, TN_BORROW);
    CHECK(out.device.device_type == TN_CUDA && out.device.array.length == 0 && unique(none));
    let_go(&out);

    FAILS(tn_array_export_arrow(gpu, TN_BORROW, &schema, &array, NULL), TN_ERR_DEVICE); /* the host cannot read it */
    OK(tn_device_synchronize(GPU));
    OK(tn_pool_release(pool));
    drop(none);
    drop(turned);
    CHECK(unique(gpu));
    drop(pinned);
    drop(managed);
    drop(gpu);
}

static void ca_34_the_event_comes_after_all_work(void)
{
    tn_array *a = matrix_on(GPU);
    tn_stream *s = new_stream(), *t = new_stream();
    int held = control("tenure_sim_hold", s);
    OK(try_write_on(a, s));
    exported out = export_as(TN_ALIASED, a, TN_BORROW); /* would not return if the host waited for `s` */
    CHECK(!held || out.device.sync_event != NULL);
    if (out.device.sync_event != NULL)
        CHECK(cu.cuStreamWaitEvent(native(t), *(CUevent *)out.device.sync_event, 0) == 0);
    CHECK(!held || !is_done(t));
    exported unordered = export_as(TN_ALIASED, a, TN_BORROW | TN_UNORDERED);
    CHECK(unordered.device.sync_event == NULL);
    if (held)
        CHECK(control("tenure_sim_release", s));
    OK(tn_stream_synchronize(t));
    CHECK(first(a) == 1);
    let_go(&unordered);
    let_go(&out);
    OK(tn_device_synchronize(GPU));
    CHECK(unique(a));
    OK(tn_stream_release(t));
    OK(tn_stream_release(s));
    drop(a);
}

/* A release names no stream: what the consumer's streams have then is unfinished until the device is done. */
static void ca_34_a_release_with_work_left(void)
{
    tn_array *a = matrix_on(GPU);
    tn_stream *s = new_stream(), *t = new_stream();
    tn_borrow *guard = NULL;
    exported out = export_as(TN_ALIASED, a, TN_BORROW);
    int held = control("tenure_sim_hold", t); /* the consumer's stream */
    let_go(&out);
    FAILS(try_write_on(a, s), TN_ERR_DRIVER);
    CHECK(says("tn_device_synchronize"));
    FAILS(tn_array_borrow_write(a, TN_WRITE_ALIASED, NULL, NULL, NULL, &guard), TN_ERR_PENDING);
    OK(tn_array_borrow_read(a, 0, s, NULL, NULL, &guard)); /* reads go on */
    OK(tn_borrow_end(guard, 0, s));
    if (held)
        CHECK(control("tenure_sim_release", t));
    OK(tn_device_synchronize(GPU));
    OK(try_write_on(a, s));

    out = export_as(TN_ALIASED, a, TN_BORROW | TN_UNORDERED); /* the caller takes care */
    let_go(&out);
    OK(try_write_on(a, s));
    OK(tn_stream_synchronize(s));
    OK(tn_stream_release(t));
    OK(tn_stream_release(s));
    drop(a);
}

/* The memory is not reused while the consumer may still read it, with an order or without. */
static void ca_34_the_memory_waits_for_the_device(void)
{
    tn_stream *s = new_stream();
    for (int unordered = 0; unordered < 2; unordered++) {
        tn_pool *pool = plain_gpu_pool();
        tn_array *a = NULL;
        OK(tn_array_empty(pool, TN_U8, SHAPE(2 << 20), NULL, &a));
        exported out = export_as(TN_ALIASED, a, TN_BORROW | (unordered ? TN_UNORDERED : 0));
        const void *data = out.device.array.buffers[1];
        drop(a);
        int held = control("tenure_sim_hold", s);
        let_go(&out);
        check_not_reused(pool, data, 2 << 20, s, held);
        OK(tn_pool_release(pool));
    }
    OK(tn_stream_release(s));
}

/* ---- imports ---- */

static int released;

static void count_release(struct ArrowArray *array)
{
    released++;
    array->release = NULL;
}

static void no_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

/* An array of 4 floats that another library made. */
typedef struct {
    struct ArrowSchema schema;
    struct ArrowDeviceArray device;
    const void *buffers[2];
} theirs;

static void make(theirs *t, int32_t type, uint64_t data, CUevent *event)
{
    *t = (theirs){.schema = {.format = "f", .name = "", .release = no_release}, .buffers = {NULL, (const void *)(uintptr_t)data}};
    t->device.array = (struct ArrowArray){.length = 3, .offset = 1, .n_buffers = 2, .buffers = t->buffers, .release = count_release};
    t->device.device_type = type;
    t->device.sync_event = event;
    released = 0;
}

static tn_status try_import(theirs *t, uint32_t flags, tn_array **array)
{
    tn_how how = 77;
    *array = NULL;
    tn_status status = tn_array_import_arrow_device(&t->schema, &t->device, flags, array, &how);
    CHECK(status == TN_OK ? t->device.array.release == NULL : how == 77 && *array == NULL && released == 0);
    return status;
}

static void ca_34_imports(void)
{
    const float values[4] = {5, 6, 7, 8};
    float read[3] = {0};
    size_t count = 0;
    uint64_t memory = 0;
    CUevent event = NULL;
    tn_array *a = NULL, *copy = NULL;
    tn_stream *producer = new_stream(), *s = new_stream();
    theirs t;
    CHECK(cu.cuMemAlloc_v2(&memory, sizeof values) == 0 && cu.cuMemcpyHtoD_v2(memory, values, sizeof values) == 0);
    CHECK(cu.cuEventCreate(&event, 2) == 0);
    OK(tn_device_synchronize(GPU)); /* a copy from plain memory may return before it is done */

    /* the current stream waits for the event; the host does not */
    int held = control("tenure_sim_hold", producer);
    CHECK(cu.cuEventRecord(event, native(producer)) == 0);
    make(&t, TN_CUDA, memory, &event);
    OK(tn_stream_set_current(GPU, s));
    OK(try_import(&t, TN_REQUIRE_BORROW, &a));
    tn_array_info info = info_of(a);
    CHECK(info.device.type == TN_CUDA && info.device.id == 0 && info.count == 3 && (info.flags & TN_READONLY));
    CHECK(device_address(a) == memory + 4);
    CHECK(!held || !is_done(s));
    if (held)
        CHECK(control("tenure_sim_release", producer));
    OK(tn_array_copy_to_host(a, read, NULL, NULL));
    CHECK(read[0] == 6 && read[2] == 8);
    CHECK(cu.cuEventDestroy_v2(event) == 0); /* nothing needs it any more */

    /* the release comes after this library's work */
    held = control("tenure_sim_hold", s);
    OK(tn_array_clone(a, &copy));
    drop(copy);
    OK(tn_array_to_device(a, GPU, NULL, s, &copy));
    drop(a);
    CHECK(!held || released == 0);
    if (held)
        CHECK(control("tenure_sim_release", s));
    OK(tn_array_copy_to_host(copy, read, NULL, NULL));
    OK(tn_device_synchronize(GPU));
    OK(tn_run_releases(&count));
    CHECK(released == 1 && read[1] == 7);
    drop(copy);
    OK(tn_stream_set_current(GPU, NULL));

    /* a copy releases at once; without an order no event is waited for */
    make(&t, TN_CUDA, memory, NULL);
    OK(try_import(&t, 0, &a));
    CHECK(released == 1 && device_address(a) != memory + 4);
    OK(try_write_on(a, TN_STREAM_LEGACY));
    drop(a);
    CHECK(cu.cuEventCreate(&event, 2) == 0);
    held = control("tenure_sim_hold", producer);
    CHECK(cu.cuEventRecord(event, native(producer)) == 0);
    make(&t, TN_CUDA, memory, &event);
    OK(tn_stream_set_current(GPU, s));
    OK(try_import(&t, TN_BORROW | TN_UNORDERED, &a));
    OK(tn_stream_synchronize(s)); /* would not return if it waited for `producer` */
    OK(tn_stream_set_current(GPU, NULL));
    if (held)
        CHECK(control("tenure_sim_release", producer));
    drop(a);
    OK(tn_device_synchronize(GPU));
    OK(tn_run_releases(&count));
    CHECK(released == 1);

    /* refused: nothing is released */
    CUevent no_event = NULL;
    make(&t, TN_CUDA, memory, &no_event);
    FAILS(try_import(&t, TN_BORROW, &a), TN_ERR_NULL);
    make(&t, TN_CUDA, memory, NULL);
    t.device.device_id = 99;
    FAILS(try_import(&t, TN_BORROW, &a), TN_ERR_DEVICE);
    CHECK(says("(2, 99)"));
    t.device.device_id = INT64_MAX;
    FAILS(try_import(&t, TN_BORROW, &a), TN_ERR_DEVICE);
    make(&t, TN_CUDA_MANAGED, memory, NULL);
    FAILS(try_import(&t, TN_BORROW, &a), TN_ERR_DEVICE);
    make(&t, 7, memory, NULL);
    FAILS(try_import(&t, TN_BORROW, &a), TN_ERR_DEVICE);
    make(&t, TN_CPU, memory, NULL);
    FAILS(try_import(&t, TN_BORROW, &a), TN_ERR_DEVICE);
    make(&t, TN_CUDA, (uint64_t)(uintptr_t)values, NULL);
    FAILS(try_import(&t, TN_BORROW, &a), TN_ERR_DEVICE);

    CHECK(cu.cuEventDestroy_v2(event) == 0 && cu.cuMemFree_v2(memory) == 0);
    OK(tn_stream_release(s));
    OK(tn_stream_release(producer));
}

/* Page-locked memory comes with an event or without. */
static void ca_34_page_locked_imports(void)
{
    tn_array *pinned = matrix_on(PINNED), *a = NULL;
    tn_stream *producer = new_stream();
    tn_view_info view;
    tn_borrow *guard = NULL;
    CUevent event = NULL;
    theirs t;
    float two = 2;
    OK(tn_array_fill(pinned, &two, 0, NULL));
    OK(tn_array_borrow_read(pinned, 0, NULL, NULL, &view, &guard));
    end(guard);
    CHECK(cu.cuEventCreate(&event, 2) == 0);
    int held = control("tenure_sim_hold", producer);
    CHECK(cu.cuEventRecord(event, native(producer)) == 0);
    make(&t, TN_CUDA_HOST, (uint64_t)(uintptr_t)view.data, &event);
    OK(try_import(&t, TN_BORROW, &a));
    if (held) {
        FAILS(tn_array_borrow_read(a, 0, NULL, NULL, NULL, &guard), TN_ERR_PENDING);
        CHECK(control("tenure_sim_release", producer));
    }
    OK(tn_array_borrow_read(a, TN_WAIT, NULL, NULL, &view, &guard));
    CHECK(((const float *)view.data)[0] == 2);
    end(guard);
    drop(a);
    make(&t, TN_CUDA_HOST, (uint64_t)(uintptr_t)view.data, NULL);
    t.device.device_id = 7; /* Arrow does not define it */
    OK(try_import(&t, TN_BORROW, &a));
    drop(a);
    CHECK(cu.cuEventDestroy_v2(event) == 0);
    OK(tn_device_synchronize(GPU));
    OK(tn_stream_release(producer));
    drop(pinned);
}

/* The library knows all work of an array that comes back, so its release leaves nothing to wait for. */
static void ca_34_an_array_comes_back(void)
{
    tn_array *a = matrix_on(GPU), *back = NULL;
    size_t count = 0;
    tn_stream *s = new_stream(), *t = new_stream();
    int held = control("tenure_sim_hold", s);
    OK(try_write_on(a, s));
    exported out = export_as(TN_ALIASED, a, TN_BORROW);
    OK(tn_array_import_arrow_device(&out.schema, &out.device, TN_REQUIRE_BORROW, &back, NULL));
    CHECK(device_address(back) == device_address(a) && out.device.array.release == NULL);
    out.schema.release(&out.schema);
    if (held)
        CHECK(control("tenure_sim_release", s));
    CHECK(first(back) == 1);
    drop(back);
    OK(tn_stream_synchronize(s)); /* not the device, which would end work on unknown streams too */
    OK(tn_stream_synchronize(TN_STREAM_LEGACY));
    OK(tn_run_releases(&count));
    OK(try_write_on(a, t));
    OK(tn_stream_synchronize(t));
    CHECK(unique(a));

    /* a failed import leaves the export as it was */
    out = export_as(TN_ALIASED, a, TN_BORROW);
    out.device.device_id = 99;
    FAILS(tn_array_import_arrow_device(&out.schema, &out.device, TN_BORROW, &back, NULL), TN_ERR_DEVICE);
    out.device.device_id = 0;
    FAILS(tn_array_import_arrow_device(&out.schema, &out.device, TN_TAKE_OWNERSHIP, &back, NULL), TN_ERR_ALIASED);
    let_go(&out);
    FAILS(try_write_on(a, t), TN_ERR_DRIVER);
    OK(tn_device_synchronize(GPU));
    OK(try_write_on(a, t));
    OK(tn_stream_synchronize(t));
    OK(tn_stream_release(t));
    OK(tn_stream_release(s));
    drop(a);
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        return finish(); /* arrow.c has the statuses without a driver */
    }
    load_driver();
    ca_34_what_an_export_says();
    ca_34_the_event_comes_after_all_work();
    ca_34_a_release_with_work_left();
    ca_34_the_memory_waits_for_the_device();
    ca_34_imports();
    ca_34_page_locked_imports();
    ca_34_an_array_comes_back();
    OK(tn_device_synchronize(GPU));
    return finish();
}
