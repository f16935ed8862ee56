"""Makes other libraries allocate from pools: ``with numpy_allocator(pool):`` for a part of a program, ``install()`` for
all of it.

Contract: the current allocator is the other library's own state, and is restored, also after an exception. Memory that
was allocated meanwhile is freed to its pool at any time, on any thread.
"""

import contextvars as _contextvars
import importlib as _importlib
import sys as _sys
import threading as _threading

import numpy as _numpy

from . import _tenure

# The capsule of each handler, by its pool. NumPy's arrays refer to capsules, so a pool has only one. Handlers live as long
# as the process, and so do these.
_capsules: dict = {}
_lock = _threading.Lock()

# The previous handlers of this thread and task: (block, capsule). A context variable, as NumPy's own is.
_found: _contextvars.ContextVar = _contextvars.ContextVar("tenure.numpy_allocator", default=())


def _capsule(pool):
    """The only capsule of the pool's handler."""
    if not isinstance(pool, _tenure.Pool | None):
        raise TypeError(f"a tenure.Pool or None is needed, not {type(pool).__name__}")
    serial = (_tenure.default_pool() if pool is None else pool).stats().serial
    with _lock:
        made = _capsules.get(serial)
        if made is None:
            made = _capsules[serial] = _tenure._numpy_handler(pool)
        return made


class numpy_allocator:
    """Until the end of the block, NumPy's new arrays come from the pool; without one, from the process-wide pool.

    >>> import numpy, tenure
    >>> with tenure.numpy_allocator(tenure.Pool(name="step", max_size=1 << 30)) as pool:
    ...     x = numpy.zeros((1000, 1000))
    >>> tenure.owner_of(x).pool_name
    'step'

    It applies to the running thread and task, as NumPy's own setting does. Other threads keep theirs; tasks started in the
    block inherit it. Arrays made in the block are freed to the pool, whenever that is; arrays made outside never are. Where
    the pool runs out of memory NumPy raises MemoryError.
    """

    def __init__(self, pool=None):
        self.pool = pool

    def __enter__(self):
        before = _tenure._numpy_set(_capsule(self.pool))
        _found.set((*_found.get(), (self, before)))
        return _tenure.default_pool() if self.pool is None else self.pool

    def __exit__(self, *_exception):
        found = _found.get()
        at = next((at for at in reversed(range(len(found))) if found[at][0] is self), None)
        if at is None:
            raise RuntimeError("this thread has no open `with` block of this numpy_allocator")
        _found.set(found[:at] + found[at + 1 :])
        _tenure._numpy_set(found[at][1])


class Installed:
    """The result of ``tenure.install()``: ``what`` lists the libraries with their versions, ``refused`` those that keep their own
    allocator, with the reason. ``uninstall()`` ends it. Also a context manager."""

    def __init__(self, pool, what, refused):
        self.pool = pool
        self.what = what
        self.refused = refused

    def uninstall(self) -> None:
        """Restores the previous allocator for new memory. Calling it twice is allowed."""
        _uninstall(self)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.uninstall()

    def __repr__(self):
        state = "on" if _installed is self else "off"
        names = ", ".join(f"{name} {version}" for name, version in self.what.items())
        return f"<tenure.install(): {state} for {names or 'nothing'}, pool {self.pool.name!r}>"


_installed = None
_before = None
_start = _threading.Thread.start


# The libraries of GPUs: the module that a program has imported, and the one of this package that installs its allocator.
_GPU_LIBRARIES = {"torch": "torch", "cupy": "cupy", "numba.cuda": "numba", "rmm": "rmm"}


def _install_gpu_libraries(what, refused) -> None:
    for imported, own in _GPU_LIBRARIES.items():
        if imported not in _sys.modules:
            continue
        library = imported.split(".")[0]
        try:
            if not _tenure._device_count("cuda"):
                raise RuntimeError("there is no CUDA driver, or no GPU")
            _importlib.import_module(f"{__package__}.{own}").install()
        except (RuntimeError, ImportError, AttributeError) as error:
            refused[library] = str(error)
        else:
            what[library] = getattr(_sys.modules[library], "__version__", "")


def _uninstall_gpu_libraries(installed) -> None:
    for library in installed.what:
        module = _sys.modules.get(f"{__package__}.{library}")
        # PyTorch has no way back.
        if module is not None and hasattr(module, "uninstall"):
            module.uninstall()


def install(pool=None) -> Installed:
    """Makes the libraries that the program has imported allocate from pools: NumPy from this one, without it from the process-wide
    pool; PyTorch, CuPy, Numba and RMM from the default pools of their devices. The result lists the libraries, and its
    ``uninstall()`` ends it. Call it after the imports, and before PyTorch and Numba use a GPU.

    >>> import numpy, tenure
    >>> here = tenure.install()
    >>> "numpy" in here.what
    True
    >>> x = numpy.zeros(1000)
    >>> tenure.owner_of(x).pool_name
    'default'
    >>> here.uninstall()

    For NumPy it applies to the running thread, to tasks that it starts, and to threads that ``threading`` starts from now on.
    Threads that run already, and those that C code starts, keep NumPy's own allocator. Installing twice returns one result.
    PyTorch keeps the pools to the end of the process.
    """
    global _installed, _before
    own = _tenure.default_pool() if pool is None else pool
    serial = own.stats().serial
    capsule = _capsule(pool)
    with _lock:
        if _installed is not None:
            if _installed.pool.stats().serial != serial:
                raise ValueError(f"{_installed!r} is active; call its uninstall() before installing another pool")
            return _installed
        _before = _tenure._numpy_set(capsule)
        _threading.Thread.start = _start_with_handler
        _installed = Installed(own, {"numpy": _numpy.__version__}, {})
        _install_gpu_libraries(_installed.what, _installed.refused)
        return _installed


def _uninstall(installed) -> None:
    global _installed, _before
    capsule = _capsule(installed.pool)
    with _lock:
        if _installed is not installed:
            return
        # Other code may have set another handler, or a `numpy_allocator` block may be open: its end restores the handler.
        if _tenure._numpy_get() is capsule:
            _tenure._numpy_set(_before)
        if _threading.Thread.start is _start_with_handler:
            _threading.Thread.start = _start
        _uninstall_gpu_libraries(installed)
        _installed = _before = None


def _start_with_handler(thread):
    """``Thread.start`` while installed. A new thread begins in an empty context, and so with NumPy's own handler."""
    run = thread.run

    def run_with_handler():
        # Removes this wrapper, so that lookups find the class's method.
        thread.__dict__.pop("run", None)
        installed = _installed
        if installed is not None:
            _tenure._numpy_set(_capsule(installed.pool))
        run()

    if "run" not in thread.__dict__:
        thread.run = run_with_handler
    try:
        _start(thread)
    except BaseException:
        if thread.__dict__.get("run") is run_with_handler:
            del thread.run
        raise
