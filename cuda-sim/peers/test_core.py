"""NVIDIA's cuda.core on the simulated driver: its devices, streams, events and memory resources."""

import ctypes

import numpy as np
import pytest

core = pytest.importorskip("cuda.core")


@pytest.fixture
def device():
    device = core.Device(0)
    device.set_current()
    return device


def view(buffer):
    return np.ctypeslib.as_array((ctypes.c_uint8 * buffer.size).from_address(int(buffer.handle)))


def test_the_device(device):
    assert "simulated" in device.name
    assert device.compute_capability >= (5, 0)
    assert device.properties.multiprocessor_count > 0
    assert device.properties.unified_addressing
    assert device.uuid


def test_the_runtime_library_is_refused(device):
    """CUDA's runtime library needs driver tables that NVIDIA does not document, and gets none."""
    with pytest.raises(Exception, match="cudaErrorNotSupported"):
        device.sync()


def test_buffers_of_the_device(device):
    stream = device.create_stream()
    pinned = core.LegacyPinnedMemoryResource().allocate(1024)
    view(pinned)[:] = np.arange(1024) % 251
    buffer = device.allocate(1024, stream=stream)
    assert buffer.is_device_accessible and not buffer.is_host_accessible and buffer.device_id == 0
    pinned.copy_to(buffer, stream=stream)
    second = device.allocate(1024, stream=stream)
    second.copy_from(buffer, stream=stream)
    out = core.LegacyPinnedMemoryResource().allocate(1024)
    second.copy_to(out, stream=stream)
    stream.sync()
    assert (view(out) == view(pinned)).all()
    for used in (buffer, second):
        used.close(stream)
    stream.sync()


def test_fill(device):
    stream = device.create_stream()
    buffer = device.allocate(64, stream=stream)
    out = core.LegacyPinnedMemoryResource().allocate(64)
    buffer.fill(b"\xab\xcd", stream=stream)
    buffer.copy_to(out, stream=stream)
    stream.sync()
    assert bytes(view(out)) == b"\xab\xcd" * 32
    buffer.close(stream)


def test_a_created_pool(device):
    stream = device.create_stream()
    resource = core.DeviceMemoryResource(device, core.DeviceMemoryResourceOptions(max_size=1 << 24))
    buffer = resource.allocate(1 << 12, stream=stream)
    assert resource.attributes.used_mem_current >= 1 << 12
    buffer.close(stream)
    stream.sync()
    assert resource.attributes.used_mem_current == 0
    resource.close()


def test_virtual_memory(device):
    resource = core.VirtualMemoryResource(device)
    buffer = resource.allocate(1 << 21)
    assert buffer.size >= 1 << 21
    stream = device.create_stream()
    buffer.fill(1, stream=stream)
    stream.sync()
    buffer.close()


def test_events(device):
    stream = device.create_stream()
    options = core.EventOptions(timing_enabled=True)
    first = stream.record(options=options)
    buffer = device.allocate(1 << 16, stream=stream)
    buffer.fill(1, stream=stream)
    last = stream.record(options=options)
    last.sync()
    assert last.is_done and last - first >= 0
    other = device.create_stream()
    other.wait(last)
    other.sync()
    buffer.close(stream)


def test_a_graph_of_copies(device):
    stream = device.create_stream()
    buffer = device.allocate(256, stream=stream)
    out = core.LegacyPinnedMemoryResource().allocate(256)
    view(out)[:] = 0
    builder = device.create_graph_builder()
    builder.begin_building()
    buffer.fill(9, stream=builder)
    buffer.copy_to(out, stream=builder)
    graph = builder.end_building().complete()
    assert (view(out) == 0).all()
    graph.launch(stream)
    stream.sync()
    assert (view(out) == 9).all()
    buffer.close(stream)


def test_dlpack_reports_the_device(device):
    buffer = device.allocate(128, stream=device.default_stream)
    kind, number = buffer.__dlpack_device__()
    assert (int(kind), number) == (2, 0)
    buffer.close(device.default_stream)
