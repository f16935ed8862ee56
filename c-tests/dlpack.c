/*
 * dlpack.c - tensors to and from other libraries on the host: the versioned and the legacy struct (DL-1 to DL-15, DL-17, DL-20 to DL-30,
 * XI-22), and the parts of the exchange table that need no Python (DL-50, DL-51). Each row runs twice: on the slow path of a thread's first
 * exports, and on the fast path.
 */
#define _POSIX_C_SOURCE 200809L
#include "dlpack_structs.h"
#include "helpers.h"
#include "tenure_bindings.h"
#include <pthread.h>
#include <stddef.h>

/* DL-1 */
_Static_assert(sizeof(dl_tensor) == 48 && offsetof(dl_tensor, device) == 8 && offsetof(dl_tensor, ndim) == 16,
               "DLTensor");
_Static_assert(offsetof(dl_tensor, code) == 20 && offsetof(dl_tensor, bits) == 21 && offsetof(dl_tensor, lanes) == 22,
               "DLTensor");
_Static_assert(offsetof(dl_tensor, shape) == 24 && offsetof(dl_tensor, strides) == 32 &&
               offsetof(dl_tensor, byte_offset) == 40,
               "DLTensor");
_Static_assert(sizeof(legacy) == 64 && offsetof(legacy, manager_ctx) == 48 && offsetof(legacy, deleter) == 56,
               "legacy");
_Static_assert(sizeof(versioned) == 80 && offsetof(versioned, manager_ctx) == 8 && offsetof(versioned, deleter) == 16,
               "versioned");
_Static_assert(offsetof(versioned, flags) == 24 && offsetof(versioned, dl) == 32, "versioned");

static tn_dlpack_options with(uint32_t flags)
{
    return (tn_dlpack_options){.size = sizeof(tn_dlpack_options), .flags = flags};
}

static versioned *export_as(tn_how expected, tn_array *a, uint32_t flags)
{
    tn_dlpack_options options = with(flags);
    versioned *out = NULL;
    tn_how how = 0;
    OK(tn_array_export_dlpack_versioned(a, &options, &out, &how));
    /* DL-2, DL-12 */
    CHECK(how == expected && out != NULL && out->deleter != NULL && out->major == 1 && out->minor == 1);
    return out;
}

static legacy *legacy_as(tn_how expected, tn_array *a, uint32_t flags)
{
    tn_dlpack_options options = with(flags);
    legacy *out = NULL;
    tn_how how = 0;
    OK(tn_array_export_dlpack(a, &options, &out, &how));
    CHECK(how == expected && out != NULL && out->deleter != NULL);
    return out;
}

static tn_status try_versioned(tn_array *a, const tn_dlpack_options *options)
{
    versioned *out = UNTOUCHED;
    tn_how how = 77;
    tn_status status = tn_array_export_dlpack_versioned(a, options, &out, &how);
    if (status == TN_OK)
        out->deleter(out);
    else
        CHECK(out == UNTOUCHED && how == 77);
    return status;
}

static tn_status try_legacy(tn_array *a, uint32_t flags)
{
    tn_dlpack_options options = with(flags);
    legacy *out = UNTOUCHED;
    tn_how how = 77;
    tn_status status = tn_array_export_dlpack(a, &options, &out, &how);
    if (status == TN_OK)
        out->deleter(out);
    else
        CHECK(out == UNTOUCHED && how == 77);
    return status;
}

static tn_status try_flags(tn_array *a, uint32_t flags)
{
    tn_dlpack_options options = with(flags);
    return try_versioned(a, &options);
}

static void what_is_written(void) /* DL-2, DL-3, DL-5, DL-10 */
{
    tn_array *a = numbers(NULL, SHAPE(3, 4)), *v = block(a, 1, 3, 1, 3, TN_NONE, -2);
    versioned *t = export_as(TN_ALIASED, a, XR);
    CHECK(t->dl.data == address(a) && (uintptr_t)t->dl.data % 256 == 0 && t->dl.byte_offset == 0);
    CHECK(t->dl.device.type == TN_CPU && t->dl.device.id == 0 && t->dl.ndim == 2);
    CHECK(t->dl.code == 0 && t->dl.bits == 64 && t->dl.lanes == 1);
    CHECK(t->dl.shape[0] == 3 && t->dl.shape[1] == 4 && t->dl.strides[0] == 4 && t->dl.strides[1] == 1);
    CHECK(t->flags == READ_ONLY && why(a) == (TN_WHY_SHARED | TN_WHY_EXPORTED));
    CHECK(count_holders(a, TN_HOLDER_EXPORT_READ) == 1);
    t->deleter(t);
    CHECK(why(a) == TN_WHY_SHARED);

    t = export_as(TN_ALIASED, v, XS);
    CHECK(t->dl.data == (int64_t *)address(a) + 7 && t->dl.byte_offset == 0 && t->flags == 0);
    CHECK(t->dl.strides[0] == 4 && t->dl.strides[1] == -2); /* DL-7: unchanged */
    ((int64_t *)t->dl.data)[4] = 90;
    t->deleter(t);
    CHECK(HOLDS(v, 7, 5, 90, 9) && why(a) == TN_WHY_SHARED);

    t = export_as(TN_ALIASED, v, XW);
    CHECK(t->flags == 0 && try_read(a, 0) == TN_ERR_EXPORTED);
    t->deleter(t);

    /* no options, no flag: a copy, labelled as one, that belongs to the consumer alone */
    tn_how how = 0;
    OK(tn_array_export_dlpack_versioned(v, NULL, &t, &how));
    CHECK(how == TN_COPIED && t->flags == IS_COPIED && why(v) == TN_WHY_SHARED);
    CHECK(t->dl.strides[0] == 2 && t->dl.strides[1] == 1 && ((int64_t *)t->dl.data)[2] == 90);
    ((int64_t *)t->dl.data)[0] = -1;
    CHECK(HOLDS(v, 7, 5, 90, 9));
    t->deleter(t);

    tn_array *row = at(a, 0, 1), *point = at(row, 0, 0);
    t = export_as(TN_ALIASED, point, XR);
    CHECK(t->dl.ndim == 0 && *(int64_t *)t->dl.data == 4);
    t->deleter(t);
    drop(point);
    drop(row);
    drop(v);
    drop(a);
}

