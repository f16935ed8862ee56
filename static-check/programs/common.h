/* What the programs of this folder share. A comment with the id of a rule marks a line that must be reported; nothing else may be. */
#include "tenure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEW(a)      tn_array_zeros(NULL, TN_F64, 1, (const int64_t[]){4}, NULL, &(a))
#define READ(a, g)  tn_array_borrow_read(a, 0, NULL, &data, NULL, &(g))
#define WRITE(a, g) tn_array_borrow_write(a, TN_WRITE_ALIASED, NULL, &bytes, NULL, &(g))
#define END(g)      tn_borrow_end(g, 0, NULL)

/* The program's own functions, whose bodies are elsewhere. */
void look(tn_array *array) TN_BORROWS(array);
void sink(tn_array *array) TN_TAKES(array);
tn_status load(tn_array **out) TN_GIVES(out);
void done(tn_borrow *guard) TN_ENDS(guard);
void keep(tn_array *array);
void keep_promise(tn_promise *promise);
double sum(const double *data, int n);
int chance(void);

static inline void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "%s\n", tn_last_error());
    exit(1);
}
