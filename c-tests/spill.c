/*
 * spill.c - pools that write unused arrays to files at their limit (SP-1 to SP-14).
 *
 * Each array is filled with a number of its own, by which the tests know that it came back whole. Pools are small: 8 arrays of 1 MiB are
 * in memory at most, except where a test says otherwise.
 */
#define _XOPEN_SOURCE 700
#include "helpers.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define COUNT (int64_t)(MIB / sizeof(int64_t))
#define LIMIT (8 * MIB)

static char folder[] = "/tmp/tenure-spill-XXXXXX";

static tn_spill_options to_folder(void)
{
    return (tn_spill_options){.size = sizeof(tn_spill_options), .folder = folder};
}

static tn_pool *spilling_pool(uint64_t limit)
{
    tn_pool *pool = limited_pool("spilling", limit);
    tn_spill_options options = to_folder();
    OK(tn_pool_set_spill(pool, &options));
    return pool;
}

/* 1 MiB of elements with this value. */
static tn_array *filled(tn_pool *pool, int64_t value)
{
    tn_array *array = empty(pool, TN_I64, SHAPE(COUNT));
    fill_i64(array, value);
    return array;
}

static int is_spilled(tn_array *array)
{
    return (info_of(array).flags & TN_SPILLED) != 0;
}

/* All elements are the value. Brings the array back. */
static int is_all(tn_array *array, int64_t value)
{
    const void *data = NULL;
    tn_borrow *guard = NULL;
    tn_status status = tn_array_borrow_read(array, 0, NULL, &data, NULL, &guard);
    CHECK(status == TN_OK);
    if (status != TN_OK)
        return 0;
    int64_t same = 0;
    for (int64_t i = 0; i < COUNT; i++)
        same += ((const int64_t *)data)[i] == value;
    end(guard);
    return same == COUNT;
}

/* Spills all that can be. Returns the bytes. */
static size_t spill_all(tn_pool *pool)
{
    size_t bytes = 77;
    OK(tn_pool_spill(pool, SIZE_MAX, &bytes));
    return bytes;
}

static int open_files(void)
{
    DIR *files = opendir("/proc/self/fd");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
        char path[300], target[300];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = 0;
        struct stat status;
        if (strncmp(target, folder, strlen(folder)) == 0 && fstat(atoi(entry->d_name), &status) == 0 && S_ISREG(status.st_mode)) {
            /* Nobody else finds or reads it. */
            CHECK(status.st_nlink == 0 && (status.st_mode & 0777) == 0600);
            count++;
        }
    }
    closedir(files);
    return count;
}

