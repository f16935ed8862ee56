"""Pools, and `with pool:`."""

import sys
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
    assert tenure.asarray(np.zeros(3)).pool is None and tenure.zeros(0).pool is None  # PY-27


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


# PO-43, PO-44: a cache that drops its arrays when the pool has no room
def test_pressure_callbacks(refused):
    pool = tenure.Pool(name="tight", max_size=4 << 20)
    cache, calls = [], []

    def drop_one(needed, reason):
        calls.append((needed, reason))
        return cache.pop().nbytes if cache else None

    def broken(needed, reason):
        raise ValueError("broken")

    for _ in range(3):
        cache.append(tenure.empty(1 << 20, "uint8", pool=pool))
    pool.on_pressure(drop_one)
    refused(Status.DUPLICATE, pool.on_pressure, drop_one)
    a = tenure.empty(2 << 20, "uint8", pool=pool)
    assert calls == [(2 << 20, "limit")] and len(cache) == 2
    stats = pool.stats()
    assert stats.pressure_count == 1 and stats.oom_count == 0
    # With nothing left it returns 0, and the request fails.
    cache.clear()
    seen = []
    hook, sys.unraisablehook = sys.unraisablehook, seen.append
    try:
        pool.on_pressure(broken)
        refused(Status.POOL_LIMIT, tenure.empty, 8 << 20, "uint8", pool=pool)
    finally:
        sys.unraisablehook = hook
    assert len(calls) == 2 and [str(s.exc_value) for s in seen] == ["broken"]
    pool.off_pressure(drop_one)
    pool.off_pressure(broken)
    refused(Status.RANGE, pool.off_pressure, broken)
    refused(Status.POOL_LIMIT, tenure.empty, 8 << 20, "uint8", pool=pool)
    assert len(calls) == 2
    with pytest.raises(TypeError):
        pool.on_pressure(3)
    # The pool drops its registrations when it ends.
    count = sys.getrefcount(drop_one)
    pool.on_pressure(drop_one)
    assert sys.getrefcount(drop_one) == count + 1
    del a
    pool.release()
    assert sys.getrefcount(drop_one) == count


# PO-35
def test_classes():
    pool = tenure.Pool()
    assert pool.classes() == []
    arrays = [tenure.empty(n, "uint8", pool=pool) for n in (100, 100, 1000, 1 << 20)]
    large, *small = pool.classes()
    assert large.block_bytes == 0 and large.live_blocks == 1 and large.allocation_count == 1
    assert [c.live_blocks for c in small] == [2, 1] and small[0].block_bytes < small[1].block_bytes
    assert sum(c.allocation_count for c in pool.classes()) == pool.stats().allocation_count
    del arrays
    assert sum(c.live_blocks for c in pool.classes()) == 0


# PH-11, PO-3: options as the C API has them
def test_memory_options(refused):
    pool = tenure.Pool(growth_factor=1.0, huge_pages=1)
    x = tenure.zeros(16 << 20, "uint8", pool=pool)
    stats = pool.stats()
    assert stats.huge_bytes == 0 and stats.address_bytes == stats.reserved_bytes
    assert stats.zero_bytes_skipped == x.nbytes
    pool = tenure.Pool(max_growth=1 << 20)
    arrays = [tenure.empty(1 << 20, "uint8", pool=pool) for _ in range(8)]
    assert pool.stats().address_bytes - pool.stats().reserved_bytes < 2 << 20
    del arrays
    refused(Status.INVALID, tenure.Pool, huge_pages=3)


# AR-61
def test_enable():
    before, pool, own = tenure.default_pool(), tenure.Pool(name="enabled"), tenure.Pool(name="own")
    old = tenure.zeros(3)
    pool.enable()
    assert tenure.zeros(3).pool.name == "enabled" and old.pool.name == "default"
    assert tenure.default_pool().stats().serial == pool.stats().serial and pool.device == "cpu"
    names = []
    with own:
        names.append(tenure.zeros(3).pool.name)
        thread = threading.Thread(target=lambda: names.append(tenure.zeros(3).pool.name))
        thread.start()
        thread.join()
    names.append(tenure.zeros(3).pool.name)
    assert names == ["own", "enabled", "enabled"]
    pool.release()
    assert tenure.zeros(3).pool.name == "enabled"
    before.enable()
    assert tenure.zeros(3).pool.name == "default"
    with own:
        pass
    own.enable()
    assert tenure.zeros(3).pool.name == "own"
    before.enable()
    tenure.zeros(3)
    with pytest.raises(tenure.Error):
        pool.enable()


# SP-1, SP-2, SP-3, SP-5, SP-11, SP-14
def test_arrays_beyond_the_limit_are_spilled(refused, tmp_path, capsys):
    pool = tenure.Pool(name="tiles", max_size=8 << 20, spill=tmp_path, spill_limit=1 << 30)
    tiles = [tenure.full(1 << 17, i, dtype="float64", pool=pool, name=f"tile {i}") for i in range(24)]
    stats = pool.stats()
    assert stats.reserved_bytes - stats.spilled_bytes <= 8 << 20 < stats.in_use_bytes
    assert tiles[0].spilled and not tiles[-1].spilled and stats.spill_count > 0 == stats.unspill_count
    assert all(np.all(np.asarray(tile) == i) for i, tile in enumerate(tiles))
    assert not list(tmp_path.iterdir())

    # A view that NumPy keeps pins its array, and says so when there is no room.
    kept = [np.asarray(tile) for tile in tiles[:7]]
    assert pool.spill() == 1 << 20 or pool.stats().spilled_bytes == 17 << 20
    assert not any(tile.spilled for tile in tiles[:7])
    kind, text = refused(Status.POOL_LIMIT, lambda: [np.asarray(tile) for tile in tiles])
    assert issubclass(kind, MemoryError) and '"tiles"' in text and "was spilled" in text
    tenure.report()
    text = capsys.readouterr().out
    assert "MiB spilled to files, limit 8 MiB" in text and 'in pool "tiles"; spilled' in text
    del kept
    tiles[0].set_spillable(False)
    pool.spill()
    assert not tiles[0].spilled and tiles[1].spilled and tiles[1][5] == 1
    tiles.clear()
    assert pool.stats().spilled_bytes == 0
    pool.set_spill(None)
    refused(Status.IO, pool.set_spill, tmp_path / "missing")
    refused(Status.UNSUPPORTED, tenure.zeros(1 << 20).set_spillable, True)
