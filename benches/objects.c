/*
 * objects.c - the cost of bookkeeping, in nanoseconds, through the C API of the staged library (bars T15 to T19, T21, SV-22, FN-43).
 *
 *     objects forwards|backwards     one round: a line "case <tab> minimum <tab> median" per case, in ns a turn
 *     objects one <case> <turns>     runs one case alone, for profilers
 *
 * `cargo xtask bench objects` runs the rounds, one process each, and compares. Each call's status is checked. Beside Tenure's cases run
 * those of a program without it: malloc and free, a pair of compare-exchanges, a mutex, a call into a library. One-thread cases run on one
 * core. An idle thread is alive, because glibc is faster in processes of one thread.
 */
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tenure.h>
#include <time.h>
#include <unistd.h>

#define OK(call) ((call) == TN_OK ? (void)0 : fail(#call))

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "objects: %s: %s\n", what, tn_last_error());
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- what the cases work on ---- */
static tn_array *matrix; /* 64 x 8 float64 */
static tn_array *column; /* 64 x 1 float64 */
static tn_array *given;  /* 8 float64 */
static tn_array *arguments[4];  /* 8 float64 each */
static tn_shared *variables[2]; /* 8 float64 each */
static tn_function *function;   /* 4 inputs, 2 outputs, an update of each variable */

/* Leaves the buffers of an earlier call in all places: what remains is the library's work. */
static tn_status keep_spares(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context;
    for (int i = 0; i < 2; i++) {
        if (out[i] == NULL && tn_array_copy(in[i], NULL, NULL, &out[i]) != TN_OK) {
            return TN_ERR_FAILED;
        }
        if (update[i] == NULL && tn_array_copy(in[i], NULL, NULL, &update[i]) != TN_OK) {
            return TN_ERR_FAILED;
        }
    }
    return TN_OK;
}

static void prepare(void)
{
    OK(tn_array_empty(NULL, TN_F64, 2, (int64_t[]){64, 8}, NULL, &matrix));
    OK(tn_array_empty(NULL, TN_F64, 2, (int64_t[]){64, 1}, NULL, &column));
    OK(tn_array_empty(NULL, TN_F64, 1, (int64_t[]){8}, NULL, &given));
    tn_in in[4];
    tn_out out[2];
    tn_update update[2];
    for (int i = 0; i < 4; i++) {
        in[i] = (tn_in){.size = sizeof *in, .ndim = -1};
    }
    for (int i = 0; i < 2; i++) {
        tn_array *zeros;
        OK(tn_array_zeros(NULL, TN_F64, 1, (int64_t[]){8}, NULL, &zeros));
        OK(tn_shared_create(zeros, TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, NULL, &variables[i], NULL));
        OK(tn_array_release(zeros));
        OK(tn_array_zeros(NULL, TN_F64, 1, (int64_t[]){8}, NULL, &arguments[i]));
        OK(tn_array_zeros(NULL, TN_F64, 1, (int64_t[]){8}, NULL, &arguments[i + 2]));
        out[i] = (tn_out){.size = sizeof *out, .flags = TN_REUSE, .ndim = -1};
        update[i] = (tn_update){.size = sizeof *update, .target = variables[i], .flags = TN_REUSE};
    }
    const tn_function_options options = {.size = sizeof options, .body = keep_spares, .n_in = 4, .n_out = 2, .n_update = 2,
                                         .inputs = in, .outputs = out, .updates = update};
    OK(tn_function_create(&options, &function));
}

static void tidy(void)
{
    OK(tn_function_release(function));
    for (int i = 0; i < 2; i++) {
        OK(tn_shared_release(variables[i]));
    }
    for (int i = 0; i < 4; i++) {
        OK(tn_array_release(arguments[i]));
    }
    OK(tn_array_release(matrix));
    OK(tn_array_release(column));
    OK(tn_array_release(given));
}

/* ---- the cost without Tenure ---- */
static void library_call(uint64_t turns)
{
    while (turns-- > 0) {
        (void)tn_version();
    }
}

