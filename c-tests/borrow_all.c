/*
 * borrow_all.c - several arrays under one guard, all or nothing (BA-1 to BA-9).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"

static tn_borrow_spec spec(tn_array *array, uint32_t access)
{
    return (tn_borrow_spec){.array = array, .access = access};
}

/* Borrows {a, b} and ends the guard at once. On failure the outputs must be untouched. */
static tn_status try_two(tn_array *a, uint32_t access_a, tn_array *b, uint32_t access_b)
{
    tn_borrow_spec specs[2] = {spec(a, access_a), spec(b, access_b)};
    tn_view_info views[2], canary[2];
    tn_borrow *guard = UNTOUCHED;
    memset(views, 0x5a, sizeof views);
    memcpy(canary, views, sizeof views);
    tn_status status = tn_borrow_all(2, specs, views, &guard);
    if (status == TN_OK)
        end(guard);
    else
        CHECK(guard == UNTOUCHED && memcmp(views, canary, sizeof views) == 0);
    return status;
}

static tn_borrow *all_of(size_t n, const tn_borrow_spec *specs, tn_view_info *views)
{
    tn_borrow *guard = NULL;
    OK(tn_borrow_all(n, specs, views, &guard));
    return guard;
}

static void all_or_nothing(void) /* BA-1 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *b = numbers(NULL, SHAPE(2, 2)), *c = numbers(NULL, SHAPE(4));
    tn_borrow_spec specs[3] = {spec(a, TN_READ), spec(b, TN_READ_WRITE), spec(c, TN_WRITE)};
    tn_view_info views[3];
    tn_borrow *guard = all_of(3, specs, views);
    CHECK(views[0].ndim == 1 && views[0].shape[0] == 3 && ((int64_t *)views[0].data)[2] == 2);
    CHECK(views[1].ndim == 2 && views[1].strides[0] == 16 && ((int64_t *)views[1].data)[3] == 3);
    CHECK(views[2].ndim == 1 && views[2].bytes == 32 && views[2].dtype == TN_I64);
    CHECK(try_read(a, 0) == TN_OK && try_write(a, 0) == TN_ERR_BORROWED);
    CHECK(try_read(b, 0) == TN_ERR_BORROWED_WRITE && try_read(c, 0) == TN_ERR_BORROWED_WRITE);
    CHECK(count_holders(a, TN_HOLDER_GUARD_READ) == 1 && count_holders(b, TN_HOLDER_GUARD_WRITE) == 1);
    ((int64_t *)views[1].data)[0] = 40;
    end(guard);
    CHECK(why(a) == 0 && why(b) == 0 && why(c) == 0 && HOLDS(b, 40, 1, 2, 3));

    /* the last one fails: the first ones are unchanged */
    tn_borrow *other = reading(c);
    memset(views, 0x5a, sizeof views);
    guard = UNTOUCHED;
    FAILS(tn_borrow_all(3, specs, views, &guard), TN_ERR_BORROWED);
    CHECK(guard == UNTOUCHED && views[0].ndim == 0x5a5a5a5a);
    CHECK(why(a) == 0 && why(b) == 0 && try_write(b, 0) == TN_OK);
    end(other);

    /* the order of statuses decides before the position: stale wins over given, wherever it is */
    tn_promise *promise = give(a);
    tn_array *gone = stale();
    CHECK(try_two(a, TN_READ, gone, TN_READ) == TN_ERR_STALE && try_two(gone, TN_READ, a, TN_READ) == TN_ERR_STALE);
    CHECK(try_two(gone, TN_READ, NULL, TN_READ) == TN_ERR_NULL);
    CHECK(try_two(a, TN_READ, b, TN_READ | TN_WRITE_COW) == TN_ERR_INVALID);
    CHECK(try_two(b, TN_READ, a, TN_READ) == TN_ERR_GIVEN && why(b) == 0);
    OK(tn_promise_release(promise));
    drop(a);
    drop(b);
    drop(c);
}

static void one_end(void) /* BA-2 */
{
    tn_array *a = numbers(NULL, SHAPE(2)), *b = numbers(NULL, SHAPE(2)), *c = numbers(NULL, SHAPE(2));
    tn_borrow_spec specs[3] = {spec(a, TN_READ), spec(b, TN_READ_WRITE), spec(c, TN_READ_WRITE | TN_WRITE_UNIQUE)};
    tn_borrow *guard = all_of(3, specs, NULL);
    end(guard);
    FAILS(tn_borrow_end(guard, 0, NULL), TN_ERR_STALE);
    CHECK(why(a) == 0 && why(b) == 0 && why(c) == 0);
    guard = all_of(3, specs, NULL);
    OK(tn_borrow_end(guard, TN_END_FAILED, NULL));
    CHECK(why(a) == 0 && why(b) == TN_WHY_POISONED && why(c) == TN_WHY_POISONED && HOLDS(a, 0, 1));
    /* TN_WRITE is a DISCARD writer: heals */
    specs[1] = spec(b, TN_WRITE);
    specs[2] = spec(c, TN_WRITE);
    end(all_of(3, specs, NULL));
    CHECK(why(b) == 0 && why(c) == 0);
    /* the handles may be released before the guard */
    guard = all_of(2, specs, NULL);
    drop(a);
    drop(b);
    drop(c);
    end(guard);
}

