/*
 * cuda_mirror.c - mirrors: every row of the table of transfers (M1 to M17), with its contents, and the rules behind it (MI-1 to MI-10,
 * MI-13).
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _POSIX_C_SOURCE 200809L
#include "gpu.h"
#include "helpers.h"
#include <pthread.h>
#include <stdatomic.h>

/* ---- the driver, as a kernel uses it ---- */

static struct {
    int (*cuDevicePrimaryCtxRetain)(void **, int);
    int (*cuCtxSetCurrent)(void *);
    int (*cuCtxSynchronize)(void);
    int (*cuMemsetD32Async)(uint64_t, unsigned, size_t, void *);
    int (*cuMemcpyDtoHAsync_v2)(void *, uint64_t, size_t, void *);
    int (*cuStreamSynchronize)(void *);
} cu;

static void load_driver(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context = NULL;
    CHECK(driver != NULL);
#define LOAD(name) CHECK((*(void **)&cu.name = dlsym(driver, #name)) != NULL)
    LOAD(cuDevicePrimaryCtxRetain);
    LOAD(cuCtxSetCurrent);
    LOAD(cuCtxSynchronize);
    LOAD(cuMemsetD32Async);
    LOAD(cuMemcpyDtoHAsync_v2);
    LOAD(cuStreamSynchronize);
    CHECK(cu.cuDevicePrimaryCtxRetain(&context, 0) == 0 && cu.cuCtxSetCurrent(context) == 0);
}

static void *native(tn_stream *stream)
{
    uint64_t value = 0;
    if (stream != NULL)
        OK(tn_stream_native(stream, &value));
    return (void *)(uintptr_t)value;
}

/* ---- mirrors of COUNT equal numbers ---- */

enum { ROWS = 6, COLUMNS = 8, COUNT = ROWS * COLUMNS };

static tn_array *all(uint32_t value)
{
    tn_array *array = empty(NULL, TN_U32, SHAPE(ROWS, COLUMNS));
    OK(tn_array_fill(array, &value, 0, NULL));
    return array;
}

static tn_mirror *mirror_with(tn_array *object, uint32_t flags, tn_side where, tn_crossing expected)
{
    tn_mirror_options options = {.size = sizeof options, .object = object, .borrow_flags = flags, .where = where};
    tn_mirror *mirror = UNTOUCHED;
    tn_crossing how = {77, 77};
    OK(tn_mirror_create(&options, &mirror, &how));
    CHECK(how.how == expected.how && how.why == expected.why);
    return mirror;
}

/* A mirror with a copy of `value` everywhere. */
static tn_mirror *mirror_of(uint32_t value, tn_side where)
{
    tn_array *object = all(value);
    tn_mirror *mirror = mirror_with(object, 0, where, (tn_crossing){TN_COPIED, 0});
    drop(object);
    return mirror;
}

static tn_mirror *mirror_of_shape(tn_side where)
{
    tn_mirror_options options = {.size = sizeof options, .dtype = TN_U32, .ndim = 2, .shape = (int64_t[]){ROWS, COLUMNS}, .where = where};
    tn_mirror *mirror = UNTOUCHED;
    tn_crossing how = {77, 77};
    OK(tn_mirror_create(&options, &mirror, &how));
    CHECK(how.how == 0 && how.why == 0);
    return mirror;
}

static tn_mirror_info state(tn_mirror *mirror)
{
    tn_mirror_info info = {.size = sizeof info};
    OK(tn_mirror_query(mirror, &info));
    CHECK(info.valid != 0 && (info.bytes == 0 || (info.valid & ~info.allocated) == 0));
    CHECK(info.bytes_to_device == info.transfers_to_device * info.bytes && info.bytes_to_host == info.transfers_to_host * info.bytes);
    return info;
}

static tn_borrow *acquire(tn_mirror *mirror, tn_side side, tn_access access, tn_stream *stream, void **data)
{
    tn_borrow *guard = UNTOUCHED;
    OK(tn_mirror_acquire(mirror, side, access, stream, data, NULL, &guard));
    return guard;
}

static tn_status try_acquire(tn_mirror *mirror, tn_side side, tn_access access)
{
    tn_borrow *guard = UNTOUCHED;
    void *data = UNTOUCHED;
    tn_status status = tn_mirror_acquire(mirror, side, access, NULL, &data, NULL, &guard);
    if (status == TN_OK)
        OK(tn_borrow_end(guard, 0, NULL));
    else
        CHECK(guard == UNTOUCHED && data == UNTOUCHED);
    return status;
}

static tn_array *get(tn_mirror *mirror, tn_side side)
{
    tn_array *array = UNTOUCHED;
    OK(tn_mirror_get(mirror, side, &array));
    return array;
}

static int all_are(const uint32_t *values, uint32_t value)
{
    for (int i = 0; i < COUNT; i++)
        if (values[i] != value)
            return fprintf(stderr, "    element %d is %u, not %u\n", i, values[i], value), 0;
    return 1;
}

/* The bytes of a dense side within a borrow on `stream`. */
static int side_is(tn_side side, const void *data, uint32_t value, tn_stream *stream)
{
    uint32_t values[COUNT];
    if (side == TN_SIDE_HOST)
        return all_are(data, value);
    CHECK(cu.cuMemcpyDtoHAsync_v2(values, (uintptr_t)data, sizeof values, native(stream)) == 0);
    CHECK(cu.cuStreamSynchronize(native(stream)) == 0);
    return all_are(values, value);
}