static void malloc_free(uint64_t turns)
{
    while (turns-- > 0) {
        void *block = malloc(96);
        __asm__ volatile("" : : "r"(block) : "memory"); /* hides from the compiler that the two cancel out */
        free(block);
    }
}

static void compare_exchange(uint64_t turns)
{
    static _Alignas(64) _Atomic uint64_t word;
    while (turns-- > 0) {
        uint64_t seen = 0;
        atomic_compare_exchange_strong(&word, &seen, 1);
        seen = 1;
        atomic_compare_exchange_strong(&word, &seen, 0);
    }
}

static void mutex(uint64_t turns)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    while (turns-- > 0) {
        pthread_mutex_lock(&lock);
        pthread_mutex_unlock(&lock);
    }
}

/* ---- T15..17 ---- */
static void create(uint64_t turns)
{
    const int64_t shape[1] = {8};
    while (turns-- > 0) {
        tn_array *array;
        OK(tn_array_empty(NULL, TN_F64, 1, shape, NULL, &array));
        OK(tn_array_release(array));
    }
}

static void borrow_read(uint64_t turns)
{
    while (turns-- > 0) {
        const void *data;
        tn_borrow *borrow;
        OK(tn_array_borrow_read(matrix, 0, NULL, &data, NULL, &borrow));
        OK(tn_borrow_end(borrow, 0, NULL));
    }
}

static inline void borrow_to_write(uint64_t turns, tn_write_mode mode)
{
    while (turns-- > 0) {
        void *data;
        tn_borrow *borrow;
        OK(tn_array_borrow_write(matrix, mode, NULL, &data, NULL, &borrow));
        OK(tn_borrow_end(borrow, 0, NULL));
    }
}

static void borrow_write(uint64_t turns)
{
    borrow_to_write(turns, TN_WRITE_ALIASED);
}

/* A writer of all elements, as kernels and copies open. */
static void borrow_overwrite(uint64_t turns)
{
    borrow_to_write(turns, TN_WRITE_DISCARD);
}

static void borrow_view(uint64_t turns)
{
    while (turns-- > 0) {
        tn_view_info view;
        tn_borrow *borrow;
        OK(tn_array_borrow_read(matrix, 0, NULL, NULL, &view, &borrow));
        OK(tn_borrow_end(borrow, 0, NULL));
    }
}

static void give_take(uint64_t turns)
{
    while (turns-- > 0) {
        tn_promise *promise;
        tn_array *taken;
        OK(tn_array_give(given, 1, &promise));
        OK(tn_take(1, &promise, &taken));
        OK(tn_array_release(given));
        OK(tn_promise_release(promise));
        given = taken;
    }
}

/* Lends four arrays to a callee that keeps none of them. */
static void enter_leave(uint64_t turns)
{
    void *params[4] = {matrix, column, given, matrix};
    while (turns-- > 0) {
        tn_array *parameters[4];
        tn_scope *scope;
        OK(tn_enter(4, params, parameters, &scope));
        OK(tn_leave(scope, 0, NULL));
    }
}

/* ---- SV-22, FN-43: shared variables and functions ---- */
static void shared_get(uint64_t turns)
{
    while (turns-- > 0) {
        tn_array *value;
        OK(tn_shared_get(variables[0], TN_RAW | TN_BORROW, &value, NULL));
        OK(tn_array_release(value));
    }
}

/* Four arguments, two outputs and two updates. Nothing is copied or allocated. */
static void function_call(uint64_t turns)
{
    while (turns-- > 0) {
        tn_array *out[2];
        OK(tn_function_call(function, 4, arguments, 2, out, NULL, NULL));
        OK(tn_array_release(out[0]));
        OK(tn_array_release(out[1]));
    }
}

/* ---- T18 ---- */
#define VIEW(name, ...)                   \
    static void name(uint64_t turns)      \
    {                                     \
        while (turns-- > 0) {             \
            tn_array *view;               \
            OK(__VA_ARGS__);              \
            OK(tn_array_release(view));   \
        }                                 \
    }

