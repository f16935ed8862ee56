/*
 * scopes.c - enter and leave: given and lent parameters together, the callee's results, the order of errors, and the chain of calls that
 * copies once (OO-13 to OO-16, OO-23, OO-31 to OO-37, OO-40 to OO-43), with TH-17 and strict mode.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

/* Two arguments: a count and a list of parameters, arrays and promises mixed. */
#define PARAMS(...) sizeof((void *[]){__VA_ARGS__}) / sizeof(void *), (void *[]){__VA_ARGS__}
#define KEEP(...)   sizeof((tn_array *[]){__VA_ARGS__}) / sizeof(void *), (tn_array *[]){__VA_ARGS__}

static tn_scope *entered(size_t n, void *const *params, tn_array **out)
{
    tn_scope *scope = NULL;
    OK(tn_enter(n, params, out, &scope));
    CHECK(scope != NULL);
    return scope;
}

/* Must fail and make nothing. */
static tn_status try_enter(size_t n, void *const *params)
{
    tn_array *out[8];
    tn_scope *scope = UNTOUCHED;
    for (size_t i = 0; i < 8; i++)
        out[i] = UNTOUCHED;
    tn_status status = tn_enter(n, params, out, &scope);
    CHECK(status != TN_OK && scope == UNTOUCHED);
    for (size_t i = 0; i < 8; i++)
        CHECK(out[i] == UNTOUCHED);
    return status;
}

static void leave(tn_scope *scope)
{
    OK(tn_leave(scope, 0, NULL));
}

static void let_go(tn_promise *promise)
{
    OK(tn_promise_release(promise));
}

static size_t open_scopes(void)
{
    tn_holder leaks[64];
    size_t count = 0, scopes = 0;
    OK(tn_leaks(sizeof(tn_holder), 64, leaks, &count));
    for (size_t i = 0; i < count && i < 64; i++)
        scopes += leaks[i].kind == TN_HOLDER_SCOPE;
    return scopes;
}

static void given(void) /* OO-1, OO-2, OO-3, OO-22 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *x = NULL;
    void *bytes = address(a);
    tn_promise *p = give(a);
    tn_scope *scope = entered(PARAMS(p), &x);
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && unique(x) && why(x) == 0 && address(x) == bytes && info_of(x).ndim == 2);
    leave(scope);
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && state_of(x) == TN_ERR_STALE);
    CHECK(try_enter(PARAMS(p)) == TN_ERR_DESTRUCTED);
    let_go(p);
    drop(a);
    FAILS(tn_array_release(a), TN_ERR_STALE);
}

static void fewer_and_more(void) /* OO-4, OO-5, OO-6 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *out[2];
    tn_promise *p = NULL, *q = NULL;
    OK(tn_array_give(a, 2, &p));
    tn_scope *scope = entered(PARAMS(p), out);
    CHECK(state_of(a) == TN_OK && claims(a) == 2 && why(out[0]) == TN_WHY_SHARED);
    leave(scope);
    CHECK(unique(a));
    let_go(p);

    OK(tn_array_give(a, 2, &p));
    OK(tn_array_give(a, 2, &q));
    scope = entered(PARAMS(p, q), out);
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && claims(out[0]) == 2);
    drop(out[1]);
    CHECK(unique(out[0]));
    leave(scope);
    let_go(p);
    let_go(q);
    drop(a);

    a = numbers(NULL, SHAPE(4));
    OK(tn_array_give(a, 2, &p));
    OK(tn_array_give(a, 2, &q));
    scope = entered(PARAMS(p), out);
    CHECK(state_of(a) == TN_ERR_GIVEN && count_holders(out[0], TN_HOLDER_PROMISE) == 1);
    OK(tn_promise_cancel(q));
    CHECK(state_of(a) == TN_OK);
    leave(scope);
    let_go(p);
    let_go(q);
    drop(a);
}

static void all_or_nothing(void) /* OO-11, OO-12 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *c = numbers(NULL, SHAPE(4));
    tn_promise *p = give(a), *q = give(b);
    OK(tn_promise_cancel(q));
    tn_borrow *guard = reading(b);
    CHECK(try_enter(PARAMS(p, p)) == TN_ERR_DUPLICATE);
    CHECK(try_enter(PARAMS(p, c, q)) == TN_ERR_DESTRUCTED);
    CHECK(try_enter(PARAMS(p, c, NULL)) == TN_ERR_NULL);
    CHECK(try_enter(PARAMS(p, c, stale())) == TN_ERR_STALE);
    CHECK(try_enter(PARAMS(p, c, guard)) == TN_ERR_KIND && says("neither a tn_array nor a tn_promise"));
    CHECK(try_enter(PARAMS(p, c, (void *)(uintptr_t)12345)) == TN_ERR_KIND);
    CHECK(state_of(a) == TN_ERR_GIVEN && count_holders(a, TN_HOLDER_PROMISE) == 1);
    CHECK(unique(c) && claims(a) == 1 && open_scopes() == 0);
    end(guard);

    tn_array *out = UNTOUCHED;
    tn_scope *scope = UNTOUCHED;
    void *params[1] = {p};
    FAILS(tn_enter(1, NULL, &out, &scope), TN_ERR_NULL);
    FAILS(tn_enter(1, params, NULL, &scope), TN_ERR_NULL);
    FAILS(tn_enter(1, params, &out, NULL), TN_ERR_NULL);
    CHECK(out == UNTOUCHED && scope == UNTOUCHED && state_of(a) == TN_ERR_GIVEN);
    let_go(p);
    let_go(q);
    drop(a);
    drop(b);
    drop(c);
}

static void beside_its_promise(void) /* OO-13, OO-14 */
{
    for (int turn = 0; turn < 2; turn++) {
        tn_array *a = numbers(NULL, SHAPE(4)), *out[2];
        tn_promise *p = give(a);
        void *params[2] = {turn ? (void *)p : (void *)a, turn ? (void *)a : (void *)p};
        tn_scope *scope = entered(2, params, out);
        tn_array *lent = out[turn], *taken = out[1 - turn];
        CHECK(state_of(a) == TN_ERR_DESTRUCTED && claims(taken) == 2 && address(lent) == address(taken));
        drop(lent);
        CHECK(unique(taken) && why(taken) == 0 && HOLDS(taken, 0, 1, 2, 3));
        leave(scope);
        let_go(p);
        drop(a);
    }
    tn_array *a = numbers(NULL, SHAPE(4)), *out[3];
    tn_promise *p = give(a);
    tn_scope *scope = entered(PARAMS(a, a, p), out);
    CHECK(claims(out[2]) == 3 && state_of(a) == TN_ERR_DESTRUCTED);
    leave(scope);
    let_go(p);
    drop(a);
}

