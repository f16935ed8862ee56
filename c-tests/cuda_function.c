/*
 * cuda_function.c - functions with values on devices: where inputs, outputs and new values arrive, what a transfer costs the flags, and the
 * order of device work (FN-4, FN-13, FN-22, FN-31, FN-32, FN-37, SV-9, SV-22, SV-32). The tables of devices are in
 * tests/gpu/cuda_borrowing.rs.
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _GNU_SOURCE
#include "cuda_crossings.h"

/* ---- inputs ---- */

typedef struct {
    int runs;
    tn_device expected;
} examined;

static tn_status examines(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    examined *e = context;
    (void)out, (void)update;
    e->runs++;
    int64_t seven = 7;
    CHECK(is_on(in[0], e->expected) && counts(in[0], 0, 1));
    CHECK(tn_array_fill(in[0], &seven, 0, NULL) == TN_ERR_READONLY);
    return TN_OK;
}

static void default_on_a_device(void) /* FN-4, FN-13: moved once, at creation or at the call */
{
    examined e = {.expected = GPU};
    plan p = planned(examines, &e);
    tn_array *value = value_on(CPU), *none = NULL;
    takes_default(&p, "x", NONE, value);
    p.in[0].device = GPU;
    tn_function *f = made(&p);
    drop(value);
    for (int i = 0; i < 3; i++)
        OK(tn_function_call(f, 1, &none, 0, NULL, NULL, NULL));
    CHECK(e.runs == 3);
    end_function(f);
}

static void implicit_on_a_device(void) /* SV-22: a variable's value reaches the body where it is, or where the input is declared */
{
    tn_shared *w = variable(GPU, CPU);
    const tn_device declared[] = {ANY, GPU, CPU};
    for (int i = 0; i < 3; i++) {
        examined e = {.expected = i == 2 ? CPU : GPU};
        plan p = planned(examines, &e);
        takes_value_of(&p, w, NONE);
        p.in[0].device = declared[i];
        tn_function *f = made(&p);
        OK(run(f));
        CHECK(e.runs == 1 && value_counts(w, 0, 1));
        end_function(f);
    }
    end_shared(w);
}

/* ---- outputs ---- */

typedef struct {
    tn_device where;
    int runs;
    int from_input;
} produced;

static tn_status produces(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    produced *p = context;
    (void)update;
    p->runs++;
    out[0] = p->from_input ? clone(in[0]) : value_on(p->where);
    return TN_OK;
}

static void input_moved_and_handed_back(void) /* FN-22: the moved copy of an input is the body's own */
{
    produced c = {.from_input = 1};
    plan p = planned(produces, &c);
    takes(&p, "x", NONE)->device = GPU;
    gives(&p, "y", NONE);
    tn_function *f = made(&p);
    tn_array *x = value_on(CPU);
    tn_crossing how;
    uint64_t copies = copies_of("tn_function_call", TN_WHY_DEVICE);
    tn_array *out = output_of(f, x, &how);
    CHECK(copies_of("tn_function_call", TN_WHY_DEVICE) == copies + 1);
    CHECK(is_on(out, GPU) && counts(out, 0, 1) && unique(out) && unique(x));
    drop(out);
    drop(x);
    end_function(f);

    p = planned(produces, &c);
    takes(&p, "x", TN_BORROW);
    gives(&p, "y", NONE)->device = CPU;
    f = made(&p);
    x = value_on(GPU);
    out = output_of(f, x, &how);
    CHECK(is_on(out, CPU) && counts(out, 0, 1) && unique(out) && unique(x) && how.how == TN_COPIED && (how.why & TN_WHY_DEVICE));
    drop(out);
    drop(x);
    end_function(f);
}

/* ---- updates ---- */

static tn_status exchanges(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out;
    update[0] = clone(in[1]);
    update[1] = part(in[0], TN_NONE, TN_NONE, -1);
    return TN_OK;
}

static tn_function *exchange_of(tn_shared *a, tn_shared *b)
{
    plan p = planned(exchanges, NULL);
    takes_value_of(&p, a, TN_RAW);
    takes_value_of(&p, b, TN_RAW);
    assigns(&p, a, NONE);
    assigns(&p, b, NONE);
    return made(&p);
}

