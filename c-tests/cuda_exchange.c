/*
 * cuda_exchange.c - memory of a GPU exchanged with other libraries: the CUDA array interface (CA-1..6, CA-10..13, XC-5) and CUDAMat's matrices
 * (CM-1..6); and the statuses of these calls for host memory.
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _GNU_SOURCE
#include "gpu.h"
#include "helpers.h"
#include <stddef.h>

static tn_array *array_on(tn_device device, tn_dtype dtype, int32_t order, int32_t ndim, const int64_t *shape)
{
    tn_array_options options = {.size = sizeof options, .order = order};
    tn_pool *pool = NULL;
    tn_array *array = NULL;
    OK(tn_pool_default(device, &pool));
    OK(tn_array_zeros(pool, dtype, ndim, shape, &options, &array));
    OK(tn_pool_release(pool));
    OK(tn_array_wait(array, TN_WRITE));
    return array;
}

/* A float32 array of a GPU that holds 0, 1, 2, .. in C order. */
static tn_array *floats(int32_t order, int64_t rows, int64_t columns)
{
    tn_array *array = array_on(GPU, TN_F32, order, SHAPE(rows, columns));
    float values[64];
    for (int64_t i = 0; i < rows * columns; i++)
        values[i] = (float)i;
    OK(tn_array_copy_from_host(array, values, NULL, 0, NULL));
    return array;
}

/* Whether two arrays of float32 on any device have equal elements. */
static int same(tn_array *a, tn_array *b)
{
    float first[64], second[64];
    tn_array_info one = info_of(a), two = info_of(b);
    if (one.ndim != two.ndim || memcmp(one.shape, two.shape, (size_t)one.ndim * sizeof *one.shape) != 0)
        return 0;
    OK(tn_array_copy_to_host(a, first, NULL, NULL));
    OK(tn_array_copy_to_host(b, second, NULL, NULL));
    return memcmp(first, second, one.count * sizeof *first) == 0;
}

static tn_cuda_array_interface export_as(tn_how expected, tn_array *array, uint32_t flags, tn_stream *stream, tn_borrow **guard)
{
    tn_cuda_array_interface out = {.size = sizeof out};
    tn_how how = 0;
    OK(tn_array_export_cuda_array_interface(array, flags, 0, stream, &out, guard, &how));
    CHECK(how == expected && out.size == sizeof out && out.version == 3 && out.reserved == 0);
    return out;
}

static tn_cuda_array_interface alias(tn_array *array, uint32_t flags, tn_borrow **guard)
{
    return export_as(TN_ALIASED, array, flags, NULL, guard);
}

/* The status of an export that must fail and write nothing. */
static tn_status try_cai(tn_array *array, uint32_t flags, uint32_t mode)
{
    tn_cuda_array_interface out = {.size = sizeof out, .data = 77};
    tn_borrow *guard = UNTOUCHED;
    tn_how how = 77;
    tn_status status = tn_array_export_cuda_array_interface(array, flags, mode, NULL, &out, &guard, &how);
    CHECK(status != TN_OK && out.data == 77 && guard == UNTOUCHED && how == 77);
    return status;
}

static void ca_1_what_an_export_says(void)
{
    tn_array *a = array_on(GPU, TN_F64, TN_ORDER_C, SHAPE(3, 4)), *turned = NULL, *wide = NULL, *one = NULL;
    tn_borrow *guard = NULL;
    tn_view_info view;
    OK(tn_array_borrow_read(a, 0, TN_STREAM_LEGACY, NULL, &view, &guard));
    OK(tn_borrow_end(guard, 0, TN_STREAM_LEGACY));
    tn_cuda_array_interface is = alias(a, XS, &guard);
    CHECK(is.data == view.device_data && is.ndim == 2 && is.shape[0] == 3 && is.shape[1] == 4);
    CHECK(is.strides[0] == 32 && is.strides[1] == 8 && is.c_contiguous == 1 && strcmp(is.typestr, "<f8") == 0);
    drop(a); /* the guard keeps bytes and lists (XC-4, XC-5) */
    CHECK(is.shape[1] == 4);
    end(guard);
    a = array_on(GPU, TN_F64, TN_ORDER_C, SHAPE(3, 4));
    OK(tn_array_transpose(a, &turned));
    is = alias(turned, XS, &guard);
    CHECK(is.c_contiguous == 0 && is.shape[0] == 4 && is.strides[0] == 8 && is.strides[1] == 32);
    end(guard);
    drop(turned);
    one = block(a, 0, 1, 1, 0, 4, 1);
    wide = broadcast(one, SHAPE(5, 4));
    is = alias(wide, XR, &guard);
    CHECK(is.c_contiguous == 0 && is.strides[0] == 0 && is.readonly == 1);
    end(guard);
    drop(wide);
    drop(one);
    drop(a);
}

