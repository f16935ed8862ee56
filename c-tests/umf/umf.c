/* UMF itself: its headers and its library from the wheels on PyPI, in each version that has tables of its own. AL-70 to AL-82. */
#define _DEFAULT_SOURCE
#include "../helpers.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <umf/ipc.h>
#include <umf.h>
#include <umf/experimental/ctl.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_fixed_memory.h>
#include <umf/providers/provider_os_memory.h>

#define MIB ((size_t)1 << 20)
#define DONE(call) CHECK((call) == UMF_RESULT_SUCCESS)

/* AL-70: the library's tables have the layout of these headers. */
#define AT(type, member, where) _Static_assert(offsetof(type, member) == (where), #type "." #member)
AT(umf_memory_pool_ops_t, initialize, 8);
AT(umf_memory_pool_ops_t, finalize, 16);
AT(umf_memory_pool_ops_t, malloc, 24);
AT(umf_memory_pool_ops_t, calloc, 32);
AT(umf_memory_pool_ops_t, realloc, 40);
AT(umf_memory_pool_ops_t, aligned_malloc, 48);
AT(umf_memory_pool_ops_t, malloc_usable_size, 56);
AT(umf_memory_pool_ops_t, free, 64);
AT(umf_memory_pool_ops_t, get_last_allocation_error, 72);
AT(umf_memory_pool_ops_t, get_name, 80);
AT(umf_memory_pool_ops_t, ext_ctl, 88);
AT(umf_memory_provider_ops_t, initialize, 8);
AT(umf_memory_provider_ops_t, finalize, 16);
AT(umf_memory_provider_ops_t, alloc, 24);
AT(umf_memory_provider_ops_t, free, 32);
AT(umf_memory_provider_ops_t, get_last_native_error, 40);
AT(umf_memory_provider_ops_t, get_recommended_page_size, 48);
AT(umf_memory_provider_ops_t, get_min_page_size, 56);
AT(umf_memory_provider_ops_t, get_name, 64);
AT(umf_memory_provider_ops_t, ext_purge_lazy, 72);
AT(umf_memory_provider_ops_t, ext_purge_force, 80);
AT(umf_memory_provider_ops_t, ext_allocation_merge, 88);
AT(umf_memory_provider_ops_t, ext_allocation_split, 96);
AT(umf_memory_provider_ops_t, ext_get_ipc_handle_size, 104);
AT(umf_memory_provider_ops_t, ext_get_ipc_handle, 112);
AT(umf_memory_provider_ops_t, ext_put_ipc_handle, 120);
AT(umf_memory_provider_ops_t, ext_open_ipc_handle, 128);
AT(umf_memory_provider_ops_t, ext_close_ipc_handle, 136);
AT(umf_memory_provider_ops_t, ext_ctl, 144);
#define SIZED(type, version, minor, size) _Static_assert((version) != 0x10000 + (minor) || sizeof(type) == (size), #type)
SIZED(umf_memory_pool_ops_t, UMF_POOL_OPS_VERSION_CURRENT, 0, 96);
SIZED(umf_memory_pool_ops_t, UMF_POOL_OPS_VERSION_CURRENT, 1, 104);
SIZED(umf_memory_provider_ops_t, UMF_PROVIDER_OPS_VERSION_CURRENT, 0, 152);
SIZED(umf_memory_provider_ops_t, UMF_PROVIDER_OPS_VERSION_CURRENT, 1, 168);
SIZED(umf_memory_provider_ops_t, UMF_PROVIDER_OPS_VERSION_CURRENT, 2, 176);

static const umf_memory_pool_ops_t *ops;
static const umf_memory_provider_ops_t *provider_ops;

static umf_memory_provider_handle_t os_provider(unsigned protection)
{
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    DONE(umfOsMemoryProviderParamsCreate(&params));
    if (protection != 0)
        DONE(umfOsMemoryProviderParamsSetProtection(params, protection));
    DONE(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider));
    DONE(umfOsMemoryProviderParamsDestroy(params));
    return provider;
}

static umf_memory_provider_handle_t fixed_provider(void *memory, size_t bytes)
{
    umf_fixed_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    DONE(umfFixedMemoryProviderParamsCreate(memory, bytes, &params));
    DONE(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider));
    DONE(umfFixedMemoryProviderParamsDestroy(params));
    return provider;
}

