/*
 * import.c - raw host memory imported: copied, borrowed, taken, joined with a store that already has the bytes, and leases (AR-14 to AR-20,
 * AR-23, AR-24, XI-10 to XI-21, XC-1, XC-6, XC-7). Queued callbacks (AR-25): release.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"

static int64_t memory[64];

static void reset(void)
{
    for (int i = 0; i < 64; i++)
        memory[i] = i;
}

static void count_up(void *context)
{
    ++*(int *)context;
}

static tn_layout line(int64_t *n)
{
    return (tn_layout){.size = sizeof(tn_layout), .dtype = TN_I64, .ndim = 1, .shape = n};
}

/* memory[first : first + n], which must be imported as `how`. */
static tn_array *import_as(tn_how expected, int64_t first, int64_t n, uint32_t flags, int *runs)
{
    tn_layout layout = line(&n);
    tn_array *out = NULL;
    tn_how how = 0;
    OK(tn_array_import_host(memory + first, &layout, flags, runs ? count_up : NULL, runs, &out, &how));
    CHECK(how == expected);
    return out;
}

static tn_array *lend(int64_t first, int64_t n, uint32_t flags, int *runs)
{
    return import_as(TN_ALIASED, first, n, flags, runs);
}

/* The status of an import that must fail: no callback runs, no output is written. */
static tn_status try_import(void *ptr, const tn_layout *layout, uint32_t flags)
{
    int runs = 0;
    tn_array *out = UNTOUCHED;
    tn_how how = 77;
    tn_status status = tn_array_import_host(ptr, layout, flags, count_up, &runs, &out, &how);
    CHECK(status != TN_OK && runs == 0 && out == UNTOUCHED && how == 77);
    if (status == TN_OK)
        drop(out);
    return status;
}

static void copied(void) /* AR-14, XI-10 */
{
    reset();
    int runs = 0;
    tn_pool *pool = own_pool("ar-14");
    OK(tn_pool_set_current(pool));
    tn_array *a = import_as(TN_COPIED, 0, 4, 0, &runs);
    CHECK(runs == 1 && live_bytes(pool) == 32 && address(a) != (void *)memory);
    memset(memory, 0, sizeof memory); /* the caller may reuse it */
    CHECK(HOLDS(a, 0, 1, 2, 3) && why(a) == 0 && (info_of(a).flags & TN_FOREIGN) == 0);
    drop(a);
    CHECK(runs == 1);

    /* strides and offset are used, the copy is contiguous */
    reset();
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = (int64_t[]){2, 3},
                        .strides = (int64_t[]){-80, 16}, .offset = 80};
    OK(tn_array_import_host(memory, &layout, 0, NULL, NULL, &a, NULL));
    CHECK(HOLDS(a, 10, 12, 14, 0, 2, 4) && info_of(a).strides[0] == 24 && info_of(a).strides[1] == 8);
    drop(a);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(pool));
}

static void lent(void) /* AR-15, XI-11, XI-13 */
{
    reset();
    int runs = 0;
    tn_pool *pool = own_pool("ar-15");
    OK(tn_pool_set_current(pool));
    tn_array *a = lend(0, 4, TN_BORROW, &runs);
    CHECK(address(a) == (void *)memory && allocations(pool) == 0 && (info_of(a).flags & TN_FOREIGN));
    CHECK(why(a) == TN_WHY_FOREIGN && unique(a));
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_FOREIGN);
    fill_i64(a, 8);
    CHECK(memory[0] == 8 && memory[3] == 8 && memory[4] == 4);
    memory[1] = 9; /* the lender may still write it */
    CHECK(HOLDS(a, 8, 9, 8, 8));
    tn_array *twin = clone(a);
    int64_t value = 1;
    OK(tn_array_fill(a, &value, TN_WRITE_COW, NULL));
    CHECK(HOLDS(a, 1, 1, 1, 1) && memory[0] == 8 && runs == 0 && why(a) == 0);
    drop(twin);
    CHECK(runs == 1); /* handles that COW moved away do not count (XI-18) */
    drop(a);
    CHECK(runs == 1 && live_bytes(pool) == 0);

    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = (int64_t[]){2, 2},
                        .strides = (int64_t[]){-32, 8}, .offset = 32};
    OK(tn_array_import_host(memory, &layout, TN_REQUIRE_BORROW, NULL, NULL, &a, NULL));
    CHECK(address(a) == (void *)(memory + 4) && HOLDS(a, 4, 5, 8, 9));
    CHECK(info_of(a).strides[0] == -32 && info_of(a).offset == 32 && info_of(a).store_bytes == 48);
    drop(a);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(pool));
}

