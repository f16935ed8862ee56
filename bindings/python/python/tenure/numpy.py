"""Borrow flags for any NumPy array: who may read or write its bytes now, across threads, extensions and Tenure's arrays.

>>> import numpy, tenure
>>> a = numpy.zeros(1000)
>>> with tenure.numpy.write(a[:500], name="first half") as half:
...     half += 1.0
...     with tenure.numpy.read(a[500:]):          # no byte in common
...         pass
...     try:
...         tenure.numpy.read(a).__enter__()
...     except tenure.OwnershipError as error:
...         print(error)                          # doctest: +ELLIPSIS
tn_array_borrow_read: the array is borrowed for writing (at ..., through "first half"); end that borrow

``publish()`` makes these flags those of all extensions that are built with rust-numpy, which check theirs already.

Contract: nothing is copied, and nothing is locked: a conflict raises ``tenure.OwnershipError`` at once, which names the other
borrow and its line. Code that takes no borrow is not seen. A NumPy array on memory of a ``tenure.Array`` gets a borrow of that
array. All functions may be called on any thread. C code gets the same by ``tenure_numpy.h``, in ``tenure.get_include()``.
"""

from __future__ import annotations

from . import _tenure

__all__ = ["last_refusal", "publish", "read", "write"]


class _Block:
    """A borrow for a ``with`` block."""

    __slots__ = ("_array", "_guards", "_name", "_writes")

    def __init__(self, array, writes, name):
        self._array = array
        self._writes = writes
        self._name = name
        self._guards = []

    def __enter__(self):
        self._guards.append(_tenure._guard_ndarray(self._array, self._writes, self._name))
        if self._writes:
            return self._array
        view = self._array.view()
        view.flags.writeable = False
        return view

    def __exit__(self, exception, *_rest):
        self._guards.pop().end(exception is not None)

    def __repr__(self):
        state = "open" if self._guards else "not open"
        return f"<tenure.numpy.{'write' if self._writes else 'read'} of {self._array.nbytes} bytes, {state}>"


def read(array, *, name: str | None = None):
    """Borrows the elements of a NumPy array for reading, until the end of the ``with`` block, which gets a read-only view.

    Readers do not conflict with each other. ``array``: a ``numpy.ndarray`` of any class, element type and layout. ``name``: what
    messages call it. Raises ``OwnershipError`` while some of its elements are borrowed for writing."""
    return _Block(array, False, name)


def write(array, *, name: str | None = None):
    """Borrows the elements of a NumPy array for writing, until the end of the ``with`` block, which gets the array itself.

    Raises ``OwnershipError`` while some of its elements are borrowed, and ``ReadOnlyError`` if NumPy refuses writes. If an
    exception leaves the block, and a ``tenure.Array`` has the memory, its elements are poisoned, as by ``x.write()``."""
    return _Block(array, True, name)


def publish() -> str:
    """Makes these borrow flags those of the extensions that are built with rust-numpy. Their borrows then conflict with Tenure's,
    and are listed by ``tenure.report()``, with the Python line that called the extension.

    Returns "tenure". If such an extension borrowed an array before, its own flags stay in use, and the result is "rust-numpy":
    then ``read`` and ``write`` borrow in those flags too, but the extensions do not see other borrows of Tenure. So call this
    before the first use of an extension. ``read`` and ``write`` call it themselves."""
    return _tenure._publish_borrows()


def last_refusal() -> str | None:
    """Why an extension's last refused borrow on this thread was refused: the exceptions of rust-numpy name no holder. None: none
    was, or the extensions have flags of their own."""
    return _tenure._last_refusal()
