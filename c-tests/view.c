/*
 * view.c - layouts and views (LA-1 to LA-23), the worked examples X1 to X43, and two properties against a naive model: every view addresses
 * the right elements (LA-21), and no tier says "disjoint" for regions that share a byte (BR-26).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"

/* Checks layout and contiguity of a view against a row of the table, then releases it. */
static void is_row(int line, tn_array *v, int c, int f, int64_t offset, int32_t ndim, const int64_t *shape,
                   int32_t n_strides,
                   const int64_t *strides)
{
    tn_array_info info = info_of(v);
    int same = info.ndim == ndim && ndim == n_strides && info.offset == offset;
    for (int32_t axis = 0; same && axis < ndim; axis++)
        same = info.shape[axis] == shape[axis] && info.strides[axis] == strides[axis];
    same = same && ((info.flags & TN_C_CONTIGUOUS) != 0) == c && ((info.flags & TN_F_CONTIGUOUS) != 0) == f;
    if (!same) {
        fprintf(stderr, "row at line %d: offset %lld, flags %x,", line, (long long)info.offset, info.flags);
        for (int32_t axis = 0; axis < info.ndim; axis++)
            fprintf(stderr, " %lld:%lld", (long long)info.shape[axis], (long long)info.strides[axis]);
        fprintf(stderr, "\n");
    }
    CHECK(same);
    drop(v);
}
#define ROW(v, c, f, offset, ...) is_row(__LINE__, v, c, f, offset, __VA_ARGS__)
#define STRIDES SHAPE
#define ALL TN_NONE, TN_NONE, 1

static tn_array *try_reshape(tn_array *a, int32_t order, int32_t ndim, const int64_t *shape)
{
    tn_array *out = NULL;
    OK(tn_array_reshape(a, ndim, shape, order, &out));
    return out;
}

/* As above, and releases the intermediate array: a view needs no other handle (LA-1). */
static tn_array *then_reshape(tn_array *a, int32_t order, int32_t ndim, const int64_t *shape)
{
    tn_array *out = try_reshape(a, order, ndim, shape);
    drop(a);
    return out;
}

static void no_reshape(tn_array *a, int32_t order, int32_t ndim, const int64_t *shape, tn_status status)
{
    tn_array *out = UNTOUCHED;
    FAILS(tn_array_reshape(a, ndim, shape, order, &out), status);
    CHECK(out == UNTOUCHED);
}

static tn_array *transposed(tn_array *a)
{
    tn_array *out = NULL;
    OK(tn_array_transpose(a, &out));
    return out;
}

static tn_array *expanded(tn_array *a, int32_t axis)
{
    tn_array *out = NULL;
    OK(tn_array_expand(a, axis, &out));
    return out;
}

static tn_array *as_dtype(tn_array *a, tn_dtype dtype)
{
    tn_array *out = NULL;
    OK(tn_array_view_dtype(a, dtype, &out));
    return out;
}

static tn_array *make(tn_dtype dtype, int32_t order, int32_t ndim, const int64_t *shape)
{
    tn_array_options options = {.size = sizeof options, .order = order};
    tn_array *out = NULL;
    OK(tn_array_zeros(NULL, dtype, ndim, shape, &options, &out));
    return out;
}

static void worked_examples_reshape(void) /* X1 to X18, LA-3 */
{
    tn_array *c = make(TN_F64, TN_ORDER_C, SHAPE(3, 4)), *f = make(TN_F64, TN_ORDER_F, SHAPE(3, 4));
    tn_array *d = make(TN_F64, TN_ORDER_C, SHAPE(4, 6)), *c3 = make(TN_F64, TN_ORDER_C, SHAPE(2, 3, 4));
    ROW(clone(c), 1, 0, 0, SHAPE(3, 4), STRIDES(32, 8));
    ROW(clone(f), 0, 1, 0, SHAPE(3, 4), STRIDES(8, 24));
    ROW(try_reshape(c, TN_ORDER_C, SHAPE(12)), 1, 1, 0, SHAPE(12), STRIDES(8));
    ROW(try_reshape(c, TN_ORDER_C, SHAPE(2, 6)), 1, 0, 0, SHAPE(2, 6), STRIDES(48, 8));
    ROW(try_reshape(c, TN_ORDER_C, SHAPE(3, 2, 2)), 1, 0, 0, SHAPE(3, 2, 2), STRIDES(32, 16, 8));
    ROW(try_reshape(c, TN_ORDER_F, SHAPE(3, 2, 2)), 0, 0, 0, SHAPE(3, 2, 2), STRIDES(32, 8, 16));
    ROW(try_reshape(f, TN_ORDER_F, SHAPE(2, 6)), 0, 1, 0, SHAPE(2, 6), STRIDES(8, 16));
    ROW(try_reshape(f, TN_ORDER_C, SHAPE(3, 2, 2)), 0, 0, 0, SHAPE(3, 2, 2), STRIDES(8, 48, 24));
    ROW(try_reshape(f, TN_ORDER_F, SHAPE(3, 2, 2)), 0, 1, 0, SHAPE(3, 2, 2), STRIDES(8, 24, 48));
    ROW(try_reshape(c3, TN_ORDER_C, SHAPE(6, 4)), 1, 0, 0, SHAPE(6, 4), STRIDES(32, 8));
    ROW(block(d, ALL, TN_NONE, TN_NONE, 2), 0, 0, 0, SHAPE(4, 3), STRIDES(48, 16));
    ROW(then_reshape(block(d, ALL, TN_NONE, TN_NONE, 2), TN_ORDER_C, SHAPE(12)), 0, 0, 0, SHAPE(12), STRIDES(16));
    ROW(then_reshape(block(d, ALL, TN_NONE, TN_NONE, 2), TN_ORDER_C, SHAPE(2, 2, 3)), 0, 0, 0, SHAPE(2, 2, 3),
        STRIDES(96, 48, 16));
    ROW(then_reshape(block(d, ALL, TN_NONE, TN_NONE, 2), TN_ORDER_C, SHAPE(4, 1, 3)), 0, 0, 0, SHAPE(4, 1, 3),
        STRIDES(48, 48, 16));
    ROW(then_reshape(part(d, TN_NONE, TN_NONE, 2), TN_ORDER_C, SHAPE(2, 2, 3)), 0, 0, 0, SHAPE(2, 2, 3),
        STRIDES(96, 24, 8));
    ROW(part(d, TN_NONE, TN_NONE, -1), 0, 0, 144, SHAPE(4, 6), STRIDES(-48, 8));
    ROW(block(d, TN_NONE, TN_NONE, -1, TN_NONE, TN_NONE, -1), 0, 0, 184, SHAPE(4, 6), STRIDES(-48, -8));
    ROW(then_reshape(block(d, TN_NONE, TN_NONE, -1, TN_NONE, TN_NONE, -1), TN_ORDER_C, SHAPE(24)), 0, 0, 184, SHAPE(24),
        STRIDES(-8));
    /* an equal shape is a clone of the layout, contiguous or not */
    ROW(then_reshape(part(d, TN_NONE, TN_NONE, -1), TN_ORDER_F, SHAPE(4, 6)), 0, 0, 144, SHAPE(4, 6), STRIDES(-48, 8));
    /* a new axis of length 1 under order F: stride times length of the axis before it */
    ROW(try_reshape(f, TN_ORDER_F, SHAPE(3, 1, 4)), 0, 1, 0, SHAPE(3, 1, 4), STRIDES(8, 24, 24));
    drop(c);
    drop(f);
    drop(d);
    drop(c3);
}

