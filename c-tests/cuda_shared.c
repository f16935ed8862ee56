/*
 * cuda_shared.c - shared variables on devices: every cell of the table of reading, values that enter on another device, and the order of
 * device work (SV-12, SV-18, SV-21..26, SV-32 and SV-34).
 *
 * Runs on the simulated driver or on a real one; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#include "helpers.h"

static const tn_device GPU = {TN_CUDA, 0}, PINNED = {TN_CUDA_HOST, 0}, MANAGED = {TN_CUDA_MANAGED, 0}, CPU = {TN_CPU, 0};

static int is_on(tn_array *array, tn_device device)
{
    tn_device at = info_of(array).device;
    return at.type == device.type && at.id == device.id;
}

/* The array has 0, 1, 2, .. plus `first`, wherever it is. */
static int counts(tn_array *array, int64_t first)
{
    tn_array *back = NULL;
    int64_t values[64];
    uint64_t n = info_of(array).count;
    OK(tn_array_wait(array, TN_READ));
    OK(tn_array_to_device(array, CPU, NULL, NULL, &back));
    OK(tn_array_copy_to_host(back, values, NULL, NULL));
    drop(back);
    for (uint64_t i = 0; i < n; i++)
        if (values[i] != first + (int64_t)i)
            return 0;
    return 1;
}

static tn_array *value_on(tn_device device)
{
    tn_array *host = numbers(NULL, SHAPE(2, 4)), *there = NULL;
    if (device.type == TN_CPU)
        return host;
    OK(tn_array_to_device(host, device, NULL, NULL, &there));
    drop(host);
    return there;
}

static tn_shared *variable(tn_device device, tn_device home)
{
    tn_array *value = value_on(home);
    tn_shared_options options = {.size = sizeof options, .device = device};
    tn_shared *shared = NULL;
    OK(tn_shared_create(value, 0, &options, &shared, NULL));
    drop(value);
    return shared;
}

/* SV-21 to SV-26: the table of reading. 'a' is an alias, 'c' a copy that was requested, 'd' a copy because of the device, 'w' WOULD_COPY. */
static void table_of_reading(void)
{
    static const uint32_t columns[6] = {0, TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_RAW | TN_BORROW, TN_RAW | TN_REQUIRE_BORROW};
    const struct {
        tn_device device, home;
        const char *expected;
    } rows[] = {
        {CPU, CPU, "caacaa"},    {GPU, CPU, "cdwcaa"},     {GPU, GPU, "caacaa"},
        {PINNED, CPU, "caacaa"}, {MANAGED, CPU, "caacaa"}, {CPU, GPU, "cdwcaa"},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        tn_shared *shared = variable(rows[row].device, rows[row].home);
        for (int column = 0; column < 6; column++) {
            int failures = check_failures;
            char expected = rows[row].expected[column];
            tn_array *value = UNTOUCHED;
            tn_crossing how = {77, 77};
            tn_status status = tn_shared_get(shared, columns[column], &value, &how);
            CHECK(status == (expected == 'w' ? TN_ERR_WOULD_COPY : TN_OK));
            if (status == TN_OK) {
                int alias = expected == 'a', stays = alias || (columns[column] & TN_RAW);
                CHECK(how.how == (alias ? TN_ALIASED : TN_COPIED) && how.why == (expected == 'd' ? TN_WHY_DEVICE : 0));
                CHECK(is_on(value, stays ? rows[row].device : rows[row].home) && counts(value, 0));
                CHECK(try_write(value, 0) == (alias ? TN_ERR_SHARED : TN_OK));
                drop(value);
            } else {
                CHECK(value == UNTOUCHED && how.how == 77);
            }
            if (check_failures > failures)
                fprintf(stderr, "    row %zu, column %d: %s\n", row, column, tn_last_error());
        }
        OK(tn_shared_release(shared));
    }
}

