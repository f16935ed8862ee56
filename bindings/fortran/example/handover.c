// C makes an array and gives it. Fortran takes it and writes in place; after that, C's handle is destructed.
#include <stdio.h>
#include "tenure.h"

tn_status squares(tn_promise *given, tn_array **result); // handover.f90

int main(void) {
    const int64_t shape[] = {5};
    tn_array *mine = NULL, *result = NULL;
    tn_promise *promise = NULL;
    if (tn_array_zeros(NULL, TN_F64, 1, shape, NULL, &mine) || tn_array_give(mine, 1, &promise) || squares(promise, &result)) {
        fprintf(stderr, "%s\n", tn_last_error());
        return 1;
    }
    tn_promise_release(promise);

    tn_borrow *guard = NULL;
    const void *data = NULL;
    printf("C's own handle: %s\n", tn_status_name(tn_array_borrow_read(mine, 0, NULL, &data, NULL, &guard)));
    if (tn_array_borrow_read(result, 0, NULL, &data, NULL, &guard)) {
        return 1;
    }
    printf("Fortran's result: %g\n", ((const double *)data)[4]);
    tn_borrow_end(guard, 0, NULL);
    tn_array_release(mine);
    tn_array_release(result);
    size_t leaks = 0;
    if (tn_leaks(sizeof(tn_holder), 0, NULL, &leaks)) {
        return 1;
    }
    printf("%zu leaks\n", leaks);
    return 0;
}
