/*
 * function_inputs.c - the inputs of functions: every cell of their table, arguments that overlap, defaults and implicit inputs
 * (FN-10 to FN-13, FN-20, FN-21).
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
    state s = {0};
    int64_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), shape[2] = {2, 3};
    for (int i = 0; i < 6; i++)
        memory[i] = i;
    CHECK(mprotect(memory, BYTES, PROT_READ) == 0);
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = shape};
    OK(tn_array_import_host(memory, &layout, TN_TAKE_OWNERSHIP | TN_IMPORT_READONLY, unmap, memory, &s.value, NULL));
    return s;
}

static state lent(void)
{
    state s = {.memory = calloc(6, sizeof(int64_t))};
    int64_t shape[2] = {2, 3};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = shape};
    OK(tn_array_import_host(s.memory, &layout, TN_BORROW, NULL, NULL, &s.value, NULL));
    return s;
}

static state lent_to_overwrite(void)
{
    state s = {.memory = calloc(6, sizeof(int64_t))};
    int64_t shape[2] = {2, 3};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 2, .shape = shape};
    OK(tn_array_import_host(s.memory, &layout, TN_MAY_OVERWRITE, NULL, NULL, &s.value, NULL));
    return s;
}

static state with_view(void)
{
    tn_array *large = numbers(NULL, SHAPE(4, 3));
    state s = {.value = part(large, 0, 2, 1), .other = part(large, 2, 4, 1)};
    drop(large);
    return s;
}

static state in_expression(void)
{
    state s = {.value = zeros(NULL, TN_F64, SHAPE(2, 3))};
    OK(tn_expr_leaf(s.value, TN_FORM_FULL, &s.leaf));
    return s;
}

/* A guard whose own handle was released. */
static state read_by_released(void)
{
    state s = alone();
    tn_array *other = clone(s.value);
    s.guard = reading(other);
    drop(other);
    return s;
}

static state written_by_released(void)
{
    state s = alone();
    tn_array *other = clone(s.value);
    s.guard = writing(other, 0);
    drop(other);
    return s;
}

static state written_by_itself(void)
{
    state s = alone();
    s.guard = writing(s.value, 0);
    return s;
}

static state from_variable(void)
{
    state s = {.owner = counting("owner", SHAPE(2, 3))};
    s.value = got(s.owner, TN_BORROW, ALIAS);
    return s;
}

static state of_size_0(void)
{
    return (state){.value = numbers(NULL, SHAPE(0, 3))};
}

static state turned(void)
{
    tn_array *plain = numbers(NULL, SHAPE(3, 2));
    state s = {0};
    OK(tn_array_transpose(plain, &s.value));
    drop(plain);
    return s;
}

/* ---- the table ---- */

/* The status of a call, or what became of its argument. */
typedef struct {
    tn_status status;
    tn_crossing how;
} outcome;

#define A {TN_OK, {TN_ALIASED, 0}}
#define C(bits) {TN_OK, {TN_COPIED, TN_WHY_##bits}}
#define E(name) {TN_ERR_##name, {0, 0}}

static const uint32_t columns[] = {
    NONE, TN_BORROW, TN_MAY_OVERWRITE, TN_MAY_OVERWRITE | REQUIRE, TN_TAKE_OWNERSHIP, /* those of the specification */
    REQUIRE, TN_BORROW | TN_RAW, TN_TAKE_OWNERSHIP | REQUIRE, TN_TAKE_OWNERSHIP | TN_MAY_OVERWRITE | TN_BORROW,
};

#define COLUMNS (sizeof columns / sizeof *columns)

/* The column of the specification that has the outcome of a further column. */
static const size_t equal_column[COLUMNS] = {0, 1, 2, 3, 4, 1, 1, 3, 4};

static const struct {
    const char *name;
    state (*make)(void);
    outcome expected[5];
} table[] = {
    {"alone", alone, {A, A, A, A, A}},
    {"of size 0", of_size_0, {A, A, A, A, A}},
    {"turned", turned, {A, A, A, A, A}},
    {"strided", strided, {A, A, A, A, A}},
    {"lent to be overwritten", lent_to_overwrite, {A, A, A, A, A}},
    {"read-only mapping", mapped_readonly, {A, A, C(READONLY), E(READONLY), C(READONLY)}},
    {"stretched", stretched, {A, A, C(LAYOUT), E(WOULD_COPY), C(LAYOUT)}},
    {"with a clone", with_clone, {A, A, C(SHARED), E(SHARED), C(SHARED)}},
    {"with a view", with_view, {A, A, C(SHARED), E(SHARED), C(SHARED)}},
    {"in an expression", in_expression, {A, A, C(IN_EXPRESSION), E(IN_EXPRESSION), C(IN_EXPRESSION)}},
    {"lent", lent, {A, A, C(FOREIGN), E(FOREIGN), C(FOREIGN)}},
    {"read by another", read_by_released, {A, A, C(BORROWED), E(BORROWED), C(BORROWED)}},
    {"read by itself", read_by_itself, {A, A, C(BORROWED), E(BORROWED), E(BORROWED)}},
    {"written by another", written_by_released, {E(BORROWED_WRITE), E(BORROWED_WRITE), E(BORROWED_WRITE), E(BORROWED_WRITE),
                                                 E(BORROWED_WRITE)}},
    {"written by itself", written_by_itself, {E(BORROWED_WRITE), E(BORROWED_WRITE), E(BORROWED_WRITE), E(BORROWED_WRITE),
                                              E(BORROWED_WRITE)}},
    {"exported", exported, {A, A, C(EXPORTED), E(EXPORTED), C(EXPORTED)}},
    {"viewed", viewed, {A, A, C(EXPORTED), E(EXPORTED), C(EXPORTED)}},
    {"exclusive", exclusive, {E(EXPORTED), E(EXPORTED), E(EXPORTED), E(EXPORTED), E(EXPORTED)}},
    {"from a variable", from_variable, {A, A, C(SHARED), E(SHARED), C(SHARED)}},
    {"poisoned", poisoned, {E(POISONED), E(POISONED), E(POISONED), E(POISONED), E(POISONED)}},
};

