"""DLPack in both directions (DL-40..43)."""

import ctypes
import gc
import threading

import numpy as np
import pytest

import tenure
from tenure import Status, Why

name_of = ctypes.pythonapi.PyCapsule_GetName
name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]


def test_numpy_shares_the_bytes():
    x = tenure.zeros((2, 3))
    n = np.from_dlpack(x)
    assert n.flags.writeable and n.shape == (2, 3)
    n[0, 0] = 4
    x[1, 1] = 5
    assert x[0, 0] == 4 and n[1, 1] == 5 and x.why_not() == Why.EXPORTED
    x.release()
    assert n[1, 1] == 5
    with pytest.raises(ValueError):
        np.from_dlpack(tenure.zeros(3), device="cuda")


def test_strides_cross():
    base = np.arange(24.0).reshape(4, 6)
    x = tenure.array(base)
    for key in (np.s_[::2], np.s_[:, ::-1], np.s_[1:3, 2:], np.s_[::-2, ::-3], np.s_[:0], np.s_[1], np.s_[..., None]):
        assert np.array_equal(np.from_dlpack(x[key]), base[key])
    assert np.from_dlpack(x.T).strides == (8, 48)
    for name in "bool int8 uint16 int32 uint64 float16 float32 complex64 complex128".split():
        y = tenure.ones((2, 1), name)
        assert np.from_dlpack(y).dtype == y.dtype and np.from_dlpack(y)[1, 0] == 1


# DL-8, DL-10, PY-14
def test_readonly_arrays_leave_readonly(refused):
    x = tenure.ones(3)
    n = np.from_dlpack(x.readonly)
    assert not n.flags.writeable
    refused(Status.EXPORTED, x.fill, 2)
    del n
    b = x.broadcast_to(2, 3)
    n = np.from_dlpack(b)
    assert not n.flags.writeable and n.strides == (0, 8)
    del n
    # DL-11: the legacy struct has no read-only flag
    kind, text = refused(Status.READONLY, b.__dlpack__)
    assert issubclass(kind, BufferError) and "max_version" in text
    kind, text = refused(Status.READONLY, x.readonly.__dlpack__)
    assert issubclass(kind, BufferError) and "max_version" in text
    assert x.why_not() == Why.SHARED  # b
    del b
    n = np.from_dlpack(x, copy=True)
    assert tenure.from_dlpack(x.readonly.__dlpack__(copy=True)).tolist() == n.tolist() and x.why_not() == 0
    n = np.from_dlpack(x.exclusive)
    refused(Status.EXPORTED, lambda: x[0])
    del n


# DL-40, DL-16
def test_the_protocol(refused):
    x = tenure.zeros(3)
    assert x.__dlpack_device__() == (1, 0)
    for version, name in [
        (None, b"dltensor"),
        ((0, 8), b"dltensor"),
        ((1, 0), b"dltensor_versioned"),
        ((7, 3), b"dltensor_versioned"),
    ]:
        assert name_of(x.__dlpack__(max_version=version)) == name
    assert x.why_not() == 0  # capsules that die unused call the deleter
    assert name_of(x.__dlpack__(stream=None, dl_device=(1, 0), copy=False)) == b"dltensor"
    x.__dlpack__(stream=-1)
    for stream in (0, 1, 2, 17):
        with pytest.raises(BufferError):
            x.__dlpack__(stream=stream)
    with pytest.raises(TypeError):
        x.__dlpack__(colour=1)
    with pytest.raises(TypeError):
        x.__dlpack__(None)
    for device in ((2, 0), (10, 0)):
        with pytest.raises(BufferError):
            x.__dlpack__(dl_device=device, copy=False)
    with x.write():
        kind, _ = refused(Status.BORROWED_WRITE, x.__dlpack__)
        assert issubclass(kind, BufferError)
    with pytest.raises(BufferError):
        tenure.from_dlpack(x, device=(99, 0))


# XC-1
def test_copies_on_demand():
    x = tenure.ones(3)
    n = np.from_dlpack(x, copy=True)
    n[0] = 5
    assert x[0] == 1 and x.why_not() == 0
    m = np.zeros(3)
    assert np.shares_memory(np.asarray(tenure.from_dlpack(m, copy=False)), m)
    y = tenure.from_dlpack(m, copy=True)
    y[0] = 1
    assert m[0] == 0 and not y.flags.foreign


class Derived(np.ndarray):
    """Its objects are exchanged by buffers and structs of DLPack, unlike those of NumPy's own class (CA-36)."""


# DL-20, DL-24, DL-41
@pytest.mark.parametrize("kind", [np.ndarray, Derived])
def test_import_aliases(kind):
    n = np.arange(6.0).reshape(2, 3).view(kind)
    x = tenure.from_dlpack(n)
    assert x.flags.foreign and x.shape == (2, 3) and not x.flags.readonly
    x[0, 1] = 9
    assert n[0, 1] == 9
    n.flags.writeable = False
    assert tenure.from_dlpack(n).flags.readonly
    y = tenure.from_dlpack(np.arange(10).view(kind)[::-2])
    assert y.tolist() == [9, 7, 5, 3, 1] and y.strides == (-16,)
    del n
    gc.collect()
    assert x[0, 1] == 9


