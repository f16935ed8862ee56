/* UMF's tables of operations, AL-70 to AL-80, called as libumf calls them, over a provider that fails when it is told to.
   This program is its own libumf: it has the functions that a pool looks for in the process. */
#define _DEFAULT_SOURCE
#include "helpers.h"
#include "umf_structs.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)

enum { READ = 0, WRITE = 1, PROGRAMMATIC = 1 };

/* ---- a provider, and libumf's functions that call it ---- */
#define PIECES 1024
typedef struct {
    struct { char *start; size_t bytes; char *mapping; size_t mapped; } pieces[PIECES];
    size_t count, bytes, budget, calls, wrong, purged, page;
    size_t largest_alignment; /* larger ones are refused with `refusal`, as CUDA does; 0: none is */
    int refusal;
    int hidden; /* the host cannot access the memory */
    int answer;
    void *pool; /* the provider calls it, if it is set */
    pthread_mutex_t lock;
} Memory;

int umfMemoryProviderAlloc(void *provider, size_t size, size_t alignment, void **ptr);
int umfMemoryProviderFree(void *provider, void *ptr, size_t size);
int umfMemoryProviderGetMinPageSize(void *provider, const void *ptr, size_t *page);
int umfMemoryProviderPurgeLazy(void *provider, void *ptr, size_t size);

static void calls_back(Memory *m);

