/*
 * ownership.c - give, cancel, take (OO-1 to OO-30; scopes.c has the rows about scopes), is_unique and why_not with holders and sites (WN-1
 * to WN-9).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <unistd.h>

static tn_promise *give_as(tn_array *array, uint32_t required)
{
    tn_promise *promise = NULL;
    OK(tn_array_give(array, required, &promise));
    return promise;
}

static void let_go(tn_promise *promise)
{
    OK(tn_promise_release(promise));
}

static tn_status try_give(tn_array *array, uint32_t required)
{
    tn_promise *promise = UNTOUCHED;
    tn_status status = tn_array_give(array, required, &promise);
    if (status == TN_OK)
        let_go(promise);
    else
        CHECK(promise == UNTOUCHED);
    return status;
}

static tn_status try_take(tn_promise *promise)
{
    tn_array *out = UNTOUCHED;
    tn_status status = tn_take(1, &promise, &out);
    if (status == TN_OK)
        drop(out);
    else
        CHECK(out == UNTOUCHED);
    return status;
}

static void the_claim_moves(void) /* OO-1 */
{
    tn_pool *pool = own_pool("oo-1");
    tn_array *a = numbers(pool, SHAPE(2, 3)), *view = block(a, TN_NONE, TN_NONE, -1, 0, 3, 2), *kept = view;
    void *before = address(view);
    drop(a);
    tn_promise *p = give(view);
    CHECK(state_of(view) == TN_ERR_GIVEN);
    tn_array *x = take(p);
    CHECK(x != kept && state_of(kept) == TN_ERR_DESTRUCTED && state_of(x) == TN_OK);
    tn_array_info info = info_of(x);
    CHECK(info.ndim == 2 && info.shape[0] == 2 && info.shape[1] == 2 && info.strides[0] == -24 &&
          info.strides[1] == 16);
    CHECK(address(x) == before && HOLDS(x, 3, 5, 0, 2));
    CHECK(unique(x) && why(x) == 0 && claims(x) == 1 && allocations(pool) == 1);
    CHECK(try_take(p) == TN_ERR_DESTRUCTED);
    let_go(p);
    drop(kept);
    CHECK(live_bytes(pool) == 48);
    drop(x);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static void always_destructed(void) /* OO-2 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *out = UNTOUCHED, *outs[4];
    tn_promise *p = give(a), *promise = UNTOUCHED;
    tn_array *x = take(p);
    CHECK(HOLDS(x, 0, 1, 2, 3)); /* the taker only reads */
    drop(x);
    tn_array_info info = {.size = sizeof info};
    tn_weak *weak = UNTOUCHED;
    tn_borrow *guard = UNTOUCHED;
    tn_pool *pool = UNTOUCHED;
    tn_part chunk;
    tn_view_info view;
    tn_slice_spec all = TN_SLICE(TN_NONE, TN_NONE, TN_NONE);
    uint32_t bits = 77;
    int32_t answer = 77;
    tn_overlap relation = 77;
    size_t n = 77;
    int64_t raw[4] = {9, 9, 9, 9}, value = 1;
    FAILS(tn_array_query(a, &info), TN_ERR_DESTRUCTED);
    FAILS(tn_array_clone(a, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_copy(a, NULL, NULL, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_weaken(a, &weak), TN_ERR_DESTRUCTED);
    FAILS(tn_array_reshape(a, SHAPE(2, 2), TN_ORDER_C, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_ravel(a, TN_ORDER_C, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_transpose(a, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_permute(a, 1, (int32_t[]){0}, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_slice(a, 1, &all, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_index(a, 0, 0, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_squeeze(a, 0, NULL, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_expand(a, 0, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_broadcast(a, SHAPE(2, 4), &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_split(a, 0, 2, 4, outs, &n), TN_ERR_DESTRUCTED);
    FAILS(tn_array_chunks(a, 0, 2, 4, outs, &n), TN_ERR_DESTRUCTED);
    FAILS(tn_array_view_dtype(a, TN_F64, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_overlap(a, b, &relation), TN_ERR_DESTRUCTED);
    FAILS(tn_array_overlap(b, a, &relation), TN_ERR_DESTRUCTED);
    FAILS(tn_array_borrow_read(a, 0, NULL, NULL, NULL, &guard), TN_ERR_DESTRUCTED);
    FAILS(tn_array_borrow_write(a, 0, NULL, NULL, NULL, &guard), TN_ERR_DESTRUCTED);
    FAILS(tn_array_split_write(a, 0, 1, 0, NULL, &chunk), TN_ERR_DESTRUCTED);
    tn_borrow_spec specs[2] = {{.array = b, .access = TN_READ}, {.array = a, .access = TN_READ}};
    FAILS(tn_borrow_all(2, specs, NULL, &guard), TN_ERR_DESTRUCTED);
    FAILS(tn_array_wait(a, TN_READ), TN_ERR_DESTRUCTED);
    FAILS(tn_array_export_host(a, XR, 0, NULL, &view, &guard, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_give(a, 1, &promise), TN_ERR_DESTRUCTED);
    FAILS(tn_array_is_unique(a, &answer), TN_ERR_DESTRUCTED);
    FAILS(tn_array_why_not(a, NULL, sizeof(tn_holder), 0, &bits, NULL, &n), TN_ERR_DESTRUCTED);
    FAILS(tn_array_copy_into(a, b, 0, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_copy_into(b, a, 0, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_to_device(a, HOST, NULL, NULL, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_copy_to_host(a, raw, NULL, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_copy_from_host(a, raw, NULL, 0, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_fill(a, &value, 0, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_clear(a, 0, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_array_pool(a, &pool), TN_ERR_DESTRUCTED);
    FAILS(tn_array_like(a, NULL, NULL, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_set_name(a, "late"), TN_ERR_DESTRUCTED);
    CHECK(out == UNTOUCHED && weak == UNTOUCHED && guard == UNTOUCHED && pool == UNTOUCHED && promise == UNTOUCHED);
    CHECK(answer == 77 && relation == 77 && bits == 77 && n == 77 && raw[0] == 9 && info.ndim == 0 && why(b) == 0);
    let_go(p);
    drop(a);
    drop(b);
}

static void destructed_is_released_once(void) /* OO-3 */
{
    tn_pool *pool = own_pool("oo-3");
    tn_array *a = numbers(pool, SHAPE(4));
    tn_promise *p = give(a);
    tn_array *x = take(p);
    let_go(p);
    drop(a);
    FAILS(tn_array_release(a), TN_ERR_STALE);
    CHECK(live_bytes(pool) == 32 && HOLDS(x, 0, 1, 2, 3));
    drop(x);
    OK(tn_pool_release(pool));
}

static void fewer_than_required(void) /* OO-4 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_promise *p = give_as(a, 2);
    tn_array *x = take(p);
    CHECK(state_of(a) == TN_OK && claims(a) == 2 && why(x) == TN_WHY_SHARED && why(a) == TN_WHY_SHARED);
    CHECK(try_take(p) == TN_ERR_DESTRUCTED && address(x) == address(a));
    drop(x);
    CHECK(unique(a) && why(a) == 0);
    let_go(p);
    drop(a);
}

static void two_promises_two_variables(void) /* OO-5 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *out[2];
    tn_promise *both[2] = {give_as(a, 2), give_as(a, 2)};
    OK(tn_take(2, both, out));
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && out[0] != out[1] && claims(out[0]) == 2);
    CHECK(address(out[0]) == address(out[1]) && why(out[0]) == TN_WHY_SHARED);
    drop(out[1]);
    CHECK(unique(out[0]) && why(out[0]) == 0 && HOLDS(out[0], 0, 1, 2, 3));
    drop(out[0]);
    let_go(both[0]);
    let_go(both[1]);
    drop(a);
}

static void one_of_two(void) /* OO-6 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_promise *p = give_as(a, 2), *q = give_as(a, 2);
    tn_array *x = take(p);
    CHECK(state_of(a) == TN_ERR_GIVEN && (why(a) & TN_WHY_GIVEN) && !unique(a));
    CHECK(count_holders(a, TN_HOLDER_PROMISE) == 1);
    OK(tn_promise_cancel(q));
    CHECK(state_of(a) == TN_OK && why(a) == TN_WHY_SHARED);
    drop(x);
    CHECK(why(a) == 0);
    let_go(p);
    let_go(q);
    drop(a);
}

static void required_is_only_raised(void) /* OO-7, OO-8, OO-9, OO-10 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *out[3];
    tn_promise *three[3] = {give_as(a, 1), give_as(a, 2), NULL};
    OK(tn_take(2, three, out)); /* Case I: as many promises as the largest required number */
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && claims(out[0]) == 2);
    drop(a);
    drop(out[1]);
    let_go(three[0]);
    let_go(three[1]);
    a = out[0];
    three[0] = give_as(a, 2);
    three[1] = give_as(a, 1);
    OK(tn_take(1, &three[1], out)); /* r stays 2: one promise is not enough */
    CHECK(state_of(a) == TN_ERR_GIVEN && claims(out[0]) == 2);
    drop(out[0]);
    let_go(three[0]);
    let_go(three[1]);
    CHECK(state_of(a) == TN_OK);

    /* OO-8 */
    tn_promise *p = give(a);
    CHECK(try_give(a, 1) == TN_ERR_GIVEN && state_of(a) == TN_ERR_GIVEN && count_holders(a, TN_HOLDER_PROMISE) == 1);
    let_go(p);
    /* OO-9 */
    three[0] = give_as(a, 2);
    three[1] = give_as(a, 2);
    CHECK(try_give(a, 2) == TN_ERR_COUNT && try_give(a, 1) == TN_ERR_COUNT);
    CHECK(count_holders(a, TN_HOLDER_PROMISE) == 2);
    three[2] = give_as(a, 3);
    OK(tn_take(3, three, out));
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && claims(out[2]) == 3);
    for (int i = 0; i < 3; i++) {
        let_go(three[i]);
        drop(out[i]);
    }
    drop(a);
    /* OO-10 */
    a = numbers(NULL, SHAPE(4));
    CHECK(try_give(a, 0) == TN_ERR_INVALID && state_of(a) == TN_OK && why(a) == 0);
    drop(a);
}

static void all_or_nothing(void) /* OO-11, OO-12 */
{
    tn_pool *pool = own_pool("oo-12");
    tn_array *a = numbers(pool, SHAPE(4)), *b = numbers(pool, SHAPE(4)), *out[3] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    tn_promise *p = give(a), *q = give(b), *twice[2] = {p, p};
    FAILS(tn_take(2, twice, out), TN_ERR_DUPLICATE);
    CHECK(state_of(a) == TN_ERR_GIVEN && count_holders(a, TN_HOLDER_PROMISE) == 1);

    OK(tn_promise_cancel(q));
    tn_promise *gone = give(b);
    let_go(gone);
    const struct {
        void *bad;
        tn_status status;
    } rows[4] = {{q, TN_ERR_DESTRUCTED}, {NULL, TN_ERR_NULL}, {gone, TN_ERR_STALE}, {b, TN_ERR_KIND}};
    for (int i = 0; i < 4; i++)
        for (int place = 0; place < 2; place++) {
            tn_promise *pair[2];
            pair[place] = (tn_promise *)rows[i].bad;
            pair[1 - place] = p;
            FAILS(tn_take(2, pair, out), rows[i].status);
            CHECK(state_of(a) == TN_ERR_GIVEN && count_holders(a, TN_HOLDER_PROMISE) == 1 && claims(a) == 1);
            CHECK(state_of(b) == TN_OK && claims(b) == 1);
        }
    FAILS(tn_take(1, &p, NULL), TN_ERR_NULL);
    FAILS(tn_take(1, NULL, out), TN_ERR_NULL);
    for (int i = 0; i < 3; i++)
        CHECK(out[i] == UNTOUCHED);
    CHECK(allocations(pool) == 2 && live_bytes(pool) == 64);
    drop(take(p)); /* still valid for one take */
    CHECK(live_bytes(pool) == 32);
    let_go(p);
    let_go(q);
    drop(a);
    drop(b);
    OK(tn_pool_release(pool));
}

static void clones_and_promises(void) /* OO-16, OO-17 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = clone(a), *out[2];
    tn_promise *p = give(b);
    tn_array *x = take(p), *plain = clone(a);
    CHECK(state_of(b) == TN_ERR_DESTRUCTED && state_of(a) == TN_OK && claims(a) == 3);
    drop(plain);
    let_go(p);
    drop(b);

    tn_promise *both[2] = {give(a), give(x)};
    OK(tn_take(2, both, out));
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && state_of(x) == TN_ERR_DESTRUCTED && claims(out[0]) == 2);
    CHECK(address(out[0]) == address(out[1]));
    drop(out[0]);
    CHECK(unique(out[1]));
    drop(out[1]);
    let_go(both[0]);
    let_go(both[1]);
    drop(a);
    drop(x);
}

static void the_promise_outlives_the_handle(void) /* OO-18, OO-19 */
{
    tn_pool *pool = own_pool("oo-18");
    tn_array *a = numbers(pool, SHAPE(4));
    OK(tn_array_set_name(a, "parting"));
    tn_promise *p = give(a);
    drop(a);
    CHECK(live_bytes(pool) == 32 && held_bytes(pool) == 0);
    FAILS(tn_array_release(a), TN_ERR_STALE);
    tn_array *x = take(p);
    CHECK(unique(x) && HOLDS(x, 0, 1, 2, 3) && strcmp(info_of(x).name, "parting") == 0);
    let_go(p);

    tn_array *twin = clone(x);
    p = give(x);
    CHECK(why(twin) == TN_WHY_SHARED);
    drop(x);
    CHECK(why(twin) == TN_WHY_SHARED && !unique(twin));
    tn_holder holder[2];
    uint32_t bits = 0;
    size_t n = 0;
    OK(tn_array_why_not(twin, NULL, sizeof(tn_holder), 2, &bits, holder, &n));
    CHECK(n == 1 && holder[0].kind == TN_HOLDER_PROMISE && strcmp(holder[0].name, "parting") == 0);
    OK(tn_promise_cancel(p)); /* OO-19: the claim ends */
    CHECK(why(twin) == 0);
    let_go(p);
    p = give(twin);
    drop(twin);
    CHECK(live_bytes(pool) == 32);
    let_go(p); /* released instead */
    CHECK(live_bytes(pool) == 0);
    a = numbers(pool, SHAPE(4));
    p = give(a);
    drop(a);
    OK(tn_promise_cancel(p));
    CHECK(live_bytes(pool) == 0);
    let_go(p);

    /* a released giver, Case II: its remaining claim ends with the last promise */
    a = numbers(pool, SHAPE(4));
    p = give_as(a, 2);
    drop(a);
    x = take(p);
    CHECK(unique(x) && live_bytes(pool) == 32);
    let_go(p);
    drop(x);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static void promises_that_are_not_taken(void) /* OO-20, OO-21, OO-22, OO-23 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_promise *p = give(a);
    let_go(p);
    CHECK(state_of(a) == TN_OK && why(a) == 0 && try_write(a, TN_WRITE_UNIQUE) == TN_OK);
    FAILS(tn_promise_release(p), TN_ERR_STALE);

    p = give(a);
    OK(tn_promise_cancel(p));
    CHECK(state_of(a) == TN_OK && why(a) == 0);
    FAILS(tn_promise_cancel(p), TN_ERR_DESTRUCTED);
    CHECK(try_take(p) == TN_ERR_DESTRUCTED && state_of(a) == TN_OK);
    let_go(p);
    FAILS(tn_promise_release(p), TN_ERR_STALE);
    FAILS(tn_promise_cancel(p), TN_ERR_STALE);
    CHECK(try_take(p) == TN_ERR_STALE);

    p = give(a);
    tn_promise *forwarded = p; /* passing it on needs no call */
    tn_array *x = take(forwarded);
    CHECK(try_take(p) == TN_ERR_DESTRUCTED);
    FAILS(tn_promise_cancel(p), TN_ERR_DESTRUCTED);
    CHECK(state_of(a) == TN_ERR_DESTRUCTED && unique(x));
    let_go(p);
    FAILS(tn_promise_release(p), TN_ERR_STALE);
    drop(a);
    drop(x);
}

static void promise_where_an_array_is_expected(void) /* OO-24, OO-25 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *out = UNTOUCHED;
    tn_promise *p = give(a), *promise = UNTOUCHED;
    tn_array *wrong = (tn_array *)(void *)p;
    tn_borrow *guard = UNTOUCHED;
    tn_weak *weak = UNTOUCHED;
    tn_view_info view;
    tn_array_info info = {.size = sizeof info};
    uint32_t bits = 77;
    int32_t answer = 77;
    size_t n = 77;
    FAILS(tn_array_borrow_read(wrong, 0, NULL, NULL, NULL, &guard), TN_ERR_KIND);
    CHECK(says("tn_take"));
    FAILS(tn_array_query(wrong, &info), TN_ERR_KIND);
    CHECK(says("tn_take"));
    FAILS(tn_array_clone(wrong, &out), TN_ERR_KIND);
    CHECK(says("tn_take"));
    FAILS(tn_array_release(wrong), TN_ERR_KIND);
    CHECK(says("tn_take"));
    FAILS(tn_array_borrow_write(wrong, 0, NULL, NULL, NULL, &guard), TN_ERR_KIND);
    FAILS(tn_array_copy(wrong, NULL, NULL, &out), TN_ERR_KIND);
    FAILS(tn_array_transpose(wrong, &out), TN_ERR_KIND);
    FAILS(tn_array_weaken(wrong, &weak), TN_ERR_KIND);
    FAILS(tn_array_export_host(wrong, XR, 0, NULL, &view, &guard, NULL), TN_ERR_KIND);
    FAILS(tn_array_give(wrong, 1, &promise), TN_ERR_KIND);
    FAILS(tn_array_copy_into(wrong, b, 0, NULL), TN_ERR_KIND);
    FAILS(tn_array_copy_into(b, wrong, 0, NULL), TN_ERR_KIND);
    FAILS(tn_array_is_unique(wrong, &answer), TN_ERR_KIND); /* WN-7 */
    FAILS(tn_array_why_not(wrong, NULL, sizeof(tn_holder), 0, &bits, NULL, &n), TN_ERR_KIND);
    CHECK(out == UNTOUCHED && guard == UNTOUCHED && weak == UNTOUCHED && promise == UNTOUCHED && answer == 77 &&
          n == 77);

    FAILS(tn_promise_cancel((tn_promise *)(void *)b), TN_ERR_KIND);
    FAILS(tn_promise_release((tn_promise *)(void *)b), TN_ERR_KIND);
    CHECK(try_take((tn_promise *)(void *)b) == TN_ERR_KIND);
    CHECK(state_of(a) == TN_ERR_GIVEN && state_of(b) == TN_OK);
    let_go(p);
    drop(a);
    drop(b);
}

static void give_and_guards(void) /* OO-26 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a);
    tn_borrow *guard = reading(a);
    CHECK(try_give(a, 1) == TN_ERR_BORROWED);
    end(guard);
    guard = writing(a, 0);
    CHECK(try_give(a, 1) == TN_ERR_BORROWED_WRITE && state_of(a) == TN_OK);
    end(guard);
    guard = reading(twin); /* another handle's guard is no obstacle, but why_not of the result shows it */
    tn_promise *p = give(a);
    tn_array *x = take(p);
    CHECK(why(x) == (TN_WHY_SHARED | TN_WHY_BORROWED));
    end(guard);
    let_go(p);
    drop(a);
    drop(x);
    drop(twin);
}

static void give_checks_nothing_else(void) /* OO-27, XI-7: give checks nothing else */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_borrow *view = exporting(a, XR);
    tn_promise *p = give(a);
    tn_array *x = take(p);
    CHECK(why(x) == TN_WHY_EXPORTED && count_holders(x, TN_HOLDER_EXPORT_READ) == 1);
    end(view);
    let_go(p);
    drop(a);
    poison(x);
    p = give(x);
    a = take(p);
    CHECK(why(a) == TN_WHY_POISONED);
    let_go(p);
    drop(x);
    drop(a);

    int64_t lent[2] = {1, 2};
    a = array_of(lent, TN_BORROW | TN_IMPORT_READONLY, NULL, NULL, SHAPE(2));
    p = give(a);
    x = take(p);
    CHECK(why(x) == (TN_WHY_FOREIGN | TN_WHY_READONLY) && (info_of(x).flags & TN_READONLY) &&
          try_write(x, 0) == TN_ERR_READONLY);
    let_go(p);
    drop(a);
    drop(x);
}

static void uses_of_a_given_handle(void) /* OO-28 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *out = UNTOUCHED;
    OK(tn_array_set_name(a, "parting"));
    tn_promise *p = give(a);
    tn_borrow *guard = UNTOUCHED;
    tn_weak *weak = UNTOUCHED;
    tn_view_info view;
    tn_part chunk;
    int64_t raw[4] = {0}, value = 3;
    FAILS(tn_array_clone(a, &out), TN_ERR_GIVEN);
    CHECK(says("parting"));
    FAILS(tn_array_transpose(a, &out), TN_ERR_GIVEN);
    FAILS(tn_array_reshape(a, SHAPE(2, 2), TN_ORDER_C, &out), TN_ERR_GIVEN);
    FAILS(tn_array_index(a, 0, 0, &out), TN_ERR_GIVEN);
    FAILS(tn_array_view_dtype(a, TN_F64, &out), TN_ERR_GIVEN);
    FAILS(tn_array_copy(a, NULL, NULL, &out), TN_ERR_GIVEN);
    FAILS(tn_array_wait(a, TN_READ), TN_ERR_GIVEN);
    FAILS(tn_array_borrow_read(a, 0, NULL, NULL, NULL, &guard), TN_ERR_GIVEN);
    FAILS(tn_array_borrow_write(a, 0, NULL, NULL, NULL, &guard), TN_ERR_GIVEN);
    FAILS(tn_array_split_write(a, 0, 1, 0, NULL, &chunk), TN_ERR_GIVEN);
    FAILS(tn_array_export_host(a, XR, 0, NULL, &view, &guard, NULL), TN_ERR_GIVEN);
    FAILS(tn_array_weaken(a, &weak), TN_ERR_GIVEN);
    FAILS(tn_array_copy_to_host(a, raw, NULL, NULL), TN_ERR_GIVEN);
    FAILS(tn_array_copy_from_host(a, raw, NULL, 0, NULL), TN_ERR_GIVEN);
    FAILS(tn_array_copy_into(a, b, 0, NULL), TN_ERR_GIVEN);
    FAILS(tn_array_copy_into(b, a, 0, NULL), TN_ERR_GIVEN);
    FAILS(tn_array_fill(a, &value, 0, NULL), TN_ERR_GIVEN);
    FAILS(tn_array_to_device(a, HOST, NULL, NULL, &out), TN_ERR_GIVEN);
    CHECK(out == UNTOUCHED && guard == UNTOUCHED && weak == UNTOUCHED && why(b) == 0);
    CHECK(info_of(a).count == 4 && !unique(a) && why(a) == TN_WHY_GIVEN);
    CHECK(count_holders(a, TN_HOLDER_PROMISE) == 1);
    drop(a);
    tn_array *x = take(p);
    CHECK(HOLDS(x, 0, 1, 2, 3));
    drop(x);
    drop(b);
    let_go(p);
}

static void a_view_is_given(void) /* OO-29 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *view = at(a, 1, 2);
    tn_promise *p = give(view);
    tn_array *x = take(p);
    CHECK(state_of(view) == TN_ERR_DESTRUCTED && state_of(a) == TN_OK && claims(a) == 2);
    CHECK(HOLDS(x, 2, 5) && info_of(x).strides[0] == 24 && info_of(x).offset == 16);
    let_go(p);
    drop(view);
    drop(x);
    CHECK(unique(a));
    drop(a);
}

static void decided_at_use(void) /* OO-30 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = clone(a);
    tn_promise *p = give(a);
    tn_array *x = take(p);
    CHECK(why(x) == TN_WHY_SHARED && try_write(x, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    drop(b);
    CHECK(why(x) == 0 && try_write(x, TN_WRITE_UNIQUE) == TN_OK);
    let_go(p);
    drop(a);
    drop(x);
}

static void why_not_bits(void) /* WN-1, WN-2, WN-3, WN-4 */
{
    tn_array *a = numbers(NULL, SHAPE(6));
    uint32_t bits = 77;
    size_t n = 77;
    OK(tn_array_why_not(a, NULL, sizeof(tn_holder), 0, &bits, NULL, &n));
    CHECK(bits == 0 && n == 0 && unique(a));

    tn_array *twin = clone(a);
    tn_borrow *view = exporting(a, XR), *guard = reading(a);
    CHECK(why(a) == (TN_WHY_SHARED | TN_WHY_EXPORTED | TN_WHY_BORROWED) && !unique(a));
    end(view);
    CHECK(why(a) == (TN_WHY_SHARED | TN_WHY_BORROWED) && !unique(a));
    drop(twin);
    CHECK(why(a) == TN_WHY_BORROWED && !unique(a));
    end(guard);
    CHECK(unique(a));
    poison(a);
    CHECK(why(a) == TN_WHY_POISONED && unique(a)); /* the other bits do not affect is_unique */
    OK(tn_array_clear(a, 0, NULL));

    /* claims and exports count for the whole store, guards by region */
    tn_array *head = part(a, 0, 3, 1), *tail = part(a, 3, 6, 1);
    drop(a);
    guard = reading(tail);
    CHECK(why(head) == TN_WHY_SHARED && why(tail) == (TN_WHY_SHARED | TN_WHY_BORROWED));
    end(guard);
    guard = exporting(tail, XS);
    CHECK(why(head) == (TN_WHY_SHARED | TN_WHY_EXPORTED));
    drop(tail);
    CHECK(why(head) == TN_WHY_EXPORTED && !unique(head));
    end(guard);
    CHECK(why(head) == 0);
    drop(head);
}

static uint32_t why_for(tn_array *array, tn_device device, tn_dtype dtype, int32_t ndim, const int64_t *shape)
{
    tn_target target = {.size = sizeof target, .device = device, .dtype = dtype, .ndim = ndim, .shape = shape};
    uint32_t bits = 77;
    size_t n = 0;
    OK(tn_array_why_not(array, &target, sizeof(tn_holder), 0, &bits, NULL, &n));
    return bits;
}

static void why_not_for_a_target(void) /* TN_WHY_LAYOUT, TN_WHY_DEVICE, TN_WHY_WASTE */
{
    tn_array *a = numbers(NULL, SHAPE(4, 4)), *rows = part(a, TN_NONE, TN_NONE, -1);
    drop(a);
    a = numbers(NULL, SHAPE(4, 4));
    const tn_device device = {TN_CUDA, 0};
    CHECK(why_for(a, HOST, TN_I64, SHAPE(4, 4)) == 0);
    CHECK(why_for(a, HOST, TN_F64, SHAPE(16)) == 0);                    /* contiguous, large enough */
    CHECK(why_for(a, HOST, TN_F64, SHAPE(8)) == 0);                     /* half of the store is no waste yet */
    CHECK(why_for(a, HOST, TN_F64, SHAPE(7)) == TN_WHY_WASTE);
    CHECK(why_for(a, HOST, TN_F64, SHAPE(17)) == TN_WHY_LAYOUT);
    CHECK(why_for(a, HOST, TN_F32, SHAPE(4, 4)) & TN_WHY_LAYOUT);
    CHECK(why_for(a, device, TN_I64, SHAPE(4, 4)) == TN_WHY_DEVICE);
    CHECK(why_for(rows, HOST, TN_F64, SHAPE(4, 4)) == 0);               /* an equal shape */
    CHECK(why_for(rows, HOST, TN_F64, SHAPE(16)) == TN_WHY_LAYOUT);     /* not contiguous */
    tn_target target = {.size = 0, .device = HOST, .dtype = TN_I64};
    uint32_t bits = 77;
    size_t n = 77;
    FAILS(tn_array_why_not(a, &target, sizeof(tn_holder), 0, &bits, NULL, &n), TN_ERR_INVALID);
    CHECK(bits == 77 && n == 77);
    drop(rows);
    drop(a);
}

static const tn_holder *find(const tn_holder *holders, size_t n, tn_holder_kind kind)
{
    static const tn_holder none;
    for (size_t i = 0; i < n; i++)
        if (holders[i].kind == kind)
            return &holders[i];
    return &none;
}

static void holders_and_sites(void) /* WN-5, WN-9 */
{
    tn_array *a = numbers(NULL, SHAPE(6)), *tail = part(a, 3, 6, 1);
    OK(tn_array_set_name(a, "weights"));
    OK(tn_here("step.c", 41));
    tn_borrow *guard = reading(a);
    OK(tn_here("other.c", 7));
    tn_array *twin = clone(a);
    tn_borrow *view = exporting(twin, XR), *shared = exporting(twin, XS);
    OK(tn_here(NULL, 0));
    OK(tn_array_set_name(twin, "twin"));
    tn_promise *p = give_as(twin, 1);

    tn_holder holders[16];
    uint32_t bits = 0;
    size_t n = 0;
    OK(tn_array_why_not(a, NULL, sizeof(tn_holder), 16, &bits, holders, &n));
    CHECK(bits == (TN_WHY_SHARED | TN_WHY_EXPORTED | TN_WHY_BORROWED));
    const tn_holder *h = find(holders, n, TN_HOLDER_GUARD_READ);
    CHECK(strcmp(h->name, "weights") == 0 && strcmp(h->site, "step.c:41") == 0);
    CHECK(h->thread == (uint64_t)getpid() && h->device.type == TN_CPU && h->bytes == 48); /* the main thread's number */
    CHECK(h->id == (uint64_t)(uintptr_t)guard);
    h = find(holders, n, TN_HOLDER_EXPORT_READ);
    CHECK(strcmp(h->site, "other.c:7") == 0 && h->thread == (uint64_t)getpid());
    CHECK(find(holders, n, TN_HOLDER_EXPORT_SHARED)->kind == TN_HOLDER_EXPORT_SHARED);
    size_t handles = 0;
    for (size_t i = 0; i < n; i++)
        handles += holders[i].kind == TN_HOLDER_HANDLE;
    CHECK(handles == 2); /* tail and twin, never the handle itself */
    for (size_t i = 0; i < n; i++)
        if (holders[i].kind == TN_HOLDER_HANDLE && holders[i].id == (uint64_t)(uintptr_t)twin)
            CHECK(strcmp(holders[i].name, "twin") == 0 && strcmp(holders[i].site, "other.c:7") == 0);

    /* less capacity: the count is still the full one, and bytes beyond the capacity are untouched */
    tn_holder few[3];
    memset(few, 0x5a, sizeof few);
    tn_holder canary = few[2];
    size_t all = 0;
    OK(tn_array_why_not(a, NULL, sizeof(tn_holder), 2, &bits, few, &all));
    CHECK(all == n && memcmp(&few[2], &canary, sizeof canary) == 0 && few[1].kind != 0x5a5a5a5a);
    all = 0;
    OK(tn_array_why_not(a, NULL, sizeof(tn_holder), 0, &bits, NULL, &all));
    CHECK(all == n);
    all = 77;
    FAILS(tn_array_why_not(a, NULL, sizeof(tn_holder), 2, &bits, NULL, &all), TN_ERR_NULL);
    FAILS(tn_array_why_not(a, NULL, sizeof(tn_holder), 0, NULL, NULL, &all), TN_ERR_NULL);
    FAILS(tn_array_why_not(a, NULL, sizeof(tn_holder), 0, &bits, NULL, NULL), TN_ERR_NULL);
    CHECK(all == 77);

    /* its own promise is listed as well */
    CHECK(count_holders(twin, TN_HOLDER_PROMISE) == 1 && (why(twin) & TN_WHY_GIVEN));
    /* only overlapping guards */
    tn_array *head = part(a, 0, 3, 1);
    end(guard);
    guard = reading(tail);
    CHECK(count_holders(head, TN_HOLDER_GUARD_READ) == 0 && count_holders(a, TN_HOLDER_GUARD_READ) == 1);
    end(guard);

    /* a conflict names the holder, its array, and its site */
    end(view);
    end(shared);
    let_go(p);
    OK(tn_here("step.c", 42));
    guard = writing(a, 0);
    OK(tn_here(NULL, 0));
    CHECK(try_read(twin, 0) == TN_ERR_BORROWED_WRITE);
    CHECK(says("weights") && says("step.c:42") && says("tn_array_borrow_read"));
    end(guard);
    tn_borrow *nowhere = reading(a);
    uint32_t some = 0;
    OK(tn_array_why_not(a, NULL, sizeof(tn_holder), 16, &some, holders, &n));
    CHECK(find(holders, n, TN_HOLDER_GUARD_READ)->kind == TN_HOLDER_GUARD_READ);
    CHECK(find(holders, n, TN_HOLDER_GUARD_READ)->site[0] == 0);
    end(nowhere);

    /* TN_HERE as an expression before a call; a site longer than its field keeps its end */
    guard = (TN_HERE, reading(a));
    OK(tn_array_why_not(a, NULL, sizeof(tn_holder), 16, &some, holders, &n));
    CHECK(strstr(find(holders, n, TN_HOLDER_GUARD_READ)->site, "ownership.c:") != NULL);
    end(guard);
    OK(tn_here("/a/very/long/path/that/does/not/fit/into/the/field/of/sixty/four/bytes/in/front/of/last.c", 1234));
    guard = reading(a);
    OK(tn_array_why_not(a, NULL, sizeof(tn_holder), 16, &some, holders, &n));
    const char *site = find(holders, n, TN_HOLDER_GUARD_READ)->site;
    CHECK(strlen(site) > 11 && strlen(site) < 64 && strcmp(site + strlen(site) - 11, "last.c:1234") == 0);
    end(guard);
    OK(tn_here(NULL, 0));
    drop(head);
    drop(tail);
    drop(twin);
    drop(a);
}

static void unique_iff_nothing_in_the_way(void) /* WN-6, I8, I9 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = NULL;
    tn_borrow *guard = NULL;
    int64_t lent[4] = {0};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = (int64_t[]){4}};
    for (int obstacle = 0; obstacle < 8; obstacle++) {
        tn_array *x = a;
        switch (obstacle) {
        case 1: twin = clone(a); break;
        case 2: guard = exporting(a, XR); break;
        case 3: guard = exporting(a, XS); break;
        case 4: guard = reading(a); break;
        case 5: poison(a); break;
        case 6: x = broadcast(a, SHAPE(2, 4)); break;
        case 7: OK(tn_array_import_host(lent, &layout, TN_BORROW, NULL, NULL, &x, NULL)); break;
        default: break;
        }
        uint32_t bits = why(x);
        CHECK((bits == 0) == (obstacle == 0));
        CHECK((try_write(x, TN_WRITE_UNIQUE) == TN_OK) == (bits == 0));
        const uint32_t alone = TN_WHY_GIVEN | TN_WHY_SHARED | TN_WHY_IN_EXPRESSION | TN_WHY_EXPORTED | TN_WHY_BORROWED;
        CHECK(unique(x) == ((bits & alone) == 0));
        CHECK((try_write(x, TN_WRITE_UNIQUE | TN_WRITE_DISCARD) == TN_OK) == ((bits & ~TN_WHY_POISONED) == 0));
        if (twin != NULL)
            drop(twin), twin = NULL;
        if (guard != NULL)
            end(guard), guard = NULL;
        if (x != a)
            drop(x);
    }
    CHECK(why(a) == 0);
    drop(a);
}

int main(void)
{
    the_claim_moves();
    always_destructed();
    destructed_is_released_once();
    fewer_than_required();
    two_promises_two_variables();
    one_of_two();
    required_is_only_raised();
    all_or_nothing();
    clones_and_promises();
    the_promise_outlives_the_handle();
    promises_that_are_not_taken();
    promise_where_an_array_is_expected();
    give_and_guards();
    give_checks_nothing_else();
    uses_of_a_given_handle();
    a_view_is_given();
    decided_at_use();
    why_not_bits();
    why_not_for_a_target();
    holders_and_sites();
    unique_iff_nothing_in_the_way();
    return finish();
}
