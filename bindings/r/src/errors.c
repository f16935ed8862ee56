// Failures as R's conditions of the classes tenure_error_<STATUS>, tenure_error, error.
#include "binding.h"
#include <stdarg.h>
#include <stdio.h>

static void raise_condition(tn_status status, const char *text) __attribute__((noreturn));

static void raise_condition(tn_status status, const char *text) {
    const char *fields[] = {"message", "call", "status", ""};
    const char *name = tn_status_name(status);
    char class[64];
    snprintf(class, sizeof class, "tenure_error_%s", name);
    SEXP condition = PROTECT(Rf_mkNamed(VECSXP, fields));
    SET_VECTOR_ELT(condition, 0, Rf_ScalarString(Rf_mkCharCE(text, CE_UTF8)));
    SET_VECTOR_ELT(condition, 2, Rf_mkString(name));
    SEXP classes = PROTECT(Rf_allocVector(STRSXP, 4));
    SET_STRING_ELT(classes, 0, Rf_mkChar(class));
    SET_STRING_ELT(classes, 1, Rf_mkChar("tenure_error"));
    SET_STRING_ELT(classes, 2, Rf_mkChar("error"));
    SET_STRING_ELT(classes, 3, Rf_mkChar("condition"));
    Rf_classgets(condition, classes);
    SEXP call = PROTECT(Rf_lang2(Rf_install("stop"), condition));
    Rf_eval(call, R_BaseEnv);
    Rf_error("%s", text); // stop() does not return
}

void check(tn_status status) {
    if (status == TN_OK) {
        return;
    }
    // R's own work below may call the library by finalisers, which would replace the text.
    char text[512];
    snprintf(text, sizeof text, "%s", tn_last_error());
    raise_condition(status, text);
}

void refuse(tn_status status, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    raise_condition(status, text);
}