static void entries_that_overlap(void) /* BA-3 */
{
    tn_array *a = numbers(NULL, SHAPE(6)), *twin = clone(a), *head = part(a, 0, 3, 1), *tail = part(a, 3, 6, 1);
    tn_array *middle = part(a, 2, 4, 1);
    CHECK(try_two(a, TN_READ, twin, TN_READ) == TN_OK && try_two(a, TN_READ, a, TN_READ) == TN_OK);
    CHECK(try_two(a, TN_READ, middle, TN_READ) == TN_OK);
    CHECK(try_two(a, TN_READ, a, TN_READ_WRITE) == TN_ERR_ALIASED);
    CHECK(try_two(a, TN_WRITE, twin, TN_READ) == TN_ERR_ALIASED);
    CHECK(try_two(head, TN_READ_WRITE, middle, TN_READ_WRITE) == TN_ERR_ALIASED);
    CHECK(try_two(head, TN_READ_WRITE, tail, TN_READ_WRITE) == TN_OK);
    CHECK(try_two(head, TN_READ_WRITE, tail, TN_READ) == TN_OK);
    CHECK(count_holders(a, TN_HOLDER_GUARD_READ) == 0 && count_holders(a, TN_HOLDER_GUARD_WRITE) == 0);
    /* guards of other users are checked first */
    tn_borrow *guard = reading(middle);
    CHECK(try_two(a, TN_READ_WRITE, twin, TN_READ_WRITE) == TN_ERR_BORROWED);
    end(guard);
    guard = writing(tail, 0);
    CHECK(try_two(a, TN_READ_WRITE, twin, TN_READ) == TN_ERR_BORROWED_WRITE);
    end(guard);
    drop(twin);
    drop(head);
    drop(tail);
    drop(middle);
    drop(a);
}

static void cow_entries(void) /* BA-4 */
{
    tn_pool *pool = own_pool("ba-4");
    tn_array *a = numbers(pool, SHAPE(3)), *twin = clone(a);
    tn_borrow_spec specs[2] = {spec(a, TN_READ_WRITE | TN_WRITE_COW), spec(twin, TN_READ)};
    tn_view_info views[2];
    tn_borrow *guard = all_of(2, specs, views);
    CHECK(views[0].data != views[1].data && ((int64_t *)views[0].data)[2] == 2);
    ((int64_t *)views[0].data)[0] = 30;
    CHECK(((int64_t *)views[1].data)[0] == 0);
    end(guard);
    CHECK(HOLDS(a, 30, 1, 2) && HOLDS(twin, 0, 1, 2) && why(a) == 0 && why(twin) == 0 && allocations(pool) == 2);
    drop(a);

    /* it reads its old bytes, so a writer of another handle in the call is an overlap */
    a = clone(twin);
    CHECK(try_two(a, TN_READ_WRITE | TN_WRITE_COW, twin, TN_READ_WRITE) == TN_ERR_ALIASED);
    CHECK(claims(a) == 2);
    /* with DISCARD it reads nothing */
    specs[0] = spec(a, TN_WRITE | TN_WRITE_COW);
    specs[1] = spec(twin, TN_READ_WRITE);
    guard = all_of(2, specs, views);
    CHECK(views[0].data != views[1].data && ((int64_t *)views[1].data)[1] == 1);
    end(guard);
    drop(a);

    /* with another entry of its own handle */
    a = clone(twin);
    CHECK(try_two(a, TN_READ_WRITE | TN_WRITE_COW, a, TN_READ) == TN_ERR_ALIASED && claims(a) == 2);
    CHECK(try_two(a, TN_WRITE | TN_WRITE_COW, a, TN_READ) == TN_ERR_ALIASED && claims(a) == 2);
    /* without a reason to move */
    drop(twin);
    void *before = address(a);
    uint64_t count = allocations(pool);
    specs[0] = spec(a, TN_READ_WRITE | TN_WRITE_COW);
    end(all_of(1, specs, views));
    CHECK(views[0].data == before && allocations(pool) == count);
    drop(a);
    OK(tn_pool_release(pool));
}

