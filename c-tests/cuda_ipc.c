/*
 * cuda_ipc.c - the memory of a GPU in two processes (IP-20 to IP-26), deaths of both, and descriptors of senders that lie.
 *
 * The other process is this program again, in a fresh process. A process that is killed leaves its allocations to the driver, so each test
 * counts those of the simulator.
 */
#include "processes.h"

#include <sys/prctl.h>
#include "gpu.h"

enum { COUNT = 1000, PIECE = 2 << 20 };

/* ---- the simulator ---- */
static void *in_driver(const char *name)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *found = driver == NULL ? NULL : dlsym(driver, name);
    if (driver != NULL)
        dlclose(driver);
    return found;
}

static int simulated(void)
{
    return in_driver("tenure_sim_get") != NULL;
}

/* A figure of the simulator; `otherwise` on a real driver. */
static int64_t figure(const char *name, int64_t otherwise)
{
    int (*get)(const char *, uint64_t *) = NULL;
    uint64_t value = 0;
    *(void **)&get = in_driver("tenure_sim_get");
    if (get == NULL)
        return otherwise;
    CHECK(get(name, &value) == 0);
    return (int64_t)value;
}

static int64_t calls(const char *name, int64_t otherwise)
{
    uint64_t (*count)(const char *) = NULL;
    *(void **)&count = in_driver("tenure_sim_calls");
    return count == NULL ? otherwise : (int64_t)count(name);
}

static void fail_next(const char *name, int32_t code)
{
    int (*inject)(const char *, uint32_t, uint32_t, int32_t) = NULL;
    *(void **)&inject = in_driver("tenure_sim_fail");
    CHECK(inject(name, 1, 1, code) == 0);
}

static void set_attribute(int32_t attribute, int32_t value)
{
    int (*set)(int, int, int) = NULL;
    *(void **)&set = in_driver("tenure_sim_set_attribute");
    CHECK(set(0, attribute, value) == 0);
}

/* ---- arrays ---- */
static tn_pool *ipc_pool(void)
{
    tn_pool_options options = {.size = sizeof options, .name = "crosses", .flags = TN_POOL_IPC};
    tn_pool *pool = NULL;
    OK(tn_pool_create(GPU, &options, &pool));
    return pool;
}

static tn_array *named(tn_array *array, const char *name)
{
    OK(tn_array_set_name(array, name));
    return array;
}

/* The sum of an int64 array of one axis; -1: it cannot be copied. */
static int64_t sum(tn_array *array)
{
    static int64_t values[COUNT];
    const tn_array_info info = info_of(array);
    int64_t total = 0;
    CHECK(info.ndim == 1 && info.shape[0] <= COUNT);
    if (tn_array_copy_to_host(array, values, NULL, NULL) != TN_OK)
        return -1;
    for (int64_t i = 0; i < info.shape[0]; i++)
        total += values[i];
    return total;
}

static const int64_t SUM = (int64_t)COUNT * (COUNT - 1) / 2;

static int reports(const char *text)
{
    static char report[1 << 20];
    size_t length = 0;
    OK(tn_report_json(0, sizeof report, report, &length));
    CHECK(length < sizeof report);
    return strstr(report, text) != NULL;
}

/* Sends an exported array to a new process. */
static process receiver(const char *what, const message *m)
{
    process other = begin(what);
    send_message(other.socket, m);
    return other;
}

