"""Numba with Tenure's memory manager on the simulated driver: what its own tests leave out (AL-50 to AL-52).

numba-cuda's own tests of memory run with it too: the suite of run.py (AL-53).
"""

import ctypes
import importlib.util
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

cuda = pytest.importorskip("numba.cuda")
tenure = pytest.importorskip("tenure")
from cuda.bindings import driver  # noqa: E402
import tenure.numba  # noqa: E402
from numba.cuda.cudadrv import driver as numba_driver  # noqa: E402
from numba.cuda.cudadrv.driver import device_memory_size  # noqa: E402


@pytest.fixture
def manager():
    manager = cuda.current_context().memory_manager
    manager.reset()
    return manager


def device_pool():
    """The pool of device memory: one that both GPUs can access."""
    return cuda.current_context().memory_manager._device_pool


def numba_in(pool):
    """The statistics of Numba in a pool."""
    return next(client for client in pool.clients() if client.name == "numba")


def test_al_50_each_kind_of_memory_comes_from_a_pool(manager):
    assert type(manager) is tenure.numba.TenureManager and manager.interface_version == 1
    on_device, pinned, managed = cuda.to_device(np.arange(1000.0)), cuda.pinned_array(1000), cuda.managed_array(1000)
    assert (on_device.copy_to_host() == np.arange(1000.0)).all()
    pinned[:] = 2
    managed[:] = 3
    stores = [tenure.holders_of(on_device.__cuda_array_interface__["data"][0]), *map(tenure.owner_of, (pinned, managed))]
    assert [store.holders[0].name for store in stores] == ["numba"] * 3
    pools = device_pool(), tenure.default_pool("cuda_host"), tenure.default_pool("cuda_managed")
    for pool in pools:
        assert numba_in(pool).live_blocks == 1, pool
    del on_device, pinned, managed
    manager.reset()
    for pool in pools:
        found = numba_in(pool)
        assert (found.live_blocks, found.misuse_count, found.failure_count) == (0, 0, 0), pool


def test_al_50_numba_knows_the_sizes_of_its_blocks(manager):
    for array in (cuda.device_array(1000), cuda.mapped_array(1000), cuda.managed_array(1000)):
        assert 8000 <= device_memory_size(array) < 9000
    address, _ = numba_driver.device_extents(cuda.device_array(1000)[500:])
    assert tenure.holders_of(address).address == address


def simulated(name):
    """A number that the simulator counts."""
    value = ctypes.c_uint64()
    assert ctypes.CDLL("libcuda.so.1").tenure_sim_get(name, ctypes.byref(value)) == 0
    return value.value


def test_al_50_the_flags_of_page_locked_memory_are_passed_on(manager):
    portable, mapped, write_combined = 1, 2, 4
    memory = manager.memhostalloc(800, portable=True, wc=True)
    assert tenure.owner_of(np.frombuffer(memory, np.uint8)).pool_name == "numba portable write_combined"
    assert simulated(b"host_alloc_flags") & 7 == portable | write_combined
    memory = manager.memhostalloc(800, mapped=True, portable=True, wc=True)
    assert tenure.owner_of(np.frombuffer(memory, np.uint8)).pool_name == "numba portable mapped write_combined"
    assert simulated(b"host_alloc_flags") & 7 == portable | mapped | write_combined


def test_al_50_mempin(manager):
    array = np.arange(1000.0)
    with cuda.pinned(array):
        assert (cuda.to_device(array).copy_to_host() == array).all()
    with cuda.mapped(array) as on_device:
        assert (on_device.copy_to_host() == array).all()


def test_al_50_the_memory_info_counts_cached_bytes_as_free(manager):
    device_pool().trim()
    before = cuda.current_context().get_memory_info()
    array = cuda.device_array(10 << 20, np.uint8)
    assert cuda.current_context().get_memory_info().free <= before.free - (10 << 20)
    del array
    manager.reset()
    after = cuda.current_context().get_memory_info()
    assert after.free >= before.free and after.total == before.total