static void taken(void) /* AR-16, XI-14 */
{
    reset();
    int runs = 0;
    int64_t n = 4;
    tn_layout layout = line(&n);
    tn_array *a = lend(0, 4, TN_TAKE_OWNERSHIP, &runs);
    CHECK(why(a) == 0 && (info_of(a).flags & TN_FOREIGN) == 0 && try_write(a, TN_WRITE_UNIQUE) == TN_OK);
    tn_promise *p = give(a);
    tn_array *x = take(p);
    CHECK(why(x) == 0 && address(x) == (void *)memory);
    OK(tn_promise_release(p));
    drop(a);
    CHECK(runs == 0);
    drop(x);
    CHECK(runs == 1);

    a = UNTOUCHED;
    FAILS(tn_array_import_host(memory, &layout, TN_TAKE_OWNERSHIP, NULL, NULL, &a, NULL), TN_ERR_NULL);
    CHECK(a == UNTOUCHED);

    runs = 0;
    a = lend(0, 4, TN_MAY_OVERWRITE, &runs); /* implies TN_BORROW */
    CHECK(why(a) == 0 && (info_of(a).flags & TN_FOREIGN) == 0 && try_write(a, TN_WRITE_UNIQUE) == TN_OK);
    drop(a);
    CHECK(runs == 1);
}

static void unaligned(void) /* AR-17, XI-12, XI-14 */
{
    reset();
    char *odd = (char *)memory + 4;
    int64_t n = 2;
    tn_layout layout = line(&n), gaps = line(&n);
    gaps.strides = (int64_t[]){12};
    const uint32_t copies[3] = {0, TN_BORROW, TN_TAKE_OWNERSHIP};
    for (int i = 0; i < 3; i++) {
        int runs = 0;
        tn_array *a = NULL;
        tn_how how = 0;
        OK(tn_array_import_host(odd, &layout, copies[i], count_up, &runs, &a, &how));
        CHECK(how == TN_COPIED && runs == 1 && HOLDS(a, (int64_t)1 << 32, (int64_t)2 << 32));
        CHECK((info_of(a).flags & (TN_FOREIGN | TN_ALIGNED)) == TN_ALIGNED);
        drop(a);
        OK(tn_array_import_host(memory, &gaps, copies[i], count_up, &runs, &a, &how));
        CHECK(how == TN_COPIED && runs == 2 && HOLDS(a, 0, (int64_t)2 << 32));
        drop(a);
        CHECK(runs == 2);
    }
    CHECK(try_import(odd, &layout, TN_REQUIRE_BORROW) == TN_ERR_WOULD_COPY);
    CHECK(try_import(odd, &layout, TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW) == TN_ERR_WOULD_COPY);
    CHECK(try_import(memory, &gaps, TN_REQUIRE_BORROW) == TN_ERR_WOULD_COPY);
    /* by an unaligned offset as well; complex numbers need only the alignment of a component */
    layout.offset = 1;
    CHECK(try_import(memory, &layout, TN_REQUIRE_BORROW) == TN_ERR_WOULD_COPY);
    layout = (tn_layout){.size = sizeof layout, .dtype = TN_C128, .ndim = 1, .shape = &n};
    tn_array *z = NULL;
    OK(tn_array_import_host(memory + 1, &layout, TN_REQUIRE_BORROW, NULL, NULL, &z, NULL));
    drop(z);
}

