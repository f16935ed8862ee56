/*
 * function_misuse.c - bodies that give away, pass on or release what the call goes on to use, values that a body may not leave as they
 * are, and what becomes of spare buffers (FN-2, FN-4, FN-12 to FN-18, FN-22, FN-23, FN-31, FN-33, FN-35, FN-41, SV-4, SV-9, SV-13, SV-39).
 */
#include "crossings.h"

/* ---- a spare buffer that the body does not leave in its place ---- */

enum passing { GIVEN, GIVEN_RELEASED, GIVEN_LEFT, TAKEN, TAKEN_LEFT, MOVED_INTO_A_VARIABLE, ENTERED, CLONED, EXPORTED, PASSINGS };

typedef struct {
    enum passing passing;
    int runs;
    tn_promise *promise;
    tn_array *kept;
    tn_shared *variable;
    tn_scope *scope;
    tn_borrow *guard;
} passer;

/* In the second call, the body passes on the spare buffer that it found. */
static tn_status passes_the_spare(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    passer *p = context;
    tn_array *spare = out[0];
    (void)in, (void)update;
    p->runs++;
    if (!spare)
        out[0] = numbers(NULL, SHAPE(4));
    if (p->runs != 2)
        return TN_OK;
    CHECK(spare != NULL);
    out[0] = p->passing == GIVEN_LEFT ? spare : numbers(NULL, SHAPE(4));
    switch (p->passing) {
    case GIVEN:
    case GIVEN_LEFT: p->promise = give(spare); break;
    case GIVEN_RELEASED:
        p->promise = give(spare);
        drop(spare);
        break;
    case TAKEN:
    case TAKEN_LEFT:
        p->promise = give(spare);
        p->kept = take(p->promise);
        OK(tn_promise_release(p->promise));
        p->promise = NULL;
        if (p->passing == TAKEN_LEFT) {
            drop(out[0]);
            out[0] = p->kept;
            p->kept = NULL;
        }
        break;
    case MOVED_INTO_A_VARIABLE: p->variable = shared_of(spare, TN_TAKE_OWNERSHIP, ALIAS); break;
    case ENTERED: OK(tn_enter(1, (void *const[]){spare}, &p->kept, &p->scope)); break;
    case CLONED: p->kept = clone(spare); break;
    case EXPORTED: p->guard = exporting(spare, XS); break;
    case PASSINGS: break;
    }
    return TN_OK;
}

static void fill_and_check(size_t n, tn_array *const *arrays)
{
    for (size_t i = 0; i < n; i++)
        fill_i64(arrays[i], 100 + (int64_t)i);
    for (size_t i = 0; i < n; i++) {
        int64_t value = 100 + (int64_t)i;
        CHECK(HOLDS(arrays[i], value, value, value, value));
    }
}

static void spares_passed_on(void) /* FN-35: the function forgets a spare buffer that its body passed on */
{
    for (int passing = 0; passing < PASSINGS; passing++)
        for (size_t n_out = 0; n_out < 2; n_out++) {
            int failures = check_failures;
            passer c = {.passing = (enum passing)passing};
            plan p = planned(passes_the_spare, &c);
            gives(&p, "y", TN_REUSE);
            tn_function *f = made(&p);
            drop(output_of(f, NULL, NULL));
            tn_array *out = NULL;
            tn_status status = tn_function_call(f, 0, NULL, n_out, &out, NULL, NULL);
            CHECK(status == (passing == GIVEN_LEFT ? TN_ERR_FAILED : TN_OK));
            if (out)
                drop(out);
            tn_array *arrays[7] = {numbers(NULL, SHAPE(4)), numbers(NULL, SHAPE(4)), numbers(NULL, SHAPE(4))};
            for (size_t i = 3; i < 6; i++)
                arrays[i] = output_of(f, NULL, NULL);
            size_t n = 6;
            if (c.promise) {
                arrays[n++] = take(c.promise);
                OK(tn_promise_release(c.promise));
            } else if (c.kept && passing != ENTERED) {
                arrays[n++] = c.kept;
            }
            fill_and_check(n, arrays);
            while (n > 0)
                drop(arrays[--n]);
            if (c.variable) {
                CHECK(counts_from(c.variable, 0, 4));
                end_shared(c.variable);
            }
            if (c.scope)
                OK(tn_leave(c.scope, 0, NULL));
            if (c.guard)
                end(c.guard);
            for (int i = 0; i < 3; i++)
                drop(output_of(f, NULL, NULL));
            end_function(f);
            if (check_failures > failures)
                fprintf(stderr, "    in case %d with %zu outputs\n", passing, n_out);
        }
}

typedef struct {
    int runs;
    tn_weak *weak;
} observer;

