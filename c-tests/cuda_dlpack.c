/*
 * cuda_dlpack.c - DLPack with memory of a GPU, page-locked and managed memory: labels and targets (DL-14, DL-15), the consumer's stream
 * (DL-17, DL-18), imports (DL-26, DL-28), and the exchange table on a GPU (DL-51).
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _GNU_SOURCE
#include "dlpack_structs.h"
#include "gpu.h"
#include "helpers.h"

/* The floats 0, 1, 2, .. 11 as a matrix of 3 x 4. */
static tn_array *matrix_on(tn_device device, tn_host_flags host_flags)
{
    tn_pool_options options = {.size = sizeof options, .host_flags = host_flags};
    tn_pool *pool = NULL;
    tn_array *array = NULL;
    float values[12];
    for (int i = 0; i < 12; i++)
        values[i] = (float)i;
    OK(tn_pool_create(device, &options, &pool));
    OK(tn_array_zeros(pool, TN_F32, SHAPE(3, 4), NULL, &array));
    OK(tn_pool_release(pool));
    OK(tn_array_copy_from_host(array, values, NULL, 0, NULL));
    OK(tn_array_wait(array, TN_WRITE));
    return array;
}

/* Whether an array holds 0, 1, 2, .. 11. */
static int is_matrix(tn_array *array)
{
    float values[12];
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    for (int i = 0; i < 12; i++)
        if (values[i] != (float)i)
            return 0;
    return 1;
}

typedef struct {
    uint32_t flags;
    tn_device_type label;
    tn_device target;
    tn_stream *consumer;
} request;

static tn_status try_dlpack(tn_array *array, request r, versioned **out, tn_how *how)
{
    tn_dlpack_options options = {.size = sizeof options, .flags = r.flags, .label = r.label, .target = r.target, .consumer = r.consumer};
    *out = NULL;
    return tn_array_export_dlpack_versioned(array, &options, out, how);
}

static versioned *export_as(tn_how expected, tn_array *array, request r)
{
    versioned *out = NULL;
    tn_how how = 0;
    OK(try_dlpack(array, r, &out, &how));
    CHECK(how == expected && ((out->flags & IS_COPIED) != 0) == (expected == TN_COPIED));
    return out;
}

static int on(const versioned *tensor, tn_device device)
{
    return tensor->dl.device.type == device.type && tensor->dl.device.id == device.id;
}

static tn_array *import(versioned *tensor, uint32_t flags)
{
    tn_array *array = NULL;
    OK(tn_array_import_dlpack_versioned(tensor, flags, &array, NULL));
    return array;
}

static void dl_14_labels(void)
{
    tn_array *gpu = matrix_on(GPU, 0), *pinned = matrix_on(PINNED, 0), *mapped = matrix_on(PINNED, TN_HOST_MAPPED);
    tn_array *managed = matrix_on(MANAGED, 0);
    versioned *out = NULL;
    tn_how how = 0;
    tn_borrow *guard = NULL;
    tn_view_info view;
    struct {
        tn_array *array;
        tn_device_type label;
        tn_device as;
    } rows[] = {{gpu, 0, GPU},        {gpu, TN_CUDA, GPU},      {pinned, 0, PINNED},  {pinned, TN_CPU, HOST}, {mapped, TN_CUDA, GPU},
                {managed, 0, MANAGED}, {managed, TN_CPU, HOST}, {managed, TN_CUDA, GPU}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int again = 0; again < 2; again++) {
            out = export_as(TN_ALIASED, rows[i].array, (request){.flags = XS, .label = rows[i].label});
            CHECK(on(out, rows[i].as) && out->dl.ndim == 2 && out->dl.strides[0] == 4 && out->dl.byte_offset == 0);
            out->deleter(out);
        }
    OK(tn_device_synchronize(GPU));
    OK(tn_array_borrow_read(mapped, 0, NULL, NULL, &view, &guard));
    out = export_as(TN_ALIASED, mapped, (request){.flags = XS, .label = TN_CUDA});
    CHECK((uint64_t)(uintptr_t)out->dl.data == view.device_data);
    out->deleter(out);
    end(guard);
    FAILS(try_dlpack(gpu, (request){.flags = XS, .label = TN_CPU}, &out, &how), TN_ERR_DEVICE);
    FAILS(try_dlpack(gpu, (request){.flags = XS, .label = TN_CUDA_MANAGED}, &out, &how), TN_ERR_DEVICE);
    FAILS(try_dlpack(pinned, (request){.flags = XS, .label = TN_CUDA}, &out, &how), TN_ERR_DEVICE);
    CHECK(says("TN_HOST_MAPPED") && unique(pinned));
    OK(tn_device_synchronize(GPU));
    drop(managed);
    drop(mapped);
    drop(pinned);
    drop(gpu);
}

