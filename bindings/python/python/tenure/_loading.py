"""Loads the extension module, and with it the library.

The extension needs a ``libtenure.so.0``, by this name. If the process has loaded one before, from any file, the loader takes
that one, so that Python and C share one set of handles. It must not be older than the header that the extension was built
with: then the import fails, because the loader cannot take a second library of that name. A library of another ABI has another
name, and does not get in the way: ``tenure.report()`` then names both.
"""

import os as _os


def text_of_version(number: int) -> str:
    return f"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}"


def _loaded() -> str | None:
    """The first ``libtenure.so.0`` of the process that is not the package's own."""
    own = _os.path.join(_os.path.dirname(_os.path.realpath(__file__)), "libtenure.so.0")
    # Paths are bytes of any kind.
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        paths = [line.rstrip("\n").split(maxsplit=5)[-1] for line in maps]
    others = (path for path in paths if "libtenure.so" in _os.path.basename(path) and path != own)
    return next(others, None)


def _refusal(path: str, version: str, needed: str, why: str) -> str:
    return (
        f"this process has loaded libtenure {version} from {path} before, {why}; "
        f"tenure for Python needs {needed} or newer: load such a library, or import tenure first"
    )


# What NumPy, CPython and PyO3 say of a module that another interpreter of the process has loaded.
_LOADED_ONCE = ("more than once per process", "subinterpreter", "sub-interpreter")

try:
    import numpy  # noqa: F401
    from . import _tenure
except ImportError as error:
    if any(text in str(error) for text in _LOADED_ONCE):
        raise ImportError(
            f"another interpreter of this process has imported numpy or tenure, which only one can: {error}; import tenure in that "
            "interpreter only (mod_wsgi: WSGIApplicationGroup %{GLOBAL}), or start a process"
        ) from error
    if "undefined symbol: tn_" not in str(error) or (_path := _loaded()) is None:
        raise
    import ctypes as _ctypes
    import importlib.metadata as _metadata

    _found = text_of_version(_ctypes.CDLL(_path).tn_version())
    _why = f"which has no {str(error).split('undefined symbol: ')[1]}"
    raise ImportError(_refusal(_path, _found, _metadata.version("tenure"), _why)) from None

if _tenure._versions()[0] < _tenure._versions()[1]:
    raise ImportError(
        _refusal(
            _tenure._library() or "a file that the loader does not name",
            text_of_version(_tenure._versions()[0]),
            text_of_version(_tenure._versions()[1]),
            "which is older than this package",
        )
    )
