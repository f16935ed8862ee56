"""DLPack with memory of GPUs, page-locked and managed memory: DL-14 to DL-18, DL-26, DL-40, DL-41.

No other library with DLPack on GPUs runs without a GPU, so the producers and consumers are objects that pass Tenure's capsules on and note
what they were asked for.
"""

import ctypes

import gpu_streams
import numpy as np
import older_libraries
import pytest
from gpu_fixtures import pools, settled, struct_at  # noqa: F401

import tenure
from tenure import Status, Why, cuda

N = np.arange(12, dtype=np.float32).reshape(3, 4)
KINDS = {"cuda:0": (2, 0), "cuda_host": (1, 0), "cuda_managed:0": (1, 0)}


class Producer:
    """An array of another library: it has DLPack, and no exchange table."""

    def __init__(self, array, old=False):
        self.array, self.old, self.asked = array, old, []

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        self.asked.append(dict(options))
        if self.old and set(options) - {"stream"}:
            raise TypeError("an unexpected keyword argument")
        return self.array.__dlpack__(**options)


@pytest.fixture(params=KINDS)
def device(request):
    return request.param


def on(device):
    x = tenure.empty((3, 4), np.float32, device=device)
    x[...] = N
    cuda.synchronize()
    return x


def test_devices_and_round_trips(device):
    x = on(device)
    assert x.__dlpack_device__() == KINDS[device]
    y = tenure.from_dlpack(Producer(x))
    assert y.tolist() == N.tolist() and y.device == x.device
    y[1, 2] = 70
    assert x[1, 2] == 70
    z = tenure.from_dlpack(x)
    assert z.device == x.device and z[1, 2] == 70
    c = tenure.from_dlpack(Producer(x), copy=True)
    c[0, 0] = 9
    assert x[0, 0] == 0
    assert tenure.asarray(Producer(x)).device == x.device


def test_asarray_takes_a_tensor_of_a_gpu():
    x = on("cuda:0")
    a = tenure.asarray(Producer(x))
    assert a.device == "cuda:0" and a.tolist() == N.tolist()


def test_labels():
    """DL-14: page-locked and managed memory can be exported as memory of the host, of a GPU, or under its own number."""
    x = on("cuda_managed:0")
    try:
        for label, kind in ("own", (13, 0)), ("cuda", (2, 0)), ("cpu", (1, 0)):
            tenure.set_dlpack_label(label)
            assert x.__dlpack_device__() == kind
            assert tenure.from_dlpack(Producer(x)).tolist() == N.tolist()
        assert np.from_dlpack(x)[2, 3] == 11
        with pytest.raises(ValueError, match="label 'gpu' is none of|label \"gpu\" is none of"):
            tenure.set_dlpack_label("gpu")
    finally:
        tenure.set_dlpack_label("cpu")


def test_numpy_gets_a_copy_from_a_gpu():
    """DL-15: NumPy asks for the host."""
    x = on("cuda:0")
    n = np.from_dlpack(x, device="cpu")
    assert n.tolist() == N.tolist()
    with pytest.raises(BufferError, match="copy"):
        x.__dlpack__(dl_device=(1, 0), copy=False, max_version=(1, 0))
    with pytest.raises(BufferError, match="target device"):
        x.__dlpack__(dl_device=(7, 0))
    back = tenure.from_dlpack(Producer(tenure.asarray(N.copy())), device=(2, 0))
    assert back.device == "cuda:0" and back.tolist() == N.tolist()


def test_streams_of_consumers():
    """DL-17: the values that `stream` may have, for each kind of memory."""
    x, h, s = on("cuda:0"), on("cuda_host"), cuda.stream()
    for stream in (None, -1, 1, 2, s.native):
        capsule = x.__dlpack__(stream=stream, max_version=(1, 0))
        assert tenure.from_dlpack(capsule).tolist() == N.tolist()
    with pytest.raises(ValueError, match="stream 0 is ambiguous"):
        x.__dlpack__(stream=0)
    for wrong in (-2, "a", 1.5):
        with pytest.raises(BufferError, match="stream must be"):
            x.__dlpack__(stream=wrong)
    for stream in (None, -1):
        assert tenure.from_dlpack(h.__dlpack__(stream=stream)).tolist() == N.tolist()
    with pytest.raises(BufferError, match="the array is on the host"):
        h.__dlpack__(stream=1)


