import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum, IntFlag
from types import EllipsisType, TracebackType
from typing import Any, Literal, NamedTuple, Self, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

class _BFloat16:
    name: str
    itemsize: int

_Dtype = DTypeLike | _BFloat16
_Dims = SupportsIndex | Sequence[SupportsIndex]
_Order = Literal["C", "F"]
_LikeOrder = Literal["C", "F", "A", "K"]
_Mode = int | str
_Part = SupportsIndex | slice | EllipsisType | None
_F = TypeVar("_F", bound=Callable[..., Any])
_Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

bfloat16: _BFloat16
version: str
__version__: str
NONE: int
ALIASED: WriteMode
UNIQUE: WriteMode
COW: WriteMode
DISCARD: WriteMode

class Status(IntEnum):
    OK = 0
    NULL = 1
    STALE = 2
    KIND = 3
    DESTRUCTED = 4
    GIVEN = 5
    POISONED = 6
    READONLY = 7
    BORROWED_WRITE = 8
    BORROWED = 9
    EXPORTED = 10
    SHARED = 11
    IN_EXPRESSION = 12
    PENDING = 13
    FOREIGN = 14
    COUNT = 15
    DUPLICATE = 16
    RANGE = 17
    INVALID = 18
    DTYPE = 19
    SHAPE = 20
    LAYOUT = 21
    DEVICE = 22
    WOULD_COPY = 23
    ALIASED = 24
    FAILED = 25
    NO_HOST_MEMORY = 26
    NO_DEVICE_MEMORY = 27
    POOL_LIMIT = 28
    UNSUPPORTED = 29
    DRIVER = 30
    IO = 31
    LIMIT = 32
    PANIC = 33

class Error(Exception):
    status: Status | int

class OwnershipError(Error): ...
class PendingError(OwnershipError): ...
class ReadOnlyError(OwnershipError, ValueError): ...
class ArgumentError(Error, ValueError): ...
class RangeError(Error, IndexError, ValueError): ...
class DtypeError(Error, TypeError): ...
class OutOfMemoryError(Error, MemoryError): ...
class FileError(Error, OSError): ...
class UnsupportedError(Error, NotImplementedError): ...
class FailedError(Error, RuntimeError): ...
class ExportError(Error, BufferError): ...
class ExportConflictError(OwnershipError, BufferError): ...

class WriteMode(IntFlag):
    ALIASED = 0
    UNIQUE = 1
    COW = 2
    DISCARD = 4

class PoolFlags(IntFlag):
    PREFAULT = 1
    DIRECT = 2
    STRICT = 4
    ZERO_ON_FREE = 8
    SHAREABLE = 16

class Why(IntFlag):
    GIVEN = 0x001
    SHARED = 0x002
    IN_EXPRESSION = 0x004
    EXPORTED = 0x008
    BORROWED = 0x010
    READONLY = 0x020
    FOREIGN = 0x040
    POISONED = 0x080
    LAYOUT = 0x100
    DEVICE = 0x200
    WASTE = 0x400
    NOT_ALIASABLE = 0x800

    holders: tuple[Holder, ...]

class HolderKind(IntEnum):
    HANDLE = 1
    PROMISE = 2
    EXPRESSION = 3
    SHARED_VARIABLE = 4
    EXPORT_READ = 5
    EXPORT_SHARED = 6
    EXPORT_EXCLUSIVE = 7
    GUARD_READ = 8
    GUARD_WRITE = 9
    BLOCK = 10
    POOL = 11
    STREAM = 12
    EVENT = 13
    SCOPE = 14
    WEAK = 15
    FUNCTION = 16
    MIRROR = 17
    QUEUED_RELEASE = 18

class Holder(NamedTuple):
    kind: HolderKind
    name: str
    site: str
    bytes: int
    thread: int
    time_ns: int
    id: int
    device: str

class CopySite(NamedTuple):
    function: str
    site: str
    why: int
    forced: bool
    count: int  # type: ignore[assignment]
    bytes: int

class Store(NamedTuple):
    address: int
    nbytes: int
    device: str
    pool_name: str
    version: int
    flags: int
    holders: tuple[Holder, ...]

