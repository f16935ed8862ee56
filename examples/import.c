/*
 * import.c - existing memory becomes an array; a callback frees it when the last holder is gone.
 *
 * gcc import.c -I target/dist/include -L target/dist/lib -ltenure -Wl,-rpath,$PWD/target/dist/lib
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

static void give_back(void *context)
{
    printf("the buffer is freed\n");
    free(context);
}

int main(void)
{
    /* Three rows of four floats; the array uses the first three of each row. */
    float *buffer = calloc(12, sizeof *buffer);
    if (buffer == NULL)
        return 1;
    const int64_t shape[] = {3, 3}, strides[] = {4 * sizeof *buffer, sizeof *buffer};
    tn_layout layout = {.size = sizeof layout, .dtype = TN_F32, .ndim = 2, .shape = shape, .strides = strides};

    /* TN_TAKE_OWNERSHIP: the library owns the buffer until it calls give_back. TN_REQUIRE_BORROW: fail instead of copying. */
    tn_array *x = NULL, *transposed = NULL;
    tn_how how = 0;
    must(tn_array_import_host(buffer, &layout, TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, give_back, buffer, &x, &how));
    printf("%s\n", how == TN_ALIASED ? "aliased" : "copied");

    const float one = 1.0f;
    must(tn_array_fill(x, &one, TN_WRITE_ALIASED, NULL));
    printf("row 0: %g %g %g, and the gap behind it: %g\n", buffer[0], buffer[1], buffer[2], buffer[3]);

    must(tn_array_transpose(x, &transposed));
    must(tn_array_release(x));
    printf("the array is released, its view still lives\n");
    must(tn_array_release(transposed));

    size_t left = 0;
    must(tn_leaks(sizeof(tn_holder), 0, NULL, &left));
    printf("%zu leaks\n", left);
    return left != 0;
}

/* It prints:
aliased
row 0: 1 1 1, and the gap behind it: 0
the array is released, its view still lives
the buffer is freed
0 leaks
*/