static void readonly(void) /* AR-18, XI-15 */
{
    reset();
    tn_array *a = lend(0, 4, TN_BORROW | TN_IMPORT_READONLY, NULL), *view = part(a, 0, 2, 1), *twin = clone(a), *source;
    tn_promise *p = give(twin);
    tn_array *x = take(p), *hands[3] = {a, view, x};
    OK(tn_promise_release(p));
    drop(twin);
    source = numbers(NULL, SHAPE(4));
    int64_t value = 1;
    for (int i = 0; i < 3; i++) {
        CHECK((info_of(hands[i]).flags & TN_READONLY) && (why(hands[i]) & TN_WHY_READONLY));
        CHECK(try_write(hands[i], 0) == TN_ERR_READONLY && try_write(hands[i], TN_WRITE_UNIQUE) == TN_ERR_READONLY);
        FAILS(tn_array_fill(hands[i], &value, 0, NULL), TN_ERR_READONLY);
        FAILS(tn_array_clear(hands[i], 0, NULL), TN_ERR_READONLY);
        CHECK(try_read(hands[i], 0) == TN_OK);
    }
    FAILS(tn_array_copy_into(source, a, 0, NULL), TN_ERR_READONLY);
    FAILS(tn_array_copy_from_host(a, &value, NULL, 0, NULL), TN_ERR_READONLY);
    CHECK(memory[0] == 0 && memory[3] == 3);
    tn_array *copy = NULL;
    OK(tn_array_copy(a, NULL, NULL, &copy));
    CHECK((info_of(copy).flags & TN_READONLY) == 0 && try_write(copy, 0) == TN_OK);
    drop(copy);
    OK(tn_array_fill(view, &value, TN_WRITE_COW, NULL));
    CHECK(HOLDS(view, 1, 1) && memory[0] == 0 && (info_of(view).flags & TN_READONLY) == 0);
    drop(view);
    drop(x);
    drop(a);

    /* other handles on the store are unchanged */
    int64_t n = 4;
    tn_layout layout = line(&n);
    OK(tn_array_import_host(address(source), &layout, TN_BORROW | TN_IMPORT_READONLY, NULL, NULL, &a, NULL));
    CHECK(try_write(a, 0) == TN_ERR_READONLY && try_write(source, 0) == TN_OK &&
          (info_of(source).flags & TN_READONLY) == 0);
    drop(a);
    drop(source);
}

static void elements_that_share_bytes(void) /* AR-19 */
{
    reset();
    const int64_t shapes[2][2] = {{3, 3}, {2, 4}}, strides[2][2] = {{8, 8}, {0, 8}};
    for (int i = 0; i < 2; i++) {
        tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = shapes[i],
                            .strides = strides[i]};
        const uint32_t flags[3] = {TN_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP};
        for (int k = 0; k < 3; k++) {
            int runs = 0;
            tn_array *a = NULL;
            tn_how how = 0;
            OK(tn_array_import_host(memory, &layout, flags[k], count_up, &runs, &a, &how));
            CHECK(how == TN_ALIASED);
            CHECK((info_of(a).flags & (TN_SELF_OVERLAP | TN_READONLY)) == (TN_SELF_OVERLAP | TN_READONLY));
            CHECK(try_write(a, 0) == TN_ERR_READONLY && (why(a) & TN_WHY_NOT_ALIASABLE));
            if (i == 0)
                CHECK(HOLDS(a, 0, 1, 2, 1, 2, 3, 2, 3, 4)); /* a sliding window */
            drop(a);
            CHECK(runs == 1);
        }
    }
}

static void wrong_memory(void) /* AR-20, XI-17, XC-6, XC-7 */
{
    int64_t n = 4, none = 0, many = 100;
    tn_layout layout = line(&n), empty_layout = line(&none), long_layout = line(&many);
    CHECK(try_import(NULL, &layout, TN_BORROW) == TN_ERR_NULL);
    CHECK(try_import(NULL, &layout, 0) == TN_ERR_NULL);
    CHECK(try_import(memory, NULL, 0) == TN_ERR_NULL);
    int runs = 0;
    tn_array *a = NULL;
    OK(tn_array_import_host(NULL, &empty_layout, TN_BORROW, count_up, &runs, &a, NULL));
    CHECK(info_of(a).count == 0);
    drop(a);
    CHECK(runs == 1);

    long_layout.strides = (int64_t[]){-8};
    CHECK(try_import((void *)(uintptr_t)64, &long_layout, TN_BORROW) == TN_ERR_RANGE);
    long_layout.strides = (int64_t[]){8};
    CHECK(try_import((void *)(UINTPTR_MAX - 63), &long_layout, TN_BORROW) == TN_ERR_RANGE);
    /* the first page, and more than any processor's address space */
    CHECK(try_import((void *)(uintptr_t)64, &layout, 0) == TN_ERR_RANGE && says("0x40"));
#ifdef __x86_64__
    CHECK(try_import((void *)((uintptr_t)1 << 56), &layout, 0) == TN_ERR_RANGE);
    CHECK(try_import((void *)(((uintptr_t)1 << 56) - 8), &layout, 0) == TN_ERR_RANGE && says("0xfffffffffffff8"));
#endif
    CHECK(try_import((void *)(UINTPTR_MAX / 2 + 9), &layout, 0) == TN_ERR_RANGE);
    long_layout.strides = (int64_t[]){INT64_MAX - 7};
    CHECK(try_import(memory, &long_layout, TN_BORROW) != TN_OK);

    FAILS(tn_array_import_host(memory, &layout, TN_BORROW, NULL, NULL, NULL, NULL), TN_ERR_NULL);
    const uint32_t flags[4] = {TN_EXPORT_WRITABLE, 1u << 2, 1u << 6, 1u << 31};
    for (int i = 0; i < 4; i++)
        CHECK(try_import(memory, &layout, TN_BORROW | flags[i]) == TN_ERR_INVALID);
    tn_layout bad = layout;
    bad.size = 0;
    CHECK(try_import(memory, &bad, 0) == TN_ERR_INVALID);
    bad = layout;
    bad.dtype = TN_DTYPE(TN_CODE_FLOAT, 8);
    CHECK(try_import(memory, &bad, 0) == TN_ERR_DTYPE);
    bad = layout;
    bad.ndim = -1;
    CHECK(try_import(memory, &bad, 0) == TN_ERR_SHAPE);
    bad.ndim = 65;
    CHECK(try_import(memory, &bad, 0) == TN_ERR_OVERFLOW);
    bad = layout;
    bad.shape = NULL;
    CHECK(try_import(memory, &bad, 0) == TN_ERR_NULL);
    bad.shape = (int64_t[]){-4};
    CHECK(try_import(memory, &bad, 0) == TN_ERR_SHAPE);
    bad.shape = (int64_t[]){INT64_MAX};
    CHECK(try_import(memory, &bad, 0) == TN_ERR_OVERFLOW);
}

