"""cuda.core on pools (AL-61), on the simulated driver."""

import os

import numpy as np
import pytest

import tenure
from tenure import cuda

if not cuda.is_available():
    if os.environ.get("TENURE_TEST_DEVICE"):
        raise RuntimeError("TENURE_TEST_DEVICE is set, and there is no CUDA device")
    pytest.skip("there is no CUDA driver", allow_module_level=True)
core = pytest.importorskip("cuda.core")

import tenure.cuda_core  # noqa: E402


@pytest.fixture
def stream():
    device = core.Device(0)
    device.set_current()
    stream = device.create_stream()
    yield stream
    stream.sync()
    stream.close()


def live(pool):
    return next((client.live_blocks for client in pool.clients() if client.name == "other"), 0)


# AL-61
def test_al_61_buffers_are_blocks_in_the_order_of_their_stream(stream):
    pool = tenure.Pool("cuda", name="buffers", max_size=8 << 20)
    resource = tenure.cuda_core.PoolMemoryResource(pool)
    assert resource.is_device_accessible and not resource.is_host_accessible and not resource.is_managed
    assert resource.device_id == 0
    buffer = resource.allocate(2 << 20, stream=stream)
    address = int(buffer.handle)
    assert buffer.size == 2 << 20 and address % 256 == 0 and live(pool) == 1
    assert tenure.holders_of(address).pool_name == "buffers"
    buffer.close(stream)
    assert live(pool) == 0
    again = resource.allocate(2 << 20, stream=stream)
    assert int(again.handle) == address
    with pytest.raises(MemoryError):
        resource.allocate(64 << 20, stream=stream)
    del again
    assert live(pool) == 0 and pool.stats().misuse_count == 0


# AL-61
def test_al_61_an_array_shares_a_buffer(stream):
    pool = tenure.Pool("cuda", name="shared")
    buffer = tenure.cuda_core.PoolMemoryResource(pool).allocate(64, stream=stream)
    buffer.fill(3, stream=stream)
    stream.sync()
    x = tenure.asarray(buffer)
    assert x.device == "cuda:0" and x.nbytes == 64
    assert (x.copy_to_host().to_numpy().view(np.uint8) == 3).all()
    del buffer
    assert live(pool) == 1
    x.release()
    tenure.run_releases()
    assert live(pool) == 0


# AL-61
@pytest.mark.parametrize(("where", "managed"), [("cuda_managed", True), ("cuda_host", False)])
def test_al_61_memory_that_the_host_reaches(where, managed, stream):
    pool = tenure.Pool(where, name="reached")
    resource = tenure.cuda_core.PoolMemoryResource(pool)
    assert resource.is_host_accessible and resource.is_managed == managed
    buffer = resource.allocate(100, stream=stream)
    assert live(pool) == 1
    buffer.close(stream)
    stream.sync()


# AL-61: the device's own resource, and its default pool
def test_al_61_a_device_uses_it(stream):
    device = core.Device(0)
    before = device.memory_resource
    device.memory_resource = resource = tenure.cuda_core.PoolMemoryResource()
    try:
        pool = tenure.default_pool("cuda")
        buffer = device.allocate(1000, stream=stream)
        assert buffer.memory_resource is resource and resource.device_id == 0 and live(pool) == 1
        buffer.close(stream)
        assert live(pool) == 0
    finally:
        device.memory_resource = before
    with pytest.raises(ValueError, match="a pool on a GPU"):
        tenure.cuda_core.PoolMemoryResource(tenure.Pool())
    with pytest.raises(TypeError):
        tenure.cuda_core.PoolMemoryResource("cuda:0")
