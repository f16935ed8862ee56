/*
 * cuda_launch.c - launches of kernels that borrow their arguments (KN-8 to KN-14), on a GPU.
 *
 * Runs on the simulated driver with many seeds, or on a real one, which has the kernels of launch_kernels.h; TENURE_TEST_DEVICE makes the
 * absence of both a failure.
 */
#define _POSIX_C_SOURCE 200809L
#include "kernels.h"
#include <pthread.h>

static void *load(void)
{
    void *module = NULL;
    CHECK(cu.cuModuleLoadData(&module, kernels_image()) == 0);
    return module;
}

/* Its kernels may still run. */
static void unload(void *module)
{
    OK(tn_device_synchronize(GPU));
    CHECK(cu.cuModuleUnload(module) == 0);
}

static void *function_of(void *module, const char *name)
{
    void *function = NULL;
    CHECK(cu.cuModuleGetFunction(&function, module, name) == 0);
    return function;
}

/* The functions of a module that stays loaded. */
static void *TELL, *BLOCK_MEMORY, *NOTHING;

/* 0: the driver does not compile PTX. */
static int load_kernels(void)
{
    void *context = NULL, *function = NULL;
    CHECK(cu.cuDevicePrimaryCtxRetain(&context, 0) == 0 && cu.cuCtxSetCurrent(context) == 0);
    void *module = load();
    if (cu.cuModuleGetFunction(&function, module, "launch_nothing") == NO_SUCH_KERNEL && !simulated())
        return 0;
    SCALE = function_of(module, "launch_scale");
    CHANGE = function_of(module, "launch_change");
    TELL = function_of(module, "launch_tell");
    BLOCK_MEMORY = function_of(module, "launch_block_memory");
    NOTHING = function_of(module, "launch_nothing");
    return 1;
}

/* ---- the rows ---- */

/* Two uses of an array in the order of a stream: a launch, and a guard as a program opens it around a launch of its own. */
typedef void (*stream_use)(tn_array *array, tn_stream *s);

static void bracket(tn_array *array, tn_stream *s)
{
    tn_borrow *guard = NULL;
    void *data = NULL;
    tn_view_info view = {0};
    OK(tn_array_borrow_write(array, 0, s, &data, &view, &guard));
    CHECK(data != NULL && view.data == data && view.shape[0] == LENGTH);
    OK(tn_borrow_end(guard, 0, s));
}

/* The status of reading an array on the host at once, while later work of the stream that wrote it stands still. */
static tn_status read_beside_later_work(tn_array *written, tn_array *other, stream_use use, tn_stream *s)
{
    use(written, s);
    sim.tenure_sim_step(1000);
    CHECK(control("tenure_sim_hold", s));
    use(other, s);
    tn_borrow *guard = NULL;
    tn_status status = tn_array_borrow_read(written, 0, NULL, NULL, NULL, &guard);
    if (status == TN_OK)
        OK(tn_borrow_end(guard, 0, NULL));
    CHECK(control("tenure_sim_release", s));
    OK(tn_stream_synchronize(s));
    return status;
}

/* A wait for a use is none for later work, and uses whose events no wait needs record none after a while. */
static void events(stream_use use, uint64_t most_calls)
{
    tn_stream *s = new_stream(), *many = new_stream();
    tn_array *x = on_device(MANAGED, TN_F64, 1, &LENGTH), *y = count_up();
    if (simulated()) {
        for (int i = 0; i < 3; i++)
            CHECK(read_beside_later_work(x, y, use, s) == TN_OK);
        for (int i = 0; i < 70; i++)
            use(y, many);
        uint64_t all = calls(""), recorded = calls("cuEventRecord");
        use(y, many);
        CHECK(calls("cuEventRecord") == recorded && calls("") - all <= most_calls);
        /* The first wait that an event would have spared work for brings them back. */
        CHECK(read_beside_later_work(x, y, use, many) == TN_ERR_PENDING);
        CHECK(read_beside_later_work(x, y, use, many) == TN_OK);
        CHECK(calls("cuEventRecord") > recorded);
    }
    OK(tn_stream_release(s));
    OK(tn_stream_release(many));
    drop_all(2, x, y);
}

static void kn_10_events(void)
{
    events(add_one, 3);
}

static void br_62_events(void)
{
    events(bracket, 0);
}

/* Guards whose end recorded no event order later uses all the same. */
static void br_60_62_later_uses_come_after_a_guard_without_an_event(tn_stream *t)
{
    tn_stream *s = new_stream();
    tn_array *x = count_up(), *y = count_up();
    for (int i = 0; i < 70; i++)
        bracket(x, s);
    int held = control("tenure_sim_hold", s);
    SCALED(y, x, 2, 1, s);
    bracket(y, s);
    tn_borrow *guard = NULL;
    if (held) {
        CHECK(tn_array_borrow_read(y, 0, NULL, NULL, NULL, &guard) == TN_ERR_PENDING);
        OK(tn_array_copy_into(y, x, 0, t)); /* t waits for s */
        CHECK(control("tenure_sim_release", s));
    } else {
        OK(tn_array_copy_into(y, x, 0, t));
    }
    CHECK(is_line(x, 2, 1) && is_line(y, 2, 1));
    /* A stream that is released leaves its work behind, and is refused from then on. */
    bracket(x, s);
    tn_borrow *last = NULL;
    OK(tn_array_borrow_write(x, 0, s, NULL, NULL, &last));
    OK(tn_stream_release(s));
    CHECK(tn_array_borrow_read(y, 0, s, NULL, NULL, &guard) == TN_ERR_STALE && guard == NULL);
    CHECK(tn_borrow_end(last, 0, s) == TN_ERR_STALE);
    OK(tn_borrow_end(last, 0, t));
    CHECK(is_line(x, 2, 1));
    drop_all(2, x, y);
}

static void kn_10_later_uses_come_after_the_kernel(tn_stream *s, tn_stream *t)
{
    tn_array *x = count_up(), *y = count_up(), *z = count_up();
    int held = control("tenure_sim_hold", s);
    SCALED(y, x, 2, 1, s);
    CHECK(is_free(y, t)); /* no borrow is left: a stream may go on, behind the kernel */
    OK(tn_array_copy_into(y, z, 0, t));
    if (held)
        CHECK(control("tenure_sim_release", s));
    CHECK(is_line(z, 2, 1) && is_line(y, 2, 1) && is_line(x, 1, 0));
    /* A reader does not wait for a reader, but a writer does. */
    held = control("tenure_sim_hold", s);
    SCALED(y, x, 3, 0, s);
    SCALED(z, x, 4, 0, t);
    OK(tn_stream_synchronize(t));
    OK(tn_array_clear(x, 0, t));
    CHECK(is_line(z, 4, 0));
    if (held)
        CHECK(control("tenure_sim_release", s));
    CHECK(is_line(y, 3, 0) && is_line(x, 0, 0));
    OK(tn_array_release(x));
    OK(tn_array_release(y));
    OK(tn_array_release(z));
}

static void kn_10_handles_may_be_released(tn_stream *s)
{
    tn_pool *pool = plain_gpu_pool();
    tn_array *x = in_pool(pool, TN_F64, 1, &LENGTH), *y = count_up();
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(x, 0, TN_STREAM_LEGACY, NULL, &view, &guard));
    void *data = view.data;
    size_t bytes = view.bytes;
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_device_synchronize(GPU));
    int held = control("tenure_sim_hold", s);
    SCALED(y, x, 2, 5, s);
    OK(tn_array_release(x));
    check_not_reused(pool, data, bytes, s, held);
    CHECK(is_line(y, 0, 5));
    OK(tn_array_release(y));
    OK(tn_pool_release(pool));
}

