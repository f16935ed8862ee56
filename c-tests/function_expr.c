/*
 * function_expr.c - functions whose body is an expression: what it overwrites, what it leaves alone, forms, and failures (FN-3, FN-12 to
 * FN-16, FN-19, FN-22, FN-30, FN-31, FN-34, SV-4, SV-35).
 */
#include "crossings.h"

#define N 600

static tn_array *doubles(tn_pool *pool, double first, double step)
{
    double values[N];
    int64_t shape[1] = {N};
    tn_array *array = NULL;
    for (int i = 0; i < N; i++)
        values[i] = first + step * i;
    OK(tn_array_empty(pool, TN_F64, 1, shape, NULL, &array));
    OK(tn_array_copy_from_host(array, values, NULL, 0, NULL));
    return array;
}

static int are(tn_array *array, double first, double step)
{
    double values[N];
    CHECK(info_of(array).count == N);
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    for (int i = 0; i < N; i++) {
        double off = values[i] - (first + step * i);
        if (!(off < 1e-9 && off > -1e-9))
            return 0;
    }
    return 1;
}

static int value_is(tn_shared *w, double first, double step)
{
    tn_array *value = got(w, NONE, COPY(0));
    int same = are(value, first, step);
    drop(value);
    return same;
}

static tn_shared *variable(tn_pool *pool, double first, double step)
{
    tn_array *value = doubles(pool, first, step);
    tn_shared *w = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
    drop(value);
    return w;
}

/* ---- a step of gradient descent ---- */

enum ends { KEEPS_PLACES, RELEASES_FOUND, RELEASES_INPUTS };

typedef struct {
    enum ends ends;
    int runs;
    tn_status answer;
} step;

/* w := w - 0.1 g, where w is the value of the update */
static tn_status descends(void *context, tn_expr *const *in, tn_expr **out, tn_expr **update)
{
    step *s = context;
    tn_expr *scaled = NULL, *next = NULL, *found = update[0];
    (void)out;
    s->runs++;
    CHECK(found != NULL);
    OK(tn_expr_scale(in[0], 0.1, &scaled));
    OK(tn_expr_subtract(found, scaled, &next));
    OK(tn_expr_release(scaled));
    if (s->ends == RELEASES_FOUND)
        OK(tn_expr_release(found));
    if (s->ends == RELEASES_INPUTS)
        OK(tn_expr_release(in[0]));
    update[0] = next;
    return s->answer;
}

