/*
 * function_bodies.c - bodies that do unusual things with what they have: handles that they keep, release, give away or pass on, guards
 * that they leave open, the caller's own handles, many places, and values of every shape (FN-2, FN-10 to FN-18, FN-20, FN-31, FN-35,
 * FN-36, SV-4, SV-5, SV-36, SV-38).
 */
#define _POSIX_C_SOURCE 200809L
#include "crossings.h"
#include <sys/wait.h>
#include <unistd.h>

/* ---- what a body leaves of its inputs ---- */

enum left { A_CLONE, A_VIEW, A_PROMISE, A_PROMISE_RELEASED, A_READ_GUARD, A_WRITE_GUARD, AN_EXPORT, A_WEAK, AN_EXPRESSION, A_SCOPE,
            A_VARIABLE, A_VARIABLE_TAKEN, KINDS_LEFT };

typedef struct {
    enum left left;
    int may_write;
    tn_array *kept;
    tn_promise *promise;
    tn_borrow *guard;
    tn_weak *weak;
    tn_expr *expr;
    tn_scope *scope;
    tn_shared *variable;
    int runs;
} leaver;

static tn_status leaves(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    leaver *l = context;
    (void)out, (void)update;
    l->runs++;
    switch (l->left) {
    case A_CLONE: l->kept = clone(in[0]); break;
    case A_VIEW: l->kept = part(in[0], 1, 3, 1); break;
    case A_PROMISE: OK(tn_array_give(in[0], 1, &l->promise)); break;
    case A_PROMISE_RELEASED:
        OK(tn_array_give(in[0], 1, &l->promise));
        drop(in[0]);
        break;
    case A_READ_GUARD: l->guard = reading(in[0]); break;
    case A_WRITE_GUARD: l->guard = l->may_write ? writing(in[0], 0) : NULL; break;
    case AN_EXPORT: l->guard = exporting(in[0], l->may_write ? (uint32_t)(XS) : (uint32_t)(XR)); break;
    case A_WEAK: OK(tn_array_weaken(in[0], &l->weak)); break;
    case AN_EXPRESSION: OK(tn_expr_leaf(in[0], TN_FORM_FULL, &l->expr)); break;
    case A_SCOPE: OK(tn_enter(1, (void *const[]){in[0]}, &l->kept, &l->scope)); break;
    case A_VARIABLE: OK(tn_shared_create(in[0], TN_BORROW, NULL, &l->variable, NULL)); break;
    case A_VARIABLE_TAKEN: OK(tn_shared_create(in[0], TN_TAKE_OWNERSHIP, NULL, &l->variable, NULL)); break;
    case KINDS_LEFT: break;
    }
    return TN_OK;
}

static int zero_bits(tn_array *array)
{
    double found[4];
    OK(tn_array_copy_to_host(array, found, NULL, NULL));
    return found[0] == 0 && found[3] == 0;
}

static void end_left(leaver *l)
{
    if (l->guard)
        end(l->guard);
    if (l->weak)
        OK(tn_weak_release(l->weak));
    if (l->expr)
        OK(tn_expr_release(l->expr));
    if (l->scope)
        OK(tn_leave(l->scope, 0, NULL));
    if (l->variable)
        end_shared(l->variable);
}

