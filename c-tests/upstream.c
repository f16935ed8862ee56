/* Pools over the caller's own memory: PO-48 to PO-54. The upstream here checks the pool's calls and the returned memory. */
#define _DEFAULT_SOURCE
#include "helpers.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECES 4096
#define MIB    ((size_t)1 << 20)

/* An upstream that maps memory, and a log of its calls. */
typedef struct {
    tn_upstream table;
    struct { char *start; size_t bytes, left; } pieces[PIECES];
    size_t count;          /* pieces in use */
    size_t bytes;          /* bytes in use */
    size_t allocations, deallocations, releases, purges, purged;
    size_t wrong;          /* violations: wrong sizes, two calls at once */
    size_t budget;         /* most bytes in use */
    tn_status answer;      /* the status of the next allocations */
    tn_status farewell;    /* the status of deallocate */
    int protection;
    int overlap, off, nothing; /* wrong results with TN_OK */
    pthread_mutex_t lock;
    int inside, most_inside;
    tn_pool *pool;         /* called from within, if it is set */
    tn_status called[6];
} Source;

static void enters(Source *s)
{
    int now = __atomic_add_fetch(&s->inside, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&s->lock);
    if (now > s->most_inside)
        s->most_inside = now;
}

static void leaves(Source *s)
{
    pthread_mutex_unlock(&s->lock);
    __atomic_sub_fetch(&s->inside, 1, __ATOMIC_SEQ_CST);
}

