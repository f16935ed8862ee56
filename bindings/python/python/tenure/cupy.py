"""CuPy allocates from Tenure's pools.

>>> import cupy, tenure.cupy                                              # doctest: +SKIP
>>> cupy.cuda.set_allocator(tenure.cupy.allocator(pool).malloc)           # doctest: +SKIP
>>> cupy.cuda.set_pinned_memory_allocator(tenure.cupy.pinned_allocator()) # doctest: +SKIP

or both at once with ``tenure.cupy.install()``.

Contract: a block belongs to the stream that is CuPy's current one when it is allocated, as in CuPy's own pool: that stream
reuses it at once, others after its work. Blocks count for the client "cupy". CuPy's functions without a stream, for C code, are
``tn_cupy_malloc`` and ``tn_cupy_free``: ``CFunctionAllocator(pool.handle, malloc, free, pool)`` saves the interpreter's lock, but
CuPy does not test its result.
"""

from __future__ import annotations

import cupy as _cupy
from cupy.cuda import memory as _memory
from cupy.cuda import pinned_memory as _pinned_memory

from . import _tenure

__all__ = ["allocator", "install", "pinned_allocator", "uninstall"]

# The stream of a free: none any more.
_DONE = -1


def _checked(pool, kinds):
    if pool is not None and not isinstance(pool, _tenure.Pool):
        raise TypeError(f"a tenure.Pool or None is needed, not {type(pool).__name__}")
    if pool is not None and not pool.device.startswith(kinds):
        raise ValueError(f"{pool!r} is on {pool.device}; a pool on {' or '.join(kinds)} is needed")
    return pool


def _allocate(pool, size, device, stream):
    """The address of a block. CuPy's own exception where there is no memory."""
    try:
        return _tenure._gpu_allocate("cupy", pool, size, device, stream)
    except MemoryError as error:
        live = sum(each.stats().in_use_bytes for each in ([pool] if pool else [_tenure.default_pool(f"cuda:{device}")]))
        limit = pool.stats().limit_bytes if pool else 0
        raise _memory.OutOfMemoryError(size, live, limit) from error


def allocator(pool=None):
    """A ``PythonFunctionAllocator`` over a pool on a GPU or of managed memory; without one, over the default pool of each GPU.
    Pass its ``malloc`` to ``cupy.cuda.set_allocator`` or ``using_allocator``."""
    _checked(pool, ("cuda:", "cuda_managed"))
    # The stream of each block, kept because its number means it only while it exists.
    streams: dict = {}

    def malloc(size, device):
        stream = _cupy.cuda.get_current_stream()
        address = _allocate(pool, size, device, stream.ptr)
        streams[address] = stream
        return address

    def free(address, device):
        stream = streams.pop(address, None)
        _tenure._gpu_deallocate("cupy", address, device, 0 if stream is None else stream.ptr)

    return _memory.PythonFunctionAllocator(malloc, free)


class _PinnedBlock:
    """A block of page-locked memory. CuPy drops it after its last copy."""

    def __init__(self, pool, size):
        self.ptr = 0
        self.size = size
        self.device_id = -1
        self.ptr = _allocate(pool, size, -1, 0)

    def __del__(self):
        if self.ptr:
            _tenure._gpu_deallocate("cupy", self.ptr, -1, _DONE)


def pinned_allocator(pool=None):
    """A function for ``cupy.cuda.set_pinned_memory_allocator`` over a pool of page-locked memory; without one, over the default
    pool of such memory."""
    _checked(pool, ("cuda_host",))

    def allocate(size):
        # An empty array needs an address too.
        block = _PinnedBlock(_tenure.default_pool("cuda_host") if pool is None else pool, max(size, 1))
        return _pinned_memory.PinnedMemoryPointer(block, 0)

    return allocate


def install(pool=None, pinned_pool=None) -> None:
    """Makes CuPy allocate device memory from the pool and page-locked memory from the other one; without a pool, from the default
    ones. Memory that CuPy has stays where it is."""
    on_device, pinned = allocator(pool), pinned_allocator(pinned_pool)
    _cupy.cuda.set_allocator(on_device.malloc)
    _cupy.cuda.set_pinned_memory_allocator(pinned)


def uninstall() -> None:
    """Restores CuPy's default memory pools for new memory."""
    _cupy.cuda.set_allocator(_cupy.get_default_memory_pool().malloc)
    _cupy.cuda.set_pinned_memory_allocator(_cupy.get_default_pinned_memory_pool().malloc)
