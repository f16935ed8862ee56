"""RMM with Tenure's resource on the simulated driver (AL-60). The runtime library refuses this driver, so RMM's device buffers,
which ask it for the current device, are tested with a stand-in: ``bindings/python/tests/test_cuda_plugins.py``.
"""

import gc

import pytest

rmm = pytest.importorskip("rmm")
tenure = pytest.importorskip("tenure")
import tenure.rmm  # noqa: E402
from rmm.pylibrmm.stream import Stream  # noqa: E402


@pytest.fixture
def pool():
    made = tenure.Pool("cuda", name="buffers", max_size=8 << 20)
    yield made
    assert [client.live_blocks for client in made.clients()] == [0]
    made.release()


def rmm_in(pool):
    return next(client for client in pool.clients() if client.name == "rmm")


def test_al_60_blocks_come_from_the_pool(pool):
    resource = tenure.rmm.resource(pool)
    assert isinstance(resource, rmm.mr.CallbackMemoryResource)
    blocks = [resource.allocate(size) for size in (1, 1000, 1 << 20)]
    assert all(block % 256 == 0 for block in blocks) and rmm_in(pool).live_blocks == 3
    assert tenure.holders_of(blocks[1]).holders[0].name == "rmm"
    for block, size in zip(blocks, (1, 1000, 1 << 20)):
        resource.deallocate(block, size)
    assert rmm_in(pool).misuse_count == 0


def test_al_60_in_the_order_of_streams(pool):
    resource = tenure.rmm.resource(pool)
    own = tenure.cuda.stream()

    class Ours:
        def __cuda_stream__(self):
            return (0, own.native)

    stream = Stream(Ours())
    first = resource.allocate(2 << 20, stream)
    resource.deallocate(first, 2 << 20, stream)
    assert resource.allocate(2 << 20, stream) == first
    resource.deallocate(first, 2 << 20, stream)


def test_al_60_without_memory(pool):
    resource = tenure.rmm.resource(pool)
    kept = resource.allocate(4 << 20)
    with pytest.raises(MemoryError, match="64 MiB asked"):
        resource.allocate(64 << 20)
    resource.deallocate(kept, 4 << 20)
    assert rmm_in(pool).failure_count == 1


def test_al_60_adaptors_of_rmm_over_the_resource(pool):
    limited = rmm.mr.LimitingResourceAdaptor(tenure.rmm.resource(pool), allocation_limit=4096)
    block = limited.allocate(2048)
    with pytest.raises(MemoryError):
        limited.allocate(4096)
    limited.deallocate(block, 2048)
    del limited
    gc.collect()
