/*
 * ipc_lock.c - guards that exclude the guards of other processes (IP-9).
 */
#include "processes.h"

#include <sched.h>

/* What the other process is told to do. */
enum { END = 0, READ, WRITE, WRITE_FIRST_HALF, COUNT_UP, LEAVE };

static tn_status open_guard(tn_array *array, int writes, tn_borrow **out)
{
    return writes ? tn_array_borrow_write(array, TN_INTERPROCESS, NULL, NULL, NULL, out)
                  : tn_array_borrow_read(array, TN_INTERPROCESS, NULL, NULL, NULL, out);
}

/* Adds 1 to the first element, so often; each time alone. */
static void count_up(tn_array *array, int times)
{
    for (int i = 0; i < times;) {
        void *data = NULL;
        tn_borrow *guard = NULL;
        const tn_status status = tn_array_borrow_write(array, TN_INTERPROCESS, NULL, &data, NULL, &guard);
        CHECK(status == TN_OK || status == TN_ERR_BORROWED);
        if (status != TN_OK) {
            CHECK(data == NULL && guard == NULL);
            sched_yield();
            continue;
        }
        volatile int64_t *number = data;
        const int64_t before = *number;
        if (i % 16 == 0)
            sched_yield();
        *number = before + 1;
        end(guard);
        i++;
    }
}

/* The other process does what it is told, and answers with the status. */
static int other_process(const char *what)
{
    const int socket = 0;
    message m;
    if (!receive_message(socket, &m))
        return 2;
    tn_array *array = imported(&m, strcmp(what, "reader") == 0 ? 0 : TN_IPC_WRITABLE);
    close(m.fd);
    tn_borrow *guard = NULL;
    for (;;) {
        const int64_t command = hear(socket);
        tn_status status = TN_OK;
        if (command == READ || command == WRITE) {
            status = open_guard(array, command == WRITE, &guard);
        } else if (command == WRITE_FIRST_HALF) {
            tn_array *half = part(array, 0, 500, 1);
            status = open_guard(half, 1, &guard);
            drop(half);
        } else if (command == END) {
            status = tn_borrow_end(guard, 0, NULL);
            guard = NULL;
        } else if (command == COUNT_UP) {
            tell(socket, 0);
            count_up(array, rounds(2000));
        } else {
            break;
        }
        tell(socket, status);
    }
    drop(array);
    return finish();
}

static tn_status ask(process other, int64_t command)
{
    tell(other.socket, command);
    return (tn_status)hear(other.socket);
}

static void leave(process other)
{
    tell(other.socket, LEAVE);
    join(other, 0);
}

/* Sends the array to a new process. */
static process with(tn_array *array, const char *what)
{
    process other = begin(what);
    tn_borrow *hold = NULL;
    message m = exported(array, strcmp(what, "reader") == 0 ? 0 : TN_IPC_WRITABLE, TN_ALIASED, &hold);
    send_message(other.socket, &m);
    close(m.fd);
    end(hold);
    return other;
}

static void ip_9_guards_of_two_processes(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000));
    OK(tn_array_set_name(array, "counter"));
    process other = with(array, "writer");
    tn_borrow *guard = NULL, *second = NULL;
    /* Readers share. */
    CHECK(ask(other, READ) == TN_OK);
    OK(open_guard(array, 0, &guard));
    OK(open_guard(array, 0, &second));
    end(guard);
    FAILS(open_guard(array, 1, &guard), TN_ERR_BORROWED); /* the ledger's, for `second` */
    end(second);
    FAILS(open_guard(array, 1, &guard), TN_ERR_BORROWED);
    CHECK(says("another process reads or writes the bytes of \"counter\""));
    CHECK(ask(other, END) == TN_OK);
    OK(open_guard(array, 1, &guard));
    CHECK(ask(other, READ) == TN_ERR_BORROWED_WRITE && ask(other, WRITE) == TN_ERR_BORROWED);
    end(guard);
    /* Parts of the array that do not overlap. */
    CHECK(ask(other, WRITE_FIRST_HALF) == TN_OK);
    tn_array *first = part(array, 499, 501, 1), *rest = part(array, 500, 1000, 1);
    FAILS(open_guard(first, 0, &guard), TN_ERR_BORROWED_WRITE);
    OK(open_guard(rest, 1, &guard));
    end(guard);
    /* A guard without the flag neither sees nor has a lock. */
    CHECK(try_write(array, 0) == TN_OK);
    /* A writer that failed, and one that is killed, have no lock any more. */
    OK(open_guard(rest, 1, &guard));
    OK(tn_borrow_end(guard, TN_END_FAILED, NULL));
    CHECK(try_read(rest, TN_INTERPROCESS) == TN_ERR_POISONED);
    fill_i64(rest, 1);
    CHECK(ask(other, END) == TN_OK && ask(other, WRITE) == TN_OK);
    CHECK(try_read(array, TN_INTERPROCESS) == TN_ERR_BORROWED_WRITE);
    join(other, 1);
    CHECK(try_write(array, TN_INTERPROCESS) == TN_OK);
    drop(first);
    drop(rest);
    drop(array);
    OK(tn_pool_release(pool));
}

