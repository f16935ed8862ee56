"""Conversions of PyCUDA, CUDAMat and Gnumpy: the same bytes on both sides, else a refusal, and a copy on request. Needs a GPU."""

import cudamat
import gnumpy
import numpy as np
import pycuda.autoprimaryctx  # noqa: F401
import pycuda.gpuarray

import tenure
from tenure import compat, cuda

x = cuda.to_device(np.arange(12, dtype="float32").reshape(3, 4))
columns = x.copy("F")
g, m, r = compat.to_gpuarray(x), compat.to_cudamat(columns), compat.to_garray(x)
assert isinstance(g, pycuda.gpuarray.GPUArray) and isinstance(m, cudamat.CUDAMatrix) and isinstance(r, gnumpy.garray)

x.fill(1)
columns.fill(2)
print("they see", m.asarray()[2].tolist(), r.as_numpy_array()[2].tolist())
back = compat.from_gpuarray(g), compat.from_cudamat(m), compat.from_garray(r)
assert [array.overlap(x) for array in back] == ["exact", "none", "exact"] and back[1].overlap(columns) == "exact"

pool = tenure.Pool("cuda:0")
conversions = (compat.to_gpuarray, x[::2]), (compat.to_cudamat, x), (compat.to_garray, columns)
for convert, array in conversions:
    try:
        convert(array)
    except compat.ConversionError as error:
        print(convert.__name__, "refuses:", str(error).split(";")[0])
with pool:
    copies = [convert(array, copyif=True) for convert, array in conversions]
made = pool.stats().allocation_count
print(made, "copies")
assert made == 3 and copies[1].asarray().tolist() == [[1] * 4] * 3
# It prints:
# they see [2.0, 2.0, 2.0, 2.0] [1.0, 1.0, 1.0, 1.0]
# to_gpuarray refuses: the strides (32, 4) are not C-contiguous, and most code for GPUArrays ignores strides (strided=True shares them)
# to_cudamat refuses: the strides (16, 4) are not F-contiguous (transposed=True shares it as its transpose)
# to_garray refuses: the strides (4, 12) are not C-contiguous
# 3 copies