static uint64_t space_of_files(void)
{
    uint64_t bytes = 0;
    for (int fd = 0; fd < 256; fd++) {
        char path[64], target[300];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        struct stat status;
        if (length > 0 && strncmp(target, folder, strlen(folder)) == 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
            bytes += (uint64_t)status.st_blocks * 512;
    }
    return bytes;
}

/* SP-1 */
static void misuse(void)
{
    tn_pool *pool = limited_pool("plain", LIMIT);
    tn_spill_options options = to_folder();
    options.size = 0;
    FAILS(tn_pool_set_spill(pool, &options), TN_ERR_INVALID);
    options = to_folder();
    options.folder = NULL;
    FAILS(tn_pool_set_spill(pool, &options), TN_ERR_NULL);
    options.folder = "/tmp/tenure-no-such-folder";
    FAILS(tn_pool_set_spill(pool, &options), TN_ERR_IO);
    CHECK(says("/tmp/tenure-no-such-folder") && says("No such file"));
    options.folder = "/proc";
    FAILS(tn_pool_set_spill(pool, &options), TN_ERR_IO);
    OK(tn_pool_set_spill(pool, NULL));

    tn_array *array = filled(pool, 1);
    FAILS(tn_array_set_spillable(array, 1), TN_ERR_UNSUPPORTED);
    OK(tn_array_set_spillable(array, 0));
    size_t bytes = 77;
    OK(tn_pool_spill(pool, SIZE_MAX, &bytes));
    CHECK(bytes == 0 && !is_spilled(array));
    drop(array);
    OK(tn_pool_release(pool));
    FAILS(tn_pool_set_spill(pool, &options), TN_ERR_STALE);
    FAILS(tn_pool_spill(pool, 1, NULL), TN_ERR_STALE);
    FAILS(tn_array_set_spillable(NULL, 1), TN_ERR_NULL);

    tn_pool_options shareable = {.size = sizeof shareable, .flags = TN_POOL_SHAREABLE};
    OK(tn_pool_create(HOST, &shareable, &pool));
    options = to_folder();
    FAILS(tn_pool_set_spill(pool, &options), TN_ERR_UNSUPPORTED);
    OK(tn_pool_release(pool));
}

/* SP-2, SP-4, SP-12: three times the limit, in order. */
static void beyond_the_limit(void)
{
    enum { N = 24 };
    tn_pool *pool = spilling_pool(LIMIT);
    tn_array *arrays[N];
    void *addresses[N];
    for (int i = 0; i < N; i++) {
        arrays[i] = filled(pool, i);
        addresses[i] = address(arrays[i]);
    }
    tn_pool_stats stats = stats_of(pool);
    CHECK(stats.in_use_bytes >= N * MIB && stats.reserved_bytes - stats.spilled_bytes <= LIMIT);
    CHECK(stats.spilled_bytes >= (N - 8) * MIB && stats.spill_count >= N - 8 && stats.unspill_count == 0);
    CHECK(stats.reserved_bytes == stats.in_use_bytes + stats.cached_bytes + stats.pending_bytes + stats.overhead_bytes);
    /* The last ones were used last. */
    for (int i = 0; i < N; i++)
        CHECK(is_spilled(arrays[i]) == (i < N - 8) || is_watched());
    CHECK(open_files() == 1 && rmdir(folder) == 0 && mkdir(folder, 0700) == 0);
    for (int i = 0; i < N; i++) {
        CHECK(is_all(arrays[i], i));
        CHECK(address(arrays[i]) == addresses[i] && !is_spilled(arrays[i]));
        stats = stats_of(pool);
        CHECK(stats.reserved_bytes - stats.spilled_bytes <= LIMIT);
    }
    CHECK(stats_of(pool).unspill_count >= N - 8);
    for (int i = 0; i < N; i++)
        drop(arrays[i]);
    stats = stats_of(pool);
    CHECK(stats.spilled_bytes == 0 && stats.reserved_bytes <= LIMIT && open_files() == 0);
    OK(tn_pool_release(pool));
}

/* SP-4: an array that is read again and again stays. */
static void used_lately(void)
{
    tn_pool *pool = spilling_pool(LIMIT);
    tn_array *hot = filled(pool, -1), *arrays[24];
    for (int i = 0; i < 24; i++) {
        arrays[i] = filled(pool, i);
        CHECK(!is_spilled(hot));
        end(reading(hot));
    }
    CHECK(is_spilled(arrays[0]) && is_all(hot, -1));
    for (int i = 0; i < 24; i++)
        drop(arrays[i]);
    drop(hot);
    OK(tn_pool_release(pool));
}

/* SP-3: what keeps an array in memory. */
static void in_use(void)
{
    tn_pool *pool = spilling_pool(0);
    tn_array *array = filled(pool, 5);
    tn_borrow *guard = reading(array);
    CHECK(spill_all(pool) == 0 && !is_spilled(array));
    end(guard);
    guard = writing(array, 0);
    CHECK(spill_all(pool) == 0);
    end(guard);
    guard = exporting(array, XR);
    CHECK(spill_all(pool) == 0);
    end(guard);
    guard = exporting(array, XS);
    CHECK(spill_all(pool) == 0);
    end(guard);
    poison(array);
    CHECK(spill_all(pool) == 0);
    fill_i64(array, 5);
    tn_layout layout = {.size = sizeof layout, .dtype = TN_U8, .ndim = 1, .shape = (int64_t[]){64}};
    tn_array *import = NULL;
    OK(tn_array_import_host(address(array), &layout, TN_BORROW, NULL, NULL, &import, NULL));
    CHECK(spill_all(pool) == 0);
    drop(import);

    /* Views, clones, promises and weak handles do not. */
    tn_array *view = part(array, 10, 20, 2), *other = clone(array);
    tn_promise *promise = NULL;
    tn_weak *weak = NULL;
    OK(tn_array_give(other, 1, &promise));
    OK(tn_array_weaken(array, &weak));
    CHECK(spill_all(pool) == MIB && is_spilled(array) && is_spilled(view) && is_spilled(other));
    CHECK(why(array) == (TN_WHY_SHARED));
    CHECK(HOLDS(view, 5, 5, 5, 5, 5) && !is_spilled(array));
    CHECK(spill_all(pool) == MIB);
    tn_array *taken = NULL, *upgraded = NULL;
    OK(tn_take(1, &promise, &taken));
    OK(tn_promise_release(promise));
    OK(tn_weak_upgrade(weak, &upgraded));
    CHECK(is_spilled(taken) && is_all(upgraded, 5));
    OK(tn_weak_release(weak));
    drop(upgraded), drop(taken), drop(other), drop(view), drop(array);

    /* Raw blocks and small arrays are never spilled. */
    void *block = NULL;
    OK(tn_pool_allocate(pool, MIB, 0, NULL, &block));
    array = empty(pool, TN_U8, SHAPE(65535));
    CHECK(spill_all(pool) == 0);
    drop(array);
    OK(tn_pool_deallocate(pool, block, NULL));
    OK(tn_pool_release(pool));
}

/* SP-5: each use brings an array back. */
static void uses(void)
{
    tn_pool *pool = spilling_pool(0);
    tn_array *array = filled(pool, 3), *out = NULL;
#define AWAY() CHECK(spill_all(pool) > 0 && is_spilled(array))
#define BACK() CHECK(!is_spilled(array) && is_all(array, 3))
    AWAY();
    end(reading(array));
    BACK();
    AWAY();
    end(writing(array, 0));
    BACK();
    AWAY();
    CHECK(try_write(array, TN_WRITE_UNIQUE) == TN_OK);
    BACK();
    for (uint32_t kind = 0; kind < 3; kind++) {
        AWAY();
        end(exporting(array, (uint32_t[]){XR, XS, XW}[kind]));
        BACK();
    }
    AWAY();
    OK(tn_array_copy(array, pool, NULL, &out));
    BACK();
    CHECK(is_all(out, 3));
    CHECK(spill_all(pool) == 2 * MIB);
    OK(tn_array_copy_into(array, out, 0, NULL));
    CHECK(!is_spilled(array) && !is_spilled(out));
    drop(out);
    /* A write that copies, while a clone keeps the bytes. */
    out = clone(array);
    AWAY();
    tn_borrow *guard = writing(out, TN_WRITE_COW);
    end(guard);
    BACK();
    CHECK(is_all(out, 3));
    drop(out);
    AWAY();
    tn_expr *leaf = NULL, *sum = NULL;
    tn_array *floats = zeros(pool, TN_F64, SHAPE(COUNT)), *result = NULL;
    double one = 1;
    OK(tn_array_fill(floats, &one, 0, NULL));
    CHECK(spill_all(pool) > 0);
    OK(tn_expr_leaf(floats, TN_FORM_OF_HANDLE, &leaf));
    CHECK(is_spilled(floats));
    OK(tn_expr_add(leaf, leaf, &sum));
    OK(tn_expr_compute(sum, 0, &result));
    tn_array *first = part(result, 0, 1, 1);
    double two = 0;
    OK(tn_array_copy_to_host(first, &two, NULL, NULL));
    CHECK(two == 2);
    OK(tn_expr_release(leaf)), OK(tn_expr_release(sum));
    drop(first), drop(result), drop(floats);
    /* A wait is a use. */
    CHECK(is_spilled(array));
    OK(tn_array_wait(array, TN_READ));
    BACK();
    drop(array);
    OK(tn_pool_release(pool));
}

/* SP-6: no room for what is needed at once. */
static void no_room(void)
{
    tn_pool *pool = spilling_pool(4 * MIB);
    tn_array *arrays[8];
    for (int i = 0; i < 8; i++)
        arrays[i] = filled(pool, i);
    tn_borrow *guards[8] = {NULL};
    int held = 0;
    tn_status status = TN_OK;
    for (int i = 0; i < 8 && status == TN_OK; i++) {
        status = tn_array_borrow_read(arrays[i], 0, NULL, NULL, NULL, &guards[held]);
        held += status == TN_OK;
    }
    CHECK(status == TN_ERR_POOL_LIMIT && held >= 3 && held <= 4);
    CHECK(says("1 MiB was spilled") && says("\"spilling\"") && says("4 MiB"));
    CHECK(is_spilled(arrays[held]));
    while (held > 0)
        end(guards[--held]);
    for (int i = 0; i < 8; i++)
        CHECK(is_all(arrays[i], i));
    /* One call that needs more than the limit. */
    tn_borrow_spec specs[8];
    memset(specs, 0, sizeof specs);
    for (int i = 0; i < 8; i++)
        specs[i].array = arrays[i], specs[i].access = TN_READ;
    tn_borrow *all = UNTOUCHED;
    FAILS(tn_borrow_all(8, specs, NULL, &all), TN_ERR_POOL_LIMIT);
    CHECK(all == UNTOUCHED);
    OK(tn_borrow_all(3, specs, NULL, &all));
    end(all);
    for (int i = 0; i < 8; i++)
        drop(arrays[i]);
    OK(tn_pool_release(pool));
}

/* SP-7: files have no room. */
static void files_full(void)
{
    tn_pool *pool = limited_pool("bounded", 4 * MIB);
    tn_spill_options options = to_folder();
    options.max_bytes = 2 * MIB;
    OK(tn_pool_set_spill(pool, &options));
    tn_array *arrays[8];
    int made = 0;
    tn_status status = TN_OK;
    while (made < 8 && (status = tn_array_empty(pool, TN_I64, SHAPE(COUNT), NULL, &arrays[made])) == TN_OK) {
        fill_i64(arrays[made], made);
        made++;
    }
    CHECK(status == TN_ERR_POOL_LIMIT && made >= 5 && made <= 6);
    CHECK(stats_of(pool).spilled_bytes == 2 * MIB);
    for (int i = 0; i < made; i++)
        CHECK(is_all(arrays[i], i));
    CHECK(stats_of(pool).reserved_bytes - stats_of(pool).spilled_bytes <= 4 * MIB);
    CHECK(tn_array_empty(pool, TN_I64, SHAPE(COUNT), NULL, &arrays[made]) == TN_ERR_POOL_LIMIT && says("files have max_bytes"));
    /* Nothing more is spilled; what is in files comes back where there is room, and the limit holds. */
    OK(tn_pool_set_spill(pool, NULL));
    CHECK(spill_all(pool) == 0);
    int refused = 0;
    for (int i = 0; i < made; i++) {
        status = try_read(arrays[i], 0);
        CHECK(status == TN_OK || status == TN_ERR_POOL_LIMIT);
        refused += status != TN_OK;
    }
    CHECK(refused >= 1 && stats_of(pool).reserved_bytes - stats_of(pool).spilled_bytes <= 4 * MIB);
    drop(arrays[0]), drop(arrays[1]), drop(arrays[2]);
    for (int i = 3; i < made; i++) {
        CHECK(is_all(arrays[i], i));
        drop(arrays[i]);
    }
    OK(tn_pool_release(pool));
}

/* SP-8: a spilled array is released. */
static void released(void)
{
    tn_pool *pool = spilling_pool(LIMIT);
    tn_array *arrays[24];
    for (int i = 0; i < 24; i++)
        arrays[i] = filled(pool, i);
    uint64_t before = space_of_files();
    CHECK(before >= 16 * MIB);
    for (int i = 0; i < 8; i++)
        drop(arrays[i]);
    CHECK(space_of_files() <= before - 8 * MIB);
    tn_pool_stats stats = stats_of(pool);
    CHECK(stats.reserved_bytes - stats.spilled_bytes <= LIMIT && stats.spilled_bytes >= 8 * MIB);
    for (int i = 8; i < 24; i++)
        CHECK(is_all(arrays[i], i));
    for (int i = 8; i < 24; i++)
        drop(arrays[i]);
    CHECK(stats_of(pool).spilled_bytes == 0);
    /* The pool goes on after its release, as long as it has arrays. */
    tn_array *last = filled(pool, 9);
    CHECK(spill_all(pool) >= MIB);
    OK(tn_pool_release(pool));
    CHECK(is_spilled(last) && is_all(last, 9));
    drop(last);
    CHECK(open_files() == 0);
}

/* SP-9: parent and child have bytes of their own. */
static void forked(void)
{
    tn_pool *pool = spilling_pool(LIMIT);
    tn_array *arrays[16];
    for (int i = 0; i < 16; i++)
        arrays[i] = filled(pool, i);
    pid_t child = fork();
    int64_t offset = child == 0 ? 1000 : 2000;
    for (int i = 0; i < 16; i++) {
        CHECK(is_all(arrays[i], i));
        fill_i64(arrays[i], offset + i);
    }
    spill_all(pool);
    for (int i = 0; i < 16; i++) {
        CHECK(is_all(arrays[i], offset + i));
        drop(arrays[i]);
    }
    if (child == 0)
        _exit(check_failures == 0 ? 0 : 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(open_files() == 0);
    OK(tn_pool_release(pool));
}

/* SP-10 */
enum { SHARED = 24, THREADS = 4 };
static tn_array *shared_arrays[64];
static int64_t writes[SHARED];

static void *user(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed * 2654435761u;
    for (int round = 0; round < rounds(300); round++) {
        state = state * 1664525u + 1013904223u;
        int i = (int)(state >> 16) % SHARED;
        const void *data = NULL;
        void *written = NULL;
        tn_borrow *guard = NULL;
        tn_status status;
        if (state & (1u << 12)) {
            status = tn_array_borrow_write(shared_arrays[i], 0, NULL, &written, NULL, &guard);
            if (status == TN_OK) {
                int64_t *values = written, value = values[0] + 1;
                for (int64_t k = 0; k < COUNT; k++)
                    values[k] = value;
                __atomic_add_fetch(&writes[i], 1, __ATOMIC_RELAXED);
            }
        } else {
            status = tn_array_borrow_read(shared_arrays[i], 0, NULL, &data, NULL, &guard);
            if (status == TN_OK) {
                const int64_t *values = data;
                CHECK(values[0] == values[COUNT - 1] && values[0] == values[COUNT / 2]);
            }
        }
        if (status == TN_OK)
            end(guard);
        else
            CHECK(status == TN_ERR_BORROWED || status == TN_ERR_BORROWED_WRITE);
    }
    return NULL;
}

static void threads(void)
{
    tn_pool *pool = spilling_pool(LIMIT);
    for (int i = 0; i < SHARED; i++)
        shared_arrays[i] = filled(pool, 0);
    pthread_t ids[THREADS];
    for (uintptr_t t = 0; t < THREADS; t++)
        pthread_create(&ids[t], NULL, user, (void *)(t + 1));
    for (int t = 0; t < THREADS; t++)
        pthread_join(ids[t], NULL);
    for (int i = 0; i < SHARED; i++) {
        CHECK(is_all(shared_arrays[i], writes[i]));
        drop(shared_arrays[i]);
    }
    OK(tn_pool_release(pool));
}

/* SP-2: threads that make arrays at the limit. */
static tn_pool *makers_pool;

static void *maker(void *number)
{
    for (int round = 0; round < rounds(200); round++) {
        tn_array *array = NULL;
        OK(tn_array_empty(makers_pool, TN_I64, SHAPE(COUNT), NULL, &array));
        if (array == NULL)
            break;
        fill_i64(array, (int64_t)(uintptr_t)number);
        int slot = (int)(uintptr_t)number * 16 + round % 16;
        if (shared_arrays[slot] != NULL)
            drop(shared_arrays[slot]);
        shared_arrays[slot] = array;
    }
    return NULL;
}

static void makers(void)
{
    makers_pool = spilling_pool(LIMIT);
    memset(shared_arrays, 0, sizeof shared_arrays);
    pthread_t ids[THREADS];
    for (uintptr_t t = 0; t < THREADS; t++)
        pthread_create(&ids[t], NULL, maker, (void *)t);
    for (int t = 0; t < THREADS; t++)
        pthread_join(ids[t], NULL);
    for (int i = 0; i < THREADS * 16; i++)
        if (shared_arrays[i] != NULL) {
            CHECK(is_all(shared_arrays[i], i / 16));
            drop(shared_arrays[i]);
        }
    CHECK(stats_of(makers_pool).spilled_bytes == 0);
    OK(tn_pool_release(makers_pool));
}

/* SP-11 */
static void chosen(void)
{
    tn_pool *pool = limited_pool("chosen", 0);
    tn_spill_options options = to_folder();
    options.min_array_bytes = MIB;
    OK(tn_pool_set_spill(pool, &options));
    tn_array *a = filled(pool, 1), *b = filled(pool, 2), *small = empty(pool, TN_U8, SHAPE((int64_t)MIB - 1)), *view = part(a, 0, 8, 1);
    FAILS(tn_array_set_spillable(small, 1), TN_ERR_UNSUPPORTED);
    OK(tn_array_set_spillable(view, 0));
    CHECK(spill_all(pool) == MIB && !is_spilled(a) && is_spilled(b));
    OK(tn_array_set_spillable(b, 0));
    CHECK(!is_spilled(b) && spill_all(pool) == 0);
    OK(tn_array_set_spillable(a, 1));
    OK(tn_array_set_spillable(b, 1));
    CHECK(spill_all(pool) == 2 * MIB && is_all(a, 1) && is_all(b, 2));
    drop(a), drop(b), drop(small), drop(view);
    OK(tn_pool_release(pool));
}

/* SP-13: values of shared variables. */
static void variables(void)
{
    tn_pool *pool = spilling_pool(0);
    tn_array *value = filled(pool, 7), *copy = NULL;
    tn_shared *variable = NULL;
    OK(tn_shared_create(value, TN_BORROW | TN_TAKE_OWNERSHIP, NULL, &variable, NULL));
    drop(value);
    CHECK(spill_all(pool) == MIB);
    OK(tn_shared_get(variable, 0, &copy, NULL));
    CHECK(is_all(copy, 7));
    drop(copy);
    OK(tn_shared_release(variable));
    OK(tn_pool_release(pool));
}

int main(void)
{
    if (runs_under("checks"))
        return finish(); /* SP-1: such pools do not spill. */
    CHECK(mkdtemp(folder) != NULL);
    misuse();
    beyond_the_limit();
    used_lately();
    in_use();
    uses();
    no_room();
    files_full();
    released();
    forked();
    threads();
    makers();
    chosen();
    variables();
    CHECK(rmdir(folder) == 0);
    return finish();
}
