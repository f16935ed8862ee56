/*
 * ipc.c - the same bytes in two processes (IP-1 to IP-7), and descriptors of senders that lie.
 *
 * The other process is this program again, in a fresh process, with a socket as its standard input.
 */
#include "processes.h"
#include "signals.h"
#include <pthread.h>
#include <stdbool.h>

/* ---- the other process ---- */
/* What the other process does, by name. It imports one array, and tells what it finds. */
static int other_process(const char *what)
{
    const int socket = 0;
    message m;
    if (strcmp(what, "export") == 0) {
        /* Sends an array, and is killed. */
        tn_pool *pool = shareable_pool();
        tn_array *array = numbers(pool, SHAPE(1000));
        tn_borrow *hold = NULL;
        m = exported(array, 0, TN_ALIASED, &hold);
        send_message(socket, &m);
        for (;;)
            pause();
    }
    if (!receive_message(socket, &m))
        return 2;
    const int writes = strcmp(what, "write") == 0;
    tn_array *array = imported(&m, writes ? TN_IPC_WRITABLE : 0);
    close(m.fd);
    tell(socket, (int64_t)(why(array) & TN_WHY_FOREIGN));
    CHECK(strstr(info_of(array).name, "(process ") != NULL);
    tn_view_info view;
    tn_borrow *guard = NULL;
    if (strcmp(what, "stay") == 0) {
        /* Holds the array until it is killed. */
        tell(socket, 1);
        for (;;)
            pause();
    }
    if (writes) {
        fill_i64(array, 77);
        tell(socket, 77);
    } else {
        CHECK(try_write(array, 0) == TN_ERR_READONLY);
        int64_t last = 0;
        do {
            /* The exporter says when to look: 0 ends. */
            OK(tn_array_borrow_read(array, 0, NULL, NULL, &view, &guard));
            int64_t sum = 0;
            for (int64_t i = 0; i < view.shape[0]; i++)
                sum += *(int64_t *)((char *)view.data + i * view.strides[0]);
            end(guard);
            tell(socket, sum);
            last = hear(socket);
        } while (last != 0);
    }
    drop(array);
    return finish();
}