def test_al_50_nothing_is_freed_while_cleanup_is_deferred(manager):
    arrays = [cuda.device_array(10) for _ in range(30)]
    with pytest.raises(ZeroDivisionError), cuda.defer_cleanup():
        with cuda.defer_cleanup():
            arrays.clear()
        assert numba_in(device_pool()).live_blocks == 30
        1 / 0
    assert numba_in(device_pool()).live_blocks == 0


def test_al_50_reset_before_the_first_use():
    manager = tenure.numba.TenureManager(context=None)
    manager.reset()
    manager.reset()


def test_al_50_arrays_of_tenure_survive_a_reset(manager):
    own = tenure.cuda.to_device(np.arange(5.0))
    array = cuda.to_device(np.arange(7.0))
    manager.reset()
    assert own.copy_to_host().tolist() == [0, 1, 2, 3, 4]
    del array


def test_al_50_no_handles_for_other_processes(manager):
    array = cuda.device_array(10)
    with pytest.raises(RuntimeError, match="not shared between processes"):
        array.get_ipc_handle()


def test_al_51_a_size_of_0_makes_no_call(manager):
    before = numba_in(device_pool()).allocation_count
    memory = manager.memalloc(0)
    assert int(memory.device_pointer) == 0 and memory.size == 0
    del memory
    assert numba_in(device_pool()).allocation_count == before and not manager.freed.blocks


def test_al_51_memory_is_freed_once_by_any_thread(manager):
    memory = manager.memalloc(1000)
    finalizer = memory._mem._finalizer
    threads = [threading.Thread(target=finalizer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not finalizer.alive and len(manager.freed.blocks) == 1
    manager.reset()
    found = numba_in(device_pool())
    assert found.live_blocks == 0 and found.misuse_count == 0


def test_al_51_memory_that_streams_still_use_is_not_reused(manager):
    streams = [cuda.stream() for _ in range(4)]
    targets = []
    for number in range(60):
        stream = streams[number % 4]
        source, target = cuda.pinned_array(2000), cuda.pinned_array(2000)
        source[:], target[:] = number, -1
        cuda.to_device(source, stream=stream).copy_to_host(target, stream=stream)
        targets.append((number, source, target))
    cuda.synchronize()
    assert all((target == number).all() for number, _, target in targets)


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env=os.environ | environment
    )
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    return done.stdout


def test_al_52_what_is_queued_and_cached_goes_before_a_request_fails():
    printed = run(
        """
import numpy as np, tenure, tenure.numba
from numba import cuda
from numba.cuda.cudadrv.driver import CudaAPIError
pool = tenure.Pool("cuda:0", name="small", max_size=8 << 20)
tenure.numba.install(pool)
assert tenure.numba.install(pool) is tenure.numba.TenureManager
with cuda.defer_cleanup():
    pass
manager = cuda.current_context().memory_manager
cached = [cuda.device_array(1 << 20, np.uint8) for _ in range(6)]
del cached  # fewer than Numba's threshold: queued
assert pool.stats().live_blocks == 6
large = cuda.device_array(7 << 20, np.uint8)
assert pool.stats().live_blocks == 1
try:
    cuda.device_array(7 << 20, np.uint8)
except CudaAPIError as error:
    print(int(error.code), "7 MiB asked" in str(error), '"small"' in str(error))
try:
    tenure.numba.install()
except RuntimeError as error:
    print("before" in str(error))
tenure.numba.uninstall()
""",
        NUMBA_CUDA_MEMORY_MANAGER="default",
    )
    assert printed == f"{int(driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY)} True True\nTrue\n"


def test_al_50_a_handle_for_another_process(tmp_path):
    """Numba opens it there, at the array's own bytes; two arrays share no allocation, and a freed one goes back to the driver."""
    program = tmp_path / "two_processes.py"
    program.write_text(
        """
import multiprocessing, sys
import numpy as np, tenure, tenure.numba
from numba import cuda

def receive(handle, pipe):
    with handle as array:
        pipe.send(array.copy_to_host().tolist())
        array.copy_to_device(np.full(5, 7.0))
    pipe.send("closed")

if __name__ == "__main__":
    try:
        tenure.numba.install(tenure.default_pool("cuda"), ipc=True)
    except ValueError as error:
        print("not both" in str(error))
    assert tenure.numba.install(ipc=True) is tenure.numba.TenureManager
    first, second = cuda.to_device(np.arange(5.0)), cuda.to_device(np.arange(9.0))
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    for array in (first, second[4:]):
        process = context.Process(target=receive, args=(array.get_ipc_handle(), there), daemon=True)
        process.start()
        print(here.recv(), here.recv())
        process.join(60)
    print(first.copy_to_host().tolist(), second.copy_to_host().tolist())
    pool = cuda.current_context().memory_manager._device_pool
    print(pool.stats().reserved_bytes >> 20)
    del first, second, array
    cuda.current_context().memory_manager.reset()
    pool.trim()
    print(pool.stats().reserved_bytes)
"""
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"NUMBA_CUDA_MEMORY_MANAGER": "default"},
    )
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "True",
        "[0.0, 1.0, 2.0, 3.0, 4.0] closed",
        "[4.0, 5.0, 6.0, 7.0, 8.0] closed",
        "[7.0, 7.0, 7.0, 7.0, 7.0] [0.0, 1.0, 2.0, 3.0, 7.0, 7.0, 7.0, 7.0, 7.0]",
        "4",
        "0",
    ]


