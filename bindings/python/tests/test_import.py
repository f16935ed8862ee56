"""Other objects' memory as arrays: buffers (CA-27, CA-28), asarray, joining (PY-17)."""

import array
import gc
import mmap
import sys
import threading
import weakref

import numpy as np
import pytest

import tenure
from tenure import Status, Why


# CA-27
def test_from_buffer_aliases():
    b = bytearray(range(8))
    x = tenure.from_buffer(b)
    assert x.dtype == np.uint8 and x.tolist() == list(range(8)) and x.flags.foreign and not x.flags.readonly
    x[0] = 200
    assert b[0] == 200
    with pytest.raises(BufferError):
        b.append(1)
    y = x[2:]
    x.release()
    with pytest.raises(BufferError):  # the view still needs it
        b.append(1)
    y.release()
    b.append(1)
    assert tenure.from_buffer(array.array("d", [1.5, 2.5])).tolist() == [1.5, 2.5]
    assert tenure.from_buffer(memoryview(b"abcdef")[::-2]).tolist() == [102, 100, 98]
    with mmap.mmap(-1, 4096) as m:
        x = tenure.from_buffer(m)
        x[7] = 9
        assert m[7] == 9
        x.release()


# CA-27, AR-18
def test_writable_and_copy(refused):
    x = tenure.from_buffer(b"abc")
    assert x.flags.readonly and x[0] == 97
    refused(Status.READONLY, x.fill, 0)
    with pytest.raises(BufferError):
        tenure.from_buffer(b"abc", writable=True)
    b = bytearray(3)
    assert tenure.from_buffer(b, writable=False).flags.readonly
    assert not tenure.from_buffer(b, writable=True).flags.readonly
    y = tenure.from_buffer(b, copy=True)
    y[0] = 1
    assert b[0] == 0 and not y.flags.foreign
    b.append(1)
    z = tenure.from_buffer(b"abc", copy=True)
    z[0] = 1
    assert not z.flags.readonly
    with pytest.raises(TypeError):
        tenure.from_buffer(object())


# CA-28
@pytest.mark.parametrize("code", "bBhHiIlLqQfd?")
def test_formats(code):
    m = memoryview(bytearray(16)).cast(code)
    x = tenure.from_buffer(m)
    assert x.dtype == np.asarray(m).dtype and x.size == len(m)


# CA-28
@pytest.mark.parametrize("dtype", [">i4", "U2", "M8[s]", np.longdouble, [("a", "i4")], "S3", "V2"])
def test_other_formats_are_refused(dtype):
    with pytest.raises((TypeError, ValueError, BufferError)):
        tenure.from_buffer(np.zeros(3, dtype))


# AR-17, XC-1
def test_objects_that_cannot_be_aliased(refused):
    raw = bytearray(33)
    n = np.frombuffer(raw, "float64", 4, 1)
    x = tenure.from_buffer(n)
    assert not x.flags.foreign
    refused(Status.WOULD_COPY, tenure.from_buffer, n, copy=False)
    x.fill(1)
    assert not any(raw)


class Derived(np.ndarray):
    """Its objects are exchanged by buffers and structs of DLPack, unlike those of NumPy's own class (CA-36)."""


def awkward_arrays():
    """Arrays of NumPy's own class, each with a name."""
    whole = np.arange(24.0).reshape(2, 3, 4)
    frozen = np.arange(3)
    frozen.flags.writeable = False
    yield "whole", whole
    yield "one axis", np.arange(5, dtype="int16")
    yield "no axes", np.array(7.5)
    yield "empty", np.zeros((3, 0, 2), "float32")
    yield "one element", np.zeros((1, 1))[:, ::-1]
    yield "Fortran order", np.asfortranarray(whole)
    yield "swapped axes", whole.swapaxes(0, 2)
    yield "backwards", whole[::-1, :, ::-2]
    yield "broadcast", np.broadcast_to(np.arange(3), (2, 3))
    yield "broadcast, with a warning on writes", np.broadcast_arrays(np.arange(3), np.zeros((2, 1)))[0]
    yield "64 axes", np.zeros((1,) * 63 + (2,))
    yield "read-only", frozen
    yield "misaligned", np.frombuffer(bytearray(33), "float64", 4, 1)
    yield "a field", np.zeros(4, [("a", "float64"), ("b", "int8")])["a"]
    yield "a field of whole steps", np.zeros(4, [("a", "float64"), ("b", "float64")])["a"]
    yield "matrix of strides 0", np.lib.stride_tricks.as_strided(np.zeros(1), (2, 2), (0, 0))
    yield "with metadata", np.zeros(3, np.dtype("float32", metadata={"unit": "m"}))
    for code in "?bBhHiIlLqQefdgFDGOSUVmM":
        yield code, np.zeros(3, code)
    for code in (">i4", ">f8", "<u2", [("a", "i4")]):
        yield str(code), np.zeros(3, code)


