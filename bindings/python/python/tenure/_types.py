"""Plain result types and constants. The native half fills them; their only behaviour is printing."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as _numpy

from . import _bfloat16
from ._errors import DtypeError, OwnershipError, Status, make

NONE = 2**64 - 1
"""\"None\" or \"never\", for pool options that accept it."""


class Device(str):
    """A device as an object: ``Device("cuda", 0)`` is the text "cuda:0", and stands wherever that does.

    >>> d = tenure.Device("cuda", 1)
    >>> d == "cuda:1", d.type, d.index
    (True, 'cuda', 1)
    """

    __slots__ = ()

    def __new__(cls, type: str, index: int | None = None) -> Device:
        name, colon, number = str(type).partition(":")
        if name not in ("cpu", "cuda", "cuda_host", "cuda_managed"):
            raise ValueError(f'{type!r} is no type of device; use "cpu", "cuda", "cuda_host" or "cuda_managed"')
        if colon and index is not None:
            raise ValueError(f"{type!r} has a number already; leave the index {index} out")
        index = int(number) if colon else index or 0
        # As x.device has it.
        return super().__new__(cls, name if name in ("cpu", "cuda_host") and index == 0 else f"{name}:{index}")

    @property
    def type(self) -> str:
        """ "cpu", "cuda", "cuda_host" or "cuda_managed"."""
        return self.partition(":")[0]

    @property
    def index(self) -> int:  # type: ignore[override]
        """The number among the devices of its type."""
        return int(self.partition(":")[2] or 0)

    def __repr__(self) -> str:
        return f"tenure.Device({self.type!r}, {self.index})"


class WriteMode(enum.IntFlag):
    """The effect of a write on other holders of the bytes."""

    ALIASED = 0
    UNIQUE = 1
    COW = 2
    DISCARD = 4


ALIASED = WriteMode.ALIASED
UNIQUE = WriteMode.UNIQUE
COW = WriteMode.COW
DISCARD = WriteMode.DISCARD


class PoolFlags(enum.IntFlag):
    """Flags of :class:`tenure.Pool`."""

    PREFAULT = 1
    DIRECT = 2
    STRICT = 4
    ZERO_ON_FREE = 8
    SHAREABLE = 16
    IPC = 32
    #: With SHAREABLE: arrays are exported read-only, and exported blocks serve again once all importers have let go.
    READONLY_EXPORTS = 64


class PoolBackend(enum.IntEnum):
    """Where a :class:`tenure.Pool` of a GPU gets its memory: mapped granules, plain allocations, a pool of the driver."""

    AUTO = 0
    PLAIN = 1
    DRIVER_POOL = 2


class EventKinds(enum.IntFlag):
    """What a log of :func:`tenure.record_events` records."""

    ALLOCATE = 0x0001
    FREE = 0x0002
    COPY = 0x0004
    TRANSFER = 0x0008
    EXPORT = 0x0020
    GIVE = 0x0100
    TAKE = 0x0200
    BORROW = 0x0400
    REALLOCATE = 0x0800
    IMPORT = 0x1000
    NAME = 0x2000
    ALL = 0x3F2F


