/*
 * cuda_plugin.c - allocators of GPU libraries: the entry points of PyTorch, CuPy and RMM, over pools of a GPU (AL-1 to AL-11, AL-32).
 *
 * The streams are another library's: made by the driver, and passed as CUstreams. Tests of the order of device work stall streams, which
 * needs the simulator. Without a driver every entry point returns its failure value.
 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "helpers.h"
#include "tenure_bindings.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const tn_device GPU = {TN_CUDA, 0};
#define MIB ((size_t)1 << 20)

typedef struct CUstream_st *stream_t;

/* The functions of the driver, and of the simulator, which the tests call as another library. */
static struct {
    int (*cuDevicePrimaryCtxRetain)(void **context, int device);
    int (*cuCtxSetCurrent)(void *context);
    int (*cuCtxSynchronize)(void);
    int (*cuStreamSynchronize)(stream_t stream);
    int (*cuStreamCreate)(stream_t *stream, unsigned flags);
    int (*cuStreamDestroy_v2)(stream_t stream);
    int (*cuStreamBeginCapture_v2)(stream_t stream, unsigned mode);
    int (*cuStreamEndCapture)(stream_t stream, void **graph);
    int (*cuMemsetD8Async)(uint64_t at, unsigned char value, size_t bytes, stream_t stream);
    int (*cuMemcpyDtoH_v2)(void *to, uint64_t from, size_t bytes);
    int (*tenure_sim_hold)(stream_t stream);
    int (*tenure_sim_release)(stream_t stream);
    uint64_t (*tenure_sim_step)(uint64_t most);
    int (*tenure_sim_fail)(const char *name, uint64_t nth, uint64_t times, unsigned code);
    uint64_t (*tenure_sim_calls)(const char *name);
    void *context;
} cu;

static void find_driver(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context = NULL;
    CHECK(driver != NULL);
#define FIND(name) *(void **)&cu.name = dlsym(driver, #name)
    FIND(cuDevicePrimaryCtxRetain);
    FIND(cuCtxSetCurrent);
    FIND(cuCtxSynchronize);
    FIND(cuStreamSynchronize);
    FIND(cuStreamCreate);
    FIND(cuStreamDestroy_v2);
    FIND(cuStreamBeginCapture_v2);
    FIND(cuStreamEndCapture);
    FIND(cuMemsetD8Async);
    FIND(cuMemcpyDtoH_v2);
    FIND(tenure_sim_hold);
    FIND(tenure_sim_release);
    FIND(tenure_sim_step);
    FIND(tenure_sim_fail);
    FIND(tenure_sim_calls);
    CHECK(cu.cuDevicePrimaryCtxRetain(&context, 0) == 0 && cu.cuCtxSetCurrent(context) == 0);
    cu.context = context;
}

/* A stream that is not ordered with the legacy stream. */
static stream_t new_stream(void)
{
    stream_t stream = NULL;
    CHECK(cu.cuStreamCreate(&stream, 1) == 0);
    return stream;
}

static void end_stream(stream_t stream)
{
    CHECK(cu.cuCtxSynchronize() == 0 && cu.cuStreamDestroy_v2(stream) == 0);
}

static void fill(void *block, size_t bytes, unsigned char value, stream_t stream)
{
    CHECK(cu.cuMemsetD8Async((uintptr_t)block, value, bytes, stream) == 0);
}

/* Stalls a stream behind a fill of the block. */
static void stall_behind_fill(stream_t stream, void *block, size_t bytes)
{
    CHECK(cu.tenure_sim_hold(stream) == 0);
    fill(block, bytes, 1, stream);
}

/* Whether the block has the value of its new owner, which filled it on its own stream while `stalled` had the old fill still to run. */
static int is_filled_after(void *block, size_t bytes, stream_t own, stream_t stalled)
{
    unsigned char first = 0, last = 0;
    fill(block, bytes, 2, own);
    cu.tenure_sim_step(1000);
    CHECK(cu.tenure_sim_release(stalled) == 0 && cu.cuCtxSynchronize() == 0);
    CHECK(cu.cuMemcpyDtoH_v2(&first, (uintptr_t)block, 1) == 0);
    CHECK(cu.cuMemcpyDtoH_v2(&last, (uintptr_t)block + bytes - 1, 1) == 0);
    return first == 2 && last == 2;
}

