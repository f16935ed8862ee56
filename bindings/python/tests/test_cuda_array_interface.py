"""`__cuda_array_interface__` in both directions (CA-1 to CA-13), with stand-ins for the other libraries."""

import gc

import numpy as np
import pytest
from gpu_fixtures import pools, settled  # noqa: F401

import tenure
from tenure import HolderKind, Status, Why, cuda


class Described:
    """An object of another library: it has the interface, and keeps what its memory belongs to."""

    def __init__(self, interface, base=None):
        self.__cuda_array_interface__ = interface
        self.base = base


def on_gpu(n):
    x = cuda.to_device(n)
    cuda.default_stream().synchronize()
    return x


def described(x, **changes):
    """Another library's array on the memory of x, which it keeps."""
    return Described({**x.__cuda_array_interface__, **changes}, x)


# CA-1, CA-2
def test_the_values():
    n = np.arange(12, dtype="int16").reshape(3, 4)
    x = on_gpu(n)
    is_ = x.__cuda_array_interface__
    address = is_["data"][0]
    assert address and is_ == {
        "shape": (3, 4),
        "typestr": "<i2",
        "data": (address, False),
        "strides": None,
        "version": 3,
        "stream": None,
    }
    view = x[::-1, ::2]
    assert view.__cuda_array_interface__["strides"] == (-8, 4)
    assert view.__cuda_array_interface__["data"] == (address + 16, False)
    assert x.readonly.__cuda_array_interface__["data"] == (address, True)
    wide = x.broadcast_to(2, 3, 4)
    assert wide.__cuda_array_interface__["strides"] == (0, 8, 2)
    assert wide.__cuda_array_interface__["data"] == (address, True)
    none = cuda.device_array((0, 3))
    assert none.__cuda_array_interface__["data"] == (0, False) and none.__cuda_array_interface__["strides"] is None
    assert cuda.device_array(()).__cuda_array_interface__["shape"] == ()
    x.end_exports()


# CA-3
def test_the_stream_is_one_to_wait_for():
    x = on_gpu(np.zeros(300000))
    assert x.__cuda_array_interface__["stream"] is None
    s = cuda.stream()
    for _ in range(20):
        x.fill(3.0, stream=s)
    waits = x.__cuda_array_interface__["stream"]
    if waits is not None:
        cuda.external_stream(waits).synchronize()
    assert waits != 0
    assert x.copy_to_host()[-1] == 3.0
    x.end_exports()


# CA-4, CA-6
def test_which_arrays_have_it():
    host, pinned, managed, mapped = tenure.zeros(3), cuda.pinned_array(3), cuda.managed_array(3), cuda.mapped_array(3)
    for x in (host, host.readonly, host.exclusive, pinned):
        assert not hasattr(x, "__cuda_array_interface__")
    with pytest.raises(AttributeError, match="to_device"):
        host.__cuda_array_interface__
    with pytest.raises(AttributeError, match="TN_HOST_MAPPED"):
        pinned.__cuda_array_interface__
    assert host.why_not() == 0 and pinned.why_not() == 0
    assert managed.__cuda_array_interface__["data"][0] == np.asarray(managed).ctypes.data
    assert mapped.__cuda_array_interface__["data"][0] > 0
    brain = cuda.device_array(3, "bfloat16")
    with pytest.raises(AttributeError, match="uint16"):
        brain.__cuda_array_interface__
    for x, dtype in ((cuda.device_array(2, d), d) for d in "bool int8 uint16 int64 float16 float32 complex64 complex128".split()):
        assert x.__cuda_array_interface__["typestr"] == np.dtype(dtype).str
    managed.end_exports()


# CA-5: the mark stays until the handle is released or end_exports
def test_the_first_look_marks_the_array():
    x = on_gpu(np.zeros(4))
    assert hasattr(x, "__cuda_array_interface__") and x.why_not() == Why.EXPORTED
    x.__cuda_array_interface__
    x.readonly.__cuda_array_interface__
    assert [h.kind for h in x.why_not().holders] == [HolderKind.EXPORT_SHARED]
    x.fill(2.0)
    y = x.reshape(2, 2)
    assert y.__cuda_array_interface__["data"] == x.__cuda_array_interface__["data"]
    y.end_exports()
    x.end_exports()
    x.end_exports()
    cuda.synchronize()
    y.release()
    assert x.why_not() == 0
    x.__cuda_array_interface__
    z = x[1:]
    x.release()
    cuda.synchronize()
    assert z.why_not() == 0


