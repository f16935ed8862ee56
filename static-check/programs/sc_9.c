/* SC-9: nobody looks at a status. */
#include "common.h"

void overwritten(tn_array *a)
{
    tn_status status = tn_array_clear(a, 0, NULL); /* SC-9 */
    status = tn_array_wait(a, TN_READ);
    must(status);
}
void never_read(tn_array *a)
{
    tn_status status;
    status = tn_array_clear(a, 0, NULL); /* SC-9 */
}
void of_an_end(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    tn_status status = READ(a, g);
    if (status != TN_OK)
        return;
    status = END(g); /* SC-9 */
}
void without_a_variable(tn_array *a)
{
    tn_array_clear(a, 0, NULL); /* SC-9 */
}
void before_another_test(tn_array *a, tn_array *b)
{
    tn_status status = tn_array_clear(a, 0, NULL); /* SC-9 */
    if ((status = tn_array_clear(b, 0, NULL)) != TN_OK)
        puts(tn_last_error());
}
void in_a_loop(tn_array *a)
{
    for (int i = 0; i < 3; i++) {
        tn_status status = tn_array_clear(a, 0, NULL); /* SC-9 */
    }
}
void in_a_block(tn_array *a)
{
    if (chance()) {
        tn_status failed = tn_array_heal(a); /* SC-9 */
    }
}
void of_a_release(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    tn_status status = tn_array_release(a); /* SC-9 */
}
void second_of_two(tn_array *a, tn_array *b)
{
    tn_status first = tn_array_clear(a, 0, NULL);
    tn_status second = tn_array_clear(b, 0, NULL); /* SC-9 */
    must(first);
}
void behind_a_comma(tn_array *a)
{
    TN_HERE, tn_array_clear(a, 0, NULL); /* SC-9 */
}

tn_status returned(tn_array *a)
{
    tn_status status = tn_array_clear(a, 0, NULL);
    return status;
}
void tested(tn_array *a)
{
    tn_status status = tn_array_clear(a, 0, NULL);
    if (status != TN_OK)
        puts(tn_last_error());
}
void dropped_on_purpose(tn_array *a)
{
    (void)tn_array_clear(a, 0, NULL);
}
void of_a_release_without_a_variable(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    tn_array_release(a);
}
void checked_by_another(tn_array *a)
{
    must(tn_array_clear(a, 0, NULL));
}
tn_status the_first_failure(tn_array *a, tn_array *b)
{
    tn_status first = tn_array_clear(a, 0, NULL);
    tn_status second = tn_array_clear(b, 0, NULL);
    return first != TN_OK ? first : second;
}
tn_status chained(tn_array *a)
{
    tn_status status = tn_array_clear(a, 0, NULL);
    if (status == TN_OK)
        status = tn_array_wait(a, TN_READ);
    return status;
}
int in_a_condition(tn_array *a)
{
    tn_status status;
    if ((status = tn_array_clear(a, 0, NULL)) != TN_OK)
        return 1;
    return 0;
}
int counted(tn_array *a)
{
    int failures = 0;
    failures += tn_array_clear(a, 0, NULL) != TN_OK;
    return failures;
}
void by_a_switch(tn_array *a)
{
    switch (tn_array_clear(a, 0, NULL)) {
    case TN_OK: break;
    default: puts(tn_last_error());
    }
}
void written_out(tn_array *a, tn_status *out)
{
    *out = tn_array_clear(a, 0, NULL);
}
