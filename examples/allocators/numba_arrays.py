"""Numba's device arrays come from the pools that Tenure's arrays come from. So do they with NUMBA_CUDA_MEMORY_MANAGER=tenure.numba."""

import numpy
import tenure
import tenure.numba
from numba import cuda

tenure.numba.install()  # before Numba uses a GPU

x = cuda.to_device(numpy.arange(1000.0))
y = tenure.cuda.to_device(numpy.arange(1000.0))
tenure.report()
print("Numba's sum is", x.copy_to_host().sum())
