// A library that knows nothing of R. R's .C passes each raw vector as an address of its bytes: room for one handle.
#include <stdio.h>
#include "tenure.h"

static tn_array *mine;
static const void *address;

// Makes an array and gives it.
void produce(tn_promise **given) {
    const int64_t shape[] = {5};
    tn_borrow *guard = NULL;
    if (tn_array_zeros(NULL, TN_F64, 1, shape, NULL, &mine) || tn_array_borrow_read(mine, 0, NULL, &address, NULL, &guard) ||
        tn_borrow_end(guard, 0, NULL) || tn_array_give(mine, 1, given)) {
        printf("%s\n", tn_last_error());
    }
}

// Takes an array that R gives, and compares its memory with that of the array that it gave.
void consume(tn_promise **given, tn_promise **own) {
    tn_borrow *guard = NULL;
    tn_array *result = NULL;
    const void *data = NULL;
    printf("C's own handle: %s\n", tn_status_name(tn_array_borrow_read(mine, 0, NULL, NULL, NULL, &guard)));
    if (tn_take(1, given, &result) || tn_array_borrow_read(result, 0, NULL, &data, NULL, &guard)) {
        printf("%s\n", tn_last_error());
        return;
    }
    printf("R's result: %g, in %s bytes\n", ((const double *)data)[4], data == address ? "the same" : "other");
    tn_borrow_end(guard, 0, NULL);
    tn_array_release(result);
    tn_array_release(mine);
    tn_promise_release(*own);
}
