"""Large copies on an executor's threads: the same bytes, whatever the executor does (TR-2, PH-15)."""

import gc
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

import tenure


class Watched:
    """An executor that records its tasks and runs them as configured."""

    def __init__(self, then):
        self.then, self.tasks = then, []

    def submit(self, task):
        self.tasks.append(task)
        self.then(task)
        return Future()


def turned():
    """A transposition and a plain copy of 8 MiB each, compared with NumPy's."""
    a = np.arange(1 << 20, dtype=float).reshape(1024, 1024)
    x = tenure.array(a)
    assert np.array_equal(np.asarray(x.T.copy()), a.T)
    assert np.array_equal(np.asarray(x.copy()), a)


def test_copies_are_the_same_on_an_executors_threads():
    names = set()

    def noting(task):
        names.add(threading.current_thread().name)
        task()

    with ThreadPoolExecutor(3, thread_name_prefix="runner") as real:
        executor = Watched(lambda task: real.submit(noting, task))
        runner = tenure.Runner(executor, 4)
        with runner:
            turned()
        assert len(executor.tasks) >= 6 and all(name.startswith("runner") for name in names)
        given = len(executor.tasks)
        turned()  # outside of the block
        with tenure.Runner(executor, 4, least_bytes=1 << 30), runner:
            with tenure.Runner(executor, 1):
                turned()
            assert len(executor.tasks) == given
            tenure.zeros(1 << 20).copy()
            assert len(executor.tasks) > given
    assert runner.threads == 4 and runner.least_bytes == 8 << 20


def test_an_executor_that_does_nothing_or_is_late_or_fails(monkeypatch):
    executor = Watched(lambda task: None)
    with tenure.Runner(executor, 3):
        turned()
    # Late tasks: their memory is invalid, so they do nothing.
    for task in executor.tasks:
        task()
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: told.append(error.exc_type))
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with tenure.Runner(closed, 2):
        turned()
    assert set(told) == {RuntimeError}


def test_a_runner_is_its_threads_and_lives_as_long_as_its_block():
    executor = Watched(lambda task: task())
    block = tenure.Runner(executor, 2)
    block.__enter__()
    elsewhere = threading.Thread(target=turned)
    elsewhere.start()
    elsewhere.join()
    assert not executor.tasks
    leave = block.__exit__
    with pytest.raises(RuntimeError):
        tenure.Runner(executor, 2).__exit__()
    del block
    gc.collect()
    turned()
    assert executor.tasks
    leave()
    with pytest.raises(RuntimeError):
        leave()
    with pytest.raises(ValueError):
        tenure.Runner(executor, 0)
    assert "2 threads" in repr(tenure.Runner(executor, 2))