class Why(enum.IntFlag):
    """Why bytes cannot be overwritten in place. A result of ``Array.why_not`` also has ``.holders``."""

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

    def explain(self) -> str:
        """A text with each reason, what to do about it, and who holds the bytes."""
        if not self:
            return "in place"
        lines = ["not in place, because of"]
        holders = list(getattr(self, "holders", ()))
        for flag in Why:
            if flag in self:
                lines.append(f"  {flag.name}: {_REASONS[flag.name]}")
                mine = [h for h in holders if getattr(h.kind, "name", "") in _HOLDERS.get(flag.name, ())]
                holders = [h for h in holders if h not in mine]
                lines += [f"    {h.text()}" for h in mine]
        if holders:
            lines += ["  other holders of the bytes", *(f"    {h.text()}" for h in holders)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        holders = "".join(f", {holder.text()}" for holder in getattr(self, "holders", ()))
        return f"{super().__repr__()[:-1]}{holders}>"

    def __str__(self) -> str:
        names = "|".join(flag.name for flag in Why if flag in self) or "nothing"
        holders = ", ".join(map(repr, getattr(self, "holders", ())))
        return f"{names}: {holders}" if holders else names

    def __format__(self, spec: str) -> str:
        return int.__format__(self, spec) if spec[-1:] in tuple("bcdoxXn") else format(str(self), spec)


_REASONS = {
    "GIVEN": "it is given and its promise not taken yet; cancel the promise to use it again",
    "SHARED": "other arrays or promises claim the same bytes; del or release them, or give them all",
    "IN_EXPRESSION": "an expression needs or keeps these values; del the expression",
    "EXPORTED": "a view of another library (numpy, torch, a buffer) is alive, perhaps a part of one from an ended `with` block; del it",
    "BORROWED": "a borrow overlaps; end its `with` block",
    "READONLY": "it is read-only: a broadcast, a read-only file or import; mode=\"cow\" copies",
    "FOREIGN": "the bytes belong to another library; mode=\"cow\" copies",
    "POISONED": "a writer failed half way; rewrite all that it wrote (fill, zero, or a write with \"|discard\"), or x.heal() accepts it",
    "LAYOUT": "the target has another element type, or a shape that does not fit these bytes",
    "DEVICE": "the target is on another device",
    "WASTE": "the bytes are more than twice what the target needs",
    "NOT_ALIASABLE": "its elements share bytes with one another; x.copy() separates them",
}

_HOLDERS = {
    "GIVEN": ("PROMISE",),
    "SHARED": ("HANDLE", "PROMISE", "SHARED_VARIABLE"),
    "IN_EXPRESSION": ("EXPRESSION",),
    "EXPORTED": ("EXPORT_READ", "EXPORT_SHARED", "EXPORT_EXCLUSIVE"),
    "BORROWED": ("GUARD_READ", "GUARD_WRITE"),
}


def why(bits: int, holders: tuple[Holder, ...]) -> Why:
    """A `Why` with its own holders. A flag has one shared object for each value, which cannot have several lists."""
    shared = Why(bits)
    flag = int.__new__(Why, bits)
    flag._name_ = shared._name_
    flag._value_ = bits
    flag.holders = holders
    return flag


class HolderKind(enum.IntEnum):
    """The kind of a holder, or of something that is still open."""

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
    MODULE = 19

    __str__ = enum.Enum.__str__


class _Holder(NamedTuple):
    kind: HolderKind
    name: str
    site: str
    bytes: int
    thread: int
    time_ns: int
    id: int
    device: str


class Holder(_Holder):
    """A holder of bytes: ``kind``, ``name`` of its array, ``site`` ("step.py:41") where it was made, ``thread``."""

    __slots__ = ()

    def __new__(cls, kind: int, *rest):
        known = HolderKind._value2member_map_
        return super().__new__(cls, known.get(kind, kind), *rest)

    def text(self) -> str:
        """The kind, the name of its array, and where it was made."""
        kind = self.kind.name if isinstance(self.kind, HolderKind) else str(self.kind)
        name = f" {self.name!r}" if self.name else ""
        site = f" at {self.site}" if self.site else ""
        return f"{kind}{name}{site}"

    def __repr__(self) -> str:
        return f"<{self.text()}, {self.bytes} bytes>"


class CopySite(NamedTuple):
    """All copies that one call site made between libraries or devices. ``forced``: no copy was requested; ``why``: what prevented
    an alias."""

    function: str
    site: str
    why: int
    forced: bool
    count: int  # type: ignore[assignment]
    bytes: int


class Store(NamedTuple):
    """The block of memory at an address, and its holders."""

    address: int
    nbytes: int
    device: str
    pool_name: str
    version: int
    flags: int
    holders: tuple[Holder, ...]

    def __str__(self) -> str:
        pool = f'in pool "{self.pool_name}"' if self.pool_name else "of no pool"
        holders = f"held by {', '.join(map(repr, self.holders))}" if self.holders else "without holders"
        return f"{self.nbytes} bytes at {self.address:#x} {pool} on {self.device}, {holders}"


class PoolStats(NamedTuple):
    """The statistics of a pool, in bytes unless the name says count."""

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
    serial: int
    spilled_bytes: int
    spill_count: int
    unspill_count: int


class PoolClass(NamedTuple):
    """The statistics of one block size in a pool. ``block_bytes`` 0: large blocks; ``cached_blocks`` are their free ranges."""

    block_bytes: int
    span_bytes: int
    live_blocks: int
    cached_blocks: int
    span_count: int
    allocation_count: int
    hit_count: int


class PoolClient(NamedTuple):
    """The statistics of one client of a pool. ``name``: "arrays", "raw", or a library such as "numpy". The ``live_bytes`` of all
    clients add up to the pool's ``in_use_bytes``."""

    name: str
    live_blocks: int
    live_bytes: int
    requested_bytes: int
    peak_bytes: int
    allocation_count: int
    failure_count: int
    misuse_count: int
    mismatch_count: int


class _EventStats(NamedTuple):
    kinds: EventKinds
    is_file: bool
    events: int
    overwritten: int
    dropped: int
    capacity: int


class EventStats(_EventStats):
    """What a log of events has: ``events``, of which a name counts as two; those that newer ones have ``overwritten``; those that
    found no room (``dropped``); and its ``capacity`` in bytes. ``kinds``: what is recorded; 0: the log does not run."""

    __slots__ = ()

    def __new__(cls, kinds: int, *rest):
        return super().__new__(cls, EventKinds(kinds), *rest)


class Flags:
    """The layout of an array's elements and the permitted uses."""

    __slots__ = ("bits",)

    _NAMES = (
        "c_contiguous",
        "f_contiguous",
        "readonly",
        "aligned",
        "self_overlap",
        "foreign",
        "pinned",
        "mapped",
        "write_combined",
    )
    _SHORT = {"C": "c_contiguous", "F": "f_contiguous", "W": "writeable", "A": "aligned"}

    def __init__(self, bits: int):
        self.bits = bits

    def __getattr__(self, name: str) -> bool:
        if name == "writeable":
            return not self.readonly
        if name in self._NAMES:
            return bool(self.bits >> self._NAMES.index(name) & 1)
        raise AttributeError(f"flags have no {name!r}; use {', '.join(self._NAMES)} or writeable")

    def __getitem__(self, name: str) -> bool:
        try:
            return getattr(self, self._SHORT.get(name, name.lower()))
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flags) and self.bits == other.bits

    def __hash__(self) -> int:
        return hash(self.bits)

    def __repr__(self) -> str:
        return "\n".join(f"  {name.upper()} : {getattr(self, name)}" for name in (*self._NAMES, "writeable"))


