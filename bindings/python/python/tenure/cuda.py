"""Arrays, memory, streams and events of CUDA devices: ``tenure.cuda``.

Names are those of Numba's CUDA interface where it has one, so code that moves arrays needs few changes. Arrays are always
:class:`tenure.Array`, with every method of arrays on the host:

>>> import numpy, tenure
>>> from tenure import cuda
>>> d = cuda.to_device(numpy.arange(6.0).reshape(2, 3))      # doctest: +SKIP
>>> d[:, 1:].T.copy_to_host()                                # doctest: +SKIP
tenure.array([[1., 4.],
              [2., 5.]])

Without a stream a call is complete when it returns. With one it becomes work of that stream, and the next use of the array
waits as needed: work on other streams waits on the device, and the host waits when it reads. Where a call has ``wait=False``
it raises :class:`tenure.PendingError` instead. Nothing here changes the CUDA context or the current device of other
libraries.

Without a driver ``devices()`` is empty. Every call that needs a device raises :class:`tenure.UnsupportedError`, a
``NotImplementedError``.
"""

from __future__ import annotations

import contextlib as _contextlib
import contextvars as _contextvars
import enum as _enum
import functools as _functools
from typing import NamedTuple as _NamedTuple

import numpy as _numpy

from . import _tenure, _types
from ._tenure import Event, Module, Stream
from ._tenure import Mirror as SmartArray

__all__ = [
    "Device",
    "Event",
    "Features",
    "HostFlags",
    "MemoryInfo",
    "Module",
    "SmartArray",
    "Stream",
    "advise",
    "as_cuda_array",
    "current_stream",
    "default_stream",
    "defer_cleanup",
    "detect",
    "device",
    "device_array",
    "device_array_like",
    "devices",
    "event",
    "event_elapsed_time",
    "external_stream",
    "from_cuda_array_interface",
    "get_current_device",
    "get_memory_info",
    "gpus",
    "is_available",
    "is_cuda_array",
    "legacy_default_stream",
    "list_devices",
    "managed_array",
    "mapped",
    "mapped_array",
    "mapped_array_like",
    "memory_info",
    "per_thread_default_stream",
    "pinned",
    "pinned_array",
    "pinned_array_like",
    "prefetch",
    "private_pool",
    "select_device",
    "stream",
    "synchronize",
    "to_device",
    "zeros_pinned",
]


class HostFlags(_enum.IntFlag):
    """Flags of page-locked or managed memory: ``tenure.Pool("cuda_host", host_flags=...)``."""

    PORTABLE = 1
    MAPPED = 2
    WRITE_COMBINED = 4
    READ_ONLY = 8
    BEST_EFFORT = 16
    MANAGED_HOST = 32


class Features(_enum.IntFlag):
    """The features of a device."""

    MEMORY_POOLS = 1
    MANAGED = 2
    CONCURRENT_MANAGED = 4
    MAP_HOST = 8
    HOST_REGISTER = 16
    REGISTER_READ_ONLY = 32
    UNIFIED_ADDRESSING = 64
    INTEGRATED = 128
    IPC = 256


class Device(_NamedTuple):
    """The description of a device. The counters are those of this process, since its start."""

    id: int
    name: str
    uuid: bytes
    pci_bus_id: str
    compute_capability: tuple[int, int]
    driver_version: int
    multiprocessors: int
    warp_size: int
    features: Features
    block_memory_bytes: int
    block_memory_optin_bytes: int
    total_bytes: int
    to_device_count: int
    to_device_bytes: int
    to_host_count: int
    to_host_bytes: int
    staged_bytes: int
    kernel_count: int
    kernel_error: int


class MemoryInfo(_NamedTuple):
    """Bytes of a device: free and used by the driver's count. ``held`` is the part of the used ones that Tenure's pools hold."""

    free: int
    total: int
    used: int
    held: int


_current = _contextvars.ContextVar("tenure.cuda.device", default=0)


