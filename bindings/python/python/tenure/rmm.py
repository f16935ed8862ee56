"""RMM, the memory manager of RAPIDS, allocates from Tenure's pools.

>>> import rmm, tenure.rmm                                                # doctest: +SKIP
>>> rmm.mr.set_current_device_resource(tenure.rmm.resource(pool))         # doctest: +SKIP

Contract: a block is allocated and freed in the order of the stream that RMM passes, and counts for the client "rmm". The functions
take the interpreter's lock; ``tenure_rmm.hpp`` has a resource for C++ that does not.
"""

from __future__ import annotations

import rmm as _rmm

from . import _tenure

__all__ = ["install", "resource", "uninstall"]

# What was installed, and the resource before it.
_installed = None


def _value(stream) -> int:
    """The CUstream of RMM's stream: 0 for the default one."""
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is None:
        return stream.value()
    return (protocol() if callable(protocol) else protocol)[1]


def resource(pool=None):
    """A ``CallbackMemoryResource`` over a pool on a GPU or of managed memory; without one, over the default pool of the GPU of the
    thread's current context. MemoryError where there is no memory."""
    if pool is not None and not isinstance(pool, _tenure.Pool):
        raise TypeError(f"a tenure.Pool or None is needed, not {type(pool).__name__}")
    if pool is not None and not pool.device.startswith(("cuda:", "cuda_managed")):
        raise ValueError(f"{pool!r} is on {pool.device}; a pool on a GPU or of managed memory is needed")

    def allocate(size, stream):
        return _tenure._gpu_allocate("rmm", pool, size, -1, _value(stream))

    def deallocate(address, _size, stream):
        _tenure._gpu_deallocate("rmm", address, -1, _value(stream))

    return _rmm.mr.CallbackMemoryResource(allocate, deallocate)


def install(pool=None):
    """Makes the resource RMM's current one of the current GPU, and returns it."""
    global _installed
    made, before = resource(pool), _rmm.mr.get_current_device_resource()
    _rmm.mr.set_current_device_resource(made)
    _installed = (made, before)
    return made


def uninstall() -> None:
    """Restores the resource from before, if the installed one is still the current one."""
    global _installed
    if _installed is not None and _rmm.mr.get_current_device_resource() is _installed[0]:
        _rmm.mr.set_current_device_resource(_installed[1])
    _installed = None
