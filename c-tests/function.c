/*
 * function.c - functions: what a description may say, how arguments are checked and in which order, what a body may do, what a failure
 * leaves, and how long a function lives (ER-2, FN-1 to FN-4, FN-10, FN-11, FN-14 to FN-18, FN-41, and SV-5, SV-8, SV-9, SV-37 of
 * functions).
 *
 * The tables of inputs and outputs and the updates are in function_inputs.c, function_outputs.c and function_updates.c.
 */
#include "crossings.h"

/* What a body does, and how often it ran. */
typedef struct {
    int runs;
    tn_status answer;
    tn_function *self;
    tn_shared *variable;
    int released;
    int depth;
} trace;

/* A body that leaves a new array in each of up to two outputs. */
static tn_status two_zeros(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)in, (void)update;
    t->runs++;
    out[0] = zeros(NULL, TN_I64, SHAPE(2));
    out[1] = numbers(NULL, SHAPE(3));
    return t->answer;
}

static tn_status nothing(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)in, (void)out, (void)update;
    t->runs++;
    return t->answer;
}

static tn_status nothing_as_expr(void *context, tn_expr *const *in, tn_expr **out, tn_expr **update)
{
    (void)context, (void)in, (void)out, (void)update;
    return TN_OK;
}

static void note_release(void *context)
{
    trace *t = context;
    t->released++;
    drop(numbers(NULL, SHAPE(4))); /* under no lock */
}

/* ---- declaring ---- */

static void copies_its_description(void) /* FN-1 */
{
    trace t = {0};
    char *name = malloc(8), *first = malloc(8);
    strcpy(name, "thief");
    strcpy(first, "first");
    plan p = planned(two_zeros, &t);
    p.options.name = name;
    p.options.release = note_release;
    takes(&p, first, NONE);
    gives(&p, first, NONE);
    gives(&p, NULL, NONE);
    tn_function *f = made(&p);
    memset(name, 'x', 7);
    memset(first, 'x', 7);
    free(name);
    free(first);
    tn_array *argument = numbers(NULL, SHAPE(4)), *out[2] = {UNTOUCHED, UNTOUCHED};
    FAILS(tn_function_call(f, 1, (tn_array *[]){NULL}, 0, NULL, NULL, NULL), TN_ERR_NULL);
    CHECK(says("in[0]") && says("first"));
    tn_crossing in_how = {77, 77}, out_how[2] = {{77, 77}, {77, 77}};
    OK(tn_function_call(f, 1, &argument, 2, out, &in_how, out_how));
    CHECK(HOLDS(out[0], 0, 0) && HOLDS(out[1], 0, 1, 2) && t.runs == 1 && t.released == 0);
    CHECK(crossed(in_how, ALIAS) && crossed(out_how[0], ALIAS) && crossed(out_how[1], ALIAS));
    drop(out[0]);
    drop(out[1]);
    drop(argument);
    end_function(f);
    CHECK(t.released == 1);
    FAILS(tn_function_release(f), TN_ERR_STALE);
    CHECK(t.released == 1);
}

static void failed_create_keeps_the_context(void) /* FN-1, FN-3 */
{
    trace t = {0};
    tn_shared *w = counting("w", SHAPE(4));
    plan p = planned(nothing, &t);
    p.options.release = note_release;
    assigns(&p, w, NONE);
    assigns(&p, w, NONE);
    CHECK(try_create(&p) == TN_ERR_DUPLICATE && t.released == 0);
    p.options.n_update = 1;
    CHECK(try_create(&p) == TN_OK && t.released == 1);
    end_shared(w);
}

static void null_in_a_description(void) /* FN-3, FN-41: every pointer in turn */
{
    trace t = {0};
    tn_shared *w = counting("w", SHAPE(4));
    tn_function *f = UNTOUCHED;
    plan p = planned(nothing, &t);
    takes(&p, NULL, NONE);
    gives(&p, NULL, NONE);
    assigns(&p, w, NONE);
    assigns(&p, NULL, NONE);
    FAILS(tn_function_create(NULL, &f), TN_ERR_NULL);
    FAILS(tn_function_create(described(&p), NULL), TN_ERR_NULL);
    FAILS(tn_function_create(described(&p), &f), TN_ERR_NULL);
    CHECK(says("update[1]"));
    p.options.n_update = 1;
    p.options.body = NULL;
    FAILS(tn_function_create(described(&p), &f), TN_ERR_NULL);
    CHECK(says("body"));
    p.options.body = nothing;
    described(&p);
    p.options.inputs = NULL;
    FAILS(tn_function_create(&p.options, &f), TN_ERR_NULL);
    CHECK(says("in"));
    described(&p);
    p.options.outputs = NULL;
    FAILS(tn_function_create(&p.options, &f), TN_ERR_NULL);
    CHECK(says("out"));
    described(&p);
    p.options.updates = NULL;
    FAILS(tn_function_create(&p.options, &f), TN_ERR_NULL);
    CHECK(says("update") && f == UNTOUCHED);
    CHECK(try_create(&p) == TN_OK);
    end_shared(w);
}