# CA-36
@pytest.mark.filterwarnings("ignore:Numpy has detected that you")
@pytest.mark.parametrize("name, n", list(awkward_arrays()))
def test_arrays_of_numpys_class_and_of_others_give_the_same(name, n):
    calls = [(tenure.asarray, {}), (tenure.from_buffer, {}), (tenure.from_dlpack, {})]
    calls = [(call, {**options, "copy": copy}) for call, options in calls for copy in (None, False, True)]
    calls += [(tenure.from_buffer, {"writable": writable}) for writable in (False, True)]
    for call, options in calls:
        outcomes = []
        for object in (n, n.view(Derived)):
            try:
                x = call(object, **options)
            except Exception as error:
                outcomes.append(type(error))
                continue
            outcomes.append((x.dtype, x.shape, x.strides, x.flags.readonly, x.flags.foreign, x.tolist()))
            x.release()
        assert outcomes[0] == outcomes[1], (call.__name__, options)


# CA-36: also where the call fails
def test_imports_of_numpys_arrays_keep_no_reference_too_many(refused):
    n, misaligned = np.zeros(3), np.frombuffer(bytearray(33), "float64", 4, 1)
    before = [sys.getrefcount(n), sys.getrefcount(misaligned)]
    for call in (tenure.asarray, tenure.from_buffer, tenure.from_dlpack):
        x = call(n)
        assert sys.getrefcount(n) == before[0] + 1
        x.release()
        call(n, copy=True)
        call(misaligned)
    refused(Status.WOULD_COPY, tenure.from_buffer, misaligned, copy=False)
    assert [sys.getrefcount(n), sys.getrefcount(misaligned)] == before


# CA-27: on any thread
@pytest.mark.parametrize("kind", [np.ndarray, Derived])
def test_the_owner_lives_as_long_as_the_array(kind):
    n = np.arange(5.0).view(kind)
    dead = weakref.ref(n)
    x = tenure.asarray(n)
    view = x[1:3]
    del n
    gc.collect()
    assert dead() is not None and x[4] == 4
    x.release()
    gc.collect()
    assert dead() is not None and view.tolist() == [1, 2]
    box = [view]
    del view
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    gc.collect()
    assert dead() is None


def test_asarray():
    n = np.arange(6).reshape(2, 3)
    x = tenure.asarray(n)
    x[0, 0] = 7
    assert n[0, 0] == 7
    assert tenure.asarray(x) is x and tenure.asarray(x, "int64") is x
    y = tenure.asarray(n, "float32")
    assert y.dtype == np.float32 and not y.flags.foreign
    z = tenure.asarray(n, copy=True)
    z[0, 0] = 1
    assert n[0, 0] == 7
    for object in ([1, 2], 5, np.arange(3, dtype=">i8"), n.astype("float32")):
        assert np.array_equal(np.asarray(tenure.asarray(object)), np.asarray(object))
    for object in ([1, 2], np.arange(3, dtype=">i8")):
        with pytest.raises(ValueError):
            tenure.asarray(object, copy=False)
    with pytest.raises(ValueError):
        tenure.asarray(n, "float32", copy=False)
    read_only = np.arange(3)
    read_only.flags.writeable = False
    assert tenure.asarray(read_only).flags.readonly

    class Interface:
        __array_interface__ = n.__array_interface__

    w = tenure.asarray(Interface())
    w[1, 2] = -1
    assert n[1, 2] == -1
    with pytest.raises(TypeError):
        tenure.asarray(object())


# PY-17, XI-16, XI-18
def test_own_bytes_join_their_store(refused):
    x = tenure.zeros(6)
    n = np.asarray(x)
    y = tenure.asarray(n[2:4])
    y.fill(3)
    assert x.tolist() == [0, 0, 3, 3, 0, 0]
    assert y.why_not() & Why.SHARED and x.why_not() & Why.SHARED and y.why_not() & Why.FOREIGN
    assert tenure.owner_of(y).address == tenure.owner_of(x).address
    refused(Status.EXPORTED, x.fill, 0, "unique")
    del n
    assert x.why_not() & Why.EXPORTED  # the lease keeps it
    y.release()
    assert x.why_not() == 0
    a, b = np.zeros(4), None
    b = tenure.asarray(a)
    c = tenure.asarray(a)
    assert b.why_not() & Why.SHARED and c.overlap(b) == "exact"


# XI-13
def test_foreign_bytes_are_not_overwritten_in_place(refused):
    n = np.zeros(3)
    x = tenure.asarray(n)
    refused(Status.FOREIGN, x.write("unique").__enter__)
    with x.write("cow") as view:
        view[:] = 1
    assert n.tolist() == [0, 0, 0] and x.tolist() == [1, 1, 1] and not x.flags.foreign


def misaligned():
    return np.frombuffer(bytearray(9 + 8 * 4), np.uint8)[1:33].view(np.float64)


def a_field():
    return np.zeros(4, [("flag", "i1"), ("value", "f8")])["value"]


# XC-1: without a copy means without a copy, also where the library could make one by itself
@pytest.mark.parametrize("make", [misaligned, a_field])
def test_no_silent_copy_of_what_cannot_be_shared(make):
    source = make()
    with pytest.raises(ValueError, match="copy=False forbids a copy: .*alignment of float64"):
        tenure.asarray(source, copy=False)
    x = tenure.asarray(source)
    x.fill(7)
    assert source.tolist() == [0] * 4 and x.tolist() == [7] * 4
    aligned = np.zeros(4)
    tenure.asarray(aligned, copy=False).fill(7)
    assert aligned.tolist() == [7] * 4
