"""`tenure.compat`: arrays shared with PyCUDA, CUDAMat, gnumpy and CudaNdarray (PC, CM-7, GN, CN), with stand-ins for these libraries."""

import ctypes
import gc
import pathlib
import sys
from collections import Counter

import numpy as np
import pytest
from gpu_fixtures import pools, settled  # noqa: F401

import tenure
from tenure import Status, Why, compat, cuda

import gpu_matrix
import older_libraries


@pytest.fixture
def modules(monkeypatch):
    """The stand-ins, importable by the libraries' names."""
    library = older_libraries.cudamat()
    found = {"cudamat": library, "gnumpy": older_libraries.gnumpy(library), **older_libraries.pycuda()}
    for name, module in found.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield found
    compat._owners.clear()
    gc.collect()


numbers, pointer, on_gpu = gpu_matrix.numbers, gpu_matrix.address, cuda.to_device


def refused(function, *arguments, **options):
    with pytest.raises(compat.ConversionError) as caught:
        function(*arguments, **options)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, TypeError)
    return str(caught.value)


# PC-1, PC-4
def test_a_gpuarray_shares(modules):
    for dtype in "bool int8 uint16 int64 float16 float32 float64 complex64 complex128".split():
        x = on_gpu(numbers(3, 4, dtype=dtype))
        g = compat.to_gpuarray(x)
        assert (g.shape, g.dtype, g.strides, int(g.gpudata)) == (x.shape, x.dtype, x.strides, pointer(x))
    x = on_gpu(numbers(3, 4))
    g = compat.to_gpuarray(x)
    part = g[1:]
    assert x.why_not() == Why.EXPORTED
    older_libraries.call("cuMemsetD32_v2", ctypes.c_uint64(part.gpudata), 0, ctypes.c_size_t(8))
    assert x.copy_to_host().tolist() == [[0, 1, 2, 3], [0] * 4, [0] * 4]
    x.fill(2.0)
    del g
    assert x.why_not() == Why.EXPORTED
    del part
    cuda.synchronize()
    assert x.why_not() == 0
    none = compat.to_gpuarray(cuda.device_array((0, 3), "float32"))
    assert none.gpudata is None and none.shape == (0, 3)
    refused(compat.to_gpuarray, cuda.device_array(3, "bfloat16"))


# PC-1: reads=True
def test_a_reader_of_a_read_only_array(modules, refused):
    x = on_gpu(numbers(4))
    g = compat.to_gpuarray(x, reads=True)
    refused(Status.EXPORTED, x.fill, 1.0)
    del g
    wide = on_gpu(numbers(1)).broadcast_to(4)
    with pytest.raises(compat.ConversionError):
        compat.to_gpuarray(wide, strided=True)
    assert compat.to_gpuarray(wide, strided=True, reads=True).strides == (0,)


# PC-2, PC-3
def test_strided_arrays_are_copied_on_request(modules):
    x = on_gpu(numbers(8))
    half = x[::2]
    assert "strided=True" in refused(compat.to_gpuarray, half)
    g = compat.to_gpuarray(half, copyif=True)
    assert int(g.gpudata) != pointer(half) and half.why_not() == Why.SHARED
    back = compat.from_gpuarray(g)
    assert back.tolist() == [0, 2, 4, 6]
    back.fill(9.0)
    assert half.copy_to_host().tolist() == [0, 2, 4, 6]
    g = compat.to_gpuarray(half, strided=True)
    assert g.strides == (8,) and int(g.gpudata) == pointer(half)
    assert "cuda" in refused(compat.to_gpuarray, tenure.zeros(3)) and refused(compat.to_gpuarray, numbers(3))
    refused(compat.to_gpuarray, tenure.zeros(3), copyif=True)
    refused(compat.to_gpuarray, [1, 2])


def told():
    """What the copy book has of the layouts that exports at lines of this file could not share."""
    here = pathlib.Path(__file__).name
    copies = [copy for copy in tenure.copies() if copy.site and here in copy.site and (copy.why, copy.forced) == (Why.LAYOUT, True)]
    return Counter(count=sum(copy.count for copy in copies), bytes=sum(copy.bytes for copy in copies))


# PC-10
def test_what_copyif_copies_is_told(modules):
    x = on_gpu(numbers(4, 6))
    read_only = on_gpu(numbers(1)).broadcast_to(4, 6)
    cases = [
        (compat.to_gpuarray, x[:, ::2], {}, 48),
        (compat.to_gpuarray, x.T, {}, 96),
        (compat.to_gpuarray, read_only, {}, 96),
        (compat.to_cudamat, x, {}, 96),
        (compat.to_cudamat, x.T, {"transposed": True}, 96),
        (compat.to_garray, x[::2].T, {}, 48),
    ]
    for convert, array, options, size in cases:
        before = told()
        convert(array, copyif=True, **options)
        assert told() - before == Counter(count=1, bytes=size), convert
    # What can be shared is not copied.
    before = told()
    compat.to_gpuarray(x, copyif=True), compat.to_garray(x, copyif=True), compat.to_cudamat(x.T, copyif=True)
    assert told() == before
    with tenure.no_copies():
        assert "would copy" in refused(compat.to_gpuarray, x.T, copyif=True)
    copied = compat.to_cudamat(x[:, ::2], copyif=True)
    assert copied.asarray().tolist() == numbers(4, 6)[:, ::2].tolist()


