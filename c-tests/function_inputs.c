/*
 * function_inputs.c - the inputs of functions: arguments that overlap, defaults and implicit inputs (FN-10 to FN-13, FN-20, FN-21). Their
 * table is in tests/library/borrowing.rs.
 */
#define _DEFAULT_SOURCE
#include "crossings.h"
#include <sys/mman.h>

#define BYTES (6 * sizeof(int64_t))

/* ---- values that only functions distinguish ---- */

static void unmap(void *memory)
{
    munmap(memory, BYTES);
}

/* A mapping that the processor lets nobody write. */
static state mapped_readonly(void)
{
    int64_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 6; i++)
        memory[i] = i;
    CHECK(mprotect(memory, BYTES, PROT_READ) == 0);
    return (state){.value = array_of(memory, TN_TAKE_OWNERSHIP | TN_IMPORT_READONLY, unmap, memory, SHAPE(2, 3))};
}

static state from_variable(void)
{
    state s = {.owner = counting("owner", SHAPE(2, 3))};
    s.value = got(s.owner, TN_BORROW, ALIAS);
    return s;
}

static tn_status fills_with_9(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *runs = context;
    (void)out, (void)update;
    ++*runs;
    int64_t nine = 9;
    OK(tn_array_fill(in[0], &nine, 0, NULL));
    return TN_OK;
}

static void mapping_is_not_written(void) /* FN-12: no fault, because the body writes a copy */
{
    static const uint32_t flags[] = {TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP};
    for (int i = 0; i < 2; i++) {
        int runs = 0;
        plan p = planned(fills_with_9, &runs);
        takes(&p, "x", flags[i]);
        tn_function *f = made(&p);
        state s = mapped_readonly();
        tn_crossing how = {77, 77};
        OK(tn_function_call(f, 1, &s.value, 0, NULL, &how, NULL));
        CHECK(crossed(how, COPY(TN_WHY_READONLY)) && runs == 1);
        CHECK(flags[i] == TN_TAKE_OWNERSHIP || HOLDS(s.value, 0, 1, 2, 3, 4, 5));
        end_state(&s);
        end_function(f);
    }
}

static void gaps_are_untouched(void) /* FN-12: the bytes between the elements of a strided argument */
{
    int64_t *memory = malloc(9 * sizeof *memory);
    for (int i = 0; i < 9; i++)
        memory[i] = i;
    int64_t shape[2] = {2, 2}, strides[2] = {48, 16};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = shape, .strides = strides};
    tn_array *x = NULL;
    OK(tn_array_import_host(memory, &layout, TN_MAY_OVERWRITE, NULL, NULL, &x, NULL));
    int runs = 0;
    plan p = planned(fills_with_9, &runs);
    takes(&p, "x", TN_MAY_OVERWRITE | REQUIRE);
    tn_function *f = made(&p);
    tn_crossing how = {77, 77};
    OK(tn_function_call(f, 1, &x, 0, NULL, &how, NULL));
    static const int64_t expected[9] = {9, 1, 9, 3, 4, 5, 9, 7, 9};
    CHECK(crossed(how, ALIAS) && memcmp(memory, expected, sizeof expected) == 0);
    drop(x);
    end_function(f);
    free(memory);
}

/* With several reasons, all are reported, and the first in the order of checks is the status. */
static void several_reasons(void) /* FN-12, FN-41 */
{
    int runs = 0;
    plan p = planned(only_runs, &runs), q = planned(only_runs, &runs);
    takes(&p, "x", TN_MAY_OVERWRITE);
    takes(&q, "x", TN_MAY_OVERWRITE | REQUIRE);
    tn_function *may = made(&p), *must = made(&q);
    state s = read_by_another(), r = readonly();
    tn_array *twin = clone(r.value);
    tn_crossing how = {77, 77};
    OK(tn_function_call(may, 1, &s.value, 0, NULL, &how, NULL));
    CHECK(how.how == TN_COPIED && (how.why & TN_WHY_BORROWED) && !(how.why & ~(TN_WHY_BORROWED | TN_WHY_SHARED)));
    FAILS(tn_function_call(must, 1, &s.value, 0, NULL, NULL, NULL), TN_ERR_BORROWED);
    OK(tn_function_call(may, 1, &r.value, 0, NULL, &how, NULL));
    CHECK(how.how == TN_COPIED && (how.why & TN_WHY_READONLY));
    FAILS(tn_function_call(must, 1, &r.value, 0, NULL, NULL, NULL), TN_ERR_READONLY);
    CHECK(runs == 2);
    drop(twin);
    end_state(&s);
    end_state(&r);
    end_function(may);
    end_function(must);
}

