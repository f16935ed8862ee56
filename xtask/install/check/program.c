/* A program on the installed library: makes an array, asks who holds it, and releases it. */
#include <stdio.h>
#include <tenure.h>

int main(void)
{
    const int64_t shape[2] = {2, 3};
    tn_array *array = NULL;
    tn_borrow *guard = NULL;
    const void *data = NULL;
    size_t holders = 0, leaks = 1;
    tn_status status = tn_array_zeros(NULL, TN_F64, 2, shape, NULL, &array);
    if (status == TN_OK)
        status = tn_array_borrow_read(array, 0, NULL, &data, NULL, &guard);
    if (status == TN_OK)
        status = tn_holders_of(data, 48, sizeof(tn_holder), 0, NULL, NULL, &holders);
    if (status == TN_OK)
        status = tn_borrow_end(guard, 0, NULL);
    if (status == TN_OK)
        status = tn_array_release(array);
    if (status == TN_OK)
        status = tn_leaks(sizeof(tn_holder), 0, NULL, &leaks);
    if (status != TN_OK) {
        puts(tn_last_error());
        return 1;
    }
    printf("tenure %u.%u: %zu holders\n", tn_version() >> 16, tn_version() >> 8 & 0xff, holders);
    return leaks != 0 || holders != 2;
}