# CA-5: x.exclusive
def test_an_exclusive_view_lasts_as_long_as_its_object(refused):
    x = on_gpu(np.zeros(4))
    proxy = x.exclusive
    assert proxy.__cuda_array_interface__["data"][1] is False
    proxy.__cuda_array_interface__
    refused(Status.EXPORTED, x.fill, 1.0)
    with pytest.raises(BufferError):
        x.__cuda_array_interface__
    del proxy
    gc.collect()
    x.fill(1.0)
    proxy = x.exclusive
    proxy.__cuda_array_interface__
    proxy.end_exports()
    x.fill(1.0)


# CA-10: the array shares the object's memory and keeps the object
def test_an_import_shares_and_keeps():
    n = np.arange(12.0).reshape(3, 4)
    owner = on_gpu(n)
    d = described(owner)
    gone = []
    d.gone = type("Gone", (), {"__del__": lambda self: gone.append(1)})()
    for make in (tenure.from_cuda_array_interface, tenure.asarray):
        x = make(d)
        assert x.device == owner.device and x.shape == (3, 4) and x.dtype == np.float64
        x[0, 0] = 7.0
        assert owner.copy_to_host()[0, 0] == 7.0
        del x
    copy = tenure.from_cuda_array_interface(d, copy=True)
    assert copy.device == owner.device and copy.why_not() == 0
    owner.fill(0.0)
    assert copy.copy_to_host()[0, 0] == 7.0
    x = tenure.asarray(d, copy=False)
    part = x[1:]
    del d, x
    gc.collect()
    assert not gone
    del part
    cuda.synchronize()
    gc.collect()
    assert gone == [1]
    assert tenure.asarray(described(owner), dtype="float32").tolist() == np.zeros((3, 4)).tolist()


# CA-11
def test_streams_of_the_producer():
    owner = cuda.to_device(np.zeros(200000))
    s = cuda.stream()
    owner.fill(1.0, stream=s)
    for stream in (None, 1, 2, s.native):
        x = tenure.from_cuda_array_interface(described(owner, stream=stream))
        assert x.copy_to_host()[-1] == 1.0
        del x
    with pytest.raises(ValueError, match="ambiguous"):
        tenure.from_cuda_array_interface(described(owner, stream=0))
    x = tenure.from_cuda_array_interface(described(owner, stream=s.native), sync=False)
    cuda.synchronize()
    del x
    d = described(owner)
    del d.__cuda_array_interface__["stream"]
    assert tenure.asarray(d)[0] == 1.0


# CA-12
def test_what_is_refused(refused):
    owner = on_gpu(np.arange(6.0).reshape(2, 3))

    def of(**changes):
        return tenure.from_cuda_array_interface(described(owner, **changes))

    for version in (0, 1, 2, 3, 4, 99):
        assert of(version=version, novelty=object()).shape == (2, 3)
    assert of(strides=None).strides == (24, 8) and of(strides=(8, 16), shape=(2, 3)).strides == (8, 16)
    assert of(mask=None, descr=[("", "<f8")]).shape == (2, 3)
    refused(Status.UNSUPPORTED, of, mask=owner)
    for typestr in (">f8", "<f16", "|V8", "<U2", "<f8,<f8", ""):
        refused(Status.DTYPE, of, typestr=typestr)
    refused(Status.DTYPE, of, descr=[("a", "<f4"), ("b", "<f4")])
    refused(Status.NULL, of, data=(0, False))
    refused(Status.SHAPE, of, shape=(2, -3))
    with pytest.raises(ValueError, match="strides"):
        of(strides=(8,))
    with pytest.raises(ValueError, match="no shape"):
        d = described(owner)
        del d.__cuda_array_interface__["shape"]
        tenure.from_cuda_array_interface(d)
    with pytest.raises(TypeError, match="no dict"):
        tenure.from_cuda_array_interface(Described([]))
    for other in (None, np.zeros(3), tenure.zeros(3)):
        with pytest.raises(TypeError, match="no CUDA array interface"):
            tenure.from_cuda_array_interface(other)


# CA-13
def test_whose_memory_it_is(refused):
    n = np.arange(6.0)
    managed, mapped = cuda.managed_array(6), cuda.mapped_array(6)
    for owner, device in ((managed, "cuda_managed:0"), (mapped, "cuda_host")):
        owner[...] = n
        x = tenure.from_cuda_array_interface(described(owner))
        assert str(x.device) == device and x.tolist() == n.tolist()
        x[0] = 9.0
        assert owner[0] == 9.0
    kind, text = refused(Status.DEVICE, tenure.asarray, Described({**managed.__cuda_array_interface__, "data": (n.ctypes.data, False)}))
    assert hex(n.ctypes.data) in text
    x = tenure.asarray(described(managed, data=(managed.__cuda_array_interface__["data"][0], True)))
    assert not x.flags.writeable
    refused(Status.READONLY, x.fill, 0.0)
    managed.end_exports()
    mapped.end_exports()
