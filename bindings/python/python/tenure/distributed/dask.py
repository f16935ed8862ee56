"""Dask: arrays in the messages of its workers, in spilled data, in tokens, and as chunks of ``dask.array``.

Contract: a message refers to the array's own bytes, which nobody writes until it is sent. The receiver's array is on the memory that
``distributed`` received into. Strided arrays, and bytes that lie at an address that their type cannot have, are copied once, and the copy
book has it. Nothing here needs a call: the package registers when the program has imported both Dask and Tenure.

A worker that imports this module as a preload (``distributed.worker.preload``) also receives into memory of Tenure's pools.
"""

from __future__ import annotations

import pickle as _pickle
import sys as _sys
import weakref as _weakref

import numpy as _numpy

from .. import _processes, _tenure, _ufunc
from .._install import install as _install

__all__ = ["dask_setup", "register"]

_Array = _tenure.Array


# ---- messages

# distributed receives the first buffer of a message behind the message's header, at any address, and each later one at an aligned address
# of its own. One byte ahead makes the elements a later one.
_AHEAD = bytearray(1)


def _serialize(x):
    """The header and the frames of an array: the second one is its bytes, which nobody writes as long as the frame exists."""
    n, others = _processes._parts(x, frozen=True)
    header = {"of": others, "readonly": x.flags.readonly}
    return header, [memoryview(_AHEAD), _pickle.PickleBuffer(n).raw()]


def _deserialize(header, frames):
    """The array on the bytes of a frame. A writable array whose bytes are read-only here, such as unpacked ones, is copied."""
    _, frame = frames
    dtype, shape, order, name, device = header["of"]
    frame = memoryview(frame)
    if header["readonly"]:
        frame = frame.toreadonly()
    elif frame.readonly:
        frame = _tenure._copied(_numpy.frombuffer(frame, "uint8"))
    return _processes._of_bytes(frame, dtype, tuple(shape), order, name, device)


# ---- messages between GPUs


class _DeviceFrame:
    """The bytes of an array in device memory, which nobody writes as long as the frame exists. Its device work is done."""

    def __init__(self, flat):
        guard = flat.read()
        pointer = guard.__enter__().pointer
        _weakref.finalize(self, guard.__exit__)
        self.nbytes = flat.nbytes
        self.__cuda_array_interface__ = {
            "shape": (self.nbytes,),
            "typestr": "|u1",
            "data": (pointer, False),
            "strides": None,
            "version": 3,
            "stream": None,
        }


def _cuda_serialize(x):
    """The header and the frame of an array: its own device memory. Other arrays have the frames of `_serialize`."""
    if _processes._is_host(x):
        raise NotImplementedError("an array on the host")
    if not x.is_c_contiguous() and not x.is_f_contiguous():
        # Its export is lasting, so it is that of another handle.
        x = _tenure.from_cuda_array_interface(x.clone(), copy=True)
    order = "C" if x.is_c_contiguous() else "F"
    header = {"of": (_processes._name_of(x.dtype), tuple(x.shape), order, x.name)}
    return header, [_DeviceFrame(x.ravel(order).view("uint8"))]


def _cuda_deserialize(header, frames):
    """The array on the device memory of a frame. A frame of this process is the sender's memory, so it is copied."""
    (frame,) = frames
    dtype, shape, order, name = header["of"]
    flat = _tenure.from_cuda_array_interface(frame, copy=True if isinstance(frame, _DeviceFrame) else None)
    made = flat.view(_processes._dtype_of(dtype)).reshape(tuple(shape), order=order)
    if name:
        made.name = name
    return made


# ---- sizes and tokens


def _sizeof(x):
    """The bytes that storing the array takes: those of repeated elements once."""
    size = x.itemsize
    for length, stride in zip(x.shape, x.strides):
        size *= length if stride else min(length, 1)
    return size


def _token(x):
    """Equal for arrays with equal elements, shape, type, order and device, in all processes."""
    from dask.hashing import hash_buffer_hex

    n, (dtype, shape, order, _, device) = _processes._parts(x, frozen=True)
    return "tenure.Array", hash_buffer_hex(_pickle.PickleBuffer(n).raw()), dtype, shape, order, device


# ---- chunks of dask.array


def _concatenate(arrays, axis=0):
    """``numpy.concatenate`` into a new array in the current pool."""
    if axis is None:
        arrays, axis = [x.ravel() for x in arrays], 0
    shapes = [x.shape for x in arrays]
    axis %= len(shapes[0])
    shape = list(shapes[0])
    shape[axis] = sum(each[axis] for each in shapes)
    out = _tenure.empty(shape, _numpy.result_type(*map(_ufunc._dtype_of, arrays)))
    return _numpy.concatenate(arrays, axis=axis, out=out)


def _on_result(function):
    """A function of NumPy whose result becomes an array on NumPy's memory."""

    def call(*args, **kwargs):
        made = function(*args, **kwargs)
        return _tenure.asarray(made) if isinstance(made, _numpy.ndarray) else made

    return call


# ---- registration


def _register_sizeof():
    from dask.sizeof import sizeof

    sizeof.register(_Array, _sizeof)


def _register_tokens():
    from dask.tokenize import normalize_token

    normalize_token.register(_Array, _token)


def _register_chunks():
    from dask.array.dispatch import concatenate_lookup, einsum_lookup, tensordot_lookup

    # Among chunks of several types, Dask asks that of the highest priority. NumPy's own is 0, and Dask needs one.
    _Array.__array_priority__ = 1.0
    concatenate_lookup.register(_Array, _concatenate)
    tensordot_lookup.register(_Array, _on_result(_numpy.tensordot))
    einsum_lookup.register(_Array, _on_result(_numpy.einsum))


def _register_messages():
    from distributed.protocol.cuda import cuda_deserialize, cuda_serialize
    from distributed.protocol.serialize import dask_deserialize, dask_serialize

    dask_serialize.register(_Array, _serialize)
    dask_deserialize.register(_Array, _deserialize)
    cuda_serialize.register(_Array, _cuda_serialize)
    cuda_deserialize.register(_Array, _cuda_deserialize)


_PARTS = {
    "dask.sizeof": _register_sizeof,
    "dask.tokenize": _register_tokens,
    "dask.array.backends": _register_chunks,
    "distributed.protocol": _register_messages,
}


def register(part=None) -> None:
    """Registers arrays with the modules of Dask that the program has imported. ``import tenure`` does this by itself. part: one of them."""
    for name in [part] if part else [name for name in _PARTS if name in _sys.modules]:
        _PARTS[name]()


def dask_setup(worker) -> None:
    """What a worker calls after it has imported this module as a preload: makes NumPy allocate from Tenure's pools, so that messages are
    received there."""
    _install()