/* FN-10 to FN-12: a body may do everything with its handles, and nothing of it outlives the call but what it holds itself. */
static void left_by_bodies(void)
{
    static const uint32_t flags[] = {NONE, TN_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP};
    for (int left = 0; left < KINDS_LEFT; left++)
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            int failures = check_failures;
            leaver l = {.left = (enum left)left, .may_write = i >= 2};
            plan p = planned(leaves, &l);
            takes(&p, "x", flags[i]);
            tn_function *f = made(&p);
            tn_array *x = zeros(NULL, TN_F64, SHAPE(4));
            OK(tn_function_call(f, 1, &x, 0, NULL, NULL, NULL));
            CHECK(l.runs == 1 && state_of(x) == (flags[i] == TN_TAKE_OWNERSHIP ? TN_ERR_DESTRUCTED : TN_OK));
            int open = (left == A_WRITE_GUARD && l.may_write);
            if (flags[i] != TN_TAKE_OWNERSHIP && !open)
                CHECK(zero_bits(x) && try_write(x, 0) != TN_ERR_READONLY);
            if (l.kept && left != A_SCOPE) {
                if (!l.may_write)
                    CHECK(try_write(l.kept, 0) == TN_ERR_READONLY); /* the caller lent it for reading */
                drop(l.kept);
            }
            if (l.promise) {
                tn_array *taken = NULL;
                tn_status status = tn_take(1, &l.promise, &taken);
                CHECK(status == TN_OK);
                if (status == TN_OK) {
                    CHECK(zero_bits(taken));
                    if (!l.may_write)
                        CHECK(try_write(taken, 0) == TN_ERR_READONLY);
                    drop(taken);
                }
                OK(tn_promise_release(l.promise));
            }
            if (l.variable) {
                tn_array *value = got(l.variable, NONE, COPY(0));
                CHECK(zero_bits(value));
                drop(value);
            }
            end_left(&l);
            if (flags[i] != TN_TAKE_OWNERSHIP) { /* the caller's array is as it was */
                CHECK(unique(x) && try_write(x, TN_WRITE_UNIQUE) == TN_OK && zero_bits(x));
                OK(tn_function_call(f, 1, &x, 0, NULL, NULL, NULL));
                if (l.kept && left != A_SCOPE)
                    drop(l.kept);
                if (l.promise)
                    OK(tn_promise_release(l.promise));
                end_left(&l);
            }
            drop(x);
            end_function(f);
            if (check_failures > failures)
                fprintf(stderr, "    left %d, flags %u: %s\n", left, flags[i], tn_last_error());
        }
}

/* ---- the caller's own handle ---- */

typedef struct {
    tn_array *caller;
    int release;
    int runs;
} intruder;

static tn_status uses_the_callers_handle(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    intruder *i = context;
    (void)update;
    i->runs++;
    tn_borrow *guard = UNTOUCHED;
    tn_status read = tn_array_borrow_read(i->caller, 0, NULL, NULL, NULL, &guard);
    if (read == TN_OK)
        end(guard);
    if (i->release)
        drop(i->caller);
    CHECK(HOLDS(in[0], 0, 1, 2, 3)); /* the body's handle does not depend on it */
    out[0] = numbers(NULL, SHAPE(4));
    return TN_OK;
}

static void released_by_the_caller_meanwhile(void) /* FN-10 */
{
    static const uint32_t flags[] = {NONE, TN_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP};
    for (int release = 0; release < 2; release++)
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            intruder c = {.release = release};
            plan p = planned(uses_the_callers_handle, &c);
            takes(&p, "x", flags[i]);
            gives(&p, "y", NONE);
            tn_function *f = made(&p);
            tn_pool *pool = own_pool("caller");
            c.caller = numbers(pool, SHAPE(4));
            tn_array *out = output_of(f, c.caller, NULL);
            CHECK(c.runs == 1 && HOLDS(out, 0, 1, 2, 3));
            drop(out);
            if (release)
                FAILS(tn_array_release(c.caller), TN_ERR_STALE);
            else
                drop(c.caller);
            CHECK(live_bytes(pool) == 0);
            OK(tn_pool_release(pool));
            end_function(f);
        }
}

/* ---- passing on ---- */

typedef struct {
    tn_function *inner;
    uint32_t flags;
    tn_crossing how;
    tn_status status;
} passer;

static tn_status adds_one(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out, (void)update;
    int64_t found[4];
    OK(tn_array_copy_to_host(in[0], found, NULL, NULL));
    for (int i = 0; i < 4; i++)
        found[i]++;
    OK(tn_array_copy_from_host(in[0], found, NULL, 0, NULL));
    return TN_OK;
}

