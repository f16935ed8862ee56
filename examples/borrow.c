/*
 * borrow.c - many readers or one writer: a conflicting borrow fails, and the message names the other holder.
 *
 * gcc borrow.c -I target/dist/include -L target/dist/lib -ltenure -Wl,-rpath,$PWD/target/dist/lib
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

/* Error messages name the line of each call. */
#define must(call) must((TN_HERE, (call)))

int main(void)
{
    const int64_t shape[] = {2, 3};
    tn_array_options named = {.size = sizeof named, .name = "weights"};
    tn_array *weights = NULL, *row = NULL;
    must(tn_array_zeros(NULL, TN_F64, 2, shape, &named, &weights));
    must(tn_array_index(weights, 0, 1, &row)); /* a view of the second row; nothing is copied */

    /* Two readers. A pointer is valid until its guard ends. */
    const void *first = NULL, *second = NULL;
    tn_borrow *reader = NULL, *other_reader = NULL, *writer = NULL;
    must(tn_array_borrow_read(weights, 0, NULL, &first, NULL, &reader));
    must(tn_array_borrow_read(row, 0, NULL, &second, NULL, &other_reader));
    printf("the row lies %td bytes behind the start\n", (const char *)second - (const char *)first);

    /* A writer is refused while the bytes have readers. */
    void *data = NULL;
    tn_status status = tn_array_borrow_write(row, TN_WRITE_ALIASED, NULL, &data, NULL, &writer);
    printf("%s\n%s\n", tn_status_name(status), tn_last_error());

    must(tn_borrow_end(reader, 0, NULL));
    must(tn_borrow_end(other_reader, 0, NULL));
    must(tn_array_borrow_write(row, TN_WRITE_ALIASED, NULL, &data, NULL, &writer));
    ((double *)data)[2] = 1.5;
    must(tn_borrow_end(writer, 0, NULL));

    must(tn_array_borrow_read(weights, 0, NULL, &first, NULL, &reader));
    printf("written through the row, read through the whole: %g\n", ((const double *)first)[5]);
    must(tn_borrow_end(reader, 0, NULL));

    must(tn_array_release(row));
    must(tn_array_release(weights));
    size_t left = 0;
    must(tn_leaks(sizeof(tn_holder), 0, NULL, &left));
    printf("%zu leaks\n", left);
    return left != 0;
}

/* It prints:
the row lies 24 bytes behind the start
TN_ERR_BORROWED
tn_array_borrow_write: the array is borrowed for reading 2 times (first at borrow.c:32, through "weights"); end those borrows
written through the row, read through the whole: 1.5
0 leaks
*/