/* Writes a dense side within a borrow on `stream`, as a kernel does: the work may still run when this returns. */
static void write_side(tn_side side, void *data, uint32_t value, tn_stream *stream)
{
    if (side == TN_SIDE_DEVICE) {
        CHECK(cu.cuMemsetD32Async((uintptr_t)data, value, COUNT, native(stream)) == 0);
        if (stream == NULL)
            CHECK(cu.cuStreamSynchronize(NULL) == 0);
        return;
    }
    for (int i = 0; i < COUNT; i++)
        ((uint32_t *)data)[i] = value;
}

static int array_is(tn_array *array, uint32_t value)
{
    uint32_t values[COUNT];
    OK(tn_array_copy_to_host(array, values, NULL, NULL));
    return all_are(values, value);
}

/* ---- the table of transfers (MI-2, MI-4, MI-5, MI-6) ---- */

struct play {
    tn_mirror *mirror;
    tn_array *a, *b;         /* the handles of "a = get host" and "b = get dev" */
    tn_borrow *exported;
    tn_stream *stream;       /* of borrows on the device */
    uint32_t value, written; /* the contents, and the last value that was written */
    int is_defined;
};

static const struct {
    const char *word;
    tn_access access;
} ACCESSES[] = {{"r", TN_READ}, {"rw", TN_READ_WRITE}, {"w", TN_WRITE}};

static void borrow_step(struct play *play, tn_side side, const char *word, int fails)
{
    tn_access access = 0;
    for (size_t i = 0; i < 3; i++)
        if (strcmp(word, ACCESSES[i].word) == 0)
            access = ACCESSES[i].access;
    tn_stream *stream = side == TN_SIDE_DEVICE ? play->stream : NULL;
    void *data = NULL;
    tn_borrow *guard = acquire(play->mirror, side, access, stream, &data);
    if ((access & TN_READ) && play->is_defined)
        CHECK(side_is(side, data, play->value, stream));
    if (access & TN_WRITE) {
        write_side(side, data, ++play->written, stream);
        if (!fails)
            play->value = play->written, play->is_defined = 1;
    }
    OK(tn_borrow_end(guard, fails ? TN_END_FAILED : 0, stream));
}

static void write_through(struct play *play, tn_array *array)
{
    void *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(array, 0, NULL, &data, NULL, &guard));
    write_side(TN_SIDE_HOST, data, play->value = ++play->written, NULL);
    OK(tn_borrow_end(guard, 0, NULL));
}

static void take_step(struct play *play, const char *step)
{
    char side_word[8] = "", word[8] = "", rest[8] = "";
    sscanf(step, "%7s %7s %7s", side_word, word, rest);
    tn_side side = strcmp(side_word, "dev") == 0 ? TN_SIDE_DEVICE : TN_SIDE_HOST;
    if (strcmp(step, "a = get host") == 0)
        play->a = get(play->mirror, TN_SIDE_HOST);
    else if (strcmp(step, "b = get dev") == 0)
        play->b = get(play->mirror, TN_SIDE_DEVICE);
    else if (strcmp(step, "get host") == 0)
        drop(get(play->mirror, TN_SIDE_HOST));
    else if (strcmp(step, "release a") == 0)
        drop(play->a), play->a = NULL;
    else if (strcmp(step, "release b") == 0)
        drop(play->b), play->b = NULL;
    else if (strcmp(step, "export a") == 0)
        play->exported = exporting(play->a, XR);
    else if (strcmp(step, "end export") == 0)
        OK(tn_borrow_end(play->exported, 0, NULL)), play->exported = NULL;
    else if (strcmp(step, "write a") == 0)
        write_through(play, play->a);
    else if (strcmp(step, "mark host") == 0)
        OK(tn_mirror_mark_changed(play->mirror, TN_SIDE_HOST));
    else if (strcmp(step, "mark dev") == 0)
        OK(tn_mirror_mark_changed(play->mirror, TN_SIDE_DEVICE));
    else if (strcmp(step, "mark dev fails") == 0)
        FAILS(tn_mirror_mark_changed(play->mirror, TN_SIDE_DEVICE), TN_ERR_INVALID);
    else
        borrow_step(play, side, word, strcmp(rest, "failed") == 0);
}

struct step {
    const char *what, *transfers; /* h: host to device, d: device to host */
};

static void play_row(const char *row, tn_mirror *mirror, int is_defined, tn_stream *stream, const struct step *steps)
{
    struct play play = {.mirror = mirror, .stream = stream, .value = 1, .written = 1, .is_defined = is_defined};
    for (int i = 0; steps[i].what != NULL; i++) {
        int failures = check_failures;
        tn_mirror_info before = state(mirror);
        take_step(&play, steps[i].what);
        tn_mirror_info after = state(mirror);
        uint64_t h = 0, d = 0;
        for (const char *t = steps[i].transfers; *t; t++)
            *(*t == 'h' ? &h : &d) += 1;
        CHECK(after.transfers_to_device - before.transfers_to_device == h && after.transfers_to_host - before.transfers_to_host == d);
        CHECK((after.held & TN_SIDE_HOST) == (play.a != NULL || play.exported != NULL ? TN_SIDE_HOST : 0));
        /* Whoever holds a side sees the present contents. */
        if (play.a != NULL && play.is_defined)
            CHECK(array_is(play.a, play.value));
        if (play.b != NULL && play.is_defined)
            CHECK(array_is(play.b, play.value));
        if (check_failures > failures)
            fprintf(stderr, "    %s, step %d: %s; transfers h %d, d %d\n", row, i + 1, steps[i].what,
                    (int)(after.transfers_to_device - before.transfers_to_device), (int)(after.transfers_to_host - before.transfers_to_host));
    }
    if (play.a != NULL)
        drop(play.a);
    if (play.b != NULL)
        drop(play.b);
    OK(tn_mirror_release(mirror));
}

#define STEPS(...) ((const struct step[]){__VA_ARGS__, {NULL, NULL}})

