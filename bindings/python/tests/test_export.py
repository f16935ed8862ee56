"""The buffer protocol: every open buffer is one export (CA-20 to CA-26, PY-13, PY-14, PA-2)."""

import ctypes
import gc
import hashlib

import numpy as np
import pytest

import tenure
from tenure import HolderKind, Status, Why


def exports(x):
    return [h.kind for h in x.why_not().holders if h.kind.name.startswith("EXPORT")]


# PA-2, PY-13, CA-21
def test_numpy_shares_the_bytes():
    x = tenure.zeros((2, 3), "float32")
    n = np.asarray(x)
    assert n.flags.writeable and n.dtype == np.float32 and n.shape == (2, 3) and n.strides == x.strides
    n[0, 1] = 7
    assert x[0, 1] == 7
    x[1, 2] = 8  # both may write beside a shared view
    assert n[1, 2] == 8
    assert x.why_not() == Why.EXPORTED and exports(x) == [HolderKind.EXPORT_SHARED]
    assert n.__array_interface__["data"][0] == np.asarray(x).__array_interface__["data"][0]
    del n
    assert x.why_not() == 0


# CA-20
def test_each_buffer_is_one_export():
    x = tenure.zeros(4)
    views = [memoryview(x) for _ in range(10)]
    assert exports(x) == [HolderKind.EXPORT_SHARED] * 10
    slices = [v[1:] for v in views]  # of one buffer, no buffers of their own
    assert len(exports(x)) == 10
    del views
    assert len(exports(x)) == 10
    del slices
    assert exports(x) == []


# CA-21, PY-14
def test_readonly_views(refused):
    x = tenure.zeros(3)
    n = np.asarray(x.readonly)
    assert not n.flags.writeable and exports(x) == [HolderKind.EXPORT_READ]
    refused(Status.EXPORTED, x.fill, 1)
    assert x[0] == 0 and memoryview(x).readonly is False
    with pytest.raises(TypeError):
        ctypes.c_char.from_buffer(x.readonly)
    del n
    x.fill(1)
    broadcast = x.broadcast_to(2, 3)
    assert not np.asarray(broadcast).flags.writeable and np.asarray(broadcast).strides == (0, 8)  # LA-14
    assert memoryview(broadcast).readonly
    with pytest.raises(ValueError):
        np.asarray(broadcast)[0, 0] = 1


# PY-14, XI-3, XI-5
def test_exclusive_views(refused):
    x = tenure.zeros(4)
    proxy = x.exclusive
    assert exports(x) == [] and "exclusive" in repr(proxy)
    n = np.asarray(x[:2].exclusive)
    n[:] = 3
    refused(Status.EXPORTED, lambda: x[0])
    refused(Status.EXPORTED, memoryview, x)
    x[2:].fill(1)
    del n
    assert x.tolist() == [3, 3, 1, 1]
    with x.read():
        kind, _ = refused(Status.BORROWED, memoryview, proxy)
        assert issubclass(kind, BufferError)
    n = np.asarray(x)
    refused(Status.EXPORTED, memoryview, proxy)
    del n


# CA-26, XI-6: release first
def test_buffers_outlive_the_array():
    pool = tenure.Pool()
    x = tenure.ones(1000, pool=pool)
    n, m = np.asarray(x), memoryview(x)
    x.release()
    del x
    gc.collect()
    assert n.sum() == 1000 and m[0] == 1 and pool.stats().held_bytes >= 8000
    del n
    assert pool.stats().live_blocks == 1
    m.release()
    assert pool.stats().live_blocks == 0 and pool.stats().held_bytes == 0


# CA-22, CA-23
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0,), (3, 0)])
def test_shapes(shape):
    x = tenure.zeros(shape, "int16")
    m = memoryview(x)
    assert (m.ndim, m.shape, m.nbytes, m.itemsize, m.format) == (len(shape), shape, x.nbytes, 2, "h")
    assert m.suboffsets == ()
    n = np.asarray(x)
    assert n.shape == shape and n.dtype == np.int16
    assert bytes(m) == b"\0" * x.nbytes


# CA-22: no consumer gets another layout than it requested, and nothing is copied
def test_requests_that_the_layout_does_not_meet(refused):
    x = tenure.array(np.arange(12, dtype="uint8").reshape(3, 4))
    assert bytes(memoryview(x[::-1])) == bytes(np.arange(12, dtype="uint8").reshape(3, 4)[::-1])
    assert memoryview(x).c_contiguous and memoryview(x.T).f_contiguous and not memoryview(x[:, ::2]).contiguous
    assert bytearray(x) == bytearray(range(12))

    class Buffer(ctypes.Structure):
        _fields_ = [
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.py_object),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("format", ctypes.c_char_p),
            ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
            ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
            ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
            ("internal", ctypes.c_void_p),
        ]

    get = ctypes.pythonapi.PyObject_GetBuffer
    get.argtypes = [ctypes.py_object, ctypes.POINTER(Buffer), ctypes.c_int]
    release = ctypes.pythonapi.PyBuffer_Release
    release.argtypes = [ctypes.POINTER(Buffer)]
    simple, writable, form, nd, strides, c, f, any_ = 0, 1, 4, 8, 0x18, 0x38, 0x58, 0x98

    def ask(x, flags):
        buffer = Buffer()
        get(x, ctypes.byref(buffer), flags)
        seen = (bool(buffer.shape), bool(buffer.strides), buffer.format, buffer.readonly, buffer.ndim)
        release(ctypes.byref(buffer))
        return seen

    # Without a shape the buffer is one axis of bytes, as memoryview's is; hashlib requires that.
    assert ask(x, simple) == ask(memoryview(x), simple) == (False, False, None, 0, 1)
    assert hashlib.sha1(x).digest() == hashlib.sha1(bytes(range(12))).digest()
    assert ask(x, nd | writable) == (True, False, None, 0, 2)
    assert ask(x, strides | form) == (True, True, b"B", 0, 2)
    assert ask(x.T, f) == (True, True, None, 0, 2)
    assert ask(x.T, any_)[1] and ask(x, c)[1]
    for array, flags in [(x.T, simple), (x.T, nd), (x.T, c), (x, f), (x[:, ::2], any_), (x[::2, ::2], c)]:
        kind, _ = refused(Status.LAYOUT, ask, array, flags)
        assert issubclass(kind, BufferError)
    kind, _ = refused(Status.READONLY, ask, x.readonly, writable | strides)
    assert issubclass(kind, BufferError)
    del array
    assert x.why_not() == 0