static void ca_2_read_only(void)
{
    tn_array *a = array_on(GPU, TN_F32, TN_ORDER_C, SHAPE(4)), *none = array_on(GPU, TN_F32, TN_ORDER_C, SHAPE(0, 3));
    tn_borrow *guard = NULL;
    CHECK(alias(a, XR, &guard).readonly == 1);
    CHECK(try_write(a, 0) == TN_ERR_EXPORTED);
    end(guard);
    CHECK(alias(a, XS, &guard).readonly == 0);
    end(guard);
    CHECK(alias(a, XW, &guard).readonly == 0);
    CHECK(try_cai(a, XR, 0) == TN_ERR_EXPORTED);
    end(guard);
    CHECK(alias(none, XS, &guard).data == 0);
    end(guard);
    CHECK(try_cai(a, XR, TN_WRITE_UNIQUE) == TN_ERR_INVALID);
    CHECK(try_cai(a, TN_TAKE_OWNERSHIP, 0) == TN_ERR_INVALID);
    drop(none);
    drop(a);
}

static void ca_3_streams(void)
{
    tn_array *a = array_on(GPU, TN_F32, TN_ORDER_C, SHAPE(4));
    tn_stream *s = new_stream(), *t = new_stream();
    tn_borrow *guard = NULL;
    float one = 1;
    uint64_t native = 0;
    OK(tn_device_synchronize(GPU));
    CHECK(alias(a, XS, &guard).has_stream == 0);
    end(guard);
    OK(tn_array_fill(a, &one, 0, TN_STREAM_LEGACY)); /* blocking streams and the legacy one: 1 is enough */
    int held = control("tenure_sim_hold", s);
    OK(tn_array_fill(a, &one, 0, s));
    tn_cuda_array_interface is = alias(a, XS, &guard);
    OK(tn_stream_native(s, &native));
    if (held)
        CHECK(is.has_stream == 1 && is.stream > 2 && is.stream != native); /* of the library, so that it never ends */
    end(guard);
    /* A consumer's stream waits, so there is none to name. */
    CHECK(export_as(TN_ALIASED, a, XS, t, &guard).has_stream == 0);
    OK(tn_borrow_end(guard, 0, t));
    CHECK(export_as(TN_ALIASED, a, XS | TN_UNORDERED, NULL, &guard).has_stream == 0);
    end(guard);
    if (held) {
        tn_stream *waits = NULL;
        CHECK(control("tenure_sim_release", s));
        OK(tn_stream_import(GPU, is.stream, &waits));
        OK(tn_stream_synchronize(waits)); /* enough to see the fill */
        OK(tn_stream_release(waits));
        tn_stream *blocking = NULL;
        OK(tn_stream_create(GPU, TN_STREAM_BLOCKING, 0, &blocking));
        CHECK(control("tenure_sim_hold", blocking));
        OK(tn_array_fill(a, &one, 0, blocking));
        is = alias(a, XS, &guard);
        CHECK(is.has_stream == 1 && is.stream == 1); /* the legacy stream is ordered after blocking ones */
        end(guard);
        CHECK(control("tenure_sim_release", blocking));
        OK(tn_stream_release(blocking));
    }
    OK(tn_stream_release(s));
    OK(tn_stream_release(t));
    drop(a);
}

static void ca_4_which_memory(void)
{
    tn_array *n = numbers(NULL, SHAPE(4)), *pinned = array_on(PINNED, TN_F32, TN_ORDER_C, SHAPE(4));
    tn_array *managed = array_on(MANAGED, TN_F32, TN_ORDER_C, SHAPE(4)), *mapped = NULL;
    tn_pool_options options = {.size = sizeof options, .host_flags = TN_HOST_MAPPED};
    tn_pool *pool = NULL;
    tn_borrow *guard = NULL, *reader = NULL;
    tn_view_info view;
    CHECK(try_cai(n, XS, 0) == TN_ERR_DEVICE);
    CHECK(try_cai(n, 0, 0) == TN_ERR_DEVICE);
    CHECK(try_cai(pinned, XS, 0) == TN_ERR_DEVICE && says("TN_HOST_MAPPED"));
    CHECK(unique(pinned)); /* the refused export left nothing */
    CHECK(alias(managed, XS, &guard).data == (uint64_t)(uintptr_t)address(managed));
    end(guard);
    OK(tn_pool_create(PINNED, &options, &pool));
    OK(tn_array_zeros(pool, TN_F32, SHAPE(4), NULL, &mapped));
    OK(tn_array_borrow_read(mapped, 0, NULL, NULL, &view, &reader));
    CHECK(view.device_data != 0 && alias(mapped, XS, &guard).data == view.device_data);
    end(guard);
    end(reader);
    drop(mapped);
    OK(tn_pool_release(pool));
    drop(managed);
    drop(pinned);
    drop(n);
}