static tn_pool *make(const char *name, tn_device device, uint64_t max_size)
{
    tn_pool_options options = {.size = sizeof options, .name = name, .max_size = max_size};
    tn_pool *pool = NULL;
    OK(tn_pool_create(device, &options, &pool));
    return pool;
}

static tn_pool *home(void)
{
    tn_pool *pool = NULL;
    OK(tn_pool_default(GPU, &pool));
    return pool;
}

/* The statistics of a client of the pool; zeros if it never allocated. */
static tn_pool_client client_of(tn_pool *pool, tn_client which)
{
    tn_pool_client list[16], found = {.client = which};
    size_t count = 0;
    uint64_t bytes = 0;
    OK(tn_pool_query_clients(pool, sizeof(tn_pool_client), 16, list, &count));
    for (size_t i = 0; i < count; i++) {
        bytes += list[i].live_bytes;
        if (list[i].client == which)
            found = list[i];
    }
    CHECK(bytes == stats_of(pool).in_use_bytes); /* AL-6 */
    return found;
}

/* AL-1: each is the first call of a thread, and needs no driver to fail. */
static void *without_a_driver(void *unused)
{
    int local = 0;
    CHECK(tn_torch_alloc(100, 0, NULL) == NULL && says("tn_torch_alloc: ") && says("libcuda.so.1"));
    CHECK(tn_cupy_malloc(NULL, 100, 0) == NULL && says("tn_cupy_malloc: ") && says("libcuda.so.1"));
    CHECK(tn_rmm_allocate(100, NULL, NULL) == NULL && says("tn_rmm_allocate: ") && says("libcuda.so.1"));
    tn_torch_free(&local, 4, 0, NULL);
    CHECK(says("tn_torch_free: ") && says("no block"));
    tn_torch_record_stream(&local, NULL);
    tn_cupy_free(NULL, &local, 0);
    tn_rmm_deallocate(&local, 4, NULL, NULL);
    CHECK(says("tn_rmm_deallocate: "));
    return unused;
}

/* AL-2 */
static void host_pools_are_refused(void)
{
    tn_pool *pool = make("host", HOST, 0);
    CHECK(tn_cupy_malloc(pool, 100, 0) == NULL && says("\"host\"") && says("GPUs cannot use its memory"));
    CHECK(tn_rmm_allocate(100, NULL, pool) == NULL);
    OK(tn_pool_release(pool));
}

/* AL-1, AL-2: the first call of the process; the default pool, whatever the thread's current pool is. */
static void al_1_al_2_the_default_pool(void)
{
    void *p = tn_torch_alloc(1000, 0, NULL), *q = tn_cupy_malloc(NULL, 1000, 0), *r = tn_rmm_allocate(1000, NULL, NULL);
    tn_pool *other = make("other", GPU, 0), *own = home();
    CHECK(p && q && r);
    OK(tn_pool_set_current(other));
    void *s = tn_torch_alloc(1000, 0, NULL);
    CHECK(client_of(own, TN_CLIENT_TORCH).live_blocks == 2 && client_of(own, TN_CLIENT_CUPY).live_blocks == 1);
    CHECK(client_of(own, TN_CLIENT_RMM).live_blocks == 1 && stats_of(other).live_blocks == 0);
    tn_torch_free(p, 1000, 0, NULL);
    tn_torch_free(s, 1000, 0, NULL);
    tn_cupy_free(NULL, q, 0);
    tn_rmm_deallocate(r, 1000, NULL, NULL);
    CHECK(stats_of(own).live_blocks == 0 && stats_of(own).misuse_count == 0);
    OK(tn_pool_set_current(NULL));
    OK(tn_pool_release(other));
    OK(tn_pool_release(own));
    /* Sizes of 0 and less. */
    CHECK(tn_torch_alloc(0, 0, NULL) == NULL && tn_cupy_malloc(NULL, 0, 0) == NULL && tn_rmm_allocate(0, NULL, NULL) == NULL);
    CHECK(tn_torch_alloc(-1, 0, NULL) == NULL && says("-1 bytes"));
    CHECK(tn_torch_alloc(1, 99, NULL) == NULL && says("no GPU 99"));
}