static void joined(void) /* AR-23, XI-16 */
{
    reset();
    tn_pool *pool = own_pool("ar-23");
    tn_array *a = numbers(pool, SHAPE(6));
    int64_t *bytes = address(a), n = 3;
    tn_layout layout = line(&n);
    int runs = 0;
    tn_array *b = NULL;
    tn_how how = 0;
    /* it checks no guard, export or poison */
    poison(a);
    tn_borrow *guard = writing(a, TN_WRITE_DISCARD);
    OK(tn_array_import_host(bytes + 2, &layout, TN_BORROW, count_up, &runs, &b, &how));
    end(guard);
    fill_i64(a, 4);
    CHECK(how == TN_ALIASED && address(b) == (void *)(bytes + 2) && info_of(b).offset == 16 && claims(a) == 2);
    CHECK(why(a) == (TN_WHY_SHARED | TN_WHY_FOREIGN) && why(b) == (TN_WHY_SHARED | TN_WHY_FOREIGN));
    CHECK((info_of(b).flags & TN_FOREIGN) && allocations(pool) == 1 && info_of(b).store_bytes == 48);
    fill_i64(b, 5);
    CHECK(HOLDS(a, 4, 4, 5, 5, 5, 4));
    guard = reading(b);
    CHECK(try_write(a, 0) == TN_ERR_BORROWED);
    end(guard);
    drop(b);
    CHECK(runs == 1 && why(a) == 0); /* the lease has ended, the store lives on */
    CHECK((info_of(a).flags & TN_FOREIGN) == 0);

    /* in the other order: the store's first handle is released, the join keeps the store */
    OK(tn_array_import_host(bytes, &layout, TN_REQUIRE_BORROW, count_up, &runs, &b, &how));
    CHECK(how == TN_ALIASED);
    drop(a);
    CHECK(live_bytes(pool) == 48 && why(b) == TN_WHY_FOREIGN && runs == 1);
    drop(b);
    CHECK(live_bytes(pool) == 0 && runs == 2);

    /* one borrowed tensor twice */
    int first = 0, second = 0;
    a = lend(0, 4, TN_BORROW, &first);
    b = lend(0, 4, TN_BORROW, &second);
    CHECK(claims(a) == 2 && why(a) == (TN_WHY_SHARED | TN_WHY_FOREIGN));
    drop(a);
    CHECK(first == 1 && second == 0 && why(b) == TN_WHY_FOREIGN);
    drop(b);
    CHECK(first == 1 && second == 1);
    OK(tn_pool_release(pool));
}

