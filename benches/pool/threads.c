/* threads.c - two threads on two cores: own blocks, and blocks that one allocates and the other frees (bar T4). ns per block. */
#define _GNU_SOURCE
#include "allocator.h"
#include "harness.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_WINDOWS = 51 };

/* Short, so the best window is undisturbed by other processes. */
static const struct timespec window_length = {.tv_nsec = 2000000};

static pthread_barrier_t gate;
static atomic_bool stop;
static int windows;

static void begin_threads(int threads)
{
    windows = how_long == FULL ? MOST_WINDOWS : how_long == QUICK ? 21 : 1;
    pthread_barrier_init(&gate, NULL, (unsigned)threads + 1);
}

/* The main thread's side of one window; its ns, by a clock that also runs while a worker waits for a core. */
static double let_run(void)
{
    atomic_store(&stop, false);
    pthread_barrier_wait(&gate);
    double start = now_ns();
    nanosleep(&window_length, NULL);
    double took = now_ns() - start;
    atomic_store(&stop, true);
    pthread_barrier_wait(&gate);
    return took;
}

/* ---- own blocks ---- */
typedef struct worker {
    pthread_t thread;
    int core;
    double ns; /* per block, in this window */
} worker;

static void *own(void *context)
{
    worker *me = context;
    pin(me->core);
    allocator_enter();
    for (int window = 0; window < windows; window++) {
        pthread_barrier_wait(&gate);
        uint64_t turns = 0;
        double start = now_ns();
        do {
            for (int i = 0; i < 256; i++) {
                void *block = allocate_block(64);
                __asm__ volatile("" : : "r"(block) : "memory");
                free_block(block);
            }
            turns += 256;
        } while (!atomic_load_explicit(&stop, memory_order_relaxed));
        me->ns = (now_ns() - start) / (double)turns;
        pthread_barrier_wait(&gate);
    }
    allocator_leave();
    return NULL;
}

/* The mean over the threads, per window. */
static void own_blocks(const char *name, int threads)
{
    worker workers[2];
    double means[MOST_WINDOWS];
    begin_threads(threads);
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){.core = i};
        pthread_create(&workers[i].thread, NULL, own, &workers[i]);
    }
    for (int window = 0; window < windows; window++) {
        (void)let_run();
        means[window] = 0;
        for (int i = 0; i < threads; i++) {
            means[window] += workers[i].ns / threads;
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    pthread_barrier_destroy(&gate);
    print_samples(name, means, windows);
}

/* ---- passed from one to the other, in chunks, so that the queue costs little ---- */
enum { CHUNK = 64, CHUNKS = 16 };

typedef struct passage {
    _Alignas(64) atomic_uint_fast64_t filled; /* chunks, by the allocating thread */
    _Alignas(64) atomic_uint_fast64_t emptied;
    _Alignas(64) void *blocks[CHUNKS][CHUNK];
    size_t size;
    uint64_t passed; /* blocks, in this window */
} passage;

static void wait_a_little(int *spins)
{
    if (++*spins % 256 == 0) {
        sched_yield();
    }
    __builtin_ia32_pause();
}

static void *allocating(void *context)
{
    passage *way = context;
    pin(0);
    allocator_enter();
    uint64_t filled = 0;
    int spins = 0;
    for (int window = 0; window < windows; window++) {
        pthread_barrier_wait(&gate);
        while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
            if (filled - atomic_load_explicit(&way->emptied, memory_order_acquire) == CHUNKS) {
                wait_a_little(&spins); /* then checks `stop` again: the other thread may have ended */
                continue;
            }
            void **chunk = way->blocks[filled % CHUNKS];
            for (int i = 0; i < CHUNK; i++) {
                chunk[i] = allocate_block(way->size);
                *(volatile char *)chunk[i] = 1;
            }
            atomic_store_explicit(&way->filled, ++filled, memory_order_release);
        }
        pthread_barrier_wait(&gate);
    }
    allocator_leave();
    return NULL;
}

static void *freeing(void *context)
{
    passage *way = context;
    pin(1);
    allocator_enter();
    uint64_t emptied = 0;
    int spins = 0;
    for (int window = 0; window < windows; window++) {
        pthread_barrier_wait(&gate);
        uint64_t before = emptied;
        while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
            if (emptied == atomic_load_explicit(&way->filled, memory_order_acquire)) {
                wait_a_little(&spins);
                continue;
            }
            void **chunk = way->blocks[emptied % CHUNKS];
            for (int i = 0; i < CHUNK; i++) {
                free_block(chunk[i]);
            }
            atomic_store_explicit(&way->emptied, ++emptied, memory_order_release);
        }
        way->passed = (emptied - before) * CHUNK;
        pthread_barrier_wait(&gate);
    }
    while (emptied != atomic_load(&way->filled)) { /* blocks that were in the queue at the end */
        for (int i = 0; i < CHUNK; i++) {
            free_block(way->blocks[emptied % CHUNKS][i]);
        }
        atomic_store(&way->emptied, ++emptied);
    }
    allocator_leave();
    return NULL;
}

static void passed(const char *name, size_t size)
{
    static passage way;
    double samples[MOST_WINDOWS];
    pthread_t threads[2];
    atomic_store(&way.filled, 0);
    atomic_store(&way.emptied, 0);
    way.size = size;
    begin_threads(2);
    pthread_create(&threads[0], NULL, allocating, &way);
    pthread_create(&threads[1], NULL, freeing, &way);
    for (int window = 0; window < windows; window++) {
        double took = let_run();
        samples[window] = took / (double)(way.passed > 0 ? way.passed : 1);
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    pthread_barrier_destroy(&gate);
    print_samples(name, samples, windows);
}

void thread_cases(bool backwards)
{
    for (int i = 0; i < 4; i++) {
        int which = backwards ? 3 - i : i;
        if (which > 0 && cores() < 2) {
            continue;
        }
        if (which == 0 && wanted("threads.own_1")) {
            own_blocks("threads.own_1", 1);
        } else if (which == 1 && wanted("threads.own_2")) {
            own_blocks("threads.own_2", 2);
        } else if (which == 2 && wanted("threads.pass_64")) {
            passed("threads.pass_64", 64);
        } else if (which == 3 && wanted("threads.pass_4096")) {
            passed("threads.pass_4096", 4096);
        }
    }
}