static tn_array *page_locked(tn_host_flags flags)
{
    tn_pool_options options = {.size = sizeof options, .host_flags = flags};
    tn_pool *pool = NULL;
    OK(tn_pool_create(PINNED, &options, &pool));
    tn_array *array = in_pool(pool, TN_F64, 1, &LENGTH);
    OK(tn_pool_release(pool));
    return array;
}

static void kn_10_kn_12_memory_that_the_host_shares(tn_stream *s)
{
    tn_array *x = count_up(), *shared[] = {page_locked(TN_HOST_MAPPED), on_device(MANAGED, TN_F64, 1, &LENGTH)};
    for (size_t i = 0; i < 2; i++) {
        tn_arg to = array_arg(shared[i], TN_WRITE, 1), from = array_arg(x, TN_READ, 1);
        tn_borrow *guard = NULL;
        const double *data = NULL;
        int held = control("tenure_sim_hold", s);
        OK(try_scale(to, from, 2, 0, s));
        if (held) {
            FAILS(tn_array_borrow_read(shared[i], 0, NULL, (const void **)&data, NULL, &guard), TN_ERR_PENDING);
            CHECK(control("tenure_sim_release", s));
        }
        OK(tn_array_borrow_read(shared[i], TN_WAIT, NULL, (const void **)&data, NULL, &guard));
        CHECK(data[1] == 2 && data[N - 1] == 2 * (N - 1));
        /* A guard of the host excludes what it always does, and the refused launch changes nothing. */
        uint64_t launched = calls("cuLaunchKernel");
        CHECK(try_scale(to, from, 1, 1, s) == TN_ERR_BORROWED);
        OK(try_scale(from = array_arg(x, TN_WRITE, 1), array_arg(shared[i], TN_READ, 1), 0.5, 0, s));
        OK(tn_borrow_end(guard, 0, NULL));
        OK(tn_array_borrow_write(shared[i], TN_WAIT, NULL, NULL, NULL, &guard));
        CHECK(try_scale(from, array_arg(shared[i], TN_READ, 1), 1, 1, s) == TN_ERR_BORROWED_WRITE);
        OK(tn_borrow_end(guard, 0, NULL));
        CHECK(!simulated() || calls("cuLaunchKernel") == launched + 1);
        CHECK(is_free(x, s) && is_line(x, 1, 0) && is_line(shared[i], 2, 0));
    }
    drop_all(3, x, shared[0], shared[1]);
}

static void kn_10_access(tn_stream *s)
{
    tn_array *x = count_up(), *y = count_up(), *z = NULL;
    tn_borrow *guard = NULL;
    /* Poison: only a kernel that overwrites everything may have it, and heals it. */
    OK(tn_array_borrow_write(x, 0, s, NULL, NULL, &guard));
    OK(tn_borrow_end(guard, TN_END_FAILED, s));
    CHECK(try_scale(array_arg(y, TN_WRITE, 1), array_arg(x, TN_READ, 1), 1, 0, s) == TN_ERR_POISONED);
    CHECK(try_change(pointer_arg(x, TN_READ_WRITE), 1, 0, s) == TN_ERR_POISONED);
    SCALED(x, y, 1, 7, s);
    CHECK(is_line(x, 1, 7) && is_line(y, 1, 0));
    /* UNIQUE and COW, with another handle. */
    OK(tn_array_clone(x, &z));
    CHECK(try_change(pointer_arg(x, TN_READ_WRITE | TN_WRITE_UNIQUE), 1, 1, s) == TN_ERR_SHARED);
    int held = control("tenure_sim_hold", s);
    OK(try_change(pointer_arg(x, TN_READ_WRITE | TN_WRITE_COW), 2, 0, s));
    add_one(z, s);
    if (held)
        CHECK(control("tenure_sim_release", s));
    CHECK(is_line(x, 2, 14) && is_line(z, 1, 8));
    OK(try_change(pointer_arg(x, TN_READ_WRITE | TN_WRITE_UNIQUE), 1, 1, s));
    CHECK(is_line(x, 2, 15));
    drop_all(3, x, y, z);
}

static void kn_10_stream_null_waits(void)
{
    tn_array *x = on_device(MANAGED, TN_F64, 1, &LENGTH);
    tn_borrow *guard = NULL;
    const double *data = NULL;
    add_one(x, NULL);
    OK(tn_array_borrow_read(x, 0, NULL, (const void **)&data, NULL, &guard));
    CHECK(data[0] == 1 && data[N - 1] == 1);
    OK(tn_borrow_end(guard, 0, NULL));
    add_one(x, TN_STREAM_LEGACY);
    add_one(x, TN_STREAM_PER_THREAD);
    add_one(x, TN_STREAM_CURRENT);
    CHECK(is_line(x, 0, 4));
    OK(tn_array_release(x));
}

/* The order of two streams, by numbers that tell it. */
static void kn_10_streams_in_turns(tn_stream *s, tn_stream *t)
{
    tn_array *x = count_up();
    double value = 0;
    for (int i = 0; i < 12; i++) {
        OK(try_change(pointer_arg(x, TN_READ_WRITE), 2, i, i % 3 == 0 ? t : s));
        value = 2 * value + i;
    }
    CHECK(is_line(x, 4096, value));
    OK(tn_array_release(x));
}