static int is_power(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* PO-50: the pool's statuses for calls of its own upstream. */
static void call_back(Source *s)
{
    void *out = UNTOUCHED;
    size_t count = 0;
    tn_pool_stats stats = {.size = sizeof stats};
    s->called[0] = tn_pool_allocate(s->pool, 16, 0, NULL, &out);
    s->called[1] = tn_pool_allocate(s->pool, 16 * MIB, 0, NULL, &out);
    s->called[2] = tn_pool_trim(s->pool, 0, NULL);
    s->called[3] = tn_pool_query(s->pool, &stats);
    s->called[4] = tn_pool_release(s->pool);
    s->called[5] = tn_pool_query_clients(s->pool, sizeof(tn_pool_client), 0, NULL, &count);
    CHECK(out == UNTOUCHED);
}

static tn_status source_allocate(void *context, size_t bytes, size_t alignment, uint64_t native_stream, void **out)
{
    Source *s = context;
    size_t granularity = s->table.granularity ? s->table.granularity : 4096;
    tn_status status = TN_OK;
    enters(s);
    s->allocations++;
    s->wrong += bytes == 0 || bytes % granularity != 0 || !is_power(alignment) || native_stream != 0;
    s->wrong += s->table.alignment != 0 && alignment < s->table.alignment;
    if (s->pool != NULL)
        call_back(s);
    if (s->answer != TN_OK || s->bytes + bytes > s->budget || s->count == PIECES) {
        status = s->answer != TN_OK ? s->answer : TN_ERR_NO_DEVICE_MEMORY;
    } else if (s->nothing) {
        *out = NULL;
    } else if (s->overlap && s->count > 0) {
        *out = s->pieces[0].start;
    } else {
        /* Cut to the alignment, followed by an inaccessible page. */
        char *wide = mmap(NULL, bytes + alignment + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        char *start = (char *)(((uintptr_t)wide + alignment - 1) / alignment * alignment);
        CHECK(wide != MAP_FAILED && mprotect(start, bytes, s->protection) == 0);
        munmap(wide, (size_t)(start - wide));
        munmap(start + bytes + 4096, (size_t)(wide + alignment - start));
        if (s->protection != PROT_NONE && !(s->table.flags & TN_UPSTREAM_ZEROED))
            memset(start, 0x77, bytes);
        start += s->off;
        for (size_t i = 0; i < PIECES; i++)
            if (s->pieces[i].start == NULL) {
                s->pieces[i].start = start;
                s->pieces[i].bytes = s->pieces[i].left = bytes;
                break;
            }
        s->count++;
        s->bytes += bytes;
        *out = start;
    }
    leaves(s);
    return status;
}

static tn_status source_deallocate(void *context, void *ptr, size_t bytes, uint64_t native_stream)
{
    Source *s = context;
    size_t i = 0;
    char *start = ptr;
    int partial = (s->table.flags & TN_UPSTREAM_PARTIAL_FREE) != 0;
    enters(s);
    s->deallocations++;
    if (s->pool != NULL)
        call_back(s);
    while (i < PIECES && !(s->pieces[i].start != NULL && start >= s->pieces[i].start &&
                           start + bytes <= s->pieces[i].start + s->pieces[i].bytes))
        i++;
    if (s->overlap) {
        /* The pool returns the overlapping memory; the first piece stays in use. */
        leaves(s);
        return TN_OK;
    }
    if (i == PIECES || native_stream != 0 || bytes == 0 || bytes > s->pieces[i].left ||
        (!partial && (start != s->pieces[i].start || bytes != s->pieces[i].bytes))) {
        s->wrong++;
    } else {
        /* The addresses of a part stay taken, so that no other piece gets them. */
        CHECK(mprotect(start - s->off, bytes, PROT_NONE) == 0);
        s->bytes -= bytes;
        s->pieces[i].left -= bytes;
        if (s->pieces[i].left == 0) {
            munmap(s->pieces[i].start - s->off, s->pieces[i].bytes);
            s->pieces[i].start = NULL;
            s->count--;
        }
    }
    leaves(s);
    return s->farewell;
}

static tn_status source_purge(void *context, void *ptr, size_t bytes)
{
    Source *s = context;
    enters(s);
    s->purges++;
    s->purged += bytes;
    CHECK(madvise(ptr, bytes, MADV_DONTNEED) == 0);
    leaves(s);
    return TN_OK;
}

static void source_release(void *context)
{
    Source *s = context;
    enters(s);
    s->releases++;
    s->wrong += s->farewell == TN_OK && s->count != 0; /* PO-49: everything was returned before */
    leaves(s);
}

static Source *source(uint32_t flags)
{
    Source *s = calloc(1, sizeof *s);
    s->table = (tn_upstream){.size = sizeof s->table, .context = s, .flags = flags, .allocate = source_allocate,
                             .deallocate = source_deallocate, .release = source_release};
    s->budget = SIZE_MAX / 2;
    s->protection = PROT_READ | PROT_WRITE;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

/* The pool has ended: all of the upstream's memory must be returned. */
static void over(Source *s)
{
    CHECK(s->count == 0 && s->bytes == 0 && s->releases == 1 && s->wrong == 0);
    free(s);
}

static tn_pool *import(Source *s, const tn_pool_options *options)
{
    tn_pool *pool = NULL;
    OK(tn_pool_import(HOST, &s->table, options, &pool));
    return pool;
}

static tn_pool_stats checked(tn_pool *pool)
{
    tn_pool_stats s = stats_of(pool);
    CHECK(s.reserved_bytes == s.in_use_bytes + s.cached_bytes + s.pending_bytes + s.overhead_bytes);
    CHECK(s.live_blocks == s.allocation_count - s.deallocation_count);
    return s;
}

static char *raw(tn_pool *pool, size_t bytes, size_t alignment)
{
    void *out = NULL;
    OK(tn_pool_allocate(pool, bytes, alignment, NULL, &out));
    CHECK(alignment == 0 || (uintptr_t)out % alignment == 0);
    return out;
}

static int lies_in(Source *s, const char *at, size_t bytes)
{
    for (size_t i = 0; i < PIECES; i++)
        if (s->pieces[i].start != NULL && at >= s->pieces[i].start && at + bytes <= s->pieces[i].start + s->pieces[i].bytes)
            return 1;
    return 0;
}

/* PO-48, PO-49: blocks lie in memory of `allocate`, sizes and alignments are as promised, pieces are returned unchanged. */
static void blocks_come_from_the_upstream(uint32_t flags, size_t granularity, size_t alignment)
{
    static const size_t sizes[] = {0, 1, 16, 100, 1000, 5000, 65536, 70000, 300000, 3 * MIB};
    Source *s = source(flags);
    s->table.granularity = granularity;
    s->table.alignment = alignment;
    tn_pool *pool = import(s, NULL);
    CHECK(s->allocations == 0 && checked(pool).reserved_bytes == 0);
    char *live[200] = {0};
    size_t bytes[200] = {0};
    unsigned seed = 7;
    for (int round = 0; round < rounds(4000); round++) {
        size_t at = (seed = seed * 1103515245u + 12345u) / 65536 % 200;
        if (live[at] != NULL) {
            for (size_t i = 0; i < bytes[at]; i += 997)
                CHECK(live[at][i] == (char)at);
            OK(tn_pool_deallocate(pool, live[at], NULL));
            live[at] = NULL;
        } else {
            bytes[at] = sizes[(seed >> 8) % 10];
            live[at] = raw(pool, bytes[at], (seed >> 12) % 8 == 0 ? 65536 : 0);
            CHECK(lies_in(s, live[at], bytes[at]));
            memset(live[at], (int)at, bytes[at]);
        }
        if (round % 512 == 0)
            OK(tn_pool_trim(pool, round % 1024, NULL));
        CHECK(s->bytes == checked(pool).reserved_bytes);
    }
    for (size_t at = 0; at < 200; at++)
        OK(tn_pool_deallocate(pool, live[at], NULL));
    /* Without live blocks everything is returned. */
    size_t released = 0, held = s->bytes;
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(released == held && s->bytes == 0 && s->count == 0 && checked(pool).reserved_bytes == 0);
    /* And with live blocks, the last of which ends the pool. */
    char *small = raw(pool, 100, 0), *large = raw(pool, 5 * MIB, 0), *aligned = raw(pool, 10, 4 * MIB);
    OK(tn_pool_release(pool));
    CHECK(s->releases == 0);
    OK(tn_pool_deallocate(NULL, large, NULL));
    OK(tn_pool_deallocate(NULL, aligned, NULL));
    CHECK(s->releases == 0 && s->count == 1);
    OK(tn_pool_deallocate(NULL, small, NULL));
    over(s);
}

/* PO-49: a piece is returned whole or stays; with PARTIAL_FREE a part is returned. */
static void pieces_go_back_whole(void)
{
    for (int partial = 0; partial < 2; partial++) {
        Source *s = source(partial ? TN_UPSTREAM_PARTIAL_FREE : 0);
        tn_pool_options options = {.size = sizeof options, .initial_size = 8 * MIB};
        tn_pool *pool = import(s, &options);
        CHECK(s->count == 1 && s->bytes == 8 * MIB && s->allocations == 1);
        /* PO-2: the first bytes make no call. */
        char *a = raw(pool, 2 * MIB, 0), *b = raw(pool, MIB, 0), *c = raw(pool, 2 * MIB, 0);
        CHECK(s->allocations == 1 && checked(pool).device_allocate_count == 1);
        char *more = raw(pool, 16 * MIB, 0);
        CHECK(s->allocations == 2 && s->bytes == 24 * MIB);
        OK(tn_pool_deallocate(pool, more, NULL));
        OK(tn_pool_deallocate(pool, a, NULL));
        OK(tn_pool_deallocate(pool, c, NULL));
        size_t released = 0;
        OK(tn_pool_trim(pool, 0, &released));
        /* PO-2: never below initial_size. The large piece is returned. The first one stays because it is in use, or is returned in parts.
         * */
        CHECK(released == 16 * MIB && s->bytes == 8 * MIB && (partial || s->count == 1));
        OK(tn_pool_deallocate(pool, b, NULL));
        OK(tn_pool_trim(pool, 0, &released));
        CHECK(released == 0 && s->bytes == 8 * MIB);
        /* All of it in one block: the free spans of a piece merged. */
        b = raw(pool, (partial ? 4 : 8) * MIB, 0);
        CHECK(s->allocations == 2);
        OK(tn_pool_deallocate(pool, b, NULL));
        OK(tn_pool_release(pool));
        over(s);

        s = source(partial ? TN_UPSTREAM_PARTIAL_FREE : 0);
        s->table.granularity = 64 * 1024;
        pool = import(s, NULL);
        a = raw(pool, 8 * MIB, 0);
        void *out = NULL;
        OK(tn_pool_reallocate(pool, a, MIB, NULL, &out));
        CHECK(out == a);
        OK(tn_pool_trim(pool, 0, &released));
        CHECK(released == (partial ? 7 * MIB : 0) && s->bytes == (partial ? MIB : 8 * MIB));
        CHECK(checked(pool).reserved_bytes == s->bytes);
        OK(tn_pool_deallocate(pool, a, NULL));
        OK(tn_pool_release(pool));
        over(s);
    }
}

/* PO-49: adjacent pieces are not one piece. */
static char *arena_start;
static size_t arena_next, arena_wrong;
static tn_status arena_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    (void)context, (void)stream;
    arena_next = (arena_next + alignment - 1) / alignment * alignment;
    *out = arena_start + arena_next;
    ((size_t *)context)[arena_next / 65536] = bytes;
    arena_next += bytes;
    return TN_OK;
}
static tn_status arena_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    size_t *given = &((size_t *)context)[((char *)ptr - arena_start) / 65536];
    (void)stream;
    arena_wrong += *given != bytes;
    *given = 0;
    return TN_OK;
}
static void neighbours_stay_apart(uint32_t flags)
{
    static size_t given[1024];
    memset(given, 0, sizeof given);
    arena_next = 0;
    arena_start = mmap(NULL, 68 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *mapped = arena_start;
    arena_start = (char *)(((uintptr_t)arena_start + 4 * MIB - 1) / (4 * MIB) * (4 * MIB));
    tn_upstream up = {.size = sizeof up, .context = given, .flags = flags, .allocate = arena_allocate, .deallocate = arena_deallocate};
    tn_pool *pool = NULL;
    OK(tn_pool_import(HOST, &up, NULL, &pool));
    char *blocks[32];
    for (int i = 0; i < 32; i++)
        blocks[i] = raw(pool, MIB, 0);
    CHECK(blocks[1] == blocks[0] + MIB);
    for (int i = 0; i < 32; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    /* 2 MiB do not exist in one piece, although 32 pieces are adjacent. */
    char *two = raw(pool, 2 * MIB, 0);
    CHECK(two == arena_start + 32 * MIB);
    OK(tn_pool_deallocate(pool, two, NULL));
    size_t released = 0;
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(released == 34 * MIB && arena_wrong == 0);
    OK(tn_pool_release(pool));
    munmap(mapped, 68 * MIB);
}

/* PO-49: an import that fails calls nothing, or returns the memory that it got, and the caller keeps the upstream. */
static void failed_imports(void)
{
    Source *s = source(0);
    tn_pool *pool = UNTOUCHED;
    FAILS(tn_pool_import(HOST, NULL, NULL, &pool), TN_ERR_NULL);
    FAILS(tn_pool_import(HOST, &s->table, NULL, NULL), TN_ERR_NULL);
    tn_upstream up = s->table;
    up.allocate = NULL;
    FAILS(tn_pool_import(HOST, &up, NULL, &pool), TN_ERR_NULL);
    up = s->table, up.deallocate = NULL;
    FAILS(tn_pool_import(HOST, &up, NULL, &pool), TN_ERR_NULL);
    up = s->table, up.size = 0;
    FAILS(tn_pool_import(HOST, &up, NULL, &pool), TN_ERR_INVALID);
    up = s->table, up.flags = 1u << 3;
    FAILS(tn_pool_import(HOST, &up, NULL, &pool), TN_ERR_INVALID);
    CHECK(says("flags") && says("0x8"));
    up = s->table, up.reserved = 1;
    FAILS(tn_pool_import(HOST, &up, NULL, &pool), TN_ERR_INVALID);
    up = s->table, up.alignment = 12345;
    FAILS(tn_pool_import(HOST, &up, NULL, &pool), TN_ERR_INVALID);
    CHECK(says("alignment") && says("12345"));
    up = s->table, up.granularity = SIZE_MAX;
    FAILS(tn_pool_import(HOST, &up, NULL, &pool), TN_ERR_INVALID);
    CHECK(says("granularity"));
    FAILS(tn_pool_import((tn_device){TN_CPU, 1}, &s->table, NULL, &pool), TN_ERR_DEVICE);
    FAILS(tn_pool_import((tn_device){5, 0}, &s->table, NULL, &pool), TN_ERR_DEVICE);
    tn_pool_options options = {.size = sizeof options, .growth_factor = 0.5};
    FAILS(tn_pool_import(HOST, &s->table, &options, &pool), TN_ERR_INVALID);
    options = (tn_pool_options){.size = sizeof options, .flags = TN_POOL_PREFAULT};
    FAILS(tn_pool_import(HOST, &s->table, &options, &pool), TN_ERR_UNSUPPORTED);
    CHECK(s->allocations == 0 && s->deallocations == 0 && s->releases == 0);

    options = (tn_pool_options){.size = sizeof options, .initial_size = MIB};
    s->budget = 0;
    FAILS(tn_pool_import(HOST, &s->table, &options, &pool), TN_ERR_NO_HOST_MEMORY);
    CHECK(says("TN_ERR_NO_DEVICE_MEMORY"));
    FAILS(tn_pool_import((tn_device){TN_CUDA, 3}, &s->table, &options, &pool), TN_ERR_NO_DEVICE_MEMORY);
    s->budget = SIZE_MAX / 2;
    s->off = 64;
    FAILS(tn_pool_import(HOST, &s->table, &options, &pool), TN_ERR_FAILED);
    CHECK(s->allocations == 3 && s->deallocations == 1 && s->count == 0 && s->releases == 0 && s->wrong == 0);
    CHECK(pool == UNTOUCHED);
    free(s);
}

static void *churn(void *context)
{
    tn_pool *pool = context;
    for (int i = 0; i < rounds(300); i++) {
        char *a = raw(pool, 3 * MIB, 0), *b = raw(pool, 40, 0);
        a[0] = b[0] = 1;
        OK(tn_pool_deallocate(pool, a, NULL));
        OK(tn_pool_deallocate(pool, b, NULL));
        if (i % 4 == 0)
            OK(tn_pool_trim(pool, 0, NULL));
    }
    return NULL;
}

static pthread_barrier_t in_callback, served;

static void *hold_to_the_end(void *context)
{
    OK(tn_pool_set_current(context));
    char *a = raw(NULL, 200, 0), *b = raw(NULL, 3 * MIB, 0);
    pthread_barrier_wait(&in_callback);
    pthread_barrier_wait(&served);
    OK(tn_pool_deallocate(NULL, a, NULL));
    OK(tn_pool_deallocate(NULL, b, NULL));
    return NULL;
}

static void *allocate_large(void *context)
{
    char *a = raw(context, 300000, 0);
    OK(tn_pool_deallocate(context, a, NULL));
    /* The thread keeps the block. */
    CHECK(checked(context).device_free_count < checked(context).device_allocate_count);
    return NULL;
}

static void *allocate_small(void *context)
{
    char *a = raw(context, 200, 0);
    OK(tn_pool_deallocate(context, a, NULL));
    return NULL;
}

/* PO-50: never two calls at once without THREAD_SAFE, also when threads end. */
static void gate(void)
{
    for (int safe = 0; safe < 2; safe++) {
        Source *s = source(safe ? TN_UPSTREAM_THREAD_SAFE : 0);
        tn_pool_options options = {.size = sizeof options, .release_threshold = 1};
        tn_pool *pool = import(s, &options);
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, churn, pool);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        CHECK(safe || s->most_inside == 1);
        /* PO-50: at thread exit too: the thread's cache is returned by a callback there. */
        OK(tn_pool_trim(pool, 0, NULL));
        CHECK(s->count == 0);
        pthread_create(&threads[0], NULL, allocate_large, pool);
        pthread_join(threads[0], NULL);
        /* Under a memory checker threads cache nothing, and the pool keeps the last freed block. */
        if (is_watched())
            OK(tn_pool_trim(pool, 0, NULL));
        CHECK(s->count == 0 && s->deallocations == s->allocations);
        /* And everything with a thread: the last holder of the pool is a thread, and the pool ends with it. */
        pthread_barrier_init(&in_callback, NULL, 2);
        pthread_barrier_init(&served, NULL, 2);
        pthread_create(&threads[0], NULL, hold_to_the_end, pool);
        pthread_barrier_wait(&in_callback);
        OK(tn_pool_release(pool));
        CHECK(s->releases == 0 && s->count > 0);
        pthread_barrier_wait(&served);
        pthread_join(threads[0], NULL);
        over(s);
    }
}

/* PO-50: cached memory stays available while a callback waits. */
static tn_status slow_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    if (bytes >= 64 * MIB) {
        pthread_barrier_wait(&in_callback);
        pthread_barrier_wait(&served);
    }
    return source_allocate(context, bytes, alignment, stream, out);
}
static void *wait_for_large(void *context)
{
    char *a = raw(context, 64 * MIB, 0);
    OK(tn_pool_deallocate(context, a, NULL));
    return NULL;
}
static void cached_memory_stays_available(void)
{
    Source *s = source(0);
    s->table.allocate = slow_allocate;
    tn_pool *pool = import(s, NULL);
    char *kept = raw(pool, 10 * MIB, 0), *small = raw(pool, 50, 0);
    OK(tn_pool_deallocate(pool, kept, NULL));
    pthread_barrier_init(&in_callback, NULL, 2);
    pthread_barrier_init(&served, NULL, 2);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_large, pool);
    pthread_barrier_wait(&in_callback);
    kept = raw(pool, 10 * MIB, 0);
    char *other = raw(pool, 50, 0);
    OK(tn_pool_deallocate(pool, other, NULL));
    CHECK(checked(pool).in_use_bytes >= 10 * MIB);
    /* PO-58: in the child of a fork the thread that waits at the gate does not exist, and does not block it. */
    int told[2] = {-1, -1}, ended = -1;
    CHECK(pipe(told) == 0);
    pid_t child = fork();
    if (child == 0) {
        char *more = raw(pool, 5 * MIB, 0);
        more[0] = 1;
        OK(tn_pool_deallocate(pool, more, NULL));
        OK(tn_pool_deallocate(pool, kept, NULL));
        OK(tn_pool_trim(pool, 0, NULL));
        /* Not by its end: valgrind counts the other threads' memory as lost there. */
        CHECK(write(told[1], &check_failures, sizeof check_failures) == sizeof check_failures);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    CHECK(read(told[0], &ended, sizeof ended) == sizeof ended && ended == 0);
    close(told[0]);
    close(told[1]);
    pthread_barrier_wait(&served);
    pthread_join(thread, NULL);
    OK(tn_pool_deallocate(pool, kept, NULL));
    OK(tn_pool_deallocate(pool, small, NULL));
    OK(tn_pool_release(pool));
    over(s);
}

/* PO-50, PO-58: no call waits for a thread in a callback: here for a free that the thread's own heap served. */
static int waits;
static tn_status slow_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    if (__atomic_exchange_n(&waits, 0, __ATOMIC_SEQ_CST)) {
        pthread_barrier_wait(&in_callback);
        pthread_barrier_wait(&served);
    }
    return source_deallocate(context, ptr, bytes, stream);
}
static void *free_some(void *context)
{
    char *blocks[6];
    for (int i = 0; i < 6; i++)
        blocks[i] = raw(context, 300000, 0);
    waits = 1;
    for (int i = 0; i < 6; i++)
        OK(tn_pool_deallocate(context, blocks[i], NULL));
    CHECK(waits == 0);
    return NULL;
}
static void nobody_waits_for_a_callback(void)
{
    Source *s = source(0);
    s->table.deallocate = slow_deallocate;
    tn_pool_options options = {.size = sizeof options, .release_threshold = 1};
    tn_pool *pool = import(s, &options), *other = own_pool("other");
    pthread_barrier_init(&in_callback, NULL, 2);
    pthread_barrier_init(&served, NULL, 2);
    pthread_t thread;
    pthread_create(&thread, NULL, free_some, pool);
    pthread_barrier_wait(&in_callback);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    /* Nor does a request of another pool that reclaims threads' caches. */
    OK(tn_pool_trim(other, 0, NULL));
    OK(tn_pool_release(other));
    pthread_barrier_wait(&served);
    pthread_join(thread, NULL);
    OK(tn_pool_release(pool));
    over(s);
}

