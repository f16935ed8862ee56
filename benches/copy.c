/*
 * copy.c - copies and clearing of plain arrays through the C API, beside the processor's and the C library's own (bars T11, T12).
 *
 *     copy forwards|backwards        one round: a line "case <tab> minimum <tab> median" per case, in ns a turn
 *
 * `cargo xtask bench copy` runs the rounds, one process each, and compares. All cases of a size work on one pair of arrays and take turns
 * sample by sample, so that other load on the machine affects them alike. One thread runs on one core. The case of two threads has a worker
 * thread on a second core, as a runner would provide.
 */
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tenure.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define OK(call) ((call) == TN_OK ? (void)0 : fail(#call))

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "copy: %s: %s\n", what, tn_last_error());
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- what the cases work on ---- */
static tn_array *source, *target;
static char *from, *to;
static size_t bytes;

static char *data_of(tn_array *array)
{
    void *data;
    tn_borrow *guard;
    OK(tn_array_borrow_write(array, 0, NULL, &data, NULL, &guard));
    OK(tn_borrow_end(guard, 0, NULL));
    return data;
}

static void prepare(size_t size)
{
    bytes = size;
    const int64_t shape[1] = {(int64_t)size};
    const uint8_t value = 3;
    OK(tn_array_full(NULL, TN_U8, 1, shape, &value, NULL, &source));
    OK(tn_array_full(NULL, TN_U8, 1, shape, &value, NULL, &target));
    from = data_of(source);
    to = data_of(target);
}

static void tidy(void)
{
    OK(tn_array_release(source));
    OK(tn_array_release(target));
}

/* ---- the cases ---- */
static void ours(void)
{
    OK(tn_array_copy_into(source, target, 0, NULL));
}

static void library(void)
{
    memcpy(to, from, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
}

static void our_zero(void)
{
    OK(tn_array_clear(target, 0, NULL));
}

static void library_set(void)
{
    memset(to, 0, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
}

#if defined(__x86_64__)
static void strings(void)
{
    void *d = to;
    const void *s = from;
    size_t n = bytes;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

static void strings_set(void)
{
    void *d = to;
    size_t n = bytes;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(0) : "memory");
}

__attribute__((target("avx512f"))) static void streamed_wide(void)
{
    for (size_t at = 0; at < bytes; at += 256) {
        __m512i a = _mm512_loadu_si512(from + at), b = _mm512_loadu_si512(from + at + 64);
        __m512i c = _mm512_loadu_si512(from + at + 128), d = _mm512_loadu_si512(from + at + 192);
        _mm512_stream_si512((void *)(to + at), a);
        _mm512_stream_si512((void *)(to + at + 64), b);
        _mm512_stream_si512((void *)(to + at + 128), c);
        _mm512_stream_si512((void *)(to + at + 192), d);
    }
    _mm_sfence();
}

static void streamed(void)
{
    if (__builtin_cpu_supports("avx512f")) {
        streamed_wide();
        return;
    }
    for (size_t at = 0; at < bytes; at += 64) {
        for (size_t part = 0; part < 64; part += 16) {
            _mm_stream_si128((void *)(to + at + part), _mm_loadu_si128((const void *)(from + at + part)));
        }
    }
    _mm_sfence();
}
#endif

/* ---- two threads: the calling one, and one that waits on another core ---- */
static cpu_set_t allowed;
static tn_task handed_task;
static void *handed_argument;
static _Atomic int handed; /* 1: there is work, 2: the program ends */

static void pin(int nth)
{
    int cpu = -1;
    for (int seen = -1; seen < nth;) {
        seen += CPU_ISSET(++cpu, &allowed) != 0;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void *help(void *context)
{
    pin(1);
    for (;;) {
        int state = atomic_load_explicit(&handed, memory_order_acquire);
        if (state == 2) {
            return context;
        }
        if (state == 1) {
            handed_task(handed_argument, 1);
            atomic_store_explicit(&handed, 0, memory_order_release);
        }
    }
}

static void run(void *context, tn_task task, void *argument, size_t count)
{
    (void)context;
    if (count > 1) {
        handed_task = task;
        handed_argument = argument;
        atomic_store_explicit(&handed, 1, memory_order_release);
    }
    task(argument, 0);
    while (atomic_load_explicit(&handed, memory_order_acquire) == 1) {
    }
}

static const tn_runner none = {.size = sizeof(tn_runner)}, two = {.size = sizeof(tn_runner), .run = run, .threads = 2};

static void ours_on_two(void)
{
    OK(tn_runner_set_current(&two));
    ours();
    OK(tn_runner_set_current(&none));
}

/* ---- measuring ---- */
typedef struct {
    const char *name;
    void (*turn)(void);
} kind;

/* Measures on one core. */
static const kind alone[] = {
    {"tenure", ours},
    {"memcpy", library},
    {"tenure_zero", our_zero},
    {"memset", library_set},
#if defined(__x86_64__)
    {"streamed", streamed},
    {"rep_movsb", strings},
    {"rep_stosb", strings_set},
#endif
};
/* Measures with the worker on a second core, which spins and so disturbs other cases. */
static const kind together[] = {{"tenure_beside_two", ours}, {"tenure_two", ours_on_two}};

enum { MOST_KINDS = 8, MOST_SAMPLES = 101 };

typedef struct {
    const char *name;
    size_t bytes;
    int samples;
    int turns;
} size;

static const size sizes[] = {{"64k", 64 << 10, 101, 64}, {"4m", 4 << 20, 51, 4}, {"256m", 256 << 20, 5, 1}};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const kind *kinds, int count, const size *of, int backwards)
{
    static double taken[MOST_KINDS][MOST_SAMPLES];
    for (int sample = -1; sample < of->samples; sample++) { /* the first one is a warm-up */
        for (int i = 0; i < count; i++) {
            int at = backwards ? count - 1 - i : i;
            double start = now_ns();
            for (int turn = 0; turn < of->turns; turn++) {
                kinds[at].turn();
            }
            if (sample >= 0) {
                taken[at][sample] = (now_ns() - start) / of->turns;
            }
        }
    }
    for (int i = 0; i < count; i++) {
        qsort(taken[i], (size_t)of->samples, sizeof **taken, ascending);
        printf("%s_%s\t%.3f\t%.3f\n", kinds[i].name, of->name, taken[i][0], taken[i][of->samples / 2]);
    }
}

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

int main(int argc, char **argv)
{
    int backwards = argc == 2 && strcmp(argv[1], "backwards") == 0;
    if (argc != 2 || (!backwards && strcmp(argv[1], "forwards") != 0)) {
        fprintf(stderr, "usage: copy forwards|backwards\n");
        return 2;
    }
    sched_getaffinity(0, sizeof allowed, &allowed);
    (void)setpriority(PRIO_PROCESS, 0, -20); /* if permitted: other processes should not share the core */
    printf("# glibc\t%s\n# cores\t%d\n", gnu_get_libc_version(), CPU_COUNT(&allowed));
    int second = CPU_COUNT(&allowed) > 1;
    pin(0);
    for (int i = 0; i < COUNT(sizes); i++) {
        prepare(sizes[i].bytes);
        measure(alone, COUNT(alone), &sizes[i], backwards);
        if (second && sizes[i].bytes > 1 << 20) {
            pthread_t helper;
            atomic_store(&handed, 0);
            pthread_create(&helper, NULL, help, NULL);
            measure(together, COUNT(together), &sizes[i], backwards);
            atomic_store(&handed, 2);
            pthread_join(helper, NULL);
        }
        tidy();
    }
    return 0;
}
