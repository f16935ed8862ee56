/*
 * pool.c - pools and devices in C: handles, options by size, raw memory, misuse, the current pool. tests/library/pool.rs tests the pool's
 * internals.
 */
#include "check.h"
#include <stdlib.h>

#define HOST ((tn_device){TN_CPU, 0})
#define UNTOUCHED ((void *)(uintptr_t)0x5aa55aa5u)

static int says(const char *text)
{
    return strstr(tn_last_error(), text) != NULL;
}

static tn_pool *own_pool(const char *name)
{
    tn_pool_options options = {.size = sizeof options, .name = name};
    tn_pool *pool = NULL;
    OK(tn_pool_create(HOST, &options, &pool));
    return pool;
}

static tn_pool_stats stats_of(tn_pool *pool)
{
    tn_pool_stats stats = {.size = sizeof stats};
    OK(tn_pool_query(pool, &stats));
    CHECK(stats.reserved_bytes ==
          stats.in_use_bytes + stats.cached_bytes + stats.pending_bytes + stats.overhead_bytes);
    return stats;
}

static void *block_of(tn_pool *pool, size_t bytes)
{
    void *block = NULL;
    OK(tn_pool_allocate(pool, bytes, 0, NULL, &block));
    CHECK(block != NULL);
    return block;
}

/* DV-1, DV-2, DV-3, DV-4, ST-14, PN-13 */
static void devices(void)
{
    size_t count = 77;
    OK(tn_device_count(TN_CPU, &count));
    CHECK(count == 1);
    FAILS(tn_device_count(99, &count), TN_ERR_DEVICE);
    CHECK(count == 1);
    FAILS(tn_device_count(TN_CPU, NULL), TN_ERR_NULL);

    tn_device_info info = {.size = sizeof info};
    OK(tn_device_query(HOST, TN_QUERY_MEMORY, &info));
    CHECK(info.size == sizeof info && info.name[0] != 0 && info.total_bytes > 0 && info.multiprocessors > 0);
    CHECK(info.free_bytes <= info.total_bytes && info.used_bytes == info.total_bytes - info.free_bytes);
    FAILS(tn_device_query(HOST, 1u << 31, &info), TN_ERR_INVALID);
    FAILS(tn_device_query(HOST, 0, NULL), TN_ERR_NULL);
    FAILS(tn_device_query((tn_device){TN_CPU, -1}, 0, &info), TN_ERR_DEVICE);
    FAILS(tn_device_query((tn_device){TN_CUDA, 0}, 0, &info), for_gpu(0));
    FAILS(tn_device_query((tn_device){TN_CUDA, gpus()}, 0, &info), for_gpu(gpus()));
    tn_device_info unsized_info = {.size = 0};
    FAILS(tn_device_query(HOST, 0, &unsized_info), TN_ERR_INVALID);
    OK(tn_device_synchronize(HOST));
    FAILS(tn_device_synchronize((tn_device){TN_CPU, 1}), TN_ERR_DEVICE);
}

