"""``tenure.watch``: a NumPy array that cannot be written while others read its bytes.

Contract: nothing is copied. A watch has a borrow for reading, so all that takes borrows is refused by name, and takes the permission to write
from the arrays that it can reach: the array, and those of which it is a view. The last watch of an array gives the permission back.
"""

import threading
import weakref
from typing import Any, NamedTuple

import numpy

from . import _tenure
from ._tenure import Array

__all__ = ["Alias", "watch"]


class Alias(NamedTuple):
    """An object that has bytes of a watched array."""

    #: The package of its class: "numpy", "pyarrow", "pandas", "tenure", "builtins" or another one.
    package: str
    object: Any


def _package(x):
    return type(x).__module__.partition(".")[0]


# ---- Which bytes an object has


def _span(address, length):
    return [(address, address + length)] if length else []


def _of_ndarray(x):
    low, high = numpy.lib.array_utils.byte_bounds(x)
    return _span(low, high - low)


def _of_pyarrow(x):
    """The buffers of an array, a table, a chunked array, a scalar or a buffer."""
    for parts in ("chunks", "columns"):
        if (found := getattr(x, parts, None)) is not None:
            return [span for part in found for span in _of_pyarrow(part)]
    if hasattr(x, "buffers"):
        return [span for buffer in x.buffers() if buffer is not None for span in _of_pyarrow(buffer)]
    if hasattr(x, "address") and hasattr(x, "size"):
        return _span(x.address, x.size)
    return None


def _of_pandas(x):
    """The values of a series or an index; of a frame, those of its columns."""
    if getattr(x, "ndim", 1) == 2:
        return [span for at in range(x.shape[1]) for span in _of_pandas(x.iloc[:, at])]
    values = x.array if hasattr(x, "array") else x
    stored = getattr(values, "_pa_array", None)
    return _of_pyarrow(stored) if stored is not None else _of_ndarray(values.to_numpy(copy=False))


def _spans(x):
    """The ranges of addresses that an object has; None: it does not tell."""
    package = _package(x)
    if isinstance(x, numpy.ndarray):
        return _of_ndarray(x)
    if package == "pyarrow":
        return _of_pyarrow(x)
    if package == "pandas":
        return _of_pandas(x)
    if isinstance(x, Array):
        x = x.readonly
    try:
        return _of_ndarray(numpy.asarray(x) if hasattr(x, "__array_interface__") else numpy.frombuffer(x, "uint8"))
    except (TypeError, ValueError, BufferError):
        return None


def _owners(array):
    """The array, and the objects that it is a view of, up to the one that has the memory."""
    found = [array]
    while True:
        last = found[-1]
        base = last.obj if isinstance(last, memoryview) else getattr(last, "base", None) if isinstance(last, numpy.ndarray) else None
        if base is None:
            return found
        found.append(base)


# ---- The permission to write, which several watches may have taken


_lock = threading.Lock()
_frozen: dict[int, list] = {}  # by id: the array, and the number of watches
_owed: list[numpy.ndarray] = []  # get the permission back as soon as what they are views of has it


def _freeze(arrays):
    """Takes the permission to write, from views before what they are views of. Returns the arrays that had it."""
    taken = []
    with _lock:
        for array in arrays:
            entry = _frozen.get(id(array))
            if entry is None and array.flags.writeable and _can_be_given_back(array):
                array.flags.writeable = False
                entry = _frozen[id(array)] = [array, 0]
            if entry is not None:
                entry[1] += 1
                taken.append(array)
    return taken


def _can_be_given_back(array):
    """NumPy refuses to permit writes to memory of an object without a buffer, such as one with an array interface alone."""
    if any(id(owner) in _frozen for owner in _owners(array)):
        return True  # it was asked before
    try:
        array.flags.writeable = True
    except ValueError:
        return False
    return True


