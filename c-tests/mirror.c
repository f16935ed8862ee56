/*
 * mirror.c - mirrors without a GPU: the host side of every mirror works, and everything about the device side says why it does not (MI-11).
 * Creation, arguments and misuse (MI-1, MI-13) are the same on every machine.
 */
#include "helpers.h"

static tn_mirror *mirror_with(tn_array *object, uint32_t flags)
{
    tn_mirror_options options = {.size = sizeof options, .object = object, .borrow_flags = flags};
    tn_mirror *mirror = NULL;
    tn_crossing how = {77, 77};
    OK(tn_mirror_create(&options, &mirror, &how));
    CHECK(how.how == (flags ? TN_ALIASED : TN_COPIED) && how.why == 0);
    return mirror;
}

static tn_mirror_info state(tn_mirror *mirror)
{
    tn_mirror_info info = {.size = sizeof info};
    OK(tn_mirror_query(mirror, &info));
    return info;
}

static void host_only(void) /* MI-11 */
{
    const tn_status device = for_gpu(0);
    tn_array *object = numbers(NULL, SHAPE(2, 3)), *array = UNTOUCHED;
    const void *bytes = address(object);
    for (uint32_t flags = 0; flags <= TN_BORROW; flags += TN_BORROW) {
        tn_mirror *mirror = mirror_with(object, flags);
        int64_t *data = NULL;
        tn_borrow *guard = NULL;
        for (int i = 0; i < 2; i++) {
            OK(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ_WRITE, NULL, (void **)&data, NULL, &guard));
            CHECK(data[5] == 5 + i && (data == bytes) == (flags != 0));
            data[5]++;
            end(guard);
        }
        OK(tn_mirror_get(mirror, TN_SIDE_HOST, &array));
        CHECK(HOLDS(array, 0, 1, 2, 3, 4, 7));
        drop(array);
        tn_mirror_info info = state(mirror);
        CHECK(info.valid == TN_SIDE_HOST && info.allocated == TN_SIDE_HOST && info.transfers_to_device + info.transfers_to_host == 0);
        if (device != TN_OK) {
            array = UNTOUCHED;
            guard = UNTOUCHED;
            FAILS(tn_mirror_acquire(mirror, TN_SIDE_DEVICE, TN_READ, NULL, NULL, NULL, &guard), device);
            FAILS(tn_mirror_acquire(mirror, TN_SIDE_DEVICE, TN_WRITE, NULL, NULL, NULL, &guard), device);
            FAILS(tn_mirror_get(mirror, TN_SIDE_DEVICE, &array), device);
            FAILS(tn_mirror_mark_changed(mirror, TN_SIDE_DEVICE), device);
            CHECK(array == UNTOUCHED && guard == UNTOUCHED && state(mirror).valid == TN_SIDE_HOST);
            tn_mirror_options there = {.size = sizeof there, .object = object, .where = TN_SIDE_DEVICE};
            tn_mirror *none = UNTOUCHED;
            FAILS(tn_mirror_create(&there, &none, NULL), device);
            CHECK(none == UNTOUCHED);
        }
        OK(tn_mirror_release(mirror));
    }
    drop(object);
}