static void dl_14_a_host_label_is_a_host_access(void)
{
    tn_array *managed = matrix_on(MANAGED, 0);
    tn_stream *s = new_stream();
    versioned *out = NULL;
    tn_how how = 0;
    float five = 5;
    int held = control("tenure_sim_hold", s);
    OK(tn_array_fill(managed, &five, 0, s));
    if (held) {
        FAILS(try_dlpack(managed, (request){.flags = XS, .label = TN_CPU}, &out, &how), TN_ERR_PENDING);
        out = export_as(TN_ALIASED, managed, (request){.flags = XS, .label = TN_CUDA, .consumer = s});
        out->deleter(out);
        CHECK(control("tenure_sim_release", s));
    }
    out = export_as(TN_ALIASED, managed, (request){.flags = XS | TN_WAIT, .label = TN_CPU});
    CHECK(*(float *)out->dl.data == 5);
    out->deleter(out);
    OK(tn_stream_release(s));
    drop(managed);
}

static void dl_15_targets(void)
{
    tn_array *gpu = matrix_on(GPU, 0), *host = matrix_on(HOST, 0), *managed = matrix_on(MANAGED, 0), *back = NULL;
    const tn_device unknown = {7, 0}, other = {TN_CPU, 1};
    versioned *out = NULL;
    tn_how how = 0;
    out = export_as(TN_COPIED, gpu, (request){.flags = XS, .target = HOST});
    CHECK(on(out, HOST) && ((float *)out->dl.data)[11] == 11);
    ((float *)out->dl.data)[11] = 3; /* the consumer's own */
    out->deleter(out);
    CHECK(is_matrix(gpu));
    FAILS(try_dlpack(gpu, (request){.flags = XS | TN_REQUIRE_BORROW, .target = HOST}, &out, &how), TN_ERR_WOULD_COPY);
    out = export_as(TN_COPIED, host, (request){.flags = XS, .target = GPU});
    CHECK(on(out, GPU));
    back = import(out, TN_BORROW);
    CHECK(info_of(back).device.type == TN_CUDA && is_matrix(back));
    drop(back);
    out = export_as(TN_ALIASED, gpu, (request){.flags = XS, .target = GPU});
    out->deleter(out);
    out = export_as(TN_ALIASED, managed, (request){.flags = XS, .target = HOST});
    CHECK(on(out, HOST) && out->dl.data == address(managed));
    out->deleter(out);
    out = export_as(TN_ALIASED, managed, (request){.flags = XS, .target = GPU});
    CHECK(on(out, GPU));
    out->deleter(out);
    out = export_as(TN_COPIED, gpu, (request){.flags = 0});
    CHECK(on(out, GPU));
    out->deleter(out);
    FAILS(try_dlpack(gpu, (request){.flags = XS, .target = unknown}, &out, &how), TN_ERR_UNSUPPORTED);
    FAILS(try_dlpack(gpu, (request){.flags = XS, .target = other}, &out, &how), TN_ERR_DEVICE);
    OK(tn_device_synchronize(GPU));
    drop(managed);
    drop(host);
    drop(gpu);
}

static void dl_17_the_consumers_stream_waits(void)
{
    tn_array *a = matrix_on(GPU, 0);
    tn_stream *s = new_stream(), *t = new_stream();
    tn_event *event = NULL;
    versioned *out = NULL;
    float five = 5;
    int32_t done = 1;
    int held = control("tenure_sim_hold", s);
    OK(tn_array_fill(a, &five, 0, s));
    out = export_as(TN_ALIASED, a, (request){.flags = XS | TN_UNORDERED, .consumer = t}); /* no ordering: the caller takes care */
    OK(tn_event_create(GPU, 0, &event));
    OK(tn_event_record(event, t));
    OK(tn_event_synchronize(event)); /* would not return if `t` waited for `s` */
    out->deleter(out);
    out = export_as(TN_ALIASED, a, (request){.flags = XS, .consumer = t});
    OK(tn_event_record(event, t));
    OK(tn_event_query(event, &done));
    CHECK(!held || !done);
    out->deleter(out);
    out = export_as(TN_ALIASED, a, (request){.flags = XS}); /* none named: the legacy stream */
    OK(tn_event_record(event, TN_STREAM_LEGACY));
    OK(tn_event_query(event, &done));
    CHECK(!held || !done);
    out->deleter(out);
    if (held)
        CHECK(control("tenure_sim_release", s));
    OK(tn_event_release(event));
    OK(tn_stream_release(t));
    OK(tn_stream_release(s));
    OK(tn_device_synchronize(GPU));
    drop(a);
}