/* Each call finds the spare buffer; the second one does not use it, and keeps a weak handle on it. */
static tn_status observes(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    observer *o = context;
    (void)in, (void)update;
    if (++o->runs == 2) {
        OK(tn_array_weaken(out[0], &o->weak));
        out[0] = numbers(NULL, SHAPE(4));
    }
    if (!out[0])
        out[0] = numbers(NULL, SHAPE(4));
    return TN_OK;
}

static void weak_handle_on_a_spare(void) /* FN-35: it ends when the buffer is offered again, for it would name another value */
{
    observer o = {0};
    plan p = planned(observes, &o);
    gives(&p, "y", TN_REUSE);
    tn_function *f = made(&p);
    for (int i = 0; i < 2; i++)
        drop(output_of(f, NULL, NULL));
    for (int i = 0; i < 2; i++) {
        tn_array *out[2] = {output_of(f, NULL, NULL), output_of(f, NULL, NULL)}, *upgraded = UNTOUCHED;
        CHECK(tn_weak_upgrade(o.weak, &upgraded) != TN_OK && upgraded == UNTOUCHED);
        drop(out[0]);
        drop(out[1]);
    }
    OK(tn_weak_release(o.weak));
    end_function(f);
}

enum use { LEAVES_FOUND, LEAVES_NEW, LEAVES_NEW_AND_UPDATES, LEAVES_NEW_IN_AN_EXPRESSION };

typedef struct {
    enum use use;
    void *found;
    tn_array *handle;
    tn_expr *leaf;
    tn_borrow *guard;
} user;

static tn_status uses_spares(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    user *u = context;
    (void)in;
    u->found = out[0] ? address(out[0]) : NULL;
    u->handle = out[0];
    if (u->use != LEAVES_FOUND || !out[0])
        out[0] = zeros(NULL, TN_F64, SHAPE(4));
    if (u->use == LEAVES_NEW_AND_UPDATES)
        update[0] = out[0];
    if (u->use == LEAVES_NEW_IN_AN_EXPRESSION) {
        OK(tn_expr_leaf(out[0], TN_FORM_FULL, &u->leaf));
        u->guard = exporting(out[0], XR);
    }
    return TN_OK;
}

static tn_status succeeds(void *context, tn_array *value)
{
    (void)context, (void)value;
    return TN_OK;
}

static void spares_not_used(void) /* FN-18, FN-35: an unused spare and an unwanted output are found by a later call */
{
    user u = {.use = LEAVES_FOUND};
    tn_array *zero = zeros(NULL, TN_F64, SHAPE(4));
    tn_shared *v = shared_of(zero, NONE, COPY(0));
    plan p = planned(uses_spares, &u);
    gives(&p, "y", TN_REUSE);
    assigns(&p, v, NONE);
    tn_function *f = made(&p);
    tn_array *out = output_of(f, NULL, NULL);
    void *first = address(out);
    drop(out);

    u.use = LEAVES_NEW;
    out = output_of(f, NULL, NULL); /* the caller has this one, so the next call finds the first */
    CHECK(u.found == first && address(out) != first);
    FAILS(tn_array_release(u.handle), TN_ERR_STALE); /* the body's handle on it has ended */
    u.use = LEAVES_FOUND;
    OK(run(f)); /* the output is unwanted */
    CHECK(u.found == first);
    OK(run(f));
    CHECK(u.found == first);
    drop(out);

    u.use = LEAVES_NEW_AND_UPDATES; /* an unwanted output that is the variable's new value is that alone */
    OK(run(f));
    tn_crossing how = {0};
    OK(tn_shared_update(v, TN_MAY_OVERWRITE, succeeds, NULL, &how));
    CHECK(crossed(how, ALIAS));

    u.use = LEAVES_NEW_IN_AN_EXPRESSION; /* FN-22: somebody else holds the new array */
    out = output_of(f, NULL, &how);
    CHECK(crossed(how, COPY(TN_WHY_SHARED)) && unique(out));
    OK(tn_expr_release(u.leaf));
    end(u.guard);
    drop(out);
    end_function(f);
    end_shared(v);
    drop(zero);
}

static void spares_of_callers(void) /* FN-23, FN-35: what the caller did with the output decides */
{
    user u = {.use = LEAVES_FOUND};
    plan p = planned(uses_spares, &u);
    gives(&p, "y", TN_REUSE);
    tn_function *f = made(&p);
    tn_array *out = output_of(f, NULL, NULL);
    void *first = address(out);
    tn_borrow *guard = exporting(out, XR);
    drop(out); /* the export has it */
    out = output_of(f, NULL, NULL);
    CHECK(u.found == NULL && address(out) != first);
    end(guard);
    poison(out);
    drop(out);
    out = output_of(f, NULL, NULL);
    CHECK(u.found == first);
    tn_array *third = output_of(f, NULL, NULL);
    CHECK(u.found == NULL); /* the other one is poisoned */
    drop(third);
    uint64_t live = live_bytes(NULL);
    OK(tn_pool_trim(NULL, 0, NULL)); /* drops those two, and not what the caller has */
    CHECK(live_bytes(NULL) == live - 2 * 4 * sizeof(double));
    drop(out);
    out = output_of(f, NULL, NULL);
    CHECK(u.found == first);
    drop(out);
    end_function(f);
}

