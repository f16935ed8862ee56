"""Kernels of the host: launches that borrow their arguments, parameters, and block memory (KN-1, KN-2, KN-10, KN-11, KN-13)."""

import ctypes
import gc
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tenure
from tenure import cuda

SOURCE = r"""
#include "tenure_kernel.cuh"

struct pair { int low; double high; };

extern "C" __global__ void axpy(tn_view<double, 1> y, tn_view<const double, 1> x, double a)
{
    const long long i = 1ll * blockDim.x * blockIdx.x + threadIdx.x;
    if (i < y.size())
        y(i) += a * x(i);
}
TN_HOST_KERNEL(axpy);

extern "C" __global__ void transpose(tn_view<float, 2> to, tn_view<const float, 2> from)
{
    to(blockIdx.x, blockIdx.y) = from(blockIdx.y, blockIdx.x);
}
TN_HOST_KERNEL(transpose);

extern "C" __global__ void sizes(tn_view<long long, 1> to)
{
    if (blockIdx.x + blockIdx.y + blockIdx.z + threadIdx.x + threadIdx.y + threadIdx.z)
        return;
    const unsigned all[6] = {gridDim.x, gridDim.y, gridDim.z, blockDim.x, blockDim.y, blockDim.z};
    for (int i = 0; i < 6; i++)
        to(i) = all[i];
}
TN_HOST_KERNEL(sizes);

extern "C" __global__ void values(double *to, signed char a, unsigned long long b, float c, bool d, pair e)
{
    const double all[6] = {double(a), double(b), c, double(d), double(e.low), e.high};
    for (int i = 0; i < 6; i++)
        to[i] = all[i];
}
TN_HOST_KERNEL(values);

extern "C" __global__ void reverse(tn_view<int, 1> to, long long at)
{
    int *all = tn_block_at<int>(at);
    all[threadIdx.x] = to(threadIdx.x);
    tn_block_sync();
    to(threadIdx.x) = all[blockDim.x - 1 - threadIdx.x];
}
TN_HOST_KERNEL(reverse);
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The kernels as functions of the host."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed")
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "kernels.cu").write_text(SOURCE)
    command = [compiler, "-std=c++17", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-I", tenure.get_include()]
    subprocess.run([*command, "-x", "c++", "kernels.cu", "-o", "kernels.so"], cwd=folder, check=True, timeout=120)
    return ctypes.CDLL(str(folder / "kernels.so"))


@pytest.fixture(scope="module")
def axpy(library):
    return tenure.Kernel(library.axpy_host, "inout f8[:], in f8[:], f8")


def test_a_launch_by_brackets_and_by_name(axpy):
    y, x = tenure.zeros(1000), tenure.ones(1000)
    assert axpy[4, 256](y, x, 10) is None
    tenure.launch(axpy, 4, (256, 1, 1), y, x, np.float32(2.5))
    assert np.asarray(y).tolist() == [12.5] * 1000 and axpy.is_host and axpy.name == "axpy_host"
    assert repr(axpy) == "<kernel axpy_host(inout f8[:], in f8[:], f8)>"
    assert repr(axpy[(4, 2), 256]) == f"<{axpy!r}, grid 4 x 2 x 1, block 256 x 1 x 1>"


def test_sizes_have_up_to_three_numbers(library):
    sizes, to = tenure.Kernel(library.sizes_host, "out i8[:]"), tenure.zeros(6, "i8")
    sizes[(5, 3, 2), np.array([4, 2])](to)
    assert np.asarray(to).tolist() == [5, 3, 2, 4, 2, 1]
    for wrong, error in ((0, ValueError), (-1, ValueError), (2**32, ValueError), (2.0, TypeError), ("4", TypeError), (True, TypeError)):
        with pytest.raises(error, match="grid"):
            sizes[wrong, 1]
        with pytest.raises(error, match="block"):
            sizes[1, (1, wrong)]
    with pytest.raises(ValueError, match="4 sizes"):
        sizes[(1, 1, 1, 1), 1]
    for wrong in (5, (1,), (1, 1, None, 0, 0)):
        with pytest.raises(TypeError, match="two to four"):
            sizes[wrong]
    with pytest.raises(TypeError, match="stream must be"):
        sizes[1, 1, 7]
    with pytest.raises(TypeError, match=r"kernel\[grid, block\]"):
        sizes(to)


def test_kn_13_arrays_of_any_strides_and_of_other_libraries(axpy, library):
    transpose = tenure.Kernel(library.transpose_host, ["out f4[:,:]", "in f4[:, :]"])
    n, to = np.arange(12, dtype="f4").reshape(3, 4)[:, ::-1], np.zeros((4, 3), "f4", order="F")
    transpose[(4, 3), 1](to, n)
    assert (to == n.T).all()
    y = np.zeros(10)
    axpy[1, 5](y[::2], np.full(5, 3.0), 1.0)
    assert y.tolist() == [3, 0] * 5
    m = tenure.Mirror(np.ones(5))
    axpy[1, 5](m, y[::2], 2.0)
    assert np.asarray(m).tolist() == [7] * 5 and m.transfers == (0, 0, 0, 0)
    with pytest.raises(tenure.Error, match=r"args\[1\].*2 axes|axes") as caught:
        axpy[1, 5](y, np.zeros((2, 5)), 1.0)
    assert caught.value.status == tenure.Status.SHAPE
    with pytest.raises(tenure.DtypeError, match=r"argument 1 \(in f8\[:\]\) has elements of float32"):
        axpy[1, 5](y, np.zeros(10, "f4"), 1.0)
    with pytest.raises(tenure.DtypeError, match="argument 0"):
        axpy[1, 5](tenure.Mirror(np.zeros(3, "i4")), y, 1.0)
    with pytest.raises(ValueError, match="argument 1.*copy"):
        axpy[1, 5](y, [1.0, 2.0], 1.0)
    with pytest.raises(tenure.Error) as caught:
        axpy[1, 5](y, 1.0)
    assert caught.value.status == tenure.Status.COUNT and "3 parameters, and got 2 arguments" in str(caught.value)


def test_values_of_each_kind(library):
    pair = np.dtype([("low", "i4"), ("high", "f8")], align=True)
    kernel = tenure.Kernel(library.values_host, ["out f8*", "i1", np.uint64, "float32", bool, pair])
    to = tenure.zeros(6)
    kernel[1, 1](to, -128, 2**63, 0.5, True, (7, 1.25))
    assert np.asarray(to).tolist() == [-128, 2.0**63, 0.5, 1, 7, 1.25]
    kernel[1, 1](to, np.int64(5), np.uint8(6), np.float64(7), np.bool_(False), np.array((1, 2.0), pair))
    assert np.asarray(to).tolist() == [5, 6, 7, 0, 1, 2]
    for arguments, error, text in (
        ((128, 0, 0, 0, (0, 0)), OverflowError, r"argument 1 \(i1\): 128 is out of bounds"),
        ((0, -1, 0, 0, (0, 0)), OverflowError, "argument 2"),
        ((1.5, 0, 0, 0, (0, 0)), TypeError, r"argument 1 \(i1\) is a float"),
        ((0, 0, "a", 0, (0, 0)), ValueError, r"argument 3 \(float32\)"),
        ((0, 0, 1e300, 0, (0, 0)), OverflowError, "argument 3"),
        ((0, 0, 0, 0, [(0, 0), (1, 1)]), TypeError, "argument 5 .* not one value"),
    ):
        with pytest.raises(error, match=text):
            kernel[1, 1](to, *arguments)
    assert np.asarray(to).tolist() == [5, 6, 7, 0, 1, 2]
    with pytest.raises(tenure.Error) as caught:
        kernel[1, 1](tenure.zeros(12)[::2], 0, 0, 0, 0, (0, 0))
    assert caught.value.status == tenure.Status.LAYOUT
    with pytest.raises(TypeError, match=r"m.gpu\(\)"):
        kernel[1, 1](tenure.Mirror(np.zeros(6)), 0, 0, 0, 0, (0, 0))


def test_kn_10_a_launch_borrows_its_arguments(axpy):
    y, x = tenure.zeros(8, name="y"), tenure.ones(8, name="x")
    with y.read():
        with pytest.raises(tenure.OwnershipError, match="y"):
            axpy[1, 8](y, x, 1.0)
    with x.write():
        with pytest.raises(tenure.OwnershipError, match="x"):
            axpy[1, 8](y, x, 1.0)
    with x.read():
        axpy[1, 8](y, x, 1.0)
    assert np.asarray(y).tolist() == [1] * 8
    with pytest.raises(tenure.ReadOnlyError):
        axpy[1, 8](y.readonly, x, 1.0)
    n = np.zeros(8)
    n.flags.writeable = False
    with pytest.raises(tenure.ReadOnlyError):
        axpy[1, 8](n, x, 1.0)
    axpy[1, 8](y, n, 1.0)
    promise = tenure.give(y)
    with pytest.raises(tenure.OwnershipError, match="given"):
        axpy[1, 8](y, x, 1.0)
    assert np.asarray(tenure.take(promise)).tolist() == [1] * 8


def test_kn_11_overlapping_arguments(axpy, library):
    y = tenure.ones(8)
    with pytest.raises(tenure.Error, match="overlap") as caught:
        axpy[1, 8](y, y, 1.0)
    assert caught.value.status == tenure.Status.ALIASED and np.asarray(y).tolist() == [1] * 8
    allowed = tenure.Kernel(library.axpy_host, "alias inout f8[:], alias in f8[:], f8")
    allowed[1, 8](y, y, 1.0)
    assert np.asarray(y).tolist() == [2] * 8
    clone = y.clone()
    unique = tenure.Kernel(library.axpy_host, "unique inout f8[:], in f8[:], f8")
    with pytest.raises(tenure.OwnershipError):
        unique[1, 8](y, np.ones(8), 1.0)
    cow = tenure.Kernel(library.axpy_host, "cow inout f8[:], in f8[:], f8")
    cow[1, 8](y, np.ones(8), 1.0)
    assert np.asarray(y).tolist() == [3] * 8 and np.asarray(clone).tolist() == [2] * 8


def test_nothing_stays_borrowed(axpy):
    n = np.ones(8)
    before = len(tenure.leaks())
    axpy[1, 8](n, np.ones(8), 1.0)
    with pytest.raises(tenure.Error):
        axpy[1, 8](n, n, 1.0)
    gc.collect()
    assert len(tenure.leaks()) == before
    n.resize(20, refcheck=True)  # raises if somebody still has its memory


@pytest.mark.parametrize(
    "parameter, text",
    [
        ("in f8", "a value has no access"),
        ("f8[:]", 'needs "in", "out" or "inout"'),
        ("f8*", 'needs "in", "out" or "inout"'),
        ("alias f8[:]", "is missing"),
        ("in out f8[:]", "two accesses"),
        ("inn f8[:]", "'inn'|\"inn\" is unknown"),
        ("in f8[:", "open"),
        ("in f8[3]", "colon"),
        ("in f8[]", "colon"),
        ("in f8[:,:,:,:,:,:,:,:,:]", "9 axes"),
        ("in double8[:]", "element type"),
        ("in f8*[:]", "a star and brackets"),
        ("i4,,f8", "empty"),
        ([np.dtype("U3")], "no type of numbers"),
        ([""], "empty"),
    ],
)
def test_parameters_that_are_none(library, parameter, text):
    with pytest.raises(ValueError, match=text):
        tenure.Kernel(library.axpy_host, parameter)


def test_what_is_no_kernel(library):
    for wrong in (None, 0, True, "axpy", 2.5j):
        with pytest.raises(TypeError, match="CUfunction"):
            tenure.Kernel(wrong, "")
    with pytest.raises(TypeError, match="parameters are a text"):
        tenure.Kernel(library.axpy_host, 5)
    with pytest.raises(ValueError, match="host"):
        tenure.Kernel(library.axpy_host, "", host=False)
    with pytest.raises(TypeError):
        tenure.launch(library.axpy_host, 1, 1)
    address = ctypes.cast(library.sizes_host, ctypes.c_void_p).value
    by_address, to = tenure.Kernel(address, "out i8[:]", host=True, name="sizes"), tenure.zeros(6, "i8")
    by_address[1, 1](to)
    assert np.asarray(to).tolist() == [1] * 6 and repr(by_address) == "<kernel sizes(out i8[:])>"


def test_block_memory(library):
    (at, _), block_bytes = tenure.block_layout([("i4", 100), ("f8", 3)])
    reverse, to = tenure.Kernel(library.reverse_host, "inout i4[:], i8"), tenure.asarray(np.arange(100, dtype="i4"))
    reverse[1, 100, None, block_bytes](to, at)
    tenure.launch(reverse, 1, 50, to[:50], at, block_bytes=block_bytes)
    assert np.asarray(to).tolist() == [*range(50, 100), *range(49, -1, -1)]
    with pytest.raises(tenure.ArgumentError, match="-1"):
        reverse[1, 100, None, -1](to, at)


def test_kn_1_kn_2_the_layout_of_block_memory():
    layout = tenure.block_layout
    assert layout([("i1", 3), (np.float64, 7), (np.dtype("f4"), 5)]) == ((0, 8, 64), 84)
    assert layout([("u1", 1), ("f4", 4, 128), (tenure.bfloat16, 1)]) == ((0, 128, 144), 146)
    assert layout(item for item in ()) == ((), 0)
    with pytest.raises(tenure.ArgumentError, match="-1"):
        layout([("f4", -1)])
    with pytest.raises(tenure.ArgumentError, match="3"):
        layout([("f4", 1, 3)])
    for wrong in (["f4"], [("f4",)], [("f4", 1, 2, 3)]):
        with pytest.raises(TypeError, match="an item is"):
            layout(wrong)


def test_a_runner_spreads_the_blocks(axpy):
    y, x = tenure.zeros(1 << 20), tenure.ones(1 << 20)
    with ThreadPoolExecutor(2) as executor, tenure.Runner(executor, 3):
        for _ in range(3):
            axpy[1 << 12, 256](y, x, 1.0)
    assert (np.asarray(y) == 3).all()


def test_threads_launch_at_once(axpy):
    x = tenure.ones(64)

    def many(_):
        y = tenure.zeros(64)
        for _ in range(200):
            axpy[1, 64](y, x, 1.0)
        return np.asarray(y).tolist() == [200] * 64

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(many, range(8)))


def test_modules_without_a_gpu():
    module = cuda.Module("//\n.version 7.0\n.target sm_70\n.address_size 64\n", name="empty")
    assert repr(module) == '<module "empty">' and module.name == "empty" and module.log == ""
    kernel = module.kernel("nothing", "f8")
    assert repr(kernel) == "<kernel nothing(f8)>" and not kernel.is_host
    if not cuda.is_available():
        with pytest.raises(tenure.UnsupportedError):
            kernel[1, 1](0.0)
        with pytest.raises(tenure.UnsupportedError):
            module.function("nothing")
    module.release()
    module.release()
    assert repr(module) == '<released module "empty">'
    with pytest.raises(tenure.OwnershipError, match="released"):
        kernel[1, 1](0.0)
    for wrong in (b"no image", "", b"\x7fELF"):
        with pytest.raises(tenure.ArgumentError):
            cuda.Module(wrong)
    with pytest.raises(TypeError, match="open"):
        cuda.Module(5)
