/*
 * ipc_offer.c - arrays that one process gives another (IP-8): one process at most uses the bytes, whoever dies when.
 */
#include "processes.h"
#include <sys/ptrace.h>

/* The exit status of a process that the system lets nobody trace. */
enum { NOT_TRACED = 77 };

/* ---- the other process ---- */
/* Says how the import of a message ended. */
static tn_status take_offer(const message *m, tn_array **out)
{
    tn_how how = 99;
    const tn_status status = tn_array_import_ipc(m->descriptor, m->bytes, m->fd, TN_IPC_GIVE, out, &how);
    CHECK(status != TN_OK || how == TN_ALIASED);
    return status;
}

/* Offers an array to the process behind a socket. */
static void offer_to(int socket, tn_array *array, tn_borrow **hold)
{
    message m = exported(array, TN_IPC_GIVE, TN_ALIASED, hold);
    send_message(socket, &m);
    close(m.fd);
}

static int other_process(const char *what)
{
    const int socket = 0;
    message m;
    tn_array *array = NULL;
    tn_borrow *hold = NULL;
    if (strncmp(what, "traced ", 7) == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            return NOT_TRACED;
        raise(SIGSTOP);
        what += 7;
    }
    if (strcmp(what, "offer and end") == 0) {
        array = numbers(shareable_pool(), SHAPE(1000));
        m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
        send_message(socket, &m);
        return 0;
    }
    if (strcmp(what, "offer") == 0) {
        /* Offers an array, and is killed. */
        array = numbers(shareable_pool(), SHAPE(1000));
        m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
        send_message(socket, &m);
        for (;;)
            pause();
    }
    if (!receive_message(socket, &m))
        return 2;
    if (strcmp(what, "look") == 0) {
        /* Has the offer, and does not take it until it is told to. */
        tell(socket, 1);
        if (hear(socket) == 0)
            return finish();
    }
    const tn_status status = take_offer(&m, &array);
    close(m.fd);
    tell(socket, status);
    if (status == TN_OK && strcmp(what, "give back") == 0) {
        /* It is this process's array as if it had been made here: no other holder, and no reason for a copy. */
        CHECK(why(array) == 0);
        CHECK(strstr(info_of(array).name, "(process ") != NULL);
        fill_i64(array, 5);
        offer_to(socket, array, &hold);
        CHECK(hear(socket) == 1);
        end(hold);
        CHECK(try_read(array, 0) == TN_ERR_DESTRUCTED);
    }
    if (status == TN_OK && strcmp(what, "stay") == 0)
        for (;;)
            pause();
    if (array != NULL)
        drop(array);
    return finish();
}

/* ---- rows ---- */
static void ip_8_given_and_given_back(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(10, 10)), *back = NULL;
    tn_borrow *hold = NULL;
    process other = begin("give back");
    message m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
    /* Nobody uses the array meanwhile. */
    CHECK(try_read(array, 0) == TN_ERR_EXPORTED && try_write(array, 0) == TN_ERR_EXPORTED);
    CHECK(try_write(array, TN_WRITE_DISCARD) == TN_ERR_EXPORTED);
    CHECK(says("is offered to another process") && says("; end the offer with tn_borrow_end") && !says("TN_WRITE_COW"));
    send_message(other.socket, &m);
    close(m.fd);
    CHECK(hear(other.socket) == TN_OK);
    end(hold);
    CHECK(try_read(array, 0) == TN_ERR_DESTRUCTED && says("another process"));
    CHECK(live_bytes(pool) == 0); /* the memory is the other process's */
    CHECK(receive_message(other.socket, &m));
    OK(take_offer(&m, &back));
    close(m.fd);
    tell(other.socket, 1);
    join(other, 0);
    CHECK(element(back, 0) == 5 && element(back, 99) == 5);
    CHECK(why(back) == 0);
    fill_i64(back, 6);
    drop(back);
    drop(array);
    OK(tn_pool_release(pool));
}

static void ip_8_an_offer_that_ends(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(100)), *late = NULL;
    tn_borrow *hold = NULL;
    message m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
    end(hold);
    CHECK(element(array, 99) == 99);
    fill_i64(array, 3);
    FAILS(take_offer(&m, &late), TN_ERR_DESTRUCTED);
    CHECK(late == NULL && says("offer"));
    /* The next offer is another one: the old descriptor does not take it. */
    message again = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
    FAILS(take_offer(&m, &late), TN_ERR_DESTRUCTED);
    process other = begin("take");
    send_message(other.socket, &again);
    CHECK(hear(other.socket) == TN_OK);
    join(other, 0);
    /* It was taken once. */
    FAILS(take_offer(&again, &late), TN_ERR_DESTRUCTED);
    close(m.fd);
    close(again.fd);
    end(hold);
    CHECK(try_read(array, 0) == TN_ERR_DESTRUCTED);
    drop(array);
    OK(tn_pool_release(pool));
}

