/*
 * borrow.c - read and write guards, copy-on-write, regions, parallel writers, poison (BR-1 to BR-52, BR-63, BR-66,
 * BR-67).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

static void many_readers(void) /* BR-1 */
{
    tn_array *a = numbers(NULL, SHAPE(4, 4)), *twin = clone(a), *row = at(a, 0, 1), *hands[3] = {a, twin, row};
    tn_borrow *guards[30];
    for (int i = 0; i < 30; i++)
        guards[i] = reading(hands[i % 3]);
    CHECK(count_holders(a, TN_HOLDER_GUARD_READ) == 30);
    CHECK(HOLDS(row, 4, 5, 6, 7));
    for (int i = 29; i >= 0; i--)
        end(guards[i]);
    CHECK(count_holders(a, TN_HOLDER_GUARD_READ) == 0);
    drop(twin);
    drop(row);
    CHECK(why(a) == 0);
    drop(a);
}

static void writer_excludes(void) /* BR-2 */
{
    tn_array *a = numbers(NULL, SHAPE(4, 4)), *twin = clone(a), *row = at(a, 0, 1), *apart = part(a, 2, 4, 1);
    tn_array *column = block(a, TN_NONE, TN_NONE, 1, 0, 1, 1), *hands[4] = {a, twin, row, column};
    tn_borrow *guard = writing(row, 0);
    for (int i = 0; i < 4; i++) {
        CHECK(try_read(hands[i], 0) == TN_ERR_BORROWED_WRITE);
        CHECK(try_read(hands[i], TN_FROZEN) == TN_ERR_BORROWED_WRITE);
        CHECK(try_copy(hands[i]) == TN_ERR_BORROWED_WRITE);
        CHECK(try_export(hands[i], XR, 0) == TN_ERR_BORROWED_WRITE);
        CHECK(try_export(hands[i], XS, 0) == TN_ERR_BORROWED_WRITE);
        CHECK(try_export(hands[i], XW, 0) == TN_ERR_BORROWED_WRITE);
        CHECK(try_write(hands[i], 0) == TN_ERR_BORROWED_WRITE);
        CHECK(try_write(hands[i], TN_WRITE_DISCARD) == TN_ERR_BORROWED_WRITE);
        CHECK(try_write(hands[i], TN_WRITE_UNIQUE) == TN_ERR_BORROWED_WRITE);
    }
    CHECK(count_holders(a, TN_HOLDER_GUARD_WRITE) == 1 && count_holders(a, TN_HOLDER_EXPORT_READ) == 0);
    CHECK(try_read(apart, 0) == TN_OK && try_write(apart, 0) == TN_OK);
    end(guard);
    for (int i = 0; i < 4; i++)
        CHECK(try_read(hands[i], 0) == TN_OK && try_write(hands[i], 0) == TN_OK);
    drop(twin);
    drop(row);
    drop(apart);
    drop(column);
    CHECK(why(a) == 0 && HOLDS(a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    drop(a);
}

static void reader_excludes_writer(void) /* BR-3 */
{
    tn_array *a = numbers(NULL, SHAPE(4, 4)), *twin = clone(a), *row = at(a, 0, 1), *other = at(a, 0, 2);
    tn_borrow *guard = reading(row);
    tn_array *hands[3] = {a, twin, row};
    for (int i = 0; i < 3; i++) {
        CHECK(try_write(hands[i], 0) == TN_ERR_BORROWED);
        CHECK(try_write(hands[i], TN_WRITE_DISCARD) == TN_ERR_BORROWED);
        CHECK(try_write(hands[i], TN_WRITE_UNIQUE) == TN_ERR_BORROWED);
        CHECK(try_read(hands[i], 0) == TN_OK);
    }
    CHECK(try_write(other, 0) == TN_OK);
    CHECK(try_write(other, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    end(guard);
    CHECK(try_write(a, 0) == TN_OK);
    drop(twin);
    drop(row);
    drop(other);
    drop(a);
}

static void unique_needs_an_unshared_store(void) /* BR-4 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a), *head = part(a, 0, 2, 1), *tail = part(a, 2, 4, 1);
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    drop(twin);
    CHECK(try_write(head, TN_WRITE_UNIQUE) == TN_ERR_SHARED); /* the tail's handle, though the bytes are disjoint */
    drop(a);
    CHECK(try_write(head, TN_WRITE_UNIQUE | TN_WRITE_DISCARD) == TN_ERR_SHARED);
    drop(tail);
    CHECK(try_write(head, TN_WRITE_UNIQUE) == TN_OK && HOLDS(head, 0, 1));
    drop(head);
}

static void aliased_is_the_default(void) /* BR-5 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 2)), *twin = clone(a), *row = at(a, 0, 1), *source = numbers(NULL, SHAPE(2));
    int64_t *data = NULL, value = 9, raw[2] = {30, 31};
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(row, 0, NULL, (void **)&data, NULL, &guard));
    data[0] = 20;
    data[1] = 21;
    end(guard);
    CHECK(HOLDS(a, 0, 1, 20, 21) && HOLDS(twin, 0, 1, 20, 21));
    OK(tn_array_fill(row, &value, 0, NULL));
    CHECK(HOLDS(twin, 0, 1, 9, 9));
    OK(tn_array_clear(row, 0, NULL));
    CHECK(HOLDS(twin, 0, 1, 0, 0));
    OK(tn_array_copy_into(source, row, 0, NULL));
    CHECK(HOLDS(twin, 0, 1, 0, 1));
    OK(tn_array_copy_from_host(row, raw, NULL, 0, NULL));
    CHECK(HOLDS(twin, 0, 1, 30, 31));
    drop(twin);
    drop(row);
    drop(source);
    drop(a);
}

static void two_writers(void) /* BR-6 */
{
    tn_array *a = numbers(NULL, SHAPE(6)), *head = part(a, 0, 3, 1), *tail = part(a, 3, 6, 1),
        *middle = part(a, 2, 4, 1);
    tn_borrow *first = writing(head, 0), *second = writing(tail, 0);
    CHECK(try_write(middle, 0) == TN_ERR_BORROWED_WRITE);
    end(first);
    CHECK(try_write(middle, 0) == TN_ERR_BORROWED_WRITE);
    end(second);
    CHECK(try_write(middle, 0) == TN_OK);
    drop(head);
    drop(tail);
    drop(middle);
    drop(a);
}

static void cow_in_place(void) /* BR-7 */
{
    tn_pool *pool = own_pool("br-7");
    tn_array *a = numbers(pool, SHAPE(4));
    void *before = address(a), *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(a, TN_WRITE_COW, NULL, &data, NULL, &guard));
    CHECK(data == before);
    end(guard);
    OK(tn_array_borrow_write(a, TN_WRITE_COW | TN_WRITE_DISCARD, NULL, &data, NULL, &guard));
    CHECK(data == before);
    end(guard);
    CHECK(allocations(pool) == 1 && HOLDS(a, 0, 1, 2, 3));
    drop(a);
    OK(tn_pool_release(pool));
}

static void cow_moves(void) /* BR-8 */
{
    tn_pool *pool = own_pool("br-8"), *current = own_pool("br-8 current");
    tn_array *a = numbers_in(pool, TN_ORDER_F, SHAPE(2, 2)), *twin = clone(a);
    OK(tn_array_set_name(a, "moved"));
    OK(tn_pool_set_current(current));
    void *old = address(twin);
    int64_t *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(a, TN_WRITE_COW, NULL, (void **)&data, NULL, &guard));
    CHECK((void *)data != old && data[0] == 0 && data[1] == 2 && data[2] == 1 && data[3] == 3);
    data[0] = 50;
    CHECK(HOLDS(twin, 0, 1, 2, 3)); /* reads while the writer writes: another store */
    end(guard);
    CHECK(HOLDS(a, 50, 1, 2, 3) && HOLDS(twin, 0, 1, 2, 3));
    CHECK(address(twin) == old && why(a) == 0 && why(twin) == 0);
    CHECK(info_of(a).strides[0] == 8 && info_of(a).strides[1] == 16 && strcmp(info_of(a).name, "moved") == 0);
    CHECK(live_bytes(pool) == 64 && live_bytes(current) == 0); /* from the store's pool */
    drop(a);
    drop(twin);
    CHECK(live_bytes(pool) == 0);

    /* foreign bytes have no pool: the current one */
    int64_t lent[3] = {4, 5, 6};
    a = array_of(lent, TN_REQUIRE_BORROW, NULL, NULL, SHAPE(3));
    guard = writing(a, TN_WRITE_COW);
    end(guard);
    CHECK(live_bytes(current) == 24 && address(a) != (void *)lent && HOLDS(a, 4, 5, 6) && why(a) == 0);
    drop(a);

    /* a pool that was released allocates nothing: the current one */
    a = numbers(pool, SHAPE(3));
    twin = clone(a);
    OK(tn_pool_release(pool));
    guard = writing(a, TN_WRITE_COW);
    end(guard);
    CHECK(live_bytes(current) == 24 && HOLDS(a, 0, 1, 2) && HOLDS(twin, 0, 1, 2));
    drop(a);
    drop(twin);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(current));
}