/* No update is lost, however the processes take turns. */
static void ip_9_no_update_is_lost(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000));
    process others[2] = {with(array, "writer"), with(array, "writer")};
    for (int i = 0; i < 2; i++)
        CHECK(ask(others[i], COUNT_UP) == TN_OK);
    count_up(array, rounds(2000));
    for (int i = 0; i < 2; i++) {
        CHECK(hear(others[i].socket) == TN_OK);
        leave(others[i]);
    }
    CHECK(element(array, 0) == 3 * rounds(2000));
    drop(array);
    OK(tn_pool_release(pool));
}

/* A process that may only read excludes writers. */
static void ip_9_readers_of_sealed_memory(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000));
    process other = with(array, "reader");
    CHECK(ask(other, WRITE) == TN_ERR_READONLY && ask(other, READ) == TN_OK);
    CHECK(try_write(array, TN_INTERPROCESS) == TN_ERR_BORROWED && try_read(array, TN_INTERPROCESS) == TN_OK);
    CHECK(ask(other, END) == TN_OK);
    CHECK(try_write(array, TN_INTERPROCESS) == TN_OK);
    leave(other);
    drop(array);
    OK(tn_pool_release(pool));
}

/* A child of fork has its parent's guard, and no lock. */
static void ip_9_a_fork(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000));
    process other = with(array, "writer");
    tn_borrow *guard = NULL;
    OK(open_guard(array, 1, &guard));
    const pid_t child = fork();
    if (child == 0)
        _exit(tn_borrow_end(guard, 0, NULL) == TN_OK ? 0 : 1);
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(ask(other, READ) == TN_ERR_BORROWED_WRITE);
    end(guard);
    CHECK(ask(other, READ) == TN_OK && ask(other, END) == TN_OK);
    leave(other);
    drop(array);
    OK(tn_pool_release(pool));
}

static void ip_9_refusals(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000)), *plain = numbers(NULL, SHAPE(10));
    tn_array *nothing = zeros(pool, TN_I64, SHAPE(0));
    CHECK(try_read(plain, TN_INTERPROCESS) == TN_ERR_UNSUPPORTED && says("TN_POOL_SHAREABLE"));
    CHECK(try_write(plain, TN_INTERPROCESS) == TN_ERR_UNSUPPORTED && why(plain) == 0);
    CHECK(try_write(array, TN_INTERPROCESS | TN_WRITE_COW) == TN_ERR_INVALID && says("TN_WRITE_COW"));
    CHECK(try_write(nothing, TN_INTERPROCESS) == TN_OK);
    tn_borrow *guard = NULL;
    OK(open_guard(array, 1, &guard));
    FAILS(tn_borrow_end(guard, 1u << 30, NULL), TN_ERR_INVALID);
    end(guard);
    FAILS(tn_borrow_end(guard, 0, NULL), TN_ERR_STALE);
    /* A refused write that discards the contents leaves poison as it was. */
    process other = with(array, "writer");
    poison(array);
    CHECK(ask(other, READ) == TN_OK);
    CHECK(try_write(array, TN_INTERPROCESS | TN_WRITE_DISCARD) == TN_ERR_BORROWED);
    CHECK(try_read(array, 0) == TN_ERR_POISONED && ask(other, END) == TN_OK);
    leave(other);
    CHECK(try_write(array, TN_INTERPROCESS | TN_WRITE_DISCARD) == TN_OK && try_read(array, TN_INTERPROCESS) == TN_OK);
    drop(array);
    drop(plain);
    drop(nothing);
    OK(tn_pool_release(pool));
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return other_process(argv[1]);
    const int files = open_files();
    ip_9_refusals();
    ip_9_guards_of_two_processes();
    ip_9_no_update_is_lost();
    ip_9_readers_of_sealed_memory();
    ip_9_a_fork();
    CHECK(open_files() == files);
    return finish();
}