static void gradient_descent(void) /* FN-12, FN-14, FN-35: in place, without an allocation of elements */
{
    static const struct {
        uint32_t flags;
        enum ends ends;
    } cases[] = {
        {TN_MAY_OVERWRITE, KEEPS_PLACES}, {TN_MAY_OVERWRITE, RELEASES_FOUND}, {TN_MAY_OVERWRITE, RELEASES_INPUTS},
        {TN_TAKE_OWNERSHIP, KEEPS_PLACES},          {NONE, KEEPS_PLACES},               {TN_BORROW, RELEASES_FOUND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures, writes = (cases[i].flags & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP)) != 0;
        tn_pool *pool = own_pool("descent");
        OK(tn_pool_set_current(pool));
        step s = {.ends = cases[i].ends};
        tn_shared *w = variable(pool, 10, 1);
        plan p = planned_expr(descends, &s);
        takes(&p, "g", cases[i].flags);
        assigns(&p, w, TN_MAY_OVERWRITE);
        tn_function *f = made(&p);
        void *bytes = address_in(w);
        double first = 10, slope = 1;
        for (int k = 0; k < 5; k++) {
            tn_array *g = doubles(NULL, 5, 2);
            uint64_t before = allocations(pool);
            tn_crossing how = {77, 77};
            OK(tn_function_call(f, 1, &g, 0, NULL, &how, NULL));
            first -= 0.5;
            slope -= 0.2;
            CHECK(crossed(how, ALIAS) && value_is(w, first, slope) && address_in(w) == bytes);
            if (writes)
                CHECK(allocations(pool) - before <= 1); /* that of the check above */
            if (!writes)
                CHECK(are(g, 5, 2) && unique(g));
            CHECK(state_of(g) == (cases[i].flags == TN_TAKE_OWNERSHIP ? TN_ERR_DESTRUCTED : TN_OK));
            CHECK(facts(w).version == (uint64_t)k + 2);
            drop(g);
        }
        CHECK(s.runs == 5 && facts(w).detach_count == 0);

        tn_array *held = got(w, TN_BORROW, ALIAS), *g = doubles(NULL, 5, 2); /* SV-4 */
        OK(tn_function_call(f, 1, &g, 0, NULL, NULL, NULL));
        CHECK(are(held, first, slope) && value_is(w, first - 0.5, slope - 0.2) && address_in(w) != bytes);
        drop(held);
        drop(g);

        s.answer = TN_ERR_IO; /* built, but not computed */
        g = doubles(NULL, 5, 2);
        CHECK(tn_function_call(f, 1, &g, 0, NULL, NULL, NULL) == TN_ERR_IO);
        CHECK(are(g, 5, 2) && unique(g) && state_of(g) == TN_OK && facts(w).version == 7);
        CHECK(facts(w).is_poisoned || value_is(w, first - 0.5, slope - 0.2));
        drop(g);
        end_function(f);
        end_shared(w);
        end_own_pool(pool);
        if (check_failures > failures)
            fprintf(stderr, "    in case %zu: %s\n", i, tn_last_error());
    }
}

static void shared_gradient(void) /* FN-12: an argument that somebody else has is copied, not overwritten */
{
    step s = {0};
    tn_shared *w = variable(NULL, 10, 1);
    plan p = planned_expr(descends, &s);
    takes(&p, "g", TN_MAY_OVERWRITE);
    assigns(&p, w, TN_MAY_OVERWRITE);
    tn_function *f = made(&p);
    tn_array *g = doubles(NULL, 5, 2), *twin = clone(g);
    tn_crossing how = {77, 77};
    OK(tn_function_call(f, 1, &g, 0, NULL, &how, NULL));
    CHECK(crossed(how, COPY(TN_WHY_SHARED)) && are(g, 5, 2) && are(twin, 5, 2) && value_is(w, 9.5, 0.8));
    drop(twin);
    drop(g);
    end_function(f);
    end_shared(w);
}

/* ---- outputs, defaults, implicit inputs ---- */

enum built { SUM, INPUT_ITSELF, NOTHING, RELEASED, NO_EXPRESSION, ONE_FOR_ALL };

typedef struct {
    enum built built;
    tn_array *array;
} builder;

/* out[0] from in[0] and in[1]; update[0] from their sum if there is an update. */
static tn_status builds(void *context, tn_expr *const *in, tn_expr **out, tn_expr **update)
{
    builder *b = context;
    switch (b->built) {
    case SUM: return tn_expr_add(in[0], in[1], &out[0]);
    case INPUT_ITSELF: out[0] = in[0]; break;
    case NOTHING: break;
    case RELEASED:
        OK(tn_expr_add(in[0], in[1], &out[0]));
        OK(tn_expr_release(out[0]));
        break;
    case NO_EXPRESSION: out[0] = (tn_expr *)b->array; break;
    case ONE_FOR_ALL:
        OK(tn_expr_add(in[0], in[1], &out[0]));
        out[1] = update[0] = out[0];
        break;
    }
    return TN_OK;
}

