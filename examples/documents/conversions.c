/* Conversions of CUDAMat in C: the same bytes on both sides, else a refusal, and a counted copy on request. Needs a GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <tenure.h>

/* Fails with the library's message. */
#define OK(call) do { if ((TN_HERE, (call)) != TN_OK) { puts(tn_last_error()); exit(1); } } while (0)

static const tn_device GPU = {TN_CUDA, 0};

/* The first and the last element. */
static void print(const char *name, tn_array *array)
{
    float e[12];
    OK(tn_array_copy_to_host(array, e, NULL, NULL));
    printf("%s %g .. %g\n", name, e[0], e[11]);
}

int main(void)
{
    const float one = 1, two = 2;
    const tn_array_options by_columns = {.size = sizeof by_columns, .order = TN_ORDER_F}, by_rows = {.size = sizeof by_rows};
    tn_pool *pool = NULL;
    tn_array *columns = NULL, *rows = NULL, *back = NULL;
    tn_borrow *guard = NULL;
    tn_cudamat matrix;
    tn_how how;
    tn_copy_site made;
    size_t n_made = 0;
    OK(tn_pool_default(GPU, &pool));
    OK(tn_array_full(pool, TN_F32, 2, (int64_t[]){3, 4}, &one, &by_columns, &columns));
    OK(tn_array_full(pool, TN_F32, 2, (int64_t[]){3, 4}, &one, &by_rows, &rows));

    /* CUDAMat's functions work on the struct until the guard ends. */
    OK(tn_array_export_cudamat(columns, TN_REQUIRE_BORROW | TN_EXPORT_WRITABLE, TN_WRITE_ALIASED, &matrix, &guard, &how));
    printf("%d x %d, %s\n", (int)matrix.size[0], (int)matrix.size[1], how == TN_ALIASED ? "shared" : "copied");
    OK(tn_array_import_cudamat(&matrix, TN_REQUIRE_BORROW, NULL, NULL, &back, &how));
    OK(tn_array_fill(columns, &two, TN_WRITE_ALIASED, NULL));
    print(how == TN_ALIASED ? "back, shared" : "back, copied", back);
    OK(tn_array_release(back));
    OK(tn_borrow_end(guard, 0, TN_STREAM_LEGACY));

    puts(tn_status_name(tn_array_export_cudamat(rows, TN_REQUIRE_BORROW, 0, &matrix, &guard, NULL))); /* CUDAMat's order is F */
    puts(tn_last_error());
    OK(tn_array_export_cudamat(rows, TN_BORROW, 0, &matrix, &guard, &how)); /* or a copy */
    OK(tn_borrow_end(guard, 0, TN_STREAM_LEGACY));
    OK(tn_copies_query(sizeof made, 1, &made, &n_made));
    printf("%d x %s: %d bytes\n", (int)made.count, made.function, (int)made.bytes);
    return how != TN_COPIED || n_made != 1 || tn_array_release(columns) || tn_array_release(rows) || tn_pool_release(pool);
}
/* It prints:
3 x 4, shared
back, shared 2 .. 2
TN_ERR_LAYOUT
tn_array_export_cudamat: the elements are not F-contiguous, and CUDAMat's matrices are stored by columns; only a copy would do
1 x tn_array_export_cudamat: 48 bytes
*/
