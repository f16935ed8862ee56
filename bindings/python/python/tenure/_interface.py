"""The ``__array_interface__`` of other objects, compared with the buffer that it names. NumPy takes its numbers as they are."""

import operator

import numpy


def seen(interface):
    """The NumPy array that an interface describes, if its ``data`` is a buffer; None for an address, which nothing can be compared with."""
    data, shape, strides = (interface.get(name) for name in ("data", "shape", "strides"))
    offset, typestr = interface.get("offset", 0), interface.get("typestr")
    if data is None or shape is None or typestr is None:
        return None  # NumPy says what is missing
    if isinstance(data, tuple):
        if data and data[0] in (0, None) and 0 not in shape:
            raise BufferError(f"the data of __array_interface__ is NULL, and shape {tuple(shape)} has elements")
        return None
    # The view keeps the buffer open, so that a bytearray cannot be resized.
    memory = numpy.frombuffer(data, "uint8") if len(memoryview(data)) else numpy.empty(0, "uint8")
    try:
        shape = tuple(shape)
        # numpy.ndarray compares the rest with the buffer, but not these.
        if operator.index(offset) < 0 or any(operator.index(length) < 0 for length in shape):
            raise ValueError("a negative offset or length")
        return numpy.ndarray(shape, typestr, memory, offset, strides)
    except (TypeError, ValueError, OverflowError) as error:
        raise BufferError(
            f"__array_interface__ does not fit its data of {memory.nbytes} bytes: shape {shape}, strides {strides}, offset {offset}, "
            f"typestr {typestr!r}: {error}"
        ) from None