static void cow_of_a_view(void) /* BR-9 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *row = at(a, 0, 1);
    int64_t value = 8;
    OK(tn_array_fill(row, &value, TN_WRITE_COW, NULL));
    CHECK(HOLDS(row, 8, 8, 8) && HOLDS(a, 0, 1, 2, 3, 4, 5) && why(a) == 0 && why(row) == 0);
    drop(row);

    /* a broadcast view becomes contiguous bytes of its own, and writable */
    tn_array *line = part(a, 0, 1, 1), *wide = broadcast(line, SHAPE(2, 3));
    CHECK(why(wide) & TN_WHY_READONLY);
    int64_t *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(wide, TN_WRITE_COW, NULL, (void **)&data, NULL, &guard));
    data[3] = 70;
    end(guard);
    CHECK(HOLDS(wide, 0, 1, 2, 70, 1, 2) && HOLDS(a, 0, 1, 2, 3, 4, 5));
    CHECK((info_of(wide).flags & (TN_READONLY | TN_SELF_OVERLAP)) == 0 && why(wide) == 0);
    CHECK(info_of(wide).strides[0] == 24);
    drop(line);
    drop(wide);
    drop(a);

    int64_t lent[2] = {1, 2};
    tn_array *readonly = array_of(lent, TN_BORROW | TN_IMPORT_READONLY, NULL, NULL, SHAPE(2));
    CHECK(try_write(readonly, 0) == TN_ERR_READONLY);
    OK(tn_array_fill(readonly, &value, TN_WRITE_COW, NULL));
    CHECK(HOLDS(readonly, 8, 8) && lent[0] == 1 && lent[1] == 2 && (info_of(readonly).flags & TN_READONLY) == 0);
    drop(readonly);
}

