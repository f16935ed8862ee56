/*
 * function_outputs.c - the outputs of functions: two outputs with common bytes, what a body must not leave, and spare buffers (FN-14 to
 * FN-16, FN-18, FN-22, FN-23, SV-4). Their table is in tests/library/borrowing.rs.
 */
#include "crossings.h"

/* ---- two outputs ---- */

enum pair { ONE_HANDLE, A_CLONE, OVERLAPPING_VIEWS, SEPARATE_VIEWS };

static tn_status produces_two(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    enum pair *pair = context;
    (void)in, (void)update;
    tn_array *line = numbers(NULL, SHAPE(8));
    switch (*pair) {
    case ONE_HANDLE: out[0] = out[1] = line; return TN_OK;
    case A_CLONE:
        out[0] = line;
        out[1] = clone(line);
        return TN_OK;
    case OVERLAPPING_VIEWS:
        out[0] = part(line, 0, 5, 1);
        out[1] = part(line, 4, 8, 1);
        break;
    case SEPARATE_VIEWS:
        out[0] = part(line, 0, 4, 1);
        out[1] = part(line, 4, 8, 1);
        break;
    }
    drop(line);
    return TN_OK;
}

static void two_outputs(void) /* the row "another output's" */
{
    static const struct {
        uint32_t flags[2];
        int second; /* 'a' alias, 'c' copied, 'w' WOULD_COPY, '?' an alias or WOULD_COPY */
    } cases[] = {
        {{NONE, NONE}, 'c'},           {{NONE, TN_BORROW}, 'c'},    {{TN_BORROW, NONE}, 'c'},
        {{TN_BORROW, TN_BORROW}, 'a'}, {{NONE, REQUIRE}, 'w'},      {{TN_BORROW, REQUIRE}, '?'},
        {{REQUIRE, NONE}, 'c'},        {{REQUIRE, TN_BORROW}, 'a'},
    };
    for (int pair = ONE_HANDLE; pair <= OVERLAPPING_VIEWS; pair++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            int failures = check_failures;
            enum pair which = (enum pair)pair;
            plan p = planned(produces_two, &which);
            gives(&p, "left", cases[i].flags[0]);
            gives(&p, "right", cases[i].flags[1]);
            tn_function *f = made(&p);
            tn_array *out[2] = {UNTOUCHED, UNTOUCHED};
            tn_crossing how[2] = {{77, 77}, {77, 77}};
            tn_status status = tn_function_call(f, 0, NULL, 2, out, NULL, how);
            int second = cases[i].second == '?' ? (status == TN_OK ? 'a' : 'w') : cases[i].second;
            CHECK(status == (second == 'w' ? TN_ERR_WOULD_COPY : TN_OK));
            if (status == TN_OK) {
                CHECK(crossed(how[0], ALIAS) && crossed(how[1], second == 'c' ? COPY(TN_WHY_SHARED) : ALIAS));
                CHECK(overlap(out[0], out[1]) == (second == 'a'));
                int64_t first = pair == OVERLAPPING_VIEWS ? 4 : 0, found[8];
                OK(tn_array_copy_to_host(out[1], found, NULL, NULL));
                CHECK(found[0] == first && found[3] == first + 3);
                if (second == 'c') {
                    int64_t nine = 9;
                    tn_status written = tn_array_fill(out[0], &nine, 0, NULL);
                    CHECK(written == TN_OK || (cases[i].flags[0] != NONE && written == TN_ERR_SHARED)); /* the function's claim */
                    OK(tn_array_copy_to_host(out[1], found, NULL, NULL));
                    CHECK(found[0] == first && unique(out[1]));
                    CHECK(cases[i].flags[0] != NONE || unique(out[0]));
                }
                drop(out[0]);
                drop(out[1]);
            } else {
                CHECK(says("out[1]") && says("right") && out[0] == UNTOUCHED && how[0].how == 77);
            }
            end_function(f);
            if (check_failures > failures)
                fprintf(stderr, "    pair %d, flags %u, %u: (%u, %u), (%u, %u), %s\n", pair, cases[i].flags[0], cases[i].flags[1],
                        how[0].how, how[0].why, how[1].how, how[1].why, tn_last_error());
        }
    }
    /* FN-22: whatever is copied of separate views of one store, no byte is common. */
    enum pair which = SEPARATE_VIEWS;
    plan p = planned(produces_two, &which);
    gives(&p, "left", NONE);
    gives(&p, "right", NONE);
    tn_function *f = made(&p);
    tn_array *out[2];
    OK(tn_function_call(f, 0, NULL, 2, out, NULL, NULL));
    CHECK(!overlap(out[0], out[1]) && HOLDS(out[0], 0, 1, 2, 3) && HOLDS(out[1], 4, 5, 6, 7));
    drop(out[0]);
    CHECK(unique(out[1]));
    drop(out[1]);
    end_function(f);
}