/* ---- the other process ---- */
/* Forks a child that outlives this process, which is killed. The test kills it, or it ends by itself. Returns when it runs. */
static pid_t fork_one_that_stays(void)
{
    int ends[2];
    char byte = 0;
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        alarm(120);
        CHECK(write(ends[1], &byte, 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(ends[0], &byte, 1) == 1);
    close(ends[0]), close(ends[1]);
    return child;
}

static int exporter(int socket, int forks)
{
    tn_pool *pool = ipc_pool();
    tn_array *array = named(numbers(pool, SHAPE(COUNT)), "of the dead");
    tn_borrow *hold = NULL;
    message m = exported(array, 0, TN_ALIASED, &hold);
    const pid_t child = forks ? fork_one_that_stays() : -1;
    send_message(socket, &m);
    tell(socket, child);
    for (;;)
        pause();
    return 0;
}

/* Device work on the array may delay its end until a later call looks. */
static void run_releases(void)
{
    size_t ran = 0;
    OK(tn_device_synchronize(GPU));
    OK(tn_run_releases(&ran));
}

static int ended(void)
{
    run_releases();
    CHECK(figure("imported", 0) == 0);
    return finish();
}

static int importer(int socket, const char *what)
{
    message m;
    if (!receive_message(socket, &m))
        return 2;
    if (strcmp(what, "late") == 0) {
        /* Imports when the exporter says so: with the fd that came along it is not too late, with another one it is. */
        tn_array *none = UNTOUCHED;
        message other;
        CHECK(receive_message(socket, &other));
        CHECK(hear(socket) == 1);
        tn_array *array = imported(&m, 0);
        CHECK(sum(array) == SUM);
        drop(array);
        run_releases();
        close(m.fd);
        tell(socket, 2);
        CHECK(hear(socket) == 3);
        FAILS(tn_array_import_ipc(m.descriptor, m.bytes, other.fd, 0, &none, NULL), TN_ERR_STALE);
        CHECK(none == UNTOUCHED && figure("imported", 0) == 0);
        return finish();
    }
    if (strcmp(what, "other device") == 0) {
        tn_array *none = UNTOUCHED;
        const tn_status status = tn_array_import_ipc(m.descriptor, m.bytes, m.fd, 0, &none, NULL);
        CHECK(says("CUDA_VISIBLE_DEVICES") && none == UNTOUCHED);
        tell(socket, status);
        return finish();
    }
    const int writes = strcmp(what, "write") == 0;
    tn_array *array = imported(&m, writes ? TN_IPC_WRITABLE : 0);
    if (strstr(what, "stay") || strcmp(what, "sum twice") == 0)
        close(m.fd);
    if (strcmp(what, "wait") == 0) {
        /* IP-21: the stream waits for the exporter's work, and the host does not. */
        tn_borrow *none = UNTOUCHED;
        const int status = tn_array_borrow_read(array, 0, NULL, NULL, NULL, &none);
        /* Neither does a copy that a stream of its own makes. */
        tn_stream *stream = new_stream();
        tn_array *copied = NULL;
        OK(tn_array_to_device(array, GPU, NULL, stream, &copied));
        tell(socket, status);
        tell(socket, sum(array));
        CHECK(sum(copied) == 3 * COUNT);
        drop(array), drop(copied);
        OK(tn_stream_release(stream));
        return ended();
    }
    if (strcmp(what, "from the host") == 0) {
        /* TR-8: memory of another process is plain memory of the host. A copy has read it on return, and waits for no stream. */
        tn_stream *stream = new_stream();
        tn_array *copied = NULL;
        const int held = control("tenure_sim_hold", stream);
        OK(tn_array_to_device(array, GPU, NULL, stream, &copied));
        tell(socket, 1);
        CHECK(hear(socket) == 2);
        if (held)
            CHECK(control("tenure_sim_release", stream));
        tell(socket, sum(copied));
        drop(array), drop(copied);
        OK(tn_stream_release(stream));
        return finish();
    }
    if (strcmp(what, "sum twice") == 0) {
        tell(socket, sum(array));
        while (hear(socket) == 1)
            tell(socket, sum(array));
        drop(array);
        run_releases();
        tell(socket, 0);
        CHECK(hear(socket) == 2);
        return ended();
    }
    if (strcmp(what, "stay") == 0 || strcmp(what, "fork and stay") == 0) {
        const pid_t child = what[0] == 'f' ? fork_one_that_stays() : -1;
        tell(socket, sum(array));
        tell(socket, child);
        for (;;)
            pause();
    }
    CHECK(strcmp(info_of(array).name, "crossing") == 0 && (why(array) & TN_WHY_FOREIGN));
    CHECK(info_of(array).device.type == TN_CUDA);
    if (writes) {
        fill_i64(array, 77);
        OK(tn_device_synchronize(GPU));
        tell(socket, 77);
        drop(array);
        return ended();
    }
    if (strcmp(what, "fork") == 0) {
        /* IP-26: the child of a fork uses neither the import nor the driver, and ends nothing of its parent. */
        int status = 0;
        const pid_t child = fork();
        if (child == 0) {
            static int64_t values[COUNT];
            tn_array *none = UNTOUCHED;
            FAILS(tn_array_copy_to_host(array, values, NULL, NULL), TN_ERR_DEVICE);
            FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, 0, &none, NULL), TN_ERR_DEVICE);
            drop(array);
            _exit(check_failures);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    /* IP-21: one allocation is opened once, whatever is imported of it. */
    const int64_t opened = calls("cuIpcOpenMemHandle", 1);
    message second;
    CHECK(opened == 1 && receive_message(socket, &second));
    tn_array *other = imported(&second, 0);
    CHECK(calls("cuIpcOpenMemHandle", 1) == 1 && figure("imported", 1) == 1);
    CHECK(try_write(array, 0) == TN_ERR_READONLY);
    tell(socket, sum(array));
    tell(socket, sum(other));
    drop(array);
    CHECK(figure("imported", 1) == 1 && calls("cuIpcCloseMemHandle", 0) == 0);
    tell(socket, sum(other));
    drop(other);
    CHECK(figure("imported", 0) == 0 && calls("cuIpcCloseMemHandle", 1) == 1);
    close(m.fd), close(second.fd);
    /* The exporter gets its memory back while this process lives. */
    tell(socket, 0);
    CHECK(hear(socket) == 0);
    return finish();
}

/* ---- rows ---- */
static void ip_20_shared_or_copied(void)
{
    tn_pool *pool = ipc_pool(), *plain = plain_gpu_pool();
    tn_array *here = numbers(pool, SHAPE(COUNT)), *there = numbers(plain, SHAPE(COUNT)), *usual = NULL, *twin;
    tn_borrow *hold = NULL, *none = UNTOUCHED;
    OK(tn_array_to_device(there, GPU, NULL, NULL, &usual)); /* in the default pool, which is mapped or stream-ordered */
    message m = exported(here, TN_REQUIRE_BORROW, TN_ALIASED, &hold);
    CHECK(try_write(here, 0) == TN_ERR_EXPORTED);
    end(hold);
    CHECK(try_write(here, 0) == TN_OK);
    close(m.fd);
    /* Whole allocations of the driver, one for each array: it shares smaller ones together with their neighbours. */
    CHECK(stats_of(pool).reserved_bytes == PIECE);
    tn_array *small = zeros(pool, TN_I64, SHAPE(1)), *large = zeros(pool, TN_I8, SHAPE(2 * PIECE + 1));
    CHECK(stats_of(pool).reserved_bytes == 5 * PIECE && figure("allocations", 3) >= 3);
    drop(small), drop(large);
    size_t released = 0;
    OK(tn_device_synchronize(GPU));
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(released == 4 * PIECE && stats_of(pool).reserved_bytes == PIECE);

    tn_array *elsewhere[] = {there, usual};
    for (int i = 0; i < 2; i++) {
        size_t bytes = 99;
        int fd = -7;
        tn_how how = 99;
        FAILS(tn_array_export_ipc(elsewhere[i], TN_REQUIRE_BORROW, sizeof m.descriptor, m.descriptor, &bytes, &fd, &none, &how),
              TN_ERR_WOULD_COPY);
        CHECK(says("TN_POOL_IPC") && bytes == 99 && fd == -7 && none == UNTOUCHED && how == 99);
        m = exported(elsewhere[i], i == 0 ? 0 : TN_BORROW, TN_COPIED, &hold);
        OK(tn_device_synchronize(GPU));
        CHECK(try_write(elsewhere[i], 0) == TN_OK); /* the hold is on the copy */
        twin = imported(&m, 0);
        CHECK(sum(twin) == SUM);
        drop(twin);
        end(hold);
        close(m.fd);
    }
    CHECK(tn_copies_forbid(1) == TN_OK);
    FAILS(tn_array_export_ipc(there, TN_BORROW, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &none, NULL), TN_ERR_WOULD_COPY);
    CHECK(tn_copies_forbid(0) == TN_OK);
    FAILS(tn_array_export_ipc(here, 0, 300, m.descriptor, &m.bytes, &m.fd, &none, NULL), TN_ERR_COUNT);
    /* The driver ends memory with the process that allocated it, so it cannot be given away. */
    FAILS(tn_array_export_ipc(here, TN_IPC_GIVE, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &none, NULL), TN_ERR_UNSUPPORTED);
    CHECK(says("TN_IPC_GIVE") && try_write(here, 0) == TN_OK);

    /* An array without elements has no memory. */
    tn_array *nothing = empty(pool, TN_I64, SHAPE(3, 0));
    m = exported(nothing, 0, TN_ALIASED, &hold);
    twin = imported(&m, 0);
    CHECK(info_of(twin).ndim == 2 && info_of(twin).shape[0] == 3 && info_of(twin).device.type == TN_CUDA);
    drop(twin);
    end(hold);
    close(m.fd);
    drop(nothing);
    drop(here), drop(there), drop(usual);
    OK(tn_pool_release(pool));
    OK(tn_pool_release(plain));
}

static void the_pool(void)
{
    tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_IPC};
    tn_pool *pool = UNTOUCHED;
    FAILS(tn_pool_create(HOST, &options, &pool), TN_ERR_UNSUPPORTED);
    FAILS(tn_pool_create(PINNED, &options, &pool), TN_ERR_UNSUPPORTED);
    FAILS(tn_pool_create(MANAGED, &options, &pool), TN_ERR_UNSUPPORTED);
    options.backend = TN_BACKEND_DRIVER_POOL;
    FAILS(tn_pool_create(GPU, &options, &pool), TN_ERR_UNSUPPORTED);
    options.backend = 0, options.initial_size = 1 << 20;
    FAILS(tn_pool_create(GPU, &options, &pool), TN_ERR_UNSUPPORTED);
    CHECK(says("initial_size") && pool == UNTOUCHED);
    options.initial_size = 0;
    const tn_pool_flags others[] = {TN_POOL_STRICT, TN_POOL_ZERO_ON_FREE, TN_POOL_SHAREABLE};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        options.flags = TN_POOL_IPC | others[i];
        FAILS(tn_pool_create(GPU, &options, &pool), TN_ERR_UNSUPPORTED);
    }
    CHECK(pool == UNTOUCHED);
}

