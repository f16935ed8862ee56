/* allocator.c - opens the allocators by name at run time. */
#define _GNU_SOURCE
#include "allocator.h"
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

allocator_calls allocator;

static void *library;

/* Looks up a function of the allocator's library. ISO C cannot convert what dlsym returns. */
static void find(const char *symbol, void *function)
{
    void *found = dlsym(library, symbol);
    if (found == NULL) {
        fprintf(stderr, "pool: no %s in the library: %s\n", symbol, dlerror());
        exit(1);
    }
    memcpy(function, &found, sizeof found);
}

static void load(const char *path)
{
    library = strcmp(path, "-") == 0 ? RTLD_DEFAULT : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL && strcmp(path, "-") != 0) {
        fprintf(stderr, "pool: %s\n", dlerror());
        exit(1);
    }
}

#if defined API_HANDLE

static __typeof__(&tn_last_error) last_error;
static __typeof__(&tn_pool_create) create_pool;
static __typeof__(&tn_pool_release) release_pool;
static __typeof__(&tn_pool_trim) trim_pool;
static __typeof__(&tn_array_empty) array_empty;
static __typeof__(&tn_array_zeros) array_zeros;
static __typeof__(&tn_array_release) array_release;
static __typeof__(&tn_array_borrow_write) borrow_write;
static __typeof__(&tn_borrow_end) borrow_end;

_Noreturn void allocator_failed(const char *what)
{
    fprintf(stderr, "pool: %s: %s\n", what, last_error());
    exit(1);
}

void allocator_open(const char *name, const char *path)
{
    (void)name;
    load(path);
    find("tn_last_error", &last_error);
    find("tn_pool_create", &create_pool);
    find("tn_pool_release", &release_pool);
    find("tn_pool_allocate", &allocator.allocate);
    find("tn_pool_allocate_zeroed", &allocator.zeroed);
    find("tn_pool_deallocate", &allocator.deallocate);
    find("tn_pool_reallocate", &allocator.reallocate);
    find("tn_pool_trim", &trim_pool);
    find("tn_array_empty", &array_empty);
    find("tn_array_zeros", &array_zeros);
    find("tn_array_release", &array_release);
    find("tn_array_borrow_write", &borrow_write);
    find("tn_borrow_end", &borrow_end);
    if (create_pool((tn_device){TN_CPU, 0}, NULL, &allocator.pool) != TN_OK) {
        allocator_failed("tn_pool_create");
    }
}

bool allocator_renew(void)
{
    if (release_pool(allocator.pool) != TN_OK || create_pool((tn_device){TN_CPU, 0}, NULL, &allocator.pool) != TN_OK) {
        allocator_failed("tn_pool_release or tn_pool_create");
    }
    return true;
}

void *allocator_array(size_t bytes, bool zeros, char **data)
{
    const int64_t shape[1] = {(int64_t)bytes};
    tn_array *array;
    tn_borrow *borrow;
    void *at;
    tn_status status = zeros ? array_zeros(allocator.pool, TN_U8, 1, shape, NULL, &array) : array_empty(allocator.pool, TN_U8, 1, shape, NULL, &array);
    if (status != TN_OK || borrow_write(array, 0, NULL, &at, NULL, &borrow) != TN_OK || borrow_end(borrow, 0, NULL) != TN_OK) {
        allocator_failed("an array");
    }
    *data = at;
    return array;
}

void allocator_array_release(void *array)
{
    if (array_release(array) != TN_OK) {
        allocator_failed("tn_array_release");
    }
}

void allocator_enter(void)
{
}

void allocator_leave(void)
{
}

bool allocator_trim(void)
{
    if (trim_pool(allocator.pool, 0, NULL) != TN_OK) {
        allocator_failed("tn_pool_trim");
    }
    return true;
}

#elif defined API_UMF

#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_scalable.h>
#include <umf/providers/provider_os_memory.h>

static __typeof__(&umfPoolTrimMemory) trim_pool;

_Noreturn void allocator_failed(const char *what)
{
    fprintf(stderr, "pool: %s failed\n", what);
    exit(1);
}

static void check(umf_result_t result, const char *what)
{
    if (result != UMF_RESULT_SUCCESS) {
        fprintf(stderr, "pool: %s: UMF's result %d\n", what, (int)result);
        exit(1);
    }
}

/* A pool with default parameters over the provider of system memory. */
void allocator_open(const char *name, const char *path)
{
    __typeof__(&umfOsMemoryProviderParamsCreate) os_params;
    __typeof__(&umfOsMemoryProviderOps) os_ops;
    __typeof__(&umfMemoryProviderCreate) provider_create;
    __typeof__(&umfPoolCreate) pool_create;
    load(path);
    find("umfOsMemoryProviderParamsCreate", &os_params);
    find("umfOsMemoryProviderOps", &os_ops);
    find("umfMemoryProviderCreate", &provider_create);
    find("umfPoolCreate", &pool_create);
    find("umfPoolMalloc", &allocator.allocate);
    find("umfPoolCalloc", &allocator.zeroed);
    find("umfPoolFree", &allocator.deallocate);
    find("umfPoolRealloc", &allocator.reallocate);
    find("umfPoolAlignedMalloc", &allocator.aligned);
    find("umfPoolTrimMemory", &trim_pool);
    umf_os_memory_provider_params_handle_t system;
    umf_memory_provider_handle_t provider;
    check(os_params(&system), "umfOsMemoryProviderParamsCreate");
    check(provider_create(os_ops(), system, &provider), "umfMemoryProviderCreate");
    if (strcmp(name, "umf-scalable") == 0) {
        __typeof__(&umfScalablePoolParamsCreate) params_create;
        __typeof__(&umfScalablePoolOps) ops;
        umf_scalable_pool_params_handle_t params;
        find("umfScalablePoolParamsCreate", &params_create);
        find("umfScalablePoolOps", &ops);
        check(params_create(&params), "umfScalablePoolParamsCreate");
        check(pool_create(ops(), provider, params, 0, &allocator.pool), "umfPoolCreate");
    } else {
        __typeof__(&umfDisjointPoolParamsCreate) params_create;
        __typeof__(&umfDisjointPoolOps) ops;
        umf_disjoint_pool_params_handle_t params;
        find("umfDisjointPoolParamsCreate", &params_create);
        find("umfDisjointPoolOps", &ops);
        check(params_create(&params), "umfDisjointPoolParamsCreate");
        check(pool_create(ops(), provider, params, 0, &allocator.pool), "umfPoolCreate");
    }
}

