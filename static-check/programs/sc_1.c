/* SC-1: a guard or a scope is not ended. */
#include "common.h"

void forgotten(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g)); /* SC-1 */
    printf("%g\n", ((const double *)data)[0]);
}
int returns_early(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    if (READ(a, g) != TN_OK) /* SC-1 */
        return 1;
    if (((const double *)data)[0] < 0)
        return 2;
    END(g);
    return 0;
}
void only_one_of_two(tn_array *a, tn_array *b)
{
    const void *data;
    tn_borrow *g = NULL, *h = NULL;
    must(READ(a, g));
    must(READ(b, h)); /* SC-1 */
    END(g);
}
void opened_twice(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g)); /* SC-1 */
    must(READ(a, g));
    END(g);
}
void in_a_loop(tn_array *a, int n)
{
    const void *data;
    for (int i = 0; i < n; i++) {
        tn_borrow *g = NULL;
        must(READ(a, g)); /* SC-1 */
        if (chance())
            continue;
        END(g);
    }
}
void leaves_a_loop(tn_array *a)
{
    void *bytes;
    while (chance()) {
        tn_borrow *g = NULL;
        if (WRITE(a, g) != TN_OK) /* SC-1 */
            continue;
        if (((double *)bytes)[0] > 1)
            break;
        END(g);
    }
}
tn_status second_fails(tn_array *a, tn_array *b)
{
    const void *data;
    tn_borrow *g = NULL, *h = NULL;
    tn_status status = READ(a, g); /* SC-1 */
    if (status != TN_OK)
        return status;
    status = READ(b, h);
    if (status != TN_OK)
        return status;
    status = END(h);
    END(g);
    return status;
}
void wrong_switch(tn_array *a, int how)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g)); /* SC-1 */
    switch (how) {
    case 1: END(g); break;
    case 2: break;
    default: END(g);
    }
}
void scope_is_not_left(tn_array *a)
{
    tn_array *mine = NULL;
    tn_scope *scope = NULL;
    must(tn_enter(1, (void *const[]){a}, &mine, &scope)); /* SC-1 */
    look(mine);
}
int lost_by_goto(tn_array *a)
{
    void *bytes;
    tn_borrow *g = NULL;
    int result = 1;
    if (WRITE(a, g) != TN_OK) /* SC-1 */
        return 1;
    if (chance())
        goto out;
    END(g);
    result = 0;
out:
    return result;
}

void ended(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    printf("%g\n", ((const double *)data)[0]);
    must(END(g));
}
tn_status chained(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    tn_status status = READ(a, g);
    if (status == TN_OK)
        status = END(g);
    return status;
}
int by_goto(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    int result = 1;
    if (READ(a, g) != TN_OK)
        goto out;
    if (((const double *)data)[0] < 0)
        goto end;
    result = 0;
end:
    END(g);
out:
    return result;
}
void if_there(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    if (chance())
        must(READ(a, g));
    if (g != NULL)
        END(g);
}
void same_condition(tn_array *a, int writes)
{
    void *bytes;
    tn_borrow *g = NULL;
    if (writes)
        must(WRITE(a, g));
    look(a);
    if (writes)
        must(END(g));
}
void by_another_function(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    done(g);
}
void handed_out(tn_array *a, tn_borrow **out)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    *out = g;
}
void in_each_round(tn_array *a)
{
    const void *data;
    for (int i = 0; i < 3; i++) {
        tn_borrow *g = NULL;
        must(READ(a, g));
        if (((const double *)data)[i] < 0) {
            END(g);
            break;
        }
        END(g);
    }
}
void scope_is_left(tn_array *a)
{
    tn_array *mine = NULL;
    tn_scope *scope = NULL;
    must(tn_enter(1, (void *const[]){a}, &mine, &scope));
    look(mine);
    must(tn_leave(scope, 0, NULL));
}
void gives_up(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    if (((const double *)data)[0] < 0)
        abort();
    END(g);
}