def _named(which=None, kind="cuda") -> str:
    """The name of a device. None is the device of ``with device(i):``, at first 0."""
    if isinstance(which, str):
        return which
    number = _current.get() if which is None else which
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"a device is a number or a text such as 'cuda:0', not {which!r}")
    return f"{kind}:{number.__index__()}"


def _within(stream):
    """The ``with`` block that makes memory for a stream."""
    if isinstance(stream, Stream):
        return stream
    if stream is None or (isinstance(stream, int) and stream == 0):
        return _contextlib.nullcontext()
    raise TypeError(
        f"stream must be a tenure.cuda.Stream or None, not {type(stream).__name__}; "
        f"tenure.cuda.external_stream(stream) makes one of another library's stream"
    )


# ---- devices


def is_available() -> bool:
    """Whether a driver and a device are present."""
    return _tenure._device_count("cuda") > 0


def devices() -> list[Device]:
    """The devices; none without a driver. Makes no context."""
    return [_device_of(number) for number in range(_tenure._device_count("cuda"))]


def _device_of(number: int) -> Device:
    info = _tenure._device_info(f"cuda:{number}", False)
    fields = {name: info[name] for name in Device._fields if name not in ("id", "uuid", "features")}
    return Device(id=number, uuid=bytes(info["uuid"]), features=Features(info["features"]), **fields)


class device:
    """``with cuda.device(1):`` makes calls of this module in the block use that device, unless they name another.

    No CUDA context and no other library's current device changes.
    """

    def __init__(self, number: int):
        if isinstance(number, bool) or not hasattr(number, "__index__"):
            raise TypeError(f"a device of this block is a number, not {number!r}")
        self.id = number.__index__()
        self._before = []

    def __enter__(self) -> device:
        if not 0 <= self.id < max(_tenure._device_count("cuda"), 1):
            # Raises the library's message for a device that does not exist.
            _tenure._device_info(f"cuda:{self.id}", False)
        self._before.append(_current.set(self.id))
        return self

    def __exit__(self, *_exception) -> None:
        _current.reset(self._before.pop())

    def __repr__(self) -> str:
        return f"tenure.cuda.device({self.id})"


def memory_info(device=None) -> MemoryInfo:
    """Free, total and used bytes of a device by the driver's count, and those that Tenure's pools hold."""
    info = _tenure._device_info(_named(device), True)
    return MemoryInfo(info["free_bytes"], info["total_bytes"], info["used_bytes"], info["pool_bytes"])


get_memory_info = memory_info


class _Gpus:
    """The devices, as ``with cuda.gpus[1]:`` uses them."""

    def __len__(self) -> int:
        return _tenure._device_count("cuda")

    def __getitem__(self, number: int) -> device:
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no device {number}; this process sees {len(self)}")
        return device(number % len(self))

    def __repr__(self) -> str:
        return f"<the {len(self)} devices of this process>"

    @property
    def current(self) -> device:
        """The device of calls that name none."""
        return device(_current.get())


gpus = _Gpus()
list_devices = devices


def select_device(device_id: int) -> device:
    """Makes calls of this module use that device from now on, in this thread or task, unless they name another."""
    selected = device(device_id)
    selected.__enter__()
    return selected


def get_current_device() -> Device:
    """The description of the device of ``select_device`` or ``with device(i):``, at first that of 0."""
    return _device_of(_current.get())


def detect() -> bool:
    """Prints the devices. Returns whether there are any."""
    found = devices()
    print(f"{len(found)} CUDA devices")
    for one in found:
        major, minor = one.compute_capability
        print(f"  cuda:{one.id}  {one.name}, compute capability {major}.{minor}, {one.total_bytes >> 20} MiB, PCI {one.pci_bus_id}")
    return bool(found)


def synchronize(device=None) -> None:
    """Waits for all work on a device."""
    _tenure._synchronize(_named(device))


@_contextlib.contextmanager
def defer_cleanup():
    """Does nothing, for code written for Numba: releasing an array never waits for the device."""
    yield