static void ca_5_beside_an_export(void)
{
    tn_array *a = array_on(GPU, TN_F32, TN_ORDER_C, SHAPE(4));
    tn_borrow *guard = NULL;
    alias(a, XS, &guard);
    CHECK(why(a) == TN_WHY_EXPORTED && try_write(a, TN_WRITE_UNIQUE) == TN_ERR_EXPORTED && try_write(a, 0) == TN_OK);
    end(guard);
    CHECK(why(a) == 0);
    drop(a);
}

static void ca_6_element_types(void)
{
    static const struct {
        tn_dtype dtype;
        const char *typestr;
    } types[] = {{TN_BOOL, "|b1"}, {TN_I8, "|i1"}, {TN_U16, "<u2"}, {TN_I64, "<i8"}, {TN_F16, "<f2"}, {TN_F32, "<f4"}, {TN_C64, "<c8"},
                 {TN_C128, "<c16"}};
    tn_borrow *guard = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        tn_array *a = array_on(GPU, types[i].dtype, TN_ORDER_C, SHAPE(2)), *again = NULL;
        tn_cuda_array_interface is = alias(a, XS, &guard);
        CHECK(strcmp(is.typestr, types[i].typestr) == 0);
        OK(tn_array_import_cuda_array_interface(&is, TN_BORROW, NULL, NULL, &again, NULL));
        CHECK(info_of(again).dtype == types[i].dtype);
        drop(again);
        end(guard);
        drop(a);
    }
    tn_array *brain = array_on(GPU, TN_BF16, TN_ORDER_C, SHAPE(2));
    CHECK(try_cai(brain, XS, 0) == TN_ERR_DTYPE && says("view_dtype"));
    drop(brain);
}

static void copies(void) /* XC-1 */
{
    tn_array *a = floats(TN_ORDER_C, 3, 4), *turned = NULL, *back = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_transpose(a, &turned));
    tn_cuda_array_interface is = export_as(TN_COPIED, turned, 0, NULL, &guard);
    CHECK(is.readonly == 0 && why(a) == TN_WHY_SHARED);
    OK(tn_array_import_cuda_array_interface(&is, TN_BORROW, NULL, NULL, &back, NULL));
    CHECK(same(back, turned) && count_holders(back, TN_HOLDER_HANDLE) == 0);
    drop(back);
    end(guard);
    /* XC-12: one that is F-contiguous is copied in C order. */
    is = export_as(TN_COPIED, turned, TN_BORROW | TN_EXPORT_C_CONTIGUOUS, NULL, &guard);
    CHECK(is.c_contiguous == 1 && is.strides[1] == 4);
    OK(tn_array_import_cuda_array_interface(&is, TN_BORROW, NULL, NULL, &back, NULL));
    CHECK(same(back, turned));
    drop(back);
    end(guard);
    CHECK(try_cai(turned, TN_REQUIRE_BORROW | TN_EXPORT_C_CONTIGUOUS, 0) == TN_ERR_LAYOUT);
    export_as(TN_ALIASED, a, TN_REQUIRE_BORROW | TN_EXPORT_C_CONTIGUOUS, NULL, &guard);
    end(guard);
    drop(turned);
    tn_slice_spec reversed = TN_SLICE(TN_NONE, TN_NONE, -1);
    OK(tn_array_slice(a, 1, &reversed, &turned));
    CHECK(alias(turned, XR, &guard).strides[0] < 0);
    end(guard);
    export_as(TN_COPIED, turned, TN_BORROW | TN_EXPORT_NONNEGATIVE, NULL, &guard);
    end(guard);
    CHECK(try_cai(turned, TN_REQUIRE_BORROW | TN_EXPORT_NONNEGATIVE, 0) == TN_ERR_LAYOUT);
    OK(tn_copies_forbid(1));
    CHECK(try_cai(turned, TN_BORROW | TN_EXPORT_NONNEGATIVE, 0) == TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
    drop(turned);
    drop(a);
}

/* Memory of a producer, which is a pool's block here, with its number of releases. */
struct producer {
    tn_pool *pool;
    void *memory;
    int64_t shape[2];
    int released;
};

static void released(void *context)
{
    ((struct producer *)context)->released++;
}

static struct producer producer_of(tn_device device, int64_t rows, int64_t columns)
{
    struct producer p = {.shape = {rows, columns}};
    OK(tn_pool_create(device, NULL, &p.pool));
    OK(tn_pool_allocate(p.pool, (size_t)(rows * columns) * sizeof(float), 0, NULL, &p.memory));
    return p;
}