/* PO-3, PO-4, PN-13 */
static void options(void)
{
    const char *long_name = "0123456789012345678901234567890123456789012345678901234567890123"; /* 64 bytes */
    tn_pool *pool = UNTOUCHED;
    tn_pool_options wrong = {.size = 0};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    CHECK(says("size"));
    wrong = (tn_pool_options){.size = sizeof wrong, .growth_factor = 0.5};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    CHECK(says("growth_factor") && says("0.5"));
    wrong = (tn_pool_options){.size = sizeof wrong, .alignment = 48};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    CHECK(says("alignment") && says("48"));
    wrong = (tn_pool_options){.size = sizeof wrong, .flags = 1u << 30};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    CHECK(says("flags"));
    wrong = (tn_pool_options){.size = sizeof wrong, .initial_size = 2 << 20, .max_size = 1 << 20};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    CHECK(says("max_size"));
    wrong = (tn_pool_options){.size = sizeof wrong, .reserved = 1};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    wrong = (tn_pool_options){.size = sizeof wrong, .name = long_name};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    CHECK(says("name"));
    wrong = (tn_pool_options){.size = sizeof wrong, .name = "\xff"};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_INVALID);
    wrong = (tn_pool_options){.size = sizeof wrong, .numa_node = 1000};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_RANGE);
    wrong = (tn_pool_options){.size = sizeof wrong, .flags = TN_POOL_SHAREABLE, .initial_size = 1};
    FAILS(tn_pool_create(HOST, &wrong, &pool), TN_ERR_UNSUPPORTED);
    FAILS(tn_pool_create((tn_device){TN_CPU, 3}, NULL, &pool), TN_ERR_DEVICE);
    FAILS(tn_pool_create((tn_device){77, 0}, NULL, &pool), TN_ERR_DEVICE);
    FAILS(tn_pool_create(HOST, NULL, NULL), TN_ERR_NULL);
    CHECK(pool == UNTOUCHED);
    const int32_t kinds[] = {TN_CUDA, TN_CUDA_HOST, TN_CUDA_MANAGED};
    for (int i = 0; i < 3; i++) {
        FAILS(tn_pool_create((tn_device){kinds[i], 0}, NULL, &pool), for_gpu(0));
        CHECK((pool == UNTOUCHED) == (gpus() == 0) && (gpus() > 0 || says("libcuda")));
        if (gpus() > 0)
            OK(tn_pool_release(pool));
        pool = UNTOUCHED;
        FAILS(tn_pool_default((tn_device){kinds[i], 0}, &pool), for_gpu(0));
        CHECK((pool == UNTOUCHED) == (gpus() == 0));
        if (gpus() > 0)
            OK(tn_pool_release(pool));
        pool = UNTOUCHED;
    }

    /* A struct of a newer library: the unknown part must be zero. */
    struct {
        tn_pool_options known;
        uint64_t newer;
    } wide = {.known = {.size = sizeof wide, .name = "wide"}, .newer = 0};
    OK(tn_pool_create(HOST, &wide.known, &pool));
    OK(tn_pool_release(pool));
    wide.newer = 1;
    FAILS(tn_pool_create(HOST, &wide.known, &pool), TN_ERR_INVALID);

    tn_pool_options pinned = {.size = sizeof pinned, .host_flags = TN_HOST_BEST_EFFORT};
    OK(tn_pool_create((tn_device){TN_CUDA_HOST, 0}, &pinned, &pool));
    OK(tn_pool_release(pool));
}

/* Every invalid handle is a status. */
static void handles(void)
{
    tn_pool *pool = own_pool("handles");
    OK(tn_pool_release(pool));
    FAILS(tn_pool_release(pool), TN_ERR_STALE);
    FAILS(tn_pool_release(NULL), TN_ERR_NULL);
    FAILS(tn_pool_release((tn_pool *)(uintptr_t)4096), TN_ERR_KIND);
    void *block = UNTOUCHED;
    FAILS(tn_pool_allocate(pool, 8, 0, NULL, &block), TN_ERR_STALE);
    FAILS(tn_pool_allocate_zeroed(pool, 8, 0, NULL, &block), TN_ERR_STALE);
    FAILS(tn_pool_reallocate(pool, NULL, 8, NULL, &block), TN_ERR_STALE);
    FAILS(tn_pool_allocate((tn_pool *)(uintptr_t)16, 8, 0, NULL, &block), TN_ERR_KIND);
    FAILS(tn_pool_trim(pool, 0, NULL), TN_ERR_STALE);
    FAILS(tn_pool_reset_peak(pool), TN_ERR_STALE);
    tn_pool_stats stats = {.size = sizeof stats};
    FAILS(tn_pool_query(pool, &stats), TN_ERR_STALE);
    FAILS(tn_pool_query(NULL, NULL), TN_ERR_NULL);
    stats.size = 0;
    FAILS(tn_pool_query(NULL, &stats), TN_ERR_INVALID);
    FAILS(tn_pool_allocate(NULL, 8, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_pool_allocate(NULL, 8, 24, NULL, &block), TN_ERR_INVALID);
    CHECK(says("24"));
    FAILS(tn_pool_allocate(NULL, 8, 0, (tn_stream *)(uintptr_t)4096, &block), TN_ERR_KIND);
    FAILS(tn_pool_allocate(NULL, SIZE_MAX, 0, NULL, &block), TN_ERR_NO_HOST_MEMORY);
    CHECK(block == UNTOUCHED);
}

/* PO-11, PO-14, PO-17, PO-18, PO-22, PO-23 */
static void blocks(void)
{
    tn_pool *pool = own_pool("blocks");
    unsigned char *a = block_of(pool, 1000), *b = block_of(pool, 0);
    size_t usable = 0;
    OK(tn_pool_usable_size(a, &usable));
    CHECK(usable >= 1000 && a != b && (uintptr_t)a % 64 == 0);
    memset(a, 7, usable);
    void *moved = NULL;
    OK(tn_pool_reallocate(pool, a, 100000, NULL, &moved));
    unsigned char *bytes = moved;
    CHECK(bytes[0] == 7 && bytes[usable - 1] == 7);
    memset(bytes, 9, 100000);
    OK(tn_pool_reallocate(pool, moved, 0, NULL, &moved));
    CHECK(moved == NULL);
    OK(tn_pool_reallocate(pool, NULL, 50, NULL, &moved));
    OK(tn_pool_deallocate(NULL, moved, NULL));
    OK(tn_pool_deallocate(pool, b, NULL));
    OK(tn_pool_deallocate(NULL, NULL, NULL));
    OK(tn_pool_allocate_zeroed(pool, 100000, 4096, NULL, &moved));
    bytes = moved;
    CHECK((uintptr_t)bytes % 4096 == 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, 99999) == 0);
    OK(tn_pool_deallocate(pool, moved, NULL));
    tn_pool_stats stats = stats_of(pool);
    CHECK(stats.live_blocks == 0 && stats.requested_bytes == 0 && stats.allocation_count == 4);
    CHECK(stats.reallocation_count == 1 && stats.deallocation_count == 4);
    CHECK(stats.peak_requested_bytes == 100000);
    /* PO-40 */
    size_t released = 0;
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(released == stats.reserved_bytes && stats_of(pool).reserved_bytes == 0);
    OK(tn_pool_trim(pool, 0, NULL));
    OK(tn_pool_reset_peak(pool));
    CHECK(stats_of(pool).peak_requested_bytes == 0);
    OK(tn_pool_release(pool));
}

