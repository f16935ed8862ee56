"""Arrays of GPUs in other processes (IP-20 to IP-24, IP-30)."""

import gc
import io
import multiprocessing
import os
import pickle
import signal
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import tenure
from tenure import cuda

from gpu_fixtures import pools, settled  # noqa: F401

try:
    tenure.shared_pool("cuda:0")
except tenure.Error as error:
    assert error.status == tenure.Status.UNSUPPORTED
    pytest.skip("this GPU shares no memory between processes", allow_module_level=True)

PIECE = 2 << 20


def open_files():
    return len(os.listdir("/proc/self/fd"))


def shared(n, value, name=None):
    x = tenure.shared_empty(n, name=name, device="cuda:0")
    x.fill(value)
    return x


# ---- what runs in another process


def total(x):
    return float(x.copy_to_host().sum()), x.flags.readonly, x.flags.foreign, x.device, x.name


def fill(x, value):
    before = total(x)
    x.fill(value)
    cuda.synchronize()
    return before


def stay_with(x, connection):
    connection.send(total(x)[0])
    signal.pause()


def echo(x):
    return x


def make_and_stay(connection):
    x = shared(1000, 3.0, "theirs")
    connection.send(x)
    signal.pause()


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)


@pytest.fixture(params=["spawn", "forkserver"])
def context(request):
    context = multiprocessing.get_context(request.param)
    if request.param == "forkserver":
        context.set_forkserver_preload([])
    return context


def test_ip_20_ip_30_an_array_in_a_shared_pool_of_a_gpu_is_shared(context):
    x = shared((100, 1000), 1.0, "x")
    with ProcessPoolExecutor(1, mp_context=context) as executor, tenure.no_copies():
        assert executor.submit(fill, x, 2.0).result() == (100000.0, False, True, "cuda:0", "x")
        assert executor.submit(fill, x[:, ::2], 4.0).result()[0] == 100000.0
        # The stream of the receiver waits for the sender's work, and the host does not.
        for value in range(5):
            x.fill(value)
            assert executor.submit(total, x).result()[0] == value * 100000
        x.fill(4.0)
        x[:, 1::2].fill(2.0)
    assert x.copy_to_host().tolist()[7][:3] == [4, 2, 4]


def test_ip_30_other_arrays_of_a_gpu_cross_as_bytes(context):
    x = cuda.to_device(np.ones(100000))
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(fill, x, 9.0).result()[0] == 100000.0
    assert x.copy_to_host().tolist() == [1] * 100000


def test_ip_23_memory_that_a_receiver_has_is_kept_until_it_ends(context):
    pool = tenure.shared_pool("cuda:0")
    pool.trim()
    before, files = pool.stats(), open_files()
    here, there = context.Pipe()
    x = shared(1000, 1.0, "kept")
    process = context.Process(target=stay_with, args=(x, there), daemon=True)
    process.start()
    assert here.recv() == 1000
    process_id = process.pid
    x.release()
    pool.trim()
    out = [entry for entry in tenure.snapshot()["shared_out"] if entry["name"] == "kept"]
    assert pool.stats().shared_out_bytes == before.shared_out_bytes + PIECE
    assert [entry["bytes"] for entry in out] == [PIECE] and process_id in out[0]["importers"]
    text = io.StringIO()
    tenure.report(text)
    assert "kept for other processes: 2 MiB" in text.getvalue() and f"process {process_id}" in text.getvalue()
    kill(process)
    process.close()
    del process
    gc.collect()
    pool.trim()
    assert pool.stats().shared_out_bytes == before.shared_out_bytes
    here.close(), there.close()
    assert open_files() <= files + 1  # the parent's end of the resource sharer may stay


def test_ip_23_an_array_ends_with_the_process_that_made_it(context):
    here, there = context.Pipe()
    process = context.Process(target=make_and_stay, args=(there,), daemon=True)
    process.start()
    x = here.recv()
    copy = x.copy_to_host()
    assert copy.tolist() == [3.0] * 1000
    kill(process)
    with pytest.raises(tenure.Error, match="has ended") as caught:
        x.copy_to_host()
    assert caught.value.status == tenure.Status.DRIVER
    del caught
    assert copy.tolist() == [3.0] * 1000
    assert cuda.to_device(np.ones(3)).copy_to_host().tolist() == [1, 1, 1]
    here.close(), there.close()


def test_what_came_from_another_process_goes_on_as_bytes(context):
    x = shared(1000, 1.0)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        back = executor.submit(echo, x).result()
    back.fill(5.0)
    assert x.copy_to_host().tolist() == [1.0] * 1000


def test_pickles_take_the_bytes_of_a_gpu():
    back = pickle.loads(pickle.dumps(cuda.to_device(np.arange(5.0))))
    assert back.device == "cuda:0" and back.tolist() == [0, 1, 2, 3, 4]
