/* SC-11: what is made has no call site; asked for by --sites. */
#include "common.h"

void an_array(tn_array **out)
{
    must(tn_array_zeros(NULL, TN_F64, 0, NULL, NULL, out)); /* SC-11 */
}
void a_guard(tn_array *a, tn_borrow **out)
{
    must(tn_array_borrow_read(a, 0, NULL, NULL, NULL, out)); /* SC-11 */
}
void a_promise(tn_array *a, tn_promise **out)
{
    must(tn_array_give(a, 1, out)); /* SC-11 */
}
void a_clone(tn_array *a, tn_array **out)
{
    must(tn_array_clone(a, out)); /* SC-11 */
}
void a_view(tn_array *a, tn_array **out)
{
    must(tn_array_index(a, 0, 0, out)); /* SC-11 */
}
void a_copy(tn_array *a, tn_array **out)
{
    must(tn_array_copy(a, NULL, NULL, out)); /* SC-11 */
}
void a_pool(tn_pool **out)
{
    must(tn_pool_create((tn_device){TN_CPU, 0}, NULL, out)); /* SC-11 */
}
void taken(tn_promise *p, tn_array **out)
{
    must(tn_take(1, &p, out)); /* SC-11 */
}
void before_the_site(tn_array *a, tn_array **out)
{
    must(tn_array_clone(a, out)); /* SC-11 */
    TN_HERE;
}
void weak(tn_array *a, tn_weak **out)
{
    must(tn_array_weaken(a, out)); /* SC-11 */
}

void an_array_with(tn_array **out)
{
    TN_HERE;
    must(tn_array_zeros(NULL, TN_F64, 0, NULL, NULL, out));
}
void a_guard_with(tn_array *a, tn_borrow **out)
{
    TN_HERE;
    must(tn_array_borrow_read(a, 0, NULL, NULL, NULL, out));
}
void a_promise_with(tn_array *a, tn_promise **out)
{
    TN_HERE;
    must(tn_array_give(a, 1, out));
}
void one_for_two(tn_array *a, tn_array **x, tn_array **y)
{
    TN_HERE;
    must(tn_array_clone(a, x));
    must(tn_array_clone(a, y));
}
void by_the_function(tn_array *a, tn_array **out, const char *file)
{
    tn_here(file, 1);
    must(tn_array_clone(a, out));
}
void makes_nothing(tn_array *a)
{
    must(tn_array_clear(a, 0, NULL));
}
void ends(tn_array *a)
{
    must(tn_array_release(a));
}
void queries(tn_array *a)
{
    int32_t is_unique;
    must(tn_array_is_unique(a, &is_unique));
}
void in_a_condition(tn_array *a, tn_array **out)
{
    if (TN_HERE == TN_OK)
        must(tn_array_clone(a, out));
}
void copies(tn_array *a, tn_array *b)
{
    must(tn_array_copy_into(a, b, 0, NULL));
}