static void kn_11_overlap(tn_stream *s)
{
    tn_array *x = count_up(), *low = part(x, 0, N / 2, 1), *high = part(x, N / 2, N, 1), *even = part(x, 0, N, 2);
    tn_array *odd = part(x, 1, N, 2), *y = NULL;
    enum { W = TN_WRITE, R = TN_READ, RW = TN_READ_WRITE, A = TN_ALLOW_ALIAS, U = TN_WRITE_UNIQUE, COW = TN_WRITE_COW };
    struct {
        tn_array *to, *from;
        uint32_t to_access, from_access;
        tn_status status;
    } cases[] = {
        {x, x, W, R, TN_ERR_ALIASED},          {x, x, RW, RW, TN_ERR_ALIASED},     {low, even, W, R, TN_ERR_ALIASED},
        {low, high, W, R, TN_OK},              {even, odd, W, R, TN_OK},           {x, x, R, R, TN_OK},
        {x, x, RW, R | A, TN_OK},              {x, x, RW | A, R, TN_ERR_ALIASED},  {x, x, R, RW | A, TN_ERR_ALIASED},
        {x, x, R | A, RW, TN_OK},              {x, x, RW, RW | A, TN_OK},          {x, x, RW | A, RW, TN_OK},
        {low, even, RW, R | A, TN_OK},         {even, odd, RW | U, R, TN_ERR_SHARED},
        {even, odd, RW | U, R | A, TN_ERR_SHARED}, {x, x, RW | COW, R | A, TN_ERR_ALIASED},
        {x, x, RW, RW | COW | A, TN_ERR_ALIASED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t launched = calls("cuLaunchKernel");
        tn_status status = try_scale(array_arg(cases[i].to, cases[i].to_access, 1), array_arg(cases[i].from, cases[i].from_access, 1), 1, 0, s);
        check_status(__FILE__, 2000 + (int)i, "tn_launch", status, cases[i].status);
        CHECK(!simulated() || calls("cuLaunchKernel") == launched + (status == TN_OK));
        CHECK(is_free(x, s));
        if (status == TN_ERR_ALIASED)
            CHECK(says("TN_ALLOW_ALIAS"));
    }
    /* Both of them unique: the overlap is what is wrong. */
    y = count_up();
    CHECK(try_scale(array_arg(y, RW | U, 1), array_arg(y, R | A, 1), 1, 0, s) == TN_ERR_ALIASED);
    /* The bytes are those that the kernel was meant to see. */
    OK(try_scale(array_arg(y, RW, 1), array_arg(y, R | A, 1), 2, 1, s));
    CHECK(is_line(y, 2, 1));
    drop_all(6, x, low, high, even, odd, y);
}

static void kn_11_all_or_nothing(tn_stream *s)
{
    tn_array *x = count_up(), *y = count_up(), *z = count_up(), *frozen = NULL, *given = count_up();
    tn_promise *promise = NULL;
    tn_borrow *guard = NULL;
    tn_arg w = array_arg(x, TN_WRITE, 1), r = array_arg(y, TN_READ, 1);
    OK(tn_array_give(given, 1, &promise));
    /* Stretched arrays are read-only. */
    tn_array *one = part(z, 0, 1, 1);
    OK(tn_array_broadcast(one, 1, &LENGTH, &frozen));
    struct {
        tn_arg to, from;
        tn_status status;
    } cases[] = {
        {w, array_arg(NULL, TN_READ, 1), TN_ERR_NULL},
        {w, array_arg((tn_array *)s, TN_READ, 1), TN_ERR_KIND},
        {w, array_arg(y, 0, 1), TN_ERR_INVALID},
        {w, array_arg(y, 1u << 30 | TN_READ, 1), TN_ERR_INVALID},
        {w, array_arg(y, TN_READ, -1), TN_ERR_INVALID},
        {w, array_arg(y, TN_READ, 9), TN_ERR_INVALID},
        {w, {.kind = 7, .what = y, .access = TN_READ}, TN_ERR_INVALID},
        {w, {.kind = TN_ARG_ARRAY, .what = y, .access = TN_READ, .ndim = 1, .reserved = 1}, TN_ERR_INVALID},
        {w, {.kind = TN_ARG_VALUE, .what = y}, TN_ERR_INVALID},
        {w, {.kind = TN_ARG_MIRROR, .what = y, .access = TN_READ, .ndim = 1}, TN_ERR_KIND},
        {w, array_arg(given, TN_READ, 1), TN_ERR_GIVEN},
        {w, array_arg(frozen, TN_WRITE, 1), TN_ERR_READONLY},
        {array_arg(frozen, TN_READ_WRITE, 1), r, TN_ERR_READONLY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t launched = calls("cuLaunchKernel");
        tn_status status = try_scale(cases[i].to, cases[i].from, 9, 9, s);
        check_status(__FILE__, 3000 + (int)i, "tn_launch", status, cases[i].status);
        CHECK(!simulated() || calls("cuLaunchKernel") == launched);
        CHECK(is_free(x, s) && is_free(y, s));
    }
    /* The last argument fails: the others are as before. */
    OK(tn_array_borrow_read(y, 0, s, NULL, NULL, &guard));
    CHECK(try_scale(w, array_arg(y, TN_READ_WRITE, 1), 9, 9, s) == TN_ERR_BORROWED);
    OK(tn_borrow_end(guard, 0, s));
    CHECK(is_free(x, s) && is_line(x, 1, 0) && is_line(y, 1, 0));
    /* Errors of arguments alone come before those of states, and these before the rest. */
    CHECK(try_scale(array_arg(given, TN_READ, 2), array_arg(y, 0, 1), 1, 0, s) == TN_ERR_INVALID);
    CHECK(try_scale(array_arg(given, TN_READ, 1), array_arg(frozen, TN_WRITE, 1), 1, 0, s) == TN_ERR_GIVEN);
    OK(tn_promise_release(promise));
    OK(tn_array_release(given));
    tn_status status = try_scale(w, array_arg(given, TN_READ, 1), 1, 0, s);
    check_status(__FILE__, __LINE__, "tn_launch", status, TN_ERR_STALE);
    CHECK(says("args[1]"));
    drop_all(5, x, y, z, one, frozen);
}

/* What launch_tell says of an array. */
static tn_status tell_of(tn_arg arg, tn_stream *stream, int64_t told[5])
{
    static const int64_t five = 5;
    tn_array *to = on_device(GPU, TN_I64, 1, &five);
    tn_launch_config config = config_of(TELL, stream);
    tn_arg args[] = {pointer_arg(to, TN_WRITE), arg};
    config.grid[0] = config.block[0] = 1;
    tn_status status = tn_launch(&config, 2, args);
    if (status == TN_OK)
        OK(tn_array_copy_to_host(to, told, NULL, NULL));
    OK(tn_array_release(to));
    return status;
}

static void kn_12_reach(tn_stream *s)
{
    tn_array *x = count_up(), *plain = zeros(NULL, TN_F64, SHAPE(N)), *locked = page_locked(0), *mapped = page_locked(TN_HOST_MAPPED);
    tn_array *managed = on_device(MANAGED, TN_F64, 1, &LENGTH), *square = NULL, *registered = NULL;
    static _Alignas(4096) double memory[512];
    tn_borrow *guard = NULL;
    tn_view_info view;
    int64_t told[5];
    OK(tn_array_reshape(mapped, SHAPE(8, N / 8), TN_ORDER_C, &square));
    OK(tell_of(array_arg(square, TN_READ, 2), s, told));
    CHECK(told[1] == 8 && told[2] == N / 8);
    /* The address that devices use, of which the simulated driver makes another one than the host's. */
    OK(tn_host_register(memory, sizeof memory, TN_HOST_MAPPED, &registered));
    tn_array *numbers = NULL, *matrix = NULL;
    OK(tn_array_view_dtype(registered, TN_F64, &numbers));
    OK(tn_array_reshape(numbers, SHAPE(16, 32), TN_ORDER_C, &matrix));
    OK(tn_array_borrow_read(matrix, 0, NULL, NULL, &view, &guard));
    OK(tell_of(array_arg(matrix, TN_READ, 2), s, told));
    CHECK((uint64_t)told[0] == view.device_data && (!simulated() || view.device_data != (uintptr_t)view.data));
    OK(tn_borrow_end(guard, 0, NULL));
    drop_all(3, matrix, numbers, registered);
    SCALED(x, mapped, 1, 3, s);
    SCALED(x, managed, 1, 4, s);
    tn_array *wrong[] = {plain, locked};
    for (size_t i = 0; i < 2; i++) {
        CHECK(try_scale(array_arg(x, TN_WRITE, 1), array_arg(wrong[i], TN_READ, 1), 1, 0, s) == TN_ERR_DEVICE);
        CHECK(says(i == 0 ? "args[1]" : "TN_HOST_MAPPED"));
        CHECK(is_free(x, s) && is_free(wrong[i], NULL));
    }
    if (gpus() > 1) {
        tn_array *far = on_device((tn_device){TN_CUDA, 1}, TN_F64, 1, &LENGTH);
        CHECK(try_scale(array_arg(x, TN_WRITE, 1), array_arg(far, TN_READ, 1), 1, 0, s) == TN_ERR_DEVICE && says("args[1]"));
        CHECK(try_scale(array_arg(x, TN_WRITE, 1), array_arg(far, TN_READ, 1), 1, 0, NULL) == TN_ERR_DEVICE);
        OK(tn_array_release(far));
    }
    CHECK(is_line(x, 0, 4));
    drop_all(6, x, plain, locked, mapped, managed, square);
}

static void kn_13_what_the_kernel_gets(tn_stream *s)
{
    static const int64_t two[] = {6, 8}, none[] = {3, 0};
    tn_array *x = on_device(GPU, TN_F64, 2, two), *turned = NULL, *back = NULL, *row = NULL, *empty = on_device(GPU, TN_F64, 2, none);
    int64_t told[5];
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_transpose(x, &turned));
    OK(tn_array_slice(turned, 1, &(tn_slice_spec){.start = TN_NONE, .stop = TN_NONE, .step = -2}, &back));
    OK(tn_array_index(x, 0, 2, &row));
    OK(tn_array_borrow_read(back, 0, s, NULL, &view, &guard));
    OK(tell_of(array_arg(back, TN_READ, 2), s, told));
    CHECK(told[0] == (int64_t)(intptr_t)view.data && told[1] == 4 && told[2] == 6 && told[3] == -16 && told[4] == 64);
    OK(tn_borrow_end(guard, 0, s));
    OK(tell_of(array_arg(empty, TN_READ, 2), s, told));
    CHECK(told[0] == 0 && told[1] == 3 && told[2] == 0);
    CHECK(tell_of(array_arg(row, TN_READ, 2), s, told) == TN_ERR_SHAPE && says("args[1]"));
    CHECK(tell_of(array_arg(x, TN_READ, 1), s, told) == TN_ERR_INVALID); /* the size of the parameter comes first */
    /* An array without axes is one of length 1. */
    tn_array *one = on_device(GPU, TN_F64, 0, NULL), *y = count_up();
    for (int32_t ndim = 0; ndim < 2; ndim++)
        OK(try_scale(array_arg(one, TN_WRITE, ndim), array_arg(y, TN_READ, 1), 1, 11 + ndim, s));
    double value = 0;
    OK(tn_array_copy_to_host(one, &value, NULL, NULL));
    CHECK(value == 12);
    CHECK(try_scale(array_arg(y, TN_WRITE, 0), array_arg(one, TN_READ, 1), 1, 0, s) == TN_ERR_SHAPE);
    /* A bare address needs no strides. */
    tn_array *gaps = part(y, 0, N, 2), *nothing_left = part(y, 0, 0, 1);
    tn_launch_config config = config_of(CHANGE, s);
    int64_t n = 0;
    double zero = 0;
    tn_arg rest[] = {pointer_arg(nothing_left, TN_READ_WRITE), value_arg(&n, 8), value_arg(&zero, 8), value_arg(&zero, 8)};
    OK(tn_launch(&config, 4, rest));
    CHECK(try_change(pointer_arg(gaps, TN_READ_WRITE), 1, 1, s) == TN_ERR_LAYOUT && says("args[0]"));
    /* Elements at multiples of their size: of c128, 16. */
    static const int64_t bytes = 8 + 16 * N;
    tn_array *raw = on_device(GPU, TN_U8, 1, &bytes), *moved = part(raw, 8, 8 + 16 * N, 1), *askew = NULL;
    OK(tn_array_view_dtype(moved, TN_C128, &askew));
    CHECK(try_scale(array_arg(askew, TN_WRITE, 1), array_arg(y, TN_READ, 1), 1, 0, s) == TN_ERR_LAYOUT && says("args[0]"));
    CHECK(try_change(pointer_arg(askew, TN_READ_WRITE), 1, 1, s) == TN_ERR_LAYOUT);
    /* Values are read before the call returns. */
    double factor = 2, add = 1;
    tn_arg args[] = {pointer_arg(y, TN_READ_WRITE), value_arg(&LENGTH, 8), value_arg(&factor, 8), value_arg(&add, 8)};
    int held = control("tenure_sim_hold", s);
    OK(tn_launch(&config, 4, args));
    factor = add = -1;
    memset(args, 0, sizeof args);
    if (held)
        CHECK(control("tenure_sim_release", s));
    CHECK(is_line(y, 2, 1));
    drop_all(8, x, turned, back, row, empty, one, y, gaps);
    drop_all(4, nothing_left, raw, moved, askew);
}

static void kn_14_an_own_launcher(tn_stream *s, tn_stream *t)
{
    tn_array *x = count_up(), *y = count_up(), *z = count_up(), *mapped = page_locked(TN_HOST_MAPPED), *locked = page_locked(0);
    tn_borrow *guards[2];
    view1 views[2];
    double factor = 5, value = 1;
    uint64_t native = 0;
    void *parameters[] = {&views[0], &views[1], &factor, &value};
    OK(tn_stream_native(s, &native));
    OK(tn_array_borrow_write(y, TN_WRITE_DISCARD, s, NULL, NULL, &guards[0]));
    OK(tn_array_borrow_read(x, 0, s, NULL, NULL, &guards[1]));
    for (int i = 0; i < 2; i++)
        OK(tn_borrow_kernel_view(guards[i], 1, sizeof(view1), &views[i]));
    int held = control("tenure_sim_hold", s);
    CHECK(cu.cuLaunchKernel(SCALE, 2, 1, 1, 32, 1, 1, 0, (void *)(uintptr_t)native, parameters, NULL) == 0);
    CHECK(try_scale(array_arg(x, TN_WRITE, 1), array_arg(z, TN_READ, 1), 1, 0, t) == TN_ERR_BORROWED);
    OK(tn_borrow_end(guards[0], 0, s));
    OK(tn_borrow_end(guards[1], 0, s));
    SCALED(z, y, 1, 0, t); /* behind the kernel */
    SCALED(x, y, 0, 0, t);
    if (held)
        CHECK(control("tenure_sim_release", s));
    CHECK(is_line(z, 5, 1) && is_line(y, 5, 1) && is_line(x, 0, 0));
    /* The address that devices use; memory without one is refused. */
    tn_view_info info;
    OK(tn_array_borrow_read(mapped, 0, s, NULL, &info, &guards[0]));
    OK(tn_borrow_kernel_view(guards[0], 1, sizeof(view1), &views[0]));
    CHECK((uint64_t)(uintptr_t)views[0].data == info.device_data && info.device_data != 0);
    OK(tn_borrow_end(guards[0], 0, s));
    OK(tn_array_borrow_read(locked, 0, s, NULL, NULL, &guards[0]));
    memset(&views[1], 0x5a, sizeof views[1]);
    views[0] = views[1];
    FAILS(tn_borrow_kernel_view(guards[0], 1, sizeof(view1), &views[0]), TN_ERR_DEVICE);
    CHECK(memcmp(&views[0], &views[1], sizeof views[0]) == 0);
    OK(tn_borrow_end(guards[0], 0, s));
    drop_all(5, x, y, z, mapped, locked);
}

static uint64_t block_limit(void)
{
    tn_device_info info = {.size = sizeof info};
    OK(tn_device_query(GPU, 0, &info));
    return info.block_memory_optin_bytes;
}

static tn_status try_block_memory(void *function, int64_t bytes, tn_stream *stream, int64_t *sum)
{
    static const int64_t two = 2;
    tn_array *to = on_device(GPU, TN_I64, 1, &two);
    tn_launch_config config = config_of(function, stream);
    config.block_bytes = bytes;
    tn_arg args[] = {pointer_arg(to, TN_WRITE), value_arg(&bytes, sizeof bytes)};
    tn_status status = tn_launch(&config, 2, args);
    int64_t sums[2] = {-1, -1};
    if (status == TN_OK) {
        OK(tn_array_copy_to_host(to, sums, NULL, NULL));
        CHECK(sums[0] == sums[1]);
    }
    *sum = sums[0];
    OK(tn_array_release(to));
    return status;
}

static int dynamic_limit(void *function)
{
    int value = 0;
    CHECK(cu.cuFuncGetAttribute(&value, DYNAMIC, function) == 0);
    return value;
}

static void kn_8_block_memory(tn_stream *s)
{
    void *module = load(), *function = function_of(module, "launch_block_memory");
    int64_t sum = 0, most = (int64_t)block_limit();
    const int64_t sizes[] = {0, 1000, 40 << 10, 60 << 10, 50 << 10, 1, most};
    int limit = dynamic_limit(function);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t raised = calls("cuFuncSetAttribute");
        OK(try_block_memory(function, sizes[i], s, &sum));
        CHECK(sum == sizes[i]);
        int higher = sizes[i] > limit;
        limit = higher ? (int)sizes[i] : limit; /* raised where necessary, and never lowered */
        CHECK(dynamic_limit(function) == limit);
        CHECK(!simulated() || calls("cuFuncSetAttribute") == raised + (uint64_t)higher);
    }
    uint64_t launched = calls("cuLaunchKernel");
    CHECK(try_block_memory(function, most + 1, s, &sum) == TN_ERR_LIMIT);
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)most + 1);
    CHECK(says(text));
    snprintf(text, sizeof text, "%lld", (long long)most);
    CHECK(says(text) && says("launch_block_memory"));
    CHECK(try_block_memory(function, INT64_MAX, s, &sum) == TN_ERR_LIMIT);
    CHECK(try_block_memory(function, -1, s, &sum) == TN_ERR_INVALID && says("-1"));
    CHECK(!simulated() || calls("cuLaunchKernel") == launched);
    /* Another library lowers the limit again. */
    CHECK(cu.cuFuncSetAttribute(function, DYNAMIC, 1024) == 0);
    OK(try_block_memory(function, 60 << 10, s, &sum));
    CHECK(sum == 60 << 10);
    unload(module);
    if (simulated()) {
        /* Static memory counts: the text has it. */
        CHECK(sim.tenure_sim_set_kernel_attribute("launch_block_memory", 1, 4096) == 0);
        module = load(), function = function_of(module, "launch_block_memory");
        OK(try_block_memory(function, 44 << 10, s, &sum)); /* 48 KiB in all: nothing to raise */
        CHECK(dynamic_limit(function) == 44 << 10);
        OK(try_block_memory(function, (44 << 10) + 1, s, &sum));
        CHECK(dynamic_limit(function) == (44 << 10) + 1);
        OK(try_block_memory(function, most - 4096, s, &sum));
        CHECK(try_block_memory(function, most - 4095, s, &sum) == TN_ERR_LIMIT && says("4096"));
        unload(module);
        CHECK(sim.tenure_sim_set_kernel_attribute("launch_block_memory", 1, 0) == 0);
    }
}

