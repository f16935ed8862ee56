"""Pools, and `with pool:`."""

import threading

import numpy as np
import pytest

import tenure
from tenure import Status


def test_options_and_statistics(refused):
    pool = tenure.Pool(name="small", max_size=1 << 20)
    assert pool.name == "small" and repr(pool) == "<tenure.Pool 'small'>" or '"small"' in repr(pool)
    x = tenure.empty(1000, pool=pool, name="K")
    stats = pool.stats()
    assert stats.live_blocks == 1 and stats.requested_bytes == 8000 and stats.limit_bytes == 1 << 20
    assert stats.reserved_bytes == stats.in_use_bytes + stats.cached_bytes + stats.pending_bytes + stats.overhead_bytes
    kind, text = refused(Status.POOL_LIMIT, tenure.empty, 1 << 20, pool=pool)
    assert issubclass(kind, MemoryError) and "small" in text
    assert x.pool.stats().live_blocks == 1 and x[1:].pool.name == "small"
    y = x.copy(pool=pool)
    peak = pool.stats().peak_requested_bytes
    del y
    assert peak == 16000
    pool.reset_peak()
    assert pool.stats().peak_requested_bytes == 8000
    del x
    assert pool.trim() >= 0 and pool.stats().cached_bytes == 0
    for options in ({"growth_factor": 0.5}, {"alignment": 3}, {"flags": 1 << 20}, {"initial_size": 10, "max_size": 5}):
        refused(Status.INVALID, tenure.Pool, **options)
    with pytest.raises(ValueError):
        tenure.Pool("somewhere")
    with pytest.raises(TypeError):
        tenure.Pool(colour=1)


def test_imported_bytes_have_no_pool(refused):
    refused(Status.FOREIGN, lambda: tenure.asarray(np.zeros(3)).pool)


# PO-62..65
def test_with_pool_nests_and_restores():
    a, b = tenure.Pool(name="a"), tenure.Pool(name="b")
    outside = tenure.empty(10).pool.handle
    with a:
        assert tenure.empty(10).pool.name == "a"
        with b:
            x = tenure.empty(10)
            assert x.pool.name == "b" and tenure.array([1]).pool.name == "b"
            with a:
                assert tenure.empty(10).pool.name == "a"
            assert tenure.current_pool().name == "b"

            def other_thread():
                seen.append(tenure.empty(10).pool.name)
                with a:
                    seen.append(tenure.empty(10).pool.name)

            seen = []
            thread = threading.Thread(target=other_thread)
            thread.start()
            thread.join()
            assert seen == [tenure.default_pool().name, "a"]
        with pytest.raises(KeyError):
            with b:
                raise KeyError
        assert tenure.current_pool().name == "a"
    assert tenure.current_pool().name == tenure.default_pool().name
    with pytest.raises(RuntimeError):
        a.__exit__(None, None, None)
    assert outside
    b.release()
    b.release()
    assert "released" in repr(b) and x.tolist() is not None  # arrays outlive their pool
    with pytest.raises(tenure.OwnershipError):
        tenure.empty(3, pool=b)


# PO-6
def test_arrays_outlive_their_pool():
    pool = tenure.Pool(name="short")
    x = tenure.ones(1000, pool=pool)
    del pool
    assert np.asarray(x).sum() == 1000