/* PO-50: a callback that calls the same pool. */
static void callbacks_may_not_call_the_pool(void)
{
    Source *s = source(0);
    tn_pool *pool = import(s, NULL);
    /* The thread's heap has free blocks, which would serve a small request at once. */
    char *small = raw(pool, 16, 0);
    s->pool = pool;
    char *large = raw(pool, MIB, 0);
    for (int i = 0; i < 6; i++)
        CHECK(s->called[i] == TN_ERR_INVALID);
    memset(s->called, 0, sizeof s->called);
    OK(tn_pool_deallocate(pool, large, NULL));
    OK(tn_pool_trim(pool, 0, NULL));
    for (int i = 0; i < 6; i++)
        CHECK(s->called[i] == TN_ERR_INVALID);
    s->pool = NULL;
    /* It changed nothing. */
    tn_pool_stats stats = checked(pool);
    CHECK(stats.live_blocks == 1 && stats.allocation_count == 2);
    char *next = raw(pool, 16, 0);
    OK(tn_pool_deallocate(pool, next, NULL));
    OK(tn_pool_deallocate(pool, small, NULL));
    OK(tn_pool_release(pool));
    over(s);
}

/* PO-50: freeing a block of the same pool from a callback is refused too, and the block stays. */
static tn_pool *own;
static char *victim, *victim_large;
static tn_status freed[7];
static tn_status freeing_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    if (victim != NULL) {
        void *to = NULL;
        tn_pool *owner = NULL;
        freed[0] = tn_pool_deallocate(own, victim, NULL);
        freed[1] = tn_pool_deallocate(NULL, victim_large, NULL);
        freed[2] = tn_pool_reallocate(own, victim, 1000, NULL, &to);
        freed[3] = tn_pool_usable_size(victim, &bytes);
        freed[4] = tn_pool_set_current(own);
        freed[6] = tn_pool_of(victim, &owner);
        freed[5] = tn_pool_allocate_zeroed(own, 8, 0, NULL, &to);
    }
    return source_allocate(context, bytes, alignment, stream, out);
}
static void callbacks_may_not_free_to_the_pool(void)
{
    Source *s = source(0);
    s->table.allocate = freeing_allocate;
    own = import(s, NULL);
    victim_large = raw(own, 200000, 0);
    victim = raw(own, 16, 0);
    char *large = raw(own, MIB, 0), *small = victim;
    for (int i = 0; i < 7; i++)
        CHECK(freed[i] == TN_ERR_INVALID);
    victim = NULL;
    CHECK(checked(own).live_blocks == 3);
    OK(tn_pool_deallocate(own, small, NULL));
    OK(tn_pool_deallocate(own, victim_large, NULL));
    OK(tn_pool_deallocate(own, large, NULL));
    OK(tn_pool_release(own));
    over(s);
}

