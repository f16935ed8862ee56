/*
 * training_loop.h - gradient descent on multinomial regression, as a function that updates a shared variable.
 */
#ifndef TRAINING_LOOP_H
#define TRAINING_LOOP_H

#include "tenure.h"

/* A row of `digits` has 64 pixels and the digit that they show. The weights have a row for each pixel and one for the constant term. */
enum { PIXELS = 64, CLASSES = 10, WEIGHT_ROWS = PIXELS + 1 };

/* Makes the function that trains `weights`, float64 of WEIGHT_ROWS x CLASSES. It keeps the variable alive. */
tn_status training_create(tn_shared *weights, tn_function **out);

/*
 * One step on these digits, uint8 of rows x (PIXELS + 1). `rate` is float64 without axes, or NULL for the default. `loss` is that of the
 * weights before the step.
 */
tn_status training_step(tn_function *step, tn_array *digits, tn_array *rate, double *loss);

#endif
