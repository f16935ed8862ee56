"""Prints arrays that the host cannot touch, and copies only the elements that are shown."""

import itertools
import re

import numpy

# The end of `numpy.array_repr` of an abbreviated array, behind its elements.
_BEHIND = re.compile(r",(\s+)(shape=\([^)]*\))((?:, dtype=[^)]*)?\))\Z")


def text_of(array, function: str, width: int) -> str:
    """The result of ``numpy.array_repr`` or ``numpy.array_str`` for a device array."""
    options = numpy.get_printoptions()
    edge, threshold = options["edgeitems"], options["threshold"]
    if array.size <= threshold or array.dtype == "bfloat16":
        return _numpy_text(array, function, width)
    # NumPy shows `edge` elements at each end of an axis, and dots for the others. One element takes their place.
    ends = [_ends(length, edge) for length in array.shape]
    corner = numpy.zeros([sum(length for _, length in pieces) + (len(pieces) > 1) for pieces in ends], array.dtype)
    for pieces in itertools.product(*map(enumerate, ends)):
        there, here = [], []
        for which, (start, length) in pieces:
            there.append(slice(start, start + length))
            here.append(slice(0, length) if which == 0 else slice(-length, None))
        with array[tuple(there)] as part:
            with part.copy_to_host() as copied:
                corner[tuple(here)] = numpy.asarray(copied.readonly)
    with numpy.printoptions(threshold=0):
        text = _numpy_text(corner, function, width)
    behind = _BEHIND.search(text)
    if behind is None:
        return text
    # The real shape is longer, so it may have to move to another line by NumPy's rule.
    head, tail = text[: behind.start() + 1], f"shape={array.shape}{behind[3]}"
    last = len(head) - (head.rfind("\n") + 1)
    return head + ("\n" + " " * len("array(") if last + len(tail) + 1 > width else " ") + tail


def _ends(length: int, edge: int) -> list[tuple[int, int]]:
    """The parts of an axis that are shown, each as (start, length)."""
    return [(0, length)] if length <= 2 * edge else [(0, edge), (length - edge, edge)]


def _numpy_text(readable, function: str, width: int) -> str:
    if not isinstance(readable, numpy.ndarray):
        with readable.copy_to_host() as copied:
            return _numpy_text(numpy.asarray(copied.readonly), function, width)
    return getattr(numpy, function)(readable, max_line_width=width)