static void cow_and_guards(void) /* BR-10 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *twin = clone(a);
    void *old = address(a);
    tn_borrow *guard = reading(a);
    CHECK(try_write(a, TN_WRITE_COW) == TN_ERR_BORROWED);
    CHECK(try_write(a, TN_WRITE_COW | TN_WRITE_DISCARD) == TN_ERR_BORROWED);
    end(guard);
    guard = writing(a, 0);
    CHECK(try_write(a, TN_WRITE_COW) == TN_ERR_BORROWED_WRITE);
    CHECK(try_write(a, TN_WRITE_COW | TN_WRITE_DISCARD) == TN_ERR_BORROWED_WRITE);
    CHECK(try_write(twin, TN_WRITE_COW) == TN_ERR_BORROWED_WRITE); /* it would have to read bytes that are being written */
    end(guard);
    CHECK(claims(a) == 2);
    guard = reading(twin);
    CHECK(try_write(a, TN_WRITE_COW) == TN_OK); /* the only reader has another handle: copies */
    CHECK(address(a) != old && why(a) == 0 && why(twin) == TN_WHY_BORROWED);
    end(guard);
    CHECK(address(twin) == old);
    drop(a);
    drop(twin);
}

static void cow_discard(void) /* BR-11 */
{
    tn_pool *pool = own_pool("br-11");
    tn_array *a = numbers(pool, SHAPE(3)), *twin = clone(a);
    tn_borrow *other = writing(twin, 0);
    int64_t *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(a, TN_WRITE_COW | TN_WRITE_DISCARD, NULL, (void **)&data, NULL, &guard));
    for (int i = 0; i < 3; i++)
        data[i] = 10 + i;
    end(guard);
    end(other);
    CHECK(HOLDS(a, 10, 11, 12) && HOLDS(twin, 0, 1, 2) && allocations(pool) == 2);
    CHECK(why(a) == 0 && why(twin) == 0);
    drop(a);
    drop(twin);
    OK(tn_pool_release(pool));
}

static void cow_without_memory(void) /* BR-12 */
{
    tn_pool *pool = limited_pool("br-12", 8 << 20);
    tn_array *a = zeros(pool, TN_U8, SHAPE(5 << 20)), *twin = clone(a);
    void *old = address(a), *data = UNTOUCHED;
    tn_borrow *guard = UNTOUCHED;
    const uint32_t modes[2] = {TN_WRITE_COW, TN_WRITE_COW | TN_WRITE_DISCARD};
    for (int i = 0; i < 2; i++) {
        FAILS(tn_array_borrow_write(a, modes[i], NULL, &data, NULL, &guard), TN_ERR_POOL_LIMIT);
        CHECK(data == UNTOUCHED && guard == UNTOUCHED);
        CHECK(address(a) == old && why(a) == TN_WHY_SHARED && claims(twin) == 2);
        CHECK(count_holders(twin, TN_HOLDER_GUARD_READ) == 0 && try_write(twin, 0) == TN_OK);
    }
    CHECK(live_bytes(pool) == 5 << 20);
    drop(twin);
    CHECK(try_write(a, TN_WRITE_COW) == TN_OK);
    drop(a);
    OK(tn_pool_release(pool));
}

static void calls_that_check_no_guards(void) /* BR-13 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *out = NULL;
    tn_borrow *guard = writing(a, 0);
    tn_array *twin = clone(a), *view = part(a, 0, 2, 1);
    tn_weak *weak = NULL;
    OK(tn_array_weaken(a, &weak));
    OK(tn_weak_upgrade(weak, &out));
    CHECK(info_of(a).count == 4);
    drop(out);
    drop(twin);
    drop(view);
    OK(tn_weak_release(weak));
    drop(a);
    end(guard);
}

static void release_with_guards(void) /* BR-14 */
{
    tn_pool *pool = own_pool("br-14");
    tn_array *a = numbers(pool, SHAPE(4)), *out = UNTOUCHED;
    tn_weak *weak = NULL;
    OK(tn_array_weaken(a, &weak));
    const int64_t *data = NULL;
    tn_borrow *first = NULL, *second = reading(a);
    OK(tn_array_borrow_read(a, 0, NULL, (const void **)&data, NULL, &first));
    drop(a);
    CHECK(live_bytes(pool) == 32 && held_bytes(pool) == 32);
    CHECK(data[0] == 0 && data[3] == 3);
    FAILS(tn_array_clone(a, &out), TN_ERR_STALE);
    FAILS(tn_weak_upgrade(weak, &out), TN_ERR_DESTRUCTED);
    CHECK(out == UNTOUCHED);
    end(first);
    CHECK(live_bytes(pool) == 32 && held_bytes(pool) == 32);
    end(second);
    CHECK(live_bytes(pool) == 0 && held_bytes(pool) == 0);
    OK(tn_weak_release(weak));
    OK(tn_pool_release(pool));
}

static tn_status end_status;

static void *end_elsewhere(void *guard)
{
    end_status = tn_borrow_end(guard, 0, NULL);
    return NULL;
}