@_contextlib.contextmanager
def private_pool(pool, private, stream):
    """Until the end of the block, ``private`` serves the requests for memory of ``pool`` on ``stream``.

    Use it around the capture of a graph. A launch of the graph uses its blocks again, so blocks that were freed within
    the capture must not go to others while the graph lives. They stay in ``private``, a pool of the same device, which
    serves further captures of that group of graphs. Release ``private`` after the last launch.
    """
    pool._private_begin(private, stream)
    try:
        yield private
    finally:
        pool._private_end(stream)


# ---- streams and events


def stream(priority: int = 0, *, blocking: bool = False, device=None) -> Stream:
    """A new stream. priority: a lower number runs sooner. blocking: it and the legacy stream wait for each other."""
    return _tenure._stream(_named(device), priority, blocking)


def external_stream(stream, *, device=None) -> Stream:
    """Another library's stream, which that library keeps owning.

    stream: an object with ``__cuda_stream__``, such as one of cuda.core, which lives as long as the result; or a
    ``CUstream`` as an integer, which must exist whenever the result is used.
    """
    named = _named(device)
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is None:
        return _tenure._external_stream(named, stream)
    version, native = protocol() if callable(protocol) else protocol
    if version != 0:
        raise NotImplementedError(
            f"__cuda_stream__ of {type(stream).__name__} has version {version}; this release knows version 0"
        )
    return _tenure._external_stream(named, native, stream)


def legacy_default_stream(*, device=None) -> Stream:
    """The stream that other libraries use by default."""
    return _tenure._external_stream(_named(device), 1)


def per_thread_default_stream(*, device=None) -> Stream:
    """The calling thread's own default stream."""
    return _tenure._external_stream(_named(device), 2)


def default_stream(*, device=None) -> Stream:
    """The initial current stream of threads: the legacy one, unless the option ``stream.default`` is "per-thread"."""
    return _tenure._external_stream(_named(device), 2 if _tenure.option("stream.default") == "per-thread" else 1)


def current_stream(*, device=None) -> Stream:
    """The thread's current stream, that of the innermost ``with stream:``."""
    return _tenure._current_stream(_named(device))


async def _done(stream):
    """Waits in an event loop: queries the driver at intervals, and lets other tasks run."""
    import asyncio  # the event loop has loaded it; for others it is half of the time of `import tenure`

    marked = _tenure._event(stream.device, False)
    marked.record(stream)
    pause = 0.0
    while not marked.query():
        await asyncio.sleep(pause)
        pause = min(pause + 50e-6, 2e-3)
    return stream


def event(timing: bool = True, *, device=None) -> Event:
    """A new event. It is a point in a stream once it is recorded."""
    return _tenure._event(_named(device), timing)


def event_elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds between two events."""
    return start.elapsed_time(end)


# ---- arrays on the device


def _order_of(shape, dtype, strides, order) -> str:
    """The order of an array with these strides: Numba's functions take both."""
    if strides is None:
        return order
    if isinstance(strides, str):
        raise TypeError(f"strides comes before order, as in Numba; pass order={strides!r}")
    lengths = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    strides = (strides,) if hasattr(strides, "__index__") else tuple(strides)
    item = 2 if dtype is _types.bfloat16 or dtype == "bfloat16" else _numpy.dtype(dtype).itemsize
    if len(strides) != len(lengths):
        raise ValueError(f"strides has {len(strides)} entries, and the shape {len(lengths)} axes")

    axes = range(len(lengths))
    for name, inner_first in (("C", reversed(axes)), ("F", axes)):
        step, fits = item, True
        for axis in inner_first:
            # The stride of an axis of length 1 does not matter.
            fits = fits and (lengths[axis] == 1 or strides[axis] == step)
            step *= lengths[axis]
        if fits or 0 in lengths:
            return name
    raise ValueError(
        f"strides {strides} are neither C nor F order for shape {lengths}; make an array in one of them, and view it with "
        f"permute or a slice"
    )


