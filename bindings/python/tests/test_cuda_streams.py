"""Streams and events from Python: which calls wait, and what they report (PY-12, ST, TR-10, TR-11).

A driver is needed, the simulated one or a real one: TENURE_TEST_DEVICE=sim|gpu makes its absence a failure. What needs a stream that stands
still runs on the simulated one only, whose streams stop on demand.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import threading
import time
import weakref

import numpy as np
import pytest

import tenure
from tenure import Status, cuda

if not cuda.is_available():
    if os.environ.get("TENURE_TEST_DEVICE"):
        raise RuntimeError("TENURE_TEST_DEVICE is set, and there is no CUDA device")
    pytest.skip("there is no CUDA driver", allow_module_level=True)

simulated = cuda.devices()[0].name == "Tenure simulated device"
only_simulated = pytest.mark.skipif(not simulated, reason="a stream that stands still: on the simulated driver only")
driver = ctypes.CDLL("libcuda.so.1")


@pytest.fixture(scope="module", autouse=True)
def pools():
    """Makes objects that stay after their first use, before a test checks for leaks."""
    cuda.to_device(np.zeros(300000)).copy_to_host()
    cuda.pinned_array(3).release()
    s = cuda.stream()
    cuda.to_device(np.zeros(3), s).copy_to_host(stream=s).wait()


def by_hand(function, *arguments):
    """Calls the driver with the primary context current, as its functions require."""
    device, context, before = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    assert driver.cuDeviceGet(ctypes.byref(device), 0) == 0
    assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0
    assert driver.cuCtxGetCurrent(ctypes.byref(before)) == 0
    assert driver.cuCtxSetCurrent(context) == 0
    try:
        assert getattr(driver, function)(*arguments) == 0
    finally:
        driver.cuCtxSetCurrent(before)
        driver.cuDevicePrimaryCtxRelease_v2(device)


def hold(stream):
    by_hand("tenure_sim_hold", ctypes.c_void_p(stream.native))


def let_go(stream):
    by_hand("tenure_sim_release", ctypes.c_void_p(stream.native))


def set_bytes(view, value, count, stream):
    """Work of another library on a stream."""
    where = ctypes.c_uint64(view.pointer)
    by_hand("cuMemsetD8Async", where, value, ctypes.c_size_t(count), ctypes.c_void_p(stream.native))


@contextlib.contextmanager
def standing(*streams):
    """Blocks the streams until the end of the block."""
    for stream in streams:
        hold(stream)
    try:
        yield
    finally:
        for stream in streams:
            let_go(stream)


@contextlib.contextmanager
def released_later(stream):
    """Blocks the stream until a moment after the block began; reports which thread waited meanwhile."""
    turns = []
    hold(stream)

    def go_on():
        for _ in range(20):
            time.sleep(0.002)
            turns.append(time.monotonic())
        let_go(stream)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield turns
    finally:
        thread.join()


def numbers(*shape):
    return np.arange(np.prod(shape, dtype=float)).reshape(shape)


# cuda.stream(), default_stream, legacy_.., per_thread_default_stream, external_stream(ptr): ST-1, ST-2, ST-4, ST-5
def test_streams():
    s = cuda.stream()
    assert s.native > 2 and s.device == "cuda:0" and repr(s).startswith("<stream 0x")
    assert cuda.legacy_default_stream().native == 1 and cuda.per_thread_default_stream().native == 2
    assert cuda.default_stream().native == 1 == cuda.current_stream().native
    other = cuda.external_stream(s.native)
    assert other.native == s.native and other.handle != s.handle
    other.synchronize()
    cuda.stream(priority=-1, blocking=True).synchronize()
    s.release()
    s.release()
    assert repr(s) == "<released stream>"
    with pytest.raises(tenure.OwnershipError):
        s.synchronize()
    cuda.synchronize()


# ST-4, PD-8: the owner of an imported stream lives as long as the stream's object.
@pytest.mark.parametrize("attribute", [False, True])
def test_an_external_stream_keeps_its_owner(attribute):
    class Owner:
        def __init__(self, version=0):
            self.stream, self.version = cuda.stream(), version

        if attribute:
            __cuda_stream__ = property(lambda self: (self.version, self.stream.native))
        else:

            def __cuda_stream__(self):
                return self.version, self.stream.native

    owner = Owner()
    alive = weakref.ref(owner)
    native = owner.stream.native
    s = cuda.external_stream(owner)
    del owner
    gc.collect()
    assert alive() is not None and s.native == native
    d = cuda.to_device(numbers(4, 4), stream=s)
    s.synchronize()
    del s
    gc.collect()
    assert alive() is None
    assert (d.copy_to_host() == numbers(4, 4)).all()
    with pytest.raises(NotImplementedError, match="version 1"):
        cuda.external_stream(Owner(1))
    with pytest.raises(TypeError):
        cuda.external_stream(object())


# with stream, with stream.auto_synchronize(): ST-3, ST-7
def test_scopes():
    s, t = cuda.stream(), cuda.stream()
    seen = []
    with s as entered:
        assert entered is s and cuda.current_stream().native == s.native
        with t.auto_synchronize() as inner:
            assert inner is t and cuda.current_stream().native == t.native
            thread = threading.Thread(target=lambda: seen.append(cuda.current_stream().native))
            thread.start()
            thread.join()
        assert cuda.current_stream().native == s.native
        with pytest.raises(KeyError), t:
            raise KeyError
        assert cuda.current_stream().native == s.native
        with s, s:
            pass
    assert cuda.current_stream().native == 1 and seen == [1]
    with pytest.raises(RuntimeError):
        s.__exit__(None, None, None)


def test_private_pool():
    """PD-15: another pool serves the requests on a stream until the block ends, also by an exception."""
    served, graphs, s = tenure.Pool("cuda:0"), tenure.Pool("cuda:0", name="graphs"), cuda.stream()
    with served, s:
        with cuda.private_pool(served, graphs, s) as private:
            assert private is graphs
            inside = tenure.zeros(1000, device="cuda:0")
            with pytest.raises(tenure.ArgumentError, match="serves"), cuda.private_pool(served, graphs, s):
                pass
        assert (inside.pool.name, served.stats().live_blocks) == ("graphs", 0)
        with contextlib.suppress(KeyError), cuda.private_pool(served, graphs, s):
            raise KeyError
        assert tenure.zeros(1000, device="cuda:0").pool.name == served.name


def test_a_pool_of_the_driver():
    """PD-17: the backend is an option of the pool."""
    pool = tenure.Pool("cuda:0", backend=tenure.PoolBackend.DRIVER_POOL)
    with pool:
        x = tenure.zeros(1 << 20, device="cuda:0")
    del x
    cuda.synchronize()
    stats = pool.stats()
    assert stats.live_blocks == 0 and stats.cached_bytes >= 8 << 20 and stats.largest_free_bytes == 0
    assert pool.classes() == []
    assert pool.trim() >= 8 << 20
    with pytest.raises(NotImplementedError, match="backend is 2"):
        tenure.Pool(backend=tenure.PoolBackend.DRIVER_POOL)


@only_simulated
@pytest.mark.parametrize("make", [cuda.pinned_array, cuda.managed_array])
def test_buffers_wait_for_device_work(make):
    """CA-24: a buffer of memory that the host reaches comes after the device's work on it; a GPU's memory has none."""
    s, d, x = cuda.stream(), cuda.to_device(np.full(1000, 3.0)), make(1000)
    with released_later(s) as turns:
        d.copy_to_host(x, stream=s)
        assert memoryview(x)[999] == 3.0
    assert len(turns) == 20
    with pytest.raises(BufferError, match="cannot reach"):
        memoryview(d)


@only_simulated
def test_auto_synchronize_waits():
    s = cuda.stream()
    n = cuda.pinned_array(1000)
    n.fill(2)
    with released_later(s) as turns, s.auto_synchronize():
        d = cuda.to_device(n, stream=s)
    assert len(turns) == 20
    assert d.copy_to_host(wait=False, stream=None).tolist() == [2.0] * 1000


# cuda.event, record, wait, elapsed_time: ST-11, ST-12
def test_events():
    s, t = cuda.stream(), cuda.stream()
    start, end = cuda.event(), cuda.event()
    assert start.query()
    start.record(s)
    d = cuda.to_device(numbers(1000), stream=s)
    end.record(s)
    end.wait(t)
    end.synchronize()
    assert end.query() and start.elapsed_time(end) >= 0 and cuda.event_elapsed_time(end, start) <= 0
    with pytest.raises(ValueError):
        cuda.event(timing=False).elapsed_time(end)
    with s:
        end.record()
        end.wait()
    s.synchronize()
    d.release()


@only_simulated
def test_events_measure_time():
    s, t = cuda.stream(), cuda.stream()
    event, behind = cuda.event(), cuda.event()
    with standing(s):
        event.record(s)
        event.wait(t)
        behind.record(t)
        assert not event.query() and not behind.query()
        with pytest.raises(tenure.PendingError):
            event.elapsed_time(behind)
    behind.synchronize()
    assert event.query()


# `await stream.done()`: other tasks run meanwhile
def test_done():
    async def main():
        s = cuda.stream()
        d = cuda.to_device(numbers(100), stream=s)
        assert await s.done() is s
        return d

    assert asyncio.run(main())[99] == 99


@only_simulated
def test_done_lets_other_tasks_run():
    async def main():
        s, steps = cuda.stream(), []

        async def other():
            for step in range(10):
                steps.append(step)
                await asyncio.sleep(0.001)
            let_go(s)

        hold(s)
        await asyncio.gather(s.done(), other())
        return steps

    assert asyncio.run(main()) == list(range(10))


# copies on a stream: the first use waits, or raises PendingError with wait=False (TR-11, PY-12)
def test_asynchronous_copies_are_right():
    s, t = cuda.stream(), cuda.stream()
    for round in range(30):
        n = numbers(50, 20) + round
        d = cuda.to_device(n, stream=s)
        d[::2].fill(round, stream=t)
        n[::2] = round
        back = d.T.copy_to_host(stream=s)
        d.release()
        assert back.device == "cuda_host" and np.array_equal(back, n.T)


@only_simulated
def test_uses_of_pending_arrays():
    s = cuda.stream()
    d = cuda.to_device(numbers(100))
    with standing(s):
        back = d.copy_to_host(stream=s)
        for use in (
            lambda: back.read(wait=False).__enter__(),
            lambda: back.write(wait=False).__enter__(),
            lambda: back.fill(0, wait=False),
            lambda: back.zero(wait=False),
            lambda: back.copy_from(tenure.zeros(100), wait=False),
            lambda: tenure.access(read=back, wait=False).__enter__(),
        ):
            with pytest.raises(tenure.PendingError) as caught:
                use()
            assert caught.value.status == Status.PENDING
            del caught
        with d.read(wait=False):
            pass  # the copy reads, too
    back.wait()
    with back.read(wait=False) as view:
        assert view[99] == 99


@only_simulated
@pytest.mark.parametrize(
    "use",
    [
        lambda x: np.asarray(x).sum(),
        lambda x: x.tolist()[-1],
        lambda x: x[99],
        lambda x: repr(x),
        lambda x: memoryview(x)[99],
        lambda x: x.read().__enter__()[99],
        lambda x: x.wait("write"),
        lambda x: np.from_dlpack(x)[99],
        lambda x: x.copy_to_host()[99],
    ],
)
def test_first_use_waits_and_other_threads_run(use):
    s = cuda.stream()
    d = cuda.to_device(numbers(100))
    with released_later(s) as turns:
        back = d.copy_to_host(stream=s)
        use(back)
        assert len(turns) == 20, "it did not wait, or no other thread ran meanwhile"


@only_simulated
def test_sources_are_kept():
    s = cuda.stream()
    with standing(s):
        n = cuda.pinned_array(1000)
        n.fill(3)
        d = cuda.to_device(n, stream=s)
        n.release()
        other = cuda.pinned_array(1000)
        other.fill(4)
    assert d.tolist() == [3.0] * 1000 and other[0] == 4


@only_simulated
def test_views_of_numpy_are_known():
    """NumPy's view of a pinned array is that array's memory: a copy from it is asynchronous and tracked."""
    s = cuda.stream()
    x = cuda.pinned_array((4, 4))
    x.fill(1)
    with standing(s):
        d = cuda.to_device(np.asarray(x)[::2], stream=s)
        with pytest.raises(tenure.PendingError):
            x.fill(2, wait=False)
    assert d.tolist() == [[1.0] * 4] * 2


# work of other libraries: with x.on(stream)
def test_on_a_stream():
    s, t = cuda.stream(), cuda.stream()
    d = cuda.to_device(np.zeros(100, "u1"))
    with d.on(s, write=True) as view:
        assert not view.readonly and view.nbytes == 100
        set_bytes(view, 7, 50, s)
    assert d.copy_to_host(stream=t).tolist() == [7] * 50 + [0] * 50
    with d.on(t) as view:
        t.release()
        assert view.readonly
    with pytest.raises(KeyError), d.on(s, write=True):
        raise KeyError
    with pytest.raises(tenure.OwnershipError) as caught:
        d.copy_to_host()
    assert caught.value.status == Status.POISONED
    del caught
    d.zero()


@only_simulated
def test_on_a_stream_is_pending():
    s = cuda.stream()
    d = cuda.to_device(np.zeros(100, "u1"))
    with standing(s):
        with d.on(s, write=True) as view:
            set_bytes(view, 7, 100, s)
        with pytest.raises(tenure.PendingError):
            d.read(wait=False).__enter__()
    assert d[99] == 7


# device(i): calls in the block use it; no other library's device changes
def test_device_blocks(refused):
    with cuda.device(0) as block:
        assert repr(block) == "tenure.cuda.device(0)" and cuda.device_array(3).device == "cuda:0"
    refused(Status.DEVICE, cuda.device(99).__enter__)
    assert cuda.device_array(3).device == "cuda:0"


def test_devices():
    listed = cuda.devices()
    assert [device.id for device in listed] == list(range(len(listed)))
    first = listed[0]
    assert first.name and len(first.uuid) == 16 and first.pci_bus_id.count(":") == 2 and first.warp_size == 32
    assert cuda.Features.UNIFIED_ADDRESSING in first.features and first.total_bytes > 0
    info = cuda.memory_info()
    assert info.free + info.used == info.total and info.held >= 0
    assert cuda.memory_info(0).total == cuda.memory_info("cuda:0").total


def test_counters():
    before = cuda.devices()[0]
    d = cuda.to_device(numbers(1000))
    d.copy_to_host()
    after = cuda.devices()[0]
    assert after.to_device_bytes - before.to_device_bytes == 8000 == after.to_host_bytes - before.to_host_bytes


def test_threads():
    def work(seed, failures):
        try:
            s = cuda.stream()
            for round in range(20):
                n = np.full((10, 30), seed * 100.0 + round)
                d = cuda.to_device(n, stream=s)
                assert np.array_equal(d[:, ::3].copy_to_host(stream=s), n[:, ::3])
        except BaseException as error:
            failures.append(error)

    failures = []
    threads = [threading.Thread(target=work, args=(seed, failures)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# Objects for one CUstream are equal.
def test_streams_are_equal_by_their_custream():
    s, t = cuda.stream(), cuda.stream()
    again = cuda.external_stream(s.native)
    assert s == s == again and hash(s) == hash(again) and s != t and s != s.native
    assert cuda.current_stream() == cuda.legacy_default_stream() != cuda.per_thread_default_stream()
    with s:
        assert cuda.current_stream() == s
    again.release()
    assert again != s and again == again and hash(again) == hash(s)


def test_events_print_and_accept_numbas_default():
    s, e = cuda.stream(), cuda.event()
    assert repr(e) == "<event of cuda:0>"
    with s:
        e.record(0)
        e.wait(0)
    e.synchronize()
    with pytest.raises(TypeError, match="tenure.cuda.external_stream"):
        e.record(5)
    with pytest.raises(ValueError, match="without timing=True"):
        cuda.event(timing=False).elapsed_time(e)


READERS = {
    "copy": lambda x, path: x.copy()[0, 0],
    "to_device": lambda x, path: x.to_device("cpu")[0, 0],
    "save_npy": lambda x, path: (x.save_npy(path), np.load(path)[0, 0])[1],
    "lazy": lambda x, path: (tenure.lazy(x) * 1.0).compute()[0, 0],
    "operand": lambda x, path: (tenure.lazy(tenure.zeros((64, 64))) + x).compute()[0, 0],
    "read": lambda x, path: x[0, 0],
    "asarray": lambda x, path: np.asarray(x)[0, 0],
}


# A reader without `wait=` waits for pending writes, also where the memory was page-locked after the array was made.
@pytest.mark.parametrize("reader", READERS)
def test_readers_wait_for_streams(tmp_path, reader):
    s = cuda.stream()
    d = cuda.device_array((64, 64))
    locked, mine, theirs = cuda.pinned_array((64, 64)), tenure.zeros((64, 64)), np.zeros((64, 64))
    with cuda.pinned(mine), cuda.pinned(theirs):
        for x in (locked, mine, tenure.asarray(theirs)):
            for value in range(1, 15):
                d.fill(value, stream=s)
                d.copy_to_host(x, stream=s)
                assert READERS[reader](x, tmp_path / "x.npy") == value
        del x
        s.synchronize()


# Pools that the package keeps are no leaks.
def test_mapped_arrays_leave_no_pool():
    flags = [dict(), dict(portable=True), dict(wc=True)]
    before = tenure.leaks()
    for options in flags:
        cuda.mapped_array(3, **options).release()
    assert tenure.leaks() == before
