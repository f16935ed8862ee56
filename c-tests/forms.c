/*
 * forms.c - the form of a matrix belongs to its handle: setting and querying it, what keeps it, leaves that pick it up, results that have
 * it, and copies that write out its zeros (FM-1 to FM-4).
 */
#include "helpers.h"

#define N 3

static const double POSITIVE[N * N] = {4, 2, 0, 2, 5, 2, 0, 2, 5};
static const double SQUARES[N] = {4, 9, 16};

static tn_array *doubles(int32_t ndim, const double *values)
{
    int64_t shape[] = {N, N};
    tn_array *out = NULL;
    OK(tn_array_empty(NULL, TN_F64, ndim, shape, NULL, &out));
    OK(tn_array_copy_from_host(out, values, NULL, 0, NULL));
    return out;
}

static tn_array *formed(int32_t ndim, const double *values, tn_form form)
{
    tn_array *out = doubles(ndim, values);
    OK(tn_array_set_form(out, form));
    return out;
}

static tn_form form_of(tn_array *array)
{
    tn_array_info is = {.size = sizeof is};
    OK(tn_array_query(array, &is));
    return is.form;
}

static tn_expr *leaf(tn_array *array, tn_form form)
{
    tn_expr *out = NULL;
    OK(tn_expr_leaf(array, form, &out));
    return out;
}

/* Computes the expression and releases it. */
static tn_array *value_of(tn_expr *e)
{
    tn_array *out = NULL;
    OK(tn_expr_compute(e, 0, &out));
    OK(tn_expr_release(e));
    return out;
}

static int holds_values(tn_array *array, size_t n, const double *expected)
{
    double values[N * N];
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    for (size_t i = 0; i < n; i++) {
        double off = values[i] - expected[i];
        if (!(off < 1e-12 && off > -1e-12))
            return 0;
    }
    return 1;
}