static void a_lease_ends_with_its_family(void) /* XI-18, I15 */
{
    tn_array *store = numbers(NULL, SHAPE(8)), *out = UNTOUCHED;
    int64_t *bytes = address(store), n = 4;
    tn_layout layout = line(&n);
    for (int kind = 0; kind < 7; kind++) {
        int runs = 0;
        tn_array *b = NULL, *other = NULL;
        tn_borrow *guard = NULL;
        tn_promise *p = NULL;
        tn_weak *weak = NULL;
        OK(tn_array_import_host(bytes, &layout, TN_BORROW, count_up, &runs, &b, NULL));
        OK(tn_array_weaken(b, &weak));
        switch (kind) {
        case 0: other = clone(b); break;
        case 1: other = part(b, 1, 2, 1); break;
        case 2: guard = reading(b); break;
        case 3: guard = exporting(b, XR); break;
        case 4: p = give(b); break;                                      /* the promise keeps the claim */
        case 5: p = give(b); other = take(p); break;                     /* the taker */
        default: OK(tn_weak_upgrade(weak, &other)); break;
        }
        drop(b);
        CHECK(runs == 0);
        tn_array *again = NULL;
        if (kind != 2 && kind != 3) { /* not ended: a weak handle of the family still works */
            OK(tn_weak_upgrade(weak, &again));
            drop(again);
        }
        CHECK(runs == 0);
        if (other != NULL)
            drop(other);
        if (guard != NULL)
            end(guard);
        if (p != NULL)
            OK(tn_promise_release(p));
        CHECK(runs == 1);
        FAILS(tn_weak_upgrade(weak, &out), TN_ERR_DESTRUCTED); /* after its lease, though the store lives */
        CHECK(out == UNTOUCHED && why(store) == 0);
        OK(tn_weak_release(weak));
    }
    /* a clone of the store's own handle does not belong to the import */
    int runs = 0;
    tn_array *b = NULL, *twin = clone(store);
    OK(tn_array_import_host(bytes, &layout, TN_BORROW, count_up, &runs, &b, NULL));
    drop(b);
    CHECK(runs == 1);
    drop(twin);
    drop(store);
}

static void widened(void) /* AR-24, XI-19 */
{
    reset();
    int first = 0, second = 0, third = 0;
    tn_array *a = lend(10, 4, TN_BORROW, &first);
    CHECK(info_of(a).offset == 0 && info_of(a).store_bytes == 32);
    tn_array *b = lend(8, 4, TN_BORROW, &second); /* begins before the store */
    CHECK(claims(a) == 2 && info_of(a).offset == 16 && info_of(a).store_bytes == 48 && info_of(b).offset == 0);
    tn_array *c = lend(12, 8, TN_BORROW, &third); /* ends after the store */
    CHECK(claims(a) == 3 && info_of(a).offset == 16 && info_of(a).store_bytes == 96 && info_of(c).offset == 32);
    CHECK(HOLDS(a, 10, 11, 12, 13) && HOLDS(b, 8, 9, 10, 11));
    tn_borrow *guard = writing(c, 0);
    CHECK(try_read(a, 0) == TN_ERR_BORROWED_WRITE && try_read(b, 0) == TN_OK);
    end(guard);
    drop(b); /* the store shrinks to the remaining range */
    CHECK(second == 1 && first == 0 && info_of(a).offset == 0 && info_of(a).store_bytes == 80 &&
          info_of(c).offset == 16);
    drop(c);
    CHECK(third == 1 && info_of(a).store_bytes == 32 && why(a) == TN_WHY_FOREIGN);
    /* the bytes outside of it belong to no store */
    size_t n = 0;
    FAILS(tn_holders_of(memory + 15, 8, sizeof(tn_holder), 0, NULL, NULL, &n), TN_ERR_FOREIGN);
    drop(a);
    CHECK(first == 1);
}

/* Columns `first` and `first + 1` of memory as 8 rows of 8. */
static tn_array *two_columns(int64_t first)
{
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = (int64_t[]){8, 2}, .strides = (int64_t[]){64, 8}};
    tn_array *out = NULL;
    OK(tn_array_import_host(memory + first, &layout, TN_BORROW | TN_REQUIRE_BORROW, NULL, NULL, &out, NULL));
    return out;
}

static void parts_of_one_import(void) /* AR-23, LA-22 */
{
    reset();
    tn_array *left = two_columns(0), *right = two_columns(2);
    tn_overlap overlap;
    OK(tn_array_overlap(left, right, &overlap));
    CHECK(overlap == TN_OVERLAP_UNKNOWN); /* the rows of which they are parts are not known */
    drop(left);
    drop(right);

    tn_layout table = {.size = sizeof table, .dtype = TN_I64, .ndim = 2, .shape = (int64_t[]){8, 8}};
    tn_array *whole = NULL;
    OK(tn_array_import_host(memory, &table, TN_BORROW, NULL, NULL, &whole, NULL));
    left = two_columns(0), right = two_columns(2);
    drop(whole); /* they stay its parts */
    tn_array *middle = two_columns(1);
    OK(tn_array_overlap(left, right, &overlap));
    CHECK(overlap == TN_OVERLAP_NONE);
    OK(tn_array_overlap(left, middle, &overlap));
    CHECK(overlap == TN_OVERLAP_SOME);
    tn_borrow *a = writing(left, 0), *b = writing(right, 0);
    CHECK(try_read(middle, 0) == TN_ERR_BORROWED_WRITE);
    end(a);
    end(b);
    drop(left);
    drop(right);
    drop(middle);
}