static void without_its_promise(void) /* OO-15, ER-6 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4));
    tn_promise *p = give(a), *q = give(b);
    CHECK(try_enter(PARAMS(a)) == TN_ERR_GIVEN && state_of(a) == TN_ERR_GIVEN);
    CHECK(count_holders(a, TN_HOLDER_PROMISE) == 1);
    /* ER-6: DESTRUCTED before GIVEN and DUPLICATE, GIVEN before DUPLICATE */
    drop(take(q));
    CHECK(try_enter(PARAMS(a, q)) == TN_ERR_DESTRUCTED);
    CHECK(try_enter(PARAMS(q, q)) == TN_ERR_DESTRUCTED);
    let_go(q);
    drop(b);
    b = numbers(NULL, SHAPE(4));
    q = give(b);
    CHECK(try_enter(PARAMS(q, q, a)) == TN_ERR_GIVEN);
    let_go(p);
    let_go(q);
    drop(a);
    drop(b);
}

static void clones_of_what_is_given(void) /* OO-16, OO-17 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = clone(a), *out[2];
    tn_promise *p = give(b), *q = NULL;
    tn_scope *scope = entered(PARAMS(a, p), out);
    CHECK(state_of(a) == TN_OK && state_of(b) == TN_ERR_DESTRUCTED && claims(a) == 3);
    leave(scope);
    CHECK(unique(a));
    let_go(p);
    drop(b);

    b = clone(a);
    p = give(a);
    q = give(b);
    scope = entered(PARAMS(p, q), out);
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && state_of(b) == TN_ERR_DESTRUCTED && claims(out[0]) == 2);
    CHECK(address(out[0]) == address(out[1]));
    drop(out[0]);
    CHECK(unique(out[1]));
    leave(scope);
    let_go(p);
    let_go(q);
    drop(a);
    drop(b);
}

static tn_scope *innermost(tn_promise *p, tn_array **x)
{
    return entered(PARAMS(p), x);
}

static tn_scope *passes_on(tn_promise *p, tn_array **x)
{
    return innermost(p, x);
}

static void forwarded(void) /* OO-23 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *x = NULL;
    tn_promise *p = give(a);
    tn_scope *scope = passes_on(p, &x);
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && unique(x));
    leave(scope);
    let_go(p);
    drop(a);
}

static void decided_at_use(void) /* OO-18, OO-30 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = clone(a), *x = NULL;
    tn_promise *p = give(a);
    drop(a);
    CHECK(why(b) == TN_WHY_SHARED && count_holders(b, TN_HOLDER_PROMISE) == 1);
    tn_scope *scope = entered(PARAMS(p), &x);
    CHECK(why(x) == TN_WHY_SHARED);
    drop(b);
    CHECK(why(x) == 0 && try_write(x, TN_WRITE_UNIQUE) == TN_OK);
    leave(scope);
    let_go(p);
}

static void what_the_callee_returns(void) /* OO-31 */
{
    tn_pool *pool = own_pool("oo-31");
    tn_array *a = numbers(pool, SHAPE(4)), *x = NULL;
    tn_promise *p = give(a);
    tn_scope *scope = entered(PARAMS(p), &x);
    OK(tn_leave(scope, KEEP(x)));
    CHECK(state_of(x) == TN_OK && unique(x) && HOLDS(x, 0, 1, 2, 3));
    let_go(p);
    drop(a);

    p = give(a = x);
    scope = entered(PARAMS(p), &x);
    tn_array *result = clone(x);
    leave(scope);
    CHECK(state_of(x) == TN_ERR_STALE && unique(result) && HOLDS(result, 0, 1, 2, 3));
    drop(result);
    CHECK(live_bytes(pool) == 0);
    let_go(p);
    drop(a);
    OK(tn_pool_release(pool));
}