static umf_memory_pool_handle_t pool_over(umf_memory_provider_handle_t provider, umf_pool_create_flags_t flags)
{
    umf_memory_pool_handle_t pool = NULL;
    DONE(umfPoolCreate(ops, provider, NULL, flags, &pool));
    return pool;
}

/* AL-81: the checks that UMF's own fixtures make on a pool. */
static void fixtures(umf_memory_pool_handle_t pool)
{
    void *blocks[100];
    for (size_t size = 0; size < 5 * MIB; size = size * 3 + 1) {
        size_t usable = 0;
        unsigned char *block = umfPoolMalloc(pool, size);
        CHECK(block != NULL);
        DONE(umfPoolMallocUsableSize(pool, block, &usable));
        CHECK(usable == 0 || usable >= size);
        memset(block, 0xbb, usable);
        DONE(umfPoolFree(pool, block));
        block = umfPoolCalloc(pool, 2, size);
        for (size_t i = 0; i < 2 * size; i++)
            CHECK(block[i] == 0);
        block = umfPoolRealloc(pool, block, size / 2 + 1);
        CHECK(block != NULL && (size == 0 || block[0] == 0));
        DONE(umfFree(block));
    }
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
        char *block = umfPoolAlignedMalloc(pool, alignment, alignment);
        CHECK(block != NULL && (uintptr_t)block % alignment == 0);
        memset(block, 1, alignment);
        DONE(umfPoolFree(pool, block));
    }
    CHECK(umfPoolMalloc(pool, SIZE_MAX) == NULL);
    CHECK(umfPoolGetLastAllocationError(pool) == UMF_RESULT_ERROR_INVALID_ARGUMENT);
    CHECK(umfPoolAlignedMalloc(pool, 8, 24) == NULL);
    CHECK(umfPoolGetLastAllocationError(pool) == UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    DONE(umfPoolFree(pool, NULL));
    for (int i = 0; i < 100; i++)
        blocks[i] = umfPoolMalloc(pool, (size_t)i * 1000);
    for (int i = 0; i < 100; i++) {
        umf_memory_pool_handle_t found = NULL;
        DONE(umfPoolByPtr(blocks[i], &found));
        CHECK(found == pool);
    }
    for (int i = 0; i < 100; i++)
        DONE(umfPoolFree(pool, blocks[i]));
}

/* AL-71, AL-76 */
static void over_the_system(void)
{
    umf_memory_provider_handle_t provider = os_provider(0);
    umf_memory_pool_handle_t pool = pool_over(provider, 0);
    const char *name = NULL;
    fixtures(pool);
    DONE(umfPoolGetName(pool, &name));
    CHECK(strcmp(name, "tenure") == 0);
    size_t value = 1;
#if UMF_POOL_OPS_VERSION_CURRENT >= UMF_MAKE_VERSION(1, 1)
    DONE(umfPoolTrimMemory(pool, 0));
    DONE(umfCtlGet("umf.pool.by_handle.{}.stats.reserved", &value, sizeof value, pool));
    CHECK(value == 0);
#endif
    void *block = umfPoolMalloc(pool, 3 * MIB);
#if UMF_POOL_OPS_VERSION_CURRENT >= UMF_MAKE_VERSION(1, 1)
    DONE(umfCtlGet("umf.pool.by_handle.{}.stats.used", &value, sizeof value, pool));
    CHECK(value == 3 * MIB);
    DONE(umfCtlGet("umf.pool.by_handle.{}.stats.reserved", &value, sizeof value, pool));
    CHECK(value == 3 * MIB);
    DONE(umfCtlGet("umf.pool.by_handle.{}.stats.alloc_count", &value, sizeof value, pool));
    CHECK(value == 1);
#endif
    CHECK(umfCtlGet("umf.pool.by_handle.{}.stats.nonsense", &value, sizeof value, pool) != UMF_RESULT_SUCCESS);
    /* Blocks that are live when the pool ends. */
    CHECK(umfPoolMalloc(pool, 100) != NULL && block != NULL);
    DONE(umfPoolDestroy(pool));
#if UMF_POOL_OPS_VERSION_CURRENT >= UMF_MAKE_VERSION(1, 1)
    DONE(umfCtlGet("umf.provider.by_handle.{}.stats.allocated_memory", &value, sizeof value, provider));
    CHECK(value == 0);
#endif
    DONE(umfMemoryProviderDestroy(provider));
    /* A pool that owns its provider, and one that UMF does not track. */
    pool = pool_over(os_provider(0), UMF_POOL_CREATE_FLAG_OWN_PROVIDER);
    fixtures(pool);
    DONE(umfPoolDestroy(pool));
    pool = pool_over(os_provider(0), UMF_POOL_CREATE_FLAG_OWN_PROVIDER | UMF_POOL_CREATE_FLAG_DISABLE_TRACKING);
    block = umfPoolMalloc(pool, 1000);
    CHECK(block != NULL && umfPoolFree(pool, block) == UMF_RESULT_SUCCESS);
    DONE(umfPoolDestroy(pool));
}

