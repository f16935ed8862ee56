// x[...] and x[...] <- value: copies between the selected elements and R's vectors.
//
// A selection has for each axis either R's NULL, for the whole axis, or positions from 1 as doubles. R's code has checked their bounds.
// Whatever may jump (memory, values that do not fit) comes before the guard opens or after it ends.
#include "binding.h"
#include <string.h>

struct selection {
    int32_t ndim;
    R_xlen_t counts[TN_MAX_NDIM];
    const double *positions[TN_MAX_NDIM]; // NULL: the whole axis
    R_xlen_t total;
    bool is_whole;
};

static struct selection selection_of(SEXP axes, const tn_array_info *info) {
    struct selection selected = {.ndim = info->ndim, .total = 1, .is_whole = true};
    for (int32_t axis = 0; axis < info->ndim; axis++) {
        SEXP positions = axes == R_NilValue ? R_NilValue : VECTOR_ELT(axes, axis);
        bool is_whole = positions == R_NilValue;
        selected.positions[axis] = is_whole ? NULL : REAL(positions);
        selected.counts[axis] = is_whole ? (R_xlen_t)info->shape[axis] : XLENGTH(positions);
        selected.total *= selected.counts[axis];
        selected.is_whole = selected.is_whole && is_whole;
    }
    return selected;
}

// A place in a selection, in R's order of elements.
struct place {
    R_xlen_t at[TN_MAX_NDIM];
};

static int64_t offset_of(const struct selection *selected, const int64_t *strides, const struct place *place) {
    int64_t offset = 0;
    for (int32_t axis = 0; axis < selected->ndim; axis++) {
        const double *positions = selected->positions[axis];
        int64_t index = positions == NULL ? (int64_t)place->at[axis] : (int64_t)positions[place->at[axis]] - 1;
        offset += index * strides[axis];
    }
    return offset;
}

static void advance(const struct selection *selected, struct place *place) {
    for (int32_t axis = 0; axis < selected->ndim && ++place->at[axis] == selected->counts[axis]; axis++) {
        place->at[axis] = 0;
    }
}

// Whether R's vector and the array have the same bytes in the same order.
static bool are_same_bytes(const struct selection *selected, const tn_array_info *info, SEXP vector) {
    return selected->is_whole && (info->flags & TN_F_CONTIGUOUS) && (int)type_of(info->dtype)->shares == TYPEOF(vector) &&
           XLENGTH(vector) == selected->total;
}

static tn_array_info readable(tn_array *array) {
    tn_array_info info = info_of(array);
    const struct type *type = type_of(info.dtype);
    if (type->copies == NILSXP) {
        refuse(TN_ERR_DTYPE, "R binding: R has no numbers for %s", type->name);
    }
    if (info.device.type == TN_CUDA) {
        refuse(TN_ERR_DEVICE, "R binding: the array is in memory of a GPU");
    }
    return info;
}

SEXP r_read(SEXP object, SEXP axes) {
    prepare();
    tn_array *array = array_of(object);
    tn_array_info info = readable(array);
    struct selection selected = selection_of(axes, &info);
    SEXP vector = PROTECT(Rf_allocVector(type_of(info.dtype)->copies, selected.total));
    if (selected.ndim > 1) {
        SEXP dim = PROTECT(Rf_allocVector(INTSXP, selected.ndim));
        for (int32_t axis = 0; axis < selected.ndim; axis++) {
            INTEGER(dim)[axis] = (int)selected.counts[axis];
        }
        Rf_setAttrib(vector, R_DimSymbol, dim);
        UNPROTECT(1);
    }
    void *memory = DATAPTR(vector);
    bool fits = true;
    tn_view_info view;
    tn_borrow *guard = NULL;
    check(tn_array_borrow_read(array, 0, NULL, NULL, &view, &guard));
    if (are_same_bytes(&selected, &info, vector)) {
        if (view.bytes > 0) {
            memcpy(memory, view.data, view.bytes);
        }
    } else {
        struct place place = {{0}};
        for (R_xlen_t at = 0; at < selected.total; at++, advance(&selected, &place)) {
            fits = load(info.dtype, (const char *)view.data + offset_of(&selected, view.strides, &place), vector, at) && fits;
        }
    }
    check(tn_borrow_end(guard, 0, NULL));
    if (!fits) {
        refuse(TN_ERR_RANGE, "R binding: R's doubles cannot hold all of these %s, as some are beyond 2^53", type_of(info.dtype)->name);
    }
    UNPROTECT(1);
    return vector;
}

// Refuses values that the element type cannot hold, before anything is written.
static void check_values(tn_dtype dtype, SEXP values) {
    char element[sizeof(Rcomplex)];
    for (R_xlen_t at = 0; at < XLENGTH(values); at++) {
        struct number value = number_at(values, at);
        if (!store(dtype, element, value)) {
            refuse(TN_ERR_RANGE, "R binding: value %lld, %g, is no %s", (long long)at + 1, value.real, type_of(dtype)->name);
        }
    }
}

SEXP r_write(SEXP object, SEXP axes, SEXP values) {
    prepare();
    tn_array *array = array_of(object);
    tn_array_info info = readable(array);
    struct selection selected = selection_of(axes, &info);
    R_xlen_t n_values = XLENGTH(values);
    if (selected.total == 0) {
        return object;
    }
    if (n_values == 0 || selected.total % n_values != 0) {
        refuse(TN_ERR_COUNT, "R binding: %lld values cannot fill %lld elements", (long long)n_values, (long long)selected.total);
    }
    bool has_same_bytes = are_same_bytes(&selected, &info, values);
    const void *memory = NULL;
    if (has_same_bytes) {
        memory = DATAPTR_RO(values);
    } else {
        check_values(info.dtype, values);
        DATAPTR_RO(values); // an ALTREP vector has its elements from here on
    }
    tn_view_info view;
    tn_borrow *guard = NULL;
    check(tn_array_borrow_write(array, TN_WRITE_ALIASED, NULL, NULL, &view, &guard));
    if (has_same_bytes) {
        memcpy(view.data, memory, view.bytes);
    } else {
        struct place place = {{0}};
        for (R_xlen_t at = 0; at < selected.total; at++, advance(&selected, &place)) {
            store(info.dtype, (char *)view.data + offset_of(&selected, view.strides, &place), number_at(values, at % n_values));
        }
    }
    check(tn_borrow_end(guard, 0, NULL));
    return object;
}

SEXP r_fill(SEXP object, SEXP value) {
    prepare();
    tn_array_info info = readable(array_of(object));
    check_values(info.dtype, value);
    char element[sizeof(Rcomplex)];
    store(info.dtype, element, number_at(value, 0));
    check(tn_array_fill(array_of(object), element, TN_WRITE_ALIASED, NULL));
    return object;
}
