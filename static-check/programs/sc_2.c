/* SC-2: a handle is not released. */
#include "common.h"

void forgotten(void)
{
    tn_array *a = NULL;
    must(NEW(a)); /* SC-2 */
    look(a);
}
int returns_early(void)
{
    tn_array *a = NULL;
    if (NEW(a) != TN_OK) /* SC-2 */
        return 1;
    if (chance())
        return 2;
    tn_array_release(a);
    return 0;
}
void overwritten(tn_array *a)
{
    tn_array *b = NULL;
    must(tn_array_clone(a, &b)); /* SC-2 */
    must(tn_array_copy(a, NULL, NULL, &b));
    tn_array_release(b);
}
void set_to_null(void)
{
    tn_array *a = NULL;
    must(NEW(a)); /* SC-2 */
    a = NULL;
    tn_array_release(a);
}
void view_is_a_handle(tn_array *a)
{
    tn_array *row = NULL;
    must(tn_array_index(a, 0, 1, &row)); /* SC-2 */
    look(row);
    look(a);
}
tn_status second_fails(void)
{
    tn_array *a = NULL, *b = NULL;
    tn_status status = NEW(a); /* SC-2 */
    if (status != TN_OK)
        return status;
    status = NEW(b);
    if (status != TN_OK)
        return status;
    tn_array_release(b);
    tn_array_release(a);
    return TN_OK;
}
void given_is_released_too(void)
{
    tn_array *a = NULL, *b = NULL;
    tn_promise *p = NULL;
    must(NEW(a)); /* SC-2 */
    must(tn_array_give(a, 1, &p));
    must(tn_take(1, &p, &b));
    must(tn_promise_release(p));
    must(tn_array_release(b));
}
void a_pool(void)
{
    tn_pool *pool = NULL;
    must(tn_pool_create((tn_device){TN_CPU, 0}, NULL, &pool)); /* SC-2 */
}
void in_a_loop(int n)
{
    for (int i = 0; i < n; i++) {
        tn_array *a = NULL;
        must(NEW(a)); /* SC-2 */
        if (chance())
            continue;
        tn_array_release(a);
    }
}
void annotated(void)
{
    tn_array *a = NULL;
    must(load(&a)); /* SC-2 */
    look(a);
}
void taken_and_kept(tn_array *a) TN_TAKES(a);
void taken_and_kept(tn_array *a /* SC-2 */)
{
    if (chance())
        tn_array_release(a);
}

void released(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    look(a);
    must(tn_array_release(a));
}
tn_array *returned(void)
{
    tn_array *a = NULL;
    return NEW(a) == TN_OK ? a : NULL;
}
tn_status handed_out(tn_array **out)
{
    tn_array *a = NULL;
    tn_status status = NEW(a);
    if (status == TN_OK)
        *out = a;
    return status;
}
static tn_array *global;
void in_a_global(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    global = a;
    must(tn_array_clone(a, &global));
}
struct model {
    tn_array *weights;
};
void in_a_struct(struct model *model)
{
    must(NEW(model->weights));
}
tn_status all_or_none(tn_array **x, tn_array **y)
{
    tn_array *a = NULL, *b = NULL;
    tn_status status = NEW(a);
    if (status == TN_OK)
        status = NEW(b);
    if (status != TN_OK) {
        tn_array_release(a);
        return status;
    }
    *x = a;
    *y = b;
    return TN_OK;
}
void in_a_list(void)
{
    tn_array *list[4];
    for (int i = 0; i < 4; i++)
        must(NEW(list[i]));
    for (int i = 0; i < 4; i++)
        must(tn_array_release(list[i]));
}
void taken_by_another(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    sink(a);
}
void kept_by_another(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    keep(a);
}
void in_reverse(void)
{
    tn_array *a = NULL, *b = NULL;
    if (NEW(a) == TN_OK) {
        if (tn_array_clone(a, &b) == TN_OK)
            tn_array_release(b);
        tn_array_release(a);
    }
}
void ends_the_process(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    exit(0);
}
void takes(tn_array *a) TN_TAKES(a);
void takes(tn_array *a)
{
    look(a);
    tn_array_release(a);
}
