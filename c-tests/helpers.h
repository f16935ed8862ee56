/*
 * helpers.h - makers and queries of the C tests.
 *
 * Every maker checks its own call, so that a test reads like its row. Arrays of `numbers` hold 0, 1, 2, .. in C order
 * as int64, so that each element tells where it came from.
 */
#ifndef TENURE_HELPERS_H
#define TENURE_HELPERS_H

#include "check.h"
#include <stdlib.h>
#include <string.h>

/* The value of outputs before a call, which a failure must not change: no handle and no address of the library. */
#define UNTOUCHED ((void *)(uintptr_t)0x5aa55aa5u)

#define HOST ((tn_device){TN_CPU, 0})

/* Two arguments: ndim and shape, or a count and a list of int64. */
#define SHAPE(...) (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}

/* The int64 array has exactly these elements, in C order. */
#define HOLDS(array, ...) holds(array, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

/* Under what the test runs: "valgrind", "sanitizers", "checks" (the library's own, TENURE_CHECK) or "". */
static inline int runs_under(const char *what)
{
    const char *checker = getenv("TENURE_CHECKED_BY");
    return checker != NULL && strcmp(checker, what) == 0;
}

/* The number of repetitions: fewer where each is slow. */
static inline int rounds(int n)
{
    return runs_under("valgrind") || runs_under("checks") ? n / 10 : n;
}

/* Whether a memory checker runs; then threads cache nothing, and a red zone follows each block of an own pool. */
static inline int is_watched(void)
{
    return runs_under("valgrind") || runs_under("sanitizers") || runs_under("emulator");
}

static inline int says(const char *text)
{
    return strstr(tn_last_error(), text) != NULL;
}

/* ---- pools ---- */
static inline tn_pool *own_pool(const char *name)
{
    tn_pool_options options = {.size = sizeof options, .name = name};
    tn_pool *pool = NULL;
    OK(tn_pool_create(HOST, &options, &pool));
    return pool;
}

static inline tn_pool *limited_pool(const char *name, uint64_t max_size)
{
    tn_pool_options options = {.size = sizeof options, .name = name, .max_size = max_size};
    tn_pool *pool = NULL;
    OK(tn_pool_create(HOST, &options, &pool));
    return pool;
}

static inline tn_pool_stats stats_of(tn_pool *pool)
{
    tn_pool_stats stats = {.size = sizeof stats};
    OK(tn_pool_query(pool, &stats));
    return stats;
}

static inline uint64_t live_bytes(tn_pool *pool)
{
    return stats_of(pool).requested_bytes;
}

/* Ends a test's pool, which was current and has no block left. */
static inline void end_own_pool(tn_pool *pool)
{
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(pool));
}

static inline uint64_t held_bytes(tn_pool *pool)
{
    return stats_of(pool).held_bytes;
}

static inline uint64_t allocations(tn_pool *pool)
{
    return stats_of(pool).allocation_count;
}

/* ---- arrays ---- */
static inline tn_array *empty(tn_pool *pool, tn_dtype dtype, int32_t ndim, const int64_t *shape)
{
    tn_array *array = NULL;
    OK(tn_array_empty(pool, dtype, ndim, shape, NULL, &array));
    return array;
}

static inline tn_array *zeros(tn_pool *pool, tn_dtype dtype, int32_t ndim, const int64_t *shape)
{
    tn_array *array = NULL;
    OK(tn_array_zeros(pool, dtype, ndim, shape, NULL, &array));
    return array;
}