#define ROWS (sizeof table / sizeof *table)

/* What the body of the table's function has to find, and what it does. */
typedef struct {
    void *bytes;
    int aliases;
    int may_write;
    const int64_t *elements;
    int runs;
    tn_status answer;
} cell;

static tn_status examines(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    cell *c = context;
    (void)out, (void)update;
    c->runs++;
    int64_t found[6] = {0};
    tn_array_info info = info_of(in[0]);
    CHECK(info.ndim == 2 && info.shape[1] == 3 && tn_array_copy_to_host(in[0], found, NULL, NULL) == TN_OK);
    CHECK(memcmp(found, c->elements, (size_t)info.bytes) == 0);
    if (info.bytes > 0)
        CHECK((address(in[0]) == c->bytes) == c->aliases);
    if (c->may_write) { /* in any mode, also through views and clones */
        CHECK(!(info.flags & TN_READONLY));
        CHECK(try_write(in[0], TN_WRITE_UNIQUE) == TN_OK && try_write(in[0], TN_WRITE_COW) == TN_OK);
        int64_t eight = 8, nine = 9;
        OK(tn_array_fill(in[0], &eight, TN_WRITE_UNIQUE, NULL));
        tn_array *view = part(in[0], TN_NONE, TN_NONE, 1);
        OK(tn_array_fill(view, &nine, TN_WRITE_ALIASED, NULL));
        drop(view);
        if (info.bytes > 0)
            CHECK((address(in[0]) == c->bytes) == c->aliases);
    } else {
        int64_t nine = 9;
        CHECK(tn_array_fill(in[0], &nine, 0, NULL) == TN_ERR_READONLY);
        CHECK(try_write(in[0], TN_WRITE_UNIQUE) == TN_ERR_READONLY);
        OK(tn_array_fill(in[0], &nine, TN_WRITE_COW, NULL)); /* goes to a copy of the body's own */
        if (info.bytes > 0)
            CHECK(address(in[0]) != c->bytes);
    }
    return c->answer;
}

/* FN-11, FN-12: every cell, for a body that succeeds and for one that fails. */
static void table_of_inputs(void)
{
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t at = 0; at < 2 * COLUMNS; at++) {
            size_t column = at / 2;
            int fails = at % 2, failures = check_failures;
            uint32_t flags = columns[column];
            int writes = (flags & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP)) != 0, takes_it = (flags & TN_TAKE_OWNERSHIP) != 0;
            outcome expected = table[row].expected[equal_column[column]];
            if (flags == (TN_TAKE_OWNERSHIP | REQUIRE) && table[row].make == read_by_itself)
                expected = (outcome)E(BORROWED);
            state s = table[row].make();
            int64_t before[6] = {0}, after[6] = {0};
            int readable = tn_array_copy_to_host(s.value, before, NULL, NULL) == TN_OK;
            size_t bytes = (size_t)info_of(s.value).bytes;
            uint32_t reasons = why(s.value);
            cell c = {.bytes = readable && bytes ? address(s.value) : NULL, .elements = before,
                      .answer = fails ? TN_ERR_IO : TN_OK, .aliases = expected.how.how == TN_ALIASED, .may_write = writes};
            plan p = planned(examines, &c);
            takes(&p, "argument", flags);
            tn_function *f = made(&p);
            tn_crossing how = {77, 77};
            tn_status status = tn_function_call(f, 1, &s.value, 0, NULL, &how, NULL);
            CHECK(status == (expected.status == TN_OK ? c.answer : expected.status));
            CHECK(c.runs == (expected.status == TN_OK));
            if (status != TN_OK)
                CHECK(!strncmp(tn_last_error(), "tn_function_call: ", 18));
            if (status == TN_OK)
                CHECK(crossed(how, expected.how));
            else
                CHECK(how.how == 77 && how.why == 77);
            if (status != TN_OK && status == expected.status && !fails)
                CHECK(says("in[0]") && says("argument"));

            CHECK(state_of(s.value) == (status == TN_OK && takes_it ? TN_ERR_DESTRUCTED : TN_OK));
            if (state_of(s.value) == TN_OK) {
                CHECK(why(s.value) == reasons);
                if (readable) {
                    CHECK(bytes == 0 || address(s.value) == c.bytes);
                    OK(tn_array_copy_to_host(s.value, after, NULL, NULL));
                    int changes = writes && c.runs && c.aliases && bytes > 0;
                    CHECK(memcmp(before, after, bytes) == 0 || changes);
                    CHECK(!changes || (after[0] == 9 && after[5] == 9)); /* the caller's own bytes were written */
                }
            }
            if (s.other && readable && !takes_it && table[row].make == with_clone) {
                OK(tn_array_copy_to_host(s.other, after, NULL, NULL));
                CHECK(memcmp(before, after, bytes) == 0);
            }
            if (s.owner)
                CHECK(counts_from(s.owner, 0, 6) && facts(s.owner).version == 1);
            end_state(&s);
            end_function(f);
            if (check_failures > failures)
                fprintf(stderr, "    in \"%s\", column %zu, fails %d: %s\n", table[row].name, column, fails, tn_last_error());
        }
    }
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