class PoolStats(NamedTuple):
    requested_bytes: int
    in_use_bytes: int
    cached_bytes: int
    pending_bytes: int
    overhead_bytes: int
    reserved_bytes: int
    address_bytes: int
    huge_bytes: int
    metadata_bytes: int
    peak_in_use_bytes: int
    peak_reserved_bytes: int
    peak_requested_bytes: int
    allocation_count: int
    deallocation_count: int
    reallocation_count: int
    failure_count: int
    live_blocks: int
    hit_count: int
    thread_hit_count: int
    device_allocate_count: int
    device_free_count: int
    device_bytes_total: int
    trim_count: int
    pressure_count: int
    oom_count: int
    misuse_count: int
    zero_bytes_skipped: int
    largest_free_bytes: int
    limit_bytes: int
    thread_count: int
    held_bytes: int
    shared_out_bytes: int

class Flags:
    bits: int
    c_contiguous: bool
    f_contiguous: bool
    readonly: bool
    writeable: bool
    aligned: bool
    self_overlap: bool
    foreign: bool
    pinned: bool
    mapped: bool
    write_combined: bool
    def __getitem__(self, name: str) -> bool: ...

class Proxy:
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class Borrow:
    def __enter__(self) -> Any: ...
    def __exit__(
        self,
        exception: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

class Pool:
    def __new__(
        cls,
        device: str = "cpu",
        *,
        name: str | None = None,
        initial_size: int = 0,
        max_growth: int = 0,
        max_size: int = 0,
        growth_factor: float = 0.0,
        alignment: int = 0,
        thread_cache_size: int = 0,
        release_threshold: int = 0,
        release_delay_ms: int = 0,
        huge_pages: int = 0,
        numa_node: int = 0,
        flags: int = 0,
    ) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: Any) -> None: ...
    def stats(self) -> PoolStats: ...
    def trim(self, keep: int = 0) -> int: ...
    def reset_peak(self) -> None: ...
    def release(self) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> int: ...
    @property
    def _as_parameter_(self) -> Any: ...

class Promise:
    def cancel(self) -> None: ...
    def detach(self) -> int: ...
    @property
    def handle(self) -> int: ...
    @property
    def _as_parameter_(self) -> Any: ...

class Weak:
    def upgrade(self) -> Array: ...
    def release(self) -> None: ...
    @property
    def handle(self) -> int: ...

class no_copies:
    def __enter__(self) -> None: ...
    def __exit__(self, *exception: Any) -> None: ...

class Array:
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def name(self) -> str: ...
    @name.setter
    def name(self, name: str | None) -> None: ...
    @property
    def flags(self) -> Flags: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def T(self) -> Array: ...
    @property
    def readonly(self) -> Proxy: ...
    @property
    def exclusive(self) -> Proxy: ...
    @property
    def is_unique(self) -> bool: ...
    @property
    def handle(self) -> int: ...
    @property
    def _as_parameter_(self) -> Any: ...
    def detach(self) -> int: ...
    def release(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: Any) -> None: ...
    def clone(self) -> Array: ...
    def copy(self, *, pool: Pool | None = None, name: str | None = None) -> Array: ...
    def __copy__(self) -> Array: ...
    def __deepcopy__(self, memo: Any, /) -> Array: ...
    def astype(self, dtype: _Dtype) -> Array: ...
    def view(self, dtype: _Dtype | None = None) -> Array: ...
    @overload
    def reshape(self, shape: _Dims, /, *, order: _LikeOrder | None = None) -> Array: ...
    @overload
    def reshape(self, *shape: SupportsIndex, order: _LikeOrder | None = None) -> Array: ...
    def ravel(self, order: _LikeOrder | None = None) -> Array: ...
    def transpose(self, *axes: Any) -> Array: ...
    def permute(self, *axes: Any) -> Array: ...
    def squeeze(self, axis: _Dims | None = None) -> Array: ...
    def expand(self, axis: int) -> Array: ...
    def broadcast_to(self, *shape: Any) -> Array: ...
    def chunks(self, length: SupportsIndex, axis: int = 0) -> list[Array]: ...
    def array_split(self, parts: SupportsIndex, axis: int = 0) -> list[Array]: ...
    def overlap(self, other: Array) -> Literal["none", "exact", "some", "unknown"]: ...
    def fill(self, value: Any, mode: _Mode | None = None) -> None: ...
    def zero(self, mode: _Mode | None = None) -> None: ...
    def copy_from(self, source: Array, mode: _Mode | None = None) -> None: ...
    def read(self, frozen: bool = False, *, wait: bool = True) -> Borrow: ...
    def write(self, mode: _Mode | None = None, *, wait: bool = True) -> Borrow: ...
    def chunks_write(self, n: int, axis: int = 0, mode: _Mode | None = None) -> Borrow: ...
    def why_not(self, target: Array | tuple[_Dims, _Dtype] | None = None) -> Why: ...
    def weak(self) -> Weak: ...
    def save_npy(self, path: _Path, *, sync: bool = False, exclusive: bool = False) -> None: ...
    def item(self) -> Any: ...
    def tolist(self) -> Any: ...
    def __getitem__(self, key: _Part | tuple[_Part, ...], /) -> Any: ...
    def __setitem__(self, key: _Part | tuple[_Part, ...], value: Any, /) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __float__(self) -> float: ...
    def __int__(self) -> int: ...
    def __complex__(self) -> complex: ...
    def __index__(self) -> int: ...
    def __contains__(self, value: Any, /) -> bool: ...
    def __eq__(self, other: Any, /) -> NDArray[np.bool_]: ...  # type: ignore[override]
    def __ne__(self, other: Any, /) -> NDArray[np.bool_]: ...  # type: ignore[override]
    def __lt__(self, other: Any, /) -> NDArray[np.bool_]: ...
    def __le__(self, other: Any, /) -> NDArray[np.bool_]: ...
    def __gt__(self, other: Any, /) -> NDArray[np.bool_]: ...
    def __ge__(self, other: Any, /) -> NDArray[np.bool_]: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

