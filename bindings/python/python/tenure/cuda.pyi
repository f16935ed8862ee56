from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AbstractContextManager
from enum import IntFlag
from typing import Any, Literal, NamedTuple, Protocol, Self, SupportsIndex, final, type_check_only

from numpy.typing import DTypeLike

from . import Array, Kernel, Mirror, Pool, _Dims, _Dtype, _Order

_Stream = Stream | Literal[0] | None
_Device = SupportsIndex | str | None

class HostFlags(IntFlag):
    PORTABLE = 1
    MAPPED = 2
    WRITE_COMBINED = 4
    READ_ONLY = 8
    BEST_EFFORT = 16
    MANAGED_HOST = 32

class Features(IntFlag):
    MEMORY_POOLS = 1
    MANAGED = 2
    CONCURRENT_MANAGED = 4
    MAP_HOST = 8
    HOST_REGISTER = 16
    REGISTER_READ_ONLY = 32
    UNIFIED_ADDRESSING = 64
    INTEGRATED = 128
    IPC = 256

class Device(NamedTuple):
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

class MemoryInfo(NamedTuple):
    free: int
    total: int
    used: int
    held: int

class _Block:
    def __enter__(self) -> Any: ...
    def __exit__(self, *exception: Any) -> None: ...

@type_check_only
class StreamScope:
    def __enter__(self) -> Stream: ...
    def __exit__(self, *exception: Any) -> None: ...

SmartArray = Mirror

@final
class Stream:
    def synchronize(self) -> None: ...
    def auto_synchronize(self) -> StreamScope: ...
    def done(self) -> Coroutine[Any, Any, Stream]: ...
    def release(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: Any) -> None: ...
    @property
    def native(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def handle(self) -> int: ...
    @property
    def _as_parameter_(self) -> Any: ...

@final
class Module:
    def __new__(cls, image: str | bytes | bytearray | memoryview, *, name: str | None = None) -> Self: ...
    @staticmethod
    def compile(source: str, *, name: str | None = None, arch: str | None = None, options: Sequence[str] = ()) -> Module: ...
    def kernel(self, name: str, parameters: str | Iterable[str | DTypeLike]) -> Kernel: ...
    def function(self, name: str, device: str = "cuda:0") -> int: ...
    def release(self) -> None: ...
    @property
    def log(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@final
class Event:
    def record(self, stream: _Stream = None) -> None: ...
    def wait(self, stream: _Stream = None) -> None: ...
    def synchronize(self) -> None: ...
    def query(self) -> bool: ...
    def elapsed_time(self, end: Event) -> float: ...

class device:
    id: int
    def __init__(self, number: SupportsIndex) -> None: ...
    def __enter__(self) -> device: ...
    def __exit__(self, *_exception: Any) -> None: ...

def is_available() -> bool: ...
def devices() -> list[Device]: ...
def memory_info(device: _Device = None) -> MemoryInfo: ...

get_memory_info = memory_info
def synchronize(device: _Device = None) -> None: ...
def defer_cleanup() -> _Block: ...
def private_pool(pool: Pool, private: Pool, stream: Stream) -> AbstractContextManager[Pool]: ...
def stream(priority: int = 0, *, blocking: bool = False, device: _Device = None) -> Stream: ...
class _HasCudaStream(Protocol):
    @property
    def __cuda_stream__(self) -> Any: ...

def external_stream(stream: int | _HasCudaStream, *, device: _Device = None) -> Stream: ...
def legacy_default_stream(*, device: _Device = None) -> Stream: ...
def per_thread_default_stream(*, device: _Device = None) -> Stream: ...
def default_stream(*, device: _Device = None) -> Stream: ...
def current_stream(*, device: _Device = None) -> Stream: ...
def event(timing: bool = True, *, device: _Device = None) -> Event: ...
def event_elapsed_time(start: Event, end: Event) -> float: ...
def device_array(
    shape: _Dims,
    dtype: _Dtype | None = None,
    strides: _Dims | None = None,
    order: _Order = "C",
    stream: _Stream = None,
    *,
    device: _Device = None,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def device_array_like(
    prototype: Any, stream: _Stream = None, *, device: _Device = None, name: str | None = None
) -> Array: ...
def to_device(
    obj: Any,
    stream: _Stream = None,
    copy: bool = True,
    to: Array | None = None,
    *,
    device: _Device = None,
    pool: Pool | None = None,
    name: str | None = None,
) -> Array: ...
def pinned_array(
    shape: _Dims,
    dtype: _Dtype | None = None,
    strides: _Dims | None = None,
    order: _Order = "C",
    *,
    name: str | None = None,
) -> Array: ...
def pinned_array_like(prototype: Any, *, name: str | None = None) -> Array: ...
def zeros_pinned(
    shape: _Dims, dtype: _Dtype | None = None, order: _Order = "C", *, name: str | None = None
) -> Array: ...
def mapped_array(
    shape: _Dims,
    dtype: _Dtype | None = None,
    strides: _Dims | None = None,
    order: _Order = "C",
    stream: _Stream = None,
    portable: bool = False,
    wc: bool = False,
    *,
    name: str | None = None,
) -> Array: ...
def mapped_array_like(
    prototype: Any, stream: _Stream = None, portable: bool = False, wc: bool = False, *, name: str | None = None
) -> Array: ...
def managed_array(
    shape: _Dims,
    dtype: _Dtype | None = None,
    strides: _Dims | None = None,
    order: _Order = "C",
    stream: _Stream = None,
    attach_global: bool = True,
    *,
    device: _Device = None,
    name: str | None = None,
) -> Array: ...
def pinned(*arrays: Any, best_effort: bool = False) -> _Block: ...
def mapped(*arrays: Any) -> _Block: ...
def advise(array: Array, advice: str, device: _Device = None) -> None: ...
def prefetch(array: Array, device: _Device = None, stream: _Stream = None) -> None: ...