# PC-5
def test_the_context_of_pycuda(modules, monkeypatch):
    x = on_gpu(numbers(3))
    for name, module in older_libraries.pycuda(primary=False).items():
        monkeypatch.setitem(sys.modules, name, module)
    assert "primary context of GPU 0" in refused(compat.to_gpuarray, x)
    assert x.why_not() == 0


# PC-6, PC-7
def test_a_gpuarray_comes_in(modules):
    with tenure.Pool("cuda:0", name="pycuda") as pool:
        g = older_libraries.GPUArray((3, 4), "float64", compat.pycuda_allocator(pool), strides=(32, 8))
        assert int(g.gpudata) % 256 == 0 and pool.stats().requested_bytes == 96
        x = compat.from_gpuarray(g[::2])
        assert x.shape == (2, 4) and x.strides == (64, 8) and x.dtype == np.float64
        x.fill(1.0)
        for stream in (1, cuda.default_stream()):
            assert compat.from_gpuarray(g, stream=stream)[2].tolist() == [1.0] * 4
        block = g.gpudata
        del g
        assert x.copy_to_host()[1, 3] == 1.0
        del x
        cuda.synchronize()
        block.free()
        block.free()
        cuda.synchronize()
        assert pool.stats().requested_bytes == 0
    refused(compat.from_gpuarray, numbers(3))


# CM-7, CM-2, CM-3
def test_a_cudamatrix_is_the_array_or_its_transpose(modules):
    n = numbers(3, 4)
    f, c = on_gpu(np.asfortranarray(n)), on_gpu(n)
    m = compat.to_cudamat(f)
    assert m.shape == (3, 4) and m.asarray().tolist() == n.tolist() and not m.mat.owns_data
    m.fill(7.0)
    assert f.copy_to_host().tolist() == [[7.0] * 4] * 3
    assert "transposed=True" in refused(compat.to_cudamat, c)
    copy = compat.to_cudamat(c, copyif=True)
    assert copy.asarray().tolist() == n.tolist()
    turned = compat.to_cudamat(c, transposed=True)
    assert turned.shape == (4, 3) and turned.asarray().tolist() == n.T.tolist()
    assert refused(compat.to_cudamat, f, transposed=True)
    assert "float32" in refused(compat.to_cudamat, on_gpu(n.astype("float64")))
    assert "3 axes" in refused(compat.to_cudamat, on_gpu(numbers(2, 3, 4)))
    refused(compat.to_cudamat, tenure.zeros((3, 4), "float32"))


# CM-7, XC-4
def test_slices_and_transposes_of_a_cudamatrix_keep_the_bytes(modules):
    n = numbers(3, 4)
    x = on_gpu(np.asfortranarray(n))
    part, turned = compat.to_cudamat(x).slice(1, 3), compat.to_cudamat(x).T
    x.release()
    gc.collect()
    assert part.asarray().tolist() == n[:, 1:3].tolist()
    assert turned.mat.is_trans == 1 and tenure.leaks()
    del part, turned


def test_a_cudamatrix_comes_in(modules):
    m = modules["cudamat"].empty((3, 4))
    m.fill(3.0)
    x = compat.from_cudamat(m)
    assert x.shape == (3, 4) and x.strides == (4, 12) and x.copy_to_host().tolist() == [[3.0] * 4] * 3
    address = older_libraries.address_of(m.mat.data_device)
    del m
    gc.collect()
    assert address not in older_libraries.CUDAMatrix.freed
    x.fill(4.0)
    del x
    cuda.synchronize()
    gc.collect()
    assert older_libraries.CUDAMatrix.freed.pop() == address
    there = compat.to_cudamat(on_gpu(np.asfortranarray(numbers(2, 3))))
    assert compat.from_cudamat(there).tolist() == numbers(2, 3).tolist()
    there.mat.on_device = 0
    refused(compat.from_cudamat, there)
    refused(compat.from_cudamat, numbers(2, 3))


# GN-1, GN-3, GN-4
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2, 3), (2, 1, 3), (2, 3, 1), (7,), ()])
def test_a_garray_of_any_shape(modules, shape):
    n = numbers(*shape)
    x = on_gpu(n)
    g, second = compat.to_garray(x), compat.to_garray(x)
    assert g.shape == shape and g._base is not second._base
    assert g.as_numpy_array().tolist() == n.tolist() and second._base.shape == (x.size, 1)
    back = compat.from_garray(g)
    assert back.shape == shape and pointer(back) == pointer(x) and back.copy_to_host().tolist() == n.tolist()


