/*
 * touch.c - large blocks with every page touched: fresh, reused, and zeroed (bars T8, T9, T10). ns.
 *
 *     fresh_256m       a block of fresh memory, allocated and touched; from a new pool if the allocator has pools
 *     by_hand_256m     (handle) as fresh_256m, by mmap and madvise for huge pages
 *     again_64m        one block repeatedly allocated, touched and freed; array_again_64m (handle): as an array
 *     zeros_fresh      256 MiB of zeros of fresh memory, not touched
 *     zeros_resident   resident bytes of that block; zeros_books: of the process, including the allocator's own data
 *     zeros_again      64 MiB of zeros after a block of that size was written and freed; array_zeros_again (handle): as an array
 *     memset           memset of such a block
 */
#define _GNU_SOURCE
#include "allocator.h"
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_TURNS = 7 };
static const size_t mib = 1 << 20;
static size_t part = 1; /* the sizes are divided by this where nothing is measured */

static int turns(void)
{
    return how_long == FULL ? MOST_TURNS : how_long == QUICK ? 4 : 1;
}

/* Maps huge pages and touches them; unmaps them after the time is taken. */
static double by_hand(size_t bytes)
{
    const size_t unit = 2 * mib;
    double start = now_ns();
    char *mapped = mmap(NULL, bytes + unit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        perror("pool: mmap");
        exit(1);
    }
    char *aligned = mapped + (unit - (size_t)mapped % unit) % unit;
    madvise(aligned, bytes, MADV_HUGEPAGE);
    touch(aligned, bytes);
    double took = now_ns() - start;
    munmap(mapped, bytes + unit);
    return took;
}

static void fresh(void)
{
    double samples[MOST_TURNS];
    int count = 0;
    do {
        free_block(allocate_block(64)); /* a pool's initial memory does not count */
        double start = now_ns();
        void *block = allocate_block(256 * mib / part);
        touch(block, 256 * mib / part);
        samples[count++] = now_ns() - start;
        free_block(block);
    } while (count < turns() && allocator_renew());
    print_samples("touch.fresh_256m", samples, count);
#if defined API_HANDLE
    for (int i = 0; i < turns(); i++) {
        samples[i] = by_hand(256 * mib / part);
    }
    print_samples("touch.by_hand_256m", samples, turns());
#endif
}

/* Resident bytes of the block. */
static size_t resident_of(void *block, size_t bytes)
{
    static unsigned char pages[256 << 8];
    char *first = (char *)block + (4096 - (size_t)block % 4096) % 4096;
    size_t count = (bytes - (size_t)(first - (char *)block)) / 4096, found = 0;
    if (mincore(first, count * 4096, pages) != 0) {
        perror("pool: mincore");
        exit(1);
    }
    for (size_t i = 0; i < count; i++) {
        found += pages[i] & 1;
    }
    return found * 4096;
}

static void zeros_fresh(void)
{
    double samples[MOST_TURNS];
    double pages = 0, books = 0; /* the worst counts */
    int count = 0;
    do {
        const size_t bytes = 256 * mib / part;
        free_block(allocate_block(64));
        size_t before = resident();
        double start = now_ns();
        void *block = allocate_zeroed_block(bytes);
        samples[count++] = now_ns() - start;
        if (block == NULL) {
            return;
        }
        size_t after = resident();
        double added = after > before ? (double)(after - before) : 0, own = (double)resident_of(block, bytes);
        books = added > books ? added : books;
        pages = own > pages ? own : pages;
        free_block(block);
    } while (count < turns() && allocator_renew());
    print_samples("touch.zeros_fresh", samples, count);
    print("touch.zeros_resident", pages, pages);
    print("touch.zeros_books", books, books);
}

static double touched(size_t bytes)
{
    double start = now_ns();
    void *block = allocate_block(bytes);
    touch(block, bytes);
    free_block(block);
    return now_ns() - start;
}

static void again(void)
{
    double samples[MOST_TURNS];
    (void)touched(64 * mib / part);
    for (int i = 0; i < turns(); i++) {
        samples[i] = touched(64 * mib / part);
    }
    print_samples("touch.again_64m", samples, turns());
}

static void zeros_again(void)
{
    const size_t bytes = 64 * mib / part;
    double zeros[MOST_TURNS], sets[MOST_TURNS];
    for (int i = 0; i < turns(); i++) {
        char *block = allocate_block(bytes);
        memset(block, 1, bytes);
        double start = now_ns();
        memset(block, 0, bytes);
        __asm__ volatile("" : : "r"(block) : "memory");
        sets[i] = now_ns() - start;
        memset(block, 1, bytes);
        free_block(block);
        start = now_ns();
        block = allocate_zeroed_block(bytes);
        zeros[i] = now_ns() - start;
        if (block == NULL) {
            return;
        }
        if (block[bytes / 2] != 0) {
            allocator_failed("zeros");
        }
        free_block(block);
    }
    print_samples("touch.zeros_again", zeros, turns());
    print_samples("touch.memset", sets, turns());
}

#if defined API_HANDLE
static void array_again(void)
{
    const size_t bytes = 64 * mib / part;
    double samples[MOST_TURNS];
    for (int i = -1; i < turns(); i++) {
        char *data;
        double start = now_ns();
        void *array = allocator_array(bytes, false, &data);
        touch(data, bytes);
        allocator_array_release(array);
        if (i >= 0) {
            samples[i] = now_ns() - start;
        }
    }
    print_samples("touch.array_again_64m", samples, turns());
}

static void array_zeros_again(void)
{
    const size_t bytes = 64 * mib / part;
    double samples[MOST_TURNS];
    for (int i = 0; i < turns(); i++) {
        char *data;
        void *array = allocator_array(bytes, false, &data);
        memset(data, 1, bytes);
        allocator_array_release(array);
        double start = now_ns();
        array = allocator_array(bytes, true, &data);
        samples[i] = now_ns() - start;
        if (data[bytes / 2] != 0) {
            allocator_failed("tn_array_zeros");
        }
        allocator_array_release(array);
    }
    print_samples("touch.array_zeros_again", samples, turns());
}
#endif

void touch_cases(void)
{
    part = how_long == TINY ? 16 : 1;
    pin(0);
    (void)by_hand(512 * mib / part); /* a virtual machine's first use of memory is slow, for every allocator */
    if (wanted("touch.fresh_256m")) {
        fresh();
    }
    if (wanted("touch.zeros_fresh")) {
        zeros_fresh();
    }
    if (wanted("touch.zeros_again")) {
        zeros_again();
    }
    if (wanted("touch.again_64m")) {
        again();
    }
#if defined API_HANDLE
    if (wanted("touch.again_64m")) {
        array_again();
    }
    if (wanted("touch.zeros_again")) {
        array_zeros_again();
    }
#endif
    unpin();
}