static void released_before(void) /* OO-32 */
{
    tn_pool *pool = own_pool("oo-32");
    tn_array *a = numbers(pool, SHAPE(4)), *b = numbers(pool, SHAPE(8)), *out[2];
    tn_promise *p = give(a);
    tn_scope *scope = entered(PARAMS(p, b), out);
    drop(out[0]);
    CHECK(live_bytes(pool) == 64);
    FAILS(tn_array_release(out[0]), TN_ERR_STALE);
    leave(scope);
    FAILS(tn_array_release(out[1]), TN_ERR_STALE);
    CHECK(unique(b));
    let_go(p);
    drop(a);
    drop(b);
    OK(tn_pool_release(pool));
}

static void what_may_be_kept(void) /* OO-33, ER-10, ER-2 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *other = numbers(NULL, SHAPE(4)), *out[3];
    tn_scope *scope = entered(PARAMS(a, b, b), out), *second = UNTOUCHED;
    tn_array *gone = stale();
    tn_promise *p = give(other);
    FAILS(tn_leave(NULL, 0, NULL), TN_ERR_NULL);
    FAILS(tn_leave(scope, 1, NULL), TN_ERR_NULL);
    FAILS(tn_leave(scope, KEEP(out[0], NULL)), TN_ERR_NULL);
    FAILS(tn_leave(scope, KEEP(gone)), TN_ERR_STALE);
    FAILS(tn_leave(scope, KEEP(other)), TN_ERR_INVALID);
    FAILS(tn_leave(scope, KEEP(a)), TN_ERR_INVALID);
    FAILS(tn_leave(scope, KEEP((tn_array *)p)), TN_ERR_KIND);
    FAILS(tn_leave((tn_scope *)a, 0, NULL), TN_ERR_KIND);
    FAILS(tn_leave(scope, KEEP(out[0], out[1], out[0])), TN_ERR_DUPLICATE);
    /* ER-10: the order of statuses decides, then the position */
    FAILS(tn_leave(scope, KEEP(other, out[0], out[0], gone)), TN_ERR_STALE);
    FAILS(tn_leave((tn_scope *)a, KEEP(gone)), TN_ERR_STALE);
    FAILS(tn_leave(scope, KEEP(out[0], out[0], other)), TN_ERR_INVALID);
    FAILS(tn_array_query((tn_array *)scope, &(tn_array_info){.size = sizeof(tn_array_info)}), TN_ERR_KIND);
    /* ER-2: as above, for parameters */
    tn_array *used = destructed();
    CHECK(try_enter(PARAMS(used, gone)) == TN_ERR_STALE);
    CHECK(try_enter(PARAMS(gone, NULL)) == TN_ERR_NULL);
    CHECK(try_enter(PARAMS(other, used)) == TN_ERR_DESTRUCTED);
    drop(used);
    CHECK(open_scopes() == 1 && claims(a) == 2 && claims(b) == 3 && second == UNTOUCHED);

    /* GIVEN and DESTRUCTED ones may be kept */
    tn_promise *q = give(out[0]), *r = give(out[1]);
    drop(take(r));
    OK(tn_leave(scope, KEEP(out[1], out[0])));
    CHECK(state_of(out[0]) == TN_ERR_GIVEN && state_of(out[1]) == TN_ERR_DESTRUCTED && state_of(out[2]) == TN_ERR_STALE);
    let_go(q);
    let_go(r);
    CHECK(state_of(out[0]) == TN_OK && claims(a) == 2);
    drop(out[0]);
    drop(out[1]);
    let_go(p);
    drop(a);
    drop(b);
    drop(other);
}