def test_producers_are_told_the_current_stream():
    """DL-41: `stream` is the thread's current one for a GPU, also where the producer knows no other argument."""
    x, s = on("cuda:0"), cuda.stream()
    for old in (False, True):
        producer = Producer(x, old)
        tenure.from_dlpack(producer)
        assert producer.asked[-1]["stream"] == 1
        with s:
            y = tenure.from_dlpack(producer)
            assert producer.asked[-1]["stream"] == s.native
            y[0, 0] = 5
        assert x[0, 0] == 5
        x[0, 0] = 0
    producer = Producer(tenure.asarray(N))
    tenure.from_dlpack(producer)
    assert "stream" not in producer.asked[-1]


def test_the_consumers_work_comes_after_ours():
    """DL-17, DL-18: what was queued before is seen, and what the consumer queued is waited for."""
    x, s, t = on("cuda:0"), cuda.stream(), cuda.stream()
    x.fill(3, stream=s)
    capsule = x.__dlpack__(stream=t.native, max_version=(1, 0))
    y = tenure.from_dlpack(capsule)
    assert y.tolist() == [[3] * 4] * 3
    del y, capsule
    assert x.tolist() == [[3] * 4] * 3


def test_views_and_read_only_arrays():
    x = on("cuda:0")
    for view in (x.T, x[::-1], x[:, ::2]):
        y = tenure.from_dlpack(Producer(view))
        assert y.strides == view.strides and y.tolist() == view.tolist()
    assert tenure.from_dlpack(Producer(x.readonly)).flags.readonly


def test_a_capsule_ends_with_its_consumer():
    """DL-18: an export holds the array until its capsule is gone and the consumer's work is done."""
    x, s = on("cuda:0"), cuda.stream()
    for stream in (None, -1, 1, 2, s.native):
        capsule = x.__dlpack__(stream=stream, max_version=(1, 0))
        assert x.why_not() & Why.EXPORTED
        del capsule
        cuda.synchronize()
        assert x.why_not() == 0
    capsule = x.__dlpack__(stream=s.native)
    x.release()
    del capsule


@pytest.mark.skipif(not gpu_streams.simulated, reason="a stalled stream: on the simulated driver only")
def test_a_consumer_that_ignores_streams_reads_old_bytes():
    """DL-17: -1 orders nothing, and the page on streams says what that means. In the order of the stream the bytes are new."""
    x, s, t = on("cuda:0"), cuda.stream(), cuda.stream()
    # A copy into other memory would wait on the host.
    lent = cuda.pinned_array(12, np.float32)
    seen = np.asarray(lent)

    def read(capsule):
        address = ctypes.c_uint64.from_address(struct_at(capsule, b"dltensor")).value
        to, native = ctypes.c_void_p(seen.ctypes.data), ctypes.c_void_p(t.native)
        older_libraries.call("cuMemcpyDtoHAsync_v2", to, ctypes.c_uint64(address), ctypes.c_size_t(48), native)

    with gpu_streams.stalled(s):
        x.fill(70, stream=s)
        read(x.__dlpack__(stream=-1))
        t.synchronize()
        assert seen[11] == 11
        ordered = x.__dlpack__(stream=t.native)
        read(ordered)
    t.synchronize()
    assert seen[11] == 70
    del ordered


def test_a_wrong_device_is_refused(refused):
    """DL-26: the driver says whose memory it is."""
    n = np.zeros(4)
    capsule = n.__dlpack__()
    tensor = struct_at(capsule, b"dltensor")
    ctypes.c_uint32.from_address(tensor + 8).value = 2
    refused(Status.DEVICE, tenure.from_dlpack, capsule)
    ctypes.c_uint32.from_address(tensor + 8).value = 1
    assert tenure.from_dlpack(capsule).tolist() == [0.0] * 4


def test_the_host_does_not_get_the_address_of_a_gpu():
    with pytest.raises((BufferError, RuntimeError), match="device"):
        np.from_dlpack(on("cuda:0"))
