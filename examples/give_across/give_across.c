/*
 * give_across.c - the C side: it squares its argument, in place if it may, and gives an array of its own to Python.
 *
 * A shared library that knows tenure.h and nothing of Python. `cargo xtask examples` builds it and runs give_across.py.
 */
#include "tenure.h"
#include <stdio.h>

static void say(const char *text)
{
    printf("C       %s\n", text);
    fflush(stdout); /* in order with what Python prints */
}

/* Squares its argument, an array or a promise: in place if there is no other holder, else in a copy. */
tn_status squared(void *param, tn_array **out)
{
    tn_array *mine = NULL;
    tn_scope *scope = NULL;
    TN_HERE; /* if the giver uses the array again, the message names this line */
    tn_status status = tn_enter(1, &param, &mine, &scope);
    if (status != TN_OK)
        return status;
    void *data = NULL;
    tn_view_info view;
    tn_borrow *guard = NULL;
    status = tn_array_borrow_write(mine, TN_WRITE_COW, NULL, &data, &view, &guard);
    if (status == TN_OK) {
        for (int64_t i = 0; i < view.shape[0]; i++)
            ((double *)data)[i] *= ((double *)data)[i];
        status = tn_borrow_end(guard, 0, NULL);
    }
    /* The caller owns the result; on failure the scope releases the handle. */
    tn_status left = tn_leave(scope, status == TN_OK, &mine);
    if (status == TN_OK && left == TN_OK)
        *out = mine;
    return status != TN_OK ? status : left;
}

/* Makes an array, gives it to `callee`, which then owns the promise, and checks what is left of the array. */
tn_status give_to(void (*callee)(tn_promise *))
{
    tn_array *array = NULL;
    tn_promise *promise = NULL;
    const double one = 1.0;
    const int64_t shape[1] = {4};
    tn_status status = tn_array_full(NULL, TN_F64, 1, shape, &one, NULL, &array);
    if (status != TN_OK)
        return status;
    status = tn_array_set_name(array, "C's own");
    if (status == TN_OK)
        status = tn_array_give(array, 1, &promise);
    if (status == TN_OK) {
        callee(promise);
        tn_array_info info = {.size = sizeof info};
        say(tn_array_query(array, &info) == TN_ERR_DESTRUCTED ? tn_last_error() : "still there");
    }
    tn_status released = tn_array_release(array);
    return status != TN_OK ? status : released;
}
