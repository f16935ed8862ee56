"""The parts of docs/interop.md on libraries of GPUs: what `tenure.compat` and the CUDA array interface share, copy and refuse, and the table
of `gpu_streams`.

    python gpu_matrix.py --write FILE    writes the section into docs/interop.md
    python gpu_matrix.py --check FILE    fails if the file differs from the results

The cells are observed on a driver, simulated or real, with the stand-ins of `older_libraries`. `test_cuda_compat.py` compares the page.
"""

import argparse
import math
import re
import sys

import numpy as np
import gpu_streams
import older_libraries

import tenure
from tenure import compat, cuda

TITLE = "Libraries of GPUs"


def numbers(*shape, dtype="float32"):
    return np.arange(math.prod(shape)).reshape(shape).astype(dtype)


def on_gpu(*shape, dtype="float32", order="C"):
    return cuda.to_device(np.array(numbers(*shape, dtype=dtype), order=order))


# What crosses, by its name in the table.
ARRAYS = {
    "C order": lambda: on_gpu(3, 4),
    "F order": lambda: on_gpu(3, 4, order="F"),
    "every second column": lambda: on_gpu(3, 8)[:, ::2],
    "negative": lambda: on_gpu(3, 4)[::-1],
    "broadcast": lambda: on_gpu(4).broadcast_to(3, 4),
    "1 x n": lambda: on_gpu(1, 4),
    "3 axes": lambda: on_gpu(2, 3, 4),
    "size 0": lambda: cuda.device_array((0, 3), "float32"),
    "read-only": lambda: tenure.asarray(Described(on_gpu(3, 4, order="F"))),
    "float64": lambda: on_gpu(3, 4, dtype="float64", order="F"),
    "bfloat16": lambda: cuda.device_array((3, 4), "bfloat16"),
    "managed": lambda: cuda.managed_array((3, 4), "float32", order="F"),
    "page-locked": lambda: cuda.pinned_array((3, 4), "float32"),
    "host": lambda: tenure.zeros((3, 4), "float32"),
}


class Described:
    """A read-only array of another library."""

    def __init__(self, x):
        pointer = x.__cuda_array_interface__["data"][0]
        self.__cuda_array_interface__ = {**x.__cuda_array_interface__, "data": (pointer, True)}
        self.x = x


def interface(x, **options):
    """Numba, CuPy and others by `x.__cuda_array_interface__`; it has no options."""
    return tenure.asarray(x) if options or not hasattr(x, "__cuda_array_interface__") else x


# Each conversion, and the keyword arguments that may let it succeed: the first that does is the cell.
CONVERSIONS = {
    "`to_gpuarray`": (compat.to_gpuarray, ("", "strided", "reads", "strided, reads", "copyif")),
    "`to_cudamat`": (compat.to_cudamat, ("", "transposed", "reads", "copyif")),
    "`to_garray`": (compat.to_garray, ("", "reads", "copyif")),
    "`to_cudandarray`": (compat.to_cudandarray, ("",)),
}


def cell(convert, wishes, make) -> str:
    """What a conversion does with an array."""
    for wish in wishes:
        x = make()
        before = None if str(x.device) in ("cpu", "cuda_host") or x.dtype == tenure.bfloat16 else address(x)
        try:
            made = convert(x, **{name: True for name in wish.split(", ") if name})
        except compat.ConversionError:
            continue
        if wish == "copyif":
            assert address_of(made) != before or x.size == 0
            return "copyif copies"
        assert address_of(made) == before
        return "shares" if not wish else "shares with " + ", ".join(f"`{name}`" for name in wish.split(", "))
    return "refused"


def address(x) -> int:
    """The address of element (0, .., 0) for devices."""
    lent, found = tenure._tenure._lend(x, True)
    del lent
    return found["data"][0]


def address_of(made) -> int:
    """The same of another library's object."""
    if hasattr(made, "_base"):
        made = made._base
    return older_libraries.address_of(made.mat.data_device) if hasattr(made, "mat") else int(made.gpudata or 0)


def attribute(make) -> str:
    """Whether other libraries see an array by the interface."""
    x = make()
    if not hasattr(x, "__cuda_array_interface__"):
        return "no attribute"
    found = x.__cuda_array_interface__
    x.end_exports()
    return "shares, read-only" if found["data"][1] else "shares"


def table() -> str:
    heads = ["`__cuda_array_interface__`", *CONVERSIONS]
    lines = ["| x | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name, make in ARRAYS.items():
        cells = [attribute(make)] + [cell(convert, wishes, make) for convert, wishes in CONVERSIONS.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def section() -> str:
    """The section, with the stand-ins in the places of the libraries."""
    library = older_libraries.cudamat()
    modules = {"cudamat": library, "gnumpy": older_libraries.gnumpy(library), **older_libraries.pycuda()}
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        rows = table()
        streams = gpu_streams.section() if gpu_streams.simulated else ""
    finally:
        compat._owners.clear()
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return f"""## {TITLE}

Arrays in memory of a GPU cross by the CUDA array interface (Numba, CuPy, PyTorch) and by `tenure.compat` (PyCUDA, CUDAMat,
gnumpy, Theano's CudaNdarray). Each cell is the first of these that succeeds: without options, with the named ones, with
`copyif=True`, which copies. The way back, `tenure.asarray` and `from_gpuarray`, `from_cudamat`, `from_garray`, always shares.
The cells are observed with stand-ins for the older libraries; PyCUDA and numba-cuda themselves run in `cargo xtask sim-peers`.
Arrays are float32 of shape (3, 4) and F order, unless the row says otherwise. `reads` promises that the library only reads.

{rows}

{streams}"""


def document(old: str) -> str:
    """The page with these sections at its end. The one on streams needs the simulated driver, and stays as it is on another."""
    head = re.split(rf"(?m)^## {TITLE}$", old)[0].rstrip("\n")
    kept = old[old.find(f"## {gpu_streams.TITLE}") :] if not gpu_streams.simulated else ""
    return f"{head}\n\n{section()}{kept}"


def main() -> None:
    parser = argparse.ArgumentParser(description=f"the section '{TITLE}' of docs/interop.md")
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--check", metavar="FILE")
    options = parser.parse_args()
    file = options.write or options.check or parser.error("one of --write and --check")
    old = open(file).read()
    new = document(old)
    if options.check and new != old:
        sys.exit(f"{file} is out of date: cargo xtask interop")
    if options.write:
        with open(file, "w") as out:
            out.write(new)
        print(f"{file}: {TITLE} written")


if __name__ == "__main__":
    main()