static const tn_slice_spec rows[1] = {{.start = 8, .stop = 56, .step = 2}};
VIEW(another, tn_array_clone(matrix, &view))
VIEW(reshape, tn_array_reshape(matrix, 2, (int64_t[]){32, 16}, TN_ORDER_C, &view))
VIEW(ravel, tn_array_ravel(matrix, TN_ORDER_C, &view))
VIEW(transpose, tn_array_transpose(matrix, &view))
VIEW(permute, tn_array_permute(matrix, 2, (int32_t[]){1, 0}, &view))
VIEW(slice, tn_array_slice(matrix, 1, rows, &view))
VIEW(row, tn_array_index(matrix, 0, 3, &view))
VIEW(squeeze, tn_array_squeeze(column, 0, NULL, &view))
VIEW(expand, tn_array_expand(matrix, 0, &view))
VIEW(broadcast, tn_array_broadcast(matrix, 3, (int64_t[]){4, 64, 8}, &view))
VIEW(view_dtype, tn_array_view_dtype(matrix, TN_I64, &view))

/* ---- T19: DLPack's structs, as version 1.1 defines them ---- */
struct DLManagedTensorVersioned {
    uint32_t major, minor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned *);
    uint64_t flags;
    void *data;
    tn_device device;
    int32_t ndim;
    tn_dtype dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
};
typedef struct DLManagedTensorVersioned tensor;

static void dlpack_export(uint64_t turns)
{
    const tn_dlpack_options shared = {.size = sizeof shared, .flags = TN_REQUIRE_BORROW | TN_EXPORT_WRITABLE};
    while (turns-- > 0) {
        tensor *out;
        OK(tn_array_export_dlpack_versioned(matrix, &shared, &out, NULL));
        out->deleter(out);
    }
}

static int64_t deletions;

static void count_deletion(tensor *foreign)
{
    (void)foreign;
    deletions++;
}

static void dlpack_import(uint64_t turns)
{
    static _Alignas(256) double bytes[8];
    static int64_t shape[1] = {8}, strides[1] = {1};
    tensor foreign = {.major = 1, .minor = 1, .deleter = count_deletion, .data = bytes, .device = {TN_CPU, 0}, .ndim = 1,
                      .dtype = TN_F64, .shape = shape, .strides = strides};
    int64_t wanted = deletions + (int64_t)turns;
    while (turns-- > 0) {
        tn_array *array;
        OK(tn_array_import_dlpack_versioned(&foreign, TN_BORROW, &array, NULL));
        OK(tn_array_release(array));
    }
    if (deletions != wanted) {
        fprintf(stderr, "objects: a deleter was not called once per import\n");
        exit(1);
    }
}

