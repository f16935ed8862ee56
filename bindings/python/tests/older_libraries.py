"""Stand-ins for CUDAMat, gnumpy and PyCUDA, for machines without them: their structs, their constructors, and when they recycle memory.

A stand-in keeps to what the library documents in its sources: CUDAMat's struct and which of its functions change it, gnumpy 0.2's reuse cache
and memory count, PyCUDA's GPUArray constructor. The arithmetic is left out.
"""

import collections
import ctypes
import math
import types

import numpy as np

driver = ctypes.CDLL("libcuda.so.1")


def call(function, *arguments):
    """Calls the driver with the primary context of GPU 0 current."""
    context, before = ctypes.c_void_p(), ctypes.c_void_p()
    assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert driver.cuCtxGetCurrent(ctypes.byref(before)) == 0 and driver.cuCtxSetCurrent(context) == 0
    try:
        assert getattr(driver, function)(*arguments) == 0
    finally:
        driver.cuCtxSetCurrent(before)
        driver.cuDevicePrimaryCtxRelease_v2(0)


def address_of(pointer):
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


class Struct(ctypes.Structure):
    """CUDAMat's `cudamat`."""

    _fields_ = [
        ("data_host", ctypes.POINTER(ctypes.c_float)),
        ("data_device", ctypes.POINTER(ctypes.c_float)),
        ("on_device", ctypes.c_int),
        ("on_host", ctypes.c_int),
        ("size", ctypes.c_int * 2),
        ("is_trans", ctypes.c_int),
        ("owns_data", ctypes.c_int),
    ]


class Transposed:
    """`m.T`: a copy of the struct, with the flag set. It does not keep the matrix."""

    def __init__(self, struct):
        self.mat = Struct.from_buffer_copy(struct)
        self.mat.is_trans = 1


class CUDAMatrix:
    freed: list[int] = []

    def __init__(self, struct):
        self.mat = struct
        self.T = Transposed(struct)

    def __del__(self):
        if self.mat.owns_data and self.mat.on_device:
            self.freed.append(address_of(self.mat.data_device))
            call("cuMemFree_v2", ctypes.c_uint64(address_of(self.mat.data_device)))

    @property
    def shape(self):
        return tuple(self.mat.size)

    def reshape(self, shape):
        """In place, as CUDAMat does."""
        assert math.prod(shape) == math.prod(self.shape)
        for struct in (self.mat, self.T.mat):
            struct.size[:] = shape
        return self

    def asarray(self):
        """A copy on the host, which the struct points to from then on. Copies work on the legacy default stream."""
        self.numpy_array = np.empty(self.shape, np.float32, order="F")
        self.mat.data_host = self.numpy_array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        self.mat.on_host = 1
        device = ctypes.c_uint64(address_of(self.mat.data_device))
        call("cuMemcpyDtoH_v2", self.mat.data_host, device, ctypes.c_size_t(self.numpy_array.nbytes))
        return self.numpy_array

    def fill(self, value):
        bits = np.float32(value).view(np.uint32).item()
        device = ctypes.c_uint64(address_of(self.mat.data_device))
        call("cuMemsetD32_v2", device, ctypes.c_uint(bits), ctypes.c_size_t(math.prod(self.shape)))

    def slice(self, first, last):
        """Columns first to last, without a copy; the slice keeps the matrix."""
        start = address_of(self.mat.data_device) + 4 * first * self.mat.size[0]
        struct = Struct(None, ctypes.cast(start, ctypes.POINTER(ctypes.c_float)), 1, 0, (self.mat.size[0], last - first), 0, 0)
        part = CUDAMatrix(struct)
        part.sliceof = getattr(self, "sliceof", self)
        return part


def empty(shape):
    pointer = ctypes.c_uint64()
    call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(max(4 * math.prod(shape), 4)))
    return CUDAMatrix(Struct(None, ctypes.cast(pointer.value, ctypes.POINTER(ctypes.c_float)), 1, 0, shape, 0, 1))


def cudamat():
    module = types.ModuleType("cudamat")
    module.cudamat, module.CUDAMatrix, module.empty = Struct, CUDAMatrix, empty
    return module


def gnumpy(library):
    """A gnumpy module on a CUDAMat module. None: gnumpy's own stand-in for machines without a GPU."""
    module = types.ModuleType("gnumpy")
    module._cudamat = library or types.ModuleType("npmat")
    module._cmsForReuse = collections.defaultdict(list)
    module.memory_in_use = 0

    def new_matrix(size):
        if module._cmsForReuse[size]:
            return module._cmsForReuse[size].pop().reshape((size, 1))
        module.memory_in_use += 4 * size
        return library.empty((size, 1))

    class garray:
        def __init__(self, data, shape, alias_of):
            assert type(data) is library.CUDAMatrix
            self._base, self.shape, self.size = data, shape, math.prod(shape)
            self._is_alias_of = alias_of

        def __del__(self):
            if self._is_alias_of is None:
                module._cmsForReuse[self.size].append(self._base)
            else:
                assert type(self._is_alias_of).__name__ == "garray"

        def reshape(self, *shape):
            return garray(self._base, shape, self)

        def __getitem__(self, rows):
            start, stop, _ = rows.indices(self.shape[0])
            width = self.size // self.shape[0]
            return garray(self._base.reshape((width, self.shape[0])).slice(start, stop), (stop - start, *self.shape[1:]), self)

        def as_numpy_array(self):
            return self._base.reshape((1, self.size)).asarray().reshape(self.shape)

    garray.__qualname__ = garray.__name__ = "garray"
    module.garray = garray
    module.zeros = lambda shape: garray(new_matrix(math.prod(shape)), shape, None)
    return module


class GPUArray:
    """PyCUDA's GPUArray: the arguments of its constructor, and what slices keep."""

    def __init__(self, shape, dtype, allocator=None, base=None, gpudata=None, strides=None):
        self.shape, self.dtype, self.strides = tuple(shape), np.dtype(dtype), tuple(strides)
        if gpudata is None:
            assert base is None
            gpudata = allocator(math.prod(shape) * self.dtype.itemsize) if math.prod(shape) else None
        self.gpudata, self.base = gpudata, base

    def __getitem__(self, rows):
        start, stop, step = rows.indices(self.shape[0])
        pointer = int(self.gpudata) + start * self.strides[0]
        shape, strides = (len(range(start, stop, step)), *self.shape[1:]), (step * self.strides[0], *self.strides[1:])
        return GPUArray(shape, self.dtype, base=self, gpudata=pointer, strides=strides)


def pycuda(primary=True):
    """PyCUDA's modules by name; `primary`: whether its current context is the primary one of its device."""
    package, gpuarray, driver = (types.ModuleType(name) for name in ("pycuda", "pycuda.gpuarray", "pycuda.driver"))
    contexts = [types.SimpleNamespace(handle=handle) for handle in (1, 2)]
    gpuarray.GPUArray = GPUArray
    driver.Context = types.SimpleNamespace(get_current=lambda: contexts[0 if primary else 1])
    driver.PointerHolderBase = type("PointerHolderBase", (), {})
    driver.Device = lambda ordinal: types.SimpleNamespace(retain_primary_context=lambda: contexts[0])
    package.gpuarray, package.driver = gpuarray, driver
    return {"pycuda": package, "pycuda.gpuarray": gpuarray, "pycuda.driver": driver}