/* AL-2: a released pool allocates nothing and accepts every free. */
static void al_2_a_released_pool(void)
{
    tn_pool *pool = make("gone", GPU, 0), *kept = NULL;
    void *p = tn_cupy_malloc(pool, 3000, 0), *q = tn_rmm_allocate(3000, NULL, pool);
    OK(tn_pool_of(p, &kept));
    OK(tn_pool_release(pool));
    CHECK(tn_cupy_malloc(pool, 8, 0) == NULL && says("released"));
    CHECK(tn_rmm_allocate(8, NULL, pool) == NULL);
    tn_cupy_free(pool, p, 0);
    tn_rmm_deallocate(q, 3000, NULL, pool);
    CHECK(stats_of(kept).live_blocks == 0 && stats_of(kept).misuse_count == 0);
    OK(tn_pool_release(kept));
}

/* AL-3: cached memory goes first; then the failure value, with a message that has the figures. */
static void al_3_failure(void)
{
    tn_pool *pool = make("small", GPU, 32 * MIB);
    void *p[4];
    for (int i = 0; i < 4; i++)
        CHECK((p[i] = tn_rmm_allocate(8 * MIB, NULL, pool)) != NULL);
    for (int i = 0; i < 4; i++)
        tn_rmm_deallocate(p[i], 8 * MIB, NULL, pool);
    CHECK((p[0] = tn_cupy_malloc(pool, 30 * MIB, 0)) != NULL);
    CHECK(tn_rmm_allocate(30 * MIB, NULL, pool) == NULL);
    CHECK(says("tn_rmm_allocate: pool \"small\" on {") && says("30 MiB asked") && says("limit 32 MiB"));
    CHECK(tn_cupy_malloc(pool, SIZE_MAX, 0) == NULL);
    CHECK(client_of(pool, TN_CLIENT_RMM).failure_count == 1 && client_of(pool, TN_CLIENT_CUPY).failure_count == 1);
    tn_cupy_free(pool, p[0], 0);
    OK(tn_pool_release(pool));
}

