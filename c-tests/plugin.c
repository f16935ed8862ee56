/* Allocators for other libraries: NumPy's handler and the pair of C++, over pools, with their counts per client. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "tenure_bindings.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* NumPy's own declaration (NEP 49). */
typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t nelem, size_t elsize);
    void *(*realloc)(void *ctx, void *ptr, size_t new_size);
    void (*free)(void *ctx, void *ptr, size_t size);
} PyDataMemAllocator;
typedef struct {
    char name[127];
    uint8_t version;
    PyDataMemAllocator allocator;
} PyDataMem_Handler;
_Static_assert(sizeof(PyDataMem_Handler) == 168, "AL-20: NumPy's struct");

static PyDataMem_Handler *handler_of(tn_pool *pool)
{
    void *out = NULL;
    OK(tn_numpy_handler(pool, &out));
    return out;
}

/* A block for a C++ container; NULL without memory. */
static void *cpp(tn_pool *pool, size_t bytes, size_t alignment)
{
    void *out = NULL;
    return tn_cpp_allocate(pool, bytes, alignment, &out) == TN_OK ? out : NULL;
}

/* The statistics of a client of the pool; zeros if it never allocated. */
static tn_pool_client client_of(tn_pool *pool, tn_client which)
{
    tn_pool_client list[16], none = {.client = which};
    size_t count = 0;
    OK(tn_pool_query_clients(pool, sizeof(tn_pool_client), 16, list, &count));
    for (size_t i = 0; i < count; i++)
        if (list[i].client == which)
            return list[i];
    return none;
}

/* AL-6: the clients' sum equals the bytes in use. */
static void check_sum(tn_pool *pool)
{
    tn_pool_client list[16];
    tn_pool_stats stats = {.size = sizeof stats};
    size_t count = 0;
    uint64_t bytes = 0, blocks = 0, requested = 0;
    OK(tn_pool_query_clients(pool, sizeof(tn_pool_client), 16, list, &count));
    OK(tn_pool_query(pool, &stats));
    for (size_t i = 0; i < count; i++) {
        bytes += list[i].live_bytes;
        blocks += list[i].live_blocks;
        requested += list[i].requested_bytes;
        CHECK(list[i].peak_bytes >= list[i].live_bytes && list[i].name[0] != 0);
    }
    CHECK(bytes == stats.in_use_bytes);
    CHECK(blocks == stats.live_blocks);
    CHECK(requested == stats.requested_bytes);
}

static tn_pool *make(const char *name, uint64_t max_size)
{
    tn_pool_options options = {.size = sizeof options, .name = name, .max_size = max_size};
    tn_pool *pool = NULL;
    OK(tn_pool_create((tn_device){TN_CPU, 0}, &options, &pool));
    return pool;
}

/* AL-70: without libumf in the process there is no pool over a provider of UMF. The tables' versions: c-tests/umf_tables.c. */
static void without_umf(void)
{
    const struct umf_memory_pool_ops_t *table = NULL;
    int (*initialize)(void *provider, const void *params, void **pool) = NULL;
    void *pool = (void *)&pool;
    OK(tn_umf_pool_ops(0x10000, &table));
    memcpy(&initialize, (const char *)table + 8, sizeof initialize);
    CHECK(initialize(&table, NULL, &pool) == 7 && pool == (void *)&pool);
    CHECK(strstr(tn_last_error(), "libumf") != NULL);
}

/* AL-1: the process's very first call is one of a plug-in, on the default pool. AL-2: NULL is the default pool, whatever is current. */
static void c_al_1_first(void)
{
    PyDataMem_Handler *h = handler_of(NULL);
    tn_pool *other = make("other", 0), *home = NULL, *owner = NULL;
    OK(tn_pool_default((tn_device){TN_CPU, 0}, &home));
    OK(tn_pool_set_current(other));
    unsigned char *p = h->allocator.malloc(h->allocator.ctx, 100), *q = cpp(NULL, 10, 1);
    CHECK(p && q);
    CHECK(client_of(home, TN_CLIENT_NUMPY).live_blocks == 1 && client_of(home, TN_CLIENT_CPP).live_blocks == 1);
    CHECK(client_of(other, TN_CLIENT_NUMPY).live_blocks == 0);
    OK(tn_pool_of(p, &owner));
    OK(tn_pool_release(owner));
    OK(tn_pool_set_current(NULL));
    CHECK(strcmp(h->name, "tenure default") == 0 && h->version == 1);
    h->allocator.free(h->allocator.ctx, p, 100);
    OK(tn_cpp_deallocate(NULL, q));
    check_sum(home);
    OK(tn_pool_release(home));
    OK(tn_pool_release(other));
}