/* ---- rows ---- */
static void ip_1_shared_or_copied(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *here = numbers(pool, SHAPE(10, 10)), *elsewhere = numbers(NULL, SHAPE(10, 10));
    tn_borrow *hold = NULL;
    message m = exported(here, TN_REQUIRE_BORROW, TN_ALIASED, &hold);
    end(hold);
    close(m.fd);
    m = exported(elsewhere, TN_BORROW, TN_COPIED, &hold);
    tn_array *back = imported(&m, 0);
    CHECK(address(back) != address(elsewhere) && element(back, 99) == 99);
    drop(back);
    end(hold);
    close(m.fd);
    m = (message){.fd = -1};
    FAILS(tn_array_export_ipc(elsewhere, TN_REQUIRE_BORROW, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_WOULD_COPY);
    CHECK(says("TN_POOL_SHAREABLE") && m.fd == -1 && m.bytes == 0);
    FAILS(tn_array_export_ipc(here, 0, 64, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_COUNT);
    FAILS(tn_array_export_ipc(here, TN_EXPORT_WRITABLE, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_INVALID);
    FAILS(tn_array_export_ipc(NULL, 0, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_NULL);
    OK(tn_copies_forbid(1));
    FAILS(tn_array_export_ipc(elsewhere, TN_BORROW, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
    drop(here);
    drop(elsewhere);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static void ip_2_the_file(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(5000));
    tn_borrow *hold = NULL;
    message m = exported(array, 0, TN_ALIASED, &hold);
    struct stat properties;
    CHECK(fcntl(m.fd, F_GETFD) == FD_CLOEXEC && fstat(m.fd, &properties) == 0 && (properties.st_mode & 0777) == 0600);
    const int seals = fcntl(m.fd, F_GET_SEALS);
    CHECK((seals & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW));
    CHECK(ftruncate(m.fd, 0) != 0);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0) == MAP_FAILED); /* IP-4 */
    CHECK(write(m.fd, "x", 1) != 1);
    close(m.fd);
    end(hold);
    /* After a read-only export nobody else writes the memory, so a writable one is a copy. */
    FAILS(tn_array_export_ipc(array, TN_REQUIRE_BORROW | TN_IPC_WRITABLE, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL),
          TN_ERR_WOULD_COPY);
    CHECK(says("read-only before"));
    m = exported(array, TN_IPC_WRITABLE, TN_COPIED, &hold);
    close(m.fd);
    end(hold);
    drop(array);
    OK(tn_pool_release(pool));
}

static void ip_4_read_only(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000)), *every_third = NULL;
    OK(tn_array_slice(array, 1, (tn_slice_spec[]){TN_SLICE(TN_NONE, TN_NONE, -3)}, &every_third));
    tn_borrow *hold = NULL;
    process other = begin("read");
    message m = exported(every_third, 0, TN_ALIASED, &hold);
    send_message(other.socket, &m);
    close(m.fd);
    CHECK(hear(other.socket) == TN_WHY_FOREIGN); /* IP-5 */
    CHECK(hear(other.socket) == 166833);         /* 999 + 996 + .. + 0 */
    CHECK(try_write(array, 0) == TN_ERR_EXPORTED);
    end(hold);
    fill_i64(array, 2);
    tell(other.socket, 1);
    CHECK(hear(other.socket) == 2 * 334); /* the same bytes */
    drop(every_third);
    drop(array); /* IP-6: the importer's bytes stay */
    CHECK(live_bytes(pool) == 0);
    tn_array *reused = zeros(pool, TN_I64, SHAPE(1000));
    tell(other.socket, 1);
    CHECK(hear(other.socket) == 2 * 334);
    tell(other.socket, 0);
    join(other, 0);
    drop(reused);
    OK(tn_pool_release(pool));
}

static void ip_4_writable(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = zeros(pool, TN_I64, SHAPE(4));
    tn_borrow *hold = NULL;
    process other = begin("write");
    message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    send_message(other.socket, &m);
    close(m.fd);
    CHECK(hear(other.socket) == TN_WHY_FOREIGN);
    CHECK(hear(other.socket) == 77 && element(array, 0) == 77);
    join(other, 0);
    end(hold);
    /* A read-only handle has no writable export. */
    m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    end(hold);
    tn_array *readonly = imported(&m, 0);
    close(m.fd);
    FAILS(tn_array_export_ipc(readonly, TN_IPC_WRITABLE, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL), TN_ERR_READONLY);
    drop(readonly);
    drop(array);
    OK(tn_pool_release(pool));
}

/* Whether the report has memory of this process, which runs or does not. */
static bool report_has(pid_t exporter, const char *running)
{
    size_t length = 0;
    OK(tn_report_json(0, 0, NULL, &length));
    char *text = malloc(length + 1), wanted[64];
    OK(tn_report_json(0, length + 1, text, &length));
    snprintf(wanted, sizeof wanted, "\"process\":%d,\"running\":%s}", (int)exporter, running);
    const bool has = strstr(text, wanted) != NULL;
    free(text);
    return has;
}

/* IP-6: the exporter is killed; the importer is killed. */
static void ip_6_deaths(void)
{
    for (int i = 0; i < kills(); i++) {
        process other = begin("export");
        message m;
        CHECK(receive_message(other.socket, &m));
        if (i % 2)
            join(other, 1);
        tn_array *array = imported(&m, 0);
        close(m.fd);
        if (i % 2 == 0) {
            CHECK(i > 0 || report_has(other.pid, "true"));
            join(other, 1);
        }
        CHECK(i > 1 || report_has(other.pid, "false"));
        CHECK(element(array, 0) == 0 && element(array, 999) == 999);
        drop(array);
    }
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000));
    for (int i = 0; i < kills(); i++) {
        process other = begin("stay");
        tn_borrow *hold = NULL;
        message m = exported(array, 0, TN_ALIASED, &hold);
        send_message(other.socket, &m);
        close(m.fd);
        CHECK(hear(other.socket) == TN_WHY_FOREIGN && hear(other.socket) == 1);
        join(other, 1);
        end(hold);
    }
    CHECK(element(array, 999) == 999);
    fill_i64(array, 3);
    drop(array);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

/* In the exporting process: another handle on the same array, as long as that lives. */
static void the_same_process(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(10)), *scalar = zeros(pool, TN_F32, 0, NULL), *nothing = empty(pool, TN_I64, SHAPE(3, 0));
    tn_borrow *hold = NULL;
    message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    end(hold);
    tn_array *twin = imported(&m, 0), *writer = imported(&m, TN_IPC_WRITABLE);
    CHECK(address(twin) == address(array) && address(writer) == address(array));
    CHECK(try_write(twin, 0) == TN_ERR_READONLY);
    fill_i64(writer, 5);
    CHECK(element(array, 9) == 5);
    drop(array);
    drop(twin);
    drop(writer);
    /* Its memory is gone here, and its file is not. */
    twin = imported(&m, 0);
    CHECK(element(twin, 9) == 5);
    drop(twin);
    close(m.fd);
    m = exported(scalar, 0, TN_ALIASED, &hold);
    twin = imported(&m, 0);
    drop(twin);
    end(hold);
    close(m.fd);
    m = exported(nothing, 0, TN_ALIASED, &hold);
    twin = imported(&m, 0);
    const tn_array_info info = info_of(twin);
    CHECK(info.ndim == 2 && info.shape[0] == 3 && info.shape[1] == 0);
    drop(twin);
    end(hold);
    close(m.fd);
    drop(scalar);
    drop(nothing);
    OK(tn_pool_release(pool));
}

