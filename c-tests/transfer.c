/*
 * transfer.c - copies, fills and moves on the host (TR-1 to TR-5, TR-8, TR-9, TR-16 to TR-18, TR-21, TR-22).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"

static void refused_before_a_byte_moves(void) /* TR-1 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *b = zeros(NULL, TN_I64, SHAPE(3, 1)), *c = zeros(NULL, TN_I64, SHAPE(1));
    tn_array *u = zeros(NULL, TN_U64, SHAPE(3)), *wide = broadcast(c, SHAPE(3)), *f = zeros(NULL, TN_F64, SHAPE(3));
    FAILS(tn_array_copy_into(a, u, 0, NULL), TN_ERR_DTYPE);
    FAILS(tn_array_copy_into(a, f, 0, NULL), TN_ERR_DTYPE);
    FAILS(tn_array_copy_into(a, b, 0, NULL), TN_ERR_SHAPE);
    FAILS(tn_array_copy_into(b, a, 0, NULL), TN_ERR_SHAPE);
    FAILS(tn_array_copy_into(c, a, 0, NULL), TN_ERR_SHAPE);
    FAILS(tn_array_copy_into(a, wide, 0, NULL), TN_ERR_READONLY);
    FAILS(tn_array_copy_into(a, u, TN_WRITE_UNIQUE | TN_WRITE_COW, NULL), TN_ERR_INVALID);
    FAILS(tn_array_copy_into(a, a, 1u << 31, NULL), TN_ERR_INVALID);
    CHECK(HOLDS(a, 0, 1, 2) && HOLDS(b, 0, 0, 0) && HOLDS(c, 0));
    OK(tn_array_copy_into(wide, a, 0, NULL)); /* a source may have elements that share bytes */
    CHECK(HOLDS(a, 0, 0, 0) && why(a) == 0);
    drop(wide);
    drop(a);
    drop(b);
    drop(c);
    drop(u);
    drop(f);
}

static uint64_t random_state = 1;

