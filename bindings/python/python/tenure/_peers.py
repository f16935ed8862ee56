"""Arrays for libraries that do not look at the read-only flag, or have no other door than DLPack's oldest one.

``torch.from_dlpack(x)`` and ``jax.dlpack.from_dlpack(x)`` work by themselves; these two say what the libraries cannot:
whether they will write. Nothing of them is imported before it is asked for.
"""

from . import _tenure


class _Reads:
    """An array as a consumer sees it of which it is known that it only reads."""

    __slots__ = ("_array",)

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return _tenure._reads(self._array, **options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def to_jax(x):
    """A JAX array on the bytes of ``x``.

    JAX arrays never change, and so nobody may write these bytes while it lives: our writes raise until it is gone. JAX
    itself copies where an address is not a multiple of 64, and refuses layouts that are not dense.

    >>> j = tenure.to_jax(tenure.ones(1000, "float32"))
    """
    import jax.dlpack

    return jax.dlpack.from_dlpack(_Reads(x))


def to_torch(x, reads=False):
    """A PyTorch tensor on the bytes of ``x``, which both sides may write.

    PyTorch has no read-only tensors: a read-only array raises. reads=True is your word that the tensor is only read: it
    is made of any array, and our writes raise until it is gone. PyTorch refuses negative strides.

    >>> t = tenure.to_torch(tenure.ones(1000, "float32"))
    """
    import torch

    return torch.from_dlpack(_tenure._reads(x) if reads else x.__dlpack__())
