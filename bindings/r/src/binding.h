// What the parts of the binding share.
#ifndef TENURE_R_BINDING_H
#define TENURE_R_BINDING_H

#define R_NO_REMAP
#include <R.h>
#include <Rinternals.h>
#include <stdbool.h>
#include <tenure.h>

// -- errors.c --

// Raises an R condition with the text of the thread's last failed call, unless the status is TN_OK. Jumps: no guard may be open.
void check(tn_status status);
// Raises an R condition for what only the binding sees.
void refuse(tn_status status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

// -- handles.c --

// The address of a handle; NULL if it was released. An error for any other object.
void *handle(SEXP object, const char *class);
tn_array *array_of(SEXP object);
tn_pool *pool_of(SEXP object); // R's NULL is the thread's current pool
// An object that gets its handle later, so that no handle is lost if R has no memory.
SEXP object_for(const char *class, R_CFinalizer_t finalizer);
SEXP array_object(void);
// Records R's call site, and releases the vectors that the library gave back.
void prepare(void);

// -- types.c --

// An element type: its name, the type of R's copies, and the type of R's vectors on its bytes, NILSXP if R has none.
struct type {
    tn_dtype dtype;
    const char *name;
    SEXPTYPE copies;
    SEXPTYPE shares;
};
struct number {
    double real, imaginary;
    bool is_missing;
};
const struct type *type_of(tn_dtype dtype);
const struct type *type_named(SEXP name);
int64_t bytes_of(tn_dtype dtype);
struct number number_at(SEXP vector, R_xlen_t at);
// Whether the element type can hold it. Writes nothing if not.
bool store(tn_dtype dtype, void *element, struct number value);
// Whether R's number can hold it.
bool load(tn_dtype dtype, const void *element, SEXP vector, R_xlen_t at);

// -- arrays.c --

tn_array_info info_of(tn_array *array);
// Lengths of axes, as int64, in memory that R frees after the .Call.
int64_t *lengths(SEXP dim);
SEXP dim_of(const tn_array_info *info);

// -- guards.c, lend.c, select.c --

void register_elements(DllInfo *library);
bool is_elements(SEXP vector);
void release_lent(void);

// -- the functions that R calls, with their numbers of arguments --

#define FUNCTIONS(entry) \
    entry(make, 5) entry(release, 1) entry(info, 1) entry(set_name, 2) entry(is_unique, 1) entry(why_not, 1) entry(heal, 1) \
    entry(clone, 1) entry(copy, 2) entry(reshape, 2) entry(permute, 2) entry(view, 2) entry(give, 1) entry(take, 1) entry(cancel, 1) \
    entry(bits, 1) entry(enter, 1) entry(leave, 2) entry(open_npy, 2) entry(save_npy, 2) entry(lend, 2) entry(borrow, 3) entry(end, 2) \
    entry(elements, 2) entry(read, 2) entry(write, 3) entry(fill, 2) entry(pool, 3) entry(pool_release, 1) entry(pool_set_current, 1) \
    entry(pool_stats, 1) entry(pool_trim, 2) entry(memory, 0) entry(holders, 1) entry(copy_count, 0) entry(version, 0)

#define ARGUMENTS_0 void
#define ARGUMENTS_1 SEXP
#define ARGUMENTS_2 SEXP, SEXP
#define ARGUMENTS_3 SEXP, SEXP, SEXP
#define ARGUMENTS_5 SEXP, SEXP, SEXP, SEXP, SEXP
#define DECLARE(name, n_arguments) SEXP r_##name(ARGUMENTS_##n_arguments);
FUNCTIONS(DECLARE)

#endif