static void worked_examples_slices(void) /* X19 to X29, LA-7, LA-8, LA-9, LA-11 */
{
    tn_array *d = make(TN_F64, TN_ORDER_C, SHAPE(4, 6)), *c3 = make(TN_F64, TN_ORDER_C, SHAPE(2, 3, 4)), *v = NULL;
    ROW(block(d, 3, 0, -2, 1, 5, 3), 0, 0, 152, SHAPE(2, 2), STRIDES(-96, 24));
    ROW(block(d, 1, 3, 1, -2, TN_NONE, 1), 0, 0, 80, SHAPE(2, 2), STRIDES(48, 8));
    ROW(part(d, 2, 2, 1), 1, 1, 0, SHAPE(0, 6), STRIDES(48, 8));
    ROW(part(d, 5, 10, 1), 1, 1, 0, SHAPE(0, 6), STRIDES(48, 8));
    ROW(part(d, 1, TN_NONE, 100), 1, 1, 48, SHAPE(1, 6), STRIDES(48, 8));
    ROW(at(d, 0, -1), 1, 1, 144, SHAPE(6), STRIDES(8));
    ROW(at(d, 1, 4), 0, 0, 32, SHAPE(4), STRIDES(48));
    ROW(transposed(d), 0, 1, 0, SHAPE(6, 4), STRIDES(8, 48));
    OK(tn_array_permute(c3, 3, (int32_t[]){2, 0, 1}, &v));
    ROW(v, 0, 0, 0, SHAPE(4, 2, 3), STRIDES(8, 96, 32));
    OK(tn_array_permute(c3, 3, (int32_t[]){-1, -3, -2}, &v));
    ROW(v, 0, 0, 0, SHAPE(4, 2, 3), STRIDES(8, 96, 32));
    tn_array *thin = make(TN_F64, TN_ORDER_C, SHAPE(1, 3, 1));
    OK(tn_array_squeeze(thin, 0, NULL, &v));
    ROW(v, 1, 1, 0, SHAPE(3), STRIDES(8));
    OK(tn_array_squeeze(thin, 1, (int32_t[]){-1}, &v));
    ROW(v, 1, 1, 0, SHAPE(1, 3), STRIDES(24, 8));
    ROW(expanded(d, 0), 1, 0, 0, SHAPE(1, 4, 6), STRIDES(192, 48, 8));
    ROW(expanded(d, 1), 1, 0, 0, SHAPE(4, 1, 6), STRIDES(48, 48, 8));
    ROW(expanded(d, 2), 1, 0, 0, SHAPE(4, 6, 1), STRIDES(48, 8, 8));
    ROW(expanded(d, -1), 1, 0, 0, SHAPE(4, 6, 1), STRIDES(48, 8, 8));
    ROW(expanded(d, -3), 1, 0, 0, SHAPE(1, 4, 6), STRIDES(192, 48, 8));
    drop(thin);
    drop(c3);
    drop(d);
}

static void stretched(tn_array *v, int readonly)
{
    CHECK(((info_of(v).flags & TN_READONLY) != 0) == readonly);
    CHECK(try_write(v, 0) == (readonly ? TN_ERR_READONLY : TN_OK));
}

static void worked_examples_broadcast(void) /* X30 to X34, LA-12, LA-13 */
{
    tn_array *column = make(TN_F64, TN_ORDER_C, SHAPE(3, 1)), *line = make(TN_F64, TN_ORDER_C, SHAPE(4));
    tn_array *point = make(TN_F64, TN_ORDER_C, 0, NULL), *v = UNTOUCHED;
    v = broadcast(column, SHAPE(3, 4));
    stretched(v, 1);
    CHECK(info_of(v).flags & TN_SELF_OVERLAP);
    ROW(v, 0, 0, 0, SHAPE(3, 4), STRIDES(8, 0));
    v = broadcast(line, SHAPE(3, 4));
    stretched(v, 1);
    ROW(v, 0, 0, 0, SHAPE(3, 4), STRIDES(0, 8));
    v = broadcast(point, SHAPE(2, 2));
    stretched(v, 1);
    ROW(v, 0, 0, 0, SHAPE(2, 2), STRIDES(0, 0));
    v = broadcast(column, SHAPE(1, 3, 1));
    stretched(v, 0);
    ROW(v, 1, 1, 0, SHAPE(1, 3, 1), STRIDES(24, 8, 8));
    v = then_reshape(broadcast(point, SHAPE(2, 3)), TN_ORDER_C, SHAPE(6));
    stretched(v, 1);
    ROW(v, 0, 0, 0, SHAPE(6), STRIDES(0));
    /* 1 may become 0; a view of a read-only view stays read-only, also if it has one element only */
    v = broadcast(column, SHAPE(3, 0));
    CHECK(info_of(v).shape[0] == 3 && info_of(v).shape[1] == 0 && info_of(v).count == 0);
    drop(v);
    tn_array *wide = broadcast(line, SHAPE(3, 4)), *row = at(wide, 0, 1);
    stretched(row, 1);
    drop(row);
    drop(wide);
    v = UNTOUCHED;
    FAILS(tn_array_broadcast(line, SHAPE(3, 5), &v), TN_ERR_SHAPE);
    FAILS(tn_array_broadcast(column, SHAPE(3), &v), TN_ERR_SHAPE);
    FAILS(tn_array_broadcast(column, SHAPE(2, 4), &v), TN_ERR_SHAPE);
    FAILS(tn_array_broadcast(line, SHAPE(0), &v), TN_ERR_SHAPE);
    FAILS(tn_array_broadcast(column, SHAPE(3, -1), &v), TN_ERR_SHAPE);
    CHECK(v == UNTOUCHED && claims(line) == 1 && claims(column) == 1);
    drop(column);
    drop(line);
    drop(point);
}

