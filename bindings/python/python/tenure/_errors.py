"""The exceptions, each with the status and the message of the library.

Contract: one table maps statuses to classes. The classes also derive from the built-in exception that fits, so that code
that does not know Tenure can catch them. The native half calls ``make``.
"""

import enum
import errno
import os
import re


class Status(enum.IntEnum):
    """The statuses of the library, without their prefix ``TN_ERR_``."""

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
    OVERFLOW = 34

    __str__ = enum.Enum.__str__

    @classmethod
    def _missing_(cls, value):
        # A status of a newer library has a name too, so `error.status.name` needs no check.
        if not isinstance(value, int) or not 0 < value < 2**32:
            return None
        status = int.__new__(cls, value)
        status._name_ = f"STATUS_{value}"
        status._value_ = value
        return status


class Error(Exception):
    """A call that the library refused or could not complete. ``status`` is a :class:`Status`; the message has advice."""

    status: Status = Status.OK


class OwnershipError(Error):
    """Other code holds, borrows or was given what the call needs, or the handle is stale or of another kind."""


class PendingError(OwnershipError):
    """Device work is unfinished, and the call was told not to wait."""


class ReadOnlyError(OwnershipError, ValueError):
    """The array or its memory is read-only."""


class ArgumentError(Error, ValueError):
    """An argument is wrong regardless of who holds the array: a shape, layout, flag or count."""


class RangeError(Error, IndexError, ValueError):
    """An index, axis or address does not exist."""


class DtypeError(Error, TypeError):
    """An element type is unknown or does not fit."""


class OutOfMemoryError(Error, MemoryError):
    """No memory is left, or the pool's limit is reached."""


class FileError(Error, OSError):
    """A file could not be opened, read or written, or is damaged. It has ``errno`` and is also the built-in exception for it,
    such as ``FileNotFoundError``."""

    def __reduce__(self):
        # Its class may be one of those in `_FILES`, which cannot be imported by name.
        return make, (int(self.status), *self.args, False)


class UnsupportedError(Error, NotImplementedError):
    """Not possible on this machine or with this object; the message tells what is missing."""


class FailedError(Error, RuntimeError):
    """The operation itself failed: a callback, a compiler, a driver, or a bug in the library."""

    log: str = ""
    """The whole log of a compiler."""


class ExportError(Error, BufferError):
    """A buffer or DLPack export was refused because of the array's type, layout or device."""


class ExportConflictError(OwnershipError, BufferError):
    """A buffer or DLPack export was refused because other code uses the array."""


_CLASSES = {
    Status.NULL: ArgumentError,
    Status.PENDING: PendingError,
    Status.READONLY: ReadOnlyError,
    Status.COUNT: ArgumentError,
    Status.DUPLICATE: ArgumentError,
    Status.RANGE: RangeError,
    Status.INVALID: ArgumentError,
    Status.DTYPE: DtypeError,
    Status.SHAPE: ArgumentError,
    Status.LAYOUT: ArgumentError,
    Status.DEVICE: ArgumentError,
    Status.FAILED: FailedError,
    Status.NO_HOST_MEMORY: OutOfMemoryError,
    Status.NO_DEVICE_MEMORY: OutOfMemoryError,
    Status.POOL_LIMIT: OutOfMemoryError,
    Status.UNSUPPORTED: UnsupportedError,
    Status.DRIVER: FailedError,
    Status.IO: FileError,
    Status.LIMIT: ArgumentError,
    Status.OVERFLOW: ArgumentError,
    Status.PANIC: FailedError,
}

# Consumers of the protocols expect these as a BufferError (DL-42).
_EXPORTS = {
    status: ExportConflictError
    for status in (
        Status.POISONED,
        Status.READONLY,
        Status.BORROWED_WRITE,
        Status.BORROWED,
        Status.EXPORTED,
        Status.SHARED,
        Status.IN_EXPRESSION,
        Status.FOREIGN,
        Status.WOULD_COPY,
        Status.ALIASED,
    )
} | {status: ExportError for status in (Status.DTYPE, Status.LAYOUT, Status.DEVICE, Status.UNSUPPORTED)}