static void wrong_descriptions(void) /* FN-2, FN-3, FN-4, FN-41 */
{
    trace t = {0};
    tn_shared *w = counting("w", SHAPE(2, 2)), *gone_variable = counting("gone", SHAPE(4));
    end_shared(gone_variable);
    plan p = planned(nothing, &t);
    tn_function *f = UNTOUCHED;

    /* sizes and reserved words */
    p.options.size = 8;
    CHECK(try_create(&p) == TN_ERR_INVALID);
    p = planned(nothing, &t);
    takes(&p, "a", NONE)->size = 8;
    CHECK(try_create(&p) == TN_ERR_INVALID);
    p = planned(nothing, &t);
    takes(&p, "a", NONE);
    takes(&p, "b", NONE)->size = sizeof(tn_in) + 8; /* one size for all */
    CHECK(try_create(&p) == TN_ERR_INVALID && says("in[1]"));
    p = planned(nothing, &t);
    takes(&p, "a", NONE)->reserved = 1;
    CHECK(try_create(&p) == TN_ERR_INVALID && says("in[0]"));
    p = planned(nothing, &t);
    gives(&p, "a", NONE)->size = 8;
    CHECK(try_create(&p) == TN_ERR_INVALID);
    p = planned(nothing, &t);
    gives(&p, "a", NONE);
    gives(&p, "b", NONE)->reserved = 1;
    CHECK(try_create(&p) == TN_ERR_INVALID && says("out[1]"));
    p = planned(nothing, &t);
    assigns(&p, w, NONE);
    p.update[0].reserved = 1;
    CHECK(try_create(&p) == TN_ERR_INVALID && says("update[0]"));
    p.update[0] = (tn_update){.size = 8, .target = w};
    CHECK(try_create(&p) == TN_ERR_INVALID);

    /* two bodies */
    p = planned(nothing, &t);
    p.options.expr_body = nothing_as_expr;
    CHECK(try_create(&p) == TN_ERR_INVALID);

    /* flags that a kind of place does not take */
    static const uint32_t not_for_inputs[] = {TN_REUSE, TN_RELEASE_QUEUED, TN_IMPORT_READONLY, TN_EXPORT_WRITABLE, TN_WAIT, 1u << 30};
    for (size_t i = 0; i < sizeof not_for_inputs / sizeof *not_for_inputs; i++) {
        p = planned(nothing, &t);
        takes(&p, "a", NONE);
        takes(&p, "b", not_for_inputs[i] | TN_BORROW);
        CHECK(try_create(&p) == TN_ERR_INVALID && says("in[1]"));
    }
    static const uint32_t not_for_outputs[] = {TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT, TN_RELEASE_QUEUED, TN_WAIT, 1u << 30};
    for (size_t i = 0; i < sizeof not_for_outputs / sizeof *not_for_outputs; i++) {
        p = planned(nothing, &t);
        gives(&p, "a", NONE);
        gives(&p, "b", not_for_outputs[i]);
        CHECK(try_create(&p) == TN_ERR_INVALID && says("out[1]"));
    }
    static const uint32_t not_for_updates[] = {TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_TAKE_OWNERSHIP, TN_STRICT, TN_MAY_OVERWRITE | TN_REUSE};
    for (size_t i = 0; i < sizeof not_for_updates / sizeof *not_for_updates; i++) {
        p = planned(nothing, &t);
        assigns(&p, w, not_for_updates[i]);
        CHECK(try_create(&p) == TN_ERR_INVALID && says("update[0]"));
    }
    p = planned(nothing, &t);
    takes(&p, "all", TN_BORROW | TN_REQUIRE_BORROW | TN_RAW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP | TN_STRICT);
    gives(&p, "all", TN_BORROW | TN_REQUIRE_BORROW | TN_RAW | TN_REUSE);
    CHECK(try_create(&p) == TN_OK);

    /* implicit inputs */
    p = planned(nothing, &t);
    takes_value_of(&p, w, TN_TAKE_OWNERSHIP);
    CHECK(try_create(&p) == TN_ERR_INVALID && says("in[0]"));
    tn_array *value = numbers(NULL, SHAPE(2, 2)), *gone = destructed(), *old = stale();
    p = planned(nothing, &t);
    takes_value_of(&p, w, NONE);
    p.in[0].default_value = value;
    CHECK(try_create(&p) == TN_ERR_INVALID && says("in[0]"));
    p = planned(nothing, &t);
    takes_value_of(&p, w, NONE);
    p.in[0].dtype = TN_F64;
    CHECK(try_create(&p) == TN_ERR_INVALID && says("in[0]"));
    p.in[0].dtype = TN_I64;
    p.in[0].ndim = 1;
    CHECK(try_create(&p) == TN_ERR_INVALID && says("in[0]"));
    p.in[0].ndim = 2;
    CHECK(try_create(&p) == TN_OK);

    /* handles */
    p = planned(nothing, &t);
    takes_value_of(&p, gone_variable, NONE);
    CHECK(try_create(&p) == TN_ERR_STALE && says("in[0]"));
    p = planned(nothing, &t);
    takes_value_of(&p, (tn_shared *)value, NONE);
    CHECK(try_create(&p) == TN_ERR_KIND && says("in[0]"));
    p = planned(nothing, &t);
    assigns(&p, w, NONE);
    assigns(&p, gone_variable, NONE);
    CHECK(try_create(&p) == TN_ERR_STALE && says("update[1]"));
    p.update[1].target = (tn_shared *)value;
    CHECK(try_create(&p) == TN_ERR_KIND && says("update[1]"));
    p.update[0].target = gone_variable; /* ER-2: the order of the checks decides, and then the position */
    CHECK(try_create(&p) == TN_ERR_STALE && says("update[0]"));
    p.update[0].target = (tn_shared *)value;
    p.update[1].target = gone_variable;
    CHECK(try_create(&p) == TN_ERR_STALE && says("update[1]"));
    p.update[1].target = (tn_shared *)value;
    CHECK(try_create(&p) == TN_ERR_KIND && says("update[0]"));
    takes_default(&p, "x", NONE, old);
    CHECK(try_create(&p) == TN_ERR_STALE && says("in[0]"));

    /* defaults */
    struct {
        tn_array *value;
        tn_status expected;
    } defaults[] = {
        {old, TN_ERR_STALE}, {(tn_array *)w, TN_ERR_KIND}, {gone, TN_ERR_DESTRUCTED}, {value, TN_OK},
    };
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        p = planned(nothing, &t);
        takes(&p, "a", NONE);
        takes_default(&p, "b", NONE, defaults[i].value);
        CHECK(try_create(&p) == defaults[i].expected && (defaults[i].expected == TN_OK || says("in[1]")));
    }
    p.in[1].dtype = TN_F64;
    CHECK(try_create(&p) == TN_ERR_DTYPE && says("in[1]"));
    p.in[1].dtype = 0x77;
    CHECK(try_create(&p) == TN_ERR_DTYPE && says("in[1]"));
    p.in[1].dtype = TN_I64;
    p.in[1].ndim = 1;
    CHECK(try_create(&p) != TN_OK && says("in[1]"));
    p.in[1].ndim = TN_MAX_NDIM + 1;
    CHECK(try_create(&p) != TN_OK && says("in[1]"));
    p.in[1].ndim = -2;
    CHECK(try_create(&p) != TN_OK && says("in[1]"));
    p.in[1].ndim = 2;
    p.in[1].device = (tn_device){TN_CUDA, 99};
    CHECK(try_create(&p) == for_gpu(99) && says("in[1]"));
    p.in[1].device = HOST;
    CHECK(try_create(&p) == TN_OK);
    tn_promise *promise = give(value);
    CHECK(try_create(&p) == TN_ERR_GIVEN);
    OK(tn_promise_cancel(promise));
    OK(tn_promise_release(promise));
    tn_borrow *guard = writing(value, 0);
    CHECK(try_create(&p) == TN_ERR_BORROWED_WRITE);
    OK(tn_borrow_end(guard, TN_END_FAILED, NULL));
    CHECK(try_create(&p) == TN_ERR_POISONED && says("in[1]"));

    CHECK(t.runs == 0 && f == UNTOUCHED && facts(w).version == 1);
    drop(value);
    drop(gone);
    end_shared(w);
}

