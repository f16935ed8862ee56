"""Tenure's arrays shared with numba-cuda and PyCUDA on the simulated driver, without compilers (CA-1, CA-10, CA-11, PC-1 to PC-9)."""

import ctypes
import gc

import numpy as np
import pytest

tenure = pytest.importorskip("tenure")
from tenure import Why, compat, cuda  # noqa: E402


def numbers(*shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def address(x):
    return x.__cuda_array_interface__["data"][0]


# ---- numba-cuda


@pytest.fixture
def numba():
    return pytest.importorskip("numba.cuda")


# CA-1, CA-5: numba reads and writes the bytes of x
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", "complex64", "complex128"])
def test_numba_takes_an_array(numba, dtype):
    n = numbers(3, 4, dtype=dtype)
    x = cuda.to_device(n)
    d = numba.as_cuda_array(x)
    assert d.shape == (3, 4) and d.dtype == np.dtype(dtype) and d.gpu_data.device_ctypes_pointer.value == address(x)
    assert (d.copy_to_host() == n).all()
    d.copy_to_device(n[::-1].copy())
    assert x.copy_to_host().tolist() == n[::-1].tolist() and x.why_not() == Why.EXPORTED


def test_numba_takes_views(numba):
    n = numbers(6, 8)
    x = cuda.to_device(n)
    for view, expected in ((x[1:, ::2], n[1:, ::2]), (x.T, n.T), (x[2], n[2])):
        d = numba.as_cuda_array(view)
        assert d.shape == expected.shape and d.strides == expected.strides
    managed = cuda.managed_array(5, "float32")
    managed[...] = numbers(5)
    assert numba.as_cuda_array(managed).copy_to_host().tolist() == [0, 1, 2, 3, 4]


# CA-3: numba waits for the stream that the interface names
def test_numba_waits_for_unfinished_work(numba):
    x = cuda.device_array(300000)
    s = cuda.stream()
    for value in range(10):
        x.fill(float(value), stream=s)
    assert (numba.as_cuda_array(x).copy_to_host() == 9.0).all()


# CA-10, CA-13: an array on numba's memory, which keeps numba's array
def test_an_array_of_numba(numba):
    n = numbers(3, 4, dtype=np.float64)
    d = numba.to_device(n)
    for make in (tenure.asarray, tenure.from_cuda_array_interface):
        x = make(d)
        assert x.device == "cuda:0" and x.shape == (3, 4) and address(x) == d.gpu_data.device_ctypes_pointer.value
    x.fill(2.0)
    assert (d.copy_to_host() == 2.0).all()
    assert tenure.asarray(d[:, ::2]).strides == (32, 16)
    del d
    gc.collect()
    assert x.copy_to_host().tolist() == [[2.0] * 4] * 3
    managed = numba.managed_array(4)
    assert tenure.from_cuda_array_interface(managed).device == "cuda_managed:0"


# CA-11
def test_a_stream_of_numba(numba):
    s = numba.stream()
    host = numba.pinned_array(50000)
    host[:] = 5.0
    d = numba.to_device(host, stream=s)
    assert (tenure.asarray(d).copy_to_host() == 5.0).all()


# The same bytes through both libraries, by interface in each direction
def test_a_round_trip_through_numba(numba):
    x = cuda.to_device(numbers(5))
    back = tenure.asarray(numba.as_cuda_array(x), copy=False)
    back.fill(1.0)
    assert x.copy_to_host().tolist() == [1.0] * 5 and address(back) == address(x)


# ---- PyCUDA


@pytest.fixture
def pycuda():
    driver = pytest.importorskip("pycuda.driver")
    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    yield driver
    gc.collect()
    context.pop()


# PC-1, PC-4
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", "complex64", "complex128"])
def test_a_gpuarray_on_an_array(pycuda, dtype):
    n = numbers(3, 4, dtype=dtype)
    x = cuda.to_device(n)
    g = compat.to_gpuarray(x)
    assert (g.shape, g.dtype, g.strides, int(g.gpudata)) == (x.shape, x.dtype, x.strides, address(x))
    assert (g.get() == n).all()
    g.set(n[::-1].copy())
    assert x.copy_to_host().tolist() == n[::-1].tolist()
    part = g[1:]
    x.release()
    del g
    gc.collect()
    assert (part.get() == n[::-1][1:]).all()
    assert compat.to_gpuarray(cuda.device_array((0, 3), dtype)).size == 0


# PC-2, PC-3
def test_strided_gpuarrays(pycuda):
    n = numbers(8)
    half = cuda.to_device(n)[::2]
    with pytest.raises(ValueError):
        compat.to_gpuarray(half)
    assert compat.to_gpuarray(half, copyif=True).get().tolist() == [0, 2, 4, 6]
    assert compat.to_gpuarray(half, strided=True).strides == (8,)


# PC-5
def test_another_context_of_pycuda():
    driver = pytest.importorskip("pycuda.driver")
    driver.init()
    context = driver.Device(0).make_context()
    try:
        with pytest.raises(compat.ConversionError, match="primary context"):
            compat.to_gpuarray(cuda.to_device(numbers(3)))
    finally:
        context.pop()
        context.detach()


# PC-6
def test_an_array_on_a_gpuarray(pycuda):
    from pycuda import gpuarray

    n = numbers(4, 6)
    g = gpuarray.to_gpu(n)
    x = compat.from_gpuarray(g)
    assert address(x) == int(g.gpudata) and x.copy_to_host().tolist() == n.tolist()
    part = compat.from_gpuarray(g[1:, ::2], stream=pycuda.Stream())
    assert part.strides == (24, 8)
    del g
    gc.collect()
    part.fill(7.0)
    cuda.synchronize()
    assert x.copy_to_host()[1, 0] == 7.0
    assert tenure.asarray(gpuarray.to_gpu(n)).tolist() == n.tolist()


# PC-7
def test_gpuarrays_in_a_pool(pycuda):
    from pycuda import gpuarray

    with tenure.Pool("cuda:0", name="pycuda") as pool:
        n = numbers(4, 6)
        g = gpuarray.to_gpu(n, allocator=compat.pycuda_allocator(pool))
        assert pool.stats().requested_bytes == n.nbytes and (g.get() == n).all()
        g.gpudata.free()
        del g
        cuda.synchronize()
        assert pool.stats().requested_bytes == 0


# CN-1: a view with the attributes of CudaNdarray on PyCUDA's memory, and back
def test_a_cudandarray_on_a_gpuarray(pycuda):
    from pycuda import gpuarray

    g = gpuarray.to_gpu(numbers(3, 4, 5))
    c = compat.to_cudandarray(g)
    assert c._strides == (20, 5, 1) and c.gpudata == int(g.gpudata) and tenure.asarray(c).shape == (3, 4, 5)


class _Launch(ctypes.Structure):
    """The struct tenure_sim_launch."""

    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared_bytes", ctypes.c_uint), ("device", ctypes.c_int)]


_KERNEL = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.POINTER(_Launch), ctypes.POINTER(ctypes.c_void_p))