static int releases;

static void counts_release(void *context)
{
    (void)context;
    releases++;
}

static int64_t foreign_bytes[2][4];

static tn_array *foreign(void *bytes)
{
    return array_of(bytes, TN_BORROW, counts_release, NULL, SHAPE(4));
}

static tn_status writes_what_it_finds(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *found = context;
    (void)in;
    *found += update[0] != NULL;
    if (!update[0])
        update[0] = zeros(NULL, TN_I64, SHAPE(4));
    fill_i64(update[0], 5);
    out[0] = foreign(foreign_bytes[1]);
    return TN_OK;
}

static void foreign_spares(void) /* FN-35, SV-39: the lender gets its bytes back, and no body finds them */
{
    int found = 0;
    tn_array *value = foreign(foreign_bytes[0]), *out = NULL;
    tn_shared *v = shared_of(value, TN_BORROW, ALIAS);
    drop(value);
    plan p = planned(writes_what_it_finds, &found);
    gives(&p, "y", TN_REUSE);
    assigns(&p, v, TN_REUSE);
    tn_function *f = made(&p);
    for (int call = 1; call < 4; call++) {
        OK(tn_function_call(f, 0, NULL, 1, &out, NULL, NULL));
        drop(out);
        CHECK(releases == call + 1 && foreign_bytes[0][0] == 0 && foreign_bytes[0][3] == 0);
    }
    CHECK(found == 1); /* in the third call, what the second one replaced */
    end_function(f);
    end_shared(v);
}

static int64_t extent;

static tn_status makes_anew(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)in;
    out[0] = zeros(NULL, TN_I64, SHAPE(extent));
    update[0] = zeros(NULL, TN_I64, SHAPE(extent));
    return TN_OK;
}

static void spares_of_another_layout(void) /* FN-35: spares are of the layout of the last value, also if the body does not use them */
{
    for (size_t n_out = 0; n_out < 2; n_out++) {
        tn_pool *pool = own_pool("layouts");
        OK(tn_pool_set_current(pool));
        tn_shared *v = counting("v", SHAPE(1000));
        plan p = planned(makes_anew, NULL);
        gives(&p, "y", TN_REUSE);
        assigns(&p, v, TN_REUSE);
        tn_function *f = made(&p);
        for (int i = 0; i < 4; i++) {
            tn_array *out = NULL;
            extent = i < 2 ? 1000 : 8;
            OK(tn_function_call(f, 0, NULL, n_out, &out, NULL, NULL));
            if (out)
                drop(out);
        }
        /* two of the output, the value, and the one before that */
        CHECK(live_bytes(pool) == 4 * 8 * sizeof(int64_t));
        end_function(f);
        end_shared(v);
        end_own_pool(pool);
    }
}

static tn_status fails(void *context, tn_array *value)
{
    (void)context;
    fill_i64(value, 1);
    return TN_ERR_IO;
}

static void one_of_several_values_is_undefined(void) /* FN-2: the handles on the other values end */
{
    int runs = 0;
    tn_shared *v[3] = {counting("a", SHAPE(4)), counting("b", SHAPE(4)), counting("c", SHAPE(4))};
    plan p = planned(only_runs, &runs);
    for (int i = 0; i < 3; i++)
        takes_value_of(&p, v[i], NONE);
    tn_function *f = made(&p);
    FAILS(tn_shared_update(v[2], TN_MAY_OVERWRITE, fails, NULL, NULL), TN_ERR_IO);
    FAILS(run(f), TN_ERR_POISONED);
    CHECK(runs == 0 && says("in[2]"));
    for (int i = 0; i < 2; i++) {
        tn_crossing how = {0};
        OK(tn_shared_update(v[i], TN_MAY_OVERWRITE, succeeds, NULL, &how));
        CHECK(crossed(how, ALIAS));
    }
    end_function(f);
    for (int i = 0; i < 3; i++)
        end_shared(v[i]);
}

/* ---- an output that is released before the caller gets it ---- */

static void releases_the_output(void *context)
{
    drop(*(tn_array **)context);
}

static tn_status leaves_with_a_trap(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    static int64_t bytes[4];
    (void)in, (void)update;
    *(tn_array **)context = out[0] = numbers(NULL, SHAPE(4));
    out[1] = array_of(bytes, TN_BORROW, releases_the_output, context, SHAPE(4));
    return TN_OK;
}

