/*
 * events.c - the event log: what is recorded, in memory and in a file, with threads, forks and killed processes (EV-1 to EV-22).
 *
 * The log is read here by a small reader of its own, from the format's description in docs/event-log.md.
 */
#include "processes.h"
#include <errno.h>
#include <pthread.h>

/* ---- the reader ---- */
enum { ALLOCATE = 0, FREE = 1, COPY = 2, TRANSFER = 3, EXPORT = 5, GIVE = 8, TAKE = 9, BORROW = 10, REALLOCATE = 11, IMPORT = 12, NAME = 13,
       TEXT = 64, SITE = 65, POOL = 66 };
enum { READ = 0, WRITE = 1, ENDED = 2 };

typedef struct {
    uint64_t ticks, what, subject, address, bytes, other, pool, stream;
} slot;

typedef struct {
    slot s;
    uint32_t thread;
    uint64_t order;
} event;

typedef struct {
    uint64_t kinds, dropped, flags;
    event *events;
    size_t count;
} event_log;

static int kind(const event *e) { return (int)(e->s.what & 255); }
static int detail(const event *e) { return (int)(e->s.what >> 8 & 255); }
static int alignment(const event *e) { return (int)(e->s.what >> 16 & 255); }
static int client(const event *e) { return (int)(e->s.what >> 24 & 255); }
static uint32_t site(const event *e) { return (uint32_t)(e->s.what >> 32); }

static int by_time(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->s.ticks != y->s.ticks)
        return x->s.ticks < y->s.ticks ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static event_log read_log(const char *path)
{
    event_log log = {0};
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    if (file == NULL)
        return log;
    uint64_t header[512], chunk[8192];
    CHECK(fread(header, 1, sizeof header, file) == sizeof header);
    CHECK(memcmp(header, "TNEVENTS", 8) == 0 && (uint32_t)header[1] == 1 && header[1] >> 32 == sizeof chunk);
    log.kinds = header[2], log.dropped = header[6], log.flags = header[7];
    size_t got;
    while (memset(chunk, 0, sizeof chunk), (got = fread(chunk, 1, sizeof chunk, file)) > 0) {
        CHECK(got % 64 == 0 && (chunk[2] == 0 || memcmp(chunk, "TNCK", 4) == 0) && chunk[1] <= 1023);
        if (chunk[2] == 0)
            continue;
        log.events = realloc(log.events, (log.count + chunk[1]) * sizeof *log.events);
        for (uint64_t i = 0; i < chunk[1]; i++) {
            event *e = &log.events[log.count++];
            memcpy(&e->s, &chunk[8 + 8 * i], 64);
            e->thread = (uint32_t)(chunk[0] >> 32);
            e->order = chunk[2] * 1024 + i;
        }
    }
    fclose(file);
    if (log.count > 0)
        qsort(log.events, log.count, sizeof *log.events, by_time);
    return log;
}

static size_t count_of(const event_log *log, int of, int detail_or_any)
{
    size_t count = 0;
    for (size_t i = 0; i < log->count; i++)
        count += kind(&log->events[i]) == of && (detail_or_any < 0 || detail(&log->events[i]) == detail_or_any);
    return count;
}

/* The first event of a kind with that address; NULL: there is none. */
static const event *find(const event_log *log, int of, const void *address)
{
    for (size_t i = 0; i < log->count; i++)
        if (kind(&log->events[i]) == of && log->events[i].s.address == (uintptr_t)address)
            return &log->events[i];
    return NULL;
}

/* The text of the first event of a kind with that subject. */
static const char *text_of(const event_log *log, int of, uint64_t subject)
{
    static char text[73];
    for (size_t i = 0; i < log->count; i++) {
        const event *e = &log->events[i];
        if (kind(e) != of || e->s.subject != subject)
            continue;
        memset(text, 0, sizeof text);
        memcpy(text, &e->s.other, 24);
        for (size_t j = 0; j < log->count; j++)
            if (kind(&log->events[j]) == TEXT && log->events[j].thread == e->thread && log->events[j].order == e->order + 1)
                memcpy(text + 24, &log->events[j].s.subject, 48);
        CHECK(strlen(text) == e->s.bytes);
        return text;
    }
    return "";
}