/* AL-2: a released pool allocates nothing and accepts every free; its memory goes with the last block. */
static void c_al_2_released(void)
{
    tn_pool *pool = make("gone", 0);
    PyDataMem_Handler *h = handler_of(pool);
    char *p = h->allocator.malloc(h->allocator.ctx, 3000), *q = cpp(pool, 50, 16), *r = cpp(pool, 60, 16);
    memset(p, 1, 3000);
    OK(tn_pool_release(pool));
    CHECK(h->allocator.malloc(h->allocator.ctx, 8) == NULL && strstr(tn_last_error(), "released"));
    FAILS(tn_cpp_allocate(pool, 8, 8, (void **)&r), TN_ERR_STALE);
    CHECK(h->allocator.calloc(h->allocator.ctx, 8, 8) == NULL);
    char *other = h->allocator.realloc(h->allocator.ctx, p, 1 << 20);
    CHECK(other == NULL && p[2999] == 1);
    OK(tn_cpp_deallocate(pool, q));
    OK(tn_cpp_deallocate(NULL, r));
    h->allocator.free(h->allocator.ctx, p, 3000);
    /* The pool has ended; the handler remains. */
    CHECK(h->allocator.malloc(h->allocator.ctx, 8) == NULL);
    h->allocator.free(h->allocator.ctx, p, 3000);
    FAILS(tn_numpy_handler(pool, (void **)&other), TN_ERR_STALE);
}

/* AL-3: cached memory goes first; then the failure value, with a message that has the figures. */
static void c_al_3_failure(void)
{
    tn_pool *pool = make("small", 1 << 20);
    PyDataMem_Handler *h = handler_of(pool);
    void *ctx = h->allocator.ctx, *p[8];
    for (int i = 0; i < 8; i++)
        CHECK((p[i] = h->allocator.malloc(ctx, 100 << 10)) != NULL);
    for (int i = 0; i < 8; i++)
        h->allocator.free(ctx, p[i], 100 << 10);
    CHECK((p[0] = h->allocator.malloc(ctx, 900 << 10)) != NULL); /* only because cached memory was returned */
    CHECK(h->allocator.malloc(ctx, 900 << 10) == NULL);
    CHECK(strstr(tn_last_error(), "tn_numpy_handler: pool \"small\" on {") && strstr(tn_last_error(), "900 KiB asked") &&
          strstr(tn_last_error(), "limit 1 MiB"));
    FAILS(tn_cpp_allocate(pool, 2 << 20, 64, &p[1]), TN_ERR_POOL_LIMIT);
    CHECK(strstr(tn_last_error(), "2 MiB asked"));
    FAILS(tn_cpp_allocate(pool, 8, 8 << 20, &p[1]), TN_ERR_INVALID);
    FAILS(tn_cpp_allocate(pool, 8, 24, &p[1]), TN_ERR_INVALID);
    FAILS(tn_cpp_allocate(pool, 8, 8, NULL), TN_ERR_NULL);
    CHECK(h->allocator.malloc(ctx, SIZE_MAX) == NULL);
    tn_pool_client numpy = client_of(pool, TN_CLIENT_NUMPY), other = client_of(pool, TN_CLIENT_CPP);
    CHECK(numpy.failure_count == 2 && numpy.live_blocks == 1 && numpy.allocation_count == 9);
    CHECK(other.failure_count == 3 && other.allocation_count == 0 && other.misuse_count == 0);
    h->allocator.free(ctx, p[0], 900 << 10);
    OK(tn_pool_release(pool));
}