static void output_released_meanwhile(void) /* FN-16: the handle was the library's; that is a stale handle, and no more */
{
    for (int reuse = 0; reuse < 2; reuse++) {
        tn_array *left = NULL, *out = NULL;
        plan p = planned(leaves_with_a_trap, &left);
        gives(&p, "y", reuse ? TN_REUSE : NONE);
        gives(&p, "unwanted", NONE);
        tn_function *f = made(&p);
        OK(tn_function_call(f, 0, NULL, 1, &out, NULL, NULL));
        FAILS(tn_array_release(out), TN_ERR_STALE);
        end_function(f);
    }
}

/* ---- values that an update may not have as they are ---- */

static tn_status updates_with_its_input(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out;
    update[0] = in[0];
    return TN_OK;
}

static void default_becomes_a_value(void) /* FN-13: the variable gets a copy, whoever can write that value later */
{
    tn_shared *v = counting("v", SHAPE(4));
    tn_array *nines = zeros(NULL, TN_I64, SHAPE(4)), *none = NULL, *fresh = numbers(NULL, SHAPE(4));
    fill_i64(nines, 9);
    plan p = planned(updates_with_its_input, NULL);
    takes_default(&p, "x", TN_TAKE_OWNERSHIP, nines);
    assigns(&p, v, NONE);
    tn_function *f = made(&p);
    for (int round = 0; round < 3; round++) {
        OK(tn_function_call(f, 1, &none, 0, NULL, NULL, NULL));
        tn_array *value = got(v, TN_BORROW, ALIAS);
        CHECK(HOLDS(value, 9, 9, 9, 9));
        OK(tn_shared_set(v, fresh, NONE, NULL));
        fill_i64(value, 1); /* the variable has let go */
        drop(value);
    }
    end_function(f);
    end_shared(v);
    drop(nines);
    drop(fresh);
}

static tn_status is_c(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)out, (void)update;
    *(uint32_t *)context = info_of(in[0]).flags;
    return TN_OK;
}

static void strict_default(void) /* FN-4: the copy of the default is made as the input is declared */
{
    tn_array *columns = numbers_in(NULL, TN_ORDER_F, SHAPE(2, 3)), *none = NULL;
    for (int strict = 0; strict < 2; strict++) {
        uint32_t flags = 0;
        plan p = planned(is_c, &flags);
        takes_default(&p, "x", strict ? TN_STRICT : NONE, columns);
        tn_function *f = made(&p);
        OK(tn_function_call(f, 1, &none, 0, NULL, NULL, NULL));
        CHECK(((flags & TN_C_CONTIGUOUS) != 0) == strict);
        end_function(f);
    }
    drop(columns);
}

static tn_status stretches(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)in, (void)out;
    tn_array *row = part(update[0], 0, 1, 1);
    update[0] = broadcast(row, SHAPE(2, 3));
    drop(row);
    return TN_OK;
}

static void stretched_value(void) /* SV-13: also where the stretched bytes are the variable's own, lent to the body */
{
    for (int lent = 0; lent < 2; lent++) {
        tn_shared *v = counting("v", SHAPE(2, 3));
        plan p = planned(stretches, NULL);
        assigns(&p, v, TN_MAY_OVERWRITE);
        tn_function *f = made(&p);
        tn_array *holder = lent ? NULL : got(v, TN_BORROW, ALIAS);
        OK(run(f));
        tn_array *value = got(v, TN_BORROW, ALIAS);
        CHECK(HOLDS(value, 0, 1, 2, 0, 1, 2) && info_of(value).strides[0] == 3 * (int64_t)sizeof(int64_t));
        drop(value);
        if (holder)
            drop(holder);
        end_function(f);
        end_shared(v);
    }
}

/* ---- lent values that the body leaves open, forgets or passes on ---- */

enum forgetting { WRITES_AND_LEAVES_NULL, WRITES_THROUGH_AN_EXPORT, LEAVES_NULL, LEAVES_AN_EXPORT, FORGETTING };

typedef struct {
    enum forgetting forgetting;
    tn_borrow *guard;
} forgetter;

static tn_status forgets(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    forgetter *f = context;
    (void)in, (void)out;
    if (f->forgetting == LEAVES_AN_EXPORT) {
        f->guard = exporting(update[0], XS);
        return TN_OK;
    }
    if (f->forgetting == WRITES_AND_LEAVES_NULL)
        fill_i64(update[0], 7);
    if (f->forgetting == WRITES_THROUGH_AN_EXPORT) { /* as NumPy does with a view that it drops again */
        tn_view_info view;
        tn_borrow *guard = NULL;
        OK(tn_array_export_host(update[0], XS, 0, NULL, &view, &guard, NULL));
        ((int64_t *)view.data)[0] = 7;
        end(guard);
    }
    update[0] = NULL;
    return TN_OK;
}