/* AL-4: a pointer to no block of the named pool is left alone and counted; a wrong size is ignored. */
static void al_4_misuse(void)
{
    tn_pool *pool = make("mine", GPU, 0), *strange = make("strange", GPU, 0), *own = home();
    tn_array *array = empty(pool, TN_U8, SHAPE(5000));
    tn_view_info view = {.data = NULL};
    tn_borrow *guard = NULL;
    int local = 0;
    OK(tn_array_borrow_read(array, 0, NULL, NULL, &view, &guard));
    char *p = tn_rmm_allocate(5000, NULL, pool), *q = tn_rmm_allocate(5000, NULL, strange);
    uint64_t unowned = client_of(own, TN_CLIENT_TORCH).misuse_count;

    tn_rmm_deallocate(NULL, 5000, NULL, pool);
    tn_cupy_free(pool, NULL, 0);
    tn_torch_free(NULL, 5000, 0, NULL);
    tn_torch_record_stream(NULL, NULL);
    CHECK(stats_of(pool).misuse_count == 0 && client_of(own, TN_CLIENT_TORCH).misuse_count == unowned);
    tn_rmm_deallocate(q, 5000, NULL, pool); /* WRONG_POOL */
    CHECK(says("\"strange\"") && says("\"mine\""));
    tn_rmm_deallocate(view.data, 5000, NULL, pool); /* IN_ARRAY */
    CHECK(says("backs an array"));
    tn_rmm_deallocate(p + 512, 4488, NULL, pool); /* INTERIOR */
    tn_rmm_deallocate(&local, 4, NULL, pool);     /* UNKNOWN */
    CHECK(client_of(pool, TN_CLIENT_RMM).misuse_count == 4);
    tn_cupy_free(pool, q, 0);
    CHECK(client_of(pool, TN_CLIENT_CUPY).misuse_count == 1);
    tn_torch_free(&local, 4, 0, NULL); /* UNKNOWN, and no pool to count it in */
    tn_torch_record_stream(&local, NULL);
    CHECK(client_of(own, TN_CLIENT_TORCH).misuse_count == unowned + 2);
    tn_torch_record_stream(p + 512, NULL);
    CHECK(client_of(pool, TN_CLIENT_TORCH).misuse_count == 1);

    CHECK(client_of(pool, TN_CLIENT_RMM).mismatch_count == 0);
    tn_rmm_deallocate(p, 7, NULL, pool); /* SIZE_MISMATCH */
    CHECK(client_of(pool, TN_CLIENT_RMM).live_blocks == 0 && client_of(pool, TN_CLIENT_RMM).mismatch_count == 1);
    tn_rmm_deallocate(p, 5000, NULL, pool); /* DOUBLE_FREE */
    CHECK(client_of(pool, TN_CLIENT_RMM).misuse_count == 5);
    tn_torch_free(q, 5000, 0, NULL); /* Found by its address. */
    CHECK(stats_of(strange).live_blocks == 0);
    end(guard);
    drop(array);
    OK(tn_pool_release(pool));
    OK(tn_pool_release(strange));
    OK(tn_pool_release(own));
}

/* AL-5 */
static void al_5_alignment(void)
{
    tn_pool *pool = make("aligned", GPU, 0);
    void *p[24];
    for (int i = 0; i < 24; i++) {
        p[i] = tn_rmm_allocate(((size_t)1 << i) + 1, NULL, pool);
        CHECK(p[i] && (uintptr_t)p[i] % 256 == 0);
    }
    for (int i = 0; i < 24; i++)
        tn_rmm_deallocate(p[i], ((size_t)1 << i) + 1, NULL, pool);
    CHECK(client_of(pool, TN_CLIENT_RMM).mismatch_count == 0 && client_of(pool, TN_CLIENT_RMM).allocation_count == 24);
    OK(tn_pool_release(pool));
}

/* AL-2: pools of managed and of page-locked memory serve every GPU. */
static void al_2_memory_of_every_gpu(void)
{
    const tn_device devices[2] = {{TN_CUDA_MANAGED, 0}, {TN_CUDA_HOST, 0}};
    for (int i = 0; i < 2; i++) {
        tn_pool *pool = make("shared", devices[i], 0);
        stream_t s = new_stream();
        char *p = tn_rmm_allocate(5000, s, pool), *q = tn_cupy_malloc(pool, 5000, gpus() - 1);
        CHECK(p && q);
        fill(p, 5000, 3, s);
        tn_rmm_deallocate(p, 5000, s, pool);
        CHECK(tn_rmm_allocate(5000, s, pool) == p);
        tn_rmm_deallocate(p, 5000, s, pool);
        tn_cupy_free(pool, q, 0);
        CHECK(stats_of(pool).live_blocks == 0);
        end_stream(s);
        OK(tn_pool_release(pool));
    }
    if (gpus() > 1) {
        tn_pool *pool = make("first", GPU, 0);
        CHECK(tn_cupy_malloc(pool, 8, 1) == NULL && says("GPU 0") && says("GPU 1"));
        OK(tn_pool_release(pool));
    }
}