/* M1 to M17. */
static void table_of_transfers(tn_stream *stream)
{
    const tn_side device = TN_SIDE_DEVICE;
#define ROW(name, ...) play_row(name, mirror_of(1, 0), 1, stream, STEPS(__VA_ARGS__))
    ROW("M1", {"dev r", "h"}, {"dev r", ""}, {"host r", ""});
    ROW("M2", {"dev rw", "h"}, {"dev rw", ""}, {"dev rw", ""}, {"dev rw", ""}, {"dev rw", ""}, {"dev rw", ""}, {"dev rw", ""},
        {"dev rw", ""}, {"dev rw", ""}, {"dev rw", ""}, {"host r", "d"});
    play_row("M3", mirror_of_shape(device), 0, stream, STEPS({"dev w", ""}, {"get host", "d"}));
    ROW("M4", {"dev w", ""}, {"host r", "d"}, {"dev r", ""});
    ROW("M5", {"a = get host", ""}, {"dev rw", "hd"}, {"dev rw", "d"}, {"release a", ""}, {"dev rw", ""}, {"host r", "d"});
    ROW("M6", {"a = get host", ""}, {"export a", ""}, {"dev rw", "hd"}, {"dev rw", "d"}, {"release a", ""}, {"dev rw", "d"}, {"host r", ""},
        {"end export", ""});
    ROW("M7", {"host rw", ""}, {"host rw", ""});
    ROW("M8", {"b = get dev", "h"}, {"host rw", "h"}, {"host rw", "h"}, {"release b", ""}, {"host rw", ""}, {"dev r", "h"});
    ROW("M9", {"a = get host", ""}, {"b = get dev", "h"}, {"dev rw", "d"}, {"host rw", "h"});
    ROW("M10", {"mark host", ""}, {"dev r", "h"}, {"mark host", ""}, {"mark host", ""}, {"dev r", "h"});
    ROW("M11", {"dev r", "h"}, {"mark dev", ""}, {"host r", "d"});
    ROW("M12", {"mark dev fails", ""});
    ROW("M13", {"dev rw failed", "h"}, {"host r", ""}, {"dev r", "h"});
    tn_mirror *at_device = mirror_of(1, device);
    CHECK(state(at_device).transfers_to_device == 1 && state(at_device).allocated == TN_SIDE_DEVICE);
    play_row("M14", at_device, 1, stream, STEPS({"host r", "d"}, {"dev r", ""}));
    ROW("M15", {"dev w", ""}, {"dev rw", ""}, {"host w", ""}, {"dev r", "h"});
    ROW("M16", {"dev rw", "h"}, {"host rw", "d"}, {"dev rw", "h"}, {"host rw", "d"}, {"dev rw", "h"}, {"host rw", "d"});
    ROW("M17", {"a = get host", ""}, {"dev r", "h"}, {"write a", ""}, {"dev r", "h"}, {"dev r", ""});
}

/* ---- the order of device work ---- */

/* MI-2: a device borrow is ordered on its stream, and the host waits for nothing; a host borrow waits for its transfer. */
static void ordered(void)
{
    tn_stream *busy = new_stream();
    tn_mirror *mirror = mirror_of(1, 0);
    void *data = NULL;
    int held = control("tenure_sim_hold", busy);
    tn_borrow *guard = acquire(mirror, TN_SIDE_DEVICE, TN_READ_WRITE, busy, &data);
    write_side(TN_SIDE_DEVICE, data, 2, busy);
    OK(tn_borrow_end(guard, 0, busy));
    if (held)
        CHECK(control("tenure_sim_release", busy));
    OK(tn_borrow_end(acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data), 0, NULL));
    CHECK(side_is(TN_SIDE_HOST, data, 2, NULL));
    /* A kernel still reads the device side, which somebody holds, while the host writes the other one: the refresh comes after the kernel. */
    tn_array *kept = get(mirror, TN_SIDE_DEVICE);
    tn_pool *pinned = NULL;
    OK(tn_pool_default(PINNED, &pinned));
    tn_array *seen = empty(pinned, TN_U32, SHAPE(COUNT));
    held = control("tenure_sim_hold", busy);
    guard = acquire(mirror, TN_SIDE_DEVICE, TN_READ, busy, &data);
    CHECK(cu.cuMemcpyDtoHAsync_v2(address(seen), (uintptr_t)data, 4 * COUNT, native(busy)) == 0);
    OK(tn_borrow_end(guard, 0, busy));
    guard = acquire(mirror, TN_SIDE_HOST, TN_READ_WRITE, NULL, &data);
    write_side(TN_SIDE_HOST, data, 3, NULL);
    OK(tn_borrow_end(guard, 0, NULL));
    if (held)
        CHECK(control("tenure_sim_release", busy));
    OK(tn_device_synchronize(GPU));
    CHECK(all_are(address(seen), 2) && array_is(kept, 3));
    drop(seen);
    OK(tn_pool_release(pinned));
    drop(kept);
    OK(tn_mirror_release(mirror));
    OK(tn_stream_release(busy));
}