static tn_status passes_on(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    passer *p = context;
    (void)update;
    p->how = (tn_crossing){77, 77};
    p->status = tn_function_call(p->inner, 1, in, 0, NULL, &p->how, NULL);
    if (state_of(in[0]) == TN_OK)
        out[0] = clone(in[0]);
    else
        out[0] = zeros(NULL, TN_I64, SHAPE(4));
    return p->status;
}

static void passed_on(void) /* FN-12, FN-17: an input is an argument of another call */
{
    static const struct {
        uint32_t outer, inner;
        tn_crossing how;
        int changes; /* the caller's array */
    } cases[] = {
        {NONE, TN_MAY_OVERWRITE, {TN_COPIED, TN_WHY_READONLY}, 0},
        {TN_MAY_OVERWRITE, TN_MAY_OVERWRITE, {TN_ALIASED, 0}, 1},
        {TN_TAKE_OWNERSHIP, TN_MAY_OVERWRITE, {TN_ALIASED, 0}, 0},
        {TN_TAKE_OWNERSHIP, TN_TAKE_OWNERSHIP, {TN_ALIASED, 0}, 0},
        {TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, {TN_ALIASED, 0}, 1},
        {NONE, TN_TAKE_OWNERSHIP, {TN_COPIED, TN_WHY_READONLY}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        plan inner = planned(adds_one, NULL);
        takes(&inner, "inner", cases[i].inner);
        passer c = {.inner = made(&inner)};
        plan p = planned(passes_on, &c);
        takes(&p, "x", cases[i].outer);
        gives(&p, "y", NONE);
        tn_function *f = made(&p);
        tn_array *x = numbers(NULL, SHAPE(4)), *out = UNTOUCHED;
        tn_status status = tn_function_call(f, 1, &x, 1, &out, NULL, NULL);
        CHECK(status == TN_OK && c.status == TN_OK);
        /* A reader's argument has a second holder, the caller; TN_READONLY comes before it. A lent one may be copied for a taker. */
        CHECK(c.how.how == cases[i].how.how || (cases[i].inner == TN_TAKE_OWNERSHIP && c.how.how == TN_COPIED));
        if (c.how.how == TN_COPIED && cases[i].how.how == TN_COPIED)
            CHECK(c.how.why & TN_WHY_READONLY);
        if (cases[i].outer != TN_TAKE_OWNERSHIP) {
            int64_t found[4];
            OK(tn_array_copy_to_host(x, found, NULL, NULL));
            int changed = found[0] == 1 && found[3] == 4;
            CHECK(changed || HOLDS(x, 0, 1, 2, 3));
            CHECK(changed == (cases[i].changes && c.how.how == TN_ALIASED));
            CHECK(unique(x) && try_write(x, TN_WRITE_UNIQUE) == TN_OK);
        }
        if (status == TN_OK)
            drop(out);
        drop(x);
        end_function(f);
        end_function(c.inner);
        if (check_failures > failures)
            fprintf(stderr, "    in case %zu: (%u, %u), %s\n", i, c.how.how, c.how.why, tn_last_error());
    }
}

/* ---- many places, and values of every shape ---- */

static tn_status rotates(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *runs = context;
    ++*runs;
    for (int i = 0; i < 8; i++) {
        if (update)
            update[i] = clone(in[(i + 1) % 8]);
        if (out)
            out[i] = clone(in[i]);
    }
    return TN_OK;
}

static tn_array *shaped(int kind)
{
    switch (kind) {
    case 0: return numbers(NULL, SHAPE(2, 1, 2, 1, 1, 3)); /* more axes than a handle has room for */
    case 1: return numbers(NULL, 0, NULL);
    case 2: return numbers(NULL, SHAPE(0, 3));
    case 3: return numbers_in(NULL, TN_ORDER_F, SHAPE(3, 2));
    default: return numbers(NULL, SHAPE(5));
    }
}

static void many_places(void) /* FN-16, FN-31: more than a call keeps without an allocation, of every shape */
{
    for (int kind = 0; kind < 5; kind++)
        for (int reuse = 0; reuse < 2; reuse++) {
            int failures = check_failures, runs = 0;
            tn_pool *pool = own_pool("many");
            OK(tn_pool_set_current(pool));
            tn_shared *w[8];
            plan p = planned(rotates, &runs);
            uint64_t bytes = 0;
            for (int i = 0; i < 8; i++) {
                tn_array *value = shaped(kind);
                int64_t number = i;
                tn_borrow *guard = NULL;
                tn_view_info view;
                OK(tn_array_borrow_write(value, 0, NULL, NULL, &view, &guard));
                if (view.bytes > 0)
                    memcpy(view.data, &number, sizeof number);
                end(guard);
                bytes = info_of(value).bytes;
                w[i] = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
                drop(value);
                takes_value_of(&p, w[i], i % 2 ? TN_BORROW : NONE);
                gives(&p, "y", reuse ? TN_REUSE : NONE);
                assigns(&p, w[i], reuse ? TN_REUSE : NONE);
            }
            tn_function *f = made(&p);
            for (int call = 1; call < 12; call++) {
                tn_array *out[8];
                tn_crossing how[8];
                OK(tn_function_call(f, 0, NULL, 8, out, NULL, how));
                for (int i = 0; i < 8; i++) {
                    int64_t found[12] = {(i + call - 1) % 8}, now[12] = {(i + call) % 8};
                    OK(tn_array_copy_to_host(out[i], found, NULL, NULL));
                    CHECK(found[0] == (i + call - 1) % 8 && unique(out[i]) && info_of(out[i]).bytes == bytes);
                    tn_array *value = got(w[i], TN_BORROW, ALIAS);
                    OK(tn_array_copy_to_host(value, now, NULL, NULL));
                    CHECK(now[0] == (i + call) % 8 && facts(w[i]).version == (uint64_t)call + 1);
                    drop(value);
                    drop(out[i]);
                }
            }
            CHECK(runs == 11);
            end_function(f);
            for (int i = 0; i < 8; i++)
                end_shared(w[i]);
            end_own_pool(pool);
            if (check_failures > failures)
                fprintf(stderr, "    kind %d, reuse %d: %s\n", kind, reuse, tn_last_error());
        }
}

static tn_status identity(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)update;
    out[0] = in[0];
    return TN_OK;
}