static inline tn_array *numbers_in(tn_pool *pool, int32_t order, int32_t ndim, const int64_t *shape)
{
    tn_array_options options = {.size = sizeof options, .order = order};
    tn_array *array = NULL;
    int64_t count = 1;
    for (int32_t axis = 0; axis < ndim; axis++)
        count *= shape[axis];
    OK(tn_array_empty(pool, TN_I64, ndim, shape, &options, &array));
    int64_t *values = malloc((size_t)(count + 1) * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = i;
    OK(tn_array_copy_from_host(array, values, NULL, 0, NULL));
    free(values);
    return array;
}

static inline tn_array *numbers(tn_pool *pool, int32_t ndim, const int64_t *shape)
{
    return numbers_in(pool, TN_ORDER_C, ndim, shape);
}

static inline void drop(tn_array *array)
{
    OK(tn_array_release(array));
}

static inline tn_array_info info_of(tn_array *array)
{
    tn_array_info info = {.size = sizeof info};
    OK(tn_array_query(array, &info));
    return info;
}

static inline tn_array *clone(tn_array *array)
{
    tn_array *out = NULL;
    OK(tn_array_clone(array, &out));
    return out;
}

/* array[start:stop:step] of the first axis. */
static inline tn_array *part(tn_array *array, int64_t start, int64_t stop, int64_t step)
{
    tn_slice_spec spec = TN_SLICE(start, stop, step);
    tn_array *out = NULL;
    OK(tn_array_slice(array, 1, &spec, &out));
    return out;
}

/* array[start0:stop0:step0, start1:stop1:step1] */
static inline tn_array *block(tn_array *array, int64_t start0, int64_t stop0, int64_t step0, int64_t start1,
                              int64_t stop1,
                              int64_t step1)
{
    tn_slice_spec specs[2] = {TN_SLICE(start0, stop0, step0), TN_SLICE(start1, stop1, step1)};
    tn_array *out = NULL;
    OK(tn_array_slice(array, 2, specs, &out));
    return out;
}

static inline tn_array *at(tn_array *array, int32_t axis, int64_t index)
{
    tn_array *out = NULL;
    OK(tn_array_index(array, axis, index, &out));
    return out;
}

static inline tn_array *reshaped(tn_array *array, int32_t ndim, const int64_t *shape)
{
    tn_array *out = NULL;
    OK(tn_array_reshape(array, ndim, shape, TN_ORDER_C, &out));
    return out;
}

/* int64 in memory of the program, in C order. */
static inline tn_array *array_of(void *memory, uint32_t flags, tn_release_callback release, void *context, int32_t ndim,
                                 const int64_t *shape)
{
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = ndim, .shape = shape};
    tn_array *out = NULL;
    OK(tn_array_import_host(memory, &layout, flags, release, context, &out, NULL));
    return out;
}

static inline tn_array *broadcast(tn_array *array, int32_t ndim, const int64_t *shape)
{
    tn_array *out = NULL;
    OK(tn_array_broadcast(array, ndim, shape, &out));
    return out;
}

static inline void fill_i64(tn_array *array, int64_t value)
{
    OK(tn_array_fill(array, &value, 0, NULL));
}

static inline int holds(tn_array *array, size_t n, const int64_t *expected)
{
    int64_t *values = malloc(n * sizeof *values);
    tn_array_info info = info_of(array);
    int same = info.dtype == TN_I64 && info.count == n && tn_array_copy_to_host(array, values, NULL, NULL) == TN_OK &&
               memcmp(values, expected, n * sizeof *values) == 0;
    free(values);
    return same;
}

/* ---- guards, exports ---- */
static inline tn_borrow *reading(tn_array *array)
{
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(array, 0, NULL, NULL, NULL, &guard));
    return guard;
}

static inline tn_borrow *writing(tn_array *array, uint32_t mode)
{
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(array, mode, NULL, NULL, NULL, &guard));
    return guard;
}

static inline void end(tn_borrow *guard)
{
    OK(tn_borrow_end(guard, 0, NULL));
}

/* The contents of the region are undefined afterwards. */
static inline void poison(tn_array *array)
{
    OK(tn_borrow_end(writing(array, 0), TN_END_FAILED, NULL));
}

/* Address of element (0,..,0), from a guard. */
static inline void *address(tn_array *array)
{
    const void *data = UNTOUCHED;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(array, 0, NULL, &data, NULL, &guard));
    end(guard);
    return (void *)(uintptr_t)data;
}

#define XR TN_BORROW
#define XS (TN_BORROW | TN_EXPORT_WRITABLE)
#define XW (TN_BORROW | TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE)

/* An aliasing export of class XR, XS or XW; ended like a guard. */
static inline tn_borrow *exporting(tn_array *array, uint32_t class)
{
    tn_view_info view;
    tn_borrow *guard = NULL;
    tn_how how = 0;
    OK(tn_array_export_host(array, class, 0, NULL, &view, &guard, &how));
    CHECK(how == TN_ALIASED);
    return guard;
}