/* ---- defaults and implicit inputs ---- */

typedef struct {
    int runs;
    void *bytes;
} worn;

static tn_status tries_to_wear(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    worn *w = context;
    (void)out, (void)update;
    w->runs++;
    int64_t nine = 9;
    for (int i = 0; i < 2; i++) {
        CHECK(HOLDS(in[i], 0, 1, 2, 3));
        CHECK(tn_array_fill(in[i], &nine, 0, NULL) == TN_ERR_READONLY);
        CHECK(try_write(in[i], TN_WRITE_UNIQUE) == TN_ERR_READONLY);
        CHECK(tn_array_fill(in[i], &nine, TN_WRITE_COW, NULL) == TN_OK && HOLDS(in[i], 9, 9, 9, 9));
    }
    return TN_OK;
}

static void never_worn_out(void) /* FN-13 */
{
    static const uint32_t flags[] = {NONE, TN_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_MAY_OVERWRITE | REQUIRE};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int failures = check_failures;
        worn w = {0};
        tn_array *value = numbers(NULL, SHAPE(4)), *none = NULL;
        tn_shared *variable = counting("v", SHAPE(4));
        plan p = planned(tries_to_wear, &w);
        takes_default(&p, "default", flags[i], value);
        takes_value_of(&p, variable, flags[i] & ~TN_TAKE_OWNERSHIP);
        tn_function *f = made(&p);
        drop(value);
        void *bytes = address_in(variable);
        for (int k = 0; k < 3; k++) {
            tn_crossing how = {77, 77};
            OK(tn_function_call(f, 1, &none, 0, NULL, &how, NULL));
            CHECK(crossed(how, ALIAS));
        }
        CHECK(w.runs == 3 && counts_from(variable, 0, 4) && address_in(variable) == bytes && facts(variable).version == 1);
        end_function(f);
        end_shared(variable);
        if (check_failures > failures)
            fprintf(stderr, "    flags %u: %s\n", flags[i], tn_last_error());
    }
}

/* ---- a value that the call updates ---- */

typedef struct {
    int runs;
    void *passed, *offered;
} overlapping;

static tn_status writes_update(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    overlapping *o = context;
    (void)out;
    o->runs++;
    o->passed = address(in[0]);
    o->offered = address(update[0]);
    int64_t nine = 9;
    CHECK(HOLDS(update[0], 0, 1, 2, 3, 4, 5));
    OK(tn_array_fill(update[0], &nine, TN_WRITE_UNIQUE, NULL));
    CHECK(HOLDS(in[0], 0, 1, 2, 3, 4, 5) && o->passed != o->offered); /* the input keeps the old bytes */
    return TN_OK;
}

static void implicit_input_updated_by_the_call(void) /* FN-13, FN-14 */
{
    overlapping o = {0};
    tn_shared *w = counting("w", SHAPE(2, 3));
    plan p = planned(writes_update, &o);
    takes_value_of(&p, w, NONE);
    assigns(&p, w, TN_MAY_OVERWRITE);
    tn_function *f = made(&p);
    OK(run(f));
    tn_array *now = got(w, NONE, COPY(0));
    CHECK(o.runs == 1 && HOLDS(now, 9, 9, 9, 9, 9, 9) && facts(w).version == 2);
    drop(now);
    end_function(f);
    end_shared(w);
}

/* ---- arguments that overlap ---- */

/* Adds 100 * (i + 1) to every element of in[i] that may be written, in order, and notes what each input held at first. */
typedef struct {
    int runs;
    size_t n;
    int64_t first[3][16];
    int written[3];
} adder;