static int64_t random_below(int64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

#define SIDE  6
#define TOTAL (SIDE * SIDE * SIDE)

/* A random view of shape {n0, n1, n2} on a fresh 6 x 6 x 6 array, and the position of each of its elements. */
static tn_array *random_view(tn_array *base, const int64_t *shape, int64_t *where)
{
    int32_t axes[3] = {0, 1, 2};
    for (int k = 2; k > 0; k--) {
        int64_t other = random_below(k + 1);
        int32_t swap = axes[k];
        axes[k] = axes[other];
        axes[other] = swap;
    }
    tn_slice_spec specs[3];
    int64_t start[3], step[3];
    static const int64_t stride[3] = {SIDE * SIDE, SIDE, 1};
    for (int k = 0; k < 3; k++) { /* axis k of the result is axis axes[k] of the base */
        int64_t n = shape[k], largest = n > 1 ? (SIDE - 1) / (n - 1) : 1;
        step[k] = (1 + random_below(largest)) * (random_below(2) ? 1 : -1);
        int64_t span = (n > 0 ? n - 1 : 0) * (step[k] < 0 ? -step[k] : step[k]);
        int64_t low = random_below(SIDE - span);
        start[k] = step[k] > 0 ? low : low + span;
        int64_t stop = start[k] + n * step[k];
        specs[axes[k]] = (tn_slice_spec)TN_SLICE(start[k], stop < 0 ? TN_NONE : stop, step[k]);
        if (n == 0)
            specs[axes[k]] = (tn_slice_spec)TN_SLICE(0, 0, 1);
    }
    tn_array *cut = NULL, *out = NULL;
    OK(tn_array_slice(base, 3, specs, &cut));
    OK(tn_array_permute(cut, 3, axes, &out));
    drop(cut);
    int64_t i = 0;
    for (int64_t x = 0; x < shape[0]; x++)
        for (int64_t y = 0; y < shape[1]; y++)
            for (int64_t z = 0; z < shape[2]; z++)
                where[i++] = (start[0] + x * step[0]) * stride[axes[0]] + (start[1] + y * step[1]) * stride[axes[1]] +
                             (start[2] + z * step[2]) * stride[axes[2]];
    return out;
}

static void any_layout_to_any_other(void) /* TR-2, TR-3, TR-4 */
{
    static int64_t values[TOTAL], expected[TOTAL], got[TOTAL], from[TOTAL], to[TOTAL];
    for (int round = 0; round < rounds(3000); round++) {
        int64_t shape[3] = {1 + random_below(4), 1 + random_below(4), 1 + random_below(4)};
        int64_t n = shape[0] * shape[1] * shape[2];
        tn_array *first = numbers(NULL, SHAPE(SIDE, SIDE, SIDE));
        /* one third of the cases in one store */
        tn_array *second = round % 3 ? zeros(NULL, TN_I64, SHAPE(SIDE, SIDE, SIDE)) : clone(first);
        tn_array *source = random_view(first, shape, from), *target = random_view(second, shape, to);
        OK(tn_array_copy_to_host(second, expected, NULL, NULL));
        for (int64_t i = 0; i < TOTAL; i++)
            values[i] = i;
        for (int64_t i = 0; i < n; i++)
            expected[to[i]] = values[from[i]]; /* as if the source had been read in full first */
        OK(tn_array_copy_into(source, target, 0, NULL));
        OK(tn_array_copy_to_host(second, got, NULL, NULL));
        int same = memcmp(got, expected, sizeof got) == 0; /* the gaps are unchanged */
        CHECK(same);
        drop(source);
        drop(target);
        drop(first);
        drop(second);
        if (!same) {
            fprintf(stderr, "round %d\n", round);
            return;
        }
    }
}

static void overlapping(void) /* TR-4 */
{
    tn_array *x = numbers(NULL, SHAPE(6)), *head = part(x, 0, 5, 1), *tail = part(x, 1, 6, 1);
    OK(tn_array_copy_into(head, tail, 0, NULL));
    CHECK(HOLDS(x, 0, 0, 1, 2, 3, 4));
    OK(tn_array_copy_into(tail, head, 0, NULL));
    CHECK(HOLDS(x, 0, 1, 2, 3, 4, 4));
    tn_array *reversed = part(x, TN_NONE, TN_NONE, -1);
    OK(tn_array_copy_into(reversed, x, 0, NULL));
    CHECK(HOLDS(x, 4, 4, 3, 2, 1, 0));
    /* identical elements: nothing to do in any mode, also through one handle */
    uint64_t version = 0;
    tn_store_info store = {.size = sizeof store};
    size_t n = 0;
    OK(tn_holders_of(address(x), 8, sizeof(tn_holder), 0, &store, NULL, &n));
    version = store.version;
    tn_array *twin = clone(x);
    OK(tn_array_copy_into(x, x, 0, NULL));
    OK(tn_array_copy_into(x, twin, TN_WRITE_UNIQUE, NULL));
    OK(tn_array_copy_into(twin, x, TN_WRITE_COW, NULL));
    CHECK(address(x) == address(twin) && HOLDS(x, 4, 4, 3, 2, 1, 0));
    OK(tn_holders_of(address(x), 8, sizeof(tn_holder), 0, &store, NULL, &n));
    CHECK(store.version >= version);
    drop(twin);
    drop(head);
    drop(tail);
    drop(reversed);
    drop(x);

    tn_array *m = numbers(NULL, SHAPE(3, 3)), *t = NULL;
    OK(tn_array_transpose(m, &t));
    OK(tn_array_copy_into(t, m, 0, NULL));
    CHECK(HOLDS(m, 0, 3, 6, 1, 4, 7, 2, 5, 8));
    drop(t);
    drop(m);
}

static void conflicts(void) /* copies and fills take guards as any call does: BR-2, BR-3, ER-1 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *b = zeros(NULL, TN_I64, SHAPE(3));
    int64_t raw[3] = {7, 7, 7}, value = 1;
    tn_borrow *guard = writing(a, 0);
    FAILS(tn_array_copy_into(a, b, 0, NULL), TN_ERR_BORROWED_WRITE);
    FAILS(tn_array_copy_to_host(a, raw, NULL, NULL), TN_ERR_BORROWED_WRITE);
    FAILS(tn_array_copy_from_host(a, raw, NULL, 0, NULL), TN_ERR_BORROWED_WRITE);
    end(guard);
    guard = reading(b);
    FAILS(tn_array_copy_into(a, b, 0, NULL), TN_ERR_BORROWED);
    FAILS(tn_array_fill(b, &value, 0, NULL), TN_ERR_BORROWED);
    FAILS(tn_array_clear(b, 0, NULL), TN_ERR_BORROWED);
    end(guard);
    guard = exporting(b, XR);
    FAILS(tn_array_copy_from_host(b, raw, NULL, 0, NULL), TN_ERR_EXPORTED);
    end(guard);
    CHECK(HOLDS(a, 0, 1, 2) && HOLDS(b, 0, 0, 0) && raw[0] == 7 && why(a) == 0 && why(b) == 0);
    /* a poisoned source is refused, a poisoned destination healed */
    poison(b);
    FAILS(tn_array_copy_into(b, a, 0, NULL), TN_ERR_POISONED);
    CHECK(HOLDS(a, 0, 1, 2));
    OK(tn_array_copy_into(a, b, 0, NULL));
    CHECK(HOLDS(b, 0, 1, 2) && why(b) == 0);
    poison(b);
    OK(tn_array_copy_from_host(b, raw, NULL, 0, NULL));
    CHECK(HOLDS(b, 7, 7, 7));
    drop(a);
    drop(b);
}

