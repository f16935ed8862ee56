// A library of a C program: makes an array and gives it, and looks at what it gets back. handover.mjs and Handover.java are the other side.
#include <stdio.h>
#include "tenure.h"

static tn_array *mine;
static const void *first;

// Gives an array of 0, 1, 2, 3, 4. Its bytes begin at `first`.
tn_status handover_give(tn_promise **out) {
    const int64_t shape[] = {5};
    tn_borrow *guard = NULL;
    void *data = NULL;
    tn_status status = tn_array_zeros(NULL, TN_F64, 1, shape, NULL, &mine);
    if (status == TN_OK) {
        status = tn_array_borrow_write(mine, 0, NULL, &data, NULL, &guard);
    }
    if (status != TN_OK) {
        return status;
    }
    for (int at = 0; at < 5; at++) {
        ((double *)data)[at] = at;
    }
    first = data;
    tn_borrow_end(guard, 0, NULL);
    return tn_array_give(mine, 1, out);
}

// Prints what became of C's handle and of the array's bytes, and releases both handles.
tn_status handover_receive(tn_array *result) {
    tn_array_info info = {.size = sizeof info};
    tn_borrow *guard = NULL;
    const void *data = NULL;
    printf("C's own handle: %s\n", tn_status_name(tn_array_query(mine, &info)));
    tn_status status = tn_array_borrow_read(result, 0, NULL, &data, NULL, &guard);
    if (status != TN_OK) {
        return status;
    }
    printf("C reads %g, %s\n", ((const double *)data)[4], data == first ? "in the same bytes" : "in a copy");
    fflush(stdout);
    tn_borrow_end(guard, 0, NULL);
    tn_array_release(mine);
    return tn_array_release(result);
}