int umfMemoryProviderAlloc(void *provider, size_t size, size_t alignment, void **ptr)
{
    Memory *m = provider;
    int answer = SUCCESS;
    if (m->pool != NULL)
        calls_back(m);
    pthread_mutex_lock(&m->lock);
    m->calls++;
    m->wrong += size % m->page != 0 || (alignment != 0 && alignment % m->page != 0 && m->page % alignment != 0);
    if (m->largest_alignment != 0 && alignment > m->largest_alignment) {
        answer = m->refusal;
    } else if (m->answer != SUCCESS || m->bytes + size > m->budget || m->count == PIECES) {
        answer = m->answer != SUCCESS ? m->answer : OUT_OF_HOST_MEMORY;
    } else {
        size_t i = 0;
        while (m->pieces[i].start != NULL)
            i++;
        int protection = m->hidden ? PROT_NONE : PROT_READ | PROT_WRITE;
        if (alignment == 0)
            alignment = m->page;
        size_t mapped = size + alignment + m->page;
        char *wide = mmap(NULL, mapped, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        char *start = (char *)(((uintptr_t)wide + alignment - 1) / alignment * alignment);
        if (m->largest_alignment != 0) /* Never better aligned than it says. */
            start += (uintptr_t)start % (2 * m->largest_alignment) == 0 ? m->largest_alignment : 0;
        if (!m->hidden)
            memset(start, 0x5a, size < 65536 ? size : 65536);
        m->pieces[i].start = start;
        m->pieces[i].bytes = size;
        m->pieces[i].mapping = wide;
        m->pieces[i].mapped = mapped;
        m->count++;
        m->bytes += size;
        *ptr = start;
    }
    pthread_mutex_unlock(&m->lock);
    return answer;
}

/* AL-71: with the pointer and size of the allocation. */
int umfMemoryProviderFree(void *provider, void *ptr, size_t size)
{
    Memory *m = provider;
    size_t i = 0;
    pthread_mutex_lock(&m->lock);
    while (i < PIECES && !(m->pieces[i].start == ptr && m->pieces[i].bytes == size))
        i++;
    if (i < PIECES) {
        munmap(m->pieces[i].mapping, m->pieces[i].mapped);
        m->pieces[i].start = NULL;
        m->count--;
        m->bytes -= size;
    } else {
        m->wrong++;
    }
    pthread_mutex_unlock(&m->lock);
    return i < PIECES ? SUCCESS : INVALID_ARGUMENT;
}

int umfMemoryProviderGetMinPageSize(void *provider, const void *ptr, size_t *page)
{
    (void)ptr;
    *page = ((Memory *)provider)->page;
    return SUCCESS;
}

int umfMemoryProviderPurgeLazy(void *provider, void *ptr, size_t size)
{
    (void)ptr;
    ((Memory *)provider)->purged += size;
    return SUCCESS;
}

static Memory *memory(void)
{
    Memory *m = calloc(1, sizeof *m);
    m->budget = SIZE_MAX / 2;
    m->page = 4096;
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

static void memory_over(Memory *m)
{
    CHECK(m->count == 0 && m->bytes == 0 && m->wrong == 0);
    free(m);
}

static int inside(Memory *m, const void *at, size_t bytes)
{
    const char *p = at;
    for (size_t i = 0; i < PIECES; i++)
        if (m->pieces[i].start != NULL && p >= m->pieces[i].start && p + bytes <= m->pieces[i].start + m->pieces[i].bytes)
            return 1;
    return 0;
}

static const Pool *ops;
static const Provider *provider_ops;

static void *pool_over(Memory *m, const tn_pool_options *options)
{
    void *pool = NULL;
    CHECK(ops->initialize(m, options, &pool) == SUCCESS && pool != NULL);
    return pool;
}

static int control(const void *which, void *of, const char *name, void *arg, size_t size, int query, ...)
{
    va_list args;
    va_start(args, query);
    int result = which == ops ? ops->ext_ctl(of, PROGRAMMATIC, name, arg, size, query, args)
                              : provider_ops->ext_ctl(of, PROGRAMMATIC, name, arg, size, query, args);
    va_end(args);
    return result;
}

static uint64_t figure(void *pool, const char *name)
{
    uint64_t value = 0xdeadbeef;
    CHECK(control(ops, pool, name, &value, sizeof value, READ) == SUCCESS);
    return value;
}

/* AL-70: a static table for each version. */
static void versions(void)
{
    const struct umf_memory_pool_ops_t *pool = UNTOUCHED;
    const struct umf_memory_provider_ops_t *provider = UNTOUCHED;
    static const uint32_t others[] = {0, 0xffff, 0x20000, 0xffffffff};
    FAILS(tn_umf_pool_ops(0x10000, NULL), TN_ERR_NULL);
    FAILS(tn_umf_provider_ops(0x10000, NULL), TN_ERR_NULL);
    for (int i = 0; i < 4; i++) {
        FAILS(tn_umf_pool_ops(others[i], &pool), TN_ERR_UNSUPPORTED);
        FAILS(tn_umf_provider_ops(others[i], &provider), TN_ERR_UNSUPPORTED);
    }
    CHECK(pool == UNTOUCHED && provider == UNTOUCHED);
    for (uint32_t minor = 0; minor < 9; minor++) {
        const struct umf_memory_pool_ops_t *again = NULL;
        OK(tn_umf_pool_ops(0x10000 + minor, &pool));
        OK(tn_umf_pool_ops(0x10000 + minor, &again));
        CHECK(pool == again && pool->version == 0x10000 + (minor < 1 ? minor : 1));
        OK(tn_umf_provider_ops(0x10000 + minor, &provider));
        CHECK(provider->version == 0x10000 + (minor < 2 ? minor : 2));
        CHECK(provider->get_ipc_handle_size != NULL && provider->get_ipc_handle != NULL && provider->put_ipc_handle != NULL);
        CHECK(provider->open_ipc_handle != NULL && provider->close_ipc_handle != NULL);
        CHECK(provider->properties[0] == NULL && provider->properties[1] == NULL);
        CHECK(provider->merge != NULL && provider->split != NULL && pool->free != NULL);
    }
    ops = pool;
    provider_ops = provider;
}

/* AL-71: memory only from the provider, no metadata in it, and everything goes back, also live blocks. */
static void slabs(void)
{
    for (int page = 0; page < 2; page++) {
        Memory *m = memory();
        m->page = page ? 2 * MIB : 4096;
        void *pool = pool_over(m, NULL), *blocks[300];
        CHECK(m->calls == 0);
        for (size_t i = 0; i < 300; i++) {
            size_t size = i % 10 == 0 ? 100000 + i * 3000 : i * 7;
            blocks[i] = ops->malloc(pool, size);
            CHECK(blocks[i] != NULL && inside(m, blocks[i], size));
            /* The library writes nothing into the memory. */
            memset(blocks[i], (int)i, size);
        }
        for (size_t i = 0; i < 300; i += 2)
            CHECK(ops->free(pool, blocks[i]) == SUCCESS);
        for (size_t i = 1; i < 300; i += 2)
            for (size_t at = 0; at < i * 7; at++)
                CHECK(((unsigned char *)blocks[i])[at] == (unsigned char)i);
        CHECK(figure(pool, "stats.reserved") == m->bytes && m->bytes > 0);
        CHECK(ops->finalize(pool) == SUCCESS);
        memory_over(m);
    }
}

/* AL-72 */
static void plain_blocks(void)
{
    Memory *m = memory();
    void *pool = pool_over(m, NULL), *blocks[2000];
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i < 1000 ? 0 : i - 1000, usable = 1;
        blocks[i] = ops->malloc(pool, size);
        CHECK(blocks[i] != NULL && (uintptr_t)blocks[i] % 16 == 0);
        CHECK(ops->malloc_usable_size(pool, blocks[i], &usable) == SUCCESS && (usable == 0 || usable >= size));
        memset(blocks[i], (int)i, usable);
    }
    for (size_t i = 0; i < 2000; i++) {
        size_t usable = 0;
        ops->malloc_usable_size(pool, blocks[i], &usable);
        for (size_t at = 0; at < usable; at++)
            CHECK(((unsigned char *)blocks[i])[at] == (unsigned char)i);
        CHECK(ops->free(pool, blocks[i]) == SUCCESS);
    }
    CHECK(ops->malloc(pool, SIZE_MAX) == NULL && ops->get_last_allocation_error(pool) == INVALID_ARGUMENT);
    /* calloc clears fresh memory, which this provider does not, and reused memory. */
    for (int round = 0; round < 3; round++)
        for (size_t size = 1; size < MIB; size = size * 3 + 1) {
            unsigned char *zero = ops->calloc(pool, size, 3);
            for (size_t i = 0; i < size * 3; i++)
                CHECK(zero[i] == 0);
            memset(zero, 0xaa, size * 3);
            CHECK(ops->free(pool, zero) == SUCCESS);
        }
    CHECK(ops->calloc(pool, SIZE_MAX / 2, 3) == NULL && ops->get_last_allocation_error(pool) == INVALID_ARGUMENT);
    size_t none = 7;
    CHECK(ops->malloc_usable_size(pool, NULL, &none) == SUCCESS && none == 0);
    CHECK(ops->malloc_usable_size(pool, &none, &none) == INVALID_ARGUMENT);
    CHECK(ops->finalize(pool) == SUCCESS);
    memory_over(m);
}

/* AL-73 */
static void resizing(void)
{
    Memory *m = memory();
    void *pool = pool_over(m, NULL);
    unsigned char *block = ops->realloc(pool, NULL, 10), *next;
    CHECK(block != NULL);
    memset(block, 7, 10);
    size_t had = 10;
    for (size_t size = 11; size < 3 * MIB; size = size * 2 + 5) {
        next = ops->realloc(pool, block, size);
        CHECK(next != NULL);
        for (size_t i = 0; i < had; i++)
            CHECK(next[i] == 7);
        memset(next, 7, size);
        block = next, had = size;
    }
    m->answer = OUT_OF_HOST_MEMORY;
    CHECK(ops->realloc(pool, block, 500 * MIB) == NULL && ops->get_last_allocation_error(pool) == OUT_OF_HOST_MEMORY);
    CHECK(ops->realloc(pool, block, SIZE_MAX) == NULL && ops->get_last_allocation_error(pool) == INVALID_ARGUMENT);
    for (size_t i = 0; i < had; i++)
        CHECK(block[i] == 7);
    m->answer = SUCCESS;
    uint64_t blocks = figure(pool, "stats.alloc_count");
    CHECK(blocks == 1 && ops->realloc(pool, block, 0) == NULL && figure(pool, "stats.alloc_count") == 0);
    CHECK(ops->free(pool, block) == INVALID_ARGUMENT);
    CHECK(ops->finalize(pool) == SUCCESS);
    memory_over(m);
}

/* AL-74 */
static void alignments(void)
{
    static const size_t wrong[] = {5, 3, 6, 24, 48, 4097, 8 * MIB, (size_t)1 << 63, SIZE_MAX};
    Memory *m = memory();
    void *pool = pool_over(m, NULL);
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2)
        for (int whole = 0; whole < 2; whole++) {
            char *block = ops->aligned_malloc(pool, whole ? alignment : 1, alignment);
            CHECK(block != NULL && (uintptr_t)block % alignment == 0);
            memset(block, 1, whole ? alignment : 1);
            CHECK(ops->free(pool, block) == SUCCESS);
        }
    for (int i = 0; i < 9; i++)
        CHECK(ops->aligned_malloc(pool, 100, wrong[i]) == NULL && ops->get_last_allocation_error(pool) == INVALID_ALIGNMENT);
    /* 0 is the default alignment, as in UMF's own pools. */
    for (size_t size = 0; size < MIB; size = size * 5 + 1) {
        void *block = ops->aligned_malloc(pool, size, 0);
        CHECK(block != NULL && (uintptr_t)block % 16 == 0 && ops->free(pool, block) == SUCCESS);
    }
    CHECK(ops->finalize(pool) == SUCCESS);
    memory_over(m);
}