/* ---- logs ---- */
static char folder[] = "/tmp/tenure-events-XXXXXX";
static char path[64];

static void start_with(uint32_t kinds, const char *file, uint64_t capacity)
{
    tn_log_options options = {.size = sizeof options, .kinds = kinds, .path = file, .capacity = capacity};
    OK(tn_log_start(&options));
}

static event_log saved(void)
{
    OK(tn_log_save(path));
    return read_log(path);
}

/* Ends the log in memory, and reads it. */
static event_log stopped(void)
{
    OK(tn_log_stop());
    return saved();
}

static tn_log_stats query(void)
{
    tn_log_stats stats = {.size = sizeof stats};
    OK(tn_log_query(&stats));
    return stats;
}

static int file_exists(const char *name) { return access(name, F_OK) == 0; }

/* ---- tests ---- */
static void ev_1_without_a_log(void)
{
    tn_log_stats none = query();
    CHECK(none.kinds == 0 && none.events == 0 && none.capacity == 0 && none.dropped == 0 && none.overwritten == 0);
    FAILS(tn_log_stop(), TN_ERR_INVALID);
    FAILS(tn_log_save(path), TN_ERR_INVALID);
    CHECK(!file_exists(path));
    FAILS(tn_log_query(NULL), TN_ERR_NULL);
    FAILS(tn_log_save(NULL), TN_ERR_NULL);
}

static void ev_2_one_log_at_a_time(void)
{
    OK(tn_log_start(NULL));
    CHECK(query().kinds == TN_LOG_ALL && query().capacity == 16 << 20);
    FAILS(tn_log_start(NULL), TN_ERR_DUPLICATE);
    drop(zeros(NULL, TN_F64, SHAPE(10)));
    CHECK(query().events >= 2);
    OK(tn_log_stop());
    CHECK(query().kinds == 0 && query().events >= 2);
    FAILS(tn_log_stop(), TN_ERR_INVALID);
    OK(tn_log_start(NULL));
    CHECK(query().events == 0);
    OK(tn_log_stop());
}

static void ev_3_wrong_options(void)
{
    tn_log_options options = {.size = sizeof options, .path = path, .kinds = 1u << 4};
    FAILS(tn_log_start(&options), TN_ERR_INVALID);
    CHECK(says("0x10"));
    options.kinds = 0, options.reserved = 7;
    FAILS(tn_log_start(&options), TN_ERR_INVALID);
    CHECK(says("7"));
    options.reserved = 0, options.capacity = 1000;
    FAILS(tn_log_start(&options), TN_ERR_INVALID);
    CHECK(says("1000"));
    options.capacity = UINT64_MAX;
    FAILS(tn_log_start(&options), TN_ERR_INVALID);
    options.size = 4;
    FAILS(tn_log_start(&options), TN_ERR_INVALID);
    CHECK(query().kinds == 0 && !file_exists(path));
}

