"""Device pools, host time of allocate + free on one stream (bar T22): Tenure's pool, the driver's, torch's, CuPy's and RMM's. Then
several threads and streams, for the pools that can be called from C.

    pool.py [FILE]     a line per case and way; the figures go into FILE

Tenure's and the driver's pool are called from C (pool.c). torch, CuPy and RMM are called from Python by their fastest functions. The time
of a loop that calls as many empty functions is subtracted; this favours them by the cost of their arguments. "tenure, Python" makes and
drops an array from Python, measured in the same way.
"""

import ctypes
import os
import time

from _turns import SIMULATED, Figures, driver, must, peers, use_primary_context

import tenure
from tenure import cuda

ROUNDS = 20 if SIMULATED else 20000
use_primary_context()
found = peers()
figures = Figures()
loops = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pool.so"))
for loop in (loops.bench_pool, loops.bench_driver, loops.bench_pool_threads, loops.bench_driver_threads):
    loop.restype = ctypes.c_int64
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


# RMM's pools are kept: a pool that ends gives its memory back, which waits for the device.
resources = {}


def threaded(size, threads, streams, crossing):
    """Each thread allocates and frees on its streams in turn; `crossing`: it frees each block on its next stream."""
    if SIMULATED and threads > 4:
        return
    rounds = ROUNDS if SIMULATED else ROUNDS // 4
    own = [cuda.stream() for _ in range(threads * streams)]
    handles = (ctypes.c_void_p * len(own))(*(stream.handle for stream in own))
    natives = (ctypes.c_void_p * len(own))(*(stream.native for stream in own))
    context = ctypes.c_void_p()
    must(driver.cuCtxGetCurrent(ctypes.byref(context)))
    functions = (*map(address, (driver.cuMemAllocAsync, driver.cuMemFreeAsync, driver.cuCtxSetCurrent)), context)
    counts = streams, threads
    last = (*counts, int(crossing), ctypes.c_int64(rounds))
    by_pool = lambda: loops.bench_pool_threads(ctypes.c_void_p(pool.handle), ctypes.c_uint64(size), handles, *last)  # noqa: E731
    by_driver = lambda: loops.bench_driver_threads(*functions, ctypes.c_uint64(size), natives, *last)  # noqa: E731
    ways = {"tenure": lambda: told(by_pool(), rounds)}
    if not crossing:
        # The driver's pool wants an event between the two streams.
        ways["driver"] = lambda: told(by_driver(), rounds)
    how = ", freed on another stream" if crossing else ""
    case = f"{threads} threads with {streams} streams each, {size >> 10} KiB{how}"
    figures.measure(case, ways, rounds=2 if SIMULATED else 5)


def measure(case, size, live):
    ways = {"tenure": ours(size, live), "driver": theirs(size, live)}
    if "torch" in found:
        c = found["torch"]._C
        current, allocate = found["torch"].cuda.current_stream().cuda_stream, c._cuda_cudaCachingAllocator_raw_alloc
        ways["torch"] = looped(lambda n: allocate(n, current), c._cuda_cudaCachingAllocator_raw_delete, size, live)
    if "cupy" in found:
        memory = found["cupy"].cuda.MemoryPool()
        ways["cupy"] = looped(lambda n: memory.malloc(n), let_go, size, live)
    if "rmm" in found:
        mr = found["rmm"].mr
        if "rmm" not in resources:
            resources["rmm"] = mr.PoolMemoryResource(mr.CudaMemoryResource(), initial_pool_size=1 << 30)
        resource = resources["rmm"]
        ways["rmm"] = looped(resource.allocate, lambda block: resource.deallocate(block, size), size, live)
    ways["tenure, Python"] = looped(lambda n: cuda.device_array(n, "u1", stream=stream), let_go, size, live)
    figures.measure(case, ways)
    for who, least in (("driver", 2.0), ("torch", 2.0), ("rmm", 2.0), ("cupy", 1.0)):
        figures.bar("T22", case, who, least)


def let_go(block):
    """CuPy frees an array when its last reference is gone."""
    return abs(0)


for size, name in ((512, "512 B"), (1 << 16, "64 KiB"), (1 << 20, "1 MiB"), (32 << 20, "32 MiB")):
    if SIMULATED and size > 1 << 20:
        continue
    measure(f"one block of {name}", size, 1)
    measure(f"16 blocks of {name}", size, 16)
for threads, streams in ((1, 1), (1, 8), (1, 32), (4, 1), (4, 8), (8, 1), (16, 1), (16, 2)):
    threaded(1 << 16, threads, streams, False)
for threads, streams in ((1, 2), (1, 8), (4, 2), (16, 2)):
    threaded(1 << 16, threads, streams, True)
stats = pool.stats()
print(f"calls of the driver for memory: {stats.device_allocate_count} for {stats.allocation_count} allocations")
figures.cases["driver calls"] = {"device_allocate_count": stats.device_allocate_count, "allocation_count": stats.allocation_count}
figures.write()