static void ip_21_opened_once(void)
{
    const int files = open_files();
    tn_pool *pool = ipc_pool();
    tn_array *array = named(numbers(pool, SHAPE(COUNT)), "crossing"), *half = part(array, 0, COUNT, 2);
    tn_borrow *holds[2] = {NULL};
    message all = exported(array, 0, TN_ALIASED, &holds[0]), some = exported(half, 0, TN_ALIASED, &holds[1]);
    for (int forks = 0; forks < 2; forks++) {
        process other = receiver(forks ? "fork" : "read", &all);
        send_message(other.socket, &some);
        CHECK(hear(other.socket) == SUM);
        CHECK(hear(other.socket) == SUM / 2 - COUNT / 4);
        CHECK(hear(other.socket) == SUM / 2 - COUNT / 4);
        CHECK(hear(other.socket) == 0);
        if (forks) {
            size_t released = 0;
            end(holds[0]), end(holds[1]);
            drop(array), drop(half);
            close(all.fd), close(some.fd);
            OK(tn_pool_trim(pool, 0, &released));
            CHECK(stats_of(pool).shared_out_bytes == 0 && stats_of(pool).reserved_bytes == 0);
        }
        tell(other.socket, 0);
        join(other, 0);
    }
    OK(tn_pool_release(pool));
    CHECK(open_files() == files);
}

