"""Windows of remote memory access on arrays.

Contract: the memory of a window is borrowed for writing while other ranks may access it. That is: in a window for active target alone (info
no_locks = true), from a Fence that opens an epoch to a Fence with MODE_NOSUCCEED, and from Post to Wait; in any other window always, except while
this rank holds the exclusive lock of its own memory. The arrays of Put, Get and their relatives are borrowed until the call that completes them
here. A window that the program drops stays, with its borrows, because other ranks still have its address; and so do the bytes of an array that is
released, or moves to a copy, while its window exists.
"""

from __future__ import annotations

import operator

import numpy
from mpi4py import MPI

from .._errors import Status
from .._types import bfloat16
from . import _mpi_message as _message
from ._mpi_message import Array, refused
from ._mpi_request import Request, end, stopped

# Windows that are not freed.
_open: set[Win] = set()

# The buffers of each call, by position, and whether MPI writes them; and the position of the target's rank.
_CALLS = {
    "Put": ({"origin": False}, 1),
    "Get": ({"origin": True}, 1),
    "Accumulate": ({"origin": False}, 1),
    "Get_accumulate": ({"origin": False, "result": True}, 2),
    "Fetch_and_op": ({"origin": False, "result": True}, 2),
    "Compare_and_swap": ({"origin": False, "compare": False, "result": True}, 3),
}
_REQUESTS = {f"R{name.lower()}": _CALLS[name] for name in ("Put", "Get", "Accumulate", "Get_accumulate")}


