"""Operators of arrays that have a form: they build expressions, which know what a diagonal or a triangle is.

Contract: where an operand of ``+ - * / @`` is an array of a form other than "full", the result is a lazy expression, as if the first
operand were ``tenure.lazy(x)``. NumPy's functions see the stored elements, those of a diagonal as a vector. With more than one operand
that would broadcast where a matrix is meant, so it is refused. The native half calls this module where an operand has a form.
"""

import operator

import numpy

from ._tenure import Array, lazy, ones


def identity(n, dtype=None, *, name=None, pool=None, device=None):
    """The identity matrix of n rows, as a diagonal of n ones. ``x.dense()`` has all n * n elements.

    >>> tenure.identity(2).dense().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x = ones(n, dtype, name=name, pool=pool, device=device)
    x.form = "diagonal"
    return x


def _refuse(what):
    """Raises for an operation that expressions do not have, or that writes its operand."""
    raise TypeError(
        f"{what} takes an array of a form for its stored elements; build an expression with + - * / @ and tenure.lazy(x), or pass "
        "x.dense() or numpy.asarray(x)"
    )


# The operators that expressions have, by their ufuncs.
_BUILD = {"add": "add", "subtract": "sub", "multiply": "mul", "true_divide": "truediv", "matmul": "matmul"}


def _binary(ufunc, x, y, turned):
    """``x op y``; turned: `y` is the array that is asked."""
    name = _BUILD.get(ufunc) or _refuse(f"numpy.{ufunc}")
    return getattr(lazy(y), f"__r{name}__")(x) if turned else getattr(lazy(x), f"__{name}__")(y)


def _negative(x):
    return -lazy(x)


def _compared(name, x, y):
    """``x < y`` and the like: of two arrays of one form, or an array and a number."""
    if numpy.ndim(y) != 0 and getattr(y, "form", None) != x.form:
        _refuse(f"operator.{name}")
    return getattr(operator, name)(_stored(x), _stored(y))


def _stored(x):
    """The stored elements of an array, without its form."""
    if type(x) is Array:
        x = x.clone()
        x.form = "full"
    return x
