"""Arrays in other processes (IP-30), and pickles."""

import copy
import errno
import gc
import multiprocessing
import multiprocessing.reduction
import os
import pickle
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import tenure


def open_files():
    return len(os.listdir("/proc/self/fd"))


# ---- what runs in another process


def add_one(x):
    """Adds 1 to all elements, and tells what it saw."""
    before = float(np.asarray(x).flat[0])
    with x.write() as view:
        view += 1
    return before, x.name, x.flags.readonly


def total(x):
    return float(np.asarray(x).sum()), x.flags.readonly, x.flags.foreign


def make(n):
    x = tenure.shared_empty(n)
    x.fill(7.0)
    return x


def work(x, queue):
    queue.put(total(x))
    x.fill(5.0)


def wait_with(x, queue):
    queue.put(total(x))
    signal.pause()


def take_and_offer_back(connection):
    """Takes the array that comes, adds 1, and gives it back."""
    x = connection.recv()
    connection.send((x.name, x.flags.readonly, x.flags.foreign))
    with x.write() as view:
        view += 1
    with tenure.Offer(x) as offer:
        connection.send(offer)
        connection.recv()
    connection.send(offer.taken)


@pytest.fixture(params=["spawn", "forkserver"])
def context(request):
    context = multiprocessing.get_context(request.param)
    if request.param == "forkserver":
        context.set_forkserver_preload([])
    return context


def test_ip_30_an_array_in_shareable_memory_is_shared(context):
    x = tenure.shared_empty((100, 1000), name="x")
    x.zero()
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        before, name, readonly = executor.submit(add_one, x).result()
        assert before == 0 and not readonly and name == "x"
        assert executor.submit(add_one, x[:, ::2]).result()[0] == 1
        assert np.asarray(x)[3, :4].tolist() == [2, 1, 2, 1]
        with tenure.no_copies():
            sums = [executor.submit(total, x) for _ in range(4)]
            assert [s.result() for s in sums] == [(150000.0, False, True)] * 4
        # The other process may end before its array does.
        made = executor.submit(make, 1000).result()
    assert np.asarray(made).sum() == 7000


def test_ip_30_other_arrays_are_copied_once(context):
    x, small = tenure.ones(100000, name="x"), tenure.ones(3)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(add_one, x).result()[0] == 1
        assert executor.submit(total, small).result() == (3.0, False, True)  # as bytes, on memory of Python
        assert executor.submit(total, readonly(x)).result()[0] == 100000
    assert np.asarray(x).tolist() == [1] * 100000
    assert any(site.function == "tn_array_export_ipc" for site in tenure.copies())


def test_processes_get_arrays_as_arguments(context):
    x = tenure.shared_empty(50000)
    x.fill(2.0)
    queue = context.Queue()
    process = context.Process(target=work, args=(x, queue))
    process.start()
    assert queue.get(timeout=60) == (100000.0, False, True)
    process.join(60)
    assert process.exitcode == 0 and np.asarray(x)[49999] == 5


def test_ip_8_an_array_is_given_and_given_back(context):
    here, there = context.Pipe()
    process = context.Process(target=take_and_offer_back, args=(there,))
    process.start()
    x = tenure.shared_empty(50000, name="x")
    x.fill(1.0)
    with tenure.no_copies(), tenure.Offer(x) as offer:
        with pytest.raises(tenure.Error, match=r"offered to another process .*; call the end\(\) of the offer$"):
            x.fill(2.0)
        here.send(offer)
        assert here.recv() == ("x", False, False)
    assert offer.taken and offer.end()
    with pytest.raises(tenure.OwnershipError, match="taken by another process"):
        x.shape
    back = here.recv()
    here.send(None)
    assert here.recv() is True
    process.join(60)
    assert np.asarray(back).sum() == 100000 and not back.flags.foreign
    assert tenure.shared_pool().stats().in_use_bytes == 0


def test_ip_8_an_offer_that_nobody_takes():
    x, files = tenure.shared_empty(1000), open_files()
    x.fill(3.0)
    with tenure.Offer(x) as offer:
        with pytest.raises(TypeError, match="multiprocessing"):
            pickle.dumps(offer)
    assert offer.taken is False and np.asarray(x).sum() == 3000
    del offer
    assert open_files() == files
    tenure.Offer(x)  # forgotten: it ends by itself
    x.fill(4.0)
    other = x.clone()
    with pytest.raises(tenure.Error, match="shares its bytes"):
        tenure.Offer(x)
    other.release()
    with pytest.raises(tenure.Error, match="PoolFlags.SHAREABLE"):
        tenure.Offer(tenure.zeros(1000))


def test_a_killed_process_costs_nothing(context):
    x, files = tenure.shared_empty(50000), open_files()
    x.fill(1.0)
    queue = context.Queue()
    process = context.Process(target=wait_with, args=(x, queue))
    process.start()
    assert queue.get(timeout=60)[0] == 50000
    process.kill()
    process.join(60)
    x.fill(3.0)
    assert np.asarray(x).sum() == 150000
    del process, queue
    gc.collect()
    assert open_files() <= files + 2  # the server of multiprocessing


def test_a_read_only_handle_stays_so(context):
    x = tenure.shared_empty(50000)
    x.fill(1.0)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(total, readonly(x)).result() == (50000.0, True, True)
        x.fill(2.0)  # still this process's own
        assert executor.submit(total, readonly(x)).result() == (100000.0, True, True)


def readonly(x):
    """A read-only handle on the bytes of x."""
    return tenure.asarray(np.asarray(x.readonly))