static void strides_that_are_no_whole_elements(void) /* DL-4 */
{
    double memory[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_C128, .ndim = 1, .shape = (int64_t[]){4},
                        .strides = (int64_t[]){24}};
    tn_array *a = NULL;
    OK(tn_array_import_host(memory, &layout, TN_REQUIRE_BORROW, NULL, NULL, &a, NULL));
    versioned *t = export_as(TN_COPIED, a, XR);
    CHECK(t->flags == IS_COPIED && t->dl.strides[0] == 1 && ((double *)t->dl.data)[2] == 3 &&
          ((double *)t->dl.data)[7] == 10);
    t->deleter(t);
    CHECK(try_flags(a, TN_REQUIRE_BORROW) == TN_ERR_LAYOUT && why(a) == TN_WHY_FOREIGN);
    drop(a);
}

static void no_elements(void) /* DL-6 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *none = NULL;
    none = part(a, 2, 2, 1);
    drop(a);
    a = zeros(NULL, TN_F32, SHAPE(3, 0, 2));
    versioned *t = export_as(TN_ALIASED, a, XS);
    CHECK(t->dl.data == NULL && t->dl.ndim == 3 && t->dl.shape[0] == 3 && t->dl.shape[1] == 0 && t->dl.strides[2] == 1);
    CHECK(why(a) == 0);
    t->deleter(t);
    t = export_as(TN_ALIASED, none, XR);
    CHECK(t->dl.data == NULL && why(none) == 0); /* no claim on a store is needed or taken */
    t->deleter(t);
    drop(none);
    drop(a);
}

static void negative_and_zero_strides(void) /* DL-7, DL-8 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *reversed = part(a, TN_NONE, TN_NONE, -1), *wide = broadcast(a, SHAPE(2, 4));
    versioned *t = export_as(TN_COPIED, reversed, XR | TN_EXPORT_NONNEGATIVE);
    CHECK(t->flags == IS_COPIED && t->dl.strides[0] == 1 && ((int64_t *)t->dl.data)[0] == 3);
    t->deleter(t);
    CHECK(try_flags(reversed, TN_REQUIRE_BORROW | TN_EXPORT_NONNEGATIVE) == TN_ERR_LAYOUT);
    t = export_as(TN_ALIASED, a, XR | TN_EXPORT_NONNEGATIVE);
    t->deleter(t);
    /* XC-12 */
    t = export_as(TN_COPIED, reversed, XR | TN_EXPORT_C_CONTIGUOUS);
    CHECK(t->flags == IS_COPIED && t->dl.strides[0] == 1 && ((int64_t *)t->dl.data)[0] == 3);
    t->deleter(t);
    CHECK(try_flags(reversed, TN_REQUIRE_BORROW | TN_EXPORT_C_CONTIGUOUS) == TN_ERR_LAYOUT);
    t = export_as(TN_ALIASED, a, XR | TN_EXPORT_C_CONTIGUOUS);
    t->deleter(t);
    tn_array *grid = reshaped(a, SHAPE(2, 2)), *turned = NULL;
    OK(tn_array_transpose(grid, &turned));
    for (uint32_t flags = 0; flags <= TN_BORROW; flags += TN_BORROW) {
        t = export_as(TN_COPIED, turned, flags | TN_EXPORT_C_CONTIGUOUS);
        CHECK(t->dl.strides[0] == 2 && t->dl.strides[1] == 1 && ((int64_t *)t->dl.data)[1] == 2);
        t->deleter(t);
    }
    drop(turned);
    drop(grid);

    t = export_as(TN_ALIASED, wide, XR);
    CHECK(t->dl.strides[0] == 0 && t->dl.strides[1] == 1 && t->flags == READ_ONLY);
    t->deleter(t);
    CHECK(try_flags(wide, XS) == TN_ERR_READONLY && try_legacy(wide, XR) == TN_ERR_READONLY);
    legacy *l = legacy_as(TN_ALIASED, wide, XR | TN_EXPORT_CONSUMER_READS);
    CHECK(l->dl.strides[0] == 0);
    l->deleter(l);
    drop(wide);
    drop(reversed);
    CHECK(why(a) == 0);
    drop(a);
}

static void extents_of_one(void) /* DL-9 */
{
    tn_array *a = numbers(NULL, SHAPE(4, 6)), *steps = block(a, TN_NONE, TN_NONE, 1, 0, TN_NONE, 2);
    tn_array *column = block(steps, TN_NONE, TN_NONE, 1, 1, 2, 1); /* (4,1), strides (48,16) */
    versioned *t = export_as(TN_ALIASED, column, XR);
    CHECK(t->dl.shape[1] == 1 && t->dl.strides[1] == 1 && t->dl.strides[0] == 6);
    t->deleter(t);
    int64_t memory[10] = {0};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = (int64_t[]){1, 10},
                        .strides = (int64_t[]){800, 8}};
    tn_array *thin = NULL;
    OK(tn_array_import_host(memory, &layout, TN_REQUIRE_BORROW, NULL, NULL, &thin, NULL));
    t = export_as(TN_ALIASED, thin, XR);
    CHECK(t->dl.strides[0] == 10 && t->dl.strides[1] == 1);
    t->deleter(t);
    drop(thin);
    drop(column);
    drop(steps);
    drop(a);
}

