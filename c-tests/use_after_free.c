/*
 * use_after_free.c - pools under memory checkers. Without an argument it makes no mistake, and none may be reported. With the name of a
 * mistake it makes that one, and tests/languages/checkers.rs looks for the report.
 */
#include "check.h"
#include <stdlib.h>

static volatile unsigned char seen;

static void mistake(const char *name, const char *which, const unsigned char *gone)
{
    if (strcmp(name, which) == 0)
        seen = gone[8];
}

/* Freed, and read. */
static void raw(tn_pool *pool, const char *name)
{
    unsigned char *block = NULL, *other = NULL;
    OK(tn_pool_allocate(pool, 100, 0, NULL, (void **)&block));
    memset(block, 1, 100);
    seen = block[8];
    OK(tn_pool_deallocate(pool, block, NULL));
    mistake(name, "raw", block);
    OK(tn_pool_allocate_zeroed(pool, 100, 0, NULL, (void **)&other));
    CHECK(other[0] == 0 && other[99] == 0);
    OK(tn_pool_deallocate(NULL, other, NULL));
    mistake(name, "raw-again", other);
}

/* Moved by growth, and read at its old address; the new one is valid. */
static void moved(tn_pool *pool, const char *name)
{
    unsigned char *block = NULL, *grown = NULL;
    OK(tn_pool_allocate(pool, 50, 0, NULL, (void **)&block));
    memset(block, 7, 50);
    OK(tn_pool_reallocate(pool, block, 5000, NULL, (void **)&grown));
    CHECK(grown != block && grown[8] == 7);
    memset(grown, 8, 5000);
    mistake(name, "moved", block);
    OK(tn_pool_reallocate(pool, grown, 300000, NULL, (void **)&block));
    CHECK(block[4999] == 8);
    memset(block, 9, 300000);
    OK(tn_pool_reallocate(pool, block, 900000, NULL, (void **)&grown));
    CHECK(grown[299999] == 9);
    memset(grown, 10, 900000);
    OK(tn_pool_reallocate(pool, grown, 70000, NULL, (void **)&block));
    CHECK(block[69999] == 10);
    OK(tn_pool_deallocate(pool, block, NULL));
}

/* The byte behind a block, of sizes that fill their class, their pages or their span, and of others. */
static void behind(tn_pool *pool, const char *name, const char *which, size_t bytes)
{
    unsigned char *blocks[3], *grown = NULL;
    size_t usable = 0;
    for (int i = 0; i < 3; i++) {
        OK(tn_pool_allocate(pool, bytes, 0, NULL, (void **)&blocks[i]));
        OK(tn_pool_usable_size(blocks[i], &usable));
        memset(blocks[i], i, usable);
    }
    if (strcmp(name, which) == 0)
        seen = blocks[1][bytes];
    /* A block that grew in place or moved, and one that shrank. */
    OK(tn_pool_reallocate(pool, blocks[1], bytes + 5, NULL, (void **)&grown));
    CHECK(grown[bytes - 1] == 1);
    memset(grown, 2, bytes + 5);
    if (strncmp(name, "grown-", 6) == 0 && strcmp(name + 6, which) == 0)
        grown[bytes + 5] = 1;
    OK(tn_pool_reallocate(pool, grown, bytes - 3, NULL, (void **)&blocks[1]));
    CHECK(blocks[1][bytes - 4] == 2);
    if (strncmp(name, "shrunk-", 7) == 0 && strcmp(name + 7, which) == 0)
        seen = blocks[1][bytes - 3];
    for (int i = 0; i < 3; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
}

/* The element behind an array. */
static void behind_array(tn_pool *pool, const char *name)
{
    int64_t shape[] = {1024};
    tn_array *array = NULL;
    tn_borrow *guard = NULL;
    void *bytes = NULL;
    OK(tn_array_zeros(pool, TN_F64, 1, shape, NULL, &array));
    OK(tn_array_borrow_write(array, 0, NULL, &bytes, NULL, &guard));
    double *data = bytes;
    for (int i = 0; i < 1024 + (strcmp(name, "behind-array") == 0); i++)
        data[i] = i;
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_array_release(array));
}

/* The bytes of a released array. */
static void array(tn_pool *pool, const char *name)
{
    int64_t shape[] = {10};
    tn_array *array = NULL;
    tn_borrow *guard = NULL;
    const void *bytes = NULL;
    OK(tn_array_zeros(pool, TN_F64, 1, shape, NULL, &array));
    OK(tn_array_borrow_read(array, 0, NULL, &bytes, NULL, &guard));
    const unsigned char *data = bytes;
    seen = data[8];
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_array_release(array));
    mistake(name, "array", data);
}

/* Strict mode checks blocks in quarantine; large blocks are unmapped. */
static void others(tn_pool *strict, tn_pool *pool, const char *name)
{
    unsigned char *blocks[40], *large[4];
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 40; i++) {
            OK(tn_pool_allocate(strict, 2000, 0, NULL, (void **)&blocks[i]));
            memset(blocks[i], i, 2000);
        }
        for (int i = 0; i < 40; i++)
            OK(tn_pool_deallocate(strict, blocks[i], NULL));
        for (int i = 0; i < 4; i++) {
            OK(tn_pool_allocate_zeroed(pool, 200000 + 70000 * (size_t)i, 0, NULL, (void **)&large[i]));
            CHECK(large[i][199999] == 0);
            memset(large[i], i, 200000);
        }
        for (int i = 0; i < 4; i++)
            OK(tn_pool_deallocate(pool, large[i], NULL));
        uint64_t released = 0;
        OK(tn_pool_trim(pool, 0, &released));
    }
    mistake(name, "strict", blocks[39]);
    /* Addresses of a released pool belong to another mapping now. */
    for (int i = 0; i < 8; i++) {
        size_t bytes = (size_t)200000 << i % 4;
        unsigned char *plain = malloc(bytes);
        memset(plain, 1, bytes);
        free(plain);
    }
}

int main(int count, char **names)
{
    const char *name = count > 1 ? names[1] : "";
    tn_pool_options options = {.size = sizeof options, .name = "watched"};
    tn_pool *pool = NULL, *strict = NULL;
    OK(tn_pool_create((tn_device){TN_CPU, 0}, &options, &pool));
    options.flags = TN_POOL_STRICT;
    OK(tn_pool_create((tn_device){TN_CPU, 0}, &options, &strict));
    raw(pool, name);
    moved(pool, name);
    array(pool, name);
    behind_array(pool, name);
    behind(pool, name, "behind-100", 100);
    behind(pool, name, "behind-class", 64);
    behind(pool, name, "behind-pages", 8192);
    behind(pool, name, "behind-largest-class", 65536);
    behind(pool, name, "behind-span", 1 << 20);
    others(strict, pool, name);
    OK(tn_pool_release(pool));
    OK(tn_pool_release(strict));
    return finish();
}
