/* SC-5: a handle is used after its end. */
#include "common.h"

void queried(void)
{
    tn_array *a = NULL;
    tn_array_info info = {.size = sizeof info};
    must(NEW(a));
    must(tn_array_release(a));
    must(tn_array_query(a, &info)); /* SC-5 */
}
void borrowed(void)
{
    const void *data;
    tn_array *a = NULL;
    tn_borrow *g = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    must(READ(a, g)); /* SC-5 */
    END(g);
}
void on_one_path(void)
{
    tn_array *a = NULL, *b = NULL;
    must(NEW(a));
    if (chance())
        tn_array_release(a);
    must(tn_array_clone(a, &b)); /* SC-5 */
    tn_array_release(b);
    keep(a);
}
void by_its_own_function(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    look(a); /* SC-5 */
}
void a_guard(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    tn_borrow_info info = {.size = sizeof info};
    must(READ(a, g));
    must(END(g));
    must(tn_borrow_query(g, &info)); /* SC-5 */
}
void a_pool(void)
{
    tn_pool *pool = NULL;
    tn_array *a = NULL;
    must(tn_pool_create((tn_device){TN_CPU, 0}, NULL, &pool));
    must(tn_pool_release(pool));
    must(tn_array_zeros(pool, TN_F64, 1, (const int64_t[]){4}, NULL, &a)); /* SC-5 */
    must(tn_array_release(a));
}
void in_a_loop(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    for (int i = 0; i < 3; i++) {
        look(a); /* SC-5 */
        tn_array_release(a);
    }
}
void a_promise(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    must(tn_array_give(a, 1, &p));
    must(tn_promise_release(p));
    must(tn_take(1, &p, &b)); /* SC-5 */
    must(tn_array_release(b));
}
void taken_by_another(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    sink(a);
    must(tn_array_set_name(a, "gone")); /* SC-5 */
}
void by_two_names(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    tn_array *same = a;
    must(tn_array_release(a));
    must(tn_array_clear(same, 0, NULL)); /* SC-5 */
}

void before(void)
{
    tn_array *a = NULL;
    tn_array_info info = {.size = sizeof info};
    must(NEW(a));
    must(tn_array_query(a, &info));
    must(tn_array_release(a));
}
void view_outlives(void)
{
    tn_array *a = NULL, *row = NULL;
    must(NEW(a));
    must(tn_array_index(a, 0, 1, &row));
    must(tn_array_release(a));
    look(row);
    must(tn_array_release(row));
}
void guard_outlives(void)
{
    const void *data;
    tn_array *a = NULL;
    tn_borrow *g = NULL;
    must(NEW(a));
    must(READ(a, g));
    must(tn_array_release(a));
    printf("%g\n", ((const double *)data)[0]);
    must(END(g));
}
void again_made(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    must(NEW(a));
    look(a);
    must(tn_array_release(a));
}
void wanted(void)
{
    tn_array *a = NULL;
    tn_array_info info = {.size = sizeof info};
    must(NEW(a));
    must(tn_array_release(a));
    if (tn_array_query(a, &info) == TN_ERR_STALE)
        puts("stale");
}
void remembered(int early)
{
    tn_array *a = NULL;
    must(NEW(a));
    if (early)
        tn_array_release(a);
    if (!early) {
        look(a);
        tn_array_release(a);
    }
}
void compared(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    tn_array *old = a;
    must(tn_array_release(a));
    must(NEW(a));
    if (a == old)
        puts("equal");
    must(tn_array_release(a));
}
void pool_of_an_array(void)
{
    tn_pool *pool = NULL;
    tn_array *a = NULL;
    must(tn_pool_create((tn_device){TN_CPU, 0}, NULL, &pool));
    must(tn_array_zeros(pool, TN_F64, 1, (const int64_t[]){4}, NULL, &a));
    must(tn_pool_release(pool));
    look(a);
    must(tn_array_release(a));
}
void allowed(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    must(tn_array_release(a));
    look(a); /* tenure-check: allow SC-5 */
}
void from_elsewhere(tn_array *(*next)(void))
{
    tn_array *a = next();
    while (a != NULL) {
        look(a);
        tn_array_release(a);
        a = next();
    }
}