static void unique_entries(void) /* BA-5 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4));
    CHECK(try_two(a, TN_READ_WRITE | TN_WRITE_UNIQUE, b, TN_READ_WRITE | TN_WRITE_UNIQUE) == TN_OK);
    tn_array *twin = clone(a), *head = part(b, 0, 2, 1), *tail = part(b, 2, 4, 1);
    CHECK(try_two(a, TN_READ_WRITE | TN_WRITE_UNIQUE, twin, TN_READ) == TN_ERR_SHARED);
    CHECK(try_two(twin, TN_READ, a, TN_READ_WRITE | TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    CHECK(try_two(head, TN_READ_WRITE | TN_WRITE_UNIQUE, tail, TN_READ) == TN_ERR_SHARED);
    drop(twin);
    drop(head);
    drop(tail);
    drop(a);
    drop(b);
}

static void no_memory_undoes_everything(void) /* BA-6 */
{
    tn_pool *pool = limited_pool("ba-6", 14 << 20);
    tn_array *a = zeros(pool, TN_U8, SHAPE(4 << 20)), *b = zeros(pool, TN_U8, SHAPE(4 << 20));
    tn_array *twin_a = clone(a), *twin_b = clone(b);
    void *old_a = address(a), *old_b = address(b);
    /* one copy fits, two do not */
    CHECK(try_two(a, TN_READ_WRITE | TN_WRITE_COW, b, TN_READ_WRITE | TN_WRITE_COW) == TN_ERR_POOL_LIMIT);
    CHECK(address(a) == old_a && address(b) == old_b && claims(a) == 2 && claims(b) == 2);
    CHECK(why(a) == TN_WHY_SHARED && why(b) == TN_WHY_SHARED && live_bytes(pool) == 8 << 20);
    CHECK(try_two(a, TN_READ_WRITE | TN_WRITE_COW, b, TN_READ) == TN_OK);
    CHECK(address(a) != old_a);
    drop(a);
    drop(b);
    drop(twin_a);
    drop(twin_b);
    OK(tn_pool_release(pool));
}

static void none_at_all(void) /* BA-7 */
{
    tn_borrow *guard = NULL;
    OK(tn_borrow_all(0, NULL, NULL, &guard));
    CHECK(guard != NULL);
    tn_borrow_info info = {.size = sizeof info, .data = UNTOUCHED};
    FAILS(tn_borrow_query(guard, &info), TN_ERR_INVALID);
    CHECK(info.data == UNTOUCHED);
    end(guard);
    FAILS(tn_borrow_end(guard, 0, NULL), TN_ERR_STALE);

    tn_array *a = numbers(NULL, SHAPE(4));
    tn_borrow_spec one = spec(a, TN_READ);
    guard = all_of(1, &one, NULL);
    FAILS(tn_borrow_query(guard, &info), TN_ERR_INVALID);
    end(guard);
    guard = UNTOUCHED;
    FAILS(tn_borrow_all(1, NULL, NULL, &guard), TN_ERR_NULL);
    FAILS(tn_borrow_all(1, &one, NULL, NULL), TN_ERR_NULL);
    CHECK(guard == UNTOUCHED && why(a) == 0);
    drop(a);
}

static void streams_per_entry(void) /* BA-8 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4));
    tn_borrow_spec specs[2] = {spec(a, TN_READ | TN_WAIT), spec(b, TN_READ_WRITE | TN_WAIT)};
    specs[0].stream = TN_STREAM_CURRENT;
    specs[1].stream = TN_STREAM_LEGACY;
    tn_borrow *guard = all_of(2, specs, NULL);
    OK(tn_borrow_end(guard, 0, TN_STREAM_PER_THREAD));
    specs[1].stream = (tn_stream *)(void *)a;
    guard = UNTOUCHED;
    FAILS(tn_borrow_all(2, specs, NULL, &guard), TN_ERR_KIND);
    CHECK(guard == UNTOUCHED && why(a) == 0 && why(b) == 0);
    drop(a);
    drop(b);
}

static void wrong_access(void) /* BA-9 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4));
    const uint32_t wrong[8] = {0,
                               TN_WRITE_DISCARD,
                               TN_READ | TN_WRITE_UNIQUE,
                               TN_READ | TN_WRITE_DISCARD,
                               TN_READ_WRITE | TN_FROZEN,
                               TN_READ_WRITE | 1u << 7,
                               TN_READ_WRITE | TN_WRITE_UNIQUE | TN_WRITE_COW,
                               TN_READ | 1u << 30};
    for (int i = 0; i < 8; i++) {
        CHECK(try_two(a, TN_READ, b, wrong[i]) == TN_ERR_INVALID);
        CHECK(try_two(a, wrong[i], b, TN_READ) == TN_ERR_INVALID);
    }
    tn_borrow_spec later = spec(a, TN_READ);
    tn_borrow *guard = UNTOUCHED;
    later.reserved[8] = 1;
    FAILS(tn_borrow_all(1, &later, NULL, &guard), TN_ERR_INVALID);
    CHECK(guard == UNTOUCHED);
    CHECK(why(a) == 0 && why(b) == 0);
    CHECK(try_two(a, TN_READ | TN_FROZEN, b, TN_READ_WRITE | TN_WRITE_DISCARD) == TN_OK);
    tn_borrow *view = exporting(a, XS);
    CHECK(try_two(a, TN_READ | TN_FROZEN, b, TN_READ) == TN_ERR_EXPORTED && try_two(a, TN_READ, b, TN_READ) == TN_OK);
    end(view);
    drop(a);
    drop(b);
}

int main(void)
{
    all_or_nothing();
    one_end();
    entries_that_overlap();
    cow_entries();
    unique_entries();
    no_memory_undoes_everything();
    none_at_all();
    streams_per_entry();
    wrong_access();
    return finish();
}