static tn_status keeps_default(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)update;
    t->runs++;
    CHECK(HOLDS(in[0], 0, 1, 2, 3));
    out[0] = clone(in[0]);
    return TN_OK;
}

static void copies_defaults(void) /* FN-4, FN-10 */
{
    trace t = {0};
    for (int borrow = 0; borrow < 2; borrow++) {
        tn_array *value = numbers(NULL, SHAPE(4)), *argument = numbers(NULL, SHAPE(4)), *out;
        plan p = planned(keeps_default, &t);
        takes_default(&p, "start", borrow ? TN_BORROW : NONE, value);
        gives(&p, "same", NONE);
        tn_function *f = made(&p);
        CHECK(unique(value) && try_write(value, TN_WRITE_UNIQUE) == TN_OK);
        fill_i64(value, 9);
        drop(value);
        out = output_of(f, argument, NULL);
        drop(out);
        tn_array *none = NULL;
        tn_crossing how = {77, 77};
        OK(tn_function_call(f, 1, &none, 1, &out, &how, NULL));
        CHECK(crossed(how, ALIAS) && HOLDS(out, 0, 1, 2, 3));
        fill_i64(out, 8);
        drop(out);
        OK(tn_function_call(f, 1, &none, 0, NULL, NULL, NULL));
        FAILS(tn_function_call(f, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_COUNT); /* a default is asked for by NULL */
        drop(argument);
        end_function(f);
    }
    CHECK(t.runs == 6);
}

static void default_of(void) /* FN-48 */
{
    trace t = {0};
    tn_array *value = numbers(NULL, SHAPE(4)), *seen = NULL, *again = NULL, *out, *none = NULL;
    tn_shared *w = counting("w", SHAPE(2));
    plan p = planned(keeps_default, &t);
    takes_default(&p, "start", TN_MAY_OVERWRITE, value);
    takes(&p, "other", NONE);
    takes_value_of(&p, w, NONE);
    gives(&p, "same", NONE);
    tn_function *f = made(&p);
    fill_i64(value, 9);
    drop(value);
    OK(tn_function_default(f, 0, &seen));
    CHECK(HOLDS(seen, 0, 1, 2, 3) && strcmp(info_of(seen).name, "start") == 0);
    CHECK(try_write(seen, TN_WRITE_ALIASED) == TN_ERR_READONLY);
    OK(tn_function_default(f, 0, &again));
    CHECK(address(seen) == address(again)); /* no copy */
    /* One that moves to a copy leaves the value alone. */
    tn_borrow *guard = NULL;
    tn_view_info view;
    OK(tn_array_borrow_write(again, TN_WRITE_COW, NULL, NULL, &view, &guard));
    *(int64_t *)view.data = 5;
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(HOLDS(seen, 0, 1, 2, 3) && HOLDS(again, 5, 1, 2, 3));
    drop(again);
    tn_array *arguments[] = {NULL, seen};
    OK(tn_function_call(f, 2, arguments, 1, &out, NULL, NULL));
    fill_i64(out, 8);
    drop(out);
    CHECK(HOLDS(seen, 0, 1, 2, 3));

    FAILS(tn_function_default(f, 1, &none), TN_ERR_INVALID);
    CHECK(says("in[1]") && says("other"));
    FAILS(tn_function_default(f, 2, &none), TN_ERR_INVALID);
    CHECK(says("in[2]"));
    FAILS(tn_function_default(f, 3, &none), TN_ERR_RANGE);
    CHECK(says("3 inputs"));
    FAILS(tn_function_default(f, 0, NULL), TN_ERR_NULL);
    FAILS(tn_function_default(NULL, 0, &none), TN_ERR_NULL);
    FAILS(tn_function_default((tn_function *)seen, 0, &none), TN_ERR_KIND);
    CHECK(none == NULL);
    end_shared(w);
    end_function(f);
    CHECK(HOLDS(seen, 0, 1, 2, 3)); /* it outlives the function */
    drop(seen);
}

/* ---- calling ---- */

static tn_status sees(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)out, (void)update;
    t->runs++;
    CHECK(info_of(in[0]).flags & TN_READONLY);
    CHECK(try_read(in[0], 0) == TN_OK);
    CHECK(try_write(in[0], 0) == TN_ERR_READONLY && try_write(in[0], TN_WRITE_UNIQUE) == TN_ERR_READONLY);
    CHECK(try_write(in[0], TN_WRITE_DISCARD) == TN_ERR_READONLY);
    tn_array *twin = clone(in[0]), *view = part(in[0], 0, 2, 1);
    CHECK(try_write(twin, 0) == TN_ERR_READONLY && try_write(view, 0) == TN_ERR_READONLY);
    CHECK(try_export(in[0], XS, 0) != TN_OK && try_export(in[0], XW, 0) != TN_OK && try_export(in[0], XR, 0) == TN_OK);
    drop(twin);
    drop(view);
    void *before = address(in[0]);
    int64_t nine = 9;
    OK(tn_array_fill(in[0], &nine, TN_WRITE_COW, NULL));
    CHECK(address(in[0]) != before && HOLDS(in[0], 9, 9, 9, 9));
    return TN_OK;
}