/* ---- senders that lie ---- */
#define REFUSED(m, flags, status) FAILS(tn_array_import_ipc((m).descriptor, (m).bytes, (m).fd, flags, &none, &how), status)

static message changed(message m, size_t where, uint64_t value)
{
    memcpy(m.descriptor + where, &value, sizeof value);
    return m;
}

/* IP-33: whoever maps the file first, and however: handles on one memory know of each other. */
static void ip_33_one_store_for_a_file(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(10)), *none = UNTOUCHED;
    tn_borrow *hold = NULL, *reader = NULL, *writer = NULL;
    tn_how how = 77;
    message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    end(hold);
    /* Longer than the array: into its last page, and into the page behind it, which is the library's. */
    REFUSED(changed(m, m.bytes - 16, 100), TN_IPC_WRITABLE, TN_ERR_RANGE);
    REFUSED(changed(m, m.bytes - 16, 520), TN_IPC_WRITABLE, TN_ERR_RANGE);
    CHECK(none == UNTOUCHED);
    drop(array);
    /* Mapped to be read, and then to be written. */
    tn_array *reads = imported(&m, 0), *writes = imported(&m, TN_IPC_WRITABLE);
    CHECK(address(reads) == address(writes) && address(reads) != NULL);
    CHECK(try_write(reads, 0) == TN_ERR_READONLY && info_of(reads).flags & TN_READONLY);
    tn_array *clone = NULL;
    OK(tn_array_clone(reads, &clone));
    CHECK(try_write(clone, 0) == TN_ERR_READONLY);
    OK(tn_array_borrow_read(reads, TN_FROZEN, NULL, NULL, NULL, &reader));
    FAILS(tn_array_borrow_write(writes, 0, NULL, NULL, NULL, &writer), TN_ERR_BORROWED);
    end(reader);
    fill_i64(writes, 5);
    CHECK(element(clone, 9) == 5);
    uint32_t overlap = 77;
    OK(tn_array_overlap(reads, writes, &overlap));
    CHECK(overlap == TN_OVERLAP_EXACT);
    /* A file that grows between two imports. */
    const int grows = memfd_create("grows", MFD_ALLOW_SEALING);
    CHECK(grows >= 0 && ftruncate(grows, 4096) == 0 && fcntl(grows, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    message theirs = changed(changed(m, 56, 4096), m.bytes - 16, 512);
    theirs.fd = grows;
    tn_array *small = imported(&theirs, TN_IPC_WRITABLE);
    CHECK(ftruncate(grows, 65536) == 0);
    REFUSED(changed(changed(theirs, 56, 65536), m.bytes - 16, 8192), TN_IPC_WRITABLE, TN_ERR_RANGE);
    CHECK(says("this process has 4096 in use already"));
    tn_array *same = imported(&theirs, TN_IPC_WRITABLE);
    CHECK(address(same) == address(small));
    drop(same);
    drop(small);
    drop(clone);
    drop(reads);
    drop(writes);
    close(grows);
    close(m.fd);
    OK(tn_pool_release(pool));
}

enum { IMPORTERS = 4, IMPORTS = 50 };
static message shared_by_threads;
static tn_array *by_threads[IMPORTERS];
static pthread_barrier_t all_ready;

static void *imports(void *number)
{
    const int me = *(int *)number;
    tn_how how = 77;
    pthread_barrier_wait(&all_ready);
    OK(tn_array_import_ipc(shared_by_threads.descriptor, shared_by_threads.bytes, shared_by_threads.fd, me % 2 ? TN_IPC_WRITABLE : 0, &by_threads[me], &how));
    return NULL;
}

/* IP-33: also if several threads import it at the same time. */
static void threads_import_one_file(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(10));
    tn_borrow *hold = NULL;
    shared_by_threads = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    end(hold);
    drop(array);
    for (int round = 0; round < rounds(IMPORTS); round++) {
        pthread_t threads[IMPORTERS];
        int numbers_of[IMPORTERS];
        pthread_barrier_init(&all_ready, NULL, IMPORTERS);
        for (int i = 0; i < IMPORTERS; i++)
            numbers_of[i] = i, pthread_create(&threads[i], NULL, imports, &numbers_of[i]);
        for (int i = 0; i < IMPORTERS; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&all_ready);
        for (int i = 0; i < IMPORTERS; i++)
            CHECK(address(by_threads[i]) == address(by_threads[0]));
        fill_i64(by_threads[1], round);
        CHECK(element(by_threads[0], 9) == round);
        for (int i = 0; i < IMPORTERS; i++)
            drop(by_threads[i]);
    }
    close(shared_by_threads.fd);
    OK(tn_pool_release(pool));
}

