"""NumPy allocates from Tenure's pools: for a block, or for a program (AL-1, AL-2, AL-6, AL-11, AL-20..23)."""

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tenure

get_handler_name = np._core.multiarray.get_handler_name


@pytest.fixture
def pool():
    made = tenure.Pool(name="arrays of numpy")
    yield made
    made.release()


def numpy_of(pool):
    """The statistics of NumPy in the pool."""
    return next((c for c in pool.clients() if c.name == "numpy"), None)


def pool_of(array):
    store = tenure.owner_of(array)
    return store and store.pool_name


def test_al_20_a_block_sets_the_handler_and_restores_the_previous_one(pool):
    before = get_handler_name()
    with tenure.numpy_allocator(pool) as entered:
        assert entered is pool
        assert get_handler_name() == "tenure arrays of numpy"
        x = np.zeros((100, 100))
        with tenure.numpy_allocator():
            assert get_handler_name() == "tenure default"
            y = np.ones(1000)
        z = np.arange(10)
        with pytest.raises(ZeroDivisionError), tenure.numpy_allocator():
            1 / 0
        assert get_handler_name() == "tenure arrays of numpy"
    assert get_handler_name() == before
    outside = np.zeros(1000)
    assert [pool_of(a) for a in (x, y, z, outside)] == ["arrays of numpy", "default", "arrays of numpy", None]
    assert x.ctypes.data % 64 == y.ctypes.data % 64 == z.ctypes.data % 64 == 0
    assert (x == 0).all() and y.sum() == 1000 and z.tolist() == list(range(10))
    assert numpy_of(pool).live_blocks == 2
    assert sum(c.live_bytes for c in pool.clients()) == pool.stats().in_use_bytes
    del x, z
    assert numpy_of(pool).live_blocks == 0 and numpy_of(pool).live_bytes == 0


def test_al_20_the_same_object_nests_and_other_ends_are_errors(pool):
    block = tenure.numpy_allocator(pool)
    before = get_handler_name()
    with block, block:
        assert get_handler_name() == "tenure arrays of numpy"
    assert get_handler_name() == before
    with pytest.raises(RuntimeError, match="no open `with` block"):
        block.__exit__(None, None, None)


def test_al_20_each_thread_and_each_task_has_its_own(pool):
    def name_there():
        return get_handler_name()

    with tenure.numpy_allocator(pool), ThreadPoolExecutor(1) as threads:
        assert threads.submit(name_there).result() == "default_allocator"
        inherited = contextvars.copy_context()
        assert threads.submit(inherited.run, name_there).result() == "tenure arrays of numpy"

    async def task(own):
        with tenure.numpy_allocator(own):
            await asyncio.sleep(0)
            made = np.zeros(50)
            await asyncio.sleep(0)
            return pool_of(made), get_handler_name()

    async def both():
        return await asyncio.gather(task(pool), task(None), task(pool))

    a, b, c = asyncio.run(both())
    assert a == c == ("arrays of numpy", "tenure arrays of numpy") and b == ("default", "tenure default")
    assert get_handler_name() == "default_allocator"


def test_al_21_arrays_are_freed_to_the_pool_at_any_time_on_any_thread(pool):
    outside = np.zeros(5000)
    with tenure.numpy_allocator(pool):
        inside = [np.full(1000, i) for i in range(20)]
        outside.resize(20_000, refcheck=False)  # goes on with its own handler
        assert pool_of(outside) is None
    inside[0].resize(500_000, refcheck=False)  # so does this one
    assert pool_of(inside[0]) == "arrays of numpy" and inside[0][:1000].tolist() == [0] * 1000
    views = [a[::2] for a in inside]
    seen = numpy_of(pool)
    assert seen.live_blocks == 20

    def drop():
        inside.clear()
        views.clear()
        gc.collect()

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    after = numpy_of(pool)
    assert after.live_blocks == after.misuse_count == after.mismatch_count == 0
    assert pool.stats().misuse_count == 0


def test_al_22_impossible_sizes_are_memory_errors_and_the_old_block_stays():
    small = tenure.Pool(name="small", max_size=4 << 20)
    with tenure.numpy_allocator(small):
        x = np.arange(10_000)
        with pytest.raises(MemoryError):
            np.empty(8 << 20, np.uint8)
        with pytest.raises(MemoryError):
            np.zeros(1 << 60, np.int8)
        with pytest.raises(MemoryError):
            x.resize(10 << 20, refcheck=False)
        assert x.shape == (10_000,) and x.sum() == 49_995_000
        empty = np.empty(0)
        assert empty.size == 0 and pool_of(x) == "small"
    assert numpy_of(small).failure_count == 3
    # AL-2: the pool's last handle is released, arrays stay.
    small.release()
    y = x.copy()
    with pytest.raises(MemoryError):
        x.resize(200_000, refcheck=False)
    assert (x == y).all() and pool_of(x) == "small"


def test_al_2_a_released_pool_is_no_allocator():
    gone = tenure.Pool(name="gone")
    block = tenure.numpy_allocator(gone)
    gone.release()
    before = get_handler_name()
    with pytest.raises(tenure.Error) as caught, block:
        pass
    assert caught.value.status == tenure.Status.STALE and get_handler_name() == before