void allocator_enter(void)
{
}

void allocator_leave(void)
{
}

bool allocator_trim(void)
{
    return trim_pool(allocator.pool, 0) == UMF_RESULT_SUCCESS;
}

bool allocator_renew(void)
{
    return false;
}

#else

/* The table that the small libraries of benches/peers export as PEER. */
typedef struct peer {
    int (*version)(void);
    const char *package;
    void *(*allocate)(size_t);
    void (*deallocate)(void *);
    void *(*zeroed)(size_t, size_t);
    void (*trim)(void);
    void (*enter)(void);
    void (*leave)(void);
    void *(*reallocate)(void *, size_t);
    int (*aligned)(void **, size_t, size_t);
} peer;

static void (*enter_thread)(void), (*leave_thread)(void), (*trim_all)(void);

_Noreturn void allocator_failed(const char *what)
{
    fprintf(stderr, "pool: %s failed\n", what);
    exit(1);
}

static int (*malloc_trim_of)(size_t);

static void trim_malloc(void)
{
    (void)malloc_trim_of(0);
}

/* By mallctl: the calling thread's cache, then every arena's free pages. */
static int (*control)(const char *, void *, size_t *, void *, size_t);

static void trim_jemalloc(void)
{
    (void)control("thread.tcache.flush", NULL, NULL, NULL, 0);
    (void)control("arena.4096.purge", NULL, NULL, NULL, 0); /* 4096: all arenas */
}

static int (*scalable_command)(int, void *);

static void trim_tbb(void)
{
    (void)scalable_command(0, NULL); /* TBBMALLOC_CLEAN_ALL_BUFFERS */
}

static void (*collect)(bool);

static void trim_mimalloc(void)
{
    collect(true);
}

/* Binds the functions, whose names are those of C behind a prefix. */
static void bind(const char *prefix)
{
    const struct {
        const char *name;
        void *function;
    } functions[] = {
        {"malloc", &allocator.allocate},
        {"free", &allocator.deallocate},
        {"calloc", &allocator.zeroed},
        {"realloc", &allocator.reallocate},
        {"posix_memalign", &allocator.aligned},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        char symbol[64];
        snprintf(symbol, sizeof symbol, "%s%s", prefix, functions[i].name);
        find(symbol, functions[i].function);
    }
}

void allocator_open(const char *name, const char *path)
{
    load(path);
    if (strcmp(name, "glibc") == 0 || strcmp(name, "tenure-malloc") == 0) {
        bind("");
        find("malloc_trim", &malloc_trim_of);
        trim_all = trim_malloc;
        if (strcmp(name, "glibc") == 0) {
            printf("# version\tglibc %s\n", gnu_get_libc_version());
        }
    } else if (strcmp(name, "jemalloc") == 0) {
        bind(""); /* preloaded */
        find("mallctl", &control);
        trim_all = trim_jemalloc;
    } else if (strcmp(name, "tcmalloc") == 0) {
        bind("tc_");
        find("MallocExtension_ReleaseFreeMemory", &trim_all);
    } else if (strcmp(name, "tbb") == 0) {
        bind("scalable_");
        find("scalable_allocation_command", &scalable_command);
        trim_all = trim_tbb;
    } else if (strcmp(name, "mimalloc2.0") == 0) {
        bind("mi_");
        find("mi_collect", &collect);
        trim_all = trim_mimalloc;
    } else {
        peer *table = dlsym(library, "PEER");
        if (table == NULL) {
            fprintf(stderr, "pool: there is no allocator %s: %s\n", name, dlerror());
            exit(1);
        }
        allocator = (allocator_calls){table->allocate, table->deallocate, table->zeroed, table->reallocate, table->aligned};
        enter_thread = table->enter;
        leave_thread = table->leave;
        trim_all = table->trim;
        int version = table->version();
        if (version > 0) {
            printf("# version\t%s %d.%d.%d\n", name, version / 10000, version / 100 % 100, version % 100);
        } else {
            printf("# version\t%s\n", table->package);
        }
    }
}

void allocator_enter(void)
{
    if (enter_thread != NULL) {
        enter_thread();
    }
}

void allocator_leave(void)
{
    if (leave_thread != NULL) {
        leave_thread();
    }
}

bool allocator_trim(void)
{
    if (trim_all != NULL) {
        trim_all();
    }
    return trim_all != NULL;
}

bool allocator_renew(void)
{
    return false;
}
#endif