static void lent_value_left(void) /* FN-14, FN-15, FN-33 */
{
    for (int forgetting = 0; forgetting < FORGETTING; forgetting++) {
        forgetter c = {.forgetting = (enum forgetting)forgetting};
        tn_shared *v = counting("v", SHAPE(4));
        void *before = address_in(v);
        plan p = planned(forgets, &c);
        assigns(&p, v, TN_MAY_OVERWRITE);
        tn_function *f = made(&p);
        int written = forgetting == WRITES_AND_LEAVES_NULL || forgetting == WRITES_THROUGH_AN_EXPORT;
        int open = forgetting == LEAVES_AN_EXPORT;
        CHECK(run(f) == (written ? TN_ERR_FAILED : TN_OK));
        if (written)
            CHECK(says("update[0]") && facts(v).is_poisoned && facts(v).version == 1);
        else
            CHECK(facts(v).version == (open ? 2 : 1) && (address_in(v) == before) == !open && counts_from(v, 0, 4));
        if (c.guard)
            end(c.guard);
        end_function(f);
        end_shared(v);
    }
}

typedef struct {
    tn_function *taker;
    tn_status write;
} nested;

static tn_status passes_a_clone(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    nested *n = context;
    (void)in, (void)out;
    tn_array *copied = clone(update[0]);
    tn_crossing how = {0};
    OK(tn_function_call(n->taker, 1, &copied, 0, NULL, &how, NULL));
    CHECK(crossed(how, COPY(TN_WHY_SHARED)));
    drop(copied);
    n->write = try_write(update[0], 0);
    return TN_OK;
}

static void clone_of_a_lent_value_passed(void) /* FN-17: the body can still write the value */
{
    int runs = 0;
    plan inner = planned(only_runs, &runs);
    takes(&inner, "x", TN_TAKE_OWNERSHIP);
    nested n = {.taker = made(&inner)};
    tn_shared *v = counting("v", SHAPE(4));
    plan p = planned(passes_a_clone, &n);
    assigns(&p, v, TN_MAY_OVERWRITE);
    tn_function *f = made(&p);
    OK(run(f));
    CHECK(runs == 1 && n.write == TN_OK);
    end_function(f);
    end_function(n.taker);
    end_shared(v);
}

/* ---- one input in several places ---- */

typedef struct {
    int updates, keeps;
    tn_array *kept;
} leaver;

static tn_status leaves_its_input(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    leaver *l = context;
    out[0] = in[0];
    if (l->updates)
        update[0] = in[0];
    if (l->keeps)
        l->kept = clone(in[0]);
    return TN_OK;
}

static void taken_input_left(void) /* FN-22: it is handed out only if nobody else has it */
{
    for (int kind = 0; kind < 3; kind++) {
        leaver l = {.updates = kind == 1, .keeps = kind == 2};
        tn_shared *v = counting("v", SHAPE(4));
        plan p = planned(leaves_its_input, &l);
        takes(&p, "x", TN_TAKE_OWNERSHIP);
        gives(&p, "y", NONE);
        assigns(&p, v, NONE);
        tn_function *f = made(&p);
        tn_array *x = numbers(NULL, SHAPE(4));
        tn_crossing how = {0};
        tn_array *out = output_of(f, x, &how);
        CHECK(crossed(how, kind ? COPY(TN_WHY_SHARED) : ALIAS) && unique(out));
        CHECK(facts(v).version == (l.updates ? 2 : 1));
        if (l.kept) {
            CHECK(!overlap(l.kept, out));
            drop(l.kept);
        }
        drop(x);
        drop(out);
        end_function(f);
        end_shared(v);
    }
}

static void borrowed_input_left(void) /* FN-22: the alias can write what the argument can write */
{
    for (int read_only = 0; read_only < 2; read_only++) {
        leaver l = {0};
        plan p = planned(leaves_its_input, &l);
        takes(&p, "x", TN_BORROW);
        gives(&p, "y", TN_BORROW);
        tn_function *f = made(&p);
        state s = read_only ? readonly() : alone();
        tn_crossing how = {0};
        tn_array *out = output_of(f, s.value, &how);
        CHECK(crossed(how, ALIAS) && overlap(out, s.value));
        CHECK(try_write(out, 0) == (read_only ? TN_ERR_READONLY : TN_OK));
        drop(out);
        end_state(&s);
        end_function(f);
    }
}

static tn_status leaves_its_input_twice(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)update;
    out[0] = clone(in[0]);
    out[1] = clone(in[0]);
    return TN_OK;
}