static void the_legacy_struct(void) /* DL-11, XC-3 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3));
    const struct {
        uint32_t flags;
        int32_t kind;
    } rows[4] = {{TN_BORROW, TN_HOLDER_EXPORT_SHARED},
                 {XS, TN_HOLDER_EXPORT_SHARED},
                 {XW, TN_HOLDER_EXPORT_EXCLUSIVE},
                 {TN_BORROW | TN_EXPORT_CONSUMER_READS, TN_HOLDER_EXPORT_READ}};
    for (int i = 0; i < 4; i++) {
        legacy *t = legacy_as(TN_ALIASED, a, rows[i].flags);
        CHECK(count_holders(a, rows[i].kind) == 1 && why(a) == TN_WHY_EXPORTED);
        CHECK(t->dl.ndim == 2 && t->dl.strides[0] == 3 && t->dl.strides[1] == 1 && ((int64_t *)t->dl.data)[5] == 5);
        t->deleter(t);
        CHECK(why(a) == 0);
    }
    legacy *copy = legacy_as(TN_COPIED, a, 0);
    CHECK(copy->dl.data != address(a) && why(a) == 0);
    copy->deleter(copy);

    int64_t memory[2] = {1, 2};
    tn_array *readonly = array_of(memory, TN_BORROW | TN_IMPORT_READONLY, NULL, NULL, SHAPE(2));
    CHECK(try_legacy(readonly, TN_BORROW) == TN_ERR_READONLY && try_legacy(readonly, XS) == TN_ERR_READONLY);
    CHECK(try_legacy(readonly, TN_BORROW | TN_EXPORT_CONSUMER_READS) == TN_OK && try_legacy(readonly, 0) == TN_OK);
    versioned *t = export_as(TN_ALIASED, readonly, TN_BORROW);
    CHECK(t->flags == READ_ONLY);
    t->deleter(t);
    drop(readonly);
    drop(a);
}

static void *delete_elsewhere(void *tensor)
{
    versioned *t = tensor;
    t->deleter(t);
    return NULL;
}

static void deleters(void) /* DL-12, DL-13, XC-4 */
{
    tn_pool *pool = own_pool("dl-12");
    OK(tn_here("consumer.c", 3));
    tn_array *a = numbers(pool, SHAPE(4));
    OK(tn_array_set_name(a, "travelling"));
    versioned *t = export_as(TN_ALIASED, a, XS);
    OK(tn_here(NULL, 0));
    drop(a);
    OK(tn_pool_release(pool));
    CHECK(((int64_t *)t->dl.data)[3] == 3);
    tn_holder leaks[8];
    size_t n = 0;
    OK(tn_leaks(sizeof(tn_holder), 8, leaks, &n));
    int found = 0;
    for (size_t i = 0; i < n && i < 8; i++)
        found += leaks[i].kind == TN_HOLDER_EXPORT_SHARED && strcmp(leaks[i].site, "consumer.c:3") == 0 &&
                 strcmp(leaks[i].name, "travelling") == 0 && leaks[i].thread != 0 && leaks[i].bytes == 32 && leaks[i].time_ns != 0;
    CHECK(found == 1);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, delete_elsewhere, t) == 0 && pthread_join(thread, NULL) == 0);
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &n));
    CHECK(n == 0);

    /* a faulty consumer calls it twice: no double free */
    a = numbers(NULL, SHAPE(4));
    tn_array *twin = clone(a);
    t = export_as(TN_ALIASED, a, XR);
    void (*deleter)(versioned *) = t->deleter;
    deleter(t);
    deleter(t);
    CHECK(claims(a) == 2 && why(a) == TN_WHY_SHARED && HOLDS(twin, 0, 1, 2, 3));
    versioned *next = export_as(TN_ALIASED, a, XR);
    CHECK(next->dl.shape[0] == 4 && count_holders(a, TN_HOLDER_EXPORT_READ) == 1);
    next->deleter(next);
    legacy *l = legacy_as(TN_ALIASED, a, XS);
    void (*old)(legacy *) = l->deleter;
    old(l);
    old(l);
    CHECK(why(a) == TN_WHY_SHARED);
    drop(a);
    drop(twin);
}

static void options(void) /* DL-14, DL-15, DL-17, XI-4 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a);
    tn_dlpack_options o = with(TN_BORROW);
    o.label = TN_CPU;
    CHECK(try_versioned(a, &o) == TN_OK);
    o.label = TN_CUDA;
    CHECK(try_versioned(a, &o) == TN_ERR_DEVICE);
    o = with(TN_REQUIRE_BORROW);
    o.target = HOST;
    CHECK(try_versioned(a, &o) == TN_OK);
    o.target = (tn_device){7, 0};
    CHECK(try_versioned(a, &o) == TN_ERR_UNSUPPORTED);
    o = with(XS);
    tn_stream *constants[3] = {TN_STREAM_LEGACY, TN_STREAM_PER_THREAD, TN_STREAM_CURRENT};
    for (int i = 0; i < 3; i++) {
        o.consumer = constants[i];
        CHECK(try_versioned(a, &o) == TN_OK);
    }
    o.consumer = (tn_stream *)(void *)a;
    CHECK(try_versioned(a, &o) == TN_ERR_KIND);
    CHECK(try_flags(a, XR | TN_UNORDERED | TN_WAIT) == TN_OK);

    o = with(XS);
    o.mode = TN_WRITE_UNIQUE;
    CHECK(try_versioned(a, &o) == TN_ERR_SHARED);
    o.mode = TN_WRITE_COW;
    CHECK(try_versioned(a, &o) == TN_ERR_INVALID);
    o = with(XR);
    o.mode = TN_WRITE_UNIQUE;
    CHECK(try_versioned(a, &o) == TN_ERR_INVALID);
    o = with(XR);
    o.size = 0;
    CHECK(try_versioned(a, &o) == TN_ERR_INVALID);
    CHECK(try_flags(a, TN_BORROW | TN_EXPORT_EXCLUSIVE) == TN_ERR_INVALID);
    CHECK(try_flags(a, XS | TN_EXPORT_CONSUMER_READS) == TN_ERR_INVALID);
    CHECK(try_flags(a, XR | TN_TAKE_OWNERSHIP) == TN_ERR_INVALID && try_flags(a, XR | 1u << 31) == TN_ERR_INVALID);
    FAILS(tn_array_export_dlpack(a, NULL, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_export_dlpack_versioned(a, NULL, NULL, NULL), TN_ERR_NULL);
    /* it counts as any other export */
    tn_borrow *guard = writing(a, 0);
    CHECK(try_flags(twin, XR) == TN_ERR_BORROWED_WRITE && try_legacy(twin, XS) == TN_ERR_BORROWED_WRITE);
    CHECK(try_flags(a, 0) == TN_ERR_BORROWED_WRITE); /* a copy reads */
    end(guard);
    poison(a);
    CHECK(try_flags(twin, XR) == TN_ERR_POISONED);
    CHECK(why(a) == (TN_WHY_SHARED | TN_WHY_POISONED));
    drop(twin);
    drop(a);
}

