/*
 * Sixty planted defects, one in each function. SC-n: the checker must report the line. "missed": one function shows the defect, and the
 * checker does not see it. "run time": it takes more than one function, or values that are known at run time only. The first forty are
 * made up; the others come from c-tests that misuse the library on purpose, with `must` in place of the expected status.
 */
#include "common.h"

#define OK(call) must(call)

/* ---- the defects of first programs ---- */

int first_program(void)
{
    tn_array *weights = NULL;
    tn_borrow *writer = NULL;
    void *bytes = NULL;
    const int64_t shape[2] = {2, 3};
    if (tn_array_zeros(NULL, TN_F64, 2, shape, NULL, &weights) != TN_OK)
        return 1;
    if (tn_array_borrow_write(weights, 0, NULL, &bytes, NULL, &writer) == TN_OK) /* SC-1 */
        ((double *)bytes)[3] = 1.5;
    tn_array_release(weights);
    return 0;
}
double mean(tn_array *x, int64_t n)
{
    const void *data = NULL;
    tn_borrow *reader = NULL;
    if (tn_array_borrow_read(x, 0, NULL, &data, NULL, &reader) != TN_OK) /* SC-1 */
        return 0;
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += ((const double *)data)[i];
    if (n == 0)
        return 0;
    END(reader);
    return total / (double)n;
}
tn_status normalise(tn_array *x, int64_t n)
{
    void *bytes = NULL;
    tn_borrow *writer = NULL;
    tn_status status = tn_array_borrow_write(x, 0, NULL, &bytes, NULL, &writer); /* SC-1 */
    if (status != TN_OK)
        return status;
    double *values = bytes, largest = 0;
    for (int64_t i = 0; i < n; i++)
        if (values[i] > largest)
            largest = values[i];
    if (largest == 0)
        return TN_ERR_RANGE;
    for (int64_t i = 0; i < n; i++)
        values[i] /= largest;
    return END(writer);
}
tn_status read_file(const char *path, double *first)
{
    tn_array *array = NULL;
    tn_borrow *reader = NULL;
    const void *data = NULL;
    tn_status status = tn_array_open_npy(path, NULL, &array); /* SC-2 */
    if (status != TN_OK)
        return status;
    status = tn_array_borrow_read(array, 0, NULL, &data, NULL, &reader);
    if (status != TN_OK)
        return status;
    *first = *(const double *)data;
    END(reader);
    return tn_array_release(array);
}
double keeps_the_address(tn_array *x)
{
    const void *data = NULL;
    tn_borrow *reader = NULL;
    must(tn_array_borrow_read(x, 0, NULL, &data, NULL, &reader));
    const double *values = data;
    must(tn_borrow_end(reader, 0, NULL));
    double total = 0;
    for (int i = 0; i < 4; i++)
        total += values[i]; /* SC-8 */
    return total;
}
void releases_both_names(void)
{
    tn_array *x = NULL;
    must(NEW(x));
    tn_array *alias = x;
    must(tn_array_release(x));
    must(tn_array_release(alias)); /* SC-4 */
}
void forgets_a_view(tn_array *x)
{
    tn_array *row = NULL, *flat = NULL;
    must(tn_array_index(x, 0, 1, &row)); /* SC-2 */
    must(tn_array_ravel(row, TN_ORDER_C, &flat));
    must(tn_array_clear(flat, 0, NULL));
    must(tn_array_release(flat));
}
void replaces_without_release(tn_array *x)
{
    tn_array *y = NULL;
    must(tn_array_copy(x, NULL, NULL, &y)); /* SC-2 */
    must(tn_array_transpose(y, &y));
    must(tn_array_release(y));
}
void prints_the_wrong_message(void)
{
    tn_array *x = NULL;
    tn_status status = NEW(x);
    if (status != TN_OK) {
        tn_array_release(x);
        fprintf(stderr, "%s\n", tn_last_error()); /* SC-10 */
        return;
    }
    tn_array_release(x);
}
void ignores_a_status(tn_array *x)
{
    tn_status status = tn_array_clear(x, 0, NULL);
    if (status != TN_OK)
        return;
    status = tn_array_set_form(x, TN_FORM_FULL); /* SC-9 */
}
void writes_while_it_reads(tn_array *x)
{
    const void *data = NULL;
    void *bytes = NULL;
    tn_borrow *reader = NULL, *writer = NULL;
    must(tn_array_borrow_read(x, 0, NULL, &data, NULL, &reader));
    must(tn_array_borrow_write(x, 0, NULL, &bytes, NULL, &writer)); /* SC-7 */
    ((double *)bytes)[0] = ((const double *)data)[1];
    must(END(writer));
    must(END(reader));
}
void ends_the_wrong_guard(tn_array *x, tn_array *y)
{
    const void *data = NULL;
    tn_borrow *first = NULL, *second = NULL;
    must(READ(x, first));
    must(READ(y, second)); /* SC-1 */
    must(END(first));
    tn_borrow_end(first, 0, NULL); /* SC-4 */
}
void gives_and_goes_on(tn_array *x)
{
    tn_promise *promise = NULL;
    must(tn_array_give(x, 1, &promise));
    must(tn_array_clear(x, 0, NULL)); /* SC-6 */
    must(tn_promise_release(promise));
}
void gives_what_it_reads(tn_array *x)
{
    const void *data = NULL;
    tn_borrow *reader = NULL;
    tn_promise *promise = NULL;
    must(READ(x, reader));
    must(tn_array_give(x, 1, &promise)); /* SC-7 */
    must(END(reader));
    must(tn_promise_release(promise));
}
tn_status loses_the_promise(tn_array *x, tn_array **out)
{
    tn_promise *promise = NULL;
    tn_status status = tn_array_give(x, 1, &promise); /* SC-3 */
    if (status != TN_OK)
        return status;
    status = tn_take(1, &promise, out);
    if (status == TN_OK)
        status = tn_promise_release(promise);
    return status;
}
void takes_twice(tn_promise *promise)
{
    tn_array *a = NULL, *b = NULL;
    must(tn_take(1, &promise, &a));
    must(tn_take(1, &promise, &b)); /* SC-6 */
    must(tn_array_release(a));
    must(tn_array_release(b));
}
void uses_what_failed(void)
{
    tn_array *x = NULL;
    if (NEW(x) != TN_OK)
        must(tn_array_clear(x, 0, NULL)); /* SC-12 */
    tn_array_release(x);
}
void never_makes_it(void)
{
    tn_array *x = NULL;
    const void *data = NULL;
    tn_borrow *reader = NULL;
    must(READ(x, reader)); /* SC-12 */
    must(END(reader));
}
void leaves_in_a_switch(tn_array *x, int kind)
{
    void *bytes = NULL;
    tn_borrow *writer = NULL;
    must(WRITE(x, writer)); /* SC-1 */
    switch (kind) {
    case 0: ((double *)bytes)[0] = 0; break;
    case 1: ((double *)bytes)[0] = 1; return;
    default: break;
    }
    must(END(writer));
}
void leaks_in_each_round(int n)
{
    for (int i = 0; i < n; i++) {
        tn_array *x = NULL;
        if (NEW(x) != TN_OK) /* SC-2 */
            break;
        if (tn_array_clear(x, 0, NULL) != TN_OK)
            continue;
        tn_array_release(x);
    }
}
void ends_in_the_loop(tn_array *x, int n)
{
    const void *data = NULL;
    tn_borrow *reader = NULL;
    must(READ(x, reader)); /* SC-1 */
    for (int i = 0; i < n; i++) {
        printf("%g\n", ((const double *)data)[i]); /* SC-8 */
        tn_borrow_end(reader, 0, NULL);
    }
}
void fills_what_is_read(tn_array *x, double value)
{
    const void *data = NULL;
    tn_borrow *reader = NULL;
    must(READ(x, reader));
    must(tn_array_fill(x, &value, 0, NULL)); /* SC-7 */
    must(END(reader));
}
void releases_the_pool_first(void)
{
    tn_pool *pool = NULL;
    tn_array *x = NULL;
    must(tn_pool_create((tn_device){TN_CPU, 0}, NULL, &pool));
    must(tn_pool_release(pool));
    must(tn_array_zeros(pool, TN_F64, 0, NULL, NULL, &x)); /* SC-5 */
    must(tn_array_release(x));
}
void keeps_the_scope(tn_array *x)
{
    tn_array *mine = NULL;
    tn_scope *scope = NULL;
    must(tn_enter(1, (void *const[]){x}, &mine, &scope)); /* SC-1 */
    must(tn_array_clear(mine, 0, NULL));
}
void weak_is_a_handle(tn_array *x)
{
    tn_weak *weak = NULL;
    tn_array *again = NULL;
    must(tn_array_weaken(x, &weak)); /* SC-2 */
    must(tn_weak_upgrade(weak, &again));
    must(tn_array_release(again));
}
void expression_is_a_handle(tn_array *x)
{
    tn_expr *leaf = NULL;
    tn_array *result = NULL;
    must(tn_expr_leaf(x, TN_FORM_FULL, &leaf)); /* SC-2 */
    must(tn_expr_compute(leaf, 0, &result));
    must(tn_array_release(result));
}
void copies_from_an_old_address(tn_array *x, tn_array *y)
{
    const void *data = NULL;
    tn_borrow *reader = NULL;
    must(READ(x, reader));
    must(END(reader));
    must(tn_array_copy_from_host(y, data, NULL, 0, NULL)); /* SC-8 */
}
void shape_after_the_end(tn_array *x)
{
    tn_view_info view;
    tn_borrow *reader = NULL;
    must(tn_array_borrow_read(x, 0, NULL, NULL, &view, &reader));
    must(END(reader));
    printf("%lld rows\n", (long long)view.shape[0]); /* SC-8 */
}
void cancels_a_released_promise(tn_array *x)
{
    tn_promise *promise = NULL;
    must(tn_array_give(x, 1, &promise));
    must(tn_promise_release(promise));
    must(tn_promise_cancel(promise)); /* SC-5 */
}
void takes_away_and_uses(tn_array *x) TN_TAKES(x);
void takes_away_and_uses(tn_array *x)
{
    sink(x);
    look(x); /* SC-5 */
}