/* FN-22, the second line of the table: bytes of an input of which another output has a copy are nobody's but the caller's. */
static void input_left_twice(void)
{
    for (int first = 0; first < 2; first++) {
        for (int required = 0; required < 2; required++) {
            const uint32_t borrows = required ? TN_REQUIRE_BORROW : TN_BORROW;
            plan p = planned(leaves_its_input_twice, NULL);
            takes(&p, "x", TN_BORROW);
            gives(&p, "y", first ? borrows : NONE);
            gives(&p, "z", first ? NONE : borrows);
            tn_function *f = made(&p);
            tn_array *x = numbers(NULL, SHAPE(4)), *out[2] = {NULL, NULL};
            tn_crossing how[2];
            OK(tn_function_call(f, 1, &x, 2, out, NULL, how));
            CHECK(crossed(how[!first], ALIAS) && crossed(how[first], COPY(TN_WHY_SHARED)));
            CHECK(overlap(out[!first], x) && !overlap(out[first], x) && HOLDS(out[first], 0, 1, 2, 3));
            drop(out[0]);
            drop(out[1]);
            drop(x);
            end_function(f);
        }
    }
}

static tn_status leaves_a_stretched_view(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)update;
    out[0] = broadcast(in[0], SHAPE(2, 4));
    return TN_OK;
}

static void stretched_input_left(void) /* FN-22: an alias whose elements share bytes cannot be written */
{
    plan p = planned(leaves_a_stretched_view, NULL);
    takes(&p, "x", TN_BORROW);
    gives(&p, "y", TN_BORROW);
    tn_function *f = made(&p);
    tn_array *x = numbers(NULL, SHAPE(4));
    tn_crossing how = {0};
    tn_array *out = output_of(f, x, &how);
    CHECK(crossed(how, ALIAS) && overlap(out, x) && try_write(out, 0) == TN_ERR_READONLY);
    drop(out);
    drop(x);
    end_function(f);
}

static void argument_twice_beside_a_writer(void) /* FN-12: it is one holder, so the caller's other handle prevents the alias */
{
    int runs = 0;
    plan p = planned(only_runs, &runs);
    takes(&p, "written", TN_MAY_OVERWRITE);
    takes(&p, "first", NONE);
    takes(&p, "second", NONE);
    tn_function *f = made(&p);
    tn_array *whole = numbers(NULL, SHAPE(8)), *even = part(whole, 0, TN_NONE, 2), *odd = part(whole, 1, TN_NONE, 2);
    tn_array *arguments[3] = {even, odd, odd};
    for (int alone = 0; alone < 2; alone++) {
        tn_crossing how[3] = {{0}};
        OK(tn_function_call(f, 3, arguments, 0, NULL, how, NULL));
        CHECK(crossed(how[0], alone ? ALIAS : COPY(TN_WHY_SHARED)) && crossed(how[1], ALIAS) && crossed(how[2], ALIAS));
        if (!alone)
            drop(whole);
    }
    CHECK(runs == 2);
    drop(even);
    drop(odd);
    end_function(f);
}

static tn_status leaves_a_value_and_a_view(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out;
    update[0] = in[0];
    update[1] = part(in[0], TN_NONE, TN_NONE, -1);
    return TN_OK;
}

static void value_that_stays(void) /* FN-32: a variable with a view of its own value keeps the buffer, in whatever order */
{
    tn_shared *a = counting("a", SHAPE(4)), *b = counting("b", SHAPE(4));
    void *of_a = address_in(a);
    plan p = planned(leaves_a_value_and_a_view, NULL);
    takes_value_of(&p, a, NONE);
    assigns(&p, b, NONE);
    assigns(&p, a, NONE);
    tn_function *f = made(&p);
    OK(run(f));
    tn_array *of_b = got(b, TN_BORROW, ALIAS), *turned = got(a, TN_BORROW, ALIAS);
    CHECK(HOLDS(of_b, 0, 1, 2, 3) && HOLDS(turned, 3, 2, 1, 0) && !overlap(of_b, turned));
    CHECK((char *)address(turned) == (char *)of_a + 3 * sizeof(int64_t));
    drop(of_b);
    drop(turned);
    end_function(f);
    end_shared(a);
    end_shared(b);
}

static tn_status leaves_its_input_and_looks(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)update;
    *(void **)context = out[0] ? address(out[0]) : NULL;
    if (!out[0])
        out[0] = in[0];
    return TN_OK;
}

static void copied_output_reused(void) /* FN-35: the copy that the caller got is a spare as well */
{
    void *found = NULL;
    plan p = planned(leaves_its_input_and_looks, &found);
    takes(&p, "x", NONE);
    gives(&p, "y", TN_REUSE);
    tn_function *f = made(&p);
    tn_array *x = numbers(NULL, SHAPE(4));
    tn_array *out = output_of(f, x, NULL);
    void *copy = address(out);
    drop(out);
    out = output_of(f, x, NULL);
    CHECK(copy != address(x) && found == copy && address(out) == copy);
    drop(out);
    drop(x);
    end_function(f);
}

