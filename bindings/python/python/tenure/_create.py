"""New arrays with regular values: ``arange``, ``eye`` and ``linspace``.

Contract: the values are NumPy's, and the array is the caller's own, in the thread's current pool or in `pool`.
"""

import operator

import numpy

from ._tenure import Array, array, zeros
from ._types import bfloat16


def _numpys(dtype):
    """The element type in which NumPy computes: it has no bfloat16."""
    return None if dtype is bfloat16 or dtype == "bfloat16" else dtype


def arange(start, stop=None, step=None, dtype=None, *, name=None, pool=None, device=None) -> Array:
    """Evenly spaced numbers from start to below stop, as ``numpy.arange``; ``arange(n)`` counts from 0. NumPy computes them in memory of
    its own first. name, pool, device: as in ``zeros``.

    >>> tenure.arange(2, 8, 2)
    tenure.array([2, 4, 6])
    """
    return array(numpy.arange(start, stop, step, _numpys(dtype)), dtype, name=name, pool=pool, device=device)


def linspace(
    start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, name=None, pool=None, device=None
) -> Array | tuple[Array, float]:
    """``num`` evenly spaced numbers from start to stop, as ``numpy.linspace``. NumPy computes them in memory of its own first. name, pool,
    device: as in ``zeros``.

    >>> tenure.linspace(0, 1, 5)
    tenure.array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    values, step = numpy.linspace(start, stop, num, endpoint, True, _numpys(dtype), axis)
    made = array(values, dtype, name=name, pool=pool, device=device)
    return (made, step) if retstep else made


def eye(N, M=None, k=0, dtype="float64", order="C", *, name=None, pool=None, device=None) -> Array:
    """A matrix with ones on a diagonal and zeros elsewhere, as ``numpy.eye``: N rows, M columns; k: the diagonal, 0 for the main one. name,
    pool, device: as in ``zeros``.

    >>> tenure.eye(2, dtype="int64")
    tenure.array([[1, 0],
                  [0, 1]])
    """
    # Integers, as NumPy's own.
    rows, columns, k = operator.index(N), operator.index(N if M is None else M), operator.index(k)
    made = zeros((rows, columns), dtype, order, name=name, pool=pool, device=device)
    row, column = max(-k, 0), max(k, 0)
    length = min(rows - row, columns - column)
    if length > 0:
        # With all elements on one axis, those of the diagonal have one distance.
        first, step = (row + column * rows, rows + 1) if order == "F" else (row * columns + column, columns + 1)
        made.ravel(order)[first : first + (length - 1) * step + 1 : step].fill(1)
    return made
