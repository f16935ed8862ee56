"""Arrays for libraries that ignore the read-only flag, or know only DLPack's oldest struct.

``torch.from_dlpack(x)`` and ``jax.dlpack.from_dlpack(x)`` work without this module. The two functions add what these
libraries cannot express: whether they will write. The libraries are imported at the first call.
"""

import numpy as _numpy

from . import _tenure

# The types that JAX narrows while its option jax_enable_x64 is off.
_WIDE = tuple(_numpy.dtype(name) for name in ("int64", "uint64", "float64", "complex128"))


class _Reads:
    """An array for a consumer that is known to read only."""

    __slots__ = ("_array", "_copy")

    def __init__(self, array, copy):
        self._array = array
        self._copy = copy

    def __dlpack__(self, **options):
        return _tenure._reads(self._array, **{"copy": self._copy, **options})

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def to_jax(x, *, copy=None):
    """A JAX array on the bytes of ``x``.

    JAX arrays are immutable, so writes by Tenure raise as long as the JAX array exists. JAX refuses layouts that are not
    dense, and copies where an address is not a multiple of 64. copy=False makes such a copy an error; copy=True always
    copies. Elements of 64 bits (complex: 128) raise unless JAX is set to keep them (``jax_enable_x64``): otherwise it would
    convert them to half the size.

    >>> j = tenure.to_jax(tenure.ones(1000, "float32"))
    """
    import jax

    if x.dtype in _WIDE and not jax.config.jax_enable_x64:
        raise BufferError(
            f"JAX would turn {x.dtype} into elements of half the size, in a copy; "
            'jax.config.update("jax_enable_x64", True) lets it keep them'
        )
    # Tenure makes the copy, because JAX aliases also where it was told to copy.
    return jax.dlpack.from_dlpack(_Reads(x, copy), copy=None if copy else copy)


def to_torch(x, reads=False):
    """A PyTorch tensor on the bytes of ``x``, which both sides may write.

    PyTorch has no read-only tensors, so a read-only array raises. With reads=True the caller guarantees that the tensor is
    only read: any array works then, and writes by Tenure raise as long as the tensor exists. PyTorch refuses negative strides.

    >>> t = tenure.to_torch(tenure.ones(1000, "float32"))
    """
    import torch

    return torch.from_dlpack(_tenure._reads(x) if reads else x.__dlpack__())
