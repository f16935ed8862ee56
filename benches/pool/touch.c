/*
 * touch.c - large blocks with every page touched: fresh, again, and zeroed (bars T8, T9, T10). ns.
 *
 *     fresh_256m     a block that the process never had: allocate, touch, free
 *     again_64m      the same block over and over
 *     zeros_fresh    256 MiB of zeros, not touched; zeros_resident: the bytes that this made resident
 *     zeros_again    64 MiB of zeros after a block of that size was written and freed; memset: of such a block
 *     by_hand_256m   (handle) 256 MiB of huge pages by mmap and madvise, touched, unmapped
 *     array_*        (handle) the same with arrays
 */
#define _GNU_SOURCE
#include "door.h"
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_TURNS = 9 };
static const size_t mib = 1 << 20;
static size_t part = 1; /* of the sizes, where nothing is measured */

static int turns(void)
{
    return how_long == FULL ? MOST_TURNS : how_long == QUICK ? 5 : 1;
}

/* Maps so many bytes of huge pages, touches them, and unmaps them. */
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
    munmap(mapped, bytes + unit);
    return now_ns() - start;
}

static double touched(size_t bytes)
{
    double start = now_ns();
    void *block = take(bytes);
    touch(block, bytes);
    give(block);
    return now_ns() - start;
}

/* The first blocks of the process, or of a new pool where there are pools. */
static void fresh(void)
{
    double samples[MOST_TURNS], zeros[MOST_TURNS], added[MOST_TURNS];
    int count = 0;
    do {
        size_t before = resident();
        double start = now_ns();
        void *block = take_zeroed(256 * mib / part);
        zeros[count] = now_ns() - start;
        size_t after = resident();
        added[count] = after > before ? (double)(after - before) : 0;
        give(block);
        door_trim();
        if (door_renew()) {
            give(take(64)); /* a new pool's own books are no part of it */
        }
        samples[count++] = touched(256 * mib / part);
    } while (count < turns() && door_renew());
    print_samples("touch.zeros_fresh", zeros, count);
    double most = 0;
    for (int i = 0; i < count; i++) {
        most = added[i] > most ? added[i] : most;
    }
    print("touch.zeros_resident", most, most); /* bytes: the worst counts */
    print_samples("touch.fresh_256m", samples, count);
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
        char *block = take(bytes);
        memset(block, 1, bytes);
        double start = now_ns();
        memset(block, 0, bytes);
        __asm__ volatile("" : : "r"(block) : "memory");
        sets[i] = now_ns() - start;
        memset(block, 1, bytes);
        give(block);
        start = now_ns();
        block = take_zeroed(bytes);
        zeros[i] = now_ns() - start;
        if (block[bytes / 2] != 0) {
            door_failed("zeros");
        }
        give(block);
    }
    print_samples("touch.zeros_again", zeros, turns());
    print_samples("touch.memset", sets, turns());
}

#if defined DOOR_HANDLE
static void arrays(void)
{
    const size_t bytes = 64 * mib / part;
    double again_ns[MOST_TURNS], zeros[MOST_TURNS];
    for (int i = -1; i < turns(); i++) {
        double start = now_ns();
        char *data;
        void *array = door_array(bytes, false, &data);
        touch(data, bytes);
        door_array_release(array);
        if (i >= 0) {
            again_ns[i] = now_ns() - start;
        }
    }
    for (int i = 0; i < turns(); i++) {
        char *data;
        void *array = door_array(bytes, false, &data);
        memset(data, 1, bytes);
        door_array_release(array);
        double start = now_ns();
        array = door_array(bytes, true, &data);
        zeros[i] = now_ns() - start;
        if (data[bytes / 2] != 0) {
            door_failed("tn_array_zeros");
        }
        door_array_release(array);
    }
    print_samples("touch.array_again_64m", again_ns, turns());
    print_samples("touch.array_zeros_again", zeros, turns());
}
#endif

void touch_cases(void)
{
    part = how_long == TINY ? 16 : 1;
    pin(0);
    (void)by_hand(512 * mib / part); /* memory new to a virtual machine comes slowly once, whoever asks */
    fresh();
    again();
    zeros_again();
#if defined DOOR_HANDLE
    arrays();
    double samples[MOST_TURNS];
    for (int i = 0; i < turns(); i++) {
        samples[i] = by_hand(256 * mib / part);
    }
    print_samples("touch.by_hand_256m", samples, turns());
#endif
    unpin();
}