/* AL-77 */
static void over_fixed_memory(void)
{
    char *memory = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    umf_memory_provider_handle_t provider = fixed_provider(memory, 8 * MIB);
    umf_memory_pool_handle_t pool = pool_over(provider, 0);
    void *blocks[2000];
    size_t count = 0;
    while (count < 2000 && (blocks[count] = umfPoolMalloc(pool, 20000)) != NULL)
        count++;
    CHECK(count > 200 && count < 420 && umfPoolGetLastAllocationError(pool) == UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    for (size_t i = 0; i < count; i++)
        CHECK((char *)blocks[i] >= memory && (char *)blocks[i] + 20000 <= memory + 8 * MIB);
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 100; i++)
            DONE(umfPoolFree(pool, blocks[i]));
        for (size_t i = 0; i < 100; i++)
            CHECK((blocks[i] = umfPoolMalloc(pool, 20000)) != NULL);
    }
    DONE(umfPoolDestroy(pool));
    DONE(umfMemoryProviderDestroy(provider));
    munmap(memory, 8 * MIB);
}

/* AL-78: 16 pools over 16 providers. */
static void many(void)
{
    umf_memory_provider_handle_t providers[16];
    umf_memory_pool_handle_t pools[16];
    char *blocks[256];
    for (int i = 0; i < 16; i++)
        pools[i] = pool_over(providers[i] = os_provider(0), 0);
    for (int i = 0; i < 256; i++)
        CHECK((blocks[i] = umfPoolMalloc(pools[i % 16], (size_t)i * 300 + 1)) != NULL);
    for (int i = 0; i < 256; i++) {
        umf_memory_pool_handle_t first = NULL, last = NULL;
        DONE(umfPoolByPtr(blocks[i], &first));
        DONE(umfPoolByPtr(blocks[i] + i * 300, &last));
        CHECK(first == pools[i % 16] && last == pools[i % 16]);
    }
    for (int i = 0; i < 256; i++)
        DONE(umfFree(blocks[i]));
    for (int i = 0; i < 16; i++) {
        DONE(umfPoolDestroy(pools[i]));
        DONE(umfMemoryProviderDestroy(providers[i]));
    }
}