static void given_on_and_left(void) /* OO-34 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *x = NULL;
    tn_promise *p = give(a);
    tn_scope *scope = entered(PARAMS(p), &x);
    tn_promise *q = give(x);
    leave(scope);
    CHECK(state_of(x) == TN_ERR_STALE);
    tn_array *y = take(q);
    CHECK(unique(y) && HOLDS(y, 0, 1, 2, 3));
    drop(y);
    let_go(p);
    let_go(q);
    drop(a);
}

static void left_once(void) /* OO-35 */
{
    tn_scope *scope = NULL, *inner = NULL;
    OK(tn_enter(0, NULL, NULL, &scope));
    CHECK(open_scopes() == 1);
    leave(scope);
    FAILS(tn_leave(scope, 0, NULL), TN_ERR_STALE);
    CHECK(open_scopes() == 0);

    /* in any order; a site and a thread in the list of leaks */
    tn_array *a = numbers(NULL, SHAPE(4)), *x = NULL, *y = NULL;
    TN_HERE;
    scope = entered(PARAMS(a), &x);
    inner = entered(PARAMS(x), &y);
    tn_holder leaks[64];
    size_t count = 0;
    OK(tn_leaks(sizeof(tn_holder), 64, leaks, &count));
    for (size_t i = 0; i < count; i++)
        if (leaks[i].kind == TN_HOLDER_SCOPE)
            CHECK(strstr(leaks[i].site, "scopes.c:") != NULL && leaks[i].thread != 0);
    OK(tn_here(NULL, 0));
    leave(scope);
    CHECK(state_of(x) == TN_ERR_STALE && state_of(y) == TN_OK);
    leave(inner);
    CHECK(unique(a));
    drop(a);
}

static void lent(void) /* OO-36, OO-37 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *x = NULL, *z = NULL;
    tn_scope *scope = entered(PARAMS(a), &x);
    CHECK(state_of(a) == TN_OK && claims(a) == 2 && HOLDS(x, 0, 1, 2, 3));
    tn_promise *q = give(x);
    tn_scope *inner = entered(PARAMS(q), &z);
    CHECK(state_of(x) == TN_ERR_DESTRUCTED && why(z) == TN_WHY_SHARED);
    leave(inner);
    leave(scope);
    let_go(q);
    CHECK(unique(a));
    drop(a);
}

static void many(void)
{
    enum { N = 40 };
    tn_pool *pool = own_pool("many");
    tn_array *arrays[N], *out[N];
    tn_promise *promises[N];
    void *params[N];
    int64_t deep[6] = {1, 2, 1, 2, 1, 2}; /* a layout that does not fit into its slot */
    for (int i = 0; i < N; i++) {
        arrays[i] = i % 3 == 0 ? numbers(pool, 6, deep) : numbers(pool, SHAPE(i));
        promises[i] = i % 2 == 0 ? give(arrays[i]) : NULL;
        params[i] = i % 2 == 0 ? (void *)promises[i] : (void *)arrays[i];
    }
    tn_scope *scope = entered(N, params, out);
    for (int i = 0; i < N; i++) {
        CHECK(info_of(out[i]).count == (uint64_t)(i % 3 == 0 ? 8 : i));
        CHECK(state_of(arrays[i]) == (i % 2 == 0 ? TN_ERR_DESTRUCTED : TN_OK));
    }
    OK(tn_leave(scope, 2, &out[N - 3]));
    for (int i = 0; i < N; i++) {
        CHECK(state_of(out[i]) == (i == N - 3 || i == N - 2 ? TN_OK : TN_ERR_STALE));
        if (promises[i] != NULL)
            let_go(promises[i]);
        drop(arrays[i]);
    }
    drop(out[N - 3]);
    drop(out[N - 2]);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static void readonly_and_named(void) /* OO-29: a parameter has the properties of its handle */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *wide = broadcast(a, SHAPE(3, 4)), *out[2];
    OK(tn_array_set_name(wide, "wide"));
    tn_promise *p = give(wide);
    tn_scope *scope = entered(PARAMS(wide, p), out);
    for (int i = 0; i < 2; i++)
        CHECK(strcmp(info_of(out[i]).name, "wide") == 0 && (info_of(out[i]).flags & TN_READONLY) && info_of(out[i]).ndim == 2);
    leave(scope);
    let_go(p);
    drop(wide);
    drop(a);
}

