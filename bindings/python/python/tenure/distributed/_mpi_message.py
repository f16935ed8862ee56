"""Arrays as MPI messages: element types, datatypes of strided layouts, and the borrow that an address needs.

Contract: MPI gets the bytes where they are, and nothing is copied here. A message has the elements in the order of their indices, whatever the
strides are. Each address comes with an open borrow: for reading where MPI reads, for writing where it writes.
"""

from __future__ import annotations

import ctypes
import functools
import itertools

import numpy
from mpi4py import MPI

from .. import _tenure
from .._errors import Status, make
from .._types import bfloat16

Array = _tenure.Array

# The largest number of layouts whose datatypes are kept.
_MAX_DATATYPES = 256
# The largest count before MPI 4, whose counts are of C's type int. Open MPI 5.0 is such a library.
_MAX_COUNT = 2**31 - 1
# The elements of a part of a longer row.
_PART = 2**30


class _Derived(MPI.Datatype):
    """A datatype that is freed with its last reference. MPI itself keeps what a pending operation needs."""

    def __del__(self):
        if self != MPI.DATATYPE_NULL and not MPI.Is_finalized():
            self.Free()


@functools.cache
def _two_bytes(name):
    """Two bytes, for an element that this MPI has no type for: these can be moved, not reduced."""
    made = MPI.BYTE.Create_contiguous(2).Commit()
    made.Set_name(f"{name} as 2 bytes")
    return made


# Nothing here calls MPI, which may not be initialised when this module is imported.
_ELEMENTS = {
    numpy.dtype("bool"): MPI.C_BOOL,
    numpy.dtype("int8"): MPI.INT8_T,
    numpy.dtype("int16"): MPI.INT16_T,
    numpy.dtype("int32"): MPI.INT32_T,
    numpy.dtype("int64"): MPI.INT64_T,
    numpy.dtype("uint8"): MPI.UINT8_T,
    numpy.dtype("uint16"): MPI.UINT16_T,
    numpy.dtype("uint32"): MPI.UINT32_T,
    numpy.dtype("uint64"): MPI.UINT64_T,
    numpy.dtype("float16"): getattr(MPI, "FLOAT16_T", MPI.DATATYPE_NULL),
    numpy.dtype("float32"): MPI.FLOAT,
    numpy.dtype("float64"): MPI.DOUBLE,
    numpy.dtype("complex64"): MPI.C_FLOAT_COMPLEX,
    numpy.dtype("complex128"): MPI.C_DOUBLE_COMPLEX,
    bfloat16: getattr(MPI, "BFLOAT16_T", MPI.DATATYPE_NULL),
}


def refused(status, text):
    """The package's exception."""
    return make(status, text, False)


# The errors of a call that MPI refused before it moved anything.
_REFUSALS = frozenset(
    (
        MPI.ERR_BUFFER,
        MPI.ERR_COUNT,
        MPI.ERR_TYPE,
        MPI.ERR_TAG,
        MPI.ERR_COMM,
        MPI.ERR_RANK,
        MPI.ERR_ROOT,
        MPI.ERR_GROUP,
        MPI.ERR_OP,
        MPI.ERR_TOPOLOGY,
        MPI.ERR_ARG,
        MPI.ERR_REQUEST,
    )
)


def may_have_written(error) -> bool:
    """Whether a call that raised may have written a part of what it was to write."""
    return isinstance(error, MPI.Exception) and error.Get_error_class() not in _REFUSALS


def named(x):
    """The array in a message."""
    return f'"{x.name}"' if x.name else "the array"


def _element_of(dtype):
    return _ELEMENTS[dtype] or _two_bytes(str(dtype))  # no datatype counts as false


def element(x) -> MPI.Datatype:
    """The datatype of an element."""
    return _element_of(x.dtype)