static void a_new_array_on_the_host(void) /* TR-8 */
{
    tn_pool *pool = own_pool("tr-8");
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *f = NULL, *out = NULL;
    OK(tn_array_transpose(a, &f));
    OK(tn_array_to_device(a, HOST, pool, NULL, &out)); /* it is on the host already: a copy all the same */
    CHECK(address(out) != address(a) && HOLDS(out, 0, 1, 2, 3, 4, 5) && live_bytes(pool) == 48);
    CHECK(info_of(out).device.type == TN_CPU && info_of(out).strides[0] == 24);
    drop(out);
    OK(tn_array_to_device(f, HOST, pool, TN_STREAM_CURRENT, &out));
    CHECK(info_of(out).strides[0] == 8 && info_of(out).strides[1] == 24 && HOLDS(out, 0, 3, 1, 4, 2, 5));
    drop(out);
    out = UNTOUCHED;
    const tn_device nowhere = {TN_CPU, 5}, unknown = {99, 0};
    CHECK(tn_array_to_device(a, nowhere, NULL, NULL, &out) == TN_ERR_DEVICE);
    tn_status status = tn_array_to_device(a, unknown, NULL, NULL, &out);
    CHECK(status == TN_ERR_DEVICE || status == TN_ERR_UNSUPPORTED);
    CHECK(out == UNTOUCHED && claims(a) == 2 && live_bytes(pool) == 0);
    drop(f);
    drop(a);
    OK(tn_pool_release(pool));
}