/* ---- what the checker does not see ---- */

void two_elements_of_a_list(tn_array *list[2])
{
    must(tn_array_release(list[0]));
    must(tn_array_release(list[0])); /* missed */
}
void a_field_of_its_own_struct(tn_array *x)
{
    struct {
        tn_borrow *guard[1];
    } open;
    const void *data = NULL;
    must(tn_array_borrow_read(x, 0, NULL, &data, NULL, &open.guard[0])); /* missed */
}
void a_row_and_the_whole(tn_array *x)
{
    const void *data = NULL;
    void *bytes = NULL;
    tn_array *row = NULL;
    tn_borrow *reader = NULL, *writer = NULL;
    must(tn_array_index(x, 0, 0, &row));
    must(READ(row, reader));
    must(WRITE(x, writer)); /* missed */
    must(END(writer));
    must(END(reader));
    must(tn_array_release(row));
}
double by_a_pointer_to_a_pointer(tn_array *x)
{
    const void *data = NULL;
    const void **place = &data;
    tn_borrow *reader = NULL;
    must(READ(x, reader));
    must(END(reader));
    return *(const double *)*place; /* missed */
}
static tn_borrow *open_guard;
void opens_for_the_program(tn_array *x)
{
    const void *data = NULL;
    must(READ(x, open_guard)); /* run time */
}
void closes_twice_for_the_program(void)
{
    END(open_guard);
    END(open_guard); /* missed */
}
void an_index_of_the_caller(tn_array *x, int64_t at)
{
    void *bytes = NULL;
    tn_borrow *writer = NULL;
    must(WRITE(x, writer));
    ((double *)bytes)[at] = 1; /* run time */
    must(END(writer));
}
void an_unknown_function_releases(tn_array *x)
{
    keep(x);
    must(tn_array_clear(x, 0, NULL)); /* run time */
}
void the_last_element_of_all(tn_array *x)
{
    void *bytes = NULL;
    tn_borrow *writer = NULL;
    must(WRITE(x, writer));
    must(END(writer));
    open_guard = writer; /* run time */
}
void a_wrong_kind(tn_array *x)
{
    must(tn_borrow_end((tn_borrow *)x, 0, NULL)); /* missed */
}

