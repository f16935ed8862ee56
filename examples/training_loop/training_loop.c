/*
 * training_loop.c - the C side: a function whose body computes the loss and the next weights in plain loops.
 *
 * It knows tenure.h and nothing of Python. main.c is a program with it, training_loop.py loads it as a shared library.
 */
#include "training_loop.h"
#include <math.h>

/* The arrays that the body works on. */
enum { DIGITS, RATE, WEIGHTS, N_IN };
enum { LOSS = N_IN, NEXT, ALL };

/* The next weights, and the loss of the present ones, from all rows of digits. */
static void descend(const tn_view_info views[ALL])
{
    const tn_view_info *digits = &views[DIGITS];
    const double(*w)[CLASSES] = views[WEIGHTS].data;
    double(*next)[CLASSES] = views[NEXT].data;
    double gradient[WEIGHT_ROWS][CLASSES] = {{0}};
    double loss = 0;
    const int64_t rows = digits->shape[0];
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *digit = (const uint8_t *)digits->data + row * digits->strides[0];
        double x[WEIGHT_ROWS], p[CLASSES] = {0};
        for (int i = 0; i < PIXELS; i++)
            x[i] = digit[i] / 16.0;
        x[PIXELS] = 1; /* for the constant term */
        for (int i = 0; i < WEIGHT_ROWS; i++)
            for (int c = 0; c < CLASSES; c++)
                p[c] += x[i] * w[i][c];

        /* The softmax of the scores; subtracting the largest one keeps exp from overflowing. */
        double largest = p[0], sum = 0;
        for (int c = 1; c < CLASSES; c++)
            largest = fmax(largest, p[c]);
        for (int c = 0; c < CLASSES; c++)
            sum += p[c] = exp(p[c] - largest);
        loss -= log(p[digit[PIXELS]] / sum);
        for (int c = 0; c < CLASSES; c++)
            p[c] = p[c] / sum - (c == digit[PIXELS]);
        for (int i = 0; i < WEIGHT_ROWS; i++)
            for (int c = 0; c < CLASSES; c++)
                gradient[i][c] += x[i] * p[c];
    }
    const double rate = *(const double *)views[RATE].data;
    for (int i = 0; i < WEIGHT_ROWS; i++)
        for (int c = 0; c < CLASSES; c++)
            next[i][c] = w[i][c] - rate * gradient[i][c] / (double)rows;
    *(double *)views[LOSS].data = loss / (double)rows;
}

/* The body. With TN_REUSE its places have buffers of earlier calls; in the first calls they are NULL. */
static tn_status body(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context;
    tn_status status = TN_OK;
    if (out[0] == NULL)
        status = tn_array_empty(NULL, TN_F64, 0, NULL, NULL, &out[0]);
    if (status == TN_OK && update[0] == NULL)
        status = tn_array_like(in[WEIGHTS], NULL, NULL, &update[0]);
    if (status != TN_OK)
        return status;
    /* Five borrows, all or none. What a place has on failure is released by the library. */
    const tn_borrow_spec specs[ALL] = {
        [DIGITS] = {.array = in[DIGITS], .access = TN_READ},
        [RATE] = {.array = in[RATE], .access = TN_READ},
        [WEIGHTS] = {.array = in[WEIGHTS], .access = TN_READ},
        [LOSS] = {.array = out[0], .access = TN_WRITE},
        [NEXT] = {.array = update[0], .access = TN_WRITE},
    };
    tn_view_info views[ALL];
    tn_borrow *guard = NULL;
    status = tn_borrow_all(ALL, specs, views, &guard);
    if (status != TN_OK)
        return status;
    /* The pixels of a row are adjacent, and its digit is a class. */
    int fits = views[DIGITS].shape[1] == PIXELS + 1 && views[DIGITS].strides[1] == 1;
    for (int64_t row = 0; fits && row < views[DIGITS].shape[0]; row++)
        fits = ((const uint8_t *)views[DIGITS].data)[row * views[DIGITS].strides[0] + PIXELS] < CLASSES;
    if (fits)
        descend(views);
    status = tn_borrow_end(guard, 0, NULL);
    return fits ? status : TN_ERR_SHAPE;
}

tn_status training_create(tn_shared *weights, tn_function **out)
{
    tn_shared_info info = {.size = sizeof info};
    tn_status status = tn_shared_query(weights, &info);
    if (status != TN_OK)
        return status;
    if (info.dtype != TN_F64 || info.ndim != 2 || info.shape[0] != WEIGHT_ROWS || info.shape[1] != CLASSES)
        return TN_ERR_SHAPE;
    const double one = 1;
    tn_array *rate = NULL;
    status = tn_array_full(NULL, TN_F64, 0, NULL, &one, NULL, &rate);
    if (status != TN_OK)
        return status;
    const tn_in in[N_IN] = {
        [DIGITS] = {.size = sizeof *in, .name = "digits", .dtype = TN_U8, .ndim = 2},
        [RATE] = {.size = sizeof *in, .name = "rate", .dtype = TN_F64, .default_value = rate},
        [WEIGHTS] = {.size = sizeof *in, .name = "weights", .ndim = -1, .shared = weights}, /* no argument of the calls */
    };
    const tn_out loss = {.size = sizeof loss, .name = "loss", .flags = TN_REUSE, .dtype = TN_F64};
    const tn_update next = {.size = sizeof next, .target = weights, .flags = TN_REUSE};
    const tn_function_options options = {.size = sizeof options, .name = "training step", .body = body, .n_in = N_IN,
                                         .n_out = 1, .n_update = 1, .inputs = in, .outputs = &loss, .updates = &next};
    status = tn_function_create(&options, out);
    tn_status released = tn_array_release(rate); /* the function has a copy */
    return status == TN_OK ? released : status;
}

tn_status training_step(tn_function *step, tn_array *digits, tn_array *rate, double *loss)
{
    tn_array *const arguments[] = {digits, rate};
    tn_array *out = NULL;
    TN_HERE;
    tn_status status = tn_function_call(step, 2, arguments, 1, &out, NULL, NULL);
    if (status != TN_OK)
        return status;
    const void *data = NULL;
    tn_borrow *guard = NULL;
    status = tn_array_borrow_read(out, 0, NULL, &data, NULL, &guard);
    if (status == TN_OK) {
        *loss = *(const double *)data;
        status = tn_borrow_end(guard, 0, NULL);
    }
    tn_status released = tn_array_release(out); /* a released output is a spare buffer of the next call */
    return status == TN_OK ? released : status;
}
