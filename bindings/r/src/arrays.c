// Arrays: creation, properties, views, giving and taking, files.
#include "binding.h"
#include <limits.h>
#include <string.h>

tn_array_info info_of(tn_array *array) {
    tn_array_info info = {.size = sizeof info};
    check(tn_array_query(array, &info));
    return info;
}

int64_t *lengths(SEXP dim) {
    R_xlen_t ndim = XLENGTH(dim);
    int64_t *shape = (int64_t *)R_alloc((size_t)ndim + 1, sizeof *shape);
    for (R_xlen_t axis = 0; axis < ndim; axis++) {
        shape[axis] = (int64_t)REAL_ELT(dim, axis);
    }
    return shape;
}

SEXP dim_of(const tn_array_info *info) {
    SEXP dim = Rf_allocVector(INTSXP, info->ndim);
    for (int32_t axis = 0; axis < info->ndim; axis++) {
        if (info->shape[axis] > INT_MAX) {
            refuse(TN_ERR_LIMIT, "R binding: R has no axis of length %lld", (long long)info->shape[axis]);
        }
        INTEGER(dim)[axis] = (int)info->shape[axis];
    }
    return dim;
}

static const char *text_or_null(SEXP text) {
    return Rf_isString(text) && XLENGTH(text) == 1 ? Rf_translateCharUTF8(STRING_ELT(text, 0)) : NULL;
}

static SEXP text_of(const char *text) {
    return Rf_ScalarString(Rf_mkCharCE(text, CE_UTF8));
}

// Returns an object with the array that the call makes. The object comes first, so that no handle is lost if R has no memory.
#define MAKE(call) \
    tn_array *made = NULL; \
    SEXP result = PROTECT(array_object()); \
    check(call); \
    R_SetExternalPtrAddr(result, made); \
    UNPROTECT(1); \
    return result

// `value` is NULL for undefined contents.
SEXP r_make(SEXP dim, SEXP dtype, SEXP value, SEXP name, SEXP pool) {
    prepare();
    const struct type *type = type_named(dtype);
    tn_array_options options = {.size = sizeof options, .order = TN_ORDER_F, .name = text_or_null(name)};
    int64_t *shape = lengths(dim);
    int32_t ndim = (int32_t)XLENGTH(dim);
    tn_pool *from = pool_of(pool);
    if (value == R_NilValue) {
        MAKE(tn_array_empty(from, type->dtype, ndim, shape, &options, &made));
    }
    static const char ZERO[sizeof(Rcomplex)];
    char element[sizeof(Rcomplex)] = {0};
    struct number number = number_at(value, 0);
    // Zero has the same bytes in the types that R has no numbers for.
    if (!store(type->dtype, element, number) && (number.real != 0 || type->copies != NILSXP)) {
        refuse(TN_ERR_RANGE, "R binding: %g is no %s", number.real, type->name);
    }
    if (memcmp(element, ZERO, sizeof element) == 0) {
        MAKE(tn_array_zeros(from, type->dtype, ndim, shape, &options, &made));
    }
    MAKE(tn_array_full(from, type->dtype, ndim, shape, element, &options, &made));
}

SEXP r_release(SEXP object) {
    tn_array *array = array_of(object);
    R_ClearExternalPtr(object);
    check(tn_array_release(array));
    release_lent();
    return R_NilValue;
}

// -- properties --

SEXP r_info(SEXP object) {
    tn_array_info info = info_of(array_of(object));
    const char *fields[] = {"dim", "dtype", "name", "bytes", "is_readonly", "is_contiguous", ""};
    SEXP list = PROTECT(Rf_mkNamed(VECSXP, fields));
    SET_VECTOR_ELT(list, 0, dim_of(&info));
    SET_VECTOR_ELT(list, 1, Rf_mkString(type_of(info.dtype)->name));
    SET_VECTOR_ELT(list, 2, text_of(info.name));
    SET_VECTOR_ELT(list, 3, Rf_ScalarReal((double)info.bytes));
    SET_VECTOR_ELT(list, 4, Rf_ScalarLogical((info.flags & TN_READONLY) != 0));
    SET_VECTOR_ELT(list, 5, Rf_ScalarLogical((info.flags & TN_F_CONTIGUOUS) != 0));
    UNPROTECT(1);
    return list;
}

SEXP r_set_name(SEXP object, SEXP name) {
    check(tn_array_set_name(array_of(object), text_or_null(name)));
    return object;
}

