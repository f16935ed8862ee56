/*
 * function_updates.c - the updates of functions: exchanged buffers, views, values that are copied, updates in place, spare buffers, calls
 * that fail at each allocation, and claims (FN-14, FN-30 to FN-36, FN-42, FN-47, SV-2, SV-4, SV-9, SV-13, SV-34, SV-35, SV-36, SV-39).
 */
#define _POSIX_C_SOURCE 200809L
#include "crossings.h"

/* ---- values that change places ---- */

static int is_alone(tn_shared *shared) /* one variable has its store */
{
    tn_array *value = got(shared, TN_RAW | TN_BORROW, ALIAS);
    int n = count_holders(value, TN_HOLDER_SHARED_VARIABLE) == 1;
    drop(value);
    return n;
}

typedef struct {
    const int *from; /* the variable whose old value each one gets; -1: it keeps its own */
    int runs;
} movement;

static tn_status changes_places(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    movement *m = context;
    (void)out;
    m->runs++;
    for (int i = 0; i < 4; i++) {
        CHECK(update[i] == NULL);
        update[i] = m->from[i] < 0 ? NULL : clone(in[m->from[i]]);
    }
    return TN_OK;
}

static void places_changed(const int from[4], uint32_t flags)
{
    int failures = check_failures, source[4];
    tn_pool *pool = own_pool("places");
    OK(tn_pool_set_current(pool));
    movement m = {.from = from};
    plan p = planned(changes_places, &m);
    tn_shared *variables[4];
    void *bytes[4];
    unsigned sources = 0;
    for (int i = 0; i < 4; i++) { /* of different shapes and orders */
        tn_array *value = numbers_in(pool, i % 2 ? TN_ORDER_F : TN_ORDER_C, SHAPE(i + 2, 3));
        variables[i] = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
        drop(value);
        bytes[i] = address_in(variables[i]);
        takes_value_of(&p, variables[i], flags);
        assigns(&p, variables[i], NONE);
        source[i] = from[i] < 0 ? i : from[i];
        sources |= 1u << source[i];
    }
    tn_function *f = made(&p);
    uint64_t before = allocations(pool), live = live_bytes(pool);
    int is_permutation = sources == 0xf;
    OK(run(f));
    CHECK(m.runs == 1 && (!is_permutation || (allocations(pool) == before && live_bytes(pool) == live)));
    for (int i = 0; i < 4; i++) {
        tn_array *value = got(variables[i], TN_RAW | TN_BORROW, ALIAS);
        tn_array_info info = info_of(value);
        tn_shared_info now = facts(variables[i]);
        CHECK(info.shape[0] == source[i] + 2 && now.shape[0] == source[i] + 2 && now.version == (from[i] < 0 ? 1u : 2u));
        CHECK(counts_from(variables[i], 0, (size_t)info.count) && try_write(value, 0) == TN_ERR_SHARED && is_alone(variables[i]));
        if (is_permutation)
            CHECK(info.flags & (source[i] % 2 ? TN_F_CONTIGUOUS : TN_C_CONTIGUOUS) && now.detach_count == 0);
        if (is_permutation || from[i] < 0)
            CHECK(address(value) == bytes[source[i]]);
        drop(value);
    }
    end_function(f);
    for (int i = 0; i < 4; i++)
        end_shared(variables[i]);
    end_own_pool(pool);
    if (check_failures > failures)
        fprintf(stderr, "    from %d %d %d %d: %s\n", from[0], from[1], from[2], from[3], tn_last_error());
}

/* FN-31, FN-32, SV-2: permutations, also cycles and what stays where it is, and values that several variables get. */
static void all_movements(void)
{
    for (int number = 0; number < 5 * 5 * 5 * 5; number++) {
        int from[4] = {number % 5 - 1, number / 5 % 5 - 1, number / 25 % 5 - 1, number / 125 - 1};
        places_changed(from, number % 2 ? TN_BORROW : NONE);
    }
}

/* ---- values that are views ---- */

typedef tn_status (*two_updates)(tn_array *const *in, tn_array **update);

static tn_status runs_pair(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)out;
    two_updates *body = context;
    return (*body)(in, update);
}

/* A function of the implicit inputs a and b, which updates both. */
static tn_function *pair_of(tn_shared *a, tn_shared *b, two_updates *body)
{
    plan p = planned(runs_pair, body);
    takes_value_of(&p, a, NONE);
    takes_value_of(&p, b, NONE);
    assigns(&p, a, NONE);
    assigns(&p, b, NONE);
    return made(&p);
}

static tn_status views_exchanged(tn_array *const *in, tn_array **update)
{
    update[0] = part(in[1], TN_NONE, TN_NONE, -1);
    return tn_array_transpose(in[0], &update[1]);
}

static tn_status halves_exchanged(tn_array *const *in, tn_array **update)
{
    update[0] = part(in[1], 2, 4, 1);
    update[1] = part(in[0], 0, 4, 2);
    return TN_OK;
}

static tn_status quarter_and_whole(tn_array *const *in, tn_array **update)
{
    update[0] = part(in[1], 3, 4, 1);
    update[1] = clone(in[0]);
    return TN_OK;
}

