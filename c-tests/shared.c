/*
 * shared.c - shared variables: the constant value, updates in a copy and in place, failures that change nothing, and threads (SV-1 to SV-39
 * on the host; devices are in cuda_shared.c). The tables for creating, setting and reading are in tests/library/borrowing.rs.
 */
#define _POSIX_C_SOURCE 200809L
#include "crossings.h"
#include <pthread.h>
#include <stdatomic.h>

static tn_status unused(void *context, tn_array *value)
{
    (void)context, (void)value;
    CHECK(0);
    return TN_OK;
}

static void copies_by_default(void) /* SV-1, SV-6, SV-10, SV-20 */
{
    tn_array *value = numbers(NULL, SHAPE(2, 3));
    tn_shared *shared = shared_of(value, NONE, COPY(0));
    CHECK(unique(value) && try_write(value, TN_WRITE_UNIQUE) == TN_OK);
    fill_i64(value, 7);
    tn_array *first = got(shared, NONE, COPY(0)), *second = got(shared, NONE, COPY(0));
    CHECK(HOLDS(first, 0, 1, 2, 3, 4, 5) && unique(first) && address(first) != address(second));
    CHECK(info_of(first).flags & TN_C_CONTIGUOUS);
    fill_i64(first, 8);
    CHECK(HOLDS(second, 0, 1, 2, 3, 4, 5) && counts_from(shared, 0, 6));
    tn_shared_info info = facts(shared);
    CHECK(info.version == 1 && info.dtype == TN_I64 && info.ndim == 2 && info.shape[1] == 3 && info.bytes == 48);
    CHECK(info.device.type == TN_CPU && info.home.type == TN_CPU && !info.is_poisoned && info.detach_count == 0);
    tn_shared *none = UNTOUCHED;
    FAILS(tn_shared_create(value, 1u << 30, NULL, &none, NULL), TN_ERR_INVALID);
    FAILS(tn_shared_create(value, TN_RAW, NULL, &none, NULL), TN_ERR_INVALID);
    FAILS(tn_shared_create(value, TN_MAY_OVERWRITE, NULL, &none, NULL), TN_ERR_INVALID);
    FAILS(tn_shared_set(shared, value, TN_RAW, NULL), TN_ERR_INVALID);
    tn_array *no_value = UNTOUCHED;
    FAILS(tn_shared_get(shared, TN_TAKE_OWNERSHIP, &no_value, NULL), TN_ERR_INVALID);
    FAILS(tn_shared_get(shared, TN_STRICT, &no_value, NULL), TN_ERR_INVALID);
    FAILS(tn_shared_update(shared, TN_BORROW, unused, NULL, NULL), TN_ERR_INVALID);
    CHECK(none == UNTOUCHED && no_value == UNTOUCHED);
    drop(value);
    drop(first);
    drop(second);
    end_shared(shared);
}

static void borrowed_is_constant(void) /* SV-3, SV-11, SV-25 */
{
    tn_array *value = numbers(NULL, SHAPE(4));
    OK(tn_array_set_name(value, "weights"));
    void *bytes = address(value);
    tn_shared *shared = shared_of(value, TN_BORROW, ALIAS);
    CHECK(!strcmp(facts(shared).name, "weights"));
    CHECK(try_read(value, 0) == TN_OK && try_write(value, TN_WRITE_ALIASED) == TN_ERR_SHARED);
    CHECK(says("shared variable \"weights\""));
    CHECK(try_write(value, TN_WRITE_UNIQUE) == TN_ERR_SHARED && try_export(value, XS, 0) == TN_ERR_SHARED);
    CHECK(try_export(value, XW, 0) == TN_ERR_SHARED && try_export(value, XR, 0) == TN_OK);
    CHECK((why(value) & TN_WHY_SHARED) && count_holders(value, TN_HOLDER_SHARED_VARIABLE) == 1);
    tn_array *borrowed = got(shared, TN_BORROW, ALIAS), *view = part(borrowed, 1, 3, 1);
    CHECK(address(borrowed) == bytes && try_write(view, TN_WRITE_ALIASED) == TN_ERR_SHARED);
    OK(tn_borrow_end(writing(view, TN_WRITE_COW | TN_WRITE_DISCARD), 0, NULL));
    CHECK(address(view) != (char *)bytes + 8 && try_write(view, TN_WRITE_UNIQUE) == TN_OK);
    int64_t five = 5;
    FAILS(tn_array_fill(value, &five, 0, NULL), TN_ERR_SHARED);
    OK(tn_array_fill(value, &five, TN_WRITE_COW, NULL));
    CHECK(address(value) != bytes && counts_from(shared, 0, 4) && HOLDS(borrowed, 0, 1, 2, 3));
    end_shared(shared);
    CHECK(HOLDS(borrowed, 0, 1, 2, 3) && unique(borrowed) && try_write(borrowed, TN_WRITE_UNIQUE) == TN_OK);
    drop(borrowed);
    drop(view);
    drop(value);
}

static void taken_is_moved(void) /* SV-7: the variable is the only holder */
{
    tn_array *value = numbers(NULL, SHAPE(4));
    tn_shared *shared = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
    tn_array *now = got(shared, TN_BORROW, ALIAS);
    CHECK(state_of(value) == TN_ERR_DESTRUCTED && count_holders(now, TN_HOLDER_HANDLE) == 0);
    drop(value);
    drop(now);
    end_shared(shared);
}

