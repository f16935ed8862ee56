"""PyTorch allocates GPU memory from Tenure's pools.

For a whole program, before PyTorch first uses a GPU:

>>> import tenure.torch                                   # doctest: +SKIP
>>> allocator = tenure.torch.install()                    # doctest: +SKIP

For a part of it, where the rest keeps PyTorch's own allocator and statistics:

>>> pool = tenure.Pool("cuda", name="activations")        # doctest: +SKIP
>>> with torch.cuda.use_mem_pool(tenure.torch.mem_pool(pool)):   # doctest: +SKIP
...     x = torch.zeros(1000, device="cuda")

Contract: blocks count for the client "torch", and are reused in the order of PyTorch's streams, also those of
``Tensor.record_stream``. PyTorch has no way back from an allocator that it uses.
"""

from __future__ import annotations

import ctypes as _ctypes
import os as _os
import threading as _threading

from torch.cuda import memory as _memory

from . import _tenure, get_library

__all__ = ["install", "mem_pool", "memory_stats"]

_lock = _threading.Lock()
# The allocator that is installed.
_installed = None
# The pool and PyTorch's MemPool of each function of the shim, by the pool's serial number; the first one is the default pools'.
_mem_pools: dict = {}
_SLOTS = 16


def _shim_path() -> str:
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "libtenure_torch.so")


def _shim():
    """The library of the functions that throw. None where it is missing or cannot be loaded."""
    try:
        return _ctypes.CDLL(_shim_path())
    except OSError:
        return None


def _allocator(path, function):
    """PyTorch's object for an allocation function. Its hook for other streams is the library's."""
    made = _memory.CUDAPluggableAllocator(path, function, "tn_torch_free")
    record = _ctypes.CDLL(path).tn_torch_record_stream
    made.allocator().set_record_stream_fn(_ctypes.cast(record, _ctypes.c_void_p).value)
    return made


def install(on_failure: str | None = None):
    """Makes PyTorch allocate from the default pool of each GPU, and returns its ``CUDAPluggableAllocator``. Calling it twice
    returns the same one. After PyTorch has used a GPU it raises PyTorch's RuntimeError, and nothing changes.

    on_failure: what happens where there is no memory. "throw": PyTorch raises RuntimeError with the library's text. "exit":
    the text goes to stderr, and the process ends. None is "throw", or "exit" where the C++ runtime cannot be loaded.
    """
    global _installed
    if on_failure not in (None, "throw", "exit"):
        raise ValueError(f"on_failure is {on_failure!r}; it is 'throw' or 'exit'")
    with _lock:
        if _installed is not None:
            return _installed
        throws = on_failure != "exit" and _shim() is not None
        if on_failure == "throw" and not throws:
            raise RuntimeError(f"{_shim_path()} cannot be loaded, so failures cannot be thrown; pass on_failure='exit'")
        made = _allocator(_shim_path(), "tenure_torch_alloc_0") if throws else _allocator(get_library(), "tn_torch_alloc")
        _memory.change_current_allocator(made)
        if not throws:
            _tenure.option("torch.on_failure", "exit")
        _installed = made
        return made


def mem_pool(pool):
    """PyTorch's ``MemPool`` for a pool on a GPU, for ``torch.cuda.use_mem_pool``; always the same one for a pool. There can be
    15 of them in a process."""
    import torch

    if not isinstance(pool, _tenure.Pool):
        raise TypeError(f"a tenure.Pool is needed, not {type(pool).__name__}")
    shim = _shim()
    if shim is None:
        raise RuntimeError(f"{_shim_path()} cannot be loaded, which PyTorch needs for an allocator of its own for each pool")
    with _lock:
        serial = pool.stats().serial
        if serial not in _mem_pools:
            slot = len(_mem_pools) + 1
            if slot >= _SLOTS:
                raise RuntimeError(f"{_SLOTS - 1} pools are MemPools of PyTorch already, which is the limit of a process")
            made = torch.cuda.MemPool(_allocator(_shim_path(), f"tenure_torch_alloc_{slot}").allocator())
            if shim.tenure_torch_bind(slot, _ctypes.c_void_p(pool.handle)):
                raise RuntimeError(f"function {slot} of the allocator has another pool already")
            # The handle lives as long as the function.
            _mem_pools[serial] = (pool, made)
        return _mem_pools[serial][1]


def memory_stats(device=None, pool=None) -> dict[str, int]:
    """The statistics of PyTorch in a pool, under the keys of ``torch.cuda.memory_stats``, which raises with every pluggable
    allocator. device: its number; None is PyTorch's current one. pool: None is the device's default pool."""
    import torch

    if pool is None:
        number = torch.cuda.current_device() if device is None else torch.device("cuda", device).index
        pool = _tenure.default_pool(f"cuda:{number}")
    stats = pool.stats()
    own = next((client for client in pool.clients() if client.name == "torch"), None)
    live_bytes, live_blocks, peak, requested, count, failures = (
        (own.live_bytes, own.live_blocks, own.peak_bytes, own.requested_bytes, own.allocation_count, own.failure_count)
        if own
        else (0,) * 6
    )
    return {
        "allocated_bytes.all.current": live_bytes,
        "allocated_bytes.all.peak": peak,
        "active_bytes.all.current": live_bytes,
        "active_bytes.all.peak": peak,
        "requested_bytes.all.current": requested,
        "allocation.all.current": live_blocks,
        "allocation.all.allocated": count,
        "allocation.all.freed": count - live_blocks,
        "reserved_bytes.all.current": stats.reserved_bytes,
        "reserved_bytes.all.peak": stats.peak_reserved_bytes,
        "num_device_alloc": stats.device_allocate_count,
        "num_device_free": stats.device_free_count,
        "num_ooms": failures,
    }