static void worked_examples_types_and_parts(void) /* X35 to X40, LA-15, LA-16, LA-18, LA-19 */
{
    tn_array *h = make(TN_I16, TN_ORDER_C, SHAPE(4, 8)), *d = make(TN_F64, TN_ORDER_C, SHAPE(4, 6)), *v = NULL,
        *parts[3];
    size_t count = 0;
    ROW(as_dtype(h, TN_I32), 1, 0, 0, SHAPE(4, 4), STRIDES(16, 4));
    ROW(as_dtype(h, TN_I64), 1, 0, 0, SHAPE(4, 2), STRIDES(16, 8));
    ROW(as_dtype(h, TN_U8), 1, 0, 0, SHAPE(4, 16), STRIDES(16, 1));
    v = block(h, ALL, TN_NONE, TN_NONE, 2);
    ROW(as_dtype(v, TN_U16), 0, 0, 0, SHAPE(4, 4), STRIDES(16, 4));
    drop(v);
    v = block(h, ALL, 2, 6, 1);
    ROW(as_dtype(v, TN_I32), 0, 0, 4, SHAPE(4, 2), STRIDES(16, 4));
    drop(v);
    tn_array *ten = make(TN_I16, TN_ORDER_C, SHAPE(10));
    OK(tn_array_chunks(ten, 0, 4, 3, parts, &count));
    CHECK(count == 3);
    ROW(parts[0], 1, 1, 0, SHAPE(4), STRIDES(2));
    ROW(parts[1], 1, 1, 8, SHAPE(4), STRIDES(2));
    ROW(parts[2], 1, 1, 16, SHAPE(2), STRIDES(2));
    drop(ten);
    OK(tn_array_chunks(d, 1, 4, 3, parts, &count));
    CHECK(count == 2);
    ROW(parts[0], 0, 0, 0, SHAPE(4, 4), STRIDES(48, 8));
    ROW(parts[1], 0, 0, 32, SHAPE(4, 2), STRIDES(48, 8));
    OK(tn_array_split(d, 0, 3, 3, parts, &count));
    CHECK(count == 3);
    ROW(parts[0], 1, 0, 0, SHAPE(2, 6), STRIDES(48, 8));
    ROW(parts[1], 1, 1, 96, SHAPE(1, 6), STRIDES(48, 8));
    ROW(parts[2], 1, 1, 144, SHAPE(1, 6), STRIDES(48, 8));

    /* the bytes of the elements are equal */
    tn_array *n = numbers(NULL, SHAPE(2)), *bytes = as_dtype(n, TN_U8), *second = part(bytes, 8, 16, 1), *back = NULL;
    OK(tn_array_view_dtype(second, TN_I64, &back));
    CHECK(HOLDS(back, 1));
    drop(back);
    drop(second);
    drop(bytes);
    drop(n);
    drop(h);
    drop(d);
}

static void refused(tn_array *a, tn_dtype dtype, tn_status status)
{
    tn_array *out = UNTOUCHED;
    size_t before = claims(a);
    FAILS(tn_array_view_dtype(a, dtype, &out), status);
    CHECK(out == UNTOUCHED && claims(a) == before);
}

static void only_a_copy_would_do(void) /* X41, LA-3, LA-18, LA-19 */
{
    tn_array *c = make(TN_F64, TN_ORDER_C, SHAPE(3, 4)), *f = make(TN_F64, TN_ORDER_F, SHAPE(3, 4));
    tn_array *d = make(TN_F64, TN_ORDER_C, SHAPE(4, 6)), *h = make(TN_I16, TN_ORDER_C, SHAPE(4, 8)), *v;
    no_reshape(c, TN_ORDER_F, SHAPE(12), TN_ERR_LAYOUT);
    no_reshape(c, TN_ORDER_F, SHAPE(2, 6), TN_ERR_LAYOUT);
    no_reshape(c, TN_ORDER_F, SHAPE(4, 3), TN_ERR_LAYOUT);
    no_reshape(f, TN_ORDER_C, SHAPE(12), TN_ERR_LAYOUT);
    no_reshape(f, TN_ORDER_C, SHAPE(2, 6), TN_ERR_LAYOUT);
    no_reshape(f, TN_ORDER_C, SHAPE(4, 3), TN_ERR_LAYOUT);
    v = block(d, ALL, TN_NONE, 3, 1);
    no_reshape(v, TN_ORDER_C, SHAPE(12), TN_ERR_LAYOUT);
    drop(v);
    v = part(d, TN_NONE, TN_NONE, 2);
    no_reshape(v, TN_ORDER_C, SHAPE(12), TN_ERR_LAYOUT);
    drop(v);
    v = part(d, TN_NONE, TN_NONE, -1);
    no_reshape(v, TN_ORDER_C, SHAPE(24), TN_ERR_LAYOUT);
    drop(v);
    tn_array *column = make(TN_F64, TN_ORDER_C, SHAPE(2, 1)), *wide = broadcast(column, SHAPE(2, 3));
    no_reshape(wide, TN_ORDER_C, SHAPE(6), TN_ERR_LAYOUT);
    drop(wide);
    drop(column);
    v = block(h, ALL, TN_NONE, TN_NONE, 2);
    refused(v, TN_I32, TN_ERR_LAYOUT);
    drop(v);
    v = transposed(h);
    refused(v, TN_I32, TN_ERR_LAYOUT);
    drop(v);
    v = block(h, ALL, 1, 3, 1);
    refused(v, TN_I32, TN_ERR_LAYOUT);
    drop(v);
    tn_array *point = make(TN_F64, TN_ORDER_C, 0, NULL), *flags = make(TN_BOOL, TN_ORDER_C, SHAPE(8));
    tn_array *bytes = make(TN_U8, TN_ORDER_C, SHAPE(8));
    refused(point, TN_F32, TN_ERR_LAYOUT);
    ROW(as_dtype(point, TN_I64), 1, 1, 0, 0, NULL, 0, NULL);
    refused(bytes, TN_BOOL, TN_ERR_DTYPE);
    refused(bytes, 0, TN_ERR_DTYPE);
    refused(bytes, TN_DTYPE(TN_CODE_INT, 4), TN_ERR_DTYPE);
    ROW(as_dtype(flags, TN_U8), 1, 1, 0, SHAPE(8), STRIDES(1));
    ROW(as_dtype(flags, TN_I8), 1, 1, 0, SHAPE(8), STRIDES(1));
    drop(point);
    drop(flags);
    drop(bytes);
    drop(c);
    drop(f);
    drop(d);
    drop(h);
}

