/*
 * array.c - making arrays: shapes, orders, element types, names, wrong arguments (AR-1 to AR-13, AR-22, AR-26).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <stddef.h>

static const tn_dtype all_types[15] = {TN_BOOL, TN_I8, TN_I16, TN_I32, TN_I64, TN_U8,   TN_U16, TN_U32,
                                       TN_U64,  TN_F16, TN_BF16, TN_F32, TN_F64, TN_C64, TN_C128};

static size_t item_bytes(tn_dtype dtype)
{
    return (size_t)((dtype >> 8) & 0xff) / 8;
}

static tn_array *ordered(tn_pool *pool, int32_t order, int32_t ndim, const int64_t *shape)
{
    tn_array_options options = {.size = sizeof options, .order = order};
    tn_array *array = NULL;
    OK(tn_array_empty(pool, TN_F64, ndim, shape, &options, &array));
    return array;
}

/* Checks the strides of an array and releases it. */
static void has_strides(tn_array *array, int32_t ndim, const int64_t *strides)
{
    tn_array_info info = info_of(array);
    CHECK(info.ndim == ndim);
    for (int32_t axis = 0; axis < ndim; axis++)
        CHECK(info.strides[axis] == strides[axis]);
    drop(array);
}

static void fresh_array(void) /* AR-1 */
{
    tn_pool *pool = own_pool("ar-1");
    tn_pool_stats before = stats_of(pool);
    tn_array *a = empty(pool, TN_F64, SHAPE(3, 4));
    tn_array_info info = info_of(a);
    CHECK(info.dtype == TN_F64 && info.ndim == 2 && info.shape[0] == 3 && info.shape[1] == 4);
    CHECK(info.strides[0] == 32 && info.strides[1] == 8 && info.offset == 0);
    CHECK(info.bytes == 96 && info.count == 12 && info.store_bytes >= 96);
    CHECK(info.flags == (TN_C_CONTIGUOUS | TN_ALIGNED));
    CHECK(info.device.type == TN_CPU && info.device.id == 0);
    CHECK(info.name[0] == 0);
    tn_pool_stats after = stats_of(pool);
    CHECK(after.allocation_count == before.allocation_count + 1);
    CHECK(after.requested_bytes >= before.requested_bytes + 96);
    drop(a);
    CHECK(live_bytes(pool) == before.requested_bytes);

    /* pool NULL is the thread's current one */
    OK(tn_pool_set_current(pool));
    a = empty(NULL, TN_F64, SHAPE(3, 4));
    CHECK(allocations(pool) == before.allocation_count + 2);
    OK(tn_pool_set_current(NULL));
    tn_array *b = empty(NULL, TN_F64, SHAPE(3, 4));
    CHECK(allocations(pool) == before.allocation_count + 2);
    drop(a);
    drop(b);
    OK(tn_pool_release(pool));
}

static void column_order(void) /* AR-2 */
{
    tn_array *f = ordered(NULL, TN_ORDER_F, SHAPE(3, 4));
    CHECK(info_of(f).flags == (TN_F_CONTIGUOUS | TN_ALIGNED));
    has_strides(f, SHAPE(8, 24));

    tn_array *line = ordered(NULL, TN_ORDER_F, SHAPE(5));
    CHECK((info_of(line).flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS)) == (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS));
    has_strides(line, SHAPE(8));

    tn_array *point = empty(NULL, TN_F64, 0, NULL);
    tn_array_info info = info_of(point);
    CHECK(info.ndim == 0 && info.count == 1 && info.bytes == 8);
    CHECK((info.flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS)) == (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS));
    drop(point);
}

