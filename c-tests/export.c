/*
 * export.c - what exports count: the classes XR, XS and XW beside guards and beside one another (XI-1 to
 * XI-9, XC-2, XC-4, XC-9), through the export without a format (XC-11).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

static void classes(void) /* XI-1, XC-1, XC-2 */
{
    tn_array *a = numbers(NULL, SHAPE(4));
    tn_view_info view;
    tn_borrow *guard = NULL;
    tn_how how = 0;
    /* no flag: a copy that holds nothing */
    OK(tn_array_export_host(a, 0, 0, NULL, &view, &guard, &how));
    CHECK(how == TN_COPIED && view.data != address(a) && ((int64_t *)view.data)[3] == 3);
    CHECK(why(a) == 0 && try_write(a, TN_WRITE_UNIQUE) == TN_OK);
    ((int64_t *)view.data)[3] = 33; /* it belongs to the consumer alone */
    CHECK(HOLDS(a, 0, 1, 2, 3));
    end(guard);
    FAILS(tn_borrow_end(guard, 0, NULL), TN_ERR_STALE);

    const struct {
        uint32_t flags;
        int32_t kind;
    } rows[5] = {{TN_BORROW, TN_HOLDER_EXPORT_READ},
                 {TN_REQUIRE_BORROW, TN_HOLDER_EXPORT_READ},
                 {TN_BORROW | TN_EXPORT_CONSUMER_READS, TN_HOLDER_EXPORT_READ},
                 {XS, TN_HOLDER_EXPORT_SHARED},
                 {XW, TN_HOLDER_EXPORT_EXCLUSIVE}};
    for (int i = 0; i < 5; i++) {
        guard = exporting(a, rows[i].flags);
        CHECK(count_holders(a, rows[i].kind) == 1 && why(a) == TN_WHY_EXPORTED);
        tn_holder holders[MAX_HOLDERS];
        CHECK(holders_of(a, holders) == 1 && holders[0].id == (uint64_t)(uintptr_t)guard);
        end(guard);
        CHECK(why(a) == 0);
    }
    CHECK(try_export(a, TN_BORROW | TN_EXPORT_EXCLUSIVE, 0) == TN_ERR_INVALID);
    CHECK(try_export(a, XS | TN_EXPORT_CONSUMER_READS, 0) == TN_ERR_INVALID);
    CHECK(try_export(a, TN_BORROW | TN_TAKE_OWNERSHIP, 0) == TN_ERR_INVALID);
    CHECK(try_export(a, TN_BORROW | 1u << 31, 0) == TN_ERR_INVALID);
    FAILS(tn_array_export_host(a, XR, 0, NULL, NULL, &guard, NULL), TN_ERR_NULL);
    FAILS(tn_array_export_host(a, XR, 0, NULL, &view, NULL, NULL), TN_ERR_NULL);
    OK(tn_array_export_host(a, XR, 0, TN_STREAM_CURRENT, &view, &guard, NULL));
    end(guard);
    CHECK(why(a) == 0);
    drop(a);
}