static void wrong_shapes(void) /* X42, LA-4, LA-5 */
{
    tn_array *c = make(TN_F64, TN_ORDER_C, SHAPE(3, 4)), *odd = make(TN_I16, TN_ORDER_C, SHAPE(4, 3)), *v = NULL;
    refused(odd, TN_I32, TN_ERR_SHAPE);
    no_reshape(c, TN_ORDER_C, SHAPE(5, -1), TN_ERR_SHAPE);
    no_reshape(c, TN_ORDER_C, SHAPE(-1, -1), TN_ERR_SHAPE);
    no_reshape(c, TN_ORDER_C, SHAPE(13), TN_ERR_SHAPE);
    no_reshape(c, TN_ORDER_C, SHAPE(-1, 0), TN_ERR_SHAPE);
    no_reshape(c, TN_ORDER_C, SHAPE(-2, 6), TN_ERR_SHAPE);
    no_reshape(c, TN_ORDER_K, SHAPE(12), TN_ERR_INVALID);
    no_reshape(c, 9, SHAPE(12), TN_ERR_INVALID);
    ROW(try_reshape(c, TN_ORDER_C, SHAPE(-1, 6)), 1, 0, 0, SHAPE(2, 6), STRIDES(48, 8));
    ROW(try_reshape(c, TN_ORDER_C, SHAPE(2, -1, 3)), 1, 0, 0, SHAPE(2, 2, 3), STRIDES(48, 24, 8));
    tn_array *none = make(TN_F64, TN_ORDER_C, SHAPE(0, 7));
    ROW(try_reshape(none, TN_ORDER_C, SHAPE(3, 0, 2)), 1, 1, 0, SHAPE(3, 0, 2), STRIDES(16, 16, 8));
    no_reshape(none, TN_ORDER_C, SHAPE(3, 2), TN_ERR_SHAPE);
    no_reshape(none, TN_ORDER_C, SHAPE(-1, 0), TN_ERR_SHAPE);

    OK(tn_array_ravel(c, TN_ORDER_C, &v));
    ROW(v, 1, 1, 0, SHAPE(12), STRIDES(8));
    v = UNTOUCHED;
    FAILS(tn_array_ravel(c, TN_ORDER_F, &v), TN_ERR_LAYOUT);
    CHECK(v == UNTOUCHED);
    tn_array *f = transposed(c), *point = make(TN_F64, TN_ORDER_C, 0, NULL);
    OK(tn_array_ravel(f, TN_ORDER_F, &v));
    ROW(v, 1, 1, 0, SHAPE(12), STRIDES(8));
    OK(tn_array_ravel(f, TN_ORDER_A, &v));
    ROW(v, 1, 1, 0, SHAPE(12), STRIDES(8));
    OK(tn_array_ravel(point, TN_ORDER_C, &v));
    ROW(v, 1, 1, 0, SHAPE(1), STRIDES(8));
    drop(point);
    drop(f);
    drop(none);
    drop(c);
    drop(odd);
}

static tn_overlap overlap(tn_array *a, tn_array *b)
{
    tn_overlap there = 77, back = 78;
    OK(tn_array_overlap(a, b, &there));
    OK(tn_array_overlap(b, a, &back));
    CHECK(there == back);
    return there;
}

/* The overlap of two views, which it releases. */
static int32_t overlap_of(tn_array *a, tn_array *b)
{
    int32_t result = overlap(a, b);
    drop(a);
    drop(b);
    return result;
}

static void overlaps(void) /* X43, LA-22 */
{
    tn_array *d = make(TN_F64, TN_ORDER_C, SHAPE(4, 6)), *other = make(TN_F64, TN_ORDER_C, SHAPE(4, 6));
    CHECK(overlap_of(part(d, 0, TN_NONE, 2), part(d, 1, TN_NONE, 2)) == TN_OVERLAP_NONE);
    CHECK(overlap_of(block(d, ALL, TN_NONE, 3, 1), block(d, ALL, 3, TN_NONE, 1)) == TN_OVERLAP_NONE);
    CHECK(overlap_of(part(d, 0, TN_NONE, 2), part(d, 0, TN_NONE, 3)) == TN_OVERLAP_SOME);
    CHECK(overlap_of(block(d, 0, 3, 1, 0, 3, 1), block(d, 2, TN_NONE, 1, 2, TN_NONE, 1)) == TN_OVERLAP_SOME);
    CHECK(overlap_of(clone(d), part(d, TN_NONE, TN_NONE, -1)) == TN_OVERLAP_SOME);
    CHECK(overlap(d, d) == TN_OVERLAP_EXACT);
    CHECK(overlap_of(clone(d), clone(d)) == TN_OVERLAP_EXACT);
    CHECK(overlap(d, other) == TN_OVERLAP_NONE);
    tn_array *z = make(TN_C128, TN_ORDER_C, SHAPE(5)), *halves = as_dtype(z, TN_F64);
    CHECK(overlap_of(part(halves, 0, TN_NONE, 2), part(halves, 1, TN_NONE, 2)) == TN_OVERLAP_NONE);
    tn_array *x = make(TN_I32, TN_ORDER_C, SHAPE(30));
    CHECK(overlap_of(part(x, 0, TN_NONE, 7), part(x, 1, TN_NONE, 7)) == TN_OVERLAP_NONE);
    tn_array *none = part(x, 3, 3, 1);
    CHECK(overlap(none, none) == TN_OVERLAP_NONE && overlap(none, x) == TN_OVERLAP_NONE);
    tn_overlap result = 77;
    FAILS(tn_array_overlap(x, NULL, &result), TN_ERR_NULL);
    FAILS(tn_array_overlap(x, x, NULL), TN_ERR_NULL);
    CHECK(result == 77);
    drop(none);
    drop(x);
    drop(halves);
    drop(z);
    drop(d);
    drop(other);
}

static void views_cost_nothing(void) /* LA-1 */
{
    tn_pool *pool = own_pool("la-1");
    tn_array *a = numbers(pool, SHAPE(4, 6)), *views[10], *parts[4];
    size_t count = 0;
    tn_pool_stats before = stats_of(pool);
    views[0] = try_reshape(a, TN_ORDER_C, SHAPE(24));
    OK(tn_array_ravel(a, TN_ORDER_C, &views[1]));
    views[2] = transposed(a);
    OK(tn_array_permute(a, 2, (int32_t[]){1, 0}, &views[3]));
    views[4] = part(a, 1, 3, 1);
    views[5] = at(a, 0, 2);
    OK(tn_array_squeeze(a, 0, NULL, &views[6]));
    views[7] = expanded(a, 0);
    views[8] = broadcast(a, SHAPE(2, 4, 6));
    views[9] = as_dtype(a, TN_F64);
    OK(tn_array_split(a, 0, 2, 2, parts, &count));
    OK(tn_array_chunks(a, 0, 2, 2, parts + 2, &count));
    tn_pool_stats after = stats_of(pool);
    CHECK(after.allocation_count == before.allocation_count && after.requested_bytes == before.requested_bytes);
    CHECK(claims(a) == 15);
    drop(a);
    CHECK(live_bytes(pool) == before.requested_bytes);
    CHECK(HOLDS(views[5], 12, 13, 14, 15, 16, 17));
    for (int i = 0; i < 4; i++)
        drop(parts[i]);
    for (int i = 0; i < 9; i++)
        drop(views[i]);
    CHECK(live_bytes(pool) == before.requested_bytes && unique(views[9]));
    drop(views[9]);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static uint32_t imported_flags(int32_t ndim, const int64_t *shape, const int64_t *strides)
{
    static double bytes[4000];
    tn_layout layout = {.size = sizeof layout, .dtype = TN_F64, .ndim = ndim, .shape = shape, .strides = strides};
    tn_array *a = NULL;
    OK(tn_array_import_host(bytes, &layout, TN_BORROW, NULL, NULL, &a, NULL));
    uint32_t flags = info_of(a).flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS);
    drop(a);
    return flags;
}

