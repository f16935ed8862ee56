"""Without a driver every call of `tenure.cuda` reports that, and host arrays keep working (PN-13)."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tenure
from tenure import Status, cuda


@pytest.fixture(autouse=True)
def without_driver():
    if cuda.is_available():
        pytest.skip("there is a CUDA driver")


def test_there_is_no_device():
    assert cuda.devices() == [] and not cuda.is_available()


CALLS = {
    "device_array": lambda: cuda.device_array(3),
    "device_array_like": lambda: cuda.device_array_like(np.zeros(3)),
    "to_device": lambda: cuda.to_device(np.zeros(3)),
    "pinned_array": lambda: cuda.pinned_array(3),
    "zeros_pinned": lambda: cuda.zeros_pinned(3),
    "mapped_array": lambda: cuda.mapped_array(3),
    "managed_array": lambda: cuda.managed_array(3),
    "pinned": lambda: cuda.pinned(np.zeros(3)).__enter__(),
    "mapped": lambda: cuda.mapped(np.zeros(3)).__enter__(),
    "stream": lambda: cuda.stream(),
    "default_stream": lambda: cuda.default_stream(),
    "external_stream": lambda: cuda.external_stream(1),
    "current_stream": lambda: cuda.current_stream(),
    "event": lambda: cuda.event(),
    "synchronize": lambda: cuda.synchronize(),
    "memory_info": lambda: cuda.memory_info(),
    "Pool": lambda: tenure.Pool("cuda:0"),
    "empty": lambda: tenure.empty(3, device="cuda:0"),
    "Array.to_device": lambda: tenure.zeros(3).to_device("cuda:0"),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_reports_the_missing_driver(refused, name):
    kind, text = refused(Status.UNSUPPORTED, CALLS[name])
    assert issubclass(kind, NotImplementedError) and "libcuda" in text


def test_managed_calls_need_managed_memory(refused):
    x = tenure.zeros(3)
    refused(Status.UNSUPPORTED, cuda.advise, x, "preferred")
    refused(Status.UNSUPPORTED, cuda.prefetch, x)


def test_copies_between_hosts_work():
    n = np.arange(6.0).reshape(2, 3)
    x = tenure.array(n)
    back = x.copy_to_host()
    assert back.device == "cpu" and np.array_equal(back, n) and not np.shares_memory(back, x)
    into = np.empty((3, 2)).T
    assert x.copy_to_host(into) is into and np.array_equal(into, n)
    x.copy_to_device(n[::-1, ::-1])
    assert np.array_equal(x, n[::-1, ::-1])
    x.wait("write")
    with cuda.defer_cleanup():
        y = tenure.zeros(3, device="cpu")
    assert y.device == "cpu" and [len(part) for part in y.split(2)] == [2, 1]
    with pytest.raises(ValueError):
        tenure.zeros(3, device="cpu", pool=tenure.current_pool())


def test_best_effort_pins_nothing():
    with cuda.pinned(np.zeros(1000), best_effort=True):
        pass
    pool = tenure.Pool("cuda_host", host_flags=cuda.HostFlags.BEST_EFFORT)
    x = tenure.zeros(10, pool=pool)
    assert x.device == "cpu" and not x.flags.pinned
    # Its device is the host, and so is that of its arrays in a block.
    assert pool.device == "cpu"
    with pool, cuda.pinned(np.zeros(10), best_effort=True):
        assert tenure.current_pool().stats().serial == pool.stats().serial
        before = pool.stats().live_blocks
        y = tenure.zeros(10)
        assert pool.stats().live_blocks == before + 1 and y.device == "cpu"
        z = tenure.zeros(10, device="cpu")
        assert pool.stats().live_blocks == before + 2 and z.device == "cpu"
    assert tenure.current_pool().stats().serial != pool.stats().serial


def test_importing_the_package_looks_for_no_driver():
    code = """
        import os, tenure
        files = {os.path.basename(line.rstrip()) for line in open("/proc/self/maps")}
        assert not any(file.startswith("libcuda") for file in files), "a driver was loaded"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
