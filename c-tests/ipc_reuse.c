/*
 * ipc_reuse.c - memory that other processes had serves later arrays once they have let go (IP-7).
 */
#include "processes.h"

enum { N = 1 << 17 }; /* elements of 8 bytes */

/* The other process maps what it gets until it is killed, and tells an element whenever it is asked. */
static int other_process(void)
{
    message m;
    if (!receive_message(0, &m))
        return 2;
    tn_array *array = imported(&m, 0);
    close(m.fd);
    for (;;) {
        tell(0, element(array, N - 1));
        hear(0);
    }
}

static tn_array *frame(tn_pool *pool, int64_t value)
{
    tn_array *array = empty(pool, TN_I64, SHAPE(N));
    fill_i64(array, value);
    return array;
}

static message sent(tn_array *array, tn_borrow_flags flags)
{
    tn_borrow *hold = NULL;
    message m = exported(array, flags | TN_REQUIRE_BORROW, TN_ALIASED, &hold);
    end(hold);
    return m;
}

/* A loop of frames, which a reader lets go before the next one, has one file. */
static void ip_7_frames_have_one_file(tn_pool *pool)
{
    const int files = open_files();
    const void *first = NULL;
    for (int i = 0; i < 20; i++) {
        tn_array *array = frame(pool, i);
        first = i == 0 ? address(array) : first;
        CHECK(address(array) == first);
        message m = sent(array, 0);
        drop(array);
        const int64_t *seen = mmap(NULL, N * sizeof *seen, PROT_READ, MAP_SHARED, m.fd, 0);
        CHECK(seen != MAP_FAILED && seen[0] == i && seen[N - 1] == i);
        CHECK(mmap(NULL, N * sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0) == MAP_FAILED && fcntl(m.fd, F_GETFL) % 4 == O_RDONLY);
        close(m.fd);
        munmap((void *)(uintptr_t)seen, N * sizeof *seen);
    }
    CHECK(open_files() == files + 1 && stats_of(pool).hit_count == 19);
}

/* Later frames leave the bytes of a reader alone, and have its file after its death. */
static void ip_7_a_reader_keeps_its_frame(tn_pool *pool)
{
    process other = begin("");
    tn_array *array = frame(pool, 7);
    const void *first = address(array);
    message m = sent(array, 0);
    drop(array);
    send_message(other.socket, &m);
    close(m.fd);
    tn_array *on_its_way = frame(pool, 8);
    CHECK(hear(other.socket) == 7);
    tn_array *mapped = frame(pool, 9);
    CHECK(address(on_its_way) != first && address(mapped) != first);
    tell(other.socket, 0);
    CHECK(hear(other.socket) == 7);
    join(other, 1);
    tn_array *later = frame(pool, 10);
    CHECK(address(later) == first);
    drop(on_its_way);
    drop(mapped);
    drop(later);
}

/* Such arrays are not for others to write. */
static void ip_7_readonly_exports(tn_pool *pool)
{
    tn_array *array = frame(pool, 3);
    message m = {.fd = -1};
    tn_borrow *hold = UNTOUCHED;
    for (int i = 0; i < 2; i++) {
        FAILS(tn_array_export_ipc(array, i == 0 ? TN_IPC_GIVE : TN_IPC_WRITABLE | TN_REQUIRE_BORROW, sizeof m.descriptor, m.descriptor, &m.bytes,
                                  &m.fd, &hold, NULL),
              TN_ERR_WOULD_COPY);
        CHECK(says("TN_POOL_READONLY_EXPORTS") && hold == UNTOUCHED && m.fd == -1);
    }
    hold = NULL;
    m = exported(array, TN_IPC_WRITABLE, TN_COPIED, &hold);
    close(m.fd);
    end(hold);
    drop(array);
    /* the flag goes with TN_POOL_SHAREABLE */
    tn_pool_options options = {.size = sizeof options, .flags = TN_POOL_READONLY_EXPORTS};
    FAILS(tn_pool_create(HOST, &options, &pool), TN_ERR_INVALID);
    CHECK(says("TN_POOL_SHAREABLE"));
}

/* Of a pool without the flag, what was exported to be written serves again, and what was exported read-only does not. */
static void ip_7_writers_and_readers(void)
{
    tn_pool *pool = shareable_pool();
    const int files = open_files();
    for (int i = 0; i < 5; i++) {
        tn_array *array = frame(pool, i);
        message m = sent(array, TN_IPC_WRITABLE);
        drop(array);
        close(m.fd);
    }
    CHECK(open_files() == files + 1);
    tn_array *array = frame(pool, 1);
    message m = sent(array, 0);
    close(m.fd);
    drop(array);
    CHECK(open_files() == files && stats_of(pool).reserved_bytes == 0);
    OK(tn_pool_release(pool));
}

/* What a writer can leave behind in a file keeps that file from serving again: seals, and the library's page. */
static void ip_7_changed_files(void)
{
    tn_pool *pool = shareable_pool();
    for (int what = 0; what < 3; what++) {
        tn_array *array = frame(pool, what);
        message m = sent(array, TN_IPC_WRITABLE);
        struct stat file, later;
        CHECK(fstat(m.fd, &file) == 0);
        if (what == 0)
            CHECK(fcntl(m.fd, F_ADD_SEALS, F_SEAL_SEAL) == 0);
        else if (what == 1)
            CHECK(fcntl(m.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
        else {
            const long page = sysconf(_SC_PAGESIZE);
            uint64_t *word = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, file.st_size - page);
            CHECK(word != MAP_FAILED);
            *word = 1;
            munmap(word, (size_t)page);
        }
        close(m.fd);
        drop(array);
        array = frame(pool, 9);
        m = sent(array, TN_IPC_WRITABLE);
        CHECK(fstat(m.fd, &later) == 0 && later.st_ino != file.st_ino);
        close(m.fd);
        drop(array);
        OK(tn_pool_trim(pool, 0, NULL));
    }
    OK(tn_pool_release(pool));
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return other_process();
    const int files = open_files();
    tn_pool_options options = {.size = sizeof options, .name = "frames", .flags = TN_POOL_SHAREABLE | TN_POOL_READONLY_EXPORTS};
    tn_pool *pool = NULL;
    OK(tn_pool_create(HOST, &options, &pool));
    ip_7_frames_have_one_file(pool);
    ip_7_a_reader_keeps_its_frame(pool);
    ip_7_readonly_exports(pool);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
    ip_7_writers_and_readers();
    ip_7_changed_files();
    CHECK(open_files() <= files + 1); /* the copy's */
    return finish();
}