class _BFloat16:
    """The element type bfloat16, which NumPy itself does not have. Where ``ml_dtypes`` is installed, NumPy views have its type;
    otherwise use ``x.view("uint16")`` for the bits and ``x.astype("float32")`` for the values."""

    name = "bfloat16"
    itemsize = 2
    kind = "V"
    isnative = True

    def __repr__(self) -> str:
        return "tenure.bfloat16"

    def __reduce__(self) -> str:
        return "bfloat16"

    @property
    def dtype(self):
        """NumPy's dtype for ``numpy.dtype(tenure.bfloat16)``; no attribute without ``ml_dtypes``."""
        try:
            return _bfloat16.numpy_dtype()
        except DtypeError as error:
            raise AttributeError(str(error)) from None

    def __eq__(self, other: object) -> bool:
        # Also the dtype and the type of `ml_dtypes`.
        if isinstance(other, _numpy.dtype):
            return other.name == "bfloat16"
        name = other.__name__ if isinstance(other, type) else other
        return other is self or (isinstance(name, str) and name == "bfloat16")

    def __hash__(self) -> int:
        return hash("bfloat16")


bfloat16 = _BFloat16()


class _Ended:
    """The content of a view whose block has ended. Every use raises."""

    text = (
        "this view belonged to a borrow that ended with its `with` block; use it inside the block, copy what is needed "
        "later, or use numpy.asarray(x), which shares the array's bytes"
    )

    def __repr__(self) -> str:
        return "<view of a borrow that ended>"


ended = _Ended()


def _refuse_use(*_args, **_options):
    raise make(Status.STALE, ended.text, False)


for _name in (
    "add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv rfloordiv mod rmod divmod rdivmod "
    "pow rpow matmul rmatmul and rand or ror xor rxor lshift rlshift rshift rrshift neg pos abs invert reduce_ex "
    "lt le gt ge eq ne bool int float complex index len iter getitem setitem call"
).split():
    setattr(_Ended, f"__{_name}__", _refuse_use)
_Ended.__hash__ = object.__hash__

# What `ndarray.__setstate__` takes. No buffer has fields that are not in their order, and in Fortran's order the simplest buffers are
# refused too. The names of the fields stand in NumPy's messages about the type.
_ended_content = (
    1,
    (2, 2),
    _numpy.dtype({"names": ["view of a borrow", "that ended"], "formats": ["O", "O"], "offsets": [8, 0]}),
    True,
    [(ended, ended)] * 4,
)

# What debuggers and messages may ask of any object.
_ANY_OBJECT = frozenset(
    f"__{name}__" for name in "class dir doc format hash init init_subclass new repr sizeof str subclasshook".split()
)


def _refuse_all_uses(view: type) -> None:
    """Makes of a subclass of ndarray one whose objects refuse what an array can do."""
    refused = frozenset(dir(_numpy.ndarray)) - _ANY_OBJECT

    def attribute(self, name):
        return _refuse_use() if name in refused else object.__getattribute__(self, name)

    # Operators and functions look for these in the class, not by `__getattribute__`.
    for name in refused - {"__array_finalize__", "__array_priority__"} | {"__bytes__"}:
        if name.startswith("__"):
            setattr(view, name, _refuse_use)
    view.__getattribute__ = attribute
    view.__repr__ = view.__str__ = lambda _self: repr(ended)
    view.__format__ = lambda _self, _spec: repr(ended)


__all__ = [
    "ALIASED",
    "COW",
    "CopySite",
    "DISCARD",
    "EventKinds",
    "EventStats",
    "Flags",
    "Holder",
    "HolderKind",
    "NONE",
    "OwnershipError",
    "PoolBackend",
    "PoolFlags",
    "PoolStats",
    "Store",
    "UNIQUE",
    "Why",
    "WriteMode",
    "bfloat16",
]
