"""MPI on arrays, for users of mpi4py: the same names, no copies, and a borrow for as long as MPI uses the bytes.

>>> from mpi4py import MPI
>>> import tenure, tenure.distributed.mpi as mpi
>>> comm = mpi.wrap(MPI.COMM_WORLD)
>>> x = tenure.zeros((4, 6), name="x")
>>> right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
>>> with comm.Irecv(x[:, 0], source=left), comm.Isend(x[:, 4], dest=right):      # strided: columns, where they are
...     x[1, 2] = 1.0                                                          # no message uses this element
>>> comm.Allreduce(MPI.IN_PLACE, x)

Contract: an array of this package in a call is borrowed until MPI is done with it: for reading where MPI reads, for writing where it writes.
Other code that touches the same elements meanwhile gets a status. Arguments that are no arrays of this package go to mpi4py as they are, and a
method without arrays is mpi4py's own.
"""

from __future__ import annotations

from typing import NamedTuple

from mpi4py import MPI

from .._errors import Status
from . import _mpi_message as _message
from ._mpi_message import Array, refused
from ._mpi_request import Prequest, Request, end, stopped
from ._mpi_window import Win

__all__ = ["Comm", "Prequest", "Request", "Win", "wrap"]


class _Buffer(NamedTuple):
    """A parameter of a call that is a buffer."""

    keyword: str
    position: int
    # How MPI divides it: "whole", "flat", "blocks", "varying".
    form: str
    writes: bool
    # Whether MPI looks at it on the root only.
    at_root: bool = False


class _Call(NamedTuple):
    """A call of mpi4py."""

    buffers: tuple[_Buffer, ...]
    # The position of the root's rank.
    root: int | None = None
    is_receive: bool = False
    # Whether the arrays must have one element type.
    same: bool = True


def _pair(form, other=None, *, at_root=None, root=None, position=1, same=True):
    """A call with a buffer to send and one to receive."""
    sent = _Buffer("sendbuf", 0, form, False, at_root == "send")
    return _Call((sent, _Buffer("recvbuf", position, other or form, True, at_root == "receive")), root, False, same)


_SEND = _Call((_Buffer("buf", 0, "whole", False),))
_REDUCE = _pair("flat")
_CALLS = {
    **dict.fromkeys(("Send", "Bsend", "Ssend", "Rsend"), _SEND),
    "Recv": _Call((_Buffer("buf", 0, "whole", True),), is_receive=True),
    "Sendrecv": _pair("whole", position=3, same=False),
    "Sendrecv_replace": _Call((_Buffer("buf", 0, "whole", True),)),
    "Bcast": _Call((_Buffer("buf", 0, "whole", True),), root=1),
    "Gather": _pair("whole", "blocks", at_root="receive", root=2),
    "Gatherv": _pair("whole", "varying", at_root="receive", root=2),
    "Scatter": _pair("blocks", "whole", at_root="send", root=2),
    "Scatterv": _pair("varying", "whole", at_root="send", root=2),
    **dict.fromkeys(("Allgather", "Neighbor_allgather"), _pair("whole", "blocks")),
    **dict.fromkeys(("Allgatherv", "Neighbor_allgatherv"), _pair("whole", "varying")),
    **dict.fromkeys(("Alltoall", "Neighbor_alltoall"), _pair("blocks")),
    **dict.fromkeys(("Alltoallv", "Neighbor_alltoallv"), _pair("varying")),
    "Reduce": _pair("flat", at_root="receive", root=3),
    **dict.fromkeys(("Allreduce", "Reduce_scatter", "Reduce_scatter_block", "Scan", "Exscan"), _REDUCE),
}
# Calls whose datatypes or partitions no array implies.
_UNBORROWED = ("Alltoallw", "Neighbor_alltoallw", "Psend", "Precv")
# What makes communicators, whose results are wrapped too.
_MAKERS = frozenset(
    "Clone Dup Dup_with_info Create Create_group Create_cart Create_graph Create_dist_graph Create_dist_graph_adjacent Split Split_type Sub".split()
)


def _array(argument):
    """The array of a buffer, and what follows it in mpi4py's list; None for what is mpi4py's."""
    if isinstance(argument, Array):
        return argument, ()
    if isinstance(argument, (list, tuple)) and argument and isinstance(argument[0], Array):
        return argument[0], tuple(argument[1:])
    return None, ()


def _spec(comm, name, x, rest, buffer, borrow):
    """mpi4py's list for an array."""
    form = buffer.form
    if rest and isinstance(rest[-1], (MPI.Datatype, str)):
        _message.same_type(x, rest[-1])
        rest = rest[:-1]
    if form == "varying":
        if len(rest) == 1 and len(rest[0]) == 2 and hasattr(rest[0][0], "__len__"):
            rest = rest[0]  # [x, (counts, displacements)]
        if len(rest) <= 2:
            return _message.varying(x, borrow, _parts(comm, name, buffer), *(*rest, None, None)[:2])
    if rest:
        text = f"{_message.named(x)} is followed by {rest!r}; a message is the whole array: pass a part of it, such as x[:n]"
        raise refused(Status.INVALID, text)
    if form == "blocks":
        return _message.blocks(x, borrow, _parts(comm, name, buffer))
    return _message.flat(x, borrow) if form == "flat" else _message.whole(x, borrow)


def _parts(comm, name, buffer):
    """The number of ranks that share a buffer."""
    if name.startswith(("Neighbor", "Ineighbor")):
        return comm.indegree if buffer.writes else comm.outdegree
    return comm.size