def test_al_11_the_same_handler_for_one_pool(pool):
    capsules = set()
    for _ in range(3):
        with tenure.numpy_allocator(pool):
            capsules.add(id(tenure._tenure._numpy_get()))
    with pool, tenure.numpy_allocator(tenure.current_pool()):
        capsules.add(id(tenure._tenure._numpy_get()))
    assert len(capsules) == 1


def test_al_23_an_array_from_a_pool_is_found_and_imported_in_place(pool):
    with tenure.numpy_allocator(pool):
        x = np.arange(1000.0)
    store = tenure.owner_of(x[10:20])
    assert (store.pool_name, store.address) == ("arrays of numpy", x.ctypes.data)
    assert [(h.kind, h.name) for h in store.holders] == [(tenure.HolderKind.BLOCK, "numpy")]
    with tenure.no_copies():
        t = tenure.asarray(x)
        n = np.asarray(t)
    assert n.ctypes.data == x.ctypes.data
    del n
    t.release()
    assert pool_of(x) == "arrays of numpy"


# All libraries of a program at once, and back.
def test_al_11_install_turns_on_and_off(pool):
    before = get_handler_name()
    here = tenure.install(pool)
    try:
        assert tenure.install(pool) is here and here.what == {"numpy": np.__version__}
        assert repr(here) == f"<tenure.install(): on for numpy {np.__version__}, pool 'arrays of numpy'>"
        with pytest.raises(ValueError, match="uninstall"):
            tenure.install()
        x = np.zeros(100)
        assert pool_of(x) == "arrays of numpy"
        with tenure.numpy_allocator():
            assert pool_of(np.zeros(100)) == "default"
        assert get_handler_name() == "tenure arrays of numpy"

        # Threads that begin now, however they are made.
        found = []

        class Own(threading.Thread):
            def run(self):
                found.append(pool_of(np.zeros(10)))

        threads = [Own(), threading.Thread(target=lambda: found.append(pool_of(np.zeros(10))))]
        for thread in threads:
            thread.start()
            with pytest.raises(RuntimeError):
                thread.start()
        for thread in threads:
            thread.join()
        with ThreadPoolExecutor(2) as many:
            found += [many.submit(lambda: pool_of(np.zeros(10))).result() for _ in range(4)]
        assert found == ["arrays of numpy"] * 6
        assert "run" not in threads[0].__dict__
    finally:
        here.uninstall()
        here.uninstall()
    assert get_handler_name() == before and repr(here).startswith("<tenure.install(): off")
    assert pool_of(np.zeros(100)) is None and pool_of(x) == "arrays of numpy"
    thread = threading.Thread(target=lambda: found.append(pool_of(np.zeros(10))))
    thread.start()
    thread.join()
    assert found[-1] is None
    with tenure.install(pool):
        assert pool_of(np.zeros(10)) == "arrays of numpy"
    assert pool_of(np.zeros(10)) is None


def test_a_block_that_began_outside_of_install_ends_as_it_began(pool):
    with tenure.numpy_allocator(pool):
        with tenure.install():
            assert get_handler_name() == "tenure default"
        assert get_handler_name() == "tenure arrays of numpy"
    assert get_handler_name() == "default_allocator"


# Two lines in a program make its report list NumPy's memory.
def test_al_6_al_24_the_report_names_numpy():
    printed = run(
        """
        import numpy as np
        import tenure; tenure.install()
        x = np.zeros((1000, 100))
        y = np.ones(10)
        tenure.report()
        pool, = tenure.snapshot()["pools"]
        numpy, = [client for client in pool["clients"] if client["name"] == "numpy"]
        assert numpy["live_blocks"] >= 2 and numpy["misuse_count"] == numpy["mismatch_count"] == 0
        assert sum(client["live_bytes"] for client in pool["clients"]) == pool["stats"]["in_use_bytes"]
        blocks = tenure.snapshot()["blocks"]
        assert {block["client"] for block in blocks} == {"numpy"}
        assert sum(block["bytes"] for block in blocks) == numpy["live_bytes"]
        """
    )
    assert "\n  numpy        78" in printed and " blocks, peak 78" in printed and "blocks of numpy\n" in printed


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=1200, env=os.environ
    )
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    return done.stdout


def test_al_1_al_10_arrays_that_die_with_the_interpreter():
    printed = run(
        """
        import atexit, numpy as np, tenure
        class Late:
            def __del__(self):
                self.x.resize(100_000, refcheck=False)
        pool = tenure.Pool(name="late")
        with tenure.numpy_allocator(pool):
            late = Late()
            late.x = np.zeros(1000)
            cycle = [np.ones(10)]
            cycle.append(cycle)
        atexit.register(lambda: print(int(late.x.sum())))
        tenure.install()
        more = np.zeros(10_000)
        """
    )
    assert printed == "0\n"


def test_al_9_a_child_of_a_fork_goes_on():
    printed = run(
        """
        import os, sys, warnings, numpy as np, tenure
        here = tenure.install()
        x = np.arange(1000)
        child = os.fork()
        if child == 0:
            y = np.concatenate([x, x])
            s = int(y.sum())
            del x, y
            os._exit(0 if s == 999000 else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(x.sum()))
        here.uninstall()
        """
    )
    assert printed == "0 499500\n"