static void outputs_of_expressions(void) /* FN-13, FN-15, FN-16, FN-22 */
{
    static const struct {
        enum built built;
        uint32_t in, out;
        tn_status status;
        tn_crossing how;
    } cases[] = {
        {SUM, NONE, NONE, TN_OK, {TN_ALIASED, 0}},
        {SUM, NONE, REQUIRE, TN_OK, {TN_ALIASED, 0}},
        {SUM, TN_MAY_OVERWRITE, NONE, TN_OK, {77, 77}}, /* the sum may be in the caller's bytes: then it is copied */
        {SUM, TN_TAKE_OWNERSHIP, NONE, TN_OK, {TN_ALIASED, 0}},
        {INPUT_ITSELF, NONE, NONE, TN_OK, {TN_COPIED, TN_WHY_SHARED}},
        {INPUT_ITSELF, TN_BORROW, TN_BORROW, TN_OK, {TN_ALIASED, 0}},
        {INPUT_ITSELF, NONE, REQUIRE, TN_ERR_WOULD_COPY, {77, 77}},
        {NOTHING, NONE, NONE, TN_ERR_FAILED, {77, 77}},
        {RELEASED, NONE, NONE, TN_ERR_FAILED, {77, 77}},
        {NO_EXPRESSION, NONE, NONE, TN_ERR_FAILED, {77, 77}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        tn_array *start = doubles(NULL, 1, 1), *x = doubles(NULL, 100, 3);
        builder b = {.built = cases[i].built, .array = x};
        plan p = planned_expr(builds, &b);
        takes(&p, "x", cases[i].in);
        takes_default(&p, "start", TN_MAY_OVERWRITE, start);
        gives(&p, "y", cases[i].out);
        tn_function *f = made(&p);
        drop(start);
        for (int k = 0; k < 3; k++) { /* the default is never used up */
            tn_array *out = UNTOUCHED, *argument = doubles(NULL, 5, 2);
            tn_crossing how = {77, 77};
            tn_status status = tn_function_call(f, 2, ((tn_array *[]){argument, NULL}), 1, &out, NULL, &how);
            CHECK(status == cases[i].status);
            CHECK(crossed(how, cases[i].how) || (cases[i].how.how == 77 && status == TN_OK));
            if (status == TN_OK) {
                CHECK(cases[i].built == SUM ? are(out, 6, 3) : are(out, 5, 2));
                if (cases[i].out == NONE)
                    CHECK(unique(out) && try_write(out, TN_WRITE_UNIQUE) == TN_OK);
                if (cases[i].out == NONE && cases[i].in != TN_TAKE_OWNERSHIP)
                    CHECK(!overlap(out, argument));
                drop(out);
            } else {
                CHECK(out == UNTOUCHED && says("out[0]") && says("\"y\""));
            }
            if (!(cases[i].in & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP)))
                CHECK(are(argument, 5, 2) && unique(argument));
            drop(argument);
        }
        CHECK(are(x, 100, 3));
        drop(x);
        end_function(f);
        if (check_failures > failures)
            fprintf(stderr, "    in case %zu: %s\n", i, tn_last_error());
    }
}

static void one_expression_for_all(void) /* FN-16, FN-22, FN-32 */
{
    builder b = {.built = ONE_FOR_ALL};
    tn_shared *w = variable(NULL, 0, 0);
    plan p = planned_expr(builds, &b);
    takes(&p, "x", NONE);
    takes(&p, "y", NONE);
    gives(&p, "left", NONE);
    gives(&p, "right", TN_BORROW);
    assigns(&p, w, NONE);
    tn_function *f = made(&p);
    tn_array *x = doubles(NULL, 5, 2), *y = doubles(NULL, 1, 1), *out[2];
    OK(tn_function_call(f, 2, ((tn_array *[]){x, y}), 2, out, NULL, NULL));
    CHECK(are(out[0], 6, 3) && are(out[1], 6, 3) && value_is(w, 6, 3) && unique(out[0]) && facts(w).version == 2);
    CHECK(!overlap(out[0], out[1]) && address(out[0]) != address_in(w));
    double zero = 0;
    OK(tn_array_fill(out[0], &zero, 0, NULL));
    CHECK(are(out[1], 6, 3) && value_is(w, 6, 3));
    drop(out[0]);
    drop(out[1]);
    drop(x);
    drop(y);
    end_function(f);
    end_shared(w);
}

