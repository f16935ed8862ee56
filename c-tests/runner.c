/*
 * runner.c - large copies on the caller's threads (TR-2, TR-3, TR-4, TR-16, PH-15): the resulting bytes do not depend on the runner.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

#define MOST 4

typedef struct {
    tn_task task;
    void *argument;
    size_t index;
} job;

typedef struct {
    int calls;
    size_t tasks;
} seen;

static void *work(void *context)
{
    job *mine = context;
    mine->task(mine->argument, mine->index);
    return NULL;
}

/* A runner with one thread per task. */
static void on_threads(void *context, tn_task task, void *argument, size_t count)
{
    pthread_t threads[MOST];
    job jobs[MOST];
    seen *counts = context;
    CHECK(count >= 1 && count <= MOST);
    counts->calls++;
    counts->tasks += count;
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (job){task, argument, i};
        CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* A runner that returns an error. */
static void on_nobody(void *context, tn_task task, void *argument, size_t count)
{
    (void)task, (void)argument, (void)count;
    ((seen *)context)->calls++;
}

static void use(tn_run_callback run, seen *counts, size_t threads, size_t least_bytes)
{
    *counts = (seen){0, 0};
    tn_runner runner = {sizeof runner, run, counts, threads, least_bytes};
    OK(tn_runner_set_current(&runner));
}

static const int64_t *bytes_of(tn_array *array, tn_borrow **guard)
{
    const void *data;
    OK(tn_array_borrow_read(array, 0, NULL, &data, NULL, guard));
    return data;
}

#define ROWS    520
#define COLUMNS 640
/* The calls of `copies_alike` that are divided: the source from raw memory, three copies, the fill. */
#define LARGE 5

/* Copies in every shape, with the current runner and without one. */
static void copies_alike(void)
{
    tn_array *source = numbers(NULL, SHAPE(ROWS, COLUMNS)), *turned, *reversed, *dense = zeros(NULL, TN_I64, SHAPE(ROWS, COLUMNS));
    tn_array *columns = zeros(NULL, TN_I64, SHAPE(COLUMNS, ROWS)), *rows = zeros(NULL, TN_I64, SHAPE(ROWS, COLUMNS)), *half;
    OK(tn_array_transpose(source, &turned));
    OK(tn_array_slice(source, 2, (tn_slice_spec[]){TN_SLICE(TN_NONE, TN_NONE, -1), TN_SLICE(TN_NONE, TN_NONE, -1)}, &reversed));
    OK(tn_array_slice(dense, 2, (tn_slice_spec[]){TN_SLICE(TN_NONE, TN_NONE, 1), TN_SLICE(0, TN_NONE, 2)}, &half));
    OK(tn_array_copy_into(turned, columns, 0, NULL));
    OK(tn_array_copy_into(reversed, rows, 0, NULL));
    OK(tn_array_copy_into(source, dense, 0, NULL));
    tn_borrow *guards[3];
    const int64_t *c = bytes_of(columns, &guards[0]), *r = bytes_of(rows, &guards[1]), *d = bytes_of(dense, &guards[2]);
    int64_t wrong = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t k = 0; k < COLUMNS; k++) {
            int64_t value = i * COLUMNS + k;
            wrong += c[k * ROWS + i] != value;
            wrong += r[(ROWS - 1 - i) * COLUMNS + COLUMNS - 1 - k] != value;
            wrong += d[value] != value;
        }
    }
    CHECK(wrong == 0);
    for (int i = 0; i < 3; i++) {
        OK(tn_borrow_end(guards[i], 0, NULL));
    }
    /* Every second column is overwritten, and the columns between are unchanged. */
    int64_t seven = 7;
    OK(tn_array_fill(half, &seven, 0, NULL));
    d = bytes_of(dense, &guards[0]);
    for (int64_t i = 0; i < (int64_t)ROWS * COLUMNS; i++) {
        wrong += d[i] != (i % 2 == 0 ? 7 : i);
    }
    CHECK(wrong == 0);
    OK(tn_borrow_end(guards[0], 0, NULL));
    /* Overlapping: as if the source had been read first. */
    tn_array *front, *back;
    OK(tn_array_slice(source, 1, (tn_slice_spec[]){TN_SLICE(0, -1, 1)}, &front));
    OK(tn_array_slice(source, 1, (tn_slice_spec[]){TN_SLICE(1, TN_NONE, 1)}, &back));
    OK(tn_array_copy_into(front, back, 0, NULL));
    d = bytes_of(source, &guards[0]);
    for (int64_t i = COLUMNS; i < (int64_t)ROWS * COLUMNS; i++) {
        wrong += d[i] != i - COLUMNS;
    }
    CHECK(wrong == 0);
    OK(tn_borrow_end(guards[0], 0, NULL));
    tn_array *all[] = {front, back, half, rows, columns, dense, reversed, turned, source};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        drop(all[i]);
    }
}

