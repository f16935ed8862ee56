// Handles as external pointers. A finaliser releases what was not released; it reports nothing.
#include "binding.h"

void *handle(SEXP object, const char *class) {
    if (TYPEOF(object) != EXTPTRSXP || !Rf_inherits(object, class)) {
        refuse(TN_ERR_KIND, "R binding: this is no object of class %s", class);
    }
    return R_ExternalPtrAddr(object);
}

tn_array *array_of(SEXP object) {
    return handle(object, "tenure_array");
}

tn_pool *pool_of(SEXP object) {
    if (object == R_NilValue) {
        return NULL;
    }
    tn_pool *pool = handle(object, "tenure_pool");
    if (pool == NULL) {
        // NULL would mean the current pool.
        refuse(TN_ERR_NULL, "R binding: this pool was released");
    }
    return pool;
}

SEXP object_for(const char *class, R_CFinalizer_t finalizer) {
    SEXP object = PROTECT(R_MakeExternalPtr(NULL, R_NilValue, R_NilValue));
    Rf_classgets(object, PROTECT(Rf_mkString(class)));
    R_RegisterCFinalizerEx(object, finalizer, TRUE);
    UNPROTECT(2);
    return object;
}

static void finish_array(SEXP object) {
    tn_array *array = R_ExternalPtrAddr(object);
    R_ClearExternalPtr(object);
    if (array != NULL) {
        tn_array_release(array);
    }
}

SEXP array_object(void) {
    return object_for("tenure_array", finish_array);
}

// The line that called the binding, of at most this many functions further out. R keeps lines with options(keep.source = TRUE), the default
// of interactive sessions.
enum { MAX_CALLERS = 6 };

void prepare(void) {
    release_lent();
    for (int skip = 1; skip <= MAX_CALLERS; skip++) {
        SEXP where = R_GetCurrentSrcref(skip);
        if (TYPEOF(where) == INTSXP && XLENGTH(where) >= 1) {
            SEXP file = PROTECT(R_GetSrcFilename(where));
            tn_here(Rf_isString(file) && XLENGTH(file) == 1 ? CHAR(STRING_ELT(file, 0)) : NULL, INTEGER_ELT(where, 0));
            UNPROTECT(1);
            return;
        }
    }
    tn_here(NULL, 0);
}