static void contiguity(void) /* LA-2 */
{
    CHECK(imported_flags(2, (int64_t[]){1, 10}, (int64_t[]){800, 8}) == (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS));
    CHECK(imported_flags(2, (int64_t[]){10, 1}, (int64_t[]){8, 4000}) == (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS));
    CHECK(imported_flags(3, (int64_t[]){3, 1, 4}, (int64_t[]){32, 24, 8}) == TN_C_CONTIGUOUS);
    CHECK(imported_flags(2, (int64_t[]){3, 4}, (int64_t[]){8, 24}) == TN_F_CONTIGUOUS);
    CHECK(imported_flags(2, (int64_t[]){0, 4}, (int64_t[]){800, 80}) == (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS));
    CHECK(imported_flags(2, (int64_t[]){2, 4}, (int64_t[]){0, 8}) == 0);
    CHECK(imported_flags(1, (int64_t[]){4}, (int64_t[]){16}) == 0);
    CHECK(imported_flags(2, (int64_t[]){1, 1}, (int64_t[]){0, 0}) == (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS));
}

static void axes_by_number(void) /* LA-6, LA-9, LA-10, LA-11 */
{
    tn_array *a = make(TN_F64, TN_ORDER_C, SHAPE(2, 3, 1)), *v = UNTOUCHED;
    FAILS(tn_array_permute(a, 2, (int32_t[]){0, 1}, &v), TN_ERR_COUNT);
    FAILS(tn_array_permute(a, 3, (int32_t[]){0, 1, 3}, &v), TN_ERR_RANGE);
    CHECK(says("3"));
    FAILS(tn_array_permute(a, 3, (int32_t[]){0, 1, -4}, &v), TN_ERR_RANGE);
    FAILS(tn_array_permute(a, 3, (int32_t[]){0, 1, 1}, &v), TN_ERR_DUPLICATE);
    FAILS(tn_array_permute(a, 3, (int32_t[]){0, 1, -2}, &v), TN_ERR_DUPLICATE);
    FAILS(tn_array_permute(a, 3, NULL, &v), TN_ERR_NULL);
    FAILS(tn_array_index(a, 0, 2, &v), TN_ERR_RANGE);
    FAILS(tn_array_index(a, 0, -3, &v), TN_ERR_RANGE);
    FAILS(tn_array_index(a, 3, 0, &v), TN_ERR_RANGE);
    FAILS(tn_array_index(a, -4, 0, &v), TN_ERR_RANGE);
    FAILS(tn_array_squeeze(a, 1, (int32_t[]){0}, &v), TN_ERR_SHAPE);
    FAILS(tn_array_squeeze(a, 2, (int32_t[]){2, -1}, &v), TN_ERR_DUPLICATE);
    FAILS(tn_array_squeeze(a, 1, (int32_t[]){3}, &v), TN_ERR_RANGE);
    FAILS(tn_array_expand(a, 4, &v), TN_ERR_RANGE);
    FAILS(tn_array_expand(a, -5, &v), TN_ERR_RANGE);
    CHECK(v == UNTOUCHED && claims(a) == 1);
    tn_array *line = make(TN_F64, TN_ORDER_C, SHAPE(5)), *point = at(line, 0, -5), *same = transposed(point);
    CHECK(info_of(point).ndim == 0 && info_of(same).ndim == 0);
    ROW(transposed(line), 1, 1, 0, SHAPE(5), STRIDES(8));
    double five = 5, all[5] = {0};
    OK(tn_array_fill(same, &five, 0, NULL));
    OK(tn_array_copy_to_host(line, all, NULL, NULL));
    CHECK(all[0] == 5 && all[1] == 0);
    drop(same);
    drop(point);
    drop(line);
    int64_t ones[64];
    for (int i = 0; i < 64; i++)
        ones[i] = 1;
    tn_array *deep = make(TN_F64, TN_ORDER_C, 64, ones);
    FAILS(tn_array_expand(deep, 0, &v), TN_ERR_OVERFLOW);
    CHECK(v == UNTOUCHED);
    drop(deep);
    /* expand of an axis of length 0: stride times max(length, 1), never an accidental 0 */
    tn_array *none = make(TN_F64, TN_ORDER_C, SHAPE(0, 3));
    ROW(expanded(none, 0), 1, 1, 0, SHAPE(1, 0, 3), STRIDES(24, 24, 8));
    drop(none);
    drop(a);
}

static void slices_as_in_python(void) /* LA-7, LA-8 */
{
    tn_array *n = numbers(NULL, SHAPE(10)), *v = UNTOUCHED;
    struct {
        int64_t start, stop, step, count, first;
    } rows[] = {{-3, TN_NONE, 1, 3, 7},
                {TN_NONE, -8, 1, 2, 0},
                {-100, 100, 3, 4, 0},
                {100, -100, -3, 4, 9},
                {TN_NONE, TN_NONE, -1, 10, 9},
                {8, TN_NONE, -2, 5, 8},
                {8, -100, -2, 5, 8},
                {2, TN_NONE, TN_NONE, 8, 2},
                {9, 2, 1, 0, 0},
                {INT64_MAX, INT64_MAX, 1, 0, 0},
                {INT64_MIN + 2, INT64_MAX, INT64_MAX, 1, 0},
                {INT64_MAX, INT64_MIN + 2, INT64_MIN + 2, 1, 9},
                {INT64_MIN + 2, INT64_MIN + 3, 1, 0, 0},
                {INT64_MIN, INT64_MIN, INT64_MIN, 10, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        v = part(n, rows[i].start, rows[i].stop, rows[i].step);
        tn_array_info info = info_of(v);
        CHECK(info.shape[0] == rows[i].count && info.offset == rows[i].first * 8);
        CHECK(info.shape[0] > 1 || info.strides[0] == 8);
        drop(v);
    }
    v = UNTOUCHED;
    tn_slice_spec whole[2] = {TN_SLICE(TN_NONE, TN_NONE, 1), TN_SLICE(TN_NONE, TN_NONE, 1)}, still = TN_SLICE(0, 1, 0);
    FAILS(tn_array_slice(n, 1, &still, &v), TN_ERR_INVALID);
    FAILS(tn_array_slice(n, 2, whole, &v), TN_ERR_COUNT);
    FAILS(tn_array_slice(n, SIZE_MAX, whole, &v), TN_ERR_COUNT);
    FAILS(tn_array_squeeze(n, SIZE_MAX, (int32_t[1]){0}, &v), TN_ERR_COUNT);
    whole[0].reserved[3] = 1;
    FAILS(tn_array_slice(n, 1, whole, &v), TN_ERR_INVALID);
    FAILS(tn_array_slice(n, 1, NULL, &v), TN_ERR_NULL);
    CHECK(v == UNTOUCHED && claims(n) == 1);
    OK(tn_array_slice(n, 0, NULL, &v)); /* every axis kept whole */
    ROW(v, 1, 1, 0, SHAPE(10), STRIDES(8));
    tn_array *d = make(TN_F64, TN_ORDER_C, SHAPE(4, 6));
    ROW(block(d, 2, 4, 1, 6, 6, 1), 1, 1, 96, SHAPE(2, 0), STRIDES(48, 8));
    drop(d);
    drop(n);
}

static void export_of_broadcast(void) /* LA-14 */
{
    tn_array *line = numbers(NULL, SHAPE(4)), *wide = broadcast(line, SHAPE(3, 4));
    tn_view_info view;
    tn_borrow *guard = NULL;
    tn_how how = 0;
    OK(tn_array_export_host(wide, TN_REQUIRE_BORROW, 0, NULL, &view, &guard, &how));
    CHECK(how == TN_ALIASED && view.ndim == 2 && view.shape[0] == 3 && view.shape[1] == 4);
    CHECK(view.strides != NULL && view.strides[0] == 0 && view.strides[1] == 8);
    CHECK((info_of(wide).flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS)) == 0);
    end(guard);
    drop(wide);
    drop(line);
}