static void who_took_it(void) /* the message of a destructed handle */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *x = NULL, *twin = NULL;
    OK(tn_array_set_name(a, "K"));
    tn_promise *p = give(a);
    OK(tn_here("model.c", 12));
    tn_scope *scope = entered(PARAMS(p), &x);
    FAILS(tn_array_clone(a, &twin), TN_ERR_DESTRUCTED);
    CHECK(says("\"K\"") && says("tn_enter at model.c:12") && says("released"));
    tn_promise *q = give(x);
    OK(tn_here("model.c", 34));
    drop(take(q));
    FAILS(tn_array_clone(x, &twin), TN_ERR_DESTRUCTED);
    CHECK(says("\"K\"") && says("tn_take at model.c:34"));
    OK(tn_here(NULL, 0));
    leave(scope);
    let_go(p);
    let_go(q);
    drop(a);
}

static void strict_mode(void) /* RL-4 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *out[2];
    tn_scope *scope = entered(PARAMS(a, b), out);
    OK(tn_option_set("strict", "1"));
    tn_promise *p = give(out[0]);
    FAILS(tn_leave(scope, 0, NULL), TN_ERR_GIVEN);
    CHECK(state_of(out[0]) == TN_ERR_GIVEN && state_of(out[1]) == TN_OK);
    tn_borrow *guard = writing(out[1], 0);
    FAILS(tn_leave(scope, 0, NULL), TN_ERR_GIVEN);
    FAILS(tn_leave(scope, KEEP(out[0])), TN_ERR_BORROWED_WRITE);
    FAILS(tn_leave(scope, KEEP(out[0], out[0])), TN_ERR_DUPLICATE);
    FAILS(tn_leave(scope, KEEP(out[1], out[1])), TN_ERR_GIVEN);
    end(guard);
    guard = reading(out[1]);
    FAILS(tn_leave(scope, KEEP(out[0])), TN_ERR_BORROWED);
    end(guard);
    guard = exporting(out[1], XR);
    FAILS(tn_leave(scope, KEEP(out[0])), TN_ERR_EXPORTED);
    end(guard);
    CHECK(open_scopes() == 1 && claims(a) == 2 && claims(b) == 2);
    OK(tn_leave(scope, KEEP(out[0])));
    let_go(p);
    drop(out[0]);
    OK(tn_option_set("strict", "0"));

    /* otherwise a guard keeps the bytes, and leave succeeds */
    scope = entered(PARAMS(a, b), out);
    guard = reading(out[0]);
    leave(scope);
    end(guard);
    CHECK(unique(a) && unique(b));
    drop(a);
    drop(b);
}

static void lent_again_and_again(void) /* enter and leave allocate nothing from the pool */
{
    tn_pool *pool = own_pool("leave");
    tn_array *a = numbers(pool, SHAPE(4)), *x = NULL;
    uint64_t before = allocations(pool);
    for (int i = 0; i < 100; i++)
        leave(entered(PARAMS(a), &x));
    CHECK(allocations(pool) == before && unique(a));
    drop(a);
    OK(tn_pool_release(pool));
}

/* ---- OO-40: the nested chain, with a sum that overwrites if it may ---- */
enum { LENGTH = 1000 };

static int64_t first_of(tn_array *array)
{
    int64_t values[LENGTH];
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    for (int i = 1; i < LENGTH; i++)
        CHECK(values[i] - values[i - 1] == values[1] - values[0]);
    return values[1];
}

