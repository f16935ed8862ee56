/*
 * ipc_reuse.c - memory that other processes had serves later arrays once they have let go (IP-7). A program of its own, because what a
 * process exports to be written decides which files serve again.
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

/* An array that others shall write moves to a new file, if its own had readers before, unless somebody uses it here. */
static void ip_7_writers_get_a_new_file(tn_pool *pool)
{
    tn_array *array = frame(pool, 0), *used = frame(pool, 0), *given = frame(pool, 0);
    close(sent(array, 0).fd), close(sent(used, 0).fd), close(sent(given, 0).fd);
    drop(array), drop(used), drop(given);
    array = frame(pool, 3), used = frame(pool, 4), given = frame(pool, 5);
    const void *first = address(array), *place = address(given);
    message m = sent(array, TN_IPC_WRITABLE);
    int64_t *theirs = mmap(NULL, N * sizeof *theirs, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0);
    close(m.fd);
    CHECK(theirs != MAP_FAILED && theirs[0] == 3 && theirs[N - 1] == 3);
    theirs[1] = 30;
    CHECK(address(array) == first && element(array, 1) == 30 && element(array, 2) == 3);
    munmap(theirs, N * sizeof *theirs);

    tn_borrow *guard = NULL, *hold = NULL;
    OK(tn_array_borrow_read(used, 0, NULL, NULL, NULL, &guard));
    m = (message){.fd = -1};
    FAILS(tn_array_export_ipc(used, TN_IPC_WRITABLE | TN_REQUIRE_BORROW, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL),
          TN_ERR_WOULD_COPY);
    CHECK(says("exported read-only before"));
    end(guard);
    m = sent(used, TN_IPC_WRITABLE);
    close(m.fd);

    OK(tn_array_export_ipc(given, TN_IPC_GIVE, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL));
    tn_array *taken = imported(&m, TN_IPC_GIVE);
    close(m.fd);
    end(hold);
    CHECK(address(taken) == place && element(taken, N - 1) == 5);
    fill_i64(taken, 6);
    CHECK(element(taken, 0) == 6);
    drop(taken);
    drop(given);
    drop(used);
    drop(array);
}

/* From then on what was exported to be written serves again, and what was exported read-only does not. */
static void ip_7_files_without_writers_go(tn_pool *pool)
{
    OK(tn_pool_trim(pool, 0, NULL));
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
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return other_process();
    const int files = open_files();
    tn_pool *pool = shareable_pool();
    ip_7_frames_have_one_file(pool);
    ip_7_a_reader_keeps_its_frame(pool);
    ip_7_writers_get_a_new_file(pool);
    ip_7_files_without_writers_go(pool);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
    CHECK(open_files() == files);
    return finish();
}
