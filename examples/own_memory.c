/*
 * own_memory.c - a pool over memory of the program: here one fixed piece, as on a device or in a shared segment.
 *
 * gcc own_memory.c -I target/dist/include -L target/dist/lib -ltenure -Wl,-rpath,$PWD/target/dist/lib
 */
#include "tenure.h"
#include <stdio.h>
#include <stdlib.h>

static void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "%s: %s\n", tn_status_name(status), tn_last_error());
    exit(1);
}

enum { SIZE = 16 << 20 };

typedef struct {
    char *start;
    int taken;
} Piece;

/* Called once for SIZE bytes, at the creation of the pool; later calls fail. */
static tn_status take(void *context, size_t bytes, size_t alignment, uint64_t native_stream, void **out)
{
    Piece *piece = context;
    (void)native_stream;
    if (piece->taken || bytes > SIZE || (size_t)piece->start % alignment != 0)
        return TN_ERR_NO_HOST_MEMORY;
    piece->taken = 1;
    *out = piece->start;
    return TN_OK;
}

/* Called with the piece that `take` returned. */
static tn_status give_back(void *context, void *ptr, size_t bytes, uint64_t native_stream)
{
    Piece *piece = context;
    (void)native_stream;
    printf("%d MiB came back, all of them: %s\n", (int)(bytes >> 20), ptr == piece->start ? "yes" : "no");
    piece->taken = 0;
    return TN_OK;
}

static void done(void *context)
{
    printf("the memory is freed\n");
    free(((Piece *)context)->start);
}

int main(void)
{
    Piece piece = {aligned_alloc(1 << 20, SIZE), 0};
    if (piece.start == NULL)
        return 1;
    tn_upstream upstream = {
        .size = sizeof upstream, .context = &piece, .allocate = take, .deallocate = give_back, .release = done};
    tn_pool_options options = {.size = sizeof options, .name = "own", .initial_size = SIZE};
    tn_pool *pool = NULL;
    must(tn_pool_import((tn_device){TN_CPU, 0}, &upstream, &options, &pool));

    tn_array *a = NULL, *b = NULL;
    must(tn_array_zeros(pool, TN_F64, 2, (int64_t[]){1000, 1000}, NULL, &a));
    tn_status status = tn_array_zeros(pool, TN_F64, 2, (int64_t[]){1200, 1000}, NULL, &b);
    printf("8 MB fit, 9.6 MB beside them: %s\n", tn_status_name(status));

    must(tn_pool_release(pool));
    printf("the pool is released, its array still lives\n");
    must(tn_array_release(a));
    return 0;
}

/* It prints:
8 MB fit, 9.6 MB beside them: TN_ERR_NO_HOST_MEMORY
the pool is released, its array still lives
16 MiB came back, all of them: yes
the memory is freed
*/