static void ip_21_waits_for_the_exporter(void)
{
    tn_pool *pool = ipc_pool();
    tn_array *array = named(zeros(pool, TN_I64, SHAPE(COUNT)), "crossing");
    tn_borrow *hold = NULL;
    tn_stream *stream = new_stream();
    const int64_t three = 3;
    OK(tn_device_synchronize(GPU));
    const int held = control("tenure_sim_hold", stream);
    OK(tn_array_fill(array, &three, 0, stream));
    message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    process other = receiver("wait", &m);
    const int64_t status = hear(other.socket);
    CHECK(!held || status == TN_ERR_PENDING);
    if (held)
        CHECK(control("tenure_sim_release", stream));
    OK(tn_device_synchronize(GPU));
    CHECK(hear(other.socket) == 3 * COUNT);
    join(other, 0);
    end(hold);
    close(m.fd);

    /* An importer may write, if both sides say so. */
    m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    other = receiver("write", &m);
    CHECK(hear(other.socket) == 77);
    CHECK(sum(array) == 77 * COUNT);
    join(other, 0);
    end(hold);
    close(m.fd);
    drop(array);
    OK(tn_stream_release(stream));
    OK(tn_pool_release(pool));
}

static void tr_8_from_the_host(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(COUNT));
    tn_borrow *hold = NULL;
    message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    process other = receiver("from the host", &m);
    CHECK(hear(other.socket) == 1);
    end(hold);
    fill_i64(array, 5);
    tell(other.socket, 2);
    CHECK(hear(other.socket) == SUM);
    join(other, 0);
    close(m.fd);
    drop(array);
    OK(tn_pool_release(pool));
}

static void ip_22_the_same_process(void)
{
    tn_pool *pool = ipc_pool();
    tn_array *array = numbers(pool, SHAPE(COUNT)), *half = part(array, 0, COUNT, 2), *none = UNTOUCHED;
    tn_borrow *hold = NULL;
    message m = exported(half, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    end(hold);
    const int64_t before = calls("", 0);
    tn_array *same = imported(&m, TN_IPC_WRITABLE);
    CHECK(calls("", 0) - before <= calls("cuDeviceGet", 0) + calls("cuDeviceGetUuid", 0));
    CHECK(calls("cuIpcOpenMemHandle", 0) == 0 && calls("cuIpcOpenEventHandle", 0) == 0);
    CHECK(why(same) & TN_WHY_SHARED);
    fill_i64(same, 1);
    CHECK(sum(array) == COUNT / 2 + SUM / 2 + COUNT / 4);
    tn_array *readonly = imported(&m, 0);
    CHECK(try_write(readonly, 0) == TN_ERR_READONLY);
    drop(readonly), drop(array), drop(half);
    CHECK(sum(same) == COUNT / 2);
    tn_array *again = imported(&m, 0);
    drop(same), drop(again);
    FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, 0, &none, NULL), TN_ERR_STALE);
    CHECK(none == UNTOUCHED);
    close(m.fd);
    OK(tn_pool_release(pool));
}

