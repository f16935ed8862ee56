// Element types, and their numbers in R.
#include "binding.h"
#include <limits.h>
#include <math.h>
#include <string.h>

static const struct type TYPES[] = {
    {TN_BOOL, "bool", LGLSXP, NILSXP},     {TN_I8, "int8", INTSXP, NILSXP},          {TN_I16, "int16", INTSXP, NILSXP},
    {TN_I32, "int32", INTSXP, INTSXP},     {TN_I64, "int64", REALSXP, NILSXP},       {TN_U8, "uint8", RAWSXP, RAWSXP},
    {TN_U16, "uint16", INTSXP, NILSXP},    {TN_U32, "uint32", REALSXP, NILSXP},      {TN_U64, "uint64", REALSXP, NILSXP},
    {TN_F16, "float16", NILSXP, NILSXP},   {TN_F32, "float32", REALSXP, NILSXP},     {TN_F64, "float64", REALSXP, REALSXP},
    {TN_BF16, "bfloat16", NILSXP, NILSXP}, {TN_C64, "complex64", CPLXSXP, NILSXP},   {TN_C128, "complex128", CPLXSXP, CPLXSXP},
};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

// Beyond it, R's doubles skip integers.
static const double EXACT = 9007199254740992.0;

const struct type *type_of(tn_dtype dtype) {
    for (int at = 0; at < N_TYPES; at++) {
        if (TYPES[at].dtype == dtype) {
            return &TYPES[at];
        }
    }
    refuse(TN_ERR_DTYPE, "R binding: unknown element type %u", (unsigned)dtype);
}

const struct type *type_named(SEXP name) {
    const char *text = Rf_isString(name) && XLENGTH(name) == 1 ? CHAR(STRING_ELT(name, 0)) : "";
    for (int at = 0; at < N_TYPES; at++) {
        if (strcmp(TYPES[at].name, text) == 0) {
            return &TYPES[at];
        }
    }
    refuse(TN_ERR_DTYPE, "R binding: no element type is named \"%s\"; they are named as in NumPy, such as \"float64\"", text);
}

int64_t bytes_of(tn_dtype dtype) {
    return (dtype >> 8 & 0xff) / 8;
}

struct number number_at(SEXP vector, R_xlen_t at) {
    struct number value = {0, 0, false};
    switch (TYPEOF(vector)) {
    case LGLSXP:
    case INTSXP: {
        int integer = TYPEOF(vector) == INTSXP ? INTEGER_ELT(vector, at) : LOGICAL_ELT(vector, at);
        value.is_missing = integer == NA_INTEGER;
        value.real = value.is_missing ? NA_REAL : integer;
        break;
    }
    case REALSXP:
        value.real = REAL_ELT(vector, at);
        value.is_missing = R_IsNA(value.real);
        break;
    case RAWSXP:
        value.real = RAW_ELT(vector, at);
        break;
    case CPLXSXP: {
        Rcomplex complex = COMPLEX_ELT(vector, at);
        value.real = complex.r;
        value.imaginary = complex.i;
        break;
    }
    default:
        refuse(TN_ERR_DTYPE, "R binding: values of type %s are no elements", Rf_type2char(TYPEOF(vector)));
    }
    return value;
}

static bool is_integer(struct number value, double least, double most) {
    return value.real >= least && value.real <= most && value.real == floor(value.real);
}

#define STORE(c_type, value) \
    do { \
        c_type stored = (c_type)(value); \
        memcpy(element, &stored, sizeof stored); \
        return true; \
    } while (0)

#define STORE_INTEGER(c_type, least, most) \
    do { \
        if (!is_integer(value, least, most)) { \
            return false; \
        } \
        STORE(c_type, value.real); \
    } while (0)

bool store(tn_dtype dtype, void *element, struct number value) {
    if (dtype == TN_C128) {
        double parts[2] = {value.real, value.imaginary};
        memcpy(element, parts, sizeof parts);
        return true;
    }
    if (dtype == TN_C64) {
        float parts[2] = {(float)value.real, (float)value.imaginary};
        memcpy(element, parts, sizeof parts);
        return true;
    }
    if (value.imaginary != 0) {
        return false;
    }
    switch (dtype) {
    case TN_BOOL:
        STORE_INTEGER(uint8_t, 0, 1);
    case TN_I8:
        STORE_INTEGER(int8_t, INT8_MIN, INT8_MAX);
    case TN_I16:
        STORE_INTEGER(int16_t, INT16_MIN, INT16_MAX);
    case TN_I32:
        if (value.is_missing) {
            STORE(int32_t, NA_INTEGER);
        }
        STORE_INTEGER(int32_t, INT32_MIN, INT32_MAX);
    case TN_I64:
        STORE_INTEGER(int64_t, -EXACT, EXACT);
    case TN_U8:
        STORE_INTEGER(uint8_t, 0, UINT8_MAX);
    case TN_U16:
        STORE_INTEGER(uint16_t, 0, UINT16_MAX);
    case TN_U32:
        STORE_INTEGER(uint32_t, 0, UINT32_MAX);
    case TN_U64:
        STORE_INTEGER(uint64_t, 0, EXACT);
    case TN_F32:
        STORE(float, value.real);
    case TN_F64:
        STORE(double, value.real);
    default:
        return false;
    }
}

#define LOAD(c_type) \
    c_type loaded; \
    memcpy(&loaded, element, sizeof loaded)

#define LOAD_INTEGER(c_type) \
    do { \
        LOAD(c_type); \
        INTEGER(vector)[at] = (int)loaded; \
        return true; \
    } while (0)

bool load(tn_dtype dtype, const void *element, SEXP vector, R_xlen_t at) {
    switch (dtype) {
    case TN_BOOL: {
        LOAD(uint8_t);
        LOGICAL(vector)[at] = loaded != 0;
        return true;
    }
    case TN_I8:
        LOAD_INTEGER(int8_t);
    case TN_I16:
        LOAD_INTEGER(int16_t);
    case TN_I32:
        LOAD_INTEGER(int32_t);
    case TN_U16:
        LOAD_INTEGER(uint16_t);
    case TN_U8: {
        LOAD(uint8_t);
        RAW(vector)[at] = loaded;
        return true;
    }
    case TN_I64: {
        LOAD(int64_t);
        REAL(vector)[at] = (double)loaded;
        return loaded >= -(int64_t)EXACT && loaded <= (int64_t)EXACT;
    }
    case TN_U32: {
        LOAD(uint32_t);
        REAL(vector)[at] = loaded;
        return true;
    }
    case TN_U64: {
        LOAD(uint64_t);
        REAL(vector)[at] = (double)loaded;
        return loaded <= (uint64_t)EXACT;
    }
    case TN_F32: {
        LOAD(float);
        REAL(vector)[at] = loaded;
        return true;
    }
    case TN_F64: {
        LOAD(double);
        REAL(vector)[at] = loaded;
        return true;
    }
    case TN_C64: {
        float parts[2];
        memcpy(parts, element, sizeof parts);
        COMPLEX(vector)[at] = (Rcomplex){.r = parts[0], .i = parts[1]};
        return true;
    }
    case TN_C128: {
        memcpy(&COMPLEX(vector)[at], element, sizeof(Rcomplex));
        return true;
    }
    default:
        return false;
    }
}