static void end_once(void) /* BR-15 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_borrow *guard = reading(a), *other = reading(a);
    end(guard);
    FAILS(tn_borrow_end(guard, 0, NULL), TN_ERR_STALE);
    CHECK(count_holders(a, TN_HOLDER_GUARD_READ) == 1);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, end_elsewhere, other) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(end_status == TN_OK && why(a) == 0);
    FAILS(tn_borrow_end(other, 0, NULL), TN_ERR_STALE);
    drop(a);
}

static void failure_leaves_outputs(void) /* BR-16 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_view_info view, canary;
    memset(&view, 0x5a, sizeof view);
    canary = view;
    const void *data = UNTOUCHED;
    void *writable = UNTOUCHED;
    tn_borrow *out = UNTOUCHED, *guard = writing(a, 0);
    FAILS(tn_array_borrow_read(a, 0, NULL, &data, &view, &out), TN_ERR_BORROWED_WRITE);
    FAILS(tn_array_borrow_write(a, 0, NULL, &writable, &view, &out), TN_ERR_BORROWED_WRITE);
    CHECK(data == UNTOUCHED && writable == UNTOUCHED && out == UNTOUCHED && memcmp(&view, &canary, sizeof view) == 0);
    end(guard);
    drop(a);
}

static void wrong_flags(void) /* BR-17 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    CHECK(try_write(a, TN_WRITE_UNIQUE | TN_WRITE_COW) == TN_ERR_INVALID);
    CHECK(try_write(a, 1u << 31) == TN_ERR_INVALID);
    CHECK(try_write(a, TN_FROZEN) == TN_ERR_INVALID);
    CHECK(try_write(a, TN_READ) == TN_ERR_INVALID);
    CHECK(try_write(a, TN_BORROW << 9) == TN_ERR_INVALID);
    CHECK(try_read(a, TN_WRITE_DISCARD) == TN_ERR_INVALID);
    CHECK(try_read(a, 1u << 31) == TN_ERR_INVALID);
    tn_borrow *guard = reading(a);
    FAILS(tn_borrow_end(guard, 2, NULL), TN_ERR_INVALID);
    CHECK(count_holders(a, TN_HOLDER_GUARD_READ) == 1);
    OK(tn_borrow_end(guard, TN_END_FAILED, NULL)); /* a reader cannot poison */
    CHECK(why(a) == 0 && HOLDS(a, 0, 1, 2, 3));
    drop(a);
}

static void heal(void) /* AR-63 */
{
    tn_array *a = numbers(NULL, SHAPE(8)), *middle = part(a, 2, 4, 1), *half = part(a, 3, 6, 1), *last = part(a, 7, 8, 1);
    OK(tn_array_heal(a)); /* nothing is poisoned */
    poison(middle);
    CHECK(why(a) & TN_WHY_POISONED);
    OK(tn_array_heal(half)); /* the region reaches beyond it */
    CHECK(try_read(a, 0) == TN_ERR_POISONED);
    /* what refuses a writer refuses it */
    tn_borrow *reader = reading(last);
    FAILS(tn_array_heal(a), TN_ERR_BORROWED);
    CHECK(try_read(middle, 0) == TN_ERR_POISONED);
    end(reader);
    OK(tn_array_heal(middle));
    CHECK(HOLDS(a, 0, 1, 2, 3, 4, 5, 6, 7));
    drop(last);
    drop(half);
    drop(middle);
    drop(a);
    FAILS(tn_array_heal(a), TN_ERR_STALE);
    FAILS(tn_array_heal(NULL), TN_ERR_NULL);
}

static void nothing_to_borrow(void) /* BR-18 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *none = part(a, 2, 2, 1);
    tn_borrow *writer = writing(a, 0), *first = NULL, *second = NULL;
    void *data = UNTOUCHED;
    OK(tn_array_borrow_write(none, 0, NULL, &data, NULL, &first));
    CHECK(data == NULL);
    OK(tn_array_borrow_write(none, 0, NULL, &data, NULL, &second));
    CHECK(try_read(none, 0) == TN_OK);
    end(first);
    end(second);
    end(writer);
    drop(none);
    drop(a);
}

static void shared_elements(void) /* BR-19 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *wide = broadcast(a, SHAPE(2, 3));
    int64_t value = 4;
    CHECK(try_write(wide, 0) == TN_ERR_READONLY);
    CHECK(try_write(wide, TN_WRITE_UNIQUE) == TN_ERR_READONLY);
    CHECK(try_write(wide, TN_WRITE_DISCARD) == TN_ERR_READONLY);
    FAILS(tn_array_fill(wide, &value, 0, NULL), TN_ERR_READONLY);
    CHECK(why(wide) & TN_WHY_NOT_ALIASABLE && why(wide) & TN_WHY_READONLY);
    CHECK(HOLDS(wide, 0, 1, 2, 0, 1, 2) && try_write(a, 0) == TN_OK);
    drop(wide);
    drop(a);
}

/* Whether both can be written at the same time, in either order. Releases both. */
static int disjoint(tn_array *a, tn_array *b)
{
    tn_borrow *guard = writing(a, 0);
    tn_status there = try_write(b, 0);
    end(guard);
    guard = writing(b, 0);
    tn_status back = try_write(a, 0);
    end(guard);
    CHECK(there == back && (there == TN_OK || there == TN_ERR_BORROWED_WRITE));
    drop(a);
    drop(b);
    return there == TN_OK;
}
#define ALL TN_NONE, TN_NONE, 1

static void regions_by_extent(void) /* BR-20 */
{
    tn_array *v = numbers(NULL, SHAPE(10)), *m = numbers(NULL, SHAPE(6, 4));
    CHECK(disjoint(part(v, 0, 5, 1), part(v, 5, 10, 1)));
    CHECK(!disjoint(part(v, 0, 6, 1), part(v, 5, 10, 1)));
    CHECK(disjoint(part(m, 0, 2, 1), part(m, 2, 6, 1)));
    CHECK(!disjoint(part(m, 0, 3, 1), part(m, 2, 6, 1)));
    tn_array *other = numbers(NULL, SHAPE(10));
    CHECK(disjoint(clone(v), clone(other)));
    drop(other);
    drop(v);
    drop(m);
}