/* IP-23, IP-24: the exporter keeps what an importer has, and frees it when that one has ended, however it ends. */
static void ip_23_importers_that_die(int forks)
{
    tn_pool *pool = ipc_pool();
    const int64_t allocations_before = figure("allocations", 0);
    for (int i = 0; i < (is_watched() ? 3 : 20); i++) {
        tn_array *array = named(numbers(pool, SHAPE(COUNT)), "out");
        tn_borrow *hold = NULL;
        message m = exported(array, 0, TN_ALIASED, &hold);
        process other = receiver(forks ? "fork and stay" : "stay", &m);
        close(m.fd);
        CHECK(hear(other.socket) == SUM);
        const pid_t child = (pid_t)hear(other.socket);
        /* While `hold` lives, the memory is the array's. */
        drop(array);
        CHECK(stats_of(pool).in_use_bytes > 0 && stats_of(pool).shared_out_bytes == 0);
        end(hold);
        size_t released = 0;
        OK(tn_pool_trim(pool, 0, &released));
        const tn_pool_stats stats = stats_of(pool);
        CHECK(stats.live_blocks == 0 && stats.shared_out_bytes == PIECE && stats.pending_bytes == PIECE);
        CHECK(stats.reserved_bytes == stats.in_use_bytes + stats.cached_bytes + stats.pending_bytes + stats.overhead_bytes);
        CHECK(figure("allocations", allocations_before + 1) == allocations_before + 1);
        char text[64];
        snprintf(text, sizeof text, "\"name\":\"out\",\"importers\":[%d]", (int)other.pid);
        CHECK(reports(text));
        if (i % 2 == 0) {
            /* At the release of the pool too. */
            OK(tn_pool_release(pool));
            CHECK(reports(text));
            pool = ipc_pool();
        }
        join(other, 1);
        OK(tn_pool_trim(pool, 0, &released));
        CHECK(stats_of(pool).shared_out_bytes == 0 && !reports("\"name\":\"out\""));
        CHECK(figure("allocations", allocations_before) == allocations_before);
        if (child > 0)
            kill(child, SIGKILL);
    }
    OK(tn_pool_release(pool));
}

/* IP-23: memory is used again only after all importers are gone, in whatever order they and the exporter release it. */
static void ip_23_reuse_after_the_last(void)
{
    enum { MORE = 6 };
    size_t released = 0;
    tn_pool *pool = ipc_pool();
    tn_array *array = named(numbers(pool, SHAPE(COUNT)), "crossing"), *more[MORE];
    tn_borrow *hold = NULL;
    message m = exported(array, 0, TN_ALIASED, &hold);
    const int64_t before = figure("allocations", 1);
    process others[] = {receiver("sum twice", &m), receiver("sum twice", &m)};
    close(m.fd);
    end(hold);
    for (int i = 0; i < 2; i++)
        CHECK(hear(others[i].socket) == SUM);
    drop(array);
    for (int i = 0; i < 2; i++) {
        /* What the pool allocates and clears is elsewhere. */
        for (int n = 0; n < MORE; n++)
            more[n] = zeros(pool, TN_I64, SHAPE(COUNT));
        OK(tn_device_synchronize(GPU));
        OK(tn_pool_trim(pool, 0, &released));
        CHECK(stats_of(pool).shared_out_bytes == PIECE && stats_of(pool).reserved_bytes == (MORE + 1) * PIECE);
        for (int n = i; n < 2; n++) {
            tell(others[n].socket, 1);
            CHECK(hear(others[n].socket) == SUM);
        }
        for (int n = 0; n < MORE; n++)
            drop(more[n]);
        OK(tn_device_synchronize(GPU));
        OK(tn_pool_trim(pool, 0, &released));
        CHECK(stats_of(pool).reserved_bytes == PIECE && figure("allocations", before) == before);
        tell(others[i].socket, 0);
        CHECK(hear(others[i].socket) == 0);
    }
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(stats_of(pool).shared_out_bytes == 0 && stats_of(pool).reserved_bytes == 0);
    CHECK(figure("allocations", before - 1) == before - 1);
    for (int i = 0; i < 2; i++) {
        tell(others[i].socket, 2);
        join(others[i], 0);
    }
    OK(tn_pool_release(pool));
}

/* IP-23: what was exported is not used again in the order of a stream either, as other pools would. */
static void ip_23_no_reuse_in_order(void)
{
    tn_pool *pool = ipc_pool();
    tn_array *array = numbers(pool, SHAPE(COUNT));
    tn_stream *busy = new_stream();
    tn_borrow *hold = NULL, *guard = NULL;
    const void *data = NULL;
    void *block = NULL;
    message m = exported(array, 0, TN_ALIASED, &hold);
    end(hold);
    close(m.fd);
    const int held = control("tenure_sim_hold", busy);
    OK(tn_array_borrow_read(array, 0, busy, &data, NULL, &guard));
    end(guard);
    drop(array);
    OK(tn_pool_allocate(pool, PIECE, 0, busy, &block));
    CHECK(block != data);
    if (held)
        CHECK(control("tenure_sim_release", busy));
    OK(tn_device_synchronize(GPU));
    OK(tn_pool_deallocate(pool, block, busy));
    OK(tn_device_synchronize(GPU));
    size_t released = 0;
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(stats_of(pool).reserved_bytes == 0);
    OK(tn_stream_release(busy));
    OK(tn_pool_release(pool));
}

