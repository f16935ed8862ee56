// The functions that R calls.
#include "binding.h"
#include <R_ext/Rdynload.h>

// R calls each with its number of arguments. The type in between is the one that compilers let stand for every function.
#define ENTRY(name, n_arguments) {#name, (DL_FUNC)(void (*)(void))&r_##name, n_arguments},
static const R_CallMethodDef CALLS[] = {FUNCTIONS(ENTRY){NULL, NULL, 0}};

void R_init_tenure(DllInfo *library) {
    R_registerRoutines(library, NULL, CALLS, NULL, NULL);
    R_useDynamicSymbols(library, FALSE);
    register_elements(library);
}