static void arguments_cannot_be_written(void) /* FN-11 */
{
    trace t = {0};
    for (int borrow = 0; borrow < 2; borrow++) {
        plan p = planned(sees, &t);
        takes(&p, "x", borrow ? TN_BORROW : NONE);
        tn_function *f = made(&p);
        tn_array *x = numbers(NULL, SHAPE(4));
        tn_crossing how = {77, 77};
        OK(tn_function_call(f, 1, &x, 0, NULL, &how, NULL));
        CHECK(crossed(how, ALIAS) && HOLDS(x, 0, 1, 2, 3) && unique(x) && try_write(x, TN_WRITE_UNIQUE) == TN_OK);
        CHECK(!(info_of(x).flags & TN_READONLY));
        drop(x);
        end_function(f);
    }
    CHECK(t.runs == 2);
}

static tn_status releases_early(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)update;
    t->runs++;
    for (int i = 0; i < 5; i++)
        drop(in[i]);
    FAILS(tn_array_release(in[0]), TN_ERR_STALE);
    out[0] = numbers(NULL, SHAPE(3));
    return t->answer;
}

static void inputs_released_early(void) /* FN-10 */
{
    trace t = {0};
    tn_shared *w = counting("w", SHAPE(4));
    tn_array *value = numbers(NULL, SHAPE(4));
    plan p = planned(releases_early, &t);
    takes(&p, "read", NONE);
    takes(&p, "written", TN_MAY_OVERWRITE);
    takes(&p, "taken", TN_TAKE_OWNERSHIP);
    takes_default(&p, "default", NONE, value);
    takes_value_of(&p, w, NONE);
    gives(&p, "out", NONE);
    tn_function *f = made(&p);
    for (int i = 0; i < 4; i++) {
        t.answer = i == 2 ? TN_ERR_IO : TN_OK;
        tn_array *in[4] = {numbers(NULL, SHAPE(4)), numbers(NULL, SHAPE(4)), numbers(NULL, SHAPE(4)), NULL}, *out = UNTOUCHED;
        void *bytes = address(in[1]);
        CHECK(tn_function_call(f, 4, in, 1, &out, NULL, NULL) == t.answer);
        CHECK(HOLDS(in[0], 0, 1, 2, 3) && HOLDS(in[1], 0, 1, 2, 3) && address(in[1]) == bytes && unique(in[1]));
        if (t.answer == TN_OK)
            drop(out);
        else
            CHECK(out == UNTOUCHED);
        CHECK(state_of(in[2]) == (t.answer == TN_OK ? TN_ERR_DESTRUCTED : TN_OK));
        for (int k = 0; k < 3; k++)
            drop(in[k]);
    }
    CHECK(t.runs == 4 && counts_from(w, 0, 4));
    drop(value);
    end_function(f);
    end_shared(w);
}

