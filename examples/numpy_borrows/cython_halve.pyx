# cython: language_level=3, boundscheck=False
"""An extension in Cython that borrows the NumPy arrays it works on."""

from libc.stdint cimport uint64_t


cdef extern from "tenure_numpy.h":
    ctypedef struct tn_numpy_borrows:
        uint64_t (*acquire)(object array, int writes, const char *name, const char *file, int line) except 0
        int (*release)(uint64_t guard, int failed) except -1
    const tn_numpy_borrows *tn_numpy_borrows_import() except NULL


cdef const tn_numpy_borrows *borrows = tn_numpy_borrows_import()


def halve(image, while_borrowed=None):
    """Halves each element in place. Raises tenure.OwnershipError while somebody else uses the array."""
    cdef double[:, ::1] pixels = image
    cdef Py_ssize_t y, x
    cdef uint64_t guard = borrows.acquire(image, 1, b"image", NULL, 0)
    try:
        if while_borrowed is not None:
            while_borrowed()
        with nogil:
            for y in range(pixels.shape[0]):
                for x in range(pixels.shape[1]):
                    pixels[y, x] *= 0.5
    finally:
        borrows.release(guard, 0)
