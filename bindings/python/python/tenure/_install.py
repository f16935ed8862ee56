"""Other libraries allocate from our pools: ``with numpy_allocator(pool):`` for a part of a program, ``install()`` for
all of it.

Contract: which allocator is current is the other library's own state and is put back as it was found, also after an
exception. What was allocated meanwhile is given back to its pool whenever it goes, on any thread.
"""

import contextvars as _contextvars
import threading as _threading

import numpy as _numpy

from . import _tenure

# The capsule of each handler, by its pool: numpy's arrays refer to capsules, and two of one pool would be two handlers to
# them. Handlers live as long as the process, and so do these.
_capsules: dict = {}
_lock = _threading.Lock()

# What the blocks of this thread and task found current: (block, capsule). It goes with numpy's own variable.
_found: _contextvars.ContextVar = _contextvars.ContextVar("tenure.numpy_allocator", default=())


def _capsule(pool):
    """The one capsule of the pool's handler."""
    if not isinstance(pool, _tenure.Pool | None):
        raise TypeError(f"a tenure.Pool or None is needed, not {type(pool).__name__}")
    serial = (_tenure.default_pool() if pool is None else pool).stats().serial
    with _lock:
        made = _capsules.get(serial)
        if made is None:
            made = _capsules[serial] = _tenure._numpy_handler(pool)
        return made


class numpy_allocator:
    """Until the end of the block NumPy's new arrays get their bytes from the pool; without one, from the process-wide one.

    >>> import numpy, tenure
    >>> with tenure.numpy_allocator(tenure.Pool(name="step", max_size=1 << 30)) as pool:
    ...     x = numpy.zeros((1000, 1000))
    >>> tenure.owner_of(x).pool_name
    'step'

    It holds for the running thread and task, as NumPy's own setting does: other threads keep theirs, tasks that are
    started in the block inherit it. Arrays made in the block give their bytes back to the pool whenever they go; arrays
    made outside never come to it. A pool that runs out of memory is numpy's MemoryError.
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
            raise RuntimeError("this thread is in no `with` block of this numpy_allocator")
        _found.set(found[:at] + found[at + 1 :])
        _tenure._numpy_set(found[at][1])


class Installed:
    """What ``tenure.install()`` turned on: ``for`` which libraries, and the way back. Also a context manager."""

    def __init__(self, pool, what):
        self.pool = pool
        self.what = what

    def uninstall(self) -> None:
        """Puts back what was there before, for what is allocated from now on. Twice is fine."""
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


def install(pool=None) -> Installed:
    """Every library that is importable and lets itself be told allocates from the pool from now on; without one, from the
    process-wide pool. The answer says which libraries, and its ``uninstall()`` is the way back.

    >>> import numpy, tenure
    >>> here = tenure.install()
    >>> "numpy" in here.what
    True
    >>> x = numpy.zeros(1000)
    >>> tenure.owner_of(x).pool_name
    'default'
    >>> here.uninstall()

    NumPy: the running thread, the tasks that it starts, and the threads that ``threading`` starts from now on. Threads
    that run already, and those that C code starts, keep NumPy's own allocator. Installing twice gives the same answer.
    """
    global _installed, _before
    own = _tenure.default_pool() if pool is None else pool
    serial = own.stats().serial
    capsule = _capsule(pool)
    with _lock:
        if _installed is not None:
            if _installed.pool.stats().serial != serial:
                raise ValueError(f"{_installed!r} stands; call its uninstall() before another pool is installed")
            return _installed
        _before = _tenure._numpy_set(capsule)
        _threading.Thread.start = _start_with_handler
        _installed = Installed(own, {"numpy": _numpy.__version__})
        return _installed


def _uninstall(installed) -> None:
    global _installed, _before
    capsule = _capsule(installed.pool)
    with _lock:
        if _installed is not installed:
            return
        # Somebody may have set another handler, or be in a block of ours: that is put back by its own end.
        if _tenure._numpy_get() is capsule:
            _tenure._numpy_set(_before)
        if _threading.Thread.start is _start_with_handler:
            _threading.Thread.start = _start
        _installed = _before = None


def _start_with_handler(thread):
    """``Thread.start`` while we are installed: a new thread begins in an empty context, so with NumPy's own handler."""
    run = thread.run

    def run_with_handler():
        # The class's own method is found again.
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