static void lies(void)
{
    /* Where the fields are: 8 bytes each behind magic and version. */
    enum { MAGIC = 0, TOTAL = 8, KIND = 16, FLAGS = 24, DTYPE = 32, NDIM = 40, OFFSET = 48, SIZE_OF_FIXED = 160 };
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(100)), *none = UNTOUCHED;
    tn_how how = 99;
    tn_borrow *hold = NULL;
    message m = exported(array, 0, TN_ALIASED, &hold), wrong;
    end(hold);
    const int files = open_files();
    FAILS(tn_array_import_ipc(NULL, m.bytes, m.fd, 0, &none, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, TN_BORROW, &none, NULL), TN_ERR_INVALID);
    FAILS(tn_array_import_ipc(m.descriptor, TN_IPC_DESCRIPTOR_BYTES + 1, m.fd, 0, &none, NULL), TN_ERR_INVALID);
    for (size_t bytes = 0; bytes < m.bytes; bytes++) {
        wrong = m, wrong.bytes = bytes;
        REFUSED(wrong, 0, TN_ERR_INVALID);
    }
    REFUSED(changed(m, MAGIC, 0), 0, TN_ERR_INVALID);
    REFUSED(changed(m, MAGIC, 0x250494e54u), 0, TN_ERR_UNSUPPORTED);
    REFUSED(changed(m, TOTAL, m.bytes + 8), 0, TN_ERR_INVALID);
    REFUSED(changed(m, KIND, 7), 0, TN_ERR_UNSUPPORTED);
    REFUSED(changed(m, FLAGS, 4), 0, TN_ERR_UNSUPPORTED);
    REFUSED(changed(m, DTYPE, 0), 0, TN_ERR_DTYPE);
    REFUSED(changed(m, NDIM, UINT64_MAX), 0, TN_ERR_SHAPE);
    REFUSED(changed(m, NDIM, 65), 0, TN_ERR_OVERFLOW);
    REFUSED(changed(m, NDIM, 2), 0, TN_ERR_INVALID);
    REFUSED(changed(m, SIZE_OF_FIXED, UINT64_MAX), 0, TN_ERR_SHAPE);
    REFUSED(changed(m, SIZE_OF_FIXED, (uint64_t)1 << 61), 0, TN_ERR_OVERFLOW);
    REFUSED(changed(m, SIZE_OF_FIXED, (uint64_t)1 << 40), 0, TN_ERR_RANGE);
    REFUSED(changed(m, OFFSET, 1 << 20), 0, TN_ERR_RANGE);
    REFUSED(changed(m, OFFSET, (uint64_t)-8), 0, TN_ERR_RANGE);
    REFUSED(changed(m, OFFSET, 4), 0, TN_ERR_LAYOUT);
    REFUSED(changed(m, FLAGS, 1), TN_IPC_WRITABLE, TN_ERR_READONLY); /* the seal says otherwise */
    REFUSED(m, TN_IPC_WRITABLE, TN_ERR_READONLY);

    /* What is no memory, or could shrink. */
    wrong = m;
    int ends[2], unsealed = memfd_create("unsealed", MFD_CLOEXEC);
    CHECK(pipe(ends) == 0 && ftruncate(unsealed, 1 << 20) == 0);
    const int others[] = {open("/", O_RDONLY), open("/dev/null", O_RDWR), open(program, O_RDONLY), open(program, O_PATH), ends[0],
                          socket(AF_UNIX, SOCK_STREAM, 0), unsealed};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        wrong.fd = others[i];
        REFUSED(wrong, 0, TN_ERR_INVALID);
    }
    wrong.fd = unsealed;
    tn_array *trusted = imported(&wrong, TN_IPC_TRUSTED);
    CHECK(element(trusted, 5) == 0);
    drop(trusted);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        close(others[i]);
    close(ends[1]);
    wrong.fd = -1;
    REFUSED(wrong, 0, TN_ERR_IO);
    wrong.fd = 100000;
    REFUSED(wrong, 0, TN_ERR_IO);

    /* Elements that overlap are not written. */
    tn_array *same = NULL;
    message writable = exported(array, TN_IPC_WRITABLE, TN_COPIED, &hold);
    end(hold);
    REFUSED(changed(writable, FLAGS, 0), TN_IPC_WRITABLE, TN_ERR_READONLY);
    wrong = changed(writable, SIZE_OF_FIXED + 8, 0);
    OK(tn_array_import_ipc(wrong.descriptor, wrong.bytes, wrong.fd, TN_IPC_WRITABLE, &same, NULL));
    CHECK(try_write(same, 0) == TN_ERR_READONLY);
    drop(same);
    close(writable.fd);

    /* Random bytes: a status each. */
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < rounds(200000); i++) {
        wrong = damaged(&m, 1 + i % 3, &state);
        tn_array *any = NULL;
        if (tn_array_import_ipc(wrong.descriptor, wrong.bytes, wrong.fd, 0, &any, NULL) == TN_OK) {
            info_of(any);
            drop(any);
        }
    }
    /* the memory of the copy may serve a later one */
    CHECK(open_files() <= files + 1 && none == UNTOUCHED && how == 99);
    close(m.fd);
    drop(array);
    OK(tn_pool_release(pool));
}