static void value_required(void) /* FN-12, FN-41: the message names the variable that has the bytes */
{
    int runs = 0;
    plan p = planned(only_runs, &runs);
    takes(&p, "x", TN_MAY_OVERWRITE | REQUIRE);
    tn_function *f = made(&p);
    tn_shared *v = counting("owner", SHAPE(4));
    tn_array *x = got(v, TN_BORROW, ALIAS);
    FAILS(tn_function_call(f, 1, &x, 0, NULL, NULL, NULL), TN_ERR_SHARED);
    CHECK(runs == 0 && says("in[0] \"x\"") && says("the shared variable \"owner\""));
    drop(x);
    end_function(f);
    end_shared(v);
}

/* ---- copies that a thread forbids ---- */

static void forbidden_copies(void) /* SV-9: before the body for a lent value, after it for a new one; nothing changes */
{
    int runs = 0;
    tn_shared *v = counting("v", SHAPE(4));
    tn_array *holder = got(v, TN_BORROW, ALIAS), *x = numbers(NULL, SHAPE(4));
    plan p = planned(only_runs, &runs);
    assigns(&p, v, TN_MAY_OVERWRITE);
    tn_function *lends = made(&p);
    p = planned(updates_with_its_input, NULL);
    takes(&p, "x", TN_BORROW);
    assigns(&p, v, NONE);
    tn_function *assigns_input = made(&p);
    OK(tn_copies_forbid(1));
    FAILS(run(lends), TN_ERR_WOULD_COPY);
    FAILS(tn_function_call(assigns_input, 1, &x, 0, NULL, NULL, NULL), TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
    CHECK(runs == 0 && facts(v).version == 1 && HOLDS(x, 0, 1, 2, 3));
    OK(tn_function_call(assigns_input, 1, &x, 0, NULL, NULL, NULL));
    CHECK(facts(v).version == 2);
    end_function(lends);
    end_function(assigns_input);
    drop(holder);
    drop(x);
    end_shared(v);
}

static tn_status returns_it(void *status, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)in, (void)out, (void)update;
    return *(tn_status *)status;
}

/* FN-41, ER-2: a copy that is forbidden is the last reason of all arguments, and the list of statuses decides before the position. */
static void forbidden_after_refusals(void)
{
    tn_status status = TN_OK;
    tn_array *x[2] = {numbers(NULL, SHAPE(4)), numbers(NULL, SHAPE(4))};
    tn_array *twins[2] = {clone(x[0]), NULL};
    plan p = planned(returns_it, &status);
    takes(&p, "x", TN_MAY_OVERWRITE);
    takes(&p, "y", TN_MAY_OVERWRITE | TN_REQUIRE_BORROW);
    tn_function *f = made(&p);
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(x[1], 0, NULL, NULL, NULL, &guard));
    for (int forbidden = 0; forbidden < 2; forbidden++) {
        if (forbidden)
            OK(tn_copies_forbid(1));
        FAILS(tn_function_call(f, 2, x, 0, NULL, NULL, NULL), TN_ERR_BORROWED);
    }
    end(guard);
    twins[1] = clone(x[1]);
    FAILS(tn_function_call(f, 2, x, 0, NULL, NULL, NULL), TN_ERR_SHARED);
    drop(twins[1]);
    FAILS(tn_function_call(f, 2, x, 0, NULL, NULL, NULL), TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
    OK(tn_function_call(f, 2, x, 0, NULL, NULL, NULL));
    end_function(f);
    drop(twins[0]);
    drop(x[0]);
    drop(x[1]);
}

static uint64_t copies_counted(void)
{
    static tn_copy_site book[64];
    size_t n = 0;
    uint64_t sum = 0;
    OK(tn_copies_query(sizeof(tn_copy_site), 64, book, &n));
    CHECK(n <= 64);
    for (size_t i = 0; i < n; i++)
        sum += book[i].count;
    return sum;
}

/* CP-1: a call that fails has no crossing, so none of its copies is counted: of an argument, and of what an update finds. */
static void failed_calls_count_no_copy(void)
{
    tn_status status = TN_ERR_IO;
    tn_array *x = numbers(NULL, SHAPE(4)), *twin = clone(x);
    tn_shared *v = counting("v", SHAPE(4));
    tn_array *holder = got(v, TN_BORROW, ALIAS);
    plan p = planned(returns_it, &status);
    takes(&p, "x", TN_MAY_OVERWRITE);
    assigns(&p, v, TN_MAY_OVERWRITE);
    tn_function *f = made(&p);
    const uint64_t before = copies_counted();
    FAILS(tn_function_call(f, 1, &x, 0, NULL, NULL, NULL), TN_ERR_IO);
    CHECK(copies_counted() == before);
    status = TN_OK;
    OK(tn_function_call(f, 1, &x, 0, NULL, NULL, NULL));
    CHECK(copies_counted() == before + 2);
    end_function(f);
    drop(holder);
    drop(twin);
    drop(x);
    end_shared(v);
}