class Comm:
    """An intracommunicator of mpi4py whose calls borrow the arrays of this package. ``comm.comm`` is the communicator itself."""

    def __init__(self, comm):
        self.comm = comm

    def __getattr__(self, name):
        if name == "comm":
            raise AttributeError(name)  # an object that is not made yet
        found = getattr(self.comm, name)
        if name in _MAKERS:
            return lambda *args, **kwargs: _wrapped(found(*args, **kwargs))
        if name in ("Idup", "Idup_with_info"):
            return lambda *args, **kwargs: tuple(map(_wrapped, found(*args, **kwargs)))
        return found

    def __eq__(self, other):
        return self.comm == (other.comm if isinstance(other, Comm) else other)

    def __hash__(self):
        return hash(self.comm.handle)

    def __repr__(self):
        return f"<tenure.distributed.mpi.Comm of {self.comm!r}>"

    def _prepared(self, name, call, args, kwargs):
        """The arguments for mpi4py, and the uses: array, whether MPI writes it, its borrow."""
        args, uses = list(args), []
        is_root = True
        if call.root is not None:
            is_root = (args[call.root] if call.root < len(args) else kwargs.get("root", 0)) == self.comm.rank
        try:
            for buffer in call.buffers:
                is_positional = buffer.position < len(args)
                argument = args[buffer.position] if is_positional else kwargs.get(buffer.keyword)
                x, rest = _array(argument)
                if x is None:
                    continue
                if buffer.at_root and not is_root:
                    spec = None
                else:
                    # The root of a broadcast reads.
                    writes = buffer.writes and not (name in _BROADCASTS and is_root)
                    uses.append((x, writes, _message.borrowed(x, writes)))
                    spec = _spec(self.comm, name, x, rest, buffer, uses[-1][2])
                if is_positional:
                    args[buffer.position] = spec
                else:
                    kwargs[buffer.keyword] = spec
            if call.same and len(uses) == 2:
                _message.same_types(uses[0][0], uses[1][0])
        except BaseException:
            end([borrow for _, _, borrow in uses])
            raise
        return args, kwargs, uses


_BROADCASTS = ("Bcast", "Ibcast", "Bcast_init")


def _is_started(finish, made, error):
    """Whether an operation of a call that raised may be under way: an interrupt can come when MPI has begun."""
    return finish is _started and (made is not None or not isinstance(error, Exception))


def _method(name, call, finish):
    """A method that borrows, calls mpi4py, and passes its result and the uses to `finish`."""

    def method(self, *args, **kwargs):
        args, kwargs, uses = self._prepared(name, call, args, kwargs)
        made = None
        try:
            made = getattr(self.comm, name)(*args, **kwargs)
            return finish(made, uses, call)
        except BaseException as error:
            stopped(error, [borrow for _, _, borrow in uses], _is_started(finish, made, error))
            raise

    return method


def _short(name, call, finish):
    """As `_method`, for a call with one buffer, where it comes first and is an array: messages may be small."""
    general, own, writes = _method(name, call, finish), getattr(MPI.Comm, name), call.buffers[0].writes

    def method(self, *args, **kwargs):
        if not args or type(args[0]) is not Array:
            return general(self, *args, **kwargs)
        borrow = _message.borrowed(args[0], writes)
        made = None
        try:
            made = own(self.comm, _message.whole(args[0], borrow), *args[1:], **kwargs)
            return finish(made, [(args[0], writes, borrow)], call)
        except BaseException as error:
            stopped(error, [borrow], _is_started(finish, made, error))
            raise

    return method


def _blocking(made, uses, _call):
    for _, _, borrow in uses:
        borrow.end()
    return made


def _started(made, uses, call):
    return Request(made, [borrow for _, _, borrow in uses], call.is_receive)


def _persistent(made, uses, call):
    end([borrow for _, _, borrow in uses])
    return Prequest(made, [(x, writes, borrow.address) for x, writes, borrow in uses], call.is_receive)


def _unborrowed(name):
    def method(self, *args, **kwargs):
        for argument in (*args, *kwargs.values()):
            if _array(argument)[0] is not None:
                text = f"{name} has no borrows for arrays; pass numpy.asarray(x), which stays unchecked while MPI uses it"
                raise refused(Status.UNSUPPORTED, text)
        return getattr(self.comm, name)(*args, **kwargs)

    return method


def _install():
    def add(name, method):
        method.__name__, method.__qualname__, method.__doc__ = name, f"Comm.{name}", getattr(MPI.Cartcomm, name).__doc__
        setattr(Comm, name, method)

    for name, call in _CALLS.items():
        started = f"I{name[0].lower()}{name[1:]}"
        make = _short if len(call.buffers) == 1 and call.root is None else _method
        for variant, finish in ((name, _blocking), (started, _started), (f"{name}_init", _persistent)):
            if hasattr(MPI.Cartcomm, variant):
                add(variant, make(variant, call, finish))
    for name in _UNBORROWED:
        for variant in (name, f"I{name[0].lower()}{name[1:]}", f"{name}_init"):
            if hasattr(MPI.Cartcomm, variant):
                add(variant, _unborrowed(variant))


_install()


def _wrapped(comm):
    return Comm(comm) if isinstance(comm, MPI.Intracomm) and comm != MPI.COMM_NULL else comm


def wrap(comm) -> Comm:
    """The communicator for arrays: ``comm = tenure.distributed.mpi.wrap(MPI.COMM_WORLD)``."""
    if isinstance(comm, Comm):
        return comm
    if not isinstance(comm, MPI.Intracomm):
        raise TypeError(f"wrap takes an intracommunicator of mpi4py, not {type(comm).__name__}; Merge makes one of an intercommunicator")
    return Comm(comm)