/* Either side is killed, before and after the array is taken. */
static void ip_8_deaths(void)
{
    tn_pool *pool = shareable_pool();
    for (int i = 0; i < kills(); i++) {
        tn_array *array = numbers(pool, SHAPE(1000)), *taken = NULL;
        tn_borrow *hold = NULL;
        process other = begin(i % 2 ? "stay" : "look");
        offer_to(other.socket, array, &hold);
        CHECK(hear(other.socket) == (i % 2 ? TN_OK : 1));
        join(other, 1);
        end(hold);
        if (i % 2)
            CHECK(try_read(array, 0) == TN_ERR_DESTRUCTED);
        else
            CHECK(element(array, 999) == 999); /* live again */
        drop(array);
        other = begin("offer");
        message m;
        CHECK(receive_message(other.socket, &m));
        join(other, 1);
        OK(take_offer(&m, &taken));
        CHECK(element(taken, 999) == 999 && why(taken) == 0);
        close(m.fd);
        drop(taken);
    }
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

/* The receiver is killed at any time: it has taken the array, or the giver has it again. */
static void ip_8_death_at_any_time(void)
{
    tn_pool *pool = shareable_pool();
    unsigned seed = 1;
    for (int i = 0; i < kills(); i++) {
        tn_array *array = numbers(pool, SHAPE(1000));
        tn_borrow *hold = NULL;
        process other = begin("stay");
        offer_to(other.socket, array, &hold);
        seed = seed * 1103515245 + 12345;
        usleep(seed / 65536 % 6000);
        join(other, 1);
        end(hold);
        const tn_status status = try_read(array, 0);
        CHECK(status == TN_OK || status == TN_ERR_DESTRUCTED);
        drop(array);
    }
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

/* Lets a process that begins with "traced" make so many system calls, and kills it. 1: it had ended before. -1: it cannot be traced. */
static int killed_after(int calls, process other)
{
    int status = 0;
    CHECK(waitpid(other.pid, &status, 0) == other.pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_TRACED)
        return -1;
    CHECK(WIFSTOPPED(status));
    for (int stop = 0; stop < 2 * calls && WIFSTOPPED(status); stop++) /* one at the beginning of each call, one at its end */
        CHECK(ptrace(PTRACE_SYSCALL, other.pid, NULL, NULL) == 0 && waitpid(other.pid, &status, 0) == other.pid);
    if (WIFEXITED(status)) {
        CHECK(WEXITSTATUS(status) == 0);
        return 1;
    }
    CHECK(kill(other.pid, SIGKILL) == 0 && waitpid(other.pid, &status, 0) == other.pid && WIFSIGNALED(status));
    return 0;
}

static void ip_8_a_taker_dies_after_each_system_call(void)
{
    tn_pool *pool = shareable_pool();
    int back = 0, taken = 0;
    for (int calls = 0, ended = 0; ended == 0; calls++) {
        tn_array *array = numbers(pool, SHAPE(1000));
        tn_borrow *hold = NULL;
        process other = begin("traced take");
        offer_to(other.socket, array, &hold);
        ended = killed_after(calls, other);
        int64_t said = -1;
        const int is_told = recv(other.socket, &said, sizeof said, MSG_DONTWAIT) == sizeof said;
        close(other.socket);
        end(hold);
        const tn_status status = try_read(array, 0);
        CHECK(status == TN_OK ? element(array, 999) == 999 : status == TN_ERR_DESTRUCTED);
        CHECK(!is_told || (said == TN_OK && status == TN_ERR_DESTRUCTED));
        back += status == TN_OK;
        taken += status != TN_OK;
        drop(array);
        if (ended < 0)
            taken = back = 1;
    }
    CHECK(back > 0 && taken > 0 && live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static void ip_8_a_giver_dies_after_each_system_call(void)
{
    int without = 0, taken = 0;
    for (int calls = 0, ended = 0; ended == 0; calls++) {
        process other = begin("traced offer and end");
        ended = killed_after(calls, other);
        message m;
        tn_array *array = NULL;
        if (ended < 0 || !receive_message(other.socket, &m))
            without++;
        else {
            taken++;
            OK(take_offer(&m, &array));
            CHECK(element(array, 999) == 999 && why(array) == 0);
            fill_i64(array, 1);
            drop(array);
            close(m.fd);
        }
        close(other.socket);
        if (ended < 0)
            taken = 1;
    }
    CHECK(without > 0 && taken > 0);
}

/* At each step of an offer and of its taking there may be no descriptor: a status that names the limit, and nothing has changed. */
static void ip_8_descriptors_run_out(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(1000)), *taken = NULL;
    struct rlimit before, few;
    message m = {.fd = -1};
    tn_borrow *hold = NULL;
    tn_how how = 99;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int files = open_files();
    for (int step = 0; step < 2; step++) {
        int refused = 0;
        tn_status status = TN_ERR_IO;
        for (int limit = 1; status != TN_OK && limit < 64; limit++) {
            few = before;
            few.rlim_cur = (rlim_t)limit;
            CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
            status = step == 0 ? tn_array_export_ipc(array, TN_IPC_GIVE, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, &how)
                               : tn_array_import_ipc(m.descriptor, m.bytes, m.fd, TN_IPC_GIVE, &taken, &how);
            CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
            if (status == TN_OK)
                break;
            refused++;
            CHECK(says("see ulimit -n)") && how == 99 && taken == NULL);
            CHECK(step == 0 ? open_files() == files && hold == NULL && element(array, 999) == 999
                            : try_read(array, 0) == TN_ERR_EXPORTED);
        }
        CHECK(status == TN_OK && (step == 1 || refused > 0));
        how = 99;
    }
    close(m.fd);
    end(hold);
    CHECK(try_read(array, 0) == TN_ERR_DESTRUCTED && element(taken, 999) == 999);
    drop(array);
    drop(taken);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

/* Two processes and the giver run for the array: one of them has it. */
static void ip_8_one_wins(void)
{
    tn_pool *pool = shareable_pool();
    int here = 0;
    for (int i = 0; i < rounds(50); i++) {
        tn_array *array = numbers(pool, SHAPE(10));
        tn_borrow *hold = NULL;
        process others[2] = {begin("look"), begin("look")};
        message m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
        for (int k = 0; k < 2; k++) {
            send_message(others[k].socket, &m);
            CHECK(hear(others[k].socket) == 1);
        }
        close(m.fd);
        for (int k = 0; k < 2; k++)
            tell(others[k].socket, 1);
        if (i % 2)
            usleep((useconds_t)(i * 37 % 500));
        end(hold);
        const tn_status mine = try_read(array, 0);
        CHECK(mine == TN_OK || mine == TN_ERR_DESTRUCTED);
        int owners = mine == TN_OK;
        here += owners;
        for (int k = 0; k < 2; k++) {
            const int64_t status = hear(others[k].socket);
            CHECK(status == TN_OK || status == TN_ERR_DESTRUCTED);
            owners += status == TN_OK;
            join(others[k], 0);
        }
        CHECK(owners == 1);
        drop(array);
    }
    (void)here;
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static void ip_8_refusals(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(100)), *elsewhere = numbers(NULL, SHAPE(100)), *other = NULL;
    tn_borrow *hold = NULL, *guard = NULL;
    message m = {.fd = -1};
#define GIVE(array) tn_array_export_ipc(array, TN_IPC_GIVE, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, &hold, NULL)
    OK(tn_array_clone(array, &other));
    FAILS(GIVE(array), TN_ERR_SHARED);
    drop(other);
    OK(tn_array_borrow_read(array, 0, NULL, NULL, NULL, &guard));
    FAILS(GIVE(array), TN_ERR_BORROWED);
    end(guard);
    FAILS(GIVE(elsewhere), TN_ERR_WOULD_COPY);
    CHECK(says("TN_POOL_SHAREABLE") && m.fd == -1);
    /* An offer is taken by an import that says so, and a shared array is not. */
    m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
    FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, 0, &other, NULL), TN_ERR_GIVEN);
    CHECK(says("TN_IPC_GIVE"));
    FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, TN_IPC_WRITABLE, &other, NULL), TN_ERR_GIVEN);
    FAILS(tn_borrow_end(hold, 1u << 20, NULL), TN_ERR_INVALID);
    CHECK(says("0x100000") && try_read(array, 0) == TN_ERR_EXPORTED);
    end(hold);
    close(m.fd);
    m = exported(array, TN_IPC_WRITABLE, TN_ALIASED, &hold);
    FAILS(tn_array_import_ipc(m.descriptor, m.bytes, m.fd, TN_IPC_GIVE, &other, NULL), TN_ERR_INVALID);
    close(m.fd);
    end(hold);
    /* After an export another process may have the bytes. */
    m.fd = -1;
    FAILS(GIVE(array), TN_ERR_WOULD_COPY);
    CHECK(says("another process may have the bytes") && m.fd == -1);
    CHECK(element(array, 5) == 5 && try_write(array, 0) == TN_OK);
    drop(array);
    drop(elsewhere);
    OK(tn_pool_release(pool));
#undef GIVE
}