SEXP r_is_unique(SEXP object) {
    int32_t is_unique = 0;
    check(tn_array_is_unique(array_of(object), &is_unique));
    return Rf_ScalarLogical(is_unique);
}

SEXP r_why_not(SEXP object) {
    static const struct {
        tn_why bit;
        const char *name;
    } REASONS[] = {
        {TN_WHY_GIVEN, "given"},       {TN_WHY_SHARED, "shared"},     {TN_WHY_IN_EXPRESSION, "in_expression"},
        {TN_WHY_EXPORTED, "exported"}, {TN_WHY_BORROWED, "borrowed"}, {TN_WHY_READONLY, "readonly"},
        {TN_WHY_FOREIGN, "foreign"},   {TN_WHY_POISONED, "poisoned"},
    };
    enum { N_REASONS = sizeof REASONS / sizeof *REASONS };
    tn_why bits = 0;
    size_t n_holders = 0;
    check(tn_array_why_not(array_of(object), NULL, sizeof(tn_holder), 0, &bits, NULL, &n_holders));
    int count = 0;
    for (int at = 0; at < N_REASONS; at++) {
        count += (bits & REASONS[at].bit) != 0;
    }
    SEXP names = PROTECT(Rf_allocVector(STRSXP, count));
    for (int at = 0, next = 0; at < N_REASONS; at++) {
        if (bits & REASONS[at].bit) {
            SET_STRING_ELT(names, next++, Rf_mkChar(REASONS[at].name));
        }
    }
    UNPROTECT(1);
    return names;
}

SEXP r_heal(SEXP object) {
    check(tn_array_heal(array_of(object)));
    return object;
}

// -- other handles and views --

SEXP r_clone(SEXP object) {
    prepare();
    MAKE(tn_array_clone(array_of(object), &made));
}

SEXP r_copy(SEXP object, SEXP pool) {
    prepare();
    MAKE(tn_array_copy(array_of(object), pool_of(pool), NULL, &made));
}

SEXP r_reshape(SEXP object, SEXP dim) {
    prepare();
    MAKE(tn_array_reshape(array_of(object), (int32_t)XLENGTH(dim), lengths(dim), TN_ORDER_F, &made));
}

SEXP r_permute(SEXP object, SEXP axes) {
    prepare();
    int32_t ndim = (int32_t)XLENGTH(axes);
    int32_t *order = (int32_t *)R_alloc((size_t)ndim + 1, sizeof *order);
    for (int32_t axis = 0; axis < ndim; axis++) {
        order[axis] = INTEGER_ELT(axes, axis) - 1;
    }
    MAKE(tn_array_permute(array_of(object), ndim, order, &made));
}

// `axes` has NULL for a whole axis, or {first, count, step} with a first position from 0.
SEXP r_view(SEXP object, SEXP axes) {
    prepare();
    R_xlen_t ndim = XLENGTH(axes);
    tn_slice_spec *specs = (tn_slice_spec *)R_alloc((size_t)ndim + 1, sizeof *specs);
    for (R_xlen_t axis = 0; axis < ndim; axis++) {
        specs[axis] = (tn_slice_spec){.start = TN_NONE, .stop = TN_NONE, .step = TN_NONE};
        SEXP spec = VECTOR_ELT(axes, axis);
        if (spec != R_NilValue) {
            int64_t first = (int64_t)REAL_ELT(spec, 0), count = (int64_t)REAL_ELT(spec, 1), step = (int64_t)REAL_ELT(spec, 2);
            int64_t stop = first + count * step;
            // A negative bound counts from the end; only a step backwards reaches one.
            specs[axis] = (tn_slice_spec){.start = first, .stop = stop < 0 ? TN_NONE : stop, .step = step};
        }
    }
    MAKE(tn_array_slice(array_of(object), (size_t)ndim, specs, &made));
}

// -- giving and taking --

static void finish_promise(SEXP object) {
    tn_promise *promise = R_ExternalPtrAddr(object);
    R_ClearExternalPtr(object);
    if (promise != NULL) {
        tn_promise_release(promise);
    }
}

// A promise of R, or the bits of C's handle in a raw vector, as .C passes them.
static tn_promise *promise_of(SEXP object) {
    tn_promise *promise = NULL;
    if (TYPEOF(object) == RAWSXP && XLENGTH(object) == sizeof promise) {
        memcpy(&promise, RAW_RO(object), sizeof promise);
        return promise;
    }
    return handle(object, "tenure_promise");
}

