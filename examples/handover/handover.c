/*
 * handover.c - the C side: it owns the data, builds the system of equations, and gives the matrix away.
 *
 * A shared library that uses tenure.h and libtenure.so and knows nothing of Python. It passes handles out in a plain struct.
 * Every function returns a status code; tn_last_error has the message.
 */
#define _POSIX_C_SOURCE 200809L /* isatty */
#include "tenure.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIXELS = 64, CLASSES = 10 };

/* The handles of this side; NULL if not made yet. handover_close releases all of them. */
struct handover {
    tn_array *digits;  /* uint8, a row for each digit: its pixels, then its value */
    tn_pool *pool;     /* of the matrix alone, so that the pool's statistics are the matrix's */
    tn_array *kernel;  /* float64, rows x rows */
    tn_array *targets; /* float64, rows x CLASSES, column by column */
};

/* Prints a line of the story, and flushes it to keep the order with Python's output. */
static void say(const char *format, ...)
{
    const char *plain = getenv("NO_COLOR");
    int colour = isatty(STDOUT_FILENO) && (plain == NULL || *plain == '\0');
    va_list arguments;
    va_start(arguments, format);
    fputs(colour ? "\033[33mC\033[0m       " : "C       ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
}

/* Opens the file: its pages are mapped read-only, without a copy. */
tn_status handover_open(struct handover *h, const char *path)
{
    TN_HERE;
    tn_status status = tn_array_open_npy(path, NULL, &h->digits);
    if (status != TN_OK)
        return status;
    return tn_array_set_name(h->digits, "digits");
}

/* The cubic kernel (x.y + 1)^3 of all pairs of digits, and a 1 in the column of each digit's class. */
static void fill(const tn_view_info *digits, const tn_view_info *kernel, const tn_view_info *targets)
{
    const int64_t rows = kernel->shape[0];
    double *k = kernel->data;
    double *y = targets->data;
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *a = (const uint8_t *)digits->data + i * digits->strides[0];
        for (int64_t j = 0; j <= i; j++) {
            const uint8_t *b = (const uint8_t *)digits->data + j * digits->strides[0];
            int dot = 1;
            for (int p = 0; p < PIXELS; p++)
                dot += a[p] * b[p];
            k[i * rows + j] = k[j * rows + i] = (double)dot * dot * dot;
        }
        for (int c = 0; c < CLASSES; c++)
            y[c * rows + i] = a[PIXELS] == c;
    }
}

/* Builds kernel matrix and right-hand sides of the first `rows` digits, in their final memory. */
tn_status handover_build(struct handover *h, int64_t rows)
{
    tn_array_info file = {.size = sizeof file};
    tn_status status = tn_array_query(h->digits, &file);
    if (status != TN_OK)
        return status;
    if (file.dtype != TN_U8 || file.ndim != 2 || file.shape[0] < rows || file.shape[1] != PIXELS + 1) {
        say("these are not %lld digits of %d pixels and a label", (long long)rows, PIXELS);
        return TN_ERR_SHAPE;
    }

    tn_pool_options own = {.size = sizeof own, .name = "kernel matrix"};
    tn_array_options matrix = {.size = sizeof matrix, .name = "K"};
    tn_array_options columns = {.size = sizeof columns, .name = "Y", .order = TN_ORDER_F};
    const int64_t square[] = {rows, rows}, tall[] = {rows, CLASSES};
    TN_HERE;
    if ((status = tn_pool_create((tn_device){TN_CPU, 0}, &own, &h->pool)) != TN_OK ||
        (status = tn_array_empty(h->pool, TN_F64, 2, square, &matrix, &h->kernel)) != TN_OK ||
        (status = tn_array_empty(NULL, TN_F64, 2, tall, &columns, &h->targets)) != TN_OK)
        return status;

    /* Three borrows, all or none. TN_WRITE without TN_READ: every element will be overwritten. */
    const tn_borrow_spec specs[] = {
        {.array = h->digits, .access = TN_READ},
        {.array = h->kernel, .access = TN_WRITE},
        {.array = h->targets, .access = TN_WRITE},
    };
    tn_view_info views[3];
    tn_borrow *guard = NULL;
    TN_HERE;
    if ((status = tn_borrow_all(3, specs, views, &guard)) != TN_OK)
        return status;
    fill(&views[0], &views[1], &views[2]);
    return tn_borrow_end(guard, 0, NULL);
}

/* Reads an array. `address` is the address of its first element, untouched if another holder is in the way. */
tn_status handover_look(tn_array *array, const char *name, const void **address)
{
    tn_borrow *guard = NULL;
    TN_HERE;
    tn_status status = tn_array_borrow_read(array, 0, NULL, address, NULL, &guard);
    if (status != TN_OK) {
        say("may not read %s: %s\n        %s", name, tn_status_name(status), tn_last_error());
        return status;
    }
    say("%-6s is at %p", name, *address);
    return tn_borrow_end(guard, 0, NULL);
}

/* Gives an array away: the caller will not use it again. The taker of the promise owns the array. */
tn_status handover_give(tn_array *array, tn_promise **promise)
{
    TN_HERE;
    return tn_array_give(array, 1, promise);
}

/* Releases every handle once, also those whose arrays were taken. */
tn_status handover_close(struct handover *h)
{
    tn_array *arrays[] = {h->digits, h->kernel, h->targets};
    tn_status first = TN_OK;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        tn_status status = arrays[i] == NULL ? TN_OK : tn_array_release(arrays[i]);
        first = first == TN_OK ? status : first;
    }
    tn_status status = h->pool == NULL ? TN_OK : tn_pool_release(h->pool);
    *h = (struct handover){0};
    return first == TN_OK ? status : first;
}