/* As above, with a page-locked host side, from which the device reads on its own: a later write of the host waits for it. */
static void page_locked(void)
{
    tn_pool *pool = NULL;
    tn_array *object = all(1);
    OK(tn_pool_default(PINNED, &pool));
    tn_mirror_options options = {.size = sizeof options, .object = object, .host_pool = pool};
    tn_mirror *mirror = NULL;
    OK(tn_mirror_create(&options, &mirror, NULL));
    tn_stream *stream = new_stream();
    tn_array *kept = get(mirror, TN_SIDE_DEVICE);
    void *data = NULL;
    for (uint32_t value = 2; value < 12; value++) {
        tn_side side = value % 3 ? TN_SIDE_HOST : TN_SIDE_DEVICE;
        tn_stream *used = side == TN_SIDE_HOST ? NULL : stream;
        tn_borrow *guard = acquire(mirror, side, TN_READ_WRITE, used, &data);
        write_side(side, data, value, used);
        OK(tn_borrow_end(guard, 0, used));
        guard = acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data); /* beside the copy that may still read these bytes */
        CHECK(side_is(TN_SIDE_HOST, data, value, NULL));
        OK(tn_borrow_end(guard, 0, NULL));
        if (value % 2) {
            OK(tn_array_wait(kept, TN_READ));
            CHECK(array_is(kept, value));
        }
    }
    /* While the refresh of the device side still reads the host side, that may be read and not written. */
    tn_stream_scope *scope = NULL;
    OK(tn_stream_enter(GPU, stream, 0, &scope));
    tn_array *host = get(mirror, TN_SIDE_HOST);
    OK(tn_device_synchronize(GPU));
    int held = control("tenure_sim_hold", stream);
    tn_borrow *guard = acquire(mirror, TN_SIDE_HOST, TN_READ_WRITE, NULL, &data);
    write_side(TN_SIDE_HOST, data, 20, NULL);
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(try_read(host, 0) == TN_OK);
    if (held)
        CHECK(try_write(host, 0) == TN_ERR_PENDING && control("tenure_sim_release", stream));
    OK(tn_stream_leave(scope));
    OK(tn_device_synchronize(GPU));
    CHECK(array_is(kept, 20));
    drop(host);
    drop(kept);
    drop(object);
    OK(tn_mirror_release(mirror));
    OK(tn_stream_release(stream));
    OK(tn_pool_release(pool));
}

/* ---- creation ---- */

static const tn_crossing COPIED = {TN_COPIED, 0}, ALIASED = {TN_ALIASED, 0};

static void from_objects(void) /* MI-1 */
{
    const uint32_t both = TN_SIDE_HOST | TN_SIDE_DEVICE;
    tn_array *host = all(5), *device = NULL;
    OK(tn_array_to_device(host, GPU, NULL, NULL, &device));
    const struct {
        tn_array *object;
        uint32_t flags;
        tn_side where;
        uint32_t valid, allocated;
        int h, d;
    } rows[] = {
        {host, 0, 0, TN_SIDE_HOST, TN_SIDE_HOST, 0, 0},
        {host, 0, TN_SIDE_DEVICE, TN_SIDE_DEVICE, TN_SIDE_DEVICE, 1, 0},
        {host, TN_BORROW, 0, TN_SIDE_HOST, TN_SIDE_HOST, 0, 0},
        {host, TN_BORROW, TN_SIDE_DEVICE, both, both, 1, 0},
        {device, 0, 0, TN_SIDE_DEVICE, TN_SIDE_DEVICE, 0, 0},
        {device, 0, TN_SIDE_HOST, TN_SIDE_HOST, TN_SIDE_HOST, 0, 1},
        {device, TN_REQUIRE_BORROW, 0, TN_SIDE_DEVICE, TN_SIDE_DEVICE, 0, 0},
        {device, TN_REQUIRE_BORROW, TN_SIDE_HOST, both, both, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int failures = check_failures;
        tn_mirror *mirror = mirror_with(rows[i].object, rows[i].flags, rows[i].where, rows[i].flags ? ALIASED : COPIED);
        tn_mirror_info info = state(mirror);
        CHECK(info.valid == rows[i].valid && info.allocated == rows[i].allocated);
        CHECK(info.transfers_to_device == (uint64_t)rows[i].h && info.transfers_to_host == (uint64_t)rows[i].d);
        CHECK(info.dtype == TN_U32 && info.ndim == 2 && info.shape[0] == ROWS && info.shape[1] == COLUMNS && info.bytes == 4 * COUNT);
        CHECK(info.held == (rows[i].flags == 0 ? 0 : rows[i].object == host ? TN_SIDE_HOST : TN_SIDE_DEVICE));
        void *data = NULL;
        OK(tn_borrow_end(acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data), 0, NULL));
        CHECK(side_is(TN_SIDE_HOST, data, 5, NULL));
        OK(tn_borrow_end(acquire(mirror, TN_SIDE_DEVICE, TN_READ, NULL, &data), 0, NULL));
        CHECK(side_is(TN_SIDE_DEVICE, data, 5, NULL));
        OK(tn_mirror_release(mirror));
        if (check_failures > failures)
            fprintf(stderr, "    row %zu\n", i);
    }
    drop(device);
    drop(host);
}

static void refused_objects(void) /* MI-1 */
{
    tn_array *host = all(5), *device = NULL;
    OK(tn_array_to_device(host, GPU, NULL, NULL, &device));
    tn_mirror_options options = {.size = sizeof options, .object = device, .borrow_flags = TN_REQUIRE_BORROW, .device = {TN_CUDA, 1}};
    tn_mirror *mirror = UNTOUCHED;
    tn_crossing how = {77, 77};
    if (gpus() > 1) {
        FAILS(tn_mirror_create(&options, &mirror, &how), TN_ERR_WOULD_COPY);
        CHECK(says("another device") || says("DEVICE"));
        options.borrow_flags = TN_BORROW;
        OK(tn_mirror_create(&options, &mirror, &how));
        CHECK(how.how == TN_COPIED && how.why == TN_WHY_DEVICE && state(mirror).device.id == 1);
        OK(tn_mirror_release(mirror));
        mirror = UNTOUCHED;
    }
    tn_borrow *exported = exporting(host, XS);
    options = (tn_mirror_options){.size = sizeof options, .object = host, .borrow_flags = TN_REQUIRE_BORROW};
    FAILS(tn_mirror_create(&options, &mirror, NULL), TN_ERR_WOULD_COPY);
    options.borrow_flags = TN_BORROW;
    OK(tn_mirror_create(&options, &mirror, &how));
    CHECK(how.how == TN_COPIED && how.why == TN_WHY_EXPORTED);
    OK(tn_mirror_release(mirror));
    OK(tn_borrow_end(exported, 0, NULL));
    mirror = UNTOUCHED;
    options = (tn_mirror_options){.size = sizeof options, .object = host, .device = {TN_CPU, 0}};
    options.device.id = 1;
    FAILS(tn_mirror_create(&options, &mirror, NULL), TN_ERR_DEVICE);
    tn_pool *pool = own_pool("host");
    options = (tn_mirror_options){.size = sizeof options, .object = host, .device_pool = pool};
    FAILS(tn_mirror_create(&options, &mirror, NULL), TN_ERR_DEVICE);
    CHECK(mirror == UNTOUCHED && says("\"host\""));
    OK(tn_pool_release(pool));
    drop(device);
    drop(host);
}