static int sim_get(const char *name, uint64_t *value)
{
    int (*get)(const char *, uint64_t *) = NULL;
    *(void **)&get = dlsym(dlopen("libcuda.so.1", RTLD_NOW), "tenure_sim_get");
    return get(name, value);
}

static int sim_attribute(int device, int attribute, int value)
{
    int (*set)(int, int, int) = NULL;
    *(void **)&set = dlsym(dlopen("libcuda.so.1", RTLD_NOW), "tenure_sim_set_attribute");
    return set(device, attribute, value);
}

/* A kernel of a library (CUDA 12.0) is no CUfunction: launches take it, and what asks about functions refuses it. */
static void kn_8_kernels_of_libraries(tn_stream *s)
{
    int (*load_library)(void **, const void *, void *, void *, unsigned, void *, void *, unsigned) = NULL;
    int (*unload_library)(void *) = NULL, (*kernel_of)(void **, void *, const char *) = NULL;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *library = NULL, *change = NULL, *memory = NULL;
    *(void **)&load_library = dlsym(driver, "cuLibraryLoadData");
    *(void **)&unload_library = dlsym(driver, "cuLibraryUnload");
    *(void **)&kernel_of = dlsym(driver, "cuLibraryGetKernel");
    if (load_library == NULL || load_library(&library, kernels_image(), NULL, NULL, 0, NULL, NULL, 0) != 0)
        return;
    CHECK(kernel_of(&change, library, "launch_change") == 0 && kernel_of(&memory, library, "launch_block_memory") == 0);
    void *before = CHANGE;
    CHANGE = change;
    tn_array *x = count_up();
    for (int i = 0; i < 3; i++) /* also where the launch is known */
        add_one(x, s);
    CHECK(is_line(x, 1, 3));
    tn_launch_config config = config_of(change, s);
    tn_arg arg = pointer_arg(x, TN_READ | TN_WRITE);
    FAILS(tn_launch(&config, 1, &arg), TN_ERR_COUNT);
    CHECK(says("launch_change") && says("4 parameters"));
    int64_t sum = 0, most = (int64_t)block_limit();
    OK(try_block_memory(memory, most, s, &sum));
    CHECK(sum == most);
    CHECK(try_block_memory(memory, most + 1, s, &sum) == TN_ERR_LIMIT && says("launch_block_memory"));
    CHANGE = before;
    OK(tn_array_release(x));
    OK(tn_stream_synchronize(s));
    CHECK(unload_library(library) == 0);
}