/* PO-50: a callback may release an array of the same pool; its memory is freed after the callback. */
static tn_array *let_go;
static tn_status dropping_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    if (let_go != NULL) {
        tn_array *array = let_go;
        let_go = NULL;
        OK(tn_array_release(array));
    }
    return source_deallocate(context, ptr, bytes, stream);
}
static void callbacks_may_drop_arrays(void)
{
    Source *s = source(0);
    s->table.deallocate = dropping_deallocate;
    tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_DIRECT};
    tn_pool *pool = import(s, &options);
    char *block = raw(pool, MIB, 0);
    let_go = zeros(pool, TN_U8, SHAPE(3000000));
    CHECK(s->count == 2);
    OK(tn_pool_deallocate(pool, block, NULL));
    CHECK(let_go == NULL && s->count == 0 && checked(pool).live_blocks == 0);
    OK(tn_pool_release(pool));
    over(s);
}

/* PO-51: an error means out of memory; invalid memory is TN_ERR_FAILED and is returned; the pool stays usable. */
static void wrong_answers(void)
{
    Source *s = source(0);
    tn_pool *pool = import(s, NULL);
    void *out = UNTOUCHED;
    char *first = raw(pool, 100, 0);
    size_t pieces = s->count;
    for (int kind = 0; kind < 6; kind++) {
        size_t bytes = kind < 3 ? MIB : 5000;
        s->answer = kind == 0 ? TN_ERR_IO : kind == 3 ? -77 : TN_OK;
        s->off = kind == 1 || kind == 4 ? 4096 : 0;
        s->overlap = kind == 2 || kind == 5;
        tn_pool_stats before = checked(pool);
        size_t came = s->allocations, went = s->deallocations;
        FAILS(tn_pool_allocate(pool, bytes, 0, NULL, &out), s->answer != TN_OK ? TN_ERR_NO_HOST_MEMORY : TN_ERR_FAILED);
        CHECK(s->answer != TN_ERR_IO || says("TN_ERR_IO"));
        tn_pool_stats after = checked(pool);
        CHECK(after.failure_count == before.failure_count + 1 && after.reserved_bytes == before.reserved_bytes);
        CHECK(after.oom_count == before.oom_count + (s->answer != TN_OK));
        CHECK(s->allocations > came && s->count == pieces);
        CHECK(s->deallocations == went + (s->answer == TN_OK));
        s->answer = TN_OK, s->off = 0, s->overlap = 0;
        char *next = raw(pool, bytes, 0);
        memset(next, 1, bytes);
        OK(tn_pool_deallocate(pool, next, NULL));
        OK(tn_pool_trim(pool, 0, NULL));
        CHECK(s->count == pieces);
    }
    s->nothing = 1;
    FAILS(tn_pool_allocate(pool, MIB, 0, NULL, &out), TN_ERR_FAILED);
    s->nothing = 0;
    CHECK(out == UNTOUCHED && s->wrong == 0);
    OK(tn_pool_deallocate(pool, first, NULL));
    OK(tn_pool_release(pool));
    over(s);
}