static void regions_by_axis(void) /* BR-21 */
{
    tn_array *m = numbers(NULL, SHAPE(6, 4)), *t = NULL;
    CHECK(disjoint(block(m, ALL, 0, 2, 1), block(m, ALL, 2, 4, 1)));
    CHECK(!disjoint(block(m, ALL, 0, 3, 1), block(m, ALL, 2, 4, 1)));
    CHECK(disjoint(block(m, 0, 3, 1, 0, 2, 1), block(m, 3, 6, 1, 2, 4, 1)));
    CHECK(disjoint(block(m, 0, 3, 1, 2, 4, 1), block(m, 3, 6, 1, 0, 2, 1)));
    OK(tn_array_transpose(m, &t));
    CHECK(disjoint(part(t, 0, 2, 1), block(m, ALL, 2, 4, 1)));
    CHECK(!disjoint(part(t, 0, 2, 1), block(m, ALL, 1, 4, 1)));
    CHECK(disjoint(block(t, 0, 2, 1, 0, 3, 1), block(m, 3, 6, 1, 2, 4, 1)));
    CHECK(disjoint(at(m, 1, 0), at(t, 0, 3)));
    drop(t);
    drop(m);
}

static void regions_by_step(void) /* BR-22, BR-23 */
{
    tn_array *a = numbers(NULL, SHAPE(30));
    CHECK(disjoint(part(a, 0, TN_NONE, 2), part(a, 1, TN_NONE, 2)));
    CHECK(disjoint(part(a, 0, TN_NONE, 3), part(a, 1, TN_NONE, 3)));
    CHECK(disjoint(part(a, 0, TN_NONE, 2), part(a, 3, TN_NONE, 4)));
    CHECK(!disjoint(part(a, 0, TN_NONE, 2), part(a, 0, TN_NONE, 3)));
    CHECK(!disjoint(part(a, 1, TN_NONE, 2), part(a, 0, TN_NONE, 3)));
    CHECK(!disjoint(part(a, 8, TN_NONE, -2), part(a, 0, 9, 2)));
    CHECK(disjoint(part(a, 8, TN_NONE, -2), part(a, 1, 9, 2)));
    CHECK(disjoint(part(a, 8, TN_NONE, -2), part(a, 10, TN_NONE, 2)));
    drop(a);
}

static tn_array *column_of(tn_array *a, int64_t start, int64_t stop, int64_t step)
{
    return block(a, ALL, start, stop, step);
}

static void regions_of_other_roots(void) /* BR-24, BR-25 */
{
    tn_array *a = numbers(NULL, SHAPE(12)), *r = reshaped(a, SHAPE(6, 2));
    CHECK(disjoint(at(r, 1, 0), part(a, 1, TN_NONE, 2)));
    CHECK(!disjoint(at(r, 1, 0), part(a, 0, TN_NONE, 2)));
    drop(r);
    drop(a);

    tn_array *z = zeros(NULL, TN_C128, SHAPE(6)), *parts = NULL, *pairs = NULL;
    OK(tn_array_view_dtype(z, TN_F64, &parts));
    pairs = reshaped(parts, SHAPE(6, 2));
    CHECK(disjoint(part(parts, 0, TN_NONE, 2), part(parts, 1, TN_NONE, 2)));
    CHECK(disjoint(at(pairs, 1, 1), part(parts, 0, TN_NONE, 2)));
    CHECK(!disjoint(at(pairs, 1, 1), part(parts, 1, TN_NONE, 2)));
    CHECK(!disjoint(clone(z), part(parts, 1, TN_NONE, 2)));
    drop(pairs);
    drop(parts);
    drop(z);

    tn_array *bytes = zeros(NULL, TN_U8, SHAPE(64)), *words = NULL;
    OK(tn_array_view_dtype(bytes, TN_I32, &words));
    CHECK(disjoint(part(bytes, 2, TN_NONE, 8), part(words, 1, TN_NONE, 2)));
    CHECK(!disjoint(part(bytes, 2, TN_NONE, 8), part(words, 0, TN_NONE, 2)));
    drop(words);
    drop(bytes);

    /* nothing beyond the tiers: undecided is overlap */
    tn_array *m = zeros(NULL, TN_U8, SHAPE(3, 4)), *flat = reshaped(m, SHAPE(12));
    CHECK(disjoint(column_of(m, 0, 1, 1), part(flat, 1, 12, 6)));
    CHECK(!disjoint(column_of(m, 0, 2, 1), part(flat, 2, 12, 8)));
    drop(flat);
    drop(m);
}