static void wrong_calls(void) /* FN-10, FN-18, FN-41, SV-8 */
{
    trace t = {0};
    plan p = planned(two_zeros, &t);
    tn_in *first = takes(&p, "first", NONE);
    first->dtype = TN_I64;
    first->ndim = 2;
    takes(&p, "second", TN_STRICT);
    gives(&p, "one", NONE);
    gives(&p, "two", NONE);
    tn_function *f = made(&p);
    tn_array *fine = numbers(NULL, SHAPE(2, 2)), *flat = numbers(NULL, SHAPE(4)), *floats = zeros(NULL, TN_F64, SHAPE(2, 2));
    tn_array *every_second = part(flat, 0, 4, 2), *gone = destructed(), *old = stale(), *given = numbers(NULL, SHAPE(2, 2));
    tn_array *flat_floats = zeros(NULL, TN_F64, SHAPE(4)), *broken = numbers(NULL, SHAPE(2, 2));
    tn_array *written = numbers(NULL, SHAPE(2, 2));
    tn_promise *promise = give(given);
    tn_borrow *guard = writing(written, 0);
    poison(broken);
    tn_array *out[3] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    tn_crossing in_how[2] = {{77, 77}, {77, 77}}, out_how[2] = {{77, 77}, {77, 77}};

#define CALL(x, y) tn_function_call(f, 2, ((tn_array *[]){(x), (y)}), 2, out, in_how, out_how)
    FAILS(tn_function_call(NULL, 2, ((tn_array *[]){fine, fine}), 2, out, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_function_call((tn_function *)fine, 2, ((tn_array *[]){fine, fine}), 2, out, NULL, NULL), TN_ERR_KIND);
    FAILS(tn_function_call(f, 2, NULL, 2, out, NULL, NULL), TN_ERR_NULL);
    CHECK(says("in"));
    FAILS(tn_function_call(f, 2, ((tn_array *[]){fine, fine}), 2, NULL, NULL, NULL), TN_ERR_NULL);
    CHECK(says("out"));
    FAILS(tn_function_call(f, 1, &fine, 2, out, NULL, NULL), TN_ERR_COUNT);
    FAILS(tn_function_call(f, 3, ((tn_array *[]){fine, fine, fine}), 2, out, NULL, NULL), TN_ERR_COUNT);
    FAILS(tn_function_call(f, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_COUNT);
    FAILS(tn_function_call(f, 2, ((tn_array *[]){fine, fine}), 3, out, NULL, NULL), TN_ERR_COUNT);

    static const char *const at[2] = {"in[0]", "in[1]"}, *const names[2] = {"first", "second"};
    const struct {
        tn_array *x, *y;
        tn_status expected;
        int index;
    } cases[] = {
        /* the class of the error decides first, the position second */
        {NULL, NULL, TN_ERR_NULL, 0},
        {old, NULL, TN_ERR_NULL, 1},
        {old, old, TN_ERR_STALE, 0},
        {gone, old, TN_ERR_STALE, 1},
        {(tn_array *)f, old, TN_ERR_STALE, 1},
        {gone, (tn_array *)f, TN_ERR_KIND, 1},
        {given, gone, TN_ERR_DESTRUCTED, 1},
        {floats, gone, TN_ERR_DESTRUCTED, 1},
        {flat, given, TN_ERR_GIVEN, 1},
        {flat_floats, fine, TN_ERR_DTYPE, 0},
        {floats, every_second, TN_ERR_DTYPE, 0},
        {flat, every_second, TN_ERR_SHAPE, 0},
        {broken, every_second, TN_ERR_LAYOUT, 1},
        {written, every_second, TN_ERR_LAYOUT, 1},
        {written, broken, TN_ERR_POISONED, 1},
        {broken, written, TN_ERR_POISONED, 0},
        {fine, written, TN_ERR_BORROWED_WRITE, 1},
        {written, fine, TN_ERR_BORROWED_WRITE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        FAILS(CALL(cases[i].x, cases[i].y), cases[i].expected);
        CHECK(says(at[cases[i].index]) && says(names[cases[i].index]));
        if (check_failures > failures)
            fprintf(stderr, "    case %zu: %s\n", i, tn_last_error());
    }
    CHECK(t.runs == 0 && out[0] == UNTOUCHED && out[1] == UNTOUCHED && in_how[0].how == 77 && out_how[1].how == 77);
    CHECK(unique(fine) && unique(broken) && state_of(given) == TN_ERR_GIVEN);
    OK(CALL(fine, fine));
#undef CALL
    CHECK(t.runs == 1 && crossed(in_how[0], ALIAS) && crossed(in_how[1], ALIAS));
    drop(out[0]);
    drop(out[1]);
    end(guard);
    OK(tn_promise_release(promise));
    tn_array *all[] = {fine, flat, floats, every_second, gone, given, flat_floats, broken, written};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        drop(all[i]);
    end_function(f);
    FAILS(tn_function_call(f, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_STALE);
}

static void fewer_outputs(void) /* FN-18 */
{
    trace t = {0};
    plan p = planned(two_zeros, &t);
    gives(&p, "one", NONE);
    gives(&p, "two", TN_BORROW | TN_REUSE);
    tn_function *f = made(&p);
    tn_array *out[2] = {UNTOUCHED, UNTOUCHED};
    tn_crossing how[2] = {{77, 77}, {77, 77}};
    OK(tn_function_call(f, 0, NULL, 1, out, NULL, how));
    CHECK(HOLDS(out[0], 0, 0) && out[1] == UNTOUCHED && crossed(how[0], ALIAS) && how[1].how == 77);
    drop(out[0]);
    OK(tn_function_call(f, 0, NULL, 0, NULL, NULL, how));
    OK(tn_function_call(f, 0, NULL, 0, out, NULL, NULL));
    CHECK(t.runs == 3);
    end_function(f);
}

static void answers(void) /* FN-16, FN-17, FN-18 */
{
    static const struct {
        tn_status returned, expected;
    } cases[] = {
        {TN_ERR_IO, TN_ERR_IO},       {TN_ERR_SHARED, TN_ERR_SHARED},      {TN_ERR_OVERFLOW, TN_ERR_OVERFLOW},
        {4711, TN_ERR_FAILED},        {UINT32_MAX, TN_ERR_FAILED},         {TN_ERR_FAILED, TN_ERR_FAILED},
        {TN_ERR_PANIC, TN_ERR_PANIC}, {TN_ERR_WOULD_COPY, TN_ERR_WOULD_COPY},
    };
    trace t = {0};
    plan p = planned(two_zeros, &t);
    takes(&p, "x", TN_MAY_OVERWRITE);
    takes(&p, "y", TN_TAKE_OWNERSHIP);
    gives(&p, "one", NONE);
    gives(&p, "two", TN_BORROW);
    tn_function *f = made(&p);
    tn_array *in[2] = {numbers(NULL, SHAPE(4)), numbers(NULL, SHAPE(4))}, *out[2] = {UNTOUCHED, UNTOUCHED};
    void *taken = address(in[1]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tn_crossing how[4] = {{77, 77}, {77, 77}, {77, 77}, {77, 77}};
        t.answer = cases[i].returned;
        FAILS(tn_function_call(f, 2, in, 2, out, how, how + 2), cases[i].expected); /* what the body left is released: see finish() */
        CHECK(out[0] == UNTOUCHED && out[1] == UNTOUCHED && how[0].how == 77 && how[2].how == 77);
        CHECK(unique(in[0]) && unique(in[1]) && address(in[1]) == taken && HOLDS(in[0], 0, 1, 2, 3));
        CHECK(try_write(in[0], TN_WRITE_UNIQUE) == TN_OK && try_write(in[1], TN_WRITE_UNIQUE) == TN_OK);
    }
    CHECK(t.runs == (int)(sizeof cases / sizeof *cases));
    drop(in[0]);
    drop(in[1]);
    end_function(f);
}

/* ---- what a body may do ---- */

static tn_status calls_itself(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)update;
    t->runs++;
    if (t->depth == 0) {
        out[0] = clone(in[0]);
        return t->answer;
    }
    t->depth--;
    /* Its argument is lent: it can be passed on. */
    return tn_function_call(t->self, 1, in, 1, out, NULL, NULL);
}

static void recursion(void) /* FN-17, FN-36 */
{
    trace t = {.depth = 9};
    plan p = planned(calls_itself, &t);
    takes(&p, "x", NONE);
    gives(&p, "y", NONE);
    t.self = made(&p);
    tn_array *x = numbers(NULL, SHAPE(4)), *y = UNTOUCHED;
    OK(tn_function_call(t.self, 1, &x, 1, &y, NULL, NULL));
    CHECK(t.runs == 10 && HOLDS(y, 0, 1, 2, 3) && unique(x) && unique(y) && !overlap(x, y));
    drop(y);
    y = UNTOUCHED;
    t.depth = 5;
    t.answer = TN_ERR_LAYOUT; /* the innermost one fails: so do all of them */
    FAILS(tn_function_call(t.self, 1, &x, 1, &y, NULL, NULL), TN_ERR_LAYOUT);
    CHECK(t.runs == 16 && unique(x) && y == UNTOUCHED);
    drop(x);
    end_function(t.self);
}

static tn_status does_everything(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)in, (void)update;
    t->runs++;
    tn_pool *pool = own_pool("inside");
    drop(numbers(pool, SHAPE(100)));
    OK(tn_pool_release(pool));
    tn_shared *shared = counting("inside", SHAPE(2));
    end_shared(shared);
    size_t n = 0;
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &n));
    OK(tn_report_json(0, 0, NULL, &n));
    trace inner = {0};
    plan p = planned(nothing, &inner);
    p.options.release = note_release;
    tn_function *f = made(&p);
    OK(run(f));
    end_function(f);
    CHECK(inner.runs == 1 && inner.released == 1);
    out[0] = numbers(NULL, SHAPE(1));
    return TN_OK;
}