@_KERNEL
def _twice(launch, parameters):
    """__global__ void twice(float *to, const float *from, int n), on the host."""
    addresses = [ctypes.cast(parameters[i], ctypes.POINTER(ctypes.c_uint64))[0] for i in range(2)]
    n = ctypes.cast(parameters[2], ctypes.POINTER(ctypes.c_int))[0]
    driver = ctypes.CDLL("libcuda.so.1")
    driver.tenure_sim_bytes.restype = ctypes.c_void_p
    bytes_of = [driver.tenure_sim_bytes(ctypes.c_uint64(at), ctypes.c_size_t(4 * n), launch.contents.device) for at in addresses]
    if None in bytes_of:
        return 700
    to, from_ = (np.ctypeslib.as_array((ctypes.c_float * n).from_address(at)) for at in bytes_of)
    to[:] = 2 * from_
    return 0


_SOURCE = """
__global__ void twice(float *to, const float *from, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        to[i] = 2 * from[i];
}
"""


def compiled(tmp_path):
    """The kernel of `_SOURCE`, as PyCUDA compiles it. In place of NVIDIA's compiler stands one whose code is the source: the simulator takes
    any image, and runs the host function that is registered by the kernel's name."""
    from pycuda.compiler import SourceModule

    sizes = (ctypes.c_size_t * 3)(8, 8, 4)
    assert ctypes.CDLL("libcuda.so.1").tenure_sim_register_kernel(b"twice", _twice, sizes, ctypes.c_size_t(3), 0) == 0
    nvcc = tmp_path / "nvcc"
    nvcc.write_text('#!/bin/sh\n[ "$1" = --version ] && echo release 13.0 || cp kernel.cu kernel.cubin\n')
    nvcc.chmod(0o700)
    return SourceModule(_SOURCE, nvcc=str(nvcc), cache_dir=False).get_function("twice")


