/*
 * chunks.c - one transfer to the device, then work on each chunk: the host reads a chunk as soon as it is back.
 *
 * The chunks are views, so nothing is copied, and the library knows that they do not overlap. Work on a chunk waits only for the
 * transfer that wrote it.
 *
 * gcc chunks.c -I target/dist/include -L target/dist/lib -ltenure -Wl,-rpath,$PWD/target/dist/lib
 */
#include "tenure.h"
#include <stdio.h>
#include <stdlib.h>

enum { LENGTH = 100000, CHUNK = 30000, PARTS = 4 };
static const tn_device GPU = {TN_CUDA, 0}, PINNED = {TN_CUDA_HOST, 0};

static void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "%s: %s\n", tn_status_name(status), tn_last_error());
    exit(1);
}

/* A host array of 0, 1, 2, .. in page-locked memory. */
static tn_array *counted(tn_pool *host)
{
    const int64_t length = LENGTH;
    tn_array *array = NULL;
    void *data = NULL;
    tn_borrow *guard = NULL;
    must(tn_array_empty(host, TN_F64, 1, &length, NULL, &array));
    must(tn_array_borrow_write(array, TN_WRITE_DISCARD, NULL, &data, NULL, &guard));
    for (int at = 0; at < LENGTH; at++)
        ((double *)data)[at] = at;
    must(tn_borrow_end(guard, 0, NULL));
    return array;
}

int main(void)
{
    tn_pool *host = NULL;
    tn_stream *there = NULL, *streams[2] = {NULL, NULL};
    must(tn_pool_default(PINNED, &host));
    must(tn_stream_create(GPU, 0, 0, &there));
    must(tn_stream_create(GPU, 0, 0, &streams[0]));
    must(tn_stream_create(GPU, 0, 0, &streams[1]));

    tn_array *numbers = counted(host), *device = NULL, *chunks[PARTS], *backs[PARTS];
    size_t parts = 0;
    must(tn_array_to_device(numbers, GPU, NULL, there, &device)); /* the only transfer to the device */
    must(tn_array_release(numbers));                              /* its bytes live until the transfer has read them */
    must(tn_array_chunks(device, 0, CHUNK, PARTS, chunks, &parts));
    for (size_t at = 0; at < parts; at++) {
        const tn_slice_spec backwards = TN_SLICE(TN_NONE, TN_NONE, -1);
        tn_stream *stream = streams[at % 2];
        tn_array *turned = NULL;
        must(tn_array_slice(chunks[at], 1, &backwards, &turned)); /* the work: reverse it, as a view */
        must(tn_array_to_device(turned, (tn_device){TN_CPU, 0}, host, stream, &backs[at]));
        must(tn_array_release(turned));
    }
    for (size_t at = 0; at < parts; at++) {
        const void *data = NULL;
        tn_view_info view;
        tn_borrow *guard = NULL;
        must(tn_array_borrow_read(backs[at], TN_WAIT, NULL, &data, &view, &guard)); /* waits for this chunk */
        const double *elements = data;
        printf("chunk %zu: %lld elements from %.0f to %.0f\n", at, (long long)view.shape[0], elements[0],
               elements[view.shape[0] - 1]);
        must(tn_borrow_end(guard, 0, NULL));
        must(tn_array_release(backs[at]));
        must(tn_array_release(chunks[at]));
    }
    must(tn_array_release(device));
    tn_stream *all[] = {there, streams[0], streams[1]};
    for (int at = 0; at < 3; at++)
        must(tn_stream_release(all[at]));
    must(tn_pool_release(host));
    size_t left = 0;
    must(tn_leaks(sizeof(tn_holder), 0, NULL, &left));
    printf("%zu leaks\n", left);
    return left != 0;
}

/* It prints:
chunk 0: 30000 elements from 29999 to 0
chunk 1: 30000 elements from 59999 to 30000
chunk 2: 30000 elements from 89999 to 60000
chunk 3: 10000 elements from 99999 to 90000
0 leaks
*/
