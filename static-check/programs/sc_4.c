/* SC-4: a handle is ended twice. */
#include "common.h"

void twice(tn_array *a) TN_TAKES(a);
void twice(tn_array *a)
{
    must(tn_array_release(a));
    must(tn_array_release(a)); /* SC-4 */
}
void on_one_path(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    if (chance())
        tn_array_release(a);
    else
        look(a);
    if (chance())
        tn_array_release(a); /* SC-4 */
    else
        sink(a); /* SC-4 */
}
void a_guard(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    must(END(g));
    must(END(g)); /* SC-4 */
}
void by_two_names(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    tn_array *same = a;
    must(tn_array_release(a));
    must(tn_array_release(same)); /* SC-4 */
}
void by_goto(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    if (chance()) {
        tn_array_release(a);
        goto out;
    }
    look(a);
out:
    tn_array_release(a); /* SC-4 */
}
void in_a_loop(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    for (int i = 0; i < 2; i++)
        END(g); /* SC-4 */
}
void by_another_function(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    done(g);
    END(g); /* SC-4 */
}
static void finish(tn_array *a)
{
    must(tn_array_release(a));
}
void by_its_own_function(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    finish(a);
    must(tn_array_release(a)); /* SC-4 */
}
void a_promise(tn_array *a)
{
    tn_promise *p = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_promise_release(p));
    must(tn_promise_release(p)); /* SC-4 */
}
tn_status and_again_where_it_failed(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    tn_status status = READ(a, g);
    if (status != TN_OK)
        return status;
    status = END(g);
    if (status == TN_OK)
        status = END(g); /* SC-4 */
    return status;
}
void a_pool(void)
{
    tn_pool *pool = NULL;
    must(tn_pool_create((tn_device){TN_CPU, 0}, NULL, &pool));
    must(tn_pool_release(pool));
    must(tn_pool_release(pool)); /* SC-4 */
}

void once(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
}
void either_or(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    if (chance())
        tn_array_release(a);
    else
        sink(a);
}
void again_made(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    must(NEW(a));
    must(tn_array_release(a));
}
void set_to_null(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    a = NULL;
    tn_array_release(a);
}
void a_clone(void)
{
    tn_array *a = NULL, *b = NULL;
    must(NEW(a));
    must(tn_array_clone(a, &b));
    must(tn_array_release(a));
    must(tn_array_release(b));
}
void wanted(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    if (tn_array_release(a) == TN_ERR_STALE)
        puts("stale");
}
void shown(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    puts(tn_status_name(tn_array_release(a)));
}
void in_a_loop_of_new_ones(void)
{
    for (int i = 0; i < 4; i++) {
        tn_array *a = NULL;
        must(NEW(a));
        must(tn_array_release(a));
    }
}
void remembered(void)
{
    tn_array *a = NULL;
    int is_released = 0;
    must(NEW(a));
    if (chance()) {
        tn_array_release(a);
        is_released = 1;
    }
    if (!is_released)
        tn_array_release(a);
}
void of_a_list(tn_array **list, int n)
{
    for (int i = 0; i < n; i++)
        must(tn_array_release(list[i]));
}
