/*
 * expr.c - lazy expressions: building, the accesses that a leaf excludes, a single evaluation, failures. tests/library/expr.rs counts the
 * overwritten operands.
 */
#include "helpers.h"

#define N 3

static tn_array *matrix(const double values[N * N])
{
    int64_t shape[] = {N, N};
    tn_array *out = NULL;
    OK(tn_array_empty(NULL, TN_F64, 2, shape, NULL, &out));
    OK(tn_array_copy_from_host(out, values, NULL, 0, NULL));
    return out;
}

static tn_array *vector(const double values[N])
{
    int64_t shape[] = {N};
    tn_array *out = NULL;
    OK(tn_array_empty(NULL, TN_F64, 1, shape, NULL, &out));
    OK(tn_array_copy_from_host(out, values, NULL, 0, NULL));
    return out;
}

static const double POSITIVE[N * N] = {4, 2, 0, 2, 5, 2, 0, 2, 5};
static const double INDEFINITE[N * N] = {4, 2, 0, 2, 1, 0, 0, 0, 5};
static const double SINGULAR[N * N] = {1, 2, 0, 3, 5, 0, 1, 1, 0};
static const double ONES[N] = {1, 1, 1};

static tn_expr *leaf(tn_array *array)
{
    tn_expr *out = NULL;
    OK(tn_expr_leaf(array, TN_FORM_FULL, &out));
    return out;
}

static tn_expr *cholesky(tn_expr *x)
{
    tn_expr *out = NULL;
    OK(tn_expr_cholesky(x, &out));
    return out;
}

static tn_array *compute(tn_expr *e)
{
    tn_array *out = NULL;
    OK(tn_expr_compute(e, 0, &out));
    return out;
}

static tn_status try_compute(tn_expr *e, uint32_t flags)
{
    tn_array *out = UNTOUCHED;
    tn_status status = tn_expr_compute(e, flags, &out);
    if (status == TN_OK)
        drop(out);
    else
        CHECK(out == UNTOUCHED);
    return status;
}

static tn_status try_leaf(tn_array *array)
{
    tn_expr *out = UNTOUCHED;
    tn_status status = tn_expr_leaf(array, TN_FORM_FULL, &out);
    if (status == TN_OK)
        OK(tn_expr_release(out));
    else
        CHECK(out == UNTOUCHED);
    return status;
}

static int holds_f64(tn_array *array, size_t n, const double *expected)
{
    double values[N * N];
    CHECK(n <= N * N);
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    for (size_t i = 0; i < n; i++) {
        double off = values[i] - expected[i];
        if (!(off < 1e-12 && off > -1e-12))
            return 0;
    }
    return 1;
}

static uint64_t live(void)
{
    tn_pool *pool = NULL;
    tn_pool_stats stats = {.size = sizeof stats};
    tn_device host = {TN_CPU, 0};
    OK(tn_pool_default(host, &pool));
    OK(tn_pool_query(pool, &stats));
    OK(tn_pool_release(pool));
    return stats.live_blocks;
}