static void parts_of_an_axis(void) /* LA-15, LA-16, LA-17 */
{
    tn_array *ten = numbers(NULL, SHAPE(10)), *two = numbers(NULL, SHAPE(2)), *out[10];
    size_t count = 0;
    OK(tn_array_split(ten, 0, 4, 4, out, &count));
    const int64_t lengths[4] = {3, 3, 2, 2};
    for (int i = 0; i < 4; i++)
        CHECK(info_of(out[i]).shape[0] == lengths[i]);
    CHECK(count == 4 && HOLDS(out[3], 8, 9));
    /* parts of one array never overlap: all may be written at the same time */
    tn_borrow *guards[4];
    for (int i = 0; i < 4; i++)
        guards[i] = writing(out[i], 0);
    for (int i = 0; i < 4; i++) {
        end(guards[i]);
        drop(out[i]);
    }
    OK(tn_array_split(two, -1, 3, 3, out, &count));
    CHECK(count == 3 && info_of(out[0]).shape[0] == 1 && info_of(out[1]).shape[0] == 1 &&
          info_of(out[2]).shape[0] == 0);
    for (int i = 0; i < 3; i++)
        drop(out[i]);
    OK(tn_array_chunks(two, 0, 5, 1, out, &count));
    CHECK(count == 1 && HOLDS(out[0], 0, 1));
    drop(out[0]);
    tn_array *none = part(two, 0, 0, 1);
    count = 77;
    OK(tn_array_chunks(none, 0, 5, 0, NULL, &count));
    CHECK(count == 0);
    drop(none);

    count = 0;
    OK(tn_array_chunks(ten, 0, 3, 0, NULL, &count));
    CHECK(count == 4);
    count = 0;
    OK(tn_array_split(ten, 0, 7, 0, NULL, &count));
    CHECK(count == 7);
    for (int i = 0; i < 10; i++)
        out[i] = UNTOUCHED;
    count = 77;
    FAILS(tn_array_chunks(ten, 0, 3, 3, out, &count), TN_ERR_COUNT);
    FAILS(tn_array_split(ten, 0, 4, 3, out, &count), TN_ERR_COUNT);
    FAILS(tn_array_chunks(ten, 0, 0, 10, out, &count), TN_ERR_INVALID);
    FAILS(tn_array_chunks(ten, 0, -1, 10, out, &count), TN_ERR_INVALID);
    FAILS(tn_array_split(ten, 0, 0, 10, out, &count), TN_ERR_INVALID);
    FAILS(tn_array_split(ten, 0, SIZE_MAX, 10, out, &count), TN_ERR_COUNT);
    FAILS(tn_array_split(ten, 1, 2, 10, out, &count), TN_ERR_RANGE);
    FAILS(tn_array_chunks(ten, -2, 2, 10, out, &count), TN_ERR_RANGE);
    FAILS(tn_array_chunks(ten, 0, 3, 10, out, NULL), TN_ERR_NULL);
    for (int i = 0; i < 10; i++)
        CHECK(out[i] == UNTOUCHED);
    CHECK(count == 77 && claims(ten) == 1);
    drop(ten);
    drop(two);
}

static void sizes_that_overflow(void) /* LA-20 */
{
    const int64_t k62 = (int64_t)1 << 62;
    tn_array *none = make(TN_F64, TN_ORDER_C, SHAPE(0)), *point = make(TN_F64, TN_ORDER_C, 0, NULL), *v = UNTOUCHED;
    no_reshape(none, TN_ORDER_C, SHAPE(0, k62, k62), TN_ERR_OVERFLOW);
    FAILS(tn_array_broadcast(point, SHAPE(k62, k62), &v), TN_ERR_OVERFLOW);
    int64_t ones[65];
    for (int i = 0; i < 65; i++)
        ones[i] = 1;
    FAILS(tn_array_broadcast(point, 65, ones, &v), TN_ERR_OVERFLOW);
    no_reshape(point, TN_ORDER_C, 65, ones, TN_ERR_OVERFLOW);
    CHECK(v == UNTOUCHED && claims(point) == 1);
    drop(none);
    drop(point);
}

static void a_row_is_written(void) /* LA-23 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *row = at(a, 0, 1);
    fill_i64(row, 70);
    CHECK(HOLDS(a, 0, 1, 2, 70, 70, 70));
    CHECK(try_write(row, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    tn_borrow *guard = reading(a);
    int64_t value = 5;
    FAILS(tn_array_fill(row, &value, 0, NULL), TN_ERR_BORROWED);
    end(guard);
    CHECK(HOLDS(a, 0, 1, 2, 70, 70, 70));
    drop(row);
    drop(a);
}

/* ---- the naive model: a view is a shape and the byte offset of every element, in C order ---- */
#define MAX_ELEMENTS 700
#define MAX_AXES     6
typedef struct model {
    int ndim;
    int64_t shape[MAX_AXES];
    int64_t count;
    int64_t offset[MAX_ELEMENTS];
} model;

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static void reset_counter(const model *m, int64_t *index)
{
    for (int axis = 0; axis < m->ndim; axis++)
        index[axis] = 0;
}

static void next(const model *m, int64_t *index)
{
    for (int axis = m->ndim - 1; axis >= 0; axis--) {
        if (++index[axis] < m->shape[axis])
            return;
        index[axis] = 0;
    }
}

static int64_t count_of(int ndim, const int64_t *shape)
{
    int64_t count = 1;
    for (int axis = 0; axis < ndim; axis++)
        count *= shape[axis];
    return count;
}

/* The element of `from` at an index, by counting. */
static int64_t element(const model *from, const int64_t *index)
{
    int64_t position = 0;
    for (int axis = 0; axis < from->ndim; axis++)
        position = position * from->shape[axis] + index[axis];
    return from->offset[position];
}

static model model_of(int64_t item, int ndim, const int64_t *shape)
{
    model m = {.ndim = ndim};
    for (int axis = 0; axis < ndim; axis++)
        m.shape[axis] = shape[axis];
    m.count = count_of(ndim, shape);
    for (int64_t i = 0; i < m.count; i++)
        m.offset[i] = i * item;
    return m;
}

static int agrees(tn_array *v, const model *m)
{
    tn_array_info info = info_of(v);
    int64_t index[MAX_AXES];
    if (info.ndim != m->ndim || info.count != (uint64_t)m->count)
        return 0;
    for (int axis = 0; axis < m->ndim; axis++)
        if (info.shape[axis] != m->shape[axis])
            return 0;
    reset_counter(m, index);
    for (int64_t i = 0; i < m->count; i++) {
        int64_t offset = info.offset;
        for (int axis = 0; axis < m->ndim; axis++)
            offset += index[axis] * info.strides[axis];
        if (offset != m->offset[i] || offset < 0 || (uint64_t)offset >= info.store_bytes)
            return 0;
        next(m, index);
    }
    return 1;
}