static void ip_3_each_block_has_a_file(void)
{
    tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_SHAREABLE, .initial_size = 1 << 20};
    tn_pool *pool = NULL;
    FAILS(tn_pool_create(HOST, &options, &pool), TN_ERR_UNSUPPORTED);
    CHECK(says("initial_size"));
    const int files = open_files();
    pool = shareable_pool();
    void *blocks[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        OK(tn_pool_allocate(pool, (size_t)1 << (10 * i), 0, NULL, &blocks[i]));
        memset(blocks[i], i + 1, (size_t)1 << (10 * i));
    }
    CHECK(open_files() == files + 3);
    OK(tn_pool_reallocate(pool, blocks[2], 3 << 20, NULL, &blocks[2]));
    CHECK(((char *)blocks[2])[(1 << 20) - 1] == 3);
    for (int i = 0; i < 3; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    OK(tn_pool_trim(pool, 0, NULL));
    CHECK(open_files() == files && stats_of(pool).reserved_bytes == 0);
    OK(tn_pool_release(pool));
}

/* RLIMIT_FSIZE holds for files in memory too: the limit is a status, and the program's handling of SIGXFSZ stays as it is. */
static void ip_32_a_limit_of_the_process(void)
{
    tn_pool *pool = shareable_pool();
    struct rlimit before, small;
    sigset_t mask_before, mask, pending;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = (struct rlimit){1 << 20, before.rlim_max};
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_before) == 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    tn_array *a = NULL;
    const int files = open_files();
    FAILS(tn_array_zeros(pool, TN_F64, 1, (int64_t[]){1 << 20}, NULL, &a), TN_ERR_NO_HOST_MEMORY);
    CHECK(says("(the process may have 1048576 bytes of a file, see ulimit -f)"));
    CHECK(open_files() <= files && live_bytes(pool) == 0);
    /* A copy into the shareable pool of the process. */
    a = zeros(NULL, TN_F64, SHAPE(1 << 20));
    unsigned char descriptor[4096];
    size_t length = 0;
    int fd = -1;
    tn_borrow *hold = NULL;
    FAILS(tn_array_export_ipc(a, 0, sizeof descriptor, descriptor, &length, &fd, &hold, NULL), TN_ERR_NO_HOST_MEMORY);
    CHECK(says("see ulimit -f"));
    drop(a);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGXFSZ) == sigismember(&mask_before, SIGXFSZ));
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 0);
    /* A signal that waits because the program blocked it is the program's, and waits on. */
    sigset_t limit;
    sigemptyset(&limit);
    sigaddset(&limit, SIGXFSZ);
    CHECK(pthread_sigmask(SIG_BLOCK, &limit, NULL) == 0);
    CHECK(raise(SIGXFSZ) == 0);
    FAILS(tn_array_zeros(pool, TN_F64, 1, (int64_t[]){1 << 20}, NULL, &a), TN_ERR_NO_HOST_MEMORY);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1);
    CHECK(sigtimedwait(&limit, NULL, &(struct timespec){0, 0}) == SIGXFSZ);
    CHECK(pthread_sigmask(SIG_SETMASK, &mask_before, NULL) == 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    OK(tn_pool_release(pool));
}

