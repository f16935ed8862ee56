class PinnedMemoryPointer:
    def __init__(self, mem, offset):
        self.mem, self.ptr = mem, mem.ptr + offset

    def size(self):
        return self.mem.size - (self.ptr - self.mem.ptr)


class PinnedMemoryPool:
    def malloc(self, size):
        raise NotImplementedError("CuPy's own pool")


_allocator = None


def set_pinned_memory_allocator(allocator=None):
    global _allocator
    _allocator = allocator


def alloc_pinned_memory(size):
    return _allocator(size)