# DL-41: an object that knows only the oldest protocol
def test_old_producers():
    class Old:
        def __init__(self, array):
            self.array = array
            self.calls = []

        def __dlpack_device__(self):
            self.calls.append("device")
            return (1, 0)

        def __dlpack__(self, stream=None):
            self.calls.append("dlpack")
            return self.array.__dlpack__()

    old = Old(np.arange(3.0))
    x = tenure.from_dlpack(old)
    assert x.tolist() == [0, 1, 2] and old.calls == ["device", "dlpack"] and x.flags.readonly
    with pytest.raises(AttributeError):
        tenure.from_dlpack(object())


# DL-41: capsules
def test_capsules(refused):
    n = np.arange(3.0)
    capsule = n.__dlpack__(max_version=(1, 0))
    x = tenure.from_dlpack(capsule)
    assert name_of(capsule) == b"used_dltensor_versioned" and x.tolist() == [0, 1, 2]
    with pytest.raises(ValueError):
        tenure.from_dlpack(capsule)
    # a failing import leaves the capsule as it was
    capsule = np.arange(3, dtype="int64").__dlpack__()
    make = ctypes.pythonapi.PyCapsule_GetPointer
    make.restype, make.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    ndim = ctypes.c_int32.from_address(make(capsule, b"dltensor") + 16)
    ndim.value = -1
    kind, _ = refused(Status.SHAPE, tenure.from_dlpack, capsule)
    assert name_of(capsule) == b"dltensor"
    ndim.value = 1
    assert tenure.from_dlpack(capsule).tolist() == [0, 1, 2]
    with pytest.raises(ValueError):
        tenure.from_dlpack(__import__("datetime").datetime_CAPI)


# XI-22, PY-17: an own capsule is imported as a clone
def test_an_own_capsule_becomes_a_clone():
    x = tenure.zeros(3)
    y = tenure.from_dlpack(x.__dlpack__(max_version=(1, 0)))
    assert x.why_not() == y.why_not() == Why.SHARED and not y.flags.foreign
    z = tenure.from_dlpack(x)
    z[0] = 3
    assert y[0] == 3
    assert tenure.from_dlpack(x.readonly).flags.readonly


# DL-61: through another library and back
def test_round_trips_join_the_store():
    x = tenure.zeros(4)
    n = np.from_dlpack(x)
    y = tenure.from_dlpack(n)
    y[1] = 5
    assert x[1] == 5 and n[1] == 5
    assert x.why_not() & Why.SHARED and y.why_not() & Why.SHARED
    assert tenure.owner_of(x).address == tenure.owner_of(y).address


# DL-43
def test_the_deleter_needs_no_interpreter():
    x = tenure.zeros(3)
    capsule = x.__dlpack__()
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = get(capsule, b"dltensor")
    ctypes.pythonapi.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
    used = ctypes.c_char_p(b"used_dltensor")
    ctypes.pythonapi.PyCapsule_SetName(capsule, used)
    # A CDLL call releases the interpreter, so the deleter runs without it.
    deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ctypes.c_void_p.from_address(tensor + 56).value)
    thread = threading.Thread(target=deleter, args=(tensor,))
    thread.start()
    thread.join()
    assert x.why_not() == 0
    del capsule


def test_the_fast_path_equals_the_slow_path():
    """DL-40: the fast path recognises arguments by the identity of their tuples, and gives the results of the slow path."""
    x = tenure.zeros(4)

    def ask(version, device, copy):
        return name_of(x.__dlpack__(max_version=version, dl_device=device, copy=copy))

    one, none = (1, 0), (0, 8)
    for _ in range(3):
        assert ask(one, None, None) == b"dltensor_versioned"
        assert ask(none, None, None) == ask(None, None, None) == b"dltensor"
        assert ask((1, 1), (1, 0), False) == b"dltensor_versioned"
        n = np.from_dlpack(x)
        assert x.why_not() == Why.EXPORTED
        del n
        assert x.why_not() == 0
        n = np.from_dlpack(x, copy=True)
        n[:] = 1
        assert x[0] == 0
        with pytest.raises(BufferError):
            ask(one, (2, 0), None)
        with pytest.raises(TypeError, match="max_version"):
            ask(1, None, None)
    for _ in range(3):
        capsule = x.__dlpack__(copy=None, max_version=one)
        assert name_of(capsule) == b"dltensor_versioned" and x.why_not() == Why.EXPORTED
        del capsule
        assert x.why_not() == 0
    for wrong in ({"version": one}, {"copy": "yes"}, {"max_version": (1, 0, 0)}, {"max_version": ("1", 0)}):
        with pytest.raises((TypeError, ValueError)):
            x.__dlpack__(**wrong)
    with pytest.raises(TypeError, match="positional"):
        x.__dlpack__(None)
    with x.write():
        with pytest.raises(BufferError):
            x.__dlpack__(copy=None, max_version=one)
    x.release()
    with pytest.raises(tenure.Error, match="released"):
        x.__dlpack__(copy=None, max_version=one)


def test_an_export_names_the_line_that_made_it():
    """DL-13, PY-21: two lines of one function, in turn."""
    x = tenure.zeros(4, name="lines")
    seen = set()
    for _ in range(3):
        first = x.__dlpack__(max_version=(1, 0))
        second = x.__dlpack__(max_version=(1, 0))
        seen |= {holder.site for holder in x.why_not().holders if holder.kind.name == "EXPORT_SHARED"}
        del first, second
    lines = sorted(int(site.rpartition(":")[2]) for site in seen)
    assert len(lines) == 2 and lines[1] == lines[0] + 1