static void ev_10_blocks(void)
{
    tn_pool *pool = own_pool("blocks");
    OK(tn_log_start(NULL));
    void *small = NULL, *aligned = NULL, *large = NULL, *zeroed = NULL;
    TN_HERE;
    const int line = __LINE__ - 1;
    OK(tn_pool_allocate(pool, 100, 0, NULL, &small));
    OK(tn_pool_allocate(pool, 200, 4096, NULL, &aligned));
    OK(tn_pool_allocate(pool, 3 << 20, 0, NULL, &large));
    OK(tn_pool_allocate_zeroed(pool, 50, 0, NULL, &zeroed));
    tn_array *array = zeros(pool, TN_F64, SHAPE(7));
    tn_borrow *guard = NULL;
    void *data = NULL;
    OK(tn_array_borrow_write(array, 0, NULL, &data, NULL, &guard));
    end(guard);
    drop(array);
    for (int i = 0; i < 4; i++)
        OK(tn_pool_deallocate(pool, (void *[]){small, aligned, large, zeroed}[i], NULL));
    event_log log = stopped();
    CHECK(count_of(&log, ALLOCATE, -1) == 5 && count_of(&log, FREE, -1) == 5);
    CHECK(count_of(&log, ALLOCATE, 1) == 1 && count_of(&log, FREE, 1) == 1);
    const event *e = find(&log, ALLOCATE, small);
    CHECK(e != NULL && e->s.bytes == 100 && client(e) == TN_CLIENT_RAW && detail(e) == 0 && e->thread == (uint32_t)gettid());
    e = find(&log, ALLOCATE, aligned);
    CHECK(e != NULL && e->s.bytes == 200 && alignment(e) == 12);
    e = find(&log, ALLOCATE, large);
    CHECK(e != NULL && e->s.bytes == 3 << 20);
    e = find(&log, FREE, large);
    CHECK(e != NULL && e->s.bytes == 3 << 20 && e->s.pool == find(&log, ALLOCATE, large)->s.pool);
    e = find(&log, ALLOCATE, zeroed);
    CHECK(e != NULL && e->s.bytes == 50);
    e = find(&log, ALLOCATE, data);
    CHECK(e != NULL && e->s.bytes == 56 && client(e) == TN_CLIENT_ARRAYS && detail(e) == 1);
    /* EV-19 */
    char expected[64];
    snprintf(expected, sizeof expected, "events.c:%d", line);
    const char *name = text_of(&log, SITE, site(e));
    CHECK(strlen(name) >= strlen(expected) && strcmp(name + strlen(name) - strlen(expected), expected) == 0);
    CHECK(strcmp(text_of(&log, POOL, e->s.pool), "blocks") == 0);
    free(log.events);
    OK(tn_pool_release(pool));
}

static void ev_11_resized(void)
{
    void *block = NULL;
    OK(tn_pool_allocate(NULL, 100, 0, NULL, &block));
    OK(tn_log_start(NULL));
    void *same = NULL, *moved = NULL;
    OK(tn_pool_reallocate(NULL, block, 101, NULL, &same));
    OK(tn_pool_reallocate(NULL, same, 100000, NULL, &moved));
    OK(tn_pool_deallocate(NULL, moved, NULL));
    event_log log = stopped();
    CHECK(count_of(&log, REALLOCATE, -1) == 2 && count_of(&log, ALLOCATE, -1) == 0 && count_of(&log, FREE, -1) == 1);
    const event *e = find(&log, REALLOCATE, moved);
    CHECK(e != NULL && e->s.other == (uintptr_t)same && e->s.bytes == 100000 && e->s.subject > e->s.ticks);
    free(log.events);
}

static void ev_12_guards(void)
{
    tn_array *array = zeros(NULL, TN_F64, SHAPE(4, 5)), *row;
    OK(tn_array_set_name(array, "weights"));
    tn_borrow *before = reading(array);
    OK(tn_log_start(NULL));
    const void *data = NULL;
    tn_borrow *reader = NULL;
    OK(tn_array_borrow_read(array, 0, NULL, &data, NULL, &reader));
    end(before);
    end(reader);
    end(writing(array, 0));
    row = at(array, 0, 1);
    tn_borrow *part = writing(row, 0);
    end(part);
    tn_borrow *open = reading(array);
    event_log log = stopped();
    end(open);
    CHECK(count_of(&log, BORROW, READ) == 2 && count_of(&log, BORROW, WRITE) == 2 && count_of(&log, BORROW, ENDED) == 3);
    const event *e = find(&log, BORROW, data);
    CHECK(e != NULL && e->s.subject == (uint64_t)(uintptr_t)array && e->s.bytes == 160 && e->s.other == (uint64_t)(uintptr_t)reader);
    e = find(&log, BORROW, (const char *)data + 40);
    CHECK(e != NULL && e->s.subject == (uint64_t)(uintptr_t)row && e->s.bytes == 40 && detail(e) == WRITE);
    free(log.events);
    drop(row);
    drop(array);
}

