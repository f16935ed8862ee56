/* Borrow flags for NumPy arrays, for C, C++ and Cython code that gets arrays from Python.
 *
 * The functions are found at run time, by the capsule `tenure._borrow_api`: nothing is linked, and nothing but Python.h
 * is included. The same flags are `tenure.numpy.read` and `write` in Python.
 *
 *     static const tn_numpy_borrows *borrows;                   // in the module's init function:
 *     if (!(borrows = tn_numpy_borrows_import())) return NULL;  // the exception is set, such as: no module named tenure
 *
 *     uint64_t guard = TN_NUMPY_ACQUIRE(borrows, array, 1, "image");
 *     if (!guard) return NULL;                                  // tenure.OwnershipError, which names who has borrowed it
 *     ...                                                       // write the elements; the GIL may be released
 *     if (borrows->release(guard, 0)) return NULL;
 *
 * Ownership: a guard refers to the array and keeps its memory until it is released. Whoever acquired it releases it, once.
 * Threads: any, with the interpreter attached (the GIL held). A guard may be released on another thread.
 * The struct only grows; test `size` before you use a member that a newer version added.
 */
#ifndef TENURE_NUMPY_H
#define TENURE_NUMPY_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tn_numpy_borrows {
    /* Bytes of the struct. */
    size_t size;
    /* Borrows the elements of a numpy.ndarray: for reading, or for writing (writes != 0). name: what messages call the memory, or
     * NULL. file, line: the call site in messages, or NULL, 0: the Python line that runs. Returns the guard's number; 0: refused,
     * with an exception set (tenure.OwnershipError, tenure.ReadOnlyError, TypeError, MemoryError), and nothing changed. */
    uint64_t (*acquire)(PyObject *array, int writes, const char *name, const char *file, int line);
    /* Ends the borrow. failed != 0: what was written is incomplete; if the memory is that of a tenure.Array, it is poisoned.
     * Returns 0; -1 with ValueError set: no such guard is open. */
    int (*release)(uint64_t guard, int failed);
} tn_numpy_borrows;

/* The functions. NULL: an exception is set. They stay valid until the process ends. */
static inline const tn_numpy_borrows *tn_numpy_borrows_import(void)
{
    return (const tn_numpy_borrows *)PyCapsule_Import("tenure._borrow_api", 0);
}

/* Acquires with the line of the C source as the call site. */
#define TN_NUMPY_ACQUIRE(borrows, array, writes, name) ((borrows)->acquire((array), (writes), (name), __FILE__, __LINE__))

#endif
