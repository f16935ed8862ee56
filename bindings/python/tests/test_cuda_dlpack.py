"""DLPack for memory of GPUs, in both directions (DL-18, DL-26, DL-40, DL-41, and the table of streams), with arrays of the package as both sides."""

import gc

import numpy as np
import pytest
from gpu_fixtures import pools, settled  # noqa: F401

import tenure
from tenure import Status, Why, cuda


class Producer:
    """Another library's array on the memory of x: it has only DLPack, and notes what its consumer asked for."""

    def __init__(self, x, device=None):
        self.x, self.device, self.asked = x, device, []

    def __dlpack_device__(self):
        return self.device or self.x.__dlpack_device__()

    def __dlpack__(self, **options):
        self.asked.append(options)
        return self.x.__dlpack__(**options)


# DL-26, DL-41: the consumer passes its current stream
def test_an_array_of_a_gpu_crosses():
    n = np.arange(12.0).reshape(3, 4)
    x = cuda.to_device(n)
    p = Producer(x)
    y = tenure.from_dlpack(p)
    assert p.asked == [{"max_version": (1, 1), "stream": 1}]
    assert y.device == x.device and y.shape == (3, 4) and x.why_not() & Why.SHARED
    y.fill(5.0)
    assert x.copy_to_host()[2, 3] == 5.0
    for view in (x.T, x[::-1], x[:, ::2]):
        z = tenure.from_dlpack(Producer(view))
        assert z.strides == view.strides and z.copy_to_host().tolist() == view.copy_to_host().tolist()
    with cuda.stream() as s, s:
        assert tenure.from_dlpack(p).shape == (3, 4)
        assert p.asked[-1]["stream"] == s.native
    copy = tenure.from_dlpack(p, copy=True)
    assert copy.why_not() == 0 and copy.device == x.device
    assert tenure.from_dlpack(Producer(x.readonly)).flags.readonly


# DL-10, DL-18: an unused or deleted capsule ends the export, after the consumer's work
def test_a_capsule_ends_with_its_consumer():
    x = cuda.to_device(np.zeros(4))
    s = cuda.stream()
    for stream in (None, -1, 1, 2, s.native):
        capsule = x.__dlpack__(stream=stream, max_version=(1, 0))
        assert x.why_not() & Why.EXPORTED
        del capsule
        cuda.synchronize()
        assert x.why_not() == 0
    capsule = x.__dlpack__(stream=s.native)
    x.release()
    del capsule


# The table of streams
def test_streams_of_consumers(refused):
    x = cuda.to_device(np.zeros(4))
    with pytest.raises(ValueError, match="ambiguous"):
        x.__dlpack__(stream=0)
    with pytest.raises(TypeError):
        x.__dlpack__(stream="fast")
    with pytest.raises(BufferError):
        tenure.zeros(3).__dlpack__(stream=1)


# DL-15: a GPU's array is no array of the host
def test_the_host_does_not_get_the_address():
    x = cuda.to_device(np.zeros(4))
    assert x.__dlpack_device__() == (2, 0)
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(1, 0))
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(x)
    assert x.__dlpack__(dl_device=(2, 0)) is not None


# DL-26: page-locked and managed memory of the library goes out as that of the host
def test_memory_that_the_host_reaches():
    for x in (cuda.pinned_array(4), cuda.mapped_array(4), cuda.managed_array(4)):
        x[...] = np.arange(4.0)
        y = tenure.from_dlpack(Producer(x))
        assert y.tolist() == [0, 1, 2, 3] and np.from_dlpack(x)[3] == 3.0
        y[0] = 9.0
        assert x[0] == 9.0


# DL-26: the driver says whose memory it is
def test_a_wrong_device_is_refused(refused):
    import ctypes

    n = np.zeros(4)
    capsule = n.__dlpack__()
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype, api.PyCapsule_GetPointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = api.PyCapsule_GetPointer(capsule, b"dltensor")
    ctypes.c_uint32.from_address(tensor + 8).value = 2
    refused(Status.DEVICE, tenure.from_dlpack, capsule)
    ctypes.c_uint32.from_address(tensor + 8).value = 1
    assert tenure.from_dlpack(capsule).tolist() == [0.0] * 4