# PC-8
def test_a_kernel_of_pycuda_on_arrays_of_tenure(pycuda, tmp_path):
    twice = compiled(tmp_path)
    n, own = numbers(5, 4), pycuda.Stream()
    s = cuda.external_stream(own.handle)
    x, y = cuda.to_device(n), cuda.device_array((5, 4), "f4")
    with x.on(s) as source, y.on(s, write=True) as to:
        twice(np.uintp(to.pointer), np.uintp(source.pointer), np.int32(20), block=(20, 1, 1), stream=own)
    assert y.copy_to_host().tolist() == (2 * n).tolist()

    # The same on views with the attributes of CudaNdarray.
    source, to = compat.to_cudandarray(y), compat.to_cudandarray(x)
    twice(np.uintp(to.gpudata), np.uintp(source.gpudata), np.int32(20), block=(20, 1, 1))
    pycuda.Context.synchronize()
    del source, to
    gc.collect()
    assert x.copy_to_host().tolist() == (4 * n).tolist()


# PC-9
def test_a_kernel_of_pycuda_in_the_body_of_a_function(pycuda, tmp_path):
    twice = compiled(tmp_path)
    own = pycuda.Stream()
    s = cuda.external_stream(own.handle)
    n = numbers(5, 4)
    w = tenure.shared(cuda.to_device(n), name="w")
    seen = []

    def doubled(x, w):
        y = cuda.device_array(x.shape, "f4")
        with x.on(s) as source, y.on(s, write=True) as to:
            twice(np.uintp(to.pointer), np.uintp(source.pointer), np.int32(20), block=(20, 1, 1), stream=own)
            seen.append(to.pointer)
        return y

    def grow(x, w):
        with w.on(s, write=True) as to:
            twice(np.uintp(to.pointer), np.uintp(to.pointer), np.int32(20), block=(20, 1, 1), stream=own)
            seen.append(to.pointer)

    function = tenure.function(
        doubled, [tenure.In("x", device="cuda:0")], tenure.Out(device="cuda:0"), tenure.Update(w, grow, mutable=True), shared=[w]
    )
    at = address(w.get_value(borrow=True, return_internal_type=True))
    x = cuda.to_device(n + 1)
    y = function(x)
    crossed = function.crossings
    assert seen == [address(y), at] and address(w.get_value(borrow=True, return_internal_type=True)) == at
    assert {crossed.inputs["x"].how, crossed.outputs[0].how, crossed.updates[w].how} == {"aliased"}
    assert y.copy_to_host().tolist() == (2 * n + 2).tolist() and x.copy_to_host().tolist() == (n + 1).tolist()
    assert w.get_value().tolist() == (2 * n).tolist()
    # An argument of the host is moved to the GPU for the kernel.
    z = function(n)
    assert z.copy_to_host().tolist() == (2 * n).tolist() and function.crossings.inputs["x"].why == Why.DEVICE
    assert w.get_value().tolist() == (4 * n).tolist()