/* Handles that were made while the array was offered keep the offer open. */
static void ip_8_other_holders(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(100)), *clone = NULL;
    tn_borrow *hold = NULL;
    process other = begin("take");
    message m = exported(array, TN_IPC_GIVE, TN_ALIASED, &hold);
    OK(tn_array_clone(array, &clone));
    send_message(other.socket, &m);
    close(m.fd);
    CHECK(hear(other.socket) == TN_OK);
    FAILS(tn_borrow_end(hold, 0, NULL), TN_ERR_SHARED);
    CHECK(says("release"));
    CHECK(try_read(clone, 0) == TN_ERR_EXPORTED && try_read(array, 0) == TN_ERR_EXPORTED);
    drop(clone);
    end(hold);
    CHECK(try_read(array, 0) == TN_ERR_DESTRUCTED);
    CHECK(tn_borrow_end(hold, 0, NULL) == TN_ERR_STALE);
    drop(array);
    join(other, 0);
    /* The handle may be released first. */
    array = numbers(pool, SHAPE(100));
    other = begin("take");
    offer_to(other.socket, array, &hold);
    drop(array);
    CHECK(hear(other.socket) == TN_OK);
    CHECK(live_bytes(pool) > 0);
    end(hold);
    CHECK(live_bytes(pool) == 0);
    join(other, 0);
    OK(tn_pool_release(pool));
}