static void exchanged(void) /* FN-31, FN-32: on one device without a copy, between devices by copies */
{
    tn_device_info before = {.size = sizeof before}, after = {.size = sizeof after};
    tn_shared *a = variable(GPU, GPU), *b = variable(GPU, CPU), *c = variable(CPU, CPU);
    tn_function *f = exchange_of(a, b), *g = exchange_of(a, c);
    OK(tn_device_query(GPU, 0, &before));
    OK(run(f));
    OK(run(f));
    OK(tn_device_query(GPU, 0, &after));
    CHECK(before.to_device_count == after.to_device_count && before.to_host_count == after.to_host_count);
    CHECK(facts(a).version == 3 && facts(b).version == 3);
    tn_array *value = got(a, TN_RAW | TN_BORROW, ALIAS), *back = NULL;
    OK(tn_array_to_device(value, CPU, NULL, NULL, &back));
    CHECK(HOLDS(back, 4, 5, 6, 7, 0, 1, 2, 3));
    drop(back);
    drop(value);
    OK(run(g));
    OK(run(g));
    CHECK(facts(a).version == 5 && facts(c).version == 3 && facts(a).device.type == TN_CUDA && facts(c).device.type == TN_CPU);
    value = got(c, TN_RAW | TN_BORROW, ALIAS);
    CHECK(is_on(value, CPU) && HOLDS(value, 4, 5, 6, 7, 0, 1, 2, 3));
    drop(value);
    value = got(a, TN_RAW | TN_BORROW, ALIAS);
    CHECK(is_on(value, GPU));
    OK(tn_array_wait(value, TN_READ));
    OK(tn_array_to_device(value, CPU, NULL, NULL, &back));
    CHECK(HOLDS(back, 0, 1, 2, 3, 4, 5, 6, 7));
    drop(back);
    drop(value);
    end_function(f);
    end_function(g);
    end_shared(a);
    end_shared(b);
    end_shared(c);
}

static tn_status leaves_value(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)in, (void)out;
    update[0] = value_on(*(tn_device *)context);
    return TN_OK;
}

static void values_are_moved(void) /* SV-12, SV-32 of a commit */
{
    const tn_device places[] = {CPU, GPU, PINNED};
    for (int to = 0; to < 2; to++)
        for (int from = 0; from < 3; from++) {
            int failures = check_failures;
            tn_device where = places[from];
            tn_shared *w = variable(places[to], CPU);
            plan p = planned(leaves_value, &where);
            assigns(&p, w, NONE);
            tn_function *f = made(&p);
            OK(run(f));
            tn_array *value = got(w, TN_RAW | TN_BORROW, ALIAS);
            CHECK(is_on(value, places[to]) && counts(value, 0, 1) && facts(w).version == 2);
            CHECK(facts(w).device.type == places[to].type && facts(w).home.type == TN_CPU);
            drop(value);
            end_function(f);
            end_shared(w);
            if (check_failures > failures)
                fprintf(stderr, "    to %d, from %d: %s\n", to, from, tn_last_error());
        }
}

/* ---- the order of device work ---- */

typedef struct {
    tn_stream *stream;
    int64_t number;
    int runs;
} ordered;

/* Fills a new output, and the value in place, on a stream. */
static tn_status fills_on_a_stream(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    ordered *o = context;
    (void)in;
    o->runs++;
    if (out[0] == NULL) {
        tn_array *like = value_on(CPU);
        OK(tn_array_to_device(like, GPU, NULL, o->stream, &out[0]));
        drop(like);
    }
    OK(tn_array_fill(out[0], &o->number, 0, o->stream));
    if (update[0] == NULL) {
        tn_array *like = value_on(CPU);
        OK(tn_array_to_device(like, GPU, NULL, o->stream, &update[0]));
        drop(like);
    }
    OK(tn_array_fill(update[0], &o->number, 0, o->stream));
    return TN_OK;
}

static void outputs_carry_the_order(uint32_t out_flags, uint32_t update_flags, tn_device declared) /* FN-37 */
{
    ordered o = {.number = 10};
    OK(tn_stream_create(GPU, 0, 0, &o.stream));
    tn_shared *w = variable(GPU, CPU);
    plan p = planned(fills_on_a_stream, &o);
    gives(&p, "y", out_flags)->device = declared;
    assigns(&p, w, update_flags);
    tn_function *f = made(&p);
    for (int i = 0; i < 4; i++, o.number++) {
        int stalls = i > 0 && declared.type != TN_CPU && control("tenure_sim_hold", o.stream);
        tn_array *out = NULL;
        OK(tn_function_call(f, 0, NULL, 1, &out, NULL, NULL)); /* the host does not wait for the body's stream */
        CHECK(facts(w).version == (uint64_t)i + 2);
        tn_array *value = got(w, TN_RAW | TN_BORROW, ALIAS); /* nor here */
        if (stalls)
            CHECK(control("tenure_sim_release", o.stream));
        if (declared.type != TN_CPU)
            CHECK(counts(out, o.number, 0));
        else
            CHECK(is_on(out, CPU) && counts(out, o.number, 0));
        CHECK(counts(value, o.number, 0));
        drop(value);
        drop(out);
    }
    end_function(f);
    end_shared(w);
    OK(tn_stream_release(o.stream));
}

/* Leaves page-locked bytes that a copy from the device still writes. */
static tn_status leaves_pending(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    ordered *o = context;
    (void)in, (void)out;
    o->runs++;
    tn_array *source = value_on(GPU);
    update[0] = value_on(PINNED);
    OK(tn_array_fill(source, &o->number, 0, o->stream));
    OK(tn_array_copy_into(source, update[0], 0, o->stream));
    drop(source);
    return TN_OK;
}

