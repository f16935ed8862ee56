/* Written by `cargo xtask header` from src/ffi: edit that. */
/**
 * @file tenure_bindings.h
 * What the language bindings of Tenure call beside tenure.h. No program needs it.
 */

#ifndef TENURE_BINDINGS_H
#define TENURE_BINDINGS_H

#include "tenure.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ==================================================== bindings ==================================================== */
/**
 * @defgroup bindings what the language bindings of Tenure call, and no program
 * Declared in include/tenure_bindings.h.
 */

/**
 * Completes the table of `tn_dlpack_exchange_api` with the functions of the Python package that take Python objects.
 *
 * @param slots        A table whose functions from, to and view of Python objects are set and stay callable; the rest is not read.
 * @return TN_OK, also for the same functions again; TN_ERR_NULL; TN_ERR_INVALID for others than those that are set.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup bindings
 */
tn_status tn_dlpack_register_python(const struct DLPackExchangeAPI *slots);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TENURE_BINDINGS_H */