static void every_shape(void) /* FN-22: identity, and the lists of arguments and outputs are one */
{
    static const uint32_t flags[][2] = {{NONE, NONE}, {TN_BORROW, TN_BORROW}, {TN_TAKE_OWNERSHIP, NONE}, {TN_MAY_OVERWRITE, TN_REUSE}};
    for (int kind = 0; kind < 5; kind++)
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            plan p = planned(identity, NULL);
            takes(&p, "x", flags[i][0]);
            gives(&p, "y", flags[i][1]);
            tn_function *f = made(&p);
            for (int again = 0; again < 4; again++) {
                tn_array *x = shaped(kind), *list[1] = {x};
                int64_t before[12] = {0}, after[12] = {0};
                OK(tn_array_copy_to_host(x, before, NULL, NULL));
                uint32_t orders = info_of(x).flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS);
                OK(tn_function_call(f, 1, list, 1, list, NULL, NULL));
                CHECK(list[0] != x && info_of(list[0]).ndim == (kind == 0 ? 6 : kind == 1 ? 0 : kind == 4 ? 1 : 2));
                OK(tn_array_copy_to_host(list[0], after, NULL, NULL));
                CHECK(memcmp(before, after, sizeof after) == 0);
                if (flags[i][0] == TN_TAKE_OWNERSHIP || flags[i][1] == TN_BORROW)
                    CHECK((info_of(list[0]).flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS)) == orders);
                drop(list[0]);
                drop(x);
            }
            end_function(f);
        }
}

static tn_status gives_form(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context;
    CHECK(info_of(in[0]).form == TN_FORM_LOWER);
    out[0] = clone(in[0]);
    OK(tn_array_transpose(in[0], &update[0]));
    return TN_OK;
}

