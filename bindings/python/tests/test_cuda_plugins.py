"""The allocators of GPU libraries: PyTorch (AL-30 to AL-33), CuPy (AL-40, AL-41), RMM (AL-60).

These libraries allocate on a real GPU only. The tests run with stand-ins of the same names and signatures, in ``standins``, in
processes of their own, on the simulated driver. Numba itself runs there: ``cargo xtask sim-peers``.
"""

import itertools
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from tenure import cuda

if not cuda.is_available():
    if os.environ.get("TENURE_TEST_DEVICE"):
        raise RuntimeError("TENURE_TEST_DEVICE is set, and there is no CUDA device")
    pytest.skip("there is no CUDA driver", allow_module_level=True)

STANDINS = pathlib.Path(__file__).parent / "standins"
START = """
import gc, sys
import tenure
from tenure import cuda

def client(name, pool):
    return next((c for c in pool.clients() if c.name == name), None)
"""


def run(code, status=0):
    environment = os.environ | {"PYTHONPATH": str(STANDINS)}
    code = START + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == status and (status or done.stderr == ""), done.stdout + done.stderr
    return done.stdout + done.stderr


def test_al_30_torch_allocates_from_the_default_pool():
    printed = run(
        """
        import torch, tenure.torch
        allocator = tenure.torch.install()
        assert tenure.torch.install() is allocator
        assert isinstance(allocator, torch.cuda.memory.CUDAPluggableAllocator)
        pool = tenure.default_pool("cuda:0")
        streams = [cuda.stream() for _ in range(3)]
        tensors = [torch.cuda.memory.Tensor(1000, stream.native) for stream in streams]
        assert client("torch", pool).live_blocks == 3
        assert tenure.holders_of(tensors[0].data_ptr()).holders[0].name == "torch"
        del tensors
        found = client("torch", pool)
        print(found.live_blocks, found.misuse_count, found.mismatch_count)
        """
    )
    assert printed == "0 0 0\n"


def test_al_30_after_the_first_use_torch_refuses():
    printed = run(
        """
        import torch, tenure.torch
        memory = torch.cuda.memory
        memory.change_current_allocator(memory.CUDAPluggableAllocator(tenure.get_library(), "tn_torch_alloc", "tn_torch_free"))
        kept = memory.Tensor(8)
        before = memory._current
        for on_failure in (None, "throw", "exit"):
            try:
                tenure.torch.install(on_failure)
            except RuntimeError as error:
                print(error)
        assert memory._current is before and tenure.option("torch.on_failure") == "null"
        """
    )
    assert printed == "Can't swap an already initialized allocator\n" * 3


def test_al_30_a_mem_pool_for_a_part_of_a_program():
    run(
        """
        import torch, tenure.torch
        pools = [tenure.Pool("cuda", name=f"part {n}") for n in range(16)]
        tenure.torch.install()
        first = tenure.torch.mem_pool(pools[0])
        assert tenure.torch.mem_pool(pools[0]) is first
        with torch.cuda.use_mem_pool(first):
            inside = torch.cuda.memory.Tensor(5000)
        outside = torch.cuda.memory.Tensor(5000)
        assert client("torch", pools[0]).live_blocks == 1
        assert client("torch", tenure.default_pool("cuda")).live_blocks == 1
        assert tenure.torch.memory_stats(pool=pools[0])["allocated_bytes.all.current"] >= 5000
        del inside
        assert client("torch", pools[0]).live_blocks == 0
        assert len({tenure.torch.mem_pool(pool) for pool in pools[:15]}) == 15
        try:
            tenure.torch.mem_pool(pools[15])
        except RuntimeError as error:
            assert "15 pools" in str(error)
        else:
            raise AssertionError
        try:
            tenure.torch.mem_pool(None)
        except TypeError:
            pass
        else:
            raise AssertionError
        """
    )


def test_al_31_without_the_shim_a_failure_ends_the_process():
    code = """
        import torch, tenure.torch
        tenure.torch._shim_path = lambda: "/nowhere/libtenure_torch.so"
        try:
            tenure.torch.install("throw")
        except RuntimeError as error:
            assert "on_failure='exit'" in str(error)
        tenure.torch.install()
        kept = torch.cuda.memory.Tensor(1000)
        assert client("torch", tenure.default_pool("cuda")).live_blocks == 1
        print("before", flush=True)
        torch.cuda.memory.Tensor(1 << 50)
        """
    printed = run(code, status=-6)
    assert printed.startswith("before\ntenure: tn_torch_alloc: pool ") and "1024 TiB asked" in printed