/* ---- import ---- */
static int deleted;
static int64_t foreign[16];
static int64_t foreign_shape[2], foreign_strides[2];

static void delete_versioned(versioned *t)
{
    deleted++;
    memset(t, 0xdd, sizeof *t); /* a late read gets garbage */
}

static void delete_legacy(legacy *t)
{
    deleted++;
    memset(t, 0xdd, sizeof *t);
}

/* 2 x 4 int64 over `foreign`. */
static dl_tensor tensor(void)
{
    for (int i = 0; i < 16; i++)
        foreign[i] = i;
    foreign_shape[0] = 2;
    foreign_shape[1] = 4;
    foreign_strides[0] = 4;
    foreign_strides[1] = 1;
    return (dl_tensor){.data = foreign, .device = {TN_CPU, 0}, .ndim = 2, .code = 0, .bits = 64, .lanes = 1,
                       .shape = foreign_shape, .strides = foreign_strides};
}

static versioned from_others(void)
{
    deleted = 0;
    return (versioned){.major = 1, .minor = 1, .deleter = delete_versioned, .dl = tensor()};
}

static legacy from_others_legacy(void)
{
    deleted = 0;
    return (legacy){.deleter = delete_legacy, .dl = tensor()};
}

/* An import that must fail; the caller still owns the struct. */
static tn_status try_import(versioned *t, uint32_t flags)
{
    tn_array *out = UNTOUCHED;
    tn_how how = 77;
    versioned before = *t;
    tn_status status = tn_array_import_dlpack_versioned(t, flags, &out, &how);
    CHECK(status != TN_OK && out == UNTOUCHED && how == 77 && deleted == 0);
    if (deleted == 0)
        CHECK(t->deleter == before.deleter && t->dl.data == before.dl.data && t->flags == before.flags);
    return status;
}

static tn_array *import_as(tn_how expected, versioned *t, uint32_t flags)
{
    tn_array *out = NULL;
    tn_how how = 0;
    OK(tn_array_import_dlpack_versioned(t, flags, &out, &how));
    CHECK(how == expected);
    return out;
}

static void who_calls_the_deleter(void) /* DL-20, XC-8 */
{
    versioned t = from_others();
    tn_array *a = import_as(TN_COPIED, &t, 0);
    CHECK(deleted == 1 && HOLDS(a, 0, 1, 2, 3, 4, 5, 6, 7) && why(a) == 0 && address(a) != (void *)foreign);
    drop(a);
    CHECK(deleted == 1);

    t = from_others();
    a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(deleted == 0 && address(a) == (void *)foreign && why(a) == TN_WHY_FOREIGN && (info_of(a).flags & TN_FOREIGN));
    tn_array *view = at(a, 0, 1);
    drop(a);
    CHECK(deleted == 0 && HOLDS(view, 4, 5, 6, 7));
    drop(view);
    CHECK(deleted == 1);

    t = from_others();
    t.deleter = NULL;
    a = import_as(TN_ALIASED, &t, TN_REQUIRE_BORROW);
    drop(a);
    CHECK(deleted == 0);

    t = from_others(); /* queued as any release (AR-25) */
    a = import_as(TN_ALIASED, &t, TN_BORROW | TN_RELEASE_QUEUED);
    drop(a);
    CHECK(deleted == 0);
    size_t count = 0;
    OK(tn_run_releases(&count));
    CHECK(deleted == 1 && count == 1);
}

