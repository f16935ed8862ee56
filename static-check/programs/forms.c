/* What clang says of the forms of tenure_checked.h. `WARNS` marks a line with a warning; no other line has one. */
#include "common.h"
#include "tenure_checked.h"

int second_writer(tn_array *a) TN_BORROWS(a);
int second_writer(tn_array *a)
{
    tn_borrow *g = NULL, *h = NULL;
    if (tn_write(a, NULL, &g) != TN_OK)
        return 1;
    if (tn_write(a, NULL, &h) == TN_OK) /* WARNS */
        tn_write_end(a, h);
    tn_write_end(a, g); /* WARNS */
    return 0;
}
int writer_beside_a_reader(tn_array *a) TN_BORROWS(a);
int writer_beside_a_reader(tn_array *a)
{
    tn_borrow *g = NULL, *h = NULL;
    if (tn_read(a, NULL, &g) != TN_OK)
        return 1;
    if (tn_write(a, NULL, &h) == TN_OK) /* WARNS */
        tn_write_end(a, h); /* WARNS */
    tn_read_end(a, g); /* WARNS */
    return 0;
}
int given_while_read(tn_array *a) TN_TAKES(a);
int given_while_read(tn_array *a)
{
    tn_borrow *g = NULL;
    tn_promise *p = NULL;
    if (tn_read(a, NULL, &g) != TN_OK) {
        tn_release(a);
        return 1;
    }
    tn_status status = tn_give(a, &p); /* WARNS */
    tn_read_end(a, g);
    if (status == TN_OK)
        tn_promise_release(p);
    return 0;
}
int used_after_give(tn_array *a) TN_TAKES(a);
int used_after_give(tn_array *a)
{
    tn_promise *p = NULL;
    if (tn_give(a, &p) != TN_OK)
        return 1;
    if (tn_array_clear(a, 0, NULL) != TN_OK) /* WARNS */
        puts(tn_last_error());
    tn_promise_release(p);
    return 0;
}
int released_while_read(tn_array *a) TN_TAKES(a);
int released_while_read(tn_array *a)
{
    tn_borrow *g = NULL;
    if (tn_read(a, NULL, &g) != TN_OK) {
        tn_release(a);
        return 1;
    }
    tn_release(a); /* WARNS */
    tn_read_end(a, g);
    return 0;
}
int not_ended(tn_array *a) TN_BORROWS(a);
int not_ended(tn_array *a)
{
    tn_borrow *g = NULL;
    if (tn_read(a, NULL, &g) != TN_OK)
        return 1;
    return 0;
} /* WARNS */
int wrong_array(tn_array *a, tn_array *b) TN_BORROWS(a) TN_BORROWS(b);
int wrong_array(tn_array *a, tn_array *b)
{
    tn_borrow *g = NULL;
    if (tn_read(a, NULL, &g) != TN_OK)
        return 1;
    tn_read_end(b, g); /* WARNS */
    return 0;
} /* WARNS */

int all_right(tn_array *a, tn_array *b) TN_TAKES(a) TN_BORROWS(b);
int all_right(tn_array *a, tn_array *b)
{
    const void *data = NULL;
    void *bytes = NULL;
    tn_borrow *g = NULL, *h = NULL;
    tn_promise *p = NULL;
    if (tn_read(a, &data, &g) == TN_OK) {
        if (tn_write(b, &bytes, &h) == TN_OK) {
            memcpy(bytes, data, sizeof(double));
            tn_write_end(b, h);
        }
        tn_read_end(a, g);
    }
    if (tn_write(a, &bytes, &h) == TN_OK)
        tn_write_end(a, h);
    if (tn_give(a, &p) != TN_OK)
        return 1;
    tn_promise_release(p);
    return 0;
}