static void more_than_one_store(void) /* AR-24, XI-20, I16 */
{
    reset();
    int runs = 0;
    tn_array *left = lend(0, 4, TN_TAKE_OWNERSHIP, &runs), *right = lend(4, 4, TN_BORROW, NULL);
    int64_t n = 4;
    tn_layout layout = line(&n);
    int copied = 0;
    tn_array *across = import_as(TN_COPIED, 2, 4, TN_BORROW, &copied);
    CHECK(copied == 1 && HOLDS(across, 2, 3, 4, 5) && claims(left) == 1 && claims(right) == 1 && claims(across) == 1);
    drop(across);
    CHECK(try_import(memory + 2, &layout, TN_REQUIRE_BORROW) == TN_ERR_ALIASED);
    CHECK(try_import(memory + 2, &layout, TN_TAKE_OWNERSHIP) == TN_ERR_ALIASED);
    CHECK(try_import(memory + 4, &layout, TN_TAKE_OWNERSHIP) == TN_ERR_ALIASED);
    CHECK(try_import(memory + 4, &layout, TN_MAY_OVERWRITE) == TN_ERR_ALIASED);
    CHECK(try_import(memory + 7, &layout, TN_MAY_OVERWRITE) == TN_ERR_ALIASED); /* any byte of it */
    CHECK(try_import((char *)memory + 36, &layout, TN_TAKE_OWNERSHIP) == TN_ERR_ALIASED);  /* unaligned as well (ER-12) */
    CHECK(claims(left) == 1 && claims(right) == 1);
    drop(right);
    /* a taken store is not extended */
    copied = 0;
    across = import_as(TN_COPIED, 2, 4, TN_BORROW, &copied);
    CHECK(copied == 1 && claims(left) == 1);
    drop(across);
    CHECK(try_import(memory + 2, &layout, TN_REQUIRE_BORROW) == TN_ERR_ALIASED);
    drop(left);
    CHECK(runs == 1);
    /* nor a pooled one */
    tn_array *a = numbers(NULL, SHAPE(4));
    int64_t *bytes = address(a);
    CHECK(try_import(bytes + 2, &layout, TN_REQUIRE_BORROW) == TN_ERR_ALIASED);
    CHECK(try_import(bytes, &layout, TN_TAKE_OWNERSHIP) == TN_ERR_ALIASED &&
          try_import(bytes, &layout, TN_MAY_OVERWRITE) == TN_ERR_ALIASED);
    CHECK(claims(a) == 1 && why(a) == 0);
    drop(a);
    /* all of it is unknown again */
    a = lend(2, 4, TN_TAKE_OWNERSHIP, &runs);
    drop(a);
    CHECK(runs == 2);
}

static void a_held_store_is_joined(void) /* XI-21 */
{
    tn_pool *pool = own_pool("xi-21");
    tn_array *x = numbers(pool, SHAPE(4)), *back = NULL;
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_export_host(x, XS, 0, NULL, &view, &guard, NULL));
    drop(x);
    CHECK(held_bytes(pool) == 32);
    int64_t n = 4;
    tn_layout layout = line(&n);
    int runs = 0;
    tn_how how = 0;
    OK(tn_array_import_host(view.data, &layout, TN_BORROW, count_up, &runs, &back, &how));
    CHECK(how == TN_ALIASED && allocations(pool) == 1 && held_bytes(pool) == 0);
    CHECK(why(back) == (TN_WHY_EXPORTED | TN_WHY_FOREIGN) && claims(back) == 1 && HOLDS(back, 0, 1, 2, 3));
    drop(back);
    CHECK(runs == 1 && held_bytes(pool) == 32);
    end(guard);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

int main(void)
{
    copied();
    lent();
    taken();
    unaligned();
    readonly();
    elements_that_share_bytes();
    wrong_memory();
    joined();
    a_lease_ends_with_its_family();
    widened();
    parts_of_one_import();
    more_than_one_store();
    a_held_store_is_joined();
    return finish();
}