/* into += from, in place or in a copy. */
static void add(tn_array *into, tn_array *from)
{
    const void *right = NULL;
    void *left = NULL;
    tn_borrow *reads = NULL, *writes = NULL;
    OK(tn_array_borrow_read(from, 0, NULL, &right, NULL, &reads));
    OK(tn_array_borrow_write(into, TN_WRITE_COW, NULL, &left, NULL, &writes));
    for (int i = 0; i < LENGTH; i++)
        ((int64_t *)left)[i] += ((const int64_t *)right)[i];
    end(writes);
    end(reads);
}

/* m1 + m2, in the bytes of either if it is unshared, else in a copy. */
static tn_status compute_v(void *m1, void *m2, tn_array **v)
{
    tn_array *m[2];
    tn_scope *scope = NULL;
    tn_status status = tn_enter(2, (void *[]){m1, m2}, m, &scope);
    if (status != TN_OK)
        return status;
    int into = why(m[0]) == 0 || why(m[1]) != 0 ? 0 : 1;
    add(m[into], m[1 - into]);
    OK(tn_leave(scope, 1, &m[into]));
    *v = m[into];
    return TN_OK;
}

static void compute_both_v(void *a, void *d1, void *d2, int gives, tn_array *v[2])
{
    tn_array *m[3];
    tn_scope *scope = entered(PARAMS(a, d1, d2), m);
    if (gives) {
        tn_promise *p1 = give(m[1]);
        OK(compute_v(m[0], p1, &v[0]));
        CHECK(state_of(m[1]) == TN_ERR_DESTRUCTED && state_of(m[0]) == TN_OK);
        tn_promise *p0 = give(m[0]), *p2 = give(m[2]);
        OK(compute_v(p0, p2, &v[1]));
        CHECK(state_of(m[0]) == TN_ERR_DESTRUCTED && state_of(m[2]) == TN_ERR_DESTRUCTED);
        let_go(p0);
        let_go(p1);
        let_go(p2);
    } else {
        OK(compute_v(m[0], m[1], &v[0]));
        OK(compute_v(m[0], m[2], &v[1]));
    }
    leave(scope);
}

static void the_chain(void) /* OO-40, OO-41, OO-42 */
{
    for (int way = 0; way < 3; way++) {
        tn_pool *pool = own_pool("chain");
        tn_array *in[3], *v[2];
        for (int i = 0; i < 3; i++)
            in[i] = numbers(pool, SHAPE(LENGTH));
        fill_i64(in[1], 10);
        fill_i64(in[2], 20);
        void *address_of[3] = {address(in[0]), address(in[1]), address(in[2])};
        tn_promise *p[3] = {NULL, NULL, NULL};
        uint64_t before = allocations(pool);
        if (way == 0) { /* OO-40: compute_both_v(give(A), give(D1), give(D2)) */
            for (int i = 0; i < 3; i++)
                p[i] = give(in[i]);
            compute_both_v(p[0], p[1], p[2], 1, v);
            /* The first sum overwrites D1, which is unshared; the second overwrites A itself. */
            CHECK(allocations(pool) == before && address(v[0]) == address_of[1] && address(v[1]) == address_of[0]);
            CHECK(live_bytes(pool) == 2 * 8 * LENGTH);
            CHECK(first_of(v[0]) == 11 && first_of(v[1]) == 21);
        } else if (way == 1) { /* OO-41: compute_both_v(D1, give(A), give(D2)) */
            p[0] = give(in[0]);
            p[2] = give(in[2]);
            compute_both_v(in[1], p[0], p[2], 1, v);
            CHECK(allocations(pool) == before && address(v[0]) == address_of[0] && address(v[1]) == address_of[2]);
            CHECK(state_of(in[1]) == TN_OK && unique(in[1]));
            CHECK(first_of(v[0]) == 11 && first_of(v[1]) == 30);
        } else { /* OO-42: no give, two copies, equal values */
            compute_both_v(in[0], in[1], in[2], 0, v);
            CHECK(allocations(pool) == before + 2);
            CHECK(unique(in[0]) && unique(in[1]) && unique(in[2]));
            CHECK(first_of(v[0]) == 11 && first_of(v[1]) == 21);
        }
        for (int i = 0; i < 3; i++) {
            if (p[i] != NULL)
                let_go(p[i]);
            drop(in[i]);
        }
        drop(v[0]);
        drop(v[1]);
        CHECK(live_bytes(pool) == 0);
        OK(tn_pool_release(pool));
    }
}