/* Cooperative launches, clusters, and launches that overlap the one before. */
static void kn_9_attributes(tn_stream *s)
{
    enum { COOPERATIVE = 1 << 2, CLUSTER = 1 << 4, OVERLAP = 1 << 6 };
    tn_array *x = count_up();
    int64_t n = N;
    double factor = 1, value = 1;
    tn_arg args[] = {pointer_arg(x, TN_READ_WRITE), value_arg(&n, sizeof n), value_arg(&factor, sizeof factor), value_arg(&value, sizeof value)};
    const struct {
        uint32_t flags, cluster[3];
        uint64_t attributes;
    } launches[] = {
        {TN_LAUNCH_COOPERATIVE, {0, 0, 0}, COOPERATIVE},
        {TN_LAUNCH_OVERLAP, {0, 0, 0}, OVERLAP},
        {0, {2, 1, 1}, CLUSTER},
        {0, {2, 0, 0}, CLUSTER},
        {TN_LAUNCH_COOPERATIVE | TN_LAUNCH_OVERLAP, {2, 1, 1}, COOPERATIVE | OVERLAP | CLUSTER},
    };
    int ran = 0;
    for (size_t i = 0; simulated() && i < sizeof launches / sizeof *launches; i++) {
        tn_launch_config config = config_of(CHANGE, s);
        config.flags = launches[i].flags;
        memcpy(config.cluster, launches[i].cluster, sizeof config.cluster);
        for (int turn = 0; turn < 2; turn++, ran++) {
            uint64_t before = calls("cuLaunchKernelEx"), attributes = 0;
            OK(tn_launch(&config, 4, args));
            CHECK(calls("cuLaunchKernelEx") == before + 1);
            CHECK(sim_get("launch_attributes", &attributes) == 0 && attributes == launches[i].attributes);
        }
    }
    CHECK(is_line(x, 1, ran));
    tn_launch_config config = config_of(CHANGE, s);
    config.cluster[0] = 3; /* of a grid of 2 */
    FAILS(tn_launch(&config, 4, args), TN_ERR_INVALID);
    CHECK(says("cluster[0] = 3"));
    config = config_of(CHANGE, s);
    config.flags = 1u << 9;
    FAILS(tn_launch(&config, 4, args), TN_ERR_INVALID);
    if (simulated()) {
        config = config_of(CHANGE, s);
        config.flags = TN_LAUNCH_COOPERATIVE;
        config.grid[0] = 1 << 20; /* more blocks than the GPU runs at once */
        FAILS(tn_launch(&config, 4, args), TN_ERR_LIMIT);
        CHECK(says("720"));
        CHECK(sim_attribute(0, 95, 0) == 0);
        config.grid[0] = 2;
        FAILS(tn_launch(&config, 4, args), TN_ERR_UNSUPPORTED);
        CHECK(says("cooperative") && sim_attribute(0, 95, 1) == 0);
    }
    CHECK(is_line(x, 1, ran)); /* nothing was launched, and nothing stayed borrowed */
    OK(tn_array_release(x));
}

/* Launches with its own need of block memory, beside a thread that needs another size. */
struct need {
    void *function;
    int64_t bytes;
    pthread_barrier_t *start;
    int failures;
};

static void *launch_with_need(void *context)
{
    struct need *need = context;
    tn_stream *stream = new_stream();
    int64_t sum = 0;
    pthread_barrier_wait(need->start);
    for (int i = 0; i < 5; i++)
        need->failures += try_block_memory(need->function, need->bytes, stream, &sum) != TN_OK || sum != need->bytes;
    OK(tn_stream_release(stream));
    return NULL;
}