static tn_cuda_array_interface described(struct producer *p)
{
    return (tn_cuda_array_interface){.size = sizeof(tn_cuda_array_interface), .data = (uint64_t)(uintptr_t)p->memory, .shape = p->shape,
                                     .ndim = 2, .version = 3, .typestr = "<f4"};
}

/* Frees the producer's memory, once the imports of it have ended. */
static void end_producer(struct producer *p)
{
    OK(tn_device_synchronize(GPU));
    OK(tn_run_releases(NULL));
    OK(tn_pool_deallocate(p->pool, p->memory, NULL));
    OK(tn_pool_release(p->pool));
}

static tn_array *imported(struct producer *p, const tn_cuda_array_interface *is, uint32_t flags)
{
    tn_array *out = NULL;
    tn_how how = 0;
    p->released = 0;
    OK(tn_array_import_cuda_array_interface(is, flags, released, p, &out, &how));
    CHECK(how == TN_ALIASED && p->released == 0);
    return out;
}

static tn_status try_import(const tn_cuda_array_interface *is, uint32_t flags)
{
    tn_array *out = UNTOUCHED;
    tn_how how = 77;
    struct producer none = {.released = 0};
    tn_status status = tn_array_import_cuda_array_interface(is, flags, released, &none, &out, &how);
    CHECK(status != TN_OK && out == UNTOUCHED && how == 77 && none.released == 0);
    return status;
}

static void ca_10_imports(void)
{
    struct producer p = producer_of(GPU, 3, 4);
    tn_cuda_array_interface is = described(&p);
    tn_array *a = imported(&p, &is, TN_BORROW), *again = NULL;
    tn_array_info info = info_of(a);
    float two = 2;
    CHECK(info.device.type == TN_CUDA && info.shape[1] == 4 && info.strides[0] == 16 && (info.flags & TN_FOREIGN) != 0);
    OK(tn_array_fill(a, &two, 0, NULL));
    OK(tn_array_import_cuda_array_interface(&is, TN_BORROW, NULL, NULL, &again, NULL)); /* joins the store */
    CHECK(claims(a) == 2 && same(a, again));
    drop(again);
    CHECK(try_import(&is, TN_TAKE_OWNERSHIP) == TN_ERR_ALIASED);
    drop(a);
    CHECK(p.released == 1);
    /* A copy is released at once. */
    tn_how how = 0;
    p.released = 0;
    OK(tn_array_import_cuda_array_interface(&is, 0, released, &p, &a, &how));
    CHECK(how == TN_COPIED && p.released == 1 && info_of(a).device.type == TN_CUDA && (info_of(a).flags & TN_FOREIGN) == 0);
    float values[12];
    OK(tn_array_copy_to_host(a, values, NULL, NULL));
    CHECK(values[0] == 2 && values[11] == 2);
    drop(a);
    end_producer(&p);
}

static void ca_11_streams_of_producers(void)
{
    struct producer p = producer_of(GPU, 3, 4);
    tn_stream *s = new_stream(), *t = new_stream();
    tn_cuda_array_interface is = described(&p);
    float three = 3, four = 4, values[12] = {0};
    tn_array *a = imported(&p, &is, TN_BORROW), *theirs = imported(&p, &is, TN_BORROW);
    OK(tn_array_fill(a, &three, 0, NULL));
    drop(a);
    /* The producer's unfinished work is work on the array: every use comes after it. */
    int held = control("tenure_sim_hold", s);
    OK(tn_array_fill(theirs, &four, TN_WRITE_ALIASED, s));
    OK(tn_stream_native(s, &is.stream));
    is.has_stream = 1;
    a = imported(&p, &is, TN_BORROW);
    CHECK(!held || try_read(a, 0) == TN_ERR_PENDING);
    if (held)
        CHECK(control("tenure_sim_release", s));
    OK(tn_array_copy_to_host(a, values, NULL, t));
    OK(tn_stream_synchronize(t));
    CHECK(values[0] == 4 && values[11] == 4);
    /* The release comes after the work on the array, also after work on the producer's own stream. */
    for (int own = 0; own < 2; own++) {
        tn_stream *used = own ? s : t;
        if (own)
            a = imported(&p, &is, TN_BORROW);
        held = control("tenure_sim_hold", used);
        OK(tn_array_fill(a, &three, 0, used));
        p.released = 0;
        drop(a);
        CHECK(!held || p.released == 0);
        if (held)
            CHECK(control("tenure_sim_release", used));
        OK(tn_stream_synchronize(used));
        OK(tn_array_copy_to_host(theirs, values, NULL, NULL));
        CHECK(p.released == 1 && values[0] == 3);
    }
    /* Without an order, and stream 0. */
    is.stream = 0;
    CHECK(try_import(&is, TN_BORROW) == TN_ERR_INVALID);
    is.stream = 1;
    a = imported(&p, &is, TN_BORROW | TN_UNORDERED);
    drop(a);
    a = imported(&p, &is, TN_BORROW);
    drop(a);
    drop(theirs);
    OK(tn_stream_release(s));
    OK(tn_stream_release(t));
    end_producer(&p);
}