/* AL-7: a freed block is reused at once on the stream of its free, and on others after that stream's work. */
static void al_7_the_order_of_streams(void)
{
    tn_pool *pool = make("ordered", GPU, 2 * MIB);
    stream_t s = new_stream(), t = new_stream();
    void *p = tn_rmm_allocate(2 * MIB, s, pool);
    stall_behind_fill(s, p, 2 * MIB);
    for (int i = 0; i < 3; i++) {
        tn_rmm_deallocate(p, 2 * MIB, s, pool);
        CHECK(tn_rmm_allocate(2 * MIB, s, pool) == p);
    }
    tn_rmm_deallocate(p, 2 * MIB, s, pool);
    void *q = tn_rmm_allocate(2 * MIB, t, pool);
    CHECK(q == p); /* The pool has no other memory. */
    CHECK(is_filled_after(q, 2 * MIB, t, s));
    tn_rmm_deallocate(q, 2 * MIB, t, pool);
    end_stream(s);
    end_stream(t);
    /* A new stream may have the address of one that is gone; the memory outlives both. */
    stream_t u = new_stream();
    CHECK(tn_rmm_allocate(2 * MIB, u, pool) == p);
    tn_rmm_deallocate(p, 2 * MIB, u, pool);
    end_stream(u);
    OK(tn_pool_release(pool));
}

/* AL-7: what was freed without a stream is finished only after a wait for the device, although the legacy stream has nothing to do. A strict
 * pool fails where others would wait. */
static void al_7_no_stream_is_not_the_legacy_stream(void)
{
    tn_pool_options options = {.size = sizeof options, .name = "strict", .max_size = 2 * MIB, .flags = TN_POOL_STRICT};
    tn_pool *pool = NULL;
    stream_t s = new_stream(), t = new_stream();
    OK(tn_pool_create(GPU, &options, &pool));
    void *p = tn_cupy_malloc(pool, 2 * MIB, 0);
    stall_behind_fill(s, p, 2 * MIB);
    tn_cupy_free(pool, p, 0);
    CHECK(tn_rmm_allocate(2 * MIB, t, pool) == NULL && says("limit 2 MiB"));
    CHECK(cu.tenure_sim_release(s) == 0);
    OK(tn_device_synchronize(GPU));
    CHECK(tn_rmm_allocate(2 * MIB, t, pool) == p);
    tn_rmm_deallocate(p, 2 * MIB, t, pool);
    end_stream(s);
    end_stream(t);
    OK(tn_pool_release(pool));
}

/* AL-7: what was freed without a stream stays so when the legacy stream has used the block meanwhile, and when it has to be cleared. */
static void al_7_no_stream_is_not_forgotten(void)
{
    for (uint32_t flags = 0; flags <= TN_POOL_ZERO_ON_FREE; flags += TN_POOL_ZERO_ON_FREE) {
        tn_pool_options options = {.size = sizeof options, .flags = flags, .backend = TN_BACKEND_PLAIN};
        tn_pool *pool = NULL;
        OK(tn_pool_create(GPU, &options, &pool));
        stream_t s = new_stream(), t = new_stream();
        void *p = tn_cupy_malloc(pool, 2 * MIB, 0);
        stall_behind_fill(s, p, 2 * MIB);
        tn_cupy_free(pool, p, 0);
        void *r = tn_rmm_allocate(2 * MIB, NULL, pool);
        tn_rmm_deallocate(r, 2 * MIB, NULL, pool);
        void *q = tn_rmm_allocate(2 * MIB, t, pool);
        CHECK(q && q != p);
        CHECK(cu.tenure_sim_release(s) == 0);
        tn_rmm_deallocate(q, 2 * MIB, t, pool);
        OK(tn_device_synchronize(GPU));
        end_stream(s);
        end_stream(t);
        OK(tn_pool_release(pool));
    }
}