static void exchanged_views(void) /* FN-31 */
{
    tn_pool *pool = own_pool("views");
    OK(tn_pool_set_current(pool));
    two_updates body = views_exchanged;
    tn_shared *a = counting("a", SHAPE(4, 4)), *b = counting("b", SHAPE(4, 4));
    char *at_a = address_in(a), *at_b = address_in(b);
    tn_function *f = pair_of(a, b, &body);
    uint64_t before = allocations(pool);
    OK(run(f));
    CHECK(allocations(pool) == before && address_in(a) == at_b + 96 && address_in(b) == at_a);
    tn_array *value = got(a, TN_BORROW, ALIAS);
    CHECK(HOLDS(value, 12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    drop(value);
    value = got(b, TN_BORROW, ALIAS);
    CHECK(HOLDS(value, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15) && info_of(value).strides[0] == 8);
    drop(value);

    body = halves_exchanged;
    void *rows = address_in(b);
    before = allocations(pool);
    OK(run(f)); /* exactly half of the store: kept */
    CHECK(allocations(pool) == before && facts(a).shape[0] == 2 && facts(b).shape[0] == 2);
    CHECK(address_in(a) == (char *)rows + 16 && address_in(b) == at_b + 96);
    value = got(a, TN_BORROW, ALIAS);
    CHECK(HOLDS(value, 2, 6, 10, 14, 3, 7, 11, 15));
    drop(value);
    end_function(f);
    end_shared(a);
    end_shared(b);

    a = counting("a", SHAPE(4, 400));
    b = counting("b", SHAPE(4, 400));
    at_a = address_in(a);
    body = quarter_and_whole;
    f = pair_of(a, b, &body);
    OK(run(f)); /* a quarter is compacted, and lets the large buffer go */
    value = got(a, TN_BORROW, ALIAS);
    int64_t found[400];
    OK(tn_array_copy_to_host(value, found, NULL, NULL));
    CHECK(found[0] == 1200 && found[399] == 1599 && info_of(value).store_bytes < 6400 && address_in(b) == at_a);
    CHECK(count_holders(value, TN_HOLDER_SHARED_VARIABLE) == 1);
    drop(value);
    end_function(f);
    end_shared(a);
    end_shared(b);
    end_own_pool(pool);
}

static tn_status turns(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out;
    return tn_array_transpose(in[0], &update[0]);
}

static void turned_ten_thousand_times(void) /* FN-34 */
{
    tn_pool *pool = own_pool("turned");
    OK(tn_pool_set_current(pool));
    tn_shared *a = counting("a", SHAPE(3, 2));
    plan p = planned(turns, NULL);
    takes_value_of(&p, a, NONE);
    assigns(&p, a, NONE);
    tn_function *f = made(&p);
    void *bytes = address_in(a);
    OK(run(f));
    tn_pool_stats first = stats_of(pool);
    tn_array *value = got(a, TN_BORROW, ALIAS);
    size_t holders = count_holders(value, TN_HOLDER_HANDLE), variables = count_holders(value, TN_HOLDER_SHARED_VARIABLE);
    CHECK(HOLDS(value, 0, 2, 4, 1, 3, 5) && variables == 1);
    drop(value);
    int n = rounds(10000);
    for (int i = 1; i < n; i++)
        OK(run(f));
    tn_pool_stats last = stats_of(pool);
    CHECK(last.allocation_count == first.allocation_count && last.requested_bytes == first.requested_bytes);
    CHECK(last.live_blocks == first.live_blocks && last.reserved_bytes == first.reserved_bytes);
    value = got(a, TN_BORROW, ALIAS);
    CHECK(address(value) == bytes && count_holders(value, TN_HOLDER_HANDLE) == holders);
    CHECK(count_holders(value, TN_HOLDER_SHARED_VARIABLE) == 1 && HOLDS(value, 0, 1, 2, 3, 4, 5));
    CHECK(info_of(value).shape[0] == 3 && facts(a).version == (uint64_t)n + 1 && facts(a).detach_count == 0);
    drop(value);
    end_function(f);
    end_shared(a);
    end_own_pool(pool);
}

/* ---- values that are copied ---- */

static tn_status other_as_value(tn_array *const *in, tn_array **update)
{
    update[0] = clone(in[1]);
    return TN_OK;
}

static tn_status one_for_both(tn_array *const *in, tn_array **update)
{
    (void)in;
    update[0] = update[1] = numbers(NULL, SHAPE(2, 3));
    return TN_OK;
}

static tn_status clones_for_both(tn_array *const *in, tn_array **update)
{
    (void)in;
    update[0] = numbers(NULL, SHAPE(2, 3));
    update[1] = clone(update[0]);
    return TN_OK;
}

static tn_status views_for_both(tn_array *const *in, tn_array **update)
{
    (void)in;
    tn_array *large = numbers(NULL, SHAPE(3, 3));
    update[0] = part(large, 0, 2, 1);
    update[1] = part(large, 1, 3, 1);
    drop(large);
    return TN_OK;
}

static tn_status halves_for_both(tn_array *const *in, tn_array **update)
{
    (void)in;
    tn_array *large = numbers(NULL, SHAPE(4, 3));
    update[0] = part(large, 0, 2, 1);
    update[1] = part(large, 2, 4, 1);
    drop(large);
    return TN_OK;
}

static tn_status broadcast_value(tn_array *const *in, tn_array **update)
{
    (void)in;
    tn_array *row = numbers(NULL, SHAPE(3));
    update[0] = broadcast(row, SHAPE(2, 3));
    drop(row);
    return TN_OK;
}

static tn_status gives_both_up(tn_array *const *in, tn_array **update)
{
    (void)in, (void)update;
    return TN_OK;
}

static void copied_values(void) /* FN-32, SV-2, SV-13, SV-35 */
{
    static const struct {
        two_updates body;
        int changes_b;
        int64_t first[2], last[2];
    } cases[] = {
        {other_as_value, 0, {0, 0}, {5, 5}}, {one_for_both, 1, {0, 0}, {5, 5}},   {clones_for_both, 1, {0, 0}, {5, 5}},
        {views_for_both, 1, {0, 3}, {5, 8}}, {halves_for_both, 1, {0, 6}, {5, 11}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failures = check_failures;
        tn_shared *a = counting("a", SHAPE(2, 3)), *b = counting("b", SHAPE(2, 3));
        two_updates body = cases[i].body;
        void *at_b = address_in(b);
        tn_function *f = pair_of(a, b, &body);
        OK(run(f));
        CHECK(address_in(a) != address_in(b) && is_alone(a) && is_alone(b));
        CHECK(counts_from(a, cases[i].first[0], 6) && counts_from(b, cases[i].first[1], 6));
        CHECK(facts(a).version == 2 && facts(b).version == (cases[i].changes_b ? 2u : 1u));
        if (!cases[i].changes_b)
            CHECK(address_in(b) == at_b); /* b keeps its buffer */
        body = gives_both_up;
        OK(run(f)); /* NULL leaves a variable and its version */
        CHECK(facts(a).version == 2 && counts_from(a, cases[i].first[0], 6));
        end_function(f);
        end_shared(a);
        end_shared(b);
        if (check_failures > failures)
            fprintf(stderr, "    in case %zu: %s\n", i, tn_last_error());
    }
    tn_shared *a = counting("a", SHAPE(2, 3)), *b = counting("b", SHAPE(2, 3));
    two_updates body = broadcast_value;
    tn_function *f = pair_of(a, b, &body);
    OK(run(f));
    tn_array *value = got(a, TN_RAW | TN_BORROW, ALIAS);
    CHECK(HOLDS(value, 0, 1, 2, 0, 1, 2) && info_of(value).flags & TN_C_CONTIGUOUS);
    drop(value);
    end_function(f);
    end_shared(a);
    end_shared(b);
}

typedef struct {
    int leaves_export; /* XS or XR, 0: none */
    tn_borrow *export;
    int64_t *exported;
} assignment;

static tn_status leaves_export(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    assignment *a = context;
    (void)in, (void)out;
    update[0] = numbers(NULL, SHAPE(4));
    a->exported = address(update[0]);
    a->export = exporting(update[0], (uint32_t)a->leaves_export);
    return TN_OK;
}

static void exports_left_open(void) /* FN-33 */
{
    for (int shared_view = 0; shared_view < 2; shared_view++) {
        assignment c = {.leaves_export = shared_view ? (int)(XS) : (int)(XR)};
        tn_shared *w = counting("w", SHAPE(2));
        plan p = planned(leaves_export, &c);
        assigns(&p, w, NONE);
        tn_function *f = made(&p);
        uint64_t copies = copies_of("tn_function_call", TN_WHY_EXPORTED);
        OK(run(f));
        CHECK((address_in(w) == c.exported) == !shared_view && counts_from(w, 0, 4));
        CHECK(copies_of("tn_function_call", TN_WHY_EXPORTED) == copies + (unsigned)shared_view);
        if (shared_view) { /* its consumer may write */
            c.exported[0] = 7;
            CHECK(counts_from(w, 0, 4));
        }
        end(c.export);
        end_function(f);
        end_shared(w);
    }
}

/* ---- in place ---- */

enum deed { ADD_ONE, UNTOUCHED_VALUE, REPLACE, GIVE_UP, GIVE_UP_RELEASED, KEEP_CLONE };

typedef struct {
    enum deed deed;
    tn_status answer;
    void *found;
    tn_array *kept;
    int runs;
} in_place;

static tn_status works_in_place(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    in_place *c = context;
    (void)in, (void)out;
    c->runs++;
    CHECK(update[0] != NULL && unique(update[0]));
    c->found = address(update[0]);
    switch (c->deed) {
    case ADD_ONE: OK(add_one(update[0])); break;
    case UNTOUCHED_VALUE: break;
    case REPLACE: update[0] = numbers(NULL, SHAPE(5)); break;
    case GIVE_UP: update[0] = NULL; break;
    case GIVE_UP_RELEASED:
        drop(update[0]);
        update[0] = NULL;
        break;
    case KEEP_CLONE:
        OK(add_one(update[0]));
        c->kept = clone(update[0]);
        break;
    }
    return c->answer;
}

static tn_function *in_place_of(tn_shared *w, in_place *c)
{
    plan p = planned(works_in_place, c);
    assigns(&p, w, TN_MAY_OVERWRITE);
    return made(&p);
}

static void updates_in_place(void) /* FN-14, SV-4, SV-34, SV-35 */
{
    tn_pool *pool = own_pool("in place");
    OK(tn_pool_set_current(pool));
    tn_shared *w = counting("w", SHAPE(4));
    in_place c = {0};
    tn_function *f = in_place_of(w, &c);
    void *bytes = address_in(w);
    uint64_t before = allocations(pool);
    for (int i = 0; i < 5; i++) {
        OK(run(f));
        CHECK(c.found == bytes);
    }
    CHECK(allocations(pool) == before && counts_from(w, 5, 4) && address_in(w) == bytes && facts(w).version == 6);
    CHECK(facts(w).detach_count == 0);

    tn_array *held = got(w, TN_BORROW, ALIAS); /* a holder keeps the old value */
    OK(run(f));
    CHECK(c.found != bytes && HOLDS(held, 5, 6, 7, 8) && counts_from(w, 6, 4) && address_in(w) == c.found);
    CHECK(facts(w).version == 7 && facts(w).detach_count == 1 && try_write(held, TN_WRITE_UNIQUE) == TN_OK);
    c.answer = TN_ERR_IO;
    tn_array *again = got(w, TN_BORROW, ALIAS);
    CHECK(run(f) == TN_ERR_IO && counts_from(w, 6, 4) && facts(w).version == 7 && !facts(w).is_poisoned);
    drop(again);
    drop(held);

    static const enum deed harmless[] = {GIVE_UP, GIVE_UP_RELEASED};
    for (int i = 0; i < 2; i++) { /* nothing was written, and NULL leaves the variable */
        c = (in_place){.deed = harmless[i]};
        OK(run(f));
        CHECK(counts_from(w, 6, 4) && facts(w).version == 7 && !facts(w).is_poisoned);
    }
    c = (in_place){.deed = UNTOUCHED_VALUE, .answer = TN_ERR_IO}; /* failed, but not written */
    CHECK(run(f) == TN_ERR_IO && counts_from(w, 6, 4) && facts(w).version == 7 && !facts(w).is_poisoned);
    c.answer = TN_OK;
    OK(run(f)); /* not written, but left as the value */
    CHECK(counts_from(w, 6, 4) && facts(w).version == 8 && !facts(w).is_poisoned);
    c = (in_place){.deed = REPLACE};
    OK(run(f));
    CHECK(counts_from(w, 0, 5) && facts(w).version == 9);
    c = (in_place){.deed = KEEP_CLONE};
    OK(run(f));
    CHECK(counts_from(w, 1, 5) && HOLDS(c.kept, 1, 2, 3, 4, 5) && try_write(c.kept, 0) == TN_ERR_SHARED);
    drop(c.kept);

    c = (in_place){.answer = 4711}; /* written, then failed */
    CHECK(run(f) == TN_ERR_FAILED && facts(w).is_poisoned && facts(w).version == 10);
    CHECK(run(f) == TN_ERR_POISONED && c.runs == 1);
    tn_array *none = UNTOUCHED, *fine = numbers(NULL, SHAPE(4));
    FAILS(tn_shared_get(w, 0, &none, NULL), TN_ERR_POISONED);
    OK(tn_shared_set(w, fine, NONE, NULL));
    c.answer = TN_OK;
    OK(run(f));
    CHECK(counts_from(w, 1, 4) && facts(w).version == 12);
    drop(fine);
    end_function(f);
    end_shared(w);
    end_own_pool(pool);
}

/* What a body makes of the two values that it found in their places, after it has added one to each element. */
enum moved { STAY, TURNED, CLONED, REVERSED, FIRST_ROW, STRETCHED, SWAPPED, SWAPPED_VIEWS, FIRST_TO_BOTH, TO_OUTPUT, TO_OUTPUT_TOO, MOVED };

typedef struct {
    enum moved moved;
    tn_status answer;
    int held; /* a holder has the first value, so that the body finds a copy */
} mover;

static tn_status moves(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    mover *m = context;
    (void)in;
    tn_array *first = update[0], *second = update[1], *row = NULL;
    for (int i = 0; i < 2; i++) {
        int64_t found[16];
        uint64_t n = info_of(update[i]).count;
        OK(tn_array_copy_to_host(update[i], found, NULL, NULL));
        for (uint64_t k = 0; k < n; k++)
            found[k] += 100 * (i + 1);
        OK(tn_array_copy_from_host(update[i], found, NULL, TN_WRITE_UNIQUE, NULL));
    }
    out[0] = numbers(NULL, SHAPE(1, 1));
    switch (m->moved) {
    case TURNED: OK(tn_array_transpose(first, &update[0])); break;
    case CLONED: update[0] = clone(first); break;
    case REVERSED:
        update[0] = part(first, TN_NONE, TN_NONE, -1);
        drop(first);
        break;
    case FIRST_ROW: update[0] = part(first, 0, 1, 1); break;
    case STRETCHED:
        row = part(first, 0, 1, 1);
        update[0] = broadcast(row, SHAPE(4, 4));
        drop(row);
        break;
    case SWAPPED:
        update[0] = second;
        update[1] = first;
        break;
    case SWAPPED_VIEWS:
        update[0] = part(second, TN_NONE, TN_NONE, -1);
        OK(tn_array_transpose(first, &update[1]));
        break;
    case FIRST_TO_BOTH: update[1] = first; break;
    case TO_OUTPUT:
        drop(out[0]);
        out[0] = first;
        update[0] = numbers(NULL, SHAPE(4, 4));
        break;
    case TO_OUTPUT_TOO:
        drop(out[0]);
        out[0] = clone(first);
        break;
    default: break;
    }
    return m->answer;
}

/* The variable has these 16 elements, which can be written one by one, and no other variable has its store. */
static int is_matrix(tn_shared *w, int64_t first, int64_t column, int64_t row)
{
    tn_array *value = got(w, TN_RAW | TN_BORROW, ALIAS);
    int64_t found[16];
    int same = info_of(value).count == 16 && !(info_of(value).flags & TN_SELF_OVERLAP);
    OK(tn_array_copy_to_host(value, found, NULL, NULL));
    for (int i = 0; i < 16; i++)
        same &= found[i] == first + row * (i / 4) + column * (i % 4);
    drop(value);
    return same && is_alone(w);
}

static void found_values_moved(void) /* FN-14, FN-16, FN-31, FN-32, SV-13 */
{
    for (int out_flags = 0; out_flags < 2; out_flags++)
        for (int held = 0; held < 2; held++)
            for (int fails = 0; fails < 2; fails++)
                for (int moved = STAY; moved < MOVED; moved++) {
                    int failures = check_failures;
                    tn_pool *pool = own_pool("moved");
                    OK(tn_pool_set_current(pool));
                    mover m = {.moved = (enum moved)moved, .answer = fails ? TN_ERR_IO : TN_OK};
                    tn_shared *a = counting("a", SHAPE(4, 4)), *b = counting("b", SHAPE(4, 4));
                    plan p = planned(moves, &m);
                    gives(&p, "y", out_flags ? TN_BORROW : NONE);
                    assigns(&p, a, TN_MAY_OVERWRITE);
                    assigns(&p, b, TN_MAY_OVERWRITE);
                    tn_function *f = made(&p);
                    tn_array *old = held ? got(a, TN_BORROW, ALIAS) : NULL, *out = UNTOUCHED;
                    tn_crossing how = {77, 77};
                    tn_status status = tn_function_call(f, 0, NULL, 1, &out, NULL, &how);
                    CHECK(status == m.answer);
                    if (old)
                        CHECK(HOLDS(old, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
                    if (fails) {
                        CHECK(out == UNTOUCHED && facts(a).is_poisoned == !held && facts(b).is_poisoned);
                        CHECK(!held || is_matrix(a, 0, 1, 4));
                    } else {
                        CHECK(facts(a).version == 2 && facts(b).version == 2);
                        switch (moved) {
                        case TURNED: CHECK(is_matrix(a, 100, 4, 1)); break;
                        case REVERSED: CHECK(is_matrix(a, 112, 1, -4)); break;
                        case FIRST_ROW: CHECK(facts(a).shape[0] == 1 && counts_from(a, 100, 4)); break;
                        case STRETCHED: CHECK(is_matrix(a, 100, 1, 0)); break;
                        case SWAPPED: CHECK(is_matrix(a, 200, 1, 4) && is_matrix(b, 100, 1, 4)); break;
                        case SWAPPED_VIEWS: CHECK(is_matrix(a, 212, 1, -4) && is_matrix(b, 100, 4, 1)); break;
                        case FIRST_TO_BOTH: CHECK(is_matrix(a, 100, 1, 4) && is_matrix(b, 100, 1, 4)); break;
                        case TO_OUTPUT: CHECK(is_matrix(a, 0, 1, 4)); break;
                        default: CHECK(is_matrix(a, 100, 1, 4)); break;
                        }
                        if (moved != SWAPPED && moved != SWAPPED_VIEWS && moved != FIRST_TO_BOTH)
                            CHECK(is_matrix(b, 200, 1, 4));
                        if (moved == TO_OUTPUT || moved == TO_OUTPUT_TOO) {
                            static const int64_t expected[16] = {100, 101, 102, 103, 104, 105, 106, 107,
                                                                 108, 109, 110, 111, 112, 113, 114, 115};
                            CHECK(holds(out, 16, expected));
                            CHECK(how.how == (moved == TO_OUTPUT_TOO && !out_flags ? TN_COPIED : TN_ALIASED));
                            if (moved == TO_OUTPUT_TOO && out_flags)
                                CHECK(try_write(out, 0) == TN_ERR_SHARED && address(out) == address_in(a));
                            if (!out_flags)
                                CHECK(unique(out) && try_write(out, TN_WRITE_UNIQUE) == TN_OK);
                        }
                        tn_array *zero = zeros(NULL, TN_I64, SHAPE(4, 4)); /* the variables go on as ever */
                        OK(tn_shared_set(a, zero, NONE, NULL));
                        OK(run(f));
                        CHECK(facts(a).version == 4 && facts(b).version == 3);
                        drop(zero);
                        drop(out);
                    }
                    if (old)
                        drop(old);
                    end_function(f);
                    end_shared(a);
                    end_shared(b);
                    end_own_pool(pool);
                    if (check_failures > failures)
                        fprintf(stderr, "    moved %d, held %d, fails %d, out %d: (%u, %u), %s\n", moved, held, fails, out_flags, how.how,
                                how.why, tn_last_error());
                }
}

static tn_status one_in_place_one_fails(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)in, (void)out;
    OK(add_one(update[0]));
    update[1] = zeros(NULL, TN_F64, SHAPE(4));
    return TN_OK;
}

static void poisoned_by_a_failed_check(void) /* FN-14, FN-15, FN-30 */
{
    tn_shared *a = counting("a", SHAPE(4)), *b = counting("b", SHAPE(4));
    plan p = planned(one_in_place_one_fails, NULL);
    assigns(&p, a, TN_MAY_OVERWRITE);
    assigns(&p, b, NONE);
    tn_function *f = made(&p);
    CHECK(run(f) == TN_ERR_FAILED && says("update[1]"));
    CHECK(facts(a).is_poisoned && !facts(b).is_poisoned && facts(a).version == 1 && facts(b).version == 1 && counts_from(b, 0, 4));
    end_function(f);
    end_shared(a);
    end_shared(b);
}

/* FN-14, SV-34: a guard on the bytes beside the value, and a write of them that failed, are no writes of the value */
static void guarded_beside_the_value(int poisoned)
{
    tn_array *whole = numbers(NULL, SHAPE(10)), *value = part(whole, 0, 8, 1), *rest = part(whole, 8, 10, 1);
    tn_array *wrong = zeros(NULL, TN_F64, SHAPE(1)), *right = numbers(NULL, SHAPE(1)), *found = NULL;
    tn_borrow *guard = NULL;
    if (poisoned)
        poison(rest);
    else
        guard = writing(rest, 0);
    drop(whole);
    drop(rest);
    tn_shared *w = shared_of(value, TN_BORROW, ALIAS);
    drop(value);
    in_place c = {0};
    plan p = planned(works_in_place, &c);
    takes(&p, "x", NONE)->dtype = TN_I64;
    assigns(&p, w, TN_MAY_OVERWRITE);
    tn_function *f = made(&p);
    void *bytes = address_in(w);
    CHECK(tn_function_call(f, 1, &wrong, 0, NULL, NULL, NULL) == TN_ERR_DTYPE && c.runs == 0);
    CHECK(!facts(w).is_poisoned && counts_from(w, 0, 8) && facts(w).version == 1);
    c = (in_place){.deed = UNTOUCHED_VALUE, .answer = TN_ERR_IO};
    CHECK(tn_function_call(f, 1, &right, 0, NULL, NULL, NULL) == TN_ERR_IO && c.runs == 1 && c.found == bytes);
    CHECK(!facts(w).is_poisoned && counts_from(w, 0, 8) && facts(w).version == 1);
    tn_crossing how = {0};
    OK(tn_shared_update_begin(w, TN_MAY_OVERWRITE, &found, &how));
    CHECK(crossed(how, ALIAS));
    OK(add_one(found));
    OK(tn_shared_update_end(w, 0));
    CHECK(address_in(w) == bytes && counts_from(w, 1, 8) && facts(w).version == 2);
    if (guard)
        end(guard);
    drop(wrong);
    drop(right);
    end_function(f);
    end_shared(w);
}

static void lent_buffer_is_never_written(void) /* SV-39 */
{
    int64_t memory[4] = {0, 1, 2, 3};
    tn_array *lent = array_of(memory, TN_BORROW, NULL, NULL, SHAPE(4));
    tn_shared *w = shared_of(lent, TN_BORROW, ALIAS);
    drop(lent);
    in_place c = {0};
    tn_function *f = in_place_of(w, &c);
    OK(run(f));
    CHECK(c.found != memory && memory[0] == 0 && memory[3] == 3 && counts_from(w, 1, 4));
    OK(run(f));
    CHECK(memory[0] == 0 && counts_from(w, 2, 4) && address_in(w) == c.found);
    end_function(f);
    end_shared(w);
}

/* ---- spares ---- */

typedef struct {
    int64_t number;
    void *found[2];
    int runs;
} stepper;

/* Fills the update and the output, in what it finds or in new arrays. */
static tn_status steps(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    stepper *s = context;
    tn_array **places[2] = {&out[0], &update[0]};
    (void)in;
    s->runs++;
    for (int i = 0; i < 2; i++) {
        tn_array **place = places[i];
        s->found[i] = *place ? address(*place) : NULL;
        if (*place == NULL)
            *place = empty(NULL, TN_I64, SHAPE(20, 10));
        CHECK(info_of(*place).count == 200);
        OK(tn_array_fill(*place, &s->number, TN_WRITE_UNIQUE, NULL));
    }
    return TN_OK;
}

static int value_is(tn_shared *w, int64_t number)
{
    tn_array *value = got(w, TN_RAW | TN_BORROW, ALIAS);
    int same = filled_with(value, number);
    drop(value);
    return same;
}

static void no_allocation_after_warm_up(void) /* FN-35 */
{
    tn_pool *pool = own_pool("steps");
    OK(tn_pool_set_current(pool));
    stepper s = {.number = 1};
    tn_shared *w = counting("w", SHAPE(20, 10));
    plan p = planned(steps, &s);
    gives(&p, "y", TN_REUSE);
    assigns(&p, w, TN_REUSE);
    tn_function *f = made(&p);
    for (; s.number <= 2; s.number++)
        drop(output_of(f, NULL, NULL));
    tn_pool_stats warm = stats_of(pool);
    void *previous = address_in(w);
    for (; s.number <= 100; s.number++) {
        tn_array *out = output_of(f, NULL, NULL);
        CHECK(s.found[0] != NULL && s.found[1] != NULL && s.found[1] != previous && address_in(w) == s.found[1]);
        previous = s.found[1];
        int64_t found[200];
        OK(tn_array_copy_to_host(out, found, NULL, NULL));
        CHECK(found[0] == s.number && value_is(w, s.number));
        drop(out);
    }
    tn_pool_stats now = stats_of(pool);
    CHECK(now.allocation_count == warm.allocation_count && now.requested_bytes == warm.requested_bytes);

    /* A holder of the old value, and one of the output, keep theirs. */
    tn_array *old = got(w, TN_BORROW, ALIAS), *out = output_of(f, NULL, NULL);
    for (s.number = 200; s.number < 205; s.number++) {
        tn_array *next = output_of(f, NULL, NULL);
        int64_t found[200];
        OK(tn_array_copy_to_host(old, found, NULL, NULL));
        CHECK(found[0] == 100 && found[199] == 100);
        OK(tn_array_copy_to_host(out, found, NULL, NULL));
        CHECK(found[0] == 101 && found[199] == 101 && value_is(w, s.number));
        drop(next);
    }
    drop(old);
    drop(out);

    size_t released_bytes = 0;
    uint64_t live = live_bytes(pool);
    OK(tn_pool_trim(pool, 0, &released_bytes)); /* drops the spares: the value stays */
    CHECK(live_bytes(pool) < live && live_bytes(pool) == 1600 && value_is(w, 204));
    drop(output_of(f, NULL, NULL));
    CHECK(s.found[0] == NULL && s.found[1] == NULL);
    end_function(f);
    CHECK(live_bytes(pool) == 1600); /* a function's spares end with it */
    end_shared(w);
    end_own_pool(pool);
}

/* ---- claims ---- */

typedef struct {
    tn_shared *a, *b;
    tn_function *self;
    int runs;
    int in_place;
    tn_shared *inner;
} claimer;

static tn_status is_claimed(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    claimer *c = context;
    (void)in, (void)out;
    c->runs++;
    tn_array *value = zeros(NULL, TN_I64, SHAPE(4)), *none = UNTOUCHED;
    tn_shared *variables[2] = {c->a, c->b};
    FAILS(tn_function_call(c->self, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_BORROWED_WRITE);
    CHECK(says("update[0]") && c->runs == 1);
    for (int i = 0; i < 2; i++) {
        FAILS(tn_shared_set(variables[i], value, NONE, NULL), TN_ERR_BORROWED_WRITE);
        FAILS(tn_shared_update_begin(variables[i], NONE, &none, NULL), TN_ERR_BORROWED_WRITE);
        tn_status status = tn_shared_get(variables[i], TN_RAW | TN_BORROW, &none, NULL);
        CHECK(status == (c->in_place ? TN_ERR_BORROWED_WRITE : TN_OK));
        if (status == TN_OK) {
            CHECK(HOLDS(none, 0, 1, 2, 3));
            drop(none);
            none = UNTOUCHED;
        }
        CHECK(facts(variables[i]).version == 1);
    }
    OK(tn_shared_set(c->inner, value, NONE, NULL)); /* another one is free */
    if (!c->in_place) {
        update[0] = value;
        update[1] = clone(value);
    } else {
        drop(value);
        OK(add_one(update[0]));
    }
    return TN_OK;
}

static void claims_of_a_call(void) /* FN-36, SV-36 */
{
    for (int in_place = 0; in_place < 2; in_place++) {
        claimer c = {.a = counting("a", SHAPE(4)), .b = counting("b", SHAPE(4)), .inner = counting("c", SHAPE(4)),
                     .in_place = in_place};
        plan p = planned(is_claimed, &c);
        assigns(&p, c.a, in_place ? TN_MAY_OVERWRITE : NONE);
        assigns(&p, c.b, in_place ? TN_MAY_OVERWRITE : NONE);
        c.self = made(&p);
        OK(run(c.self));
        CHECK(facts(c.a).version == 2 && facts(c.b).version == 2 && facts(c.inner).version == 2 && c.runs == 1);
        c.runs = 0;

        /* All or none: while b is claimed, the call leaves a free. */
        tn_array *value = UNTOUCHED, *fine = numbers(NULL, SHAPE(4));
        OK(tn_shared_update_begin(c.b, NONE, &value, NULL));
        FAILS(tn_function_call(c.self, 0, NULL, 0, NULL, NULL, NULL), TN_ERR_BORROWED_WRITE);
        CHECK(says("update[1]") && c.runs == 0);
        OK(tn_shared_set(c.a, fine, NONE, NULL));
        CHECK(facts(c.a).version == 3);
        OK(tn_shared_update_end(c.b, 0));
        CHECK(facts(c.b).version == 3);
        OK(tn_shared_set(c.b, fine, NONE, NULL));
        drop(fine);
        end_function(c.self);
        end_shared(c.a);
        end_shared(c.b);
        end_shared(c.inner);
    }
}

static tn_status reads_inner(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    claimer *c = context;
    (void)out, (void)update;
    if (c->runs++ == 0) /* two calls that only read one variable run within each other */
        OK(run(c->self));
    CHECK(HOLDS(in[0], 0, 1, 2, 3));
    return TN_OK;
}

static void readers_share(void) /* FN-36 */
{
    claimer c = {.a = counting("a", SHAPE(4))};
    plan p = planned(reads_inner, &c);
    takes_value_of(&p, c.a, NONE);
    c.self = made(&p);
    OK(run(c.self));
    CHECK(c.runs == 2);
    end_function(c.self);
    end_shared(c.a);
}

static tn_status changes_what_is_read(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    claimer *c = context;
    (void)out, (void)update;
    tn_array *zero = zeros(NULL, TN_I64, SHAPE(4));
    OK(tn_shared_set(c->a, zero, NONE, NULL)); /* it is not claimed */
    drop(zero);
    CHECK(HOLDS(in[0], 0, 1, 2, 3)); /* the value at the time of the call */
    return TN_OK;
}

static void input_is_constant_in_the_body(void) /* SV-4, FN-2 */
{
    claimer c = {.a = counting("a", SHAPE(4))};
    plan p = planned(changes_what_is_read, &c);
    takes_value_of(&p, c.a, NONE);
    tn_function *f = made(&p);
    OK(run(f));
    CHECK(facts(c.a).version == 2);
    end_function(f);
    end_shared(c.a);
}

/* ---- failures at each allocation ---- */

#define VARIABLES 5
#define ELEMENTS  (1 << 17) /* 1 MiB: more than a pool serves from another span */

static tn_status five_updates(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *runs = context;
    ++*runs;
    int64_t shape[1] = {ELEMENTS}, seven = 7;
    update[0] = clone(in[0]); /* the caller's: copied */
    tn_status status = tn_array_empty(NULL, TN_I64, 1, shape, NULL, &update[1]);
    if (status != TN_OK)
        return status;
    OK(tn_array_fill(update[1], &seven, 0, NULL));
    update[2] = update[1]; /* copied */
    update[3] = clone(in[1]); /* a value that stays: copied */
    update[4] = clone(in[0]);
    out[0] = clone(in[0]);
    return TN_OK;
}

/* An upstream that serves a number of requests, within a number of bytes. */
typedef struct {
    uint64_t left, bytes_left;
} meter;

static tn_status meter_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    meter *m = context;
    (void)stream;
    if (m->left == 0 || m->bytes_left < bytes)
        return TN_ERR_NO_HOST_MEMORY;
    m->left--;
    m->bytes_left -= bytes;
    return posix_memalign(out, alignment, bytes) == 0 ? TN_OK : TN_ERR_NO_HOST_MEMORY;
}

static tn_status meter_deallocate(void *context, void *at, size_t bytes, uint64_t stream)
{
    meter *m = context;
    (void)stream;
    m->bytes_left += bytes;
    free(at);
    return TN_OK;
}

static tn_upstream metered(meter *m)
{
    return (tn_upstream){.size = sizeof(tn_upstream), .context = m, .flags = TN_UPSTREAM_THREAD_SAFE, .allocate = meter_allocate,
                         .deallocate = meter_deallocate};
}

/* Calls a function of five updates where the pool fails after `limit` requests, or above `limit` bytes. Returns whether it succeeded. */
static int fails_at(uint64_t limit, int by_bytes)
{
    meter m = {.left = UINT64_MAX, .bytes_left = UINT64_MAX};
    tn_upstream upstream = metered(&m);
    tn_pool_options options = {.size = sizeof options, .name = "metered", .flags = TN_POOL_DIRECT, .max_size = by_bytes ? limit : 0};
    tn_pool *pool = NULL;
    OK(tn_pool_import(HOST, &upstream, &options, &pool));
    int runs = 0, failures = check_failures;
    int64_t shape[1] = {ELEMENTS}, one = 1;
    plan p = planned(five_updates, &runs);
    tn_shared *w[VARIABLES + 1];
    takes(&p, "x", NONE);
    for (int i = 0; i <= VARIABLES; i++) {
        int64_t number = 10 + i;
        tn_array *value = NULL;
        tn_shared_options of = {.size = sizeof of, .pool = pool};
        OK(tn_array_full(pool, TN_I64, 1, shape, &number, NULL, &value));
        OK(tn_shared_create(value, TN_TAKE_OWNERSHIP, &of, &w[i], NULL));
        drop(value);
        if (i == VARIABLES)
            takes_value_of(&p, w[i], NONE);
        else
            assigns(&p, w[i], NONE);
    }
    gives(&p, "y", NONE);
    tn_array *x = NULL, *out = UNTOUCHED;
    OK(tn_array_full(NULL, TN_I64, 1, shape, &one, NULL, &x));
    OK(tn_pool_set_current(pool));
    tn_function *f = made(&p);
    uint64_t live = live_bytes(pool);
    if (!by_bytes)
        m.left = limit;
    tn_status status = tn_function_call(f, 1, &x, 1, &out, NULL, NULL);
    m.left = UINT64_MAX;
    if (status != TN_OK) {
        CHECK(by_bytes ? status == TN_ERR_POOL_LIMIT : status == TN_ERR_NO_HOST_MEMORY);
        CHECK(!strncmp(tn_last_error(), "tn_function_call: ", 18));
        CHECK(out == UNTOUCHED && live_bytes(pool) == live && runs <= 1);
        for (int i = 0; i <= VARIABLES; i++)
            CHECK(value_is(w[i], 10 + i) && facts(w[i]).version == 1 && !facts(w[i]).is_poisoned);
        CHECK(filled_with(x, 1) && unique(x));
    }
    if (status != TN_OK && !by_bytes) { /* the failure was for lack of memory only */
        OK(tn_function_call(f, 1, &x, 1, &out, NULL, NULL));
        CHECK(out != UNTOUCHED);
    }
    if (out != UNTOUCHED) {
        static const int64_t expected[VARIABLES + 1] = {1, 7, 7, 15, 1, 15};
        for (int i = 0; i <= VARIABLES; i++)
            CHECK(value_is(w[i], expected[i]) && facts(w[i]).version == (i < VARIABLES ? 2u : 1u));
        CHECK(filled_with(out, 1) && unique(out));
        drop(out);
    }
    end_function(f);
    for (int i = 0; i <= VARIABLES; i++)
        end_shared(w[i]);
    drop(x);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(pool));
    if (check_failures > failures)
        fprintf(stderr, "    limit %llu, by bytes %d: %s\n", (unsigned long long)limit, by_bytes, tn_last_error());
    return status == TN_OK;
}

static void every_allocation_fails(void) /* FN-30, FN-42, SV-31 */
{
    int failed = 0;
    for (uint64_t k = 0; k < 20 && !fails_at(k, 0); k++)
        failed++;
    CHECK(failed >= 5 && failed < 20);
    failed = 0;
    for (uint64_t bytes = 8 << 20; bytes < 30u << 20 && !fails_at(bytes, 1); bytes += 1 << 20)
        failed++;
    CHECK(failed >= 4 && failed < 22);
}

/* Calls itself until it has as many outputs as its depth. */
typedef struct {
    int depth;
    tn_function *self;
    int copies;
} nest;

static tn_status nests(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    nest *n = context;
    (void)update;
    if (out[0] == NULL) {
        int64_t shape[1] = {ELEMENTS};
        tn_status status = tn_array_empty(NULL, TN_I64, 1, shape, NULL, &out[0]);
        if (status != TN_OK)
            return status;
    }
    if (n->depth > 0) {
        tn_array *inner = NULL;
        n->depth--;
        OK(tn_function_call(n->self, 1, in, 1, &inner, NULL, NULL));
        drop(inner);
    }
    out[1] = n->copies ? clone(in[0]) : numbers(NULL, SHAPE(1));
    return TN_OK;
}

/* FN-42: spares are dropped before a call fails, at the limit of a pool, and where its upstream has no more memory. */
static void spares_make_room(int by_upstream)
{
    const uint64_t bytes = ELEMENTS * sizeof(int64_t), limit = 5 * bytes + bytes / 2;
    meter m = {.left = UINT64_MAX, .bytes_left = limit};
    tn_upstream upstream = metered(&m);
    tn_pool_options options = {.size = sizeof options, .name = "tight", .flags = TN_POOL_DIRECT, .max_size = by_upstream ? 0 : limit};
    tn_pool *pool = NULL;
    if (by_upstream)
        OK(tn_pool_import(HOST, &upstream, &options, &pool));
    else
        OK(tn_pool_create(HOST, &options, &pool));
    nest n = {.depth = 3};
    int64_t one = 1, shape[1] = {ELEMENTS};
    tn_array *x = NULL, *more = NULL, *out[2] = {UNTOUCHED, UNTOUCHED};
    OK(tn_array_full(NULL, TN_I64, 1, shape, &one, NULL, &x));
    OK(tn_pool_set_current(pool));
    plan p = planned(nests, &n);
    takes(&p, "x", NONE);
    gives(&p, "held", TN_REUSE);
    gives(&p, "copy", NONE);
    n.self = made(&p);
    OK(tn_function_call(n.self, 1, &x, 1, out, NULL, NULL)); /* four outputs at once, all released afterwards */
    drop(out[0]);
    n.copies = 1;
    OK(tn_array_empty(NULL, TN_I64, 1, shape, NULL, &more)); /* fills the pool beside four spares */
    out[0] = UNTOUCHED;
    OK(tn_function_call(n.self, 1, &x, 2, out, NULL, NULL)); /* takes one spare; the copy needs the room of another */
    if (out[0] != UNTOUCHED) {
        CHECK(filled_with(out[1], 1));
        drop(out[0]);
        drop(out[1]);
    }
    drop(more);
    drop(x);
    end_function(n.self);
    end_own_pool(pool);
}

/* ---- what a set and a call leave of each other ---- */

static tn_status keeps_nothing(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out;
    update[0] = clone(in[0]);
    return TN_OK;
}

static void stored_twice(void) /* SV-2: one array stored twice does not make two variables share memory */
{
    tn_array *x = numbers(NULL, SHAPE(4));
    tn_shared *a = shared_of(x, TN_BORROW, ALIAS), *b = shared_of(x, TN_BORROW, COPY(TN_WHY_SHARED));
    drop(x);
    in_place c = {0};
    tn_function *f = in_place_of(a, &c);
    OK(run(f));
    CHECK(counts_from(a, 1, 4) && counts_from(b, 0, 4));
    end_function(f);
    plan p = planned(keeps_nothing, NULL);
    takes_value_of(&p, b, TN_BORROW);
    assigns(&p, a, NONE);
    f = made(&p);
    OK(run(f));
    CHECK(counts_from(a, 0, 4) && address_in(a) != address_in(b));
    end_function(f);
    end_shared(a);
    end_shared(b);
}

/* ---- what a call tells of its values ---- */

/* y = x + 1; the first variable grows in place, the second stays, the third gets what an input has */
static tn_status varied(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    const tn_status *answer = context;
    OK(tn_array_copy(in[0], NULL, NULL, &out[0]));
    OK(add_one(out[0]));
    OK(add_one(update[0]));
    update[2] = clone(in[1]);
    return *answer;
}

static void told(void) /* FN-47: implicit inputs and updates too */
{
    tn_status answer = TN_OK;
    tn_shared *v = counting("v", SHAPE(4)), *grows = counting("grows", SHAPE(4)), *stays = counting("stays", SHAPE(4)),
              *gets = counting("gets", SHAPE(4));
    plan p = planned(varied, &answer);
    takes(&p, "x", NONE);
    takes_value_of(&p, v, TN_BORROW);
    takes_value_of(&p, grows, NONE);
    gives(&p, "y", NONE);
    assigns(&p, grows, TN_MAY_OVERWRITE);
    assigns(&p, stays, NONE);
    assigns(&p, gets, NONE);
    tn_function *f = made(&p);
    tn_array *x = numbers(NULL, SHAPE(4)), *y = NULL;
    const tn_crossing untouched = {77, 77};
    tn_crossing inputs[3], output, updates[3];
    tn_call_crossings all = {.size = sizeof all, .inputs = inputs, .outputs = &output, .updates = updates};
    for (int held = 0; held < 2; held++) { /* then the value that grows is copied for the body */
        tn_array *holder = held ? got(grows, TN_RAW | TN_BORROW, ALIAS) : NULL;
        OK(tn_function_call_crossings(f, 1, &x, 1, &y, &all));
        CHECK(crossed(inputs[0], ALIAS) && crossed(inputs[1], ALIAS) && crossed(output, ALIAS));
        CHECK(crossed(inputs[2], held ? ALIAS : COPY(TN_WHY_SHARED))); /* the old value */
        CHECK(crossed(updates[0], held ? COPY(TN_WHY_SHARED) : ALIAS) && crossed(updates[2], COPY(TN_WHY_SHARED)));
        CHECK(updates[1].how == 0 && updates[1].why == 0 && facts(stays).version == 1);
        CHECK(counts_from(grows, held + 1, 4) && counts_from(gets, 0, 4));
        drop(y);
        if (holder)
            drop(holder);
    }
    /* What is not asked for, and what the caller does not take. */
    all = (tn_call_crossings){.size = sizeof all, .updates = updates};
    updates[0] = untouched;
    OK(tn_function_call_crossings(f, 1, &x, 0, NULL, &all));
    CHECK(crossed(updates[0], ALIAS) && counts_from(grows, 3, 4));
    /* A failure writes nothing. */
    all.inputs = inputs;
    inputs[0] = updates[0] = untouched;
    y = UNTOUCHED;
    FAILS(tn_function_call_crossings(f, 1, &x, 1, &y, NULL), TN_ERR_NULL);
    FAILS(tn_function_call_crossings(NULL, 1, &x, 1, &y, &all), TN_ERR_NULL);
    all.size = sizeof(size_t) + 1;
    FAILS(tn_function_call_crossings((tn_function *)x, 1, &x, 1, &y, &all), TN_ERR_KIND);
    FAILS(tn_function_call_crossings(f, 1, &x, 1, &y, &all), TN_ERR_INVALID);
    all.size = sizeof all;
    FAILS(tn_function_call_crossings(f, 2, (tn_array *[]){x, x}, 1, &y, &all), TN_ERR_COUNT);
    answer = TN_ERR_IO;
    FAILS(tn_function_call_crossings(f, 1, &x, 1, &y, &all), TN_ERR_IO);
    CHECK(crossed(inputs[0], untouched) && crossed(updates[0], untouched) && y == UNTOUCHED);
    drop(x);
    end_function(f);
    end_shared(v);
    end_shared(grows);
    end_shared(stays);
    end_shared(gets);
}

int main(void)
{
    told();
    all_movements();
    exchanged_views();
    turned_ten_thousand_times();
    copied_values();
    exports_left_open();
    updates_in_place();
    found_values_moved();
    poisoned_by_a_failed_check();
    guarded_beside_the_value(0);
    guarded_beside_the_value(1);
    lent_buffer_is_never_written();
    no_allocation_after_warm_up();
    claims_of_a_call();
    readers_share();
    input_is_constant_in_the_body();
    every_allocation_fails();
    spares_make_room(0);
    spares_make_room(1);
    stored_twice();
    return finish();
}