static void ca_12_what_is_refused(void)
{
    struct producer p = producer_of(GPU, 3, 4);
    tn_cuda_array_interface good = described(&p), is = good;
    const int64_t bad[] = {3, -4}, huge[] = {INT64_MAX, 2}, strides[] = {-16, 4};
    for (int32_t version = 0; version < 6; version++) {
        is.version = version;
        drop(imported(&p, &is, TN_BORROW));
    }
#define REFUSED(field, value, status)                                                                                                      \
    do {                                                                                                                                   \
        is = good;                                                                                                                         \
        is.field = value;                                                                                                                  \
        CHECK(try_import(&is, TN_BORROW) == (status));                                                                                     \
    } while (0)
    REFUSED(size, 8, TN_ERR_INVALID);
    REFUSED(version, -1, TN_ERR_INVALID);
    REFUSED(reserved, 1, TN_ERR_INVALID);
    REFUSED(has_stream, 2, TN_ERR_INVALID);
    REFUSED(shape, NULL, TN_ERR_NULL);
    REFUSED(data, 0, TN_ERR_NULL);
    REFUSED(typestr[0], '>', TN_ERR_DTYPE);
    REFUSED(typestr[1], 'V', TN_ERR_DTYPE);
    REFUSED(ndim, -1, TN_ERR_SHAPE);
    REFUSED(ndim, 65, TN_ERR_OVERFLOW);
    REFUSED(shape, bad, TN_ERR_SHAPE);
    REFUSED(shape, huge, TN_ERR_OVERFLOW);
    /* beyond the allocation, in both directions */
    const int64_t far[] = {(int64_t)1 << 31, 4}, back[] = {-((int64_t)1 << 31), 4};
    REFUSED(strides, far, TN_ERR_RANGE);
    CHECK(says("allocation"));
    REFUSED(strides, back, TN_ERR_DEVICE);
    const int64_t more[] = {3, 1 << 20};
    REFUSED(shape, more, TN_ERR_RANGE);
#undef REFUSED
    is = good;
    CHECK(try_import(&is, TN_EXPORT_WRITABLE) == TN_ERR_INVALID);
    is.strides = strides; /* of the last row, backwards */
    is.data += 32;
    tn_array *a = imported(&p, &is, TN_BORROW);
    CHECK(info_of(a).strides[0] == -16);
    drop(a);
    end_producer(&p);
}

static void ca_13_whose_memory(void)
{
    static float here[12];
    struct producer p = producer_of(MANAGED, 3, 4), q = producer_of(PINNED, 3, 4);
    tn_cuda_array_interface is = described(&p);
    tn_array *a = imported(&p, &is, TN_BORROW);
    CHECK(info_of(a).device.type == TN_CUDA_MANAGED);
    drop(a);
    is.readonly = 1;
    a = imported(&p, &is, TN_BORROW);
    CHECK((info_of(a).flags & TN_READONLY) != 0 && try_write(a, 0) == TN_ERR_READONLY);
    drop(a);
    is = described(&q);
    a = imported(&q, &is, TN_BORROW);
    CHECK(info_of(a).device.type == TN_CUDA_HOST && address(a) == q.memory);
    drop(a);
    is.data = (uint64_t)(uintptr_t)here;
    CHECK(try_import(&is, TN_BORROW) == TN_ERR_DEVICE);
    end_producer(&p);
    end_producer(&q);
}

/* ---- CUDAMat ---- */

static tn_cudamat matrix_of(tn_array *array, uint32_t flags, tn_how expected, tn_borrow **guard)
{
    tn_cudamat m;
    tn_how how = 0;
    OK(tn_array_export_cudamat(array, flags, 0, &m, guard, &how));
    CHECK(how == expected && m.data_host == NULL && m.on_device == 1 && m.on_host == 0 && m.is_trans == 0 && m.owns_data == 0);
    return m;
}

static tn_status try_matrix(tn_array *array, uint32_t flags)
{
    tn_cudamat m = {.on_device = 77};
    tn_borrow *guard = UNTOUCHED;
    tn_how how = 77;
    tn_status status = tn_array_export_cudamat(array, flags, 0, &m, &guard, &how);
    CHECK(status != TN_OK && m.on_device == 77 && guard == UNTOUCHED && how == 77);
    return status;
}