static void a_given_array_moves(void) /* TR-30 */
{
    tn_pool *from = own_pool("tr-30 from"), *to = own_pool("tr-30 to");
    tn_array *a = numbers(from, SHAPE(2, 3)), *out = UNTOUCHED;
    const void *old = address(a);
    OK(tn_array_set_name(a, "moving"));
    tn_promise *p = give(a);
    FAILS(tn_promise_to_device(NULL, HOST, to, NULL, &out), TN_ERR_NULL);
    FAILS(tn_promise_to_device(p, HOST, to, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_promise_to_device((tn_promise *)a, HOST, to, NULL, &out), TN_ERR_KIND);
    const tn_device nowhere = {TN_CPU, 5};
    FAILS(tn_promise_to_device(p, nowhere, NULL, NULL, &out), TN_ERR_DEVICE);
    CHECK(out == UNTOUCHED && why(a) == TN_WHY_GIVEN && live_bytes(from) == 48 && live_bytes(to) == 0);
    OK(tn_promise_to_device(p, HOST, to, NULL, &out));
    CHECK(live_bytes(from) == 0 && live_bytes(to) == 48 && HOLDS(out, 0, 1, 2, 3, 4, 5));
    CHECK(address(out) != old && strcmp(info_of(out).name, "moving") == 0 && unique(out));
    tn_array *again = UNTOUCHED;
    FAILS(tn_promise_to_device(p, HOST, to, NULL, &again), TN_ERR_DESTRUCTED);
    CHECK(again == UNTOUCHED);
    FAILS(tn_array_copy(a, NULL, NULL, &again), TN_ERR_DESTRUCTED);
    OK(tn_promise_release(p));
    drop(a);
    /* it is there: taken, without a copy */
    old = address(out);
    p = give(out);
    OK(tn_promise_to_device(p, HOST, NULL, TN_STREAM_CURRENT, &again));
    CHECK(address(again) == old && live_bytes(to) == 48);
    OK(tn_promise_release(p));
    drop(out);
    /* beside another holder the bytes stay, and the array is a copy */
    tn_array *twin = NULL;
    OK(tn_array_clone(again, &twin));
    p = give(again);
    OK(tn_promise_to_device(p, HOST, from, NULL, &out));
    CHECK(live_bytes(to) == 48 && live_bytes(from) == 48 && address(twin) == old && unique(twin));
    OK(tn_promise_release(p));
    drop(again);
    drop(twin);
    drop(out);
    OK(tn_pool_release(from));
    OK(tn_pool_release(to));
}

static void raw_memory(void) /* TR-9, TR-3 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3));
    int64_t raw[12], canary[12];
    memset(raw, 0x5a, sizeof raw);
    memcpy(canary, raw, sizeof raw);
    /* a strided target: rows apart, last column first */
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = (int64_t[]){2, 3},
                        .strides = (int64_t[]){48, -8}, .offset = 24};
    OK(tn_array_copy_to_host(a, raw, &layout, NULL));
    for (int i = 0; i < 12; i++) {
        int row = i / 6, place = i % 6;
        int64_t expected = place >= 1 && place <= 3 ? row * 3 + (3 - place) : canary[i];
        CHECK(raw[i] == expected);
    }
    OK(tn_array_clear(a, 0, NULL));
    OK(tn_array_copy_from_host(a, raw, &layout, 0, NULL));
    CHECK(HOLDS(a, 0, 1, 2, 3, 4, 5));
    /* into a view: the gaps of the store are unchanged */
    tn_array *column = at(a, 1, 1);
    const int64_t two[2] = {70, 71};
    OK(tn_array_copy_from_host(column, two, NULL, 0, NULL));
    CHECK(HOLDS(a, 0, 70, 2, 3, 71, 5));
    int64_t back[2] = {0};
    OK(tn_array_copy_to_host(column, back, NULL, TN_STREAM_CURRENT));
    CHECK(back[0] == 70 && back[1] == 71);

    tn_layout wrong = layout;
    wrong.dtype = TN_F64;
    FAILS(tn_array_copy_to_host(a, raw, &wrong, NULL), TN_ERR_DTYPE);
    FAILS(tn_array_copy_from_host(a, raw, &wrong, 0, NULL), TN_ERR_DTYPE);
    wrong = layout;
    wrong.shape = (int64_t[]){3, 2};
    FAILS(tn_array_copy_to_host(a, raw, &wrong, NULL), TN_ERR_SHAPE);
    FAILS(tn_array_copy_from_host(a, raw, &wrong, 0, NULL), TN_ERR_SHAPE);
    wrong = layout;
    wrong.strides = (int64_t[]){0, 8};
    wrong.offset = 0;
    FAILS(tn_array_copy_to_host(a, raw, &wrong, NULL), TN_ERR_LAYOUT); /* a target must not have elements that share bytes */
    wrong.size = 0;
    FAILS(tn_array_copy_to_host(a, raw, &wrong, NULL), TN_ERR_INVALID);
    FAILS(tn_array_copy_to_host(a, NULL, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_copy_from_host(a, NULL, NULL, 0, NULL), TN_ERR_NULL);
    CHECK(HOLDS(a, 0, 70, 2, 3, 71, 5));
    wrong.size = sizeof wrong;
    OK(tn_array_copy_from_host(a, raw, &wrong, 0, NULL)); /* a source may */
    CHECK(why(a) == TN_WHY_SHARED);
    drop(column);
    drop(a);
}