/* A block that was never exported serves a later one of its size. Nothing of it is behind an array that is exported then. */
static void ip_7_memory_that_nobody_else_has(void)
{
    enum { BYTES = 300 << 10 };
    tn_pool *pool = shareable_pool();
    const int files = open_files();
    void *block = NULL, *again = NULL;
    OK(tn_pool_allocate(pool, BYTES, 0, NULL, &block));
    memset(block, 7, BYTES);
    OK(tn_pool_deallocate(pool, block, NULL));
    CHECK(open_files() == files + 1 && stats_of(pool).cached_bytes >= BYTES);
    /* another size is another file */
    OK(tn_pool_allocate(pool, BYTES / 2, 0, NULL, &again));
    CHECK(again != block && open_files() == files + 2);
    OK(tn_pool_deallocate(pool, again, NULL));
    tn_array *array = zeros(pool, TN_U8, SHAPE(BYTES - 5000));
    CHECK(open_files() == files + 2 && stats_of(pool).hit_count == 1);
    tn_borrow *hold = NULL;
    message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    unsigned char *seen = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, m.fd, 0);
    CHECK(seen != MAP_FAILED);
    int others = 0;
    for (int i = 0; i < BYTES; i++)
        others += seen[i] != 0;
    CHECK(others == 0);
    /* the bytes stay for those who have them: a descriptor, or a mapping */
    end(hold);
    drop(array);
    CHECK(open_files() == files + 3); /* the message's, and those of two free blocks */
    array = zeros(pool, TN_U8, SHAPE(BYTES - 5000));
    OK(tn_array_fill(array, (unsigned char[]){9}, 0, NULL));
    CHECK(seen[0] == 0 && open_files() == files + 4);
    close(m.fd);
    tn_array *other = zeros(pool, TN_U8, SHAPE(BYTES - 5000));
    OK(tn_array_fill(other, (unsigned char[]){8}, 0, NULL));
    CHECK(seen[0] == 0 && open_files() == files + 4);
    drop(other);
    /* an array that was given is the taker's */
    m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
    end(hold);
    drop(array);
    close(m.fd);
    munmap(seen, BYTES);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_trim(pool, 0, NULL));
    CHECK(open_files() == files && stats_of(pool).reserved_bytes == 0);
    OK(tn_pool_release(pool));
    /* TN_POOL_DIRECT keeps nothing */
    tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_SHAREABLE | TN_POOL_DIRECT};
    OK(tn_pool_create(HOST, &options, &pool));
    OK(tn_pool_allocate(pool, BYTES, 0, NULL, &block));
    OK(tn_pool_deallocate(pool, block, NULL));
    CHECK(open_files() == files && stats_of(pool).reserved_bytes == 0);
    OK(tn_pool_release(pool));
}