static void parallel_writers(void) /* BR-30 */
{
    tn_array *a = numbers(NULL, SHAPE(10, 2)), *row = at(a, 0, 0), *twin = clone(a);
    tn_part chunks[4];
    OK(tn_array_split_write(a, 0, 4, 0, NULL, chunks));
    const int64_t starts[5] = {0, 3, 6, 8, 10};
    for (int i = 0; i < 4; i++) {
        CHECK(chunks[i].start == starts[i] && chunks[i].length == starts[i + 1] - starts[i]);
        CHECK((char *)chunks[i].data - (char *)chunks[0].data == starts[i] * 16);
        for (int64_t k = 0; k < chunks[i].length * 2; k++)
            ((int64_t *)chunks[i].data)[k] = i;
        CHECK(chunks[i].guard != NULL && (i == 0 || chunks[i].guard != chunks[i - 1].guard));
    }
    CHECK(count_holders(a, TN_HOLDER_GUARD_WRITE) == 4);
    CHECK(try_read(row, 0) == TN_ERR_BORROWED_WRITE && try_write(twin, 0) == TN_ERR_BORROWED_WRITE);
    for (int i = 3; i >= 0; i--)
        end(chunks[i].guard);
    CHECK(HOLDS(a, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    OK(tn_array_split_write(a, -1, 2, 0, NULL, chunks));
    CHECK((char *)chunks[1].data - (char *)chunks[0].data == 8 && chunks[1].start == 1 && chunks[1].length == 1);
    end(chunks[0].guard);
    end(chunks[1].guard);
    drop(row);
    drop(twin);
    drop(a);
}

static void more_chunks_than_elements(void) /* BR-31 */
{
    tn_array *a = numbers(NULL, SHAPE(2)), *twin = clone(a);
    tn_part chunks[4], canary[4];
    OK(tn_array_split_write(a, 0, 4, 0, NULL, chunks));
    for (int i = 0; i < 4; i++) {
        CHECK(chunks[i].length == (i < 2) && (chunks[i].data != NULL) == (i < 2));
        end(chunks[i].guard);
    }
    memset(chunks, 0x5a, sizeof chunks);
    memcpy(canary, chunks, sizeof chunks);
    FAILS(tn_array_split_write(a, 0, 0, 0, NULL, chunks), TN_ERR_INVALID);
    FAILS(tn_array_split_write(a, 1, 2, 0, NULL, chunks), TN_ERR_RANGE);
    FAILS(tn_array_split_write(a, -2, 2, 0, NULL, chunks), TN_ERR_RANGE);
    FAILS(tn_array_split_write(a, 0, 2, TN_WRITE_UNIQUE | TN_WRITE_COW, NULL, chunks), TN_ERR_INVALID);
    FAILS(tn_array_split_write(a, 0, 2, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_split_write(a, 0, 2, TN_WRITE_UNIQUE, NULL, chunks), TN_ERR_SHARED);
    tn_borrow *guard = reading(twin); /* BR-32 */
    FAILS(tn_array_split_write(a, 0, 2, 0, NULL, chunks), TN_ERR_BORROWED);
    end(guard);
    tn_array *tail = part(a, 1, 2, 1);
    guard = writing(tail, 0);
    FAILS(tn_array_split_write(a, 0, 2, 0, NULL, chunks), TN_ERR_BORROWED_WRITE);
    end(guard);
    CHECK(memcmp(chunks, canary, sizeof chunks) == 0 && count_holders(a, TN_HOLDER_GUARD_WRITE) == 0);
    drop(tail);
    drop(twin);
    drop(a);
}

static void chunks_end_one_by_one(void) /* BR-33, BR-34 */
{
    tn_array *a = numbers(NULL, SHAPE(6)), *first = part(a, 0, 2, 1), *second = part(a, 2, 4, 1),
        *third = part(a, 4, 6, 1);
    tn_part chunks[3];
    OK(tn_array_split_write(a, 0, 3, 0, NULL, chunks));
    end(chunks[0].guard);
    OK(tn_borrow_end(chunks[1].guard, TN_END_FAILED, NULL));
    CHECK(HOLDS(first, 0, 1));
    CHECK(try_read(a, 0) == TN_ERR_POISONED); /* poison is checked before writers */
    CHECK(try_read(third, 0) == TN_ERR_BORROWED_WRITE && try_read(second, 0) == TN_ERR_POISONED);
    end(chunks[2].guard);
    CHECK(HOLDS(first, 0, 1) && HOLDS(third, 4, 5) && try_read(second, 0) == TN_ERR_POISONED);
    OK(tn_array_clear(second, 0, NULL));
    CHECK(HOLDS(a, 0, 1, 0, 0, 4, 5));

    OK(tn_array_split_write(a, 0, 3, 0, NULL, chunks));
    end(chunks[1].guard);
    CHECK(try_read(a, 0) == TN_ERR_BORROWED_WRITE && HOLDS(second, 0, 0));
    end(chunks[0].guard);
    end(chunks[2].guard);
    drop(first);
    drop(second);
    drop(third);
    drop(a);
}

static void chunks_cow(void) /* BR-35 */
{
    tn_pool *pool = own_pool("br-35");
    tn_array *a = numbers(pool, SHAPE(4)), *twin = clone(a);
    tn_part chunks[2];
    OK(tn_array_split_write(a, 0, 2, TN_WRITE_COW, NULL, chunks));
    CHECK(allocations(pool) == 2 && (int64_t *)chunks[1].data - (int64_t *)chunks[0].data == 2);
    CHECK(((int64_t *)chunks[1].data)[1] == 3);
    ((int64_t *)chunks[1].data)[0] = 22;
    CHECK(HOLDS(twin, 0, 1, 2, 3));
    end(chunks[0].guard);
    end(chunks[1].guard);
    CHECK(HOLDS(a, 0, 1, 22, 3) && HOLDS(twin, 0, 1, 2, 3) && why(a) == 0);
    drop(a);
    drop(twin);
    OK(tn_pool_release(pool));
}

static void poisoned(void) /* BR-40, BR-41 */
{
    tn_array *a = numbers(NULL, SHAPE(6)), *middle = part(a, 2, 4, 1), *apart = part(a, 4, 6, 1), *out = NULL;
    poison(middle);
    tn_array *hands[2] = {a, middle};
    for (int i = 0; i < 2; i++) {
        CHECK(try_read(hands[i], 0) == TN_ERR_POISONED && try_copy(hands[i]) == TN_ERR_POISONED);
        CHECK(try_export(hands[i], XR, 0) == TN_ERR_POISONED && try_export(hands[i], XS, 0) == TN_ERR_POISONED);
        CHECK(try_write(hands[i], 0) == TN_ERR_POISONED && try_write(hands[i], TN_WRITE_UNIQUE) == TN_ERR_POISONED);
        CHECK(try_write(hands[i], TN_WRITE_COW) == TN_ERR_POISONED);
        CHECK(why(hands[i]) == (TN_WHY_POISONED | TN_WHY_SHARED));
    }
    CHECK(HOLDS(apart, 4, 5) && try_write(apart, 0) == TN_OK && why(apart) == TN_WHY_SHARED);
    int64_t buffer[6] = {0};
    FAILS(tn_array_copy_to_host(a, buffer, NULL, NULL), TN_ERR_POISONED);
    /* calls that work on a poisoned array */
    out = clone(middle);
    tn_array *view = part(middle, 0, 1, 1);
    tn_promise *promise = give(middle);
    tn_array *taker = take(promise);
    CHECK(info_of(taker).count == 2 && try_read(taker, 0) == TN_ERR_POISONED && try_read(view, 0) == TN_ERR_POISONED);
    OK(tn_promise_release(promise));
    drop(out);
    drop(view);
    drop(taker);
    drop(middle);
    drop(apart);
    drop(a);
}

static void healed(void) /* BR-42, BR-43 */
{
    tn_array *a = numbers(NULL, SHAPE(8)), *middle = part(a, 2, 4, 1), *wider = part(a, 1, 5, 1),
        *half = part(a, 3, 6, 1);
    tn_array *steps = part(a, 0, 8, 2), *two = part(a, 2, 3, 1);
    poison(middle);
    end(writing(half, TN_WRITE_DISCARD)); /* covers it partly: heals nothing */
    CHECK(try_read(middle, 0) == TN_ERR_POISONED && try_read(two, 0) == TN_ERR_POISONED);
    end(writing(steps, TN_WRITE_DISCARD)); /* spans it, but with gaps */
    CHECK(try_read(middle, 0) == TN_ERR_POISONED);
    OK(tn_borrow_end(writing(wider, TN_WRITE_DISCARD), TN_END_FAILED, NULL)); /* fails: poisoned again, and more of it */
    tn_array *fourth = part(a, 4, 5, 1);
    CHECK(try_read(fourth, 0) == TN_ERR_POISONED);
    end(writing(wider, TN_WRITE_DISCARD));
    CHECK(try_read(a, 0) == TN_OK && why(a) == TN_WHY_SHARED);

    poison(middle);
    OK(tn_array_clear(a, 0, NULL));
    CHECK(HOLDS(a, 0, 0, 0, 0, 0, 0, 0, 0));
    poison(middle);
    fill_i64(middle, 5);
    CHECK(HOLDS(a, 0, 0, 5, 5, 0, 0, 0, 0));
    /* one root, and a progression inside another: a[2:7:4] is part of a[0:8:2] */
    tn_array *inner = part(a, 2, 7, 4);
    poison(inner);
    fill_i64(steps, 1);
    CHECK(HOLDS(a, 1, 0, 1, 5, 1, 0, 1, 0));
    drop(inner);
    drop(fourth);
    drop(steps);
    drop(two);
    drop(wider);
    drop(half);
    drop(middle);
    drop(a);
}

static void chunks_heal(void) /* BR-44 */
{
    tn_array *a = numbers(NULL, SHAPE(6)), *across = part(a, 1, 3, 1);
    tn_part chunks[3];
    poison(across);
    OK(tn_array_split_write(a, 0, 3, TN_WRITE_DISCARD, NULL, chunks));
    for (int i = 0; i < 3; i++)
        end(chunks[i].guard);
    CHECK(try_read(a, 0) == TN_OK);
    poison(across);
    OK(tn_array_split_write(a, 0, 3, TN_WRITE_DISCARD, NULL, chunks));
    end(chunks[0].guard);
    end(chunks[1].guard);
    OK(tn_borrow_end(chunks[2].guard, TN_END_FAILED, NULL)); /* one failed: regions that no single chunk contains stay poisoned */
    CHECK(try_read(across, 0) == TN_ERR_POISONED);
    tn_array *head = part(a, 0, 1, 1), *tail = part(a, 4, 6, 1);
    CHECK(try_read(head, 0) == TN_OK && try_read(tail, 0) == TN_ERR_POISONED);
    OK(tn_array_clear(a, 0, NULL));
    CHECK(try_read(a, 0) == TN_OK);
    drop(head);
    drop(tail);
    drop(across);
    drop(a);
}

static void poison_belongs_to_the_store(void) /* BR-45 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *twin = clone(a);
    poison(a);
    CHECK(try_read(twin, 0) == TN_ERR_POISONED);
    int64_t value = 6;
    OK(tn_array_fill(twin, &value, TN_WRITE_COW, NULL)); /* fill implies DISCARD: moved away */
    CHECK(HOLDS(twin, 6, 6, 6) && try_read(a, 0) == TN_ERR_POISONED && why(a) == TN_WHY_POISONED && why(twin) == 0);
    /* unshared and poisoned: UNIQUE needs DISCARD (WN-6) */
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_POISONED);
    CHECK(try_write(a, TN_WRITE_UNIQUE | TN_WRITE_DISCARD) == TN_OK);
    CHECK(try_read(a, 0) == TN_OK);
    drop(a);
    drop(twin);
}

static void frozen(void) /* BR-50 */
{
    tn_array *a = numbers(NULL, SHAPE(6)), *head = part(a, 0, 3, 1), *tail = part(a, 3, 6, 1);
    tn_borrow *view = exporting(head, XS);
    CHECK(try_read(a, TN_FROZEN) == TN_ERR_EXPORTED && try_read(a, 0) == TN_OK && try_read(tail, TN_FROZEN) == TN_OK);
    end(view);
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(head, TN_FROZEN, NULL, NULL, NULL, &guard));
    CHECK(try_export(a, XS, 0) == TN_ERR_BORROWED && try_export(tail, XS, 0) == TN_OK && try_export(a, XR, 0) == TN_OK);
    CHECK(try_export(a, XW, 0) == TN_ERR_BORROWED);
    end(guard);
    CHECK(try_export(a, XS, 0) == TN_OK);
    tn_borrow *plain = reading(head);
    CHECK(try_export(a, XS, 0) == TN_OK);
    end(plain);
    drop(head);
    drop(tail);
    drop(a);
}