/* ---- c-tests: ownership.c, release.c, handles.c ---- */

void oo_3_destructed_twice(void)
{
    tn_array *a = NULL;
    tn_promise *p = NULL;
    tn_array *x = NULL;
    OK(NEW(a));
    OK(tn_array_give(a, 1, &p));
    OK(tn_take(1, &p, &x));
    OK(tn_promise_release(p));
    OK(tn_array_release(x));
    OK(tn_array_release(a));
    OK(tn_array_release(a)); /* SC-4 */
}
void oo_8_given_again(void)
{
    tn_array *a = NULL;
    tn_promise *p = NULL, *q = NULL;
    OK(NEW(a));
    OK(tn_array_give(a, 1, &p));
    OK(tn_array_give(a, 1, &q)); /* missed */
    OK(tn_promise_release(q));
    OK(tn_promise_release(p));
    OK(tn_array_release(a));
}
void oo_21_taken_after_cancel(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *x = NULL;
    OK(tn_array_give(a, 1, &p));
    OK(tn_promise_cancel(p));
    OK(tn_take(1, &p, &x)); /* missed */
    OK(tn_promise_release(p));
    OK(tn_array_release(x));
}
void oo_22_taken_twice(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *x = NULL, *y = NULL;
    OK(tn_array_give(a, 1, &p));
    OK(tn_take(1, &p, &x));
    OK(tn_take(1, &p, &y)); /* SC-6 */
    OK(tn_promise_release(p));
    OK(tn_array_release(x));
    OK(tn_array_release(y));
}
void oo_26_own_guard(tn_array *a)
{
    const void *data;
    tn_borrow *guard = NULL;
    tn_promise *p = NULL;
    OK(READ(a, guard));
    OK(tn_array_give(a, 1, &p)); /* SC-7 */
    OK(tn_promise_release(p));
    OK(END(guard));
}
void oo_28_clone_of_a_given(tn_array *a)
{
    tn_promise *p = NULL;
    tn_array *b = NULL;
    OK(tn_array_give(a, 1, &p));
    OK(tn_array_clone(a, &b)); /* SC-6 */
    OK(tn_array_release(b));
    OK(tn_promise_release(p));
}
void oo_28_weak_of_a_given(tn_array *a)
{
    tn_promise *p = NULL;
    tn_weak *w = NULL;
    OK(tn_array_give(a, 1, &p));
    OK(tn_array_weaken(a, &w)); /* SC-6 */
    OK(tn_weak_release(w));
    OK(tn_promise_release(p));
}
void oo_35_left_twice(tn_array *a)
{
    tn_array *x = NULL;
    tn_scope *scope = NULL;
    OK(tn_enter(1, (void *const[]){a}, &x, &scope));
    OK(tn_leave(scope, 0, NULL));
    OK(tn_leave(scope, 0, NULL)); /* SC-4 */
}
void th_1_released_twice(void)
{
    tn_array *a = NULL;
    OK(NEW(a));
    OK(tn_array_release(a));
    OK(tn_array_release(a)); /* SC-4 */
}
void i_14_stale_query(void)
{
    tn_array *a = NULL;
    tn_array_info info = {.size = sizeof info};
    OK(NEW(a));
    OK(tn_array_release(a));
    OK(tn_array_query(a, &info)); /* SC-5 */
}
void i_14_stale_overlap(tn_array *other)
{
    tn_array *a = NULL;
    tn_overlap relation;
    OK(NEW(a));
    OK(tn_array_release(a));
    OK(tn_array_overlap(other, a, &relation)); /* SC-5 */
}
void i_14_null(void)
{
    tn_overlap relation;
    OK(tn_array_overlap(NULL, NULL, &relation)); /* SC-12 */
}