static void kn_8_two_threads(void)
{
    for (int round = 0; round < rounds(20); round++) {
        pthread_barrier_t start;
        pthread_t thread;
        void *module = load(), *function = function_of(module, "launch_block_memory");
        pthread_barrier_init(&start, NULL, 2);
        struct need a = {function, 60 << 10, &start, 0}, b = {function, 96 << 10, &start, 0};
        CHECK(pthread_create(&thread, NULL, launch_with_need, &a) == 0);
        launch_with_need(&b);
        CHECK(pthread_join(thread, NULL) == 0);
        pthread_barrier_destroy(&start);
        CHECK(a.failures == 0 && b.failures == 0 && dynamic_limit(function) == 96 << 10);
        unload(module);
    }
}

static tn_status try_shape(void *function, const uint32_t grid[3], const uint32_t block[3])
{
    tn_launch_config config = config_of(function, TN_STREAM_LEGACY);
    memcpy(config.grid, grid, sizeof config.grid);
    memcpy(config.block, block, sizeof config.block);
    return tn_launch(&config, 0, NULL);
}

#define TRIPLE(x, y, z) ((const uint32_t[3]){x, y, z})

static void kn_9_shapes(tn_stream *s)
{
    OK(try_shape(NOTHING, TRIPLE(3, 2, 1), TRIPLE(4, 2, 2)));
    for (int at = 0; at < 3; at++) {
        uint32_t sizes[3] = {1, 1, 1};
        sizes[at] = 0;
        CHECK(try_shape(NOTHING, sizes, TRIPLE(1, 1, 1)) == TN_ERR_INVALID && says("grid["));
        CHECK(try_shape(NOTHING, TRIPLE(1, 1, 1), sizes) == TN_ERR_INVALID && says("block["));
    }
    uint64_t launched = calls("cuLaunchKernel");
    CHECK(try_shape(NOTHING, TRIPLE(1u << 31, 1, 1), TRIPLE(1, 1, 1)) == TN_ERR_LIMIT && says("grid[0]"));
    CHECK(try_shape(NOTHING, TRIPLE(1, 65536, 1), TRIPLE(1, 1, 1)) == TN_ERR_LIMIT && says("65535"));
    CHECK(try_shape(NOTHING, TRIPLE(1, 1, 65536), TRIPLE(1, 1, 1)) == TN_ERR_LIMIT);
    CHECK(try_shape(NOTHING, TRIPLE(1, 1, 1), TRIPLE(1025, 1, 1)) == TN_ERR_LIMIT);
    CHECK(try_shape(NOTHING, TRIPLE(1, 1, 1), TRIPLE(1, 1, 65)) == TN_ERR_LIMIT && says("block[2]"));
    CHECK(try_shape(NOTHING, TRIPLE(1, 1, 1), TRIPLE(32, 32, 2)) == TN_ERR_LIMIT && says("2048"));
    CHECK(!simulated() || calls("cuLaunchKernel") == launched);
    if (simulated()) {
        CHECK(sim.tenure_sim_set_kernel_attribute("launch_nothing", 0, 256) == 0);
        CHECK(try_shape(NOTHING, TRIPLE(1, 1, 1), TRIPLE(257, 1, 1)) == TN_ERR_LIMIT && says("256"));
        OK(try_shape(NOTHING, TRIPLE(1, 1, 1), TRIPLE(256, 1, 1)));
        CHECK(sim.tenure_sim_set_kernel_attribute("launch_nothing", 0, 1024) == 0);
        OK(try_shape(NOTHING, TRIPLE(1, 1, 1), TRIPLE(1024, 1, 1)));
    }
    /* Conflicts come before limits. */
    tn_array *x = count_up();
    tn_borrow *guard = NULL;
    tn_launch_config config = config_of(CHANGE, s);
    double one = 1;
    tn_arg args[] = {pointer_arg(x, TN_READ_WRITE), value_arg(&LENGTH, 8), value_arg(&one, 8), value_arg(&one, 8)};
    config.block[2] = 65;
    FAILS(tn_launch(&config, 4, args), TN_ERR_LIMIT);
    CHECK(is_free(x, s));
    OK(tn_array_borrow_read(x, 0, s, NULL, NULL, &guard));
    FAILS(tn_launch(&config, 4, args), TN_ERR_BORROWED);
    OK(tn_borrow_end(guard, 0, s));
    OK(tn_array_release(x));
}

static void host_kernel(const tn_host_block *block, void *const *args)
{
    (void)block, (void)args;
}

static void kn_9_arguments(tn_stream *s)
{
    tn_array *x = count_up();
    double one = 1;
    tn_launch_config config = config_of(CHANGE, s), bad = config;
    tn_arg args[] = {pointer_arg(x, TN_READ_WRITE), value_arg(&LENGTH, 8), value_arg(&one, 8), value_arg(&one, 8), value_arg(&one, 8)};
    uint64_t launched = calls("cuLaunchKernel");
    FAILS(tn_launch(NULL, 4, args), TN_ERR_NULL);
    FAILS(tn_launch(&config, 4, NULL), TN_ERR_NULL);
    bad.function = NULL;
    FAILS(tn_launch(&bad, 4, args), TN_ERR_NULL);
    bad.function = CHANGE, bad.host_function = host_kernel;
    FAILS(tn_launch(&bad, 4, args), TN_ERR_INVALID);
    bad = config, bad.size = 8;
    FAILS(tn_launch(&bad, 4, args), TN_ERR_INVALID);
    bad = config, bad.stream = (tn_stream *)x;
    FAILS(tn_launch(&bad, 4, args), TN_ERR_KIND);
    FAILS(tn_launch(&config, 5, args), TN_ERR_COUNT);
    CHECK(says("5 arguments") && says("launch_change") && says("4 parameters"));
    FAILS(tn_launch(&config, 3, args), TN_ERR_COUNT);
    FAILS(tn_launch(&config, 0, NULL), TN_ERR_COUNT);
    args[1].bytes = 4;
    FAILS(tn_launch(&config, 4, args), TN_ERR_INVALID);
    CHECK(says("args[1]") && says("4 bytes") && says("has 8"));
    args[1].bytes = 8;
    args[0] = array_arg(x, TN_READ_WRITE, 1);
    FAILS(tn_launch(&config, 4, args), TN_ERR_INVALID);
    CHECK(says("args[0]") && says("24 bytes"));
    CHECK(!simulated() || calls("cuLaunchKernel") == launched);
    CHECK(is_free(x, s) && is_line(x, 1, 0));
    /* The driver gives the CUfunction of an unloaded module to another kernel: what was right before is asked again. */
    if (simulated()) {
        void *module = load(), *function = function_of(module, "launch_nothing");
        config = config_of(function, s);
        OK(tn_launch(&config, 0, NULL));
        unload(module);
        FAILS(tn_launch(&config, 0, NULL), TN_ERR_DRIVER);
    }
    OK(tn_array_release(x));
}

static void the_driver_refuses(tn_stream *s) /* KN-11: no borrow is left, and nothing is poisoned */
{
    tn_array *x = count_up(), *y = count_up();
    if (!simulated()) {
        drop_all(2, x, y);
        return;
    }
    SCALED(y, x, 1, 0, s);
    const unsigned codes[] = {2, 1, 701, 999, 400, 12345};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        CHECK(sim.tenure_sim_fail("cuLaunchKernel", 1, 2, codes[i]) == 0);
        tn_status status = try_scale(array_arg(y, TN_WRITE, 1), array_arg(x, TN_READ, 1), 3, 3, s);
        check_status(__FILE__, 4000 + (int)i, "tn_launch", status, codes[i] == 2 ? TN_ERR_NO_DEVICE_MEMORY : TN_ERR_DRIVER);
        CHECK(says("cuLaunchKernel"));
        CHECK(sim.tenure_sim_clear_faults() == 0);
        CHECK(is_free(x, s) && is_free(y, s) && is_line(y, 1, 0) && is_line(x, 1, 0));
    }
    /* No event can be recorded behind the kernel: it runs, and later uses still come after it. */
    CHECK(sim.tenure_sim_fail("cuEventRecord", 1, 1, 999) == 0);
    SCALED(y, x, 2, 1, s);
    CHECK(is_line(y, 2, 1));
    drop_all(2, x, y);
}

