/* Written by `cargo xtask header` from src/ffi: edit that. */
/**
 * @file tenure_bindings.h
 * Further functions for Tenure's language bindings. Programs do not need this header.
 */

#ifndef TENURE_BINDINGS_H
#define TENURE_BINDINGS_H

#include "tenure.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ==================================================== bindings ==================================================== */
/**
 * @defgroup bindings functions for Tenure's own language bindings, not for programs
 * Declared in include/tenure_bindings.h.
 */

/**
 * Completes the table of `tn_dlpack_exchange_api` with the Python package's functions that take Python objects.
 *
 * @param slots        A table with the three functions that convert from, convert to and view Python objects. They stay callable; the
 *                     other entries are not read.
 * @return TN_OK, also if these functions are set already; TN_ERR_NULL; TN_ERR_INVALID if other functions are set already.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup bindings
 */
tn_status tn_dlpack_register_python(const struct DLPackExchangeAPI *slots);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TENURE_BINDINGS_H */