static void invalid_tensors(void) /* DL-21, XC-6, XC-7 */
{
    versioned t = from_others();
    t.dl.strides = NULL; /* C-contiguous */
    tn_array *a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(info_of(a).strides[0] == 32 && info_of(a).strides[1] == 8);
    drop(a);
    t = from_others();
    t.dl.ndim = -1;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_SHAPE);
    t = from_others();
    foreign_shape[1] = -4;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_SHAPE);
    t = from_others();
    int64_t many[65];
    for (int i = 0; i < 65; i++)
        many[i] = 1;
    t.dl.ndim = 65;
    t.dl.shape = many;
    t.dl.strides = many;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_OVERFLOW);
    t = from_others();
    foreign_shape[0] = (int64_t)1 << 62;
    foreign_shape[1] = 16;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_OVERFLOW);
    t = from_others();
    foreign_strides[0] = (int64_t)1 << 61; /* times 8 bytes */
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_OVERFLOW);
    t = from_others();
    t.dl.lanes = 2;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_DTYPE);
    t = from_others();
    t.dl.shape = NULL;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_NULL);
    t = from_others();
    t.dl.data = NULL;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_NULL);
    t = from_others();
    t.dl.data = (void *)(uintptr_t)0xdead000000000000; /* of no process */
    CHECK(try_import(&t, 0) == TN_ERR_RANGE && try_import(&t, TN_BORROW) == TN_ERR_RANGE);
    t = from_others();
    t.dl.data = (void *)(uintptr_t)8;
    CHECK(try_import(&t, 0) == TN_ERR_RANGE && says("0x8"));
    t = from_others();
    t.dl.data = NULL;
    foreign_shape[0] = 0; /* no elements: data may be NULL */
    a = NULL;
    OK(tn_array_import_dlpack_versioned(&t, TN_BORROW, &a, NULL));
    CHECK(info_of(a).count == 0);
    drop(a);
    CHECK(deleted == 1);
    t = from_others();
    CHECK(try_import(&t, TN_BORROW | TN_EXPORT_WRITABLE) == TN_ERR_INVALID &&
          try_import(&t, 1u << 31) == TN_ERR_INVALID);
    FAILS(tn_array_import_dlpack_versioned(&t, TN_BORROW, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_dlpack_versioned(NULL, TN_BORROW, &a, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_dlpack(NULL, TN_BORROW, &a, NULL), TN_ERR_NULL);
    CHECK(deleted == 0);
}

static void where_the_first_element_is(void) /* DL-22 */
{
    versioned t = from_others();
    t.dl.byte_offset = 24;
    tn_array *a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(address(a) == (void *)(foreign + 3) && HOLDS(a, 3, 4, 5, 6, 7, 8, 9, 10));
    drop(a);
    t = from_others();
    t.dl.byte_offset = UINT64_MAX - 7;
    CHECK(try_import(&t, TN_BORROW) != TN_OK);

    const uint32_t copies[2] = {TN_BORROW, TN_TAKE_OWNERSHIP};
    for (int i = 0; i < 2; i++) {
        t = from_others();
        t.dl.byte_offset = 4;
        a = import_as(TN_COPIED, &t, copies[i]);
        CHECK(deleted == 1 && (info_of(a).flags & TN_FOREIGN) == 0);
        drop(a);
        CHECK(deleted == 1);
    }
    t = from_others();
    t.dl.byte_offset = 4;
    CHECK(try_import(&t, TN_REQUIRE_BORROW) == TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(1));
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
}

static void versions(void) /* DL-23 */
{
    versioned t = from_others();
    t.major = 2;
    t.dl.data = (void *)(uintptr_t)1; /* no other field may be read */
    t.dl.shape = (int64_t *)(uintptr_t)1;
    tn_array *a = UNTOUCHED;
    FAILS(tn_array_import_dlpack_versioned(&t, TN_BORROW, &a, NULL), TN_ERR_UNSUPPORTED);
    CHECK(deleted == 1 && a == UNTOUCHED);
    t = from_others();
    t.major = 0;
    t.deleter = NULL;
    FAILS(tn_array_import_dlpack_versioned(&t, TN_BORROW, &a, NULL), TN_ERR_UNSUPPORTED);
    CHECK(a == UNTOUCHED);
    t = from_others();
    t.minor = 99;
    a = import_as(TN_ALIASED, &t, TN_BORROW);
    drop(a);
    t = from_others();
    t.minor = 99;
    t.dl.code = 17;
    CHECK(try_import(&t, TN_BORROW) == TN_ERR_DTYPE);
    t = from_others();
    t.minor = 99;
    t.dl.device.type = 99;
    CHECK(try_import(&t, TN_BORROW) != TN_OK);
}

static void who_may_write(void) /* DL-24, DL-25 */
{
    versioned t = from_others();
    t.flags = READ_ONLY | 1u << 20; /* unknown bits are ignored */
    tn_array *a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK((info_of(a).flags & TN_READONLY) && try_write(a, 0) == TN_ERR_READONLY);
    drop(a);
    t = from_others();
    a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(try_write(a, 0) == TN_OK && try_write(a, TN_WRITE_UNIQUE) == TN_ERR_FOREIGN);
    drop(a);
    t = from_others();
    a = import_as(TN_ALIASED, &t, TN_BORROW | TN_IMPORT_READONLY);
    CHECK(try_write(a, 0) == TN_ERR_READONLY);
    drop(a);
    t = from_others();
    t.flags = IS_COPIED; /* the producer says that it is unshared */
    a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(why(a) == 0 && try_write(a, TN_WRITE_UNIQUE) == TN_OK);
    drop(a);
    const uint32_t ours[2] = {TN_TAKE_OWNERSHIP, TN_MAY_OVERWRITE};
    for (int i = 0; i < 2; i++) {
        t = from_others();
        a = import_as(TN_ALIASED, &t, ours[i]);
        CHECK(why(a) == 0 && (info_of(a).flags & TN_FOREIGN) == 0);
        drop(a);
        CHECK(deleted == 1);
    }
    legacy l = from_others_legacy();
    tn_how how = 0;
    OK(tn_array_import_dlpack(&l, TN_BORROW, &a, &how));
    CHECK(how == TN_ALIASED && try_write(a, 0) == TN_ERR_READONLY && deleted == 0);
    drop(a);
    CHECK(deleted == 1);
    l = from_others_legacy();
    OK(tn_array_import_dlpack(&l, TN_BORROW | TN_IMPORT_WRITABLE, &a, &how));
    CHECK(try_write(a, 0) == TN_OK && why(a) == TN_WHY_FOREIGN);
    drop(a);
    l = from_others_legacy();
    OK(tn_array_import_dlpack(&l, 0, &a, &how));
    CHECK(how == TN_COPIED && deleted == 1);
    drop(a);

    t = from_others();
    foreign_strides[0] = 0;
    a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK((info_of(a).flags & (TN_READONLY | TN_SELF_OVERLAP)) == (TN_READONLY | TN_SELF_OVERLAP));
    CHECK(HOLDS(a, 0, 1, 2, 3, 0, 1, 2, 3));
    drop(a);
    t = from_others();
    foreign_strides[0] = -4;
    t.dl.byte_offset = 32;
    a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(HOLDS(a, 4, 5, 6, 7, 0, 1, 2, 3) && try_write(a, 0) == TN_OK);
    drop(a);
}

static void claimed_device(void) /* DL-26, without a driver */
{
    if (gpus() > 0) {
        printf("skipped DL-26: this machine has a driver\n");
        return;
    }
    const int32_t types[2] = {TN_CUDA, TN_CUDA_MANAGED};
    for (int i = 0; i < 2; i++) {
        versioned t = from_others();
        t.dl.device.type = types[i];
        CHECK(try_import(&t, TN_BORROW) == TN_ERR_DEVICE);
    }
    versioned t = from_others();
    t.dl.device.type = TN_CUDA_HOST;
    tn_array *a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(info_of(a).device.type == TN_CPU && HOLDS(a, 0, 1, 2, 3, 4, 5, 6, 7));
    drop(a);
}

static void bytes_of_a_known_store(void) /* DL-27: bytes of a known store */
{
    versioned t = from_others();
    tn_array *a = import_as(TN_ALIASED, &t, TN_BORROW), *b = NULL;
    versioned again = {.major = 1, .minor = 1, .deleter = delete_versioned, .dl = tensor()};
    b = import_as(TN_ALIASED, &again, TN_REQUIRE_BORROW);
    CHECK(claims(a) == 2 && why(a) == (TN_WHY_SHARED | TN_WHY_FOREIGN));
    versioned third = {.major = 1, .minor = 1, .deleter = delete_versioned, .dl = tensor()};
    CHECK(try_import(&third, TN_TAKE_OWNERSHIP) == TN_ERR_ALIASED && try_import(&third, TN_MAY_OVERWRITE) == TN_ERR_ALIASED);
    drop(a);
    CHECK(deleted == 1 && why(b) == TN_WHY_FOREIGN); /* each deleter belongs to the lease of its own handle */
    drop(b);
    CHECK(deleted == 2);

    /* Tenure's bytes in another library's tensor */
    tn_array *ours = numbers(NULL, SHAPE(2, 4));
    t = from_others();
    t.dl.data = address(ours);
    a = import_as(TN_ALIASED, &t, TN_BORROW);
    CHECK(claims(ours) == 2 && why(ours) == (TN_WHY_SHARED | TN_WHY_FOREIGN));
    drop(a);
    CHECK(deleted == 1 && why(ours) == 0);
    drop(ours);
}

static void our_own_comes_back(void) /* DL-28, XI-22 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *v = block(a, 0, 2, 1, 2, TN_NONE, -1);
    versioned *t = export_as(TN_ALIASED, v, XR);
    tn_array *back = import_as(TN_ALIASED, t, TN_BORROW);
    CHECK(why(a) == TN_WHY_SHARED && claims(a) == 3); /* no export any more, no lease, one claim */
    CHECK(HOLDS(back, 2, 1, 0, 5, 4, 3) && (info_of(back).flags & (TN_READONLY | TN_FOREIGN)) == TN_READONLY);
    CHECK(info_of(back).strides[1] == -8 && (info_of(v).flags & TN_READONLY) == 0);
    drop(back);
    t = export_as(TN_ALIASED, v, XS);
    drop(v); /* the exporting handle may be released */
    back = import_as(TN_ALIASED, t, TN_REQUIRE_BORROW);
    CHECK(claims(a) == 2 && (info_of(back).flags & (TN_READONLY | TN_FOREIGN)) == 0 && HOLDS(back, 2, 1, 0, 5, 4, 3));
    drop(a);
    CHECK(why(back) == 0);
    legacy *l = legacy_as(TN_ALIASED, back, XS);
    tn_how how = 0;
    OK(tn_array_import_dlpack(l, TN_BORROW | TN_IMPORT_WRITABLE, &a, &how));
    CHECK(how == TN_ALIASED && why(a) == TN_WHY_SHARED && claims(a) == 2 && try_write(a, 0) == TN_OK);
    drop(a);
    CHECK(why(back) == 0);
    drop(back);
}