static void forms(void) /* FM-1: the form of a matrix goes with it */
{
    tn_array *matrix = zeros(NULL, TN_F64, SHAPE(3, 3)), *out = NULL;
    tn_shared *w = shared_of(matrix, NONE, COPY(0));
    OK(tn_array_set_form(matrix, TN_FORM_LOWER));
    plan p = planned(gives_form, NULL);
    takes(&p, "x", NONE);
    gives(&p, "y", NONE);
    assigns(&p, w, NONE);
    tn_function *f = made(&p);
    out = output_of(f, matrix, NULL);
    tn_array *value = got(w, TN_BORROW, ALIAS);
    CHECK(info_of(out).form == TN_FORM_LOWER && info_of(value).form == TN_FORM_UPPER);
    drop(value);
    drop(out);
    drop(matrix);
    end_function(f);
    end_shared(w);
}

/* ---- variables in and around a body ---- */

typedef struct {
    tn_function *reader;
    tn_shared *variable;
    int in_place;
    int64_t sum;
} nested;

static tn_status sums(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    nested *n = context;
    (void)out, (void)update;
    int64_t found[4];
    OK(tn_array_copy_to_host(in[0], found, NULL, NULL));
    n->sum = found[0] + found[1] + found[2] + found[3];
    return TN_OK;
}

static tn_status reads_what_it_updates(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    nested *n = context;
    (void)in, (void)out;
    int64_t nine = 9;
    tn_status status = run(n->reader);
    CHECK(status == (n->in_place ? TN_ERR_BORROWED_WRITE : TN_OK) && (n->in_place || n->sum == 6)); /* the old value */
    if (update[0] == NULL)
        update[0] = zeros(NULL, TN_I64, SHAPE(4));
    OK(tn_array_fill(update[0], &nine, TN_WRITE_UNIQUE, NULL));
    status = run(n->reader);
    CHECK(status == (n->in_place ? TN_ERR_BORROWED_WRITE : TN_OK) && (n->in_place || n->sum == 6));
    return TN_OK;
}

static void read_while_updated(void) /* SV-36, FN-36 */
{
    for (int in_place = 0; in_place < 2; in_place++) {
        nested n = {.variable = counting("w", SHAPE(4)), .in_place = in_place};
        plan p = planned(sums, &n), q = planned(reads_what_it_updates, &n);
        takes_value_of(&p, n.variable, NONE);
        assigns(&q, n.variable, in_place ? TN_MAY_OVERWRITE : NONE);
        n.reader = made(&p);
        tn_function *f = made(&q);
        OK(run(f));
        OK(run(n.reader));
        CHECK(n.sum == 36);
        end_function(f);
        end_function(n.reader);
        end_shared(n.variable);
    }
}

static tn_status fills_update(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int64_t *number = context;
    (void)in, (void)out;
    ++*number;
    if (update[0] == NULL)
        update[0] = zeros(NULL, TN_I64, SHAPE(4));
    OK(tn_array_fill(update[0], number, TN_WRITE_UNIQUE, NULL));
    return TN_OK;
}

static void checked_values(void) /* SV-5: what a function writes is no change from outside */
{
    static const uint32_t flags[] = {NONE, TN_MAY_OVERWRITE, TN_REUSE};
    OK(tn_option_set("check_managed", "1"));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int64_t number = 0;
        nested n = {.variable = counting("w", SHAPE(4))};
        plan p = planned(fills_update, &number), q = planned(sums, &n);
        assigns(&p, n.variable, flags[i]);
        takes_value_of(&q, n.variable, NONE);
        tn_function *f = made(&p);
        n.reader = made(&q);
        for (int k = 0; k < 6; k++) {
            OK(run(f));
            OK(run(n.reader));
            CHECK(n.sum == 4 * number);
        }
        tn_array *value = zeros(NULL, TN_I64, SHAPE(4));
        OK(tn_shared_set(n.variable, value, NONE, NULL));
        OK(run(f));
        OK(tn_shared_set(n.variable, value, TN_TAKE_OWNERSHIP, NULL));
        OK(run(f));
        drop(value);
        end_function(f);
        end_function(n.reader);
        end_shared(n.variable);
    }
    OK(tn_option_set("check_managed", "0"));
}