/* AL-71, AL-74: a provider that cannot align as the pool needs it, as UMF's CUDA provider. */
static void provider_that_cannot_align(void)
{
    static const int refusals[] = {INVALID_ALIGNMENT, NOT_SUPPORTED};
    for (int round = 0; round < 4; round++) {
        Memory *m = memory();
        m->page = round < 2 ? 4096 : 512;
        m->largest_alignment = round < 2 ? 4096 : 512;
        m->refusal = refusals[round % 2];
        void *pool = pool_over(m, NULL), *blocks[64];
        for (size_t i = 0; i < 64; i++) {
            blocks[i] = i % 2 ? ops->malloc(pool, i * 20000) : ops->aligned_malloc(pool, i * 20000, (size_t)64 << (i % 16));
            CHECK(blocks[i] != NULL && inside(m, blocks[i], i * 20000));
            CHECK(i % 2 || (uintptr_t)blocks[i] % ((size_t)64 << (i % 16)) == 0);
            memset(blocks[i], (int)i, i * 20000);
        }
        for (size_t i = 0; i < 64; i += 3)
            CHECK(ops->free(pool, blocks[i]) == SUCCESS);
        CHECK(ops->ext_trim_memory(pool, 0) == SUCCESS && m->wrong == 0);
        m->budget = 0;
        CHECK(ops->malloc(pool, 8 * MIB) == NULL && ops->get_last_allocation_error(pool) == OUT_OF_HOST_MEMORY);
        CHECK(ops->finalize(pool) == SUCCESS);
        memory_over(m);
    }
}

