"""Numba allocates from Tenure's pools: an external memory manager for numba-cuda.

Without a change of the program::

    NUMBA_CUDA_MEMORY_MANAGER=tenure.numba python program.py

or in the program, before Numba first uses a GPU:

>>> import tenure.numba                                   # doctest: +SKIP
>>> tenure.numba.install()                                # doctest: +SKIP

Contract: device, page-locked and managed memory of ``numba.cuda`` comes from pools, and counts for the client "numba". Numba
does not say in which stream it uses its memory. So memory that was freed is collected, as Numba does itself, and goes back
to its pool after one wait for the whole device. ``NUMBA_CUDA_MAX_PENDING_DEALLOCS_COUNT`` and ``_RATIO`` set how much is
collected. Nothing is freed inside of ``cuda.defer_cleanup()``.
"""

from __future__ import annotations

import contextlib as _contextlib
import weakref as _weakref

from numba.cuda.cudadrv import devices as _devices
from numba.cuda.cudadrv import driver as _driver

from . import _tenure
from ._errors import Error as _Error
from ._errors import UnsupportedError as _UnsupportedError
from ._types import PoolFlags as _PoolFlags
from .cuda import HostFlags as _HostFlags
from .cuda import synchronize as _synchronize

__all__ = ["TenureManager", "install", "uninstall"]

if not getattr(_driver, "USE_NV_BINDING", True):
    raise ImportError("tenure.numba needs NVIDIA's bindings: pip install numba-cuda cuda-bindings")

# Streams of a call: the thread's current one, for a library that names none; and none any more.
_UNNAMED = 3
_DONE = -1

# The pools that Numba needs beside the default ones, by device and options.
_pools: dict = {}


def _pool(device, name, **options):
    key = (device, *options.items())
    pool = _pools.get(key)
    if pool is None:
        pool = _pools.setdefault(key, _tenure.Pool(device, name=f"numba {name}", **options))
        _tenure._stays(pool.handle)  # until the process ends, so `leaks` leaves it out
    return pool


def _host_pool(device, flags):
    if not flags:
        return _tenure.default_pool(device)
    return _pool(device, " ".join(flag.name.lower() for flag in flags), host_flags=flags)


class _Freed:
    """The blocks of a context that Numba has freed, until the device has finished with them."""

    def __init__(self):
        self.blocks = []
        self.bytes = 0
        self.capacity = 0
        self.deferred = 0

    def add(self, device, address, size):
        self.blocks.append((device, address))
        self.bytes += size
        most_bytes = self.capacity * _driver.config.CUDA_DEALLOCS_RATIO
        if len(self.blocks) > _driver.config.CUDA_DEALLOCS_COUNT or self.bytes > most_bytes:
            self.flush()

    def flush(self):
        if self.deferred or not self.blocks:
            return
        blocks, self.blocks, self.bytes = self.blocks, [], 0
        try:
            for device in {device for device, _ in blocks}:
                _synchronize(device)
        except _Error:
            # A stream captures a graph, for example. They go back with later ones.
            self.blocks += blocks
            return
        for device, address in blocks:
            _tenure._gpu_deallocate("numba", address, device, _DONE)