static void modes(void) /* XI-4 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a);
    const uint32_t wrong[3] = {TN_WRITE_COW, TN_WRITE_DISCARD, TN_WRITE_UNIQUE | TN_WRITE_COW};
    for (int i = 0; i < 3; i++)
        CHECK(try_export(a, XS, wrong[i]) == TN_ERR_INVALID && try_export(a, XW, wrong[i]) == TN_ERR_INVALID);
    CHECK(try_export(a, XR, TN_WRITE_UNIQUE) == TN_ERR_INVALID);
    CHECK(try_export(a, XS, TN_WRITE_UNIQUE) == TN_ERR_SHARED && try_export(a, XW, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    CHECK(try_export(a, XS, 0) == TN_OK && try_export(a, XW, 0) == TN_OK);
    tn_array *wide = broadcast(twin, SHAPE(2, 4));
    CHECK(try_export(wide, XS, 0) == TN_ERR_READONLY && try_export(wide, XW, 0) == TN_ERR_READONLY);
    CHECK(try_export(wide, XR, 0) == TN_OK);
    drop(wide);
    drop(twin);
    CHECK(try_export(a, XS, TN_WRITE_UNIQUE) == TN_OK && try_export(a, XW, TN_WRITE_UNIQUE) == TN_OK && why(a) == 0);
    drop(a);
}

enum { READ, FROZEN, WRITE, EXPORT_R, EXPORT_S, EXPORT_W, OPENS };

static tn_borrow *open_one(tn_array *a, int what)
{
    tn_borrow *guard = NULL;
    switch (what) {
    case READ: return reading(a);
    case FROZEN: OK(tn_array_borrow_read(a, TN_FROZEN, NULL, NULL, NULL, &guard)); return guard;
    case WRITE: return writing(a, 0);
    case EXPORT_R: return exporting(a, XR);
    case EXPORT_S: return exporting(a, XS);
    default: return exporting(a, XW);
    }
}

#define B  TN_ERR_BORROWED
#define BW TN_ERR_BORROWED_WRITE
#define E  TN_ERR_EXPORTED

static void what_may_stand_beside(void) /* BR-2, BR-3, XI-2, XI-3, XI-5, XI-8 */
{
    /* borrow_read, XR, FROZEN, ALIASED, XS, XW, UNIQUE, XS|UNIQUE, XW|UNIQUE */
    static const tn_status table[OPENS][9] = {
        {TN_OK, TN_OK, TN_OK, B, TN_OK, B, B, B, B}, {TN_OK, TN_OK, TN_OK, B, B, B, B, B, B},
        {BW, BW, BW, BW, BW, BW, BW, BW, BW},
        {TN_OK, TN_OK, TN_OK, E, TN_OK, E, E, E, E}, {TN_OK, TN_OK, E, TN_OK, TN_OK, E, E, E, E},
        {E, E, E, E, E, E, E, E, E}};
    tn_array *whole = numbers(NULL, SHAPE(8));
    for (int what = 0; what < OPENS; what++)
        for (int hand = 0; hand < 2; hand++) { /* through this handle, and through an overlapping view */
            tn_array *view = hand == 0 ? whole : part(whole, 0, 5, 1), *asked = whole;
            tn_borrow *guard = open_one(view, what);
            int before = check_failures;
            CHECK(try_read(asked, 0) == table[what][0]);
            CHECK(try_copy(asked) == table[what][0]);
            CHECK(try_export(asked, XR, 0) == table[what][1]);
            CHECK(try_read(asked, TN_FROZEN) == table[what][2]);
            CHECK(try_write(asked, 0) == table[what][3]);
            CHECK(try_write(asked, TN_WRITE_DISCARD) == table[what][3]);
            CHECK(try_export(asked, XS, 0) == table[what][4]);
            CHECK(try_export(asked, XW, 0) == table[what][5]);
            CHECK(try_write(asked, TN_WRITE_UNIQUE) == table[what][6]);
            CHECK(try_export(asked, XS, TN_WRITE_UNIQUE) == table[what][7]);
            CHECK(try_export(asked, XW, TN_WRITE_UNIQUE) == table[what][8]);
            if (check_failures != before)
                fprintf(stderr, "beside row %d, hand %d\n", what, hand);
            end(guard);
            if (view != whole)
                drop(view);
            CHECK(why(whole) == 0);
        }

    /* with disjoint bytes only exclusive access to the whole store conflicts */
    tn_array *head = part(whole, 0, 4, 1), *tail = part(whole, 4, 8, 1);
    for (int what = 0; what < OPENS; what++) {
        tn_borrow *guard = open_one(tail, what);
        CHECK(try_read(head, 0) == TN_OK && try_read(head, TN_FROZEN) == TN_OK && try_write(head, 0) == TN_OK);
        CHECK(try_export(head, XR, 0) == TN_OK && try_export(head, XS, 0) == TN_OK && try_export(head, XW, 0) == TN_OK);
        CHECK(try_write(head, TN_WRITE_UNIQUE) == (what >= EXPORT_R ? TN_ERR_EXPORTED : TN_ERR_SHARED));
        CHECK(try_export(head, XS, TN_WRITE_UNIQUE) == (what >= EXPORT_R ? TN_ERR_EXPORTED : TN_ERR_SHARED));
        end(guard);
    }
    drop(head);
    drop(tail);
    CHECK(HOLDS(whole, 0, 1, 2, 3, 4, 5, 6, 7));
    drop(whole);
}

static void cow_beside_exports(void) /* XI-2, XI-3, XI-8 */
{
    tn_array *a = numbers(NULL, SHAPE(3));
    const uint32_t open[2] = {XR, XS};
    for (int i = 0; i < 2; i++) {
        void *old = address(a);
        tn_view_info view;
        tn_borrow *guard = NULL;
        OK(tn_array_export_host(a, open[i], 0, NULL, &view, &guard, NULL));
        CHECK(try_write(a, TN_WRITE_COW) == TN_OK);
        CHECK(address(a) != old && why(a) == 0 && view.data == old && ((int64_t *)view.data)[2] == 2);
        fill_i64(a, 9);
        CHECK(((int64_t *)view.data)[0] == 0 && HOLDS(a, 9, 9, 9)); /* the old bytes belong to the consumer */
        end(guard);
        drop(a);
        a = numbers(NULL, SHAPE(3));
    }
    tn_borrow *guard = exporting(a, XW);
    CHECK(try_write(a, TN_WRITE_COW) == TN_ERR_EXPORTED);
    CHECK(try_write(a, TN_WRITE_COW | TN_WRITE_DISCARD) == TN_OK && why(a) == 0);
    end(guard);
    drop(a);
}