/* AL-4: a pointer to no block of the named pool is left alone and counted; a wrong size is ignored. */
static void c_al_4_misuse(void)
{
    tn_pool *pool = make("mine", 0), *strange = make("strange", 0);
    PyDataMem_Handler *h = handler_of(pool), *s = handler_of(strange);
    void *ctx = h->allocator.ctx;
    int64_t shape[1] = {1000};
    tn_array *array = NULL;
    tn_borrow *guard = NULL;
    void *bytes = NULL;
    int local = 0;
    OK(tn_array_zeros(pool, TN_F64, 1, shape, NULL, &array));
    OK(tn_array_borrow_read(array, 0, NULL, (const void **)&bytes, NULL, &guard));
    OK(tn_borrow_end(guard, 0, NULL));
    char *p = h->allocator.malloc(ctx, 1000), *q = s->allocator.malloc(s->allocator.ctx, 1000);
    memset(p, 7, 1000);

    h->allocator.free(ctx, NULL, 12);
    CHECK(client_of(pool, TN_CLIENT_NUMPY).misuse_count == 0);
    h->allocator.free(ctx, q, 1000); /* WRONG_POOL */
    CHECK(strstr(tn_last_error(), "\"strange\"") && strstr(tn_last_error(), "\"mine\""));
    h->allocator.free(ctx, bytes, 8000); /* IN_ARRAY */
    CHECK(strstr(tn_last_error(), "backs an array"));
    h->allocator.free(ctx, p + 16, 984); /* INTERIOR */
    h->allocator.free(ctx, &local, 4);   /* UNKNOWN */
    CHECK(h->allocator.realloc(ctx, p + 64, 10) == NULL && h->allocator.realloc(ctx, q, 10) == NULL);
    CHECK(client_of(pool, TN_CLIENT_NUMPY).misuse_count == 6);
    FAILS(tn_cpp_deallocate(pool, q), TN_ERR_FOREIGN);
    CHECK(client_of(pool, TN_CLIENT_CPP).misuse_count == 1);
    tn_pool_stats stats = {.size = sizeof stats};
    OK(tn_pool_query(pool, &stats));
    CHECK(stats.misuse_count == 7);
    CHECK(p[0] == 7 && p[999] == 7);

    CHECK(client_of(pool, TN_CLIENT_NUMPY).mismatch_count == 0);
    h->allocator.free(ctx, p, 5); /* SIZE_MISMATCH: ours counts (AL-22) */
    CHECK(client_of(pool, TN_CLIENT_NUMPY).live_blocks == 0 && client_of(pool, TN_CLIENT_NUMPY).mismatch_count == 1);
    h->allocator.free(ctx, p, 1000); /* DOUBLE_FREE */
    CHECK(client_of(pool, TN_CLIENT_NUMPY).misuse_count == 7);
    s->allocator.free(s->allocator.ctx, q, 1000);
    check_sum(pool);
    OK(tn_array_release(array));
    OK(tn_pool_release(pool));
    OK(tn_pool_release(strange));
}

/* AL-4: with the option the process stops at the first invalid free, with the reason. */
static void c_al_4_abort(void)
{
    int ends[2], state = 0;
    char text[600] = {0};
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        int local = 0;
        OK(tn_option_set("abort_on_misuse", "1"));
        tn_cpp_deallocate(NULL, &local);
        _exit(0);
    }
    close(ends[1]);
    CHECK(waitpid(child, &state, 0) == child && WIFSIGNALED(state) && WTERMSIG(state) == SIGABRT);
    CHECK(read(ends[0], text, sizeof text - 1) > 0 && strstr(text, "is in no block of any pool"));
    close(ends[0]);
}

/* AL-5: alignments. */
static void c_al_5_alignment(void)
{
    tn_pool_options options = {.size = sizeof options, .name = "coarse", .alignment = 8};
    tn_pool *pool = NULL;
    OK(tn_pool_create((tn_device){TN_CPU, 0}, &options, &pool));
    PyDataMem_Handler *h = handler_of(pool);
    for (size_t size = 0; size < 300000; size = size * 3 + 1) {
        void *p = h->allocator.malloc(h->allocator.ctx, size), *q = cpp(pool, size, 1);
        CHECK(p && (uintptr_t)p % 64 == 0);
        CHECK(q && (uintptr_t)q % 16 == 0);
        h->allocator.free(h->allocator.ctx, p, size);
        OK(tn_cpp_deallocate(pool, q));
    }
    for (size_t alignment = 1; alignment <= 4 << 20; alignment *= 2) {
        void *q = cpp(pool, 24, alignment);
        CHECK(q && (uintptr_t)q % alignment == 0);
        OK(tn_cpp_deallocate(pool, q));
    }
    OK(tn_pool_release(pool));
}