/* AL-72, AL-73: what needs access to the memory is refused where the host has none, and nothing else is. */
static void memory_that_the_host_cannot_access(void)
{
    static const tn_pool_flags kinds[] = {0, TN_POOL_STRICT, TN_POOL_ZERO_ON_FREE, TN_POOL_DIRECT};
    for (int kind = 0; kind < 8; kind++) {
        Memory *m = memory();
        m->hidden = 1;
        tn_pool_options options = {.size = sizeof options, .flags = kinds[kind % 4], .initial_size = kind / 4 * MIB};
        void *pool = pool_over(m, &options), *blocks[100];
        int refused = 0;
        for (size_t size = 1; size < 3 * MIB; size = size * 7 + 1) {
            CHECK(ops->calloc(pool, size, 3) == NULL && ops->get_last_allocation_error(pool) == NOT_SUPPORTED);
            char *block = ops->malloc(pool, size);
            CHECK(block != NULL && inside(m, block, size));
            uint64_t live = figure(pool, "stats.alloc_count");
            char *grown = ops->realloc(pool, block, 20 * size + 1000);
            /* In place, if there is free memory behind the block. */
            CHECK(grown == block || (grown == NULL && ops->get_last_allocation_error(pool) == NOT_SUPPORTED));
            CHECK(live == 1 && figure(pool, "stats.alloc_count") == live);
            refused += grown == NULL;
            size_t usable = 0;
            CHECK(ops->malloc_usable_size(pool, block, &usable) == SUCCESS && usable >= size);
            CHECK(ops->realloc(pool, block, usable) == block);
            CHECK(ops->free(pool, block) == SUCCESS && ops->free(pool, block) == INVALID_ARGUMENT);
        }
        CHECK(refused > 0);
        for (size_t i = 0; i < 100; i++)
            CHECK((blocks[i] = ops->aligned_malloc(pool, i * 3000, 256)) != NULL);
        for (size_t i = 0; i < 100; i++)
            CHECK(ops->free(pool, blocks[i]) == SUCCESS);
        CHECK(ops->ext_trim_memory(pool, 0) == SUCCESS && ops->finalize(pool) == SUCCESS);
        memory_over(m);
    }
}

static void *fails_elsewhere(void *pool)
{
    CHECK(ops->aligned_malloc(pool, 1, 3) == NULL && ops->get_last_allocation_error(pool) == INVALID_ALIGNMENT);
    return NULL;
}

/* AL-75 */
static void errors(void)
{
    static const int answers[] = {OUT_OF_HOST_MEMORY, PROVIDER_SPECIFIC, OUT_OF_RESOURCES, 6, 0x7ffffffe};
    Memory *m = memory();
    void *pool = pool_over(m, NULL), *first = ops->malloc(pool, 100);
    pthread_t thread;
    for (int i = 0; i < 5; i++) {
        m->answer = answers[i];
        CHECK(ops->malloc(pool, 3 * MIB) == NULL && ops->get_last_allocation_error(pool) == answers[i]);
        /* Per thread. */
        pthread_create(&thread, NULL, fails_elsewhere, pool);
        pthread_join(thread, NULL);
        CHECK(ops->get_last_allocation_error(pool) == answers[i]);
        CHECK(ops->calloc(pool, 3, MIB) == NULL && ops->aligned_malloc(pool, 3 * MIB, 64) == NULL);
        CHECK(ops->get_last_allocation_error(pool) == answers[i]);
    }
    /* The provider was not called this time, so the error is not its own. */
    CHECK(ops->malloc(pool, SIZE_MAX) == NULL && ops->get_last_allocation_error(pool) == INVALID_ARGUMENT);
    m->answer = SUCCESS;
    errno = 77;
    CHECK(ops->free(pool, NULL) == SUCCESS && errno == 77);
    int local = 0;
    CHECK(ops->free(pool, &local) == INVALID_ARGUMENT);
    CHECK(ops->free(pool, (char *)first + 16) == INVALID_ARGUMENT);
    CHECK(ops->free(pool, first) == SUCCESS && ops->free(pool, first) == INVALID_ARGUMENT);
    /* A block of another pool of the same kind. */
    void *other = pool_over(m, NULL), *foreign = ops->malloc(other, 50);
    size_t usable = 0;
    CHECK(ops->free(pool, foreign) == INVALID_ARGUMENT && ops->malloc_usable_size(pool, foreign, &usable) == INVALID_ARGUMENT);
    CHECK(ops->finalize(other) == SUCCESS && ops->finalize(pool) == SUCCESS);
    /* Arguments that initialize refuses. */
    pool = UNTOUCHED;
    tn_pool_options options = {.size = sizeof options, .growth_factor = 0.5};
    CHECK(ops->initialize(NULL, NULL, &pool) == INVALID_ARGUMENT && ops->initialize(m, NULL, NULL) == INVALID_ARGUMENT);
    CHECK(ops->initialize(m, &options, &pool) == INVALID_ARGUMENT);
    options = (tn_pool_options){.size = 8};
    CHECK(ops->initialize(m, &options, &pool) == INVALID_ARGUMENT && pool == UNTOUCHED);
    options = (tn_pool_options){.size = sizeof options, .initial_size = MIB};
    m->answer = OUT_OF_HOST_MEMORY;
    CHECK(ops->initialize(m, &options, &pool) == OUT_OF_HOST_MEMORY && pool == UNTOUCHED);
    m->answer = SUCCESS;
    /* The pool's own limit. */
    options = (tn_pool_options){.size = sizeof options, .max_size = MIB, .name = "limited"};
    pool = pool_over(m, &options);
    CHECK(ops->malloc(pool, 2 * MIB) == NULL && ops->get_last_allocation_error(pool) == OUT_OF_RESOURCES);
    CHECK(ops->finalize(pool) == SUCCESS);
    memory_over(m);
}