static void pending_update(void) /* FN-37: the value of a variable that the host reaches carries the order too, and is not copied */
{
    ordered o = {.number = 10};
    OK(tn_stream_create(GPU, 0, 0, &o.stream));
    tn_shared *w = variable(PINNED, PINNED);
    plan p = planned(leaves_pending, &o);
    assigns(&p, w, NONE);
    tn_function *f = made(&p);
    int stalls = control("tenure_sim_hold", o.stream);
    OK(tn_function_call(f, 0, NULL, 0, NULL, NULL, NULL));
    CHECK(o.runs == 1 && facts(w).version == 2);
    tn_array *value = got(w, TN_RAW | TN_BORROW, ALIAS);
    if (stalls) {
        FAILS(tn_array_borrow_read(value, 0, NULL, NULL, NULL, &(tn_borrow *){NULL}), TN_ERR_PENDING);
        CHECK(control("tenure_sim_release", o.stream));
    }
    OK(tn_array_wait(value, TN_READ));
    CHECK(counts(value, 10, 0));
    drop(value);
    end_function(f);
    end_shared(w);
    OK(tn_stream_release(o.stream));
}

static tn_status reads_pending(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    ordered *o = context;
    (void)update;
    o->runs++;
    return tn_array_to_device(in[0], GPU, NULL, o->stream, &out[0]);
}

static void pending_arguments(void) /* FN-37 */
{
    tn_stream *writer = NULL;
    ordered o = {.number = 0};
    OK(tn_stream_create(GPU, 0, 0, &writer));
    OK(tn_stream_create(GPU, 0, 0, &o.stream));
    static const uint32_t flags[] = {NONE, TN_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        plan p = planned(reads_pending, &o);
        takes(&p, "x", flags[i]);
        gives(&p, "y", NONE);
        tn_function *f = made(&p);
        tn_array *x = value_on(GPU), *out = NULL;
        int64_t five = 5;
        int stalls = control("tenure_sim_hold", writer);
        OK(tn_array_fill(x, &five, 0, writer));
        OK(tn_function_call(f, 1, &x, 1, &out, NULL, NULL));
        if (stalls)
            CHECK(control("tenure_sim_release", writer));
        CHECK(counts(out, 5, 0));
        drop(out);
        drop(x);
        end_function(f);
    }
    CHECK(o.runs == 4);
    OK(tn_stream_release(writer));
    OK(tn_stream_release(o.stream));
}

static tn_status fills_both(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    ordered *o = context;
    (void)in, (void)out;
    o->runs++;
    for (int i = 0; i < 2; i++) {
        if (update[i] == NULL)
            update[i] = value_on(GPU);
        OK(tn_array_fill(update[i], &o->number, 0, o->stream));
    }
    return TN_OK;
}

/* FN-37: an error that comes later is that of the next wait; both updates are made. The device is lost, so this is the last test. */
static void lost_device(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    int (*break_device)(int, unsigned) = NULL;
    if (driver != NULL)
        *(void **)&break_device = dlsym(driver, "tenure_sim_break_device");
    if (break_device == NULL)
        return;
    ordered o = {.number = 4};
    OK(tn_stream_create(GPU, 0, 0, &o.stream));
    tn_shared *a = variable(GPU, CPU), *b = variable(GPU, CPU);
    plan p = planned(fills_both, &o);
    assigns(&p, a, NONE);
    assigns(&p, b, TN_MAY_OVERWRITE);
    tn_function *f = made(&p);
    CHECK(control("tenure_sim_hold", o.stream));
    OK(run(f));
    CHECK(o.runs == 1 && facts(a).version == 2 && facts(b).version == 2);
    tn_array *value = got(a, TN_RAW | TN_BORROW, ALIAS), *other = got(b, TN_RAW | TN_BORROW, ALIAS);
    CHECK(break_device(0, 700) == 0);
    FAILS(tn_array_wait(value, TN_READ), TN_ERR_DRIVER);
    FAILS(tn_array_wait(other, TN_READ), TN_ERR_DRIVER);
    CHECK(facts(a).version == 2 && facts(b).version == 2 && !facts(a).is_poisoned && !facts(b).is_poisoned);
    drop(value);
    drop(other);
    end_function(f);
    end_shared(a);
    end_shared(b);
    OK(tn_stream_release(o.stream));
    dlclose(driver);
}

static void without_driver(void)
{
    produced c = {.where = CPU};
    plan p = planned(produces, &c);
    takes(&p, "x", NONE)->device = GPU;
    CHECK(try_create(&p) == TN_ERR_UNSUPPORTED && says("in[0]"));
    p = planned(produces, &c);
    gives(&p, "y", NONE)->device = GPU;
    CHECK(try_create(&p) == TN_ERR_UNSUPPORTED && says("out[0]"));
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        without_driver();
        return finish();
    }
    default_on_a_device();
    implicit_on_a_device();
    input_moved_and_handed_back();
    exchanged();
    values_are_moved();
    outputs_carry_the_order(NONE, NONE, ANY);
    outputs_carry_the_order(TN_BORROW, TN_MAY_OVERWRITE, GPU);
    outputs_carry_the_order(TN_REUSE, TN_REUSE, GPU);
    outputs_carry_the_order(NONE, NONE, CPU);
    pending_update();
    pending_arguments();
    lost_device();
    return finish();
}