def same_type(x, datatype) -> None:
    """Raises unless an MPI datatype that the caller named is the array's element type."""
    if isinstance(datatype, str):
        datatype = MPI.Datatype.fromcode(datatype)
    ours = element(x)
    if datatype == ours or (datatype.is_predefined and ours.is_predefined and datatype.typestr == ours.typestr):
        return
    text = f"{named(x)} has elements of type {x.dtype}, which MPI calls {ours.name}, and the call names {datatype.name}"
    raise refused(Status.DTYPE, f"{text}; leave the datatype out, or pass x.view or x.astype")


def same_types(x, y) -> None:
    """Raises unless two arrays of one call have the same element type."""
    if x.dtype != y.dtype:
        text = f"{named(x)} has elements of type {x.dtype} and {named(y)} of type {y.dtype}; both must be the same"
        raise refused(Status.DTYPE, text)


def _row(base, length, steps):
    """A datatype of elements in a row. `steps` gets all datatypes that are made."""
    if length <= _MAX_COUNT:
        made = base.Create_contiguous(length)
    else:
        parts, rest = divmod(length, _PART)
        extent = base.Get_extent()[1]
        row, end = base.Create_contiguous(_PART), base.Create_contiguous(rest)
        # The extent of a row is its length times that of an element only where that is positive and was not resized.
        part = row.Create_resized(0, _PART * extent)
        long = part.Create_contiguous(parts)
        both = MPI.Datatype.Create_struct([1, 1], [0, parts * _PART * extent], [long, end])
        made = both.Create_resized(0, length * extent)
        steps += [row, end, part, long, both]
    steps.append(made)
    return made


@functools.lru_cache(maxsize=_MAX_DATATYPES)
def _strided(dtype, shape, strides, extent):
    """The committed datatype of a layout, whose lower bound is element (0, .., 0). extent: the distance of its repetitions, in bytes."""
    base = _element_of(dtype)
    axes = []  # the innermost first; neighbours that a single stride covers are one
    for length, stride in zip(reversed(shape), reversed(strides)):
        if length == 1:
            continue
        if axes and stride == axes[-1][0] * axes[-1][1]:
            axes[-1] = (axes[-1][0] * length, axes[-1][1])
        else:
            axes.append((length, stride))
    # Resized elements in a row pack fast in both libraries. MPICH packs long vectors of short blocks ten times slower, and Open MPI 5.0
    # packs a vector with a stride of -1 byte as if the stride were 1.
    made, steps = base, []
    for length, stride in axes:
        if stride != made.Get_extent()[1]:
            made = made.Create_resized(0, stride)
            steps.append(made)
        made = _row(made, length, steps)
    if extent is not None:
        made = made.Create_resized(0, extent)
        steps.append(made)
    if made is base:
        made = base.Create_contiguous(1)
    made.Commit()
    for step in steps:
        if step is not made:
            step.Free()
    return _Derived(made)


def _memory(borrow):
    """The bytes for mpi4py. Their length counts for contiguous messages only; a derived datatype says itself where its bytes are."""
    return MPI.buffer.fromaddress(borrow.address, borrow.nbytes) if borrow.is_remote else borrow


@functools.cache
def _reaches_gpus():
    """Whether the MPI library moves bytes of GPUs, as it says itself."""
    kinds = MPI.COMM_SELF.Get_info().get("mpi_memory_alloc_kinds") or ""
    if any(kind.split(":")[0] == "cuda" for kind in kinds.split(",")):
        return True
    try:
        return ctypes.CDLL(MPI.__file__).MPIX_Query_cuda_support() == 1
    except (OSError, AttributeError):
        return False


def borrowed(x, writes):
    """An open borrow of an array that MPI can reach."""
    borrow = _tenure._borrow(x, writes)
    if borrow.is_remote and not _reaches_gpus():
        borrow.end()
        text = f"{named(x)} is on {x.device}, and this MPI library moves bytes of the host only; send x.copy_to_host()"
        raise refused(Status.DEVICE, text)
    return borrow


