"""Matrices by their form."""

from ._tenure import ones


def identity(n, dtype=None, *, name=None, pool=None, device=None):
    """The identity matrix of n rows, as a diagonal of n ones. ``x.dense()`` has all n * n elements.

    >>> tenure.identity(2).dense().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x = ones(n, dtype, name=name, pool=pool, device=device)
    x.form = "diagonal"
    return x
