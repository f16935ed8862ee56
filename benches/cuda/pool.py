"""Device pools, host time of allocate + free on one stream (bar T22): Tenure's pool, the driver's, torch's and CuPy's.

    pool.py [FILE]     a line per case and way; the figures go into FILE

Tenure's and the driver's pool are called from C (pool.c). torch and CuPy are called from Python by their fastest functions. The time of a
loop that calls as many empty functions is subtracted; this favours them by the cost of their arguments.
"""

import ctypes
import os
import time

from _turns import SIMULATED, Figures, driver, peers, use_primary_context

import tenure
from tenure import cuda

ROUNDS = 20 if SIMULATED else 20000
use_primary_context()
found = peers()
figures = Figures()
loops = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pool.so"))
loops.bench_pool.restype = loops.bench_driver.restype = ctypes.c_int64
stream = cuda.stream()
pool = tenure.Pool("cuda:0", name="bench", initial_size=0 if SIMULATED else 1 << 30)


def address(function):
    return ctypes.cast(function, ctypes.c_void_p)


def told(ns, calls):
    if ns < 0:
        raise RuntimeError(f"a call of the loop gave {-ns}")
    return ns / calls


def ours(size, live):
    rounds = ROUNDS // live
    stream_, pool_ = ctypes.c_void_p(stream.handle), ctypes.c_void_p(pool.handle)
    return lambda: told(
        loops.bench_pool(pool_, ctypes.c_uint64(size), stream_, live, ctypes.c_int64(rounds)), rounds * live
    )


def theirs(size, live):
    rounds = max(ROUNDS // live // 4, 1)
    functions = address(driver.cuMemAllocAsync), address(driver.cuMemFreeAsync)
    native = ctypes.c_void_p(stream.native)
    return lambda: told(
        loops.bench_driver(*functions, ctypes.c_uint64(size), native, live, ctypes.c_int64(rounds)), rounds * live
    )


def looped(allocate, give_back, size, live):
    """The time of a pair from Python, less the cost of the loop."""

    def once(first, second):
        rounds = max(ROUNDS // live // 4, 1)
        start = time.perf_counter_ns()
        for _ in range(rounds):
            for block in [first(size) for _ in range(live)]:
                second(block)
        return (time.perf_counter_ns() - start) / rounds / live

    return lambda: max(once(allocate, give_back) - once(lambda n: abs(n), abs), 1.0)


def measure(case, size, live):
    ways = {"tenure": ours(size, live), "driver": theirs(size, live)}
    if "torch" in found:
        c = found["torch"]._C
        current, allocate = found["torch"].cuda.current_stream().cuda_stream, c._cuda_cudaCachingAllocator_raw_alloc
        ways["torch"] = looped(lambda n: allocate(n, current), c._cuda_cudaCachingAllocator_raw_delete, size, live)
    if "cupy" in found:
        memory = found["cupy"].cuda.MemoryPool()
        ways["cupy"] = looped(lambda n: memory.malloc(n), let_go, size, live)
    figures.measure(case, ways)
    for who, least in (("driver", 2.0), ("torch", 2.0), ("cupy", 1.0)):
        figures.bar("T22", case, who, least)


def let_go(block):
    """CuPy frees an array when its last reference is gone."""
    return abs(0)


for size, name in ((512, "512 B"), (1 << 16, "64 KiB"), (1 << 20, "1 MiB"), (32 << 20, "32 MiB")):
    if SIMULATED and size > 1 << 20:
        continue
    measure(f"one block of {name}", size, 1)
    measure(f"16 blocks of {name}", size, 16)
stats = pool.stats()
print(f"calls of the driver for memory: {stats.device_allocate_count} for {stats.allocation_count} allocations")
figures.cases["driver calls"] = {"device_allocate_count": stats.device_allocate_count, "allocation_count": stats.allocation_count}
figures.write()
