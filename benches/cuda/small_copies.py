"""Small copies between kernels: does the host run ahead of the device, and what does one turn cost it?

    small_copies.py [FILE]     a line per size and library; the figures go into FILE

A turn enqueues some work, for which a fill of 16 MiB stands, and a copy of a few bytes of plain memory behind it. The time is that of the
host for enqueuing one turn of many. A library whose copies wait for the device needs the time of the fill for each turn.
"""

import ctypes
import time

import numpy as np
from _turns import SIMULATED, Figures, driver, must, peers, use_primary_context

from tenure import cuda

TURNS = 4 if SIMULATED else 100
WORK = (1 if SIMULATED else 16) << 20
use_primary_context()
found = peers()
torch, cupy = found.get("torch"), found.get("cupy")
figures = Figures()
stream = cuda.stream()


def turns(work, copy, wait):
    """The host's time for one turn. The work is finished before and after."""

    def run():
        wait()
        start = time.perf_counter_ns()
        for _ in range(TURNS):
            work()
            copy()
        enqueued = time.perf_counter_ns() - start
        wait()
        return enqueued / TURNS

    return run


def measure(size, named):
    source = np.ones(size, "u1")
    buffer, target = cuda.device_array(WORK, "u1"), cuda.device_array(size, "u1")
    at, native = [], ctypes.c_void_p(stream.native)
    for array in (buffer, target):
        with array.on(stream, write=True) as view:
            at.append(ctypes.c_uint64(view.pointer))
    page = ctypes.c_void_p(source.ctypes.data)
    fill = lambda: must(driver.cuMemsetD8Async(at[0], ctypes.c_ubyte(1), ctypes.c_size_t(WORK), native))  # noqa: E731
    ways = {
        "tenure": turns(fill, lambda: target.copy_to_device(source, stream), stream.synchronize),
        "driver": turns(
            fill, lambda: must(driver.cuMemcpyHtoDAsync_v2(at[1], page, ctypes.c_size_t(size), native)), stream.synchronize
        ),
    }
    if torch:
        work, there = torch.empty(WORK, dtype=torch.uint8, device="cuda"), torch.empty(size, dtype=torch.uint8, device="cuda")
        plain = torch.from_numpy(source)
        ways["torch"] = turns(lambda: work.fill_(1), lambda: there.copy_(plain, non_blocking=True), torch.cuda.synchronize)
    if cupy:
        on_cupy, small = cupy.empty(WORK, "u1"), cupy.empty(size, "u1")
        ways["cupy"] = turns(lambda: on_cupy.fill(1), lambda: small.set(source), cupy.cuda.Device().synchronize)
    figures.measure(f"a fill and a copy of {named}", ways)


for size, named in ((64, "64 bytes"), (4096, "4 KiB"), (1 << 16, "64 KiB")):
    measure(size, named)
figures.write()