def test_al_32_the_hook_for_other_streams_is_set():
    run(
        """
        import torch, tenure.torch
        tenure.torch.install()
        s, t = cuda.stream(), cuda.stream()
        tensor = torch.cuda.memory.Tensor(4096, s.native)
        tensor.record_stream(t.native)
        del tensor
        assert client("torch", tenure.default_pool("cuda")).misuse_count == 0
        torch.cuda.memory._current.record(12345, t.native)
        assert client("torch", tenure.default_pool("cuda")).misuse_count == 1
        """
    )


def test_al_33_statistics_under_the_keys_of_torch():
    run(
        """
        import torch, tenure.torch
        assert set(tenure.torch.memory_stats(0).values()) == {0}
        tenure.torch.install()
        tensors = [torch.cuda.memory.Tensor(1000) for _ in range(5)]
        del tensors[2:]
        stats = tenure.torch.memory_stats()
        assert stats["allocation.all.current"] == 2 and stats["allocation.all.allocated"] == 5
        assert stats["allocation.all.freed"] == 3 and stats["requested_bytes.all.current"] == 2000
        assert stats["allocated_bytes.all.peak"] >= 5000 > stats["allocated_bytes.all.current"] >= 2000
        assert stats["reserved_bytes.all.current"] >= stats["allocated_bytes.all.current"] and stats["num_ooms"] == 0
        """
    )


def test_al_40_cupy_allocates_in_the_order_of_its_current_stream():
    printed = run(
        """
        import cupy, tenure.cupy
        pool = tenure.Pool("cuda", name="arrays of cupy", max_size=8 << 20)
        cupy.cuda.set_allocator(tenure.cupy.allocator(pool).malloc)
        own = [cuda.stream() for _ in range(2)]
        s, t = (cupy.cuda.Stream(each.native) for each in own)
        with s:
            first = cupy.cuda.alloc(2 << 20)
        address = first.ptr
        del first
        with s:
            again = cupy.cuda.alloc(2 << 20)
        assert again.ptr == address and client("cupy", pool).live_blocks == 1
        with t:
            other = cupy.cuda.alloc(100)
        del again, other
        try:
            cupy.cuda.alloc(64 << 20)
        except cupy.cuda.memory.OutOfMemoryError as error:
            print(error)
        found = client("cupy", pool)
        assert (found.live_blocks, found.misuse_count, found.failure_count) == (0, 0, 1)
        for wrong, kind in ((tenure.Pool(), ValueError), ("cuda", TypeError)):
            try:
                tenure.cupy.allocator(wrong)
            except kind:
                print(kind.__name__)
        """
    )
    assert printed == (
        "Out of memory allocating 67,108,864 bytes (allocated so far: 0 bytes, limit: 8,388,608 bytes)\nValueError\nTypeError\n"
    )


def test_al_40_the_pair_of_functions_for_c():
    run(
        """
        import ctypes, tenure
        library = ctypes.CDLL(tenure.get_library())
        library.tn_cupy_malloc.restype = ctypes.c_void_p
        pool = tenure.Pool("cuda", name="functions", max_size=8 << 20)
        handle = ctypes.c_void_p(pool.handle)
        block = library.tn_cupy_malloc(handle, ctypes.c_size_t(1000), 0)
        assert client("cupy", pool).live_blocks == 1
        assert library.tn_cupy_malloc(handle, ctypes.c_size_t(1 << 40), 0) is None
        library.tn_cupy_free(handle, ctypes.c_void_p(block), 0)
        assert client("cupy", pool).live_blocks == 0
        """
    )


def test_al_41_page_locked_memory_of_cupy():
    run(
        """
        import cupy, tenure.cupy
        pool = tenure.Pool("cuda_host", name="pinned")
        cupy.cuda.set_pinned_memory_allocator(tenure.cupy.pinned_allocator(pool))
        memory = cupy.cuda.alloc_pinned_memory(5000)
        assert memory.size() == 5000 and tenure.holders_of(memory.ptr).pool_name == "pinned"
        address = memory.ptr
        del memory
        memory = cupy.cuda.alloc_pinned_memory(5000)
        assert memory.ptr == address and client("cupy", pool).live_blocks == 1
        del memory
        assert client("cupy", pool).live_blocks == 0
        tenure.cupy.install()
        both = cupy.cuda.alloc(1000), cupy.cuda.alloc_pinned_memory(0)
        assert client("cupy", tenure.default_pool("cuda")).live_blocks == 1
        assert client("cupy", tenure.default_pool("cuda_host")).live_blocks == 1
        tenure.cupy.uninstall()
        assert cupy.cuda.get_allocator() == cupy.get_default_memory_pool().malloc
        """
    )