static void fill_and_zero(void) /* TR-16, TR-3 */
{
    static const tn_dtype types[15] = {TN_BOOL, TN_I8, TN_I16, TN_I32, TN_I64, TN_U8,   TN_U16, TN_U32,
                                       TN_U64,  TN_F16, TN_BF16, TN_F32, TN_F64, TN_C64, TN_C128};
    for (int type = 0; type < 15; type++) {
        size_t item = (size_t)((types[type] >> 8) & 0xff) / 8;
        uint8_t value[16], bytes[30 * 16], before[30 * 16];
        for (int i = 0; i < 16; i++)
            value[i] = (uint8_t)(types[type] == TN_BOOL ? 1 : 0xa0 + i);
        tn_array *a = zeros(NULL, types[type], SHAPE(5, 6)), *v = block(a, 1, 5, 2, 5, TN_NONE, -2), *t = NULL;
        OK(tn_array_transpose(v, &t));
        OK(tn_array_fill(t, value, 0, NULL));
        OK(tn_array_copy_to_host(a, bytes, NULL, NULL));
        for (size_t i = 0; i < 30; i++) {
            int inside = (i / 6) % 2 == 1 && (i % 6) % 2 == 1;
            for (size_t k = 0; k < item; k++)
                CHECK(bytes[i * item + k] == (inside ? value[k] : 0));
        }
        OK(tn_array_fill(a, value, 0, NULL));
        memcpy(value, (uint8_t[16]){0}, 16);
        OK(tn_array_copy_to_host(a, before, NULL, NULL));
        OK(tn_array_clear(t, 0, NULL));
        OK(tn_array_copy_to_host(a, bytes, NULL, NULL));
        for (size_t i = 0; i < 30; i++) {
            int inside = (i / 6) % 2 == 1 && (i % 6) % 2 == 1;
            for (size_t k = 0; k < item; k++)
                CHECK(bytes[i * item + k] == (inside ? 0 : before[i * item + k]));
        }
        CHECK(before[0] != 0);
        drop(t);
        drop(v);
        drop(a);
    }
    tn_array *a = numbers(NULL, SHAPE(2));
    FAILS(tn_array_fill(a, NULL, 0, NULL), TN_ERR_NULL);
    CHECK(HOLDS(a, 0, 1));
    drop(a);
}