# GN-2: gnumpy must not reuse memory that is not its own
def test_gnumpy_does_not_recycle_the_bytes(modules):
    gnumpy = modules["gnumpy"]
    x = on_gpu(numbers(4, 6))
    g = compat.to_garray(x)
    part, turned = g[1:3], g.reshape(6, 4)
    x.release()
    del g
    gc.collect()
    assert part.as_numpy_array().tolist() == numbers(4, 6)[1:3].tolist()
    assert turned.as_numpy_array().shape == (6, 4)
    del part, turned
    gc.collect()
    assert not any(gnumpy._cmsForReuse.values()) and gnumpy.memory_in_use == 0
    own = gnumpy.zeros((2, 2))
    y = compat.from_garray(own)
    y.fill(5.0)
    assert own.as_numpy_array().tolist() == [[5.0] * 2] * 2
    del y
    cuda.synchronize()
    del own
    assert len(gnumpy._cmsForReuse[4]) == 1 and gnumpy.memory_in_use == 16


# GN-1, GN-5
def test_what_gnumpy_cannot_share(modules, monkeypatch):
    x = on_gpu(numbers(4, 6))
    assert "C-contiguous" in refused(compat.to_garray, x[:, ::2])
    assert compat.to_garray(x[:, ::2], copyif=True).as_numpy_array().tolist() == numbers(4, 6)[:, ::2].tolist()
    none = cuda.device_array((0, 3), "float32")
    refused(compat.to_garray, none)
    assert compat.to_garray(none, copyif=True).shape == (0, 3)
    refused(compat.to_garray, on_gpu(numbers(3).astype("int32")))
    refused(compat.from_garray, x)
    own = modules["gnumpy"].zeros((2,))
    monkeypatch.setitem(sys.modules, "gnumpy", older_libraries.gnumpy(None))
    assert "without a GPU" in refused(compat.to_garray, x)
    refused(compat.from_garray, own)


# CN-1, CN-2
def test_a_cudandarray_of_each_library(modules):
    n = numbers(3, 4, 5)
    x = on_gpu(n)
    for obj in (x, compat.to_gpuarray(x), compat.to_garray(x)):
        c = compat.to_cudandarray(obj)
        assert c.shape == (3, 4, 5) and c.ndim == 3 and c.dtype == np.float32 and c.size == 60
        assert c._strides == (20, 5, 1) and c.strides == (80, 20, 4) and c.is_c_contiguous()
        assert c.gpudata == pointer(x) and c.base is obj
    half = x[:, ::2, :1]
    c = compat.to_cudandarray(compat.to_gpuarray(half, strided=True))
    assert c._strides == (20, 10, 0) and not c.is_c_contiguous()
    dense = c.copy()
    assert dense.is_c_contiguous() and tenure.asarray(dense).tolist() == n[:, ::2, :1].tolist()
    m = compat.to_cudamat(on_gpu(np.asfortranarray(numbers(3, 4))))
    c = compat.to_cudandarray(m)
    assert c._strides == (1, 3) and tenure.asarray(c).tolist() == numbers(3, 4).tolist()
    assert repr(c).startswith("<CudaNdarray of shape (3, 4)")


# CN-3, CN-4
def test_raw_pointers_and_what_is_no_cudandarray(modules):
    x = on_gpu(numbers(3, 4))
    c = compat.from_gpu_pointer(pointer(x), (3, 1, 4), (4, 0, 1), x)
    assert c.base is x and c._strides == (4, 0, 1) and tenure.asarray(c).tolist() == numbers(3, 1, 4).tolist()
    del x
    gc.collect()
    assert tenure.asarray(c)[2, 0, 3] == 11.0
    refused(compat.from_gpu_pointer, numbers(3).ctypes.data, (3,), (1,), None)
    refused(compat.from_gpu_pointer, c.gpudata, (3,), (1, 1), None)
    refused(compat.to_cudandarray, on_gpu(numbers(3, dtype="float64")))
    refused(compat.to_cudandarray, numbers(3))


# CN-5, CM-1
def test_the_struct_is_that_of_cudamat():
    fields = [(name, getattr(older_libraries.Struct, name).offset) for name, _ in older_libraries.Struct._fields_]
    assert ctypes.sizeof(older_libraries.Struct) == 40
    assert [offset for _, offset in fields] == [0, 8, 16, 20, 24, 32, 36]


# CN-5: the page says what happens
def test_the_page_is_fresh():
    page = pathlib.Path(__file__).resolve().parents[3] / "docs" / "interop.md"
    if not page.exists():
        pytest.skip("docs/interop.md is not here")
    text = page.read_text()
    assert gpu_matrix.document(text) == text, "out of date: cargo xtask interop"