/* A stream that cannot be used is refused before the export is open, also where it is not waited for. */
static void dl_17_a_stale_stream_leaves_no_export(void)
{
    tn_array *a = matrix_on(GPU, 0);
    tn_stream *t = new_stream();
    versioned *out = NULL;
    tn_how how = 0;
    OK(tn_stream_release(t));
    FAILS(try_dlpack(a, (request){.flags = XS, .consumer = t}, &out, &how), TN_ERR_STALE);
    FAILS(try_dlpack(a, (request){.flags = XS | TN_UNORDERED, .consumer = t}, &out, &how), TN_ERR_STALE);
    FAILS(try_dlpack(a, (request){.flags = XS | TN_UNORDERED, .target = GPU, .consumer = t}, &out, &how), TN_ERR_STALE);
    CHECK(!out && unique(a));
    drop(a);
}

/* DL-18: what the consumer queued before it deleted the struct uses the bytes until it is done. */
static void dl_18_the_end_counts_as_use(void)
{
    tn_array *a = matrix_on(GPU, 0), *source = matrix_on(GPU, 0);
    tn_stream *t = new_stream();
    float values[12], five = 5;
    versioned *out = export_as(TN_ALIASED, a, (request){.flags = XS, .consumer = t});
    tn_array *theirs = NULL;
    int held = control("tenure_sim_hold", t);
    OK(tn_array_fill(source, &five, 0, t)); /* work of the consumer */
    OK(tn_array_import_dlpack_versioned(export_as(TN_ALIASED, a, (request){.flags = XS, .consumer = t}), TN_BORROW, &theirs, NULL));
    drop(theirs);
    out->deleter(out);
    if (held) {
        tn_borrow *guard = NULL;
        FAILS(tn_array_borrow_write(a, TN_WRITE_ALIASED, NULL, NULL, NULL, &guard), TN_ERR_PENDING);
        CHECK(control("tenure_sim_release", t));
    }
    OK(tn_array_copy_to_host(a, values, NULL, NULL));
    CHECK(values[5] == 5);
    OK(tn_stream_release(t));
    drop(source);
    drop(a);
}

/* DL-18: after an export without an order the memory is reused only when all work of the device is done. */
static void dl_18_without_an_order(void)
{
    tn_pool *pool = plain_gpu_pool();
    tn_array *a = NULL;
    tn_stream *s = new_stream();
    OK(tn_array_empty(pool, TN_U8, SHAPE(2 << 20), NULL, &a));
    versioned *out = export_as(TN_ALIASED, a, (request){.flags = XS | TN_UNORDERED});
    void *data = out->dl.data;
    drop(a);
    int held = control("tenure_sim_hold", s);
    out->deleter(out);
    check_not_reused(pool, data, 2 << 20, s, held);
    OK(tn_stream_release(s));
    OK(tn_pool_release(pool));
}

static int deleted;

static void count_delete(versioned *tensor)
{
    (void)tensor;
    deleted++;
}

