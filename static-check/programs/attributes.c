/*
 * What clang's -Wthread-safety says with TN_STATIC_CHECKS. `WARNS` marks a line with a warning; no other line has one. Handles that come
 * from elsewhere are annotated, and functions return early if a call fails.
 */
#include "common.h"

int not_ended(tn_array *a) TN_BORROWS(a);
int not_ended(tn_array *a)
{
    const void *data;
    tn_borrow *g = NULL;
    if (READ(a, g) != TN_OK)
        return 1;
    return 0;
} /* WARNS */
int not_released(void)
{
    tn_array *a = NULL;
    if (NEW(a) != TN_OK)
        return 1;
    if (chance())
        return 2;
    tn_array_release(a);
    return 0;
} /* WARNS */
int promise_lost(tn_array *a) TN_BORROWS(a);
int promise_lost(tn_array *a)
{
    tn_promise *p = NULL;
    if (tn_array_give(a, 1, &p) != TN_OK)
        return 1;
    return 0;
} /* WARNS */
void ended_twice(tn_array *a) TN_TAKES(a);
void ended_twice(tn_array *a)
{
    tn_array_release(a);
    tn_array_release(a); /* WARNS */
}
int used_after_end(tn_array *a) TN_TAKES(a);
int used_after_end(tn_array *a)
{
    tn_array_release(a);
    if (tn_array_clear(a, 0, NULL) != TN_OK) /* WARNS */
        return 1;
    return 0;
}
int passed_after_end(void)
{
    tn_array *a = NULL;
    if (load(&a) != TN_OK)
        return 1;
    sink(a);
    look(a); /* WARNS */
    return 0;
}
int not_made(void)
{
    tn_array *a = NULL;
    if (tn_array_clear(a, 0, NULL) != TN_OK) /* WARNS */
        return 1;
    return 0;
}

int all_right(void)
{
    const void *data;
    tn_array *a = NULL, *b = NULL;
    tn_borrow *g = NULL;
    tn_promise *p = NULL;
    if (NEW(a) != TN_OK)
        return 1;
    if (tn_array_clone(a, &b) != TN_OK) {
        tn_array_release(a);
        return 1;
    }
    if (READ(b, g) == TN_OK) {
        printf("%g\n", ((const double *)data)[0]);
        tn_borrow_end(g, 0, NULL);
    }
    tn_status status = tn_array_give(a, 1, &p);
    if (status == TN_OK)
        tn_promise_release(p);
    sink(b);
    tn_array_release(a);
    return 0;
}
void passes_on(tn_array *a) TN_TAKES(a);
void passes_on(tn_array *a)
{
    look(a);
    sink(a);
}
int makes(tn_array **out) TN_CHECKED(no_thread_safety_analysis);
int makes(tn_array **out)
{
    return NEW(*out) != TN_OK;
}