def device_array(shape, dtype=None, strides=None, order="C", stream=None, *, device=None, name=None, pool=None):
    """An array on a device with undefined contents; the default type is float64. pool: a pool of that device.

    The positions are Numba's. strides: those of C or F order; other layouts are views.
    """
    if pool is not None and not pool.device.startswith("cuda:"):
        raise ValueError(f"the pool's memory is on {pool.device}; pass a pool of a device, such as tenure.Pool('cuda:0')")
    order = _order_of(shape, dtype, strides, order)
    with _within(stream):
        if pool is not None:
            return _tenure.empty(shape, dtype, order, name=name, pool=pool)
        return _tenure.empty(shape, dtype, order, name=name, device=_named(device))


def device_array_like(prototype, stream=None, *, device=None, name=None):
    """An array on a device with the shape, type and order of axes of another array on any device."""
    with _within(stream):
        return _tenure.empty_like(prototype, name=name, device=_named(device))


def to_device(obj, stream=None, copy=True, to=None, *, device=None, pool=None, name=None):
    """Copies an array, or any object that NumPy takes, to a new array on a device, or to ``to``. Any strides work.

    stream: the copy becomes work of that stream, and its source is kept until it was read. Pageable host memory has been
    read when the call returns; page-locked memory is read later.
    """
    if not copy:
        raise ValueError("to_device always copies; device_array_like makes an array without a copy")
    if to is not None:
        if not isinstance(to, _tenure.Array):
            raise TypeError(f"to must be a tenure.Array, not {type(to).__name__}")
        to.copy_to_device(obj, stream)
        return to
    return _tenure._to_device(obj, _named(device), stream, pool, name)


def is_cuda_array(obj) -> bool:
    """Whether an object has ``__cuda_array_interface__``."""
    return hasattr(obj, "__cuda_array_interface__")


def as_cuda_array(obj, sync=True):
    """An array on the memory of an object with ``__cuda_array_interface__``. sync: it waits for the stream that the object names."""
    return _tenure.from_cuda_array_interface(obj, copy=False, sync=sync)


class _Described:
    """Memory by its description, and what keeps it."""

    def __init__(self, desc, owner):
        self.__cuda_array_interface__, self.owner = desc, owner


def from_cuda_array_interface(desc, owner=None, sync=True):
    """An array on memory by its description, a dict as that of ``__cuda_array_interface__``. The array keeps ``owner``."""
    return as_cuda_array(_Described(desc, owner), sync)


# ---- page-locked and managed memory


@_functools.lru_cache(maxsize=None)
def _pool_with(device: str, flags: int):
    """The pool of `mapped_array` and the like, for memory with other flags than the default pool's.

    It stays until the process ends, as the default pools do, so `leaks` leaves it out.
    """
    made = _tenure.Pool(device, name=f"{device}, flags {flags:#x}", host_flags=flags)
    _tenure._stays(made.handle)
    return made


def pinned_array(shape, dtype=None, strides=None, order="C", *, name=None):
    """An array in page-locked host memory. NumPy reads and writes it; devices copy from and to it directly."""
    return _tenure.empty(shape, dtype, _order_of(shape, dtype, strides, order), name=name, device="cuda_host")


def pinned_array_like(prototype, *, name=None):
    """A page-locked array with the shape, type and order of axes of another array."""
    return _tenure.empty_like(prototype, name=name, device="cuda_host")


def zeros_pinned(shape, dtype=None, order="C", *, name=None):
    """An array of zeros in page-locked host memory."""
    return _tenure.zeros(shape, dtype, order, name=name, device="cuda_host")


def _mapped_flags(portable: bool, wc: bool) -> HostFlags:
    flags = HostFlags.MAPPED
    return flags | (HostFlags.PORTABLE if portable else 0) | (HostFlags.WRITE_COMBINED if wc else 0)


