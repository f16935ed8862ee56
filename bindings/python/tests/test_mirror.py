"""Mirrors on a machine without a GPU: the host side works as an array, and the device side says what is missing (MI-1, MI-11)."""

import gc

import numpy as np
import pytest

import tenure
from tenure import cuda


def test_mi_11_the_host_side_is_an_array():
    m = tenure.Mirror(np.arange(6.0).reshape(2, 3), name="m")
    assert isinstance(m, cuda.SmartArray) and tenure.Mirror is cuda.SmartArray
    assert (m.shape, m.ndim, m.size, m.nbytes, m.dtype, m.name, len(m)) == ((2, 3), 2, 6, 48, np.float64, "m", 2)
    assert m.valid == m.allocated == ("host",) and m.held == () and m.device == "cuda:0"
    n = np.asarray(m)
    assert n.sum() == 15 and m.held == ("host",)
    assert np.shares_memory(n, np.asarray(m)) and np.shares_memory(n, np.from_dlpack(m))
    assert memoryview(m).shape == (2, 3)
    n[0, 0] = 9
    assert m[0, 0] == 9 and m.get()[0, 0] == 9 and m.host()[0, 0] == 9
    m[1] = 2
    assert n[1].tolist() == [2, 2, 2] and np.add(m, 1)[1, 0] == 3
    del n
    gc.collect()
    assert m.held == () and m.transfers == (0, 0, 0, 0)
    assert repr(m) == '<mirror "m" float64 (2, 3) of cuda:0, valid: host>'
    m.release()
    m.release()
    assert repr(m) == "<released mirror>"
    with pytest.raises(tenure.OwnershipError, match="released"):
        m.get()


def test_mi_1_copies_and_adopted_objects():
    n = np.zeros(4)
    m = tenure.Mirror(n)
    assert m.crossing == ("copied", 0)
    m[0] = 1
    assert n[0] == 0
    for copy in (None, False):
        m = tenure.Mirror(n, copy=copy)
        assert m.crossing.how == "aliased"
        m[0] = 2
        assert n[0] == 2
        n[0] = 0
    assert np.asarray(tenure.Mirror([1, 2, 3])).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="copy=False"):
        tenure.Mirror([1, 2, 3], copy=False)
    with pytest.raises(ValueError):
        tenure.Mirror(np.broadcast_to(n, (3, 4)), copy=False)
    assert tenure.Mirror(shape=3, dtype="f4", where="host").shape == (3,)
    assert tenure.Mirror(None, True, (2, 2), np.int32, "F").get().strides == (4, 8)
    assert tenure.Mirror(np.zeros((2, 3), order="F")).get().strides == (8, 16)


def test_arguments():
    with pytest.raises(TypeError, match="shape and dtype"):
        tenure.Mirror()
    with pytest.raises(TypeError, match="shape and dtype"):
        tenure.Mirror(shape=3)
    with pytest.raises(ValueError, match='"host" or "device"'):
        tenure.Mirror(np.zeros(3), where="disk")
    m = tenure.Mirror(np.zeros(3))
    with pytest.raises(ValueError, match="disk"):
        m.get("disk")
    with pytest.raises(TypeError, match="stream must be"):
        m.read(stream=5)
    with pytest.raises(tenure.Error, match="float64"):
        tenure.Mirror(np.zeros(3), dtype="f4")
    with pytest.raises(TypeError):
        len(tenure.Mirror(np.zeros(())))
    assert m.__cuda_array_interface__ if cuda.is_available() else True


def test_blocks():
    m = tenure.Mirror(np.zeros(3))
    with m.write() as view:
        view += 1
        with pytest.raises(tenure.OwnershipError):
            m.get()
    with pytest.raises(tenure.OwnershipError):
        view + 1  # invalid after the block
    with m.read() as view:
        kept = view
        assert view.tolist() == [1, 1, 1] and not view.flags.writeable
    del view
    assert kept.tolist() == [1, 1, 1] and m.held == ("host",)
    del kept
    gc.collect()
    assert m.held == ()
    with m.write(overwrite=True) as view:
        view[:] = 5
    assert m[0] == 5
    with pytest.raises(ZeroDivisionError):
        with m.write() as view:
            1 / 0
    assert m.is_poisoned and "undefined" in repr(m)
    with pytest.raises(tenure.OwnershipError):
        m.get()
    m.mark_changed()
    assert not m.is_poisoned and m[0] == 5


@pytest.mark.skipif(cuda.is_available(), reason="there is a GPU")
def test_mi_11_the_device_side_without_a_gpu():
    m = tenure.Mirror(np.zeros(3))
    for call in (lambda: m.get("device"), m.gpu, lambda: m.mark_changed("device"), lambda: m.__cuda_array_interface__):
        with pytest.raises(tenure.UnsupportedError):
            call()
    with pytest.raises(tenure.UnsupportedError):
        tenure.Mirror(np.zeros(3), where="gpu")
    with pytest.raises(tenure.UnsupportedError):
        with m.read("gpu"):
            pass
    assert m.valid == ("host",)