/* ---- what a body must not leave ---- */

enum fault { NO_ARRAY, RELEASED, OTHER_KIND, NO_HANDLE, GIVEN_AWAY, TAKEN_AWAY, BROKEN, OTHER_DTYPE, OTHER_NDIM, OPEN_FOR_WRITING,
             EXPORTED_EXCLUSIVE };

typedef struct {
    enum fault fault;
    int in_update;
    int runs;
    tn_promise *promise;
    tn_borrow *guard;
    tn_shared *variable;
} faulty;

static tn_status is_faulty(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    faulty *f = context;
    (void)in;
    f->runs++;
    for (int i = 0; i < 2; i++) {
        out[i] = numbers(NULL, SHAPE(4));
        update[i] = zeros(NULL, TN_I64, SHAPE(4));
    }
    tn_array **place = f->in_update ? &update[1] : &out[1], *array = *place;
    switch (f->fault) {
    case NO_ARRAY:
        drop(array);
        *place = NULL;
        break;
    case RELEASED: drop(array); break;
    case OTHER_KIND:
        drop(array);
        *place = (tn_array *)f->variable;
        break;
    case NO_HANDLE:
        drop(array);
        *place = UNTOUCHED;
        break;
    case GIVEN_AWAY: f->promise = give(array); break;
    case TAKEN_AWAY:
        f->promise = give(array);
        drop(take(f->promise));
        break;
    case BROKEN: poison(array); break;
    case OTHER_DTYPE:
        drop(array);
        *place = zeros(NULL, TN_I32, SHAPE(4));
        break;
    case OTHER_NDIM:
        drop(array);
        *place = numbers(NULL, SHAPE(2, 2));
        break;
    case OPEN_FOR_WRITING: f->guard = writing(array, 0); break;
    case EXPORTED_EXCLUSIVE: f->guard = exporting(array, XW); break;
    }
    return TN_OK;
}

static void faulty_bodies(void) /* FN-15, FN-33, FN-30 */
{
    for (int in_update = 0; in_update < 2; in_update++) {
        for (int fault = NO_ARRAY; fault <= EXPORTED_EXCLUSIVE; fault++) {
            int failures = check_failures;
            tn_shared *a = counting("a", SHAPE(4)), *b = counting("b", SHAPE(4));
            faulty c = {.fault = (enum fault)fault, .in_update = in_update, .variable = a};
            plan p = planned(is_faulty, &c);
            for (int i = 0; i < 2; i++) {
                tn_out *out = gives(&p, i ? "second" : "first", NONE);
                out->dtype = TN_I64;
                out->ndim = 1;
            }
            assigns(&p, a, NONE);
            assigns(&p, b, NONE);
            tn_function *f = made(&p);
            tn_array *out[2] = {UNTOUCHED, UNTOUCHED};
            tn_crossing how[2] = {{77, 77}, {77, 77}};
            tn_status status = tn_function_call(f, 0, NULL, 2, out, NULL, how);
            if (in_update && fault == NO_ARRAY) { /* leaves the variable alone */
                CHECK(status == TN_OK && facts(a).version == 2 && facts(b).version == 1 && counts_from(b, 0, 4));
                drop(out[0]);
                drop(out[1]);
            } else {
                CHECK(status == TN_ERR_FAILED && says(in_update ? "update[1]" : "out[1]") && says(in_update ? "b" : "second"));
                CHECK(!strncmp(tn_last_error(), "tn_function_call: ", 18));
                CHECK(facts(a).version == 1 && facts(b).version == 1 && counts_from(a, 0, 4) && counts_from(b, 0, 4));
                CHECK(out[0] == UNTOUCHED && out[1] == UNTOUCHED && how[0].how == 77 && !facts(a).is_poisoned);
            }
            CHECK(c.runs == 1);
            if (c.promise) {
                if (fault == GIVEN_AWAY) { /* its claim outlives the call */
                    tn_array *taken = take(c.promise);
                    CHECK(in_update ? HOLDS(taken, 0, 0, 0, 0) : HOLDS(taken, 0, 1, 2, 3));
                    drop(taken);
                }
                OK(tn_promise_release(c.promise));
            }
            if (c.guard)
                end(c.guard);
            end_function(f);
            end_shared(a);
            end_shared(b);
            if (check_failures > failures)
                fprintf(stderr, "    fault %d, in update %d: %s, %s\n", fault, in_update, tn_status_name(status), tn_last_error());
        }
    }
}