/* PO-24, PO-25, PO-26, PO-27 */
static void misuse(void)
{
    tn_pool *left = own_pool("left"), *right = own_pool("right");
    char *a = block_of(left, 300), *heap = malloc(16), local;
    void *out = UNTOUCHED;
    size_t usable = 12345;
    FAILS(tn_pool_deallocate(right, a, NULL), TN_ERR_FOREIGN);
    CHECK(says("left") && says("right"));
    FAILS(tn_pool_reallocate(right, a, 5, NULL, &out), TN_ERR_FOREIGN);
    FAILS(tn_pool_deallocate(left, a + 1, NULL), TN_ERR_INVALID);
    CHECK(says("300"));
    FAILS(tn_pool_usable_size(a + 8, &usable), TN_ERR_INVALID);
    FAILS(tn_pool_deallocate(NULL, heap, NULL), TN_ERR_FOREIGN);
    FAILS(tn_pool_deallocate(NULL, &local, NULL), TN_ERR_FOREIGN);
    FAILS(tn_pool_deallocate(NULL, (void *)(uintptr_t)1, NULL), TN_ERR_FOREIGN);
    FAILS(tn_pool_deallocate(NULL, (void *)UINTPTR_MAX, NULL), TN_ERR_FOREIGN);
    FAILS(tn_pool_usable_size(NULL, &usable), TN_ERR_FOREIGN);
    FAILS(tn_pool_usable_size(a, NULL), TN_ERR_NULL);
    OK(tn_pool_deallocate(left, a, NULL));
    FAILS(tn_pool_deallocate(left, a, NULL), TN_ERR_STALE);
    FAILS(tn_pool_reallocate(left, a, 5, NULL, &out), TN_ERR_STALE);
    CHECK(out == UNTOUCHED && usable == 12345);
    CHECK(stats_of(left).misuse_count == 3 && stats_of(right).misuse_count == 2);
    free(heap);
    OK(tn_pool_release(left));
    OK(tn_pool_release(right));
}

/* PO-6, PO-7, PO-9 */
static void released_pools(void)
{
    tn_pool *pool = own_pool("released"), *found = UNTOUCHED;
    char *a = block_of(pool, 100), *b = block_of(pool, 1 << 20);
    OK(tn_pool_of(b + 5000, &found));
    CHECK(stats_of(found).live_blocks == 2);
    OK(tn_pool_release(found));
    found = UNTOUCHED;
    FAILS(tn_pool_of(&found, &found), TN_ERR_FOREIGN);
    FAILS(tn_pool_of(a, NULL), TN_ERR_NULL);
    CHECK(found == UNTOUCHED);
    OK(tn_pool_release(pool));
    a[99] = 1;
    FAILS(tn_pool_deallocate(pool, a, NULL), TN_ERR_STALE);
    OK(tn_pool_of(a, &found));
    void *none = UNTOUCHED;
    FAILS(tn_pool_allocate(found, 8, 0, NULL, &none), TN_ERR_STALE);
    CHECK(none == UNTOUCHED && says("released"));
    OK(tn_pool_release(found));
    OK(tn_pool_deallocate(NULL, a, NULL));
    OK(tn_pool_deallocate(NULL, b, NULL));
    FAILS(tn_pool_deallocate(NULL, b, NULL), TN_ERR_FOREIGN);
}