/* PO-50: a provider may not call the pool above it. */
static void calls_back(Memory *m)
{
    size_t had = m->bytes;
    CHECK(ops->malloc(m->pool, 10) == NULL && ops->get_last_allocation_error(m->pool) == INVALID_ARGUMENT);
    CHECK(ops->ext_trim_memory(m->pool, 0) == SUCCESS && m->bytes == had);
}
static void provider_calls_its_pool(void)
{
    Memory *m = memory();
    void *pool = pool_over(m, NULL), *kept = ops->malloc(pool, MIB);
    CHECK(ops->free(pool, kept) == SUCCESS && m->bytes == MIB);
    m->pool = pool;
    CHECK(ops->malloc(pool, 4 * MIB) != NULL && m->bytes == 5 * MIB);
    m->pool = NULL;
    CHECK(ops->finalize(pool) == SUCCESS);
    memory_over(m);
}

/* AL-76 */
static void names_figures_trim(void)
{
    Memory *m = memory();
    void *pool = pool_over(m, NULL), *blocks[64];
    const char *name = NULL;
    CHECK(ops->get_name(NULL, &name) == SUCCESS && strlen(name) > 0 && strlen(name) < 64);
    CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(name));
    CHECK(ops->get_name(pool, &name) == SUCCESS && ops->get_name(pool, NULL) == INVALID_ARGUMENT);
    uint64_t value = 5;
    CHECK(control(ops, pool, "stats.nothing", &value, sizeof value, READ) == INVALID_CTL_PATH);
    CHECK(control(ops, pool, "", &value, sizeof value, READ) == INVALID_CTL_PATH);
    CHECK(control(ops, pool, "stats.used", &value, sizeof value, WRITE) == INVALID_ARGUMENT);
    CHECK(control(ops, pool, "stats.used", &value, 4, READ) == INVALID_ARGUMENT);
    CHECK(control(ops, pool, "stats.used", NULL, sizeof value, READ) == INVALID_ARGUMENT);
    CHECK(control(ops, pool, NULL, &value, sizeof value, READ) == INVALID_ARGUMENT && value == 5);
    for (int i = 0; i < 64; i++)
        blocks[i] = ops->malloc(pool, MIB);
    CHECK(figure(pool, "stats.used") == 64 * MIB && figure(pool, "stats.alloc_count") == 64);
    CHECK(figure(pool, "stats.reserved") == m->bytes);
    for (int i = 0; i < 48; i++)
        CHECK(ops->free(pool, blocks[i]) == SUCCESS);
    CHECK(figure(pool, "stats.used") == 16 * MIB && figure(pool, "stats.peak") == 64 * MIB && m->bytes == 64 * MIB);
    CHECK(ops->ext_trim_memory(pool, 40 * MIB) == SUCCESS);
    CHECK(m->bytes <= 40 * MIB && m->bytes > 32 * MIB && figure(pool, "stats.reserved") == m->bytes);
    CHECK(ops->ext_trim_memory(pool, 1) == SUCCESS && m->bytes == 16 * MIB);
    for (int i = 48; i < 64; i++)
        CHECK(ops->free(pool, blocks[i]) == SUCCESS);
    void *small = ops->malloc(pool, 24);
    CHECK(ops->free(pool, small) == SUCCESS);
    CHECK(ops->ext_trim_memory(pool, 0) == SUCCESS && m->bytes == 0 && figure(pool, "stats.reserved") == 0);
    CHECK(ops->finalize(pool) == SUCCESS);
    memory_over(m);
}

/* AL-77: freed memory is reused when the provider has no more. */
static void exhaustion(void)
{
    static const size_t sizes[] = {8, 100, 5000, 60000, 300000};
    for (int s = 0; s < 5; s++) {
        Memory *m = memory();
        m->budget = sizes[s] < 1000 ? (size_t)rounds(40) * (MIB / 10) : 4 * MIB;
        void *pool = pool_over(m, NULL);
        size_t most = m->budget / (sizes[s] < 16 ? 16 : sizes[s]) + 1, count = 0;
        void **blocks = malloc(most * sizeof *blocks);
        while (count < most && (blocks[count] = ops->malloc(pool, sizes[s])) != NULL)
            count++;
        CHECK(count > 4 && count < most && ops->get_last_allocation_error(pool) == OUT_OF_HOST_MEMORY);
        for (size_t k = 1; k < count; k = k * 2 + 1) {
            for (size_t i = 0; i < k; i++)
                CHECK(ops->free(pool, blocks[i * 7919 % count]) == SUCCESS);
            size_t calls = m->calls;
            for (size_t i = 0; i < k; i++) {
                blocks[i * 7919 % count] = ops->malloc(pool, sizes[s]);
                CHECK(blocks[i * 7919 % count] != NULL);
            }
            CHECK(m->calls == calls);
        }
        free(blocks);
        CHECK(ops->finalize(pool) == SUCCESS);
        memory_over(m);
    }
}

static void *ten_of_each(void *pool)
{
    for (int kind = 0; kind < 4; kind++) {
        void *blocks[10];
        for (int i = 0; i < 10; i++) {
            size_t size = 32 + 4000 * (size_t)i;
            blocks[i] = kind == 0 ? ops->malloc(pool, size) : kind == 1 ? ops->calloc(pool, 10, size)
                        : kind == 2 ? ops->realloc(pool, ops->malloc(pool, 10), size) : ops->aligned_malloc(pool, size, 4096);
            CHECK(blocks[i] != NULL);
            memset(blocks[i], 1, size);
        }
        for (int i = 0; i < 10; i++)
            CHECK(ops->free(pool, blocks[i]) == SUCCESS);
    }
    return NULL;
}