static tn_status everywhere(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)in;
    out[0] = out[1] = out[2] = update[0] = update[1] = numbers(NULL, SHAPE(4));
    return context ? TN_ERR_IO : TN_OK;
}

static void one_handle_everywhere(void) /* FN-16, FN-22, FN-32 */
{
    for (int fails = 0; fails < 2; fails++) {
        tn_shared *a = counting("a", SHAPE(2)), *b = counting("b", SHAPE(2));
        plan p = planned(everywhere, fails ? &fails : NULL);
        gives(&p, "x", NONE);
        gives(&p, "y", NONE);
        gives(&p, "z", TN_BORROW);
        assigns(&p, a, NONE);
        assigns(&p, b, NONE);
        tn_function *f = made(&p);
        tn_array *out[3] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
        CHECK(tn_function_call(f, 0, NULL, 3, out, NULL, NULL) == (fails ? TN_ERR_IO : TN_OK));
        if (fails) {
            CHECK(out[0] == UNTOUCHED && counts_from(a, 0, 2) && counts_from(b, 0, 2));
        } else {
            CHECK(unique(out[0]) && unique(out[1]) && address_in(a) != address_in(b));
            int64_t nine = 9;
            OK(tn_array_fill(out[0], &nine, 0, NULL));
            OK(tn_array_fill(out[1], &nine, 0, NULL));
            CHECK(HOLDS(out[2], 0, 1, 2, 3) && counts_from(a, 0, 4) && counts_from(b, 0, 4));
            for (int i = 0; i < 3; i++)
                drop(out[i]);
        }
        end_function(f);
        end_shared(a);
        end_shared(b);
    }
}

/* ---- spares ---- */

/* Fills what is in its place with a number, or makes an array in F order for it. */
typedef struct {
    int runs;
    int64_t number;
    void *found; /* the address of what the place held, NULL without one */
} filler;

static tn_status fills(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    filler *c = context;
    (void)in, (void)update;
    c->runs++;
    c->found = NULL;
    if (out[0] != NULL) {
        tn_array_info info = info_of(out[0]);
        c->found = address(out[0]);
        CHECK(info.dtype == TN_I64 && info.ndim == 2 && info.shape[0] == 40 && info.shape[1] == 30);
        CHECK(info.flags & TN_F_CONTIGUOUS && unique(out[0]));
    } else {
        out[0] = numbers_in(NULL, TN_ORDER_F, SHAPE(40, 30));
    }
    OK(tn_array_fill(out[0], &c->number, TN_WRITE_UNIQUE, NULL));
    return TN_OK;
}