# XI-5: NumPy reports the reason, although it drops the buffer's exception
def test_refusals_reach_the_user_of_numpy(refused):
    x = tenure.zeros(3, name="K")
    with x.write():
        kind, text = refused(Status.BORROWED_WRITE, np.asarray, x)
        assert issubclass(kind, BufferError) and '"K"' in text
        refused(Status.BORROWED_WRITE, np.asarray, x.readonly)
        refused(Status.BORROWED_WRITE, np.add, x, 1)
    promise = tenure.give(x)
    refused(Status.GIVEN, np.array, x)
    promise.cancel()


def test_numpy_functions_take_arrays():
    x = tenure.array(np.arange(6.0).reshape(2, 3))
    assert np.sum(x) == 15 and np.add(x, 1).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (np.ones(3) + x).shape == (2, 3)
    np.multiply(x, 2, out=np.asarray(x))
    assert x[1, 2] == 10
    assert np.array(x, copy=True).base is None and np.asarray(x, dtype="int32").dtype == np.int32
    with pytest.raises(ValueError):
        np.array(x, dtype="int32", copy=False)


@pytest.fixture
def interface():
    """Arrays have `__array_interface__` during the test."""
    tenure.set_array_interface(True)
    yield
    tenure.set_array_interface(False)


# PY-15, CA-29: off, because reading it exports the array
def test_no_array_interface_unless_turned_on():
    x = tenure.zeros(3)
    assert not hasattr(x, "__array_interface__") and not hasattr(x, "__cuda_array_interface__")
    assert x.is_unique and np.asarray(x).base is not None
    with pytest.raises(AttributeError, match="set_array_interface"):
        x.__array_interface__
    x.end_exports()


class Consumer:
    """Knows no buffers."""

    def __init__(self, x):
        self.__array_interface__ = x.__array_interface__


# PY-15, CA-29: one shared view, from the first read to end_exports
def test_array_interface(interface, refused):
    x = tenure.array(np.arange(6, dtype="int32").reshape(2, 3))[:, ::2]
    seen = x.__array_interface__
    n = np.asarray(Consumer(x))
    assert n.tolist() == [[0, 2], [3, 5]] and n.dtype == np.int32 and n.flags.writeable and n.strides == x.strides
    assert seen == x.__array_interface__ and seen["version"] == 3 and seen["data"][1] is False
    assert exports(x) == [HolderKind.EXPORT_SHARED], "three looks, one view"
    n[0, 1] = 7
    x[1, 0] = 8
    assert x[0, 1] == 7 and n[1, 0] == 8, "beside a shared view both may write"
    with x.read():
        pass
    refused(Status.EXPORTED, x.fill, 1, "unique")
    refused(Status.EXPORTED, memoryview, x.exclusive)
    x.end_exports()
    x.end_exports()
    assert x.is_unique
    x.__array_interface__
    x.fill(1, "unique" if x.is_unique else "aliased")
    assert exports(x) == [HolderKind.EXPORT_SHARED]
    x.release()
    refused(Status.STALE, lambda: x.__array_interface__)


# PY-15: the object holds the view, whatever happens to its handle
def test_the_object_holds_the_export_of_a_read(interface):
    pool = tenure.Pool()

    def live():
        return pool.stats().live_blocks

    x = tenure.ones(4, pool=pool)
    x.__array_interface__
    y = tenure.take(tenure.give(x))
    assert y.why_not() == Why.EXPORTED, "past a take"
    del x
    assert y.is_unique
    y.__array_interface__
    y.release()
    assert live() == 0, "release ends it too"
    x = tenure.ones(4, pool=pool)
    n = np.asarray(Consumer(x))
    x.fill(2, "cow")
    assert n.tolist() == [1] * 4 and live() == 2, "the old bytes are still looked at"
    x.__array_interface__
    assert exports(x) == [HolderKind.EXPORT_SHARED] and live() == 2
    x.end_exports()
    assert live() == 1 and x.is_unique
    x.__array_interface__
    tenure.option("strict", 1)
    try:
        del x
        assert live() == 0, "strict mode has nothing to refuse"
    finally:
        tenure.option("strict", 0)


# PY-15: classes and refusals as those of buffers
def test_array_interface_of_arrays_that_cannot_be_shared(interface, refused):
    x = tenure.zeros(3)
    row = x.broadcast_to(2, 3)
    assert row.__array_interface__["data"][1] is True and exports(x) == [HolderKind.EXPORT_READ]
    row.end_exports()
    e = tenure.lazy(x)
    assert x.__array_interface__["data"][1] is True
    x.end_exports()
    del e
    with x.write():
        kind, _ = refused(Status.BORROWED_WRITE, lambda: x.__array_interface__)
        assert issubclass(kind, BufferError)
    assert exports(x) == []
    empty = tenure.zeros((0, 3))
    assert np.asarray(Consumer(empty)).shape == (0, 3) and empty.is_unique
    assert not hasattr(tenure.zeros(3, tenure.bfloat16), "__array_interface__")