/* AL-7: a free without a stream. CuPy may have used the block in any stream. */
static void al_7_no_stream(void)
{
    tn_pool *pool = make("unnamed", GPU, 0);
    stream_t s = new_stream(), t = new_stream();
    void *p = tn_cupy_malloc(pool, 2 * MIB, 0);
    stall_behind_fill(s, p, 2 * MIB);
    tn_cupy_free(pool, p, 0);
    void *q = tn_rmm_allocate(2 * MIB, t, pool);
    CHECK(q && q != p); /* t cannot wait for what has no event. */
    void *r = tn_rmm_allocate(2 * MIB, NULL, pool);
    CHECK(r == p);
    CHECK(cu.tenure_sim_release(s) == 0);
    tn_rmm_deallocate(r, 2 * MIB, NULL, pool);
    tn_rmm_deallocate(q, 2 * MIB, t, pool);
    CHECK(tn_cupy_malloc(pool, 2 * MIB, 0) == p);
    tn_cupy_free(pool, p, 0);
    OK(tn_device_synchronize(GPU));
    void *both[2] = {tn_rmm_allocate(2 * MIB, t, pool), tn_rmm_allocate(2 * MIB, t, pool)};
    CHECK((both[0] == p || both[1] == p) && (both[0] == q || both[1] == q));
    tn_rmm_deallocate(both[0], 2 * MIB, t, pool);
    tn_rmm_deallocate(both[1], 2 * MIB, t, pool);
    OK(tn_device_synchronize(GPU));

    /* The thread's current stream is the stream of calls that name none. */
    tn_stream *current = NULL;
    OK(tn_stream_import(GPU, (uintptr_t)s, &current));
    OK(tn_stream_set_current(GPU, current));
    p = tn_cupy_malloc(pool, 2 * MIB, 0);
    stall_behind_fill(s, p, 2 * MIB);
    tn_cupy_free(pool, p, 0);
    CHECK(tn_cupy_malloc(pool, 2 * MIB, 0) == p);
    tn_cupy_free(pool, p, 0);
    OK(tn_stream_set_current(GPU, NULL));
    OK(tn_stream_release(current));
    q = tn_rmm_allocate(2 * MIB, t, pool);
    CHECK(is_filled_after(q, 2 * MIB, t, s));
    tn_rmm_deallocate(q, 2 * MIB, t, pool);
    end_stream(s);
    end_stream(t);
    OK(tn_pool_release(pool));
}

/* A block that no stream uses any more is free for all streams at once. A strict pool fails where others would wait. */
static void a_block_that_no_stream_uses(void)
{
    tn_pool_options options = {.size = sizeof options, .name = "done", .max_size = 2 * MIB, .flags = TN_POOL_STRICT};
    tn_pool_stats stats = {.size = sizeof stats};
    tn_pool *pool = NULL;
    void *p = NULL;
    stream_t current = (stream_t)(uintptr_t)TN_STREAM_CURRENT, none = (stream_t)UINTPTR_MAX, s = new_stream();
    OK(tn_pool_create(GPU, &options, &pool));
    OK(tn_plugin_allocate(TN_CLIENT_NUMBA, pool, 2 * MIB, 0, current, &p));
    fill(p, 2 * MIB, 1, NULL);
    OK(tn_device_synchronize(GPU));
    OK(tn_plugin_deallocate(TN_CLIENT_NUMBA, NULL, p, 0, none));
    OK(tn_pool_query(pool, &stats));
    CHECK(stats.pending_bytes == 0 && stats.cached_bytes == 2 * MIB);
    CHECK(tn_rmm_allocate(2 * MIB, s, pool) == p);
    tn_rmm_deallocate(p, 2 * MIB, s, pool);
    end_stream(s);
    OK(tn_pool_release(pool));
}

