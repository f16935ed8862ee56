/*
 * handles.c - every misuse of a handle is a status, in every function that takes one: NULL, stale, another kind, no handle, released twice
 * (I14). Also statuses and messages; options.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

/* Outputs of the calls below, which must not be written. */
static void *out;
static tn_array *outs[4];
static tn_view_info view;
static tn_part chunk;
static int32_t number;
static tn_overlap relation;
static size_t size;
static uint32_t bits;
static int64_t raw[64];
static tn_array *other; /* a valid array for the calls that take two */

#define ARRAY   ((tn_array *)handle)
#define OUT(type) ((type **)(void *)&out)
#define CALL(name, call)                  \
    static tn_status call_##name(void *handle) \
    {                                     \
        return call;                      \
    }

static tn_array_info array_info;
static const int64_t shape4[1] = {4};
static const tn_slice_spec whole = TN_SLICE(TN_NONE, TN_NONE, TN_NONE);

CALL(query, (array_info.size = sizeof array_info, tn_array_query(ARRAY, &array_info)))
CALL(set_name, tn_array_set_name(ARRAY, "x"))
CALL(pool, tn_array_pool(ARRAY, OUT(tn_pool)))
CALL(wait, tn_array_wait(ARRAY, TN_READ))
CALL(clone, tn_array_clone(ARRAY, OUT(tn_array)))
CALL(copy, tn_array_copy(ARRAY, NULL, NULL, OUT(tn_array)))
CALL(release, tn_array_release(ARRAY))
CALL(weaken, tn_array_weaken(ARRAY, OUT(tn_weak)))
CALL(like, tn_array_like(ARRAY, NULL, NULL, OUT(tn_array)))
CALL(save, tn_array_save_npy(ARRAY, "never.npy", 0))
CALL(reshape, tn_array_reshape(ARRAY, 1, shape4, TN_ORDER_C, OUT(tn_array)))
CALL(ravel, tn_array_ravel(ARRAY, TN_ORDER_C, OUT(tn_array)))
CALL(transpose, tn_array_transpose(ARRAY, OUT(tn_array)))
CALL(permute, tn_array_permute(ARRAY, 1, &number, OUT(tn_array)))
CALL(slice, tn_array_slice(ARRAY, 1, &whole, OUT(tn_array)))
CALL(index, tn_array_index(ARRAY, 0, 0, OUT(tn_array)))
CALL(squeeze, tn_array_squeeze(ARRAY, 0, NULL, OUT(tn_array)))
CALL(expand, tn_array_expand(ARRAY, 0, OUT(tn_array)))
CALL(broadcast, tn_array_broadcast(ARRAY, 1, shape4, OUT(tn_array)))
CALL(split, tn_array_split(ARRAY, 0, 2, 4, outs, &size))
CALL(chunks, tn_array_chunks(ARRAY, 0, 2, 4, outs, &size))
CALL(view_dtype, tn_array_view_dtype(ARRAY, TN_F64, OUT(tn_array)))
CALL(overlap_first, tn_array_overlap(ARRAY, other, &relation))
CALL(overlap_second, tn_array_overlap(other, ARRAY, &relation))
CALL(borrow_read, tn_array_borrow_read(ARRAY, 0, NULL, NULL, NULL, OUT(tn_borrow)))
CALL(borrow_write, tn_array_borrow_write(ARRAY, 0, NULL, NULL, NULL, OUT(tn_borrow)))
CALL(split_write, tn_array_split_write(ARRAY, 0, 1, 0, NULL, &chunk))
CALL(borrow_all, tn_borrow_all(2, (tn_borrow_spec[]){{.array = other, .access = TN_READ},
                                                     {.array = ARRAY, .access = TN_READ}},
                               NULL, OUT(tn_borrow)))
CALL(give, tn_array_give(ARRAY, 1, OUT(tn_promise)))
CALL(is_unique, tn_array_is_unique(ARRAY, &number))
CALL(holders, tn_array_holders(ARRAY, sizeof(tn_holder), 0, NULL, NULL, &size))
CALL(why_not, tn_array_why_not(ARRAY, NULL, sizeof(tn_holder), 0, &bits, NULL, &size))
CALL(copy_from, tn_array_copy_into(ARRAY, other, 0, NULL))
CALL(copy_into, tn_array_copy_into(other, ARRAY, 0, NULL))
CALL(to_device, tn_array_to_device(ARRAY, HOST, NULL, NULL, OUT(tn_array)))
CALL(copy_to_host, tn_array_copy_to_host(ARRAY, raw, NULL, NULL))
CALL(copy_from_host, tn_array_copy_from_host(ARRAY, raw, NULL, 0, NULL))
CALL(fill, tn_array_fill(ARRAY, raw, 0, NULL))
CALL(zero, tn_array_clear(ARRAY, 0, NULL))
CALL(export_host, tn_array_export_host(ARRAY, XR, 0, NULL, &view, OUT(tn_borrow), NULL))
CALL(export_dlpack, tn_array_export_dlpack(ARRAY, NULL, OUT(struct DLManagedTensor), NULL))
CALL(export_dlpack_versioned, tn_array_export_dlpack_versioned(ARRAY, NULL, OUT(struct DLManagedTensorVersioned), NULL))

