"""Copies between host and device beside the driver's own, torch and CuPy: contiguous (bar T24), strided, transposed; and fill.

    transfer.py [FILE]     a line per case and way; the figures go into FILE

All libraries copy the same bytes into one kind of memory and wait for the copy. `driver` is a direct call of the driver's copy of contiguous
bytes; `memcpy` is one thread's copy of as many bytes on the host.
"""

import ctypes

import numpy as np
from _turns import SIMULATED, Figures, driver, must, peers, use_primary_context

import tenure
from tenure import cuda

SIZE = (1 if SIMULATED else 64) << 20
use_primary_context()
found = peers()
torch, cupy = found.get("torch"), found.get("cupy")
figures = Figures()
stream = cuda.stream()


def pointer(array):
    with array.read() as view:
        return ctypes.c_uint64(view.pointer if hasattr(view, "pointer") else view.ctypes.data)


def done(way):
    """Issues the copy on Tenure's stream and waits for it."""

    def both():
        way()
        stream.synchronize()

    return both


def by_driver(function, to, source):
    def way():
        must(getattr(driver, function)(to, source, ctypes.c_size_t(SIZE), ctypes.c_void_p(stream.native)))
        must(driver.cuStreamSynchronize(ctypes.c_void_p(stream.native)))

    return way


def by_torch(to, source):
    def way():
        to.copy_(source, non_blocking=True)
        torch.cuda.synchronize()

    return way


def by_cupy(_issued):
    """Waits for the last copy."""
    cupy.cuda.Device().synchronize()


def contiguous():
    count = SIZE // 8
    device, pinned, pageable = cuda.device_array(count), cuda.pinned_array(count), np.ones(count)
    other = np.ones(count)
    pinned.fill(1)
    at, host = pointer(device), pointer(pinned)
    page = ctypes.c_uint64(pageable.ctypes.data)

    def memcpy():
        ctypes.memmove(other.ctypes.data, pageable.ctypes.data, SIZE)

    ways = {
        "pinned to device": {
            "tenure": done(lambda: device.copy_from(pinned, stream=stream)),
            "driver": by_driver("cuMemcpyHtoDAsync_v2", at, host),
        },
        "device to pinned": {
            "tenure": done(lambda: pinned.copy_from(device, stream=stream)),
            "driver": by_driver("cuMemcpyDtoHAsync_v2", host, at),
        },
        "pageable to device": {
            "tenure": done(lambda: device.copy_to_device(pageable, stream)),
            "driver": lambda: must(driver.cuMemcpyHtoD_v2(at, page, ctypes.c_size_t(SIZE))),
            "memcpy": memcpy,
        },
        "device to pageable": {
            "tenure": done(lambda: device.copy_to_host(pageable, stream)),
            "driver": lambda: must(driver.cuMemcpyDtoH_v2(page, at, ctypes.c_size_t(SIZE))),
            "memcpy": memcpy,
        },
    }
    if torch:
        mine = torch.ones(count, dtype=torch.float64, device="cuda")
        theirs, plain = torch.ones(count, dtype=torch.float64).pin_memory(), torch.from_numpy(pageable)
        ways["pinned to device"]["torch"] = by_torch(mine, theirs)
        ways["device to pinned"]["torch"] = by_torch(theirs, mine)
        ways["pageable to device"]["torch"] = by_torch(mine, plain)
        ways["device to pageable"]["torch"] = by_torch(plain, mine)
    if cupy:
        on_cupy = cupy.ones(count)
        ways["pageable to device"]["cupy"] = lambda: by_cupy(on_cupy.set(pageable))
        ways["device to pageable"]["cupy"] = lambda: on_cupy.get(out=pageable)
    for case, way in ways.items():
        figures.measure(case, way, size=SIZE)
    for case in ("pinned to device", "device to pinned"):
        figures.bar("T24", case, "driver", 0.97)
    for case in ("pageable to device", "device to pageable"):
        figures.bar("T24, or", case, "driver", 1.5)
        figures.bar("T24, this", case, "memcpy", 0.8)