/* EX-1: building computes and allocates nothing, and reports operands that do not fit. */
static void building(void)
{
    tn_array *a = matrix(POSITIVE), *u = vector(ONES), *i = numbers(NULL, SHAPE(3));
    int64_t four[] = {4}, cube[] = {2, 2, 2}, wide[] = {2, 3};
    tn_array *longer = NULL, *block = NULL, *flat = NULL, *single = NULL;
    OK(tn_array_zeros(NULL, TN_F64, 1, four, NULL, &longer));
    OK(tn_array_zeros(NULL, TN_F64, 3, cube, NULL, &block));
    OK(tn_array_zeros(NULL, TN_F64, 2, wide, NULL, &flat));
    OK(tn_array_zeros(NULL, TN_F32, 1, four, NULL, &single));
    uint64_t before = live();
    tn_expr *x = leaf(a), *y = leaf(u), *z = leaf(longer), *b = leaf(block), *w = leaf(flat), *s = leaf(single);
    tn_expr *out = UNTOUCHED, *d = NULL, *l = NULL;
    OK(tn_expr_leaf(u, TN_FORM_DIAGONAL, &d));
    OK(tn_expr_leaf(a, TN_FORM_LOWER, &l));
    FAILS(tn_expr_leaf(i, TN_FORM_FULL, &out), TN_ERR_DTYPE);
    FAILS(tn_expr_leaf(a, TN_FORM_OF_HANDLE + 1, &out), TN_ERR_INVALID);
    FAILS(tn_expr_leaf(a, TN_FORM_DIAGONAL, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_leaf(flat, TN_FORM_LOWER, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_add(x, y, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_add(z, s, &out), TN_ERR_DTYPE);
    FAILS(tn_expr_multiply(x, z, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_multiply(y, x, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_cholesky(w, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_cholesky(l, &out), TN_ERR_UNSUPPORTED);
    FAILS(tn_expr_cholesky(b, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_lu(w, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_lu(b, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_lu(NULL, &out), TN_ERR_NULL);
    FAILS(tn_expr_lu(x, NULL), TN_ERR_NULL);
    FAILS(tn_expr_lu_part(w, TN_LU_L, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_lu_part(x, 3, &out), TN_ERR_INVALID);
    FAILS(tn_expr_lu_part(NULL, TN_LU_L, &out), TN_ERR_NULL);
    FAILS(tn_expr_lu_part(x, TN_LU_L, NULL), TN_ERR_NULL);
    FAILS(tn_expr_solve(w, y, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_solve(x, z, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_transpose(y, &out), TN_ERR_SHAPE);
    FAILS(tn_expr_elementwise(0, x, x, &out), TN_ERR_INVALID);
    FAILS(tn_expr_elementwise(TN_EXPR_EXP, x, x, &out), TN_ERR_INVALID);
    FAILS(tn_expr_elementwise(TN_EXPR_DIVIDE, x, NULL, &out), TN_ERR_INVALID);
    /* The order of checks decides first, the position second. */
    FAILS(tn_expr_add(NULL, x, &out), TN_ERR_NULL);
    FAILS(tn_expr_add(x, NULL, &out), TN_ERR_NULL);
    FAILS(tn_expr_add(x, x, NULL), TN_ERR_NULL);
    FAILS(tn_expr_add(x, (tn_expr *)a, &out), TN_ERR_KIND);
    tn_expr *gone = leaf(u);
    OK(tn_expr_release(gone));
    FAILS(tn_expr_add((tn_expr *)a, gone, &out), TN_ERR_STALE);
    CHECK(says("y"));
    FAILS(tn_expr_elementwise(TN_EXPR_DIVIDE, z, d, &out), TN_ERR_SHAPE); /* ER-1: the form comes after */
    FAILS(tn_expr_release(gone), TN_ERR_STALE);
    FAILS(tn_expr_compute(gone, 0, (tn_array **)&out), TN_ERR_STALE);
    FAILS(tn_expr_compute(x, 2, (tn_array **)&out), TN_ERR_INVALID);
    FAILS(tn_expr_leaf((tn_array *)x, TN_FORM_FULL, &out), TN_ERR_KIND);
    CHECK(out == UNTOUCHED);
    tn_expr *sum = NULL;
    OK(tn_expr_add(x, d, &sum));
    CHECK(live() == before);
    tn_expr *all[] = {x, y, z, b, w, s, d, l, sum};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        OK(tn_expr_release(all[k]));
    drop(a);
    drop(u);
    drop(i);
    drop(longer);
    drop(block);
    drop(flat);
    drop(single);
}

/* EX-2, EX-34: the accesses that a leaf excludes, and those that it does not. */
static void waiting(void)
{
    tn_array *a = matrix(POSITIVE), *row = NULL, *other = NULL;
    OK(tn_array_index(a, 0, 0, &row));
    OK(tn_array_index(a, 0, 1, &other));
    tn_expr *x = leaf(row);
    CHECK(why(a) == (TN_WHY_SHARED | TN_WHY_IN_EXPRESSION));
    CHECK(count_holders(a, TN_HOLDER_EXPRESSION) == 1);
    CHECK(try_write(row, 0) == TN_ERR_IN_EXPRESSION);
    CHECK(try_write(a, 0) == TN_ERR_IN_EXPRESSION);
    CHECK(try_write(other, 0) == TN_OK); /* does not overlap */
    CHECK(try_export(row, XS, 0) == TN_ERR_IN_EXPRESSION);
    CHECK(try_export(row, XW, 0) == TN_ERR_IN_EXPRESSION);
    CHECK(try_export(other, XW, 0) == TN_OK);
    CHECK(try_export(row, XR, 0) == TN_OK);
    CHECK(try_read(row, 0) == TN_OK && try_copy(row) == TN_OK);
    drop(row);
    drop(other);
    OK(tn_expr_release(x));
    CHECK(why(a) == 0);
    /* The message names the waiting expression. */
    x = leaf(a);
    tn_expr *l = cholesky(x);
    CHECK(why(a) == TN_WHY_IN_EXPRESSION);
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_IN_EXPRESSION);
    CHECK(says("cholesky"));
    OK(tn_expr_release(l));
    CHECK(try_write(a, 0) == TN_ERR_IN_EXPRESSION && !says("cholesky"));
    /* COW moves the handle, and the expression keeps the old values. */
    double changed = 7;
    OK(tn_array_fill(a, &changed, TN_WRITE_COW, NULL));
    CHECK(why(a) == 0);
    l = cholesky(x);
    OK(tn_expr_release(x));
    tn_array *v = compute(l);
    const double factor[N * N] = {2, 0, 0, 1, 2, 0, 0, 1, 2};
    CHECK(holds_f64(v, N * N, factor));
    OK(tn_expr_release(l));
    drop(v);
    /* A leaf is a read. */
    tn_borrow *guard = writing(a, 0);
    CHECK(try_leaf(a) == TN_ERR_BORROWED_WRITE);
    end(guard);
    guard = exporting(a, XW);
    CHECK(try_leaf(a) == TN_ERR_EXPORTED);
    end(guard);
    tn_borrow *read_only = exporting(a, XR), *shared = exporting(a, XS);
    CHECK(try_leaf(a) == TN_OK);
    end(read_only);
    end(shared);
    poison(a);
    CHECK(try_leaf(a) == TN_ERR_POISONED);
    OK(tn_array_clear(a, 0, NULL));
    tn_promise *promise = give(a);
    CHECK(try_leaf(a) == TN_ERR_GIVEN);
    OK(tn_promise_release(promise));
    tn_array *taken = destructed();
    CHECK(try_leaf(taken) == TN_ERR_DESTRUCTED);
    drop(taken);
    drop(a);
}

/* EX-30, EX-31, EX-32: computed once, kept until the handle is released, released when nothing needs it. */
static void once(void)
{
    tn_array *a = matrix(POSITIVE), *u = vector(ONES);
    tn_expr *x = leaf(a), *y = leaf(u), *l = cholesky(x), *v = NULL, *w = NULL;
    OK(tn_expr_release(x));
    OK(tn_expr_multiply(l, y, &v));
    OK(tn_expr_scale(l, 2.0, &w));
    tn_array *one = compute(v), *two = compute(v);
    CHECK(address(one) == address(two) && why(one) == (TN_WHY_SHARED | TN_WHY_IN_EXPRESSION));
    drop(two);
    CHECK(why(one) == TN_WHY_IN_EXPRESSION);
    OK(tn_expr_release(v));
    CHECK(why(one) == 0);
    const double product[N] = {2, 3, 3};
    CHECK(holds_f64(one, N, product));
    /* The kept factor was not overwritten, and released its operand. */
    CHECK(why(a) == 0);
    tn_array *factor = compute(l), *twice = compute(w);
    const double expected[N * N] = {2, 0, 0, 1, 2, 0, 0, 1, 2};
    CHECK(holds_f64(factor, N * N, expected));
    CHECK(address(factor) != address(twice));
    OK(tn_expr_release(l));
    OK(tn_expr_release(w));
    /* compute of a leaf is a clone. */
    tn_array *same = compute(y);
    CHECK(address(same) == address(u));
    drop(same);
    /* Never computed. */
    tn_expr *never = cholesky(y = (OK(tn_expr_release(y)), leaf(a)));
    OK(tn_expr_release(y));
    CHECK(why(a) == TN_WHY_IN_EXPRESSION);
    OK(tn_expr_release(never));
    CHECK(why(a) == 0);
    drop(one);
    drop(factor);
    drop(twice);
    drop(a);
    drop(u);
}

/* EX-40, EX-41: a failure names operation and pivot, and poisons the nodes above it. */
static void failing(void)
{
    for (int held = 0; held < 2; held++) {
        tn_array *a = matrix(INDEFINITE), *u = vector(ONES);
        tn_expr *x = leaf(a), *y = leaf(u), *l = cholesky(x), *v = NULL, *other = NULL, *out = UNTOUCHED;
        OK(tn_expr_multiply(l, y, &v));
        OK(tn_expr_scale(l, 2.0, &other));
        OK(tn_expr_release(x));
        uint64_t before = live();
        if (!held)
            drop(a);
        FAILS(tn_expr_compute(v, 0, (tn_array **)&out), TN_ERR_FAILED);
        CHECK(says("cholesky") && says("pivot 1"));
        CHECK(try_compute(v, 0) == TN_ERR_POISONED && try_compute(l, 0) == TN_ERR_POISONED);
        CHECK(try_compute(other, 0) == TN_ERR_POISONED);
        FAILS(tn_expr_transpose(l, &out), TN_ERR_POISONED);
        FAILS(tn_expr_add(v, y, &out), TN_ERR_POISONED);
        CHECK(out == UNTOUCHED);
        /* Its operands were released, and held arrays are unchanged. */
        CHECK(live() == before - (uint64_t)!held);
        if (held) {
            CHECK(why(a) == 0 && holds_f64(a, N * N, INDEFINITE));
            drop(a);
        }
        CHECK(holds_f64(u, N, ONES));
        OK(tn_expr_release(v));
        OK(tn_expr_release(l));
        OK(tn_expr_release(other));
        OK(tn_expr_release(y));
        CHECK(why(u) == 0);
        drop(u);
    }
    /* LU of a singular matrix. */
    tn_array *m = matrix(SINGULAR), *b = vector(ONES);
    tn_expr *x = leaf(m), *y = leaf(b), *s = NULL;
    OK(tn_expr_solve(x, y, &s));
    CHECK(try_compute(s, 0) == TN_ERR_FAILED && says("lu: pivot 2"));
    CHECK(holds_f64(b, N, ONES) && holds_f64(m, N * N, SINGULAR));
    OK(tn_expr_release(s));
    OK(tn_expr_release(x));
    /* lower and diagonal do not fail: division by zero is inf. */
    const double zero[N] = {1, 0, 2};
    tn_array *z = vector(zero);
    tn_expr *d = NULL;
    OK(tn_expr_leaf(z, TN_FORM_DIAGONAL, &d));
    OK(tn_expr_solve(d, y, &s));
    tn_array *quotient = compute(s);
    double values[N];
    OK(tn_array_copy_to_host(quotient, values, NULL, NULL));
    CHECK(values[0] == 1 && values[1] > 1e300 && values[2] == 0.5);
    /* A diagonal has a factor only if all its numbers are positive. */
    tn_expr *root = cholesky(d);
    CHECK(try_compute(root, 0) == TN_ERR_FAILED && says("pivot 1"));
    OK(tn_expr_release(root));
    OK(tn_expr_release(s));
    OK(tn_expr_release(d));
    OK(tn_expr_release(y));
    drop(quotient);
    drop(z);
    drop(m);
    drop(b);
}

/* EX-42: with TN_KEEP_ON_FAIL nothing changes. */
static void keeping(void)
{
    tn_array *a = matrix(INDEFINITE), *u = vector(ONES);
    tn_expr *x = leaf(a), *d = NULL, *sum = NULL, *v = NULL, *y = leaf(u), *l;
    OK(tn_expr_leaf(u, TN_FORM_DIAGONAL, &d));
    OK(tn_expr_scale(x, 1.0, &sum));
    l = cholesky(sum);
    OK(tn_expr_multiply(l, y, &v));
    OK(tn_expr_release(l));
    OK(tn_expr_release(sum));
    OK(tn_expr_release(x));
    tn_array *clone_of_u = clone(u);
    drop(a);
    uint64_t before = live();
    for (int again = 0; again < 3; again++) {
        CHECK(try_compute(v, TN_KEEP_ON_FAIL) == TN_ERR_FAILED);
        CHECK(says("cholesky: pivot 1"));
        CHECK(live() == before);
    }
    CHECK(why(u) == (TN_WHY_SHARED | TN_WHY_IN_EXPRESSION));
    CHECK(try_compute(v, 0) == TN_ERR_FAILED);
    CHECK(live() == before - 1 && try_compute(v, TN_KEEP_ON_FAIL) == TN_ERR_POISONED);
    OK(tn_expr_release(v));
    OK(tn_expr_release(y));
    OK(tn_expr_release(d));
    drop(clone_of_u);
    CHECK(why(u) == 0);
    drop(u);
    /* The successful case. */
    a = matrix(POSITIVE);
    x = leaf(a);
    drop(a);
    l = cholesky(x);
    OK(tn_expr_release(x));
    tn_array *factor = NULL;
    before = live();
    OK(tn_expr_compute(l, TN_KEEP_ON_FAIL, &factor));
    CHECK(live() == before);
    OK(tn_expr_release(l));
    const double expected[N * N] = {2, 0, 0, 1, 2, 0, 0, 1, 2};
    CHECK(holds_f64(factor, N * N, expected));
    drop(factor);
}

/* Unreleased expressions are listed as leaks; foreign bytes are never overwritten. */
static void reported(void)
{
    tn_array *u = vector(ONES);
    tn_expr *x = leaf(u), *e = NULL;
    size_t count = 0;
    tn_holder leaks[8];
    OK(tn_expr_elementwise(TN_EXPR_NEGATE, x, NULL, &e));
    drop(u);
    OK(tn_leaks(sizeof(tn_holder), 8, leaks, &count));
    CHECK(count == 2 && leaks[0].kind == TN_HOLDER_EXPRESSION && leaks[1].kind == TN_HOLDER_EXPRESSION);
    OK(tn_expr_release(x));
    OK(tn_expr_release(e));
    /* XI-13, XI-14: imported bytes are not overwritten unless the lender allows it. */
    for (int may = 0; may < 2; may++) {
        static double mine[N];
        for (int k = 0; k < N; k++)
            mine[k] = k + 1;
        int64_t shape[] = {N};
        tn_layout layout = {.size = sizeof layout, .dtype = TN_F64, .ndim = 1, .shape = shape};
        tn_array *lent = NULL;
        tn_how how = 0;
        OK(tn_array_import_host(mine, &layout, TN_BORROW | (may ? TN_MAY_OVERWRITE : 0u), NULL, NULL, &lent, &how));
        CHECK(how == TN_ALIASED);
        x = leaf(lent);
        OK(tn_expr_elementwise(TN_EXPR_NEGATE, x, NULL, &e));
        OK(tn_expr_release(x));
        drop(lent);
        tn_array *v = compute(e);
        OK(tn_expr_release(e));
        const double negative[N] = {-1, -2, -3};
        CHECK(holds_f64(v, N, negative));
        CHECK((address(v) == (void *)mine) == may && mine[0] == (may ? -1 : 1));
        drop(v);
    }
}

int main(void)
{
    building();
    waiting();
    once();
    failing();
    keeping();
    reported();
    return finish();
}
