/*
 * crossings.h - shared variables, functions, and values in some states, for the tests of both.
 *
 * A `state` is an array together with what makes it so: a guard, an export, another handle, a variable. A `plan` collects the inputs,
 * outputs and updates of a function.
 */
#ifndef TENURE_CROSSINGS_H
#define TENURE_CROSSINGS_H

#include "helpers.h"

#define NONE 0u
#define REQUIRE TN_REQUIRE_BORROW
#define ALIAS ((tn_crossing){TN_ALIASED, 0})
#define COPY(why) ((tn_crossing){TN_COPIED, (why)})

static inline int crossed(tn_crossing how, tn_crossing expected)
{
    return how.how == expected.how && how.why == expected.why;
}

static inline tn_shared *shared_of(tn_array *value, uint32_t flags, tn_crossing expected)
{
    tn_shared *shared = NULL;
    tn_crossing how = {0};
    OK(tn_shared_create(value, flags, NULL, &shared, &how));
    CHECK(crossed(how, expected));
    return shared;
}

/* A variable that has its own copy of 0, 1, 2, .. */
static inline tn_shared *counting(const char *name, int32_t ndim, const int64_t *shape)
{
    tn_array *value = numbers(NULL, ndim, shape);
    tn_shared_options options = {.size = sizeof options, .name = name};
    tn_shared *shared = NULL;
    OK(tn_shared_create(value, NONE, &options, &shared, NULL));
    drop(value);
    return shared;
}

static inline tn_array *got(tn_shared *shared, uint32_t flags, tn_crossing expected)
{
    tn_array *value = NULL;
    tn_crossing how = {0};
    OK(tn_shared_get(shared, flags, &value, &how));
    CHECK(crossed(how, expected));
    return value;
}

static inline tn_shared_info facts(tn_shared *shared)
{
    tn_shared_info info = {.size = sizeof info};
    OK(tn_shared_query(shared, &info));
    return info;
}

static inline void end_shared(tn_shared *shared)
{
    OK(tn_shared_release(shared));
}

/* The variable's value is n int64 from `first` on. */
static inline int counts_from(tn_shared *shared, int64_t first, size_t n)
{
    tn_array *value = got(shared, NONE, COPY(0));
    int64_t expected[64];
    for (size_t i = 0; i < n; i++)
        expected[i] = first + (int64_t)i;
    int same = holds(value, n, expected);
    drop(value);
    return same;
}

/* ---- values ---- */
/* A value in some state, and what keeps it so. */
typedef struct {
    tn_array *value;
    tn_array *other;
    tn_borrow *guard;
    tn_shared *owner;
    void *memory;
} state;

static inline void end_state(state *s)
{
    if (s->guard)
        end(s->guard);
    drop(s->value);
    if (s->other)
        drop(s->other);
    if (s->owner)
        end_shared(s->owner);
    free(s->memory);
}

static inline state alone(void)
{
    return (state){.value = numbers(NULL, SHAPE(2, 3))};
}

static inline state readonly(void)
{
    state s = {.memory = calloc(6, sizeof(int64_t))};
    s.value = array_of(s.memory, TN_BORROW | TN_IMPORT_READONLY, NULL, NULL, SHAPE(2, 3));
    return s;
}

static inline state stretched(void)
{
    tn_array *row = numbers(NULL, SHAPE(3));
    state s = {.value = broadcast(row, SHAPE(2, 3))};
    drop(row);
    return s;
}

static inline state read_by_another(void)
{
    state s = alone();
    s.other = clone(s.value);
    s.guard = reading(s.other);
    return s;
}

static inline uint64_t copies_of(const char *function, uint32_t bits)
{
    tn_copy_site entries[256];
    size_t n = 0;
    uint64_t count = 0;
    OK(tn_copies_query(sizeof *entries, 256, entries, &n));
    for (size_t i = 0; i < n && i < 256; i++)
        if (!strcmp(entries[i].function, function) && entries[i].why == bits)
            count += entries[i].count;
    return count;
}

/* ---- functions ---- */

/* A function that is to be made: up to 8 inputs, outputs and updates. */
typedef struct {
    tn_function_options options;
    tn_in in[8];
    tn_out out[8];
    tn_update update[8];
} plan;

static inline plan planned(tn_function_body body, void *context)
{
    return (plan){.options = {.size = sizeof(tn_function_options), .name = "f", .body = body, .context = context}};
}