def _contiguous(x, borrow, count):
    """Messages of `count` elements in a row."""
    if count <= _MAX_COUNT:
        return [_memory(borrow), element(x)]
    return [_memory(borrow), 1, _strided(x.dtype, (count,), (x.itemsize,), None)]


def _countable(x, count):
    """Raises if the MPI library cannot count so many elements, where no datatype helps."""
    if count > _MAX_COUNT and MPI.VERSION < 4:
        text = f"{named(x)}: {count} elements in one call; this library of MPI {MPI.VERSION}.{MPI.SUBVERSION} counts to {_MAX_COUNT}"
        raise refused(Status.LIMIT, f"{text}; pass parts of the array")


def whole(x, borrow):
    """One message with all elements."""
    if borrow.is_c_contiguous:
        return _contiguous(x, borrow, x.size)
    return [_memory(borrow), 1, _strided(x.dtype, x.shape, x.strides, None)]


def flat(x, borrow):
    """Elements that MPI computes with, which must be contiguous."""
    ours = element(x)
    if not ours.is_predefined:
        text = f'this MPI library has no arithmetic for {x.dtype} ({named(x)}); reduce x.astype("float32")'
        raise refused(Status.DTYPE, text)
    if not borrow.is_c_contiguous:
        advice = "pass x.T" if x.is_f_contiguous() else "reduce x.copy()"
        text = f"MPI reduces contiguous elements only, and {named(x)} has shape {x.shape} and strides {x.strides}"
        raise refused(Status.LAYOUT, f"{text}; {advice}")
    _countable(x, x.size)
    return [_memory(borrow), ours]


def blocks(x, borrow, n):
    """A message for each of n ranks: equal parts of axis 0, or of all elements where these are contiguous."""
    if borrow.is_c_contiguous:
        if x.size % n:
            raise refused(Status.SHAPE, f"{named(x)} has {x.size} elements, which {n} ranks cannot share equally")
        return _contiguous(x, borrow, x.size // n)
    if not x.ndim or x.shape[0] % n:
        raise refused(Status.SHAPE, f"{named(x)} has shape {x.shape}, and {n} ranks cannot share axis 0 equally")
    rows = x.shape[0] // n
    part = _strided(x.dtype, (rows, *x.shape[1:]), x.strides, rows * x.strides[0])
    return [_memory(borrow), 1, part]


def varying(x, borrow, n, counts, displacements):
    """A message for each of n ranks, with counts and displacements in elements. A strided array is divided between its rows."""
    if counts is None:
        rows = x.shape[0] if x.ndim else 1
        row = x.size // max(rows, 1)
        counts = [(rows // n + (rank < rows % n)) * row for rank in range(n)]
    counts = [int(count) for count in counts]
    if displacements is None:
        displacements = [0, *itertools.accumulate(counts[:-1])]
    displacements = [int(start) for start in displacements]
    if len(counts) != n or len(displacements) != n:
        text = f"{len(counts)} counts and {len(displacements)} displacements for {named(x)}; there are {n} ranks"
        raise refused(Status.COUNT, text)
    for count, start in zip(counts, displacements):
        if count < 0 or start < 0 or start + count > x.size:
            text = f"{count} elements from element {start} on are not all in {named(x)}, which has {x.size}"
            raise refused(Status.RANGE, text)
    if borrow.is_c_contiguous:
        _countable(x, max(*counts, *displacements))
        return [_memory(borrow), counts, displacements, element(x)]
    row = x.size // x.shape[0]
    for number in (*counts, *displacements):
        if number % row:
            text = f"{number} elements are not whole rows of {named(x)}, which is strided and has {row} elements in a row"
            raise refused(Status.LAYOUT, text)
    part = _strided(x.dtype, x.shape[1:], x.strides[1:], x.strides[0])
    counts, displacements = ([number // row for number in numbers] for numbers in (counts, displacements))
    return [_memory(borrow), counts, displacements, part]