/* Only the dense one can hold the sum: the first call copies it once, and the second overwrites the copy. */
static void one_copy(void) /* OO-40 */
{
    tn_pool *pool = own_pool("one copy");
    tn_array *a = numbers(pool, SHAPE(LENGTH)), *d = numbers(pool, SHAPE(LENGTH)), *x[2], *m[2];
    void *bytes = address(a);
    tn_promise *p = give(a);
    uint64_t before = allocations(pool);
    tn_scope *outer = entered(PARAMS(p, d), x);
    tn_scope *inner = entered(PARAMS(x[0], x[1]), m);
    CHECK(claims(x[0]) == 2 && why(m[0]) == TN_WHY_SHARED);
    add(m[0], m[1]);
    CHECK(allocations(pool) == before + 1 && address(m[0]) != bytes && address(x[0]) == bytes && unique(x[0]));
    leave(inner);
    tn_promise *q = give(x[0]);
    inner = entered(PARAMS(q, x[1]), m);
    CHECK(state_of(x[0]) == TN_ERR_DESTRUCTED && why(m[0]) == 0);
    add(m[0], m[1]);
    CHECK(allocations(pool) == before + 1 && address(m[0]) == bytes);
    leave(inner);
    leave(outer);
    CHECK(live_bytes(pool) == 8 * LENGTH && unique(d));
    let_go(p);
    let_go(q);
    drop(a);
    drop(d);
    OK(tn_pool_release(pool));
}

static void second_call_fails(void) /* OO-43 */
{
    tn_array *a = numbers(NULL, SHAPE(LENGTH)), *d = numbers(NULL, SHAPE(LENGTH)), *x[2], *v = NULL;
    tn_promise *p = give(a), *q = give(d);
    tn_scope *scope = entered(PARAMS(p, q), x);
    OK(compute_v(x[0], x[1], &v));
    tn_promise *p0 = give(x[0]), *p1 = give(x[1]);
    tn_array *none[3] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    tn_scope *inner = UNTOUCHED;
    FAILS(tn_enter(PARAMS(p0, p1, stale()), none, &inner), TN_ERR_STALE);
    CHECK(none[0] == UNTOUCHED && inner == UNTOUCHED && first_of(v) == 2);
    CHECK(state_of(x[0]) == TN_ERR_GIVEN && state_of(x[1]) == TN_ERR_GIVEN);
    let_go(p0);
    let_go(p1);
    CHECK(state_of(x[0]) == TN_OK && state_of(x[1]) == TN_OK && unique(x[0]));
    leave(scope);
    drop(v);
    let_go(p);
    let_go(q);
    drop(a);
    drop(d);
}

/* ---- threads ---- */
static void *leaves(void *scope)
{
    return (void *)(intptr_t)tn_leave(scope, 0, NULL);
}

static void *releases(void *array)
{
    return (void *)(intptr_t)tn_array_release(array);
}

static void from_two_threads(void) /* TH-17, OO-38 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *out[2];
    for (int i = 0; i < rounds(2000); i++) {
        pthread_t first, second;
        void *left = NULL, *other = NULL;
        tn_scope *scope = entered(PARAMS(a, a), out);
        int twice = i % 2;
        pthread_create(&first, NULL, leaves, scope);
        pthread_create(&second, NULL, twice ? leaves : releases, twice ? (void *)scope : (void *)out[1]);
        pthread_join(first, &left);
        pthread_join(second, &other);
        intptr_t one = (intptr_t)left, two = (intptr_t)other;
        if (twice)
            CHECK((one == TN_OK && two == TN_ERR_STALE) || (one == TN_ERR_STALE && two == TN_OK));
        else
            CHECK(one == TN_OK && (two == TN_OK || two == TN_ERR_STALE));
        CHECK(unique(a));
    }
    drop(a);
}

int main(void)
{
    given();
    fewer_and_more();
    all_or_nothing();
    beside_its_promise();
    without_its_promise();
    clones_of_what_is_given();
    forwarded();
    decided_at_use();
    what_the_callee_returns();
    released_before();
    what_may_be_kept();
    given_on_and_left();
    left_once();
    lent();
    many();
    readonly_and_named();
    who_took_it();
    strict_mode();
    lent_again_and_again();
    the_chain();
    one_copy();
    second_call_fails();
    from_two_threads();
    return finish();
}