static void no_elements(void) /* AR-3 */
{
    tn_pool *pool = own_pool("ar-3");
    has_strides(empty(pool, TN_F64, SHAPE(0, 3)), SHAPE(24, 8));
    has_strides(empty(pool, TN_F64, SHAPE(2, 0, 3)), SHAPE(24, 24, 8));
    has_strides(ordered(pool, TN_ORDER_F, SHAPE(0, 3)), SHAPE(8, 8));

    tn_array *a = zeros(pool, TN_F64, SHAPE(0, 3)), *b = empty(pool, TN_F64, SHAPE(0, 3));
    tn_array_info info = info_of(a);
    CHECK(info.bytes == 0 && info.count == 0);
    CHECK((info.flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS)) == (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS));
    const void *data = UNTOUCHED;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(a, 0, NULL, &data, NULL, &guard));
    CHECK(data == NULL);
    end(guard);

    double one = 1;
    tn_array *copy = NULL, *full = NULL, *like = NULL, *moved = NULL, *view = NULL;
    OK(tn_array_full(pool, TN_F64, SHAPE(0, 3), &one, NULL, &full));
    OK(tn_array_like(a, pool, NULL, &like));
    OK(tn_array_copy(a, pool, NULL, &copy));
    OK(tn_array_to_device(a, HOST, pool, NULL, &moved));
    OK(tn_array_transpose(a, &view));
    CHECK(info_of(view).shape[0] == 3 && info_of(view).shape[1] == 0);
    OK(tn_array_fill(a, &one, 0, NULL));
    OK(tn_array_clear(a, 0, NULL));
    OK(tn_array_copy_into(a, b, 0, NULL));
    OK(tn_array_copy_to_host(a, &one, NULL, NULL));
    CHECK(one == 1);
    OK(tn_array_copy_from_host(a, &one, NULL, 0, NULL));
    tn_view_info exported;
    OK(tn_array_export_host(a, XR, 0, NULL, &exported, &guard, NULL));
    CHECK(exported.data == NULL && exported.ndim == 2 && exported.shape[1] == 3 && exported.bytes == 0);
    end(guard);
    drop(copy);
    drop(full);
    drop(like);
    drop(moved);
    drop(view);
    drop(a);
    drop(b);
    tn_pool_stats after = stats_of(pool);
    CHECK(after.allocation_count == 0 && after.device_allocate_count == 0 && after.reserved_bytes == 0);
    OK(tn_pool_release(pool));
}

static void aligned(void) /* AR-4 */
{
    tn_pool *pool = own_pool("ar-4");
    for (int type = 0; type < 15; type++)
        for (int64_t n = 1; n < 5000; n = n * 3 + 1) {
            tn_array *a = empty(pool, all_types[type], SHAPE(n)), *b = empty(pool, all_types[type], SHAPE(n));
            CHECK((uintptr_t)address(a) % 256 == 0 && (uintptr_t)address(b) % 256 == 0);
            CHECK(address(a) != address(b));
            drop(a);
            drop(b);
        }
    OK(tn_pool_release(pool));
}

static void zeros_over_dirt(void) /* AR-5 */
{
    tn_pool *pool = own_pool("ar-5");
    const int64_t sizes[4] = {1, 100, 5000, 300000};
    for (int i = 0; i < 4; i++) {
        uint8_t dirt = 0xff;
        tn_array *a = empty(pool, TN_U8, SHAPE(sizes[i]));
        OK(tn_array_fill(a, &dirt, 0, NULL));
        drop(a);
        a = zeros(pool, TN_U8, SHAPE(sizes[i]));
        const uint8_t *bytes = address(a);
        int64_t wrong = 0;
        tn_borrow *guard = reading(a);
        for (int64_t k = 0; k < sizes[i]; k++)
            wrong += bytes[k] != 0;
        CHECK(wrong == 0);
        end(guard);
        drop(a);
    }
    OK(tn_pool_release(pool));
}

static void full_of_any_bits(void) /* AR-6 */
{
    for (int type = 0; type < 15; type++) {
        size_t item = item_bytes(all_types[type]);
        /* bits that a conversion would change: for floats a NaN with a payload, for f64 and c128 also a -0.0 */
        uint8_t value[16] = {0x01, 0x7c, 0xa5, 0x7f, 0x11, 0x22, 0xf4, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0x80}, expected[16];
        if (all_types[type] == TN_BOOL)
            value[0] = 1;
        memcpy(expected, value, sizeof value);
        tn_array *a = NULL;
        OK(tn_array_full(NULL, all_types[type], SHAPE(3, 5), value, NULL, &a));
        memset(value, 0xee, sizeof value);
        uint8_t bytes[15 * 16];
        OK(tn_array_copy_to_host(a, bytes, NULL, NULL));
        for (size_t i = 0; i < 15; i++)
            CHECK(memcmp(bytes + i * item, expected, item) == 0);
        drop(a);
    }
    tn_array *a = UNTOUCHED;
    double zero = -0.0;
    uint64_t bits[2] = {7, 7};
    FAILS(tn_array_full(NULL, TN_F64, SHAPE(2), NULL, NULL, &a), TN_ERR_NULL);
    CHECK(a == UNTOUCHED);
    OK(tn_array_full(NULL, TN_F64, SHAPE(2), &zero, NULL, &a));
    OK(tn_array_copy_to_host(a, bits, NULL, NULL));
    CHECK(bits[0] == 0x8000000000000000u && bits[1] == bits[0]);
    drop(a);
}

