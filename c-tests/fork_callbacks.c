/*
 * fork_callbacks.c - a callback of the library forks: the child uses the library and ends, and the parent goes on (TH-27). In the callbacks of
 * releases, functions, updates, memory pressure and upstreams. This program has one thread.
 */
#define _DEFAULT_SOURCE
#include "helpers.h"
#include <sys/wait.h>
#include <unistd.h>

static int forks;

/* Forks. The child makes, copies and releases an array, and uses `lent`, which it has from its parent. */
static void fork_here(tn_array *lent)
{
    forks++;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20); /* a child that waits for a lock of its parent ends */
        const int failures = check_failures;
        tn_array *own = numbers(NULL, SHAPE(1000)), *copy = NULL;
        OK(tn_array_copy(own, NULL, NULL, &copy));
        CHECK(info_of(copy).count == 1000);
        if (lent != NULL) {
            tn_array_info info = {.size = sizeof info};
            OK(tn_array_query(lent, &info));
        }
        drop(own);
        drop(copy);
        _exit(check_failures > failures);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void on_release(void *context)
{
    fork_here(NULL);
    ++*(int *)context;
}

static void releases(void)
{
    static int64_t memory[10];
    const int64_t n = 10, stride = 8;
    const tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = &n, .strides = &stride};
    const tn_borrow_flags flags[] = {TN_BORROW, TN_TAKE_OWNERSHIP, TN_BORROW | TN_RELEASE_QUEUED, 0};
    for (int i = 0; i < 4; i++) {
        int runs = 0;
        tn_array *array = NULL;
        OK(tn_array_import_host(memory, &layout, flags[i], on_release, &runs, &array, NULL));
        drop(array);
        OK(tn_run_releases(NULL));
        CHECK(runs == 1);
    }
}

static tn_status body(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context;
    fork_here(in[0]);
    OK(tn_array_fill(update[0], (int64_t[]){7}, 0, NULL));
    return tn_array_clone(in[0], &out[0]);
}

static tn_status in_place(void *context, tn_array *value)
{
    (void)context;
    fork_here(value);
    return tn_array_fill(value, (int64_t[]){8}, 0, NULL);
}

static void functions(void)
{
    tn_array *x = numbers(NULL, SHAPE(10)), *y = NULL, *value = NULL;
    tn_shared *w = NULL;
    tn_function *f = NULL;
    OK(tn_shared_create(x, 0, NULL, &w, NULL));
    tn_in in = {.size = sizeof in, .ndim = -1};
    tn_out out = {.size = sizeof out, .ndim = -1};
    tn_update update = {.size = sizeof update, .target = w, .flags = TN_MAY_OVERWRITE};
    tn_function_options options = {.size = sizeof options, .body = body, .n_in = 1, .inputs = &in, .n_out = 1, .outputs = &out,
                                   .n_update = 1, .updates = &update, .context = NULL, .release = on_release};
    int runs = 0;
    options.context = &runs;
    OK(tn_function_create(&options, &f));
    OK(tn_function_call(f, 1, &x, 1, &y, NULL, NULL));
    OK(tn_shared_get(w, TN_BORROW, &value, NULL));
    HOLDS(value, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7);
    drop(value);
    OK(tn_shared_update(w, TN_MAY_OVERWRITE, in_place, NULL, NULL));
    OK(tn_shared_get(w, TN_BORROW, &value, NULL));
    HOLDS(value, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8);
    drop(value);
    drop(x);
    drop(y);
    OK(tn_function_release(f));
    CHECK(runs == 1);
    OK(tn_shared_release(w));
}

static size_t on_pressure(void *context, size_t needed, tn_pressure reason)
{
    (void)needed, (void)reason;
    fork_here(NULL);
    void **held = context;
    size_t freed = 0;
    if (*held != NULL) {
        OK(tn_pool_deallocate(NULL, *held, NULL));
        *held = NULL;
        freed = 1 << 20;
    }
    return freed;
}

static void pressure(void)
{
    tn_pool *pool = limited_pool("pressure", 1 << 20);
    void *held = NULL, *block = NULL;
    OK(tn_pool_allocate(pool, 700 << 10, 0, NULL, &held));
    OK(tn_pool_on_pressure(pool, on_pressure, &held, NULL));
    OK(tn_pool_allocate(pool, 600 << 10, 0, NULL, &block));
    CHECK(held == NULL);
    OK(tn_pool_off_pressure(pool, on_pressure, &held));
    OK(tn_pool_deallocate(pool, block, NULL));
    OK(tn_pool_release(pool));
}

static tn_status upstream_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    (void)context, (void)stream;
    fork_here(NULL);
    *out = aligned_alloc(alignment, bytes);
    return *out == NULL ? TN_ERR_NO_HOST_MEMORY : TN_OK;
}

static tn_status upstream_deallocate(void *context, void *at, size_t bytes, uint64_t stream)
{
    (void)context, (void)bytes, (void)stream;
    fork_here(NULL);
    free(at);
    return TN_OK;
}

static void upstreams(void)
{
    int runs = 0;
    const tn_upstream upstream = {.size = sizeof upstream, .context = &runs, .allocate = upstream_allocate,
                                  .deallocate = upstream_deallocate, .release = on_release};
    tn_pool *pool = NULL;
    OK(tn_pool_import(HOST, &upstream, NULL, &pool));
    tn_array *array = numbers(pool, SHAPE(1000));
    drop(array);
    OK(tn_pool_release(pool));
    CHECK(runs == 1);
}

int main(void)
{
    releases();
    functions();
    pressure();
    upstreams();
    CHECK(forks >= 10);
    return finish();
}