/* CUDAMat's asarray(): the bytes as they lie in memory, read by columns. */
static int cudamat_sees(const tn_cudamat *m, int32_t rows, int32_t columns, float (*value)(int32_t, int32_t))
{
    float bytes[64];
    const int64_t count = (int64_t)rows * columns;
    tn_cuda_array_interface raw = {.size = sizeof raw, .data = (uint64_t)(uintptr_t)m->data_device, .shape = &count, .ndim = 1,
                                   .version = 3, .typestr = "<f4"};
    tn_array *line = NULL;
    if (m->size[0] != rows || m->size[1] != columns)
        return 0;
    OK(tn_array_import_cuda_array_interface(&raw, TN_BORROW, NULL, NULL, &line, NULL));
    OK(tn_array_copy_to_host(line, bytes, NULL, NULL));
    drop(line);
    int equal = 1;
    for (int32_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < columns; j++)
            equal = equal && bytes[i + j * m->size[0]] == value(i, j);
    return equal;
}

static float of_3x4(int32_t i, int32_t j)
{
    return (float)(4 * i + j);
}

static float of_3x4_transposed(int32_t i, int32_t j)
{
    return of_3x4(j, i);
}

static float of_line(int32_t i, int32_t j)
{
    return (float)(i + j);
}

static void cm_1_to_4_exports(void)
{
    tn_array *f = floats(TN_ORDER_F, 3, 4), *c = floats(TN_ORDER_C, 3, 4), *square = floats(TN_ORDER_C, 3, 3);
    tn_array *row = floats(TN_ORDER_C, 1, 5), *column = floats(TN_ORDER_C, 5, 1), *none = array_on(GPU, TN_F32, TN_ORDER_C, SHAPE(0, 3));
    tn_borrow *guard = NULL;
    CHECK(sizeof(tn_cudamat) == 40 && offsetof(tn_cudamat, size) == 24 && offsetof(tn_cudamat, owns_data) == 36);
    tn_cudamat m = matrix_of(f, XS, TN_ALIASED, &guard); /* CM-2 */
    CHECK(cudamat_sees(&m, 3, 4, of_3x4) && why(f) == TN_WHY_EXPORTED);
    end(guard);
    CHECK(try_matrix(c, TN_REQUIRE_BORROW | TN_EXPORT_WRITABLE) == TN_ERR_LAYOUT); /* CM-3 */
    m = matrix_of(c, TN_BORROW, TN_COPIED, &guard);
    CHECK(cudamat_sees(&m, 3, 4, of_3x4));
    end(guard);
    m = matrix_of(c, XS | TN_CUDAMAT_TRANSPOSED, TN_ALIASED, &guard);
    CHECK(cudamat_sees(&m, 4, 3, of_3x4_transposed));
    end(guard);
    CHECK(try_matrix(f, TN_REQUIRE_BORROW | TN_CUDAMAT_TRANSPOSED) == TN_ERR_LAYOUT);
    CHECK(try_matrix(square, TN_REQUIRE_BORROW) == TN_ERR_LAYOUT); /* CM-4 */
    m = matrix_of(row, TN_REQUIRE_BORROW, TN_ALIASED, &guard);
    CHECK(cudamat_sees(&m, 1, 5, of_line));
    end(guard);
    m = matrix_of(column, TN_REQUIRE_BORROW, TN_ALIASED, &guard);
    CHECK(cudamat_sees(&m, 5, 1, of_line));
    end(guard);
    m = matrix_of(none, TN_REQUIRE_BORROW, TN_ALIASED, &guard);
    CHECK(m.data_device == NULL && m.size[0] == 0 && m.size[1] == 3);
    end(guard);
    drop(none);
    drop(column);
    drop(row);
    drop(square);
    drop(c);
    drop(f);
}