def test_al_60_rmm_allocates_in_the_order_of_its_streams():
    printed = run(
        """
        import rmm, tenure.rmm
        pool = tenure.Pool("cuda", name="buffers of rmm", max_size=8 << 20)
        rmm.mr.set_current_device_resource(tenure.rmm.resource(pool))
        own = cuda.stream()
        s = rmm.Stream(own.native)
        first = rmm.DeviceBuffer(2 << 20, s)
        address = first.ptr
        del first
        again = rmm.DeviceBuffer(2 << 20, s)
        assert again.ptr == address and address % 256 == 0 and client("rmm", pool).live_blocks == 1
        try:
            rmm.DeviceBuffer(64 << 20)
        except MemoryError as error:
            print("64 MiB asked" in str(error))
        del again
        found = client("rmm", pool)
        assert (found.live_blocks, found.misuse_count, found.failure_count) == (0, 0, 1)
        assert tenure.rmm.install() is rmm.mr.get_current_device_resource()
        buffer = rmm.DeviceBuffer(100)
        assert client("rmm", tenure.default_pool("cuda")).live_blocks == 1
        """
    )
    assert printed == "True\n"


# What each library does in a program of all of them: the import, an allocation of about 5000 bytes, and where the report lists it.
LIBRARIES = {
    "numpy": ("import numpy", "numpy.zeros(5000, numpy.uint8)", "cpu"),
    "torch": ("import torch", "torch.cuda.memory.Tensor(5000)", "cuda"),
    "cupy": ("import cupy", "(cupy.cuda.alloc(5000), cupy.cuda.alloc_pinned_memory(5000))", "cuda"),
    "rmm": ("import rmm", "rmm.DeviceBuffer(5000)", "cuda"),
}
ORDERS = list(itertools.permutations(LIBRARIES))[::3]


@pytest.mark.parametrize("ends", ["at_exit", "before", "reversed"])
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_al_6_al_10_al_11_all_libraries_in_one_process(order, ends):
    """In several orders of import and of the end: no crash, no leak, and one report that says who holds what (AL-1)."""
    code = "\n".join(LIBRARIES[name][0] for name in order) + "\n"
    code += "here = tenure.install()\nassert tenure.install() is here\nprint(sorted(here.what), here.refused)\n"
    code += "held = [" + ", ".join(LIBRARIES[name][1] for name in order) + "]\n"
    code += """
import json
def blocks():
    pools = tenure.snapshot()["pools"]
    return {(c["name"], p["device"]): c["live_blocks"] for p in pools for c in p["clients"] if c["live_blocks"]}
for pool in tenure.snapshot()["pools"]:
    assert sum(c["live_bytes"] for c in pool["clients"]) == pool["stats"]["in_use_bytes"], pool
found = blocks()
on = {name for name, device in found}
assert on == {"numpy", "torch", "cupy", "rmm"}, found
tenure.report()
"""
    if ends != "at_exit":
        code += "held.reverse()\n" if ends == "reversed" else ""
        code += """
while held:
    held.pop()
gc.collect()
left = {name for name, device in blocks()} - {"numpy"}
assert not left, left
here.uninstall()
"""
    printed = run(code)
    assert printed.startswith("['cupy', 'numpy', 'rmm', 'torch'] {}\n")
    for name in ("numpy", "torch", "cupy", "rmm"):
        assert f" of {name} in pool " in printed or f"blocks of {name}\n" in printed or f"\n  {name} " in printed, printed


def test_al_11_without_the_libraries_only_numpy_is_installed():
    printed = run(
        """
        import sys
        here = tenure.install()
        print(list(here.what), here.refused, [name for name in ("torch", "cupy", "rmm", "numba") if name in sys.modules])
        """
    )
    assert printed == "['numpy'] {} []\n"


def test_al_11_uninstall_restores_what_can_be_restored():
    run(
        """
        import cupy, rmm, tenure
        rmm.mr.set_current_device_resource("before")
        with tenure.install() as here:
            assert set(here.what) == {"numpy", "cupy", "rmm"}
            kept = rmm.DeviceBuffer(10), cupy.cuda.alloc(10)
        assert rmm.mr.get_current_device_resource() == "before"
        assert cupy.cuda.get_allocator() == cupy.get_default_memory_pool().malloc
        del kept
        assert client("cupy", tenure.default_pool("cuda")).live_blocks == 0
        assert client("rmm", tenure.default_pool("cuda")).live_blocks == 0
        """
    )


@pytest.mark.parametrize(
    "name, ends",
    [
        ("pytorch", "PyTorch holds 1 block of the default pool"),
        ("cupy_arrays", "the limit holds: OutOfMemoryError"),
        ("rmm_buffers", "RMM holds 1 block of RAPIDS"),
    ],
)
def test_the_examples_run(name, ends):
    """With the stand-ins. Numba's example runs in ``cuda-sim/peers``."""
    path = pathlib.Path(__file__).parents[3] / f"examples/allocators/{name}.py"
    if not path.exists():
        pytest.skip("the examples are not beside these tests")
    printed = run(path.read_text())
    assert printed.splitlines()[-1] == ends and f" of {name.split('_')[0].removeprefix('py')}" in printed
