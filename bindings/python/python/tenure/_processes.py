"""Arrays in other processes: ``shared_pool``, ``shared_empty``, ``Offer``, and pickles.

Contract: what ``multiprocessing`` sends to a process of this machine is shared where the array is in shareable memory, of the host or of a
GPU. Another array of the host is copied once, into memory that the receiver maps. One of a GPU crosses as bytes, because a copy in shareable
memory would end with the sender. loky, which joblib starts its processes with, does the same. Every other pickle has the bytes, which
protocol 5 can pass out of band.
"""

import os
import pickle
import sys
import threading
import weakref

import numpy

from . import _tenure
from ._errors import Error as _Error
from ._errors import Status as _Status
from ._tenure import Array, Pool, asarray
from ._types import PoolFlags, bfloat16

# Smaller arrays cross as bytes: a file descriptor costs more.
_LEAST_BYTES = 1 << 16

_lock = threading.Lock()
_pools = {}


def shared_pool(device="cpu"):
    """The pool of the host, or of a GPU, whose arrays other processes can share: each has memory of its own, so it is for large ones.

    It stays until the process ends, as the default pools do, so `leaks` leaves it out.
    On the host an array has a file descriptor, too. On a GPU it takes pieces of 2 MiB, and ends with the process that made it.

    >>> x = tenure.zeros((1000, 1000), pool=tenure.shared_pool())
    >>> # multiprocessing.Process(target=work, args=(x,)): work sees x itself, and both may write
    """
    with _lock:
        pool = _pools.get(device)
        if pool is None:
            made = Pool(device, name="shared", flags=PoolFlags.SHAREABLE if device == "cpu" else PoolFlags.IPC)
            pool = _pools.setdefault(made.device, made)  # "cuda" is one of them
            _tenure._stays(pool.handle)
            _pools[device] = pool
        return pool


def shared_empty(shape, dtype=None, order="C", *, name=None, device="cpu"):
    """An array in ``shared_pool(device)``, with undefined contents."""
    return _tenure.empty(shape, dtype, order, name=name, pool=shared_pool(device))


class Offer:
    """An array that a process of this machine may take, and that nobody uses here until the offer has ended.

    It is sent by ``multiprocessing``, and arrives as the array: with the same bytes, and writable. One process takes it, and only once.
    ``x`` is in ``shared_pool()``, was not shared before, and has no other handle.

    >>> x = tenure.zeros(1000, pool=tenure.shared_pool())
    >>> with tenure.Offer(x) as offer:
    ...     pass  # connection.send(offer), and an answer of the receiver
    >>> offer.taken  # True: x can only be released; False: x is as before
    False
    """

    taken = None
    """Whether another process took the array; None while the offer is open."""

    def __init__(self, x):
        self._array = x
        self._descriptor, self._fd, self._hold = _tenure._offer_ipc(x)

    def end(self):
        """Ends the offer, and returns whether the array was taken. A second call returns the same."""
        if self.taken is None:
            _tenure._end_offer(self._hold)
            os.close(self._fd)
            try:
                self._array.shape
                self.taken = False
            except _Error as error:
                if error.status != _Status.DESTRUCTED:
                    raise
                self.taken = True
        return self.taken

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def __del__(self):
        if hasattr(self, "_hold"):
            self.end()

    def __reduce_ex__(self, protocol):
        raise TypeError("an offer goes to a process of this machine, by multiprocessing; pickle the array, which copies the bytes")


def _is_host(x):
    return not x.device.startswith("cuda:")


def _name_of(dtype):
    """The name of an element type in messages."""
    return "bfloat16" if dtype is bfloat16 else dtype.str


def _dtype_of(name):
    """The element type of `_name_of`."""
    return bfloat16 if name == "bfloat16" else numpy.dtype(name)


