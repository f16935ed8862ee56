"""Conversions of PyCUDA, CUDAMat and Gnumpy: the same bytes on both sides, or a refusal, or a copy on request. Needs a GPU."""

import cudamat
import gnumpy
import numpy as np
import pycuda.autoprimaryctx  # noqa: F401
from pycuda import gpuarray

import tenure
from tenure import compat, cuda

x = cuda.to_device(np.arange(12, dtype="float32").reshape(3, 4))
columns = x.copy("F")
g, m, r = compat.to_gpuarray(x), compat.to_cudamat(columns), compat.to_garray(x)
assert isinstance(g, gpuarray.GPUArray) and isinstance(m, cudamat.CUDAMatrix) and isinstance(r, gnumpy.garray)

x.fill(1)
columns.fill(2)
for name, back in ("PyCUDA", compat.from_gpuarray(g)), ("CUDAMat", compat.from_cudamat(m)), ("Gnumpy", compat.from_garray(r)):
    print(name, back.shape, back.overlap(columns if name == "CUDAMat" else x), back.copy_to_host()[2].tolist())