static const struct {
    const char *name;
    void (*run)(uint64_t turns);
} cases[] = {
    {"library_call", library_call}, {"malloc_free", malloc_free}, {"compare_exchange", compare_exchange}, {"mutex", mutex},
    {"create", create}, {"borrow_read", borrow_read}, {"borrow_write", borrow_write}, {"borrow_overwrite", borrow_overwrite}, {"borrow_view", borrow_view},
    {"give_take", give_take}, {"enter_leave", enter_leave},
    {"shared_get", shared_get}, {"function_call", function_call}, {"clone", another}, {"reshape", reshape}, {"ravel", ravel}, {"transpose", transpose},
    {"permute", permute}, {"slice", slice}, {"index", row}, {"squeeze", squeeze}, {"expand", expand},
    {"broadcast", broadcast}, {"view_dtype", view_dtype}, {"dlpack_export", dlpack_export}, {"dlpack_import", dlpack_import},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- one thread ---- */
enum { SAMPLES = 101 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Samples are short, so the minimum is a sample during which no other process had the core. */
static void measure(int i)
{
    const double sample_ns = 2e5;
    uint64_t turns = 64;
    for (;;) {
        double start = now_ns();
        cases[i].run(turns);
        double took = now_ns() - start;
        if (took > sample_ns / 4) {
            turns = (uint64_t)((double)turns * sample_ns / took) + 1;
            break;
        }
        turns *= 2;
    }
    double samples[SAMPLES];
    for (int s = 0; s < SAMPLES; s++) {
        double start = now_ns();
        cases[i].run(turns);
        samples[s] = (now_ns() - start) / (double)turns;
    }
    qsort(samples, SAMPLES, sizeof *samples, ascending);
    printf("%s\t%.3f\t%.3f\n", cases[i].name, samples[0], samples[SAMPLES / 2]);
}

/* ---- T21: several threads read one store ---- */
enum { WINDOWS = 15, MOST_THREADS = 16 };
static cpu_set_t allowed;
static pthread_barrier_t gate;
static atomic_bool stop;

typedef struct reader {
    pthread_t thread;
    int cpu;
    double ns; /* per turn, in this window */
} reader;

static void pin(int nth)
{
    int cpu = -1;
    for (int seen = 0; seen <= nth;) {
        cpu = (cpu + 1) % CPU_SETSIZE;
        seen += CPU_ISSET(cpu, &allowed) != 0;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void *read_on(void *context)
{
    reader *me = context;
    pin(me->cpu);
    for (int window = 0; window < WINDOWS; window++) {
        pthread_barrier_wait(&gate);
        uint64_t turns = 0;
        double start = now_ns();
        while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
            borrow_read(32);
            turns += 32;
        }
        me->ns = (now_ns() - start) / (double)turns;
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

/* Per window: the mean ns per turn over the threads, and the slowest thread's turns as a part of the mean. */
static void measure_threads(int n)
{
    static reader readers[MOST_THREADS];
    double means[WINDOWS], shares[WINDOWS];
    pthread_barrier_init(&gate, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        readers[i].cpu = i;
        pthread_create(&readers[i].thread, NULL, read_on, &readers[i]);
    }
    for (int window = 0; window < WINDOWS; window++) {
        atomic_store(&stop, false);
        pthread_barrier_wait(&gate);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        atomic_store(&stop, true);
        pthread_barrier_wait(&gate);
        double rate = 0, least = 1e9;
        for (int i = 0; i < n; i++) {
            rate += 1 / readers[i].ns / n;
            least = 1 / readers[i].ns < least ? 1 / readers[i].ns : least;
        }
        means[window] = 1 / rate;
        shares[window] = least / rate;
    }
    for (int i = 0; i < n; i++) {
        pthread_join(readers[i].thread, NULL);
    }
    pthread_barrier_destroy(&gate);
    qsort(means, WINDOWS, sizeof *means, ascending);
    qsort(shares, WINDOWS, sizeof *shares, ascending);
    printf("threads_%d\t%.3f\t%.3f\n", n, means[0], means[WINDOWS / 2]);
    printf("slowest_of_%d\t%.3f\t%.3f\n", n, shares[0], shares[WINDOWS / 2]);
}

static void *idle(void *context)
{
    pause();
    return context;
}

int main(int argc, char **argv)
{
    sched_getaffinity(0, sizeof allowed, &allowed);
    (void)setpriority(PRIO_PROCESS, 0, -20); /* if permitted: other processes should not share the core */
    prepare();
    if (argc == 4 && strcmp(argv[1], "one") == 0) {
        for (int i = 0; i < CASES; i++) {
            if (strcmp(argv[2], cases[i].name) == 0) {
                cases[i].run(strtoull(argv[3], NULL, 10));
                tidy();
                return 0;
            }
        }
    }
    int backwards = argc == 2 && strcmp(argv[1], "backwards") == 0;
    if (argc != 2 || (!backwards && strcmp(argv[1], "forwards") != 0)) {
        fprintf(stderr, "usage: objects forwards|backwards, or objects one <case> <turns>\n");
        return 2;
    }
    pthread_t sleeper;
    pthread_create(&sleeper, NULL, idle, NULL);
    printf("# glibc\t%s\n# cores\t%d\n", gnu_get_libc_version(), CPU_COUNT(&allowed));
    pin(0);
    for (int i = 0; i < CASES; i++) {
        measure(backwards ? CASES - 1 - i : i);
    }
    sched_setaffinity(0, sizeof allowed, &allowed);
    for (int n = 2; n <= MOST_THREADS; n *= 8) {
        if (CPU_COUNT(&allowed) >= n) {
            measure_threads(n);
        }
    }
    tidy();
    return 0;
}
