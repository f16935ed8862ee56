"""Kernels of a GPU from Python: modules, launches, mirrors as arguments (KN-8, KN-10, KN-12, KN-15, MI-12).

The kernels are those of tests/kernels and examples/tiled_matmul. A GPU runs their PTX. The simulated driver runs functions of the host with
the same names, which a library registers.
"""

import ctypes
import pathlib
import runpy
import shutil
import subprocess

import numpy as np
import pytest

import tenure
from gpu_fixtures import pools, settled  # noqa: F401
from tenure import cuda

ROOT = pathlib.Path(__file__).parents[3]
KERNELS, PRODUCT = ROOT / "tests/kernels", ROOT / "examples/tiled_matmul"
if not KERNELS.exists():
    pytest.skip("the kernels are in the repository", allow_module_level=True)


@pytest.fixture(scope="module", autouse=True)
def simulated(tmp_path_factory):
    """Gives the simulated driver the kernels; a real one needs nothing."""
    if "simulated" not in cuda.devices()[0].name:
        return
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed")
    library = tmp_path_factory.mktemp("kernels") / "simulated.so"
    folders = [f"-I{folder}" for folder in (KERNELS, PRODUCT, ROOT / "include", ROOT / "cuda-sim/include")]
    command = [compiler, "-std=c++17", "-O1", "-shared", "-fPIC", *folders, KERNELS / "simulated.cpp", "-o", library]
    subprocess.run(command, check=True, timeout=300)
    ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def kernels():
    return cuda.Module((KERNELS / "kernels.ptx").read_bytes(), name="kernels")


@pytest.fixture(scope="module")
def products():
    return cuda.Module((PRODUCT / "tiled_matmul.ptx").read_text(), name="products")


@pytest.fixture
def add_index(kernels):
    """to[i] = source[i] + i"""
    return kernels.kernel("add_index_1", "out i2[:], in i2[:]")


def test_kn_10_on_a_stream(add_index):
    stream, other = cuda.stream(), cuda.stream()
    x, y = cuda.to_device(np.full(100, 5, "i2"), stream=stream), cuda.device_array(100, "i2")
    add_index[1, 64, stream](y, x)
    add_index[1, 64, other](x, y)  # waits for the first
    del y
    assert np.asarray(x.copy_to_host()).tolist() == [5 + 2 * i for i in range(100)]
    assert not add_index.is_host and repr(add_index) == "<kernel add_index_1(out i2[:], in i2[:])>"


def test_without_a_stream_the_launch_is_done(add_index):
    x, y = cuda.managed_array(50, "i2"), cuda.mapped_array(50, "i2")
    np.asarray(x)[:] = 3
    tenure.launch(add_index, 1, 50, y, x)
    assert np.asarray(y).tolist() == [3 + i for i in range(50)]
    tenure.launch(add_index, 1, 50, x, y, stream=cuda.stream())
    x.wait()
    assert np.asarray(x).tolist() == [3 + 2 * i for i in range(50)]


def test_a_function_of_another_library(kernels):
    x, y = cuda.to_device(np.full(10, 3, "i2")), cuda.device_array(10, "i2")
    kernel = tenure.Kernel(kernels.function("add_index_1"), "out i2[:], in i2[:]", name="add")
    kernel[1, 10](y, x)
    assert np.asarray(y.copy_to_host()).tolist() == [3 + i for i in range(10)]
    assert repr(kernel) == "<kernel add(out i2[:], in i2[:])>" and not kernel.is_host


def test_conflicts_and_reach(add_index, kernels):
    x, y, host = cuda.device_array(10, "i2"), cuda.device_array(10, "i2"), tenure.zeros(10, "i2")
    x.zero()
    stream = cuda.stream()
    with x.on(stream, write=True):
        with pytest.raises(tenure.OwnershipError):
            add_index[1, 10](y, x)
    for status, arguments in (("DEVICE", (y, host)), ("ALIASED", (x, x)), ("SHAPE", (y, x.reshape(2, 5)))):
        with pytest.raises(tenure.Error, match="arg") as caught:
            add_index[1, 10](*arguments)
        assert caught.value.status == tenure.Status[status]
    with pytest.raises(tenure.Error) as caught:
        add_index[1, 10, None, 1 << 30](y, x)
    assert caught.value.status == tenure.Status.LIMIT
    del caught
    with pytest.raises(tenure.ArgumentError, match="no_kernel"):
        kernels.kernel("no_kernel", "")[1, 1]()
    y.release()
    with pytest.raises(tenure.OwnershipError):
        add_index[1, 10](y, x)