static tn_array *like(tn_array *prototype, int32_t order)
{
    tn_array_options options = {.size = sizeof options, .order = order};
    tn_array *out = NULL;
    OK(tn_array_like(prototype, NULL, &options, &out));
    return out;
}

static void like_another(void) /* AR-7 */
{
    tn_array *c3 = zeros(NULL, TN_F64, SHAPE(2, 3, 4)), *p = NULL;
    OK(tn_array_permute(c3, 3, (int32_t[]){1, 2, 0}, &p)); /* (3,4,2) with strides (32,8,96) */
    has_strides(like(p, TN_ORDER_K), SHAPE(32, 8, 96));
    has_strides(like(p, TN_ORDER_C), SHAPE(64, 16, 8));
    has_strides(like(p, TN_ORDER_F), SHAPE(8, 24, 96));
    tn_array *plain = NULL;
    OK(tn_array_like(p, NULL, NULL, &plain));
    tn_array_info info = info_of(plain);
    CHECK(info.dtype == TN_F64 && info.ndim == 3 && info.shape[0] == 3 && info.shape[1] == 4 && info.shape[2] == 2);
    CHECK(unique(plain));
    has_strides(plain, SHAPE(64, 16, 8));
    drop(p);
    drop(c3);

    tn_array *d = zeros(NULL, TN_F64, SHAPE(4, 6));
    tn_array *every_other = block(d, TN_NONE, TN_NONE, 1, TN_NONE, TN_NONE, 2),
        *reversed = part(d, TN_NONE, TN_NONE, -1);
    has_strides(like(every_other, TN_ORDER_K), SHAPE(24, 8));
    has_strides(like(reversed, TN_ORDER_K), SHAPE(48, 8));
    drop(every_other);
    drop(reversed);
    drop(d);

    tn_array *column = zeros(NULL, TN_I16, SHAPE(3, 1)), *wide = broadcast(column, SHAPE(3, 4));
    has_strides(like(wide, TN_ORDER_K), SHAPE(8, 2));
    tn_array *line = zeros(NULL, TN_I16, SHAPE(4)), *rows = broadcast(line, SHAPE(3, 4));
    tn_array *fresh = like(rows, TN_ORDER_K);
    CHECK(info_of(fresh).flags == (TN_C_CONTIGUOUS | TN_ALIGNED));
    has_strides(fresh, SHAPE(8, 2));
    drop(column);
    drop(wide);
    drop(line);
    drop(rows);

    tn_array *f = ordered(NULL, TN_ORDER_F, SHAPE(3, 4));
    has_strides(like(f, TN_ORDER_A), SHAPE(8, 24));
    has_strides(like(f, TN_ORDER_C), SHAPE(32, 8));
    drop(f);
}