/* PO-51: memory that another pool owns, but in none of its blocks. */
static tn_status stolen_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    (void)bytes, (void)alignment, (void)stream;
    *out = context;
    return TN_OK;
}
static tn_status stolen_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    (void)bytes, (void)stream;
    return context == ptr ? TN_OK : TN_ERR_INVALID;
}
static void memory_of_others(void)
{
    tn_pool *victim_pool = own_pool("victim"), *pool = NULL;
    char *at = raw(victim_pool, 4 * MIB, MIB);
    OK(tn_pool_deallocate(victim_pool, at, NULL));
    tn_upstream up = {.size = sizeof up, .context = at, .allocate = stolen_allocate, .deallocate = stolen_deallocate};
    OK(tn_pool_import(HOST, &up, NULL, &pool));
    void *out = UNTOUCHED;
    FAILS(tn_pool_allocate(pool, MIB, 0, NULL, &out), TN_ERR_FAILED);
    CHECK(out == UNTOUCHED && checked(pool).reserved_bytes == 0);
    OK(tn_pool_release(pool));
    OK(tn_pool_release(victim_pool));
}

/* PO-44, PO-47: each call of the upstream fails in turn, and the next request is served from cached memory. */
static void each_call_fails_once(void)
{
    for (size_t fail = 0; fail < 12; fail++) {
        Source *s = source(0);
        tn_pool *pool = import(s, NULL);
        char *live[12];
        size_t count = 0, failures = 0;
        for (size_t i = 0; i < 12; i++) {
            void *out = UNTOUCHED;
            s->answer = s->allocations == fail ? TN_ERR_FAILED : TN_OK;
            /* One refusal is repaired by a second try, so the failure lasts for the whole request. */
            tn_status status = tn_pool_allocate(pool, i % 3 == 0 ? 100 + 999 * i : 200000 * i, 0, NULL, &out);
            CHECK(status == TN_OK || status == TN_ERR_NO_HOST_MEMORY);
            failures += status != TN_OK;
            CHECK((status != TN_OK) == (out == UNTOUCHED));
            if (status == TN_OK)
                live[count++] = out;
            CHECK(checked(pool).live_blocks == count && checked(pool).failure_count == failures);
        }
        CHECK(failures == (fail < s->allocations ? 1 : 0));
        for (size_t i = 0; i < count; i++)
            OK(tn_pool_deallocate(pool, live[i], NULL));
        OK(tn_pool_release(pool));
        over(s);
    }
}

