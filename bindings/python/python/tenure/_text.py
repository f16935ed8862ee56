"""How arrays print that the host cannot touch: only what is shown is copied."""

import itertools
import re

import numpy

# What `numpy.array_repr` puts behind the elements of an abbreviated array.
_BEHIND = re.compile(r",(\s+)(shape=\([^)]*\))((?:, dtype=[^)]*)?\))\Z")


def text_of(array, function: str, width: int) -> str:
    """What ``numpy.array_repr`` or ``numpy.array_str`` say of the elements of a device array."""
    options = numpy.get_printoptions()
    edge, threshold = options["edgeitems"], options["threshold"]
    if array.size <= threshold or array.dtype == "bfloat16":
        return _asked(array, function, width)
    # NumPy shows so many elements at each end of an axis, and dots for the rest: one element stands for that.
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
        text = _asked(corner, function, width)
    behind = _BEHIND.search(text)
    if behind is None:
        return text
    # The shape is another one, and so, by NumPy's rule, may be the line on which it stands.
    head, tail = text[: behind.start() + 1], f"shape={array.shape}{behind[3]}"
    last = len(head) - (head.rfind("\n") + 1)
    return head + ("\n" + " " * len("array(") if last + len(tail) + 1 > width else " ") + tail


def _ends(length: int, edge: int) -> list[tuple[int, int]]:
    """The parts of an axis that are shown, (start, length) each."""
    return [(0, length)] if length <= 2 * edge else [(0, edge), (length - edge, edge)]


def _asked(readable, function: str, width: int) -> str:
    if not isinstance(readable, numpy.ndarray):
        with readable.copy_to_host() as copied:
            return _asked(numpy.asarray(copied.readonly), function, width)
    return getattr(numpy, function)(readable, max_line_width=width)
