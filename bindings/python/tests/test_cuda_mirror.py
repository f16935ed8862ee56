"""Mirrors with a GPU: transfers that happen only when needed (M1, M2, M5, M17), and what CUDA libraries get (MI-2, MI-4, MI-7)."""

import ctypes
import gc
import threading

import numpy as np
import pytest

import tenure
from gpu_fixtures import *  # noqa: F401,F403
from tenure import cuda

driver = ctypes.CDLL("libcuda.so.1")


@pytest.fixture(autouse=True)
def context():
    """The driver's calls below, which stand for kernels, need a current context."""
    found = ctypes.c_void_p()
    assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(found), 0) == 0 and driver.cuCtxSetCurrent(found) == 0
    yield
    driver.cuCtxSetCurrent(None)
    driver.cuDevicePrimaryCtxRelease_v2(0)


def fill(view, value, stream=None):
    """Writes int32 elements of a device view, as a kernel does."""
    queue = ctypes.c_void_p(stream.native if stream else 1)
    done = driver.cuMemsetD32Async(ctypes.c_uint64(view.pointer), value, ctypes.c_size_t(view.nbytes // 4), queue)
    assert done == 0
    if stream is None:
        assert driver.cuStreamSynchronize(queue) == 0


def moved(mirror, before):
    now = mirror.transfers
    return now.to_device - before.to_device, now.to_host - before.to_host


def test_m1_m2_only_the_first_read_moves():
    m = tenure.Mirror(np.ones(8, np.int32))
    stream = cuda.stream()
    for kernel in range(10):
        with m.write("gpu", stream) as view:
            assert view.device == "cuda:0" and view.shape == (8,) and view.nbytes == 32
            fill(view, kernel, stream)
    assert m.transfers == (1, 0, 32, 0) and m.valid == ("device",)
    assert np.asarray(m).tolist() == [9] * 8
    assert m.transfers == (1, 1, 32, 32) and m.valid == ("host", "device")
    with m.read("device", stream):
        pass
    assert m.transfers == (1, 1, 32, 32)


def test_m5_a_side_that_numpy_holds_is_refreshed():
    m = tenure.Mirror(np.ones(8, np.int32))
    n = np.asarray(m)
    before = m.transfers
    with m.write("device", overwrite=True) as view:
        fill(view, 7)
    assert n.tolist() == [7] * 8 and moved(m, before) == (0, 1)
    del n
    gc.collect()
    before = m.transfers
    with m.write("device") as view:
        fill(view, 8)
    assert moved(m, before) == (0, 0) and m[0] == 8


def test_m17_a_write_through_an_array_is_noticed():
    m = tenure.Mirror(np.ones(8, np.int32))
    device = m.gpu()
    with m.get().write() as view:
        view[:] = 3
    with m.read("device"):
        pass
    assert device.copy_to_host().tolist() == [3] * 8
    device.fill(4)
    assert m[0] == 4


def test_a_cuda_library_gets_the_device_side():
    m = tenure.Mirror(np.arange(4, dtype=np.int32))
    interface = m.__cuda_array_interface__
    assert interface["shape"] == (4,) and interface["typestr"] == "<i4" and m.transfers.to_device == 1
    x = tenure.asarray(m.gpu())
    assert x.device == "cuda:0"
    values = np.array([9, 8, 7, 6], np.int32)
    cuda.synchronize()
    pointer = ctypes.c_uint64(interface["data"][0])
    assert driver.cuMemcpyHtoD_v2(pointer, values.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(16)) == 0
    assert m[0] == 0  # a kernel's write through the interface is not seen
    m.mark_changed("gpu")
    assert np.asarray(m).tolist() == [9, 8, 7, 6]
    assert m.__dlpack_device__()[0] == 1 and tenure.from_dlpack(m).device == "cpu"
    there = m.__dlpack__(dl_device=(2, 0), max_version=(1, 0))
    del there, x


def test_device_objects():
    d = cuda.to_device(np.arange(6, dtype=np.int32))
    m = tenure.Mirror(d)
    assert m.valid == ("device",) and m.crossing.how == "copied"
    m = tenure.Mirror(d, copy=False)
    assert m.crossing.how == "aliased" and m.transfers == (0, 0, 0, 0)
    assert np.asarray(m).tolist() == [0, 1, 2, 3, 4, 5] and m.transfers == (0, 1, 0, 24)
    m[0] = 100
    with m.read("gpu"):
        pass
    assert d.copy_to_host()[0] == 100  # the adopted array is the device side
    m = tenure.Mirror(np.arange(3.0), where="gpu")
    assert m.valid == m.allocated == ("device",) and m.transfers.to_device == 1


def test_an_exception_restores_the_contents_of_before():
    m = tenure.Mirror(np.ones(8, np.int32))
    with pytest.raises(ZeroDivisionError):
        with m.write("gpu") as view:
            fill(view, 5)
            1 / 0
    assert np.asarray(m).tolist() == [1] * 8 and not m.is_poisoned


def test_threads_that_read_share_one_transfer():
    for _ in range(20):
        m = tenure.Mirror(np.ones(1000, np.int32))
        begun, found = threading.Barrier(4), []

        def read():
            begun.wait()
            with m.read("gpu"):
                found.append(m.gpu().copy_to_host()[0])

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [1] * 4 and m.transfers.to_device == 1
