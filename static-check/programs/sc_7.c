/* SC-7: a use conflicts with an open guard. */
#include "common.h"

void second_writer(tn_array *a)
{
    void *bytes;
    tn_borrow *g = NULL, *h = NULL;
    must(WRITE(a, g));
    must(WRITE(a, h)); /* SC-7 */
    must(END(h));
    must(END(g));
}
void writer_beside_reader(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    must(WRITE(a, h)); /* SC-7 */
    must(END(h));
    must(END(g));
}
void reader_beside_writer(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL, *h = NULL;
    must(WRITE(a, g));
    must(READ(a, h)); /* SC-7 */
    must(END(h));
    must(END(g));
}
void given_while_borrowed(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    tn_promise *p = NULL;
    must(READ(a, g));
    must(tn_array_give(a, 1, &p)); /* SC-7 */
    must(tn_promise_release(p));
    must(END(g));
}
void filled(tn_array *a, double value)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(tn_array_fill(a, &value, 0, NULL)); /* SC-7 */
    must(END(g));
}
void copied_into(tn_array *a, tn_array *b)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(b, g));
    must(tn_array_copy_into(a, b, 0, NULL)); /* SC-7 */
    must(END(g));
}
void copied_out(tn_array *a, double *out)
{
    void *bytes;
    tn_borrow *g = NULL;
    must(WRITE(a, g));
    must(tn_array_copy_to_host(a, out, NULL, NULL)); /* SC-7 */
    must(END(g));
}
void by_a_clone(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_array *b = NULL;
    tn_borrow *g = NULL, *h = NULL;
    must(tn_array_clone(a, &b));
    must(READ(a, g));
    must(WRITE(b, h)); /* SC-7 */
    must(END(h));
    must(END(g));
    must(tn_array_release(b));
}
void on_one_path(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    if (chance()) {
        must(END(g));
        g = NULL;
    }
    must(WRITE(a, h)); /* SC-7 */
    must(END(h));
    if (g != NULL)
        must(END(g));
}
void by_a_reshape(tn_array *a)
{
    void *bytes;
    tn_array *flat = NULL;
    tn_borrow *g = NULL, *h = NULL;
    must(tn_array_ravel(a, TN_ORDER_C, &flat));
    must(WRITE(flat, g));
    must(WRITE(a, h)); /* SC-7 */
    must(END(h));
    must(END(g));
    must(tn_array_release(flat));
}

void two_readers(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    must(READ(a, h));
    must(END(h));
    must(END(g));
}
void one_after_the_other(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    must(WRITE(a, g));
    must(END(g));
}
void two_arrays(tn_array *a, tn_array *b)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    must(WRITE(b, h));
    must(END(h));
    must(END(g));
}
void two_parts(tn_array *a)
{
    void *bytes;
    tn_array *x = NULL, *y = NULL;
    tn_borrow *g = NULL, *h = NULL;
    must(tn_array_index(a, 0, 0, &x));
    must(tn_array_index(a, 0, 1, &y));
    must(WRITE(x, g));
    must(WRITE(y, h));
    must(END(h));
    must(END(g));
    must(tn_array_release(x));
    must(tn_array_release(y));
}
void copy_on_write(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_array *b = NULL;
    tn_borrow *g = NULL, *h = NULL;
    must(tn_array_clone(a, &b));
    must(READ(a, g));
    must(tn_array_borrow_write(b, TN_WRITE_COW, NULL, &bytes, NULL, &h));
    must(END(h));
    must(END(g));
    must(tn_array_release(b));
}
void asked(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    tn_status status = WRITE(a, h);
    if (status == TN_ERR_BORROWED)
        puts("busy");
    must(END(g));
}
void shown(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    tn_status status = WRITE(a, h);
    printf("%s: %s\n", tn_status_name(status), tn_last_error());
    must(END(g));
}
void read_while_read(tn_array *a, double *out)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(tn_array_copy_to_host(a, out, NULL, NULL));
    must(END(g));
}
void a_copy(tn_array *a)
{
    const void *data;
    void *bytes;
    tn_array *b = NULL;
    tn_borrow *g = NULL, *h = NULL;
    must(tn_array_copy(a, NULL, NULL, &b));
    must(READ(a, g));
    must(WRITE(b, h));
    must(END(h));
    must(END(g));
    must(tn_array_release(b));
}
void same_condition(tn_array *a, int writes)
{
    const void *data;
    void *bytes;
    tn_borrow *g = NULL;
    if (writes)
        must(WRITE(a, g));
    if (!writes)
        must(READ(a, g));
    must(END(g));
}