CALL(upgrade, tn_weak_upgrade((tn_weak *)handle, OUT(tn_array)))
CALL(weak_release, tn_weak_release((tn_weak *)handle))
static tn_borrow_info borrow_info;
CALL(borrow_query, (borrow_info.size = sizeof borrow_info, tn_borrow_query((tn_borrow *)handle, &borrow_info)))
CALL(borrow_end, tn_borrow_end((tn_borrow *)handle, 0, NULL))
CALL(cancel, tn_promise_cancel((tn_promise *)handle))
CALL(promise_release, tn_promise_release((tn_promise *)handle))
CALL(promise_to_device, tn_promise_to_device((tn_promise *)handle, HOST, NULL, NULL, OUT(tn_array)))
CALL(take, tn_take(1, (tn_promise *[]){(tn_promise *)handle}, outs))
#define POOL ((tn_pool *)handle)
static tn_pool_stats stats;
CALL(pool_release, tn_pool_release(POOL))
CALL(pool_query, (stats.size = sizeof stats, tn_pool_query(POOL, &stats)))
CALL(pool_reset_peak, tn_pool_reset_peak(POOL))
CALL(pool_trim, tn_pool_trim(POOL, 0, &size))
CALL(pool_set_current, tn_pool_set_current(POOL))
CALL(pool_set_default, tn_pool_set_default(POOL))
CALL(pool_allocate, tn_pool_allocate(POOL, 8, 0, NULL, &out))
CALL(pool_allocate_zeroed, tn_pool_allocate_zeroed(POOL, 8, 0, NULL, &out))
CALL(pool_reallocate, tn_pool_reallocate(POOL, NULL, 8, NULL, &out))
CALL(empty, tn_array_empty(POOL, TN_F64, 1, shape4, NULL, OUT(tn_array)))
CALL(zeros, tn_array_zeros(POOL, TN_F64, 1, shape4, NULL, OUT(tn_array)))
CALL(full, tn_array_full(POOL, TN_F64, 1, shape4, raw, NULL, OUT(tn_array)))
CALL(like_in, tn_array_like(other, POOL, NULL, OUT(tn_array)))
CALL(copy_in, tn_array_copy(other, POOL, NULL, OUT(tn_array)))
CALL(to_device_in, tn_array_to_device(other, HOST, POOL, NULL, OUT(tn_array)))

enum { AN_ARRAY, A_WEAK, A_BORROW, A_PROMISE, A_POOL, KINDS };