/* PO-5, PO-62, PO-63, PO-64, PO-65 */
static void current_pool(void)
{
    tn_pool *standard = NULL, *again = NULL, *old = NULL, *mine = own_pool("mine");
    OK(tn_pool_default(HOST, &standard));
    OK(tn_pool_default(HOST, &again));
    CHECK(standard != again);
    void *block = block_of(standard, 10);
    CHECK(stats_of(again).live_blocks == stats_of(standard).live_blocks);
    OK(tn_pool_deallocate(again, block, NULL));
    OK(tn_pool_release(again));

    OK(tn_pool_current(HOST, &old));
    OK(tn_pool_set_current(mine));
    block = block_of(NULL, 10);
    CHECK(stats_of(mine).live_blocks == 1);
    FAILS(tn_pool_set_current(again), TN_ERR_STALE);
    FAILS(tn_pool_set_current((tn_pool *)(uintptr_t)64), TN_ERR_KIND);
    CHECK(stats_of(NULL).live_blocks == 1);
    OK(tn_pool_release(mine));
    void *more = block_of(NULL, 20); /* the thread's reference counts */
    OK(tn_pool_deallocate(NULL, more, NULL));
    OK(tn_pool_set_current(old));
    OK(tn_pool_release(old));
    more = block_of(NULL, 20);
    CHECK(stats_of(standard).live_blocks == 1);
    OK(tn_pool_deallocate(standard, more, NULL));
    OK(tn_pool_deallocate(NULL, block, NULL));
    OK(tn_pool_set_current(NULL));
    FAILS(tn_pool_current(HOST, NULL), TN_ERR_NULL);
    FAILS(tn_pool_current((tn_device){TN_CUDA, 0}, &old), for_gpu(0));
    if (gpus() > 0)
        OK(tn_pool_release(old));
    OK(tn_pool_release(standard));
}

/* AR-61 */
static void default_pool(void)
{
    tn_pool *initial = NULL, *again = NULL, *next = own_pool("next");
    OK(tn_pool_default(HOST, &initial));
    void *old = block_of(NULL, 10);
    CHECK(stats_of(initial).live_blocks == 1);
    OK(tn_pool_set_default(next));
    void *block = block_of(NULL, 10);
    CHECK(stats_of(next).live_blocks == 1 && stats_of(initial).live_blocks == 1);
    CHECK(stats_of(next).device.type == TN_CPU && stats_of(next).device.id == 0);
    OK(tn_pool_default(HOST, &again));
    CHECK(stats_of(again).serial == stats_of(next).serial);
    OK(tn_pool_release(again));
    FAILS(tn_pool_set_default(again), TN_ERR_STALE);
    FAILS(tn_pool_set_default((tn_pool *)(uintptr_t)64), TN_ERR_KIND);
    OK(tn_pool_release(next));
    void *more = block_of(NULL, 20); /* the default is a reference */
    OK(tn_pool_deallocate(NULL, more, NULL));
    OK(tn_pool_set_default(NULL));
    more = block_of(NULL, 20);
    CHECK(stats_of(initial).live_blocks == 2);
    OK(tn_pool_deallocate(NULL, more, NULL));
    OK(tn_pool_deallocate(NULL, block, NULL));
    OK(tn_pool_deallocate(NULL, old, NULL));
    OK(tn_pool_release(initial));
}

/* PO-5: set before the first use, refused afterwards */
static void options_of_the_default_pool(void)
{
    tn_pool *standard = NULL;
    OK(tn_option_set("pool.cpu.alignment", "128"));
    OK(tn_pool_default(HOST, &standard));
    void *block = block_of(standard, 1);
    CHECK((uintptr_t)block % 128 == 0);
    size_t usable = 0;
    OK(tn_pool_usable_size(block, &usable));
    /* A memory checker allows the requested bytes only. */
    CHECK(usable >= 128 || usable == 1);
    OK(tn_pool_deallocate(NULL, block, NULL));
    FAILS(tn_option_set("pool.cpu.alignment", "64"), TN_ERR_INVALID);
    CHECK(says("exists"));
    OK(tn_pool_release(standard));
}

