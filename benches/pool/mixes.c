/*
 * mixes.c - two larger mixes (bars T26, T28, T30).
 *
 *     mixes.server   eight threads that begin and end: requests of mixed small sizes freed in reverse order. Some blocks are kept in a
 *                    session and replaced at random; some are freed by another thread. ns per block, all threads together
 *     mixes.arrays   one thread: arrays of 1 KiB to 64 MiB, log-uniform, every page touched, most freed in reverse order. ns per array
 *
 * and of the arrays, `.resident`: the largest ratio of resident to live bytes, and `.longest`: the time that 99.9 % of the calls stay below, ns.
 */
#define _GNU_SOURCE
#include "allocator.h"
#include "harness.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TURNS = 3 };

static int turns(void)
{
    return how_long == FULL ? MOST_TURNS : how_long == QUICK ? 2 : 1;
}

/* ---- server ---- */
enum { THREADS = 8, SESSION = 2000, MAILBOXES = 256, REQUEST = 48 };

typedef struct server {
    pthread_t thread;
    uint64_t random;
    uint64_t blocks;
    void *session[SESSION];
} server;

static server servers[THREADS];
static _Atomic(void *) mailboxes[MAILBOXES];
static int requests;

/* Mostly small; one in a hundred is large. */
static void *some_block(server *me)
{
    size_t size = me->blocks % 100 == 99 ? log_uniform(&me->random, 64 << 10, 512 << 10) : log_uniform(&me->random, 16, 8192);
    char *block = allocate_block(size);
    memset(block, 1, size < 64 ? size : 64);
    me->blocks++;
    return block;
}

static void *serve(void *context)
{
    server *me = context;
    void *request[REQUEST];
    allocator_enter();
    for (int turn = 0; turn < requests; turn++) {
        size_t many = uniform(&me->random, 8, REQUEST);
        for (size_t i = 0; i < many; i++) {
            request[i] = some_block(me);
        }
        /* One block stays in the session and replaces another. */
        void **place = &me->session[uniform(&me->random, 0, SESSION - 1)];
        if (*place != NULL) {
            free_block(*place);
        }
        *place = request[--many];
        /* Two blocks go to another thread, and the blocks found there are freed here. */
        for (int i = 0; i < 2; i++) {
            void *theirs = atomic_exchange(&mailboxes[uniform(&me->random, 0, MAILBOXES - 1)], request[--many]);
            if (theirs != NULL) {
                free_block(theirs);
            }
        }
        while (many > 0) {
            free_block(request[--many]);
        }
    }
    allocator_leave();
    return NULL;
}

static void run_server(void)
{
    double samples[MOST_TURNS];
    requests = how_long == FULL ? 4000 : how_long == QUICK ? 2000 : 50;
    for (int turn = 0; turn < turns(); turn++) {
        double start = now_ns();
        for (int i = 0; i < THREADS; i++) {
            servers[i].random = 0x9E3779B97F4A7C15u * (uint64_t)(i + 1);
            servers[i].blocks = 0;
            pthread_create(&servers[i].thread, NULL, serve, &servers[i]);
        }
        uint64_t blocks = 0;
        for (int i = 0; i < THREADS; i++) {
            pthread_join(servers[i].thread, NULL);
            blocks += servers[i].blocks;
        }
        samples[turn] = (now_ns() - start) / (double)blocks;
    }
    /* A thread that allocated none of the sessions' blocks frees them. */
    for (int i = 0; i < THREADS; i++) {
        for (int k = 0; k < SESSION; k++) {
            if (servers[i].session[k] != NULL) {
                free_block(servers[i].session[k]);
                servers[i].session[k] = NULL;
            }
        }
    }
    for (int i = 0; i < MAILBOXES; i++) {
        void *left = atomic_exchange(&mailboxes[i], NULL);
        if (left != NULL) {
            free_block(left);
        }
    }
    print_samples("mixes.server", samples, turns());
}

/* ---- arrays ---- */
enum { DEPTH = 400, STEPS = 300 };
static const size_t most_live = 512u << 20;

static void run_arrays(void)
{
    static struct {
        char *block;
        size_t size;
    } stack[DEPTH];
    double samples[MOST_TURNS];
    /* An allocation and a free for each step of each turn. */
    static double calls[2 * STEPS * MOST_TURNS];
    size_t called = 0;
    double worst = 0;
    size_t base = resident();
    const size_t high = how_long == TINY ? 1 << 20 : 64 << 20;
    for (int turn = 0; turn < turns(); turn++) {
        uint64_t random = 0xA0761D6478BD642Fu;
        size_t live = 0, depth = 0;
        double paused = 0, start = now_ns();
        for (int step = 0; step < STEPS; step++) {
            size_t size = log_uniform(&random, 1024, high);
            /* A stack-like load: a few arrays are made, about as many of the last ones are freed; one in ten is an older one. */
            while (depth > 0 && (live + size > most_live || depth == DEPTH || uniform(&random, 0, 99) < 48)) {
                size_t at = uniform(&random, 0, 9) == 0 ? uniform(&random, 0, depth - 1) : depth - 1;
                live -= stack[at].size;
                double freed = now_ns();
                free_block(stack[at].block);
                calls[called++] = now_ns() - freed;
                memmove(&stack[at], &stack[at + 1], (depth - at - 1) * sizeof *stack);
                depth--;
            }
            double asked = now_ns();
            stack[depth].block = allocate_block(size);
            calls[called++] = now_ns() - asked;
            stack[depth].size = size;
            touch(stack[depth++].block, size);
            live += size;
            if (turn == 0 && step % 20 == 19 && live > most_live / 4) {
                double looked = now_ns();
                double ratio = (double)(resident() - base) / (double)live;
                worst = ratio > worst ? ratio : worst;
                paused += now_ns() - looked;
            }
        }
        while (depth > 0) {
            double freed = now_ns();
            free_block(stack[--depth].block);
            calls[called++] = now_ns() - freed;
        }
        samples[turn] = (now_ns() - start - paused) / STEPS;
    }
    print_samples("mixes.arrays", samples, turns());
    print("mixes.arrays.resident", worst, worst);
    qsort(calls, called, sizeof *calls, ascending);
    double longest = calls[called - 1 - called / 1000];
    print("mixes.arrays.longest", longest, longest);
}

void mix_cases(bool backwards)
{
    for (int i = 0; i < 2; i++) {
        if ((i == 0) != backwards && wanted("mixes.server")) {
            run_server();
        }
        if ((i == 0) == backwards && wanted("mixes.arrays")) {
            pin(0);
            run_arrays();
            unpin();
        }
    }
}