/* AL-79: a provider of Tenure, under UMF's own pool and under Tenure's. */
static void providers(void)
{
    tn_pool *pool = own_pool("under umf");
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t over = NULL;
    umf_disjoint_pool_params_handle_t params = NULL;
    void *block = NULL;
    size_t page = 0;
    DONE(umfMemoryProviderCreate(provider_ops, pool, &provider));
    DONE(umfMemoryProviderGetMinPageSize(provider, NULL, &page));
    DONE(umfMemoryProviderAlloc(provider, 4 * page, 0, &block));
    DONE(umfMemoryProviderAllocationSplit(provider, block, 4 * page, page));
    DONE(umfMemoryProviderAllocationMerge(provider, block, (char *)block + page, 4 * page));
    memset(block, 1, page);
    DONE(umfMemoryProviderPurgeForce(provider, block, page));
    CHECK(((char *)block)[0] == 0);
    CHECK(umfMemoryProviderFree(provider, block, page) == UMF_RESULT_ERROR_INVALID_ARGUMENT);
    DONE(umfMemoryProviderFree(provider, block, 4 * page));
    CHECK(umfMemoryProviderAlloc(provider, page, page + 1, &block) == UMF_RESULT_ERROR_INVALID_ALIGNMENT);

    DONE(umfDisjointPoolParamsCreate(&params));
    DONE(umfPoolCreate(umfDisjointPoolOps(), provider, params, 0, &over));
    DONE(umfDisjointPoolParamsDestroy(params));
    block = umfPoolMalloc(over, 1000);
    CHECK(block != NULL && stats_of(pool).live_blocks >= 1);
    memset(block, 1, 1000);
    DONE(umfPoolFree(over, block));
    DONE(umfPoolDestroy(over));
    CHECK(stats_of(pool).live_blocks == 0);

    over = pool_over(provider, 0);
    fixtures(over);
    block = umfPoolMalloc(over, 1000);
    CHECK(stats_of(pool).live_blocks >= 1);
    DONE(umfPoolDestroy(over));
    CHECK(stats_of(pool).live_blocks == 0);

    /* UMF's proxy passes each request on, with its alignment. */
    DONE(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &over));
    static const size_t alignments[] = {0, 1, 64, 4096};
    for (int i = 0; i < 6; i++) {
        size_t alignment = i < 4 ? alignments[i] : (size_t)(i - 3) * 3 * page;
        block = umfPoolAlignedMalloc(over, 1000, alignment);
        CHECK(block != NULL && (alignment == 0 || (uintptr_t)block % alignment == 0));
        memset(block, 1, 1000);
        DONE(umfPoolFree(over, block));
    }
    block = umfPoolMalloc(over, 1000);
    CHECK(block != NULL);
    DONE(umfPoolFree(over, block));
    DONE(umfPoolDestroy(over));
    CHECK(stats_of(pool).live_blocks == 0);
    DONE(umfMemoryProviderDestroy(provider));
    OK(tn_pool_release(pool));
}

/* AL-79: UMF's handles for other processes, over a pool that shares its memory. */
static void other_processes(void)
{
    tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_SHAREABLE};
    tn_pool *pool = NULL;
    OK(tn_pool_create((tn_device){TN_CPU, 0}, &options, &pool));
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t over = NULL;
    umf_ipc_handler_handle_t handler = NULL;
    umf_ipc_handle_t handle = NULL;
    size_t bytes = 0;
    void *opened = NULL;
    DONE(umfMemoryProviderCreate(provider_ops, pool, &provider));
    DONE(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &over));
    char *block = umfPoolMalloc(over, 100000);
    CHECK(block != NULL);
    memset(block, 1, 100000);
    DONE(umfGetIPCHandle(block, &handle, &bytes));
    DONE(umfPoolGetIPCHandler(over, &handler));
    DONE(umfOpenIPCHandle(handler, handle, &opened));
    CHECK(opened != block);
    memset(opened, 7, 100000);
    CHECK(block[0] == 7 && block[99999] == 7);
    DONE(umfCloseIPCHandle(opened));
    DONE(umfPutIPCHandle(handle));
    DONE(umfPoolFree(over, block));
    DONE(umfPoolDestroy(over));
    CHECK(stats_of(pool).live_blocks == 0);
    DONE(umfMemoryProviderDestroy(provider));
    OK(tn_pool_release(pool));
}

/* AL-72, AL-73: memory that the host cannot access. */
static void over_protected_memory(void)
{
    umf_memory_pool_handle_t pool = pool_over(os_provider(UMF_PROTECTION_NONE), UMF_POOL_CREATE_FLAG_OWN_PROVIDER);
    CHECK(umfPoolCalloc(pool, 10, 10) == NULL);
    CHECK(umfPoolGetLastAllocationError(pool) == UMF_RESULT_ERROR_NOT_SUPPORTED);
    void *block = umfPoolAlignedMalloc(pool, 100, 0);
    CHECK(block != NULL && umfPoolRealloc(pool, block, 100000) == NULL);
    CHECK(umfPoolGetLastAllocationError(pool) == UMF_RESULT_ERROR_NOT_SUPPORTED);
    DONE(umfPoolFree(pool, block));
    DONE(umfPoolDestroy(pool));
}