def mapped_array(shape, dtype=None, strides=None, order="C", stream=None, portable=False, wc=False, *, name=None):
    """A page-locked array that kernels can access. wc: write-combined, which the host writes fast and reads slowly."""
    order = _order_of(shape, dtype, strides, order)
    with _within(stream):
        pool = _pool_with("cuda_host", int(_mapped_flags(portable, wc)))
        return _tenure.empty(shape, dtype, order, name=name, pool=pool)


def mapped_array_like(prototype, stream=None, portable=False, wc=False, *, name=None):
    """A mapped array with the shape, type and order of axes of another array."""
    with _within(stream):
        pool = _pool_with("cuda_host", int(_mapped_flags(portable, wc)))
        return _tenure.empty_like(prototype, name=name, pool=pool)


def managed_array(
    shape, dtype=None, strides=None, order="C", stream=None, attach_global=True, *, device=None, name=None
):
    """An array in managed memory, which moves between host and device on demand, at one address for both."""
    order = _order_of(shape, dtype, strides, order)
    # All GPUs share managed memory, so it is the same on each of them.
    where = "cuda_managed:0" if device is None else _named(device, "cuda_managed")
    with _within(stream):
        if attach_global:
            return _tenure.empty(shape, dtype, order, name=name, device=where)
        pool = _pool_with(where, int(HostFlags.MANAGED_HOST))
        return _tenure.empty(shape, dtype, order, name=name, pool=pool)


class _Registered:
    """Memory of other objects, page-locked for the length of a block."""

    def __init__(self, arrays, flags):
        self._arrays, self._flags, self._held = arrays, int(flags), []

    def _begin(self):
        if self._held:
            raise RuntimeError("this block is already open; make another one for another block")
        try:
            for array in self._arrays:
                self._held.append(_tenure._register(array, self._flags))
        except BaseException:
            self._end()
            raise

    def _end(self):
        while self._held:
            self._held.pop().release()

    def __exit__(self, *_exception) -> None:
        self._end()


class _Pinned(_Registered):
    def __enter__(self) -> None:
        self._begin()


class _Mapped(_Registered):
    def __enter__(self):
        self._begin()
        try:
            self._views = [self._shaped(*pair) for pair in zip(self._arrays, self._held)]
        except BaseException:
            self._end()
            raise
        return self._views[0] if len(self._views) == 1 else tuple(self._views)

    def __exit__(self, *exception) -> None:
        for view in self._views:
            view.release()
        super().__exit__(*exception)

    @staticmethod
    def _shaped(array, registered):
        """The registered bytes with the type and shape of their array."""
        array = array if hasattr(array, "shape") else _numpy.asarray(array)
        flags = array.flags
        if not (flags.c_contiguous or flags.f_contiguous):
            raise ValueError("mapped needs arrays without gaps; pinned takes any array")
        typed = registered.view(array.dtype)
        shaped = typed.reshape(array.shape, order="C" if flags.c_contiguous else "F")
        typed.release()
        return shaped


def pinned(*arrays, best_effort: bool = False) -> _Pinned:
    """``with cuda.pinned(n):`` page-locks the memory of ``n`` for the block, so that copies from and to it need no staging.

    arrays: NumPy arrays and other objects with a buffer. best_effort: without a driver the block does nothing.
    """
    return _Pinned(arrays, HostFlags.BEST_EFFORT if best_effort else 0)


def mapped(*arrays) -> _Mapped:
    """``with cuda.mapped(n) as d:`` makes an array on the memory of ``n`` that kernels can access; a tuple for several."""
    return _Mapped(arrays, HostFlags.MAPPED)


def advise(array, advice: str, device=None) -> None:
    """Tells the driver how managed memory will be used: "read_mostly", "preferred" or "accessed_by"; with "unset_" in front to
    withdraw it."""
    array.advise(advice, _named(device))


def prefetch(array, device=None, stream=None) -> None:
    """Moves the pages of managed memory to a device, or to "cpu", as work of the stream, or at once."""
    array.prefetch(_named(device), stream)