static void arguments(void) /* MI-1 */
{
    tn_array *object = numbers(NULL, SHAPE(2, 3)), *array = UNTOUCHED;
    const int64_t shape[] = {2, 3}, other[] = {3, 2};
    tn_mirror *mirror = UNTOUCHED;
    tn_crossing how = {77, 77};
#define BAD(status, ...)                                                                                                    \
    do {                                                                                                                    \
        tn_mirror_options options = {.size = sizeof options, __VA_ARGS__};                                                  \
        FAILS(tn_mirror_create(&options, &mirror, &how), status);                                                           \
        CHECK(mirror == UNTOUCHED && how.how == 77);                                                                        \
    } while (0)
    FAILS(tn_mirror_create(NULL, &mirror, &how), TN_ERR_NULL);
    BAD(TN_ERR_NULL, .dtype = TN_F32, .ndim = 2);
    BAD(TN_ERR_NULL, .ndim = 0);
    CHECK(says("object and shape"));
    BAD(TN_ERR_SHAPE, .object = object, .ndim = 2, .shape = other);
    CHECK(says("(2, 3)") && says("(3, 2)"));
    BAD(TN_ERR_DTYPE, .object = object, .dtype = TN_F32);
    CHECK(says("float32") && says("int64"));
    BAD(TN_ERR_DTYPE, .ndim = 2, .shape = shape);
    BAD(TN_ERR_SHAPE, .dtype = TN_F32, .ndim = 2, .shape = (const int64_t[]){2, -1});
    BAD(TN_ERR_OVERFLOW, .dtype = TN_F64, .ndim = 2, .shape = (const int64_t[]){INT64_MAX, 2});
    BAD(TN_ERR_INVALID, .object = object, .where = 3);
    BAD(TN_ERR_INVALID, .object = object, .order = 17);
    BAD(TN_ERR_INVALID, .object = object, .reserved = 1);
    BAD(TN_ERR_INVALID, .object = object, .borrow_flags = TN_TAKE_OWNERSHIP);
    BAD(TN_ERR_INVALID, .object = object, .name = "\xff");
    BAD(TN_ERR_DEVICE, .object = object, .device = {TN_CUDA_HOST, 0});
    tn_array *whole = numbers(NULL, SHAPE(4)), *stretched = broadcast(whole, SHAPE(3, 4));
    BAD(TN_ERR_WOULD_COPY, .object = stretched, .borrow_flags = TN_REQUIRE_BORROW);
    drop(stretched);
    drop(whole);
    BAD(TN_ERR_STALE, .object = stretched);
    tn_mirror_options agreeing = {.size = sizeof agreeing, .object = object, .dtype = TN_I64, .ndim = 2, .shape = shape, .name = "m"};
    OK(tn_mirror_create(&agreeing, &mirror, &how));
    CHECK(strcmp(state(mirror).name, "m") == 0);

    tn_borrow *guard = UNTOUCHED;
    FAILS(tn_mirror_acquire(mirror, 0, TN_READ, NULL, NULL, NULL, &guard), TN_ERR_INVALID);
    CHECK(says("side 0"));
    FAILS(tn_mirror_acquire(mirror, TN_SIDE_HOST, 0, NULL, NULL, NULL, &guard), TN_ERR_INVALID);
    FAILS(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ | TN_WAIT, NULL, NULL, NULL, &guard), TN_ERR_INVALID);
    FAILS(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, NULL, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_mirror_acquire(NULL, TN_SIDE_HOST, TN_READ, NULL, NULL, NULL, &guard), TN_ERR_NULL);
    FAILS(tn_mirror_acquire((tn_mirror *)object, TN_SIDE_HOST, TN_READ, NULL, NULL, NULL, &guard), TN_ERR_KIND);
    FAILS(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ, (tn_stream *)object, NULL, NULL, &guard), TN_ERR_KIND);
    FAILS(tn_mirror_get(mirror, 3, &array), TN_ERR_INVALID);
    FAILS(tn_mirror_mark_changed(mirror, 3), TN_ERR_INVALID);
    tn_mirror_info info = {.size = 7};
    FAILS(tn_mirror_query(mirror, &info), TN_ERR_INVALID);
    FAILS(tn_mirror_query((tn_mirror *)object, &info), TN_ERR_KIND);
    CHECK(guard == UNTOUCHED && array == UNTOUCHED);
    OK(tn_mirror_release(mirror));
    FAILS(tn_mirror_release(mirror), TN_ERR_STALE);
    FAILS(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ, NULL, NULL, NULL, &guard), TN_ERR_STALE);
    FAILS(tn_mirror_get(mirror, TN_SIDE_HOST, &array), TN_ERR_STALE);
    FAILS(tn_mirror_mark_changed(mirror, TN_SIDE_HOST), TN_ERR_STALE);
    FAILS(tn_mirror_query(mirror, &info), TN_ERR_STALE);
    drop(object);
}