# ---- pickles


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["f8", "i2", "bool", "c8", tenure.bfloat16])
def test_a_pickle_has_the_bytes(protocol, dtype):
    x = tenure.zeros((3, 4), dtype, name="x")
    x[1, 2] = 1
    for source in (x, x.T, x[:, ::2], x[1, 2:3], x[:0], tenure.zeros((), dtype)):
        back = pickle.loads(pickle.dumps(source, protocol))
        assert type(back) is tenure.Array and back.shape == source.shape and back.dtype == source.dtype
        assert back.tobytes() == source.tobytes() and back.name == source.name
        assert back.flags.f_contiguous == source.flags.f_contiguous or not source.flags.c_contiguous
        back.zero()
    assert x.tolist()[1][2] == 1


def test_protocol_5_copies_nothing():
    x = tenure.ones((100, 100))
    buffers = []
    data = pickle.dumps(x, 5, buffer_callback=buffers.append)
    assert len(data) < 500 and len(buffers) == 1
    with tenure.no_copies():
        back = pickle.loads(data, buffers=buffers)
    assert np.shares_memory(np.asarray(back), np.asarray(x))
    parts = [bytearray(buffers[0].raw())]
    back = pickle.loads(data, buffers=parts)
    back.fill(2.0)
    assert parts[0][:8] == np.float64(2).tobytes() and x[0, 0] == 1
    back = pickle.loads(data, buffers=[bytes(parts[0])])
    assert back.flags.readonly and back[0, 0] == 2


def test_copies_of_arrays():
    x = tenure.ones(3, name="x")
    for made in (copy.copy(x), copy.deepcopy(x), copy.deepcopy({"x": x})["x"]):
        made.fill(2.0)
    assert x.tolist() == [1, 1, 1]


def test_arrays_that_pickles_do_not_take():
    x = tenure.ones(3)
    with x.write():
        with pytest.raises(tenure.OwnershipError):
            pickle.dumps(x)
    promise = tenure.give(x)
    with pytest.raises(tenure.OwnershipError):
        pickle.dumps(x)
    tenure.take(promise)


def test_the_pool():
    pool = tenure.shared_pool()
    assert pool is tenure.shared_pool() and pool.name == "shared"
    assert pool.handle not in [holder.id for holder in tenure.leaks()]
    pool.trim(0)  # blocks that earlier tests left
    files = open_files()
    x = tenure.zeros((10, 10), "i4", pool=pool)
    assert open_files() == files + 1
    with pytest.raises(ValueError):
        tenure._tenure._import_ipc(b"nothing", 0, "read")
    del x
    pool.trim(0)  # a block that no other process has may serve another array
    assert open_files() == files


def whole(x):
    """What another process sees beside the elements."""
    return x.name, x.pool, [holder.name for holder in tenure.owner_of(x).holders]


# PY-27, IP-34
def test_name_and_pool_in_another_process(context):
    shared, copied, small = (tenure.shared_empty(10, name="shared"), tenure.zeros(100_000, name="copied"), tenure.zeros(3, name="small"))
    unnamed = tenure.shared_empty(10)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        for x in shared, copied, small:
            assert executor.submit(whole, x).result() == (x.name, None, [x.name])
        assert executor.submit(whole, unnamed).result()[0] == f"(process {os.getpid()})"
        returned = executor.submit(tenure.shared_empty, 10, name="made there").result()
    assert (returned.name, returned.pool) == ("made there", None)
    assert shared.pool.name == "shared" and pickle.loads(pickle.dumps(small)).name == "small"


# PY-21
def test_the_site_of_a_pickle_is_the_programs(context):
    x = tenure.zeros(100_000)
    line = sys._getframe().f_lineno + 1
    multiprocessing.reduction.ForkingPickler.dumps(x)
    here = f"{os.path.basename(__file__)}:{line}"
    sites = [copy.site for copy in tenure.copies() if copy.function == "tn_array_export_ipc"]
    assert any(site.endswith(here) for site in sites), sites
    queue = context.Queue()
    queue.put(x)  # pickled by a thread of multiprocessing's own, on which no line of a program runs
    back = queue.get(timeout=60)
    queue.close()
    queue.join_thread()
    assert not any("multiprocessing" in copy.site for copy in tenure.copies())
    (holder,) = [holder for holder in tenure.owner_of(back).holders if holder.kind == tenure.HolderKind.HANDLE]
    assert os.path.basename(__file__) in holder.site


def test_a_pickle_that_fails_closes_its_descriptor(monkeypatch):
    x = tenure.shared_empty(1000)
    files = open_files()

    def fail(fd):
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(multiprocessing.reduction, "DupFd", fail)
    with pytest.raises(OSError, match="too many"):
        multiprocessing.reduction.ForkingPickler.dumps(x)
    assert open_files() == files


def count_up(x, times):
    """Adds 1 to the first element, so often, each time alone."""
    while times:
        try:
            with x.write(interprocess=True) as view:
                view[0] += 1
                times -= 1
        except tenure.OwnershipError as error:
            assert error.status in (tenure.Status.BORROWED, tenure.Status.BORROWED_WRITE)
            time.sleep(0)


# IP-9: no update of one process is lost to another one.
def test_ip_9_processes_take_turns():
    x = tenure.zeros(1000, pool=tenure.shared_pool())
    context = multiprocessing.get_context("spawn")
    # `start` sends x before it returns, and no thread of an executor while it is written here.
    others = [context.Process(target=count_up, args=(x, 300)) for _ in range(2)]
    for other in others:
        other.start()
    count_up(x, 300)
    for other in others:
        other.join(60)
    assert [other.exitcode for other in others] == [0, 0]
    assert x[0] == 900
    with pytest.raises(tenure.Error) as refused, tenure.zeros(10).read(interprocess=True):
        pass
    assert refused.value.status == tenure.Status.UNSUPPORTED
    del refused