static void captures(tn_stream *s, tn_stream *t)
{
    tn_array *x = count_up(), *y = count_up();
    void *graph = NULL, *exec = NULL;
    uint64_t native = 0;
    OK(tn_stream_native(s, &native));
    void *stream = (void *)(uintptr_t)native;
    add_one(x, s); /* warms up, and leaves nothing unfinished */
    OK(tn_stream_synchronize(s));
    CHECK(cu.cuStreamBeginCapture_v2(stream, 0) == 0);
    OK(try_change(pointer_arg(x, TN_READ_WRITE), 2, 0, s));
    SCALED(y, x, 1, 1, s);
    /* Stream NULL would wait. */
    OK(tn_stream_set_current(GPU, s));
    tn_status status = try_change(pointer_arg(x, TN_READ_WRITE), 1, 0, NULL);
    check_status(__FILE__, __LINE__, "tn_launch", status, TN_ERR_UNSUPPORTED);
    OK(tn_stream_set_current(GPU, NULL));
    CHECK(cu.cuStreamEndCapture(stream, &graph) == 0);
    CHECK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(cu.cuGraphLaunch(exec, stream) == 0);
    OK(tn_stream_synchronize(s));
    CHECK(is_line(x, 8, 8) && is_line(y, 8, 9));
    /* A captured stream cannot wait for work outside of the capture, and the capture goes on. */
    int held = control("tenure_sim_hold", t);
    add_one(x, t);
    void *second = NULL;
    CHECK(cu.cuStreamBeginCapture_v2(stream, 0) == 0);
    if (held) {
        status = try_change(pointer_arg(x, TN_READ_WRITE), 1, 0, s);
        check_status(__FILE__, __LINE__, "tn_launch", status, TN_ERR_UNSUPPORTED);
        CHECK(control("tenure_sim_release", t));
    }
    OK(tn_stream_synchronize(t));
    add_one(x, s);
    CHECK(cu.cuStreamEndCapture(stream, &second) == 0);
    CHECK(cu.cuGraphExecDestroy(exec) == 0 && cu.cuGraphDestroy(graph) == 0 && cu.cuGraphDestroy(second) == 0);
    OK(tn_device_synchronize(GPU));
    CHECK(is_line(x, 8, 9));
    drop_all(2, x, y);
}

enum { RACES = 50 };

/* One of two threads that launch with overlapping arguments. */
struct racer {
    tn_array *x, *y;
    int done, wrong;
};

static void *race(void *context)
{
    struct racer *racer = context;
    tn_stream *stream = new_stream();
    while (racer->done < RACES && racer->wrong == 0) {
        tn_status status = try_scale(array_arg(racer->x, TN_READ_WRITE, 1),
                                     array_arg(racer->y, TN_READ | TN_ALLOW_ALIAS, 1), 1, 1, stream);
        racer->done += status == TN_OK;
        int is_conflict = status == TN_ERR_BORROWED || status == TN_ERR_BORROWED_WRITE;
        racer->wrong += status != TN_OK && !is_conflict;
        if (is_conflict)
            sched_yield();
    }
    OK(tn_stream_release(stream));
    return NULL;
}

static void two_threads_with_one_array(void) /* KN-10, KN-11 */
{
    /* x = x + 1 by each launch that succeeds: none of them may be lost, and no read may come between. */
    tn_array *x = count_up();
    struct racer a = {.x = x, .y = x}, b = a;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, race, &a) == 0);
    race(&b);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(a.wrong == 0 && b.wrong == 0 && is_line(x, 1, 2 * RACES));
    CHECK(is_free(x, TN_STREAM_LEGACY));
    OK(tn_array_release(x));
}

static void add_on_the_host(const tn_host_block *block, void *const *args)
{
    const view1 *view = args[0];
    ((double *)view->data)[block->index[0]] += 1;
}

/* Kernels of the host: of memory that devices use too, they use the host's address, and wait only where they are asked to. */
static void kn_12_kn_20_kernels_of_the_host(tn_stream *s)
{
    tn_array *x = count_up(), *kinds[] = {page_locked(0), page_locked(TN_HOST_MAPPED), on_device(MANAGED, TN_F64, 1, &LENGTH)};
    tn_launch_config config = {.size = sizeof config, .grid = {N, 1, 1}, .block = {1, 1, 1}, .host_function = add_on_the_host};
    tn_arg arg = array_arg(x, TN_READ_WRITE, 1);
    FAILS(tn_launch(&config, 1, &arg), TN_ERR_DEVICE);
    for (size_t i = 0; i < 3; i++) {
        arg = array_arg(kinds[i], TN_READ_WRITE, 1);
        config.stream = s;
        FAILS(tn_launch(&config, 1, &arg), TN_ERR_DEVICE);
        config.stream = i == 1 ? TN_STREAM_CURRENT : NULL;
        OK(tn_launch(&config, 1, &arg));
        int held = i > 0 && control("tenure_sim_hold", s);
        if (i > 0)
            SCALED(kinds[i], x, 1, 0, s);
        if (held) {
            FAILS(tn_launch(&config, 1, &arg), TN_ERR_PENDING);
            CHECK(control("tenure_sim_release", s));
        }
        arg.access |= TN_WAIT;
        OK(tn_launch(&config, 1, &arg));
        CHECK(is_line(kinds[i], i > 0, i > 0 ? 1 : 2));
    }
    drop_all(4, x, kinds[0], kinds[1], kinds[2]);
}

/* ---- mirrors ---- */

/* A mirror of N numbers, 0, 1, 2, .. at first. */
static tn_mirror *mirror_at(tn_side where)
{
    double values[N];
    tn_array *object = NULL;
    tn_mirror *mirror = NULL;
    for (int i = 0; i < N; i++)
        values[i] = i;
    OK(tn_array_zeros(NULL, TN_F64, 1, &LENGTH, NULL, &object));
    OK(tn_array_copy_from_host(object, values, NULL, 0, NULL));
    tn_mirror_options options = {.size = sizeof options, .object = object, .where = where};
    OK(tn_mirror_create(&options, &mirror, NULL));
    OK(tn_array_release(object));
    return mirror;
}

static tn_arg mirror_arg(tn_mirror *mirror, uint32_t access)
{
    return (tn_arg){.kind = TN_ARG_MIRROR, .access = access, .ndim = 1, .what = mirror};
}

static tn_mirror_info state(tn_mirror *mirror)
{
    tn_mirror_info info = {.size = sizeof info};
    OK(tn_mirror_query(mirror, &info));
    return info;
}

static int moved(tn_mirror *mirror, uint64_t to_device, uint64_t to_host)
{
    tn_mirror_info info = state(mirror);
    return info.transfers_to_device == to_device && info.transfers_to_host == to_host;
}

/* The host side is factor * i + value. */
static int host_is_line(tn_mirror *mirror, double factor, double value)
{
    double *data = NULL;
    tn_borrow *guard = NULL;
    int is = 1;
    OK(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, (void **)&data, NULL, &guard));
    for (int i = 0; i < N; i++)
        is &= data[i] == factor * i + value;
    OK(tn_borrow_end(guard, 0, NULL));
    return is;
}