static void our_own_comes_back_as_asked(void) /* DL-28 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *back = NULL;
    versioned *t = export_as(TN_ALIASED, a, XS);
    back = import_as(TN_ALIASED, t, TN_BORROW | TN_IMPORT_READONLY);
    CHECK((info_of(back).flags & TN_READONLY) != 0 && try_write(back, 0) == TN_ERR_READONLY && why(a) == TN_WHY_SHARED);
    drop(back);
    legacy *l = legacy_as(TN_ALIASED, a, XS);
    OK(tn_array_import_dlpack(l, TN_BORROW | TN_IMPORT_READONLY, &back, NULL));
    CHECK((info_of(back).flags & TN_READONLY) != 0 && try_write(a, 0) == TN_OK);
    drop(back);
    drop(a);
}

/* ---- the exchange table ---- */
struct DLPackExchangeAPI {
    uint32_t major, minor;
    void *prev_api;
    int (*allocator)(dl_tensor *prototype, versioned **out, void *context,
                     void (*set_error)(void *context, const char *kind, const char *message));
    int (*from_py_object)(void *object, versioned **out);
    int (*to_py_object)(versioned *tensor, void **out);
    int (*dltensor_from_py_object)(void *object, dl_tensor *out);
    int (*current_work_stream)(int type, int32_t id, void **out);
};
typedef struct DLPackExchangeAPI exchange_api;
_Static_assert(sizeof(exchange_api) == 56 && offsetof(exchange_api, prev_api) == 8 && offsetof(exchange_api, allocator) == 16 &&
               offsetof(exchange_api, current_work_stream) == 48, "DLPackExchangeAPI");

static int from_object(void *object, versioned **out) { (void)object; (void)out; return -1; }
static int to_object(versioned *tensor, void **out) { (void)tensor; (void)out; return -1; }
static int other_to_object(versioned *tensor, void **out) { (void)tensor; (void)out; return -2; }
static int view_of_object(void *object, dl_tensor *out) { (void)object; (void)out; return -1; }

