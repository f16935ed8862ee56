"""What each call of the driver costs the host, and what a row costs a copy engine: the constants of the library's choices.

    calls.py [FILE]     a line per call; the figures go into FILE

The calls are those that the library makes on its ways through allocation, copy and event. Pairs are an allocation and its free. The sweep
over rows copies 2-D boxes between page-locked and device memory, waits for each, and gives the time of one row.
"""

import ctypes
import os

from _turns import SIMULATED, Figures, driver, must, use_primary_context

ROUNDS = 3 if SIMULATED else 2000
PAIRS = 2 if SIMULATED else 50
REPEATS = 1 if SIMULATED else 5
# Larger boxes take too long.
MOST_BYTES = (1 << 20) if SIMULATED else (256 << 20)
RELAXED, NOT_READY, NON_BLOCKING, NO_TIMING, PORTABLE = 2, 600, 1, 2, 1

use_primary_context()
figures = Figures()
loops = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls.so"))
loops.bench_call.restype = loops.bench_pair.restype = ctypes.c_int64


def made(name, *arguments):
    handle = ctypes.c_uint64()
    must(getattr(driver, name)(ctypes.byref(handle), *arguments))
    return handle.value


def told(name, ns, rounds):
    """Keeps the least time of one call."""
    if ns < 0:
        print(f"skipped: {name}: the driver says {-ns}")
        return
    entry = figures.cases.setdefault(name, {"ns": ns / rounds})
    entry["ns"] = min(entry["ns"], ns / rounds)


def show(name):
    if name in figures.cases:
        print(f"{name:46} {figures.cases[name]['ns']:12.1f} ns", flush=True)
        figures.save()


def numbers(values):
    return (ctypes.c_uint64 * 6)(*values)


def call(name, function, *with_, accepted=0, rounds=ROUNDS):
    for _ in range(REPEATS):
        pointer = ctypes.cast(getattr(driver, function), ctypes.c_void_p)
        told(name, loops.bench_call(pointer, numbers(with_), accepted, ctypes.c_int64(rounds)), rounds)
    show(name)


def pair(name, first, second, *with_, rounds=PAIRS):
    for _ in range(REPEATS):
        makes, ends = (ctypes.cast(getattr(driver, function), ctypes.c_void_p) for function in (first, second))
        told(name, loops.bench_pair(makes, numbers(with_), ends, ctypes.c_int64(rounds)), rounds)
    show(name)


def address(of):
    return ctypes.addressof(of)


