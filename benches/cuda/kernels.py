"""Strided copies and fills on a device, by the library's kernels and by the driver, beside torch and CuPy.

    kernels.py [FILE]     a line per case and way; the figures go into FILE

`tenure` may use its kernels; `tenure, driver` is the same call with the option transfer.kernels = off. All ways copy the same elements
between the same layouts, and wait for the copy. `memcpy` is the driver's copy of as many contiguous bytes on the device.
"""

import ctypes

import numpy as np
from _turns import SIMULATED, Figures, driver, must, peers, use_primary_context

import tenure
from tenure import cuda

SIDE = 256 if SIMULATED else 8192
use_primary_context()
found = peers()
torch, cupy = found.get("torch"), found.get("cupy")
figures = Figures()
stream = cuda.stream()

KINDS = {"u1": "uint8", "f2": "float16", "f4": "float32", "f8": "float64", "c16": "complex128"}


def with_kernels(how, way):
    """Runs `way` with the option transfer.kernels set, and waits for it."""

    def run():
        tenure.option("transfer.kernels", how)
        way()
        stream.synchronize()
        tenure.option("transfer.kernels", "auto")

    return run


def ours(way):
    return {"tenure": with_kernels("on", way), "tenure, driver": with_kernels("off", way)}


def by_torch(way):
    def run():
        way()
        torch.cuda.synchronize()

    return run


def by_cupy(way):
    def run():
        way()
        cupy.cuda.Device().synchronize()

    return run


def memcpy(size):
    """The driver's copy on the device."""
    to, source = ctypes.c_uint64(), ctypes.c_uint64()
    must(driver.cuMemAlloc_v2(ctypes.byref(to), ctypes.c_size_t(size)))
    must(driver.cuMemAlloc_v2(ctypes.byref(source), ctypes.c_size_t(size)))

    def way():
        must(driver.cuMemcpyDtoDAsync_v2(to, source, ctypes.c_size_t(size), ctypes.c_void_p(stream.native)))
        stream.synchronize()

    def free():
        must(driver.cuMemFree_v2(to))
        must(driver.cuMemFree_v2(source))

    return way, free


def copies():
    """Each case: the shape that is allocated for both sides, and the views of them that are copied."""
    small = SIDE // 16
    square, cube, image = (SIDE, SIDE), (small, small, small), (64, small // 2, small // 2, 16)
    return {
        "transposed": (square, lambda d: d, lambda s: s.T),
        "axes (2, 0, 1)": (cube, lambda d: d, lambda s: s.transpose(2, 0, 1)),
        "axes (1, 0, 2)": (cube, lambda d: d, lambda s: s.transpose(1, 0, 2)),
        "channels first to last": (image, lambda d: d, lambda s: s.reshape(64, 16, small // 2, small // 2).transpose(0, 2, 3, 1)),
        "every second, gathered": (square, lambda d: d[:, : SIDE // 2], lambda s: s[:, ::2]),
        "every second, scattered": (square, lambda d: d[:, ::2], lambda s: s[:, : SIDE // 2]),
        "rows of 16 elements": (square, lambda d: d[:, :16], lambda s: s[:, 16:32]),
        "half of the columns": (square, lambda d: d[:, : SIDE // 2], lambda s: s[:, SIDE // 2 :]),
        "one row to all": (square, lambda d: d, lambda s: s[:1]),
    }


def on_device(case, dtype, shape, to, source):
    kind = KINDS[dtype]
    first, second = cuda.device_array(shape, dtype), cuda.device_array(shape, dtype)
    second.fill(1)
    view, from_view = to(first), source(second)
    if from_view.shape != view.shape:
        from_view = from_view.broadcast_to(*view.shape)
    size = 2 * int(np.prod(view.shape)) * np.dtype(dtype).itemsize
    ways = ours(lambda: view.copy_from(from_view, stream=stream))
    ways["memcpy"], free = memcpy(size // 2)
    if torch:
        t, s = (torch.ones(shape, dtype=getattr(torch, kind), device="cuda") for _ in range(2))
        permute = torch.Tensor.permute
        ways["torch"] = by_torch(lambda t=to(Named(t, permute)).array, s=source(Named(s, permute)).array: t.copy_(s))
    if cupy:
        t, s = (cupy.ones(shape, dtype) for _ in range(2))
        ways["cupy"] = by_cupy(lambda t=to(t), s=source(s): cupy.copyto(t, s))
    figures.measure(f"{case}, {kind}", ways, size=size, rounds=2 if SIMULATED else 7)
    free()


class Named:
    """A torch tensor with NumPy's names for what the cases use."""

    def __init__(self, array, permute):
        self.array, self.permute = array, permute

    def transpose(self, *axes):
        return Named(self.permute(self.array, axes), self.permute)

    def reshape(self, *shape):
        return Named(self.array.reshape(shape), self.permute)

    def __getitem__(self, key):
        return Named(self.array[key], self.permute)

    @property
    def T(self):
        return Named(self.array.t(), self.permute)


def pinned():
    """A transposed matrix in page-locked memory."""
    there = cuda.device_array((SIDE, SIDE), "f4")
    here = cuda.pinned_array((SIDE, SIDE), "f4")
    here.fill(1)
    ways = {
        "transposed, pinned to device": lambda: there.copy_from(here.T, stream=stream),
        "transposed, device to pinned": lambda: here.copy_from(there.T, stream=stream),
    }
    for case, way in ways.items():
        both = ours(way)
        if torch:
            t, p = torch.ones((SIDE, SIDE), device="cuda"), torch.ones((SIDE, SIDE)).pin_memory()
            pair = (t, p) if case.endswith("device") else (p, t)
            both["torch"] = by_torch(lambda pair=pair: pair[0].copy_(pair[1].t(), non_blocking=True))
        figures.measure(case, both, size=4 * SIDE * SIDE, rounds=2 if SIMULATED else 5)


def fills():
    for dtype, step in (("f4", 2), ("f8", 1), ("f8", 2), ("c16", 1), ("u1", 3)):
        kind = KINDS[dtype]
        view = cuda.device_array((SIDE, SIDE), dtype)[:, ::step]
        size = int(np.prod(view.shape)) * np.dtype(dtype).itemsize
        ways = ours(lambda view=view: view.fill(7, stream=stream))
        if torch:
            t = torch.ones((SIDE, SIDE), dtype=getattr(torch, kind), device="cuda")[:, ::step]
            ways["torch"] = by_torch(lambda t=t: t.fill_(7))
        if cupy:
            c = cupy.ones((SIDE, SIDE), dtype)[:, ::step]
            ways["cupy"] = by_cupy(lambda c=c: c.fill(7))
        figures.measure(f"fill {kind}" + (f", one of {step}" if step > 1 else ""), ways, size=size, rounds=2 if SIMULATED else 7)


for case, (shape, to, source) in copies().items():
    # All widths of the kernels for the plain transposition.
    for dtype in KINDS if case == "transposed" else ["f4"]:
        on_device(case, dtype, shape, to, source)
for kind in KINDS.values():
    figures.bar("kernels", f"transposed, {kind}", "memcpy", 0.5)
    figures.bar("kernels", f"transposed, {kind}", "torch", 1.0)
pinned()
fills()
info = cuda.devices()[0]
print(f"tenure {tenure.version}, {info.kernel_count} copies and fills by kernels, error {info.kernel_error}")
figures.write()