/* The giver takes the array itself; a view is given; an array without elements is given. */
static void ip_8_the_same_process(void)
{
    tn_pool *pool = shareable_pool();
    tn_array *array = numbers(pool, SHAPE(100)), *view = NULL, *taken = NULL;
    tn_borrow *hold = NULL;
    OK(tn_array_slice(array, 1, (tn_slice_spec[]){TN_SLICE(10, 20, 1)}, &view));
    drop(array);
    const void *there = address(view);
    message m = exported(view, TN_IPC_GIVE, TN_ALIASED, &hold);
    OK(take_offer(&m, &taken));
    close(m.fd);
    CHECK(try_read(taken, 0) == TN_ERR_EXPORTED);
    end(hold);
    CHECK(try_read(view, 0) == TN_ERR_DESTRUCTED && address(taken) == there && element(taken, 0) == 10);
    CHECK(why(taken) == 0);
    drop(view);
    fill_i64(taken, 1);
    drop(taken);
    CHECK(live_bytes(pool) == 0);
    tn_array *empty = zeros(pool, TN_F64, SHAPE(0, 5));
    process other = begin("take");
    offer_to(other.socket, empty, &hold);
    CHECK(hear(other.socket) == TN_OK);
    join(other, 0);
    end(hold);
    CHECK(try_read(empty, 0) == TN_ERR_DESTRUCTED);
    drop(empty);
    OK(tn_pool_release(pool));
}

/* What was imported is exported again without a copy, and a second import of the same memory is the same array. */
static void ip_6_passed_on(void)
{
    process other = begin("offer");
    message m;
    CHECK(receive_message(other.socket, &m));
    tn_array *taken = NULL, *twice = NULL;
    tn_borrow *hold = NULL;
    OK(take_offer(&m, &taken));
    close(m.fd);
    join(other, 1);
    m = exported(taken, TN_IPC_WRITABLE | TN_REQUIRE_BORROW, TN_ALIASED, &hold);
    twice = imported(&m, TN_IPC_WRITABLE);
    close(m.fd);
    end(hold);
    CHECK(address(twice) == address(taken));
    CHECK((why(taken) & TN_WHY_SHARED) != 0);
    drop(taken);
    drop(twice);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return other_process(argv[1]);
    const int files = open_files();
    ip_8_given_and_given_back();
    ip_8_an_offer_that_ends();
    ip_8_deaths();
    ip_8_death_at_any_time();
    if (!is_watched()) { /* a checker makes system calls of its own */
        ip_8_a_taker_dies_after_each_system_call();
        ip_8_a_giver_dies_after_each_system_call();
        ip_8_descriptors_run_out();
    }
    ip_8_one_wins();
    ip_8_refusals();
    ip_8_other_holders();
    ip_8_the_same_process();
    ip_6_passed_on();
    CHECK(open_files() == files);
    return finish();
}