static char said[2][600];
static int times_said;

static void set_error(void *context, const char *kind, const char *message)
{
    CHECK(context == (void *)said);
    times_said++;
    snprintf(said[0], sizeof said[0], "%s", kind);
    snprintf(said[1], sizeof said[1], "%s", message);
}

static void the_exchange_table(void) /* DL-50 */
{
    const exchange_api *api = UNTOUCHED, *again = NULL;
    FAILS(tn_dlpack_exchange_api(NULL), TN_ERR_NULL);
    FAILS(tn_dlpack_exchange_api(&api), TN_ERR_UNSUPPORTED); /* no Python here */
    CHECK(api == UNTOUCHED && strstr(tn_last_error(), "Python") != NULL);
    FAILS(tn_dlpack_register_python(NULL), TN_ERR_NULL);
    exchange_api slots = {.from_py_object = from_object, .to_py_object = to_object};
    FAILS(tn_dlpack_register_python(&slots), TN_ERR_NULL);
    CHECK(strstr(tn_last_error(), "dltensor_from_py_object_no_sync") != NULL);
    FAILS(tn_dlpack_exchange_api(&api), TN_ERR_UNSUPPORTED);
    slots.dltensor_from_py_object = view_of_object;
    OK(tn_dlpack_register_python(&slots));
    OK(tn_dlpack_register_python(&slots));
    OK(tn_dlpack_exchange_api(&api));
    OK(tn_dlpack_exchange_api(&again));
    CHECK(api == again && api->major == 1 && api->minor == 3 && api->prev_api == NULL && api->allocator != NULL);
    CHECK(api->from_py_object == from_object && api->to_py_object == to_object && api->current_work_stream != NULL);
    CHECK(api->dltensor_from_py_object == view_of_object);
    slots.to_py_object = other_to_object;
    FAILS(tn_dlpack_register_python(&slots), TN_ERR_INVALID);
    CHECK(api->to_py_object == to_object);
    void *stream = UNTOUCHED;
    CHECK(api->current_work_stream(TN_CPU, 0, &stream) == 0 && stream == NULL);
}

/* A prototype that must be refused; returns the message. */
static const char *refused(const exchange_api *api, dl_tensor prototype)
{
    versioned *out = UNTOUCHED;
    int before = times_said;
    CHECK(api->allocator(&prototype, &out, said, set_error) != 0 && out == UNTOUCHED && times_said == before + 1);
    return said[0];
}

static uint64_t live(tn_pool *pool)
{
    tn_pool_stats stats = {.size = sizeof stats};
    OK(tn_pool_query(pool, &stats));
    return stats.live_blocks;
}

static void memory_for_a_consumer(void) /* DL-51 */
{
    const exchange_api *api = NULL;
    OK(tn_dlpack_exchange_api(&api));
    tn_pool *pool = own_pool("dl-51");
    OK(tn_pool_set_current(pool));
    /* type, shape and device count; data, strides and offset of a prototype do not */
    dl_tensor prototype = tensor();
    prototype.data = NULL;
    prototype.byte_offset = UINT64_MAX;
    versioned *t = NULL;
    times_said = 0;
    CHECK(api->allocator(&prototype, &t, said, set_error) == 0 && times_said == 0);
    CHECK(t->major == 1 && t->flags == 0 && t->dl.ndim == 2 && t->dl.shape[0] == 2 && t->dl.shape[1] == 4);
    CHECK(t->dl.strides[0] == 4 && t->dl.strides[1] == 1 && t->dl.code == 0 && t->dl.bits == 64 && t->dl.byte_offset == 0);
    CHECK((uintptr_t)t->dl.data % 256 == 0 && live(pool) == 1);
    ((int64_t *)t->dl.data)[7] = 5;
    /* imported again, it has no other holder */
    tn_array *a = import_as(TN_ALIASED, t, TN_BORROW);
    CHECK(why(a) == 0 && try_write(a, TN_WRITE_UNIQUE) == TN_OK);
    tn_borrow *reader = reading(a);
    CHECK(((int64_t *)address(a))[7] == 5);
    end(reader);
    drop(a);
    CHECK(live(pool) == 0);
    prototype.shape[1] = 0; /* no elements, no memory */
    CHECK(api->allocator(&prototype, &t, said, NULL) == 0 && t->dl.data == NULL && t->dl.shape[0] == 2);
    t->deleter(t);
    prototype.ndim = 0;
    CHECK(api->allocator(&prototype, &t, said, set_error) == 0 && t->dl.data != NULL && times_said == 0);
    t->deleter(t);

    prototype = tensor();
    prototype.device.type = 7;
    CHECK(strcmp(refused(api, prototype), "BufferError") == 0 && strstr(said[1], "(7, 0)") != NULL);
    prototype = tensor();
    prototype.bits = 3;
    CHECK(strcmp(refused(api, prototype), "BufferError") == 0);
    prototype = tensor();
    prototype.shape = NULL;
    CHECK(strcmp(refused(api, prototype), "BufferError") == 0);
    prototype = tensor();
    prototype.shape[0] = -1;
    CHECK(strcmp(refused(api, prototype), "BufferError") == 0 && strstr(said[1], "-1") != NULL);
    prototype.shape[0] = (int64_t)1 << 45;
    CHECK(strcmp(refused(api, prototype), "MemoryError") == 0);
    versioned *out = UNTOUCHED;
    CHECK(api->allocator(&prototype, &out, said, NULL) != 0 && out == UNTOUCHED); /* no error callback */
    CHECK(api->allocator(NULL, &out, said, set_error) != 0 && api->allocator(&prototype, NULL, said, set_error) != 0);
    CHECK(live(pool) == 0);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(pool));
}

