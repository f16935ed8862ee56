/*
 * main.c - two processes work on the same arrays, without a copy.
 *
 * The program starts itself again as a worker, with a socket as its standard input. It sends a table, which the worker may only read, and a
 * row of results, which both may write.
 */
#define _POSIX_C_SOURCE 200809L
#include "transport.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 4, COLUMNS = 1000000 };

static void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "%s: %s\n", tn_status_name(status), tn_last_error());
    exit(1);
}

/* The worker: adds up each row. */
static int work(int socket)
{
    tn_array *table = NULL, *sums = NULL;
    tn_borrow *reading = NULL, *writing = NULL;
    const void *read_only = NULL;
    void *writable = NULL;
    must(receive_array(socket, 0, &table));
    must(receive_array(socket, TN_IPC_WRITABLE, &sums));
    must(tn_array_borrow_read(table, 0, NULL, &read_only, NULL, &reading));
    must(tn_array_borrow_write(sums, 0, NULL, &writable, NULL, &writing));
    const double *values = read_only;
    double *to = writable;
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++)
            to[row] += values[row * COLUMNS + column];
    must(tn_borrow_end(writing, 0, NULL));
    must(tn_borrow_end(reading, 0, NULL));
    if (tn_array_borrow_write(table, 0, NULL, NULL, NULL, &writing) == TN_ERR_READONLY)
        printf("worker: the table is read-only here\n");
    must(tn_array_release(table));
    must(tn_array_release(sums));
    return 0;
}

int main(int argc, char **argv)
{
    extern char **environ;
    if (argc > 1)
        return work(0);
    const int64_t shape[2] = {ROWS, COLUMNS}, rows = ROWS;
    tn_pool_options options = {.size = sizeof options, .name = "shared", .flags = TN_POOL_SHAREABLE};
    tn_pool *pool = NULL;
    tn_array *table = NULL, *sums = NULL;
    const double half = 0.5;
    must(tn_pool_create((tn_device){TN_CPU, 0}, &options, &pool));
    must(tn_array_full(pool, TN_F64, 2, shape, &half, NULL, &table));
    must(tn_array_zeros(pool, TN_F64, 1, &rows, NULL, &sums));

    int sockets[2], status = 0;
    pid_t worker = 0;
    posix_spawn_file_actions_t actions;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) != 0)
        return 1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, sockets[1], 0);
    posix_spawn_file_actions_addclose(&actions, sockets[0]);
    if (posix_spawn(&worker, argv[0], &actions, NULL, (char *[]){argv[0], "worker", NULL}, environ) != 0)
        return 1;
    posix_spawn_file_actions_destroy(&actions);
    close(sockets[1]);

    must(send_array(sockets[0], table, TN_REQUIRE_BORROW));
    must(send_array(sockets[0], sums, TN_REQUIRE_BORROW | TN_IPC_WRITABLE));
    waitpid(worker, &status, 0);
    double results[ROWS];
    must(tn_array_copy_to_host(sums, results, NULL, NULL));
    printf("the worker's sums: %.0f %.0f %.0f %.0f\n", results[0], results[1], results[2], results[3]);
    size_t sites = 0;
    must(tn_copies_query(sizeof(tn_copy_site), 0, NULL, &sites));
    printf("copies at the border: %zu\n", sites);
    close(sockets[0]);
    must(tn_array_release(table));
    must(tn_array_release(sums));
    must(tn_pool_release(pool));
    return status;
}

/* It prints:
worker: the table is read-only here
the worker's sums: 500000 500000 500000 500000
copies at the border: 0
*/