/* AL-8: 0 is the legacy stream. A stream that captures a graph gets free blocks only. */
static void al_8_the_legacy_stream_and_captures(void)
{
    tn_pool *pool = make("captured", GPU, 2 * MIB);
    stream_t legacy = (stream_t)(uintptr_t)1, s = new_stream();
    void *graph = NULL, *p = tn_rmm_allocate(2 * MIB, NULL, pool);
    tn_rmm_deallocate(p, 2 * MIB, legacy, pool);
    CHECK(tn_rmm_allocate(2 * MIB, legacy, pool) == p);
    tn_rmm_deallocate(p, 2 * MIB, NULL, pool);
    OK(tn_device_synchronize(GPU));
    CHECK(cu.cuStreamBeginCapture_v2(s, 1) == 0);
    CHECK(tn_rmm_allocate(2 * MIB, s, pool) == p);
    CHECK(tn_rmm_allocate(2 * MIB, s, pool) == NULL && says("tn_rmm_allocate: ") && says("graph is captured"));
    tn_rmm_deallocate(p, 2 * MIB, s, pool);
    CHECK(cu.cuStreamEndCapture(s, &graph) == 0 && graph != NULL);
    CHECK((p = tn_rmm_allocate(2 * MIB, s, pool)) != NULL);
    tn_rmm_deallocate(p, 2 * MIB, s, pool);
    end_stream(s);
    OK(tn_pool_release(pool));
}

/* AL-32: a block is reused only after the work that a recorded stream has when the block is freed. */
static void al_32_record_stream(void)
{
    stream_t s = new_stream(), t = new_stream();
    void *p = tn_torch_alloc(3 * MIB, 0, s);
    tn_torch_record_stream(p, t);
    stall_behind_fill(t, p, 3 * MIB); /* after the record, before the free */
    tn_torch_free(p, 3 * MIB, 0, s);
    void *q = tn_torch_alloc(3 * MIB, 0, s);
    CHECK(is_filled_after(q, 3 * MIB, s, t));
    tn_torch_free(q, 3 * MIB, 0, s);
    end_stream(s);
    end_stream(t);
}

/* Streams of other libraries come and go, more than are remembered at once. */
static void many_streams(void)
{
    enum { STREAMS = 300 };
    tn_pool *pool = make("many", GPU, 0);
    stream_t streams[STREAMS];
    void *p[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = new_stream();
        p[i] = tn_rmm_allocate(4096, streams[i], pool);
        fill(p[i], 4096, 1, streams[i]);
    }
    for (int i = 0; i < STREAMS; i++)
        tn_rmm_deallocate(p[i], 4096, streams[i], pool);
    for (int i = 0; i < STREAMS; i++)
        end_stream(streams[i]);
    CHECK(client_of(pool, TN_CLIENT_RMM).live_blocks == 0 && stats_of(pool).misuse_count == 0);
    OK(tn_pool_release(pool));
    /* Each of them with a use that is open until its block is freed. */
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = new_stream();
        p[i] = tn_torch_alloc(4096, 0, NULL);
        tn_torch_record_stream(p[i], streams[i]);
    }
    for (int i = 0; i < STREAMS; i++)
        tn_torch_free(p[i], 4096, 0, NULL);
    for (int i = 0; i < STREAMS; i++)
        end_stream(streams[i]);
}

static tn_pool *common;

/* Blocks of one pool on a stream of this thread: each has this thread's bytes when the stream is done. */
static void *works(void *argument)
{
    unsigned char own = *(unsigned char *)argument;
    int wrong = cu.cuCtxSetCurrent(cu.context);
    stream_t stream = new_stream();
    for (int i = 0; i < rounds(200); i++) {
        size_t bytes = (size_t)1000 << (i % 11);
        unsigned char last = 0;
        char *p = tn_rmm_allocate(bytes, stream, common), *q = tn_rmm_allocate(bytes, stream, common);
        fill(p, bytes, own, stream);
        tn_rmm_deallocate(q, bytes, stream, common);
        wrong += cu.cuStreamSynchronize(stream) + cu.cuMemcpyDtoH_v2(&last, (uintptr_t)p + bytes - 1, 1);
        wrong += last != own;
        fill(p, bytes, 0, stream); /* pending when the block is freed */
        tn_rmm_deallocate(p, bytes, stream, common);
    }
    wrong += cu.cuStreamSynchronize(stream) + cu.cuStreamDestroy_v2(stream);
    return wrong == 0 ? argument : NULL;
}

