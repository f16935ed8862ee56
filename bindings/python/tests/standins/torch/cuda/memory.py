import contextlib
import ctypes

_ALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p)
_RECORD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class _cuda_CUDAAllocator:
    """PyTorch's C++ object: it calls plain function pointers."""

    def __init__(self, alloc_fn: int, free_fn: int):
        self.alloc, self.free, self.record = _ALLOC(alloc_fn), _FREE(free_fn), None

    def set_record_stream_fn(self, func_ptr: int) -> None:
        self.record = _RECORD(func_ptr)


class _CUDAAllocator:
    def __init__(self, allocator):
        self._allocator = allocator

    def allocator(self):
        return self._allocator


class CUDAPluggableAllocator(_CUDAAllocator):
    def __init__(self, path_to_so_file: str, alloc_fn_name: str, free_fn_name: str):
        library = ctypes.CDLL(path_to_so_file)
        functions = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in (alloc_fn_name, free_fn_name)]
        super().__init__(_cuda_CUDAAllocator(*functions))


_current = None
_mem_pool = None
_initialized = False


def change_current_allocator(allocator: _CUDAAllocator) -> None:
    global _current
    if _initialized:
        raise RuntimeError("Can't swap an already initialized allocator")
    _current = allocator.allocator()


class MemPool:
    def __init__(self, allocator: _cuda_CUDAAllocator | None = None, use_on_oom: bool = False):
        assert allocator is None or isinstance(allocator, _cuda_CUDAAllocator)
        self.allocator = allocator


@contextlib.contextmanager
def use_mem_pool(pool, device=None):
    global _mem_pool
    before, _mem_pool = _mem_pool, pool
    try:
        yield
    finally:
        _mem_pool = before


class Tensor:
    """A block, with the stream that is PyTorch's current one when it is made."""

    def __init__(self, nbytes, stream=0, device=0):
        global _initialized
        _initialized = True
        self.native = _current if _mem_pool is None else _mem_pool.allocator
        self.nbytes, self.stream, self.device = nbytes, stream, device
        self.pointer = self.native.alloc(nbytes, device, stream)

    def data_ptr(self):
        return self.pointer

    def record_stream(self, stream):
        self.native.record(self.pointer, stream)

    def __del__(self):
        self.native.free(self.pointer, self.nbytes, self.device, self.stream)