/* AL-6, PO-61: clients count separately, and their sum is the bytes in use. */
static void c_al_6_po_61_counts(void)
{
    tn_pool *pool = make("shared", 0);
    PyDataMem_Handler *h = handler_of(pool);
    void *ctx = h->allocator.ctx, *raw = NULL, *n[20], *c[20];
    int64_t shape[1] = {5000};
    tn_array *array = NULL;
    size_t none = 7;
    OK(tn_pool_query_clients(pool, sizeof(tn_pool_client), 0, NULL, &none));
    CHECK(none == 0);
    OK(tn_pool_allocate(pool, 70000, 0, NULL, &raw));
    OK(tn_array_zeros(pool, TN_F64, 1, shape, NULL, &array));
    for (size_t i = 0; i < 20; i++) {
        n[i] = h->allocator.malloc(ctx, 100 + 40000 * (i % 3));
        c[i] = cpp(pool, 10 * i, 8);
        check_sum(pool);
    }
    for (size_t i = 0; i < 20; i += 2) {
        n[i] = h->allocator.realloc(ctx, n[i], 300000 * (i % 4) + 5);
        CHECK(n[i] != NULL);
        check_sum(pool);
    }
    CHECK(client_of(pool, TN_CLIENT_ARRAYS).requested_bytes == 40000 && client_of(pool, TN_CLIENT_RAW).requested_bytes == 70000);
    tn_pool_client numpy = client_of(pool, TN_CLIENT_NUMPY);
    CHECK(numpy.live_blocks == 20 && numpy.allocation_count == 30 && strcmp(numpy.name, "numpy") == 0);
    for (size_t i = 0; i < 20; i++) {
        h->allocator.free(ctx, n[i], 0);
        OK(tn_cpp_deallocate(pool, c[i]));
        check_sum(pool);
    }
    tn_pool_client after = client_of(pool, TN_CLIENT_NUMPY);
    CHECK(after.live_bytes == 0 && after.live_blocks == 0 && after.requested_bytes == 0 && after.peak_bytes >= numpy.live_bytes);
    CHECK(after.misuse_count == 0 && after.failure_count == 0);
    OK(tn_pool_reset_peak(pool));
    CHECK(client_of(pool, TN_CLIENT_NUMPY).peak_bytes == 0);
    OK(tn_pool_deallocate(pool, raw, NULL));
    OK(tn_array_release(array));
    check_sum(pool);
    FAILS(tn_pool_query_clients(pool, sizeof(tn_pool_client), 1, NULL, &none), TN_ERR_NULL);
    FAILS(tn_pool_query_clients(pool, sizeof(tn_pool_client), 0, NULL, NULL), TN_ERR_NULL);
    OK(tn_pool_release(pool));
    FAILS(tn_pool_query_clients(pool, sizeof(tn_pool_client), 0, NULL, &none), TN_ERR_STALE);
}

/* A library's leaks are listed under the library's name. */
static void c_al_24_named(void)
{
    tn_holder found[4];
    size_t count = 0;
    PyDataMem_Handler *h = handler_of(NULL);
    void *p = h->allocator.malloc(h->allocator.ctx, 4000);
    OK(tn_leaks(sizeof(tn_holder), 4, found, &count));
    CHECK(count == 1 && found[0].kind == TN_HOLDER_BLOCK && strcmp(found[0].name, "numpy") == 0 && found[0].bytes == 4096);
    h->allocator.free(h->allocator.ctx, p, 4000);
}

static void *other_thread(void *argument)
{
    void **blocks = argument;
    PyDataMem_Handler *h = handler_of(NULL);
    for (int i = 0; i < 100; i++) /* AL-21: freed in a thread that never used the pool */
        h->allocator.free(h->allocator.ctx, blocks[i], 64);
    for (int i = 0; i < 100; i++)
        blocks[i] = cpp(NULL, 64, 64);
    return NULL;
}

/* AL-1, AL-21: any thread. */
static void c_al_21_threads(void)
{
    PyDataMem_Handler *h = handler_of(NULL);
    void *blocks[100];
    pthread_t thread;
    for (int i = 0; i < 100; i++)
        blocks[i] = h->allocator.malloc(h->allocator.ctx, 64);
    CHECK(pthread_create(&thread, NULL, other_thread, blocks) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < 100; i++)
        OK(tn_cpp_deallocate(NULL, blocks[i]));
}