def _of_bytes(buffer, dtype, shape, order, name, device):
    """The array of a pickle. It shares the memory of the buffer."""
    if 0 in shape:
        made = _tenure.empty(shape, dtype, order)
    else:
        bits = numpy.frombuffer(buffer, "uint16" if dtype == "bfloat16" else dtype)
        made = asarray(bits.reshape(shape, order=order))
        made = made.view(bfloat16) if dtype == "bfloat16" else made
    if device.startswith("cuda"):
        made = made.to_device(device)
    if name:
        made.name = name
    return made


def _contiguous(n):
    """The elements of a NumPy array without gaps, in order C or F, and that order. Where that takes a copy, the copy book has it."""
    if not n.flags.c_contiguous and not n.flags.f_contiguous:
        n = numpy.asarray(_tenure._copied(n))
    return n, "C" if n.flags.c_contiguous else "F"


def _parts(x, frozen=False):
    """What `_of_bytes` rebuilds an array from: its elements as a NumPy array, and the other arguments. frozen: nobody writes the elements
    as long as the NumPy array exists."""
    here = x if _is_host(x) else x.copy_to_host()
    bits = here.view("uint16") if x.dtype is bfloat16 else here
    n, order = _contiguous(numpy.asarray(bits.readonly if frozen else bits))
    return n, (_name_of(x.dtype), tuple(x.shape), order, x.name, x.device)


def _reduce_ex(x, protocol):
    """A pickle with the bytes. With protocol 5 they are a ``pickle.PickleBuffer``, which a pickler may send out of band."""
    n, others = _parts(x)
    buffer = pickle.PickleBuffer(n) if protocol >= 5 else bytearray(n.tobytes(others[2]))
    return _of_bytes, (buffer, *others)


def _of_process(descriptor, sent, to):
    """The array that another process sent, to "read" it, to "write" it, or to "take" it."""
    fd = sent.detach()
    try:
        return _tenure._import_ipc(descriptor, fd, to)
    finally:
        os.close(fd)


def _sent(fd):
    """A file descriptor for a pickle. ``fd`` is closed when it has gone."""
    import multiprocessing.context
    import multiprocessing.reduction

    spawning = multiprocessing.context.get_spawning_popen()
    try:
        sent = multiprocessing.reduction.DupFd(fd)
    except BaseException:
        os.close(fd)
        raise
    if spawning is None:
        os.close(fd)  # it has another one
    else:
        weakref.finalize(spawning, os.close, fd)  # the new process gets this one
    return sent


def _export(x):
    """The descriptor of an array, its file descriptor, and whether the receiver may write; None for what crosses as bytes."""
    writable, is_host = not x.flags.readonly, _is_host(x)
    try:
        return *_tenure._export_ipc(x, writable, False), writable
    except _Error as error:
        if error.status != _Status.WOULD_COPY and (is_host or error.status != _Status.UNSUPPORTED):
            raise
    if x.nbytes < _LEAST_BYTES or not is_host:
        return None
    # The copy is the receiver's alone.
    return *_tenure._export_ipc(x, True, True), True


def _reduce_for_process(x, protocol=4):
    """A pickle for a process of this machine: a descriptor, and a file descriptor that ``multiprocessing`` passes on."""
    exported = _export(x)
    if exported is None:
        return _reduce_ex(x, protocol)  # multiprocessing's own may be 4
    descriptor, fd, writable = exported
    return _of_process, (descriptor, _sent(fd), "write" if writable else "read")


def _reduce_offer(offer):
    """A pickle of an offer, which arrives as the array."""
    return _of_process, (offer._descriptor, _sent(os.dup(offer._fd)), "take")


def _reduce_for_loky(x):
    return _reduce_for_process(x, pickle.HIGHEST_PROTOCOL)


def register(engine):
    """Makes ``multiprocessing``, or loky, which joblib starts its processes with, send arrays. engine: its module of reducers."""
    reducers = sys.modules[engine]
    reducers.register(Array, _reduce_for_process if engine == "multiprocessing.reduction" else _reduce_for_loky)
    reducers.register(Offer, _reduce_offer)


Array.__reduce_ex__ = _reduce_ex