class TenureManager(_driver.HostOnlyCUDAMemoryManager):
    """Numba's memory manager over pools (interface version 1). Numba makes one for each context."""

    pool = None
    """The pool of device memory: a :class:`tenure.Pool` on a GPU. None: the default pool of the GPU, or where other GPUs can
    access its memory a pool that lets them, because Numba's arrays may be copied from any GPU."""

    ipc = False
    """Whether device memory comes from pools that other processes can open, see :func:`install`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.freed = _Freed()

    @property
    def interface_version(self):
        return 1

    @property
    def _device(self):
        device = self.context.device
        return int(getattr(device, "id", device))

    @property
    def _device_pool(self):
        if self.pool is not None:
            return self.pool
        if self.ipc:
            return _pool(f"cuda:{self._device}", "ipc", flags=_PoolFlags.IPC)
        name, others = f"cuda:{self._device}", range(_tenure._device_count("cuda"))
        peers = sum(1 << other for other in others if other != self._device and self.context.can_access_peer(other))
        try:
            return _pool(name, "peers", peers=peers) if peers else _tenure.default_pool(name)
        except _UnsupportedError:
            # Memory of this driver needs no permission for each GPU.
            return _tenure.default_pool(name)

    def initialize(self):
        if not self.freed.capacity:
            self.freed.capacity = self.get_memory_info().total

    def memalloc(self, size):
        address = self._allocate(self._device_pool, size)
        return self._own(_driver.AutoFreePointer, _driver.binding.CUdeviceptr(address), address, size)

    def memhostalloc(self, size, mapped=False, portable=False, wc=False):
        wanted = {_HostFlags.PORTABLE: portable, _HostFlags.MAPPED: mapped, _HostFlags.WRITE_COMBINED: wc}
        flags = _HostFlags(sum(flag for flag, is_wanted in wanted.items() if is_wanted))
        address = self._allocate(_host_pool("cuda_host", flags), size)
        if mapped:
            return self._own(_driver.MappedMemory, address, address, size)
        finalizer = _finalizer(self, address, size)
        return _driver.PinnedMemory(_weakref.proxy(self.context), address, size, finalizer=finalizer)

    def memallocmanaged(self, size, attach_global):
        flags = _HostFlags(0) if attach_global else _HostFlags.MANAGED_HOST
        address = self._allocate(_host_pool("cuda_managed", flags), size)
        return self._own(_driver.ManagedMemory, _driver.binding.CUdeviceptr(address), address, size)

    def get_memory_info(self):
        """Free and total bytes of the device. What its pools have cached counts as free."""
        info = _tenure._device_info(f"cuda:{self._device}", True)
        return _driver.MemoryInfo(free=info["free_bytes"] + info["pool_free_bytes"], total=info["total_bytes"])

    def get_ipc_handle(self, memory):
        """A handle for another process, as Numba's own manager makes it. Both sides keep Numba's rule: the memory exists until
        the other process has closed the handle."""
        if not self.ipc:
            raise RuntimeError(
                f"the memory at {int(memory.handle):#x} belongs to a pool that is not shared between processes; "
                "call tenure.numba.install(ipc=True), or copy the array to the host"
            )
        base, _ = _driver_extents(memory)
        handle, identity = _driver.driver.cuIpcGetMemHandle(base), self.context.device.get_device_identity()
        return _driver.IpcHandle(memory, handle, memory.size, identity, offset=int(memory.handle) - int(base))

    def reset(self):
        """Frees what Numba still has in this context. Arrays of Tenure stay."""
        super().reset()
        self.freed.flush()

    @_contextlib.contextmanager
    def defer_cleanup(self):
        self.freed.deferred += 1
        try:
            with super().defer_cleanup():
                yield
        finally:
            self.freed.deferred -= 1
            self.freed.flush()

    def _allocate(self, pool, size):
        """The address of a new block; 0 for 0 bytes."""

        def allocate():
            try:
                return _tenure._gpu_allocate("numba", pool, size, self._device, _UNNAMED)
            except MemoryError as error:
                self.freed.flush()
                pool.trim()
                code = _driver.binding.CUresult.CUDA_ERROR_OUT_OF_MEMORY
                raise _driver.CudaAPIError(code, str(error)) from error

        # On failure it flushes what the base class has queued, and tries once more.
        return self._attempt_allocation(allocate)


    def _own(self, kind, pointer, address, size):
        key = address or object()
        memory = kind(_weakref.proxy(self.context), pointer, size, finalizer=_finalizer(self, address, size, key))
        self.allocations[key] = memory
        return memory.own()


_numba_memory_manager = TenureManager

_driver_extents = _driver.device_extents


def _extents(memory):
    """The first byte of an allocation, and the one behind its last. Numba asks the driver, which knows only the memory that the
    pool took from it. ``device_memory_size`` would count that for the size of an array."""
    try:
        store = _tenure.holders_of(_driver.device_pointer(memory))
    except _Error:
        return _driver_extents(memory)
    return store.address, store.address + store.nbytes


_driver.device_extents = _extents


def _finalizer(manager, address, size, key=None):
    """Frees a block, once. It keeps neither the manager nor its context."""
    allocations, freed, device = manager.allocations, manager.freed, manager._device

    def free():
        allocations.pop(key, None)
        if address:
            freed.add(device, address, size)

    return free


def _is_used() -> bool:
    """Whether Numba has a context already."""
    return _driver.driver.is_initialized and any(gpu.primary_context is not None for gpu in _devices.gpus)


def install(pool=None, *, ipc=False) -> type[TenureManager]:
    """Makes Numba allocate from the pool; without one, from the default pool of each GPU. ipc: from a pool of each GPU whose
    memory other processes can open, by ``array.get_ipc_handle()``; each array takes whole pieces of 2 MiB there. Call it before
    Numba first uses a GPU: RuntimeError afterwards, and nothing changes. Calling it twice is allowed."""
    if not (pool is None or isinstance(pool, _tenure.Pool)):
        raise TypeError(f"a tenure.Pool or None is needed, not {type(pool).__name__}")
    if ipc and pool is not None:
        raise ValueError("pass a pool or ipc=True, not both: with ipc=True the manager has pools of its own")
    if _driver._memory_manager is TenureManager and TenureManager.pool is pool and TenureManager.ipc == bool(ipc):
        return TenureManager
    if _is_used():
        raise RuntimeError(
            "Numba has used a GPU already; call tenure.numba.install() before, or set NUMBA_CUDA_MEMORY_MANAGER=tenure.numba"
        )
    _driver.set_memory_manager(TenureManager)
    TenureManager.pool, TenureManager.ipc = pool, bool(ipc)
    return TenureManager


def uninstall() -> None:
    """Contexts that Numba makes from now on use its own memory manager. Those that it has keep theirs."""
    if _driver._memory_manager is TenureManager:
        _driver.set_memory_manager(_driver.NumbaCUDAMemoryManager)