static void integers_are_refused(void) /* FN-41: expressions have no integers */
{
    builder b = {.built = SUM};
    plan p = planned_expr(builds, &b);
    takes(&p, "x", NONE);
    takes(&p, "y", NONE);
    gives(&p, "z", NONE);
    tn_function *f = made(&p);
    tn_array *x = doubles(NULL, 5, 2), *y = numbers(NULL, SHAPE(N)), *out = UNTOUCHED;
    FAILS(tn_function_call(f, 2, ((tn_array *[]){x, y}), 1, &out, NULL, NULL), TN_ERR_DTYPE);
    CHECK(says("in[1]") && out == UNTOUCHED && unique(x) && unique(y));
    drop(x);
    drop(y);
    end_function(f);
}

/* ---- updates ---- */

static tn_status exchanges(void *context, tn_expr *const *in, tn_expr **out, tn_expr **update)
{
    (void)context, (void)out;
    CHECK(update[0] == NULL && update[1] == NULL);
    update[0] = in[1];
    update[1] = in[0];
    return TN_OK;
}

static void exchanged(void) /* FN-31 */
{
    tn_pool *pool = own_pool("exchanged");
    OK(tn_pool_set_current(pool));
    tn_shared *a = variable(pool, 1, 1), *b = variable(pool, 2, 2);
    void *at_a = address_in(a), *at_b = address_in(b);
    plan p = planned_expr(exchanges, NULL);
    takes_value_of(&p, a, NONE);
    takes_value_of(&p, b, NONE);
    assigns(&p, a, NONE);
    assigns(&p, b, NONE);
    tn_function *f = made(&p);
    uint64_t before = allocations(pool);
    OK(run(f));
    CHECK(allocations(pool) == before && address_in(a) == at_b && address_in(b) == at_a && value_is(a, 2, 2) && value_is(b, 1, 1));
    end_function(f);
    end_shared(a);
    end_shared(b);
    end_own_pool(pool);
}

static tn_status turns(void *context, tn_expr *const *in, tn_expr **out, tn_expr **update)
{
    (void)context, (void)out;
    return tn_expr_transpose(in[0], &update[0]);
}

static void turned(void) /* FN-34 */
{
    tn_pool *pool = own_pool("turned");
    OK(tn_pool_set_current(pool));
    tn_array *value = zeros(pool, TN_F64, SHAPE(3, 2));
    tn_shared *a = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
    drop(value);
    plan p = planned_expr(turns, NULL);
    takes_value_of(&p, a, NONE);
    assigns(&p, a, NONE);
    tn_function *f = made(&p);
    void *bytes = address_in(a);
    OK(run(f));
    tn_pool_stats first = stats_of(pool);
    for (int i = 1; i < rounds(1000); i++)
        OK(run(f));
    tn_pool_stats last = stats_of(pool);
    CHECK(address_in(a) == bytes && facts(a).shape[0] == 3 && facts(a).version == (uint64_t)rounds(1000) + 1);
    CHECK(first.allocation_count == last.allocation_count && first.requested_bytes == last.requested_bytes);
    end_function(f);
    end_shared(a);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(pool));
}

static tn_status factors(void *context, tn_expr *const *in, tn_expr **out, tn_expr **update)
{
    (void)context;
    OK(tn_expr_scale(in[1], 2, &update[0]));
    OK(tn_expr_cholesky(in[0], &update[1]));
    return tn_expr_scale(in[1], 3, &out[0]);
}