#define ROW(name, kind, may_be_null) {#name, call_##name, kind, may_be_null}
static const struct row {
    const char *name;
    tn_status (*call)(void *);
    int kind;
    int may_be_null; /* NULL means the current pool */
} rows[] = {
    ROW(query, AN_ARRAY, 0), ROW(set_name, AN_ARRAY, 0), ROW(pool, AN_ARRAY, 0), ROW(wait, AN_ARRAY, 0),
    ROW(clone, AN_ARRAY, 0),
    ROW(copy, AN_ARRAY, 0), ROW(release, AN_ARRAY, 0), ROW(weaken, AN_ARRAY, 0), ROW(like, AN_ARRAY, 0),
    ROW(save, AN_ARRAY, 0),
    ROW(reshape, AN_ARRAY, 0), ROW(ravel, AN_ARRAY, 0), ROW(transpose, AN_ARRAY, 0), ROW(permute, AN_ARRAY, 0),
    ROW(slice, AN_ARRAY, 0), ROW(index, AN_ARRAY, 0), ROW(squeeze, AN_ARRAY, 0), ROW(expand, AN_ARRAY, 0),
    ROW(broadcast, AN_ARRAY, 0), ROW(split, AN_ARRAY, 0), ROW(chunks, AN_ARRAY, 0), ROW(view_dtype, AN_ARRAY, 0),
    ROW(overlap_first, AN_ARRAY, 0), ROW(overlap_second, AN_ARRAY, 0), ROW(borrow_read, AN_ARRAY, 0),
    ROW(borrow_write, AN_ARRAY, 0), ROW(split_write, AN_ARRAY, 0), ROW(borrow_all, AN_ARRAY, 0),
    ROW(give, AN_ARRAY, 0),
    ROW(is_unique, AN_ARRAY, 0), ROW(why_not, AN_ARRAY, 0),
    ROW(holders, AN_ARRAY, 0), ROW(copy_from, AN_ARRAY, 0), ROW(copy_into, AN_ARRAY, 0),
    ROW(to_device, AN_ARRAY, 0), ROW(copy_to_host, AN_ARRAY, 0), ROW(copy_from_host, AN_ARRAY, 0),
    ROW(fill, AN_ARRAY, 0),
    ROW(zero, AN_ARRAY, 0), ROW(export_host, AN_ARRAY, 0), ROW(export_dlpack, AN_ARRAY, 0),
    ROW(export_dlpack_versioned, AN_ARRAY, 0),
    ROW(upgrade, A_WEAK, 0), ROW(weak_release, A_WEAK, 0), ROW(borrow_query, A_BORROW, 0), ROW(borrow_end, A_BORROW, 0),
    ROW(cancel, A_PROMISE, 0), ROW(promise_release, A_PROMISE, 0), ROW(take, A_PROMISE, 0),
    ROW(promise_to_device, A_PROMISE, 0),
    ROW(pool_release, A_POOL, 0), ROW(pool_query, A_POOL, 1), ROW(pool_reset_peak, A_POOL, 1),
    ROW(pool_trim, A_POOL, 1),
    ROW(pool_set_default, A_POOL, 1),
    ROW(pool_set_current, A_POOL, 1), ROW(pool_allocate, A_POOL, 1), ROW(pool_allocate_zeroed, A_POOL, 1),
    ROW(pool_reallocate, A_POOL, 1), ROW(empty, A_POOL, 1), ROW(zeros, A_POOL, 1), ROW(full, A_POOL, 1),
    ROW(like_in, A_POOL, 1), ROW(copy_in, A_POOL, 1), ROW(to_device_in, A_POOL, 1),
};

static void refuses(const struct row *row, void *handle, tn_status expected)
{
    out = UNTOUCHED;
    for (int i = 0; i < 4; i++)
        outs[i] = UNTOUCHED;
    number = 0, relation = 77;
    size = 77;
    bits = 77;
    tn_status got = row->call(handle);
    if (got != expected)
        fprintf(stderr, "%s(%p): ", row->name, handle);
    check_status(__FILE__, __LINE__, row->name, got, expected);
    CHECK(out == UNTOUCHED && outs[0] == UNTOUCHED && number == 0 && relation == 77 && size == 77 && bits == 77);
}

static void every_function(void)
{
    other = numbers(NULL, SHAPE(4));
    tn_array *array = numbers(NULL, SHAPE(4));
    tn_weak *weak = NULL;
    tn_promise *promise = NULL;
    OK(tn_array_weaken(array, &weak));
    tn_borrow *guard = reading(array);
    tn_array *given = numbers(NULL, SHAPE(4));
    OK(tn_array_give(given, 1, &promise));
    tn_pool *pool = own_pool("handles");
    void *good[KINDS] = {array, weak, guard, promise, pool};

    tn_array *gone_array = numbers(NULL, SHAPE(4));
    tn_weak *gone_weak = NULL;
    tn_promise *gone_promise = NULL;
    OK(tn_array_weaken(gone_array, &gone_weak));
    OK(tn_array_give(gone_array, 1, &gone_promise));
    OK(tn_promise_release(gone_promise));
    tn_borrow *gone_guard = reading(gone_array);
    end(gone_guard);
    OK(tn_weak_release(gone_weak));
    drop(gone_array);
    tn_pool *gone_pool = own_pool("gone");
    OK(tn_pool_release(gone_pool));
    void *gone[KINDS] = {gone_array, gone_weak, gone_guard, gone_promise, gone_pool};

    void *none[5] = {(void *)(uintptr_t)8, (void *)(uintptr_t)0x12345678, &array, raw, (void *)UINTPTR_MAX};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!rows[i].may_be_null)
            refuses(&rows[i], NULL, TN_ERR_NULL);
        refuses(&rows[i], gone[rows[i].kind], TN_ERR_STALE);
        for (int kind = 0; kind < KINDS; kind++)
            if (kind != rows[i].kind)
                refuses(&rows[i], good[kind], TN_ERR_KIND);
        for (int k = 0; k < 5; k++)
            refuses(&rows[i], none[k], TN_ERR_KIND);
    }
    /* no valid handle has changed */
    CHECK(HOLDS(array, 0, 1, 2, 3) && HOLDS(other, 0, 1, 2, 3) && state_of(given) == TN_ERR_GIVEN);
    CHECK(count_holders(array, TN_HOLDER_GUARD_READ) == 1 && allocations(pool) == 0);
    for (int kind = 0; kind < KINDS; kind++)
        CHECK((uintptr_t)good[kind] >> 56 != 0); /* the kind is the top byte: no address looks like an id */
    end(guard);
    OK(tn_weak_release(weak));
    OK(tn_promise_release(promise));
    drop(given);
    drop(array);
    drop(other);
    OK(tn_pool_release(pool));
}