def _thaw(taken):
    with _lock:
        for array in taken:
            entry = _frozen[id(array)]
            entry[1] -= 1
            if entry[1] == 0:
                del _frozen[id(array)]
                _owed.append(array)
        for array in _owed[::-1]:  # what a view is of comes first
            try:
                array.flags.writeable = True
            except ValueError:
                continue  # another watch has what it is a view of
            _owed[:] = [other for other in _owed if other is not array]


class _State:
    """What a watch holds, until its readers are gone or it is ended."""

    def __init__(self, array, readers, name):
        self.lock = threading.Lock()
        self.waits_for = len(readers)
        self.guard = _tenure._guard_ndarray(array, False, name)
        self.taken = _freeze([x for x in _owners(array) if isinstance(x, numpy.ndarray)])
        if array.flags.writeable:
            _thaw(self.taken)
            self.guard.end(False)
            raise ValueError("NumPy could not permit writes to this array again: its memory belongs to an object without a buffer")
        self.finalizers = [weakref.finalize(reader, self.gone) for reader in readers]

    def gone(self):
        with self.lock:
            self.waits_for -= 1
            is_last = self.waits_for == 0
        if is_last:
            self.end()

    def end(self):
        with self.lock:
            guard, taken, self.guard, self.taken = self.guard, self.taken, None, []
        if guard is not None:
            for finalizer in self.finalizers:
                finalizer.detach()
            _thaw(taken)
            guard.end(False)


class watch:
    """Makes a NumPy array read-only as long as others read its bytes.

    readers: objects that may have the array's bytes: arrays, tables and buffers of pyarrow, series and frames of pandas, arrays of NumPy
    and Tenure, buffers. The watch ends by itself when the last reader that shares bytes is gone: ``w.readers``. One that has a copy of
    its own is in ``w.copies``. ``w.owners`` has what the array itself is a view of. Without a reader, the watch lasts until ``w.end()``, the end of a ``with`` block, or of the object ``w``.

    Meanwhile writes to the array, and to the arrays that it is a view of, raise NumPy's ValueError, and borrows for writing raise
    ``OwnershipError``, which names the watch. Other views that existed before, and code that holds the address, are not seen.

    >>> a = numpy.arange(3.0)
    >>> with tenure.watch(a):
    ...     a[0] = 7.0
    Traceback (most recent call last):
        ...
    ValueError: assignment destination is read-only
    >>> a[0] = 7.0
    """

    def __init__(self, array, *readers, name=None):
        if not isinstance(array, numpy.ndarray):
            raise TypeError(f"a numpy.ndarray is needed, not {type(array).__name__}")
        own, shared, copies = _of_ndarray(array), [], []
        for reader in readers:
            spans = _spans(reader)
            if spans is None:
                raise TypeError(f"{type(reader).__name__} does not tell which bytes it has; pass the arrays or buffers in it")
            shares = any(low < end and start < high for start, end in own for low, high in spans)
            (shared if shares else copies).append(reader)
        #: What the array is a view of, by its base chain: the nearest object first, and the one that has the memory last.
        self.owners = tuple(Alias(_package(x), x) for x in _owners(array)[1:])
        #: The readers that share no byte with the array.
        self.copies = tuple(Alias(_package(x), x) for x in copies)
        # Their end is waited for.
        self._readers = tuple(weakref.ref(reader) for reader in shared)
        self._state = None if copies and not shared else _State(array, shared, name)
        if not shared and self._state is not None:
            weakref.finalize(self, self._state.end)

    @property
    def readers(self):
        """The readers that share bytes with the array and still exist, as ``Alias``."""
        found = (reader() for reader in self._readers)
        return tuple(Alias(_package(x), x) for x in found if x is not None)

    @property
    def is_active(self):
        """Whether the array is read-only because of this watch."""
        return self._state is not None and self._state.guard is not None

    def end(self):
        """Ends the watch, also if readers exist. Calling it twice is allowed."""
        if self._state is not None:
            self._state.end()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.end()

    def __repr__(self):
        return f"<tenure.watch, {'active' if self.is_active else 'ended'}, {len(self.readers)} readers>"


watch.__module__ = Alias.__module__ = "tenure"
