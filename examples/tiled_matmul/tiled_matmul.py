"""One source of kernels for GPUs and for the host: C = A B with tiles in block memory.

With a GPU, the program makes a module of tiled_matmul.ptx. Without one, g++ compiles tiled_matmul.cu to functions of the host.
"""

import ctypes
import pathlib
import subprocess
import tempfile

import numpy

import tenure
from tenure import cuda

HERE = pathlib.Path(__file__).parent
# The name, the element type, the side of a tile, that of a block of threads, and whether the tiles are in dynamic block memory.
KERNELS = [
    ("matmul_static", "f4", 16, 16, False),
    ("matmul_dynamic", "f4", 16, 16, True),
    ("matmul_f64", "f8", 64, 32, True),
]


def host_library():
    """The kernels as functions of the host, in a library."""
    with tempfile.TemporaryDirectory() as folder:
        library = pathlib.Path(folder) / "kernels.so"
        compile = ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", "-I", tenure.get_include(), "-x", "c++"]
        subprocess.run([*compile, HERE / "tiled_matmul.cu", "-o", library], check=True)
        return ctypes.CDLL(str(library))


def kernel(code, name, dtype, is_dynamic):
    """The kernel with what it does with its arguments: C is overwritten, A and B are read, dynamic tiles have offsets."""
    parameters = f"out {dtype}[:,:], in {dtype}[:,:], in {dtype}[:,:]" + (", i8, i8" if is_dynamic else "")
    if isinstance(code, cuda.Module):
        return code.kernel(name, parameters)
    return tenure.Kernel(getattr(code, name + "_host"), parameters)


on_gpu = cuda.is_available()
code = cuda.Module((HERE / "tiled_matmul.ptx").read_text()) if on_gpu else host_library()
device = "cuda:0" if on_gpu else "cpu"
random = numpy.random.default_rng(0)

for name, dtype, tile, threads, is_dynamic in KERNELS:
    m, k, n = 100, 70, 50
    a, b = random.random((m, k)).astype(dtype), random.random((k, 3 * n)).astype(dtype)[:, ::3]  # every third column
    c = tenure.empty((m, n), dtype, device=device)
    offsets, block_bytes = tenure.block_layout([(dtype, tile * tile)] * 2) if is_dynamic else ((), 0)
    grid = -(-n // tile), -(-m // tile)
    matmul = kernel(code, name, dtype, is_dynamic)
    there = [cuda.to_device(x) if on_gpu else x for x in (a, b)]
    tenure.launch(matmul, grid, (threads, threads), c, *there, *offsets, block_bytes=block_bytes)
    right = numpy.allclose(numpy.asarray(c.copy_to_host()), a.astype("f8") @ b, rtol=1e-4)
    print(f"{name} on {'a GPU' if on_gpu else 'the host'}: {'right' if right else 'wrong'}")

# It prints:
# matmul_static on the host: right
# matmul_dynamic on the host: right
# matmul_f64 on the host: right