static void mi_12_m18_mirrors(tn_stream *s)
{
    /* M18: k kernels in a row, and what moves. */
    tn_mirror *x = mirror_at(0), *y = mirror_at(TN_SIDE_DEVICE);
    CHECK(moved(y, 1, 0));
    for (int k = 0; k < 5; k++)
        OK(try_scale(mirror_arg(y, TN_WRITE), mirror_arg(x, TN_READ), 2, k, s));
    CHECK(moved(x, 1, 0) && moved(y, 1, 0) && state(y).valid == TN_SIDE_DEVICE);
    CHECK(state(x).valid == (TN_SIDE_HOST | TN_SIDE_DEVICE));
    CHECK(host_is_line(y, 2, 4) && moved(y, 1, 1));
    /* The access decides what moves: TN_READ_WRITE needs the contents. A mirror and an array in one launch. */
    tn_array *z = count_up();
    double *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_mirror_acquire(x, TN_SIDE_HOST, TN_READ_WRITE, NULL, (void **)&data, NULL, &guard));
    data[3] = 100;
    OK(tn_borrow_end(guard, 0, NULL));
    OK(try_scale(mirror_arg(x, TN_READ_WRITE), array_arg(z, TN_READ, 1), 3, 1, s));
    CHECK(moved(x, 2, 0));
    OK(tn_stream_synchronize(s));
    OK(try_scale(array_arg(z, TN_WRITE, 1), mirror_arg(x, TN_READ), 1, 0, NULL));
    CHECK(is_line(z, 3, 1) && moved(x, 2, 0));
    /* The host is touched only where somebody holds its side. */
    tn_array *held = NULL;
    OK(tn_mirror_get(x, TN_SIDE_HOST, &held));
    CHECK(moved(x, 2, 1));
    OK(try_change((tn_arg){.kind = TN_ARG_POINTER, .access = TN_READ_WRITE, .what = z}, 1, 0, s));
    OK(try_scale(mirror_arg(x, TN_WRITE), array_arg(z, TN_READ, 1), 1, 5, s));
    CHECK(moved(x, 2, 2) && is_line(held, 3, 6));
    OK(tn_array_release(held));
    /* While a launch with another stream is held back, its mirror is not used by anybody else: the order is the stream's. */
    OK(try_scale(mirror_arg(x, TN_WRITE), array_arg(z, TN_READ, 1), 1, 7, s));
    CHECK(host_is_line(x, 3, 8));
    OK(tn_array_release(z));
    OK(tn_mirror_release(x));
    OK(tn_mirror_release(y));
}

static void mi_12_refused(tn_stream *s) /* KN-11: one failing argument leaves no borrow, and nothing is launched */
{
    tn_mirror *x = mirror_at(TN_SIDE_DEVICE), *y = mirror_at(TN_SIDE_DEVICE);
    tn_array *z = count_up();
    tn_borrow *guard = NULL;
    uint64_t launched = calls("cuLaunchKernel");
    CHECK(try_scale(mirror_arg(x, TN_WRITE), mirror_arg(x, TN_READ), 1, 0, s) == TN_ERR_ALIASED && says("one mirror"));
    CHECK(try_scale(mirror_arg(x, TN_WRITE), mirror_arg(y, 0), 1, 0, s) == TN_ERR_INVALID && says("args[1]"));
    CHECK(try_scale(mirror_arg(x, TN_WRITE | TN_WRITE_COW), mirror_arg(y, TN_READ), 1, 0, s) == TN_ERR_INVALID);
    tn_arg wide = mirror_arg(y, TN_READ);
    wide.ndim = 2;
    CHECK(try_scale(mirror_arg(x, TN_WRITE), wide, 1, 0, s) == TN_ERR_INVALID && says("args[1]")); /* the kernel has one axis there */
    OK(tn_mirror_acquire(y, TN_SIDE_DEVICE, TN_READ, NULL, NULL, NULL, &guard));
    CHECK(try_scale(array_arg(z, TN_WRITE, 1), mirror_arg(y, TN_READ_WRITE), 1, 0, s) == TN_ERR_BORROWED && says("args[1]"));
    CHECK(try_scale(mirror_arg(x, TN_WRITE), mirror_arg(y, TN_READ_WRITE), 1, 0, s) == TN_ERR_BORROWED);
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(!simulated() || calls("cuLaunchKernel") == launched);
    CHECK(is_free(z, s) && host_is_line(x, 1, 0) && host_is_line(y, 1, 0));
    if (simulated()) {
        /* The driver refuses: contents and sides are as before, and the next launch works. */
        OK(tn_mirror_mark_changed(x, TN_SIDE_HOST));
        CHECK(sim.tenure_sim_fail("cuLaunchKernel", 1, 2, 701) == 0);
        CHECK(try_scale(mirror_arg(x, TN_READ_WRITE), mirror_arg(y, TN_READ), 2, 0, s) == TN_ERR_DRIVER);
        CHECK(sim.tenure_sim_clear_faults() == 0);
        CHECK(state(x).is_poisoned == 0 && host_is_line(x, 1, 0));
        CHECK(sim.tenure_sim_fail("cuLaunchKernel", 1, 2, 701) == 0);
        CHECK(try_scale(mirror_arg(x, TN_WRITE), mirror_arg(y, TN_READ), 2, 0, s) == TN_ERR_DRIVER);
        CHECK(sim.tenure_sim_clear_faults() == 0);
        CHECK(host_is_line(x, 1, 0));
    }
    OK(try_scale(mirror_arg(x, TN_WRITE), mirror_arg(y, TN_READ), 2, 0, s));
    CHECK(host_is_line(x, 2, 0));
    OK(tn_array_release(z));
    OK(tn_mirror_release(x));
    CHECK(try_scale(mirror_arg(x, TN_WRITE), mirror_arg(y, TN_READ), 2, 0, s) == TN_ERR_STALE && says("args[0]"));
    OK(tn_mirror_release(y));
}

static void without_a_driver(void)
{
    tn_array *x = zeros(NULL, TN_F64, SHAPE(4));
    tn_launch_config config = config_of(x, NULL);
    tn_arg arg = array_arg(x, TN_READ, 1);
    FAILS(tn_launch(&config, 1, &arg), TN_ERR_UNSUPPORTED);
    FAILS(tn_launch(&config, 0, NULL), TN_ERR_UNSUPPORTED);
    config.function = NULL;
    FAILS(tn_launch(&config, 1, &arg), TN_ERR_NULL);
    OK(tn_array_release(x));
}

int main(void)
{
    const char *wanted = getenv("TENURE_TEST_DEVICE");
    start_drivers();
    if (gpus() == 0) {
        CHECK(wanted == NULL);
        without_a_driver();
        return finish();
    }
    if (!load_kernels()) {
        printf("skipped: this driver does not compile PTX\n");
        return finish();
    }
    tn_stream *s = new_stream(), *t = new_stream();
    for (uint64_t seed = 1; seed <= (simulated() ? (uint64_t)rounds(40) : 1); seed++) {
        if (simulated())
            CHECK(sim.tenure_sim_set("seed", seed) == 0);
        kn_8_block_memory(s);
        kn_8_kernels_of_libraries(s);
        kn_9_shapes(s);
        kn_9_attributes(s);
        kn_9_arguments(s);
        kn_10_events();
        br_62_events();
        br_60_62_later_uses_come_after_a_guard_without_an_event(t);
        kn_10_later_uses_come_after_the_kernel(s, t);
        kn_10_handles_may_be_released(s);
        kn_10_kn_12_memory_that_the_host_shares(s);
        kn_10_access(s);
        kn_10_stream_null_waits();
        kn_10_streams_in_turns(s, t);
        kn_11_overlap(s);
        kn_11_all_or_nothing(s);
        kn_12_reach(s);
        kn_12_kn_20_kernels_of_the_host(s);
        kn_13_what_the_kernel_gets(s);
        kn_14_an_own_launcher(s, t);
        the_driver_refuses(s);
        mi_12_m18_mirrors(s);
        mi_12_refused(s);
        captures(s, t);
        two_threads_with_one_array();
        if (check_failures != 0) {
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
            break;
        }
    }
    kn_8_two_threads();
    OK(tn_stream_release(s));
    OK(tn_stream_release(t));
    return finish();
}