/* PO-8, PO-29 */
static void blocks_of_others(void)
{
    tn_pool *pool = own_pool("lost");
    TN_HERE;
    void *raw = block_of(pool, 4000);
    int64_t shape = 500;
    tn_array *array = NULL;
    OK(tn_array_empty(pool, TN_F64, 1, &shape, NULL, &array));
    tn_array_info info = {.size = sizeof info};
    OK(tn_array_query(array, &info));
    const void *store = NULL;
    tn_borrow *borrow = NULL;
    OK(tn_array_borrow_read(array, 0, NULL, &store, NULL, &borrow));
    OK(tn_borrow_end(borrow, 0, NULL));
    FAILS(tn_pool_deallocate(pool, (void *)(uintptr_t)store, NULL), TN_ERR_SHARED);
    FAILS(tn_pool_deallocate(NULL, (void *)(uintptr_t)store, NULL), TN_ERR_SHARED);
    void *out = UNTOUCHED;
    FAILS(tn_pool_reallocate(pool, (void *)(uintptr_t)store, 10, NULL, &out), TN_ERR_SHARED);
    CHECK(out == UNTOUCHED);
    OK(tn_pool_release(pool));
    OK(tn_array_release(array));

    static tn_holder leaks[8];
    size_t count = 0;
    OK(tn_leaks(sizeof(tn_holder), 8, leaks, &count));
    CHECK(count == 1 && leaks[0].kind == TN_HOLDER_BLOCK && leaks[0].id == (uint64_t)(uintptr_t)raw);
    CHECK(leaks[0].bytes >= 4000 && strcmp(leaks[0].name, "lost") == 0 && strstr(leaks[0].site, "pool.c:") != NULL);
    OK(tn_pool_deallocate(NULL, raw, NULL));
}

/* PO-39, PO-45, PO-46 */
static void limits(void)
{
    tn_pool_options options = {.size = sizeof options, .name = "narrow", .max_size = 4 << 20};
    tn_pool *pool = NULL;
    OK(tn_pool_create(HOST, &options, &pool));
    void *all = block_of(pool, 4 << 20), *more = UNTOUCHED;
    FAILS(tn_pool_allocate(pool, 1 << 20, 0, NULL, &more), TN_ERR_POOL_LIMIT);
    CHECK(more == UNTOUCHED && says("narrow") && says("1 MiB") && says("limit 4 MiB"));
    OK(tn_pool_deallocate(pool, all, NULL));
    OK(tn_pool_deallocate(pool, block_of(pool, 1 << 20), NULL));
    CHECK(stats_of(pool).oom_count == 1 && stats_of(pool).peak_reserved_bytes == 4 << 20);
    OK(tn_pool_release(pool));
}

/* A call with a block and no pool finds the block's pool. */
static void reallocate_finds_the_owner(void)
{
    tn_pool_options options = {.size = sizeof options, .name = "owner"};
    tn_pool *owner = NULL, *found = NULL;
    tn_pool_stats stats = {.size = sizeof stats};
    void *block = NULL;
    OK(tn_pool_create(HOST, &options, &owner));
    OK(tn_pool_allocate(owner, 100, 0, NULL, &block));
    memset(block, 7, 100);
    for (size_t bytes = 200; bytes <= 20000000; bytes *= 10) {
        OK(tn_pool_reallocate(NULL, block, bytes, NULL, &block));
        CHECK(((unsigned char *)block)[99] == 7);
        OK(tn_pool_query(owner, &stats));
        CHECK(stats.live_blocks == 1 && stats.requested_bytes == bytes);
    }
    OK(tn_pool_of(block, &found));
    OK(tn_pool_release(found));
    OK(tn_pool_reallocate(NULL, block, 0, NULL, &block));
    CHECK(block == NULL);
    OK(tn_pool_query(owner, &stats));
    CHECK(stats.live_blocks == 0);
    FAILS(tn_pool_reallocate(NULL, &stats, 10, NULL, &block), TN_ERR_FOREIGN);
    OK(tn_pool_release(owner));
}

int main(void)
{
    devices();
    options_of_the_default_pool();
    default_pool();
    options();
    handles();
    blocks();
    misuse();
    released_pools();
    current_pool();
    limits();
    blocks_of_others();
    reallocate_finds_the_owner();
    return finish();
}
