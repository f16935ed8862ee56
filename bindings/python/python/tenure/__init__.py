"""Tenure: who holds each buffer, and for how long.

Arrays whose bytes Python, C, C++, Rust and every other language that can call C share without a copy, by checked handles:

>>> import numpy, tenure
>>> x = tenure.zeros((2, 3), name="x")
>>> n = numpy.asarray(x)              # the same bytes
>>> with x.write() as view:           # nothing else reads or writes it in this block
...     view += 1.0
>>> @tenure.takes                     # a function that may be given its arguments
... def total(a):
...     return float(numpy.asarray(a).sum())
>>> total(tenure.give(x))             # hand it over: x cannot be used any more
6.0

The package contains the ``libtenure.so.0`` that C programs link. ``get_include()`` and ``get_library()`` return the paths of
header and library. A C library that is linked with it and loaded after ``import tenure`` works on the same arrays
(``x.handle``). If C code has loaded a ``libtenure.so.0`` before, the package uses that one.
"""

import atexit as _atexit
import os as _os

from . import _loading  # first: it says why NumPy or the library cannot be loaded

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
from . import _errors, _install, _report, _tenure, _types, _ufunc
from ._tenure import (
    Array,
    Borrow,
    DeviceView,
    Expr,
    Function,
    Kernel,
    Mirror,
    MirrorBorrow,
    Pool,
    Promise,
    Proxy,
    Runner,
    SharedVariable,
    Weak,
    _borrow_api,  # noqa: F401 - for C code, by tenure_numpy.h
    access,
    array,
    asarray,
    block_layout,
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
    from_cuda_array_interface,
    from_dlpack,
    from_handle,
    full,
    give,
    holders_of,
    launch,
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
    set_dlpack_label,
    take,
    upper,
    zeros,
    zeros_like,
)
from . import compat, cuda, numpy
from ._create import arange, eye, linspace
from ._events import EventLog, record_events
from ._forms import identity, matrix
from ._function import Crossings, In, Out, Update, function
from ._mirror import Transfers
from ._peers import to_jax, to_torch
from ._processes import Offer, shared_empty, shared_pool
from ._report import Report, report, snapshot
from ._install import Installed, install, numpy_allocator
from ._takes import takes
from ._variable import Crossing, shared
from ._watch import Alias, watch
from ._types import (
    ALIASED,
    COW,
    DISCARD,
    NONE,
    UNIQUE,
    CopySite,
    Device,
    EventKinds,
    EventStats,
    Flags,
    Holder,
    HolderKind,
    PoolClass,
    PoolClient,
    PoolBackend,
    PoolFlags,
    PoolStats,
    Store,
    Why,
    WriteMode,
    bfloat16,
)
from . import _engines

# Users see `tenure.OwnershipError`, whichever module defines the class.
for _class in (*vars(_errors).values(), *vars(_types).values(), *vars(_install).values()):
    if isinstance(_class, type) and _class.__module__.startswith("tenure."):
        _class.__module__ = "tenure"

# While the interpreter ends, releases attach to it only on the thread that ends it.
_atexit.register(_tenure._ending)


version: str = _loading.text_of_version(_tenure._versions()[0])
"""The version of the library that runs."""
__version__: str = version


def get_include() -> str:
    """The folder of ``tenure.h``, for ``gcc -I``."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "include")


def get_library() -> str:
    """The file ``libtenure.so.0`` that this process uses. C code linked with it shares handles with this package."""
    loaded = _tenure._library()
    own = _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "libtenure.so.0")
    return own if loaded is None else _os.path.realpath(loaded)


def full_like(prototype, value, dtype=None, order=None, *, name=None, pool=None, device=None) -> Array:
    """A new array with the shape and type of another and every element ``value``."""
    made = empty_like(prototype, dtype, order, name=name, pool=pool, device=device)
    made.fill(value)
    return made


def why_not(x: Array, target=None) -> Why:
    """Why the bytes of an array cannot be overwritten in place: a :class:`Why`; 0 if they can.

    ``print(tenure.why_not(x).explain())`` prints each reason, what to do about it, and who holds the bytes.
    ``target``: an array, or (shape, dtype), to be stored there.

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
        raise TypeError("why_not takes a tenure.Array, not an Expr; call explain() of the expression")
    if not isinstance(x, (Array, Promise)):  # A promise raises with its own advice.
        raise TypeError(f"why_not takes a tenure.Array, not {type(x).__name__}; tenure.asarray makes one of others")
    return x.why_not(target)


def array_equal(a, b) -> bool:
    """Whether shapes and elements are equal, as ``numpy.array_equal``."""
    return bool(_numpy.array_equal(_readable(a), _readable(b)))


def allclose(a, b, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether elements are equal within tolerances, as ``numpy.allclose``."""
    return bool(_numpy.allclose(_readable(a), _readable(b), rtol=rtol, atol=atol, equal_nan=equal_nan))


def _readable(x):
    """A Tenure array as a NumPy array for reading; any other object unchanged."""
    if isinstance(x, Array):
        x = x.copy_to_host() if x.device.startswith("cuda:") else x
        x = x.astype("float32") if x.dtype is bfloat16 else x
        return _numpy.asarray(x.readonly)
    return x


__all__ = [
    "ALIASED",
    "ArgumentError",
    "Alias",
    "Array",
    "Borrow",
    "COW",
    "CopySite",
    "Crossing",
    "Crossings",
    "DISCARD",
    "DeviceView",
    "DtypeError",
    "Error",
    "Device",
    "EventKinds",
    "EventLog",
    "EventStats",
    "ExportConflictError",
    "ExportError",
    "Expr",
    "FailedError",
    "FileError",
    "Flags",
    "Function",
    "Holder",
    "HolderKind",
    "In",
    "Installed",
    "Kernel",
    "Mirror",
    "NONE",
    "Offer",
    "Out",
    "OutOfMemoryError",
    "OwnershipError",
    "PendingError",
    "Pool",
    "PoolBackend",
    "PoolClass",
    "PoolClient",
    "PoolFlags",
    "PoolStats",
    "Promise",
    "Proxy",
    "RangeError",
    "ReadOnlyError",
    "Report",
    "Runner",
    "SharedVariable",
    "Status",
    "Store",
    "Transfers",
    "UNIQUE",
    "UnsupportedError",
    "Update",
    "Weak",
    "Why",
    "WriteMode",
    "access",
    "allclose",
    "arange",
    "array",
    "array_equal",
    "asarray",
    "bfloat16",
    "block_layout",
    "check",
    "clone_handle",
    "compat",
    "copies",
    "cuda",
    "current_pool",
    "default_pool",
    "diagonal",
    "empty",
    "empty_like",
    "eye",
    "from_arrow",
    "from_buffer",
    "from_cuda_array_interface",
    "from_dlpack",
    "from_handle",
    "full",
    "full_like",
    "function",
    "get_include",
    "get_library",
    "give",
    "holders_of",
    "identity",
    "install",
    "launch",
    "lazy",
    "leaks",
    "linspace",
    "lower",
    "matrix",
    "no_copies",
    "numpy",
    "numpy_allocator",
    "ones",
    "ones_like",
    "open_npy",
    "open_safetensors",
    "option",
    "owner_of",
    "record_events",
    "report",
    "run_releases",
    "save_npy",
    "set_array_interface",
    "set_dlpack_label",
    "shared",
    "shared_empty",
    "shared_pool",
    "snapshot",
    "take",
    "takes",
    "to_jax",
    "to_torch",
    "upper",
    "watch",
    "version",
    "why_not",
    "zeros",
    "zeros_like",
]
