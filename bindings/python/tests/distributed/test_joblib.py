"""Arrays in joblib's processes, which loky starts."""

import gc
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

import tenure

LIMIT = 60
tenure.shared_pool()  # stays


@pytest.fixture(scope="module", autouse=True)
def workers():
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def copied():
    return sum(site.count for site in tenure.copies())


def open_files():
    return len(os.listdir("/proc/self/fd"))


def run(tasks):
    return Parallel(n_jobs=2, timeout=LIMIT)(tasks)


def add(x, value):
    """In a worker: adds to all elements, and tells what it saw."""
    with x.write() as view:
        view += value
    return os.getpid(), x.flags.readonly, x.flags.foreign, x.name


def total(x):
    return float(np.asarray(x).sum()), x.flags.readonly, sum(site.count for site in tenure.copies())


def make(n):
    x = tenure.shared_empty(n, name="made")
    x.fill(7.0)
    return x


def end(x):
    os.kill(os.getpid(), signal.SIGKILL)


# IP-30: loky's workers get shareable memory itself, as multiprocessing's do.
def test_ip_30_an_array_in_shareable_memory_is_shared_with_loky():
    x = tenure.shared_empty((4, 50_000), name="x")
    x.zero()
    with tenure.no_copies():
        told = run(delayed(add)(x[at], at + 1.0) for at in range(4))
    assert np.asarray(x)[:, [0, -1]].tolist() == [[1, 1], [2, 2], [3, 3], [4, 4]]
    for pid, readonly, foreign, name in told:
        assert pid != os.getpid() and not readonly and foreign and f"(process {os.getpid()})" in name


def test_results_are_shared():
    before = copied()
    made = run(delayed(make)(50_000) for _ in range(3))
    assert [float(np.asarray(x).sum()) for x in made] == [350_000.0] * 3
    assert all(x.flags.foreign for x in made) and copied() == before


# IP-8: an offer goes to one worker, which has the array then.
def test_an_offer_is_taken_by_a_worker():
    x = tenure.shared_empty(1000)
    x.fill(1.0)
    with tenure.Offer(x) as offer:
        [(process, readonly, _, _)] = run([delayed(add)(offer, 1.0)])
    assert offer.taken and process != os.getpid() and not readonly


def test_other_arrays_are_private_copies():
    x, small = tenure.ones(50_000), tenure.ones(3)
    before = copied()
    run([delayed(add)(x, 1.0)])
    assert copied() == before + 1 and x[0] == 1
    run([delayed(add)(small, 1.0)])
    assert copied() == before + 1 and small[0] == 1


def test_a_read_only_handle_stays_so():
    x = tenure.shared_empty(50_000)
    x.fill(1.0)
    readonly = tenure.asarray(np.asarray(x.readonly))
    (told,) = run([delayed(total)(readonly)])
    assert told[:2] == (50_000.0, True)
    del readonly
    x.fill(2.0)


def test_a_killed_worker_costs_the_array_nothing():
    x = tenure.shared_empty(50_000)
    x.fill(1.0)
    with pytest.raises(TerminatedWorkerError):
        run([delayed(end)(x)])
    x.fill(2.0)
    assert run([delayed(total)(x)])[0][0] == 100_000


def test_no_descriptor_stays_open():
    x = tenure.shared_empty(50_000)
    x.fill(1.0)
    run(delayed(total)(x) for _ in range(4))
    gc.collect()
    before = open_files()
    for _ in range(3):
        run(delayed(total)(x) for _ in range(8))
    gc.collect()
    assert open_files() <= before + 2


ORDERS = ["import tenure, joblib", "import joblib, tenure", "import joblib.externals.loky, tenure"]


@pytest.mark.parametrize("imports", ORDERS)
def test_any_order_of_imports_registers(imports):
    code = f"""{imports}
from joblib.externals.loky.backend import reduction
print(reduction._dispatch_table[tenure.Array].__module__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT)
    assert (done.stdout, done.stderr) == ("tenure._processes\n", "")