static inline plan planned_expr(tn_function_expr_body body, void *context)
{
    return (plan){.options = {.size = sizeof(tn_function_options), .name = "e", .expr_body = body, .context = context}};
}

/* An input of any type, number of axes and device; the result can be changed. */
static inline tn_in *takes(plan *p, const char *name, uint32_t flags)
{
    tn_in *in = &p->in[p->options.n_in++];
    *in = (tn_in){.size = sizeof *in, .name = name, .flags = flags, .ndim = -1};
    return in;
}

static inline void takes_default(plan *p, const char *name, uint32_t flags, tn_array *value)
{
    takes(p, name, flags)->default_value = value;
}

/* An implicit input. */
static inline void takes_value_of(plan *p, tn_shared *shared, uint32_t flags)
{
    takes(p, "implicit", flags)->shared = shared;
}

static inline tn_out *gives(plan *p, const char *name, uint32_t flags)
{
    tn_out *out = &p->out[p->options.n_out++];
    *out = (tn_out){.size = sizeof *out, .name = name, .flags = flags, .ndim = -1};
    return out;
}

static inline void assigns(plan *p, tn_shared *target, uint32_t flags)
{
    p->update[p->options.n_update++] = (tn_update){.size = sizeof(tn_update), .target = target, .flags = flags};
}

/* The description of the plan, whose arrays lie in the plan. */
static inline const tn_function_options *described(plan *p)
{
    p->options.inputs = p->options.n_in ? p->in : NULL;
    p->options.outputs = p->options.n_out ? p->out : NULL;
    p->options.updates = p->options.n_update ? p->update : NULL;
    return &p->options;
}

/* Makes the function, and overwrites the plan: a function copies its description. */
static inline tn_function *made(plan *p)
{
    tn_function *function = NULL;
    OK(tn_function_create(described(p), &function));
    memset(p, 0xa5, sizeof *p);
    return function;
}

static inline tn_status try_create(plan *p)
{
    tn_function *function = UNTOUCHED;
    tn_status status = tn_function_create(described(p), &function);
    if (status == TN_OK)
        OK(tn_function_release(function));
    else
        CHECK(function == UNTOUCHED);
    return status;
}

static inline void end_function(tn_function *function)
{
    OK(tn_function_release(function));
}

/* A body that only counts its runs. */
static inline tn_status only_runs(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    int *runs = context;
    (void)in, (void)out, (void)update;
    ++*runs;
    return TN_OK;
}

/* The status of a call without arguments and outputs. */
static inline tn_status run(tn_function *function)
{
    return tn_function_call(function, 0, NULL, 0, NULL, NULL, NULL);
}

/* The output of a call with one argument; NULL for no argument. */
static inline tn_array *output_of(tn_function *function, tn_array *argument, tn_crossing *how)
{
    tn_array *out = NULL;
    OK(tn_function_call(function, argument ? 1 : 0, &argument, 1, &out, NULL, how));
    return out;
}

/* The address of a variable's value. */
static inline void *address_in(tn_shared *shared)
{
    tn_array *value = got(shared, TN_RAW | TN_BORROW, ALIAS);
    void *at = address(value);
    drop(value);
    return at;
}

static inline int overlap(tn_array *a, tn_array *b)
{
    tn_overlap answer = 77;
    OK(tn_array_overlap(a, b, &answer));
    return answer != TN_OVERLAP_NONE;
}

/* All int64 of the array are this number. */
static inline int filled_with(tn_array *array, int64_t number)
{
    uint64_t n = info_of(array).count, same = 0;
    int64_t *found = malloc(n * sizeof *found);
    OK(tn_array_copy_to_host(array, found, NULL, NULL));
    while (same < n && found[same] == number)
        same++;
    free(found);
    return same == n;
}

/* Adds 1 to each element of an array of one axis, in place. */
static inline tn_status add_one(tn_array *value)
{
    tn_view_info view;
    tn_borrow *guard;
    tn_status status = tn_array_borrow_write(value, TN_WRITE_UNIQUE, NULL, NULL, &view, &guard);
    if (status != TN_OK)
        return status;
    for (int64_t i = 0; i < view.shape[0]; i++)
        *(int64_t *)((char *)view.data + i * view.strides[0]) += 1;
    return tn_borrow_end(guard, 0, NULL);
}

#endif