static void adopted(void) /* MI-1, MI-3: a strided object stays strided, and its handle sees what the device writes. */
{
    tn_array *whole = numbers(NULL, SHAPE(8)), *object = part(whole, 0, 8, 2);
    tn_mirror *mirror = mirror_with(object, TN_BORROW, 0, ALIASED);
    void *data = NULL;
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data, &view, &guard));
    CHECK(data == address(whole) && view.strides[0] == 16);
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_mirror_acquire(mirror, TN_SIDE_DEVICE, TN_READ_WRITE, NULL, &data, &view, &guard));
    CHECK(view.strides[0] == 8 && view.device.type == TN_CUDA);
    CHECK(cu.cuMemsetD32Async((uintptr_t)data, 0, 8, NULL) == 0 && cu.cuStreamSynchronize(NULL) == 0);
    FAILS(tn_array_borrow_read(object, 0, NULL, NULL, NULL, &guard), TN_ERR_BORROWED_WRITE);
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(HOLDS(object, 0, 0, 0, 0) && HOLDS(whole, 0, 1, 0, 3, 0, 5, 0, 7) && state(mirror).held == TN_SIDE_HOST);
    drop(object);
    drop(whole);
    CHECK(state(mirror).held == 0);
    OK(tn_mirror_release(mirror));
}

/* MI-1: the first write of an object that may not be written copies it. A refresh replaces it, and its handle keeps the old bytes. */
static void read_only(int by_device)
{
    static const uint32_t values[COUNT] = {0};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_U32, .ndim = 2, .shape = (int64_t[]){ROWS, COLUMNS}};
    tn_array *object = NULL;
    OK(tn_array_import_host((void *)values, &layout, TN_BORROW | TN_IMPORT_READONLY, NULL, NULL, &object, NULL));
    tn_mirror *mirror = mirror_with(object, TN_REQUIRE_BORROW, 0, ALIASED);
    void *data = NULL;
    tn_borrow *guard = acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data);
    CHECK(data == (void *)values);
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_copies_forbid(1));
    CHECK(try_acquire(mirror, TN_SIDE_HOST, TN_READ_WRITE) == TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
    tn_side side = by_device ? TN_SIDE_DEVICE : TN_SIDE_HOST;
    guard = acquire(mirror, side, TN_READ_WRITE, NULL, &data);
    CHECK(data != (void *)values && side_is(side, data, 0, NULL));
    write_side(side, data, 3, NULL);
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(array_is(object, 0) && state(mirror).valid == side);
    guard = acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data);
    CHECK(data != (void *)values && side_is(TN_SIDE_HOST, data, 3, NULL));
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(array_is(object, 0) && values[0] == 0 && state(mirror).held == 0);
    OK(tn_mirror_release(mirror));
    drop(object);
}

static void orders_and_pools(void) /* MI-3 */
{
    tn_array *object = numbers_in(NULL, TN_ORDER_F, SHAPE(2, 3)), *there = NULL, *back = NULL;
    tn_pool *pool = own_pool("sides"), *gpu_pool = plain_gpu_pool();
    for (tn_order order = TN_ORDER_C; order <= TN_ORDER_A; order++) {
        tn_mirror_options options = {.size = sizeof options, .object = object, .order = order, .host_pool = pool, .device_pool = gpu_pool};
        tn_mirror *mirror = NULL;
        OK(tn_mirror_create(&options, &mirror, NULL));
        there = get(mirror, TN_SIDE_DEVICE);
        back = get(mirror, TN_SIDE_HOST);
        tn_array_flags wanted = order == TN_ORDER_C ? TN_C_CONTIGUOUS : TN_F_CONTIGUOUS;
        CHECK((info_of(there).flags & wanted) && (info_of(back).flags & wanted) && HOLDS(back, 0, 1, 2, 3, 4, 5));
        CHECK(live_bytes(pool) == 48 && live_bytes(gpu_pool) == 48);
        drop(there);
        drop(back);
        OK(tn_mirror_release(mirror));
        CHECK(live_bytes(pool) == 0);
    }
    drop(object);
    OK(tn_device_synchronize(GPU));
    OK(tn_pool_release(gpu_pool));
    OK(tn_pool_release(pool));
}

/* ---- conflicts ---- */

