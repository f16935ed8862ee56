"""Matrices by their form."""

from . import _tenure
from ._tenure import ones


def identity(n, dtype=None, *, name=None, pool=None, device=None):
    """The identity matrix of n rows, as a diagonal of n ones. ``x.dense()`` has all n * n elements.

    >>> tenure.identity(2).dense().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x = ones(n, dtype, name=name, pool=pool, device=device)
    x.form = "diagonal"
    return x


class _Matrix:
    """A matrix: an array of form "matrix", one more handle on the bytes of ``a``, with operators of linear algebra.

    ``+``, ``-``, a scalar ``*``, ``*`` and ``@`` as the product, ``.T``, ``.h``, ``.cholesky()``, ``.lu()``, ``.solve(b)`` and ``.i`` build
    expressions, which nothing computes yet. A product with, or a solution for, an array without a form (a vector, or vectors side by side) is
    computed at once; so is what ``numpy.asarray``, ``float`` or ``print`` asks for. A result overwrites what nobody else holds.

    >>> M, D = tenure.matrix([[4.0, 2.0], [2.0, 5.0]]), tenure.matrix.diagonal([0.0, 0.0])
    >>> L = (M + D).cholesky()
    >>> (L * numpy.ones(2)).tolist()
    [2.0, 3.0]
    """

    __name__ = "matrix"
    diagonal = staticmethod(_tenure.diagonal)
    lower = staticmethod(_tenure.lower)
    upper = staticmethod(_tenure.upper)
    identity = staticmethod(identity)

    def __call__(self, a, *, name=None):
        x = _tenure._matrix(a)
        if name is not None:
            x.name = name
        return x

    def __repr__(self):
        return "<function tenure.matrix>"


matrix = _Matrix()
