/* SC-3: a promise is not released. */
#include "common.h"

void forgotten(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p)); /* SC-3 */
}
void taken_and_forgotten(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    must(tn_array_give(a, 1, &p)); /* SC-3 */
    must(tn_take(1, &p, &b));
    must(tn_array_release(b));
}
tn_status take_fails(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    tn_status status = tn_array_give(a, 1, &p); /* SC-3 */
    if (status != TN_OK)
        return status;
    status = tn_take(1, &p, &b);
    if (status != TN_OK)
        return status;
    tn_promise_release(p);
    return tn_array_release(b);
}
void cancelled_and_forgotten(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p)); /* SC-3 */
    must(tn_promise_cancel(p));
}
void given_twice(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 2, &p)); /* SC-3 */
    must(tn_array_give(a, 2, &p));
    must(tn_promise_release(p));
}
void returns_early(tn_array *a)
{
    tn_promise *p = NULL;
    if (tn_array_give(a, 1, &p) != TN_OK) /* SC-3 */
        return;
    if (chance())
        return;
    tn_promise_release(p);
}
void in_a_loop(tn_array *a)
{
    while (chance()) {
        tn_promise *p = NULL;
        must(tn_array_give(a, 1, &p)); /* SC-3 */
        if (chance())
            break;
        must(tn_promise_release(p));
    }
}
void one_of_two(tn_array *a, tn_array *b)
{
    tn_promise *p = NULL, *q = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_array_give(b, 1, &q)); /* SC-3 */
    must(tn_promise_release(p));
}
void set_to_null(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p)); /* SC-3 */
    p = NULL;
    tn_promise_release(p);
}
void entered(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *mine = NULL;
    tn_scope *scope = NULL;
    must(tn_array_give(a, 1, &p)); /* SC-3 */
    must(tn_enter(1, (void *const[]){p}, &mine, &scope));
    must(tn_leave(scope, 0, NULL));
}

void released(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_promise_release(p));
}
void taken(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_take(1, &p, &b));
    must(tn_promise_release(p));
    must(tn_array_release(b));
}
tn_promise *returned(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    return p;
}
void handed_out(tn_array *a, tn_promise **out)
{
    must(tn_array_give(a, 1, out));
}
void kept_by_another(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    keep_promise(p);
}
tn_status all_paths(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    tn_status status = tn_array_give(a, 1, &p);
    if (status != TN_OK)
        return status;
    status = tn_take(1, &p, &b);
    tn_promise_release(p);
    if (status == TN_OK)
        status = tn_array_release(b);
    return status;
}
void by_goto(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    if (tn_array_give(a, 1, &p) != TN_OK)
        return;
    if (tn_take(1, &p, &b) != TN_OK)
        goto out;
    tn_array_release(b);
out:
    tn_promise_release(p);
}
void several(tn_array *a, tn_array *b)
{
    tn_promise *p[2];
    tn_array *taken[2];
    must(tn_array_give(a, 1, &p[0]));
    must(tn_array_give(b, 1, &p[1]));
    must(tn_take(2, p, taken));
    for (int i = 0; i < 2; i++) {
        must(tn_promise_release(p[i]));
        must(tn_array_release(taken[i]));
    }
}
void if_it_was_made(tn_array *a)
{
    tn_promise *p = NULL;
    if (chance())
        must(tn_array_give(a, 1, &p));
    if (p)
        must(tn_promise_release(p));
}
void two_names(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    tn_promise *q = p;
    must(tn_promise_release(q));
}