static void conflicts(void) /* MI-6, MI-8 */
{
    const tn_side host = TN_SIDE_HOST, device = TN_SIDE_DEVICE;
    for (tn_side side = host; side <= device; side++) {
        tn_side other = host + device - side;
        tn_mirror *mirror = mirror_of(1, 0);
        tn_array *near = get(mirror, side), *far = get(mirror, other);
        /* Readers on both sides at once. */
        tn_borrow *one = acquire(mirror, side, TN_READ, NULL, NULL), *two = acquire(mirror, other, TN_READ, NULL, NULL);
        CHECK(state(mirror).valid == (host | device));
        CHECK(try_acquire(mirror, side, TN_READ_WRITE) == TN_ERR_BORROWED && try_acquire(mirror, other, TN_WRITE) == TN_ERR_BORROWED);
        OK(tn_borrow_end(one, 0, NULL));
        CHECK(try_acquire(mirror, side, TN_WRITE) == TN_ERR_BORROWED);
        OK(tn_borrow_end(two, 0, NULL));
        /* A writer excludes everybody on both sides, also through other handles. */
        tn_borrow *writer = acquire(mirror, side, TN_READ_WRITE, NULL, NULL);
        tn_array *array = UNTOUCHED;
        for (tn_side asked = host; asked <= device; asked++) {
            CHECK(try_acquire(mirror, asked, TN_READ) == TN_ERR_BORROWED_WRITE && try_acquire(mirror, asked, TN_WRITE) == TN_ERR_BORROWED_WRITE);
            FAILS(tn_mirror_get(mirror, asked, &array), TN_ERR_BORROWED_WRITE);
            FAILS(tn_mirror_mark_changed(mirror, asked), TN_ERR_BORROWED_WRITE);
            CHECK(array == UNTOUCHED);
        }
        CHECK(try_read(near, 0) == TN_ERR_BORROWED_WRITE && try_read(far, 0) == TN_ERR_BORROWED_WRITE);
        OK(tn_borrow_end(writer, 0, NULL));
        FAILS(tn_borrow_end(writer, 0, NULL), TN_ERR_STALE);
        /* A guard through another handle. */
        OK(tn_device_synchronize(GPU));
        tn_borrow *reader = reading(far);
        CHECK(try_acquire(mirror, side, TN_READ_WRITE) == TN_ERR_BORROWED && try_acquire(mirror, side, TN_READ) == TN_OK);
        FAILS(tn_mirror_mark_changed(mirror, side), TN_ERR_BORROWED);
        OK(tn_borrow_end(reader, 0, NULL));
        tn_borrow *outside = writing(far, 0);
        CHECK(try_acquire(mirror, side, TN_READ) == TN_ERR_BORROWED_WRITE && try_acquire(mirror, other, TN_READ) == TN_ERR_BORROWED_WRITE);
        FAILS(tn_mirror_get(mirror, side, &array), TN_ERR_BORROWED_WRITE);
        OK(tn_borrow_end(outside, 0, NULL));
        drop(near);
        drop(far);
        OK(tn_mirror_release(mirror));
    }
}

static void exports(void) /* MI-6: read-only and shared exports hold a side; an exclusive one stands in the way. */
{
    tn_mirror *mirror = mirror_of(1, 0);
    tn_array *array = get(mirror, TN_SIDE_HOST);
    const uint32_t classes[] = {XR, XS};
    for (int i = 0; i < 2; i++) {
        tn_borrow *exported = exporting(array, classes[i]);
        void *data = NULL;
        tn_borrow *guard = acquire(mirror, TN_SIDE_DEVICE, TN_WRITE, NULL, &data);
        write_side(TN_SIDE_DEVICE, data, 20 + (uint32_t)i, NULL);
        OK(tn_borrow_end(guard, 0, NULL));
        CHECK(all_are(address(array), 20 + (uint32_t)i) && (state(mirror).held & TN_SIDE_HOST));
        OK(tn_borrow_end(acquire(mirror, TN_SIDE_HOST, TN_READ_WRITE, NULL, NULL), 0, NULL));
        OK(tn_borrow_end(exported, 0, NULL));
    }
    tn_borrow *exclusive = exporting(array, XW);
    CHECK(try_acquire(mirror, TN_SIDE_DEVICE, TN_WRITE) == TN_ERR_EXPORTED && try_acquire(mirror, TN_SIDE_HOST, TN_READ) == TN_ERR_EXPORTED);
    FAILS(tn_mirror_mark_changed(mirror, TN_SIDE_DEVICE), TN_ERR_EXPORTED);
    OK(tn_borrow_end(exclusive, 0, NULL));
    /* What a consumer writes through a shared view is not seen: its user says so (MI-7). */
    tn_borrow *shared = exporting(array, XS);
    CHECK(try_acquire(mirror, TN_SIDE_DEVICE, TN_READ) == TN_OK);
    write_side(TN_SIDE_HOST, address(array), 30, NULL);
    void *data = NULL;
    OK(tn_borrow_end(acquire(mirror, TN_SIDE_DEVICE, TN_READ, NULL, &data), 0, NULL));
    CHECK(side_is(TN_SIDE_DEVICE, data, 21, NULL));
    OK(tn_mirror_mark_changed(mirror, TN_SIDE_HOST));
    OK(tn_borrow_end(acquire(mirror, TN_SIDE_DEVICE, TN_READ, NULL, &data), 0, NULL));
    CHECK(side_is(TN_SIDE_DEVICE, data, 30, NULL));
    OK(tn_borrow_end(shared, 0, NULL));
    drop(array);
    OK(tn_mirror_release(mirror));
}

