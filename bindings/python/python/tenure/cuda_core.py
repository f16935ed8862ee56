"""cuda.core, NVIDIA's Python interface to CUDA, allocates from Tenure's pools.

>>> import cuda.core, tenure.cuda_core                                    # doctest: +SKIP
>>> resource = tenure.cuda_core.PoolMemoryResource(pool)                  # doctest: +SKIP
>>> buffer = resource.allocate(1 << 20, stream=stream)                    # doctest: +SKIP
>>> x = tenure.asarray(buffer)                                            # doctest: +SKIP

Contract: a buffer is allocated and freed in the order of the stream that cuda.core passes, and counts for the client "other". An
array on a buffer keeps it open. The functions take the interpreter's lock.
"""

from __future__ import annotations

import cuda.core as _core

from . import _tenure

__all__ = ["PoolMemoryResource"]

# The stream of a free: none any more.
_DONE = -1


def _native(stream) -> int:
    """The CUstream of a stream, or of the stream that a graph is built on."""
    return int(getattr(stream, "stream", stream).handle)


class PoolMemoryResource(_core.MemoryResource):
    """A memory resource over a pool on a GPU, of managed or of page-locked memory; without one, over the default pool of the GPU
    of the thread's current context. Also for ``device.memory_resource = ...``. MemoryError where there is no memory."""

    def __init__(self, pool=None):
        if pool is not None and not isinstance(pool, _tenure.Pool):
            raise TypeError(f"a tenure.Pool or None is needed, not {type(pool).__name__}")
        where = "cuda:" if pool is None else pool.device
        if not where.startswith(("cuda:", "cuda_managed", "cuda_host")):
            raise ValueError(f"{pool!r} is on {where}; a pool on a GPU, of managed or of page-locked memory is needed")
        self.pool = pool
        self._where = where

    def allocate(self, size, *, stream):
        """A buffer of ``size`` bytes. The work that ``stream`` gets from now on may use it."""
        address = _tenure._gpu_allocate("cuda.core", self.pool, size, -1, _native(stream))
        return _core.Buffer.from_handle(address, size, mr=self, stream=stream)

    def deallocate(self, ptr, size, *, stream=None):
        """Frees a buffer, after the work that ``stream`` has now. cuda.core calls this."""
        _tenure._gpu_deallocate("cuda.core", int(ptr), -1, _DONE if stream is None else _native(stream))

    @property
    def is_device_accessible(self) -> bool:
        return True

    @property
    def is_host_accessible(self) -> bool:
        return not self._where.startswith("cuda:")

    @property
    def is_managed(self) -> bool:
        return self._where.startswith("cuda_managed")

    @property
    def device_id(self) -> int:
        """The ordinal of the pool's GPU; -1 for page-locked memory."""
        if self.pool is None:
            return _core.Device().device_id
        kind, _, ordinal = self._where.partition(":")
        return -1 if kind == "cuda_host" else int(ordinal or 0)