/* A process that sees other GPUs, or sees them in another order. */
static void the_wrong_device(void)
{
    const tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_IPC};
    tn_pool *pool = NULL;
    tn_borrow *hold = NULL;
    if (gpus() < 2)
        return;
    CHECK(setenv("CUDA_VISIBLE_DEVICES", "1", 1) == 0);
    for (int32_t id = 0; id < 2; id++) {
        OK(tn_pool_create((tn_device){TN_CUDA, id}, &options, &pool));
        tn_array *array = named(numbers(pool, SHAPE(COUNT)), "crossing");
        message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
        process other = receiver(id == 0 ? "other device" : "write", &m);
        CHECK(hear(other.socket) == (id == 0 ? TN_ERR_DEVICE : 77));
        CHECK(sum(array) == (id == 0 ? SUM : 77 * COUNT));
        join(other, 0);
        end(hold);
        close(m.fd);
        drop(array);
        OK(tn_pool_release(pool));
    }
    CHECK(unsetenv("CUDA_VISIBLE_DEVICES") == 0);
}

/* IP-26: the child of a fork that was made before its parent used a GPU is a process like any other. */
static void ip_26_forked_before(process child)
{
    tn_pool *pool = ipc_pool();
    tn_array *array = named(numbers(pool, SHAPE(COUNT)), "crossing");
    tn_borrow *hold = NULL;
    message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    send_message(child.socket, &m);
    CHECK(hear(child.socket) == 77);
    CHECK(sum(array) == 77 * COUNT);
    join(child, 0);
    end(hold);
    close(m.fd);
    drop(array);
    OK(tn_pool_release(pool));
}

/* IP-23: memory stays while its descriptor is on its way. Who comes too late learns it. */
static void ip_23_on_the_way(void)
{
    tn_pool *pool = ipc_pool();
    tn_array *array = named(numbers(pool, SHAPE(COUNT)), "sent"), *second = numbers(pool, SHAPE(COUNT));
    tn_borrow *hold = NULL;
    size_t released = 0;
    message m = exported(array, 0, TN_ALIASED, &hold);
    process other = receiver("late", &m);
    close(m.fd);
    end(hold);
    drop(array);
    m = exported(second, 0, TN_ALIASED, &hold);
    send_message(other.socket, &m);
    close(m.fd);
    end(hold);
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(stats_of(pool).shared_out_bytes == PIECE);
    CHECK(reports("\"name\":\"sent\",\"importers\":[0]"));
    /* New memory is elsewhere. */
    array = zeros(pool, TN_I64, SHAPE(COUNT));
    tell(other.socket, 1);
    CHECK(hear(other.socket) == 2);
    OK(tn_pool_trim(pool, 0, &released));
    CHECK(stats_of(pool).shared_out_bytes == 0);
    drop(array);
    array = numbers(pool, SHAPE(COUNT));
    tell(other.socket, 3);
    join(other, 0);
    drop(array), drop(second);
    OK(tn_pool_release(pool));
}

/* IP-23: nothing crashes when the exporter dies, and what was copied stays. */
static void ip_23_exporters_that_die(int forks)
{
    tn_array *own = NULL, *local = numbers(NULL, SHAPE(COUNT));
    OK(tn_array_to_device(local, GPU, NULL, NULL, &own));
    for (int i = 0; i < (is_watched() ? 3 : 20); i++) {
        process other = begin(forks ? "fork and export" : "export");
        message m;
        CHECK(receive_message(other.socket, &m));
        const pid_t child = (pid_t)hear(other.socket);
        tn_array *array = imported(&m, 0), *view = part(array, 0, 10, 1), *copy = NULL, *none = UNTOUCHED;
        static int64_t values[COUNT];
        tn_borrow *guard = UNTOUCHED;
        OK(tn_array_to_device(array, HOST, NULL, NULL, &copy));
        CHECK(sum(array) == SUM);
        join(other, 1);
        FAILS(tn_array_copy_to_host(array, values, NULL, NULL), TN_ERR_DRIVER);
        CHECK(says("has ended"));
        FAILS(tn_array_copy_to_host(view, values, NULL, NULL), TN_ERR_DRIVER);
        FAILS(tn_array_borrow_read(array, 0, TN_STREAM_LEGACY, NULL, NULL, &guard), TN_ERR_DRIVER);
        FAILS(tn_array_copy_into(array, own, 0, TN_STREAM_LEGACY), TN_ERR_DRIVER);
        FAILS(tn_array_to_device(array, HOST, NULL, NULL, &none), TN_ERR_DRIVER);
        FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, 0, &none, NULL), TN_ERR_STALE);
        CHECK(none == UNTOUCHED && guard == UNTOUCHED);
        /* The GPU is not lost. */
        OK(tn_device_synchronize(GPU));
        CHECK(sum(own) == SUM && sum(copy) == SUM);
        drop(array), drop(view), drop(copy);
        CHECK(figure("imported", 0) == 0);
        FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, 0, &none, NULL), TN_ERR_STALE);
        close(m.fd);
        if (child > 0)
            kill(child, SIGKILL);
    }
    drop(own), drop(local);
}