static void ev_13_give_and_take(void)
{
    tn_array *a = zeros(NULL, TN_F64, SHAPE(3)), *b = zeros(NULL, TN_F64, SHAPE(3));
    OK(tn_log_start(NULL));
    tn_promise *promise = give(a), *other = give(b);
    tn_array *taken = take(promise);
    tn_array *entered[1] = {NULL};
    void *given[1] = {other};
    tn_scope *scope = NULL;
    OK(tn_enter(1, given, entered, &scope));
    OK(tn_leave(scope, 0, NULL));
    event_log log = stopped();
    CHECK(count_of(&log, GIVE, -1) == 2 && count_of(&log, TAKE, -1) == 2);
    int found = 0;
    for (size_t i = 0; i < log.count; i++) {
        const event *e = &log.events[i];
        found += kind(e) == GIVE && e->s.subject == (uint64_t)(uintptr_t)a && e->s.other == (uint64_t)(uintptr_t)promise;
        found += kind(e) == TAKE && e->s.subject == (uint64_t)(uintptr_t)taken && e->s.other == (uint64_t)(uintptr_t)promise;
        found += kind(e) == TAKE && e->s.subject == (uint64_t)(uintptr_t)entered[0] && e->s.other == (uint64_t)(uintptr_t)other;
    }
    CHECK(found == 3);
    free(log.events);
    drop(taken);
    drop(a);
    drop(b);
    OK(tn_promise_release(promise));
    OK(tn_promise_release(other));
}

static void ev_14_exports_and_imports(void)
{
    static double memory[4];
    tn_array *array = zeros(NULL, TN_F64, SHAPE(6)), *import = NULL;
    int64_t shape[1] = {4};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_F64, .ndim = 1, .shape = shape};
    tn_how how = 0;
    OK(tn_log_start(NULL));
    end(exporting(array, XS));
    OK(tn_array_import_host(memory, &layout, TN_BORROW, NULL, NULL, &import, &how));
    CHECK(how == TN_ALIASED);
    drop(import);
    event_log log = stopped();
    CHECK(count_of(&log, EXPORT, WRITE) == 1 && count_of(&log, EXPORT, ENDED) == 1);
    CHECK(count_of(&log, IMPORT, READ) == 1 && count_of(&log, IMPORT, ENDED) == 1);
    const event *e = find(&log, IMPORT, memory);
    CHECK(e != NULL && e->s.bytes == sizeof memory);
    free(log.events);
    drop(array);
}

static void ev_15_copies(void)
{
    double memory[6] = {0};
    tn_array *a = zeros(NULL, TN_F64, SHAPE(6)), *b = zeros(NULL, TN_F64, SHAPE(6)), *import = NULL;
    int64_t shape[1] = {6};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_F64, .ndim = 1, .shape = shape};
    tn_how how = 0;
    OK(tn_log_start(NULL));
    OK(tn_array_copy_into(a, b, 0, NULL));
    OK(tn_array_copy_to_host(a, memory, &layout, NULL));
    OK(tn_array_import_host(memory, &layout, 0, NULL, NULL, &import, &how));
    event_log log = stopped();
    CHECK(how == TN_COPIED);
    CHECK(count_of(&log, TRANSFER, 0) == 3 && count_of(&log, COPY, -1) == 1);
    const event *e = find(&log, TRANSFER, address(a));
    CHECK(e != NULL && e->s.other == (uintptr_t)address(b) && e->s.bytes == 48);
    e = find(&log, TRANSFER, memory);
    CHECK(e != NULL && e->s.other == (uintptr_t)address(import));
    free(log.events);
    drop(a);
    drop(b);
    drop(import);
}

static void ev_16_names(void)
{
    const char *name = "a name of sixty-three bytes, which needs a second slot in logs.";
    CHECK(strlen(name) == 63);
    tn_array *array = zeros(NULL, TN_F64, SHAPE(6)), *other = NULL;
    tn_array_options options = {.size = sizeof options, .name = "named at once"};
    OK(tn_log_start(NULL));
    OK(tn_array_set_name(array, name));
    OK(tn_array_empty(NULL, TN_F64, SHAPE(3), &options, &other));
    event_log log = stopped();
    CHECK(count_of(&log, NAME, -1) == 2);
    /* EV-20 */
    char *report = malloc(1 << 20);
    size_t length = 0;
    OK(tn_report_json(0, 1 << 20, report, &length));
    CHECK(length < 1 << 20 && strstr(report, "\"timeline\":{\"events\":") != NULL && strstr(report, "\"name\":2}") != NULL);
    free(report);
    CHECK(strcmp(text_of(&log, NAME, (uint64_t)(uintptr_t)array), name) == 0);
    CHECK(strcmp(text_of(&log, NAME, (uint64_t)(uintptr_t)other), "named at once") == 0);
    free(log.events);
    drop(array);
    drop(other);
}