static void names(void) /* AR-8 */
{
    char text[80];
    memset(text, 'x', sizeof text);
    text[70] = 0;
    tn_array_options options = {.size = sizeof options, .name = text};
    tn_array *a = NULL;
    OK(tn_array_zeros(NULL, TN_I64, SHAPE(4), &options, &a));
    memset(text, 'y', 70);
    tn_array_info info = info_of(a);
    CHECK(strlen(info.name) == 63 && strspn(info.name, "x") == 63);

    /* 62 bytes and a character of two bytes: cut before it, never inside */
    memset(text, 'z', 62);
    memcpy(text + 62, "\xc3\xa9", 3);
    OK(tn_array_set_name(a, text));
    info = info_of(a);
    CHECK(strlen(info.name) == 62 && strspn(info.name, "z") == 62);

    OK(tn_array_set_name(a, "weights"));
    FAILS(tn_array_set_name(a, "bad \xff byte"), TN_ERR_INVALID);
    CHECK(says("byte 4") && says("\"bad \"") && says("0xff"));
    CHECK(strcmp(info_of(a).name, "weights") == 0);
    options.name = "bad \xc3";
    tn_array *b = UNTOUCHED;
    FAILS(tn_array_zeros(NULL, TN_I64, SHAPE(4), &options, &b), TN_ERR_INVALID);
    CHECK(b == UNTOUCHED);

    tn_array *twin = clone(a), *view = part(a, 0, 2, 1);
    CHECK(strcmp(info_of(twin).name, "weights") == 0);
    CHECK(info_of(view).name[0] == 0);
    tn_borrow *guard = reading(a);
    CHECK(try_write(twin, 0) == TN_ERR_BORROWED);
    CHECK(says("weights"));
    end(guard);
    OK(tn_array_set_name(a, NULL));
    CHECK(info_of(a).name[0] == 0 && strcmp(info_of(twin).name, "weights") == 0);
    drop(twin);
    drop(view);
    drop(a);
}

static void wrong_arguments(void) /* AR-9 */
{
    tn_pool *pool = own_pool("ar-9");
    tn_array *a = UNTOUCHED;
    int64_t ones[65];
    for (int i = 0; i < 65; i++)
        ones[i] = 1;
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_zeros(pool, TN_F64, SHAPE(3), NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_empty(pool, TN_F64, 1, NULL, NULL, &a), TN_ERR_NULL);
    FAILS(tn_array_empty(pool, TN_F64, -1, ones, NULL, &a), TN_ERR_SHAPE);
    CHECK(says("-1"));
    FAILS(tn_array_empty(pool, TN_F64, 65, ones, NULL, &a), TN_ERR_OVERFLOW);
    CHECK(says("65"));
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3, -7), NULL, &a), TN_ERR_SHAPE);
    CHECK(says("-7"));
    FAILS(tn_array_zeros(pool, TN_F64, SHAPE(0, -7), NULL, &a), TN_ERR_SHAPE);
    const tn_dtype wrong[8] = {0,
                               TN_CODE_FLOAT | 64 << 8,                /* no lanes */
                               TN_CODE_FLOAT | 64 << 8 | 0x20000u,     /* two lanes */
                               TN_DTYPE(TN_CODE_INT, 4),
                               TN_DTYPE(TN_CODE_BOOL, 1),
                               TN_DTYPE(TN_CODE_FLOAT, 128),
                               TN_DTYPE(3, 64),
                               0xffffffffu};
    for (int i = 0; i < 8; i++) {
        FAILS(tn_array_empty(pool, wrong[i], SHAPE(3), NULL, &a), TN_ERR_DTYPE);
        FAILS(tn_array_full(pool, wrong[i], SHAPE(3), ones, NULL, &a), TN_ERR_DTYPE);
    }
    tn_array_options options = {.size = sizeof options, .order = 7};
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), &options, &a), TN_ERR_INVALID);
    CHECK(says("7"));
    options.order = TN_ORDER_K;
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), &options, &a), TN_ERR_INVALID);
    options.order = -1;
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), &options, &a), TN_ERR_INVALID);
    options.order = TN_ORDER_C;
    options.flags = 1;
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), &options, &a), TN_ERR_INVALID);
    options.flags = 0;
    options.size = 0;
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), &options, &a), TN_ERR_INVALID);
    options.size = sizeof options - 8;
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), &options, &a), TN_ERR_INVALID);
    struct {
        tn_array_options known;
        uint64_t later;
    } longer = {.known = {.size = sizeof longer}, .later = 1};
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(3), &longer.known, &a), TN_ERR_INVALID);
    CHECK(a == UNTOUCHED && allocations(pool) == 0);
    longer.later = 0;
    OK(tn_array_empty(pool, TN_F64, SHAPE(3), &longer.known, &a));
    drop(a);
    a = NULL;
    OK(tn_array_empty(pool, TN_F64, 64, ones, NULL, &a));
    CHECK(info_of(a).ndim == 64 && info_of(a).shape[63] == 1 && info_of(a).strides[0] == 8);
    drop(a);
    OK(tn_pool_release(pool));
}