static tn_status status_elsewhere;

static void *deleter_elsewhere(void *guard)
{
    status_elsewhere = tn_borrow_end(guard, 0, NULL);
    return NULL;
}

static void the_consumer_is_last(void) /* XI-6, XC-4 */
{
    tn_pool *pool = own_pool("xi-6");
    const uint32_t kinds[3] = {XR, XS, XW};
    for (int i = 0; i < 3; i++) {
        tn_array *a = numbers(pool, SHAPE(2, 2)), *view_of_a = at(a, 1, 1), *out = UNTOUCHED;
        tn_weak *weak = NULL;
        OK(tn_array_weaken(a, &weak));
        tn_view_info view;
        tn_borrow *guard = NULL;
        OK(tn_array_export_host(view_of_a, kinds[i], 0, NULL, &view, &guard, NULL));
        drop(a);
        CHECK(held_bytes(pool) == 0);
        drop(view_of_a);
        CHECK(held_bytes(pool) == 32 && live_bytes(pool) == 32);
        FAILS(tn_weak_upgrade(weak, &out), TN_ERR_DESTRUCTED);
        CHECK(view.shape[0] == 2 && view.strides[0] == 16 && *(int64_t *)view.data == 1);
        CHECK(*(int64_t *)((char *)view.data + 16) == 3 && view.ndim == 1 && view.bytes == 16);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, deleter_elsewhere, guard) == 0 && pthread_join(thread, NULL) == 0);
        CHECK(status_elsewhere == TN_OK && live_bytes(pool) == 0 && held_bytes(pool) == 0);
        OK(tn_weak_release(weak));
    }
    OK(tn_pool_release(pool));
}

static void exclusive(void) /* XI-3 */
{
    tn_array *a = numbers(NULL, SHAPE(4, 2)), *left = at(a, 1, 0), *right = at(a, 1, 1);
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_export_host(left, XW, 0, NULL, &view, &guard, NULL));
    CHECK(try_read(a, 0) == TN_ERR_EXPORTED && try_write(a, 0) == TN_ERR_EXPORTED && try_copy(left) == TN_ERR_EXPORTED);
    fill_i64(right, 7);
    CHECK(HOLDS(right, 7, 7, 7, 7));
    for (int i = 0; i < 4; i++)
        *(int64_t *)((char *)view.data + i * view.strides[0]) = -i;
    end(guard);
    CHECK(HOLDS(a, 0, 7, -1, 7, -2, 7, -3, 7));
    drop(left);
    drop(right);
    drop(a);
}

static void shared_view(void) /* XI-8, XI-9, XC-9 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *copy = NULL;
    tn_view_info view;
    tn_borrow *guard = NULL, *second = NULL;
    OK(tn_array_export_host(a, XS, 0, NULL, &view, &guard, NULL));
    int64_t *theirs = view.data;
    fill_i64(a, 5);
    CHECK(theirs[0] == 5 && theirs[2] == 5);
    theirs[1] = 6;
    CHECK(HOLDS(a, 5, 6, 5));
    OK(tn_array_copy(a, NULL, NULL, &copy));
    CHECK(HOLDS(copy, 5, 6, 5));
    drop(copy);
    second = exporting(a, XS);
    CHECK(count_holders(a, TN_HOLDER_EXPORT_SHARED) == 2);
    end(second);

    /* the consumer's writes change no version and heal nothing */
    tn_store_info store = {.size = sizeof store};
    size_t n = 0;
    OK(tn_holders_of(theirs, 8, sizeof(tn_holder), 0, &store, NULL, &n));
    uint64_t version = store.version;
    theirs[0] = 1;
    OK(tn_holders_of(theirs, 8, sizeof(tn_holder), 0, &store, NULL, &n));
    CHECK(store.version == version);
    poison(a);
    theirs[0] = theirs[1] = theirs[2] = 0;
    CHECK(try_read(a, 0) == TN_ERR_POISONED);
    end(guard);
    CHECK(try_read(a, 0) == TN_ERR_POISONED);
    drop(a);
}

static void sites_of_exports(void) /* WN-9 */
{
    tn_array *a = numbers(NULL, SHAPE(3));
    OK(tn_array_set_name(a, "lent out"));
    OK(tn_here("consumer.c", 12));
    tn_borrow *guard = exporting(a, XW);
    OK(tn_here(NULL, 0));
    CHECK(try_write(a, 0) == TN_ERR_EXPORTED);
    CHECK(says("lent out") && says("consumer.c:12"));
    end(guard);
    drop(a);
}

int main(void)
{
    classes();
    modes();
    what_may_stand_beside();
    cow_beside_exports();
    the_consumer_is_last();
    exclusive();
    shared_view();
    sites_of_exports();
    return finish();
}