static void any_call_in_a_body(void) /* FN-17 */
{
    trace t = {0};
    plan p = planned(does_everything, &t);
    gives(&p, "out", NONE);
    tn_function *f = made(&p);
    drop(output_of(f, NULL, NULL));
    end_function(f);
}

static tn_status releases_itself(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)in, (void)update;
    t->runs++;
    tn_function *self = t->self;
    OK(tn_function_release(self));
    FAILS(tn_function_release(self), TN_ERR_STALE);
    FAILS(tn_function_call(self, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_STALE);
    CHECK(t->released == 0);
    out[0] = numbers(NULL, SHAPE(3));
    return t->answer;
}

static void released_during_its_call(void) /* FN-1, FN-40 */
{
    for (int fails = 0; fails < 2; fails++) {
        trace t = {.answer = fails ? TN_ERR_IO : TN_OK};
        tn_shared *w = counting("w", SHAPE(4));
        plan p = planned(releases_itself, &t);
        p.options.release = note_release;
        gives(&p, "out", TN_BORROW | TN_REUSE);
        assigns(&p, w, TN_REUSE);
        t.self = made(&p);
        end_shared(w); /* the function keeps it */
        tn_array *out = UNTOUCHED;
        CHECK(tn_function_call(t.self, 0, NULL, 1, &out, NULL, NULL) == t.answer);
        CHECK(t.runs == 1 && t.released == 1);
        if (!fails) {
            CHECK(HOLDS(out, 0, 1, 2));
            drop(out);
        }
    }
}