static void own_value(void) /* SV-2, SV-33: a value that the variable has already */
{
    tn_shared *shared = counting("own", SHAPE(4));
    tn_array *value = got(shared, TN_BORROW, ALIAS), *turned = part(value, TN_NONE, TN_NONE, -1);
    void *bytes = address(value);
    tn_crossing how;
    OK(tn_shared_set(shared, value, TN_BORROW, &how));
    CHECK(crossed(how, ALIAS) && facts(shared).version == 2);
    OK(tn_shared_set(shared, turned, REQUIRE, &how));
    CHECK(crossed(how, ALIAS) && facts(shared).version == 3);
    tn_array *now = got(shared, TN_BORROW, ALIAS);
    CHECK(HOLDS(now, 3, 2, 1, 0) && address(now) == (char *)bytes + 24 && HOLDS(value, 0, 1, 2, 3));
    CHECK(try_write(value, 0) == TN_ERR_SHARED);
    OK(tn_shared_set(shared, value, NONE, &how)); /* the bytes that are read are those of the value */
    CHECK(crossed(how, COPY(0)) && counts_from(shared, 0, 4) && HOLDS(now, 3, 2, 1, 0));
    CHECK(facts(shared).detach_count == 0 && try_write(value, 0) == TN_OK);
    drop(value);
    drop(turned);
    drop(now);
    end_shared(shared);
}

static void strict(void) /* SV-6, the line of TN_STRICT */
{
    tn_array *rows = numbers(NULL, SHAPE(4, 2)), *every_second = part(rows, 0, 4, 2);
    tn_shared *shared = UNTOUCHED;
    FAILS(tn_shared_create(every_second, TN_STRICT, NULL, &shared, NULL), TN_ERR_LAYOUT);
    FAILS(tn_shared_create(every_second, TN_STRICT | TN_BORROW, NULL, &shared, NULL), TN_ERR_LAYOUT);
    CHECK(shared == UNTOUCHED);
    shared = shared_of(rows, TN_STRICT | TN_BORROW, ALIAS);
    FAILS(tn_shared_set(shared, every_second, TN_STRICT, NULL), TN_ERR_LAYOUT);
    end_shared(shared);
    drop(rows);
    drop(every_second);
}