/* AL-78: five threads. */
static void threads(void)
{
    Memory *m = memory();
    void *pool = pool_over(m, NULL);
    pthread_t five[5];
    for (int i = 0; i < 5; i++)
        pthread_create(&five[i], NULL, ten_of_each, pool);
    for (int i = 0; i < 5; i++)
        pthread_join(five[i], NULL);
    CHECK(figure(pool, "stats.used") == 0 && figure(pool, "stats.alloc_count") == 0);
    CHECK(ops->ext_trim_memory(pool, 0) == SUCCESS && m->bytes == 0);
    CHECK(ops->finalize(pool) == SUCCESS);
    memory_over(m);
}

/* PO-61: memory allocated through UMF counts for UMF. */
static tn_pool_client umf_of(tn_pool *pool)
{
    tn_pool_client clients[16] = {0};
    size_t count = 0;
    OK(tn_pool_query_clients(pool, sizeof(tn_pool_client), 16, clients, &count));
    for (size_t i = 0; i < count; i++)
        if (clients[i].client == TN_CLIENT_UMF)
            return clients[i];
    return (tn_pool_client){0};
}

static void as_a_client(void)
{
    Memory *m = memory();
    void *pool = pool_over(m, NULL), *block = ops->malloc(pool, 1000);
    tn_pool *handle = NULL;
    OK(tn_pool_of(block, &handle));
    tn_pool_client client = umf_of(handle);
    CHECK(client.live_blocks == 1 && client.requested_bytes == 1000 && strcmp(client.name, "umf") == 0);
    int local = 0;
    CHECK(ops->free(pool, &local) == INVALID_ARGUMENT && umf_of(handle).misuse_count == 1);
    CHECK(stats_of(handle).in_use_bytes == client.live_bytes);
    /* AL-71: without blocks and memory the handle is still valid, of a pool that allocates nothing. */
    CHECK(ops->finalize(pool) == SUCCESS);
    CHECK(stats_of(handle).reserved_bytes == 0 && stats_of(handle).live_blocks == 0 && m->count == 0);
    CHECK(umf_of(handle).live_blocks == 0 && umf_of(handle).live_bytes == 0 && umf_of(handle).requested_bytes == 0);
    void *out = UNTOUCHED;
    FAILS(tn_pool_allocate(handle, 10, 0, NULL, &out), TN_ERR_STALE);
    FAILS(tn_pool_deallocate(NULL, block, NULL), TN_ERR_FOREIGN);
    OK(tn_pool_release(handle));
    memory_over(m);
}