static void wrong_releases(void)
{
    tn_array *array = numbers(NULL, SHAPE(4));
    FAILS(tn_function_release(NULL), TN_ERR_NULL);
    FAILS(tn_function_release((tn_function *)array), TN_ERR_KIND);
    trace t = {0};
    plan p = planned(nothing, &t);
    tn_function *f = made(&p);
    FAILS(tn_array_release((tn_array *)f), TN_ERR_KIND);
    FAILS(tn_shared_release((tn_shared *)f), TN_ERR_KIND);
    OK(run(f));
    end_function(f);
    CHECK(t.runs == 1);
    drop(array);
}

static tn_status reads_variable(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    trace *t = context;
    (void)update;
    t->runs++;
    out[0] = clone(in[0]);
    return TN_OK;
}

static void implicit_inputs(void) /* FN-2, SV-35, SV-37 */
{
    trace t = {0};
    tn_pool *pool = own_pool("kept");
    tn_array *value = numbers(pool, SHAPE(4));
    tn_shared *w = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
    drop(value);
    plan p = planned(reads_variable, &t);
    takes_value_of(&p, w, NONE);
    gives(&p, "copy", NONE);
    tn_function *f = made(&p);
    tn_array *out = output_of(f, NULL, NULL);
    CHECK(HOLDS(out, 0, 1, 2, 3) && unique(out));
    fill_i64(out, 9);
    OK(tn_shared_set(w, out, NONE, NULL)); /* the value at the time of the call */
    CHECK(facts(w).version == 2);
    drop(out);
    out = output_of(f, NULL, NULL);
    CHECK(HOLDS(out, 9, 9, 9, 9) && facts(w).version == 2); /* reading changes no version */
    drop(out);
    FAILS(tn_function_call(f, 1, &out, 0, NULL, NULL, NULL), TN_ERR_COUNT); /* no place among the arguments */

    end_shared(w); /* the function keeps it alive */
    FAILS(tn_shared_release(w), TN_ERR_STALE);
    FAILS(tn_shared_query(w, &(tn_shared_info){.size = sizeof(tn_shared_info)}), TN_ERR_STALE);
    out = output_of(f, NULL, NULL);
    CHECK(HOLDS(out, 9, 9, 9, 9) && live_bytes(pool) == 32);
    drop(out);
    end_function(f); /* and it ends with the function */
    CHECK(live_bytes(pool) == 0 && t.runs == 3);
    OK(tn_pool_release(pool));
}

/* ---- a variable that cannot be read, copies that are forbidden ---- */

static tn_status spoils(void *context, tn_array *value)
{
    (void)context, (void)value;
    return TN_ERR_IO;
}

