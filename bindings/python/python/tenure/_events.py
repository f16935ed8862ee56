"""The event log: ``record_events`` and ``EventLog``.

Contract: the process has one log at a time. The newest ``EventLog`` has it, in the process that made the object. An older one is over, and
neither ends nor reads a log of another.
"""

from __future__ import annotations

import os

from . import _tenure
from ._errors import Status, make
from ._types import EventKinds, EventStats

_Path = str | bytes | os.PathLike

# The last log that began here. It keeps the object, because a log goes on without a variable for it.
_newest: EventLog | None = None


class EventLog:
    """The result of ``record_events``: a log of events that runs until ``stop()``. Also a context manager, whose end stops it.

    >>> with tenure.record_events() as log:
    ...     y = x.copy()
    >>> log.is_running, log.stats().dropped
    (False, 0)
    """

    def __init__(self, path: _Path | None = None, *, kinds: EventKinds | None = None, capacity: int | None = None) -> None:
        global _newest
        _tenure._events_start(path, kinds or 0, capacity or 0)
        self._path = None if path is None else os.fsdecode(path)
        self._process = os.getpid()
        self._final: EventStats | None = None
        _newest = self

    @property
    def path(self) -> str | None:
        """The file that the events go to; None: they are in memory."""
        return self._path

    @property
    def is_running(self) -> bool:
        """Whether events are recorded. A process that is forked off has no log."""
        return self._final is None and self._is_newest() and _tenure._events_query().kinds != 0

    def stats(self) -> EventStats:
        """How many events the log has. After ``stop()``: how many it had."""
        if self._final is not None:
            return self._final
        return _tenure._events_query() if self._is_newest() else EventStats(0, False, 0, 0, 0, 0)

    def stop(self) -> None:
        """Ends the log. Calling it twice is allowed."""
        if self._final is not None or not self._is_newest():
            return
        last = _tenure._events_query()
        _tenure._events_stop()
        # A log in memory is still there.
        self._final = (last if last.is_file else _tenure._events_query())._replace(kinds=EventKinds(0))

    def save(self, path: _Path) -> None:
        """Saves a log in memory as a file, which replaces an old one in one step. The log goes on. A log that has stopped can be
        saved until the next one begins."""
        if not self._is_newest():
            raise make(Status.INVALID, "this log of events is over, and another has begun; save it before that", False)
        _tenure._events_save(path)

    def _is_newest(self) -> bool:
        return _newest is self and self._process == os.getpid()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state, where = "running" if self.is_running else "stopped", self._path or "memory"
        return f"<tenure.EventLog in {where}: {state}, {self.stats().events} events>"


def record_events(path: _Path | None = None, *, kinds: EventKinds | None = None, capacity: int | None = None) -> EventLog:
    """Begins to record events: what happens to the memory of all pools and arrays of the process, with times, threads and the
    lines of the program. Returns the :class:`EventLog`, which ``stop()`` or the end of a ``with`` block ends.

    path: the file that the events go to, good however the process ends; an old file is replaced. None: memory, which keeps the
    newest events for ``save``. kinds: what is recorded, such as ``EventKinds.ALLOCATE | EventKinds.FREE``; None: everything.
    capacity: the most bytes that the log may have, at least 1 MiB; None: 16 MiB in memory, 1 GiB in a file. An event has 64
    bytes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with tenure.record_events(f"{folder}/run.events"):
    ...         y = tenure.zeros(1000)

    The process has one log at a time. While it runs, calls are slower.
    """
    return EventLog(path, kinds=kinds, capacity=capacity)