static void failed_computation(void) /* FN-30: the second of two updates fails, and nothing has changed */
{
    tn_array *matrix = NULL, *x = doubles(NULL, 5, 2), *out = UNTOUCHED;
    static const double indefinite[4] = {1, 2, 2, 1};
    int64_t shape[2] = {2, 2};
    OK(tn_array_empty(NULL, TN_F64, 2, shape, NULL, &matrix));
    OK(tn_array_copy_from_host(matrix, indefinite, NULL, 0, NULL));
    tn_shared *a = variable(NULL, 1, 1), *b = shared_of(matrix, NONE, COPY(0));
    plan p = planned_expr(factors, NULL);
    takes(&p, "matrix", NONE);
    takes(&p, "x", NONE);
    gives(&p, "y", NONE);
    assigns(&p, a, NONE);
    assigns(&p, b, NONE);
    tn_function *f = made(&p);
    tn_array *in[2] = {matrix, x};
    FAILS(tn_function_call(f, 2, in, 1, &out, NULL, NULL), TN_ERR_FAILED);
    CHECK(says("update[1]") && out == UNTOUCHED);
    CHECK(facts(a).version == 1 && facts(b).version == 1 && value_is(a, 1, 1) && are(x, 5, 2) && unique(x) && unique(matrix));
    static const double definite[4] = {4, 2, 2, 5};
    OK(tn_array_copy_from_host(matrix, definite, NULL, 0, NULL));
    OK(tn_function_call(f, 2, in, 1, &out, NULL, NULL));
    CHECK(are(out, 15, 6) && value_is(a, 10, 4) && facts(b).version == 2);
    drop(out);
    drop(matrix);
    drop(x);
    end_function(f);
    end_shared(a);
    end_shared(b);
}

/* ---- forms ---- */

/* w := 2 w, where w is the value of the update, or else the implicit input */
static tn_status doubled(void *context, tn_expr *const *in, tn_expr **out, tn_expr **update)
{
    (void)context, (void)out;
    return tn_expr_scale(update[0] ? update[0] : in[0], 2, &update[0]);
}

static tn_form form_in(tn_shared *w, uint32_t flags, tn_crossing expected)
{
    tn_array *value = got(w, flags, expected);
    tn_form form = info_of(value).form;
    drop(value);
    return form;
}

static void forms_of_updated_variables(void) /* FN-19: a variable has the form of the expression that updates it */
{
    static const tn_form forms[] = {TN_FORM_FULL, TN_FORM_DIAGONAL, TN_FORM_LOWER, TN_FORM_UPPER, TN_FORM_MATRIX};
    for (int k = 0; k < 15; k++) {
        int failures = check_failures, in_place = k / 5 < 2;
        tn_form form = forms[k % 5];
        tn_array *value = form == TN_FORM_DIAGONAL ? zeros(NULL, TN_F64, SHAPE(3)) : zeros(NULL, TN_F64, SHAPE(3, 3));
        OK(tn_array_set_form(value, form));
        tn_shared *w = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
        drop(value);
        plan p = planned_expr(doubled, NULL);
        if (!in_place)
            takes_value_of(&p, w, NONE);
        assigns(&p, w, in_place ? TN_MAY_OVERWRITE : NONE);
        tn_function *f = made(&p);
        tn_array *held = k / 5 == 1 ? got(w, TN_RAW | TN_BORROW, ALIAS) : NULL; /* then the value is copied for the body */
        OK(run(f));
        OK(run(f));
        CHECK(facts(w).version == 3 && form_in(w, TN_RAW | TN_BORROW, ALIAS) == form && form_in(w, NONE, COPY(0)) == form);
        if (held)
            drop(held);
        end_function(f);
        end_shared(w);
        if (check_failures > failures)
            fprintf(stderr, "    form %u, case %d: %s\n", form, k / 5, tn_last_error());
    }
}

int main(void)
{
    gradient_descent();
    shared_gradient();
    outputs_of_expressions();
    one_expression_for_all();
    integers_are_refused();
    exchanged();
    turned();
    failed_computation();
    forms_of_updated_variables();
    return finish();
}