/* ---- c-tests: borrow.c, checked.c, use_after_free.c, errors.c ---- */

void br_4_second_writer(tn_array *a)
{
    void *bytes = NULL;
    tn_borrow *first = NULL, *second = NULL;
    OK(WRITE(a, first));
    OK(WRITE(a, second)); /* SC-7 */
    OK(END(second));
    OK(END(first));
}
void br_5_reader_beside_a_writer(tn_array *a)
{
    const void *data = NULL;
    void *bytes = NULL;
    tn_borrow *writer = NULL, *reader = NULL;
    OK(WRITE(a, writer));
    OK(READ(a, reader)); /* SC-7 */
    OK(END(reader));
    OK(END(writer));
}
void ck_1_write_after_end(void)
{
    tn_array *a = NULL;
    void *bytes = NULL;
    tn_borrow *guard = NULL;
    OK(NEW(a));
    OK(WRITE(a, guard));
    double *open_pointer = bytes;
    open_pointer[3] = 1;
    OK(END(guard));
    open_pointer[2] = 2; /* SC-8 */
    OK(tn_array_release(a));
}
void ck_3_read_after_release(void)
{
    tn_array *a = NULL;
    const void *data = NULL;
    tn_borrow *guard = NULL;
    OK(NEW(a));
    OK(READ(a, guard));
    OK(END(guard));
    OK(tn_array_release(a));
    printf("%g\n", *(const double *)data); /* SC-8 */
}
void ck_write_through_a_reader(tn_array *a)
{
    const void *data = NULL;
    tn_borrow *guard = NULL;
    OK(READ(a, guard));
    ((double *)(uintptr_t)data)[0] = 1; /* missed */
    OK(END(guard));
}
void ck_write_just_behind(tn_array *a)
{
    void *bytes = NULL;
    tn_borrow *guard = NULL;
    OK(WRITE(a, guard));
    ((double *)bytes)[4] = 3; /* run time */
    OK(END(guard));
}
void use_after_free_array(void)
{
    int64_t shape[] = {10};
    tn_array *array = NULL;
    tn_borrow *guard = NULL;
    const void *bytes = NULL;
    OK(tn_array_zeros(NULL, TN_F64, 1, shape, NULL, &array));
    OK(tn_array_borrow_read(array, 0, NULL, &bytes, NULL, &guard));
    const unsigned char *data = bytes;
    OK(tn_borrow_end(guard, 0, NULL));
    OK(tn_array_release(array));
    printf("%d\n", data[8]); /* SC-8 */
}
void a_block_after_its_free(tn_pool *pool)
{
    void *block = NULL;
    OK(tn_pool_allocate(pool, 100, 0, NULL, &block));
    OK(tn_pool_deallocate(pool, block, NULL));
    memset(block, 0, 100); /* missed */
}