def calls():
    out, mode = (ctypes.c_uint64 * 2)(), ctypes.c_int(RELAXED)
    stream = made("cuStreamCreate", ctypes.c_uint(NON_BLOCKING))
    event = made("cuEventCreate", ctypes.c_uint(NO_TIMING))
    device = made("cuMemAlloc_v2", ctypes.c_size_t(4 << 20))
    locked = made("cuMemHostAlloc", ctypes.c_size_t(4 << 20), ctypes.c_uint(PORTABLE))
    context = made("cuCtxGetCurrent")
    call("cuCtxGetCurrent", "cuCtxGetCurrent", address(out))
    call("cuCtxSetCurrent", "cuCtxSetCurrent", context)
    call("cuCtxGetId", "cuCtxGetId", context, address(out))
    call("cuDevicePrimaryCtxGetState", "cuDevicePrimaryCtxGetState", 0, address(out), address(out) + 8)
    call("cuThreadExchangeStreamCaptureMode", "cuThreadExchangeStreamCaptureMode", address(mode))
    call("cuStreamIsCapturing", "cuStreamIsCapturing", stream, address(out))
    call("cuEventRecord", "cuEventRecord", event, stream)
    call("cuEventQuery", "cuEventQuery", event, accepted=NOT_READY)
    call("cuEventSynchronize of a passed event", "cuEventSynchronize", event)
    call("cuStreamWaitEvent", "cuStreamWaitEvent", stream, event, 0)
    call("cuStreamSynchronize of an idle stream", "cuStreamSynchronize", stream)
    call("cuPointerGetAttribute of device memory", "cuPointerGetAttribute", address(out), 2, device)
    call("cuPointerGetAttribute of page-locked memory", "cuPointerGetAttribute", address(out), 2, locked)
    call("cuPointerGetAttribute of plain memory", "cuPointerGetAttribute", address(out), 2, address(out), accepted=1)
    call("cuMemGetInfo", "cuMemGetInfo_v2", address(out), address(out) + 8, rounds=PAIRS)
    call("cuMemsetD8Async of 64 bytes", "cuMemsetD8Async", device, 0, 64, stream)
    plain = ctypes.create_string_buffer(1 << 20)
    for size, named in ((64, "64 bytes"), (4096, "4 KiB"), (1 << 16, "64 KiB"), (1 << 20, "1 MiB")):
        for kind, memory in (("page-locked", locked), ("plain", address(plain))):
            call(f"cuMemcpyHtoDAsync, {kind}, {named}", "cuMemcpyHtoDAsync_v2", device, memory, size, stream, rounds=PAIRS)
            must(driver.cuStreamSynchronize(ctypes.c_void_p(stream)))
    pair("cuEventCreate and cuEventDestroy", "cuEventCreate", "cuEventDestroy_v2", NO_TIMING)
    pair("cuStreamCreate and cuStreamDestroy", "cuStreamCreate", "cuStreamDestroy_v2", NON_BLOCKING)
    for mib in (2, 20) if SIMULATED else (2, 20, 200):
        pair(f"cuMemAlloc and cuMemFree of {mib} MiB", "cuMemAlloc_v2", "cuMemFree_v2", mib << 20)
    for mib in (2, 4):
        pair(f"cuMemHostAlloc and cuMemFreeHost of {mib} MiB", "cuMemHostAlloc", "cuMemFreeHost", mib << 20, PORTABLE)
    return stream


class Copy2D(ctypes.Structure):
    _fields_ = [
        (f"{side}_{name}", kind)
        for side in ("src", "dst")
        for name, kind in (
            ("x", ctypes.c_size_t), ("y", ctypes.c_size_t), ("type", ctypes.c_int), ("host", ctypes.c_void_p),
            ("device", ctypes.c_uint64), ("array", ctypes.c_void_p), ("pitch", ctypes.c_size_t),
        )
    ] + [("width", ctypes.c_size_t), ("height", ctypes.c_size_t)]


HOST, DEVICE = 1, 2


def sweep(stream):
    """Rows that are twice as far apart on the device's side as they are long."""
    locked = made("cuMemHostAlloc", ctypes.c_size_t(MOST_BYTES), ctypes.c_uint(PORTABLE))
    first, second = (made("cuMemAlloc_v2", ctypes.c_size_t(2 * MOST_BYTES)) for _ in range(2))
    ways = {"to the device": (HOST, DEVICE), "to the host": (DEVICE, HOST), "on the device": (DEVICE, DEVICE)}
    for width in (4, 8, 16, 64, 256, 1024, 4096):
        for count in (1, 1000, 32_000, 1_000_000):
            if width * count > MOST_BYTES:
                continue
            for way, (source, target) in ways.items():
                it = Copy2D(src_type=source, dst_type=target, src_host=locked, dst_host=locked, src_device=first, dst_device=second)
                it.src_pitch = width if source == HOST else 2 * width
                it.dst_pitch = width if target == HOST else 2 * width
                it.width, it.height = width, count
                name = f"{count} rows of {width} bytes {way}"
                for _ in range(REPEATS):
                    told(name, rows(it, stream), 1)
                if name in figures.cases:
                    figures.cases[name]["ns_per_row"] = figures.cases[name]["ns"] / count
                show(name)


def rows(it, stream):
    copy, wait = (ctypes.cast(getattr(driver, name), ctypes.c_void_p) for name in ("cuMemcpy2DAsync_v2", "cuStreamSynchronize"))
    enqueued = loops.bench_call(copy, numbers([address(it), stream]), 0, ctypes.c_int64(1))
    waited = loops.bench_call(wait, numbers([stream]), 0, ctypes.c_int64(1))
    return min(enqueued, waited) if min(enqueued, waited) < 0 else enqueued + waited


sweep(calls())
figures.write()