static void shapes(void) /* MI-1, MI-13 */
{
    const struct {
        int32_t ndim;
        int64_t shape[3];
        uint64_t bytes;
    } cases[] = {{0, {0}, 8}, {1, {5}, 40}, {3, {2, 3, 4}, 192}, {2, {0, 3}, 0}};
    tn_pool *pool = own_pool("mirrors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tn_mirror_options options = {.size = sizeof options, .dtype = TN_F64, .ndim = cases[i].ndim, .shape = cases[i].shape, .host_pool = pool};
        tn_mirror *mirror = NULL;
        OK(tn_mirror_create(&options, &mirror, NULL));
        tn_mirror_info info = state(mirror);
        CHECK(info.bytes == cases[i].bytes && info.ndim == cases[i].ndim && live_bytes(pool) == cases[i].bytes);
        CHECK(info.valid == (cases[i].bytes ? TN_SIDE_HOST : TN_SIDE_HOST | TN_SIDE_DEVICE) && info.allocated == TN_SIDE_HOST);
        tn_array *array = NULL;
        OK(tn_mirror_get(mirror, TN_SIDE_HOST, &array));
        OK(tn_mirror_mark_changed(mirror, TN_SIDE_HOST));
        drop(array);
        OK(tn_mirror_release(mirror));
        CHECK(live_bytes(pool) == 0);
    }
    OK(tn_pool_release(pool));
}

static void adopted_handles(void) /* MI-1: an adopted object stays where it is, and its other handles hold the side. */
{
    tn_array *object = numbers(NULL, SHAPE(4));
    tn_mirror *mirror = mirror_with(object, TN_REQUIRE_BORROW);
    CHECK(state(mirror).held == TN_SIDE_HOST && count_holders(object, TN_HOLDER_MIRROR) == 1);
    CHECK(try_write(object, TN_WRITE_UNIQUE) == TN_ERR_SHARED && try_write(object, 0) == TN_OK);
    tn_borrow *guard = NULL;
    OK(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ_WRITE, NULL, NULL, NULL, &guard));
    CHECK(try_read(object, 0) == TN_ERR_BORROWED_WRITE);
    OK(tn_borrow_end(guard, TN_END_FAILED, NULL));
    CHECK(try_read(object, 0) == TN_ERR_POISONED && state(mirror).is_poisoned == 1);
    fill_i64(object, 3); /* a write of everything heals */
    CHECK(state(mirror).is_poisoned == 0);
    drop(object);
    CHECK(state(mirror).held == 0);
    OK(tn_mirror_release(mirror));
    /* The value of a shared variable is constant: the first write copies it. */
    object = numbers(NULL, SHAPE(2));
    tn_shared *shared = NULL;
    OK(tn_shared_create(object, TN_REQUIRE_BORROW, NULL, &shared, NULL));
    mirror = mirror_with(object, TN_REQUIRE_BORROW);
    int64_t *data = NULL;
    OK(tn_mirror_acquire(mirror, TN_SIDE_HOST, TN_READ_WRITE, NULL, (void **)&data, NULL, &guard));
    CHECK(data != address(object) && data[1] == 1);
    data[1] = 9;
    end(guard);
    CHECK(HOLDS(object, 0, 1));
    OK(tn_mirror_release(mirror));
    OK(tn_shared_release(shared));
    drop(object);
}

static void leaks(void) /* a mirror that is not released is a leak with its name */
{
    tn_mirror_options options = {.size = sizeof options, .dtype = TN_F64, .ndim = 1, .shape = (const int64_t[]){4}, .name = "leaky"};
    tn_mirror *mirror = NULL;
    OK(tn_mirror_create(&options, &mirror, NULL));
    tn_holder found[16];
    size_t count = 0, mirrors = 0;
    OK(tn_leaks(sizeof *found, 16, found, &count));
    for (size_t i = 0; i < count; i++)
        mirrors += found[i].kind == TN_HOLDER_MIRROR && found[i].id == (uint64_t)(uintptr_t)mirror && !strcmp(found[i].name, "leaky");
    CHECK(mirrors == 1);
    OK(tn_mirror_release(mirror));
}

int main(void)
{
    host_only();
    arguments();
    shapes();
    adopted_handles();
    leaks();
    return finish();
}
