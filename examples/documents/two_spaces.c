/* Two memory spaces: values that the library manages, and values of the program. TN_BORROW says which may be the same bytes. */
#include <stdio.h>
#include <tenure.h>

/* Fails with the library's message. */
#define OK(call) do { if ((TN_HERE, (call)) != TN_OK) { puts(tn_last_error()); return 1; } } while (0)

/* The first element of a value that leaves a variable. */
static int first(tn_shared *variable, tn_borrow_flags flags, double *out, tn_crossing *crossing)
{
    tn_array *value = NULL;
    OK(tn_shared_get(variable, flags, &value, crossing));
    const tn_status copied = tn_array_copy_to_host(value, out, NULL, NULL);
    tn_array_release(value);
    OK(copied);
    return 0;
}

int main(void)
{
    double data[1] = {1};
    const int64_t shape[1] = {1};
    const tn_layout layout = {.size = sizeof layout, .dtype = TN_F64, .ndim = 1, .shape = shape};
    tn_array *array = NULL;
    tn_shared *copied = NULL, *aliased = NULL;
    tn_crossing crossing;
    double a = 0, b = 0;
    OK(tn_array_import_host(data, &layout, TN_BORROW, NULL, NULL, &array, NULL));
    OK(tn_shared_create(array, 0, NULL, &copied, NULL));
    OK(tn_shared_create(array, TN_BORROW, NULL, &aliased, NULL));
    data[0] += 1; /* the program's own bytes */
    if (first(copied, 0, &a, &crossing) != 0 || first(aliased, 0, &b, NULL) != 0)
        return 1;
    printf("copied %g, aliased %g, read as %s\n", a, b, crossing.how == TN_COPIED ? "a copy" : "an alias");
    if (first(copied, TN_BORROW, &a, &crossing) != 0)
        return 1;
    printf("lent %g, read as %s\n", a, crossing.how == TN_COPIED ? "a copy" : "an alias");
    tn_shared_release(aliased);
    tn_shared_release(copied);
    tn_array_release(array);
    return 0;
}
/* It prints:
copied 1, aliased 2, read as a copy
lent 1, read as an alias
*/
