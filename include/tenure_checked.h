/**
 * @file tenure_checked.h
 * Short forms of borrows, give and release, with which clang sees conflicts before the program runs: a second writer, a
 * writer beside a reader, a give or a release while a guard is open. They name the array where a guard ends too, which
 * `tn_borrow_end` does not. Define TN_STATIC_CHECKS and compile with -Wthread-safety; see docs/static-checks.md. With
 * other compilers the forms do the same, and nothing is checked.
 */

#ifndef TENURE_CHECKED_H
#define TENURE_CHECKED_H

#include "tenure.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(TN_STATIC_CHECKS) && defined(__clang__)
/* What a guard holds: the right to use the bytes of an array. The analysis compares calls of tn_bytes_of; nothing makes one. */
struct TN_CHECKED(capability("bytes")) tn_bytes {
    char unused;
};
struct tn_bytes *tn_bytes_of(tn_array *array);
#endif

/**
 * Opens a read guard: `tn_array_borrow_read` on the host, now.
 *
 * @param array     The array.
 * @param[out] data The address of the first element, valid until `tn_read_end`. May be NULL.
 * @param[out] out  The guard. Ended by `tn_read_end`.
 * @return The statuses of `tn_array_borrow_read`.
 */
static inline tn_status tn_read(tn_array *array, const void **data, tn_borrow **out) TN_BORROWS(array) TN_GIVES(out)
    TN_CHECKED(try_acquire_shared_capability(0, tn_bytes_of(array))) TN_MUST_CHECK;

/**
 * Ends a read guard.
 *
 * @param array The array that the guard was opened on.
 * @param guard The guard.
 * @return The statuses of `tn_borrow_end`.
 */
static inline tn_status tn_read_end(tn_array *array, tn_borrow *guard) TN_ENDS(guard)
    TN_CHECKED(release_shared_capability(tn_bytes_of(array)));

/**
 * Opens a write guard: `tn_array_borrow_write` with TN_WRITE_ALIASED on the host, now.
 *
 * @param array     The array.
 * @param[out] data The address of the first element, valid until `tn_write_end`. May be NULL.
 * @param[out] out  The guard. Ended by `tn_write_end`.
 * @return The statuses of `tn_array_borrow_write`.
 */
static inline tn_status tn_write(tn_array *array, void **data, tn_borrow **out) TN_BORROWS(array) TN_GIVES(out)
    TN_CHECKED(try_acquire_capability(0, tn_bytes_of(array))) TN_MUST_CHECK;

/**
 * Ends a write guard.
 *
 * @param array The array that the guard was opened on.
 * @param guard The guard.
 * @return The statuses of `tn_borrow_end`.
 */
static inline tn_status tn_write_end(tn_array *array, tn_borrow *guard) TN_ENDS(guard)
    TN_CHECKED(release_capability(tn_bytes_of(array)));

/**
 * Gives an array away and releases the giver's handle, also if the give fails: so no later use compiles without a
 * warning.
 *
 * @param array    The array, without open guards. The handle is released.
 * @param[out] out The promise. Released by `tn_promise_release`, also after it was taken.
 * @return The statuses of `tn_array_give`.
 */
static inline tn_status tn_give(tn_array *array, tn_promise **out) TN_TAKES(array) TN_GIVES(out)
    TN_CHECKED(locks_excluded(tn_bytes_of(array))) TN_MUST_CHECK;

/**
 * Releases an array that no guard of this function uses.
 *
 * @param array The array.
 * @return The statuses of `tn_array_release`.
 */
static inline tn_status tn_release(tn_array *array) TN_TAKES(array) TN_CHECKED(locks_excluded(tn_bytes_of(array)));

/* The bodies are what the attributes promise, which the analysis cannot know. */
#define TN_BODY TN_CHECKED(no_thread_safety_analysis)

TN_BODY static inline tn_status tn_read(tn_array *array, const void **data, tn_borrow **out)
{
    return tn_array_borrow_read(array, 0, NULL, data, NULL, out);
}

TN_BODY static inline tn_status tn_read_end(tn_array *array, tn_borrow *guard)
{
    (void)array;
    return tn_borrow_end(guard, 0, NULL);
}

TN_BODY static inline tn_status tn_write(tn_array *array, void **data, tn_borrow **out)
{
    return tn_array_borrow_write(array, TN_WRITE_ALIASED, NULL, data, NULL, out);
}

TN_BODY static inline tn_status tn_write_end(tn_array *array, tn_borrow *guard)
{
    (void)array;
    return tn_borrow_end(guard, 0, NULL);
}

TN_BODY static inline tn_status tn_give(tn_array *array, tn_promise **out)
{
    tn_status status = tn_array_give(array, 1, out);
    (void)tn_array_release(array);
    return status;
}

TN_BODY static inline tn_status tn_release(tn_array *array)
{
    return tn_array_release(array);
}

#undef TN_BODY

#ifdef __cplusplus
}
#endif

#endif
