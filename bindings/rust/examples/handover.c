/*
 * handover.c - the C side: makes an array, gives it to a library in Rust, and gets a handle on the same bytes back.
 *
 * Prints one line for each step. The library of handover.rs exports the three functions.
 */
#include "tenure.h"
#include <stdio.h>
#include <stdlib.h>

tn_status handover_scale(tn_promise *promise, double factor, tn_array **out);
tn_status handover_plus_one(void *param, tn_array **out);
tn_status handover_overwrite(void *array);

#define OK(call) ok((call), #call)

static void ok(tn_status status, const char *call)
{
    if (status != TN_OK) {
        fprintf(stderr, "%s: %s: %s\n", call, tn_status_name(status), tn_last_error());
        exit(1);
    }
}

/* The address of the first element, and its value. */
static const double *look(tn_array *array, double *value)
{
    const void *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(array, 0, NULL, &data, NULL, &guard));
    *value = *(const double *)data;
    OK(tn_borrow_end(guard, 0, NULL));
    return data;
}

int main(void)
{
    tn_array *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    tn_promise *promise = NULL;
    tn_borrow *guard = NULL;
    tn_array_info info = {.size = sizeof info};
    const int64_t shape[] = {1000};
    double value = 1.5;
    TN_HERE;
    OK(tn_array_full(NULL, TN_F64, 1, shape, &value, NULL, &a));
    const double *before = look(a, &value);
    printf("C has %g\n", value);

    OK(tn_array_give(a, 1, &promise));
    OK(handover_scale(promise, 2.0, &b)); /* uses up the promise */
    const double *after = look(b, &value);
    printf("given: %g %s, and C's handle is %s\n", value, after == before ? "in place" : "in new bytes",
           tn_status_name(tn_array_query(a, &info)));

    OK(handover_plus_one(b, &c)); /* lent */
    after = look(c, &value);
    printf("lent: %g %s\n", value, after == before ? "in place" : "in new bytes");

    OK(tn_array_give(b, 1, &promise));
    OK(handover_plus_one(promise, &d)); /* given */
    OK(tn_promise_release(promise));
    after = look(d, &value);
    printf("given: %g %s\n", value, after == before ? "in place" : "in new bytes");

    OK(tn_array_borrow_read(d, 0, NULL, NULL, NULL, &guard));
    printf("while C reads, Rust gets %s\n", tn_status_name(handover_overwrite(d)));
    OK(tn_borrow_end(guard, 0, NULL));

    OK(tn_array_release(a));
    OK(tn_array_release(b));
    OK(tn_array_release(c));
    OK(tn_array_release(d));
    size_t left = 0;
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &left));
    printf("%zu leaks\n", left);
    return 0;
}
