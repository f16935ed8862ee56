/* alloc.c - one thread, one core: a lone block, batches, many live blocks, large blocks (bars T1, T2, T3). Small blocks are not touched. */
#include "allocator.h"
#include "harness.h"
#include <string.h>

enum { BATCH = 100, MANY = 10000 };

static size_t mixed[MANY]; /* evenly distributed from 8 to 4096 bytes */
static int shuffled[MANY]; /* the order of frees */

static void prepare(void)
{
    uint64_t random = 0x9E3779B97F4A7C15u;
    for (int i = 0; i < MANY; i++) {
        mixed[i] = uniform(&random, 8, 4096);
        shuffled[i] = i;
    }
    for (int i = MANY - 1; i > 0; i--) {
        int other = (int)uniform(&random, 0, (size_t)i);
        int kept = shuffled[i];
        shuffled[i] = shuffled[other];
        shuffled[other] = kept;
    }
}

static inline void lone(size_t size, uint64_t turns)
{
    while (turns-- > 0) {
        void *block = allocate_block(size);
        __asm__ volatile("" : : "r"(block) : "memory"); /* makes the compiler assume a use */
        free_block(block);
    }
}

static inline void batch(size_t size, uint64_t turns)
{
    void *blocks[BATCH];
    while (turns-- > 0) {
        for (int i = 0; i < BATCH; i++) {
            blocks[i] = allocate_block(size != 0 ? size : mixed[i]);
        }
        for (int i = 0; i < BATCH; i++) {
            free_block(blocks[i]);
        }
    }
}

static inline void order(size_t size, bool shuffle, uint64_t turns)
{
    static void *blocks[MANY];
    while (turns-- > 0) {
        for (int i = 0; i < MANY; i++) {
            blocks[i] = allocate_block(size != 0 ? size : mixed[i]);
        }
        for (int i = MANY; i-- > 0;) {
            free_block(blocks[shuffle ? shuffled[i] : i]);
        }
    }
}

static inline void large(size_t size, uint64_t turns)
{
    while (turns-- > 0) {
        volatile char *block = allocate_block(size);
        block[size / 2] = 1;
        free_block((void *)block);
    }
}

#define CASE(name, ...)               \
    static void name(uint64_t turns)  \
    {                                 \
        __VA_ARGS__;                  \
    }

CASE(lone_16, lone(16, turns))
CASE(lone_64, lone(64, turns))
CASE(lone_256, lone(256, turns))
CASE(lone_4096, lone(4096, turns))
CASE(batch_64, batch(64, turns))
CASE(batch_mixed, batch(0, turns))
CASE(order_64_lifo, order(64, false, turns))
CASE(order_64_shuffled, order(64, true, turns))
CASE(order_mixed_lifo, order(0, false, turns))
CASE(order_mixed_shuffled, order(0, true, turns))
CASE(large_64k, large(64 << 10, turns))
CASE(large_1m, large(1 << 20, turns))
CASE(large_64m, large(64 << 20, turns))

#define ROW(name, blocks) {"alloc." #name, name, blocks}
static const bench_case cases[] = {
    ROW(lone_16, 1),
    ROW(lone_64, 1),
    ROW(lone_256, 1),
    ROW(lone_4096, 1),
    ROW(batch_64, BATCH),
    ROW(batch_mixed, BATCH),
    ROW(order_64_lifo, MANY),
    ROW(order_64_shuffled, MANY),
    ROW(order_mixed_lifo, MANY),
    ROW(order_mixed_shuffled, MANY),
    ROW(large_64k, 1),
    ROW(large_1m, 1),
    ROW(large_64m, 1),
};
enum { CASES = sizeof cases / sizeof *cases };

void alloc_cases(bool backwards)
{
    prepare();
    pin(0);
    for (int i = 0; i < CASES; i++) {
        const bench_case *one = &cases[backwards ? CASES - 1 - i : i];
        if (wanted(one->name)) {
            measure(one);
        }
    }
    unpin();
}

bool alloc_one(const char *name, uint64_t turns)
{
    prepare();
    for (int i = 0; i < CASES; i++) {
        if (strcmp(name, cases[i].name) == 0) {
            cases[i].run(turns);
            return true;
        }
    }
    return false;
}
