/* Tensors in the manner of Rust, in C: who owns, who borrows, what moves, and which call copies. tensors.rs is the counterpart. */
#include <stdio.h>
#include <stdlib.h>
#include <tenure.h>

/* Fails with the library's message. */
#define OK(call) do { if ((TN_HERE, (call)) != TN_OK) { puts(tn_last_error()); exit(1); } } while (0)

static void print(const char *name, tn_array *array)
{
    double e[4];
    OK(tn_array_copy_to_host(array, e, NULL, NULL));
    printf("%s [[%g, %g], [%g, %g]]\n", name, e[0], e[1], e[2], e[3]);
}

static void write_element(tn_array *array, tn_write_mode mode, size_t index, double value)
{
    void *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_write(array, mode, NULL, &data, NULL, &guard));
    ((double *)data)[index] = value;
    OK(tn_borrow_end(guard, 0, NULL));
}

int main(void)
{
    double data[4] = {1, 2, 3, 4};
    const double half = 0.5;
    const tn_layout layout = {.size = sizeof layout, .dtype = TN_F64, .ndim = 2, .shape = (int64_t[]){2, 2}};
    tn_array *t = NULL, *view = NULL, *moved = NULL;
    tn_borrow *guard = NULL;
    tn_promise *promise = NULL;
    tn_copy_site made;
    size_t n_made = 0;
    OK(tn_array_import_host(data, &layout, TN_BORROW, NULL, NULL, &t, NULL)); /* of the program's own bytes */
    OK(tn_array_clone(t, &view)); /* another handle on the same bytes */
    OK(tn_array_fill(t, &half, TN_WRITE_ALIASED, NULL));
    print("the view sees", view);
    OK(tn_array_borrow_read(view, 0, NULL, NULL, NULL, &guard)); /* until it ends, nobody writes these bytes */
    puts(tn_status_name(tn_array_fill(t, &half, TN_WRITE_ALIASED, NULL)));
    OK(tn_borrow_end(guard, 0, NULL));
    write_element(t, TN_WRITE_COW, 1, 9); /* the view keeps its bytes, and t gets a copy */
    print("the view keeps", view);
    OK(tn_array_give(t, 1, &promise));
    OK(tn_promise_to_device(promise, (tn_device){TN_CPU, 0}, NULL, NULL, &moved)); /* on its own device, nothing is copied */
    puts(tn_status_name(tn_array_fill(t, &half, TN_WRITE_ALIASED, NULL)));
    write_element(moved, TN_WRITE_UNIQUE, 2, 7);
    print("moved", moved);
    OK(tn_copies_query(sizeof made, 1, &made, &n_made));
    printf("%d x %s: %d bytes\n", (int)made.count, made.function, (int)made.bytes);
    return n_made != 1 || tn_promise_release(promise) || tn_array_release(moved) || tn_array_release(view) || tn_array_release(t);
}
/* It prints:
the view sees [[0.5, 0.5], [0.5, 0.5]]
TN_ERR_BORROWED
the view keeps [[0.5, 0.5], [0.5, 0.5]]
TN_ERR_DESTRUCTED
moved [[0.5, 9], [7, 0.5]]
1 x tn_array_borrow_write: 32 bytes
*/