def empty(
    shape: _Dims,
    dtype: _Dtype | None = None,
    order: _Order | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def zeros(
    shape: _Dims,
    dtype: _Dtype | None = None,
    order: _Order | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def ones(
    shape: _Dims,
    dtype: _Dtype | None = None,
    order: _Order | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def full(
    shape: _Dims,
    value: Any,
    dtype: _Dtype | None = None,
    order: _Order | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def empty_like(
    prototype: Any,
    dtype: _Dtype | None = None,
    order: _LikeOrder | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def zeros_like(
    prototype: Any,
    dtype: _Dtype | None = None,
    order: _LikeOrder | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def ones_like(
    prototype: Any,
    dtype: _Dtype | None = None,
    order: _LikeOrder | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def full_like(
    prototype: Any,
    value: Any,
    dtype: _Dtype | None = None,
    order: _LikeOrder | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def array(
    object: ArrayLike | Array,
    dtype: _Dtype | None = None,
    *,
    name: str | None = None,
    pool: Pool | None = None,
) -> Array: ...
def asarray(object: Any, dtype: _Dtype | None = None, *, copy: bool | None = None) -> Array: ...
def from_buffer(object: Any, *, writable: bool | None = None, copy: bool | None = None) -> Array: ...
def from_dlpack(object: Any, *, device: tuple[int, int] | None = None, copy: bool | None = None) -> Array: ...
def open_npy(
    path: _Path,
    mode: Literal["r", "c", "r+"] | None = "r",
    *,
    pool: Pool | None = None,
    max_header_bytes: int = 0,
    name: str | None = None,
) -> Array: ...
def save_npy(path: _Path, array: Array, *, sync: bool = False, exclusive: bool = False) -> None: ...
def access(
    read: Array | Iterable[Array] | None = None,
    write: Array | Iterable[Array] | None = None,
    *,
    mode: _Mode | None = None,
    frozen: bool = False,
    wait: bool = True,
) -> Borrow: ...
def give(array: Array, required: int | None = None) -> Promise: ...
@overload
def take(promise: Promise, /) -> Array: ...
@overload
def take(promise: Promise, /, *more: Promise) -> tuple[Array, ...]: ...
@overload
def takes(function: _F, /) -> _F: ...
@overload
def takes() -> Callable[[_F], _F]: ...
def from_handle(handle: int) -> Array | Promise: ...
def clone_handle(handle: int) -> Array: ...
def check(status: int) -> None: ...
def leaks() -> list[Holder]: ...
def copies() -> list[CopySite]: ...
def holders_of(address: int, nbytes: int = 1) -> Store: ...
def owner_of(object: Any) -> Store | None: ...
def run_releases() -> int: ...
def option(name: str, value: str | int | bool | None = None) -> str: ...
def default_pool(device: str = "cpu") -> Pool: ...
def current_pool(device: str = "cpu") -> Pool: ...
def get_include() -> str: ...
def get_library() -> str: ...
def array_equal(a: Any, b: Any) -> bool: ...
def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool: ...