def test_mi_12_mirrors_move_only_when_needed(add_index):
    m, y = tenure.Mirror(np.zeros(20, "i2"), name="m"), tenure.Mirror(shape=20, dtype="i2", where="gpu")
    for _ in range(3):
        add_index[1, 20](y, m)
        add_index[1, 20](m, y)
    assert m.transfers[:2] == (1, 0) and y.transfers[:2] == (0, 0)
    assert np.asarray(m).tolist() == [6 * i for i in range(20)] and m.transfers[:2] == (1, 1)
    with pytest.raises(tenure.Error) as caught:
        add_index[1, 20](m, m)
    assert caught.value.status == tenure.Status.ALIASED


def test_memory_of_other_libraries(add_index):
    """What has `__cuda_array_interface__` is shared, and stays until the kernel is done."""
    stream, x, y = cuda.stream(), cuda.to_device(np.full(10, 7, "i2")), cuda.device_array(10, "i2")

    class Other:
        def __init__(self, array):
            self.__cuda_array_interface__ = array.__cuda_array_interface__
            self.array = array

    add_index[1, 10, stream](Other(y), Other(x))
    stream.synchronize()
    assert np.asarray(y.copy_to_host()).tolist() == [7 + i for i in range(10)]


def test_block_memory(kernels):
    (ints, doubles), block_bytes = tenure.block_layout([("i4", 64), ("f8", 64)])
    two_types, to = kernels.kernel("two_types", ["out f8[:]", "i8", "i8"]), cuda.device_array(64)
    two_types[1, 64, None, block_bytes](to, ints, doubles)
    assert np.asarray(to.copy_to_host()).tolist() == [1000 + (i + 1) % 64 * 1.5 for i in range(64)]


@pytest.mark.parametrize("name, dtype, tile, threads, layout", [
    ("matmul_static", "f4", 16, 16, None),
    ("matmul_dynamic", "f4", 16, 16, [("f4", 256), ("f4", 256)]),
    ("matmul_f64", "f8", 64, 32, [("f8", 4096), ("f8", 4096)]),
])
def test_kn_15_a_tiled_product(products, name, dtype, tile, threads, layout):
    parameters = f"out {dtype}[:,:], in {dtype}[:,:], in {dtype}[:,:]" + (", i8, i8" if layout else "")
    product, random = products.kernel(name, parameters), np.random.default_rng(0)
    a, b = random.random((40, 30)).astype(dtype), random.random((90, 50)).astype(dtype)
    c, b_there = cuda.device_array((40, 50), dtype), cuda.to_device(b)
    offsets, block_bytes = tenure.block_layout(layout) if layout else ((), 0)
    grid = -(-50 // tile), -(-40 // tile)
    product[grid, (threads, threads), cuda.stream(), block_bytes](c, cuda.to_device(a), b_there[::3], *offsets)
    assert np.allclose(np.asarray(c.copy_to_host()), a @ b[::3], rtol=1e-4)


def test_kn_15_the_example(capsys):
    runpy.run_path(str(PRODUCT / "tiled_matmul.py"))
    said = [f"{name} on a GPU: right" for name in ("matmul_static", "matmul_dynamic", "matmul_f64")]
    assert capsys.readouterr().out.splitlines() == said


@pytest.mark.skipif(not cuda.is_available() or len(cuda.devices()) < 2, reason="there is one GPU")
def test_a_module_is_loaded_where_it_is_needed(kernels):
    add_index = kernels.kernel("add_index_1", "out i2[:], in i2[:]")
    for number in (1, 0):
        with cuda.device(number):
            x, y = cuda.to_device(np.full(10, number, "i2")), cuda.device_array(10, "i2")
            managed = [cuda.managed_array(10, "i2") for _ in range(2)]
        assert x.device == f"cuda:{number}"
        add_index[1, 10](y, x)
        assert np.asarray(y.copy_to_host()).tolist() == [number + i for i in range(10)]
        np.asarray(managed[0])[:] = 4
        with cuda.device(number):
            add_index[1, 10](managed[1], managed[0])
        assert np.asarray(managed[1])[9] == 13
    assert kernels.function("add_index_1", "cuda:1") != kernels.function("add_index_1", "cuda:0")


def test_a_compiler_or_a_sentence():
    source = 'extern "C" __global__ void set(int *to) { *to = 5; }'
    try:
        module = cuda.Module.compile(source, name="set.cu", options=["-DUNUSED"])
    except tenure.UnsupportedError as error:
        assert "nvrtc" in str(error).lower()
        return
    assert module.name == "set.cu"
    with pytest.raises(tenure.FailedError, match="error") as caught:
        cuda.Module.compile("this is no program", name="wrong.cu")
    assert "wrong.cu" in caught.value.log