static void element_types(void) /* DL-30 */
{
    static const tn_dtype types[15] = {TN_BOOL, TN_I8, TN_I16, TN_I32, TN_I64, TN_U8,   TN_U16, TN_U32,
                                       TN_U64,  TN_F16, TN_BF16, TN_F32, TN_F64, TN_C64, TN_C128};
    for (int i = 0; i < 15; i++) {
        tn_array *a = zeros(NULL, types[i], SHAPE(2, 3)), *b = NULL;
        versioned *t = export_as(TN_ALIASED, a, XS);
        CHECK(t->dl.code == (types[i] & 0xff) && t->dl.bits == ((types[i] >> 8) & 0xff) && t->dl.lanes == 1);
        versioned others = from_others();
        others.dl.code = t->dl.code;
        others.dl.bits = t->dl.bits;
        foreign_shape[0] = 1;
        b = import_as(TN_ALIASED, &others, TN_BORROW);
        CHECK(info_of(b).dtype == types[i] && info_of(b).bytes == 4 * (uint64_t)t->dl.bits / 8);
        t->deleter(t);
        drop(b);
        drop(a);
    }
    const struct {
        uint8_t code, bits;
    } wrong[7] = {{6, 1}, {2, 8}, {3, 64}, {0, 4}, {10, 8}, {2, 128}, {4, 8}};
    for (int i = 0; i < 7; i++) {
        versioned t = from_others();
        t.dl.code = wrong[i].code;
        t.dl.bits = wrong[i].bits;
        CHECK(try_import(&t, TN_BORROW) == TN_ERR_DTYPE);
    }
}

static void each_row(void)
{
    what_is_written();
    strides_that_are_no_whole_elements();
    no_elements();
    negative_and_zero_strides();
    extents_of_one();
    the_legacy_struct();
    deleters();
    options();
    who_calls_the_deleter();
    invalid_tensors();
    where_the_first_element_is();
    versions();
    who_may_write();
    claimed_device();
    bytes_of_a_known_store();
    our_own_comes_back();
    our_own_comes_back_as_asked();
    element_types();
}

enum { MANY = 100, RESTING = 64 };

/* From now on this thread has structs to reuse. A faulty second call of a deleter is detected until the struct is reused, oldest first. */
static void used_again_oldest_first(void) /* DL-12 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    versioned *t[MANY];
    for (int i = 0; i < MANY; i++)
        t[i] = export_as(TN_ALIASED, a, XS);
    for (int i = 0; i < MANY; i++)
        t[i]->deleter(t[i]);
    CHECK(why(a) == 0);

    versioned *first = export_as(TN_ALIASED, a, XS);
    void (*deleter)(versioned *) = first->deleter;
    deleter(first);
    int again = 0;
    for (int i = 0; i < RESTING; i++) {
        versioned *next = export_as(TN_ALIASED, a, XS);
        CHECK(next != first);
        if (i % 16 == 0) {
            deleter(first);
            CHECK(count_holders(a, TN_HOLDER_EXPORT_SHARED) == 1);
        }
        for (int k = 0; k < MANY; k++)
            again += next == t[k];
        next->deleter(next);
    }
    CHECK(again > 0);
    drop(a);
}

/* Structs that a thread deletes for other threads go back to those threads. */
static void deleted_elsewhere(void)
{
    tn_array *a = numbers(NULL, SHAPE(4));
    versioned *t[3 * MANY];
    for (int i = 0; i < 3 * MANY; i++)
        t[i] = export_as(TN_ALIASED, a, XR);
    for (int i = 0; i < 3 * MANY; i++) {
        pthread_t thread;
        if (i < 3)
            CHECK(pthread_create(&thread, NULL, delete_elsewhere, t[i]) == 0 && pthread_join(thread, NULL) == 0);
        else
            t[i]->deleter(t[i]);
    }
    CHECK(count_holders(a, TN_HOLDER_EXPORT_READ) == 0);
    drop(a);
}

/* An export on the fast path leaves its layout in the array's slot; the handle may be released, given, or moved to a copy meanwhile. */
static void the_layout_stays(void) /* XC-4 */
{
    tn_array *a = numbers(NULL, SHAPE(3, 4)), *v = block(a, 1, 3, 1, 3, TN_NONE, 1), *taken = NULL;
    versioned *t = export_as(TN_ALIASED, v, XS), *u = export_as(TN_ALIASED, v, XS);
    tn_promise *promise = NULL;
    OK(tn_array_give(v, 1, &promise));
    OK(tn_take(1, &promise, &taken));
    OK(tn_promise_release(promise));
    CHECK(count_holders(taken, TN_HOLDER_EXPORT_SHARED) == 2);
    drop(v);
    u->deleter(u);
    CHECK(count_holders(taken, TN_HOLDER_EXPORT_SHARED) == 1);

    /* a COW write leaves the old store to the export, which ends with it */
    u = export_as(TN_ALIASED, taken, XS);
    drop(a);
    tn_borrow *guard = NULL;
    void *data = NULL;
    OK(tn_array_borrow_write(taken, TN_WRITE_COW, NULL, &data, NULL, &guard));
    CHECK(data != u->dl.data && t->dl.data == u->dl.data && ((int64_t *)u->dl.data)[0] == 7);
    OK(tn_borrow_end(guard, 0, NULL));
    t->deleter(t);
    CHECK(((int64_t *)u->dl.data)[0] == 7 && why(taken) == 0);
    u->deleter(u);
    size_t n = 0;
    drop(taken);
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &n));
    CHECK(n == 0);
}

int main(void)
{
    each_row();
    the_exchange_table();
    memory_for_a_consumer();
    the_layout_stays();
    /* once more on the fast path, for a thread with structs to reuse */
    used_again_oldest_first();
    each_row();
    memory_for_a_consumer();
    the_layout_stays();
    deleted_elsewhere();
    return finish();
}