static void another_device(void) /* SV-12 */
{
    tn_array *host = numbers(NULL, SHAPE(2, 4));
    tn_shared_options options = {.size = sizeof options, .device = GPU};
    tn_shared *shared = UNTOUCHED;
    tn_crossing how = {77, 77};
    FAILS(tn_shared_create(host, TN_REQUIRE_BORROW, &options, &shared, &how), TN_ERR_WOULD_COPY);
    FAILS(tn_shared_create(host, TN_STRICT, &options, &shared, &how), TN_ERR_DEVICE);
    CHECK(shared == UNTOUCHED && how.how == 77);
    OK(tn_shared_create(host, TN_BORROW, &options, &shared, &how));
    CHECK(how.how == TN_COPIED && how.why == TN_WHY_DEVICE);
    tn_shared_info info = {.size = sizeof info};
    OK(tn_shared_query(shared, &info));
    CHECK(info.device.type == TN_CUDA && info.home.type == TN_CPU);
    tn_array *taken = numbers(NULL, SHAPE(2, 4));
    OK(tn_shared_set(shared, taken, TN_TAKE_OWNERSHIP, &how));
    CHECK(how.why == TN_WHY_DEVICE && state_of(taken) == TN_ERR_DESTRUCTED);
    drop(taken);
    drop(host);
    OK(tn_shared_release(shared));
}

/* SV-18, SV-32: a kernel's work on the value comes before the copy, which goes into the present buffer. */
static void ordered(void)
{
    tn_stream *stream = NULL;
    OK(tn_stream_create(GPU, 0, 0, &stream));
    tn_shared *shared = variable(GPU, CPU);
    tn_array *before = NULL, *after = NULL, *host = numbers(NULL, SHAPE(2, 4)), *there = NULL;
    OK(tn_shared_get(shared, TN_RAW | TN_BORROW, &before, NULL));
    void *bytes = NULL;
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(before, 0, stream, NULL, &view, &guard));
    bytes = view.data;
    OK(tn_borrow_end(guard, 0, stream));
    drop(before);
    OK(tn_array_to_device(host, GPU, NULL, stream, &there)); /* unfinished when it is stored */
    OK(tn_shared_set(shared, there, 0, NULL));
    OK(tn_shared_get(shared, TN_RAW | TN_BORROW, &after, NULL));
    OK(tn_array_borrow_read(after, 0, stream, NULL, &view, &guard));
    CHECK(view.data == bytes);
    OK(tn_borrow_end(guard, 0, stream));
    CHECK(counts(after, 0));
    int64_t five = 5;
    OK(tn_array_fill(there, &five, 0, stream)); /* the value was read before */
    OK(tn_shared_set(shared, there, 0, NULL));
    CHECK(counts(after, 0)); /* SV-4 on a device: the holder keeps the old value */
    tn_array *now = NULL;
    OK(tn_shared_get(shared, 0, &now, NULL));
    int64_t values[8];
    OK(tn_array_copy_to_host(now, values, NULL, NULL));
    for (int i = 0; i < 8; i++)
        CHECK(values[i] == 5);
    drop(now);
    drop(after);
    drop(there);
    drop(host);
    OK(tn_shared_release(shared));
    OK(tn_stream_release(stream));
}

static tn_status fill_seven(void *stream, tn_array *value)
{
    int64_t seven = 7;
    return tn_array_fill(value, &seven, TN_WRITE_UNIQUE, stream);
}

static void updated_by_a_device(void) /* SV-34, with work that goes on after the callback */
{
    tn_stream *stream = NULL;
    OK(tn_stream_create(GPU, 0, 0, &stream));
    for (int in_place = 0; in_place < 2; in_place++) {
        tn_shared *shared = variable(GPU, GPU);
        tn_crossing how;
        OK(tn_shared_update(shared, in_place ? TN_MAY_OVERWRITE : 0, fill_seven, stream, &how));
        CHECK(how.how == (in_place ? TN_ALIASED : TN_COPIED));
        tn_array *value = NULL;
        OK(tn_shared_get(shared, TN_BORROW, &value, NULL));
        OK(tn_shared_release(shared));
        int64_t values[8];
        OK(tn_array_copy_to_host(value, values, NULL, NULL));
        CHECK(values[0] == 7 && values[7] == 7);
        drop(value);
    }
    OK(tn_stream_release(stream));
}

static void without_driver(void)
{
    tn_array *value = numbers(NULL, SHAPE(2, 4));
    tn_shared_options options = {.size = sizeof options, .device = GPU};
    tn_shared *shared = UNTOUCHED;
    FAILS(tn_shared_create(value, 0, &options, &shared, NULL), TN_ERR_UNSUPPORTED);
    CHECK(shared == UNTOUCHED);
    drop(value);
}

int main(void)
{
    if (gpus() == 0) {
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        without_driver();
        return finish();
    }
    table_of_reading();
    another_device();
    ordered();
    updated_by_a_device();
    return finish();
}