def strided():
    """Half of a matrix's columns, and a transposed matrix."""
    side = 512 if SIMULATED else 4096
    whole = np.ones((side, 2 * side), "f4")
    square = np.ones((side, side), "f4")
    device, wide = cuda.device_array((side, side), "f4"), cuda.device_array((side, 2 * side), "f4")
    size = square.nbytes
    cases = {
        "columns to device": (lambda: device.copy_to_device(whole[:, :side]), whole[:, :side], None),
        "every second column to device": (lambda: device.copy_to_device(whole[:, ::2]), whole[:, ::2], None),
        "turned to device": (lambda: device.copy_to_device(square.T), square.T, None),
        "device to columns": (lambda: device.copy_to_host(whole[:, :side]), None, whole[:, :side]),
        "device to turned": (lambda: device.copy_to_host(square.T), None, square.T),
    }
    for case, (way, source, to) in cases.items():
        ways = {"tenure": way}
        if torch:
            other = torch.ones((side, side), device="cuda")
            pair = (other, torch.from_numpy(source)) if to is None else (torch.from_numpy(to), other)
            ways["torch"] = by_torch(*pair)
        if cupy:
            there = cupy.ones((side, side), "f4")
            if to is None:
                ways["cupy"] = lambda there=there, s=source: by_cupy(there.set(np.ascontiguousarray(s)))
            else:
                ways["cupy"] = lambda there=there, to=to: to.__setitem__(..., there.get())
        figures.measure(case, ways, size=size)
    on_device(device, wide, side, size)


def on_device(device, wide, side, size):
    cases = {
        "columns on the device": (lambda: wide[:, :side].copy_from(device, stream=stream), lambda w, d: w[:, :side], lambda d: d),
        "turned on the device": (lambda: wide[:, :side].copy_from(device.T, stream=stream), lambda w, d: w[:, :side], lambda d: d.T),
    }
    for case, (way, to, source) in cases.items():
        ways = {"tenure": done(way)}
        if torch:
            w, d = torch.ones((side, 2 * side), device="cuda"), torch.ones((side, side), device="cuda")
            ways["torch"] = by_torch(to(w, d), source(d))
        if cupy:
            cw, cd = cupy.ones((side, 2 * side), "f4"), cupy.ones((side, side), "f4")
            ways["cupy"] = lambda a=to(cw, cd), b=source(cd): by_cupy(cupy.copyto(a, b))
        figures.measure(case, ways, size=size, rounds=3)


def fill():
    for dtype, columns in (("u1", 1), ("f4", 1), ("f8", 1), ("c16", 1), ("f4", 2)):
        count = SIZE // np.dtype(dtype).itemsize
        whole = cuda.device_array((count // 1024, 1024), dtype)
        array = whole[:, ::columns]
        # No repeated byte: only for one does the driver have its fastest fill.
        value = 7
        ways = {"tenure": done(lambda array=array: array.fill(value, stream=stream))}
        if torch and dtype != "c16":
            kind = {"u1": torch.uint8, "f4": torch.float32, "f8": torch.float64}[dtype]
            other = torch.ones((count // 1024, 1024), dtype=kind, device="cuda")[:, ::columns]
            ways["torch"] = lambda other=other: (other.fill_(value), torch.cuda.synchronize())
        if cupy:
            there = cupy.ones((count // 1024, 1024), dtype)[:, ::columns]
            ways["cupy"] = lambda there=there: by_cupy(there.fill(value))
        name = f"fill {np.dtype(dtype).name}" + (", every second" if columns == 2 else "")
        figures.measure(name, ways, size=array.nbytes, rounds=3)


contiguous()
strided()
fill()
print(f"tenure {tenure.version}")
figures.write()