static tn_status adds(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    adder *a = context;
    (void)out, (void)update;
    a->runs++;
    for (size_t i = 0; i < a->n; i++)
        OK(tn_array_copy_to_host(in[i], a->first[i], NULL, NULL));
    for (size_t i = 0; i < a->n; i++) {
        int64_t value = 100 * ((int64_t)i + 1);
        a->written[i] = tn_array_fill(in[i], &value, 0, NULL) == TN_OK;
    }
    for (size_t i = 0; i < a->n; i++) { /* no input sees what another one wrote */
        int64_t now[16];
        OK(tn_array_copy_to_host(in[i], now, NULL, NULL));
        for (uint64_t k = 0; k < info_of(in[i]).count; k++)
            CHECK(now[k] == (a->written[i] ? 100 * ((int64_t)i + 1) : a->first[i][k]));
    }
    return TN_OK;
}

#define MAY TN_MAY_OVERWRITE
#define S TN_WHY_SHARED /* copied, SHARED; 0 for an alias */

/* Views of one store of 12 elements, and the expected reasons. The base handle is released. */
static void overlapping_views(void) /* FN-20 */
{
    static const struct {
        const char *name;
        size_t n;
        int64_t slice[3][3];
        uint32_t flags[3];
        uint32_t reasons[3];
    } cases[] = {
        {"a-b and b-c overlap, all written", 3, {{0, 6, 1}, {4, 10, 1}, {8, 12, 1}}, {MAY, MAY, MAY}, {0, S, 0}},
        {"a-b and b-c overlap, b written", 3, {{0, 6, 1}, {4, 10, 1}, {8, 12, 1}}, {NONE, MAY, NONE}, {0, S, 0}},
        {"a-b and b-c overlap, a and c written", 3, {{0, 6, 1}, {4, 10, 1}, {8, 12, 1}}, {MAY, NONE, MAY}, {0, S, 0}},
        {"a-b and b-c overlap, nothing written", 3, {{0, 6, 1}, {4, 10, 1}, {8, 12, 1}}, {NONE, TN_BORROW, NONE}, {0, 0, 0}},
        {"interleaved", 2, {{0, 12, 2}, {1, 12, 2}}, {MAY, MAY}, {0, 0}},
        {"interleaved, one read", 2, {{0, 12, 2}, {1, 12, 2}}, {NONE, MAY}, {0, 0}},
        {"interleaved, one taken", 2, {{0, 12, 2}, {1, 12, 2}}, {TN_TAKE_OWNERSHIP, MAY}, {0, 0}},
        {"strides of 2 and 3 meet", 2, {{0, 12, 2}, {1, 12, 3}}, {MAY, NONE}, {0, S}},
        {"strides of 4 do not meet", 2, {{0, 12, 4}, {2, 12, 4}}, {MAY, NONE}, {0, 0}},
        {"one is taken", 2, {{0, 6, 1}, {5, 12, 1}}, {TN_TAKE_OWNERSHIP, NONE}, {0, S}},
        {"the later one is taken", 2, {{0, 6, 1}, {5, 12, 1}}, {NONE, TN_TAKE_OWNERSHIP}, {0, S}},
        {"backwards", 2, {{5, TN_NONE, -1}, {5, 12, 1}}, {MAY, NONE}, {0, S}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        adder a = {.n = cases[i].n};
        tn_array *line = numbers(NULL, SHAPE(12)), *in[3];
        plan p = planned(adds, &a);
        for (size_t k = 0; k < a.n; k++) {
            in[k] = part(line, cases[i].slice[k][0], cases[i].slice[k][1], cases[i].slice[k][2]);
            takes(&p, "x", cases[i].flags[k]);
        }
        drop(line);
        tn_function *f = made(&p);
        tn_crossing how[3] = {{77, 77}, {77, 77}, {77, 77}};
        OK(tn_function_call(f, a.n, in, 0, NULL, how, NULL));
        CHECK(a.runs == 1);
        for (size_t k = 0; k < a.n; k++) {
            CHECK(crossed(how[k], cases[i].reasons[k] ? COPY(S) : ALIAS));
            CHECK(a.written[k] == ((cases[i].flags[k] & (MAY | TN_TAKE_OWNERSHIP)) != 0));
            CHECK(state_of(in[k]) == (cases[i].flags[k] & TN_TAKE_OWNERSHIP ? TN_ERR_DESTRUCTED : TN_OK));
            if (state_of(in[k]) == TN_OK && a.written[k] && how[k].how == TN_ALIASED) {
                int64_t now[16];
                OK(tn_array_copy_to_host(in[k], now, NULL, NULL));
                CHECK(now[0] == 100 * ((int64_t)k + 1));
            }
            drop(in[k]);
        }
        end_function(f);
        if (check_failures > failures)
            fprintf(stderr, "    in \"%s\": (%u, %u) (%u, %u) (%u, %u)\n", cases[i].name, how[0].how, how[0].why, how[1].how,
                    how[1].why, how[2].how, how[2].why);
    }
}

static void one_handle_twice(void) /* FN-20, FN-21 */
{
    static const struct {
        uint32_t flags[2];
        tn_status status;
        uint32_t reasons[2];
    } cases[] = {
        {{NONE, NONE}, TN_OK, {0, 0}},
        {{TN_BORROW, NONE}, TN_OK, {0, 0}},
        {{MAY, NONE}, TN_OK, {0, S}},
        {{NONE, MAY}, TN_OK, {0, S}},
        {{MAY, MAY}, TN_OK, {0, S}},
        {{TN_TAKE_OWNERSHIP, TN_TAKE_OWNERSHIP}, TN_ERR_DUPLICATE, {0, 0}},
        {{TN_TAKE_OWNERSHIP, NONE}, TN_ERR_DUPLICATE, {0, 0}},
        {{MAY, TN_TAKE_OWNERSHIP}, TN_ERR_DUPLICATE, {0, 0}},
        {{MAY, REQUIRE}, TN_ERR_SHARED, {0, 0}},
        {{MAY, MAY | REQUIRE}, TN_ERR_SHARED, {0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        adder a = {.n = 2};
        tn_array *x = numbers(NULL, SHAPE(4));
        plan p = planned(adds, &a);
        takes(&p, "left", cases[i].flags[0]);
        takes(&p, "right", cases[i].flags[1]);
        tn_function *f = made(&p);
        tn_crossing how[2] = {{77, 77}, {77, 77}};
        tn_status status = tn_function_call(f, 2, ((tn_array *[]){x, x}), 0, NULL, how, NULL);
        int one_takes = (cases[i].flags[0] ^ cases[i].flags[1]) & TN_TAKE_OWNERSHIP;
        if (one_takes && status == TN_OK) { /* also sensible: the taken one and a copy */
            CHECK(state_of(x) == TN_ERR_DESTRUCTED);
        } else {
            CHECK(status == cases[i].status && a.runs == (status == TN_OK));
            if (status == TN_OK)
                CHECK(crossed(how[0], cases[i].reasons[0] ? COPY(S) : ALIAS) && crossed(how[1], cases[i].reasons[1] ? COPY(S) : ALIAS));
            else
                CHECK(how[0].how == 77 && HOLDS(x, 0, 1, 2, 3) && says("right"));
            CHECK(state_of(x) == TN_OK && unique(x));
        }
        drop(x);
        end_function(f);
        if (check_failures > failures)
            fprintf(stderr, "    flags %u, %u: %s, %s\n", cases[i].flags[0], cases[i].flags[1], tn_status_name(status), tn_last_error());
    }
}

static void clones_taken(void) /* FN-20: two handles on one store are two arguments */
{
    adder a = {.n = 2};
    tn_array *x = numbers(NULL, SHAPE(4)), *y = clone(x);
    plan p = planned(adds, &a);
    takes(&p, "x", TN_TAKE_OWNERSHIP);
    takes(&p, "y", TN_TAKE_OWNERSHIP);
    tn_function *f = made(&p);
    tn_crossing how[2];
    OK(tn_function_call(f, 2, ((tn_array *[]){x, y}), 0, NULL, how, NULL));
    CHECK(how[1].how == TN_COPIED && how[1].why == S && a.written[0] && a.written[1]);
    CHECK(state_of(x) == TN_ERR_DESTRUCTED && state_of(y) == TN_ERR_DESTRUCTED);
    drop(x);
    drop(y);
    end_function(f);
}

static void taken_as_a_copy_and_passed_again(void) /* FN-20: an earlier argument that was itself copied overlaps nothing */
{
    static const struct {
        uint32_t flags, reasons;
    } cases[] = {{NONE, 0}, {TN_BORROW, 0}, {REQUIRE, 0}, {MAY, S | TN_WHY_LAYOUT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        adder a = {.n = 2};
        state s = stretched();
        plan p = planned(adds, &a);
        takes(&p, "left", TN_TAKE_OWNERSHIP);
        takes(&p, "right", cases[i].flags);
        tn_function *f = made(&p);
        tn_crossing how[2];
        OK(tn_function_call(f, 2, ((tn_array *[]){s.value, s.value}), 0, NULL, how, NULL));
        CHECK(crossed(how[0], COPY(TN_WHY_LAYOUT)) && crossed(how[1], cases[i].reasons ? COPY(cases[i].reasons) : ALIAS));
        CHECK(a.written[0] && a.written[1] == (cases[i].flags == MAY) && state_of(s.value) == TN_ERR_DESTRUCTED);
        end_state(&s);
        end_function(f);
        if (check_failures > failures)
            fprintf(stderr, "    flags %u: %s\n", cases[i].flags, tn_last_error());
    }
}

/* ---- a taken argument's memory ---- */

static int returned;

static tn_status updates_and_fails(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    tn_shared *shared = context;
    tn_array *value = NULL;
    tn_crossing how = {0};
    (void)out, (void)update;
    CHECK(in[0] != NULL);
    OK(tn_shared_update_begin(shared, TN_MAY_OVERWRITE, &value, &how));
    CHECK(crossed(how, COPY(TN_WHY_SHARED)));
    fill_i64(value, 9);
    OK(tn_shared_update_end(shared, 0));
    return TN_ERR_IO;
}

/* FN-12: an argument that is taken, and copied for the body, holds its bytes until the end of the call. */
static void taken_as_a_copy_holds_its_bytes(void)
{
    state s = from_variable();
    plan p = planned(updates_and_fails, s.owner);
    tn_crossing how = {0};
    takes(&p, "x", TN_TAKE_OWNERSHIP);
    tn_function *f = made(&p);
    CHECK(tn_function_call(f, 1, &s.value, 0, NULL, &how, NULL) == TN_ERR_IO);
    CHECK(state_of(s.value) == TN_OK && holds(s.value, 6, (int64_t[]){0, 1, 2, 3, 4, 5}));
    tn_array *now = got(s.owner, NONE, COPY(0));
    CHECK(holds(now, 6, (int64_t[]){9, 9, 9, 9, 9, 9}));
    drop(now);
    OK(tn_function_release(f));
    end_state(&s);
}

static void note_return(void *memory)
{
    returned++;
    free(memory);
}

static tn_status sees_memory(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *seen = context;
    (void)in, (void)out, (void)update;
    *seen = returned;
    return TN_OK;
}

static void taken_memory_goes_back(void) /* SV-7 of arguments: the release callback runs once in all cases */
{
    for (int copied = 0; copied < 2; copied++) {
        int64_t *memory = calloc(4, sizeof *memory);
        uint32_t flags = TN_TAKE_OWNERSHIP | (copied ? TN_IMPORT_READONLY : 0);
        tn_array *x = array_of(memory, flags, note_return, memory, SHAPE(4));
        int seen = -1;
        returned = 0;
        plan p = planned(sees_memory, &seen);
        takes(&p, "x", TN_TAKE_OWNERSHIP);
        tn_function *f = made(&p);
        tn_crossing how;
        OK(tn_function_call(f, 1, &x, 0, NULL, &how, NULL));
        CHECK(how.how == (copied ? TN_COPIED : TN_ALIASED) && (copied || seen == 0) && returned == 1);
        drop(x);
        CHECK(returned == 1);
        end_function(f);
    }
}

int main(void)
{
    mapping_is_not_written();
    gaps_are_untouched();
    several_reasons();
    never_worn_out();
    implicit_input_updated_by_the_call();
    overlapping_views();
    one_handle_twice();
    clones_taken();
    taken_as_a_copy_and_passed_again();
    taken_as_a_copy_holds_its_bytes();
    taken_memory_goes_back();
    return finish();
}
