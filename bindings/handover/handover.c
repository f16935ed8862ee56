// A library in C, with which the example of each binding exchanges an array. Promises pass by the place of their handle, which every
// language has. Each side releases the promises that it made.
#include <stdio.h>
#include <stdlib.h>
#include "tenure.h"

static tn_array *mine;
static tn_promise *promise;
static void *bytes;

static void ok(tn_status status) {
    if (status != TN_OK) {
        fprintf(stderr, "%s\n", tn_last_error());
        exit(1);
    }
}

// Makes an array of 0, 1, 2, 3, 4 and gives it.
void handover_give(tn_promise **out) {
    const int64_t shape[] = {5};
    tn_borrow *guard = NULL;
    ok(tn_array_empty(NULL, TN_F64, 1, shape, NULL, &mine));
    ok(tn_array_borrow_write(mine, TN_WRITE_DISCARD, NULL, &bytes, NULL, &guard));
    for (int at = 0; at < 5; at++) {
        ((double *)bytes)[at] = at;
    }
    ok(tn_borrow_end(guard, 0, NULL));
    ok(tn_array_give(mine, 1, &promise));
    *out = promise;
}

// Takes the array back. Prints what became of C's first handle and of the bytes, and releases what C has.
void handover_take(tn_promise *const *given) {
    tn_array *result = NULL;
    tn_borrow *guard = NULL;
    const void *data = NULL;
    printf("C's own handle: %s\n", tn_status_name(tn_array_borrow_read(mine, 0, NULL, &data, NULL, &guard)));
    ok(tn_take(1, given, &result));
    ok(tn_array_borrow_read(result, 0, NULL, &data, NULL, &guard));
    printf("C reads %g, %s\n", ((const double *)data)[4], data == bytes ? "in the same bytes" : "in a copy");
    fflush(stdout); // other languages have buffers of their own
    ok(tn_borrow_end(guard, 0, NULL));
    ok(tn_array_release(result));
    ok(tn_array_release(mine));
    ok(tn_promise_release(promise));
}