static void both_written(void) /* MI-7 */
{
    for (tn_side chosen = TN_SIDE_HOST; chosen <= TN_SIDE_DEVICE; chosen++) {
        tn_mirror *mirror = mirror_of(1, 0);
        tn_array *host = get(mirror, TN_SIDE_HOST), *device = get(mirror, TN_SIDE_DEVICE), *array = UNTOUCHED;
        uint32_t seven = 7, eight = 8;
        OK(tn_array_fill(host, &seven, 0, NULL));
        OK(tn_array_fill(device, &eight, 0, NULL));
        CHECK(try_acquire(mirror, TN_SIDE_HOST, TN_READ) == TN_ERR_ALIASED && try_acquire(mirror, TN_SIDE_DEVICE, TN_WRITE) == TN_ERR_ALIASED);
        FAILS(tn_mirror_get(mirror, TN_SIDE_DEVICE, &array), TN_ERR_ALIASED);
        CHECK(array_is(host, 7) && array_is(device, 8)); /* nothing is lost before */
        OK(tn_mirror_mark_changed(mirror, chosen));
        uint32_t kept = chosen == TN_SIDE_HOST ? 7 : 8;
        CHECK(array_is(host, kept) && array_is(device, kept) && try_acquire(mirror, TN_SIDE_HOST, TN_READ) == TN_OK);
        /* One side that was written refreshes the other at the next call. */
        OK(tn_array_fill(chosen == TN_SIDE_HOST ? device : host, &seven, 0, NULL));
        CHECK(try_acquire(mirror, chosen, TN_READ) == TN_OK && array_is(host, 7) && array_is(device, 7));
        drop(host);
        drop(device);
        OK(tn_mirror_release(mirror));
    }
}

/* ---- failures ---- */

static void failed_writers(void) /* MI-9 */
{
    void *data = NULL;
    /* No side has the contents of before. */
    tn_mirror *mirror = mirror_of(1, TN_SIDE_DEVICE);
    tn_borrow *guard = acquire(mirror, TN_SIDE_DEVICE, TN_READ_WRITE, NULL, &data);
    write_side(TN_SIDE_DEVICE, data, 2, NULL);
    OK(tn_borrow_end(guard, TN_END_FAILED, NULL));
    tn_array *array = UNTOUCHED;
    CHECK(state(mirror).is_poisoned == 1);
    for (tn_side side = TN_SIDE_HOST; side <= TN_SIDE_DEVICE; side++) {
        CHECK(try_acquire(mirror, side, TN_READ) == TN_ERR_POISONED && try_acquire(mirror, side, TN_READ_WRITE) == TN_ERR_POISONED);
        FAILS(tn_mirror_get(mirror, side, &array), TN_ERR_POISONED);
    }
    OK(tn_mirror_mark_changed(mirror, TN_SIDE_DEVICE)); /* accepts what the failed write left */
    CHECK(state(mirror).is_poisoned == 0);
    OK(tn_borrow_end(acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data), 0, NULL));
    CHECK(side_is(TN_SIDE_HOST, data, 2, NULL));
    OK(tn_mirror_release(mirror));

    mirror = mirror_of(1, TN_SIDE_DEVICE);
    OK(tn_borrow_end(acquire(mirror, TN_SIDE_DEVICE, TN_READ_WRITE, NULL, &data), TN_END_FAILED, NULL));
    guard = acquire(mirror, TN_SIDE_HOST, TN_WRITE, NULL, &data);
    write_side(TN_SIDE_HOST, data, 3, NULL);
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(state(mirror).is_poisoned == 0 && state(mirror).valid == TN_SIDE_HOST);
    OK(tn_borrow_end(acquire(mirror, TN_SIDE_DEVICE, TN_READ, NULL, &data), 0, NULL));
    CHECK(side_is(TN_SIDE_DEVICE, data, 3, NULL));

    /* A held side gets the contents of before back at once. */
    array = get(mirror, TN_SIDE_DEVICE);
    guard = acquire(mirror, TN_SIDE_DEVICE, TN_READ_WRITE, NULL, &data);
    write_side(TN_SIDE_DEVICE, data, 4, NULL);
    OK(tn_borrow_end(guard, TN_END_FAILED, NULL));
    CHECK(array_is(array, 3) && state(mirror).valid == (TN_SIDE_HOST | TN_SIDE_DEVICE));
    drop(array);
    OK(tn_mirror_release(mirror));
}

/* MI-9: whatever driver call fails, one side keeps the contents, and the next call succeeds. */
static void failing_transfers(tn_stream *stream)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    int (*fail)(const char *, uint64_t, uint64_t, unsigned) = NULL, (*clear)(void) = NULL;
    *(void **)&fail = dlsym(driver, "tenure_sim_fail");
    *(void **)&clear = dlsym(driver, "tenure_sim_clear_faults");
    if (fail == NULL)
        return;
    for (int access = 0; access < 3; access++) {
        for (uint64_t call = 1; call < 30; call++) {
            tn_mirror *mirror = mirror_of(9, access == 2 ? TN_SIDE_DEVICE : TN_SIDE_HOST);
            tn_side side = access == 2 ? TN_SIDE_HOST : TN_SIDE_DEVICE;
            tn_array *held = access == 1 ? get(mirror, TN_SIDE_HOST) : NULL;
            tn_stream *used = side == TN_SIDE_HOST ? NULL : stream;
            tn_borrow *guard = UNTOUCHED;
            void *data = NULL;
            CHECK(fail("*", call, 1, 999) == 0);
            tn_status status = tn_mirror_acquire(mirror, side, access == 1 ? TN_READ_WRITE : TN_READ, stream, &data, NULL, &guard);
            if (status == TN_OK && (status = tn_borrow_end(guard, 0, used)) != TN_OK) {
                CHECK(clear() == 0); /* the guard is still open, or it ended and the refresh of the other side failed */
                tn_status again = tn_borrow_end(guard, 0, used);
                CHECK(again == TN_OK || again == TN_ERR_STALE);
            }
            CHECK(clear() == 0);
            if (status != TN_OK && status != TN_ERR_DRIVER)
                FAILS(status, TN_ERR_DRIVER);
            CHECK(state(mirror).is_poisoned == 0);
            OK(tn_borrow_end(acquire(mirror, side, TN_READ, stream, &data), 0, used));
            CHECK(side_is(side, data, 9, used));
            if (held != NULL) {
                OK(tn_mirror_mark_changed(mirror, TN_SIDE_DEVICE));
                CHECK(array_is(held, 9));
                drop(held);
            }
            OK(tn_mirror_release(mirror));
        }
    }
}

