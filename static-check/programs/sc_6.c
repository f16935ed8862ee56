/* SC-6: an array is used after it was given away. */
#include "common.h"

void borrowed(tn_array *a)
{
    const void *data;
    tn_promise *p = NULL;
    tn_borrow *g = NULL;
    must(tn_array_give(a, 1, &p));
    must(READ(a, g)); /* SC-6 */
    END(g);
    must(tn_promise_release(p));
}
void taken_and_used(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_take(1, &p, &b));
    must(tn_promise_release(p));
    must(tn_array_clear(a, 0, NULL)); /* SC-6 */
    must(tn_array_release(b));
}
void cloned(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_array_clone(a, &b)); /* SC-6 */
    must(tn_array_release(b));
    must(tn_promise_release(p));
}
void copied(tn_array *a, double *out)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_array_copy_to_host(a, out, NULL, NULL)); /* SC-6 */
    must(tn_promise_release(p));
}
void sliced(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *row = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_array_index(a, 0, 0, &row)); /* SC-6 */
    must(tn_array_release(row));
    must(tn_promise_release(p));
}
void on_one_path(tn_array *a)
{
    tn_promise *p = NULL;
    if (chance())
        must(tn_array_give(a, 1, &p));
    must(tn_array_clear(a, 0, NULL)); /* SC-6 */
    tn_promise_release(p);
}
void taken_twice(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL, *c = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_take(1, &p, &b));
    must(tn_take(1, &p, &c)); /* SC-6 */
    must(tn_promise_release(p));
    must(tn_array_release(b));
    must(tn_array_release(c));
}
void in_a_loop(tn_array *a)
{
    for (int i = 0; i < 2; i++) {
        tn_promise *p = NULL;
        tn_array *b = NULL;
        must(tn_array_wait(a, TN_READ)); /* SC-6 */
        must(tn_array_give(a, 1, &p));
        must(tn_take(1, &p, &b));
        must(tn_promise_release(p));
        must(tn_array_release(b));
    }
}
void as_a_leaf(tn_array *a)
{
    tn_promise *p = NULL;
    tn_expr *leaf = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_expr_leaf(a, TN_FORM_FULL, &leaf)); /* SC-6 */
    must(tn_expr_release(leaf));
    must(tn_promise_release(p));
}
void by_another_name(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *same = a;
    must(tn_array_give(a, 1, &p));
    must(tn_array_clear(same, 0, NULL)); /* SC-6 */
    must(tn_promise_release(p));
}

void released(void)
{
    tn_array *a = NULL;
    tn_promise *p = NULL;
    must(NEW(a));
    must(tn_array_give(a, 1, &p));
    must(tn_array_release(a));
    keep_promise(p);
}
void cancelled(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_promise_cancel(p));
    must(tn_promise_release(p));
    must(tn_array_clear(a, 0, NULL));
}
void never_taken(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_promise_release(p));
    must(tn_array_clear(a, 0, NULL));
}
void queried(tn_array *a)
{
    tn_array_info info = {.size = sizeof info};
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_array_query(a, &info));
    must(tn_promise_release(p));
}
void clone_is_used(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    must(tn_array_clone(a, &b));
    must(tn_array_give(a, 1, &p));
    must(tn_array_clear(b, 0, NULL));
    must(tn_promise_release(p));
    must(tn_array_release(b));
}
void give_fails(tn_array *a)
{
    tn_promise *p = NULL;
    if (tn_array_give(a, 1, &p) != TN_OK) {
        must(tn_array_clear(a, 0, NULL));
        return;
    }
    must(tn_promise_release(p));
}
void of_two_variables(tn_array *a)
{
    tn_promise *p[2];
    must(tn_array_give(a, 2, &p[0]));
    must(tn_array_give(a, 2, &p[1]));
    must(tn_promise_release(p[0]));
    must(tn_promise_release(p[1]));
}
void kept_elsewhere(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    keep_promise(p);
    must(tn_array_clear(a, 0, NULL));
}
void wanted(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    if (tn_array_clear(a, 0, NULL) == TN_ERR_GIVEN)
        puts("given");
    must(tn_promise_release(p));
}
void taken_is_used(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    tn_array *b = NULL;
    must(tn_take(1, &p, &b));
    must(tn_promise_release(p));
    must(tn_array_clear(b, 0, NULL));
    must(tn_array_release(b));
}