static void what_a_guard_shows(void) /* BR-52 */
{
    tn_array *a = numbers(NULL, SHAPE(3, 4)), *v = block(a, 0, 3, 2, 3, TN_NONE, -1);
    tn_view_info view = {0};
    const void *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(v, 0, NULL, &data, &view, &guard));
    CHECK(view.data == data && (const int64_t *)data == (const int64_t *)address(a) + 3);
    CHECK(view.device.type == TN_CPU && view.device.id == 0 && view.ndim == 2 && view.dtype == TN_I64 &&
          view.bytes == 64);
    tn_borrow_info info = {.size = sizeof info};
    OK(tn_borrow_query(guard, &info));
    CHECK(info.data == data && info.bytes == 64);
    drop(v);
    drop(a); /* shape and strides belong to the guard */
    CHECK(view.shape[0] == 2 && view.shape[1] == 4 && view.strides[0] == 64 && view.strides[1] == -8);
    CHECK(*(const int64_t *)((const char *)data + view.strides[0] + 2 * view.strides[1]) == 9);
    end(guard);
    FAILS(tn_borrow_query(guard, &info), TN_ERR_STALE);

    /* a guard that moved by COW shows the new layout */
    a = numbers(NULL, SHAPE(2, 3));
    tn_array *rows = part(a, TN_NONE, TN_NONE, -1);
    void *writable = NULL;
    OK(tn_array_borrow_write(rows, TN_WRITE_COW, NULL, &writable, &view, &guard));
    CHECK(view.data == writable && view.strides[0] == 24 && view.strides[1] == 8 && ((int64_t *)writable)[0] == 3);
    end(guard);
    drop(rows);
    drop(a);
}