static void released(void) /* MI-10 */
{
    tn_mirror *mirror = mirror_of(1, 0);
    tn_array *host = get(mirror, TN_SIDE_HOST);
    void *data = NULL;
    tn_borrow *guard = acquire(mirror, TN_SIDE_DEVICE, TN_READ_WRITE, NULL, &data);
    OK(tn_mirror_release(mirror));
    FAILS(tn_mirror_release(mirror), TN_ERR_STALE);
    write_side(TN_SIDE_DEVICE, data, 2, NULL); /* the borrow keeps its side */
    OK(tn_borrow_end(guard, 0, NULL));
    CHECK(array_is(host, 1)); /* the last contents that it saw */
    CHECK(try_write(host, TN_WRITE_UNIQUE) == TN_OK);
    drop(host);
    mirror = mirror_of(1, 0);
    guard = acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, &data);
    OK(tn_mirror_release(mirror));
    CHECK(side_is(TN_SIDE_HOST, data, 1, NULL));
    OK(tn_borrow_end(guard, 0, NULL));
}

static void nothing_to_move(void) /* MI-13 */
{
    tn_mirror_options options = {.size = sizeof options, .dtype = TN_F32, .ndim = 2, .shape = (int64_t[]){0, 3}};
    tn_mirror *mirror = NULL;
    OK(tn_mirror_create(&options, &mirror, NULL));
    for (int i = 0; i < 2; i++) {
        for (tn_side side = TN_SIDE_HOST; side <= TN_SIDE_DEVICE; side++) {
            tn_array *array = get(mirror, side);
            CHECK(info_of(array).count == 0);
            drop(array);
            OK(tn_borrow_end(acquire(mirror, side, TN_READ_WRITE, NULL, NULL), 0, NULL));
            OK(tn_mirror_mark_changed(mirror, side));
            tn_mirror_info info = state(mirror);
            CHECK(info.transfers_to_device == 0 && info.transfers_to_host == 0);
        }
    }
    CHECK(state(mirror).valid == (TN_SIDE_HOST | TN_SIDE_DEVICE));
    OK(tn_mirror_release(mirror));
}

static void held_by_the_mirror(void) /* the claims of a mirror in reports */
{
    tn_mirror *mirror = mirror_of(1, 0);
    tn_array *array = get(mirror, TN_SIDE_HOST);
    CHECK(count_holders(array, TN_HOLDER_MIRROR) == 1 && count_holders(array, TN_HOLDER_HANDLE) == 0);
    CHECK(try_write(array, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    OK(tn_mirror_release(mirror));
    CHECK(count_holders(array, TN_HOLDER_MIRROR) == 0 && try_write(array, TN_WRITE_UNIQUE) == TN_OK);
    drop(array);
}

/* ---- threads ---- */

static tn_mirror *raced;
static atomic_int winners, go;

static void *write_once(void *side)
{
    tn_borrow *guard = NULL;
    while (!atomic_load(&go))
        ;
    tn_status status = tn_mirror_acquire(raced, (tn_side)(uintptr_t)side, TN_READ_WRITE, NULL, NULL, NULL, &guard);
    CHECK(status == TN_OK || status == TN_ERR_BORROWED_WRITE || status == TN_ERR_BORROWED);
    if (status == TN_OK)
        atomic_fetch_add(&winners, 1);
    return guard;
}

static void *read_once(void *side)
{
    void *data = NULL;
    while (!atomic_load(&go))
        ;
    OK(tn_borrow_end(acquire(raced, (tn_side)(uintptr_t)side, TN_READ, NULL, &data), 0, NULL));
    return NULL;
}

static void races(void) /* MI-8: of two writers exactly one wins; readers that both need a transfer both get it. */
{
    for (int round = 0; round < rounds(50); round++) {
        pthread_t threads[2];
        void *guards[2];
        raced = mirror_of(1, 0);
        winners = go = 0;
        for (uintptr_t i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, write_once, (void *)(round % 2 ? TN_SIDE_DEVICE : i + 1)) == 0);
        go = 1;
        for (int i = 0; i < 2; i++)
            CHECK(pthread_join(threads[i], &guards[i]) == 0);
        CHECK(winners == 1);
        for (int i = 0; i < 2; i++)
            if (guards[i] != NULL)
                OK(tn_borrow_end(guards[i], 0, NULL));
        OK(tn_mirror_release(raced));
        raced = mirror_of(1, 0);
        go = 0;
        for (int i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, read_once, (void *)(uintptr_t)TN_SIDE_DEVICE) == 0);
        go = 1;
        for (int i = 0; i < 2; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(state(raced).transfers_to_device == 1);
        OK(tn_mirror_release(raced));
    }
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        return finish(); /* mirror.c has the statuses without a driver */
    }
    load_driver();
    tn_stream *stream = new_stream();
    table_of_transfers(NULL);
    table_of_transfers(stream);
    ordered();
    page_locked();
    from_objects();
    refused_objects();
    adopted();
    read_only(0);
    read_only(1);
    orders_and_pools();
    conflicts();
    exports();
    both_written();
    failed_writers();
    failing_transfers(NULL);
    failing_transfers(stream);
    released();
    nothing_to_move();
    held_by_the_mirror();
    races();
    OK(tn_stream_release(stream));
    OK(tn_device_synchronize(GPU));
    return finish();
}
