"""A stand-in for CuPy."""

from . import cuda
from .cuda import memory, pinned_memory

__version__ = "stand-in"

_pool, _pinned_pool = memory.MemoryPool(), pinned_memory.PinnedMemoryPool()


class ndarray:
    def __init__(self, count):
        self.data = cuda.alloc(8 * count)


def empty(count):
    """Elements of 8 bytes."""
    return ndarray(count)


def get_default_memory_pool():
    return _pool


def get_default_pinned_memory_pool():
    return _pinned_pool