static void dl_26_imports(void)
{
    tn_array *gpu = matrix_on(GPU, 0), *managed = matrix_on(MANAGED, 0), *theirs = NULL;
    versioned *own = export_as(TN_ALIASED, gpu, (request){.flags = XS});
    versioned foreign = {.major = 1, .minor = 1, .deleter = count_delete, .dl = own->dl};
    theirs = import(&foreign, TN_BORROW);
    CHECK(info_of(theirs).device.type == TN_CUDA && is_matrix(theirs));
    float five = 5;
    OK(tn_array_fill(theirs, &five, 0, NULL));
    float values[12];
    OK(tn_array_copy_to_host(gpu, values, NULL, NULL));
    CHECK(values[7] == 5 && deleted == 0); /* one memory */
    drop(theirs);
    CHECK(deleted == 1);
    theirs = import(&foreign, 0); /* a copy */
    CHECK(deleted == 2 && info_of(theirs).device.type == TN_CUDA);
    drop(theirs);
    foreign.dl.byte_offset = 4;
    foreign.dl.ndim = 1;
    foreign.dl.shape[0] = 3;
    foreign.dl.strides[0] = 1;
    theirs = import(&foreign, TN_BORROW);
    OK(tn_array_copy_to_host(theirs, values, NULL, NULL));
    CHECK(values[0] == 5);
    drop(theirs);
    struct {
        tn_device stated;
        void *data;
    } wrong[] = {{{TN_CUDA, 9}, own->dl.data}, {{TN_CUDA_MANAGED, 0}, own->dl.data}, {GPU, &deleted}, {{4, 0}, own->dl.data}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        foreign.dl.device = wrong[i].stated;
        foreign.dl.data = wrong[i].data;
        FAILS(tn_array_import_dlpack_versioned(&foreign, TN_BORROW, &theirs, NULL), TN_ERR_DEVICE);
    }
    OK(tn_device_synchronize(GPU));
    CHECK(is_matrix(gpu) == 0 && deleted == 3); /* when the library sees that the device is done with it */
    own->deleter(own);
    own = export_as(TN_ALIASED, managed, (request){.flags = XS, .label = TN_CUDA});
    foreign.dl = own->dl;
    theirs = import(&foreign, TN_BORROW); /* managed memory under a GPU's label */
    OK(tn_device_synchronize(GPU));
    CHECK(is_matrix(theirs));
    drop(theirs);
    own->deleter(own);
    OK(tn_device_synchronize(GPU));
    drop(managed);
    drop(gpu);
}

static void dl_28_our_own_comes_back(void)
{
    tn_array *gpu = matrix_on(GPU, 0);
    tn_array *back = import(export_as(TN_ALIASED, gpu, (request){.flags = XS}), TN_BORROW);
    CHECK(claims(gpu) == 2 && is_matrix(back));
    drop(back);
    CHECK(unique(gpu));
    /* The consumer's work comes first, also for other streams. */
    tn_stream *u = new_stream(), *t = new_stream();
    float five = 5, values[12];
    versioned *out = export_as(TN_ALIASED, gpu, (request){.flags = XS, .consumer = u});
    int held = control("tenure_sim_hold", u);
    OK(tn_array_fill(gpu, &five, 0, u));
    back = import(out, TN_BORROW);
    tn_array *pinned = NULL;
    OK(tn_array_to_device(back, PINNED, NULL, t, &pinned));
    if (held)
        CHECK(control("tenure_sim_release", u));
    OK(tn_array_wait(pinned, TN_READ));
    OK(tn_array_copy_to_host(pinned, values, NULL, NULL));
    CHECK(values[0] == 5 && values[11] == 5);
    drop(pinned);
    drop(back);
    OK(tn_stream_release(u));
    OK(tn_stream_release(t));
    OK(tn_device_synchronize(GPU));
    drop(gpu);
}

static void without_driver(void)
{
    static float here[12];
    int64_t shape[] = {12}, strides[] = {1};
    versioned foreign = {.major = 1, .deleter = count_delete,
                         .dl = {.data = here, .device = GPU, .ndim = 1, .code = 2, .bits = 32, .lanes = 1, .shape = shape, .strides = strides}};
    tn_array *a = NULL, *host = numbers(NULL, SHAPE(4));
    versioned *out = NULL;
    tn_how how = 0;
    FAILS(tn_array_import_dlpack_versioned(&foreign, TN_BORROW, &a, NULL), TN_ERR_DEVICE);
    foreign.dl.device = PINNED;
    a = import(&foreign, TN_BORROW); /* page-locked by whom it may be: the host's */
    drop(a);
    FAILS(try_dlpack(host, (request){.flags = XS, .target = GPU}, &out, &how), TN_ERR_UNSUPPORTED);
    drop(host);
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        without_driver();
        return finish();
    }
    dl_14_labels();
    dl_14_a_host_label_is_a_host_access();
    dl_15_targets();
    dl_17_the_consumers_stream_waits();
    dl_17_a_stale_stream_leaves_no_export();
    dl_18_the_end_counts_as_use();
    dl_18_without_an_order();
    dl_26_imports();
    dl_28_our_own_comes_back();
    OK(tn_device_synchronize(GPU));
    return finish();
}