STANDINS = pathlib.Path(__file__).parents[2] / "bindings/python/tests/standins"


@pytest.mark.parametrize("order", ["numba, torch, cupy, rmm", "rmm, cupy, torch, numba", "torch, numba, rmm, cupy"])
@pytest.mark.parametrize("first", ["tenure", "numpy"])
def test_al_11_beside_other_libraries(order, first):
    """Numba and NumPy with stand-ins for PyTorch, CuPy and RMM: one report names them all, and they end in any order."""
    printed = run(
        f"""
import {first}
import {order}
from numba import cuda
import numpy as np, tenure
here = tenure.install()
assert not here.refused, here.refused
held = [cuda.device_array(5000, np.uint8), np.zeros(5000, np.uint8), torch.cuda.memory.Tensor(5000), cupy.cuda.alloc(5000),
        rmm.DeviceBuffer(5000)]
clients = {{c["name"] for p in tenure.snapshot()["pools"] for c in p["clients"] if c["live_blocks"]}}
print(sorted(clients), len(here.what))
del held[::2]
""",
        NUMBA_CUDA_MEMORY_MANAGER="default",
        PYTHONPATH=str(STANDINS),
    )
    assert printed == "['cupy', 'numba', 'numpy', 'rmm', 'torch'] 5\n"


def test_the_example_runs():
    path = pathlib.Path(__file__).parents[2] / "examples/allocators/numba_arrays.py"
    printed = run(path.read_text(), NUMBA_CUDA_MEMORY_MANAGER="default")
    assert printed.splitlines()[-1] == "Numba's sum is 499500.0" and "block of numba" in printed


def test_m1_numba_takes_a_mirror(manager):
    """The device side of a mirror is what Numba gets; the transfers are counted. What a kernel writes is marked by the program."""
    m = tenure.Mirror(np.arange(6.0))
    device = cuda.as_cuda_array(m)
    assert device.copy_to_host().tolist() == [0, 1, 2, 3, 4, 5] and m.transfers.to_device == 1
    assert cuda.as_cuda_array(m).copy_to_host()[5] == 5 and m.transfers.to_device == 1
    device.copy_to_device(np.full(6, 7.0))
    m.mark_changed("gpu")
    assert np.asarray(m).tolist() == [7.0] * 6 and m.transfers == (1, 1, 48, 48)


# The record from which docs/migration/numba.md is written is that of the installed numba-cuda.
def test_the_record_of_names():
    path = pathlib.Path(__file__).resolve().parents[2] / "bindings" / "python" / "tests" / "numba_names.py"
    spec = importlib.util.spec_from_file_location("numba_names", path)
    names = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(names)
    assert names.of_numba() == names.RECORD.read_text(), "python bindings/python/tests/numba_names.py --record, with this numba-cuda"
