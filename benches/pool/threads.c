/*
 * threads.c - threads on cores of their own: own blocks, and blocks that one thread allocates and another frees (bar T4). ns per block.
 *
 * The cases scale.N.* run N threads, near each other or on NUMA nodes in turn: `cargo xtask bench pool --threads`.
 */
#define _GNU_SOURCE
#include "allocator.h"
#include "harness.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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

/* ---- where threads run ---- */

enum { MOST_THREADS = 256, MOST_NODES = 64 };

/* The NUMA node of one of the process's cores. */
static int node_of(int cpu)
{
    for (int node = 0; node < MOST_NODES; node++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
        if (access(path, F_OK) == 0) {
            return node;
        }
    }
    return 0;
}

/* The process's cores, numbered as `pin` does: one node after the other, or the nodes in turn. Returns the number of nodes. */
static int order_cores(bool in_turn, int *order)
{
    static int nodes[CPU_SETSIZE];
    cpu_set_t set;
    unpin();
    sched_getaffinity(0, sizeof set, &set);
    int count = 0, found = 0, done = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            nodes[count++] = node_of(cpu);
        }
    }
    for (int round = 0; done < count; round++) {
        for (int node = 0; node < MOST_NODES && done < count; node++) {
            int of_node = 0;
            for (int nth = 0; nth < count; nth++) {
                if (nodes[nth] == node && (!in_turn || of_node == round)) {
                    order[done++] = nth;
                }
                of_node += nodes[nth] == node;
            }
            found += round == 0 && of_node > 0;
        }
    }
    return found;
}

/* The core of each thread. */
static int place[CPU_SETSIZE];

/* ---- own blocks ---- */

typedef struct worker {
    pthread_t thread;
    int number;
    /* Allocates and frees some blocks, and returns their number. */
    int (*turn)(struct worker *me);
    uint64_t random;
    void *blocks[256];
    _Alignas(64) double ns; /* per block, in this window */
} worker;

/* One block of 64 bytes after the other. */
static int small_blocks(worker *me)
{
    (void)me;
    for (int i = 0; i < 256; i++) {
        void *block = allocate_block(64);
        __asm__ volatile("" : : "r"(block) : "memory");
        free_block(block);
    }
    return 256;
}

/* Some of 256 live blocks of 16 to 4096 bytes are replaced. */
static int mixed_blocks(worker *me)
{
    for (int i = 0; i < 64; i++) {
        void **block = &me->blocks[next_random(&me->random) % 256];
        if (*block != NULL) {
            free_block(*block);
        }
        *block = allocate_block(log_uniform(&me->random, 16, 4096));
    }
    return 64;
}

/* Eight arrays of 256 KiB, which live together: more than a thread keeps. */
static int arrays(worker *me)
{
    for (int i = 0; i < 8; i++) {
        me->blocks[i] = allocate_block(256 << 10);
    }
    for (int i = 0; i < 8; i++) {
        free_block(me->blocks[i]);
        me->blocks[i] = NULL;
    }
    return 8;
}

static void *own(void *context)
{
    worker *me = context;
    pin(place[me->number]);
    allocator_enter();
    for (int window = 0; window < windows; window++) {
        pthread_barrier_wait(&gate);
        uint64_t blocks = 0;
        double start = now_ns();
        do {
            blocks += (uint64_t)me->turn(me);
        } while (!atomic_load_explicit(&stop, memory_order_relaxed));
        me->ns = (now_ns() - start) / (double)blocks;
        pthread_barrier_wait(&gate);
    }
    for (int i = 0; i < 256; i++) {
        if (me->blocks[i] != NULL) {
            free_block(me->blocks[i]);
        }
    }
    allocator_leave();
    return NULL;
}

/* The mean over the threads, per window. */
static void own_blocks(const char *name, int threads, int (*turn)(worker *))
{
    static worker workers[MOST_THREADS];
    double means[MOST_WINDOWS];
    begin_threads(threads);
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){.number = i, .turn = turn, .random = 0x9E3779B97F4A7C15u + (uint64_t)i};
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
    int first; /* the number of the allocating thread; the next one frees */
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
    pin(place[way->first]);
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
    pin(place[way->first + 1]);
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

/* Pairs of threads; the mean over the pairs, per window. */
static void passed(const char *name, int threads, size_t size)
{
    static passage ways[MOST_THREADS / 2];
    double samples[MOST_WINDOWS];
    pthread_t both[MOST_THREADS];
    begin_threads(threads);
    for (int i = 0; i < threads; i += 2) {
        passage *way = &ways[i / 2];
        atomic_store(&way->filled, 0);
        atomic_store(&way->emptied, 0);
        way->size = size;
        way->first = i;
        pthread_create(&both[i], NULL, allocating, way);
        pthread_create(&both[i + 1], NULL, freeing, way);
    }
    for (int window = 0; window < windows; window++) {
        double took = let_run();
        samples[window] = 0;
        for (int i = 0; i < threads / 2; i++) {
            samples[window] += took / (double)(ways[i].passed > 0 ? ways[i].passed : 1) / (threads / 2);
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(both[i], NULL);
    }
    pthread_barrier_destroy(&gate);
    print_samples(name, samples, windows);
}

void thread_cases(bool backwards)
{
    (void)order_cores(false, place);
    for (int i = 0; i < 4; i++) {
        int which = backwards ? 3 - i : i;
        if (which > 0 && cores() < 2) {
            continue;
        }
        if (which == 0 && wanted("threads.own_1")) {
            own_blocks("threads.own_1", 1, small_blocks);
        } else if (which == 1 && wanted("threads.own_2")) {
            own_blocks("threads.own_2", 2, small_blocks);
        } else if (which == 2 && wanted("threads.pass_64")) {
            passed("threads.pass_64", 2, 64);
        } else if (which == 3 && wanted("threads.pass_4096")) {
            passed("threads.pass_4096", 2, 4096);
        }
    }
}

/* The cases of a number of threads in one placement. */
static void scaled(int threads, const char *placement)
{
    static const struct {
        const char *name;
        int (*turn)(worker *);
    } cases[] = {{"small", small_blocks}, {"mixed", mixed_blocks}, {"arrays", arrays}, {"passed", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        snprintf(name, sizeof name, "scale.%d.%s.%s", threads, cases[i].name, placement);
        if (!wanted(name)) {
            continue;
        }
        if (cases[i].turn != NULL) {
            own_blocks(name, threads, cases[i].turn);
        } else if (threads % 2 == 0) {
            passed(name, threads, 64);
        }
    }
}

void scale_cases(void)
{
    for (int in_turn = 0; in_turn < 2; in_turn++) {
        int nodes = order_cores(in_turn != 0, place);
        printf("# nodes\t%d\n", nodes);
        if (in_turn && nodes == 1) {
            break;
        }
        for (int threads = 1; threads <= cores() && threads <= MOST_THREADS; threads++) {
            scaled(threads, in_turn ? "far" : "near");
        }
    }
}
