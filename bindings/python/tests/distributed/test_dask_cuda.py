"""Arrays on GPUs in Dask's messages: the family "cuda" between GPUs, and the family "dask" by way of the host."""

import gc

import numpy as np
import pytest
from distributed.protocol import deserialize, serialize

import tenure
from gpu_fixtures import pools, settled  # noqa: F401
from tenure import cuda

FAMILIES = ("cuda", "dask", "pickle")


def copied():
    return sum(site.count for site in tenure.copies())


def pointer(x):
    with x.read() as view:
        return view.pointer


class Received:
    """A device buffer of an engine: writable memory with the bytes of a frame."""

    def __init__(self, frame):
        held = tenure.from_cuda_array_interface(frame, copy=True)
        cuda.synchronize()
        self.held = held
        self.nbytes = held.nbytes
        self.__cuda_array_interface__ = held.__cuda_array_interface__


@pytest.mark.parametrize("layout", ["C", "F", "part", "empty"])
@pytest.mark.parametrize("dtype", ["f8", "c8", "i2", tenure.bfloat16])
def test_the_frame_is_the_device_memory(layout, dtype):
    host = tenure.zeros((4, 6), dtype)
    host[1, 2] = 1
    d = host.to_device("cuda:0")
    d.name = "d"
    x = {"C": d, "F": d.T, "part": d[1:3], "empty": d[:0]}[layout]
    with tenure.no_copies():
        header, frames = serialize(x, FAMILIES, on_error="raise")
        assert header["serializer"] == "cuda" and header["compression"] == (False,)
        (frame,) = frames
        assert frame.nbytes == x.nbytes and frame.__cuda_array_interface__["shape"] == (x.nbytes,)
        if x.nbytes:
            assert frame.__cuda_array_interface__["data"][0] == pointer(x)
    received = Received(frame)
    with tenure.no_copies():
        back = deserialize(header, [received])
    assert back.device == "cuda:0" and back.dtype == x.dtype and back.strides == x.strides and back.name == x.name
    assert back.tobytes() == x.tobytes() and not back.flags.readonly
    if x.nbytes:
        assert pointer(back) == received.__cuda_array_interface__["data"][0]


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_no_frame_is_made_while_somebody_writes():
    x = tenure.ones(10).to_device("cuda:0")
    with x.write():
        with pytest.raises(TypeError, match="Could not serialize"):
            serialize(x, ("cuda",), on_error="raise")
        gc.collect()
    x.fill(2)


def test_nobody_writes_while_a_frame_exists():
    d = cuda.to_device(np.ones(1000))
    header, frames = serialize(d, FAMILIES, on_error="raise")
    with pytest.raises(tenure.OwnershipError):
        d.fill(2)
    # The same process, as with comms inside of one: the bytes of the frame are not the receiver's to write, so they are copied.
    before = copied()
    back = deserialize(header, frames)
    assert copied() == before + 1
    del frames
    gc.collect()
    d.fill(2)
    back.fill(3)
    assert d[0] == 2 and back[0] == 3


def test_strided_arrays_are_copied_once_on_the_device():
    d = cuda.to_device(np.arange(24.0).reshape(4, 6))
    before = copied()
    part = d[:, ::2]
    header, frames = serialize(part, FAMILIES, on_error="raise")
    assert copied() == before + 1
    back = deserialize(header, [Received(frames[0])])
    assert back.tolist() == part.tolist()
    # The copy is what is sent, so the array is free.
    assert not part.why_not() & tenure.Why.EXPORTED
    part.fill(2)


def test_arrays_of_the_host_have_frames_of_the_host():
    header, frames = serialize(tenure.ones(3), FAMILIES, on_error="raise")
    assert header["serializer"] == "dask" and isinstance(frames[1], memoryview)


def test_without_the_family_they_cross_by_the_host():
    d = cuda.to_device(np.arange(5.0))
    header, frames = serialize(d, on_error="raise")
    assert header["serializer"] == "dask"
    back = deserialize(header, [bytearray(frame) for frame in frames])
    assert back.device == "cuda:0" and back.tolist() == d.tolist()