static void overflowing_sizes(void) /* AR-10 */
{
    tn_pool *pool = own_pool("ar-10");
    tn_array *a = UNTOUCHED;
    const int64_t k40 = (int64_t)1 << 40, k62 = (int64_t)1 << 62, k59 = (int64_t)1 << 59;
    FAILS(tn_array_empty(pool, TN_U8, SHAPE(k40, k40), NULL, &a), TN_ERR_OVERFLOW);
    FAILS(tn_array_zeros(pool, TN_U8, SHAPE(0, k62, k62), NULL, &a), TN_ERR_OVERFLOW);
    FAILS(tn_array_empty(pool, TN_C128, SHAPE(k59), NULL, &a), TN_ERR_OVERFLOW);
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(INT64_MAX), NULL, &a), TN_ERR_OVERFLOW);
    CHECK(a == UNTOUCHED);
    tn_pool_stats stats = stats_of(pool);
    CHECK(stats.allocation_count == 0 && stats.failure_count == 0);
    OK(tn_pool_release(pool));
}

static void too_large(void) /* AR-11 */
{
    tn_pool *pool = own_pool("ar-11");
    tn_array *a = UNTOUCHED;
    FAILS(tn_array_empty(pool, TN_U8, SHAPE((int64_t)1 << 62), NULL, &a), TN_ERR_NO_HOST_MEMORY);
    CHECK(says("4611686018427387904") || says("4194304 TiB"));
    FAILS(tn_array_zeros(pool, TN_U8, SHAPE(INT64_MAX), NULL, &a), TN_ERR_NO_HOST_MEMORY);
    CHECK(a == UNTOUCHED && live_bytes(pool) == 0);
    a = numbers(pool, SHAPE(3));
    CHECK(HOLDS(a, 0, 1, 2));
    drop(a);
    OK(tn_pool_release(pool));
}

static void past_4_gib(void) /* AR-12 */
{
    const int64_t n = ((int64_t)5 << 30) + 1;
    tn_pool *pool = own_pool("ar-12");
    tn_array *a = NULL;
    tn_status status = tn_array_empty(pool, TN_U8, SHAPE(n), NULL, &a);
    if (status == TN_ERR_NO_HOST_MEMORY) {
        printf("skipped AR-12: this machine does not give 5 GiB\n");
        OK(tn_pool_release(pool));
        return;
    }
    OK(status);
    tn_array *last = at(a, 0, -1), *same = part(a, n - 1, n, 1);
    uint8_t value = 0xa7, got = 0;
    OK(tn_array_fill(last, &value, 0, NULL));
    CHECK(info_of(last).offset == n - 1 && info_of(a).bytes == (uint64_t)n);
    OK(tn_array_copy_to_host(same, &got, NULL, NULL));
    CHECK(got == 0xa7);
    CHECK((uint8_t *)address(last) - (uint8_t *)address(a) == n - 1);
    drop(last);
    drop(same);
    drop(a);
    OK(tn_pool_release(pool));
}

static void query_writes_little(void) /* AR-13 */
{
    tn_pool *pool = own_pool("ar-13");
    tn_array *a = empty(pool, TN_F64, SHAPE(3, 4));
    tn_array_info info;
    memset(&info, 0x5a, sizeof info);
    tn_array_info canary = info;
    info.size = sizeof info;
    tn_pool_stats before = stats_of(pool);
    OK(tn_array_query(a, &info));
    CHECK(info.shape[1] == 4 && info.strides[1] == 8);
    CHECK(memcmp(info.shape + 2, canary.shape + 2, sizeof info.shape - 16) == 0);
    CHECK(memcmp(info.strides + 2, canary.strides + 2, sizeof info.strides - 16) == 0);
    CHECK(stats_of(pool).allocation_count == before.allocation_count && live_bytes(pool) == before.requested_bytes);

    info = canary;
    info.size = 0;
    FAILS(tn_array_query(a, &info), TN_ERR_INVALID);
    CHECK(memcmp((char *)&info + sizeof info.size, (char *)&canary + sizeof info.size,
                 sizeof info - sizeof info.size) == 0);
    FAILS(tn_array_query(a, NULL), TN_ERR_NULL);
    drop(a);
    OK(tn_pool_release(pool));
}