static void ev_17_kinds(void)
{
    start_with(TN_LOG_BORROW | TN_LOG_GIVE, NULL, 0);
    CHECK(query().kinds == (TN_LOG_BORROW | TN_LOG_GIVE));
    tn_array *array = zeros(NULL, TN_F64, SHAPE(3));
    end(writing(array, 0));
    drop(array);
    event_log log = stopped();
    CHECK(log.kinds == (TN_LOG_BORROW | TN_LOG_GIVE));
    CHECK(count_of(&log, BORROW, -1) == 2 && count_of(&log, ALLOCATE, -1) == 0 && count_of(&log, FREE, -1) == 0);
    free(log.events);
}

/* Blocks pass between the threads, which free those of each other. */
enum { THREADS = 4, BLOCKS = 64 };
static void *_Atomic slots[BLOCKS];
static _Atomic int stopping;

static void *exchange(void *argument)
{
    unsigned state = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < rounds(20000); i++) {
        state = state * 1103515245u + 12345u;
        void *block = NULL;
        OK(tn_pool_allocate(NULL, 16 + state % 300, 0, NULL, &block));
        block = __atomic_exchange_n((void **)&slots[state / 7 % BLOCKS], block, __ATOMIC_ACQ_REL);
        if (block != NULL)
            OK(tn_pool_deallocate(NULL, block, NULL));
    }
    return NULL;
}

/* The addresses of live blocks, in a hash table: shifted left by one, with the lowest bit set while the block lives. */
enum { CELLS = 1 << 16 };

static uint64_t *cell_of(uint64_t *live, uint64_t address)
{
    size_t cell = address * 0x9e3779b97f4a7c15u >> 48;
    while (live[cell] != 0 && live[cell] >> 1 != address)
        cell = (cell + 1) % CELLS;
    return &live[cell];
}

/* Whether an earlier event of the same thread, of those from `first` on, is not done. */
static int waits(const event_log *log, const char *done, size_t first, size_t i)
{
    for (size_t earlier = first; earlier < i; earlier++)
        if (!done[earlier] && log->events[earlier].thread == log->events[i].thread)
            return 1;
    return 0;
}

/*
 * At no time do two blocks overlap, and each free is that of a live block. Events of one tick may have happened in any order that the threads
 * allow: an emulator's ticks are a microsecond apart.
 */
static void check_order(const event_log *log)
{
    uint64_t *live = calloc(CELLS, sizeof *live);
    char *done = calloc(log->count, 1);
    size_t wrong = 0, behind;
    for (size_t first = 0; first < log->count; first = behind) {
        for (behind = first; behind < log->count && log->events[behind].s.ticks == log->events[first].s.ticks; behind++)
            done[behind] = kind(&log->events[behind]) != ALLOCATE && kind(&log->events[behind]) != FREE;
        for (int changed = 1; changed;) {
            changed = 0;
            for (size_t i = first; i < behind; i++) {
                uint64_t *cell = cell_of(live, log->events[i].s.address);
                const int frees = kind(&log->events[i]) == FREE;
                if (done[i] || (int)(*cell & 1) != frees || waits(log, done, first, i))
                    continue;
                *cell = log->events[i].s.address << 1 | !frees;
                done[i] = 1, changed = 1;
            }
        }
        for (size_t i = first; i < behind; i++)
            wrong += !done[i];
    }
    CHECK(wrong == 0);
    free(done);
    free(live);
}

static void ev_18_threads(void)
{
    pthread_t threads[THREADS];
    start_with(TN_LOG_ALLOCATE | TN_LOG_FREE, NULL, 256 << 20);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < BLOCKS; i++)
        OK(tn_pool_deallocate(NULL, slots[i], NULL));
    memset((void *)slots, 0, sizeof slots);
    event_log log = stopped();
    CHECK(count_of(&log, ALLOCATE, -1) == (size_t)THREADS * (size_t)rounds(20000));
    CHECK(count_of(&log, FREE, -1) == count_of(&log, ALLOCATE, -1) && query().dropped == 0);
    check_order(&log);
    free(log.events);
}