/* AL-1, AL-7: threads of other libraries, each with a stream. */
static void al_1_threads(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    unsigned char values[THREADS];
    common = make("common", GPU, 0);
    for (int i = 0; i < THREADS; i++) {
        values[i] = (unsigned char)(i + 1);
        CHECK(pthread_create(&threads[i], NULL, works, &values[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *right = NULL;
        CHECK(pthread_join(threads[i], &right) == 0 && right != NULL);
    }
    CHECK(client_of(common, TN_CLIENT_RMM).live_blocks == 0 && stats_of(common).misuse_count == 0);
    OK(tn_pool_release(common));
}

/* AL-9: in the child of a fork, allocations fail and frees are dropped, without a call of the driver. */
static void al_9_fork(void)
{
    stream_t s = new_stream();
    void *p = tn_torch_alloc(500, 0, s), *q = tn_cupy_malloc(NULL, 500, 0);
    int state = -1;
    pid_t child = fork();
    if (child == 0) {
        uint64_t calls = cu.tenure_sim_calls("");
        int right = tn_torch_alloc(500, 0, s) == NULL && tn_rmm_allocate(500, NULL, NULL) == NULL && says("forked");
        tn_torch_free(p, 500, 0, s);
        tn_cupy_free(NULL, q, 0);
        _exit(right && cu.tenure_sim_calls("") == calls ? 0 : 1);
    }
    CHECK(waitpid(child, &state, 0) == child && WIFEXITED(state) && WEXITSTATUS(state) == 0);
    tn_torch_free(p, 500, 0, s);
    tn_cupy_free(NULL, q, 0);
    end_stream(s);
}

static void *late[3];
static stream_t late_stream;

/* AL-10: frees after the driver has shut down are counted and dropped. */
static void at_exit(void)
{
    tn_pool *own = home();
    tn_pool_stats before = stats_of(own);
    CHECK(cu.tenure_sim_fail("*", 1, 0, 4) == 0);
    tn_torch_free(late[0], 500, 0, late_stream);
    tn_cupy_free(NULL, late[1], 0);
    tn_rmm_deallocate(late[2], 500, NULL, NULL);
    tn_torch_free(late, 500, 0, late_stream); /* no block */
    CHECK(stats_of(own).live_blocks == before.live_blocks - 3 && stats_of(own).misuse_count == before.misuse_count + 1);
    CHECK(tn_torch_alloc(40 * MIB, 0, late_stream) == NULL);
    OK(tn_pool_release(own));
    if (check_failures != 0)
        _exit(9);
}

int main(void)
{
    if (gpus() == 0) {
        pthread_t thread;
        CHECK(getenv("TENURE_TEST_DEVICE") == NULL);
        CHECK(pthread_create(&thread, NULL, without_a_driver, NULL) == 0 && pthread_join(thread, NULL) == 0);
        host_pools_are_refused();
        return finish();
    }
    find_driver();
    al_1_al_2_the_default_pool();
    host_pools_are_refused();
    al_2_a_released_pool();
    al_3_failure();
    al_4_misuse();
    al_5_alignment();
    al_2_memory_of_every_gpu();
    if (cu.tenure_sim_hold != NULL) {
        al_7_the_order_of_streams();
        al_7_no_stream_is_not_the_legacy_stream();
        al_7_no_stream();
        a_block_that_no_stream_uses();
        al_7_no_stream_is_not_forgotten();
        al_32_record_stream();
        if (!is_watched()) /* In the child, what the driver's threads had counts as lost. */
            al_9_fork();
    }
    al_8_the_legacy_stream_and_captures();
    many_streams();
    al_1_threads();
    int result = finish();
    if (cu.tenure_sim_fail != NULL) {
        late_stream = new_stream();
        late[0] = tn_torch_alloc(500, 0, late_stream);
        late[1] = tn_cupy_malloc(NULL, 500, 0);
        late[2] = tn_rmm_allocate(500, NULL, NULL);
        atexit(at_exit);
    }
    return result;
}