SEXP r_give(SEXP object) {
    prepare();
    tn_promise *made = NULL;
    SEXP promise = PROTECT(object_for("tenure_promise", finish_promise));
    check(tn_array_give(array_of(object), 1, &made));
    R_SetExternalPtrAddr(promise, made);
    UNPROTECT(1);
    return promise;
}

SEXP r_take(SEXP promise) {
    prepare();
    tn_promise *taken = promise_of(promise);
    MAKE(tn_take(1, &taken, &made));
}

SEXP r_cancel(SEXP promise) {
    check(tn_promise_cancel(promise_of(promise)));
    return R_NilValue;
}

SEXP r_bits(SEXP promise) {
    tn_promise *address = promise_of(promise);
    SEXP bits = Rf_allocVector(RAWSXP, sizeof address);
    memcpy(RAW(bits), &address, sizeof address);
    return bits;
}

static void finish_scope(SEXP object) {
    tn_scope *scope = R_ExternalPtrAddr(object);
    R_ClearExternalPtr(object);
    if (scope != NULL && tn_leave(scope, 0, NULL) != TN_OK) {
        // Nobody hears of a failure in a finalizer. The scope and what it holds are in `leaks()`.
        return;
    }
}

// Returns the scope, and an array object for each parameter. Handles that the function releases itself are no longer the scope's.
SEXP r_enter(SEXP params) {
    prepare();
    R_xlen_t n_params = XLENGTH(params);
    void **handles = (void **)R_alloc((size_t)n_params + 1, sizeof *handles);
    tn_array **made = (tn_array **)R_alloc((size_t)n_params + 1, sizeof *made);
    SEXP result = PROTECT(Rf_allocVector(VECSXP, 2));
    SEXP arrays = Rf_allocVector(VECSXP, n_params);
    SET_VECTOR_ELT(result, 1, arrays);
    SET_VECTOR_ELT(result, 0, object_for("tenure_scope", finish_scope));
    for (R_xlen_t at = 0; at < n_params; at++) {
        SEXP param = VECTOR_ELT(params, at);
        handles[at] = Rf_inherits(param, "tenure_array") ? (void *)array_of(param) : (void *)promise_of(param);
        // No finaliser: the scope owns the handle.
        SEXP own = R_MakeExternalPtr(NULL, R_NilValue, R_NilValue);
        SET_VECTOR_ELT(arrays, at, own);
        Rf_classgets(own, PROTECT(Rf_mkString("tenure_array")));
        UNPROTECT(1);
    }
    tn_scope *scope = NULL;
    check(tn_enter((size_t)n_params, handles, made, &scope));
    R_SetExternalPtrAddr(VECTOR_ELT(result, 0), scope);
    for (R_xlen_t at = 0; at < n_params; at++) {
        R_SetExternalPtrAddr(VECTOR_ELT(arrays, at), made[at]);
    }
    UNPROTECT(1);
    return result;
}

// Leaves the scope, and returns `value`. If that is one of the scope's arrays, it is kept, and owned by R from now on.
SEXP r_leave(SEXP entered, SEXP value) {
    SEXP object = VECTOR_ELT(entered, 0), arrays = VECTOR_ELT(entered, 1);
    tn_scope *scope = handle(object, "tenure_scope");
    tn_array *keep = NULL;
    SEXP result = PROTECT(array_object());
    for (R_xlen_t at = 0; at < XLENGTH(arrays); at++) {
        if (VECTOR_ELT(arrays, at) == value) {
            keep = R_ExternalPtrAddr(value);
        }
        R_ClearExternalPtr(VECTOR_ELT(arrays, at));
    }
    R_ClearExternalPtr(object);
    tn_status status = tn_leave(scope, keep != NULL, &keep);
    R_SetExternalPtrAddr(result, status == TN_OK ? keep : NULL);
    check(status);
    UNPROTECT(1);
    return keep != NULL ? result : value;
}

// -- files --

SEXP r_open_npy(SEXP path, SEXP mode) {
    prepare();
    tn_npy_options options = {.size = sizeof options, .mode = (tn_npy_mode)Rf_asInteger(mode)};
    MAKE(tn_array_open_npy(text_or_null(path), &options, &made));
}

SEXP r_save_npy(SEXP object, SEXP path) {
    check(tn_array_save_npy(array_of(object), text_or_null(path), 0));
    return object;
}
