/*
 * hand_over.c - threads that hand bytes over under ThreadSanitizer, which tests/languages/checkers.rs runs. No race may be reported, except with the
 * argument "race".
 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <sched.h>

enum { ELEMENTS = 1000, ROUNDS = 200 };

static tn_array *shared;
static tn_promise *promises[ROUNDS];
static int64_t unguarded;

static void fill(int64_t *data, int64_t value)
{
    for (int i = 0; i < ELEMENTS; i++)
        data[i] = value;
}

static void check(const int64_t *data, int64_t value)
{
    for (int i = 0; i < ELEMENTS; i++)
        CHECK(data[i] == value);
}

/* A guard of one array after the other: the writer of each round is the thread whose turn the first element says. */
static void take_turns(int64_t own)
{
    for (int64_t done = 0; done < ROUNDS;) {
        tn_borrow *guard = NULL;
        void *bytes = NULL;
        tn_status status = tn_array_borrow_write(shared, TN_WRITE_ALIASED, NULL, &bytes, NULL, &guard);
        if (status == TN_OK) {
            int64_t *data = bytes, turn = data[0];
            check(data, turn);
            if (turn % 2 == own) {
                fill(data, turn + 1);
                done++;
            }
            OK(tn_borrow_end(guard, 0, NULL));
        } else {
            CHECK(status == TN_ERR_BORROWED_WRITE);
        }
        sched_yield();
    }
}

/* Blocks that one thread frees and the other allocates. */
static void use_blocks(tn_pool *pool)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *block = NULL;
        OK(tn_pool_allocate(pool, (size_t)(i % 3 + 1) * 3000, 0, NULL, &block));
        memset(block, i, (size_t)(i % 3 + 1) * 3000);
        OK(tn_pool_deallocate(pool, block, NULL));
        sched_yield();
    }
}

static void *other(void *pool)
{
    take_turns(1);
    use_blocks(pool);
    for (int i = 0; i < ROUNDS; i++) {
        tn_promise *promise;
        while ((promise = __atomic_load_n(&promises[i], __ATOMIC_RELAXED)) == NULL)
            sched_yield();
        tn_array *array = NULL;
        tn_borrow *guard = NULL;
        const void *bytes = NULL;
        OK(tn_take(1, &promise, &array));
        OK(tn_promise_release(promise));
        OK(tn_array_borrow_read(array, 0, NULL, &bytes, NULL, &guard));
        check(bytes, i);
        OK(tn_borrow_end(guard, 0, NULL));
        OK(tn_array_release(array));
    }
    unguarded = 1;
    return NULL;
}

/* The first call of the process, on several threads at once. */
static void *first_call(void *barrier)
{
    tn_pool *pool = NULL;
    pthread_barrier_wait(barrier);
    OK(tn_pool_default((tn_device){TN_CPU, 0}, &pool));
    OK(tn_pool_release(pool));
    return NULL;
}

static void start_together(void)
{
    enum { THREADS = 16 };
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, first_call, &barrier) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_barrier_destroy(&barrier) == 0);
}

int main(int count, char **names)
{
    start_together();
    const int64_t shape[1] = {ELEMENTS};
    tn_pool_options options = {.size = sizeof options, .name = "handed over"};
    tn_pool *pool = NULL;
    pthread_t thread;
    OK(tn_pool_create((tn_device){TN_CPU, 0}, &options, &pool));
    OK(tn_array_zeros(pool, TN_I64, 1, shape, NULL, &shared));
    CHECK(pthread_create(&thread, NULL, other, pool) == 0);
    take_turns(0);
    use_blocks(pool);
    for (int i = 0; i < ROUNDS; i++) {
        tn_array *array = NULL;
        tn_borrow *guard = NULL;
        tn_promise *promise = NULL;
        void *bytes = NULL;
        OK(tn_array_empty(pool, TN_I64, 1, shape, NULL, &array));
        OK(tn_array_borrow_write(array, TN_WRITE_ALIASED, NULL, &bytes, NULL, &guard));
        fill(bytes, i);
        OK(tn_borrow_end(guard, 0, NULL));
        OK(tn_array_give(array, 1, &promise));
        OK(tn_array_release(array));
        __atomic_store_n(&promises[i], promise, __ATOMIC_RELAXED);
    }
    if (count > 1 && strcmp(names[1], "race") == 0)
        unguarded = 3;
    CHECK(pthread_join(thread, NULL) == 0);
    OK(tn_array_release(shared));
    OK(tn_pool_release(pool));
    return finish();
}
