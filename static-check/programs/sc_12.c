/* SC-12: a handle is used that no call has made. */
#include "common.h"

void null(void)
{
    tn_array *a = NULL;
    must(tn_array_clear(a, 0, NULL)); /* SC-12 */
}
void not_set(void)
{
    tn_array *a;
    must(tn_array_clear(a, 0, NULL)); /* SC-12 */
}
void null_literal(void)
{
    must(tn_array_clear(NULL, 0, NULL)); /* SC-12 */
}
void another_variable(void)
{
    tn_array *a = NULL, *b = NULL;
    must(NEW(a));
    must(tn_array_clear(b, 0, NULL)); /* SC-12 */
    must(tn_array_release(a));
}
void after_set_to_null(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    a = NULL;
    must(tn_array_clear(a, 0, NULL)); /* SC-12 */
}
void where_it_failed(void)
{
    tn_array *a = NULL;
    if (NEW(a) != TN_OK) {
        must(tn_array_clear(a, 0, NULL)); /* SC-12 */
        return;
    }
    must(tn_array_release(a));
}
void guard(void)
{
    tn_borrow *g = NULL;
    tn_borrow_info info = {.size = sizeof info};
    must(tn_borrow_query(g, &info)); /* SC-12 */
}
void promise(void)
{
    tn_promise *p = NULL;
    must(tn_promise_cancel(p)); /* SC-12 */
}
void tested_the_wrong_way(tn_array **out)
{
    tn_array *a = NULL;
    if (NEW(a) == TN_OK) {
        *out = a;
        return;
    }
    must(tn_array_set_name(a, "weights")); /* SC-12 */
}
void second_argument(tn_array *a)
{
    tn_array *b = NULL;
    must(tn_array_copy_into(a, b, 0, NULL)); /* SC-12 */
}

void made(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_clear(a, 0, NULL));
    must(tn_array_release(a));
}
void made_on_one_path(void)
{
    tn_array *a = NULL;
    if (chance())
        must(NEW(a));
    (void)tn_array_clear(a, 0, NULL);
    tn_array_release(a);
}
void null_is_the_default_pool(tn_array **out)
{
    tn_pool *pool = NULL;
    must(tn_array_zeros(pool, TN_F64, 0, NULL, NULL, out));
}
void null_is_the_host(tn_array *a, tn_array **out)
{
    tn_stream *stream = NULL;
    must(tn_array_copy(a, NULL, stream, out));
}
void released_null(void)
{
    tn_array *a = NULL;
    tn_array_release(a);
}
void by_another_function(void)
{
    tn_array *a = NULL;
    must(load(&a));
    must(tn_array_clear(a, 0, NULL));
    must(tn_array_release(a));
}
void wanted(void)
{
    if (tn_array_clear(NULL, 0, NULL) == TN_ERR_NULL)
        puts("NULL");
}
void parameter(tn_array *a)
{
    must(tn_array_clear(a, 0, NULL));
}
static tn_array *global;
void of_the_program(void)
{
    must(tn_array_clear(global, 0, NULL));
}
void in_a_loop(tn_array *(*next)(void))
{
    tn_array *a = NULL;
    while ((a = next()) != NULL)
        must(tn_array_clear(a, 0, NULL));
}
void filled_elsewhere(void (*fill)(tn_array **))
{
    tn_array *a = NULL;
    fill(&a);
    must(tn_array_clear(a, 0, NULL));
    must(tn_array_release(a));
}
