/*
 * pinned_pipeline.c - double buffering: while the device transposes one matrix, it receives the next and returns the last.
 *
 * Each of two slots has a stream and page-locked memory. The program records no event: a guard with TN_WAIT waits for exactly the work
 * that still uses its bytes, and a stream waits for the other one if both use an array.
 *
 * gcc pinned_pipeline.c -I target/dist/include -L target/dist/lib -ltenure -Wl,-rpath,$PWD/target/dist/lib
 */
#include "tenure.h"
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 128, BATCHES = 10, SLOTS = 2 };
static const tn_device GPU = {TN_CUDA, 0}, PINNED = {TN_CUDA_HOST, 0};

static void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "%s: %s\n", tn_status_name(status), tn_last_error());
    exit(1);
}

struct slot { tn_array *in, *out, *there, *turned, *done; tn_stream *stream; };

/* Checks that the elements of the transposed batch n are in their places. */
static int is_right(tn_array *out, int n)
{
    const void *data = NULL;
    tn_borrow *guard = NULL;
    must(tn_array_borrow_read(out, TN_WAIT, NULL, &data, NULL, &guard)); /* waits only for the copy into it */
    int right = 1;
    for (int at = 0; at < SIDE * SIDE; at++)
        right &= ((const int32_t *)data)[at] == n * SIDE * SIDE + at % SIDE * SIDE + at / SIDE;
    must(tn_borrow_end(guard, 0, NULL));
    return right;
}

int main(void)
{
    const int64_t shape[] = {SIDE, SIDE};
    struct slot slots[SLOTS] = {0};
    tn_pool *device = NULL, *host = NULL;
    must(tn_pool_default(GPU, &device));
    must(tn_pool_default(PINNED, &host));
    for (struct slot *s = slots; s < slots + SLOTS; s++) {
        must(tn_stream_create(GPU, 0, 0, &s->stream));
        must(tn_array_empty(host, TN_I32, 2, shape, NULL, &s->in));
        must(tn_array_empty(host, TN_I32, 2, shape, NULL, &s->out));
        must(tn_array_empty(device, TN_I32, 2, shape, NULL, &s->there));
        must(tn_array_empty(device, TN_I32, 2, shape, NULL, &s->done));
        must(tn_array_transpose(s->there, &s->turned)); /* a view; nothing is copied */
    }
    int right = 0;
    for (int n = 0; n < BATCHES + SLOTS; n++) {
        struct slot *s = &slots[n % SLOTS];
        if (n >= SLOTS)
            right += is_right(s->out, n - SLOTS);
        if (n >= BATCHES)
            continue;
        void *data = NULL;
        tn_borrow *guard = NULL;
        must(tn_array_borrow_write(s->in, TN_WRITE_DISCARD | TN_WAIT, NULL, &data, NULL, &guard));
        for (int at = 0; at < SIDE * SIDE; at++)
            ((int32_t *)data)[at] = n * SIDE * SIDE + at;
        must(tn_borrow_end(guard, 0, NULL));
        must(tn_array_copy_into(s->in, s->there, 0, s->stream)); /* these three return at once */
        must(tn_array_copy_into(s->turned, s->done, 0, s->stream));
        must(tn_array_copy_into(s->done, s->out, 0, s->stream));
    }
    printf("%d of %d matrices turned\n", right, BATCHES);
    for (struct slot *s = slots; s < slots + SLOTS; s++) {
        tn_array *arrays[] = {s->in, s->out, s->there, s->turned, s->done};
        for (int at = 0; at < 5; at++)
            must(tn_array_release(arrays[at]));
        must(tn_stream_release(s->stream));
    }
    must(tn_pool_release(device));
    must(tn_pool_release(host));
    size_t left = 0;
    must(tn_leaks(sizeof(tn_holder), 0, NULL, &left));
    printf("%zu leaks\n", left);
    return left != 0 || right != BATCHES;
}

/* It prints:
10 of 10 matrices turned
0 leaks
*/