static void the_bytes_are_the_same_whoever_copies(void) /* TR-2, TR-3, TR-4, TR-16 */
{
    seen counts;
    OK(tn_runner_set_current(NULL));
    copies_alike();
    for (size_t threads = 2; threads <= MOST; threads += 2) {
        use(on_threads, &counts, threads, 0);
        copies_alike();
        CHECK(counts.calls == LARGE && counts.tasks <= LARGE * threads && counts.tasks > LARGE);
    }
    use(on_nobody, &counts, 3, 0);
    copies_alike();
    CHECK(counts.calls == LARGE);
    OK(tn_runner_set_current(NULL));
}

static void only_large_copies_are_divided(void)
{
    seen counts;
    tn_array *a = numbers(NULL, SHAPE(1 << 16)), *b = zeros(NULL, TN_I64, SHAPE(1 << 16)); /* 512 KiB */
    use(on_threads, &counts, 2, 0);
    OK(tn_array_copy_into(a, b, 0, NULL));
    CHECK(counts.calls == 0);
    use(on_threads, &counts, 2, 512 << 10);
    OK(tn_array_copy_into(a, b, 0, NULL));
    CHECK(counts.calls == 1 && counts.tasks == 2);
    use(on_threads, &counts, 1, 1);
    OK(tn_array_copy_into(a, b, 0, NULL));
    CHECK(counts.calls == 0);
    OK(tn_runner_set_current(NULL));
    drop(a);
    drop(b);
}

static void *finds_none(void *context)
{
    tn_runner runner = {.size = sizeof runner, .threads = 99};
    OK(tn_runner_current(&runner));
    CHECK(runner.run == NULL && runner.threads == 0);
    return context;
}

static void a_runner_is_its_threads_and_can_be_put_back(void)
{
    seen counts;
    tn_runner before = {.size = sizeof before}, now = {.size = sizeof now}, small = {.size = 8};
    use(on_threads, &counts, 3, 12345678);
    OK(tn_runner_current(&before));
    CHECK(before.run == on_threads && before.context == &counts && before.threads == 3 && before.least_bytes == 12345678);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, finds_none, NULL) == 0 && pthread_join(thread, NULL) == 0);
    OK(tn_runner_set_current(NULL));
    OK(tn_runner_current(&now));
    CHECK(now.run == NULL);
    OK(tn_runner_set_current(&before));
    FAILS(tn_runner_set_current(&small), TN_ERR_INVALID);
    FAILS(tn_runner_current(&small), TN_ERR_INVALID);
    FAILS(tn_runner_current(NULL), TN_ERR_NULL);
    OK(tn_runner_current(&now));
    CHECK(now.run == on_threads && now.context == &counts);
    now.run = NULL;
    OK(tn_runner_set_current(&now));
    OK(tn_runner_current(&before));
    CHECK(before.run == NULL);
    OK(tn_runner_set_current(NULL));
}

int main(void)
{
    the_bytes_are_the_same_whoever_copies();
    only_large_copies_are_divided();
    a_runner_is_its_threads_and_can_be_put_back();
    return finish();
}