static tn_status drops_the_variable(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    nested *n = context;
    (void)out;
    end_shared(n->variable);
    CHECK(HOLDS(in[0], 0, 1, 2, 3));
    update[0] = part(in[0], TN_NONE, TN_NONE, -1);
    return TN_OK;
}

static void variable_released_in_the_body(void) /* SV-37 */
{
    nested n = {.variable = counting("w", SHAPE(4))};
    plan p = planned(drops_the_variable, &n);
    takes_value_of(&p, n.variable, NONE);
    assigns(&p, n.variable, NONE);
    tn_function *f = made(&p);
    OK(run(f));
    end_function(f);
}

static void in_a_child(void) /* SV-38: functions of host values go on in the child of a fork */
{
    int64_t number = 0;
    nested n = {.variable = counting("w", SHAPE(4))};
    plan p = planned(fills_update, &number), q = planned(sums, &n);
    assigns(&p, n.variable, TN_REUSE);
    takes_value_of(&q, n.variable, NONE);
    tn_function *f = made(&p);
    n.reader = made(&q);
    OK(run(f));
    fflush(stderr);
    pid_t child = fork();
    if (child == 0) {
        check_failures = 0;
        for (int i = 0; i < 5; i++)
            OK(run(f));
        OK(run(n.reader));
        CHECK(n.sum == 24);
        end_function(f);
        end_function(n.reader);
        end_shared(n.variable);
        _exit(check_failures ? 1 : 0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(run(n.reader));
    CHECK(n.sum == 4);
    end_function(f);
    end_function(n.reader);
    end_shared(n.variable);
}

static void reported(void) /* a function that is not released is a leak, with its name and site; its default is listed beside it */
{
    tn_array *value = numbers(NULL, SHAPE(4));
    plan p = planned(identity, NULL);
    p.options.name = "leaky";
    takes_default(&p, "x", NONE, value);
    gives(&p, "y", TN_REUSE);
    OK(tn_here("leak.c", 7));
    tn_function *f = made(&p);
    OK(tn_here(NULL, 0));
    drop(value);
    tn_holder leaks[64];
    size_t n = 0, functions = 0, handles = 0;
    OK(tn_leaks(sizeof *leaks, 64, leaks, &n));
    for (size_t i = 0; i < n && i < 64; i++) {
        functions += leaks[i].kind == TN_HOLDER_FUNCTION && !strcmp(leaks[i].name, "leaky") &&
                     !strcmp(leaks[i].site, "leak.c:7") && leaks[i].id == (uint64_t)(uintptr_t)f &&
                     leaks[i].thread == (uint64_t)getpid() && leaks[i].bytes == 0;
        handles += leaks[i].kind == TN_HOLDER_HANDLE;
    }
    CHECK(n == 2 && functions == 1 && handles == 1);
    end_function(f);
    OK(tn_leaks(sizeof *leaks, 64, leaks, &n));
    CHECK(n == 0);
}

static tn_status releases_itself(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    tn_function **self = context;
    (void)in, (void)update;
    end_function(*self);
    size_t n = 0;
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &n));
    CHECK(n == 0);
    out[0] = numbers(NULL, SHAPE(1));
    return TN_OK;
}

static void released_and_running(void) /* a function whose handle is released is no leak, also while a call of it runs */
{
    tn_function *f = NULL;
    plan p = planned(releases_itself, &f);
    gives(&p, "out", NONE);
    f = made(&p);
    drop(output_of(f, NULL, NULL));
}

int main(void)
{
    left_by_bodies();
    released_by_the_caller_meanwhile();
    passed_on();
    many_places();
    every_shape();
    forms();
    read_while_updated();
    checked_values();
    variable_released_in_the_body();
    in_a_child();
    reported();
    released_and_running();
    return finish();
}