static void *churn(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        void *block = NULL;
        OK(tn_pool_allocate(NULL, 64, 0, NULL, &block));
        OK(tn_pool_deallocate(NULL, block, NULL));
    }
    return NULL;
}

/* EV-4: the events of each thread are a run without gaps, which a free follows an allocation in. */
static void ev_4_saved_while_it_runs(void)
{
    pthread_t threads[THREADS];
    start_with(TN_LOG_ALLOCATE | TN_LOG_FREE, NULL, 2 << 20);
    __atomic_store_n(&stopping, 0, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    for (int round = 0; round < (is_watched() ? 2 : 10); round++) {
        usleep(2000);
        event_log log = saved();
        CHECK(log.count <= (2 << 20) / 64);
        uint32_t of[THREADS] = {0};
        int last[THREADS], wrong = 0;
        for (size_t i = 0; i < log.count; i++) {
            const event *e = &log.events[i];
            int t = 0;
            if (kind(e) > FREE)
                continue;
            while (t < THREADS - 1 && of[t] != 0 && of[t] != e->thread)
                t++;
            wrong += of[t] == e->thread && last[t] == kind(e);
            of[t] = e->thread, last[t] = kind(e);
        }
        CHECK(wrong == 0);
        free(log.events);
    }
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    OK(tn_log_stop());
}

static void ev_21_the_newest_stay(void)
{
    start_with(TN_LOG_ALLOCATE | TN_LOG_FREE, NULL, 1 << 20);
    void *block = NULL, *last = NULL;
    for (int i = 0; i < 20000; i++) {
        OK(tn_pool_allocate(NULL, (size_t)i + 1, 0, NULL, &block));
        OK(tn_pool_deallocate(NULL, block, NULL));
        last = block;
    }
    tn_log_stats stats = query();
    CHECK(stats.events <= (1 << 20) / 64 && stats.events > 15000 && stats.capacity == 1 << 20 && stats.dropped == 0);
    CHECK(stats.events + stats.overwritten == 40000);
    event_log log = stopped();
    CHECK(log.flags == 1 && log.count >= 15000);
    const event *newest = &log.events[log.count - 1];
    while (kind(newest) >= TEXT)
        newest--;
    CHECK(kind(newest) == FREE && newest->s.bytes == 20000 && newest->s.address == (uintptr_t)last);
    free(log.events);
}

static volatile sig_atomic_t file_limits;

static void on_file_limit(int signal_number)
{
    (void)signal_number;
    file_limits++;
}

static void ev_22_a_full_file(void)
{
    start_with(TN_LOG_ALLOCATE | TN_LOG_FREE, path, 1 << 20);
    CHECK(query().is_file == 1);
    void *block = NULL;
    for (int i = 0; i < 20000; i++) {
        OK(tn_pool_allocate(NULL, 64, 0, NULL, &block));
        OK(tn_pool_deallocate(NULL, block, NULL));
    }
    tn_log_stats stats = query();
    CHECK(stats.dropped > 20000 && stats.events + stats.dropped >= 40000);
    FAILS(tn_log_save(path), TN_ERR_INVALID);
    OK(tn_log_stop());
    CHECK(query().capacity == 0);
    event_log log = read_log(path);
    CHECK(log.dropped == stats.dropped && log.count == stats.events);
    free(log.events);
    /* A file that the system lets grow no further, as on a full disk; also in the middle of a page. The program's handler is not called. */
    signal(SIGXFSZ, on_file_limit);
    for (rlim_t limit = 4096 + (4 << 16); limit <= 4096 + (4 << 16) + 1000; limit += 1000) {
        struct rlimit old, small;
        CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
        small = (struct rlimit){limit, old.rlim_max};
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        start_with(TN_LOG_ALLOCATE | TN_LOG_FREE, path, 8 << 20);
        for (int i = 0; i < 20000; i++) {
            OK(tn_pool_allocate(NULL, 64, 0, NULL, &block));
            OK(tn_pool_deallocate(NULL, block, NULL));
        }
        CHECK(query().dropped > 20000);
        OK(tn_log_stop());
        CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    }
    CHECK(file_limits == 0);
    signal(SIGXFSZ, SIG_DFL);
}

static void ev_5_paths(void)
{
    char name[80];
    start_with(0, path, 0);
    drop(zeros(NULL, TN_F64, SHAPE(3)));
    OK(tn_log_stop());
    int old = open(path, O_RDONLY);
    struct stat before, after;
    CHECK(old >= 0 && fstat(old, &before) == 0);
    start_with(0, path, 0);
    OK(tn_log_stop());
    CHECK(stat(path, &after) == 0 && after.st_ino != before.st_ino && (after.st_mode & 0777) == 0600);
    char magic[8];
    CHECK(read(old, magic, 8) == 8 && memcmp(magic, "TNEVENTS", 8) == 0);
    close(old);
    tn_log_options options = {.size = sizeof options, .path = folder};
    FAILS(tn_log_start(&options), TN_ERR_IO);
    CHECK(file_exists(folder));
    options.path = "/dev/null";
    FAILS(tn_log_start(&options), TN_ERR_IO);
    CHECK(file_exists("/dev/null"));
    snprintf(name, sizeof name, "%s/none/events", folder);
    options.path = name;
    FAILS(tn_log_start(&options), TN_ERR_IO);
    CHECK(says(name) && query().kinds == 0);
}

/* EV-7 in the child of a fork, which is a fresh process until then. */
static void forks(void)
{
    tn_array *array = zeros(NULL, TN_F64, SHAPE(3));
    start_with(0, path, 0);
    const pid_t child = fork();
    if (child == 0) {
        end(writing(array, 0));
        CHECK(query().kinds == 0 && query().events == 0);
        FAILS(tn_log_stop(), TN_ERR_INVALID);
        OK(tn_log_start(NULL));
        end(writing(array, 0));
        CHECK(query().events == 2);
        OK(tn_log_stop());
        _exit(check_failures != 0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end(reading(array));
    OK(tn_log_stop());
    event_log log = read_log(path);
    CHECK(count_of(&log, BORROW, READ) == 1 && count_of(&log, BORROW, WRITE) == 0);
    free(log.events);
    drop(array);
}

/* EV-6, EV-8: the log of the environment, until the kill. */
static void until_killed(void)
{
    void *block = NULL;
    for (size_t i = 1; i <= 5000; i++) {
        OK(tn_pool_allocate(NULL, i, 0, NULL, &block));
        OK(tn_pool_deallocate(NULL, block, NULL));
    }
    OK(tn_pool_allocate(NULL, 12345, 0, NULL, &block));
    tell(0, 1);
    pause();
}

static void ev_8_a_killed_process(void)
{
    char name[80], real[80];
    snprintf(name, sizeof name, "%s/of-%%p", folder);
    setenv("TENURE_EVENTS", name, 1);
    process other = begin("until_killed");
    unsetenv("TENURE_EVENTS");
    CHECK(hear(other.socket) == 1);
    snprintf(real, sizeof real, "%s/of-%d", folder, (int)other.pid);
    join(other, 1);
    event_log log = read_log(real);
    CHECK(count_of(&log, ALLOCATE, -1) == 5001 && count_of(&log, FREE, -1) == 5000);
    const event *newest = &log.events[log.count - 1];
    CHECK(kind(newest) == ALLOCATE && newest->s.bytes == 12345);
    free(log.events);
    unlink(real);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1 && strcmp(argv[1], "until_killed") == 0) {
        until_killed();
        return 1;
    }
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/events", folder);
    if (argc > 1) {
        forks();
        unlink(path);
        rmdir(folder);
        return check_failures != 0;
    }
    ev_1_without_a_log();
    ev_3_wrong_options();
    ev_2_one_log_at_a_time();
    ev_4_saved_while_it_runs();
    ev_5_paths();
    ev_8_a_killed_process();
    ev_10_blocks();
    ev_11_resized();
    ev_12_guards();
    ev_13_give_and_take();
    ev_14_exports_and_imports();
    ev_15_copies();
    ev_16_names();
    ev_17_kinds();
    ev_18_threads();
    ev_21_the_newest_stay();
    ev_22_a_full_file();
    join(begin("ev_7_forks"), 0);
    unlink(path);
    rmdir(folder);
    return finish();
}