static void modes_of_fill(void) /* TR-17 */
{
    tn_pool *pool = own_pool("tr-17");
    tn_array *a = numbers(pool, SHAPE(3)), *twin = clone(a);
    int64_t value = 4;
    OK(tn_array_fill(a, &value, 0, NULL));
    CHECK(HOLDS(twin, 4, 4, 4));
    value = 5;
    FAILS(tn_array_fill(a, &value, TN_WRITE_UNIQUE, NULL), TN_ERR_SHARED);
    FAILS(tn_array_clear(a, TN_WRITE_UNIQUE, NULL), TN_ERR_SHARED);
    CHECK(HOLDS(twin, 4, 4, 4) && claims(a) == 2);
    OK(tn_array_fill(a, &value, TN_WRITE_COW, NULL));
    CHECK(HOLDS(a, 5, 5, 5) && HOLDS(twin, 4, 4, 4) && why(a) == 0 && why(twin) == 0 && allocations(pool) == 2);
    OK(tn_array_fill(a, &value, TN_WRITE_UNIQUE | TN_WRITE_DISCARD, NULL));
    OK(tn_array_copy_into(twin, a, TN_WRITE_UNIQUE, NULL));
    CHECK(HOLDS(a, 4, 4, 4));
    drop(a);
    drop(twin);
    OK(tn_pool_release(pool));
}

static void no_elements(void) /* TR-18 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *none = part(a, 2, 2, 1), *steps = part(a, 0, 0, 2);
    tn_array *other = zeros(NULL, TN_I64, SHAPE(0)), *wrong = zeros(NULL, TN_I64, SHAPE(0, 2));
    tn_borrow *guard = writing(a, 0);
    OK(tn_array_copy_into(none, other, 0, NULL));
    OK(tn_array_copy_into(other, steps, 0, NULL));
    OK(tn_array_copy_into(none, steps, 0, NULL));
    FAILS(tn_array_copy_into(wrong, other, 0, NULL), TN_ERR_SHAPE);
    end(guard);
    drop(none);
    drop(steps);
    drop(other);
    drop(wrong);
    drop(a);
}

static void host_streams(void) /* TR-21, TR-22 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *b = zeros(NULL, TN_I64, SHAPE(3)), *out = UNTOUCHED;
    tn_stream *constants[3] = {TN_STREAM_LEGACY, TN_STREAM_PER_THREAD, TN_STREAM_CURRENT};
    int64_t value = 6, raw[3];
    for (int i = 0; i < 3; i++) {
        OK(tn_array_clear(b, 0, constants[i]));
        OK(tn_array_copy_into(a, b, TN_REQUIRE_ASYNC | TN_WAIT, constants[i]));
        CHECK(HOLDS(b, 0, 1, 2));
        OK(tn_array_fill(b, &value, TN_WAIT, constants[i]));
        OK(tn_array_copy_to_host(b, raw, NULL, constants[i]));
        CHECK(raw[2] == 6);
        OK(tn_array_copy(b, NULL, constants[i], &out));
        drop(out);
        out = UNTOUCHED;
    }
    tn_stream *wrong = (tn_stream *)(void *)a;
    FAILS(tn_array_copy_into(a, b, 0, wrong), TN_ERR_KIND);
    FAILS(tn_array_copy(a, NULL, wrong, &out), TN_ERR_KIND);
    FAILS(tn_array_fill(b, &value, 0, wrong), TN_ERR_KIND);
    FAILS(tn_array_clear(b, 0, wrong), TN_ERR_KIND);
    FAILS(tn_array_copy_to_host(b, raw, NULL, wrong), TN_ERR_KIND);
    FAILS(tn_array_copy_from_host(b, raw, NULL, 0, wrong), TN_ERR_KIND);
    FAILS(tn_array_to_device(b, HOST, NULL, wrong, &out), TN_ERR_KIND);
    CHECK(out == UNTOUCHED && HOLDS(b, 6, 6, 6));
    OK(tn_device_synchronize(HOST));
    drop(a);
    drop(b);
}

int main(void)
{
    refused_before_a_byte_moves();
    any_layout_to_any_other();
    overlapping();
    conflicts();
    a_new_array_on_the_host();
    a_given_array_moves();
    raw_memory();
    fill_and_zero();
    modes_of_fill();
    no_elements();
    host_streams();
    return finish();
}