/* Status of a call; the guard, if there is one, is ended at once. */
static inline tn_status try_read(tn_array *array, uint32_t flags)
{
    tn_borrow *guard = UNTOUCHED;
    tn_status status = tn_array_borrow_read(array, flags, NULL, NULL, NULL, &guard);
    if (status == TN_OK)
        end(guard);
    else
        CHECK(guard == UNTOUCHED);
    return status;
}

static inline tn_status try_write(tn_array *array, uint32_t mode)
{
    tn_borrow *guard = UNTOUCHED;
    tn_status status = tn_array_borrow_write(array, mode, NULL, NULL, NULL, &guard);
    if (status == TN_OK)
        end(guard);
    else
        CHECK(guard == UNTOUCHED);
    return status;
}

static inline tn_status try_export(tn_array *array, uint32_t class, uint32_t mode)
{
    tn_view_info view = {.data = UNTOUCHED};
    tn_borrow *guard = UNTOUCHED;
    tn_how how = 77;
    tn_status status = tn_array_export_host(array, class, mode, NULL, &view, &guard, &how);
    if (status == TN_OK)
        end(guard);
    else
        CHECK(guard == UNTOUCHED && view.data == UNTOUCHED && how == 77);
    return status;
}

static inline tn_status try_copy(tn_array *array)
{
    tn_array *copy = UNTOUCHED;
    tn_status status = tn_array_copy(array, NULL, NULL, &copy);
    if (status == TN_OK)
        drop(copy);
    else
        CHECK(copy == UNTOUCHED);
    return status;
}

/* ---- queries of ownership ---- */
static inline uint32_t why(tn_array *array)
{
    uint32_t bits = 0xffffffffu;
    size_t n = 0;
    OK(tn_array_why_not(array, NULL, sizeof(tn_holder), 0, &bits, NULL, &n));
    return bits;
}

static inline int unique(tn_array *array)
{
    int32_t answer = -1;
    OK(tn_array_is_unique(array, &answer));
    CHECK(answer == 0 || answer == 1);
    return answer == 1;
}

#define MAX_HOLDERS 64

/* The number of holders of the store, except `array` itself. */
static inline size_t holders_of(tn_array *array, tn_holder holders[MAX_HOLDERS])
{
    uint32_t bits = 0;
    size_t n = 0;
    OK(tn_array_why_not(array, NULL, sizeof(tn_holder), MAX_HOLDERS, &bits, holders, &n));
    CHECK(n <= MAX_HOLDERS);
    return n;
}

static inline size_t count_holders(tn_array *array, tn_holder_kind kind)
{
    tn_holder holders[MAX_HOLDERS];
    size_t n = holders_of(array, holders), found = 0;
    for (size_t i = 0; i < n && i < MAX_HOLDERS; i++)
        found += holders[i].kind == kind;
    return found;
}

/* H of the array's store, if no promise outlived its handle. */
static inline size_t claims(tn_array *array)
{
    return 1 + count_holders(array, TN_HOLDER_HANDLE);
}

/* The state of a handle, found without a change: TN_OK live, TN_ERR_GIVEN, TN_ERR_DESTRUCTED, TN_ERR_STALE.
   */
static inline tn_status state_of(tn_array *array)
{
    tn_weak *weak = UNTOUCHED;
    tn_status status = tn_array_weaken(array, &weak);
    if (status == TN_OK)
        OK(tn_weak_release(weak));
    else
        CHECK(weak == UNTOUCHED);
    return status;
}

static inline tn_promise *give(tn_array *array)
{
    tn_promise *promise = NULL;
    OK(tn_array_give(array, 1, &promise));
    return promise;
}

static inline tn_array *take(tn_promise *promise)
{
    tn_array *out = NULL;
    OK(tn_take(1, &promise, &out));
    return out;
}

/* A handle whose claim was taken and has ended: only its release succeeds. */
static inline tn_array *destructed(void)
{
    tn_array *array = numbers(NULL, SHAPE(4));
    tn_promise *promise = give(array);
    drop(take(promise));
    OK(tn_promise_release(promise));
    return array;
}

/* An id that was released. */
static inline tn_array *stale(void)
{
    tn_array *array = numbers(NULL, SHAPE(4));
    drop(array);
    return array;
}

#endif
