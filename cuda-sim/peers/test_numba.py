"""numba-cuda's streams on the simulated driver, with its own memory manager and without kernels; its own tests of streams are disabled."""

import numpy as np
import pytest

cuda = pytest.importorskip("numba.cuda")
from cuda.bindings import driver  # noqa: E402


def pinned(values):
    array = cuda.pinned_array(len(values), dtype=np.float64)
    array[:] = values
    return array


def test_copies_in_many_streams_at_once():
    streams = [cuda.stream() for _ in range(8)]
    sources = [pinned(np.arange(1000) * number) for number in range(8)]
    targets = [pinned(np.zeros(1000)) for _ in range(8)]
    kept = []
    for stream, source, target in zip(streams, sources, targets):
        on_device = cuda.to_device(source, stream=stream)
        on_device.copy_to_host(target, stream=stream)
        kept.append(on_device)
    for stream in reversed(streams):
        stream.synchronize()
    assert all((source == target).all() for source, target in zip(sources, targets))


def test_a_stream_synchronizes_at_the_end_of_its_block():
    stream = cuda.stream()
    source, target = pinned(np.arange(5000)), pinned(np.zeros(5000))
    with stream.auto_synchronize():
        on_device = cuda.to_device(source, stream=stream)
        on_device.copy_to_host(target, stream=stream)
    assert (source == target).all()


@pytest.mark.parametrize("name", ["default_stream", "legacy_default_stream", "per_thread_default_stream"])
def test_the_default_streams(name):
    stream = getattr(cuda, name)()
    source, target = pinned(np.arange(300)), pinned(np.zeros(300))
    on_device = cuda.to_device(source, stream=stream)
    on_device.copy_to_host(target, stream=stream)
    stream.synchronize()
    assert (source == target).all()


def test_a_stream_of_another_library():
    cuda.current_context()
    code, handle = driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
    assert int(code) == 0
    stream = cuda.external_stream(int(handle))
    source, target = pinned(np.arange(300)), pinned(np.zeros(300))
    on_device = cuda.to_device(source, stream=stream)
    on_device.copy_to_host(target, stream=stream)
    stream.synchronize()
    assert (source == target).all()
    assert int(driver.cuStreamDestroy(handle)[0]) == 0


def test_events_order_two_streams():
    first, second = cuda.stream(), cuda.stream()
    on_device = cuda.device_array(4096, dtype=np.float64)
    target = pinned(np.zeros(4096))
    for round in range(20):
        source = pinned(np.full(4096, float(round)))
        on_device.copy_to_device(source, stream=first)
        written = cuda.event(timing=False)
        written.record(first)
        written.wait(second)
        on_device.copy_to_host(target, stream=second)
        read = cuda.event(timing=False)
        read.record(second)
        read.wait(first)
        read.synchronize()
        assert (target == round).all()


def test_arrays_may_be_freed_while_their_stream_runs():
    stream = cuda.stream()
    targets = []
    for number in range(30):
        source, target = pinned(np.full(2000, float(number))), pinned(np.zeros(2000))
        cuda.to_device(source, stream=stream).copy_to_host(target, stream=stream)
        targets.append((number, source, target))
    stream.synchronize()
    assert all((target == number).all() for number, _, target in targets)


def test_mapped_arrays_are_shared_by_host_and_device():
    mapped = cuda.mapped_array(64, dtype=np.uint8)
    mapped[:] = 5
    out = cuda.as_cuda_array(mapped).copy_to_host()
    assert (out == 5).all()