static void poisoned_variables(void) /* FN-14, SV-34 */
{
    trace t = {0};
    tn_shared *w = counting("w", SHAPE(4));
    plan reader = planned(reads_variable, &t), writer = planned(nothing, &t);
    takes_value_of(&reader, w, NONE);
    gives(&reader, "copy", NONE);
    assigns(&writer, w, NONE);
    tn_function *reads = made(&reader), *writes = made(&writer);
    FAILS(tn_shared_update(w, TN_MAY_OVERWRITE, spoils, NULL, NULL), TN_ERR_IO);
    tn_array *out = UNTOUCHED;
    FAILS(tn_function_call(reads, 0, NULL, 1, &out, NULL, NULL), TN_ERR_POISONED);
    CHECK(says("\"w\""));
    FAILS(tn_function_call(writes, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_POISONED);
    CHECK(out == UNTOUCHED && t.runs == 0);
    tn_array *fine = numbers(NULL, SHAPE(4));
    OK(tn_shared_set(w, fine, NONE, NULL));
    drop(output_of(reads, NULL, NULL));
    OK(run(writes));
    CHECK(t.runs == 2 && facts(w).version == 2); /* NULL in `update` leaves the version */
    drop(fine);
    end_function(reads);
    end_function(writes);
    end_shared(w);
}

typedef struct {
    int runs;
    int what;
} forbidden;

enum { NEW_OUTPUT, INPUT_AS_OUTPUT };

static tn_status forbidden_body(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    forbidden *f = context;
    f->runs++;
    out[0] = f->what == NEW_OUTPUT ? numbers(NULL, SHAPE(2)) : clone(in[0]);
    update[0] = zeros(NULL, TN_I64, SHAPE(4));
    return TN_OK;
}

/* SV-9: a copy in place of an alias that a flag permits is refused, and the updates of a body that ran for it are dropped. */
static void forbidden_copies(void)
{
    static const struct {
        uint32_t in, out;
        int shared; /* another handle has the argument's bytes */
        int what;
        tn_status expected;
        int runs;
    } cases[] = {
        {TN_MAY_OVERWRITE, NONE, 1, NEW_OUTPUT, TN_ERR_WOULD_COPY, 0},
        {TN_TAKE_OWNERSHIP, NONE, 1, NEW_OUTPUT, TN_ERR_WOULD_COPY, 0},
        {TN_MAY_OVERWRITE, NONE, 0, NEW_OUTPUT, TN_OK, 1},
        {NONE, NONE, 1, NEW_OUTPUT, TN_OK, 1},
        {NONE, NONE, 0, INPUT_AS_OUTPUT, TN_OK, 1}, /* the caller asks for the copy */
        {NONE, TN_BORROW, 0, INPUT_AS_OUTPUT, TN_ERR_WOULD_COPY, 1},
        {TN_BORROW, TN_BORROW, 0, INPUT_AS_OUTPUT, TN_OK, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        forbidden f = {.what = cases[i].what};
        tn_shared *w = counting("w", SHAPE(4));
        plan p = planned(forbidden_body, &f);
        takes(&p, "x", cases[i].in);
        gives(&p, "y", cases[i].out);
        assigns(&p, w, NONE);
        tn_function *function = made(&p);
        tn_array *x = numbers(NULL, SHAPE(4)), *twin = cases[i].shared ? clone(x) : NULL, *out = UNTOUCHED;
        OK(tn_copies_forbid(1));
        tn_status status = tn_function_call(function, 1, &x, 1, &out, NULL, NULL);
        OK(tn_copies_forbid(0));
        CHECK(status == cases[i].expected && f.runs == cases[i].runs);
        if (status == TN_OK) {
            CHECK(facts(w).version == 2);
            drop(out);
        } else {
            CHECK(out == UNTOUCHED && facts(w).version == 1 && counts_from(w, 0, 4) && state_of(x) == TN_OK);
            CHECK(!strncmp(tn_last_error(), "tn_function_call: ", 18));
        }
        drop(x);
        if (twin)
            drop(twin);
        end_function(function);
        end_shared(w);
        if (check_failures > failures)
            fprintf(stderr, "    case %zu: %s\n", i, tn_last_error());
    }
}

static void counted_copies(void) /* SV-9 */
{
    trace t = {0};
    plan p = planned(keeps_default, &t);
    takes(&p, "x", TN_MAY_OVERWRITE);
    gives(&p, "y", NONE);
    tn_function *f = made(&p);
    tn_array *x = numbers(NULL, SHAPE(4)), *twin = clone(x);
    uint64_t before = copies_of("tn_function_call", TN_WHY_SHARED);
    tn_crossing how = {77, 77};
    tn_array *out = output_of(f, x, &how); /* the input is copied; the output takes the copy's bytes */
    CHECK(copies_of("tn_function_call", TN_WHY_SHARED) == before + 1 && crossed(how, ALIAS));
    drop(out);
    drop(twin);
    out = output_of(f, x, &how); /* the output is copied */
    CHECK(copies_of("tn_function_call", TN_WHY_SHARED) == before + 2 && crossed(how, COPY(TN_WHY_SHARED)));
    drop(out);
    drop(x);
    end_function(f);
}

static void copies_of_a_failed_create(void) /* FN-4, SV-9: the copy of a default that is dropped again is not counted */
{
    trace t = {0};
    plan p = planned(nothing, &t);
    tn_array *x = numbers(NULL, SHAPE(4)), *y = numbers(NULL, SHAPE(4));
    takes_default(&p, "x", NONE, x);
    takes_default(&p, "y", NONE, y);
    uint64_t before = copies_of("tn_function_create", 0);
    tn_borrow *guard = writing(y, 0);
    CHECK(try_create(&p) == TN_ERR_BORROWED_WRITE && copies_of("tn_function_create", 0) == before);
    end(guard);
    CHECK(try_create(&p) == TN_OK && copies_of("tn_function_create", 0) == before + 2);
    drop(x);
    drop(y);
}

static void changed_from_outside(void) /* SV-5 */
{
    int64_t memory[4] = {0, 1, 2, 3};
    tn_array *lent = array_of(memory, TN_BORROW, NULL, NULL, SHAPE(4));
    OK(tn_option_set("check_managed", "1"));
    tn_shared *w = NULL;
    tn_shared_options options = {.size = sizeof options, .name = "weights"};
    OK(tn_shared_create(lent, TN_BORROW, &options, &w, NULL));
    trace t = {0};
    plan reader = planned(reads_variable, &t), writer = planned(nothing, &t);
    takes_value_of(&reader, w, NONE);
    gives(&reader, "copy", NONE);
    assigns(&writer, w, NONE);
    tn_function *reads = made(&reader), *writes = made(&writer);
    drop(output_of(reads, NULL, NULL));
    memory[1] = 7;
    tn_array *out = UNTOUCHED;
    FAILS(tn_function_call(reads, 0, NULL, 1, &out, NULL, NULL), TN_ERR_ALIASED);
    CHECK(says("weights") && out == UNTOUCHED && t.runs == 1);
    drop(output_of(reads, NULL, NULL)); /* reported once */
    memory[1] = 8;
    FAILS(tn_function_call(writes, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_ALIASED);
    CHECK(says("weights") && t.runs == 2 && facts(w).version == 1);
    OK(run(writes));
    OK(tn_option_set("check_managed", "0"));
    drop(lent);
    end_function(reads);
    end_function(writes);
    end_shared(w);
}

int main(void)
{
    copies_its_description();
    failed_create_keeps_the_context();
    null_in_a_description();
    wrong_descriptions();
    copies_defaults();
    default_of();
    arguments_cannot_be_written();
    inputs_released_early();
    wrong_calls();
    fewer_outputs();
    answers();
    recursion();
    any_call_in_a_body();
    released_during_its_call();
    wrong_releases();
    implicit_inputs();
    poisoned_variables();
    forbidden_copies();
    counted_copies();
    copies_of_a_failed_create();
    changed_from_outside();
    return finish();
}