static void cm_1_what_is_refused(void)
{
    tn_array *wide = array_on(GPU, TN_F64, TN_ORDER_F, SHAPE(3, 4)), *cube = array_on(GPU, TN_F32, TN_ORDER_F, SHAPE(3, 4, 2));
    tn_array *here = zeros(NULL, TN_F32, SHAPE(3, 4)), *f = floats(TN_ORDER_F, 3, 4);
    tn_borrow *guard = NULL;
    CHECK(try_matrix(wide, XS) == TN_ERR_DTYPE);
    CHECK(try_matrix(cube, XS) == TN_ERR_SHAPE);
    CHECK(try_matrix(here, XS) == TN_ERR_DEVICE);
    CHECK(try_matrix(f, XS | TN_EXPORT_NONNEGATIVE) == TN_ERR_INVALID);
    CHECK(try_matrix(f, XS | TN_EXPORT_C_CONTIGUOUS) == TN_ERR_INVALID);
    /* The struct cannot say "read-only" (XC-3). */
    tn_cudamat m = matrix_of(f, TN_BORROW | TN_EXPORT_CONSUMER_READS, TN_ALIASED, &guard);
    CHECK(m.size[0] == 3 && try_write(f, 0) == TN_ERR_EXPORTED);
    end(guard);
    tn_array *readonly = NULL;
    m = matrix_of(f, XS, TN_ALIASED, &guard);
    OK(tn_array_import_cudamat(&m, TN_BORROW | TN_IMPORT_READONLY, NULL, NULL, &readonly, NULL));
    CHECK(try_matrix(readonly, XS) == TN_ERR_READONLY && try_matrix(readonly, TN_BORROW) == TN_ERR_READONLY);
    end(guard);
    guard = NULL;
    matrix_of(readonly, TN_BORROW | TN_EXPORT_CONSUMER_READS, TN_ALIASED, &guard);
    end(guard);
    drop(readonly);
    drop(f);
    drop(here);
    drop(cube);
    drop(wide);
}

static void cm_5_imports(void)
{
    tn_array *f = floats(TN_ORDER_F, 3, 4), *turned = NULL, *a = NULL;
    tn_borrow *guard = NULL;
    struct producer p = {.released = 0};
    tn_cudamat good = matrix_of(f, XS, TN_ALIASED, &guard), m = good;
    OK(tn_array_transpose(f, &turned));
    m.data_host = UNTOUCHED;
    OK(tn_array_import_cudamat(&m, TN_BORROW, NULL, NULL, &a, NULL));
    CHECK(same(a, f) && info_of(a).strides[0] == 4 && info_of(a).strides[1] == 12);
    drop(a);
    m.is_trans = 1;
    OK(tn_array_import_cudamat(&m, TN_BORROW, NULL, NULL, &a, NULL));
    CHECK(same(a, turned) && info_of(a).strides[0] == 12 && info_of(a).strides[1] == 4);
    drop(a);
    m = good;
    m.owns_data = 1;
    FAILS(tn_array_import_cudamat(&m, TN_BORROW, NULL, NULL, &a, NULL), TN_ERR_NULL);
    OK(tn_array_import_cudamat(&m, TN_BORROW, released, &p, &a, NULL));
    drop(a);
    CHECK(same(turned, turned)); /* waits, and so sees that the producer's work is done */
    CHECK(p.released == 1);
#define REFUSED(field, value, status)                                                                                                      \
    do {                                                                                                                                   \
        m = good;                                                                                                                          \
        m.field = value;                                                                                                                   \
        FAILS(tn_array_import_cudamat(&m, TN_BORROW, released, &p, &a, NULL), status);                                                     \
    } while (0)
    REFUSED(on_device, 0, TN_ERR_DEVICE);
    REFUSED(data_device, NULL, TN_ERR_NULL);
    REFUSED(size[0], -1, TN_ERR_SHAPE);
    REFUSED(size[1], INT32_MAX, TN_ERR_OVERFLOW);
    REFUSED(is_trans, 2, TN_ERR_INVALID);
#undef REFUSED
    CHECK(p.released == 1);
    end(guard);
    drop(turned);
    drop(f);
}

static void cm_6_order(void)
{
    tn_array *f = floats(TN_ORDER_F, 3, 4);
    tn_stream *s = new_stream();
    tn_borrow *guard = NULL, *second = NULL;
    float five = 5;
    int held = control("tenure_sim_hold", s);
    OK(tn_array_fill(f, &five, 0, s));
    /* The legacy stream waits for that fill, and the host does not. */
    tn_cudamat m = matrix_of(f, XS, TN_ALIASED, &guard), other = matrix_of(f, XS, TN_ALIASED, &second);
    tn_event *event = NULL;
    int32_t done = 1;
    OK(tn_event_create(GPU, 0, &event));
    OK(tn_event_record(event, TN_STREAM_LEGACY));
    OK(tn_event_query(event, &done));
    CHECK(!held || done == 0);
    if (held)
        CHECK(control("tenure_sim_release", s));
    OK(tn_event_release(event));
    /* CUDAMat changes its struct; nothing is read back. */
    m.size[0] = 12;
    m.size[1] = 1;
    CHECK(m.size[0] == 12 && other.size[0] == 3);
    OK(tn_borrow_end(guard, 0, TN_STREAM_LEGACY));
    end(second);
    CHECK(info_of(f).shape[0] == 3);
    OK(tn_stream_release(s));
    drop(f);
}

