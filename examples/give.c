/*
 * give.c - an array changes its owner: the taker overwrites the bytes in place, and the giver's handle is refused.
 *
 * gcc give.c -I target/dist/include -L target/dist/lib -ltenure -Wl,-rpath,$PWD/target/dist/lib
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

/* If the giver uses the array again, the message names the line of the call that took it. */
#define must(call) must((TN_HERE, (call)))

/* Takes the array of `promise` and squares it in place. The caller still releases the promise. */
static tn_array *squared(tn_promise *promise)
{
    tn_array *mine = NULL;
    must(tn_take(1, &promise, &mine));

    void *data = NULL;
    tn_borrow *guard = NULL;
    must(tn_array_borrow_write(mine, TN_WRITE_UNIQUE, NULL, &data, NULL, &guard)); /* fails if there is another holder */
    for (int i = 0; i < 4; i++)
        ((double *)data)[i] *= ((double *)data)[i];
    must(tn_borrow_end(guard, 0, NULL));
    return mine;
}

int main(void)
{
    const int64_t length = 4;
    const double three = 3.0;
    tn_array_options named = {.size = sizeof named, .name = "x"};
    tn_array *x = NULL;
    must(tn_array_full(NULL, TN_F64, 1, &length, &three, &named, &x));

    tn_promise *promise = NULL;
    must(tn_array_give(x, 1, &promise));
    tn_array *y = squared(promise);
    must(tn_promise_release(promise));

    double values[4];
    must(tn_array_copy_to_host(y, values, NULL, NULL));
    printf("%g %g %g %g\n", values[0], values[1], values[2], values[3]);

    tn_status status = tn_array_copy_to_host(x, values, NULL, NULL);
    printf("%s\n%s\n", tn_status_name(status), tn_last_error());

    must(tn_array_release(x)); /* a handle that was given away is released too */
    must(tn_array_release(y));
    size_t left = 0;
    must(tn_leaks(sizeof(tn_holder), 0, NULL, &left));
    printf("%zu leaks\n", left);
    return left != 0;
}

/* It prints:
9 9 9 9
TN_ERR_DESTRUCTED
tn_array_copy_to_host: "x" was given away and taken with tn_take at give.c:25; this handle can only be released
0 leaks
*/