class Win:
    """A window of mpi4py on an array. ``win.win`` is the window itself."""

    def __init__(self, win, memory, is_active_only):
        self.win = win
        self._memory = memory
        self._address = None
        self._bytes = None  # an export, which keeps the bytes
        self._is_active_only = is_active_only
        self._exposed = []
        self._pending = {}  # the borrows of calls that are not complete, by rank
        self._own_lock = False

    @classmethod
    def Create(cls, memory, disp_unit=1, info=MPI.INFO_NULL, comm=MPI.COMM_SELF):
        """A window on a contiguous array, or on nothing (None), as one call of all ranks."""
        is_active_only = info != MPI.INFO_NULL and info.get("no_locks") == "true"
        comm = getattr(comm, "comm", comm)
        if memory is None:
            win = cls(MPI.Win.Create(MPI.BOTTOM, disp_unit, info, comm), None, is_active_only)
            _open.add(win)
            return win
        if not isinstance(memory, Array):
            raise TypeError(f"a window takes a tenure.Array, not {type(memory).__name__}; MPI.Win.Create takes others")
        if not (memory.is_c_contiguous() or memory.is_f_contiguous()):
            text = f"a window is a range of bytes, and {_message.named(memory)} has shape {memory.shape} and strides {memory.strides}"
            raise refused(Status.LAYOUT, f"{text}; create it on the whole array")
        is_host = not memory.device.startswith("cuda:")
        kept = numpy.asarray(memory.view("uint16") if memory.dtype is bfloat16 else memory) if is_host else None
        # The bytes of a GPU are kept by the borrow, which does not end.
        win = cls(None, memory, is_active_only and is_host)
        borrow = _message.borrowed(memory, True)
        win._address, win._bytes = borrow.address, kept
        win._exposed.append(borrow)
        _open.add(win)  # and there it stays after an interrupt, because MPI may have its address
        try:
            space = MPI.buffer.fromaddress(borrow.address, borrow.nbytes)
            win.win = MPI.Win.Create(space, disp_unit, info, comm)
        except Exception:
            _open.discard(win)
            win._hide()
            raise
        if win._is_active_only:
            win._hide()
        return win

    def __getattr__(self, name):
        if name == "win":
            raise AttributeError(name)  # an object that is not made yet
        return getattr(self.win, name)

    def _expose(self):
        """Borrows the memory, unless it is borrowed."""
        if self._memory is None or self._exposed:
            return
        borrow = _message.borrowed(self._memory, True)
        if borrow.address != self._address:
            borrow.end()
            text = f"{_message.named(self._memory)} has moved since the window was made; free the window and make another one"
            raise refused(Status.STALE, text)
        self._exposed.append(borrow)

    def _hide(self):
        end(self._exposed)

    def _completed(self, rank=None):
        """Ends the borrows of the calls to a rank, or of all."""
        for target in [rank] if rank is not None else list(self._pending):
            end(self._pending.pop(target, []))

    def Fence(self, assertion=0):
        """Ends all accesses. It opens the next epoch, unless `assertion` has MODE_NOSUCCEED, after which the memory is free again."""
        was_exposed = bool(self._exposed)
        opens = not assertion & MPI.MODE_NOSUCCEED
        if opens:
            self._expose()
        try:
            self.win.Fence(assertion)
        except BaseException:
            if not was_exposed:
                self._hide()
            raise
        self._completed()
        if not opens and self._is_active_only:
            self._hide()

    def Post(self, group, assertion=0):
        """Opens the memory for the ranks of a group."""
        was_exposed = bool(self._exposed)
        self._expose()
        try:
            self.win.Post(group, assertion)
        except BaseException:
            if not was_exposed:
                self._hide()
            raise

    def Wait(self):
        """Waits for the ranks that Post named. The memory is free again."""
        self.win.Wait()
        if self._is_active_only:
            self._hide()
        return True

    def Test(self):
        """Whether the ranks that Post named are done. If so, the memory is free again."""
        done = self.win.Test()
        if done and self._is_active_only:
            self._hide()
        return done

    def Complete(self):
        """Ends the accesses that Start began."""
        self.win.Complete()
        self._completed()

    def Lock(self, rank, lock_type=MPI.LOCK_EXCLUSIVE, assertion=0):
        """As in mpi4py. The exclusive lock of this rank's own memory frees the memory for the program until Unlock."""
        self.win.Lock(rank, lock_type, assertion)
        if lock_type == MPI.LOCK_EXCLUSIVE and rank == self.win.Get_group().Get_rank():
            self._own_lock = True
            self._hide()

    def Unlock(self, rank):
        """As in mpi4py. Where it ends the lock of this rank's own memory, it borrows the memory first, and may be refused."""
        is_own = self._own_lock and rank == self.win.Get_group().Get_rank()
        if is_own:
            self._expose()
        self.win.Unlock(rank)
        if is_own:
            self._own_lock = False
        self._completed(rank)

    def Unlock_all(self):
        """Ends all accesses."""
        self.win.Unlock_all()
        self._completed()

    def Flush(self, rank):
        """Completes the accesses to a rank."""
        self.win.Flush(rank)
        self._completed(rank)

    def Flush_all(self):
        """Completes all accesses."""
        self.win.Flush_all()
        self._completed()

    def Flush_local(self, rank):
        """Completes the accesses to a rank here: their arrays are free again."""
        self.win.Flush_local(rank)
        self._completed(rank)

    def Flush_local_all(self):
        """Completes all accesses here: their arrays are free again."""
        self.win.Flush_local_all()
        self._completed()

    def Free(self):
        """Frees the window, as one call of all ranks. The memory is free again."""
        self.win.Free()
        self._completed()
        self._hide()
        self._bytes = None
        _open.discard(self)

    def _call(self, name, buffers, rank_at, args, kwargs):
        """The call of mpi4py, its borrows, and the target's rank."""
        args, borrows, first = list(args), [], None
        try:
            for position, (keyword, writes) in enumerate(buffers.items()):
                is_positional = position < len(args)
                x = args[position] if is_positional else kwargs.get(keyword)
                if not isinstance(x, Array):
                    continue
                borrows.append(_message.borrowed(x, writes))
                if first is not None:
                    _message.same_types(first, x)
                first = x if first is None else first
                spec = _message.whole(x, borrows[-1])
                if is_positional:
                    args[position] = spec
                else:
                    kwargs[keyword] = spec
            rank = args[rank_at] if rank_at < len(args) else kwargs.get("target_rank")
            if first is not None and name not in ("Fetch_and_op", "Compare_and_swap"):
                at = rank_at + 1
                if at < len(args):
                    args[at] = _target(args[at], first)
                else:
                    kwargs["target"] = _target(kwargs.get("target"), first)
            return getattr(self.win, name)(*args, **kwargs), borrows, rank
        except BaseException as error:
            stopped(error, borrows, not isinstance(error, Exception))
            raise


def _target(target, x):
    """The memory at the target: elements in a row, whatever the strides are here. target: None, a displacement, or a list that begins so."""
    if target is None:
        target = ()
    elif hasattr(target, "__index__"):
        target = (operator.index(target),)
    start, count, *datatype = (*target, *(0, x.size)[len(target) :])
    return [start, count, *(datatype or [_message.element(x)])]


def _kept(name, buffers, rank_at):
    def method(self, *args, **kwargs):
        made, borrows, rank = self._call(name, buffers, rank_at, args, kwargs)
        self._pending.setdefault(rank, []).extend(borrows)
        return made

    return method


def _requested(name, buffers, rank_at):
    def method(self, *args, **kwargs):
        made, borrows, _ = self._call(name, buffers, rank_at, args, kwargs)
        return Request(made, borrows)

    return method


for _table, _maker in ((_CALLS, _kept), (_REQUESTS, _requested)):
    for _name, (_buffers, _rank_at) in _table.items():
        _made = _maker(_name, _buffers, _rank_at)
        _made.__name__, _made.__qualname__, _made.__doc__ = _name, f"Win.{_name}", getattr(MPI.Win, _name).__doc__
        setattr(Win, _name, _made)