static void spares_of_outputs(void) /* FN-14, FN-23, FN-35 */
{
    static const uint32_t flags[] = {TN_REUSE, TN_REUSE | TN_BORROW, NONE, TN_BORROW};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int failures = check_failures, reuses = (flags[i] & TN_REUSE) != 0;
        filler c = {.number = 1};
        tn_pool *pool = own_pool("spares");
        OK(tn_pool_set_current(pool));
        plan p = planned(fills, &c);
        gives(&p, "y", flags[i]);
        tn_function *f = made(&p);
        tn_crossing how;
        tn_array *first = output_of(f, NULL, &how);
        CHECK(c.found == NULL && crossed(how, ALIAS) && filled_with(first, 1));
        if (!(flags[i] & TN_BORROW))
            CHECK(unique(first) && try_write(first, TN_WRITE_UNIQUE) == TN_OK);
        void *bytes = address(first);
        c.number = 2;
        tn_array *second = output_of(f, NULL, &how); /* the first one is still held */
        CHECK(c.found == NULL && crossed(how, ALIAS) && filled_with(first, 1) && filled_with(second, 2));
        drop(first);
        c.number = 3;
        tn_array *third = output_of(f, NULL, &how);
        CHECK((c.found == bytes) == reuses && (!reuses || address(third) == bytes));
        CHECK(filled_with(second, 2) && filled_with(third, 3));

        tn_array *twin = clone(third); /* another holder than the output's handle */
        drop(third);
        c.number = 4;
        tn_array *fourth = output_of(f, NULL, &how);
        CHECK(address(fourth) != address(twin) && filled_with(twin, 3) && filled_with(second, 2) && filled_with(fourth, 4));
        drop(twin);
        drop(second);

        tn_borrow *guard = exporting(fourth, XR); /* an export holds the bytes longer than the handle */
        const int64_t *exported = address(fourth);
        drop(fourth);
        c.number = 5;
        tn_array *fifth = output_of(f, NULL, &how);
        CHECK(exported[0] == 4 && exported[1199] == 4 && filled_with(fifth, 5));
        end(guard);
        drop(fifth);

        for (int k = 0; k < 2; k++)
            drop(output_of(f, NULL, NULL));
        uint64_t before = allocations(pool);
        for (int k = 0; k < 10; k++) {
            tn_array *out = output_of(f, NULL, NULL);
            CHECK((c.found != NULL) == reuses && filled_with(out, 5));
            drop(out);
        }
        CHECK((allocations(pool) == before) == reuses);
        if (reuses) {
            size_t bytes_released = 0;
            CHECK(live_bytes(pool) > 0);
            OK(tn_pool_trim(pool, 0, &bytes_released));
            CHECK(live_bytes(pool) == 0); /* FN-35: trim drops spares */
            drop(output_of(f, NULL, NULL));
            CHECK(c.found == NULL);
        }
        tn_array *last = output_of(f, NULL, NULL);
        end_function(f); /* the output outlives the function, its spares do not */
        CHECK(filled_with(last, 5) && unique(last) && live_bytes(pool) == 9600);
        drop(last);
        end_own_pool(pool);
        if (check_failures > failures)
            fprintf(stderr, "    flags %u: %s\n", flags[i], tn_last_error());
    }
}

enum holder { BY_CLONE, BY_VIEW, BY_EXPORT, BY_SHARED_VIEW, BY_READ_GUARD, BY_PROMISE, BY_EXPRESSION, BY_VARIABLE, HOLDERS };

static tn_status fills_four(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    double *number = context;
    (void)in, (void)update;
    if (out[0] == NULL)
        out[0] = zeros(NULL, TN_F64, SHAPE(4));
    ++*number;
    OK(tn_array_fill(out[0], number, TN_WRITE_UNIQUE, NULL));
    return TN_OK;
}

/* FN-23, SV-4: whatever still holds an output that was released, the next calls do not write it. */
static void spares_that_are_held(void)
{
    for (int borrow = 0; borrow < 2; borrow++)
        for (int holder = 0; holder < HOLDERS; holder++) {
            int failures = check_failures;
            double number = 0;
            plan p = planned(fills_four, &number);
            gives(&p, "y", TN_REUSE | (borrow ? TN_BORROW : NONE));
            tn_function *f = made(&p);
            tn_array *out = output_of(f, NULL, NULL), *other = NULL;
            const double *bytes = address(out);
            tn_borrow *guard = NULL;
            tn_promise *promise = NULL;
            tn_expr *leaf = NULL;
            tn_shared *w = NULL;
            switch ((enum holder)holder) {
            case BY_CLONE: other = clone(out); break;
            case BY_VIEW: other = part(out, 3, 4, 1); break;
            case BY_EXPORT: guard = exporting(out, XR); break;
            case BY_SHARED_VIEW: guard = exporting(out, XS); break;
            case BY_READ_GUARD: guard = reading(out); break;
            case BY_PROMISE: promise = give(out); break;
            case BY_EXPRESSION: OK(tn_expr_leaf(out, TN_FORM_FULL, &leaf)); break;
            case BY_VARIABLE: OK(tn_shared_create(out, TN_BORROW, NULL, &w, NULL)); break;
            case HOLDERS: break;
            }
            if (w != NULL)
                bytes = address_in(w);
            drop(out);
            for (int i = 0; i < 3; i++) {
                out = output_of(f, NULL, NULL);
                CHECK(address(out) != bytes);
                drop(out);
            }
            if (promise != NULL)
                other = take(promise);
            if (leaf != NULL)
                OK(tn_expr_compute(leaf, 0, &other));
            if (w != NULL)
                other = got(w, TN_RAW | TN_BORROW, ALIAS);
            double found[4] = {1, 1, 1, 1};
            if (guard != NULL)
                memcpy(found, bytes, sizeof found);
            else
                OK(tn_array_copy_to_host(other, found, NULL, NULL));
            CHECK(found[0] == 1 && found[3] == 1);
            if (other != NULL)
                drop(other);
            if (guard != NULL)
                end(guard);
            if (promise != NULL)
                OK(tn_promise_release(promise));
            if (leaf != NULL)
                OK(tn_expr_release(leaf));
            if (w != NULL)
                end_shared(w);
            drop(output_of(f, NULL, NULL));
            end_function(f);
            if (check_failures > failures)
                fprintf(stderr, "    holder %d, borrow %d: %s\n", holder, borrow, tn_last_error());
        }
}