/* AL-79, AL-80: a provider over a Tenure pool. */
static void providers(void)
{
    /* Without thread caches, so that free ranges are merged at once. */
    const tn_pool_options uncached = {.size = sizeof uncached, .name = "under umf", .max_size = 32 * MIB, .thread_cache_size = (uint64_t)TN_NONE};
    tn_pool *pool = NULL;
    OK(tn_pool_create(HOST, &uncached, &pool));
    void *provider = NULL, *block = NULL, *other = UNTOUCHED;
    size_t page = 0, large = 0, line = 0;
    const char *text = NULL;
    int32_t code = 0;
    CHECK(provider_ops->initialize(pool, &provider) == SUCCESS);
    CHECK(provider_ops->initialize(pool, NULL) == INVALID_ARGUMENT);
    CHECK(provider_ops->get_min_page_size(provider, NULL, &page) == SUCCESS && page >= 4096 && (page & (page - 1)) == 0);
    CHECK(provider_ops->get_recommended_page_size(provider, 100 * MIB, &large) == SUCCESS && large % page == 0);
    CHECK(provider_ops->get_cache_line_size(provider, &line) == SUCCESS && line >= 16);
    CHECK(provider_ops->get_name(NULL, &text) == SUCCESS && strlen(text) > 0 && strlen(text) < 64);
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
        CHECK(provider_ops->alloc(provider, page + 1, alignment, &block) == SUCCESS && (uintptr_t)block % alignment == 0);
        memset(block, 1, page + 1);
        CHECK(provider_ops->free(provider, block, page) == INVALID_ARGUMENT);
        CHECK(provider_ops->free(provider, block, page + 1) == SUCCESS);
        CHECK(provider_ops->free(provider, block, page + 1) == INVALID_ARGUMENT);
    }
    CHECK(provider_ops->alloc(provider, page, page + 1, &other) == INVALID_ALIGNMENT);
    CHECK(provider_ops->alloc(provider, page, 3, &other) == INVALID_ALIGNMENT);
    CHECK(provider_ops->alloc(provider, page, page / 2 * 3, &other) == INVALID_ALIGNMENT);
    /* Multiples of the page that are no powers of two, or larger than pools' largest alignment. */
    for (size_t times = 3; times < 200; times = times * 2 - 1)
        for (size_t size = 1; size < 10 * page; size = size * 3 + page / 2) {
            uint64_t in_use = stats_of(pool).in_use_bytes;
            CHECK(provider_ops->alloc(provider, size, times * page, &block) == SUCCESS && (uintptr_t)block % (times * page) == 0);
            memset(block, 1, size);
            CHECK(stats_of(pool).live_blocks == 1 && stats_of(pool).requested_bytes == size);
            CHECK(stats_of(pool).in_use_bytes <= in_use + (size + page - 1) / page * page);
            CHECK(provider_ops->free(provider, block, size + 1) == INVALID_ARGUMENT);
            CHECK(provider_ops->free(provider, block, size) == SUCCESS && stats_of(pool).live_blocks == 0);
        }
    CHECK(provider_ops->alloc(provider, page, 256 * page, &block) == SUCCESS && (uintptr_t)block % (256 * page) == 0);
    CHECK(provider_ops->free(provider, block, page) == SUCCESS);
    CHECK(provider_ops->alloc(provider, page, SIZE_MAX / page * page, &other) == INVALID_ARGUMENT);
    CHECK(provider_ops->alloc(provider, 0, 0, &other) == INVALID_ARGUMENT);
    CHECK(provider_ops->alloc(provider, page, 0, NULL) == INVALID_ARGUMENT);
    CHECK(provider_ops->alloc(provider, 33 * MIB, 0, &other) == OUT_OF_RESOURCES && other == UNTOUCHED);
    CHECK(provider_ops->get_last_native_error(provider, &text, &code) == SUCCESS && code == TN_ERR_POOL_LIMIT);
    CHECK(strstr(text, "under umf") != NULL);
    CHECK(provider_ops->free(provider, NULL, 0) == SUCCESS && provider_ops->free(provider, &page, 8) == INVALID_ARGUMENT);

    /* Split and merged: each part is freed with its own size. */
    CHECK(provider_ops->alloc(provider, 8 * page, 0, &block) == SUCCESS);
    char *at = block;
    for (size_t i = 0; i < 8; i++)
        memset(at + i * page, (int)i, page);
    CHECK(provider_ops->split(provider, at, 8 * page, 8 * page) == INVALID_ARGUMENT);
    CHECK(provider_ops->split(provider, at, 8 * page, page + 1) == INVALID_ARGUMENT);
    CHECK(provider_ops->split(provider, at, 7 * page, page) == INVALID_ARGUMENT);
    CHECK(provider_ops->split(provider, at + page, 7 * page, page) == INVALID_ARGUMENT);
    tn_pool_stats before = stats_of(pool), after;
    CHECK(provider_ops->split(provider, at, 8 * page, 3 * page) == SUCCESS);
    CHECK(provider_ops->split(provider, at + 3 * page, 5 * page, page) == SUCCESS);
    after = stats_of(pool);
    CHECK(after.live_blocks == before.live_blocks + 2 && after.in_use_bytes == before.in_use_bytes);
    CHECK(after.requested_bytes == before.requested_bytes && after.overhead_bytes == before.overhead_bytes);
    CHECK(provider_ops->free(provider, at, 8 * page) == INVALID_ARGUMENT);
    CHECK(provider_ops->merge(provider, at, at + 4 * page, 7 * page) == INVALID_ARGUMENT);
    CHECK(provider_ops->merge(provider, at, at + 3 * page, 5 * page) == INVALID_ARGUMENT);
    CHECK(provider_ops->merge(provider, at, at + 3 * page, 4 * page) == SUCCESS);
    for (size_t i = 0; i < 8 * page; i++)
        CHECK(at[i] == (char)(i / page));
    CHECK(provider_ops->free(provider, at + 3 * page, page) == INVALID_ARGUMENT);
    CHECK(provider_ops->free(provider, at + 4 * page, 4 * page) == SUCCESS);
    CHECK(provider_ops->free(provider, at, 4 * page) == SUCCESS);
    CHECK(stats_of(pool).live_blocks == 0 && stats_of(pool).in_use_bytes == 0);
    /* Ranges with a gap between them are not one block. */
    void *low = NULL, *high = NULL;
    CHECK(provider_ops->alloc(provider, page + 1, 0, &low) == SUCCESS);
    CHECK(provider_ops->alloc(provider, 2 * page, 0, &high) == SUCCESS && (char *)high == (char *)low + 2 * page);
    CHECK(provider_ops->merge(provider, low, high, 3 * page + 1) == INVALID_ARGUMENT);
    CHECK(provider_ops->free(provider, low, page + 1) == SUCCESS && provider_ops->free(provider, high, 2 * page) == SUCCESS);

    /* The smallest ones too, which are placed where they can be merged. */
    CHECK(provider_ops->alloc(provider, page, 1, &low) == SUCCESS && provider_ops->alloc(provider, page, 1, &high) == SUCCESS);
    CHECK((char *)high == (char *)low + page && provider_ops->merge(provider, low, high, 2 * page) == SUCCESS);
    CHECK(provider_ops->free(provider, low, 2 * page) == SUCCESS);
    CHECK(provider_ops->alloc(provider, 1, 0, &low) == SUCCESS && (uintptr_t)low % page == 0);
    CHECK(provider_ops->free(provider, low, 1) == SUCCESS);

    /* Purging. */
    CHECK(provider_ops->alloc(provider, 4 * page, 0, &block) == SUCCESS);
    at = block;
    memset(at, 9, 4 * page);
    CHECK(provider_ops->purge_force(provider, at + 1, page) == INVALID_ALIGNMENT);
    CHECK(provider_ops->purge_force(provider, at, page + 1) == INVALID_ALIGNMENT);
    CHECK(provider_ops->purge_lazy(provider, at + 8, page) == INVALID_ALIGNMENT);
    CHECK(provider_ops->purge_force(provider, at, 8 * page) == INVALID_ARGUMENT);
    CHECK(provider_ops->purge_force(provider, at + page, 2 * page) == SUCCESS);
    for (size_t i = 0; i < 4 * page; i++)
        CHECK(at[i] == (i / page == 1 || i / page == 2 ? 0 : 9));
    CHECK(provider_ops->purge_lazy(provider, at, 4 * page) == SUCCESS);
    uint64_t used = 0;
    CHECK(control(provider_ops, provider, "stats.allocated_memory", &used, sizeof used, READ) == SUCCESS && used == 4 * page);
    CHECK(control(provider_ops, provider, "stats.nonsense", &used, sizeof used, READ) == INVALID_CTL_PATH);
    CHECK(umf_of(pool).live_bytes == 4 * page);

    /* AL-2: without its handle the pool allocates nothing and accepts every free. */
    OK(tn_pool_release(pool));
    CHECK(provider_ops->alloc(provider, page, 0, &other) == INVALID_ARGUMENT && other == UNTOUCHED);
    CHECK(provider_ops->free(provider, at, 4 * page) == SUCCESS);
    CHECK(provider_ops->finalize(provider) == SUCCESS);
    /* A NULL handle, and an invalid one. */
    CHECK(provider_ops->initialize(pool, &other) == INVALID_ARGUMENT && other == UNTOUCHED);
    CHECK(provider_ops->initialize(NULL, &provider) == SUCCESS);
    CHECK(provider_ops->alloc(provider, page, 0, &block) == SUCCESS);
    CHECK(provider_ops->free(provider, block, page) == SUCCESS && provider_ops->finalize(provider) == SUCCESS);
}

