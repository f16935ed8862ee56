"""Conversions of bfloat16, an element type that NumPy itself lacks.

Contract: reading needs NumPy alone, as float32, which has every value of bfloat16. A NumPy array of the type itself needs the
package ``ml_dtypes``, which JAX and others install; without it ``numpy_dtype`` raises.
"""

import numpy

from ._errors import Status, make


def numpy_dtype() -> numpy.dtype:
    """The dtype of ``ml_dtypes``."""
    try:
        import ml_dtypes
    except ImportError:
        text = (
            "NumPy has no bfloat16: install ml_dtypes for NumPy arrays of that type, or use x.view(\"uint16\") for the bits "
            "and x.astype(\"float32\") for the values"
        )
        raise make(Status.DTYPE, text, False) from None
    return numpy.dtype(ml_dtypes.bfloat16)


def widened(bits: numpy.ndarray) -> numpy.ndarray:
    """The values as float32, from the bits as uint16."""
    # Operators turn an array without axes into a scalar.
    return numpy.asarray(bits.astype(numpy.uint32) << numpy.uint32(16)).view(numpy.float32)


def narrowed(values) -> numpy.ndarray:
    """The bits of any values, rounded to nearest, ties to even."""
    values = numpy.asarray(values)
    if values.dtype.name == "bfloat16":
        return values.view(numpy.uint16)
    values = numpy.asarray(values, numpy.float32)
    bits = values.view(numpy.uint32)
    up = numpy.uint32(0x7FFF) + (bits >> numpy.uint32(16) & numpy.uint32(1))
    # A NaN stays a NaN: it is cut off, and its first fraction bit set.
    kept = numpy.where(numpy.isnan(values), bits | numpy.uint32(0x400000), bits + up)
    return numpy.asarray(kept >> numpy.uint32(16), numpy.uint16)