/* AL-82: a Tenure pool over the functions of a UMF provider or pool; its failures map to Tenure's as in AL-80, reversed. */
static tn_status status_of(umf_result_t result)
{
    switch (result) {
    case UMF_RESULT_SUCCESS: return TN_OK;
    case UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY: return TN_ERR_NO_HOST_MEMORY;
    case UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC: return TN_ERR_DRIVER;
    case UMF_RESULT_ERROR_INVALID_ARGUMENT: return TN_ERR_INVALID;
    case UMF_RESULT_ERROR_NOT_SUPPORTED: return TN_ERR_UNSUPPORTED;
    case UMF_RESULT_ERROR_OUT_OF_RESOURCES: return TN_ERR_NO_DEVICE_MEMORY;
    default: return TN_ERR_FAILED;
    }
}
static tn_status provider_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    (void)stream;
    return status_of(umfMemoryProviderAlloc(context, bytes, alignment, out));
}
static tn_status provider_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    (void)stream;
    return status_of(umfMemoryProviderFree(context, ptr, bytes));
}
static void provider_release(void *context)
{
    DONE(umfMemoryProviderDestroy(context));
}
static tn_status pool_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    (void)stream;
    *out = umfPoolAlignedMalloc(context, bytes, alignment);
    return *out != NULL ? TN_OK : status_of(umfPoolGetLastAllocationError(context));
}
static tn_status pool_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    (void)stream, (void)bytes;
    return status_of(umfPoolFree(context, ptr));
}

static void the_other_way(void)
{
    char *memory = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tn_upstream up = {.size = sizeof up, .context = fixed_provider(memory, 8 * MIB), .flags = TN_UPSTREAM_THREAD_SAFE,
                      .allocate = provider_allocate, .deallocate = provider_deallocate, .release = provider_release};
    tn_pool *pool = NULL;
    void *blocks[9] = {0}, *out = UNTOUCHED;
    size_t count = 0;
    OK(tn_pool_import(HOST, &up, NULL, &pool));
    while (count < 9 && tn_pool_allocate(pool, MIB, 0, NULL, &blocks[count]) == TN_OK)
        count++;
    CHECK(count >= 7 && count <= 8);
    FAILS(tn_pool_allocate(pool, MIB, 0, NULL, &out), TN_ERR_NO_HOST_MEMORY);
    CHECK(says("TN_ERR_NO_HOST_MEMORY"));
    for (size_t i = 0; i < count; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    OK(tn_pool_release(pool));
    munmap(memory, 8 * MIB);

    /* Memory that the host cannot access. */
    up.context = os_provider(UMF_PROTECTION_NONE);
    OK(tn_pool_import((tn_device){TN_CUDA, 0}, &up, NULL, &pool));
    for (int i = 0; i < 9; i++)
        OK(tn_pool_allocate(pool, (size_t)i * 50000, 0, NULL, &blocks[i]));
    for (int i = 0; i < 9; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    OK(tn_pool_release(pool));

    umf_memory_pool_handle_t under = pool_over(os_provider(0), UMF_POOL_CREATE_FLAG_OWN_PROVIDER);
    up.context = under, up.allocate = pool_allocate, up.deallocate = pool_deallocate, up.release = NULL;
    OK(tn_pool_import(HOST, &up, NULL, &pool));
    tn_array *array = numbers(pool, SHAPE(100, 100));
    drop(array);
    OK(tn_pool_release(pool));
    DONE(umfPoolDestroy(under));
}

int main(void)
{
    OK(tn_umf_pool_ops(UMF_POOL_OPS_VERSION_CURRENT, &ops));
    OK(tn_umf_provider_ops(UMF_PROVIDER_OPS_VERSION_CURRENT, &provider_ops));
    CHECK(ops->version == UMF_POOL_OPS_VERSION_CURRENT && provider_ops->version == UMF_PROVIDER_OPS_VERSION_CURRENT);
    CHECK(provider_ops->ext_get_ipc_handle != NULL && provider_ops->ext_close_ipc_handle != NULL);
    over_the_system();
    over_fixed_memory();
    over_protected_memory();
    many();
    providers();
    other_processes();
    the_other_way();
    return finish();
}