/* Whether one stride per axis reaches exactly these offsets; then a reshape must succeed (LA-3). */
static int has_layout(const model *m)
{
    int64_t strides[MAX_AXES] = {0}, index[MAX_AXES] = {0};
    if (m->count == 0)
        return 1;
    for (int axis = 0; axis < m->ndim; axis++)
        if (m->shape[axis] > 1) {
            reset_counter(m, index);
            index[axis] = 1;
            strides[axis] = element(m, index) - m->offset[0];
        }
    reset_counter(m, index);
    for (int64_t i = 0; i < m->count; i++) {
        int64_t offset = m->offset[0];
        for (int axis = 0; axis < m->ndim; axis++)
            offset += index[axis] * strides[axis];
        if (offset != m->offset[i])
            return 0;
        next(m, index);
    }
    return 1;
}

/* The positions that range(*slice.indices(n)) gives in Python. */
static int64_t positions(tn_slice_spec s, int64_t n, int64_t *out)
{
    int64_t step = s.step == TN_NONE ? 1 : s.step, found = 0;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    int64_t start = s.start, stop = s.stop;
    if (start == TN_NONE)
        start = step > 0 ? low : high;
    else
        start = start < 0 ? start + n : start, start = start < low ? low : start > high ? high : start;
    if (stop == TN_NONE)
        stop = step > 0 ? high : low;
    else
        stop = stop < 0 ? stop + n : stop, stop = stop < low ? low : stop > high ? high : stop;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
        out[found++] = i;
    return found;
}

/* One random view of `v` and of its model; boxes: only views that keep the root (BR-21). NULL if nothing was done. */
static tn_array *random_view(tn_array *v, model *m, int boxes)
{
    tn_array *out = NULL;
    model old = *m;
    int64_t index[MAX_AXES];
    switch (random_below(boxes ? 6 : 8)) {
    case 0:
    case 1: { /* slice */
        tn_slice_spec specs[MAX_AXES] = {{0}};
        int64_t chosen[MAX_AXES][8];
        for (int axis = 0; axis < old.ndim; axis++) {
            specs[axis].start = random_below(4) ? (int64_t)random_below(15) - 7 : TN_NONE;
            specs[axis].stop = random_below(4) ? (int64_t)random_below(15) - 7 : TN_NONE;
            specs[axis].step = random_below(4) ? (int64_t)random_below(7) - 3 : TN_NONE;
            if (specs[axis].step == 0)
                specs[axis].step = 1;
            if (random_below(3) == 0)
                specs[axis] = (tn_slice_spec)TN_SLICE(TN_NONE, TN_NONE, random_below(2) ? 1 : -1);
            m->shape[axis] = positions(specs[axis], old.shape[axis], chosen[axis]);
        }
        m->count = count_of(m->ndim, m->shape);
        reset_counter(m, index);
        for (int64_t i = 0; i < m->count; i++) {
            int64_t source[MAX_AXES];
            for (int axis = 0; axis < old.ndim; axis++)
                source[axis] = chosen[axis][index[axis]];
            m->offset[i] = element(&old, source);
            next(m, index);
        }
        OK(tn_array_slice(v, old.ndim, specs, &out));
        return out;
    }
    case 2: { /* index */
        int axis = old.ndim ? (int)random_below((uint64_t)old.ndim) : 0;
        if (old.ndim < 2 || old.shape[axis] == 0)
            return NULL;
        int64_t i = (int64_t)random_below((uint64_t)old.shape[axis]);
        m->ndim--;
        for (int k = axis; k < m->ndim; k++)
            m->shape[k] = old.shape[k + 1];
        m->count = count_of(m->ndim, m->shape);
        reset_counter(m, index);
        for (int64_t e = 0; e < m->count; e++) {
            int64_t source[MAX_AXES];
            for (int k = 0; k < old.ndim; k++)
                source[k] = k < axis ? index[k] : k == axis ? i : index[k - 1];
            m->offset[e] = element(&old, source);
            next(m, index);
        }
        OK(tn_array_index(v, axis, random_below(2) ? i : i - old.shape[axis], &out));
        return out;
    }
    case 3: { /* permute */
        int32_t axes[MAX_AXES];
        for (int k = 0; k < old.ndim; k++)
            axes[k] = k;
        for (int k = old.ndim - 1; k > 0; k--) {
            int other = (int)random_below((uint64_t)k + 1);
            int32_t swap = axes[k];
            axes[k] = axes[other];
            axes[other] = swap;
        }
        for (int k = 0; k < old.ndim; k++)
            m->shape[k] = old.shape[axes[k]];
        reset_counter(m, index);
        for (int64_t e = 0; e < m->count; e++) {
            int64_t source[MAX_AXES];
            for (int k = 0; k < old.ndim; k++)
                source[axes[k]] = index[k];
            m->offset[e] = element(&old, source);
            next(m, index);
        }
        OK(tn_array_permute(v, old.ndim, axes, &out));
        return out;
    }
    case 4: { /* expand */
        if (old.ndim >= 5)
            return NULL;
        int axis = (int)random_below((uint64_t)old.ndim + 1);
        m->ndim++;
        for (int k = old.ndim; k > axis; k--)
            m->shape[k] = old.shape[k - 1];
        m->shape[axis] = 1;
        OK(tn_array_expand(v, axis, &out));
        return out;
    }
    case 5: /* squeeze */
        m->ndim = 0;
        for (int k = 0; k < old.ndim; k++)
            if (old.shape[k] != 1)
                m->shape[m->ndim++] = old.shape[k];
        OK(tn_array_squeeze(v, 0, NULL, &out));
        return out;
    case 6: { /* reshape in either order: works exactly if there are strides for it */
        int64_t rest = old.count;
        int order = random_below(2) ? TN_ORDER_C : TN_ORDER_F;
        m->ndim = 0;
        while (rest > 1 && m->ndim < 4) {
            int64_t factor = 2 + (int64_t)random_below(4);
            if (rest % factor == 0 && factor <= 5)
                m->shape[m->ndim++] = factor, rest /= factor;
            else if (random_below(4) == 0)
                break;
        }
        if (rest != 1 || m->ndim == 0)
            m->shape[m->ndim++] = rest;
        for (int axis = 0; axis < m->ndim; axis++)
            if (m->shape[axis] > 5)
                goto unchanged; /* keeps every length small enough for `positions` */
        for (int64_t e = 0; e < m->count; e++) {
            int64_t from[MAX_AXES], to[MAX_AXES], rest_from = e, rest_to = e;
            for (int step = 0; step < old.ndim; step++) {
                int axis = order == TN_ORDER_C ? old.ndim - 1 - step : step;
                from[axis] = rest_from % old.shape[axis], rest_from /= old.shape[axis];
            }
            for (int step = 0; step < m->ndim; step++) {
                int axis = order == TN_ORDER_C ? m->ndim - 1 - step : step;
                to[axis] = rest_to % m->shape[axis], rest_to /= m->shape[axis];
            }
            int64_t position = 0;
            for (int axis = 0; axis < m->ndim; axis++)
                position = position * m->shape[axis] + to[axis];
            m->offset[position] = element(&old, from);
        }
        if (has_layout(m)) {
            OK(tn_array_reshape(v, m->ndim, m->shape, order, &out));
            return out;
        }
        out = UNTOUCHED;
        FAILS(tn_array_reshape(v, m->ndim, m->shape, order, &out), TN_ERR_LAYOUT);
        CHECK(out == UNTOUCHED);
        goto unchanged;
    }
    default: { /* broadcast: a new leading axis, or an axis of length 1 grows */
        if (old.ndim >= 5 || old.count * 2 > MAX_ELEMENTS)
            return NULL;
        m->ndim++;
        m->shape[0] = 2;
        for (int k = 0; k < old.ndim; k++)
            m->shape[k + 1] = old.shape[k];
        m->count = old.count * 2;
        for (int64_t e = 0; e < old.count; e++)
            m->offset[e] = m->offset[e + old.count] = old.offset[e];
        OK(tn_array_broadcast(v, m->ndim, m->shape, &out));
        return out;
    }
    }
unchanged:
    *m = old;
    return NULL;
}