static void host_streams(void) /* BR-63, BR-66, BR-67, ST constants on host memory */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_stream *constants[3] = {TN_STREAM_LEGACY, TN_STREAM_PER_THREAD, TN_STREAM_CURRENT};
    for (int i = 0; i < 3; i++) {
        tn_borrow *guard = NULL;
        OK(tn_array_borrow_write(a, 0, constants[i], NULL, NULL, &guard));
        OK(tn_borrow_end(guard, 0, constants[i]));
        OK(tn_array_borrow_read(a, TN_WAIT, constants[i], NULL, NULL, &guard));
        OK(tn_borrow_end(guard, 0, constants[2 - i]));
    }
    tn_borrow *guard = reading(a), *out = UNTOUCHED;
    FAILS(tn_array_borrow_read(a, 0, (tn_stream *)(void *)a, NULL, NULL, &out), TN_ERR_KIND);
    FAILS(tn_borrow_end(guard, 0, (tn_stream *)(void *)a), TN_ERR_KIND);
    CHECK(out == UNTOUCHED && count_holders(a, TN_HOLDER_GUARD_READ) == 1);
    CHECK(try_write(a, TN_WAIT) == TN_ERR_BORROWED); /* TN_WAIT waits for no holder */
    end(guard);
    CHECK(try_write(a, TN_WAIT) == TN_OK);

    guard = writing(a, 0);
    OK(tn_array_wait(a, TN_READ)); /* checks no guard */
    OK(tn_array_wait(a, TN_WRITE));
    OK(tn_array_wait(a, TN_READ_WRITE));
    FAILS(tn_array_wait(a, 0), TN_ERR_INVALID);
    FAILS(tn_array_wait(a, TN_READ | TN_WRITE_COW), TN_ERR_INVALID);
    end(guard);
    drop(a);
}

int main(void)
{
    many_readers();
    writer_excludes();
    reader_excludes_writer();
    unique_needs_an_unshared_store();
    aliased_is_the_default();
    two_writers();
    cow_in_place();
    cow_moves();
    cow_of_a_view();
    cow_and_guards();
    cow_discard();
    cow_without_memory();
    calls_that_check_no_guards();
    release_with_guards();
    end_once();
    failure_leaves_outputs();
    wrong_flags();
    nothing_to_borrow();
    heal();
    shared_elements();
    regions_by_extent();
    regions_by_axis();
    regions_by_step();
    regions_of_other_roots();
    parallel_writers();
    more_chunks_than_elements();
    chunks_end_one_by_one();
    chunks_cow();
    poisoned();
    healed();
    chunks_heal();
    poison_belongs_to_the_store();
    frozen();
    what_a_guard_shows();
    host_streams();
    return finish();
}