def class_of(status: int, exporting: bool = False) -> type[Error]:
    """The class for a status."""
    if exporting and status in _EXPORTS:
        return _EXPORTS[Status(status)]
    # A status of a newer library is an Error; every other status is about claims.
    return _CLASSES.get(status, OwnershipError if status in Status._value2member_map_ else Error)


# The library's advice names C constants and functions; these are Python's names for them.
_WORDS = (
    ("TN_WRITE_ALIASED", 'mode="aliased"'),
    ("TN_WRITE_UNIQUE", 'mode="unique"'),
    ("TN_WRITE_COW", 'mode="cow"'),
    ("TN_WRITE_DISCARD", 'mode="aliased|discard"'),
    ("TN_TAKE_OWNERSHIP", "take"),
    ("TN_NPY_COPY", "mode=None"),
    (", or end its guard with tn_borrow_end", ""),
    ("end the offer with tn_borrow_end", "call the end() of the offer"),
    ("accept it with tn_array_heal", "accept it with x.heal()"),
    ("wait with TN_WAIT or tn_array_wait", "call x.wait(), or leave wait=False out"),
    ("wait for its array with tn_array_wait", "wait for its array with x.wait()"),
    ("wait for that work with tn_device_synchronize", "wait for that work with tenure.cuda.synchronize()"),
    ("end that with tn_pool_off_pressure, or pass another context", "call pool.off_pressure(callback) first"),
    ("unwraps it with tn_take or tn_enter", "unwraps it with tenure.take or @tenure.takes"),
    ("only tn_array_like takes it", "only tenure.empty_like and the like take it"),
    ("get one of them with tn_stream_current", "get one of them with tenure.cuda.current_stream(device=n)"),
    ("import it with TN_MAY_OVERWRITE", "make an array of its own with tenure.asarray(object, copy=True)"),
    ("TN_FROZEN goes with TN_READ alone", "frozen=True goes with reading alone"),
    ("; use {TN_CPU, 0} or {TN_CUDA, id}", '; use "cpu" or "cuda:0" and the like'),
    ("; the host is {TN_CPU, 0}", '; the host is "cpu"'),
    ("use TN_CPU", 'use "cpu"'),
    ("arrays on TN_CPU work", "arrays on the host work"),
    ("use a pool of TN_CUDA_HOST", 'use tenure.Pool("cuda_host")'),
    ("use TN_HUGE_AUTO, TN_HUGE_NEVER or TN_HUGE_EXPLICIT", "use 0 (automatic), 1 (never) or 2 (explicit)"),
    ("none of the TN_ADVISE_ constants", "none of those that x.advise lists"),
    ("with tn_array_to_device first", 'with x.to_device("cpu") first'),
    ("use tn_array_index", "use x[i]"),
    ("use tn_array_expand first", "use x.expand(0) first"),
    ("by tn_array_view_dtype", 'by x.view("uint16")'),
    ("pass NULL or a constant", "leave the stream out"),
    ("they belong to {TN_CUDA, id}", 'they belong to "cuda:0" and the like'),
    ("page-lock it (tn_host_register)", "page-lock it (tenure.cuda.pinned)"),
    ("managed memory (TN_CUDA_MANAGED)", "managed memory (tenure.cuda.managed_array)"),
    ("TN_HOST_BEST_EFFORT", "host_flags=tenure.cuda.HostFlags.BEST_EFFORT"),
    ("without TN_EVENT_TIMING", "without timing=True"),
    ("tn_safetensors_query lists them", "open_safetensors(path) has them all"),
    ("(tn_copies_forbid)", "(tenure.no_copies)"),
    ("begin one with tn_log_start", "begin one with tenure.record_events"),
    ("end it with tn_log_stop first", "call its stop() first"),
    ("use TN_LOG_ bits", "use tenure.EventKinds"),
)