/* ---- strict and required ---- */

static tn_status only_runs(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *runs = context;
    (void)in, (void)out, (void)update;
    ++*runs;
    return TN_OK;
}

static void strict_inputs(void) /* SV-6 of inputs: neither packed nor moved */
{
    static const uint32_t flags[] = {NONE, TN_BORROW, REQUIRE, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP};
    state (*const not_contiguous[])(void) = {strided, turned, stretched};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int runs = 0;
        plan p = planned(only_runs, &runs);
        takes(&p, "strict one", flags[i] | TN_STRICT);
        tn_function *f = made(&p);
        for (size_t k = 0; k < sizeof not_contiguous / sizeof *not_contiguous; k++) {
            state s = not_contiguous[k]();
            FAILS(tn_function_call(f, 1, &s.value, 0, NULL, NULL, NULL), TN_ERR_LAYOUT);
            CHECK(says("in[0]") && says("strict one") && runs == 0 && state_of(s.value) == TN_OK);
            end_state(&s);
        }
        tn_array *fine = numbers(NULL, SHAPE(2, 3));
        OK(tn_function_call(f, 1, &fine, 0, NULL, NULL, NULL));
        CHECK(runs == 1);
        drop(fine);
        end_function(f);
    }
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

/* ---- a variable's buffer that the call updates ---- */

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

/* SV-4 and the last row of the table: the caller's array of a variable's value never changes. */
static void buffer_updated_by_the_call(void)
{
    static const uint32_t flags[] = {NONE, TN_BORROW, REQUIRE, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_MAY_OVERWRITE | REQUIRE};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int failures = check_failures, writes = (flags[i] & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP)) != 0;
        state s = from_variable();
        overlapping o = {0};
        plan p = planned(writes_update, &o);
        takes(&p, "x", flags[i]);
        assigns(&p, s.owner, TN_MAY_OVERWRITE);
        tn_function *f = made(&p);
        tn_crossing how = {77, 77};
        tn_status status = tn_function_call(f, 1, &s.value, 0, NULL, &how, NULL);
        if (flags[i] == (TN_MAY_OVERWRITE | REQUIRE)) {
            CHECK(status == TN_ERR_SHARED && o.runs == 0 && how.how == 77 && counts_from(s.owner, 0, 6) && facts(s.owner).version == 1);
        } else if (flags[i] == REQUIRE && status != TN_OK) {
            CHECK(status == TN_ERR_SHARED && o.runs == 0);
        } else {
            CHECK(status == TN_OK && o.runs == 1 && (crossed(how, COPY(TN_WHY_SHARED)) || (!writes && crossed(how, ALIAS))));
            tn_array *now = got(s.owner, NONE, COPY(0));
            CHECK(HOLDS(now, 9, 9, 9, 9, 9, 9) && facts(s.owner).version == 2);
            drop(now);
        }
        CHECK(state_of(s.value) == (flags[i] == TN_TAKE_OWNERSHIP ? TN_ERR_DESTRUCTED : TN_OK));
        if (flags[i] != TN_TAKE_OWNERSHIP)
            CHECK(HOLDS(s.value, 0, 1, 2, 3, 4, 5));
        end_state(&s);
        end_function(f);
        if (check_failures > failures)
            fprintf(stderr, "    flags %u: %s\n", flags[i], tn_last_error());
    }
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
        int64_t *memory = calloc(4, sizeof *memory), shape[1] = {4};
        tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = shape};
        tn_array *x = NULL;
        OK(tn_array_import_host(memory, &layout, TN_TAKE_OWNERSHIP | (copied ? TN_IMPORT_READONLY : 0), note_return, memory, &x, NULL));
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
    table_of_inputs();
    gaps_are_untouched();
    strict_inputs();
    several_reasons();
    never_worn_out();
    buffer_updated_by_the_call();
    implicit_input_updated_by_the_call();
    overlapping_views();
    one_handle_twice();
    clones_taken();
    taken_as_a_copy_and_passed_again();
    taken_as_a_copy_holds_its_bytes();
    taken_memory_goes_back();
    return finish();
}
