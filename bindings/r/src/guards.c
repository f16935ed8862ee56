// Guards, and the vectors that show their bytes.
//
// Such a vector is an ALTREP object: R asks for its memory at each use. A vector of an ended guard answers with an error. R copies a vector
// before it changes it if another name refers to it, or if the new value has another type. What is written into such a copy would not
// reach the array, so a vector of a write guard refuses both.
#include "binding.h"
#include <R_ext/Altrep.h>
#include <R_ext/Rdynload.h>
#include <stdlib.h>
#include <string.h>

struct guard {
    tn_borrow *open; // NULL once it ended
    void *data;
    R_xlen_t count;
    bool writes;
};

static R_altrep_class_t real_elements, integer_elements, raw_elements, complex_elements;

// What a vector without elements points to.
static double nothing;

static tn_status end(struct guard *guard, bool has_failed) {
    tn_borrow *open = guard->open;
    guard->open = NULL;
    return open == NULL ? TN_OK : tn_borrow_end(open, has_failed ? TN_END_FAILED : 0, NULL);
}

// A guard that is still open here was left by a jump.
static void finish_guard(SEXP object) {
    struct guard *guard = R_ExternalPtrAddr(object);
    R_ClearExternalPtr(object);
    if (guard != NULL) {
        end(guard, true);
        free(guard);
    }
}

SEXP r_borrow(SEXP object, SEXP writes, SEXP discards) {
    prepare();
    tn_array *array = array_of(object);
    tn_array_info info = info_of(array);
    const struct type *type = type_of(info.dtype);
    if (type->shares == NILSXP) {
        refuse(TN_ERR_DTYPE, "R binding: R has no vectors of %s; x[] reads a converted copy, x[] <- value converts", type->name);
    }
    if (info.device.type == TN_CUDA) {
        refuse(TN_ERR_DEVICE, "R binding: the array is in memory of a GPU");
    }
    if (!(info.flags & TN_F_CONTIGUOUS)) {
        refuse(TN_ERR_LAYOUT, "R binding: a vector cannot show this layout; x[] copies, and t(x) of an array in C order can be shown");
    }
    SEXP holder = PROTECT(object_for("tenure_guard", finish_guard));
    struct guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL) {
        refuse(TN_ERR_NO_HOST_MEMORY, "R binding: no memory for %zu bytes", sizeof *guard);
    }
    R_SetExternalPtrAddr(holder, guard);
    guard->writes = Rf_asLogical(writes);
    tn_view_info view;
    const void *data = NULL;
    if (guard->writes) {
        tn_write_mode mode = Rf_asLogical(discards) ? TN_WRITE_DISCARD : TN_WRITE_ALIASED;
        check(tn_array_borrow_write(array, mode, NULL, &guard->data, &view, &guard->open));
    } else {
        check(tn_array_borrow_read(array, 0, NULL, &data, &view, &guard->open));
        guard->data = (void *)data;
    }
    guard->count = (R_xlen_t)(view.bytes / (uint64_t)bytes_of(info.dtype));
    UNPROTECT(1);
    return holder;
}

SEXP r_end(SEXP holder, SEXP has_failed) {
    struct guard *guard = handle(holder, "tenure_guard");
    check(end(guard, Rf_asLogical(has_failed)));
    return R_NilValue;
}

SEXP r_elements(SEXP holder, SEXP object) {
    struct guard *guard = handle(holder, "tenure_guard");
    tn_array_info info = info_of(array_of(object));
    R_altrep_class_t class;
    switch (type_of(info.dtype)->shares) {
    case REALSXP:
        class = real_elements;
        break;
    case INTSXP:
        class = integer_elements;
        break;
    case RAWSXP:
        class = raw_elements;
        break;
    default:
        class = complex_elements;
    }
    SEXP vector = PROTECT(R_new_altrep(class, holder, R_NilValue));
    if (info.ndim > 1) {
        Rf_setAttrib(vector, R_DimSymbol, PROTECT(dim_of(&info)));
        UNPROTECT(1);
    }
    if (!guard->writes) {
        MARK_NOT_MUTABLE(vector);
    }
    UNPROTECT(1);
    return vector;
}

// -- methods --

static struct guard *guard_of(SEXP vector) {
    return R_ExternalPtrAddr(R_altrep_data1(vector));
}

static R_xlen_t length_of(SEXP vector) {
    return guard_of(vector)->count;
}

static void *memory_of(SEXP vector, Rboolean writable) {
    (void)writable; // R's functions ask for writable memory to read, too
    struct guard *guard = guard_of(vector);
    if (guard->open == NULL) {
        refuse(TN_ERR_STALE, "R binding: the guard of these elements has ended; they are valid in its function only, and v[] copies them");
    }
    return guard->count == 0 ? &nothing : guard->data;
}

static const void *memory_or_null(SEXP vector) {
    return memory_of(vector, FALSE);
}

static SEXP duplicate(SEXP vector, Rboolean deep) {
    const void *data = memory_of(vector, FALSE);
    // A replacement makes shallow copies, and other functions make deep ones.
    if (!deep && guard_of(vector)->writes) {
        refuse(TN_ERR_INVALID, "R binding: another name refers to these elements, so R would write to a copy; use one name, or v[]");
    }
    SEXP copy = Rf_allocVector(TYPEOF(vector), XLENGTH(vector));
    size_t item = TYPEOF(vector) == INTSXP ? sizeof(int) : TYPEOF(vector) == RAWSXP ? 1 : sizeof(double);
    item = TYPEOF(vector) == CPLXSXP ? sizeof(Rcomplex) : item;
    memcpy(DATAPTR(copy), data, item * (size_t)XLENGTH(copy));
    return copy;
}

static SEXP coerce(SEXP vector, int type) {
    memory_of(vector, FALSE);
    if (guard_of(vector)->writes) {
        refuse(TN_ERR_DTYPE, "R binding: R would convert elements of type %s to %s in a copy; write values of that type, or convert v[]",
               Rf_type2char(TYPEOF(vector)), Rf_type2char((SEXPTYPE)type));
    }
    return NULL;
}

static Rboolean inspect(SEXP vector, int pre, int deep, int pvec, void (*subtree)(SEXP, int, int, int)) {
    (void)pre, (void)deep, (void)pvec, (void)subtree;
    struct guard *guard = guard_of(vector);
    Rprintf(" elements of a tenure array, %s\n", guard->open == NULL ? "ended" : guard->writes ? "write guard" : "read guard");
    return TRUE;
}

static R_altrep_class_t prepared(R_altrep_class_t class) {
    R_set_altrep_Length_method(class, length_of);
    R_set_altrep_Duplicate_method(class, duplicate);
    R_set_altrep_Coerce_method(class, coerce);
    R_set_altrep_Inspect_method(class, inspect);
    R_set_altvec_Dataptr_method(class, memory_of);
    R_set_altvec_Dataptr_or_null_method(class, memory_or_null);
    return class;
}

void register_elements(DllInfo *library) {
    real_elements = prepared(R_make_altreal_class("elements_float64", "tenure", library));
    integer_elements = prepared(R_make_altinteger_class("elements_int32", "tenure", library));
    raw_elements = prepared(R_make_altraw_class("elements_uint8", "tenure", library));
    complex_elements = prepared(R_make_altcomplex_class("elements_complex128", "tenure", library));
}

bool is_elements(SEXP vector) {
    return ALTREP(vector) && (R_altrep_inherits(vector, real_elements) || R_altrep_inherits(vector, integer_elements) ||
                              R_altrep_inherits(vector, raw_elements) || R_altrep_inherits(vector, complex_elements));
}
