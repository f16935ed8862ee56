"""CuPy's arrays come from a pool with a limit, and its page-locked memory from another one."""

import cupy
import tenure
import tenure.cupy

pool = tenure.Pool("cuda", name="arrays of CuPy", max_size=64 << 20)
tenure.cupy.install(pool)

x = cupy.empty(1_000_000)
tenure.report()
try:
    cupy.empty(1_000_000_000)
except cupy.cuda.memory.OutOfMemoryError as error:
    print("the limit holds:", type(error).__name__)
