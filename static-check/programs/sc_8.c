/* SC-8: an address is used after its guard ended. */
#include "common.h"

double read_after(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    return ((const double *)data)[0]; /* SC-8 */
}
void written_after(tn_array *a)
{
    void *bytes;
    tn_borrow *g = NULL;
    must(WRITE(a, g));
    must(END(g));
    *(double *)bytes = 1; /* SC-8 */
}
double by_another_pointer(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    const double *values = data;
    must(END(g));
    return values[3]; /* SC-8 */
}
double summed(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    return sum(data, 4); /* SC-8 */
}
void copied(tn_array *a, double *out)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    memcpy(out, data, 32); /* SC-8 */
}
int64_t of_a_view(tn_array *a)
{
    tn_view_info view;
    tn_borrow *g = NULL;
    must(tn_array_borrow_read(a, 0, NULL, NULL, &view, &g));
    must(END(g));
    return view.shape[0]; /* SC-8 */
}
double on_one_path(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    int is_open = 1;
    must(READ(a, g));
    if (chance()) {
        must(END(g));
        is_open = 0;
    }
    double first = *(const double *)data; /* SC-8 */
    if (is_open)
        must(END(g));
    return first;
}
double in_a_loop(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    double total = 0;
    must(READ(a, g));
    for (int i = 0; i < 4; i++) {
        total += ((const double *)data)[i]; /* SC-8 */
        if (i == 0)
            must(END(g));
    }
    return total;
}
double an_offset(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    const double *last = (const double *)data + 3;
    must(END(g));
    return *last; /* SC-8 */
}
void printed(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    printf("%g\n", ((const double *)data)[1]); /* SC-8 */
}

double before(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    double first = ((const double *)data)[0];
    must(END(g));
    return first;
}
double opened_again(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    must(READ(a, g));
    double first = ((const double *)data)[0];
    must(END(g));
    return first;
}
int compared(tn_array *a, tn_array *b)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    const void *first = data;
    must(END(g));
    must(READ(b, g));
    int is_same = first == data;
    must(END(g));
    return is_same;
}
void shown_as_an_address(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    printf("%p\n", data);
}
double of_an_own_copy(tn_array *a)
{
    const void *data;
    double own[4];
    tn_borrow *g = NULL;
    must(READ(a, g));
    memcpy(own, data, sizeof own);
    must(END(g));
    return own[0];
}
double another_guard(tn_array *a, tn_array *b)
{
    const void *data, *first;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    first = data;
    must(READ(b, h));
    must(END(h));
    double value = *(const double *)first;
    must(END(g));
    return value;
}
double set_to_another(tn_array *a, const double *other)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    data = other;
    return ((const double *)data)[0];
}
size_t as_a_number(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    uintptr_t address = (uintptr_t)data;
    must(END(g));
    return address % 64;
}
double in_each_round(tn_array *a)
{
    const void *data;
    double total = 0;
    for (int i = 0; i < 4; i++) {
        tn_borrow *g = NULL;
        must(READ(a, g));
        total += ((const double *)data)[i];
        must(END(g));
    }
    return total;
}
int32_t counts_of_a_view(tn_array *a)
{
    tn_view_info view;
    tn_borrow *g = NULL;
    must(tn_array_borrow_read(a, 0, NULL, NULL, &view, &g));
    must(END(g));
    return view.ndim;
}