static tn_status replaces(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *how = context;
    (void)in, (void)update;
    if (out[0] != NULL && *how == 1)
        drop(out[0]);
    if (out[0] != NULL && *how == 2) { /* what was found becomes a part of something else */
        tn_array *view = part(out[0], 1, 3, 1);
        out[0] = view;
        return TN_OK;
    }
    out[0] = numbers(NULL, SHAPE(4));
    return TN_OK;
}

static void spares_replaced(void) /* FN-14: the body need not leave what it found */
{
    for (int how = 0; how < 3; how++) {
        plan p = planned(replaces, &how);
        gives(&p, "y", TN_REUSE);
        tn_function *f = made(&p);
        for (int i = 0; i < 5; i++) {
            tn_array *out = output_of(f, NULL, NULL);
            int64_t found[4] = {-1, -1, -1, -1};
            if (how == 2 && i > 0) {
                CHECK(info_of(out).count <= 2);
            } else {
                OK(tn_array_copy_to_host(out, found, NULL, NULL));
                CHECK(found[0] == 0 && found[3] == 3);
            }
            drop(out);
            if (how == 2 && i > 0)
                break;
        }
        end_function(f);
    }
}

typedef struct {
    int64_t length, found;
} shaper;

static tn_status shapes(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    shaper *s = context;
    (void)in, (void)update;
    s->found = out[0] != NULL ? info_of(out[0]).shape[0] : 0;
    if (s->found != s->length)
        out[0] = numbers(NULL, SHAPE(s->length));
    return TN_OK;
}

static void spares_of_changed_shapes(void) /* FN-14: a spare has the layout of the last value */
{
    static const int64_t lengths[] = {4, 4, 6, 6, 4, 8, 8, 6};
    shaper s = {0};
    plan p = planned(shapes, &s);
    gives(&p, "y", TN_REUSE);
    tn_function *f = made(&p);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        s.length = lengths[i];
        tn_array *out = output_of(f, NULL, NULL);
        CHECK(s.found == 0 || (i > 0 && s.found == lengths[i - 1]));
        CHECK(info_of(out).shape[0] == lengths[i]);
        drop(out);
    }
    end_function(f);
}

static tn_status ignores(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)in, (void)update;
    int *fails = context;
    if (*fails)
        return TN_ERR_IO;
    if (out[0] == NULL)
        out[0] = numbers(NULL, SHAPE(4));
    return TN_OK;
}

static void spares_survive_a_failure(void) /* FN-14: a failed call gives back what it offered */
{
    int fails = 0;
    plan p = planned(ignores, &fails);
    gives(&p, "y", TN_REUSE);
    tn_function *f = made(&p);
    tn_array *out = output_of(f, NULL, NULL);
    void *bytes = address(out);
    drop(out);
    fails = 1;
    out = UNTOUCHED;
    FAILS(tn_function_call(f, 0, NULL, 1, &out, NULL, NULL), TN_ERR_IO);
    CHECK(out == UNTOUCHED);
    fails = 0;
    out = output_of(f, NULL, NULL);
    CHECK(info_of(out).count == 4);
    (void)bytes;
    drop(out);
    end_function(f);
}

int main(void)
{
    two_outputs();
    faulty_bodies();
    one_handle_everywhere();
    spares_of_outputs();
    spares_that_are_held();
    spares_replaced();
    spares_of_changed_shapes();
    spares_survive_a_failure();
    return finish();
}
