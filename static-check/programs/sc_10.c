/* SC-10: the message is read after another call may have replaced it. */
#include "common.h"

void released_before(tn_array *a)
{
    tn_array *b = NULL;
    if (tn_array_clone(a, &b) != TN_OK) {
        tn_array_release(b);
        puts(tn_last_error()); /* SC-10 */
        return;
    }
    tn_array_release(b);
}
tn_status chained(void)
{
    tn_array *a = NULL;
    tn_status status = NEW(a);
    if (status == TN_OK)
        status = tn_array_clear(a, 0, NULL);
    tn_array_release(a);
    if (status != TN_OK)
        puts(tn_last_error()); /* SC-10 */
    return status;
}
void ended_before(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    tn_status status = READ(a, g);
    END(g);
    if (status != TN_OK)
        puts(tn_last_error()); /* SC-10 */
}
void called_before(tn_array *a)
{
    if (tn_array_clear(a, 0, NULL) != TN_OK) {
        (void)tn_array_heal(a);
        puts(tn_last_error()); /* SC-10 */
    }
}
int by_goto(tn_array *a)
{
    tn_array *b = NULL;
    tn_status status = tn_array_clone(a, &b);
    if (status != TN_OK)
        goto out;
    status = tn_array_clear(b, 0, NULL);
out:
    tn_array_release(b);
    if (status != TN_OK)
        fprintf(stderr, "%s\n", tn_last_error()); /* SC-10 */
    return status != TN_OK;
}
void promise_first(tn_array *a)
{
    tn_promise *p = NULL;
    if (tn_array_give(a, 1, &p) != TN_OK) {
        tn_promise_release(p);
        printf("%s\n", tn_last_error()); /* SC-10 */
        return;
    }
    tn_promise_release(p);
}
void pool_first(void)
{
    tn_pool *pool = NULL;
    tn_status status = tn_pool_create((tn_device){TN_CPU, 0}, NULL, &pool);
    tn_pool_release(pool);
    if (status != TN_OK)
        puts(tn_last_error()); /* SC-10 */
}
void copied_before(tn_array *a, char *text)
{
    if (tn_array_clear(a, 0, NULL) != TN_OK) {
        (void)tn_array_wait(a, TN_READ);
        strcpy(text, tn_last_error()); /* SC-10 */
    }
}
void null_literal(tn_array *a)
{
    if (tn_array_clear(a, 0, NULL) != TN_OK) {
        tn_borrow_end(NULL, 0, NULL);
        puts(tn_last_error()); /* SC-10 */
    }
}
void two_releases(void)
{
    tn_array *a = NULL, *b = NULL;
    tn_status status = NEW(a);
    if (status == TN_OK)
        status = NEW(b);
    tn_array_release(a);
    tn_array_release(b);
    if (status != TN_OK)
        puts(tn_last_error()); /* SC-10 */
}

void at_once(tn_array *a)
{
    if (tn_array_clear(a, 0, NULL) != TN_OK)
        puts(tn_last_error());
}
void name_first(tn_array *a)
{
    tn_status status = tn_array_clear(a, 0, NULL);
    if (status != TN_OK)
        printf("%s: %s\n", tn_status_name(status), tn_last_error());
}
void then_released(tn_array *a)
{
    tn_array *b = NULL;
    tn_status status = tn_array_clone(a, &b);
    if (status != TN_OK)
        puts(tn_last_error());
    tn_array_release(b);
}
void a_live_handle_first(void)
{
    tn_array *a = NULL;
    must(NEW(a));
    tn_status status = tn_array_clear(a, 0, NULL);
    tn_array_release(a);
    if (status != TN_OK)
        puts(tn_last_error());
}
void a_live_guard_first(tn_array *a, tn_array *b)
{
    const void *data;
    tn_borrow *g = NULL;
    must(READ(a, g));
    if (tn_array_clear(b, 0, NULL) != TN_OK) {
        END(g);
        puts(tn_last_error());
        return;
    }
    END(g);
}
void only_what_is_there(void)
{
    tn_array *a = NULL;
    tn_status status = NEW(a);
    if (status == TN_OK)
        status = tn_array_clear(a, 0, NULL);
    if (a != NULL)
        tn_array_release(a);
    if (status != TN_OK)
        puts(tn_last_error());
}
void of_the_second(tn_array *a)
{
    if (tn_array_clear(a, 0, NULL) != TN_OK && tn_array_heal(a) != TN_OK)
        puts(tn_last_error());
}
void other_functions(tn_array *a)
{
    if (tn_array_clear(a, 0, NULL) != TN_OK) {
        fflush(stdout);
        puts(tn_last_error());
    }
}
void nothing_failed(tn_array *a)
{
    must(tn_array_clear(a, 0, NULL));
    (void)tn_array_heal(a);
    puts(tn_last_error());
}
void saved(tn_array *a)
{
    char text[512];
    tn_array *b = NULL;
    if (tn_array_clone(a, &b) != TN_OK) {
        snprintf(text, sizeof text, "%s", tn_last_error());
        tn_array_release(b);
        puts(text);
        return;
    }
    tn_array_release(b);
}