/* ---- senders that lie ---- */
#define REFUSED(m, flags, status) FAILS(tn_array_import_ipc((m).descriptor, (m).bytes, (m).fd, flags, &none, &how), status)

static message changed(message m, size_t where, uint64_t value)
{
    memcpy(m.descriptor + where, &value, sizeof value);
    return m;
}

static void lies(void)
{
    /* Where the fields are: 8 bytes each behind magic and version, but for the last ones. */
    enum {
        MAGIC = 0, TOTAL = 8, FLAGS = 24, DTYPE = 32, NDIM = 40, OFFSET = 48, SIZE = 56, PLACE = 72, SERIAL = 80, UUID = 88, MEMORY = 104,
        EVENT = 168, SIZE_OF_FIXED = 296
    };
    process other = begin("export");
    message m, wrong;
    CHECK(receive_message(other.socket, &m));
    CHECK(hear(other.socket) == -1);
    tn_array *none = UNTOUCHED, *good = imported(&m, 0);
    tn_how how = 99;
    CHECK(sum(good) == SUM);
    const int files = open_files();
    for (int is_open = 1; is_open >= 0; is_open--) {
        for (size_t bytes = 0; bytes < m.bytes; bytes++) {
            wrong = m, wrong.bytes = bytes;
            REFUSED(wrong, 0, TN_ERR_INVALID);
        }
        REFUSED(changed(m, MAGIC, 0x250494e54u), 0, TN_ERR_UNSUPPORTED);
        REFUSED(changed(m, TOTAL, m.bytes + 8), 0, TN_ERR_INVALID);
        REFUSED(changed(m, FLAGS, 4), 0, TN_ERR_UNSUPPORTED);
        REFUSED(changed(m, DTYPE, 0), 0, TN_ERR_DTYPE);
        REFUSED(changed(m, NDIM, UINT64_MAX), 0, TN_ERR_SHAPE);
        REFUSED(changed(m, NDIM, 65), 0, TN_ERR_OVERFLOW);
        REFUSED(changed(m, NDIM, 2), 0, TN_ERR_INVALID);
        REFUSED(changed(m, SIZE_OF_FIXED, UINT64_MAX), 0, TN_ERR_SHAPE);
        REFUSED(changed(m, SIZE_OF_FIXED, (uint64_t)1 << 61), 0, TN_ERR_OVERFLOW);
        REFUSED(changed(m, SIZE_OF_FIXED, (uint64_t)1 << 40), 0, TN_ERR_RANGE);
        REFUSED(changed(m, OFFSET, (uint64_t)-8), 0, TN_ERR_RANGE);
        REFUSED(changed(m, OFFSET, 4), 0, TN_ERR_LAYOUT);
        REFUSED(changed(m, SIZE, 8 * COUNT - 1), 0, TN_ERR_RANGE);
        /* What the driver says about the size counts, and not the sender. */
        wrong = changed(changed(m, SIZE, (uint64_t)1 << 40), SIZE_OF_FIXED, PIECE / 8 + 1);
        REFUSED(wrong, 0, TN_ERR_RANGE);
        CHECK(says("the driver says"));
        REFUSED(m, TN_IPC_WRITABLE, TN_ERR_READONLY);
        REFUSED(changed(m, PLACE, 0), 0, TN_ERR_INVALID);
        REFUSED(changed(m, PLACE, (uint64_t)1 << 40), 0, TN_ERR_INVALID);
        REFUSED(changed(m, PLACE, 2), 0, TN_ERR_STALE);
        REFUSED(changed(m, SERIAL, 0), 0, TN_ERR_INVALID);
        REFUSED(changed(m, SERIAL, 9), 0, TN_ERR_STALE);
        REFUSED(changed(m, UUID, 1), 0, TN_ERR_DEVICE);
        if (simulated()) {
            REFUSED(changed(m, MEMORY, 1), 0, TN_ERR_DRIVER);
            REFUSED(changed(m, EVENT, 1), 0, TN_ERR_DRIVER);
        }
        REFUSED(m, TN_BORROW, TN_ERR_INVALID);
        REFUSED(m, TN_IPC_GIVE, TN_ERR_UNSUPPORTED);

        /* Files that are none of an exporter. */
        wrong = m;
        int ends[2], memory = memfd_create("zeros", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        CHECK(pipe(ends) == 0 && ftruncate(memory, 1 << 20) == 0);
        const int others[] = {ends[0], ends[1], memory, socket(AF_UNIX, SOCK_STREAM, 0), open("/", O_RDONLY), open(program, O_RDONLY),
                              open(program, O_PATH), open("/dev/null", O_RDWR)};
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            wrong.fd = others[i];
            REFUSED(wrong, TN_IPC_TRUSTED, TN_ERR_INVALID);
            close(others[i]);
        }
        wrong.fd = -1;
        REFUSED(wrong, 0, TN_ERR_IO);
        /* A file of another exporter has nothing at that place. */
        tn_pool *pool = ipc_pool();
        tn_array *ours = numbers(pool, SHAPE(COUNT));
        tn_borrow *hold = NULL;
        message own = exported(ours, 0, TN_ALIASED, &hold);
        end(hold);
        wrong.fd = own.fd;
        REFUSED(changed(wrong, SERIAL, 12345), 0, TN_ERR_STALE);
        close(own.fd);
        drop(ours);
        OK(tn_pool_release(pool));
        if (is_open) {
            CHECK(open_files() == files && figure("imported", 1) == 1 && sum(good) == SUM);
            drop(good);
        }
    }
    CHECK(figure("imported", 0) == 0 && none == UNTOUCHED && how == 99);

    /* Each driver call of an import fails once. */
    if (simulated()) {
        const char *functions[] = {"cuIpcOpenMemHandle", "cuMemGetAddressRange", "cuIpcOpenEventHandle", "cuStreamWaitEvent"};
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            fail_next(functions[i], 999);
            REFUSED(m, 0, TN_ERR_DRIVER);
            CHECK(figure("imported", 0) == 0);
        }
    }
    const int after = open_files();

    /* Random bytes: a status each. */
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < rounds(4000); i++) {
        wrong = damaged(&m, 1 + i % 3, &state);
        tn_array *any = NULL;
        if (tn_array_import_ipc(wrong.descriptor, wrong.bytes, wrong.fd, 0, &any, NULL) == TN_OK) {
            info_of(any);
            drop(any);
            run_releases();
        }
    }
    CHECK(figure("imported", 0) == 0 && open_files() == after);
    tn_array *fine = imported(&m, 0);
    CHECK(sum(fine) == SUM);
    drop(fine);
    run_releases();
    join(other, 1);
    close(m.fd);
}