/* ---- lent values that change places ---- */

typedef struct {
    int writes, fails;
} swapping;

static tn_status swaps(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    swapping *s = context;
    (void)in, (void)out;
    if (s->writes)
        fill_i64(update[0], 7);
    tn_array *first = update[0];
    update[0] = update[1];
    update[1] = first;
    return s->fails ? TN_ERR_IO : TN_OK;
}

static void lent_values_swapped(void) /* FN-31: lent values are exchanged like others, and FN-14: a failure poisons what was written */
{
    for (int kind = 0; kind < 4; kind++) {
        swapping s = {.writes = kind & 1, .fails = kind & 2};
        tn_shared *a = counting("a", SHAPE(4)), *b = counting("b", SHAPE(4));
        void *of_a = address_in(a), *of_b = address_in(b);
        uint64_t before = copies_of("tn_function_call", TN_WHY_SHARED);
        plan p = planned(swaps, &s);
        assigns(&p, a, TN_MAY_OVERWRITE);
        assigns(&p, b, TN_MAY_OVERWRITE);
        tn_function *f = made(&p);
        CHECK(run(f) == (s.fails ? TN_ERR_IO : TN_OK));
        CHECK(copies_of("tn_function_call", TN_WHY_SHARED) == before);
        CHECK(facts(a).is_poisoned == (s.fails && s.writes) && !facts(b).is_poisoned);
        if (!s.fails) {
            CHECK(address_in(a) == of_b && address_in(b) == of_a && counts_from(a, 0, 4));
            OK(run(f)); /* each can be lent again */
            CHECK(address_in(a) == of_a && address_in(b) == of_b);
            tn_array *value = got(a, TN_BORROW, ALIAS);
            CHECK(try_write(value, 0) == TN_ERR_SHARED);
            drop(value);
        }
        end_function(f);
        end_shared(a);
        end_shared(b);
    }
}

/* ---- a former value that another thread borrows before the commit ---- */

typedef struct {
    tn_shared *variable;
    tn_array *filler, *borrowed;
} borrower;

static size_t borrows(void *context, size_t needed, tn_pressure reason)
{
    borrower *b = context;
    (void)needed, (void)reason;
    if (!b->borrowed)
        b->borrowed = got(b->variable, TN_BORROW, ALIAS);
    drop(b->filler);
    return 1;
}

static tn_status hands_out_the_old_value(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context;
    out[0] = in[1];
    out[1] = in[0];
    update[0] = zeros(NULL, TN_I64, SHAPE(4));
    return TN_OK;
}

static void borrowed_before_the_commit(void) /* FN-22, SV-4: the copy of the second output runs the pressure callback */
{
    tn_pool *pool = limited_pool("small", 1 << 20);
    borrower b = {.variable = counting("v", SHAPE(4)), .filler = numbers(pool, SHAPE(80000))};
    plan p = planned(hands_out_the_old_value, NULL);
    takes(&p, "x", NONE);
    takes_value_of(&p, b.variable, NONE);
    gives(&p, "old", NONE);
    gives(&p, "y", NONE);
    assigns(&p, b.variable, NONE);
    tn_function *f = made(&p);
    tn_array *x = numbers(NULL, SHAPE(100000)), *out[2];
    tn_crossing how[2];
    OK(tn_pool_on_pressure(pool, borrows, &b, NULL));
    OK(tn_pool_set_current(pool));
    OK(tn_function_call(f, 1, &x, 2, out, NULL, how));
    CHECK(b.borrowed && crossed(how[0], COPY(TN_WHY_SHARED)) && unique(out[0]) && HOLDS(out[0], 0, 1, 2, 3));
    fill_i64(out[0], 7);
    CHECK(HOLDS(b.borrowed, 0, 1, 2, 3));
    OK(tn_pool_off_pressure(pool, borrows, &b));
    OK(tn_pool_set_current(NULL));
    drop(x);
    drop(out[0]);
    drop(out[1]);
    drop(b.borrowed);
    end_function(f);
    end_shared(b.variable);
    OK(tn_pool_release(pool));
}

int main(void)
{
    spares_passed_on();
    weak_handle_on_a_spare();
    spares_not_used();
    spares_of_callers();
    foreign_spares();
    spares_of_another_layout();
    one_of_several_values_is_undefined();
    output_released_meanwhile();
    default_becomes_a_value();
    strict_default();
    stretched_value();
    lent_value_left();
    clone_of_a_lent_value_passed();
    taken_input_left();
    borrowed_input_left();
    input_left_twice();
    stretched_input_left();
    argument_twice_beside_a_writer();
    value_that_stays();
    copied_output_reused();
    value_required();
    forbidden_copies();
    forbidden_after_refusals();
    failed_calls_count_no_copy();
    lent_values_swapped();
    borrowed_before_the_commit();
    return finish();
}