/* PO-44: cached memory of a fitting size serves when the upstream has no more; PO-46: later requests work again. */
static void out_of_memory(void)
{
    Source *s = source(0);
    s->budget = 8 * MIB;
    tn_pool *pool = import(s, NULL);
    char *blocks[8];
    void *out = UNTOUCHED;
    for (int i = 0; i < 8; i++)
        blocks[i] = raw(pool, MIB, 0);
    FAILS(tn_pool_allocate(pool, MIB, 0, NULL, &out), TN_ERR_NO_HOST_MEMORY);
    for (int i = 0; i < 4; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    /* The cached pieces of 1 MiB are returned for one of 4. */
    char *four = raw(pool, 4 * MIB, 0);
    CHECK(s->bytes == 8 * MIB && s->count == 5);
    OK(tn_pool_deallocate(pool, four, NULL));
    for (int i = 4; i < 8; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    OK(tn_pool_release(pool));
    over(s);
    /* As above, with the pool's own limit. */
    s = source(0);
    tn_pool_options options = {.size = sizeof options, .max_size = 8 * MIB};
    pool = import(s, &options);
    for (int i = 0; i < 8; i++)
        blocks[i] = raw(pool, MIB, 0);
    FAILS(tn_pool_allocate(pool, 1, 0, NULL, &out), TN_ERR_POOL_LIMIT);
    for (int i = 0; i < 4; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    four = raw(pool, 4 * MIB, 0);
    CHECK(checked(pool).peak_reserved_bytes <= 8 * MIB);
    OK(tn_pool_deallocate(pool, four, NULL));
    for (int i = 4; i < 8; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    OK(tn_pool_release(pool));
    over(s);
}

/* PO-52: a deallocate that fails loses the bytes, and no call fails. */
static void lost_bytes(void)
{
    Source *s = source(0);
    s->farewell = TN_ERR_FAILED;
    tn_pool *pool = import(s, NULL);
    char *a = raw(pool, MIB, 0);
    OK(tn_pool_deallocate(pool, a, NULL));
    size_t released = 0;
    OK(tn_pool_trim(pool, 0, &released));
    tn_pool_stats stats = checked(pool);
    CHECK(released == MIB && stats.reserved_bytes == 0 && stats.misuse_count == 1);
    a = raw(pool, MIB, 0);
    OK(tn_pool_deallocate(pool, a, NULL));
    OK(tn_pool_release(pool));
    CHECK(s->releases == 1);
    free(s);
}

/* PO-53: memory that the host cannot access, as host memory and as a device's. */
static void untouchable(tn_device device, uint32_t flags)
{
    Source *s = source(flags);
    s->protection = PROT_NONE;
    tn_pool *pool = NULL;
    tn_pool_options options = {.size = sizeof options, .flags = device.type == TN_CUDA ? TN_POOL_STRICT : 0};
    OK(tn_pool_import(device, &s->table, &options, &pool));
    char *live[64] = {0};
    for (int round = 0; round < 2000; round++) {
        int at = round * 37 % 64;
        OK(tn_pool_deallocate(pool, live[at], NULL));
        live[at] = raw(pool, (size_t)(round % 7 == 0 ? 100000 + round * 100 : round + 1), 0);
        tn_pool *owner = NULL;
        size_t usable = 0;
        OK(tn_pool_of(live[at], &owner));
        OK(tn_pool_release(owner));
        OK(tn_pool_usable_size(live[at], &usable));
        if (round % 500 == 0)
            OK(tn_pool_trim(pool, 0, NULL));
        checked(pool);
    }
    FAILS(tn_pool_deallocate(pool, live[0] + 1, NULL), TN_ERR_INVALID);
    void *same = NULL;
    size_t usable = 0;
    char *large = raw(pool, 5 * MIB, 0);
    OK(tn_pool_reallocate(pool, large, 2 * MIB, NULL, &same));
    CHECK(same == large);
    OK(tn_pool_usable_size(live[1], &usable));
    OK(tn_pool_reallocate(pool, live[1], usable, NULL, &same));
    CHECK(same == live[1]);
    OK(tn_pool_deallocate(pool, large, NULL));
    if (device.type == TN_CUDA) {
        /* Operations that only the host could do: clearing, copying, arrays. The refused calls change nothing. */
        tn_pool_stats before = checked(pool), after;
        void *out = UNTOUCHED;
        if (!(flags & TN_UPSTREAM_ZEROED))
            FAILS(tn_pool_allocate_zeroed(pool, 100, 0, NULL, &out), TN_ERR_UNSUPPORTED);
        FAILS(tn_pool_reallocate(pool, live[1], 30 * MIB, NULL, &out), TN_ERR_UNSUPPORTED);
        tn_array *array = UNTOUCHED;
        /* Such a GPU may not exist. */
        tn_status no_array = for_gpu(device.id) == TN_OK ? TN_ERR_UNSUPPORTED : for_gpu(device.id);
        FAILS(tn_array_empty(pool, TN_F64, SHAPE(10), NULL, &array), no_array);
        after = checked(pool);
        CHECK(out == UNTOUCHED && (void *)array == UNTOUCHED);
        CHECK(after.live_blocks == before.live_blocks && after.in_use_bytes == before.in_use_bytes);
        if (flags & TN_UPSTREAM_ZEROED) {
            /* Fresh memory is known to read 0: nothing to clear. */
            OK(tn_pool_allocate_zeroed(pool, 40 * MIB, 0, NULL, &out));
            CHECK(checked(pool).zero_bytes_skipped == 40 * MIB);
            OK(tn_pool_deallocate(pool, out, NULL));
            out = UNTOUCHED;
            OK(tn_pool_trim(pool, 0, NULL));
        }
        tn_device_info info = {.size = sizeof info};
        FAILS(tn_device_query(device, 0, &info), for_gpu(device.id));
    }
    for (int i = 0; i < 64; i++)
        OK(tn_pool_deallocate(pool, live[i], NULL));
    OK(tn_pool_release(pool));
    over(s);
}

/* TN_UPSTREAM_ZEROED: fresh memory is not cleared again. Without the flag it is; reused memory always is. */
static void zeroed_memory(void)
{
    for (int zeroed = 0; zeroed < 2; zeroed++) {
        Source *s = source(zeroed ? TN_UPSTREAM_ZEROED : 0);
        tn_pool *pool = import(s, NULL);
        for (int round = 0; round < 3; round++)
            for (size_t bytes = 1; bytes < 2 * MIB; bytes = bytes * 5 + 3) {
                void *out = NULL;
                OK(tn_pool_allocate_zeroed(pool, bytes, 0, NULL, &out));
                for (size_t i = 0; i < bytes; i++)
                    CHECK(((char *)out)[i] == 0);
                memset(out, 0xff, bytes);
                OK(tn_pool_deallocate(pool, out, NULL));
            }
        CHECK((checked(pool).zero_bytes_skipped > 0) == zeroed);
        OK(tn_pool_release(pool));
        over(s);
    }
}

/* At each trim the upstream is told of free memory that cannot be returned, whose contents are discarded. */
static void purging(void)
{
    Source *s = source(TN_UPSTREAM_ZEROED);
    s->table.purge = source_purge;
    tn_pool *pool = import(s, NULL);
    char *a = raw(pool, 8 * MIB, 0);
    void *out = NULL;
    memset(a, 1, 8 * MIB);
    OK(tn_pool_reallocate(pool, a, MIB, NULL, &out));
    OK(tn_pool_trim(pool, 0, NULL));
    CHECK(s->purges == 1 && s->purged == 7 * MIB && a[MIB - 1] == 1);
    OK(tn_pool_trim(pool, 0, NULL));
    CHECK(s->purges == 2 && s->purged == 14 * MIB);
    char *b = raw(pool, 7 * MIB, 0);
    CHECK(b == a + MIB && b[0] == 0 && s->allocations == 1);
    memset(b, 2, 7 * MIB);
    OK(tn_pool_deallocate(pool, b, NULL));
    OK(tn_pool_allocate_zeroed(pool, 7 * MIB, 0, NULL, &out));
    CHECK(out == b && b[0] == 0 && b[7 * MIB - 1] == 0);
    OK(tn_pool_deallocate(pool, b, NULL));
    OK(tn_pool_trim(pool, 0, NULL));
    CHECK(s->purges == 3);
    OK(tn_pool_deallocate(pool, a, NULL));
    OK(tn_pool_release(pool));
    over(s);
}

/* PO-54: an upstream that allocates from another pool. */
static tn_status nested_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    (void)stream;
    return tn_pool_allocate(context, bytes, alignment, NULL, out);
}
static tn_status nested_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    (void)bytes, (void)stream;
    return tn_pool_deallocate(context, ptr, NULL);
}
static void nested_release(void *context)
{
    OK(tn_pool_release(context));
}

static void pool_over_a_pool(void)
{
    tn_pool *inner = limited_pool("inner", 16 * MIB), *inner_too = NULL, *outer = NULL;
    char *of_inner = raw(inner, 70000, 0);
    OK(tn_pool_of(of_inner, &inner_too));
    tn_upstream up = {.size = sizeof up, .context = inner, .flags = TN_UPSTREAM_THREAD_SAFE, .allocate = nested_allocate,
                      .deallocate = nested_deallocate, .release = nested_release};
    tn_pool_options options = {.size = sizeof options, .name = "outer", .max_size = 8 * MIB};
    OK(tn_pool_import(HOST, &up, &options, &outer));
    char *small = raw(outer, 100, 0), *large = raw(outer, 3 * MIB, 0);
    tn_pool_stats below = checked(inner), above = checked(outer);
    CHECK(above.live_blocks == 2 && below.live_blocks == 1 + above.device_allocate_count);
    CHECK(below.requested_bytes == above.reserved_bytes + 70000);
    /* The block belongs to the outer pool, and is foreign to the inner one. */
    tn_pool *owner = NULL;
    OK(tn_pool_of(small, &owner));
    CHECK(stats_of(owner).serial == above.serial);
    OK(tn_pool_release(owner));
    FAILS(tn_pool_deallocate(inner_too, small, NULL), TN_ERR_FOREIGN);
    FAILS(tn_pool_deallocate(inner_too, large, NULL), TN_ERR_FOREIGN);
    /* Both limits hold. */
    void *out = UNTOUCHED;
    FAILS(tn_pool_allocate(outer, 6 * MIB, 0, NULL, &out), TN_ERR_POOL_LIMIT);
    char *rest = raw(inner_too, 12 * MIB, 0);
    FAILS(tn_pool_allocate(outer, 4 * MIB, 0, NULL, &out), TN_ERR_NO_HOST_MEMORY);
    CHECK(out == UNTOUCHED && says("TN_ERR_POOL_LIMIT"));
    OK(tn_pool_deallocate(inner_too, rest, NULL));
    /* Threads, heaps of both pools, and everything returned. */
    OK(tn_pool_deallocate(outer, large, NULL));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i % 2 ? allocate_small : allocate_small, outer);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    OK(tn_pool_deallocate(outer, small, NULL));
    size_t released = 0;
    OK(tn_pool_trim(outer, 0, &released));
    CHECK(checked(outer).reserved_bytes == 0 && checked(inner_too).live_blocks == 1);
    OK(tn_pool_deallocate(inner_too, of_inner, NULL));
    /* Three stacked pools. */
    tn_pool *top = NULL;
    up.context = outer;
    OK(tn_pool_import(HOST, &up, NULL, &top));
    small = raw(top, 64, 0);
    CHECK(checked(outer).live_blocks == 1 && checked(inner_too).live_blocks == 1);
    OK(tn_pool_release(top));
    OK(tn_pool_deallocate(NULL, small, NULL));
    /* `release` of the top pool released the outer one's handle, and that released the inner one's. */
    CHECK(checked(inner_too).live_blocks == 0);
    OK(tn_pool_release(inner_too));
}

/* PO-54: pieces cut from one block of another pool, where the block is listed with its address range. */
static tn_status cut_allocate(void *context, size_t bytes, size_t alignment, uint64_t stream, void **out)
{
    char **next = context;
    (void)stream;
    *out = *next = (char *)(((uintptr_t)*next + alignment - 1) / alignment * alignment);
    *next += bytes;
    return TN_OK;
}
static tn_status cut_deallocate(void *context, void *ptr, size_t bytes, uint64_t stream)
{
    (void)context, (void)ptr, (void)bytes, (void)stream;
    return TN_OK;
}
static size_t leaks(void)
{
    size_t count = 0;
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &count));
    return count;
}
static void pool_in_a_block(void)
{
    tn_pool *inner = own_pool("inner"), *outer = NULL;
    size_t before = leaks();
    char *whole = raw(inner, 16 * MIB, 0), *next = whole + MIB;
    tn_upstream up = {.size = sizeof up, .context = &next, .allocate = cut_allocate, .deallocate = cut_deallocate};
    OK(tn_pool_import(HOST, &up, NULL, &outer));
    CHECK(leaks() == before + 2);
    char *a = raw(outer, 100, 0), *b = raw(outer, MIB, 0);
    CHECK(a > whole && b > a && b + MIB <= whole + 16 * MIB && leaks() == before + 4);
    FAILS(tn_pool_deallocate(inner, b, NULL), TN_ERR_FOREIGN);
    OK(tn_pool_deallocate(outer, b, NULL));
    CHECK(leaks() == before + 3);
    /* A range beyond the block is refused. */
    void *out = UNTOUCHED;
    FAILS(tn_pool_allocate(outer, 15 * MIB, 0, NULL, &out), TN_ERR_FAILED);
    OK(tn_pool_deallocate(outer, a, NULL));
    OK(tn_pool_release(outer));
    OK(tn_pool_deallocate(inner, whole, NULL));
    CHECK(leaks() == before);
    OK(tn_pool_release(inner));
}