/* IP-25: a GPU that shares nothing. */
static void ip_25_unsupported(void)
{
    tn_pool *pool = ipc_pool(), *none = UNTOUCHED, *plain = plain_gpu_pool();
    tn_array *array = numbers(pool, SHAPE(COUNT)), *other = numbers(plain, SHAPE(COUNT));
    tn_borrow *hold = UNTOUCHED;
    message m = {.fd = -1};
    if (simulated()) {
        const tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_IPC};
        set_attribute(125, 0);
        FAILS(tn_array_export_ipc(array, 0, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_UNSUPPORTED);
        FAILS(tn_array_export_ipc(other, 0, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_UNSUPPORTED);
        FAILS(tn_pool_create(GPU, &options, &none), TN_ERR_UNSUPPORTED);
        set_attribute(125, 1);
        /* A driver that says so only when it is asked to: as in some containers. */
        fail_next("cuIpcGetMemHandle", 801);
        FAILS(tn_array_export_ipc(array, 0, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_UNSUPPORTED);
        const char *functions[] = {"cuMemGetAddressRange", "cuEventCreate", "cuIpcGetEventHandle"};
        const int64_t events = figure("events", 0);
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            fail_next(functions[i], 999);
            FAILS(tn_array_export_ipc(array, 0, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_DRIVER);
        }
        CHECK(figure("events", 0) == events && hold == UNTOUCHED && m.fd == -1 && none == UNTOUCHED);
        CHECK(try_write(array, 0) == TN_OK);
    }
    drop(array), drop(other);
    OK(tn_pool_release(pool));
    OK(tn_pool_release(plain));
}

/* This program again, without a start of its own. */
static process begin_by_fork(const char *what)
{
    int sockets[2];
    process child = {0};
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    child.pid = fork();
    if (child.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(sockets[0]);
        exit(importer(sockets[1], what));
    }
    close(sockets[1]);
    child.socket = sockets[0];
    return child;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    program = argv[0];
    if (argc > 1)
        /* Nothing outlives the test, should it be killed. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strcmp(what, "export") == 0 || strcmp(what, "fork and export") == 0)
        return exporter(0, what[0] == 'f');
    if (argc > 1)
        return importer(0, what);
    /* Two GPUs, if they are simulated. */
    setenv("TENURE_SIM_DEVICES", "2", 0);
    const process child = begin_by_fork("write");
    if (gpus() == 0) {
        join(child, 1);
        tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_IPC};
        tn_pool *none = UNTOUCHED;
        FAILS(tn_pool_create(GPU, &options, &none), TN_ERR_UNSUPPORTED);
        CHECK(none == UNTOUCHED);
        return finish();
    }
    the_pool();
    ip_20_shared_or_copied();
    ip_22_the_same_process();
    ip_21_opened_once();
    ip_21_waits_for_the_exporter();
    tr_8_from_the_host();
    the_wrong_device();
    ip_26_forked_before(child);
    ip_23_reuse_after_the_last();
    ip_23_no_reuse_in_order();
    ip_23_importers_that_die(0);
    ip_23_importers_that_die(1);
    ip_23_on_the_way();
    ip_23_exporters_that_die(0);
    ip_23_exporters_that_die(1);
    lies();
    ip_25_unsupported();
    return finish();
}