static void bad_values(void) /* SV-8, SV-17, SV-30, SV-37 */
{
    tn_shared *shared = counting("w", SHAPE(2, 2)), *none = UNTOUCHED;
    tn_array *fine = numbers(NULL, SHAPE(2, 2)), *flat = numbers(NULL, SHAPE(4)), *given = numbers(NULL, SHAPE(2, 2));
    tn_array *floats = zeros(NULL, TN_F64, SHAPE(2, 2)), *gone = destructed(), *old = stale(), *out = UNTOUCHED;
    tn_promise *promise = give(given);
    FAILS(tn_shared_create(NULL, 0, NULL, &none, NULL), TN_ERR_NULL);
    FAILS(tn_shared_create(fine, 0, NULL, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_shared_create(old, 0, NULL, &none, NULL), TN_ERR_STALE);
    FAILS(tn_shared_create((tn_array *)shared, 0, NULL, &none, NULL), TN_ERR_KIND);
    tn_pool *released = own_pool("released"); /* ER-2: the list of statuses decides, then the position */
    OK(tn_pool_release(released));
    tn_shared_options wrong = {.size = sizeof wrong, .pool = released};
    FAILS(tn_shared_create((tn_array *)shared, 0, &wrong, &none, NULL), TN_ERR_STALE);
    FAILS(tn_shared_create(fine, TN_RAW, &wrong, &none, NULL), TN_ERR_STALE);
    FAILS(tn_shared_set((tn_shared *)fine, old, 0, NULL), TN_ERR_STALE);
    FAILS(tn_shared_create(gone, 0, NULL, &none, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_shared_create(given, TN_TAKE_OWNERSHIP, NULL, &none, NULL), TN_ERR_GIVEN);
    FAILS(tn_shared_set(shared, NULL, 0, NULL), TN_ERR_NULL);
    FAILS(tn_shared_set(NULL, fine, 0, NULL), TN_ERR_NULL);
    FAILS(tn_shared_set(shared, flat, TN_BORROW, NULL), TN_ERR_SHAPE);
    FAILS(tn_shared_set(shared, floats, TN_BORROW, NULL), TN_ERR_DTYPE);
    FAILS(tn_shared_set(shared, gone, 0, NULL), TN_ERR_DESTRUCTED);
    FAILS(tn_shared_get(shared, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_shared_get((tn_shared *)fine, 0, &out, NULL), TN_ERR_KIND);
    FAILS(tn_shared_update(shared, 0, NULL, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_shared_query(shared, NULL), TN_ERR_NULL);
    tn_shared_info small = {.size = 8};
    FAILS(tn_shared_query(shared, &small), TN_ERR_INVALID);
    tn_pool *pool = own_pool("mine");
    tn_shared_options options = {.size = sizeof options, .device = {TN_CUDA, 99}};
    CHECK(tn_shared_create(fine, 0, &options, &none, NULL) != TN_OK);
    options = (tn_shared_options){.size = 4};
    FAILS(tn_shared_create(fine, 0, &options, &none, NULL), TN_ERR_INVALID);
    CHECK(none == UNTOUCHED && out == UNTOUCHED && counts_from(shared, 0, 4) && facts(shared).version == 1);
    OK(tn_promise_release(promise));
    drop(given);
    drop(gone);
    drop(floats);
    drop(flat);

    options = (tn_shared_options){.size = sizeof options, .pool = pool, .name = "pooled"};
    OK(tn_shared_create(fine, 0, &options, &none, NULL));
    CHECK(live_bytes(pool) == 32 && !strcmp(facts(none).name, "pooled"));
    OK(tn_pool_release(pool)); /* the variable keeps its pool */
    OK(tn_shared_set(none, fine, 0, NULL));
    end_shared(none);
    FAILS(tn_shared_release(none), TN_ERR_STALE);
    FAILS(tn_shared_set(none, fine, 0, NULL), TN_ERR_STALE);
    FAILS(tn_shared_query(none, &(tn_shared_info){.size = sizeof(tn_shared_info)}), TN_ERR_STALE);
    drop(fine);
    end_shared(shared);

    tn_array *nothing = numbers(NULL, SHAPE(0, 3)), *one = numbers(NULL, 0, NULL);
    tn_shared *empty_one = shared_of(nothing, TN_BORROW, ALIAS), *scalar = shared_of(one, NONE, COPY(0));
    CHECK(facts(empty_one).bytes == 0 && facts(scalar).ndim == 0 && facts(scalar).bytes == 8);
    OK(tn_shared_set(empty_one, nothing, NONE, NULL));
    end_shared(empty_one);
    end_shared(scalar);
    drop(nothing);
    drop(one);
}

static tn_status spoils(void *context, tn_array *value)
{
    (void)context;
    fill_i64(value, -1);
    return TN_ERR_IO;
}

static void set_in_place(void) /* SV-4, SV-31, SV-32, SV-35 */
{
    tn_pool *pool = own_pool("sets");
    tn_array *value = numbers(NULL, SHAPE(2, 3)), *more = numbers(NULL, SHAPE(3, 4)), *turned = numbers(NULL, SHAPE(3, 2));
    tn_shared_options options = {.size = sizeof options, .pool = pool};
    tn_shared *shared = NULL;
    OK(tn_shared_create(value, NONE, &options, &shared, NULL));
    uint64_t before = allocations(pool);
    fill_i64(value, 9);
    OK(tn_shared_set(shared, value, NONE, NULL)); /* alone, equal size: the buffer is used again */
    OK(tn_shared_set(shared, turned, NONE, NULL)); /* also with other lengths */
    CHECK(allocations(pool) == before && counts_from(shared, 0, 6) && facts(shared).shape[0] == 3);
    CHECK(facts(shared).version == 3 && facts(shared).detach_count == 0);
    tn_array *kept = got(shared, TN_BORROW, ALIAS);
    OK(tn_shared_set(shared, value, NONE, NULL)); /* a holder keeps the old bytes */
    CHECK(HOLDS(kept, 0, 1, 2, 3, 4, 5) && try_write(kept, TN_WRITE_UNIQUE) == TN_OK);
    CHECK(allocations(pool) == before + 1 && facts(shared).detach_count == 1);
    OK(tn_shared_set(shared, more, NONE, NULL));
    CHECK(facts(shared).bytes == 96 && counts_from(shared, 0, 12));
    drop(kept);
    /* After an update in place that failed the buffer is used again too, and the value is whole. */
    before = allocations(pool);
    FAILS(tn_shared_update(shared, TN_MAY_OVERWRITE, spoils, NULL, NULL), TN_ERR_IO);
    FAILS(tn_shared_get(shared, 0, &kept, NULL), TN_ERR_POISONED);
    OK(tn_shared_set(shared, more, NONE, NULL));
    CHECK(allocations(pool) == before && counts_from(shared, 0, 12));
    drop(value);
    drop(turned);
    end_shared(shared);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));

    pool = limited_pool("small", 1 << 20);
    options.pool = pool;
    tn_array *large = zeros(NULL, TN_I64, SHAPE(300, 1000));
    OK(tn_shared_create(more, NONE, &options, &shared, NULL));
    FAILS(tn_shared_set(shared, large, NONE, NULL), TN_ERR_POOL_LIMIT);
    FAILS(tn_shared_create(large, NONE, &options, &(tn_shared *){NULL}, NULL), TN_ERR_POOL_LIMIT);
    CHECK(counts_from(shared, 0, 12) && facts(shared).version == 1);
    CHECK(tn_shared_set(shared, large, TN_TAKE_OWNERSHIP, NULL) == TN_OK && state_of(large) == TN_ERR_DESTRUCTED);
    drop(large);
    drop(more);
    end_shared(shared);
    OK(tn_pool_release(pool));
}

static int released;
static void note_release(void *context)
{
    (void)context;
    released++;
}

static tn_array *lend_memory(void *memory, uint32_t flags)
{
    return array_of(memory, flags, note_release, NULL, SHAPE(3));
}

static tn_status adds_one(void *context, tn_array *value)
{
    (void)context;
    return add_one(value);
}

static void foreign(void) /* SV-7, SV-39: lent memory is a value, and is never written */
{
    int64_t memory[3] = {0, 1, 2};
    tn_array *lent = lend_memory(memory, TN_BORROW);
    tn_shared *shared = shared_of(lent, TN_BORROW, ALIAS);
    drop(lent);
    tn_crossing how;
    OK(tn_shared_update(shared, TN_MAY_OVERWRITE, adds_one, NULL, &how));
    CHECK(crossed(how, COPY(TN_WHY_FOREIGN)) && memory[0] == 0 && counts_from(shared, 1, 3) && released == 1);
    end_shared(shared);

    released = 0;
    lent = lend_memory(memory, TN_TAKE_OWNERSHIP);
    shared = shared_of(lent, TN_TAKE_OWNERSHIP, ALIAS); /* the release callback comes along */
    drop(lent);
    OK(tn_shared_update(shared, TN_MAY_OVERWRITE, adds_one, NULL, &how));
    CHECK(crossed(how, ALIAS) && memory[2] == 3 && released == 0);
    end_shared(shared);
    CHECK(released == 1);

    released = 0;
    lent = lend_memory(memory, TN_TAKE_OWNERSHIP);
    tn_array *wide = broadcast(lent, SHAPE(2, 3));
    drop(lent);
    shared = shared_of(wide, TN_TAKE_OWNERSHIP, COPY(TN_WHY_LAYOUT)); /* copied, so the memory goes back at once */
    CHECK(released == 1 && state_of(wide) == TN_ERR_DESTRUCTED);
    drop(wide);
    end_shared(shared);
    released = 0;
}

static void changed_from_outside(void) /* SV-5 */
{
    int64_t memory[3] = {0, 1, 2};
    tn_array *lent = lend_memory(memory, TN_BORROW), *fine = numbers(NULL, SHAPE(3));
    OK(tn_option_set("check_managed", "1"));
    tn_shared *shared = shared_of(lent, TN_BORROW, ALIAS);
    memory[1] = 7;
    FAILS(tn_shared_update(shared, 0, unused, NULL, NULL), TN_ERR_ALIASED);
    CHECK(facts(shared).version == 1);
    OK(tn_shared_set(shared, lent, TN_BORROW, NULL)); /* reported once */
    memory[2] = 8;
    FAILS(tn_shared_set(shared, fine, 0, NULL), TN_ERR_ALIASED);
    CHECK(facts(shared).version == 2);
    OK(tn_shared_set(shared, fine, 0, NULL));
    OK(tn_shared_update(shared, TN_MAY_OVERWRITE, adds_one, NULL, NULL));
    OK(tn_shared_update(shared, 0, adds_one, NULL, NULL));
    CHECK(counts_from(shared, 2, 3));
    OK(tn_option_set("check_managed", "0"));
    drop(lent);
    drop(fine);
    end_shared(shared);
    released = 0;
}

/* ---- updates ---- */
typedef struct {
    tn_shared *shared;
    tn_status status;
    void *seen;
    int leave;
} job;

enum { LEAVE_NOTHING, LEAVE_RELEASED, LEAVE_GUARD, LEAVE_CLONE, LEAVE_COW, LEAVE_POISON };
static tn_array *left_clone;
static tn_borrow *left_guard;

static tn_status work(void *context, tn_array *value)
{
    job *j = context;
    tn_borrow *guard = NULL;
    CHECK(unique(value) && add_one(value) == TN_OK);
    j->seen = address(value);
    tn_array *none = UNTOUCHED;
    if (j->shared) { /* SV-36 */
        FAILS(tn_shared_set(j->shared, value, 0, NULL), TN_ERR_BORROWED_WRITE);
        FAILS(tn_shared_update(j->shared, 0, work, NULL, NULL), TN_ERR_BORROWED_WRITE);
        FAILS(tn_shared_update_end(j->shared, TN_END_FAILED), TN_ERR_INVALID); /* the return ends it */
        tn_status status = tn_shared_get(j->shared, TN_RAW | TN_BORROW, &none, NULL);
        CHECK(status == TN_OK || status == TN_ERR_BORROWED_WRITE);
        if (status == TN_OK) {
            CHECK(address(none) != j->seen && HOLDS(none, 0, 1, 2, 3));
            drop(none);
        }
        CHECK(facts(j->shared).version == 1);
    }
    switch (j->leave) {
    case LEAVE_RELEASED: drop(value); break;
    case LEAVE_GUARD: left_guard = writing(value, 0); break;
    case LEAVE_CLONE: left_clone = clone(value); break;
    case LEAVE_COW:
        left_clone = clone(value);
        CHECK(try_write(value, TN_WRITE_COW) == TN_ERR_SHARED && try_write(value, 0) == TN_OK);
        drop(left_clone);
        break;
    case LEAVE_POISON: poison(value); break;
    default: break;
    }
    (void)guard;
    return j->status;
}

static void updates(void) /* SV-34, SV-35, SV-36 */
{
    for (int in_place = 0; in_place < 2; in_place++) {
        uint32_t flags = in_place ? TN_MAY_OVERWRITE : 0;
        tn_shared *shared = counting("u", SHAPE(4));
        tn_array *before = got(shared, TN_RAW | TN_BORROW, ALIAS);
        void *bytes = address(before);
        drop(before);
        tn_crossing how;
        job j = {.shared = shared};
        OK(tn_shared_update(shared, flags, work, &j, &how));
        CHECK(crossed(how, in_place ? ALIAS : COPY(0)) && (j.seen == bytes) == in_place);
        CHECK(counts_from(shared, 1, 4) && facts(shared).version == 2);

        static const struct {
            int leave;
            tn_status returned, expected;
        } cases[] = {
            {LEAVE_NOTHING, TN_ERR_IO, TN_ERR_IO},       {LEAVE_NOTHING, 4711, TN_ERR_FAILED},
            {LEAVE_RELEASED, TN_OK, TN_OK},              {LEAVE_CLONE, TN_OK, TN_OK},
            {LEAVE_COW, TN_OK, TN_OK},                   {LEAVE_GUARD, TN_OK, TN_ERR_FAILED},
            {LEAVE_POISON, TN_OK, TN_ERR_FAILED},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            tn_shared *one = counting("one", SHAPE(4));
            j = (job){.status = cases[i].returned, .leave = cases[i].leave};
            how = (tn_crossing){77, 77};
            tn_status status = tn_shared_update(one, flags, work, &j, &how);
            CHECK(status == cases[i].expected);
            if (status != cases[i].expected)
                fprintf(stderr, "    case %zu, in place %d: %s\n", i, in_place, tn_last_error());
            if (left_clone && cases[i].leave == LEAVE_CLONE) {
                CHECK(HOLDS(left_clone, 1, 2, 3, 4) && try_write(left_clone, 0) == TN_ERR_SHARED);
                drop(left_clone);
            }
            if (left_guard)
                end(left_guard);
            left_clone = NULL;
            left_guard = NULL;
            if (status == TN_OK) {
                CHECK(counts_from(one, 1, 4) && facts(one).version == 2);
            } else if (!in_place) {
                CHECK(counts_from(one, 0, 4) && facts(one).version == 1 && how.how == 77);
            } else {
                tn_array *none = UNTOUCHED, *fine = numbers(NULL, SHAPE(4));
                CHECK(facts(one).is_poisoned && facts(one).version == 1);
                FAILS(tn_shared_get(one, TN_RAW | TN_BORROW, &none, NULL), TN_ERR_POISONED);
                FAILS(tn_shared_get(one, 0, &none, NULL), TN_ERR_POISONED);
                FAILS(tn_shared_update(one, 0, adds_one, NULL, NULL), TN_ERR_POISONED);
                OK(tn_shared_set(one, fine, 0, NULL));
                CHECK(counts_from(one, 0, 4) && facts(one).version == 2 && !facts(one).is_poisoned);
                drop(fine);
            }
            end_shared(one);
        }
        tn_array *kept = got(shared, TN_BORROW, ALIAS);
        j = (job){0};
        OK(tn_shared_update(shared, TN_MAY_OVERWRITE, work, &j, &how)); /* a holder keeps the old value */
        CHECK(crossed(how, COPY(TN_WHY_SHARED)) && HOLDS(kept, 1, 2, 3, 4) && counts_from(shared, 2, 4));
        drop(kept);
        end_shared(shared);
    }
}

static void begun_and_ended(void) /* SV-34, SV-36 in two calls */
{
    for (int in_place = 0; in_place < 2; in_place++) {
        uint32_t flags = in_place ? TN_MAY_OVERWRITE : 0;
        tn_shared *shared = counting("b", SHAPE(4));
        tn_array *value = UNTOUCHED, *other = UNTOUCHED;
        tn_crossing how;
        FAILS(tn_shared_update_end(shared, 0), TN_ERR_INVALID);
        FAILS(tn_shared_update_begin(shared, TN_BORROW, &value, NULL), TN_ERR_INVALID);
        FAILS(tn_shared_update_begin(shared, 0, NULL, NULL), TN_ERR_NULL);
        OK(tn_shared_update_begin(shared, flags, &value, &how));
        CHECK(crossed(how, in_place ? ALIAS : COPY(0)) && unique(value));
        OK(add_one(value));
        FAILS(tn_shared_update_begin(shared, flags, &other, NULL), TN_ERR_BORROWED_WRITE);
        FAILS(tn_shared_set(shared, value, 0, NULL), TN_ERR_BORROWED_WRITE);
        FAILS(tn_shared_update_end(shared, TN_END_FAILED | 2u), TN_ERR_INVALID);
        OK(tn_shared_update_end(shared, 0));
        CHECK(other == UNTOUCHED && counts_from(shared, 1, 4) && facts(shared).version == 2);
        CHECK(tn_array_release(value) == TN_ERR_STALE);
        FAILS(tn_shared_update_end(shared, 0), TN_ERR_INVALID);

        OK(tn_shared_update_begin(shared, flags, &value, NULL));
        OK(add_one(value));
        OK(tn_shared_update_end(shared, TN_END_FAILED));
        CHECK(facts(shared).version == 2 && facts(shared).is_poisoned == in_place);
        if (!in_place)
            CHECK(counts_from(shared, 1, 4));
        end_shared(shared);

        shared = counting("released", SHAPE(4)); /* a release ends the update */
        OK(tn_shared_update_begin(shared, flags, &value, NULL));
        end_shared(shared);
        CHECK(tn_array_release(value) == TN_ERR_STALE);

        shared = counting("open", SHAPE(4));
        OK(tn_shared_update_begin(shared, flags, &value, NULL));
        tn_borrow *guard = writing(value, 0);
        FAILS(tn_shared_update_end(shared, 0), TN_ERR_FAILED);
        end(guard);
        CHECK(facts(shared).is_poisoned == in_place);
        end_shared(shared);
    }
}

/* What a callback does with the handle that it got, beside writing to it. */
enum { WRITE_THROUGH_OTHERS, STORE_ALIAS, STORE_TAKE, GIVE, GIVE_RELEASED, ENTER, LEAVE_EXPORT, RELEASE_ALL };

typedef struct {
    int act;
    int in_place;
    tn_shared *variable;
    tn_shared *second;
    tn_promise *promise;
    tn_scope *scope;
    tn_array *entered;
    tn_borrow *export;
} use;

static tn_status uses(void *context, tn_array *value)
{
    use *u = context;
    int64_t nine = 9;
    tn_array *view;
    switch (u->act) {
    case WRITE_THROUGH_OTHERS:
        OK(tn_array_fill(view = part(value, 0, 2, 1), &nine, 0, NULL));
        drop(view);
        OK(tn_array_fill(view = clone(value), &nine, 0, NULL));
        drop(view);
        OK(tn_enter(1, (void *const[]){value}, &u->entered, &u->scope));
        OK(tn_array_fill(u->entered, &nine, 0, NULL));
        OK(tn_leave(u->scope, 0, NULL));
        u->scope = NULL;
        break;
    case STORE_ALIAS: /* the value of another variable is constant, also for this callback */
        u->second = shared_of(value, TN_BORROW, u->in_place ? COPY(TN_WHY_SHARED) : ALIAS);
        CHECK(tn_array_fill(value, &nine, 0, NULL) == (u->in_place ? TN_OK : TN_ERR_SHARED));
        CHECK(counts_from(u->second, 0, 4));
        break;
    case STORE_TAKE:
        u->second = shared_of(value, TN_TAKE_OWNERSHIP, u->in_place ? COPY(TN_WHY_SHARED) : ALIAS);
        CHECK(state_of(value) == TN_ERR_DESTRUCTED);
        break;
    case GIVE: u->promise = give(value); break;
    case GIVE_RELEASED:
        u->promise = give(value);
        drop(value);
        break;
    case ENTER: OK(tn_enter(1, (void *const[]){value}, &u->entered, &u->scope)); break;
    case LEAVE_EXPORT: u->export = exporting(value, XR); break;
    case RELEASE_ALL:
        end_shared(u->variable);
        drop(value);
        break;
    default: break;
    }
    return TN_OK;
}

/* SV-2, SV-3, SV-34: a callback may do everything with its handle. What is left afterwards cannot write the value. */
static void uses_of_the_value(void)
{
    for (int in_place = 0; in_place < 2; in_place++) {
        for (int act = WRITE_THROUGH_OTHERS; act <= RELEASE_ALL; act++) {
            tn_shared *shared = counting("v", SHAPE(4));
            use u = {.act = act, .in_place = in_place, .variable = shared};
            tn_crossing how = {0};
            OK(tn_shared_update(shared, in_place ? TN_MAY_OVERWRITE : 0, uses, &u, &how));
            CHECK(crossed(how, in_place ? ALIAS : COPY(0)));
            if (act == RELEASE_ALL)
                continue;
            CHECK(facts(shared).version == 2 && facts(shared).detach_count == 0);
            tn_array *value = got(shared, TN_BORROW, ALIAS), *taken = NULL;
            int first = act == WRITE_THROUGH_OTHERS || (act == STORE_ALIAS && in_place) ? 9 : 0;
            int64_t elements[4];
            OK(tn_array_copy_to_host(value, elements, NULL, NULL));
            CHECK(elements[0] == first && try_write(value, 0) == (u.export ? TN_ERR_EXPORTED : TN_ERR_SHARED));
            if (u.second) {
                tn_array *other = got(u.second, TN_BORROW, ALIAS);
                CHECK(address(other) != address(value) && HOLDS(other, 0, 1, 2, 3));
                drop(other);
                end_shared(u.second);
            }
            if (u.promise) {
                OK(tn_take(1, &u.promise, &taken));
                CHECK(address(taken) == address(value) && try_write(taken, 0) == TN_ERR_SHARED);
                OK(tn_promise_release(u.promise));
                drop(taken);
            }
            if (u.scope) {
                CHECK(address(u.entered) == address(value) && try_write(u.entered, 0) == TN_ERR_SHARED);
                OK(tn_leave(u.scope, 0, NULL));
            }
            drop(value);
            if (u.export) {
                OK(tn_shared_update(shared, TN_MAY_OVERWRITE, adds_one, NULL, &how));
                CHECK(crossed(how, COPY(TN_WHY_EXPORTED)) && facts(shared).detach_count == 1);
                end(u.export);
            }
            end_shared(shared);
        }
    }
}

static tn_status releases(void *context, tn_array *value)
{
    (void)context;
    drop(value);
    CHECK(released == 0);
    return TN_OK;
}

static void lent_memory_stays(void) /* SV-7: the callback's handle is not the last one on lent memory */
{
    int64_t memory[3] = {0, 1, 2};
    tn_array *lent = lend_memory(memory, TN_TAKE_OWNERSHIP);
    tn_shared *shared = shared_of(lent, TN_TAKE_OWNERSHIP, ALIAS);
    drop(lent);
    OK(tn_shared_update(shared, TN_MAY_OVERWRITE, releases, NULL, NULL));
    CHECK(released == 0 && counts_from(shared, 0, 3));
    OK(tn_shared_update(shared, 0, releases, NULL, NULL));
    CHECK(released == 1 && counts_from(shared, 0, 3));
    end_shared(shared);
    CHECK(released == 1);
    released = 0;
}

static void guarded_and_empty(void) /* SV-7: the rule of give counts a guard on no bytes */
{
    tn_array *nothing = numbers(NULL, SHAPE(0));
    tn_borrow *guard = writing(nothing, 0);
    tn_shared *none = UNTOUCHED;
    FAILS(tn_shared_create(nothing, TN_TAKE_OWNERSHIP, NULL, &none, NULL), TN_ERR_BORROWED_WRITE);
    CHECK(none == UNTOUCHED && state_of(nothing) == TN_OK);
    end(guard);
    /* Also where only a copy is possible, and the thread forbids it: the order of checks. */
    guard = writing(nothing, 0);
    tn_shared *first = shared_of(nothing, TN_BORROW, ALIAS);
    OK(tn_copies_forbid(1));
    FAILS(tn_shared_create(nothing, TN_TAKE_OWNERSHIP, NULL, &none, NULL), TN_ERR_BORROWED_WRITE);
    end(guard);
    FAILS(tn_shared_create(nothing, TN_TAKE_OWNERSHIP, NULL, &none, NULL), TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
    CHECK(none == UNTOUCHED && state_of(nothing) == TN_OK);
    end_shared(first);
    end_shared(shared_of(nothing, TN_TAKE_OWNERSHIP, ALIAS));
    drop(nothing);
}

/* An upstream whose callback tries to use an array that the call takes. */
typedef struct {
    tn_array *value;
    int releases, requests;
} meddler;

static tn_status meddle(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    meddler *m = context;
    tn_promise *promise = UNTOUCHED;
    tn_array *copy = UNTOUCHED;
    (void)stream;
    if (m->value) {
        m->requests++;
        FAILS(tn_array_give(m->value, 2, &promise), TN_ERR_GIVEN);
        FAILS(tn_array_clone(m->value, &copy), TN_ERR_GIVEN);
        CHECK(promise == UNTOUCHED && copy == UNTOUCHED);
        if (m->releases)
            drop(m->value);
    }
    return posix_memalign(out, alignment, bytes) == 0 ? TN_OK : TN_ERR_NO_HOST_MEMORY;
}

static tn_status free_bytes(void *context, void *bytes, size_t n, uint64_t stream)
{
    (void)context, (void)n, (void)stream;
    free(bytes);
    return TN_OK;
}

static void taken_by_a_copy(int releases) /* SV-7: while it is copied, an array that is taken can be released and nothing else */
{
    state s = read_by_another();
    meddler m = {.releases = releases};
    tn_upstream upstream = {.size = sizeof upstream, .context = &m, .flags = TN_UPSTREAM_THREAD_SAFE, .allocate = meddle,
                            .deallocate = free_bytes};
    tn_pool_options direct = {.size = sizeof direct, .name = "meddled", .flags = TN_POOL_DIRECT};
    tn_pool *pool = NULL;
    tn_shared *shared = NULL;
    tn_crossing how = {0};
    OK(tn_pool_import(HOST, &upstream, &direct, &pool));
    tn_shared_options options = {.size = sizeof options, .pool = pool};
    m.value = s.value;
    OK(tn_shared_create(s.value, TN_TAKE_OWNERSHIP, &options, &shared, &how));
    CHECK(m.requests == 1 && crossed(how, COPY(TN_WHY_BORROWED)) && counts_from(shared, 0, 6));
    m.value = NULL;
    CHECK(state_of(s.value) == (releases ? TN_ERR_STALE : TN_ERR_DESTRUCTED));
    if (releases)
        s.value = clone(s.other); /* what end_state releases */
    end_shared(shared);
    end_state(&s);
    OK(tn_pool_release(pool));
}

static void formed_values(void) /* SV-30, FM-1: the form of a value comes and goes with it */
{
    tn_array *full = zeros(NULL, TN_F64, SHAPE(3, 3)), *lower = clone(full), *upper;
    OK(tn_array_set_form(lower, TN_FORM_LOWER));
    OK(tn_array_transpose(lower, &upper));
    tn_shared *shared = shared_of(lower, NONE, COPY(0));
    tn_array *sequence[] = {lower, full, upper, upper, lower, full};
    for (size_t i = 0; i < sizeof sequence / sizeof *sequence; i++) {
        OK(tn_shared_set(shared, sequence[i], NONE, NULL));
        tn_array *value = got(shared, NONE, COPY(0));
        CHECK(info_of(value).form == info_of(sequence[i]).form);
        drop(value);
        CHECK(facts(shared).version == i + 2 && facts(shared).detach_count == 0);
    }
    drop(full);
    drop(lower);
    drop(upper);
    end_shared(shared);
}

static void detached(void) /* SV-4: a holder of every kind makes the library take another buffer, which is counted */
{
    tn_array *value = zeros(NULL, TN_F64, SHAPE(4));
    tn_shared *shared = shared_of(value, NONE, COPY(0));
    tn_array *held = got(shared, TN_BORROW, ALIAS);
    tn_expr *leaf = NULL;
    OK(tn_expr_leaf(held, TN_FORM_FULL, &leaf));
    drop(held);
    OK(tn_shared_set(shared, value, NONE, NULL));
    CHECK(facts(shared).detach_count == 1);
    OK(tn_expr_release(leaf));
    held = got(shared, TN_BORROW, ALIAS);
    use nothing = {.act = -1};
    OK(tn_shared_update(shared, 0, uses, &nothing, NULL)); /* a copy is asked for */
    CHECK(facts(shared).detach_count == 1);
    drop(held);
    held = got(shared, TN_BORROW, ALIAS);
    OK(tn_shared_update(shared, TN_MAY_OVERWRITE, uses, &nothing, NULL));
    CHECK(facts(shared).detach_count == 2);
    drop(held);
    drop(value);
    end_shared(shared);
}

static void forbidden_copies(void) /* SV-9 */
{
    tn_array *value = numbers(NULL, SHAPE(4)), *wide = broadcast(value, SHAPE(2, 4)), *none = UNTOUCHED;
    tn_shared *shared = counting("f", SHAPE(2, 4)), *other = UNTOUCHED;
    OK(tn_copies_forbid(1));
    FAILS(tn_shared_create(wide, TN_BORROW, NULL, &other, NULL), TN_ERR_WOULD_COPY);
    FAILS(tn_shared_create(wide, TN_TAKE_OWNERSHIP, NULL, &other, NULL), TN_ERR_WOULD_COPY);
    FAILS(tn_shared_set(shared, wide, TN_BORROW, NULL), TN_ERR_WOULD_COPY);
    OK(tn_shared_set(shared, wide, NONE, NULL)); /* the caller asks for a copy */
    none = got(shared, NONE, COPY(0));
    OK(tn_copies_forbid(0));
    CHECK(other == UNTOUCHED && state_of(wide) == TN_OK && facts(shared).version == 2);
    drop(none);
    drop(wide);
    drop(value);
    end_shared(shared);
}

static void counted_copies(void) /* SV-9 */
{
    tn_array *value = numbers(NULL, SHAPE(4)), *wide = broadcast(value, SHAPE(2, 4));
    uint64_t asked = copies_of("tn_shared_create", 0), forced = copies_of("tn_shared_create", TN_WHY_LAYOUT);
    end_shared(shared_of(value, NONE, COPY(0)));
    end_shared(shared_of(wide, TN_BORROW, COPY(TN_WHY_LAYOUT)));
    end_shared(shared_of(value, TN_BORROW, ALIAS));
    CHECK(copies_of("tn_shared_create", 0) == asked + 1);
    CHECK(copies_of("tn_shared_create", TN_WHY_LAYOUT) == forced + 1);
    drop(value);
    drop(wide);
}

static void reported(void) /* SV-37: a variable that is not released is a leak */
{
    tn_shared *shared = counting("leaky", SHAPE(4));
    tn_holder leaks[64];
    size_t n = 0, variables = 0, handles = 0;
    OK(tn_leaks(sizeof *leaks, 64, leaks, &n));
    for (size_t i = 0; i < n && i < 64; i++) {
        variables += leaks[i].kind == TN_HOLDER_SHARED_VARIABLE && !strcmp(leaks[i].name, "leaky");
        handles += leaks[i].kind == TN_HOLDER_HANDLE;
    }
    CHECK(variables == 1 && handles == 0);
    end_shared(shared);
}

/* ---- threads ---- */
static tn_shared *common;
static atomic_int stop;

static void *reads(void *none)
{
    (void)none;
    intptr_t wrong = 0;
    while (!stop) {
        tn_array *value = NULL;
        tn_status status = tn_shared_get(common, TN_BORROW, &value, NULL);
        if (status == TN_ERR_BORROWED_WRITE)
            continue;
        int64_t numbers[64];
        wrong += status != TN_OK || tn_array_copy_to_host(value, numbers, NULL, NULL) != TN_OK;
        for (int i = 1; i < 64; i++)
            wrong += numbers[i] != numbers[0];
        wrong += tn_array_release(value) != TN_OK;
    }
    return (void *)wrong;
}

static void from_threads(void) /* SV-4, SV-36: readers see whole values while one thread sets and updates */
{
    tn_array *value = zeros(NULL, TN_I64, SHAPE(64));
    common = shared_of(value, NONE, COPY(0));
    pthread_t threads[2];
    void *wrong[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, reads, NULL);
    for (int64_t i = 0; i < rounds(3000); i++) {
        if (i % 2)
            OK(tn_shared_update(common, i % 4 == 1 ? TN_MAY_OVERWRITE : 0, adds_one, NULL, NULL));
        fill_i64(value, i);
        OK(tn_shared_set(common, value, NONE, NULL));
    }
    stop = 1;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &wrong[i]);
        CHECK(wrong[i] == NULL);
    }
    end_shared(common);
    drop(value);
}

int main(void)
{
    copies_by_default();
    borrowed_is_constant();
    taken_is_moved();
    own_value();
    strict();
    bad_values();
    set_in_place();
    foreign();
    changed_from_outside();
    updates();
    begun_and_ended();
    uses_of_the_value();
    lent_memory_stays();
    guarded_and_empty();
    taken_by_a_copy(0);
    taken_by_a_copy(1);
    formed_values();
    detached();
    forbidden_copies();
    counted_copies();
    reported();
    from_threads();
    return finish();
}