/* Arrays in the caller's memory, which they keep until they are released. */
static void arrays(void)
{
    Source *s = source(0);
    tn_pool *pool = import(s, NULL);
    tn_array *array = numbers(pool, SHAPE(300, 300)), *zero = zeros(pool, TN_F32, SHAPE(1000));
    CHECK(lies_in(s, address(array), 300 * 300 * 8));
    OK(tn_pool_release(pool));
    drop(zero);
    CHECK(s->releases == 0);
    drop(array);
    over(s);
}

int main(void)
{
    blocks_come_from_the_upstream(0, 0, 0);
    blocks_come_from_the_upstream(TN_UPSTREAM_THREAD_SAFE, 12288, 0);
    blocks_come_from_the_upstream(TN_UPSTREAM_ZEROED, 2 * MIB, 2 * MIB);
    blocks_come_from_the_upstream(TN_UPSTREAM_PARTIAL_FREE, 4096, 64);
    blocks_come_from_the_upstream(TN_UPSTREAM_PARTIAL_FREE, 3 * 65536, 1);
    pieces_go_back_whole();
    neighbours_stay_apart(0);
    neighbours_stay_apart(TN_UPSTREAM_PARTIAL_FREE);
    failed_imports();
    gate();
    cached_memory_stays_available();
    nobody_waits_for_a_callback();
    callbacks_may_not_call_the_pool();
    callbacks_may_not_free_to_the_pool();
    callbacks_may_drop_arrays();
    wrong_answers();
    memory_of_others();
    each_call_fails_once();
    out_of_memory();
    lost_bytes();
    untouchable(HOST, 0);
    untouchable((tn_device){TN_CUDA, 0}, 0);
    untouchable((tn_device){TN_CUDA, 7}, TN_UPSTREAM_ZEROED);
    zeroed_memory();
    purging();
    pool_over_a_pool();
    pool_in_a_block();
    arrays();
    return finish();
}