/* Applies a few random views to a view, which is released. */
static tn_array *random_chain(tn_array *v, model *m, int steps, int boxes)
{
    for (int i = 0; i < steps; i++) {
        tn_array *out = random_view(v, m, boxes);
        if (out == NULL)
            continue;
        drop(v);
        v = out;
        int right = agrees(v, m);
        CHECK(right);
        if (!right)
            break;
    }
    return v;
}

static void random_chains_address_the_right_elements(void) /* LA-21, LA-3 */
{
    for (uint64_t seed = 1; seed <= (uint64_t)rounds(2500); seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        int ndim = 1 + (int)random_below(4);
        int64_t shape[4];
        for (int axis = 0; axis < ndim; axis++)
            shape[axis] = (int64_t)random_below(12) ? 1 + (int64_t)random_below(5) : 0;
        if (count_of(ndim, shape) * 2 > MAX_ELEMENTS)
            continue;
        tn_array *v = make(TN_I32, TN_ORDER_C, ndim, shape);
        model m = model_of(4, ndim, shape);
        int before = check_failures;
        v = random_chain(v, &m, 6, 0);
        drop(v);
        if (check_failures != before) {
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
            return;
        }
    }
}

/* Marks the bytes of a view's elements. Returns 1 if one was marked before. */
static int mark(const model *m, int64_t item, unsigned char *bytes)
{
    int met = 0;
    for (int64_t i = 0; i < m->count; i++)
        for (int64_t k = 0; k < item; k++) {
            met |= bytes[m->offset[i] + k];
            bytes[m->offset[i] + k] = 1;
        }
    return met;
}

static void never_disjoint_where_a_byte_is_shared(void) /* BR-26, BR-21, LA-22 */
{
    int decided = 0;
    for (uint64_t seed = 1; seed <= (uint64_t)rounds(2500); seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        int64_t shape[3] = {1 + (int64_t)random_below(5), 1 + (int64_t)random_below(5), 1 + (int64_t)random_below(5)};
        tn_array *base = make(TN_I32, TN_ORDER_C, 3, shape), *views[2];
        model models[2];
        int boxes = random_below(2) != 0;
        for (int k = 0; k < 2; k++) {
            models[k] = model_of(4, 3, shape);
            views[k] = random_chain(clone(base), &models[k], 3, 1);
            if (!boxes && info_of(views[k]).count > 0) { /* another root, other element sizes */
                tn_array *out = NULL;
                if (tn_array_view_dtype(views[k], TN_U16, &out) == TN_OK) {
                    drop(views[k]);
                    views[k] = out;
                    tn_array_info info = info_of(out);
                    model m = {.ndim = info.ndim, .count = (int64_t)info.count};
                    int64_t index[MAX_AXES];
                    for (int axis = 0; axis < m.ndim; axis++)
                        m.shape[axis] = info.shape[axis];
                    reset_counter(&m, index);
                    for (int64_t i = 0; i < m.count; i++) {
                        m.offset[i] = info.offset;
                        for (int axis = 0; axis < m.ndim; axis++)
                            m.offset[i] += index[axis] * info.strides[axis];
                        next(&m, index);
                    }
                    models[k] = m;
                }
            }
        }
        unsigned char bytes[4 * 125 + 8] = {0};
        int64_t items[2] = {(int64_t)(info_of(views[0]).bytes / (info_of(views[0]).count + !info_of(views[0]).count)),
                            (int64_t)(info_of(views[1]).bytes / (info_of(views[1]).count + !info_of(views[1]).count))};
        mark(&models[0], items[0], bytes);
        int shared = mark(&models[1], items[1], bytes);
        if (models[0].count == 0 || models[1].count == 0)
            shared = 0;
        int before = check_failures;
        int32_t answer = overlap(views[0], views[1]);
        if (answer == TN_OVERLAP_NONE)
            CHECK(!shared);
        if (answer == TN_OVERLAP_SOME || answer == TN_OVERLAP_EXACT)
            CHECK(shared);
        if (boxes) { /* one root: always decided */
            CHECK(answer != TN_OVERLAP_UNKNOWN);
            decided++;
            int same = models[0].count == models[1].count && models[0].ndim == models[1].ndim &&
                       memcmp(models[0].shape, models[1].shape, sizeof(int64_t) * (size_t)models[0].ndim) == 0 &&
                       memcmp(models[0].offset, models[1].offset, sizeof(int64_t) * (size_t)models[0].count) == 0;
            if (shared && same)
                CHECK(answer == TN_OVERLAP_EXACT);
            if (answer == TN_OVERLAP_EXACT)
                CHECK(memcmp(models[0].offset, models[1].offset, sizeof(int64_t) * (size_t)models[0].count) == 0);
        }
        /* guards follow the same rule, in either order */
        for (int k = 0; k < 2; k++) {
            tn_borrow *guard = writing(views[k], 0);
            CHECK(try_write(views[1 - k], 0) == (answer == TN_OVERLAP_NONE ? TN_OK : TN_ERR_BORROWED_WRITE));
            end(guard);
        }
        drop(views[0]);
        drop(views[1]);
        drop(base);
        if (check_failures != before) {
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
            return;
        }
    }
    CHECK(decided > rounds(500));
}

int main(void)
{
    worked_examples_reshape();
    worked_examples_slices();
    worked_examples_broadcast();
    worked_examples_types_and_parts();
    only_a_copy_would_do();
    wrong_shapes();
    overlaps();
    views_cost_nothing();
    contiguity();
    axes_by_number();
    slices_as_in_python();
    export_of_broadcast();
    parts_of_an_axis();
    sizes_that_overflow();
    a_row_is_written();
    random_chains_address_the_right_elements();
    never_disjoint_where_a_byte_is_shared();
    return finish();
}