/* A child of fork has the memory too: its parent does not use that again, nor does the child. */
static void ip_7_memory_that_a_child_has(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *kept = numbers(pool, SHAPE(50000)), *freed = numbers(pool, SHAPE(60000));
    drop(freed);
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        /* the child's own array is no part of what it has from its parent */
        tn_array *own = numbers(pool, SHAPE(60000));
        OK(tn_array_fill(own, (int64_t[]){-1}, 0, NULL));
        drop(own);
        char byte = 0;
        CHECK(read(ends[0], &byte, 1) == 1);
        _exit(check_failures > 0 || element(kept, 1) != 1 || element(kept, 49999) != 49999);
    }
    drop(kept);
    tn_array *now = numbers(pool, SHAPE(50000));
    OK(tn_array_fill(now, (int64_t[]){-1}, 0, NULL));
    CHECK(write(ends[1], "x", 1) == 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(ends[0]);
    close(ends[1]);
    drop(now);
    OK(tn_pool_release(pool));
}

/* Without a descriptor there is no array, and nothing is left. */
static void ip_7_a_descriptor_each(void)
{
    tn_pool *pool = shareable_pool();
    struct rlimit before, few;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    few = before;
    few.rlim_cur = (rlim_t)open_files() + 3;
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    tn_array *arrays[16] = {NULL};
    int made = 0;
    tn_status status = TN_OK;
    /* one more is open for a moment while a file is made */
    while (made < 16 && (status = tn_array_zeros(pool, TN_I64, 1, (int64_t[]){1000}, NULL, &arrays[made])) == TN_OK)
        made++;
    CHECK(made > 0 && made < 16 && status == TN_ERR_NO_HOST_MEMORY && says("open files, see ulimit -n)"));
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    for (int i = 0; i < made; i++)
        drop(arrays[i]);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

/* No call ends because a signal interrupts one of its system calls. */
static void interrupted(void)
{
    tn_pool *pool = shareable_pool();
    begin_interruptions();
    for (int i = 0; i < rounds(1000) || interruptions == 0; i++) {
        tn_array *array = numbers(pool, SHAPE(40000)), *again = NULL;
        tn_borrow *hold = NULL;
        message m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
        end(hold);
        drop(array);
        again = imported(&m, TN_IPC_WRITABLE);
        CHECK(element(again, 39999) == 39999);
        close(m.fd);
        drop(again);
    }
    end_interruptions();
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

/* Shared memory has no name that could stay behind. */
static int names_in_shm(void)
{
    int count = 0;
    DIR *folder = opendir("/dev/shm");
    if (folder == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strstr(entry->d_name, "tenure") != NULL;
    closedir(folder);
    return count;
}

static void ip_31_no_names(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000));
    tn_borrow *hold = NULL;
    message m = exported(array, 0, TN_ALIASED, &hold);
    CHECK(names_in_shm() == 0);
    struct stat properties;
    CHECK(fstat(m.fd, &properties) == 0 && properties.st_nlink == 0);
    end(hold);
    close(m.fd);
    drop(array);
    OK(tn_pool_release(pool));
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return other_process(argv[1]);
    const int files = open_files();
    ip_3_each_block_has_a_file();
    ip_1_shared_or_copied();
    ip_2_the_file();
    ip_4_read_only();
    ip_4_writable();
    ip_6_deaths();
    the_same_process();
    ip_33_one_store_for_a_file();
    threads_import_one_file();
    lies();
    ip_7_memory_that_nobody_else_has();
    ip_7_memory_that_a_child_has();
    if (rounds(10) == 10) /* valgrind has a limit of its own, and does not pass this one on */
        ip_7_a_descriptor_each();
    ip_32_a_limit_of_the_process();
    interrupted();
    ip_31_no_names();
    CHECK(open_files() == files);
    return finish();
}
