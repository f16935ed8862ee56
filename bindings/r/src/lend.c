// Arrays on the memory of R's vectors.
#include "binding.h"
#include <stdatomic.h>
#include <stdlib.h>

// A vector that the library uses. `kept` holds it, and what its memory is a part of.
struct lent {
    SEXP kept;
    struct lent *next;
};

// Vectors that the library gave back. It may do so on any thread, and only R's main thread may tell R.
static _Atomic(struct lent *) given_back = NULL;

static void give_back(void *context) {
    struct lent *one = context;
    one->next = atomic_load_explicit(&given_back, memory_order_relaxed);
    // Release: `release_lent` sees `next`.
    while (!atomic_compare_exchange_weak_explicit(&given_back, &one->next, one, memory_order_release, memory_order_relaxed)) {
    }
}

void release_lent(void) {
    struct lent *one = atomic_exchange_explicit(&given_back, NULL, memory_order_acquire);
    while (one != NULL) {
        struct lent *next = one->next;
        R_ReleaseObject(one->kept);
        free(one);
        one = next;
    }
}

static tn_dtype dtype_of(SEXP vector) {
    switch (TYPEOF(vector)) {
    case REALSXP:
        return TN_F64;
    case INTSXP:
        return TN_I32;
    case RAWSXP:
        return TN_U8;
    case CPLXSXP:
        return TN_C128;
    default:
        refuse(TN_ERR_DTYPE, "tn_lend: no element type has the bytes of a vector of type %s; use tn_copy_of", Rf_type2char(TYPEOF(vector)));
    }
}

SEXP r_lend(SEXP vector, SEXP dim) {
    prepare();
    tn_dtype dtype = dtype_of(vector);
    if (is_elements(vector)) {
        refuse(TN_ERR_INVALID, "tn_lend: these are the elements of an open guard; use tn_clone for another handle on the array");
    }
    int32_t ndim = (int32_t)XLENGTH(dim);
    int64_t *shape = lengths(dim);
    int64_t *strides = (int64_t *)R_alloc(ndim + 1, sizeof *strides);
    strides[0] = bytes_of(dtype);
    for (int32_t axis = 0; axis < ndim; axis++) {
        strides[axis + 1] = strides[axis] * shape[axis];
    }
    tn_layout layout = {.size = sizeof layout, .dtype = dtype, .ndim = ndim, .shape = shape, .strides = strides};
    SEXP object = PROTECT(array_object());
    const void *data = DATAPTR_RO(vector);
    // R may replace the memory of an ALTREP vector, but not that of the objects that it consists of now.
    SEXP kept = PROTECT(Rf_allocVector(VECSXP, 3));
    SET_VECTOR_ELT(kept, 0, vector);
    if (ALTREP(vector)) {
        SET_VECTOR_ELT(kept, 1, R_altrep_data1(vector));
        SET_VECTOR_ELT(kept, 2, R_altrep_data2(vector));
    }
    MARK_NOT_MUTABLE(vector);
    R_PreserveObject(kept);
    struct lent *one = malloc(sizeof *one);
    if (one == NULL) {
        R_ReleaseObject(kept);
        refuse(TN_ERR_NO_HOST_MEMORY, "tn_lend: no memory for %zu bytes", sizeof *one);
    }
    one->kept = kept;
    tn_array *array = NULL;
    tn_borrow_flags flags = TN_REQUIRE_BORROW | TN_IMPORT_READONLY;
    tn_status status = tn_array_import_host((void *)data, &layout, flags, give_back, one, &array, NULL);
    if (status != TN_OK) {
        R_ReleaseObject(kept);
        free(one);
        check(status);
    }
    R_SetExternalPtrAddr(object, array);
    UNPROTECT(2);
    return object;
}
