"""Arrays for libraries that do not look at the read-only flag, or have no other door than DLPack's oldest one.

``torch.from_dlpack(x)`` and ``jax.dlpack.from_dlpack(x)`` work by themselves; these two say what the libraries cannot:
whether they will write. Nothing of them is imported before it is asked for.
"""

import numpy as _numpy

from . import _tenure

# What JAX narrows while its option jax_enable_x64 is off.
_WIDE = tuple(_numpy.dtype(name) for name in ("int64", "uint64", "float64", "complex128"))


class _Reads:
    """An array as a consumer sees it of which it is known that it only reads."""

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

    JAX arrays never change, and so nobody may write these bytes while it lives: our writes raise until it is gone. JAX
    refuses layouts that are not dense, and copies where an address is not a multiple of 64: copy=False makes that an
    error, copy=True copies always. Elements of 64 bits (of 128: complex) raise unless JAX was told to keep them
    (``jax_enable_x64``): it would make new ones of 32 bits.

    >>> j = tenure.to_jax(tenure.ones(1000, "float32"))
    """
    import jax

    if x.dtype in _WIDE and not jax.config.jax_enable_x64:
        raise BufferError(
            f"JAX would turn {x.dtype} into elements of half the size, in a copy; "
            'jax.config.update("jax_enable_x64", True) lets it keep them'
        )
    # A copy is ours to make: JAX aliases also where it was told to copy.
    return jax.dlpack.from_dlpack(_Reads(x, copy), copy=None if copy else copy)


def to_torch(x, reads=False):
    """A PyTorch tensor on the bytes of ``x``, which both sides may write.

    PyTorch has no read-only tensors: a read-only array raises. reads=True is your word that the tensor is only read: it
    is made of any array, and our writes raise until it is gone. PyTorch refuses negative strides.

    >>> t = tenure.to_torch(tenure.ones(1000, "float32"))
    """
    import torch

    return torch.from_dlpack(_tenure._reads(x) if reads else x.__dlpack__())