static void copy_is_dense(void) /* AR-22 */
{
    tn_pool *pool = own_pool("ar-22");
    tn_array *d = numbers(NULL, SHAPE(4, 6)), *copy = NULL;
    tn_array *steps = block(d, TN_NONE, TN_NONE, -2, 1, 6, 2);
    OK(tn_array_copy(steps, pool, NULL, &copy));
    CHECK(HOLDS(copy, 19, 21, 23, 7, 9, 11));
    CHECK(live_bytes(pool) == 48 && allocations(pool) == 1);
    CHECK(unique(copy) && why(copy) == 0);
    has_strides(copy, SHAPE(24, 8));

    tn_array *f = NULL;
    OK(tn_array_transpose(d, &f)); /* F-contiguous only: stays F */
    OK(tn_array_copy(f, pool, NULL, &copy));
    CHECK(HOLDS(f, 0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23));
    CHECK(HOLDS(copy, 0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23));
    has_strides(copy, SHAPE(8, 48));

    tn_array *line = part(steps, 0, 1, 1), *wide = broadcast(line, SHAPE(2, 3));
    OK(tn_array_copy(wide, pool, NULL, &copy));
    CHECK(HOLDS(copy, 19, 21, 23, 19, 21, 23));
    CHECK((info_of(copy).flags & TN_READONLY) == 0);
    OK(tn_array_clear(copy, 0, NULL));
    CHECK(HOLDS(wide, 19, 21, 23, 19, 21, 23));
    has_strides(copy, SHAPE(24, 8));

    /* pool NULL: the current one */
    OK(tn_pool_set_current(pool));
    OK(tn_array_copy(d, NULL, NULL, &copy));
    OK(tn_pool_set_current(NULL));
    CHECK(live_bytes(pool) == 192);
    drop(copy);
    drop(steps);
    drop(f);
    drop(line);
    drop(wide);
    drop(d);
    OK(tn_pool_release(pool));
}

/* Whether the pool counts a new block that is allocated through this pool handle. */
static int same_pool(tn_pool *handle, tn_pool *pool)
{
    void *raw = NULL;
    uint64_t before = live_bytes(pool);
    OK(tn_pool_allocate(handle, 100, 0, NULL, &raw));
    int same = live_bytes(pool) == before + 100;
    OK(tn_pool_deallocate(handle, raw, NULL));
    return same;
}

static void pool_of_an_array(void) /* AR-26 */
{
    tn_pool *pool = own_pool("ar-26"), *found = NULL;
    tn_array *a = numbers(pool, SHAPE(4)), *view = part(a, 1, 3, 1), *twin = clone(a);
    tn_promise *promise = give(a);
    tn_array *taker = take(promise);
    tn_array *through[3] = {view, twin, taker};
    for (int i = 0; i < 3; i++) {
        OK(tn_array_pool(through[i], &found));
        CHECK(same_pool(found, pool));
        OK(tn_pool_release(found));
    }
    OK(tn_promise_release(promise));
    drop(a);
    drop(view);
    drop(twin);
    drop(taker);

    int64_t bytes[4] = {0, 1, 2, 3};
    tn_array *lent = array_of(bytes, TN_BORROW, NULL, NULL, SHAPE(4));
    found = UNTOUCHED;
    FAILS(tn_array_pool(lent, &found), TN_ERR_FOREIGN);
    CHECK(found == UNTOUCHED);
    drop(lent);
    OK(tn_pool_release(pool));
}

int main(void)
{
    fresh_array();
    column_order();
    no_elements();
    aligned();
    zeros_over_dirt();
    full_of_any_bits();
    like_another();
    names();
    wrong_arguments();
    overflowing_sizes();
    too_large();
    past_4_gib();
    query_writes_little();
    copy_is_dense();
    pool_of_an_array();
    return finish();
}
