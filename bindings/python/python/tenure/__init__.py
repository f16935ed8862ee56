"""Tenure: who holds each buffer, and for how long.

Arrays whose bytes Python, C, C++, Rust and every language that can call C share with no copy, with checked handles:

>>> import numpy, tenure
>>> x = tenure.zeros((2, 3), name="x")
>>> n = numpy.asarray(x)              # the same bytes
>>> with x.write() as view:           # alone, for as long as the block lasts
...     view += 1.0
>>> @tenure.takes                     # a function that may be given its arguments
... def total(a):
...     return float(numpy.asarray(a).sum())
>>> total(tenure.give(x))             # hand it over: x is not ours any more
6.0

The package ships the very ``libtenure.so.0`` that C programs link: ``get_include()`` and ``get_library()`` say where
header and library are; a C library that needs it, loaded after ``import tenure``, works on the same arrays
(``x.handle``).
"""

import atexit as _atexit
import os as _os

import numpy as _numpy

from ._errors import (
    ArgumentError,
    DtypeError,
    Error,
    ExportConflictError,
    ExportError,
    FailedError,
    FileError,
    OutOfMemoryError,
    OwnershipError,
    PendingError,
    RangeError,
    ReadOnlyError,
    Status,
    UnsupportedError,
)
from . import _errors, _install, _report, _tenure, _types
from ._tenure import (
    Array,
    Borrow,
    DeviceView,
    Expr,
    Pool,
    Promise,
    Proxy,
    Runner,
    Weak,
    access,
    array,
    asarray,
    check,
    clone_handle,
    copies,
    current_pool,
    default_pool,
    diagonal,
    empty,
    empty_like,
    from_arrow,
    from_buffer,
    from_dlpack,
    from_handle,
    full,
    give,
    holders_of,
    lazy,
    leaks,
    lower,
    no_copies,
    ones,
    ones_like,
    open_npy,
    open_safetensors,
    option,
    owner_of,
    run_releases,
    save_npy,
    set_array_interface,
    take,
    zeros,
    zeros_like,
)
from . import cuda
from ._peers import to_jax, to_torch
from ._report import report, snapshot
from ._install import Installed, install, numpy_allocator
from ._takes import takes
from ._types import (
    ALIASED,
    COW,
    DISCARD,
    NONE,
    UNIQUE,
    CopySite,
    Flags,
    Holder,
    HolderKind,
    PoolClass,
    PoolClient,
    PoolFlags,
    PoolStats,
    Store,
    Why,
    WriteMode,
    bfloat16,
)

# What users see is `tenure.OwnershipError`, wherever its class is written.
for _class in (*vars(_errors).values(), *vars(_types).values(), *vars(_install).values()):
    if isinstance(_class, type) and _class.__module__.startswith("tenure."):
        _class.__module__ = "tenure"

# Releases that reach the interpreter while it ends are left alone on every thread but the one that ends it.
_atexit.register(_tenure._ending)


def _text_of_version(number: int) -> str:
    return f"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}"


version: str = _text_of_version(_tenure._versions()[0])
"""The version of the library that runs."""
__version__: str = version


# A library that some C code loaded before is the one that this process uses: it must not be older than what we know.
if _tenure._versions()[0] < _tenure._versions()[1]:
    raise ImportError(
        f"this process has libtenure {version} loaded from {_tenure._library()}; "
        f"tenure for Python needs {_text_of_version(_tenure._versions()[1])} or newer"
    )


def get_include() -> str:
    """The folder of ``tenure.h``, for ``gcc -I``."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "include")


def get_library() -> str:
    """The file ``libtenure.so.0`` that this process uses, for linking C code: its handles are those that work here."""
    loaded = _tenure._library()
    own = _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "libtenure.so.0")
    return own if loaded is None else _os.path.realpath(loaded)


def full_like(prototype, value, dtype=None, order=None, *, name=None, pool=None, device=None) -> Array:
    """An array with the shape and type of another, every element ``value``."""
    made = empty_like(prototype, dtype, order, name=name, pool=pool, device=device)
    made.fill(value)
    return made


def why_not(x: Array, target=None) -> Why:
    """Why the bytes of an array may not be overwritten in place: a :class:`Why`, 0 if they may.

    ``print(tenure.why_not(x).explain())`` says it in words: each reason, what to do about it, and who holds the bytes.
    ``target``: an array, or (shape, dtype), that one would like to put there.

    >>> y = x.clone()
    >>> y.name = "y"
    >>> print(tenure.why_not(x).explain())
    not in place, because of
      SHARED: other arrays or promises claim the same bytes; del or release them, or give them all
        HANDLE 'y' at ...
    >>> del y
    >>> print(tenure.why_not(x).explain())
    in place
    """
    if isinstance(x, Expr):
        raise TypeError("of an expression, explain() says what is overwritten and why not; why_not takes an array")
    if not isinstance(x, (Array, Promise)):  # A promise says itself what to do.
        raise TypeError(f"why_not takes a tenure.Array, not {type(x).__name__}; tenure.asarray makes one of others")
    return x.why_not(target)


def array_equal(a, b) -> bool:
    """Same shape and equal elements, as ``numpy.array_equal``."""
    return bool(_numpy.array_equal(_readable(a), _readable(b)))


def allclose(a, b, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Elements equal within tolerances, as ``numpy.allclose``."""
    return bool(_numpy.allclose(_readable(a), _readable(b), rtol=rtol, atol=atol, equal_nan=equal_nan))


def _readable(x):
    """One of ours for NumPy to read; anything else as it is."""
    if isinstance(x, Array):
        x = x.copy_to_host() if x.device.startswith("cuda:") else x
        return _numpy.asarray(x.readonly)
    return x


__all__ = [
    "ALIASED",
    "ArgumentError",
    "Array",
    "Borrow",
    "COW",
    "CopySite",
    "DISCARD",
    "DeviceView",
    "DtypeError",
    "Error",
    "ExportConflictError",
    "ExportError",
    "Expr",
    "FailedError",
    "FileError",
    "Flags",
    "Holder",
    "HolderKind",
    "Installed",
    "NONE",
    "OutOfMemoryError",
    "OwnershipError",
    "PendingError",
    "Pool",
    "PoolClass",
    "PoolClient",
    "PoolFlags",
    "PoolStats",
    "Promise",
    "Proxy",
    "RangeError",
    "ReadOnlyError",
    "Runner",
    "Status",
    "Store",
    "UNIQUE",
    "UnsupportedError",
    "Weak",
    "Why",
    "WriteMode",
    "access",
    "allclose",
    "array",
    "array_equal",
    "asarray",
    "bfloat16",
    "check",
    "clone_handle",
    "copies",
    "cuda",
    "current_pool",
    "default_pool",
    "diagonal",
    "empty",
    "empty_like",
    "from_arrow",
    "from_buffer",
    "from_dlpack",
    "from_handle",
    "full",
    "full_like",
    "get_include",
    "get_library",
    "give",
    "holders_of",
    "install",
    "lazy",
    "leaks",
    "lower",
    "no_copies",
    "numpy_allocator",
    "ones",
    "ones_like",
    "open_npy",
    "open_safetensors",
    "option",
    "owner_of",
    "report",
    "run_releases",
    "save_npy",
    "set_array_interface",
    "snapshot",
    "take",
    "takes",
    "to_jax",
    "to_torch",
    "version",
    "why_not",
    "zeros",
    "zeros_like",
]
