"""The device allocators of the memory benchmarks behind one interface: allocate(bytes, stream number), free(block), reserved()."""

import ctypes
import os

import tenure
from _turns import driver, must
from tenure import cuda

library = ctypes.CDLL(os.path.join(os.path.dirname(tenure.__file__), "libtenure.so.0"))
STREAMS = 4


class Failed(Exception):
    """The allocator has no memory left."""


class Tenure:
    name = "tenure"

    def __init__(self, limit):
        self.pool = tenure.Pool("cuda:0", name="bench", max_size=limit)
        self.streams = [cuda.stream() for _ in range(STREAMS)]
        self.handles = [ctypes.c_void_p(stream.handle) for stream in self.streams]
        self.handle, self.block = ctypes.c_void_p(self.pool.handle), ctypes.c_void_p()

    def allocate(self, size, stream=0):
        code = library.tn_pool_allocate(
            self.handle, ctypes.c_size_t(size), ctypes.c_size_t(0), self.handles[stream], ctypes.byref(self.block)
        )
        if code:
            raise Failed(code)
        return self.block.value, stream

    def free(self, block):
        library.tn_pool_deallocate(self.handle, ctypes.c_void_p(block[0]), self.handles[block[1]])

    def reserved(self):
        return self.pool.stats().reserved_bytes

    def synchronize(self):
        for stream in self.streams:
            stream.synchronize()


class Driver:
    """The driver's own pool."""

    name = "driver"

    def __init__(self, limit):
        self.streams = [cuda.stream() for _ in range(STREAMS)]
        self.natives = [ctypes.c_void_p(stream.native) for stream in self.streams]
        self.pool, threshold = ctypes.c_void_p(), ctypes.c_uint64(2**64 - 1)
        must(driver.cuDeviceGetDefaultMemPool(ctypes.byref(self.pool), 0))
        # CU_MEMPOOL_ATTR_RELEASE_THRESHOLD: otherwise it gives its memory back whenever a stream is waited for.
        must(driver.cuMemPoolSetAttribute(self.pool, 4, ctypes.byref(threshold)))
        self.block = ctypes.c_uint64()

    def allocate(self, size, stream=0):
        if driver.cuMemAllocAsync(ctypes.byref(self.block), ctypes.c_size_t(size), self.natives[stream]):
            raise Failed
        return self.block.value, stream

    def free(self, block):
        driver.cuMemFreeAsync(ctypes.c_uint64(block[0]), self.natives[block[1]])

    def reserved(self):
        value = ctypes.c_uint64()
        # CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT
        must(driver.cuMemPoolGetAttribute(self.pool, 5, ctypes.byref(value)))
        return value.value

    synchronize = Tenure.synchronize


class Torch:
    """torch's caching allocator, with the settings that the environment of the process gives it."""

    name = "torch"

    def __init__(self, limit, torch):
        self.torch, total = torch, torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(limit / total, 1.0))
        self.streams = [torch.cuda.Stream() for _ in range(STREAMS)]
        self.natives = [stream.cuda_stream for stream in self.streams]
        self.take, self.give = torch._C._cuda_cudaCachingAllocator_raw_alloc, torch._C._cuda_cudaCachingAllocator_raw_delete

    def allocate(self, size, stream=0):
        try:
            return self.take(size, self.natives[stream])
        except self.torch.cuda.OutOfMemoryError as error:
            raise Failed from error

    def free(self, block):
        self.give(block)

    def reserved(self):
        return self.torch.cuda.memory_reserved()

    def synchronize(self):
        self.torch.cuda.synchronize()


class Cupy:
    name = "cupy"

    def __init__(self, limit, cupy):
        self.cupy, self.pool = cupy, cupy.cuda.MemoryPool()
        self.pool.set_limit(size=limit)
        self.streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(STREAMS)]

    def allocate(self, size, stream=0):
        try:
            with self.streams[stream]:
                return [self.pool.malloc(size)]
        except self.cupy.cuda.memory.OutOfMemoryError as error:
            raise Failed from error

    def free(self, block):
        block.clear()

    def reserved(self):
        return self.pool.total_bytes()

    def synchronize(self):
        self.cupy.cuda.Device().synchronize()


class Rmm:
    """RMM's pool, on one stream: its Python interface takes streams of other libraries by objects only."""

    name = "rmm"

    def __init__(self, limit, rmm):
        self.upstream = rmm.mr.LimitingResourceAdaptor(rmm.mr.CudaMemoryResource(), limit)
        most = limit // 256 * 256
        self.pool = rmm.mr.PoolMemoryResource(self.upstream, initial_pool_size=1 << 20, maximum_pool_size=most)

    def allocate(self, size, _stream=0):
        try:
            return self.pool.allocate(size), size
        except MemoryError as error:
            raise Failed from error

    def free(self, block):
        self.pool.deallocate(*block)

    def reserved(self):
        return self.upstream.get_allocated_bytes()

    def synchronize(self):
        must(driver.cuCtxSynchronize())


def allocators(limit, found):
    """Functions that make each allocator, by its name."""
    makers = {"tenure": lambda: Tenure(limit), "driver": lambda: Driver(limit)}
    for kind in (Torch, Cupy, Rmm):
        if kind.name in found:
            makers[kind.name] = lambda kind=kind: kind(limit, found[kind.name])
    return makers