/* AL-79: two pieces of an upstream are never one block, even if they are adjacent. */
static tn_status arena_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    char **next = context;
    (void)stream;
    *next = (char *)(((uintptr_t)*next + alignment - 1) / alignment * alignment);
    *out = *next;
    *next += bytes;
    return TN_OK;
}
static tn_status arena_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    (void)context, (void)ptr, (void)bytes, (void)stream;
    return TN_OK;
}
static void provider_over_an_arena(void)
{
    char *arena = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *next = arena;
    tn_upstream up = {.size = sizeof up, .context = &next, .allocate = arena_allocate, .deallocate = arena_deallocate};
    tn_pool *pool = NULL;
    void *provider = NULL, *low = NULL, *high = NULL;
    OK(tn_pool_import(HOST, &up, NULL, &pool));
    CHECK(provider_ops->initialize(pool, &provider) == SUCCESS);
    CHECK(provider_ops->alloc(provider, MIB, 0, &low) == SUCCESS && provider_ops->alloc(provider, MIB, 0, &high) == SUCCESS);
    CHECK((char *)high == (char *)low + MIB && provider_ops->merge(provider, low, high, 2 * MIB) == INVALID_ARGUMENT);
    CHECK(provider_ops->free(provider, low, MIB) == SUCCESS && provider_ops->free(provider, high, MIB) == SUCCESS);
    CHECK(provider_ops->finalize(provider) == SUCCESS);
    OK(tn_pool_release(pool));
    munmap(arena, 4 * MIB);
}

/* AL-79: over a pool whose memory is the caller's, which cannot be discarded, or not to zeros. */
static tn_status umf_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    (void)stream;
    return umfMemoryProviderAlloc(context, bytes, alignment, out) == SUCCESS ? TN_OK : TN_ERR_NO_HOST_MEMORY;
}
static tn_status umf_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    (void)stream;
    return umfMemoryProviderFree(context, ptr, bytes) == SUCCESS ? TN_OK : TN_ERR_INVALID;
}
static void provider_over_an_upstream(void)
{
    Memory *m = memory();
    tn_upstream up = {.size = sizeof up, .context = m, .allocate = umf_allocate, .deallocate = umf_deallocate};
    tn_pool *pool = NULL;
    void *provider = NULL, *low = NULL, *high = NULL;
    OK(tn_pool_import(HOST, &up, NULL, &pool));
    CHECK(provider_ops->initialize(pool, &provider) == SUCCESS);
    CHECK(provider_ops->alloc(provider, MIB, 0, &low) == SUCCESS && provider_ops->alloc(provider, MIB, 0, &high) == SUCCESS);
    CHECK(provider_ops->purge_force(provider, low, MIB) == NOT_SUPPORTED);
    CHECK(provider_ops->purge_lazy(provider, low, MIB) == NOT_SUPPORTED);
    CHECK(provider_ops->split(provider, low, MIB, MIB / 2) == SUCCESS);
    CHECK(provider_ops->merge(provider, low, (char *)low + MIB / 2, MIB) == SUCCESS);
    CHECK(provider_ops->free(provider, low, MIB) == SUCCESS && provider_ops->free(provider, high, MIB) == SUCCESS);
    CHECK(provider_ops->finalize(provider) == SUCCESS);
    OK(tn_pool_release(pool));
    memory_over(m);
}

int main(void)
{
    versions();
    slabs();
    plain_blocks();
    resizing();
    alignments();
    provider_that_cannot_align();
    memory_that_the_host_cannot_access();
    errors();
    provider_calls_its_pool();
    names_figures_trim();
    exhaustion();
    threads();
    as_a_client();
    providers();
    provider_over_an_upstream();
    provider_over_an_arena();
    return finish();
}
