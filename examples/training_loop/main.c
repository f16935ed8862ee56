/*
 * main.c - trains on handwritten digits, and reads the weights between the steps without a copy.
 *
 * gcc main.c training_loop.c -I target/dist/include -L target/dist/lib -ltenure -lm -Wl,-rpath,$PWD/target/dist/lib
 *
 * It runs in this folder, or takes the path of the digits.
 */
#include "training_loop.h"
#include <stdio.h>
#include <stdlib.h>

enum { TRAINED = 1500, STEPS = 300, WARM_UP = 3 };

static void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "%s: %s\n", tn_status_name(status), tn_last_error());
    exit(1);
}

/* Allocations of the host's pool so far. */
static uint64_t allocations(void)
{
    tn_pool *pool = NULL;
    tn_pool_stats stats = {.size = sizeof stats};
    must(tn_pool_default((tn_device){TN_CPU, 0}, &pool));
    must(tn_pool_query(pool, &stats));
    must(tn_pool_release(pool));
    return stats.allocation_count;
}

/* Copies that the library made so far. */
static uint64_t copies(void)
{
    tn_copy_site sites[64];
    size_t n = 0;
    uint64_t count = 0;
    must(tn_copies_query(sizeof *sites, 64, sites, &n));
    for (size_t i = 0; i < n && i < 64; i++)
        count += sites[i].count;
    return count;
}

/* How many of the digits the variable's weights recognise. */
static int recognised(tn_shared *weights, tn_array *digits)
{
    tn_array *value = NULL;
    must(tn_shared_get(weights, TN_RAW | TN_REQUIRE_BORROW, &value, NULL));
    const tn_borrow_spec specs[] = {{.array = value, .access = TN_READ}, {.array = digits, .access = TN_READ}};
    tn_view_info views[2];
    tn_borrow *guard = NULL;
    must(tn_borrow_all(2, specs, views, &guard));
    const double(*w)[CLASSES] = views[0].data;
    int right = 0;
    for (int64_t row = 0; row < views[1].shape[0]; row++) {
        const uint8_t *digit = (const uint8_t *)views[1].data + row * views[1].strides[0];
        double scores[CLASSES];
        int best = 0;
        for (int c = 0; c < CLASSES; c++) {
            scores[c] = w[PIXELS][c];
            for (int i = 0; i < PIXELS; i++)
                scores[c] += w[i][c] * digit[i] / 16.0;
            best = scores[c] > scores[best] ? c : best;
        }
        right += best == digit[PIXELS];
    }
    must(tn_borrow_end(guard, 0, NULL));
    must(tn_array_release(value));
    return right;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "../handover/data/digits.npy";
    tn_array *digits = NULL, *known = NULL, *new = NULL, *zeros = NULL;
    must(tn_array_open_npy(path, NULL, &digits));
    must(tn_array_slice(digits, 1, &(tn_slice_spec){.start = TN_NONE, .stop = TRAINED, .step = TN_NONE}, &known));
    must(tn_array_slice(digits, 1, &(tn_slice_spec){.start = TRAINED, .stop = TN_NONE, .step = TN_NONE}, &new));

    tn_shared *weights = NULL;
    tn_function *step = NULL;
    const tn_shared_options named = {.size = sizeof named, .name = "weights"};
    must(tn_array_zeros(NULL, TN_F64, 2, (int64_t[]){WEIGHT_ROWS, CLASSES}, NULL, &zeros));
    must(tn_shared_create(zeros, TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, &named, &weights, NULL)); /* moved in */
    must(training_create(weights, &step));

    uint64_t allocated = 0, copied = copies();
    double loss = 0;
    for (int i = 1; i <= STEPS; i++) {
        must(training_step(step, known, NULL, &loss));
        if (i == WARM_UP)
            allocated = allocations();
        if (i % 100 == 0)
            printf("step %d: loss %.3f, %d of 297 new digits recognised\n", i, loss, recognised(weights, new));
    }
    printf("allocations after %d steps: %d\n", WARM_UP, (int)(allocations() - allocated));
    printf("copies: %d\n", (int)(copies() - copied));

    /* A step that fails changes nothing: these rows are no digits. */
    tn_array *rows = NULL;
    tn_shared_info before = {.size = sizeof before}, after = {.size = sizeof after};
    must(tn_shared_query(weights, &before));
    must(tn_array_zeros(NULL, TN_U8, 2, (int64_t[]){10, 3}, NULL, &rows));
    tn_status status = training_step(step, rows, NULL, &loss);
    must(tn_shared_query(weights, &after));
    printf("%s, version %d as before\n", tn_status_name(status), (int)after.version);

    must(tn_function_release(step));
    must(tn_shared_release(weights));
    tn_array *const arrays[] = {digits, known, new, zeros, rows};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        must(tn_array_release(arrays[i]));
    return before.version != after.version;
}

/* It prints:
step 100: loss 0.248, 264 of 297 new digits recognised
step 200: loss 0.166, 265 of 297 new digits recognised
step 300: loss 0.133, 265 of 297 new digits recognised
allocations after 3 steps: 0
copies: 0
TN_ERR_SHAPE, version 301 as before
*/
