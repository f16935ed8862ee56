class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes, limit: {limit:,} bytes)")


class MemoryPointer:
    def __init__(self, mem, offset):
        self.mem, self.ptr = mem, mem.ptr + offset


class PythonFunctionAllocatorMemory:
    def __init__(self, size, malloc_func, free_func, device_id):
        self._free_func, self.device_id, self.size, self.ptr = free_func, device_id, size, 0
        if size > 0:
            self.ptr = malloc_func(size, device_id)

    def __del__(self):
        if self.ptr:
            self._free_func(self.ptr, self.device_id)


class PythonFunctionAllocator:
    def __init__(self, malloc_func, free_func):
        self._malloc_func, self._free_func = malloc_func, free_func

    def malloc(self, size):
        return MemoryPointer(PythonFunctionAllocatorMemory(size, self._malloc_func, self._free_func, 0), 0)


class MemoryPool:
    def malloc(self, size):
        raise NotImplementedError("CuPy's own pool")


_allocator = None


def set_allocator(allocator=None):
    global _allocator
    _allocator = allocator


def get_allocator():
    return _allocator


def alloc(size):
    return _allocator(size)