static void set_and_query(void) /* FM-1 */
{
    tn_array *m = doubles(2, POSITIVE), *v = doubles(1, SQUARES), *wide = NULL, *other = clone(m), *held = NULL;
    int64_t shape[] = {2, N};
    OK(tn_array_zeros(NULL, TN_I32, 2, shape, NULL, &wide));
    CHECK(form_of(m) == TN_FORM_FULL && form_of(v) == TN_FORM_FULL);
    FAILS(tn_array_set_form(NULL, TN_FORM_LOWER), TN_ERR_NULL);
    FAILS(tn_array_set_form(m, TN_FORM_OF_HANDLE), TN_ERR_INVALID);
    FAILS(tn_array_set_form(m, TN_FORM_DIAGONAL), TN_ERR_SHAPE);
    FAILS(tn_array_set_form(v, TN_FORM_LOWER), TN_ERR_SHAPE);
    FAILS(tn_array_set_form(wide, TN_FORM_UPPER), TN_ERR_SHAPE);
    CHECK(form_of(m) == TN_FORM_FULL && form_of(v) == TN_FORM_FULL && form_of(wide) == TN_FORM_FULL);
    OK(tn_array_set_form(m, TN_FORM_LOWER));
    OK(tn_array_set_form(v, TN_FORM_DIAGONAL));
    OK(tn_array_set_form(wide, TN_FORM_FULL));
    CHECK(form_of(m) == TN_FORM_LOWER && form_of(v) == TN_FORM_DIAGONAL);
    CHECK(form_of(other) == TN_FORM_FULL && holds_values(m, N * N, POSITIVE));
    /* It is no write: guards, exports and READONLY do not matter. */
    tn_borrow *guard = NULL;
    void *data = NULL;
    OK(tn_array_borrow_write(m, TN_WRITE_ALIASED, NULL, &data, NULL, &guard));
    OK(tn_array_set_form(m, TN_FORM_UPPER));
    OK(tn_borrow_end(guard, 0, NULL));
    int64_t rows[] = {N, N, N};
    OK(tn_array_broadcast(v, 2, rows, &held)); /* READONLY */
    OK(tn_array_set_form(held, TN_FORM_UPPER));
    CHECK(form_of(m) == TN_FORM_UPPER && form_of(held) == TN_FORM_UPPER);
    /* A promise passes the form on, so the giver cannot change it any more. */
    tn_promise *p = give(m);
    FAILS(tn_array_set_form(m, TN_FORM_FULL), TN_ERR_GIVEN);
    CHECK(form_of(m) == TN_FORM_UPPER);
    tn_array *taken = NULL;
    OK(tn_take(1, &p, &taken));
    FAILS(tn_array_set_form(m, TN_FORM_FULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_set_form(m, 77), TN_ERR_INVALID);
    OK(tn_promise_release(p));
    drop(m);
    FAILS(tn_array_set_form(m, TN_FORM_FULL), TN_ERR_STALE);
    FAILS(tn_array_set_form((tn_array *)guard, TN_FORM_FULL), TN_ERR_STALE);
    drop(taken), drop(v), drop(wide), drop(other), drop(held);
}

/* The form of what `make` makes from an array of a form. */
#define KEEPS(array, call, expected)                                                                                             \
    do {                                                                                                                         \
        tn_array *out = NULL;                                                                                                    \
        OK(call);                                                                                                                \
        CHECK(form_of(out) == (expected));                                                                                       \
        drop(out);                                                                                                               \
    } while (0)

static void what_keeps_it(void) /* FM-2 */
{
    tn_array *l = formed(2, POSITIVE, TN_FORM_LOWER), *d = formed(1, SQUARES, TN_FORM_DIAGONAL), *in[2], *wide = NULL;
    const int32_t same[] = {0, 1}, turned[] = {-1, 0}, only[] = {-1};
    int64_t five[] = {1, 1, 1, N, N}, square[] = {N, N};
    tn_slice_spec all = TN_SLICE(0, TN_NONE, 1);
    tn_device host = {TN_CPU, 0};
    KEEPS(l, tn_array_clone(l, &out), TN_FORM_LOWER);
    KEEPS(l, tn_array_copy(l, NULL, NULL, &out), TN_FORM_LOWER);
    KEEPS(d, tn_array_to_device(d, host, NULL, NULL, &out), TN_FORM_DIAGONAL);
    KEEPS(l, tn_array_like(l, NULL, NULL, &out), TN_FORM_FULL);
    /* Views are full, apart from permutations of the axes. */
    KEEPS(l, tn_array_transpose(l, &out), TN_FORM_UPPER);
    KEEPS(d, tn_array_transpose(d, &out), TN_FORM_DIAGONAL);
    KEEPS(l, tn_array_permute(l, 2, turned, &out), TN_FORM_UPPER);
    KEEPS(l, tn_array_permute(l, 2, same, &out), TN_FORM_LOWER);
    KEEPS(d, tn_array_permute(d, 1, only, &out), TN_FORM_DIAGONAL);
    KEEPS(l, tn_array_slice(l, 1, &all, &out), TN_FORM_FULL);
    KEEPS(l, tn_array_reshape(l, 2, square, 0, &out), TN_FORM_FULL);
    KEEPS(l, tn_array_ravel(l, TN_ORDER_C, &out), TN_FORM_FULL);
    KEEPS(l, tn_array_expand(l, 0, &out), TN_FORM_FULL);
    KEEPS(d, tn_array_view_dtype(d, TN_I64, &out), TN_FORM_FULL);
    tn_array *u = NULL;
    OK(tn_array_transpose(l, &u));
    KEEPS(u, tn_array_transpose(u, &out), TN_FORM_LOWER);
    drop(u);
    /* Permutations of more axes have no form; the layout of such views lies outside of their slot. */
    OK(tn_array_reshape(l, 5, five, 0, &wide));
    KEEPS(wide, tn_array_transpose(wide, &out), TN_FORM_FULL);
    drop(wide);
    /* Weak handles. */
    tn_weak *weak = NULL;
    OK(tn_array_weaken(l, &weak));
    OK(tn_array_set_form(l, TN_FORM_FULL));
    KEEPS(l, tn_weak_upgrade(weak, &out), TN_FORM_LOWER);
    OK(tn_weak_release(weak));
    OK(tn_array_set_form(l, TN_FORM_LOWER));
    /* Give and take: the handle passes, or shares, or comes back. */
    tn_promise *p = give(l);
    OK(tn_promise_cancel(p));
    OK(tn_promise_release(p));
    CHECK(form_of(l) == TN_FORM_LOWER);
    OK(tn_array_give(l, 2, &p));
    OK(tn_take(1, &p, &u)); /* one of two: the claim is shared */
    OK(tn_promise_release(p));
    CHECK(form_of(u) == TN_FORM_LOWER && form_of(l) == TN_FORM_LOWER);
    drop(u);
    /* Enter and leave, of a given and a lent parameter. */
    p = give(l);
    void *params[] = {p, d};
    tn_scope *scope = NULL;
    OK(tn_enter(2, params, in, &scope));
    CHECK(form_of(in[0]) == TN_FORM_LOWER && form_of(in[1]) == TN_FORM_DIAGONAL);
    OK(tn_leave(scope, 1, in));
    CHECK(form_of(in[0]) == TN_FORM_LOWER);
    OK(tn_promise_release(p));
    drop(l);
    l = in[0];
    /* Copy on write moves the handle to new bytes. */
    u = clone(l);
    tn_borrow *guard = NULL;
    void *data = NULL;
    OK(tn_array_borrow_write(u, TN_WRITE_COW, NULL, &data, NULL, &guard));
    CHECK(form_of(u) == TN_FORM_LOWER);
    OK(tn_array_clone(u, &wide));
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(form_of(wide) == TN_FORM_LOWER && form_of(l) == TN_FORM_LOWER);
    drop(u), drop(wide), drop(l), drop(d);
    /* The slots of released handles are full again. */
    for (int i = 0; i < 64; i++) {
        tn_array *fresh = doubles(2, POSITIVE);
        CHECK(form_of(fresh) == TN_FORM_FULL);
        drop(fresh);
    }
}

static void leaves(void) /* FM-3 */
{
    tn_array *d = formed(1, SQUARES, TN_FORM_DIAGONAL), *u = formed(2, POSITIVE, TN_FORM_UPPER);
    double product[N], expected[N] = {4 * 4 + 2 * 9 + 0, 5 * 9 + 2 * 16, 5 * 16};
    tn_array *x = value_of(leaf(d, TN_FORM_OF_HANDLE)), *y = value_of(leaf(d, TN_FORM_FULL));
    CHECK(form_of(x) == TN_FORM_DIAGONAL && form_of(y) == TN_FORM_FULL && address(x) == address(d) && address(y) == address(d));
    drop(x), drop(y);
    tn_expr *m = leaf(u, TN_FORM_OF_HANDLE), *v = leaf(d, TN_FORM_FULL), *e = NULL, *bad = UNTOUCHED;
    OK(tn_array_set_form(u, TN_FORM_LOWER)); /* the leaf keeps what it found */
    OK(tn_expr_multiply(m, v, &e));
    OK(tn_expr_release(m)), OK(tn_expr_release(v));
    x = value_of(e);
    OK(tn_array_copy_to_host(x, product, NULL, NULL));
    for (int i = 0; i < N; i++)
        CHECK(product[i] == expected[i]);
    drop(x);
    x = value_of(leaf(u, TN_FORM_UPPER));
    CHECK(form_of(x) == TN_FORM_UPPER);
    FAILS(tn_expr_leaf(u, TN_FORM_DIAGONAL, &bad), TN_ERR_SHAPE);
    CHECK(bad == UNTOUCHED);
    drop(x), drop(d), drop(u);
}

/* cholesky(x + y), both given; the form that the value has is also the one that explain tells. */
static tn_array *factor_of_sum(tn_promise *x, tn_promise *y)
{
    tn_promise *both[] = {x, y};
    tn_array *in[2], *out = NULL;
    OK(tn_take(2, both, in));
    OK(tn_promise_release(x)), OK(tn_promise_release(y));
    tn_expr *a = leaf(in[0], TN_FORM_OF_HANDLE), *b = leaf(in[1], TN_FORM_OF_HANDLE), *sum = NULL, *factor = NULL;
    OK(tn_expr_add(a, b, &sum));
    OK(tn_expr_cholesky(sum, &factor));
    OK(tn_expr_release(a)), OK(tn_expr_release(b)), OK(tn_expr_release(sum));
    drop(in[0]), drop(in[1]);
    char text[512];
    size_t length = 0;
    OK(tn_expr_explain(factor, TN_EXPLAIN_TEXT, sizeof text, text, &length));
    CHECK(strstr(text, "a new array") == NULL); /* in place, whatever the mix */
    out = value_of(factor);
    static const char *const names[] = {"cholesky [2]: full", "cholesky [2]: diagonal", "cholesky [2]: lower"};
    CHECK(strstr(text, names[form_of(out)]) != NULL);
    return out;
}

static void results(void) /* FM-4, EX-5 */
{
    const double summed[N] = {8, 18, 32};
    double roots[N];
    for (int mix = 0; mix < 4; mix++) {
        tn_array *x = mix & 1 ? formed(1, SQUARES, TN_FORM_DIAGONAL) : doubles(2, POSITIVE);
        tn_array *y = mix & 2 ? formed(1, SQUARES, TN_FORM_DIAGONAL) : doubles(2, POSITIVE);
        void *place = address(mix == 1 ? y : x);
        tn_array *l = factor_of_sum(give(x), give(y));
        CHECK(form_of(l) == (mix == 3 ? TN_FORM_DIAGONAL : TN_FORM_LOWER) && address(l) == place);
        if (mix == 3) {
            OK(tn_array_copy_to_host(l, roots, NULL, NULL));
            for (int i = 0; i < N; i++)
                CHECK(roots[i] * roots[i] - summed[i] < 1e-12 && summed[i] - roots[i] * roots[i] < 1e-12);
        }
        drop(x), drop(y), drop(l);
    }
}

/* The copies that tn_expr_compute made so far. */
static tn_copy_site copies(void)
{
    static tn_copy_site sites[512];
    size_t n = 0;
    tn_copy_site all = {0};
    OK(tn_copies_query(sizeof *sites, 512, sites, &n));
    for (size_t i = 0; i < n; i++)
        if (strcmp(sites[i].function, "tn_expr_compute") == 0) {
            all.count += sites[i].count;
            all.bytes += sites[i].bytes;
            all.forced += sites[i].forced != 0;
        }
    return all;
}

static void written_out(void) /* FM-4, CP-3 */
{
    const double full[N * N] = {4, 0, 0, 0, 9, 0, 0, 0, 16}, lower[N * N] = {4, 0, 0, 2, 5, 0, 0, 2, 5};
    tn_array *d = formed(1, SQUARES, TN_FORM_DIAGONAL), *l = formed(2, POSITIVE, TN_FORM_LOWER), *out = UNTOUCHED;
    tn_expr *x = leaf(d, TN_FORM_OF_HANDLE), *y = leaf(l, TN_FORM_OF_HANDLE), *dense = NULL, *e = NULL;
    /* A sum and a product read no zeros. */
    OK(tn_expr_add(x, y, &e));
    tn_array *sum = value_of(e);
    OK(tn_expr_multiply(x, y, &e));
    tn_array *product = value_of(e);
    CHECK(form_of(sum) == TN_FORM_LOWER && form_of(product) == TN_FORM_LOWER && copies().count == 0);
    drop(sum), drop(product);
    /* The caller asks for all elements: a copy, but not a forced one. */
    OK(tn_expr_dense(x, &dense));
    OK(tn_copies_forbid(1));
    tn_array *m = value_of(dense);
    CHECK(form_of(m) == TN_FORM_FULL && holds_values(m, N * N, full));
    CHECK(copies().count == 1 && copies().bytes == sizeof full && copies().forced == 0);
    drop(m);
    /* exp(0) is 1, so exp needs them: that copy was not asked for. */
    OK(tn_expr_elementwise(TN_EXPR_EXP, x, NULL, &e));
    FAILS(tn_expr_compute(e, 0, &out), TN_ERR_WOULD_COPY);
    CHECK(out == UNTOUCHED);
    OK(tn_copies_forbid(0));
    m = value_of(e);
    CHECK(form_of(m) == TN_FORM_FULL && copies().count == 2 && copies().forced == 1);
    drop(m);
    /* A triangle that nothing else uses takes its zeros in place. */
    void *place = address(l);
    OK(tn_expr_dense(y, &dense));
    drop(l);
    OK(tn_expr_release(y));
    m = value_of(dense);
    CHECK(address(m) == place && form_of(m) == TN_FORM_FULL && holds_values(m, N * N, lower) && copies().count == 2);
    drop(m), drop(d);
    OK(tn_expr_release(x));
    FAILS(tn_expr_dense(NULL, &e), TN_ERR_NULL);
    FAILS(tn_expr_dense(x, &e), TN_ERR_STALE);
}

static void in_reports(void)
{
    static char text[1 << 16];
    size_t length = 0;
    tn_array *d = formed(1, SQUARES, TN_FORM_DIAGONAL);
    OK(tn_report_json(0, sizeof text, text, &length));
    CHECK(strstr(text, "\"form\":\"diagonal\"") != NULL && strstr(text, "\"form\":\"full\"") == NULL);
    drop(d);
}

int main(void)
{
    set_and_query();
    what_keeps_it();
    leaves();
    results();
    written_out();
    in_reports();
    return finish();
}