/* AL-22: calloc that overflows; realloc keeps min(old, new) bytes, also of NULL; size 0. */
static void c_al_22_realloc(void)
{
    PyDataMem_Handler *h = handler_of(NULL);
    void *ctx = h->allocator.ctx;
    CHECK(h->allocator.calloc(ctx, SIZE_MAX / 2, 3) == NULL && strstr(tn_last_error(), "more than can be addressed"));
    CHECK(h->allocator.calloc(ctx, (size_t)1 << 33, (size_t)1 << 33) == NULL);
    unsigned char *p = h->allocator.realloc(ctx, NULL, 100);
    for (int i = 0; i < 100; i++)
        p[i] = (unsigned char)i;
    for (size_t size = 100; size < 3000000; size *= 3) {
        p = h->allocator.realloc(ctx, p, size);
        CHECK(p && (uintptr_t)p % 64 == 0);
        for (int i = 0; i < 100; i++)
            CHECK(p[i] == i);
    }
    CHECK(h->allocator.realloc(ctx, p, SIZE_MAX - 4096) == NULL && p[99] == 99);
    p = h->allocator.realloc(ctx, p, 10);
    CHECK(p && p[9] == 9);
    p = h->allocator.realloc(ctx, p, 0);
    CHECK(p != NULL);
    h->allocator.free(ctx, p, 0);
    /* Zeros, also in reused memory. */
    for (int round = 0; round < 20; round++) {
        unsigned char *z = h->allocator.calloc(ctx, 1000, 3), any = 0;
        for (int i = 0; i < 3000; i++)
            any |= z[i];
        CHECK(any == 0);
        memset(z, 255, 3000);
        h->allocator.free(ctx, z, 3000);
    }
    void *a = h->allocator.malloc(ctx, 0), *b = h->allocator.calloc(ctx, 0, 8);
    CHECK(a && b && a != b);
    h->allocator.free(ctx, a, 0);
    h->allocator.free(ctx, b, 0);
}

/* AL-9: a child allocates, and frees the parent's blocks. */
static void c_al_9_fork(void)
{
    PyDataMem_Handler *h = handler_of(NULL);
    char *p = h->allocator.malloc(h->allocator.ctx, 500);
    int state = -1;
    strcpy(p, "kept");
    pid_t child = fork();
    if (child == 0) {
        char *q = h->allocator.malloc(h->allocator.ctx, 100000);
        int right = q != NULL && strcmp(p, "kept") == 0;
        h->allocator.free(h->allocator.ctx, q, 100000);
        h->allocator.free(h->allocator.ctx, p, 500);
        _exit(right && client_of(NULL, TN_CLIENT_NUMPY).live_blocks == 0 && check_failures == 0 ? 0 : 1);
    }
    CHECK(waitpid(child, &state, 0) == child && WIFEXITED(state) && WEXITSTATUS(state) == 0);
    CHECK(strcmp(p, "kept") == 0 && client_of(NULL, TN_CLIENT_NUMPY).live_blocks == 1);
    h->allocator.free(h->allocator.ctx, p, 500);
}

/* AL-11: one object per pool. */
static void c_al_11_same(void)
{
    tn_pool *a = make("a", 0), *b = make("b", 0), *again = NULL;
    PyDataMem_Handler *of_a = handler_of(a);
    void *p = of_a->allocator.malloc(of_a->allocator.ctx, 8), *untouched = &check_failures;
    OK(tn_pool_of(p, &again));
    CHECK(handler_of(a) == of_a && handler_of(again) == of_a && handler_of(b) != of_a && handler_of(NULL) == handler_of(NULL));
    CHECK(strcmp(of_a->name, "tenure a") == 0);
    tn_pool_stats of = {.size = sizeof of}, other = {.size = sizeof other};
    OK(tn_pool_query(a, &of));
    OK(tn_pool_query(again, &other));
    CHECK(of.serial == other.serial && of.serial != 0);
    OK(tn_pool_query(b, &other));
    CHECK(of.serial != other.serial);
    of_a->allocator.free(of_a->allocator.ctx, p, 8);
    FAILS(tn_numpy_handler(a, NULL), TN_ERR_NULL);
    FAILS(tn_numpy_handler((tn_pool *)untouched, &untouched), TN_ERR_KIND);
    CHECK(untouched == &check_failures);
    OK(tn_pool_release(again));
    OK(tn_pool_release(a));
    OK(tn_pool_release(b));
}

static void *late;

/* AL-1, AL-10: the last calls of the process. */
static void at_exit(void)
{
    PyDataMem_Handler *h = handler_of(NULL);
    h->allocator.free(h->allocator.ctx, late, 100);
    void *p = cpp(NULL, 1000, 8);
    if (!p || tn_cpp_deallocate(NULL, p) != TN_OK || client_of(NULL, TN_CLIENT_NUMPY).live_blocks != 0 || check_failures)
        _exit(9);
}

int main(void)
{
    c_al_1_first();
    without_umf();
    c_al_2_released();
    c_al_3_failure();
    c_al_4_misuse();
    c_al_4_abort();
    c_al_5_alignment();
    c_al_6_po_61_counts();
    c_al_24_named();
    c_al_21_threads();
    c_al_22_realloc();
    c_al_9_fork();
    c_al_11_same();
    int result = finish();
    late = handler_of(NULL)->allocator.malloc(handler_of(NULL)->allocator.ctx, 100);
    atexit(at_exit);
    return result;
}