static void without_driver(void)
{
    tn_array *n = zeros(NULL, TN_F32, SHAPE(3, 4)), *a = NULL;
    static float here[12];
    const int64_t shape[] = {3, 4};
    tn_cuda_array_interface is = {.size = sizeof is, .data = (uint64_t)(uintptr_t)here, .shape = shape, .ndim = 2, .version = 3,
                                  .typestr = "<f4"};
    tn_cudamat m = {.data_device = here, .on_device = 1, .size = {3, 4}};
    CHECK(try_cai(n, XS, 0) == TN_ERR_DEVICE);
    CHECK(try_matrix(n, XS) == TN_ERR_DEVICE);
    CHECK(try_import(&is, TN_BORROW) == TN_ERR_UNSUPPORTED);
    FAILS(tn_array_import_cudamat(&m, TN_BORROW, NULL, NULL, &a, NULL), TN_ERR_UNSUPPORTED);
    FAILS(tn_array_import_cudamat(NULL, TN_BORROW, NULL, NULL, &a, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_cuda_array_interface(NULL, TN_BORROW, NULL, NULL, &a, NULL), TN_ERR_NULL);
    drop(n);
}

static void end_export(void *guard)
{
    OK(tn_borrow_end(guard, 0, NULL));
}

/* XC-11: a host export is ordered before its stream, and no stream can order work on ordinary host memory. */
static void xc_11_streams_of_host_exports(void)
{
    tn_pool *pinned = NULL;
    tn_array *a = NULL, *plain = NULL;
    tn_view_info view;
    tn_borrow *guard = UNTOUCHED;
    tn_stream *writes = new_stream(), *reads = new_stream();
    const double one = 1;
    OK(tn_array_zeros(NULL, TN_F64, 1, (int64_t[]){4}, NULL, &plain));
    FAILS(tn_array_export_host(plain, TN_BORROW, 0, reads, &view, &guard, NULL), TN_ERR_DEVICE);
    FAILS(tn_array_export_host(plain, 0, 0, reads, &view, &guard, NULL), TN_ERR_DEVICE);
    CHECK(guard == UNTOUCHED && says("NULL or a constant"));
    drop(plain);
    OK(tn_pool_create((tn_device){TN_CUDA_HOST, 0}, NULL, &pinned));
    OK(tn_array_zeros(pinned, TN_F64, 1, (int64_t[]){4}, NULL, &a));
    int held = control("tenure_sim_hold", writes);
    OK(tn_array_fill(a, &one, 0, writes));
    OK(tn_array_export_host(a, TN_REQUIRE_BORROW, 0, reads, &view, &guard, NULL)); /* waits for nothing: `writes` is stalled */
    OK(tn_borrow_end(guard, 0, reads));
    if (held)
        CHECK(control("tenure_sim_release", writes));
    OK(tn_device_synchronize(GPU));
    drop(a);
    OK(tn_pool_release(pinned));
    OK(tn_stream_release(reads));
    OK(tn_stream_release(writes));
}

/* CA-11: an import that was released, and whose device work has passed, does not stand in the way of the producer's next write. */
static void ca_11_an_ended_import_is_noticed(void)
{
    tn_array *x = floats(TN_ORDER_C, 3, 4), *y = NULL;
    tn_stream *stream = new_stream();
    tn_borrow *exported = NULL, *guard = NULL;
    tn_cuda_array_interface is = alias(x, TN_BORROW, &exported);
    OK(tn_array_import_cuda_array_interface(&is, TN_BORROW, end_export, exported, &y, NULL));
    int held = control("tenure_sim_hold", stream);
    OK(tn_array_borrow_read(y, 0, stream, NULL, NULL, &guard));
    OK(tn_borrow_end(guard, 0, stream));
    drop(y);
    if (held) {
        CHECK(try_write(x, 0) == TN_ERR_EXPORTED);
        CHECK(control("tenure_sim_release", stream));
    }
    OK(tn_device_synchronize(GPU));
    CHECK(try_write(x, 0) == TN_OK);
    OK(tn_stream_release(stream));
    drop(x);
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        without_driver();
        return finish();
    }
    ca_1_what_an_export_says();
    ca_2_read_only();
    ca_3_streams();
    ca_4_which_memory();
    ca_5_beside_an_export();
    ca_6_element_types();
    copies();
    ca_10_imports();
    ca_11_streams_of_producers();
    ca_11_an_ended_import_is_noticed();
    xc_11_streams_of_host_exports();
    ca_12_what_is_refused();
    ca_13_whose_memory();
    cm_1_to_4_exports();
    cm_1_what_is_refused();
    cm_5_imports();
    cm_6_order();
    OK(tn_device_synchronize(GPU));
    return finish();
}
