"""Shared variables: ``tenure.shared``, and the methods of ``SharedVariable`` that convert other objects.

Contract: a value without memory of its own, such as a list, is converted once and moved in. Any other value is copied by the library, or
with ``borrow=True`` shared with it. What became of the last value is in ``variable.crossing``.
"""

from typing import NamedTuple

from ._tenure import Array, Promise, SharedVariable, _shared, array, asarray, take
from ._types import Why

_BORROW, _REQUIRE_BORROW, _RAW, _MAY_OVERWRITE, _TAKE, _STRICT = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6


class Crossing(NamedTuple):
    """What became of a value that entered or left a shared variable."""

    #: "aliased" or "copied".
    how: str
    #: Why it was copied in place of an alias; ``Why(0)`` for an alias, and for a copy that was requested.
    why: Why


def _flags(borrow, require_borrow, strict=False):
    return _BORROW * bool(borrow) | _REQUIRE_BORROW * bool(require_borrow) | _STRICT * bool(strict)


def _has_memory(x):
    kind = type(x)
    return hasattr(kind, "__array_interface__") or hasattr(kind, "__buffer__") or hasattr(kind, "__dlpack__")


def _enter(value, flags, store):
    """Calls `store` with an array of the value, and the flags."""
    if type(value) is Array:
        return store(value, flags)
    if type(value) is Promise:
        moved = take(value)
    elif _has_memory(value):
        return store(asarray(value), flags)
    else:
        moved = array(value)
    try:
        return store(moved, flags | _TAKE)
    finally:
        moved.release()


def shared(value, name=None, borrow=False, *, require_borrow=False, strict=False, device=None, pool=None):
    """A shared variable: one array value that the library keeps, for many functions to read and update.

    The variable copies the value. borrow=True: it shares the value's bytes where possible, which then are constant for all other handles
    while they are the value. require_borrow=True: it shares them, or raises. A promise is taken over: its bytes move in. strict=True: a
    value on another device or in another order raises. device, pool: where the value is kept; default: on its device, in the current pool.

    >>> w = tenure.shared(numpy.zeros((3, 4)), name="w")
    >>> with w.update() as value: value += 1
    >>> w.get_value().sum(), w.version
    (np.float64(12.0), 2)
    """
    return _enter(
        value,
        _flags(borrow, require_borrow, strict),
        lambda x, flags: _shared(x, flags, name, device, pool),
    )


def _get_value(self, borrow=False, return_internal_type=False, *, raw=False, require_borrow=False):
    """The value, as an array that never changes, whatever is set later.

    By default a copy on the device of the first value. borrow=True: the variable's own bytes where possible; they cannot be written, except
    with copy on write. raw=True, or return_internal_type=True: on the variable's device, without a transfer. require_borrow=True raises in
    place of a copy.
    """
    return self._get(_flags(borrow, require_borrow) | _RAW * bool(raw or return_internal_type))


def _set_value(self, value, borrow=False, *, require_borrow=False, strict=False):
    """Replaces the value by a copy; with borrow=True by the bytes of `value` where possible. A promise moves in. Element type and number of
    axes stay. If it raises, the value is as before."""
    _enter(value, _flags(borrow, require_borrow, strict), self._set)


class _Update:
    """The context manager of ``variable.update()``."""

    def __init__(self, variable, in_place):
        self._variable, self._in_place, self._value = variable, in_place, None

    def __enter__(self):
        if self._value is not None:
            raise RuntimeError("this update has begun already; call update() again for another one")
        self._value = self._variable._begin(_MAY_OVERWRITE * bool(self._in_place))
        return self._value

    def __exit__(self, kind, error, trace):
        # The library has the bytes; using the array later names the end of this block.
        self._value.release()
        self._variable._end(kind is not None)


def _update(self, in_place=False):
    """A block that changes the value: ``with w.update() as value: value += 1``.

    The block works on a copy, which becomes the value at its end, and is dropped if the block raises. in_place=True: it works on the value
    itself, if nobody else holds it; if the block then raises, the value is undefined until a set. Meanwhile other changes are refused.
    """
    return _Update(self, in_place)


def _crossing_of(how, why):
    return Crossing({1: "aliased", 2: "copied"}[how], Why(why))


def _crossing(self):
    """What became of the last value that entered or left through this object: ``Crossing(how, why)``."""
    return _crossing_of(*self._crossing)


def _install():
    """Adds the methods to the class of the native half."""
    for name, method in (("get_value", _get_value), ("set_value", _set_value), ("update", _update)):
        method.__name__, method.__qualname__, method.__module__ = name, f"SharedVariable.{name}", "tenure"
        setattr(SharedVariable, name, method)
    SharedVariable.crossing = property(_crossing)
    shared.__module__ = Crossing.__module__ = "tenure"


_install()