# A device in messages of the library: "on {cuda, 0}", "on device (2, 0)", "device {1, 0}".
_PLACE = re.compile(r"(?<=on ){(\w+), (\d+)}|device [({](\d+), (\d+)[)}]")
_DEVICES = {"1": "cpu", "2": "cuda", "3": "cuda_host", "13": "cuda_managed"}


# Other names of C in messages. A name of the user's own, such as a path, stands in quotes.
_NAMES = (
    (re.compile(r"""(?<![\w"'/.-])TN_ORDER_([CFAK])\b"""), r'"\1"'),
    (re.compile(r"""(?<![\w"'/.-])TN_POOL_([A-Z_]+)\b"""), r"tenure.PoolFlags.\1"),
    (re.compile(r"""(?<![\w"'/.-])TN_BACKEND_([A-Z_]+)\b"""), r"tenure.PoolBackend.\1"),
    (re.compile(r"""(?<![\w"'/.-])TN_HOST_([A-Z_]+)\b"""), r"tenure.cuda.HostFlags.\1"),
    (re.compile(r"""(?<![\w"'/.-])TN_ERR_([A-Z_]+)\b"""), r"tenure.Status.\1"),
    (re.compile(r"""(?<![\w"'/.-])tn_(array|pool|promise|scope|stream_scope|stream|event|borrow|expr|weak|runner)\b(?!:)"""), r"\1"),
)

# Flags and the like have no name in Python; their words still help.
_CONSTANT = re.compile(r"""(?<![\w"'/.-])TN_([A-Z][A-Z0-9_]*)\b""")


def _place(found: re.Match) -> str:
    name, number = found[1] or _DEVICES.get(found[3]), found[2] or found[4]
    if name not in _DEVICES.values():
        return found[0]
    return f"{name}:{number}" if name in ("cuda", "cuda_managed") else name


def reworded(text: str) -> str:
    """A message of the library with Python's names."""
    for c, python in _WORDS:
        text = text.replace(c, python)
    if "use tn_array_copy first" in text:
        # `x.copy()` keeps F order, and would be refused again.
        order = '"F"' if "in order F without" in text else '"C"'
        copy = f"x.flatten({order})" if text.startswith("tn_array_ravel") else f"x.copy({order}) first"
        text = text.replace("use tn_array_copy first", f"use {copy}")
    for c, python in _NAMES:
        text = c.sub(python, text)
    return _PLACE.sub(_place, _CONSTANT.sub(lambda found: found[1].lower().rstrip("_"), text))


def _of_system(base: type[OSError]) -> type[FileError]:
    """A `FileError` that is also the built-in exception for this system error."""
    return type("FileError", (FileError, base), {"__module__": "tenure", "__doc__": FileError.__doc__})


_FILES = {
    os.strerror(number): (number, _of_system(base))
    for number, base in (
        (errno.ENOENT, FileNotFoundError),
        (errno.EACCES, PermissionError),
        (errno.EPERM, PermissionError),
        (errno.EEXIST, FileExistsError),
        (errno.EISDIR, IsADirectoryError),
        (errno.ENOTDIR, NotADirectoryError),
    )
}


def make(status: int, text: str, exporting: bool) -> Error:
    """Makes the exception for a status and its message."""
    text = reworded(text)
    kind, number = class_of(status, exporting), None
    if status == Status.WOULD_COPY and kind is OwnershipError and "forbids copies" not in text:
        # The object itself cannot be shared, whoever holds it.
        kind = ArgumentError
    if kind is FileError:
        # The library's message ends with the system's text.
        said = os.strerror(errno.EISDIR) if '" is a folder;' in text else text.rpartition(": ")[2]
        number, kind = _FILES.get(said, (None, kind))
    error = kind(text)
    if isinstance(error, FileError) and number is not None:
        error.errno = number
    error.status = Status(status)
    return error
