/*
 * replay.c - the allocations of a recorded program, in its order, on one thread.
 *
 * `tenure_event_log::operations` writes the file, and its documentation has the format. The program runs the operations many times. Its first
 * run, in which all memory is new, measures the memory:
 *     .memory    peak resident / peak live bytes. Resident bytes are read at the peak of live bytes and at 256 other places
 * and the others the time per allocation with its free; a reallocation counts as an allocation:
 *     .run       each byte of a block is written once, when it is allocated; page faults count
 *     .calls     no byte is written: the allocator's work alone
 */
#define _GNU_SOURCE
#include "allocator.h"
#include "harness.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALLOCATE, FREE, REALLOCATE };

typedef struct operation {
    uint8_t action;
    uint8_t alignment_log2; /* 0: none requested */
    uint16_t zero;
    uint32_t slot;
    uint64_t bytes;
} operation;

typedef struct file {
    char magic[8];
    uint64_t version, count, slots, peak_bytes, peak_at, zeros[2];
    operation operations[];
} file;

typedef struct held {
    char *block;
    size_t size;
} held;

static const file *recorded;
static held *slots; /* has pages of its own, touched at the start, so it does not affect the measurement */

static _Noreturn void refuse(const char *path, const char *what)
{
    fprintf(stderr, "pool: %s: %s\n", path, what);
    exit(1);
}

static void open_slots(const char *path)
{
    size_t bytes = (size_t)recorded->slots * sizeof *slots + 1;
    slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED) {
        refuse(path, "no memory for its slots");
    }
    memset(slots, 0, bytes);
}

/* Maps the file, and checks that each operation finds its slot as it needs it, so that the measured loop has no checks. */
static void open_file(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (descriptor < 0 || fstat(descriptor, &about) != 0) {
        perror(path);
        exit(1);
    }
    size_t bytes = (size_t)about.st_size;
    void *mapped = bytes < sizeof(file) ? MAP_FAILED : mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
    close(descriptor);
    recorded = mapped;
    if (mapped == MAP_FAILED || memcmp(recorded->magic, "TNREPLAY", 8) != 0 || recorded->version != 1) {
        refuse(path, "no file of operations");
    }
    if (recorded->count != (bytes - sizeof(file)) / sizeof(operation) || recorded->slots > recorded->count || recorded->peak_at >= recorded->count) {
        refuse(path, "its numbers do not fit its length");
    }
    open_slots(path);
    uint64_t live = 0;
    for (uint64_t i = 0; i < recorded->count; i++) {
        const operation *op = &recorded->operations[i];
        if (op->action > REALLOCATE || op->slot >= recorded->slots || op->alignment_log2 > 22 || (op->bytes == 0) != (op->action == FREE) ||
            (slots[op->slot].size == 0) != (op->action == ALLOCATE)) {
            refuse(path, "an operation that its slot does not permit");
        }
        live += op->action == ALLOCATE;
        live -= op->action == FREE;
        slots[op->slot].size = op->bytes;
    }
    if (live != 0) {
        refuse(path, "blocks that are never freed");
    }
}

static inline char *new_block(const operation *op)
{
    return op->alignment_log2 > 4 ? allocate_aligned_block(op->bytes, (size_t)1 << op->alignment_log2) : allocate_block(op->bytes);
}

/* As a program would that cannot resize. */
static char *resize_by_copy(const held *old, size_t size)
{
    char *block = allocate_block(size);
    memcpy(block, old->block, old->size < size ? old->size : size);
    free_block(old->block);
    return block;
}

static inline __attribute__((always_inline)) void execute(const operation *op, bool writes)
{
    held *slot = &slots[op->slot];
    if (op->action == FREE) {
        free_block(slot->block);
        return;
    }
    size_t known = 0;
    if (op->action == ALLOCATE) {
        slot->block = new_block(op);
    } else {
        char *moved = reallocate_block(slot->block, op->bytes);
        slot->block = moved != NULL ? moved : resize_by_copy(slot, op->bytes);
        known = slot->size;
    }
    if (writes && op->bytes > known) {
        memset(slot->block + known, 1, op->bytes - known);
    }
    slot->size = op->bytes;
}

static void run_writing(void)
{
    for (uint64_t i = 0; i < recorded->count; i++) {
        execute(&recorded->operations[i], true);
    }
}

static void run_calls(void)
{
    for (uint64_t i = 0; i < recorded->count; i++) {
        execute(&recorded->operations[i], false);
    }
}

/* The most bytes that are resident during a run, beside those of before. */
static size_t run_looking(void)
{
    enum { LOOKS = 256 };
    size_t base = resident(), most = base;
    uint64_t every = recorded->count / LOOKS + 1;
    for (uint64_t i = 0; i < recorded->count; i++) {
        execute(&recorded->operations[i], true);
        if (i == recorded->peak_at || i % every == 0) {
            size_t bytes = resident();
            most = bytes > most ? bytes : most;
        }
    }
    return most - base;
}

static void print_part(const char *name, const char *part, double *samples, int count)
{
    char full[128];
    snprintf(full, sizeof full, "replay.%s.%s", name, part);
    print_samples(full, samples, count);
}

/* Runs for a time, at least once. */
static void measure_runs(const char *name, const char *part, void (*run)(void), double blocks)
{
    enum { MOST_RUNS = 51 };
    const double enough_ns = how_long == FULL ? 5e8 : how_long == QUICK ? 1e8 : 0;
    double samples[MOST_RUNS], begun = now_ns();
    int count = 0;
    do {
        double start = now_ns();
        run();
        samples[count++] = (now_ns() - start) / blocks;
    } while (count < MOST_RUNS && now_ns() - begun < enough_ns);
    print_part(name, part, samples, count);
}

void replay_case(const char *name, const char *path)
{
    open_file(path);
    double blocks = 0;
    for (uint64_t i = 0; i < recorded->count; i++) {
        blocks += recorded->operations[i].action != FREE;
    }
    if (blocks == 0) {
        refuse(path, "no allocation to replay");
    }
    pin(0);
    free_block(allocate_block(64)); /* an allocator's initial memory does not count */
    (void)resident();
    double memory = (double)run_looking() / (double)recorded->peak_bytes;
    print_part(name, "memory", &memory, 1);
    measure_runs(name, "run", run_writing, blocks);
    measure_runs(name, "calls", run_calls, blocks);
    unpin();
}