static void released_handles_stay_stale(void) /* I14 */
{
    tn_array *first = numbers(NULL, SHAPE(1)), *copy = UNTOUCHED;
    drop(first);
    for (int i = 0; i < rounds(20000); i++) {
        tn_array *a = empty(NULL, TN_U8, SHAPE(1));
        CHECK(a != first);
        drop(a);
    }
    FAILS(tn_array_release(first), TN_ERR_STALE);
    FAILS(tn_array_clone(first, &copy), TN_ERR_STALE);
    CHECK(copy == UNTOUCHED);
    /* guards, whose slots are reused fastest */
    tn_array *a = numbers(NULL, SHAPE(1));
    tn_borrow *guard = reading(a);
    end(guard);
    for (int i = 0; i < rounds(20000); i++) {
        tn_borrow *next = reading(a);
        CHECK(next != guard);
        end(next);
    }
    FAILS(tn_borrow_end(guard, 0, NULL), TN_ERR_STALE);
    drop(a);
}

static char text_of_thread[512];

static void *fail_elsewhere(void *unused)
{
    (void)unused;
    CHECK(tn_last_error() != NULL && tn_last_error()[0] == 0); /* no failure here yet */
    FAILS(tn_weak_release(NULL), TN_ERR_NULL);
    snprintf(text_of_thread, sizeof text_of_thread, "%s", tn_last_error());
    return NULL;
}

static void statuses_and_texts(void)
{
    CHECK(tn_version() >= TN_VERSION);
    CHECK(strcmp(tn_status_name(TN_OK), "TN_OK") == 0 && strcmp(tn_status_name(TN_ERR_STALE), "TN_ERR_STALE") == 0);
    CHECK(strcmp(tn_status_name(TN_ERR_PANIC), "TN_ERR_PANIC") == 0);
    CHECK(strcmp(tn_status_name(35), "TN_ERR_?") == 0 && strcmp(tn_status_name(UINT32_MAX), "TN_ERR_?") == 0);
    for (tn_status a = 0; a <= TN_ERR_OVERFLOW; a++)
        for (tn_status b = 0; b < a; b++)
            CHECK(strcmp(tn_status_name(a), tn_status_name(b)) != 0);
    FAILS(tn_array_release(NULL), TN_ERR_NULL);
    CHECK(says("tn_array_release"));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fail_elsewhere, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(says("tn_array_release") && strstr(text_of_thread, "tn_weak_release") != NULL); /* each thread has its own message */
}

static void options(void)
{
    size_t length = 77;
    char text[64];
    memset(text, 'c', sizeof text);
    OK(tn_option_get("strict", 0, NULL, &length));
    CHECK(length >= 1 && length < 16);
    OK(tn_option_get("strict", length, text, &length)); /* too small for the text and its NUL: truncated */
    CHECK(strlen(text) == length - 1 && text[length] == 'c');
    OK(tn_option_get("strict", length + 1, text, &length));
    CHECK(strlen(text) == length && text[length + 1] == 'c');
    char before[64];
    memcpy(before, text, sizeof text);
    length = 77;
    FAILS(tn_option_get("no such option", sizeof text, text, &length), TN_ERR_INVALID);
    CHECK(says("no such option"));
    FAILS(tn_option_set("no such option", "1"), TN_ERR_INVALID);
    FAILS(tn_option_set("strict", "perhaps"), TN_ERR_INVALID);
    CHECK(says("perhaps"));
    FAILS(tn_option_set(NULL, "1"), TN_ERR_NULL);
    FAILS(tn_option_set("strict", NULL), TN_ERR_NULL);
    FAILS(tn_option_get(NULL, 0, NULL, &length), TN_ERR_NULL);
    FAILS(tn_option_get("strict", 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_option_get("strict", 8, NULL, &length), TN_ERR_NULL);
    CHECK(length == 77);
    OK(tn_option_get("strict", sizeof text, text, &length));
    CHECK(strcmp(text, before) == 0);
}

int main(void)
{
    statuses_and_texts();
    options();
    every_function();
    released_handles_stay_stale();
    return finish();
}
